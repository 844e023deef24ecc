//! The kill switch: what it ends, when, and when it stops.

use super::*;

fn hog(pid: u32, mib: u64) -> plimsoll::domain::Process {
    let key = ProcessKey { pid, started: u64::from(pid) };
    let mut hog = machine::runner(key, 1, 'f', mib);
    hog.role = plimsoll::domain::ProcessRole::Other;
    hog.name = "hog".into();
    hog
}

fn with_kill_switch(mode: RuleMode, actions: Vec<Measure>) -> Machine {
    let mut rules = rules(RuleMode::Off);
    let sustained = Duration::from_secs(10);
    rules.kill_switch = Some(KillSwitch { mode, used: Percent::new(98.0), sustained });
    let pattern = "process:hog".to_owned();
    let named = ComponentRule { pattern, actions, ..ComponentRule::default() };
    let settings = Settings { components: vec![named], ..with_rules(rules) };
    let mut machine = Machine::with(settings, Past::default());
    machine.named = vec![hog(50, 900), hog(60, 2000)];
    machine.seconds(6);
    machine
}

fn killed(machine: &mut Machine, seconds: u64) -> Vec<(u32, Deed)> {
    let mut killed = Vec::new();
    for _ in 0..seconds {
        machine.seconds(1);
        let orders: Vec<_> = machine
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Act {
                    action,
                    order: Order::Deed { target: Target::Process { key }, deed, .. },
                } => Some((*action, *key, deed.clone())),
                _ => None,
            })
            .collect();
        for (action, key, deed) in orders {
            killed.push((key.pid, deed));
            machine.input(Input::Performed { action, result: Ok(None) });
            machine.named.retain(|process| process.key != key);
        }
    }
    killed
}

#[test]
fn the_kill_switch_must_be_sustained_ends_the_largest_and_stops_after_two() {
    let both = vec![Measure::Term, Measure::Kill];
    let mut machine = with_kill_switch(RuleMode::Act, both.clone());
    machine.used = 99.0;
    assert_eq!(killed(&mut machine, 8), []);
    assert_eq!(killed(&mut machine, 5), [(60, Deed::Term)]);
    assert_eq!(killed(&mut machine, 12), [], "not within its pause");
    machine.named.push(hog(70, 3000));
    assert_eq!(killed(&mut machine, 60).len(), 1);
    assert!(machine.told().iter().any(|line| line.contains("it stops")), "{:?}", machine.told());
    assert_eq!(killed(&mut machine, 120), []);
}

#[test]
fn the_kill_switch_is_off_and_harmless_unless_asked_for() {
    let mut off = with_kill_switch(RuleMode::Off, vec![Measure::Kill]);
    off.used = 99.5;
    assert_eq!(killed(&mut off, 60), []);
    let mut unnamed = with_kill_switch(RuleMode::Act, Vec::new());
    unnamed.used = 99.5;
    assert_eq!(killed(&mut unnamed, 60), []);
    let mut brief = with_kill_switch(RuleMode::Act, vec![Measure::Kill]);
    for _ in 0..5 {
        brief.used = 99.5;
        assert_eq!(killed(&mut brief, 8), []);
        brief.used = 90.0;
        assert_eq!(killed(&mut brief, 2), []);
    }
}
