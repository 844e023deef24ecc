//! Reading the machine. Synchronous and blocking: it runs on a thread of its
//! own. `unsafe` and a platform's `cfg` live only here (and the latter in `act`).
//!
//! Readers are parsers over text and paths: the root of `/proc` and `/sys` is
//! a parameter, so tests give them a fake tree.

pub mod arguments;
pub mod demo;
mod environment;
pub mod family;
pub mod linux;
pub mod mach;
#[cfg(target_os = "macos")]
pub mod macos;
pub mod naming;
pub mod replay;
pub mod survey;

use std::sync::Arc;

use crate::domain::fault::SensorFault;
use crate::domain::process::ProcessKey;
use crate::domain::rule::Named;
use crate::domain::sample::{Reading, Sample};
use crate::domain::snapshot::Host;
use crate::domain::time::Moment;

/// What the next sample should hold beside what it always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Want {
    /// Look at every process, to find the largest. Dear: every 5 to 10 s at
    /// most while its page is open, seldom otherwise.
    pub all_processes: bool,
    /// How many of the largest others to keep.
    pub largest: usize,
    /// Processes whose proportional set size is wanted; the sensors keep the
    /// cost below 0.02 % of a core and answer with the last value until then.
    pub proportional: Vec<ProcessKey>,
    /// Port of the model server: who owns its listening socket is looked up
    /// when a server process appears or the port changes.
    pub server_port: Option<u16>,
    /// What the config names: processes are found and followed, containers and
    /// services read. Nothing named costs nothing.
    pub named: Arc<[Named]>,
}

/// A machine that can be read: live, recorded or simulated.
pub trait Sensors: Send {
    /// One sample. A sensor that fails is a fault inside, never an error here.
    fn read(&mut self, want: &Want, now: Moment) -> Sample;

    fn host(&self) -> Host;

    /// What tells of trouble before the next sample is due, or why nothing
    /// does. Asked once; recorded and simulated machines have none.
    fn waker(&mut self) -> Reading<Box<dyn Waker>> {
        Err(SensorFault::absent("this is no live machine"))
    }
}

/// Waits for the system's own word that memory becomes tight. It has a thread
/// of its own, which is left behind at exit.
pub trait Waker: Send {
    /// Blocks until a sample is wanted at once. An error is for good.
    fn wait(&mut self) -> Reading<()>;
}

/// Whether this is macOS: the profile follows from it.
pub const IS_MAC: bool = cfg!(target_os = "macos");

/// The sensors of the machine this runs on.
#[cfg(not(target_os = "macos"))]
pub fn this_machine() -> Box<dyn Sensors> {
    Box::new(linux::LinuxSensors::new(std::path::PathBuf::from("/")))
}

/// The sensors of the machine this runs on.
#[cfg(target_os = "macos")]
pub fn this_machine() -> Box<dyn Sensors> {
    Box::new(macos::MacSensors::new(arguments::role_of_command))
}
