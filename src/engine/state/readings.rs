//! Samples as they come in: rates, the level, the history.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::EventBody;
use crate::domain::history::POINT_EVERY;
use crate::domain::level::{Basis, Headroom, LevelState, Mark};
use crate::domain::process::ProcessTable;
use crate::domain::sample::Memory;
use crate::domain::snapshot::Rates;
use crate::domain::{Bytes, Group, Level, Moment, Monotonic, Sample};
use crate::policy::level::{self, Judge, Judgement};
use crate::policy::signals;

use super::super::input::Configured;
use super::State;
use super::pace::Stillness;

/// Swap comes and goes in bursts; growth is taken over this span.
const SWAP_SPAN: Duration = Duration::from_secs(10);

/// A longer silence between samples is a gap: sleep, a stopped process.
const GAP_INTERVALS: u32 = 3;

/// Sleep or a stop, where a shorter silence may be a machine that thrashes
/// and needs its rules.
const LONG_GAP: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Readings {
    last: Option<Arc<Sample>>,
    /// When the newest sample was taken; the start before the first.
    last_at: Monotonic,
    rates: Rates,
    swap_past: VecDeque<(Monotonic, Bytes)>,
    judge: Judge,
    level: LevelState,
    /// What set the level is below its threshold again.
    is_calming: bool,
    last_point: Option<Monotonic>,
    stillness: Stillness,
    total: Option<Bytes>,
}

impl Readings {
    pub(super) fn new(now: Moment) -> Self {
        Readings {
            last: None,
            last_at: now.mono,
            rates: Rates::default(),
            swap_past: VecDeque::new(),
            judge: Judge::default(),
            level: LevelState {
                level: Level::Normal,
                since: now,
                set_by: None,
                basis: Basis::Attached,
            },
            is_calming: false,
            last_point: None,
            stillness: Stillness::default(),
            total: None,
        }
    }

    pub(super) fn sample(&self) -> Option<&Arc<Sample>> {
        self.last.as_ref()
    }

    pub(super) fn memory(&self) -> Option<&Memory> {
        self.last.as_ref()?.memory.as_ref().ok()
    }

    pub(super) fn available(&self) -> Option<Bytes> {
        self.memory().map(|memory| memory.available)
    }

    /// `None`: processes cannot be seen, which is not the same as none there.
    pub(super) fn processes(&self) -> Option<&ProcessTable> {
        self.last.as_ref()?.processes.as_ref().ok()
    }

    /// Containers and services; none where none are named or can be seen.
    pub(super) fn groups(&self) -> &[Group] {
        let groups = self.last.as_ref().and_then(|sample| sample.groups.as_ref().ok());
        groups.map_or(&[], Vec::as_slice)
    }

    pub(super) fn last_at(&self) -> Monotonic {
        self.last_at
    }

    pub(super) fn stillness(&self) -> &Stillness {
        &self.stillness
    }

    /// A threshold is passed, and its level not entered yet.
    pub(super) fn is_entering(&self) -> bool {
        self.judge.is_entering()
    }

    pub(super) fn rates(&self) -> &Rates {
        &self.rates
    }

    pub(super) fn level(&self) -> &LevelState {
        &self.level
    }

    /// The level only lasts: what set it is below its threshold again.
    pub(super) fn is_calming(&self) -> bool {
        self.is_calming
    }

    /// Swap in use: the least of the last seconds, and now.
    pub(super) fn swap_span(&self) -> Option<(Bytes, Bytes)> {
        let least = self.swap_past.iter().map(|(_, used)| *used).min()?;
        Some((least, self.swap_past.back()?.1))
    }

    fn swap_growth(&mut self, sample: &Sample) -> Option<f64> {
        let Ok(swap) = &sample.swap else {
            self.swap_past.clear();
            return None;
        };
        let now = sample.at.mono;
        self.swap_past.push_back((now, swap.used));
        while self.swap_past.len() > 2 && now.since(self.swap_past[1].0) >= SWAP_SPAN {
            self.swap_past.pop_front();
        }
        let (since, used) = *self.swap_past.front()?;
        let seconds = now.since(since).as_secs_f64();
        (seconds > 0.0).then(|| swap.used.since(used).get() as f64 / seconds)
    }
}

impl State {
    pub(super) fn take_sample(&mut self, sample: Sample) {
        self.withdraw("sensors");
        let gap = self.patience().max(self.interval() * GAP_INTERVALS);
        let earlier = self.readings.last.take();
        let had_gap = earlier.as_ref().is_some_and(|old| sample.at.since(old.at) > gap);
        if had_gap {
            self.readings.judge.forget_spans();
            self.restart_outlook();
            self.readings.swap_past.clear();
        }
        if earlier.as_ref().is_some_and(|old| sample.at.since(old.at) >= LONG_GAP) {
            self.guard_wakes_up();
        }
        self.readings.rates =
            earlier.as_ref().map(|old| Rates::derive(old, &sample, gap)).unwrap_or_default();
        self.readings.rates.swap_growth = self.readings.swap_growth(&sample);
        self.readings.last_at = sample.at.mono;
        self.follow_total(&sample);
        if let Ok(memory) = &sample.memory {
            self.readings.stillness.follow(memory.available, memory.total, sample.at.mono);
        }
        self.readings.last = Some(Arc::new(sample));
        if self.readings.rates.oom_kills > 0 {
            self.tell(EventBody::OomKill { count: self.readings.rates.oom_kills });
        }
        self.follow_level();
        self.place_server();
        self.follow_processes();
        self.follow_loads();
        self.follow_outlook();
        self.settle_actions();
        self.follow_courses();
        self.rebuild_components();
        self.keep_movers();
        self.close_unfinished();
        self.guard();
        self.add_point();
        self.follow_minutes(gap);
    }

    /// Total memory may change at run time: a balloon, an edited limit.
    fn follow_total(&mut self, sample: &Sample) {
        let Ok(memory) = &sample.memory else { return };
        match self.readings.total.replace(memory.total) {
            Some(total) if total == memory.total => return,
            Some(total) => {
                self.restart_outlook();
                self.tell(EventBody::TotalChanged { from: total, to: memory.total });
            }
            None => {}
        }
        self.take_regime();
    }

    /// Limits and rules for the memory there is.
    fn take_regime(&mut self) {
        let regime = (self.settings.regime_for)(self.readings.total);
        self.profile = Arc::new(regime.profile);
        self.limits = regime.limits;
        self.rules = regime.rules;
    }

    pub(super) fn take_config(&mut self, configured: Configured) {
        self.settings.interval = configured.interval;
        self.settings.regime_for = configured.regime_for;
        self.settings.fit = configured.fit;
        self.settings.tastes = configured.tastes;
        // What was judged before was judged by others.
        self.fits.learned += 1;
        self.settings.components = configured.components;
        self.fits.learned += 1;
        self.named = self.settings.named();
        self.settings.hooks = configured.hooks;
        if self.hints.value != configured.hints {
            self.hints.version += 1;
            self.hints.value = configured.hints;
        }
        self.take_regime();
        self.rebuild_components();
        self.tell(EventBody::Note { text: configured.note });
    }

    fn follow_level(&mut self) {
        let Some(sample) = self.readings.last.clone() else { return };
        let signals = signals::read(&sample, &self.readings.rates, &self.limits);
        // When it was so, which on a busy machine is before it is heard of.
        let judgement = self.readings.judge.judge(&signals, &self.limits, sample.at.mono);
        self.set_level(judgement);
    }

    fn set_level(&mut self, judgement: Judgement) {
        let current = &mut self.readings.level;
        let from = current.level;
        self.readings.is_calming = judgement.is_calming;
        current.set_by = judgement.cause.clone();
        if from == judgement.level {
            return;
        }
        let lasted = self.now.since(current.since);
        current.level = judgement.level;
        current.since = self.now;
        self.level_has_changed();
        self.tell(EventBody::LevelChanged {
            from,
            to: judgement.level,
            cause: judgement.cause,
            lasted_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
        });
    }

    /// The level by the last sample alone, without dwell: for a single look.
    pub fn judge_at_once(&mut self) {
        let Some(sample) = self.readings.last.clone() else { return };
        let signals = signals::read(&sample, &self.readings.rates, &self.limits);
        let Judgement { level, cause, .. } = level::at_once(&signals);
        self.readings.level =
            LevelState { level, since: self.now, set_by: cause, basis: Basis::OneShot };
        self.follow_fits();
        self.follow_policy_view();
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        self.readings
            .memory()
            .map(|memory| signals::marks(memory.total, &self.limits))
            .unwrap_or_default()
    }

    pub(super) fn headroom(&self, marks: &[Mark]) -> Headroom {
        level::headroom(self.readings.memory(), marks, self.readings.level.level)
    }

    /// Bytes to free before the level may fall to normal.
    pub(super) fn excess(&self) -> Option<Bytes> {
        level::excess(self.readings.memory()?, &self.marks(), &self.limits)
    }

    /// Bytes to free before memory may fall to a level, or why nobody can say.
    pub(super) fn excess_over(&self, level: Level) -> Result<Bytes, String> {
        let memory = self.readings.memory().ok_or("memory cannot be read")?;
        level::excess_over(memory, &self.marks(), &self.limits, level)
            .ok_or_else(|| format!("this profile has no mark above {level} in bytes"))
    }

    fn add_point(&mut self) {
        let now = self.now;
        // A little early is on time: timers are not exact.
        let due = POINT_EVERY.mul_f64(0.9);
        if self.readings.last_point.is_some_and(|last| now.mono.since(last) < due) {
            return;
        }
        self.readings.last_point = Some(now.mono);
        if self.readings.last.is_none() {
            return;
        }
        let point = self.point();
        self.history.push(point);
    }
}
