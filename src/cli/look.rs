//! A look at this machine: through the plimsoll that acts on it, if there is
//! one, since that one has watched for longer; else by two readings of its own.
//!
//! It changes nothing, and no lock is taken.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::time::timeout;

use crate::assemble::{self, Source};
use crate::config::LoadedConfig;
use crate::domain::fit::STILL_ASKED;
use crate::domain::snapshot::{Place, RuntimeState};
use crate::domain::{InstalledModel, Moment, Snapshot};
use crate::engine::executor::ask;
use crate::engine::input::{Effect, Input, PollAnswer, Report, RequestNumber};
use crate::engine::link::{Attention, Command, Link, Reply};
use crate::engine::state::State;
use crate::sense::Want;

use super::Context;
use super::progress::Progress;

/// Between the two readings: enough for rates, short enough to wait for.
const APART: Duration = Duration::from_millis(250);

/// An engine that has just begun has its first sample in a moment, unless a
/// sensor hangs.
const FIRST_SAMPLE: Duration = Duration::from_secs(1);

/// A server that hangs is named after this.
const BEGINNING: Duration = Duration::from_secs(10);

/// An engine answers between two inputs; one that takes longer hangs.
const ANSWER: Duration = Duration::from_secs(5);

/// A server that is slow to tell of its models is not waited for longer:
/// verdicts on those it has told of are worth more than none.
const TELLING: Duration = Duration::from_secs(30);

/// The largest processes shown beside the models' own.
const LARGEST: usize = 5;

/// Rounds of questions: the lists first, then the details of each model they
/// name. A server that names more in one look is not believed further.
const ROUNDS: u32 = 64;
const ROUNDS_FOR_ALL: u32 = 1024;

/// How a single look is taken.
#[derive(Debug, Clone)]
pub struct Glance {
    /// Between its two readings.
    pub apart: Duration,
    pub attention: Attention,
}

impl Default for Glance {
    fn default() -> Self {
        Glance { apart: APART, attention: Attention::default() }
    }
}

/// This machine now: as the plimsoll that acts on it knows it, else by a look.
pub fn see(
    context: &Context,
    config: &LoadedConfig,
    runtime: &tokio::runtime::Runtime,
    glance: Glance,
) -> Result<Arc<Snapshot>> {
    Ok(Looking::begin(context, config, runtime, glance)?.snapshot)
}

/// A look that may be asked further.
pub struct Looking<'a> {
    runtime: &'a tokio::runtime::Runtime,
    at: At,
    pub snapshot: Arc<Snapshot>,
}

enum At {
    Attached(Box<dyn Link>),
    Own(Box<Look>),
}

impl<'a> Looking<'a> {
    pub fn begin(
        context: &Context,
        config: &LoadedConfig,
        runtime: &'a tokio::runtime::Runtime,
        glance: Glance,
    ) -> Result<Looking<'a>> {
        let attached = match may_attach(context) {
            true => runtime.block_on(attached(config, &glance.attention)),
            false => None,
        };
        if let Some((link, snapshot)) = attached {
            return Ok(Looking { runtime, at: At::Attached(link), snapshot });
        }
        let (mut look, effects, first_new) = Look::new(context, config, glance)?;
        let mut snapshot = runtime.block_on(look.twice(effects));
        // What this look itself numbered is on no disk and has no meaning after it.
        let events = snapshot.events.value.iter().filter(|event| event.seq < first_new);
        let events = events.cloned().collect();
        snapshot.events.set(events);
        Ok(Looking { runtime, at: At::Own(Box::new(look)), snapshot: Arc::new(snapshot) })
    }

    /// Has the server asked for what is wanted for verdicts, and waits for it.
    pub fn attend(&mut self, attention: Attention) -> Result<()> {
        match &mut self.at {
            At::Attached(link) => {
                self.snapshot = self.runtime.block_on(async {
                    heard_of_server(link.as_ref()).await;
                    told_of(link.as_ref(), attention).await
                })?;
            }
            At::Own(look) => {
                look.rounds = if attention.fits { ROUNDS_FOR_ALL } else { ROUNDS };
                self.runtime.block_on(look.ask(Command::Attend { attention }));
                self.snapshot = Arc::new(look.state.snapshot());
            }
        }
        Ok(())
    }

    /// Waits until all that this attention has looked at is told. A look of our
    /// own has looked at everything.
    pub fn wait(
        &mut self,
        attention: Attention,
        is_told: impl Fn(&Snapshot) -> bool,
    ) -> Result<()> {
        let At::Attached(link) = &self.at else { return Ok(()) };
        // A command is nobody who could answer a rule that asks.
        let attention = Attention { watched: false, ..attention };
        self.snapshot = self.runtime.block_on(async {
            let mut snapshots = link.snapshots();
            answer(link.as_ref(), Command::Attend { attention }).await?;
            // What is missing after that is said by whoever needs it.
            drop(timeout(ANSWER, snapshots.wait_for(|snapshot| is_told(snapshot))).await);
            let now = Arc::clone(&snapshots.borrow());
            anyhow::Ok(now)
        })?;
        Ok(())
    }

    /// Puts a command that changes nothing.
    pub fn ask(&mut self, command: Command) -> Result<Reply> {
        match &mut self.at {
            At::Attached(link) => self.runtime.block_on(answer(link.as_ref(), command)),
            At::Own(look) => {
                let reply = self.runtime.block_on(look.ask(command));
                reply.ok_or_else(|| anyhow!("that cannot be answered by a look"))
            }
        }
    }
}

/// What an engine replies.
pub async fn answer(link: &dyn Link, command: Command) -> Result<Reply> {
    let reply = timeout(ANSWER, link.send(command)?).await;
    let reply = reply.context("wait for the plimsoll that acts on this machine")?;
    reply.context("the plimsoll that acts on this machine has ended")
}

/// It is of another version, and takes the question for another.
pub fn answers_something_else() -> anyhow::Error {
    anyhow!("the plimsoll that acts on this machine answers something else")
}

/// Waits until an engine that has just begun knows memory and what its server
/// has. What is missing after that is said by whoever needs it.
pub async fn heard_of_server(link: &dyn Link) {
    let mut snapshots = link.snapshots();
    let has_heard = snapshots.wait_for(|snapshot| {
        let is_told = match snapshot.runtimes.first().map(|server| &server.state) {
            None | Some(RuntimeState::Down { .. }) => true,
            Some(RuntimeState::Unknown) => false,
            Some(_) => !snapshot.installed.value.is_empty(),
        };
        snapshot.sample.is_some() && is_told
    });
    drop(timeout(BEGINNING, has_heard).await);
}

/// Attends, and waits until the server has told of the models that verdicts
/// are wanted of.
pub async fn told_of(link: &dyn Link, attention: Attention) -> Result<Arc<Snapshot>> {
    // All verdicts come with snapshots, so that it can be seen what is known.
    // A command is nobody who could answer a rule that asks.
    let attention = Attention { fits: true, watched: false, ..attention };
    let mut snapshots = link.snapshots();
    answer(link, Command::Attend { attention: attention.clone() }).await?;
    let mut progress = Progress::new();
    let waiting = async {
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let missing = still_asked(&snapshot, &attention);
            if missing == 0 || snapshots.changed().await.is_err() {
                return;
            }
            progress.tell(|| format!("asking about the models: {missing} to go"));
        }
    };
    // What is not known by then is said to be so.
    drop(timeout(TELLING, waiting).await);
    drop(progress);
    let now = Arc::clone(&link.snapshots().borrow());
    Ok(now)
}

/// Models that the server has yet to tell of.
fn still_asked(snapshot: &Snapshot, attention: &Attention) -> usize {
    let is_there = snapshot.runtimes.first().is_some_and(|server| {
        server.place != Place::Remote && !matches!(server.state, RuntimeState::Down { .. })
    });
    if !is_there {
        return 0;
    }
    let fits = &snapshot.fits.value;
    let is_missing = |model: &&InstalledModel| {
        let is_unknown = fits.unknown.iter().find(|(name, _)| *name == model.name);
        fits.of(&model.name).is_none() && is_unknown.is_none_or(|(_, why)| why == STILL_ASKED)
    };
    let is_wanted = |model: &&InstalledModel| match &attention.dial {
        Some(dial) => dial.model == model.name,
        None => true,
    };
    let installed = snapshot.installed.value.iter().filter(|model| !model.is_cloud);
    installed.filter(is_wanted).filter(is_missing).count()
}

/// The server has answered, or is known not to.
pub fn server_is_known(snapshot: &Snapshot) -> bool {
    snapshot.runtimes.first().is_none_or(|server| server.state != RuntimeState::Unknown)
}

/// Whoever says where to look wants a look of their own.
pub fn may_attach(context: &Context) -> bool {
    let flags = &context.flags;
    let says_where = flags.ollama.is_some() || flags.config.is_some() || flags.data_dir.is_some();
    context.source == Source::Live && !says_where
}

/// What the plimsoll that acts on this machine knows, if one does.
pub async fn attached(
    config: &LoadedConfig,
    attention: &Attention,
) -> Option<(Box<dyn Link>, Arc<Snapshot>)> {
    let link = assemble::attach(config).await.ok()?;
    let mut snapshots = link.snapshots();
    if attention.policy {
        let attention = attention.clone();
        link.send(Command::Attend { attention }).ok()?;
    }
    let has_sample = snapshots.wait_for(|snapshot| {
        snapshot.sample.is_some() && (snapshot.policy.is_some() || !attention.policy)
    });
    let snapshot = timeout(FIRST_SAMPLE, has_sample).await.ok()?.ok()?;
    let snapshot = Arc::clone(&snapshot);
    Some((Box::new(link), snapshot))
}

fn later(moment: Moment, span: Duration) -> Moment {
    // A span no calendar holds leaves the date as it was.
    let wall = moment.wall.checked_add(span).unwrap_or(moment.wall);
    Moment::new(wall, moment.mono.plus(span))
}

/// The state of the engine, without its loop.
struct Look {
    state: State,
    edges: assemble::Edges,
    apart: Duration,
    rounds: u32,
    asked: u64,
}

impl Look {
    /// With what is to be done first, and the number of its first own event.
    fn new(
        context: &Context,
        config: &LoadedConfig,
        glance: Glance,
    ) -> Result<(Look, Vec<Effect>, u64)> {
        let mut edges = assemble::edges(&context.source, config)?;
        for note in &edges.notes {
            // For a person; what reads the output must not trip over it.
            writeln!(io::stderr(), "plimsoll: note: {note}")?;
        }
        let settings = assemble::settings(config, &mut edges)?;
        let past = assemble::past(config, edges.mode);
        let first_new = past.next_seq.max(1);
        let now = edges.clock.now();
        let (state, mut effects) = State::new(settings, past, now);
        let rounds = if glance.attention.fits { ROUNDS_FOR_ALL } else { ROUNDS };
        let mut look = Look { state, edges, apart: glance.apart, rounds, asked: 0 };
        effects.extend(look.put(Command::Attend { attention: glance.attention }).1);
        Ok((look, effects, first_new))
    }

    async fn twice(&mut self, effects: Vec<Effect>) -> Snapshot {
        let started = tokio::time::Instant::now();
        let first = self.edges.clock.now();
        let mut due = effects;
        due.extend(self.sample(first));
        self.answer_polls(due).await;
        let second = match &self.edges.playback {
            // The first two samples of a recording, however far apart they are.
            Some(playback) => {
                let apart = playback.until_next().unwrap_or_default();
                later(first, apart)
            }
            None => {
                tokio::time::sleep_until(started + self.apart).await;
                self.edges.clock.now()
            }
        };
        let _ = self.sample(second);
        self.state.judge_at_once();
        self.state.snapshot()
    }

    /// Puts a command, has the server asked what follows from it, and hands
    /// back the reply; `None`: it would come later.
    async fn ask(&mut self, command: Command) -> Option<Reply> {
        let (number, effects) = self.put(command);
        let reply = effects.iter().find_map(|effect| match effect {
            Effect::Reply { number: of, reply } if *of == number => Some(reply.clone()),
            _ => None,
        });
        self.answer_polls(effects).await;
        reply
    }

    fn put(&mut self, command: Command) -> (RequestNumber, Vec<Effect>) {
        let number = RequestNumber(self.asked);
        self.asked += 1;
        let now = self.edges.clock.now();
        (number, self.state.handle(Input::Asked { number, command }, now))
    }

    fn sample(&mut self, now: Moment) -> Vec<Effect> {
        let want = Want {
            all_processes: true,
            largest: LARGEST,
            proportional: Vec::new(),
            server_port: Some(self.edges.runtime.endpoint().port),
            named: self.state.named(),
        };
        let sample = self.edges.sensors.read(&want, now);
        self.state.handle(Input::Sampled(Box::new(sample)), now)
    }

    /// Puts the questions the state has, all of a round at once.
    async fn answer_polls(&mut self, effects: Vec<Effect>) {
        let (mut due, mut told, mut progress) = (effects, 0_u32, Progress::new());
        for _ in 0..self.rounds {
            let mut asked = tokio::task::JoinSet::new();
            for effect in std::mem::take(&mut due) {
                if let Effect::Poll(poll) = effect {
                    asked.spawn(ask(self.edges.runtime.as_ref(), poll));
                }
            }
            if asked.is_empty() {
                return;
            }
            for answer in asked.join_all().await {
                told += u32::from(matches!(answer, PollAnswer::Details(..)));
                let report = Report { took: Duration::ZERO, answer };
                let now = self.edges.clock.now();
                due.extend(self.state.handle(Input::Reported(report), now));
            }
            progress.tell(|| format!("asking about the models: {told} so far"));
        }
    }
}
