//! Where the eye is: page, selection, and what the engine should attend to.

use ratatui::layout::Position;

use crate::domain::process::ProcessKey;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::{Attention, Command};
use crate::tui::keymap::Intent;
use crate::tui::rows::{self, Row};
use crate::tui::state::{Dialog, InputMode, ListState, Older, Page, Subject, Target, Ui};
use crate::tui::update::{Purpose, UiEffect};

/// Rows of a screenful where the view has not said how many it shows.
pub(super) const SCREENFUL: i64 = 10;

/// Older events asked for at a time: some screenfuls.
const OLDER_AT_A_TIME: usize = 200;

/// Rows from the end at which older ones are asked for, so that they are there
/// before the reader is.
const NEAR_THE_END: usize = 20;

/// Older events kept for scrolling: half a megabyte.
const OLDER_KEPT: usize = 4000;

impl Ui {
    pub(super) fn open(&mut self, page: Page) {
        if self.page != page {
            if page == Page::Help {
                self.memory.before_help = self.page;
            }
            self.page = page;
            self.filter.clear();
            self.help_scroll = 0;
            // Back to the row that was left for the overview.
            if let Some(model) = self.considered.as_ref().filter(|_| page == Page::Models) {
                self.models.selected = Some(model.as_str().to_owned());
            }
        }
    }

    pub(super) fn turn_page(&mut self, by: usize) {
        let place = Page::ALL.iter().position(|page| *page == self.page).unwrap_or_default();
        self.open(Page::ALL[(place + by) % Page::ALL.len()]);
    }

    /// Moves the selection by so many rows, or scrolls the help.
    pub(super) fn step(&mut self, snapshot: &Snapshot, by: i64) {
        if self.page == Page::Help {
            let end = self.sight.help_end;
            self.help_scroll = stepped(self.help_scroll.min(end), by, end);
            return;
        }
        let ids = self.rows_here(snapshot);
        let Some((list, last)) = self.list().zip(ids.len().checked_sub(1)) else {
            return;
        };
        let from = list.last_index.min(last);
        list.last_index = stepped(from, by, last);
        list.selected = Some(ids[list.last_index].clone());
        self.memory.slipped = None;
    }

    /// One row less than is in sight: the eye keeps its place.
    pub(super) fn screenful(&self) -> i64 {
        match self.sight.rows {
            0 => SCREENFUL,
            rows => i64::from(rows.saturating_sub(1).max(1)),
        }
    }

    pub(super) fn scroll_dialog(&mut self, by: i64) {
        let end = self.sight.dialog_end;
        self.dialog_scroll = stepped(self.dialog_scroll.min(end), by, end);
    }

    /// A dial has nothing to scroll: there the same keys turn it.
    pub(super) fn scroll_or_turn(&mut self, snapshot: &Snapshot, intent: Intent) -> Vec<UiEffect> {
        let is_up = intent == Intent::ScrollUp;
        match self.dialog {
            Some(Dialog::Keep { .. } | Dialog::Load { .. }) => {
                self.turn(snapshot, if is_up { 1 } else { -1 })
            }
            _ => {
                self.scroll_dialog(if is_up { -1 } else { 1 });
                Vec::new()
            }
        }
    }

    /// A click selects a row or opens a page; it never acts.
    pub(super) fn click(&mut self, snapshot: &Snapshot, (x, y): (u16, u16)) {
        if self.dialog.is_some() || self.mode != InputMode::Keys {
            return;
        }
        let at = Position { x, y };
        let hit = self.sight.targets.iter().find(|(area, _)| area.contains(at)).copied();
        match hit {
            Some((_, Target::Page(page))) => self.open(page),
            Some((area, Target::Rows(first))) => {
                let row = first + usize::from(y - area.y);
                let from = self.list().map_or(0, |list| list.last_index);
                let by = i64::try_from(row).unwrap_or(i64::MAX)
                    - i64::try_from(from).unwrap_or_default();
                self.step(snapshot, by);
            }
            None => {}
        }
    }

    fn list(&mut self) -> Option<&mut ListState> {
        match self.page {
            Page::Overview | Page::Models => Some(&mut self.models),
            Page::Components => Some(&mut self.components),
            Page::Events => Some(&mut self.events),
            Page::Policy => Some(&mut self.rules),
            Page::Help => None,
        }
    }

    fn rows_here(&self, snapshot: &Snapshot) -> Vec<String> {
        fn ids<R: Row>(rows: &[R]) -> Vec<String> {
            rows.iter().map(Row::id).collect()
        }
        match self.page {
            Page::Overview | Page::Models => ids(&rows::model_rows(snapshot, self)),
            Page::Components => ids(&rows::component_rows(snapshot, self)),
            Page::Events => ids(&rows::event_rows(snapshot, self)),
            Page::Policy => ids(&rows::rule_rows(snapshot)),
            Page::Help => Vec::new(),
        }
    }

    /// Where the selection of this page is, and the row to select instead
    /// where that one has vanished.
    fn place(&self, snapshot: &Snapshot) -> Option<(usize, Option<String>)> {
        fn find<R: Row>(rows: &[R], list: &ListState) -> Option<(usize, Option<String>)> {
            let last = rows.len().checked_sub(1)?;
            let index = rows::selected_index(rows, list).unwrap_or(list.last_index.min(last));
            let is_there = list.selected.as_ref().is_some_and(|id| rows[index].has_id(id));
            Some((index, (!is_there).then(|| rows[index].id())))
        }
        match self.page {
            Page::Overview | Page::Models => find(&rows::model_rows(snapshot, self), &self.models),
            Page::Components => find(&rows::component_rows(snapshot, self), &self.components),
            Page::Events => find(&rows::event_rows(snapshot, self), &self.events),
            Page::Policy => find(&rows::rule_rows(snapshot), &self.rules),
            Page::Help => None,
        }
    }

    /// Keeps the selection on a row that is there. `by_itself`: the list moved,
    /// not the person; a key pressed just then may mean the row that vanished.
    pub(super) fn settle(&mut self, snapshot: &Snapshot, by_itself: Option<Monotonic>) {
        let place = self.place(snapshot);
        let Some(list) = self.list() else {
            return;
        };
        match place {
            None => {
                list.selected = None;
                list.last_index = 0;
            }
            Some((index, replacement)) => {
                list.last_index = index;
                if let Some(id) = replacement {
                    let had_one = list.selected.replace(id).is_some();
                    if had_one && by_itself.is_some() {
                        self.memory.slipped = by_itself;
                    }
                }
            }
        }
    }

    pub(super) fn details(&mut self, snapshot: &Snapshot) {
        let subject = match self.page {
            Page::Overview | Page::Models => {
                rows::selected_model(snapshot, self).map(|row| Subject::Model(row.name().clone()))
            }
            Page::Components => rows::selected_component(snapshot, self)
                .map(|component| Subject::Component(component.id.clone())),
            Page::Events => {
                let seq = self.events.selected.as_ref().and_then(|id| id.parse().ok());
                seq.map(Subject::Event)
            }
            Page::Policy => {
                rows::selected_rule(snapshot, self).map(|row| Subject::Rule(row.rule()))
            }
            Page::Help => None,
        };
        self.dialog = subject.map(Dialog::Details);
    }

    /// Asks for older events as the reader comes near the oldest row.
    pub(super) fn ask_older(&mut self, snapshot: &Snapshot) -> Option<UiEffect> {
        if self.page != Page::Events || self.memory.older != Older::MayBe {
            return None;
        }
        let rows = rows::event_rows(snapshot, self);
        let newest_first = rows.first().map(|e| e.seq) >= rows.last().map(|e| e.seq);
        let from_oldest = if newest_first {
            rows.len().saturating_sub(self.events.last_index)
        } else {
            self.events.last_index
        };
        let recent = snapshot.events.value.front().map(|event| event.seq);
        let before = self.older_events.last().map(|event| event.seq).or(recent)?;
        if from_oldest > NEAR_THE_END || before <= 1 {
            return None;
        }
        self.memory.older = Older::Asked;
        let command = Command::OlderEvents { before, limit: OLDER_AT_A_TIME };
        Some(UiEffect::Send(command, Purpose::OlderEvents))
    }

    pub(super) fn take_older(&mut self, events: Vec<crate::domain::event::Event>) {
        let known = self.older_events.last().map_or(u64::MAX, |event| event.seq);
        let before = self.older_events.len();
        self.older_events.extend(events.into_iter().filter(|event| event.seq < known));
        self.older_events.truncate(OLDER_KEPT);
        let has_grown = self.older_events.len() > before;
        self.memory.older = if has_grown { Older::MayBe } else { Older::NoMore };
    }

    /// Tells the engine what is looked at, when that has changed.
    pub(super) fn attend(&mut self, snapshot: &Snapshot) -> Option<UiEffect> {
        let attention = Attention {
            processes: self.page == Page::Components,
            details: self.detailed_process(snapshot),
            // Also without the focus: a verdict beside another window must not vanish.
            fits: true,
            dial: self.dial.clone(),
            // The overview says how the rules stand.
            policy: self.page == Page::Policy,
            unfocused: self.memory.is_unfocused,
            watched: true,
        };
        if self.memory.attention.as_ref() == Some(&attention) {
            return None;
        }
        self.memory.attention = Some(attention.clone());
        Some(UiEffect::Send(Command::Attend { attention }, Purpose::Quiet))
    }

    fn detailed_process(&self, snapshot: &Snapshot) -> Option<ProcessKey> {
        match &self.dialog {
            Some(Dialog::Details(Subject::Model(name))) => snapshot.model(name)?.runner,
            Some(Dialog::Details(Subject::Component(id))) => {
                snapshot.components.value.iter().find(|component| component.id == *id)?.process
            }
            _ => None,
        }
    }
}

fn stepped(from: usize, by: i64, last: usize) -> usize {
    let span = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    if by < 0 { from.saturating_sub(span) } else { from.saturating_add(span).min(last) }
}
