//! One raw reading of the machine's sensors, with its time. No percentages,
//! no rates: those are derived from two samples.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::fault::SensorFault;
use super::group::Group;
use super::process::ProcessTable;
use super::time::Moment;

/// A value, or the reason why there is none. Absent is never zero.
pub type Reading<T> = Result<T, SensorFault>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Moment,
    pub memory: Reading<Memory>,
    pub swap: Reading<Swap>,
    pub pressure: Reading<Pressure>,
    pub paging: Reading<Paging>,
    pub zram: Reading<Zram>,
    /// The limit of the container plimsoll runs in. Already applied to `memory`.
    pub limit: Reading<MemoryLimit>,
    pub gpus: Reading<Vec<Gpu>>,
    /// Servers, runners and the largest others.
    pub processes: Reading<ProcessTable>,
    /// Containers and services the config names. Absent where it names none.
    #[serde(default = "no_groups")]
    pub groups: Reading<Vec<Group>>,
}

/// The config names none, or the recording is older than they are.
pub fn no_groups() -> Reading<Vec<Group>> {
    Err(SensorFault::absent("no containers or services are named"))
}

/// System memory. `used` is everywhere `total - available`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the system (or the container's limit) lets programs have.
    pub total: Bytes,
    /// What new programs can get without swapping.
    pub available: Bytes,
    /// Free outright; the rest of `available` is what could be given back.
    pub free: Bytes,
    /// How `available` was had.
    pub available_source: AvailableSource,
    pub parts: MemoryParts,
}

impl Memory {
    pub fn used(&self) -> Bytes {
        self.total.saturating_sub(self.available)
    }

    /// Cache and the like: counted as available, not free outright.
    pub fn reclaimable(&self) -> Bytes {
        self.available.saturating_sub(self.free)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AvailableSource {
    /// The kernel's own `MemAvailable`.
    Kernel,
    /// `MemFree + Cached + Buffers - Shmem`, for kernels without it.
    Fallback,
    /// Free less speculative, plus file-backed, plus purgeable (macOS).
    MachStatistics,
    /// The container's limit less what it uses, cache apart.
    Cgroup,
    /// A simulated machine.
    Simulated,
}

/// The parts a person of that system knows by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "system")]
pub enum MemoryParts {
    Linux {
        anonymous: Option<Bytes>,
        /// Page cache with shared memory; `Cached` + `Buffers`.
        cached: Option<Bytes>,
        shared: Option<Bytes>,
        slab_unreclaimable: Option<Bytes>,
    },
    Mac {
        app: Bytes,
        wired: Bytes,
        compressed: Bytes,
        cached: Bytes,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    pub total: Bytes,
    pub used: Bytes,
}

/// How hard the system works for memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "system")]
pub enum Pressure {
    /// Linux PSI: share of wall time that tasks stalled on memory.
    Psi { some: Stall, full: Option<Stall> },
    /// macOS: what the kernel itself says.
    Mac { level: MacPressure },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// Percent of wall time over 10, 60 and 300 s.
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    /// Microseconds in all.
    pub total_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MacPressure {
    Normal,
    Warning,
    Critical,
}

impl MacPressure {
    pub const fn word(self) -> &'static str {
        match self {
            MacPressure::Normal => "normal",
            MacPressure::Warning => "warning",
            MacPressure::Critical => "critical",
        }
    }
}

/// Counters since boot. Each may be missing on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    pub swapped_in: Option<Bytes>,
    pub swapped_out: Option<Bytes>,
    pub major_faults: Option<u64>,
    pub refaults_file: Option<u64>,
    pub refaults_anon: Option<u64>,
    pub oom_kills: Option<u64>,
}

/// Compressed swap in memory: what it holds and what that costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zram {
    /// Size of the data as it was.
    pub stored: Bytes,
    /// RAM it takes now.
    pub taken: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimit {
    pub limit: Bytes,
    /// What the container uses, inactive file cache left out.
    pub used: Bytes,
    /// `cgroup v1`, `cgroup v2`, and where.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    pub name: String,
    pub total: Bytes,
    pub used: Option<Bytes>,
    /// The same RAM as the system's: never added to it, and no signal.
    pub unified: bool,
}
