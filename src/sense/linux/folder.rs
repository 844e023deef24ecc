//! The folder `/proc` as a list of processes, and the way to their files.
//!
//! Files are opened relative to a kept descriptor of the folder, and read into
//! the buffer that all readers share.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};

use super::file::{Kept, Shape, fault, fill, read_once};
use super::lines::{fields, number};
use crate::domain::fault::{FaultKind, SensorFault};

#[derive(Debug)]
pub struct ProcFolder {
    path: PathBuf,
    directory: Option<OwnedFd>,
    loadavg: Kept,
    /// Reused to spell `PID/file`.
    name: String,
    /// Reused for what is read.
    pub buffer: Vec<u8>,
}

impl ProcFolder {
    pub fn new(root: &Path) -> Self {
        ProcFolder {
            path: root.join("proc"),
            directory: None,
            loadavg: Kept::new(root, "proc/loadavg"),
            name: String::new(),
            buffer: Vec::new(),
        }
    }

    /// Opens the folder itself, if that has not been done.
    pub fn open(&mut self) -> Result<(), SensorFault> {
        if self.directory.is_some() {
            return Ok(());
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(directory) => {
                self.directory = Some(directory);
                Ok(())
            }
            Err(error) => {
                let found = fault("/proc", &error.into());
                // A machine without `/proc` is not an ordinary one.
                let kind = match found.kind {
                    FaultKind::Absent => FaultKind::Failed,
                    kind => kind,
                };
                Err(SensorFault { kind, ..found })
            }
        }
    }

    pub fn open_file(&mut self, pid: u32, file: &str) -> io::Result<File> {
        let directory = self.directory.as_ref().ok_or(io::ErrorKind::NotFound)?;
        self.name.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.name, "{pid}/{file}");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(File::from(openat(directory, self.name.as_str(), flags, Mode::empty())?))
    }

    /// A file of a process as it is now.
    pub fn read(&mut self, pid: u32, file: &str) -> io::Result<&[u8]> {
        let file = self.open_file(pid, file)?;
        let length = fill(&file, Shape::Piece, &mut self.buffer)?;
        Ok(&self.buffer[..length])
    }

    /// A file below `/proc` that belongs to no process and is read seldom.
    pub fn read_below(&mut self, below: &str) -> io::Result<&[u8]> {
        read_once(&self.path.join(below), &mut self.buffer)
    }

    /// What a link of a process points at.
    pub fn link(&self, pid: u32, link: &str) -> Option<PathBuf> {
        std::fs::read_link(self.path.join(format!("{pid}/{link}"))).ok()
    }

    /// The links in a folder of a process; `None` where it may not be read.
    pub fn links(&self, pid: u32, folder: &str) -> Option<impl Iterator<Item = PathBuf>> {
        let entries = std::fs::read_dir(self.path.join(format!("{pid}/{folder}"))).ok()?;
        Some(entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()))
    }

    /// All processes, in no order.
    pub fn list(&self, into: &mut Vec<u32>) -> Result<(), SensorFault> {
        into.clear();
        let entries = std::fs::read_dir(&self.path).map_err(|error| fault("/proc", &error))?;
        into.extend(entries.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            u32::try_from(number(name.as_encoded_bytes())?).ok()
        }));
        Ok(())
    }

    /// The number of the process or thread made last: 0.8 µs to know whether
    /// any was made since the last look.
    pub fn newest(&mut self) -> Option<u32> {
        let text = self.loadavg.read(&mut self.buffer).ok()?;
        u32::try_from(number(fields(text).nth(4)?)?).ok()
    }

    /// Whether `/proc` is mounted so that other users' processes do not show.
    pub fn hides_others(&mut self) -> bool {
        if self.read(1, "stat").is_ok() {
            return false;
        }
        let Ok(mounts) = self.read_below("self/mounts") else { return false };
        mounts.split(|byte| *byte == b'\n').any(|line| {
            let mut parts = fields(line);
            let is_proc = parts.nth(1) == Some(b"/proc");
            let options = parts.nth(1).unwrap_or_default();
            is_proc
                && options.split(|byte| *byte == b',').any(|option| {
                    option
                        .strip_prefix(b"hidepid=")
                        .is_some_and(|how| !matches!(how, b"0" | b"off"))
                })
        })
    }
}
