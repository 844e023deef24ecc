//! Why the level is what it is: what every signal says, what has grown, what
//! would help.

use super::sentence;
use crate::domain::bytes::BytesDelta;
use crate::domain::guard::{Help, Mover, SignalSays, Why};
use crate::domain::time::{Moment, Span as TimeSpan};
use crate::tui::scene::Scene;
use crate::tui::state::WhyView;
use crate::tui::theme::Role;
use crate::tui::widgets::badge;
use crate::tui::widgets::canvas::{cells, shorten, span};
use crate::tui::widgets::dialog::Line;
use crate::tui::widgets::figures::{aligned, aligned_delta};

/// The longest name beside a figure; longer ones are cut.
const LONGEST_NAME: usize = 36;

/// Below this a time is told as less than itself.
const FEW_SECONDS: u64 = 10;

/// Columns the figures beside a name take.
const FIGURES: usize = 26;

pub fn lines(scene: &Scene<'_>, view: &WhyView, width: usize) -> Vec<Line> {
    match view {
        WhyView::Waiting => vec![vec![span("looking into it", Role::Dim)]],
        WhyView::Refused(reason) => sentence(&format!("refused: {reason}"), width, Role::Bad),
        WhyView::Ready(why) => told(why, scene.snapshot.at, width),
    }
}

fn told(why: &Why, now: Moment, width: usize) -> Vec<Line> {
    let mut lines = sentence(&level_sentence(why, now), width, Role::Title);
    if let Some(excess) = why.excess {
        let text = format!("{excess} must come back before this level may be left");
        lines.extend(sentence(&text, width, Role::Text));
    }
    let names = LONGEST_NAME.min(width.saturating_sub(FIGURES)).max(8);
    heading(&mut lines, "what each signal says");
    let longest = why.signals.iter().map(|says| cells(&says.text)).max().unwrap_or_default();
    let column = usize::from(longest).min(width.saturating_sub(14));
    lines.extend(why.signals.iter().map(|says| signal_line(says, column)));
    if why.signals.is_empty() {
        lines.push(vec![span("no signal can be read", Role::Dim)]);
    }
    let back = why.movers_since.map(|since| now.since(since));
    match back.map(|back| (back.as_secs() < FEW_SECONDS, TimeSpan(back))) {
        Some((true, _)) => heading(&mut lines, "what has changed in the last seconds"),
        Some((_, back)) => heading(&mut lines, format!("what has changed in the last {back}")),
        None => heading(&mut lines, "what has changed"),
    }
    if why.movers.is_empty() {
        lines.push(vec![span("nothing of note has been seen to change", Role::Dim)]);
    }
    lines.extend(why.movers.iter().map(|mover| mover_line(mover, names)));
    heading(&mut lines, "what would help, least harm first");
    if why.help.is_empty() {
        lines.push(vec![span("nothing that plimsoll may do", Role::Dim)]);
    }
    lines.extend(why.help.iter().map(|help| help_line(help, names)));
    lines
}

fn level_sentence(why: &Why, now: Moment) -> String {
    let since = TimeSpan(now.since(why.since));
    let cause = why.set_by.as_ref().map_or(String::new(), |cause| format!(": {}", cause.text));
    format!("{} {} since {since}{cause}", badge::glyph(why.level), why.level)
}

fn heading(lines: &mut Vec<Line>, text: impl Into<std::borrow::Cow<'static, str>>) {
    lines.push(Vec::new());
    lines.push(vec![span(text, Role::Header)]);
}

fn signal_line(says: &SignalSays, column: usize) -> Line {
    // The first in the line of levels says nothing is wrong.
    let role = if says.level == Default::default() { Role::Dim } else { Role::Text };
    vec![
        span(padded(&says.text, column), role),
        span(format!("  {} {}", badge::glyph(says.level), says.level), role),
    ]
}

fn mover_line(mover: &Mover, column: usize) -> Line {
    let (change, unit) = aligned_delta(Some(mover.change));
    let (now, now_unit) = aligned(Some(mover.now));
    let role = if mover.change > BytesDelta::default() { Role::Text } else { Role::Dim };
    vec![
        span(padded(&mover.name, column), role),
        span(format!(" {change:>6}"), role),
        span(unit, Role::Dim),
        span(format!(" {now:>6}"), Role::Dim),
        span(format!("{now_unit} now"), Role::Dim),
    ]
}

fn help_line(help: &Help, column: usize) -> Line {
    let (frees, unit) = aligned(help.frees);
    let mut line = vec![
        span(padded(&help.what, column), Role::Text),
        span(format!(" {frees:>6}"), Role::Text),
        span(unit, Role::Dim),
    ];
    if help.is_enough {
        line.push(span(" ✓ enough", Role::Good));
    }
    line
}

/// Cut or filled to the column.
fn padded(text: &str, column: usize) -> String {
    let text = shorten(text, column);
    let rest = column.saturating_sub(usize::from(cells(&text)));
    format!("{text}{}", " ".repeat(rest))
}
