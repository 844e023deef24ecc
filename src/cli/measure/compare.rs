//! Two measurements side by side: what changed, by how much, and whether that
//! is better; and what makes them hard to compare.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::cli::Context;
use crate::cli::document::Document;
use crate::cli::exit::ExitCode;
use crate::cli::facts::{columns, fact, table, write_json};
use crate::cli::markdown::{self, plain};
use crate::domain::{Bytes, Level, Wall};

use super::Args;
use super::files::Place;
use super::measurement::{Measurement, Measures, duration};
use super::target::seconds;

const HEADS: [&str; 6] = ["figure", "before", "after", "change", "percent", "which"];

/// A smaller share of the figure is noise.
const NOISE_SHARE: f64 = 0.01;
const NOISE_BYTES: f64 = 1024.0 * 1024.0;
const NOISE_SECONDS: f64 = 0.05;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    Better,
    Worse,
    Same,
    /// In one of them it is unknown, or there is no better.
    Unknown,
}

impl Which {
    const fn word(self) -> &'static str {
        match self {
            Which::Better => "better",
            Which::Worse => "worse",
            Which::Same => "same",
            Which::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Bytes,
    BytesPerMinute,
    Seconds,
    Count,
}

impl Unit {
    fn noise(self) -> f64 {
        match self {
            Unit::Bytes | Unit::BytesPerMinute => NOISE_BYTES,
            Unit::Seconds => NOISE_SECONDS,
            Unit::Count => 0.0,
        }
    }

    fn show(self, amount: f64) -> String {
        let sign = if amount < 0.0 { "-" } else { "" };
        let size = Bytes::new(amount.abs().round() as u64);
        match self {
            Unit::Bytes => format!("{sign}{size}"),
            Unit::BytesPerMinute => format!("{sign}{size}/min"),
            Unit::Seconds => format!("{sign}{}", seconds(duration(amount.abs()))),
            Unit::Count => format!("{amount:.0}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Compared {
    subject: String,
    figure: &'static str,
    unit: Unit,
    before: Option<f64>,
    after: Option<f64>,
    change: Option<f64>,
    percent: Option<f64>,
    which: Which,
}

#[derive(Serialize)]
struct Json {
    schema_version: u32,
    before: Side,
    after: Side,
    /// What makes them hard to compare.
    warnings: Vec<String>,
    figures: Vec<Compared>,
}

#[derive(Serialize)]
struct Side {
    machine: String,
    begun: Wall,
    span_seconds: f64,
    looks: u64,
}

impl Side {
    fn of(one: &Measurement) -> Side {
        Side {
            machine: one.machine.name.clone(),
            begun: one.begun,
            span_seconds: one.span_seconds,
            looks: one.looks,
        }
    }
}

pub fn run(
    (before, after): (&PathBuf, &PathBuf),
    args: &Args,
    (context, out): (&Context, &mut dyn Write),
) -> Result<ExitCode> {
    let (before, after) = (Measurement::read(before)?, Measurement::read(after)?);
    let place = args.report.as_ref().map(|path| Place::keep(path, (Wall::now(), "md")));
    let place = place.transpose()?;
    let (figures, warnings) = (compare(&before, &after), warnings(&before, &after));
    if let Some(place) = place {
        let mut report = Vec::new();
        markdown(&mut report, (&before, &after), (&figures, &warnings))?;
        place.finish(&report)?;
    }
    if args.json {
        let (before, after) = (Side::of(&before), Side::of(&after));
        let schema_version = Document::MeasureCompare.version();
        write_json(out, &Json { schema_version, before, after, warnings, figures })?;
    } else {
        let columns = columns(context);
        for (name, one) in [("before", &before), ("after", &after)] {
            fact(out, (name, &told(one)), columns)?;
        }
        for warning in &warnings {
            fact(out, ("note", warning), columns)?;
        }
        writeln!(out)?;
        table(out, (&HEADS, &rows(&figures)), columns)?;
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn told(one: &Measurement) -> String {
    let command = one.command.as_ref().map(|command| format!(" of {}", command.program));
    format!(
        "{} on {}, {}{}, {} looks",
        one.begun.strftime("%Y-%m-%d %H:%M UTC"),
        one.machine.name,
        seconds(one.span()),
        command.unwrap_or_default(),
        one.looks
    )
}

fn markdown(
    out: &mut dyn Write,
    (before, after): (&Measurement, &Measurement),
    (figures, warnings): (&[Compared], &[String]),
) -> io::Result<()> {
    writeln!(out, "# Memory before and after\n")?;
    writeln!(out, "- before: {}", plain(&told(before)))?;
    writeln!(out, "- after: {}", plain(&told(after)))?;
    for warning in warnings {
        writeln!(out, "- note: {}", plain(warning))?;
    }
    writeln!(out)?;
    markdown::table(out, (&HEADS, &rows(figures)))
}

fn rows(figures: &[Compared]) -> Vec<Vec<String>> {
    let row = |one: &Compared| {
        let shown = |amount: Option<f64>| amount.map_or("-".to_owned(), |it| one.unit.show(it));
        let change = one.change.map(|change| {
            let sign = if change > 0.0 { "+" } else { "" };
            format!("{sign}{}", one.unit.show(change))
        });
        let percent = one.percent.map(|percent| format!("{percent:+.1} %"));
        vec![
            format!("{} {}", one.subject, one.figure).trim_start().to_owned(),
            shown(one.before),
            shown(one.after),
            change.unwrap_or_else(|| "-".to_owned()),
            percent.unwrap_or_else(|| "-".to_owned()),
            one.which.word().to_owned(),
        ]
    };
    figures.iter().map(row).collect()
}

/// What is to be said before anybody believes the difference.
fn warnings(before: &Measurement, after: &Measurement) -> Vec<String> {
    let (a, b) = (&before.machine, &after.machine);
    let mut warnings = Vec::new();
    let mut differs = |what: &str, a: String, b: String| {
        if a != b {
            warnings.push(format!("{what}: {a} before, {b} after"));
        }
    };
    let size = |bytes: Option<Bytes>| bytes.map_or("unknown".to_owned(), |it| it.to_string());
    let every = |one: &Measurement| {
        one.interval_seconds.map_or("unknown".to_owned(), |it| seconds(duration(it)))
    };
    let program = |one: &Measurement| {
        one.command.as_ref().map_or("no command".to_owned(), |command| command.program.clone())
    };
    differs("another machine", a.name.clone(), b.name.clone());
    differs("another size of memory", size(a.memory_bytes), size(b.memory_bytes));
    differs("another kernel", a.kernel.clone(), b.kernel.clone());
    differs("another profile", a.profile.clone(), b.profile.clone());
    differs("not both live", a.mode.clone(), b.mode.clone());
    differs("another command", program(before), program(after));
    differs("another plimsoll", before.plimsoll.clone(), after.plimsoll.clone());
    let is_far = |a: f64, b: f64, share: f64| (a - b).abs() > a.max(b) * share;
    let steps = (before.interval_seconds, after.interval_seconds);
    if let (Some(a), Some(b)) = steps
        && is_far(a, b, 0.2)
    {
        differs("looks at another interval", every(before), every(after));
    }
    let is_free = before.command.is_none() || after.command.is_none();
    if is_free && is_far(before.span_seconds, after.span_seconds, 0.1) {
        differs("another time", seconds(before.span()), seconds(after.span()));
    }
    warnings
}

/// What both of them can say, and what only one can.
fn compare(before: &Measurement, after: &Measurement) -> Vec<Compared> {
    let mut compared = Vec::new();
    let (a, b) = (&before.system, &after.system);
    let is_both = |a: &Option<Measures>, b: &Option<Measures>| a.is_some() || b.is_some();
    for (subject, a, b) in [
        ("used", &a.used, &b.used),
        ("swap", &a.swap, &b.swap),
        ("models", &before.models, &after.models),
    ] {
        if is_both(a, b) {
            held(&mut compared, subject, (a.as_ref(), b.as_ref()));
        }
    }
    if before.command.is_some() || after.command.is_some() {
        held(&mut compared, "command", (before.command_measures(), after.command_measures()));
        let took = |one: &Measurement| one.command.as_ref().map(|command| command.seconds);
        let pair = (took(before), took(after));
        compared.push(less_is_better(("command", "time"), Unit::Seconds, pair));
    }
    let mut ids: Vec<&str> =
        before.components.iter().chain(&after.components).map(|one| one.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let of = |one: &'_ Measurement| one.components.iter().position(|it| it.id == id);
        let a = of(before).map(|at| &before.components[at].measures);
        let b = of(after).map(|at| &after.components[at].measures);
        held(&mut compared, id, (a, b));
    }
    machine(&mut compared, (before, after));
    compared
}

fn held(compared: &mut Vec<Compared>, subject: &str, pair: (Option<&Measures>, Option<&Measures>)) {
    type Figure = (&'static str, Unit, fn(&Measures) -> Option<f64>);
    let figures: [Figure; 5] = [
        ("peak", Unit::Bytes, |one| Some(one.peak_bytes.get() as f64)),
        ("average", Unit::Bytes, |one| Some(one.average_bytes.get() as f64)),
        ("p95", Unit::Bytes, |one| Some(one.p95_bytes.get() as f64)),
        ("delta", Unit::Bytes, |one| Some(one.delta_bytes.get() as f64)),
        ("growth", Unit::BytesPerMinute, |one| {
            one.growth_bytes_per_minute.map(|growth| growth.get() as f64)
        }),
    ];
    for (figure, unit, of) in figures {
        let pair = (pair.0.and_then(of), pair.1.and_then(of));
        compared.push(less_is_better((subject, figure), unit, pair));
    }
}

fn machine(compared: &mut Vec<Compared>, (before, after): (&Measurement, &Measurement)) {
    let mut push = |figure, unit, of: &dyn Fn(&Measurement) -> Option<f64>| {
        compared.push(less_is_better(("", figure), unit, (of(before), of(after))));
    };
    for (figure, level) in [
        ("at warning", Level::Warning),
        ("at critical", Level::Critical),
        ("at emergency", Level::Emergency),
    ] {
        push(figure, Unit::Seconds, &|one| one.levels.map(|levels| levels.of(level)));
    }
    push("stalled", Unit::Seconds, &|one| one.stall.map(|stall| stall.some_seconds));
    push("longest stall", Unit::Seconds, &|one| one.stall.and_then(|stall| stall.longest_seconds));
    push("oom kills", Unit::Count, &|one| one.oom_kills.map(|kills| kills as f64));
}

fn less_is_better(
    (subject, figure): (&str, &'static str),
    unit: Unit,
    (before, after): (Option<f64>, Option<f64>),
) -> Compared {
    let pair = before.zip(after);
    let change = pair.map(|(before, after)| after - before);
    // A share of nothing, or of what is below it, is none.
    let percent = pair
        .filter(|(before, _)| *before > 0.0)
        .map(|(before, after)| (after - before) / before * 100.0);
    let which = pair.map_or(Which::Unknown, |(before, after)| {
        let noise = unit.noise().max(before.abs() * NOISE_SHARE);
        match after - before {
            change if change.abs() <= noise => Which::Same,
            change if change < 0.0 => Which::Better,
            _ => Which::Worse,
        }
    });
    Compared { subject: subject.to_owned(), figure, unit, before, after, change, percent, which }
}

#[cfg(test)]
mod tests;
