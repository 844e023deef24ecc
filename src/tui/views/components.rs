//! Components: servers with their models and runners, then the largest other
//! processes, as a tree.

use ratatui::layout::Rect;

use super::models::{draw_position, how_shown};
use crate::domain::bytes::Bytes;
use crate::domain::component::{Component, ComponentKind};
use crate::domain::fault::SensorFault;
use crate::tui::rows;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, span};
use crate::tui::widgets::figures::{UNKNOWN, aligned, course, priority};
use crate::tui::widgets::table::{Cell, Column, Kind, Table, column, window};

const COLUMNS: [Column; 10] = [
    column("component", Kind::Name, 0),
    column("kind", Kind::Text, 5),
    column("footprint", Kind::Figure, 1),
    column("how known", Kind::Text, 6),
    column("swapped", Kind::Figure, 6),
    LIMIT,
    COURSE,
    column("state", Kind::Text, 2),
    column("priority", Kind::Text, 4),
    column("pid", Kind::Figure, 7),
];

/// Place of the limit among the columns.
const LIMIT_AT: usize = 5;

/// Place of what memory does over minutes.
const COURSE_AT: usize = 6;

/// Only where something grows, or has grown.
const COURSE: Column = column("course", Kind::Text, 3);

/// Only where something has a limit.
const LIMIT: Column = column("limit", Kind::Figure, 8);

pub fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let rows = rows::component_rows(scene.snapshot, scene.ui);
    let mut title = vec![span("components", Role::Title)];
    let how = how_shown(scene, &scene.ui.components);
    let is_counted = area.width >= 60 || how.is_empty();
    if is_counted {
        title.push(span(format!(" {}", rows.len()), Role::Dim));
    }
    let processes = scene.snapshot.sample.as_deref().map(|sample| &sample.processes);
    if is_counted
        && let Some(Ok(table)) = processes
        && let Some(count) = table.count
    {
        let words = match area.width {
            0..60 => format!(" · {count} alive"),
            _ => format!(" · {count} processes alive, the largest shown"),
        };
        title.push(span(words, Role::Dim));
    }
    title.extend(how);
    let mut inside = canvas.frame(area, &title);
    if let Some(Err(SensorFault { detail, .. })) = processes
        && inside.height > 0
    {
        let text = format!("processes unavailable: {detail}");
        canvas.text(Rect { height: 1, ..inside }, &text, Role::Bad);
        inside.y += 1;
        inside.height -= 1;
    }
    if rows.is_empty() {
        let text = match scene.ui.filter.is_empty() {
            true => "nothing has been seen yet",
            false => "nothing matches the filter",
        };
        canvas.text(inside, text, Role::Dim);
        return;
    }
    let selected = rows::selected_index(&rows, &scene.ui.components);
    let shown = window(rows.len(), selected, inside.height.saturating_sub(1));
    let mut columns = COLUMNS.to_vec();
    let mut cells: Vec<Vec<Cell>> =
        rows[shown.clone()].iter().map(|component| cells_of(component, scene)).collect();
    // The later column first: the other keeps its place.
    if rows.iter().all(|component| component.course.is_none()) {
        columns.remove(COURSE_AT);
        cells.iter_mut().for_each(|row| drop(row.remove(COURSE_AT)));
    }
    if rows.iter().all(|component| limit_of(component, scene).is_none()) {
        columns.remove(LIMIT_AT);
        cells.iter_mut().for_each(|row| drop(row.remove(LIMIT_AT)));
    }
    let table = Table {
        columns: &columns,
        rows: cells,
        selected: selected.and_then(|index| index.checked_sub(shown.start)),
        has_header: true,
    };
    let from_border = Rect { x: inside.x - 1, width: inside.width + 1, ..inside };
    table.draw(canvas, from_border);
    canvas.rows_below_header(from_border, shown.start);
    draw_position(canvas, area, (shown.len(), rows.len(), selected));
}

fn limit_of(component: &Component, scene: &Scene<'_>) -> Option<Bytes> {
    rows::group_of(scene.snapshot, component)?.limit
}

fn cells_of(component: &Component, scene: &Scene<'_>) -> Vec<Cell> {
    let is_tree = scene.ui.components.sort == Default::default() && scene.ui.filter.is_empty();
    let indent = if is_tree { usize::from(component.depth) * 2 } else { 0 };
    let (name_role, kind_role) = match component.kind {
        ComponentKind::Model => (Role::Text, Role::Accent),
        ComponentKind::Orphan => (Role::Text, Role::Bad),
        ComponentKind::Server | ComponentKind::Runner => (Role::Text, Role::Text),
        ComponentKind::Foreign
        | ComponentKind::Process
        | ComponentKind::Container
        | ComponentKind::Service => (Role::Text, Role::Dim),
    };
    let footprint = component.footprint;
    let is_stuck = component.state.as_deref() == Some("stuck");
    let pin = if component.pinned { " ◈" } else { "" };
    vec![
        Cell::new(format!("{:indent$}{}{pin}", "", component.name), name_role),
        Cell::new(component.kind.word(), kind_role),
        Cell::figure(aligned(footprint.map(|known| known.bytes)), Role::Text),
        Cell::new(footprint.map_or(UNKNOWN, |known| known.source.word()), Role::Dim),
        Cell::figure(aligned(component.swapped), Role::Dim),
        limit_of(component, scene).map_or(Cell::new("", Role::Dim), |limit| {
            Cell::figure(aligned(Some(limit)), Role::Dim)
        }),
        Cell::new(component.course.map_or(String::new(), course), Role::Text),
        Cell::new(
            component.state.clone().unwrap_or_default(),
            if is_stuck { Role::Bad } else { Role::Text },
        ),
        Cell::new(priority(component.priority, component.pinned), Role::Dim),
        Cell::new(component.process.map_or(String::new(), |key| key.pid.to_string()), Role::Dim),
    ]
}
