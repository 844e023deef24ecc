//! The user's file, the data folder, the runtime folder, the themes' folder:
//! where they are. Creates nothing but a private folder when asked to.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::layers::{Flags, Surroundings};
use super::schema::Config;

/// Folders and files of this user. `None` where there is no home to have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// Need not exist.
    pub config_file: Option<PathBuf>,
    /// Themes of the user's own; need not exist.
    pub themes: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    /// For lock and socket: gone after a reboot where the system has such a place.
    pub runtime_dir: Option<PathBuf>,
    /// What other programs are told is written there.
    pub hints_file: Option<PathBuf>,
}

impl Paths {
    pub(super) fn find(config: &Config, flags: &Flags, surroundings: &Surroundings) -> Paths {
        let data_dir = match config.data_dir.as_str() {
            "" => surroundings.data_dir.clone(),
            said => Some(expand_home(said, surroundings)),
        };
        let runtime_dir = surroundings
            .variable("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            // Another folder would be another lock, and two would act.
            .or_else(|| surroundings.session_dir.clone())
            .map(|folder| folder.join("plimsoll"));
        let runtime_dir = runtime_dir.or_else(|| data_dir.clone());
        let hints_file = match config.hints.file.as_str() {
            "" => runtime_dir.as_ref().map(|folder| folder.join("hints.json")),
            said => Some(expand_home(said, surroundings)),
        };
        Paths {
            config_file: Paths::config_file(flags, surroundings).map(|(path, _)| path),
            themes: surroundings.config_dir.as_ref().map(|folder| folder.join("themes")),
            runtime_dir,
            hints_file,
            data_dir,
        }
    }

    /// The user's file, and who named it if somebody did: then it must exist.
    pub fn config_file(
        flags: &Flags,
        surroundings: &Surroundings,
    ) -> Option<(PathBuf, Option<&'static str>)> {
        if let Some(path) = &flags.config {
            return Some((path.clone(), Some("--config")));
        }
        if let Some(path) = surroundings.variable("PLIMSOLL_CONFIG") {
            return Some((PathBuf::from(path), Some("PLIMSOLL_CONFIG")));
        }
        Some((surroundings.config_dir.as_ref()?.join("config.toml"), None))
    }
}

/// This user's own among the sessions' runtime folders, if there is one.
pub(super) fn session_dir(sessions: &Path) -> Option<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let folder = sessions.join(user.to_string());
    let seen = fs::symlink_metadata(&folder).ok()?;
    (seen.is_dir() && seen.uid() == user).then_some(folder)
}

fn expand_home(said: &str, surroundings: &Surroundings) -> PathBuf {
    match (said.strip_prefix("~/"), surroundings.variable("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(said),
    }
}

/// Creates the folder for its owner alone. One that exists stays as it is; the
/// answer is a note if others may look into it.
pub fn ensure_private(folder: &Path) -> io::Result<Option<String>> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {
            let mode = fs::metadata(folder)?.permissions().mode();
            let shown = folder.display();
            Ok((mode & 0o077 != 0).then(|| format!("folder {shown} is open to others")))
        }
        other => other.map(|()| None),
    }
}

/// A word if anybody may write the file.
pub(super) fn note_on_writers(file: &Path, seen: &fs::Metadata) -> Option<String> {
    let mode = seen.permissions().mode();
    (mode & 0o002 != 0).then(|| format!("config file {} is writable by others", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_for_its_owner_alone() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        assert_eq!(ensure_private(&folder).unwrap(), None);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(ensure_private(&folder).unwrap().unwrap().contains("open to others"));
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn the_sessions_folder_is_found_where_nobody_names_it() {
        let sessions = tempfile::tempdir().unwrap();
        assert_eq!(session_dir(sessions.path()), None);
        let own = sessions.path().join(rustix::process::geteuid().as_raw().to_string());
        fs::write(&own, "").unwrap();
        assert_eq!(session_dir(sessions.path()), None, "no folder");
        fs::remove_file(&own).unwrap();
        fs::create_dir(&own).unwrap();
        assert_eq!(session_dir(sessions.path()), Some(own.clone()));
        let around = |named: &[&str]| Surroundings {
            env: named.iter().map(|path| ("XDG_RUNTIME_DIR".into(), path.to_string())).collect(),
            session_dir: Some(own.clone()),
            ..Surroundings::default()
        };
        let found =
            |around| Paths::find(&Config::default(), &Flags::default(), &around).runtime_dir;
        assert_eq!(found(around(&[])), Some(own.join("plimsoll")));
        assert_eq!(found(around(&["/tmp/x"])), Some("/tmp/x/plimsoll".into()));
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("data");
        fs::write(&file, "").unwrap();
        assert!(ensure_private(&file).is_err());
    }
}
