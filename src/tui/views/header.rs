//! The rows every page begins with: the level line and the load line.

use std::ops::Range;

use ratatui::layout::Rect;

use crate::domain::bytes::Bytes;
use crate::domain::component::ComponentKind;
use crate::domain::forecast::Forecast;
use crate::domain::level::{Headroom, Level};
use crate::domain::rule::RuleMode;
use crate::domain::snapshot::{Mode, Snapshot};
use crate::domain::time::Span as TimeSpan;
use crate::tui::rows;
use crate::tui::scene::Scene;
use crate::tui::state::{Dialog, Page, PlanView};
use crate::tui::theme::Role;
use crate::tui::views::fit;
use crate::tui::views::overview;
use crate::tui::widgets::canvas::{Canvas, Pen, Span, cells, shorten, span};
use crate::tui::widgets::figures::{UNKNOWN, share};
use crate::tui::widgets::load_line::{self, GHOST, Ghost, Over, Parts};
use crate::tui::widgets::{badge, table};

/// The head of every page but the overview; what is left below it.
pub fn draw_above(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> Rect {
    draw_level(canvas, Rect { height: 1, ..area }, scene);
    let bar = Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: 1 };
    draw_bar(canvas, bar, scene);
    let rows = rows_above(scene, area);
    if rows > 2
        && let Some(parts) = Parts::of(scene.snapshot)
    {
        draw_legend(canvas, Rect { y: area.y + 2, ..bar }, (&parts, scene));
    }
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

/// Rows of the head where there is no overview: on the page that asks what a
/// load would do, what lies on the bar is named.
fn rows_above(scene: &Scene<'_>, area: Rect) -> u16 {
    let is_named = scene.ui.page == Page::Models && !overview::is_compact(area);
    2 + u16::from(is_named)
}

/// Rows the level line and the load line take at the top of the page.
pub fn height(scene: &Scene<'_>, screen: Rect) -> u16 {
    let rows = match scene.ui.page {
        Page::Overview => overview::head(screen),
        _ => rows_above(scene, screen),
    };
    rows.min(screen.height)
}

/// Level, headroom, what set it; at the right where and by which profile.
pub fn draw_level(canvas: &mut Canvas<'_>, row: Rect, scene: &Scene<'_>) {
    let snapshot = scene.snapshot;
    if snapshot.sample.is_none() {
        // Before anything was read there is no level, and normal would be a lie.
        canvas.text(row, &format!(" level {UNKNOWN}, nothing read yet"), Role::Dim);
        return draw_where(canvas, Rect { width: row.width - 1, ..row }, snapshot, 28);
    }
    let used = badge::draw(canvas, row, snapshot.level.level);
    let mut pen = canvas.pen(Rect { x: row.x + used, width: row.width - used, ..row });
    let level_role = badge::role(snapshot.level.level);
    pen.put(" ", Role::Text);
    draw_room(&mut pen, snapshot, level_role);
    if let Some(since) = since(snapshot) {
        pen.whole(&[span(" · ", Role::Faint), span(since, Role::Text)]);
    }
    let from = pen.x + 3 - row.x;
    draw_where(canvas, Rect { width: row.width - 1, ..row }, snapshot, from);
}

/// The headroom and how long it lasts, each in as many words as both leave
/// room for. Nothing stands where nothing can be told.
fn draw_room(pen: &mut Pen<'_, '_>, snapshot: &Snapshot, level_role: Role) {
    let (role, long, short) = match &snapshot.headroom {
        Headroom::Known { bytes, to } => {
            (level_role, format!("{bytes} to {to}"), format!("{bytes} left"))
        }
        Headroom::Unknown { reason } => {
            let short = format!("headroom {UNKNOWN}");
            (Role::Dim, format!("headroom {UNKNOWN} ({reason})"), short)
        }
    };
    if let Some(forecast) = &snapshot.forecast {
        let words = [
            (&long, forecast.text()),
            (&long, forecast_shortly(forecast)),
            (&short, forecast_shortly(forecast)),
        ];
        for (room, ahead) in words {
            let pieces =
                [span(room.as_str(), role), span(" · ", Role::Faint), span(ahead, Role::Accent)];
            if pen.whole(&pieces) {
                return;
            }
        }
    }
    if !pen.put(&long, role) {
        pen.put(&short, role);
    }
}

/// `warn ~5 min`
fn forecast_shortly(forecast: &Forecast) -> String {
    let middle = (forecast.soonest.saturating_add(forecast.latest)) / 2;
    format!("{} ~{}", load_line::short_word(forecast.to), TimeSpan(middle))
}

/// `warning since 2 min: memory 78 %`; a level that has only begun says no time.
fn since(snapshot: &Snapshot) -> Option<String> {
    let state = &snapshot.level;
    let span = snapshot.at.since(state.since);
    let is_new = span.as_secs() < 10;
    let span = TimeSpan(span);
    let level = state.level.word();
    match &state.set_by {
        Some(cause) if is_new => Some(format!("{level} just now: {}", cause.text)),
        Some(cause) => Some(format!("{level} since {span}: {}", cause.text)),
        None if is_new => None,
        None if state.level == Level::Normal => Some(format!("{level} for {span}")),
        None => Some(format!("{level} since {span}")),
    }
}

/// Host, profile and mode at the right: as much as fits whole beside what stands
/// in the first columns.
fn draw_where(canvas: &mut Canvas<'_>, row: Rect, snapshot: &Snapshot, from: u16) {
    let room = Rect { x: row.x + from, width: row.width.saturating_sub(from), ..row };
    // A newcomer must not take the play for this machine.
    let mode = match snapshot.mode {
        Mode::Live => "",
        Mode::Demo => "simulated",
        Mode::Replay => "replay",
    };
    let host = match snapshot.mode {
        Mode::Demo => "",
        Mode::Live | Mode::Replay => &snapshot.host.name,
    };
    let profile = snapshot.profile.name.as_str();
    let named = format!("profile {profile}");
    let rules = rules_stand(snapshot).unwrap_or_default();
    let mode = match (mode, rules) {
        ("", rules) => rules,
        (mode, rules) if rules.is_empty() => mode.to_owned(),
        (mode, rules) => format!("{rules} · {mode}"),
    };
    let mode = mode.as_str();
    // Which machine it is counts most where several windows look alike.
    for pieces in [[host, &named, mode], [host, profile, mode], [host, "", mode], ["", "", mode]] {
        let pieces: Vec<&str> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let text = pieces.join(" · ");
        if cells(&text) <= room.width {
            return canvas.text_right(room, &text, Role::Dim);
        }
    }
}

/// That rules may do something by themselves must be seen without looking for
/// it; that they only observe needs no word.
fn rules_stand(snapshot: &Snapshot) -> Option<String> {
    let furthest = snapshot.rules.furthest;
    (furthest >= RuleMode::Confirm).then(|| format!("rules: {furthest}"))
}

/// The bar, or why there is none.
pub fn draw_bar(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(parts) = Parts::of(scene.snapshot) else {
        canvas.text(area, &no_memory(scene.snapshot), Role::Dim);
        return;
    };
    let picked = picked(scene);
    let ghost = ghost(scene);
    let over = Over { marks: &scene.snapshot.marks, picked: &picked, ghost: ghost.as_ref() };
    load_line::draw(canvas, area, &parts, &over);
}

/// The load that is considered, or that an open dialog asks about.
fn ghost(scene: &Scene<'_>) -> Option<Ghost> {
    let model = match &scene.ui.dialog {
        Some(Dialog::Load { model, .. } | Dialog::Fit(model)) => model,
        Some(Dialog::NoRoom(refused) | Dialog::Force(refused)) => {
            return Ghost::of(&refused.fit);
        }
        Some(Dialog::Cleanup { .. } | Dialog::Confirm { .. } | Dialog::Proposal(_)) => return None,
        _ if !matches!(scene.ui.page, Page::Overview | Page::Models) => return None,
        _ => scene.ui.considered.as_ref()?,
    };
    Ghost::of(scene.snapshot.fits.value.of(model)?)
}

fn no_memory(snapshot: &Snapshot) -> String {
    match snapshot.sample.as_deref().map(|sample| &sample.memory) {
        None => "waiting for the first sample".to_owned(),
        Some(Err(fault)) => format!("memory unavailable: {fault}"),
        Some(Ok(_)) => String::new(),
    }
}

/// What is picked out: the shares a plan would take off while it is shown,
/// else the selected row's.
fn picked(scene: &Scene<'_>) -> Vec<Range<Bytes>> {
    let plan = match &scene.ui.dialog {
        Some(Dialog::Cleanup { plan, .. } | Dialog::Confirm { plan, .. }) => match plan {
            PlanView::Ready(plan) => plan,
            PlanView::Waiting | PlanView::Refused(_) => return Vec::new(),
        },
        Some(Dialog::Proposal(asked)) => &asked.plan,
        _ => match rows::selected_rule(scene.snapshot, scene.ui).and_then(|row| row.level()) {
            Some(level) => &level.plan,
            None => return picked_row(scene).into_iter().collect(),
        },
    };
    let models = plan.steps.iter().filter_map(|step| scene.snapshot.model(step.action.model()?));
    models.filter_map(|model| load_line::share_of_model(scene.snapshot, model)).collect()
}

fn picked_row(scene: &Scene<'_>) -> Option<Range<Bytes>> {
    let (snapshot, ui) = (scene.snapshot, scene.ui);
    if let Some(model) = rows::selected_model(snapshot, ui).and_then(|row| row.loaded()) {
        return load_line::share_of_model(snapshot, model);
    }
    if ui.page != Page::Components {
        return None;
    }
    let component = rows::selected_component(snapshot, ui)?;
    let held = component.footprint?.bytes;
    // A program's share is picked out at the start of all programs.
    let start = match component.kind {
        ComponentKind::Server
        | ComponentKind::Process
        | ComponentKind::Foreign
        | ComponentKind::Container
        | ComponentKind::Service => Parts::of(snapshot)?.parts[0].bytes,
        ComponentKind::Model | ComponentKind::Runner | ComponentKind::Orphan => Bytes::ZERO,
    };
    Some(start..start + held)
}

/// The bar in its box: figures in the border, parts named below.
pub fn draw_bar_box(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let snapshot = scene.snapshot;
    let Some(parts) = Parts::of(snapshot) else {
        let inside = canvas.frame(area, &[span("memory", Role::Title)]);
        canvas.text(inside, &no_memory(snapshot), Role::Dim);
        return;
    };
    let title = title(snapshot);
    let inside = canvas.frame(area, &title);
    let named: u16 = title.iter().map(|(text, _)| cells(text)).sum();
    let bar = Rect { height: inside.height.saturating_sub(1), ..inside };
    let names = Rect { y: area.y, height: 1, ..bar };
    load_line::draw_mark_names(canvas, names, area.x + named + 5, (&parts, &snapshot.marks));
    draw_bar(canvas, bar, scene);
    let legend = Rect { y: bar.bottom(), height: 1, ..inside };
    draw_legend(canvas, legend, (&parts, scene));
}

fn title(snapshot: &Snapshot) -> Vec<Span<'static>> {
    let sample = snapshot.sample.as_deref();
    let Some(memory) = sample.and_then(|sample| sample.memory.as_ref().ok()) else {
        return vec![span("memory", Role::Title)];
    };
    let mut title = vec![
        span("memory ", Role::Title),
        span(share(memory.used(), memory.total), Role::Text),
        span(" used", Role::Dim),
    ];
    if let Some(used) = memory.used().share_of(memory.total) {
        title.push(span(" · ", Role::Faint));
        title.push(span(format!("{:.0} %", used.get()), Role::Text));
    }
    title
}

/// How much a legend says, most first.
#[derive(Clone, Copy)]
struct Legend {
    /// What the servers report stands beside what the models hold.
    said: bool,
    units: bool,
    /// Parts too slight to be seen in the bar are named too.
    slight: bool,
    gap: &'static str,
}

const LEGENDS: [Legend; 5] = [
    Legend { said: true, units: true, slight: true, gap: "    " },
    Legend { said: true, units: true, slight: true, gap: "  " },
    Legend { said: false, units: true, slight: true, gap: "   " },
    Legend { said: false, units: false, slight: true, gap: "  " },
    Legend { said: false, units: false, slight: false, gap: "  " },
];

/// Each part with its fill, name and figure; words go before figures do. A
/// ghost stands at the right, whatever else there is no room for.
fn draw_legend(canvas: &mut Canvas<'_>, row: Rect, (parts, scene): (&Parts, &Scene<'_>)) {
    let mut row = row;
    if let Some(ghost) = ghost(scene) {
        row.width = draw_ghost(canvas, row, &ghost);
    }
    for legend in LEGENDS {
        let pieces: Vec<_> =
            legend_parts(legend, parts, scene.snapshot).into_iter().flatten().collect();
        let width: u16 = pieces.iter().map(|(text, _)| cells(text)).sum();
        if width <= row.width {
            return table::draw_line(canvas, row, &pieces);
        }
    }
    let mut pen = canvas.pen(row);
    for part in legend_parts(LEGENDS[4], parts, scene.snapshot) {
        if !pen.whole(&part) {
            return;
        }
    }
}

/// `╱ ghost gemma3:1b ~+1.3 GiB → critical`; the columns left of it.
fn draw_ghost(canvas: &mut Canvas<'_>, row: Rect, ghost: &Ghost) -> u16 {
    let enters = ghost.crosses.map_or(String::new(), |level| format!(" → {level}"));
    let model = shorten(ghost.model.short(), usize::from(row.width / 3)).into_owned();
    let pieces = [
        span(String::from(GHOST), Role::Picked),
        span(" ghost ", Role::Dim),
        span(model, Role::Text),
        span(format!(" {}+{}", fit::mark(ghost.source), ghost.bytes), Role::Text),
        span(enters, Role::Text),
    ];
    let width: u16 = pieces.iter().map(|(text, _)| cells(text)).sum();
    let width = width.min(row.width);
    let area = Rect { x: row.right() - width, width, ..row };
    table::draw_line(canvas, area, &pieces);
    row.width.saturating_sub(width + 2)
}

fn legend_parts(legend: Legend, parts: &Parts, snapshot: &Snapshot) -> Vec<Vec<Span<'static>>> {
    // A hundredth is about a column of the narrowest bar with a legend.
    let least = if legend.slight { 0 } else { parts.total.get() / 100 };
    let mut named: Vec<Vec<Span<'_>>> = Vec::with_capacity(parts.parts.len());
    for part in parts.parts.iter().filter(|part| {
        part.bytes.get() > least || (part.role == Role::Models && !part.bytes.is_zero())
    }) {
        let mut pieces: Vec<Span<'_>> = Vec::with_capacity(6);
        if !named.is_empty() {
            pieces.push(span(legend.gap, Role::Dim));
        }
        let (figure, unit) = part.bytes.figure_and_unit();
        pieces.push(span(String::from(part.fill), part.role));
        pieces.push(span(format!(" {} ", part.name), Role::Dim));
        pieces.push(span(figure, Role::Text));
        if legend.units || unit != "GiB" {
            pieces.push(span(format!(" {unit}"), Role::Dim));
        }
        if legend.said && part.role == Role::Models {
            pieces.extend(said(snapshot));
        }
        named.push(pieces);
    }
    named
}

/// What the servers say of the same models, and what they leave out.
fn said(snapshot: &Snapshot) -> Option<Span<'static>> {
    let local = || snapshot.models.iter().filter(|model| !model.is_remote && !model.is_cloud);
    let reported: Bytes = local().filter_map(|model| model.reported).sum();
    let drift: i64 = local().filter_map(|model| model.drift()).map(|drift| drift.get()).sum();
    if reported.is_zero() {
        return None;
    }
    let sign = if drift < 0 { '-' } else { '+' };
    let drift = Bytes::new(drift.unsigned_abs()).in_gib();
    Some(span(format!(" (reported {}, drift {sign}{drift})", reported.in_gib()), Role::Dim))
}
