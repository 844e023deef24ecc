//! `report`: the story of a day, from a history that is known.

use std::time::Duration;

use plimsoll::domain::event::{Event, EventBody, GoneWhy, Origin};
use plimsoll::domain::fit::Placement;
use plimsoll::domain::level::{Cause, SignalKind};
use plimsoll::domain::past::{Count, Counted, Minute};
use plimsoll::domain::plan::{Action, ActionId, Keep, Outcome, Verdict};
use plimsoll::domain::{
    Bytes, ComponentKind, ForecastOutcome, ForecastRecord, KvType, Level, LoadKey, LoadObserved,
    ModelName, ProcessKey, Wall,
};
use plimsoll::store::{Lesson, Retention, Store};

use super::history::{minute, remember};
use super::*;

/// Would be a table, a link and a command.
const HOSTILE: &str = "evil|`rm`[x](y)<b>";

fn outcome(action: Action, expected: u64, freed: Option<u64>, result: Verdict) -> Box<Outcome> {
    Box::new(Outcome {
        action,
        expected: Some(Bytes::gib(expected)),
        available_before: None,
        available_after: None,
        freed: freed.map(Bytes::gib),
        took: Duration::from_millis(1_500),
        result,
        output: None,
    })
}

fn unload(model: &str) -> Action {
    Action::Unload { model: ModelName::new(model) }
}

/// What happened, and so many minutes ago.
fn happened() -> Vec<(u64, EventBody)> {
    let ended =
        |id, outcome| EventBody::ActionEnded { id: ActionId(id), outcome, by: Origin::Rule };
    let started = |id, model| EventBody::ActionStarted {
        id: ActionId(id),
        action: unload(model),
        by: Origin::Person,
        expected: Some(Bytes::gib(1)),
    };
    let load =
        Action::Load { model: ModelName::new("big:70b"), keep: Keep::Default, context: None };
    let cause = Cause { signal: SignalKind::Memory, text: "memory 81 %".into() };
    let change = |from, to, cause| EventBody::LevelChanged { from, to, cause, lasted_ms: 60_000 };
    let failed = Verdict::Failed { detail: "the server said no".into() };
    vec![
        (3_000, EventBody::OomKill { count: 7 }),
        (170, EventBody::Started { version: "0".into() }),
        (160, EventBody::ModelLoaded { model: "tiny:1b".into(), reported: None }),
        (120, change(Level::Normal, Level::Warning, Some(cause))),
        (119, started(1, "tiny:1b")),
        (119, ended(1, outcome(unload("tiny:1b"), 3, Some(2), Verdict::Done))),
        (118, ended(2, outcome(unload(HOSTILE), 4, None, Verdict::Unconfirmed))),
        (117, ended(3, outcome(unload("stuck:1b"), 1, None, failed))),
        (116, ended(4, outcome(load, 40, None, Verdict::Done))),
        (
            115,
            EventBody::LoadRefused {
                model: "huge".into(),
                need: Bytes::gib(90),
                lacks: Bytes::gib(80),
            },
        ),
        (110, started(5, "cut-off")),
        (100, change(Level::Warning, Level::Normal, None)),
        (95, EventBody::OomKill { count: 2 }),
        (90, EventBody::ModelGone { model: "tiny:1b".into(), why: GoneWhy::Asked, freed: None }),
    ]
}

fn counted(name: &str, pid: u32, mib: u64) -> Counted {
    Counted {
        id: format!("process:{name}"),
        name: name.into(),
        kind: ComponentKind::Process,
        process: Some(ProcessKey { pid, started: 7 }),
        bytes: Bytes::mib(mib),
    }
}

fn learned(now: Wall) -> Vec<Lesson> {
    let ago = |minutes: u64| now - Duration::from_secs(60 * minutes);
    let load = LoadObserved {
        key: LoadKey {
            digest: "a".into(),
            context: 4096,
            parallel: 1,
            kv_type: KvType::F16,
            placement: Placement::Cpu,
            version: "0.30.1".into(),
        },
        model: ModelName::new(HOSTILE),
        loaded: ago(150),
        estimated_reported: None,
        estimated: Some(Bytes::mib(1_100)),
        expected: None,
        reported: None,
        measured: Bytes::mib(1_000),
        peak: Bytes::mib(1_050),
        was_used: true,
    };
    let forecast = |minutes, outcome| {
        Lesson::Forecast(ForecastRecord {
            made: ago(minutes),
            to: Level::Warning,
            signal: SignalKind::Memory,
            soonest_ms: 60_000,
            latest_ms: 120_000,
            window_ms: 120_000,
            rate: 1e6,
            outcome,
            after_ms: 90_000,
        })
    };
    let count = |minutes, mib| {
        let rows = vec![counted("leaky", 1, mib), counted(HOSTILE, 2, 100 + mib / 2)];
        Lesson::Count(Count { at: ago(minutes), rows })
    };
    vec![
        Lesson::Load(Box::new(load)),
        forecast(122, ForecastOutcome::Hit),
        forecast(80, ForecastOutcome::FalseAlarm),
        forecast(4_000, ForecastOutcome::Missed),
        count(130, 100),
        count(120, 900),
        count(110, 400),
    ]
}

/// Three hours of a day that are known, less the last one.
fn day(home: &Home) -> Wall {
    let now = Wall::now();
    let newest = Minute::number_at(now);
    let level = |ago| if (100..120).contains(&ago) { Level::Warning } else { Level::Normal };
    let minutes =
        (60..170).rev().map(|ago| minute(newest - ago, if ago == 105 { 2 } else { 8 }, level(ago)));
    let mut lessons = learned(now);
    lessons.push(Lesson::Minutes(minutes.collect()));
    remember(home, lessons);
    let retention = Retention { days: 30, bytes: Bytes::mib(64) };
    let health = tokio::sync::mpsc::channel(4).0;
    let (store, _) = Store::open(&home.path("data/plimsoll"), retention, now, health).unwrap();
    for (seq, (minutes, body)) in (1..).zip(happened()) {
        let event = Event { seq, time: now - Duration::from_secs(60 * minutes), body };
        while store.record_event(event.clone()).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(store.close(Duration::from_secs(20)));
    now
}

fn without_findings(report: &Value) -> Value {
    let mut report = report.clone();
    report.as_object_mut().unwrap().remove("findings").unwrap();
    report
}

#[test]
fn a_report_tells_levels_actions_growers_and_what_was_foretold() {
    let home = Home::new();
    day(&home);
    let report = object(&alone(&home, &["report", "--json"]));
    // What the doctor finds depends on the machine; `schema.json` has its shape.
    let story = without_findings(&report);
    insta::assert_snapshot!("report_shape", shape(&story, 0));
    let levels = &report["levels"];
    assert_eq!(
        (&levels["normal_seconds"], &levels["warning_seconds"]),
        (&json!(5400), &json!(1200))
    );
    assert_eq!(levels["changes"].as_array().unwrap().len(), 2);
    assert_eq!(report["record"]["seen_seconds"], json!(6600));
    let gaps = report["record"]["gaps"].as_array().unwrap();
    let began: Vec<_> = gaps.iter().map(|gap| &gap["ended_by_start"]).collect();
    assert_eq!(began, [&json!(true), &Value::Null], "before the first, and up to now");
    let actions = &report["actions"];
    let counts = |names: &[&str]| -> Vec<u64> {
        names.iter().map(|name| actions[name].as_u64().unwrap()).collect()
    };
    assert_eq!(counts(&["begun", "done", "unconfirmed", "failed", "open"]), [5, 2, 1, 1, 1]);
    assert_eq!(counts(&["already", "stuck", "still_generating", "refused_loads"]), [0, 0, 0, 1]);
    let gib = |gib: u64| gib << 30;
    let bytes = counts(&["expected_bytes", "freed_bytes", "unconfirmed_bytes"]);
    assert_eq!(bytes, [gib(8), gib(2), gib(4)], "a load frees nothing");
    assert_eq!(report["oom_kills"]["count"], json!(2), "those of that time");
    assert_eq!(report["memory"]["least_available"]["bytes"], json!(gib(2)));
    let growers = report["growers"]["list"].as_array().unwrap();
    let leaky = &growers[0];
    let mib = |of: &str| leaky[of]["bytes"].as_u64().unwrap() >> 20;
    assert_eq!(
        (leaky["id"].as_str(), mib("first"), mib("peak"), mib("last")),
        (Some("process:leaky"), 100, 900, 400)
    );
    assert_eq!(leaky["is_there"], json!(true));
    let load = &report["loads"]["list"][0];
    assert_eq!((&report["loads"]["seen"], &load["error_percent"]), (&json!(1), &json!(10.0)));
    let forecasts = &report["forecasts"];
    assert_eq!((&forecasts["hits"], &forecasts["false_alarms"]), (&json!(1), &json!(1)));
    assert_eq!((&forecasts["misses"], &forecasts["median_lead_ms"]), (&json!(0), &json!(90_000)));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings[0]["severity"], json!("error"), "the gravest first");
    let is_it = |finding: &Value| finding["id"] == json!("server-reachable");
    assert!(findings.iter().any(is_it), "nobody answers here: {findings:?}");
    let is_open = |finding: &Value| !matches!(finding["severity"].as_str(), Some("ok" | "skipped"));
    assert!(findings.iter().all(is_open), "{findings:?}");
}

#[test]
fn a_shorter_report_is_of_that_time_alone() {
    let home = Home::new();
    day(&home);
    let report = object(&alone(&home, &["report", "--json", "--since", "98m"]));
    let actions = &report["actions"];
    assert_eq!((&actions["begun"], &actions["list"]), (&json!(0), &json!([])));
    assert_eq!(report["levels"]["changes"], json!([]));
    assert_eq!((&report["growers"]["counts"], &report["loads"]["seen"]), (&json!(0), &json!(0)));
    let seen = report["record"]["seen_seconds"].as_u64().unwrap();
    assert!((30 * 60..=40 * 60).contains(&seen), "{seen}");
}

#[test]
fn a_report_ends_where_it_is_told_to_and_sees_no_more_than_its_time() {
    let home = Home::new();
    let newest = Minute::number_at(day(&home));
    let time = |ago: i64, seconds| {
        (Minute::start_of(newest - ago) + Duration::from_secs(seconds)).to_string()
    };
    let of = |since: &str, until: &str| {
        object(&alone(&home, &["report", "--json", "--since", since, "--until", until]))
    };
    // Begun and ended within a minute: whole ones are told of.
    let report = of(&time(90, 31), &time(81, 12));
    assert_eq!((&report["since"], &report["until"]), (&json!(time(90, 0)), &json!(time(80, 0))));
    let record = &report["record"];
    assert_eq!((&record["seen_seconds"], &record["of_seconds"]), (&json!(600), &json!(600)));
    let ahead = object(&alone(&home, &["report", "--json", "--until", "2999-01-01"]));
    let until: Wall = ahead["until"].as_str().unwrap().parse().unwrap();
    assert!(until <= Wall::now(), "{ahead}");
    for wrong in
        [["--since", "1h", "--until", "2h"], ["--since", "2999-01-01", "--until", "3000-01-01"]]
    {
        let said = alone(&home, &[&["report"][..], &wrong[..]].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    }
}

#[test]
fn a_page_of_text_fits_its_terminal() {
    let home = Home::new();
    day(&home);
    for columns in [40, 80] {
        let mut command = home.command(&["report"]);
        command.env("OLLAMA_HOST", NOBODY).env("COLUMNS", columns.to_string());
        let said = said(command);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns, "{widest} of {columns}:\n{}", said.out);
        assert!(said.is_plain(), "{said:?}");
        let lines = |name: &str| said.out.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(
            (lines("report "), lines("levels "), lines("grower ")),
            (1, 1, 2),
            "{}",
            said.out
        );
        assert_eq!((lines("action "), lines("change "), lines("gap ")), (6, 2, 2), "{}", said.out);
    }
    let piped = alone(&home, &["report"]);
    assert!(
        piped.out.contains("2.0 GiB came back, 8.0 GiB expected, 4.0 GiB of it unconfirmed"),
        "{piped:?}"
    );
}

#[test]
fn markdown_is_tables_that_no_name_breaks() {
    let home = Home::new();
    day(&home);
    let said = alone(&home, &["report", "--markdown"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let mut columns = None;
    let mut rows = 0;
    for line in said.out.lines() {
        let cells = line.replace("\\|", "").matches('|').count();
        match line.starts_with('|') {
            true => {
                assert_eq!(*columns.get_or_insert(cells), cells, "{line}");
                assert!(line.ends_with('|'), "{line}");
                rows += 1;
            }
            false => {
                assert_eq!(cells, 0, "{line}");
                columns = None;
            }
        }
    }
    assert!(rows > 20, "{}", said.out);
    assert!(said.out.contains("evil\\|\\`rm\\`\\[x\\](y)&lt;b&gt;"), "{}", said.out);
    assert!(!said.out.contains("<b>") && said.is_plain(), "{}", said.out);
}

#[test]
fn where_nothing_is_kept_it_is_said_and_is_no_error() {
    let home = Home::new();
    let said = alone(&home, &["report"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.contains("recorded  nothing"), "{said:?}");
    let report = object(&alone(&home, &["report", "--json"]));
    assert_eq!((&report["memory"], &report["record"]["seen_seconds"]), (&Value::Null, &json!(0)));
    assert!(!home.path("data/plimsoll").exists(), "a look makes nothing");
    home.write("data/plimsoll/history.db", "garbage, and long enough to be taken for a header.");
    let said = alone(&home, &["report"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("damaged"), "{said:?}");
}

#[test]
fn a_guard_at_work_is_asked_for_what_it_has_seen() {
    let home = Home::new();
    let guard = Guard::start(&home);
    let begun = Instant::now();
    let seen = loop {
        let report = object(&alone(&home, &["report", "--json", "--since", "1h"]));
        let seen = report["record"]["seen_seconds"].as_u64().unwrap();
        if seen > 0 {
            break seen;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "{report}");
        std::thread::sleep(Duration::from_millis(100));
    };
    drop(guard);
    let report = object(&alone(&home, &["report", "--json", "--since", "1h"]));
    assert!(report["record"]["seen_seconds"].as_u64() >= Some(seen), "{report}");
    assert!(report["memory"]["most_used"]["bytes"].as_u64() > Some(0), "{report}");
}
