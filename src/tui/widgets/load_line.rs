//! The load line: one bar for all memory. What is taken, what could be given
//! back, what is free, and the marks of the levels on the same scale.
//!
//! The parts differ by their fill, so the bar reads without colour.

use std::ops::Range;

use ratatui::layout::Rect;

use super::canvas::{Canvas, cells};
use crate::domain::bytes::Bytes;
use crate::domain::component::FootprintSource;
use crate::domain::fit::Fit;
use crate::domain::level::{Level, Mark};
use crate::domain::model::{ModelName, ModelView};
use crate::domain::process::MAPPED_WEIGHTS;
use crate::domain::sample::{Memory, MemoryParts, Sample};
use crate::domain::snapshot::Snapshot;
use crate::tui::theme::Role;

/// The fill of what is picked out, where no colour can tell it.
const PICKED: char = '▚';

/// The fill of a load that is not there yet.
pub const GHOST: char = '╱';

/// One part of the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub name: &'static str,
    pub bytes: Bytes,
    pub fill: char,
    pub role: Role,
}

/// All memory, part by part, from the left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    pub total: Bytes,
    pub parts: [Part; 6],
}

/// A load as it would lie on the bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ghost {
    pub model: ModelName,
    /// By which used memory would grow.
    pub bytes: Bytes,
    pub source: FootprintSource,
    pub crosses: Option<Level>,
}

impl Ghost {
    /// What the load of a verdict would add to used memory, as the verdict
    /// reckons the level it enters: what comes to lie on a card of its own is
    /// not on this bar.
    pub fn of(fit: &Fit) -> Option<Ghost> {
        let need = &fit.need;
        let bytes = need.bytes().saturating_sub(fit.budget.vram);
        (!fit.is_loaded && !bytes.is_zero()).then(|| Ghost {
            model: fit.model.clone(),
            bytes,
            source: need.source(),
            crosses: fit.crosses,
        })
    }
}

impl Parts {
    /// How memory is shared out; `None` while it cannot be read.
    ///
    /// Weights mapped from their file are cache to the kernel: they stand
    /// beyond what is used, where it counts them, and are still the models'.
    pub fn of(snapshot: &Snapshot) -> Option<Parts> {
        let sample = snapshot.sample.as_deref()?;
        let memory = sample.memory.as_ref().ok()?;
        let used = memory.used();
        let held = snapshot.models_held();
        let mapped = mapped_weights(snapshot, sample).min(memory.reclaimable()).min(held);
        let models = held.saturating_sub(mapped).min(used);
        let others = used.saturating_sub(models);
        let programs = programs(memory).map(|all| all.saturating_sub(models).min(others));
        let system = others.saturating_sub(programs.unwrap_or(others));
        let part = |name, bytes, fill, role| Part { name, bytes, fill, role };
        Some(Parts {
            total: memory.total,
            parts: [
                part("models", models, '█', Role::Models),
                part("programs", programs.unwrap_or(others), '▓', Role::Programs),
                part("system", system, '▒', Role::System),
                part("mapped", mapped, '▞', Role::Mapped),
                part("cache", memory.reclaimable().saturating_sub(mapped), '░', Role::Cache),
                part("free", memory.free.min(memory.available), '·', Role::Free),
            ],
        })
    }
}

/// Bytes of programs, models among them; `None` where the system does not say.
fn programs(memory: &Memory) -> Option<Bytes> {
    match memory.parts {
        MemoryParts::Linux { anonymous, shared, .. } => {
            Some(anonymous? + shared.unwrap_or_default())
        }
        MemoryParts::Mac { app, compressed, .. } => Some(app + compressed),
    }
}

fn mapped_weights(snapshot: &Snapshot, sample: &Sample) -> Bytes {
    counted(snapshot).map(|model| mapped_by(model, sample)).sum()
}

/// What one model's runner has mapped from its file. Less than weights would
/// take is its program and libraries, which other programs share.
fn mapped_by(model: &ModelView, sample: &Sample) -> Bytes {
    let is_linux =
        sample.memory.as_ref().is_ok_and(|m| matches!(m.parts, MemoryParts::Linux { .. }));
    let (true, Ok(processes), Some(runner)) = (is_linux, &sample.processes, model.runner) else {
        return Bytes::ZERO;
    };
    let file = processes.find(runner).and_then(|process| process.memory.file);
    file.filter(|file| *file > MAPPED_WEIGHTS).unwrap_or_default()
}

fn counted(snapshot: &Snapshot) -> impl Iterator<Item = &ModelView> {
    snapshot.models.iter().filter(|model| !model.is_remote && !model.is_cloud)
}

/// The bytes of one model's share of the bar, counted from the left. What it
/// has mapped lies elsewhere and is left out.
pub fn share_of_model(snapshot: &Snapshot, wanted: &ModelView) -> Option<Range<Bytes>> {
    let sample = snapshot.sample.as_deref()?;
    let mut start = Bytes::ZERO;
    for model in counted(snapshot) {
        let held = model.held().unwrap_or_default().saturating_sub(mapped_by(model, sample));
        if model.name == wanted.name && model.runtime == wanted.runtime {
            return (!held.is_zero()).then(|| start..start + held);
        }
        start += held;
    }
    None
}

/// The bar itself: parts, then what is picked out, then the marks.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, parts: &Parts, over: &Over<'_>) {
    if area.is_empty() {
        return;
    }
    let scale = Scale { total: parts.total, width: area.width };
    let mut end = Bytes::ZERO;
    let mut x = 0;
    for part in &parts.parts {
        let from = end;
        end += part.bytes;
        let last = scale.column(end).max(x);
        // A part that is there is seen, be it ever so small.
        let is_slight = last == x && part.role == Role::Models && !part.bytes.is_zero();
        let next = if is_slight { (x + 1).min(area.width) } else { last };
        canvas.fill(slice(area, x..next), part.fill, part.role);
        for picked in over.picked.iter().filter(|p| p.start < end && p.end > from) {
            let start = scale.column(picked.start.max(from)).max(x);
            let last = scale.column(picked.end.min(end)).max(start + 1).min(next);
            let fill = if canvas.theme.is_colored(Role::Picked) { part.fill } else { PICKED };
            canvas.fill(slice(area, start..last), fill, Role::Picked);
        }
        x = next;
    }
    canvas.fill(slice(area, x..area.width), '·', Role::Free);
    if let Some(ghost) = over.ghost {
        // After what is taken: models, programs, system.
        let taken: Bytes = parts.parts[..3].iter().map(|part| part.bytes).sum();
        let start = scale.column(taken).min(area.width.saturating_sub(1));
        // A load is seen, be it ever so small.
        let end = scale.column(taken.saturating_add(ghost.bytes)).max(start + 1);
        canvas.fill(slice(area, start..end), GHOST, Role::Picked);
    }
    for mark in over.marks {
        canvas.fill(slice(area, scale.mark(mark)..scale.mark(mark) + 1), '┊', Role::Mark);
    }
}

/// What lies over the bar.
#[derive(Debug, Clone, Default)]
pub struct Over<'a> {
    pub marks: &'a [Mark],
    /// Shares picked out: the selected row's, or those a plan would take off.
    pub picked: &'a [Range<Bytes>],
    /// A load that is not there yet.
    pub ghost: Option<&'a Ghost>,
}

/// The marks' names in a row above the bar, each above its mark and right of
/// `from`. Where the words would collide only the shares are written.
pub fn draw_mark_names(canvas: &mut Canvas<'_>, row: Rect, from: u16, bar: (&Parts, &[Mark])) {
    let (parts, marks) = bar;
    let long = |share: f64, level| format!(" {share:.0} {} ", short_word(level));
    let short = |share: f64, _| format!(" {share:.0} ");
    let scale = Scale { total: parts.total, width: row.width };
    let place = |name: &dyn Fn(f64, Level) -> String| {
        let mut placed = Vec::with_capacity(marks.len());
        let mut right = row.right();
        for mark in marks.iter().rev() {
            let share = mark.used.share_of(parts.total).unwrap_or_default();
            let text = name(share.get(), mark.level);
            let width = cells(&text);
            let column = row.x + scale.mark(mark);
            let x = column.saturating_sub(width / 2).min(right.saturating_sub(width));
            if x >= from && x + width <= right && column < x + width {
                placed.push((Rect::new(x, row.y, width, 1), text));
                right = x;
            }
        }
        placed
    };
    let words = place(&long);
    let placed = if words.len() == marks.len() { words } else { place(&short) };
    for (area, text) in placed {
        canvas.text(area, &text, Role::Dim);
    }
}

pub fn short_word(level: Level) -> &'static str {
    match level {
        Level::Normal => "norm",
        Level::Warning => "warn",
        Level::Critical => "crit",
        Level::Emergency => "emrg",
    }
}

fn slice(area: Rect, columns: Range<u16>) -> Rect {
    let width = columns.end.saturating_sub(columns.start);
    Rect { x: area.x + columns.start, width, ..area }
}

/// Bytes to columns.
#[derive(Clone, Copy)]
struct Scale {
    total: Bytes,
    width: u16,
}

impl Scale {
    fn column(self, bytes: Bytes) -> u16 {
        let share = bytes.share_of(self.total).map_or(0.0, |share| share.get() / 100.0);
        (share.min(1.0) * f64::from(self.width)).round() as u16
    }

    fn mark(self, mark: &Mark) -> u16 {
        self.column(mark.used).min(self.width.saturating_sub(1))
    }
}
