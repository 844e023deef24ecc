//! What a figure did over a span of time: where it began, its peak, what it was
//! on average and nearly always, how it grew.
//!
//! A reading counts for half of the time to those beside it, so that looks that
//! come faster weigh no more. Where nobody looked for long, or nothing could be
//! read, no time counts: what was not seen is not guessed.

mod spans;

use std::time::Duration;

use crate::domain::{Bytes, BytesDelta, Monotonic};

use super::slope::{Point, Slope, median};

pub use self::spans::{Count, LevelTimes, Stalls, Times};

/// Readings kept apart. Beyond it neighbours become one, so that a month of
/// looks takes no more memory than an hour.
const KEPT: usize = 4096;

/// Points the growth is taken from: more make it slower and not better.
const GROWTH_POINTS: usize = 120;

/// A growth by the minute that was seen for a few seconds says nothing.
const LEAST_GROWTH_SPAN: Duration = Duration::from_secs(10);
const LEAST_GROWTH_POINTS: usize = 8;

#[derive(Debug, Clone)]
pub struct Series {
    longest_gap: Duration,
    looks: u64,
    first: Option<Bytes>,
    /// `None`: the look before could not be read.
    before: Option<Monotonic>,
    last: Option<Bytes>,
    least: Bytes,
    most: Bytes,
    most_at: Option<Monotonic>,
    seen: Duration,
    kept: Vec<Kept>,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    at: Monotonic,
    bytes: f64,
    /// Half milliseconds.
    weight: u64,
}

/// What a series says; `None` of a series without a reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    pub looks: u64,
    /// Time between readings, gaps left out.
    pub seen: Duration,
    /// The first reading.
    pub baseline: Bytes,
    pub peak: Bytes,
    pub peak_at: Monotonic,
    pub least: Bytes,
    /// The last reading.
    pub end: Bytes,
    pub average: Bytes,
    /// For a twentieth of the time it was above that.
    pub p95: Bytes,
    /// A minute; `None`: too short to say.
    pub growth: Option<BytesDelta>,
}

impl Figures {
    /// From the first reading to the last.
    pub fn delta(&self) -> BytesDelta {
        self.end.since(self.baseline)
    }

    /// From the first reading to the peak.
    pub fn rise(&self) -> Bytes {
        self.peak.saturating_sub(self.baseline)
    }
}

impl Series {
    /// What lies between looks further apart was not seen.
    pub fn new(longest_gap: Duration) -> Series {
        Series {
            longest_gap,
            looks: 0,
            first: None,
            before: None,
            last: None,
            least: Bytes::new(u64::MAX),
            most: Bytes::ZERO,
            most_at: None,
            seen: Duration::ZERO,
            kept: Vec::new(),
        }
    }

    /// `None`: it could not be read.
    pub fn look(&mut self, at: Monotonic, reading: Option<Bytes>) {
        let Some(bytes) = reading else {
            self.before = None;
            return;
        };
        self.looks += 1;
        self.first.get_or_insert(bytes);
        self.last = Some(bytes);
        self.least = self.least.min(bytes);
        if self.most_at.is_none() || bytes > self.most {
            (self.most, self.most_at) = (bytes, Some(at));
        }
        let span = self.before.map(|before| at.since(before));
        let span = span.filter(|span| *span <= self.longest_gap).unwrap_or_default();
        let weight = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.seen = self.seen.saturating_add(span);
        if let Some(last) = self.kept.last_mut() {
            last.weight = last.weight.saturating_add(weight);
        }
        self.kept.push(Kept { at, bytes: bytes.get() as f64, weight });
        self.before = Some(at);
        if self.kept.len() >= KEPT {
            self.thin();
        }
    }

    pub fn figures(&self) -> Option<Figures> {
        let weights = self.weights();
        let all: f64 = weights.iter().sum();
        let sum: f64 =
            self.kept.iter().zip(&weights).map(|(kept, weight)| kept.bytes * weight).sum();
        // What is rounded is never outside of what was read.
        let within = |bytes: f64| Bytes::new(bytes.round() as u64).clamp(self.least, self.most);
        Some(Figures {
            looks: self.looks,
            seen: self.seen,
            baseline: self.first?,
            peak: self.most,
            peak_at: self.most_at?,
            least: self.least,
            end: self.last?,
            average: within(sum / all),
            p95: within(self.percentile(&weights, 0.95 * all)?),
            growth: self.growth(),
        })
    }

    /// Of one reading, or of readings with gaps alone between them, each counts
    /// the same.
    fn weights(&self) -> Vec<f64> {
        let is_timed = self.kept.iter().any(|kept| kept.weight > 0);
        let weight = |kept: &Kept| if is_timed { kept.weight as f64 } else { 1.0 };
        self.kept.iter().map(weight).collect()
    }

    fn percentile(&self, weights: &[f64], share: f64) -> Option<f64> {
        let mut readings: Vec<(f64, f64)> =
            self.kept.iter().zip(weights).map(|(kept, weight)| (kept.bytes, *weight)).collect();
        readings.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut below = 0.0;
        let reached = readings.iter().find(|(_, weight)| {
            below += weight;
            below >= share
        });
        reached.or(readings.last()).map(|(bytes, _)| *bytes)
    }

    fn growth(&self) -> Option<BytesDelta> {
        let first = self.kept.first()?.at;
        let span = self.kept.last()?.at.since(first);
        if span < LEAST_GROWTH_SPAN || self.kept.len() < LEAST_GROWTH_POINTS {
            return None;
        }
        let together = self.kept.len().div_ceil(GROWTH_POINTS);
        let points: Vec<Point> = self
            .kept
            .chunks(together)
            .filter_map(|chunk| {
                let at = chunk.get(chunk.len() / 2)?.at;
                let figure = median(chunk.iter().map(|kept| kept.bytes).collect())?;
                Some(Point { seconds: at.since(first).as_secs_f64(), figure })
            })
            .collect();
        let by_minute = Slope::of(&points)?.middle * 60.0;
        let size = Bytes::new(by_minute.abs().round() as u64);
        Some(if by_minute < 0.0 { Bytes::ZERO.since(size) } else { size.since(Bytes::ZERO) })
    }

    /// Two neighbours become one. The extremes are kept apart and stay exact.
    fn thin(&mut self) {
        let merged = self.kept.chunks(2).filter_map(|pair| match pair {
            [one, other] => {
                let weight = one.weight.saturating_add(other.weight);
                let share = if weight == 0 { 0.5 } else { one.weight as f64 / weight as f64 };
                let bytes = one.bytes * share + other.bytes * (1.0 - share);
                Some(Kept { at: one.at, bytes, weight })
            }
            [one] => Some(*one),
            _ => None,
        });
        self.kept = merged.collect();
    }
}

#[cfg(test)]
mod tests;
