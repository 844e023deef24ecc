//! What a program that was started here, and all that came of it, hold; and
//! what plimsoll itself had at most. For commands that measure or take memory.
//!
//! It ends nothing and starts nothing.

use std::mem::MaybeUninit;

use crate::domain::bytes::Bytes;
use crate::domain::process::{ProcessKey, ProcessMemory};
use crate::domain::sample::Reading;

/// A process that came of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    pub key: ProcessKey,
    pub parent: u32,
    pub is_zombie: bool,
    pub memory: ProcessMemory,
}

/// The processes that came of this one.
#[derive(Debug)]
pub struct Family {
    #[cfg(target_os = "linux")]
    descendants: super::linux::descendants::Descendants,
    /// Whose own parent ended comes to this process, not to the system's first.
    takes_in: bool,
}

impl Family {
    /// From now on whatever is started here stays below this process, also when
    /// its own parent ends, as that of a daemon does.
    #[cfg(target_os = "linux")]
    pub fn begin() -> Family {
        let this = rustix::process::getpid();
        Family {
            descendants: super::linux::descendants::Descendants::new(std::path::Path::new("/")),
            takes_in: rustix::process::set_child_subreaper(Some(this)).is_ok(),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub fn begin() -> Family {
        Family { takes_in: false }
    }

    /// A process that leaves its parent is followed as well.
    pub fn takes_in(&self) -> bool {
        self.takes_in
    }

    #[cfg(target_os = "linux")]
    pub fn read(&mut self) -> Reading<Vec<Relative>> {
        self.descendants.read(std::process::id())
    }

    #[cfg(not(target_os = "linux"))]
    pub fn read(&mut self) -> Reading<Vec<Relative>> {
        use crate::domain::fault::SensorFault;
        Err(SensorFault::absent("the processes of a command are followed on Linux only"))
    }
}

/// The most that one process was resident with: this one.
pub fn own_peak() -> Option<Bytes> {
    peak(libc::RUSAGE_SELF)
}

/// The same of those that it started and that have ended: the largest single
/// one. A process begins with the figure of the one that started it.
pub fn largest_ended() -> Option<Bytes> {
    peak(libc::RUSAGE_CHILDREN)
}

#[expect(unsafe_code, reason = "no safe wrapper for getrusage is among the dependencies")]
fn peak(whose: libc::c_int) -> Option<Bytes> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a place of that very type, for this call.
    let failed = unsafe { libc::getrusage(whose, usage.as_mut_ptr()) } != 0;
    // SAFETY: zeros are a valid `rusage`, and the call writes nothing else.
    let most = unsafe { usage.assume_init() }.ru_maxrss;
    let most = u64::try_from(most).ok().filter(|most| !failed && *most > 0)?;
    // Linux counts in KiB, macOS in bytes.
    Some(if cfg!(target_os = "macos") { Bytes::new(most) } else { Bytes::kib(most) })
}

/// The kernel is to take this process first when memory runs out.
#[cfg(target_os = "linux")]
pub fn offer_to_the_kernel() -> std::io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", "1000")
}

#[cfg(not(target_os = "linux"))]
pub fn offer_to_the_kernel() -> std::io::Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// What this process holds in pages of its own, swapped ones too.
#[cfg(target_os = "linux")]
pub fn held_here() -> Option<Bytes> {
    let status = std::fs::read("/proc/self/status").ok()?;
    let status = super::linux::process::Status::parse(&status);
    Some(status.anonymous? + status.swapped.unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
pub fn held_here() -> Option<Bytes> {
    None
}

/// Whoever started this wants it to outlive the terminal.
#[cfg(target_os = "linux")]
pub fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The first bit is the first signal, which is SIGHUP.
    ignored
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .is_some_and(|bits| bits & 1 == 1)
}

#[cfg(not(target_os = "linux"))]
pub fn hang_ups_are_ignored() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_had_something() {
        assert!(own_peak().is_some_and(|most| most > Bytes::mib(1)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_held_here_is_no_more_than_the_peak_and_swap() {
        assert!(held_here().is_some_and(|held| held > Bytes::kib(100)));
    }
}
