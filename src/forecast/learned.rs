//! What loads were seen to take on this machine, and estimates corrected by it.
//!
//! A figure of the very settings that are asked about goes before any formula.
//! Figures of other contexts correct the formula instead of taking its place:
//! it knows what a straight line does not, windows and steps in the buffers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::domain::bytes::Bytes;
use crate::domain::fit::{LearnedFootprint, Need, Placement};
use crate::domain::forecast::{LoadKey, LoadObserved};
use crate::domain::shape::KvType;

use super::slope::{self, DEVIATION_PER_MEDIAN};

/// Loads of one key that are kept, the newest: more move a mean no further.
const PER_KEY: usize = 32;

/// Loads kept of all models; twice what is restored at start. A quarter goes
/// at once, so that it is not done at each load.
const MOST: usize = 4096;
const AFTER_CLEARING: usize = MOST / 4 * 3;

/// From so many on there is a majority that can outvote one.
const SETTLED: usize = 3;

/// A measured load further from the median than an estimate from labels alone
/// may be, a tenth, was not the same kind of load. Where loads differ by more
/// than that of themselves, their own deviation decides.
const OUTLIER_SHARE: f64 = 0.10;
const OUTLIER_DEVIATIONS: f64 = 3.0;

/// Contexts on either side of the one asked about that a line is drawn
/// through: near ones tell more, and pairs of them stay few. It is asked for
/// many contexts of each installed model at each look.
const NEIGHBOURS: usize = 4;

/// A carried-over figure, and one that no majority stands behind, stays within this of the formulas. They are right
/// within a tenth where a model's metadata are; what is twice or half of that
/// was measured of something else, or comes of two points too near each other.
const LEAST: f64 = 0.5;
const LARGEST: f64 = 2.0;

/// Longest digest or version that is kept; a digest has 64 letters.
const LONGEST_KEY: usize = 256;

/// All loads seen on this machine, by model and settings.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The contexts of each that differs in nothing else.
    families: BTreeMap<Family, BTreeMap<u64, Shelf>>,
    loads: usize,
}

/// A [`LoadKey`] without its context. The version belongs to it and no other
/// stands in for one that was never seen: a new server may allocate otherwise,
/// which the formulas know and old figures do not; the first load tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Family {
    digest: String,
    parallel: u32,
    kv_type: KvType,
    placement: Placement,
    version: String,
}

impl Family {
    fn of(key: &LoadKey) -> Family {
        Family {
            digest: key.digest.clone(),
            parallel: key.parallel,
            kv_type: key.kv_type,
            placement: key.placement,
            version: key.version.clone(),
        }
    }
}

/// All loads of one key.
#[derive(Debug, Clone)]
struct Shelf {
    /// By the time of loading, in milliseconds as on disk.
    loads: BTreeMap<i64, Seen>,
    /// What they come to, worked out when one is added.
    learned: LearnedFootprint,
    was_used: bool,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    estimated: Option<Bytes>,
    measured: Bytes,
    peak: Bytes,
    was_used: bool,
}

impl Book {
    pub fn new(loads: impl IntoIterator<Item = LoadObserved>) -> Book {
        let mut book = Book::default();
        loads.into_iter().for_each(|load| book.note(load));
        book
    }

    /// Nothing was learned yet.
    pub fn is_empty(&self) -> bool {
        self.loads == 0
    }

    /// One of the same key and time is replaced. What names no model or
    /// measured nothing is passed over.
    pub fn note(&mut self, load: LoadObserved) {
        let key = &load.key;
        let is_key_sound = !key.digest.is_empty()
            && key.digest.len() <= LONGEST_KEY
            && key.version.len() <= LONGEST_KEY;
        if !is_key_sound || load.measured.is_zero() {
            return;
        }
        let seen = Seen {
            estimated: load.estimated.filter(|estimated| !estimated.is_zero()),
            measured: load.measured,
            peak: load.peak.max(load.measured),
            was_used: load.was_used,
        };
        let at = load.loaded.as_millisecond();
        match self.families.entry(Family::of(key)).or_default().entry(key.context) {
            Entry::Vacant(place) => {
                place.insert(Shelf::new(at, seen));
                self.loads += 1;
            }
            Entry::Occupied(mut place) => {
                let before = place.get().loads.len();
                place.get_mut().put(at, seen);
                self.loads += place.get().loads.len() - before;
            }
        }
        if self.loads > MOST {
            self.clear_oldest();
        }
    }

    /// Exactly these settings; else carried over from other contexts of the
    /// same model. `estimated`: what the formulas say its process will hold;
    /// zero where they say nothing.
    pub fn about(&self, key: &LoadKey, estimated: Bytes) -> Option<LearnedFootprint> {
        Some(self.told(key, estimated)?.0)
    }

    /// And whether it rests on loads that worked.
    fn told(&self, key: &LoadKey, estimated: Bytes) -> Option<(LearnedFootprint, bool)> {
        let contexts = self.families.get(&Family::of(key))?;
        if let Some(shelf) = contexts.get(&key.context) {
            return Some((shelf.learned, shelf.was_used));
        }
        let near = Neighbours::of(contexts, key.context);
        let was_used = near.was_used;
        Some((near.carry_to(key.context, estimated)?, was_used))
    }

    /// Puts what was learned into an estimate: `need.learned`, and
    /// `need.measured`.
    pub fn correct(&self, key: &LoadKey, need: &mut Need) {
        let Some((learned, was_used)) = self.told(key, need.measured) else { return };
        // Less than half of what must be there: part of it lay where nobody
        // measured. Too small a figure would let a load in that does not fit.
        if (learned.peak.get() as f64) < need.measured.get() as f64 * LEAST {
            return;
        }
        // One that never worked has not touched all it will: it may raise an
        // estimate and never lowers one.
        if !was_used && learned.mean < need.measured {
            return;
        }
        let learned = within_reason(learned, need);
        need.measured = learned.mean;
        need.learned = Some(learned);
    }

    /// Whole keys go, those first that were not loaded for the longest time.
    fn clear_oldest(&mut self) {
        let newest = |shelf: &Shelf| shelf.loads.last_key_value().map(|(at, _)| *at);
        let mut shelves: Vec<(Option<i64>, Family, u64)> = Vec::new();
        for (family, contexts) in &self.families {
            let of_context =
                |(context, shelf): (&u64, &Shelf)| (newest(shelf), family.clone(), *context);
            shelves.extend(contexts.iter().map(of_context));
        }
        shelves.sort_unstable();
        for (_, family, context) in shelves {
            if self.loads <= AFTER_CLEARING {
                return;
            }
            let Some(contexts) = self.families.get_mut(&family) else { continue };
            self.loads -= contexts.remove(&context).map_or(0, |shelf| shelf.loads.len());
            if contexts.is_empty() {
                self.families.remove(&family);
            }
        }
    }
}

impl Shelf {
    fn new(at: i64, seen: Seen) -> Shelf {
        let loads = BTreeMap::from([(at, seen)]);
        Shelf { learned: sum_up(&loads), loads, was_used: seen.was_used }
    }

    fn put(&mut self, at: i64, seen: Seen) {
        self.loads.insert(at, seen);
        if self.loads.len() > PER_KEY {
            self.loads.pop_first();
        }
        self.was_used = self.loads.values().any(|seen| seen.was_used);
        self.learned = sum_up(&self.loads);
    }

    /// As the formulas said it last: they may have become better meanwhile.
    fn estimated(&self) -> Option<Bytes> {
        self.loads.values().rev().find_map(|seen| seen.estimated)
    }
}

/// One that never worked holds less than it will: it counts only where none
/// has worked.
fn sum_up(loads: &BTreeMap<i64, Seen>) -> LearnedFootprint {
    let was_used = loads.values().any(|seen| seen.was_used);
    let counted: Vec<Seen> =
        loads.values().filter(|seen| seen.was_used == was_used).copied().collect();
    let counted = without_outliers(counted);
    let measured: Vec<f64> = counted.iter().map(|seen| figure(seen.measured)).collect();
    let total: u128 = counted.iter().map(|seen| u128::from(seen.measured.get())).sum();
    let mean = total.checked_div(counted.len() as u128).unwrap_or_default();
    LearnedFootprint {
        count: u32::try_from(counted.len()).unwrap_or(u32::MAX),
        mean: Bytes::new(u64::try_from(mean).unwrap_or(u64::MAX)),
        spread: spread(&measured),
        peak: counted.iter().map(|seen| seen.peak).max().unwrap_or_default(),
        growth: counted
            .iter()
            .map(|seen| seen.peak.saturating_sub(seen.measured))
            .max()
            .unwrap_or_default(),
        is_scaled: false,
    }
}

fn without_outliers(mut loads: Vec<Seen>) -> Vec<Seen> {
    if loads.len() < SETTLED {
        return loads;
    }
    let measured: Vec<f64> = loads.iter().map(|seen| figure(seen.measured)).collect();
    let middle = median(&measured);
    let off: Vec<f64> = measured.iter().map(|each| (each - middle).abs()).collect();
    let deviation = median(&off) * DEVIATION_PER_MEDIAN;
    let limit = (deviation * OUTLIER_DEVIATIONS).max(middle * OUTLIER_SHARE);
    loads.retain(|seen| (figure(seen.measured) - middle).abs() <= limit);
    loads
}

/// What was learned at the contexts beside the one that is asked about.
struct Neighbours {
    /// By context.
    points: Vec<Point>,
    was_used: bool,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    context: f64,
    estimated: Option<f64>,
    learned: LearnedFootprint,
}

impl Neighbours {
    fn of(contexts: &BTreeMap<u64, Shelf>, context: u64) -> Neighbours {
        let below = contexts.range(..context).rev().take(NEIGHBOURS);
        let near: Vec<_> = below.chain(contexts.range(context..).take(NEIGHBOURS)).collect();
        // As with the loads of one key.
        let was_used = near.iter().any(|(_, shelf)| shelf.was_used);
        let of_kind = near.into_iter().filter(|(_, shelf)| shelf.was_used == was_used);
        let mut points: Vec<Point> = of_kind
            .map(|(context, shelf)| Point {
                context: *context as f64,
                estimated: shelf.estimated().map(figure),
                learned: shelf.learned,
            })
            .collect();
        points.sort_by(|one, other| one.context.total_cmp(&other.context));
        Neighbours { points, was_used }
    }

    fn carry_to(mut self, context: u64, estimated: Bytes) -> Option<LearnedFootprint> {
        let (context, said) = (context as f64, figure(estimated));
        let has_estimates = self.points.iter().any(|point| point.estimated.is_some());
        if estimated.is_zero() || !has_estimates {
            let (mean, spread) = self.on_a_line(context)?;
            let mean = if estimated.is_zero() { mean } else { within_band(mean, said) };
            return self.carried(mean, spread);
        }
        self.points.retain(|point| point.estimated.is_some());
        let (mean, spread) = self.corrected(context, said)?;
        self.carried(within_band(mean, said), spread)
    }

    /// What the formulas say, corrected as they had to be at other contexts:
    /// by proportion of one, by a straight line through more.
    fn corrected(&self, context: f64, said: f64) -> Option<(f64, f64)> {
        if let [only] = self.points.as_slice() {
            let ratio = figure(only.learned.mean) / only.estimated?;
            return Some((said * ratio, figure(only.learned.spread) * ratio));
        }
        let off = |point: &Point| Some(figure(point.learned.mean) - point.estimated?);
        let (first, last) = self.ends()?;
        let line = Line::through(self.points.iter().filter_map(|p| Some((p.context, off(p)?))))?;
        // A line tells of as much beyond its ends as it covers; further away
        // the correction stays what it is there.
        let covered = last - first;
        let near = context.clamp(first - covered, last + covered);
        Some((said + line.at(near), self.spread(line.off)))
    }

    /// Where no formula helps. No further beyond the ends than they are apart.
    fn on_a_line(&self, context: f64) -> Option<(f64, f64)> {
        let (first, last) = self.ends()?;
        let covered = last - first;
        let is_near = (first - covered..=last + covered).contains(&context);
        let figures = self.points.iter().map(|point| (point.context, figure(point.learned.mean)));
        let line = Line::through(figures).filter(|_| is_near)?;
        // More context never takes less: then it was chance.
        let (least, most) = (line.at(first), line.at(last));
        let mean = if most < least { least } else { line.at(context) };
        Some((mean, self.spread(line.off))).filter(|(mean, _)| *mean > 0.0)
    }

    fn ends(&self) -> Option<(f64, f64)> {
        Some((self.points.first()?.context, self.points.last()?.context))
    }

    fn spread(&self, off: f64) -> f64 {
        self.points.iter().map(|point| figure(point.learned.spread)).fold(off, f64::max)
    }

    fn carried(&self, mean: f64, spread: f64) -> Option<LearnedFootprint> {
        let growth = self.points.iter().map(|point| point.learned.growth).max()?;
        let count =
            self.points.iter().map(|point| point.learned.count).fold(0, u32::saturating_add);
        let mean = size(mean);
        Some(LearnedFootprint {
            count,
            mean,
            spread: size(spread),
            peak: mean + growth,
            growth,
            is_scaled: true,
        })
    }
}

/// One load measured absurdly must not keep a model out for good: refused, it
/// would never be measured again. Labels alone set no bound.
fn within_reason(learned: LearnedFootprint, need: &Need) -> LearnedFootprint {
    let is_settled = learned.count as usize >= SETTLED && !learned.is_scaled;
    if is_settled || need.is_rough {
        return learned;
    }
    let most = size(figure(need.parts().max(need.measured)) * LARGEST);
    let mean = learned.mean.min(most);
    let spread = learned.spread.min(most.saturating_sub(mean));
    LearnedFootprint { mean, spread, peak: learned.peak.min(most).max(mean), ..learned }
}

fn within_band(mean: f64, said: f64) -> f64 {
    mean.clamp(said * LEAST, said * LARGEST)
}

/// Through points that lie about a line: the medians of the slopes between
/// them and of what is left (Theil and Sen), so that one odd point bends it
/// little. Through two it is the line itself.
struct Line {
    slope: f64,
    base: f64,
    /// Standard deviation of the points from it; 0 of two.
    off: f64,
}

impl Line {
    /// `None`: fewer than two contexts.
    fn through(points: impl Iterator<Item = (f64, f64)>) -> Option<Line> {
        let points: Vec<(f64, f64)> = points.collect();
        let mut slopes = Vec::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let later = points.iter().skip(place + 1).filter(|(other, _)| other != x);
            slopes.extend(later.map(|(other, to)| (to - y) / (other - x)));
        }
        if slopes.is_empty() {
            return None;
        }
        let slope = median(&slopes);
        let rests: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
        let base = median(&rests);
        let squares: f64 = rests.iter().map(|rest| (rest - base).powi(2)).sum();
        // Two numbers were taken from them.
        let free = points.len().saturating_sub(2);
        let off = if free == 0 { 0.0 } else { (squares / free as f64).sqrt() };
        Some(Line { slope, base, off })
    }

    fn at(&self, context: f64) -> f64 {
        self.base + self.slope * context
    }
}

/// The sample's standard deviation; zero of one.
fn spread(measured: &[f64]) -> Bytes {
    let Some(others) = measured.len().checked_sub(1).filter(|others| *others > 0) else {
        return Bytes::ZERO;
    };
    let mean = measured.iter().sum::<f64>() / measured.len() as f64;
    let squares: f64 = measured.iter().map(|each| (each - mean).powi(2)).sum();
    size((squares / others as f64).sqrt())
}

/// Zero of none.
fn median(figures: &[f64]) -> f64 {
    slope::median(figures.to_vec()).unwrap_or_default()
}

fn figure(bytes: Bytes) -> f64 {
    bytes.get() as f64
}

/// Rounded; what is below nothing is nothing.
fn size(figure: f64) -> Bytes {
    Bytes::new(figure.round().max(0.0) as u64)
}

#[cfg(test)]
mod tests;
