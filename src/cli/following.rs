//! An engine that is followed until a signal ends it: the one that acts on
//! this machine, else one of our own that only looks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdout;
use tokio::sync::watch::Receiver;

use crate::assemble::{self, RECORDING, Running};
use crate::config::LoadedConfig;
use crate::domain::snapshot::Mode;
use crate::domain::{Event, Snapshot};
use crate::engine::clock::Clock;
use crate::engine::link::{Attention, Command};

use super::Context;
use super::exit::ExitCode;
use super::look::{answer, may_attach};
use super::signals::Endings;

/// So often it is seen that nobody reads on, where nothing happens.
const LOOK_ROUND: Duration = Duration::from_secs(1);

pub struct Following {
    running: Running,
    snapshots: Receiver<Arc<Snapshot>>,
    endings: Endings,
    /// The number of the next event that is new.
    next: u64,
    /// It goes on where nobody reads what is written.
    is_unread: bool,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There may be something new.
    Look,
    /// It is over, and ends so.
    End(ExitCode),
}

impl Following {
    pub async fn begin(
        context: &Context,
        config: &LoadedConfig,
        attention: Attention,
    ) -> Result<Following> {
        Following::of((context, config), attention, may_attach(context)).await
    }

    /// As [`Following::begin`], of an engine of our own where none may be
    /// attached to.
    pub async fn of(
        (context, config): (&Context, &LoadedConfig),
        attention: Attention,
        may_attach: bool,
    ) -> Result<Following> {
        let endings = Endings::listen()?;
        let running = assemble::observe(config, &context.source, may_attach).await?;
        answer(running.link.as_ref(), Command::Attend { attention }).await?;
        let snapshots = running.link.snapshots();
        let newest = snapshots.borrow().events.value.back().map_or(0, |event| event.seq);
        let next = running.began().map_or(newest.saturating_add(1), |began| began.first_event);
        Ok(Following { running, snapshots, endings, next, is_unread: false })
    }

    /// What it finds is kept elsewhere: an output that nobody reads ends nothing.
    pub fn go_on_unread(&mut self, goes_on: bool) {
        self.is_unread = goes_on;
    }

    /// The first own event of an engine of ours: from there on their numbers
    /// are on no disk.
    pub fn first_own(&self) -> Option<u64> {
        self.running.began().map(|began| began.first_event)
    }

    /// So long the level of an engine that has just begun says nothing: one is
    /// entered when it has lasted.
    pub fn unsettled(&self) -> Duration {
        self.running.began().map_or(Duration::ZERO, |began| began.regime.limits.enter_after)
    }

    /// By which samples say when they were taken, where the engine is our own.
    pub fn clock(&self) -> Option<Clock> {
        self.running.began().map(|began| began.clock)
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// The number of the next event that is new.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Waits for the next thing to do.
    pub async fn turn(&mut self) -> Result<Turn> {
        if has_ended(&self.snapshots.borrow()) || !(self.is_unread || is_read()) {
            return Ok(Turn::End(ExitCode::Done));
        }
        tokio::select! {
            biased;
            code = self.endings.next() => Ok(Turn::End(code)),
            changed = self.snapshots.changed() => match changed {
                Ok(()) => Ok(Turn::Look),
                Err(_) => Err(anyhow!(self.running.ended().unwrap_or("the engine has ended"))),
            },
            () = tokio::time::sleep(LOOK_ROUND) => Ok(Turn::Look),
        }
    }

    /// Events that were not told yet, and how many are lost.
    pub fn news(&mut self, snapshot: &Snapshot) -> (Vec<Event>, u64) {
        let events = &snapshot.events.value;
        let first = events.front().map_or(self.next, |first| first.seq);
        let lost = if self.next > 0 { first.saturating_sub(self.next) } else { 0 };
        let new: Vec<Event> =
            events.iter().filter(|event| event.seq >= self.next).cloned().collect();
        if let Some(last) = new.last() {
            self.next = last.seq.saturating_add(1);
        }
        (new, lost)
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// A recording has been played: nothing more comes.
fn has_ended(snapshot: &Snapshot) -> bool {
    snapshot.mode == Mode::Replay && snapshot.notices.iter().any(|note| note.about == RECORDING)
}

/// Who reads what is written here is still there, as far as can be told.
fn is_read() -> bool {
    let mut out = PollFd::from_borrowed_fd(stdout(), PollFlags::empty());
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(std::slice::from_mut(&mut out), Some(&at_once)) {
        Ok(_) => !out.revents().contains(PollFlags::ERR),
        Err(_) => true,
    }
}
