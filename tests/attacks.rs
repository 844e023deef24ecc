//! Attacks on the guard in virtual time: forged commands, servers that obey
//! nothing, gaps in time. Each is one that once went through, or might.

#[path = "support/machine.rs"]
mod machine;

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll::act::Order;
use plimsoll::domain::group::GroupKind;
use plimsoll::domain::plan::{Plan, Purpose, Step};
use plimsoll::domain::{
    Action, Bytes, Debt, Deed, Group, Level, Measure, ModelName, Percent, ProcessKey, RuleMode,
    Target,
};
use plimsoll::engine::input::{ComponentRule, Effect, Input, Past, Settings};
use plimsoll::engine::link::{Command, Reply};
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::{KillSwitch, Rules};

use machine::{Machine, regime, settings};

fn acting() -> Rules {
    let mut rules = Rules::plain();
    for rule in &mut rules.levels {
        rule.mode = RuleMode::Act;
    }
    rules
}

fn with(rules: Rules, components: Vec<ComponentRule>, past: Past) -> Machine {
    let regime_for = regime(Profile::Linux15, rules);
    Machine::with(Settings { regime_for, components, ..settings(Profile::Linux15) }, past)
}

fn named(pattern: &str, actions: Vec<Measure>) -> ComponentRule {
    let limit = Some(Bytes::gib(2));
    ComponentRule { pattern: pattern.into(), actions, limit, ..ComponentRule::default() }
}

fn container(letter: &str, name: &str) -> Group {
    Group {
        kind: GroupKind::Container { id: letter.repeat(64) },
        name: name.into(),
        used: Some(Bytes::gib(1)),
        swapped: None,
        limit: Some(Bytes::gib(4)),
        oom_kills: None,
        stalled: None,
        is_paused: false,
    }
}

fn plan(steps: impl IntoIterator<Item = Action>) -> Plan {
    let step = |action| Step { action, expected: None, reason: String::new() };
    let steps = steps.into_iter().map(step).collect();
    Plan { purpose: Purpose::Asked, target: None, steps, kept: Vec::new() }
}

fn deed(id: &str, name: &str, target: Target, deed: Deed) -> Action {
    Action::Component { id: id.into(), name: name.into(), target, deed }
}

fn orders(machine: &Machine) -> usize {
    machine.effects.iter().filter(|effect| matches!(effect, Effect::Act { .. })).count()
}

/// Seconds at which each model is asked to unload.
fn asked_over(machine: &mut Machine, seconds: u64) -> BTreeMap<String, Vec<u64>> {
    let mut asked = BTreeMap::<String, Vec<u64>>::new();
    for second in 0..seconds {
        machine.seconds(1);
        for effect in &machine.effects {
            if let Effect::Unload { model, .. } = effect {
                asked.entry(model.short().to_owned()).or_default().push(second);
            }
        }
    }
    asked
}

fn nearest(times: &[u64]) -> u64 {
    times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(u64::MAX)
}

#[test]
fn what_is_owed_by_one_is_taken_back_from_no_other() {
    let backup = container("c", "backup");
    let debts = [Deed::Resume, Deed::Unlimit { to: None }].map(|undo| Debt {
        component: "container:backup".into(),
        name: "backup".into(),
        target: backup.target(),
        undo,
    });
    let past = Past { debts: debts.to_vec(), ..Past::default() };
    let mut machine = with(acting(), vec![named("container:backup", vec![])], past);
    machine.groups = vec![backup.clone(), container("d", "other")];
    machine.seconds(6);
    let foreign = [
        container("d", "other").target(),
        Target::Process { key: ProcessKey { pid: 4242, started: 7 } },
        Target::Unit { name: "other.service".into(), is_user: false },
    ];
    for target in foreign {
        for undo in [Deed::Resume, Deed::Unlimit { to: None }] {
            let forged = plan([deed("container:backup", "backup", target.clone(), undo)]);
            let reply = machine.ask(Command::CarryOut { plan: forged });
            assert!(matches!(reply, Reply::Refused { .. }), "{target:?}: {reply:?}");
            assert_eq!(orders(&machine), 0);
        }
    }
    let paid = plan([deed("container:backup", "backup", backup.target(), Deed::Resume)]);
    assert_eq!(machine.ask(Command::CarryOut { plan: paid }), Reply::Accepted);
    assert_eq!(orders(&machine), 1);
}

#[test]
fn a_forged_name_reaches_no_event() {
    let components = vec![named("container:backup", vec![Measure::Pause])];
    let mut machine = with(acting(), components, Past::default());
    machine.groups = vec![container("c", "backup")];
    machine.seconds(6);
    let target = machine.groups[0].target();
    let forged = plan([deed("container:backup", "\u{1b}[2Jsshd", target, Deed::Pause)]);
    let reply = machine.ask(Command::CarryOut { plan: forged });
    assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    let model = Action::Unload { model: ModelName::new("\u{1b}[2J:1b") };
    let reply = machine.ask(Command::CarryOut { plan: plan([model]) });
    assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    let mut worded = plan([Action::Unload { model: ModelName::new("gone:1b") }]);
    worded.steps[0].reason = "\u{1b}[2J\u{202e}because".into();
    assert_eq!(machine.ask(Command::CarryOut { plan: worded }), Reply::Accepted);
    assert_eq!(machine.snapshot.plan.unwrap().plan.steps[0].reason, "[2Jbecause");
}

#[test]
fn a_plan_of_a_hundred_thousand_steps_is_refused_and_a_long_one_is_survived() {
    let mut machine = with(acting(), Vec::new(), Past::default());
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(6);
    let nobody = |_| Action::Unload { model: ModelName::new("nobody:1b") };
    let reply = machine.ask(Command::CarryOut { plan: plan((0..100_000).map(nobody)) });
    assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    // On a stack as small as a thread's: one step must not lie upon another.
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let long = small.spawn(move || {
        let reply = machine.ask(Command::CarryOut { plan: plan((0..1000).map(nobody)) });
        machine.seconds(1);
        (reply, machine.snapshot.plan.clone().map(|running| running.outcomes.len()))
    });
    assert_eq!(long.unwrap().join().unwrap(), (Reply::Accepted, Some(1000)));
}

#[test]
fn a_model_whose_unload_fails_is_asked_seldom_and_others_have_their_turn() {
    let mut machine = with(acting(), Vec::new(), Past::default());
    machine.load("old:1b", 'a', 1600);
    machine.seconds(120);
    machine.load("young:1b", 'b', 1600);
    machine.seconds(10);
    machine.answers = Err("500".into());
    let mut asked = BTreeMap::<String, Vec<u64>>::new();
    // Each worse level acts at once.
    for (phase, (used, seconds)) in [(82.0, 4), (92.0, 4), (96.0, 4), (97.0, 90)].iter().enumerate()
    {
        machine.used = *used;
        let from = if phase == 0 { 0 } else { 4 * phase as u64 };
        for (model, times) in asked_over(&mut machine, *seconds) {
            asked.entry(model).or_default().extend(times.iter().map(|time| from + time));
        }
    }
    assert!(asked.contains_key("young:1b"), "the first one holds up the others: {asked:?}");
    for times in asked.values() {
        assert!(nearest(times) >= 15, "{asked:?}");
        assert!(times.len() <= 7, "{asked:?}");
    }
}

#[test]
fn without_a_pause_a_failing_unload_is_no_storm() {
    let rules = Rules { pause: Duration::ZERO, ..acting() };
    let mut machine = with(rules, Vec::new(), Past::default());
    machine.load("old:1b", 'a', 1600);
    machine.seconds(10);
    machine.answers = Err("500".into());
    machine.used = 92.0;
    let asked = asked_over(&mut machine, 60);
    assert!(nearest(&asked["old:1b"]) >= 15, "{asked:?}");
}

#[test]
fn a_server_that_says_yes_and_does_nothing_is_asked_once_and_others_have_their_turn() {
    let mut machine = with(acting(), Vec::new(), Past::default());
    machine.load("old:1b", 'a', 1600);
    machine.seconds(120);
    machine.load("young:1b", 'b', 1600);
    machine.seconds(10);
    machine.used = 85.0;
    let asked = asked_over(&mut machine, 120);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.values().all(|times| nearest(times) >= 15), "{asked:?}");
}

#[test]
fn a_server_that_hangs_is_not_stormed() {
    let mut machine = with(acting(), Vec::new(), Past::default());
    machine.load("old:1b", 'a', 1600);
    machine.seconds(10);
    let kind = plimsoll::domain::fault::RuntimeFaultKind::TimedOut;
    machine.fault = Some(plimsoll::domain::RuntimeFault { kind, detail: "hangs".into() });
    machine.answers = Err("hangs".into());
    machine.seconds(60);
    machine.used = 97.0;
    let asked = asked_over(&mut machine, 120);
    assert!(asked.values().all(|times| nearest(times) >= 15 && times.len() <= 8), "{asked:?}");
}

#[test]
fn a_component_that_refuses_holds_up_no_other() {
    let components = vec![named("process:*", vec![Measure::Stop])];
    let mut machine = with(acting(), components, Past::default());
    let mut one = machine::runner(ProcessKey { pid: 50, started: 5 }, 1, 'f', 4096);
    one.role = plimsoll::domain::ProcessRole::Other;
    one.name = "plimsoll".into();
    let mut other = one.clone();
    (other.key, other.name) = (ProcessKey { pid: 60, started: 6 }, "zother".into());
    machine.named = vec![one, other];
    machine.seconds(6);
    machine.used = 92.0;
    let mut asked = BTreeMap::<u32, Vec<u64>>::new();
    for second in 0..60 {
        machine.seconds(1);
        let found: Vec<_> = machine
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Act {
                    action,
                    order: Order::Deed { target: Target::Process { key }, .. },
                } => Some((*action, *key)),
                _ => None,
            })
            .collect();
        for (action, key) in found {
            asked.entry(key.pid).or_default().push(second);
            let is_protected = key.pid == 50;
            let result = if is_protected { Err("protected".to_owned()) } else { Ok(None) };
            machine.named.retain(|one| is_protected || one.key != key);
            machine.input(Input::Performed { action, result });
        }
    }
    assert_eq!(asked.get(&60).map(Vec::len), Some(1), "{asked:?}");
    assert!(nearest(&asked[&50]) >= 15, "{asked:?}");
}

#[test]
fn a_gap_is_no_time_that_the_kill_switch_was_passed() {
    let mut rules = Rules::plain();
    let sustained = Duration::from_secs(10);
    let used = Percent::new(98.0);
    rules.kill_switch = Some(KillSwitch { mode: RuleMode::Act, used, sustained });
    let mut machine = with(rules, vec![named("process:hog", vec![Measure::Kill])], Past::default());
    let mut hog = machine::runner(ProcessKey { pid: 50, started: 5 }, 1, 'f', 100);
    hog.role = plimsoll::domain::ProcessRole::Other;
    hog.name = "hog".into();
    machine.named = vec![hog];
    machine.seconds(20);
    machine.used = 99.0;
    machine.seconds(2);
    machine.tick(60_000);
    assert_eq!(orders(&machine), 0, "one look after a sleep is not ten seconds");
    for _ in 0..8 {
        machine.seconds(1);
        assert_eq!(orders(&machine), 0);
    }
    machine.seconds(1);
    let mut ended = orders(&machine);
    for _ in 0..3 {
        machine.seconds(1);
        ended += orders(&machine);
    }
    assert_eq!(ended, 1);
}

#[test]
fn a_level_that_only_calms_takes_nothing_more() {
    let mut machine = with(acting(), Vec::new(), Past::default());
    let old = machine.load("old:1b", 'a', 1600);
    machine.seconds(120);
    machine.load("young:1b", 'b', 1600);
    machine.seconds(10);
    machine.stalled = Some((30.0, 12.0));
    let mut first = BTreeMap::new();
    for _ in 0..30 {
        first = asked_over(&mut machine, 1);
        if !first.is_empty() {
            break;
        }
    }
    assert!(first.contains_key("old:1b"), "{first:?} {:?}", machine.told());
    machine.unlist("old:1b");
    machine.end_runner(old);
    machine.seconds(10);
    assert_eq!(machine.level(), Level::Warning);
    machine.stalled = Some((0.0, 0.0));
    let more = asked_over(&mut machine, 40);
    assert_eq!(machine.level(), Level::Normal);
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn a_front_end_fills_neither_memory_nor_disk_with_pins() {
    let mut machine = with(acting(), Vec::new(), Past::default());
    let pin = |component: String| Command::Pin { component, pinned: true };
    let refused = |reply| matches!(reply, Reply::Refused { .. });
    assert!(refused(machine.ask(pin("x".repeat(1000)))));
    assert!(refused(machine.ask(pin("\u{1b}[2Jx".to_owned()))));
    let taken = (0..5000).filter(|n| !refused(machine.ask(pin(format!("model:{n}"))))).count();
    assert_eq!(taken, 4096);
    assert!(!refused(machine.ask(pin("model:7".to_owned()))), "one that has a pin may change it");
}

#[test]
fn the_kill_switch_ends_one_in_fifteen_seconds_whatever_the_pause() {
    let mut rules = Rules { pause: Duration::ZERO, ..Rules::plain() };
    let (used, sustained) = (Percent::new(98.0), Duration::ZERO);
    rules.kill_switch = Some(KillSwitch { mode: RuleMode::Act, used, sustained });
    let mut machine =
        with(rules, vec![named("process:hog*", vec![Measure::Kill])], Past::default());
    machine.named = [50, 60]
        .map(|pid| {
            let key = ProcessKey { pid, started: u64::from(pid) };
            let mut hog = machine::runner(key, 1, 'f', 100);
            hog.role = plimsoll::domain::ProcessRole::Other;
            hog.name = format!("hog{pid}");
            hog
        })
        .to_vec();
    machine.seconds(20);
    machine.used = 99.0;
    let mut ended = Vec::new();
    for second in 0..60 {
        machine.seconds(1);
        let acts: Vec<_> = machine
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Act { action, order: Order::Deed { target, .. } } => {
                    Some((*action, target.clone()))
                }
                _ => None,
            })
            .collect();
        for (action, target) in acts {
            ended.push(second);
            machine.named.retain(|one| Target::Process { key: one.key } != target);
            machine.input(Input::Performed { action, result: Ok(None) });
        }
    }
    assert_eq!(ended.len(), 2);
    assert!(nearest(&ended) >= 15, "{ended:?}");
}
