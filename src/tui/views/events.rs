//! Events, newest first: the latest on the overview, all of them on their page.

use ratatui::layout::Rect;

use super::models::{draw_position, how_shown};
use crate::domain::event::{Event, EventBody};
use crate::domain::plan::Verdict;
use crate::domain::rule::RuleMode;
use crate::tui::rows;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::badge;
use crate::tui::widgets::canvas::{Canvas, span};
use crate::tui::widgets::figures::{day_and_time, hour_and_minute, time_of_day};
use crate::tui::widgets::table::window;

/// Room for the longest title of an event.
const TITLE: u16 = 17;

/// Below this an event is told in the fewest words.
const NARROW: u16 = 62;

/// From here the page has room for the day beside the time.
const WITH_DAY: u16 = 90;

/// The page.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let rows = rows::event_rows(scene.snapshot, scene.ui);
    let mut title = vec![span("events", Role::Title)];
    let is_chosen = scene.ui.event_kind.is_some() || !scene.ui.filter.is_empty();
    if area.width >= NARROW || !is_chosen {
        title.push(span(format!(" {}", rows.len()), Role::Dim));
    }
    if let Some(kind) = scene.ui.event_kind {
        title.push(span(" · only ", Role::Dim));
        title.push(span(kind.word(), Role::Accent));
    }
    title.extend(how_shown(scene, &scene.ui.events));
    let inside = canvas.frame(area, &title);
    if rows.is_empty() {
        let text = match scene.ui.filter.is_empty() && scene.ui.event_kind.is_none() {
            true => "nothing has happened yet",
            false => "nothing matches the filter",
        };
        canvas.text(inside, text, Role::Dim);
        return;
    }
    let selected = rows::selected_index(&rows, &scene.ui.events);
    let shown = window(rows.len(), selected, inside.height);
    for (index, y) in shown.clone().zip(inside.y..) {
        let row = Rect { y, height: 1, ..inside };
        draw_event(canvas, row, scene, rows[index]);
        if selected == Some(index) {
            let whole = Rect { x: row.x - 1, width: row.width + 2, ..row };
            canvas.text(whole, "▸", Role::Accent);
            canvas.tint(whole, Role::Selected);
        }
    }
    canvas.rows_at(inside, shown.start);
    draw_position(canvas, area, (shown.len(), rows.len(), selected));
}

/// The overview's box: standing bad news, then the latest.
pub fn draw_latest(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut inside = canvas.frame(area, &[span("events", Role::Title)]);
    for notice in scene.snapshot.notices.iter().rev().take(2) {
        if inside.height < 2 {
            break;
        }
        canvas.text(Rect { height: 1, ..inside }, &notice.text, Role::Bad);
        inside.y += 1;
        inside.height -= 1;
    }
    if scene.snapshot.events.value.is_empty() {
        canvas.text(inside, "nothing has happened yet", Role::Dim);
    }
    for (event, y) in latest(scene).zip(inside.y..inside.bottom()) {
        draw_event(canvas, Rect { y, height: 1, ..inside }, scene, event);
    }
}

/// Newest first. Where an action has ended, that it was asked for is no news;
/// its page has both.
fn latest<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Event> {
    let mut ended = Vec::new();
    scene.snapshot.events.value.iter().rev().filter(move |event| match &event.body {
        EventBody::ActionEnded { id, .. } => {
            ended.push(id);
            true
        }
        EventBody::ActionStarted { id, .. } => !ended.contains(&id),
        _ => true,
    })
}

fn draw_event(canvas: &mut Canvas<'_>, row: Rect, scene: &Scene<'_>, event: &Event) {
    let now = scene.snapshot.at.wall;
    if row.width < NARROW {
        return draw_briefly(canvas, row, scene, event);
    }
    let time = match row.width >= WITH_DAY && scene.ui.page == crate::tui::state::Page::Events {
        true => day_and_time(event.time, scene.time_zone),
        false => time_of_day(event.time, now, scene.time_zone),
    };
    let mut pen = canvas.pen(row);
    pen.put(&time, Role::Dim);
    let at = pen.x + 2;
    pen.skip_to(at);
    pen.put(&titled(event), role_of(event));
    pen.skip_to((at + TITLE).max(pen.x + 2));
    pen.all(&[span(event.body.text(), Role::Dim)]);
}

/// A level's glyph stands before its word, here as everywhere.
fn titled(event: &Event) -> String {
    match &event.body {
        EventBody::LevelChanged { to, .. } => format!("{} {}", badge::glyph(*to), to.word()),
        body => body.title(),
    }
}

fn role_of(event: &Event) -> Role {
    match &event.body {
        EventBody::OomKill { .. }
        | EventBody::RuntimeDown { .. }
        | EventBody::LoadForced { .. }
        | EventBody::HookRan { result: Err(_), .. } => Role::Bad,
        EventBody::Proposed { mode: RuleMode::Confirm, .. } | EventBody::Foreseen { .. } => {
            Role::Accent
        }
        EventBody::ActionEnded { outcome, .. } => match outcome.result {
            Verdict::Failed { .. } | Verdict::Stuck => Role::Bad,
            Verdict::Done => Role::Good,
            Verdict::Unconfirmed | Verdict::Already | Verdict::StillGenerating => Role::Text,
        },
        _ => Role::Text,
    }
}

/// Bare rows for forty columns.
pub fn draw_short(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    for (event, y) in latest(scene).zip(area.y..area.bottom()) {
        let row = Rect { x: area.x + 1, width: area.width - 1, y, height: 1 };
        draw_briefly(canvas, row, scene, event);
    }
}

/// Hour and minute, and the least that tells it.
fn draw_briefly(canvas: &mut Canvas<'_>, row: Rect, scene: &Scene<'_>, event: &Event) {
    let time = hour_and_minute(event.time, scene.snapshot.at.wall, scene.time_zone);
    let (title, text) = briefly(event);
    let mut pen = canvas.pen(row);
    pen.put(&format!("{time:<6}"), Role::Dim);
    pen.all(&[span(title, role_of(event)), span(" ", Role::Dim), span(text, Role::Dim)]);
}

/// The least that tells an event: at forty columns the figure must be seen.
fn briefly(event: &Event) -> (String, String) {
    match &event.body {
        EventBody::LevelChanged { cause: Some(cause), .. } => (titled(event), cause.text.clone()),
        EventBody::ActionEnded { outcome, .. } => match (&outcome.result, outcome.freed) {
            (Verdict::Done, Some(freed)) => {
                (outcome.action.subject().to_owned(), format!("gave {freed}"))
            }
            _ => (titled(event), outcome.action.subject().to_owned()),
        },
        EventBody::ModelLoaded { model, .. } => (model.clone(), "is in".to_owned()),
        EventBody::ModelGone { model, freed: Some(freed), .. } => {
            (model.clone(), format!("gave {freed}"))
        }
        EventBody::ModelGone { model, .. } => (model.clone(), "is out".to_owned()),
        EventBody::LoadRefused { model, lacks, .. } => (model.clone(), format!("lacks {lacks}")),
        EventBody::LoadForced { model, lacks, .. } => {
            (model.clone(), format!("forced, lacks {lacks}"))
        }
        body => (titled(event), body.text()),
    }
}
