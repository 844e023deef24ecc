//! The tree of what holds memory: servers with their models and runners, then
//! orphans and foreign runners, then the largest others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::component::FootprintSource;
use crate::domain::model::ModelView;
use crate::domain::process::{ProcessRole, ProcessTable};
use crate::domain::{
    Component, ComponentKind, Deed, Footprint, Group, GroupKind, Measure, NamedBy, Process, Target,
};
use crate::policy::rules::ComponentRule;

use super::State;
use super::commands::Called;

/// A runner without a server for a shorter time may have just been started.
const ORPHAN_AFTER: Duration = Duration::from_secs(2);

impl State {
    pub(super) fn rebuild_components(&mut self) {
        let Some(processes) = self.readings.processes() else {
            if !self.components.value.is_empty() {
                self.components.set(Vec::new());
            }
            return;
        };
        let models = self.model_views();
        let mut rows = Vec::new();
        for server in &processes.servers {
            rows.push(self.process_row(server, ComponentKind::Server, 0));
            rows.extend(self.children(server, processes, &models));
        }
        for runner in &processes.runners {
            if !processes.servers.iter().any(|server| server.key.pid == runner.parent) {
                rows.push(self.process_row(runner, self.stray_kind(runner), 0));
            }
        }
        for group in self.readings.groups() {
            rows.push(self.group_row(group));
        }
        for other in processes.named.iter().chain(&processes.others) {
            rows.push(self.process_row(other, ComponentKind::Process, 0));
        }
        number_repeats(&mut rows);
        if *self.components.value != rows {
            self.components.set(rows);
        }
    }

    fn children(
        &self,
        server: &Process,
        processes: &ProcessTable,
        models: &[ModelView],
    ) -> Vec<Component> {
        let runners = processes.runners.iter().filter(|r| r.parent == server.key.pid);
        runners
            .map(|runner| match models.iter().find(|model| model.runner == Some(runner.key)) {
                Some(model) => model_row(model, runner),
                None => self.process_row(runner, ComponentKind::Runner, 1),
            })
            .collect()
    }

    /// An orphan only with every sign of one; anything less is foreign.
    fn stray_kind(&self, runner: &Process) -> ComponentKind {
        let ProcessRole::Runner(arguments) = &runner.role else { return ComponentKind::Foreign };
        let is_long_alone = self
            .parentless
            .get(&runner.key)
            .is_some_and(|since| self.now.since(*since) >= ORPHAN_AFTER);
        let may_be_signalled =
            self.settings.own_uid == 0 || runner.uid == Some(self.settings.own_uid);
        // Below a living parent it is somebody's, under whatever name.
        let is_taken_in =
            self.readings.processes().is_some_and(|all| all.reapers.contains(&runner.parent));
        let is_orphan = is_long_alone
            && is_taken_in
            && arguments.blob.is_some()
            && arguments.in_ollama_folder == Some(true)
            && may_be_signalled;
        if is_orphan { ComponentKind::Orphan } else { ComponentKind::Foreign }
    }

    fn process_row(&self, process: &Process, kind: ComponentKind, depth: u8) -> Component {
        let prefix = match kind {
            ComponentKind::Server => "server",
            ComponentKind::Process => "process",
            _ => "runner",
        };
        let id = format!("{prefix}:{}", process.name);
        let called = Called { id: &id, process: Some(process), group: None };
        let (priority, pinned) = self.standing(&called);
        let is_other = kind == ComponentKind::Process;
        let allowed = if is_other { self.allowed(&called) } else { Vec::new() };
        let zombie = process.is_zombie.then_some("zombie");
        let state =
            zombie.or_else(|| self.owed_state(&Target::Process { key: process.key }, false));
        Component {
            name: process.name.clone(),
            kind,
            depth,
            process: Some(process.key),
            footprint: measured(process),
            swapped: process.memory.swapped,
            priority,
            pinned,
            state: state.map(str::to_owned),
            target: is_other.then_some(Target::Process { key: process.key }),
            allowed,
            id,
        }
    }

    fn group_row(&self, group: &Group) -> Component {
        let (kind, prefix) = match group.kind {
            GroupKind::Container { .. } => (ComponentKind::Container, NamedBy::Container),
            GroupKind::Unit { .. } => (ComponentKind::Service, NamedBy::Unit),
        };
        let id = format!("{}{}", prefix.prefix(), group.name);
        let called = Called { id: &id, process: None, group: Some(group) };
        let (priority, pinned) = self.standing(&called);
        let measured = |bytes| Footprint { bytes, source: FootprintSource::Measured };
        let expected = || self.rule_of(&called, |rule| rule.expected);
        let estimated = |bytes| Footprint { bytes, source: FootprintSource::Estimated };
        Component {
            name: group.name.clone(),
            kind,
            depth: 0,
            process: None,
            footprint: group.used.map(measured).or_else(|| expected().map(estimated)),
            swapped: group.swapped,
            priority,
            pinned,
            state: self.owed_state(&group.target(), group.is_paused).map(str::to_owned),
            target: Some(group.target()),
            allowed: self.allowed(&called),
            id,
        }
    }

    /// What the config allows to be done: nothing, unless it names it.
    fn allowed(&self, called: &Called<'_>) -> Vec<Deed> {
        let deeds = |rule: &ComponentRule| -> Option<Vec<Deed>> {
            let deeds = rule.actions.iter().filter_map(|measure| deed_of(*measure, rule));
            Some(deeds.collect()).filter(|deeds: &Vec<Deed>| !deeds.is_empty())
        };
        self.rule_of(called, deeds).unwrap_or_default()
    }
}

/// `None`: a model's server does it, or what it needs is not said.
fn deed_of(measure: Measure, rule: &ComponentRule) -> Option<Deed> {
    Some(match measure {
        Measure::Unload => return None,
        Measure::Command => Deed::Command { words: rule.command.clone() },
        Measure::Pause => Deed::Pause,
        Measure::Limit => Deed::Limit { to: rule.limit? },
        Measure::Restart => Deed::Restart,
        Measure::Stop => Deed::Stop,
        Measure::Term => Deed::Term,
        Measure::Kill => Deed::Kill,
    })
}

fn measured(process: &Process) -> Option<Footprint> {
    let (bytes, _) = process.memory.measured()?;
    Some(Footprint { bytes, source: FootprintSource::Measured })
}

fn model_row(model: &ModelView, runner: &Process) -> Component {
    Component {
        id: model_id(model.name.as_str()),
        name: model.name.short().to_owned(),
        kind: ComponentKind::Model,
        depth: 1,
        process: Some(runner.key),
        footprint: measured(runner),
        swapped: runner.memory.swapped,
        priority: model.priority,
        pinned: model.pinned,
        state: Some(model.state.word().to_owned()),
        target: None,
        allowed: Vec::new(),
    }
}

pub(super) fn model_id(name: &str) -> String {
    format!("model:{name}")
}

/// Names repeat (five `chrome`): from the second on the pid tells them apart.
fn number_repeats(rows: &mut [Component]) {
    let mut seen: BTreeMap<String, ()> = BTreeMap::new();
    for row in rows {
        if seen.insert(row.id.clone(), ()).is_some()
            && let Some(process) = row.process
        {
            row.id = format!("{}#{}", row.id, process.pid);
        }
    }
}
