//! `plimsoll load`: through the same gate as a key of the dashboard, by the
//! engine that acts on this machine or by one that lives until it is done.

mod json;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::time::timeout;

use crate::config::value::span_from_text;
use crate::domain::event::EventBody;
use crate::domain::plan::{Keep, Purpose, Verdict};
use crate::domain::{
    Action, ActionId, Fit, FitQuestion, FitVerdict, ModelName, ModelState, ModelView, Outcome,
    Plan, Snapshot,
};
use crate::engine::link::{Attention, Command, Link, Reply};

use super::Context;
use super::agree::can_ask;
use super::engaged::{self, Engine, Errand};
use super::exit::ExitCode;
use super::facts::{columns, fact, write_json};
use super::fit::{answered, installed, server_answers, text};
use super::look::{answer, answers_something_else, told_of};
use super::progress::Progress;
use super::status;
use json::LoadJson;

/// What a model's process holds is seen a sample or two after it is listed.
const MEASURING: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What does not fit is not loaded: the verdict is printed and is the exit code, 21
to 24, as of `plimsoll fit`. Where unloading other models would do, the plan is
shown and, on a terminal, asked about. Ctrl-C cuts the load off.

  plimsoll load qwen2.5:7b --keep 1h        stays for an hour after its last use
  plimsoll load qwen2.5:7b --make-room      unload others first, if that helps
  plimsoll load qwen2.5:7b --json           one JSON object, once it is loaded

Exit codes: 0 loaded, or loaded already; 21 to 24 it does not fit; 1 failed,
2 usage or config, 130 SIGINT, 143 SIGTERM.")]
pub struct Args {
    /// The model
    #[arg(value_name = "NAME")]
    model: String,
    /// Tokens of one request [default: the server's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    ctx: Option<u64>,
    /// How long it stays after its last use, as in 10m, 1h or forever
    /// [default: the server's]
    #[arg(long, value_name = "SPAN", value_parser = keep)]
    keep: Option<Keep>,
    /// Load whether it fits or not; said and recorded
    #[arg(long, conflicts_with_all = ["make_room", "yes"])]
    force: bool,
    /// Unload other models first where that makes room enough
    #[arg(long)]
    make_room: bool,
    /// The same, for a question that would be asked
    #[arg(long)]
    yes: bool,
    /// For programs: one JSON object; nothing is asked
    #[arg(long)]
    json: bool,
}

impl Args {
    /// As another command has it loaded.
    pub fn of(model: &ModelName, ctx: Option<u64>, keep: Keep) -> Args {
        let model = model.as_str().to_owned();
        Args {
            model,
            ctx,
            keep: Some(keep),
            force: false,
            make_room: false,
            yes: false,
            json: false,
        }
    }

    /// What may be done without asking.
    pub fn agreeing(self, force: bool, make_room: bool) -> Args {
        Args { force, make_room, ..self }
    }
}

/// Loads through the engine's gate; anything but done was not loaded.
pub async fn put(args: &Args, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
    Request { args, engine, link: engine.link, columns: None }.carry_out(out).await
}

pub fn keep(text: &str) -> Result<Keep, &'static str> {
    if text == "forever" {
        return Ok(Keep::Forever);
    }
    match span_from_text(text) {
        // Zero would unload it at once.
        Some(span) if span >= Duration::from_secs(1) => Ok(Keep::For(span)),
        _ => Err("accepted are a span of time from 1s to 365d, as in 10m or 1h, and forever"),
    }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    engaged::run(&Load { args, columns: columns(context) }, (context, &config), out)
}

struct Load<'a> {
    args: &'a Args,
    columns: Option<usize>,
}

impl Errand for Load<'_> {
    const CUT: &'static str = "what was begun is cut off";

    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        let Load { args, columns } = *self;
        Request { args, engine, link: engine.link, columns }.carry_out(out).await
    }
}

/// A load under way.
struct Awaited<'a> {
    name: &'a ModelName,
    /// What it was judged to take.
    fit: Option<&'a Fit>,
    /// The last event before it was asked for.
    since: u64,
}

/// A load that was asked for, and the engine that is to carry it out.
struct Request<'a> {
    args: &'a Args,
    engine: Engine<'a>,
    link: &'a dyn Link,
    columns: Option<usize>,
}

impl Request<'_> {
    async fn carry_out(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = self.engine.begun().await;
        server_answers(&snapshot)?;
        let model = installed(&snapshot, &self.args.model)?.clone();
        let snapshot = self.engine.knows_who_works().await;
        if model.is_cloud {
            bail!("{} runs elsewhere: nothing is loaded here", model.name);
        }
        let name = &model.name;
        match snapshot.model(name).map(|view| (&view.state, view)) {
            Some((ModelState::Ready, view)) => return self.already(view, &snapshot, out).await,
            Some((ModelState::Loading { .. }, _)) => {
                let since = before_its_start(&snapshot, name);
                let awaited = Awaited { name, fit: None, since };
                return self.follow(awaited, out).await;
            }
            _ => {}
        }
        let question = FitQuestion { context: self.args.ctx, ..FitQuestion::plain(name.clone()) };
        let attention = Attention { dial: Some(question.clone()), ..Attention::default() };
        told_of(self.link, attention).await?;
        let fit = answered(answer(self.link, Command::Fit { question }).await?);
        // Where nobody can say whether it fits, nothing speaks against it.
        let fit = fit.ok();
        if let Some(more) = fit.as_ref().and_then(|fit| text::beyond(fit, self.args.ctx)) {
            writeln!(io::stderr(), "plimsoll: note: {name}: {more}")?;
        }
        if let Some(fit) = fit.as_ref().filter(|_| self.args.force) {
            warn(fit)?;
        }
        self.ask_for_it(name, fit.as_ref(), out).await
    }

    async fn ask_for_it(
        &self,
        name: &ModelName,
        fit: Option<&Fit>,
        out: &mut dyn Write,
    ) -> Result<ExitCode> {
        let awaited = Awaited { name, fit, since: self.engine.last_event() };
        let command = Command::Load {
            model: name.clone(),
            keep: self.args.keep.unwrap_or(Keep::Default),
            context: self.args.ctx,
            force: self.args.force,
        };
        match answer(self.link, command).await? {
            Reply::Accepted => self.follow(awaited, out).await,
            Reply::DoesNotFit { fit, plan } => self.make_room(&fit, plan, out).await,
            Reply::Refused { reason } => Err(anyhow!("refused: {reason}")),
            _ => Err(answers_something_else()),
        }
    }

    /// It does not fit: why, and what would make room.
    async fn make_room(
        &self,
        fit: &Fit,
        plan: Option<Plan>,
        out: &mut dyn Write,
    ) -> Result<ExitCode> {
        let json = self.args.json;
        if !json {
            self.show((fit, plan.as_ref()), out)?;
        }
        let refused = Ok(ExitCode::from(fit.verdict));
        let is_meant = self.args.make_room || self.args.yes;
        let plan = match plan {
            Some(plan) if is_meant || (!json && can_ask()) => plan,
            plan => {
                if json {
                    write_json(out, &LoadJson::does_not_fit(fit, plan.as_ref()))?;
                }
                hint(fit)?;
                return refused;
            }
        };
        if !is_meant && !self.engine.agrees("Unload and load?", out).await? {
            return refused;
        }
        let awaited = Awaited { name: &fit.model, fit: Some(fit), since: self.engine.last_event() };
        match answer(self.link, Command::CarryOut { plan }).await? {
            Reply::Accepted => self.follow(awaited, out).await,
            Reply::Refused { reason } => Err(anyhow!("refused: {reason}")),
            _ => Err(answers_something_else()),
        }
    }

    fn show(&self, (fit, plan): (&Fit, Option<&Plan>), out: &mut dyn Write) -> io::Result<()> {
        let asked = FitQuestion { context: self.args.ctx, ..FitQuestion::plain(fit.model.clone()) };
        text::whole(fit, (&asked, self.columns), out)?;
        for step in plan.iter().flat_map(|plan| &plan.steps) {
            let line = format!("{} {}: {}", step.action.verb(), step.action.subject(), step.reason);
            fact(out, ("plan", &line), self.columns)?;
        }
        Ok(())
    }

    async fn already(
        &self,
        view: &ModelView,
        snapshot: &Snapshot,
        out: &mut dyn Write,
    ) -> Result<ExitCode> {
        let name = &view.name;
        if let (Some(wanted), Some(has)) = (self.args.ctx, view.context)
            && wanted != has
        {
            bail!("{name} is loaded with context {has}, not {wanted}\nhint: unload it first");
        }
        if let Some(keep) = self.args.keep {
            let command = Command::Keep { model: name.clone(), keep };
            if let Reply::Refused { reason } = answer(self.link, command).await? {
                bail!("{name} is loaded already; it is not kept {keep}: {reason}");
            }
        }
        if self.args.json {
            write_json(out, &LoadJson::already(name, snapshot))?;
            return Ok(ExitCode::Done);
        }
        let holds = status::text::model(view, snapshot);
        let kept = self.args.keep.map(|keep| format!("; is kept {keep}")).unwrap_or_default();
        let line = format!("{name} is loaded already: {holds}{kept}");
        fact(out, ("loaded", &line), self.columns)?;
        Ok(ExitCode::Done)
    }

    /// Waits until it is loaded, or cannot be.
    async fn follow(&self, awaited: Awaited<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        let Awaited { name, fit, since } = awaited;
        let (mut snapshots, mut progress) = (self.link.snapshots(), Progress::new());
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            match how_it_stands(&snapshot, name, since)? {
                Standing::Loaded => break,
                Standing::UnderWay => {}
            }
            progress.tell(|| line(&snapshot, name, fit));
            snapshots.changed().await.context("wait for the load")?;
        }
        // What was measured before it was through is a part of it.
        let taken = |snapshot: &Snapshot| snapshot.sample.as_ref().map(|sample| sample.at.mono);
        let while_loading = taken(&snapshots.borrow());
        let is_measured = |snapshot: &Arc<Snapshot>| {
            let view = snapshot.model(name).filter(|view| view.state == ModelState::Ready);
            taken(snapshot) > while_loading && view.is_some_and(|view| view.measured.is_some())
        };
        drop(timeout(MEASURING, snapshots.wait_for(is_measured)).await);
        drop(progress);
        let snapshot = Arc::clone(&snapshots.borrow());
        if self.args.json {
            write_json(out, &LoadJson::loaded(name, &snapshot, fit))?;
            return Ok(ExitCode::Done);
        }
        let holds = snapshot.model(name).map(|view| status::text::model(view, &snapshot));
        let holds = holds.unwrap_or_else(|| "it has left again".to_owned());
        fact(out, ("loaded", &format!("{name}: {holds}")), self.columns)?;
        Ok(ExitCode::Done)
    }
}

fn warn(fit: &Fit) -> io::Result<()> {
    if fit.verdict == FitVerdict::Fits {
        return Ok(());
    }
    let (name, lacks) = (&fit.model, fit.lacks());
    writeln!(io::stderr(), "plimsoll: warning: {name} lacks {lacks} and is loaded all the same")
}

/// What to type next.
fn hint(fit: &Fit) -> io::Result<()> {
    let smaller = fit.smaller.filter(|smaller| smaller.kv_type == fit.settings.kv_type);
    let name = fit.model.short();
    match (fit.verdict, smaller) {
        (FitVerdict::FitsAfterUnload, _) => {
            writeln!(io::stderr(), "hint: plimsoll load {name} --make-room")
        }
        (FitVerdict::FitsSmaller, Some(smaller)) => {
            writeln!(io::stderr(), "hint: plimsoll load {name} --ctx {}", smaller.context)
        }
        _ => Ok(()),
    }
}

enum Standing {
    Loaded,
    UnderWay,
}

/// What came of it since that event; an error where it has failed.
fn how_it_stands(snapshot: &Snapshot, name: &ModelName, since: u64) -> Result<Standing> {
    let new = || snapshot.events.value.iter().filter(|event| event.seq > since);
    let started: Vec<ActionId> = new().filter_map(|event| started(&event.body)).collect();
    let ended = |body: &EventBody| match body {
        // What an earlier run has left open is closed by this one, and no
        // answer to what it asked.
        EventBody::ActionEnded { id, outcome, .. } if started.contains(id) => {
            Some(Outcome::clone(outcome))
        }
        _ => None,
    };
    let ended: Vec<Outcome> = new().filter_map(|event| ended(&event.body)).collect();
    let is_it =
        |outcome: &&Outcome| matches!(&outcome.action, Action::Load { model, .. } if model == name);
    let is_ready = snapshot.model(name).is_some_and(|view| view.state == ModelState::Ready);
    match ended.iter().find(is_it).map(|outcome| &outcome.result) {
        Some(Verdict::Done | Verdict::Unconfirmed | Verdict::Already) => {
            return Ok(Standing::Loaded);
        }
        Some(Verdict::Failed { detail }) => bail!("{name} was not loaded: {detail}"),
        Some(Verdict::Stuck | Verdict::StillGenerating) => bail!("{name} was not loaded in time"),
        None => {}
    }
    if is_ready && !snapshot.loads_in_flight.contains(name) {
        return Ok(Standing::Loaded);
    }
    // A step before it that did not come off ends the plan.
    let plan = snapshot.plan.as_ref().filter(|plan| plan.plan.purpose == Purpose::MakeRoom);
    if plan.is_some_and(|plan| plan.ended.is_some()) {
        let last = ended.last().map(|outcome| {
            let (verb, subject) = (outcome.action.verb(), outcome.action.subject());
            format!(": {verb} {subject}: {}", reason(&outcome.result))
        });
        bail!("{name} was not loaded, room was not made{}", last.unwrap_or_default());
    }
    Ok(Standing::UnderWay)
}

const fn started(body: &EventBody) -> Option<ActionId> {
    match body {
        EventBody::ActionStarted { id, .. } => Some(*id),
        _ => None,
    }
}

/// The event before a load that is under way; the last one where somebody else
/// loads it.
fn before_its_start(snapshot: &Snapshot, name: &ModelName) -> u64 {
    let events = &snapshot.events.value;
    let is_its_start = |body: &EventBody| matches!(body, EventBody::ActionStarted { action: Action::Load { model, .. }, .. } if model == name);
    let is_ours = snapshot.loads_in_flight.contains(name);
    let start = events.iter().rev().find(|event| is_ours && is_its_start(&event.body));
    let last = events.back().map_or(0, |event| event.seq);
    start.map_or(last, |event| event.seq.saturating_sub(1))
}

fn reason(result: &Verdict) -> &str {
    match result {
        Verdict::Failed { detail } => detail,
        Verdict::Stuck => "it is stuck",
        Verdict::StillGenerating => "it is still generating",
        Verdict::Unconfirmed => "unconfirmed",
        Verdict::Done | Verdict::Already => "done",
    }
}

/// How far it is, in a line.
fn line(snapshot: &Snapshot, name: &ModelName, fit: Option<&Fit>) -> String {
    let view = snapshot.model(name);
    let of = fit.map(|fit| format!(" of {}", fit.need.bytes())).unwrap_or_default();
    match view.map(|view| (&view.state, view.measured)) {
        Some((ModelState::Loading { .. }, Some((bytes, _)))) => {
            format!("loading {name}: {bytes}{of}")
        }
        Some(_) => format!("loading {name}"),
        None => format!("making room for {name}"),
    }
}
