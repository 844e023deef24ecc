//! Targets: what a figure must come to, how that is written, and whether it
//! was so. What could not be measured is unknown, and unknown is not met.
//!
//! Pure over a measurement.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::key::closest;
use crate::config::value::span_from_text;
use crate::domain::pattern::matches;
use crate::domain::text::clean;
use crate::domain::{Bytes, Level};

use super::measurement::{Measurement, Measures};

/// `peak<800MiB`, `command/growth<=1MiB`, `stall<2s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    text: String,
    /// `None`: of the command, else of the named components, else memory used.
    subject: Option<String>,
    figure: Figure,
    relation: Relation,
    /// Bytes, microseconds or a count.
    value: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Of(Holding),
    Machine(OfMachine),
}

/// Of whatever holds memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    Peak,
    Least,
    Average,
    P95,
    End,
    Delta,
    Rise,
    Growth,
}

/// Of the machine alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OfMachine {
    SwapPeak,
    Stall,
    LongestStall,
    OomKills,
    At(Level),
}

/// Each figure and its word.
const FIGURES: [(&str, Figure); 16] = [
    ("peak", Figure::Of(Holding::Peak)),
    ("average", Figure::Of(Holding::Average)),
    ("p95", Figure::Of(Holding::P95)),
    ("least", Figure::Of(Holding::Least)),
    ("end", Figure::Of(Holding::End)),
    ("delta", Figure::Of(Holding::Delta)),
    ("rise", Figure::Of(Holding::Rise)),
    ("growth", Figure::Of(Holding::Growth)),
    ("swap_peak", Figure::Machine(OfMachine::SwapPeak)),
    ("stall", Figure::Machine(OfMachine::Stall)),
    ("longest_stall", Figure::Machine(OfMachine::LongestStall)),
    ("oom_kills", Figure::Machine(OfMachine::OomKills)),
    ("at_normal", Figure::Machine(OfMachine::At(Level::Normal))),
    ("at_warning", Figure::Machine(OfMachine::At(Level::Warning))),
    ("at_critical", Figure::Machine(OfMachine::At(Level::Critical))),
    ("at_emergency", Figure::Machine(OfMachine::At(Level::Emergency))),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
}

/// Longer ones first: `<=` is not `<` and a value that begins with `=`.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];

impl Relation {
    fn holds(self, achieved: i64, value: i64) -> bool {
        match self {
            Relation::Below => achieved < value,
            Relation::AtMost => achieved <= value,
            Relation::Above => achieved > value,
            Relation::AtLeast => achieved >= value,
            Relation::Equal => achieved == value,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Bytes,
    #[serde(rename = "bytes_per_minute")]
    Growth,
    #[serde(rename = "microseconds")]
    Time,
    Count,
}

impl Figure {
    fn unit(self) -> Unit {
        match self {
            Figure::Of(Holding::Growth) => Unit::Growth,
            Figure::Of(_) | Figure::Machine(OfMachine::SwapPeak) => Unit::Bytes,
            Figure::Machine(OfMachine::OomKills) => Unit::Count,
            Figure::Machine(_) => Unit::Time,
        }
    }
}

impl Unit {
    fn parse(self, text: &str) -> Result<i64, String> {
        let text = text.trim();
        let (is_negative, size) = match text.strip_prefix('-') {
            Some(size) if matches!(self, Unit::Bytes | Unit::Growth) => (true, size),
            _ => (false, text),
        };
        let amount = match self {
            Unit::Bytes => bytes(size)?,
            Unit::Growth => bytes(size.strip_suffix("/min").unwrap_or(size))?,
            Unit::Time => span_from_text(size)
                .and_then(|span| i64::try_from(span.as_micros()).ok())
                .ok_or_else(|| format!("`{size}` is not a span; accepted are 500ms, 2s, 1min"))?,
            Unit::Count => size
                .parse::<u32>()
                .map(i64::from)
                .map_err(|_| format!("`{size}` is not a count"))?,
        };
        Ok(if is_negative { -amount } else { amount })
    }

    fn show(self, amount: i64) -> String {
        match self {
            Unit::Bytes => signed(amount),
            Unit::Growth => format!("{}/min", signed(amount)),
            Unit::Time => seconds(Duration::from_micros(amount.unsigned_abs())),
            Unit::Count => amount.to_string(),
        }
    }
}

fn bytes(text: &str) -> Result<i64, String> {
    let bytes: Bytes =
        text.parse().map_err(|wrong: crate::domain::bytes::NotASize| wrong.to_string())?;
    i64::try_from(bytes.get()).map_err(|_| format!("`{text}` is too large"))
}

fn signed(amount: i64) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    format!("{sign}{}", Bytes::new(amount.unsigned_abs()))
}

/// As short as it can be read: `340 ms`, `12.3 s`, `4 min 5 s`.
pub fn seconds(span: Duration) -> String {
    match span.as_millis() {
        0 if span.is_zero() => "0 s".to_owned(),
        0 => "<1 ms".to_owned(),
        millis @ 1..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{:.1} s", span.as_secs_f64()),
        _ => match (span.as_secs() / 3600, span.as_secs() / 60 % 60, span.as_secs() % 60) {
            (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
            (hours, minutes, _) => format!("{hours} h {minutes} min"),
        },
    }
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (at, (sign, relation)) = text
            .char_indices()
            .find_map(|(at, _)| {
                let rest = &text[at..];
                RELATIONS.iter().find(|(sign, _)| rest.starts_with(sign)).map(|found| (at, *found))
            })
            .ok_or_else(|| {
                format!(
                    "`{}` compares nothing; accepted is FIGURE<VALUE, as in peak<800MiB",
                    clean(text)
                )
            })?;
        let (before, value) = (&text[..at], &text[at + sign.len()..]);
        // The names of models hold slashes, figures do not.
        let (subject, word) = match before.rsplit_once('/') {
            Some((subject, word)) => (Some(subject.trim().to_owned()), word.trim()),
            None => (None, before.trim()),
        };
        let found = FIGURES.iter().find(|(name, _)| *name == word);
        let figure = found.map(|(_, figure)| *figure).ok_or_else(|| unknown_figure(word))?;
        if let (Figure::Machine(_), Some(subject)) = (figure, &subject) {
            return Err(format!("{word} is of the machine, not of {}", clean(subject)));
        }
        let value = figure.unit().parse(value)?;
        Ok(Target { text: clean(text), subject, figure, relation, value })
    }
}

fn unknown_figure(word: &str) -> String {
    let known = FIGURES.iter().map(|(name, _)| *name);
    let meant = closest(word, known.clone()).map(|meant| format!("; did you mean {meant}?"));
    let accepted = known.collect::<Vec<_>>().join(", ");
    format!("`{}` is no figure{}; accepted are {accepted}", clean(word), meant.unwrap_or_default())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Unknown => "unknown",
        })
    }
}

/// What became of a target, for one of those it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    pub target: String,
    pub subject: String,
    /// As a person reads it.
    pub achieved: Option<String>,
    pub achieved_amount: Option<i64>,
    /// Of that amount.
    pub unit: Unit,
    pub verdict: Verdict,
}

/// One result for each of those a target is about; one that is unknown, where
/// there is none.
pub fn judge(targets: &[Target], measurement: &Measurement) -> Vec<Judged> {
    targets.iter().flat_map(|target| target.judge(measurement)).collect()
}

/// Of the measurement: a miss is a miss, whatever else is unknown.
pub fn result(judged: &[Judged]) -> Option<Verdict> {
    let has = |verdict| judged.iter().any(|one| one.verdict == verdict);
    [Verdict::Fail, Verdict::Unknown, Verdict::Pass].into_iter().find(|verdict| has(*verdict))
}

impl Target {
    fn judge(&self, measurement: &Measurement) -> Vec<Judged> {
        match self.figure {
            Figure::Machine(figure) => {
                vec![self.judged("machine", self.of_machine(figure, measurement))]
            }
            Figure::Of(figure) => {
                let about = self.about(measurement);
                if about.is_empty() {
                    let nobody = self.subject.as_deref().unwrap_or("components");
                    return vec![self.judged(nobody, None)];
                }
                let judge = |(name, measures): (String, Option<&Measures>)| {
                    let amount = measures.and_then(|measures| figure.of(measures));
                    self.judged(&name, amount.map(|amount| (amount, amount)))
                };
                about.into_iter().map(judge).collect()
            }
        }
    }

    /// Between the least and the most that it may have been.
    fn judged(&self, subject: &str, achieved: Option<(i64, i64)>) -> Judged {
        let verdict = achieved.map(|(least, most)| {
            match [least, most].map(|amount| self.relation.holds(amount, self.value)) {
                [true, true] => Verdict::Pass,
                [false, false] => Verdict::Fail,
                _ => Verdict::Unknown,
            }
        });
        let amount = achieved.map(|(least, _)| least);
        Judged {
            target: self.text.clone(),
            subject: clean(subject),
            achieved: amount.map(|amount| self.figure.unit().show(amount)),
            achieved_amount: amount,
            unit: self.figure.unit(),
            verdict: verdict.unwrap_or(Verdict::Unknown),
        }
    }

    fn about<'a>(&self, measurement: &'a Measurement) -> Vec<(String, Option<&'a Measures>)> {
        let component = |pattern: Option<&str>| {
            let all = measurement.components.iter();
            let is_meant = move |id: &str, name: &str| {
                pattern.is_none_or(|pattern| matches(pattern, id) || matches(pattern, name))
            };
            all.filter(move |one| is_meant(&one.id, &one.name))
                .map(|one| (one.id.clone(), Some(&one.measures)))
                .collect::<Vec<_>>()
        };
        let system = &measurement.system;
        let plain = |name: &str, measures| vec![(name.to_owned(), measures)];
        match self.subject.as_deref() {
            Some("used") => plain("used", system.used.as_ref()),
            Some("available") => plain("available", system.available.as_ref()),
            Some("swap") => plain("swap", system.swap.as_ref()),
            Some("models") => plain("models", measurement.models.as_ref()),
            Some("command") => plain("command", measurement.command_measures()),
            Some(pattern) => component(Some(pattern)),
            None if measurement.command.is_some() => {
                plain("command", measurement.command_measures())
            }
            None if !measurement.patterns.is_empty() => component(None),
            None => plain("used", system.used.as_ref()),
        }
    }

    fn of_machine(&self, figure: OfMachine, measurement: &Measurement) -> Option<(i64, i64)> {
        let micros = |seconds: f64| (seconds * 1e6).round() as i64;
        let exactly = |amount: i64| (amount, amount);
        let stall = measurement.stall.as_ref();
        match figure {
            OfMachine::SwapPeak => {
                let swap = measurement.system.swap.as_ref()?;
                Holding::Peak.of(swap).map(exactly)
            }
            OfMachine::Stall => stall.map(|stall| exactly(micros(stall.some_seconds))),
            OfMachine::LongestStall => {
                stall.and_then(|stall| stall.longest_seconds).map(|span| exactly(micros(span)))
            }
            OfMachine::OomKills => {
                measurement.oom_kills.and_then(|kills| i64::try_from(kills).ok()).map(exactly)
            }
            OfMachine::At(level) => {
                let levels = measurement.levels.as_ref()?;
                let seen = micros(levels.of(level));
                // While nobody looked it may have been at any level.
                Some((seen, seen.saturating_add(micros(levels.unseen_seconds))))
            }
        }
    }
}

impl Holding {
    fn of(self, measures: &Measures) -> Option<i64> {
        let bytes = |bytes: Bytes| i64::try_from(bytes.get()).ok();
        match self {
            Holding::Peak => bytes(measures.peak_bytes),
            Holding::Least => bytes(measures.least_bytes),
            Holding::Average => bytes(measures.average_bytes),
            Holding::P95 => bytes(measures.p95_bytes),
            Holding::End => bytes(measures.end_bytes),
            Holding::Delta => Some(measures.delta_bytes.get()),
            Holding::Rise => bytes(measures.rise_bytes),
            Holding::Growth => measures.growth_bytes_per_minute.map(|growth| growth.get()),
        }
    }
}

#[cfg(test)]
mod tests;
