//! What a command is carried out with: the engine that acts on this machine,
//! or one of its own that lives until the command is done. A signal ends it.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::timeout;

use crate::assemble::{self, Source};
use crate::config::LoadedConfig;
use crate::domain::{Activity, ModelView, Snapshot};
use crate::engine::link::{Command, Link, Reply};

use super::Context;
use super::agree::agreed_meanwhile;
use super::exit::{ExitCode, WrongUsage};
use super::look::{answer, answers_something_else, heard_of_server};
use super::signals::Endings;

/// Whether a model works is told by two samples; one without a process that can
/// be seen never tells.
const ACTIVITY: Duration = Duration::from_secs(3);

/// An engine and what is known of it.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    pub link: &'a dyn Link,
    /// It began with this command and ends with it.
    pub is_own: bool,
    /// A question waits for its answer: nothing was begun.
    asks: &'a Cell<bool>,
}

/// What a command does with an engine.
pub trait Errand {
    /// What becomes of what was begun when its engine ends early.
    const CUT: &'static str = "what was asked of the model server stands, nothing more is begun";

    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode>;

    /// What is still to be done after a signal, while there is an engine; in
    /// words, where that says more of what was begun.
    async fn tidy_up(&self, _engine: Engine<'_>) -> Option<String> {
        None
    }
}

/// Carries it out, and says what becomes of it where a signal comes.
pub fn run(
    errand: &impl Errand,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    if matches!(context.source, Source::Replay(_)) {
        return Err(WrongUsage("a recording is looked at, nothing can be changed in it").into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(until_ended(errand, (context, config), out));
    // A sensor that hangs, and a question nobody answered, are left behind.
    runtime.shutdown_background();
    out.flush()?;
    result
}

async fn until_ended(
    errand: &impl Errand,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let mut endings = Endings::with_hang_up()?;
    let running = assemble::start_for_errand(config, &context.source).await?;
    let asks = Cell::new(false);
    let is_own = running.began().is_some();
    let engine = Engine { link: running.link.as_ref(), is_own, asks: &asks };
    let (cut, result) = tokio::select! {
        biased;
        code = endings.next() => (Some(code), Ok(code)),
        result = errand.carry_out(engine, out) => (None, result),
    };
    let tidied = match cut {
        Some(_) => tokio::select! {
            biased;
            // Who asks a second time does not wait.
            _ = endings.next() => None,
            tidied = errand.tidy_up(engine) => tidied,
        },
        None => None,
    };
    let result = result.map_err(|error| match running.ended() {
        Some(why) => error.context(why),
        None => error,
    });
    running.stop().await;
    if cut.is_some() {
        let what = match (asks.get(), is_own) {
            (true, _) => "nothing was begun",
            (false, true) => cut_off(errand),
            (false, false) => "what was begun goes on, in the plimsoll that acts on this machine",
        };
        let what = tidied.as_deref().unwrap_or(what);
        // The question still stands on its line.
        let is_at_question = asks.get() && io::stderr().is_terminal();
        let begin = if is_at_question { "\n" } else { "" };
        // A terminal that is gone changes nothing.
        drop(writeln!(io::stderr(), "{begin}plimsoll: ended: {what}"));
    }
    result
}

fn cut_off<E: Errand>(_: &E) -> &'static str {
    E::CUT
}

impl Engine<'_> {
    /// The picture as it is known last.
    pub fn now(self) -> Arc<Snapshot> {
        Arc::clone(&self.link.snapshots().borrow())
    }

    /// The number of the last event.
    pub fn last_event(self) -> u64 {
        let snapshots = self.link.snapshots();
        let snapshot = snapshots.borrow();
        snapshot.events.value.back().map_or(0, |event| event.seq)
    }

    /// Once memory and what the server has are known.
    pub async fn begun(self) -> Arc<Snapshot> {
        heard_of_server(self.link).await;
        self.now()
    }

    /// Once it is also known which models work: what is busy stays.
    pub async fn knows_who_works(self) -> Arc<Snapshot> {
        heard_of_server(self.link).await;
        let is_told = |view: &ModelView| view.is_remote || view.activity != Activity::Unknown;
        let mut snapshots = self.link.snapshots();
        let tells = snapshots.wait_for(|snapshot| snapshot.models.iter().all(is_told));
        drop(timeout(ACTIVITY, tells).await);
        self.now()
    }

    /// A person's word before something is begun.
    pub async fn agrees(self, question: &str, out: &mut dyn Write) -> Result<bool> {
        self.asks.set(true);
        let is_agreed = agreed_meanwhile(question, out).await;
        self.asks.set(false);
        is_agreed
    }

    /// Has it take a command on.
    pub async fn accepts(self, command: Command) -> Result<()> {
        match answer(self.link, command).await? {
            Reply::Accepted => Ok(()),
            Reply::Refused { reason } => Err(anyhow!("refused: {reason}")),
            _ => Err(answers_something_else()),
        }
    }
}
