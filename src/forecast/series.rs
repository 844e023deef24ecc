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

/// Points kept. When there are as many, each stands for twice as many looks
/// from then on, the old ones too, so that a month of looks takes no more
/// memory than an hour. Even, so that each has a neighbour.
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
    /// Of all readings, in bytes; and by their time.
    sum: f64,
    timed_sum: f64,
    kept: Vec<Kept>,
    /// Looks that a point stands for; and those in the last one so far.
    step: u64,
    gathered: u64,
    /// Its time goes on until the next look.
    newest: Option<Kept>,
    chance: Chance,
}

/// One reading, for all looks that it stands for.
#[derive(Debug, Clone, Copy)]
struct Kept {
    at: Monotonic,
    bytes: f64,
    /// Half milliseconds, of all those looks.
    weight: u64,
}

impl Kept {
    /// One of two for both, by chance in proportion to time: averages would
    /// hide how far readings were apart, and each second one a rhythm.
    fn or(self, other: Kept, chance: &mut Chance) -> Kept {
        let weight = self.weight.saturating_add(other.weight);
        let picked = if chance.below(weight.max(2)) < self.weight.max(1) { self } else { other };
        Kept { weight, ..picked }
    }
}

/// Numbers without a pattern, the same ones in each series: xorshift.
#[derive(Debug, Clone, Copy)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
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
            sum: 0.0,
            timed_sum: 0.0,
            kept: Vec::new(),
            step: 1,
            gathered: 0,
            newest: None,
            // Any number but zero; this one has its bits well mixed.
            chance: Chance(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// The most that was read so far.
    pub fn peak(&self) -> Option<Bytes> {
        self.most_at.map(|_| self.most)
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
        self.before = Some(at);
        let bytes = bytes.get() as f64;
        self.sum += bytes;
        if let Some(mut before) = self.newest.replace(Kept { at, bytes, weight }) {
            before.weight = before.weight.saturating_add(weight);
            self.timed_sum += (before.bytes + bytes) * weight as f64;
            self.keep(before);
        }
    }

    fn keep(&mut self, look: Kept) {
        if let Some(last) = self.kept.last_mut().filter(|_| self.gathered < self.step) {
            *last = last.or(look, &mut self.chance);
            self.gathered += 1;
            return;
        }
        if self.kept.len() >= KEPT {
            self.thin();
        }
        self.kept.push(look);
        self.gathered = 1;
    }

    /// Two neighbours become one point, of twice as many looks.
    fn thin(&mut self) {
        let pairs = self.kept.chunks_exact(2);
        let merged = pairs.map(|pair| pair[0].or(pair[1], &mut self.chance));
        self.kept = merged.collect();
        self.step = self.step.saturating_mul(2);
    }

    fn points(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().chain(&self.newest)
    }

    pub fn figures(&self) -> Option<Figures> {
        // What is rounded is never outside of what was read.
        let within = |bytes: f64| Bytes::new(bytes.round() as u64).clamp(self.least, self.most);
        Some(Figures {
            looks: self.looks,
            seen: self.seen,
            baseline: self.first?,
            peak: self.peak()?,
            peak_at: self.most_at?,
            least: self.least,
            end: self.last?,
            average: within(self.average()),
            p95: within(self.percentile(0.95)?),
            growth: self.growth(),
        })
    }

    /// Of one reading, or of readings with gaps alone between them, each counts
    /// the same.
    fn is_timed(&self) -> bool {
        self.points().any(|kept| kept.weight > 0)
    }

    fn average(&self) -> f64 {
        if !self.is_timed() {
            return self.sum / self.looks as f64;
        }
        let all: f64 = self.points().map(|kept| kept.weight as f64).sum();
        self.timed_sum / all
    }

    fn percentile(&self, share: f64) -> Option<f64> {
        let is_timed = self.is_timed();
        let weight = |kept: &Kept| if is_timed { kept.weight as f64 } else { 1.0 };
        let mut readings: Vec<(f64, f64)> =
            self.points().map(|kept| (kept.bytes, weight(kept))).collect();
        readings.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let share = share * readings.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut below = 0.0;
        let reached = readings.iter().find(|(_, weight)| {
            below += weight;
            below >= share
        });
        reached.or(readings.last()).map(|(bytes, _)| *bytes)
    }

    fn growth(&self) -> Option<BytesDelta> {
        let kept: Vec<&Kept> = self.points().collect();
        let first = kept.first()?.at;
        let span = kept.last()?.at.since(first);
        if span < LEAST_GROWTH_SPAN || kept.len() < LEAST_GROWTH_POINTS {
            return None;
        }
        let together = kept.len().div_ceil(GROWTH_POINTS);
        let points: Vec<Point> = kept
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
}

#[cfg(test)]
mod tests;
