//! What loads are seen to take: followed while they last, kept for later.

use crate::domain::fit::Placement;
use crate::domain::model::ModelState;
use crate::domain::time::Wall;
use crate::domain::{Activity, Bytes, FitQuestion, LoadKey, LoadObserved, ModelName, Need};

use super::super::input::{Effect, Lesson};
use super::State;

/// One load, as far as it has been seen.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    key: LoadKey,
    loaded: Wall,
    /// By the formulas, and with what had been learned before.
    estimated: Need,
    expected: Need,
    reported: Option<Bytes>,
    /// What it held when its first work was done.
    settled: Option<Bytes>,
    last: Bytes,
    peak: Bytes,
    was_used: bool,
}

impl Observed {
    fn lesson(&self, model: &ModelName) -> LoadObserved {
        LoadObserved {
            key: self.key.clone(),
            model: model.clone(),
            loaded: self.loaded,
            estimated_reported: Some(self.estimated.reported),
            estimated: Some(self.estimated.measured),
            expected: Some(self.expected.measured),
            reported: self.reported,
            measured: self.settled.unwrap_or(self.last),
            peak: self.peak,
            was_used: self.was_used,
        }
    }
}

impl State {
    /// Follows what each loaded model holds, with each sample.
    pub(super) fn follow_loads(&mut self) {
        if self.server.is_remote() {
            return;
        }
        let names: Vec<ModelName> = self.models.keys().cloned().collect();
        for name in names {
            if let Some(lesson) = self.follow_load(&name) {
                self.learn(lesson);
            }
        }
    }

    fn follow_load(&mut self, name: &ModelName) -> Option<LoadObserved> {
        let tracked = self.models.get(name)?;
        let (held, _) = tracked.held?;
        let is_ready = matches!(tracked.state, ModelState::Ready) && tracked.listed.is_some();
        if !is_ready {
            return None;
        }
        if tracked.observed.is_none() {
            let seen = self.first_sight(name)?;
            self.models.get_mut(name)?.observed = Some(seen);
        }
        let tracked = self.models.get_mut(name)?;
        let seen = tracked.observed.as_mut()?;
        // A process's figures leave out what lies on a card of its own.
        let on_card = match seen.key.placement {
            Placement::Gpu => tracked.listed.as_ref().and_then(|listed| listed.vram),
            Placement::Cpu | Placement::Unified => None,
        };
        let held = held + on_card.unwrap_or_default();
        seen.last = held;
        seen.peak = seen.peak.max(held);
        seen.reported = tracked.listed.as_ref().and_then(|listed| listed.reported);
        seen.was_used |= tracked.activity == Activity::Busy;
        let has_settled =
            seen.settled.is_none() && seen.was_used && tracked.activity == Activity::Idle;
        if has_settled {
            seen.settled = Some(held);
        }
        has_settled.then(|| seen.lesson(name))
    }

    fn first_sight(&self, name: &ModelName) -> Option<Box<Observed>> {
        let tracked = self.models.get(name)?;
        let context = Some(tracked.listed.as_ref()?.context?);
        let question = FitQuestion { context, ..FitQuestion::plain(name.clone()) };
        let runner = tracked.runner.and_then(|key| self.arguments_of(key));
        let (key, estimated, expected) = self.expected_of(&question, runner)?;
        Some(Box::new(Observed {
            key,
            loaded: self.now.wall,
            estimated,
            expected,
            reported: None,
            settled: None,
            last: Bytes::ZERO,
            peak: Bytes::ZERO,
            was_used: false,
        }))
    }

    /// It has left: what it came to is known now.
    pub(super) fn close_load(&mut self, name: &ModelName, seen: Option<Box<Observed>>) {
        if let Some(seen) = seen.filter(|seen| !seen.peak.is_zero()) {
            self.learn(seen.lesson(name));
        }
    }

    fn learn(&mut self, load: LoadObserved) {
        self.book.note(load.clone());
        self.fits.learned += 1;
        self.effects.push(Effect::Learn(Lesson::Load(Box::new(load))));
    }
}
