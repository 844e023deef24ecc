//! Ending a process: TERM, a while to go, then KILL. The pid is held fast and
//! checked against its start time before each signal, since pids are reused.
//!
//! Who may be signalled is decided above; refused here, whoever asks: pid 1,
//! this process and its ancestors, whatever carries a login (see `protected`),
//! and everything that is not what was named.

pub mod protected;

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
use self::protected::Facts;
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
    #[error("pid {pid} belongs to another user: no permission to signal it")]
    NotPermitted { pid: u32 },
    #[error("pid {pid} is still there {} s after KILL", KILL_PATIENCE.as_secs())]
    StillThere { pid: u32 },
    /// By somebody else, who will let it go on.
    #[error("pid {pid} is stopped already")]
    Stopped { pid: u32 },
    #[error("pid {pid} is gone")]
    Gone { pid: u32 },
    #[error("pid {pid} cannot be signalled")]
    Failed {
        pid: u32,
        #[source]
        source: io::Error,
    },
}

/// Ends a process and waits until it is gone.
pub async fn end_process(key: ProcessKey, grace: Duration) -> Result<Ended, ActFault> {
    let grip = grip_on(key)?;
    if !ask_to_end(&grip, key)? {
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

/// Asks a process to end and looks for as long as `patience` whether it does.
/// False: it is still there, and nothing more was done.
pub async fn term(key: ProcessKey, patience: Duration) -> Result<bool, ActFault> {
    let grip = grip_on(key)?;
    Ok(!ask_to_end(&grip, key)? || timeout(patience, grip.gone()).await.is_ok())
}

/// Ends a process without asking it. False: it is gone already.
pub fn kill(key: ProcessKey) -> Result<bool, ActFault> {
    send(&grip_on(key)?, key, Signal::KILL)
}

/// Tells it of a signal that somebody above it was told. False: it is gone already.
pub fn tell(key: ProcessKey, signal: Signal) -> Result<bool, ActFault> {
    send(&grip_on(key)?, key, signal)
}

/// Stops a process where it stands. It keeps its memory and gets no more.
pub fn pause(key: ProcessKey) -> Result<(), ActFault> {
    let facts = platform::facts(key.pid).ok().flatten();
    if facts.is_some_and(|facts| facts.is_stopped && is_same(&facts, key)) {
        return Err(ActFault::Stopped { pid: key.pid });
    }
    send_to_living(key, Signal::STOP)
}

/// Lets it go on.
pub fn resume(key: ProcessKey) -> Result<(), ActFault> {
    send_to_living(key, Signal::CONT)
}

fn send_to_living(key: ProcessKey, signal: Signal) -> Result<(), ActFault> {
    let is_there = send(&grip_on(key)?, key, signal)?;
    is_there.then_some(()).ok_or(ActFault::Gone { pid: key.pid })
}

/// The grip comes before every check: what it holds is then what was checked.
fn grip_on(key: ProcessKey) -> Result<Grip, ActFault> {
    let pid = allowed(key.pid)?;
    Grip::on(pid).map_err(|source| failed(key.pid, source))
}

/// TERM; and CONT for a paused one, which could not obey otherwise.
fn ask_to_end(grip: &Grip, key: ProcessKey) -> Result<bool, ActFault> {
    if !send(grip, key, Signal::TERM)? {
        return Ok(false);
    }
    let facts = platform::facts(key.pid).ok().flatten();
    if facts.is_some_and(|facts| facts.is_stopped) {
        send(grip, key, Signal::CONT)?;
    }
    Ok(true)
}

/// False when it is gone already.
fn send(grip: &Grip, key: ProcessKey, signal: Signal) -> Result<bool, ActFault> {
    let pid = key.pid;
    let facts = platform::facts(pid).map_err(|source| failed(pid, source))?;
    let Some(facts) = facts.filter(|facts| !facts.is_zombie) else { return Ok(false) };
    if !is_same(&facts, key) {
        return Err(ActFault::NotTheSame { pid });
    }
    let names = platform::names(pid);
    if let Some(what) = protected::what_it_is(&facts, names.iter().map(String::as_str)) {
        return Err(ActFault::Protected { pid, what });
    }
    match grip.send(signal) {
        Ok(()) => Ok(true),
        Err(error) if error == rustix::io::Errno::SRCH => Ok(false),
        Err(error) => Err(failed(pid, error.into())),
    }
}

fn is_same(facts: &Facts, key: ProcessKey) -> bool {
    platform::is_same_start(facts.started, key.started)
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

    /// Pids are reused: who has it now was never meant.
    #[test]
    fn another_process_of_that_pid_is_not_killed() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let started = platform::facts(pid).unwrap().unwrap().started;
        let refused = kill(ProcessKey { pid, started: started / 2 });
        assert!(matches!(refused, Err(ActFault::NotTheSame { .. })), "{refused:?}");
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        assert!(kill(ProcessKey { pid, started }).unwrap());
        child.wait().unwrap();
        assert!(!kill(ProcessKey { pid, started }).unwrap(), "gone already");
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
