//! Files of `/proc` and `/sys` that are read again and again.
//!
//! The descriptor stays open and is read from the start with one `pread` into
//! a buffer that all readers share: no path is walked and nothing is allocated
//! on a tick.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::domain::fault::{FaultKind, SensorFault};

/// Most of these files fit; `vmstat` of a large machine does not quite.
const SMALLEST_BUFFER: usize = 16 * 1024;
/// No file read here is longer on a sane machine; `/proc/net/tcp` with ten
/// thousand sockets is about 1.5 MiB.
const LONGEST_FILE: usize = 8 * 1024 * 1024;

/// How the kernel hands a file out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Made in one piece: one read gets all of it.
    Piece,
    /// Made line by line, and cut where its page is full: read on to the end.
    Lines,
}

/// A file kept open.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    shown: String,
    shape: Shape,
    file: Option<File>,
}

impl Kept {
    /// `below` is relative to the root and is what faults name.
    pub fn new(root: &Path, below: &str) -> Self {
        Kept { path: root.join(below), shown: format!("/{below}"), shape: Shape::Piece, file: None }
    }

    pub fn in_lines(mut self) -> Self {
        self.shape = Shape::Lines;
        self
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Its text now. Where the kept descriptor has nothing to say any more
    /// (the file was replaced, the device went and came), it is opened anew.
    pub fn read<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], SensorFault> {
        let kept = self.read_same(buffer).unwrap_or_default();
        let length = if kept > 0 {
            kept
        } else {
            self.open().and_then(|()| self.read_same(buffer)).map_err(|e| fault(&self.shown, &e))?
        };
        Ok(&buffer[..length])
    }

    fn open(&mut self) -> io::Result<()> {
        self.file = None;
        self.file = Some(File::open(&self.path)?);
        Ok(())
    }

    /// Its length in the buffer, from the kept descriptor only.
    fn read_same(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match &self.file {
            Some(file) => fill(file, self.shape, buffer),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// The whole of a file that is not kept.
pub fn read_once<'b>(path: &Path, buffer: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
    let length = fill(&File::open(path)?, Shape::Lines, buffer)?;
    Ok(&buffer[..length])
}

/// Reads a file from its start into the buffer and answers the length.
pub fn fill(file: &File, shape: Shape, buffer: &mut Vec<u8>) -> io::Result<usize> {
    if buffer.len() < SMALLEST_BUFFER {
        buffer.resize(SMALLEST_BUFFER, 0);
    }
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled >= LONGEST_FILE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no end"));
            }
            buffer.resize(filled * 2, 0);
        }
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => return Ok(filled),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if shape == Shape::Piece && filled < buffer.len() {
            return Ok(filled);
        }
    }
}

/// Why a file could not be read, as a word the state can hear.
pub fn fault(shown: &str, error: &io::Error) -> SensorFault {
    let (kind, words) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            (FaultKind::Absent, "no such file".to_owned())
        }
        io::ErrorKind::PermissionDenied => (FaultKind::Denied, "permission denied".to_owned()),
        io::ErrorKind::InvalidData => (FaultKind::Malformed, "does not end".to_owned()),
        // Compiled into the kernel and switched off there.
        _ if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            (FaultKind::Absent, "switched off in this kernel".to_owned())
        }
        kind => (FaultKind::Failed, kind.to_string()),
    };
    SensorFault::new(kind, format!("{shown}: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_read_anew_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meminfo");
        let mut buffer = Vec::new();
        let mut kept = Kept::new(folder.path(), "meminfo");
        let missing = SensorFault::absent("/meminfo: no such file");
        assert_eq!(kept.read(&mut buffer), Err(missing));
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(kept.read(&mut buffer), Ok(&b"one\n"[..]));
        std::fs::write(&path, "two, longer\n").unwrap();
        assert_eq!(kept.read(&mut buffer), Ok(&b"two, longer\n"[..]));
        std::fs::write(&path, "").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "three\n").unwrap();
        assert_eq!(kept.read(&mut buffer), Ok(&b"three\n"[..]));
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![b'x'; 100_000];
        std::fs::write(folder.path().join("long"), &long).unwrap();
        let mut buffer = Vec::new();
        let kept = Kept::new(folder.path(), "long").in_lines().read(&mut buffer).unwrap().len();
        assert_eq!(kept, long.len());
    }

    #[test]
    fn a_switched_off_file_is_absent() {
        let error = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        let found = fault("/proc/pressure/memory", &error);
        assert_eq!(found.kind, FaultKind::Absent);
        let denied = fault("/x", &io::ErrorKind::PermissionDenied.into());
        assert_eq!(denied, SensorFault::new(FaultKind::Denied, "/x: permission denied"));
    }
}
