//! One pass over a recording, which may be long: its entries one after the
//! other, and on a terminal how far it is. It judges nothing.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::Result;

use crate::cli::progress::Progress;
use crate::domain::Bytes;
use crate::recording::{Entry, Reader, RecordingError};

pub(super) struct Pass {
    entries: Reader<BufReader<Counting>>,
    /// As in `simulating`.
    doing: &'static str,
    read: Rc<Cell<u64>>,
    /// As it was at the beginning.
    size: u64,
    progress: Progress,
}

impl Pass {
    pub fn over(path: &Path, doing: &'static str) -> Result<Pass> {
        let file = File::open(path).map_err(RecordingError::Open)?;
        let size = file.metadata().map_or(0, |seen| seen.len());
        let read = Rc::new(Cell::new(0));
        let file = Counting { file, read: Rc::clone(&read) };
        let entries = Reader::new(BufReader::new(file))?;
        Ok(Pass { entries, doing, read, size, progress: Progress::new() })
    }
}

impl Iterator for Pass {
    type Item = Result<Entry, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (doing, read, size) = (self.doing, self.read.get(), self.size);
        self.progress.tell(|| words(doing, read, size));
        self.entries.next()
    }
}

/// A pipe has no size: of it no more is known than what was read.
fn words(doing: &str, read: u64, size: u64) -> String {
    let (read, size) = (Bytes::new(read), Bytes::new(size));
    match read.min(size).share_of(size) {
        Some(share) => format!("{doing}: {:.0} % of {size}", share.get().floor()),
        None => format!("{doing}: {read}"),
    }
}

/// A file, and how much of it was read.
struct Counting {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.set(self.read.get().saturating_add(read as u64));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_never_goes_beyond_the_whole() {
        let mib = 1 << 20;
        assert_eq!(words("simulating", 0, 4 * mib), "simulating: 0 % of 4 MiB");
        assert_eq!(words("simulating", 4 * mib - 1, 4 * mib), "simulating: 99 % of 4 MiB");
        // Written to meanwhile.
        assert_eq!(words("simulating", 5 * mib, 4 * mib), "simulating: 100 % of 4 MiB");
        assert_eq!(words("parsing", 5 * mib, 0), "parsing: 5 MiB");
    }

    #[test]
    fn a_pass_ends_with_all_of_the_file_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let host = r#"{"name":"there","system":"Linux","kernel":"6.1"}"#;
        let head = format!("{{\"format\":\"plimsoll recording\",\"version\":1,\"host\":{host}}}\n");
        std::fs::write(file.path(), &head).unwrap();
        let mut pass = Pass::over(file.path(), "simulating").unwrap();
        assert!(pass.next().is_none());
        assert_eq!((pass.read.get(), pass.size), (head.len() as u64, head.len() as u64));
    }
}
