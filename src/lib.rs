//! plimsoll: the load line of a machine that runs local models.
//!
//! `ARCHITECTURE.md` has the map and the invariants. A module imports only
//! from modules further down this list.

pub mod assemble;
pub mod cli;

pub mod tui;

pub mod engine;

pub mod act;
pub mod config;
pub mod runtime;
pub mod sense;
pub mod store;

pub mod recording;
pub mod simulation;

pub mod forecast;
pub mod policy;

pub mod domain;
