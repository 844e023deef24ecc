//! The recorded machine, as it would have answered what was done to it.
//!
//! A model that was unloaded is taken out of the server's list, its runner out
//! of the processes, and what that runner holds in each later sample off the
//! memory in use: until the recording shows the runner gone, or the model
//! loaded anew. What cannot be known stays as it was recorded: pressure,
//! paging, and whatever others would have done with the room.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::act::Order;
use crate::domain::fault::RuntimeFaultKind;
use crate::domain::model::{Expiry, InstalledModel, LoadedModel, ModelDetails};
use crate::domain::plan::Keep;
use crate::domain::process::{ProcessMemory, ProcessTable, RunnerArguments, RunnerProgram};
use crate::domain::{
    BlobDigest, Bytes, Deed, GroupKind, ModelName, Moment, Monotonic, Process, ProcessKey,
    ProcessRole, RuntimeFault, Sample, Target,
};
use crate::runtime::LoadOptions;

use super::super::input::Answered;
use super::Said;
use super::findings::Given;

/// Work, as the state takes it: this share of a core over at least this span.
const BUSY_SHARE: f64 = 0.05;
const BUSY_SPAN: Duration = Duration::from_millis(900);

/// A load is through once its runner grows by less than this from one sample
/// to the next, percent.
const STILL_LOADING: u64 = 2;

/// What the server gives a model that is loaded without a word on it.
const DEFAULT_KEEP: Duration = Duration::from_secs(300);

/// Expiry moved by less is rounding.
const EXPIRY_MOVED: Duration = Duration::from_millis(500);

/// What is known of an unload when it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) runner: Option<ProcessKey>,
    pub(super) is_generating: bool,
    /// As the state saw it last.
    pub(super) sample: Option<&'a Sample>,
}

#[derive(Debug, Default)]
pub(super) struct World {
    loaded: Option<Result<Vec<LoadedModel>, RuntimeFault>>,
    installed: Option<Result<Vec<InstalledModel>, RuntimeFault>>,
    version: Option<Result<String, RuntimeFault>>,
    details: BTreeMap<ModelName, ModelDetails>,
    runners: BTreeMap<ProcessKey, Seen>,
    sizes: BTreeMap<ModelName, Bytes>,
    absent: Vec<Absent>,
    added: Vec<Added>,
    ended: Vec<ProcessKey>,
    stopped: Vec<(GroupKind, String)>,
    used_again: Vec<ModelName>,
}

/// A runner of the recording.
#[derive(Debug, Clone)]
struct Seen {
    last: ProcessMemory,
    /// Once its load was through: what it began with.
    first: Option<ProcessMemory>,
}

/// A model that the recording still shows and the simulation has unloaded.
#[derive(Debug)]
struct Absent {
    model: ModelName,
    runner: Option<ProcessKey>,
    blob: Option<BlobDigest>,
    /// Runners that were there when it was asked: any other is a new load.
    others: Vec<ProcessKey>,
    expires: Option<Expiry>,
    vram: Bytes,
    stage: Stage,
    /// The recording has shown its runner gone.
    is_gone: bool,
    /// What it gave back in the last sample that showed its processes.
    given: Given,
}

#[derive(Debug)]
enum Stage {
    /// Its generation goes on; it leaves when its runner rests.
    Generating {
        since: Option<(Monotonic, Duration)>,
    },
    Out,
    /// Loaded again: as large as it first was, and what it has grown since.
    Back {
        first: ProcessMemory,
        then: ProcessMemory,
    },
}

/// A model that the simulation has loaded and the recording does not show.
#[derive(Debug)]
struct Added {
    listed: LoadedModel,
    runner: Option<Process>,
    bytes: Bytes,
}

impl World {
    pub(super) fn hear(&mut self, said: Said) {
        match said {
            Said::Loaded(loaded) => {
                if let Ok(list) = &loaded {
                    self.follow_list(list);
                }
                self.loaded = Some(loaded);
            }
            Said::Installed(installed) => self.installed = Some(installed),
            Said::Version(version) => self.version = Some(version),
            Said::Details(model, details) => drop(self.details.insert(model, details)),
        }
    }

    fn follow_list(&mut self, list: &[LoadedModel]) {
        for model in list {
            if let Some(reported) = model.reported {
                self.sizes.insert(model.name.clone(), reported);
            }
        }
        // What the recording has loaded itself is no longer ours to show.
        self.added.retain(|added| list.iter().all(|model| model.name != added.listed.name));
        for absent in &mut self.absent {
            let is_out = matches!(absent.stage, Stage::Out);
            let listed = list.iter().find(|model| model.name == absent.model && is_out);
            if listed.is_some_and(|model| has_moved_on(absent.expires, model.expires)) {
                // Once for an unload.
                absent.expires = None;
                self.used_again.push(absent.model.clone());
            }
        }
    }

    pub(super) fn loaded(&self) -> Result<Vec<LoadedModel>, RuntimeFault> {
        let mut list = told(self.loaded.as_ref())?;
        list.retain(|model| !self.is_out(&model.name));
        list.extend(self.added.iter().map(|added| added.listed.clone()));
        Ok(list)
    }

    pub(super) fn installed(&self) -> Result<Vec<InstalledModel>, RuntimeFault> {
        told(self.installed.as_ref())
    }

    pub(super) fn version(&self) -> Result<String, RuntimeFault> {
        told(self.version.as_ref())
    }

    pub(super) fn details(&self, model: &ModelName) -> Result<ModelDetails, RuntimeFault> {
        self.details.get(model).cloned().ok_or_else(unanswered)
    }

    fn is_out(&self, model: &ModelName) -> bool {
        let is_out = |absent: &Absent| absent.model == *model && matches!(absent.stage, Stage::Out);
        self.absent.iter().any(is_out)
    }

    fn lists(&self, model: &ModelName) -> bool {
        matches!(&self.loaded, Some(Ok(list)) if list.iter().any(|listed| listed.name == *model))
    }

    /// Models that the recording used after they had been unloaded here.
    pub(super) fn take_used_again(&mut self) -> Vec<ModelName> {
        std::mem::take(&mut self.used_again)
    }

    /// The sample as it would have been. `true`: it is not as it was recorded.
    pub(super) fn alter(&mut self, sample: &mut Sample, now: Moment) -> bool {
        self.follow_runners(sample);
        if self.absent.is_empty()
            && self.added.is_empty()
            && self.ended.is_empty()
            && self.stopped.is_empty()
        {
            return false;
        }
        self.expire_added(now);
        let mut given = self.alter_ended(sample) + self.alter_stopped(sample);
        let mut absent = std::mem::take(&mut self.absent);
        for model in &mut absent {
            given = given + Self::alter_model(model, sample, now);
        }
        absent.retain(|model| !self.is_over(model, sample));
        self.absent = absent;
        let taken = self.alter_added(sample);
        give(sample, given);
        take(sample, taken);
        let is_changed = |absent: &Absent| !matches!(absent.stage, Stage::Generating { .. });
        self.absent.iter().any(is_changed)
            || !(self.added.is_empty() && self.ended.is_empty() && self.stopped.is_empty())
    }

    fn follow_runners(&mut self, sample: &Sample) {
        let Ok(table) = &sample.processes else { return };
        if self.runners.len() > table.runners.len() {
            self.runners.retain(|key, _| table.runners.iter().any(|runner| runner.key == *key));
        }
        for runner in &table.runners {
            let memory = &runner.memory;
            let Some(seen) = self.runners.get_mut(&runner.key) else {
                self.runners.insert(runner.key, Seen { last: memory.clone(), first: None });
                continue;
            };
            if seen.first.is_none() && is_loaded(&seen.last, memory) {
                seen.first = Some(memory.clone());
            }
            if seen.last != *memory {
                seen.last.clone_from(memory);
            }
        }
    }

    /// One unloaded model in one sample.
    fn alter_model(model: &mut Absent, sample: &mut Sample, now: Moment) -> Given {
        let Ok(table) = &mut sample.processes else {
            // Nothing can be seen of it: what it last gave back stands.
            return if matches!(model.stage, Stage::Out) { model.given } else { Given::default() };
        };
        let Some(key) = model.runner else { return Given::default() };
        let Some(place) = table.runners.iter().position(|runner| runner.key == key) else {
            model.is_gone = true;
            model.given = Given::default();
            return Given::default();
        };
        let memory = table.runners[place].memory.clone();
        if let Stage::Generating { since } = &mut model.stage
            && rests(since, table.runners[place].cpu, now.mono)
        {
            model.stage = Stage::Out;
        }
        match &model.stage {
            Stage::Generating { .. } => Given::default(),
            Stage::Out => {
                table.runners.remove(place);
                model.given = Given { vram: model.vram, ..Given::of(&memory) };
                model.given
            }
            Stage::Back { first, then } => {
                let runner = &mut table.runners[place];
                // Another process under the same number.
                runner.key.started = runner.key.started.saturating_add(1);
                runner.memory = grown(first, then, &memory);
                Given::of(&memory).less(Given::of(&runner.memory))
            }
        }
    }

    /// The recording shows the model gone, or loaded anew by another runner.
    fn is_over(&self, absent: &Absent, sample: &Sample) -> bool {
        let is_listed = self.lists(&absent.model);
        let Ok(table) = &sample.processes else { return false };
        let is_anew = table.runners.iter().any(|runner| {
            !absent.others.contains(&runner.key)
                && (absent.blob.is_none() || blob(runner) == absent.blob.as_ref())
        });
        match absent.runner {
            Some(_) => absent.is_gone && (!is_listed || is_anew),
            None => !is_listed,
        }
    }

    fn alter_ended(&mut self, sample: &mut Sample) -> Given {
        let Ok(table) = &mut sample.processes else { return Given::default() };
        let mut given = Given::default();
        self.ended.retain(|key| {
            let Some(process) = take_out(table, *key) else { return false };
            given = given + Given::of(&process.memory);
            true
        });
        given
    }

    fn alter_stopped(&mut self, sample: &mut Sample) -> Given {
        let Ok(groups) = &mut sample.groups else { return Given::default() };
        let mut given = Given::default();
        self.stopped.retain(|(kind, name)| {
            let is_it = |group: &crate::domain::Group| group.kind == *kind && group.name == *name;
            let Some(place) = groups.iter().position(is_it) else { return false };
            given = given + Given::of_group(&groups.remove(place));
            true
        });
        given
    }

    fn alter_added(&self, sample: &mut Sample) -> Bytes {
        if let Ok(table) = &mut sample.processes {
            let server = table.servers.first().map_or(0, |server| server.key.pid);
            let runners = self.added.iter().filter_map(|added| added.runner.clone());
            table.runners.extend(runners.map(|runner| Process { parent: server, ..runner }));
        }
        self.added.iter().map(|added| added.bytes).sum()
    }

    /// A model that nobody uses leaves when its time is up.
    fn expire_added(&mut self, now: Moment) {
        self.added.retain(|added| match added.listed.expires {
            Some(Expiry::At(at)) => at > now.wall,
            _ => true,
        });
    }
}

impl World {
    /// Begins to take a model away. What it gives back by the last sample.
    pub(super) fn unload(&mut self, model: &ModelName, asked: Asked<'_>) -> Given {
        if let Some(place) = self.added.iter().position(|added| added.listed.name == *model) {
            let added = self.added.remove(place);
            return Given { memory: added.bytes, ..Given::default() };
        }
        let table = asked.sample.and_then(|sample| sample.processes.as_ref().ok());
        let listed = match &self.loaded {
            Some(Ok(list)) => list.iter().find(|listed| listed.name == *model),
            _ => None,
        };
        let runner = asked.runner.map(|key| self.recorded_key(model, key));
        let vram = listed.and_then(|listed| listed.vram).unwrap_or_default();
        let process = asked.runner.and_then(|key| table?.find(key));
        let given = process.map(|process| Given { vram, ..Given::of(&process.memory) });
        let given = given.unwrap_or_default();
        // An earlier recycle of it is over.
        self.absent.retain(|absent| absent.model != *model);
        self.absent.push(Absent {
            model: model.clone(),
            runner,
            blob: process.and_then(blob).cloned(),
            others: self.runners.keys().copied().collect(),
            expires: listed.and_then(|listed| listed.expires),
            vram,
            stage: if asked.is_generating { Stage::Generating { since: None } } else { Stage::Out },
            is_gone: false,
            given,
        });
        given
    }

    /// The recording's own key of a runner that was loaded again here.
    fn recorded_key(&self, model: &ModelName, key: ProcessKey) -> ProcessKey {
        let is_back =
            |absent: &&Absent| absent.model == *model && matches!(absent.stage, Stage::Back { .. });
        let recorded = self.absent.iter().find(is_back).and_then(|absent| absent.runner);
        recorded.filter(|recorded| recorded.pid == key.pid).unwrap_or(key)
    }

    /// Loads a model, or changes how long it stays, which the recording
    /// decides.
    pub(super) fn load(
        &mut self,
        model: &ModelName,
        options: LoadOptions,
        now: Moment,
    ) -> Result<Answered, String> {
        let runners = &self.runners;
        let is_out = |absent: &&mut Absent| {
            absent.model == *model && !absent.is_gone && !matches!(absent.stage, Stage::Back { .. })
        };
        if let Some(absent) = self.absent.iter_mut().find(is_out) {
            let seen = absent.runner.and_then(|key| runners.get(&key));
            let then = seen.map(|seen| seen.last.clone()).unwrap_or_default();
            let first = seen.and_then(|seen| seen.first.clone()).unwrap_or_else(|| then.clone());
            absent.stage = Stage::Back { first, then };
            return Ok(None);
        }
        if self.lists(model) && !self.is_out(model) {
            return Ok(None);
        }
        self.add(model, options, now)
    }

    fn add(
        &mut self,
        model: &ModelName,
        options: LoadOptions,
        now: Moment,
    ) -> Result<Answered, String> {
        let installed = match &self.installed {
            Some(Ok(list)) => list.iter().find(|installed| installed.name == *model),
            _ => None,
        };
        let installed = installed.ok_or("the recording does not hold this model")?;
        let bytes = self.sizes.get(model).copied().or(installed.disk);
        let until = |span: Duration| now.wall.checked_add(span).ok().map(Expiry::At);
        let listed = LoadedModel {
            name: model.clone(),
            digest: installed.digest.clone(),
            reported: bytes,
            vram: None,
            context: options.context,
            expires: match options.keep {
                Keep::Default => until(DEFAULT_KEEP),
                Keep::For(span) => until(span),
                Keep::Forever => Some(Expiry::Never),
            },
            parameters: installed.parameters.clone(),
            quantization: installed.quantization.clone(),
            family: installed.family.clone(),
            is_cloud: installed.is_cloud,
        };
        self.absent.retain(|absent| absent.model != *model);
        let runner = self.details.get(model).and_then(|details| details.blob.clone());
        let number = u32::try_from(self.added.len()).unwrap_or_default();
        let runner = runner.map(|blob| modelled_runner(blob, bytes, number, now));
        self.added.push(Added { listed, runner, bytes: bytes.unwrap_or_default() });
        Ok(None)
    }

    /// What ends a process or stops a container gives back what that held; of
    /// anything else nobody can say, and it is only noted.
    pub(super) fn carry_out(&mut self, order: &Order, sample: Option<&Sample>) -> Given {
        let (key, target) = match order {
            Order::EndProcess(key) => (Some(*key), None),
            Order::Deed {
                target: Target::Process { key }, deed: Deed::Term | Deed::Kill, ..
            } => (Some(*key), None),
            Order::Deed { target, deed: Deed::Stop | Deed::Kill, .. } => (None, Some(target)),
            Order::Deed { .. } | Order::Run { .. } => (None, None),
        };
        if let Some(key) = key {
            let table = sample.and_then(|sample| sample.processes.as_ref().ok());
            let Some(process) = table.and_then(|table| table.find(key)) else {
                return Given::default();
            };
            self.ended.push(key);
            return Given::of(&process.memory);
        }
        let groups = sample.and_then(|sample| sample.groups.as_ref().ok());
        let group = groups.into_iter().flatten().find(|group| target.is_some_and(|t| is(group, t)));
        let Some(group) = group else { return Given::default() };
        self.stopped.push((group.kind.clone(), group.name.clone()));
        Given::of_group(group)
    }
}

fn is(group: &crate::domain::Group, target: &Target) -> bool {
    match (&group.kind, target) {
        (GroupKind::Container { id }, Target::Container { id: wanted, .. }) => id == wanted,
        (GroupKind::Unit { is_user }, Target::Unit { name, is_user: wanted }) => {
            group.name == *name && is_user == wanted
        }
        _ => false,
    }
}

fn told<T: Clone>(said: Option<&Result<T, RuntimeFault>>) -> Result<T, RuntimeFault> {
    said.cloned().unwrap_or_else(|| Err(unanswered()))
}

fn unanswered() -> RuntimeFault {
    let detail = "the recording holds no answer to this yet";
    RuntimeFault::new(RuntimeFaultKind::Unreachable, detail)
}

fn blob(runner: &Process) -> Option<&BlobDigest> {
    match &runner.role {
        ProcessRole::Runner(arguments) => arguments.blob.as_ref(),
        _ => None,
    }
}

fn has_moved_on(old: Option<Expiry>, new: Option<Expiry>) -> bool {
    match (old, new) {
        (Some(Expiry::At(old)), Some(Expiry::At(new))) => {
            new > old && new.duration_since(old).unsigned_abs() > EXPIRY_MOVED
        }
        _ => false,
    }
}

fn is_loaded(before: &ProcessMemory, after: &ProcessMemory) -> bool {
    let held = |memory: &ProcessMemory| memory.measured().map(|(bytes, _)| bytes.get());
    match (held(before), held(after)) {
        (Some(before), Some(after)) => after.saturating_sub(before) * 100 <= before * STILL_LOADING,
        _ => false,
    }
}

/// Whether a runner has done next to nothing over a span long enough to tell.
fn rests(since: &mut Option<(Monotonic, Duration)>, cpu: Option<Duration>, now: Monotonic) -> bool {
    let Some(cpu) = cpu else { return true };
    let Some((from, before)) = *since else {
        *since = Some((now, cpu));
        return false;
    };
    let span = now.since(from);
    if span < BUSY_SPAN {
        return false;
    }
    *since = Some((now, cpu));
    cpu.saturating_sub(before).as_secs_f64() <= span.as_secs_f64() * BUSY_SHARE
}

/// As large as at first, and as much larger as the recorded one has grown.
fn grown(first: &ProcessMemory, then: &ProcessMemory, now: &ProcessMemory) -> ProcessMemory {
    let part = |pick: fn(&ProcessMemory) -> Option<Bytes>| {
        let grown = pick(now)?.saturating_sub(pick(then).unwrap_or_default());
        Some((pick(first)? + grown).min(pick(now)?))
    };
    ProcessMemory {
        resident: part(|memory| memory.resident),
        anonymous: part(|memory| memory.anonymous),
        file: part(|memory| memory.file),
        shared: part(|memory| memory.shared),
        swapped: part(|memory| memory.swapped),
        proportional: part(|memory| memory.proportional),
        physical_footprint: part(|memory| memory.physical_footprint),
    }
}

fn take_out(table: &mut ProcessTable, key: ProcessKey) -> Option<Process> {
    [&mut table.runners, &mut table.named, &mut table.others].into_iter().find_map(|list| {
        let place = list.iter().position(|process| process.key == key)?;
        Some(list.remove(place))
    })
}

fn give(sample: &mut Sample, given: Given) {
    if let Ok(memory) = &mut sample.memory {
        memory.available = (memory.available + given.memory).min(memory.total);
        memory.free = (memory.free + given.memory).min(memory.available);
    }
    if let Ok(swap) = &mut sample.swap {
        swap.used = swap.used.saturating_sub(given.swap);
    }
    if let Ok(limit) = &mut sample.limit {
        limit.used = limit.used.saturating_sub(given.memory);
    }
    if let Ok(cards) = &mut sample.gpus {
        // With several cards nobody says which one held it.
        let mut own = cards.iter_mut().filter(|card| !card.unified);
        if let (Some(card), None) = (own.next(), own.next()) {
            card.used = card.used.map(|used| used.saturating_sub(given.vram));
        }
    }
}

fn take(sample: &mut Sample, taken: Bytes) {
    if let Ok(memory) = &mut sample.memory {
        memory.available = memory.available.saturating_sub(taken);
        memory.free = memory.free.min(memory.available);
    }
}

/// A runner that no recording shows. No system numbers processes so high.
fn modelled_runner(blob: BlobDigest, bytes: Option<Bytes>, number: u32, now: Moment) -> Process {
    Process {
        key: ProcessKey { pid: u32::MAX - number, started: now.mono.millis() },
        parent: 0,
        name: "llama-server".into(),
        role: ProcessRole::Runner(Box::new(RunnerArguments {
            program: RunnerProgram::LlamaServer,
            blob: Some(blob),
            model: None,
            context: None,
            parallel: None,
            port: None,
            flags: Vec::new(),
            in_ollama_folder: Some(true),
        })),
        uid: None,
        memory: ProcessMemory { resident: bytes, ..ProcessMemory::default() },
        cpu: Some(Duration::ZERO),
        is_zombie: false,
        matched: Vec::new(),
    }
}
