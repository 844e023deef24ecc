//! The demo's world: the same every time, its figures agree with one another,
//! and its Ollama behaves as a real one does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use plimsoll::domain::fault::RuntimeFaultKind;
use plimsoll::domain::model::Expiry;
use plimsoll::domain::plan::Keep;
use plimsoll::domain::sample::{MemoryParts, Pressure};
use plimsoll::domain::{Bytes, ModelName, Moment, Monotonic, Process, ProcessRole, Sample, Wall};
use plimsoll::runtime::demo::DemoRuntime;
use plimsoll::runtime::{LoadOptions, Runtime};
use plimsoll::sense::demo::DemoSensors;
use plimsoll::sense::{Sensors, Want};
use plimsoll::simulation::{Scenario, SharedWorld, World};

fn moment(ms: u64) -> Moment {
    let start: Wall = "2026-01-15T14:02:11Z".parse().unwrap();
    Moment::new(start + Duration::from_millis(ms), Monotonic::from_millis(5_000 + ms))
}

fn world(scenario: Scenario) -> World {
    World::new(scenario, moment(0))
}

fn used_percent(sample: &Sample) -> f64 {
    let memory = sample.memory.as_ref().unwrap();
    memory.used().share_of(memory.total).unwrap().get()
}

fn some_avg10(sample: &Sample) -> f64 {
    match sample.pressure.as_ref().unwrap() {
        Pressure::Psi { some, .. } => some.avg10,
        Pressure::Mac { .. } => unreachable!("the demo is a Linux machine"),
    }
}

fn available(sample: &Sample) -> Bytes {
    sample.memory.as_ref().unwrap().available
}

fn runners(sample: &Sample) -> &[Process] {
    &sample.processes.as_ref().unwrap().runners
}

fn names(world: &World) -> Vec<String> {
    world.loaded().iter().map(|model| model.name.as_str().to_owned()).collect()
}

fn model(name: &str) -> ModelName {
    ModelName::new(name)
}

#[test]
fn the_same_commands_give_the_same_world_however_often_it_is_looked_at() {
    let run = |looks: &[u64]| {
        let mut world = world(Scenario::Story);
        for ms in looks {
            if *ms == 30_000 {
                world.sample(moment(*ms));
                world.unload(&model("llama3.2:3b")).unwrap();
                world.load(&model("phi3:mini"), Keep::Forever, None).unwrap();
            }
            world.advance_to(moment(*ms).mono);
        }
        (world.sample(moment(200_000)), world.loaded(), world.installed())
    };
    let often: Vec<u64> = (0..800).map(|look| look * 250).collect();
    assert_eq!(run(&[30_000]), run(&often));
}

#[test]
fn sums_agree_at_every_moment_whatever_is_done() {
    let mut world = world(Scenario::Story);
    let mut fixed = None;
    for second in 0..1_000 {
        match second {
            70 => world.load(&model("qwen2.5:7b"), Keep::Forever, Some(32_768)).unwrap_or(()),
            90 => world.load(&model("phi3:mini"), Keep::Forever, Some(16_384)).unwrap_or(()),
            300 => world.unload(&model("qwen2.5:7b")).unwrap(),
            320 => world.load(&model("qwen2.5:7b"), Keep::Default, None).unwrap_or(()),
            _ => {}
        }
        let sample = world.sample(moment(second * 1_000 + second % 7 * 111));
        let memory = sample.memory.clone().unwrap();
        let table = sample.processes.clone().unwrap();
        let resident: Bytes = table.all().filter_map(|p| p.memory.resident).sum();
        let processes = resident + table.rest.unwrap();
        // What is neither a process's nor cache nor free is the kernel's, and
        // the kernel's part does not change here.
        let kernel = memory.used().checked_sub(processes).expect("processes fit into used");
        assert_eq!(*fixed.get_or_insert(kernel), kernel, "at {second} s");
        assert!(memory.free < memory.available && memory.available < memory.total);
        let MemoryParts::Linux { anonymous, cached, slab_unreclaimable, .. } = memory.parts else {
            panic!("the demo is a Linux machine")
        };
        let parts = anonymous.unwrap() + cached.unwrap() + slab_unreclaimable.unwrap();
        let page_tables = memory.total.checked_sub(memory.free + parts);
        assert_eq!(page_tables, Some(Bytes::mib(290)), "at {second} s");

        let swap = sample.swap.clone().unwrap();
        let swapped: Bytes = table.all().filter_map(|p| p.memory.swapped).sum();
        assert!(swapped <= swap.used && swap.used <= swap.total, "at {second} s");
        for process in table.all() {
            let memory = &process.memory;
            assert_eq!(memory.resident, Some(memory.anonymous.unwrap() + memory.file.unwrap()));
        }
        assert_eq!(sample.paging.unwrap().oom_kills, Some(0));
    }
}

#[test]
fn the_story_climbs_to_warning_then_critical_and_comes_back() {
    let mut world = world(Scenario::Story);
    let used: Vec<f64> =
        (0..960).map(|second| used_percent(&world.sample(moment(second * 1_000)))).collect();
    let first = |limit: f64| used.iter().position(|used| *used >= limit).unwrap();
    assert!(used[0] < 70.0);
    assert!((33..=45).contains(&first(80.0)), "warning at {} s", first(80.0));
    assert!((80..=100).contains(&first(90.0)), "critical at {} s", first(90.0));
    // Every round goes the same way, and none into an emergency.
    for round in used.chunks(240) {
        assert!(round.iter().any(|used| *used >= 90.0));
        assert!(round.iter().all(|used| *used < 95.0));
        assert!(round[180..].iter().all(|used| *used < 76.0));
    }
}

#[test]
fn pressure_is_felt_where_memory_is_full() {
    let mut world = world(Scenario::Story);
    assert!(some_avg10(&world.sample(moment(60_000))) < 1.0);
    assert!(some_avg10(&world.sample(moment(120_000))) > 10.0);
    assert!(some_avg10(&world.sample(moment(230_000))) < 1.0);
}

#[test]
fn nothing_happens_by_itself_when_it_is_calm() {
    let mut world = world(Scenario::Calm);
    let early = world.sample(moment(1_000));
    let late = world.sample(moment(120_000));
    assert_eq!((early.memory, early.swap), (late.memory, late.swap));
}

#[test]
fn an_unload_gives_back_what_its_runner_held_within_200_ms() {
    let mut world = world(Scenario::Calm);
    let before = world.sample(moment(1_000));
    let gone = runners(&before)[0].clone();
    world.unload(&model("llama3.2:3b")).unwrap();
    assert_eq!(names(&world), ["qwen2.5-coder:3b"]);
    let halfway = world.sample(moment(1_100));
    assert!(available(&halfway) > available(&before));
    assert_eq!(runners(&halfway).len(), 2);
    let after = world.sample(moment(1_200));
    assert_eq!(runners(&after).len(), 1);
    let freed = available(&after).checked_sub(available(&before));
    assert_eq!(freed, gone.memory.resident);
    assert_eq!(freed, gone.memory.measured().map(|(bytes, _)| bytes));
}

#[test]
fn a_loading_model_is_seen_as_a_growing_runner_before_it_is_listed() {
    let mut world = world(Scenario::Calm);
    let before = world.sample(moment(1_000));
    world.load(&model("gemma3:1b"), Keep::Default, Some(4_096)).unwrap();
    assert!(world.is_loading(&model("gemma3:1b")));
    let early = world.sample(moment(1_500));
    let later = world.sample(moment(3_000));
    let grown = |sample: &Sample| runners(sample)[2].memory.anonymous.unwrap();
    assert!(grown(&early) < grown(&later));
    assert_eq!(names(&world).len(), 2);
    let done = world.sample(moment(6_000));
    assert!(world.is_loaded(&model("gemma3:1b")));
    let listed = world.loaded();
    let gemma = listed.iter().find(|m| m.name == model("gemma3:1b")).unwrap();
    assert_eq!(gemma.context, Some(4_096));
    // It is there for five minutes from the end of its load, and takes what it
    // reports and a little more.
    let Some(Expiry::At(expires)) = gemma.expires else { panic!("it expires") };
    assert_eq!(expires, moment(4_000 + 300_000).wall);
    assert_eq!(grown(&done), gemma.reported.unwrap() + Bytes::mib(24));
    let taken = available(&before).checked_sub(available(&done));
    assert_eq!(taken, runners(&done)[2].memory.resident);
}

#[test]
fn runner_server_and_model_are_joined_as_on_a_real_machine() {
    let mut world = world(Scenario::Calm);
    let sample = world.sample(moment(0));
    let table = sample.processes.unwrap();
    let server = &table.servers[0];
    assert_eq!(
        server.role,
        ProcessRole::Server { host: None, listens: Some(true), environment: Vec::new() }
    );
    for runner in &table.runners {
        assert_eq!(runner.parent, server.key.pid);
        let ProcessRole::Runner(arguments) = &runner.role else { panic!("not a runner") };
        let carried = world
            .loaded()
            .into_iter()
            .find(|m| world.details(&m.name).unwrap().blob == arguments.blob)
            .unwrap();
        assert_eq!(carried.context, arguments.context);
        // More than reported: the prompt cache is not in the server's figure.
        assert!(runner.memory.measured().unwrap().0 > carried.reported.unwrap() + Bytes::mib(90));
    }
}

#[test]
fn a_busy_model_goes_when_it_is_through() {
    let mut world = world(Scenario::Story);
    // Its request begins at 6 s and takes 6 s.
    let mut cpu = |ms| runners(&world.sample(moment(ms)))[0].cpu.unwrap();
    let (idle, early, late) = (cpu(4_000), cpu(8_000), cpu(9_000));
    assert_eq!(cpu(9_000), late);
    // Nearly two cores while it works, nothing before.
    assert!(late - early > Duration::from_millis(1_500));
    assert!(early - idle < Duration::from_millis(4_000));
    world.unload(&model("llama3.2:3b")).unwrap();
    world.sample(moment(10_000));
    let listed = world.loaded();
    let llama = listed.iter().find(|m| m.name == model("llama3.2:3b")).unwrap();
    let Some(Expiry::At(expires)) = llama.expires else { panic!("it expires") };
    assert!(expires < moment(10_000).wall);
    world.sample(moment(13_000));
    assert!(!world.is_loaded(&model("llama3.2:3b")));
}

#[test]
fn idle_models_make_room_and_what_never_fits_is_refused() {
    let mut world = world(Scenario::Calm);
    world.load(&model("qwen2.5:7b"), Keep::Default, None).unwrap();
    world.sample(moment(8_000));
    // The one that would have left first is gone.
    assert_eq!(names(&world), ["qwen2.5:7b", "llama3.2:3b"]);
    let fault = world.load(&model("phi3:mini"), Keep::Default, Some(131_072)).unwrap_err();
    assert_eq!(fault.kind, RuntimeFaultKind::Status(500));
    assert!(fault.detail.starts_with("model requires more system memory (50"), "{fault}");
    assert_eq!(names(&world).len(), 2);
}

#[test]
fn keeping_a_loaded_model_changes_only_its_expiry() {
    let mut world = world(Scenario::Calm);
    let before = world.sample(moment(1_000));
    world.load(&model("llama3.2:3b"), Keep::Forever, Some(8_192)).unwrap();
    assert_eq!(world.loaded()[0].expires, Some(Expiry::Never));
    assert_eq!(available(&world.sample(moment(1_000))), available(&before));
    world.load(&model("llama3.2:3b"), Keep::For(Duration::from_secs(9)), None).unwrap();
    world.sample(moment(9_900));
    assert!(world.is_loaded(&model("llama3.2:3b")));
    world.sample(moment(10_300));
    assert!(!world.is_loaded(&model("llama3.2:3b")));
}

#[test]
fn a_cloud_model_and_an_unknown_one_are_refused() {
    let mut world = world(Scenario::Calm);
    let cloud = model("gpt-oss:120b-cloud");
    assert!(world.installed().iter().any(|m| m.name == cloud && m.is_cloud));
    let fault = world.load(&cloud, Keep::Default, None).unwrap_err();
    assert_eq!(fault.kind, RuntimeFaultKind::NotAllowed);
    let fault = world.unload(&model("nobody")).unwrap_err();
    assert_eq!(fault.kind, RuntimeFaultKind::Status(404));
    assert!(world.installed().iter().any(|m| m.name == model("nomic-embed-text") && m.embeds()));
}

#[test]
fn a_long_sleep_is_over_at_once() {
    let mut world = world(Scenario::Story);
    let year = 365 * 86_400_000;
    let sample = world.sample(moment(year));
    assert_eq!(sample.at, moment(year));
    // Time goes on at its own pace from there.
    world.load(&model("gemma3:1b"), Keep::Forever, None).unwrap();
    world.sample(moment(year + 6_000));
    assert!(world.is_loaded(&model("gemma3:1b")));
}

#[test]
fn others_that_are_not_wanted_count_in_the_rest() {
    let world = SharedWorld::new(world(Scenario::Calm));
    let mut sensors = DemoSensors::new(world.clone());
    let mut read = |largest| {
        let want = Want { largest, ..Want::default() };
        sensors.read(&want, moment(0)).processes.unwrap()
    };
    let (all, three) = (read(50), read(3));
    assert_eq!((all.others.len(), three.others.len()), (10, 3));
    assert_eq!(three.others, all.others[..3]);
    let sum = |table: &plimsoll::domain::process::ProcessTable| {
        table.others.iter().filter_map(|p| p.memory.resident).sum::<Bytes>() + table.rest.unwrap()
    };
    assert_eq!(sum(&all), sum(&three));
    assert_eq!(sensors.host(), world.with(|world| world.host()));
}

#[tokio::test(start_paused = true)]
async fn a_load_ends_when_the_model_is_there_and_dropping_it_cuts_it_off() {
    let world = SharedWorld::new(world(Scenario::Calm));
    let runtime = DemoRuntime::new(world.clone());
    let options = LoadOptions { keep: Keep::Default, context: None, embeds: false };
    let gemma = model("gemma3:1b");
    let load = tokio::spawn(runtime.load(&gemma, options));
    let mut ms = 0;
    while !load.is_finished() {
        ms += 500;
        world.with(|world| world.advance_to(moment(ms).mono));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(load.await.unwrap(), Ok(()));
    assert!((3_000..=5_000).contains(&ms), "{ms} ms");
    assert_eq!(runtime.loaded().await.unwrap().len(), 3);

    assert_eq!(runtime.unload(&gemma).await, Ok(()));
    world.with(|world| world.advance_to(moment(ms + 500).mono));
    let cut = tokio::time::timeout(Duration::from_secs(1), runtime.load(&gemma, options)).await;
    assert!(cut.is_err());
    assert!(!world.with(|world| world.is_loading(&gemma)));
    let runners = world.with(|world| world.sample(moment(ms + 1_000)).processes.unwrap().runners);
    assert_eq!(runners.len(), 2);
}
