//! The simulated machine beside its models: programs, kernel, cache, swap and
//! how hard it works. Every figure follows from what programs want, so sums
//! agree: used is the kernel's part and what all processes have resident.

use std::time::Duration;

use super::TICK;
use super::chance::Chance;
use super::models::{Models, memory};
use crate::domain::bytes::Bytes;
use crate::domain::fault::SensorFault;
use crate::domain::process::{Process, ProcessKey, ProcessRole, ProcessTable};
use crate::domain::sample::{
    AvailableSource, Memory, MemoryParts, Paging, Pressure, Sample, Stall, Swap,
};
use crate::domain::time::Moment;

/// What a 16 GiB machine leaves to its programs.
const TOTAL: Bytes = Bytes::kib(16_355_328);

const SWAP_TOTAL: Bytes = Bytes::gib(4);

const SLAB: Bytes = Bytes::mib(380);

/// Page tables, stacks and the rest of the kernel's own.
const KERNEL: Bytes = Bytes::mib(290);

/// Shared memory that belongs to no one process.
const SHARED: Bytes = Bytes::mib(180);

/// File cache the kernel keeps while there is room for it.
const CACHE: Bytes = Bytes::mib(2_400);

/// The kernel always keeps about this much free outright.
const LEAST_FREE: Bytes = Bytes::mib(220);

/// What a server leaves untouched when it judges whether a model fits.
const RESERVE: Bytes = Bytes::mib(256);

/// Out of a hundred: from here on the kernel swaps a share of what is beyond.
const SWAP_FROM: u64 = 88;
const SWAP_SHARE: u64 = 35;

/// What one tick can move out, and back in: a fair disk, and nobody in a hurry.
const OUT_A_TICK: Bytes = Bytes::mib(4);
const IN_A_TICK: Bytes = Bytes::kib(900);

/// Swap that was used before we looked, and never comes back by itself.
const OLD_SWAP: Bytes = Bytes::mib(148);

/// Everything that is too small to be listed.
const REST: Bytes = Bytes::mib(820);
const REST_FILE: Bytes = Bytes::mib(60);

/// A browser's page processes: pid, anonymous and file MiB.
const BROWSER: [(u32, u64, u64); 6] = [
    (4021, 520, 96),
    (4102, 318, 22),
    (4117, 262, 22),
    (4160, 231, 22),
    (4203, 196, 22),
    (4288, 144, 20),
];

/// Other programs: name, pid, anonymous and file MiB, processor µs a tick.
const PROGRAMS: [(&str, u32, u64, u64, u64); 4] = [
    ("code", 3120, 395, 88, 900),
    ("code", 3164, 240, 40, 1_400),
    ("gnome-shell", 2210, 268, 74, 1_500),
    ("Xwayland", 2391, 62, 31, 200),
];

/// A program of the machine and what it wants.
#[derive(Debug, Clone)]
struct Program {
    name: &'static str,
    key: ProcessKey,
    wants: Bytes,
    file: Bytes,
    cpu: Duration,
    cpu_a_tick: Duration,
}

#[derive(Debug, Clone, Default)]
struct Averages {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total_us: u64,
}

#[derive(Debug)]
pub(super) struct Machine {
    programs: Vec<Program>,
    /// The compiler's processes, while it builds.
    build: Vec<Program>,
    builds: u32,
    swapped: Bytes,
    some: Averages,
    full: Averages,
    paging: Paging,
    ticks: u64,
}

impl Machine {
    pub(super) fn new() -> Self {
        let browser = BROWSER.iter().enumerate().map(|(number, (pid, wants, file))| {
            let name = if number == 0 { "firefox" } else { "Isolated Web Co" };
            program(name, *pid, [*wants, *file], 900)
        });
        let others = PROGRAMS
            .iter()
            .map(|(name, pid, wants, file, cpu)| program(name, *pid, [*wants, *file], *cpu));
        Machine {
            programs: browser.chain(others).collect(),
            build: Vec::new(),
            builds: 0,
            swapped: OLD_SWAP,
            some: Averages { avg300: 0.04, total_us: 4_188_210, ..Averages::default() },
            full: Averages { avg300: 0.02, total_us: 1_630_904, ..Averages::default() },
            paging: Paging {
                swapped_in: Some(Bytes::mib(61)),
                swapped_out: Some(Bytes::mib(233)),
                major_faults: Some(41_877),
                refaults_file: Some(9_120),
                refaults_anon: Some(2_044),
                oom_kills: Some(0),
            },
            ticks: 0,
        }
    }

    /// What pages opened since the start take, spread over the browser.
    pub(super) fn open_tabs(&mut self, more: Bytes) {
        for (program, (_, base, _)) in self.programs.iter_mut().zip(BROWSER) {
            program.wants = Bytes::mib(base) + Bytes::new(more.get() / BROWSER.len() as u64);
        }
    }

    /// One of the browser's processes takes a little more or less.
    pub(super) fn fidget(&mut self, chance: &mut Chance) {
        // The browser's come first in the list.
        let which = usize::try_from(chance.between(0, BROWSER.len() as u64)).unwrap_or_default();
        let file = Bytes::mib(BROWSER[which].2) + Bytes::kib(chance.between(0, 4_096));
        self.programs[which].file = file;
    }

    /// The compiler takes so much; nothing ends it.
    pub(super) fn build(&mut self, wants: Bytes) {
        if wants.is_zero() {
            self.build.clear();
            return;
        }
        if self.build.is_empty() {
            self.builds += 1;
            let pid = 20_000 + self.builds % 1_000 * 10;
            let names = [("cargo", 1_000), ("rustc", 96_000), ("rustc", 91_000)];
            self.build = names
                .into_iter()
                .zip(pid..)
                .map(|((name, cpu), pid)| Program {
                    key: ProcessKey { pid, started: 360_000 + self.ticks * 10 },
                    ..program(name, pid, [0, 18], cpu)
                })
                .collect();
        }
        let tenth = Bytes::new(wants.get() / 10);
        for (program, tenths) in self.build.iter_mut().zip([1_u64, 5, 4]) {
            program.wants = Bytes::new(tenth.get() * tenths);
        }
    }

    /// `models`: what the server and its runners hold.
    pub(super) fn tick(&mut self, models: Bytes) {
        self.ticks += 1;
        for program in self.programs.iter_mut().chain(&mut self.build) {
            program.cpu += program.cpu_a_tick;
        }
        self.swap(models);
        let some = self.stalled(models);
        self.some.tick(some);
        self.full.tick(some * 0.35);
    }

    fn swap(&mut self, models: Bytes) {
        let wanted = self.wanted(models);
        let from = Bytes::new(TOTAL.get() / 100 * SWAP_FROM);
        let gentle = Bytes::new(wanted.saturating_sub(from).get() / 100 * SWAP_SHARE);
        let forced = wanted.saturating_sub(TOTAL.saturating_sub(LEAST_FREE));
        let most = SWAP_TOTAL.min(self.swappable());
        let target = (OLD_SWAP + gentle).max(forced).min(most);
        let before = self.swapped;
        self.swapped = if target > before {
            target.min(before + OUT_A_TICK).max(forced.min(most))
        } else {
            target.max(before.saturating_sub(IN_A_TICK))
        };
        let (out, back) =
            (self.swapped.saturating_sub(before), before.saturating_sub(self.swapped));
        let add = |count: &mut Option<Bytes>, more| *count = count.map(|bytes| bytes + more);
        add(&mut self.paging.swapped_out, out);
        add(&mut self.paging.swapped_in, back);
        // A fault brings back a cluster of eight pages.
        let faults = back.get() / (8 * 4_096);
        self.paging.major_faults = self.paging.major_faults.map(|count| count + faults);
        let refaults = out.get() / (16 * 4_096);
        self.paging.refaults_file = self.paging.refaults_file.map(|count| count + refaults);
        self.paging.refaults_anon = self.paging.refaults_anon.map(|count| count + faults);
    }

    /// Share of time tasks wait for memory, by how full it is.
    fn stalled(&self, models: Bytes) -> f64 {
        let used = self.used(models).share_of(TOTAL).unwrap_or_default().get();
        ((used - 85.0).max(0.0) + (used - 90.0).max(0.0) * 5.0).min(60.0)
    }

    fn all(&self) -> impl Iterator<Item = &Program> {
        self.programs.iter().chain(&self.build)
    }

    /// What everything would have resident without swap.
    fn wanted(&self, models: Bytes) -> Bytes {
        let programs: Bytes = self.all().map(|program| program.wants + program.file).sum();
        KERNEL + SLAB + SHARED + REST + REST_FILE + programs + models
    }

    fn swappable(&self) -> Bytes {
        let anonymous: Bytes = self.all().map(|program| program.wants).sum();
        Bytes::new((anonymous + REST).get() / 10 * 9)
    }

    fn used(&self, models: Bytes) -> Bytes {
        self.wanted(models).saturating_sub(self.swapped).min(TOTAL)
    }

    /// What a server finds available for one more model.
    pub(super) fn room(&self, models: &Models) -> Bytes {
        TOTAL
            .saturating_sub(self.used(models.held()))
            .saturating_sub(models.promised())
            .saturating_sub(RESERVE)
    }

    pub(super) fn sample(&self, models: &Models, now: Moment) -> Sample {
        Sample {
            at: now,
            memory: Ok(self.memory(models)),
            swap: Ok(Swap { total: SWAP_TOTAL, used: self.swapped }),
            pressure: Ok(Pressure::Psi { some: self.some.stall(), full: Some(self.full.stall()) }),
            paging: Ok(self.paging.clone()),
            zram: Err(SensorFault::absent("no zram")),
            limit: Err(SensorFault::absent("not in a container")),
            gpus: Err(SensorFault::absent("no GPU")),
            processes: Ok(self.table(models)),
            groups: crate::domain::sample::no_groups(),
        }
    }

    fn memory(&self, models: &Models) -> Memory {
        let used = self.used(models.held());
        let available = TOTAL.saturating_sub(used);
        // Where memory is short the cache shrinks, and never quite to nothing.
        let least = Bytes::new(available.get() / 3);
        let cache = CACHE.min(available.saturating_sub(LEAST_FREE).max(least));
        let mut anonymous = Bytes::ZERO;
        let mut file = REST_FILE;
        let table = self.table(models);
        for process in table.all() {
            anonymous += process.memory.anonymous.unwrap_or_default();
            file += process.memory.file.unwrap_or_default();
        }
        anonymous += table.rest.unwrap_or_default().saturating_sub(REST_FILE);
        Memory {
            total: TOTAL,
            available,
            free: available.saturating_sub(cache),
            available_source: AvailableSource::Simulated,
            parts: MemoryParts::Linux {
                anonymous: Some(anonymous),
                cached: Some(cache + file + SHARED),
                shared: Some(SHARED),
                slab_unreclaimable: Some(SLAB),
            },
        }
    }

    fn table(&self, models: &Models) -> ProcessTable {
        let (servers, runners) =
            models.processes().into_iter().partition(|p| !matches!(p.role, ProcessRole::Runner(_)));
        let in_all = self.all().map(|program| program.wants).sum::<Bytes>() + REST;
        let share = |wants: Bytes| part(self.swapped, wants, in_all);
        let mut others: Vec<Process> =
            self.all().map(|program| program.process(share(program.wants))).collect();
        others.sort_by_key(|process| std::cmp::Reverse((process.memory.resident, process.key)));
        let listed: Bytes = others.iter().filter_map(|process| process.memory.swapped).sum();
        // What rounding leaves over is the rest's, so that the sum is exact.
        let rest_swapped = self.swapped.saturating_sub(listed);
        ProcessTable {
            servers,
            runners,
            others,
            rest: Some((REST + REST_FILE).saturating_sub(rest_swapped)),
            count: u32::try_from(287 + self.build.len()).ok(),
            reapers: Vec::new(),
            named: Vec::new(),
        }
    }
}

impl Program {
    fn process(&self, swapped: Bytes) -> Process {
        let mut memory = memory(self.wants.saturating_sub(swapped), self.file);
        memory.swapped = Some(swapped);
        Process {
            key: self.key,
            parent: 1,
            name: self.name.to_owned(),
            role: ProcessRole::Other,
            uid: Some(1000),
            memory,
            cpu: Some(self.cpu),
            is_zombie: false,
            matched: Vec::new(),
        }
    }
}

/// `mib`: anonymous and file.
fn program(name: &'static str, pid: u32, mib: [u64; 2], cpu_us: u64) -> Program {
    Program {
        name,
        key: ProcessKey { pid, started: u64::from(pid) * 7 },
        wants: Bytes::mib(mib[0]),
        file: Bytes::mib(mib[1]),
        cpu: Duration::from_millis(u64::from(pid) * 3),
        cpu_a_tick: Duration::from_micros(cpu_us),
    }
}

/// `of` scaled by `share` of `whole`, rounded down.
fn part(of: Bytes, share: Bytes, whole: Bytes) -> Bytes {
    let scaled = u128::from(of.get()) * u128::from(share.get()) / u128::from(whole.get().max(1));
    Bytes::new(u64::try_from(scaled).unwrap_or(u64::MAX))
}

impl Averages {
    fn tick(&mut self, share: f64) {
        let step = TICK.as_secs_f64();
        for (average, span) in
            [(&mut self.avg10, 10.0), (&mut self.avg60, 60.0), (&mut self.avg300, 300.0)]
        {
            *average += (share - *average) * step / span;
        }
        self.total_us += (share / 100.0 * step * 1e6) as u64;
    }

    /// In hundredths, as the kernel prints them.
    fn stall(&self) -> Stall {
        let printed = |share: f64| (share * 100.0).round() / 100.0;
        Stall {
            avg10: printed(self.avg10),
            avg60: printed(self.avg60),
            avg300: printed(self.avg300),
            total_us: self.total_us,
        }
    }
}
