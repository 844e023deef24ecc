//! Another mode of a rule: the choice, what it means from then on, and what
//! would be written, line by line.

use super::{choice, sentence};
use crate::domain::rule::RuleMode;
use crate::domain::setting::{DiffLine, SettingDifference};
use crate::domain::text::clean;
use crate::tui::rows;
use crate::tui::scene::Scene;
use crate::tui::state::{Rule, SettingView};
use crate::tui::theme::Role;
use crate::tui::views::policy;
use crate::tui::widgets::canvas::{cells, span};
use crate::tui::widgets::dialog::Line;

/// Columns before the text of a line: its sign.
const SIGN: usize = 2;

pub fn lines(
    scene: &Scene<'_>,
    (rule, mode, view): (Rule, RuleMode, &SettingView),
    width: usize,
) -> Vec<Line> {
    let mut row: Line = Vec::with_capacity(8);
    for other in RuleMode::ALL {
        row.extend(choice(other.word(), other == mode));
    }
    let mut lines = vec![row];
    let role = if mode == RuleMode::Act { Role::Bad } else { Role::Dim };
    lines.extend(sentence(&meaning(scene, rule, mode), width, role));
    lines.extend(
        held_back(scene, rule, mode)
            .map(|text| sentence(text, width, Role::Text))
            .unwrap_or_default(),
    );
    lines.push(Vec::new());
    match view {
        SettingView::Waiting => lines.push(vec![span("reading the config", Role::Dim)]),
        SettingView::Ready(difference) => lines.extend(difference_lines(difference, width)),
        SettingView::Writing(difference) => {
            lines.extend(difference_lines(difference, width));
            lines.push(vec![span("writing", Role::Dim)]);
        }
        SettingView::Failed(reason) => {
            lines.extend(sentence(&format!("refused: {reason}"), width, Role::Bad));
        }
    }
    lines
}

/// What the rule does from then on, in a sentence.
fn meaning(scene: &Scene<'_>, rule: Rule, mode: RuleMode) -> String {
    match (mode, rule) {
        (RuleMode::Off | RuleMode::Observe | RuleMode::Confirm, _) => {
            policy::meaning(mode).to_owned()
        }
        (RuleMode::Act, Rule::All) => {
            "from then on plimsoll acts by itself at every level whose own mode is not milder"
                .to_owned()
        }
        (RuleMode::Act, Rule::KillSwitch) => {
            "from then on plimsoll ends processes the config names, asking nobody".to_owned()
        }
        (RuleMode::Act, Rule::Of(level)) => {
            let rows = rows::rule_rows(scene.snapshot);
            let view = rows.iter().filter_map(|row| row.level()).find(|view| view.level == level);
            let would = match view {
                Some(view) if !view.plan.steps.is_empty() => view.plan.text(),
                _ => "nothing as things are".to_owned(),
            };
            format!("from then on plimsoll acts at {level} by itself, asking nobody: {would}")
        }
    }
}

/// A mode beyond that of all rules has no effect yet.
fn held_back(scene: &Scene<'_>, rule: Rule, mode: RuleMode) -> Option<&'static str> {
    let is_held = rule != Rule::All && mode > scene.snapshot.rules.ceiling;
    is_held.then_some("it goes no further than rules.mode lets it: set all rules too")
}

fn difference_lines(difference: &SettingDifference, width: usize) -> Vec<Line> {
    let mut lines = sentence(&clean(&difference.file), width, Role::Header);
    if difference.lines.is_empty() {
        lines.push(vec![span("it says so already: nothing would change", Role::Dim)]);
    }
    for line in &difference.lines {
        let (sign, text, role) = match line {
            DiffLine::Same(text) => ("  ", text, Role::Dim),
            DiffLine::Old(text) => ("- ", text, Role::Bad),
            DiffLine::New(text) => ("+ ", text, Role::Good),
        };
        let rest = broken(&shown(text), width.saturating_sub(SIGN).max(1));
        let signs = std::iter::once(sign).chain(std::iter::repeat("  "));
        lines.extend(
            rest.into_iter()
                .zip(signs)
                .map(|(text, sign)| vec![span(sign, role), span(text, role)]),
        );
    }
    lines
}

/// A line of the file with its blanks, and nothing in it that is not seen.
fn shown(text: &str) -> String {
    text.split(char::is_whitespace).map(clean).collect::<Vec<_>>().join(" ")
}

/// In pieces of that width, at blanks where there are any: who agrees must
/// have read all of it.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let used = pieces.last().map_or(0, |piece| cells(piece));
        if used > 0 && usize::from(used + cells(word.trim_end())) > width {
            pieces.push(String::new());
        }
        for c in word.chars() {
            let used = pieces.last().map_or(0, |piece| cells(piece));
            if usize::from(used + cells(c.encode_utf8(&mut [0; 4]))) > width {
                pieces.push(String::new());
            }
            pieces.last_mut().expect("it begins with one").push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_shown_whole() {
        assert_eq!(broken("mode = \"act\"", 20), ["mode = \"act\""]);
        assert_eq!(broken("mode = \"observe\" # why", 16), ["mode = \"observe\"", " # why"]);
        assert_eq!(broken("abcdefgh ij", 4), ["abcd", "efgh", " ij"]);
        assert_eq!(broken("", 4), [""]);
        assert_eq!(shown("\tkeys = 1  # \u{1b}[31mred\u{202e}"), " keys = 1  # [31mred");
    }
}
