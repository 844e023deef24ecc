//! The signals that end a command from outside.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::ExitCode;
use crate::sense::family::hang_ups_are_ignored;

/// SIGTERM, SIGINT and SIGQUIT, heard from now on: none of them leaves a
/// terminal or a model server as it was found half way.
pub struct Endings {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Option<Signal>,
}

impl Endings {
    pub fn listen() -> Result<Endings> {
        Ok(Endings {
            terminate: heard(SignalKind::terminate())?,
            interrupt: heard(SignalKind::interrupt())?,
            quit: heard(SignalKind::quit())?,
            hang_up: None,
        })
    }

    /// SIGHUP as well, unless it was to be ignored, as `nohup` has it.
    pub fn with_hang_up() -> Result<Endings> {
        let hang_up = if hang_ups_are_ignored() { None } else { Some(hang_up()?) };
        Ok(Endings { hang_up, ..Endings::listen()? })
    }

    /// With which code it ends. Loses none when dropped half way.
    pub async fn next(&mut self) -> ExitCode {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => ExitCode::Terminated,
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = self.quit.recv() => ExitCode::Quit,
            _ = hung_up => ExitCode::HungUp,
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
