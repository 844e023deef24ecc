//! The guard as a service: the file that has the system start it, where that
//! lies, and writing it. Nothing is overwritten, and nothing but our own file
//! removed.

pub mod notify;
mod plist;
mod unit;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// In each file's first comment: what lacks it is not ours to remove.
const MARK: &str = "Written by plimsoll service install";

/// Longest file that is read; ours have some KiB.
const LONGEST: u64 = 64 * 1024;

/// What starts services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// A unit of the user's own systemd.
    SystemdUser,
    /// A unit of the system's, with a user of its own.
    SystemdSystem,
    /// An agent of the user's launchd.
    Launchd,
}

/// What is to be started: a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub program: PathBuf,
    pub arguments: Vec<String>,
}

/// A service file: where it belongs and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFile {
    pub manager: Manager,
    pub path: PathBuf,
    pub text: String,
    /// What it starts.
    pub program: PathBuf,
}

/// What lies at a service file's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    Nothing,
    /// The very text that would be written.
    Same,
    /// Another text, ours or not.
    Other {
        text: String,
        is_ours: bool,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ServiceFault {
    #[error("the path of the program cannot stand in a service file: {0:?}")]
    Path(PathBuf),
    #[error("an argument has a control character in it and cannot stand in a service file: {0:?}")]
    Argument(String),
    #[error("read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("remove {}", path.display())]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Manager {
    /// The one of this platform; `system`: that of the whole machine, which
    /// only systemd has here.
    pub fn of_this_machine(system: bool) -> Option<Manager> {
        match (cfg!(target_os = "macos"), system) {
            (true, true) => None,
            (true, false) => Some(Manager::Launchd),
            (false, true) => Some(Manager::SystemdSystem),
            (false, false) => Some(Manager::SystemdUser),
        }
    }

    /// Its file's place. `home` and `config` are the user's folders.
    pub fn path(self, home: &Path, config: &Path) -> PathBuf {
        match self {
            Manager::SystemdUser => config.join("systemd/user").join(unit::NAME),
            Manager::SystemdSystem => Path::new("/etc/systemd/system").join(unit::NAME),
            Manager::Launchd => {
                home.join("Library/LaunchAgents").join(format!("{}.plist", plist::LABEL))
            }
        }
    }

    /// The commands that make it run now and at each start, as words.
    pub fn starting(self, path: &Path) -> Vec<Vec<String>> {
        match self {
            Manager::SystemdUser => words(&[
                "systemctl --user daemon-reload",
                "systemctl --user enable --now plimsoll.service",
            ]),
            Manager::SystemdSystem => {
                words(&["systemctl daemon-reload", "systemctl enable --now plimsoll.service"])
            }
            Manager::Launchd => launchctl("bootstrap", path),
        }
    }

    /// Those that end it for good.
    pub fn stopping(self, path: &Path) -> Vec<Vec<String>> {
        match self {
            Manager::SystemdUser => words(&["systemctl --user disable --now plimsoll.service"]),
            Manager::SystemdSystem => words(&["systemctl disable --now plimsoll.service"]),
            Manager::Launchd => launchctl("bootout", path),
        }
    }

    /// Questions to the manager: what about, and the command whose first line
    /// answers.
    pub fn questions(self) -> Vec<(&'static str, Vec<String>)> {
        let systemctl = |user: &str| {
            ["enabled", "active"]
                .map(|what| {
                    let line = format!("systemctl {user}is-{what} plimsoll.service");
                    (what, line.split_whitespace().map(str::to_owned).collect())
                })
                .into()
        };
        match self {
            Manager::SystemdUser => systemctl("--user "),
            Manager::SystemdSystem => systemctl(""),
            Manager::Launchd => Vec::new(),
        }
    }
}

fn words(lines: &[&str]) -> Vec<Vec<String>> {
    lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn launchctl(verb: &str, path: &Path) -> Vec<Vec<String>> {
    let domain = format!("gui/{}", rustix::process::getuid().as_raw());
    vec![vec!["launchctl".into(), verb.into(), domain, path.to_string_lossy().into_owned()]]
}

impl ServiceFile {
    pub fn new(
        manager: Manager,
        path: PathBuf,
        (started, home): (&Started, &Path),
    ) -> Result<ServiceFile, ServiceFault> {
        started.check(manager)?;
        let text = match manager {
            Manager::SystemdUser => unit::user(started),
            Manager::SystemdSystem => unit::system(started),
            Manager::Launchd => plist::agent(started, home),
        };
        Ok(ServiceFile { manager, path, text, program: started.program.clone() })
    }

    pub fn there(&self) -> Result<There, ServiceFault> {
        let fault = |source| ServiceFault::Read { path: self.path.clone(), source };
        let bytes = match fs::symlink_metadata(&self.path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
            Err(source) => return Err(fault(source)),
            Ok(there) if there.is_file() && there.len() <= LONGEST => fs::read(&self.path),
            // A link, a folder, something endless: another's for sure.
            Ok(_) => Ok(Vec::new()),
        };
        let text = String::from_utf8_lossy(&bytes.map_err(fault)?).into_owned();
        Ok(match text == self.text {
            true => There::Same,
            false => There::Other { is_ours: text.contains(MARK), text },
        })
    }

    /// Writes it where nothing is yet. Missing folders are made.
    pub fn write(&self) -> Result<(), ServiceFault> {
        let fault = |source| ServiceFault::Write { path: self.path.clone(), source };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(fault)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o644);
        let mut file = options.open(&self.path).map_err(fault)?;
        let written = file.write_all(self.text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|source| {
            // Half a file would be started as one.
            fs::remove_file(&self.path).ok();
            fault(source)
        })
    }

    pub fn remove(&self) -> Result<(), ServiceFault> {
        let fault = |source| ServiceFault::Remove { path: self.path.clone(), source };
        fs::remove_file(&self.path).map_err(fault)
    }
}

impl Started {
    /// The program as UTF-8, which is checked first.
    fn program(&self) -> &str {
        self.program.to_str().unwrap_or_default()
    }

    fn check(&self, manager: Manager) -> Result<(), ServiceFault> {
        let is_plain = |text: &str| !text.contains(char::is_control);
        // systemd starts no program with one of these in its path.
        let is_safe = |text: &str| manager == Manager::Launchd || !text.contains(['"', '\'', '\\']);
        let is_good = |text: &str| is_plain(text) && is_safe(text);
        if !self.program.is_absolute() || !self.program.to_str().is_some_and(is_good) {
            return Err(ServiceFault::Path(self.program.clone()));
        }
        match self.arguments.iter().find(|argument| !is_plain(argument)) {
            Some(argument) => Err(ServiceFault::Argument(argument.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(program: &str) -> Started {
        Started { program: program.into(), arguments: vec!["guard".into()] }
    }

    fn file(folder: &Path) -> ServiceFile {
        let path = Manager::SystemdUser.path(folder, &folder.join("config"));
        let started = started("/usr/bin/plimsoll");
        ServiceFile::new(Manager::SystemdUser, path, (&started, folder)).unwrap()
    }

    #[test]
    fn a_file_is_written_once_and_never_over_another() {
        let temp = tempfile::tempdir().unwrap();
        let file = file(temp.path());
        assert_eq!(file.there().unwrap(), There::Nothing);
        file.write().unwrap();
        assert_eq!(file.there().unwrap(), There::Same);
        assert!(file.write().is_err(), "it is there already");
        fs::write(&file.path, "of another\n").unwrap();
        let other = There::Other { text: "of another\n".into(), is_ours: false };
        assert_eq!(file.there().unwrap(), other);
        assert!(file.write().is_err());
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "of another\n");
    }

    #[test]
    fn a_link_is_another_thing_and_is_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let file = file(temp.path());
        fs::create_dir_all(file.path.parent().unwrap()).unwrap();
        let target = temp.path().join("target");
        std::os::unix::fs::symlink(&target, &file.path).unwrap();
        assert!(matches!(file.there().unwrap(), There::Other { is_ours: false, .. }));
        assert!(file.write().is_err());
        assert!(!target.exists());
    }

    #[test]
    fn what_was_changed_by_hand_is_still_known_as_ours() {
        let temp = tempfile::tempdir().unwrap();
        let file = file(temp.path());
        file.write().unwrap();
        let changed = format!("{}# mine\n", file.text);
        fs::write(&file.path, &changed).unwrap();
        assert_eq!(file.there().unwrap(), There::Other { text: changed, is_ours: true });
        file.remove().unwrap();
        assert_eq!(file.there().unwrap(), There::Nothing);
    }

    #[test]
    fn what_cannot_stand_in_a_file_is_refused() {
        let new = |started: &Started| {
            let path = PathBuf::from("/nowhere");
            ServiceFile::new(Manager::SystemdUser, path, (started, Path::new("/")))
        };
        assert!(matches!(new(&started("/a\nb")), Err(ServiceFault::Path(_))));
        assert!(matches!(new(&started("plimsoll")), Err(ServiceFault::Path(_))));
        assert!(matches!(new(&started("/it's/plimsoll")), Err(ServiceFault::Path(_))));
        let mut wrong = started("/usr/bin/plimsoll");
        wrong.arguments.push("--config=a\nExecStartPost=b".into());
        assert!(matches!(new(&wrong), Err(ServiceFault::Argument(_))));
    }
}
