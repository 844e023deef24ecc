//! Sums over records: how often forecasts were right, and how far off
//! footprints were.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Bytes, ForecastOutcome, ForecastRecord, LoadKey, LoadObserved, Percent, Wall};

use super::super::slope::median;

/// What a machine's history says of forecasts and estimates.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    pub hits: u32,
    pub false_alarms: u32,
    pub misses: u32,
    pub cut_short: u32,
    /// Of the hits: from the first showing to the level.
    pub median_lead: Option<Duration>,
    /// Of the hits: how far the middle of the range first shown was off the
    /// time it took.
    pub time: Errors,
    /// What the server reported, against what the formulas had said.
    pub reported: Errors,
    /// What the process held once it had worked, against the same.
    pub estimated: Errors,
    /// The same, with what had been learned before.
    pub expected: Errors,
}

/// Shares of the true figure, without their sign.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Errors {
    pub count: u32,
    pub median: Option<Percent>,
    pub worst: Option<Percent>,
}

/// Sums a history up. A load that was written twice counts as it was last.
pub fn accuracy(forecasts: &[ForecastRecord], loads: &[LoadObserved]) -> Accuracy {
    let count = |outcome| {
        let of_it = forecasts.iter().filter(|record| record.outcome == outcome).count();
        u32::try_from(of_it).unwrap_or(u32::MAX)
    };
    let hits = || forecasts.iter().filter(|record| record.outcome == ForecastOutcome::Hit);
    let loads: BTreeMap<(&LoadKey, Wall), &LoadObserved> =
        loads.iter().map(|load| ((&load.key, load.loaded), load)).collect();
    let errors = |said: fn(&LoadObserved) -> Option<Bytes>,
                  was: fn(&LoadObserved) -> Option<Bytes>| {
        let pairs = loads.values().filter_map(|load| Some((said(load)?, was(load)?)));
        Errors::of(pairs.map(|(said, was)| (said.get() as f64, was.get() as f64)))
    };
    // One that never worked has not taken what working takes.
    let held: fn(&LoadObserved) -> Option<Bytes> = |load| load.was_used.then_some(load.measured);
    Accuracy {
        hits: count(ForecastOutcome::Hit),
        false_alarms: count(ForecastOutcome::FalseAlarm),
        misses: count(ForecastOutcome::Missed),
        cut_short: count(ForecastOutcome::CutShort),
        median_lead: median(hits().map(|hit| hit.after_ms as f64).collect())
            .map(|ms| Duration::from_millis(ms as u64)),
        time: Errors::of(hits().map(|hit| {
            let middle = (hit.soonest_ms as f64 + hit.latest_ms as f64) / 2.0;
            (middle, hit.after_ms as f64)
        })),
        reported: errors(|load| load.estimated_reported, |load| load.reported),
        estimated: errors(|load| load.estimated, held),
        expected: errors(|load| load.expected, held),
    }
}

impl Errors {
    /// Of what was said and what it was; what was nothing is no measure.
    fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Errors {
        let share = |(said, was): (f64, f64)| (said - was).abs() / was * 100.0;
        let shares: Vec<f64> = pairs.filter(|(_, was)| *was > 0.0).map(share).collect();
        Errors {
            count: u32::try_from(shares.len()).unwrap_or(u32::MAX),
            worst: shares.iter().copied().max_by(f64::total_cmp).map(Percent::new),
            median: median(shares).map(Percent::new),
        }
    }
}
