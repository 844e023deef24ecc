//! How near the machine is to its load line, and what says so.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::time::Moment;

/// The worst signal's verdict, entered fast and left slowly.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    #[default]
    Normal,
    Warning,
    Critical,
    Emergency,
}

impl Level {
    pub const ALL: [Level; 4] = [Level::Normal, Level::Warning, Level::Critical, Level::Emergency];

    pub const fn word(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Warning => "warning",
            Level::Critical => "critical",
            Level::Emergency => "emergency",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One input to the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// Share of memory in use.
    Memory,
    /// Available bytes against the profile's reserve.
    Available,
    /// PSI or the macOS pressure level.
    Pressure,
    /// Swap growth and rate.
    Swap,
    /// Free memory of a discrete GPU.
    Vram,
}

impl SignalKind {
    pub const fn word(self) -> &'static str {
        match self {
            SignalKind::Memory => "memory",
            SignalKind::Available => "available",
            SignalKind::Pressure => "pressure",
            SignalKind::Swap => "swap",
            SignalKind::Vram => "vram",
        }
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Which signal says so, in words with its figure: `memory 78 %`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub signal: SignalKind,
    pub text: String,
}

/// The level now, since when, and what set it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelState {
    pub level: Level,
    pub since: Moment,
    /// `None` while normal, or before the first sample.
    pub set_by: Option<Cause>,
    /// How it was judged.
    pub basis: Basis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Two readings, no dwell.
    OneShot,
    /// A running engine, with dwell and hysteresis.
    Attached,
}

/// Bytes to the nearest byte or share threshold above now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Headroom {
    Known {
        bytes: Bytes,
        to: Level,
    },
    /// No threshold can be named in bytes, and why.
    Unknown {
        reason: String,
    },
}

/// Where a level begins on the bar of used memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub level: Level,
    /// Used bytes at which the level is entered.
    pub used: Bytes,
}
