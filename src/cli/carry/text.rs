//! A plan and its outcome for people: one fact a line.

use std::io::{self, Write};

use crate::cli::facts::fact;
use crate::domain::plan::{RunningPlan, Verdict};
use crate::domain::text::clean;
use crate::domain::{Outcome, Plan};

use super::Carried;

/// Who goes and why, who stays and why, and what that is expected to give.
pub fn plan(plan: &Plan, columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    for step in &plan.steps {
        let (verb, subject) = (step.action.verb(), clean(step.action.subject()));
        let bytes = step
            .expected
            .map(|footprint| format!(" ({} {})", footprint.bytes, footprint.source.word()));
        let bytes = bytes.unwrap_or_default();
        let line = format!("{verb} {subject}{bytes}: {}", clean(&step.reason));
        fact(out, ("plan", &line), columns)?;
    }
    if plan.steps.is_empty() {
        fact(out, ("plan", "nothing to do"), columns)?;
    }
    for kept in &plan.kept {
        fact(out, ("stays", &format!("{}: {}", clean(&kept.name), clean(&kept.reason))), columns)?;
    }
    if let Some(target) = plan.target {
        let short = plan.shortfall().map(|short| format!("; the plan is short of it by {short}"));
        let line = match target.is_zero() {
            true => "nothing: memory is below the mark already".to_owned(),
            false => format!("{target}{}", short.unwrap_or_default()),
        };
        fact(out, ("target", &line), columns)?;
    }
    if plan.steps.is_empty() {
        return Ok(());
    }
    fact(out, ("expected", &plan.expected().to_string()), columns)
}

/// What came of each step, and the sum.
pub fn outcomes(
    plan: &Plan,
    carried: &Carried,
    (columns, out): (Option<usize>, &mut dyn Write),
) -> io::Result<()> {
    for outcome in &carried.outcomes {
        let (name, text) = came_of(outcome);
        fact(out, (name, &text), columns)?;
    }
    let left = plan.steps.len().saturating_sub(carried.outcomes.len());
    if left > 0 && carried.cut_short.is_none() {
        fact(out, ("left out", &format!("{left} not needed any more")), columns)?;
    }
    let sum = format!("{} of {} expected", carried.freed(), plan.expected());
    fact(out, ("freed", &sum), columns)
}

fn came_of(outcome: &Outcome) -> (&'static str, String) {
    let subject = clean(outcome.action.subject());
    let expected = outcome.expected.map(|bytes| format!(" of {bytes} expected"));
    let expected = expected.unwrap_or_default();
    let freed = outcome.freed.map_or_else(
        || "what it freed is not known".to_owned(),
        |freed| format!("{freed} freed{expected}"),
    );
    let (done, took) = (outcome.action.done(), outcome.took_text());
    match &outcome.result {
        Verdict::Done => ("done", format!("{subject} {done}: {freed}, in {took}")),
        Verdict::Unconfirmed => (
            "done",
            format!(
                "{subject} {done}, unconfirmed: its process cannot be seen; {freed}, in {took}"
            ),
        ),
        Verdict::Already => ("done", format!("{subject} had left already")),
        failed => ("not done", format!("{} {subject}: {}", outcome.action.verb(), why(failed))),
    }
}

/// Why a step did not come true.
pub fn why(result: &Verdict) -> String {
    match result {
        Verdict::Failed { detail } => clean(detail),
        Verdict::Stuck => "it is idle, was asked, and is still there: it is stuck".to_owned(),
        Verdict::StillGenerating => {
            "it is still generating, and goes when that ends; --wait waits for it".to_owned()
        }
        Verdict::Done | Verdict::Unconfirmed | Verdict::Already => "done".to_owned(),
    }
}

/// In one line, for stderr.
pub fn not_done(plan: &Plan, carried: &Carried) -> String {
    let has_failed = |outcome: &&Outcome| {
        matches!(outcome.result, Verdict::Failed { .. } | Verdict::Stuck | Verdict::StillGenerating)
    };
    let failed: Vec<&Outcome> = carried.outcomes.iter().filter(has_failed).collect();
    match failed.as_slice() {
        [] => {
            let target = plan.target.unwrap_or_default();
            format!("{} freed of the {target} that were asked for", carried.freed())
        }
        failed => {
            let one = |outcome: &&Outcome| {
                let (verb, subject) = (outcome.action.verb(), clean(outcome.action.subject()));
                format!("{verb} {subject}: {}", why(&outcome.result))
            };
            failed.iter().map(one).collect::<Vec<_>>().join("; ")
        }
    }
}

/// How far it is, in a line.
pub fn progress(running: &RunningPlan) -> String {
    let ended = running.outcomes.len();
    let (freed, count) = (running.freed(), running.plan.steps.len());
    match running.plan.steps.get(ended) {
        Some(step) => {
            let (verb, subject) = (step.action.verb(), clean(step.action.subject()));
            format!("{} of {count}: {verb} {subject}, {freed} freed so far", ended + 1)
        }
        None => format!("{freed} freed"),
    }
}
