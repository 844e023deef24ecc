//! Whether a layer may stand: each key known, each value of its kind; and
//! whether the merged values go together.

mod hints;
mod lists;

use std::collections::BTreeMap;

use super::error::{ConfigError, KeyFault};
use super::key::{self, COMPONENTS, HINT_SECTIONS, HOOKS, KEYS_SECTION, Key, Kind, TAGS_SECTION};
use super::origin::Origin;
use super::value::{number_from_value, parameters_from_value, size_from_value, words_problem};
use crate::domain::text::clean;

pub(super) use self::hints::hint;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub value: toml::Value,
    pub origin: Origin,
}

/// Pairs of keys where the first must be below the second.
const RISING: [(&str, &str); 7] = [
    ("levels.warning", "levels.critical"),
    ("levels.critical", "levels.emergency"),
    ("levels.warning", "levels.emergency"),
    ("levels.emergency", "rules.kill_switch.used"),
    ("levels.pressure.warning_some", "levels.pressure.critical_some"),
    ("levels.pressure.warning_full", "levels.pressure.critical_full"),
    ("recommend.low", "recommend.medium"),
];

/// Pairs where the first must be above the second: sizes still free.
const FALLING: [(&str, &str); 3] = [
    ("levels.vram.warning", "levels.vram.critical"),
    ("levels.vram.critical", "levels.vram.emergency"),
    ("levels.vram.warning", "levels.vram.emergency"),
];

/// A tag is typed, and is a column.
const LONGEST_TAG: usize = 32;

/// Takes one layer apart into settings and faults.
pub(crate) fn layer(
    table: &toml::Table,
    origin_of: &dyn Fn(&str) -> Origin,
) -> (BTreeMap<String, Setting>, Vec<KeyFault>) {
    let mut layer = Layer { origin_of, settings: BTreeMap::new(), faults: Vec::new() };
    layer.section("", table);
    (layer.settings, layer.faults)
}

struct Layer<'a> {
    origin_of: &'a dyn Fn(&str) -> Origin,
    settings: BTreeMap<String, Setting>,
    faults: Vec<KeyFault>,
}

impl Layer<'_> {
    fn section(&mut self, prefix: &str, table: &toml::Table) {
        for (name, value) in table {
            let path = match prefix {
                "" => name.clone(),
                prefix => format!("{prefix}.{name}"),
            };
            let origin = (self.origin_of)(&path);
            if let Some(key) = Key::at(&path) {
                // A fault inside a list has a line of its own.
                let checked = fault_of(key.path, key.kind, value).map_or(Ok(()), |fault| {
                    Err(Box::new(KeyFault { origin: (self.origin_of)(&fault.key), ..fault }))
                });
                self.keep_or_fault(&path, value, checked);
            } else if path == COMPONENTS {
                self.list(&path, value, lists::components(value));
            } else if path == HOOKS {
                self.list(&path, value, lists::hooks(value));
            } else if [KEYS_SECTION, TAGS_SECTION].contains(&path.as_str())
                || HINT_SECTIONS.contains(&path.as_str())
                || key::is_section(&path)
            {
                match value {
                    toml::Value::Table(inner) if path == KEYS_SECTION => self.bindings(inner),
                    toml::Value::Table(inner) if path == TAGS_SECTION => self.tags(inner),
                    toml::Value::Table(inner) if HINT_SECTIONS.contains(&path.as_str()) => {
                        self.hints(&path, inner);
                    }
                    toml::Value::Table(inner) => self.section(&path, inner),
                    other => {
                        let problem = format!("is {}", found(&path, other));
                        let section = format!("a section: [{path}]");
                        self.faults.push(KeyFault::new(origin, path, problem).accepting(section));
                    }
                }
            } else {
                let meant = key::nearest(&path).map(|meant| format!("did you mean `{meant}`?"));
                let is_hint = path.starts_with("hints.");
                let meant = meant.or_else(|| {
                    is_hint
                        .then(|| "what others are told stands in [hints.normal] and so on".into())
                });
                self.faults.push(KeyFault::new(origin, path, "is no setting").hinting(meant));
            }
        }
    }

    fn bindings(&mut self, table: &toml::Table) {
        for (intent, value) in table {
            let path = format!("{KEYS_SECTION}.{intent}");
            let origin = (self.origin_of)(&path);
            let checked = binding(intent, value, &origin);
            self.keep_or_fault(&path, value, checked);
        }
    }

    fn tags(&mut self, table: &toml::Table) {
        for (tag, value) in table {
            let path = format!("{TAGS_SECTION}.{tag}");
            let checked = self::tag(tag, value, &(self.origin_of)(&path));
            self.keep_or_fault(&path, value, checked);
        }
    }

    fn hints(&mut self, section: &str, table: &toml::Table) {
        for (name, value) in table {
            let path = format!("{section}.{name}");
            let checked = hints::hint(&path, value, &(self.origin_of)(&path));
            self.keep_or_fault(&path, value, checked);
        }
    }

    fn list(&mut self, path: &str, value: &toml::Value, faults: Vec<KeyFault>) {
        if faults.is_empty() {
            self.keep_or_fault(path, value, Ok(()));
        }
        let placed = |fault: KeyFault| KeyFault { origin: (self.origin_of)(&fault.key), ..fault };
        self.faults.extend(faults.into_iter().map(placed));
    }

    fn keep_or_fault(
        &mut self,
        path: &str,
        value: &toml::Value,
        checked: Result<(), Box<KeyFault>>,
    ) {
        match checked {
            Ok(()) => {
                let origin = (self.origin_of)(path);
                self.settings.insert(path.to_owned(), Setting { value: value.clone(), origin });
            }
            Err(fault) => self.faults.push(*fault),
        }
    }
}

/// The value is of the key's kind.
pub(super) fn value(key: &Key, value: &toml::Value, origin: &Origin) -> Result<(), Box<KeyFault>> {
    match fault_of(key.path, key.kind, value) {
        None => Ok(()),
        Some(fault) => Err(Box::new(KeyFault { origin: origin.clone(), ..fault })),
    }
}

/// What is wrong with a value, without its origin.
fn fault_of(path: &str, kind: Kind, value: &toml::Value) -> Option<KeyFault> {
    if kind.admits(value) {
        return None;
    }
    let (path, problem, hint) = match kind {
        Kind::Words => (path.to_owned(), command_problem(value), words_hint(path, value)),
        Kind::Commands => commands_problem(path, value),
        _ => {
            let hint = meant(kind, value).map(|meant| format!("did you mean \"{meant}\"?"));
            (path.to_owned(), format!("is {}", found(path, value)), hint)
        }
    };
    Some(KeyFault::new(Origin::Default, path, problem).accepting(kind.accepted()).hinting(hint))
}

/// The word that a slip was meant to be.
fn meant(kind: Kind, value: &toml::Value) -> Option<String> {
    let near = |word: &str, words: &[&str]| key::closest(word, words.iter().copied());
    match (kind, value) {
        (Kind::Choice(words), toml::Value::String(word)) => near(word, words),
        (Kind::Choices(words), toml::Value::Array(said)) => {
            let unknown = said.iter().filter_map(toml::Value::as_str).find(|w| !words.contains(w));
            near(unknown?, words)
        }
        _ => None,
    }
}

/// A command may hold what is secret: what is found is said without it.
fn command_problem(value: &toml::Value) -> String {
    words_problem(value).unwrap_or("is no command").to_owned()
}

/// The first command that cannot stand: its path, what is wrong, a hint.
fn commands_problem(path: &str, value: &toml::Value) -> (String, String, Option<String>) {
    let name = path.rsplit('.').next().unwrap_or_default();
    let wrapped = |words: &toml::Value| {
        let program = program_of(words)?;
        Some(format!("write {name} = [[{program}]]; no shell reads it"))
    };
    let Some(list) = value.as_array() else {
        return (path.to_owned(), command_problem(value), wrapped(value));
    };
    if list.iter().any(toml::Value::is_str) {
        let problem = "is a list of texts, not of commands".to_owned();
        return (path.to_owned(), problem, wrapped(value));
    }
    let wrong = list.iter().position(|words| words_problem(words).is_some()).unwrap_or_default();
    (format!("{path}[{wrong}]"), command_problem(&list[wrong]), None)
}

/// How one text is written as words.
fn words_hint(path: &str, value: &toml::Value) -> Option<String> {
    let name = path.rsplit('.').next().unwrap_or_default();
    Some(format!("write {name} = [{}]; no shell reads it", program_of(value)?))
}

/// The program of a command that was written as one text, quoted, with dots
/// for the words behind it.
fn program_of(value: &toml::Value) -> Option<String> {
    let (text, others) = match value {
        toml::Value::String(text) => (text.as_str(), 0),
        toml::Value::Array(words) => (words.first()?.as_str()?, words.len() - 1),
        _ => return None,
    };
    let mut words = text.split_whitespace();
    let program = clean(words.next()?);
    let rest = if others + words.count() > 0 { ", \"…\"" } else { "" };
    Some(format!("\"{program}\"{rest}"))
}

/// The keys of one intent are texts; what they mean is the keymap's to say.
pub(super) fn binding(
    intent: &str,
    value: &toml::Value,
    origin: &Origin,
) -> Result<(), Box<KeyFault>> {
    let path = format!("{KEYS_SECTION}.{intent}");
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if intent.is_empty() || !intent.chars().all(is_word) {
        return Err(KeyFault::new(origin.clone(), path, "is no intent")
            .accepting("a name in small letters, as in unload_all")
            .into());
    }
    let is_key = |key: &toml::Value| key.as_str().is_some_and(|key| !key.is_empty());
    let stands = match value {
        toml::Value::Array(keys) => keys.iter().all(is_key),
        one => is_key(one),
    };
    if stands {
        return Ok(());
    }
    Err(KeyFault::new(origin.clone(), path.clone(), format!("is {}", found(&path, value)))
        .accepting("a key as in \"u\", or a list of keys as in [\"u\", \"delete\"]")
        .into())
}

/// A tag is a word, and its patterns are texts.
pub(super) fn tag(tag: &str, value: &toml::Value, origin: &Origin) -> Result<(), Box<KeyFault>> {
    let path = format!("{TAGS_SECTION}.{tag}");
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if tag.is_empty() || tag.len() > LONGEST_TAG || !tag.chars().all(is_word) {
        return Err(KeyFault::new(origin.clone(), path, "is no tag")
            .accepting("a short word in small letters, as in coding")
            .into());
    }
    match fault_of(&path, key::TAG, value) {
        None => Ok(()),
        Some(fault) => Err(Box::new(KeyFault { origin: origin.clone(), ..fault })),
    }
}

/// What stands there, fit for a message: bounded, clean, without passwords.
fn found(path: &str, value: &toml::Value) -> String {
    match value {
        toml::Value::Table(_) => "a section".to_owned(),
        toml::Value::Array(_) => "a list".to_owned(),
        toml::Value::String(text) if path == "ollama" => without_user(text),
        toml::Value::String(text) if path.ends_with(".url") => {
            format!("\"{}\"", clean(&only_host(text)))
        }
        other => clean(&other.to_string()),
    }
}

/// An address with user name, password and query left out. Rather too much
/// than too little: a password may hold a `/`, so everything before the last
/// `@` goes; behind a `?` or `#` nobody can say what an `@` ends.
pub fn without_user(url: &str) -> String {
    // Behind a login it is no scheme.
    let scheme = url.find("://").filter(|at| url.rfind('@').is_none_or(|login| *at < login));
    let scheme_end = scheme.map_or(0, |at| at + 3);
    let end = url.find(['?', '#']).unwrap_or(url.len());
    if url[end..].contains('@') {
        return format!("{}***", &url[..scheme_end.min(end)]);
    }
    let url = &url[..end];
    let scheme_end = scheme_end.min(end);
    match url[scheme_end..].rfind('@') {
        Some(at) => format!("{}***@{}", &url[..scheme_end], &url[scheme_end + at + 1..]),
        None => url.to_owned(),
    }
}

/// An address without all that may be secret in it: the path of a hook often
/// is its password.
pub fn only_host(url: &str) -> String {
    let bare = without_user(url);
    let host_from = bare.find("://").map_or(0, |at| at + 3);
    match bare[host_from..].find('/') {
        Some(end) => format!("{}/***", &bare[..host_from + end]),
        None => bare,
    }
}

/// What does not go together in the merged settings.
pub(super) fn across(settings: &BTreeMap<String, Setting>) -> Vec<ConfigError> {
    let number = |setting: &Setting| {
        let count = || parameters_from_value(&setting.value).map(|count| count as f64);
        number_from_value(&setting.value).or_else(count)
    };
    let size = |setting: &Setting| size_from_value(&setting.value).map(|size| size.get() as f64);
    let mut faults = Vec::new();
    for (low, high) in RISING {
        let pair = settings.get(low).zip(settings.get(high));
        if let Some((a, b)) = pair.filter(|(a, b)| number(a) >= number(b)) {
            faults.push(order_fault((low, a), (high, b), "below").into());
        }
    }
    for (high, low) in FALLING {
        let pair = settings.get(high).zip(settings.get(low));
        if let Some((a, b)) = pair.filter(|(a, b)| size(a) <= size(b)) {
            faults.push(order_fault((high, a), (low, b), "above").into());
        }
    }
    faults.extend(hints::across(settings).into_iter().map(ConfigError::from));
    faults
}

fn order_fault(first: (&str, &Setting), second: (&str, &Setting), relation: &str) -> KeyFault {
    let (path, setting) = first;
    let (other_path, other) = second;
    let problem = format!("is {}", found(path, &setting.value));
    let place =
        if other.origin == setting.origin { String::new() } else { format!(" ({})", other.origin) };
    KeyFault::new(setting.origin.clone(), path, problem).accepting(format!(
        "a value {relation} `{other_path}`, which is {}{place}",
        found(other_path, &other.value)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_user() {
        assert_eq!(without_user("http://me:secret@host:1/x"), "http://***@host:1/x");
        assert_eq!(without_user("me:p@ss@host"), "***@host");
        assert_eq!(without_user("http://me:se/cret@host"), "http://***@host");
        assert_eq!(without_user("https://host/a?token=x"), "https://host/a");
        assert_eq!(without_user(""), "");
        assert_eq!(without_user("secret@://"), "***@://");
    }

    #[test]
    fn a_hooks_address_keeps_its_host_only() {
        assert_eq!(only_host("https://me:p@h:1/services/secret?x"), "https://***@h:1/***");
        assert_eq!(only_host("https://h"), "https://h");
    }
}
