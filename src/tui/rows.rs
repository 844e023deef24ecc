//! The rows each page shows, filtered and sorted: one answer for the views
//! that draw them and for the keys that act on them.
//!
//! Pure functions of the snapshot and the gaze. A row's `id` is its identity
//! for selection; it is the same in every order.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::domain::bytes::Bytes;
use crate::domain::component::Component;
use crate::domain::event::Event;
use crate::domain::group::{Group, GroupKind};
use crate::domain::guard::LevelView;
use crate::domain::model::{InstalledModel, ModelName, ModelView};
use crate::domain::rule::{RuleMode, Target};
use crate::domain::snapshot::Snapshot;
use crate::tui::state::{ListState, Page, Rule, Sort, Ui};

/// Something that can be selected.
pub trait Row {
    /// Its identity: what [`ListState::selected`] holds.
    fn id(&self) -> String;

    /// The same without making a text of it: lists may have 10,000 rows.
    fn has_id(&self, id: &str) -> bool;
}

/// A model, loaded or only installed. A loaded one appears once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ModelRow<'a> {
    Loaded(&'a ModelView),
    Installed(&'a InstalledModel),
}

impl<'a> ModelRow<'a> {
    pub fn name(&self) -> &'a ModelName {
        match self {
            ModelRow::Loaded(model) => &model.name,
            ModelRow::Installed(model) => &model.name,
        }
    }

    pub fn loaded(&self) -> Option<&'a ModelView> {
        match self {
            ModelRow::Loaded(model) => Some(model),
            ModelRow::Installed(_) => None,
        }
    }

    fn words(&self) -> String {
        match self {
            ModelRow::Loaded(model) => {
                format!("{} {}", model.name.as_str(), model.quantization.as_deref().unwrap_or(""))
            }
            ModelRow::Installed(model) => format!(
                "{} {} {}",
                model.name.as_str(),
                model.quantization.as_deref().unwrap_or(""),
                model.family.as_deref().unwrap_or("")
            ),
        }
    }
}

impl Row for ModelRow<'_> {
    fn id(&self) -> String {
        self.name().as_str().to_owned()
    }

    fn has_id(&self, id: &str) -> bool {
        self.name().as_str() == id
    }
}

impl Row for &Component {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn has_id(&self, id: &str) -> bool {
        self.id == id
    }
}

impl Row for &Event {
    fn id(&self) -> String {
        self.seq.to_string()
    }

    fn has_id(&self, id: &str) -> bool {
        id.parse() == Ok(self.seq)
    }
}

/// A rule with a mode of its own: a level's, or the last resort above them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RuleRow<'a> {
    Of(&'a LevelView),
    /// No rule goes beyond it.
    All(RuleMode),
    KillSwitch(RuleMode),
}

impl<'a> RuleRow<'a> {
    pub fn rule(&self) -> Rule {
        match self {
            RuleRow::Of(view) => Rule::Of(view.level),
            RuleRow::All(_) => Rule::All,
            RuleRow::KillSwitch(_) => Rule::KillSwitch,
        }
    }

    pub fn mode(&self) -> RuleMode {
        match self {
            RuleRow::Of(view) => view.mode,
            RuleRow::All(mode) | RuleRow::KillSwitch(mode) => *mode,
        }
    }

    pub fn level(&self) -> Option<&'a LevelView> {
        match self {
            RuleRow::Of(view) => Some(view),
            RuleRow::All(_) | RuleRow::KillSwitch(_) => None,
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            RuleRow::Of(view) => view.level.word(),
            RuleRow::All(_) => "all rules",
            RuleRow::KillSwitch(_) => "kill switch",
        }
    }
}

impl Row for RuleRow<'_> {
    fn id(&self) -> String {
        self.word().to_owned()
    }

    fn has_id(&self, id: &str) -> bool {
        self.word() == id
    }
}

/// Rows of the policy page.
pub fn rule_rows(snapshot: &Snapshot) -> Vec<RuleRow<'_>> {
    let Some(policy) = snapshot.policy.as_deref() else { return Vec::new() };
    let levels = policy.levels.iter().map(RuleRow::Of);
    levels
        .chain(std::iter::once(RuleRow::All(snapshot.rules.ceiling)))
        .chain(policy.kill_switch.map(RuleRow::KillSwitch))
        .collect()
}

/// The rule the keys act on; none but on the policy page.
pub fn selected_rule<'a>(snapshot: &'a Snapshot, ui: &Ui) -> Option<RuleRow<'a>> {
    if ui.page != Page::Policy {
        return None;
    }
    let rows = rule_rows(snapshot);
    selected_index(&rows, &ui.rules).map(|index| rows[index])
}

/// Rows of the models page, or on the overview only those loaded.
pub fn model_rows<'a>(snapshot: &'a Snapshot, ui: &Ui) -> Vec<ModelRow<'a>> {
    let mut rows: Vec<ModelRow<'a>> = snapshot.models.iter().map(ModelRow::Loaded).collect();
    if ui.page != Page::Overview {
        let installed = snapshot.installed.value.iter();
        let others = installed.filter(|model| snapshot.model(&model.name).is_none());
        rows.extend(others.map(ModelRow::Installed));
    }
    let wanted = ui.filter.to_lowercase();
    if !wanted.is_empty() {
        rows.retain(|row| matches(&row.words(), &wanted));
    }
    match ui.models.sort {
        Sort::Size => sort_by_size(&mut rows, snapshot),
        sort => sort_models(&mut rows, sort),
    }
    rows
}

/// By what a model holds, or would take; by its file where that is unknown.
fn sort_by_size(rows: &mut [ModelRow<'_>], snapshot: &Snapshot) {
    let needs: HashMap<&ModelName, Bytes> =
        snapshot.fits.value.all.iter().map(|fit| (&fit.model, fit.need.bytes())).collect();
    let size = |row: &ModelRow<'_>| match row {
        ModelRow::Loaded(model) => model.held(),
        ModelRow::Installed(model) => needs.get(&model.name).copied().or(model.disk),
    };
    rows.sort_by_key(|row| (row.loaded().is_none(), Reverse(size(row))));
}

fn sort_models(rows: &mut [ModelRow<'_>], sort: Sort) {
    // Loaded ones stay on top: they are what the page is about.
    let installed = |row: &ModelRow<'_>| row.loaded().is_none();
    match sort {
        Sort::Natural | Sort::Size => {}
        Sort::Name => rows.sort_by_key(|row| (installed(row), row.name().as_str().to_lowercase())),
        Sort::Age => rows.sort_by_key(|row| match row {
            // Unknown counts as now, so the longest idle come first.
            ModelRow::Loaded(model) => {
                (false, model.idle.map_or(u64::MAX, |idle| idle.since.mono.millis()))
            }
            ModelRow::Installed(model) => (
                true,
                model.modified.map_or(u64::MAX, |at| u64::try_from(at.as_second()).unwrap_or(0)),
            ),
        }),
        Sort::Priority => {
            rows.sort_by_key(|row| (installed(row), Reverse(row.loaded().map(|m| m.priority))));
        }
    }
}

/// Rows of the components page. In their natural order they are a tree; a
/// filter or another order makes them a plain list.
pub fn component_rows<'a>(snapshot: &'a Snapshot, ui: &Ui) -> Vec<&'a Component> {
    let wanted = if ui.page == Page::Components { ui.filter.to_lowercase() } else { String::new() };
    let mut rows: Vec<&Component> = snapshot
        .components
        .value
        .iter()
        .filter(|component| {
            wanted.is_empty()
                || matches(&format!("{} {}", component.name, component.kind.word()), &wanted)
        })
        .collect();
    match ui.components.sort {
        Sort::Natural | Sort::Age => {}
        Sort::Name => rows.sort_by_key(|component| component.name.to_lowercase()),
        Sort::Size => rows.sort_by_key(|c| Reverse(c.footprint.map(|f| f.bytes))),
        Sort::Priority => rows.sort_by_key(|component| Reverse(component.priority)),
    }
    rows
}

/// Rows of the events page, newest first: the snapshot's, then the older ones
/// that were asked for.
pub fn event_rows<'a>(snapshot: &'a Snapshot, ui: &'a Ui) -> Vec<&'a Event> {
    let recent = snapshot.events.value.iter().rev();
    let oldest = snapshot.events.value.front().map_or(u64::MAX, |event| event.seq);
    let older = ui.older_events.iter().filter(|event| event.seq < oldest);
    let on_page = ui.page == Page::Events;
    let wanted = if on_page { ui.filter.to_lowercase() } else { String::new() };
    let kind = ui.event_kind.filter(|_| on_page);
    let mut rows: Vec<&Event> = recent
        .chain(older)
        .filter(|event| kind.is_none_or(|kind| event.body.kind() == kind))
        .filter(|event| {
            wanted.is_empty()
                || matches(&format!("{} {}", event.body.title(), event.body.text()), &wanted)
        })
        .collect();
    if ui.events.sort == Sort::Age {
        rows.reverse();
    }
    rows
}

/// Where the selected row is. Where it has vanished: its neighbour.
pub fn selected_index<R: Row>(rows: &[R], list: &ListState) -> Option<usize> {
    let selected = list.selected.as_ref()?;
    let last = rows.len().checked_sub(1)?;
    let found = rows.iter().position(|row| row.has_id(selected));
    Some(found.unwrap_or(list.last_index.min(last)))
}

/// The model the keys act on, on the pages that have one.
pub fn selected_model<'a>(snapshot: &'a Snapshot, ui: &Ui) -> Option<ModelRow<'a>> {
    match ui.page {
        Page::Overview | Page::Models => {
            let rows = model_rows(snapshot, ui);
            selected_index(&rows, &ui.models).map(|index| rows[index])
        }
        Page::Components => {
            let component = selected_component(snapshot, ui)?;
            let name = ModelName::new(component.id.strip_prefix("model:")?);
            snapshot.model(&name).map(ModelRow::Loaded)
        }
        Page::Events | Page::Policy | Page::Help => None,
    }
}

/// The component the keys act on: on its page the selected row, elsewhere the
/// selected model's.
pub fn selected_component<'a>(snapshot: &'a Snapshot, ui: &Ui) -> Option<&'a Component> {
    if ui.page == Page::Components {
        let rows = component_rows(snapshot, ui);
        return selected_index(&rows, &ui.components).map(|index| rows[index]);
    }
    let id = component_id(selected_model(snapshot, ui)?.name());
    snapshot.components.value.iter().find(|component| component.id == id)
}

/// The control group of a container or a service, where it was read.
pub fn group_of<'a>(snapshot: &'a Snapshot, component: &Component) -> Option<&'a Group> {
    let groups = snapshot.sample.as_deref()?.groups.as_ref().ok()?;
    let target = component.target.as_ref()?;
    groups.iter().find(|group| match (&group.kind, target) {
        (GroupKind::Container { id }, Target::Container { id: wanted, .. }) => id == wanted,
        (GroupKind::Unit { is_user }, Target::Unit { name, is_user: of_user }) => {
            is_user == of_user && group.name == *name
        }
        _ => false,
    })
}

/// The identity of a model among the components.
pub fn component_id(model: &ModelName) -> String {
    format!("model:{}", model.as_str())
}

fn matches(text: &str, wanted_lower: &str) -> bool {
    let text = text.to_lowercase();
    wanted_lower.split_whitespace().all(|word| text.contains(word))
}
