//! The last minutes of used memory, with the lines of the levels and marks for
//! what was loaded and unloaded.
//!
//! A column is a slot of time, cut at fixed moments: the picture moves when a
//! slot ends and stands still in between. Where nothing was read it is empty.

use std::time::Duration;

use ratatui::layout::Rect;

use super::canvas::{Canvas, cells};
use crate::domain::bytes::Percent;
use crate::domain::history::History;
use crate::domain::level::Mark;
use crate::domain::snapshot::Snapshot;
use crate::tui::theme::Role;

/// Columns for the scale at the left.
const SCALE: u16 = 4;

/// Bits of a braille cell, left and right column, from the bottom up.
const DOTS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// Used shares over the last minutes, one for each half column.
struct Slots {
    values: Vec<Option<f64>>,
    slot: Duration,
    /// Number of the newest slot since the clock's start.
    newest: u64,
}

impl Slots {
    fn of(snapshot: &Snapshot, count: usize) -> Slots {
        let slot = snapshot.history.span() / u32::try_from(count.max(1)).unwrap_or(1);
        let mut slots = Slots {
            values: vec![None; count],
            slot,
            newest: number(snapshot.at.mono.millis(), slot),
        };
        // Newest first, and no further than what is shown.
        for point in snapshot.history.points().rev() {
            let Some(index) = slots.index(point.at.mono.millis()) else {
                if point.at.mono <= snapshot.at.mono {
                    break;
                }
                continue;
            };
            let (Some(used), Some(total)) = (point.used, point.total) else { continue };
            let share = used.share_of(total).map(Percent::get);
            // The highest of a slot: a short peak must not vanish.
            slots.values[index] = share.max_of(slots.values[index]);
        }
        slots.bridge();
        slots
    }

    fn index(&self, millis: u64) -> Option<usize> {
        let back = self.newest.checked_sub(number(millis, self.slot))?;
        self.values.len().checked_sub(1 + usize::try_from(back).ok()?)
    }

    /// Samples come slower than slots: a value holds until the next one, if
    /// that is no further off than a slow sampler's turn.
    fn bridge(&mut self) {
        let reach = (Duration::from_secs(12).as_millis() / self.slot.as_millis().max(1)) as usize;
        let mut last: Option<(usize, f64)> = None;
        for index in 0..self.values.len() {
            match (self.values[index], last) {
                (Some(value), _) => last = Some((index, value)),
                (None, Some((at, value))) if index - at <= reach => {
                    self.values[index] = Some(value)
                }
                (None, _) => {}
            }
        }
    }
}

trait MaxOf {
    fn max_of(self, other: Self) -> Self;
}

impl MaxOf for Option<f64> {
    fn max_of(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }
}

fn number(millis: u64, slot: Duration) -> u64 {
    millis / u64::try_from(slot.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The graph with its scale at the left.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, snapshot: &Snapshot) {
    if area.width <= SCALE + 2 || area.height == 0 {
        return;
    }
    let plot = Rect { x: area.x + SCALE, width: area.width - SCALE, ..area };
    let slots = Slots::of(snapshot, usize::from(plot.width) * 2);
    let shares = level_shares(snapshot);
    let lowest = slots.values.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let lowest = shares.iter().copied().fold(lowest, f64::min);
    // The scale starts at a quarter, so that it seldom changes.
    let bottom =
        if lowest.is_finite() { ((lowest - 4.0) / 25.0).floor().max(0.0) * 25.0 } else { 0.0 };
    let axis = Axis { bottom: bottom.min(75.0), height: plot.height };

    draw_scale(canvas, area, &axis, &shares);
    draw_values(canvas, plot, &axis, &slots);
    draw_marks(canvas, plot, &snapshot.history, &slots);
}

fn level_shares(snapshot: &Snapshot) -> Vec<f64> {
    let sample = snapshot.sample.as_deref();
    let total = sample.and_then(|s| s.memory.as_ref().ok()).map(|memory| memory.total);
    let share = |mark: &Mark| mark.used.share_of(total?).map(Percent::get);
    snapshot.marks.iter().filter_map(share).collect()
}

/// Shares to rows.
struct Axis {
    bottom: f64,
    height: u16,
}

impl Axis {
    /// Dots from the bottom.
    fn dots(&self, share: f64) -> u16 {
        let height = f64::from(self.height * 4);
        let part = (share - self.bottom) / (100.0 - self.bottom);
        (part.clamp(0.0, 1.0) * height).round() as u16
    }

    /// The row in which that share lies, from the top.
    fn row(&self, share: f64) -> u16 {
        let from_bottom = self.dots(share).saturating_sub(1) / 4;
        self.height - 1 - from_bottom.min(self.height - 1)
    }
}

fn draw_scale(canvas: &mut Canvas<'_>, area: Rect, axis: &Axis, shares: &[f64]) {
    let mut taken = u16::MAX;
    for share in shares.iter().rev() {
        let row = axis.row(*share);
        let line = Rect { y: area.y + row, height: 1, ..area };
        canvas.fill(
            Rect { x: area.x + SCALE, width: area.width - SCALE, ..line },
            '┄',
            Role::Faint,
        );
        if row != taken {
            canvas.text_right(Rect { width: SCALE - 1, ..line }, &format!("{share:.0}"), Role::Dim);
        }
        taken = row;
    }
    if taken != axis.height - 1 {
        let line = Rect { y: area.bottom() - 1, height: 1, width: SCALE - 1, ..area };
        canvas.text_right(line, &format!("{:.0}", axis.bottom), Role::Faint);
    }
}

fn draw_values(canvas: &mut Canvas<'_>, plot: Rect, axis: &Axis, slots: &Slots) {
    for column in 0..plot.width {
        let pair = [0, 1].map(|half| {
            let value = slots.values[usize::from(column) * 2 + half];
            // Something read is at least a dot.
            value.map_or(0, |share| axis.dots(share).max(1))
        });
        for row in 0..plot.height {
            let below = (plot.height - 1 - row) * 4;
            let mut bits = 0;
            for (half, top) in pair.iter().enumerate() {
                let dots = usize::from(top.saturating_sub(below).min(4));
                bits |= DOTS[half][..dots].iter().sum::<u32>();
            }
            if let (true, Some(symbol)) = (bits != 0, char::from_u32(0x2800 + bits)) {
                canvas.put((plot.x + column, plot.y + row), symbol, Role::Graph);
            }
        }
    }
}

/// Each mark as an arrow in the top row, with its words where there is room.
fn draw_marks(canvas: &mut Canvas<'_>, plot: Rect, history: &History, slots: &Slots) {
    let mut right = plot.right();
    for (at, what) in history.marks.iter().rev() {
        let Some(index) = slots.index(at.mono.millis()) else { continue };
        let column = plot.x + u16::try_from(index / 2).unwrap_or(u16::MAX).min(plot.width - 1);
        let arrow = if what.starts_with("unload") { '↑' } else { '↓' };
        let width = cells(what) + 1;
        // Words need three rows: with fewer they would cover the curve.
        let has_room = column >= plot.x + width && column < right && plot.height >= 3;
        if has_room {
            let words = Rect::new(column - width, plot.y, width, 1);
            canvas.text(words, &format!("{what} "), Role::Dim);
        }
        if column < right {
            canvas.put((column, plot.y), arrow, Role::Text);
            right = if has_room { column - width } else { column };
        }
    }
}
