//! Two clocks that travel together: wall time is shown, monotonic time is
//! subtracted. Neither is read here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall time. RFC 3339 UTC in files and JSON.
pub type Wall = jiff::Timestamp;

/// Time since an arbitrary start that never jumps, in milliseconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Monotonic(u64);

impl Monotonic {
    pub const fn from_millis(millis: u64) -> Self {
        Monotonic(millis)
    }

    pub const fn millis(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub wall: Wall,
    #[serde(rename = "mono_ms")]
    pub mono: Monotonic,
}

impl Moment {
    pub const fn new(wall: Wall, mono: Monotonic) -> Self {
        Moment { wall, mono }
    }

    /// How long ago `earlier` was, by the clock that does not jump.
    pub const fn since(self, earlier: Moment) -> Duration {
        self.mono.since(earlier.mono)
    }
}

/// A span as a person reads it, stepping so that nothing ticks: tens of
/// seconds below a minute, then minutes, then hours, then days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let text = match seconds {
            0..10 => "10 s".to_owned(),
            10..60 => format!("{} s", seconds / 10 * 10),
            60..3600 => format!("{} min", seconds / 60),
            3600..86_400 => match seconds % 3600 / 60 {
                0 => format!("{} h", seconds / 3600),
                minutes => format!("{} h {minutes} min", seconds / 3600),
            },
            _ => format!("{} d", seconds / 86_400),
        };
        let text = if seconds < 10 { format!("<{text}") } else { text };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_step_instead_of_ticking() {
        let shown: Vec<String> = [3, 17, 59, 60, 3599, 3600, 4320, 90_000]
            .into_iter()
            .map(|s| Span(Duration::from_secs(s)).to_string())
            .collect();
        assert_eq!(shown, ["<10 s", "10 s", "50 s", "1 min", "59 min", "1 h", "1 h 12 min", "1 d"]);
    }

    #[test]
    fn monotonic_time_never_goes_below_zero() {
        let earlier = Monotonic::from_millis(10);
        assert_eq!(Monotonic::from_millis(4).since(earlier), Duration::ZERO);
    }
}
