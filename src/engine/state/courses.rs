//! What the memory of programs does over minutes: a leak or a plateau.
//! Models have theirs with the rest that is known of them.

use std::collections::BTreeMap;

use crate::domain::{Bytes, Course, Group, GroupKind, Monotonic, Process, ProcessKey};
use crate::forecast::growth::Growth;

use super::State;

#[derive(Debug, Default)]
pub(super) struct Courses {
    processes: BTreeMap<ProcessKey, Growth>,
    /// By id or name.
    groups: BTreeMap<String, Growth>,
}

impl Courses {
    pub(super) fn of_process(&self, process: &Process) -> Option<Course> {
        self.processes.get(&process.key)?.course()
    }

    pub(super) fn of_group(&self, group: &Group) -> Option<Course> {
        self.groups.get(key(group))?.course()
    }
}

impl State {
    pub(super) fn follow_courses(&mut self) {
        let Some(sample) = self.readings.sample().cloned() else { return };
        let now = sample.at.mono;
        if let Ok(table) = &sample.processes {
            let followed = || table.named.iter().chain(&table.others);
            let courses = &mut self.courses.processes;
            courses.retain(|key, _| followed().any(|process| process.key == *key));
            for process in followed() {
                let held = process.memory.measured().map(|(bytes, _)| bytes);
                push(courses.entry(process.key).or_default(), held, now);
            }
        }
        let groups = sample.groups.as_deref().unwrap_or_default();
        let courses = &mut self.courses.groups;
        courses.retain(|id, _| groups.iter().any(|group| key(group) == *id));
        for group in groups {
            if !courses.contains_key(key(group)) {
                courses.insert(key(group).to_owned(), Growth::new());
            }
            if let Some(growth) = courses.get_mut(key(group)) {
                push(growth, group.used, now);
            }
        }
    }
}

fn push(growth: &mut Growth, held: Option<Bytes>, now: Monotonic) {
    match held {
        Some(held) => growth.push(now, held),
        None => growth.restart(),
    }
}

/// A container goes by its id, a service by its name; neither is the other's.
fn key(group: &Group) -> &str {
    match &group.kind {
        GroupKind::Container { id } => id,
        GroupKind::Unit { .. } => &group.name,
    }
}
