//! Who acts on this machine: this plimsoll, or another one to attach to.

use std::path::Path;
use std::time::Duration;

use crate::act::lock::{Lock, LockFault};
use crate::config::LoadedConfig;
use crate::config::paths::ensure_private;
use crate::domain::Snapshot;
use crate::engine::attach::{AttachFault, RemoteLink, Socket};
use crate::engine::link::Link;
use crate::runtime::ollama::HostAddress;

/// In the runtime folder: one engine a user and machine.
const LOCK: &str = "engine.lock";
const SOCKET: &str = "engine.sock";

/// Between taking the lock and listening a holder is out of reach, as it is
/// when it ends: a moment later one of the two is over.
const ATTEMPTS: u32 = 4;
const AGAIN: Duration = Duration::from_millis(50);

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
    let mut attempt = 1;
    loop {
        let held = match Lock::acquire(&folder.join(LOCK)) {
            Ok(lock) => return Role::Own(hold(lock, &folder.join(SOCKET), note)),
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

fn hold(lock: Lock, path: &Path, note: Option<String>) -> Holding {
    let (socket, fault) = match Socket::bind(path) {
        Ok(socket) => (Some(socket), None),
        Err(error) => (None, Some(format!("others cannot attach: {}", chain(error)))),
    };
    Holding { lock: Some(lock), socket, note: fault.or(note), observes: None }
}

fn observe(held: &LockFault, refusal: Refusal) -> Holding {
    let note = format!("{held}, this one only looks: {}", chain(refusal));
    Holding { note: Some(note), observes: Some(held.to_string()), ..Holding::default() }
}

fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
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
