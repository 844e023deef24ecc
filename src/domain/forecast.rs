//! How long there is: forecasts, what became of them, and what loads were
//! seen to take. Pure data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::fit::Placement;
use super::level::{Level, SignalKind};
use super::model::ModelName;
use super::shape::KvType;
use super::time::{Moment, Span, Wall};

/// When the next level is reached if it goes on so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    pub to: Level,
    /// Available memory, or swap.
    pub signal: SignalKind,
    /// From now.
    pub soonest: Duration,
    pub latest: Duration,
    /// When it was last worked out.
    pub at: Moment,
    /// The span it rests on.
    pub window: Duration,
    /// Bytes a second by which room shrinks; positive.
    pub rate: f64,
}

impl Forecast {
    /// `warning in about 4 to 6 min`
    pub fn text(&self) -> String {
        let (soonest, latest) = (Span(self.soonest).to_string(), Span(self.latest).to_string());
        if self.soonest < Duration::from_secs(10) {
            return format!("{} within {}", self.to, latest.trim_start_matches('<'));
        }
        if soonest == latest {
            return format!("{} in about {latest}", self.to);
        }
        match (soonest.split_once(' '), latest.split_once(' ')) {
            (Some((figure, unit)), Some((_, same))) if unit == same => {
                format!("{} in about {figure} to {latest}", self.to)
            }
            _ => format!("{} in about {soonest} to {latest}", self.to),
        }
    }
}

/// What a component's memory does over minutes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "trend")]
pub enum Course {
    /// Grows without falling back, bytes a second.
    Grows { rate: f64 },
    /// Has grown and stands still.
    Plateau,
}

/// A forecast that was shown, and what happened after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastRecord {
    /// When it was first shown; of a miss, when the level was reached.
    pub made: Wall,
    pub to: Level,
    pub signal: SignalKind,
    pub soonest_ms: u64,
    pub latest_ms: u64,
    pub window_ms: u64,
    pub rate: f64,
    pub outcome: ForecastOutcome,
    /// From `made` to the outcome: of a hit the lead time.
    pub after_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForecastOutcome {
    /// The level was reached, not later than twice the latest time given.
    Hit,
    /// It was not, and nothing was done that could have prevented it.
    FalseAlarm,
    /// A load, an unload or an action came between: neither right nor wrong.
    CutShort,
    /// The level was reached by a climb of a minute or more that no forecast
    /// had told of.
    Missed,
}

impl ForecastOutcome {
    pub const fn word(self) -> &'static str {
        match self {
            ForecastOutcome::Hit => "hit",
            ForecastOutcome::FalseAlarm => "false alarm",
            ForecastOutcome::CutShort => "cut short",
            ForecastOutcome::Missed => "missed",
        }
    }
}

/// What tells one kind of load from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LoadKey {
    /// Of the model's manifest.
    pub digest: String,
    pub context: u64,
    pub parallel: u32,
    pub kv_type: KvType,
    pub placement: Placement,
    /// The server's version.
    pub version: String,
}

/// One load as it was seen. Written when its footprint has settled, and again,
/// under the same key and time, when it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadObserved {
    pub key: LoadKey,
    pub model: ModelName,
    /// When it was first listed.
    pub loaded: Wall,
    /// What the formulas had said, before any correction.
    pub estimated_reported: Option<Bytes>,
    pub estimated: Option<Bytes>,
    /// What was expected with what had been learned before.
    pub expected: Option<Bytes>,
    pub reported: Option<Bytes>,
    /// Once it had worked; of one that never did, when it left.
    pub measured: Bytes,
    pub peak: Bytes,
    /// It has worked at least once.
    pub was_used: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Monotonic;

    #[test]
    fn a_forecast_is_told_coarsely_and_never_as_less_than_nothing() {
        let told = |soonest, latest| {
            let at = Moment::new(Wall::UNIX_EPOCH, Monotonic::default());
            let forecast = Forecast {
                to: Level::Warning,
                signal: SignalKind::Memory,
                soonest: Duration::from_secs(soonest),
                latest: Duration::from_secs(latest),
                at,
                window: Duration::from_secs(120),
                rate: 1e6,
            };
            forecast.text()
        };
        assert_eq!(told(250, 380), "warning in about 4 to 6 min");
        assert_eq!(told(250, 290), "warning in about 4 min");
        assert_eq!(told(50, 70), "warning in about 50 s to 1 min");
        assert_eq!(told(3, 8), "warning within 10 s");
        assert_eq!(told(3, 25), "warning within 20 s");
    }
}
