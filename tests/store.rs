//! The history on a real file in a temporary folder: what survives a restart,
//! what is refused, and what is swept.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use plimsoll::domain::event::{Event, EventBody, Origin};
use plimsoll::domain::plan::{Action, ActionId, Outcome, Verdict};
use plimsoll::domain::{Bytes, Debt, Deed, ModelName, Priority, ProcessKey, Target, Wall};
use plimsoll::store::{Choice, FILE, Health, Restored, Retention, Store, StoreError};
use tokio::sync::{mpsc, oneshot};

const KEEP: Retention = Retention { days: 30, bytes: Bytes::mib(64) };

fn now() -> Wall {
    "2026-01-15T14:02:11.123456789Z".parse().unwrap()
}

fn open(folder: &Path) -> (Store, Restored) {
    open_keeping(folder, KEEP)
}

fn open_keeping(folder: &Path, retention: Retention) -> (Store, Restored) {
    Store::open(folder, retention, now(), mpsc::channel(4).0).unwrap()
}

fn refusal(folder: &Path) -> StoreError {
    Store::open(folder, KEEP, now(), mpsc::channel(4).0).map(|_| ()).unwrap_err()
}

fn close(store: Store) {
    assert!(store.close(Duration::from_secs(20)));
}

fn note(seq: u64, time: Wall) -> Event {
    Event { seq, time, body: EventBody::Note { text: format!("note {seq}") } }
}

fn unload() -> Action {
    Action::Unload { model: ModelName::new("tiny") }
}

fn started(seq: u64, id: u64) -> Event {
    let body = EventBody::ActionStarted {
        id: ActionId(id),
        action: unload(),
        by: Origin::Person,
        expected: Some(Bytes::gib(2)),
    };
    Event { seq, time: now(), body }
}

fn ended(seq: u64, id: u64) -> Event {
    let outcome = Box::new(Outcome {
        action: unload(),
        expected: Some(Bytes::gib(2)),
        available_before: Some(Bytes::gib(3)),
        available_after: Some(Bytes::gib(5)),
        freed: Some(Bytes::gib(2)),
        took: Duration::from_millis(1_234),
        result: Verdict::Done,
        output: None,
    });
    let body = EventBody::ActionEnded { id: ActionId(id), outcome, by: Origin::Person };
    Event { seq, time: now(), body }
}

fn debt(component: &str, undo: Deed) -> Debt {
    let target = Target::Process { key: ProcessKey { pid: 7, started: 70 } };
    Debt { component: component.into(), name: "web".into(), target, undo }
}

/// A history as the first version left it: its tables, an event and a choice.
fn first_version(folder: &Path) {
    let (store, _) = open(folder);
    store.record_event(note(1, now())).unwrap();
    let component = "model:tiny".into();
    store.set_choice(Choice { component, pinned: Some(true), priority: None }).unwrap();
    close(store);
    let raw = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    raw.execute_batch(
        "DROP TABLE debts; DROP TABLE loads; DROP TABLE forecasts; DROP TABLE details;
         DROP TABLE minutes; DROP TABLE counts; DROP TABLE components; DROP TABLE held;
         PRAGMA user_version = 1;",
    )
    .unwrap();
}

fn tables(folder: &Path) -> (u32, Vec<String>) {
    let raw = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    let version = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = raw.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    (version, names)
}

#[test]
fn a_history_of_the_first_version_is_brought_to_this_one() {
    let folder = tempfile::tempdir().unwrap();
    first_version(folder.path());
    let before = std::fs::read(folder.path().join(FILE)).unwrap();
    assert_eq!(tables(folder.path()).0, 1);
    // A look reads it as it is and changes nothing.
    let seen = Store::look(folder.path()).unwrap();
    assert_eq!((seen.events.len(), seen.choices.len(), seen.debts.len()), (1, 1, 0));
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), before);

    let (store, restored) = open(folder.path());
    assert_eq!(restored, seen);
    store.owe(debt("process:x", Deed::Resume)).unwrap();
    close(store);
    let names = [
        "choices",
        "components",
        "counts",
        "debts",
        "details",
        "events",
        "forecasts",
        "held",
        "highest",
        "loads",
        "minutes",
    ];
    assert_eq!(tables(folder.path()), (4, names.map(str::to_owned).to_vec()));
    let (store, restored) = open(folder.path());
    assert_eq!(restored.debts, [debt("process:x", Deed::Resume)]);
    assert_eq!(restored.events, seen.events);
    close(store);
}

#[test]
fn each_target_owes_one_deed_of_a_kind_until_it_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let unlimit = |to| debt("unit:a", Deed::Unlimit { to });
    store.owe(unlimit(None)).unwrap();
    store.owe(debt("unit:a", Deed::Resume)).unwrap();
    store.owe(unlimit(Some(Bytes::gib(2)))).unwrap();
    store.owe(debt("unit:b", Deed::Resume)).unwrap();
    close(store);
    let (store, restored) = open(folder.path());
    let all =
        [debt("unit:a", Deed::Resume), unlimit(Some(Bytes::gib(2))), debt("unit:b", Deed::Resume)];
    assert_eq!(restored.debts, all);
    // Whatever its limit was: the one of this component and kind.
    store.settle(unlimit(None)).unwrap();
    store.settle(debt("unit:b", Deed::Resume)).unwrap();
    store.settle(debt("unit:never", Deed::Resume)).unwrap();
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.debts, [debt("unit:a", Deed::Resume)]);
    // A name that has come to mean another process owes for each of the two.
    let key = ProcessKey { pid: 8, started: 80 };
    let other = Debt { target: Target::Process { key }, ..debt("unit:a", Deed::Resume) };
    store.owe(other.clone()).unwrap();
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.debts, [debt("unit:a", Deed::Resume), other.clone()]);
    store.settle(debt("unit:a", Deed::Resume)).unwrap();
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.debts, [other]);
    close(store);
}

#[tokio::test]
async fn a_debt_is_on_disk_when_the_action_after_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for id in 1..=20 {
        let owed = debt(&format!("process:{id:02}"), Deed::Resume);
        store.owe(owed.clone()).unwrap();
        let (confirm, confirmed) = oneshot::channel();
        store.record_action(started(id, id), confirm).unwrap();
        assert_eq!(confirmed.await.unwrap(), Ok(()));
        assert_eq!(Store::look(folder.path()).unwrap().debts.last(), Some(&owed));
    }
    close(store);
}

#[test]
fn a_debt_that_cannot_be_read_hides_no_other_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.owe(debt("unit:a", Deed::Resume)).unwrap();
    store.owe(debt("unit:b", Deed::Resume)).unwrap();
    close(store);
    let raw = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    raw.execute("UPDATE debts SET body = '{}' WHERE component = 'unit:a'", []).unwrap();
    let (store, restored) = open(folder.path());
    assert_eq!(restored.debts, [debt("unit:b", Deed::Resume)]);
    close(store);
    let left: u32 = raw.query_row("SELECT count(*) FROM debts", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 2);
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/by/us");
    let (store, empty) = open(&data);
    let nothing = Restored {
        details: Vec::new(),
        forecasts: Vec::new(),
        loads: Vec::new(),
        events: vec![],
        next_seq: 1,
        next_action: 1,
        choices: vec![],
        unfinished: vec![],
        debts: vec![],
    };
    assert_eq!(empty, nothing);
    let events = [note(1, now()), started(2, 1), ended(3, 1), started(4, 2)];
    for event in &events {
        store.record_event(event.clone()).unwrap();
    }
    let choice = |pinned, priority| Choice { component: "model:tiny".into(), pinned, priority };
    store.set_choice(choice(Some(true), None)).unwrap();
    store.set_choice(choice(None, Some(Priority::High))).unwrap();
    store.owe(debt("container:web", Deed::Resume)).unwrap();
    close(store);

    let (store, restored) = open(&data);
    let expected = Restored {
        details: Vec::new(),
        forecasts: Vec::new(),
        loads: Vec::new(),
        events: events.to_vec(),
        next_seq: 5,
        next_action: 3,
        choices: vec![choice(Some(true), Some(Priority::High))],
        unfinished: vec![(ActionId(2), events[3].clone())],
        debts: vec![debt("container:web", Deed::Resume)],
    };
    assert_eq!(restored, expected);
    close(store);
}

#[test]
fn folder_and_files_are_for_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (store, _) = open(&data);
    store.record_event(note(1, now())).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    close(store);
}

#[tokio::test]
async fn an_action_is_on_disk_when_it_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let (confirm, confirmed) = oneshot::channel();
    store.record_action(started(1, 1), confirm).unwrap();
    assert_eq!(confirmed.await.unwrap(), Ok(()));
    // A second opening sees it while the first still runs.
    let (second, restored) = open(folder.path());
    assert_eq!(restored.unfinished, [(ActionId(1), started(1, 1))]);
    close(second);
    close(store);
}

#[tokio::test]
async fn older_events_come_newest_first_and_only_the_newest_are_restored() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for seq in 1..=600 {
        while let Err(fault) = store.record_event(note(seq, now())) {
            assert!(matches!(fault, StoreError::Busy));
            tokio::task::yield_now().await;
        }
    }
    close(store);
    let (store, restored) = open(folder.path());
    let kept: Vec<u64> = restored.events.iter().map(|event| event.seq).collect();
    assert_eq!(kept, (101..=600).collect::<Vec<_>>());
    let (reply, answer) = oneshot::channel();
    store.older_events(101, 3, reply).unwrap();
    let older = answer.await.unwrap().unwrap();
    assert_eq!(older, [note(100, now()), note(99, now()), note(98, now())]);
    close(store);
}

#[test]
fn a_look_sees_what_is_written_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let old: Wall = "2020-01-15T14:02:11Z".parse().unwrap();
    assert!(matches!(Store::look(folder.path()), Err(StoreError::Open { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // It keeps what every other test's keeper would sweep.
    let (store, _) = open_keeping(folder.path(), Retention { days: 36_500, ..KEEP });
    store.record_event(note(1, old)).unwrap();
    let (confirm, confirmed) = oneshot::channel();
    store.record_action(started(2, 7), confirm).unwrap();
    confirmed.blocking_recv().unwrap().unwrap();
    // While another writes, and after; looking sweeps nothing.
    let seen = Store::look(folder.path()).unwrap();
    assert_eq!(seen.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((seen.next_seq, seen.next_action), (3, 8));
    close(store);
    let before = std::fs::read(folder.path().join(FILE)).unwrap();
    assert_eq!(Store::look(folder.path()).unwrap(), seen);
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), before);
    std::fs::write(folder.path().join(FILE), "").unwrap();
    assert!(Store::look(folder.path()).unwrap().events.is_empty());
}

#[test]
fn a_number_taken_by_another_process_is_replaced_by_the_next_free_one() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = open(folder.path());
    let (second, _) = open(folder.path());
    first.record_event(note(1, now())).unwrap();
    close(first);
    second.record_event(note(1, now())).unwrap();
    close(second);
    let (store, restored) = open(folder.path());
    let seen: Vec<u64> = restored.events.iter().map(|event| event.seq).collect();
    assert_eq!((seen, restored.next_seq), (vec![1, 2], 3));
    close(store);
}

#[test]
fn what_is_too_old_goes_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let old = now() - Duration::from_secs(31 * 86_400);
    store.record_event(note(1, old)).unwrap();
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!((restored.events, restored.next_seq), (vec![], 2));
    close(store);
}

#[test]
fn what_is_too_much_goes_oldest_first_and_leaves_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    for seq in 1..=200 {
        let body = EventBody::Note { text: "x".repeat(8 * 1024) };
        let event = Event { seq, time: now(), body };
        while store.record_event(event.clone()).is_err() {
            std::thread::yield_now();
        }
    }
    close(store);
    let limit = Bytes::kib(512);
    let (store, restored) = open_keeping(folder.path(), Retention { days: 30, bytes: limit });
    close(store);
    let size = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    assert!(size <= limit.get(), "{size}");
    let seen: Vec<u64> = restored.events.iter().map(|event| event.seq).collect();
    assert!(seen.len() > 30, "{}", seen.len());
    assert_eq!(seen, (201 - seen.len() as u64..=200).collect::<Vec<_>>());
    assert_eq!(restored.next_seq, 201);
}

#[test]
fn it_is_swept_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.record_event(note(1, now())).unwrap();
    let later = now() + Duration::from_secs(40 * 86_400);
    store.record_event(note(2, later)).unwrap();
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.events, [note(2, later)]);
    close(store);
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let rubbish = b"this is no database at all, whatever its name says".repeat(100);
    std::fs::write(&path, &rubbish).unwrap();
    let fault = refusal(folder.path());
    assert!(matches!(fault, StoreError::Damaged { .. }), "{fault:?}");
    assert_eq!(std::fs::read(&path).unwrap(), rubbish);
}

#[test]
fn a_newer_or_foreign_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::Foreign { .. }));
    other.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(other);
    let fault = refusal(folder.path());
    assert!(matches!(fault, StoreError::Newer { found: 99, known: 4, .. }), "{fault:?}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What each who only looks is told, which is the same.
fn looked(folder: &Path) -> Result<Restored, StoreError> {
    let found = Store::look(folder);
    let events = Store::events_since(folder, Wall::MIN);
    let figures = Store::figures(folder, (Wall::MIN, Wall::MAX));
    assert_eq!((events.is_ok(), figures.is_ok()), (found.is_ok(), found.is_ok()));
    found
}

#[test]
fn a_look_leaves_nothing_beside_the_history_and_reads_what_waits_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    // A name that an address would read otherwise.
    let folder = folder.path().join("a b?mode=memory#%2f");
    let (store, _) = open(&folder);
    store.record_event(note(1, now())).unwrap();
    close(store);
    assert_eq!(names(&folder), [FILE]);
    assert_eq!(looked(&folder).unwrap().events, [note(1, now())]);
    assert_eq!(names(&folder), [FILE]);

    let raw = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    raw.execute("DELETE FROM events", []).unwrap();
    assert!(names(&folder).contains(&format!("{FILE}-wal")));
    assert_eq!(looked(&folder).unwrap().events, []);
    drop(raw);
}

#[test]
fn a_history_is_read_where_nothing_can_be_written() {
    if rustix::process::geteuid().is_root() {
        // Permissions do not bind root: nothing can be proved here.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.record_event(note(1, now())).unwrap();
    close(store);
    let may = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.path().join(FILE), may(0o400)).unwrap();
    std::fs::set_permissions(folder.path(), may(0o500)).unwrap();
    assert_eq!(looked(folder.path()).unwrap().events, [note(1, now())]);
    std::fs::set_permissions(folder.path(), may(0o700)).unwrap();
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert!(matches!(refusal(folder.path()), StoreError::NoFile { .. }));
    let fault = looked(folder.path()).unwrap_err();
    assert!(matches!(fault, StoreError::NoFile { .. }), "{fault:?}");
    assert!(fault.to_string().contains("is no file"), "{fault}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(looked(folder.path()), Err(StoreError::NoFile { .. })));
}

#[test]
fn an_empty_file_is_a_history_in_which_nothing_happened() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "").unwrap();
    let found = looked(folder.path()).unwrap();
    assert_eq!(std::fs::read(folder.path().join(FILE)).unwrap(), b"");
    assert_eq!(names(folder.path()), [FILE]);
    let (store, restored) = open(folder.path());
    assert_eq!(found, restored);
    close(store);
}

#[test]
fn a_version_that_is_none_and_tables_that_are_not_ours_are_said() {
    for set in ["PRAGMA user_version = -1", "PRAGMA user_version = 4"] {
        let folder = tempfile::tempdir().unwrap();
        let other = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        other.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
        other.execute_batch(set).unwrap();
        drop(other);
        for fault in [refusal(folder.path()), looked(folder.path()).unwrap_err()] {
            assert!(matches!(fault, StoreError::Foreign { .. }), "{set}: {fault:?}");
        }
    }
    for (damage, said) in [
        ("DROP TABLE minutes", "no table `minutes`"),
        ("DROP TABLE events", "no table `events`"),
        ("ALTER TABLE minutes RENAME level TO height", "is damaged"),
        ("UPDATE highest SET seq = 'x'", "is damaged"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        close(open(folder.path()).0);
        let raw = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        raw.execute_batch(damage).unwrap();
        drop(raw);
        let found = Store::look(folder.path()).map(|_| ());
        let figures = Store::figures(folder.path(), (Wall::MIN, Wall::MAX)).map(|_| ());
        let fault = found.and(figures).unwrap_err();
        assert!(fault.to_string().contains(said), "{damage}: {fault:?}");
    }
}

#[test]
fn the_highest_numbers_are_those_of_the_events_where_they_were_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.record_event(note(1, now())).unwrap();
    store.record_event(started(2, 7)).unwrap();
    close(store);
    let raw = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    raw.execute("DELETE FROM highest", []).unwrap();
    drop(raw);
    let found = looked(folder.path()).unwrap();
    assert_eq!((found.events.len(), found.next_seq, found.next_action), (2, 3, 8));
    let (store, restored) = open(folder.path());
    assert_eq!(restored, found);
    store.record_event(note(3, now())).unwrap();
    close(store);
    assert_eq!(looked(folder.path()).unwrap().next_seq, 4);
}

#[test]
fn texts_that_could_steer_a_terminal_are_cleaned_where_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let body = EventBody::Note { text: "a\u{1b}]0;own\u{7}b\u{202e}".into() };
    store.record_event(Event { seq: 1, time: now(), body }).unwrap();
    let component = "process:a\u{1b}[31mb".into();
    store.set_choice(Choice { component, pinned: Some(true), priority: None }).unwrap();
    close(store);
    let found = looked(folder.path()).unwrap();
    assert_eq!(found.events[0].body.text(), "a]0;ownb");
    assert_eq!(found.choices[0].component, "process:a[31mb");
}

#[test]
fn an_entry_that_cannot_be_read_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    store.record_event(note(1, now())).unwrap();
    store.record_event(note(2, now())).unwrap();
    close(store);
    let raw = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    raw.execute("UPDATE events SET body = '{\"from\":\"elsewhere\"}' WHERE seq = 1", []).unwrap();
    drop(raw);
    let (store, restored) = open(folder.path());
    assert!(restored.events[0].body.text().starts_with("an entry that cannot be read"));
    assert_eq!(restored.events[1], note(2, now()));
    close(store);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("a-file");
    std::fs::write(&blocked, "").unwrap();
    let fault = refusal(&blocked.join("data"));
    assert!(matches!(&fault, StoreError::Folder { .. }));
    assert!(fault.to_string().contains("a-file/data"));
}

#[test]
fn a_read_only_folder_is_an_error() {
    if rustix::process::geteuid().is_root() {
        // Permissions do not bind root: nothing can be proved here.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    assert!(matches!(refusal(folder.path()), StoreError::Folder { .. }));
}

#[tokio::test]
async fn a_lock_that_is_never_released_is_said_and_then_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (health, mut said) = mpsc::channel(4);
    let (store, _) = Store::open(folder.path(), KEEP, now(), health).unwrap();
    let holder = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (confirm, confirmed) = oneshot::channel();
    store.record_action(started(1, 1), confirm).unwrap();
    assert!(confirmed.await.unwrap().is_err());
    assert!(matches!(said.recv().await, Some(Health::Failing(_))));
    holder.execute_batch("COMMIT").unwrap();
    let (confirm, confirmed) = oneshot::channel();
    store.record_action(ended(2, 1), confirm).unwrap();
    assert_eq!(confirmed.await.unwrap(), Ok(()));
    assert_eq!(said.recv().await, Some(Health::Well));
    close(store);
    let (store, restored) = open(folder.path());
    assert_eq!(restored.events, [started(1, 1), ended(2, 1)]);
    close(store);
}
