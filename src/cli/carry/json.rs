//! The JSON of a plan and its outcome. More may be added; nothing is renamed.

use serde::Serialize;

use crate::cli::document::Document;
use crate::domain::component::FootprintSource;
use crate::domain::plan::{Kept, Step, Verdict};
use crate::domain::{Bytes, Outcome, Plan};

use super::Carried;
use super::text::why;

#[derive(Debug, Serialize)]
pub struct CarriedJson {
    schema_version: u32,
    /// `planned`: nothing was done. `done`, `not_done`.
    result: &'static str,
    plan: PlanJson,
    outcomes: Vec<OutcomeJson>,
    /// Null: nothing was done.
    freed_bytes: Option<Bytes>,
    /// Null, or why it is not known how all of it ended.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct PlanJson {
    /// Null: everything that may go.
    target_bytes: Option<Bytes>,
    expected_bytes: Bytes,
    /// By how much it falls short of its target.
    short_bytes: Bytes,
    steps: Vec<StepJson>,
    kept: Vec<Kept>,
}

#[derive(Debug, Serialize)]
struct StepJson {
    action: &'static str,
    name: String,
    /// Null: nobody knows.
    expected_bytes: Option<Bytes>,
    source: Option<FootprintSource>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct OutcomeJson {
    action: &'static str,
    name: String,
    /// `done`, `unconfirmed`, `already`, `stuck`, `still_generating`, `failed`.
    result: &'static str,
    /// Null where it came true.
    reason: Option<String>,
    expected_bytes: Option<Bytes>,
    /// Null: it cannot be told.
    freed_bytes: Option<Bytes>,
    took_ms: u64,
}

impl CarriedJson {
    pub fn planned(plan: &Plan) -> CarriedJson {
        CarriedJson {
            schema_version: Document::Carried.version(),
            result: "planned",
            plan: PlanJson::of(plan),
            outcomes: Vec::new(),
            freed_bytes: None,
            reason: None,
        }
    }

    pub fn of(plan: &Plan, carried: &Carried, is_done: bool) -> CarriedJson {
        CarriedJson {
            result: if is_done { "done" } else { "not_done" },
            outcomes: carried.outcomes.iter().map(OutcomeJson::of).collect(),
            freed_bytes: Some(carried.freed()),
            reason: carried.cut_short.clone(),
            ..CarriedJson::planned(plan)
        }
    }
}

impl PlanJson {
    pub fn of(plan: &Plan) -> PlanJson {
        PlanJson {
            target_bytes: plan.target,
            expected_bytes: plan.expected(),
            short_bytes: plan.shortfall().unwrap_or_default(),
            steps: plan.steps.iter().map(StepJson::of).collect(),
            kept: plan.kept.clone(),
        }
    }
}

impl StepJson {
    fn of(step: &Step) -> StepJson {
        StepJson {
            action: step.action.verb(),
            name: step.action.subject().to_owned(),
            expected_bytes: step.expected.map(|footprint| footprint.bytes),
            source: step.expected.map(|footprint| footprint.source),
            reason: step.reason.clone(),
        }
    }
}

impl OutcomeJson {
    fn of(outcome: &Outcome) -> OutcomeJson {
        let (result, is_true) = match &outcome.result {
            Verdict::Done => ("done", true),
            Verdict::Unconfirmed => ("unconfirmed", true),
            Verdict::Already => ("already", true),
            Verdict::Stuck => ("stuck", false),
            Verdict::StillGenerating => ("still_generating", false),
            Verdict::Failed { .. } => ("failed", false),
        };
        OutcomeJson {
            action: outcome.action.verb(),
            name: outcome.action.subject().to_owned(),
            result,
            reason: (!is_true).then(|| why(&outcome.result)),
            expected_bytes: outcome.expected,
            freed_bytes: outcome.freed,
            took_ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
