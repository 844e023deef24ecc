//! One process that is followed: who it is, read once, and what it holds, read
//! on every tick from descriptors kept open.
//!
//! A descriptor of a process's file belongs to that process for good. While it
//! answers, the process lives, and no other one has taken its number.

use std::fs::File;
use std::time::Duration;

use super::file::{Shape, fill};
use super::folder::ProcFolder;
use super::process::{Stat, Status, name_in_stat, resident_pages};
use crate::domain::bytes::Bytes;
use crate::domain::process::{Process, ProcessKey, ProcessMemory, ProcessRole};
use crate::domain::text::clean_bytes;
use crate::sense::arguments::{self, Recognised};
use crate::sense::environment;

/// The kernel keeps so much of a name.
const KERNEL_NAME: usize = 15;

/// What the numbers of `/proc` are counted in on this machine.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    pub page: Bytes,
    pub ticks_per_second: u64,
}

impl Units {
    fn time(self, ticks: u64) -> Duration {
        let per_second = self.ticks_per_second.max(1);
        let millis = u128::from(ticks) * 1000 / u128::from(per_second);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    fn pages(self, count: u64) -> Bytes {
        Bytes::new(self.page.get().saturating_mul(count))
    }
}

/// A server, a runner or a named process, with its memory split.
#[derive(Debug)]
pub struct Tracked {
    pub process: Process,
    /// `None`: followed because the config names it.
    pub recognised: Option<Recognised>,
    /// As the kernel spells it: another one means another program.
    kernel_name: Vec<u8>,
    /// It took another name since it was looked at.
    pub is_renamed: bool,
    stat: File,
    status: File,
    units: Units,
}

impl Tracked {
    /// `None`: it has gone meanwhile, or is a thread under its own number.
    pub fn open(
        folder: &mut ProcFolder,
        pid: u32,
        recognised: Option<Recognised>,
        units: Units,
    ) -> Option<Tracked> {
        let role = role(folder, pid, recognised.as_ref());
        let process = identify(folder, pid, role)?;
        let stat = folder.open_file(pid, "stat").ok()?;
        let status = folder.open_file(pid, "status").ok()?;
        let kernel_name = name_in_stat(folder.read(pid, "stat").ok()?)?.to_vec();
        let is_renamed = false;
        let mut tracked =
            Tracked { process, recognised, kernel_name, is_renamed, stat, status, units };
        tracked.refresh(&mut folder.buffer).then_some(tracked)
    }

    /// Reads it again; false when it has gone.
    pub fn refresh(&mut self, buffer: &mut Vec<u8>) -> bool {
        let Ok(length) = fill(&self.stat, Shape::Piece, buffer) else { return false };
        let Some(stat) = Stat::parse(&buffer[..length]) else { return false };
        if stat.started != self.process.key.started {
            return false;
        }
        let name = name_in_stat(&buffer[..length]);
        self.is_renamed |= name.is_some_and(|name| name != self.kernel_name);
        self.process.parent = stat.parent;
        self.process.cpu = Some(self.units.time(stat.ticks));
        self.process.is_zombie = stat.is_zombie;
        let Ok(length) = fill(&self.status, Shape::Piece, buffer) else { return false };
        self.process.memory = memory_of(&Status::parse(&buffer[..length]), stat.is_zombie);
        true
    }

    pub fn is_server(&self) -> bool {
        matches!(self.process.role, ProcessRole::Server { .. })
    }
}

/// One of the largest others: known by name and size only.
#[derive(Debug)]
pub struct Other {
    pub process: Process,
    /// As the kernel spells it, to see that it became another program.
    kernel_name: Vec<u8>,
    statm: File,
    units: Units,
}

impl Other {
    pub fn open(folder: &mut ProcFolder, pid: u32, units: Units) -> Option<Other> {
        let process = identify(folder, pid, ProcessRole::Other)?;
        let kernel_name = folder.read(pid, "comm").ok()?.to_vec();
        let statm = folder.open_file(pid, "statm").ok()?;
        let mut other = Other { process, kernel_name, statm, units };
        other.refresh(&mut folder.buffer).then_some(other)
    }

    /// Reads its size again; false when it has gone.
    pub fn refresh(&mut self, buffer: &mut Vec<u8>) -> bool {
        let Ok(length) = fill(&self.statm, Shape::Piece, buffer) else { return false };
        let Some(pages) = resident_pages(&buffer[..length]) else { return false };
        self.process.memory.resident = Some(self.units.pages(pages));
        true
    }

    /// Whether it still is the program it was when it was named.
    pub fn is_same_program(&self, folder: &mut ProcFolder) -> bool {
        folder.read(self.process.key.pid, "comm").is_ok_and(|name| name == self.kernel_name)
    }
}

fn identify(folder: &mut ProcFolder, pid: u32, role: ProcessRole) -> Option<Process> {
    let status = Status::parse(folder.read(pid, "status").ok()?);
    status.group.is_none_or(|group| group == pid).then_some(())?;
    let text = folder.read(pid, "stat").ok()?;
    let stat = Stat::parse(text)?;
    let name = name_in_stat(text)?.to_vec();
    let name = whole_name(folder, pid, name);
    Some(Process {
        key: ProcessKey { pid, started: stat.started },
        parent: stat.parent,
        name: clean_bytes(&name),
        role,
        uid: status.uid,
        memory: ProcessMemory::default(),
        cpu: None,
        is_zombie: stat.is_zombie,
        matched: Vec::new(),
    })
}

/// A name the kernel has cut, completed from the program's path where that
/// begins with it.
fn whole_name(folder: &mut ProcFolder, pid: u32, name: Vec<u8>) -> Vec<u8> {
    if name.len() < KERNEL_NAME {
        return name;
    }
    let Ok(line) = folder.read(pid, "cmdline") else { return name };
    completed(name, line)
}

/// As [`whole_name`], with the command line at hand.
pub fn completed(name: Vec<u8>, line: &[u8]) -> Vec<u8> {
    if name.len() < KERNEL_NAME {
        return name;
    }
    let program = line.split(|byte| *byte == 0).next().map(arguments::base_name);
    match program {
        Some(program) if program.starts_with(&name) => program.to_vec(),
        _ => name,
    }
}

fn role(folder: &mut ProcFolder, pid: u32, recognised: Option<&Recognised>) -> ProcessRole {
    match recognised {
        None => ProcessRole::Other,
        Some(Recognised::Server) => {
            // That of another user's process cannot be read.
            let environ = folder.read(pid, "environ").unwrap_or_default();
            let found = environment::of_server(environ.split(|byte| *byte == 0));
            ProcessRole::Server { host: found.host, listens: None, environment: found.settings }
        }
        Some(Recognised::Runner(found)) => {
            let mut found = found.clone();
            found.in_ollama_folder = folder
                .link(pid, "exe")
                .map(|path| arguments::is_in_ollama_folder(&path, found.program));
            ProcessRole::Runner(found)
        }
    }
}

pub fn memory_of(status: &Status, is_zombie: bool) -> ProcessMemory {
    // A zombie has given everything back; its `status` has no sizes at all.
    let none_left = is_zombie.then_some(Bytes::ZERO);
    ProcessMemory {
        resident: status.resident.or(none_left),
        anonymous: status.anonymous.or(none_left),
        file: status.file.or(none_left),
        shared: status.shared.or(none_left),
        swapped: status.swapped.or(none_left),
        ..ProcessMemory::default()
    }
}
