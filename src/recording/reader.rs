//! Reads a recording line by line, never more than one line ahead.
//!
//! A last line that was cut off ends it quietly; anything else that cannot be
//! read is an error with its line, and the end: what follows would be built on
//! it. Text is cleaned here, as everywhere it enters the program.

use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::Value;

use super::{Entry, Header, Line, NAME, RecordingError, VERSION, delta};
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::text::clean;
use crate::domain::time::{Moment, Monotonic, Wall};

/// A sample takes some kilobytes, ten thousand installed models some
/// megabytes. A line beyond that is no line of ours.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// The entries of a recording, in order.
pub struct Reader<R> {
    input: R,
    host: Host,
    /// Lines read so far.
    line: u64,
    before: Option<(Moment, Value)>,
    has_ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut text = Vec::new();
        read_line(&mut input, &mut text).map_err(RecordingError::Read)?;
        if text.is_empty() {
            return Err(RecordingError::NoLine);
        }
        // A newer header may hold more: its name and version come first.
        let header: Value =
            serde_json::from_slice(&text).map_err(|_| RecordingError::NotARecording)?;
        if header.get("format").and_then(Value::as_str) != Some(NAME) {
            return Err(RecordingError::NotARecording);
        }
        let version = header.get("version").and_then(Value::as_u64).unwrap_or_default();
        if version != u64::from(VERSION) {
            let found = u32::try_from(version).unwrap_or(u32::MAX);
            return Err(RecordingError::Version { found });
        }
        let header: Header =
            serde_json::from_value(header).map_err(|_| RecordingError::NotARecording)?;
        let host = Host {
            name: clean(&header.host.name),
            system: clean(&header.host.system),
            kernel: clean(&header.host.kernel),
        };
        Ok(Reader { input, host, line: 1, before: None, has_ended: false })
    }

    /// The machine that was recorded.
    pub fn host(&self) -> &Host {
        &self.host
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        loop {
            let mut text = Vec::new();
            read_line(&mut self.input, &mut text).map_err(RecordingError::Read)?;
            if text.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let is_whole = text.last() == Some(&b'\n');
            if text.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice::<Line>(&text) {
                Ok(line) => self.entry(line).map(Some),
                Err(_) if !is_whole && (text.len() as u64) < LONGEST_LINE => Ok(None),
                Err(fault) => Err(self.malformed(not_json(&fault))),
            };
        }
    }

    fn entry(&mut self, line: Line) -> Result<Entry, RecordingError> {
        match line {
            Line { sample: Some(mut value), report: None, change: None, .. } => {
                clean_all(&mut value);
                let at = value.as_object_mut().and_then(|sample| sample.remove("at"));
                let at = at.ok_or_else(|| self.malformed("a sample without its time".into()))?;
                let at = Moment::deserialize(at).map_err(|f| self.malformed(f.to_string()))?;
                self.sample(at, value)
            }
            Line { change: Some(mut change), sample: None, report: None, .. } => {
                let Some((at, mut value)) = self.before.take() else {
                    return Err(self.malformed("a change before the first sample".into()));
                };
                let at = later(at, line.later_ms.unwrap_or_default(), line.later_wall_ns)
                    .ok_or_else(|| self.malformed("a time out of range".into()))?;
                clean_all(&mut change);
                delta::apply(&mut value, change).map_err(|detail| self.malformed(detail))?;
                self.sample(at, value)
            }
            Line { report: Some(report), sample: None, change: None, .. } => {
                let mut value =
                    serde_json::to_value(report).map_err(|f| self.malformed(f.to_string()))?;
                clean_all(&mut value);
                let report =
                    serde_json::from_value(value).map_err(|f| self.malformed(f.to_string()))?;
                Ok(Entry::Report(report))
            }
            _ => Err(self.malformed("neither one sample, one change nor one report".into())),
        }
    }

    fn sample(&mut self, at: Moment, value: Value) -> Result<Entry, RecordingError> {
        let mut timed = value;
        if let (Some(sample), Ok(time)) = (timed.as_object_mut(), serde_json::to_value(at)) {
            sample.insert("at".to_owned(), time);
        }
        let sample = Sample::deserialize(&timed).map_err(|f| self.malformed(f.to_string()))?;
        if let Some(sample) = timed.as_object_mut() {
            sample.remove("at");
        }
        self.before = Some((at, timed));
        Ok(Entry::Sample(Box::new(sample)))
    }

    fn malformed(&self, detail: String) -> RecordingError {
        RecordingError::Malformed { line: self.line, detail: clean(&detail) }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Entry, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.next_entry().transpose();
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The line within the line is always 1: it would be taken for the file's.
fn not_json(fault: &serde_json::Error) -> String {
    let told = fault.to_string();
    match told.split_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", fault.column()),
        None => told,
    }
}

fn read_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> std::io::Result<usize> {
    input.take(LONGEST_LINE).read_until(b'\n', text)
}

fn later(at: Moment, ms: u64, wall_ns: Option<i64>) -> Option<Moment> {
    let wall_ns = wall_ns.map_or(i128::from(ms) * 1_000_000, i128::from);
    let wall = Wall::from_nanosecond(at.wall.as_nanosecond().checked_add(wall_ns)?).ok()?;
    let mono = Monotonic::from_millis(at.mono.millis().checked_add(ms)?);
    Some(Moment::new(wall, mono))
}

fn clean_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(list) => list.iter_mut().for_each(clean_all),
        Value::Object(map) => map.values_mut().for_each(clean_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
