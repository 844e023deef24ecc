//! Reads a recording line by line, never more than one line ahead.
//!
//! A last line that was cut off ends it quietly; anything else that cannot be
//! read is an error with its line, and the end: what follows would be built on
//! it. Text is cleaned here, as everywhere it enters the program.

use std::fmt;
use std::io::BufRead;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::steps::{Step, clean_all};
use super::{Entry, Header, NAME, RecordingError, Report, VERSION};
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
    text: Vec<u8>,
    /// The sample that changes are laid over.
    before: Option<Box<Sample>>,
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
        Ok(Reader { input, host, line: 1, text, before: None, has_ended: false })
    }

    /// The machine that was recorded.
    pub fn host(&self) -> &Host {
        &self.host
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        loop {
            self.text.clear();
            read_line(&mut self.input, &mut self.text).map_err(RecordingError::Read)?;
            if self.text.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            if self.text.trim_ascii().is_empty() {
                continue;
            }
            let is_whole = self.text.last() == Some(&b'\n');
            let mut json = serde_json::Deserializer::from_slice(&self.text);
            let line = LineOver(self.before.as_deref_mut()).deserialize(&mut json);
            return match line.and_then(|line| json.end().map(|()| line)) {
                Ok(line) => self.entry(line).map(Some),
                Err(fault)
                    if !is_whole && !fault.is_data() && (self.text.len() as u64) < LONGEST_LINE =>
                {
                    Ok(None)
                }
                Err(fault) => Err(self.malformed(not_json(&fault))),
            };
        }
    }

    fn entry(&mut self, line: Read) -> Result<Entry, RecordingError> {
        match line {
            Read { sample: Some(mut value), report: None, has_change: false, .. } => {
                clean_all(&mut value);
                let sample =
                    Box::<Sample>::deserialize(value).map_err(|f| self.malformed(f.to_string()))?;
                self.before = Some(sample.clone());
                Ok(Entry::Sample(sample))
            }
            Read { has_change: true, sample: None, report: None, later_ms, later_wall_ns } => {
                let Some(mut sample) = self.before.take() else {
                    return Err(self.malformed("a change before the first sample".into()));
                };
                sample.at = later(sample.at, later_ms.unwrap_or_default(), later_wall_ns)
                    .ok_or_else(|| self.malformed("a time out of range".into()))?;
                self.before = Some(sample.clone());
                Ok(Entry::Sample(sample))
            }
            Read { report: Some(mut value), sample: None, has_change: false, .. } => {
                clean_all(&mut value);
                let report =
                    Box::<Report>::deserialize(value).map_err(|f| self.malformed(f.to_string()))?;
                Ok(Entry::Report(report))
            }
            _ => Err(self.malformed("neither one sample, one change nor one report".into())),
        }
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
    std::io::Read::take(input, LONGEST_LINE).read_until(b'\n', text)
}

fn later(at: Moment, ms: u64, wall_ns: Option<i64>) -> Option<Moment> {
    let wall_ns = wall_ns.map_or(i128::from(ms) * 1_000_000, i128::from);
    let wall = Wall::from_nanosecond(at.wall.as_nanosecond().checked_add(wall_ns)?).ok()?;
    let mono = Monotonic::from_millis(at.mono.millis().checked_add(ms)?);
    Some(Moment::new(wall, mono))
}

/// What a line said; its change is laid over the sample before by then.
#[derive(Default)]
struct Read {
    sample: Option<Value>,
    report: Option<Value>,
    has_change: bool,
    later_ms: Option<u64>,
    later_wall_ns: Option<i64>,
}

/// A line to be read, and the sample before, if there is one.
struct LineOver<'a>(Option<&'a mut Sample>);

impl<'de> DeserializeSeed<'de> for LineOver<'_> {
    type Value = Read;

    fn deserialize<D: Deserializer<'de>>(self, line: D) -> Result<Read, D::Error> {
        line.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineOver<'_> {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line of a recording")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Read, A::Error> {
        let mut read = Read::default();
        while let Some(name) = map.next_key::<&str>()? {
            match (name, self.0.as_deref_mut()) {
                ("s", _) => read.sample = map.next_value()?,
                ("r", _) => read.report = map.next_value()?,
                ("t", _) => read.later_ms = map.next_value()?,
                ("w", _) => read.later_wall_ns = map.next_value()?,
                ("d", _) if read.has_change => return Err(Error::duplicate_field("d")),
                ("d", before) => {
                    read.has_change = true;
                    match before {
                        Some(before) => map.next_value_seed(Step(before))?,
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                (name, _) => return Err(Error::unknown_field(name, &["s", "r", "d", "t", "w"])),
            }
        }
        Ok(read)
    }
}
