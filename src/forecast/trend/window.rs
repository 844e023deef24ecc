//! One window of a trend: its medians, the line through them, and whether
//! that line may be spoken of.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::Bytes;

use super::super::slope::{Point, Slope, certainty, median};
use super::{Aim, middle};

#[derive(Debug, Clone)]
pub(super) struct Window {
    length: f64,
    bucket: f64,
    points: VecDeque<Point>,
    /// Of the bucket that runs.
    pending: Vec<Point>,
    /// Points have come since the last look.
    is_fresh: bool,
    line: Option<Line>,
    /// Looks in a row that passed.
    passes: u8,
    /// Whether the line holds, said once for each look.
    looked: Option<bool>,
}

/// The line through a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub slope: Slope,
    certainty: f64,
    /// Where it stands at the last point, by the last third alone: a climb
    /// that bends is followed there.
    pub anchor: Point,
    /// Where the line through all points stands there: what bends up from it
    /// no longer falls as it did.
    whole: f64,
    pub scatter: f64,
    /// Seconds from the first point to the last.
    pub span: f64,
    /// The slope of the last third.
    recent: f64,
    /// Each third had its part in the fall.
    is_even: bool,
}

/// How low room has been, for longer than any window reaches.
#[derive(Debug, Clone, Default)]
pub(super) struct Lows {
    /// When a stretch began, and its least.
    least: VecDeque<Point>,
}

/// Half an hour in minutes: work that comes again, comes again within it.
const LOWS_FOR: f64 = 1800.0;
const LOWS_EVERY: f64 = 60.0;

impl Lows {
    /// Medians of some seconds, not of one: a spike is no low.
    pub(super) fn take(&mut self, point: Point) {
        match self.least.back_mut() {
            Some(newest) if point.seconds - newest.seconds < LOWS_EVERY => {
                newest.figure = newest.figure.min(point.figure);
            }
            _ => self.least.push_back(point),
        }
        while self.least.front().is_some_and(|first| point.seconds - first.seconds > LOWS_FOR) {
            self.least.pop_front();
        }
    }

    /// Of the stretches that began before a moment.
    pub(super) fn before(&self, seconds: f64) -> Option<f64> {
        let before = self.least.iter().take_while(|low| low.seconds + LOWS_EVERY <= seconds);
        before.map(|low| low.figure).min_by(f64::total_cmp)
    }

    pub(super) fn clear(&mut self) {
        self.least.clear();
    }
}

/// Time left to a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub soonest: Duration,
    pub latest: Duration,
}

/// Fewer medians than half a window's are no trend.
const LEAST_POINTS: usize = 15;

/// Nor is what was seen for less: a load reads weights for that long, and
/// begins where the series does.
const LEAST_SPAN: f64 = 24.0;

/// What is wanted before something is said, and what of a thing already said:
/// a little less, lest it come and go at the border.
struct Demands {
    certainty: f64,
    /// Drop over the window in deviations of the series from the line.
    drop_over_scatter: f64,
    /// Drop over the window as a share of the whole.
    drop_of_scale: f64,
    /// The share of the slope that the last third must keep up.
    kept_up: f64,
    /// Each third of the window has its part in the fall: what fell for less
    /// than the window is a request or a load, and ends as they do.
    evenly: bool,
    /// How far ahead, in spans of the window, and in all.
    horizon: f64,
    furthest: f64,
}

const TO_SPEAK: Demands = Demands {
    certainty: -3.0,
    drop_over_scatter: 4.0,
    drop_of_scale: 0.01,
    kept_up: 0.5,
    evenly: true,
    horizon: 3.0,
    furthest: 1500.0,
};

/// Above half an hour nothing is said at all.
const TO_HOLD: Demands = Demands {
    certainty: -2.5,
    drop_over_scatter: 3.0,
    drop_of_scale: 0.0075,
    kept_up: 0.0,
    evenly: false,
    horizon: 3.6,
    furthest: 1800.0,
};

impl Window {
    pub(super) fn new(length: Duration, bucket: Duration) -> Window {
        Window {
            length: length.as_secs_f64(),
            bucket: bucket.as_secs_f64(),
            points: VecDeque::new(),
            pending: Vec::new(),
            is_fresh: false,
            line: None,
            passes: 0,
            looked: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.points.clear();
        self.pending.clear();
        self.is_fresh = false;
        self.line = None;
        self.passes = 0;
        self.looked = None;
    }

    /// Takes the median of a shorter bucket; gives its own when one is full.
    pub(super) fn take(&mut self, point: Point) -> Option<Point> {
        let bucket = |point: &Point| (point.seconds / self.bucket).floor();
        let begins = self.pending.first().is_some_and(|first| bucket(first) != bucket(&point));
        let ended = if begins { middle(&self.pending) } else { None };
        if begins {
            self.pending.clear();
        }
        self.pending.push(point);
        let ended = ended?;
        self.points.push_back(ended);
        while self.points.front().is_some_and(|first| ended.seconds - first.seconds > self.length) {
            self.points.pop_front();
        }
        self.is_fresh = true;
        Some(ended)
    }

    pub(super) fn look(&mut self, aim: &Aim, is_shown: bool) {
        self.looked = None;
        if !std::mem::take(&mut self.is_fresh) {
            return;
        }
        let points = self.points.make_contiguous();
        let certainty = if points.len() >= LEAST_POINTS { certainty(points) } else { 0.0 };
        // Most of the time nothing falls, and the line is not worth its price.
        let is_worth = is_shown || certainty < TO_HOLD.certainty;
        self.line = if is_worth { Line::of(points, certainty) } else { None };
        let meets = |demands| self.line.is_some_and(|line| line.meets(demands, aim));
        let speaks = meets(&TO_SPEAK);
        self.passes = if speaks { self.passes.saturating_add(1) } else { 0 };
        self.looked = Some(speaks || (is_shown && meets(&TO_HOLD)));
    }

    /// Whether the line may be spoken of for another floor than it was looked
    /// at for.
    pub(super) fn speaks_of(&self, aim: &Aim) -> bool {
        self.line.is_some_and(|line| line.meets(&TO_SPEAK, aim))
    }

    pub(super) fn passes(&self) -> u8 {
        self.passes
    }

    /// Whether the line holds; `None` where nothing new has come.
    pub(super) fn looked(&self) -> Option<bool> {
        self.looked
    }

    pub(super) fn line(&self) -> Option<&Line> {
        self.line.as_ref()
    }

    /// When the window's first point was taken.
    pub(super) fn begins(&self) -> Option<f64> {
        Some(self.points.front()?.seconds)
    }

    /// The newest points, oldest first.
    pub(super) fn newest(&self, count: usize) -> Vec<Point> {
        self.points.iter().skip(self.points.len().saturating_sub(count)).copied().collect()
    }
}

impl Line {
    fn of(points: &[Point], certainty: f64) -> Option<Line> {
        let slope = Slope::of(points)?;
        let (first, last) = (points.first()?, points.last()?);
        let third = points.get(points.len() - points.len() / 3..)?;
        Some(Line {
            slope,
            certainty,
            anchor: Point { seconds: last.seconds, figure: slope.at(last.seconds, third)? },
            whole: slope.at(last.seconds, points)?,
            scatter: slope.scatter(points)?,
            span: last.seconds - first.seconds,
            recent: Slope::of(third)?.middle,
            is_even: fall(points).is_some_and(|fall| fall.is_even),
        })
    }

    /// By how much room has fallen over the window.
    pub(super) fn drop(&self) -> f64 {
        -self.slope.middle * self.span
    }

    fn room_at(&self, seconds: f64) -> f64 {
        self.anchor.figure + self.slope.middle * (seconds - self.anchor.seconds)
    }

    /// How far above the line a room is, be it the line of the last third or
    /// of the whole.
    pub(super) fn above(&self, room: Point) -> f64 {
        let line = self.room_at(room.seconds);
        room.figure - line.min(line - self.anchor.figure + self.whole)
    }

    /// `None` of what does not fall.
    pub(super) fn left(&self, floor: Bytes, seconds: f64) -> Option<Left> {
        if self.slope.most >= 0.0 {
            return None;
        }
        let room = (self.room_at(seconds) - floor.get() as f64).max(0.0);
        let time = |slope: f64| Duration::try_from_secs_f64(room / -slope).ok();
        Some(Left { soonest: time(self.slope.least)?, latest: time(self.slope.most)? })
    }

    fn meets(&self, demands: &Demands, aim: &Aim) -> bool {
        let Some(left) = self.left(aim.floor, self.anchor.seconds) else { return false };
        let latest = left.latest.as_secs_f64();
        self.span >= LEAST_SPAN
            && self.certainty < demands.certainty
            && self.drop() > demands.drop_over_scatter * self.scatter
            && self.drop() > demands.drop_of_scale * aim.scale.get() as f64
            && self.recent <= self.slope.middle * demands.kept_up
            && (self.is_even || !demands.evenly)
            && latest <= demands.horizon * self.span
            && latest <= demands.furthest
    }
}

/// A fall shorter than a minute gave no time to tell of it.
const CLIMB: f64 = 60.0;

/// The share of a fall that each third of it has at least.
const EVEN: f64 = 0.2;

impl Window {
    /// How long room has fallen evenly up to now, in this window, by more than
    /// a hundredth of the whole.
    pub(super) fn even_fall(&self, scale: Bytes) -> Duration {
        let points = self.newest(self.points.len());
        let Some(last) = points.last() else { return Duration::ZERO };
        let falls = |span: &f64| {
            let from = points.partition_point(|point| last.seconds - point.seconds > *span);
            let fall = points.get(from..).and_then(fall)?;
            let is_long = fall.span >= CLIMB.min(self.length / 2.0);
            let is_deep = fall.whole > scale.get() as f64 * TO_SPEAK.drop_of_scale;
            (fall.is_even && is_long && is_deep).then_some(fall.span)
        };
        let longest = [self.length, self.length / 2.0].iter().find_map(falls);
        Duration::try_from_secs_f64(longest.unwrap_or_default()).unwrap_or_default()
    }
}

struct Fall {
    span: f64,
    whole: f64,
    is_even: bool,
}

fn fall(points: &[Point]) -> Option<Fall> {
    let last = points.len().checked_sub(1)?;
    let span = points.get(last)?.seconds - points.first()?.seconds;
    // Medians around four posts, a third of the way from one to the next.
    let reach = points.len() / 10;
    let post = |third: usize| {
        let centre = third * last / 3;
        let near = points.get(centre.saturating_sub(reach)..(centre + reach + 1).min(last + 1))?;
        median(near.iter().map(|point| point.figure).collect())
    };
    let posts = [post(0)?, post(1)?, post(2)?, post(3)?];
    let whole = posts[0] - posts[3];
    let is_even = posts.windows(2).all(|pair| pair[0] - pair[1] >= EVEN * whole);
    Some(Fall { span, whole, is_even })
}

#[cfg(test)]
impl Window {
    /// Points there is room for.
    pub(super) fn held(&self) -> usize {
        self.points.capacity() + self.pending.capacity()
    }
}

#[cfg(test)]
impl Lows {
    /// Points there is room for.
    pub(super) fn held(&self) -> usize {
        self.least.capacity()
    }
}
