//! `plimsoll status`: one check, as text or as JSON; the exit code is the level.
//!
//! Where a plimsoll acts on this machine already, it is asked: its level has
//! dwell. Else two readings are taken here.

pub mod json;
mod text;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::assemble::{self, Source};
use crate::config::LoadedConfig;
use crate::domain::{Moment, Snapshot};
use crate::engine::executor::ask;
use crate::engine::input::{Effect, Input, Report, RequestNumber};
use crate::engine::link::{Attention, Command, Link};
use crate::engine::state::State;
use crate::sense::Want;

use super::Context;
use super::exit::ExitCode;

/// Between the two readings: enough for rates, short enough to wait for.
const APART: Duration = Duration::from_millis(250);

/// An engine that has just begun has its first sample in a moment, unless a
/// sensor hangs.
const FIRST_SAMPLE: Duration = Duration::from_secs(1);

/// The largest processes shown beside the models' own.
const LARGEST: usize = 5;

/// Rounds of questions: the lists first, then the details of each model they
/// name. A server that names more in one look is not believed further.
const ROUNDS: u32 = 64;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 normal, 10 warning, 11 critical, 12 emergency; 1 failed,
2 usage or config. Of a recording, its first two samples are judged.")]
pub struct Args {
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let snapshot = see(context, &config, (&runtime, Glance::default()))?;
    runtime.shutdown_background();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &json::Status::of(&snapshot))?;
        writeln!(out)?;
    } else {
        text::write(&snapshot, out)?;
    }
    out.flush()?;
    Ok(ExitCode::from(snapshot.level.level))
}

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
    (runtime, glance): (&tokio::runtime::Runtime, Glance),
) -> Result<Arc<Snapshot>> {
    let attached = match may_attach(context) {
        true => runtime.block_on(attached(config, &glance.attention)),
        false => None,
    };
    match attached {
        Some(snapshot) => Ok(snapshot),
        None => Ok(Arc::new(look(context, config, (runtime, glance))?)),
    }
}

/// Whoever says where to look wants a look of their own.
fn may_attach(context: &Context) -> bool {
    let flags = &context.flags;
    let says_where = flags.ollama.is_some() || flags.config.is_some() || flags.data_dir.is_some();
    context.source == Source::Live && !says_where
}

/// What the plimsoll that acts on this machine knows, if one does.
async fn attached(config: &LoadedConfig, attention: &Attention) -> Option<Arc<Snapshot>> {
    let link = assemble::attach(config).await.ok()?;
    let mut snapshots = link.snapshots();
    if attention.policy {
        let attention = attention.clone();
        link.send(Command::Attend { attention }).ok()?;
    }
    let has_sample = snapshots.wait_for(|snapshot| {
        snapshot.sample.is_some() && (snapshot.policy.is_some() || !attention.policy)
    });
    let snapshot = tokio::time::timeout(FIRST_SAMPLE, has_sample).await.ok()?.ok()?;
    Some(Arc::clone(&snapshot))
}

fn look(
    context: &Context,
    config: &LoadedConfig,
    (runtime, glance): (&tokio::runtime::Runtime, Glance),
) -> Result<Snapshot> {
    let mut edges = assemble::edges(&context.source, config)?;
    for note in &edges.notes {
        // For a person; what reads the output must not trip over it.
        writeln!(io::stderr(), "plimsoll: note: {note}")?;
    }
    let settings = assemble::settings(config, &mut edges)?;
    let past = assemble::past(config, edges.mode);
    let first_new = past.next_seq.max(1);
    let now = edges.clock.now();
    let (mut state, mut effects) = State::new(settings, past, now);
    let attend = Command::Attend { attention: glance.attention };
    effects.extend(state.handle(Input::Asked { number: RequestNumber(0), command: attend }, now));
    let mut look = Look { state, edges, apart: glance.apart };
    let mut snapshot = runtime.block_on(look.twice(effects));
    // What this look itself numbered is on no disk and has no meaning after it.
    let events = snapshot.events.value.iter().filter(|event| event.seq < first_new);
    let events = events.cloned().collect();
    snapshot.events.set(events);
    Ok(snapshot)
}

fn later(moment: Moment, span: Duration) -> Moment {
    // A span no calendar holds leaves the date as it was.
    let wall = moment.wall.checked_add(span).unwrap_or(moment.wall);
    Moment::new(wall, moment.mono.plus(span))
}

/// One look at a machine: the state of the engine, without its loop.
struct Look {
    state: State,
    edges: assemble::Edges,
    apart: Duration,
}

impl Look {
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
        let mut due = effects;
        for _ in 0..ROUNDS {
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
                let report = Report { took: Duration::ZERO, answer };
                let now = self.edges.clock.now();
                due.extend(self.state.handle(Input::Reported(report), now));
            }
        }
    }
}
