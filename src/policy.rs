//! Decisions, pure: signals to a level, a snapshot to a plan.
//!
//! No I/O, no clock: the past is a value passed in and returned.

pub mod level;
pub mod limits;
pub mod plan;
pub mod rules;
pub mod signals;
