//! Anything that holds memory and can be named: models, servers, runners,
//! other processes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::forecast::Course;
use super::process::ProcessKey;
use super::rule::{Deed, Target};

/// How much a component matters to its owner.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl Priority {
    pub const ALL: [Priority; 4] =
        [Priority::Low, Priority::Medium, Priority::High, Priority::Critical];

    pub const fn word(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }

    #[must_use]
    pub const fn raised(self) -> Priority {
        match self {
            Priority::Low => Priority::Medium,
            Priority::Medium => Priority::High,
            Priority::High | Priority::Critical => Priority::Critical,
        }
    }

    #[must_use]
    pub const fn lowered(self) -> Priority {
        match self {
            Priority::Critical => Priority::High,
            Priority::High => Priority::Medium,
            Priority::Medium | Priority::Low => Priority::Low,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Priority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Priority::ALL.into_iter().find(|priority| priority.word() == text).ok_or_else(|| {
            format!("`{text}` is not a priority; accepted are low, medium, high, critical")
        })
    }
}

/// How a footprint was had. Always said with the figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FootprintSource {
    Measured,
    Learned,
    Reported,
    Estimated,
}

impl FootprintSource {
    pub const fn word(self) -> &'static str {
        match self {
            FootprintSource::Measured => "measured",
            FootprintSource::Learned => "learned",
            FootprintSource::Reported => "reported",
            FootprintSource::Estimated => "estimated",
        }
    }
}

/// Bytes a component takes, and how we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    pub bytes: Bytes,
    pub source: FootprintSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// A model server.
    Server,
    /// A model that a server of this machine has loaded.
    Model,
    /// A runner no loaded model explains yet (a load in progress, a probe).
    Runner,
    /// A runner whose server is gone. May be ended by a person.
    Orphan,
    /// A runner that belongs to somebody else. Only shown.
    Foreign,
    Process,
    Container,
    /// A service of the system's or the user's manager.
    Service,
}

impl ComponentKind {
    pub const ALL: [ComponentKind; 8] = [
        ComponentKind::Server,
        ComponentKind::Model,
        ComponentKind::Runner,
        ComponentKind::Orphan,
        ComponentKind::Foreign,
        ComponentKind::Process,
        ComponentKind::Container,
        ComponentKind::Service,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            ComponentKind::Server => "server",
            ComponentKind::Model => "model",
            ComponentKind::Runner => "runner",
            ComponentKind::Orphan => "orphan",
            ComponentKind::Foreign => "foreign runner",
            ComponentKind::Process => "process",
            ComponentKind::Container => "container",
            ComponentKind::Service => "service",
        }
    }
}

/// One row of the component tree. `depth` and order make the tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Stable over time and restarts where it can be: `model:NAME`,
    /// `process:NAME`; a pid is added only where names repeat.
    pub id: String,
    pub name: String,
    pub kind: ComponentKind,
    pub depth: u8,
    pub process: Option<ProcessKey>,
    pub footprint: Option<Footprint>,
    pub swapped: Option<Bytes>,
    pub priority: Priority,
    pub pinned: bool,
    /// A word on what it is doing: `ready`, `loading`, `stuck`.
    pub state: Option<String>,
    /// Whom a deed is done to; `None` for models, which their server unloads.
    #[serde(default)]
    pub target: Option<Target>,
    /// What the config allows to be done to it, in the config's order.
    #[serde(default)]
    pub allowed: Vec<Deed>,
    /// What its memory does over minutes, where that can be told.
    #[serde(default)]
    pub course: Option<Course>,
}
