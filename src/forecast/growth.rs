//! Whether a component leaks or has found its size.
//!
//! What it holds at the least in each stretch is followed, over ten minutes
//! and over an hour: what a request takes and gives back does not count. Kept
//! small, since there is one for each model and each named process.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::{Bytes, Course, Monotonic};

use super::slope::{Point, Slope, certainty};

/// A component's bytes over minutes.
#[derive(Debug, Clone)]
pub struct Growth {
    /// When it was first seen since it began afresh, and when last.
    began: Option<Monotonic>,
    last: Monotonic,
    /// What it held at the least in the first stretch.
    base: Option<u32>,
    minutes: Lows,
    hour: Lows,
    course: Option<Course>,
}

/// The least of each stretch.
#[derive(Debug, Clone)]
struct Lows {
    stretch: u32,
    ended: VecDeque<Low>,
    running: Option<Low>,
}

/// Seconds from the beginning, and KiB: half the size of what they stand for.
#[derive(Debug, Clone, Copy)]
struct Low {
    seconds: u32,
    kib: u32,
}

/// Seconds of a stretch. Thirty of them are ten minutes, and an hour.
const SHORT: u32 = 20;
const LONG: u32 = 120;
const KEPT: usize = 30;

/// Fewer stretches than this are no course.
const LEAST_POINTS: usize = 15;

/// Stretches that it must stand still for a plateau: a third of ten minutes.
const STILL: usize = 10;

/// Not seen for longer: what was before says nothing any more.
const GAP: Duration = Duration::from_secs(120);

/// Growth worth a word: more than an allocator keeps back to work with, and
/// more than a fiftieth of the whole.
const WORTH_KIB: f64 = 16.0 * 1024.0;
const WORTH_SHARE: f64 = 0.02;

/// Above this Mann–Kendall's z leaves one chance in a thousand.
const CERTAIN: f64 = 3.0;

/// Growth in deviations of the points from the line: a step is no slope.
const OVER_SCATTER: f64 = 4.0;

/// The share of the slope that the last third keeps up, and the share of the
/// growth that may have been given back.
const KEPT_UP: f64 = 1.0 / 3.0;
const GIVEN_BACK: f64 = 0.25;

impl Default for Growth {
    fn default() -> Self {
        Self::new()
    }
}

impl Growth {
    pub fn new() -> Growth {
        Growth {
            began: None,
            last: Monotonic::default(),
            base: None,
            minutes: Lows::of(SHORT),
            hour: Lows::of(LONG),
            course: None,
        }
    }

    pub fn push(&mut self, now: Monotonic, held: Bytes) {
        if self.began.is_some() && (now < self.last || now.since(self.last) > GAP) {
            self.restart();
        }
        self.last = now;
        let began = *self.began.get_or_insert(now);
        let low = Low {
            seconds: u32::try_from(now.since(began).as_secs()).unwrap_or(u32::MAX),
            kib: u32::try_from(held.get() / 1024).unwrap_or(u32::MAX),
        };
        let Some(ended) = self.minutes.take(low) else { return };
        self.base.get_or_insert(ended.kib);
        self.hour.take(ended);
        self.course = self.judge();
    }

    /// A load, another process: what was before says nothing any more.
    pub fn restart(&mut self) {
        *self = Growth::new();
    }

    /// `None`: neither can be said.
    pub fn course(&self) -> Option<Course> {
        self.course
    }

    fn judge(&self) -> Option<Course> {
        let grows = self.minutes.grows().or_else(|| self.hour.grows());
        grows.map(|rate| Course::Grows { rate }).or_else(|| self.plateau())
    }

    fn plateau(&self) -> Option<Course> {
        let lows = &self.minutes.ended;
        let recent = lows.iter().skip(lows.len().checked_sub(STILL)?);
        let (least, most) = recent
            .fold((u32::MAX, 0), |(least, most), low| (least.min(low.kib), most.max(low.kib)));
        let has_grown = f64::from(least) - f64::from(self.base?) > worth(least);
        let stands = f64::from(most) - f64::from(least) < worth(least) / 2.0;
        (has_grown && stands).then_some(Course::Plateau)
    }
}

fn worth(kib: u32) -> f64 {
    WORTH_KIB.max(f64::from(kib) * WORTH_SHARE)
}

impl Lows {
    fn of(stretch: u32) -> Lows {
        Lows { stretch, ended: VecDeque::new(), running: None }
    }

    /// Gives the least of a stretch when it is over.
    fn take(&mut self, low: Low) -> Option<Low> {
        let Some(running) = &mut self.running else {
            self.running = Some(low);
            return None;
        };
        if low.seconds / self.stretch == running.seconds / self.stretch {
            running.kib = running.kib.min(low.kib);
            return None;
        }
        let ended = std::mem::replace(running, low);
        if self.ended.len() == KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
        Some(ended)
    }

    /// Bytes a second, where it grows beyond doubt and gives nothing back.
    fn grows(&self) -> Option<f64> {
        if self.ended.len() < LEAST_POINTS {
            return None;
        }
        let point =
            |low: &Low| Point { seconds: f64::from(low.seconds), figure: f64::from(low.kib) };
        let points: Vec<Point> = self.ended.iter().map(point).collect();
        if certainty(&points) <= CERTAIN {
            return None;
        }
        let slope = Slope::of(&points)?;
        let (first, last) = (points.first()?, points.last()?);
        let growth = slope.middle * (last.seconds - first.seconds);
        let recent = Slope::of(points.get(points.len() - points.len() / 3..)?)?;
        let most = self.ended.iter().map(|low| low.kib).max()?;
        let is_sure = slope.least > 0.0
            && growth > worth(self.ended.back()?.kib)
            && growth > OVER_SCATTER * slope.scatter(&points)?
            && recent.middle >= slope.middle * KEPT_UP
            && f64::from(most) - last.figure <= growth * GIVEN_BACK;
        is_sure.then_some(slope.middle * 1024.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One look every five seconds; MiB by the second.
    fn after(minutes: u64, held: impl Fn(f64) -> f64) -> Growth {
        let mut growth = Growth::new();
        for second in (0..minutes * 60).step_by(5) {
            let bytes = held(second as f64).max(0.0) * 1_048_576.0;
            growth.push(Monotonic::from_millis(9_000 + second * 1000), Bytes::new(bytes as u64));
        }
        growth
    }

    fn rate_mib(growth: &Growth) -> Option<f64> {
        match growth.course()? {
            Course::Grows { rate } => Some(rate / 1_048_576.0),
            Course::Plateau => None,
        }
    }

    /// Takes 300 MiB for half of each minute.
    fn request(second: f64) -> f64 {
        if second % 60.0 < 30.0 { 300.0 } else { 0.0 }
    }

    #[test]
    fn a_leak_is_told_with_its_rate_whatever_requests_take() {
        let leak = rate_mib(&after(12, |t| 3000.0 + t * 0.5)).unwrap();
        assert!((leak - 0.5).abs() < 0.02, "{leak}");
        let beneath = rate_mib(&after(40, |t| 3000.0 + t * 0.5 + request(t))).unwrap();
        assert!((beneath - 0.5).abs() < 0.1, "{beneath}");
    }

    #[test]
    fn a_slow_leak_shows_over_the_hour() {
        let slow = |t| 2000.0 + t / 3600.0 * 80.0;
        assert_eq!(after(20, slow).course(), None);
        let rate = rate_mib(&after(58, slow)).unwrap() * 3600.0;
        assert!((rate - 80.0).abs() < 4.0, "{rate}");
    }

    #[test]
    fn a_leak_in_steps_is_a_leak() {
        let rate = rate_mib(&after(30, |t| 2000.0 + (t / 60.0).floor() * 50.0)).unwrap() * 60.0;
        assert!((rate - 50.0).abs() < 8.0, "{rate}");
    }

    #[test]
    fn growth_that_ends_becomes_a_plateau_and_what_is_given_back_is_none() {
        let ends = |t: f64| 3000.0 + t.min(600.0);
        assert!(rate_mib(&after(9, ends)).is_some());
        assert_eq!(after(20, ends).course(), Some(Course::Plateau));
        assert_eq!(after(200, ends).course(), Some(Course::Plateau));
        let gives_back = |t: f64| if t < 1200.0 { ends(t) } else { 3000.0 };
        assert_eq!(after(40, gives_back).course(), None);
    }

    #[test]
    fn what_stands_still_steps_or_works_does_not_grow() {
        assert_eq!(after(120, |_| 3000.0).course(), None);
        assert_eq!(after(120, |t| 3000.0 + request(t)).course(), None);
        for minutes in 1..60 {
            let steps = |t: f64| if t < 600.0 { 3000.0 } else { 3400.0 };
            assert_eq!(rate_mib(&after(minutes, steps)), None, "after {minutes} min");
        }
    }

    #[test]
    fn it_begins_afresh_after_a_silence_and_when_told() {
        let mut growth = after(12, |t| 3000.0 + t * 0.5);
        assert!(growth.course().is_some());
        growth.push(Monotonic::from_millis(2_000_000), Bytes::gib(9));
        assert_eq!(growth.course(), None);
        let mut growth = after(12, |t| 3000.0 + t * 0.5);
        growth.restart();
        assert_eq!(growth.course(), None);
    }

    #[test]
    fn it_stays_small() {
        let growth = after(300, |t| 3000.0 + t);
        let lows = growth.minutes.ended.capacity() + growth.hour.ended.capacity();
        assert!(size_of::<Growth>() + lows * size_of::<Low>() <= 1024);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_comes_a_rate_is_above_nothing(
            series in prop::collection::vec((0u64..130_000, any::<u64>()), 0..300),
            start in prop_oneof![Just(0), Just(u64::MAX - 900_000)],
        ) {
            let (mut growth, mut at) = (Growth::new(), start);
            for (pace, held) in series {
                at = at.wrapping_add(pace);
                growth.push(Monotonic::from_millis(at), Bytes::new(held));
                if let Some(Course::Grows { rate }) = growth.course() {
                    prop_assert!(rate > 0.0 && rate.is_finite());
                }
            }
        }
    }
}
