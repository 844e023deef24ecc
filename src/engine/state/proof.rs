//! Whether an action has come true: by what is seen later, not by a reply.
//! And the plan that goes on from one proved step to the next.

use std::time::Duration;

use crate::domain::event::{EventBody, Origin};
use crate::domain::model::ModelState;
use crate::domain::plan::{Purpose, RunningPlan, Verdict};
use crate::domain::{
    Action, ActionId, Activity, Bytes, Component, Deed, Level, ModelName, Monotonic, Outcome,
    Percent, Plan, Strength, Target,
};
use crate::policy::plan::{self, Reach};

use super::super::input::Answered;
use super::State;
use super::actions::{PlanRun, Stage};
use super::fits::{Gate, Upto};
use super::models::{STUCK_AFTER, Sight};

/// Lists after a keep of ours that may still show the expiry from before it:
/// one may have been under way.
const OWN_LISTS: u8 = 2;

/// How long an ended plan stays on screen.
const PLAN_SHOWN: Duration = Duration::from_secs(60);

/// The kernel frees a large runner's pages over some 100 ms after it left the
/// lists (recorded: up to 300 ms), so the gain is read a moment later.
const SETTLE: Duration = Duration::from_millis(300);

/// A server that has not been seen so long after the start will not tell soon
/// what became of earlier actions.
const UNSEEN_AFTER: Duration = Duration::from_secs(30);

/// A runner that was ended and still lives after so long did not obey.
const END_PATIENCE: Duration = Duration::from_secs(10);

impl State {
    /// The server's answer, or that of the part that ends processes.
    pub(super) fn take_performed(&mut self, id: ActionId, result: Result<Answered, String>) {
        let Some(flight) = self.actions.in_flight.get_mut(&id) else { return };
        if flight.stage == Stage::Sent {
            flight.stage = Stage::Answered;
        }
        let action = flight.action.clone();
        if let Ok(output) = &result {
            flight.output.clone_from(output);
        }
        if let Action::Keep { model, .. } = &action
            && let Some(tracked) = self.models.get_mut(model)
        {
            tracked.own_lists = tracked.own_lists.min(OWN_LISTS);
        }
        match (result, action) {
            (Err(detail), action) => {
                if let Action::Unload { model } = &action
                    && let Some(tracked) = self.models.get_mut(model)
                {
                    tracked.stays();
                    if let ModelState::Unloading { .. } = tracked.state {
                        tracked.state = ModelState::Ready;
                    }
                }
                self.finish(id, Verdict::Failed { detail }, None);
            }
            (Ok(_), Action::Load { .. } | Action::Keep { .. } | Action::Run { .. }) => {
                self.finish(id, Verdict::Done, None);
            }
            (Ok(_), Action::Component { deed, .. }) if !deed.frees() => {
                self.finish(id, Verdict::Done, None);
            }
            (
                Ok(_),
                Action::Unload { .. } | Action::EndRunner { .. } | Action::Component { .. },
            ) => {}
        }
        self.poll_loaded_now();
    }

    /// Looks, on each sample, which actions have come true.
    pub(super) fn settle_actions(&mut self) {
        let ids: Vec<ActionId> = self.actions.in_flight.keys().copied().collect();
        for id in ids {
            self.settle(id);
        }
        self.go_on_with_plan();
    }

    fn settle(&mut self, id: ActionId) {
        let now = self.now;
        let Some(flight) = self.actions.in_flight.get_mut(&id) else { return };
        let waited = now.since(flight.asked);
        match (&flight.action.clone(), flight.stage) {
            (Action::Unload { .. }, Stage::Departed { at, was_seen, held }) => {
                let since = at.unwrap_or(now.mono);
                flight.stage = Stage::Departed { at: Some(since), was_seen, held };
                if was_seen {
                    self.settle_departed(id, since, held);
                } else {
                    self.finish(id, Verdict::Unconfirmed, None);
                }
            }
            (Action::Unload { model }, Stage::Answered) => {
                if let Some(verdict) = self.judge_unload(model, waited) {
                    self.finish(id, verdict, None);
                }
            }
            (Action::EndRunner { process, .. }, Stage::Answered) => {
                let held = flight.expected;
                match self.sight_of(Some(*process)) {
                    Sight::Ended => {
                        let freed = held.or_else(|| self.gained(id));
                        self.finish(id, Verdict::Done, freed);
                    }
                    Sight::Alive if waited >= END_PATIENCE => {
                        let detail = "the process is still there".to_owned();
                        self.finish(id, Verdict::Failed { detail }, None);
                    }
                    Sight::Unseen if waited >= END_PATIENCE => {
                        self.finish(id, Verdict::Unconfirmed, None);
                    }
                    Sight::Alive | Sight::Unseen => {}
                }
            }
            (Action::Component { target, .. }, Stage::Answered) => self.settle_deed(id, target),
            _ => {}
        }
    }

    /// A deed that frees: an ended process is gone from the samples; of what
    /// else was done the machine's gain is read a moment later.
    fn settle_deed(&mut self, id: ActionId, target: &Target) {
        let Some(flight) = self.actions.in_flight.get(&id) else { return };
        let (waited, expected) = (self.now.since(flight.asked), flight.expected);
        let lives = match target {
            Target::Process { key } => {
                self.readings.processes().is_some_and(|processes| processes.find(*key).is_some())
            }
            _ => false,
        };
        if lives && waited < END_PATIENCE {
            return;
        }
        let is_process = matches!(target, Target::Process { .. });
        let freed = if is_process { expected.or_else(|| self.gained(id)) } else { self.gained(id) };
        match lives {
            true => {
                let detail = "the process is still there".to_owned();
                self.finish(id, Verdict::Failed { detail }, None);
            }
            false if waited >= SETTLE => self.finish(id, Verdict::Done, freed),
            false => {}
        }
    }

    /// What is to be said of a model that was asked to unload and is still
    /// there; `None`: not yet.
    fn judge_unload(&mut self, model: &ModelName, waited: Duration) -> Option<Verdict> {
        let now = self.now;
        let is_late = waited >= STUCK_AFTER;
        let is_seen = self.runner_lives(self.models.get(model)?.runner);
        let tracked = self.models.get_mut(model)?;
        match tracked.state {
            ModelState::Stuck { .. } => Some(Verdict::Stuck),
            ModelState::Gone { .. } if is_late => {
                let detail = "its runner is gone, and the server still lists it".to_owned();
                Some(Verdict::Failed { detail })
            }
            ModelState::Unloading { still_generating: true, .. } if is_late => {
                Some(Verdict::StillGenerating)
            }
            ModelState::Unloading { .. } if is_late && !is_seen => {
                tracked.state = ModelState::Unconfirmed { since: now };
                Some(Verdict::Unconfirmed)
            }
            ModelState::Ready => {
                let detail = "it was used again meanwhile, and stays".to_owned();
                Some(Verdict::Failed { detail })
            }
            // It may have been generating until a moment ago.
            _ => None,
        }
    }

    /// Gone from the lists. Its pages are waited for until they are back, or
    /// until more waiting would not tell more.
    fn settle_departed(&mut self, id: ActionId, since: Monotonic, held: Option<Bytes>) {
        let gained = self.gained(id);
        let is_back = match (gained, held) {
            (Some(gained), Some(held)) => gained >= held.at(Percent::new(90.0)),
            _ => true,
        };
        if is_back || self.now.mono.since(since) >= SETTLE {
            // What its own process held: what the machine has more or less of
            // meanwhile may be anybody's doing.
            self.finish(id, Verdict::Done, held);
        }
    }

    /// What the machine got: available now less available when it was asked.
    fn gained(&self, id: ActionId) -> Option<Bytes> {
        let before = self.actions.in_flight.get(&id)?.available_before?;
        Some(self.readings.available()?.saturating_sub(before))
    }

    /// Begins a plan that a person agreed to or a rule wants.
    pub(super) fn begin_plan(&mut self, plan: Plan, by: Origin) {
        let running = RunningPlan { plan, started: self.now, outcomes: Vec::new(), ended: None };
        self.actions.plan = Some(PlanRun { running, by, current: None });
        self.go_on_with_plan();
    }

    /// The next step of the plan, re-checked against what is true now. Those
    /// that are skipped take no time.
    fn go_on_with_plan(&mut self) {
        while self.takes_next_step() {}
    }

    /// True: the step was skipped, and another one may follow.
    fn takes_next_step(&mut self) -> bool {
        let now = self.now;
        let Some(run) = &mut self.actions.plan else { return false };
        if run.current.is_some() {
            return false;
        }
        if let Some(ended) = run.running.ended {
            if now.since(ended) >= PLAN_SHOWN {
                self.actions.plan = None;
            }
            return false;
        }
        let done = run.running.outcomes.len();
        let freed = run.running.freed();
        let has_enough = run.running.plan.target.is_some_and(|target| freed >= target);
        let has_failed = run.running.plan.purpose == Purpose::Recycle
            && run.running.outcomes.iter().any(|outcome| outcome.result != Verdict::Done);
        let next = run.running.plan.steps.get(done).cloned();
        let (Some(step), false) = (next, has_enough || has_failed) else {
            run.running.ended = Some(now);
            return false;
        };
        if self.has_recovered() || !self.is_still_wanted(&step.action) {
            if let Some(run) = &mut self.actions.plan {
                run.running.ended = Some(now);
            }
            return false;
        }
        !self.begin_step(step.action, step.expected.map(|footprint| footprint.bytes))
    }

    /// A cleanup with a target stops when memory has recovered by itself.
    fn has_recovered(&self) -> bool {
        let Some(run) = &self.actions.plan else { return false };
        let plan = &run.running.plan;
        matches!(plan.purpose, Purpose::Cleanup(_))
            && plan.target.is_some()
            && self.excess().is_none()
    }

    /// A rule's plan ends as soon as the rule would no longer do its next step.
    fn is_still_wanted(&mut self, action: &Action) -> bool {
        let Some(run) = &self.actions.plan else { return false };
        let is_rule = matches!(run.running.plan.purpose, Purpose::Rule { .. });
        if !is_rule || run.running.outcomes.is_empty() || matches!(action, Action::Run { .. }) {
            return true;
        }
        self.rule_wish().steps.iter().any(|step| step.action == *action)
    }

    /// False: it is skipped, and why is in its outcome.
    fn begin_step(&mut self, action: Action, expected: Option<Bytes>) -> bool {
        let by = self.actions.plan.as_ref().map_or(Origin::Person, |run| run.by);
        let result = match self.why_skipped(&action, expected) {
            None => {
                let id = self.begin(action, by, expected);
                if let Some(run) = &mut self.actions.plan {
                    run.current = Some(id);
                }
                return true;
            }
            Some(verdict) => verdict,
        };
        let available = self.readings.available();
        let outcome = Outcome {
            action,
            expected,
            available_before: available,
            available_after: available,
            freed: None,
            took: Duration::ZERO,
            result,
            output: None,
        };
        if let Some(run) = &mut self.actions.plan {
            run.running.outcomes.push(outcome);
        }
        false
    }

    /// What has become of a step's subject since the plan was drafted: a
    /// reason not to carry the step out.
    fn why_skipped(&self, action: &Action, expected: Option<Bytes>) -> Option<Verdict> {
        let detail = match action {
            Action::Unload { model } => return self.why_unload_skipped(model),
            Action::Load { model, context, .. } => {
                let is_refused = self.why_not_loaded(model).err();
                is_refused.or_else(|| self.why_gate_is_shut(model, *context, expected))?
            }
            Action::Component { .. } => self.why_not_done(action).err()?,
            _ => return None,
        };
        Some(Verdict::Failed { detail })
    }

    /// A load in a plan goes through the gate as any other; what was only just
    /// unloaded to be loaded again has its room.
    fn why_gate_is_shut(
        &self,
        model: &ModelName,
        context: Option<u64>,
        expected: Option<Bytes>,
    ) -> Option<String> {
        let run = self.actions.plan.as_ref()?;
        let purpose = run.running.plan.purpose;
        if purpose == Purpose::Recycle {
            return None;
        }
        let need = match expected {
            Some(bytes) => bytes,
            None => match self.gate(model, context) {
                Gate::Open(_) => return None,
                Gate::Closed(fit) => fit.need.bytes(),
            },
        };
        let is_persons = run.by == Origin::Person && purpose != Purpose::Undo;
        self.why_no_room(need, if is_persons { Upto::Budget } else { Upto::Level })
    }

    fn why_unload_skipped(&self, model: &ModelName) -> Option<Verdict> {
        let views = self.model_views();
        let is_listed = self.models.get(model).is_some_and(|tracked| tracked.listed.is_some());
        let Some(view) = views.iter().find(|view| &view.name == model && is_listed) else {
            // It left by itself meanwhile: done, not an error.
            return Some(Verdict::Already);
        };
        let run = self.actions.plan.as_ref();
        let purpose = run.map(|run| run.running.plan.purpose);
        let reach = |strength| Reach {
            by_rule: run.is_some_and(|run| run.by == Origin::Rule),
            busy: self.readings.level().level == Level::Emergency,
            ..Reach::of_person(strength)
        };
        let detail = match purpose {
            _ if self.actions.is_about(model) => "something is being done to it already".to_owned(),
            _ if view.is_cloud => "it runs elsewhere and holds no memory here".to_owned(),
            Some(Purpose::Cleanup(strength) | Purpose::Free(strength)) => {
                plan::why_it_stays(view, Reach::of_person(strength))?
            }
            Some(Purpose::Rule { strength, .. }) => {
                plan::why_it_stays(view, reach(strength.unwrap_or(Strength::Aggressive)))?
            }
            Some(Purpose::Recycle) if view.activity != Activity::Idle => "it is not idle".into(),
            _ => return None,
        };
        Some(Verdict::Failed { detail })
    }

    /// A deed stands only while the config allows it for a component that is
    /// there; what is owed may always be taken back.
    pub(super) fn why_not_done(&self, action: &Action) -> Result<(), String> {
        let Action::Component { id, name, target, deed } = action else { return Ok(()) };
        if self.owes(action) || self.actions.brings_back(action) {
            return Ok(());
        }
        let there = self.components.value.iter().find(|component| component.id == *id);
        let is_it = |c: &&Component| c.target.as_ref() == Some(target) && c.name == *name;
        let Some(component) = there.filter(is_it) else {
            return Err("it is gone".into());
        };
        match component {
            component if component.pinned => Err("pinned".into()),
            _ if matches!(deed, Deed::Limit { .. }) && !self.sees(target) => {
                Err("what limit it has is not known".into())
            }
            component if !component.allowed.contains(deed) => {
                Err(format!("the config does not allow to {} it", deed.verb()))
            }
            _ => Ok(()),
        }
    }

    /// Actions begun before plimsoll was ended: once the server and the
    /// processes are seen, what became of each.
    pub(super) fn close_unfinished(&mut self) {
        if self.unfinished.is_empty() {
            return;
        }
        let is_seen = self.server.is_listed && self.readings.processes().is_some();
        let has_waited = self.now.mono.since(self.started) >= UNSEEN_AFTER;
        if !is_seen && !has_waited {
            return;
        }
        for (id, action, by) in std::mem::take(&mut self.unfinished) {
            let result = match self.became_of(&action).filter(|_| is_seen) {
                Some(Ok(())) => Verdict::Done,
                Some(Err(detail)) => Verdict::Failed { detail },
                None => Verdict::Failed {
                    detail: "plimsoll was ended before its outcome was seen".into(),
                },
            };
            let outcome = Outcome {
                action,
                expected: None,
                available_before: None,
                available_after: None,
                freed: None,
                took: Duration::ZERO,
                result,
                output: None,
            };
            self.tell(EventBody::ActionEnded { id, outcome: Box::new(outcome), by });
        }
    }

    /// What is seen of an action after the start; `None`: nothing can be.
    fn became_of(&self, action: &Action) -> Option<Result<(), String>> {
        let is_loaded = |model: &ModelName| self.models.contains_key(model);
        // One that is being loaded anew has not been loaded by then.
        let is_listed = |model: &ModelName| {
            self.models.get(model).is_some_and(|tracked| tracked.listed.is_some())
        };
        let found = |holds: bool, detail: &str| {
            if holds { Ok(()) } else { Err(format!("plimsoll was ended, and {detail}")) }
        };
        match action {
            Action::Unload { model } => Some(found(!is_loaded(model), "it is still loaded")),
            Action::Load { model, .. } => Some(found(is_listed(model), "it is not loaded")),
            Action::EndRunner { process, .. } => {
                Some(found(self.sight_of(Some(*process)) == Sight::Ended, "it still runs"))
            }
            Action::Component { target: Target::Process { key }, deed, .. } if deed.ends() => {
                let processes = self.readings.processes()?;
                Some(found(processes.find(*key).is_none(), "it still runs"))
            }
            Action::Keep { .. } | Action::Component { .. } | Action::Run { .. } => None,
        }
    }
}
