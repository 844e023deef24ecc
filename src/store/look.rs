//! A look at the history, for who writes nothing: nothing is made, swept,
//! migrated or changed, and no file is left beside it.
//!
//! A history that nobody has open is read as a file that does not change; one
//! that is being written is read as SQLite shares it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Access, access};

use super::schema::{self, BUSY_WAIT, explain};
use super::{FILE, StoreError};

/// What is read from it; `None`: there is nothing in it yet.
pub(super) fn at<T>(
    folder: &Path,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let path = folder.join(FILE);
    schema::refuse_what_is_no_file(&path)?;
    if let Some(before) = Rest::of(&path) {
        let found = once(&path, true, &read);
        // Whoever came meanwhile may have changed what was being read.
        if Rest::of(&path).is_some_and(|after| after == before) {
            return found;
        }
    }
    once(&path, false, &read)
}

/// A history that nobody has open, as it lies there.
#[derive(PartialEq)]
struct Rest {
    file: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Rest {
    fn of(path: &Path) -> Option<Rest> {
        if waits_beside(path) {
            return None;
        }
        let there = fs::metadata(path).ok()?;
        Some(Rest {
            file: there.ino(),
            bytes: there.len(),
            changed: (there.mtime(), there.mtime_nsec()),
        })
    }
}

/// Something that was written is not in the file yet.
fn waits_beside(path: &Path) -> bool {
    ["-wal", "-journal"].into_iter().any(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::metadata(Path::new(&name)).is_ok_and(|there| there.len() > 0)
    })
}

fn once<T>(
    path: &Path,
    is_at_rest: bool,
    read: impl Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let explained = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)
            if waits_beside(path) && access(path, Access::READ_OK).is_ok() =>
        {
            StoreError::Unsettled { path: path.to_owned(), source }
        }
        _ => explain(path, source),
    };
    let connection = open(path, is_at_rest).map_err(explained)?;
    connection.busy_timeout(BUSY_WAIT).map_err(explained)?;
    let known = schema::known(&connection).map_err(explained)?;
    match schema::whose(&known, path)? {
        0 => Ok(None),
        _ => read(&connection).map(Some).map_err(explained),
    }
}

fn open(path: &Path, is_at_rest: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match std::path::absolute(path) {
        Ok(path) if is_at_rest => {
            Connection::open_with_flags(unchanging(&path), flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    }
}

/// The address by which SQLite reads a file without locks or side files.
fn unchanging(path: &Path) -> String {
    let mut address = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
            byte => address.push_str(&format!("%{byte:02x}")),
        }
    }
    address.push_str("?immutable=1");
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_any_path() {
        let path = Path::new("/tmp/a b?c=d#e%f/ü.db");
        assert_eq!(unchanging(path), "file:///tmp/a%20b%3fc%3dd%23e%25f/%c3%bc.db?immutable=1");
    }
}
