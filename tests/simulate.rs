//! Simulations over recordings made here: what is counted, what an unload is
//! modelled to give back and for how long, and that a run says the same twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/shell.rs"]
mod shell;

use std::time::Duration;

use plimsoll::domain::plan::{Keep, Verdict};
use plimsoll::domain::rule::{Measure, RuleMode};
use plimsoll::domain::{Bytes, Group, GroupKind, Level, ModelName, Strength};
use plimsoll::engine::input::ComponentRule;
use plimsoll::engine::link::{Command, Reply};
use plimsoll::engine::simulate::findings::{Again, Findings};
use plimsoll::engine::simulate::{Simulation, acting};
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::Rules;
use plimsoll::recording::Reader;
use serde_json::Value;

use self::machine::TOTAL;
use self::recorded::{Recorder, feed, ordinary, program};
use self::shell::Home;

/// Rules that are off: what is done here is done by command.
fn simulation(step: Duration) -> Simulation {
    let mut rules = Rules::plain();
    rules.levels.iter_mut().for_each(|rule| rule.mode = RuleMode::Off);
    let mut settings = machine::settings(Profile::Linux15);
    settings.regime_for = machine::regime(Profile::Linux15, rules);
    Simulation::new(settings, step)
}

/// Plays a recording; each command is given once that many milliseconds are
/// over.
fn play(file: &[u8], commands: &[(u64, Command)]) -> Findings {
    let mut simulation = simulation(Duration::from_secs(1));
    let mut due = commands.iter();
    let mut next = due.next();
    for entry in Reader::new(file).unwrap() {
        let entry = entry.unwrap();
        let at = entry.at().mono.millis();
        while let Some((_, command)) = next.filter(|(when, _)| *when < at) {
            let reply = simulation.ask(command.clone());
            assert_eq!(reply, Some(Reply::Accepted), "{command:?}");
            next = due.next();
        }
        feed(&mut simulation, entry);
    }
    simulation.finish()
}

fn unload(name: &str) -> Command {
    Command::Unload { model: ModelName::new(name) }
}

fn load(name: &str) -> Command {
    Command::Load {
        force: false,
        model: ModelName::new(name),
        keep: Keep::Default,
        context: Some(4096),
    }
}

/// What runners hold is in use, beside a share that others do.
fn settle(recorder: &mut Recorder, others: f64) {
    let runners = &recorder.machine.runners;
    let held: Bytes = runners.iter().filter_map(|runner| runner.memory.resident).sum();
    recorder.machine.used = others + held.share_of(TOTAL).unwrap().get();
}

fn grow(recorder: &mut Recorder, mib: u64) {
    for runner in &mut recorder.machine.runners {
        runner.memory.anonymous = runner.memory.anonymous.map(|size| size + Bytes::mib(mib));
        runner.memory.resident = runner.memory.anonymous;
    }
}

/// Two models, 4 and 2 GiB of 16, beside so much of others.
fn two_models(recorder: &mut Recorder, others: f64) {
    recorder.machine.load("large:7b", 'a', 4096);
    recorder.machine.load("small:3b", 'b', 2048);
    settle(recorder, others);
}

fn seconds_at(found: &Findings, level: Level) -> u64 {
    found.levels[level as usize].ms / 1000
}

fn modelled_seconds(found: &Findings) -> u64 {
    found.levels.iter().map(|level| level.modelled_ms).sum::<u64>() / 1000
}

// ---------------------------------------------------------------- counting

#[test]
fn a_climb_is_counted_level_by_level() {
    let mut recorder = Recorder::new();
    for second in 0..120 {
        recorder.machine.used = 50.0 + f64::from(second) * 0.4;
        recorder.look(1000);
    }
    let found = play(&recorder.file(), &[]);
    assert_eq!((found.span.samples, found.span.covered_ms, found.span.gaps), (120, 119_000, 0));
    let levels: Vec<Level> = found.level_changes.iter().map(|change| change.to).collect();
    assert_eq!(levels, [Level::Warning, Level::Critical, Level::Emergency]);
    // 80 % is reached in second 75 and must be seen for a second.
    assert_eq!(found.level_changes[0].at_ms, 76_000);
    let counted: Vec<u64> = Level::ALL.iter().map(|level| seconds_at(&found, *level)).collect();
    assert_eq!(counted, [76, 25, 13, 5]);
    assert_eq!(modelled_seconds(&found), 0);
    let shortfall = found.largest_shortfall.unwrap();
    assert_eq!((shortfall.at_ms, shortfall.modelled), (119_000, false));
    assert_eq!(found.recorded_shortfall, found.largest_shortfall);
    assert!(found.actions.is_empty() && found.oscillations.levels.is_empty());
}

#[test]
fn a_saw_tooth_oscillates() {
    let mut recorder = Recorder::new();
    for _ in 0..5 {
        recorder.machine.used = 85.0;
        recorder.seconds(10);
        recorder.machine.used = 60.0;
        recorder.seconds(40);
    }
    let found = play(&recorder.file(), &[]);
    // Left 15 s after it calmed down, raised again 26 s later, four times.
    let again: Vec<(Level, u64)> =
        found.oscillations.levels.iter().map(|again| (again.level, again.after_ms)).collect();
    assert_eq!(again, [(Level::Warning, 26_000); 4]);
    assert_eq!(found.level_changes.len(), 10);
}

#[test]
fn a_slow_saw_tooth_does_not() {
    let mut recorder = Recorder::new();
    for _ in 0..3 {
        recorder.machine.used = 85.0;
        recorder.seconds(10);
        recorder.machine.used = 60.0;
        recorder.seconds(120);
    }
    let found = play(&recorder.file(), &[]);
    assert_eq!((found.oscillations.levels.len(), found.level_changes.len()), (0, 6));
}

#[test]
fn of_a_gap_nothing_is_known() {
    let mut recorder = Recorder::new();
    recorder.seconds(20);
    recorder.look(600_000);
    recorder.seconds(20);
    let found = play(&recorder.file(), &[]);
    assert_eq!((found.span.gaps, found.span.gap_ms), (1, 600_000));
    assert_eq!((found.span.covered_ms, found.span.samples), (39_000, 41));
    assert_eq!(seconds_at(&found, Level::Normal), 39);
}

#[test]
fn a_clock_that_begins_anew_is_a_gap_and_time_goes_on() {
    let mut recorder = Recorder::new();
    recorder.machine.millis = 500_000;
    recorder.machine.used = 85.0;
    recorder.seconds(20);
    recorder.machine.millis = 0;
    recorder.seconds(20);
    let found = play(&recorder.file(), &[]);
    assert_eq!((found.span.gaps, found.span.covered_ms), (1, 38_000));
    assert_eq!(found.level_changes.len(), 1);
}

#[test]
fn the_kernels_own_kills_stay() {
    let mut recorder = Recorder::new();
    two_models(&mut recorder, 30.0);
    recorder.seconds(10);
    recorder.machine.oom_kills = 2;
    recorder.seconds(20);
    recorder.machine.oom_kills = 3;
    recorder.seconds(5);
    let found = play(&recorder.file(), &[(20_500, unload("large:7b"))]);
    let kills = found.oom_kills;
    assert_eq!((kills.before_first_action, kills.after_first_action), (2, 1));
}

// ---------------------------------------------------------------- the model of the answer

#[test]
fn what_an_unloaded_model_held_is_taken_off_later_samples() {
    let mut recorder = Recorder::new();
    two_models(&mut recorder, 46.0);
    recorder.seconds(30);
    // It goes on to be used for other things: only then it would be short.
    settle(&mut recorder, 54.0);
    recorder.seconds(60);
    let file = recorder.file();
    let without = play(&file, &[]);
    assert_eq!(seconds_at(&without, Level::Critical), 58, "{:?}", without.level_changes);
    let found = play(&file, &[(20_500, unload("large:7b"))]);
    // 91.5 % less a quarter of the machine: never beyond 80 % again.
    let action = &found.actions[0];
    assert_eq!((action.verb, action.subject.as_str()), ("unload", "large:7b"));
    assert_eq!(action.expected_bytes, Some(Bytes::gib(4)));
    assert_eq!(action.modelled.unwrap().memory, Bytes::gib(4));
    assert_eq!((action.outcome.clone(), action.by_rule), (Some(Verdict::Done), false));
    assert_eq!((found.expected_bytes, found.freed_bytes), (Bytes::gib(4), Bytes::gib(4)));
    assert_eq!(seconds_at(&found, Level::Critical), 0);
    assert_eq!(modelled_seconds(&found), 69);
    assert_eq!(found.recorded_shortfall, without.recorded_shortfall);
    let (less, more) = (found.largest_shortfall.unwrap(), without.largest_shortfall.unwrap());
    // What it was short of before the unload is the recording's own.
    assert!(!less.modelled && less.bytes < more.bytes, "{less:?} {more:?}");
}

#[test]
fn until_the_recording_shows_it_gone() {
    let mut recorder = Recorder::new();
    let key = recorder.machine.load("large:7b", 'a', 4096);
    settle(&mut recorder, 30.0);
    recorder.seconds(60);
    recorder.machine.unlist("large:7b");
    recorder.machine.end_runner(key);
    settle(&mut recorder, 30.0);
    recorder.seconds(60);
    let found = play(&recorder.file(), &[(20_500, unload("large:7b"))]);
    // From the sample after the command to the first that shows it gone.
    assert_eq!(modelled_seconds(&found), 40);
    assert!(found.oscillations.models.is_empty());
}

#[test]
fn a_runner_that_grows_is_taken_off_as_large_as_it_has_become() {
    let mut recorder = Recorder::new();
    recorder.machine.load("leaky:7b", 'a', 2048);
    for _ in 0..200 {
        grow(&mut recorder, 40);
        settle(&mut recorder, 30.0);
        recorder.look(1000);
    }
    let file = recorder.file();
    assert!(seconds_at(&play(&file, &[]), Level::Warning) > 0);
    let found = play(&file, &[(20_500, unload("leaky:7b"))]);
    assert_eq!(seconds_at(&found, Level::Normal), 199);
    assert_eq!(found.actions[0].modelled.unwrap().memory, Bytes::mib(2048 + 20 * 40));
    assert!(found.recorded_shortfall.is_some() && found.largest_shortfall.is_none());
}

#[test]
fn a_model_loaded_anew_is_an_oscillation_and_counts_again() {
    let mut recorder = Recorder::new();
    let key = recorder.machine.load("large:7b", 'a', 4096);
    settle(&mut recorder, 60.0);
    recorder.seconds(40);
    // The server starts another runner of it: a larger context, say.
    recorder.machine.end_runner(key);
    recorder.machine.start_runner('a', 5120);
    settle(&mut recorder, 60.0);
    recorder.seconds(40);
    let found = play(&recorder.file(), &[(20_500, unload("large:7b"))]);
    let again = &found.oscillations.models[0];
    assert_eq!((again.how, again.model.as_str()), (Again::LoadedAnew, "large:7b"));
    assert!(again.after_ms >= 20_000 && again.after_ms < 30_000, "{again:?}");
    assert_eq!(modelled_seconds(&found), 20);
    // With the new one it is beyond the line again, and that is no model's doing.
    assert!(!found.level_changes.last().unwrap().modelled, "{:?}", found.level_changes);
    assert_eq!(found.largest_shortfall, found.recorded_shortfall);
}

#[test]
fn a_model_that_was_used_again_would_have_been_loaded_again() {
    let mut recorder = Recorder::new();
    two_models(&mut recorder, 30.0);
    recorder.seconds(50);
    let expires = recorder.machine.expiry(300);
    recorder.machine.loaded[0].expires = Some(expires);
    recorder.seconds(20);
    let found = play(&recorder.file(), &[(20_500, unload("large:7b"))]);
    let again = &found.oscillations.models;
    assert_eq!((again.len(), again[0].how, again[0].after_ms), (1, Again::Used, 31_000));
    assert_eq!(modelled_seconds(&found), 49, "its bytes stay off");
}

#[test]
fn a_busy_model_goes_when_it_is_through() {
    let mut recorder = Recorder::new();
    let key = recorder.machine.load("large:7b", 'a', 4096);
    settle(&mut recorder, 30.0);
    for second in 0..80 {
        if second < 50 {
            recorder.machine.work(key, 900);
        }
        recorder.look(1000);
    }
    let found = play(&recorder.file(), &[(20_500, unload("large:7b"))]);
    let modelled = modelled_seconds(&found);
    assert!((28..=30).contains(&modelled), "{modelled} s");
    assert!(found.actions[0].outcome.is_some());
}

#[test]
fn a_model_unloaded_and_loaded_again_is_as_large_as_at_first() {
    let mut recorder = Recorder::new();
    recorder.machine.load("leaky:7b", 'a', 2048);
    settle(&mut recorder, 58.0);
    recorder.seconds(10);
    for _ in 0..40 {
        grow(&mut recorder, 40);
        settle(&mut recorder, 58.0);
        recorder.look(1000);
    }
    recorder.seconds(60);
    let file = recorder.file();
    let found = play(&file, &[(50_500, unload("leaky:7b")), (54_500, load("leaky:7b"))]);
    let verbs: Vec<&str> = found.actions.iter().map(|action| action.verb).collect();
    assert_eq!(verbs, ["unload", "load"]);
    assert!(found.actions.iter().all(|action| action.outcome == Some(Verdict::Done)));
    // 58 % and 2 GiB are below the line, with 1.6 GiB of caches they are not.
    assert_eq!(found.level_changes.last().unwrap().to, Level::Normal);
    assert_eq!(modelled_seconds(&found), 59);
    assert!(found.oscillations.models.is_empty(), "our own load is none");
}

#[test]
fn a_model_that_the_recording_never_loads_takes_room_and_leaves_when_its_time_is_up() {
    let mut recorder = Recorder::new();
    recorder.machine.load("large:7b", 'a', 4096);
    recorder.machine.install("spare:3b", 'c');
    recorder.machine.installed[1].disk = Some(Bytes::gib(3));
    settle(&mut recorder, 40.0);
    recorder.seconds(400);
    let found = play(&recorder.file(), &[(20_500, load("spare:3b"))]);
    // 65 % and 3 GiB of 16 are 83.75 %, for the five minutes of a default keep.
    let levels: Vec<Level> = found.level_changes.iter().map(|change| change.to).collect();
    assert_eq!(levels, [Level::Warning, Level::Normal]);
    assert!(found.level_changes.iter().any(|change| change.modelled));
    assert!((299..=301).contains(&modelled_seconds(&found)), "{}", modelled_seconds(&found));
}

#[test]
fn rules_that_observe_or_ask_are_made_to_act_and_those_that_are_off_are_not() {
    let mut rules = Rules::of(Profile::Linux15, true);
    rules.levels[1].mode = RuleMode::Off;
    rules.levels[2].mode = RuleMode::Confirm;
    let kill_switch = rules.kill_switch.as_mut().unwrap();
    kill_switch.mode = RuleMode::Observe;
    let regime = acting(machine::regime(Profile::Linux15, rules))(None);
    let modes = regime.rules.levels.map(|rule| rule.mode);
    assert_eq!(modes, [RuleMode::Act, RuleMode::Off, RuleMode::Act, RuleMode::Act]);
    assert_eq!(regime.rules.kill_switch.map(|rule| rule.mode), Some(RuleMode::Act));
}

/// The rules of a profile as a simulation takes them.
fn ruled(file: &[u8], profile: Profile) -> Findings {
    let mut settings = machine::settings(profile);
    settings.regime_for = acting(machine::regime(profile, Rules::of(profile, false)));
    let mut simulation = Simulation::new(settings, Duration::from_secs(1));
    for entry in Reader::new(file).unwrap() {
        feed(&mut simulation, entry.unwrap());
    }
    simulation.finish()
}

#[test]
fn a_rule_unloads_what_is_enough_and_the_level_is_never_worse() {
    let file = trouble();
    let without = play(&file, &[]);
    assert!(seconds_at(&without, Level::Critical) > 0, "{:?}", without.levels);
    let found = ruled(&file, Profile::Linux15);
    let done: Vec<(&str, &str)> =
        found.actions.iter().map(|action| (action.verb, action.subject.as_str())).collect();
    assert_eq!(done, [("unload", "large:7b")], "one is enough, and a larger one before others");
    let action = &found.actions[0];
    assert_eq!((action.by_rule, action.level), (true, Level::Warning));
    assert_eq!((action.outcome.clone(), found.freed_bytes), (Some(Verdict::Done), Bytes::gib(4)));
    assert_eq!(seconds_at(&found, Level::Critical), 0);
    assert!(found.largest_shortfall.unwrap().bytes < without.largest_shortfall.unwrap().bytes);
    let careful = ruled(&file, Profile::Careful);
    assert_eq!(careful.actions.len(), 2, "{:?}", careful.actions);
}

/// A named process and a named container of 2 GiB each, and others that climb.
fn hogs() -> Vec<u8> {
    let mut recorder = Recorder::new();
    let mut hog = program(1);
    hog.name = "hog".into();
    hog.memory.anonymous = Some(Bytes::gib(2));
    recorder.machine.named = vec![hog];
    recorder.machine.groups = vec![Group {
        kind: GroupKind::Container { id: "c".repeat(64) },
        name: "media".into(),
        used: Some(Bytes::gib(2)),
        swapped: None,
        limit: None,
        oom_kills: None,
        stalled: None,
        is_paused: false,
    }];
    for second in 0..120 {
        recorder.machine.used = 76.0 + f64::from(second) * 0.5;
        recorder.look(1000);
    }
    recorder.file()
}

#[test]
fn what_is_ended_or_stopped_gives_back_what_it_held() {
    let mut rules = Rules::plain();
    for rule in &mut rules.levels[1..] {
        rule.mode = RuleMode::Act;
        rule.strength = Some(Strength::Force);
    }
    let allowed = |pattern: &str, measure| ComponentRule {
        pattern: pattern.into(),
        actions: vec![measure],
        ..ComponentRule::default()
    };
    let mut settings = machine::settings(Profile::Linux15);
    settings.regime_for = machine::regime(Profile::Linux15, rules);
    settings.components =
        vec![allowed("process:hog", Measure::Term), allowed("container:media", Measure::Stop)];
    let mut simulation = Simulation::new(settings, Duration::from_secs(1));
    for entry in Reader::new(&hogs()[..]).unwrap() {
        feed(&mut simulation, entry.unwrap());
    }
    let found = simulation.finish();
    let mut done: Vec<(&str, &str)> =
        found.actions.iter().map(|action| (action.verb, action.subject.as_str())).collect();
    done.sort_unstable();
    assert_eq!(done, [("end", "hog"), ("stop", "media")], "{:?}", found.actions);
    assert_eq!(found.freed_bytes, Bytes::gib(4));
    let without = play(&hogs(), &[]);
    assert!(seconds_at(&found, Level::Emergency) < seconds_at(&without, Level::Emergency));
}

#[test]
fn rules_that_observe_only_propose() {
    let mut settings = machine::settings(Profile::Linux15);
    settings.regime_for = machine::regime(Profile::Linux15, Rules::plain());
    let mut simulation = Simulation::new(settings, Duration::from_secs(1));
    for entry in Reader::new(&trouble()[..]).unwrap() {
        feed(&mut simulation, entry.unwrap());
    }
    let found = simulation.finish();
    assert!(found.actions.is_empty() && found.proposals > 0);
    assert_eq!(modelled_seconds(&found), 0);
}

// ---------------------------------------------------------------- the command

fn trace(home: &Home, name: &str, file: Vec<u8>) {
    home.write(name, &String::from_utf8(file).unwrap());
}

/// Others climb beside two models, and the kernel kills.
fn trouble() -> Vec<u8> {
    let mut recorder = Recorder::new();
    recorder.machine.others = (0..6).map(program).collect();
    two_models(&mut recorder, 35.0);
    for second in 0..180 {
        settle(&mut recorder, 35.0 + f64::from(second.min(140)) * 0.2);
        recorder.machine.oom_kills = u64::from(second > 150);
        recorder.look(1000);
    }
    recorder.file()
}

#[test]
fn two_runs_say_the_same_to_the_byte() {
    let home = Home::new();
    trace(&home, "trouble", trouble());
    trace(&home, "ordinary", ordinary(300));
    let demo = home.run(&["record", "demo", "--demo", "--for", "1500ms", "--interval", "100ms"]);
    assert_eq!(demo.code, 0, "{demo:?}");
    for name in ["trouble", "ordinary", "demo"] {
        for flags in [&[][..], &["--json"], &["--against-profile", "careful"]] {
            let arguments = [&["simulate", name][..], flags].concat();
            let (first, second) = (home.run(&arguments), home.run(&arguments));
            assert_eq!((first.code, first.err.as_str()), (0, ""), "{arguments:?}");
            assert_eq!(first.out, second.out, "{arguments:?}");
            assert!(first.is_plain() && first.out.lines().count() > 10, "{}", first.out);
        }
    }
}

#[test]
fn two_profiles_stand_side_by_side() {
    let home = Home::new();
    trace(&home, "trouble", trouble());
    home.write("second.toml", "profile = \"careful\"\n");
    let by_profile =
        home.run(&["simulate", "trouble", "--profile", "linux-15", "--against-profile", "careful"]);
    let by_file = home.run(&["simulate", "trouble", "--against", "second.toml", "--json"]);
    assert_eq!((by_profile.code, by_file.code), (0, 0), "{by_profile:?} {by_file:?}");
    for word in ["linux-15", "careful", "difference", "emergency", "largest shortfall"] {
        assert!(by_profile.out.contains(word), "{word}: {}", by_profile.out);
    }
    let json: Value = serde_json::from_str(&by_file.out).unwrap();
    let sides = json["sides"].as_array().unwrap();
    assert_eq!((json["schema_version"].as_u64(), sides.len()), (Some(1), 2));
    assert_eq!(sides[1]["config"], "second.toml");
    assert_eq!(sides[1]["profile"], "careful");
    for side in sides {
        let time: u64 =
            side["levels"].as_array().unwrap().iter().map(|l| l["time_ms"].as_u64().unwrap()).sum();
        assert_eq!(time, side["span"]["covered_ms"].as_u64().unwrap());
        let kills = &side["oom_kills"];
        let sum = |key: &str| kills[key].as_u64().unwrap();
        assert_eq!(sum("before_first_action") + sum("after_first_action"), 1);
    }
    let time = |side: usize| sides[side]["levels"][0]["time_ms"].as_i64().unwrap();
    assert_eq!(json["difference"]["levels"][0]["time_ms"].as_i64().unwrap(), time(1) - time(0));
}

#[test]
fn how_fast_it_went_is_said_only_if_asked() {
    let home = Home::new();
    trace(&home, "ordinary", ordinary(60));
    let timed = home.run(&["simulate", "ordinary", "--timing"]);
    assert!(timed.out.lines().last().unwrap().contains("× parsing"), "{}", timed.out);
    assert!(!home.run(&["simulate", "ordinary"]).out.contains("parsing"));
    let json: Value =
        serde_json::from_str(&home.run(&["simulate", "ordinary", "--timing", "--json"]).out)
            .unwrap();
    assert!(json["timing"]["samples_per_second"].as_u64().unwrap() > 0);
}

#[test]
fn what_cannot_be_simulated_says_why() {
    let home = Home::new();
    let good = String::from_utf8(ordinary(5)).unwrap();
    home.write("good", &good);
    home.write("empty", "");
    home.write("rubbish", "not a recording\n");
    home.write("newer", &good.replacen("\"version\":1", "\"version\":9", 1));
    home.write("headless", &format!("{}\n", good.lines().next().unwrap()));
    home.write("damaged", &format!("{good}rubbish\n{good}"));
    std::fs::create_dir(home.path("folder")).unwrap();
    for (name, wanted) in [
        ("empty", "the file is empty"),
        ("rubbish", "not the first line of a recording"),
        ("newer", "format 9"),
        ("headless", "no sample"),
        ("damaged", "rubbish"),
        ("folder", "directory"),
        ("nowhere", "No such file"),
    ] {
        let said = home.run(&["simulate", name]);
        let wanted = if name == "damaged" { "line " } else { wanted };
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains(wanted) && said.err.contains(name), "{said:?}");
    }
    // Its last line cut off, as by a crash: what is whole is simulated.
    home.write("cut", &good[..good.len() - 30]);
    assert_eq!(home.run(&["simulate", "cut"]).code, 0);
    for wrong in [
        &["simulate"][..],
        &["simulate", "good", "--profile", "none"],
        &["simulate", "good", "--against", "nowhere.toml"],
        &["simulate", "good", "--against", "x", "--against-profile", "careful"],
        &["simulate", "good", "--demo"],
        &["simulate", "good", "--rules", "perhaps"],
    ] {
        let said = home.run(wrong);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{wrong:?}: {said:?}");
    }
}
