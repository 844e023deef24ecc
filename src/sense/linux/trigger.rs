//! The kernel's own word that programs stall on memory: a trigger on its
//! pressure file.
//!
//! It says so within a tenth of its window, and once a window at most. It
//! comes late or not at all on some machines, so it only adds to sampling.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};

use super::file::fault;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::Reading;
use crate::sense::Waker;

const FILE: &str = "proc/pressure/memory";

/// 7.5 % of a window of 1 s, as phones watch it; it takes `CAP_SYS_RESOURCE`.
const PRIVILEGED: &[u8] = b"some 75000 1000000\n";
/// The same share of 2 s: others get windows of whole 2 s only. The kernel
/// writes over the last byte, which therefore is a line end.
const ORDINARY: &[u8] = b"some 150000 2000000\n";

/// A trigger that the kernel has granted. It lasts as long as its descriptor.
#[derive(Debug)]
pub struct Trigger<F> {
    file: F,
}

impl Trigger<File> {
    pub fn open(root: &Path) -> Reading<Self> {
        let shown = format!("/{FILE}");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(root.join(FILE))
            .map_err(|error| fault(&shown, &error))?;
        let write = |rule: &[u8]| (&file).write_all(rule);
        let is_refused = |error: &io::Error| error.raw_os_error() == Some(libc::EINVAL);
        write(PRIVILEGED)
            .or_else(|error| if is_refused(&error) { write(ORDINARY) } else { Err(error) })
            .map_err(|error| match is_refused(&error) {
                true => SensorFault::new(
                    FaultKind::Denied,
                    format!("{shown}: this kernel grants no trigger without privilege"),
                ),
                false => fault(&shown, &error),
            })?;
        Ok(Trigger { file })
    }
}

impl<F: AsFd + Send> Waker for Trigger<F> {
    fn wait(&mut self) -> Reading<()> {
        let mut polled = [PollFd::new(&self.file, PollFlags::PRI)];
        loop {
            match poll(&mut polled, None) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(fault("/proc/pressure/memory", &error.into())),
                Ok(_) => break,
            }
        }
        let seen = polled[0].revents();
        // Anything but its own word is an end: waiting on would not block.
        if seen.contains(PollFlags::PRI) && !seen.intersects(PollFlags::ERR | PollFlags::NVAL) {
            return Ok(());
        }
        let detail = "/proc/pressure/memory: the kernel took the trigger back";
        Err(SensorFault::new(FaultKind::Failed, detail))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use rustix::net::SendFlags;

    use super::*;

    /// Urgent data on a socket is told in the same word as stalls are.
    #[test]
    fn the_kernels_word_ends_the_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        let mut trigger = Trigger { file: receiver };
        rustix::net::send(&sender, b"!", SendFlags::OOB).unwrap();
        assert_eq!(trigger.wait(), Ok(()));
    }

    #[test]
    fn a_trigger_taken_back_is_an_end() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let fault = Trigger { file: writer }.wait().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Failed);
    }

    #[test]
    fn without_a_pressure_file_there_is_a_reason() {
        let root = tempfile::tempdir().unwrap();
        let fault = Trigger::open(root.path()).unwrap_err();
        assert_eq!(fault, SensorFault::absent("/proc/pressure/memory: no such file"));
    }

    /// Needs a real Linux machine: the kernel grants it, or says why not.
    #[cfg(target_os = "linux")]
    #[test]
    fn this_kernel_grants_or_refuses() {
        match Trigger::open(Path::new("/")) {
            Ok(trigger) => {
                let second = (&trigger.file).write(ORDINARY).unwrap_err();
                assert_eq!(second.raw_os_error(), Some(libc::EBUSY), "it has one already");
            }
            Err(fault) => assert!(fault.detail.starts_with("/proc/pressure/memory: "), "{fault}"),
        }
    }
}
