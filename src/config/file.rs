//! Opening a file that somebody named, without waiting for a pipe's other end.
//! It reads nothing.

use std::fs::{File, metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Opening a pipe waits for its writer, and whoever follows the file with it.
/// One that a shell opened is there already.
pub fn open(path: &Path) -> io::Result<File> {
    let is_opened = ["/dev/fd", "/dev/stdin", "/proc"].iter().any(|of| path.starts_with(of));
    if !is_opened && metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::other("it is a pipe"));
    }
    File::open(path)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for_and_one_that_is_open_already_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(open(&pipe).unwrap_err().to_string(), "it is a pipe");
        let (reader, _writer) = io::pipe().unwrap();
        assert!(open(Path::new(&format!("/dev/fd/{}", reader.as_raw_fd()))).is_ok());
        assert!(open(&folder.path().join("nothing")).is_err());
    }
}
