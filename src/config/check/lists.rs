//! What may stand in `[[components]]` and `[[hooks]]`: each key, and what
//! belongs together. Only what is named is ever touched.

use super::fault_of;
use crate::config::error::KeyFault;
use crate::config::key::{self, COMPONENT_KEYS, COMPONENTS, HOOK_KEYS, HOOKS, Key};
use crate::config::origin::Origin;
use crate::config::value::size_from_value;
use crate::domain::Bytes;

/// Less than what an engine of containers takes as a limit: 6 MiB for Docker.
const LEAST_LIMIT: Bytes = Bytes::mib(6);

/// A measure, and what a pattern must begin with to allow it.
const FITTING: [(&str, &[&str]); 7] = [
    ("unload", &["model:"]),
    ("pause", &["process:", "cmdline:", "container:", "unit:"]),
    ("limit", &["container:", "unit:"]),
    ("restart", &["container:", "unit:"]),
    ("stop", &["container:", "unit:"]),
    ("term", &["process:", "cmdline:"]),
    ("kill", &["process:", "cmdline:"]),
];

/// Kinds whose patterns must name something before anything may be done.
const TOUCHED: [&str; 4] = ["process:", "cmdline:", "container:", "unit:"];

/// All faults of the list, without their origins.
pub(super) fn components(value: &toml::Value) -> Vec<KeyFault> {
    let entry = |path: &str, entry: &toml::Table| {
        if !entry.contains_key("match") {
            return vec![
                fault(path, "has no `match`")
                    .accepting("a pattern as in match = \"model:llama3*\""),
            ];
        }
        let faults = each_key(path, entry, &COMPONENT_KEYS);
        if faults.is_empty() { component_together(path, entry) } else { faults }
    };
    each_entry(COMPONENTS, value, &entry)
}

/// All faults of the list, without their origins.
pub(super) fn hooks(value: &toml::Value) -> Vec<KeyFault> {
    let entry = |path: &str, entry: &toml::Table| {
        let faults = each_key(path, entry, &HOOK_KEYS);
        if faults.is_empty() { hook_together(path, entry) } else { faults }
    };
    each_entry(HOOKS, value, &entry)
}

fn fault(path: &str, problem: impl Into<String>) -> KeyFault {
    KeyFault::new(Origin::Default, path, problem)
}

fn each_entry(
    list: &str,
    value: &toml::Value,
    faults_of: &dyn Fn(&str, &toml::Table) -> Vec<KeyFault>,
) -> Vec<KeyFault> {
    let entries: Option<Vec<&toml::Table>> =
        value.as_array().and_then(|list| list.iter().map(toml::Value::as_table).collect());
    let Some(entries) = entries else {
        let problem = format!("is {}", super::found(list, value));
        return vec![fault(list, problem).accepting(format!("a list of [[{list}]]"))];
    };
    let faults = entries.iter().enumerate().map(|(at, entry)| {
        let path = format!("{list}[{at}]");
        faults_of(&path, entry)
    });
    faults.flatten().collect()
}

fn each_key(path: &str, entry: &toml::Table, known: &'static [Key]) -> Vec<KeyFault> {
    let faults = entry.iter().filter_map(|(name, value)| {
        let path = format!("{path}.{name}");
        let Some(key) = known.iter().find(|key| key.path == *name) else {
            let names: Vec<&str> = known.iter().map(|key| key.path).collect();
            let meant = key::closest(name, names.iter().copied());
            return Some(
                fault(&path, "is no setting")
                    .accepting(names.join(", "))
                    .hinting(meant.map(|meant| format!("did you mean `{meant}`?"))),
            );
        };
        fault_of(&path, key.kind, value)
    });
    faults.collect()
}

fn component_together(path: &str, entry: &toml::Table) -> Vec<KeyFault> {
    let pattern = entry.get("match").and_then(toml::Value::as_str).unwrap_or_default();
    let actions: Vec<&str> = entry
        .get("actions")
        .and_then(toml::Value::as_array)
        .map(|list| list.iter().filter_map(toml::Value::as_str).collect())
        .unwrap_or_default();
    let at_actions = format!("{path}.actions");
    let mut faults: Vec<KeyFault> = Vec::new();
    if let (Some(why), false) = (names_nothing(pattern), actions.is_empty()) {
        let problem = format!("cannot be allowed for \"{pattern}\", which {why}");
        faults.push(
            fault(&at_actions, problem)
                .accepting("actions where `match` names something, as in \"process:chrome*\""),
        );
        return faults;
    }
    let fits = |action: &&str| match FITTING.iter().find(|(name, _)| name == action) {
        Some((_, kinds)) => kinds.iter().any(|kind| pattern.starts_with(kind)),
        None => true,
    };
    faults.extend(actions.iter().filter(|action| !fits(action)).map(|action| {
        let kinds = FITTING.iter().find(|(name, _)| name == action).map_or(&[][..], |(_, k)| k);
        fault(&at_actions, format!("holds \"{action}\", which cannot be done to \"{pattern}\""))
            .accepting(format!("\"{action}\" where `match` begins with {}", kinds.join(", ")))
    }));
    for (action, example) in [("command", "[\"/usr/local/bin/shrink\"]"), ("limit", "\"2 GiB\"")] {
        let needed = format!("{path}.{action}");
        match (actions.contains(&action), entry.contains_key(action)) {
            (true, false) => faults.push(
                fault(&at_actions, format!("holds \"{action}\", and there is no `{action}`"))
                    .accepting(format!("it beside {action} = {example}")),
            ),
            (false, true) => faults.push(
                fault(&needed, "is set, and is not among the `actions`")
                    .accepting(format!("it beside actions = [\"{action}\"]")),
            ),
            _ => {}
        }
    }
    let limit = entry.get("limit").and_then(size_from_value);
    if let Some(limit) = limit.filter(|limit| *limit < LEAST_LIMIT) {
        let path = format!("{path}.limit");
        faults
            .push(fault(&path, format!("is {limit}")).accepting(format!("{LEAST_LIMIT} or more")));
    }
    faults
}

/// Why a pattern is too wide for anything to be done to what it matches.
fn names_nothing(pattern: &str) -> Option<&'static str> {
    if pattern.starts_with('*') {
        return Some("may match anything");
    }
    let named = TOUCHED.iter().find_map(|kind| pattern.strip_prefix(kind))?;
    // The kind of a unit is no name.
    let kinds = [".service", ".scope", ".slice"];
    let named = kinds.iter().find_map(|kind| named.strip_suffix(kind)).unwrap_or(named);
    (!named.contains(char::is_alphanumeric)).then_some("names nothing")
}

fn hook_together(path: &str, entry: &toml::Table) -> Vec<KeyFault> {
    let says_when =
        entry.get("on").and_then(toml::Value::as_array).is_some_and(|on| !on.is_empty());
    let mut faults = Vec::new();
    if !says_when {
        faults.push(
            fault(path, "does not say when").accepting("on = [\"level\"], [\"action\"] or both"),
        );
    }
    let whom = "either run = [\"/usr/local/bin/tell\"] or url = \"https://example.org/hook\"";
    match (entry.contains_key("run"), entry.contains_key("url")) {
        (true, false) | (false, true) => {}
        (false, false) => faults.push(fault(path, "says nobody to tell").accepting(whom)),
        (true, true) => {
            faults.push(fault(path, "has both `run` and `url`").accepting(whom));
        }
    }
    faults
}
