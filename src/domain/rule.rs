//! What the owner lets plimsoll do by itself, and what may be done to whom.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::process::ProcessKey;

/// How far a rule goes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RuleMode {
    /// It is not looked at.
    Off,
    /// It says what it would do.
    #[default]
    Observe,
    /// It asks in a dashboard; where nobody looks it only observes.
    Confirm,
    Act,
}

impl RuleMode {
    pub const ALL: [RuleMode; 4] =
        [RuleMode::Off, RuleMode::Observe, RuleMode::Confirm, RuleMode::Act];

    pub const fn word(self) -> &'static str {
        match self {
            RuleMode::Off => "off",
            RuleMode::Observe => "observe",
            RuleMode::Confirm => "confirm",
            RuleMode::Act => "act",
        }
    }
}

impl fmt::Display for RuleMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for RuleMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        RuleMode::ALL.into_iter().find(|mode| mode.word() == text).ok_or_else(|| {
            format!("`{text}` is no mode of a rule; accepted are off, observe, confirm, act")
        })
    }
}

/// What the config may allow to be done to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Unload,
    /// The component's own command.
    Command,
    /// Frees nothing; stops growth. Undone on recovery.
    Pause,
    /// Undone on recovery.
    Limit,
    Restart,
    Stop,
    Term,
    Kill,
}

impl Measure {
    pub const ALL: [Measure; 8] = [
        Measure::Unload,
        Measure::Command,
        Measure::Pause,
        Measure::Limit,
        Measure::Restart,
        Measure::Stop,
        Measure::Term,
        Measure::Kill,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Measure::Unload => "unload",
            Measure::Command => "command",
            Measure::Pause => "pause",
            Measure::Limit => "limit",
            Measure::Restart => "restart",
            Measure::Stop => "stop",
            Measure::Term => "term",
            Measure::Kill => "kill",
        }
    }
}

/// Something done to a component that is no model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "deed")]
pub enum Deed {
    /// The words of a command, the program first. Never a shell line.
    Command {
        words: Vec<String>,
    },
    Pause,
    /// Takes a pause back.
    Resume,
    Limit {
        to: Bytes,
    },
    /// Takes a limit back. `to`: what it was; `None` is no limit.
    Unlimit {
        to: Option<Bytes>,
    },
    Restart,
    Stop,
    /// Ask a process to end.
    Term,
    /// TERM, a grace, then KILL.
    Kill,
    /// The component's own command that brings it back.
    Load {
        words: Vec<String>,
    },
}

impl Deed {
    pub const fn verb(&self) -> &'static str {
        match self {
            Deed::Command { .. } => "run command for",
            Deed::Pause => "pause",
            Deed::Resume => "resume",
            Deed::Limit { .. } => "limit",
            Deed::Unlimit { .. } => "lift limit of",
            Deed::Restart => "restart",
            Deed::Stop => "stop",
            Deed::Term => "end",
            Deed::Kill => "kill",
            Deed::Load { .. } => "start",
        }
    }

    /// Where nobody stands behind it: `command failed`.
    pub const fn noun(&self) -> &'static str {
        match self {
            Deed::Command { .. } => "command",
            Deed::Unlimit { .. } => "lift limit",
            deed => deed.verb(),
        }
    }

    /// Once it is done.
    pub const fn done(&self) -> &'static str {
        match self {
            Deed::Command { .. } => "command ran",
            Deed::Pause => "paused",
            Deed::Resume => "resumed",
            Deed::Limit { .. } => "limited",
            Deed::Unlimit { .. } => "limit lifted",
            Deed::Restart => "restarted",
            Deed::Stop => "stopped",
            Deed::Term => "ended",
            Deed::Kill => "killed",
            Deed::Load { .. } => "started",
        }
    }

    /// It may give memory back.
    pub const fn frees(&self) -> bool {
        self.ends() || matches!(self, Deed::Command { .. })
    }

    /// It undoes what was done, or brings the component back.
    pub const fn takes_back(&self) -> bool {
        matches!(self, Deed::Resume | Deed::Unlimit { .. } | Deed::Load { .. })
    }

    /// It takes the component away, or cuts its work off.
    pub const fn ends(&self) -> bool {
        matches!(self, Deed::Restart | Deed::Stop | Deed::Term | Deed::Kill)
    }
}

/// Whom a deed is done to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "target")]
pub enum Target {
    Process {
        key: ProcessKey,
    },
    Container {
        /// The engine's full id.
        id: String,
        name: String,
    },
    Unit {
        /// `jellyfin.service`
        name: String,
        /// Of the user's own manager, not the system's.
        is_user: bool,
    },
}

/// A deed that is to be taken back on recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// [`super::Component::id`]; one component owes one deed of a kind.
    pub component: String,
    pub name: String,
    pub target: Target,
    /// What takes it back: [`Deed::Resume`] or [`Deed::Unlimit`].
    pub undo: Deed,
}

/// How the config names a component: `model:`, `process:`, `cmdline:`,
/// `container:`, `unit:` before a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    Process,
    Cmdline,
    Container,
    Unit,
}

impl NamedBy {
    pub const ALL: [NamedBy; 4] =
        [NamedBy::Process, NamedBy::Cmdline, NamedBy::Container, NamedBy::Unit];

    /// With its colon.
    pub const fn prefix(self) -> &'static str {
        match self {
            NamedBy::Process => "process:",
            NamedBy::Cmdline => "cmdline:",
            NamedBy::Container => "container:",
            NamedBy::Unit => "unit:",
        }
    }
}

/// What sensors are to look for, beside what they always do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Named {
    pub by: NamedBy,
    /// [`super::pattern::matches`] without the prefix.
    pub pattern: String,
}

impl Named {
    /// `None`: a pattern over models, or over everything.
    pub fn parse(text: &str) -> Option<Named> {
        NamedBy::ALL.into_iter().find_map(|by| {
            let pattern = text.strip_prefix(by.prefix())?.to_owned();
            Some(Named { by, pattern })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_by_its_prefix() {
        let named = Named::parse("unit:jelly*").map(|named| (named.by, named.pattern));
        assert_eq!(named, Some((NamedBy::Unit, "jelly*".into())));
        assert_eq!(Named::parse("model:llama3*"), None);
        assert_eq!(Named::parse("*"), None);
    }

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in RuleMode::ALL {
            assert_eq!(mode.word().parse(), Ok(mode));
        }
        assert!("on".parse::<RuleMode>().is_err());
    }
}
