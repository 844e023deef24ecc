//! A plan being carried out, and what came of it: bytes expected and bytes
//! that came back, side by side.

use crate::domain::bytes::Bytes;
use crate::domain::plan::{Action, Outcome, Plan, Purpose, RunningPlan, Step, Verdict};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Span, cells, span, wrap};
use crate::tui::widgets::figures::{UNKNOWN, or_unknown};

/// `cleanup light`, `unload`
pub fn name(plan: &Plan) -> String {
    match plan.purpose {
        Purpose::Cleanup(strength) => format!("cleanup {}", strength.word()),
        Purpose::Free(_) => "free memory".to_owned(),
        Purpose::Asked => {
            plan.steps.first().map_or("nothing to do", |step| step.action.verb()).to_owned()
        }
        Purpose::Rule { level, .. } => format!("rule of {level}"),
        Purpose::KillSwitch => "kill switch".to_owned(),
        Purpose::Recycle => "recycle".to_owned(),
        Purpose::Undo => "undo".to_owned(),
        Purpose::Restore => "restore".to_owned(),
        Purpose::Preload => "preload".to_owned(),
        Purpose::MakeRoom => "make room".to_owned(),
    }
}

/// The title of a plan that runs or has just ended.
pub fn title(running: &RunningPlan) -> String {
    let name = name(&running.plan);
    match running.ended {
        None => {
            let step = (running.outcomes.len() + 1).min(running.plan.steps.len());
            format!("{name}: step {step} of {}", running.plan.steps.len())
        }
        Some(_) if !frees(&running.plan) => format!("{name}: {}", done_of(running)),
        Some(_) => {
            let expected = running.plan.expected();
            format!("{name}: {} came back, {expected} expected", running.freed())
        }
    }
}

/// Its point is that bytes come back.
fn frees(plan: &Plan) -> bool {
    !matches!(plan.purpose, Purpose::Undo | Purpose::Restore | Purpose::Preload)
}

fn done_of(running: &RunningPlan) -> String {
    let is_done = |outcome: &&Outcome| matches!(outcome.result, Verdict::Done | Verdict::Already);
    let done = running.outcomes.iter().filter(is_done).count();
    format!("{done} of {} done", running.plan.steps.len())
}

fn is_load(step: &Step) -> bool {
    matches!(step.action, Action::Load { .. })
}

/// The same in fewer words: `cleanup force gave 3.6 GiB`.
pub fn short_title(running: &RunningPlan) -> String {
    match running.ended {
        None => title(running),
        Some(_) if !frees(&running.plan) => title(running),
        Some(_) => format!("{} gave {}", name(&running.plan), running.freed()),
    }
}

/// One line for each step, with its outcome once there is one.
pub fn running_lines(running: &RunningPlan) -> Vec<Vec<Span<'static>>> {
    running
        .plan
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| match running.outcomes.get(index) {
            Some(outcome) => ended_line(outcome),
            None => {
                let is_now = index == running.outcomes.len() && running.ended.is_none();
                waiting_line(step, is_now)
            }
        })
        .collect()
}

fn waiting_line(step: &Step, is_now: bool) -> Vec<Span<'static>> {
    let (mark, role) = if is_now { ("▸ ", Role::Accent) } else { ("  ", Role::Dim) };
    let expected = or_unknown(step.expected.map(|footprint| footprint.bytes));
    vec![
        span(mark, role),
        span(format!("{} {}  ", step.action.verb(), step.action.subject()), Role::Text),
        span(format!("{expected} expected"), Role::Dim),
    ]
}

fn ended_line(outcome: &Outcome) -> Vec<Span<'static>> {
    let took = outcome.took_text();
    let what = format!("{} {}  ", outcome.action.verb(), outcome.action.subject());
    let expected = or_unknown(outcome.expected);
    let (mark, role, told) = match &outcome.result {
        Verdict::Done => {
            let freed = outcome.freed.map_or_else(
                || match outcome.action.takes_away() {
                    true => format!("gone in {took}, bytes {UNKNOWN}"),
                    false => format!("done in {took}"),
                },
                |freed| format!("{freed} came back in {took}, {expected} expected"),
            );
            ("✓ ", Role::Good, freed)
        }
        Verdict::Unconfirmed => ("? ", Role::Text, "not confirmed: no runner could be seen".into()),
        Verdict::StillGenerating => {
            ("? ", Role::Text, "asked, still generating; it goes when it is done".into())
        }
        Verdict::Already => ("✓ ", Role::Dim, "it was already so".into()),
        Verdict::Stuck => ("! ", Role::Bad, format!("stuck: still there after {took}")),
        Verdict::Failed { detail } => ("! ", Role::Bad, detail.clone()),
    };
    vec![span(mark, role), span(what, Role::Text), span(told, role)]
}

/// What a plan would do: each step with its bytes, how they are known, and
/// why; then what stays; then the sum against the target.
///
/// Where a line is too long for the width, its words go on in the next one:
/// who agrees must have read all of it.
pub fn proposed_lines(plan: &Plan, room: usize) -> Vec<Vec<Span<'static>>> {
    let mut lines = Vec::with_capacity(plan.steps.len() + plan.kept.len() + 4);
    let what = |step: &Step| format!("{} {}", step.action.verb(), step.action.subject());
    let width = plan.steps.iter().map(|step| what(step).chars().count()).max().unwrap_or_default();
    for (number, step) in plan.steps.iter().enumerate() {
        let bytes = step.expected.map(|footprint| footprint.bytes);
        let source = step.expected.map_or("", |footprint| footprint.source.word());
        let head = vec![
            span(format!("{} ", number + 1), Role::Dim),
            span(format!("{:<width$}  ", what(step)), Role::Text),
            span(format!("{:>8}", or_unknown(bytes)), Role::Text),
        ];
        lines.extend(with_words(head, &[source, "  ", &step.reason].concat(), room));
    }
    if plan.steps.is_empty() {
        let text = match plan.purpose {
            Purpose::Cleanup(_) | Purpose::Free(_) => "nothing that this strength may take",
            Purpose::Asked => "no model to unload",
            Purpose::Rule { .. } => "nothing that has to go",
            Purpose::KillSwitch => "nothing that may be ended",
            Purpose::Recycle => "no model to recycle",
            Purpose::Undo => "nothing to bring back",
            Purpose::Restore => "nothing to take back",
            Purpose::Preload | Purpose::MakeRoom => "nothing to load",
        };
        lines.push(vec![span(text, Role::Text)]);
    }
    for kept in &plan.kept {
        let word = if plan.purpose == Purpose::Undo { "  not " } else { "  stays " };
        let head = vec![span(word, Role::Dim), span(kept.name.clone(), Role::Text)];
        lines.extend(with_words(head, &kept.reason, room));
    }
    if plan.target.is_some() || !plan.steps.is_empty() {
        lines.push(Vec::new());
        lines.push(sum(plan));
    }
    lines
}

/// Words behind a line, or below it where they do not fit.
fn with_words(mut head: Vec<Span<'static>>, words: &str, room: usize) -> Vec<Vec<Span<'static>>> {
    let used: usize = head.iter().map(|(text, _)| usize::from(cells(text))).sum();
    if used + 2 + usize::from(cells(words)) <= room {
        head.push(span(format!("  {words}"), Role::Dim));
        return vec![head];
    }
    let below = wrap(words, room.saturating_sub(4));
    let below = below.into_iter().map(|line| vec![span(format!("    {line}"), Role::Dim)]);
    std::iter::once(head).chain(below).collect()
}

/// What comes back, and what is taken again where something is loaded.
fn sum(plan: &Plan) -> Vec<Span<'static>> {
    let loads: Vec<&Step> = plan.steps.iter().filter(|step| is_load(step)).collect();
    let mut line = Vec::new();
    if loads.is_empty() || loads.len() < plan.steps.len() {
        line.push(span("expected back ", Role::Dim));
        line.push(span(plan.expected().to_string(), Role::Accent));
    }
    if !loads.is_empty() {
        let before = match (line.is_empty(), plan.purpose) {
            (true, _) => "expected to take ",
            (false, Purpose::MakeRoom) => ", then taken ",
            (false, _) => ", then taken again ",
        };
        let taken: Bytes = loads.iter().filter_map(|step| step.expected).map(|f| f.bytes).sum();
        line.push(span(before, Role::Dim));
        line.push(span(or_unknown(Some(taken).filter(|taken| !taken.is_zero())), Role::Accent));
    }
    if let Some(target) = plan.target {
        line.push(span(format!(" of {target} wanted"), Role::Dim));
    }
    if let Some(shortfall) = plan.shortfall() {
        line.push(span(format!(", {shortfall} short"), Role::Bad));
    }
    line
}
