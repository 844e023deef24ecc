//! macOS: no descriptor holds a pid, so the start time is all that tells one
//! process from the next under the same pid.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};

use super::protected::Facts;

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
            is_stopped: process.status() == ProcessStatus::Stop,
            // No thread of the kernel has a pid, and terminals are not told.
            is_of_the_kernel: false,
            leads_a_terminal: false,
        })),
        None => absent(pid),
    }
}

/// What it is called, and its program where that can be read.
pub fn names(pid: u32) -> Vec<String> {
    let Ok(mut system) = System::new() else { return Vec::new() };
    let wanted = sysinfo::Pid::from_u32(pid);
    let asked = ProcessRefreshKind::nothing().with_exe(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[wanted]), true, asked);
    let Some(process) = system.process(wanted) else { return Vec::new() };
    let program = process.exe().and_then(|path| path.file_name());
    [Some(process.name()), program]
        .into_iter()
        .flatten()
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
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
