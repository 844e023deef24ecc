//! The past as figures: what each minute was like, and every ten minutes what
//! the largest components held. Pure data, and how two stretches are one.
//!
//! What was not seen is not there: no figure here is made up of its neighbours.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::component::ComponentKind;
use super::history::Point;
use super::level::Level;
use super::process::ProcessKey;
use super::time::Wall;

/// What a row of the past spans.
pub const MINUTE: Duration = Duration::from_secs(60);

const MINUTE_MS: i64 = 60_000;

/// Between two countings of what components hold.
pub const COUNTED_EVERY: Duration = Duration::from_secs(600);

/// What a stretch of time was like: of each figure the worst in it. Each may
/// be unknown on its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// The least.
    pub available: Option<Bytes>,
    /// The most, as all that follow but `total`.
    pub used: Option<Bytes>,
    /// As it was last known.
    pub total: Option<Bytes>,
    pub swap_used: Option<Bytes>,
    /// Percent stalled (`some`, 10 s), where the system has PSI.
    pub stalled: Option<f64>,
    /// What loaded models held. `None`: nobody told.
    pub models: Option<Bytes>,
    pub level: Level,
    /// How long it was at each level while somebody looked.
    pub spent: Spent,
}

/// Time at each level; what was not looked at is in none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spent([Duration; Level::ALL.len()]);

/// One minute of the wall clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Minute {
    /// Since 1970, whole.
    pub number: i64,
    pub was: Stretch,
}

/// What the largest components held at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    pub at: Wall,
    pub rows: Vec<Counted>,
}

/// One of them, as it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// [`super::Component::id`]
    pub id: String,
    pub name: String,
    pub kind: ComponentKind,
    /// Tells one from a later one of the same id.
    pub process: Option<ProcessKey>,
    pub bytes: Bytes,
}

/// All that is kept of a span of time, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    pub minutes: Vec<Minute>,
    pub counts: Vec<Count>,
}

impl Spent {
    pub fn at(self, level: Level) -> Duration {
        self.0[level as usize]
    }

    pub fn add(&mut self, level: Level, span: Duration) {
        let spent = &mut self.0[level as usize];
        *spent = spent.saturating_add(span);
    }

    pub fn total(self) -> Duration {
        self.0.iter().sum()
    }

    /// At most that long in all, of each level the same share as before.
    pub fn within(self, longest: Duration) -> Spent {
        let total = self.total();
        if total <= longest {
            return self;
        }
        let share = longest.as_secs_f64() / total.as_secs_f64();
        Spent(self.0.map(|spent| {
            let millis = (spent.as_secs_f64() * share * 1e3).floor();
            Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default()
        }))
    }

    fn and(mut self, other: Spent) -> Spent {
        for level in Level::ALL {
            self.add(level, other.at(level));
        }
        self
    }
}

impl Stretch {
    /// What one point says; it has lasted no time yet. `models`: nobody told,
    /// where it is `None`.
    pub fn of(point: &Point, models: Option<Bytes>) -> Stretch {
        let known = point.total.zip(point.used);
        Stretch {
            available: known.map(|(total, used)| total.saturating_sub(used)),
            used: point.used,
            total: point.total,
            swap_used: point.swap_used,
            stalled: point.stalled,
            models,
            level: point.level,
            spent: Spent::default(),
        }
    }

    /// Both as one stretch; `later` is the later one.
    pub fn take_in(&mut self, later: &Stretch) {
        self.take_worst(later);
        self.spent = self.spent.and(later.spent);
    }

    /// As [`Stretch::take_in`] for the same time seen twice: it has lasted as
    /// long as whoever saw more of it says.
    pub fn take_same(&mut self, other: &Stretch) {
        self.take_worst(other);
        if other.spent.total() > self.spent.total() {
            self.spent = other.spent;
        }
    }

    fn take_worst(&mut self, later: &Stretch) {
        let most = |one: Option<Bytes>, other: Option<Bytes>| one.max(other);
        self.available = match (self.available, later.available) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.used = most(self.used, later.used);
        self.total = later.total.or(self.total);
        self.swap_used = most(self.swap_used, later.swap_used);
        self.stalled = match (self.stalled, later.stalled) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        self.models = most(self.models, later.models);
        self.level = self.level.max(later.level);
    }
}

impl Minute {
    /// The minute a time lies in.
    pub fn number_at(time: Wall) -> i64 {
        time.as_millisecond().div_euclid(MINUTE_MS)
    }

    /// When a minute of that number begins; a number no calendar has is the
    /// end of all of them.
    pub fn start_of(number: i64) -> Wall {
        Wall::from_millisecond(number.saturating_mul(MINUTE_MS)).unwrap_or(Wall::MAX)
    }

    pub fn start(&self) -> Wall {
        Minute::start_of(self.number)
    }
}

impl Count {
    /// The ten minutes of the wall clock a time lies in: of each there is one
    /// count at most.
    pub fn slot_at(time: Wall) -> i64 {
        time.as_second().div_euclid(COUNTED_EVERY.as_secs().cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(available: u64, level: Level, seconds: u64) -> Stretch {
        let mut spent = Spent::default();
        spent.add(level, Duration::from_secs(seconds));
        Stretch {
            available: Some(Bytes::gib(available)),
            used: Some(Bytes::gib(16 - available)),
            total: Some(Bytes::gib(16)),
            level,
            spent,
            ..Stretch::default()
        }
    }

    #[test]
    fn of_two_stretches_the_worst_counts_and_time_adds_up() {
        let mut both = stretch(8, Level::Normal, 40);
        both.take_in(&stretch(2, Level::Critical, 15));
        both.take_in(&Stretch { stalled: Some(3.5), ..Stretch::default() });
        assert_eq!((both.available, both.used), (Some(Bytes::gib(2)), Some(Bytes::gib(14))));
        assert_eq!((both.total, both.stalled), (Some(Bytes::gib(16)), Some(3.5)));
        assert_eq!((both.level, both.models, both.swap_used), (Level::Critical, None, None));
        assert_eq!(both.spent.at(Level::Normal), Duration::from_secs(40));
        assert_eq!(both.spent.total(), Duration::from_secs(55));
    }

    #[test]
    fn the_same_time_seen_twice_has_passed_once() {
        let mut seen = stretch(8, Level::Normal, 40);
        seen.take_same(&stretch(6, Level::Normal, 55));
        seen.take_same(&stretch(7, Level::Normal, 10));
        assert_eq!(seen.available, Some(Bytes::gib(6)));
        assert_eq!(seen.spent.total(), Duration::from_secs(55));
    }

    #[test]
    fn minutes_are_those_of_the_wall_clock_also_before_1970() {
        let time: Wall = "2026-01-15T14:02:11.5Z".parse().unwrap();
        let number = Minute::number_at(time);
        assert_eq!(Minute::start_of(number).to_string(), "2026-01-15T14:02:00Z");
        assert_eq!(Minute::number_at(Wall::from_millisecond(-1).unwrap()), -1);
        assert_eq!(Minute::start_of(i64::MAX), Wall::MAX);
        assert_eq!(Count::slot_at(time), Count::slot_at("2026-01-15T14:09:59Z".parse().unwrap()));
    }
}
