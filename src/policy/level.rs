//! Signals to a level: entered fast, left slowly.
//!
//! Each signal runs its own machine of thresholds, hysteresis and dwell; the
//! level is the worst of them, so it always has a signal to name. The memory
//! of the past is a value that `judge` takes and changes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::level::{Headroom, Mark};
use crate::domain::sample::Memory;
use crate::domain::{Bytes, Cause, Level, Monotonic, SignalKind};

use super::limits::Limits;
use super::signals::{Condition, RAISED, Signal};

/// What judging remembers. `default()` remembers nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judge {
    signals: BTreeMap<SignalKind, SignalMemory>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct SignalMemory {
    level: Level,
    /// For each raised level: since when its threshold is passed without a
    /// break, and in how many samples.
    past: [Option<(Monotonic, u32)>; 3],
    /// For each raised level: since when it is no longer held.
    below: [Option<Monotonic>; 3],
}

/// A level and the signal that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub level: Level,
    pub cause: Option<Cause>,
    /// The signal is below the level's threshold again.
    pub is_calming: bool,
}

/// A single sample may be a spike: a level needs to be seen twice.
const SAMPLES_TO_ENTER: u32 = 2;

impl Judge {
    /// Takes one sample's signals in and says the level.
    pub fn judge(&mut self, signals: &[Signal], limits: &Limits, now: Monotonic) -> Judgement {
        self.signals.retain(|kind, _| signals.iter().any(|signal| signal.kind == *kind));
        for signal in signals {
            let memory = self.signals.entry(signal.kind).or_default();
            memory.take(&signal.conditions, limits.leave_after, now);
        }
        worst(signals.iter().map(|signal| {
            let level = self.signals.get(&signal.kind).map(|memory| memory.level);
            (level.unwrap_or_default(), signal)
        }))
    }

    /// A threshold is passed whose level is not entered yet.
    pub fn is_entering(&self) -> bool {
        self.signals.values().any(|memory| {
            let passed = RAISED.iter().zip(&memory.past).rfind(|(_, past)| past.is_some());
            passed.is_some_and(|(level, _)| *level > memory.level)
        })
    }

    /// After a gap (sleep, a stopped process) nothing is known to have lasted:
    /// levels stay, spans start afresh.
    pub fn forget_spans(&mut self) {
        for memory in self.signals.values_mut() {
            memory.past = [None; 3];
            memory.below = [None; 3];
        }
    }
}

/// The level without dwell: for a single look.
pub fn at_once(signals: &[Signal]) -> Judgement {
    worst(signals.iter().map(|signal| {
        let entered = RAISED.iter().zip(&signal.conditions).rfind(|(_, c)| c.enters);
        (entered.map_or(Level::Normal, |(level, _)| *level), signal)
    }))
}

fn worst<'a>(levels: impl Iterator<Item = (Level, &'a Signal)>) -> Judgement {
    // The first signal wins a tie: memory before what follows from it.
    let mut judgement = Judgement { level: Level::Normal, cause: None, is_calming: false };
    for (level, signal) in levels {
        if level > judgement.level {
            let mut past = RAISED.iter().zip(&signal.conditions);
            let is_calming = !past.any(|(l, condition)| *l == level && condition.enters);
            judgement = Judgement { level, cause: Some(cause(is_calming, signal)), is_calming };
        }
    }
    judgement
}

/// Names the signal with its figure; a figure below the threshold says why the
/// level still stands.
fn cause(is_calming: bool, signal: &Signal) -> Cause {
    let still = if is_calming { ", calming" } else { "" };
    Cause { signal: signal.kind, text: format!("{}{still}", signal.text) }
}

impl SignalMemory {
    fn take(&mut self, conditions: &[Condition; 3], leave_after: Duration, now: Monotonic) {
        let mut entered = Level::Normal;
        let mut kept = Level::Normal;
        for (index, condition) in conditions.iter().enumerate() {
            self.past[index] = condition.enters.then(|| match self.past[index] {
                Some((since, samples)) => (since, samples.saturating_add(1)),
                None => (now, 1),
            });
            self.below[index] = (!condition.holds).then(|| self.below[index].unwrap_or(now));
            let is_sustained = self.past[index].is_some_and(|(since, samples)| {
                samples >= SAMPLES_TO_ENTER && now.since(since) >= condition.sustain
            });
            if is_sustained {
                entered = RAISED[index];
            }
            let may_be_left =
                self.below[index].is_some_and(|since| now.since(since) >= leave_after);
            if !may_be_left {
                kept = RAISED[index];
            }
        }
        self.level = entered.max(self.level.min(kept));
    }
}

/// Bytes to the next threshold above the level.
pub fn headroom(memory: Option<&Memory>, marks: &[Mark], level: Level) -> Headroom {
    let Some(memory) = memory else {
        return Headroom::Unknown { reason: "memory cannot be read".into() };
    };
    if level == Level::Emergency {
        return Headroom::Unknown { reason: "no level lies above emergency".into() };
    }
    match marks.iter().find(|mark| mark.level > level) {
        Some(mark) => {
            Headroom::Known { bytes: mark.used.saturating_sub(memory.used()), to: mark.level }
        }
        None => Headroom::Unknown { reason: "this profile names no threshold in bytes".into() },
    }
}

/// Bytes to free so that the level may fall to normal; `None` where nothing
/// has to go or nobody can say.
pub fn excess(memory: &Memory, marks: &[Mark], limits: &Limits) -> Option<Bytes> {
    excess_over(memory, marks, limits, Level::Normal).filter(|bytes| !bytes.is_zero())
}

/// Bytes to free so that memory may fall to a level: to below the mark of the
/// one above it. `None`: this profile has no such mark.
pub fn excess_over(
    memory: &Memory,
    marks: &[Mark],
    limits: &Limits,
    level: Level,
) -> Option<Bytes> {
    let mark = marks.iter().find(|mark| mark.level > level)?.used;
    if memory.used() < mark {
        return Some(Bytes::ZERO);
    }
    // Just below the mark the level is still held.
    let margin = memory.total.at(crate::domain::Percent::new(limits.hysteresis));
    Some(memory.used().saturating_sub(mark.saturating_sub(margin)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::limits::Profile;

    fn limits() -> Limits {
        Profile::Linux15.limits()
    }

    #[test]
    fn what_is_too_much_is_counted_from_the_mark_above_a_level() {
        let memory = |gib: u64| Memory {
            total: Bytes::gib(100),
            available: Bytes::gib(100 - gib),
            free: Bytes::gib(100 - gib),
            available_source: crate::domain::sample::AvailableSource::Kernel,
            parts: crate::domain::sample::MemoryParts::Linux {
                anonymous: None,
                cached: None,
                shared: None,
                slab_unreclaimable: None,
            },
        };
        let limits = limits();
        let marks = crate::policy::signals::marks(Bytes::gib(100), &limits);
        let over = |gib, level| excess_over(&memory(gib), &marks, &limits, level);
        let margin = Bytes::gib(100).at(crate::domain::Percent::new(limits.hysteresis));
        // Marks at 80, 90 and 95 %.
        assert_eq!(over(79, Level::Normal), Some(Bytes::ZERO));
        assert_eq!(over(85, Level::Normal), Some(Bytes::gib(5) + margin));
        assert_eq!(over(85, Level::Warning), Some(Bytes::ZERO));
        assert_eq!(over(92, Level::Warning), Some(Bytes::gib(2) + margin));
        assert_eq!(over(96, Level::Critical), Some(Bytes::gib(1) + margin));
        assert_eq!(over(99, Level::Emergency), None, "nothing lies above it");
        assert_eq!(excess_over(&memory(99), &[], &limits, Level::Normal), None);
        assert_eq!(excess(&memory(79), &marks, &limits), None);
    }

    fn memory_signal(share: f64, limits: &Limits) -> Signal {
        let used = limits.used.expect("this profile has shares");
        let thresholds = [used.warning, used.critical, used.emergency];
        Signal {
            kind: SignalKind::Memory,
            text: format!("memory {share}"),
            conditions: thresholds.map(|threshold| Condition {
                enters: share >= threshold.get(),
                holds: share >= threshold.get() - limits.hysteresis,
                sustain: limits.enter_after,
            }),
        }
    }

    /// Levels over a trace of shares, one a second.
    fn run(shares: impl IntoIterator<Item = f64>) -> Vec<Level> {
        let limits = limits();
        let mut judge = Judge::default();
        shares
            .into_iter()
            .enumerate()
            .map(|(second, share)| {
                let now = Monotonic::from_millis(second as u64 * 1000);
                judge.judge(&[memory_signal(share, &limits)], &limits, now).level
            })
            .collect()
    }

    fn changes(levels: &[Level]) -> usize {
        levels.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn one_spike_is_not_a_level() {
        assert_eq!(run([50.0, 99.0, 50.0, 50.0]), [Level::Normal; 4]);
    }

    #[test]
    fn a_level_needs_two_samples_however_short_its_dwell() {
        let limits = Limits { enter_after: Duration::ZERO, ..limits() };
        let mut judge = Judge::default();
        let mut level_at = |second: u64| {
            let now = Monotonic::from_millis(second * 1000);
            judge.judge(&[memory_signal(92.0, &limits)], &limits, now).level
        };
        assert_eq!([level_at(0), level_at(1)], [Level::Normal, Level::Critical]);
    }

    #[test]
    fn two_samples_raise_and_fifteen_seconds_lower() {
        let levels = run([50.0, 92.0, 92.0].into_iter().chain([70.0; 20]));
        assert_eq!(levels[1], Level::Normal);
        assert_eq!(levels[2], Level::Critical);
        assert_eq!(levels[17], Level::Critical);
        assert_eq!(levels[18], Level::Normal);
    }

    #[test]
    fn a_level_falls_only_as_far_as_it_may() {
        let levels = run([96.0, 96.0].into_iter().chain([85.0; 20]));
        assert_eq!(levels[1], Level::Emergency);
        assert_eq!(levels[21], Level::Warning);
    }

    #[test]
    fn a_level_that_only_lasts_says_so() {
        let limits = limits();
        let mut judge = Judge::default();
        let mut said = Vec::new();
        for (second, share) in [81.0, 81.0, 60.0].into_iter().enumerate() {
            let now = Monotonic::from_millis(second as u64 * 1000);
            let judgement = judge.judge(&[memory_signal(share, &limits)], &limits, now);
            said.push(judgement.cause.map(|cause| cause.text));
        }
        let expected = [None, Some("memory 81".to_owned()), Some("memory 60, calming".to_owned())];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_missing_signal_holds_nothing() {
        let limits = limits();
        let mut judge = Judge::default();
        for second in 0..3 {
            judge.judge(
                &[memory_signal(96.0, &limits)],
                &limits,
                Monotonic::from_millis(second * 1000),
            );
        }
        assert_eq!(judge.judge(&[], &limits, Monotonic::from_millis(4000)).level, Level::Normal);
    }

    proptest! {
        #[test]
        fn noise_around_a_threshold_changes_the_level_twice_at_most(
            noise in proptest::collection::vec(-2.0..2.0f64, 3600)
        ) {
            prop_assert!(changes(&run(noise.into_iter().map(|n| 80.0 + n))) <= 2);
        }

        #[test]
        fn a_level_falls_no_sooner_after_a_rise_than_its_dwell(
            shares in proptest::collection::vec(40.0..100.0f64, 200)
        ) {
            let levels = run(shares);
            let mut since = 0;
            for index in 1..levels.len() {
                if levels[index] < levels[index - 1] {
                    prop_assert!(index - since >= 15, "fell after {} s", index - since);
                }
                if levels[index] > levels[index - 1] {
                    since = index;
                }
            }
        }

        #[test]
        fn more_memory_in_use_never_means_a_lower_level(
            shares in proptest::collection::vec(40.0..100.0f64, 60), more in 0.0..20.0f64
        ) {
            let lower = run(shares.iter().copied());
            let higher = run(shares.iter().map(|share| (share + more).min(100.0)));
            prop_assert!(lower.iter().zip(&higher).all(|(low, high)| low <= high));
        }

        #[test]
        fn signals_are_judged_the_same_in_any_order(share in 40.0..100.0f64, rounds in 1..20u64) {
            let limits = limits();
            let mut other = memory_signal(share / 1.1, &limits);
            other.kind = SignalKind::Available;
            let one = memory_signal(share, &limits);
            let (mut first, mut second) = (Judge::default(), Judge::default());
            for round in 0..rounds {
                let now = Monotonic::from_millis(round * 1000);
                let a = first.judge(&[one.clone(), other.clone()], &limits, now);
                let b = second.judge(&[other.clone(), one.clone()], &limits, now);
                prop_assert_eq!(a.level, b.level);
            }
        }
    }
}
