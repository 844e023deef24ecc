//! The processes of a sample, kept between samples so that a quiet tick costs
//! one call for the pids and one for each server and runner.
//!
//! The full list is read again only when the set of pids has changed, and once
//! more on the tick after, since a process changes its name and arguments when
//! it replaces itself shortly after its birth.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use crate::domain::bytes::Bytes;
use crate::domain::process::{
    Process, ProcessKey, ProcessMemory, ProcessRole, ProcessTable, RunnerArguments,
};
use crate::domain::sample::Reading;
use crate::domain::text::clean;

use super::arguments::ProcessArguments;
use super::process_list::{Listed, parse};
use super::{ArgumentParser, Kernel, Usage};
use crate::sense::Want;
use crate::sense::environment::ServerEnvironment;
use crate::sense::naming::{MOST_NAMED, Naming, line_of};

pub(super) struct Table {
    parser: ArgumentParser,
    pids: Vec<u32>,
    listed: Vec<Listed>,
    /// The next tick reads the list again, whatever the pids say.
    is_unsettled: bool,
    /// Roles of the processes whose names make them candidates.
    roles: HashMap<ProcessKey, ProcessRole>,
    /// Start in ticks of each followed process that could be read.
    starts: HashMap<ProcessKey, u64>,
    naming: Naming,
    verdicts: HashMap<ProcessKey, Verdict>,
    others: Vec<Process>,
    rest: Option<Bytes>,
}

impl Table {
    pub(super) fn new(parser: ArgumentParser) -> Self {
        Table {
            parser,
            pids: Vec::new(),
            listed: Vec::new(),
            is_unsettled: true,
            roles: HashMap::new(),
            starts: HashMap::new(),
            naming: Naming::default(),
            verdicts: HashMap::new(),
            others: Vec::new(),
            rest: None,
        }
    }

    pub(super) fn read(&mut self, kernel: &impl Kernel, want: &Want) -> Reading<ProcessTable> {
        let is_other = self.naming.ask(&want.named);
        let is_listed = self.look(kernel)?;
        let (mut table, is_lost) = self.followed(kernel);
        if is_lost {
            self.list(kernel)?;
            (table, _) = self.followed(kernel);
        }
        if is_other || want.all_processes {
            self.verdicts.clear();
        }
        if is_other || want.all_processes || is_listed || is_lost {
            self.find_named(kernel, &table);
        }
        table.named = self.read_named(kernel);
        if want.all_processes {
            self.find_largest(kernel, want.largest, &table);
        }
        let is_alive = |other: &&Process| {
            self.listed.iter().any(|listed| listed.key == other.key)
                && table.find(other.key).is_none()
        };
        let others: Vec<Process> = self.others.iter().filter(is_alive).cloned().collect();
        table.others = others;
        table.rest = self.rest;
        table.count = u32::try_from(self.listed.len()).ok();
        Ok(table)
    }

    /// Brings the list up to date where something has changed, and says so.
    fn look(&mut self, kernel: &impl Kernel) -> Reading<bool> {
        let mut pids = kernel.pids()?;
        pids.sort_unstable();
        let is_changed = pids != self.pids;
        if is_changed || self.is_unsettled {
            self.list(kernel)?;
            self.pids = pids;
            self.is_unsettled = is_changed;
            return Ok(true);
        }
        Ok(false)
    }

    fn list(&mut self, kernel: &impl Kernel) -> Reading<()> {
        self.listed = parse(&kernel.process_list()?, kernel.own())?;
        let parser = self.parser;
        self.roles = self
            .listed
            .iter()
            .filter(|listed| is_candidate(&listed.name))
            .map(|listed| (listed.key, role(kernel, parser, listed)))
            .collect();
        let roles = &self.roles;
        self.starts.retain(|key, _| roles.contains_key(key));
        Ok(())
    }

    /// Servers and runners with what they hold now, and whether one of them
    /// could be read before and cannot now: it has become a zombie, is gone, or
    /// another process has its pid.
    fn followed(&mut self, kernel: &impl Kernel) -> (ProcessTable, bool) {
        // `launchd` takes in every orphan.
        let mut table = ProcessTable { reapers: vec![1], ..ProcessTable::default() };
        let mut is_lost = false;
        for listed in &self.listed {
            let role = match self.roles.get(&listed.key) {
                Some(role) if *role != ProcessRole::Other => role.clone(),
                _ => continue,
            };
            let usage = kernel.usage(listed.key.pid).ok();
            let started = usage.map(|usage| usage.started_ticks);
            if self.starts.get(&listed.key).is_some_and(|known| Some(*known) != started) {
                self.starts.remove(&listed.key);
                is_lost = true;
            } else if let Some(started) = started {
                self.starts.insert(listed.key, started);
            }
            let is_runner = matches!(role, ProcessRole::Runner(_));
            let process = process(kernel, listed, role, usage);
            if is_runner {
                table.runners.push(process);
            } else {
                table.servers.push(process);
            }
        }
        (table, is_lost)
    }

    /// Learns which processes the config names. Arguments are dear: each
    /// process is asked about when it is new and once more at the next listing,
    /// by when it has become what it was made for.
    fn find_named(&mut self, kernel: &impl Kernel, followed: &ProcessTable) {
        let mut before = std::mem::take(&mut self.verdicts);
        if self.naming.is_empty() {
            return;
        }
        for listed in self.listed.iter().filter(|listed| followed.find(listed.key).is_none()) {
            let verdict = match before.remove(&listed.key) {
                Some(verdict) if !verdict.is_first => verdict,
                earlier => Verdict {
                    is_first: earlier.is_none(),
                    matched: named(&self.naming, kernel, listed),
                },
            };
            self.verdicts.insert(listed.key, verdict);
        }
    }

    fn read_named(&self, kernel: &impl Kernel) -> Vec<Process> {
        let matching = self.listed.iter().filter_map(|listed| {
            let matched = self.verdicts.get(&listed.key)?.matched.clone()?;
            let usage = kernel.usage(listed.key.pid).ok();
            let process = process(kernel, listed, ProcessRole::Other, usage);
            Some(Process { matched, ..process })
        });
        matching.take(MOST_NAMED).collect()
    }

    /// Looks at every process we may look at. Those of other users are denied,
    /// and then what the rest holds is not known.
    fn find_largest(&mut self, kernel: &impl Kernel, keep: usize, followed: &ProcessTable) {
        let mut is_complete = true;
        let mut sizes: Vec<(Bytes, &Listed, Usage)> = Vec::new();
        for listed in &self.listed {
            if listed.is_zombie || followed.find(listed.key).is_some() {
                continue;
            }
            match kernel.usage(listed.key.pid) {
                Ok(usage) => {
                    let size = Bytes::new(usage.resident.max(usage.physical_footprint));
                    sizes.push((size, listed, usage));
                }
                Err(_) => is_complete = false,
            }
        }
        sizes.sort_by_key(|(size, listed, _)| (Reverse(*size), listed.key));
        let small = sizes.split_off(keep.min(sizes.len()));
        self.rest =
            is_complete.then(|| small.iter().map(|(_, _, usage)| Bytes::new(usage.resident)).sum());
        self.others = sizes
            .into_iter()
            .map(|(_, listed, usage)| process(kernel, listed, ProcessRole::Other, Some(usage)))
            .collect();
    }
}

/// What the config says of a process.
struct Verdict {
    /// Patterns of `cmdline:` that match; `None`: nothing names it.
    matched: Option<Vec<String>>,
    /// It may yet become another program.
    is_first: bool,
}

/// `None`: nothing names it. The arguments of other users' processes are
/// denied: those are known by their names alone.
fn named(naming: &Naming, kernel: &impl Kernel, listed: &Listed) -> Option<Vec<String>> {
    let name = if naming.has_names() { name(kernel, listed) } else { String::new() };
    let words = naming.has_lines().then(|| kernel.arguments(listed.key.pid).ok()).flatten();
    let found = words.and_then(|bytes| ProcessArguments::parse(&bytes).ok());
    let line = found.map(|found| line_of(found.arguments.join(" ").as_bytes()));
    naming.of(&name, &line.unwrap_or_default())
}

/// The parent of what the system starts.
const LAUNCHD: u32 = 1;

/// The names a server or a runner can have; only of these are arguments read.
fn is_candidate(name: &str) -> bool {
    matches!(name, "ollama" | "llama-server" | "llama")
}

/// What a process is by its arguments. Those of another user are denied: then
/// an `ollama` that the system itself has started is taken for the server, and
/// a runner cannot be told from somebody else's.
fn role(kernel: &impl Kernel, parser: ArgumentParser, listed: &Listed) -> ProcessRole {
    let arguments =
        kernel.arguments(listed.key.pid).and_then(|bytes| ProcessArguments::parse(&bytes));
    let Ok(found) = arguments else {
        return match (listed.name.as_str(), listed.parent) {
            ("ollama", LAUNCHD) => {
                ProcessRole::Server { host: None, listens: None, environment: Vec::new() }
            }
            _ => ProcessRole::Other,
        };
    };
    match parser(&found.arguments) {
        ProcessRole::Server { host, listens, .. } => {
            let ServerEnvironment { host: told, settings } = found.environment;
            ProcessRole::Server { host: host.or(told), listens, environment: settings }
        }
        ProcessRole::Runner(runner) => {
            let in_ollama_folder = runner.in_ollama_folder.or(Some(found.is_in_ollama_folder()));
            ProcessRole::Runner(Box::new(RunnerArguments { in_ollama_folder, ..*runner }))
        }
        ProcessRole::Other => ProcessRole::Other,
    }
}

fn process(
    kernel: &impl Kernel,
    listed: &Listed,
    role: ProcessRole,
    usage: Option<Usage>,
) -> Process {
    Process {
        key: listed.key,
        parent: listed.parent,
        name: name(kernel, listed),
        role,
        uid: Some(listed.uid),
        memory: usage.map_or_else(ProcessMemory::default, |usage| ProcessMemory {
            resident: Some(Bytes::new(usage.resident)),
            physical_footprint: Some(Bytes::new(usage.physical_footprint)),
            ..ProcessMemory::default()
        }),
        cpu: usage.and_then(|usage| {
            let ticks = usage.user_ticks.saturating_add(usage.system_ticks);
            duration(ticks, kernel.timebase())
        }),
        is_zombie: listed.is_zombie,
        matched: Vec::new(),
    }
}

/// `MAXCOMLEN`: what the list keeps of a name.
const NAME_KEPT: usize = 16;

/// The list cuts names; the path has all of it.
fn name(kernel: &impl Kernel, listed: &Listed) -> String {
    if listed.name.len() < NAME_KEPT {
        return listed.name.clone();
    }
    kernel
        .path(listed.key.pid)
        .and_then(|path| path.rsplit('/').next().map(clean))
        .filter(|name| name.starts_with(&listed.name))
        .unwrap_or_else(|| listed.name.clone())
}

/// Ticks as time: 125/3 ns each on Apple silicon, 1 ns on Intel.
fn duration(ticks: u64, (numerator, denominator): (u32, u32)) -> Option<Duration> {
    let nanoseconds =
        (u128::from(ticks) * u128::from(numerator)).checked_div(u128::from(denominator))?;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_told_by_the_machines_own_timebase() {
        assert_eq!(duration(24_000_000, (125, 3)), Some(Duration::from_secs(1)));
        assert_eq!(duration(7, (1, 1)), Some(Duration::from_nanos(7)));
        assert_eq!(duration(7, (1, 0)), None);
        assert_eq!(duration(u64::MAX, (u32::MAX, 1)), None);
    }
}
