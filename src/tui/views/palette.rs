//! The palette: everything a key can do, found by typing.

use ratatui::layout::Rect;

use crate::tui::palette;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, cells, span};
use crate::tui::widgets::table::window;

/// As wide as the longest sentence of the key table asks for, if there is room.
const WIDTH: u16 = 76;

/// Below this an entry is its key and its name.
const LEAST_WITH_HELP: u16 = 60;

pub fn draw(canvas: &mut Canvas<'_>, screen: Rect, scene: &Scene<'_>, asked: (&str, usize)) {
    let (typed, chosen) = asked;
    let found = palette::choices(scene.ui);
    let width = WIDTH.min(screen.width);
    let wanted = u16::try_from(found.len()).unwrap_or(u16::MAX).saturating_add(3);
    let height = wanted.clamp(4, 16).min(screen.height);
    let area = Rect::new(screen.x + (screen.width - width) / 2, screen.y + 1, width, height);
    let area = area.intersection(screen);
    let with_air = Rect { x: area.x.saturating_sub(1), width: area.width + 2, ..area };
    canvas.clear(with_air.intersection(screen));
    let inside = canvas.frame(area, &[span("what to do", Role::Title)]);
    let mut pen = canvas.pen(inside);
    pen.all(&[span(": ", Role::Key), span(typed.to_owned(), Role::Text), span("█", Role::Accent)]);
    let list = Rect { y: inside.y + 1, height: inside.height.saturating_sub(1), ..inside };
    if found.is_empty() {
        canvas.text(list, "nothing is called that", Role::Dim);
    }
    let chosen = chosen.min(found.len().saturating_sub(1));
    let shown = window(found.len(), Some(chosen), list.height);
    let names = found.iter().map(|entry| cells(entry.name)).max().unwrap_or_default() + 2;
    for (index, y) in shown.zip(list.y..) {
        let entry = &found[index];
        let row = Rect { y, height: 1, ..list };
        let key = scene.keymap.key_for(entry.intent);
        canvas.text(Rect { width: 9.min(row.width), ..row }, &key, Role::Key);
        let mut pen = canvas.pen(row);
        pen.skip_to(row.x + 9);
        pen.put(entry.name, Role::Text);
        pen.skip_to(row.x + 9 + names);
        // Half a sentence helps nobody: where there is no room, the name does.
        if row.width >= LEAST_WITH_HELP {
            pen.all(&[span(entry.help, Role::Dim)]);
        }
        if index == chosen {
            canvas.tint(row, Role::Selected);
        }
    }
}
