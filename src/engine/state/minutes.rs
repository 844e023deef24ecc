//! The past as it is kept over restarts: each minute as one row, and every ten
//! minutes what the largest components hold.
//!
//! Minutes are those of the wall clock, and how long they lasted is measured
//! by the clock that never jumps. Nothing stands for what was not seen.

use std::time::Duration;

use crate::domain::component::FootprintSource;
use crate::domain::history::Point;
use crate::domain::past::{Count, Counted, Minute, Stretch};
use crate::domain::snapshot::{RuntimeState, RuntimeView};
use crate::domain::{Bytes, Component, ComponentKind, Level, Moment, Snapshot};

use super::super::input::{Effect, Lesson};
use super::State;

/// Minutes go to the disk so many at a time, where nothing else goes there:
/// these are lost at most if the program is killed.
const TOGETHER: i64 = 5;

/// Rows of a count, and how many of them at most are what is counted first:
/// models, servers and what the config names. The rest are programs.
const COUNTED: usize = 16;
const COUNTED_FIRST: usize = 10;

/// A longer silence between the points of a graph is a gap, unless they are as
/// far apart as that.
const LONGEST_APART: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Minutes {
    open: Option<Minute>,
    /// When the last sample was taken, and the level since.
    before: Option<(Moment, Level)>,
    /// The ten minutes of the last count.
    slot: Option<i64>,
    /// On the way to the disk.
    closed: Vec<Minute>,
    counts: Vec<Count>,
    is_due: bool,
}

impl Minutes {
    /// Takes a sample in. A longer silence than `longest` was no time spent
    /// at any level.
    fn follow(&mut self, mut seen: Stretch, now: Moment, longest: Duration) {
        let number = Minute::number_at(now.wall);
        // In whole milliseconds, as they are written: nothing is lost between two.
        let start = Minute::start_of(number).as_millisecond();
        let begun = Duration::from_millis(now.wall.as_millisecond().abs_diff(start));
        if let Some((earlier, level)) = self.before.replace((now, seen.level)) {
            let span = Some(now.since(earlier)).filter(|span| *span <= longest);
            let (span, in_it) = (span.unwrap_or_default(), Minute::number_at(earlier.wall));
            let within = if in_it == number { span } else { span.min(begun) };
            spend(&mut seen, level, within);
            if span > within {
                let was = Stretch { level, ..Stretch::default() };
                let open = self.open.get_or_insert(Minute { number: in_it, was });
                spend(&mut open.was, level, span - within);
            }
        }
        if self.open.as_ref().is_some_and(|open| open.number != number) {
            self.close(number);
        }
        match &mut self.open {
            Some(open) => open.was.take_in(&seen),
            None => self.open = Some(Minute { number, was: seen }),
        }
    }

    fn close(&mut self, next: i64) {
        let Some(open) = self.open.take() else { return };
        self.is_due |= open.number.div_euclid(TOGETHER) != next.div_euclid(TOGETHER);
        self.closed.push(open);
    }

    /// Whether the components are to be counted now.
    fn wants_count(&mut self, now: Moment) -> bool {
        let slot = Some(Count::slot_at(now.wall));
        slot != std::mem::replace(&mut self.slot, slot)
    }

    /// What is to go to the disk now. `anyway`: something else goes there, and
    /// the minute as far as it is known goes along.
    fn leaving(&mut self, anyway: bool) -> Vec<Effect> {
        if !(self.is_due || anyway) {
            return Vec::new();
        }
        self.is_due = false;
        let mut minutes = std::mem::take(&mut self.closed);
        if anyway {
            minutes.extend(self.open.take());
        }
        let minutes = Some(minutes).filter(|minutes| !minutes.is_empty());
        let counts = std::mem::take(&mut self.counts).into_iter().map(Lesson::Count);
        minutes.map(Lesson::Minutes).into_iter().chain(counts).map(Effect::Learn).collect()
    }
}

/// No row says less than the worst level it spent time at.
fn spend(was: &mut Stretch, level: Level, span: Duration) {
    if !span.is_zero() {
        was.spent.add(level, span);
        was.level = was.level.max(level);
    }
}

impl State {
    pub(super) fn follow_minutes(&mut self, longest: Duration) {
        let point = self.point();
        let seen = Stretch::of(&point, self.models_told());
        self.minutes.follow(seen, self.now, longest);
        // The list of all processes comes with the second sample, where it may
        // be read at all.
        let is_whole = self.components.value.iter().any(is_program)
            || self.now.mono.since(self.started) >= super::SCAN_UNWATCHED;
        if is_whole && self.minutes.wants_count(self.now) {
            let rows = largest(&self.components.value);
            self.minutes.counts.push(Count { at: self.now.wall, rows });
        }
    }

    /// What loaded models hold, if somebody told.
    fn models_told(&self) -> Option<Bytes> {
        let held = self.models_held();
        Some(held).filter(|held| is_heard(self.server.view()) || !held.is_zero())
    }

    /// Adds to what goes to the disk what was kept back of the past.
    pub(super) fn send_minutes_along(&mut self) {
        let goes_there = |effect: &Effect| {
            matches!(effect, Effect::Record(_) | Effect::Journal { .. } | Effect::Learn(_))
        };
        let anyway = self.effects.iter().any(goes_there);
        let leaving = self.minutes.leaving(anyway);
        self.effects.extend(leaving);
    }

    /// The engine ends: what is left to be done before.
    #[must_use]
    pub fn wind_up(&mut self, now: Moment) -> Vec<Effect> {
        self.now = now;
        self.minutes.leaving(true)
    }

    /// The present as a point of the history.
    pub(super) fn point(&self) -> Point {
        use crate::domain::sample::{Memory, Pressure};
        let sample = self.readings.sample();
        let memory = self.readings.memory();
        Point {
            at: self.now,
            used: memory.map(Memory::used),
            total: memory.map(|memory| memory.total),
            swap_used: sample.and_then(|s| s.swap.as_ref().ok()).map(|swap| swap.used),
            stalled: match sample.map(|sample| &sample.pressure) {
                Some(Ok(Pressure::Psi { some, .. })) => Some(some.avg10),
                _ => None,
            },
            models: self.models_held(),
            level: self.readings.level().level,
        }
    }
}

fn is_program(component: &Component) -> bool {
    component.kind == ComponentKind::Process && component.allowed.is_empty()
}

/// What was measured, the largest first; of programs that nobody names as many
/// as there is room for.
fn largest(components: &[Component]) -> Vec<Counted> {
    let measured = |component: &&Component| {
        component.footprint.is_some_and(|held| held.source == FootprintSource::Measured)
    };
    let by_size = |component: &&Component| {
        std::cmp::Reverse(component.footprint.map(|footprint| footprint.bytes))
    };
    let (mut programs, mut first): (Vec<_>, Vec<_>) =
        components.iter().filter(measured).partition(|component| is_program(component));
    first.sort_by_key(by_size);
    programs.sort_by_key(by_size);
    let room = COUNTED - programs.len().min(COUNTED - COUNTED_FIRST);
    first.truncate(room);
    first.into_iter().chain(programs).take(COUNTED).filter_map(counted).collect()
}

fn counted(component: &Component) -> Option<Counted> {
    Some(Counted {
        id: component.id.clone(),
        name: component.name.clone(),
        kind: component.kind,
        process: component.process,
        bytes: component.footprint?.bytes,
    })
}

/// The newest minutes, as the points of an engine's graph have them.
pub fn minutes_of(snapshot: &Snapshot) -> Vec<Minute> {
    let is_told = snapshot.runtimes.first().is_some_and(is_heard);
    let points: Vec<&Point> = snapshot.history.points().collect();
    let mut apart: Vec<Duration> =
        points.windows(2).map(|pair| pair[1].at.since(pair[0].at)).collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len() / 2).copied().unwrap_or_default();
    let longest = LONGEST_APART.max(usual * 3);
    let mut minutes = Minutes::default();
    for point in points {
        let models = Some(point.models).filter(|held| is_told || !held.is_zero());
        minutes.follow(Stretch::of(point, models), point.at, longest);
    }
    let mut found = minutes.closed;
    found.extend(minutes.open);
    // A clock that was set back came by the same minute twice.
    found.sort_by_key(|minute| minute.number);
    found.dedup_by(|later, kept| {
        let is_same = later.number == kept.number;
        if is_same {
            kept.was.take_in(&later.was);
        }
        is_same
    });
    found
}

fn is_heard(server: &RuntimeView) -> bool {
    matches!(server.state, RuntimeState::Up | RuntimeState::Slow)
}
