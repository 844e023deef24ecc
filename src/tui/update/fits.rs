//! Whether a model fits: which one is considered, how it is judged, and the
//! load that goes through the gate.

use crate::domain::fit::{Fit, FitQuestion};
use crate::domain::model::ModelName;
use crate::domain::plan::Plan;
use crate::domain::shape::KvType;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::{Command, Reply};
use crate::tui::rows::{ModelRow, selected_model};
use crate::tui::state::{Dialog, NoRoom, Page, Tone, Ui};
use crate::tui::update::actions::act_at_once;
use crate::tui::update::dialogs::keep;
use crate::tui::update::{Purpose, UiEffect};

/// The shortest context of the dial: half of what Ollama takes by itself.
const SHORTEST: u64 = 2048;

/// The longest where nobody says how long the model was trained for.
const LONGEST: u64 = 131_072;

/// Types of the cache that a server can be set to (`OLLAMA_KV_CACHE_TYPE`).
const KV_TYPES: [KvType; 3] = [KvType::F16, KvType::Q8_0, KvType::Q4_0];

impl Ui {
    /// Opens the verdict on the selected model, else on the one considered.
    pub(super) fn ask_fit(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        let row = selected_model(snapshot, self);
        if let Some(row) = row.filter(is_elsewhere) {
            return Err(format!("{} runs elsewhere: it needs nothing here", row.name()));
        }
        let name = row.map(|row| row.name().clone()).or_else(|| self.considered.clone());
        match name {
            Some(name) => {
                self.dialog = Some(Dialog::Fit(name));
                Ok(Vec::new())
            }
            None if snapshot.installed.value.is_empty() => {
                Err("no installed model is known: does the server answer?".to_owned())
            }
            None if self.page == Page::Overview => {
                self.open(Page::Models);
                Err("select the model to ask about".to_owned())
            }
            None => Err("no model is selected".to_owned()),
        }
    }

    /// Another context to judge by: the next power of two.
    pub(super) fn turn_context(&mut self, snapshot: &Snapshot, by: isize) -> Result<(), String> {
        let model = self.judged(snapshot)?;
        let question = self.dial_of(&model);
        let judged_at = snapshot.fits.value.of(&model).map(|fit| fit.settings.context);
        let steps = steps(longest_context(snapshot, &model).unwrap_or(LONGEST));
        let context = match (question.context, question.context.or(judged_at)) {
            (_, Some(at)) if by > 0 => {
                steps.into_iter().find(|step| *step > at).or(question.context)
            }
            (_, None) => steps.into_iter().next().filter(|_| by > 0),
            // Below the shortest it is as the server would have it.
            (_, Some(at)) => steps.into_iter().rev().find(|step| *step < at),
        };
        self.set_dial(FitQuestion { context, ..question });
        Ok(())
    }

    /// The next type of the cache; after the last as the server has it.
    pub(super) fn turn_kv_type(&mut self, snapshot: &Snapshot) -> Result<(), String> {
        let model = self.judged(snapshot)?;
        let question = self.dial_of(&model);
        let mut types = KV_TYPES.into_iter();
        let kv_type = match question.kv_type {
            // Not the one it is judged with as it is: nothing would turn.
            None => {
                let judged = snapshot.fits.value.of(&model).map(|fit| fit.settings.kv_type);
                types.find(|kind| Some(*kind) != judged)
            }
            Some(now) => types.skip_while(|kind| *kind != now).nth(1),
        };
        self.set_dial(FitQuestion { kv_type, ..question });
        Ok(())
    }

    /// The model the dial turns for.
    fn judged(&self, snapshot: &Snapshot) -> Result<ModelName, String> {
        if let Some(Dialog::Fit(model)) = &self.dialog {
            return Ok(model.clone());
        }
        match selected_model(snapshot, self) {
            Some(row) if is_elsewhere(&row) => {
                Err(format!("{} runs elsewhere: it needs nothing here", row.name()))
            }
            Some(row) => Ok(row.name().clone()),
            None => Err("no model is selected".to_owned()),
        }
    }

    /// How this model is judged.
    fn dial_of(&self, model: &ModelName) -> FitQuestion {
        let dial = self.dial.clone().filter(|dial| dial.model == *model);
        dial.unwrap_or_else(|| FitQuestion::plain(model.clone()))
    }

    fn set_dial(&mut self, question: FitQuestion) {
        let is_plain = question == FitQuestion::plain(question.model.clone());
        self.dial = (!is_plain).then_some(question);
    }

    /// Keeps what is considered, and the dial, with the row under the cursor.
    pub(super) fn consider(&mut self, snapshot: &Snapshot) {
        let is_open = matches!(
            self.dialog,
            Some(Dialog::Fit(_) | Dialog::Load { .. } | Dialog::NoRoom(_) | Dialog::Force(_))
        );
        if is_open {
            return;
        }
        if self.page == Page::Models {
            let row = selected_model(snapshot, self).filter(|row| !is_elsewhere(row));
            let name = row.map(|row| row.name().clone());
            self.dial = self.dial.take().filter(|dial| Some(&dial.model) == name.as_ref());
            self.considered = name.filter(|name| snapshot.model(name).is_none());
            return;
        }
        let is_installed = |name: &ModelName| {
            snapshot.model(name).is_none()
                && snapshot.installed.value.iter().any(|model| model.name == *name)
        };
        self.considered = self.considered.take().filter(is_installed);
        self.dial = self.dial.take().filter(|dial| Some(&dial.model) == self.considered.as_ref());
    }

    /// Asks for the load in the open dialog, which waits for the answer.
    pub(super) fn ask_load(&mut self, model: ModelName, chosen: usize) -> Vec<UiEffect> {
        let context = self.dial_of(&model).context;
        let command =
            Command::Load { model: model.clone(), keep: keep(chosen), context, force: false };
        self.dialog = Some(Dialog::Load { model: model.clone(), chosen, is_asked: true });
        vec![UiEffect::Send(command, Purpose::Load(model))]
    }

    /// What the gate says. A dialog opens only in the place of the one that
    /// asked: a key on its way elsewhere must not answer it.
    pub(super) fn hear_load(&mut self, model: &ModelName, reply: Reply, now: Monotonic) {
        let asking = match &self.dialog {
            Some(Dialog::Load { model: asked, chosen, is_asked: true }) if asked == model => {
                Some(*chosen)
            }
            _ => None,
        };
        if asking.is_some() {
            self.dialog = None;
        }
        match (reply, asking) {
            (Reply::DoesNotFit { fit, plan }, Some(chosen)) => {
                let context = self.dial_of(model).context;
                self.dialog_scroll = 0;
                self.dialog =
                    Some(Dialog::NoRoom(NoRoom { keep: keep(chosen), context, fit, plan }));
            }
            (Reply::DoesNotFit { fit, .. }, None) => {
                let text = format!("{model} was not loaded: it lacks {}", fit.lacks());
                self.say(Tone::Bad, text, now);
            }
            (Reply::Refused { reason }, _) => {
                self.say(Tone::Bad, format!("refused: {reason}"), now);
            }
            _ => self.say(Tone::Neutral, format!("asked to load {model}"), now),
        }
    }

    /// From what lacks to the last question; nothing is done yet.
    pub(super) fn force(&mut self) {
        match self.dialog.take() {
            Some(Dialog::NoRoom(refused)) => {
                self.dialog_scroll = 0;
                self.dialog = Some(Dialog::Force(refused));
            }
            other => self.dialog = other,
        }
    }
}

/// A load that does not fit, all the same.
pub(super) fn load_by_force(refused: NoRoom) -> Vec<UiEffect> {
    let NoRoom { keep, context, fit, .. } = refused;
    let Fit { model, .. } = *fit;
    let said = format!("asked to load {model} by force");
    act_at_once(Command::Load { model, keep, context, force: true }, said)
}

/// What makes room is something to agree to.
pub(super) fn makes_room(plan: Option<&Plan>) -> bool {
    plan.is_some_and(|plan| !plan.steps.is_empty())
}

/// It takes nothing of this machine.
fn is_elsewhere(row: &ModelRow<'_>) -> bool {
    match row {
        ModelRow::Loaded(model) => model.is_cloud || model.is_remote,
        ModelRow::Installed(model) => model.is_cloud,
    }
}

/// The longest context the model was trained for.
fn longest_context(snapshot: &Snapshot, model: &ModelName) -> Option<u64> {
    let installed = snapshot.installed.value.iter().find(|known| known.name == *model);
    installed?.max_context.filter(|longest| *longest > 0)
}

/// Contexts of the dial, shortest first.
fn steps(longest: u64) -> Vec<u64> {
    let doubled = std::iter::successors(Some(SHORTEST), |step| step.checked_mul(2));
    doubled.take_while(|step| *step < longest).chain([longest]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dial_ends_where_the_model_does() {
        assert_eq!(steps(8192), [2048, 4096, 8192]);
        assert_eq!(steps(40_960), [2048, 4096, 8192, 16_384, 32_768, 40_960]);
        assert_eq!(steps(512), [512]);
        assert_eq!(steps(u64::MAX).len(), 54);
    }
}
