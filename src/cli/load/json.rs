//! The JSON of `load`. More may be added; nothing is renamed.

use serde::Serialize;

use crate::cli::carry::json::PlanJson;
use crate::cli::document::Document;
use crate::cli::fit::json::FitJson;
use crate::cli::status::json::{ModelStatus, models};
use crate::domain::{Fit, ModelName, Plan, Snapshot};

#[derive(Debug, Serialize)]
pub struct LoadJson {
    schema_version: u32,
    /// `loaded`, `already`, `does_not_fit`.
    result: &'static str,
    name: String,
    /// As in `status`; null where it is not loaded.
    model: Option<ModelStatus>,
    /// The verdict it was loaded by, or not; null where there was none.
    fit: Option<FitJson>,
    /// What would make room; null where it is loaded, or nothing would.
    plan: Option<PlanJson>,
}

impl LoadJson {
    pub fn loaded(name: &ModelName, snapshot: &Snapshot, fit: Option<&Fit>) -> LoadJson {
        let is_it = |model: &ModelStatus| ModelName::new(model.name.as_str()) == *name;
        LoadJson {
            schema_version: Document::Load.version(),
            result: "loaded",
            name: name.short().to_owned(),
            model: models(snapshot).into_iter().find(is_it),
            fit: fit.map(FitJson::entry),
            plan: None,
        }
    }

    pub fn already(name: &ModelName, snapshot: &Snapshot) -> LoadJson {
        LoadJson { result: "already", ..LoadJson::loaded(name, snapshot, None) }
    }

    pub fn does_not_fit(fit: &Fit, plan: Option<&Plan>) -> LoadJson {
        LoadJson {
            schema_version: Document::Load.version(),
            result: "does_not_fit",
            name: fit.model.short().to_owned(),
            model: None,
            fit: Some(FitJson::entry(fit)),
            plan: plan.map(PlanJson::of),
        }
    }
}
