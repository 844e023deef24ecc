//! Processes the config names: found like runners, among what is new and in
//! the looks at everything, and then read with every sample.

use std::sync::Arc;

use super::folder::ProcFolder;
use super::tracked::{Tracked, Units, completed};
use crate::domain::process::{Process, ProcessKey};
use crate::domain::rule::Named;
use crate::domain::text::clean_bytes;
use crate::sense::arguments::base_name;
use crate::sense::naming::{MOST_NAMED, Naming, line_of};

#[derive(Debug, Default)]
pub struct NamedProcesses {
    naming: Naming,
    /// By key.
    tracked: Vec<Tracked>,
}

/// A command line, as far as the patterns want to see it.
#[derive(Debug)]
pub struct Seen {
    pid: u32,
    line: String,
    /// Its first word: the kernel keeps only 15 bytes of a name.
    program: Vec<u8>,
}

impl NamedProcesses {
    /// True where these are other patterns than before.
    pub fn ask(&mut self, named: &Arc<[Named]>) -> bool {
        let is_changed = self.naming.ask(named);
        if is_changed && !self.is_asked() {
            self.tracked.clear();
        }
        is_changed
    }

    pub fn is_asked(&self) -> bool {
        !self.naming.is_empty()
    }

    /// Reads them again, and lets go of those that have another name by now:
    /// the answer is their numbers, since they may be named all the same.
    pub fn refresh(&mut self, buffer: &mut Vec<u8>) -> Vec<u32> {
        self.tracked.retain_mut(|one| one.refresh(buffer));
        let renamed = self.tracked.extract_if(.., |one| one.is_renamed);
        renamed.map(|one| one.process.key.pid).collect()
    }

    /// What is kept of a command line until the process is judged; `None`
    /// where no process is named.
    pub fn see(&self, pid: u32, line: &[u8]) -> Option<Seen> {
        self.is_asked().then(|| Seen {
            pid,
            line: if self.naming.has_lines() { line_of(line) } else { String::new() },
            program: line
                .split(|byte| *byte == 0)
                .next()
                .map(base_name)
                .unwrap_or_default()
                .to_vec(),
        })
    }

    /// The patterns of `cmdline:` that match.
    pub fn matched(&self, seen: Option<&Seen>) -> Vec<String> {
        seen.map(|seen| self.naming.matched(&seen.line)).unwrap_or_default()
    }

    /// Follows the process if something names it, and lets go of it otherwise.
    /// False when there is none of that number.
    pub fn consider(&mut self, folder: &mut ProcFolder, seen: &Seen, units: Units) -> bool {
        let pid = seen.pid;
        let mut name = None;
        if self.naming.has_names() {
            name = name_of(folder, seen);
            if name.is_none() {
                return false;
            }
        }
        let known = self.tracked.iter().position(|one| one.process.key.pid == pid);
        let Some(matched) = self.naming.of(name.as_deref().unwrap_or_default(), &seen.line) else {
            self.let_go(pid);
            return true;
        };
        if let Some(at) = known {
            let name = name.or_else(|| name_of(folder, seen));
            let tracked = &mut self.tracked[at];
            if name.is_some_and(|name| name == tracked.process.name) {
                tracked.process.matched = matched;
                return true;
            }
            self.tracked.remove(at);
        }
        if self.tracked.len() >= MOST_NAMED {
            return true;
        }
        let Some(mut tracked) = Tracked::open(folder, pid, None, units) else { return false };
        tracked.process.matched = matched;
        self.tracked.push(tracked);
        self.tracked.sort_unstable_by_key(|one| one.process.key);
        true
    }

    /// It is followed as something else, or not at all.
    pub fn let_go(&mut self, pid: u32) {
        self.tracked.retain(|one| one.process.key.pid != pid);
    }

    pub fn has_pid(&self, pid: u32) -> bool {
        self.tracked.iter().any(|one| one.process.key.pid == pid)
    }

    pub fn has(&self, key: ProcessKey) -> bool {
        self.tracked.iter().any(|one| one.process.key == key)
    }

    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.tracked.iter().map(|one| &one.process)
    }
}

/// Its name as it is shown, completed from its first word.
fn name_of(folder: &mut ProcFolder, seen: &Seen) -> Option<String> {
    let name = folder.read(seen.pid, "comm").ok()?;
    let name = name.strip_suffix(b"\n").unwrap_or(name).to_vec();
    Some(clean_bytes(&completed(name, &seen.program)))
}
