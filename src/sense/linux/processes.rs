//! The table of processes: servers, runners and the largest others.
//!
//! Servers, runners and what the config names are complete on every tick, by
//! watching what is new.
//! Others are found by a look at all processes, which is dear (3 µs each) and
//! done only when asked for; between two such looks their sizes are refreshed.
//! The crate `sysinfo` is not used here: it reads `status` of every process
//! whatever it is asked for, at 14 µs each.

use std::collections::BTreeMap;
use std::path::Path;

use super::discovery::Discovery;
use super::folder::ProcFolder;
use super::named::{NamedProcesses, Seen};
use super::process::resident_pages;
use super::proportional::Proportional;
use super::sockets::Listeners;
use super::tracked::{Other, Tracked, Units};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::process::{
    BlobDigest, MAPPED_WEIGHTS, Process, ProcessKey, ProcessRole, ProcessTable,
};
use crate::domain::sample::Reading;
use crate::domain::time::Monotonic;
use crate::sense::Want;
use crate::sense::arguments;

/// What takes in processes whose parent is gone, besides pid 1: a session's
/// `systemd`, and the small inits of containers.
const REAPERS: [&[u8]; 6] =
    [b"systemd", b"init", b"tini", b"dumb-init", b"catatonit", b"containerd-shim"];

#[derive(Debug)]
pub struct Processes {
    folder: ProcFolder,
    units: Units,
    discovery: Discovery,
    candidates: Vec<u32>,
    tracked: Vec<Tracked>,
    named: NamedProcesses,
    others: Vec<Other>,
    rest: Option<Bytes>,
    /// Other users' processes do not show here.
    is_hidden: bool,
    listeners: Listeners,
    proportional: Proportional,
    /// Reused by the look at all processes.
    sizes: Vec<(u64, u32)>,
    /// Parents of runners, and whether each takes in orphans.
    parents: BTreeMap<u32, bool>,
}

impl Processes {
    pub fn new(root: &Path, units: Units) -> Self {
        Processes {
            folder: ProcFolder::new(root),
            units,
            discovery: Discovery::default(),
            candidates: Vec::new(),
            tracked: Vec::new(),
            named: NamedProcesses::default(),
            others: Vec::new(),
            rest: None,
            is_hidden: false,
            listeners: Listeners::default(),
            proportional: Proportional::default(),
            sizes: Vec::new(),
            parents: BTreeMap::new(),
        }
    }

    pub fn read(&mut self, want: &Want, now: Monotonic) -> Reading<ProcessTable> {
        self.folder.open()?;
        let buffer = &mut self.folder.buffer;
        self.tracked.retain_mut(|one| one.refresh(buffer));
        let renamed = self.named.refresh(buffer);
        self.others.truncate(want.largest);
        self.others.retain_mut(|one| one.refresh(buffer));
        let is_renamed = self.named.ask(&want.named);
        if is_renamed || (want.all_processes && self.named.is_asked()) {
            self.discovery.sweep_next();
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        let found = self.discovery.candidates(&mut self.folder, now, &mut candidates);
        for pid in &candidates {
            if !self.consider(*pid) {
                self.discovery.forget(*pid);
            }
        }
        self.candidates = candidates;
        found?;
        for pid in renamed {
            self.consider(pid);
        }
        if want.all_processes {
            self.look_at_all(want.largest)?;
        }
        if self.discovery.has_just_swept(now) {
            self.is_hidden = self.folder.hides_others();
        }
        if self.tracked.is_empty() && self.is_hidden {
            // An empty list would be a proof that no runner lives.
            let detail = "/proc hides the processes of other users (hidepid)";
            return Err(SensorFault::new(FaultKind::Denied, detail));
        }
        self.listeners.ask(want.server_port);
        self.listeners.mark(&mut self.folder, &mut self.tracked, now);
        let wanted = self.wanted_proportional(want);
        self.proportional.read(&mut self.folder, &wanted, now);
        self.look_at_parents();
        Ok(self.table())
    }

    /// Looks at the command line of a process; false when there is none of
    /// that number.
    fn consider(&mut self, pid: u32) -> bool {
        let Ok(line) = self.folder.read(pid, "cmdline") else { return false };
        let known = self.tracked.iter().position(|one| one.process.key.pid == pid);
        if line.is_empty() {
            // A zombie, the kernel's own, or just being replaced.
            return true;
        }
        let recognised = arguments::recognise(&arguments::split(line));
        let seen = self.named.see(pid, line);
        let matched = self.named.matched(seen.as_ref());
        if let Some(at) = known {
            let tracked = &mut self.tracked[at];
            if recognised.is_some() && recognised == tracked.recognised {
                tracked.process.matched = matched;
                return true;
            }
            self.tracked.remove(at);
        }
        if recognised.is_none() {
            return seen.is_none_or(|seen| self.consider_named(&seen));
        }
        let Some(mut tracked) = Tracked::open(&mut self.folder, pid, recognised, self.units) else {
            return false;
        };
        tracked.process.matched = matched;
        self.named.let_go(pid);
        self.others.retain(|other| other.process.key != tracked.process.key);
        self.tracked.push(tracked);
        self.tracked.sort_unstable_by_key(|one| one.process.key);
        true
    }

    fn consider_named(&mut self, seen: &Seen) -> bool {
        let is_there = self.named.consider(&mut self.folder, seen, self.units);
        self.others.retain(|other| !self.named.has(other.process.key));
        is_there
    }

    /// Reads the size of every process and keeps the largest.
    fn look_at_all(&mut self, largest: usize) -> Result<(), SensorFault> {
        self.sizes.clear();
        for pid in self.discovery.list(&self.folder)? {
            let Ok(text) = self.folder.read(*pid, "statm") else { continue };
            let pages = resident_pages(text).unwrap_or(0);
            let is_followed = self.tracked.iter().any(|one| one.process.key.pid == *pid)
                || self.named.has_pid(*pid);
            if pages > 0 && !is_followed {
                self.sizes.push((pages, *pid));
            }
        }
        let all: u64 = self.sizes.iter().map(|(pages, _)| *pages).fold(0, u64::saturating_add);
        if self.sizes.len() > largest {
            self.sizes.select_nth_unstable_by(largest, |a, b| b.cmp(a));
            self.sizes.truncate(largest);
        }
        self.sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut before = std::mem::take(&mut self.others);
        for (_, pid) in &self.sizes {
            let known = before.iter().position(|one| one.process.key.pid == *pid);
            let kept = known.map(|at| before.swap_remove(at));
            let kept = kept.filter(|one| one.is_same_program(&mut self.folder));
            self.others.extend(kept.or_else(|| Other::open(&mut self.folder, *pid, self.units)));
        }
        let shown = self.sizes.iter().map(|(pages, _)| *pages).fold(0, u64::saturating_add);
        let rest = all.saturating_sub(shown).saturating_mul(self.units.page.get());
        self.rest = Some(Bytes::new(rest));
        Ok(())
    }

    /// Asked for, or runners that map the same weights: a sum of their
    /// resident sizes would count the file twice.
    fn wanted_proportional(&self, want: &Want) -> Vec<ProcessKey> {
        let mut wanted: Vec<ProcessKey> = want.proportional.clone();
        let mapped: Vec<_> = self.tracked.iter().filter_map(mapped_weights).collect();
        for (blob, key) in &mapped {
            let shares = mapped.iter().any(|(other, owner)| other == blob && owner != key);
            if shares && !wanted.contains(key) {
                wanted.push(*key);
            }
        }
        wanted.retain(|key| self.is_known(*key));
        wanted
    }

    fn is_known(&self, key: ProcessKey) -> bool {
        self.tracked.iter().any(|one| one.process.key == key)
            || self.named.has(key)
            || self.others.iter().any(|one| one.process.key == key)
    }

    /// Learns once of each runner's parent whether it takes in orphans.
    fn look_at_parents(&mut self) {
        let parents: Vec<u32> = self.tracked.iter().map(|one| one.process.parent).collect();
        self.parents.retain(|pid, _| parents.contains(pid));
        for pid in parents {
            if !self.parents.contains_key(&pid) {
                let name = self.folder.read(pid, "comm").unwrap_or_default();
                let takes_in = pid == 1 || REAPERS.contains(&name.trim_ascii_end());
                self.parents.insert(pid, takes_in);
            }
        }
    }

    fn table(&self) -> ProcessTable {
        let mut table =
            ProcessTable { rest: self.rest, count: self.discovery.count, ..Default::default() };
        table.reapers = self.parents.iter().filter(|(_, reaps)| **reaps).map(|(p, _)| *p).collect();
        for one in &self.tracked {
            let list = if one.is_server() { &mut table.servers } else { &mut table.runners };
            list.push(self.with_share(&one.process));
        }
        table.named = self.named.processes().map(|one| self.with_share(one)).collect();
        table.others = self.others.iter().map(|one| self.with_share(&one.process)).collect();
        table.others.sort_by_key(|process| std::cmp::Reverse(process.memory.resident));
        table
    }

    fn with_share(&self, process: &Process) -> Process {
        let mut process = process.clone();
        process.memory.proportional = self.proportional.of(process.key);
        process
    }
}

fn mapped_weights(one: &Tracked) -> Option<(&BlobDigest, ProcessKey)> {
    let ProcessRole::Runner(found) = &one.process.role else { return None };
    let maps = one.process.memory.file.is_some_and(|file| file > MAPPED_WEIGHTS);
    found.blob.as_ref().filter(|_| maps).map(|blob| (blob, one.process.key))
}
