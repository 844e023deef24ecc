//! `accuracy` for people: forecasts first, then footprints in columns.

use std::io::{self, Write};
use std::time::Duration;

use crate::domain::Bytes;
use crate::domain::text::clean;
use crate::domain::time::Span;

use super::json::{Errors, Forecasts, Report, WorstModel};

/// Registry, owner, model and tag of most models fit in it.
const LONGEST_NAME: usize = 40;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.forecasts.is_empty() && report.footprints.count() == 0 {
        return writeln!(
            out,
            "nothing to judge by yet: no forecast has come to its end and no load was observed"
        );
    }
    writeln!(out, "forecasts   {}", forecasts(&report.forecasts))?;
    if let Some(lead) = report.forecasts.median_lead_ms {
        let off = match report.forecasts.time.median_percent {
            Some(median) => format!(", {median:.0} % off"),
            None => String::new(),
        };
        writeln!(out, "lead time   {}{off} at the median", Span(Duration::from_millis(lead)))?;
    }
    let footprints = &report.footprints;
    if footprints.count() == 0 {
        return writeln!(out, "footprints  no load was observed yet");
    }
    writeln!(out, "footprints  loads  median   worst")?;
    let rows = [
        ("reported", &footprints.reported, "what the server says it takes"),
        ("estimated", &footprints.estimated, "measured, against the formulas"),
        ("expected", &footprints.expected, "measured, against what was learned too"),
    ];
    for (label, errors, note) in rows {
        writeln!(out, "  {label:<9} {}  {note}", figures(errors))?;
    }
    if !footprints.worst_models.is_empty() {
        writeln!(out, "worst models")?;
    }
    let names: Vec<String> = footprints.worst_models.iter().map(name).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, worst) in names.iter().zip(&footprints.worst_models) {
        let error = format!("{:+.1} %", worst.error_percent);
        let (said, held) = (Bytes::new(worst.said_bytes), Bytes::new(worst.measured_bytes));
        let context = worst.context;
        writeln!(out, "  {name:<width$}  {error:>8}  {said} said, {held} held, context {context}")?;
    }
    Ok(())
}

fn forecasts(found: &Forecasts) -> String {
    if found.is_empty() {
        return "none has come to its end yet".to_owned();
    }
    format!(
        "{} shown: {}, {}, {} cut short; {}",
        found.shown(),
        counted(found.hits, "hit", "hits"),
        counted(found.false_alarms, "false alarm", "false alarms"),
        found.cut_short,
        counted(found.misses, "miss", "misses"),
    )
}

fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn figures(errors: &Errors) -> String {
    let share =
        |share: Option<f64>| share.map_or("—".to_owned(), |share| format!("{share:.1} %"));
    let (median, worst) = (share(errors.median_percent), share(errors.worst_percent));
    format!("{:>7}  {median:>6}  {worst:>6}", errors.count)
}

/// A name that would push everything else out of sight is cut.
fn name(worst: &WorstModel) -> String {
    let name = clean(&worst.name);
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}
