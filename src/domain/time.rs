//! Two clocks that travel together: wall time is shown, monotonic time is
//! subtracted. Neither is read here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Twenty-four hours; days of a calendar may be longer.
pub const DAY: Duration = Duration::from_secs(86_400);

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

/// A span as it was, where it stands still: milliseconds below a second, tenths
/// below a minute, whole seconds below an hour, then whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exactly(pub Duration);

impl fmt::Display for Exactly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours) = (seconds / 86_400, seconds % 86_400 / 3600);
        let (minutes, rest) = (seconds % 3600 / 60, seconds % 60);
        let parts: &[(u64, &str)] = match (seconds, self.0.subsec_millis()) {
            (0, 0) if !self.0.is_zero() => return f.pad("<1 ms"),
            (0, millis @ 1..) => return f.pad(&format!("{millis} ms")),
            (1..60, 100..) => {
                return f.pad(&format!("{seconds}.{} s", self.0.subsec_millis() / 100));
            }
            (0..60, _) => return f.pad(&format!("{seconds} s")),
            (60..3600, _) => &[(minutes, "min"), (rest, "s")],
            _ => &[(days, "d"), (hours, "h"), (minutes, "min")],
        };
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, unit)| format!("{count} {unit}")).collect();
        f.pad(&parts.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_stand_still_are_told_as_they_were() {
        let shown = |millis: &[u64]| {
            let one = |millis: &u64| Exactly(Duration::from_millis(*millis)).to_string();
            millis.iter().map(one).collect::<Vec<_>>()
        };
        assert_eq!(
            shown(&[0, 340, 4_000, 4_050, 12_390]),
            ["0 s", "340 ms", "4 s", "4 s", "12.3 s"]
        );
        let minutes = shown(&[60_000, 245_000, 3_599_999]);
        assert_eq!(minutes, ["1 min", "4 min 5 s", "59 min 59 s"]);
        let hours = [3600, 4320, 36 * 3600, 7 * 86_400 - 3600, 86_460].map(|s| s * 1000);
        assert_eq!(shown(&hours), ["1 h", "1 h 12 min", "1 d 12 h", "6 d 23 h", "1 d 1 min"]);
        assert_eq!(Exactly(Duration::from_micros(7)).to_string(), "<1 ms");
    }

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
