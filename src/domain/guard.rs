//! What the guard would do, asks and has done: for the one who looks.

use serde::{Deserialize, Serialize};

use super::bytes::{Bytes, BytesDelta};
use super::level::{Cause, Level};
use super::plan::{Plan, Strength};
use super::rule::RuleMode;
use super::time::Moment;

/// A plan that waits for a person's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub number: u64,
    pub plan: Plan,
    pub since: Moment,
}

/// How far rules go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleModes {
    /// None goes beyond it.
    pub ceiling: RuleMode,
    /// The mode of the one that goes furthest.
    pub furthest: RuleMode,
}

/// The rules and what they would do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyView {
    /// By level, normal first.
    pub levels: Vec<LevelView>,
    /// Rules that hold at any level, as setting and value, where set.
    pub standing: Vec<StandingRule>,
    pub kill_switch: Option<RuleMode>,
    /// Why a rule does not act now, though its mode lets it.
    pub waits: Option<String>,
    /// Over the last 24 hours.
    pub day: DayCounts,
}

/// One level's rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LevelView {
    pub level: Level,
    pub mode: RuleMode,
    pub strength: Option<Strength>,
    /// `idle 10 min`, `budget 4.0 GiB`, as set.
    pub terms: Vec<String>,
    /// What it would do if the level stood now; [`Plan::kept`] says why the
    /// others are no candidates.
    pub plan: Plan,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRule {
    /// As the config calls it: `rules.one_model`.
    pub key: String,
    pub value: String,
    /// What it would do now, if anything.
    pub would: Option<String>,
}

/// What happened over a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCounts {
    pub level_changes: u64,
    pub actions: u64,
    pub by_rule: u64,
    pub freed: Bytes,
    pub oom_kills: u64,
}

/// Why the level is what it is, and what would help.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    pub level: Level,
    pub since: Moment,
    pub set_by: Option<Cause>,
    /// Every signal with its figure and the level it asks for.
    pub signals: Vec<SignalSays>,
    /// Bytes to free before the level may be left.
    pub excess: Option<Bytes>,
    /// Largest change first, either way.
    pub movers: Vec<Mover>,
    /// Since when movers are compared.
    pub movers_since: Option<Moment>,
    /// Least harm first.
    pub help: Vec<Help>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSays {
    pub text: String,
    pub level: Level,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mover {
    pub name: String,
    pub change: BytesDelta,
    pub now: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {
    /// `unload tiny:1b`
    pub what: String,
    pub frees: Option<Bytes>,
    /// It alone would do.
    pub is_enough: bool,
}
