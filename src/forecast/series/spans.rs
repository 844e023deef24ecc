//! What is counted over a span of time: how long each level lasted, how long
//! tasks stalled, how often something happened. Counters that go backwards
//! begin anew; what was never read twice is unknown.

use std::time::Duration;

use crate::domain::{Level, Monotonic};

/// Tasks that stall for a smaller share of the time between two looks are not
/// in one stall that goes on.
const DENSE: u32 = 10;

/// How long each level lasted.
#[derive(Debug, Clone)]
pub struct LevelTimes {
    longest_gap: Duration,
    /// Without a level nobody can tell it yet.
    last: Option<(Monotonic, Option<Level>)>,
    times: Times,
    /// In which no level could be told yet.
    untold: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// By level, from normal on.
    pub at: [Duration; 4],
    /// Nobody looked, or the level could not be told yet.
    pub unseen: Duration,
}

impl Times {
    pub fn of(&self, level: Level) -> Duration {
        self.at[level as usize]
    }
}

impl LevelTimes {
    pub fn new(longest_gap: Duration) -> LevelTimes {
        LevelTimes { longest_gap, last: None, times: Times::default(), untold: Duration::ZERO }
    }

    /// A level lasts until the next look. `None`: who tells it has only begun,
    /// and would say normal of any machine. If it is normal in the end, none
    /// has lasted meanwhile; else nobody knows since when.
    pub fn look(&mut self, at: Monotonic, level: Option<Level>) {
        if let Some((before, level)) = self.last {
            let span = at.since(before);
            let lasted = match level {
                _ if span > self.longest_gap => &mut self.times.unseen,
                Some(level) => &mut self.times.at[level as usize],
                None => &mut self.untold,
            };
            *lasted = lasted.saturating_add(span);
        }
        if let Some(level) = level {
            let untold = std::mem::take(&mut self.untold);
            let lasted = match level {
                Level::Normal => &mut self.times.at[level as usize],
                _ => &mut self.times.unseen,
            };
            *lasted = lasted.saturating_add(untold);
        }
        self.last = Some((at, level));
    }

    /// `None`: nobody looked twice.
    pub fn times(&self) -> Option<Times> {
        let unseen = self.times.unseen.saturating_add(self.untold);
        let times = Times { unseen, ..self.times };
        (times != Times::default()).then_some(times)
    }
}

/// Stalls, from a counter of stalled time.
#[derive(Debug, Clone)]
pub struct Stalls {
    longest_gap: Duration,
    last: Option<(Monotonic, u64)>,
    total: Option<Duration>,
    stretch: Duration,
    longest: Option<Duration>,
}

impl Stalls {
    pub fn new(longest_gap: Duration) -> Stalls {
        Stalls { longest_gap, last: None, total: None, stretch: Duration::ZERO, longest: None }
    }

    /// The counter in microseconds; `None`: it could not be read.
    pub fn look(&mut self, at: Monotonic, counter: Option<u64>) {
        let Some(counter) = counter else {
            self.stretch = Duration::ZERO;
            return;
        };
        let before = self.last.replace((at, counter));
        let Some((since, before)) = before else { return };
        let Some(stalled) = counter.checked_sub(before) else {
            self.stretch = Duration::ZERO;
            return;
        };
        let (stalled, span) = (Duration::from_micros(stalled), at.since(since));
        self.total = Some(self.total.unwrap_or_default().saturating_add(stalled));
        if span > self.longest_gap {
            // One stall or a thousand: nobody looked.
            self.stretch = Duration::ZERO;
            return;
        }
        let is_dense = stalled.saturating_mul(DENSE) >= span;
        let stretch = if is_dense { self.stretch.saturating_add(stalled) } else { stalled };
        self.longest = self.longest.max(Some(stretch));
        self.stretch = if is_dense { stretch } else { Duration::ZERO };
    }

    pub fn total(&self) -> Option<Duration> {
        self.total
    }

    /// The most that was stalled in one stretch of looks, in each of which
    /// tasks stalled for a tenth of the time at least; or between two looks.
    /// `None`: no two looks were near enough to say.
    pub fn longest(&self) -> Option<Duration> {
        self.longest
    }
}

/// How often something happened, from a counter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    last: Option<u64>,
    more: Option<u64>,
}

impl Count {
    pub fn look(&mut self, counter: Option<u64>) {
        let Some(counter) = counter else { return };
        if let Some(before) = self.last.replace(counter) {
            let more = self.more.unwrap_or(0);
            self.more = Some(more.saturating_add(counter.saturating_sub(before)));
        }
    }

    pub fn more(&self) -> Option<u64> {
        self.more
    }
}
