//! Help: every key, from the table of keys, and what words, fills and marks
//! on the screen mean.

use ratatui::layout::Rect;

use super::dialogs::key_lines;
use crate::tui::scene::Scene;
use crate::tui::theme::Role;
use crate::tui::widgets::canvas::{Canvas, Span, cells, span, wrap};
use crate::tui::widgets::dialog;
use crate::tui::widgets::table::draw_line;

/// What the screen's words mean: word, meaning.
const LEGEND: [(&str, &str); 36] = [
    ("used", "total − available: what the system cannot hand out without swapping"),
    ("available", "what new programs can get: free, and cache that can be given back"),
    ("█ models", "what loaded models hold in used memory, by the best figure of each"),
    ("▓ programs", "memory of all other programs"),
    ("▒ system", "the rest of what is used: kernel, buffers, tables"),
    ("▞ mapped", "weights mapped from their file: the kernel counts them as cache"),
    ("░ cache", "could be given back at once"),
    ("· free", "free outright"),
    ("┊ mark", "where a level begins, on the same scale; its share stands in the border"),
    ("╱ ghost", "a load that is not there yet, after what is taken, and the level it enters"),
    ("headroom", "bytes to the nearest mark above what is used now"),
    ("reported", "the size the server names"),
    ("measured", "read from the system for the model's own process"),
    ("drift", "measured − reported: what the server does not tell"),
    ("needs", "what a model would take; of a loaded one what it holds"),
    ("~", "estimated from the model's metadata"),
    ("≈", "learned from earlier loads on this machine"),
    ("now", "whether it fits now; of a loaded model what it does"),
    ("after unload", "fits once other models are unloaded"),
    ("smaller", "fits with a shorter context, or another type of the cache"),
    ("after freeing", "fits if other programs give memory back"),
    ("never", "does not fit this machine"),
    ("up to", "the largest context that fits now"),
    ("… in about", "when the next level comes if it goes on so; nothing where that cannot be told"),
    ("course", "what memory does over minutes: grows, or has grown and stands still"),
    ("re-read", "memory fetched back from disk, a second: much of it is thrashing"),
    ("—", "not known; never means zero"),
    ("≥ 4 min", "idle at least so long: it has not been used since plimsoll looked"),
    ("remote", "on another machine: in no plan, and not in the load line"),
    ("◈ pin", "pinned: in no plan"),
    ("off", "a rule that is not looked at"),
    ("observe", "a rule that says what it would do, and does nothing"),
    ("confirm", "a rule that asks here first; where nobody looks it only observes"),
    ("act", "a rule that acts by itself"),
    ("stays", "what a plan leaves alone, and why"),
    ("● ▲ ◆ ✖", "normal, warning, critical, emergency: the worst signal, which is named"),
];

pub fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let inside = canvas.frame(area, &[span("help", Role::Title)]);
    let lines = lines(scene, inside.width);
    let last = lines.len().saturating_sub(usize::from(inside.height));
    let first = scene.ui.help_scroll.min(last);
    for (line, y) in lines[first..].iter().zip(inside.y..inside.bottom()) {
        draw_line(canvas, Rect { y, height: 1, ..inside }, line);
    }
    canvas.sight.help_end = last;
    canvas.sight.rows = inside.height;
    dialog::draw_rest(canvas, area, (first, last));
}

/// Keys at the left and words at the right where both fit, else in a row.
fn lines(scene: &Scene<'_>, width: u16) -> Vec<Vec<Span<'static>>> {
    let keys = |width| key_lines(scene, width);
    let words = |width| legend_lines(width);
    if width < 96 {
        let mut all = keys(width);
        all.push(Vec::new());
        all.extend(words(width));
        return all;
    }
    let half = (width - 4) / 2;
    let (mut left, mut right) = (keys(half), words(half));
    let rows = left.len().max(right.len());
    left.resize(rows, Vec::new());
    right.resize(rows, Vec::new());
    left.into_iter()
        .zip(right)
        .map(|(mut line, other)| {
            let used: u16 = line.iter().map(|(text, _)| cells(text)).sum();
            line.push(span(" ".repeat(usize::from((half + 4).saturating_sub(used))), Role::Text));
            line.extend(other);
            line
        })
        .collect()
}

fn legend_lines(width: u16) -> Vec<Vec<Span<'static>>> {
    let mut lines = vec![vec![span("what is on the screen", Role::Header)]];
    for (word, meaning) in LEGEND {
        lines.extend(told(word, meaning, (12, width)));
    }
    lines
}

/// A word and its meaning beside it, over as many lines as that takes.
pub fn told(word: &str, meaning: &str, (column, width): (u16, u16)) -> Vec<Vec<Span<'static>>> {
    let column = column.max(cells(word) + 2);
    let pad = |text: &str| {
        let spaces = usize::from(column.saturating_sub(cells(text)));
        format!("{text}{}", " ".repeat(spaces))
    };
    wrap(meaning, usize::from(width.saturating_sub(column)))
        .into_iter()
        .enumerate()
        .map(|(index, line)| {
            let word = if index == 0 { word } else { "" };
            vec![span(pad(word), Role::Key), span(line, Role::Text)]
        })
        .collect()
}
