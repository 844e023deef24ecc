//! `status` for people: one fact a line, the level first.

use std::io::{self, Write};

use crate::domain::hints::words;
use crate::domain::level::Headroom;
use crate::domain::model::{Activity, Expiry, ModelView};
use crate::domain::sample::Pressure;
use crate::domain::snapshot::{Place, RuntimeState, RuntimeView, Snapshot};
use crate::domain::time::Span;

/// Registry, owner, model and tag of most models fit in it.
const LONGEST_NAME: usize = 48;

pub fn write(snapshot: &Snapshot, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "level     {}", level(snapshot))?;
    writeln!(out, "headroom  {}", headroom(snapshot))?;
    writeln!(out, "memory    {}", memory(snapshot))?;
    writeln!(out, "swap      {}", swap(snapshot))?;
    writeln!(out, "pressure  {}", pressure(snapshot))?;
    writeln!(out, "profile   {} ({})", snapshot.profile.name, snapshot.profile.why)?;
    let hints = snapshot.hints_in_force();
    if !hints.is_empty() {
        writeln!(out, "hints     {}", words(hints))?;
    }
    for view in &snapshot.runtimes {
        writeln!(out, "{:<9} {}", view.kind, runtime(view))?;
    }
    if !snapshot.models.is_empty() {
        writeln!(out, "models")?;
    }
    let names: Vec<String> = snapshot.models.iter().map(name).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, view) in names.iter().zip(&snapshot.models) {
        writeln!(out, "  {name:<width$}  {}", model(view, snapshot))?;
    }
    Ok(())
}

/// A name that would push everything else out of sight is cut.
fn name(view: &ModelView) -> String {
    let name = view.name.short();
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn level(snapshot: &Snapshot) -> String {
    match &snapshot.level.set_by {
        Some(cause) => format!("{}: {}", snapshot.level.level, cause.text),
        None => snapshot.level.level.to_string(),
    }
}

fn headroom(snapshot: &Snapshot) -> String {
    match &snapshot.headroom {
        Headroom::Known { bytes, to } => {
            let ahead = snapshot.forecast.as_ref().map(|ahead| format!("; {}", ahead.text()));
            format!("{bytes} to {to}{}", ahead.unwrap_or_default())
        }
        Headroom::Unknown { reason } => format!("unknown: {reason}"),
    }
}

fn unavailable(reason: impl std::fmt::Display) -> String {
    format!("unavailable: {reason}")
}

fn memory(snapshot: &Snapshot) -> String {
    let Some(sample) = &snapshot.sample else { return unavailable("no sample") };
    match &sample.memory {
        Ok(memory) => {
            let share = memory.used().share_of(memory.total);
            let share = share.map(|share| format!(" ({share})")).unwrap_or_default();
            let (used, total, available) = (memory.used(), memory.total, memory.available);
            format!("{used} of {total} used{share}, {available} available")
        }
        Err(fault) => unavailable(fault),
    }
}

fn swap(snapshot: &Snapshot) -> String {
    let Some(sample) = &snapshot.sample else { return unavailable("no sample") };
    match &sample.swap {
        Ok(swap) => format!("{} of {} used", swap.used, swap.total),
        Err(fault) => unavailable(fault),
    }
}

fn pressure(snapshot: &Snapshot) -> String {
    let Some(sample) = &snapshot.sample else { return unavailable("no sample") };
    match &sample.pressure {
        Ok(Pressure::Psi { some, full }) => {
            let full = full.map(|full| format!(", full {:.1} %", full.avg10)).unwrap_or_default();
            format!("some {:.1} %{full} over 10 s", some.avg10)
        }
        Ok(Pressure::Mac { level }) => level.word().to_owned(),
        Err(fault) => unavailable(fault),
    }
}

fn runtime(view: &RuntimeView) -> String {
    let place = if view.place == Place::Remote { " (remote)" } else { "" };
    let told = match (&view.state, &view.version) {
        (RuntimeState::Down { fault }, _) => format!("down: {fault}"),
        (state, Some(version)) => format!("{} (version {version})", state.word()),
        (state, None) => state.word().to_owned(),
    };
    format!("{}{place} {told}", view.url)
}

/// What a model is and holds.
pub fn model(view: &ModelView, snapshot: &Snapshot) -> String {
    let mut told = vec![match (&view.state, view.activity) {
        (crate::domain::ModelState::Ready, Activity::Busy) => "busy".to_owned(),
        (state, _) => state.word().to_owned(),
    }];
    if let Some((bytes, source)) = view.measured {
        told.push(format!("{bytes} measured ({source})"));
    }
    if let Some(bytes) = view.reported {
        told.push(format!("{bytes} reported"));
    }
    if let Some(drift) = view.drift() {
        told.push(format!("drift {drift}"));
    }
    if let Some(context) = view.context {
        told.push(format!("context {context}"));
    }
    match view.expires {
        Some(Expiry::Never) => told.push("never leaves".to_owned()),
        Some(Expiry::At(at)) if at > snapshot.at.wall => {
            let left = at.duration_since(snapshot.at.wall).unsigned_abs();
            told.push(format!("leaves in {}", Span(left)));
        }
        _ => {}
    }
    if view.pinned {
        told.push("pinned".to_owned());
    }
    told.join(", ")
}
