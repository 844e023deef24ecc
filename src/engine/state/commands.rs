//! What front ends ask: checked against what is true, then begun or refused.

use std::collections::BTreeMap;

use crate::domain::component::{ComponentKind, Priority};
use crate::domain::event::{EventBody, Origin};
use crate::domain::model::ModelState;
use crate::domain::pattern;
use crate::domain::plan::{Keep, Plan};
use crate::domain::snapshot::Mode;
use crate::domain::text::clean;
use crate::domain::{
    Action, Event, Group, InstalledModel, ModelName, Named, NamedBy, Process, ProcessKey, Strength,
};
use crate::policy::plan;

use super::super::input::{Choice, ComponentRule, Effect, RequestNumber};
use super::super::link::{Command, PlanRequest, Reply};
use super::State;
use super::fits::Gate;

/// More events than a page could want at once.
const OLDER_AT_MOST: usize = 500;

/// Names are cut at some 300 bytes where they come in.
const LONGEST_ID: usize = 512;

/// Each is kept for good, in memory and on disk.
const CHOICES_AT_MOST: usize = 4096;

/// More steps than any machine has models and components; a plan in progress
/// is in every snapshot.
const PLAN_AT_MOST: usize = 2048;

pub(super) fn events_reply(events: Result<Vec<Event>, String>) -> Reply {
    match events {
        Ok(events) => Reply::Events { events },
        Err(reason) => Reply::Refused { reason },
    }
}

type Taken = Result<Reply, String>;

/// The line of a pin or a priority that was set.
fn told_of_choice(component: &str, pinned: Option<bool>, priority: Option<Priority>) -> String {
    let name = clean(component);
    match (pinned, priority) {
        (Some(true), _) => format!("{name} pinned {}", Origin::Person),
        (Some(false), _) => format!("{name} unpinned {}", Origin::Person),
        (None, Some(priority)) => format!("{name} set to priority {priority} {}", Origin::Person),
        (None, None) => name,
    }
}

/// What a plan says goes to the screen as it comes.
fn without_hostile_text(mut plan: Plan) -> Plan {
    for step in &mut plan.steps {
        step.reason = clean(&step.reason);
    }
    for kept in &mut plan.kept {
        (kept.name, kept.reason) = (clean(&kept.name), clean(&kept.reason));
    }
    plan
}

/// What the config may call a component.
pub(super) struct Called<'a> {
    /// [`crate::domain::Component::id`]
    pub(super) id: &'a str,
    /// By its command line, as far as it matched.
    pub(super) process: Option<&'a Process>,
    /// By its ids.
    pub(super) group: Option<&'a Group>,
}

impl<'a> Called<'a> {
    pub(super) fn by_id(id: &'a str) -> Self {
        Called { id, process: None, group: None }
    }

    fn answers_to(&self, pattern: &str) -> bool {
        let by_line = || {
            let line = pattern.strip_prefix(NamedBy::Cmdline.prefix())?;
            Some(self.process?.matched.iter().any(|matched| matched == line))
        };
        let by_group = || Some(self.group?.answers_to(&Named::parse(pattern)?));
        by_line().or_else(by_group).unwrap_or(false)
    }
}

impl State {
    pub(super) fn take_command(&mut self, number: RequestNumber, command: Command) {
        if let Command::OlderEvents { before, limit } = command {
            let limit = limit.min(OLDER_AT_MOST);
            self.effects.push(Effect::FetchOlder { number, before, limit });
            return;
        }
        let reply = match self.try_command(command) {
            Ok(reply) => reply,
            // It names what was asked for, as it was asked for.
            Err(reason) => Reply::Refused { reason: clean(&reason) },
        };
        self.reply(number, reply);
    }

    fn try_command(&mut self, command: Command) -> Taken {
        if command.changes() && self.settings.mode == Mode::Replay {
            return Err("a recording is being played, nothing can be changed".into());
        }
        match command {
            Command::Propose { request } => self.propose(&request).map(|plan| Reply::Plan { plan }),
            Command::CarryOut { plan } => self.carry_out(plan),
            Command::Unload { model } => self.unload(model),
            Command::Load { model, keep, context, force } => {
                self.load((model, keep, context), force)
            }
            Command::Keep { model, keep } => self.keep(model, keep),
            Command::EndRunner { process } => self.end_runner(process),
            Command::Pin { component, pinned } => self.choose(component, Some(pinned), None),
            Command::SetPriority { component, priority } => {
                self.choose(component, None, Some(priority))
            }
            Command::Answer { proposal, accept } => {
                self.answer(proposal, accept).map(|()| Reply::Accepted)
            }
            Command::Fit { question } => {
                self.judge(&question).map(|fit| Reply::Fit { fit: Box::new(fit) })
            }
            Command::Why => Ok(Reply::Why { why: Box::new(self.why()) }),
            Command::PollNow => {
                self.poll_now();
                Ok(Reply::Accepted)
            }
            Command::Attend { attention } => {
                self.attention = attention;
                Ok(Reply::Accepted)
            }
            Command::OlderEvents { .. } => Ok(Reply::Accepted),
        }
    }

    fn propose(&mut self, request: &PlanRequest) -> Result<Plan, String> {
        if let PlanRequest::Rule(level) = request {
            return Ok(self.rule_wish_at(*level, false));
        }
        let models = self.model_views();
        let spared = BTreeMap::new();
        let components = &self.components.value;
        let load = plan::Load { models: &models, components, spared: &spared, now: self.now };
        Ok(match request {
            PlanRequest::Cleanup(strength) => {
                let target = match strength {
                    Strength::Force => None,
                    Strength::Light | Strength::Aggressive => self.excess(),
                };
                plan::cleanup(&load, *strength, target)
            }
            PlanRequest::Free(bytes) => plan::free(&load, *bytes),
            PlanRequest::To(level) => plan::free(&load, self.excess_over(*level)?),
            PlanRequest::Unload(names) => plan::asked(&load, names),
            PlanRequest::UnloadAll => plan::unload_all(&load),
            PlanRequest::Recycle(name) => plan::recycle(&load, name),
            PlanRequest::Undo | PlanRequest::Rule(_) => self.undoing(),
        })
    }

    fn carry_out(&mut self, plan: Plan) -> Taken {
        if self.actions.is_planning() {
            return Err("another plan is being carried out".into());
        }
        if plan.steps.is_empty() {
            return Err("the plan has no steps".into());
        }
        if plan.steps.len() + plan.kept.len() > PLAN_AT_MOST {
            return Err(format!("a plan has {PLAN_AT_MOST} steps at most"));
        }
        // A plan comes back from a front end: only what could be drafted is
        // carried out.
        if let Some(reason) = plan.steps.iter().find_map(|step| self.why_never(&step.action)) {
            return Err(reason);
        }
        self.begin_plan(without_hostile_text(plan), Origin::Person);
        Ok(Reply::Accepted)
    }

    /// Why no plan may hold this action.
    fn why_never(&self, action: &Action) -> Option<String> {
        match action {
            Action::Unload { model } | Action::Load { model, .. } => {
                (clean(model.as_str()) != model.as_str()).then(|| "that is no model's name".into())
            }
            Action::Component { .. } => self.why_not_done(action).err(),
            Action::Run { words } => {
                let rules = &self.rules.levels;
                let is_own = rules.iter().any(|rule| rule.run.contains(words));
                (!is_own).then(|| "the config has no such command".into())
            }
            Action::Keep { .. } | Action::EndRunner { .. } => {
                Some(format!("a plan may not {}", action.verb()))
            }
        }
    }

    fn unload(&mut self, model: ModelName) -> Taken {
        let views = self.model_views();
        let Some(view) = views.iter().find(|view| view.name == model) else {
            return Err(format!("{model} is not loaded"));
        };
        if view.is_cloud {
            return Err(format!("{model} runs elsewhere and holds no memory here"));
        }
        match view.state {
            ModelState::Loading { .. } => {
                return Err(format!("{model} is loading; unloading waits for no load"));
            }
            ModelState::Unloading { .. } => return Err(format!("{model} is unloading already")),
            _ => {}
        }
        if self.actions.is_about(&model) {
            return Err(format!("something is being done to {model} already"));
        }
        let expected = plan::expected(view).map(|footprint| footprint.bytes);
        self.begin(Action::Unload { model }, Origin::Person, expected);
        Ok(Reply::Accepted)
    }

    pub(super) fn installed_model(&self, model: &ModelName) -> Option<&InstalledModel> {
        self.installed.value.iter().find(|installed| &installed.name == model)
    }

    /// Through the gate; by force in spite of it, which is said.
    fn load(
        &mut self,
        (model, keep, context): (ModelName, Keep, Option<u64>),
        force: bool,
    ) -> Taken {
        self.why_not_loaded(&model)?;
        if context == Some(0) {
            return Err("a context of no tokens holds nothing".into());
        }
        let gate = self.gate(&model, context);
        let said = model.short().to_owned();
        let action = Action::Load { model, keep, context };
        let expected = match gate {
            Gate::Open(expected) => expected,
            Gate::Closed(fit) if force => {
                let (need, lacks) = (fit.need.bytes(), fit.lacks());
                self.tell(EventBody::LoadForced { model: said, need, lacks });
                Some(need)
            }
            Gate::Closed(fit) => {
                let (need, lacks) = (fit.need.bytes(), fit.lacks());
                self.tell(EventBody::LoadRefused { model: said, need, lacks });
                let plan = self.making_room(&fit, action);
                return Ok(Reply::DoesNotFit { fit, plan });
            }
        };
        self.begin(action, Origin::Person, expected);
        Ok(Reply::Accepted)
    }

    pub(super) fn why_not_loaded(&self, model: &ModelName) -> Result<(), String> {
        let Some(installed) = self.installed_model(model) else {
            return Err(format!("{model} is not installed"));
        };
        if installed.is_cloud {
            return Err(format!("{model} runs elsewhere: nothing is loaded here"));
        }
        if self.models.get(model).is_some_and(|tracked| tracked.listed.is_some()) {
            return Err(format!("{model} is loaded already"));
        }
        if self.actions.is_about(model) || self.models.contains_key(model) {
            return Err(format!("{model} is loading or leaving already"));
        }
        Ok(())
    }

    fn keep(&mut self, model: ModelName, keep: Keep) -> Taken {
        let listed = self.models.get(&model).and_then(|tracked| tracked.listed.as_ref());
        match listed {
            None => return Err(format!("{model} is not loaded")),
            Some(listed) if listed.is_cloud => {
                return Err(format!("{model} runs elsewhere"));
            }
            Some(listed) if listed.context.is_none() => {
                // Without its context the request could reload it.
                return Err(format!("the server does not say the context of {model}"));
            }
            Some(_) => {}
        }
        if self.actions.is_about(&model) {
            return Err(format!("something is being done to {model} already"));
        }
        self.begin(Action::Keep { model, keep }, Origin::Person, None);
        Ok(Reply::Accepted)
    }

    /// Only the runner of a stuck model, or an orphan. Never a server.
    fn end_runner(&mut self, process: ProcessKey) -> Taken {
        let stuck = self.models.iter().find(|(_, tracked)| tracked.runner == Some(process));
        let name = match stuck {
            Some((name, tracked)) if matches!(tracked.state, ModelState::Stuck { .. }) => {
                name.short().to_owned()
            }
            Some((name, _)) => return Err(format!("{name} is not stuck")),
            None => {
                let orphan = self
                    .components
                    .value
                    .iter()
                    .find(|c| c.process == Some(process) && c.kind == ComponentKind::Orphan);
                match orphan {
                    Some(orphan) => orphan.name.clone(),
                    None => {
                        return Err("only a stuck model's runner or an orphan may be ended".into());
                    }
                }
            }
        };
        if self.actions.ends_process(process) {
            return Err("it is being ended already".into());
        }
        let expected = self.readings.processes().and_then(|processes| {
            processes.find(process)?.memory.measured().map(|(bytes, _)| bytes)
        });
        self.begin(Action::EndRunner { process, name }, Origin::Person, expected);
        Ok(Reply::Accepted)
    }

    fn choose(
        &mut self,
        component: String,
        pinned: Option<bool>,
        priority: Option<Priority>,
    ) -> Taken {
        if component.len() > LONGEST_ID || component.contains(char::is_control) {
            return Err("that is no component's id".into());
        }
        if self.choices.len() >= CHOICES_AT_MOST && !self.choices.contains_key(&component) {
            return Err(format!("{CHOICES_AT_MOST} components have a pin or a priority already"));
        }
        let choice = self.choices.entry(component.clone()).or_insert_with(|| Choice {
            component,
            pinned: None,
            priority: None,
        });
        let before = choice.clone();
        choice.pinned = pinned.or(choice.pinned);
        choice.priority = priority.or(choice.priority);
        let chosen = choice.clone();
        if chosen != before {
            let text = told_of_choice(&chosen.component, pinned, priority);
            self.tell(EventBody::Note { text });
        }
        self.effects.push(Effect::Choose(chosen));
        self.rebuild_components();
        Ok(Reply::Accepted)
    }

    /// What the config says of a component: of each thing, the first that
    /// says it.
    pub(super) fn rules_on(&self, called: &Called<'_>) -> Vec<&ComponentRule> {
        let is_about = |rule: &&ComponentRule| {
            pattern::matches(&rule.pattern, called.id) || called.answers_to(&rule.pattern)
        };
        self.settings.components.iter().filter(is_about).collect()
    }

    /// Priority and pin of a component: set by key, else by the config, else
    /// by default.
    pub(super) fn standing(&self, id: &str, rules: &[&ComponentRule]) -> (Priority, bool) {
        let choice = self.choices.get(id);
        let priority = choice
            .and_then(|choice| choice.priority)
            .or_else(|| rules.iter().find_map(|rule| rule.priority))
            .unwrap_or_default();
        let pinned = choice
            .and_then(|choice| choice.pinned)
            .or_else(|| rules.iter().find_map(|rule| rule.pinned))
            .unwrap_or(false);
        (priority, pinned)
    }
}
