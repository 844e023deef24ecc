//! What a config holds: one struct per section, as it is read after merging.
//!
//! An `Option` that is `None` means "as the profile has it". The keys are
//! listed once more, with what each accepts, in `key`; a test holds the two
//! together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::value::{
    KeyNames, optional_number, optional_parameters, optional_percent, optional_priority,
    optional_size, optional_span,
};
use crate::domain::{Bytes, HintValues, KvType, Measure, Percent, Priority, RuleMode, Strength};
use crate::policy::limits::Profile;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub profile: ProfileChoice,
    #[serde(deserialize_with = "optional_span")]
    pub interval: Option<Duration>,
    /// Where the model server answers, as written; empty is Ollama's default.
    pub ollama: String,
    /// Empty is the platform's data folder.
    pub data_dir: String,
    pub theme: String,
    pub ascii: AsciiChoice,
    pub color: ColorChoice,
    pub levels: Levels,
    pub targets: TargetLimits,
    pub rules: Rules,
    pub fit: Fit,
    pub recommend: Recommend,
    pub hints: HintSections,
    pub history: History,
    pub components: Vec<ComponentRule>,
    pub hooks: Vec<Hook>,
    /// Intent to keys, as text: the keymap says whether they mean something.
    pub keys: BTreeMap<String, KeyNames>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            profile: ProfileChoice::Auto,
            interval: None,
            ollama: String::new(),
            data_dir: String::new(),
            theme: "dark".to_owned(),
            ascii: AsciiChoice::Auto,
            color: ColorChoice::Auto,
            levels: Levels::default(),
            targets: TargetLimits::default(),
            rules: Rules::default(),
            fit: Fit::default(),
            recommend: Recommend::default(),
            hints: HintSections::default(),
            history: History::default(),
            components: Vec::new(),
            hooks: Vec::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl Config {
    /// What merged layers say together.
    pub(super) fn deserialize_table(table: toml::Table) -> Result<Config, toml::de::Error> {
        Config::deserialize(table)
    }
}

/// Which set of limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProfileChoice {
    /// By system and memory.
    #[default]
    Auto,
    Named(Profile),
}

impl<'de> Deserialize<'de> for ProfileChoice {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = String::deserialize(input)?;
        if name == "auto" {
            return Ok(ProfileChoice::Auto);
        }
        Profile::from_name(&name)
            .map(ProfileChoice::Named)
            .ok_or_else(|| D::Error::custom("not a profile"))
    }
}

/// Whether to draw with ASCII characters only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AsciiChoice {
    /// By the locale.
    #[default]
    Auto,
    Always,
    Never,
}

/// How many colours to draw with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum ColorChoice {
    /// By the terminal.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "truecolor")]
    TrueColor,
    #[serde(rename = "256")]
    Indexed256,
    #[serde(rename = "16")]
    Ansi16,
    #[serde(rename = "none")]
    None,
}

/// Changes to the profile's limits.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Levels {
    #[serde(deserialize_with = "optional_percent")]
    pub warning: Option<Percent>,
    #[serde(deserialize_with = "optional_percent")]
    pub critical: Option<Percent>,
    #[serde(deserialize_with = "optional_percent")]
    pub emergency: Option<Percent>,
    /// Percentage points.
    #[serde(deserialize_with = "optional_number")]
    pub hysteresis: Option<f64>,
    #[serde(deserialize_with = "optional_span")]
    pub enter_after: Option<Duration>,
    #[serde(deserialize_with = "optional_span")]
    pub leave_after: Option<Duration>,
    /// Zero takes the profile's reserve away.
    #[serde(deserialize_with = "optional_size")]
    pub system_reserve: Option<Bytes>,
    /// Zero takes the profile's budget away.
    #[serde(deserialize_with = "optional_size")]
    pub model_budget: Option<Bytes>,
    pub pressure: PressureLevels,
    pub swap: SwapLevels,
    pub vram: VramLevels,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PressureLevels {
    #[serde(deserialize_with = "optional_number")]
    pub warning_some: Option<f64>,
    #[serde(deserialize_with = "optional_number")]
    pub warning_full: Option<f64>,
    #[serde(deserialize_with = "optional_number")]
    pub critical_some: Option<f64>,
    #[serde(deserialize_with = "optional_number")]
    pub critical_full: Option<f64>,
    #[serde(deserialize_with = "optional_span")]
    pub sustained: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwapLevels {
    /// A second.
    #[serde(deserialize_with = "optional_size")]
    pub growth: Option<Bytes>,
    #[serde(deserialize_with = "optional_span")]
    pub sustained: Option<Duration>,
}

/// Free bytes of a card below which a level is entered.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VramLevels {
    #[serde(deserialize_with = "optional_size")]
    pub warning: Option<Bytes>,
    #[serde(deserialize_with = "optional_size")]
    pub critical: Option<Bytes>,
    #[serde(deserialize_with = "optional_size")]
    pub emergency: Option<Bytes>,
}

/// Changes to the profile's targets. Zero takes one away.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetLimits {
    #[serde(deserialize_with = "optional_percent")]
    pub used: Option<Percent>,
    #[serde(deserialize_with = "optional_size")]
    pub model: Option<Bytes>,
    #[serde(deserialize_with = "optional_size")]
    pub containers: Option<Bytes>,
    #[serde(deserialize_with = "optional_size")]
    pub available: Option<Bytes>,
    #[serde(deserialize_with = "optional_size")]
    pub swap: Option<Bytes>,
}

/// What plimsoll may do by itself, laid over the profile's rules.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// No rule goes further than this.
    pub mode: RuleMode,
    #[serde(deserialize_with = "optional_span")]
    pub pause: Option<Duration>,
    #[serde(deserialize_with = "optional_span")]
    pub grace: Option<Duration>,
    pub one_model: Option<bool>,
    /// Zero takes the profile's away.
    #[serde(deserialize_with = "optional_size")]
    pub largest_model: Option<Bytes>,
    /// Zero takes the profile's away.
    #[serde(deserialize_with = "optional_parameters")]
    pub most_parameters: Option<u64>,
    /// Zero is none.
    #[serde(deserialize_with = "optional_size")]
    pub recycle_growth: Option<Bytes>,
    pub preload: Vec<String>,
    /// Commands as lists of words, the program first.
    pub on_warning: Vec<Vec<String>>,
    pub on_critical: Vec<Vec<String>>,
    pub on_emergency: Vec<Vec<String>>,
    pub normal: NormalRule,
    pub warning: LevelRule,
    pub critical: LevelRule,
    pub emergency: LevelRule,
    pub kill_switch: KillSwitch,
}

/// What holds at normal, where nothing has to go.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormalRule {
    /// `None`: as `rules.mode`.
    pub mode: Option<RuleMode>,
    #[serde(deserialize_with = "optional_span")]
    pub idle: Option<Duration>,
    /// Zero takes the profile's away.
    #[serde(deserialize_with = "optional_size")]
    pub budget: Option<Bytes>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LevelRule {
    /// `None`: as `rules.mode`.
    pub mode: Option<RuleMode>,
    pub strength: Option<Strength>,
    #[serde(deserialize_with = "optional_span")]
    pub idle: Option<Duration>,
    /// Zero takes the profile's away.
    #[serde(deserialize_with = "optional_size")]
    pub budget: Option<Bytes>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KillSwitch {
    /// `None` is off: nobody is ended who did not ask for it.
    pub mode: Option<RuleMode>,
    #[serde(deserialize_with = "optional_percent")]
    pub used: Option<Percent>,
    #[serde(deserialize_with = "optional_span")]
    pub sustained: Option<Duration>,
}

/// What is taken for granted of a load where the server does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fit {
    /// Tokens of one slot.
    pub context: Option<u64>,
    pub parallel: Option<u32>,
    pub kv_type: Option<KvType>,
}

/// Which model is good for what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recommend {
    /// Most parameters for work of low complexity.
    #[serde(deserialize_with = "optional_parameters")]
    pub low: Option<u64>,
    #[serde(deserialize_with = "optional_parameters")]
    pub medium: Option<u64>,
    /// Tag to patterns over models' names.
    pub tags: BTreeMap<String, Vec<String>>,
}

/// What other programs are told, as each level says it itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HintSections {
    /// Empty is the runtime folder.
    pub file: String,
    pub normal: HintValues,
    pub warning: HintValues,
    pub critical: HintValues,
    pub emergency: HintValues,
}

/// How much of the past is kept.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    pub keep_days: u32,
    pub keep_mib: u32,
    pub graph_minutes: u32,
}

impl Default for History {
    fn default() -> Self {
        // A month answers "since when is it so"; events are some 200 bytes, so
        // 64 MiB is a bound for a machine gone wrong, not one met in use.
        History { keep_days: 30, keep_mib: 64, graph_minutes: 10 }
    }
}

/// What the owner says of the components that match. The first entry that
/// says something decides; what was set by key goes before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComponentRule {
    /// Over component ids: `model:llama3*`, `process:chrome`.
    #[serde(rename = "match")]
    pub pattern: String,
    #[serde(deserialize_with = "optional_priority")]
    pub priority: Option<Priority>,
    pub pinned: Option<bool>,
    #[serde(deserialize_with = "optional_size")]
    pub expected: Option<Bytes>,
    /// What may be done to it; nothing else ever is.
    pub actions: Vec<Measure>,
    /// Words, the program first.
    pub command: Vec<String>,
    pub load: Vec<String>,
    #[serde(deserialize_with = "optional_size")]
    pub limit: Option<Bytes>,
}

/// Whom to tell of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hook {
    pub on: Vec<HookEvent>,
    /// Words, the program first; empty where there is a `url`.
    pub run: Vec<String>,
    pub url: Option<String>,
    #[serde(deserialize_with = "optional_span")]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookEvent {
    Level,
    Action,
}
