//! What is loaded again: what has grown, what is to be there, what was taken
//! away.

use std::time::Duration;

use crate::domain::plan::{Keep, Kept, Purpose};
use crate::domain::{
    Action, Activity, Bytes, Component, FitQuestion, FitVerdict, Footprint, FootprintSource,
    ModelName, Plan, Step,
};
use crate::policy::{self, plan};

use super::State;
use super::actions::TakenKind;
use super::fits::Upto;

/// How long a model that has grown must have been idle to be recycled.
const IDLE_TO_RECYCLE: Duration = Duration::from_secs(60);

impl State {
    /// An idle model whose runner has grown beyond what its server tells of.
    pub(super) fn recycling(&self) -> Option<Plan> {
        let most = self.rules.recycle_growth?;
        let models = self.model_views();
        let grown = models.iter().find(|model| {
            let is_quiet = model.activity == Activity::Idle
                && model.idle.is_some_and(|idle| self.now.since(idle.since) >= IDLE_TO_RECYCLE);
            let growth = self.models.get(&model.name).and_then(super::tracked::Tracked::growth);
            is_quiet
                && !model.pinned
                && !model.is_remote
                && model.context.is_some()
                && growth.is_some_and(|growth| growth > most)
        })?;
        let spared = Default::default();
        let load = plan::Load { models: &models, components: &[], spared: &spared, now: self.now };
        Some(plan::recycle(&load, &grown.name))
    }

    pub(super) fn preloading(&self) -> Option<Plan> {
        let missing = self.rules.preload.iter().filter(|name| {
            self.server.is_listed
                && !self.models.contains_key(*name)
                && !self.guard.preloaded.contains(*name)
        });
        let fitting = |name: &ModelName| {
            let fit = self.judge(&FitQuestion::plain(name.clone())).ok()?;
            let fits = fit.verdict == FitVerdict::Fits && fit.crosses.is_none();
            fits.then(|| Footprint { bytes: fit.need.bytes(), source: fit.need.source() })
        };
        let (name, expected) = missing.filter_map(|name| Some((name, fitting(name)?))).next()?;
        let action = Action::Load { model: name.clone(), keep: Keep::Default, context: None };
        let reason = "on the preload list".to_owned();
        Some(Plan {
            purpose: Purpose::Preload,
            target: None,
            steps: vec![Step { action, expected: Some(expected), reason }],
            kept: Vec::new(),
        })
    }

    /// Bring back what the last cleanup took away, as far as it fits.
    pub(super) fn undoing(&self) -> Plan {
        let (mut steps, mut kept, mut sum) = (Vec::new(), Vec::new(), Bytes::ZERO);
        for was in self.actions.taken() {
            let need = was.held.unwrap_or_default();
            let (action, is_there) = self.bringing_back(&was.what);
            let why = match is_there {
                true => Some("it is there again".to_owned()),
                false => self.why_no_room(sum + need, Upto::Level),
            };
            if let Some(reason) = why {
                kept.push(Kept { name: action.subject().to_owned(), reason });
                continue;
            }
            sum += need;
            let reason = match was.held {
                Some(held) => format!("it held {held} when it was taken away"),
                None => "it was taken away".into(),
            };
            let measured = |bytes| Footprint { bytes, source: FootprintSource::Measured };
            steps.push(Step { action, expected: was.held.map(measured), reason });
        }
        Plan { purpose: Purpose::Undo, target: None, steps, kept }
    }

    /// What brings it back, and whether it is there already.
    fn bringing_back(&self, was: &TakenKind) -> (Action, bool) {
        match was {
            TakenKind::Model { name, context, expires } => {
                let keep = policy::keep_until(*expires, self.now);
                let action = Action::Load { model: name.clone(), keep, context: *context };
                (action, self.models.contains_key(name))
            }
            TakenKind::Component(action) => {
                let is_it = |row: &Component| matches!(action, Action::Component { id, .. } if *id == row.id);
                (action.clone(), self.components.value.iter().any(is_it))
            }
        }
    }
}
