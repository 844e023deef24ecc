//! The history: what happened, numbered for good, told in one line each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::forecast::Forecast;
use super::level::{Cause, Level};
use super::plan::{Action, ActionId, Outcome, Plan, Verdict};
use super::rule::RuleMode;
use super::time::{Span, Wall};

/// One thing that happened. `seq` grows by one for each, over restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub time: Wall,
    pub body: EventBody,
}

/// Who wanted an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A person at the keyboard or on the command line.
    Person,
    Rule,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Person => "by you",
            Origin::Rule => "by rule",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EventBody {
    Started {
        version: String,
    },
    LevelChanged {
        from: Level,
        to: Level,
        cause: Option<Cause>,
        lasted_ms: u64,
    },
    /// An action is about to be carried out. On disk before it is.
    ActionStarted {
        id: ActionId,
        action: Action,
        by: Origin,
        expected: Option<Bytes>,
    },
    ActionEnded {
        id: ActionId,
        outcome: Box<Outcome>,
        by: Origin,
    },
    OomKill {
        count: u64,
    },
    RuntimeUp {
        url: String,
        version: Option<String>,
    },
    RuntimeDown {
        url: String,
        reason: String,
    },
    ModelLoaded {
        model: String,
        reported: Option<Bytes>,
    },
    ModelGone {
        model: String,
        why: GoneWhy,
        freed: Option<Bytes>,
    },
    /// Total memory changed while running (a balloon, a limit edited).
    TotalChanged {
        from: Bytes,
        to: Bytes,
    },
    /// What a rule would do, or waits to be allowed.
    Proposed {
        plan: Box<Plan>,
        mode: RuleMode,
        /// Somebody is there to answer.
        is_watched: bool,
    },
    /// A hook ran on an event.
    HookRan {
        /// The event it was told of.
        of: u64,
        /// Its program or address.
        hook: String,
        /// What it said, or why it failed.
        result: Result<String, String>,
    },
    /// A load was not begun for want of room.
    LoadRefused {
        model: String,
        need: Bytes,
        lacks: Bytes,
    },
    /// A load was begun though there was no room.
    LoadForced {
        model: String,
        need: Bytes,
        lacks: Bytes,
    },
    /// The next level is coming.
    Foreseen {
        forecast: Box<Forecast>,
    },
    /// Anything worth a line that has no form of its own.
    Note {
        text: String,
    },
}

/// Why a model left, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoneWhy {
    /// We asked.
    Asked,
    /// Its time was up.
    Expired,
    /// Another model needed the room.
    MadeRoom,
    /// Its runner died.
    RunnerDied,
    /// Its server went down.
    ServerDown,
    Unknown,
}

impl fmt::Display for GoneWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GoneWhy::Asked => "as asked",
            GoneWhy::Expired => "its time was up",
            GoneWhy::MadeRoom => "another model took its room",
            GoneWhy::RunnerDied => "its runner died",
            GoneWhy::ServerDown => "its server went down",
            GoneWhy::Unknown => "not by plimsoll",
        })
    }
}

/// The kinds a person filters by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    Level,
    Action,
    OomKill,
    Runtime,
    Model,
    Note,
}

impl EventKind {
    pub const ALL: [EventKind; 6] = [
        EventKind::Level,
        EventKind::Action,
        EventKind::OomKill,
        EventKind::Runtime,
        EventKind::Model,
        EventKind::Note,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            EventKind::Level => "level",
            EventKind::Action => "action",
            EventKind::OomKill => "oom kill",
            EventKind::Runtime => "runtime",
            EventKind::Model => "model",
            EventKind::Note => "note",
        }
    }

    /// As it is written for programs, and typed.
    pub const fn id(self) -> &'static str {
        match self {
            EventKind::OomKill => "oom_kill",
            kind => kind.word(),
        }
    }
}

impl EventBody {
    pub const fn kind(&self) -> EventKind {
        match self {
            EventBody::LevelChanged { .. } | EventBody::Foreseen { .. } => EventKind::Level,
            EventBody::ActionStarted { .. }
            | EventBody::ActionEnded { .. }
            | EventBody::Proposed { .. }
            | EventBody::LoadRefused { .. }
            | EventBody::LoadForced { .. }
            | EventBody::HookRan { .. } => EventKind::Action,
            EventBody::OomKill { .. } => EventKind::OomKill,
            EventBody::RuntimeUp { .. } | EventBody::RuntimeDown { .. } => EventKind::Runtime,
            EventBody::ModelLoaded { .. } | EventBody::ModelGone { .. } => EventKind::Model,
            EventBody::Started { .. } | EventBody::TotalChanged { .. } | EventBody::Note { .. } => {
                EventKind::Note
            }
        }
    }

    /// The first word or two of its line: `warning`, `unloaded`, `oom kill`.
    pub fn title(&self) -> String {
        match self {
            EventBody::Started { .. } => "started".into(),
            EventBody::LevelChanged { to, .. } => to.word().into(),
            EventBody::ActionStarted { action, .. } => format!("{} asked", action.noun()),
            EventBody::ActionEnded { outcome, .. } => {
                let action = &outcome.action;
                match outcome.result {
                    Verdict::Failed { .. } => format!("{} failed", action.noun()),
                    Verdict::Stuck => format!("{} stuck", action.noun()),
                    Verdict::StillGenerating => format!("{} asked", action.noun()),
                    Verdict::Done | Verdict::Unconfirmed | Verdict::Already => action.done().into(),
                }
            }
            EventBody::OomKill { .. } => "oom kill".into(),
            EventBody::RuntimeUp { .. } => "server up".into(),
            EventBody::RuntimeDown { .. } => "server down".into(),
            EventBody::ModelLoaded { .. } => "model in".into(),
            EventBody::ModelGone { .. } => "model out".into(),
            EventBody::TotalChanged { .. } => "memory size".into(),
            EventBody::Proposed { plan, .. } if plan.steps.is_empty() => "rule".into(),
            EventBody::Proposed { mode: RuleMode::Confirm, .. } => "asks".into(),
            EventBody::Proposed { .. } => "would".into(),
            EventBody::HookRan { result: Ok(_), .. } => "hook".into(),
            EventBody::HookRan { result: Err(_), .. } => "hook failed".into(),
            EventBody::LoadRefused { .. } => "not loaded".into(),
            EventBody::LoadForced { .. } => "forced".into(),
            EventBody::Foreseen { .. } => "ahead".into(),
            EventBody::Note { .. } => "note".into(),
        }
    }

    /// The rest of its line.
    pub fn text(&self) -> String {
        match self {
            EventBody::Started { version } => format!("plimsoll {version}"),
            EventBody::LevelChanged { from, cause, lasted_ms, .. } => {
                let lasted = Span(std::time::Duration::from_millis(*lasted_ms));
                match cause {
                    Some(cause) => format!("{} (was {from} for {lasted})", cause.text),
                    None => format!("was {from} for {lasted}"),
                }
            }
            EventBody::ActionStarted { action, by, expected, .. } => match expected {
                Some(expected) => format!("{} {by}: {expected} expected", action.subject()),
                None => format!("{} {by}", action.subject()),
            },
            EventBody::ActionEnded { outcome, by, .. } => outcome_text(outcome, *by),
            EventBody::OomKill { count: 1 } => {
                "the kernel ended a process for want of memory".into()
            }
            EventBody::OomKill { count } => {
                format!("the kernel ended {count} processes for want of memory")
            }
            EventBody::RuntimeUp { url, version } => match version {
                Some(version) => format!("{url} answers (version {version})"),
                None => format!("{url} answers"),
            },
            // A reason may name the address itself.
            EventBody::RuntimeDown { url, reason } if reason.contains(url.as_str()) => {
                reason.clone()
            }
            EventBody::RuntimeDown { url, reason } => format!("{url}: {reason}"),
            EventBody::ModelLoaded { model, reported } => match reported {
                Some(reported) => format!("{model}, {reported} reported"),
                None => model.clone(),
            },
            EventBody::ModelGone { model, why, freed } => match freed {
                Some(freed) => format!("{model}: {why}, {freed} came back"),
                None => format!("{model}: {why}"),
            },
            EventBody::TotalChanged { from, to } => {
                format!("total memory went from {from} to {to}")
            }
            EventBody::Proposed { plan, mode, is_watched } => {
                let asks = *mode == RuleMode::Confirm && !plan.steps.is_empty();
                let alone = if asks && !is_watched { "; nobody is there to answer" } else { "" };
                format!("{}{alone}", plan.text())
            }
            EventBody::HookRan { of, hook, result } => match result {
                Ok(output) if output.is_empty() => format!("{hook} on event {of}"),
                Ok(said) | Err(said) => format!("{hook} on event {of}: {said}"),
            },
            EventBody::LoadRefused { model, need, lacks } => {
                format!("{model} needs {need}, lacks {lacks}")
            }
            EventBody::LoadForced { model, need, lacks } => {
                format!("{model} loaded by force: it needs {need}, lacks {lacks}")
            }
            EventBody::Foreseen { forecast } => forecast.text(),
            EventBody::Note { text } => text.clone(),
        }
    }
}

fn outcome_text(outcome: &Outcome, by: Origin) -> String {
    let subject = outcome.action.subject();
    let expected = outcome.expected.map(|bytes| format!("{bytes} expected, ")).unwrap_or_default();
    let took = outcome.took_text();
    match &outcome.result {
        Verdict::Failed { detail } => format!("{subject} {by}: {detail}"),
        Verdict::Stuck => format!("{subject} {by}: {expected}still there after {took}"),
        Verdict::StillGenerating => {
            format!("{subject} {by}: asked, still generating; it goes when it is done")
        }
        Verdict::Already => format!("{subject} {by}: it was already so"),
        Verdict::Unconfirmed => {
            format!("{subject} {by}: {expected}not confirmed, no runner could be seen")
        }
        Verdict::Done => match (&outcome.action, outcome.freed) {
            (Action::Load { .. }, _) => format!("{subject} {by} in {took}"),
            (Action::Keep { keep, .. }, _) => format!("{subject} {by}: stays {keep}"),
            (Action::Component { .. } | Action::Run { .. }, None) => {
                let said = outcome.output.as_deref().and_then(|output| output.lines().next());
                let said = said.map(|line| format!(": {line}")).unwrap_or_default();
                format!("{subject} {by}: done in {took}{said}")
            }
            (_, Some(freed)) => {
                let expected =
                    outcome.expected.map(|bytes| format!(", {bytes} expected")).unwrap_or_default();
                // What came back first: a narrow screen shows no more.
                format!("{subject} {by}: {freed} came back in {took}{expected}")
            }
            (action, None) if !action.takes_away() => format!("{subject} {by}: done in {took}"),
            (_, None) => format!("{subject} {by}: {expected}gone in {took}"),
        },
    }
}
