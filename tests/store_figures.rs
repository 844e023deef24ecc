//! The past as figures, on a real file in a temporary folder: an older history
//! is brought to this form or only looked at, minutes seen in parts become
//! one, and figures drive out no event.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use plimsoll::domain::event::{Event, EventBody};
use plimsoll::domain::past::{Count, Counted, Figures, Minute, Spent, Stretch};
use plimsoll::domain::{Bytes, ComponentKind, Level, ProcessKey, Wall};
use plimsoll::store::{FILE, Lesson, Restored, Retention, Store, StoreError};
use tokio::sync::mpsc;

const KEEP: Retention = Retention { days: 30, bytes: Bytes::mib(64) };
const DAY: Duration = Duration::from_secs(86_400);
const ALWAYS: (Wall, Wall) = (Wall::MIN, Wall::MAX);

/// What version 3 had, as it wrote it.
const VERSION_3: &str = include_str!("data/history-v3.sql");

fn now() -> Wall {
    "2026-01-15T14:02:11.123456789Z".parse().unwrap()
}

fn open(folder: &Path) -> (Store, Restored) {
    open_keeping(folder, KEEP)
}

fn open_keeping(folder: &Path, retention: Retention) -> (Store, Restored) {
    Store::open(folder, retention, now(), mpsc::channel(4).0).unwrap()
}

fn close(store: Store) {
    assert!(store.close(Duration::from_secs(60)));
}

fn raw(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join(FILE)).unwrap()
}

fn count(folder: &Path, table: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM {table}");
    raw(folder).query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

/// Waits where too much waits for the disk.
fn learn(store: &Store, lesson: Lesson) {
    while let Err(fault) = store.learn(lesson.clone()) {
        assert!(matches!(fault, StoreError::Busy));
        std::thread::yield_now();
    }
}

fn spent(level: Level, seconds: u64) -> Spent {
    let mut spent = Spent::default();
    spent.add(level, Duration::from_secs(seconds));
    spent
}

fn minute(time: Wall, available: u64, level: Level, seconds: u64) -> Minute {
    let was = Stretch {
        available: Some(Bytes::mib(available)),
        used: Some(Bytes::mib(16_384 - available)),
        total: Some(Bytes::mib(16_384)),
        swap_used: None,
        stalled: Some(0.5),
        models: Some(Bytes::ZERO),
        level,
        spent: spent(level, seconds),
    };
    Minute { number: Minute::number_at(time), was }
}

fn counted(name: &str, kind: ComponentKind, pid: Option<u32>, mib: u64) -> Counted {
    Counted {
        id: format!("{}:{name}", kind.word()),
        name: name.into(),
        kind,
        process: pid.map(|pid| ProcessKey { pid, started: u64::from(pid) * 10 }),
        bytes: Bytes::mib(mib),
    }
}

#[test]
fn a_history_of_the_third_version_is_looked_at_as_it_is_and_brought_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    raw(folder.path()).execute_batch(VERSION_3).unwrap();
    let version = |folder: &Path| -> u32 {
        raw(folder).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(folder.path()), 3);
    let file = || std::fs::read(folder.path().join(FILE)).unwrap();
    let before = file();
    let seen = Store::look(folder.path()).unwrap();
    assert_eq!((seen.events.len(), seen.loads.len(), seen.forecasts.len()), (3, 1, 1));
    assert_eq!((seen.choices.len(), seen.debts.len(), seen.details.len()), (1, 1, 1));
    assert_eq!(Store::figures(folder.path(), ALWAYS).unwrap(), Figures::default());
    assert!(file() == before, "a look changes nothing");

    let (store, restored) = open(folder.path());
    assert_eq!(restored, seen, "nothing of it is lost");
    let first = minute(now(), 4_000, Level::Normal, 60);
    learn(&store, Lesson::Minutes(vec![first.clone()]));
    close(store);
    assert_eq!(version(folder.path()), 4);
    let found = Store::figures(folder.path(), ALWAYS).unwrap();
    assert_eq!(found, Figures { minutes: vec![first], counts: vec![] });
    assert_eq!(Store::look(folder.path()).unwrap(), seen);
}

#[test]
fn minutes_and_counts_are_there_again_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let minutes: Vec<Minute> = (0..5)
        .map(|number| minute(now() + number * 60 * Duration::from_secs(1), 900, Level::Normal, 60))
        .collect();
    let unknown = Minute {
        number: minutes[4].number + 1,
        was: Stretch { swap_used: None, ..Stretch::default() },
    };
    learn(&store, Lesson::Minutes(minutes[3..].to_vec()));
    learn(&store, Lesson::Minutes(minutes[..3].to_vec()));
    learn(&store, Lesson::Minutes(vec![unknown.clone()]));
    let rows = vec![
        counted("qwen:7b", ComponentKind::Model, Some(71), 5_000),
        counted("media", ComponentKind::Container, None, 800),
        counted("firefox", ComponentKind::Process, Some(9), 700),
    ];
    let counts = [
        Count { at: now(), rows: rows.clone() },
        Count { at: now() + Duration::from_secs(600), rows: rows[..1].to_vec() },
        Count { at: now() + Duration::from_secs(1200), rows: vec![] },
    ];
    for count in &counts {
        learn(&store, Lesson::Count(count.clone()));
    }
    close(store);
    let found = Store::figures(folder.path(), ALWAYS).unwrap();
    let all: Vec<Minute> = minutes.iter().cloned().chain([unknown]).collect();
    assert_eq!(found.minutes, all);
    // Times on the disk are in milliseconds.
    let at = |count: &Count| count.at.as_millisecond();
    assert_eq!(found.counts.iter().map(at).collect::<Vec<_>>(), counts.each_ref().map(at));
    let found_rows: Vec<_> = found.counts.iter().map(|count| count.rows.clone()).collect();
    assert_eq!(found_rows, [rows.clone(), rows[..1].to_vec(), vec![]]);

    // From a time on: the minute it lies in, too.
    let span = (now() + Duration::from_secs(130), now() + Duration::from_secs(190));
    let some = Store::figures(folder.path(), span).unwrap();
    assert_eq!(some.minutes, minutes[2..4]);
    assert_eq!(some.counts, []);
}

#[test]
fn a_minute_seen_in_parts_is_one_and_a_second_count_replaces_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    learn(&store, Lesson::Minutes(vec![minute(now(), 4_000, Level::Normal, 11)]));
    let old = counted("old", ComponentKind::Process, Some(1), 100);
    learn(&store, Lesson::Count(Count { at: now(), rows: vec![old] }));
    close(store);
    // Another engine begins in the same minute.
    let (store, _) = open(folder.path());
    learn(&store, Lesson::Minutes(vec![minute(now(), 1_000, Level::Critical, 30)]));
    let rows = vec![counted("new", ComponentKind::Process, Some(2), 200)];
    learn(&store, Lesson::Count(Count { at: now() + Duration::from_secs(30), rows: rows.clone() }));
    close(store);
    let found = Store::figures(folder.path(), ALWAYS).unwrap();
    let mut both = minute(now(), 1_000, Level::Critical, 30);
    both.was.spent.add(Level::Normal, Duration::from_secs(11));
    assert_eq!(found.minutes, [both]);
    assert_eq!(found.counts.len(), 1);
    assert_eq!(found.counts[0].rows, rows);
}

#[test]
fn rows_that_cannot_be_read_hide_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let good = minute(now(), 4_000, Level::Normal, 60);
    learn(&store, Lesson::Minutes(vec![good.clone()]));
    let rows = vec![counted("good", ComponentKind::Process, Some(1), 100)];
    learn(&store, Lesson::Count(Count { at: now(), rows: rows.clone() }));
    close(store);
    raw(folder.path())
        .execute_batch(
            "INSERT INTO minutes VALUES (1, 'terrible', 1, 0, 0, 0, 1, 1, 1, 1, 1, 1);
             INSERT INTO minutes VALUES (2, 'normal', 'x', 0, 0, 0, 1, 1, 1, 1, 1, 1);
             INSERT INTO minutes VALUES (3, 'normal', 1, 0, 0, 0, 'x', -1, 1, 1, x'00', 1);
             INSERT INTO components VALUES (77, 'ghost:x', 'x', 'ghost');
             INSERT INTO held SELECT slot, 77, 1, 1, 1 FROM counts;",
        )
        .unwrap();
    let found = Store::figures(folder.path(), ALWAYS).unwrap();
    assert_eq!(found.minutes, [good]);
    assert_eq!(found.counts[0].rows, rows);
}

#[test]
fn figures_that_cannot_have_been_are_passed_over_and_names_are_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let good = minute(now(), 4_000, Level::Normal, 60);
    learn(&store, Lesson::Minutes(vec![good.clone()]));
    learn(&store, Lesson::Count(Count { at: now(), rows: vec![] }));
    close(store);
    let most = i64::MAX;
    raw(folder.path())
        .execute_batch(&format!(
            "INSERT INTO minutes VALUES (1, 'normal', {most}, {most}, {most}, {most}, 1, 1, 1, 1, 1, 1);
             INSERT INTO minutes VALUES (2, 'normal', 1, 0, 0, 0, 1, 1, 1, 1, 1e308, 1);
             INSERT INTO minutes VALUES (3, 'normal', 1, 0, 0, 0, 1, 1, 1, 1, -1.0, 1);
             INSERT INTO minutes VALUES (4, 'normal', 1, 0, 0, 0, 1, {most}, 1, 1, 1, 1);
             INSERT INTO minutes VALUES (5, 'normal', 90000, 30000, 0, 0, 1, 1, 1, 1, 1, 1);
             INSERT INTO components VALUES (77, char(27) || ']0;own' || char(7), char(155) || 'x', 'process');
             INSERT INTO components VALUES (78, 'process:y', 'y', 'process');
             INSERT INTO held SELECT slot, 77, NULL, NULL, 5 FROM counts;
             INSERT INTO held SELECT slot, 78, NULL, NULL, {most} FROM counts;",
        ))
        .unwrap();
    let found = Store::figures(folder.path(), ALWAYS).unwrap();
    let [twice, last] = &found.minutes[..] else { panic!("{:?}", found.minutes) };
    assert_eq!(last, &good);
    // It was seen twice, and lasted no longer for that.
    let lasted = |level| twice.was.spent.at(level).as_secs();
    assert_eq!((lasted(Level::Normal), lasted(Level::Warning)), (45, 15));
    let [held] = &found.counts[0].rows[..] else { panic!("{:?}", found.counts) };
    assert_eq!((held.id.as_str(), held.name.as_str()), ("]0;own", "x"));
}

#[test]
fn figures_are_swept_by_age_with_the_components_nobody_counts_any_longer() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for days in [40, 29, 0] {
        let at = now() - days * DAY;
        learn(&store, Lesson::Minutes(vec![minute(at, 900, Level::Normal, 60)]));
        let name = format!("day-{days}");
        let rows = vec![counted(&name, ComponentKind::Process, Some(1), 100)];
        learn(&store, Lesson::Count(Count { at, rows }));
    }
    close(store);
    let (store, _) = open(folder.path());
    close(store);
    let found = Store::figures(folder.path(), ALWAYS).unwrap();
    let names: Vec<_> = found.counts.iter().map(|count| count.rows[0].name.as_str()).collect();
    assert_eq!((found.minutes.len(), names), (2, vec!["day-29", "day-0"]));
    assert_eq!(count(folder.path(), "components"), 2);
}

#[test]
fn figures_give_way_to_events_down_to_their_share_and_take_what_events_leave() {
    let folder = tempfile::tempdir().unwrap();
    let keep = Retention { days: 3_000, bytes: Bytes::mib(1) };
    let (store, _) = open_keeping(folder.path(), keep);
    // More than their quarter, and with nothing beside them less than all.
    let minutes = 8_000;
    let at = |number: u64| now() - Duration::from_secs(60 * (minutes - number));
    for chunk in (0..minutes).collect::<Vec<_>>().chunks(100) {
        let chunk = chunk.iter().map(|n| minute(at(*n), 900, Level::Normal, 60)).collect();
        learn(&store, Lesson::Minutes(chunk));
    }
    close(store);
    let (store, _) = open_keeping(folder.path(), keep);
    assert_eq!(count(folder.path(), "minutes"), minutes, "there is room");
    let text = "x".repeat(1_000);
    for seq in 1..=500 {
        let body = EventBody::Note { text: text.clone() };
        while store.record_event(Event { seq, time: now(), body: body.clone() }).is_err() {
            std::thread::yield_now();
        }
    }
    close(store);
    let (store, _) = open_keeping(folder.path(), keep);
    close(store);
    assert_eq!(count(folder.path(), "events"), 500, "no event went");
    let left = Store::figures(folder.path(), ALWAYS).unwrap().minutes;
    assert!((3_000..minutes as usize).contains(&left.len()), "{}", left.len());
    assert_eq!(left.last().unwrap().number, Minute::number_at(at(minutes - 1)), "the oldest went");

    // More events than there is room for: figures keep their share.
    let (store, _) = open_keeping(folder.path(), keep);
    for seq in 501..=2_000 {
        let body = EventBody::Note { text: text.clone() };
        while store.record_event(Event { seq, time: now(), body: body.clone() }).is_err() {
            std::thread::yield_now();
        }
    }
    close(store);
    let (store, _) = open_keeping(folder.path(), keep);
    close(store);
    let (minutes, events) = (count(folder.path(), "minutes"), count(folder.path(), "events"));
    assert!((3_000..=4_096).contains(&minutes), "{minutes} minutes");
    assert!((400..2_000).contains(&events), "{events} events");
}

/// The retention's sums count on this.
#[test]
fn a_month_of_figures_takes_what_is_said_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    close(store);
    let (store, _) = open(folder.path());
    let (days, kinds) = (3_u64, ComponentKind::Process);
    let empty = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    for number in 0..days * 144 {
        let at = now() - Duration::from_secs(600 * (days * 144 - number));
        let ten = (0..10).map(|n| {
            let figures =
                minute(at + Duration::from_secs(60 * n), 3_000 + number, Level::Normal, 60);
            let stalled = Some(number as f64 / 7.0);
            let swap_used = Some(Bytes::new(123_456_789 + number));
            Minute { was: Stretch { swap_used, stalled, ..figures.was }, ..figures }
        });
        learn(&store, Lesson::Minutes(ten.collect()));
        let rows =
            (0..16).map(|n| counted(&format!("program-{n}"), kinds, Some(4_000_000 + n), 700));
        learn(&store, Lesson::Count(Count { at, rows: rows.collect() }));
    }
    close(store);
    raw(folder.path()).execute_batch("VACUUM").unwrap();
    let bytes = std::fs::metadata(folder.path().join(FILE)).unwrap().len() - empty;
    let (minutes, held) = (count(folder.path(), "minutes"), count(folder.path(), "held"));
    assert_eq!((minutes, held), (days * 1440, days * 144 * 16));
    let said = minutes * 64 + held * 32;
    assert!(bytes < said && bytes > said / 3, "{bytes} bytes, {said} said");
}
