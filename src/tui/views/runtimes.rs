//! What a server that does not answer looks like: said where its models would
//! stand, with since when, why, and the way out.

use crate::domain::fault::RuntimeFaultKind;
use crate::domain::model::ModelState;
use crate::domain::snapshot::{Place, RuntimeState, RuntimeView, Snapshot};
use crate::domain::time::Span as TimeSpan;
use crate::tui::keymap::Intent;
use crate::tui::scene::Scene;
use crate::tui::state::Page;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Span, shorten, span};
use crate::tui::widgets::figures::hour_and_minute;

/// The command that starts the server.
const START: &str = "ollama serve";

/// `remote`, where a runtime is on another machine.
pub fn place_word(runtime: &RuntimeView) -> Option<&'static str> {
    matches!(runtime.place, Place::Remote).then_some("remote")
}

/// Lines above or in place of the models: servers that are down, nothing
/// loaded, unloads that are stuck.
pub fn lines(scene: &Scene<'_>) -> Vec<Vec<Span<'static>>> {
    let snapshot = scene.snapshot;
    let mut lines = Vec::new();
    for runtime in &snapshot.runtimes {
        match &runtime.state {
            RuntimeState::Down { .. } => lines.extend(down(runtime, scene)),
            RuntimeState::Slow => lines.push(vec![
                span(format!("{} answers late", runtime.kind), Role::Bad),
                span(format!(" since {}", since(runtime, snapshot)), Role::Dim),
            ]),
            RuntimeState::Unknown => lines.push(vec![span(
                format!("{} at {} has not been asked yet", runtime.kind, runtime.url),
                Role::Dim,
            )]),
            RuntimeState::Up => {}
        }
    }
    let is_up = snapshot.runtimes.iter().any(|runtime| runtime.state == RuntimeState::Up);
    if snapshot.models.is_empty() && is_up {
        let mut line = vec![span("no model is loaded", Role::Dim)];
        let installed = snapshot.installed.value.len();
        if installed > 0 && scene.ui.page == Page::Overview {
            line.push(span(": ", Role::Dim));
            line.push(span(scene.keymap.key_for(Intent::Load), Role::Key));
            line.push(span(format!(" chooses one of {installed} installed"), Role::Dim));
        }
        lines.push(line);
    }
    if snapshot.runtimes.is_empty() {
        lines.push(vec![span("no model server is known", Role::Dim)]);
    }
    lines.extend(stuck(scene));
    lines
}

/// Whether any server has said what it holds: else there is no count to show.
pub fn is_any_answering(snapshot: &Snapshot) -> bool {
    let answers = |state: &RuntimeState| matches!(state, RuntimeState::Up | RuntimeState::Slow);
    snapshot.runtimes.iter().any(|runtime| answers(&runtime.state))
}

fn since(runtime: &RuntimeView, snapshot: &Snapshot) -> String {
    TimeSpan(snapshot.at.since(runtime.since)).to_string()
}

fn down(runtime: &RuntimeView, scene: &Scene<'_>) -> Vec<Vec<Span<'static>>> {
    let RuntimeState::Down { fault } = &runtime.state else { return Vec::new() };
    let at = hour_and_minute(runtime.since.wall, scene.snapshot.at.wall, scene.time_zone);
    let verb = match fault.kind {
        RuntimeFaultKind::Refused | RuntimeFaultKind::Unreachable => "is not running",
        RuntimeFaultKind::TimedOut => "does not answer",
        _ => "answers wrongly",
    };
    let fault_text = fault.to_string();
    // The way out has a line of its own.
    let reason = fault_text.split(": start it").next().unwrap_or_default();
    let reason = match reason.contains(runtime.url.as_str()) {
        true => reason.to_owned(),
        false => format!("{}: {reason}", runtime.url),
    };
    let mut lines = vec![
        vec![
            span(format!("{} {verb}", runtime.kind), Role::Bad),
            span(format!(" since {at}"), Role::Dim),
        ],
        vec![span(reason, Role::Dim)],
    ];
    let can_start = matches!(fault.kind, RuntimeFaultKind::Refused | RuntimeFaultKind::Unreachable);
    if can_start && runtime.place != Place::Remote {
        lines.push(vec![span("start it with  ", Role::Dim), span(START, Role::Accent)]);
    }
    lines
}

fn stuck(scene: &Scene<'_>) -> Option<Vec<Span<'static>>> {
    let key = scene.keymap.key_for(Intent::EndRunner);
    let is_stuck = |state: &ModelState| matches!(state, ModelState::Stuck { .. });
    let mut stuck = scene.snapshot.models.iter().filter(|model| is_stuck(&model.state));
    let model = stuck.next()?;
    let others = match stuck.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(vec![
        // A long name must not push the way out off the screen.
        span(shorten(model.name.short(), 24).into_owned(), Role::Bad),
        span(format!("{others} stuck: "), Role::Bad),
        span(key, Role::Key),
        span(" ends the runner, not the server", Role::Dim),
    ])
}
