//! What surrounds the models of this machine, read once when somebody asks: a
//! process's unit or container and its settings, the kernel's ways with
//! memory, swap, other watchers, room on disks.
//!
//! Nothing is changed. Secrets are masked here, before anything leaves.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

use super::environment;
use super::linux;
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::process::ProcessKey;
use crate::domain::sample::Reading;
use crate::domain::survey::{Disk, Housing, SwapArea, SwapKind};
use crate::domain::text::{clean, clean_bytes};

/// Programs that end others for want of memory, as the kernel names them: cut
/// to 15 characters.
const WATCHERS: [(&str, &str); 5] = [
    ("earlyoom", "earlyoom"),
    ("systemd-oomd", "systemd-oomd"),
    ("nohang", "nohang"),
    ("oomd", "oomd"),
    ("low-memory-moni", "low-memory-monitor"),
];

/// A table of swaps has some lines, an environment some KiB.
const LONGEST: u64 = 1 << 20;

/// Reads below a root; `/` is this machine.
#[derive(Debug, Clone)]
pub struct Surveyor {
    root: PathBuf,
}

impl Surveyor {
    pub fn new(root: PathBuf) -> Self {
        Surveyor { root }
    }

    /// The settings of a server, by its own environment.
    pub fn environment(&self, key: ProcessKey) -> Reading<Vec<(String, String)>> {
        let bytes = self.read(&format!("proc/{}/environ", key.pid))?;
        let mut settings = environment::shown(bytes.split(|byte| *byte == 0));
        settings.sort();
        Ok(settings)
    }

    /// What a process runs in.
    pub fn housing(&self, key: ProcessKey) -> Reading<Housing> {
        let groups = self.read(&format!("proc/{}/cgroup", key.pid))?;
        let uid = rustix::process::getuid().as_raw();
        Ok(match linux::housing_of(&String::from_utf8_lossy(&groups)) {
            Some(linux::Housed::Container { id }) => Housing::Container {
                name: linux::container_name(&self.root, uid, &id),
                limit: linux::limit_over(&self.root, &groups),
                id,
            },
            Some(linux::Housed::Unit { name, is_user }) => Housing::Unit { name, is_user },
            None => Housing::Plain,
        })
    }

    /// Whether its memory can be measured exactly.
    pub fn measures(&self, key: ProcessKey) -> Reading<()> {
        self.read(&format!("proc/{}/smaps_rollup", key.pid)).map(drop)
    }

    /// Watchers that run, by name.
    pub fn watchers(&self) -> Reading<Vec<String>> {
        let shown = "/proc";
        let entries = fs::read_dir(self.root.join("proc")).map_err(|e| fault(shown, &e))?;
        let mut found = Vec::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            let Some(comm) = is_process.then(|| fs::read(entry.path().join("comm")).ok()).flatten()
            else {
                continue;
            };
            let comm = clean_bytes(&comm);
            let known = WATCHERS.iter().find(|(short, _)| *short == comm);
            found.extend(known.map(|(_, name)| (*name).to_owned()));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// A number of `/proc/sys`.
    pub fn parameter(&self, path: &str) -> Reading<u64> {
        let below = format!("proc/sys/{path}");
        let bytes = self.read(&below)?;
        let text = String::from_utf8_lossy(&bytes);
        text.trim()
            .parse()
            .map_err(|_| SensorFault::new(FaultKind::Malformed, format!("/{below}: no number")))
    }

    pub fn swaps(&self) -> Reading<Vec<SwapArea>> {
        let bytes = self.read("proc/swaps")?;
        let text = String::from_utf8_lossy(&bytes);
        let area = |line: &str| {
            let mut fields = line.split_whitespace();
            let (name, kind) = (fields.next()?, fields.next()?);
            let size = Bytes::kib(fields.next()?.parse().ok()?);
            Some(SwapArea { name: clean(name), size, kind: self.kind_of_swap(name, kind) })
        };
        Ok(text.lines().skip(1).filter_map(area).collect())
    }

    fn kind_of_swap(&self, name: &str, kind: &str) -> SwapKind {
        if name.starts_with("/dev/zram") {
            return SwapKind::Zram;
        }
        let Ok(seen) = rustix::fs::stat(name) else { return SwapKind::Unknown };
        // A file lies on a device that only its numbers tell.
        let device = if kind == "partition" { seen.st_rdev } else { seen.st_dev };
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let folder = self.root.join(format!("sys/dev/block/{major}:{minor}"));
        // A partition's queue is that of its disk, a folder higher.
        let turns = ["queue/rotational", "../queue/rotational"]
            .iter()
            .find_map(|file| fs::read_to_string(folder.join(file)).ok());
        match turns.as_deref().map(str::trim) {
            Some("1") => SwapKind::Rotational,
            Some("0") => SwapKind::Solid,
            _ => SwapKind::Unknown,
        }
    }

    /// Addresses other than loopback on which a port is listened to.
    pub fn open_to(&self, port: u16) -> Reading<Vec<String>> {
        let tables = ["proc/net/tcp", "proc/net/tcp6"].map(|table| self.read(table));
        if let [Err(fault), Err(_)] = &tables {
            return Err(fault.clone());
        }
        let mut found = Vec::new();
        for table in tables.into_iter().flatten() {
            let text = String::from_utf8_lossy(&table).into_owned();
            let listening = text.lines().filter_map(|line| listening_address(line, port));
            let open = listening.filter(|address| !address.to_canonical().is_loopback());
            found.extend(open.map(|address| address.to_string()));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Whether other users' processes are hidden.
    pub fn hides_processes(&self) -> Reading<bool> {
        let bytes = self.read("proc/self/mounts")?;
        let text = String::from_utf8_lossy(&bytes);
        let proc = text.lines().rev().find(|line| line.split(' ').nth(1) == Some("/proc"));
        let options = proc.and_then(|line| line.split(' ').nth(3)).unwrap_or_default();
        let hides = |option: &str| {
            let value = option.strip_prefix("hidepid=");
            value.is_some_and(|value| !matches!(value, "0" | "off"))
        };
        Ok(options.split(',').any(hides) && !rustix::process::geteuid().is_root())
    }

    /// Whether a manager of services runs the machine.
    pub fn services(&self) -> Reading<()> {
        match self.root.join("run/systemd/system").is_dir() {
            true => Ok(()),
            false => Err(SensorFault::absent("systemd does not run this machine")),
        }
    }

    fn read(&self, below: &str) -> Reading<Vec<u8>> {
        use std::io::Read as _;
        let open = || -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            fs::File::open(self.root.join(below))?.take(LONGEST).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        open().map_err(|error| fault(&format!("/{below}"), &error))
    }
}

/// The local address of a line of the kernel's table of sockets, if it is one
/// that listens on this port. Each 32 bits of it are in the machine's order.
fn listening_address(line: &str, port: u16) -> Option<IpAddr> {
    let mut fields = line.split_whitespace();
    let (address, own) = fields.nth(1)?.split_once(':')?;
    let is_listening = fields.nth(1)? == "0A";
    (is_listening && u16::from_str_radix(own, 16).ok()? == port).then_some(())?;
    let word =
        |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match address.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// The file system a folder lies on, or would.
pub fn disk(folder: &Path) -> Reading<Disk> {
    let mut nearest = Some(folder);
    let mut last = None;
    while let Some(place) = nearest {
        match rustix::fs::statvfs(place) {
            Ok(seen) => {
                let free = Bytes::new(seen.f_bavail.saturating_mul(seen.f_frsize));
                return Ok(Disk { folder: clean(&folder.to_string_lossy()), free });
            }
            Err(error) => last = Some(error),
        }
        nearest = place.parent();
    }
    let shown = clean(&folder.to_string_lossy());
    let error = last.map_or_else(|| io::ErrorKind::NotFound.into(), io::Error::from);
    Err(fault(&shown, &error))
}

/// Whether we may signal a process; nothing is sent. `None`: it has gone.
pub fn may_signal(key: ProcessKey) -> Option<bool> {
    let pid = i32::try_from(key.pid).ok().and_then(Pid::from_raw)?;
    match test_kill_process(pid) {
        Ok(()) => Some(true),
        Err(rustix::io::Errno::SRCH) => None,
        Err(_) => Some(false),
    }
}

/// Whether an engine of containers takes a connection at once.
pub fn engine_listens(socket: &Path) -> Reading<()> {
    linux::connects(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SensorFault::absent("there is no such socket"),
        io::ErrorKind::PermissionDenied => {
            SensorFault::new(FaultKind::Denied, "this user may not use it")
        }
        io::ErrorKind::ConnectionRefused => {
            SensorFault::new(FaultKind::Failed, "nobody listens there")
        }
        kind => SensorFault::new(FaultKind::Failed, kind.to_string()),
    })
}

fn fault(shown: &str, error: &io::Error) -> SensorFault {
    linux::fault_of(shown, error)
}
