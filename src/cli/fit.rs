//! `plimsoll fit`: whether a model can be loaded now, with the arithmetic. The
//! exit code is the verdict. It changes nothing.

pub mod json;
pub mod text;

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};

use crate::domain::shape::KvType;
use crate::domain::snapshot::{RuntimeState, RuntimeView, Snapshot};
use crate::domain::{Fit, FitQuestion, FitVerdict, Fits, InstalledModel, ModelName};
use crate::engine::link::{Attention, Command, Reply};

use super::Context;
use super::exit::ExitCode;
use super::facts::{columns, write_json};
use super::look::{Glance, Looking, answers_something_else};
use super::names::{self, one_of};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 20 fits now, 21 after unloading other models, 22 with less context
or another cache type, 23 if other programs give memory back, 24 never; 1 no
such model or no verdict, 2 usage or config. Without NAME: 0.

  plimsoll fit                               all installed models, best first
  plimsoll fit qwen2.5:7b --ctx 16384        one, with that context
  plimsoll fit qwen2.5:7b --or qwen2.5:3b    the first of them that fits
  plimsoll fit qwen2.5:7b --max-ctx          the largest context that fits")]
pub struct Args {
    /// The model; all installed ones if there is none
    #[arg(value_name = "NAME")]
    model: Option<String>,
    /// Tokens of one request [default: as the server would load it]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ctx: Option<u64>,
    /// Type of the cache [default: the server's]
    #[arg(long, value_name = "TYPE", value_parser = one_of(&KvType::ALL, KvType::word))]
    kv: Option<KvType>,
    /// Requests at once [default: the server's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    parallel: Option<u32>,
    /// Another one, if those before it do not fit; may be repeated
    #[arg(long = "or", value_name = "NAME", requires = "model")]
    others: Vec<String>,
    /// Print the largest context that fits, as a number
    #[arg(long, requires = "model", conflicts_with_all = ["ctx", "others"])]
    max_ctx: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    fn question(&self, model: ModelName) -> FitQuestion {
        FitQuestion { model, context: self.ctx, kv_type: self.kv, parallel: self.parallel }
    }

    /// Those that were named, in their order.
    fn names(&self) -> Vec<&str> {
        self.model.iter().chain(&self.others).map(String::as_str).collect()
    }

    /// What is to be known for an answer.
    fn attention(&self) -> Attention {
        let model = self.model.as_ref().map(|name| self.question(ModelName::new(name.as_str())));
        Attention { fits: model.is_none(), dial: model, ..Attention::default() }
    }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let glance = Glance { attention: args.attention(), ..Glance::default() };
    let mut looking = Looking::begin(context, &config, &runtime, glance)?;
    looking.attend(args.attention())?;
    server_answers(&looking.snapshot)?;
    let result = match &args.model {
        Some(_) => one(args, &mut looking, context, out),
        None => all(args, &mut looking, context, out),
    };
    drop(looking);
    runtime.shutdown_background();
    out.flush()?;
    result
}

/// An error with the way out where nobody can tell what is installed.
pub fn server_answers(snapshot: &Snapshot) -> Result<()> {
    let server = server_is_up(snapshot)?;
    if snapshot.installed.value.is_empty() {
        bail!("no model is installed at {}\nhint: `ollama pull NAME` fetches one", server.url);
    }
    Ok(())
}

/// The server, or an error with the way out where it tells nothing.
pub fn server_is_up(snapshot: &Snapshot) -> Result<&RuntimeView> {
    let Some(server) = snapshot.runtimes.first() else { bail!("there is no model server") };
    match &server.state {
        RuntimeState::Down { fault } => bail!(
            "{} at {} does not answer: {}\nhint: --ollama names another address",
            server.kind,
            server.url,
            fault.detail
        ),
        RuntimeState::Unknown => bail!("{} at {} has not answered", server.kind, server.url),
        RuntimeState::Up | RuntimeState::Slow => Ok(server),
    }
}

/// The installed model that is called so, or the one that was meant.
pub fn installed<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a InstalledModel> {
    let wanted = ModelName::new(name);
    let models = &snapshot.installed.value;
    if let Some(model) = models.iter().find(|model| model.name == wanted) {
        return Ok(model);
    }
    let known = models.iter().map(|model| model.name.short());
    bail!(
        "{}",
        names::unknown(wanted.short(), "not installed", known, "`plimsoll fit` lists what is")
    )
}

fn one(
    args: &Args,
    looking: &mut Looking<'_>,
    context: &Context,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let names = args.names();
    let judged = judge_in_order(args, &names, looking)?;
    let best = judged.iter().find(|fit| fit.verdict == FitVerdict::Fits);
    // Of equal ones the first that was named.
    let best = best.or_else(|| judged.iter().min_by_key(|fit| fit.verdict));
    let Some(fit) = best else { bail!("none of them can be judged") };
    let asked = args.question(fit.model.clone());
    match (args.json, args.max_ctx) {
        (true, _) => write_json(out, &json::FitJson::of(fit))?,
        (false, true) => max_context(fit, out)?,
        (false, false) => {
            if names.len() > 1 {
                text::judged(&judged, columns(context), out)?;
            }
            text::whole(fit, (&asked, columns(context)), out)?;
        }
    }
    let largest = fit.max_context.map_or(ExitCode::NeverFits, |_| ExitCode::Fits);
    Ok(if args.max_ctx { largest } else { ExitCode::from(fit.verdict) })
}

/// Verdicts until the first that fits. A name that is unknown among several is
/// said, and the others count.
fn judge_in_order(args: &Args, names: &[&str], looking: &mut Looking<'_>) -> Result<Vec<Fit>> {
    let mut judged: Vec<Fit> = Vec::new();
    let mut last_error = None;
    for name in names {
        let snapshot = Arc::clone(&looking.snapshot);
        let model = installed(&snapshot, name);
        let fit = model.and_then(|model| judge(looking, args.question(model.name.clone())));
        match fit {
            Ok(fit) => {
                let fits = fit.verdict == FitVerdict::Fits;
                judged.push(fit);
                if fits {
                    break;
                }
            }
            Err(error) => {
                if names.len() > 1 {
                    writeln!(io::stderr(), "plimsoll: note: {error:#}")?;
                }
                last_error = Some(error);
            }
        }
    }
    match last_error.filter(|_| judged.is_empty()) {
        Some(error) => Err(error),
        None => Ok(judged),
    }
}

/// The verdict on one question, from all the server tells of the model.
pub fn judge(looking: &mut Looking<'_>, question: FitQuestion) -> Result<Fit> {
    let attention = Attention { dial: Some(question.clone()), ..Attention::default() };
    looking.attend(attention)?;
    answered(looking.ask(Command::Fit { question })?)
}

/// The verdict in a reply, or why there is none.
pub fn answered(reply: Reply) -> Result<Fit> {
    match reply {
        Reply::Fit { fit } => Ok(*fit),
        Reply::Refused { reason } => Err(anyhow!("no verdict: {reason}")),
        _ => Err(answers_something_else()),
    }
}

/// The number alone, for who puts it into another command.
fn max_context(fit: &Fit, out: &mut dyn Write) -> io::Result<()> {
    match fit.max_context {
        Some(context) => writeln!(out, "{context}"),
        None => writeln!(
            io::stderr(),
            "plimsoll: {} fits with no context now: it lacks {}",
            fit.model,
            fit.lacks()
        ),
    }
}

fn all(
    args: &Args,
    looking: &mut Looking<'_>,
    context: &Context,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let Fits { all: mut ranked, unknown } = judge_all(looking, |model| args.question(model))?;
    rank(&mut ranked);
    if args.json {
        write_json(out, &json::RankedJson::of(&ranked, &unknown))?;
    } else {
        text::ranked(&ranked, &unknown, columns(context), out)?;
    }
    Ok(ExitCode::Done)
}

/// The verdicts on all installed models, by what is asked of each.
pub fn judge_all(
    looking: &mut Looking<'_>,
    question: impl Fn(ModelName) -> FitQuestion,
) -> Result<Fits> {
    let snapshot = Arc::clone(&looking.snapshot);
    let mut fits = Fits::default();
    for model in snapshot.installed.value.iter().filter(|model| !model.is_cloud) {
        match looking.ask(Command::Fit { question: question(model.name.clone()) })? {
            Reply::Refused { reason } => fits.unknown.push((model.name.clone(), reason)),
            reply => fits.all.push(answered(reply)?),
        }
    }
    Ok(fits)
}

/// The best verdict first, and within it the largest.
fn rank(fits: &mut [Fit]) {
    fits.sort_by(|a, b| {
        let larger = || b.need.bytes().cmp(&a.need.bytes());
        a.verdict.cmp(&b.verdict).then_with(larger).then_with(|| a.model.cmp(&b.model))
    });
}
