//! Targets: what memory is meant to stay within, and whether it does. They set
//! no level and no rule follows from them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bytes::{Bytes, Percent};

/// What a target is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// Share of memory in use.
    Used,
    /// The largest loaded model.
    Model,
    /// Containers that the config names, together.
    Containers,
    Available,
    /// Swap in use.
    Swap,
}

impl TargetKind {
    pub const fn word(self) -> &'static str {
        match self {
            TargetKind::Used => "used",
            TargetKind::Model => "model",
            TargetKind::Containers => "containers",
            TargetKind::Available => "available",
            TargetKind::Swap => "swap",
        }
    }

    /// More is better; of the others less is.
    pub const fn is_least(self) -> bool {
        matches!(self, TargetKind::Available)
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    Share(Percent),
    Size(Bytes),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Share(share) => share.fmt(f),
            Amount::Size(size) => size.fmt(f),
        }
    }
}

/// One target and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetView {
    pub kind: TargetKind,
    pub limit: Amount,
    /// Or why it cannot be told.
    pub now: Result<Amount, String>,
    /// Which of several it is.
    pub of: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetOutcome {
    Achieved,
    Missed,
    /// It cannot be told, which is no achievement.
    Unknown,
}

impl TargetOutcome {
    pub const fn word(self) -> &'static str {
        match self {
            TargetOutcome::Achieved => "achieved",
            TargetOutcome::Missed => "missed",
            TargetOutcome::Unknown => "unknown",
        }
    }
}

impl TargetView {
    pub fn outcome(&self) -> TargetOutcome {
        let Ok(now) = &self.now else { return TargetOutcome::Unknown };
        let keeps = if self.kind.is_least() { *now > self.limit } else { *now < self.limit };
        if keeps { TargetOutcome::Achieved } else { TargetOutcome::Missed }
    }

    /// `below 3.0 GiB`
    pub fn limit_text(&self) -> String {
        let relation = if self.kind.is_least() { "above" } else { "below" };
        format!("{relation} {}", self.limit)
    }

    /// `2.1 GiB (qwen2.5:7b)`, or `unknown: …`.
    pub fn now_text(&self) -> String {
        match (&self.now, &self.of) {
            (Ok(now), Some(of)) => format!("{now} ({of})"),
            (Ok(now), None) => now.to_string(),
            (Err(why), _) => format!("unknown: {why}"),
        }
    }
}
