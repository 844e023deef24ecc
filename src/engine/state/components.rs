//! The tree of what holds memory: servers with their models and runners, then
//! orphans and foreign runners, then the largest others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::component::FootprintSource;
use crate::domain::model::ModelView;
use crate::domain::process::{ProcessRole, ProcessTable};
use crate::domain::{Component, ComponentKind, Footprint, Process};

use super::State;

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
        for other in &processes.others {
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
        let (priority, pinned) = self.standing(&id);
        Component {
            id,
            name: process.name.clone(),
            kind,
            depth,
            process: Some(process.key),
            footprint: measured(process),
            swapped: process.memory.swapped,
            priority,
            pinned,
            state: process.is_zombie.then(|| "zombie".to_owned()),
            target: None,
            allowed: Vec::new(),
        }
    }
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
