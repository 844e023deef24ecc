//! A buffer with a theme: everything that reaches a cell goes through here.
//!
//! Nothing outside the given area is ever touched, whatever its size, and
//! text is cut at words where it has any.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::tui::state::{Sight, Target};
use crate::tui::theme::{Role, Theme};

/// Text in one role.
pub type Span<'a> = (Cow<'a, str>, Role);

/// A span from anything that is text.
pub fn span<'a>(text: impl Into<Cow<'a, str>>, role: Role) -> Span<'a> {
    (text.into(), role)
}

pub struct Canvas<'a> {
    pub buffer: &'a mut Buffer,
    pub theme: &'a Theme,
    /// What was drawn where, as far as keys and clicks must know.
    pub sight: Sight,
}

/// Writes along one row; what does not fit whole is left out.
pub struct Pen<'c, 'a> {
    canvas: &'c mut Canvas<'a>,
    pub x: u16,
    pub right: u16,
    y: u16,
}

impl<'a> Canvas<'a> {
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme) -> Self {
        Canvas { buffer, theme, sight: Sight::default() }
    }

    fn inside(&self, area: Rect) -> Rect {
        area.intersection(self.buffer.area)
    }

    /// Writes into the first row of the area, cut to it; the width used.
    pub fn text(&mut self, area: Rect, text: &str, role: Role) -> u16 {
        self.styled(area, text, self.theme.style(role))
    }

    pub fn styled(&mut self, area: Rect, text: &str, style: Style) -> u16 {
        let area = self.inside(area);
        if area.is_empty() {
            return 0;
        }
        let shown = shorten(text, usize::from(area.width));
        let (end, _) =
            self.buffer.set_stringn(area.x, area.y, shown.as_ref(), usize::from(area.width), style);
        end - area.x
    }

    /// As [`Canvas::text`], at the right end of the row.
    pub fn text_right(&mut self, area: Rect, text: &str, role: Role) {
        let width = area.width.min(cells(text));
        let x = area.right().saturating_sub(width);
        self.text(Rect { x, width, ..area }, text, role);
    }

    /// Fills the area with one symbol.
    pub fn fill(&mut self, area: Rect, symbol: char, role: Role) {
        let style = self.theme.style(role);
        let area = self.inside(area);
        for position in area.positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.set_char(symbol).set_style(style);
            }
        }
    }

    /// One cell.
    pub fn put(&mut self, (x, y): (u16, u16), symbol: char, role: Role) {
        self.fill(Rect::new(x, y, 1, 1), symbol, role);
    }

    /// Lays a role over what is drawn: its background and attributes.
    pub fn tint(&mut self, area: Rect, role: Role) {
        let mut style = self.theme.style(role);
        if style.add_modifier.contains(Modifier::REVERSED) {
            // Dim letters turned around are dim blocks.
            style = style.remove_modifier(Modifier::DIM);
        }
        self.buffer.set_style(area, style);
    }

    /// Empties the area.
    pub fn clear(&mut self, area: Rect) {
        let ground = self.theme.ground();
        for position in self.inside(area).positions() {
            if let Some(cell) = self.buffer.cell_mut(position) {
                cell.reset();
                cell.set_style(ground);
            }
        }
    }

    /// A border with a title in it; what lies inside, a column of air apart.
    pub fn frame(&mut self, area: Rect, title: &[Span<'_>]) -> Rect {
        let area = self.inside(area);
        if area.width < 4 || area.height < 2 {
            return Rect::default();
        }
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        self.fill(Rect { height: 1, ..area }, '─', Role::Border);
        self.fill(Rect { y: bottom, height: 1, ..area }, '─', Role::Border);
        self.fill(Rect { width: 1, ..area }, '│', Role::Border);
        self.fill(Rect { x: right, width: 1, ..area }, '│', Role::Border);
        for (x, y, corner) in [
            (area.x, area.y, '┌'),
            (right, area.y, '┐'),
            (area.x, bottom, '└'),
            (right, bottom, '┘'),
        ] {
            self.put((x, y), corner, Role::Border);
        }
        let mut pen = self.pen(Rect::new(area.x + 1, area.y, area.width - 2, 1));
        if pen.put(" ", Role::Border) {
            pen.all(title);
            pen.put(" ", Role::Border);
        }
        Rect::new(area.x + 2, area.y + 1, area.width - 4, area.height - 2)
    }

    /// Says that the area holds rows of the page's list, from that one on.
    pub fn rows_at(&mut self, area: Rect, first: usize) {
        self.sight.rows = area.height;
        self.sight.targets.push((area, Target::Rows(first)));
    }

    /// The same for a table whose titles take the first row.
    pub fn rows_below_header(&mut self, area: Rect, first: usize) {
        let height = area.height.saturating_sub(1);
        self.rows_at(Rect { y: area.y + 1, height, ..area }, first);
    }

    pub fn pen(&mut self, area: Rect) -> Pen<'_, 'a> {
        let area = self.inside(area);
        let right = if area.is_empty() { area.x } else { area.right() };
        Pen { x: area.x, right, y: area.y, canvas: self }
    }
}

impl Pen<'_, '_> {
    /// Writes the text if it fits whole.
    pub fn put(&mut self, text: &str, role: Role) -> bool {
        let width = cells(text);
        if width > self.room() {
            return false;
        }
        let area = Rect::new(self.x, self.y, width, 1);
        self.x += self.canvas.text(area, text, role);
        true
    }

    /// Writes the pieces if all of them fit.
    pub fn whole(&mut self, pieces: &[Span<'_>]) -> bool {
        let width: usize = pieces.iter().map(|(text, _)| text.width()).sum();
        if width > usize::from(self.room()) {
            return false;
        }
        self.all(pieces);
        true
    }

    /// Writes pieces until one does not fit; that one is cut, the rest left.
    pub fn all(&mut self, pieces: &[Span<'_>]) {
        for (text, role) in pieces {
            if !self.put(text, *role) {
                let area = Rect::new(self.x, self.y, self.room(), 1);
                self.x += self.canvas.text(area, text, *role);
                self.right = self.x;
            }
        }
    }

    pub fn room(&self) -> u16 {
        self.right.saturating_sub(self.x)
    }

    /// Moves on to a column, if it lies ahead and inside.
    pub fn skip_to(&mut self, x: u16) {
        self.x = self.x.max(x).min(self.right);
    }
}

/// Width of a text in cells.
pub fn cells(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The text, cut to the width: at a word where that leaves most of it, else
/// within the name, with an ellipsis.
pub fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    // ASCII without controls is as wide as it is long: most text is.
    if text.len() <= width || text.width() <= width {
        return Cow::Borrowed(text);
    }
    if width == 0 {
        return Cow::Borrowed("");
    }
    let mut used = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or_default();
        if used + 1 > width {
            break;
        }
        end = at + c.len_utf8();
    }
    let kept = &text[..end];
    let at_word = text[end..].starts_with(' ');
    let cut = match kept.rfind(' ') {
        Some(space) if !at_word && space * 2 >= end => &kept[..space],
        _ => kept,
    };
    Cow::Owned(format!("{}…", cut.trim_end()))
}

/// The text in lines of at most that width, broken at words.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shorten(word, width);
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word.into_owned()),
        }
    }
    lines
}

/// Replaces everything that is not ASCII, for terminals that show no more.
pub fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let symbol = cell.symbol().chars().next().map_or('?', ascii_for);
            cell.set_char(symbol);
        }
    }
}

fn ascii_for(c: char) -> char {
    match c {
        '█' | '■' | '▇' | '▆' => '#',
        '▓' | '▅' | '▄' => '=',
        '▞' => '%',
        '▚' => '@',
        '▒' | '▃' => '-',
        '░' => ':',
        '▁' | '▂' => '.',
        '·' => '.',
        '┊' | '│' => '|',
        '─' | '—' | '┄' | '–' => '-',
        '┌' | '┐' | '└' | '┘' | '◈' => '+',
        '╱' => '/',
        '≈' => '~',
        '−' => '-',
        '▸' | '→' | '≥' => '>',
        '←' | '≤' => '<',
        '●' => 'o',
        '▲' => '^',
        '◆' => '#',
        '✖' => '!',
        '↑' => '^',
        '↓' => 'v',
        '…' => '~',
        '×' => 'x',
        '✓' => '+',
        '\u{2800}'..='\u{28ff}' => ascii_for_braille(c),
        _ => '?',
    }
}

/// A braille cell by how high its dots reach.
fn ascii_for_braille(c: char) -> char {
    let dots = u32::from(c) - 0x2800;
    // Dots of the rows from the top: 1 and 4, 2 and 5, 3 and 6, 7 and 8.
    match [0x09, 0x12, 0x24, 0xc0].iter().position(|row| dots & row != 0) {
        None => ' ',
        Some(0) => '#',
        Some(1) => '|',
        Some(2) => ':',
        Some(_) => '.',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_cut_at_words_and_names_within() {
        assert_eq!(shorten("connection refused by server", 20), "connection refused…");
        assert_eq!(shorten("registry.example/team/model:70b", 12), "registry.ex…");
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("long", 0), "");
        assert_eq!(shorten("模型模型模型", 6), "模型…");
    }

    #[test]
    fn lines_break_at_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("", 8), Vec::<String>::new());
    }

    #[test]
    fn braille_keeps_its_height_in_ascii() {
        let shown: String = "⠀⣀⣤⣶⣿".chars().map(ascii_for).collect();
        assert_eq!(shown, " .:|#");
    }
}
