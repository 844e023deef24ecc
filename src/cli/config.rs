//! `plimsoll config`: make, show, check and find the config. Starts nothing
//! and needs no model server.

mod check;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, anyhow};

use super::exit::ExitCode;
use super::facts::columns_in;
use super::fitted::Fitted;
use crate::config::check::{Setting, only_host, without_user};
use crate::config::key::{self, COMPONENTS, HINT_SECTIONS, HOOKS, KEYS_SECTION, TAGS_SECTION};
use crate::config::{DEFAULT, Flags, LoadedConfig, Paths, Surroundings, load};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum ConfigCommand {
    /// Write the commented default into your folder; never over a file
    #[command(after_help = "\
Every key with its default, commented out, so that nothing is set by it.

  plimsoll config init                          into your own folder
  plimsoll config init --config plimsoll.toml   into a file of this name

Exit codes: 0 written; 1 failed, as where the file exists.")]
    Init,
    /// Print the config in force
    #[command(after_help = "\
What is printed is a config itself: user names and passwords are left out.

  plimsoll config show --origin                 where each value comes from
  plimsoll config show > plimsoll.toml          as a file of its own

Exit codes: 0 done; 2 the config cannot stand.")]
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Say whether the config can stand
    #[command(after_help = "\
Every fault is told with its file and line, not only the first.

  plimsoll config check                       your own config
  plimsoll config check --config other.toml   another file

Exit codes: 0 it can stand, 2 it cannot.")]
    Check {
        /// For programs: one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print the files and folders in use
    #[command(after_help = "\
What is not there yet is said to be so.

  plimsoll config path

Exit codes: 0 done; 2 the config cannot be read.")]
    Path,
}

pub fn run(
    command: &ConfigCommand,
    flags: &Flags,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<ExitCode, anyhow::Error> {
    let fitted = &mut Fitted::new(out, columns_in(surroundings));
    match command {
        ConfigCommand::Init => init(flags, surroundings, fitted),
        ConfigCommand::Show { origin } => {
            let loaded = load(flags, surroundings)?;
            out.write_all(shown(&loaded, *origin).as_bytes())?;
            Ok(ExitCode::Done)
        }
        ConfigCommand::Check { json } => check::run(*json, (flags, surroundings), out),
        ConfigCommand::Path => path(flags, surroundings, fitted),
    }
}

fn init(
    flags: &Flags,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<ExitCode, anyhow::Error> {
    let (path, _) = Paths::config_file(flags, surroundings)
        .ok_or_else(|| anyhow!("no home folder to write a config into; name a file by --config"))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("folder {} cannot be made", folder.display()))?;
    }
    match write_new(&path) {
        Ok(()) => {
            writeln!(out, "wrote {}", path.display())?;
            Ok(ExitCode::Done)
        }
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            Err(anyhow!("{} exists and was left as it is", path.display()))
        }
        Err(fault) => {
            Err(fault).with_context(|| format!("config file {} cannot be written", path.display()))
        }
    }
}

fn write_new(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(unset_default().as_bytes())
}

/// The commented default with nothing set, so that a later version's defaults
/// still arrive.
pub fn unset_default() -> String {
    let mut text = String::with_capacity(DEFAULT.len() + 64);
    for line in DEFAULT.lines() {
        let is_setting = line.starts_with(|c: char| c.is_ascii_lowercase());
        text.push_str(if is_setting { "#" } else { "" });
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// The settings in force as TOML, in the order of the keys.
fn shown(loaded: &LoadedConfig, with_origin: bool) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in key::plain() {
        let (own, name) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if own != section {
            section = own;
            text.push_str(&format!("\n[{section}]\n"));
        }
        match loaded.settings.get(key.path) {
            Some(setting) => push_setting(&mut text, name, setting, with_origin),
            None => text.push_str(&format!("#{name}: {}\n", key.unset())),
        }
    }
    for table in [TAGS_SECTION].into_iter().chain(HINT_SECTIONS).chain([KEYS_SECTION]) {
        push_table(&mut text, &loaded.settings, (table, with_origin));
    }
    for list in [COMPONENTS, HOOKS] {
        push_entries(&mut text, loaded, (list, with_origin));
    }
    text
}

fn push_setting(text: &mut String, name: &str, setting: &Setting, with_origin: bool) {
    let value = match &setting.value {
        toml::Value::String(url) if name == "ollama" => toml::Value::String(without_user(url)),
        value => value.clone(),
    };
    let line = format!("{name} = {value}");
    match with_origin {
        // Wide enough for most; what is longer moves its comment only.
        true => text.push_str(&format!("{line:<32} # {}\n", setting.origin)),
        false => text.push_str(&format!("{line}\n")),
    }
}

/// A table whose keys are the user's own.
fn push_table(
    text: &mut String,
    settings: &BTreeMap<String, Setting>,
    (table, with_origin): (&str, bool),
) {
    let prefix = format!("{table}.");
    let entries: Vec<(&str, &Setting)> = settings
        .iter()
        .filter_map(|(path, setting)| Some((path.strip_prefix(&prefix)?, setting)))
        .collect();
    if !entries.is_empty() {
        text.push_str(&format!("\n[{table}]\n"));
    }
    for (name, setting) in entries {
        push_setting(text, name, setting, with_origin);
    }
}

fn push_entries(text: &mut String, loaded: &LoadedConfig, (list, with_origin): (&str, bool)) {
    let Some(setting) = loaded.settings.get(list) else { return };
    for entry in setting.value.as_array().into_iter().flatten() {
        text.push_str(&format!("\n[[{list}]]"));
        text.push_str(&if with_origin { format!(" # {}\n", setting.origin) } else { "\n".into() });
        for (name, value) in entry.as_table().into_iter().flatten() {
            let shown = match value {
                toml::Value::String(url) if name == "url" => only_host(url).into(),
                value => value.clone(),
            };
            text.push_str(&format!("{name} = {shown}\n"));
        }
    }
}

fn path(
    flags: &Flags,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<ExitCode, anyhow::Error> {
    let file = Paths::config_file(flags, surroundings).map(|(path, _)| path);
    // First, since it is what one needs when the rest cannot be read.
    print_path(out, "config", file.as_deref())?;
    let loaded = load(flags, surroundings)?;
    print_path(out, "themes", loaded.paths.themes.as_deref())?;
    print_path(out, "data", loaded.paths.data_dir.as_deref())?;
    print_path(out, "runtime", loaded.paths.runtime_dir.as_deref())?;
    Ok(ExitCode::Done)
}

fn print_path(out: &mut dyn Write, what: &str, path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if path.exists() => writeln!(out, "{what:<8} {}", path.display()),
        Some(path) => writeln!(out, "{what:<8} {} (not there yet)", path.display()),
        None => writeln!(out, "{what:<8} none: no home folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(home: &Path) -> Surroundings {
        Surroundings {
            env: BTreeMap::new(),
            config_dir: Some(home.join("config")),
            data_dir: Some(home.join("data")),
            session_dir: None,
        }
    }

    fn said(command: &ConfigCommand, flags: &Flags, around: &Surroundings) -> (u8, String) {
        let mut out = Vec::new();
        let code = match run(command, flags, around, &mut out) {
            Ok(code) => code,
            Err(fault) => {
                out.extend(format!("{fault:#}").into_bytes());
                ExitCode::of_error(&fault)
            }
        };
        (code.number(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn init_writes_once_and_never_over_a_file() {
        let home = tempfile::tempdir().unwrap();
        let around = surroundings(home.path());
        let (code, text) = said(&ConfigCommand::Init, &Flags::default(), &around);
        assert_eq!((code, text.starts_with("wrote ")), (0, true), "{text}");
        let path = home.path().join("config/config.toml");
        assert_eq!(fs::read_to_string(&path).unwrap(), unset_default());
        let loaded = load(&Flags::default(), &around).unwrap();
        assert_eq!(loaded.config, crate::config::Config::default());

        fs::write(&path, "theme = \"mine\"\n").unwrap();
        let (code, text) = said(&ConfigCommand::Init, &Flags::default(), &around);
        assert_eq!((code, text.contains("exists and was left as it is")), (1, true), "{text}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theme = \"mine\"\n");
    }

    #[test]
    fn init_unsets_every_setting() {
        let table: toml::Table = toml::from_str(&unset_default()).unwrap();
        let (settings, faults) = crate::config::check::layer(&table, &|_| Default::default());
        assert_eq!((settings.len(), faults.len()), (0, 0));
    }

    #[test]
    fn what_show_prints_is_the_config_again() {
        let home = tempfile::tempdir().unwrap();
        let around = surroundings(home.path());
        fs::create_dir(home.path().join("config")).unwrap();
        let own = "theme = \"light\"\n[levels]\nwarning = 60\n[levels.swap]\ngrowth = \"1 GiB\"\n\
                   [recommend]\nlow = \"3B\"\n[recommend.tags]\ncoding = [\"mine*\"]\n\
                   [hints.normal]\ncache_mb = 500\nquality = \"a b\"\nindex = true\n\
                   [hints.critical]\ncache_mb = 0.5\n\
                   [keys]\nunload = [\"x\", \"\\\"\"]\n[[components]]\nmatch = \"model:a\"\npinned = true\n";
        fs::write(home.path().join("config/config.toml"), own).unwrap();
        let loaded = load(&Flags::default(), &around).unwrap();
        for origin in [false, true] {
            let (code, text) = said(&ConfigCommand::Show { origin }, &Flags::default(), &around);
            assert_eq!(code, 0);
            let again: crate::config::Config = toml::from_str(&text).unwrap();
            assert_eq!(again, loaded.config, "{text}");
        }
    }

    #[test]
    fn show_says_where_values_come_from_and_keeps_passwords() {
        let home = tempfile::tempdir().unwrap();
        let mut around = surroundings(home.path());
        around.env.insert("PLIMSOLL_THEME".to_owned(), "light".to_owned());
        around.env.insert("OLLAMA_HOST".to_owned(), "http://me:secret@there:1".to_owned());
        let flags = Flags { interval: Some("3s".to_owned()), ..Flags::default() };
        let (_, text) = said(&ConfigCommand::Show { origin: true }, &flags, &around);
        let has = |key: &str, origin: &str| {
            text.lines().any(|line| line.starts_with(key) && line.ends_with(origin))
        };
        assert!(has("theme = \"light\"", "# environment PLIMSOLL_THEME"), "{text}");
        assert!(has("interval = \"3s\"", "# flag --interval"), "{text}");
        assert!(has("profile = \"auto\"", "# built-in default"), "{text}");
        assert!(has("ollama = \"http://***@there:1\"", "# environment OLLAMA_HOST"), "{text}");
    }

    #[test]
    fn check_names_every_fault_and_ends_with_2() {
        let home = tempfile::tempdir().unwrap();
        let around = surroundings(home.path());
        let (code, text) = said(&ConfigCommand::Check { json: false }, &Flags::default(), &around);
        assert_eq!((code, text.starts_with("ok: defaults only")), (0, true), "{text}");

        fs::create_dir(home.path().join("config")).unwrap();
        let path = home.path().join("config/config.toml");
        fs::write(&path, "them = \"x\"\ninterval = \"1ms\"\n").unwrap();
        let (code, text) = said(&ConfigCommand::Check { json: false }, &Flags::default(), &around);
        assert_eq!(code, 2);
        assert!(text.contains("line 1: `them`") && text.contains("line 2: `interval`"), "{text}");

        fs::write(&path, "profile = \"careful\"\n[levels]\nwarning = 85\n").unwrap();
        let (code, text) = said(&ConfigCommand::Check { json: false }, &Flags::default(), &around);
        assert_eq!((code, text.contains("`levels.critical`")), (2, true), "{text}");

        fs::write(&path, "[levels]\nwarning = 85\n").unwrap();
        let (code, text) = said(&ConfigCommand::Check { json: false }, &Flags::default(), &around);
        assert_eq!((code, text.contains("picks `careful`")), (0, true), "{text}");
    }

    #[test]
    fn path_works_without_a_home_and_with_a_broken_config() {
        let (code, text) = said(&ConfigCommand::Path, &Flags::default(), &Surroundings::default());
        assert_eq!((code, text.lines().count()), (0, 4), "{text}");
        assert!(text.contains("none: no home folder"));
        let flags = Flags { config: Some("/nowhere/c.toml".into()), ..Flags::default() };
        let (code, text) = said(&ConfigCommand::Path, &flags, &Surroundings::default());
        assert_eq!((code, text.starts_with("config   /nowhere/c.toml (not there yet)")), (2, true));
    }
}
