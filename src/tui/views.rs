//! Pages: what a scene looks like. Pure functions of the scene; nothing here
//! reads a clock or changes anything but cells.

mod components;
mod dialogs;
mod events;
mod fit;
mod header;
mod help;
mod models;
mod overview;
mod palette;
mod plan;
mod policy;
mod proposal;
mod runtimes;
mod signals;
mod tabs;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::keymap::{Hint, Intent};
use super::scene::Scene;
use super::state::{InputMode, Page, Sight, Toast, Tone};
use super::theme::Role;
use super::widgets::canvas::{self, Canvas, cells, span};
use crate::domain::text::clean;

/// The smallest screen with a picture.
pub const LEAST: (u16, u16) = (40, 10);

/// How often a hint of the footer can be said in fewer words.
const FEWEST: usize = 2;

/// From here the overview spares a row for what would be good to load.
const ADVISED: u16 = 24;

/// Blanks between two keys of the footer.
const GAP: u16 = 2;

/// Draws the scene on the whole frame.
pub fn draw(frame: &mut Frame, scene: &Scene<'_>) -> Sight {
    let area = frame.area();
    draw_into(frame.buffer_mut(), area, scene)
}

/// Draws the scene into an area of a buffer, of any size.
pub fn draw_into(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) -> Sight {
    let area = area.intersection(buffer.area);
    let mut canvas = Canvas::new(buffer, scene.theme);
    canvas.clear(area);
    if area.width < LEAST.0 || area.height < LEAST.1 {
        draw_too_small(&mut canvas, area);
    } else {
        draw_page(&mut canvas, area, scene);
    }
    let sight = std::mem::take(&mut canvas.sight);
    if !scene.theme.unicode {
        canvas::to_ascii(buffer);
    }
    sight
}

fn draw_too_small(canvas: &mut Canvas<'_>, area: Rect) {
    let text =
        format!("too small ({}×{}), {}×{} needed", area.width, area.height, LEAST.0, LEAST.1);
    let lines = canvas::wrap(&text, usize::from(area.width));
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        canvas.text(Rect { y, height: 1, ..area }, line, Role::Text);
    }
}

fn draw_page(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let footer = Rect { y: area.bottom() - 1, height: 1, ..area };
    let asked = scene.snapshot.proposal.as_deref();
    let advice = advice(scene, area);
    let above_keys = u16::from(asked.is_some()) + u16::from(advice.is_some());
    let body = Rect { height: area.height - 1 - above_keys, ..area };
    if scene.ui.page == Page::Overview {
        overview::draw(canvas, body, scene);
    } else {
        let rest = header::draw_above(canvas, body, scene);
        match scene.ui.page {
            Page::Overview | Page::Models => models::draw(canvas, rest, scene),
            Page::Components => components::draw(canvas, rest, scene),
            Page::Events => events::draw(canvas, rest, scene),
            Page::Policy => policy::draw(canvas, rest, scene),
            Page::Help => help::draw(canvas, rest, scene),
        }
    }
    tabs::draw(canvas, body, scene);
    if let Some(text) = advice {
        let row = Rect { x: area.x + 1, y: body.bottom(), width: area.width - 2, height: 1 };
        canvas.text(row, &text, Role::Dim);
    }
    if let Some(asked) = asked {
        proposal::draw(canvas, Rect { y: footer.y - 1, ..footer }, (asked, scene));
    }
    draw_footer(canvas, footer, (scene, body.bottom()));
    if let Some(dialog) = &scene.ui.dialog {
        dialogs::draw(canvas, body, scene, dialog);
    }
    if let InputMode::Palette { typed, chosen } = &scene.ui.mode {
        palette::draw(canvas, body, scene, (typed, *chosen));
    }
}

/// What would be good to load, where a row of the overview can be spared.
fn advice(scene: &Scene<'_>, area: Rect) -> Option<String> {
    let has_room = area.height >= ADVISED && !overview::is_compact(area);
    if !has_room || scene.ui.page != Page::Overview {
        return None;
    }
    scene.snapshot.recommended.as_deref().map(|advice| clean(&advice.text()))
}

/// The last row: what was just said, what is being typed, the keys that help.
///
/// A long sentence stands above `floor`, where the page ends.
fn draw_footer(canvas: &mut Canvas<'_>, row: Rect, (scene, floor): (&Scene<'_>, u16)) {
    let row = Rect { x: row.x + 1, width: row.width - 1, ..row };
    let mut left = row;
    if scene.ui.mode == InputMode::Filter {
        let mut pen = canvas.pen(row);
        pen.all(&[
            span("/ ", Role::Key),
            span(scene.ui.filter.as_str(), Role::Text),
            span("█", Role::Accent),
        ]);
        let used = (pen.x - row.x).saturating_add(3).min(row.width);
        left = Rect { x: row.x + used, width: row.width - used, ..row };
    } else if let Some(toast) = &scene.ui.toast {
        let used = draw_toast(canvas, row, (toast, floor));
        left = Rect { x: row.x + used, width: row.width - used, ..row };
    }
    draw_keys(canvas, left, scene);
}

/// What was just said, before the keys where both fit; else above them, over
/// the lowest rows of the page. The columns it takes of the footer.
fn draw_toast(canvas: &mut Canvas<'_>, row: Rect, (toast, floor): (&Toast, u16)) -> u16 {
    let role = match toast.tone {
        Tone::Good => Role::Good,
        Tone::Neutral => Role::Text,
        Tone::Bad => Role::Bad,
    };
    // Help and quit keep their place.
    const KEYS: u16 = 18;
    let used = cells(&toast.text).saturating_add(3);
    if used + KEYS <= row.width {
        canvas.text(row, &toast.text, role);
        return used;
    }
    let mut lines = canvas::wrap(&toast.text, usize::from(row.width));
    lines.truncate(3);
    let top = floor - u16::try_from(lines.len()).unwrap_or_default();
    for (line, y) in lines.iter().zip(top..floor) {
        let line_area = Rect { y, ..row };
        canvas.clear(Rect { x: row.x - 1, width: row.width + 1, ..line_area });
        canvas.text(line_area, line, role);
    }
    0
}

/// The keys that fit whole, in their order and in as many words as there is
/// room for; help and quit always keep a place.
fn draw_keys(canvas: &mut Canvas<'_>, row: Rect, scene: &Scene<'_>) {
    let hints = scene.keymap.footer(scene.ui, scene.snapshot);
    let always = [Intent::Help, Intent::Quit].map(|intent| scene.keymap.key_for(intent));
    let (last, first): (Vec<&Hint>, Vec<&Hint>) =
        hints.iter().partition(|hint| always.contains(&hint.key));
    let width = |hint: &Hint, label: &str| cells(&hint.key) + 1 + cells(label) + GAP;
    let kept: u16 = last.iter().map(|hint| width(hint, &hint.label)).sum();
    let mut room = (row.width + GAP).saturating_sub(kept);
    let said = |hint: &Hint, words: usize| -> String {
        let fewer = hint.shorter.iter().take(words).next_back();
        fewer.unwrap_or(&hint.label).clone()
    };
    // A dialog's yes, no and dial are all needed.
    let must = if scene.ui.dialog.is_some() { 3 } else { 2 };
    // Rather two keys in few words than one in many.
    let most_helpful =
        |words| first.iter().take(must).map(|h| width(h, &said(h, words))).sum::<u16>();
    let words = (0..FEWEST).find(|words| most_helpful(*words) <= room).unwrap_or(FEWEST);
    let mut shown: Vec<(&str, String)> = Vec::with_capacity(hints.len());
    for hint in first {
        let label = said(hint, words);
        if width(hint, &label) <= room {
            room -= width(hint, &label);
            shown.push((&hint.key, label));
        }
    }
    shown.extend(last.iter().map(|hint| (hint.key.as_str(), hint.label.clone())));
    let mut pen = canvas.pen(row);
    for (key, label) in &shown {
        let pieces = [span(*key, Role::Key), span(" ", Role::Dim), span(label.as_str(), Role::Dim)];
        if pen.whole(&pieces) {
            pen.skip_to(pen.x + GAP);
        }
    }
}
