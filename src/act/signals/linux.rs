//! Linux: a pid is held by a descriptor, which never comes to mean another
//! process. Kernels and sandboxes without such descriptors get the pid itself.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::protected::Facts;

/// How often a process is looked at while it ends: rarely has one to be ended,
/// and a person waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// `PF_KTHREAD` of the kernel's `sched.h`.
const KERNEL_THREAD: u32 = 0x0020_0000;

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
    parse(pid, &stat).map(Some).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Clock ticks since boot: exact.
pub fn is_same_start(seen: u64, known: u64) -> bool {
    seen == known
}

fn parse(pid: u32, stat: &[u8]) -> Option<Facts> {
    let bracket = stat.iter().rposition(|byte| *byte == b')')?;
    let text = std::str::from_utf8(&stat[bracket + 1..]).ok()?;
    // Field 3 is the first after the name.
    let mut fields = text.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // Fields 6, 7 and 9: session, terminal, flags.
    let session: u32 = fields.nth(1)?.parse().ok()?;
    let terminal: i32 = fields.next()?.parse().ok()?;
    let flags: u32 = fields.nth(1)?.parse().ok()?;
    // Field 22; 10 is next.
    let started = fields.nth(12)?.parse().ok()?;
    Some(Facts {
        started,
        parent,
        is_zombie: matches!(state, "Z" | "X"),
        is_stopped: state == "T",
        is_of_the_kernel: flags & KERNEL_THREAD != 0,
        leads_a_terminal: session == pid && terminal != 0,
    })
}

/// What it calls itself, and its program: each may be all that can be read.
pub fn names(pid: u32) -> Vec<String> {
    let own = std::fs::read(format!("/proc/{pid}/comm")).ok();
    let own = own.map(|name| String::from_utf8_lossy(&name).trim_end().to_owned());
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let program = program.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    own.into_iter().chain(program).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_hides_nothing() {
        let stat = b"42 (a) Z 9 (b) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let expected = Facts { started: 98765, parent: 7, ..Facts::default() };
        assert_eq!(parse(42, stat), Some(expected));
        assert_eq!(parse(42, b"42 (x) S 7"), None);
        assert_eq!(parse(42, b""), None);
    }

    #[test]
    fn sessions_stops_and_kernel_threads_are_told_apart() {
        let stat = |rest: &str| parse(42, format!("42 (x) {rest} 20 0 1 0 5 1").as_bytes());
        let facts = |text: &str| stat(text).unwrap();
        let shell = facts("S 7 42 42 34816 42 4194560 1 2 3 4 5 6 7 8");
        assert!(shell.leads_a_terminal && !shell.is_of_the_kernel && !shell.is_stopped);
        let child = facts("T 7 43 41 34816 42 4194560 1 2 3 4 5 6 7 8");
        assert!(!child.leads_a_terminal && child.is_stopped);
        let service = facts("S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8");
        assert!(!service.leads_a_terminal);
        assert!(facts("I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0").is_of_the_kernel);
    }
}
