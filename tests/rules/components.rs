//! Components other than models: paused, limited and stopped as the config
//! allows, and what is taken back of it.

use super::*;

fn backup() -> Group {
    Group {
        kind: GroupKind::Container { id: "c".repeat(64) },
        name: "backup".into(),
        used: Some(Bytes::gib(1)),
        swapped: None,
        limit: Some(Bytes::gib(4)),
        oom_kills: None,
        stalled: None,
        is_paused: false,
    }
}

fn with_backup(actions: Vec<Measure>, rules: Rules, past: Past) -> Machine {
    let named = ComponentRule {
        pattern: "container:backup".into(),
        actions,
        limit: Some(Bytes::gib(2)),
        ..ComponentRule::default()
    };
    let settings = Settings { components: vec![named], ..with_rules(rules) };
    let mut machine = Machine::with(settings, past);
    machine.groups = vec![backup()];
    machine.seconds(6);
    machine
}

/// The order carried out in this tick, answered by "done".
fn answer_orders(machine: &mut Machine) -> Vec<Deed> {
    let orders: Vec<(ActionId, Deed)> = machine
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Act { action, order: Order::Deed { deed, .. } } => {
                Some((*action, deed.clone()))
            }
            _ => None,
        })
        .collect();
    for (action, _) in &orders {
        machine.input(Input::Performed { action: *action, result: Ok(None) });
    }
    orders.into_iter().map(|(_, deed)| deed).collect()
}

fn deeds_over(machine: &mut Machine, seconds: u64) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for _ in 0..seconds {
        machine.seconds(1);
        for deed in answer_orders(machine) {
            machine.groups[0].is_paused = deed == Deed::Pause;
            deeds.push(deed);
        }
    }
    deeds
}

#[test]
fn what_was_paused_goes_on_after_recovery() {
    let mut machine = with_backup(vec![Measure::Pause], rules(RuleMode::Act), Past::default());
    machine.used = 85.0;
    assert_eq!(deeds_over(&mut machine, 60), [Deed::Pause]);
    machine.used = 50.0;
    assert_eq!(deeds_over(&mut machine, 60), []);
    assert_eq!(deeds_over(&mut machine, 60), [Deed::Resume]);
}

#[test]
fn what_is_paused_and_limited_is_not_limited_again() {
    let measures = vec![Measure::Pause, Measure::Limit];
    let mut machine = with_backup(measures, rules(RuleMode::Act), Past::default());
    machine.used = 85.0;
    let mut deeds = Vec::new();
    for _ in 0..120 {
        machine.seconds(1);
        for deed in answer_orders(&mut machine) {
            machine.groups[0].is_paused |= deed == Deed::Pause;
            deeds.push(deed);
        }
    }
    assert_eq!(deeds, [Deed::Pause, Deed::Limit { to: Bytes::gib(2) }]);
    let backup = machine.snapshot.components.value.iter().find(|c| c.name == "backup").unwrap();
    assert_eq!(backup.state.as_deref(), Some("paused, limited"));
}

#[test]
fn what_is_to_be_taken_back_is_on_disk_before_it_is_done() {
    let mut machine = with_backup(vec![Measure::Limit], rules(RuleMode::Act), Past::default());
    machine.used = 85.0;
    let mut found = None;
    for _ in 0..10 {
        machine.seconds(1);
        let place = |wanted: fn(&Effect) -> bool| machine.effects.iter().position(wanted);
        let owed = place(|effect| matches!(effect, Effect::Owe(_)));
        let journalled = place(|effect| matches!(effect, Effect::Journal { .. }));
        let done = place(|effect| matches!(effect, Effect::Act { .. }));
        if let (Some(owed), Some(journalled), Some(done)) = (owed, journalled, done) {
            assert!(owed < journalled && journalled < done);
            found = machine.effects.get(owed).cloned();
            break;
        }
    }
    let Some(Effect::Owe(debt)) = found else { panic!("nothing is owed") };
    assert_eq!(debt.undo, Deed::Unlimit { to: Some(Bytes::gib(4)) });
}

#[test]
fn a_debt_of_an_earlier_run_is_paid_even_by_rules_that_only_observe() {
    let debt = Debt {
        component: "container:backup".into(),
        name: "backup".into(),
        target: backup().target(),
        undo: Deed::Resume,
    };
    let past = Past { debts: vec![debt.clone()], ..Past::default() };
    let mut machine = with_backup(vec![Measure::Pause], rules(RuleMode::Observe), past);
    machine.groups[0].is_paused = true;
    let mut settled = false;
    for _ in 0..70 {
        machine.seconds(1);
        let deeds = answer_orders(&mut machine);
        settled |= machine.effects.contains(&Effect::Settle(debt.clone()));
        assert!(deeds.is_empty() || deeds == [Deed::Resume]);
    }
    assert!(settled);
}

#[test]
fn only_what_the_config_names_and_allows_is_touched() {
    let stop = with_backup(vec![Measure::Stop], rules(RuleMode::Act), Past::default());
    let allowed = &stop.snapshot.components.value.iter().find(|c| c.name == "backup").unwrap();
    assert_eq!(allowed.allowed, [Deed::Stop]);
    let mut machine = with_backup(Vec::new(), rules(RuleMode::Act), Past::default());
    machine.used = 97.0;
    assert_eq!(deeds_over(&mut machine, 40), []);
    // Nor does a front end get what the config does not allow.
    let action = Action::Component {
        id: "container:backup".into(),
        name: "backup".into(),
        target: backup().target(),
        deed: Deed::Stop,
    };
    let mut plan = plimsoll::domain::Plan {
        purpose: Purpose::Asked,
        target: None,
        steps: Vec::new(),
        kept: Vec::new(),
    };
    let reason = String::new();
    plan.steps.push(plimsoll::domain::Step { action, expected: None, reason });
    assert!(matches!(machine.ask(Command::CarryOut { plan }), Reply::Refused { .. }));
}

#[test]
fn a_stop_goes_beyond_light_and_not_beyond_aggressive() {
    let mut machine = with_backup(vec![Measure::Stop], rules(RuleMode::Act), Past::default());
    machine.used = 85.0;
    assert_eq!(deeds_over(&mut machine, 40), []);
    machine.used = 92.0;
    assert_eq!(deeds_over(&mut machine, 10), [Deed::Stop]);
}

#[test]
fn undo_starts_again_what_a_cleanup_stopped_with_its_own_command() {
    let words = vec!["/bin/start".to_owned(), "backup".to_owned()];
    let named = ComponentRule {
        pattern: "container:backup".into(),
        actions: vec![Measure::Stop],
        load: words.clone(),
        ..ComponentRule::default()
    };
    let settings = Settings { components: vec![named], ..with_rules(rules(RuleMode::Act)) };
    let mut machine = Machine::with(settings, Past::default());
    machine.groups = vec![backup()];
    machine.seconds(6);
    machine.used = 92.0;
    assert_eq!(deeds_over(&mut machine, 10), [Deed::Stop]);
    machine.groups.clear();
    machine.used = 50.0;
    machine.seconds(30);
    let request = PlanRequest::Undo;
    let Reply::Plan { plan } = machine.ask(Command::Propose { request }) else { panic!("no plan") };
    assert_eq!(plan.text(), "start backup (1.0 GiB)");
    // A front end cannot have another command run in its stead.
    let mut forged = plan.clone();
    let Action::Component { deed, .. } = &mut forged.steps[0].action else { panic!("no deed") };
    *deed = Deed::Load { words: vec!["/bin/other".into()] };
    let refused = machine.ask(Command::CarryOut { plan: forged });
    assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
    assert_eq!(machine.ask(Command::CarryOut { plan }), Reply::Accepted);
    assert_eq!(answer_orders(&mut machine), [Deed::Load { words }]);
}
