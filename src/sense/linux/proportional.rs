//! Proportional set sizes, within a budget.
//!
//! `smaps_rollup` costs 1 to 4 ms per GiB and holds the target's memory lock
//! meanwhile. It is read for few processes, one at a time, and each reading
//! is paid for with a pause.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::folder::ProcFolder;
use super::process;
use crate::domain::bytes::Bytes;
use crate::domain::process::ProcessKey;
use crate::domain::time::Monotonic;

/// 0.02 % of a core: what took one unit is not done again for five thousand.
const BUDGET: u32 = 5000;
/// A share does not change faster than a person reads it.
const SHORTEST: Duration = Duration::from_secs(5);
/// Where it may not be read, it hardly ever may be later.
const AFTER_REFUSAL: Duration = Duration::from_secs(60);

/// How long work of this cost must rest to stay within the budget.
pub fn pause_after(cost: Duration) -> Duration {
    cost.saturating_mul(BUDGET)
}

#[derive(Debug, Default)]
pub struct Proportional {
    known: HashMap<ProcessKey, Known>,
    free_at: Option<Monotonic>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    value: Option<Bytes>,
    again_at: Monotonic,
}

impl Proportional {
    /// Reads at most one of the wanted, the one that has waited longest.
    pub fn read(&mut self, folder: &mut ProcFolder, wanted: &[ProcessKey], now: Monotonic) {
        self.known.retain(|key, _| wanted.contains(key));
        if self.free_at.is_some_and(|at| now < at) {
            return;
        }
        let due_at = |key: &&ProcessKey| self.known.get(key).map(|known| known.again_at);
        let next = wanted.iter().min_by_key(due_at);
        let Some(key) = next.filter(|key| due_at(key).is_none_or(|at| now >= at)) else { return };
        let started = Instant::now();
        let value = folder.read(key.pid, "smaps_rollup").ok().and_then(process::proportional);
        self.free_at = Some(now.plus(pause_after(started.elapsed())));
        let again_at = now.plus(if value.is_some() { SHORTEST } else { AFTER_REFUSAL });
        self.known.insert(*key, Known { value, again_at });
    }

    /// The last value, however old.
    pub fn of(&self, key: ProcessKey) -> Option<Bytes> {
        self.known.get(&key)?.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_paid_for_with_a_pause() {
        assert_eq!(pause_after(Duration::from_millis(8)), Duration::from_secs(40));
    }
}
