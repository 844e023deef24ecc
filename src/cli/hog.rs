//! `plimsoll hog`: takes memory on purpose, step by step, to see what a machine
//! or a guard does about it. It goes no further than it says, gives back at a
//! key, a signal, a time, a level, and offers itself to the kernel first.

mod bounds;
mod keys;
mod lines;
mod memory;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::Signal;
use tokio::signal::unix::{Signal as Heard, SignalKind, signal};
use tokio::time::{Instant, sleep_until, timeout};

use crate::assemble::Source;
use crate::config::LoadedConfig;
use crate::domain::bytes::NotASize;
use crate::domain::{Bytes, Level, Monotonic, Snapshot};
use crate::engine::clock::Clock;
use crate::engine::link::Attention;
use crate::sense::family::{held_here, offer_to_the_kernel};

use super::Context;
use super::exit::{ExitCode, WrongUsage};
use super::facts::columns;
use super::following::{Following, Turn};
use super::names::one_of;
use super::progress::Progress;
use super::signals::hang_up;
use super::when::span;
use crate::policy::signals::RAISED;

use self::bounds::{Refusal, may_hold, may_take};
use self::keys::Keys;
use self::lines::{Freed, Lines};
use self::memory::{PIECE, Taken};

/// So often memory is read at least: what is taken is judged by what was read
/// after the step before.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// So much is taken on the word of one reading.
const AT_ONCE: Bytes = Bytes::mib(256);

/// Longer without a reading it holds nothing: nobody knows what it does.
const BLIND_AFTER: Duration = Duration::from_secs(5);

/// Memory is given by the page.
const PAGE: Bytes = Bytes::kib(4);

/// Less of it than that came back: it was not given back.
const CAME_BACK_PERCENT: u64 = 90;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It takes SIZE in steps and writes to every page, holds it, and gives it
back: after --hold, after --for, at any key on a terminal, at Ctrl-C, TERM,
HUP, QUIT or Ctrl-Z, once level --until is reached, and when it can no longer
see. A guard that runs here acts on it as on any other program.

SIZE must be smaller than headroom, which is what is left to the next level,
and each step too when it is its turn; --force goes beyond. What is held is
given back at emergency. Forced or not, 256 MiB stay available, or a
fiftieth of memory where that is more. The kernel is asked to end it first
(oom_score_adj 1000).

  plimsoll hog --size 256MiB                       does anybody notice?
  plimsoll hog --size 8GiB --step 512MiB --every 2s --until warning --force

Exit codes: 0 done, or freed by a key or --for; 1 refused, ended before it
held all of it, or --until was not reached; 2 usage or config; 129, 130,
131, 143 by a signal.")]
pub struct Args {
    /// So much in the end, as in 256MiB
    #[arg(long, value_name = "BYTES", value_parser = size)]
    size: Bytes,
    /// So much at a time
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "64MiB")]
    step: Bytes,
    /// From one step to the next
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "1s")]
    every: Duration,
    /// How long all of it is held
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    hold: Duration,
    /// Give it back at this level or a worse one
    #[arg(long, value_name = "LEVEL", value_parser = one_of(&RAISED, Level::word))]
    until: Option<Level>,
    /// Give it back after so long, whatever is held by then
    #[arg(long = "for", value_name = "SPAN", value_parser = most)]
    span: Option<Duration>,
    /// Beyond headroom, and at emergency too
    #[arg(long)]
    force: bool,
    /// For programs: one JSON object a line
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<Bytes, String> {
    let size: Bytes = text.parse().map_err(|wrong: NotASize| wrong.to_string())?;
    match size < PAGE {
        true => Err(format!("less than a page is not taken; accepted are sizes from {PAGE} on")),
        false => Ok(size),
    }
}

fn most(text: &str) -> Result<Duration, &'static str> {
    match span(text)? {
        Duration::ZERO => Err("in no time nothing is taken; accepted are 500ms, 30s, 10m"),
        span => Ok(span),
    }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if context.source != Source::Live {
        return Err(WrongUsage("memory is taken on this machine, not on another").into());
    }
    let mut config = context.config()?;
    let interval = config.config.interval.unwrap_or(LOOK_EVERY);
    config.config.interval = Some(interval.min(LOOK_EVERY));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(hog(args, (context, &config), out));
    // A piece that is being filled is let go when it is full.
    runtime.shutdown_background();
    result
}

/// Why it gives back, and what that means for the caller.
enum End {
    /// What was asked for has been done.
    Done(String),
    /// A key, or the time that was set.
    Told(String),
    Signal(ExitCode),
    Refused(Refusal),
    Failed(String),
}

struct Hog<'a> {
    args: &'a Args,
    following: Following,
    taken: Taken,
    keys: Keys,
    hang_up: Heard,
    suspend: Heard,
    begun: Instant,
    /// That of the samples: the wall clock may be set meanwhile.
    clock: Clock,
    /// When memory was read last.
    read: (Option<Monotonic>, Instant),
    /// A reading before that says nothing of what is held.
    changed: Monotonic,
    highest: Level,
    progress: Progress,
}

async fn hog(
    args: &Args,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let lines = Lines { is_json: args.json, columns: columns(context).filter(|_| !args.json) };
    let mut hog = Hog::begin(args, (context, config)).await?;
    let end = hog.take_and_hold(lines, out).await;
    // Before anything that can fail.
    let freed = hog.free(&end).await;
    hog.stop().await;
    let end = end?;
    if !freed.held.is_zero() {
        lines.freed(out, &freed)?;
    }
    code(end, (&freed, args.until))
}

fn code(end: End, (freed, until): (&Freed, Option<Level>)) -> Result<ExitCode> {
    let least = freed.held.get() / 100 * CAME_BACK_PERCENT;
    if freed.came_back().is_some_and(|came_back| came_back.get() < least) {
        bail!("{} were given back and did not leave this process", freed.held);
    }
    match end {
        End::Done(why) if freed.held.is_zero() => {
            writeln!(io::stderr(), "plimsoll: {why}")?;
            Ok(ExitCode::Done)
        }
        End::Told(_) => match until.filter(|until| freed.highest < *until) {
            Some(until) => Err(anyhow!("level {until} was not reached")),
            None => Ok(ExitCode::Done),
        },
        End::Done(_) => Ok(ExitCode::Done),
        End::Signal(code) => Ok(code),
        End::Refused(refusal) => Err(anyhow!("{}", refusal.words())),
        End::Failed(why) => Err(anyhow!("{why}")),
    }
}

impl Hog<'_> {
    async fn begin<'a>(
        args: &'a Args,
        (context, config): (&Context, &LoadedConfig),
    ) -> Result<Hog<'a>> {
        let attention = Attention { watched: false, ..Attention::default() };
        let following = Following::of((context, config), attention, false).await?;
        let clock = following.clock().context("look at memory by itself")?;
        Ok(Hog {
            args,
            following,
            taken: Taken::default(),
            keys: Keys::listen(),
            hang_up: hang_up()?,
            suspend: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
            begun: Instant::now(),
            clock,
            read: (None, Instant::now()),
            changed: clock.now().mono,
            highest: Level::Normal,
            progress: Progress::new(),
        })
    }

    /// The terminal is as it was from then on.
    async fn stop(self) {
        let Hog { following, keys, progress, .. } = self;
        drop((progress, keys));
        following.stop().await;
    }

    async fn take_and_hold(&mut self, lines: Lines, out: &mut dyn Write) -> Result<End> {
        let first = match self.fresh().await {
            Ok(first) => first,
            Err(end) => return Ok(end),
        };
        if let Some(until) = self.args.until
            && first.level.level >= until
        {
            return Ok(End::Done(format!("level {} is there already", first.level.level)));
        }
        if let Err(refusal) = may_take(self.args.size, &first, self.args.force) {
            return Ok(End::Refused(refusal));
        }
        if let Err(fault) = offer_to_the_kernel() {
            let note = "the kernel was not asked to end this first";
            writeln!(io::stderr(), "plimsoll: note: {note}: {fault}")?;
        }
        let mut due = Instant::now();
        while self.taken.held() < self.args.size {
            let rest = self.args.size.saturating_sub(self.taken.held());
            let ended = match self.wait_until(due).await {
                None => self.take(self.args.step.min(rest)).await,
                ended => ended,
            };
            if let Some(end) = ended {
                return Ok(end);
            }
            // The line says what the machine says of it.
            let snapshot = match self.fresh().await {
                Ok(snapshot) => snapshot,
                Err(end) => return Ok(end),
            };
            self.progress.clear();
            lines.step(out, (self.taken.held(), self.args.size), &snapshot)?;
            due = (due + self.args.every).max(Instant::now());
        }
        let over = Instant::now() + self.args.hold;
        let ended = self.wait_until(over).await;
        Ok(ended.unwrap_or_else(|| match self.args.until {
            Some(until) => End::Failed(format!("level {until} was not reached")),
            None => End::Done("held for its time".to_owned()),
        }))
    }

    /// One step, in parts that are each judged by a reading after the one before.
    async fn take(&mut self, step: Bytes) -> Option<End> {
        let wanted = self.taken.held().saturating_add(step);
        while self.taken.held() < wanted {
            let snapshot = match self.fresh().await {
                Ok(snapshot) => snapshot,
                Err(end) => return Some(end),
            };
            let part = wanted.saturating_sub(self.taken.held()).min(AT_ONCE);
            if let Err(refusal) = may_take(part, &snapshot, self.args.force) {
                return Some(End::Refused(refusal));
            }
            let until = self.taken.held().saturating_add(part);
            while self.taken.held() < until {
                let size = until.saturating_sub(self.taken.held()).min(PIECE);
                if let Some(end) = self.take_piece(size).await {
                    return Some(end);
                }
            }
            self.changed = self.clock.now().mono;
        }
        None
    }

    async fn take_piece(&mut self, size: Bytes) -> Option<End> {
        let noise = self.taken.noise();
        let filling = tokio::task::spawn_blocking(move || noise.piece(size));
        tokio::select! {
            biased;
            end = self.told() => Some(end),
            piece = filling => match piece.ok().flatten() {
                Some(piece) => {
                    self.taken.add(piece);
                    None
                }
                None => Some(End::Failed("the system gives no more memory".to_owned())),
            },
        }
    }

    /// A reading of memory that knows of all that is held. An error: it ended
    /// meanwhile.
    async fn fresh(&mut self) -> Result<Arc<Snapshot>, End> {
        loop {
            let snapshot = self.following.snapshot();
            self.see(&snapshot);
            if snapshot.sample.is_some() && self.read.0 > Some(self.changed) {
                return Ok(snapshot);
            }
            if let Some(end) = self.wake(Instant::now() + LOOK_EVERY).await {
                return Err(end);
            }
        }
    }

    async fn wait_until(&mut self, due: Instant) -> Option<End> {
        while Instant::now() < due {
            if let Some(end) = self.wake(due).await {
                return Some(end);
            }
        }
        None
    }

    /// Waits for the next thing, at most until then, and looks at it.
    async fn wake(&mut self, until: Instant) -> Option<End> {
        let until = until.min(Instant::now() + BLIND_AFTER);
        tokio::select! {
            biased;
            end = self.told() => return Some(end),
            () = sleep_until(until) => {}
        }
        self.judge()
    }

    fn judge(&mut self) -> Option<End> {
        let snapshot = self.following.snapshot();
        self.see(&snapshot);
        if self.read.1.elapsed() > BLIND_AFTER {
            return Some(End::Refused(Refusal::Blind));
        }
        if snapshot.sample.is_some()
            && let Err(refusal) = may_hold(&snapshot, self.args.force)
        {
            return Some(End::Refused(refusal));
        }
        let level = snapshot.level.level;
        if self.args.until.is_some_and(|until| level >= until) && !self.taken.held().is_zero() {
            return Some(End::Done(format!("level {level} was reached")));
        }
        self.say();
        None
    }

    /// Ends when somebody or something says so. Looks at what comes meanwhile.
    async fn told(&mut self) -> End {
        loop {
            let over = self.args.span.map(|span| self.begun + span);
            let is_over = async {
                match over {
                    Some(over) => sleep_until(over).await,
                    None => std::future::pending().await,
                }
            };
            let turn = tokio::select! {
                biased;
                () = self.keys.pressed() => return End::Told("a key was pressed".to_owned()),
                _ = self.hang_up.recv() => return End::Signal(ExitCode::HungUp),
                _ = self.suspend.recv() => return End::Told("it was to be suspended".to_owned()),
                () = is_over => return End::Told("its time is over".to_owned()),
                turn = self.following.turn() => turn,
            };
            match turn {
                Ok(Turn::End(ExitCode::Done)) => {
                    return End::Told("nobody reads what is said".to_owned());
                }
                Ok(Turn::End(code)) => return End::Signal(code),
                Err(_) => return End::Refused(Refusal::Blind),
                Ok(Turn::Look) => {
                    if let Some(end) = self.judge() {
                        return end;
                    }
                }
            }
        }
    }

    fn see(&mut self, snapshot: &Snapshot) {
        let Some(sample) = &snapshot.sample else { return };
        let taken = Some(sample.at.mono);
        if taken != self.read.0 && sample.memory.is_ok() {
            self.read = (taken, Instant::now());
        }
        self.highest = self.highest.max(snapshot.level.level);
    }

    fn say(&mut self) {
        let (held, size) = (self.taken.held(), self.args.size);
        let keys = if self.keys.are_there() { "any key frees it" } else { "Ctrl-C frees it" };
        self.progress.tell(|| format!("holding {held} of {size}; {keys}"));
    }

    /// Gives all back, and looks what came of it.
    async fn free(&mut self, end: &Result<End>) -> Freed {
        let held = self.taken.held();
        let available = |snapshot: &Snapshot| {
            let sample = snapshot.sample.as_ref()?;
            sample.memory.as_ref().ok().map(|memory| memory.available)
        };
        let (own, before) = (held_here(), available(&self.following.snapshot()));
        self.taken.free();
        self.following.go_on_unread(true);
        let own = own.zip(held_here());
        let freed = self.clock.now().mono;
        let reading = async {
            loop {
                let snapshot = self.following.snapshot();
                if snapshot.sample.as_ref().is_some_and(|sample| sample.at.mono > freed) {
                    return available(&snapshot);
                }
                // A second signal does not wait for the proof.
                if !matches!(self.following.turn().await, Ok(Turn::Look)) {
                    return None;
                }
            }
        };
        let after = match held.is_zero() {
            true => None,
            false => timeout(BLIND_AFTER, reading).await.ok().flatten(),
        };
        let why = match end {
            Ok(End::Done(why) | End::Told(why) | End::Failed(why)) => why.clone(),
            Ok(End::Signal(code)) => code.meaning().to_owned(),
            Ok(End::Refused(refusal)) => {
                refusal.words().lines().next().unwrap_or_default().to_owned()
            }
            Err(_) => "it could not be said".to_owned(),
        };
        Freed { why, held, own, available: before.zip(after), highest: self.highest }
    }
}
