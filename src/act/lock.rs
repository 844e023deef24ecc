//! One engine acts on a machine: who holds this lock. The kernel drops it when
//! its holder ends, however that ends, so a dead pid in the file means nothing.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A pid has at most ten digits; anything longer is not ours.
const LONGEST_PID: u64 = 16;

/// Held until dropped. The file stays: removing it would let two processes
/// lock two files of one name.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Who holds a lock, to one who only asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    /// Its pid, where the file says it.
    Somebody(Option<u32>),
    /// The file may not be read.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
pub enum LockFault {
    /// Somebody else acts here.
    #[error("another plimsoll acts on this machine{}", by.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Held { by: Option<u32> },
    #[error("the lock file {} cannot be used", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock, or says at once who has it. Missing folders are made,
    /// for this user only.
    pub fn acquire(path: &Path) -> Result<Lock, LockFault> {
        let unusable = |source| LockFault::Unusable { path: path.to_owned(), source };
        let mut file = open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockFault::Held { by: holder(&mut file) }),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        write_pid(&mut file).map_err(unusable)?;
        Ok(Lock { file, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its file still lies where others look for it. One that was removed, or
    /// replaced, keeps nobody away.
    pub fn is_in_place(&self) -> bool {
        let same = |(ours, theirs): (Metadata, Metadata)| {
            (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
        };
        let ours = self.file.metadata();
        ours.and_then(|ours| Ok((ours, fs::symlink_metadata(&self.path)?))).is_ok_and(same)
    }

    /// Who holds it now. Takes it for a moment where nobody does; who starts
    /// in that moment tries again.
    pub fn holder(path: &Path) -> Holder {
        let mut file = match OpenOptions::new().read(true).open(path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Holder::Nobody,
            Err(_) => return Holder::Unknown,
        };
        match file.try_lock_shared() {
            Ok(()) => Holder::Nobody,
            Err(TryLockError::WouldBlock) => Holder::Somebody(holder(&mut file)),
            Err(TryLockError::Error(_)) => Holder::Unknown,
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Best effort: the pid of a finished process would only mislead.
        let _ = self.file.set_len(0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        // A link planted under this name must not make us write elsewhere.
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(LONGEST_PID).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}
