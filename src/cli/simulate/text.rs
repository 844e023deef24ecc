//! A simulation for people: both sides in columns, then what was done.

use std::io::{self, Write};
use std::time::Duration;

use crate::domain::plan::Verdict;
use crate::domain::time::Exactly;
use crate::domain::{BytesDelta, Level};
use crate::engine::simulate::findings::{Again, Done, Findings, Shortfall};

use super::{Difference, Rules, Side, Simulated};

/// The widest first column: `largest shortfall`.
const LABEL: usize = 20;
const COLUMN: usize = 26;

pub(super) fn write(simulated: &Simulated, out: &mut dyn Write) -> io::Result<()> {
    write_head(simulated, out)?;
    writeln!(out)?;
    for row in rows(simulated) {
        let label = row.label;
        let cells: String = row.cells.iter().map(|cell| format!("{cell:<COLUMN$}")).collect();
        writeln!(out, "{}", format!("{label:<LABEL$}{cells}").trim_end())?;
    }
    for side in &simulated.sides {
        write_details(side, simulated.sides.len() > 1, out)?;
    }
    if let Some(timing) = simulated.timing {
        let rate = thousands(timing.samples_per_second);
        writeln!(out, "\n{rate} samples/s, {:.2} × parsing alone", timing.times_parsing)?;
    }
    Ok(())
}

fn write_head(simulated: &Simulated, out: &mut dyn Write) -> io::Result<()> {
    let Some(side) = simulated.sides.first() else { return Ok(()) };
    let span = side.findings.span;
    let samples = thousands(span.samples);
    let gaps = match span.gaps {
        0 => String::new(),
        1 => format!(", and one gap of {} of which nothing is known", clock(span.gap_ms)),
        gaps => format!(", and {gaps} gaps of {} of which nothing is known", clock(span.gap_ms)),
    };
    let (file, host) = (&simulated.recording, &simulated.host);
    let of = if host.is_empty() { String::new() } else { format!(" of {host}") };
    writeln!(out, "{file}{of}: {samples} samples over {}{gaps}", clock(span.covered_ms))?;
    if let Some(started) = span.started {
        writeln!(out, "times count from {started:.0}")?;
    }
    match simulated.rules {
        Rules::Act => writeln!(
            out,
            "rules that observe or ask are taken to act; `--rules configured` leaves them"
        ),
        Rules::Configured => writeln!(out, "rules are taken as they are configured"),
    }
}

struct Row {
    label: String,
    cells: Vec<String>,
}

fn rows(simulated: &Simulated) -> Vec<Row> {
    let difference = simulated.difference.as_ref();
    let row = |label: &str, cell: &dyn Fn(&Findings) -> String, differs: Option<String>| Row {
        label: label.to_owned(),
        cells: simulated.sides.iter().map(|side| cell(&side.findings)).chain(differs).collect(),
    };
    let count = |pick: fn(&Difference) -> i64| difference.map(|d| format!("{:+}", pick(d)));
    let bytes = |pick: fn(&Difference) -> BytesDelta| difference.map(|d| pick(d).to_string());
    let mut rows = vec![Row {
        label: String::new(),
        cells: simulated
            .sides
            .iter()
            .map(|side| side.config.clone())
            .chain(difference.map(|_| "difference".to_owned()))
            .collect(),
    }];
    rows.push(row("profile", &|found| found.profile.clone(), None));
    for (place, level) in Level::ALL.into_iter().enumerate() {
        let differs = difference.map(|d| d.levels.get(place).map_or(0, |level| level.time_ms));
        rows.push(row(level.word(), &|found| level_time(found, place), differs.map(signed_clock)));
    }
    rows.push(row("  of it modelled", &modelled_time, None));
    rows.push(row(
        "level changes",
        &|f| f.level_changes.len().to_string(),
        count(|d| d.level_changes),
    ));
    rows.push(row(
        "oscillations",
        &oscillations,
        count(|d| d.level_oscillations + d.model_oscillations),
    ));
    rows.push(row("actions", &|f| f.actions.len().to_string(), count(|d| d.actions)));
    rows.push(row("expected", &|f| f.expected_bytes.to_string(), None));
    rows.push(row("freed, modelled", &|f| f.freed_bytes.to_string(), bytes(|d| d.freed_bytes)));
    let largest = |found: &Findings| shortfall(found.largest_shortfall);
    rows.push(row("largest shortfall", &largest, bytes(|d| d.largest_shortfall_bytes)));
    rows.push(row("  as recorded", &|found| shortfall(found.recorded_shortfall), None));
    rows.push(row("recorded OOM kills", &oom_kills, None));
    if simulated.rules == Rules::Configured {
        rows.push(row("only proposed", &|found| found.proposals.to_string(), None));
    }
    rows
}

fn level_time(found: &Findings, place: usize) -> String {
    let Some(level) = found.levels.get(place) else { return "—".to_owned() };
    match level.share_percent {
        Some(share) => format!("{share:>5.1} %  {}", clock(level.ms)),
        None => clock(level.ms),
    }
}

fn modelled_time(found: &Findings) -> String {
    let modelled: u64 = found.levels.iter().map(|level| level.modelled_ms).sum();
    if modelled == 0 { "none".to_owned() } else { clock(modelled) }
}

fn oscillations(found: &Findings) -> String {
    let (levels, models) = (found.oscillations.levels.len(), found.oscillations.models.len());
    format!("{levels} of levels, {models} of models")
}

fn shortfall(shortfall: Option<Shortfall>) -> String {
    match shortfall {
        Some(Shortfall { bytes, at_ms, modelled, .. }) => {
            let mark = if modelled { ", modelled" } else { "" };
            format!("{bytes} at {}{mark}", clock(at_ms))
        }
        None => "none".to_owned(),
    }
}

fn oom_kills(found: &Findings) -> String {
    let kills = found.oom_kills;
    match (found.actions.is_empty(), kills.before_first_action, kills.after_first_action) {
        (true, kills, _) => kills.to_string(),
        (false, before, after) => format!("{before} before acting, {after} after"),
    }
}

fn write_details(side: &Side, is_one_of_two: bool, out: &mut dyn Write) -> io::Result<()> {
    let found = &side.findings;
    let of = if is_one_of_two { format!(" of {}", side.config) } else { String::new() };
    if !found.actions.is_empty() {
        writeln!(out, "\nactions{of}")?;
    }
    for done in &found.actions {
        writeln!(out, "  {}", action(done))?;
    }
    if !found.level_changes.is_empty() {
        writeln!(out, "\nlevels{of}")?;
    }
    for change in &found.level_changes {
        let because = change.because.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        let mark = if change.modelled { ", modelled" } else { "" };
        writeln!(
            out,
            "  {:>8}  {} to {}{because}{mark}",
            clock(change.at_ms),
            change.from,
            change.to
        )?;
    }
    let again = &found.oscillations;
    if !again.levels.is_empty() || !again.models.is_empty() {
        writeln!(out, "\noscillations{of}")?;
    }
    for level in &again.levels {
        let mark = if level.modelled { ", modelled" } else { "" };
        let after = Exactly(Duration::from_millis(level.after_ms));
        writeln!(
            out,
            "  {:>8}  {} again {after} after it was left{mark}",
            clock(level.at_ms),
            level.level
        )?;
    }
    for model in &again.models {
        let how = match model.how {
            Again::LoadedAnew => "loaded anew",
            Again::Used => "used again, which would have loaded it anew,",
        };
        let after = Exactly(Duration::from_millis(model.after_ms));
        writeln!(
            out,
            "  {:>8}  {} {how} {after} after its unload",
            clock(model.at_ms),
            model.model
        )?;
    }
    Ok(())
}

fn action(done: &Done) -> String {
    let expected = match done.expected_bytes {
        Some(bytes) => format!("{bytes} expected"),
        None => "nothing expected".to_owned(),
    };
    let modelled = match done.modelled {
        Some(given) if given.vram.is_zero() => format!("{} modelled", given.bytes()),
        Some(given) => format!("{} and {} of the card modelled", given.bytes(), given.vram),
        None => "what it gives back is not modelled".to_owned(),
    };
    let outcome = match &done.outcome {
        Some(Verdict::Done) => String::new(),
        Some(Verdict::Failed { detail }) => format!("; failed: {detail}"),
        Some(Verdict::Unconfirmed) => "; not confirmed, no runner could be seen".to_owned(),
        Some(Verdict::Already) => "; it was already so".to_owned(),
        Some(Verdict::Stuck) => "; stuck".to_owned(),
        Some(Verdict::StillGenerating) => "; it goes when it is done".to_owned(),
        None => "; the recording ends before its outcome".to_owned(),
    };
    let by = if done.by_rule { "" } else { " by command" };
    let (at, level, verb, subject) = (clock(done.at_ms), done.level, done.verb, &done.subject);
    format!("{at:>8}  {level:<9}  {verb} {subject}{by}: {expected}, {modelled}{outcome}")
}

/// `1:02:03`
fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn signed_clock(ms: i64) -> String {
    let sign = match ms {
        0 => "",
        1.. => "+",
        _ => "−",
    };
    format!("{sign}{}", clock(ms.unsigned_abs()))
}

fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        assert_eq!(clock(3_723_900), "1:02:03");
        assert_eq!(
            [signed_clock(-61_000), signed_clock(0), signed_clock(1_000)].join(" "),
            "−0:01:01 0:00:00 +0:00:01"
        );
        assert_eq!(
            [thousands(7), thousands(43_000), thousands(1_234_567)].join(" "),
            "7 43,000 1,234,567"
        );
    }
}
