//! The gaze: what is looked at and how. No truth about the machine in here.
//!
//! Selection is by identity, not by index: lists reorder under the cursor.

use std::sync::Arc;

use ratatui::layout::Rect;

use crate::domain::event::{Event, EventKind};
use crate::domain::fit::{Fit, FitQuestion};
use crate::domain::guard::{Proposal, Why};
use crate::domain::level::Level;
use crate::domain::model::ModelName;
use crate::domain::plan::{Keep, Plan, Strength};
use crate::domain::process::ProcessKey;
use crate::domain::rule::RuleMode;
use crate::domain::setting::SettingDifference;
use crate::domain::time::Monotonic;
use crate::engine::link::Attention;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Page {
    #[default]
    Overview,
    Models,
    Components,
    Events,
    Policy,
    Help,
}

impl Page {
    pub const ALL: [Page; 6] =
        [Page::Overview, Page::Models, Page::Components, Page::Events, Page::Policy, Page::Help];

    pub const fn title(self) -> &'static str {
        match self {
            Page::Overview => "overview",
            Page::Models => "models",
            Page::Components => "components",
            Page::Events => "events",
            Page::Policy => "policy",
            Page::Help => "help",
        }
    }
}

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    pub colors: Colors,
    /// Unicode blocks, braille and line drawing; ASCII otherwise.
    pub unicode: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colors {
    None,
    Ansi16,
    Indexed256,
    TrueColor,
}

/// The whole gaze.
#[derive(Debug, Clone)]
pub struct Ui {
    pub page: Page,
    /// Rows of the models page and of the overview's model list.
    pub models: ListState,
    pub components: ListState,
    pub events: ListState,
    /// The rules of the policy page.
    pub rules: ListState,
    /// Scroll of the help page, in lines.
    pub help_scroll: usize,
    /// Scroll of the open dialog, in lines.
    pub dialog_scroll: usize,
    /// Filter of the page shown; empty is none.
    pub filter: String,
    pub event_kind: Option<EventKind>,
    pub mode: InputMode,
    pub dialog: Option<Dialog>,
    /// The installed model that was last looked at: the bar shows its ghost.
    pub considered: Option<ModelName>,
    /// How one model is judged, where not as its server would load it.
    pub dial: Option<FitQuestion>,
    /// Freed bytes, refusals: said where the reader already looks.
    pub toast: Option<Toast>,
    /// Index into the themes that were found.
    pub theme: usize,
    pub abilities: Abilities,
    /// Settings can be changed from here.
    pub can_set: bool,
    /// Events older than the snapshot's, newest first, fetched on scrolling.
    pub older_events: Vec<Event>,
    pub is_quitting: bool,
    /// What stands where in the last picture.
    pub sight: Sight,
    /// What `update` must remember between two events; never drawn.
    pub(crate) memory: Memory,
}

/// What `update` compares the next event with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    /// The newest event whose outcome was already said; `None` before the
    /// first snapshot.
    pub told: Option<u64>,
    /// What the engine was last told to attend to.
    pub attention: Option<Attention>,
    pub is_unfocused: bool,
    /// When the selection last moved by itself, because its row had vanished.
    pub slipped: Option<Monotonic>,
    /// The page the help was opened from.
    pub before_help: Page,
    /// Older events are on their way, or there are none.
    pub older: Older,
    /// Plans asked for so far; an answer to an earlier one is stale.
    pub plans_asked: u64,
    /// The same of differences to settings.
    pub settings_asked: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Older {
    #[default]
    MayBe,
    Asked,
    NoMore,
}

impl Ui {
    pub fn new(abilities: Abilities, theme: usize) -> Self {
        Ui {
            page: Page::Overview,
            models: ListState::default(),
            components: ListState::default(),
            events: ListState::default(),
            rules: ListState::default(),
            help_scroll: 0,
            dialog_scroll: 0,
            filter: String::new(),
            event_kind: None,
            mode: InputMode::Keys,
            dialog: None,
            considered: None,
            dial: None,
            toast: None,
            theme,
            abilities,
            can_set: false,
            older_events: Vec::new(),
            is_quitting: false,
            sight: Sight::default(),
            memory: Memory::default(),
        }
    }
}

/// What stands where in a picture: how far its text scrolls, and what a click
/// there means. A view says it, the loop keeps it, `update` reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    pub targets: Vec<(Rect, Target)>,
    /// Rows of the list on the page.
    pub rows: u16,
    /// The furthest the help page scrolls.
    pub help_end: usize,
    /// The furthest the open dialog scrolls.
    pub dialog_end: usize,
}

/// What a click means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Page(Page),
    /// Rows of the page's list; the number of the uppermost one.
    Rows(usize),
}

/// A list's cursor, by identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListState {
    /// Identity of the selected row: a model's name, a component's id, an
    /// event's number.
    pub selected: Option<String>,
    /// Where the selection was, to stay near when its row vanishes.
    pub last_index: usize,
    pub sort: Sort,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// As the snapshot has it.
    #[default]
    Natural,
    Name,
    Size,
    /// Longest idle first; for events, oldest first.
    Age,
    Priority,
}

impl Sort {
    pub const fn word(self, page: Page) -> &'static str {
        match (page, self) {
            (Page::Components, Sort::Natural) => "as a tree",
            (Page::Events, Sort::Natural) => "newest first",
            (Page::Events, Sort::Age) => "oldest first",
            (_, Sort::Natural) => "as the server lists them",
            (_, Sort::Name) => "by name",
            (_, Sort::Size) => "by size",
            (_, Sort::Age) => "longest idle first",
            (_, Sort::Priority) => "by priority",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum InputMode {
    #[default]
    Keys,
    /// Typing into the filter.
    Filter,
    /// Typing into the palette.
    Palette { typed: String, chosen: usize },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Dialog {
    /// Which strength; its plan is fetched as it is chosen.
    Cleanup { strength: Strength, plan: PlanView },
    /// A plan to agree to: unload all, unload a busy or pinned or remote model.
    Confirm { title: String, plan: PlanView, warning: Option<String> },
    /// How long a model stays: index into [`KEEP_CHOICES`].
    Keep { model: ModelName, chosen: usize },
    /// How long a model to load stays. Once asked, it waits for the answer.
    Load { model: ModelName, chosen: usize, is_asked: bool },
    /// It does not fit: what would make room, or else.
    NoRoom(NoRoom),
    /// The last question before it is loaded all the same.
    Force(NoRoom),
    /// The whole verdict on a model.
    Fit(ModelName),
    /// End a runner that is stuck or orphaned.
    EndRunner { process: ProcessKey, name: String },
    /// Details of the selected row.
    Details(Subject),
    /// What set the level, and what would help.
    Why(WhyView),
    /// What a rule asks.
    Proposal(Arc<Proposal>),
    /// Another mode of a rule: the difference in the config, then written.
    Setting { rule: Rule, mode: RuleMode, view: SettingView },
    /// Loads would be cut off.
    Quit { loads: Vec<ModelName> },
}

/// A load that was not begun.
#[derive(Debug, Clone, PartialEq)]
pub struct NoRoom {
    pub keep: Keep,
    pub context: Option<u64>,
    pub fit: Box<Fit>,
    /// What makes room for it and loads it, where unloading would do.
    pub plan: Option<Plan>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum PlanView {
    Waiting,
    Ready(Plan),
    Refused(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum WhyView {
    Waiting,
    Ready(Box<Why>),
    Refused(String),
}

/// How far a change of a setting has come.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingView {
    /// The difference is being made.
    Waiting,
    Ready(SettingDifference),
    /// Agreed to, not yet on disk.
    Writing(SettingDifference),
    Failed(String),
}

/// A rule with a mode of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    Of(Level),
    /// What no rule goes beyond.
    All,
    KillSwitch,
}

impl Rule {
    /// As sentences call it: `rule of warning`.
    pub fn name(self) -> String {
        match self {
            Rule::Of(level) => format!("rule of {level}"),
            Rule::All => "all rules".to_owned(),
            Rule::KillSwitch => "kill switch".to_owned(),
        }
    }

    /// The setting of its mode.
    pub fn setting(self) -> String {
        match self {
            Rule::Of(level) => format!("rules.{level}.mode"),
            Rule::All => "rules.mode".to_owned(),
            Rule::KillSwitch => "rules.kill_switch.mode".to_owned(),
        }
    }
}

/// What the details are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Model(ModelName),
    Component(String),
    Event(u64),
    Rule(Rule),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    pub tone: Tone,
    pub until: Monotonic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Neutral,
    Bad,
}

/// The dial of `t` and `L`: minutes a model stays, ends with for ever.
pub const KEEP_CHOICES: [Option<u64>; 7] =
    [Some(1), Some(5), Some(15), Some(30), Some(60), Some(240), None];
