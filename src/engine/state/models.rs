//! Loaded models, joined with the processes that carry them, and what state
//! each is in. ARCHITECTURE.md says what the words mean.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::event::{EventBody, GoneWhy};
use crate::domain::model::{Activity, Expiry, Idle, ModelState};
use crate::domain::process::{ProcessRole, RunnerArguments};
use crate::domain::{BlobDigest, Bytes, LoadedModel, ModelName, Process, ProcessKey};

use super::State;
use super::tracked::Tracked;

/// A load that began so near to another model's leaving took its room.
const MADE_ROOM_WITHIN: Duration = Duration::from_secs(10);

/// A runner that the server has started and never listed has failed.
const UNLISTED_FOR: Duration = Duration::from_secs(3);

/// An idle model that stays so long after it was asked is stuck:
/// recorded servers take 10 to 300 ms.
pub(super) const STUCK_AFTER: Duration = Duration::from_secs(15);

/// Whether a runner is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    Alive,
    Ended,
    /// Nobody can say.
    Unseen,
}

impl State {
    /// The server's list of loaded models.
    pub(super) fn take_list(&mut self, loaded: Vec<LoadedModel>) {
        let is_first = !self.server.is_listed;
        let names: BTreeSet<ModelName> = loaded.iter().map(|model| model.name.clone()).collect();
        for model in loaded {
            self.take_listed(model, is_first);
        }
        for (name, tracked) in &mut self.models {
            if !names.contains(name) && tracked.listed.take().is_some() {
                tracked.unlisted_at = Some(self.now);
                tracked.note_held();
            }
        }
        self.settle_departures();
    }

    fn take_listed(&mut self, model: LoadedModel, is_first: bool) {
        let now = self.now;
        let is_new = self.models.get(&model.name).is_none_or(|t| t.listed.is_none());
        let name = model.name.clone();
        let tracked =
            self.models.entry(name.clone()).or_insert_with(|| Tracked::new(ModelState::Ready, now));
        if is_new {
            tracked.state = ModelState::Ready;
            tracked.stays();
            tracked.unlisted_at = None;
            tracked.idle = Idle { since: now, at_least: is_first };
        } else {
            tracked.follow_expiry(model.expires, now);
        }
        tracked.follow_death(now);
        let reported = model.reported;
        tracked.last_expiry = model.expires;
        tracked.listed = Some(model);
        if is_new {
            if !is_first && !self.actions.is_loading(&name) {
                self.note_return(&name);
            }
            self.note_change();
            if !is_first {
                self.history.mark(now, name.short().to_owned());
                self.tell(EventBody::ModelLoaded { model: name.short().to_owned(), reported });
            }
        }
    }

    /// Loaded by somebody else: perhaps once too often after a rule.
    fn note_return(&mut self, name: &ModelName) {
        if self.guard.restraint.loaded(name, self.now.mono) {
            let text = format!(
                "{name} comes back each time a rule unloads it: it is left alone for a while"
            );
            self.tell(EventBody::Note { text });
        }
    }

    /// Nobody listens there: nothing it said holds any longer.
    pub(super) fn forget_models(&mut self) {
        let names: Vec<ModelName> = self.models.keys().cloned().collect();
        for name in names {
            // A runner that lives on is an orphan from here on, not a model.
            self.remove_model(&name, GoneWhy::ServerDown);
        }
    }

    /// Joins models and runners, and follows what each runner does.
    pub(super) fn follow_processes(&mut self) {
        if self.server.is_remote() {
            return;
        }
        let Some(sample) = self.readings.sample().cloned() else { return };
        let Ok(processes) = &sample.processes else { return };
        let runners = &processes.runners;
        let servers: BTreeSet<u32> = processes.servers.iter().map(|s| s.key.pid).collect();
        let ours: BTreeSet<u32> =
            processes.servers.iter().filter(|s| may_be_ours(s)).map(|s| s.key.pid).collect();
        let seen: BTreeSet<ProcessKey> = runners.iter().map(|runner| runner.key).collect();
        if seen != self.seen_runners {
            self.seen_runners = seen;
            self.poll_loaded_now();
        }
        self.follow_parents(runners, &servers);
        self.part_from_strays(runners, &ours);
        self.join(runners, &ours);
        let names: Vec<ModelName> = self.models.keys().cloned().collect();
        for name in names {
            self.follow_runner(&name, runners);
        }
        if let Some(swap) = self.readings.swap_span() {
            for tracked in self.models.values_mut() {
                tracked.charge_swap(swap, self.now.mono);
            }
        }
        self.settle_departures();
        self.find_stuck();
    }

    /// A runner whose server has gone is nobody's model any longer, whatever
    /// a new server on the same port lists.
    fn part_from_strays(&mut self, runners: &[Process], ours: &BTreeSet<u32>) {
        let is_stray = |key: ProcessKey| {
            runners.iter().any(|runner| runner.key == key && !ours.contains(&runner.parent))
        };
        for tracked in self.models.values_mut() {
            if tracked.runner.is_some_and(is_stray) {
                tracked.runner = None;
                tracked.held = None;
            }
        }
    }

    /// Since when runners have had no server: a young one may merely be late.
    fn follow_parents(&mut self, runners: &[Process], servers: &BTreeSet<u32>) {
        let now = self.now;
        self.parentless.retain(|key, _| runners.iter().any(|runner| runner.key == *key));
        for runner in runners {
            if servers.contains(&runner.parent) {
                self.parentless.remove(&runner.key);
            } else {
                self.parentless.entry(runner.key).or_insert(now);
            }
        }
    }

    fn join(&mut self, runners: &[Process], ours: &BTreeSet<u32>) {
        let is_taken = |key| self.models.values().any(|t| t.runner == Some(key) && !t.is_guess());
        let mut free: Vec<&Process> = runners
            .iter()
            .filter(|runner| ours.contains(&runner.parent) && !is_taken(runner.key))
            .collect();
        // The newest first: a reload leaves the old one a moment longer.
        free.sort_by_key(|runner| std::cmp::Reverse(runner.key.started));
        let mut unjoined: Vec<ModelName> = self
            .models
            .iter()
            .filter(|(_, tracked)| !self.runner_lives(tracked.runner))
            .filter(|(_, tracked)| tracked.listed.is_some() || tracked.runner.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        // Two names may share one file: the listed one has the better claim.
        unjoined.sort_by_key(|name| self.models.get(name).is_none_or(|t| t.listed.is_none()));
        for name in unjoined {
            let blob = self.blob_of(&name);
            let carries = |runner: &Process| carries(runner, &name, blob.as_ref());
            if let Some(index) = free.iter().position(|runner| carries(runner)) {
                let runner = free.remove(index);
                self.adopt(&name, runner.key);
            }
        }
        if self.server.is_up() {
            for runner in free {
                self.start_loading(runner);
            }
        }
    }

    fn adopt(&mut self, name: &ModelName, runner: ProcessKey) {
        let is_other_guess = |other: &ModelName, tracked: &Tracked| {
            other != name && tracked.runner == Some(runner) && tracked.is_guess()
        };
        self.models.retain(|other, tracked| !is_other_guess(other, tracked));
        let Some(tracked) = self.models.get_mut(name) else { return };
        let seen = match tracked.runner == Some(runner) {
            true => None,
            false => {
                tracked.forget_growth();
                tracked.observed.take()
            }
        };
        tracked.runner = Some(runner);
        tracked.cpu = None;
        tracked.is_working = false;
        if matches!(tracked.state, ModelState::Gone { .. }) && tracked.listed.is_some() {
            tracked.state = ModelState::Ready;
        }
        self.close_load(name, seen);
    }

    /// A runner that no listed model explains: a load in progress, where its
    /// weights have a name. Otherwise it is shown as a runner only.
    fn start_loading(&mut self, runner: &Process) {
        let ProcessRole::Runner(arguments) = &runner.role else { return };
        let Some(name) = self.name_of(arguments) else { return };
        let is_joined = self.models.values().any(|tracked| tracked.runner == Some(runner.key));
        if is_joined || self.models.contains_key(&name) {
            return;
        }
        let mut tracked = Tracked::new(ModelState::Loading { since: self.now }, self.now);
        tracked.runner = Some(runner.key);
        self.models.insert(name, tracked);
        self.note_change();
    }

    fn name_of(&self, arguments: &RunnerArguments) -> Option<ModelName> {
        let by_blob = arguments.blob.as_ref().and_then(|blob| self.metadata.name_of(blob)).cloned();
        by_blob.or_else(|| arguments.model.clone().map(ModelName::new))
    }

    fn blob_of(&self, name: &ModelName) -> Option<BlobDigest> {
        let digest = match self.models.get(name).and_then(|tracked| tracked.listed.as_ref()) {
            Some(listed) => &listed.digest,
            None => &self.installed_model(name)?.digest,
        };
        self.metadata.of(name, digest)?.blob.clone()
    }

    /// Whether some runner of our server carries weights nobody has named.
    pub(super) fn has_nameless_runner(&self) -> bool {
        let Some(processes) = self.readings.processes() else { return false };
        processes.runners.iter().any(|runner| {
            let ProcessRole::Runner(arguments) = &runner.role else { return false };
            arguments.blob.as_ref().is_some_and(|blob| self.metadata.name_of(blob).is_none())
                && processes
                    .servers
                    .iter()
                    .any(|server| server.key.pid == runner.parent && may_be_ours(server))
        })
    }

    pub(super) fn runner_lives(&self, runner: Option<ProcessKey>) -> bool {
        self.sight_of(runner) == Sight::Alive
    }

    /// What the last sample shows of a runner. Processes that could not be
    /// read prove nothing: neither that it lives nor that it has ended.
    pub(super) fn sight_of(&self, runner: Option<ProcessKey>) -> Sight {
        let (Some(key), Some(processes)) = (runner, self.readings.processes()) else {
            return Sight::Unseen;
        };
        let is_there = |process: &Process| process.key == key && !process.is_zombie;
        if processes.runners.iter().any(is_there) { Sight::Alive } else { Sight::Ended }
    }

    fn follow_runner(&mut self, name: &ModelName, runners: &[Process]) {
        let now = self.now;
        let Some(tracked) = self.models.get_mut(name) else { return };
        let Some(key) = tracked.runner else {
            let is_past = tracked.expiry_is_past(now);
            tracked.activity = if is_past { Activity::Busy } else { Activity::Unknown };
            return;
        };
        let runner = runners.iter().find(|runner| runner.key == key && !runner.is_zombie);
        let Some(runner) = runner else {
            tracked.missing_since.get_or_insert(now);
            tracked.activity = Activity::Unknown;
            tracked.is_working = false;
            return;
        };
        tracked.missing_since = None;
        tracked.held = runner.memory.measured();
        tracked.follow_growth();
        if let Some((held, _)) = tracked.held {
            tracked.course.push(now.mono, held);
        }
        let worked = tracked.is_working;
        tracked.follow_work(runner, now);
        if worked && !tracked.is_working {
            tracked.idle = Idle { since: now, at_least: false };
        }
        tracked.activity = match runner.cpu {
            _ if tracked.is_working || tracked.expiry_is_past(now) => Activity::Busy,
            Some(_) => Activity::Idle,
            None => Activity::Unknown,
        };
        tracked.follow_leaving(runner.cpu.is_some(), now);
    }

    /// Asked to leave or off the list, idle, and still there: stuck.
    fn find_stuck(&mut self) {
        let now = self.now;
        for tracked in self.models.values_mut() {
            let is_late =
                tracked.quiet_since.is_some_and(|since| now.mono.since(since) >= STUCK_AFTER);
            let is_there = tracked.runner.is_some() && tracked.missing_since.is_none();
            if is_late && is_there && !matches!(tracked.state, ModelState::Stuck { .. }) {
                tracked.state = ModelState::Stuck { since: now };
            }
        }
    }

    /// Removes what is neither listed nor carried by a runner any longer.
    fn settle_departures(&mut self) {
        let now = self.now;
        let names: Vec<ModelName> = self
            .models
            .iter()
            .filter(|(_, tracked)| tracked.listed.is_none())
            .filter(|(name, tracked)| match tracked.state {
                // Our own load may be waiting for room before a runner starts.
                ModelState::Loading { since } => {
                    !self.runner_lives(tracked.runner)
                        && !self.actions.is_loading(name)
                        && now.since(since) > UNLISTED_FOR
                }
                _ => !self.runner_lives(tracked.runner),
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let why = self.why_gone(&name);
            self.remove_model(&name, why);
        }
    }

    fn why_gone(&self, name: &ModelName) -> GoneWhy {
        let Some(tracked) = self.models.get(name) else { return GoneWhy::Unknown };
        let made_room = self.models.values().any(|other| match other.state {
            ModelState::Loading { since } => self.now.since(since) < MADE_ROOM_WITHIN,
            _ => false,
        });
        match tracked.state {
            _ if tracked.was_asked => GoneWhy::Asked,
            ModelState::Gone { .. } => GoneWhy::RunnerDied,
            _ if self.actions.asked_to_unload(name) => GoneWhy::Asked,
            _ if made_room => GoneWhy::MadeRoom,
            _ if self.was_due(tracked) => GoneWhy::Expired,
            _ => GoneWhy::Unknown,
        }
    }

    /// Its time was up, by the last expiry it was listed with.
    fn was_due(&self, tracked: &Tracked) -> bool {
        let margin = jiff::SignedDuration::from_secs(5);
        matches!(tracked.last_expiry, Some(Expiry::At(at)) if at <= self.now.wall + margin)
    }

    fn remove_model(&mut self, name: &ModelName, why: GoneWhy) {
        let Some(mut tracked) = self.models.remove(name) else { return };
        self.note_change();
        self.close_load(name, tracked.observed.take());
        let was_loading = matches!(tracked.state, ModelState::Loading { .. });
        // What lives on has given nothing back.
        let has_ended = self.sight_of(tracked.runner) == Sight::Ended;
        let held = tracked.held_before.or(tracked.held).filter(|_| has_ended);
        // Of one that had died before, nothing comes back by its unload.
        let is_dead = matches!(tracked.state, ModelState::Gone { .. });
        let is_ours = self.actions.note_departure(name, has_ended, held.filter(|_| !is_dead));
        if is_ours || was_loading {
            return;
        }
        self.tell(EventBody::ModelGone {
            model: name.short().to_owned(),
            why,
            freed: held.map(|(bytes, _)| bytes),
        });
    }

    pub(super) fn models_held(&self) -> Bytes {
        if self.server.is_remote() {
            return Bytes::ZERO;
        }
        let is_here = |tracked: &&Tracked| !tracked.listed.as_ref().is_some_and(|l| l.is_cloud);
        self.models.values().filter(is_here).filter_map(Tracked::held_bytes).sum()
    }

    /// A load of ours is under way: shown from the start, before any runner.
    pub(super) fn show_loading(&mut self, name: &ModelName) {
        let now = self.now;
        self.models
            .entry(name.clone())
            .or_insert_with(|| Tracked::new(ModelState::Loading { since: now }, now));
    }
}

/// A server that may be the one we ask: it owns the socket, or nobody can say.
pub(super) fn may_be_ours(server: &Process) -> bool {
    match &server.role {
        ProcessRole::Server { listens, .. } => *listens != Some(false),
        _ => false,
    }
}

fn carries(runner: &Process, name: &ModelName, blob: Option<&BlobDigest>) -> bool {
    let ProcessRole::Runner(arguments) = &runner.role else { return false };
    let by_blob = blob.is_some() && arguments.blob.as_ref() == blob;
    let by_name = || arguments.model.as_deref().is_some_and(|m| &ModelName::new(m) == name);
    by_blob || by_name()
}
