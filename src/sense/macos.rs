//! This Mac's sensors: the real kernel behind `sense::mach`.
//!
//! What the answers mean is decided there, where it is tested on every system;
//! here is only what needs a Mac. Left out for now: who owns a listening
//! socket, and the GPU memory in use (IOKit).

mod kernel;
mod pressure_events;

use sysinfo::System;

use crate::domain::sample::{Reading, Sample};
use crate::domain::snapshot::Host;
use crate::domain::time::Moment;

use super::mach::{ArgumentParser, MachSensors};
use super::{Sensors, Waker, Want};
use kernel::MacKernel;
use pressure_events::PressureEvents;

pub struct MacSensors {
    sensors: MachSensors<MacKernel>,
    host: Host,
}

impl MacSensors {
    /// `parser` tells servers and runners by their arguments.
    pub fn new(parser: ArgumentParser) -> Self {
        MacSensors { sensors: MachSensors::new(MacKernel::new(), parser), host: host() }
    }
}

impl Sensors for MacSensors {
    fn read(&mut self, want: &Want, now: Moment) -> Sample {
        self.sensors.read(want, now)
    }

    fn host(&self) -> Host {
        self.host.clone()
    }

    fn waker(&mut self) -> Reading<Box<dyn Waker>> {
        Ok(Box::new(PressureEvents::open()?))
    }
}

/// sysinfo is right and cheap for these three names, which do not change.
fn host() -> Host {
    Host {
        name: System::host_name().unwrap_or_default(),
        system: System::long_os_version().unwrap_or_else(|_| "macOS".to_owned()),
        kernel: System::kernel_version().unwrap_or_default(),
    }
}
