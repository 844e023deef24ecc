//! What was paused or limited is taken back on recovery, over restarts too.

use std::time::Duration;

use crate::domain::event::{EventBody, Origin};
use crate::domain::plan::Purpose;
use crate::domain::{Action, Bytes, Debt, Deed, Plan, Step, Target};

use super::super::input::Effect;
use super::State;

/// A debt that could not be paid so often is given up, and that is said.
const ATTEMPTS: u8 = 3;

/// A refusal comes at once; what takes longer was cut off by a time-out.
const ANSWERED_LATE: Duration = Duration::from_secs(4);

/// What is owed, and how often its paying has failed.
#[derive(Debug, Clone)]
pub(super) struct Owed {
    debt: Debt,
    failed: u8,
}

impl From<Debt> for Owed {
    fn from(debt: Debt) -> Self {
        Owed { debt, failed: 0 }
    }
}

impl State {
    /// Before a deed is done: on disk, what will take it back.
    pub(super) fn owe(&mut self, action: &Action) {
        let Action::Component { id, name, target, deed } = action else { return };
        let undo = match deed {
            Deed::Pause => Deed::Resume,
            Deed::Limit { .. } => Deed::Unlimit { to: self.limit_of(target) },
            _ => return,
        };
        let debt = Debt { component: id.clone(), name: name.clone(), target: target.clone(), undo };
        // What was owed before counts: it knows the first limit.
        if !self.debts.iter().any(|owed| is_same(&owed.debt, &debt)) {
            self.effects.push(Effect::Owe(debt.clone()));
            self.debts.push(debt.into());
        }
    }

    /// Whether this takes back what is owed, from the one it was done to.
    pub(super) fn owes(&self, action: &Action) -> bool {
        let Action::Component { id, name, target, deed } = action else { return false };
        self.debts.iter().map(|owed| &owed.debt).any(|debt| {
            debt.component == *id
                && debt.name == *name
                && debt.target == *target
                && debt.undo == *deed
        })
    }

    /// What was done to it and is not taken back yet; `is_paused`: as it is seen.
    pub(super) fn owed_state(&self, target: &Target, is_paused: bool) -> Option<&'static str> {
        let undos = || self.debts.iter().filter(|o| o.debt.target == *target).map(|o| &o.debt.undo);
        let is_paused = is_paused || undos().any(|undo| *undo == Deed::Resume);
        let is_limited = undos().any(|undo| matches!(undo, Deed::Unlimit { .. }));
        match (is_paused, is_limited) {
            (true, true) => Some("paused, limited"),
            (true, false) => Some("paused"),
            (false, true) => Some("limited"),
            (false, false) => None,
        }
    }

    pub(super) fn sees(&self, target: &Target) -> bool {
        self.readings.groups().iter().any(|group| group.target() == *target)
    }

    fn limit_of(&self, target: &Target) -> Option<Bytes> {
        self.readings.groups().iter().find(|group| group.target() == *target)?.limit
    }

    /// A deed has ended: what it paid is no longer owed, and what was never
    /// done is not either. What failed only after a while may have been done
    /// all the same, and stays owed.
    pub(super) fn settle_debt(&mut self, action: &Action, is_done: bool, took: Duration) {
        let Action::Component { id, target, deed, .. } = action else { return };
        let was_refused = !is_done && took < ANSWERED_LATE;
        let (resumes, unlimits) = match deed {
            Deed::Pause => (was_refused, false),
            Deed::Limit { .. } => (false, was_refused),
            Deed::Resume => (is_done || self.has_failed_for_good(id, deed), false),
            Deed::Unlimit { .. } => (false, is_done || self.has_failed_for_good(id, deed)),
            // A limit outlives the stop of a container.
            deed => (deed.ends() && is_done, false),
        };
        let is_over = |owed: &mut Owed| {
            let is_resume = owed.debt.undo == Deed::Resume;
            owed.debt.component == *id
                && owed.debt.target == *target
                && if is_resume { resumes } else { unlimits }
        };
        for owed in self.debts.extract_if(.., is_over) {
            self.effects.push(Effect::Settle(owed.debt));
        }
    }

    fn has_failed_for_good(&mut self, component: &str, undo: &Deed) -> bool {
        let is_it = |o: &&mut Owed| o.debt.component == component && o.debt.undo == *undo;
        let Some(owed) = self.debts.iter_mut().find(is_it) else { return false };
        owed.failed += 1;
        let is_over = owed.failed >= ATTEMPTS;
        if is_over {
            let (verb, name) = (owed.debt.undo.verb(), owed.debt.name.clone());
            let text = format!("{verb} {name}: given up after {ATTEMPTS} attempts");
            self.tell(EventBody::Note { text });
        }
        is_over
    }

    /// Takes back what is owed; false where nothing is.
    pub(super) fn begin_restore(&mut self) -> bool {
        let step = |owed: &Owed| Step {
            action: Action::Component {
                id: owed.debt.component.clone(),
                name: owed.debt.name.clone(),
                target: owed.debt.target.clone(),
                deed: owed.debt.undo.clone(),
            },
            expected: None,
            reason: "memory has recovered".into(),
        };
        let steps: Vec<Step> = self.debts.iter().map(step).collect();
        let has_some = !steps.is_empty();
        if has_some {
            let plan = Plan { purpose: Purpose::Restore, target: None, steps, kept: Vec::new() };
            self.begin_plan(plan, Origin::Rule);
        }
        has_some
    }
}

fn is_same(one: &Debt, other: &Debt) -> bool {
    let kind = |debt: &Debt| std::mem::discriminant(&debt.undo);
    one.component == other.component && one.target == other.target && kind(one) == kind(other)
}
