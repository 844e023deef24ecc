//! Which server owns the listening socket of a port, by its inode.
//!
//! A tunnel that holds the port looks like a local server from outside; its
//! socket tells that it is none.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::folder::ProcFolder;
use super::lines::{fields, number};
use super::proportional::pause_after;
use super::tracked::Tracked;
use crate::domain::process::ProcessRole;
use crate::domain::time::Monotonic;

/// `LISTEN` in the kernel's table of sockets.
const LISTENING: &[u8] = b"0A";
/// A server listens some time after it has started: looked at soon, then
/// twice as late each time, at last every half minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub struct Listeners {
    port: Option<u16>,
    is_new: bool,
    servers: Vec<u32>,
    pause: Duration,
    due: Option<Monotonic>,
}

impl Listeners {
    /// The port in question from now on; a new one is looked up at once.
    pub fn ask(&mut self, port: Option<u16>) {
        self.is_new |= self.port != port;
        self.port = port;
    }

    /// Marks each server with whether it listens on the port.
    pub fn mark(&mut self, folder: &mut ProcFolder, tracked: &mut [Tracked], now: Monotonic) {
        let pids = || tracked.iter().filter(|one| one.is_server()).map(|one| one.process.key.pid);
        if std::mem::take(&mut self.is_new) || !pids().eq(self.servers.iter().copied()) {
            self.servers = pids().collect();
            self.pause = FIRST_PAUSE;
        } else if self.due.is_none_or(|due| now < due) {
            return;
        }
        if self.servers.is_empty() {
            self.due = None;
            return;
        }
        let started = Instant::now();
        let inodes = self.port.and_then(|port| listening(folder, port));
        for one in tracked {
            if let ProcessRole::Server { listens, .. } = &mut one.process.role {
                let pid = one.process.key.pid;
                *listens = inodes.as_ref().and_then(|inodes| owns(folder, pid, inodes));
            }
        }
        // The table of a machine with many sockets is long.
        self.due = Some(now.plus(self.pause.max(pause_after(started.elapsed()))));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

/// Inodes of the sockets that listen on a port; `None` where none of the
/// tables can be read.
fn listening(folder: &mut ProcFolder, port: u16) -> Option<HashSet<u64>> {
    let mut found: Option<HashSet<u64>> = None;
    for table in ["net/tcp", "net/tcp6"] {
        let Ok(text) = folder.read_below(table) else { continue };
        let inodes = found.get_or_insert_default();
        inodes.extend(text.split(|byte| *byte == b'\n').filter_map(|line| socket(line, port)));
    }
    found
}

fn socket(line: &[u8], port: u16) -> Option<u64> {
    let mut parts = fields(line);
    let local = parts.nth(1)?;
    let colon = local.iter().position(|byte| *byte == b':')?;
    let text = std::str::from_utf8(&local[colon + 1..]).ok()?;
    (u16::from_str_radix(text, 16).ok()? == port).then_some(())?;
    (parts.nth(1)? == LISTENING).then_some(())?;
    // Behind the state: queues, timer, retransmits, user, time-out, inode.
    number(parts.nth(5)?).filter(|inode| *inode != 0)
}

fn owns(folder: &ProcFolder, pid: u32, inodes: &HashSet<u64>) -> Option<bool> {
    let mut links = folder.links(pid, "fd")?;
    Some(links.any(|link| {
        let text = link.to_string_lossy();
        let inode = text.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.and_then(|inode| number(inode.as_bytes())).is_some_and(|i| inodes.contains(&i))
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let line =
            b"   1: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     \
            0        0 1145341 2 00000000e3974fcd 100 0 0 10 0";
        assert_eq!(socket(line, 11434), Some(1_145_341));
        assert_eq!(socket(line, 11435), None);
        let connected = String::from_utf8_lossy(line).replace(" 0A ", " 01 ");
        assert_eq!(socket(connected.as_bytes(), 11434), None);
        let six = connected
            .replace("0100007F:2CAA", "00000000000000000000000001000000:2CAA")
            .replace(" 01 ", " 0A ");
        assert_eq!(socket(six.as_bytes(), 11434), Some(1_145_341));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = socket(&line, 1);
        }
    }
}
