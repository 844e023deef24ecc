//! Another mode for a rule: chosen, shown as a difference in the config, and
//! only then written.

use crate::domain::rule::RuleMode;
use crate::domain::setting::{SettingChange, SettingDifference};
use crate::domain::snapshot::{Mode, Snapshot};
use crate::domain::time::Monotonic;
use crate::tui::rows;
use crate::tui::state::{Dialog, Rule, SettingView, Tone, Ui};
use crate::tui::update::UiEffect;

impl Ui {
    /// The next mode of the selected rule, as a question.
    pub(super) fn change_mode(&mut self, snapshot: &Snapshot) -> Result<Vec<UiEffect>, String> {
        if !self.can_set {
            return Err(why_not(snapshot.mode).to_owned());
        }
        let row = rows::selected_rule(snapshot, self).ok_or("no rule is selected")?;
        // One step further; from the furthest one back.
        let mode = row.mode();
        let by = if mode == RuleMode::Act { -1 } else { 1 };
        Ok(self.ask_for(row.rule(), beside(mode, by)))
    }

    /// Another mode while the difference is looked at.
    pub(super) fn turn_mode(&mut self, by: isize) -> Vec<UiEffect> {
        match &self.dialog {
            // What is being written is no longer a question.
            Some(Dialog::Setting { view: SettingView::Writing(_), .. }) => Vec::new(),
            Some(Dialog::Setting { rule, mode, .. }) => {
                let (rule, turned) = (*rule, beside(*mode, by));
                if turned == *mode { Vec::new() } else { self.ask_for(rule, turned) }
            }
            _ => Vec::new(),
        }
    }

    fn ask_for(&mut self, rule: Rule, mode: RuleMode) -> Vec<UiEffect> {
        self.memory.settings_asked += 1;
        self.dialog = Some(Dialog::Setting { rule, mode, view: SettingView::Waiting });
        let change = SettingChange { key: rule.setting(), value: format!("\"{mode}\"") };
        vec![UiEffect::ProposeSetting(change, self.memory.settings_asked)]
    }

    pub(super) fn setting_proposed(
        &mut self,
        number: u64,
        result: Result<SettingDifference, String>,
    ) {
        if number != self.memory.settings_asked {
            return;
        }
        if let Some(Dialog::Setting { view: view @ SettingView::Waiting, .. }) = &mut self.dialog {
            *view = match result {
                Ok(difference) => SettingView::Ready(difference),
                Err(reason) => SettingView::Failed(reason),
            };
        }
    }

    /// Yes to the open question: writes what it showed, once.
    pub(super) fn write_setting(&mut self) -> Vec<UiEffect> {
        let Some(Dialog::Setting { view, .. }) = &mut self.dialog else { return Vec::new() };
        match view {
            SettingView::Ready(difference) if !difference.lines.is_empty() => {
                let (token, number) = (difference.token, self.memory.settings_asked);
                *view = SettingView::Writing(difference.clone());
                vec![UiEffect::WriteSetting { token, number }]
            }
            SettingView::Waiting | SettingView::Writing(_) => Vec::new(),
            SettingView::Ready(_) | SettingView::Failed(_) => {
                self.dialog = None;
                Vec::new()
            }
        }
    }

    pub(super) fn setting_written(
        &mut self,
        number: u64,
        result: Result<(), String>,
        now: Monotonic,
    ) {
        let is_latest = number == self.memory.settings_asked;
        let open = self.dialog.as_mut().filter(|_| is_latest);
        match (open, result) {
            (Some(Dialog::Setting { rule, mode, view: SettingView::Writing(written) }), Ok(())) => {
                // The whole path stood in the dialog.
                let file = written.file.rsplit('/').next().unwrap_or_default();
                let text = format!("{}: {mode}, written to {file}", rule.name());
                self.dialog = None;
                self.say(Tone::Good, text, now);
            }
            (Some(Dialog::Setting { view: view @ SettingView::Writing(_), .. }), Err(reason)) => {
                *view = SettingView::Failed(reason);
            }
            // Its dialog was closed meanwhile: what came of it is said all the same.
            (_, Ok(())) => self.say(Tone::Good, "the config was written", now),
            (_, Err(reason)) => {
                self.say(Tone::Bad, format!("the config was not written: {reason}"), now);
            }
        }
    }
}

/// Why nothing can be set from here.
const fn why_not(mode: Mode) -> &'static str {
    match mode {
        Mode::Replay => "a recording is played: there are no rules to set",
        Mode::Demo => "these rules are simulated: there is no config to set them in",
        Mode::Live => "there is no config file here to set it in",
    }
}

/// The dial ends at both ends: nobody means to turn `act` into `off`.
fn beside(mode: RuleMode, by: isize) -> RuleMode {
    let all = RuleMode::ALL;
    let place = all.iter().position(|other| *other == mode).unwrap_or_default();
    all[place.saturating_add_signed(by).min(all.len() - 1)]
}
