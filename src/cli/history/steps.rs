//! Minutes as steps of a length, and what lies between them. Pure.
//!
//! A step holds what was seen in it and no more; where nothing was seen there
//! is no step.

use std::time::Duration;

use serde::Serialize;

use crate::domain::past::{Minute, Stretch};
use crate::domain::{Level, Wall};

/// What an engine may have seen and not written yet: no gap.
const UNWRITTEN: i64 = 6;

/// The minutes of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub start: Wall,
    pub was: Stretch,
}

/// A time of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub from: Wall,
    pub until: Wall,
}

impl Gap {
    pub fn span(self) -> Duration {
        self.until.duration_since(self.from).unsigned_abs()
    }
}

/// As one for so many minutes each, counted from 1970: those that divide a day
/// begin with the day in UTC, others go on over its end.
pub fn steps(minutes: &[Minute], every: i64) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for minute in minutes {
        let start = Minute::start_of(minute.number.div_euclid(every).saturating_mul(every));
        match steps.last_mut().filter(|last| last.start == start) {
            Some(last) => last.was.take_in(&minute.was),
            None => steps.push(Step { start, was: minute.was.clone() }),
        }
    }
    steps
}

/// Where of that span no minute is known, in whole minutes.
pub fn gaps(minutes: &[Minute], (from, until): (Wall, Wall)) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut next = Minute::number_at(from);
    let mut note = |next: i64, number: i64| {
        if number > next {
            let (from, until) = (Minute::start_of(next), Minute::start_of(number));
            gaps.push(Gap { from, until });
        }
    };
    for minute in minutes {
        note(next, minute.number);
        next = minute.number.saturating_add(1);
    }
    let last = Minute::number_at(until);
    if last.saturating_sub(next) >= UNWRITTEN {
        note(next, last);
    }
    gaps
}

/// The time at each level, the best first.
pub fn seconds(was: &Stretch) -> [f64; Level::ALL.len()] {
    Level::ALL.map(|level| was.spent.at(level).as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bytes;

    fn minute(number: i64, gib: u64) -> Minute {
        let mut was = Stretch {
            available: Some(Bytes::gib(gib)),
            level: if gib < 2 { Level::Critical } else { Level::Normal },
            ..Stretch::default()
        };
        was.spent.add(was.level, Duration::from_secs(60));
        Minute { number, was }
    }

    #[test]
    fn steps_begin_with_their_length_and_hold_what_was_seen() {
        let minutes = [minute(28, 8), minute(31, 4), minute(34, 1), minute(61, 9)];
        let steps = steps(&minutes, 30);
        let found: Vec<_> = steps
            .iter()
            .map(|step| (Minute::number_at(step.start), step.was.available, step.was.level))
            .collect();
        let gib = |gib| Some(Bytes::gib(gib));
        let (normal, critical) = (Level::Normal, Level::Critical);
        assert_eq!(found, [(0, gib(8), normal), (30, gib(1), critical), (60, gib(9), normal)]);
        assert_eq!(seconds(&steps[1].was), [60.0, 0.0, 60.0, 0.0]);
    }

    #[test]
    fn a_gap_is_what_no_minute_stands_for() {
        let time = |number: i64| Minute::start_of(number);
        let minutes = [minute(10, 8), minute(11, 8), minute(15, 8)];
        let found = gaps(&minutes, (time(8), time(16)));
        let gap = |from, until| Gap { from: time(from), until: time(until) };
        assert_eq!(found, [gap(8, 10), gap(12, 15)]);
        // The newest minutes may not be written yet; more than those are missing.
        assert_eq!(gaps(&minutes[..2], (time(10), time(17))), []);
        assert_eq!(gaps(&minutes[..2], (time(10), time(18))), [gap(12, 18)]);
        assert_eq!(gaps(&[], (time(0), time(60))), [gap(0, 60)]);
        assert_eq!(gap(12, 15).span(), Duration::from_secs(180));
    }
}
