//! Where ratatui draws: into memory, and only what differs.
//!
//! The cursor stays hidden from start to end, so nothing is sent for it; a
//! picture in which nothing changed is zero bytes. Ratatui's own backend sends
//! both colours whenever one changes and an address for every gap: a quarter
//! more, which counts on a slow line.

use std::io;

use crossterm::cursor::{MoveRight, MoveTo};
use crossterm::queue;
use crossterm::style::{
    Attribute, Color as TerminalColor, Print, SetAttribute, SetBackgroundColor, SetForegroundColor,
};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, IntoCrossterm, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// A picture as bytes, being made.
pub struct Picture {
    bytes: Vec<u8>,
    size: Size,
}

impl Picture {
    pub fn new(size: Size) -> Self {
        Picture { bytes: Vec::new(), size }
    }

    pub fn resize(&mut self, size: Size) {
        self.size = size;
    }

    fn inner(&mut self) -> CrosstermBackend<&mut Vec<u8>> {
        CrosstermBackend::new(&mut self.bytes)
    }

    /// The bytes made since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        // The writer gives nothing back; most pictures are a few hundred bytes.
        std::mem::take(&mut self.bytes)
    }
}

impl Backend for Picture {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut pen = Pen::default();
        for (x, y, cell) in content {
            pen.go(&mut self.bytes, x, y)?;
            pen.dip(&mut self.bytes, cell)?;
            queue!(self.bytes, Print(cell.symbol()))?;
            pen.at = Some((x.saturating_add(1), y));
        }
        pen.lift(&mut self.bytes)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, _position: P) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner().clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner().clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the terminal would write with now.
#[derive(Debug, Default)]
struct Pen {
    /// Where the next character goes; `None` at the start.
    at: Option<(u16, u16)>,
    foreground: Color,
    background: Color,
    modifier: Modifier,
}

/// Each modifier, what switches it on, and what switches it off.
const MODIFIERS: [(Modifier, Attribute, Attribute); 6] = [
    (Modifier::ITALIC, Attribute::Italic, Attribute::NoItalic),
    (Modifier::UNDERLINED, Attribute::Underlined, Attribute::NoUnderline),
    (Modifier::REVERSED, Attribute::Reverse, Attribute::NoReverse),
    (Modifier::SLOW_BLINK, Attribute::SlowBlink, Attribute::NoBlink),
    (Modifier::HIDDEN, Attribute::Hidden, Attribute::NoHidden),
    (Modifier::CROSSED_OUT, Attribute::CrossedOut, Attribute::NotCrossedOut),
];

impl Pen {
    /// Moves only where the next character would not fall there by itself.
    fn go(&self, out: &mut Vec<u8>, x: u16, y: u16) -> io::Result<()> {
        match self.at {
            Some(at) if at == (x, y) => Ok(()),
            Some((column, row)) if row == y && column < x => queue!(out, MoveRight(x - column)),
            _ => queue!(out, MoveTo(x, y)),
        }
    }

    /// Takes on the cell's style, sending what differs.
    fn dip(&mut self, out: &mut Vec<u8>, cell: &Cell) -> io::Result<()> {
        if cell.modifier != self.modifier {
            self.change_modifier(out, cell.modifier)?;
        }
        if cell.fg != self.foreground {
            queue!(out, SetForegroundColor(terminal_color(cell.fg)))?;
            self.foreground = cell.fg;
        }
        if cell.bg != self.background {
            queue!(out, SetBackgroundColor(terminal_color(cell.bg)))?;
            self.background = cell.bg;
        }
        Ok(())
    }

    fn change_modifier(&mut self, out: &mut Vec<u8>, wanted: Modifier) -> io::Result<()> {
        // Bold and dim share their off switch: what stays is switched on again.
        let weight = Modifier::BOLD | Modifier::DIM;
        let mut now = self.modifier;
        if !(now & weight).difference(wanted).is_empty() {
            queue!(out, SetAttribute(Attribute::NormalIntensity))?;
            now -= weight;
        }
        let added = wanted - now;
        for (modifier, on) in [(Modifier::BOLD, Attribute::Bold), (Modifier::DIM, Attribute::Dim)] {
            if added.contains(modifier) {
                queue!(out, SetAttribute(on))?;
            }
        }
        for (modifier, on, off) in MODIFIERS {
            match (now.contains(modifier), wanted.contains(modifier)) {
                (false, true) => queue!(out, SetAttribute(on))?,
                (true, false) => queue!(out, SetAttribute(off))?,
                _ => {}
            }
        }
        self.modifier = wanted;
        Ok(())
    }

    /// Leaves the terminal without a style, as the next picture expects it.
    fn lift(self, out: &mut Vec<u8>) -> io::Result<()> {
        let plain = Pen::default();
        let is_plain = self.foreground == plain.foreground
            && self.background == plain.background
            && self.modifier == plain.modifier;
        if is_plain { Ok(()) } else { queue!(out, SetAttribute(Attribute::Reset)) }
    }
}

fn terminal_color(color: Color) -> TerminalColor {
    color.into_crossterm()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::buffer::Buffer;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_picture_in_which_nothing_changed_is_zero_bytes() {
        let mut terminal = Terminal::new(Picture::new(Size::new(20, 3))).unwrap();
        terminal.draw(|frame| frame.render_widget("one", frame.area())).unwrap();
        assert!(!terminal.backend_mut().take().is_empty());
        terminal.draw(|frame| frame.render_widget("one", frame.area())).unwrap();
        assert_eq!(terminal.backend_mut().take(), b"");
        terminal.draw(|frame| frame.render_widget("onE", frame.area())).unwrap();
        let bytes = terminal.backend_mut().take();
        assert!(bytes.len() < 40 && bytes.contains(&b'E'), "{bytes:?}");
    }

    /// Whatever is drawn, a terminal shows it as the buffer has it.
    #[test]
    fn a_terminal_shows_what_was_drawn() {
        let styles = [
            Style::new().fg(Color::Indexed(145)),
            Style::new().fg(Color::Red).bg(Color::Indexed(17)).add_modifier(Modifier::BOLD),
            Style::new().add_modifier(Modifier::DIM | Modifier::UNDERLINED),
            Style::new().add_modifier(Modifier::BOLD),
            Style::new().add_modifier(Modifier::REVERSED | Modifier::ITALIC),
            Style::new(),
        ];
        let mut terminal = Terminal::new(Picture::new(Size::new(24, 4))).unwrap();
        let mut shown = vt100::Parser::new(rows(4), rows(24), 0);
        for turn in 0..12 {
            let mut wanted = Buffer::default();
            terminal
                .draw(|frame| {
                    for row in 0..4 {
                        for word in 0..4 {
                            let style = styles[(row * 3 + word + turn) % styles.len()];
                            let x = (word * 6 + turn % 3) as u16;
                            frame.buffer_mut().set_string(x, row as u16, "wörd", style);
                        }
                    }
                    wanted = frame.buffer_mut().clone();
                })
                .unwrap();
            let sent = terminal.backend_mut().take();
            shown.process(&sent);
            let sent = String::from_utf8_lossy(&sent).into_owned();
            for (index, cell) in wanted.content.iter().enumerate() {
                let (x, y) = wanted.pos_of(index);
                let seen = shown.screen().cell(y, x).unwrap();
                assert_eq!(seen.contents().trim(), cell.symbol().trim(), "{x},{y} turn {turn}");
                if cell.symbol() != " " {
                    assert_eq!(seen.bold(), cell.modifier.contains(Modifier::BOLD), "{x},{y}");
                    assert_eq!(seen.inverse(), cell.modifier.contains(Modifier::REVERSED));
                    let is_underlined = cell.modifier.contains(Modifier::UNDERLINED);
                    assert_eq!(seen.underline(), is_underlined, "{x},{y} of {sent:?}");
                    assert_eq!(seen.fgcolor(), vt_color(cell.fg), "{x},{y} turn {turn}");
                    assert_eq!(seen.bgcolor(), vt_color(cell.bg), "{x},{y} turn {turn}");
                }
            }
        }
    }

    fn rows(count: u16) -> std::num::NonZeroU16 {
        std::num::NonZeroU16::new(count).unwrap()
    }

    fn vt_color(color: Color) -> vt100::Color {
        match color {
            Color::Red => vt100::Color::Idx(1),
            Color::Indexed(index) => vt100::Color::Idx(index),
            _ => vt100::Color::Default,
        }
    }

    #[test]
    fn a_new_size_draws_everything_again() {
        let mut terminal = Terminal::new(Picture::new(Size::new(20, 3))).unwrap();
        terminal.draw(|frame| frame.render_widget("one", frame.area())).unwrap();
        terminal.backend_mut().take();
        for size in [Size::new(1, 1), Size::new(0, 0), Size::new(20, 3)] {
            terminal.backend_mut().resize(size);
            terminal.draw(|frame| frame.render_widget("one", frame.area())).unwrap();
        }
        let text = String::from_utf8_lossy(&terminal.backend_mut().take()).into_owned();
        assert!(text.contains("one"), "{text:?}");
    }
}
