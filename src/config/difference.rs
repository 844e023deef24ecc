//! What changes between two texts, line by line, as people know it from
//! patches: removed lines with `-`, added ones with `+`, a little around them.

use crate::domain::DiffLine;
use crate::domain::text::clean;

/// Lines shown around a change.
const AROUND: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edit<'a> {
    Same(&'a str),
    Removed(&'a str),
    Added(&'a str),
}

impl Edit<'_> {
    fn is_change(self) -> bool {
        !matches!(self, Edit::Same(_))
    }
}

/// The difference of two texts; empty if there is none.
pub fn unified(name: &str, before: &str, after: &str) -> String {
    let edits = edits(before, after);
    if !edits.iter().any(|edit| edit.is_change()) {
        return String::new();
    }
    let mut shown = format!("--- {name}\n+++ {name}\n");
    for (from, to) in hunks(&edits) {
        shown.push_str(&heading(&edits, from, to));
        for edit in &edits[from..to] {
            let (sign, line) = match edit {
                Edit::Same(line) => (' ', line),
                Edit::Removed(line) => ('-', line),
                Edit::Added(line) => ('+', line),
            };
            shown.push(sign);
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown
}

/// The difference as lines, safe to draw, with a little around each change;
/// empty if there is none.
pub fn lines(before: &str, after: &str) -> Vec<DiffLine> {
    let edits = edits(before, after);
    let shown = hunks(&edits).into_iter().flat_map(|(from, to)| &edits[from..to]);
    let line = |edit: &Edit<'_>| match edit {
        Edit::Same(line) => DiffLine::Same(drawn(line)),
        Edit::Removed(line) => DiffLine::Old(drawn(line)),
        Edit::Added(line) => DiffLine::New(drawn(line)),
    };
    shown.map(line).collect()
}

/// Cleaned, with its indent.
fn drawn(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    format!("{}{}", " ".repeat(indent), clean(line))
}

/// Ranges of edits to show together.
fn hunks(edits: &[Edit<'_>]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (at, _) in edits.iter().enumerate().filter(|(_, edit)| edit.is_change()) {
        let from = at.saturating_sub(AROUND);
        let to = (at + 1 + AROUND).min(edits.len());
        match hunks.last_mut() {
            Some(last) if from <= last.1 => last.1 = to,
            _ => hunks.push((from, to)),
        }
    }
    hunks
}

fn heading(edits: &[Edit<'_>], from: usize, to: usize) -> String {
    let old = |edits: &[Edit<'_>]| edits.iter().filter(|e| !matches!(e, Edit::Added(_))).count();
    let new = |edits: &[Edit<'_>]| edits.iter().filter(|e| !matches!(e, Edit::Removed(_))).count();
    let side = |before: usize, lines: usize| {
        // A side without lines names the line it comes after.
        format!("{},{lines}", if lines == 0 { before } else { before + 1 })
    };
    format!(
        "@@ -{} +{} @@\n",
        side(old(&edits[..from]), old(&edits[from..to])),
        side(new(&edits[..from]), new(&edits[from..to]))
    )
}

/// By the longest common run of lines, after what is equal at both ends.
fn edits<'a>(before: &'a str, after: &'a str) -> Vec<Edit<'a>> {
    let old: Vec<&str> = before.lines().collect();
    let new: Vec<&str> = after.lines().collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail =
        old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut edits: Vec<Edit<'a>> = old[..head].iter().map(|line| Edit::Same(line)).collect();
    middle(&old[head..old.len() - tail], &new[head..new.len() - tail], &mut edits);
    edits.extend(old[old.len() - tail..].iter().map(|line| Edit::Same(line)));
    edits
}

fn middle<'a>(old: &[&'a str], new: &[&'a str], edits: &mut Vec<Edit<'a>>) {
    // common[i][j]: lines in common of old[i..] and new[j..].
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            edits.push(Edit::Same(old[i]));
            i += 1;
            j += 1;
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            edits.push(Edit::Removed(old[i]));
            i += 1;
        } else {
            edits.push(Edit::Added(new[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_differ_in_nothing() {
        assert_eq!(unified("x", "a\nb\n", "a\nb\n"), "");
    }

    #[test]
    fn a_changed_line_is_shown_with_its_surroundings() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        let expected = "--- x\n+++ x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n";
        assert_eq!(unified("x", before, after), expected);
    }

    #[test]
    fn lines_keep_their_indent_and_lose_what_cannot_be_drawn() {
        let shown = lines("[a]\n  x = 1\u{202e} # b\n", "[a]\n  x = 2 # b\n");
        let expected = [
            DiffLine::Same("[a]".to_owned()),
            DiffLine::Old("  x = 1 # b".to_owned()),
            DiffLine::New("  x = 2 # b".to_owned()),
        ];
        assert_eq!(shown, expected);
        assert_eq!(lines("a\n", "a\n"), []);
    }

    #[test]
    fn far_changes_are_shown_apart_and_a_new_file_whole() {
        let before: String = (0..30).map(|line| format!("{line}\n")).collect();
        let after = before.replace("3\n4\n", "4\n").replace("28\n", "28\nnew\n");
        let shown = unified("x", &before, &after);
        assert_eq!(shown.matches("@@ ").count(), 2, "{shown}");
        assert!(shown.contains("+new") && shown.contains("-3\n"), "{shown}");
        assert_eq!(unified("x", "", "a\nb\n"), "--- x\n+++ x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    }
}
