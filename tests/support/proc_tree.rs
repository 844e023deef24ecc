//! A tree that looks like a machine to the sensors of Linux: recorded files,
//! and processes that a test starts and ends in it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::process::ProcessTable;
use plimsoll::domain::sample::Sample;
use plimsoll::domain::time::{Moment, Monotonic, Wall};
use plimsoll::sense::linux::LinuxSensors;
use plimsoll::sense::{Sensors, Want};

/// A root folder with a `/proc` in it.
pub struct Tree {
    pub folder: tempfile::TempDir,
}

impl Tree {
    /// As recorded beside a server with two models; links are stored as text.
    pub fn recorded(version: &str) -> Tree {
        let tree = Tree { folder: tempfile::tempdir().unwrap() };
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/proc").join(version);
        copy(&source, &tree.path("proc"));
        tree
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn write(&self, below: &str, text: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn text(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    /// Ends a process as its readers see it: kept descriptors go silent.
    pub fn end(&self, pid: u32) {
        let folder = self.path(&format!("proc/{pid}"));
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_file() {
                fs::write(path, "").unwrap();
            }
        }
        fs::remove_dir_all(folder).unwrap();
    }

    /// A small process with a name, arguments and pages.
    pub fn start(&self, pid: u32, [name, line]: [&[u8]; 2], pages: u64) {
        let stat = [
            format!("{pid} (").as_bytes(),
            name,
            b") S 1 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 900000 1000 10 1\n",
        ]
        .concat();
        let kib = pages * 4;
        self.write(&format!("proc/{pid}/stat"), stat);
        self.write(&format!("proc/{pid}/comm"), [name, b"\n"].concat());
        self.write(&format!("proc/{pid}/cmdline"), line);
        self.write(&format!("proc/{pid}/statm"), format!("{} {pages} 0 0 0 0 0\n", pages * 2));
        self.write(
            &format!("proc/{pid}/status"),
            format!(
                "Name:\tx\nTgid:\t{pid}\nUid:\t7\t7\t7\t7\nVmRSS:\t{kib} kB\nRssAnon:\t{kib} kB\n\
                RssFile:\t0 kB\nRssShmem:\t0 kB\nVmSwap:\t0 kB\n"
            ),
        );
    }

    pub fn newest(&self, pid: u32) {
        self.write("proc/loadavg", format!("0.10 0.10 0.10 1/100 {pid}\n"));
    }

    pub fn sensors(&self) -> LinuxSensors {
        LinuxSensors::with_page_size(self.folder.path(), Bytes::kib(4))
    }

    pub fn sample(&self) -> Sample {
        self.sensors().read(&Want::default(), at(0))
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else if name == "exe.link" {
            let target = fs::read_to_string(entry.path()).unwrap();
            symlink(target.trim(), to.join("exe")).unwrap();
        } else if name == "fd.sockets" {
            fs::create_dir_all(to.join("fd")).unwrap();
            for line in fs::read_to_string(entry.path()).unwrap().lines() {
                let (number, socket) = line.split_once(' ').unwrap();
                symlink(socket, to.join("fd").join(number)).unwrap();
            }
        } else {
            fs::write(to.join(name), fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

pub fn at(seconds: u64) -> Moment {
    Moment::new(Wall::default(), Monotonic::from_millis(seconds * 1000))
}

pub fn table(sample: Sample) -> ProcessTable {
    sample.processes.unwrap()
}
