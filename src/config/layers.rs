//! The layers, from lowest to highest: built-in default, the user's file,
//! environment, flags. Each is parsed and checked alone; then they are merged
//! key by key, with their origins, and read once.
//!
//! `OLLAMA_HOST` and `NO_COLOR` belong to others: they count where no layer of
//! ours says something.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::{self, Setting};
use super::error::{ConfigError, KeyFault};
use super::key::{self, COMPONENTS, HOOKS, Key, Kind, OTHER_VARIABLES, PREFIX, TAGS_SECTION};
use super::origin::Origin;
use super::paths::Paths;
use super::schema::Config;
use super::trust;

/// Longest file that is read; a config is a few KiB.
const LONGEST_FILE: u64 = 1024 * 1024;

/// What was typed on the command line, of what can also be configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub ollama: Option<String>,
    pub data_dir: Option<PathBuf>,
    pub theme: Option<String>,
    pub ascii: bool,
    pub no_color: bool,
    pub interval: Option<String>,
}

/// Where the program finds itself: its environment and the user's folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    pub env: BTreeMap<String, String>,
    /// The program's own folder among the user's configs, if there is a home.
    pub config_dir: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    /// Where the session's runtime folder is, for who was not told of it: by
    /// cron, `su`, or a service of the system.
    pub session_dir: Option<PathBuf>,
}

impl Surroundings {
    /// The one look at the process.
    pub fn from_process() -> Self {
        let folders = directories::ProjectDirs::from("", "", "plimsoll");
        Surroundings {
            env: std::env::vars_os()
                .map(|(name, value)| {
                    (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
                })
                .collect(),
            config_dir: folders.as_ref().and_then(|folders| absolute(folders.config_dir())),
            data_dir: folders.as_ref().and_then(|folders| absolute(folders.data_dir())),
            session_dir: super::paths::session_dir(Path::new("/run/user")),
        }
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The effective config and everything that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedConfig {
    pub config: Config,
    /// Every key that has a value, with where it came from.
    pub settings: BTreeMap<String, Setting>,
    pub paths: Paths,
    /// What is worth saying and stops nothing.
    pub notes: Vec<String>,
    /// What it was loaded from, to load it again.
    pub(super) given: Arc<(Flags, Surroundings)>,
}

/// The keys of one intent, unchecked, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBinding {
    pub intent: String,
    pub keys: Vec<String>,
    pub origin: Origin,
}

impl KeyBinding {
    /// A fault of this binding, for whoever knows the intents and the keys.
    pub fn fault(&self, problem: impl Into<String>) -> KeyFault {
        KeyFault::new(self.origin.clone(), format!("keys.{}", self.intent), problem)
    }
}

impl LoadedConfig {
    pub fn origin(&self, path: &str) -> Origin {
        self.settings.get(path).map(|setting| setting.origin.clone()).unwrap_or_default()
    }

    /// A variable of the environment it was loaded in, if it is not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.given.1.variable(name)
    }

    /// Where the model server answers, as written, for `runtime` to read by
    /// Ollama's rules; empty is Ollama's default.
    pub fn ollama_host(&self) -> (String, Origin) {
        (self.config.ollama.clone(), self.origin("ollama"))
    }

    /// The config as the layers are now.
    pub fn again(&self) -> Result<LoadedConfig, ConfigError> {
        let (flags, surroundings) = &*self.given;
        load(flags, surroundings)
    }

    /// The config as it would be if the user's file held this text.
    pub fn with_file_text(&self, text: &str) -> Result<LoadedConfig, ConfigError> {
        let (flags, surroundings) = &*self.given;
        merged(flags, surroundings, Some(text)).map_err(|mut faults| faults.swap_remove(0))
    }

    pub fn key_bindings(&self) -> Vec<KeyBinding> {
        let bind = |(intent, names): (&String, &super::value::KeyNames)| KeyBinding {
            intent: intent.clone(),
            keys: names.0.clone(),
            origin: self.origin(&format!("keys.{intent}")),
        };
        self.config.keys.iter().map(bind).collect()
    }

    /// A fault of a key whose meaning only others know, such as a theme that
    /// does not exist.
    pub fn fault(&self, path: &str, problem: impl Into<String>) -> KeyFault {
        KeyFault::new(self.origin(path), path, problem)
    }
}

/// The config, or the first thing wrong with it.
pub fn load(flags: &Flags, surroundings: &Surroundings) -> Result<LoadedConfig, ConfigError> {
    examine(flags, surroundings).map_err(|mut faults| faults.swap_remove(0))
}

/// The config, or everything wrong with it: at least one fault.
pub fn examine(
    flags: &Flags,
    surroundings: &Surroundings,
) -> Result<LoadedConfig, Vec<ConfigError>> {
    merged(flags, surroundings, None)
}

/// `text`: what counts as the user's file, instead of what is on disk.
fn merged(
    flags: &Flags,
    surroundings: &Surroundings,
    text: Option<&str>,
) -> Result<LoadedConfig, Vec<ConfigError>> {
    let mut gathered = Gathered::default();
    gathered.take_text(super::DEFAULT, &|_| Origin::Default);
    let mut notes: Vec<String> = match Paths::config_file(flags, surroundings) {
        Some((path, named_by)) => gathered.take_file(&path, named_by, text),
        None => None,
    }
    .into_iter()
    .collect();
    gathered.take_environment(surroundings);
    gathered.take_flags(flags);
    gathered.take_fallbacks(surroundings);
    gathered.faults.extend(check::across(&gathered.settings));
    if !gathered.faults.is_empty() {
        return Err(gathered.faults);
    }
    let config = read(&gathered.settings).map_err(|fault| vec![fault])?;
    let paths = Paths::find(&config, flags, surroundings);
    let given = Arc::new((flags.clone(), surroundings.clone()));
    let settings = gathered.settings;
    let mut loaded = LoadedConfig { config, settings, paths, notes: Vec::new(), given };
    notes.extend(loaded.note_on_ceiling());
    loaded.notes = notes;
    Ok(loaded)
}

/// What the text of a user's file would be faulted for, by itself.
pub fn faults_of(text: &str, path: &Path) -> Vec<ConfigError> {
    let mut gathered = Gathered::default();
    gathered.take_file_text(text, path);
    gathered.faults.extend(check::across(&gathered.settings));
    gathered.faults
}

/// Settings as layer after layer is laid over them.
#[derive(Default)]
struct Gathered {
    settings: BTreeMap<String, Setting>,
    faults: Vec<ConfigError>,
}

impl Gathered {
    fn take_text(&mut self, text: &str, origin_of: &dyn Fn(&str) -> Origin) {
        match toml::from_str::<toml::Table>(text) {
            Ok(table) => self.take_table(&table, origin_of),
            Err(fault) => {
                self.faults.push(ConfigError::Unread { problem: fault.message().to_owned() });
            }
        }
    }

    fn take_table(&mut self, table: &toml::Table, origin_of: &dyn Fn(&str) -> Origin) {
        let (settings, mut faults) = check::layer(table, origin_of);
        // People mend a file from the top.
        faults.sort_by_key(|fault| match fault.origin {
            Origin::File { line, .. } => line,
            _ => 0,
        });
        self.settings.extend(settings);
        self.faults.extend(faults.into_iter().map(ConfigError::from));
    }

    /// The user's file, and a note on who else may write it.
    fn take_file(
        &mut self,
        path: &Path,
        named_by: Option<&'static str>,
        text: Option<&str>,
    ) -> Option<String> {
        let seen = match (read_file(path), text) {
            (Ok((_, seen)), Some(text)) => {
                self.take_file_text(text, path);
                seen
            }
            (Ok((Some(bytes), seen)), None) => {
                self.take_file_bytes(&bytes, path);
                seen
            }
            (Ok((None, seen)), None) => {
                let path = path.to_owned();
                self.faults.push(ConfigError::TooLong { path, most: LONGEST_FILE });
                seen
            }
            (Err(_), Some(text)) => {
                self.take_file_text(text, path);
                return None;
            }
            (Err(source), None) => {
                if source.kind() != std::io::ErrorKind::NotFound || named_by.is_some() {
                    let named_by = named_by.unwrap_or("the user's folder").to_owned();
                    let path = path.to_owned();
                    self.faults.push(ConfigError::Unreadable { path, named_by, source });
                }
                return None;
            }
        };
        let distrusted = trust::distrust(path, &seen)?;
        match trust::leave_out_commands(&mut self.settings) {
            0 => super::paths::note_on_writers(path, &seen),
            left_out => {
                let commands = if left_out == 1 { "its command" } else { "its commands" };
                Some(format!("{distrusted}; until then {commands} and hooks are left out"))
            }
        }
    }

    fn take_file_bytes(&mut self, bytes: &[u8], path: &Path) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.take_file_text(text, path),
            Err(fault) => {
                let whole = String::from_utf8_lossy(&bytes[..fault.valid_up_to()]);
                let (line, column) = place_of(&whole, whole.len());
                let problem = "what stands there is not UTF-8 text".to_owned();
                let path = path.to_owned();
                self.faults.push(ConfigError::Syntax { path, line, column, problem });
            }
        }
    }

    fn take_file_text(&mut self, text: &str, path: &Path) {
        let table = match toml::from_str::<toml::Table>(text) {
            Ok(table) => table,
            Err(fault) => {
                let (line, column) = place_of(text, fault.span().map_or(0, |span| span.start));
                let problem = crate::domain::text::clean(fault.message());
                let path = path.to_owned();
                self.faults.push(ConfigError::Syntax { path, line, column, problem });
                return;
            }
        };
        let lines = lines_of(text);
        self.take_table(&table, &|key| {
            let line = lines.get(key).copied().unwrap_or(1);
            Origin::File { path: path.to_owned(), line }
        });
    }

    fn take_environment(&mut self, surroundings: &Surroundings) {
        for (variable, text) in &surroundings.env {
            let is_ours = variable.starts_with(PREFIX);
            if !is_ours || text.is_empty() || OTHER_VARIABLES.contains(&variable.as_str()) {
                continue;
            }
            let origin = Origin::Environment { variable: variable.clone() };
            let intent = variable.strip_prefix("PLIMSOLL_KEYS_").map(str::to_ascii_lowercase);
            let tag = variable.strip_prefix("PLIMSOLL_RECOMMEND_TAGS_").map(str::to_lowercase);
            if let Some(key) = key::plain().find(|key| key.variable() == *variable) {
                self.take_value(key, text, origin);
            } else if let Some(intent) = intent {
                self.take_binding(&intent, text, origin);
            } else if let Some(tag) = tag {
                self.take_tag(&tag, text, origin);
            } else if let Some(path) = key::hint_path(variable) {
                self.take_hint(path, text, origin);
            } else {
                self.faults.push(unknown_variable(variable, origin).into());
            }
        }
    }

    fn take_flags(&mut self, flags: &Flags) {
        let data_dir = flags.data_dir.as_ref().map(|folder| folder.to_string_lossy().into_owned());
        let typed = [
            ("ollama", "--ollama", flags.ollama.clone()),
            ("data_dir", "--data-dir", data_dir),
            ("theme", "--theme", flags.theme.clone()),
            ("ascii", "--ascii", flags.ascii.then(|| "always".to_owned())),
            ("color", "--no-color", flags.no_color.then(|| "none".to_owned())),
            ("interval", "--interval", flags.interval.clone()),
        ];
        for (path, flag, text) in typed {
            if let (Some(key), Some(text)) = (Key::at(path), text) {
                self.take_value(key, &text, Origin::Flag { flag });
            }
        }
    }

    fn take_value(&mut self, key: &Key, text: &str, origin: Origin) {
        if matches!(key.kind, Kind::Commands) {
            let problem = "is a list of commands, which a variable cannot hold";
            let name = key.path.rsplit('.').next().unwrap_or_default();
            let accepted = format!("{name} = [[…]] in the file");
            self.faults.push(KeyFault::new(origin, key.path, problem).accepting(accepted).into());
            return;
        }
        let value = key.kind.value_from_text(text);
        let checked = check::value(key, &value, &origin);
        self.keep_or_fault(key.path.to_owned(), Setting { value, origin }, checked);
    }

    fn take_binding(&mut self, intent: &str, text: &str, origin: Origin) {
        let keys = text.split_whitespace().map(|key| toml::Value::String(key.to_owned()));
        let value = toml::Value::Array(keys.collect());
        let checked = check::binding(intent, &value, &origin);
        self.keep_or_fault(format!("keys.{intent}"), Setting { value, origin }, checked);
    }

    fn take_tag(&mut self, tag: &str, text: &str, origin: Origin) {
        let value = key::TAG.value_from_text(text);
        let checked = check::tag(tag, &value, &origin);
        self.keep_or_fault(format!("{TAGS_SECTION}.{tag}"), Setting { value, origin }, checked);
    }

    fn take_hint(&mut self, path: String, text: &str, origin: Origin) {
        let value = key::HINT.value_from_text(text);
        let checked = check::hint(&path, &value, &origin);
        self.keep_or_fault(path, Setting { value, origin }, checked);
    }

    fn keep_or_fault(
        &mut self,
        path: String,
        setting: Setting,
        checked: Result<(), Box<KeyFault>>,
    ) {
        match checked {
            Ok(()) => drop(self.settings.insert(path, setting)),
            Err(fault) => self.faults.push(fault.into()),
        }
    }

    /// Variables of others, where ours leave it open.
    fn take_fallbacks(&mut self, surroundings: &Surroundings) {
        let fallbacks = [
            ("ollama", "", "OLLAMA_HOST", surroundings.variable("OLLAMA_HOST")),
            ("color", "auto", "NO_COLOR", surroundings.variable("NO_COLOR").map(|_| "none")),
        ];
        for (path, open, variable, value) in fallbacks {
            let Some(value) = value else { continue };
            if self.settings.get(path).is_some_and(|said| said.value.as_str() == Some(open)) {
                let origin = Origin::Environment { variable: variable.to_owned() };
                let value = toml::Value::String(value.to_owned());
                self.settings.insert(path.to_owned(), Setting { value, origin });
            }
        }
    }
}

/// A home that is no absolute path would be another one in each folder.
fn absolute(folder: &Path) -> Option<PathBuf> {
    folder.is_absolute().then(|| folder.to_owned())
}

/// The bytes, `None` if they are too many, and whose they are.
fn read_file(path: &Path) -> std::io::Result<(Option<Vec<u8>>, Metadata)> {
    let mut bytes = Vec::new();
    let file = super::file::open(path)?;
    let seen = file.metadata()?;
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    Ok(((bytes.len() as u64 <= LONGEST_FILE).then_some(bytes), seen))
}

fn unknown_variable(variable: &str, origin: Origin) -> KeyFault {
    if let Some(list) = [COMPONENTS, HOOKS].into_iter().find(|l| variable == key::variable_of(l)) {
        let problem = "is a list, which a variable cannot hold";
        return KeyFault::new(origin, list, problem).accepting(format!("[[{list}]] in the file"));
    }
    let names: Vec<String> = key::plain().map(Key::variable).collect();
    let meant = key::closest(variable, names.iter().map(String::as_str));
    KeyFault::new(origin, "", "names no setting")
        .accepting(format!("{PREFIX}<SECTION>_<KEY>, as in PLIMSOLL_LEVELS_WARNING"))
        .hinting(meant.map(|meant| format!("did you mean {meant}?")))
}

/// The merged settings as one config.
fn read(settings: &BTreeMap<String, Setting>) -> Result<Config, ConfigError> {
    let mut whole = toml::Table::new();
    for (path, setting) in settings {
        let mut table = &mut whole;
        let mut steps: Vec<&str> = path.split('.').collect();
        let last = steps.pop().unwrap_or_default();
        for step in steps {
            let section =
                table.entry(step).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let toml::Value::Table(inner) = section else {
                let problem = format!("`{path}` lies under a value");
                return Err(ConfigError::Unread { problem });
            };
            table = inner;
        }
        table.insert(last.to_owned(), setting.value.clone());
    }
    Config::deserialize_table(whole)
        .map_err(|fault| ConfigError::Unread { problem: fault.message().to_owned() })
}

/// The line of every key and section of a text that parses.
fn lines_of(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    if let Ok(table) = toml::de::DeTable::parse(text) {
        collect_lines(text, "", table.get_ref(), &mut lines);
    }
    lines
}

fn collect_lines(
    text: &str,
    prefix: &str,
    table: &toml::de::DeTable<'_>,
    lines: &mut BTreeMap<String, usize>,
) {
    for (key, value) in table {
        let path = match prefix {
            "" => key.get_ref().to_string(),
            prefix => format!("{prefix}.{}", key.get_ref()),
        };
        lines.insert(path.clone(), place_of(text, key.span().start).0);
        match value.get_ref() {
            toml::de::DeValue::Table(inner) => collect_lines(text, &path, inner, lines),
            toml::de::DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    lines.insert(path.clone(), place_of(text, item.span().start).0);
                    if let toml::de::DeValue::Table(inner) = item.get_ref() {
                        collect_lines(text, &path, inner, lines);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Line and column, from 1, of a byte.
fn place_of(text: &str, byte: usize) -> (usize, usize) {
    let mut before = byte.min(text.len());
    while !text.is_char_boundary(before) {
        before -= 1;
    }
    let before = &text[..before];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(env: &[(&str, &str)]) -> Surroundings {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Surroundings { env: env.iter().map(owned).collect(), ..Surroundings::default() }
    }

    fn file_with(text: &str) -> (tempfile::TempDir, Flags) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Flags { config: Some(path), ..Flags::default() })
    }

    fn fault(flags: &Flags, env: &[(&str, &str)]) -> String {
        load(flags, &around(env)).unwrap_err().to_string()
    }

    #[test]
    fn the_default_layer_is_the_default() {
        let loaded = load(&Flags::default(), &Surroundings::default()).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert_eq!(loaded.paths, Paths::default());
        assert!(loaded.settings.values().all(|setting| setting.origin == Origin::Default));
    }

    #[test]
    fn each_layer_goes_over_the_one_below() {
        let (_folder, mut flags) = file_with(
            "theme = \"file\"\nascii = \"never\"\n\n[levels]\nwarning = 61\ncritical = 62\n",
        );
        let env = [("PLIMSOLL_LEVELS_CRITICAL", "71.5"), ("PLIMSOLL_ASCII", "auto")];
        flags.ascii = true;
        let loaded = load(&flags, &around(&env)).unwrap();
        let file = |line| Origin::File { path: flags.config.clone().unwrap(), line };
        assert_eq!(loaded.config.theme, "file");
        assert_eq!(loaded.origin("theme"), file(1));
        assert_eq!(loaded.origin("levels.warning"), file(5));
        assert_eq!(loaded.config.levels.critical.map(|share| share.get()), Some(71.5));
        let variable = "PLIMSOLL_LEVELS_CRITICAL".to_owned();
        assert_eq!(loaded.origin("levels.critical"), Origin::Environment { variable });
        assert_eq!(loaded.config.ascii, crate::config::AsciiChoice::Always);
        assert_eq!(loaded.origin("ascii"), Origin::Flag { flag: "--ascii" });
        assert_eq!(loaded.origin("color"), Origin::Default);
    }

    #[test]
    fn the_order_is_checked_over_the_layers() {
        let (_folder, flags) = file_with("[levels]\ncritical = 60\n");
        let said = fault(&flags, &[("PLIMSOLL_LEVELS_WARNING", "70")]);
        assert!(said.contains("`levels.warning` is 70"), "{said}");
        assert!(said.contains("`levels.critical`, which is 60 (config file"), "{said}");
    }

    #[test]
    fn a_variable_that_names_nothing_is_a_fault() {
        let said = fault(&Flags::default(), &[("PLIMSOLL_THEM", "x")]);
        assert!(
            said.contains("environment PLIMSOLL_THEM") && said.contains("PLIMSOLL_THEME?"),
            "{said}"
        );
        let said = fault(&Flags::default(), &[("PLIMSOLL_INTERVAL", "0s")]);
        assert!(said.contains("`interval` is \"0s\"") && said.contains("100ms to 1h"), "{said}");
        let said = fault(&Flags::default(), &[("PLIMSOLL_COMPONENTS", "x")]);
        assert!(said.contains("[[components]] in the file"), "{said}");
        let said = fault(&Flags::default(), &[("PLIMSOLL_HOOKS", "x")]);
        assert!(said.contains("[[hooks]] in the file"), "{said}");
        let said = fault(&Flags::default(), &[("PLIMSOLL_RULES_ON_WARNING", "[[\"sync\"]]")]);
        assert!(said.contains("`rules.on_warning` is a list of commands, which"), "{said}");
        assert!(load(&Flags::default(), &around(&[("PLIMSOLL_THEME", "")])).is_ok());
    }

    #[test]
    fn a_flag_is_checked_too() {
        let flags = Flags { interval: Some("soon".to_owned()), ..Flags::default() };
        let said = fault(&flags, &[]);
        assert!(said.starts_with("flag --interval: `interval` is \"soon\"; accepted is"), "{said}");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let flags = Flags { config: Some("/nowhere/c.toml".into()), ..Flags::default() };
        assert!(fault(&flags, &[]).contains("(named by --config) cannot be read"));
        let said = fault(&Flags::default(), &[("PLIMSOLL_CONFIG", "/nowhere/c.toml")]);
        assert!(said.contains("named by PLIMSOLL_CONFIG"), "{said}");
        let home = tempfile::tempdir().unwrap();
        let surroundings =
            Surroundings { config_dir: Some(home.path().to_owned()), ..Surroundings::default() };
        assert!(load(&Flags::default(), &surroundings).is_ok());
    }

    #[test]
    fn variables_of_others_count_where_ours_say_nothing() {
        let env = [("OLLAMA_HOST", "0.0.0.0"), ("NO_COLOR", "1")];
        let loaded = load(&Flags::default(), &around(&env)).unwrap();
        let variable = "OLLAMA_HOST".to_owned();
        assert_eq!(loaded.ollama_host(), ("0.0.0.0".to_owned(), Origin::Environment { variable }));
        assert_eq!(loaded.config.color, crate::config::ColorChoice::None);

        let (_folder, mut flags) = file_with("color = \"256\"\n");
        flags.ollama = Some("there:1".to_owned());
        let loaded = load(&flags, &around(&env)).unwrap();
        assert_eq!(loaded.ollama_host(), ("there:1".to_owned(), Origin::Flag { flag: "--ollama" }));
        assert_eq!(loaded.config.color, crate::config::ColorChoice::Indexed256);
        let empty = load(&Flags::default(), &around(&[("NO_COLOR", "")])).unwrap();
        assert_eq!(empty.config.color, crate::config::ColorChoice::Auto);
    }

    #[test]
    fn bindings_merge_by_intent_and_keep_their_origin() {
        let (_folder, flags) = file_with("[keys]\nunload = [\"x\", \"delete\"]\nhelp = \"h\"\n");
        let loaded = load(&flags, &around(&[("PLIMSOLL_KEYS_HELP", "? f1")])).unwrap();
        let bindings = loaded.key_bindings();
        let expected = [
            KeyBinding {
                intent: "help".to_owned(),
                keys: vec!["?".to_owned(), "f1".to_owned()],
                origin: Origin::Environment { variable: "PLIMSOLL_KEYS_HELP".to_owned() },
            },
            KeyBinding {
                intent: "unload".to_owned(),
                keys: vec!["x".to_owned(), "delete".to_owned()],
                origin: Origin::File { path: flags.config.clone().unwrap(), line: 2 },
            },
        ];
        assert_eq!(bindings, expected);
        let said = bindings[1].fault("is no key").to_string();
        assert!(said.ends_with("line 2: `keys.unload` is no key"), "{said}");
    }

    #[test]
    fn every_fault_is_found_at_once_and_no_password_is_said() {
        let (_folder, flags) =
            file_with("x = 1\ny = 2\ntheme = 3\nollama = [\"http://me:a-password@h\"]\n");
        let faults = examine(&flags, &Surroundings::default()).unwrap_err();
        assert_eq!(faults.len(), 4);
        assert!(faults.iter().all(|fault| !fault.to_string().contains("a-password")));
    }

    #[test]
    fn folders_follow_the_config() {
        let env = [("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        let (_folder, flags) = file_with("data_dir = \"~/kept\"\n");
        let paths = load(&flags, &around(&env)).unwrap().paths;
        assert_eq!(paths.data_dir, Some("/home/me/kept".into()));
        assert_eq!(paths.runtime_dir, Some("/run/user/7/plimsoll".into()));
        let flags = Flags { data_dir: Some("/d".into()), ..flags };
        let paths = load(&flags, &around(&env[..1])).unwrap().paths;
        assert_eq!((paths.data_dir, paths.runtime_dir), (Some("/d".into()), Some("/d".into())));
    }

    #[test]
    fn a_file_anybody_may_write_is_noted() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, flags) = file_with("");
        let path = flags.config.clone().unwrap();
        let notes = || load(&flags, &Surroundings::default()).unwrap().notes;
        assert_eq!(notes(), Vec::<String>::new());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(notes()[0].contains("writable by others"));
    }

    #[test]
    fn a_pipe_in_the_files_place_is_refused_and_not_waited_for() {
        let (folder, _) = file_with("");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let flags = Flags { config: Some(path), ..Flags::default() };
        let fault = anyhow::Error::from(load(&flags, &Surroundings::default()).unwrap_err());
        assert!(format!("{fault:#}").contains("it is a pipe"), "{fault:#}");
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let (_folder, flags) = file_with(&"#".repeat(2 * 1024 * 1024));
        assert!(fault(&flags, &[]).contains("longer than"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_config_or_a_fault(text in "[a-z_.=\\[\\]\"# 0-9{},\n-]{0,200}") {
            let _ = faults_of(&text, Path::new("x"));
        }

        #[test]
        fn what_a_layer_lets_through_can_be_read(at in 0..key::plain().count(), text in "[0-9a-z./~ -]{0,12}") {
            let key = key::plain().nth(at).unwrap();
            let value = key.kind.value_from_text(&text);
            if check::value(key, &value, &Origin::Default).is_ok() {
                let setting = Setting { value, origin: Origin::Default };
                let read = read(&BTreeMap::from([(key.path.to_owned(), setting)]));
                proptest::prop_assert!(read.is_ok(), "{} {text}: {read:?}", key.path);
            }
        }
    }
}
