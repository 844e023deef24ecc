//! Tables: columns go by rank when there is no room, figures stand right and
//! align at the point, and a name gives way before any figure does.

use std::ops::Range;

use ratatui::layout::Rect;

use super::canvas::{Canvas, Span, cells};
use crate::tui::theme::Role;

/// The least a name is cut to before columns go, where the screen is wide; two
/// fifths of a narrow one.
const LEAST_NAME: u16 = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Gives way first and takes what is left. One a table.
    Name,
    Text,
    Figure,
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    pub kind: Kind,
    /// Columns of the highest rank go first.
    pub rank: u8,
    /// Its width where what stands in it is narrower.
    pub least: u16,
}

pub const fn column(title: &'static str, kind: Kind, rank: u8) -> Column {
    Column { title, kind, rank, least: 0 }
}

impl Column {
    pub const fn at_least(self, least: u16) -> Column {
        Column { least, ..self }
    }
}

/// One cell: a text, and behind it a dim unit.
#[derive(Debug, Clone)]
pub struct Cell {
    pub text: String,
    pub unit: &'static str,
    pub role: Role,
}

impl Cell {
    pub fn new(text: impl Into<String>, role: Role) -> Cell {
        Cell { text: text.into(), unit: "", role }
    }

    pub fn figure((text, unit): (String, &'static str), role: Role) -> Cell {
        Cell { text, unit, role }
    }

    fn width(&self) -> u16 {
        cells(&self.text) + cells(self.unit)
    }
}

pub struct Table<'a> {
    pub columns: &'a [Column],
    /// The rows in sight, a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Which of them is selected.
    pub selected: Option<usize>,
    /// Whether the titles are drawn.
    pub has_header: bool,
}

/// Which rows are in sight: the selected one is kept near the middle.
pub fn window(rows: usize, selected: Option<usize>, height: u16) -> Range<usize> {
    let height = usize::from(height);
    let first = selected.unwrap_or_default().saturating_sub(height / 2);
    let first = first.min(rows.saturating_sub(height));
    first..rows.min(first + height)
}

impl Table<'_> {
    pub fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) {
        if area.width < 4 || area.height == 0 {
            return;
        }
        let area = Rect { x: area.x + 2, width: area.width - 2, ..area };
        let (widths, gap) = self.fit(area.width);
        let mut y = area.y;
        if self.has_header {
            self.draw_header(canvas, Rect { y, height: 1, ..area }, (&widths, gap));
            y += 1;
        }
        for (index, row) in self.rows.iter().enumerate() {
            if y >= area.bottom() {
                break;
            }
            let line = Rect { y, height: 1, ..area };
            draw_row(canvas, line, (&widths, gap), (self.columns, row));
            if self.selected == Some(index) {
                let whole = Rect { x: line.x - 2, width: line.width + 2, ..line };
                canvas.text(whole, "▸", Role::Accent);
                canvas.tint(whole, Role::Selected);
            }
            y += 1;
        }
    }

    /// The width of each column, 0 for those that went, and the gap.
    fn fit(&self, room: u16) -> (Vec<u16>, u16) {
        let mut widths: Vec<u16> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let cells_of = self.rows.iter().map(|row| row[at].width());
                let title = if self.has_header { cells(column.title) } else { 0 };
                cells_of.chain([title, column.least]).max().unwrap_or_default()
            })
            .collect();
        let Some(name) = self.columns.iter().position(|column| column.kind == Kind::Name) else {
            return (widths, 2);
        };
        let wanted = widths[name];
        let least = wanted.min(LEAST_NAME).min(room * 2 / 5);
        loop {
            let others: u16 = sum(&widths) - widths[name];
            let shown = widths.iter().filter(|width| **width > 0).count() as u16;
            let gaps = shown.saturating_sub(1) * 2;
            if others + gaps + least <= room {
                widths[name] = wanted.min(room - others - gaps);
                let spare = room - others - gaps - widths[name];
                // Air between the columns, as far as it helps the eye.
                return (widths, 2 + (spare / shown.max(1)).min(2));
            }
            let last = (0..widths.len())
                .filter(|at| *at != name && widths[*at] > 0)
                .max_by_key(|at| self.columns[*at].rank);
            match last {
                Some(at) => widths[at] = 0,
                None => {
                    widths[name] = room;
                    return (widths, 2);
                }
            }
        }
    }

    fn draw_header(&self, canvas: &mut Canvas<'_>, line: Rect, (widths, gap): (&[u16], u16)) {
        let mut x = line.x;
        for (column, width) in self.columns.iter().zip(widths).filter(|(_, width)| **width > 0) {
            let cell = Rect { x, width: *width, ..line };
            match column.kind {
                Kind::Figure => canvas.text_right(cell, column.title, Role::Header),
                Kind::Name | Kind::Text => {
                    canvas.text(cell, column.title, Role::Header);
                }
            }
            x += width + gap;
        }
    }
}

fn sum(widths: &[u16]) -> u16 {
    widths.iter().fold(0, |all, width| all.saturating_add(*width))
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    line: Rect,
    (widths, gap): (&[u16], u16),
    (columns, row): (&[Column], &[Cell]),
) {
    let mut x = line.x;
    for ((column, cell), width) in columns.iter().zip(row).zip(widths) {
        if *width == 0 {
            continue;
        }
        let indent = match column.kind {
            Kind::Figure => width.saturating_sub(cell.width()),
            Kind::Name | Kind::Text => 0,
        };
        let unit = cells(cell.unit);
        let text = Rect { x: x + indent, width: (width - indent).saturating_sub(unit), ..line };
        let used = canvas.text(text, &cell.text, cell.role);
        canvas.text(Rect { x: text.x + used, width: unit, ..line }, cell.unit, Role::Dim);
        x += width + gap;
    }
}

/// A row of spans, where a table would be too much.
pub fn draw_line(canvas: &mut Canvas<'_>, area: Rect, spans: &[Span<'_>]) {
    canvas.pen(area).all(spans);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_stays_in_sight() {
        assert_eq!(window(100, Some(50), 10), 45..55);
        assert_eq!(window(100, Some(99), 10), 90..100);
        assert_eq!(window(3, Some(2), 10), 0..3);
        assert_eq!(window(0, None, 0), 0..0);
    }

    #[test]
    fn columns_go_by_rank_and_the_name_gives_way_first() {
        let columns = [
            column("model", Kind::Name, 0),
            column("size", Kind::Figure, 1),
            column("family", Kind::Text, 2),
        ];
        let row = vec![
            Cell::new("a-very-long-model-name:70b", Role::Text),
            Cell::figure(("3.1".into(), " GiB"), Role::Text),
            Cell::new("llama", Role::Text),
        ];
        let table = Table { columns: &columns, rows: vec![row], selected: None, has_header: true };
        assert_eq!(table.fit(60).0, [26, 7, 6]);
        assert_eq!(table.fit(41).0, [24, 7, 6]);
        assert_eq!(table.fit(34).0, [17, 7, 6]);
        assert_eq!(table.fit(24).0, [15, 7, 0]);
        assert_eq!(table.fit(10).0, [10, 0, 0]);
    }
}
