//! A folder of pages: each is written beside its place and put there at once.
//! What is there and is no page of ours is left as it is, and then no page is
//! written; links and pipes are neither followed nor opened.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use super::roff::is_ours;

/// Longer than any first line of a page.
const FIRST_LINE: u64 = 512;

/// `pages`: the name of each file and its text.
pub(super) fn write_all(folder: &Path, pages: &[(String, String)]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    for (name, _) in pages {
        let file = folder.join(name);
        if !may_replace(&file).with_context(|| format!("look at {}", file.display()))? {
            bail!(is_there(&file));
        }
    }
    for (name, text) in pages {
        let file = folder.join(name);
        put(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

/// Nothing is there, or a page that plimsoll wrote.
fn may_replace(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(there.is_file() && is_ours(&first_line(path)?)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(fault) => Err(fault),
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    // What took its place since then is not followed and not waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut start = Vec::new();
    file.take(FIRST_LINE).read_to_end(&mut start)?;
    Ok(String::from_utf8_lossy(&start).lines().next().unwrap_or_default().to_owned())
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // Left by one that had this number before and died here.
    drop(fs::remove_file(&beside));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
    let put = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if put.is_err() {
        drop(fs::remove_file(&beside));
    }
    put
}

fn is_there(path: &Path) -> anyhow::Error {
    anyhow!(
        "{} is no man page of plimsoll; it was left as it is, and no page was written\n\
         hint: move it away, or name another folder",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::cli::man::roff::Roff;

    fn pages(about: &str) -> Vec<(String, String)> {
        ["plimsoll", "plimsoll-fit"]
            .map(|name| {
                let mut roff = Roff::new(name, "plimsoll 0.0.1");
                roff.text(about);
                (format!("{name}.1"), roff.into_text())
            })
            .to_vec()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn pages_are_written_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("man/man1");
        for about in ["before", "after"] {
            write_all(&below, &pages(about)).unwrap();
            assert_eq!(names(&below), ["plimsoll-fit.1", "plimsoll.1"]);
            for (name, text) in pages(about) {
                assert_eq!(fs::read_to_string(below.join(name)).unwrap(), text);
            }
        }
    }

    #[test]
    fn what_is_no_page_of_ours_is_left_as_it_is_and_nothing_is_written() {
        let victim = "of somebody else\n";
        let ways: [fn(&Path, &Path); 5] = [
            |at, victim| symlink(victim, at).unwrap(),
            |at, _| symlink("nowhere", at).unwrap(),
            |at, _| fs::create_dir(at).unwrap(),
            |at, victim| assert!(fs::copy(victim, at).unwrap() > 0),
            |at, _| {
                let made = std::process::Command::new("mkfifo").arg(at).status().unwrap();
                assert!(made.success());
            },
        ];
        for way in ways {
            let outside = tempfile::tempdir().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let theirs = outside.path().join("victim");
            fs::write(&theirs, victim).unwrap();
            way(&folder.path().join("plimsoll-fit.1"), &theirs);
            let said = write_all(folder.path(), &pages("x")).unwrap_err().to_string();
            assert!(said.contains("plimsoll-fit.1 is no man page of plimsoll"), "{said}");
            assert!(said.contains("hint: "), "{said}");
            assert_eq!(names(folder.path()), ["plimsoll-fit.1"]);
            assert_eq!(names(outside.path()), ["victim"]);
            assert_eq!(fs::read_to_string(&theirs).unwrap(), victim);
        }
    }

    #[test]
    fn a_link_in_place_of_a_page_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let place = folder.path().join("plimsoll.1");
        // As if it came after the look.
        symlink(&victim, &place).unwrap();
        put(&place, "page").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(fs::symlink_metadata(&place).unwrap().is_file());
    }
}
