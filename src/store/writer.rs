//! The thread that owns the connection: takes what waits, writes it in one
//! transaction, confirms, and sleeps until there is more.
//!
//! What cannot be written stays here, bounded, and is tried again with the
//! next message: a full disk costs nothing once there is room.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{Choice, Health, Lesson, Retention, figures, lessons, retention, schema};
use crate::domain::event::{Event, EventBody};
use crate::domain::rule::{Debt, Deed};
use crate::domain::snapshot::EVENTS_KEPT;
use crate::domain::time::Wall;

/// Lessons that may wait while the disk refuses them.
const LESSONS_WAITING: usize = 128;

pub(super) enum Message {
    Event { event: Event, confirm: Option<oneshot::Sender<Result<(), String>>> },
    Choice(Choice),
    Owe(Debt),
    Settle(Debt),
    Learn(Lesson),
    Older { before: u64, limit: usize, reply: oneshot::Sender<Result<Vec<Event>, String>> },
}

/// Something to be written.
enum Entry {
    Event(Event),
    Choice(Choice),
    Owe(Debt),
    Settle(Debt),
    Lesson(Lesson),
}

pub(super) struct Writer {
    connection: Connection,
    retention: Retention,
    swept: Wall,
    health: mpsc::Sender<Health>,
    /// What was last said of it.
    is_failing: bool,
    /// A commit need not wait for the disk.
    is_at_ease: bool,
    waiting: VecDeque<Entry>,
    confirms: Vec<oneshot::Sender<Result<(), String>>>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        retention: Retention,
        swept: Wall,
        health: mpsc::Sender<Health>,
    ) -> Self {
        Writer {
            connection,
            retention,
            swept,
            health,
            is_failing: false,
            is_at_ease: false,
            waiting: VecDeque::new(),
            confirms: Vec::new(),
        }
    }

    /// Ends when the last sender is gone and everything is written.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut questions = Vec::new();
            for message in std::iter::once(first).chain(messages.try_iter()) {
                self.take(message, &mut questions);
            }
            self.write();
            for (before, limit, reply) in questions {
                let found = schema::older(&self.connection, before, limit);
                // Whoever asked may be gone: then nobody needs the answer.
                let _ = reply.send(found.map_err(|fault| fault.to_string()));
            }
        }
    }

    fn take(&mut self, message: Message, questions: &mut Vec<Question>) {
        match message {
            Message::Event { event, confirm } => {
                self.waiting.push_back(Entry::Event(event));
                self.confirms.extend(confirm);
            }
            Message::Choice(choice) => self.waiting.push_back(Entry::Choice(choice)),
            Message::Owe(debt) => {
                self.forget_waiting(&debt);
                self.waiting.push_back(Entry::Owe(debt));
            }
            Message::Settle(debt) => {
                self.forget_waiting(&debt);
                self.waiting.push_back(Entry::Settle(debt));
            }
            Message::Learn(lesson) => {
                self.waiting.retain(|entry| match entry {
                    Entry::Lesson(other) => !lessons::is_of_the_same(other, &lesson),
                    _ => true,
                });
                self.waiting.push_back(Entry::Lesson(lesson));
            }
            Message::Older { before, limit, reply } => questions.push((before, limit, reply)),
        }
    }

    fn write(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let result = self.write_waiting();
        for confirm in self.confirms.drain(..) {
            let _ = confirm.send(result.as_ref().copied().map_err(ToString::to_string));
        }
        match result {
            Ok(()) => {
                self.sweep_when_due();
                self.waiting.clear();
                self.say(None);
            }
            Err(fault) => {
                self.drop_surplus();
                self.say(Some(format!("the history cannot be written: {fault}")));
            }
        }
    }

    fn write_waiting(&mut self) -> rusqlite::Result<()> {
        self.take_care()?;
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        for entry in &self.waiting {
            match entry {
                Entry::Event(event) => insert(&transaction, event)?,
                Entry::Choice(choice) => choose(&transaction, choice)?,
                Entry::Owe(debt) => owe(&transaction, debt)?,
                Entry::Settle(debt) => settle(&transaction, debt)?,
                Entry::Lesson(lesson) => lessons::write(&transaction, lesson)?,
            }
        }
        transaction.commit()
    }

    /// Figures alone go to the disk when the system likes: waking it every few
    /// minutes costs a laptop more than they are worth. All else is there when
    /// its commit returns.
    fn take_care(&mut self) -> rusqlite::Result<()> {
        let is_figures =
            |entry: &Entry| matches!(entry, Entry::Lesson(lesson) if figures::is_figures(lesson));
        let is_at_ease = self.waiting.iter().all(is_figures);
        if self.is_at_ease != is_at_ease {
            let word = if is_at_ease { "NORMAL" } else { "FULL" };
            self.connection.pragma_update(None, "synchronous", word)?;
            self.is_at_ease = is_at_ease;
        }
        Ok(())
    }

    /// Only the last word on a debt counts.
    fn forget_waiting(&mut self, debt: &Debt) {
        self.waiting.retain(|entry| match entry {
            Entry::Owe(other) | Entry::Settle(other) => {
                let is_same = other.component == debt.component && other.target == debt.target;
                !is_same || kind(&other.undo) != kind(&debt.undo)
            }
            Entry::Event(_) | Entry::Choice(_) | Entry::Lesson(_) => true,
        });
    }

    /// Keeps as many events as are on screen: more could not be missed. A debt
    /// is never dropped; there are as many as components. What was learned can
    /// be learned again: it goes before an event does.
    fn drop_surplus(&mut self) {
        let is_lesson = |entry: &Entry| matches!(entry, Entry::Lesson(_));
        let lessons = self.waiting.iter().filter(|entry| is_lesson(entry)).count();
        let mut surplus = lessons.saturating_sub(LESSONS_WAITING);
        self.waiting.retain(|entry| {
            let is_kept = surplus == 0 || !is_lesson(entry);
            surplus -= usize::from(!is_kept);
            is_kept
        });
        let mut surplus = self.waiting.len().saturating_sub(EVENTS_KEPT);
        self.waiting.retain(|entry| {
            let is_kept = surplus == 0 || matches!(entry, Entry::Owe(_) | Entry::Settle(_));
            surplus -= usize::from(!is_kept);
            is_kept
        });
    }

    fn sweep_when_due(&mut self) {
        let newest = self.waiting.iter().rev().find_map(|entry| match entry {
            Entry::Event(event) => Some(event.time),
            Entry::Lesson(lesson) => figures::time(lesson),
            _ => None,
        });
        let Some(now) = newest.filter(|now| retention::is_due(self.swept, *now)) else { return };
        // What could not be swept is tried again in the next hour.
        self.swept = now;
        let _ = retention::sweep(&mut self.connection, self.retention, now);
    }

    fn say(&mut self, fault: Option<String>) {
        if fault.is_some() == self.is_failing {
            return;
        }
        let health = fault.map_or(Health::Well, Health::Failing);
        let is_failing = matches!(health, Health::Failing(_));
        // A full channel: the same is said at the next write.
        if self.health.try_send(health).is_ok() {
            self.is_failing = is_failing;
        }
    }
}

type Question = (u64, usize, oneshot::Sender<Result<Vec<Event>, String>>);

/// Another plimsoll on the same folder may have taken the number: the event
/// then gets the next free one, and nothing is lost.
fn insert(transaction: &Transaction<'_>, event: &Event) -> rusqlite::Result<()> {
    let action = match &event.body {
        EventBody::ActionStarted { id, .. } | EventBody::ActionEnded { id, .. } => {
            Some(schema::stored(id.0))
        }
        _ => None,
    };
    let body = json(event)?;
    let mut statement = transaction.prepare(
        "INSERT INTO events (seq, time_ms, kind, action, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let kind = event.body.kind().word();
    let mut seq = event.seq;
    let mut put = |seq| {
        let seq = schema::stored(seq);
        statement.execute(params![seq, event.time.as_millisecond(), kind, action, body]).map(|_| ())
    };
    match put(seq) {
        Err(fault) if fault.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            let highest = "SELECT max(seq) FROM highest";
            let taken = transaction.query_row(highest, [], |row| schema::number(row, 0))?;
            seq = taken.saturating_add(1);
            put(seq)?;
        }
        other => other?,
    }
    transaction
        .prepare("UPDATE highest SET seq = max(seq, ?1), action = max(action, ?2)")?
        .execute(params![schema::stored(seq), action.unwrap_or_default()])?;
    Ok(())
}

fn choose(transaction: &Transaction<'_>, choice: &Choice) -> rusqlite::Result<()> {
    let priority = choice.priority.map(crate::domain::Priority::word);
    transaction
        .prepare(
            "INSERT INTO choices (component, pinned, priority) VALUES (?1, ?2, ?3)
             ON CONFLICT (component) DO UPDATE SET
                 pinned = coalesce(excluded.pinned, pinned),
                 priority = coalesce(excluded.priority, priority)",
        )?
        .execute(params![choice.component, choice.pinned, priority])?;
    Ok(())
}

fn owe(transaction: &Transaction<'_>, debt: &Debt) -> rusqlite::Result<()> {
    let (target, body) = (json(&debt.target)?, json(debt)?);
    transaction
        .prepare(
            "INSERT OR REPLACE INTO debts (component, undo, target, body) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![debt.component, kind(&debt.undo), target, body])?;
    Ok(())
}

fn settle(transaction: &Transaction<'_>, debt: &Debt) -> rusqlite::Result<()> {
    transaction
        .prepare("DELETE FROM debts WHERE component = ?1 AND undo = ?2 AND target = ?3")?
        .execute(params![debt.component, kind(&debt.undo), json(&debt.target)?])?;
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|fault| rusqlite::Error::ToSqlConversionFailure(fault.into()))
}

/// A word for good, as the rows of an older plimsoll have it.
const fn kind(undo: &Deed) -> &'static str {
    match undo {
        Deed::Resume => "resume",
        Deed::Unlimit { .. } => "unlimit",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bytes::Bytes;

    fn note(seq: u64, text: &str) -> Event {
        Event { seq, time: Wall::UNIX_EPOCH, body: EventBody::Note { text: text.into() } }
    }

    #[test]
    fn a_full_disk_is_said_once_and_nothing_is_lost_when_there_is_room_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = schema::prepare_files(folder.path()).unwrap();
        let connection = schema::open(&path).unwrap();
        let (health, mut said) = mpsc::channel(8);
        let retention = Retention { days: 1, bytes: Bytes::mib(64) };
        let mut writer = Writer::new(connection, retention, Wall::UNIX_EPOCH, health);
        let limit = |writer: &Writer, pages: u32| {
            let set = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
            writer.connection.pragma_update_and_check(None, "max_page_count", pages, set).unwrap()
        };
        limit(&writer, 1);
        let (confirm, mut confirmed) = oneshot::channel();
        let long = note(1, &"x".repeat(64 * 1024));
        writer.take(Message::Event { event: long.clone(), confirm: Some(confirm) }, &mut vec![]);
        writer.write();
        assert!(confirmed.try_recv().unwrap().unwrap_err().contains("full"));
        assert!(matches!(said.try_recv(), Ok(Health::Failing(_))));
        writer.take(Message::Event { event: note(2, "y"), confirm: None }, &mut vec![]);
        writer.write();
        assert!(said.try_recv().is_err());

        limit(&writer, 100_000);
        writer.take(Message::Event { event: note(3, "z"), confirm: None }, &mut vec![]);
        writer.write();
        assert_eq!(said.try_recv(), Ok(Health::Well));
        let kept = schema::older(&writer.connection, 100, 10).unwrap();
        assert_eq!(kept, [note(3, "z"), note(2, "y"), long]);
    }

    #[test]
    fn what_cannot_be_written_is_bounded_and_debts_are_never_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = schema::prepare_files(folder.path()).unwrap();
        let retention = Retention { days: 1, bytes: Bytes::mib(64) };
        let connection = schema::open(&path).unwrap();
        let mut writer = Writer::new(connection, retention, Wall::UNIX_EPOCH, mpsc::channel(8).0);
        let key = crate::domain::ProcessKey { pid: 7, started: 70 };
        let target = crate::domain::Target::Process { key };
        let name = String::from("x");
        let debt = Debt { component: "process:x".into(), name, target, undo: Deed::Resume };
        writer.take(Message::Owe(debt.clone()), &mut vec![]);
        writer.take(Message::Settle(debt.clone()), &mut vec![]);
        writer.take(Message::Owe(debt), &mut vec![]);
        assert_eq!(writer.waiting.len(), 1);
        let surplus = 10;
        for seq in 1..=EVENTS_KEPT as u64 + surplus {
            writer.take(Message::Event { event: note(seq, "y"), confirm: None }, &mut vec![]);
        }
        writer.drop_surplus();
        assert_eq!(writer.waiting.len(), EVENTS_KEPT);
        assert!(matches!(writer.waiting[0], Entry::Owe(_)));
        let first =
            |entry: &Entry| matches!(entry, Entry::Event(event) if event.seq == surplus + 2);
        assert!(first(&writer.waiting[1]));
    }

    fn details(digest: &str) -> Message {
        let details = Box::default();
        Message::Learn(Lesson::Details { digest: digest.into(), details })
    }

    #[test]
    fn lessons_that_wait_are_bounded_and_drive_out_no_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = schema::prepare_files(folder.path()).unwrap();
        let retention = Retention { days: 1, bytes: Bytes::mib(64) };
        let connection = schema::open(&path).unwrap();
        let mut writer = Writer::new(connection, retention, Wall::UNIX_EPOCH, mpsc::channel(8).0);
        for seq in 1..=300 {
            writer.take(Message::Event { event: note(seq, "y"), confirm: None }, &mut vec![]);
        }
        for number in 0..1000 {
            // Only the last word on each counts.
            for _ in 0..2 {
                writer.take(details(&number.to_string()), &mut vec![]);
            }
        }
        assert_eq!(writer.waiting.len(), 1300);
        writer.drop_surplus();
        assert_eq!(writer.waiting.len(), 300 + LESSONS_WAITING);
        let is_newest = |entry: Option<&Entry>| matches!(entry, Some(Entry::Lesson(Lesson::Details { digest, .. })) if digest == "999");
        assert!(is_newest(writer.waiting.back()));
        writer.write();
        assert!(writer.waiting.is_empty());
        let restored = schema::restore(&writer.connection).unwrap();
        assert_eq!((restored.events.len(), restored.details.len()), (300, LESSONS_WAITING));
    }
}
