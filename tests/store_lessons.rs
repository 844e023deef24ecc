//! What was learned, on a real file in a temporary folder: loads, forecasts
//! and metadata survive a restart, and none of them crowds out the rest.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use plimsoll::domain::event::{Event, EventBody};
use plimsoll::domain::fit::Placement;
use plimsoll::domain::model::ModelDetails;
use plimsoll::domain::shape::{PerLayer, Shape};
use plimsoll::domain::{
    Bytes, ForecastOutcome, ForecastRecord, KvType, Level, LoadKey, LoadObserved, ModelName,
    SignalKind, Wall,
};
use plimsoll::store::{FILE, Lesson, Restored, Retention, Store, StoreError};
use tokio::sync::mpsc;

const KEEP: Retention = Retention { days: 30, bytes: Bytes::mib(64) };
const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Wall {
    "2026-01-15T14:02:11.123456789Z".parse().unwrap()
}

fn open_keeping(folder: &Path, retention: Retention) -> (Store, Restored) {
    Store::open(folder, retention, now(), mpsc::channel(4).0).unwrap()
}

fn open(folder: &Path) -> (Store, Restored) {
    open_keeping(folder, KEEP)
}

fn close(store: Store) {
    assert!(store.close(Duration::from_secs(60)));
}

fn raw(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join(FILE)).unwrap()
}

fn count(folder: &Path, table: &str) -> u32 {
    raw(folder).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Waits where too much waits for the disk.
fn learn(store: &Store, lesson: Lesson) {
    while let Err(fault) = store.learn(lesson.clone()) {
        assert!(matches!(fault, StoreError::Busy));
        std::thread::yield_now();
    }
}

fn key(digest: &str, context: u64) -> LoadKey {
    LoadKey {
        digest: digest.into(),
        context,
        parallel: 1,
        kv_type: KvType::Q8_0,
        placement: Placement::Cpu,
        version: "0.30.1".into(),
    }
}

fn load(key: LoadKey, loaded: Wall) -> LoadObserved {
    LoadObserved {
        key,
        model: ModelName::new("qwen2.5:3b"),
        loaded,
        estimated_reported: Some(Bytes::mib(2_100)),
        estimated: Some(Bytes::mib(2_200)),
        expected: None,
        reported: Some(Bytes::mib(2_110)),
        measured: Bytes::mib(2_250),
        peak: Bytes::mib(2_300),
        was_used: true,
    }
}

fn forecast(made: Wall, outcome: ForecastOutcome) -> ForecastRecord {
    ForecastRecord {
        made,
        to: Level::Critical,
        signal: SignalKind::Available,
        soonest_ms: 120_000,
        latest_ms: 240_000,
        window_ms: 120_000,
        rate: 5.25e6,
        outcome,
        after_ms: 150_000,
    }
}

fn details(layers: usize) -> ModelDetails {
    let heads_kv = PerLayer::Each((0..layers as u64).collect());
    let shape = Shape { architecture: "llama".into(), heads_kv, ..Shape::default() };
    ModelDetails {
        architecture: Some("llama".into()),
        max_context: Some(32_768),
        shape: Some(Box::new(shape)),
        own_context: Some(8_192),
        ..ModelDetails::default()
    }
}

fn of_details(digest: &str, details: ModelDetails) -> Lesson {
    Lesson::Details { digest: digest.into(), details: Box::new(details) }
}

#[test]
fn what_was_learned_is_there_again_after_a_restart_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (store, empty) = open(folder.path());
    assert_eq!((empty.loads, empty.forecasts, empty.details), (vec![], vec![], vec![]));
    let loads = [load(key("b", 4_096), now() - 2 * DAY), load(key("a", 8_192), now() - DAY)];
    let forecasts =
        [forecast(now() - DAY, ForecastOutcome::Hit), forecast(now(), ForecastOutcome::Missed)];
    // Written in another order than they happened.
    for index in [1, 0] {
        learn(&store, Lesson::Load(Box::new(loads[index].clone())));
        learn(&store, Lesson::Forecast(forecasts[index].clone()));
    }
    learn(&store, of_details("z", details(4)));
    learn(&store, of_details("a", ModelDetails::default()));
    close(store);

    let seen = Store::look(folder.path()).unwrap();
    let (store, restored) = open(folder.path());
    assert_eq!(restored, seen);
    assert_eq!(restored.loads, loads);
    assert_eq!(restored.forecasts, forecasts);
    let expected = [("z".to_owned(), details(4)), ("a".to_owned(), ModelDetails::default())];
    assert_eq!(restored.details, expected);
    close(store);
}

#[test]
fn a_load_of_the_same_key_and_time_is_replaced_and_any_other_is_kept_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let first = load(key("a", 4_096), now() - DAY);
    let others = [
        LoadKey { parallel: 2, ..first.key.clone() },
        LoadKey { kv_type: KvType::F16, ..first.key.clone() },
        LoadKey { placement: Placement::Gpu, ..first.key.clone() },
        LoadKey { version: "0.31.0".into(), ..first.key.clone() },
        key("a", 8_192),
        key("b", 4_096),
    ];
    learn(&store, Lesson::Load(Box::new(first.clone())));
    for other in &others {
        learn(&store, Lesson::Load(Box::new(load(other.clone(), now() - DAY))));
    }
    learn(&store, Lesson::Load(Box::new(load(first.key.clone(), now()))));
    close(store);
    // As it leaves, in a later run.
    let (store, restored) = open(folder.path());
    assert_eq!(restored.loads.len(), 8);
    let left = LoadObserved { peak: Bytes::gib(3), ..first.clone() };
    learn(&store, Lesson::Load(Box::new(left.clone())));
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.loads.len(), 8);
    assert!(restored.loads.contains(&left));
    assert!(!restored.loads.contains(&first));
    close(store);
}

#[test]
fn a_forecast_is_counted_once_and_details_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let told = forecast(now(), ForecastOutcome::Hit);
    let other = ForecastRecord { to: Level::Emergency, ..told.clone() };
    for record in [&told, &other, &told] {
        learn(&store, Lesson::Forecast(record.clone()));
    }
    for layers in [1, 2] {
        learn(&store, of_details("a", details(layers)));
        learn(&store, of_details("b", details(layers)));
    }
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.forecasts.len(), 2);
    assert!(restored.forecasts.contains(&told) && restored.forecasts.contains(&other));
    assert_eq!(restored.details, ["a", "b"].map(|digest| (digest.to_owned(), details(2))));
    close(store);
}

/// A history as the second version left it.
fn second_version(folder: &Path) {
    let (store, _) = open(folder);
    let body = EventBody::Note { text: "of an older plimsoll".into() };
    store.record_event(Event { seq: 1, time: now(), body }).unwrap();
    close(store);
    raw(folder)
        .execute_batch(
            "DROP TABLE loads; DROP TABLE forecasts; DROP TABLE details;
             DROP TABLE minutes; DROP TABLE counts; DROP TABLE components; DROP TABLE held;
             PRAGMA user_version = 2;",
        )
        .unwrap();
}

#[test]
fn a_history_of_the_second_version_is_looked_at_as_it_is_and_brought_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    second_version(folder.path());
    let before = std::fs::read(folder.path().join(FILE)).unwrap();
    let seen = Store::look(folder.path()).unwrap();
    assert_eq!((seen.events.len(), seen.loads.len(), seen.details.len()), (1, 0, 0));
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), before);

    let (store, restored) = open(folder.path());
    assert_eq!(restored, seen);
    let observed = load(key("a", 4_096), now());
    learn(&store, Lesson::Load(Box::new(observed.clone())));
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!((restored.events, restored.loads), (seen.events, vec![observed]));
    close(store);
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for context in 1..=6 {
        learn(&store, Lesson::Load(Box::new(load(key("a", context), now()))));
        let made = now() - Duration::from_secs(context);
        learn(&store, Lesson::Forecast(forecast(made, ForecastOutcome::FalseAlarm)));
        learn(&store, of_details(&context.to_string(), details(2)));
    }
    close(store);
    let spoilt = raw(folder.path());
    for (place, body) in
        ["'{}'", "''", "x'fffe'", "CAST(x'22ff22' AS TEXT)", "'[['"].into_iter().enumerate()
    {
        for table in ["loads", "forecasts", "details"] {
            let one = format!("SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET {place}");
            let changed = spoilt
                .execute(&format!("UPDATE {table} SET body = {body} WHERE rowid = ({one})"), []);
            assert_eq!(changed, Ok(1));
        }
    }
    // Something that a newer plimsoll may have put beside.
    let more = r#"UPDATE loads SET body = '{"more":1,' || substr(body, 2) WHERE context = 6"#;
    assert_eq!(spoilt.execute(more, []), Ok(1));
    drop(spoilt);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.loads, [load(key("a", 6), now())]);
    assert_eq!(restored.forecasts.len(), 1);
    assert_eq!(restored.details, [("6".to_owned(), details(2))]);
    close(store);
}

#[test]
fn what_is_too_long_is_neither_written_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    learn(&store, of_details("long", details(100_000)));
    learn(&store, of_details(&"x".repeat(300), details(1)));
    let long = "y".repeat(300);
    learn(&store, Lesson::Load(Box::new(load(key(&long, 1), now()))));
    learn(&store, of_details("a", details(1)));
    learn(&store, of_details("b", details(1)));
    close(store);
    assert_eq!((count(folder.path(), "details"), count(folder.path(), "loads")), (2, 0));
    // It is valid JSON still, and nobody wrote it.
    let longer = "UPDATE details SET body = body || printf('%.300000c', ' ') WHERE digest = 'a'";
    assert_eq!(raw(folder.path()).execute(longer, []), Ok(1));
    let (store, restored) = open(folder.path());
    assert_eq!(restored.details, [("b".to_owned(), details(1))]);
    close(store);
}

#[test]
fn only_so_many_are_restored_and_the_newest_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let at = |second: u64| now() - 2 * DAY + Duration::from_secs(second);
    for second in 0..5_200 {
        learn(&store, Lesson::Load(Box::new(load(key("a", 4_096), at(second)))));
        learn(&store, Lesson::Forecast(forecast(at(second), ForecastOutcome::Hit)));
    }
    for number in 0..1_100 {
        learn(&store, of_details(&number.to_string(), details(1)));
    }
    close(store);
    let (store, restored) = open(folder.path());
    let loaded: Vec<Wall> = restored.loads.iter().map(|load| load.loaded).collect();
    assert_eq!(loaded, (3_200..5_200).map(at).collect::<Vec<_>>());
    let made: Vec<Wall> = restored.forecasts.iter().map(|record| record.made).collect();
    assert_eq!(made, (200..5_200).map(at).collect::<Vec<_>>());
    let digests: Vec<&str> = restored.details.iter().map(|(digest, _)| digest.as_str()).collect();
    let expected: Vec<String> = (100..1_100).map(|number| number.to_string()).collect();
    assert_eq!(digests, expected);
    close(store);
    let kept = ["loads", "forecasts", "details"].map(|table| count(folder.path(), table));
    assert_eq!(kept, [5_000, 5_000, 1_000]);
}

#[test]
fn forecasts_go_with_their_time_and_loads_stay_a_year() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for days in [1, 29, 31, 364, 366] {
        learn(&store, Lesson::Load(Box::new(load(key("a", 4_096), now() - days * DAY))));
        learn(&store, Lesson::Forecast(forecast(now() - days * DAY, ForecastOutcome::Hit)));
    }
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!((restored.loads.len(), restored.forecasts.len()), (4, 2));
    close(store);
    // Who keeps everything longer keeps loads longer too.
    let (store, _) = open_keeping(folder.path(), Retention { days: 3_650, ..KEEP });
    learn(&store, Lesson::Load(Box::new(load(key("a", 4_096), now() - 366 * DAY))));
    close(store);
    let long = Retention { days: 3_650, ..KEEP };
    let (store, restored) = open_keeping(folder.path(), long);
    assert_eq!(restored.loads.len(), 5);
    close(store);
}

#[test]
fn neither_what_was_learned_nor_events_drive_the_other_out() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for number in 0..300_u32 {
        learn(&store, of_details(&number.to_string(), details(2_000)));
        let body = EventBody::Note { text: "x".repeat(8 * 1024) };
        let event = Event { seq: u64::from(number) + 1, time: now(), body };
        while store.record_event(event.clone()).is_err() {
            std::thread::yield_now();
        }
        if number < 50 {
            let loaded = now() - Duration::from_secs(u64::from(number));
            learn(&store, Lesson::Load(Box::new(load(key("a", 4_096), loaded))));
        }
    }
    close(store);
    let limit = Bytes::mib(1);
    let (store, restored) = open_keeping(folder.path(), Retention { days: 30, bytes: limit });
    close(store);
    let size = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    assert!(size <= limit.get(), "{size}");
    assert_eq!(restored.loads.len(), 50);
    assert!(restored.events.len() > 50, "{}", restored.events.len());
    assert!(restored.details.len() > 5, "{}", restored.details.len());
    assert_eq!(restored.details.last().unwrap().0, "299");
}
