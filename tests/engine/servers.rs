//! Model servers: remote, down, hung, refusing, and their stray runners.

use super::*;

#[test]
fn a_cloud_model_is_never_sent_anything() {
    let mut machine = Machine::new();
    machine.load("far:120b-cloud", 'a', 0);
    machine.installed[0].is_cloud = true;
    machine.loaded[0].is_cloud = true;
    machine.seconds(3);
    let model = ModelName::new("far:120b-cloud");
    for command in [
        unload("far:120b-cloud"),
        Command::Keep { model: model.clone(), keep: Keep::Forever },
        Command::Load { force: false, model, keep: Keep::Default, context: None },
    ] {
        assert!(matches!(machine.ask(command), Reply::Refused { .. }));
    }
    let Reply::Plan { plan } = machine.ask(Command::Propose { request: PlanRequest::UnloadAll })
    else {
        panic!("a plan")
    };
    assert!(plan.steps.is_empty());
}

#[test]
fn a_server_behind_a_tunnel_is_remote_and_counts_for_nothing_here() {
    let mut machine = Machine::new();
    machine.servers.clear();
    machine.list("tiny:1b", 900);
    machine.seconds(3);
    assert_eq!(machine.snapshot.runtimes[0].place, Place::Remote);
    assert_eq!(machine.snapshot.models_held(), Bytes::ZERO);
    let Reply::Plan { plan } = machine.ask(Command::Propose { request: PlanRequest::UnloadAll })
    else {
        panic!("a plan")
    };
    assert!(plan.steps.is_empty());
    assert_eq!(machine.ask(unload("tiny:1b")), Reply::Accepted, "a person may");
}

#[test]
fn a_server_that_goes_down_is_said_once_and_seen_again_within_one_poll() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    machine.fault = Some(RuntimeFault::new(RuntimeFaultKind::Refused, "connection refused"));
    machine.servers.clear();
    machine.runners.clear();
    machine.seconds(30);
    assert!(matches!(machine.snapshot.runtimes[0].state, RuntimeState::Down { .. }));
    assert!(machine.snapshot.models.is_empty());
    let downs = machine.told().iter().filter(|line| line.starts_with("server down")).count();
    assert_eq!(downs, 1);
    machine.fault = None;
    machine.servers.push(machine::server(100));
    machine.seconds(4);
    assert_eq!(machine.snapshot.runtimes[0].state, RuntimeState::Up);
    assert!(machine.told().iter().any(|line| line.starts_with("server up")));
}

#[test]
fn a_hung_server_keeps_what_it_said_last() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    machine.fault = Some(RuntimeFault::new(RuntimeFaultKind::TimedOut, "no answer within 2 s"));
    machine.seconds(10);
    assert!(matches!(machine.snapshot.runtimes[0].state, RuntimeState::Down { .. }));
    assert_eq!(machine.state_of("tiny:1b"), Some("ready"));
}

#[test]
fn an_unload_the_server_refuses_is_an_outcome() {
    let mut machine = Machine::new();
    machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.answers = Err("the server says: model not found".into());
    machine.ask(unload("tiny:1b"));
    assert_eq!(
        machine.last_told(),
        "unload failed: tiny:1b by you: the server says: model not found"
    );
    assert_eq!(machine.state_of("tiny:1b"), Some("ready"));
}

#[test]
fn an_unload_that_a_client_cancels_by_use_leaves_the_model_ready() {
    let mut machine = Machine::new();
    let key = machine.load("tiny:1b", 'a', 100);
    machine.seconds(2);
    machine.ask(unload("tiny:1b"));
    machine.loaded[0].expires = Some(machine.expiry(-1));
    machine.work(key, 900);
    machine.seconds(1);
    assert_eq!(machine.state_of("tiny:1b"), Some("unloading"));
    machine.loaded[0].expires = Some(machine.expiry(600));
    machine.seconds(2);
    assert_eq!(machine.state_of("tiny:1b"), Some("ready"));
}

#[test]
fn a_remote_model_that_stays_is_never_called_stuck() {
    let mut machine = Machine::new();
    machine.servers.clear();
    machine.list("tiny:1b", 900);
    machine.seconds(3);
    machine.ask(unload("tiny:1b"));
    machine.seconds(20);
    assert_eq!(machine.state_of("tiny:1b"), Some("unconfirmed"));
    assert!(machine.last_told().contains("not confirmed"), "{}", machine.last_told());
    assert_eq!(machine.ask(unload("tiny:1b")), Reply::Accepted, "a person may ask again");
}

#[test]
fn a_runner_of_another_server_is_nobodys_model_here() {
    let mut machine = Machine::new();
    let mut other = machine::server(150);
    other.role = plimsoll::domain::ProcessRole::Server {
        host: None,
        listens: Some(false),
        environment: Vec::new(),
    };
    machine.servers.push(other);
    machine.install("tiny:1b", 'a');
    let theirs = ProcessKey { pid: 900, started: 9_000 };
    machine.runners.push(runner(theirs, 150, 'a', 700));
    machine.seconds(3);
    assert_eq!(machine.snapshot.models, []);
    let mine = machine.load("tiny:1b", 'a', 100);
    machine.seconds(3);
    assert_eq!(machine.snapshot.models[0].runner, Some(mine));
    assert_eq!(machine.snapshot.models_held(), Bytes::mib(100));
}

#[test]
fn a_stray_runner_does_not_keep_the_polls_fast() {
    let mut machine = Machine::new();
    machine.runners.push(runner(ProcessKey { pid: 500, started: 5 }, 1, 'c', 100));
    machine.seconds(40);
    let mut polls = 0;
    for _ in 0..20 {
        machine.seconds(1);
        let is_poll = |effect: &&Effect| matches!(effect, Effect::Poll(Poll::Loaded));
        polls += machine.effects.iter().filter(is_poll).count();
    }
    assert!(polls <= 5, "{polls} polls in 20 s of calm");
}

#[test]
fn a_server_that_is_down_is_looked_for_between_rare_samples() {
    let mut rare = settings(Profile::Linux15);
    rare.interval = Some(std::time::Duration::from_secs(60));
    let mut machine = Machine::with(rare, Past::default());
    machine.fault = Some(RuntimeFault::new(RuntimeFaultKind::Refused, "connection refused"));
    machine.tick(1000);
    machine.tick(60_000);
    let wake = machine.state.next_wake();
    assert!(wake.millis() <= machine.millis + 5000, "{wake:?} at {}", machine.millis);
}
