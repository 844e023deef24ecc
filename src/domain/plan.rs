//! What is to be done, in which order, and what came of it. Pure data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::component::Footprint;
use super::level::Level;
use super::model::ModelName;
use super::process::ProcessKey;
use super::rule::{Deed, Target};
use super::time::Moment;

/// Numbers an action for good, over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(pub u64);

/// One thing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Action {
    Unload {
        model: ModelName,
    },
    /// Load it, for so long; `context` of one slot where it is to be kept.
    Load {
        model: ModelName,
        keep: Keep,
        context: Option<u64>,
    },
    /// Change how long a loaded model stays, without reloading it.
    Keep {
        model: ModelName,
        keep: Keep,
    },
    /// End a stuck or orphaned runner: TERM, then KILL. Never a server.
    EndRunner {
        process: ProcessKey,
        name: String,
    },
    /// Something the config allows for a component it names.
    Component {
        /// [`super::Component::id`]
        id: String,
        name: String,
        target: Target,
        deed: Deed,
    },
    /// The owner's own command of a level: its words, the program first.
    Run {
        words: Vec<String>,
    },
}

impl Action {
    pub const fn verb(&self) -> &'static str {
        match self {
            Action::Unload { .. } => "unload",
            Action::Load { .. } => "load",
            Action::Keep { .. } => "keep",
            Action::EndRunner { .. } => "end runner",
            Action::Component { deed, .. } => deed.verb(),
            Action::Run { .. } => "run",
        }
    }

    pub fn subject(&self) -> &str {
        match self {
            Action::Unload { model } | Action::Load { model, .. } | Action::Keep { model, .. } => {
                model.short()
            }
            Action::EndRunner { name, .. } | Action::Component { name, .. } => name,
            Action::Run { words } => words.first().map_or("", String::as_str),
        }
    }

    /// Where nobody stands behind it: `unload failed`.
    pub const fn noun(&self) -> &'static str {
        match self {
            Action::Component { deed, .. } => deed.noun(),
            Action::Run { .. } => "command",
            action => action.verb(),
        }
    }

    /// Once it is done.
    pub const fn done(&self) -> &'static str {
        match self {
            Action::Unload { .. } => "unloaded",
            Action::Load { .. } => "loaded",
            Action::Keep { .. } => "kept",
            Action::EndRunner { .. } => "runner ended",
            Action::Component { deed, .. } => deed.done(),
            Action::Run { .. } => "command ran",
        }
    }

    /// Once done, what it was done to is there no longer.
    pub const fn takes_away(&self) -> bool {
        match self {
            Action::Unload { .. } | Action::EndRunner { .. } => true,
            Action::Component { deed, .. } => deed.ends(),
            Action::Load { .. } | Action::Keep { .. } | Action::Run { .. } => false,
        }
    }

    pub fn model(&self) -> Option<&ModelName> {
        match self {
            Action::Unload { model } | Action::Load { model, .. } | Action::Keep { model, .. } => {
                Some(model)
            }
            Action::EndRunner { .. } | Action::Component { .. } | Action::Run { .. } => None,
        }
    }
}

/// How long a model stays after its last use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// As the server would have it.
    Default,
    For(Duration),
    Forever,
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keep::Default => f.pad("as the server says"),
            Keep::For(span) if span.as_secs() > 86_400 && span.as_secs() % 86_400 == 0 => {
                f.pad(&format!("{} d", span.as_secs() / 86_400))
            }
            Keep::For(span) if span.as_secs() % 3600 == 0 => {
                f.pad(&format!("{} h", span.as_secs() / 3600))
            }
            Keep::For(span) if span.as_secs() % 60 == 0 => {
                f.pad(&format!("{} min", span.as_secs() / 60))
            }
            Keep::For(span) => f.pad(&format!("{} s", span.as_secs())),
            Keep::Forever => f.pad("for ever"),
        }
    }
}

/// How far a cleanup goes. It widens the candidates; the target decides how
/// many of them go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Idle, unpinned, priority low or medium.
    Light,
    /// Idle, unpinned, any priority but critical.
    Aggressive,
    /// Those and busy ones; everything goes.
    Force,
}

impl Strength {
    pub const ALL: [Strength; 3] = [Strength::Light, Strength::Aggressive, Strength::Force];

    pub const fn word(self) -> &'static str {
        match self {
            Strength::Light => "light",
            Strength::Aggressive => "aggressive",
            Strength::Force => "force",
        }
    }
}

impl FromStr for Strength {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Strength::ALL.into_iter().find(|strength| strength.word() == text).ok_or_else(|| {
            format!("`{text}` is not a strength; accepted are light, aggressive, force")
        })
    }
}

/// An ordered list of actions with what each is expected to give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub purpose: Purpose,
    /// Bytes the plan is to free. `None`: everything its strength allows.
    pub target: Option<Bytes>,
    pub steps: Vec<Step>,
    /// Those that stay, and why.
    pub kept: Vec<Kept>,
}

impl Plan {
    /// Bytes that are to come back. A load takes what it expects.
    pub fn expected(&self) -> Bytes {
        let frees = self.steps.iter().filter(|step| !matches!(step.action, Action::Load { .. }));
        frees.filter_map(|step| step.expected).map(|footprint| footprint.bytes).sum()
    }

    /// Models come in, and nothing else is done.
    pub fn only_loads(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.action, Action::Load { .. }))
    }

    /// Its steps in one line: `unload tiny:1b (2.0 GiB), pause backup`.
    pub fn text(&self) -> String {
        if self.steps.is_empty() {
            return "nothing left to do".into();
        }
        let step = |step: &Step| {
            let (verb, subject) = (step.action.verb(), step.action.subject());
            let bytes = step.expected.map(|footprint| format!(" ({})", footprint.bytes));
            format!("{verb} {subject}{}", bytes.unwrap_or_default())
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(", ")
    }

    /// How far it falls short of its target.
    pub fn shortfall(&self) -> Option<Bytes> {
        self.target?.checked_sub(self.expected()).filter(|rest| !rest.is_zero())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Cleanup(Strength),
    /// So many bytes as were asked for, by what this strength allows.
    Free(Strength),
    /// One or more models a person named.
    Asked,
    /// What a level's rule wants, and how far it may go.
    Rule {
        level: Level,
        strength: Option<Strength>,
    },
    /// A rule above emergency.
    KillSwitch,
    /// Unload and load again at the same context, to drop caches.
    Recycle,
    /// Bring back what the last cleanup took away.
    Undo,
    /// Take back what was paused or limited.
    Restore,
    /// Load what is to be there at level normal.
    Preload,
    /// Unload others until one fits, then load it.
    MakeRoom,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub action: Action,
    /// What it is expected to free; `None` where nobody knows.
    pub expected: Option<Footprint>,
    /// Why it was chosen: `idle 12 min, priority low`.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: String,
    pub reason: String,
}

/// What an action really did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub action: Action,
    pub expected: Option<Bytes>,
    /// Available bytes when it was asked, and when it was judged.
    pub available_before: Option<Bytes>,
    pub available_after: Option<Bytes>,
    /// What the component itself gave back, where its process was seen.
    pub freed: Option<Bytes>,
    pub took: Duration,
    pub result: Verdict,
    /// What a command said: the beginning, cleaned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Outcome {
    /// `0.2 s`; what took less than is shown says so.
    pub fn took_text(&self) -> String {
        match self.took.as_millis() {
            0..100 => "<0.1 s".to_owned(),
            _ => format!("{:.1} s", self.took.as_secs_f64()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Done, and seen to be done.
    Done,
    /// Done as far as can be told; no runner could be seen.
    Unconfirmed,
    /// It was already so: nothing had to be done.
    Already,
    /// Idle, asked, still there.
    Stuck,
    /// Busy: it goes when its generation ends. Has no deadline.
    StillGenerating,
    /// Not carried out, or the other side said no.
    Failed { detail: String },
}

/// A plan that is being carried out, step by step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningPlan {
    pub plan: Plan,
    pub started: Moment,
    /// One for each step already ended, in order.
    pub outcomes: Vec<Outcome>,
    /// When the last step ended; the plan stays in the snapshot a while so
    /// that the outcome can be read.
    pub ended: Option<Moment>,
}

impl RunningPlan {
    /// Bytes that have come back so far.
    pub fn freed(&self) -> Bytes {
        self.outcomes.iter().filter_map(|outcome| outcome.freed).sum()
    }
}
