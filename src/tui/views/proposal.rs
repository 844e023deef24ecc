//! What a rule asks: a row above the keys on every page, and its dialog. It
//! waits there; it never takes the keyboard.

use ratatui::layout::Rect;

use super::dialogs::sentence;
use super::plan;
use crate::domain::guard::Proposal;
use crate::domain::time::Span as TimeSpan;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, cells, span};
use crate::tui::widgets::dialog::Line;

/// Below this the row says no more than what is asked.
const WITH_SINCE: u16 = 70;

pub fn draw(canvas: &mut Canvas<'_>, row: Rect, (asked, scene): (&Proposal, &Scene<'_>)) {
    let line = Rect { x: row.x + 1, width: row.width - 2, ..row };
    let since = format!("since {}", TimeSpan(scene.snapshot.at.since(asked.since)));
    let mut room = line;
    if row.width >= WITH_SINCE {
        canvas.text_right(line, &since, Role::Dim);
        room.width -= cells(&since) + 2;
    }
    let words = if row.width >= WITH_SINCE { "a rule asks: " } else { "asks: " };
    let mut pen = canvas.pen(room);
    pen.all(&[span(words, Role::Accent), span(asked.plan.text(), Role::Text)]);
    canvas.tint(row, Role::Selected);
}

/// Who asks and since when, then all of the plan.
pub fn lines(asked: &Proposal, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let since = TimeSpan(scene.snapshot.at.since(asked.since));
    let text = format!("{}, waiting since {since} for a yes or no", plan::name(&asked.plan));
    let mut lines = sentence(&text, width, Role::Dim);
    lines.push(Vec::new());
    lines.extend(plan::proposed_lines(&asked.plan, width));
    lines
}
