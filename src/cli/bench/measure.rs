//! One model: loaded, asked once, looked at all the while, unloaded.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::time::timeout;

use crate::cli::carry::{Carrying, Terms, drafted};
use crate::cli::engaged::Engine;
use crate::cli::exit::ExitCode;
use crate::cli::load;
use crate::cli::progress::Progress;
use crate::domain::event::EventBody;
use crate::domain::plan::{Keep, Verdict};
use crate::domain::{
    Action, Activity, Bytes, Level, ModelName, ModelState, ModelView, Monotonic, Snapshot,
};
use crate::engine::link::PlanRequest;
use crate::runtime::{Prompt, Runtime};

use super::Args;
use super::report::Row;

/// It outlasts a long prompt, and a bench that is killed holds nothing for long.
const KEEP: Duration = Duration::from_secs(15 * 60);

/// A proof takes seconds; a runner that hangs is named.
const UNLOADING: Duration = Duration::from_secs(60);

/// A sample after something has ended comes at the next turn; a sensor that
/// hangs is not waited for.
const SAMPLE: Duration = Duration::from_secs(10);

/// From here on it ends and gives its memory back.
const TOO_MUCH: Level = Level::Critical;

/// How often a generation is said to go on.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// What is needed to measure one model.
pub struct Bench<'a> {
    pub engine: Engine<'a>,
    pub model: &'a ModelName,
    pub runtime: &'a dyn Runtime,
    pub prompt: &'a str,
    pub args: &'a Args,
    /// Set as long as it is loaded for this.
    pub loaded: &'a RefCell<Option<ModelName>>,
}

/// What samples showed of it.
#[derive(Debug, Default)]
struct Watched {
    peak: Option<Bytes>,
    samples: u32,
    last: Option<Monotonic>,
}

impl Bench<'_> {
    /// Leaves it loaded.
    pub async fn measure(&self, row: &mut Row) -> Result<()> {
        let snapshot = self.engine.now();
        not_too_much(&snapshot)?;
        if snapshot.model(self.model).is_some() {
            self.unload().await.context("unload it, to load it cold")?;
        }
        let watched = RefCell::new(Watched::default());
        let measured = tokio::select! {
            biased;
            over = self.watch(&watched) => Err(over),
            measured = self.load_and_ask(row) => measured,
        };
        let watched = watched.into_inner();
        (row.peak, row.samples) = (watched.peak, watched.samples);
        row.aborts |= not_too_much(&self.engine.now()).is_err();
        measured
    }

    async fn load_and_ask(&self, row: &mut Row) -> Result<()> {
        let since = self.engine.last_event();
        *self.loaded.borrow_mut() = Some(self.model.clone());
        let (force, make_room) = (self.args.force, self.args.yes && !self.args.force);
        let args = load::Args::of(self.model, self.args.ctx, Keep::For(KEEP));
        let args = args.agreeing(force, make_room);
        let code = load::put(&args, self.engine, &mut io::stderr()).await;
        if !matches!(code, Ok(ExitCode::Done)) {
            // It may be on its way all the same, where the wait for it failed.
            if self.view().is_none() {
                *self.loaded.borrow_mut() = None;
            }
            bail!("it was not loaded: {}", code?.meaning());
        }
        row.load = load_time(&self.engine.now(), self.model, since);
        row.footprint_loaded = self.held_by_next_sample().await;
        row.context = self.view().and_then(|view| view.context);
        self.ask(row).await?;
        row.footprint_used = self.held_by_next_sample().await;
        // Once it is seen to rest, what it took is kept for later estimates.
        let mut snapshots = self.engine.link.snapshots();
        let rests = |snapshot: &Arc<Snapshot>| {
            let view = snapshot.model(self.model);
            view.is_none_or(|view| view.activity == Activity::Idle)
        };
        drop(timeout(SAMPLE, snapshots.wait_for(rests)).await);
        Ok(())
    }

    async fn ask(&self, row: &mut Row) -> Result<()> {
        let prompt = Prompt {
            text: self.prompt.to_owned(),
            tokens: self.args.tokens,
            context: self.args.ctx,
            keep: Keep::For(KEEP),
        };
        let begun = Instant::now();
        let mut generating = self.runtime.generate(self.model, prompt);
        let mut progress = Progress::new();
        let generated = loop {
            match timeout(TOLD_EVERY, &mut generating).await {
                Ok(generated) => break generated,
                Err(_) => {
                    let so_long = begun.elapsed().as_secs();
                    progress.tell(|| format!("{} writes, for {so_long} s", self.model));
                }
            }
        };
        drop(progress);
        let fault =
            |fault: crate::domain::RuntimeFault| anyhow!("it wrote nothing: {}", fault.detail);
        row.generated = Some(generated.map_err(fault)?);
        Ok(())
    }

    /// What it holds by a sample that is taken from now on.
    async fn held_by_next_sample(&self) -> Option<Bytes> {
        let taken = |snapshot: &Snapshot| snapshot.sample.as_ref().map(|sample| sample.at.mono);
        let mut snapshots = self.engine.link.snapshots();
        let before = taken(&snapshots.borrow());
        let next = snapshots.wait_for(|snapshot| taken(snapshot) > before);
        drop(timeout(SAMPLE, next).await);
        self.view()?.measured.map(|(bytes, _)| bytes)
    }

    /// Notes what each sample shows; ends where it becomes too much.
    async fn watch(&self, watched: &RefCell<Watched>) -> anyhow::Error {
        let mut snapshots = self.engine.link.snapshots();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            watched.borrow_mut().note(&snapshot, self.model);
            if let Err(too_much) = not_too_much(&snapshot) {
                return too_much;
            }
            if snapshots.changed().await.is_err() {
                return anyhow!("the engine has ended");
            }
        }
    }

    fn view(&self) -> Option<ModelView> {
        self.engine.now().model(self.model).cloned()
    }

    pub fn is_loading(&self) -> bool {
        let snapshot = self.engine.now();
        let state = snapshot.model(self.model).map(|view| &view.state);
        matches!(state, Some(ModelState::Loading { .. }))
            || snapshot.loads_in_flight.contains(self.model)
    }

    /// Unloads it and waits for the proof; the bytes that came back.
    pub async fn unload(&self) -> Result<Option<Bytes>> {
        if self.is_loading() {
            if self.engine.is_own {
                bail!("its load is cut off");
            }
            let mut snapshots = self.engine.link.snapshots();
            let is_through = snapshots.wait_for(|_| !self.is_loading());
            drop(timeout(UNLOADING, is_through).await);
        }
        let request = PlanRequest::Unload(vec![self.model.clone()]);
        let plan = drafted(self.engine, request).await?;
        if plan.steps.is_empty()
            && let Some(view) = self.view()
        {
            let why = if view.pinned { "it is pinned" } else { "it cannot be unloaded now" };
            bail!("{} stays loaded: {why}", self.model);
        }
        let mut freed = None;
        if !plan.steps.is_empty() {
            let terms = Terms::agreed(UNLOADING);
            let (engine, columns) = (self.engine, None);
            let carrying = Carrying { engine, terms: &terms, columns, is_number_meant: false };
            let carried = carrying.carry_out(&plan).await?;
            if let Some(why) = &carried.cut_short {
                bail!("{why}");
            }
            if !carried.is_done() {
                bail!("{} was not unloaded", self.model);
            }
            freed = carried.outcomes.iter().find_map(|outcome| outcome.freed);
        }
        *self.loaded.borrow_mut() = None;
        Ok(freed)
    }
}

impl Watched {
    fn note(&mut self, snapshot: &Snapshot, model: &ModelName) {
        let taken = snapshot.sample.as_ref().map(|sample| sample.at.mono);
        let held = snapshot.model(model).and_then(|view| view.measured);
        if let Some((bytes, _)) = held.filter(|_| taken != self.last) {
            self.last = taken;
            self.samples += 1;
            self.peak = self.peak.max(Some(bytes));
        }
    }
}

fn not_too_much(snapshot: &Snapshot) -> Result<()> {
    if snapshot.level.level < TOO_MUCH {
        return Ok(());
    }
    let cause = snapshot.level.set_by.as_ref().map(|cause| format!(": {}", cause.text));
    bail!("memory is {}{}", snapshot.level.level, cause.unwrap_or_default());
}

/// From asking until it was seen loaded, as the engine has it.
fn load_time(snapshot: &Snapshot, model: &ModelName, since: u64) -> Option<Duration> {
    let new = snapshot.events.value.iter().rev().take_while(|event| event.seq > since);
    let took = |body: &EventBody| match body {
        EventBody::ActionEnded { outcome, .. } => {
            let is_it = matches!(&outcome.action, Action::Load { model: of, .. } if of == model);
            let is_done = matches!(outcome.result, Verdict::Done | Verdict::Unconfirmed);
            (is_it && is_done).then_some(outcome.took)
        }
        _ => None,
    };
    new.filter_map(|event| took(&event.body)).next()
}
