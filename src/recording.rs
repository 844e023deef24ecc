//! Recordings: samples and what runtimes answered, as lines of JSON.
//!
//! The first line says what the file is. A sample is written whole now and
//! then and otherwise as what changed since the one before;
//! a report of a runtime is written when it says something new. A file can be
//! cut where a whole sample stands, its first line kept, and can be read after
//! its writer was cut off.

mod delta;
mod playback;
mod reader;
mod steps;
mod writer;

use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::fault::RuntimeFault;
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::time::Moment;

pub use playback::Playback;
pub use reader::Reader;
pub use writer::Writer;

/// Raised when a reader of today could not read what is written.
pub const VERSION: u32 = 1;

/// What the first line calls the file.
const NAME: &str = "plimsoll recording";

/// What a runtime answered, or how it failed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub at: Moment,
    /// Without user name or password.
    pub url: String,
    pub what: ReportBody,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBody {
    Loaded(Result<Vec<LoadedModel>, RuntimeFault>),
    Installed(Result<Vec<InstalledModel>, RuntimeFault>),
    Version(Result<String, RuntimeFault>),
    Details { model: ModelName, details: ModelDetails },
}

/// What a report is about: a later one on the same replaces it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Loaded,
    Installed,
    Version,
    Details(ModelName),
}

impl ReportBody {
    fn subject(&self) -> Subject {
        match self {
            ReportBody::Loaded(_) => Subject::Loaded,
            ReportBody::Installed(_) => Subject::Installed,
            ReportBody::Version(_) => Subject::Version,
            ReportBody::Details { model, .. } => Subject::Details(model.clone()),
        }
    }
}

/// One thing a recording holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Sample(Box<Sample>),
    Report(Box<Report>),
}

impl Entry {
    pub fn at(&self) -> Moment {
        match self {
            Entry::Sample(sample) => sample.at,
            Entry::Report(report) => report.at,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    #[error("line 1 is not the first line of a recording; `plimsoll record FILE` writes one")]
    NotARecording,
    #[error("the file is empty; `plimsoll record FILE` writes a recording")]
    NoLine,
    #[error(
        "the recording has format {found}, this plimsoll reads {VERSION}: play it with the \
         plimsoll that made it, or make it again"
    )]
    Version { found: u32 },
    #[error("line {line} of the recording: {detail}")]
    Malformed { line: u64, detail: String },
    #[error("the recording holds no sample; it was ended before its first, make it again")]
    Empty,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    host: Host,
}

/// Every other line; exactly one of the first three is there.
#[derive(Debug, Default, Serialize)]
struct Line {
    /// A whole sample.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    sample: Option<serde_json::Value>,
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    report: Option<Box<Report>>,
    /// What changed since the sample before.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    change: Option<serde_json::Value>,
    /// How much later than the sample before, by the clock that does not jump.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    later_ms: Option<u64>,
    /// How much later by wall time in nanoseconds, where that is not the same.
    #[serde(rename = "w", skip_serializing_if = "Option::is_none")]
    later_wall_ns: Option<i64>,
}
