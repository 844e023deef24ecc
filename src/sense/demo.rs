//! The sensors of a machine that does not exist. They move its time on.

use super::{Sensors, Want};
use crate::domain::bytes::Bytes;
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::time::Moment;
use crate::simulation::SharedWorld;

/// The sensors of the demo.
pub struct DemoSensors {
    world: SharedWorld,
}

impl DemoSensors {
    pub fn new(world: SharedWorld) -> Self {
        DemoSensors { world }
    }
}

impl Sensors for DemoSensors {
    /// Looking costs nothing here, so others are always told; those beyond
    /// what is wanted count in the rest.
    fn read(&mut self, want: &Want, now: Moment) -> Sample {
        let mut sample = self.world.with(|world| world.sample(now));
        if let Ok(table) = &mut sample.processes {
            let kept = want.largest.min(table.others.len());
            let surplus: Bytes =
                table.others.drain(kept..).filter_map(|process| process.memory.resident).sum();
            table.rest = table.rest.map(|rest| rest + surplus);
        }
        sample
    }

    fn host(&self) -> Host {
        self.world.with(|world| world.host())
    }
}
