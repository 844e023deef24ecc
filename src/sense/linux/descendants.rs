//! The processes that came of one, read from `/proc`: by the parent of each,
//! over all processes, since no process can leave the tree but by its parent's
//! end, and then it is taken in by the one that asked for that.

use std::collections::BTreeMap;
use std::path::Path;

use super::folder::ProcFolder;
use super::process::{Stat, Status};
use super::tracked::memory_of;
use crate::domain::process::ProcessKey;
use crate::domain::sample::Reading;
use crate::sense::family::Relative;

#[derive(Debug)]
pub struct Descendants {
    folder: ProcFolder,
    pids: Vec<u32>,
}

impl Descendants {
    pub fn new(root: &Path) -> Descendants {
        Descendants { folder: ProcFolder::new(root), pids: Vec::new() }
    }

    /// All that came of a process, without itself, in no order. One that ends
    /// meanwhile is left out.
    pub fn read(&mut self, ancestor: u32) -> Reading<Vec<Relative>> {
        self.folder.open()?;
        self.folder.list(&mut self.pids)?;
        let mut children: BTreeMap<u32, Vec<(u32, Stat)>> = BTreeMap::new();
        for pid in &self.pids {
            let Ok(text) = self.folder.read(*pid, "stat") else { continue };
            let Some(stat) = Stat::parse(text) else { continue };
            children.entry(stat.parent).or_default().push((*pid, stat));
        }
        let mut found = Vec::new();
        let mut parents = vec![ancestor];
        while let Some(parent) = parents.pop() {
            // Taken out: a table that was torn while it was read has no loops.
            for (pid, stat) in children.remove(&parent).unwrap_or_default() {
                parents.push(pid);
                found.extend(self.relative(pid, &stat).filter(|_| pid != ancestor));
            }
        }
        Ok(found)
    }

    fn relative(&mut self, pid: u32, stat: &Stat) -> Option<Relative> {
        let status = Status::parse(self.folder.read(pid, "status").ok()?);
        Some(Relative {
            key: ProcessKey { pid, started: stat.started },
            parent: stat.parent,
            is_zombie: stat.is_zombie,
            memory: memory_of(&status, stat.is_zombie),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bytes;

    fn process(root: &Path, (pid, parent): (u32, u32), mib: u64) {
        let folder = root.join(format!("proc/{pid}"));
        std::fs::create_dir_all(&folder).unwrap();
        let stat =
            format!("{pid} (a) b) S {parent} 1 1 0 -1 0 0 0 0 0 5 6 0 0 20 0 1 0 {pid}7 0\n");
        std::fs::write(folder.join("stat"), stat).unwrap();
        let kib = mib * 1024;
        let status =
            format!("Tgid:\t{pid}\nVmRSS:\t{kib} kB\nRssAnon:\t{kib} kB\nRssFile:\t0 kB\n");
        std::fs::write(folder.join("status"), status).unwrap();
    }

    #[test]
    fn all_that_came_of_a_process_is_found_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        // 10 has 11 and 12, 12 has 13; 20 is somebody else's, 10 itself is 1's.
        for (pid, parent) in [(1, 0), (10, 1), (11, 10), (12, 10), (13, 12), (20, 1)] {
            process(root.path(), (pid, parent), u64::from(pid));
        }
        let mut descendants = Descendants::new(root.path());
        let mut found = descendants.read(10).unwrap();
        found.sort_by_key(|one| one.key);
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.key.pid, one.parent, one.key.started, one.memory.anonymous))
            .collect();
        let mib = |mib| Some(Bytes::mib(mib));
        assert_eq!(shown, [(11, 10, 117, mib(11)), (12, 10, 127, mib(12)), (13, 12, 137, mib(13))]);
        std::fs::remove_dir_all(root.path().join("proc/12")).unwrap();
        assert_eq!(descendants.read(10).unwrap().len(), 1, "what was below it has no way up");
        assert_eq!(descendants.read(99).unwrap(), []);
    }

    #[test]
    fn a_torn_table_ends() {
        let root = tempfile::tempdir().unwrap();
        for (pid, parent) in [(10, 11), (11, 10), (12, 12)] {
            process(root.path(), (pid, parent), 1);
        }
        let found = Descendants::new(root.path()).read(10).unwrap();
        assert_eq!(found.iter().map(|one| one.key.pid).collect::<Vec<_>>(), [11]);
    }

    #[test]
    fn without_a_proc_it_says_so() {
        let root = tempfile::tempdir().unwrap();
        assert!(Descendants::new(root.path()).read(1).is_err());
    }
}
