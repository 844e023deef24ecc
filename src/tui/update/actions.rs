//! The keys that change something: each either asks the engine at once or
//! opens the dialog that shows what it would do.

use std::time::Duration;

use crate::domain::component::{Component, ComponentKind, Priority};
use crate::domain::model::{Activity, Expiry, ModelName, ModelState, ModelView};
use crate::domain::plan::{Action, Plan, Purpose as PlanPurpose, Step, Strength};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::{Command, PlanRequest};
use crate::tui::keymap::Intent;
use crate::tui::rows::{ModelRow, component_id, selected_component, selected_model};
use crate::tui::state::{Dialog, KEEP_CHOICES, Page, PlanView, Tone, Ui, WhyView};
use crate::tui::update::{Purpose, UiEffect};

/// How long after a row has vanished from under the cursor a key asks first:
/// a finger already moving needs about half of that.
const SLIPPED_FOR: Duration = Duration::from_secs(1);

/// The dial of a load starts at five minutes, the server's own default.
const USUAL_KEEP: usize = 1;

impl Ui {
    pub(super) fn act(
        &mut self,
        intent: Intent,
        snapshot: &Snapshot,
        now: Monotonic,
    ) -> Vec<UiEffect> {
        let done = match intent {
            Intent::Unload => self.unload(snapshot, now),
            Intent::UnloadAll => Ok(self.propose_all()),
            Intent::Cleanup => Ok(self.cleanup(Strength::Light)),
            Intent::Load => self.load(snapshot),
            Intent::Fit => self.ask_fit(snapshot),
            Intent::ContextLess => self.turn_context(snapshot, -1).map(|()| Vec::new()),
            Intent::ContextMore => self.turn_context(snapshot, 1).map(|()| Vec::new()),
            Intent::KvType => self.turn_kv_type(snapshot).map(|()| Vec::new()),
            Intent::Keep => self.keep(snapshot),
            Intent::EndRunner => self.end_runner(snapshot),
            Intent::Pin => pin(snapshot, self),
            Intent::Raise => prioritize(snapshot, self, Priority::raised),
            Intent::Lower => prioritize(snapshot, self, Priority::lowered),
            Intent::Undo => Ok(self.undo()),
            Intent::Recycle => self.recycle(snapshot),
            Intent::Why => Ok(self.ask_why()),
            Intent::Answer => self.look_at_proposal(snapshot),
            Intent::RuleMode => self.change_mode(snapshot),
            Intent::Retry => Ok(act_at_once(Command::PollNow, "asked the model server")),
            _ => Ok(Vec::new()),
        };
        done.unwrap_or_else(|refusal| {
            self.say(Tone::Neutral, refusal, now);
            Vec::new()
        })
    }

    fn unload(&mut self, snapshot: &Snapshot, now: Monotonic) -> Result<Vec<UiEffect>, String> {
        let model = loaded_model(snapshot, self)?;
        let name = &model.name;
        if model.is_cloud {
            return Err(format!("{name} runs elsewhere and holds nothing here"));
        }
        match model.state {
            ModelState::Unloading { .. } => return Err(format!("{name} is already asked to go")),
            ModelState::Stuck { .. } => {
                return Err(format!("{name} does not go; its runner may be ended"));
            }
            _ => {}
        }
        let has_slipped = self.memory.slipped.is_some_and(|since| now.since(since) < SLIPPED_FOR);
        let Some(warning) = warning_for(model)
            .or(has_slipped.then(|| "the selection has just moved here by itself".to_owned()))
        else {
            let command = Command::Unload { model: name.clone() };
            return Ok(act_at_once(command, format!("asked {name} to unload")));
        };
        let title = format!("unload {name}");
        if model.is_remote {
            // Never in a plan of the engine's: this one only shows what a yes does.
            let plan = PlanView::Ready(remote_plan(name));
            self.dialog = Some(Dialog::Confirm { title, plan, warning: Some(warning) });
            return Ok(Vec::new());
        }
        let request = PlanRequest::Unload(vec![name.clone()]);
        let plan = PlanView::Waiting;
        self.dialog = Some(Dialog::Confirm { title, plan, warning: Some(warning) });
        Ok(self.propose(request))
    }

    fn propose_all(&mut self) -> Vec<UiEffect> {
        let title = "unload all".to_owned();
        self.dialog = Some(Dialog::Confirm { title, plan: PlanView::Waiting, warning: None });
        self.propose(PlanRequest::UnloadAll)
    }

    pub(super) fn cleanup(&mut self, strength: Strength) -> Vec<UiEffect> {
        self.dialog = Some(Dialog::Cleanup { strength, plan: PlanView::Waiting });
        self.propose(PlanRequest::Cleanup(strength))
    }

    fn undo(&mut self) -> Vec<UiEffect> {
        let title = "undo: bring back".to_owned();
        self.dialog = Some(Dialog::Confirm { title, plan: PlanView::Waiting, warning: None });
        self.propose(PlanRequest::Undo)
    }

    fn recycle(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        let model = loaded_model(snapshot, self)?;
        let name = model.name.clone();
        if model.is_cloud || model.is_remote {
            return Err(format!("{name} runs elsewhere: nothing would be freed here"));
        }
        let warning = warning_for(model);
        let title = format!("recycle {name}");
        self.dialog = Some(Dialog::Confirm { title, plan: PlanView::Waiting, warning });
        Ok(self.propose(PlanRequest::Recycle(name)))
    }

    fn ask_why(&mut self) -> Vec<UiEffect> {
        self.dialog = Some(Dialog::Why(WhyView::Waiting));
        vec![UiEffect::Send(Command::Why, Purpose::Why)]
    }

    fn look_at_proposal(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        let asked = snapshot.proposal.clone().ok_or("no rule asks for anything now")?;
        self.dialog = Some(Dialog::Proposal(asked));
        Ok(Vec::new())
    }

    fn propose(&mut self, request: PlanRequest) -> Vec<UiEffect> {
        self.memory.plans_asked += 1;
        let purpose = Purpose::Plan(self.memory.plans_asked);
        vec![UiEffect::Send(Command::Propose { request }, purpose)]
    }

    fn load(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        match selected_model(snapshot, self) {
            Some(ModelRow::Installed(model)) if model.is_cloud => {
                Err(format!("{} runs elsewhere: it is never loaded here", model.name))
            }
            Some(ModelRow::Installed(model)) => {
                self.open_load(model.name.clone());
                Ok(Vec::new())
            }
            _ if self.page == Page::Overview && self.considered.is_some() => {
                self.considered.clone().into_iter().for_each(|model| self.open_load(model));
                Ok(Vec::new())
            }
            None if snapshot.installed.value.is_empty() => {
                Err("no installed model is known: does the server answer?".to_owned())
            }
            _ if self.page == Page::Overview => {
                self.open(Page::Models);
                Err("select the model to load".to_owned())
            }
            Some(row) => Err(format!("{} is loaded already", row.name())),
            None => Err("no model is selected".to_owned()),
        }
    }

    fn open_load(&mut self, model: ModelName) {
        self.dialog = Some(Dialog::Load { model, chosen: USUAL_KEEP, is_asked: false });
    }

    fn keep(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        let model = loaded_model(snapshot, self)?;
        if model.is_cloud {
            return Err(format!("{} runs elsewhere and stays nowhere", model.name));
        }
        let chosen = match model.expires {
            Some(Expiry::Never) => KEEP_CHOICES.len() - 1,
            Some(Expiry::At(at)) => nearest_choice(at.as_second() - snapshot.at.wall.as_second()),
            None => USUAL_KEEP,
        };
        self.dialog = Some(Dialog::Keep { model: model.name.clone(), chosen });
        Ok(Vec::new())
    }

    fn end_runner(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        let model = selected_model(snapshot, self).and_then(|row| row.loaded());
        let stuck = model.filter(|model| matches!(model.state, ModelState::Stuck { .. }));
        let stuck = stuck.and_then(|model| Some((model.runner?, model.name.to_string())));
        let orphan = selected_component(snapshot, self)
            .filter(|component| component.kind == ComponentKind::Orphan)
            .and_then(|component| Some((component.process?, component.name.clone())));
        let (process, name) = stuck.or(orphan).ok_or_else(|| {
            "only the runner of a stuck model, or an orphan, may be ended".to_owned()
        })?;
        self.dialog = Some(Dialog::EndRunner { process, name });
        Ok(Vec::new())
    }
}

pub(super) fn act_at_once(command: Command, said: impl Into<String>) -> Vec<UiEffect> {
    vec![UiEffect::Send(command, Purpose::Act(said.into()))]
}

fn loaded_model<'a>(snapshot: &'a Snapshot, ui: &Ui) -> Result<&'a ModelView, String> {
    match selected_model(snapshot, ui) {
        Some(ModelRow::Loaded(model)) => Ok(model),
        Some(ModelRow::Installed(model)) => Err(format!("{} is not loaded", model.name)),
        None => Err("no loaded model is selected".to_owned()),
    }
}

/// Why an unload asks first, worst reason first.
fn warning_for(model: &ModelView) -> Option<String> {
    let name = &model.name;
    if model.is_remote {
        Some(format!("{name} is on another machine: nothing is freed here"))
    } else if matches!(model.state, ModelState::Loading { .. }) {
        Some(format!("{name} is still loading"))
    } else if model.activity == Activity::Busy {
        Some(format!("{name} is busy: whoever it answers is cut off or waits"))
    } else if model.pinned {
        Some(format!("{name} is pinned"))
    } else if model.activity == Activity::Unknown {
        Some(format!("{name} may be busy: its runner cannot be seen"))
    } else {
        None
    }
}

fn remote_plan(model: &ModelName) -> Plan {
    let step = Step {
        action: Action::Unload { model: model.clone() },
        expected: None,
        reason: "you asked, on another machine".to_owned(),
    };
    Plan { purpose: PlanPurpose::Asked, target: None, steps: vec![step], kept: Vec::new() }
}

/// The choice of the dial that lies nearest to the seconds left.
fn nearest_choice(seconds: i64) -> usize {
    let minutes = u64::try_from(seconds).unwrap_or(0) / 60;
    let far = |choice: &Option<u64>| choice.map_or(u64::MAX, |m| m.abs_diff(minutes));
    let nearest = KEEP_CHOICES.iter().enumerate().min_by_key(|(_, choice)| far(choice));
    nearest.map_or(USUAL_KEEP, |(index, _)| index)
}

/// The identity, name, pin and priority of what the keys act on.
fn target(snapshot: &Snapshot, ui: &Ui) -> Result<(String, String, bool, Priority), String> {
    if ui.page == Page::Components {
        let of = |c: &Component| (c.id.clone(), c.name.clone(), c.pinned, c.priority);
        return selected_component(snapshot, ui).map(of).ok_or("nothing is selected".to_owned());
    }
    let model = loaded_model(snapshot, ui)?;
    let id = component_id(&model.name);
    Ok((id, model.name.to_string(), model.pinned, model.priority))
}

fn pin(snapshot: &Snapshot, ui: &Ui) -> Result<Vec<UiEffect>, String> {
    let (component, name, pinned, _) = target(snapshot, ui)?;
    let said = if pinned { format!("unpinned {name}") } else { format!("pinned {name}") };
    Ok(act_at_once(Command::Pin { component, pinned: !pinned }, said))
}

fn prioritize(
    snapshot: &Snapshot,
    ui: &Ui,
    change: fn(Priority) -> Priority,
) -> Result<Vec<UiEffect>, String> {
    let (component, name, _, old) = target(snapshot, ui)?;
    let priority = change(old);
    if priority == old {
        return Err(format!("the priority of {name} is already {priority}"));
    }
    let said = format!("{name}: priority {priority}");
    Ok(act_at_once(Command::SetPriority { component, priority }, said))
}
