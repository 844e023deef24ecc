//! A machine as tests of commands have an engine see it: so much memory, and
//! everything else absent. It reads and decides nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::history::History;
use crate::domain::level::{Basis, Headroom, LevelState};
use crate::domain::sample::{AvailableSource, Memory, MemoryParts, Sample, no_groups};
use crate::domain::snapshot::{FORMAT, Mode, Part, Rates};
use crate::domain::{Bytes, Component, Level, Moment, Monotonic, SensorFault, Snapshot, Wall};

/// Of 16 GiB, so much available, seen at this second.
pub fn machine(second: u64, available: Bytes) -> Snapshot {
    let absent = || SensorFault::absent("not here");
    let mono = Monotonic::default().plus(Duration::from_secs(second));
    let sample = Sample {
        at: Moment::new(Wall::UNIX_EPOCH, mono),
        memory: Ok(Memory {
            total: Bytes::gib(16),
            available,
            free: available,
            available_source: AvailableSource::Kernel,
            parts: MemoryParts::Linux {
                anonymous: None,
                cached: None,
                shared: None,
                slab_unreclaimable: None,
            },
        }),
        swap: Err(absent()),
        pressure: Err(absent()),
        paging: Err(absent()),
        zram: Err(absent()),
        limit: Err(absent()),
        gpus: Err(absent()),
        processes: Err(absent()),
        groups: no_groups(),
    };
    Snapshot { sample: Some(Arc::new(sample)), ..nothing(Moment::new(Wall::UNIX_EPOCH, mono)) }
}

/// Before the first sample.
fn nothing(at: Moment) -> Snapshot {
    let level = Level::Normal;
    Snapshot {
        format: FORMAT,
        sequence: 1,
        at,
        host: Arc::default(),
        sample: None,
        rates: Rates::default(),
        level: LevelState { level, since: at, set_by: None, basis: Basis::Attached },
        headroom: Headroom::Unknown { reason: "no sample yet".into() },
        marks: Vec::new(),
        profile: Arc::default(),
        model_budget: None,
        targets: Vec::new(),
        runtimes: Vec::new(),
        models: Vec::new(),
        installed: Part::default(),
        components: Part::default(),
        history: History::with_room_for(1),
        events: Part::default(),
        plan: None,
        rules: Default::default(),
        proposal: None,
        policy: None,
        forecast: None,
        fits: Part::default(),
        recommended: None,
        hints: Part::default(),
        loads_in_flight: Vec::new(),
        notices: Vec::new(),
        mode: Mode::Live,
    }
}

pub fn at(level: Level, mut snapshot: Snapshot) -> Snapshot {
    snapshot.level.level = level;
    snapshot
}

pub fn with_headroom(headroom: Headroom, mut snapshot: Snapshot) -> Snapshot {
    snapshot.headroom = headroom;
    snapshot
}

pub fn with_components(components: Vec<Component>, mut snapshot: Snapshot) -> Snapshot {
    snapshot.components.value = Arc::new(components);
    snapshot
}
