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

/// Who else may write this config file, and the command that mends it, if one
/// does. `None`: only its owner.
pub fn others_write(path: &Path) -> Option<(String, Option<String>)> {
    let told = distrust(path, &std::fs::metadata(path).ok()?)?;
    let (found, rest) = told.split_once("; ").unwrap_or((&told, ""));
    let command = rest.strip_prefix('`').and_then(|rest| rest.rsplit_once('`'));
    let command = command.map(|(command, _)| command);
    let path = path.display();
    let mend = command.map(|command| match command {
        "chown" => format!("chown \"$USER\" {path}"),
        _ => command.to_owned(),
    });
    Some((found.to_owned(), mend))
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use crate::config::{Flags, LoadedConfig, Surroundings, load};
    use crate::domain::Measure;

    const WITH_COMMANDS: &str = include_str!("../../tests/configs/valid/rules.toml");

    /// In a folder of its own, both with these modes.
    fn loaded(text: &str, folder_mode: u32, file_mode: u32) -> (tempfile::TempDir, LoadedConfig) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(file_mode)).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        let flags = Flags { config: Some(path), ..Flags::default() };
        let loaded = load(&flags, &Surroundings::default()).unwrap();
        (folder, loaded)
    }

    #[test]
    fn a_file_that_only_its_owner_writes_runs_commands() {
        for (folder, file) in [(0o700, 0o600), (0o755, 0o644), (0o555, 0o444)] {
            let (_folder, loaded) = loaded(WITH_COMMANDS, folder, file);
            assert_eq!(loaded.notes, [""; 0]);
            assert_eq!(loaded.config.rules.on_warning.len(), 2);
            assert_eq!(loaded.config.hooks.len(), 2);
            assert_eq!(loaded.config.components[2].command.len(), 2);
        }
    }

    #[test]
    fn what_others_may_write_runs_no_command() {
        for (folder, file, who) in [
            (0o700, 0o620, "its group"),
            (0o700, 0o602, "others"),
            (0o770, 0o600, "its group"),
            (0o707, 0o600, "others"),
            (0o1777, 0o600, "others"),
        ] {
            let (kept, loaded) = loaded(WITH_COMMANDS, folder, file);
            let culprit = match folder {
                0o700 => kept.path().join("config.toml"),
                _ => kept.path().to_owned(),
            };
            assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
            let note = &loaded.notes[0];
            assert!(note.contains(&format!("is writable by {who}")), "{note}");
            assert!(note.contains(&format!("`chmod go-w {}`", culprit.display())), "{note}");
            assert!(note.ends_with("its commands and hooks are left out"), "{note}");
            let config = &loaded.config;
            assert!(config.rules.on_warning.is_empty() && config.rules.on_emergency.is_empty());
            assert!(config.components.iter().all(|c| c.command.is_empty() && c.load.is_empty()));
            assert_eq!(config.components[2].actions, [Measure::Stop]);
            // What runs no command stays.
            assert_eq!(config.components[1].actions.len(), 4);
            assert_eq!((config.hooks.len(), config.hooks[0].url.is_some()), (1, true));
        }
    }

    #[test]
    fn a_link_is_trusted_as_far_as_its_target() {
        let (target, _) = loaded(WITH_COMMANDS, 0o770, 0o600);
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(target.path().join("config.toml"), &link).unwrap();
        let flags = Flags { config: Some(link), ..Flags::default() };
        let loaded = load(&flags, &Surroundings::default()).unwrap();
        assert!(loaded.notes[0].contains(&target.path().display().to_string()));
        assert_eq!(loaded.config.hooks.len(), 1);
    }

    #[test]
    fn a_file_without_commands_is_noted_only_where_anybody_writes_it() {
        let notes = |file_mode| loaded("theme = \"dark\"\n", 0o700, file_mode).1.notes;
        assert_eq!(notes(0o664), [""; 0]);
        assert!(notes(0o666)[0].contains("writable by others"));
    }
}
