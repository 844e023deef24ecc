//! Plans: step by step, each checked again and its outcome measured.

use super::*;

#[test]
fn a_cleanup_goes_step_by_step_and_each_outcome_is_measured() {
    let mut machine = Machine::new();
    let first = machine.load("one:1b", 'a', 1600);
    let second = machine.load("two:1b", 'b', 800);
    machine.load("precious:1b", 'c', 800);
    machine.seconds(3);
    let Reply::Plan { plan } =
        machine.ask(Command::Propose { request: PlanRequest::Cleanup(Strength::Light) })
    else {
        panic!("a plan")
    };
    assert_eq!(plan.steps.len(), 2);
    assert_eq!(plan.kept[0].reason, "pinned");
    assert_eq!(plan.expected(), Bytes::mib(2400));
    machine.ask(Command::CarryOut { plan: plan.clone() });
    assert!(matches!(machine.ask(Command::CarryOut { plan }), Reply::Refused { .. }));
    for (name, key, used) in [("one:1b", first, 40.0), ("two:1b", second, 35.0)] {
        machine.unlist(name);
        machine.end_runner(key);
        machine.used = used;
        machine.tick(250);
        machine.tick(250);
    }
    let run = machine.snapshot.plan.clone().expect("its outcome stays a while");
    assert_eq!(run.outcomes.len(), 2);
    assert!(run.outcomes.iter().all(|outcome| outcome.result == Verdict::Done));
    assert!(run.ended.is_some());
    assert_eq!(machine.state_of("precious:1b"), Some("ready"));
    machine.seconds(70);
    assert_eq!(machine.snapshot.plan, None);
}

#[test]
fn a_step_whose_model_left_by_itself_is_done_already() {
    let mut machine = Machine::new();
    let first = machine.load("one:1b", 'a', 1600);
    let second = machine.load("two:1b", 'b', 800);
    machine.seconds(3);
    let Reply::Plan { plan } = machine.ask(Command::Propose { request: PlanRequest::UnloadAll })
    else {
        panic!("a plan")
    };
    machine.ask(Command::CarryOut { plan });
    machine.loaded.clear();
    machine.end_runner(first);
    machine.end_runner(second);
    machine.seconds(3);
    let run = machine.snapshot.plan.clone().expect("its outcome stays a while");
    assert_eq!(run.outcomes[1].result, Verdict::Already);
}

#[test]
fn a_plan_from_outside_may_only_unload() {
    let mut machine = Machine::new();
    machine.load("one:1b", 'a', 1600);
    machine.seconds(3);
    let Reply::Plan { mut plan } =
        machine.ask(Command::Propose { request: PlanRequest::UnloadAll })
    else {
        panic!("a plan")
    };
    plan.steps[0].action = plimsoll::domain::Action::EndRunner {
        process: machine.servers[0].key,
        name: "ollama".into(),
    };
    assert!(matches!(machine.ask(Command::CarryOut { plan }), Reply::Refused { .. }));
}

#[test]
fn a_step_is_checked_again_before_it_is_carried_out() {
    let mut machine = Machine::new();
    let first = machine.load("one:1b", 'a', 1600);
    machine.load("two:1b", 'b', 800);
    machine.seconds(3);
    let request = PlanRequest::Cleanup(Strength::Light);
    let Reply::Plan { plan } = machine.ask(Command::Propose { request }) else { panic!("a plan") };
    assert_eq!(plan.steps.len(), 2);
    machine.ask(Command::CarryOut { plan });
    machine.ask(Command::Pin { component: "model:two:1b".into(), pinned: true });
    machine.unlist("one:1b");
    machine.end_runner(first);
    machine.seconds(3);
    let run = machine.snapshot.plan.clone().expect("its outcome stays a while");
    assert_eq!(run.outcomes[1].result, Verdict::Failed { detail: "pinned".into() });
    assert_eq!(machine.state_of("two:1b"), Some("ready"));
}

/// Half of the machine is free: nobody would have to go.
fn calm() -> (Machine, plimsoll::domain::ProcessKey) {
    let mut machine = Machine::new();
    let first = machine.load("one:1b", 'a', 1600);
    machine.load("two:1b", 'b', 800);
    machine.seconds(3);
    (machine, first)
}

#[test]
fn bytes_that_were_asked_for_are_freed_on_a_calm_machine_too() {
    let (mut machine, first) = calm();
    let request = PlanRequest::Free(Bytes::mib(1500));
    let Reply::Plan { plan } = machine.ask(Command::Propose { request }) else { panic!("a plan") };
    assert_eq!((plan.steps.len(), plan.target), (1, Some(Bytes::mib(1500))));
    machine.ask(Command::CarryOut { plan });
    machine.unlist("one:1b");
    machine.end_runner(first);
    machine.seconds(3);
    let run = machine.snapshot.plan.clone().expect("its outcome stays a while");
    let results: Vec<&Verdict> = run.outcomes.iter().map(|outcome| &outcome.result).collect();
    assert_eq!(results, [&Verdict::Done]);
    assert_eq!(machine.state_of("two:1b"), Some("ready"));
}

#[test]
fn a_step_towards_bytes_is_checked_again() {
    let (mut machine, _) = calm();
    let request = PlanRequest::Free(Bytes::mib(1500));
    let Reply::Plan { plan } = machine.ask(Command::Propose { request }) else { panic!("a plan") };
    machine.ask(Command::Pin { component: "model:one:1b".into(), pinned: true });
    machine.ask(Command::CarryOut { plan });
    machine.seconds(1);
    let run = machine.snapshot.plan.clone().expect("its outcome stays a while");
    assert_eq!(run.outcomes[0].result, Verdict::Failed { detail: "pinned".into() });
}

#[test]
fn back_to_a_level_takes_what_memory_is_above_its_mark() {
    let (mut machine, _) = calm();
    let plan = |machine: &mut Machine, level| match machine
        .ask(Command::Propose { request: PlanRequest::To(level) })
    {
        Reply::Plan { plan } => Ok(plan),
        Reply::Refused { reason } => Err(reason),
        other => panic!("no plan but {other:?}"),
    };
    let nothing = plan(&mut machine, Level::Normal).expect("a plan");
    assert_eq!((nothing.steps.len(), nothing.target), (0, Some(Bytes::ZERO)));
    // A warning at 80 %, critical at 90.
    machine.used = 85.0;
    machine.seconds(1);
    let some = plan(&mut machine, Level::Normal).expect("a plan");
    assert!(some.target.is_some_and(|target| target >= machine::TOTAL.at(Percent::new(5.0))));
    assert!(!some.steps.is_empty());
    let nothing = plan(&mut machine, Level::Warning).expect("a plan");
    assert_eq!(nothing.target, Some(Bytes::ZERO));
    let never = plan(&mut machine, Level::Emergency).expect_err("nothing lies above it");
    assert!(never.contains("no mark above emergency"), "{never}");
}
