//! Where moments come from. The only clock the engine reads.

use std::time::{Duration, Instant};

use crate::domain::{Moment, Monotonic, Wall};

/// Reads both clocks. A simulated wall clock starts at a given time and runs
/// with the monotonic one, so that a demo shows the same times on each run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
    simulated: Option<Wall>,
}

impl Clock {
    pub fn system() -> Self {
        Clock { origin: Instant::now(), simulated: None }
    }

    pub fn starting_at(wall: Wall) -> Self {
        Clock { origin: Instant::now(), simulated: Some(wall) }
    }

    pub fn now(&self) -> Moment {
        let elapsed = self.origin.elapsed();
        let wall = match self.simulated {
            Some(start) => start.checked_add(elapsed).unwrap_or(start),
            None => Wall::now(),
        };
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        Moment::new(wall, Monotonic::from_millis(millis))
    }

    /// That moment as the timer wants it.
    pub fn instant(&self, at: Monotonic) -> tokio::time::Instant {
        // A century ahead is never: adding more would overflow.
        let millis = at.millis().min(3_155_760_000_000);
        tokio::time::Instant::from_std(self.origin + Duration::from_millis(millis))
    }
}
