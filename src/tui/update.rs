//! What an event does to the gaze, and what is then to be asked of the engine.
//!
//! Pure: no I/O, no clock. A key's meaning comes in as an intent, a command
//! goes out as an effect, and its reply comes back as another event.

use std::time::Duration;

use crate::domain::event::EventKind;
use crate::domain::model::ModelName;
use crate::domain::setting::{SettingChange, SettingDifference};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::{Command, Reply, SendError};
use crate::tui::keymap::Intent;
use crate::tui::palette;
use crate::tui::state::{Dialog, InputMode, Older, Page, Sort, Toast, Tone, Ui};

mod actions;
mod dialogs;
mod fits;
mod moves;
mod outcomes;
mod settings;
#[cfg(test)]
pub(crate) mod tests;

/// Long enough to read a line twice.
const TOAST_LASTS: Duration = Duration::from_secs(8);

/// Letters a filter or the palette takes; a paste may be any length.
const LONGEST_TYPED: usize = 100;

/// Everything that reaches the gaze.
#[derive(Debug, Clone, PartialEq)]
pub enum UiEvent {
    Intent(Intent),
    Typed(char),
    Pasted(String),
    /// The wheel, in rows; negative is up.
    Wheel(i32),
    /// A click on a cell.
    Clicked {
        x: u16,
        y: u16,
    },
    Focus(bool),
    SnapshotChanged,
    Replied(Purpose, Reply),
    NotSent(Purpose, SendError),
    /// What a change of a setting would change, or why it cannot be. Only
    /// the latest number counts.
    SettingProposed(u64, Result<SettingDifference, String>),
    SettingWritten(u64, Result<(), String>),
    /// Time went on: a toast may be over.
    Tick,
}

/// What the loop must then do.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum UiEffect {
    Send(Command, Purpose),
    /// Ask what this would change; answered under its number.
    ProposeSetting(SettingChange, u64),
    /// Write the difference of that token.
    WriteSetting {
        token: u64,
        number: u64,
    },
    /// Switch to the next theme and say its name.
    NextTheme,
    Suspend,
    Quit,
}

/// Why a command was sent; its reply comes back with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// An action; what to say once it is taken on.
    Act(String),
    /// A load, which may not fit.
    Load(ModelName),
    /// A plan for the open dialog. Only the latest one counts.
    Plan(u64),
    /// Why the level is what it is, for the open dialog.
    Why,
    OlderEvents,
    /// Nothing is said of it.
    Quiet,
}

impl Ui {
    pub fn update(&mut self, event: UiEvent, snapshot: &Snapshot, now: Monotonic) -> Vec<UiEffect> {
        if let UiEvent::NotSent(purpose @ (Purpose::Quiet | Purpose::OlderEvents), _) = event {
            self.ask_again_later(&purpose);
            return Vec::new();
        }
        let by_itself = event == UiEvent::SnapshotChanged;
        if self.toast.as_ref().is_some_and(|toast| toast.until <= now) {
            self.toast = None;
        }
        let mut effects = self.respond(event, snapshot, now);
        if self.dialog.is_none() {
            self.dialog_scroll = 0;
        }
        self.settle(snapshot, by_itself.then_some(now));
        self.consider(snapshot);
        effects.extend(self.ask_older(snapshot));
        effects.extend(self.attend(snapshot));
        effects
    }

    /// Says something where the reader looks, for a while.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>, now: Monotonic) {
        self.toast = Some(Toast { text: text.into(), tone, until: now.plus(TOAST_LASTS) });
    }

    /// What nobody pressed a key for is sent again with the next event, not
    /// at once: the engine has just said that it is busy.
    fn ask_again_later(&mut self, purpose: &Purpose) {
        match purpose {
            Purpose::OlderEvents => self.memory.older = Older::MayBe,
            _ => self.memory.attention = None,
        }
    }

    fn respond(&mut self, event: UiEvent, snapshot: &Snapshot, now: Monotonic) -> Vec<UiEffect> {
        match event {
            UiEvent::Intent(intent) => return self.obey(intent, snapshot, now),
            UiEvent::Typed(c) => self.typed(c),
            UiEvent::Pasted(text) => text.chars().for_each(|c| self.typed(c)),
            UiEvent::Wheel(rows) if self.dialog.is_none() => self.step(snapshot, i64::from(rows)),
            UiEvent::Wheel(rows) => self.scroll_dialog(i64::from(rows)),
            UiEvent::Clicked { x, y } => self.click(snapshot, (x, y)),
            UiEvent::Tick => {}
            UiEvent::Focus(has_focus) => self.memory.is_unfocused = !has_focus,
            UiEvent::SnapshotChanged => self.look_again(snapshot, now),
            UiEvent::Replied(purpose, reply) => self.hear(purpose, reply, now),
            UiEvent::NotSent(purpose, error) => {
                self.hear(purpose, Reply::Refused { reason: error.to_string() }, now);
            }
            UiEvent::SettingProposed(number, result) => self.setting_proposed(number, result),
            UiEvent::SettingWritten(number, result) => self.setting_written(number, result, now),
        }
        Vec::new()
    }

    fn obey(&mut self, intent: Intent, snapshot: &Snapshot, now: Monotonic) -> Vec<UiEffect> {
        match intent {
            Intent::Quit | Intent::Interrupt => return self.quit(intent, snapshot),
            Intent::Suspend => return vec![UiEffect::Suspend],
            Intent::Confirm => return self.confirm(snapshot, now),
            Intent::Refuse => return self.refuse(),
            Intent::Cancel => self.dialog = None,
            Intent::Force => self.force(),
            Intent::Less => return self.turn(snapshot, -1),
            Intent::More => return self.turn(snapshot, 1),
            Intent::ScrollUp | Intent::ScrollDown => return self.scroll_or_turn(snapshot, intent),
            Intent::ScrollPageUp => self.scroll_dialog(-moves::SCREENFUL),
            Intent::ScrollPageDown => self.scroll_dialog(moves::SCREENFUL),
            Intent::TextAccept => return self.accept_text(snapshot, now),
            Intent::TextAbandon => self.abandon_text(),
            Intent::TextErase => self.edit(|text| {
                text.pop();
            }),
            Intent::TextClear => self.edit(String::clear),
            Intent::TextPrevious => self.choose(-1),
            Intent::TextNext => self.choose(1),
            _ if self.dialog.is_some() => {}
            _ => return self.obey_on_page(intent, snapshot, now),
        }
        Vec::new()
    }

    fn obey_on_page(
        &mut self,
        intent: Intent,
        snapshot: &Snapshot,
        now: Monotonic,
    ) -> Vec<UiEffect> {
        match intent {
            Intent::Up => self.step(snapshot, -1),
            Intent::Down => self.step(snapshot, 1),
            Intent::PageUp => self.step(snapshot, -self.screenful()),
            Intent::PageDown => self.step(snapshot, self.screenful()),
            Intent::First => self.step(snapshot, i64::MIN),
            Intent::Last => self.step(snapshot, i64::MAX),
            Intent::NextPage => self.turn_page(1),
            Intent::PreviousPage => self.turn_page(Page::ALL.len() - 1),
            Intent::Open(page) => self.open(page),
            Intent::Help if self.page == Page::Help => self.open(self.memory.before_help),
            Intent::Help => self.open(Page::Help),
            Intent::Back => self.back(),
            Intent::Filter => self.mode = InputMode::Filter,
            Intent::Palette => {
                self.mode = InputMode::Palette { typed: String::new(), chosen: 0 };
            }
            Intent::Sort => self.next_sort(now),
            Intent::EventKind => self.next_kind(),
            Intent::Details => self.details(snapshot),
            Intent::Theme => return vec![UiEffect::NextTheme],
            _ => return self.act(intent, snapshot, now),
        }
        Vec::new()
    }

    /// Leaving cuts off a load that this engine waits for: asks first. Asked
    /// a second time by the same key that works everywhere, it goes.
    fn quit(&mut self, intent: Intent, snapshot: &Snapshot) -> Vec<UiEffect> {
        let is_asked_again =
            intent == Intent::Interrupt && matches!(self.dialog, Some(Dialog::Quit { .. }));
        if snapshot.loads_in_flight.is_empty() || is_asked_again {
            self.is_quitting = true;
            return vec![UiEffect::Quit];
        }
        self.mode = InputMode::Keys;
        self.dialog = Some(Dialog::Quit { loads: snapshot.loads_in_flight.clone() });
        Vec::new()
    }

    fn typed(&mut self, c: char) {
        if !c.is_control() {
            self.edit(|text| {
                if text.chars().count() < LONGEST_TYPED {
                    text.push(c);
                }
            });
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut String)) {
        match &mut self.mode {
            InputMode::Keys => {}
            InputMode::Filter => change(&mut self.filter),
            InputMode::Palette { typed, chosen } => {
                change(typed);
                *chosen = 0;
            }
        }
    }

    fn choose(&mut self, by: isize) {
        let last = palette::choices(self).len().saturating_sub(1);
        if let InputMode::Palette { chosen, .. } = &mut self.mode {
            *chosen = chosen.saturating_add_signed(by).min(last);
        }
    }

    fn accept_text(&mut self, snapshot: &Snapshot, now: Monotonic) -> Vec<UiEffect> {
        let run = match &self.mode {
            InputMode::Palette { chosen, .. } => palette::choices(self).get(*chosen).copied(),
            InputMode::Keys | InputMode::Filter => None,
        };
        self.mode = InputMode::Keys;
        run.map_or_else(Vec::new, |entry| self.obey(entry.intent, snapshot, now))
    }

    fn abandon_text(&mut self) {
        if self.mode == InputMode::Filter {
            self.filter.clear();
        }
        self.mode = InputMode::Keys;
    }

    /// Backs out of one thing at a time.
    fn back(&mut self) {
        if self.dialog.take().is_some() {
        } else if !self.filter.is_empty() {
            self.filter.clear();
        } else if self.page == Page::Events && self.event_kind.is_some() {
            self.event_kind = None;
        } else if self.page == Page::Help {
            self.open(self.memory.before_help);
        } else if self.page == Page::Models && self.dial.take().is_some() {
        } else if self.page != Page::Overview {
            self.open(Page::Overview);
        } else if self.considered.take().is_some() {
        } else {
            self.toast = None;
        }
    }

    fn next_sort(&mut self, now: Monotonic) {
        let (list, orders): (_, &[Sort]) = match self.page {
            Page::Overview | Page::Models => (
                &mut self.models,
                &[Sort::Natural, Sort::Name, Sort::Size, Sort::Age, Sort::Priority],
            ),
            Page::Components => {
                (&mut self.components, &[Sort::Natural, Sort::Name, Sort::Size, Sort::Priority])
            }
            Page::Events => (&mut self.events, &[Sort::Natural, Sort::Age]),
            Page::Policy | Page::Help => return,
        };
        let place = orders.iter().position(|sort| *sort == list.sort).unwrap_or_default();
        list.sort = orders[(place + 1) % orders.len()];
        let word = list.sort.word(self.page);
        self.say(Tone::Neutral, format!("sorted {word}"), now);
    }

    fn next_kind(&mut self) {
        let mut kinds = EventKind::ALL.into_iter();
        self.event_kind = match self.event_kind {
            None => kinds.next(),
            Some(kind) => kinds.skip_while(|other| *other != kind).nth(1),
        };
    }
}
