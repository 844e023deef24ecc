//! The models whose footprints were furthest off. Pure.

use std::collections::BTreeMap;

use crate::domain::forecast::LoadObserved;
use crate::domain::model::ModelName;

use super::json::WorstModel;

/// Models named; more would be a list of all.
const NAMED: usize = 5;

/// Of each model its worst load that worked: what never did has not touched
/// all it will hold.
pub(super) fn models(loads: &[LoadObserved]) -> Vec<WorstModel> {
    let mut worst: BTreeMap<&ModelName, WorstModel> = BTreeMap::new();
    for load in loads.iter().filter(|load| load.was_used) {
        let Some(found) = judged(load) else { continue };
        let before = worst.get(&load.model).map(|before| before.error_percent.abs());
        if before.is_none_or(|before| found.error_percent.abs() > before) {
            worst.insert(&load.model, found);
        }
    }
    let mut worst: Vec<WorstModel> = worst.into_values().collect();
    worst.sort_by(|one, other| other.error_percent.abs().total_cmp(&one.error_percent.abs()));
    worst.truncate(NAMED);
    worst
}

fn judged(load: &LoadObserved) -> Option<WorstModel> {
    let said = load.expected.or(load.estimated)?;
    let measured = Some(load.measured).filter(|measured| !measured.is_zero())?;
    let off = said.get() as f64 - measured.get() as f64;
    Some(WorstModel {
        name: load.model.to_string(),
        context: load.key.context,
        error_percent: off / measured.get() as f64 * 100.0,
        said_bytes: said.get(),
        measured_bytes: measured.get(),
    })
}
