//! What is told of the rules and of the level to one who asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::{EventBody, Origin};
use crate::domain::guard::{
    DayCounts, Help, LevelView, Mover, PolicyView, SignalSays, StandingRule, Why,
};
use crate::domain::time::DAY;
use crate::domain::{
    Action, Bytes, Component, ComponentKind, Level, Moment, ProcessKey, Step, Strength,
};
use crate::policy::guard::{self, Situation};
use crate::policy::{level, plan, signals};

use super::State;

/// Movers are compared with what was so long ago, where it is known.
const MOVED_WITHIN: Duration = Duration::from_secs(300);

/// Footprints are kept so often: 20 of them in [`MOVED_WITHIN`].
const KEPT_EVERY: Duration = Duration::from_secs(15);

/// Less is breathing.
const LEAST_MOVE: Bytes = Bytes::mib(16);

const MOVERS_AT_MOST: usize = 8;

/// Footprints of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Movers {
    kept: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    at: Moment,
    /// By id. A row's id may change while its process goes on: a runner becomes
    /// a model.
    held: BTreeMap<String, (Option<ProcessKey>, Bytes)>,
    /// All processes had been looked at, not only those somebody named.
    is_whole: bool,
}

/// A process that may not be touched is known only while the list is looked at.
fn is_unnamed(component: &Component) -> bool {
    component.kind == ComponentKind::Process && component.allowed.is_empty()
}

impl Movers {
    pub(super) fn keep(&mut self, components: &[Component], now: Moment) {
        let is_due = |newest: &Kept| now.since(newest.at) >= KEPT_EVERY;
        if self.kept.back().is_some_and(|newest| !is_due(newest)) {
            return;
        }
        let held = components.iter().filter_map(|component| {
            Some((component.id.clone(), (component.process, component.footprint?.bytes)))
        });
        let held = held.collect();
        self.kept.push_back(Kept { at: now, held, is_whole: components.iter().any(is_unnamed) });
        while self.kept.len() > 1 && now.since(self.kept[1].at) >= MOVED_WITHIN {
            self.kept.pop_front();
        }
    }

    /// Largest first, either way; with since when.
    fn of(&self, components: &[Component]) -> (Vec<Mover>, Option<Moment>) {
        let Some(Kept { at: since, held: before, .. }) = self.kept.front() else {
            return (Vec::new(), None);
        };
        let mut movers: Vec<Mover> = components
            .iter()
            .filter_map(|component| {
                let now = component.footprint?.bytes;
                let change = now.since(self.held_before(component)?);
                let name = component.name.clone();
                (change.magnitude() >= LEAST_MOVE).then_some(Mover { name, change, now })
            })
            .collect();
        // Where the list is not looked at, a process that is not in it may run on.
        let is_whole = components.iter().any(is_unnamed);
        let has_gone = |id: &str, process: Option<ProcessKey>| {
            let is_it = |row: &Component| match process {
                Some(_) => row.process == process,
                None => row.id == id,
            };
            (is_whole || !id.starts_with("process:")) && !components.iter().any(is_it)
        };
        let gone = before
            .iter()
            .filter(|(id, (process, held))| has_gone(id, *process) && *held >= LEAST_MOVE);
        movers.extend(gone.map(|(id, (_, held))| Mover {
            name: id.split_once(':').map_or(id.as_str(), |(_, name)| name).to_owned(),
            change: Bytes::ZERO.since(*held),
            now: Bytes::ZERO,
        }));
        movers
            .sort_by_key(|mover| (std::cmp::Reverse(mover.change.magnitude()), mover.name.clone()));
        movers.truncate(MOVERS_AT_MOST);
        (movers, Some(*since))
    }

    /// What it held at first; `None` where nobody looked before it was there.
    fn held_before(&self, component: &Component) -> Option<Bytes> {
        let first = self.kept.iter().find(|kept| kept.is_whole || !is_unnamed(component))?;
        let held = match component.process {
            Some(_) => first.held.values().find(|(process, _)| *process == component.process),
            None => first.held.get(&component.id),
        };
        Some(held.map_or(Bytes::ZERO, |(_, bytes)| *bytes))
    }
}

impl State {
    pub(super) fn keep_movers(&mut self) {
        self.movers.keep(&self.components.value, self.now);
    }

    /// The rules as they stand, while their page is open.
    pub(super) fn follow_policy_view(&mut self) {
        if !self.attention.policy {
            self.policy_view = None;
            return;
        }
        let view = self.draw_policy_view();
        if self.policy_view.as_deref() != Some(&view) {
            self.policy_view = Some(Arc::new(view));
        }
    }

    fn draw_policy_view(&mut self) -> PolicyView {
        let levels = Level::ALL.map(|level| {
            let plan = self.rule_wish_at(level, false);
            let rule = self.rules.at(level);
            LevelView {
                level,
                mode: rule.mode,
                strength: rule.strength,
                terms: guard::terms(rule),
                plan,
            }
        });
        PolicyView {
            levels: levels.into(),
            standing: self.standing_rules(),
            kill_switch: self.rules.kill_switch.map(|switch| switch.mode),
            waits: match self.settings.may_act {
                true => self.why_rules_wait(),
                false => Some("another plimsoll acts on this machine".into()),
            },
            day: self.day(),
        }
    }

    fn standing_rules(&mut self) -> Vec<StandingRule> {
        let (models, spared) = (self.model_views(), BTreeMap::new());
        let level = self.readings.level();
        let situation = Situation {
            level: level.level,
            cause: level.set_by.as_ref().map(|cause| cause.signal),
            excess: None,
            budget: self.limits.model_budget,
            load: plan::Load {
                models: &models,
                components: &self.components.value,
                spared: &spared,
                now: self.now,
            },
            has_run: true,
        };
        guard::standing(&self.rules, &situation)
    }

    fn day(&self) -> DayCounts {
        let mut counts = DayCounts::default();
        let day = jiff::SignedDuration::try_from(DAY).unwrap_or_default();
        let young = self
            .events
            .value
            .iter()
            .rev()
            .take_while(|event| self.now.wall.duration_since(event.time) < day);
        for event in young {
            match &event.body {
                EventBody::LevelChanged { .. } => counts.level_changes += 1,
                EventBody::OomKill { count } => counts.oom_kills += count,
                EventBody::ActionEnded { outcome, by, .. } => {
                    counts.actions += 1;
                    counts.by_rule += u64::from(*by == Origin::Rule);
                    counts.freed += outcome.freed.unwrap_or_default();
                }
                _ => {}
            }
        }
        counts
    }

    /// Why the level is what it is, and what would help.
    pub(super) fn why(&self) -> Why {
        let standing = self.readings.level();
        let (movers, movers_since) = self.movers.of(&self.components.value);
        Why {
            level: standing.level,
            since: standing.since,
            set_by: standing.set_by.clone(),
            signals: self.signals_say(),
            excess: self.excess(),
            movers,
            movers_since,
            help: self.help(),
        }
    }

    fn signals_say(&self) -> Vec<SignalSays> {
        let Some(sample) = self.readings.sample() else { return Vec::new() };
        let signals = signals::read(sample, self.readings.rates(), &self.limits);
        let says = |signal: signals::Signal| SignalSays {
            level: level::at_once(std::slice::from_ref(&signal)).level,
            text: signal.text,
        };
        signals.into_iter().map(says).collect()
    }

    /// What a person could do, least harm first.
    fn help(&self) -> Vec<Help> {
        let (models, spared) = (self.model_views(), BTreeMap::new());
        let components = &self.components.value;
        let load = plan::Load { models: &models, components, spared: &spared, now: self.now };
        let excess = self.excess();
        let steps = plan::cleanup(&load, Strength::Force, None).steps;
        let help = |step: Step| {
            let frees = step.expected.map(|footprint| footprint.bytes);
            let subject = match &step.action {
                Action::Component { name, .. } => name.as_str(),
                action => action.subject(),
            };
            Help {
                what: format!("{} {subject} ({})", step.action.verb(), step.reason),
                is_enough: excess.zip(frees).is_some_and(|(excess, frees)| frees >= excess),
                frees,
            }
        };
        // What only stops growth does not help what is.
        let helps = |step: &Step| step.expected.is_none_or(|known| !known.bytes.is_zero());
        steps.into_iter().filter(helps).map(help).collect()
    }
}
