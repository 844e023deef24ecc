//! The signals a terminal program must answer, as one stream.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, and give the terminal back.
    End(Ending),
    /// TSTP: into the background.
    Stop,
    /// CONT: in the foreground again.
    Continue,
}

/// The signal that ends us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Terminated,
    /// The line was dropped.
    HungUp,
    Interrupted,
    Quit,
}

pub struct Signals {
    terminate: Stream,
    hang_up: Stream,
    interrupt: Stream,
    quit: Stream,
    stop: Stream,
    resume: Stream,
}

impl Signals {
    pub fn listen() -> io::Result<Signals> {
        let raw = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            stop: signal(raw(rustix::process::Signal::TSTP))?,
            resume: signal(raw(rustix::process::Signal::CONT))?,
        })
    }

    /// Loses none when dropped half way.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::End(Ending::Terminated),
            _ = self.hang_up.recv() => Signal::End(Ending::HungUp),
            _ = self.interrupt.recv() => Signal::End(Ending::Interrupted),
            _ = self.quit.recv() => Signal::End(Ending::Quit),
            _ = self.stop.recv() => Signal::Stop,
            _ = self.resume.recv() => Signal::Continue,
        }
    }
}
