//! What holds for every rule, whatever the machine does: plans drawn at random
//! machines, and whole runs of an engine whose rules act.

#[path = "support/machine.rs"]
mod machine;

use std::collections::{BTreeMap, BTreeSet};

use plimsoll::domain::model::Idle;
use plimsoll::domain::process::MeasuredSource;
use plimsoll::domain::{
    Activity, Bytes, Component, ComponentKind, Deed, Expiry, Footprint, FootprintSource, Level,
    ModelName, ModelState, ModelView, Plan, Priority, ProcessKey, RuleMode, SignalKind, Target,
};
use plimsoll::engine::input::{Effect, Past, Settings};
use plimsoll::policy::guard::{Situation, wish};
use plimsoll::policy::limits::Profile;
use plimsoll::policy::plan::Load;
use plimsoll::policy::rules::Rules;
use proptest::prelude::*;
use proptest::sample::Index;

use machine::{Machine, moment, regime, settings};

const NOW: u64 = 100_000_000;

#[derive(Debug, Clone)]
struct Given {
    mib: u64,
    idle_minutes: u64,
    priority: usize,
    pinned: bool,
    busy: bool,
}

fn given() -> impl Strategy<Value = Given> {
    (1..4000u64, 0..90u64, 0..4usize, any::<bool>(), any::<bool>()).prop_map(
        |(mib, idle_minutes, priority, pinned, busy)| Given {
            mib,
            idle_minutes,
            priority,
            pinned,
            busy,
        },
    )
}

fn model(index: usize, given: &Given) -> ModelView {
    ModelView {
        course: None,
        name: ModelName::new(format!("m{index}:1b")),
        runtime: 0,
        state: ModelState::Ready,
        activity: if given.busy { Activity::Busy } else { Activity::Idle },
        reported: Some(Bytes::mib(given.mib)),
        vram: None,
        measured: Some((Bytes::mib(given.mib), MeasuredSource::Status)),
        runner: None,
        context: Some(4096),
        expires: Some(Expiry::Never),
        idle: Some(Idle { since: moment(NOW - given.idle_minutes * 60_000), at_least: false }),
        parameters: None,
        quantization: None,
        priority: Priority::ALL[given.priority],
        pinned: given.pinned,
        is_remote: false,
        is_cloud: false,
        swap_growth: None,
    }
}

fn program(index: usize, given: &Given) -> Component {
    let key = ProcessKey { pid: 1000 + index as u32, started: 1 };
    let deeds = [Deed::Pause, Deed::Stop, Deed::Term, Deed::Kill];
    Component {
        course: None,
        id: format!("process:p{index}"),
        name: format!("p{index}"),
        kind: ComponentKind::Process,
        depth: 0,
        process: Some(key),
        footprint: Some(Footprint {
            bytes: Bytes::mib(given.mib),
            source: FootprintSource::Measured,
        }),
        swapped: None,
        priority: Priority::ALL[given.priority],
        pinned: given.pinned,
        state: None,
        target: Some(Target::Process { key }),
        allowed: vec![deeds[given.idle_minutes as usize % deeds.len()].clone()],
    }
}

/// A machine with models and named programs, and what its level wants.
#[derive(Debug, Clone)]
struct World {
    models: Vec<ModelView>,
    programs: Vec<Component>,
    level: Level,
    excess: Bytes,
}

fn world() -> impl Strategy<Value = World> {
    let many = || proptest::collection::vec(given(), 0..8);
    (many(), many(), 0..4usize, 1..12_000u64).prop_map(|(models, programs, level, mib)| World {
        models: models.iter().enumerate().map(|(i, given)| model(i, given)).collect(),
        programs: programs.iter().enumerate().map(|(i, given)| program(i, given)).collect(),
        level: Level::ALL[level],
        excess: Bytes::mib(mib),
    })
}

fn plan(world: &World, rules: &Rules) -> Plan {
    let spared = BTreeMap::new();
    let load = Load {
        models: &world.models,
        components: &world.programs,
        spared: &spared,
        now: moment(NOW),
    };
    let cause = (world.level > Level::Normal).then_some(SignalKind::Memory);
    let excess = (world.level > Level::Normal).then_some(world.excess);
    let situation =
        Situation { level: world.level, cause, excess, budget: None, load, has_run: true };
    wish(rules, &situation)
}

/// Plain rules, with those on single models where asked for.
fn some_rules() -> impl Strategy<Value = Rules> {
    (any::<bool>(), any::<bool>()).prop_map(|(one_model, large)| Rules {
        one_model,
        largest_model: large.then_some(Bytes::gib(2)),
        ..Rules::plain()
    })
}

fn subjects(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.action.subject().to_owned()).collect()
}

proptest! {
    #[test]
    fn what_is_pinned_or_critical_is_in_no_rules_plan(world in world(), rules in some_rules()) {
        let plan = plan(&world, &rules);
        let models = world.models.iter().map(|m| (m.name.short(), m.pinned, m.priority));
        let programs = world.programs.iter().map(|p| (p.name.as_str(), p.pinned, p.priority));
        let safe: BTreeSet<&str> = models
            .chain(programs)
            .filter(|(_, pinned, priority)| *pinned || *priority == Priority::Critical)
            .map(|(name, ..)| name)
            .collect();
        for subject in subjects(&plan) {
            prop_assert!(!safe.contains(subject.as_str()), "{subject}");
        }
    }

    #[test]
    fn a_busy_model_is_in_no_rules_plan_below_emergency(world in world(), rules in some_rules()) {
        prop_assume!(world.level < Level::Emergency);
        let plan = plan(&world, &rules);
        for model in world.models.iter().filter(|model| model.activity == Activity::Busy) {
            prop_assert!(!subjects(&plan).contains(&model.name.short().to_owned()));
        }
    }

    #[test]
    fn a_plan_frees_less_than_one_step_beyond_its_target(world in world()) {
        let plan = plan(&world, &Rules::plain());
        let Some(target) = plan.target else { return Ok(()) };
        let bytes = |step: &plimsoll::domain::Step| step.expected.map(|f| f.bytes);
        for step in &plan.steps {
            let without = plan.expected().saturating_sub(bytes(step).unwrap_or_default());
            prop_assert!(without < target, "{} is needless", step.action.subject());
        }
    }

    #[test]
    fn a_plan_that_falls_short_left_nothing_within_reach(world in world()) {
        let plan = plan(&world, &Rules::plain());
        if plan.shortfall().is_some() {
            let spared = plan.kept.iter().any(|kept| kept.reason.contains("not needed"));
            prop_assert!(!spared, "{plan:?}");
        }
    }

    #[test]
    fn the_order_of_components_does_not_matter(
        world in world(), rules in some_rules(), moves in proptest::collection::vec(any::<(Index, Index)>(), 8)
    ) {
        let mut other = world.clone();
        for (from, to) in moves {
            if !other.models.is_empty() {
                let len = other.models.len();
                other.models.swap(from.index(len), to.index(len));
            }
            if !other.programs.is_empty() {
                let len = other.programs.len();
                other.programs.swap(from.index(len), to.index(len));
            }
        }
        prop_assert_eq!(plan(&world, &rules), plan(&other, &rules));
    }

    #[test]
    fn nobody_within_reach_is_spared_for_one_of_the_same_age_that_matters_more(world in world()) {
        let plan = plan(&world, &Rules::plain());
        let is_gone = |model: &ModelView| subjects(&plan).contains(&model.name.short().to_owned());
        let idle = |model: &ModelView| model.idle.map(|idle| idle.since);
        let spared = |model: &&ModelView| plan.kept.iter().any(|kept| {
            kept.name == model.name.short() && kept.reason.contains("not needed")
        });
        for stays in world.models.iter().filter(spared) {
            for goes in world.models.iter().filter(|model| is_gone(model)) {
                let same = goes.activity == stays.activity && idle(goes) == idle(stays);
                let enough = stays.held() >= goes.held();
                prop_assert!(!(same && enough && goes.priority > stays.priority));
            }
        }
    }
}

/// What may happen in a second of a run.
#[derive(Debug, Clone)]
enum Happens {
    Nothing,
    Memory(f64),
    Load(usize),
    Work(usize),
    /// The server lets go of what it was asked for.
    Obeys,
    /// Whether processes can be seen.
    Blind(bool),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => Just(Happens::Nothing),
        3 => (40.0..100.0f64).prop_map(Happens::Memory),
        1 => (0..4usize).prop_map(Happens::Load),
        1 => (0..4usize).prop_map(Happens::Work),
        3 => Just(Happens::Obeys),
        1 => prop_oneof![4 => Just(false), 1 => Just(true)].prop_map(Happens::Blind),
    ]
}

struct Run {
    machine: Machine,
    keys: BTreeMap<String, ProcessKey>,
    asked: BTreeSet<String>,
    /// At which level the last action was begun.
    begun: Level,
    /// When its outcome was told, and that level.
    last: Option<(u64, Level)>,
    outcomes: usize,
}

const LETTERS: [char; 4] = ['a', 'b', 'c', 'd'];

fn name(index: usize) -> String {
    if index == 3 { "precious:1b".into() } else { format!("m{index}:1b") }
}

impl Run {
    fn new() -> Self {
        let mut rules = Rules::plain();
        for rule in &mut rules.levels {
            rule.mode = RuleMode::Act;
        }
        let settings =
            Settings { regime_for: regime(Profile::Linux15, rules), ..settings(Profile::Linux15) };
        Run {
            machine: Machine::with(settings, Past::default()),
            keys: BTreeMap::new(),
            asked: BTreeSet::new(),
            begun: Level::Normal,
            last: None,
            outcomes: 0,
        }
    }

    fn happen(&mut self, what: &Happens) {
        match what {
            Happens::Nothing => {}
            Happens::Memory(used) => self.machine.used = *used,
            Happens::Load(index) => {
                let name = name(*index);
                if !self.keys.contains_key(&name) {
                    let key = self.machine.load(&name, LETTERS[*index], 500 + 400 * *index as u64);
                    self.keys.insert(name, key);
                }
            }
            Happens::Work(index) => {
                if let Some(key) = self.keys.get(&name(*index)) {
                    self.machine.work(*key, 700);
                }
            }
            Happens::Obeys => {
                for name in std::mem::take(&mut self.asked) {
                    if let Some(key) = self.keys.remove(&name) {
                        self.machine.unlist(&name);
                        self.machine.end_runner(key);
                    }
                }
            }
            Happens::Blind(is_blind) => self.machine.is_blind = *is_blind,
        }
    }

    /// One second; fails where a rule broke a promise.
    fn second(&mut self) -> Result<(), TestCaseError> {
        let level_before = self.machine.level();
        self.machine.seconds(1);
        let level = self.machine.level();
        for effect in &self.machine.effects {
            let Effect::Unload { model, .. } = effect else { continue };
            let name = model.short().to_owned();
            prop_assert!(!name.starts_with("precious"), "a pinned model was asked to leave");
            prop_assert!(self.asked.insert(name), "{model} is asked twice while in flight");
            let running = self.machine.snapshot.plan.as_ref();
            let is_first = running.is_some_and(|running| running.outcomes.is_empty());
            if let (true, Some((at, level_then))) = (is_first, self.last) {
                let waited = self.machine.millis - at;
                let is_worse = level.max(level_before) > level_then;
                prop_assert!(waited >= 15_000 || is_worse, "acted again after {waited} ms");
            }
            self.begun = level.min(level_before);
        }
        self.note_outcomes();
        Ok(())
    }

    fn note_outcomes(&mut self) {
        let told = self.machine.told();
        let ended = told.iter().filter(|line| line.contains("by rule")).count();
        if ended != self.outcomes {
            self.outcomes = ended;
            self.last = Some((self.machine.millis, self.begun));
            // What failed or is stuck may be asked again, once its pause is over.
            let there: BTreeSet<String> = self.keys.keys().cloned().collect();
            self.asked.retain(|name| {
                there.contains(name) && self.machine.state_of(name) == Some("unloading")
            });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_that_acts_keeps_its_promises(
        story in proptest::collection::vec(happens(), 20..150)
    ) {
        let mut run = Run::new();
        for what in &story {
            run.happen(what);
            run.second()?;
        }
    }

    #[test]
    fn a_dry_run_does_nothing_at_all(story in proptest::collection::vec(happens(), 20..100)) {
        let mut run = Run::new();
        run.machine = Machine::with(settings(Profile::Linux15), Past::default());
        for what in &story {
            run.happen(what);
            run.machine.seconds(1);
            let acts = run.machine.effects.iter().any(|effect| matches!(
                effect,
                Effect::Unload { .. } | Effect::Load { .. } | Effect::Act { .. }
                    | Effect::Journal { .. } | Effect::Owe(_)
            ));
            prop_assert!(!acts, "{:?}", run.machine.effects);
        }
    }
}
