//! A box over the page: a title, lines, and what the keys do in it.

use ratatui::layout::Rect;

use super::canvas::{Canvas, Span, cells, span};
use super::table::draw_line;
use crate::tui::theme::Role;

/// Beside a dialog nearly as wide as the screen only scraps of words would
/// show: it then takes the whole width.
const SLIVERS: u16 = 16;

/// A line of a dialog.
pub type Line = Vec<Span<'static>>;

/// Draws the box in the middle, as large as its lines ask for; from the
/// scrolled line on where there is no room for all.
pub fn draw(canvas: &mut Canvas<'_>, screen: Rect, title: &str, (lines, scroll): (&[Line], usize)) {
    let wanted = lines.iter().map(width_of).max().unwrap_or_default();
    // Two for the border, two for air.
    let width = wanted.max(cells(title) + 2).saturating_add(4).min(screen.width);
    let width = if screen.width - width < SLIVERS { screen.width } else { width };
    let height =
        u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(screen.height);
    let area = Rect::new(
        screen.x + (screen.width - width) / 2,
        screen.y + (screen.height - height) / 2,
        width,
        height,
    );
    // A column of air at each side, so that words behind do not run into it.
    let with_air =
        Rect { x: area.x.saturating_sub(1), width: area.width.saturating_add(2), ..area };
    canvas.clear(with_air.intersection(screen));
    let inside = canvas.frame(area, &[span(title.to_owned(), Role::Title)]);
    let end = lines.len().saturating_sub(usize::from(inside.height));
    let first = scroll.min(end);
    for (line, y) in lines[first..].iter().zip(inside.y..inside.bottom()) {
        draw_line(canvas, Rect { y, height: 1, ..inside }, line);
    }
    canvas.sight.dialog_end = end;
    draw_rest(canvas, area, (first, end));
}

/// How many lines are left below, in the lower border.
pub fn draw_rest(canvas: &mut Canvas<'_>, area: Rect, (first, end): (usize, usize)) {
    if end > 0 && area.height > 1 && area.width > 2 {
        let text = match end - first {
            0 => " end ".to_owned(),
            more => format!(" ↓ {more} more "),
        };
        let row = Rect { y: area.bottom() - 1, height: 1, width: area.width - 2, ..area };
        canvas.text_right(row, &text, Role::Dim);
    }
}

fn width_of(line: &Line) -> u16 {
    line.iter().fold(0, |width: u16, (text, _)| width.saturating_add(cells(text)))
}
