//! How long there is: forecasts of the next level, and what became of them.

use std::time::Duration;

use crate::domain::ModelState;
use crate::domain::event::EventBody;
use crate::domain::level::Headroom;
use crate::domain::{Bytes, Forecast, ForecastRecord, Level, Sample, SignalKind};
use crate::forecast::score::{Ledger, Seen};
use crate::forecast::trend::{Aim, Trend};

use super::super::input::{Effect, Lesson};
use super::State;
use super::tracked::Tracked;

/// Two series foretell: what is available, and what is left of swap.
#[derive(Debug)]
pub(super) struct Outlook {
    memory: Trend,
    swap: Trend,
    ledger: Ledger,
    pub(super) shown: Option<Forecast>,
}

impl Outlook {
    pub(super) fn new() -> Self {
        Outlook { memory: Trend::new(), swap: Trend::new(), ledger: Ledger::new(), shown: None }
    }
}

impl State {
    pub(super) fn follow_outlook(&mut self) {
        let Some(sample) = self.readings.sample().cloned() else { return };
        let is_loading = |tracked: &Tracked| matches!(tracked.state, ModelState::Loading { .. });
        if self.models.values().any(is_loading) {
            // A load's way up is no trend: where it ends is known.
            self.restart_outlook();
        }
        let foretold = [self.by_memory(&sample), self.by_swap(&sample)].into_iter().flatten();
        self.outlook.shown = foretold.min_by_key(|forecast| forecast.soonest);
        let (set_by, climb) = self.climbed(&sample);
        let outlook = &mut self.outlook;
        let level = self.readings.level().level;
        let seen = Seen { shown: outlook.shown.as_ref(), level, set_by, climb };
        let followed = outlook.ledger.follow(&seen, self.now);
        self.keep_forecasts(followed.ended);
        if let Some(forecast) = self.outlook.shown.clone().filter(|_| followed.is_news) {
            self.tell(EventBody::Foreseen { forecast: Box::new(forecast) });
        }
    }

    /// The signal that set the level, if it is one that is foretold, and for
    /// how long its room has fallen.
    fn climbed(&self, sample: &Sample) -> (Option<SignalKind>, Duration) {
        let cause = self.readings.level().set_by.as_ref().map(|cause| cause.signal);
        match (cause, &sample.memory, &sample.swap) {
            (Some(SignalKind::Memory | SignalKind::Available), Ok(memory), _) => {
                (Some(SignalKind::Memory), self.outlook.memory.climb(memory.total))
            }
            (Some(SignalKind::Swap), _, Ok(swap)) => {
                (Some(SignalKind::Swap), self.outlook.swap.climb(swap.total))
            }
            _ => (None, Duration::ZERO),
        }
    }

    fn by_memory(&mut self, sample: &Sample) -> Option<Forecast> {
        let memory = sample.memory.as_ref().ok()?;
        self.outlook.memory.push(sample.at.mono, memory.available);
        let Headroom::Known { bytes, to } = self.headroom(&self.marks()) else { return None };
        let floor = memory.available.saturating_sub(bytes);
        let aim = Aim { to, signal: SignalKind::Memory, floor, scale: memory.total };
        self.outlook.memory.outlook(&aim, self.now)
    }

    /// Swap that fills up is the machine's last room; it is an emergency then.
    fn by_swap(&mut self, sample: &Sample) -> Option<Forecast> {
        let swap = sample.swap.as_ref().ok().filter(|swap| !swap.total.is_zero())?;
        self.outlook.swap.push(sample.at.mono, swap.total.saturating_sub(swap.used));
        let aim = Aim {
            to: Level::Emergency,
            signal: SignalKind::Swap,
            floor: Bytes::ZERO,
            scale: swap.total,
        };
        self.outlook.swap.outlook(&aim, self.now)
    }

    /// A load, an unload, an action or a gap: what was before says nothing of
    /// what comes.
    pub(super) fn restart_outlook(&mut self) {
        self.outlook.memory.restart();
        self.outlook.swap.restart();
        self.outlook.shown = None;
        let ended = self.outlook.ledger.cut_short(self.now);
        self.keep_forecasts(ended);
    }

    fn keep_forecasts(&mut self, records: Vec<ForecastRecord>) {
        let lessons = records.into_iter().map(|record| Effect::Learn(Lesson::Forecast(record)));
        self.effects.extend(lessons);
    }
}
