//! The signals that end a command from outside.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::ExitCode;

/// SIGTERM and SIGINT, heard from now on.
pub struct Endings {
    terminate: Signal,
    interrupt: Signal,
}

impl Endings {
    pub fn listen() -> Result<Endings> {
        Ok(Endings {
            terminate: heard(SignalKind::terminate())?,
            interrupt: heard(SignalKind::interrupt())?,
        })
    }

    /// With which code it ends. Loses none when dropped half way.
    pub async fn next(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.terminate.recv() => ExitCode::Terminated,
            _ = self.interrupt.recv() => ExitCode::Interrupted,
        }
    }
}

/// SIGHUP, which ends some commands and has others read their config again.
pub fn hang_up() -> Result<Signal> {
    heard(SignalKind::hangup())
}

fn heard(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("listen to signals")
}
