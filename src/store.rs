//! What outlives the program: events, the pins and priorities set by key, the
//! debts: what was paused or limited and is to be taken back, what was learned
//! of models and forecasts, and the past as figures.
//!
//! SQLite on a thread of its own behind a bounded mailbox, so no caller ever
//! waits for a disk. The caller numbers events; the store keeps those numbers.
//! Nothing here reads a clock: time comes with the events.

mod figures;
mod lessons;
mod look;
mod retention;
mod schema;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::domain::bytes::Bytes;
use crate::domain::component::Priority;
use crate::domain::event::Event;
use crate::domain::forecast::{ForecastRecord, LoadObserved};
use crate::domain::model::ModelDetails;
use crate::domain::past::{Count, Figures, Minute};
use crate::domain::plan::ActionId;
use crate::domain::rule::Debt;
use crate::domain::time::Wall;

use writer::{Message, Writer};

/// The database inside the data folder.
pub const FILE: &str = "history.db";

/// Messages that may wait for the disk. A burst of events is some tens.
const MAILBOX: usize = 256;

/// How much of the past is kept. Whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub days: u32,
    pub bytes: Bytes,
}

/// A pin or a priority set by key. `None` leaves what was set before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// [`crate::domain::Component::id`]
    pub component: String,
    pub pinned: Option<bool>,
    pub priority: Option<Priority>,
}

/// What later runs can use.
#[derive(Debug, Clone, PartialEq)]
pub enum Lesson {
    /// What a load was seen to take; one of the same key and time is replaced.
    Load(Box<LoadObserved>),
    /// What became of a forecast.
    Forecast(ForecastRecord),
    /// Metadata that need not be asked for again, by manifest digest.
    Details { digest: String, details: Box<ModelDetails> },
    /// What minutes were like; what is there of the same minute is added to.
    Minutes(Vec<Minute>),
    /// What components held; one of the same ten minutes is replaced.
    Count(Count),
}

/// What earlier runs left.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// The newest, ascending by number.
    pub events: Vec<Event>,
    /// The number the next event gets.
    pub next_seq: u64,
    /// The number the next action gets.
    pub next_action: u64,
    pub choices: Vec<Choice>,
    /// Actions that were started and whose end was never written.
    pub unfinished: Vec<(ActionId, Event)>,
    /// What was paused or limited and not yet taken back.
    pub debts: Vec<Debt>,
    /// What loads were seen to take, oldest first.
    pub loads: Vec<LoadObserved>,
    /// What became of forecasts, oldest first.
    pub forecasts: Vec<ForecastRecord>,
    /// Metadata by manifest digest.
    pub details: Vec<(String, ModelDetails)>,
}

impl Restored {
    /// What there is before anything happened.
    fn nothing() -> Restored {
        Restored {
            events: Vec::new(),
            next_seq: 1,
            next_action: 1,
            choices: Vec::new(),
            unfinished: Vec::new(),
            debts: Vec::new(),
            loads: Vec::new(),
            forecasts: Vec::new(),
            details: Vec::new(),
        }
    }
}

/// Whether events reach the disk. Sent when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing is lost yet: the newest events wait in memory.
    Failing(String),
    Well,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the data folder `{path}` cannot be used")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "`{path}` was written by a newer plimsoll (its format is {found}, this one knows {known})"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("`{path}` is damaged; it was left as it is, move it away to start a new history")]
    Damaged {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("`{path}` is a database of another program")]
    Foreign { path: PathBuf },
    #[error(
        "`{path}` is damaged, it has no table `{table}`; it was left as it is, move it away to \
         start a new history"
    )]
    Incomplete { path: PathBuf, table: &'static str },
    #[error("`{path}` is no file; it was left as it is, move it away to start a new history")]
    NoFile { path: PathBuf },
    #[error(
        "the newest of `{path}` lies in files beside it, which can be read only where their \
         folder can be written; copy `{FILE}` and `{FILE}-wal` into a folder of your own and \
         name that with --data-dir"
    )]
    Unsettled {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the history `{path}` cannot be opened")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the thread that writes the history cannot be started")]
    Thread(#[source] io::Error),
    #[error("the history is busy: too much waits for the disk")]
    Busy,
    #[error("the history has ended")]
    Ended,
}

/// The grip on the writing thread. Dropping it lets the thread finish what
/// waits, unwatched; [`Store::close`] waits for it.
#[derive(Debug)]
pub struct Store {
    mailbox: SyncSender<Message>,
    /// Closed by the thread when it is through.
    done: Receiver<()>,
}

impl Store {
    /// Opens or creates the history in `folder` and reads what is left of the
    /// past. Blocks on the disk: for a thread that may.
    pub fn open(
        folder: &Path,
        retention: Retention,
        now: Wall,
        health: mpsc::Sender<Health>,
    ) -> Result<(Store, Restored), StoreError> {
        let path = schema::prepare_files(folder)?;
        let mut connection = schema::open(&path)?;
        retention::sweep(&mut connection, retention, now)
            .map_err(|source| schema::explain(&path, source))?;
        let restored =
            schema::restore(&connection).map_err(|source| schema::explain(&path, source))?;
        let (mailbox, messages) = sync_channel(MAILBOX);
        let (through, done) = sync_channel(1);
        let writer = Writer::new(connection, retention, now, health);
        std::thread::Builder::new()
            .name("history".into())
            .spawn(move || {
                writer.run(&messages);
                drop(through);
            })
            .map_err(StoreError::Thread)?;
        Ok((Store { mailbox, done }, restored))
    }

    /// What is left of the past, for who writes nothing: another plimsoll may
    /// be at work on it, and goes on undisturbed.
    pub fn look(folder: &Path) -> Result<Restored, StoreError> {
        Ok(look::at(folder, schema::restore)?.unwrap_or_else(Restored::nothing))
    }

    /// What happened from that time on, oldest first, for who writes nothing.
    pub fn events_since(folder: &Path, from: Wall) -> Result<Vec<Event>, StoreError> {
        let read = |connection: &_| schema::since(connection, from);
        Ok(look::at(folder, read)?.unwrap_or_default())
    }

    /// What the past was like from one time up to another, for who writes
    /// nothing.
    pub fn figures(folder: &Path, span: (Wall, Wall)) -> Result<Figures, StoreError> {
        let read = |connection: &_| figures::read(connection, span);
        Ok(look::at(folder, read)?.unwrap_or_default())
    }

    /// Writes an event down soon. Never waits.
    pub fn record_event(&self, event: Event) -> Result<(), StoreError> {
        self.send(Message::Event { event, confirm: None })
    }

    /// As [`Store::record_event`]; `confirm` hears when it is safe on the disk
    /// or why it is not. It is then still tried again later.
    pub fn record_action(
        &self,
        event: Event,
        confirm: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), StoreError> {
        self.send(Message::Event { event, confirm: Some(confirm) })
    }

    pub fn set_choice(&self, choice: Choice) -> Result<(), StoreError> {
        self.send(Message::Choice(choice))
    }

    /// Remembers a debt; one of the same component, target and kind is
    /// replaced. It is on the disk no later than any event recorded after it.
    pub fn owe(&self, debt: Debt) -> Result<(), StoreError> {
        self.send(Message::Owe(debt))
    }

    /// Forgets the debt of this component, target and kind.
    pub fn settle(&self, debt: Debt) -> Result<(), StoreError> {
        self.send(Message::Settle(debt))
    }

    /// Keeps what later runs can use.
    pub fn learn(&self, lesson: Lesson) -> Result<(), StoreError> {
        self.send(Message::Learn(lesson))
    }

    /// Events numbered below `before`, newest first, at most `limit`.
    pub fn older_events(
        &self,
        before: u64,
        limit: usize,
        reply: oneshot::Sender<Result<Vec<Event>, String>>,
    ) -> Result<(), StoreError> {
        self.send(Message::Older { before, limit, reply })
    }

    /// Writes what waits and closes the file. `false`: not within `limit`; the
    /// thread goes on by itself as long as the process lives.
    pub fn close(self, limit: Duration) -> bool {
        let Store { mailbox, done } = self;
        drop(mailbox);
        matches!(done.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.mailbox.try_send(message).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Ended,
        })
    }
}
