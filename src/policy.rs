//! Decisions, pure: signals to a level, a snapshot to a plan, rules to what
//! they want done.
//!
//! No I/O, no clock: the past is a value passed in and returned.

pub mod advice;
pub mod budget;
pub mod doctor;
pub mod fit;
pub mod guard;
pub mod level;
pub mod limits;
pub mod plan;
pub mod recommend;
pub mod restraint;
pub mod rules;
pub mod signals;
pub mod targets;
mod victims;

use std::time::Duration;

use crate::domain::plan::Keep;
use crate::domain::{Expiry, Moment};

/// A model that is loaded again shall stay as long as it had left.
pub fn keep_until(expires: Option<Expiry>, now: Moment) -> Keep {
    match expires {
        Some(Expiry::Never) => Keep::Forever,
        Some(Expiry::At(at)) => {
            let left = at.duration_since(now.wall);
            let left = Duration::try_from(left).unwrap_or_default();
            // Whole seconds, and never nothing, which would unload it.
            Keep::For(Duration::from_secs(left.as_secs().max(1)))
        }
        None => Keep::Default,
    }
}
