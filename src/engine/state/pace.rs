//! How often to look: sooner as the next level comes near, slower where
//! nothing moves.

use std::time::Duration;

use crate::domain::level::Mark;
use crate::domain::{Bytes, Monotonic};

use super::readings::Readings;

/// The fastest that is looked.
pub(super) const FASTEST: Duration = Duration::from_millis(100);

/// The fastest that memory fills here, bytes a second: weights read from a
/// fast disk. Looked at so often, a level is met within a sample or two.
const FILL: u64 = 2 << 30;

/// Nothing has moved for so long: calm. Half a second will do even where a
/// threshold is nearer than this share of memory.
const STILL_AFTER: Duration = Duration::from_secs(30);
const STILL_PACE: Duration = Duration::from_millis(500);
const NEAR: u64 = 16;

/// Since when memory has stood still, for the pace of sampling.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    seen: Option<(Monotonic, Bytes)>,
}

impl Stillness {
    /// More than a hundredth of memory is movement.
    pub(super) fn follow(&mut self, available: Bytes, total: Bytes, now: Monotonic) {
        let moved = |(_, seen): (Monotonic, Bytes)| {
            available.since(seen).magnitude() > Bytes::new(total.get() / 100)
        };
        if self.seen.is_none_or(moved) {
            self.seen = Some((now, available));
        }
    }

    pub(super) fn lasts(&self, now: Monotonic) -> Duration {
        self.seen.map_or(Duration::ZERO, |(since, _)| now.since(since))
    }
}

impl Readings {
    /// The pace that a threshold this near asks for; never slower than what is
    /// asked for otherwise.
    pub(super) fn pace(&self, marks: &[Mark], unhurried: Duration) -> Duration {
        if self.is_entering() {
            return unhurried.min(FASTEST);
        }
        let Some(memory) = self.memory() else { return unhurried };
        let used = memory.used();
        let Some(next) = marks.iter().find(|mark| mark.used > used) else { return unhurried };
        let room = next.used.saturating_sub(used).get();
        if self.stillness().lasts(self.last_at()) >= STILL_AFTER {
            let is_near = room < memory.total.get() / NEAR;
            return if is_near { unhurried.min(STILL_PACE) } else { unhurried };
        }
        let time_left = Duration::from_secs_f64(room as f64 / FILL as f64);
        // In steps: a pace that changes with each sample would be told anew
        // with each.
        unhurried.min(stepped(time_left))
    }
}

/// Rounded down to one of a few paces.
fn stepped(span: Duration) -> Duration {
    [5000, 2000, 1000, 500, 250, 100]
        .map(Duration::from_millis)
        .into_iter()
        .find(|step| *step <= span)
        .unwrap_or(FASTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paces_are_few() {
        let step = |millis| stepped(Duration::from_millis(millis)).as_millis();
        assert_eq!(
            [90, 180, 260, 999, 1000, 4000, 90_000].map(step),
            [100, 100, 250, 500, 1000, 2000, 5000]
        );
    }

    #[test]
    fn memory_stands_still_until_it_moves_by_a_hundredth() {
        let at = Monotonic::from_millis;
        let mut still = Stillness::default();
        let total = Bytes::gib(10);
        still.follow(Bytes::mib(1000), total, at(0));
        still.follow(Bytes::mib(1090), total, at(40_000));
        assert_eq!(still.lasts(at(41_000)), Duration::from_secs(41));
        still.follow(Bytes::mib(1200), total, at(42_000));
        assert_eq!(still.lasts(at(43_000)), Duration::from_secs(1));
    }
}
