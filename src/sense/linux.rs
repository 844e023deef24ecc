//! A Linux machine, read from `/proc` and `/sys` below a root.
//!
//! Nothing here needs Linux to compile, so its parsers are tested anywhere.
//! What is read on every tick is read from descriptors kept open, 1 µs or so
//! each. System memory is read here and not through `sysinfo`, which knows
//! neither pressure nor paging, and in a container counts cache as used.

pub mod descendants;
mod devices;
mod discovery;
mod file;
mod folder;
mod groups;
mod limit;
mod lines;
mod named;
mod nvidia;
pub mod process;
mod processes;
mod proportional;
mod sockets;
mod system;
mod tracked;
mod trigger;

use std::path::{Path, PathBuf};

use sysinfo::System;

pub(super) use self::file::fault as fault_of;
pub(super) use self::groups::{Housed, connects, container_name, housing_of};
pub(super) use self::limit::limit_over;

use self::devices::Devices;
use self::file::Kept;
use self::groups::NamedGroups;
use self::limit::Groups;
use self::processes::Processes;
use self::system::Meminfo;
use self::tracked::Units;
use self::trigger::Trigger;
use super::{Sensors, Waker, Want};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::{Memory, MemoryLimit, Pressure, Reading, Sample, Swap};
use crate::domain::snapshot::Host;
use crate::domain::text::clean;
use crate::domain::time::Moment;

/// The sensors of this machine, or of a tree that looks like one.
#[derive(Debug)]
pub struct LinuxSensors {
    root: PathBuf,
    buffer: Vec<u8>,
    page: Bytes,
    meminfo: Kept,
    vmstat: Kept,
    pressure: Kept,
    groups: Groups,
    devices: Devices,
    processes: Processes,
    named_groups: NamedGroups,
}

impl LinuxSensors {
    /// Reads below `root`; `/` is the machine itself.
    pub fn new(root: PathBuf) -> Self {
        Self::with_page_size(&root, Bytes::new(rustix::param::page_size() as u64))
    }

    /// For a tree taken from a machine with other pages: 16 or 64 KiB on some.
    pub fn with_page_size(root: &Path, page: Bytes) -> Self {
        let units = Units { page, ticks_per_second: rustix::param::clock_ticks_per_second() };
        LinuxSensors {
            root: root.to_owned(),
            buffer: Vec::new(),
            page,
            meminfo: Kept::new(root, "proc/meminfo"),
            vmstat: Kept::new(root, "proc/vmstat").in_lines(),
            pressure: Kept::new(root, "proc/pressure/memory"),
            groups: Groups::new(root),
            devices: Devices::new(root),
            processes: Processes::new(root, units),
            named_groups: NamedGroups::new(root),
        }
    }

    fn memory(&mut self, now: Moment) -> MemoryReadings {
        let found = match self.meminfo.read(&mut self.buffer) {
            Ok(text) => Meminfo::parse(text),
            Err(fault) => return MemoryReadings::without(expected(fault)),
        };
        let swap = found.swap();
        let memory = match found.memory() {
            Ok(memory) => memory,
            Err(fault) => return MemoryReadings { swap, ..MemoryReadings::without(fault) },
        };
        match self.groups.read(memory.total, now.mono, &mut self.buffer) {
            Ok(limited) => {
                let memory = Ok(limited.apply(memory));
                MemoryReadings { memory, swap, limit: Ok(limited.limit) }
            }
            Err(fault) => MemoryReadings { memory: Ok(memory), swap, limit: Err(fault) },
        }
    }

    fn pressure(&mut self) -> Reading<Pressure> {
        system::pressure(self.pressure.read(&mut self.buffer)?)
    }
}

impl Sensors for LinuxSensors {
    fn read(&mut self, want: &Want, now: Moment) -> Sample {
        let MemoryReadings { memory, swap, limit } = self.memory(now);
        let pressure = self.pressure();
        let paging =
            self.vmstat.read(&mut self.buffer).and_then(|text| system::paging(text, self.page));
        self.devices.look(now.mono, &mut self.buffer);
        let total = memory.as_ref().ok().map(|memory| memory.total);
        Sample {
            at: now,
            memory,
            swap,
            pressure,
            paging,
            zram: self.devices.zram(&mut self.buffer),
            limit,
            gpus: self.devices.gpus((now.mono, total), &mut self.buffer),
            processes: self.processes.read(want, now.mono),
            groups: self.named_groups.read(&want.named, now.mono, &mut self.buffer),
        }
    }

    /// From `sysinfo`, which is right here and asked once.
    fn host(&self) -> Host {
        let word = |found: Result<String, sysinfo::Error>| {
            found.map(|text| clean(&text)).unwrap_or_default()
        };
        Host {
            name: word(System::host_name()),
            system: word(System::long_os_version()),
            kernel: word(System::kernel_version()),
        }
    }

    fn waker(&mut self) -> Reading<Box<dyn Waker>> {
        Ok(Box::new(Trigger::open(&self.root)?))
    }
}

/// What meminfo and the control groups tell together.
struct MemoryReadings {
    memory: Reading<Memory>,
    swap: Reading<Swap>,
    limit: Reading<MemoryLimit>,
}

impl MemoryReadings {
    fn without(fault: SensorFault) -> Self {
        MemoryReadings { memory: Err(fault.clone()), swap: Err(fault.clone()), limit: Err(fault) }
    }
}

/// Every Linux has this file: where it is missing, something is wrong.
fn expected(fault: SensorFault) -> SensorFault {
    match fault.kind {
        FaultKind::Absent => SensorFault { kind: FaultKind::Failed, ..fault },
        _ => fault,
    }
}
