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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Config;
    use crate::domain::pattern;

    const PATTERNS: [&str; 16] = [
        "*",
        "*x",
        "model:*",
        "model:x",
        "server:x",
        "runner:*",
        "process:*",
        "process:?",
        "process:x*",
        "cmdline:**",
        "cmdline:*x*",
        "container:*",
        "container:x",
        "unit:*.service",
        "unit:-*",
        "unit:x.service",
    ];

    /// Things a machine has that nobody named here.
    const BYSTANDERS: [&str; 6] = [
        "process:systemd",
        "process:1",
        "cmdline:/usr/sbin/sshd -D",
        "container:db",
        "unit:dbus.service",
        "model:llama3:8b",
    ];

    fn entry(pattern: &str, bits: u16) -> toml::Table {
        let key::Kind::Choices(all) = COMPONENT_KEYS[4].kind else { panic!("they moved") };
        let actions = all.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
        let actions = actions.map(|(_, action)| (*action).to_owned().into()).collect();
        let mut entry = toml::Table::new();
        entry.insert("match".to_owned(), pattern.to_owned().into());
        entry.insert("actions".to_owned(), toml::Value::Array(actions));
        if bits & 0x100 != 0 {
            entry.insert("command".to_owned(), vec!["sync".to_owned()].into());
        }
        if bits & 0x200 != 0 {
            entry.insert("limit".to_owned(), "1 GiB".to_owned().into());
        }
        entry
    }

    fn is_allowed(entry: &toml::Table) -> bool {
        components(&vec![toml::Value::Table(entry.clone())].into()).is_empty()
    }

    /// All of the few thousand there are.
    #[test]
    fn what_may_be_done_fits_what_is_named_whatever_is_combined() {
        let mut allowed = 0;
        for (at, bits) in (0..PATTERNS.len()).flat_map(|at| (0..0x400).map(move |b| (at, b))) {
            let (of, entry) = (PATTERNS[at], entry(PATTERNS[at], bits));
            if !is_allowed(&entry) {
                continue;
            }
            allowed += 1;
            let has = |action| entry["actions"].as_array().unwrap().contains(&action);
            let has = |action: &str| has(action.to_owned().into());
            let is_process = of.starts_with("process:") || of.starts_with("cmdline:");
            let is_grouped = of.starts_with("container:") || of.starts_with("unit:");
            assert!(is_process || !(has("term") || has("kill")), "{entry}");
            assert!(is_grouped || !(has("restart") || has("stop") || has("limit")), "{entry}");
            assert!(is_process || is_grouped || !has("pause"), "{entry}");
            assert!(of.starts_with("model:") || !has("unload"), "{entry}");
            assert_eq!(has("command"), entry.contains_key("command"), "{entry}");
            assert_eq!(has("limit"), entry.contains_key("limit"), "{entry}");
            let touches = is_process || is_grouped || of.starts_with('*');
            if touches && !entry["actions"].as_array().unwrap().is_empty() {
                let hit = BYSTANDERS.iter().find(|name| pattern::matches(of, name));
                assert_eq!(hit, None, "{entry}");
            }
            let whole = toml::Table::from_iter([(
                COMPONENTS.to_owned(),
                vec![toml::Value::Table(entry)].into(),
            )]);
            assert!(Config::deserialize_table(whole).is_ok());
        }
        assert!(allowed > 50, "{allowed}");
    }
}
