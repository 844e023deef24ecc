//! The history of an engine that lives for one errand: what it does is written,
//! and what follows from that. Not that it was there, nor what it found: whoever
//! looks for long tells that. In memory its events are as any other's.

use std::cell::Cell;

use tokio::sync::oneshot;

use crate::domain::event::{EventBody, EventKind};
use crate::domain::{Debt, Event};
use crate::engine::input::{Choice, Lesson};
use crate::engine::journal::{Journal, Older};

pub(super) struct ErrandJournal {
    journal: Box<dyn Journal>,
    /// What comes after may follow from it.
    has_acted: Cell<bool>,
}

impl ErrandJournal {
    pub fn new(journal: Box<dyn Journal>) -> ErrandJournal {
        ErrandJournal { journal, has_acted: Cell::new(false) }
    }

    fn is_told(&self, body: &EventBody) -> bool {
        match body {
            EventBody::Started { .. } => false,
            EventBody::Note { .. } => true,
            body => match body.kind() {
                EventKind::Action | EventKind::OomKill => true,
                EventKind::Level | EventKind::Runtime | EventKind::Model | EventKind::Note => {
                    self.has_acted.get()
                }
            },
        }
    }
}

impl Journal for ErrandJournal {
    fn record(&self, event: Event) {
        if self.is_told(&event.body) {
            self.journal.record(event);
        }
    }

    fn record_action(&self, event: Event, confirm: oneshot::Sender<Result<(), String>>) {
        self.has_acted.set(true);
        self.journal.record_action(event, confirm);
    }

    fn choose(&self, choice: Choice) {
        self.journal.choose(choice);
    }

    fn owe(&self, debt: Debt) {
        self.journal.owe(debt);
    }

    fn settle(&self, debt: Debt) {
        self.journal.settle(debt);
    }

    fn learn(&self, lesson: Lesson) {
        self.journal.learn(lesson);
    }

    fn older(&self, before: u64, limit: usize, answer: Older) {
        self.journal.older(before, limit, answer);
    }

    fn close(&mut self) {
        self.journal.close();
    }
}
