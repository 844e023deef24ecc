//! Why: what set the level, what has grown, what a load drove out.

use super::*;

#[test]
fn why_names_signals_movers_and_what_would_help() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Off), 60);
    machine.runners[1].memory.anonymous = Some(Bytes::mib(2600));
    machine.used = 85.0;
    machine.seconds(10);
    let Reply::Why { why } = machine.ask(Command::Why) else { panic!("no answer") };
    assert_eq!(why.level, Level::Warning);
    assert!(why.signals.iter().any(|signal| signal.level == Level::Warning));
    let movers: Vec<_> = why.movers.iter().map(|mover| mover.name.as_str()).collect();
    assert_eq!(movers[0], "young:1b");
    let help: Vec<_> = why.help.iter().map(|help| (help.frees, help.is_enough)).collect();
    let expected = [(Some(Bytes::mib(1600)), true), (Some(Bytes::mib(2600)), true)];
    assert_eq!(help, expected);
}

#[test]
fn a_process_seen_for_the_first_time_has_not_grown() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Off), 60);
    let mut process = machine.runners[0].clone();
    process.key.pid += 4000;
    process.name = "browser".into();
    process.role = plimsoll::domain::ProcessRole::Other;
    machine.others = vec![process];
    machine.seconds(40);
    let grown = |machine: &mut Machine| {
        let Reply::Why { why } = machine.ask(Command::Why) else { panic!("no answer") };
        why.movers.iter().any(|mover| mover.name == "browser")
    };
    assert!(machine.snapshot.components.value.iter().any(|c| c.name == "browser"));
    assert!(!grown(&mut machine));
    machine.others[0].memory.anonymous = Some(Bytes::gib(5));
    machine.seconds(1);
    assert!(grown(&mut machine));
    // What leaves the list because nobody looks has given nothing back.
    machine.others.clear();
    machine.seconds(1);
    assert!(!grown(&mut machine));
}

#[test]
fn a_runner_that_becomes_a_model_has_not_grown() {
    let mut machine = machine(rules(RuleMode::Off));
    machine.start_runner('a', 1600);
    machine.seconds(20);
    machine.install("tiny:1b", 'a');
    machine.list("tiny:1b", 1600);
    machine.seconds(40);
    assert_eq!(machine.state_of("tiny:1b"), Some("ready"));
    let Reply::Why { why } = machine.ask(Command::Why) else { panic!("no answer") };
    assert_eq!(why.movers, []);
}

#[test]
fn what_a_load_drives_out_is_charged_to_it() {
    let mut machine = machine(rules(RuleMode::Off));
    let swap = |mib| plimsoll::domain::sample::Swap { total: Bytes::gib(8), used: Bytes::mib(mib) };
    machine.swap = Some(swap(100));
    machine.install("tiny:1b", 'a');
    machine.load("calm:1b", 'b', 500);
    machine.seconds(20);
    machine.start_runner('a', 800);
    machine.seconds(2);
    machine.swap = Some(swap(400));
    machine.seconds(2);
    machine.list("tiny:1b", 800);
    machine.seconds(4);
    let grown = |machine: &Machine, name: &str| {
        machine.snapshot.model(&ModelName::new(name)).unwrap().swap_growth
    };
    assert_eq!(grown(&machine, "tiny:1b"), Some(Bytes::mib(300)));
    assert_eq!(grown(&machine, "calm:1b"), None);
    machine.seconds(20);
    machine.swap = Some(swap(900));
    machine.seconds(5);
    assert_eq!(grown(&machine, "tiny:1b"), Some(Bytes::mib(300)), "not what comes later");
}
