//! macOS: no descriptor holds a pid, so the start time is all that tells one
//! process from the next under the same pid.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use super::Facts;

/// How often a process is looked at while it ends.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A key counts microseconds; what is read here counts whole seconds.
const MICROSECONDS: u64 = 1_000_000;

pub struct Grip {
    pid: Pid,
}

impl Grip {
    pub fn on(pid: Pid) -> io::Result<Self> {
        Ok(Grip { pid })
    }

    pub fn send(&self, signal: Signal) -> rustix::io::Result<()> {
        kill_process(self.pid, signal)
    }

    /// Ends when the process has ended, reaped or not.
    pub async fn gone(&self) {
        let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
        while matches!(facts(pid), Ok(Some(facts)) if !facts.is_zombie) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

pub fn facts(pid: u32) -> io::Result<Option<Facts>> {
    let mut system = System::new().map_err(io::Error::other)?;
    let wanted = sysinfo::Pid::from_u32(pid);
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[wanted]),
        true,
        ProcessRefreshKind::nothing(),
    );
    match system.process(wanted) {
        Some(process) => Ok(Some(Facts {
            started: process.start_time().saturating_mul(MICROSECONDS),
            parent: process.parent().map_or(0, sysinfo::Pid::as_u32),
            is_zombie: matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead),
        })),
        None => absent(pid),
    }
}

/// What cannot be looked at is not therefore gone.
fn absent(pid: u32) -> io::Result<Option<Facts>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match test_kill_process(pid) {
        Err(error) if error == rustix::io::Errno::SRCH => Ok(None),
        _ => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
    }
}

/// To the second: a pid is not reused within one.
pub fn is_same_start(seen: u64, known: u64) -> bool {
    seen / MICROSECONDS == known / MICROSECONDS
}
