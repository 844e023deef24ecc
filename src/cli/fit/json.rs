//! The JSON of `fit`. More may be added; nothing is renamed.

use serde::Serialize;

use crate::cli::document::Document;
use crate::domain::fit::Named;
use crate::domain::{Fit, FitVerdict, KvType, Level, ModelName};

#[derive(Debug, Serialize)]
pub struct FitJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<u32>,
    model: String,
    context: u64,
    parallel: u32,
    kv_type: KvType,
    verdict: FitVerdict,
    need: NeedJson,
    budget: BudgetJson,
    /// Null: none fits now.
    max_context: Option<u64>,
    unload: Vec<NamedJson>,
    loaded: bool,
    /// Null: memory stays at the level it is at.
    enters: Option<Level>,
    smaller: Option<SmallerJson>,
    programs: Vec<NamedJson>,
}

#[derive(Debug, Serialize)]
struct NeedJson {
    weights_bytes: u64,
    kv_bytes: u64,
    state_bytes: u64,
    compute_bytes: u64,
    vision_bytes: u64,
    overhead_bytes: u64,
    /// What the server is expected to report.
    reported_bytes: u64,
    /// What its process is expected to hold.
    measured_bytes: u64,
    source: &'static str,
    /// What the verdict counts.
    bytes: u64,
    learned_from: u32,
    rough: bool,
}

#[derive(Debug, Serialize)]
struct BudgetJson {
    available_bytes: u64,
    reserve_bytes: u64,
    /// Negative: what is lacking.
    margin_bytes: i64,
    source: String,
    in_flight_bytes: u64,
}

#[derive(Debug, Serialize)]
struct NamedJson {
    name: String,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct SmallerJson {
    context: u64,
    kv_type: KvType,
    bytes: u64,
}

/// All installed models, and those that cannot be judged.
#[derive(Debug, Serialize)]
pub struct RankedJson {
    schema_version: u32,
    models: Vec<FitJson>,
    unknown: Vec<UnknownJson>,
}

#[derive(Debug, Serialize)]
struct UnknownJson {
    model: String,
    reason: String,
}

impl RankedJson {
    pub fn of(ranked: &[Fit], unknown: &[(ModelName, String)]) -> RankedJson {
        let unknown = unknown.iter().map(|(model, reason)| UnknownJson {
            model: model.short().to_owned(),
            reason: reason.clone(),
        });
        RankedJson {
            schema_version: Document::FitAll.version(),
            models: ranked.iter().map(FitJson::entry).collect(),
            unknown: unknown.collect(),
        }
    }
}

impl FitJson {
    /// One by itself.
    pub fn of(fit: &Fit) -> FitJson {
        FitJson { schema_version: Some(Document::Fit.version()), ..FitJson::entry(fit) }
    }

    /// One among others, or a part of something else.
    pub fn entry(fit: &Fit) -> FitJson {
        let named =
            |named: &Named| NamedJson { name: named.name.clone(), bytes: named.bytes.get() };
        let smaller = fit.smaller.map(|smaller| SmallerJson {
            context: smaller.context,
            kv_type: smaller.kv_type,
            bytes: smaller.need.get(),
        });
        FitJson {
            schema_version: None,
            model: fit.model.short().to_owned(),
            context: fit.settings.context,
            parallel: fit.settings.parallel,
            kv_type: fit.settings.kv_type,
            verdict: fit.verdict,
            need: NeedJson::of(fit),
            budget: BudgetJson {
                available_bytes: fit.budget.available.get(),
                reserve_bytes: fit.budget.reserve.get(),
                margin_bytes: fit.margin().get(),
                source: fit.budget.source.clone(),
                in_flight_bytes: fit.budget.in_flight.get(),
            },
            max_context: fit.max_context,
            unload: fit.unload.iter().map(named).collect(),
            loaded: fit.is_loaded,
            enters: fit.crosses,
            smaller,
            programs: fit.programs.iter().map(named).collect(),
        }
    }
}

impl NeedJson {
    fn of(fit: &Fit) -> NeedJson {
        let need = &fit.need;
        NeedJson {
            weights_bytes: need.weights.get(),
            kv_bytes: need.kv.get(),
            state_bytes: need.state.get(),
            compute_bytes: need.compute.get(),
            vision_bytes: need.vision.get(),
            overhead_bytes: need.overhead.get(),
            reported_bytes: need.reported.get(),
            measured_bytes: need.measured.get(),
            source: need.source().word(),
            bytes: need.bytes().get(),
            learned_from: need.learned.map_or(0, |learned| learned.count),
            rough: need.is_rough,
        }
    }
}
