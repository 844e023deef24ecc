//! A front end's grip on the engine: snapshots out, commands in.
//!
//! A command is data and so is its reply; the reply's sender stays with the
//! engine under a request number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use crate::domain::bytes::Bytes;
use crate::domain::component::Priority;
use crate::domain::event::Event;
use crate::domain::fit::{Fit, FitQuestion};
use crate::domain::guard::Why;
use crate::domain::level::Level;
use crate::domain::model::ModelName;
use crate::domain::plan::{Keep, Plan, Strength};
use crate::domain::process::ProcessKey;
use crate::domain::snapshot::Snapshot;

/// What a front end may ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Draft a plan; answered by [`Reply::Plan`]. Nothing is done.
    Propose {
        request: PlanRequest,
    },
    /// Carry a plan out, re-checking before each step.
    CarryOut {
        plan: Plan,
    },
    Unload {
        model: ModelName,
    },
    /// Refused where it does not fit; answered by [`Reply::DoesNotFit`].
    Load {
        model: ModelName,
        keep: Keep,
        context: Option<u64>,
        /// Whether or not it fits: said and recorded.
        #[serde(default)]
        force: bool,
    },
    /// Whether a load fits now; answered by [`Reply::Fit`].
    Fit {
        question: FitQuestion,
    },
    Keep {
        model: ModelName,
        keep: Keep,
    },
    /// End a stuck model's runner or an orphan. Never a server.
    EndRunner {
        process: ProcessKey,
    },
    /// `component` is a [`crate::domain::Component::id`].
    Pin {
        component: String,
        pinned: bool,
    },
    SetPriority {
        component: String,
        priority: Priority,
    },
    /// What a rule proposed: carry it out, or leave it.
    Answer {
        proposal: u64,
        accept: bool,
    },
    /// What set the level and what would help; answered by [`Reply::Why`].
    Why,
    /// Ask the runtimes now instead of at the next turn.
    PollNow,
    /// What is being looked at, so that only that is read often.
    Attend {
        attention: Attention,
    },
    /// Events older than `before`, newest first; answered by [`Reply::Events`].
    OlderEvents {
        before: u64,
        limit: usize,
    },
}

impl Command {
    /// It asks for more than a look.
    pub const fn changes(&self) -> bool {
        !matches!(
            self,
            Command::Propose { .. }
                | Command::PollNow
                | Command::Why
                | Command::Fit { .. }
                | Command::Attend { .. }
                | Command::OlderEvents { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanRequest {
    Cleanup(Strength),
    /// So many bytes, by the mildest strength that gives them.
    Free(Bytes),
    /// As many bytes as memory is above that level.
    To(Level),
    Unload(Vec<ModelName>),
    UnloadAll,
    /// Unload one and load it again at the same context.
    Recycle(ModelName),
    /// Bring back what the last cleanup took away, if it fits.
    Undo,
    /// What the rule of a level would do now.
    Rule(Level),
}

/// What a person looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// The list of processes is on screen.
    pub processes: bool,
    /// A process whose details are open.
    pub details: Option<ProcessKey>,
    /// Verdicts on the installed models are on screen.
    #[serde(default)]
    pub fits: bool,
    /// Asked of one model otherwise than its server would load it.
    #[serde(default)]
    pub dial: Option<FitQuestion>,
    /// The rules are on screen.
    #[serde(default)]
    pub policy: bool,
    /// The terminal has lost the focus, or nobody looks.
    pub unfocused: bool,
    /// Somebody is there at all, and could answer.
    pub watched: bool,
}

/// Somebody looks, at nothing in particular.
impl Default for Attention {
    fn default() -> Self {
        Attention {
            processes: false,
            details: None,
            fits: false,
            dial: None,
            policy: false,
            unfocused: false,
            watched: true,
        }
    }
}

impl Attention {
    /// A viewer that leaves.
    pub const NONE: Attention = Attention {
        processes: false,
        details: None,
        fits: false,
        dial: None,
        policy: false,
        unfocused: true,
        watched: false,
    };
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub enum Reply {
    /// Taken on; what comes of it is seen in snapshots.
    Accepted,
    Plan {
        plan: Plan,
    },
    Events {
        events: Vec<Event>,
    },
    Why {
        why: Box<Why>,
    },
    Fit {
        fit: Box<Fit>,
    },
    /// A load was not begun: there is no room. `plan` makes room for it and
    /// loads it, where unloading would do.
    DoesNotFit {
        fit: Box<Fit>,
        plan: Option<Plan>,
    },
    /// Not done, and why: a fragment that can stand after "refused:".
    Refused {
        reason: String,
    },
}

/// The engine cannot take a command now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("the engine is busy")]
    Busy,
    #[error("the engine has ended")]
    Ended,
}

/// In this process, over a unix socket, later over HTTP.
pub trait Link: Send + Sync {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Sends without waiting. The reply comes when it comes.
    fn send(&self, command: Command) -> Result<oneshot::Receiver<Reply>, SendError>;
}
