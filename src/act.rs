//! What touches the machine: signals to processes, deeds to containers and
//! services, the owner's commands and hooks, the file of hints, and the lock that lets only one
//! engine act. It decides nothing and reads no more than it must check.

pub mod command;
pub mod containers;
pub mod deeds;
pub mod hints;
pub mod hooks;
pub mod lock;
pub mod service;
pub mod signals;
pub mod units;
mod web;

use crate::domain::{Deed, Level, ProcessKey, Target};

/// One thing to be done that is not a runtime's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// TERM, a grace, then KILL: a stuck runner or an orphan.
    EndProcess(ProcessKey),
    Deed {
        /// For a command's environment.
        component: String,
        target: Target,
        deed: Deed,
    },
    /// A command of a level: its words, the program first.
    Run { words: Vec<String>, level: Level },
}
