//! The guard: what the rules want is said, asked or done, after each sample.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::{EventBody, Origin};
use crate::domain::guard::{Proposal, RuleModes};
use crate::domain::plan::{Kept, Purpose, Verdict};
use crate::domain::snapshot::Mode;
use crate::domain::{
    Action, Bytes, Component, Level, ModelName, ModelView, Monotonic, Plan, RuleMode, SignalKind,
    Step,
};
use crate::policy::guard::{self, Situation};
use crate::policy::plan;
use crate::policy::restraint::Restraint;

use super::State;
use super::components::model_id;

/// How long memory must have been normal before what was taken away is given
/// back: longer than a level's dwell, so that the two do not chase each other.
const RECOVERED: Duration = Duration::from_secs(60);

/// Between two ends of the kill switch, whatever pause the rules have: what a
/// process held comes back over seconds.
const BETWEEN_KILLS: Duration = Duration::from_secs(15);

/// Ends of the kill switch without memory falling below it.
const KILLS_AT_MOST: usize = 2;

#[derive(Debug, Default)]
pub(super) struct Guard {
    pub(super) restraint: Restraint,
    proposal: Option<Arc<Proposal>>,
    proposals: u64,
    /// The level that stood when a person refused: it is not asked again.
    refused: Option<Monotonic>,
    /// The level whose own commands have run.
    ran: Option<Monotonic>,
    switch: Switch,
    /// When the kill switch ended one last.
    killed: Option<Monotonic>,
    /// When the last sleep ended.
    woke: Option<Monotonic>,
    /// Loaded by the preload list, or tried: once each.
    pub(super) preloaded: BTreeSet<ModelName>,
}

/// The kill switch since memory went past it.
#[derive(Debug, Default)]
struct Switch {
    past_since: Option<Monotonic>,
    /// Components it has ended, or tried to.
    tried: Vec<String>,
    has_given_up: bool,
}

impl Guard {
    pub(super) fn proposal(&self) -> Option<Arc<Proposal>> {
        self.proposal.clone()
    }
}

/// What a plan is made of, whatever its bytes are at the moment.
fn key(plan: &Plan, mode: RuleMode) -> String {
    let step = |step: &Step| format!("{} {}", step.action.verb(), step.action.subject());
    let steps: Vec<String> = plan.steps.iter().map(step).collect();
    format!("{mode}: {}", steps.join(", "))
}

impl State {
    /// Some rule does more than observe: nobody has to look for that to matter.
    pub(super) fn rules_act(&self) -> bool {
        self.settings.may_act && self.rule_modes().furthest >= RuleMode::Confirm
    }

    pub(super) fn rule_modes(&self) -> RuleModes {
        let levels = self.rules.levels.iter().map(|rule| rule.mode);
        let switch = self.rules.kill_switch.map(|switch| switch.mode);
        let furthest = levels.chain(switch).max().unwrap_or_default();
        RuleModes { ceiling: self.rules.mode, furthest }
    }

    /// Looks at the rules, once a sample is understood.
    pub(super) fn guard(&mut self) {
        if self.settings.mode == Mode::Replay || !self.settings.may_act {
            return;
        }
        self.guard.restraint.start(self.now.mono);
        self.follow_switch();
        if self.actions.is_planning() || self.actions.takes_away() {
            return;
        }
        let level = self.readings.level().level;
        if self.why_rules_wait().is_some() {
            return;
        }
        let wish = self.last_resort().or_else(|| self.wish_of_level(level));
        if let Some((plan, mode)) = wish {
            if self.heed(plan, mode) {
                return;
            }
        } else {
            self.guard.proposal = None;
        }
        self.give_back();
    }

    /// What the present level's rule wants and how far it goes; `None`: it is
    /// off, or wants nothing whatever is loaded.
    fn wish_of_level(&mut self, level: Level) -> Option<(Plan, RuleMode)> {
        let mode = self.rules.at(level).mode;
        let may_want = guard::may_want(&self.rules, level, self.limits.model_budget);
        (mode != RuleMode::Off && may_want).then(|| (self.rule_wish(), mode))
    }

    pub(super) fn why_rules_wait(&self) -> Option<String> {
        let level = self.readings.level().level;
        self.guard.restraint.why_it_waits(&self.rules, level, self.now.mono)
    }

    /// What the rule of the present level wants.
    pub(super) fn rule_wish(&mut self) -> Plan {
        let level = self.readings.level();
        let (since, level) = (level.since.mono, level.level);
        let has_run = self.guard.ran == Some(since);
        self.rule_wish_at(level, has_run)
    }

    /// What the rule of a level would want if it stood now.
    pub(super) fn rule_wish_at(&mut self, level: Level, has_run: bool) -> Plan {
        let models = self.model_views();
        let spared = self.spared(&models);
        let (components, refusing) = self.components_but_refusing();
        let standing = self.readings.level();
        let cause = match standing.level {
            // Asked of a level that does not stand: as memory would ask.
            Level::Normal => (level > Level::Normal).then_some(SignalKind::Memory),
            // What is calm again asks for nothing more; memory itself may.
            _ if self.readings.is_calming() => Some(SignalKind::Memory),
            _ => standing.set_by.as_ref().map(|cause| cause.signal),
        };
        let situation = Situation {
            level,
            cause,
            excess: self.excess(),
            budget: self.limits.model_budget,
            load: plan::Load {
                models: &models,
                components: &components,
                spared: &spared,
                now: self.now,
            },
            has_run,
        };
        let mut plan = guard::wish(&self.rules, &situation);
        plan.kept.extend(refusing);
        plan
    }

    /// Models that rules leave alone for now, and why.
    fn spared(&mut self, models: &[ModelView]) -> BTreeMap<ModelName, String> {
        let now = self.now.mono;
        let mut spared = self.guard.restraint.spared(now);
        for model in models {
            let id = model_id(model.name.as_str());
            if let Some(why) = self.guard.restraint.why_left_alone(&id, now) {
                spared.insert(model.name.clone(), why);
            }
        }
        spared
    }

    /// The components that rules may ask, and those they leave alone for now.
    fn components_but_refusing(&self) -> (Cow<'_, [Component]>, Vec<Kept>) {
        let all: &[Component] = &self.components.value;
        let why = |one: &Component| {
            self.guard
                .restraint
                .why_left_alone(&one.id, self.now.mono)
                .filter(|_| !one.allowed.is_empty())
        };
        let kept = |one: &Component| Some(Kept { name: one.name.clone(), reason: why(one)? });
        let refusing: Vec<Kept> = all.iter().filter_map(kept).collect();
        match refusing.is_empty() {
            true => (Cow::Borrowed(all), refusing),
            false => (all.iter().filter(|one| why(one).is_none()).cloned().collect(), refusing),
        }
    }

    /// What became of asking by a rule.
    pub(super) fn note_obedience(&mut self, action: &Action, result: &Verdict) {
        let id = match action {
            Action::Unload { model } => model_id(model.as_str()),
            Action::Component { id, deed, .. } if !deed.takes_back() => id.clone(),
            _ => return,
        };
        match result {
            Verdict::Done | Verdict::Already => self.guard.restraint.obeyed(&id),
            _ => self.guard.restraint.stayed(&id, self.now.mono),
        }
    }

    /// Says, asks or does what a rule wants. True: something is under way.
    fn heed(&mut self, plan: Plan, mode: RuleMode) -> bool {
        if plan.steps.is_empty() {
            self.guard.proposal = None;
            let is_short = plan.target.is_some_and(|target| target > Bytes::new(1));
            if is_short && mode != RuleMode::Off {
                self.say_once(plan, mode);
            }
            return false;
        }
        match mode {
            RuleMode::Off => self.guard.proposal = None,
            RuleMode::Observe => {
                self.guard.proposal = None;
                self.say_once(plan, mode);
            }
            RuleMode::Confirm => self.propose_rule(plan),
            RuleMode::Act => {
                self.guard.proposal = None;
                self.note_begun(&plan);
                self.begin_plan(plan, Origin::Rule);
                return true;
            }
        }
        false
    }

    /// An own command runs once while a level stands; a process is ended once.
    fn note_begun(&mut self, plan: &Plan) {
        if plan.steps.iter().any(|step| matches!(step.action, Action::Run { .. })) {
            self.guard.ran = Some(self.readings.level().since.mono);
        }
        if plan.purpose == Purpose::KillSwitch {
            self.guard.killed = Some(self.now.mono);
            let ids = plan.steps.iter().filter_map(|step| match &step.action {
                Action::Component { id, .. } => Some(id.clone()),
                _ => None,
            });
            self.guard.switch.tried.extend(ids);
        }
    }

    fn say_once(&mut self, plan: Plan, mode: RuleMode) {
        if self.guard.restraint.is_news(&key(&plan, mode), self.now.mono) {
            let is_watched = self.attention.watched;
            self.tell(EventBody::Proposed { plan: Box::new(plan), mode, is_watched });
        }
    }

    fn propose_rule(&mut self, plan: Plan) {
        if self.guard.refused == Some(self.readings.level().since.mono) {
            return;
        }
        let is_asked = self.guard.proposal.as_ref().is_some_and(|asked| {
            key(&asked.plan, RuleMode::Confirm) == key(&plan, RuleMode::Confirm)
        });
        if is_asked {
            return;
        }
        self.guard.proposals += 1;
        let number = self.guard.proposals;
        self.guard.proposal =
            Some(Arc::new(Proposal { number, plan: plan.clone(), since: self.now }));
        self.say_once(plan, RuleMode::Confirm);
    }

    /// A person's word on what a rule proposed.
    pub(super) fn answer(&mut self, number: u64, accept: bool) -> Result<(), String> {
        let Some(asked) = self.guard.proposal.take_if(|asked| asked.number == number) else {
            return Err("no rule asks that any longer".into());
        };
        if !accept {
            self.guard.refused = Some(self.readings.level().since.mono);
            return Ok(());
        }
        if self.actions.is_planning() {
            return Err("another plan is being carried out".into());
        }
        self.note_begun(&asked.plan);
        self.begin_plan(asked.plan.clone(), Origin::Person);
        Ok(())
    }

    pub(super) fn level_has_changed(&mut self) {
        self.guard.restraint.level_changed();
        self.guard.refused = None;
        self.guard.proposal = None;
    }

    /// After a sleep: what was is not known to have lasted, so rules wait as
    /// they do after the start.
    pub(super) fn guard_wakes_up(&mut self) {
        self.guard.switch.past_since = None;
        self.guard.woke = Some(self.now.mono);
        self.guard.restraint.start_again(self.now.mono);
    }

    fn follow_switch(&mut self) {
        let memory = self.readings.memory();
        let used = memory.and_then(|memory| memory.used().share_of(memory.total));
        if guard::is_past_kill_switch(&self.rules, used) {
            self.guard.switch.past_since.get_or_insert(self.now.mono);
        } else if self.guard.switch.past_since.is_some() {
            self.guard.switch = Switch::default();
        }
    }

    /// What the kill switch wants, once memory has been past it long enough.
    fn last_resort(&mut self) -> Option<(Plan, RuleMode)> {
        let switch = self.rules.kill_switch.filter(|switch| switch.mode != RuleMode::Off)?;
        let since = self.guard.switch.past_since?;
        let is_sustained = self.now.mono.since(since) >= switch.sustained;
        let is_too_soon =
            self.guard.killed.is_some_and(|at| self.now.mono.since(at) < BETWEEN_KILLS);
        if !is_sustained || is_too_soon || self.guard.switch.has_given_up {
            return None;
        }
        if self.guard.switch.tried.len() >= KILLS_AT_MOST {
            self.guard.switch.has_given_up = true;
            let text =
                format!("kill switch: memory did not fall after {KILLS_AT_MOST} ends, it stops");
            self.tell(EventBody::Note { text });
            return None;
        }
        let models = self.model_views();
        let load = plan::Load {
            models: &models,
            components: &self.components.value,
            spared: &Default::default(),
            now: self.now,
        };
        let plan = guard::last_resort(&load, &self.guard.switch.tried);
        (!plan.steps.is_empty()).then_some((plan, switch.mode))
    }

    /// At leisure: what is owed, what has grown, what is to be there.
    fn give_back(&mut self) {
        let (level, since) = (self.readings.level().level, self.readings.level().since);
        let awake_since = self.guard.woke.map_or(since.mono, |woke| woke.max(since.mono));
        let has_recovered = level == Level::Normal && self.now.mono.since(awake_since) >= RECOVERED;
        if has_recovered && self.begin_restore() {
            return;
        }
        if level > Level::Warning {
            return;
        }
        let mode = self.rules.at(level).mode;
        if let Some(plan) = self.recycling() {
            self.heed(plan, mode);
        } else if has_recovered && let Some(plan) = self.preloading() {
            if mode == RuleMode::Act {
                let names = plan.steps.iter().filter_map(|step| step.action.model().cloned());
                self.guard.preloaded.extend(names);
            }
            self.heed(plan, mode);
        }
    }
}
