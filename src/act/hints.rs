//! The file in which other programs read what holds for them now: replaced as
//! a whole, so that nobody reads half of it, and taken away at the end. It says
//! until when it counts: what a plimsoll that died has left is told by that.
//!
//! What somebody else wrote under that name is never replaced.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{HintValues, InForce, Level, Wall};

/// Raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// How often it is written again while nothing changes.
pub const RENEWED_EVERY: Duration = Duration::from_secs(20);

/// Three turns: one that a busy machine leaves out makes nothing old.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// The longest file there can be has 64 keys of 32 characters and texts of 64.
const LONGEST: u64 = 64 * 1024;

/// Whoever may enter the folder may read it: it is meant for others.
const MODE: u32 = 0o644;

#[derive(Debug, thiserror::Error)]
pub enum HintsFault {
    #[error("{} is not one that plimsoll wrote, and is left as it is; name another by `hints.file`", path.display())]
    Foreign { path: PathBuf },
    #[error("write {}", path.display())]
    Unwritten {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

#[derive(Serialize)]
struct Told<'a> {
    schema_version: u32,
    /// Its version.
    plimsoll: &'static str,
    pid: u32,
    written_at: Wall,
    valid_until: Wall,
    level: Level,
    hints: &'a HintValues,
}

/// What shows that a file is ours.
#[derive(Deserialize)]
struct Mark {
    #[serde(rename = "plimsoll")]
    _version: String,
    pid: u32,
    #[serde(rename = "hints")]
    _hints: HintValues,
}

/// Puts what is in force where others read it.
pub fn write(path: &Path, in_force: &InForce, now: Wall) -> Result<(), HintsFault> {
    let unwritten = |source| HintsFault::Unwritten { path: path.to_owned(), source };
    if !may_replace(path).map_err(unwritten)? {
        return Err(HintsFault::Foreign { path: path.to_owned() });
    }
    let told = Told {
        schema_version: SCHEMA_VERSION,
        plimsoll: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        written_at: now,
        // Past the end of the calendar nothing is old.
        valid_until: now.checked_add(COUNTS_FOR).unwrap_or(Wall::MAX),
        level: in_force.level,
        hints: &in_force.hints,
    };
    let text = serde_json::to_string_pretty(&told).map_err(|fault| unwritten(fault.into()))?;
    let beside = beside(path);
    let written = write_whole(&beside, &text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|source| {
        // Nobody reads half a file, and none is left lying.
        drop(fs::remove_file(&beside));
        unwritten(source)
    })
}

/// Takes it away, if this process wrote it.
pub fn remove(path: &Path) {
    if matches!(mark(path), Ok(Some(mark)) if mark.pid == std::process::id()) {
        drop(fs::remove_file(path));
    }
}

/// Nothing is there, or something of ours, or nothing in it.
fn may_replace(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Ok(false),
        Ok(there) if there.len() == 0 => Ok(true),
        Ok(_) => Ok(mark(path)?.is_some()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(fault) => Err(fault),
    }
}

fn mark(path: &Path) -> io::Result<Option<Mark>> {
    let mut text = Vec::new();
    // A link or a pipe under this name is not followed and not waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text).ok())
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    // Left by one that had this number before and died here.
    drop(fs::remove_file(path));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    // Whatever is usually taken away of a new file's mode.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::HintValue;

    fn at(level: Level, cache: i64) -> InForce {
        let hints = [("cache_mb".to_owned(), HintValue::Whole(cache))].into();
        InForce { level, hints: Arc::new(hints) }
    }

    fn read(path: &Path) -> serde_json::Value {
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn it_says_what_holds_until_when_and_goes_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hints.json");
        let now: Wall = "2026-01-15T14:00:00Z".parse().unwrap();
        write(&path, &at(Level::Normal, 500), now).unwrap();
        write(&path, &at(Level::Warning, 200), now).unwrap();
        let expected = serde_json::json!({
            "schema_version": 1,
            "plimsoll": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "written_at": "2026-01-15T14:00:00Z",
            "valid_until": "2026-01-15T14:01:00Z",
            "level": "warning",
            "hints": {"cache_mb": 200},
        });
        assert_eq!(read(&path), expected);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        remove(&path);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left lying");
        remove(&path);
    }

    #[test]
    fn what_another_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        for theirs in ["mine\n", "{}", r#"{"hints": {"a": 1}}"#] {
            fs::write(&path, theirs).unwrap();
            let fault = write(&path, &at(Level::Normal, 1), Wall::UNIX_EPOCH).unwrap_err();
            assert!(fault.to_string().contains("left as it is"), "{fault}");
            remove(&path);
            assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
        }
        fs::write(&path, "").unwrap();
        write(&path, &at(Level::Normal, 1), Wall::UNIX_EPOCH).unwrap();
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(write(&link, &at(Level::Normal, 2), Wall::UNIX_EPOCH).is_err());
        // Of a plimsoll that is another one, or died: replaced, not removed.
        let theirs = fs::read_to_string(&path).unwrap();
        let theirs = theirs.replace(&std::process::id().to_string(), "1");
        fs::write(&other, theirs).unwrap();
        remove(&other);
        assert!(other.exists());
        write(&other, &at(Level::Normal, 3), Wall::UNIX_EPOCH).unwrap();
        assert_eq!(read(&other)["hints"]["cache_mb"], 3);
        let nowhere = folder.path().join("no/such/hints.json");
        assert!(write(&nowhere, &at(Level::Normal, 1), Wall::UNIX_EPOCH).is_err());
    }

    #[test]
    fn whoever_reads_meanwhile_reads_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hints.json");
        write(&path, &at(Level::Normal, 0), Wall::UNIX_EPOCH).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) || seen == 0 {
                    assert!(read(&path)["hints"]["cache_mb"].is_i64());
                    seen += 1;
                }
            });
            for round in 0..300 {
                write(&path, &at(Level::Normal, round), Wall::UNIX_EPOCH).unwrap();
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            reader.join().unwrap();
        });
    }
}
