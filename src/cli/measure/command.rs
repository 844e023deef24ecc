//! The command that is measured: started with plimsoll's own input and output,
//! followed with all that came of it, told of signals, ended when its time is
//! up. Only what was started here is ever signalled.
//!
//! Its processes are found by their parents at each look. What comes and goes
//! between two looks is not seen, and pages that processes share count in each.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, WaitOptions, getpgrp, kill_process, waitpid};
use rustix::termios::tcgetpgrp;
use tokio::signal::unix::{Signal as Heard, SignalKind, signal};

use crate::act::signals;
use crate::domain::text::clean;
use crate::domain::{Bytes, Monotonic};
use crate::forecast::series::Series;
use crate::sense::family::{Family, Relative, largest_ended, own_peak};

use super::measurement::{CommandMeasures, Measures};

pub struct Measured {
    program: String,
    child: Child,
    children: Heard,
    family: Family,
    begun: Instant,
    ended: Option<(ExitStatus, Duration)>,
    /// What plimsoll had at most when it started the command.
    own_peak: Option<Bytes>,
    series: Series,
    most_processes: u64,
}

impl Measured {
    /// `gap`: looks further apart have a gap between them.
    pub fn start(words: &[OsString], gap: Duration) -> Result<Measured> {
        let (program, arguments) = words.split_first().context("there is no command")?;
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
        let name = clean(&name);
        let family = Family::begin();
        let children = signal(SignalKind::child()).context("listen to signals")?;
        let own_peak = own_peak();
        let child = Command::new(program)
            .args(arguments)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Measured {
            program: name,
            child,
            children,
            family,
            begun: Instant::now(),
            ended: None,
            own_peak,
            series: Series::new(gap),
            most_processes: 0,
        })
    }

    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The most that was seen so far.
    pub fn peak(&self) -> Option<Bytes> {
        self.series.peak()
    }

    /// Some process that was started here may have ended. Loses no end when
    /// dropped half way.
    pub async fn stirs(&mut self) {
        self.children.recv().await;
    }

    pub fn look_for_end(&mut self) -> Result<()> {
        if self.ended.is_none()
            && let Some(status) = self.child.try_wait().context("wait for the command")?
        {
            self.ended = Some((status, self.begun.elapsed()));
        }
        Ok(())
    }

    /// Reads what it holds.
    pub fn look(&mut self, at: Monotonic) {
        let Ok(found) = self.family.read() else {
            self.series.look(at, None);
            return;
        };
        self.reap(&found);
        let living: Vec<&Relative> = found.iter().filter(|one| !one.is_zombie).collect();
        if living.is_empty() {
            // It has ended, or is about to: what is gone holds nothing, and
            // that is no reading of the command.
            return;
        }
        self.most_processes = self.most_processes.max(living.len() as u64);
        let held = living.iter().filter_map(|one| one.memory.measured());
        self.series.look(at, Some(held.map(|(bytes, _)| bytes).sum()));
    }

    /// Those that were taken in have nobody else who would wait for them.
    fn reap(&self, found: &[Relative]) {
        let is_ours = |one: &&Relative| {
            one.is_zombie && one.parent == std::process::id() && one.key.pid != self.child.id()
        };
        for one in found.iter().filter(is_ours) {
            let _ = waitpid(pid(one.key.pid), WaitOptions::NOHANG);
        }
    }

    /// Tells the command what plimsoll was told. An interrupt from the terminal
    /// they share has reached it already, and a second one would say more.
    pub fn pass_on(&self, signal: Signal) {
        if signal == Signal::INT && shares_a_terminal() {
            return;
        }
        self.signal(signal);
    }

    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // Not reaped yet, so its number is no other's. It may have ended.
            let _ = pid(self.child.id()).map(|pid| kill_process(pid, signal));
        }
    }

    /// Ends it and all that came of it.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        for one in self.family.read().unwrap_or_default() {
            if one.key.pid != self.child.id() && !one.is_zombie {
                // What is left for that is counted as left behind.
                let _ = signals::kill(one.key);
            }
        }
    }

    /// What it came to, once the measurement is over.
    pub fn measures(&mut self, begun: Monotonic) -> CommandMeasures {
        let left = self.family.read().unwrap_or_default();
        let left = left.iter().filter(|one| !one.is_zombie && one.key.pid != self.child.id());
        let ended = self.ended.map(|(status, _)| status);
        CommandMeasures {
            program: self.program.clone(),
            seconds: self.ended.map_or(self.begun.elapsed(), |(_, span)| span).as_secs_f64(),
            exit_code: ended.and_then(|status| status.code()),
            signal: ended.and_then(|status| status.signal()),
            goes_on: ended.is_none(),
            measures: Measures::of(&self.series, begun),
            most_processes: self.most_processes,
            left_behind: left.count() as u64,
            // A process begins with the figure of the one that started it.
            largest_process_bytes: largest_ended().filter(|largest| Some(*largest) > self.own_peak),
        }
    }
}

fn pid(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// A key of the terminal reaches plimsoll and the command alike.
fn shares_a_terminal() -> bool {
    let streams: [&dyn std::os::fd::AsFd; 3] = [&io::stdin(), &io::stdout(), &io::stderr()];
    streams.iter().any(|stream| tcgetpgrp(stream.as_fd()).is_ok_and(|group| group == getpgrp()))
}
