//! The engine's state in virtual time: what it believes of models and
//! processes, and what it does when asked.

#[path = "support/machine.rs"]
mod machine;
#[path = "engine/plans.rs"]
mod plans;
#[path = "engine/servers.rs"]
mod servers;

use plimsoll::act::Order;
use plimsoll::domain::component::ComponentKind;
use plimsoll::domain::fault::RuntimeFaultKind;
use plimsoll::domain::model::{Activity, Expiry, ModelState};
use plimsoll::domain::plan::{Keep, Verdict};
use plimsoll::domain::sample::Swap;
use plimsoll::domain::snapshot::{Mode, Part, Place, RuntimeState};
use plimsoll::domain::{
    Bytes, Component, Level, ModelName, Percent, ProcessKey, ProcessRole, RuntimeFault, Strength,
};
use plimsoll::engine::input::{ComponentRule, Effect, Past, Poll, Settings};
use plimsoll::engine::link::{Command, PlanRequest, Reply};
use plimsoll::policy::limits::Profile;

use machine::{Machine, runner, settings};

fn unload(name: &str) -> Command {
    Command::Unload { model: ModelName::new(name) }
}

fn sends_unload(machine: &Machine) -> bool {
    machine.effects.iter().any(|effect| matches!(effect, Effect::Unload { .. }))
}

#[test]
fn a_loaded_model_is_joined_with_the_runner_that_carries_its_weights() {
    let mut machine = Machine::new();
    let other = machine.load("other:1b", 'b', 300);
    let key = machine.load("tiny:1b", 'a', 900);
    machine.seconds(3);
    let model = machine.snapshot.model(&ModelName::new("tiny:1b")).expect("it is listed");
    assert_eq!(model.runner, Some(key));
    assert_ne!(model.runner, Some(other));
    assert_eq!(model.held(), Some(Bytes::mib(900)));
    assert_eq!(machine.snapshot.models_held(), Bytes::mib(1200));
    assert_eq!(machine.snapshot.runtimes[0].place, Place::Local);
}

#[test]
fn two_runners_of_one_blob_are_told_apart_by_age() {
    let mut machine = Machine::new();
    let old = machine.start_runner('a', 500);
    machine.load("tiny:1b", 'a', 500);
    machine.millis += 10;
    let new = machine.runners[1].key;
    machine.seconds(2);
    let model = machine.snapshot.model(&ModelName::new("tiny:1b")).expect("it is listed");
    assert_ne!(old, new);
    assert_eq!(model.runner, Some(new));
}

#[test]
fn an_idle_model_is_unloaded_proved_by_what_came_back() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 1600);
    machine.seconds(3);
    assert_eq!(machine.ask(unload("tiny:1b")), Reply::Accepted);
    assert!(sends_unload(&machine));
    assert_eq!(machine.state_of("tiny:1b"), Some("unloading"));
    machine.unlist("tiny:1b");
    machine.tick(250);
    assert_eq!(machine.state_of("tiny:1b"), Some("unloading"), "its runner still lives");
    machine.end_runner(key);
    machine.used = 40.0;
    machine.tick(250);
    assert_eq!(machine.state_of("tiny:1b"), None);
    assert_eq!(
        machine.last_told(),
        "unloaded: tiny:1b by you: 1.6 GiB came back in 0.5 s, 1.6 GiB expected"
    );
}

#[test]
fn the_start_of_an_action_is_on_disk_before_it_is_carried_out() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.ask(unload("tiny:1b"));
    let order: Vec<&str> = machine
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Journal { .. } => Some("journal"),
            Effect::Unload { .. } => Some("unload"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["journal", "unload"]);
}

#[test]
fn a_full_disk_holds_up_no_unload_but_ends_no_process() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.journal = Err("no space left on device".into());
    machine.ask(unload("tiny:1b"));
    assert!(sends_unload(&machine));
    assert!(machine.snapshot.notices.iter().any(|n| n.text.contains("no space left")));
    machine.seconds(20);
    assert_eq!(machine.state_of("tiny:1b"), Some("stuck"));
    assert_eq!(machine.ask(Command::EndRunner { process: key }), Reply::Accepted);
    assert!(!machine.effects.iter().any(|e| matches!(e, Effect::Act { .. })));
    assert!(machine.last_told().contains("could not be put on disk"), "{}", machine.last_told());
}

#[test]
fn an_idle_model_that_stays_is_stuck_and_its_runner_may_be_ended() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    assert!(matches!(
        machine.ask(Command::EndRunner { process: key }),
        Reply::Refused { reason } if reason.contains("not stuck")
    ));
    machine.ask(unload("tiny:1b"));
    machine.seconds(14);
    assert_eq!(machine.state_of("tiny:1b"), Some("unloading"));
    machine.seconds(2);
    assert_eq!(machine.state_of("tiny:1b"), Some("stuck"));
    machine.ask(Command::EndRunner { process: key });
    assert!(
        machine
            .effects
            .iter()
            .any(|e| matches!(e, Effect::Act { order: Order::EndProcess(p), .. } if *p == key))
    );
}

#[test]
fn a_generating_model_is_asked_and_has_no_deadline() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.ask(unload("tiny:1b"));
    for _ in 0..40 {
        machine.work(key, 800);
        machine.seconds(1);
    }
    assert_eq!(machine.state_of("tiny:1b"), Some("unloading"));
    assert!(machine.told().iter().any(|line| line.contains("still generating")));
    machine.unlist("tiny:1b");
    machine.end_runner(key);
    machine.seconds(1);
    assert!(machine.last_told().contains("as asked"), "{}", machine.last_told());
}

#[test]
fn a_second_unload_of_the_same_model_is_refused_while_the_first_is_under_way() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.ask(unload("tiny:1b"));
    assert!(matches!(machine.ask(unload("tiny:1b")), Reply::Refused { .. }));
    assert!(!sends_unload(&machine));
}

#[test]
fn work_is_seen_by_processor_time() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    let activity =
        |m: &Machine| m.snapshot.model(&ModelName::new("tiny:1b")).map(|model| model.activity);
    assert_eq!(activity(&machine), Some(Activity::Idle));
    machine.work(key, 60);
    machine.seconds(1);
    assert_eq!(activity(&machine), Some(Activity::Busy));
    machine.work(key, 40);
    machine.seconds(1);
    assert_eq!(activity(&machine), Some(Activity::Idle));
}

#[test]
fn idle_is_at_least_since_we_started_until_its_expiry_moves() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    let idle = |m: &Machine| m.snapshot.model(&ModelName::new("tiny:1b")).and_then(|x| x.idle);
    assert!(idle(&machine).is_some_and(|idle| idle.at_least));
    machine.loaded[0].expires = Some(machine.expiry(300));
    machine.seconds(5);
    assert!(idle(&machine).is_some_and(|idle| !idle.at_least));
    let used_at = idle(&machine).map(|idle| idle.since);
    // Our own keep moves the expiry and is no use of the model.
    let keep = Keep::For(std::time::Duration::from_secs(1800));
    machine.ask(Command::Keep { model: ModelName::new("tiny:1b"), keep });
    let Some(Effect::Load { options, .. }) =
        machine.effects.iter().find(|e| matches!(e, Effect::Load { .. }))
    else {
        panic!("keep is sent: {:?}", machine.effects)
    };
    assert_eq!(options.context, Some(4096), "so that nothing reloads");
    machine.loaded[0].expires = Some(machine.expiry(1800));
    machine.seconds(5);
    assert_eq!(idle(&machine).map(|idle| idle.since), used_at);
}

#[test]
fn a_runner_without_a_listed_model_is_a_load_in_progress() {
    let mut machine = Machine::new();
    machine.install("tiny:1b", 'a');
    machine.seconds(2);
    let key = machine.start_runner('a', 200);
    machine.seconds(2);
    assert_eq!(machine.state_of("tiny:1b"), Some("loading"));
    machine.list("tiny:1b", 400);
    machine.seconds(2);
    assert_eq!(machine.state_of("tiny:1b"), Some("ready"));
    let model = machine.snapshot.model(&ModelName::new("tiny:1b")).expect("it is listed");
    assert_eq!(model.runner, Some(key));
    assert!(machine.last_told().starts_with("model in: tiny:1b"), "{}", machine.last_told());
}

#[test]
fn a_dead_runner_that_is_still_listed_is_gone() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    machine.end_runner(key);
    machine.seconds(1);
    assert_eq!(machine.state_of("tiny:1b"), Some("ready"), "the list follows a moment later");
    machine.seconds(1);
    assert_eq!(machine.state_of("tiny:1b"), Some("gone"));
    machine.unlist("tiny:1b");
    machine.seconds(3);
    assert!(machine.last_told().contains("its runner died"), "{}", machine.last_told());
}

#[test]
fn a_model_whose_time_was_up_says_so() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.loaded[0].expires = Some(machine.expiry(10));
    machine.seconds(9);
    machine.unlist("tiny:1b");
    machine.end_runner(key);
    machine.seconds(3);
    assert!(machine.last_told().contains("its time was up"), "{}", machine.last_told());
}

#[test]
fn an_orphan_needs_every_sign_of_one() {
    let mut machine = Machine::new();
    let orphan = ProcessKey { pid: 500, started: 5 };
    let foreign = ProcessKey { pid: 501, started: 5 };
    let elsewhere = ProcessKey { pid: 502, started: 5 };
    let owned = ProcessKey { pid: 503, started: 5 };
    machine.runners.push(runner(orphan, 1, 'c', 100));
    let mut other = runner(foreign, 1, 'd', 100);
    other.uid = Some(7);
    machine.runners.push(other);
    let mut odd = runner(elsewhere, 1, 'e', 100);
    if let plimsoll::domain::ProcessRole::Runner(arguments) = &mut odd.role {
        arguments.in_ollama_folder = None;
    }
    // Its parent lives, under a name nobody knows: a wrapped server.
    machine.runners.push(runner(owned, 77, 'f', 100));
    machine.runners.push(odd);
    let kind = |m: &Machine, key: ProcessKey| {
        m.snapshot.components.value.iter().find(|c| c.process == Some(key)).map(|c| c.kind)
    };
    machine.seconds(1);
    assert_eq!(kind(&machine, orphan), Some(ComponentKind::Foreign), "its parent may be late");
    machine.seconds(4);
    assert_eq!(kind(&machine, orphan), Some(ComponentKind::Orphan));
    assert_eq!(kind(&machine, foreign), Some(ComponentKind::Foreign));
    assert_eq!(kind(&machine, elsewhere), Some(ComponentKind::Foreign));
    assert_eq!(kind(&machine, owned), Some(ComponentKind::Foreign));
    for refused in [foreign, elsewhere, owned] {
        assert!(matches!(
            machine.ask(Command::EndRunner { process: refused }),
            Reply::Refused { .. }
        ));
    }
    machine.ask(Command::EndRunner { process: orphan });
    assert!(machine.effects.iter().any(|e| matches!(e, Effect::Act { .. })));
}

#[test]
fn rows_that_stay_follow_their_figures_and_what_the_config_says_of_them() {
    let by_line = ComponentRule { pattern: "cmdline:*job*".into(), ..ComponentRule::default() };
    let by_line = ComponentRule { pinned: Some(true), ..by_line };
    let settings = Settings { components: vec![by_line], ..settings(Profile::Linux15) };
    let mut machine = Machine::with(settings, Past::default());
    for pid in [3000, 3001] {
        let mut twin = machine.servers[0].clone();
        (twin.key.pid, twin.name, twin.role) = (pid, "twin".into(), ProcessRole::Other);
        machine.others.push(twin);
    }
    machine.seconds(2);
    let version = machine.snapshot.components.version;
    machine.seconds(1);
    assert_eq!(machine.snapshot.components.version, version, "nothing has changed");

    let held = machine.snapshot.components.clone();
    machine.others[1].memory.resident = Some(Bytes::mib(70));
    machine.others[1].matched = vec!["*job*".into()];
    machine.seconds(1);
    let row = |part: &Part<Vec<Component>>| {
        let row = part.value.iter().find(|row| row.id == "process:twin#3001");
        row.map(|row| (row.footprint.map(|held| held.bytes), row.pinned))
    };
    assert_eq!(row(&machine.snapshot.components), Some((Some(Bytes::mib(70)), true)));
    assert_eq!(row(&held), Some((Some(Bytes::mib(40)), false)), "what was handed out stays");
    assert_eq!(machine.snapshot.components.version, version + 1);

    machine.others[1].matched.clear();
    machine.seconds(1);
    assert_eq!(row(&machine.snapshot.components), Some((Some(Bytes::mib(70)), false)));
    machine.others.swap(0, 1);
    machine.seconds(1);
    assert_eq!(row(&machine.snapshot.components), None, "the other twin bears the number");
}

#[test]
fn a_server_is_never_ended() {
    let mut machine = Machine::new();
    machine.seconds(2);
    let process = machine.servers[0].key;
    assert!(matches!(machine.ask(Command::EndRunner { process }), Reply::Refused { .. }));
}

#[test]
fn while_replaying_nothing_can_be_changed() {
    let mut replayed = settings(Profile::Linux15);
    replayed.mode = Mode::Replay;
    let mut machine = Machine::with(replayed, Past::default());
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    assert!(matches!(
        machine.ask(unload("tiny:1b")),
        Reply::Refused { reason } if reason.contains("recording")
    ));
}

#[test]
fn a_pin_set_by_key_is_over_the_configs() {
    let mut machine = Machine::new();
    machine.load("precious:1b", 'a', 100);
    machine.seconds(2);
    let pinned = |m: &Machine| m.snapshot.models[0].pinned;
    assert!(pinned(&machine), "by the config");
    let component = "model:precious:1b".to_owned();
    machine.ask(Command::Pin { component, pinned: false });
    assert!(!pinned(&machine));
    assert!(machine.effects.iter().any(|effect| matches!(effect, Effect::Choose(_))));
}

#[test]
fn an_oom_kill_is_an_event() {
    let mut machine = Machine::new();
    machine.oom_kills = 4;
    machine.seconds(2);
    machine.oom_kills = 5;
    machine.seconds(1);
    assert!(machine.last_told().starts_with("oom kill"), "{}", machine.last_told());
}

#[test]
fn swap_that_grows_is_a_warning_and_swap_that_is_full_is_not() {
    let mut machine = Machine::new();
    machine.swap = Some(Swap { total: Bytes::gib(4), used: Bytes::gib(4) });
    machine.seconds(30);
    assert_eq!(machine.level(), Level::Normal);
    for second in 0..25 {
        machine.swap = Some(Swap { total: Bytes::gib(4), used: Bytes::mib(100 + second * 20) });
        machine.seconds(1);
    }
    assert_eq!(machine.level(), Level::Warning);
    let cause = machine.snapshot.level.set_by.as_ref().map(|cause| cause.text.clone());
    assert!(cause.is_some_and(|text| text.starts_with("swap grows")));
}

#[test]
fn a_gap_causes_no_level_and_no_rate() {
    let mut machine = Machine::new();
    machine.swap = Some(Swap { total: Bytes::gib(4), used: Bytes::ZERO });
    machine.seconds(3);
    machine.used = 99.0;
    machine.swap = Some(Swap { total: Bytes::gib(4), used: Bytes::gib(3) });
    machine.tick(8 * 3600 * 1000);
    assert_eq!(machine.level(), Level::Normal, "one sample after a night is one sample");
    assert_eq!(machine.snapshot.rates.swap_growth, None);
}

#[test]
fn an_expiry_for_ever_is_never_past() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.loaded[0].expires = Some(Expiry::Never);
    machine.seconds(3);
    assert_eq!(machine.snapshot.models[0].activity, Activity::Idle);
}

#[test]
fn a_model_is_stuck_only_after_it_was_idle_for_so_long() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.work(key, 900);
    machine.seconds(1);
    machine.ask(unload("tiny:1b"));
    // As the server marks it; from now on only its work tells.
    machine.loaded[0].expires = Some(machine.expiry(-1));
    for _ in 0..48 {
        machine.work(key, 200);
        machine.tick(250);
        let state = machine.snapshot.models[0].state.clone();
        let ModelState::Unloading { still_generating: true, .. } = state else {
            panic!("it generates: {state:?}");
        };
    }
    // Asked 12 s ago, idle from here on.
    machine.seconds(14);
    assert_eq!(machine.state_of("tiny:1b"), Some("unloading"));
    machine.seconds(3);
    assert_eq!(machine.state_of("tiny:1b"), Some("stuck"));
    assert!(machine.last_told().starts_with("unload stuck"), "{}", machine.last_told());
}

#[test]
fn two_names_of_one_file_are_joined_by_what_is_listed() {
    let mut machine = Machine::new();
    machine.install("alpha:1b", 'a');
    machine.install("beta:1b", 'a');
    machine.seconds(2);
    let key = machine.start_runner('a', 300);
    machine.seconds(3);
    assert_eq!(machine.snapshot.models.len(), 1, "one load, whatever its name");
    let guess = machine.snapshot.models[0].name.clone();
    let listed = if guess.as_str() == "alpha:1b" { "beta:1b" } else { "alpha:1b" };
    machine.list(listed, 300);
    machine.seconds(3);
    let seen: Vec<_> =
        machine.snapshot.models.iter().map(|m| (m.name.as_str(), m.runner)).collect();
    assert_eq!(seen, [(listed, Some(key))]);
}

#[test]
fn a_keep_that_moves_nothing_swallows_no_later_use() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    let model = ModelName::new("tiny:1b");
    let keep = Keep::For(std::time::Duration::from_secs(300));
    machine.ask(Command::Keep { model, keep });
    machine.seconds(10);
    machine.loaded[0].expires = Some(machine.expiry(300));
    machine.seconds(5);
    let idle = machine.snapshot.models[0].idle;
    assert!(idle.is_some_and(|idle| !idle.at_least), "{idle:?}");
}

#[test]
fn processes_that_cannot_be_read_prove_no_end() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.ask(unload("tiny:1b"));
    machine.seconds(20);
    assert_eq!(machine.state_of("tiny:1b"), Some("stuck"));
    machine.ask(Command::EndRunner { process: key });
    let Some(Effect::Act { action, .. }) =
        machine.effects.iter().find(|e| matches!(e, Effect::Act { .. })).cloned()
    else {
        panic!("it is ended: {:?}", machine.effects)
    };
    machine.input(plimsoll::engine::input::Input::Performed { action, result: Ok(None) });
    machine.is_blind = true;
    machine.seconds(15);
    assert!(machine.last_told().contains("not confirmed"), "{}", machine.last_told());
    assert!(machine.told().iter().all(|line| !line.contains("came back")));
}
