//! When the next level comes, from the room that is left.
//!
//! The series is looked at in three windows, each of some thirty medians. A
//! window speaks only of what falls beyond doubt, evenly and by more than the
//! series scatters, and looks no further ahead than three times its own span.
//! Where that is not so, nothing is said. Nothing here reads a clock.

use std::time::Duration;

use crate::domain::{Bytes, Forecast, Level, Moment, Monotonic, SignalKind};

mod window;

use window::{Line, Lows, Window};

use super::slope::{Point, median};

/// One series (available memory, free swap, …) and what it foretells.
#[derive(Debug, Clone)]
pub struct Trend {
    /// Samples of the second that runs.
    pending: Vec<Point>,
    /// From the shortest to the longest; each is fed by the one before it.
    windows: [Window; 3],
    lows: Lows,
    last: Option<Monotonic>,
    /// Between samples, lately.
    pace: Duration,
    /// A second has ended since the last look.
    is_fresh: bool,
    aim: Option<(Level, SignalKind)>,
    standing: Option<Standing>,
    withdrawn: Option<Withdrawn>,
}

/// What is looked out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    pub to: Level,
    pub signal: SignalKind,
    /// The room at which the level begins.
    pub floor: Bytes,
    /// The whole that room is a part of.
    pub scale: Bytes,
}

/// A forecast that is shown.
#[derive(Debug, Clone)]
struct Standing {
    window: usize,
    /// Looks in a row that its window failed its tests.
    failures: u8,
    /// Seconds in a row that room was found well above the line.
    astray: u8,
    forecast: Forecast,
}

#[derive(Debug, Clone, Copy)]
struct Withdrawn {
    at: Monotonic,
    /// What was left when it was last shown.
    left: Duration,
}

const WINDOWS: [Duration; 3] =
    [Duration::from_secs(30), Duration::from_secs(120), Duration::from_secs(600)];

/// Thirty points a window: enough for certainty, and cheap.
const BUCKETS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(20)];

/// Samples of one second that are kept: the fastest pace is ten.
const IN_A_SECOND: usize = 16;

/// A silence longer than both of these is a gap: what came before it says
/// nothing of what comes after.
const GAP: Duration = Duration::from_secs(15);
const GAP_PACES: u32 = 3;

/// Looks in a row before anything is said, and before it is taken back.
const LOOKS_TO_SPEAK: u8 = 3;
const LOOKS_TO_WITHDRAW: u8 = 2;

/// What was withdrawn is not said again for so long, unless half the time is
/// gone: the least that other watchers leave between two warnings.
const QUIET: Duration = Duration::from_secs(60);

/// Room this many seconds in a row well above the line: it has turned.
const ASTRAY: u8 = 3;

/// Seconds that say where room is now, for each window: the longer, the less
/// may one burst decide.
const NEWEST: [usize; 3] = [3, 6, 12];

/// Room above the line, in shares of the fall, that is no longer it.
const TURNED: f64 = 0.25;

/// How far below the least it was, in shares of the fall: one request takes
/// that much more than another.
const LOWER: f64 = 0.25;

impl Default for Trend {
    fn default() -> Self {
        Self::new()
    }
}

impl Trend {
    pub fn new() -> Trend {
        Trend {
            pending: Vec::new(),
            windows: [0, 1, 2].map(|index| Window::new(WINDOWS[index], BUCKETS[index])),
            lows: Lows::default(),
            last: None,
            pace: Duration::ZERO,
            is_fresh: false,
            aim: None,
            standing: None,
            withdrawn: None,
        }
    }

    /// `room`: what is left of the series; falling is bad.
    pub fn push(&mut self, now: Monotonic, room: Bytes) {
        if let Some(last) = self.last {
            let silence = now.since(last);
            if now < last || silence > GAP.max(self.pace.saturating_mul(GAP_PACES)) {
                self.restart();
            } else {
                self.pace = (self.pace.saturating_mul(7).saturating_add(silence)) / 8;
            }
        }
        self.last = Some(now);
        let point = Point { seconds: now.millis() as f64 / 1000.0, figure: room.get() as f64 };
        let begins = self
            .pending
            .first()
            .is_some_and(|first| first.seconds.div_euclid(1.0) != point.seconds.div_euclid(1.0));
        if begins {
            self.close_second();
        }
        if self.pending.len() < IN_A_SECOND {
            self.pending.push(point);
        }
    }

    /// A load, an unload, an action, a gap: what was before says nothing any
    /// more.
    pub fn restart(&mut self) {
        self.pending.clear();
        self.windows.iter_mut().for_each(Window::clear);
        self.lows.clear();
        self.last = None;
        self.pace = Duration::ZERO;
        self.is_fresh = false;
        self.standing = None;
    }

    /// What is foretold now. Worked out once a second however often it is
    /// asked for.
    pub fn outlook(&mut self, aim: &Aim, now: Moment) -> Option<Forecast> {
        if self.aim.replace((aim.to, aim.signal)) != Some((aim.to, aim.signal)) {
            self.aim_anew(aim, now);
        }
        if std::mem::take(&mut self.is_fresh) {
            let is_shown = |index| self.standing.as_ref().is_some_and(|s| s.window == index);
            let shown: [bool; 3] = [0, 1, 2].map(is_shown);
            for (window, is_shown) in self.windows.iter_mut().zip(shown) {
                window.look(aim, is_shown);
            }
            self.decide(aim, now);
        }
        self.standing.as_ref().map(|standing| standing.forecast.clone())
    }

    /// For how long room has been falling, evenly, up to now: nothing where
    /// it stood, stepped or came back.
    pub fn climb(&self, scale: Bytes) -> Duration {
        self.windows.iter().map(|window| window.even_fall(scale)).max().unwrap_or_default()
    }

    fn close_second(&mut self) {
        let Some(point) = middle(&self.pending) else { return };
        self.pending.clear();
        self.is_fresh = true;
        let [short, middle, long] = &mut self.windows;
        let Some(point) = short.take(point).and_then(|point| middle.take(point)) else { return };
        self.lows.take(point);
        long.take(point);
    }

    /// A climb that was told of goes on past the level it was told of. That it
    /// falls, and evenly, is known whatever it falls to; how far ahead the new
    /// floor lies is asked anew.
    fn aim_anew(&mut self, aim: &Aim, now: Moment) {
        self.withdrawn = None;
        self.standing = self.standing.take().and_then(|standing| {
            let window = self.windows.get(standing.window)?;
            let forecast = forecast(window, aim, now).filter(|_| window.speaks_of(aim))?;
            Some(Standing { forecast, failures: 0, ..standing })
        });
    }

    fn decide(&mut self, aim: &Aim, now: Moment) {
        match self.standing.take() {
            Some(standing) => self.standing = self.reconsider(standing, aim, now),
            None => self.announce(aim, now),
        }
    }

    /// The shortest window that passes wins.
    fn announce(&mut self, aim: &Aim, now: Moment) {
        let Some((index, forecast)) = self.first_to_pass(aim, now) else { return };
        let is_quiet = self.withdrawn.is_some_and(|withdrawn| {
            now.mono.since(withdrawn.at) < QUIET && forecast.latest > withdrawn.left / 2
        });
        if !is_quiet {
            self.standing = Some(Standing { window: index, failures: 0, astray: 0, forecast });
        }
    }

    fn first_to_pass(&self, aim: &Aim, now: Moment) -> Option<(usize, Forecast)> {
        let (index, window) = self.windows.iter().enumerate().find(|(index, window)| {
            window.passes() >= LOOKS_TO_SPEAK
                && window.speaks_of(aim)
                && !self.is_astray(*index, window)
                && self.is_new_low(*index, window)
        })?;
        Some((index, forecast(window, aim, now)?))
    }

    /// Stays with its window as long as that holds: windows that take turns
    /// would make the figure jump.
    fn reconsider(&mut self, mut standing: Standing, aim: &Aim, now: Moment) -> Option<Standing> {
        let window = self.windows.get(standing.window)?;
        if let Some(holds) = window.looked() {
            standing.failures = if holds { 0 } else { standing.failures.saturating_add(1) };
        }
        standing.astray = if self.is_astray(standing.window, window) {
            standing.astray.saturating_add(1)
        } else {
            0
        };
        let has_failed = standing.failures >= LOOKS_TO_WITHDRAW || standing.astray >= ASTRAY;
        let next = self.first_to_pass(aim, now);
        let own = forecast(window, aim, now);
        let is_overtaken = match (&next, &own) {
            (Some((index, next)), Some(own)) => {
                *index < standing.window && next.latest < own.latest / 2
            }
            _ => false,
        };
        if !has_failed && !is_overtaken {
            standing.forecast = own.unwrap_or(standing.forecast);
            return Some(standing);
        }
        if let Some((index, forecast)) = next.filter(|(index, _)| *index != standing.window) {
            return Some(Standing { window: index, failures: 0, astray: 0, forecast });
        }
        self.withdrawn = Some(Withdrawn { at: now.mono, left: standing.forecast.latest });
        None
    }

    /// Room is well below what it was before the window began. Where it has
    /// come back from as little a short while ago, a fall to there is what
    /// happens on this machine. The longest window sees that for itself.
    fn is_new_low(&self, index: usize, window: &Window) -> bool {
        let (Some(begins), Some(line)) = (window.begins(), window.line()) else { return false };
        let is_lower = |least| line.anchor.figure < least - line.drop() * LOWER;
        index == 2 || self.lows.before(begins).is_none_or(is_lower)
    }

    /// Room now lies well above what the line of the window says.
    fn is_astray(&self, index: usize, window: &Window) -> bool {
        let newest = self.windows[0].newest(NEWEST[index.min(2)]);
        let (Some(line), Some(room)) = (window.line(), middle(&newest)) else { return true };
        line.above(room) > (4.0 * line.scatter).max(line.drop() * TURNED)
    }
}

/// The median moment with the median figure: on a line, still on it.
fn middle(points: &[Point]) -> Option<Point> {
    Some(Point {
        seconds: median(points.iter().map(|point| point.seconds).collect())?,
        figure: median(points.iter().map(|point| point.figure).collect())?,
    })
}

fn forecast(window: &Window, aim: &Aim, now: Moment) -> Option<Forecast> {
    let line: &Line = window.line()?;
    let left = line.left(aim.floor, now.mono.millis() as f64 / 1000.0)?;
    Some(Forecast {
        to: aim.to,
        signal: aim.signal,
        soonest: left.soonest,
        latest: left.latest,
        at: now,
        window: Duration::try_from_secs_f64(line.span).unwrap_or_default(),
        rate: -line.slope.middle,
    })
}

#[cfg(test)]
mod tests;
