//! Servers that say absurd things of models, and what loads make of it: the
//! engine's state in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "support/machine.rs"]
mod machine;

use std::time::{Duration, Instant};

use plimsoll::domain::fault::RuntimeFaultKind;
use plimsoll::domain::plan::Keep;
use plimsoll::domain::shape::{Experts, PerLayer, Recurrent, Shape, WindowPattern};
use plimsoll::domain::{EventBody, FitQuestion, FitVerdict, KvType, ModelName, RuntimeFault};
use plimsoll::engine::input::{Effect, Input, Lesson, Past, Poll, RequestNumber};
use plimsoll::engine::link::{Attention, Command, Reply};
use plimsoll::policy::limits::Profile;

use machine::{Machine, moment, settings, shape};

fn hostile(seed: u64) -> Shape {
    let each = |most: u64| PerLayer::Each((0..1024).map(|at| (at * 7 + seed) % most).collect());
    Shape {
        layers: 1024,
        heads: each(64),
        heads_kv: each(9),
        feed_forward: each(14_000),
        window: Some(1024),
        window_pattern: Some(WindowPattern::Windowed((0..1024).map(|at| at % 3 != 0).collect())),
        recurrent: Some(Recurrent { inner_size: 4096, state_size: 16, ..Recurrent::default() }),
        experts: Some(Experts { count: 128, used: 8, feed_forward: None }),
        ..shape(300 + seed)
    }
}

/// The least that a sample took in which every verdict is worked out anew.
fn least_time(shape_of: impl Fn(u64) -> Shape) -> Duration {
    let mut machine = Machine::new();
    attended(&mut machine, None);
    for index in 0..200 {
        machine.install_sized(&format!("model-{index}:3b"), 'a', 300 + index * 97 % 14_000);
        machine.details.last_mut().unwrap().1.shape = Some(Box::new(shape_of(index)));
    }
    machine.seconds(60);
    assert_eq!(machine.snapshot.fits.value.all.len(), 200);
    let mut least = Duration::MAX;
    for round in 0..6 {
        machine.millis += 1000;
        machine.used = if round % 2 == 0 { 52.0 } else { 50.0 };
        let sample = Box::new(machine.sample());
        let begun = Instant::now();
        drop(machine.state.handle(Input::Sampled(sample), moment(machine.millis)));
        least = least.min(begun.elapsed());
    }
    least
}

/// A thousand layers, each its own, are counted once for each verdict, not for
/// each context that is tried.
#[test]
fn a_thousand_layers_make_verdicts_little_slower() {
    let plain = least_time(|index| shape(300 + index * 97 % 14_000));
    let hostile = least_time(hostile);
    println!("two hundred verdicts: {plain:?}, hostile {hostile:?}");
    // Three to six times on quiet and on busy machines; a count for each context
    // that is tried would take as many times as long as contexts are tried.
    assert!(hostile < plain * 20, "{plain:?}, hostile {hostile:?}");
}

fn attended(machine: &mut Machine, dial: Option<FitQuestion>) {
    machine
        .ask(Command::Attend { attention: Attention { fits: true, dial, ..Attention::default() } });
}

fn polled(machine: &Machine) -> usize {
    let is_it = |effect: &&Effect| matches!(effect, Effect::Poll(Poll::Details(_)));
    machine.effects.iter().filter(is_it).count()
}

fn written(machine: &Machine) -> usize {
    let is_it = |effect: &&Effect| matches!(effect, Effect::Learn(Lesson::Details { .. }));
    machine.effects.iter().filter(is_it).count()
}

fn verdict(machine: &mut Machine, question: FitQuestion) -> FitVerdict {
    match machine.ask(Command::Fit { question }) {
        Reply::Fit { fit } => fit.verdict,
        other => panic!("no verdict but {other:?}"),
    }
}

fn plain(name: &str) -> FitQuestion {
    FitQuestion::plain(ModelName::new(name))
}

#[test]
fn metadata_of_an_earlier_run_still_name_who_loads() {
    let mut before = Machine::new();
    before.install_sized("known:4b", 'a', 4000);
    let (_, details) = before.details[0].clone();
    let past = Past { details: vec![("manifest of known:4b".into(), details)], ..Past::default() };
    let mut machine = Machine::with(settings(Profile::Linux15), past);
    machine.installed = before.installed;
    machine.seconds(40);
    machine.start_runner('a', 100);
    machine.seconds(1);
    assert_eq!(machine.state_of("known:4b"), Some("loading"));
}

#[test]
fn a_server_without_digests_has_a_shape_for_each_name() {
    let mut machine = Machine::new();
    attended(&mut machine, None);
    machine.install_sized("large:70b", 'a', 60_000);
    machine.install_sized("small:1b", 'b', 500);
    machine.installed.iter_mut().for_each(|model| model.digest.clear());
    let mut written_down = 0;
    for _ in 0..60 {
        machine.seconds(1);
        written_down += written(&machine);
    }
    assert_eq!(verdict(&mut machine, plain("small:1b")), FitVerdict::Fits);
    assert_eq!(verdict(&mut machine, plain("large:70b")), FitVerdict::Never);
    assert_eq!(written_down, 0, "a name says nothing for good");
}

#[test]
fn a_model_pulled_anew_while_it_is_loaded_is_asked_about_once() {
    let mut machine = Machine::new();
    attended(&mut machine, None);
    machine.install_sized("pulled:4b", 'a', 1000);
    machine.start_runner('a', 1000);
    machine.list("pulled:4b", 1000);
    machine.seconds(40);
    machine.installed[0].digest = "what was pulled".into();
    let (mut asked, mut written_down) = (0, 0);
    for _ in 0..300 {
        machine.seconds(1);
        asked += polled(&machine);
        written_down += written(&machine);
    }
    assert_eq!((asked, written_down), (1, 0));
}

#[test]
fn a_server_that_cannot_show_is_not_pressed() {
    let mut machine = Machine::new();
    attended(&mut machine, None);
    for index in 0..50 {
        machine.install_sized(&format!("model-{index}:3b"), 'a', 1000);
    }
    machine.details_fault =
        Some(RuntimeFault::new(RuntimeFaultKind::Status(500), "out of order".to_owned()));
    machine.seconds(300);
    let mut asked = 0;
    for _ in 0..600 {
        machine.seconds(1);
        asked += polled(&machine);
    }
    assert!((50 * 5..=50 * 9).contains(&asked), "{asked} in ten minutes");
    machine.details_fault = None;
    machine.seconds(90);
    assert_eq!(machine.snapshot.fits.value.all.len(), 50);
}

#[test]
fn digests_that_change_with_each_list_do_not_pile_up() {
    let mut machine = Machine::new();
    attended(&mut machine, None);
    machine.install_sized("stays:1b", 'a', 500);
    machine.install_sized("flips:1b", 'b', 500);
    let mut asked = 0;
    for flip in 0..2_200 {
        machine.installed[1].digest = format!("{flip}");
        machine.ask(Command::PollNow);
        asked += polled(&machine);
        machine.millis += 1000;
    }
    assert!((2_200..=2_202).contains(&asked), "{asked}");
    let again = |machine: &mut Machine, digest: &str| {
        machine.installed[1].digest = digest.into();
        machine.ask(Command::PollNow);
        polled(machine)
    };
    assert_eq!(again(&mut machine, "2199"), 0, "still known");
    assert_eq!(again(&mut machine, "7"), 1, "forgotten");
}

#[test]
fn absurd_questions_have_an_answer() {
    let mut machine = Machine::new();
    machine.install_sized("plain:3b", 'a', 1000);
    machine.install_sized("bare:3b", 'b', 1000);
    let bare = &mut machine.details[1].1;
    bare.max_context = None;
    bare.shape.as_mut().unwrap().max_context = None;
    let long = "x".repeat(1 << 20);
    for name in ["plain:3b", "bare:3b", "unknown", "", "\u{1b}[2J", &long] {
        for (context, parallel) in [(u64::MAX, u32::MAX), (0, 0), (1, u32::MAX), (u64::MAX, 1)] {
            let question = FitQuestion {
                model: ModelName::new(name),
                context: Some(context),
                kv_type: Some(KvType::F32),
                parallel: Some(parallel),
            };
            attended(&mut machine, Some(question.clone()));
            machine.seconds(2);
            let reply = machine.ask(Command::Fit { question });
            let is_known = name.ends_with("3b");
            assert_eq!(matches!(reply, Reply::Fit { .. }), is_known, "{context} {parallel}");
            if let Reply::Refused { reason } = reply {
                assert!(reason.len() < 1000 && !reason.contains('\u{1b}'), "{}", reason.len());
            }
        }
    }
    let absurd = FitQuestion { context: Some(u64::MAX), ..plain("bare:3b") };
    assert_ne!(verdict(&mut machine, absurd), FitVerdict::Fits);
}

#[test]
fn a_load_that_nothing_is_seen_of_keeps_its_room_no_longer_than_its_server_would() {
    let mut machine = Machine::new();
    attended(&mut machine, None);
    machine.install_sized("hangs:4b", 'a', 4000);
    machine.install_sized("waits:4b", 'b', 4000);
    machine.used = 55.0;
    machine.seconds(40);
    // The server takes the load on and says nothing more.
    let asked = Input::Asked {
        number: RequestNumber(1),
        command: Command::Load {
            model: ModelName::new("hangs:4b"),
            keep: Keep::Default,
            context: None,
            force: false,
        },
    };
    let begun = machine.state.handle(asked, moment(machine.millis));
    let action = begun.iter().find_map(|effect| match effect {
        Effect::Journal { action, .. } => Some(*action),
        _ => None,
    });
    let journalled = Input::Journalled { action: action.unwrap(), result: Ok(()) };
    drop(machine.state.handle(journalled, moment(machine.millis)));
    machine.seconds(280);
    assert_eq!(machine.state_of("hangs:4b"), Some("loading"));
    assert_ne!(verdict(&mut machine, plain("waits:4b")), FitVerdict::Fits);
    machine.seconds(40);
    assert_eq!(verdict(&mut machine, plain("waits:4b")), FitVerdict::Fits);
}

/// At the fastest pace, about a threshold.
#[test]
fn noise_makes_no_storm_of_forecasts() {
    for wave in 0..4 {
        let mut machine = Machine::new();
        let (mut seed, mut walk) = (7_u64, 0.0_f64);
        let mut foreseen = 0;
        for tick in 0..3000_u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = (seed >> 33) as f64 / (1_u64 << 31) as f64 - 0.5;
            walk = (walk + noise * 0.1).clamp(-3.0, 3.0);
            let off = match wave {
                0 => noise * 6.0,
                1 => walk,
                2 => (tick % 600) as f64 / 100.0 - 3.0,
                _ => (tick as f64 / 400.0).sin() * 4.0,
            };
            machine.used = 76.0 + off;
            machine.tick(100);
            let is_one = |effect: &&Effect| {
                matches!(effect, Effect::Record(event)
                if matches!(event.body, EventBody::Foreseen { .. }))
            };
            foreseen += machine.effects.iter().filter(is_one).count();
        }
        assert!(foreseen <= 2, "{foreseen} in five minutes of kind {wave}");
    }
}

#[test]
fn a_model_without_a_shape_is_asked_about_a_few_times_more_and_then_left() {
    let mut machine = Machine::new();
    let attention = Attention { fits: true, ..Attention::default() };
    machine.ask(Command::Attend { attention });
    machine.install("plain:1b", 'a');
    let mut asked = 0;
    let mut ask_for = |machine: &mut Machine, seconds: u64| {
        for _ in 0..seconds {
            machine.seconds(1);
            let is_details = |effect: &&Effect| matches!(effect, Effect::Poll(Poll::Details(_)));
            asked += machine.effects.iter().filter(is_details).count();
        }
        asked
    };
    let first = ask_for(&mut machine, 60);
    assert!((2..=5).contains(&first), "{first}");
    let all = ask_for(&mut machine, 1200);
    assert!(all <= 7, "{all}");
    assert_eq!(ask_for(&mut machine, 1200), all, "what it is stays unknown");
}
