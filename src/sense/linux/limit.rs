//! The memory limit of the control group this program runs in.
//!
//! Inside a container `/proc/meminfo` speaks of the host, so total and
//! available are cut to what the group may still take. The limit in force is
//! the least over all ancestors. Version 1, version 2, and hybrids where
//! version 2 is mounted without its memory controller.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::file::{Kept, fault, read_once};
use super::lines::{counter, fields, number};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::{AvailableSource, Memory, MemoryLimit, MemoryParts, Reading};
use crate::domain::text::clean;
use crate::domain::time::Monotonic;

/// A program is seldom moved to another group; limits themselves are read on
/// every tick.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Version 1 says "no limit" with the largest multiple of a page.
const NO_LIMIT_FROM: u64 = 1 << 62;

/// Of the control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

impl Version {
    /// Limit, use and details of a group's memory.
    pub fn files(self) -> [&'static str; 3] {
        match self {
            Version::One => ["memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"],
            Version::Two => ["memory.max", "memory.current", "memory.stat"],
        }
    }
}

/// A group and the files of its memory controller.
#[derive(Debug)]
struct Group {
    version: Version,
    folder: String,
    limit: Kept,
    current: Kept,
    stat: Kept,
}

/// The groups this program is in, own one first.
#[derive(Debug)]
pub struct Groups {
    root: PathBuf,
    groups: Result<Vec<Group>, SensorFault>,
    looked_at: Option<Monotonic>,
}

/// What the tightest group leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    pub limit: MemoryLimit,
    available: Bytes,
    free: Bytes,
    parts: MemoryParts,
}

impl Limited {
    /// Memory as it is inside. A group that leaves more than the machine has
    /// changes the total only.
    pub fn apply(&self, memory: Memory) -> Memory {
        let is_tighter = self.available < memory.available;
        Memory {
            total: memory.total.min(self.limit.limit),
            available: memory.available.min(self.available),
            free: memory.free.min(self.free),
            available_source: match is_tighter {
                true => AvailableSource::Cgroup,
                false => memory.available_source,
            },
            parts: self.parts.clone(),
        }
    }
}

impl Groups {
    pub fn new(root: &Path) -> Self {
        Groups { root: root.to_owned(), groups: Ok(Vec::new()), looked_at: None }
    }

    /// The limit in force below `machine`, the memory there is.
    pub fn read(
        &mut self,
        machine: Bytes,
        now: Monotonic,
        buffer: &mut Vec<u8>,
    ) -> Reading<Limited> {
        if self.looked_at.is_none_or(|at| now.since(at) >= LOOK_AGAIN) {
            self.groups = find_groups(&self.root, buffer);
            self.looked_at = Some(now);
        }
        let groups = self.groups.as_mut().map_err(|fault| fault.clone())?;
        let mut tightest: Option<Limited> = None;
        for group in groups {
            let Some(found) = group.read(machine, buffer)? else { continue };
            tightest = Some(match tightest {
                None => found,
                Some(other) => tighter(other, found),
            });
        }
        tightest.ok_or_else(|| SensorFault::absent("no memory limit"))
    }
}

/// The lower limit, with what the closer of both still leaves.
fn tighter(one: Limited, other: Limited) -> Limited {
    let available = one.available.min(other.available);
    let free = one.free.min(other.free);
    let lower = if other.limit.limit < one.limit.limit { other } else { one };
    Limited { available, free, ..lower }
}

impl Group {
    fn new(root: &Path, folder: String, version: Version) -> Self {
        let [limit, current, stat] =
            version.files().map(|file| Kept::new(root, &format!("{folder}/{file}")));
        Group { version, folder, limit, current, stat: stat.in_lines() }
    }

    fn read(&mut self, machine: Bytes, buffer: &mut Vec<u8>) -> Reading<Option<Limited>> {
        let limit = match self.limit.read(buffer) {
            Ok(text) => limit_of(text),
            // The root group has no limit file, and a group may just be gone.
            Err(fault) if fault.kind == FaultKind::Absent => None,
            Err(fault) => return Err(fault),
        };
        let Some(limit) = limit.filter(|limit| *limit < machine) else { return Ok(None) };
        let text = self.current.read(buffer)?;
        let current = fields(text).next().and_then(number).map(Bytes::new);
        let current = current.ok_or_else(|| {
            let detail = format!("{}: not a number", self.current.shown());
            SensorFault::new(FaultKind::Malformed, detail)
        })?;
        let stat = self.stat.read(buffer)?;
        let inactive = match self.version {
            Version::One => counter(stat, b"total_inactive_file"),
            Version::Two => counter(stat, b"inactive_file"),
        };
        // Without that line cache counts as used: too careful, never too bold.
        let used = current.saturating_sub(Bytes::new(inactive.unwrap_or(0)));
        let version = match self.version {
            Version::One => "v1",
            Version::Two => "v2",
        };
        Ok(Some(Limited {
            available: limit.saturating_sub(used),
            free: limit.saturating_sub(current),
            parts: parts_of(stat, self.version),
            limit: MemoryLimit {
                limit,
                used,
                source: clean(&format!("cgroup {version} /{}", self.folder)),
            },
        }))
    }
}

/// `None`: no limit.
pub fn limit_of(text: &[u8]) -> Option<Bytes> {
    // `max` is no number.
    let limit = fields(text).next().and_then(number)?;
    (limit > 0 && limit < NO_LIMIT_FROM).then_some(Bytes::new(limit))
}

fn parts_of(stat: &[u8], version: Version) -> MemoryParts {
    let read = |one: &[u8], two: &[u8]| {
        let name = if version == Version::One { one } else { two };
        counter(stat, name).map(Bytes::new)
    };
    MemoryParts::Linux {
        anonymous: read(b"total_rss", b"anon"),
        cached: read(b"total_cache", b"file"),
        shared: read(b"total_shmem", b"shmem"),
        slab_unreclaimable: read(b"", b"slab_unreclaimable"),
    }
}

/// The own group and its ancestors, as far as they are mounted here.
fn find_groups(root: &Path, buffer: &mut Vec<u8>) -> Result<Vec<Group>, SensorFault> {
    let own = read_once(&root.join("proc/self/cgroup"), buffer)
        .map_err(|error| fault("/proc/self/cgroup", &error))?;
    let own = own.to_vec();
    groups_in(root, &own, buffer)
}

/// The least limit over the groups that a process's `cgroup` names and their
/// ancestors; `None`: there is none.
pub fn limit_over(root: &Path, groups: &[u8]) -> Reading<Option<Bytes>> {
    let mut buffer = Vec::new();
    let mut least: Option<Bytes> = None;
    for mut group in groups_in(root, groups, &mut buffer)? {
        let limit = match group.limit.read(&mut buffer) {
            Ok(text) => limit_of(text),
            // As of the root group.
            Err(fault) if fault.kind == FaultKind::Absent => None,
            Err(fault) => return Err(fault),
        };
        least = [least, limit].into_iter().flatten().min();
    }
    Ok(least)
}

fn groups_in(root: &Path, own: &[u8], buffer: &mut Vec<u8>) -> Result<Vec<Group>, SensorFault> {
    let (mut one, mut two) = (None, None);
    for line in own.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(3, |byte| *byte == b':');
        let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if controllers.split(|byte| *byte == b',').any(|name| name == b"memory") {
            one = Some(below_mount(path));
        } else if id == b"0" && controllers.is_empty() {
            two = Some(below_mount(path));
        }
    }
    let (version, mount, path) = if let Some(path) = one {
        (Version::One, "sys/fs/cgroup/memory", path)
    } else {
        let path = two.ok_or_else(|| SensorFault::absent("no memory control group"))?;
        let mount = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
            .into_iter()
            .find(|mount| has_memory_controller(&root.join(mount), buffer))
            .ok_or_else(|| SensorFault::absent("no memory control group"))?;
        (Version::Two, mount, path)
    };
    let mut groups = Vec::new();
    let mut folder = mounted_part(&root.join(mount), &path);
    loop {
        let mut below = PathBuf::from(mount);
        // Joining nothing would leave a slash at the end.
        below.extend(folder.components());
        groups.push(Group::new(root, below.to_string_lossy().into_owned(), version));
        if !folder.pop() {
            return Ok(groups);
        }
    }
}

/// The path below the mount. A process outside its namespace's root is shown
/// with `..`, and then only the mount itself is ours to read.
fn below_mount(path: &[u8]) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(path));
    let mut kept = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => kept.push(name),
            Component::ParentDir => return PathBuf::new(),
            _ => {}
        }
    }
    kept
}

/// In a container whose mount begins at its own group, the path told by `/proc`
/// begins further up: leading parts are dropped until the folder is there.
fn mounted_part(mount: &Path, path: &Path) -> PathBuf {
    let mut parts = path.components();
    while !parts.as_path().as_os_str().is_empty() {
        if mount.join(parts.as_path()).is_dir() {
            return parts.as_path().to_owned();
        }
        parts.next();
    }
    PathBuf::new()
}

pub fn has_memory_controller(mount: &Path, buffer: &mut Vec<u8>) -> bool {
    read_once(&mount.join("cgroup.controllers"), buffer)
        .is_ok_and(|text| fields(text).any(|name| name == b"memory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_outside_its_namespace_is_the_mount_itself() {
        assert_eq!(below_mount(b"/../../other"), PathBuf::new());
        assert_eq!(below_mount(b"/docker/ab"), PathBuf::from("docker/ab"));
    }

    #[test]
    fn words_and_huge_numbers_are_no_limit() {
        for none in [&b"max\n"[..], b"9223372036854771712\n", b"0\n", b"", b"-1\n"] {
            assert_eq!(limit_of(none), None, "{none:?}");
        }
        assert_eq!(limit_of(b"1073741824\n"), Some(Bytes::gib(1)));
    }
}
