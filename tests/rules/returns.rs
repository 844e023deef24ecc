//! What is loaded again: undone, recycled, on the preload list.

use super::*;

#[test]
fn undo_loads_again_what_the_last_cleanup_unloaded_if_it_fits() {
    let (mut machine, keys) = with_two_models(rules(RuleMode::Off), 10);
    let propose = |machine: &mut Machine, request| match machine.ask(Command::Propose { request }) {
        Reply::Plan { plan } => plan,
        other => panic!("no plan: {other:?}"),
    };
    let all = propose(&mut machine, PlanRequest::UnloadAll);
    machine.ask(Command::CarryOut { plan: all });
    for (name, key) in ["old:1b", "young:1b"].into_iter().zip(keys) {
        goes(&mut machine, name, key, 50.0);
    }
    machine.seconds(3);
    let undo = propose(&mut machine, PlanRequest::Undo);
    assert_eq!(undo.text(), "load old:1b (1.6 GiB), load young:1b (1.6 GiB)");
    assert_eq!(undo.expected(), Bytes::ZERO, "a load frees nothing");
    machine.used = 70.0;
    machine.seconds(2);
    let tight = propose(&mut machine, PlanRequest::Undo);
    assert_eq!(tight.text(), "load old:1b (1.6 GiB)");
    assert_eq!(tight.kept[0].reason, "it needs 3.1 GiB, and 1.6 GiB may be given");
    machine.ask(Command::CarryOut { plan: tight });
    let loaded = machine.effects.iter().find_map(|effect| match effect {
        Effect::Load { model, options, .. } => Some((model.short().to_owned(), options.context)),
        _ => None,
    });
    assert_eq!(loaded, Some(("old:1b".into(), Some(4096))));
}

#[test]
fn a_runner_that_has_grown_is_recycled_when_idle() {
    let mut rules = rules(RuleMode::Act);
    rules.recycle_growth = Some(Bytes::gib(1));
    let mut machine = machine(rules);
    let key = machine.load("tiny:1b", 'a', 1000);
    machine.seconds(10);
    machine.runners[0].memory.anonymous = Some(Bytes::mib(2500));
    for _ in 0..20 {
        machine.work(key, 500);
        machine.seconds(1);
    }
    assert_eq!(until_unload(&mut machine, 50), [""; 0], "not idle for long");
    assert_eq!(until_unload(&mut machine, 15), ["tiny:1b"]);
    machine.unlist("tiny:1b");
    machine.end_runner(key);
    let mut loads = Vec::new();
    for _ in 0..5 {
        machine.seconds(1);
        loads.extend(machine.effects.iter().filter_map(|effect| match effect {
            Effect::Load { options, .. } => options.context,
            _ => None,
        }));
    }
    assert_eq!(loads, [4096]);
}

#[test]
fn the_preload_list_is_loaded_at_normal_and_only_if_it_fits() {
    let mut rules = rules(RuleMode::Act);
    rules.preload = vec![ModelName::new("huge:70b"), ModelName::new("tiny:1b")];
    let mut machine = machine(rules);
    machine.install("huge:70b", 'a');
    machine.install("tiny:1b", 'b');
    machine.installed[0].disk = Some(Bytes::gib(40));
    machine.installed[1].disk = Some(Bytes::gib(1));
    let mut loads = Vec::new();
    let watch = |machine: &mut Machine, seconds, loads: &mut Vec<String>| {
        for _ in 0..seconds {
            machine.seconds(1);
            loads.extend(machine.effects.iter().filter_map(|effect| match effect {
                Effect::Load { model, .. } => Some(model.short().to_owned()),
                _ => None,
            }));
        }
    };
    machine.used = 85.0;
    watch(&mut machine, 90, &mut loads);
    assert_eq!(loads, [""; 0]);
    machine.used = 50.0;
    watch(&mut machine, 200, &mut loads);
    assert_eq!(loads, ["tiny:1b"], "the first does not fit, and once is enough");
}
