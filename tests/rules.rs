//! Rules in virtual time: what they say, ask and do, when they hold back, and
//! what is taken back again.

#[path = "rules/causes.rs"]
mod causes;
#[path = "rules/components.rs"]
mod components;
#[path = "rules/kill_switch.rs"]
mod kill_switch;
#[path = "support/machine.rs"]
mod machine;
#[path = "rules/returns.rs"]
mod returns;

use std::time::Duration;

use plimsoll::act::Order;
use plimsoll::act::hooks::{Hook, HookTo};
use plimsoll::domain::group::GroupKind;
use plimsoll::domain::plan::{Purpose, Verdict};
use plimsoll::domain::{
    Action, ActionId, Bytes, Debt, Deed, EventBody, Group, Level, Measure, ModelName, Outcome,
    Percent, ProcessKey, RuleMode, Strength, Target,
};
use plimsoll::engine::input::{ComponentRule, Configured, Effect, Input, Past, Settings};
use plimsoll::engine::link::{Attention, Command, PlanRequest, Reply};
use plimsoll::policy::fit::FitSettings;
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::{KillSwitch, Rules};

use machine::{Machine, regime, settings};

/// Every level's rule in that mode.
fn rules(mode: RuleMode) -> Rules {
    let mut rules = Rules::plain();
    for rule in &mut rules.levels {
        rule.mode = mode;
    }
    rules
}

fn with_rules(rules: Rules) -> Settings {
    Settings { regime_for: regime(Profile::Linux15, rules), ..settings(Profile::Linux15) }
}

fn machine(rules: Rules) -> Machine {
    Machine::with(with_rules(rules), Past::default())
}

/// Two idle models of 1.6 GiB, `old` unused for longer, for so many seconds.
fn with_two_models(rules: Rules, seconds: u64) -> (Machine, [ProcessKey; 2]) {
    let mut machine = machine(rules);
    let old = machine.load("old:1b", 'a', 1600);
    machine.seconds(120);
    let young = machine.load("young:1b", 'b', 1600);
    machine.seconds(seconds);
    (machine, [old, young])
}

fn unloads(machine: &Machine) -> Vec<String> {
    let unload = |effect: &Effect| match effect {
        Effect::Unload { model, .. } => Some(model.short().to_owned()),
        _ => None,
    };
    machine.effects.iter().filter_map(unload).collect()
}

/// Seconds pass until something is unloaded; at most so many.
fn until_unload(machine: &mut Machine, seconds: u64) -> Vec<String> {
    for _ in 0..seconds {
        machine.seconds(1);
        let unloads = unloads(machine);
        if !unloads.is_empty() {
            return unloads;
        }
    }
    Vec::new()
}

/// A model goes, and so much memory comes back.
fn goes(machine: &mut Machine, name: &str, key: ProcessKey, to: f64) {
    machine.unlist(name);
    machine.end_runner(key);
    machine.used = to;
    machine.seconds(2);
}

fn would(machine: &Machine) -> Vec<String> {
    let line = |body: &EventBody| match body {
        EventBody::Proposed { .. } => Some(format!("{}: {}", body.title(), body.text())),
        _ => None,
    };
    machine.snapshot.events.value.iter().filter_map(|event| line(&event.body)).collect()
}

fn outcomes(machine: &Machine) -> Vec<Outcome> {
    let ended = |body: &EventBody| match body {
        EventBody::ActionEnded { outcome, .. } => Some(Outcome::clone(outcome)),
        _ => None,
    };
    machine.snapshot.events.value.iter().filter_map(|event| ended(&event.body)).collect()
}

#[test]
fn observing_says_once_what_would_be_done_and_does_nothing() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Observe), 10);
    machine.used = 85.0;
    assert_eq!(until_unload(&mut machine, 50), [""; 0]);
    assert_eq!(machine.level(), Level::Warning);
    assert_eq!(would(&machine), ["would: unload old:1b (1.6 GiB)"]);
}

#[test]
fn off_says_nothing() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Off), 10);
    machine.used = 85.0;
    assert_eq!(until_unload(&mut machine, 30), [""; 0]);
    assert_eq!(would(&machine), [""; 0]);
}

#[test]
fn acting_takes_the_least_harmful_and_no_more_than_is_needed() {
    let (mut machine, [old, _]) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 85.0;
    assert_eq!(until_unload(&mut machine, 5), ["old:1b"]);
    let running = machine.snapshot.plan.clone().unwrap();
    let purpose = Purpose::Rule { level: Level::Warning, strength: Some(Strength::Light) };
    assert_eq!((running.plan.purpose, running.plan.steps.len()), (purpose, 1));
    goes(&mut machine, "old:1b", old, 75.0);
    assert!(machine.last_told().contains("old:1b by rule: 1.6 GiB came back"));
    assert_eq!(until_unload(&mut machine, 60), [""; 0]);
    assert_eq!(machine.level(), Level::Normal);
}

#[test]
fn an_engine_that_does_not_hold_the_machine_leaves_rules_alone() {
    let settings = Settings { may_act: false, ..with_rules(rules(RuleMode::Act)) };
    let mut machine = Machine::with(settings, Past::default());
    machine.load("old:1b", 'a', 1600);
    machine.used = 97.0;
    assert_eq!(until_unload(&mut machine, 30), [""; 0]);
    assert_eq!(would(&machine), [""; 0]);
}

#[test]
fn after_the_start_a_rule_waits_for_its_grace() {
    let mut machine = machine(rules(RuleMode::Act));
    machine.load("old:1b", 'a', 1600);
    machine.used = 97.0;
    machine.seconds(5);
    assert_eq!(machine.level(), Level::Emergency);
    assert!(machine.told().iter().all(|line| !line.contains("unload")), "{:?}", machine.told());
    assert_eq!(until_unload(&mut machine, 3), ["old:1b"]);
}

#[test]
fn after_a_gap_a_rule_waits_for_its_grace_again() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 97.0;
    machine.tick(3_600_000);
    for _ in 0..4 {
        machine.seconds(1);
        assert_eq!(unloads(&machine), [""; 0]);
    }
    assert_eq!(until_unload(&mut machine, 3).len(), 1);
}

#[test]
fn memory_is_read_again_before_each_step() {
    let (mut machine, [old, _]) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 93.0;
    assert_eq!(until_unload(&mut machine, 5), ["old:1b"]);
    assert_eq!(machine.snapshot.plan.as_ref().unwrap().plan.steps.len(), 2);
    // Another program ended meanwhile.
    goes(&mut machine, "old:1b", old, 60.0);
    assert_eq!(until_unload(&mut machine, 60), [""; 0]);
    let running = machine.snapshot.plan.clone();
    assert!(running.is_none_or(|running| running.ended.is_some()));
}

#[test]
fn a_plan_goes_on_to_its_second_step_where_the_first_was_not_enough() {
    let (mut machine, [old, young]) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 95.5;
    assert_eq!(until_unload(&mut machine, 5), ["old:1b"]);
    machine.unlist("old:1b");
    machine.end_runner(old);
    machine.used = 94.0;
    assert_eq!(until_unload(&mut machine, 4), ["young:1b"]);
    goes(&mut machine, "young:1b", young, 85.0);
    machine.seconds(120);
    let nothing = machine.told().iter().filter(|line| line.contains("nothing left to do")).count();
    assert_eq!(nothing, 1, "{:?}", machine.told());
}

#[test]
fn no_rule_acts_within_its_pause_unless_it_gets_worse() {
    let (mut machine, [old, young]) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 81.0;
    assert_eq!(until_unload(&mut machine, 5), ["old:1b"]);
    machine.unlist("old:1b");
    machine.end_runner(old);
    machine.seconds(2);
    // As full as before, at the same level: the pause holds.
    assert_eq!(until_unload(&mut machine, 11), [""; 0]);
    assert_eq!(until_unload(&mut machine, 6), ["young:1b"]);
    goes(&mut machine, "young:1b", young, 81.0);
    let third = machine.load("third:1b", 'c', 900);
    machine.seconds(3);
    machine.used = 97.0;
    let gone = until_unload(&mut machine, 4);
    assert_eq!(gone, ["third:1b"], "a worse level does not wait");
    goes(&mut machine, "third:1b", third, 97.0);
}

#[test]
fn the_pause_is_that_of_the_level_an_action_was_begun_at() {
    let (mut machine, [old, _]) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 81.0;
    assert_eq!(until_unload(&mut machine, 5), ["old:1b"]);
    // It gets worse before the model is gone.
    machine.used = 92.0;
    machine.seconds(4);
    assert_eq!(machine.level(), Level::Critical);
    machine.unlist("old:1b");
    machine.end_runner(old);
    assert_eq!(until_unload(&mut machine, 4), ["young:1b"]);
}

#[test]
fn a_busy_model_goes_in_an_emergency_only() {
    let (mut machine, [old, young]) = with_two_models(rules(RuleMode::Act), 1);
    let work = |machine: &mut Machine, seconds| {
        for _ in 0..seconds {
            machine.work(old, 500);
            machine.work(young, 500);
            machine.seconds(1);
            if !unloads(machine).is_empty() {
                return unloads(machine);
            }
        }
        Vec::new()
    };
    work(&mut machine, 5);
    machine.used = 92.0;
    assert_eq!(work(&mut machine, 40), [""; 0]);
    assert_eq!(machine.level(), Level::Critical);
    machine.used = 97.0;
    assert_eq!(work(&mut machine, 5).len(), 1);
}

#[test]
fn a_pinned_or_critical_model_is_never_taken_by_a_rule() {
    let mut machine = machine(rules(RuleMode::Act));
    machine.load("precious:1b", 'a', 1600);
    machine.load("vital:1b", 'b', 1600);
    machine.seconds(5);
    let component = "model:vital:1b".to_owned();
    machine.ask(Command::SetPriority { component, priority: plimsoll::domain::Priority::Critical });
    machine.used = 98.0;
    assert_eq!(until_unload(&mut machine, 60), [""; 0]);
    assert_eq!(would(&machine), ["rule: nothing left to do"]);
}

#[test]
fn confirm_asks_and_does_what_a_person_agrees_to() {
    let (mut machine, [old, _]) = with_two_models(rules(RuleMode::Confirm), 10);
    machine.used = 85.0;
    assert_eq!(until_unload(&mut machine, 10), [""; 0]);
    let proposal = machine.snapshot.proposal.clone().unwrap();
    assert_eq!(would(&machine), ["asks: unload old:1b (1.6 GiB)"]);
    let number = proposal.number;
    let wrong = machine.ask(Command::Answer { proposal: number + 1, accept: true });
    assert!(matches!(wrong, Reply::Refused { .. }));
    assert_eq!(machine.ask(Command::Answer { proposal: number, accept: true }), Reply::Accepted);
    assert_eq!(unloads(&machine), ["old:1b"]);
    assert_eq!(machine.snapshot.proposal, None);
    goes(&mut machine, "old:1b", old, 60.0);
    assert!(machine.last_told().contains("by you"), "{}", machine.last_told());
}

#[test]
fn a_refusal_holds_while_the_level_does() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Confirm), 10);
    machine.used = 85.0;
    machine.seconds(10);
    let number = machine.snapshot.proposal.clone().unwrap().number;
    machine.ask(Command::Answer { proposal: number, accept: false });
    machine.seconds(60);
    assert_eq!(machine.snapshot.proposal, None);
    machine.used = 92.0;
    machine.seconds(5);
    assert!(machine.snapshot.proposal.is_some(), "a worse level asks anew");
}

#[test]
fn confirm_where_nobody_looks_says_that_nobody_answers() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Confirm), 10);
    machine.ask(Command::Attend { attention: Attention::NONE });
    machine.used = 85.0;
    machine.seconds(10);
    assert_eq!(would(&machine), ["asks: unload old:1b (1.6 GiB); nobody is there to answer"]);
    machine.used = 60.0;
    machine.seconds(60);
    assert_eq!(machine.snapshot.proposal, None, "memory has recovered by itself");
}

#[test]
fn idle_time_counts_at_normal_too() {
    let mut rules = rules(RuleMode::Act);
    rules.levels[0].idle = Some(Duration::from_secs(150));
    let (mut machine, [old, _]) = with_two_models(rules, 0);
    assert_eq!(until_unload(&mut machine, 40), ["old:1b"]);
    goes(&mut machine, "old:1b", old, 50.0);
    assert_eq!(machine.level(), Level::Normal);
    assert_eq!(machine.state_of("young:1b"), Some("ready"));
    assert_eq!(until_unload(&mut machine, 140), ["young:1b"]);
}

#[test]
fn of_several_models_only_the_one_used_last_stays() {
    let mut rules = rules(RuleMode::Act);
    rules.one_model = true;
    let (mut machine, [old, _]) = with_two_models(rules, 0);
    assert_eq!(until_unload(&mut machine, 4), ["old:1b"]);
    let running = machine.snapshot.plan.clone().unwrap();
    assert!(running.plan.steps[0].reason.starts_with("only one model may stay"));
    goes(&mut machine, "old:1b", old, 50.0);
    assert_eq!(until_unload(&mut machine, 60), [""; 0]);
}

#[test]
fn a_model_too_large_or_over_the_budget_goes() {
    let mut large = rules(RuleMode::Act);
    large.largest_model = Some(Bytes::gib(2));
    let mut huge = machine(large);
    huge.load("small:1b", 'a', 2000);
    huge.load("huge:8b", 'b', 2100);
    assert_eq!(until_unload(&mut huge, 20), ["huge:8b"]);
    let mut tight = rules(RuleMode::Act);
    tight.levels[0].budget = Some(Bytes::gib(2));
    let (mut machine, [old, _]) = with_two_models(tight, 0);
    assert_eq!(until_unload(&mut machine, 4), ["old:1b"]);
    assert_eq!(machine.snapshot.plan.as_ref().unwrap().plan.steps.len(), 1);
    goes(&mut machine, "old:1b", old, 50.0);
    assert_eq!(until_unload(&mut machine, 60), [""; 0]);
}

#[test]
fn a_model_with_more_parameters_than_allowed_goes() {
    let mut rules = rules(RuleMode::Act);
    rules.most_parameters = Some(3_000_000_000);
    let mut machine = machine(rules);
    machine.load("small:1b", 'a', 100);
    machine.load("large:8b", 'b', 100);
    for (model, parameters) in machine.loaded.iter_mut().zip(["1.2B", "8.0B"]) {
        model.parameters = Some(parameters.into());
    }
    assert_eq!(until_unload(&mut machine, 20), ["large:8b"]);
}

#[test]
fn a_model_that_comes_back_each_time_is_left_alone() {
    let (mut machine, mut keys) = with_two_models(rules(RuleMode::Act), 10);
    machine.used = 83.0;
    for _ in 0..3 {
        let gone = until_unload(&mut machine, 30);
        assert_eq!(gone, ["old:1b"], "{:?}", machine.told());
        goes(&mut machine, "old:1b", keys[0], 83.0);
        // It comes back, and is idle for longer than the other soon after.
        keys[0] = machine.start_runner('a', 1600);
        machine.list("old:1b", 1600);
        let young = keys[1];
        machine.seconds(1);
        for _ in 0..2 {
            machine.work(young, 900);
            machine.seconds(1);
        }
        machine.tick(200);
    }
    assert!(machine.told().iter().any(|line| line.contains("comes back each time")));
    let gone = until_unload(&mut machine, 60);
    assert_eq!(gone, ["young:1b"]);
}

#[test]
fn own_commands_run_once_while_a_level_stands() {
    let mut rules = rules(RuleMode::Act);
    rules.levels[1].run = vec![vec!["/bin/shrink".into(), "now".into()]];
    let mut machine = machine(rules);
    machine.seconds(6);
    machine.used = 85.0;
    let mut runs = Vec::new();
    for _ in 0..60 {
        machine.seconds(1);
        let run = machine.effects.iter().find_map(|effect| match effect {
            Effect::Act { action, order: Order::Run { words, level } } => {
                Some((*action, words.clone(), *level))
            }
            _ => None,
        });
        if let Some((action, words, level)) = run {
            runs.push((words, level));
            let result = Ok(Some("12 files gone".to_owned()));
            machine.input(Input::Performed { action, result });
        }
    }
    let words = vec!["/bin/shrink".to_owned(), "now".to_owned()];
    assert_eq!(runs, [(words, Level::Warning)]);
    let ended = &outcomes(&machine)[0];
    assert_eq!((&ended.result, ended.output.as_deref()), (&Verdict::Done, Some("12 files gone")));
}

#[test]
fn hooks_are_told_of_levels_and_actions() {
    let hook = |on_level, on_action, name: &str| Hook {
        on_level,
        on_action,
        to: HookTo::Command(vec![name.into()]),
        timeout: Duration::from_secs(1),
    };
    let hooks = vec![hook(true, false, "levels"), hook(false, true, "actions")];
    let settings = Settings { hooks, ..with_rules(rules(RuleMode::Act)) };
    let mut machine = Machine::with(settings, Past::default());
    let key = machine.load("tiny:1b", 'a', 1600);
    let mut told = Vec::new();
    machine.seconds(6);
    machine.used = 85.0;
    for second in 0..8 {
        if second == 4 {
            machine.unlist("tiny:1b");
            machine.end_runner(key);
        }
        machine.seconds(1);
        told.extend(machine.effects.iter().filter_map(|effect| match effect {
            Effect::Hook { hook, event, .. } => Some((hook.name(), event.body.title())),
            _ => None,
        }));
    }
    let expected = [("levels", "warning"), ("actions", "unloaded")];
    assert_eq!(told, expected.map(|(hook, title)| (hook.to_owned(), title.to_owned())));
    let result = Err("exit status 3".to_owned());
    machine.input(Input::Hooked { of: 4, hook: "levels".into(), result });
    assert_eq!(machine.last_told(), "hook failed: levels on event 4: exit status 3");
}

#[test]
fn a_new_config_counts_at_once() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Observe), 10);
    machine.used = 85.0;
    machine.seconds(10);
    let configured = Configured {
        fit: Default::default(),
        tastes: Default::default(),
        hints: Default::default(),
        note: "config read again: 1 change".into(),
        interval: Some(Duration::from_secs(1)),
        regime_for: regime(Profile::Linux15, rules(RuleMode::Act)),
        components: Vec::new(),
        hooks: Vec::new(),
    };
    machine.input(Input::Configured(Box::new(configured)));
    assert_eq!(until_unload(&mut machine, 2), ["old:1b"]);
}

#[test]
fn a_new_config_changes_what_verdicts_and_recommendations_rest_on() {
    let mut machine = machine(rules(RuleMode::Observe));
    machine.install_sized("small:1b", 'a', 500);
    let attention = Attention { fits: true, ..Attention::default() };
    machine.ask(Command::Attend { attention });
    machine.seconds(40);
    let context = |machine: &mut Machine| {
        let snapshot = machine.state.snapshot();
        let fits = &snapshot.fits.value;
        fits.of(&ModelName::new("small:1b")).expect("it is judged").settings.context
    };
    assert_eq!(context(&mut machine), 4096);
    let configured = Configured {
        fit: FitSettings { context: Some(2048), ..FitSettings::default() },
        tastes: Default::default(),
        hints: Default::default(),
        note: "config read again: 1 change".into(),
        interval: None,
        regime_for: regime(Profile::Linux15, rules(RuleMode::Observe)),
        components: Vec::new(),
        hooks: Vec::new(),
    };
    machine.input(Input::Configured(Box::new(configured)));
    assert_eq!(context(&mut machine), 2048);
}

#[test]
fn what_an_ended_plimsoll_began_is_looked_into() {
    let unload = |model: &str| Action::Unload { model: ModelName::new(model) };
    let by = plimsoll::domain::event::Origin::Rule;
    let unfinished =
        vec![(ActionId(4), unload("gone:1b"), by), (ActionId(5), unload("there:1b"), by)];
    let past = Past { unfinished, next_action: 6, ..Past::default() };
    let mut machine = Machine::with(with_rules(rules(RuleMode::Off)), past);
    machine.load("there:1b", 'a', 100);
    machine.seconds(3);
    let results: Vec<Verdict> = outcomes(&machine).into_iter().map(|o| o.result).collect();
    let detail = "plimsoll was ended, and it is still loaded".to_owned();
    assert_eq!(results, [Verdict::Done, Verdict::Failed { detail }]);
}

#[test]
fn what_cannot_be_looked_into_is_closed_after_a_while() {
    let by = plimsoll::domain::event::Origin::Person;
    let unfinished = vec![(ActionId(4), Action::Unload { model: ModelName::new("x") }, by)];
    let past = Past { unfinished, ..Past::default() };
    let mut machine = Machine::with(with_rules(rules(RuleMode::Off)), past);
    machine.is_blind = true;
    machine.seconds(20);
    assert_eq!(outcomes(&machine).len(), 0);
    machine.seconds(20);
    assert_eq!(outcomes(&machine).len(), 1);
}

#[test]
fn the_rules_are_drawn_up_only_while_somebody_looks() {
    let (mut machine, _) = with_two_models(rules(RuleMode::Observe), 10);
    assert_eq!(machine.snapshot.policy, None);
    let attention = Attention { policy: true, ..Attention::default() };
    machine.ask(Command::Attend { attention });
    machine.used = 85.0;
    machine.seconds(5);
    let view = machine.snapshot.policy.clone().unwrap();
    let plans: Vec<String> = view.levels.iter().map(|level| level.plan.text()).collect();
    assert_eq!(plans[0], "nothing left to do");
    assert_eq!(plans[1], "unload old:1b (1.6 GiB)");
    assert_eq!(view.day.level_changes, 1);
    machine.ask(Command::Attend { attention: Attention::default() });
    assert_eq!(machine.snapshot.policy, None);
}

#[test]
fn looks_come_faster_as_a_threshold_comes_near_and_slower_when_nothing_moves() {
    let mut machine = machine(rules(RuleMode::Off));
    let pace = |machine: &mut Machine, used: f64| {
        machine.used = used;
        let mut last = None;
        for _ in 0..3 {
            machine.tick(100);
            last = machine
                .effects
                .iter()
                .rev()
                .find_map(|effect| match effect {
                    Effect::Pace(pace) => Some(pace.interval.as_millis()),
                    _ => None,
                })
                .or(last);
        }
        last
    };
    machine.seconds(3);
    assert_eq!(pace(&mut machine, 75.0), Some(250));
    assert_eq!(pace(&mut machine, 79.5), Some(100));
    machine.seconds(40);
    assert_eq!(pace(&mut machine, 79.4), None, "half a second by now");
    assert_eq!(pace(&mut machine, 40.0), Some(1000));
}
