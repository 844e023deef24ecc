//! Whether a load fits: budgets per kind of machine, and verdicts over any
//! machine at all.

use std::collections::BTreeMap;

use plimsoll::domain::component::{ComponentKind, FootprintSource};
use plimsoll::domain::fault::SensorFault;
use plimsoll::domain::fit::{FlashAttention, LoadSettings, Placement, ServerEra};
use plimsoll::domain::level::Mark;
use plimsoll::domain::model::Idle;
use plimsoll::domain::plan::{Keep, Purpose};
use plimsoll::domain::process::{MeasuredSource, ProcessTable};
use plimsoll::domain::sample::{AvailableSource, Gpu, Memory, MemoryParts, no_groups};
use plimsoll::domain::{
    Action, Activity, Budget, Bytes, Component, Fit, FitVerdict, Footprint, KvType, Level,
    ModelName, ModelState, ModelView, Moment, Monotonic, Need, Priority, Sample, Wall,
};
use plimsoll::policy::budget::{Held, budget};
use plimsoll::policy::fit::{Ground, Wanted, judge, make_room};
use plimsoll::policy::limits::Profile;
use plimsoll::policy::plan::Load;
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

fn now() -> Moment {
    let wall = Wall::from_millisecond(1_768_485_731_000).expect("a plain date");
    Moment::new(wall, Monotonic::from_millis(3_600_000))
}

fn sample(memory: Memory, gpus: Vec<Gpu>) -> Sample {
    Sample {
        at: now(),
        memory: Ok(memory),
        swap: Err(SensorFault::absent("none here")),
        pressure: Err(SensorFault::absent("none here")),
        paging: Err(SensorFault::absent("none here")),
        zram: Err(SensorFault::absent("none here")),
        limit: Err(SensorFault::absent("none here")),
        gpus: Ok(gpus),
        processes: Ok(ProcessTable::default()),
        groups: no_groups(),
    }
}

fn linux(total: Bytes, available: Bytes) -> Memory {
    Memory {
        total,
        available,
        free: available,
        available_source: AvailableSource::Kernel,
        parts: MemoryParts::Linux {
            anonymous: None,
            cached: None,
            shared: None,
            slab_unreclaimable: None,
        },
    }
}

fn mac(total: Bytes, available: Bytes) -> Memory {
    Memory {
        available_source: AvailableSource::MachStatistics,
        parts: MemoryParts::Mac {
            app: Bytes::ZERO,
            wired: Bytes::ZERO,
            compressed: Bytes::ZERO,
            cached: Bytes::ZERO,
        },
        ..linux(total, available)
    }
}

fn card(total: Bytes, used: Option<Bytes>, unified: bool) -> Gpu {
    Gpu { name: "the card".into(), total, used, unified }
}

fn given(sample: &Sample, profile: Profile) -> Budget {
    budget(sample, &profile.limits(), Held::default()).expect("memory was read")
}

#[test]
fn linux_gives_what_is_available_less_a_twelfth_or_a_gib() {
    let of = |total, available| {
        let sample = sample(linux(Bytes::gib(total), Bytes::gib(available)), Vec::new());
        given(&sample, Profile::Linux15)
    };
    assert_eq!(of(8, 5).reserve, Bytes::gib(1));
    assert_eq!(of(8, 5).free(), Bytes::gib(4));
    assert_eq!(of(8, 5).ever, Bytes::gib(7));
    // 8 % of 64 GiB.
    assert_eq!(of(64, 40).reserve, Bytes::new(64 * GIB * 8 / 100));
    assert!(of(64, 40).source.contains("MemAvailable"), "{}", of(64, 40).source);
    // Nothing is free below the reserve.
    assert_eq!(of(16, 1).free(), Bytes::ZERO);
}

#[test]
fn what_fits_is_no_emergency_the_moment_it_is_loaded() {
    // `careful` says emergency at 90 % in use.
    let sample = sample(linux(Bytes::gib(40), Bytes::gib(20)), Vec::new());
    assert_eq!(given(&sample, Profile::Careful).reserve, Bytes::gib(4));
}

#[test]
fn a_small_container_keeps_a_quarter_not_all_of_it() {
    let small = sample(linux(Bytes::gib(2), Bytes::mib(1500)), Vec::new());
    assert_eq!(given(&small, Profile::Linux15).reserve, Bytes::mib(512));
}

#[test]
fn a_profile_may_keep_more_back() {
    let tight = sample(mac(Bytes::gib(8), Bytes::gib(5)), Vec::new());
    assert_eq!(given(&tight, Profile::Mac8).reserve, Bytes::mib(1536));
}

#[test]
fn a_macs_working_set_is_the_limit_whatever_is_available() {
    let gpu = card(Bytes::mib(10_922), None, true);
    let large = sample(mac(Bytes::gib(16), Bytes::gib(14)), vec![gpu]);
    let budget = given(&large, Profile::Mac16);
    assert_eq!(budget.free(), Bytes::mib(10_922 - 1024));
    assert_eq!(budget.ever, Bytes::mib(10_922 - 1024));
    assert_eq!(budget.vram, Bytes::ZERO, "one memory is not counted twice");
    assert!(budget.source.contains("working set"), "{}", budget.source);
    let held = Held { models: Bytes::gib(4), in_flight: Bytes::ZERO };
    let budget = plimsoll::policy::budget::budget(&large, &Profile::Mac16.limits(), held).unwrap();
    assert_eq!(budget.free(), Bytes::mib(10_922 - 1024 - 4096));
    let small = sample(mac(Bytes::gib(8), Bytes::gib(7)), Vec::new());
    assert_eq!(given(&small, Profile::Mac16).ever, Bytes::gib(4), "a Mac keeps 4 GiB for itself");
}

#[test]
fn the_models_budget_of_a_profile_is_not_gone_beyond() {
    let sample = sample(mac(Bytes::gib(8), Bytes::gib(7)), Vec::new());
    let held = Held { models: Bytes::gib(3), in_flight: Bytes::ZERO };
    let budget = budget(&sample, &Profile::Mac8.limits(), held).unwrap();
    assert_eq!(budget.free(), Bytes::gib(1));
    assert!(budget.source.contains("budget"), "{}", budget.source);
}

#[test]
fn a_card_adds_what_is_free_on_it_less_a_gib() {
    let gpus = vec![card(Bytes::gib(8), Some(Bytes::gib(2)), false)];
    let sample = sample(linux(Bytes::gib(16), Bytes::gib(10)), gpus);
    let budget = given(&sample, Profile::Linux15);
    let in_memory = Bytes::gib(10).saturating_sub(Bytes::new(16 * GIB * 8 / 100));
    assert_eq!(budget.vram, Bytes::gib(5));
    assert_eq!(budget.free(), in_memory + Bytes::gib(5));
    // What has to lie in system memory cannot use the card.
    let on_cpu = Need { weights: Bytes::gib(10), ..Need::default() };
    assert!(!budget.carries(&on_cpu));
    assert_eq!(budget.for_need(&on_cpu).free(), in_memory);
    let on_card = Need { on_gpu: Bytes::gib(9), ..on_cpu };
    assert!(budget.carries(&on_card));
    let unread = vec![card(Bytes::gib(8), None, false)];
    let unread = Sample { gpus: Ok(unread), ..sample };
    assert_eq!(given(&unread, Profile::Linux15).vram, Bytes::ZERO);
}

#[test]
fn bytes_promised_to_one_load_are_not_given_to_another() {
    let sample = sample(linux(Bytes::gib(16), Bytes::gib(10)), Vec::new());
    let free = given(&sample, Profile::Linux15).free();
    let held = Held { models: Bytes::ZERO, in_flight: Bytes::gib(3) };
    let after = budget(&sample, &Profile::Linux15.limits(), held).unwrap().free();
    assert_eq!(after, free.saturating_sub(Bytes::gib(3)));
}

/// Weights, and a cache of so many bytes a token at f16.
fn need_of(weights: Bytes, per_token: u64) -> impl Fn(&LoadSettings) -> Need {
    move |settings| {
        let bytes =
            per_token.saturating_mul(settings.context).saturating_mul(u64::from(settings.parallel))
                / 64
                * settings.kv_type.bytes_per_32();
        Need { weights, kv: Bytes::new(bytes), ..Need::default() }
    }
}

fn at(context: u64) -> LoadSettings {
    LoadSettings {
        context,
        parallel: 1,
        kv_type: KvType::F16,
        flash_attention: FlashAttention::Auto,
        mapped: false,
        server: ServerEra::LlamaServer,
        placement: Placement::Cpu,
    }
}

fn wanted(context: u64) -> Wanted {
    Wanted {
        model: ModelName::new("new:1b"),
        settings: at(context),
        settings_source: "as asked".into(),
        max_context: Some(131_072),
        is_loaded: false,
    }
}

fn held_by(name: &str, mib: u64) -> ModelView {
    ModelView {
        course: None,
        name: ModelName::new(name),
        runtime: 0,
        state: ModelState::Ready,
        activity: Activity::Idle,
        reported: Some(Bytes::mib(mib)),
        vram: None,
        measured: Some((Bytes::mib(mib), MeasuredSource::Status)),
        runner: None,
        context: Some(4096),
        expires: None,
        idle: Some(Idle { since: now(), at_least: false }),
        parameters: None,
        quantization: None,
        priority: Priority::Medium,
        pinned: false,
        is_remote: false,
        is_cloud: false,
        swap_growth: None,
    }
}

fn program(name: &str, mib: u64) -> Component {
    Component {
        course: None,
        id: format!("process:{name}"),
        name: name.into(),
        kind: ComponentKind::Process,
        depth: 0,
        process: None,
        footprint: Some(Footprint { bytes: Bytes::mib(mib), source: FootprintSource::Measured }),
        swapped: None,
        priority: Priority::Medium,
        pinned: false,
        state: None,
        target: None,
        allowed: Vec::new(),
    }
}

/// A machine with so much to give now and ever.
#[derive(Debug)]
struct World {
    budget: Budget,
    models: Vec<ModelView>,
    programs: Vec<Component>,
    marks: Vec<Mark>,
    spared: BTreeMap<ModelName, String>,
}

impl World {
    fn new(free_mib: u64, ever_mib: u64) -> World {
        World {
            budget: Budget {
                available: Bytes::mib(free_mib + 1024),
                reserve: Bytes::gib(1),
                in_flight: Bytes::ZERO,
                vram: Bytes::ZERO,
                ever: Bytes::mib(ever_mib),
                source: "the test's".into(),
            },
            models: Vec::new(),
            programs: Vec::new(),
            marks: vec![
                Mark { level: Level::Warning, used: Bytes::gib(12) },
                Mark { level: Level::Critical, used: Bytes::gib(14) },
            ],
            spared: BTreeMap::new(),
        }
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            budget: &self.budget,
            load: Load {
                models: &self.models,
                components: &self.programs,
                spared: &self.spared,
                now: now(),
            },
            marks: &self.marks,
            used: Some(Bytes::gib(10)),
            level: Level::Normal,
        }
    }

    fn judge(&self, wanted: &Wanted, weights_mib: u64) -> Fit {
        judge(wanted, &self.ground(), &need_of(Bytes::mib(weights_mib), 64 << 10))
    }
}

#[test]
fn what_there_is_room_for_fits_and_its_margin_adds_up() {
    // 2 GiB of weights and 4096 tokens of 64 KiB.
    let fit = World::new(3000, 12_000).judge(&wanted(4096), 2048);
    assert_eq!(fit.verdict, FitVerdict::Fits);
    assert_eq!(fit.need.bytes(), Bytes::mib(2048 + 256));
    assert_eq!(fit.margin().get(), (3000 - 2304) << 20);
    assert_eq!(fit.lacks(), Bytes::ZERO);
    // (3000 - 2048) MiB / 64 KiB, in steps of 256.
    assert_eq!(fit.max_context, Some(15_104));
    assert_eq!(fit.crosses, Some(Level::Warning), "10 GiB in use, 12 is a warning");
    // 256 MiB at 64 bytes become 34.
    assert_eq!(fit.q8_0_saves, Some(Bytes::mib(120)));
}

#[test]
fn the_least_harmful_set_goes_first() {
    let mut world = World::new(1000, 12_000);
    world.models = vec![held_by("small:1b", 800), held_by("large:7b", 4000)];
    // Longest idle goes first; the large one is needed all the same, and then
    // the small one may stay.
    world.models[0].idle =
        Some(Idle { since: Moment::new(now().wall, Monotonic::from_millis(0)), at_least: false });
    let fit = world.judge(&wanted(4096), 3000);
    assert_eq!(fit.verdict, FitVerdict::FitsAfterUnload);
    let names: Vec<&str> = fit.unload.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["large:7b"]);
    let load = Action::Load { model: fit.model.clone(), keep: Keep::Default, context: Some(4096) };
    let plan = make_room(&fit, &world.ground(), load.clone()).expect("room can be made");
    assert_eq!(plan.purpose, Purpose::MakeRoom);
    assert_eq!(plan.steps.len(), 2);
    assert_eq!(plan.steps[1].action, load);
    assert_eq!(plan.target, None, "the load is done whatever came back before");
}

#[test]
fn neither_pinned_nor_busy_nor_critical_models_are_offered() {
    let mut world = World::new(1000, 12_000);
    let spoiled: [fn(&mut ModelView); 4] = [
        |model| model.pinned = true,
        |model| model.activity = Activity::Busy,
        |model| model.priority = Priority::Critical,
        |model| model.is_remote = true,
    ];
    for spoil in spoiled {
        let mut model = held_by("large:7b", 8000);
        spoil(&mut model);
        world.models = vec![model];
        let fit = world.judge(&wanted(4096), 3000);
        assert!(fit.unload.is_empty(), "{:?}", fit.unload);
        assert_ne!(fit.verdict, FitVerdict::FitsAfterUnload);
    }
}

#[test]
fn less_context_comes_before_another_cache() {
    // 1 GiB of weights; 32768 tokens would take 2 GiB more.
    let fit = World::new(2000, 12_000).judge(&wanted(32_768), 1024);
    assert_eq!(fit.verdict, FitVerdict::FitsSmaller);
    let smaller = fit.smaller.unwrap();
    assert_eq!((smaller.context, smaller.kv_type), (15_616, KvType::F16));
    assert!(smaller.need <= Bytes::mib(2000));
    assert_eq!(fit.max_context, Some(smaller.context));
}

#[test]
fn another_cache_helps_where_less_context_would_be_of_no_use() {
    // 2048 tokens are the least, and take 128 MiB; 80 are left.
    let fit = World::new(1104, 12_000).judge(&wanted(2048), 1024);
    assert_eq!(fit.verdict, FitVerdict::FitsSmaller);
    let smaller = fit.smaller.unwrap();
    assert_eq!((smaller.context, smaller.kv_type), (2048, KvType::Q8_0));
}

#[test]
fn other_programs_are_named_where_they_must_give_memory_back() {
    let mut world = World::new(500, 8000);
    world.programs = vec![
        program("editor", 300),
        program("chrome", 4000),
        program("shell", 5),
        program("music", 200),
    ];
    let fit = world.judge(&wanted(2048), 4000);
    assert_eq!(fit.verdict, FitVerdict::FitsAfterFreeing);
    let names: Vec<&str> = fit.programs.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["chrome", "editor", "music"]);
    assert_eq!(fit.lacks(), Bytes::mib(4000 + 128 - 500));
}

#[test]
fn what_is_larger_than_the_machine_never_fits() {
    let fit = World::new(4000, 8000).judge(&wanted(2048), 9000);
    assert_eq!(fit.verdict, FitVerdict::Never);
    assert_eq!((fit.max_context, fit.smaller), (None, None));
    assert!(make_room_is_none(&fit));
}

fn make_room_is_none(fit: &Fit) -> bool {
    let world = World::new(4000, 8000);
    let load = Action::Load { model: fit.model.clone(), keep: Keep::Default, context: None };
    make_room(fit, &world.ground(), load).is_none()
}

#[test]
fn one_that_is_loaded_needs_nothing_more() {
    let loaded = Wanted { is_loaded: true, ..wanted(4096) };
    let fit = World::new(0, 8000).judge(&loaded, 4000);
    assert_eq!((fit.verdict, fit.is_loaded), (FitVerdict::Fits, true));
    assert_eq!(fit.crosses, None);
}

#[test]
fn what_was_learned_is_what_is_counted() {
    let world = World::new(3000, 12_000);
    let learned = plimsoll::domain::fit::LearnedFootprint {
        count: 3,
        mean: Bytes::mib(3100),
        spread: Bytes::mib(20),
        peak: Bytes::mib(3200),
        growth: Bytes::mib(100),
        is_scaled: false,
    };
    let need = move |settings: &LoadSettings| Need {
        learned: Some(learned),
        ..need_of(Bytes::mib(2048), 64 << 10)(settings)
    };
    let fit = judge(&wanted(4096), &world.ground(), &need);
    // More than the parts say, and what lies above their sum is growth.
    assert_eq!(fit.need.bytes(), Bytes::mib(3120));
    assert_ne!(fit.verdict, FitVerdict::Fits);
}

prop_compose! {
    fn machine()(
        free in 0u64..16_000,
        more in 0u64..16_000,
        models in prop::collection::vec((1u64..6000, any::<bool>(), any::<bool>(), 0usize..4, 0u64..60), 0..6),
    ) -> World {
        let mut world = World::new(free, free + more);
        world.models = models.into_iter().enumerate().map(|(at, (mib, pinned, busy, priority, idle))| {
            let since = Moment::new(now().wall, Monotonic::from_millis(3_600_000 - idle * 60_000));
            ModelView {
                pinned,
                activity: if busy { Activity::Busy } else { Activity::Idle },
                priority: Priority::ALL[priority],
                idle: Some(Idle { since, at_least: false }),
                ..held_by(&format!("m{at}:1b"), mib)
            }
        }).collect();
        world
    }
}

proptest! {
    #[test]
    fn every_verdict_keeps_its_word(
        world in machine(),
        weights in 1u64..20_000,
        context in 1u64..131_072,
        per_token in 0u64..(1 << 20),
    ) {
        let need = need_of(Bytes::mib(weights), per_token);
        let fit = judge(&wanted(context), &world.ground(), &need);
        let free = world.budget.free();
        prop_assert_eq!(fit.verdict == FitVerdict::Fits, fit.need.bytes() <= free);
        if let Some(most) = fit.max_context {
            prop_assert!(need(&at(most)).bytes() <= free);
            prop_assert!(most == 131_072 || need(&at(most + 256)).bytes() > free);
        } else {
            prop_assert!(need(&at(256)).bytes() > free);
        }
        let given: Bytes = fit.unload.iter().map(|one| one.bytes).sum();
        if fit.verdict == FitVerdict::FitsAfterUnload {
            prop_assert!(given >= fit.lacks());
            for one in &fit.unload {
                prop_assert!(given.saturating_sub(one.bytes) < fit.lacks(), "{} could stay", one.name);
                let model = world.models.iter().find(|model| model.name.short() == one.name).unwrap();
                prop_assert!(!model.pinned && model.activity == Activity::Idle);
                prop_assert!(model.priority != Priority::Critical);
            }
        }
        if let Some(smaller) = fit.smaller {
            let settings = LoadSettings { kv_type: smaller.kv_type, ..at(smaller.context) };
            prop_assert!(need(&settings).bytes() <= free);
            prop_assert!(smaller.context <= context);
        }
        prop_assert_eq!(
            fit.verdict == FitVerdict::Never,
            fit.need.bytes() > free && fit.unload.is_empty() && fit.smaller.is_none()
                && fit.need.bytes() > world.budget.ever
        );
    }
}
