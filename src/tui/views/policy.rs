//! Policy: the rules by level, what each would do now and to whom not, and
//! what happened over the last day.

use ratatui::layout::Rect;

use super::help::told;
use super::plan;
use crate::domain::guard::{DayCounts, LevelView, PolicyView, StandingRule};
use crate::domain::hints::words;
use crate::domain::plan::Strength;
use crate::domain::rule::RuleMode;
use crate::tui::rows::{self, RuleRow};
use crate::tui::scene::Scene;
use crate::tui::state::Rule;
use crate::tui::theme::Role;
use crate::tui::widgets::badge;
use crate::tui::widgets::canvas::{Canvas, Span, span, wrap};
use crate::tui::widgets::dialog::Line;
use crate::tui::widgets::figures::{UNKNOWN, aligned};
use crate::tui::widgets::table::{Cell, Column, Kind, Table, column, draw_line, window};

const COLUMNS: [Column; 6] = [
    column("level", Kind::Text, 0),
    column("mode", Kind::Text, 0),
    column("strength", Kind::Text, 3),
    column("terms", Kind::Text, 4),
    // Wide enough that nothing moves when a plan changes.
    column("would now", Kind::Name, 0).at_least(28),
    column("frees", Kind::Figure, 2),
];

const NARROW_COLUMNS: [Column; 3] = [
    column("level", Kind::Name, 0),
    column("mode", Kind::Text, 1),
    column("would free", Kind::Figure, 2),
];

/// Below this there is one box, and the rest is in the details.
const BOXES: (u16, u16) = (62, 16);

/// From here what holds at any level stands beside the plan, not below it.
const WIDE: u16 = 110;

/// Room at the left for the names of the pages in the lowest border.
const LEAST_LEFT: u16 = 70;

pub fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(policy) = scene.snapshot.policy.as_deref() else {
        let inside = canvas.frame(area, &[span("policy", Role::Title)]);
        let text = "what the rules would do is not known yet";
        canvas.text(inside, text, Role::Dim);
        return;
    };
    let rows = rows::rule_rows(scene.snapshot);
    if area.width < BOXES.0 || area.height < BOXES.1 {
        return draw_rules(canvas, area, scene, &rows);
    }
    let waits = policy.waits.as_ref().map_or(0, |_| 1);
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(3 + waits);
    let height = height.min(area.height / 2);
    draw_rules(canvas, Rect { height, ..area }, scene, &rows);
    let rest = Rect { y: area.y + height, height: area.height - height, ..area };
    let selected = rows::selected_index(&rows, &scene.ui.rules).map(|index| rows[index]);
    if area.width >= WIDE {
        let left = (rest.width * 3 / 5).max(LEAST_LEFT);
        draw_selected(canvas, Rect { width: left, ..rest }, selected);
        draw_standing(canvas, Rect { x: rest.x + left, width: rest.width - left, ..rest }, policy);
    } else {
        let width = usize::from(rest.width - 4);
        let boxed = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2);
        let standing = boxed(standing_lines(policy, width).len());
        // The plan is what the page is about: it keeps the larger half, where
        // it needs it.
        let least = standing.min(rest.height * 2 / 5).max(4);
        let wanted = boxed(selected_lines(selected, width).len());
        let above = wanted.min(rest.height - least);
        let below = rest.height - above;
        draw_selected(canvas, Rect { height: above, ..rest }, selected);
        draw_standing(canvas, Rect { y: rest.y + above, height: below, ..rest }, policy);
    }
}

fn draw_rules(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, rows: &[RuleRow<'_>]) {
    let mut title = vec![span("rules", Role::Title)];
    if area.width >= BOXES.0 {
        let profile = &scene.snapshot.profile.name;
        title.push(span(format!(" of profile {profile} and the config"), Role::Dim));
    }
    let mut inside = canvas.frame(area, &title);
    let waits = scene.snapshot.policy.as_ref().and_then(|policy| policy.waits.as_ref());
    let has_room = usize::from(inside.height) > rows.len() + 1;
    if let Some(waits) = waits.filter(|_| has_room) {
        let row = Rect { y: inside.bottom() - 1, height: 1, ..inside };
        draw_line(canvas, row, &[span("waits ", Role::Accent), span(waits.as_str(), Role::Text)]);
        inside.height -= 1;
    }
    let selected = rows::selected_index(rows, &scene.ui.rules);
    let is_narrow = area.width < BOXES.0;
    let has_header = usize::from(inside.height) > rows.len();
    let height = inside.height.saturating_sub(u16::from(has_header));
    let shown = window(rows.len(), selected, height);
    let cells_of = |row: &RuleRow<'_>| match is_narrow {
        true => narrow_cells(row, scene),
        false => cells(row, scene),
    };
    let table = Table {
        columns: if is_narrow { &NARROW_COLUMNS } else { &COLUMNS },
        rows: rows[shown.clone()].iter().map(cells_of).collect(),
        selected: selected.and_then(|index| index.checked_sub(shown.start)),
        has_header,
    };
    let from_border = Rect { x: inside.x - 1, width: inside.width + 1, ..inside };
    table.draw(canvas, from_border);
    if has_header {
        canvas.rows_below_header(from_border, shown.start);
    } else {
        canvas.rows_at(from_border, shown.start);
    }
}

fn cells(row: &RuleRow<'_>, scene: &Scene<'_>) -> Vec<Cell> {
    let [name, mode, frees] = common_cells(row, scene);
    let Some(view) = row.level() else {
        let text = match row {
            RuleRow::KillSwitch(_) => "ends named processes only",
            _ => "none goes beyond",
        };
        let none = || Cell::new("", Role::Dim);
        return vec![name, mode, none(), none(), Cell::new(text, Role::Dim), none()];
    };
    vec![
        name,
        mode,
        Cell::new(view.strength.map_or(UNKNOWN, Strength::word), Role::Dim),
        Cell::new(view.terms.join(", "), Role::Dim),
        Cell::new(steps_in_words(view), would_role(view)),
        frees,
    ]
}

fn narrow_cells(row: &RuleRow<'_>, scene: &Scene<'_>) -> Vec<Cell> {
    common_cells(row, scene).into()
}

/// Level, mode, and the bytes a plan would bring back now.
fn common_cells(row: &RuleRow<'_>, scene: &Scene<'_>) -> [Cell; 3] {
    let Some(view) = row.level() else {
        return [
            Cell::new(row.word(), Role::Text),
            mode_cell(row.mode()),
            Cell::new("", Role::Dim),
        ];
    };
    let is_now = scene.snapshot.level.level == view.level && scene.snapshot.sample.is_some();
    let name = format!("{} {}", badge::glyph(view.level), view.level);
    let role = if is_now { Role::Title } else { Role::Text };
    let name = Cell { text: name, unit: if is_now { " now" } else { "" }, role };
    let bytes = Some(view.plan.expected()).filter(|_| !view.plan.steps.is_empty());
    let frees = match bytes {
        Some(bytes) => Cell::figure(aligned(Some(bytes)), would_role(view)),
        None => Cell::new("", Role::Dim),
    };
    [name, mode_cell(view.mode), frees]
}

/// What acts by itself must be seen first.
fn mode_cell(mode: RuleMode) -> Cell {
    let role = match mode {
        RuleMode::Off => Role::Faint,
        RuleMode::Observe => Role::Dim,
        RuleMode::Confirm => Role::Text,
        RuleMode::Act => Role::Accent,
    };
    Cell::new(mode.word(), role)
}

fn would_role(view: &LevelView) -> Role {
    match view.mode {
        RuleMode::Off => Role::Faint,
        _ if view.plan.steps.is_empty() => Role::Dim,
        _ => Role::Text,
    }
}

fn steps_in_words(view: &LevelView) -> String {
    if view.plan.steps.is_empty() {
        return "nothing".to_owned();
    }
    let words = |step: &crate::domain::plan::Step| {
        format!("{} {}", step.action.verb(), step.action.subject())
    };
    view.plan.steps.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// The selected rule's plan, as far as there is room; the details have all.
fn draw_selected(canvas: &mut Canvas<'_>, area: Rect, selected: Option<RuleRow<'_>>) {
    let title = match selected {
        Some(RuleRow::Of(view)) => selected_title(view, area.width),
        Some(row) => vec![span(row.word(), Role::Title)],
        None => vec![span("no rule is selected", Role::Dim)],
    };
    let inside = canvas.frame(area, &title);
    let lines = selected_lines(selected, usize::from(inside.width));
    draw_lines(canvas, inside, &lines);
}

fn selected_lines(selected: Option<RuleRow<'_>>, width: usize) -> Vec<Line> {
    match selected {
        Some(RuleRow::Of(view)) => plan::proposed_lines(&view.plan, width),
        Some(RuleRow::All(mode)) => all_lines(mode, width),
        Some(RuleRow::KillSwitch(mode)) => kill_switch_lines(mode, width),
        None => Vec::new(),
    }
}

fn selected_title(view: &LevelView, width: u16) -> Vec<Span<'static>> {
    let mut title = vec![
        span(format!("at {}", view.level), Role::Title),
        span(format!(" {}", view.mode), Role::Text),
    ];
    if width >= BOXES.0 {
        let terms = view.strength.map(Strength::word).into_iter();
        let terms: Vec<&str> = terms.chain(view.terms.iter().map(String::as_str)).collect();
        title.extend(
            (!terms.is_empty()).then(|| span(format!(": {}", terms.join(", ")), Role::Dim)),
        );
    }
    title
}

/// As many lines as fit; where some do not, the last says where they are.
fn draw_lines(canvas: &mut Canvas<'_>, inside: Rect, lines: &[Line]) {
    let room = usize::from(inside.height);
    let is_cut = lines.len() > room;
    let shown = if is_cut { room.saturating_sub(1) } else { lines.len() };
    for (line, y) in lines[..shown].iter().zip(inside.y..) {
        draw_line(canvas, Rect { y, height: 1, ..inside }, line);
    }
    if is_cut && room > 0 {
        let row = Rect { y: inside.bottom() - 1, height: 1, ..inside };
        let text = format!("{} more lines in its details", lines.len() - shown);
        canvas.text(row, &text, Role::Dim);
    }
}

fn all_lines(mode: RuleMode, width: usize) -> Vec<Line> {
    let text = "no rule goes further than rules.mode, whatever its own mode; a level without \
                a mode of its own has this one";
    let mut lines = wrapped(text, width, Role::Text);
    lines.extend(wrapped(&format!("mode {mode}: {}", meaning(mode)), width, Role::Dim));
    lines
}

fn kill_switch_lines(mode: RuleMode, width: usize) -> Vec<Line> {
    let text = "above emergency: asks processes the config names to end, and ends them \
                where they do not; nothing else is ever touched";
    let mut lines = wrapped(text, width, Role::Text);
    lines.extend(wrapped(&format!("mode {mode}: {}", meaning(mode)), width, Role::Dim));
    lines
}

/// What a mode means, after its word.
pub const fn meaning(mode: RuleMode) -> &'static str {
    match mode {
        RuleMode::Off => "it is not looked at",
        RuleMode::Observe => "it says what it would do, and does nothing",
        RuleMode::Confirm => "it asks in a dashboard first; where nobody looks it only observes",
        RuleMode::Act => "it acts by itself, asking nobody",
    }
}

fn draw_standing(canvas: &mut Canvas<'_>, area: Rect, policy: &PolicyView) {
    let inside = canvas.frame(area, &[span("at any level", Role::Title)]);
    draw_lines(canvas, inside, &standing_lines(policy, usize::from(inside.width)));
}

/// Rules that hold at any level, then the counts of the day.
fn standing_lines(policy: &PolicyView, width: usize) -> Vec<Line> {
    let mut lines = day_lines(&policy.day, width);
    if policy.standing.is_empty() {
        lines.push(vec![span("none besides those of the levels", Role::Dim)]);
    }
    lines.extend(policy.standing.iter().flat_map(|rule| standing_rule(rule, width)));
    lines
}

/// Its setting and value, and what it would do now.
fn standing_rule(rule: &StandingRule, width: usize) -> Vec<Line> {
    let key = rule.key.strip_prefix("rules.").unwrap_or(&rule.key);
    let mut lines = pair(key, &rule.value, width);
    if let Some(would) = &rule.would {
        lines.extend(pair("", &format!("would now: {would}"), width));
    }
    lines
}

fn day_lines(day: &DayCounts, width: usize) -> Vec<Line> {
    let kills = match day.oom_kills {
        0 => "no oom kill".to_owned(),
        count => counted(count, "oom kill"),
    };
    let text = format!(
        "{}, {}, {} by rule, {} freed, {kills}",
        counted(day.level_changes, "level change"),
        counted(day.actions, "action"),
        day.by_rule,
        day.freed,
    );
    pair("24 hours", &text, width)
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Room for `largest_model` and two blanks.
const NAMES: u16 = 15;

/// A name and what it says, dim and plain.
fn pair(name: &str, value: &str, width: usize) -> Vec<Line> {
    let width = u16::try_from(width).unwrap_or(u16::MAX);
    let mut lines = told(name, value, (NAMES.min(width * 2 / 5), width));
    for line in &mut lines {
        line[0].1 = Role::Dim;
    }
    lines
}

fn wrapped(text: &str, width: usize, role: Role) -> Vec<Line> {
    wrap(text, width).into_iter().map(|line| vec![span(line, role)]).collect()
}

/// All there is to say of one rule.
pub fn details(scene: &Scene<'_>, rule: Rule, width: usize) -> Vec<Line> {
    let rows = rows::rule_rows(scene.snapshot);
    let row = rows.iter().find(|row| row.rule() == rule);
    let (Some(policy), Some(row)) = (scene.snapshot.policy.as_deref(), row) else {
        return wrapped("it is not known now", width, Role::Dim);
    };
    let mut lines = Vec::new();
    match row {
        RuleRow::All(mode) => lines.extend(all_lines(*mode, width)),
        RuleRow::KillSwitch(mode) => lines.extend(kill_switch_lines(*mode, width)),
        RuleRow::Of(view) => {
            lines.extend(level_lines(view, width));
            let hints = scene.snapshot.hints.value.at(view.level);
            if !hints.is_empty() {
                lines.extend(pair("hints", &words(hints), width));
            }
        }
    }
    if let Some(waits) = &policy.waits {
        lines.extend(pair("waits", waits, width));
    }
    lines.extend(pair("setting", &rule.setting(), width));
    if let RuleRow::Of(view) = row {
        lines.push(Vec::new());
        lines.push(vec![span("what it would do now", Role::Header)]);
        lines.extend(plan::proposed_lines(&view.plan, width));
    }
    lines.push(Vec::new());
    lines.push(vec![span("at any level", Role::Header)]);
    lines.extend(standing_lines(policy, width));
    lines
}

fn level_lines(view: &LevelView, width: usize) -> Vec<Line> {
    let mut lines = pair("mode", &format!("{}: {}", view.mode, meaning(view.mode)), width);
    let strength = view.strength.map_or("none: nobody has to go", Strength::word);
    lines.extend(pair("strength", strength, width));
    if !view.terms.is_empty() {
        lines.extend(pair("terms", &view.terms.join(", "), width));
    }
    lines
}
