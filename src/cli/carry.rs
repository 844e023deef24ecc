//! A plan on its way: shown first, agreed to, carried out by an engine, and
//! followed until the outcome of each step is known.

pub(super) mod json;
mod text;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::time::{Instant, timeout_at};

use crate::domain::event::EventBody;
use crate::domain::plan::{RunningPlan, Verdict};
use crate::domain::time::Exactly;
use crate::domain::{Bytes, ModelName, ModelState, Moment, Outcome, Plan, Snapshot};
use crate::engine::link::{Command, PlanRequest, Reply};

use super::agree::can_ask;
use super::engaged::Engine;
use super::exit::{ExitCode, WrongUsage};
use super::facts::{fact, write_json};
use super::look::{answer, answers_something_else};
use super::progress::Progress;
use super::when::some_span;
use json::CarriedJson;

pub use text::why;

/// Longer than any wait; a moment further away may not exist.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How a plan is put to a person, and how long its outcome is waited for.
#[derive(Debug, clap::Args)]
pub struct Terms {
    /// Wait no longer than this, as in 30s or 5m; within it also for a model
    /// that is still generating [default: until it is known]
    #[arg(long, value_name = "SPAN", value_parser = some_span)]
    wait: Option<Duration>,
    /// Show the plan and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Carry it out without asking
    #[arg(long)]
    yes: bool,
    /// For programs: one JSON object, plan and outcome
    #[arg(long)]
    json: bool,
}

impl Terms {
    /// Of a command that has asked already.
    pub fn agreed(wait: Duration) -> Terms {
        Terms { wait: Some(wait), dry_run: false, yes: true, json: false }
    }

    pub const fn is_for_programs(&self) -> bool {
        self.json
    }

    pub const fn is_only_shown(&self) -> bool {
        self.dry_run
    }

    /// Outcomes are waited for so long, and no longer.
    pub const fn has_limit(&self) -> bool {
        self.wait.is_some()
    }

    pub fn until(&self) -> Instant {
        Instant::now() + self.wait.unwrap_or(NEVER).min(NEVER)
    }

    /// `within 30 s`
    pub fn within(&self) -> String {
        format!("within {}", Exactly(self.wait.unwrap_or_default()))
    }
}

/// A plan as an engine drafts it. Nothing is done.
pub async fn drafted(engine: Engine<'_>, request: PlanRequest) -> Result<Plan> {
    match answer(engine.link, Command::Propose { request }).await? {
        Reply::Plan { plan } => Ok(plan),
        Reply::Refused { reason } => Err(anyhow!("refused: {reason}")),
        _ => Err(answers_something_else()),
    }
}

/// How a plan was carried out.
#[derive(Debug, Default)]
pub struct Carried {
    /// One for each step that ended, in order.
    pub outcomes: Vec<Outcome>,
    /// Why not all of it is known, if it is not.
    pub cut_short: Option<String>,
}

impl Carried {
    /// Bytes that came back, as far as that was measured.
    pub fn freed(&self) -> Bytes {
        self.outcomes.iter().filter_map(|outcome| outcome.freed).sum()
    }

    /// All that was begun came true.
    pub fn is_done(&self) -> bool {
        let has_come_true = |result: &Verdict| {
            matches!(result, Verdict::Done | Verdict::Unconfirmed | Verdict::Already)
        };
        self.cut_short.is_none()
            && self.outcomes.iter().all(|outcome| has_come_true(&outcome.result))
    }

    /// What could not be measured is taken as it was expected.
    fn gives(&self, target: Bytes) -> bool {
        let unmeasured = |outcome: &&Outcome| {
            outcome.freed.is_none()
                && matches!(outcome.result, Verdict::Unconfirmed | Verdict::Already)
        };
        let taken = self.outcomes.iter().filter(unmeasured);
        let taken: Bytes = taken.filter_map(|outcome| outcome.expected).sum();
        self.freed() + taken >= target
    }
}

/// A command that carries a plan out.
pub struct Carrying<'a> {
    pub engine: Engine<'a>,
    pub terms: &'a Terms,
    pub columns: Option<usize>,
    /// So many bytes were asked for: less is not enough.
    pub is_number_meant: bool,
}

impl Carrying<'_> {
    /// Shows the plan, and once it is agreed to has it carried out.
    pub async fn put(&self, plan: &Plan, out: &mut dyn Write) -> Result<ExitCode> {
        if !self.terms.json {
            text::plan(plan, self.columns, out)?;
            out.flush()?;
        }
        if plan.steps.is_empty() || self.terms.dry_run {
            let is_enough = self.terms.dry_run || !self.falls_short(plan);
            match self.terms.json && !self.terms.dry_run {
                true => write_json(out, &CarriedJson::of(plan, &Carried::default(), is_enough))?,
                false => self.only_shown(plan, out)?,
            }
            return Ok(if is_enough { ExitCode::Done } else { ExitCode::Failed });
        }
        if !self.terms.yes {
            if self.terms.json || !can_ask() {
                self.only_shown(plan, out)?;
                return Err(WrongUsage(
                    "there is nobody to ask, nothing was changed\nhint: --yes does it without asking, --dry-run only shows",
                )
                .into());
            }
            if !self.engine.agrees("Carry it out?", out).await? {
                writeln!(out, "Nothing was changed.")?;
                return Ok(ExitCode::Failed);
            }
        }
        let carried = self.carry_out(plan).await?;
        self.report(plan, &carried, out)
    }

    fn falls_short(&self, plan: &Plan) -> bool {
        self.is_number_meant && plan.shortfall().is_some()
    }

    fn only_shown(&self, plan: &Plan, out: &mut dyn Write) -> Result<()> {
        if self.terms.json {
            write_json(out, &CarriedJson::planned(plan))?;
        }
        Ok(())
    }

    fn report(&self, plan: &Plan, carried: &Carried, out: &mut dyn Write) -> Result<ExitCode> {
        let has_enough =
            !self.is_number_meant || plan.target.is_none_or(|target| carried.gives(target));
        let is_done = carried.is_done() && has_enough;
        if self.terms.json {
            write_json(out, &CarriedJson::of(plan, carried, is_done))?;
        } else {
            text::outcomes(plan, carried, (self.columns, out))?;
        }
        if is_done {
            return Ok(ExitCode::Done);
        }
        let words = match &carried.cut_short {
            Some(why) => why.clone(),
            None => text::not_done(plan, carried),
        };
        if std::io::stdout().is_terminal() && !self.terms.json {
            fact(out, ("not done", &words), self.columns)?;
        } else {
            writeln!(std::io::stderr(), "plimsoll: {words}")?;
        }
        Ok(ExitCode::Failed)
    }

    /// Without a word: what was agreed to.
    pub async fn carry_out(&self, plan: &Plan) -> Result<Carried> {
        let since = self.engine.last_event();
        let before = self.engine.now().plan.as_ref().map(|running| running.started);
        let until = self.terms.until();
        self.engine.accepts(Command::CarryOut { plan: plan.clone() }).await?;
        let mut seen = None;
        let followed = timeout_at(until, self.follow((plan, before), &mut seen)).await;
        let outcomes = seen.map(|running| running.outcomes.clone()).unwrap_or_default();
        let mut carried = Carried { outcomes, cut_short: None };
        match followed {
            Ok(ended) => ended?,
            Err(_) => carried.cut_short = Some(self.out_of_time(plan, carried.outcomes.len())),
        }
        if self.terms.wait.is_some() {
            self.wait_for_the_busy(&mut carried, since, until).await;
        }
        Ok(carried)
    }

    fn out_of_time(&self, plan: &Plan, ended: usize) -> String {
        let step = plan.steps.get(ended).map(|step| &step.action);
        let under_way = step.map(|action| format!("{} {}", action.verb(), action.subject()));
        let rest = match self.engine.is_own {
            true => "what was asked of the model server stands, nothing more is begun",
            false => "it goes on in the plimsoll that acts on this machine",
        };
        let under_way = under_way.unwrap_or_else(|| "the plan".to_owned());
        format!("not done {}: {under_way} is under way; {rest}", self.terms.within())
    }

    /// Until the engine has ended the plan. The last that was seen of it stays.
    async fn follow(
        &self,
        (plan, before): (&Plan, Option<Moment>),
        seen: &mut Option<Arc<RunningPlan>>,
    ) -> Result<()> {
        let (mut snapshots, mut progress) = (self.engine.link.snapshots(), Progress::new());
        loop {
            let running = snapshots.borrow_and_update().plan.clone();
            let known = seen.as_ref().map(|running| running.started);
            let is_ours = |running: &Arc<RunningPlan>| match known {
                Some(started) => running.started == started,
                None => Some(running.started) != before && is_same(&running.plan, plan),
            };
            match running.filter(is_ours) {
                Some(running) => {
                    progress.tell(|| text::progress(&running));
                    let has_ended = running.ended.is_some();
                    *seen = Some(running);
                    if has_ended {
                        return Ok(());
                    }
                }
                None if seen.is_some() => {
                    bail!("another plan has begun; how this one ended was not seen")
                }
                None => {}
            }
            snapshots.changed().await.context("wait for the outcome")?;
        }
    }

    /// A model that still generates goes when it is done.
    async fn wait_for_the_busy(&self, carried: &mut Carried, since: u64, until: Instant) {
        let mut snapshots = self.engine.link.snapshots();
        for outcome in &mut carried.outcomes {
            let Some(model) = outcome.action.model().cloned() else { continue };
            if outcome.result != Verdict::StillGenerating {
                continue;
            }
            let is_gone = |snapshot: &Arc<Snapshot>| has_left(snapshot, &model);
            if let Ok(Ok(snapshot)) = timeout_at(until, snapshots.wait_for(is_gone)).await {
                outcome.result = Verdict::Done;
                outcome.freed = freed_later(&snapshot, &model, since);
            }
        }
    }
}

/// Reasons may come back cleaned: what is done is what counts.
fn is_same(one: &Plan, other: &Plan) -> bool {
    let actions =
        |plan: &Plan| plan.steps.iter().map(|step| step.action.clone()).collect::<Vec<_>>();
    one.purpose == other.purpose && actions(one) == actions(other)
}

fn has_left(snapshot: &Snapshot, model: &ModelName) -> bool {
    let view = snapshot.model(model);
    view.is_none_or(|view| matches!(view.state, ModelState::Gone { .. }))
}

fn freed_later(snapshot: &Snapshot, name: &ModelName, since: u64) -> Option<Bytes> {
    let new = snapshot.events.value.iter().rev().take_while(|event| event.seq > since);
    let freed = |body: &EventBody| match body {
        EventBody::ModelGone { model, freed, .. } if ModelName::new(model.as_str()) == *name => {
            *freed
        }
        _ => None,
    };
    new.filter_map(|event| freed(&event.body)).next()
}
