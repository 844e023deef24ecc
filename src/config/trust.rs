//! Whether a config file may name commands: only where nobody else can write
//! them. What it may not name is left out, and a note says so.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::check::Setting;
use super::key::{COMPONENTS, HOOKS, Kind, plain};

/// Write permission of group and of others.
const GROUP: u32 = 0o020;
const OTHERS: u32 = 0o002;

/// Why commands from this file do not run, and what helps. `None`: only its
/// owner writes it.
pub(super) fn distrust(path: &Path, file: &Metadata) -> Option<String> {
    let shown = path.display();
    if !is_own(file) {
        return Some(format!(
            "config file {shown} belongs to another user; `chown` makes it yours"
        ));
    }
    if let Some(who) = writers(file) {
        return Some(format!(
            "config file {shown} is writable by {who}; `chmod go-w {shown}` mends it"
        ));
    }
    // Who writes the folder can put another file there: that of the link, too.
    folders(path).into_iter().find_map(|folder| {
        let seen = std::fs::metadata(&folder).ok()?;
        let shown = folder.display();
        match writers(&seen) {
            _ if !is_own(&seen) => {
                Some(format!("folder {shown} of the config file belongs to another user"))
            }
            Some(who) => Some(format!(
                "folder {shown} of the config file is writable by {who}; `chmod go-w {shown}` mends it"
            )),
            None => None,
        }
    })
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let absolute = std::path::absolute(path).ok();
    let target = std::fs::canonicalize(path).ok();
    let mut folders: Vec<PathBuf> = [absolute, target]
        .into_iter()
        .flatten()
        .filter_map(|file| file.parent().map(Path::to_owned))
        .collect();
    folders.dedup();
    folders
}

/// Root may write everything anyway.
fn is_own(seen: &Metadata) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&seen.uid())
}

fn writers(seen: &Metadata) -> Option<&'static str> {
    match seen.mode() {
        mode if mode & OTHERS != 0 => Some("others"),
        mode if mode & GROUP != 0 => Some("its group"),
        _ => None,
    }
}

/// Takes every command out; the answer is how many.
pub(super) fn leave_out_commands(settings: &mut BTreeMap<String, Setting>) -> usize {
    let mut left_out = 0;
    for key in plain().filter(|key| matches!(key.kind, Kind::Commands)) {
        let setting = settings.get(key.path).and_then(|setting| setting.value.as_array());
        if setting.is_some_and(|commands| !commands.is_empty()) {
            left_out += usize::from(settings.remove(key.path).is_some());
        }
    }
    for entry in entries(settings, COMPONENTS).into_iter().flatten() {
        left_out += leave_out_of_component(entry);
    }
    if let Some(hooks) = entries(settings, HOOKS) {
        let before = hooks.len();
        hooks.retain(|hook| hook.get("run").is_none());
        left_out += before - hooks.len();
    }
    left_out
}

fn entries<'a>(
    settings: &'a mut BTreeMap<String, Setting>,
    list: &str,
) -> Option<&'a mut Vec<toml::Value>> {
    settings.get_mut(list)?.value.as_array_mut()
}

/// Its other actions stay: they say what is done by name.
fn leave_out_of_component(entry: &mut toml::Value) -> usize {
    let Some(table) = entry.as_table_mut() else { return 0 };
    let left_out = ["command", "load"].into_iter().filter_map(|key| table.remove(key)).count();
    if let Some(actions) = table.get_mut("actions").and_then(toml::Value::as_array_mut) {
        actions.retain(|action| action.as_str() != Some("command"));
    }
    left_out
}
