//! What happens in an open dialog: turning its dial, saying yes.

use std::time::Duration;

use crate::domain::plan::{Action, Keep, Plan, Purpose as PlanPurpose, Strength};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::Command;
use crate::tui::state::{Dialog, KEEP_CHOICES, PlanView, Tone, Ui};
use crate::tui::update::UiEffect;
use crate::tui::update::actions::act_at_once;
use crate::tui::update::fits::{load_by_force, makes_room};

impl Ui {
    /// Turns the dial of the open dialog, if it has one.
    pub(super) fn turn(&mut self, snapshot: &Snapshot, by: isize) -> Vec<UiEffect> {
        match &mut self.dialog {
            Some(Dialog::Keep { chosen, .. } | Dialog::Load { chosen, is_asked: false, .. }) => {
                *chosen = chosen.saturating_add_signed(by).min(KEEP_CHOICES.len() - 1);
                Vec::new()
            }
            Some(Dialog::Setting { .. }) => self.turn_mode(by),
            Some(Dialog::Fit(_)) => {
                // It is open, so it is judged.
                let _is_turned = self.turn_context(snapshot, by);
                Vec::new()
            }
            Some(Dialog::Cleanup { strength, .. }) => {
                let next = stronger(*strength, by);
                self.cleanup(next)
            }
            _ => Vec::new(),
        }
    }

    /// No to a rule that asks; any other dialog is closed.
    pub(super) fn refuse(&mut self) -> Vec<UiEffect> {
        match self.dialog.take() {
            Some(Dialog::Proposal(asked)) => answer(asked.number, false),
            _ => Vec::new(),
        }
    }

    pub(super) fn confirm(&mut self, snapshot: &Snapshot, now: Monotonic) -> Vec<UiEffect> {
        let Some(dialog) = self.dialog.take() else {
            return Vec::new();
        };
        match dialog {
            Dialog::Cleanup { plan: PlanView::Ready(plan), .. }
            | Dialog::Confirm { plan: PlanView::Ready(plan), .. }
                if !plan.steps.is_empty() =>
            {
                carry_out(plan, snapshot)
            }
            Dialog::Cleanup { ref plan, .. } | Dialog::Confirm { ref plan, .. } => {
                self.say(Tone::Neutral, why_not(plan), now);
                // A refused plan has nothing more to show; others may still come.
                if !matches!(plan, PlanView::Refused(_)) {
                    self.dialog = Some(dialog);
                }
                Vec::new()
            }
            Dialog::Keep { model, chosen } => {
                let said = format!("asked to keep {model} {}", keep(chosen));
                act_at_once(Command::Keep { model, keep: keep(chosen) }, said)
            }
            Dialog::Load { is_asked: true, .. } => {
                self.dialog = Some(dialog);
                Vec::new()
            }
            Dialog::Load { model, chosen, .. } => self.ask_load(model, chosen),
            Dialog::NoRoom(refused) if !makes_room(refused.plan.as_ref()) => {
                self.say(Tone::Neutral, "unloading models would not make room", now);
                self.dialog = Some(Dialog::NoRoom(refused));
                Vec::new()
            }
            Dialog::NoRoom(refused) => {
                refused.plan.map_or_else(Vec::new, |plan| carry_out(plan, snapshot))
            }
            Dialog::Force(refused) => load_by_force(refused),
            Dialog::EndRunner { process, name } => {
                act_at_once(Command::EndRunner { process }, format!("ending the runner of {name}"))
            }
            Dialog::Proposal(asked) => answer(asked.number, true),
            Dialog::Setting { .. } => {
                self.dialog = Some(dialog);
                self.write_setting()
            }
            Dialog::Details(_) | Dialog::Why(_) | Dialog::Fit(_) => Vec::new(),
            Dialog::Quit { .. } => {
                self.is_quitting = true;
                vec![UiEffect::Quit]
            }
        }
    }
}

/// What a rule asked is done, or left.
fn answer(proposal: u64, accept: bool) -> Vec<UiEffect> {
    let said = if accept { "the rule may go on" } else { "the rule was told no" };
    act_at_once(Command::Answer { proposal, accept }, said)
}

/// A plan goes to the engine whole; an unload on another machine is no plan.
fn carry_out(plan: Plan, snapshot: &Snapshot) -> Vec<UiEffect> {
    if let [step] = plan.steps.as_slice()
        && let Action::Unload { model } = &step.action
        && snapshot.model(model).is_some_and(|view| view.is_remote)
    {
        let said = format!("asked {model} to unload on its machine");
        return act_at_once(Command::Unload { model: model.clone() }, said);
    }
    let said = match plan.purpose {
        PlanPurpose::Undo if plan.only_loads() => "loading again".to_owned(),
        PlanPurpose::Undo => "bringing back".to_owned(),
        PlanPurpose::MakeRoom => "making room".to_owned(),
        PlanPurpose::Recycle => "recycling".to_owned(),
        _ => format!("freeing {}", plan.expected()),
    };
    act_at_once(Command::CarryOut { plan }, said)
}

fn why_not(plan: &PlanView) -> String {
    match plan {
        PlanView::Waiting => "the plan is still being made".to_owned(),
        PlanView::Ready(plan) if plan.purpose == PlanPurpose::Undo => {
            "there is nothing to bring back".to_owned()
        }
        PlanView::Ready(_) => "there is nothing to free this way".to_owned(),
        PlanView::Refused(reason) => format!("refused: {reason}"),
    }
}

/// What a place on the dial means.
pub fn keep(chosen: usize) -> Keep {
    match KEEP_CHOICES.get(chosen).copied().flatten() {
        Some(minutes) => Keep::For(Duration::from_secs(minutes * 60)),
        None => Keep::Forever,
    }
}

fn stronger(strength: Strength, by: isize) -> Strength {
    let all = Strength::ALL;
    let place = all.iter().position(|other| *other == strength).unwrap_or_default();
    // The dial has no ends: Tab alone reaches every strength.
    all[(place + all.len()).saturating_add_signed(by) % all.len()]
}
