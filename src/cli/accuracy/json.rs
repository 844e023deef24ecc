//! The JSON of `accuracy`. More may be added; nothing is renamed. What is
//! unknown is null, never 0.

use std::time::Duration;

use serde::Serialize;

use crate::cli::document::Document;
use crate::domain::Percent;
use crate::forecast::score;

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub forecasts: Forecasts,
    pub footprints: Footprints,
}

#[derive(Debug, Serialize)]
pub struct Forecasts {
    pub hits: u32,
    pub false_alarms: u32,
    pub misses: u32,
    pub cut_short: u32,
    /// From when a hit was first shown to when the level was reached.
    pub median_lead_ms: Option<u64>,
    /// How far the middle of the range first shown was off that time.
    pub time: Errors,
}

/// How far each figure was off.
#[derive(Debug, Serialize)]
pub struct Footprints {
    /// What the server was expected to report, against what it reported.
    pub reported: Errors,
    /// What the formulas said its process would hold, against what it held.
    pub estimated: Errors,
    /// The same with what had been learned before.
    pub expected: Errors,
    /// By the largest error of what was expected, else estimated.
    pub worst_models: Vec<WorstModel>,
}

/// In percent of what came, without signs.
#[derive(Debug, Serialize)]
pub struct Errors {
    pub count: u32,
    pub median_percent: Option<f64>,
    pub worst_percent: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct WorstModel {
    pub name: String,
    pub context: u64,
    /// Positive: more was said than it came to.
    pub error_percent: f64,
    pub said_bytes: u64,
    pub measured_bytes: u64,
}

impl Report {
    pub fn of(found: &score::Accuracy, worst_models: Vec<WorstModel>) -> Report {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Report {
            schema_version: Document::Accuracy.version(),
            forecasts: Forecasts {
                hits: found.hits,
                false_alarms: found.false_alarms,
                misses: found.misses,
                cut_short: found.cut_short,
                median_lead_ms: found.median_lead.map(millis),
                time: Errors::of(&found.time),
            },
            footprints: Footprints {
                reported: Errors::of(&found.reported),
                estimated: Errors::of(&found.estimated),
                expected: Errors::of(&found.expected),
                worst_models,
            },
        }
    }
}

impl Forecasts {
    /// Shown ones; a miss was not.
    pub fn shown(&self) -> u32 {
        self.hits.saturating_add(self.false_alarms).saturating_add(self.cut_short)
    }

    pub fn is_empty(&self) -> bool {
        self.shown() == 0 && self.misses == 0
    }
}

impl Footprints {
    pub fn count(&self) -> u32 {
        self.reported.count.max(self.estimated.count).max(self.expected.count)
    }
}

impl Errors {
    fn of(found: &score::Errors) -> Errors {
        Errors {
            count: found.count,
            median_percent: found.median.map(Percent::get),
            worst_percent: found.worst.map(Percent::get),
        }
    }
}
