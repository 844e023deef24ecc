//! What reaches the state and what it answers with. Data only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::component::Priority;
use crate::domain::event::{Event, Origin};
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails};
use crate::domain::plan::Action;
use crate::domain::snapshot::{Host, Mode, ProfileView};
use crate::domain::{ActionId, Bytes, ModelName, ProcessKey, RuntimeFault, Sample};
use crate::policy::limits::Limits;
use crate::runtime::{Endpoint, LoadOptions};
use crate::sense::Want;

use super::link::{Command, Reply};

/// Numbers a command until its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNumber(pub u64);

/// Anything that reaches the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A deadline of the state's own has come.
    Woke,
    Sampled(Box<Sample>),
    Reported(Report),
    Asked {
        number: RequestNumber,
        command: Command,
    },
    /// The action's start is on disk, or could not be put there.
    Journalled {
        action: ActionId,
        result: Result<(), String>,
    },
    /// The other side answered. Not yet proof of anything.
    Performed {
        action: ActionId,
        result: Result<(), String>,
    },
    OlderEvents {
        number: RequestNumber,
        events: Result<Vec<Event>, String>,
    },
    /// The store, or another part without a place of its own, has bad news.
    Faulted {
        about: &'static str,
        text: String,
    },
    /// That bad news is over.
    Recovered {
        about: &'static str,
    },
}

/// What must then be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// How the sampler is to go on.
    Pace(Pace),
    Poll(Poll),
    /// Put this on disk and say so by [`Input::Journalled`].
    Journal {
        action: ActionId,
        event: Event,
    },
    Record(Event),
    Choose(Choice),
    Unload {
        action: ActionId,
        model: ModelName,
    },
    Load {
        action: ActionId,
        model: ModelName,
        options: LoadOptions,
    },
    EndProcess {
        action: ActionId,
        process: ProcessKey,
    },
    FetchOlder {
        number: RequestNumber,
        before: u64,
        limit: usize,
    },
    Reply {
        number: RequestNumber,
        reply: Reply,
    },
    Publish,
}

/// How often the sampler reads, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub interval: Duration,
    /// How often every process is looked at.
    pub scan_every: Duration,
    pub want: Want,
}

/// One question to a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    Loaded,
    Installed,
    Version,
    Details(ModelName),
}

/// Its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub took: Duration,
    pub answer: PollAnswer,
}

#[derive(Debug, Clone, PartialEq)]
pub enum PollAnswer {
    Loaded(Result<Vec<LoadedModel>, RuntimeFault>),
    Installed(Result<Vec<InstalledModel>, RuntimeFault>),
    Version(Result<String, RuntimeFault>),
    Details(ModelName, Result<ModelDetails, RuntimeFault>),
}

pub use crate::store::Choice;

/// A pin or a priority from the config, for the components whose id matches
/// `pattern`. The first rule that says something decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRule {
    pub pattern: String,
    pub pinned: Option<bool>,
    pub priority: Option<Priority>,
}

/// The profile for a machine with so much memory (`None`: unknown yet).
pub type LimitsFor = Arc<dyn Fn(Option<Bytes>) -> (ProfileView, Limits) + Send + Sync>;

/// What the state is told once, at the start.
#[derive(Clone)]
pub struct Settings {
    pub version: String,
    pub mode: Mode,
    pub host: Host,
    /// The user plimsoll runs as: whom it may signal.
    pub own_uid: u32,
    /// Overrides the profile's pace.
    pub interval: Option<Duration>,
    /// How far back the graph goes.
    pub graph: Duration,
    pub limits_for: LimitsFor,
    pub rules: Vec<ComponentRule>,
    pub runtime_kind: &'static str,
    pub endpoint: Endpoint,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What the store remembered from before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Oldest first.
    pub events: Vec<Event>,
    pub next_seq: u64,
    pub next_action: u64,
    pub choices: Vec<Choice>,
    /// Actions that were begun and have no outcome: plimsoll was ended.
    pub unfinished: Vec<(ActionId, Action, Origin)>,
}
