//! What reaches the state and what it answers with. Data only.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::act::Order;
pub use crate::act::hooks::Hook;
use crate::domain::event::{Event, Origin};
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails};
use crate::domain::plan::Action;
use crate::domain::snapshot::{Host, Mode, ProfileView};
use crate::domain::{
    ActionId, Bytes, Debt, Hints, InForce, LoadObserved, ModelName, Named, RuntimeFault, Sample,
};
use crate::policy::fit::FitSettings;
use crate::policy::limits::Limits;
use crate::policy::recommend::Tastes;
pub use crate::policy::rules::ComponentRule;
use crate::policy::rules::Rules;
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
        result: Result<Answered, String>,
    },
    /// A hook has run.
    Hooked {
        of: u64,
        hook: String,
        result: Result<String, String>,
    },
    /// The config was changed, checked and read.
    Configured(Box<Configured>),
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

/// What the other side said beside "done": a command's output.
pub type Answered = Option<String>;

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
    /// Anything that is not a runtime's to do.
    Act {
        action: ActionId,
        order: Order,
    },
    /// Tell this hook of this event.
    Hook {
        hook: Hook,
        event: Event,
        now: InForce,
    },
    /// Put on disk what is to be taken back, before it is done.
    Owe(Debt),
    /// It was taken back, or is none any longer.
    Settle(Debt),
    /// Something for later runs.
    Learn(Lesson),
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

pub use crate::store::{Choice, Lesson};

/// What a machine is judged and handled by.
#[derive(Debug, Clone, PartialEq)]
pub struct Regime {
    pub profile: ProfileView,
    pub limits: Limits,
    pub rules: Rules,
}

/// The regime for a machine with so much memory (`None`: unknown yet).
pub type RegimeFor = Arc<dyn Fn(Option<Bytes>) -> Regime + Send + Sync>;

/// What a changed config changes in a running engine.
#[derive(Clone)]
pub struct Configured {
    /// What is said of it, for the events.
    pub note: String,
    pub interval: Option<Duration>,
    pub regime_for: RegimeFor,
    pub fit: FitSettings,
    pub tastes: Tastes,
    pub components: Vec<ComponentRule>,
    pub hooks: Vec<Hook>,
    pub hints: Arc<Hints>,
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").finish_non_exhaustive()
    }
}

/// Two are the same if they are one: a test that compares inputs needs no more.
impl PartialEq for Configured {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.regime_for, &other.regime_for)
    }
}

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
    pub regime_for: RegimeFor,
    /// What is taken for granted where a server does not tell.
    pub fit: FitSettings,
    /// Which models are for which work.
    pub tastes: Tastes,
    /// The first entry that says something decides.
    pub components: Vec<ComponentRule>,
    pub hooks: Vec<Hook>,
    /// What other programs are told at each level.
    pub hints: Arc<Hints>,
    /// Rules may act: this engine holds the machine. Others only observe.
    pub may_act: bool,
    pub runtime_kind: &'static str,
    pub endpoint: Endpoint,
}

impl Settings {
    /// What the config names beside models: sensors look for it.
    pub fn named(&self) -> Arc<[Named]> {
        self.components.iter().filter_map(|rule| Named::parse(&rule.pattern)).collect()
    }
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
    /// What was paused or limited and not yet taken back.
    pub debts: Vec<Debt>,
    /// What loads were seen to take, oldest first.
    pub loads: Vec<LoadObserved>,
    /// Metadata of models by manifest digest.
    pub details: Vec<(String, ModelDetails)>,
}
