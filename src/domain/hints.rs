//! Values for other programs: how much to cache, what quality to serve, at
//! each level. What they mean is between the owner and those programs.
//!
//! Plain values only; nothing here reads or writes them anywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::level::Level;
use super::text::clean;

/// What a level says, by key.
pub type HintValues = BTreeMap<String, HintValue>;

/// Most keys: they cross sockets with each change, and more is a config of
/// another program.
pub const MOST_KEYS: usize = 64;

/// A key becomes a name in scripts.
pub const LONGEST_KEY: usize = 32;

/// A word or a short phrase. What is longer belongs into a file of its own.
pub const LONGEST_TEXT: usize = 64;

/// One value, as it is written in the config.
#[derive(Debug, Clone, PartialEq)]
pub enum HintValue {
    Whole(i64),
    Number(f64),
    Switch(bool),
    Text(String),
}

/// The values of every level. A level has what it says itself, and else what
/// the next milder one has that says something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hints {
    /// Complete, mildest level first.
    levels: [Arc<HintValues>; 4],
    /// Where they are written for programs that read a file.
    pub file: Option<String>,
}

/// A level and what holds for other programs while it lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    pub level: Level,
    pub hints: Arc<HintValues>,
}

impl From<Level> for InForce {
    fn from(level: Level) -> Self {
        InForce { level, hints: Arc::default() }
    }
}

impl Hints {
    /// `said`: what each level says itself, mildest first.
    pub fn new(said: [HintValues; 4], file: Option<String>) -> Hints {
        let mut whole = HintValues::new();
        let levels = said.map(|own| {
            whole.extend(own);
            Arc::new(whole.clone())
        });
        Hints { levels, file }
    }

    pub fn at(&self, level: Level) -> &Arc<HintValues> {
        &self.levels[level as usize]
    }

    pub fn in_force(&self, level: Level) -> InForce {
        InForce { level, hints: Arc::clone(self.at(level)) }
    }

    /// Nobody is told anything.
    pub fn is_empty(&self) -> bool {
        self.at(Level::Emergency).is_empty()
    }
}

/// On one line, for people.
pub fn words(values: &HintValues) -> String {
    let words: Vec<String> = values.iter().map(|(key, value)| format!("{key}={value}")).collect();
    words.join(" ")
}

/// The name can stand as a key: a word in small letters.
pub fn is_key(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= LONGEST_KEY
        && name.chars().all(is_part)
}

/// A script that evaluates what it is told would change more than a variable
/// of its own: zsh and bash give these a meaning (the manuals list them as
/// parameters of the shell and of zsh's modules), and programs the proxies.
const OF_THE_SHELL: [&str; 74] = [
    "aliases",
    "all_proxy",
    "argv",
    "auto_resume",
    "builtins",
    "cdpath",
    "command_oriented_history",
    "commands",
    "comppostfuncs",
    "compprefuncs",
    "compstate",
    "cwd",
    "dirstack",
    "dis_aliases",
    "dis_builtins",
    "dis_functions",
    "dis_galiases",
    "dis_patchars",
    "dis_reswords",
    "dis_saliases",
    "epochtime",
    "errnos",
    "fignore",
    "fpath",
    "ftp_proxy",
    "funcfiletrace",
    "funcsourcetrace",
    "funcstack",
    "functions",
    "functions_source",
    "functrace",
    "galiases",
    "gid",
    "histchars",
    "history",
    "historywords",
    "home",
    "http_proxy",
    "https_proxy",
    "jobdirs",
    "jobstates",
    "jobtexts",
    "keymaps",
    "langinfo",
    "mailpath",
    "mapfile",
    "manpath",
    "module_path",
    "modules",
    "nameddirs",
    "no_proxy",
    "options",
    "parameters",
    "patchars",
    "path",
    "pipestatus",
    "prompt",
    "psvar",
    "region_highlight",
    "reswords",
    "saliases",
    "shell",
    "signals",
    "status",
    "sysparams",
    "term",
    "termcap",
    "terminfo",
    "uid",
    "user",
    "userdirs",
    "usergroups",
    "watch",
    "widgets",
];

/// The name means something to a shell already.
pub fn is_of_the_shell(name: &str) -> bool {
    let begins = |start: &&str| name.starts_with(start);
    OF_THE_SHELL.contains(&name) || ["zsh_", "fish_", "dis_functions_"].iter().any(begins)
}

impl HintValue {
    /// It can be written as JSON, on one line, and is short.
    pub fn may_stand(&self) -> bool {
        match self {
            HintValue::Whole(_) | HintValue::Switch(_) => true,
            HintValue::Number(number) => number.is_finite(),
            HintValue::Text(text) => text.chars().count() <= LONGEST_TEXT && clean(text) == *text,
        }
    }

    /// What a program must be ready for: one key is of one kind at all levels.
    pub const fn kind(&self) -> &'static str {
        match self {
            HintValue::Whole(_) | HintValue::Number(_) => "a number",
            HintValue::Switch(_) => "true or false",
            HintValue::Text(_) => "a text",
        }
    }
}

/// The bare value: a text without quotes.
impl fmt::Display for HintValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HintValue::Whole(whole) => whole.fmt(f),
            HintValue::Number(number) => number.fmt(f),
            HintValue::Switch(on) => on.fmt(f),
            HintValue::Text(text) => text.fmt(f),
        }
    }
}

impl Serialize for HintValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            HintValue::Whole(whole) => to.serialize_i64(*whole),
            HintValue::Number(number) => to.serialize_f64(*number),
            HintValue::Switch(on) => to.serialize_bool(*on),
            HintValue::Text(text) => to.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for HintValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyPlain)
    }
}

struct AnyPlain;

impl Visitor<'_> for AnyPlain {
    type Value = HintValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true or false, or a text")
    }

    fn visit_i64<E: Error>(self, whole: i64) -> Result<HintValue, E> {
        Ok(HintValue::Whole(whole))
    }

    fn visit_u64<E: Error>(self, whole: u64) -> Result<HintValue, E> {
        let whole = i64::try_from(whole).map_err(|_| E::custom("a number that is too large"))?;
        Ok(HintValue::Whole(whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<HintValue, E> {
        Ok(HintValue::Number(number))
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<HintValue, E> {
        Ok(HintValue::Switch(on))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HintValue, E> {
        Ok(HintValue::Text(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, HintValue)]) -> HintValues {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_level_has_what_the_next_milder_one_says() {
        use HintValue::{Switch, Text, Whole};
        let high = || Text("high".to_owned());
        let hints = Hints::new(
            [
                said(&[("cache_mb", Whole(500)), ("quality", high()), ("index", Switch(true))]),
                said(&[("cache_mb", Whole(250))]),
                said(&[("index", Switch(false))]),
                said(&[("cache_mb", Whole(0))]),
            ],
            None,
        );
        let at = |cache, index| {
            said(&[("cache_mb", Whole(cache)), ("quality", high()), ("index", Switch(index))])
        };
        let found = Level::ALL.map(|level| (**hints.at(level)).clone());
        assert_eq!(found, [at(500, true), at(250, true), at(250, false), at(0, false)]);
        assert!(!hints.is_empty() && Hints::default().is_empty());
    }

    #[test]
    fn values_cross_as_what_they_are() {
        let all = [
            HintValue::Whole(-3),
            HintValue::Number(0.5),
            HintValue::Number(2.0),
            HintValue::Switch(true),
            HintValue::Text("high".to_owned()),
        ];
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, r#"[-3,0.5,2.0,true,"high"]"#);
        assert_eq!(serde_json::from_str::<Vec<HintValue>>(&text).unwrap(), all);
        assert!(serde_json::from_str::<HintValue>("[1]").is_err());
        assert!(serde_json::from_str::<HintValue>("18446744073709551615").is_err());
    }

    #[test]
    fn names_and_values_are_short_and_plain() {
        assert!(is_key("cache_mb") && is_key("a") && is_key("q2"));
        for wrong in ["", "Cache", "2q", "_x", "a-b", "a.b", "a b", "é", &"a".repeat(33)] {
            assert!(!is_key(wrong), "{wrong}");
        }
        let text = |text: &str| HintValue::Text(text.to_owned()).may_stand();
        assert!(text("") && text("high quality") && text(&"x".repeat(64)));
        assert!(!text("a\nb") && !text("a\u{202e}b") && !text(" a") && !text(&"x".repeat(65)));
        assert!(!HintValue::Number(f64::INFINITY).may_stand());
    }
}
