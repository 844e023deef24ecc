//! Files that are whole or not there: written beside their place under another
//! name, and put there at once. What is there already is never written over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use crate::domain::Wall;
use crate::domain::text::clean;

/// A place that is kept free and can be written, before there is anything to
/// write. Left unfinished, nothing of it remains.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Place {
    /// In a folder the name has the time in it.
    pub fn keep(path: &Path, (now, ending): (Wall, &str)) -> Result<Place> {
        let path = match path.is_dir() {
            true => path.join(format!("measure-{}.{ending}", now.strftime("%Y%m%dT%H%M%SZ"))),
            false => path.to_owned(),
        };
        if fs::symlink_metadata(&path).is_ok() {
            return Err(is_there(&path));
        }
        let name = path.file_name().with_context(|| format!("{} names no file", shown(&path)))?;
        let temporary =
            path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.with_context(|| format!("write to {}", shown(&path)))?;
        Ok(Place { path, temporary, file })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn finish(mut self, text: &[u8]) -> Result<()> {
        let path = self.path.clone();
        self.file
            .write_all(text)
            .and_then(|()| self.file.sync_all())
            .with_context(|| format!("write {}", shown(&path)))?;
        // A link is not made over what is there; where a file system has none,
        // it was free a moment ago.
        match fs::hard_link(&self.temporary, &path) {
            Ok(()) => Ok(()),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Err(is_there(&path)),
            Err(_) if fs::symlink_metadata(&path).is_ok() => Err(is_there(&path)),
            Err(_) => fs::rename(&self.temporary, &path)
                .with_context(|| format!("write {}", shown(&path))),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Gone already where it was renamed.
        drop(fs::remove_file(&self.temporary));
    }
}

fn is_there(path: &Path) -> anyhow::Error {
    let path = shown(path);
    anyhow!("{path} exists and was left as it is\nhint: name a file that is not there, or a folder")
}

/// A name may hold what moves a cursor.
pub fn shown(path: &Path) -> String {
    clean(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::UNIX_EPOCH;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let place = Place::keep(&path, (NOW, "json")).unwrap();
        assert!(!path.exists());
        drop(place);
        assert!(names(folder.path()).is_empty(), "what was begun is not left behind");
        Place::keep(&path, (NOW, "json")).unwrap().finish(b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn what_is_there_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let place = Place::keep(&path, (NOW, "json")).unwrap();
        fs::write(&path, "mine").unwrap();
        assert!(place.finish(b"other").unwrap_err().to_string().contains("left as it is"));
        assert!(Place::keep(&path, (NOW, "json")).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn in_a_folder_the_name_is_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::keep(folder.path(), (NOW, "md")).unwrap();
        assert_eq!(place.path(), folder.path().join("measure-19700101T000000Z.md"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_said_before_anything_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let said = Place::keep(&folder.path().join("no/a.json"), (NOW, "json")).unwrap_err();
        assert!(format!("{said:#}").contains("no/a.json"), "{said:#}");
    }
}
