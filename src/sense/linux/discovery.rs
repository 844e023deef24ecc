//! Finding the processes that matter without looking at all of them.
//!
//! The kernel tells the number of the process it made last. Where it has not
//! moved, nothing is new; where it moved a little, just the new numbers are
//! looked at. A process is looked at a few times while it is young, because it
//! bears its parent's command line until it becomes what it was made for.

use std::time::Duration;

use super::folder::ProcFolder;
use crate::domain::fault::SensorFault;
use crate::domain::time::Monotonic;

/// Up to so many new numbers are tried one by one, about 1 µs each where there
/// is no such process; a listing costs more than that on any machine.
const MOST_TRIED: u32 = 128;
/// Looks at a young process after the first: some wrappers set up for seconds
/// before they become the program.
const YOUNG_LOOKS: u8 = 4;
/// Between them, but for the first, which is due at the next sample: where
/// samples come fast, a setup of seconds is still seen to its end.
const YOUNG_PAUSE: Duration = Duration::from_millis(900);
/// Beyond this a machine makes processes so fast that most are dead by the
/// next look; the sweep finds what is left.
const MOST_YOUNG: usize = 512;
/// A look at every command line, for programs that were replaced late: 4 µs a
/// process, so 0.013 % of a core at 2,000 processes.
const SWEEP: Duration = Duration::from_secs(60);
/// Where the kernel does not tell its newest number, sweeps are all there is.
const SWEEP_BLIND: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct Discovery {
    newest: Option<u32>,
    young: Vec<Young>,
    swept_at: Option<Monotonic>,
    list: Vec<u32>,
    /// Processes at the last listing.
    pub count: Option<u32>,
}

#[derive(Debug)]
struct Young {
    pid: u32,
    looks_left: u8,
    /// Again, after the first look.
    looked_at: Option<Monotonic>,
}

impl Discovery {
    /// The processes to look at now, in `into`.
    pub fn candidates(
        &mut self,
        folder: &mut ProcFolder,
        now: Monotonic,
        into: &mut Vec<u32>,
    ) -> Result<(), SensorFault> {
        into.clear();
        self.young.retain_mut(|young| {
            if young.looked_at.is_none_or(|at| now.since(at) >= YOUNG_PAUSE) {
                into.push(young.pid);
                young.looks_left = young.looks_left.saturating_sub(1);
                young.looked_at = Some(now);
            }
            young.looks_left > 0
        });
        let before = self.newest;
        self.newest = folder.newest();
        let pause = if self.newest.is_some() { SWEEP } else { SWEEP_BLIND };
        if self.swept_at.is_none_or(|at| now.since(at) >= pause) {
            self.list(folder)?;
            self.swept_at = Some(now);
            into.clone_from(&self.list);
        }
        // The first look has no before: what was made last may still be young.
        let Some(newest) = self.newest else { return Ok(()) };
        let before = before.unwrap_or(newest.saturating_sub(MOST_TRIED));
        self.add_new(folder, before, into)
    }

    /// Something else is looked for: the next look is one at everything.
    pub fn sweep_next(&mut self) {
        self.swept_at = None;
    }

    /// Whether the look at this moment was one at everything.
    pub fn has_just_swept(&self, now: Monotonic) -> bool {
        self.swept_at == Some(now)
    }

    /// Not there, or not a process of its own: no more looks.
    pub fn forget(&mut self, pid: u32) {
        self.young.retain(|young| young.pid != pid);
    }

    /// All processes there are; also counts them.
    pub fn list(&mut self, folder: &ProcFolder) -> Result<&[u32], SensorFault> {
        folder.list(&mut self.list)?;
        self.count = u32::try_from(self.list.len()).ok();
        Ok(&self.list)
    }

    fn add_new(
        &mut self,
        folder: &ProcFolder,
        before: u32,
        into: &mut Vec<u32>,
    ) -> Result<(), SensorFault> {
        let Some(newest) = self.newest.filter(|newest| *newest != before) else { return Ok(()) };
        let first_new = into.len();
        if newest > before && newest - before <= MOST_TRIED {
            into.extend(before + 1..=newest);
        } else {
            self.list(folder)?;
            // Numbers begin again at the bottom after the largest.
            into.extend(self.list.iter().copied().filter(|pid| match newest > before {
                true => *pid > before && *pid <= newest,
                false => *pid > before || *pid <= newest,
            }));
        }
        for pid in &into[first_new..] {
            if self.young.len() < MOST_YOUNG {
                self.young.push(Young { pid: *pid, looks_left: YOUNG_LOOKS, looked_at: None });
            }
        }
        Ok(())
    }
}
