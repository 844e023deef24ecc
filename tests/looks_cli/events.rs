//! `events`: the history as it was written, and what happens.

use std::time::Duration;

use plimsoll::domain::event::{Event, EventBody, Origin};
use plimsoll::domain::plan::{Action, ActionId};
use plimsoll::domain::{Bytes, Level, ModelName, Wall};
use plimsoll::store::{Retention, Store};

use super::*;

/// Seconds before the newest event.
const LEVELS: [(u64, Level, Level); 4] = [
    (4000, Level::Normal, Level::Warning),
    (3000, Level::Warning, Level::Critical),
    (2000, Level::Critical, Level::Warning),
    (1000, Level::Warning, Level::Normal),
];

/// A history of so many notes, then changes of the level, then an action that
/// was begun a moment ago.
fn history(home: &Home, notes: u64) -> Wall {
    let now = Wall::from_second(Wall::now().as_second()).unwrap();
    let ago = |seconds| now - Duration::from_secs(seconds);
    let retention = Retention { days: 30, bytes: Bytes::mib(64) };
    let health = tokio::sync::mpsc::channel(4).0;
    let folder = home.path("data/plimsoll");
    let (store, _) = Store::open(&folder, retention, now, health).unwrap();
    let note = |number| EventBody::Note { text: format!("note {number}") };
    let mut bodies: Vec<_> = (0..notes).map(|number| (7200, note(number))).collect();
    bodies.extend(LEVELS.map(|(seconds, from, to)| {
        (seconds, EventBody::LevelChanged { from, to, cause: None, lasted_ms: 60_000 })
    }));
    let action = Action::Unload { model: ModelName::new("tiny:1b") };
    let (id, by) = (ActionId(1), Origin::Person);
    bodies.push((0, EventBody::ActionStarted { id, action, by, expected: None }));
    for (seq, (seconds, body)) in (1..).zip(bodies) {
        let event = Event { seq, time: ago(seconds), body };
        // More than fits at once has to wait for the disk.
        while store.record_event(event.clone()).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(store.close(Duration::from_secs(20)));
    now
}

fn seqs(events: &Value) -> Vec<u64> {
    let events = events["events"].as_array().unwrap();
    events.iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn the_whole_history_is_told_oldest_first() {
    let home = Home::new();
    history(&home, 700);
    let events = object(&home.run(&["events", "--json"]));
    assert_eq!(seqs(&events), (1..=705).collect::<Vec<_>>());
    insta::assert_snapshot!("events_shape", shape(&events, 0));
    let said = home.run(&["events"]);
    assert_eq!(said.out.lines().count(), 705, "a record a line");
    assert!(said.out.lines().next().unwrap().ends_with("Z note note 0"), "{said:?}");
    assert!(said.is_plain());
}

#[test]
fn a_guard_is_asked_for_all_of_it() {
    let home = Home::new();
    history(&home, 1200);
    let _guard = Guard::start(&home);
    let events = object(&alone(&home, &["events", "--json"]));
    let found = seqs(&events);
    let own = found.len() - 1205;
    assert!(own > 0, "it has begun, which is an event");
    assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
    let late = object(&alone(&home, &["events", "--json", "--since", "5000s"]));
    assert_eq!(&seqs(&late)[..5], [1201, 1202, 1203, 1204, 1205]);
}

#[test]
fn events_are_chosen_by_time_kind_and_level() {
    let home = Home::new();
    let now = history(&home, 3);
    let chosen =
        |arguments: &[&str]| seqs(&object(&home.run(&[&["events", "--json"], arguments].concat())));
    assert_eq!(chosen(&["--since", "45m"]), [6, 7, 8]);
    assert_eq!(chosen(&["--since", &(now - Duration::from_secs(3000)).to_string()]), [5, 6, 7, 8]);
    assert_eq!(chosen(&["--kind", "action"]), [8]);
    assert_eq!(chosen(&["--kind", "action", "--kind", "note"]), [1, 2, 3, 8]);
    assert_eq!(chosen(&["--kind", "oom_kill"]), [0; 0]);
    assert_eq!(chosen(&["--level", "critical"]), [5, 6]);
    assert_eq!(chosen(&["--level", "normal"]), [4, 5, 6, 7]);
    assert_eq!(chosen(&["--level", "critical", "--since", "45m"]), [6]);
}

#[test]
fn no_history_is_an_empty_one_and_a_damaged_one_is_an_error() {
    let home = Home::new();
    let said = home.run(&["events"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""));
    assert_eq!(object(&home.run(&["events", "--json"]))["events"], json!([]));
    home.write("data/plimsoll/history.db", "garbage, and long enough to be taken for a header.");
    let said = home.run(&["events"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("damaged"), "{said:?}");
}

#[test]
fn what_happens_is_followed_from_now_on() {
    let home = Home::new();
    let mut going = Going::start(&home, &["events", "--follow", "--json", "--demo"]);
    let first = going.object();
    insta::assert_snapshot!("events_line_shape", shape(&first, 0));
    assert_eq!((&first["schema_version"], &first["seq"]), (&json!(1), &Value::Null));
    assert!(first["text"].as_str().unwrap().starts_with("started: "), "{first}");
    assert_eq!(end(&mut going.0, Signal::INT), Some(130));
}

#[test]
fn the_past_is_told_before_what_follows() {
    let home = Home::new();
    history(&home, 2);
    let mut going = Going::start(&home, &["events", "--follow", "--json", "--since", "1d"]);
    let told: Vec<_> = (0..8).map(|_| going.object()).collect();
    let numbers: Vec<_> = told.iter().map(|event| event["seq"].as_u64()).collect();
    let past: Vec<_> = (1..=7).map(Some).collect();
    assert_eq!((&numbers[..7], numbers[7]), (&past[..], None), "{told:?}");
    assert_eq!(end(&mut going.0, Signal::TERM), Some(143));
    // It only looked: nothing was written, and the next one acts.
    assert_eq!(seqs(&object(&home.run(&["events", "--json"]))).len(), 7);
}

#[test]
fn what_a_guard_does_is_followed_under_its_numbers() {
    let home = Home::new();
    let guard = Guard::start(&home);
    let before = seqs(&object(&alone(&home, &["events", "--json"])));
    let mut going = Going::start(&home, &["events", "--follow", "--json", "--since", "1h"]);
    let told: Vec<_> = before.iter().map(|_| going.object()["seq"].as_u64().unwrap()).collect();
    assert_eq!(told, before);
    drop(guard);
    // It ends with the guard, and says so.
    let mut rest = String::new();
    going.1.read_to_string(&mut rest).unwrap();
    assert_eq!(going.0.wait().unwrap().code(), Some(1), "{rest}");
}
