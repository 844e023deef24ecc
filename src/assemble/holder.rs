//! Who acts on this machine: this plimsoll, or another one to attach to.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::act::lock::{Lock, LockFault};
use crate::config::LoadedConfig;
use crate::config::paths::ensure_private;
use crate::domain::Snapshot;
use crate::engine::attach::{AttachFault, RemoteLink, Socket};
use crate::engine::link::Link;
use crate::runtime::ollama::HostAddress;

use super::chain;

/// In the runtime folder: one engine a user and machine.
const LOCK: &str = "engine.lock";
pub(super) const SOCKET: &str = "engine.sock";

/// Between taking the lock and listening a holder is out of reach, as it is
/// when it ends: a moment later one of the two is over.
const ATTEMPTS: u32 = 4;
const AGAIN: Duration = Duration::from_millis(50);

/// Where the guard of the whole system has its lock and socket, as its unit
/// says. No other user can reach them, but anybody sees that they are there.
const SYSTEM_FOLDER: &str = "/run/plimsoll";

/// What this plimsoll is on this machine.
pub(super) enum Role {
    Own(Holding),
    /// Another acts, and this one looks through it.
    Attached(RemoteLink),
}

/// How an engine of our own stands to others.
#[derive(Default)]
pub(super) struct Holding {
    pub lock: Option<Lock>,
    pub socket: Option<Socket>,
    /// What a person should know of it.
    pub note: Option<String>,
    /// Another acts and cannot be attached to, so this one only looks: why.
    pub observes: Option<String>,
}

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
pub enum NotGuarding {
    #[error("{0}\nhint: `plimsoll` attaches to it; to guard from here, end that one first")]
    Held(LockFault),
    #[error("{0}\nhint: `plimsoll service status --system` tells more")]
    System(String),
    #[error(
        "a guard holds a lock, and there is no folder for one\nhint: set XDG_RUNTIME_DIR, or name a folder by --data-dir"
    )]
    NoFolder,
    #[error("make the folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Lock(LockFault),
}

/// The lock of this user's engine, if there is a place for one.
pub fn lock_file(config: &LoadedConfig) -> Option<PathBuf> {
    config.paths.runtime_dir.as_ref().map(|folder| folder.join(LOCK))
}

/// The lock of the guard of the whole system.
pub fn system_lock_file() -> PathBuf {
    Path::new(SYSTEM_FOLDER).join(LOCK)
}

/// Somebody listens beside this lock, as far as that can be seen from outside.
pub fn listens_beside(lock: &Path) -> bool {
    is_socket(&lock.with_file_name(SOCKET))
}

pub(super) fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket())
}

/// Takes the lock, for one who does nothing without it.
pub(super) async fn guard(config: &LoadedConfig) -> Result<Holding, NotGuarding> {
    let folder = config.paths.runtime_dir.as_ref().ok_or(NotGuarding::NoFolder)?;
    let made = ensure_private(folder);
    let note = made.map_err(|source| NotGuarding::Folder { path: folder.clone(), source })?;
    if let Some(reason) = guarded_by_the_system(folder, Path::new(SYSTEM_FOLDER)) {
        return Err(NotGuarding::System(reason));
    }
    let mut attempt = 1;
    loop {
        match Lock::acquire(&folder.join(LOCK)) {
            Ok(lock) => return Ok(hold(lock, folder, note)),
            Err(LockFault::Held { .. }) if attempt < ATTEMPTS => {}
            Err(held @ LockFault::Held { .. }) => return Err(NotGuarding::Held(held)),
            Err(fault) => return Err(NotGuarding::Lock(fault)),
        }
        attempt += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Takes the lock, or attaches to who has it.
pub(super) async fn role(config: &LoadedConfig) -> Role {
    let alone = |note: String| Role::Own(Holding { note: Some(note), ..Holding::default() });
    let Some(folder) = &config.paths.runtime_dir else {
        return alone("no folder for a lock: another plimsoll would not be seen".into());
    };
    let note = match ensure_private(folder) {
        Ok(note) => note,
        Err(error) => return alone(format!("folder {} cannot be made: {error}", folder.display())),
    };
    if let Some(reason) = guarded_by_the_system(folder, Path::new(SYSTEM_FOLDER)) {
        return Role::Own(look_only(format!("{reason}, this one only looks"), reason));
    }
    let mut attempt = 1;
    loop {
        let held = match Lock::acquire(&folder.join(LOCK)) {
            Ok(lock) => return Role::Own(hold(lock, folder, note)),
            Err(held @ LockFault::Held { .. }) => held,
            Err(error) => return alone(chain(error)),
        };
        match attach(config).await {
            Ok(link) => return Role::Attached(link),
            Err(Refusal::Fault(AttachFault::Socket { .. } | AttachFault::Broken(_)))
                if attempt < ATTEMPTS => {}
            Err(refusal) => return Role::Own(observe(&held, refusal)),
        }
        attempt += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// Another user's guard acts on this whole machine: the words for it.
fn guarded_by_the_system(own: &Path, system: &Path) -> Option<String> {
    let socket = system.join(SOCKET);
    // The service manager removes the folder when that guard has ended.
    (own != system && is_socket(&socket))
        .then(|| format!("the guard of the system acts on this machine ({})", socket.display()))
}

fn hold(lock: Lock, folder: &Path, note: Option<String>) -> Holding {
    // That others see the system's folder is meant so.
    let note = note.filter(|_| folder != Path::new(SYSTEM_FOLDER));
    let (socket, fault) = match Socket::bind(&folder.join(SOCKET)) {
        Ok(socket) => (Some(socket), None),
        Err(error) => (None, Some(format!("others cannot attach: {}", chain(error)))),
    };
    Holding { lock: Some(lock), socket, note: fault.or(note), observes: None }
}

fn observe(held: &LockFault, refusal: Refusal) -> Holding {
    look_only(format!("{held}, this one only looks: {}", chain(refusal)), held.to_string())
}

fn look_only(note: String, reason: String) -> Holding {
    Holding { note: Some(note), observes: Some(reason), ..Holding::default() }
}

/// Why there is nothing to attach to.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("there is no runtime folder")]
    NoFolder,
    #[error(transparent)]
    Fault(#[from] AttachFault),
    #[error("it watches {theirs}, not {ours}")]
    OtherServer { theirs: String, ours: String },
}

/// Attaches to the plimsoll that acts on this machine, if it watches the same
/// server: whoever named another one wants to see that.
pub async fn attach(config: &LoadedConfig) -> Result<RemoteLink, Refusal> {
    let folder = config.paths.runtime_dir.as_ref().ok_or(Refusal::NoFolder)?;
    let link = RemoteLink::connect(&folder.join(SOCKET)).await?;
    let (raw, _) = config.ollama_host();
    let ours = HostAddress::parse(&raw).0.endpoint().shown_url.clone();
    let theirs = server_of(&link.snapshots().borrow());
    match theirs == ours {
        true => Ok(link),
        false => Err(Refusal::OtherServer { theirs, ours }),
    }
}

fn server_of(snapshot: &Snapshot) -> String {
    snapshot.runtimes.first().map(|runtime| runtime.url.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_of_the_system_is_seen_by_its_socket() {
        let temp = tempfile::tempdir().unwrap();
        let (own, system) = (temp.path().join("own"), temp.path().join("system"));
        assert_eq!(guarded_by_the_system(&own, &system), None);
        fs::create_dir(&system).unwrap();
        fs::write(system.join(SOCKET), "a file in its place is none").unwrap();
        assert_eq!(guarded_by_the_system(&own, &system), None);
        fs::remove_file(system.join(SOCKET)).unwrap();
        let _listening = std::os::unix::net::UnixListener::bind(system.join(SOCKET)).unwrap();
        let reason = guarded_by_the_system(&own, &system).unwrap();
        assert!(reason.starts_with("the guard of the system acts"), "{reason}");
        assert_eq!(guarded_by_the_system(&system, &system), None, "it is that guard itself");
    }
}
