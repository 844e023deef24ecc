//! Ending a process: TERM, a while to go, then KILL. The pid is held fast and
//! checked against its start time before each signal, since pids are reused.
//!
//! Who may be ended is decided above; refused here, whoever asks: pid 1, this
//! process and its ancestors, and everything that is not what was named.

#[cfg(target_os = "linux")]
#[path = "signals/linux.rs"]
mod platform;
#[cfg(target_os = "macos")]
#[path = "signals/macos.rs"]
mod platform;

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::time::timeout;

use self::platform::Grip;
use crate::domain::ProcessKey;

/// A killed process goes within milliseconds; giving back tens of GiB or
/// waiting for a disk takes seconds.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Deeper than any tree of processes; ends the walk where `/proc` is odd.
const MOST_ANCESTORS: usize = 256;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was gone before anything was sent.
    Already,
    /// TERM was enough.
    OnTerm,
    /// It took KILL.
    OnKill,
}

#[derive(Debug, thiserror::Error)]
pub enum ActFault {
    #[error("pid {pid} is never signalled: it is {what}")]
    Protected { pid: u32, what: &'static str },
    /// The pid was given to another process meanwhile.
    #[error("pid {pid} is another process by now")]
    NotTheSame { pid: u32 },
    #[error("pid {pid} belongs to another user: no permission to end it")]
    NotPermitted { pid: u32 },
    #[error("pid {pid} is still there {} s after KILL", KILL_PATIENCE.as_secs())]
    StillThere { pid: u32 },
    #[error("pid {pid} cannot be ended")]
    Failed {
        pid: u32,
        #[source]
        source: io::Error,
    },
}

/// What must be known of a process before it is signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    started: u64,
    parent: u32,
    /// Ended, and only its parent has not looked yet.
    is_zombie: bool,
}

/// Ends a process and waits until it is gone.
pub async fn end_process(key: ProcessKey, grace: Duration) -> Result<Ended, ActFault> {
    let pid = allowed(key.pid)?;
    // The grip comes before the check: what it holds is then what was checked.
    let grip = Grip::on(pid).map_err(|source| failed(key.pid, source))?;
    if !send(&grip, key, Signal::TERM)? {
        return Ok(Ended::Already);
    }
    if timeout(grace, grip.gone()).await.is_ok() {
        return Ok(Ended::OnTerm);
    }
    if !send(&grip, key, Signal::KILL)? {
        return Ok(Ended::OnTerm);
    }
    match timeout(KILL_PATIENCE, grip.gone()).await {
        Ok(()) => Ok(Ended::OnKill),
        Err(_) => Err(ActFault::StillThere { pid: key.pid }),
    }
}

/// False when it is gone already.
fn send(grip: &Grip, key: ProcessKey, signal: Signal) -> Result<bool, ActFault> {
    let pid = key.pid;
    let facts = platform::facts(pid).map_err(|source| failed(pid, source))?;
    let Some(facts) = facts.filter(|facts| !facts.is_zombie) else { return Ok(false) };
    if !platform::is_same_start(facts.started, key.started) {
        return Err(ActFault::NotTheSame { pid });
    }
    match grip.send(signal) {
        Ok(()) => Ok(true),
        Err(error) if error == rustix::io::Errno::SRCH => Ok(false),
        Err(error) => Err(failed(pid, error.into())),
    }
}

fn failed(pid: u32, source: io::Error) -> ActFault {
    match source.kind() {
        io::ErrorKind::PermissionDenied => ActFault::NotPermitted { pid },
        _ => ActFault::Failed { pid, source },
    }
}

/// Not the first process, not us, not one we come from: the shell, the
/// terminal, the login that carries us.
fn allowed(pid: u32) -> Result<Pid, ActFault> {
    let refuse = |what| Err(ActFault::Protected { pid, what });
    if pid == std::process::id() {
        return refuse("plimsoll itself");
    }
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|_| pid > 1) else {
        return refuse("no ordinary process");
    };
    if is_ancestor(pid) {
        return refuse("an ancestor of plimsoll");
    }
    Ok(raw)
}

fn is_ancestor(pid: u32) -> bool {
    let mut child = std::process::id();
    for _ in 0..MOST_ANCESTORS {
        match platform::facts(child) {
            Ok(Some(facts)) if facts.parent == pid => return true,
            Ok(Some(facts)) if facts.parent > 1 => child = facts.parent,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ourselves_and_our_ancestors_are_protected() {
        let parent = std::os::unix::process::parent_id();
        let grandparent = platform::facts(parent).unwrap().map_or(1, |facts| facts.parent);
        for pid in [0, 1, std::process::id(), parent, grandparent, u32::MAX, 1 << 31] {
            let refused = allowed(pid);
            assert!(matches!(refused, Err(ActFault::Protected { .. })), "{pid}: {refused:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_pid_of_our_own_line_is_ever_allowed(pid in 0..40_000_u32) {
            let mut line = vec![0, 1, std::process::id()];
            while let Some(facts) = platform::facts(*line.last().unwrap()).unwrap() {
                if facts.parent == 0 || line.len() > MOST_ANCESTORS { break }
                line.push(facts.parent);
            }
            proptest::prop_assert_eq!(allowed(pid).is_err(), line.contains(&pid));
        }
    }
}
