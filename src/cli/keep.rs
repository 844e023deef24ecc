//! `plimsoll keep`: how long a loaded model stays after its last use, without
//! reloading it.

use std::io::{self, Write};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::domain::event::EventBody;
use crate::domain::plan::{Keep, Verdict};
use crate::domain::text::clean;
use crate::domain::{Action, ModelName, Snapshot};
use crate::engine::link::Command;

use super::Context;
use super::carry::why;
use super::document::Document;
use super::engaged::{self, Engine, Errand};
use super::exit::ExitCode;
use super::facts::{columns, fact, write_json};
use super::fit::{installed, server_is_up};
use super::load;
use super::unload::{is_known, listed};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is reloaded, and it counts as no use.

  plimsoll keep llama3.2:3b 1h           an hour after its last use
  plimsoll keep llama3.2:3b forever      until it is unloaded
  plimsoll keep llama3.2:3b 10m --json   one JSON object

Exit codes: 0 the server has taken it on; 1 failed or not loaded, 2 usage or
config, 130 SIGINT, 143 SIGTERM.")]
pub struct Args {
    /// The model
    #[arg(value_name = "NAME")]
    model: String,
    /// How long, as in 10m, 1h or forever
    #[arg(value_name = "SPAN", value_parser = load::keep)]
    keep: Keep,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

/// More may be added; nothing is renamed.
#[derive(Serialize)]
struct Json<'a> {
    schema_version: u32,
    model: &'a str,
    /// Null: until it is unloaded.
    keep_seconds: Option<u64>,
    forever: bool,
}

impl<'a> Json<'a> {
    fn of(model: &'a ModelName, keep: Keep) -> Json<'a> {
        let keep_seconds = match keep {
            Keep::For(span) => Some(span.as_secs()),
            Keep::Default | Keep::Forever => None,
        };
        Json {
            schema_version: Document::Keep.version(),
            model: model.short(),
            keep_seconds,
            forever: keep == Keep::Forever,
        }
    }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    engaged::run(&Keeping { args, columns: columns(context) }, (context, &config), out)
}

struct Keeping<'a> {
    args: &'a Args,
    columns: Option<usize>,
}

impl Errand for Keeping<'_> {
    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = engine.begun().await;
        server_is_up(&snapshot)?;
        is_known(&snapshot, &self.args.model)?;
        let (name, keep) = (ModelName::new(self.args.model.as_str()), self.args.keep);
        let snapshot = listed(engine, |snapshot| snapshot.model(&name).is_some()).await;
        if snapshot.model(&name).is_none() {
            let model = installed(&snapshot, &self.args.model)?;
            bail!("{0} is not loaded\nhint: `plimsoll load {0} --keep SPAN` loads it", model.name);
        }
        let (since, mut snapshots) = (engine.last_event(), engine.link.snapshots());
        engine.accepts(Command::Keep { model: name.clone(), keep }).await?;
        let wanted = Action::Keep { model: name.clone(), keep };
        let ended =
            snapshots.wait_for(|snapshot| outcome(snapshot, &wanted, since).is_some()).await;
        let result = outcome(&*ended.context("wait for the outcome")?, &wanted, since);
        match result {
            Some(Verdict::Done | Verdict::Unconfirmed | Verdict::Already) | None => {
                self.report(&name, out)?;
                Ok(ExitCode::Done)
            }
            Some(failed) => bail!("{} is not kept: {}", clean(name.short()), why(&failed)),
        }
    }
}

impl Keeping<'_> {
    fn report(&self, name: &ModelName, out: &mut dyn Write) -> io::Result<()> {
        let keep = self.args.keep;
        if self.args.json {
            return write_json(out, &Json::of(name, keep));
        }
        let line = match keep {
            Keep::Forever => format!("{name} stays until it is unloaded"),
            keep => format!("{name} stays for {keep} after its last use"),
        };
        fact(out, ("kept", &line), self.columns)
    }
}

/// How the action that began after that event has ended, if it has.
fn outcome(snapshot: &Snapshot, wanted: &Action, since: u64) -> Option<Verdict> {
    let new = || snapshot.events.value.iter().filter(|event| event.seq > since);
    let is_it = |body: &EventBody| match body {
        EventBody::ActionStarted { id, action, .. } if action == wanted => Some(*id),
        _ => None,
    };
    let own = new().find_map(|event| is_it(&event.body))?;
    new().find_map(|event| match &event.body {
        EventBody::ActionEnded { id, outcome, .. } if *id == own => Some(outcome.result.clone()),
        _ => None,
    })
}
