//! Actions under way: journalled first, then sent, then proved.
//!
//! A server says 200 before memory is free, so an unload ends by a later
//! sample, never by the reply.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::act::Order;
use crate::domain::event::{EventBody, Origin};
use crate::domain::model::Expiry;
use crate::domain::plan::{Keep, Purpose, RunningPlan, Verdict};
use crate::domain::process::MeasuredSource;
use crate::domain::{
    Action, ActionId, Bytes, Deed, Level, ModelName, Moment, Monotonic, Outcome, ProcessKey,
};
use crate::runtime::LoadOptions;

use super::super::input::Effect;
use super::State;

/// What the journal gets before an unload goes ahead without it.
const JOURNAL_PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Actions {
    next_id: u64,
    pub(super) in_flight: BTreeMap<ActionId, InFlight>,
    pub(super) plan: Option<PlanRun>,
    /// What the last cleanup took away, and which one that was.
    taken: (Option<Moment>, Vec<Taken>),
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) action: Action,
    by: Origin,
    was: Option<Taken>,
    pub(super) expected: Option<Bytes>,
    pub(super) asked: Moment,
    /// That stood when it was asked.
    level: Level,
    pub(super) available_before: Option<Bytes>,
    pub(super) stage: Stage,
    pub(super) output: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Journalling,
    /// Sent; the other side has not answered.
    Sent,
    /// Answered: now the proof is waited for.
    Answered,
    /// Gone from the lists; its pages are coming back.
    Departed {
        at: Option<Monotonic>,
        was_seen: bool,
        held: Option<Bytes>,
    },
}

/// What was taken away, as it was, so that it can be brought back so.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) what: TakenKind,
    pub(super) held: Option<Bytes>,
}

#[derive(Debug, Clone)]
pub(super) enum TakenKind {
    Model {
        name: ModelName,
        context: Option<u64>,
        expires: Option<Expiry>,
    },
    /// The action that starts it: with a command of the config's.
    Component(Action),
}

#[derive(Debug)]
pub(super) struct PlanRun {
    pub(super) running: RunningPlan,
    pub(super) by: Origin,
    pub(super) current: Option<ActionId>,
}

impl Actions {
    pub(super) fn new(next_id: u64) -> Self {
        Actions {
            next_id: next_id.max(1),
            in_flight: BTreeMap::new(),
            plan: None,
            taken: Default::default(),
        }
    }

    /// The truth is wanted soon.
    pub(super) fn wants_speed(&self) -> bool {
        self.in_flight
            .values()
            .any(|flight| matches!(flight.action, Action::Unload { .. } | Action::EndRunner { .. }))
    }

    /// Something is being taken away: its gain is not in yet.
    pub(super) fn takes_away(&self) -> bool {
        self.in_flight
            .values()
            .any(|flight| !matches!(flight.action, Action::Load { .. } | Action::Keep { .. }))
    }

    pub(super) fn taken(&self) -> &[Taken] {
        &self.taken.1
    }

    /// Whether this brings back what the last cleanup took away.
    pub(super) fn brings_back(&self, action: &Action) -> bool {
        let is_it = |taken: &Taken| matches!(&taken.what, TakenKind::Component(a) if a == action);
        self.taken.1.iter().any(is_it)
    }

    /// Remembers what came true, with the rest of its plan.
    fn note_taken(&mut self, was: Taken, asked: Moment) {
        let plan = self.plan.as_ref().filter(|run| run.current.is_some());
        if plan.is_some_and(|run| run.running.plan.purpose == Purpose::Recycle) {
            return;
        }
        let cleanup = plan.map_or(asked, |run| run.running.started);
        if self.taken.0 != Some(cleanup) {
            self.taken = (Some(cleanup), Vec::new());
        }
        self.taken.1.push(was);
    }

    pub(super) fn is_loading(&self, name: &ModelName) -> bool {
        self.loads().any(|model| model == name)
    }

    pub(super) fn loads(&self) -> impl Iterator<Item = &ModelName> {
        self.in_flight.values().filter_map(|flight| match &flight.action {
            Action::Load { model, .. } => Some(model),
            _ => None,
        })
    }

    /// The context a load of ours was asked with.
    pub(super) fn context_of_load(&self, name: &ModelName) -> Option<u64> {
        self.in_flight.values().find_map(|flight| match &flight.action {
            Action::Load { model, context, .. } if model == name => *context,
            _ => None,
        })
    }

    pub(super) fn asked_to_unload(&self, name: &ModelName) -> bool {
        self.in_flight
            .values()
            .any(|flight| matches!(&flight.action, Action::Unload { model } if model == name))
    }

    pub(super) fn is_about(&self, name: &ModelName) -> bool {
        self.in_flight.values().any(|flight| flight.action.model() == Some(name))
    }

    pub(super) fn ends_process(&self, process: ProcessKey) -> bool {
        self.in_flight.values().any(
            |flight| matches!(flight.action, Action::EndRunner { process: p, .. } if p == process),
        )
    }

    /// A model has left; says whether an action of ours was waiting for that.
    pub(super) fn note_departure(
        &mut self,
        name: &ModelName,
        was_seen: bool,
        held: Option<(Bytes, MeasuredSource)>,
    ) -> bool {
        let mut is_ours = false;
        for flight in self.in_flight.values_mut() {
            if matches!(&flight.action, Action::Unload { model } if model == name) {
                let held = held.map(|(bytes, _)| bytes);
                flight.stage = Stage::Departed { at: None, was_seen, held };
                is_ours = true;
            }
        }
        is_ours
    }

    pub(super) fn next_deadline(&self) -> Option<Monotonic> {
        self.in_flight
            .values()
            .filter(|flight| flight.stage == Stage::Journalling)
            .map(|flight| flight.asked.mono.plus(JOURNAL_PATIENCE))
            .min()
    }

    pub(super) fn plan(&self) -> Option<Arc<RunningPlan>> {
        self.plan.as_ref().map(|run| Arc::new(run.running.clone()))
    }

    pub(super) fn is_planning(&self) -> bool {
        self.plan.as_ref().is_some_and(|run| run.running.ended.is_none())
    }
}

impl State {
    /// Begins an action: on disk first, carried out after.
    pub(super) fn begin(
        &mut self,
        action: Action,
        by: Origin,
        expected: Option<Bytes>,
    ) -> ActionId {
        let id = ActionId(self.actions.next_id);
        self.actions.next_id += 1;
        let event =
            self.number(EventBody::ActionStarted { id, action: action.clone(), by, expected });
        if let Action::Load { model, .. } = &action {
            self.show_loading(model);
        }
        self.owe(&action);
        let flight = InFlight {
            was: self.as_it_is(&action),
            action,
            by,
            expected,
            asked: self.now,
            level: self.readings.level().level,
            available_before: self.readings.available(),
            stage: Stage::Journalling,
            output: None,
        };
        self.actions.in_flight.insert(id, flight);
        self.effects.push(Effect::Journal { action: id, event });
        id
    }

    fn as_it_is(&self, action: &Action) -> Option<Taken> {
        match action {
            Action::Unload { model } => {
                let tracked = self.models.get(model)?;
                let listed = tracked.listed.as_ref()?;
                let (context, expires) = (listed.context, listed.expires);
                let what = TakenKind::Model { name: model.clone(), context, expires };
                Some(Taken { what, held: tracked.held_bytes() })
            }
            Action::Component { id, name, target, deed } if deed.ends() => {
                let component = self.components.value.iter().find(|row| row.id == *id)?;
                let is_load = |deed: &&Deed| matches!(deed, Deed::Load { .. });
                let deed = component.allowed.iter().find(is_load)?.clone();
                let (id, name, target) = (id.clone(), name.clone(), target.clone());
                let what = TakenKind::Component(Action::Component { id, name, target, deed });
                Some(Taken { what, held: component.footprint.map(|known| known.bytes) })
            }
            _ => None,
        }
    }

    pub(super) fn take_journalled(&mut self, id: ActionId, result: Result<(), String>) {
        let Some(flight) = self.actions.in_flight.get(&id) else { return };
        if flight.stage != Stage::Journalling {
            return;
        }
        match result {
            Ok(()) => self.perform(id),
            Err(reason) => self.perform_unjournalled(id, &reason),
        }
    }

    /// Without a journal an unload still goes ahead, and it is said; what
    /// ends a process does not.
    fn perform_unjournalled(&mut self, id: ActionId, reason: &str) {
        self.notice("journal", format!("actions are kept in memory only: {reason}"));
        let Some(flight) = self.actions.in_flight.get(&id) else { return };
        if matches!(
            flight.action,
            Action::EndRunner { .. } | Action::Component { .. } | Action::Run { .. }
        ) {
            let detail = format!("not carried out, since it could not be put on disk: {reason}");
            self.finish(id, Verdict::Failed { detail }, None);
        } else {
            self.perform(id);
        }
    }

    fn perform(&mut self, id: ActionId) {
        let Some(flight) = self.actions.in_flight.get_mut(&id) else { return };
        flight.stage = Stage::Sent;
        let effect = match flight.action.clone() {
            Action::Unload { model } => {
                if let Some(tracked) = self.models.get_mut(&model) {
                    tracked.leaves(self.now);
                }
                Effect::Unload { action: id, model }
            }
            Action::Load { model, keep, context } => self.load_effect(id, model, (keep, context)),
            Action::Keep { model, keep } => {
                // Its present context goes along, so that nothing reloads.
                let tracked = self.models.get_mut(&model);
                let context = tracked.and_then(|tracked| {
                    tracked.own_lists = u8::MAX;
                    tracked.listed.as_ref()?.context
                });
                self.load_effect(id, model, (keep, context))
            }
            Action::EndRunner { process, .. } => {
                Effect::Act { action: id, order: Order::EndProcess(process) }
            }
            Action::Component { id: component, target, deed, .. } => {
                Effect::Act { action: id, order: Order::Deed { component, target, deed } }
            }
            Action::Run { words } => {
                let level = self.readings.level().level;
                Effect::Act { action: id, order: Order::Run { words, level } }
            }
        };
        self.poll_loaded_now();
        self.effects.push(effect);
    }

    fn load_effect(
        &self,
        action: ActionId,
        model: ModelName,
        (keep, context): (Keep, Option<u64>),
    ) -> Effect {
        let embeds = self.embeds(&model);
        Effect::Load { action, model, options: LoadOptions { keep, context, embeds } }
    }

    fn embeds(&self, model: &ModelName) -> bool {
        let installed = self.installed.value.iter().find(|installed| &installed.name == model);
        installed.is_some_and(crate::domain::InstalledModel::embeds)
    }

    pub(super) fn meet_action_deadlines(&mut self) {
        let late: Vec<ActionId> = self
            .actions
            .in_flight
            .iter()
            .filter(|(_, flight)| {
                flight.stage == Stage::Journalling
                    && self.now.since(flight.asked) >= JOURNAL_PATIENCE
            })
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            self.perform_unjournalled(id, "the disk did not answer within 200 ms");
        }
    }

    pub(super) fn finish(&mut self, id: ActionId, result: Verdict, freed: Option<Bytes>) {
        let Some(flight) = self.actions.in_flight.remove(&id) else { return };
        let is_done = matches!(result, Verdict::Done | Verdict::Unconfirmed);
        if flight.action.takes_away() {
            self.restart_outlook();
        }
        self.settle_debt(&flight.action, is_done, self.now.since(flight.asked));
        if is_done && let Some(was) = flight.was {
            if let (Origin::Rule, TakenKind::Model { name, .. }) = (flight.by, &was.what) {
                self.guard.restraint.unloaded(name, self.now.mono);
            }
            self.actions.note_taken(was, flight.asked);
        }
        if flight.by == Origin::Rule {
            self.guard.restraint.acted(flight.level, self.now.mono);
            self.note_obedience(&flight.action, &result);
        }
        let outcome = Outcome {
            action: flight.action,
            expected: flight.expected,
            available_before: flight.available_before,
            available_after: self.readings.available(),
            freed,
            took: self.now.since(flight.asked),
            result,
            output: flight.output,
        };
        if let Some(run) = &mut self.actions.plan
            && run.current == Some(id)
        {
            run.current = None;
            run.running.outcomes.push(outcome.clone());
        }
        let by = flight.by;
        self.tell(EventBody::ActionEnded { id, outcome: Box::new(outcome), by });
    }
}
