//! Loads through the gate, what is promised to them, what is learned of them,
//! and what is foretold: the engine's state in virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/machine.rs"]
mod machine;

use plimsoll::domain::plan::{Keep, Verdict};
use plimsoll::domain::process::ProcessRole;
use plimsoll::domain::{
    Action, Bytes, EventBody, Fit, FitQuestion, FitVerdict, ForecastOutcome, KvType, Level,
    ModelName, Plan,
};
use plimsoll::engine::input::{Effect, Lesson, Past};
use plimsoll::engine::link::{Attention, Command, Reply};
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::Rules;

use machine::{Machine, TOTAL, regime, settings};

fn load(name: &str, force: bool) -> Command {
    Command::Load { model: ModelName::new(name), keep: Keep::Default, context: None, force }
}

fn question(name: &str) -> FitQuestion {
    FitQuestion::plain(ModelName::new(name))
}

fn judged(machine: &mut Machine, question: FitQuestion) -> Fit {
    match machine.ask(Command::Fit { question }) {
        Reply::Fit { fit } => *fit,
        other => panic!("no verdict but {other:?}"),
    }
}

/// Attended, so that metadata are asked for.
fn watched() -> Machine {
    let mut machine = Machine::new();
    machine.installed.clear();
    attend(&mut machine, None);
    machine
}

fn attend(machine: &mut Machine, dial: Option<FitQuestion>) {
    let attention = Attention { fits: true, dial, ..Attention::default() };
    machine.ask(Command::Attend { attention });
}

fn begun(machine: &Machine) -> Vec<&str> {
    let load = |effect: &'_ Effect| matches!(effect, Effect::Load { .. });
    machine
        .effects
        .iter()
        .filter(|effect| load(effect))
        .map(|effect| match effect {
            Effect::Load { model, .. } => model.short(),
            _ => "",
        })
        .collect()
}

/// Used share of the machine at which so many MiB are available.
fn leave(machine: &mut Machine, available_mib: u64) {
    let left = Bytes::mib(available_mib).share_of(TOTAL).unwrap();
    machine.used = 100.0 - left.get();
}

#[test]
fn a_load_that_fits_is_begun_and_one_that_does_not_is_refused_with_the_verdict() {
    let mut machine = watched();
    machine.install_sized("small:1b", 'a', 1000);
    machine.install_sized("large:9b", 'b', 9000);
    machine.seconds(40);
    assert!(matches!(machine.ask(load("small:1b", false)), Reply::Accepted));
    assert_eq!(begun(&machine), ["small:1b"]);
    let Reply::DoesNotFit { fit, plan } = machine.ask(load("large:9b", false)) else {
        panic!("half of 16 GiB cannot take 9000 MiB");
    };
    assert!(begun(&machine).is_empty());
    assert_eq!(fit.verdict, FitVerdict::FitsAfterFreeing);
    assert!(fit.need.bytes() > fit.budget.free() && !fit.lacks().is_zero());
    assert!(plan.is_none(), "nothing is loaded that could go");
    let told = machine.told();
    assert!(told.iter().any(|line| line.starts_with("not loaded: large:9b needs")), "{told:#?}");
}

#[test]
fn two_loads_cannot_count_the_same_free_bytes() {
    let mut machine = watched();
    leave(&mut machine, 8000);
    machine.install_sized("first:4b", 'a', 4000);
    machine.install_sized("second:4b", 'b', 4000);
    machine.seconds(40);
    assert_eq!(judged(&mut machine, question("second:4b")).verdict, FitVerdict::Fits);
    assert!(matches!(machine.ask(load("first:4b", false)), Reply::Accepted));
    let fit = judged(&mut machine, question("second:4b"));
    assert!(fit.budget.in_flight >= Bytes::mib(4000), "{:?}", fit.budget);
    assert!(matches!(machine.ask(load("second:4b", false)), Reply::DoesNotFit { .. }));
    // Half of it is read: so much less is promised, and so much less available.
    let key = machine.start_runner('a', 2000);
    leave(&mut machine, 6000);
    machine.seconds(1);
    let half = judged(&mut machine, question("second:4b"));
    assert!(half.budget.in_flight + Bytes::mib(2000) == fit.budget.in_flight, "{half:?}");
    assert_eq!(half.budget.free().get() >> 20, fit.budget.free().get() >> 20);
    // It is in: nothing is promised any longer.
    machine.end_runner(key);
    machine.start_runner('a', 4400);
    machine.list("first:4b", 4300);
    leave(&mut machine, 3600);
    machine.seconds(4);
    let after = judged(&mut machine, question("second:4b"));
    assert_eq!(after.budget.in_flight, Bytes::ZERO);
    assert_eq!(after.verdict, FitVerdict::FitsAfterUnload);
}

#[test]
fn a_load_by_somebody_else_is_promised_its_bytes_too() {
    let mut machine = watched();
    leave(&mut machine, 8000);
    machine.install_sized("theirs:4b", 'a', 4000);
    machine.install_sized("second:4b", 'b', 4000);
    machine.seconds(40);
    machine.start_runner('a', 500);
    leave(&mut machine, 7500);
    machine.seconds(1);
    assert_eq!(machine.state_of("theirs:4b"), Some("loading"));
    let fit = judged(&mut machine, question("second:4b"));
    assert!(fit.budget.in_flight >= Bytes::mib(3500), "{:?}", fit.budget);
    assert_ne!(fit.verdict, FitVerdict::Fits);
}

#[test]
fn force_loads_all_the_same_and_it_is_said() {
    let mut machine = watched();
    machine.install_sized("large:9b", 'b', 9000);
    machine.seconds(40);
    assert!(matches!(machine.ask(load("large:9b", true)), Reply::Accepted));
    assert_eq!(begun(&machine), ["large:9b"]);
    let told = machine.told();
    assert!(told.iter().any(|line| line.contains("loaded by force")), "{told:#?}");
}

fn room_made() -> (Machine, plimsoll::domain::ProcessKey, Plan) {
    let mut machine = watched();
    leave(&mut machine, 4000);
    let old = machine.load("old:4b", 'c', 4000);
    machine.install_sized("new:4b", 'd', 4000);
    machine.seconds(40);
    let Reply::DoesNotFit { fit, plan } = machine.ask(load("new:4b", false)) else {
        panic!("there is no room for it yet");
    };
    assert_eq!(fit.verdict, FitVerdict::FitsAfterUnload);
    assert_eq!(fit.unload[0].name, "old:4b");
    (machine, old, plan.expect("unloading makes room"))
}

#[test]
fn room_is_made_first_and_then_it_is_loaded() {
    let (mut machine, old, plan) = room_made();
    assert!(matches!(machine.ask(Command::CarryOut { plan }), Reply::Accepted));
    assert!(begun(&machine).is_empty(), "not before the room is there");
    machine.end_runner(old);
    machine.unlist("old:4b");
    leave(&mut machine, 8000);
    machine.seconds(4);
    let told = machine.told();
    assert!(told.iter().any(|line| line.starts_with("load asked: new:4b")), "{told:#?}");
}

#[test]
fn room_that_does_not_come_back_begins_no_load() {
    let (mut machine, old, plan) = room_made();
    machine.ask(Command::CarryOut { plan });
    machine.end_runner(old);
    machine.unlist("old:4b");
    // Another program was quicker.
    leave(&mut machine, 4000);
    machine.seconds(6);
    let failed = |event: &plimsoll::domain::Event| {
        matches!(&event.body,
        EventBody::ActionEnded { outcome, .. } if matches!(outcome.action, Action::Load { .. }))
    };
    assert!(!machine.snapshot.events.value.iter().any(failed), "it was never begun");
    let plan = machine.snapshot.plan.clone().expect("its outcome is shown a while");
    let last = plan.outcomes.last().expect("an outcome for each step");
    assert!(
        matches!(&last.result, Verdict::Failed { detail } if detail.contains("needs")),
        "{last:?}"
    );
}

#[test]
fn verdicts_are_there_while_somebody_looks_and_follow_the_dial() {
    let mut machine = watched();
    machine.install_sized("model:4b", 'a', 4000);
    machine.seconds(40);
    let fits = machine.snapshot.fits.clone();
    let plain = fits.value.of(&ModelName::new("model:4b")).expect("judged").clone();
    assert_eq!((plain.verdict, plain.settings.context), (FitVerdict::Fits, 4096));
    assert!(plain.settings_source.contains("default"), "{}", plain.settings_source);
    assert!(machine.snapshot.recommended.is_some());
    let dial = FitQuestion { context: Some(131_072), ..question("model:4b") };
    attend(&mut machine, Some(dial));
    let turned = machine.snapshot.fits.clone();
    let fit = turned.value.of(&ModelName::new("model:4b")).expect("judged");
    assert_eq!(fit.settings.context, 131_072);
    assert!(fit.need.bytes() > plain.need.bytes() + Bytes::gib(3));
    assert_eq!(fit.verdict, FitVerdict::FitsSmaller);
    assert!(turned.version > fits.version);
    machine.seconds(5);
    assert_eq!(machine.snapshot.fits.version, turned.version, "nothing changed, nothing is told");
    machine.ask(Command::Attend { attention: Attention::NONE });
    assert!(machine.snapshot.fits.value.all.is_empty());
}

#[test]
fn what_the_server_is_set_to_is_what_is_judged() {
    let mut machine = watched();
    machine.install_sized("model:4b", 'a', 1000);
    if let ProcessRole::Server { environment, .. } = &mut machine.servers[0].role {
        let set = [
            ("OLLAMA_CONTEXT_LENGTH", "16384"),
            ("OLLAMA_NUM_PARALLEL", "2"),
            ("OLLAMA_KV_CACHE_TYPE", "q8_0"),
        ];
        environment.extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    machine.seconds(40);
    let fit = judged(&mut machine, question("model:4b"));
    assert_eq!((fit.settings.context, fit.settings.parallel), (16_384, 2));
    assert_eq!(fit.settings.kv_type, KvType::Q8_0);
    assert!(fit.settings_source.contains("server"), "{}", fit.settings_source);
}

#[test]
fn a_model_of_unknown_shape_is_judged_roughly_by_its_file() {
    let mut machine = watched();
    machine.install("secret:4b", 'a');
    machine.installed[0].disk = Some(Bytes::mib(2000));
    machine.seconds(40);
    let fit = judged(&mut machine, question("secret:4b"));
    assert!(fit.need.is_rough);
    assert!(fit.need.bytes() >= Bytes::mib(2000));
    let none = machine.ask(Command::Fit { question: question("absent:1b") });
    assert!(matches!(none, Reply::Refused { reason } if reason.contains("not installed")));
}

fn lessons(machine: &Machine) -> Vec<Lesson> {
    let lesson = |effect: &Effect| match effect {
        Effect::Learn(lesson) => Some(lesson.clone()),
        _ => None,
    };
    machine.effects.iter().filter_map(lesson).collect()
}

#[test]
fn what_a_load_took_is_learned_once_it_has_worked_and_when_it_leaves() {
    let mut machine = watched();
    machine.install_sized("model:4b", 'a', 1000);
    machine.seconds(40);
    let before = judged(&mut machine, question("model:4b"));
    let key = machine.start_runner('a', 1100);
    machine.list("model:4b", 1050);
    machine.seconds(5);
    machine.work(key, 900);
    machine.seconds(1);
    machine.runners[0].memory.anonymous = Some(Bytes::mib(1300));
    machine.seconds(1);
    let learned = lessons(&machine);
    let Some(Lesson::Load(load)) = learned.iter().find(|l| matches!(l, Lesson::Load(_))) else {
        panic!("nothing was learned: {learned:?}");
    };
    assert_eq!((load.measured, load.was_used), (Bytes::mib(1300), true));
    assert_eq!(load.reported, Some(Bytes::mib(1050)));
    assert_eq!(load.estimated, Some(before.need.measured));
    machine.end_runner(key);
    machine.unlist("model:4b");
    machine.seconds(5);
    let fit = judged(&mut machine, question("model:4b"));
    let now = fit.need.learned.expect("learned by now");
    assert_eq!((now.count, now.mean), (1, Bytes::mib(1300)));
    assert_eq!(fit.need.bytes(), Bytes::mib(1300));
}

#[test]
fn what_was_learned_before_outlives_a_restart() {
    let mut machine = watched();
    machine.install_sized("model:4b", 'a', 1000);
    let key = machine.start_runner('a', 1100);
    machine.list("model:4b", 1050);
    machine.seconds(40);
    machine.work(key, 900);
    machine.seconds(1);
    machine.seconds(1);
    let loads: Vec<_> = lessons(&machine)
        .into_iter()
        .filter_map(|lesson| match lesson {
            Lesson::Load(load) => Some(*load),
            _ => None,
        })
        .collect();
    assert_eq!(loads.len(), 1);
    let past = Past { loads, ..Past::default() };
    let mut again = Machine::with(settings(Profile::Linux15), past);
    attend(&mut again, None);
    again.install_sized("model:4b", 'a', 1000);
    again.seconds(40);
    assert_eq!(judged(&mut again, question("model:4b")).need.learned.map(|l| l.count), Some(1));
}

#[test]
fn metadata_are_asked_for_once_and_kept() {
    let mut machine = watched();
    machine.install_sized("model:4b", 'a', 1000);
    let mut kept = Vec::new();
    for _ in 0..40 {
        machine.seconds(1);
        kept.extend(lessons(&machine));
    }
    let details: Vec<_> = kept
        .into_iter()
        .filter_map(|lesson| match lesson {
            Lesson::Details { digest, details } => Some((digest, *details)),
            _ => None,
        })
        .collect();
    assert_eq!(details.len(), 1);
    let past = Past { details, ..Past::default() };
    let mut again = Machine::with(settings(Profile::Linux15), past);
    attend(&mut again, None);
    again.install_sized("model:4b", 'a', 1000);
    // Not asked again: these would give another shape.
    again.details.clear();
    again.seconds(40);
    assert!(!judged(&mut again, question("model:4b")).need.is_rough);
}

#[test]
fn a_steady_climb_is_announced_in_time_and_proves_right() {
    let mut machine = watched();
    machine.used = 50.0;
    let (mut announced, mut reached, mut ended) = (None, None, Vec::new());
    for second in 0..1200u64 {
        // 20 MiB a second of 16 GiB; a warning at 80 %.
        machine.used = 50.0 + second as f64 * 0.122;
        machine.seconds(1);
        ended.extend(lessons(&machine));
        if announced.is_none() && machine.snapshot.forecast.is_some() {
            announced = Some(second);
        }
        if machine.level() == Level::Warning {
            reached = Some(second);
            break;
        }
    }
    let (announced, reached) = (announced.expect("announced"), reached.expect("reached"));
    assert!(reached - announced >= 60, "only {} s ahead", reached - announced);
    let told = machine.told();
    let ahead = told.iter().filter(|line| line.starts_with("ahead: warning in about")).count();
    assert!((1..=3).contains(&ahead), "{told:#?}");
    let hit = ended.iter().any(|lesson| matches!(lesson,
        Lesson::Forecast(record) if record.outcome == ForecastOutcome::Hit && record.to == Level::Warning));
    assert!(hit, "{ended:?}");
}

#[test]
fn a_load_starts_the_forecast_afresh() {
    let mut machine = watched();
    machine.install("model:4b", 'a');
    for second in 0..160u64 {
        machine.used = 50.0 + second as f64 * 0.122;
        machine.seconds(1);
    }
    assert!(machine.snapshot.forecast.is_some(), "a climb of 160 s");
    machine.start_runner('a', 500);
    machine.seconds(1);
    assert_eq!(machine.snapshot.forecast, None);
}

#[test]
fn a_rule_preloads_only_what_fits_below_the_next_level() {
    let mut settings = settings(Profile::Linux15);
    let mut rules = Rules::plain();
    rules.preload = vec![ModelName::new("large:7b"), ModelName::new("small:1b")];
    rules.levels.iter_mut().for_each(|rule| rule.mode = plimsoll::domain::RuleMode::Act);
    settings.regime_for = regime(Profile::Linux15, rules);
    let mut machine = Machine::with(settings, Past::default());
    machine.used = 60.0;
    machine.install_sized("large:7b", 'a', 4000);
    machine.install_sized("small:1b", 'b', 1000);
    let mut loads = Vec::new();
    for _ in 0..120 {
        machine.seconds(1);
        loads.extend(begun(&machine).into_iter().map(str::to_owned));
    }
    assert_eq!(loads, ["small:1b"], "3.2 GiB are left below the warning");
}
