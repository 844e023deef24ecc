//! Linux: a pid is held by a descriptor, which never comes to mean another
//! process. Kernels and sandboxes without such descriptors get the pid itself.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::Facts;

/// How often a process is looked at while it ends: rarely has one to be ended,
/// and a person waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct Grip {
    pid: Pid,
    descriptor: Option<OwnedFd>,
}

impl Grip {
    /// A process that is gone has no descriptor either; the check before the
    /// first signal finds that out.
    pub fn on(pid: Pid) -> io::Result<Self> {
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok();
        Ok(Grip { pid, descriptor })
    }

    pub fn send(&self, signal: Signal) -> rustix::io::Result<()> {
        match &self.descriptor {
            Some(descriptor) => pidfd_send_signal(descriptor, signal),
            None => kill_process(self.pid, signal),
        }
    }

    /// Ends when the process has ended, reaped or not.
    pub async fn gone(&self) {
        while !self.is_gone() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn is_gone(&self) -> bool {
        if let Some(descriptor) = &self.descriptor {
            let mut asked = [PollFd::new(descriptor, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            return poll(&mut asked, Some(&now)).is_ok_and(|ready| ready > 0);
        }
        let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
        !matches!(facts(pid), Ok(Some(facts)) if !facts.is_zombie)
    }
}

/// From `/proc/PID/stat`; the name in it may hold anything, so the fields are
/// counted from its last bracket.
pub fn facts(pid: u32) -> io::Result<Option<Facts>> {
    let stat = match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Reading while it ends.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(error) => return Err(error),
    };
    parse(&stat).map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Clock ticks since boot: exact.
pub fn is_same_start(seen: u64, known: u64) -> bool {
    seen == known
}

fn parse(stat: &[u8]) -> Option<Facts> {
    let bracket = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[bracket + 1..]).ok()?;
    // Field 3 is the first after the name.
    let mut fields = text.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22; 5 is next.
    let started = fields.nth(17)?.parse().ok()?;
    Some(Facts { started, parent, is_zombie: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_hides_nothing() {
        let stat = b"42 (a) Z 9 (b) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let expected = Facts { started: 98765, parent: 7, is_zombie: false };
        assert_eq!(parse(stat), Some(expected));
        assert_eq!(parse(b"42 (x) S 7"), None);
        assert_eq!(parse(b""), None);
    }
}
