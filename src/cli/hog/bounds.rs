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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::seen::{at, machine, with_headroom};

    fn with(available: Bytes, headroom: Bytes) -> Snapshot {
        let known = Headroom::Known { bytes: headroom, to: Level::Warning };
        with_headroom(known, machine(0, available))
    }

    #[test]
    fn what_would_bring_the_next_level_takes_force() {
        let snapshot = with(Bytes::gib(8), Bytes::gib(2));
        assert_eq!(may_take(Bytes::mib(2047), &snapshot, false), Ok(()));
        let refusal = Refusal::BeyondHeadroom { headroom: Bytes::gib(2), to: Level::Warning };
        assert_eq!(may_take(Bytes::gib(2), &snapshot, false), Err(refusal.clone()));
        let words = format!("headroom is {} to warning\nhint: --force", Bytes::gib(2));
        assert!(refusal.words().starts_with(&words), "{refusal:?}");
        assert_eq!(may_take(Bytes::gib(4), &snapshot, true), Ok(()));
    }

    #[test]
    fn no_force_goes_below_the_floor() {
        assert_eq!(floor(Bytes::gib(4)), Bytes::mib(256), "the larger of the two");
        let floor = floor(Bytes::gib(16));
        assert!(floor > Bytes::mib(327) && floor < Bytes::mib(328), "{floor}");
        let snapshot = with(Bytes::gib(1), Bytes::gib(9));
        let room = Bytes::gib(1).saturating_sub(floor);
        for is_forced in [false, true] {
            assert_eq!(may_take(room, &snapshot, is_forced), Ok(()));
            let more = room.saturating_add(Bytes::new(1));
            let refusal = Refusal::TooLittleLeft { available: Bytes::gib(1), floor };
            assert_eq!(may_take(more, &snapshot, is_forced), Err(refusal));
            assert_eq!(may_hold(&with(floor, Bytes::ZERO), is_forced), Ok(()));
            let less = floor.saturating_sub(Bytes::new(1));
            let refusal = Refusal::TooLittleLeft { available: less, floor };
            assert_eq!(may_hold(&with(less, Bytes::ZERO), is_forced), Err(refusal));
        }
    }

    #[test]
    fn an_emergency_is_held_with_force_alone() {
        let snapshot = at(Level::Emergency, with(Bytes::gib(8), Bytes::gib(8)));
        assert_eq!(may_hold(&snapshot, false), Err(Refusal::Emergency));
        assert_eq!(may_take(Bytes::mib(1), &snapshot, false), Err(Refusal::Emergency));
        assert_eq!(may_take(Bytes::mib(1), &snapshot, true), Ok(()));
        let critical = at(Level::Critical, snapshot);
        assert_eq!(may_hold(&critical, false), Ok(()));
    }

    #[test]
    fn what_is_not_known_is_not_gone_beyond() {
        let unknown = machine(0, Bytes::gib(8));
        let refused = may_take(Bytes::mib(1), &unknown, false).unwrap_err();
        assert!(refused.words().starts_with("headroom is not known: "), "{refused:?}");
        assert_eq!(may_take(Bytes::mib(1), &unknown, true), Ok(()));
        let mut blind = unknown;
        blind.sample = None;
        for is_forced in [false, true] {
            assert_eq!(may_take(Bytes::mib(1), &blind, is_forced), Err(Refusal::Blind));
            assert_eq!(may_hold(&blind, is_forced), Err(Refusal::Blind));
        }
    }
}
