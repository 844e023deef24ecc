//! Containers and services that the config names, read from their control
//! groups: no engine and no service manager is asked for a figure.
//!
//! The tree is walked now and then; what was found and is named stays open and
//! is read with every sample. Version 2, or the memory hierarchy of version 1;
//! on hybrids stalls come from the version 2 tree beside it.

mod housing;
mod names;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use self::housing::{Housed, housing_of};
use self::names::ContainerNames;
pub use self::names::connects;
use self::walk::{Found, walk};
use super::file::Kept;
use super::limit::{Version, has_memory_controller, limit_of};
use super::lines::{counter, fields, number};
use super::system;
use crate::domain::bytes::Bytes;
use crate::domain::fault::SensorFault;
use crate::domain::group::Group;
use crate::domain::rule::{Named, NamedBy};
use crate::domain::sample::{Pressure, Reading, no_groups};
use crate::domain::time::Monotonic;

/// A walk costs 10 to 30 µs a group, so 0.05 % of a core with two hundred.
const WALK_AGAIN: Duration = Duration::from_secs(10);
/// What is named and has just gone is soon there again: it was restarted.
const WALK_AFTER_LOSS: Duration = Duration::from_secs(1);
/// Followed at once; seven files each.
const MOST_GROUPS: usize = 64;

const ONE: &str = "sys/fs/cgroup/memory";
/// Where version 2 is mounted: alone, or beside version 1.
const TWO: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];
const FREEZER: &str = "sys/fs/cgroup/freezer";

#[derive(Debug)]
pub struct NamedGroups {
    root: PathBuf,
    /// Whose services are told beside the system's.
    uid: u32,
    asked: Arc<[Named]>,
    is_asked: bool,
    walked_at: Option<Monotonic>,
    has_lost: bool,
    open: Reading<Vec<Open>>,
    names: ContainerNames,
}

impl NamedGroups {
    pub fn new(root: &Path) -> Self {
        let uid = rustix::process::getuid().as_raw();
        NamedGroups {
            root: root.to_owned(),
            uid,
            asked: Arc::default(),
            is_asked: false,
            walked_at: None,
            has_lost: false,
            open: Ok(Vec::new()),
            names: ContainerNames::new(root, uid),
        }
    }

    pub fn read(
        &mut self,
        named: &Arc<[Named]>,
        now: Monotonic,
        buffer: &mut Vec<u8>,
    ) -> Reading<Vec<Group>> {
        self.ask(named);
        if !self.is_asked {
            return no_groups();
        }
        let pause = if self.has_lost { WALK_AFTER_LOSS } else { WALK_AGAIN };
        if self.walked_at.is_none_or(|at| now.since(at) >= pause) {
            self.open = self.look(now, buffer);
            self.walked_at = Some(now);
            self.has_lost = false;
        }
        let open = self.open.as_mut().map_err(|fault| fault.clone())?;
        let before = open.len();
        let mut groups = Vec::with_capacity(before);
        open.retain_mut(|one| match one.read(buffer) {
            Some(group) => {
                groups.push(group);
                true
            }
            None => false,
        });
        self.has_lost |= open.len() < before;
        Ok(groups)
    }

    fn ask(&mut self, named: &Arc<[Named]>) {
        if Arc::ptr_eq(&self.asked, named) || self.asked == *named {
            return;
        }
        self.asked = Arc::clone(named);
        self.is_asked = self.wants(NamedBy::Container) || self.wants(NamedBy::Unit);
        self.walked_at = None;
    }

    fn wants(&self, by: NamedBy) -> bool {
        self.asked.iter().any(|named| named.by == by)
    }

    /// Walks the tree and opens what is named; what was open stays so.
    fn look(&mut self, now: Monotonic, buffer: &mut Vec<u8>) -> Reading<Vec<Open>> {
        let tree = Hierarchy::find(&self.root, buffer)?;
        let mut found = walk(&self.root.join(tree.mount), self.uid);
        if self.wants(NamedBy::Container) {
            let ids: Vec<&str> = found.iter().filter_map(Found::container_id).collect();
            self.names.learn(&ids, now);
        }
        for one in &mut found {
            if let Some(name) = one.container_id().map(|id| self.names.of(id)) {
                one.name = name;
            }
        }
        let is_named =
            |one: &Found| self.asked.iter().any(|named| one.kind.answers_to(&one.name, named));
        found.retain(is_named);
        found.sort_by(|a, b| (&a.name, &a.folder).cmp(&(&b.name, &b.folder)));
        found.truncate(MOST_GROUPS);
        let mut before = std::mem::replace(&mut self.open, Ok(Vec::new())).unwrap_or_default();
        let reopened = found.into_iter().map(|found| {
            let known = before.iter().position(|open| open.is(&found));
            known.map_or_else(|| Open::new(&self.root, &tree, found), |at| before.swap_remove(at))
        });
        Ok(reopened.collect())
    }
}

/// What an engine calls a container, asked once; its short id where none tells.
pub fn container_name(root: &Path, uid: u32, id: &str) -> String {
    let mut names = ContainerNames::new(root, uid);
    names.learn(&[id], Monotonic::from_millis(0));
    names.of(id)
}

/// Where memory is controlled on this machine.
#[derive(Debug, Clone, Copy)]
struct Hierarchy {
    version: Version,
    mount: &'static str,
}

impl Hierarchy {
    fn find(root: &Path, buffer: &mut Vec<u8>) -> Reading<Hierarchy> {
        for mount in TWO {
            if has_memory_controller(&root.join(mount), buffer) {
                return Ok(Hierarchy { version: Version::Two, mount });
            }
        }
        if root.join(ONE).is_dir() {
            return Ok(Hierarchy { version: Version::One, mount: ONE });
        }
        Err(SensorFault::absent("no control groups with memory"))
    }
}

/// A group that is read with every sample.
#[derive(Debug)]
struct Open {
    found: Found,
    version: Version,
    current: Kept,
    limit: Kept,
    stat: Option<Kept>,
    swap: Option<Kept>,
    kills: Option<Kept>,
    pressure: Option<Kept>,
    /// Any of them says that it is paused.
    paused: Vec<Kept>,
}

impl Open {
    fn new(root: &Path, tree: &Hierarchy, found: Found) -> Open {
        let below = |mount: &str, file: &str| format!("{mount}/{}/{file}", found.folder);
        // A file that is not there now will not come: it is not tried again.
        let open = |mount: &str, file: &str| {
            let path = below(mount, file);
            root.join(&path).exists().then(|| Kept::new(root, &path))
        };
        let own = |file: &str| open(tree.mount, file);
        let [limit, current, _] = tree.version.files();
        let (swap, kills, pressure, paused) = match tree.version {
            Version::One => {
                let beside = TWO[1];
                let paused = vec![open(FREEZER, "freezer.state"), open(beside, "cgroup.freeze")];
                (None, own("memory.oom_control"), open(beside, "memory.pressure"), paused)
            }
            Version::Two => {
                // Podman's runtime keeps the payload in a group of its own.
                let paused = vec![own("cgroup.freeze"), own("container/cgroup.freeze")];
                (own("memory.swap.current"), own("memory.events"), own("memory.pressure"), paused)
            }
        };
        Open {
            version: tree.version,
            current: Kept::new(root, &below(tree.mount, current)),
            limit: Kept::new(root, &below(tree.mount, limit)),
            stat: own("memory.stat"),
            swap,
            kills,
            pressure,
            paused: paused.into_iter().flatten().collect(),
            found,
        }
    }

    fn is(&self, found: &Found) -> bool {
        self.found == *found
    }

    /// `None`: it has gone.
    fn read(&mut self, buffer: &mut Vec<u8>) -> Option<Group> {
        let current = self.current.read(buffer).ok()?;
        let current = fields(current).next().and_then(number);
        let stat = self.stat.as_mut().and_then(|stat| stat.read(buffer).ok());
        let from_stat = |name: &[u8]| stat.and_then(|text| counter(text, name));
        let (inactive, in_stat) = match self.version {
            Version::One => (from_stat(b"total_inactive_file"), from_stat(b"total_swap")),
            Version::Two => (from_stat(b"inactive_file"), None),
        };
        let used = current.map(|current| Bytes::new(current.saturating_sub(inactive.unwrap_or(0))));
        let first = |kept: &mut Option<Kept>, buffer: &mut Vec<u8>| {
            fields(kept.as_mut()?.read(buffer).ok()?).next().and_then(number)
        };
        let swapped = in_stat.or_else(|| first(&mut self.swap, buffer)).map(Bytes::new);
        Some(Group {
            kind: self.found.kind.clone(),
            name: self.found.name.clone(),
            used,
            swapped,
            limit: self.limit.read(buffer).ok().and_then(limit_of),
            oom_kills: self
                .kills
                .as_mut()
                .and_then(|kept| counter(kept.read(buffer).ok()?, b"oom_kill")),
            stalled: self.pressure.as_mut().and_then(|kept| stalled(kept.read(buffer).ok()?)),
            is_paused: self.paused.iter_mut().any(|kept| kept.read(buffer).is_ok_and(is_paused)),
        })
    }
}

/// *Some* over 10 s.
fn stalled(text: &[u8]) -> Option<f64> {
    match system::pressure(text).ok()? {
        Pressure::Psi { some, .. } => Some(some.avg10),
        Pressure::Mac { .. } => None,
    }
}

/// Version 2 says `1`; version 1 has words, and is on its way with one of them.
fn is_paused(text: &[u8]) -> bool {
    matches!(text.trim_ascii_end(), b"1" | b"FROZEN" | b"FREEZING")
}
