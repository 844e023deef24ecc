//! The simulated Ollama: what is installed, what is loaded, and the runners
//! that hold it. It behaves as the recorded server does: a loading model is
//! not listed, an unload of a busy one waits, a runner grows with use.

use std::time::Duration;

use super::chance::digest;
use super::recipes::{RECIPES, Recipe, find, refuse_cloud};
use super::{TICK, ramp};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{RuntimeFault, RuntimeFaultKind};
use crate::domain::model::{Expiry, InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::domain::plan::Keep;
use crate::domain::process::{
    Process, ProcessKey, ProcessMemory, ProcessRole, RunnerArguments, RunnerProgram,
};
use crate::domain::time::Wall;

/// What a server keeps a model for by itself.
const KEEP: Duration = Duration::from_secs(300);

/// Program and libraries of a runner, whatever its model, as recorded.
const RUNNER_FILE: Bytes = Bytes::mib(14);

/// What a runner has before it reads weights, and beside its buffers.
const RUNNER_BASE: Bytes = Bytes::mib(24);

/// A runner's memory comes back over this many ticks: 200 ms.
const UNLOAD_TICKS: u32 = 2;

/// The prompt cache's own limit in the demo, far below the real 8 GiB: the
/// story loops, and growth without end would drown everything else.
const CACHE_LIMIT: Bytes = Bytes::mib(768);

/// The server's pid; runners are counted from there.
pub(super) const SERVER_PID: u32 = 1412;

/// The server's own anonymous and file memory.
const SERVER: [Bytes; 2] = [Bytes::mib(41), Bytes::mib(36)];

/// Processor time a working runner takes of each tick: two cores' worth less
/// a little.
const WORK: Duration = Duration::from_millis(186);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading {
        done: u32,
    },
    Ready,
    /// Asked to go; goes when it is idle.
    Leaving,
    /// Not listed any more; its runner gives back.
    Ending {
        left: u32,
    },
}

/// A runner and what it carries.
#[derive(Debug, Clone)]
struct Runner {
    recipe: Recipe,
    phase: Phase,
    context: u64,
    keep: Keep,
    expires: Option<Wall>,
    /// What use has added to it.
    cache: Bytes,
    cpu: Duration,
    /// Ticks the request in progress still takes.
    busy: u32,
    pid: u32,
    started: u64,
}

/// What is to be loaded, and how.
pub(super) struct Wish<'a> {
    pub(super) name: &'a ModelName,
    pub(super) keep: Keep,
    pub(super) context: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Models {
    runners: Vec<Runner>,
    /// Runners started so far, for pids and start times.
    count: u32,
    ticks: u64,
    server_cpu: Duration,
}

impl Models {
    pub(super) fn new(now: Wall) -> Self {
        let mut models =
            Models { runners: Vec::new(), count: 0, ticks: 0, server_cpu: Duration::ZERO };
        for (recipe, cache, left) in [(RECIPES[0], 210, 288), (RECIPES[1], 96, 171)] {
            let mut runner = models.runner(recipe, recipe.context, Keep::Default);
            runner.phase = Phase::Ready;
            runner.cache = Bytes::mib(cache);
            runner.expires = now.checked_add(Duration::from_secs(left)).ok();
            runner.cpu = Duration::from_secs(left);
            models.runners.push(runner);
        }
        models
    }

    fn runner(&mut self, recipe: Recipe, context: u64, keep: Keep) -> Runner {
        self.count += 1;
        Runner {
            recipe,
            phase: Phase::Loading { done: 0 },
            context,
            keep,
            expires: None,
            cache: Bytes::ZERO,
            cpu: Duration::ZERO,
            busy: 0,
            pid: SERVER_PID + 29 * self.count,
            // In clock ticks of 10 ms, on a machine up for an hour.
            started: 360_000 + self.ticks * 10 + u64::from(self.count),
        }
    }

    pub(super) fn tick(&mut self, now: Wall) {
        self.ticks += 1;
        // The server answers us, and does little else.
        self.server_cpu += Duration::from_micros(300);
        self.runners.retain_mut(|runner| runner.tick(now));
    }

    /// What all runners and the server hold.
    pub(super) fn held(&self) -> Bytes {
        SERVER[0] + SERVER[1] + self.runners.iter().map(Runner::resident).sum()
    }

    /// What runners that are loading have yet to take.
    pub(super) fn promised(&self) -> Bytes {
        self.runners
            .iter()
            .filter(|runner| matches!(runner.phase, Phase::Loading { .. }))
            .map(|runner| runner.full().saturating_sub(runner.anonymous()))
            .sum()
    }

    /// The server first, then runners in the order they were started.
    pub(super) fn processes(&self) -> Vec<Process> {
        let server = server(self.server_cpu);
        std::iter::once(server).chain(self.runners.iter().map(Runner::process)).collect()
    }

    pub(super) fn loaded(&self) -> Vec<LoadedModel> {
        let mut listed: Vec<&Runner> =
            self.runners.iter().filter(|runner| runner.is_listed()).collect();
        listed.sort_by_key(|runner| {
            std::cmp::Reverse((runner.expires.is_none(), runner.expires, runner.pid))
        });
        listed.into_iter().map(Runner::listing).collect()
    }

    pub(super) fn installed(&self) -> Vec<InstalledModel> {
        RECIPES.iter().map(Recipe::installed).collect()
    }

    pub(super) fn details(&self, name: &ModelName) -> Result<ModelDetails, RuntimeFault> {
        Ok(find(name)?.details())
    }

    pub(super) fn is_loaded(&self, name: &ModelName) -> bool {
        self.runners.iter().any(|runner| runner.is(name) && runner.is_listed())
    }

    pub(super) fn is_loading(&self, name: &ModelName) -> bool {
        self.runners
            .iter()
            .any(|runner| runner.is(name) && matches!(runner.phase, Phase::Loading { .. }))
    }

    pub(super) fn unload(&mut self, name: &ModelName, now: Wall) -> Result<(), RuntimeFault> {
        refuse_cloud(find(name)?)?;
        for runner in self.runners.iter_mut().filter(|runner| runner.is(name)) {
            runner.ask_to_leave(now);
        }
        Ok(())
    }

    /// `room` is what could be had without swapping more.
    pub(super) fn load(
        &mut self,
        wish: Wish<'_>,
        room: Bytes,
        now: Wall,
    ) -> Result<(), RuntimeFault> {
        let recipe = *find(wish.name)?;
        refuse_cloud(&recipe)?;
        if let Some(runner) = self.runners.iter_mut().find(|runner| runner.is(wish.name)) {
            runner.keep_on(wish.keep, now);
            if !matches!(runner.phase, Phase::Ending { .. }) {
                return Ok(());
            }
        }
        let context = wish.context.unwrap_or(recipe.context).clamp(1, recipe.max_context);
        let need = recipe.reported(context) + RUNNER_BASE + RUNNER_FILE;
        self.make_room(need, room, now)?;
        let runner = self.runner(recipe, context, wish.keep);
        self.runners.push(runner);
        Ok(())
    }

    fn make_room(&mut self, need: Bytes, room: Bytes, now: Wall) -> Result<(), RuntimeFault> {
        let mut victims: Vec<&mut Runner> = self
            .runners
            .iter_mut()
            .filter(|runner| runner.phase == Phase::Ready && runner.busy == 0)
            .collect();
        victims.sort_by_key(|runner| (runner.expires.is_none(), runner.expires));
        let possible = room + victims.iter().map(|runner| runner.resident()).sum();
        if need > possible {
            return Err(RuntimeFault::new(
                RuntimeFaultKind::Status(500),
                format!(
                    "model requires more system memory ({need}) than is available ({possible})"
                ),
            ));
        }
        let mut had = room;
        for runner in victims {
            if had >= need {
                break;
            }
            had += runner.resident();
            runner.ask_to_leave(now);
        }
        Ok(())
    }

    pub(super) fn cut_off_load(&mut self, name: &ModelName) {
        for runner in self.runners.iter_mut().filter(|runner| runner.is(name)) {
            if let Phase::Loading { .. } = runner.phase {
                // It gives back what it had taken so far, and no more.
                runner.cache = runner.anonymous();
                runner.phase = Phase::Ending { left: UNLOAD_TICKS };
            }
        }
    }

    /// Somebody uses a loaded model for so long; it grows by `grows`.
    pub(super) fn request(&mut self, name: &ModelName, lasts: Duration, grows: Bytes) {
        let is_free = |runner: &&mut Runner| runner.is(name) && runner.phase == Phase::Ready;
        if let Some(runner) = self.runners.iter_mut().find(is_free) {
            runner.busy = u32::try_from(lasts.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
            runner.cache = (runner.cache + grows).min(CACHE_LIMIT);
        }
    }
}

impl Runner {
    /// `false`: it is gone.
    fn tick(&mut self, now: Wall) -> bool {
        match &mut self.phase {
            Phase::Loading { done } => {
                *done += 1;
                self.cpu += TICK;
                if *done >= self.recipe.load_ticks() {
                    self.phase = Phase::Ready;
                    self.expires = expiry(self.keep, now);
                }
            }
            Phase::Ready | Phase::Leaving if self.busy > 0 => {
                self.cpu += WORK;
                self.busy -= 1;
                if self.busy == 0 && self.phase == Phase::Ready {
                    self.expires = expiry(self.keep, now);
                }
            }
            Phase::Ready if self.expires.is_none_or(|at| at > now) => {}
            Phase::Ready | Phase::Leaving => {
                self.cache = self.anonymous();
                self.phase = Phase::Ending { left: UNLOAD_TICKS };
            }
            Phase::Ending { left } => {
                *left -= 1;
                return *left > 0;
            }
        }
        true
    }

    fn ask_to_leave(&mut self, now: Wall) {
        match self.phase {
            Phase::Ready if self.busy > 0 => {
                self.phase = Phase::Leaving;
                self.expires = Some(now);
            }
            Phase::Ready => {
                self.cache = self.anonymous();
                self.phase = Phase::Ending { left: UNLOAD_TICKS };
            }
            Phase::Loading { .. } | Phase::Leaving | Phase::Ending { .. } => {}
        }
    }

    /// `Keep::Default` keeps what it has and starts the clock again.
    fn keep_on(&mut self, keep: Keep, now: Wall) {
        if keep != Keep::Default {
            self.keep = keep;
        }
        if matches!(self.phase, Phase::Ready | Phase::Leaving) {
            self.phase = Phase::Ready;
            self.expires = expiry(self.keep, now);
        }
    }

    fn is(&self, name: &ModelName) -> bool {
        self.recipe.model() == *name
    }

    fn is_listed(&self) -> bool {
        matches!(self.phase, Phase::Ready | Phase::Leaving)
    }

    /// Its anonymous memory when it is ready and unused.
    fn full(&self) -> Bytes {
        self.recipe.reported(self.context) + RUNNER_BASE
    }

    fn anonymous(&self) -> Bytes {
        match self.phase {
            Phase::Loading { done } => RUNNER_BASE.saturating_add(ramp(
                self.recipe.reported(self.context),
                done,
                self.recipe.load_ticks(),
            )),
            Phase::Ready | Phase::Leaving => self.full() + self.cache,
            // `cache` is then what it had in all.
            Phase::Ending { left } => ramp(self.cache, left, UNLOAD_TICKS),
        }
    }

    fn resident(&self) -> Bytes {
        self.anonymous() + RUNNER_FILE
    }

    fn process(&self) -> Process {
        Process {
            key: ProcessKey { pid: self.pid, started: self.started },
            parent: SERVER_PID,
            name: "llama-server".to_owned(),
            role: ProcessRole::Runner(Box::new(self.arguments())),
            uid: Some(998),
            memory: memory(self.anonymous(), RUNNER_FILE),
            cpu: Some(self.cpu),
            is_zombie: false,
            matched: Vec::new(),
        }
    }

    fn arguments(&self) -> RunnerArguments {
        let batch = if self.context <= 4096 { "512" } else { "1024" };
        let flags = [
            ("-c", self.context.to_string()),
            ("-np", "1".to_owned()),
            ("--flash-attn", "auto".to_owned()),
            ("-b", batch.to_owned()),
        ];
        RunnerArguments {
            program: RunnerProgram::LlamaServer,
            blob: self.recipe.blob(),
            model: None,
            context: Some(self.context),
            parallel: Some(1),
            port: u16::try_from(40_000 + self.pid % 20_000).ok(),
            flags: flags.into_iter().map(|(flag, value)| (flag.to_owned(), value)).collect(),
            in_ollama_folder: Some(true),
        }
    }

    fn listing(&self) -> LoadedModel {
        LoadedModel {
            name: self.recipe.model(),
            digest: digest(self.recipe.name),
            reported: Some(self.recipe.reported(self.context)),
            vram: Some(Bytes::ZERO),
            context: Some(self.context),
            expires: Some(self.expires.map_or(Expiry::Never, Expiry::At)),
            parameters: Some(self.recipe.parameters.to_owned()),
            quantization: Some(self.recipe.quantization.to_owned()),
            family: Some(self.recipe.family.to_owned()),
            is_cloud: false,
        }
    }
}

fn server(cpu: Duration) -> Process {
    Process {
        key: ProcessKey { pid: SERVER_PID, started: 2_113 },
        parent: 1,
        name: "ollama".to_owned(),
        role: ProcessRole::Server { host: None, listens: Some(true), environment: Vec::new() },
        uid: Some(998),
        memory: memory(SERVER[0], SERVER[1]),
        cpu: Some(cpu),
        is_zombie: false,
        matched: Vec::new(),
    }
}

/// The memory of a process that has nothing in swap.
pub(super) fn memory(anonymous: Bytes, file: Bytes) -> ProcessMemory {
    ProcessMemory {
        resident: Some(anonymous + file),
        anonymous: Some(anonymous),
        file: Some(file),
        shared: Some(Bytes::ZERO),
        swapped: Some(Bytes::ZERO),
        ..ProcessMemory::default()
    }
}

fn expiry(keep: Keep, now: Wall) -> Option<Wall> {
    match keep {
        Keep::Default => now.checked_add(KEEP).ok(),
        Keep::For(span) => now.checked_add(span).ok(),
        Keep::Forever => None,
    }
}
