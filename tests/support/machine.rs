//! A machine for tests: samples and server answers made by hand, in virtual time.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::sync::Arc;
use std::time::Duration;

use plimsoll::domain::fault::SensorFault;
use plimsoll::domain::level::Level;
use plimsoll::domain::model::{Expiry, InstalledModel, LoadedModel, ModelDetails};
use plimsoll::domain::process::{
    ProcessMemory, ProcessRole, ProcessTable, RunnerArguments, RunnerProgram,
};
use plimsoll::domain::sample::{
    AvailableSource, Memory, MemoryParts, Paging, Pressure, Stall, Swap,
};
use plimsoll::domain::shape::{PerLayer, Shape, TensorPart, TensorSum, Weights};
use plimsoll::domain::snapshot::{Host, Mode, ProfileView, Snapshot};
use plimsoll::domain::{
    BlobDigest, Bytes, EventBody, Group, ModelName, Moment, Monotonic, Process, ProcessKey,
    RuntimeFault, Sample, Wall,
};
use plimsoll::engine::input::{
    ComponentRule, Effect, Input, Past, PollAnswer, Regime, RegimeFor, Report, RequestNumber,
    Settings,
};
use plimsoll::engine::link::{Command, Reply};
use plimsoll::engine::state::State;
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::Rules;
use plimsoll::runtime::Endpoint;

pub const TOTAL: Bytes = Bytes::gib(16);
const SERVER: u32 = 100;

pub fn moment(millis: u64) -> Moment {
    let wall = Wall::from_millisecond(1_768_485_731_000 + millis as i64).expect("a plain date");
    Moment::new(wall, Monotonic::from_millis(millis))
}

pub fn settings(profile: Profile) -> Settings {
    Settings {
        fit: Default::default(),
        tastes: Default::default(),
        hints: Default::default(),
        version: "test".into(),
        mode: Mode::Live,
        host: Host::default(),
        own_uid: 1000,
        interval: Some(Duration::from_secs(1)),
        graph: Duration::from_secs(600),
        regime_for: regime(profile, Rules::plain()),
        components: vec![ComponentRule {
            pattern: "model:precious*".into(),
            pinned: Some(true),
            ..ComponentRule::default()
        }],
        hooks: Vec::new(),
        may_act: true,
        runtime_kind: "ollama",
        endpoint: Endpoint {
            shown_url: "http://127.0.0.1:11434".into(),
            is_loopback: true,
            port: 11434,
        },
    }
}

/// That profile's limits with these rules, whatever memory there is.
pub fn regime(profile: Profile, rules: Rules) -> RegimeFor {
    let view = ProfileView { name: profile.name().into(), why: "set by the test".into() };
    let regime = Regime { profile: view, limits: profile.limits(), rules };
    Arc::new(move |_| regime.clone())
}

pub fn blob(letter: char) -> BlobDigest {
    BlobDigest::from_hex(&letter.to_string().repeat(64)).expect("64 hex digits")
}

/// What the machine and its server hold, and the state that watches them.
pub struct Machine {
    pub state: State,
    pub millis: u64,
    /// How far the wall clock was set forward, in milliseconds.
    pub jumped: i64,
    pub used: f64,
    pub swap: Option<Swap>,
    pub stalled: Option<(f64, f64)>,
    pub oom_kills: u64,
    pub servers: Vec<Process>,
    pub runners: Vec<Process>,
    pub others: Vec<Process>,
    /// Processes, containers and services that the config names.
    pub named: Vec<Process>,
    pub groups: Vec<Group>,
    pub loaded: Vec<LoadedModel>,
    pub installed: Vec<InstalledModel>,
    pub details: Vec<(ModelName, ModelDetails)>,
    pub fault: Option<RuntimeFault>,
    /// Only metadata cannot be had.
    pub details_fault: Option<RuntimeFault>,
    /// `/proc` cannot be read.
    pub is_blind: bool,
    /// The disk: whether an action's start can be put on it.
    pub journal: Result<(), String>,
    /// What the server answers to unload, load and keep.
    pub answers: Result<(), String>,
    /// Effects of the last input, less those played out at once.
    pub effects: Vec<Effect>,
    pub replies: Vec<Reply>,
    pub snapshot: Snapshot,
}

impl Machine {
    pub fn new() -> Self {
        Machine::with(settings(Profile::Linux15), Past::default())
    }

    pub fn with(settings: Settings, past: Past) -> Self {
        let (mut state, effects) = State::new(settings, past, moment(0));
        let snapshot = state.snapshot();
        let mut machine = Machine {
            state,
            millis: 0,
            jumped: 0,
            used: 50.0,
            swap: None,
            stalled: Some((0.0, 0.0)),
            oom_kills: 0,
            servers: vec![server(SERVER)],
            runners: Vec::new(),
            others: Vec::new(),
            named: Vec::new(),
            groups: Vec::new(),
            loaded: Vec::new(),
            installed: Vec::new(),
            details: Vec::new(),
            fault: None,
            details_fault: None,
            is_blind: false,
            journal: Ok(()),
            answers: Ok(()),
            effects: Vec::new(),
            replies: Vec::new(),
            snapshot,
        };
        machine.play(effects);
        machine
    }

    /// On both clocks.
    pub fn now(&self) -> Moment {
        let Moment { wall, mono } = moment(self.millis);
        let jumped = Wall::from_millisecond(wall.as_millisecond() + self.jumped);
        Moment::new(jumped.expect("a plain date"), mono)
    }

    /// Lets so many seconds pass, one sample each.
    pub fn seconds(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.tick(1000);
        }
    }

    /// One sample after so many milliseconds; polls are answered at once.
    pub fn tick(&mut self, millis: u64) {
        self.millis += millis;
        let sample = self.sample();
        self.input(Input::Sampled(Box::new(sample)));
    }

    pub fn input(&mut self, input: Input) {
        self.effects.clear();
        let effects = self.state.handle(input, self.now());
        self.play(effects);
        self.snapshot = self.state.snapshot();
    }

    pub fn ask(&mut self, command: Command) -> Reply {
        self.input(Input::Asked { number: RequestNumber(self.millis), command });
        self.replies.pop().expect("each command has a reply")
    }

    fn play(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let answer = match &effect {
                Effect::Poll(poll) => {
                    let answer = self.answer(poll);
                    Some(Input::Reported(Report { took: Duration::from_millis(3), answer }))
                }
                Effect::Journal { action, .. } => {
                    Some(Input::Journalled { action: *action, result: self.journal.clone() })
                }
                Effect::Unload { action, .. } | Effect::Load { action, .. } => {
                    Some(Input::Performed {
                        action: *action,
                        result: self.answers.clone().map(|()| None),
                    })
                }
                Effect::Reply { reply, .. } => {
                    self.replies.push(reply.clone());
                    None
                }
                _ => None,
            };
            self.effects.push(effect);
            if let Some(input) = answer {
                let effects = self.state.handle(input, self.now());
                self.play(effects);
            }
        }
    }

    fn answer(&self, poll: &plimsoll::engine::input::Poll) -> PollAnswer {
        use plimsoll::engine::input::Poll;
        let or_fault = self.fault.clone().map_or(Ok(()), Err);
        match poll {
            Poll::Loaded => PollAnswer::Loaded(or_fault.map(|()| self.loaded.clone())),
            Poll::Installed => PollAnswer::Installed(or_fault.map(|()| self.installed.clone())),
            Poll::Version => PollAnswer::Version(or_fault.map(|()| "0.33.0".into())),
            Poll::Details(name) => {
                let details = self.details.iter().find(|(n, _)| n == name);
                let details = details.map(|(_, d)| d.clone()).unwrap_or_default();
                let fault = self.details_fault.clone().map_or(or_fault, Err);
                PollAnswer::Details(name.clone(), fault.map(|()| details))
            }
        }
    }

    pub fn sample(&self) -> Sample {
        let at = self.now();
        let available = TOTAL.at(plimsoll::domain::Percent::new(100.0 - self.used));
        let stall = |avg10| Stall { avg10, avg60: 0.0, avg300: 0.0, total_us: 0 };
        Sample {
            at,
            memory: Ok(Memory {
                total: TOTAL,
                available,
                free: available,
                available_source: AvailableSource::Kernel,
                parts: MemoryParts::Linux {
                    anonymous: None,
                    cached: None,
                    shared: None,
                    slab_unreclaimable: None,
                },
            }),
            swap: self.swap.clone().ok_or_else(|| SensorFault::absent("no swap")),
            pressure: match self.stalled {
                Some((some, full)) => {
                    Ok(Pressure::Psi { some: stall(some), full: Some(stall(full)) })
                }
                None => Err(SensorFault::absent("no pressure stall information")),
            },
            paging: Ok(Paging { oom_kills: Some(self.oom_kills), ..Paging::default() }),
            zram: Err(SensorFault::absent("no zram")),
            limit: Err(SensorFault::absent("not in a container")),
            gpus: Err(SensorFault::absent("no gpu")),
            processes: self.see().and(Ok(ProcessTable {
                servers: self.servers.clone(),
                runners: self.runners.clone(),
                others: self.others.clone(),
                rest: None,
                count: None,
                reapers: vec![1],
                named: self.named.clone(),
            })),
            groups: Ok(self.groups.clone()),
        }
    }

    fn see(&self) -> Result<(), SensorFault> {
        if self.is_blind { Err(SensorFault::absent("/proc cannot be read")) } else { Ok(()) }
    }

    /// A model that is installed, listed and carried by a runner.
    pub fn load(&mut self, name: &str, letter: char, mib: u64) -> ProcessKey {
        self.install(name, letter);
        let key = self.start_runner(letter, mib);
        self.list(name, mib);
        key
    }

    pub fn install(&mut self, name: &str, letter: char) {
        let name = ModelName::new(name);
        self.installed.push(InstalledModel {
            name: name.clone(),
            digest: format!("manifest of {name}"),
            disk: None,
            parameters: None,
            quantization: None,
            family: None,
            max_context: None,
            capabilities: vec!["completion".into()],
            modified: None,
            is_cloud: false,
        });
        let details = ModelDetails { blob: Some(blob(letter)), ..ModelDetails::default() };
        self.details.push((name, details));
    }

    /// An installed model whose metadata say so many MiB of weights.
    pub fn install_sized(&mut self, name: &str, letter: char, mib: u64) {
        self.install(name, letter);
        let (_, details) = self.details.last_mut().expect("just installed");
        details.shape = Some(Box::new(shape(mib)));
        details.max_context = Some(131_072);
        if let Some(installed) = self.installed.last_mut() {
            installed.disk = Some(Bytes::mib(mib));
        }
    }

    pub fn start_runner(&mut self, letter: char, mib: u64) -> ProcessKey {
        let pid = 200 + self.runners.len() as u32 + (self.millis / 10) as u32;
        let key = ProcessKey { pid, started: self.millis + u64::from(pid) };
        self.runners.push(runner(key, SERVER, letter, mib));
        key
    }

    pub fn list(&mut self, name: &str, mib: u64) {
        let name = ModelName::new(name);
        self.loaded.push(LoadedModel {
            digest: format!("manifest of {name}"),
            name,
            reported: Some(Bytes::mib(mib)),
            vram: Some(Bytes::ZERO),
            context: Some(4096),
            expires: Some(self.expiry(300)),
            parameters: None,
            quantization: None,
            family: None,
            is_cloud: false,
        });
    }

    pub fn expiry(&self, seconds: i64) -> Expiry {
        let ahead = jiff::SignedDuration::from_secs(seconds);
        Expiry::At(self.now().wall + ahead)
    }

    pub fn unlist(&mut self, name: &str) {
        let name = ModelName::new(name);
        self.loaded.retain(|model| model.name != name);
    }

    pub fn end_runner(&mut self, key: ProcessKey) {
        self.runners.retain(|runner| runner.key != key);
    }

    /// Adds processor time to a runner.
    pub fn work(&mut self, key: ProcessKey, millis: u64) {
        for runner in self.runners.iter_mut().filter(|runner| runner.key == key) {
            let cpu = runner.cpu.unwrap_or_default() + Duration::from_millis(millis);
            runner.cpu = Some(cpu);
        }
    }

    pub fn level(&self) -> Level {
        self.snapshot.level.level
    }

    pub fn state_of(&self, name: &str) -> Option<&'static str> {
        self.snapshot.model(&ModelName::new(name)).map(|model| model.state.word())
    }

    /// The lines of the events, newest last.
    pub fn told(&self) -> Vec<String> {
        let line = |body: &EventBody| format!("{}: {}", body.title(), body.text());
        self.snapshot.events.value.iter().map(|event| line(&event.body)).collect()
    }

    pub fn last_told(&self) -> String {
        self.told().pop().unwrap_or_default()
    }
}

/// 16 layers of grouped queries: 32 KiB of cache a token at f16.
pub fn shape(mib: u64) -> Shape {
    Shape {
        architecture: "llama".into(),
        layers: 16,
        embedding: 1024,
        feed_forward: PerLayer::Same(3584),
        vocabulary: 32_000,
        max_context: Some(131_072),
        heads: PerLayer::Same(16),
        heads_kv: PerLayer::Same(8),
        key_length: Some(64),
        value_length: Some(64),
        weights: Weights {
            tensors: vec![TensorSum {
                part: TensorPart::Layer,
                kind: "Q8_0".into(),
                count: 112,
                elements: (mib << 20) / 34 * 32,
                bytes: Bytes::mib(mib),
            }],
            ..Weights::default()
        },
        ..Shape::default()
    }
}

pub fn server(pid: u32) -> Process {
    Process {
        key: ProcessKey { pid, started: 1 },
        parent: 1,
        name: "ollama".into(),
        role: ProcessRole::Server { host: None, listens: Some(true), environment: Vec::new() },
        uid: Some(1000),
        memory: ProcessMemory { resident: Some(Bytes::mib(40)), ..ProcessMemory::default() },
        cpu: None,
        is_zombie: false,
        matched: Vec::new(),
    }
}

pub fn runner(key: ProcessKey, parent: u32, letter: char, mib: u64) -> Process {
    Process {
        key,
        parent,
        name: "llama-server".into(),
        role: ProcessRole::Runner(Box::new(RunnerArguments {
            program: RunnerProgram::LlamaServer,
            blob: Some(blob(letter)),
            model: None,
            context: Some(4096),
            parallel: Some(1),
            port: Some(40000),
            flags: Vec::new(),
            in_ollama_folder: Some(true),
        })),
        uid: Some(1000),
        memory: ProcessMemory {
            resident: Some(Bytes::mib(mib)),
            anonymous: Some(Bytes::mib(mib)),
            file: Some(Bytes::ZERO),
            ..ProcessMemory::default()
        },
        cpu: Some(Duration::ZERO),
        is_zombie: false,
        matched: Vec::new(),
    }
}
