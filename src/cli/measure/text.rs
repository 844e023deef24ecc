//! What a measurement says to people: on a terminal, and in Markdown.

use std::io::{self, Write};
use std::time::Duration;

use crate::cli::facts::{fact, table};
use crate::cli::markdown::{self, plain};
use crate::domain::{BytesDelta, Level};

use super::measurement::{CommandMeasures, Measurement, Measures, duration};
use super::target::{Judged, seconds};

const HEADS: [&str; 8] = ["memory", "baseline", "peak", "average", "p95", "end", "delta", "growth"];

const TARGET_HEADS: [&str; 4] = ["target", "of", "achieved", "result"];

/// The summary, as wide as the terminal.
pub fn summary(
    out: &mut dyn Write,
    measurement: &Measurement,
    columns: Option<usize>,
) -> io::Result<()> {
    for (name, text) in facts(measurement) {
        fact(out, (name, &text), columns)?;
    }
    writeln!(out)?;
    table(out, (&HEADS, &rows(measurement)), columns)?;
    if !measurement.targets.is_empty() {
        writeln!(out)?;
        table(out, (&TARGET_HEADS, &target_rows(measurement)), columns)?;
    }
    Ok(())
}

/// For a file, a wiki, a ticket.
pub fn markdown(out: &mut dyn Write, measurement: &Measurement) -> io::Result<()> {
    writeln!(out, "# Memory measured {}\n", measurement.begun.strftime("%Y-%m-%d %H:%M UTC"))?;
    for (name, text) in facts(measurement) {
        writeln!(out, "- {name}: {}", plain(&text))?;
    }
    writeln!(out)?;
    markdown::table(out, (&HEADS, &rows(measurement)))?;
    if !measurement.targets.is_empty() {
        writeln!(out, "\n## Targets\n")?;
        markdown::table(out, (&TARGET_HEADS, &target_rows(measurement)))?;
    }
    writeln!(out, "\nBaseline is the first reading, delta what the last is beyond it; p95 is")?;
    writeln!(out, "what it stayed below for 95 % of the time. Growth is the usual slope, a minute.")
}

fn facts(measurement: &Measurement) -> Vec<(&'static str, String)> {
    let machine = &measurement.machine;
    let memory = machine.memory_bytes.map(|bytes| format!(", {bytes} memory"));
    let mut facts = vec![(
        "machine",
        format!(
            "{} ({}{}), profile {}",
            machine.name,
            machine.system,
            memory.unwrap_or_default(),
            machine.profile
        ),
    )];
    let simulated = match machine.mode.as_str() {
        "demo" => ", on the simulated machine",
        "replay" => ", of a recording",
        _ => "",
    };
    let every =
        measurement.interval_seconds.map(|every| format!(", {} apart", seconds(duration(every))));
    facts.push((
        "measured",
        format!(
            "{} {}{simulated}: {} looks{}",
            seconds(measurement.span()),
            measurement.ended_by.words(),
            measurement.looks,
            every.unwrap_or_default(),
        ),
    ));
    facts.extend(measurement.command.as_ref().map(|command| ("command", told(command))));
    facts.push(("levels", levels(measurement)));
    facts.push(("stalls", stalls(measurement)));
    let kills = measurement.oom_kills.map_or("unknown".to_owned(), |kills| kills.to_string());
    facts.push(("oom kills", kills));
    for pattern in &measurement.patterns {
        if measurement.components.is_empty() {
            facts.push(("note", format!("nothing matched {pattern}")));
        }
    }
    if measurement.components_left_out > 0 {
        let count = measurement.components_left_out;
        facts.push(("note", format!("{count} more components matched and were not followed")));
    }
    facts
}

fn told(command: &CommandMeasures) -> String {
    let span = seconds(duration(command.seconds));
    let mut said = match (command.exit_code, command.signal) {
        (Some(code), _) => format!("{} ended with {code} after {span}", command.program),
        (None, Some(signal)) => {
            format!("{} was ended by signal {signal} after {span}", command.program)
        }
        (None, None) => format!("{} goes on after {span}", command.program),
    };
    if command.most_processes > 1 {
        said.push_str(&format!("; {} processes at most", command.most_processes));
    }
    if let Some(largest) = command.largest_process_bytes {
        said.push_str(&format!("; its largest process {largest} by the system's count"));
    }
    if command.left_behind > 0 {
        said.push_str(&format!("; {} processes left behind", command.left_behind));
    }
    if command.measures.is_none() {
        said.push_str("; too short to be looked at, or not to be followed");
    }
    said
}

fn levels(measurement: &Measurement) -> String {
    let Some(levels) = &measurement.levels else { return "unknown: one look".to_owned() };
    let at = |level: Level| (level.word(), levels.of(level));
    let told: Vec<String> = Level::ALL
        .into_iter()
        .map(at)
        .chain([("unknown", levels.unseen_seconds)])
        .filter(|(_, lasted)| *lasted > 0.0)
        .map(|(word, lasted)| format!("{word} {}", seconds(duration(lasted))))
        .collect();
    told.join(", ")
}

fn stalls(measurement: &Measurement) -> String {
    let Some(stall) = &measurement.stall else {
        return "unknown: this system does not count them".to_owned();
    };
    let full = stall.full_seconds.map(|full| format!(", all tasks {}", seconds(duration(full))));
    let longest = stall.longest_seconds.map(|longest| seconds(duration(longest)));
    format!(
        "some task waited for memory for {}{}; longest {}",
        seconds(duration(stall.some_seconds)),
        full.unwrap_or_default(),
        longest.as_deref().unwrap_or("unknown"),
    )
}

fn rows(measurement: &Measurement) -> Vec<Vec<String>> {
    let system = &measurement.system;
    let mut named: Vec<(String, Option<&Measures>)> = vec![
        ("used".to_owned(), system.used.as_ref()),
        ("available".to_owned(), system.available.as_ref()),
        ("swap".to_owned(), system.swap.as_ref()),
        ("models".to_owned(), measurement.models.as_ref()),
    ];
    if measurement.command.is_some() {
        named.push(("command".to_owned(), measurement.command_measures()));
    }
    for one in &measurement.components {
        let gone = if one.is_gone { " (gone)" } else { "" };
        named.push((format!("{}{gone}", one.id), Some(&one.measures)));
    }
    named.into_iter().map(|(name, measures)| row(name, measures)).collect()
}

fn row(name: String, measures: Option<&Measures>) -> Vec<String> {
    let Some(measures) = measures else {
        let unknown = std::iter::repeat_n("-".to_owned(), HEADS.len() - 1);
        return std::iter::once(name).chain(unknown).collect();
    };
    let growth = measures.growth_bytes_per_minute;
    vec![
        name,
        measures.baseline_bytes.to_string(),
        measures.peak_bytes.to_string(),
        measures.average_bytes.to_string(),
        measures.p95_bytes.to_string(),
        measures.end_bytes.to_string(),
        measures.delta_bytes.to_string(),
        growth.map_or("-".to_owned(), |growth: BytesDelta| format!("{growth}/min")),
    ]
}

fn target_rows(measurement: &Measurement) -> Vec<Vec<String>> {
    let row = |one: &Judged| {
        let achieved = one.achieved.clone().unwrap_or_else(|| "-".to_owned());
        vec![one.target.clone(), one.subject.clone(), achieved, one.verdict.to_string()]
    };
    measurement.targets.iter().map(row).collect()
}

/// How far it is, on one line.
pub fn progress(span: Duration, of: Option<Duration>) -> String {
    match of {
        Some(of) => format!("{} of {}", seconds(span), seconds(of)),
        None => seconds(span),
    }
}
