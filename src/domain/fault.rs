//! What can go wrong at the edges, as words: the state can hear of a failure,
//! and a snapshot can show it, without importing an edge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a sensor has nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorFault {
    pub kind: FaultKind,
    /// A lower-case fragment that names the thing: path, line, key.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// This machine has no such thing: no swap, no PSI. Ordinary and quiet.
    Absent,
    /// It is there and may not be read.
    Denied,
    /// It was read and makes no sense.
    Malformed,
    /// Reading failed in another way.
    Failed,
    /// It has not answered in time.
    Hung,
}

impl SensorFault {
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        SensorFault { kind, detail: detail.into() }
    }

    pub fn absent(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Absent, detail)
    }
}

impl fmt::Display for SensorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for SensorFault {}

/// Why a runtime did not answer as asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFault {
    pub kind: RuntimeFaultKind,
    /// A lower-case fragment with what was seen; text from outside is cleaned.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeFaultKind {
    /// Nobody listens there.
    Refused,
    /// The name or the address leads nowhere.
    Unreachable,
    /// Connected, and nothing came back in time.
    TimedOut,
    /// An HTTP status that is not success, with its words.
    Status(u16),
    /// An answer that is not what this call answers.
    Rubbish,
    /// More than any sane answer.
    TooLarge,
    /// The connection broke half way.
    Broken,
    /// This call is never sent: a cloud model, a replay.
    NotAllowed,
}

impl RuntimeFault {
    pub fn new(kind: RuntimeFaultKind, detail: impl Into<String>) -> Self {
        RuntimeFault { kind, detail: detail.into() }
    }
}

impl fmt::Display for RuntimeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for RuntimeFault {}
