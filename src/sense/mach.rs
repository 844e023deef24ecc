//! What a Darwin kernel answers, made into a sample: arithmetic and parsing
//! only, compiled and tested on every system.
//!
//! The calls themselves are behind [`Kernel`], which `sense::macos` answers
//! with the real system and the tests with bytes laid out as the kernel does.
//! sysinfo is not asked for memory here (it counts active pages as available)
//! nor for the processes (it looks at each of them, and tells start times only
//! to the second, too coarse to know a process again).

pub mod arguments;
pub mod process_list;
pub mod statistics;
mod table;

use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::group::Group;
use crate::domain::process::ProcessRole;
use crate::domain::rule::{Named, NamedBy};
use crate::domain::sample::{Gpu, MacPressure, Pressure, Reading, Sample, Swap, no_groups};
use crate::domain::time::Moment;

use super::Want;
use process_list::Identity;
use statistics::VmStatistics;
use table::Table;

/// Tells from a command line what a process is to us.
pub type ArgumentParser = fn(&[String]) -> ProcessRole;

/// The calls of a Darwin kernel that the sensors need, with raw answers.
pub trait Kernel: Send {
    /// The bytes of a `sysctl` by name.
    fn sysctl(&self, name: &str) -> Reading<Vec<u8>>;

    fn vm_statistics(&self) -> Reading<VmStatistics>;

    /// Every pid, in the order the kernel gives; cheap.
    fn pids(&self) -> Reading<Vec<u32>>;

    /// `kern.proc.all`: one `kinfo_proc` for each process of every user.
    fn process_list(&self) -> Reading<Vec<u8>>;

    /// `kern.procargs2` of one process; denied for those of other users.
    fn arguments(&self, pid: u32) -> Reading<Vec<u8>>;

    /// What one process holds and has used; denied for those of other users.
    fn usage(&self, pid: u32) -> Reading<Usage>;

    /// The path of the executable.
    fn path(&self, pid: u32) -> Option<String>;

    /// Ticks of a process's times to nanoseconds, as numerator and denominator.
    fn timebase(&self) -> (u32, u32);

    fn own(&self) -> Identity;
}

/// `rusage_info_v2`, as far as it is used. Times are in the kernel's ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub resident: u64,
    pub physical_footprint: u64,
    pub user_ticks: u64,
    pub system_ticks: u64,
    /// Start in ticks since boot: tells a reused pid.
    pub started_ticks: u64,
}

/// Sensors over any [`Kernel`].
pub struct MachSensors<K> {
    kernel: K,
    table: Table,
}

impl<K: Kernel> MachSensors<K> {
    pub fn new(kernel: K, parser: ArgumentParser) -> Self {
        MachSensors { kernel, table: Table::new(parser) }
    }

    pub fn read(&mut self, want: &Want, now: Moment) -> Sample {
        let kernel = &self.kernel;
        let statistics = kernel.vm_statistics();
        let total = kernel.sysctl("hw.memsize").and_then(|bytes| number("hw.memsize", &bytes));
        Sample {
            at: now,
            memory: match (&statistics, total) {
                (Ok(statistics), Ok(total)) => statistics.memory(Bytes::new(total)),
                (Err(fault), _) => Err(fault.clone()),
                (_, Err(fault)) => Err(fault),
            },
            swap: kernel.sysctl("vm.swapusage").and_then(|bytes| swap(&bytes)),
            pressure: kernel.sysctl(PRESSURE_LEVEL).and_then(|bytes| pressure(&bytes)),
            paging: statistics.as_ref().map(VmStatistics::paging).map_err(Clone::clone),
            zram: Err(SensorFault::absent("no zram: macOS has a compressor of its own")),
            limit: Err(SensorFault::absent("no limit: macOS has no containers of its own")),
            gpus: gpus(kernel),
            processes: self.table.read(kernel, want),
            groups: groups(want),
        }
    }
}

/// Containers run in a virtual machine, and services are processes.
fn groups(want: &Want) -> Reading<Vec<Group>> {
    let is_group = |named: &Named| matches!(named.by, NamedBy::Container | NamedBy::Unit);
    if !want.named.iter().any(is_group) {
        return no_groups();
    }
    Err(SensorFault::absent("no control groups: macOS has none"))
}

/// Hidden from a listing of all names, and readable by everybody.
const PRESSURE_LEVEL: &str = "kern.memorystatus_vm_pressure_level";

const WIRED_LIMIT: &str = "iogpu.wired_limit_mb";

/// The names of a chip and its GPU are one; older systems call it otherwise.
const CHIP_NAME: &str = "machdep.cpu.brand_string";

/// An integer as `sysctl` gives it: 4 or 8 bytes of this machine's order.
pub fn number(name: &str, bytes: &[u8]) -> Reading<u64> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ok(u64::from(u32::from_ne_bytes(four)));
    }
    match <[u8; 8]>::try_from(bytes) {
        Ok(eight) => Ok(u64::from_ne_bytes(eight)),
        Err(_) => Err(malformed(format!("{name}: {} bytes are not a number", bytes.len()))),
    }
}

/// `xsw_usage`: three sizes, the page size, whether it is encrypted.
const SWAP_USAGE_SIZE: usize = 32;

/// The answer of `vm.swapusage`. Swap files are made on demand, so a total of
/// zero says that none is needed yet, not that there is no swap.
pub fn swap(bytes: &[u8]) -> Reading<Swap> {
    if bytes.len() != SWAP_USAGE_SIZE {
        return Err(malformed(format!(
            "vm.swapusage: {} bytes instead of {SWAP_USAGE_SIZE}",
            bytes.len()
        )));
    }
    let (Some(total), Some(used)) = (u64_at(bytes, 0), u64_at(bytes, 16)) else {
        return Err(malformed("vm.swapusage: too short"));
    };
    Ok(Swap { total: Bytes::new(total), used: Bytes::new(used.min(total)) })
}

/// The kernel's own words are 1, 2 and 4.
pub fn pressure(bytes: &[u8]) -> Reading<Pressure> {
    let level = match number(PRESSURE_LEVEL, bytes)? {
        1 => MacPressure::Normal,
        2 => MacPressure::Warning,
        4 => MacPressure::Critical,
        other => {
            return Err(malformed(format!("{PRESSURE_LEVEL}: {other} is none of 1, 2 and 4")));
        }
    };
    Ok(Pressure::Mac { level })
}

/// The GPU's ceiling is a figure only where somebody has set it; the default
/// differs by model and release, so it is not computed.
fn gpus(kernel: &impl Kernel) -> Reading<Vec<Gpu>> {
    let limit = kernel.sysctl(WIRED_LIMIT).and_then(|bytes| number(WIRED_LIMIT, &bytes))?;
    if limit == 0 {
        return Err(SensorFault::absent("the GPU's working set is only known to Metal"));
    }
    let name = kernel
        .sysctl(CHIP_NAME)
        .map(|bytes| text(&bytes))
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "GPU".to_owned());
    Ok(vec![Gpu { name, total: Bytes::mib(limit), used: None, unified: true }])
}

/// A text of C, up to its first NUL, made safe to draw.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    crate::domain::text::clean_bytes(&bytes[..end])
}

fn malformed(detail: impl Into<String>) -> SensorFault {
    SensorFault::new(FaultKind::Malformed, detail)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
