//! Small bars and sparklines beside a figure.

use ratatui::layout::Rect;

use super::canvas::Canvas;
use crate::domain::bytes::Percent;
use crate::tui::theme::Role;

/// Heights of a sparkline, lowest first.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar that is full at 100 %.
pub fn draw_bar(canvas: &mut Canvas<'_>, area: Rect, share: Percent) {
    let full = (share.get() / 100.0).clamp(0.0, 1.0) * f64::from(area.width);
    let full = if share.get() > 0.0 { full.round().max(1.0) } else { 0.0 } as u16;
    let full = full.min(area.width);
    // Squares with gaps: bars in neighbouring rows must not run together.
    canvas.fill(Rect { width: full, ..area }, '■', Role::Graph);
    let rest = Rect { x: area.x + full, width: area.width - full, ..area };
    canvas.fill(rest, '·', Role::Free);
}

/// The latest values, newest at the right; full height is `top`.
pub fn draw_sparkline(canvas: &mut Canvas<'_>, area: Rect, values: &[f64], top: f64) {
    let shown = values.len().min(usize::from(area.width));
    let text: String = values[values.len() - shown..]
        .iter()
        .map(|value| {
            let height = (value / top).clamp(0.0, 1.0) * (STEPS.len() - 1) as f64;
            STEPS[height.round() as usize]
        })
        .collect();
    canvas.text(area, &text, Role::Graph);
}
