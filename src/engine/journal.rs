//! What the engine needs of a history: a place on disk, or none.

use tokio::sync::oneshot;

use crate::domain::{Debt, Event};

use super::input::{Choice, Lesson};

/// Where older events are told, or why they cannot be.
pub type Older = oneshot::Sender<Result<Vec<Event>, String>>;

/// Takes events and choices without ever blocking the caller.
pub trait Journal: Send {
    fn record(&self, event: Event);

    /// Puts an action's start on disk and confirms when it is there.
    fn record_action(&self, event: Event, confirm: oneshot::Sender<Result<(), String>>);

    fn choose(&self, choice: Choice);

    /// Remembers over restarts what is to be taken back.
    fn owe(&self, debt: Debt);

    /// Forgets it: it was taken back.
    fn settle(&self, debt: Debt);

    /// Keeps what later runs can use.
    fn learn(&self, lesson: Lesson);

    /// Events older than `before`, newest first.
    fn older(&self, before: u64, limit: usize, answer: Older);

    /// Writes out what is under way; waits a moment at most.
    fn close(&mut self);
}

/// No history on disk, and why: events live as long as the engine.
#[derive(Debug)]
pub struct NoJournal {
    /// `None`: nothing real is done here (a demo), so nothing needs proof.
    pub reason: Option<String>,
}

impl Journal for NoJournal {
    fn record(&self, _: Event) {}

    fn record_action(&self, _: Event, confirm: oneshot::Sender<Result<(), String>>) {
        let result = self.reason.clone().map_or(Ok(()), Err);
        drop(confirm.send(result));
    }

    fn choose(&self, _: Choice) {}

    fn owe(&self, _: Debt) {}

    fn settle(&self, _: Debt) {}

    fn learn(&self, _: Lesson) {}

    fn older(&self, _: u64, _: usize, answer: Older) {
        drop(answer.send(Ok(Vec::new())));
    }

    fn close(&mut self) {}
}
