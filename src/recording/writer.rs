//! Writes a recording, one line a call. Flushing is the caller's.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::Value;

use super::{Header, Line, NAME, Report, Subject, VERSION, delta};
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::time::Moment;

/// Samples from one that is whole to the next. At one a second a cut or
/// damaged file loses at most five minutes, and whole ones cost next to nothing.
const WHOLE_EVERY: u32 = 300;

/// Writes samples and reports to `out`.
pub struct Writer<W: Write> {
    out: W,
    before: Option<(Moment, Value)>,
    /// Samples since the last whole one.
    since_whole: u32,
    /// The last of each, to write only what is new.
    reports: BTreeMap<(String, Subject), Report>,
}

impl<W: Write> Writer<W> {
    /// Writes the first line.
    pub fn new(mut out: W, host: &Host) -> io::Result<Self> {
        let header = Header { format: NAME.to_owned(), version: VERSION, host: host.clone() };
        let mut text = serde_json::to_vec(&header)?;
        text.push(b'\n');
        out.write_all(&text)?;
        Ok(Writer { out, before: None, since_whole: 0, reports: BTreeMap::new() })
    }

    pub fn write_sample(&mut self, sample: &Sample) -> io::Result<()> {
        let mut value = serde_json::to_value(sample)?;
        let steps = self.before.as_ref().and_then(|(at, _)| steps(*at, sample.at));
        let line = match (&self.before, steps) {
            (Some((_, before)), Some((later_ms, later_wall_ns)))
                if self.since_whole < WHOLE_EVERY =>
            {
                // The time goes by its steps; without it a sample at rest is
                // an empty change.
                forget_time(&mut value);
                let change = delta::between(before, &value);
                Line {
                    change: Some(change.unwrap_or_else(|| Value::Object(serde_json::Map::new()))),
                    later_ms: Some(later_ms),
                    later_wall_ns,
                    ..Line::default()
                }
            }
            _ => Line { sample: Some(value.clone()), ..Line::default() },
        };
        let is_whole = line.sample.is_some();
        self.write(&line)?;
        forget_time(&mut value);
        self.before = Some((sample.at, value));
        self.since_whole = if is_whole { 1 } else { self.since_whole + 1 };
        if is_whole { self.repeat_reports() } else { Ok(()) }
    }

    /// Writes it if it says something new. `false`: it does not.
    pub fn write_report(&mut self, report: &Report) -> io::Result<bool> {
        let about = (report.url.clone(), report.what.subject());
        if self.reports.get(&about).is_some_and(|before| before.what == report.what) {
            return Ok(false);
        }
        self.write(&Line { report: Some(Box::new(report.clone())), ..Line::default() })?;
        self.reports.insert(about, report.clone());
        Ok(true)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What was written, without flushing it.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// After a whole sample, so that a file that begins there says everything.
    fn repeat_reports(&mut self) -> io::Result<()> {
        for report in self.reports.values() {
            let line = Line { report: Some(Box::new(report.clone())), ..Line::default() };
            write_line(&mut self.out, &line)?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        write_line(&mut self.out, line)
    }
}

fn write_line(out: &mut impl Write, line: &Line) -> io::Result<()> {
    // One write a line: what is cut off is cut between lines, mostly.
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}

fn forget_time(sample: &mut Value) {
    if let Some(sample) = sample.as_object_mut() {
        sample.remove("at");
    }
}

/// Milliseconds on the steady clock, and nanoseconds of wall time where they
/// say something else. `None`: a step that only a whole sample can tell.
fn steps(from: Moment, to: Moment) -> Option<(u64, Option<i64>)> {
    let later_ms = to.mono.millis().checked_sub(from.mono.millis())?;
    let wall = i64::try_from(to.wall.as_nanosecond() - from.wall.as_nanosecond()).ok()?;
    let is_same = i128::from(later_ms) * 1_000_000 == i128::from(wall);
    Some((later_ms, (!is_same).then_some(wall)))
}
