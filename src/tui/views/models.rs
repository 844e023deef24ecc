//! Models: those loaded with everything known of them, then those installed.

mod catalog;

use ratatui::layout::Rect;

use super::runtimes;
use crate::domain::bytes::{Bytes, BytesDelta};
use crate::domain::fit::{Fit, FitVerdict};
use crate::domain::model::{ModelState, ModelView};
use crate::domain::snapshot::Snapshot;
use crate::tui::rows::{self, ModelRow};
use crate::tui::scene::Scene;
use crate::tui::state::{ListState, Page, Sort};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::figures::{
    UNKNOWN, aligned, aligned_delta, doing, grouped, leaves, place, priority,
};
use crate::tui::widgets::table::{Cell, Column, Kind, Table, column, draw_line, window};

const COLUMNS: [Column; 11] = [
    column("model", Kind::Name, 0),
    column("params", Kind::Figure, 7),
    column("quant", Kind::Text, 8),
    column("context", Kind::Figure, 6),
    column("measured", Kind::Figure, 1),
    column("reported", Kind::Figure, 5),
    column("drift", Kind::Figure, 4).at_least(8),
    column("where", Kind::Text, 9),
    // As wide as most of what may stand there: columns must not jump.
    column("state", Kind::Text, 2).at_least(13),
    column("leaves", Kind::Text, 3).at_least(9),
    column("priority", Kind::Text, 10),
];

/// Below this three columns are all there is room for.
const NARROW: u16 = 50;

/// The page.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let rows = rows::model_rows(scene.snapshot, scene.ui);
    let loaded = rows.iter().filter(|row| row.loaded().is_some()).count();
    let mut title = vec![span("models", Role::Title)];
    let how = how_shown(scene, &scene.ui.models);
    // What was chosen goes before what can be counted.
    if area.width >= NARROW || how.is_empty() {
        let counts = match rows.is_empty() && !runtimes::is_any_answering(scene.snapshot) {
            true => " not known".to_owned(),
            false => format!(" {loaded} loaded, {} more installed", rows.len() - loaded),
        };
        title.push(span(counts, Role::Dim));
        title.extend(fitting(scene.snapshot));
    }
    let (upper, lower) = catalog::split(area, rows.is_empty());
    let selected = rows::selected_index(&rows, &scene.ui.models).map(|index| rows[index]);
    if lower.is_none() {
        title.extend(selected.and_then(|row| catalog::dialled(scene, &row)));
    }
    title.extend(how);
    draw_boxed(canvas, upper, scene, (&rows, &title));
    if let (Some(lower), Some(row)) = (lower, selected) {
        catalog::draw_sum(canvas, lower, scene, &row);
    }
}

/// How many of those not loaded would fit now, where that is known.
fn fitting(snapshot: &Snapshot) -> Option<Span<'static>> {
    let all = &snapshot.fits.value.all;
    let is_fitting = |fit: &&Fit| {
        fit.verdict == FitVerdict::Fits && !fit.is_loaded && snapshot.model(&fit.model).is_none()
    };
    let fitting = all.iter().filter(is_fitting).count();
    (!all.is_empty()).then(|| span(format!(", {fitting} would fit now"), Role::Dim))
}

/// `· by size · filter qwen`
pub fn how_shown(scene: &Scene<'_>, list: &ListState) -> Vec<Span<'static>> {
    let mut words = Vec::new();
    if list.sort != Sort::Natural {
        words.push(span(format!(" · {}", list.sort.word(scene.ui.page)), Role::Dim));
    }
    if !scene.ui.filter.is_empty() {
        words.push(span(" · filter ", Role::Dim));
        words.push(span(scene.ui.filter.clone(), Role::Accent));
    }
    words
}

/// A table of models in a box, with what its server has to say above it.
pub fn draw_boxed(
    canvas: &mut Canvas<'_>,
    area: Rect,
    scene: &Scene<'_>,
    (rows, title): (&[ModelRow<'_>], &[Span<'_>]),
) {
    let mut inside = canvas.frame(area, title);
    for line in runtimes::lines(scene) {
        if inside.height == 0 {
            return;
        }
        draw_line(canvas, Rect { height: 1, ..inside }, &line);
        inside.y += 1;
        inside.height -= 1;
    }
    if rows.is_empty() {
        if !scene.ui.filter.is_empty() {
            canvas.text(inside, "nothing matches the filter", Role::Dim);
        }
        return;
    }
    let selected = rows::selected_index(rows, &scene.ui.models);
    let from_border = Rect { x: inside.x - 1, width: inside.width + 1, ..inside };
    if inside.width < NARROW {
        let table = short_table(rows, scene, inside.height);
        table.draw(canvas, from_border);
        let first = window(rows.len(), selected, inside.height).start;
        canvas.rows_at(from_border, first);
        return draw_position(canvas, area, (table.rows.len(), rows.len(), selected));
    }
    let shown = window(rows.len(), selected, inside.height.saturating_sub(1));
    let is_catalog = scene.ui.page == Page::Models;
    let cells = |row: &ModelRow<'_>| match (is_catalog, row) {
        (false, ModelRow::Loaded(model)) => loaded_cells(model, scene),
        _ => catalog::cells_of(row, scene),
    };
    let table = Table {
        columns: if is_catalog { &catalog::COLUMNS } else { &COLUMNS },
        rows: rows[shown.clone()].iter().map(cells).collect(),
        selected: selected.and_then(|index| index.checked_sub(shown.start)),
        has_header: true,
    };
    table.draw(canvas, from_border);
    canvas.rows_below_header(from_border, shown.start);
    draw_position(canvas, area, (shown.len(), rows.len(), selected));
}

/// `12/40` in the lower border, where not all rows are in sight.
pub fn draw_position(
    canvas: &mut Canvas<'_>,
    area: Rect,
    (shown, all, selected): (usize, usize, Option<usize>),
) {
    if shown < all && area.height > 1 {
        let text = match selected {
            Some(index) => format!(" {}/{all} ", index + 1),
            None => format!(" {shown} of {all} "),
        };
        let row = Rect { y: area.bottom() - 1, height: 1, width: area.width - 2, ..area };
        canvas.text_right(row, &text, Role::Dim);
    }
}

fn or_dash(text: Option<&str>) -> Cell {
    Cell::new(text.unwrap_or(UNKNOWN), if text.is_some() { Role::Text } else { Role::Dim })
}

fn sized(bytes: Option<Bytes>, role: Role) -> Cell {
    Cell::figure(aligned(bytes), if bytes.is_some() { role } else { Role::Dim })
}

fn drift(delta: Option<BytesDelta>) -> Cell {
    Cell::figure(aligned_delta(delta), Role::Dim)
}

fn loaded_cells(model: &ModelView, scene: &Scene<'_>) -> Vec<Cell> {
    let now = scene.snapshot.at;
    vec![
        Cell::new(marked_name(model), Role::Text),
        or_dash(model.parameters.as_deref()),
        or_dash(model.quantization.as_deref()),
        or_dash(model.context.map(grouped).as_deref()),
        sized(model.measured.map(|(bytes, _)| bytes), Role::Text),
        sized(model.reported, Role::Dim),
        drift(model.drift()),
        Cell::new(place(model), Role::Dim),
        Cell::new(doing(model, now), state_role(model)),
        Cell::new(leaves(model, now.wall), Role::Text),
        Cell::new(priority(model.priority, model.pinned), Role::Dim),
    ]
}

fn state_role(model: &ModelView) -> Role {
    match model.state {
        ModelState::Stuck { .. } | ModelState::Gone { .. } => Role::Bad,
        ModelState::Ready => Role::Text,
        _ => Role::Accent,
    }
}

/// The name, marked where it is pinned: that column is always there.
fn marked_name(model: &ModelView) -> String {
    match model.pinned {
        true => format!("{} ◈", model.name.short()),
        false => model.name.short().to_owned(),
    }
}

/// Name, held and one word: what there is room for at forty columns.
pub fn short_table(rows: &[ModelRow<'_>], scene: &Scene<'_>, height: u16) -> Table<'static> {
    const SHORT: [Column; 3] = [
        column("model", Kind::Name, 0),
        column("held", Kind::Figure, 1),
        column("state", Kind::Text, 2),
    ];
    let selected = rows::selected_index(rows, &scene.ui.models);
    let shown = window(rows.len(), selected, height);
    let cells = |row: &ModelRow<'_>| {
        let held = match row {
            ModelRow::Loaded(model) => sized(model.held(), Role::Text),
            ModelRow::Installed(model) => {
                catalog::needed(model, scene.snapshot.fits.value.of(&model.name))
            }
        };
        vec![
            Cell::new(row.loaded().map_or(row.name().short().to_owned(), marked_name), Role::Text),
            held,
            Cell::new(catalog::shortly(row, scene), Role::Dim),
        ]
    };
    Table {
        columns: &SHORT,
        rows: rows[shown.clone()].iter().map(cells).collect(),
        selected: selected.and_then(|index| index.checked_sub(shown.start)),
        has_header: false,
    }
}

/// How many rows the overview's list of models would like, borders included.
pub fn wanted_height(rows: usize, lines: usize) -> u16 {
    let header = usize::from(rows > 0);
    u16::try_from(rows + lines + header + 2).unwrap_or(u16::MAX).max(3)
}

/// What the overview says above its models.
pub fn overview_title(scene: &Scene<'_>, rows: usize) -> Vec<Span<'static>> {
    let held = scene.snapshot.models_held();
    let loaded = match rows == 0 && !runtimes::is_any_answering(scene.snapshot) {
        true => "not known".to_owned(),
        false => format!("{rows} loaded"),
    };
    let mut title = vec![span("models ", Role::Title), span(loaded, Role::Dim)];
    if !held.is_zero() {
        title.push(span(format!(", {held} held here"), Role::Dim));
    }
    title.extend(how_shown(scene, &scene.ui.models));
    title
}
