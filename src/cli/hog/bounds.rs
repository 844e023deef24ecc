//! How much may be taken now: without force nothing that would bring the next
//! level, and with force never what would leave the machine with too little to
//! live on. Pure over a snapshot.

use crate::domain::level::Headroom;
use crate::domain::{Bytes, Level, Percent, Snapshot};

/// Always left available, forced or not: with less a machine is busy with
/// finding memory, and no longer with what it is for.
const LEAST_LEFT: Bytes = Bytes::mib(256);
const LEAST_LEFT_PERCENT: Percent = Percent::new(2.0);

/// Why nothing more is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Memory cannot be read.
    Blind,
    BeyondHeadroom {
        headroom: Bytes,
        to: Level,
    },
    /// No level can be named in bytes.
    HeadroomUnknown(String),
    TooLittleLeft {
        available: Bytes,
        floor: Bytes,
    },
    Emergency,
}

impl Refusal {
    /// With the way out, where there is one.
    pub fn words(&self) -> String {
        match self {
            Refusal::Blind => "memory cannot be read, so nothing is held".to_owned(),
            Refusal::BeyondHeadroom { headroom, to } => {
                format!("headroom is {headroom} to {to}\nhint: --force goes beyond it")
            }
            Refusal::HeadroomUnknown(why) => {
                format!("headroom is not known: {why}\nhint: --force goes on without it")
            }
            Refusal::TooLittleLeft { available, floor } => {
                format!("{available} are available, and {floor} are always left, forced or not")
            }
            Refusal::Emergency => {
                "this machine is at level emergency\nhint: --force holds it there".to_owned()
            }
        }
    }
}

/// What is left to the machine whatever is asked.
pub fn floor(total: Bytes) -> Bytes {
    LEAST_LEFT.max(total.at(LEAST_LEFT_PERCENT))
}

/// Whether so much more may be taken.
pub fn may_take(more: Bytes, snapshot: &Snapshot, is_forced: bool) -> Result<(), Refusal> {
    may_hold(snapshot, is_forced)?;
    let memory = snapshot.sample.as_ref().and_then(|sample| sample.memory.as_ref().ok());
    let memory = memory.ok_or(Refusal::Blind)?;
    let (available, floor) = (memory.available, floor(memory.total));
    if available.saturating_sub(more) < floor {
        return Err(Refusal::TooLittleLeft { available, floor });
    }
    match &snapshot.headroom {
        _ if is_forced => Ok(()),
        Headroom::Known { bytes, to } if more >= *bytes => {
            Err(Refusal::BeyondHeadroom { headroom: *bytes, to: *to })
        }
        Headroom::Known { .. } => Ok(()),
        Headroom::Unknown { reason } => Err(Refusal::HeadroomUnknown(reason.clone())),
    }
}

/// Whether what is held may still be held.
pub fn may_hold(snapshot: &Snapshot, is_forced: bool) -> Result<(), Refusal> {
    let memory = snapshot.sample.as_ref().and_then(|sample| sample.memory.as_ref().ok());
    let memory = memory.ok_or(Refusal::Blind)?;
    let (available, floor) = (memory.available, floor(memory.total));
    if available < floor {
        return Err(Refusal::TooLittleLeft { available, floor });
    }
    if snapshot.level.level == Level::Emergency && !is_forced {
        return Err(Refusal::Emergency);
    }
    Ok(())
}
