//! What may stand in `[hints.LEVEL]`: each key a word, each value short and
//! plain; and that whoever reads a key finds it at every level, as one kind.

use std::collections::{BTreeMap, BTreeSet};

use super::{Setting, fault_of};
use crate::config::error::KeyFault;
use crate::config::key::{self, HINT_SECTIONS};
use crate::config::origin::Origin;
use crate::config::value::hint_from_value;
use crate::domain::hints::{LONGEST_KEY, MOST_KEYS, is_key, is_of_the_shell};

/// One key of one level.
pub(in crate::config) fn hint(
    path: &str,
    value: &toml::Value,
    origin: &Origin,
) -> Result<(), Box<KeyFault>> {
    let name = path.splitn(3, '.').nth(2).unwrap_or_default();
    if !is_key(name) {
        let accepted = format!(
            "a word of small letters, digits and `_`, at most {LONGEST_KEY} long, as in cache_mb"
        );
        return Err(KeyFault::new(origin.clone(), path, "is no name").accepting(accepted).into());
    }
    if is_of_the_shell(name) {
        let problem = "is a variable of shells, and a script that evaluates the hints would set it";
        let accepted = format!("another name, as {name}_hint");
        return Err(KeyFault::new(origin.clone(), path, problem).accepting(accepted).into());
    }
    match fault_of(path, key::HINT, value) {
        None => Ok(()),
        Some(fault) => Err(Box::new(KeyFault { origin: origin.clone(), ..fault })),
    }
}

/// What does not go together over the levels.
pub(super) fn across(settings: &BTreeMap<String, Setting>) -> Vec<KeyFault> {
    let own = |section: &'static str| {
        settings.iter().filter_map(move |(path, setting)| {
            Some((path.strip_prefix(section)?.strip_prefix('.')?, path, setting))
        })
    };
    let normal: BTreeMap<&str, &Setting> =
        own(HINT_SECTIONS[0]).map(|(name, _, setting)| (name, setting)).collect();
    let mut faults = Vec::new();
    let mut names: BTreeSet<&str> = normal.keys().copied().collect();
    if names.len() > MOST_KEYS {
        let problem = format!("holds {} keys", names.len());
        let origin = normal.values().next_back().map_or(Origin::Default, |s| s.origin.clone());
        let accepted = format!("at most {MOST_KEYS}");
        faults.push(KeyFault::new(origin, HINT_SECTIONS[0], problem).accepting(accepted));
    }
    for (name, path, setting) in HINT_SECTIONS[1..].iter().flat_map(|section| own(section)) {
        let kind = |setting: &Setting| hint_from_value(&setting.value).map(|value| value.kind());
        let fault = |problem: String| KeyFault::new(setting.origin.clone(), path, problem);
        match normal.get(name) {
            // Only the first of them: the others would be mended with it.
            None if names.insert(name) => {
                let near = key::closest(name, normal.keys().copied());
                let hint = near.map(|near| format!("did you mean `{near}`?"));
                let normal = HINT_SECTIONS[0];
                let accepted =
                    format!("a key that [{normal}] has: who reads it needs it there too");
                faults.push(
                    fault(format!("has no value in [{normal}]")).accepting(accepted).hinting(hint),
                );
            }
            Some(at_normal) if kind(at_normal) != kind(setting) => {
                let found = kind(setting).unwrap_or_default();
                let accepted = kind(at_normal).unwrap_or_default();
                faults.push(
                    fault(format!("is {found}"))
                        .accepting(format!("{accepted}, as in [{}]", HINT_SECTIONS[0])),
                );
            }
            _ => {}
        }
    }
    faults
}
