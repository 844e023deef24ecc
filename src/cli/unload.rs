//! `plimsoll unload`: named models, or all of them; done once they have left
//! and their memory is back.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::timeout;

use crate::domain::{ModelName, ModelState, ModelView, Snapshot};
use crate::engine::link::PlanRequest;

use super::Context;
use super::carry::{Carrying, Terms, drafted};
use super::engaged::{self, Engine, Errand};
use super::exit::ExitCode;
use super::facts::{columns, fact};
use super::fit::{installed, server_is_up};

/// The list of what is loaded may come after that of what is installed.
const LISTING: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The plan is shown first and, on a terminal, asked about; without one --yes is
needed. A busy model goes when its generation ends: that is said and ends with
1, unless --wait covers it. --all leaves out what is pinned. Ctrl-C begins
nothing more.

  plimsoll unload llama3.2:3b --yes            one, by a script
  plimsoll unload --all --wait 2m --yes        all, and wait for busy ones too
  plimsoll unload --all --dry-run --json       what that would be

Exit codes: 0 unloaded, or not loaded; 1 failed, stuck, still generating or not
in time, 2 usage or config, 130 SIGINT, 143 SIGTERM.")]
pub struct Args {
    /// The models
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
        let snapshot = engine.knows_who_works().await;
        server_is_up(&snapshot)?;
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
        let mut loaded = Vec::new();
        for (name, typed) in names.iter().zip(&self.args.models) {
            match snapshot.model(name) {
                Some(view) => {
                    may_be_asked(view)?;
                    loaded.push(name.clone());
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
        Ok(loaded)
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
        ModelState::Unloading { .. } => bail!("{name} is unloading already"),
        _ => Ok(()),
    }
}
