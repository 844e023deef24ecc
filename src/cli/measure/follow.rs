//! The loop of a measurement: looks at the machine as they come, at the command
//! at a pace of its own, and what ends it.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;
use tokio::signal::unix::Signal as Heard;
use tokio::time::{Instant, sleep_until, timeout};

use crate::cli::Context;
use crate::cli::exit::ExitCode;
use crate::cli::following::{Following, Turn};
use crate::cli::progress::Progress;
use crate::cli::signals::hang_up;
use crate::config::LoadedConfig;
use crate::domain::Monotonic;
use crate::engine::link::Attention;

use super::collect::{Collected, gap};
use super::command::Measured;
use super::measurement::{EndedBy, Measurement};
use super::nothing_seen;
use super::text::{counted, progress};

/// A look at a command's processes takes a millisecond or so.
const COMMAND_EVERY: Duration = Duration::from_millis(200);

/// A sensor that has nothing by then hangs.
const FIRST_SAMPLE: Duration = Duration::from_secs(10);

/// From being told to end until it is ended, or not waited for any longer.
const GRACE: Duration = Duration::from_secs(5);

/// A look that comes less than such a part of an interval early is the last:
/// the next one would be further from the end.
const EARLY: u32 = 4;

pub struct Plan<'a> {
    pub span: Option<Duration>,
    pub patterns: &'a [String],
    pub command: &'a [OsString],
    pub may_attach: bool,
    /// It is written to a file, whoever reads the output.
    pub is_kept: bool,
}

pub struct Followed {
    pub measurement: Measurement,
    pub ended_by_signal: Option<ExitCode>,
}

pub async fn follow(
    plan: &Plan<'_>,
    (context, config): (&Context, &LoadedConfig),
) -> Result<Followed> {
    let processes = !plan.patterns.is_empty();
    let attention = Attention { processes, watched: false, ..Attention::default() };
    let mut following = Following::of((context, config), attention, plan.may_attach).await?;
    // Heard before there is a command that would outlive an unheard one.
    let hang_up = hang_up()?;
    let interval = config.config.interval.unwrap_or_default();
    let mut collected = Collected::new(plan.patterns, interval, following.unsettled());
    following.go_on_unread(true);
    let mut early = first_look(&mut following, &mut collected).await?;
    following.go_on_unread(plan.is_kept || !plan.command.is_empty());
    let mut command = match early {
        None if !plan.command.is_empty() => Some(Measured::start(plan.command, gap(interval))?),
        _ => None,
    };
    let asked = context.flags.interval.is_some().then_some(interval);
    let every = asked.unwrap_or(COMMAND_EVERY);
    if early.is_none() {
        let mut loop_of = Loop {
            plan,
            following: &mut following,
            collected: &mut collected,
            hang_up,
            begun: Instant::now(),
            told: None,
            killed: None,
        };
        early = Some(loop_of.run(&mut command, every).await?);
    }
    let (ended_by, ended_by_signal) = early.unwrap_or((EndedBy::Source, None));
    let mut measurement = collected.measurement(ended_by).ok_or_else(nothing_seen)?;
    measurement.command = command.map(|mut command| command.measures(Monotonic::default()));
    following.stop().await;
    Ok(Followed { measurement, ended_by_signal })
}

type End = (EndedBy, Option<ExitCode>);

/// Waits for the first sample: what was there before is the baseline.
async fn first_look(following: &mut Following, collected: &mut Collected) -> Result<Option<End>> {
    let waiting = async {
        loop {
            collected.look(&following.snapshot());
            if collected.looks() > 0 {
                return anyhow::Ok(None);
            }
            if let Turn::End(code) = following.turn().await? {
                return Ok(Some(end_of(code)));
            }
        }
    };
    timeout(FIRST_SAMPLE, waiting).await.map_err(|_| nothing_seen())?
}

fn end_of(code: ExitCode) -> End {
    match code {
        ExitCode::Done => (EndedBy::Source, None),
        code => (EndedBy::Signal, Some(code)),
    }
}

struct Loop<'a> {
    plan: &'a Plan<'a>,
    following: &'a mut Following,
    collected: &'a mut Collected,
    hang_up: Heard,
    begun: Instant,
    /// The command was told to end: why, and when it will be waited for no more.
    told: Option<(End, Instant)>,
    /// It did not, and is ended: until when that is waited for.
    killed: Option<Instant>,
}

/// What woke it.
enum Woken {
    Turn(Turn),
    Signal(ExitCode),
    /// Whoever looked looks no more.
    Gone,
    Due,
}

impl Loop<'_> {
    async fn run(&mut self, command: &mut Option<Measured>, every: Duration) -> Result<End> {
        let mut line = Progress::new();
        let mut next_look = Instant::now();
        loop {
            if let Some(command) = command.as_mut() {
                command.look_for_end()?;
                if Instant::now() >= next_look {
                    command.look(self.now());
                    next_look = Instant::now() + every;
                }
            }
            self.collected.look(&self.following.snapshot());
            if let Some(end) = self.end(command.as_mut()) {
                return Ok(end);
            }
            line.tell(|| self.progress(command.as_ref()));
            let due = self.due(command.as_ref().map(|_| next_look));
            match self.wake(command.as_mut(), due).await? {
                Woken::Turn(Turn::Look) | Woken::Due => {}
                Woken::Turn(Turn::End(ExitCode::Done)) => {
                    // Ends what is running, as a span that is over does.
                    if self.tell(command.as_mut(), ((EndedBy::Source, None), Signal::TERM)) {
                        return Ok((EndedBy::Source, None));
                    }
                }
                Woken::Gone => {
                    let end = (EndedBy::Engine, None);
                    if self.tell(command.as_mut(), (end, Signal::TERM)) {
                        return Ok(end);
                    }
                }
                Woken::Turn(Turn::End(code)) | Woken::Signal(code) => {
                    let end = (EndedBy::Signal, Some(code));
                    if self.tell(command.as_mut(), (end, signal_of(code))) {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// The command's looks have a time of their own.
    fn now(&self) -> Monotonic {
        Monotonic::default().plus(self.begun.elapsed())
    }

    /// Whether it is over, and by what.
    fn end(&mut self, command: Option<&mut Measured>) -> Option<End> {
        let Some(command) = command else { return self.is_time().then_some((EndedBy::Time, None)) };
        match (self.told, self.killed) {
            (None, _) if command.has_ended() => Some((EndedBy::Command, None)),
            (None, _) if self.is_time() => {
                self.tell(Some(command), ((EndedBy::Time, None), Signal::TERM));
                None
            }
            (None, _) => None,
            (Some((end, _)), _) if command.is_alone() => Some(end),
            // A process that KILL does not end sits in a driver.
            (Some((end, _)), Some(until)) if Instant::now() >= until => Some(end),
            // What was begun meanwhile goes as well.
            (Some(_), Some(_)) => {
                command.kill();
                None
            }
            (Some((_, until)), None) => {
                if Instant::now() >= until {
                    self.kill(command);
                }
                None
            }
        }
    }

    fn kill(&mut self, command: &mut Measured) {
        command.kill();
        self.killed.get_or_insert(Instant::now() + GRACE);
    }

    fn is_time(&self) -> bool {
        let Some(most) = self.plan.span else { return false };
        if !self.plan.command.is_empty() {
            return self.begun.elapsed() >= most;
        }
        // By the time of the looks: the last one is at the end. They come a
        // little early or late, and where they end it is not waited for long.
        let step = self.collected.step();
        let early = step.unwrap_or_default() / EARLY;
        let is_seen = self.collected.span().saturating_add(early) >= most;
        let patience = step.unwrap_or(FIRST_SAMPLE) * 2 + GRACE;
        is_seen || self.begun.elapsed() >= most.saturating_add(patience)
    }

    /// Tells the command to end; one that was told before is ended. True: there
    /// is none, or it was ended before.
    fn tell(&mut self, command: Option<&mut Measured>, (end, signal): (End, Signal)) -> bool {
        let Some(command) = command else { return true };
        let was_told = self.told.is_some_and(|(end, _)| end.0 != EndedBy::Time);
        if was_told {
            let was_killed = self.killed.is_some();
            self.kill(command);
            return was_killed;
        }
        command.pass_on(signal);
        self.told = Some((end, Instant::now() + GRACE));
        false
    }

    fn due(&self, command_look: Option<Instant>) -> Option<Instant> {
        let over = self.plan.span.and_then(|span| self.begun.checked_add(span));
        let over = over.filter(|over| self.told.is_none() && *over > Instant::now());
        let told = self.killed.or(self.told.map(|(_, until)| until));
        [over, told, command_look].into_iter().flatten().min()
    }

    async fn wake(
        &mut self,
        command: Option<&mut Measured>,
        due: Option<Instant>,
    ) -> Result<Woken> {
        let stirs = async {
            match command {
                Some(command) => command.stirs().await,
                None => std::future::pending().await,
            }
        };
        let is_due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.hang_up.recv() => Ok(Woken::Signal(ExitCode::HungUp)),
            // What was seen before the engine ended is worth more than an error.
            turn = self.following.turn() => Ok(turn.map_or(Woken::Gone, Woken::Turn)),
            () = stirs => Ok(Woken::Due),
            () = is_due => Ok(Woken::Due),
        }
    }

    fn progress(&self, command: Option<&Measured>) -> String {
        let mut said = progress(self.begun.elapsed(), self.plan.span);
        if let Some(peak) = command.and_then(Measured::peak) {
            said.push_str(&format!(", command {peak} at most"));
        }
        if let Some(peak) = self.collected.peak() {
            said.push_str(&format!(", used {peak} at most"));
        }
        format!("measuring: {said}, {}", counted(self.collected.looks(), "look", "looks"))
    }
}

fn signal_of(code: ExitCode) -> Signal {
    match code {
        ExitCode::Interrupted => Signal::INT,
        ExitCode::Quit => Signal::QUIT,
        ExitCode::HungUp => Signal::HUP,
        _ => Signal::TERM,
    }
}
