//! `history` for people: a row a step, what matters most first, with a bar of
//! what was used; gaps have rows of their own.

use std::io::{self, Write};
use std::time::Duration;

use super::steps::{Gap, Step};
use crate::cli::facts::table;
use crate::domain::time::Exactly;
use crate::domain::{Bytes, Percent, Wall};

/// Cells of the bar; in eighths of each.
const BAR: usize = 10;

/// How the table is written.
pub(super) struct Manner {
    /// `None`: piped, as wide as it is and without a bar.
    pub columns: Option<usize>,
    /// The terminal shows more than ASCII.
    pub is_unicode: bool,
    /// All of it is of one day.
    pub is_short: bool,
}

pub(super) fn write(
    (steps, gaps): (&[Step], &[Gap]),
    manner: &Manner,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut rows: Vec<(Wall, Vec<String>)> = Vec::new();
    rows.extend(steps.iter().map(|step| (step.start, row(step, manner))));
    let heads = heads(manner);
    rows.extend(gaps.iter().map(|gap| {
        let span = format!("({})", Exactly(gap.span()));
        let mut cells = vec![time(gap.from, manner), "no record".to_owned(), span];
        cells.resize(heads.len(), String::new());
        (gap.from, cells)
    }));
    rows.sort_by_key(|(time, _)| *time);
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, row)| row).collect();
    table(out, (&heads, &rows), manner.columns)
}

fn heads(manner: &Manner) -> Vec<&'static str> {
    let mut heads = vec!["time", "level", "used"];
    if manner.columns.is_some() {
        heads.push("of total");
    }
    heads.extend(["available", "models", "swap", "stalled"]);
    heads
}

fn row(step: &Step, manner: &Manner) -> Vec<String> {
    let was = &step.was;
    let bytes = |bytes: Option<Bytes>| bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
    let mut row = vec![time(step.start, manner), was.level.to_string(), bytes(was.used)];
    if manner.columns.is_some() {
        let share = was.used.zip(was.total).and_then(|(used, total)| used.share_of(total));
        row.push(share.map_or("-".to_owned(), |share| bar(share, manner.is_unicode)));
    }
    row.extend([was.available, was.models, was.swap_used].map(bytes));
    row.push(was.stalled.map_or("-".to_owned(), |share| Percent::new(share).to_string()));
    row
}

fn time(time: Wall, manner: &Manner) -> String {
    let form = match manner.columns {
        None => "%Y-%m-%dT%H:%M:%SZ",
        Some(_) if manner.is_short => "%H:%M",
        Some(_) => "%m-%d %H:%M",
    };
    time.strftime(form).to_string()
}

/// A tenth of the whole is a cell.
fn bar(share: Percent, is_unicode: bool) -> String {
    let eighths = (share.get().clamp(0.0, 100.0) / 100.0 * (BAR * 8) as f64).round() as usize;
    if !is_unicode {
        return "#".repeat((eighths + 4) / 8);
    }
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{rest}", "█".repeat(eighths / 8))
}

/// So many minutes a row that a day is no more than a page.
pub(super) fn fitting(span: Duration) -> i64 {
    const ROWS: u64 = 32;
    let lengths = [1, 5, 10, 15, 30, 60, 120, 360, 1440];
    let fits = |minutes: &i64| span.as_secs() / 60 / minutes.unsigned_abs() < ROWS;
    lengths.into_iter().find(fits).unwrap_or(1440)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let bars = |is_unicode| {
            [0.0, 50.0, 61.0, 100.0, 140.0].map(|share| bar(Percent::new(share), is_unicode))
        };
        assert_eq!(bars(true), ["", "█████", "██████▏", "██████████", "██████████"]);
        assert_eq!(bars(false), ["", "#####", "######", "##########", "##########"]);
    }

    #[test]
    fn a_table_is_a_page() {
        let hours = |hours: u64| fitting(Duration::from_secs(hours * 3600));
        assert_eq!([0, 1, 2, 6, 24, 168].map(hours), [1, 5, 5, 15, 60, 360]);
        assert_eq!(fitting(Duration::from_secs(31 * 60)), 1);
        assert_eq!(fitting(Duration::MAX), 1440);
    }
}
