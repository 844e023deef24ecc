//! Whether forecasts and estimates were right.
//!
//! The ledger follows each forecast from when it is first shown until its
//! level comes, its time is over twice, or something was done about it. The
//! sums are taken from records, by whoever keeps them.

use std::time::Duration;

use crate::domain::{Forecast, ForecastOutcome, ForecastRecord, Level, Moment, SignalKind};

mod accuracy;

pub use accuracy::{Accuracy, Errors, accuracy};

/// Follows the forecasts that are shown and says what became of each.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    open: Vec<Open>,
    level: Option<Level>,
}

/// What one sample says to the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub shown: Option<&'a Forecast>,
    pub level: Level,
    /// The signal that set the level, where it is one that is forecast.
    pub set_by: Option<SignalKind>,
    /// For how long that signal's room has fallen, by its trend.
    pub climb: Duration,
}

/// What came of one sample.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct Followed {
    /// What is shown was not shown before: worth an event.
    pub is_news: bool,
    /// What is over.
    pub ended: Vec<ForecastRecord>,
}

#[derive(Debug, Clone)]
struct Open {
    made: Moment,
    /// As it was first shown.
    forecast: Forecast,
    /// When it was last shown, and what was left then.
    seen: Moment,
    left: Duration,
    /// At the last sample.
    is_shown: bool,
    /// Its time was over and it is still shown: told of already.
    is_judged: bool,
}

/// More at once would be one each minute for a quarter of an hour.
const MOST_OPEN: usize = 16;

/// Shown again within so long, it is the same forecast: two series that take
/// turns are no news each time.
const SAME_WITHIN: Duration = Duration::from_secs(60);

/// A level needs its dwell and a sample to be seen.
const LEAST_LATEST: Duration = Duration::from_secs(5);

/// A climb that gave time to tell of it.
const CLIMB: Duration = Duration::from_secs(60);

impl Ledger {
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// Takes one sample in.
    pub fn follow(&mut self, seen: &Seen, now: Moment) -> Followed {
        let mut ended = Vec::new();
        self.close_late(now, &mut ended);
        let before = self.level.replace(seen.level);
        if let Some(before) = before.filter(|before| seen.level > *before) {
            let was_told = self.open.iter().any(|open| open.forecast.to > before);
            self.close_reached(seen.level, now, &mut ended);
            if let Some(signal) = seen.set_by.filter(|_| !was_told && seen.climb >= CLIMB) {
                ended.push(missed(seen, signal, now));
            }
        }
        let is_news = self.note(seen, now, &mut ended);
        Followed { is_news, ended }
    }

    /// A load, an unload, an action or a gap: what is open was cut short.
    pub fn cut_short(&mut self, now: Moment) -> Vec<ForecastRecord> {
        let open = std::mem::take(&mut self.open);
        let unjudged = open.iter().filter(|open| !open.is_judged);
        unjudged.map(|open| open.record(ForecastOutcome::CutShort, now)).collect()
    }

    fn close_late(&mut self, now: Moment, ended: &mut Vec<ForecastRecord>) {
        self.open.retain_mut(|open| {
            if !open.is_judged && now.since(open.made) > open.too_late() {
                ended.push(open.record(ForecastOutcome::FalseAlarm, now));
                open.is_judged = true;
            }
            open.is_shown || !open.is_judged
        });
    }

    fn close_reached(&mut self, level: Level, now: Moment, ended: &mut Vec<ForecastRecord>) {
        self.open.retain(|open| {
            let is_reached = open.forecast.to <= level;
            if is_reached && !open.is_judged {
                ended.push(open.record(ForecastOutcome::Hit, now));
            }
            !is_reached
        });
    }

    /// Notes what is shown; true of what is new.
    fn note(&mut self, seen: &Seen, now: Moment, ended: &mut Vec<ForecastRecord>) -> bool {
        let shown = seen.shown.filter(|shown| shown.to > seen.level);
        let goes_on = |open: &Open, shown: &Forecast| {
            let is_again = now.since(open.seen) <= SAME_WITHIN && shown.latest > open.left / 2;
            open.is_of(shown) && (open.is_shown || is_again)
        };
        let known = shown.and_then(|shown| self.open.iter().rposition(|o| goes_on(o, shown)));
        self.open.iter_mut().for_each(|open| open.is_shown = false);
        let Some(shown) = shown else { return false };
        if let Some(open) = known.and_then(|known| self.open.get_mut(known)) {
            (open.is_shown, open.seen, open.left) = (true, now, shown.latest);
            return false;
        }
        if self.open.len() >= MOST_OPEN {
            let oldest = self.open.remove(0);
            if !oldest.is_judged {
                ended.push(oldest.record(ForecastOutcome::FalseAlarm, now));
            }
        }
        self.open.push(Open {
            made: now,
            forecast: shown.clone(),
            seen: now,
            left: shown.latest,
            is_shown: true,
            is_judged: false,
        });
        true
    }
}

impl Open {
    fn is_of(&self, shown: &Forecast) -> bool {
        (self.forecast.to, self.forecast.signal) == (shown.to, shown.signal)
    }

    fn too_late(&self) -> Duration {
        self.forecast.latest.max(LEAST_LATEST).saturating_mul(2)
    }

    fn record(&self, outcome: ForecastOutcome, now: Moment) -> ForecastRecord {
        ForecastRecord {
            made: self.made.wall,
            to: self.forecast.to,
            signal: self.forecast.signal,
            soonest_ms: millis(self.forecast.soonest),
            latest_ms: millis(self.forecast.latest),
            window_ms: millis(self.forecast.window),
            rate: self.forecast.rate,
            outcome,
            after_ms: millis(now.since(self.made)),
        }
    }
}

fn missed(seen: &Seen, signal: SignalKind, now: Moment) -> ForecastRecord {
    ForecastRecord {
        made: now.wall,
        to: seen.level,
        signal,
        soonest_ms: 0,
        latest_ms: 0,
        window_ms: millis(seen.climb),
        rate: 0.0,
        outcome: ForecastOutcome::Missed,
        after_ms: 0,
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
