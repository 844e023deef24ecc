//! What is to come: what a load will take, and when the next level is reached;
//! and what a figure did over a span of time.
//!
//! Pure, as `policy` is: no clock, no I/O; memory of the past is a value.

pub mod footprint;
pub mod growth;
pub mod learned;
pub mod score;
pub mod series;
mod slope;
pub mod trend;
