//! What a report says, as it is also given to programs. More may be added;
//! nothing is renamed. What is unknown is null, never 0.

use serde::Serialize;

use crate::domain::event::Origin;
use crate::domain::{ComponentKind, Finding, Level, Wall};

#[derive(Debug, Serialize)]
pub struct Report {
    pub schema_version: u32,
    pub since: Wall,
    pub until: Wall,
    pub record: Record,
    pub levels: Levels,
    /// Null: nothing is recorded of that time.
    pub memory: Option<MemoryStory>,
    pub actions: Actions,
    pub oom_kills: OomKills,
    pub growers: Growers,
    pub loads: Loads,
    pub forecasts: Forecasts,
    /// Those of now that are open, the gravest first. Null: they could not be
    /// had, and why.
    pub findings: Option<Vec<Finding>>,
    pub findings_reason: Option<String>,
}

/// Of what the report can know at all.
#[derive(Debug, Serialize)]
pub struct Record {
    /// How long somebody looked.
    pub seen_seconds: u64,
    pub of_seconds: u64,
    pub gaps: Vec<GapStory>,
}

#[derive(Debug, Serialize)]
pub struct GapStory {
    pub from: Wall,
    pub until: Wall,
    /// A plimsoll began at its end: none had run. Else the machine slept or
    /// its clock was set; where nothing follows, that cannot be told.
    pub ended_by_start: Option<bool>,
}

#[derive(Debug, Serialize)]
pub struct Levels {
    pub normal_seconds: u64,
    pub warning_seconds: u64,
    pub critical_seconds: u64,
    pub emergency_seconds: u64,
    /// All of them, oldest first.
    pub changes: Vec<Change>,
}

impl Levels {
    pub fn seconds(&self) -> [(Level, u64); 4] {
        [
            (Level::Normal, self.normal_seconds),
            (Level::Warning, self.warning_seconds),
            (Level::Critical, self.critical_seconds),
            (Level::Emergency, self.emergency_seconds),
        ]
    }
}

#[derive(Debug, Serialize)]
pub struct Change {
    pub time: Wall,
    pub from: Level,
    pub to: Level,
    pub cause: Option<String>,
    /// How long it had been at the level it left.
    pub lasted_ms: u64,
}

/// The worst of that time, and in which minute that was.
#[derive(Debug, Serialize)]
pub struct MemoryStory {
    pub total_bytes: Option<u64>,
    pub most_used: Option<Worst>,
    pub least_available: Option<Worst>,
    pub most_swap_used: Option<Worst>,
    pub most_of_models: Option<Worst>,
    pub most_stalled_percent: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Worst {
    pub bytes: u64,
    pub time: Wall,
}

#[derive(Debug, Default, Serialize)]
pub struct Actions {
    /// All that was begun.
    pub begun: u32,
    pub done: u32,
    /// Asked, and it could not be seen what came of it.
    pub unconfirmed: u32,
    /// It was already so.
    pub already: u32,
    pub still_generating: u32,
    pub stuck: u32,
    pub failed: u32,
    /// Begun, and nothing is written of an end.
    pub open: u32,
    /// Loads that were not begun for want of room.
    pub refused_loads: u32,
    /// Of what takes away: what was expected of it, what was seen to come
    /// back, and what was expected of that which is unconfirmed.
    pub expected_bytes: u64,
    pub freed_bytes: u64,
    pub unconfirmed_bytes: u64,
    pub list: Vec<ActionStory>,
}

#[derive(Debug, Serialize)]
pub struct ActionStory {
    pub time: Wall,
    /// As `unload` or `pause`.
    pub action: &'static str,
    pub subject: String,
    /// Null where that is not known.
    pub by: Option<Origin>,
    /// `done`, `unconfirmed`, `already`, `still_generating`, `stuck`, `failed`,
    /// `refused`, or `open` where no end is written.
    pub result: &'static str,
    pub detail: Option<String>,
    pub expected_bytes: Option<u64>,
    pub freed_bytes: Option<u64>,
    pub took_ms: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
pub struct OomKills {
    pub count: u64,
    pub times: Vec<Wall>,
}

#[derive(Debug, Default, Serialize)]
pub struct Growers {
    /// How often components were counted in that time.
    pub counts: usize,
    /// Those that grew, the most first.
    pub list: Vec<Grower>,
}

/// One and the same process, or container or service, as it was counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grower {
    pub id: String,
    pub name: String,
    pub kind: ComponentKind,
    pub first: Worst,
    pub peak: Worst,
    pub last: Worst,
    /// It was there when components were counted last.
    pub is_there: bool,
}

impl Grower {
    pub fn grown(&self) -> u64 {
        self.peak.bytes.saturating_sub(self.first.bytes)
    }
}

#[derive(Debug, Default, Serialize)]
pub struct Loads {
    /// Models that came in, whoever loaded them.
    pub seen: u32,
    /// Those whose footprint was learned.
    pub list: Vec<LoadStory>,
}

#[derive(Debug, Serialize)]
pub struct LoadStory {
    pub time: Wall,
    pub model: String,
    pub context: u64,
    /// What its process held once it had worked; null: it never did.
    pub measured_bytes: Option<u64>,
    pub peak_bytes: u64,
    /// What had been said: learned, else estimated.
    pub expected_bytes: Option<u64>,
    /// Positive: more was said than it came to.
    pub error_percent: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct Forecasts {
    pub hits: u32,
    pub false_alarms: u32,
    pub misses: u32,
    pub cut_short: u32,
    /// From when a hit was first shown to when the level was reached.
    pub median_lead_ms: Option<u64>,
}
