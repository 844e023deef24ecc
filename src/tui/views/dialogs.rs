//! Dialogs: what is about to be done and asked for, over the page.

mod details;
mod setting;
mod why;

use ratatui::layout::Rect;

use super::help::told;
use super::{fit, header, plan, proposal};
use crate::domain::plan::Strength;
use crate::tui::keymap::Intent;
use crate::tui::scene::Scene;
use crate::tui::state::{Dialog, KEEP_CHOICES, NoRoom, PlanView};
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, cells, span, wrap};
use crate::tui::widgets::dialog::{self, Line};

pub fn draw(canvas: &mut Canvas<'_>, screen: Rect, scene: &Scene<'_>, open: &Dialog) {
    // Long sentences wrap where the box would touch the screen's edges.
    let margin = if screen.width < 60 { 4 } else { 8 };
    let width = usize::from(screen.width.saturating_sub(margin)).min(92);
    let (title, lines) = match open {
        Dialog::Cleanup { strength, plan } => {
            ("cleanup".to_owned(), cleanup_lines(*strength, plan, width))
        }
        Dialog::Confirm { title, plan, warning } => {
            let mut lines = Vec::new();
            // First: it must be seen on the smallest screen.
            if let Some(warning) = warning {
                lines.extend(sentence(warning, width, Role::Bad));
                lines.push(Vec::new());
            }
            lines.extend(plan_lines(plan, width));
            (title.clone(), lines)
        }
        Dialog::Keep { model, chosen } => (format!("keep {model}"), dial(*chosen, "")),
        Dialog::Load { model, chosen, is_asked } => {
            let mut lines = fit::refusal(scene, model, width);
            lines.extend(dial(*chosen, "then it stays "));
            if *is_asked {
                lines.push(vec![span("asked whether there is room", Role::Dim)]);
            }
            lines.push(Vec::new());
            lines.extend(fit::at_load(scene, model, width));
            (format!("load {model}"), lines)
        }
        Dialog::NoRoom(refused) => {
            (format!("no room for {}", refused.fit.model), no_room_lines(refused, scene, width))
        }
        Dialog::Force(refused) => {
            (format!("load {} by force", refused.fit.model), force_lines(refused, width))
        }
        Dialog::Fit(model) => (format!("does {model} fit?"), fit::whole(scene, model, width)),
        Dialog::EndRunner { process, name } => {
            let text = format!(
                "ends the process {name} (pid {}): asked first, then forced; its server goes on",
                process.pid
            );
            ("end runner".to_owned(), sentence(&text, width, Role::Text))
        }
        Dialog::Why(view) => ("why".to_owned(), why::lines(scene, view, width)),
        Dialog::Proposal(asked) => ("a rule asks".to_owned(), proposal::lines(asked, scene, width)),
        Dialog::Setting { rule, mode, view } => {
            (rule.name(), setting::lines(scene, (*rule, *mode, view), width))
        }
        Dialog::Details(subject) => details::lines(scene, subject, width),
        Dialog::Quit { loads } => {
            let names: Vec<&str> = loads.iter().map(|name| name.short()).collect();
            let text = format!("leaving now cuts off the load of {}", names.join(", "));
            ("quit".to_owned(), sentence(&text, width, Role::Text))
        }
    };
    // Below the load line where there is room: what would go is seen on it.
    let head = header::height(scene, screen);
    let below = Rect { y: screen.y + head, height: screen.height - head, ..screen };
    let fits = lines.len() + 2 <= usize::from(below.height);
    // The level line stays in sight whatever is asked.
    let under_level = Rect { y: screen.y + 1, height: screen.height - 1, ..screen };
    let scroll = scene.ui.dialog_scroll;
    dialog::draw(canvas, if fits { below } else { under_level }, &title, (&lines, scroll));
}

pub(super) fn sentence(text: &str, width: usize, role: Role) -> Vec<Line> {
    wrap(text, width).into_iter().map(|line| vec![span(line, role)]).collect()
}

/// The strengths in a row, the one chosen marked; below it its plan.
fn cleanup_lines(chosen: Strength, view: &PlanView, width: usize) -> Vec<Line> {
    let mut row: Line = Vec::with_capacity(6);
    for strength in Strength::ALL {
        row.extend(choice(strength.word(), strength == chosen));
    }
    let meaning = match chosen {
        Strength::Light => "idle models of priority low or medium",
        Strength::Aggressive => "idle models of any priority but critical",
        Strength::Force => "every model that is not pinned, busy ones too",
    };
    let mut lines = vec![row];
    lines.extend(sentence(meaning, width, Role::Dim));
    lines.push(Vec::new());
    lines.extend(plan_lines(view, width));
    lines
}

/// What lacks, then the plan that makes room, or what else would help.
fn no_room_lines(refused: &NoRoom, scene: &Scene<'_>, width: usize) -> Vec<Line> {
    let mut lines = fit::lacking(&refused.fit, width);
    lines.push(Vec::new());
    match &refused.plan {
        Some(ready) if !ready.steps.is_empty() => {
            lines.extend(plan::proposed_lines(ready, width));
        }
        _ => lines.extend(sentence(&fit::words(&refused.fit).verdict(), width, Role::Text)),
    }
    let key = scene.keymap.key_for(Intent::Force);
    let text = format!("{key} loads it all the same, after one more question");
    lines.extend(sentence(&text, width, Role::Dim));
    lines
}

fn force_lines(refused: &NoRoom, width: usize) -> Vec<Line> {
    let mut lines = fit::lacking(&refused.fit, width);
    let text = "what lacks is taken from others: they are swapped out, or the kernel ends one";
    lines.extend(sentence(text, width, Role::Text));
    lines
}

fn choice(word: &'static str, is_chosen: bool) -> [crate::tui::widgets::canvas::Span<'static>; 2] {
    match is_chosen {
        true => [span("▸", Role::Accent), span(format!("{word}  "), Role::Title)],
        false => [span(" ", Role::Dim), span(format!("{word}  "), Role::Dim)],
    }
}

fn plan_lines(view: &PlanView, width: usize) -> Vec<Line> {
    match view {
        PlanView::Waiting => vec![vec![span("working out the plan", Role::Dim)]],
        PlanView::Ready(ready) => plan::proposed_lines(ready, width),
        PlanView::Refused(reason) => sentence(&format!("refused: {reason}"), width, Role::Bad),
    }
}

/// The dial of minutes, the chosen one marked.
fn dial(chosen: usize, word: &'static str) -> Vec<Line> {
    let mut row: Line = Vec::with_capacity(KEEP_CHOICES.len() * 2);
    for (index, minutes) in KEEP_CHOICES.iter().enumerate() {
        let text = match minutes {
            None => "ever".to_owned(),
            // The unit once, or the dial is wider than forty columns.
            Some(minutes) if index == 0 => format!("{minutes} min"),
            Some(minutes) if minutes % 60 == 0 => format!("{} h", minutes / 60),
            Some(minutes) => minutes.to_string(),
        };
        match index == chosen {
            true => row.extend([span("▸", Role::Accent), span(format!("{text} "), Role::Title)]),
            false => row.push(span(format!(" {text} "), Role::Dim)),
        }
    }
    let told = match KEEP_CHOICES.get(chosen).copied().flatten() {
        None => "for ever: until it is unloaded".to_owned(),
        Some(minutes) if minutes % 60 == 0 => format!("{} h after its last use", minutes / 60),
        Some(minutes) => format!("{minutes} min after its last use"),
    };
    vec![row, vec![span(word, Role::Dim), span(told, Role::Text)]]
}

/// Every key with its sentence, by section, from the table of keys.
pub fn key_lines(scene: &Scene<'_>, width: u16) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut section = "";
    let help = scene.keymap.help();
    let longest = help.iter().map(|line| cells(&line.key)).max().unwrap_or_default() + 2;
    let column = longest.min(width / 3);
    for line in help {
        if line.section != section {
            if !section.is_empty() {
                lines.push(Vec::new());
            }
            lines.push(vec![span(line.section, Role::Header)]);
            section = line.section;
        }
        lines.extend(told(&line.key, line.text, (column, width)));
    }
    lines
}
