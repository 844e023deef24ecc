//! The level as a word with its glyph: the one thing set in its colour.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::canvas::{Canvas, cells};
use crate::domain::level::Level;
use crate::tui::theme::{Role, Theme};

/// The level's glyph; used for nothing else on screen.
pub const fn glyph(level: Level) -> char {
    match level {
        Level::Normal => '●',
        Level::Warning => '▲',
        Level::Critical => '◆',
        Level::Emergency => '✖',
    }
}

pub const fn role(level: Level) -> Role {
    match level {
        Level::Normal => Role::Normal,
        Level::Warning => Role::Warning,
        Level::Critical => Role::Critical,
        Level::Emergency => Role::Emergency,
    }
}

/// Draws ` ▲ WARNING ` and returns its width. From warning on it stands on its
/// colour: that is seen from across a room.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, level: Level) -> u16 {
    let text = format!(" {} {} ", glyph(level), level.word().to_uppercase());
    let style = style(canvas.theme, level);
    canvas.styled(Rect { width: cells(&text).min(area.width), ..area }, &text, style)
}

fn style(theme: &Theme, level: Level) -> Style {
    let style = theme.style(role(level));
    match level {
        Level::Normal => style,
        _ => style.add_modifier(Modifier::REVERSED),
    }
}
