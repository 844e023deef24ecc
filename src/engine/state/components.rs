//! The tree of what holds memory: servers with their models and runners, then
//! orphans and foreign runners, then the largest others.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::component::{FootprintSource, Priority};
use crate::domain::process::ProcessRole;
use crate::domain::{
    Bytes, Component, ComponentKind, Course, Deed, Footprint, Group, GroupKind, Measure, ModelName,
    NamedBy, Process, Target,
};
use crate::policy::rules::ComponentRule;

use super::State;
use super::commands::Called;
use super::tracked::Tracked;

/// A runner without a server for a shorter time may have just been started.
const ORPHAN_AFTER: Duration = Duration::from_secs(2);

const MODEL: &str = "model:";

/// What a row is about, as the last sample has it.
enum Seen<'a> {
    Process { process: &'a Process, kind: ComponentKind, depth: u8 },
    Model { name: &'a ModelName, tracked: &'a Tracked, runner: &'a Process },
    Group(&'a Group),
}

/// What changes of a row that stays about the same.
struct Figures {
    footprint: Option<Footprint>,
    swapped: Option<Bytes>,
    priority: Priority,
    pinned: bool,
    state: Option<&'static str>,
    allowed: Vec<Deed>,
    course: Option<Course>,
}

impl State {
    /// Rows that stay about the same are kept, and their figures renewed.
    pub(super) fn rebuild_components(&mut self) {
        let seen = self.seen();
        let old = &self.components.value;
        let is_same =
            old.len() == seen.len() && old.iter().zip(&seen).all(|(row, seen)| seen.is_in(row));
        if !is_same {
            let rows = self.rows(&seen);
            self.components.set(rows);
            return;
        }
        let figures = seen.iter().zip(old.iter());
        let figures: Vec<Figures> =
            figures.map(|(seen, row)| self.figures(seen, seen.id_in(row))).collect();
        if !figures.iter().zip(old.iter()).all(|(figures, row)| figures.are_in(row)) {
            let rows = self.components.change().iter_mut();
            rows.zip(figures).for_each(|(row, figures)| figures.put_in(row));
        }
        debug_assert_eq!(*self.components.value, self.rows(&self.seen()), "as if made anew");
    }

    /// What there is a row about, in the order of the rows.
    fn seen(&self) -> Vec<Seen<'_>> {
        let Some(processes) = self.readings.processes() else { return Vec::new() };
        let mut seen = Vec::with_capacity(self.components.value.len());
        for server in &processes.servers {
            seen.push(Seen::Process { process: server, kind: ComponentKind::Server, depth: 0 });
            let runners = processes.runners.iter().filter(|r| r.parent == server.key.pid);
            seen.extend(runners.map(|runner| self.child(runner)));
        }
        for runner in &processes.runners {
            if !processes.servers.iter().any(|server| server.key.pid == runner.parent) {
                let kind = self.stray_kind(runner);
                seen.push(Seen::Process { process: runner, kind, depth: 0 });
            }
        }
        seen.extend(self.readings.groups().iter().map(Seen::Group));
        let others = processes.named.iter().chain(&processes.others);
        let kind = ComponentKind::Process;
        seen.extend(others.map(|process| Seen::Process { process, kind, depth: 0 }));
        seen
    }

    fn child<'a>(&'a self, runner: &'a Process) -> Seen<'a> {
        let is_of = |tracked: &Tracked| tracked.runner == Some(runner.key) && !runner.is_zombie;
        match self.models.iter().find(|(_, tracked)| is_of(tracked)) {
            Some((name, tracked)) => Seen::Model { name, tracked, runner },
            None => Seen::Process { process: runner, kind: ComponentKind::Runner, depth: 1 },
        }
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

    fn rows(&self, seen: &[Seen<'_>]) -> Vec<Component> {
        let mut rows: Vec<Component> = seen.iter().map(|seen| self.row(seen)).collect();
        number_repeats(&mut rows);
        rows
    }

    fn row(&self, seen: &Seen<'_>) -> Component {
        let id = seen.id();
        let figures = self.figures(seen, &id);
        let (name, depth, process) = match seen {
            Seen::Process { process, depth, .. } => (&*process.name, *depth, Some(process.key)),
            Seen::Model { name, runner, .. } => (name.short(), 1, Some(runner.key)),
            Seen::Group(group) => (&*group.name, 0, None),
        };
        let mut row = Component {
            course: None,
            name: name.to_owned(),
            kind: seen.kind(),
            depth,
            process,
            footprint: None,
            swapped: None,
            priority: Priority::default(),
            pinned: false,
            state: None,
            target: seen.target(),
            allowed: Vec::new(),
            id,
        };
        figures.put_in(&mut row);
        row
    }

    /// `id`: as it is without a number.
    fn figures(&self, seen: &Seen<'_>, id: &str) -> Figures {
        let called = seen.called(id);
        let rules = self.rules_on(&called);
        let (priority, pinned) = self.standing(id, &rules);
        let (footprint, swapped, state) = match seen {
            Seen::Process { process, .. } => {
                let zombie = process.is_zombie.then_some("zombie");
                let owed = || self.owed_state(&Target::Process { key: process.key }, false);
                (measured(process), process.memory.swapped, zombie.or_else(owed))
            }
            Seen::Model { tracked, runner, .. } => {
                let word = self.shown_state(tracked).word();
                (measured(runner), runner.memory.swapped, Some(word))
            }
            Seen::Group(group) => {
                let state = self.owed_state(&group.target(), group.is_paused);
                (held(group, &rules), group.swapped, state)
            }
        };
        let allowed = if seen.may_be_done_to() { allowed(&rules) } else { Vec::new() };
        let course = match seen {
            Seen::Process { process, .. } => self.courses.of_process(process),
            Seen::Model { tracked, .. } => tracked.course.course(),
            Seen::Group(group) => self.courses.of_group(group),
        };
        Figures { footprint, swapped, priority, pinned, state, allowed, course }
    }
}

impl Seen<'_> {
    fn kind(&self) -> ComponentKind {
        match self {
            Seen::Process { kind, .. } => *kind,
            Seen::Model { .. } => ComponentKind::Model,
            Seen::Group(group) => match group.kind {
                GroupKind::Container { .. } => ComponentKind::Container,
                GroupKind::Unit { .. } => ComponentKind::Service,
            },
        }
    }

    /// Before the name in an id.
    fn prefix(&self) -> &'static str {
        match self.kind() {
            ComponentKind::Server => "server:",
            ComponentKind::Process => NamedBy::Process.prefix(),
            ComponentKind::Container => NamedBy::Container.prefix(),
            ComponentKind::Service => NamedBy::Unit.prefix(),
            ComponentKind::Model => MODEL,
            ComponentKind::Runner | ComponentKind::Orphan | ComponentKind::Foreign => "runner:",
        }
    }

    /// Its whole name.
    fn name(&self) -> &str {
        match self {
            Seen::Process { process, .. } => &process.name,
            Seen::Model { name, .. } => name.as_str(),
            Seen::Group(group) => &group.name,
        }
    }

    fn id(&self) -> String {
        format!("{}{}", self.prefix(), self.name())
    }

    /// Its id in its row, without a number.
    fn id_in<'r>(&self, row: &'r Component) -> &'r str {
        row.id.get(..self.prefix().len() + self.name().len()).unwrap_or(&row.id)
    }

    /// The row is about the same.
    fn is_in(&self, row: &Component) -> bool {
        row.kind == self.kind()
            && match self {
                Seen::Process { process, depth, .. } => {
                    row.process == Some(process.key)
                        && row.name == process.name
                        && row.depth == *depth
                }
                Seen::Model { name, runner, .. } => {
                    let full = row.id.strip_prefix(MODEL);
                    row.process == Some(runner.key) && full == Some(name.as_str())
                }
                Seen::Group(_) => row.target == self.target(),
            }
    }

    fn called<'c>(&'c self, id: &'c str) -> Called<'c> {
        match self {
            Seen::Process { process, .. } => Called { id, process: Some(process), group: None },
            Seen::Model { .. } => Called::by_id(id),
            Seen::Group(group) => Called { id, process: None, group: Some(group) },
        }
    }

    /// Whom a deed would be done to.
    fn target(&self) -> Option<Target> {
        match self {
            Seen::Process { process, .. } if self.may_be_done_to() => {
                Some(Target::Process { key: process.key })
            }
            Seen::Process { .. } | Seen::Model { .. } => None,
            Seen::Group(group) => Some(group.target()),
        }
    }

    /// A server, its runners and its models are not the config's to act on.
    fn may_be_done_to(&self) -> bool {
        matches!(self, Seen::Process { kind: ComponentKind::Process, .. } | Seen::Group(_))
    }
}

impl Figures {
    fn are_in(&self, row: &Component) -> bool {
        row.footprint == self.footprint
            && row.swapped == self.swapped
            && (row.priority, row.pinned) == (self.priority, self.pinned)
            && row.state.as_deref() == self.state
            && row.allowed == self.allowed
            && row.course == self.course
    }

    fn put_in(self, row: &mut Component) {
        row.footprint = self.footprint;
        row.swapped = self.swapped;
        row.priority = self.priority;
        row.pinned = self.pinned;
        if row.state.as_deref() != self.state {
            row.state = self.state.map(str::to_owned);
        }
        row.allowed = self.allowed;
        row.course = self.course;
    }
}

/// What the config allows to be done: nothing, unless it names it.
fn allowed(rules: &[&ComponentRule]) -> Vec<Deed> {
    let deeds = |rule: &&ComponentRule| -> Vec<Deed> {
        rule.actions.iter().filter_map(|measure| deed_of(*measure, rule)).collect()
    };
    let load = rules.iter().find(|rule| !rule.load.is_empty());
    let load = load.map(|rule| Deed::Load { words: rule.load.clone() });
    let deeds = rules.iter().map(deeds).find(|deeds| !deeds.is_empty());
    // Only what is ever taken away is brought back.
    deeds.map(|deeds| deeds.into_iter().chain(load).collect()).unwrap_or_default()
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

/// What it uses, else what the config expects of it.
fn held(group: &Group, rules: &[&ComponentRule]) -> Option<Footprint> {
    let measured = |bytes| Footprint { bytes, source: FootprintSource::Measured };
    let estimated = |bytes| Footprint { bytes, source: FootprintSource::Estimated };
    let expected = || rules.iter().find_map(|rule| rule.expected);
    group.used.map(measured).or_else(|| expected().map(estimated))
}

pub(super) fn model_id(name: &str) -> String {
    format!("{MODEL}{name}")
}

/// Names repeat (five `chrome`): from the second on the pid tells them apart.
fn number_repeats(rows: &mut [Component]) {
    let mut seen = BTreeSet::new();
    for row in rows {
        if !seen.insert(row.id.clone())
            && let Some(process) = row.process
        {
            row.id = format!("{}#{}", row.id, process.pid);
        }
    }
}
