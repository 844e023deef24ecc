//! The models page's table: what each takes and whether it fits now; below it
//! the sum for the selected one.

use ratatui::layout::Rect;

use super::{drift, marked_name, or_dash, sized, state_role};
use crate::domain::component::FootprintSource;
use crate::domain::fit::{Fit, FitVerdict};
use crate::domain::model::{InstalledModel, ModelView};
use crate::tui::rows::{self, ModelRow};
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::views::fit;
use crate::tui::widgets::canvas::{Canvas, Span, span};
use crate::tui::widgets::figures::{
    UNKNOWN, aligned, course, doing, doing_shortly, grouped, leaves, or_unknown, place, priority,
};
use crate::tui::widgets::table::{Cell, Column, Kind, column, draw_line};

pub const COLUMNS: [Column; 13] = [
    column("model", Kind::Name, 0),
    column("params", Kind::Figure, 10),
    column("quant", Kind::Text, 11),
    column("needs", Kind::Figure, 1).at_least(8),
    column("how known", Kind::Text, 4),
    column("drift", Kind::Figure, 6),
    column("reported", Kind::Figure, 8),
    column("context", Kind::Figure, 5).at_least(7),
    column("up to", Kind::Figure, 7).at_least(7),
    // As wide as most of what may stand there: columns must not jump.
    column("now", Kind::Text, 2).at_least(13),
    column("then", Kind::Text, 3).at_least(16),
    column("where", Kind::Text, 9),
    column("priority", Kind::Text, 12),
];

/// From this height of the page on the selected model's sum has room.
const WITH_SUM: u16 = 16;

/// Lines of the sum: enough for what is said of most at that width.
const fn sum_lines(width: u16) -> u16 {
    if width < 100 { 5 } else { 4 }
}

/// The lower part of the page, for the sum; what is left above it.
pub fn split(area: Rect, is_empty: bool) -> (Rect, Option<Rect>) {
    if area.height < WITH_SUM || area.width < super::NARROW || is_empty {
        return (area, None);
    }
    let height = sum_lines(area.width) + 2;
    let upper = Rect { height: area.height - height, ..area };
    (upper, Some(Rect { y: upper.bottom(), height, ..area }))
}

/// The sum of the selected model, as many of its lines as there is room for.
pub fn draw_sum(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, row: &ModelRow<'_>) {
    let name = row.name();
    let mut title = vec![span(name.to_string(), Role::Title)];
    title.extend(dialled(scene, row));
    let inside = canvas.frame(area, &title);
    let width = usize::from(inside.width);
    let mut lines = match row {
        ModelRow::Installed(model) if model.is_cloud => {
            vec![vec![span("runs in the cloud: it needs nothing here", Role::Dim)]]
        }
        ModelRow::Loaded(model) if model.is_remote || model.is_cloud => {
            vec![vec![span("runs elsewhere: it needs nothing here", Role::Dim)]]
        }
        ModelRow::Loaded(model) => {
            let mut lines = vec![loaded_line(model)];
            lines.extend(fit::summary(scene, name, width));
            lines
        }
        ModelRow::Installed(_) => fit::summary(scene, name, width),
    };
    let is_cut = lines.len() > usize::from(inside.height);
    lines.truncate(usize::from(inside.height));
    for (line, y) in lines.iter().zip(inside.y..inside.bottom()) {
        draw_line(canvas, Rect { y, height: 1, ..inside }, line);
    }
    if is_cut {
        let key = scene.keymap.key_for(crate::tui::keymap::Intent::Fit);
        let row = Rect { y: area.y, height: 1, width: area.width - 2, ..area };
        canvas.text_right(row, &format!(" {key}: all of it "), Role::Dim);
    }
}

/// What a loaded model holds, by each source.
fn loaded_line(model: &ModelView) -> Vec<Span<'static>> {
    let measured = or_unknown(model.measured.map(|(bytes, _)| bytes));
    let reported = or_unknown(model.reported);
    let mut line = vec![
        span("holds ", Role::Dim),
        span(measured, Role::Text),
        span(" measured, ", Role::Dim),
        span(reported, Role::Text),
        span(" reported", Role::Dim),
    ];
    if let Some(known) = model.course {
        line.push(span(format!(", {}", course(known)), Role::Text));
    }
    line
}

/// How the dial stands, where it was turned.
pub fn dialled(scene: &Scene<'_>, row: &ModelRow<'_>) -> Option<Span<'static>> {
    let dial = scene.ui.dial.as_ref().filter(|dial| dial.model == *row.name())?;
    let context = dial.context.map(|context| format!("context {}", grouped(context)));
    let kv_type = dial.kv_type.map(|kind| format!("kv {kind}"));
    let words: Vec<String> = context.into_iter().chain(kv_type).collect();
    Some(span(format!(" · {}", words.join(", ")), Role::Accent))
}

pub fn cells_of(row: &ModelRow<'_>, scene: &Scene<'_>) -> Vec<Cell> {
    match row {
        ModelRow::Loaded(model) => loaded_cells(model, scene),
        ModelRow::Installed(model) => installed_cells(model, scene),
    }
}

fn loaded_cells(model: &ModelView, scene: &Scene<'_>) -> Vec<Cell> {
    let now = scene.snapshot.at;
    let known = match (model.measured, model.reported) {
        (Some(_), _) => FootprintSource::Measured.word(),
        (None, Some(_)) => FootprintSource::Reported.word(),
        (None, None) => UNKNOWN,
    };
    vec![
        Cell::new(marked_name(model), Role::Text),
        or_dash(model.parameters.as_deref()),
        or_dash(model.quantization.as_deref()),
        sized(model.held(), Role::Text),
        Cell::new(known, Role::Dim),
        drift(model.drift()),
        sized(model.reported, Role::Dim),
        or_dash(model.context.map(grouped).as_deref()),
        Cell::new("", Role::Dim),
        Cell::new(doing(model, now), state_role(model)),
        Cell::new(goes(&leaves(model, now.wall)), Role::Dim),
        Cell::new(place(model), Role::Dim),
        Cell::new(priority(model.priority, model.pinned), Role::Dim),
    ]
}

/// When a loaded model leaves by itself, as a sentence of its own.
fn goes(leaves: &str) -> String {
    match leaves {
        "never" => "stays".to_owned(),
        UNKNOWN => UNKNOWN.to_owned(),
        when => format!("leaves {when}"),
    }
}

fn installed_cells(model: &InstalledModel, scene: &Scene<'_>) -> Vec<Cell> {
    let id = rows::component_id(&model.name);
    let component = scene.snapshot.components.value.iter().find(|known| known.id == id);
    let fit = scene.snapshot.fits.value.of(&model.name).filter(|_| !model.is_cloud);
    let blank = || Cell::new("", Role::Dim);
    let (now, then) = now_and_then(model, fit);
    vec![
        Cell::new(model.name.short(), Role::Dim),
        or_dash(model.parameters.as_deref()),
        or_dash(model.quantization.as_deref()),
        needed(model, fit),
        Cell::new(fit.map_or("", |fit| fit.need.source().word()), Role::Dim),
        blank(),
        blank(),
        Cell::new(fit.map_or(String::new(), |fit| grouped(fit.settings.context)), Role::Dim),
        Cell::new(fit.map_or(String::new(), up_to), Role::Dim),
        now,
        then,
        Cell::new(if model.is_cloud { "cloud" } else { "" }, Role::Dim),
        Cell::new(component.map_or("", |known| known.priority.word()), Role::Dim),
    ]
}

/// The largest context that fits now.
fn up_to(fit: &Fit) -> String {
    fit.max_context.map_or_else(|| UNKNOWN.to_owned(), grouped)
}

/// What it would take, with the mark of how that is known.
pub fn needed(model: &InstalledModel, fit: Option<&Fit>) -> Cell {
    if model.is_cloud {
        return Cell::new("", Role::Dim);
    }
    let Some(fit) = fit else { return sized(None, Role::Dim) };
    let (figure, unit) = aligned(Some(fit.need.bytes()));
    Cell::figure((format!("{}{figure}", fit::mark(fit.need.source())), unit), Role::Text)
}

/// The verdict in a word, and what comes of it or would help.
fn now_and_then(model: &InstalledModel, fit: Option<&Fit>) -> (Cell, Cell) {
    if model.is_cloud {
        return (Cell::new("in the cloud", Role::Dim), Cell::new("", Role::Dim));
    }
    let Some(fit) = fit else {
        let on_disk = format!("on disk {}", or_unknown(model.disk));
        return (Cell::new(UNKNOWN, Role::Dim), Cell::new(on_disk, Role::Dim));
    };
    let then = match fit.verdict {
        FitVerdict::Fits => fit.crosses.map_or(String::new(), |level| format!("→ {level}")),
        FitVerdict::FitsAfterUnload => match fit.unload.as_slice() {
            [] => String::new(),
            [one] => format!("unload {}", one.name),
            [one, more @ ..] => format!("unload {}, {} more", one.name, more.len()),
        },
        FitVerdict::FitsSmaller => {
            fit.smaller.map_or(String::new(), |it| fit::words(fit).smaller_settings(&it))
        }
        FitVerdict::FitsAfterFreeing => format!("free {}", fit.lacks()),
        FitVerdict::Never => format!("lacks {}", fit.lacks()),
    };
    let role = match fit.verdict {
        FitVerdict::Fits => Role::Good,
        FitVerdict::Never => Role::Dim,
        _ => Role::Text,
    };
    (Cell::new(fit.verdict.word(), role), Cell::new(then, Role::Dim))
}

/// The one word there is room for at forty columns.
pub fn shortly(row: &ModelRow<'_>, scene: &Scene<'_>) -> String {
    match row {
        ModelRow::Loaded(model) if model.is_remote => "remote".to_owned(),
        ModelRow::Loaded(model) => doing_shortly(model, scene.snapshot.at),
        ModelRow::Installed(model) if model.is_cloud => "cloud".to_owned(),
        ModelRow::Installed(model) => {
            let word = scene.snapshot.fits.value.of(&model.name).map_or(UNKNOWN, |fit| {
                match fit.verdict {
                    FitVerdict::FitsAfterUnload => "unload",
                    FitVerdict::FitsAfterFreeing => "freeing",
                    verdict => verdict.word(),
                }
            });
            word.to_owned()
        }
    }
}
