//! `plimsoll unload`: named models, or all of them; done once they have left
//! and their memory is back.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{timeout, timeout_at};

use crate::domain::event::EventBody;
use crate::domain::plan::Verdict;
use crate::domain::text::clean;
use crate::domain::{Action, ModelName, ModelState, ModelView, Snapshot};
use crate::engine::link::PlanRequest;

use super::Context;
use super::carry::{Carrying, Terms, drafted, why};
use super::engaged::{self, Engine, Errand};
use super::exit::ExitCode;
use super::facts::{columns, fact};
use super::fit::{installed, server_is_up};

/// The list of what is loaded may come after that of what is installed.
const LISTING: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The plan is shown first and, on a terminal, asked about; without one --yes is
needed. A busy model goes when its generation ends. That is waited for 15 s,
with --wait as long as that; what is busy then is said and ends with 1. A model
that is unloading already is waited for. --all leaves out what is pinned.
Ctrl-C begins nothing more.

  plimsoll unload llama3.2:3b --yes            one, by a script
  plimsoll unload --all --wait 2m --yes        all, and wait for busy ones too
  plimsoll unload --all --dry-run --json       what that would be

Exit codes: 0 unloaded, or not loaded; 1 failed, stuck, still generating or not
in time, 2 usage or config, 130 SIGINT, 143 SIGTERM.")]
pub struct Args {
    /// The models; or --all
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    models: Vec<String>,
    /// Every model of this machine but what is pinned
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    terms: Terms,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    engaged::run(&Unload { args, columns: columns(context) }, (context, &config), out)
}

struct Unload<'a> {
    args: &'a Args,
    columns: Option<usize>,
}

impl Errand for Unload<'_> {
    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = engine.begun().await;
        server_is_up(&snapshot)?;
        // Nothing comes later that would tell of such a name.
        for name in &self.args.models {
            is_known(&snapshot, name)?;
        }
        engine.knows_who_works().await;
        let request = match self.args.all {
            true => {
                listed(engine, |snapshot| !snapshot.models.is_empty()).await;
                PlanRequest::UnloadAll
            }
            false => PlanRequest::Unload(self.named(engine, out).await?),
        };
        let plan = drafted(engine, request).await?;
        let terms = &self.args.terms;
        let carrying = Carrying { engine, terms, columns: self.columns, is_number_meant: false };
        carrying.put(&plan, out).await
    }
}

impl Unload<'_> {
    /// Those of the named ones that are loaded. Nothing is begun where one of
    /// them cannot be unloaded.
    async fn named(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<Vec<ModelName>> {
        let names: Vec<ModelName> =
            self.args.models.iter().map(|name| ModelName::new(name.as_str())).collect();
        let are_loaded =
            |snapshot: &Snapshot| names.iter().all(|name| snapshot.model(name).is_some());
        let snapshot = listed(engine, are_loaded).await;
        let (mut loaded, mut leaving) = (Vec::new(), Vec::new());
        for (name, typed) in names.iter().zip(&self.args.models) {
            match snapshot.model(name) {
                Some(view) => {
                    may_be_asked(view)?;
                    match view.state {
                        ModelState::Unloading { .. } => leaving.push(name),
                        _ => loaded.push(name.clone()),
                    }
                }
                None => {
                    let model = installed(&snapshot, typed)?;
                    if !self.args.terms.is_for_programs() {
                        let line = format!("{} is not loaded", model.name);
                        fact(out, ("done", &line), self.columns)?;
                    }
                }
            }
        }
        for name in leaving {
            self.leaves(name, engine, out).await?;
        }
        Ok(loaded)
    }

    /// Somebody has asked it already: what comes of that is waited for.
    async fn leaves(
        &self,
        name: &ModelName,
        engine: Engine<'_>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let terms = &self.args.terms;
        let line = match terms.is_only_shown() {
            true => format!("{name} is unloading already"),
            false => {
                self.wait_for(name, engine).await?;
                format!("{name} was unloading already, and has left")
            }
        };
        match terms.is_for_programs() {
            true => Ok(()),
            false => Ok(fact(out, ("done", &line), self.columns)?),
        }
    }

    async fn wait_for(&self, name: &ModelName, engine: Engine<'_>) -> Result<()> {
        let terms = &self.args.terms;
        let (since, mut snapshots) = (engine.last_event(), engine.link.snapshots());
        let is_over = |snapshot: &Arc<Snapshot>| {
            let is_leaving = how_it_is(snapshot, name)
                .is_some_and(|state| matches!(state, ModelState::Unloading { .. }));
            // With --wait what still generates then is waited for too.
            !is_leaving || (!terms.has_limit() && still_generates(snapshot, name, since))
        };
        let ended = timeout_at(terms.until(), snapshots.wait_for(is_over)).await;
        let Ok(ended) = ended else {
            bail!("not done {}: unload {name} is under way, and goes on", terms.within());
        };
        let snapshot = Arc::clone(&*ended.context("wait for the outcome")?);
        let failed = match how_it_is(&snapshot, name) {
            None | Some(ModelState::Gone { .. } | ModelState::Unconfirmed { .. }) => return Ok(()),
            Some(ModelState::Stuck { .. }) => why(&Verdict::Stuck),
            Some(ModelState::Unloading { .. }) => why(&Verdict::StillGenerating),
            Some(_) => "it was used again meanwhile, and stays".to_owned(),
        };
        bail!("unload {}: {failed}", clean(name.short()))
    }
}

fn how_it_is<'a>(snapshot: &'a Snapshot, name: &ModelName) -> Option<&'a ModelState> {
    snapshot.model(name).map(|view| &view.state)
}

/// That is what an unload of it has ended with.
fn still_generates(snapshot: &Snapshot, name: &ModelName, since: u64) -> bool {
    snapshot.events.value.iter().filter(|event| event.seq > since).any(|event| {
        matches!(&event.body, EventBody::ActionEnded { outcome, .. }
            if outcome.result == Verdict::StillGenerating
                && matches!(&outcome.action, Action::Unload { model } if model == name))
    })
}

/// It is loaded or installed, or an error that names the nearest.
pub fn is_known(snapshot: &Snapshot, name: &str) -> Result<()> {
    match snapshot.model(&ModelName::new(name)) {
        Some(_) => Ok(()),
        None => installed(snapshot, name).map(drop),
    }
}

/// The picture once that is so. An engine that has run for long knows already.
pub async fn listed(engine: Engine<'_>, is_so: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    if engine.is_own {
        let mut snapshots = engine.link.snapshots();
        drop(timeout(LISTING, snapshots.wait_for(|snapshot| is_so(snapshot))).await);
    }
    engine.now()
}

fn may_be_asked(view: &ModelView) -> Result<()> {
    let name = &view.name;
    if view.is_cloud {
        bail!("{name} runs elsewhere and holds no memory here");
    }
    match view.state {
        ModelState::Loading { .. } => bail!("{name} is loading; unloading waits for no load"),
        _ => Ok(()),
    }
}
