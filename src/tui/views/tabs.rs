//! The pages by name and number, in the lowest border: a newcomer sees that
//! there are others, and how to get there, without a row being spent on it.

use ratatui::layout::Rect;

use super::overview;
use crate::tui::keymap::Intent;
use crate::tui::scene::Scene;
use crate::tui::state::{Page, Target};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, cells, span};

/// Columns kept free: corners, and the place in a list at the right.
const KEPT: u16 = 14;

pub fn draw(canvas: &mut Canvas<'_>, body: Rect, scene: &Scene<'_>) {
    let shown = scene.ui.page;
    if shown == Page::Overview && overview::is_compact(body) {
        return;
    }
    let width = body.width.saturating_sub(KEPT);
    let row = Rect { x: body.x + 2, y: body.bottom() - 1, width, height: 1 };
    let keys = Page::ALL.map(|page| (page, scene.keymap.key_for(Intent::Open(page))));
    let long: u16 = keys.iter().map(|(page, key)| cells(key) + cells(page.title()) + 3).sum();
    // Where the names do not fit, only the page shown is named.
    let are_all_named = long <= row.width;
    let mut pen = canvas.pen(row);
    let mut targets = Vec::with_capacity(keys.len());
    for (page, key) in &keys {
        let is_shown = *page == shown;
        let (key_role, role) =
            if is_shown { (Role::Title, Role::Title) } else { (Role::Key, Role::Dim) };
        let title = match is_shown || are_all_named {
            true => format!(" {}", page.title()),
            false => String::new(),
        };
        let from = pen.x;
        let pieces = [
            span(" ", Role::Dim),
            span(key.as_str(), key_role),
            span(title, role),
            span(" ", Role::Dim),
        ];
        if pen.whole(&pieces) {
            targets.push((Rect { x: from, width: pen.x - from, ..row }, Target::Page(*page)));
        }
    }
    canvas.sight.targets.extend(targets);
}
