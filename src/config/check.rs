//! Whether a layer may stand: each key known, each value of its kind; and
//! whether the merged values go together.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::error::{ConfigError, KeyFault};
use super::key::{self, COMPONENTS, KEYS_SECTION, Key};
use super::origin::Origin;
use super::value::{number_from_value, size_from_value};
use crate::domain::Priority;
use crate::domain::text::clean;

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub value: toml::Value,
    pub origin: Origin,
}

/// Component ids begin with one of these.
const COMPONENT_KINDS: [&str; 5] = ["model:", "process:", "server:", "runner:", "*"];
const COMPONENT_KEYS: [&str; 3] = ["match", "priority", "pinned"];

/// Pairs of keys where the first must be below the second.
const RISING: [(&str, &str); 5] = [
    ("levels.warning", "levels.critical"),
    ("levels.critical", "levels.emergency"),
    ("levels.warning", "levels.emergency"),
    ("levels.pressure.warning_some", "levels.pressure.critical_some"),
    ("levels.pressure.warning_full", "levels.pressure.critical_full"),
];

/// Pairs where the first must be above the second: sizes still free.
const FALLING: [(&str, &str); 3] = [
    ("levels.vram.warning", "levels.vram.critical"),
    ("levels.vram.critical", "levels.vram.emergency"),
    ("levels.vram.warning", "levels.vram.emergency"),
];

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
                self.keep_or_fault(&path, value, self::value(key, value, &origin));
            } else if path == COMPONENTS {
                let checked = components(value, self.origin_of);
                self.keep_or_fault(&path, value, checked);
            } else if path == KEYS_SECTION || key::is_section(&path) {
                match value {
                    toml::Value::Table(inner) if path == KEYS_SECTION => self.bindings(inner),
                    toml::Value::Table(inner) => self.section(&path, inner),
                    other => {
                        let problem = format!("is {}", found(&path, other));
                        let section = format!("a section: [{path}]");
                        self.faults.push(KeyFault::new(origin, path, problem).accepting(section));
                    }
                }
            } else {
                let meant = key::nearest(&path).map(|meant| format!("did you mean `{meant}`?"));
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
    if key.kind.admits(value) {
        return Ok(());
    }
    let meant = match (key.kind, value) {
        (key::Kind::Choice(words), toml::Value::String(word)) => {
            key::closest(word, words.iter().copied())
        }
        _ => None,
    };
    Err(KeyFault::new(origin.clone(), key.path, format!("is {}", found(key.path, value)))
        .accepting(key.kind.accepted())
        .hinting(meant.map(|meant| format!("did you mean \"{meant}\"?")))
        .into())
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

fn components(
    value: &toml::Value,
    origin_of: &dyn Fn(&str) -> Origin,
) -> Result<(), Box<KeyFault>> {
    let all_tables = value.as_array().filter(|list| list.iter().all(toml::Value::is_table));
    let Some(list) = all_tables else {
        let problem = format!("is {}", found(COMPONENTS, value));
        return Err(KeyFault::new(origin_of(COMPONENTS), COMPONENTS, problem)
            .accepting("a list of [[components]]")
            .into());
    };
    for (index, entry) in list.iter().enumerate() {
        let path = format!("{COMPONENTS}[{index}]");
        let table = entry.as_table().into_iter().flatten();
        if entry.get("match").is_none() {
            return Err(KeyFault::new(origin_of(&path), path, "has no `match`")
                .accepting("a pattern as in match = \"model:llama3*\"")
                .into());
        }
        for (name, value) in table {
            component_key(&format!("{path}.{name}"), name, value)
                .map_err(|fault| KeyFault { origin: origin_of(&fault.key), ..*fault })?;
        }
    }
    Ok(())
}

fn component_key(path: &str, name: &str, value: &toml::Value) -> Result<(), Box<KeyFault>> {
    let (stands, accepted) = match name {
        "match" => (
            value.as_str().is_some_and(|p| COMPONENT_KINDS.iter().any(|kind| p.starts_with(kind))),
            "a pattern as in \"model:llama3*\" or \"process:chrome\"",
        ),
        "priority" => (
            value.as_str().is_some_and(|word| Priority::from_str(word).is_ok()),
            "one of \"low\", \"medium\", \"high\", \"critical\"",
        ),
        "pinned" => (value.is_bool(), "true or false"),
        unknown => {
            let meant = key::closest(unknown, COMPONENT_KEYS.into_iter());
            return Err(KeyFault::new(Origin::Default, path, "is no setting")
                .accepting("match, priority, pinned")
                .hinting(meant.map(|meant| format!("did you mean `{meant}`?")))
                .into());
        }
    };
    if stands {
        return Ok(());
    }
    let problem = format!("is {}", found(path, value));
    Err(KeyFault::new(Origin::Default, path, problem).accepting(accepted).into())
}

/// What stands there, fit for a message: bounded, clean, without passwords.
fn found(path: &str, value: &toml::Value) -> String {
    match value {
        toml::Value::Table(_) => "a section".to_owned(),
        toml::Value::Array(_) => "a list".to_owned(),
        toml::Value::String(text) if path == "ollama" => without_user(text),
        other => clean(&other.to_string()),
    }
}

/// An address with user name, password and query left out. Rather too much
/// than too little: a password may hold a `/`, so everything before the last
/// `@` goes; behind a `?` or `#` nobody can say what an `@` ends.
pub fn without_user(url: &str) -> String {
    let scheme_end = url.find("://").map_or(0, |at| at + 3);
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

/// What does not go together in the merged settings.
pub(super) fn across(settings: &BTreeMap<String, Setting>) -> Vec<ConfigError> {
    let number = |setting: &Setting| number_from_value(&setting.value);
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
    }
}
