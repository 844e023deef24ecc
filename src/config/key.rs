//! Every key once: its path, what it accepts, its variable, and the nearest
//! one to a key that does not exist.
//!
//! `schema` holds the same keys as types; a test reads one value of each kind
//! through both.

use std::time::Duration;

use super::value::{
    hint_from_value, is_web_address, number_from_value, parameters_from_value, size_from_value,
    span_from_text, words_problem,
};
use crate::domain::hints::LONGEST_TEXT;

/// What the environment variables of keys begin with.
pub const PREFIX: &str = "PLIMSOLL_";

/// Variables with the prefix that are no keys: the first names the user's file.
pub const OTHER_VARIABLES: [&str; 1] = ["PLIMSOLL_CONFIG"];

/// The table whose keys are intents, and the list of what components are worth.
pub const KEYS_SECTION: &str = "keys";
pub const COMPONENTS: &str = "components";

/// The table whose keys are tags, each a kind of task.
pub const TAGS_SECTION: &str = "recommend.tags";

/// The tables whose keys are other programs' own, one a level.
pub const HINTS_SECTION: &str = "hints";
pub const HINT_SECTIONS: [&str; 4] =
    ["hints.normal", "hints.warning", "hints.critical", "hints.emergency"];

/// The list of whom to tell of what happens.
pub const HOOKS: &str = "hooks";

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted: `levels.pressure.sustained`.
    pub path: &'static str,
    pub kind: Kind,
}

/// What a key accepts.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text; the second is what it names, for messages.
    Text(&'static str),
    /// Absolute, or under the home folder with `~/`, or empty.
    Folder,
    /// As a folder.
    File,
    Choice(&'static [&'static str]),
    /// From, to, and what it is.
    Number(f64, f64, &'static str),
    /// Whole, from, to.
    Count(u32, u32),
    /// From and to in milliseconds.
    Span(u64, u64),
    Size,
    Switch,
    /// How many parameters a model has.
    Parameters,
    /// A list of texts; what they name.
    Names(&'static str),
    /// A list of some of these words.
    Choices(&'static [&'static str]),
    /// A command: its words, the program first.
    Words,
    /// A list of commands.
    Commands,
    /// Over the ids of components.
    Pattern,
    Url,
    /// Any single value that is short.
    Plain,
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// Shares of memory. Under 1 % or over 100 % nothing could be normal or reached.
const SHARE: Kind = Kind::Number(1.0, 100.0, "percentage");
/// Shares of time: PSI is anything from never to always.
const TIME_SHARE: Kind = Kind::Number(0.0, 100.0, "percentage");
/// How long something must last. An hour is longer than any incident.
const DWELL: Kind = Kind::Span(0, HOUR_MS);

/// How far a rule goes, least first.
const MODE: Kind = Kind::Choice(&["off", "observe", "confirm", "act"]);
const STRENGTH: Kind = Kind::Choice(&["light", "aggressive", "force"]);
/// Idle for longer than a day is idle for good.
const IDLE: Kind = Kind::Span(0, DAY_MS);

/// As the cache's types are called: `domain::KvType`.
const KV_TYPE: Kind = Kind::Choice(&["f32", "f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]);

/// What the patterns of a tag are, for messages.
pub const TAG: Kind = Kind::Names("patterns over models' names");

/// What another program is told.
pub const HINT: Kind = Kind::Plain;

/// What a pattern over components begins with.
pub const COMPONENT_KINDS: [&str; 8] =
    ["model:", "process:", "cmdline:", "container:", "unit:", "server:", "runner:", "*"];

/// What a `[[components]]` holds.
pub const COMPONENT_KEYS: [Key; 8] = [
    key("match", Kind::Pattern),
    key("priority", Kind::Choice(&["low", "medium", "high", "critical"])),
    key("pinned", Kind::Switch),
    key("expected", Kind::Size),
    key(
        "actions",
        Kind::Choices(&["unload", "command", "pause", "limit", "restart", "stop", "term", "kill"]),
    ),
    key("command", Kind::Words),
    key("load", Kind::Words),
    key("limit", Kind::Size),
];

/// What a `[[hooks]]` holds.
pub const HOOK_KEYS: [Key; 4] = [
    key("on", Kind::Choices(&["level", "action"])),
    key("run", Kind::Words),
    key("url", Kind::Url),
    // Faster than a program starts, and longer than anybody waits.
    key("timeout", Kind::Span(100, MINUTE_MS)),
];

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

/// In the order they are shown: top level first, then section by section.
pub const KEYS: [Key; 73] = [
    key("profile", Kind::Choice(&["auto", "mac-8", "mac-16", "careful", "linux-15", "pressure"])),
    // Faster than 100 ms measures the measuring; slower than an hour is not a dashboard.
    key("interval", Kind::Span(100, HOUR_MS)),
    key("ollama", Kind::Text("an address as in `http://127.0.0.1:11434`")),
    key("data_dir", Kind::Folder),
    key("theme", Kind::Text("the name of a theme")),
    key("ascii", Kind::Choice(&["auto", "always", "never"])),
    key("color", Kind::Choice(&["auto", "truecolor", "256", "16", "none"])),
    key("levels.warning", SHARE),
    key("levels.critical", SHARE),
    key("levels.emergency", SHARE),
    // Wider than half the scale would never let a level be left.
    key("levels.hysteresis", Kind::Number(0.0, 50.0, "number of percentage points")),
    key("levels.enter_after", DWELL),
    key("levels.leave_after", DWELL),
    key("levels.system_reserve", Kind::Size),
    key("levels.model_budget", Kind::Size),
    key("levels.pressure.warning_some", TIME_SHARE),
    key("levels.pressure.warning_full", TIME_SHARE),
    key("levels.pressure.critical_some", TIME_SHARE),
    key("levels.pressure.critical_full", TIME_SHARE),
    key("levels.pressure.sustained", DWELL),
    key("levels.swap.growth", Kind::Size),
    key("levels.swap.sustained", DWELL),
    key("levels.vram.warning", Kind::Size),
    key("levels.vram.critical", Kind::Size),
    key("levels.vram.emergency", Kind::Size),
    // 0 takes one away.
    key("targets.used", TIME_SHARE),
    key("targets.model", Kind::Size),
    key("targets.containers", Kind::Size),
    key("targets.available", Kind::Size),
    key("targets.swap", Kind::Size),
    key("rules.mode", MODE),
    key("rules.pause", DWELL),
    key("rules.grace", DWELL),
    key("rules.one_model", Kind::Switch),
    key("rules.largest_model", Kind::Size),
    key("rules.most_parameters", Kind::Parameters),
    key("rules.recycle_growth", Kind::Size),
    key("rules.preload", Kind::Names("models")),
    key("rules.on_warning", Kind::Commands),
    key("rules.on_critical", Kind::Commands),
    key("rules.on_emergency", Kind::Commands),
    key("rules.normal.mode", MODE),
    key("rules.normal.idle", IDLE),
    key("rules.normal.budget", Kind::Size),
    key("rules.warning.mode", MODE),
    key("rules.warning.strength", STRENGTH),
    key("rules.warning.idle", IDLE),
    key("rules.warning.budget", Kind::Size),
    key("rules.critical.mode", MODE),
    key("rules.critical.strength", STRENGTH),
    key("rules.critical.idle", IDLE),
    key("rules.critical.budget", Kind::Size),
    key("rules.emergency.mode", MODE),
    key("rules.emergency.strength", STRENGTH),
    key("rules.emergency.idle", IDLE),
    key("rules.emergency.budget", Kind::Size),
    key("rules.kill_switch.mode", MODE),
    key("rules.kill_switch.used", SHARE),
    key("rules.kill_switch.sustained", DWELL),
    // A page of text at least; no model is trained for more than some millions.
    key("fit.context", Kind::Count(256, 16_777_216)),
    // More slots than a machine that one person looks after serves at once.
    key("fit.parallel", Kind::Count(1, 256)),
    key("fit.kv_type", KV_TYPE),
    key("recommend.low", Kind::Parameters),
    key("recommend.medium", Kind::Parameters),
    key("recommend.tags.*", TAG),
    key("hints.file", Kind::File),
    key("hints.*", HINT),
    // Ten years, and what a small disk still holds.
    key("history.keep_days", Kind::Count(1, 3650)),
    key("history.keep_mib", Kind::Count(1, 10_240)),
    // The graph is kept in memory: three hours at one a second are 10,800 points.
    key("history.graph_minutes", Kind::Count(1, 180)),
    key("keys.*", Kind::Text("a key as in \"u\", or a list as in [\"u\", \"delete\"]")),
    key("components", Kind::Text("a list of [[components]]")),
    key("hooks", Kind::Text("a list of [[hooks]]")),
];

impl Key {
    /// The setting at a path; the open table and the list are handled apart.
    pub fn at(path: &str) -> Option<&'static Key> {
        plain().find(|key| key.path == path)
    }

    /// What holds while nobody sets it.
    pub fn unset(&self) -> &'static str {
        match (self.path, self.kind) {
            ("fit.context" | "fit.parallel" | "fit.kv_type", _) => "as the server has it",
            ("recommend.low", _) => "4B",
            ("recommend.medium", _) => "9B",
            ("rules.kill_switch.mode", _) => "off",
            ("rules.kill_switch.used" | "rules.kill_switch.sustained", _) => "as it comes",
            (_, Kind::Choice(_)) if self.path.ends_with(".mode") => "as rules.mode",
            (_, Kind::Names(_) | Kind::Commands) | ("rules.recycle_growth", _) => "none",
            _ => "as the profile has it",
        }
    }

    /// `levels.warning` is `PLIMSOLL_LEVELS_WARNING`.
    pub fn variable(&self) -> String {
        variable_of(self.path)
    }
}

/// The keys that hold one value each.
pub fn plain() -> impl Iterator<Item = &'static Key> {
    let others = ["keys.*", "recommend.tags.*", "hints.*", COMPONENTS, HOOKS];
    KEYS.iter().filter(move |key| !others.contains(&key.path))
}

/// The path is a section: some key lies under it.
pub fn is_section(path: &str) -> bool {
    plain().any(|key| {
        key.path.strip_prefix(path).is_some_and(|rest| !path.is_empty() && rest.starts_with('.'))
    })
}

pub fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

/// `PLIMSOLL_HINTS_NORMAL_CACHE_MB` is `hints.normal.cache_mb`.
pub fn hint_path(variable: &str) -> Option<String> {
    HINT_SECTIONS.iter().find_map(|section| {
        let name = variable.strip_prefix(&variable_of(section))?.strip_prefix('_')?;
        Some(format!("{section}.{}", name.to_ascii_lowercase()))
    })
}

impl Kind {
    /// What is accepted, to follow "accepted is".
    pub fn accepted(&self) -> String {
        match self {
            Kind::Text(what) => format!("text: {what}"),
            Kind::Folder => "text: a folder that begins with `/` or `~/`".to_owned(),
            Kind::File => "text: a file that begins with `/` or `~/`".to_owned(),
            Kind::Plain => format!(
                "a number, true or false, or a text of at most {LONGEST_TEXT} characters on one line"
            ),
            Kind::Choice(words) => format!("one of {}", quoted(words)),
            Kind::Number(least, most, what) => format!("a {what} from {least} to {most}"),
            Kind::Count(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Span(least, most) => format!(
                "a span of time from {} to {}, as in \"500ms\", \"2s\" or \"1min\"",
                span_words(*least),
                span_words(*most)
            ),
            Kind::Size => {
                "a size as in \"1.5 GiB\" or \"512 MiB\", or a number of bytes".to_owned()
            }
            Kind::Switch => "true or false".to_owned(),
            Kind::Parameters => {
                "a number of parameters as in \"3B\" or \"500M\", or a whole number".to_owned()
            }
            Kind::Names(what) => format!("a list of {what}, each a text"),
            Kind::Choices(words) => format!("a list of some of {}", quoted(words)),
            Kind::Words => {
                "a list of words, the program first: absolute, or a name found in PATH".to_owned()
            }
            Kind::Commands => "a list of commands, each a list of words, as in \
                [[\"sync\"], [\"/usr/local/bin/shrink\", \"--now\"]]"
                .to_owned(),
            Kind::Pattern => format!(
                "a pattern as in \"model:llama3*\" or \"process:chrome\"; it begins with one of {}",
                quoted(&COMPONENT_KINDS)
            ),
            Kind::Url => "an address that begins with http:// or https://".to_owned(),
        }
    }

    /// The value may stand.
    pub fn admits(&self, value: &toml::Value) -> bool {
        match self {
            Kind::Text(_) => value.is_str(),
            Kind::Folder | Kind::File => value.as_str().is_some_and(|folder| {
                folder.is_empty() || folder.starts_with('/') || folder.starts_with("~/")
            }),
            Kind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Kind::Number(least, most, _) => {
                number_from_value(value).is_some_and(|number| (*least..=*most).contains(&number))
            }
            Kind::Count(least, most) => value
                .as_integer()
                .is_some_and(|whole| (i64::from(*least)..=i64::from(*most)).contains(&whole)),
            Kind::Span(least, most) => value.as_str().and_then(span_from_text).is_some_and(|s| {
                (Duration::from_millis(*least)..=Duration::from_millis(*most)).contains(&s)
            }),
            Kind::Size => size_from_value(value).is_some(),
            Kind::Switch => value.is_bool(),
            Kind::Parameters => parameters_from_value(value).is_some(),
            Kind::Names(_) => texts(value).is_some_and(|names| {
                names.iter().all(|name| !name.is_empty() && !name.contains(char::is_whitespace))
            }),
            Kind::Choices(words) => {
                texts(value).is_some_and(|said| said.iter().all(|word| words.contains(word)))
            }
            Kind::Words => words_problem(value).is_none(),
            Kind::Commands => value
                .as_array()
                .is_some_and(|list| list.iter().all(|words| words_problem(words).is_none())),
            Kind::Pattern => value.as_str().is_some_and(|pattern| {
                COMPONENT_KINDS.iter().any(|kind| match pattern.strip_prefix(kind) {
                    Some(rest) => *kind == "*" || !rest.is_empty(),
                    None => false,
                })
            }),
            Kind::Url => value.as_str().is_some_and(is_web_address),
            Kind::Plain => hint_from_value(value).is_some(),
        }
    }

    /// A value from a variable or a flag, where everything is text.
    pub fn value_from_text(&self, text: &str) -> toml::Value {
        let trimmed = text.trim();
        let number = match self {
            Kind::Number(..) => trimmed.parse().ok().map(toml::Value::Float),
            Kind::Count(..) => trimmed.parse().ok().map(toml::Value::Integer),
            Kind::Switch => trimmed.parse().ok().map(toml::Value::Boolean),
            Kind::Plain => trimmed
                .parse()
                .map(toml::Value::Integer)
                .or_else(|_| trimmed.parse().map(toml::Value::Float))
                .or_else(|_| trimmed.parse().map(toml::Value::Boolean))
                .ok(),
            Kind::Names(_) => {
                let names = trimmed.split_whitespace().map(|name| name.to_owned().into());
                Some(toml::Value::Array(names.collect()))
            }
            _ => None,
        };
        number.unwrap_or_else(|| toml::Value::String(trimmed.to_owned()))
    }
}

/// The texts of a list of nothing else.
fn texts(value: &toml::Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(toml::Value::as_str).collect()
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

fn span_words(millis: u64) -> String {
    match millis {
        0 => "0s".to_owned(),
        MINUTE_MS => "1min".to_owned(),
        DAY_MS => "1d".to_owned(),
        HOUR_MS => "1h".to_owned(),
        ms => format!("{ms}ms"),
    }
}

/// A key that may have been meant: the same last word elsewhere, or one that
/// differs in a few letters.
pub fn nearest(unknown: &str) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let known = || {
        plain().map(|key| key.path).chain(HINT_SECTIONS).chain([
            COMPONENTS,
            HOOKS,
            KEYS_SECTION,
            TAGS_SECTION,
            HINTS_SECTION,
            "levels",
            "targets",
            "rules",
            "fit",
            "recommend",
            "history",
        ])
    };
    let by_letters = closest(unknown, known());
    by_letters
        .or_else(|| known().find(|path| last(path) == last(unknown)).map(str::to_owned))
        .or_else(|| {
            let near = closest(
                &last(unknown),
                plain().map(|key| key.path.rsplit('.').next().unwrap_or_default()),
            )?;
            known().find(|path| last(path) == near).map(str::to_owned)
        })
}

/// The candidate that differs least, if it differs by a slip only.
pub fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    // A third of the letters wrong is another word.
    let slip = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(differs, _)| *differs <= slip)
        .min_by_key(|(differs, _)| *differs)
        .map(|(_, candidate)| candidate.to_owned())
}

/// Letters to add, drop, change or swap with the next to get from one word to
/// the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut next = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let changed = row[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            next[j] = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::schema::Config;
    use crate::policy::limits::Profile;

    fn sample(kind: Kind) -> String {
        let text = match kind {
            Kind::Text(_) => "\"x\"",
            Kind::Folder | Kind::File => "\"/x\"",
            // The first is the default.
            Kind::Choice(words) => return format!("\"{}\"", words[words.len() - 1]),
            Kind::Number(..) | Kind::Count(..) => "7",
            Kind::Span(..) => "\"2s\"",
            Kind::Size => "\"2 GiB\"",
            Kind::Switch => "true",
            Kind::Parameters => "\"3B\"",
            Kind::Names(_) => "[\"x\"]",
            Kind::Choices(words) => return format!("[\"{}\"]", words[0]),
            Kind::Words => "[\"x\", \"y\"]",
            Kind::Commands => "[[\"x\", \"y\"], [\"z\"]]",
            Kind::Pattern => "\"unit:x\"",
            Kind::Url => "\"http://x\"",
            Kind::Plain => "7",
        };
        text.to_owned()
    }

    #[test]
    fn every_key_is_read_by_the_schema() {
        for key in plain() {
            let line = format!("{} = {}", key.path, sample(key.kind));
            let value: toml::Table = toml::from_str(&line).unwrap();
            let read = Config::deserialize_table(value).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_ne!(read, Config::default(), "{line}");
        }
    }

    #[test]
    fn every_key_of_a_component_and_a_hook_is_read_by_the_schema() {
        for (list, keys) in [(COMPONENTS, &COMPONENT_KEYS[..]), (HOOKS, &HOOK_KEYS[..])] {
            let read = |line: &str| {
                let text = format!("[[{list}]]\n{line}\n");
                let table: toml::Table = toml::from_str(&text).unwrap();
                Config::deserialize_table(table).unwrap_or_else(|e| panic!("{text}: {e}"))
            };
            for key in keys {
                let line = format!("{} = {}", key.path, sample(key.kind));
                assert_ne!(read(&line), read(""), "{line}");
            }
            let wrong: toml::Table = toml::from_str(&format!("[[{list}]]\nx = 1\n")).unwrap();
            let said = Config::deserialize_table(wrong).unwrap_err().message().to_owned();
            let fields = said.split_once("expected").unwrap().1.split('`').skip(1).step_by(2);
            assert_eq!(
                fields.collect::<BTreeSet<_>>(),
                keys.iter().map(|key| key.path).collect::<BTreeSet<_>>()
            );
        }
    }

    #[test]
    fn every_field_of_the_schema_is_a_key() {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for section in [
            "",
            "levels.",
            "levels.pressure.",
            "levels.swap.",
            "levels.vram.",
            "targets.",
            "rules.",
            "rules.normal.",
            "rules.warning.",
            "rules.critical.",
            "rules.emergency.",
            "rules.kill_switch.",
            "fit.",
            "recommend.",
            "hints.",
            "history.",
        ] {
            let wrong = format!("{section}no_such_key = 1");
            let said = toml::from_str::<Config>(&wrong).unwrap_err().message().to_owned();
            let fields = said.split_once("expected").unwrap().1;
            known.extend(fields.split('`').skip(1).step_by(2).map(|f| format!("{section}{f}")));
        }
        for field in known {
            assert!(
                Key::at(&field).is_some()
                    || is_section(&field)
                    || field == KEYS_SECTION
                    || field == TAGS_SECTION
                    || HINT_SECTIONS.contains(&field.as_str())
                    || field == COMPONENTS
                    || field == HOOKS,
                "{field} is in the schema, not among the keys"
            );
        }
    }

    #[test]
    fn every_profile_can_be_named() {
        let Kind::Choice(words) = Key::at("profile").unwrap().kind else { panic!() };
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
        assert_eq!(words[1..], names);
    }

    #[test]
    fn every_type_of_a_cache_can_be_named() {
        let Kind::Choice(words) = Key::at("fit.kv_type").unwrap().kind else { panic!() };
        assert_eq!(words, crate::domain::KvType::ALL.map(crate::domain::KvType::word));
    }

    #[test]
    fn variables_are_unique_and_none_is_taken() {
        let variables: BTreeSet<String> = plain().map(Key::variable).collect();
        assert_eq!(variables.len(), plain().count());
        assert!(OTHER_VARIABLES.iter().all(|other| !variables.contains(*other)));
        assert!(variables.contains("PLIMSOLL_LEVELS_PRESSURE_WARNING_SOME"));
    }

    #[test]
    fn the_nearest_key_is_found_by_slip_and_by_place() {
        let meant = |unknown| nearest(unknown);
        assert_eq!(meant("levels.warnin").as_deref(), Some("levels.warning"));
        assert_eq!(meant("themes").as_deref(), Some("theme"));
        assert_eq!(meant("model_budget").as_deref(), Some("levels.model_budget"));
        assert_eq!(meant("hysteresys").as_deref(), Some("levels.hysteresis"));
        assert_eq!(meant("colour").as_deref(), Some("color"));
        assert_eq!(meant("weather_forecast"), None);
    }

    #[test]
    fn two_letters_that_are_swapped_are_one_slip() {
        let meant = |word| closest(word, ["dark", "light", "act", "levels.warning"].into_iter());
        assert_eq!(meant("drak").as_deref(), Some("dark"));
        assert_eq!(meant("atc").as_deref(), Some("act"));
        assert_eq!(meant("ligth").as_deref(), Some("light"));
        assert_eq!(meant("levls.wraning").as_deref(), Some("levels.warning"));
        assert_eq!((meant("bark"), meant("krad"), meant("")), (Some("dark".into()), None, None));
        assert_eq!([distance("", "abc"), distance("abc", ""), distance("ca", "abc")], [3, 3, 3]);
    }
}
