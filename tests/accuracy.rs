//! `plimsoll accuracy` as a script and a person meet it: the program run on
//! histories that the store wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/shell.rs"]
mod shell;

use std::time::Duration;

use plimsoll::domain::fit::Placement;
use plimsoll::domain::{
    Bytes, ForecastOutcome, ForecastRecord, KvType, Level, LoadKey, LoadObserved, ModelName,
    SignalKind, Wall,
};
use plimsoll::store::{FILE, Lesson, Retention, Store};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::shell::Home;

const FOLDER: &str = "data/plimsoll";

fn now() -> Wall {
    "2026-01-15T14:02:11Z".parse().unwrap()
}

fn keep(home: &Home, lessons: impl IntoIterator<Item = Lesson>) {
    let retention = Retention { days: 30, bytes: Bytes::mib(64) };
    let folder = home.path(FOLDER);
    let (store, _) = Store::open(&folder, retention, now(), mpsc::channel(4).0).unwrap();
    for lesson in lessons {
        store.learn(lesson).unwrap();
    }
    assert!(store.close(Duration::from_secs(20)));
}

fn forecast(minute: u64, outcome: ForecastOutcome, after_ms: u64) -> Lesson {
    Lesson::Forecast(ForecastRecord {
        made: now() + Duration::from_secs(60 * minute),
        to: Level::Critical,
        signal: SignalKind::Available,
        soonest_ms: 120_000,
        latest_ms: 240_000,
        window_ms: 120_000,
        rate: 5.25e6,
        outcome,
        after_ms,
    })
}

fn load(name: &str, minute: u64, measured: u64) -> LoadObserved {
    LoadObserved {
        key: LoadKey {
            digest: format!("digest of {name}"),
            context: 4_096,
            parallel: 1,
            kv_type: KvType::F16,
            placement: Placement::Cpu,
            version: "0.30.1".into(),
        },
        model: ModelName::new(name),
        loaded: now() + Duration::from_secs(60 * minute),
        estimated_reported: Some(Bytes::mib(1_010)),
        estimated: Some(Bytes::mib(1_050)),
        expected: None,
        reported: Some(Bytes::mib(1_000)),
        measured: Bytes::mib(measured),
        peak: Bytes::mib(measured + 10),
        was_used: true,
    }
}

fn of_load(load: LoadObserved) -> Lesson {
    Lesson::Load(Box::new(load))
}

/// All outcomes, and three loads of which one was far off.
fn some_history(home: &Home) {
    use ForecastOutcome::{CutShort, FalseAlarm, Hit, Missed};
    let forecasts = [
        forecast(0, Hit, 60_000),
        forecast(10, Hit, 180_000),
        forecast(20, Hit, 300_000),
        forecast(30, FalseAlarm, 480_000),
        forecast(40, CutShort, 20_000),
        forecast(50, CutShort, 30_000),
        forecast(60, Missed, 0),
    ];
    let learned =
        LoadObserved { expected: Some(Bytes::mib(1_029)), ..load("qwen2.5:3b", 7, 1_050) };
    let loads = [load("qwen2.5:3b", 0, 1_000), load("gemma3:1b", 5, 1_400), learned];
    keep(home, forecasts.into_iter().chain(loads.map(of_load)));
}

#[track_caller]
fn report(home: &Home) -> Value {
    let said = home.run(&["accuracy", "--json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn nothing_yet_is_said_in_a_line_and_makes_nothing() {
    let home = Home::new();
    let said = home.run(&["accuracy"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with("nothing to judge by yet"), "{said:?}");
    assert_eq!(said.out.lines().count(), 1);
    assert!(!home.path(FOLDER).exists());
    let errors = json!({ "count": 0, "median_percent": null, "worst_percent": null });
    let nothing = json!({
        "schema_version": 1,
        "forecasts": {
            "hits": 0, "false_alarms": 0, "misses": 0, "cut_short": 0, "median_lead_ms": null,
            "time": errors,
        },
        "footprints": {
            "reported": errors, "estimated": errors, "expected": errors, "worst_models": [],
        },
    });
    assert_eq!(report(&home), nothing);
    // A history that holds nothing of the kind is no other.
    keep(&home, []);
    assert_eq!(home.run(&["accuracy"]).out, said.out);
    assert_eq!(report(&home), nothing);
}

#[test]
fn a_history_is_summed_up_for_a_program() {
    let home = Home::new();
    some_history(&home);
    let report = report(&home);
    // Three minutes were said of one, of three and of five.
    let time = json!({ "count": 3, "median_percent": 40.0, "worst_percent": 200.0 });
    let forecasts = json!({
        "hits": 3, "false_alarms": 1, "misses": 1, "cut_short": 2, "median_lead_ms": 180_000,
        "time": time,
    });
    assert_eq!(report["forecasts"], forecasts);
    let footprints = &report["footprints"];
    let rounded = |value: &Value| (value.as_f64().unwrap() * 100.0).round() / 100.0;
    let errors = |figure: &str| {
        let errors = &footprints[figure];
        (
            errors["count"].clone(),
            rounded(&errors["median_percent"]),
            rounded(&errors["worst_percent"]),
        )
    };
    assert_eq!(errors("reported"), (json!(3), 1.0, 1.0));
    // 1050 said of 1000, of 1400 and of 1050.
    assert_eq!(errors("estimated"), (json!(3), 5.0, 25.0));
    assert_eq!(errors("expected"), (json!(1), 2.0, 2.0));
    let worst = footprints["worst_models"].as_array().unwrap();
    assert_eq!(worst[0]["name"], "gemma3:1b");
    assert_eq!(rounded(&worst[0]["error_percent"]), -25.0);
}

#[test]
fn what_never_worked_is_held_against_no_figure_of_the_process() {
    let home = Home::new();
    let unused = LoadObserved { was_used: false, ..load("tiny", 0, 500) };
    keep(&home, [unused].map(of_load));
    let report = report(&home);
    let counts =
        ["reported", "estimated", "expected"].map(|figure| &report["footprints"][figure]["count"]);
    assert_eq!(counts, [1, 0, 0]);
    assert_eq!(report["footprints"]["worst_models"], json!([]));
}

#[test]
fn a_history_is_summed_up_for_a_person() {
    let home = Home::new();
    some_history(&home);
    let said = home.run(&["accuracy"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let lines: Vec<&str> = said.out.lines().collect();
    let expected = "forecasts   6 shown: 3 hits, 1 false alarm, 2 cut short; 1 miss";
    assert_eq!(lines[0], expected);
    assert_eq!(lines[1], "lead time   3 min, 40 % off at the median");
    let row = |label: &str| {
        let line = lines.iter().find(|line| line.trim_start().starts_with(label)).unwrap();
        line.split_whitespace().take(6).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("reported"), "reported 3 1.0 % 1.0 %");
    assert_eq!(row("estimated"), "estimated 3 5.0 % 25.0 %");
    assert_eq!(row("expected"), "expected 1 2.0 % 2.0 %");
    assert!(row("gemma3:1b").contains("-25.0 %"), "{said:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", said.out);
}

#[test]
fn it_says_which_half_is_missing() {
    let home = Home::new();
    keep(&home, [forecast(0, ForecastOutcome::CutShort, 1_000)]);
    let said = home.run(&["accuracy"]).out;
    assert!(said.contains("1 shown: 0 hits, 0 false alarms, 1 cut short; 0 misses"), "{said}");
    assert!(said.contains("no load was observed yet"), "{said}");
    assert!(!said.contains("lead time"), "{said}");
    let home = Home::new();
    keep(&home, [of_load(load("tiny", 0, 1_000))]);
    let said = home.run(&["accuracy"]).out;
    assert!(said.contains("none has come to its end yet"), "{said}");
    assert!(said.contains("—"), "{said}");
}

#[test]
fn a_hostile_name_neither_moves_the_cursor_nor_fills_the_line() {
    let home = Home::new();
    let hostile = format!("a\u{1b}[2J\u{202e}{}", "w".repeat(500));
    keep(&home, [of_load(load(&hostile, 0, 1_500))]);
    let said = home.run(&["accuracy"]);
    assert!(said.is_plain(), "{said:?}");
    assert!(said.out.lines().all(|line| line.chars().count() <= 110), "{}", said.out);
}

#[test]
fn a_history_that_cannot_be_read_is_an_error_that_names_it() {
    let home = Home::new();
    home.write(&format!("{FOLDER}/{FILE}"), &"no database at all ".repeat(100));
    let said = home.run(&["accuracy"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains(FILE) && said.err.contains("damaged"), "{said:?}");
    // It was left as it is.
    let text = std::fs::read_to_string(home.path(FOLDER).join(FILE)).unwrap();
    assert!(text.starts_with("no database"));
}

#[test]
fn only_this_machine_has_a_history() {
    let home = Home::new();
    for arguments in [&["accuracy", "--demo"][..], &["accuracy", "--replay", "x"]] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(said.err.contains("history"), "{said:?}");
    }
    let said = home.run(&["accuracy", "--help"]);
    assert!(said.out.lines().all(|line| line.chars().count() <= 80), "{}", said.out);
}
