//! Changes to the user's file that keep its comments and its order.
//!
//! Two steps, so that the difference can be shown and agreed to in between:
//! `propose` writes nothing, `Proposal::apply` writes what was shown or nothing.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::difference::unified;
use super::error::ConfigError;
use super::key::{HINT_SECTIONS, KEYS_SECTION, Key, TAGS_SECTION};
use super::layers::faults_of;

/// One setting, set anew or left to the layers below.
#[derive(Debug, Clone)]
pub enum Change {
    Set { path: String, value: Value },
    Unset { path: String },
}

/// What would be written, and what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    path: PathBuf,
    /// `None`: there is no file yet.
    before: Option<String>,
    after: String,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteBackError {
    #[error("config file {} cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("config file {} is not TOML", path.display())]
    NotToml {
        path: PathBuf,
        #[source]
        source: Box<toml_edit::TomlError>,
    },
    #[error("`{path}` is no setting that can be written")]
    UnknownKey { path: String },
    #[error("`{path}` lies under a value in the file")]
    UnderValue { path: String },
    #[error("the config would not stand")]
    WouldNotStand {
        #[source]
        source: Box<ConfigError>,
    },
    #[error("config file {} has changed since the difference was shown", path.display())]
    Changed { path: PathBuf },
    #[error("config file {} cannot be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Works out the change without writing it.
pub fn propose(path: &Path, changes: &[Change]) -> Result<Proposal, WriteBackError> {
    // A link stays a link: its target is what is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = read_if_there(&path)?;
    let mut document: DocumentMut =
        before.as_deref().unwrap_or_default().parse().map_err(|source| {
            WriteBackError::NotToml { path: path.clone(), source: Box::new(source) }
        })?;
    for change in changes {
        make(&mut document, change)?;
    }
    let after = document.to_string();
    match faults_of(&after, &path).into_iter().next() {
        Some(fault) => Err(WriteBackError::WouldNotStand { source: Box::new(fault) }),
        None => Ok(Proposal { path, before, after }),
    }
}

impl Proposal {
    /// Nothing would be different.
    pub fn is_empty(&self) -> bool {
        self.before() == self.after
    }

    /// What the file holds, and what it would.
    pub fn before(&self) -> &str {
        self.before.as_deref().unwrap_or_default()
    }

    pub fn after(&self) -> &str {
        &self.after
    }

    /// To be shown before [`Proposal::apply`].
    pub fn difference(&self) -> String {
        unified(&self.path.display().to_string(), self.before(), &self.after)
    }

    /// Writes what was shown, whole or not at all, with the file's mode. Fails
    /// if the file is no longer what it was.
    pub fn apply(&self) -> Result<(), WriteBackError> {
        if read_if_there(&self.path)? != self.before {
            return Err(WriteBackError::Changed { path: self.path.clone() });
        }
        self.replace().map_err(|source| WriteBackError::Write { path: self.path.clone(), source })
    }

    fn replace(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mode = match fs::metadata(&self.path) {
            Ok(there) => there.permissions().mode() & 0o7777,
            Err(_) => 0o600,
        };
        let temporary = folder.join(format!(".plimsoll-config-{}", std::process::id()));
        let written = write_new(&temporary, &self.after, mode)
            .and_then(|()| fs::rename(&temporary, &self.path))
            .and_then(|()| fs::File::open(folder)?.sync_all());
        if written.is_err() {
            // Gone already if only the last step failed; the first fault is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

fn read_if_there(path: &Path) -> Result<Option<String>, WriteBackError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WriteBackError::Read { path: path.to_owned(), source }),
    }
}

fn make(document: &mut DocumentMut, change: &Change) -> Result<(), WriteBackError> {
    let (Change::Set { path, .. } | Change::Unset { path }) = change;
    let lies_in = |table: &str| path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
    let is_open = [KEYS_SECTION, TAGS_SECTION].into_iter().chain(HINT_SECTIONS).any(lies_in);
    if Key::at(path).is_none() && !is_open {
        return Err(WriteBackError::UnknownKey { path: path.clone() });
    }
    let mut steps: Vec<&str> = path.split('.').collect();
    let last = steps.pop().unwrap_or_default();
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for step in steps {
        if matches!(change, Change::Unset { .. }) && table.get(step).is_none() {
            return Ok(());
        }
        let section = table.entry(step).or_insert_with(|| {
            let mut section = Table::new();
            // `[levels.swap]` needs no `[levels]` above it.
            section.set_implicit(true);
            Item::Table(section)
        });
        table = section
            .as_table_like_mut()
            .ok_or_else(|| WriteBackError::UnderValue { path: path.clone() })?;
    }
    match change {
        Change::Unset { .. } => {
            table.remove(last);
        }
        Change::Set { value, .. } => set(table, last, value.clone()),
    }
    Ok(())
}

/// The new value where the old one stood, with the comment behind it.
fn set(table: &mut dyn TableLike, name: &str, mut value: Value) {
    if let Some(old) = table.get_mut(name).and_then(Item::as_value_mut) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        table.insert(name, Item::Value(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\ntheme = \"light\" # for the day\n\n[levels] # careful\n# not too early\nwarning = 70\ncritical = 85\n";

    fn set_to(path: &str, value: impl Into<Value>) -> Change {
        Change::Set { path: path.to_owned(), value: value.into() }
    }

    fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn comments_and_order_are_kept() {
        let (_folder, path) = file_with(FILE);
        let changes = [
            set_to("theme", "dark"),
            set_to("levels.warning", 75),
            set_to("levels.swap.growth", "16 MiB"),
            Change::Unset { path: "levels.critical".to_owned() },
            Change::Unset { path: "history.keep_mib".to_owned() },
        ];
        let proposal = propose(&path, &changes).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), FILE);
        proposal.apply().unwrap();
        let expected = "# mine\ntheme = \"dark\" # for the day\n\n[levels] # careful\n# not too early\nwarning = 75\n\n[levels.swap]\ngrowth = \"16 MiB\"\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn the_difference_says_what_will_be_written() {
        let (_folder, path) = file_with(FILE);
        let proposal = propose(&path, &[set_to("levels.warning", 75)]).unwrap();
        let shown = proposal.difference();
        assert!(shown.contains("-warning = 70\n+warning = 75\n"), "{shown}");
        assert!(!proposal.is_empty());
        assert!(propose(&path, &[]).unwrap().is_empty());
    }

    #[test]
    fn the_mode_is_kept_and_a_link_stays_a_link() {
        let (folder, path) = file_with(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        propose(&link, &[set_to("theme", "dark")]).unwrap().apply().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&path).unwrap().contains("theme = \"dark\""));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_changed_in_between_is_left_alone() {
        let (_folder, path) = file_with(FILE);
        let proposal = propose(&path, &[set_to("theme", "dark")]).unwrap();
        fs::write(&path, "theme = \"other\"\n").unwrap();
        assert!(matches!(proposal.apply(), Err(WriteBackError::Changed { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theme = \"other\"\n");
    }

    #[test]
    fn a_file_that_is_not_there_is_made_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plimsoll/config.toml");
        propose(&path, &[set_to("keys.unload", "x")]).unwrap().apply().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[keys]\nunload = \"x\"\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_would_not_stand_is_not_proposed() {
        let (_folder, path) = file_with(FILE);
        let refused = |change| propose(&path, &[change]).unwrap_err();
        assert!(matches!(
            refused(set_to("levels.warning", 99)),
            WriteBackError::WouldNotStand { .. }
        ));
        assert!(matches!(refused(set_to("levels.wrong", 1)), WriteBackError::UnknownKey { .. }));
        fs::write(&path, "levels = 3\n").unwrap();
        assert!(matches!(
            propose(&path, &[set_to("levels.warning", 75)]).unwrap_err(),
            WriteBackError::UnderValue { .. }
        ));
    }
}
