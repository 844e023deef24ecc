//! The overview: level, load line, signals, models, what happened last.
//!
//! Three forms of the same order: with boxes and a graph, the same in less
//! room, and ten bare rows of forty columns.

use ratatui::layout::Rect;

use super::{events, header, models, plan, runtimes, signals};
use crate::domain::time::Span as TimeSpan;
use crate::tui::rows;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, span};
use crate::tui::widgets::figures::share;
use crate::tui::widgets::graph;
use crate::tui::widgets::table::{draw_line, window};

/// Below this there are no boxes.
const BOXES: (u16, u16) = (62, 17);

/// From here the graph has a box of its own beside the signals.
const WIDE: u16 = 100;

pub fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    if is_compact(area) {
        draw_compact(canvas, area, scene);
    } else {
        draw_boxes(canvas, area, scene);
    }
}

/// Rows of the level line and the load line.
pub fn head(area: Rect) -> u16 {
    match is_compact(area) {
        true => 1 + bar_rows(area),
        false => 1 + bar_rows(area) + 3,
    }
}

pub const fn is_compact(area: Rect) -> bool {
    area.width < BOXES.0 || area.height < BOXES.1
}

/// Two rows of bar where there is room: the first thing the eye finds.
const fn bar_rows(area: Rect) -> u16 {
    match area.height {
        0..12 => 1,
        12..21 if area.width >= BOXES.0 && area.height >= BOXES.1 => 1,
        12..56 => 2,
        _ => 3,
    }
}

/// Rows from the top of what is left.
fn take(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let taken = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    taken
}

fn draw_boxes(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut rest = area;
    header::draw_level(canvas, take(&mut rest, 1), scene);
    header::draw_bar_box(canvas, take(&mut rest, bar_rows(area) + 3), scene);
    let band = if area.width >= WIDE { (area.height * 3 / 10).clamp(4, 24) } else { 3 };
    draw_band(canvas, take(&mut rest, band), scene);

    let rows = rows::model_rows(scene.snapshot, scene.ui);
    let lines = runtimes::lines(scene).len();
    let wanted = models::wanted_height(rows.len(), lines);
    // At least five rows stay for what happened last.
    let most = (rest.height * 3 / 5).max(rest.height.saturating_sub(16));
    let height = wanted.min(most.max(4));
    let title = models::overview_title(scene, rows.len());
    models::draw_boxed(canvas, take(&mut rest, height), scene, (&rows, &title));
    draw_plan(canvas, &mut rest, scene);
    if rest.height >= 3 {
        events::draw_latest(canvas, rest, scene);
    }
}

/// Signals at the left, the last minutes at the right.
fn draw_band(canvas: &mut Canvas<'_>, band: Rect, scene: &Scene<'_>) {
    let left = if band.width >= WIDE { (band.width * 2 / 5).clamp(50, 72) } else { band.width / 2 };
    // Two columns of air on both sides.
    let signals = Rect { x: band.x + 2, width: left - 4, ..band };
    signals::draw(canvas, signals, scene.snapshot);
    let right = Rect { x: band.x + left, width: band.width - left, ..band };
    if band.width >= WIDE && band.height >= 5 {
        let back = TimeSpan(scene.snapshot.history.span());
        let title = [span(format!("last {back}"), Role::Title), span(" used %", Role::Dim)];
        let inside = canvas.frame(right, &title);
        graph::draw(canvas, inside, scene.snapshot);
    } else {
        let right = Rect { x: right.x + 1, width: right.width.saturating_sub(3), ..right };
        graph::draw(canvas, right, scene.snapshot);
    }
}

/// A plan that runs, or has just ended, where the reader looks for its end.
fn draw_plan(canvas: &mut Canvas<'_>, rest: &mut Rect, scene: &Scene<'_>) {
    let Some(running) = scene.snapshot.plan.as_deref() else { return };
    let lines = plan::running_lines(running);
    let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = take(rest, wanted.min(rest.height));
    let inside = canvas.frame(area, &[span(plan::title(running), Role::Title)]);
    for (line, y) in lines.iter().zip(inside.y..inside.bottom()) {
        draw_line(canvas, Rect { y, height: 1, ..inside }, line);
    }
}

fn draw_compact(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut rest = area;
    header::draw_level(canvas, take(&mut rest, 1), scene);
    header::draw_bar(canvas, take(&mut rest, bar_rows(area)), scene);
    draw_figures(canvas, take(&mut rest, 1), scene);
    let mut lines = runtimes::lines(scene);
    // The last line is the way out: it stays when there is no room for all.
    while lines.len() > 3 {
        lines.remove(1);
    }
    for line in &lines {
        let row = take(&mut rest, 1);
        draw_line(canvas, Rect { x: row.x + 1, width: row.width - 1, ..row }, line);
    }
    let rows = rows::model_rows(scene.snapshot, scene.ui);
    let most = rest.height.saturating_sub(2).max(1);
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).min(most);
    let list = take(&mut rest, height);
    models::short_table(&rows, scene, height).draw(canvas, list);
    let selected = rows::selected_index(&rows, &scene.ui.models);
    canvas.rows_at(list, window(rows.len(), selected, height).start);
    if let Some(running) = scene.snapshot.plan.as_deref() {
        let row = take(&mut rest, 1);
        let title = plan::short_title(running);
        canvas.text(Rect { x: row.x + 1, width: row.width - 1, ..row }, &title, Role::Accent);
    }
    events::draw_short(canvas, rest, scene);
}

fn draw_figures(canvas: &mut Canvas<'_>, row: Rect, scene: &Scene<'_>) {
    let sample = scene.snapshot.sample.as_deref();
    let Some(memory) = sample.and_then(|sample| sample.memory.as_ref().ok()) else { return };
    let mut pen = canvas.pen(Rect { x: row.x + 1, width: row.width - 1, ..row });
    pen.put(&share(memory.used(), memory.total), Role::Text);
    for piece in signals::shortly(scene.snapshot) {
        pen.whole(&[span("  ", Role::Dim), span(piece, Role::Dim)]);
    }
}
