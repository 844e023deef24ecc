//! `plimsoll bench`: how models load and write on this machine, one after
//! another, each unloaded again before the next.
//!
//! Loads and unloads go through the engine and its gate, as everybody's do;
//! only the prompt goes to the server from here.

mod measure;
mod report;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::assemble::{self, Source};
use crate::domain::snapshot::Place;
use crate::domain::{Activity, InstalledModel, ModelName, ModelState, Snapshot};
use crate::runtime::Runtime;

use self::measure::Bench;
use self::report::Row;
use super::Context;
use super::agree::{agreed_meanwhile, can_ask};
use super::engaged::{self, Engine, Errand};
use super::exit::{ExitCode, WrongUsage};
use super::facts::columns;
use super::fit::{installed, server_answers};
use super::fitted::Fitted;

/// Long enough that reading the prompt can be timed, short enough for a slow
/// machine: some 150 tokens.
const PROMPT: &str = "A load line is painted on the side of a ship. It shows how deep she may lie \
in the water when she is fully loaded, so that she keeps enough freeboard in a storm. Before it \
was required by law, owners sent out ships that were laden far too heavily, and many of them were \
lost with all hands. The line has several marks, because fresh water carries less than salt water, \
and winter in the North Atlantic is harder than summer in the tropics. A surveyor checks the line \
before a voyage, and a ship whose line is under water may be kept in port. Explain in plain words, \
step by step, why such a line is a good idea, who gains from it, and what could go wrong if \
nobody looked at it.";

/// A page of a book is 2 KiB; a long document is read in parts.
const LONGEST_PROMPT: u64 = 256 * 1024;

/// How often an engine of our own looks: a peak may be short.
const PACE: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each model is loaded cold: it is not loaded before, and is unloaded first if it
is, after a yes. How much of its file the system still had cached is not known.
The load goes through the gate of `plimsoll load`. What is loaded here is
unloaded again, and its memory is proved back before the next one; what was
loaded before stays gone. It ends at level critical, and by Ctrl-C; both give
the memory back.

  plimsoll bench llama3.2:3b qwen2.5:7b --yes
  plimsoll bench llama3.2:3b --ctx 16384 --prompt-file question.txt --json --yes

Exit codes: 0 all were measured, 1 one was not, 2 usage or config, 130 SIGINT,
143 SIGTERM.")]
pub struct Args {
    /// The models
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    /// Tokens of one request [default: the server's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ctx: Option<u64>,
    /// What is asked, instead of a built-in text; at most 256 KiB
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Tokens of each answer at most
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..=4096))]
    tokens: u32,
    /// Load whether it fits or not; said and recorded
    #[arg(long)]
    force: bool,
    /// Unload without asking: a named model that is loaded, others for room
    #[arg(long)]
    yes: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if context.source != Source::Live {
        return Err(
            WrongUsage("only this machine can be measured, no demo and no recording").into()
        );
    }
    let mut config = context.config()?;
    let every = config.config.interval.map_or(PACE, |every| every.min(PACE));
    config.config.interval = Some(every);
    let prompt = match &args.prompt_file {
        Some(file) => read_prompt(file)?,
        None => PROMPT.to_owned(),
    };
    let benching = Benching {
        args,
        prompt,
        runtime: assemble::runtime(&config),
        columns: columns(context),
        loaded: RefCell::default(),
    };
    engaged::run(&benching, (context, &config), out)
}

fn read_prompt(file: &Path) -> Result<String> {
    let reading = || format!("read the prompt `{}`", file.display());
    let mut text = String::new();
    let opened = crate::config::file::open(file).with_context(reading)?;
    opened.take(LONGEST_PROMPT + 1).read_to_string(&mut text).with_context(reading)?;
    if text.len() as u64 > LONGEST_PROMPT {
        bail!("the prompt `{}` is longer than {} KiB", file.display(), LONGEST_PROMPT / 1024);
    }
    if text.trim().is_empty() {
        bail!("the prompt `{}` is empty", file.display());
    }
    Ok(text)
}

struct Benching<'a> {
    args: &'a Args,
    prompt: String,
    runtime: Arc<dyn Runtime>,
    columns: Option<usize>,
    /// What is loaded for it now.
    loaded: RefCell<Option<ModelName>>,
}

impl Errand for Benching<'_> {
    const CUT: &'static str = "the bench is over";

    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = engine.knows_who_works().await;
        server_answers(&snapshot)?;
        let models = self.models(&snapshot)?;
        self.agreed_to_unload(&models, &snapshot).await?;
        // So that the client that asks knows what runs elsewhere, too.
        self.runtime.installed().await.map_err(|fault| anyhow::anyhow!(fault.detail))?;
        let mut rows = Vec::new();
        for model in &models {
            let row = self.one(model, engine).await;
            let is_over = row.aborts;
            rows.push(row);
            if is_over {
                break;
            }
        }
        match self.args.json {
            true => report::json(&rows, self.args.ctx, out)?,
            false => {
                let mut fitted = Fitted::new(out, self.columns);
                report::text(&rows, self.columns, &mut fitted)?;
            }
        }
        let all_measured = rows.len() == models.len() && rows.iter().all(|row| row.error.is_none());
        Ok(if all_measured { ExitCode::Done } else { ExitCode::Failed })
    }

    async fn tidy_up(&self, engine: Engine<'_>) -> Result<()> {
        let Some(model) = self.loaded.borrow().clone() else { return Ok(()) };
        if engine.now().model(&model).is_none() {
            return Ok(());
        }
        let said = match self.bench(&model, engine).unload().await {
            Ok(_) => format!("{model} is unloaded again"),
            Err(fault) => format!("{model} stays loaded: {fault:#}"),
        };
        Ok(writeln!(io::stderr(), "plimsoll: {said}")?)
    }
}

impl Benching<'_> {
    fn bench<'a>(&'a self, model: &'a ModelName, engine: Engine<'a>) -> Bench<'a> {
        Bench {
            engine,
            model,
            runtime: self.runtime.as_ref(),
            prompt: &self.prompt,
            args: self.args,
            loaded: &self.loaded,
        }
    }

    async fn one(&self, model: &ModelName, engine: Engine<'_>) -> Row {
        let bench = self.bench(model, engine);
        let mut row = Row::of(model);
        let measured = bench.measure(&mut row).await;
        if let Err(fault) = &measured {
            row.error = Some(format!("{fault:#}"));
        }
        if self.loaded.borrow().is_some() {
            match bench.unload().await {
                Ok(freed) => {
                    row.given_back = true;
                    row.freed = freed;
                }
                Err(fault) => {
                    // What comes next would be measured beside it.
                    row.aborts = true;
                    row.error.get_or_insert(format!("{fault:#}"));
                }
            }
        }
        row
    }

    /// The models that are meant, each once; none where one cannot be measured.
    fn models(&self, snapshot: &Snapshot) -> Result<Vec<ModelName>> {
        if snapshot.runtimes.first().is_some_and(|server| server.place == Place::Remote) {
            bail!("the model server is elsewhere: what it does there is not measured here");
        }
        let mut models = Vec::new();
        for name in &self.args.models {
            let model = installed(snapshot, name)?;
            may_be_measured(model, snapshot)?;
            if !models.contains(&model.name) {
                models.push(model.name.clone());
            }
        }
        Ok(models)
    }

    /// A model that is loaded has to go first, or its load is none.
    async fn agreed_to_unload(&self, models: &[ModelName], snapshot: &Snapshot) -> Result<()> {
        let loaded: Vec<&str> = models
            .iter()
            .filter(|model| snapshot.model(model).is_some())
            .map(|model| model.short())
            .collect();
        if loaded.is_empty() || self.args.yes {
            return Ok(());
        }
        let names = loaded.join(", ");
        if !can_ask() {
            bail!(
                "{names} is loaded, and a cold load begins without it\nhint: --yes unloads it first"
            );
        }
        let question = format!("Unload {names}, to load it cold?");
        match agreed_meanwhile(&question, &mut io::stderr()).await? {
            true => Ok(()),
            false => bail!("nothing was changed"),
        }
    }
}

fn may_be_measured(model: &InstalledModel, snapshot: &Snapshot) -> Result<()> {
    let name = &model.name;
    if model.is_cloud {
        bail!("{name} runs in the cloud: no memory is held here, and a request could cost money");
    }
    let can = &model.capabilities;
    if !can.is_empty() && !can.iter().any(|one| one == "completion") {
        bail!("{name} writes nothing: it is for {}", can.join(", "));
    }
    let Some(view) = snapshot.model(name) else { return Ok(()) };
    if view.pinned {
        bail!("{name} is loaded and pinned, and is not unloaded");
    }
    if view.activity == Activity::Busy {
        bail!("{name} is at work, and is not unloaded");
    }
    match view.state {
        ModelState::Ready => Ok(()),
        _ => bail!("{name} is {}; wait until it is ready or gone", view.state.word()),
    }
}
