//! Everything known at one moment, immutable, shared as `Arc<Snapshot>`.
//!
//! It crosses process borders: no `Instant` inside, a format number, and each
//! large part behind an `Arc` with a version of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::component::Component;
use super::event::Event;
use super::fault::RuntimeFault;
use super::fit::{Fits, Recommendation};
use super::forecast::Forecast;
use super::guard::{PolicyView, Proposal, RuleModes};
use super::hints::{HintValues, Hints};
use super::history::History;
use super::level::{Headroom, LevelState, Mark};
use super::model::{InstalledModel, ModelView};
use super::plan::RunningPlan;
use super::sample::{Paging, Sample};
use super::target::TargetView;
use super::time::Moment;

/// Raised when the shape of a snapshot changes.
pub const FORMAT: u32 = 4;

/// Events kept in a snapshot; older ones are asked for by number.
pub const EVENTS_KEPT: usize = 500;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub format: u32,
    /// Grows with each snapshot of one engine.
    pub sequence: u64,
    pub at: Moment,
    pub host: Arc<Host>,
    /// `None` until the first sample.
    pub sample: Option<Arc<Sample>>,
    pub rates: Rates,
    pub level: LevelState,
    pub headroom: Headroom,
    /// Where levels begin in used bytes, ascending; empty where unknown.
    pub marks: Vec<Mark>,
    pub profile: Arc<ProfileView>,
    /// Bytes loaded models may take, where the profile sets a budget.
    pub model_budget: Option<Bytes>,
    /// What memory is meant to stay within, and whether it does.
    pub targets: Vec<TargetView>,
    pub runtimes: Vec<RuntimeView>,
    /// Loaded, loading or leaving; of all runtimes.
    pub models: Vec<ModelView>,
    pub installed: Part<Vec<InstalledModel>>,
    pub components: Part<Vec<Component>>,
    pub history: History,
    /// Newest last, numbered, at most [`EVENTS_KEPT`].
    pub events: Part<VecDeque<Event>>,
    pub plan: Option<Arc<RunningPlan>>,
    pub rules: RuleModes,
    /// A rule asks.
    pub proposal: Option<Arc<Proposal>>,
    /// Only while somebody looks at it.
    pub policy: Option<Arc<PolicyView>>,
    /// When the next level comes; `None`: it cannot be told.
    pub forecast: Option<Forecast>,
    /// Verdicts on the installed models, while somebody looks.
    pub fits: Part<Fits>,
    /// What would be a good model to load now.
    pub recommended: Option<Arc<Recommendation>>,
    /// What other programs are told at each level.
    pub hints: Part<Hints>,
    /// Loads this engine waits for: leaving would cut them off.
    pub loads_in_flight: Vec<super::model::ModelName>,
    /// Standing bad news that has no place of its own, newest last.
    pub notices: Vec<Notice>,
    pub mode: Mode,
}

/// A shared part and the number that changes when it does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part<T> {
    pub version: u64,
    pub value: Arc<T>,
}

impl<T> Part<T> {
    /// Replaces the value; the version tells.
    pub fn set(&mut self, value: T) {
        self.version += 1;
        self.value = Arc::new(value);
    }

    /// The value, to be changed in place; the version tells.
    pub fn change(&mut self) -> &mut T
    where
        T: Clone,
    {
        self.version += 1;
        Arc::make_mut(&mut self.value)
    }
}

/// The machine, as far as it does not change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub name: String,
    pub system: String,
    pub kernel: String,
}

/// The profile in force, and how it came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileView {
    /// `linux-15`
    pub name: String,
    /// `auto: Linux with 15.6 GiB`, `set in config.toml`.
    pub why: String,
}

/// What two samples say together; each unknown on its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Bytes a second.
    pub swapped_in: Option<f64>,
    pub swapped_out: Option<f64>,
    /// Growth of swap in use, bytes a second, smoothed over some 10 s.
    pub swap_growth: Option<f64>,
    /// A second.
    pub major_faults: Option<f64>,
    pub refaults_file: Option<f64>,
    pub oom_kills: u64,
}

impl Rates {
    /// The rates between two samples. Counters that went backwards, a clock
    /// that stood still and a gap give unknowns, never absurd figures.
    pub fn derive(earlier: &Sample, later: &Sample, longest_gap: std::time::Duration) -> Rates {
        let span = later.at.since(earlier.at);
        if span.is_zero() || span > longest_gap {
            return Rates::default();
        }
        let seconds = span.as_secs_f64();
        let (Ok(old), Ok(new)) = (&earlier.paging, &later.paging) else {
            return Rates { swap_growth: swap_growth(earlier, later, seconds), ..Rates::default() };
        };
        let counter = |pick: fn(&Paging) -> Option<u64>| -> Option<f64> {
            Some(pick(new)?.checked_sub(pick(old)?)? as f64 / seconds)
        };
        Rates {
            swapped_in: counter(|p| p.swapped_in.map(Bytes::get)),
            swapped_out: counter(|p| p.swapped_out.map(Bytes::get)),
            swap_growth: swap_growth(earlier, later, seconds),
            major_faults: counter(|p| p.major_faults),
            refaults_file: counter(|p| p.refaults_file),
            oom_kills: match (old.oom_kills, new.oom_kills) {
                (Some(old), Some(new)) => new.saturating_sub(old),
                _ => 0,
            },
        }
    }
}

fn swap_growth(earlier: &Sample, later: &Sample, seconds: f64) -> Option<f64> {
    let (old, new) = (earlier.swap.as_ref().ok()?, later.swap.as_ref().ok()?);
    Some(new.used.since(old.used).get() as f64 / seconds)
}

/// A program that holds models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuntimeView {
    pub kind: String,
    /// Without user name or password.
    pub url: String,
    pub state: RuntimeState,
    pub version: Option<String>,
    pub place: Place,
    /// Since when it has been in this state.
    pub since: Moment,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RuntimeState {
    /// Not asked yet.
    Unknown,
    Up,
    /// Answers, later than it should.
    Slow,
    Down {
        fault: RuntimeFault,
    },
}

impl RuntimeState {
    pub const fn word(&self) -> &'static str {
        match self {
            RuntimeState::Unknown => "unknown",
            RuntimeState::Up => "up",
            RuntimeState::Slow => "slow",
            RuntimeState::Down { .. } => "down",
        }
    }
}

/// Whether a runtime is on this machine. Remote unless proved local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Local,
    Remote,
    /// Not looked at yet.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about; a later notice on the same thing replaces it.
    pub about: String,
    pub text: String,
    pub since: Moment,
}

/// Where the picture comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Live,
    Demo,
    /// A recording: commands are refused.
    Replay,
}

impl Snapshot {
    /// What loaded models of this machine hold, by the best figure of each.
    pub fn models_held(&self) -> Bytes {
        self.models
            .iter()
            .filter(|model| !model.is_remote && !model.is_cloud)
            .filter_map(ModelView::held)
            .sum()
    }

    /// What other programs are told now.
    pub fn hints_in_force(&self) -> &Arc<HintValues> {
        self.hints.value.at(self.level.level)
    }

    pub fn model(&self, name: &super::model::ModelName) -> Option<&ModelView> {
        self.models.iter().find(|model| &model.name == name)
    }
}
