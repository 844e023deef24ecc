//! The footer: the keys that help now, the most helpful first.
//!
//! An unload that acts at once must say its bytes before it is pressed; they
//! stand here.

use crate::domain::component::ComponentKind;
use crate::domain::fit::FitVerdict;
use crate::domain::level::Level;
use crate::domain::model::{ModelState, ModelView};
use crate::domain::plan::{Plan, Purpose};
use crate::domain::snapshot::{RuntimeState, Snapshot};
use crate::tui::keymap::{Context, Hint, Intent, Keymap, Scope};
use crate::tui::rows::{ModelRow, selected_component, selected_model, selected_rule};
use crate::tui::state::{Dialog, InputMode, Page, PlanView, SettingView, Ui};

impl Keymap {
    /// Hints by how much they help now; a view shows as many as fit.
    pub fn footer(&self, ui: &Ui, snapshot: &Snapshot) -> Vec<Hint> {
        let context = Context::of(ui);
        let now = Now {
            row: selected_model(snapshot, ui),
            can_end: can_end_runner(snapshot, ui),
            has_component: selected_component(snapshot, ui).is_some(),
            ui,
            snapshot,
        };
        let mut ranked: Vec<(u8, Hint)> = self
            .rows()
            .filter(|(entry, _)| entry.scope.holds_in(context) && entry.scope != Scope::Always)
            .filter_map(|(entry, keys)| {
                let (rank, label) = now.hint(entry.intent, entry.rank, entry.label)?;
                let key = match entry.intent {
                    Intent::ContextMore => {
                        beside(&self.key_for(Intent::ContextLess), &keys.first()?.label())
                    }
                    Intent::More => beside(&self.key_for(Intent::Less), &keys.first()?.label()),
                    Intent::ScrollDown => {
                        beside(&self.key_for(Intent::ScrollUp), &keys.first()?.label())
                    }
                    _ => keys.first()?.label(),
                };
                Some((rank, Hint { key, label, shorter: now.shorter(entry.intent) }))
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, hint)| hint).collect()
    }
}

/// What the footer depends on, looked up once.
struct Now<'a> {
    row: Option<ModelRow<'a>>,
    can_end: bool,
    has_component: bool,
    ui: &'a Ui,
    snapshot: &'a Snapshot,
}

impl Now<'_> {
    /// The rank and words of a hint, or nothing where the key would not help.
    fn hint(&self, intent: Intent, rank: u8, label: &str) -> Option<(u8, String)> {
        let loaded = self.row.and_then(|row| row.loaded());
        let label = label.to_owned();
        match intent {
            Intent::Unload => loaded.map(|model| (rank, unload_label(model))),
            Intent::Keep => loaded.map(|_| (rank, label)),
            Intent::Load
            | Intent::Fit
            | Intent::ContextLess
            | Intent::ContextMore
            | Intent::KvType
            | Intent::Force => self.load_hint(intent, rank, label),
            Intent::Pin => self.has_component.then(|| {
                let pinned = loaded.is_some_and(|model| model.pinned);
                (rank, if pinned { "unpin".to_owned() } else { label })
            }),
            Intent::EndRunner => self.can_end.then_some((rank, label)),
            Intent::Recycle => {
                let here = loaded.filter(|model| !model.is_remote && !model.is_cloud);
                here.map(|_| (rank, label))
            }
            Intent::Undo => self.has_cleaned_up().then_some((rank, label)),
            Intent::Answer => self.snapshot.proposal.as_ref().map(|_| (rank, label)),
            Intent::Details if self.ui.page == Page::Policy => {
                selected_rule(self.snapshot, self.ui).map(|_| (rank, label))
            }
            Intent::RuleMode => self.can_set_a_rule().then_some((rank, label)),
            // Worse than normal, one wants to know why.
            Intent::Why if self.snapshot.level.level > Level::Normal => Some((22, label)),
            Intent::UnloadAll => (!self.snapshot.models.is_empty()).then_some((rank, label)),
            // Worse than normal, a cleanup helps more than anything else.
            Intent::Cleanup if self.snapshot.level.level > Level::Normal => Some((8, label)),
            Intent::Cleanup if self.ui.page == Page::Help => None,
            Intent::Retry => self.is_down().then_some((7, label)),
            Intent::Back if !self.ui.filter.is_empty() => Some((9, "clear filter".to_owned())),
            Intent::Back if self.ui.page == Page::Help => Some((9, label)),
            Intent::Back if self.ui.page == Page::Models && self.ui.dial.is_some() => {
                Some((26, "reset".to_owned()))
            }
            Intent::Confirm => self.confirm_label().map(|label| (rank, label)),
            Intent::Refuse => self.asks().then_some((rank, label)),
            Intent::Cancel => Some((rank, self.cancel_label().to_owned())),
            Intent::Less => None,
            Intent::More if matches!(self.ui.dialog, Some(Dialog::Fit(_))) => {
                Some((rank, "context".to_owned()))
            }
            Intent::More => self.has_dial().then(|| (rank, "choose".to_owned())),
            Intent::ScrollDown => (self.ui.sight.dialog_end > 0).then_some((rank, label)),
            Intent::TextAccept if self.ui.mode != InputMode::Filter => {
                Some((rank, "run".to_owned()))
            }
            _ => (rank > 0).then_some((rank, label)),
        }
    }

    /// The keys of a load and of the question whether it fits.
    fn load_hint(&self, intent: Intent, rank: u8, label: String) -> Option<(u8, String)> {
        let is_catalog = self.ui.page == Page::Models;
        match intent {
            Intent::Load => match self.row {
                // What its page is for comes before what is always there.
                Some(ModelRow::Installed(model)) if !model.is_cloud => {
                    Some((6, format!("load {}", model.name)))
                }
                _ => {
                    let considered = self.ui.considered.as_ref();
                    let here = considered.filter(|_| self.ui.page == Page::Overview);
                    here.map(|model| (rank, format!("load {model}")))
                }
            },
            Intent::Fit => {
                let rank = if is_catalog { 21 } else { rank };
                self.can_be_judged().then_some((rank, label))
            }
            Intent::ContextMore | Intent::KvType => self.can_be_judged().then_some((rank, label)),
            Intent::Force => {
                matches!(self.ui.dialog, Some(Dialog::NoRoom(_))).then_some((rank, label))
            }
            // Both ends of the dial stand in one hint.
            _ => None,
        }
    }

    /// Fewer words for the same, fewest last.
    fn shorter(&self, intent: Intent) -> Vec<String> {
        let held = self.row.and_then(|row| row.loaded()?.held());
        match intent {
            Intent::Unload => {
                let with_bytes = held.map(|bytes| format!("unload {bytes}"));
                with_bytes.into_iter().chain(["unload".to_owned()]).collect()
            }
            Intent::Load => vec!["load".to_owned()],
            Intent::Fit => vec!["fit".to_owned()],
            Intent::Answer => vec!["look".to_owned()],
            Intent::Cleanup => vec!["clean".to_owned()],
            Intent::Refuse => vec!["no".to_owned()],
            Intent::Cancel if self.asks() => Vec::new(),
            Intent::Cancel => vec!["no".to_owned()],
            _ => Vec::new(),
        }
    }

    /// A model of this machine is selected, or considered.
    fn can_be_judged(&self) -> bool {
        match self.row {
            Some(ModelRow::Installed(model)) => !model.is_cloud,
            Some(ModelRow::Loaded(model)) => !model.is_cloud && !model.is_remote,
            None => self.ui.considered.is_some(),
        }
    }

    fn is_down(&self) -> bool {
        self.snapshot.runtimes.iter().any(|r| matches!(r.state, RuntimeState::Down { .. }))
    }

    fn has_dial(&self) -> bool {
        matches!(
            self.ui.dialog,
            Some(
                Dialog::Cleanup { .. }
                    | Dialog::Keep { .. }
                    | Dialog::Load { is_asked: false, .. }
                    | Dialog::Setting { .. }
            )
        )
    }

    /// A rule's question is open.
    fn asks(&self) -> bool {
        matches!(self.ui.dialog, Some(Dialog::Proposal(_)))
    }

    /// Something has just been unloaded that could be loaded again.
    fn has_cleaned_up(&self) -> bool {
        self.snapshot.plan.as_deref().is_some_and(|running| {
            let frees = matches!(
                running.plan.purpose,
                Purpose::Cleanup(_) | Purpose::Free(_) | Purpose::Asked | Purpose::Rule { .. }
            );
            frees && running.ended.is_some()
        })
    }

    fn can_set_a_rule(&self) -> bool {
        self.ui.can_set && selected_rule(self.snapshot, self.ui).is_some()
    }

    fn confirm_label(&self) -> Option<String> {
        match self.ui.dialog.as_ref()? {
            Dialog::Cleanup { plan, .. } | Dialog::Confirm { plan, .. } => match plan {
                PlanView::Ready(plan) if !plan.steps.is_empty() => Some(agreed(plan)),
                _ => None,
            },
            Dialog::Proposal(asked) => Some(agreed(&asked.plan)),
            Dialog::Setting { view: SettingView::Ready(difference), .. } => {
                (!difference.lines.is_empty()).then(|| "write it".to_owned())
            }
            Dialog::Setting { .. } | Dialog::Why(_) => None,
            Dialog::Keep { .. } => Some("keep".to_owned()),
            Dialog::Load { is_asked: true, .. } => None,
            Dialog::Load { model, .. } => {
                let fit = self.snapshot.fits.value.of(model);
                let label = match fit.map(|fit| fit.verdict) {
                    None | Some(FitVerdict::Fits) => "load",
                    Some(FitVerdict::FitsAfterUnload) => "make room?",
                    Some(_) => "try",
                };
                Some(label.to_owned())
            }
            Dialog::NoRoom(refused) => {
                let plan = refused.plan.as_ref().filter(|plan| !plan.steps.is_empty())?;
                Some(agreed(plan))
            }
            Dialog::Force(_) => Some("load all the same".to_owned()),
            Dialog::EndRunner { .. } => Some("end it".to_owned()),
            Dialog::Details(_) | Dialog::Fit(_) => None,
            Dialog::Quit { .. } => Some("quit".to_owned()),
        }
    }

    fn cancel_label(&self) -> &'static str {
        match self.ui.dialog {
            Some(Dialog::Details(_) | Dialog::Why(_) | Dialog::Fit(_)) => "close",
            Some(Dialog::Proposal(_)) => "later",
            Some(Dialog::Quit { .. }) => "stay",
            _ => "cancel",
        }
    }
}

/// Two keys that belong together: `←→`, `</>`.
fn beside(one: &str, other: &str) -> String {
    match (one, other) {
        ("Left", "Right") => "←→".to_owned(),
        ("Up", "Down") => "↑↓".to_owned(),
        _ => format!("{one}/{other}"),
    }
}

/// What a yes to a plan does.
fn agreed(plan: &Plan) -> String {
    let expected = plan.expected();
    match plan.purpose {
        Purpose::Undo if plan.only_loads() => "load again".to_owned(),
        Purpose::Undo => "bring back".to_owned(),
        Purpose::MakeRoom => "make room".to_owned(),
        Purpose::Recycle => "recycle".to_owned(),
        _ if expected.is_zero() => "do it".to_owned(),
        _ => format!("free {expected}"),
    }
}

/// `unload llama3.2:3b 3.1 GiB`; nothing is promised where nothing is known.
fn unload_label(model: &ModelView) -> String {
    match model.held() {
        Some(bytes) => format!("unload {} {bytes}", model.name),
        None => format!("unload {}", model.name),
    }
}

/// Only the runner of a stuck model, and an orphan, may be ended.
fn can_end_runner(snapshot: &Snapshot, ui: &Ui) -> bool {
    let stuck = selected_model(snapshot, ui).and_then(|row| row.loaded()).is_some_and(|model| {
        matches!(model.state, ModelState::Stuck { .. }) && model.runner.is_some()
    });
    let orphan = selected_component(snapshot, ui).is_some_and(|component| {
        component.kind == ComponentKind::Orphan && component.process.is_some()
    });
    stuck || orphan
}
