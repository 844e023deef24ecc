//! Snapshots of machines worth drawing, whole and repeatable. All of them are
//! taken at the same moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use plimsoll::domain::bytes::{Bytes, Percent};
use plimsoll::domain::component::{Component, ComponentKind, Footprint, FootprintSource, Priority};
use plimsoll::domain::event::{Event, EventBody, GoneWhy, Origin};
use plimsoll::domain::fault::{RuntimeFault, RuntimeFaultKind, SensorFault};
use plimsoll::domain::history::{History, Point};
use plimsoll::domain::level::{Basis, Cause, Headroom, Level, LevelState, Mark, SignalKind};
use plimsoll::domain::model::{
    Activity, Expiry, Idle, InstalledModel, ModelName, ModelState, ModelView,
};
use plimsoll::domain::plan::{Action, ActionId, Outcome, Verdict};
use plimsoll::domain::process::{
    MeasuredSource, Process, ProcessKey, ProcessMemory, ProcessRole, ProcessTable, RunnerArguments,
    RunnerProgram,
};
use plimsoll::domain::sample::{
    AvailableSource, Gpu, MacPressure, Memory, MemoryParts, Paging, Pressure, Sample, Stall, Swap,
};
use plimsoll::domain::snapshot::{
    FORMAT, Host, Mode, Part, Place, ProfileView, Rates, RuntimeState, RuntimeView, Snapshot,
};
use plimsoll::domain::time::{Moment, Monotonic, Wall};

/// Milliseconds the clocks have run for when a snapshot is taken: longer than
/// any past in here.
const NOW_MS: u64 = 2_000_000_000;

/// So many seconds before the snapshot.
pub fn ago(seconds: u64) -> Moment {
    let now: Wall = "2026-03-14T13:05:20Z".parse().expect("a time");
    let wall = now - jiff::SignedDuration::from_secs(i64::try_from(seconds).expect("small"));
    Moment::new(wall, Monotonic::from_millis(NOW_MS - seconds * 1000))
}

fn gib(gib: f64) -> Bytes {
    Bytes::new((gib * 1024.0 * 1024.0 * 1024.0) as u64)
}

/// 15.6 GiB, two models, other programs, at a warning.
pub fn busy_machine() -> Snapshot {
    let total = gib(15.6);
    let sample = Sample {
        at: ago(0),
        memory: Ok(Memory {
            total,
            available: gib(3.1),
            free: gib(0.9),
            available_source: AvailableSource::Kernel,
            parts: MemoryParts::Linux {
                anonymous: Some(gib(9.6)),
                cached: Some(gib(2.9)),
                shared: Some(gib(0.4)),
                slab_unreclaimable: Some(gib(0.5)),
            },
        }),
        swap: Ok(Swap { total: gib(4.0), used: gib(1.2) }),
        pressure: Ok(Pressure::Psi { some: stall(4.2), full: Some(stall(0.8)) }),
        paging: Ok(Paging::default()),
        zram: Err(SensorFault::absent("no zram device")),
        limit: Err(SensorFault::absent("not in a container")),
        gpus: Err(SensorFault::absent("no gpu")),
        processes: Ok(processes()),
        groups: plimsoll::domain::sample::no_groups(),
    };
    Snapshot {
        sample: Some(Arc::new(sample)),
        rates: Rates { swap_growth: Some(14.0 * 1024.0 * 1024.0), ..Rates::default() },
        level: LevelState {
            level: Level::Warning,
            since: ago(140),
            set_by: Some(Cause { signal: SignalKind::Memory, text: "memory 80 %".into() }),
            basis: Basis::Attached,
        },
        headroom: Headroom::Known { bytes: gib(1.54), to: Level::Critical },
        marks: marks(total, [80.0, 90.0, 95.0]),
        model_budget: Some(gib(10.0)),
        models: vec![llama(), qwen()],
        history: history(total),
        events: events(),
        ..calm()
    }
}

/// The same machine with nothing loaded and room to spare.
pub fn calm() -> Snapshot {
    let total = gib(15.6);
    let sample = Sample {
        at: ago(0),
        memory: Ok(calm_memory(total)),
        swap: Err(SensorFault::absent("no swap is set up")),
        pressure: Err(SensorFault::absent("this kernel has no /proc/pressure/memory")),
        paging: Ok(Paging::default()),
        zram: Err(SensorFault::absent("no zram device")),
        limit: Err(SensorFault::absent("not in a container")),
        gpus: Err(SensorFault::absent("no gpu")),
        processes: Ok(processes()),
        groups: plimsoll::domain::sample::no_groups(),
    };
    Snapshot {
        fits: Default::default(),
        hints: Default::default(),
        targets: Vec::new(),
        forecast: None,
        recommended: None,
        format: FORMAT,
        sequence: 412,
        at: ago(0),
        host: Arc::new(harbour()),
        sample: Some(Arc::new(sample)),
        rates: Rates::default(),
        level: LevelState {
            level: Level::Normal,
            since: ago(4320),
            set_by: None,
            basis: Basis::Attached,
        },
        headroom: Headroom::Known { bytes: gib(7.98), to: Level::Warning },
        marks: marks(total, [80.0, 90.0, 95.0]),
        profile: Arc::new(ProfileView {
            name: "linux-15".into(),
            why: "auto: Linux with 15.6 GiB".into(),
        }),
        model_budget: None,
        runtimes: vec![ollama(RuntimeState::Up, Place::Local)],
        models: Vec::new(),
        installed: part(installed()),
        components: part(components()),
        history: quiet_history(total),
        events: part(VecDeque::new()),
        plan: None,
        rules: Default::default(),
        proposal: None,
        policy: None,
        loads_in_flight: Vec::new(),
        notices: Vec::new(),
        mode: Mode::Live,
    }
}

fn calm_memory(total: Bytes) -> Memory {
    Memory {
        total,
        available: gib(11.1),
        free: gib(6.3),
        available_source: AvailableSource::Kernel,
        parts: MemoryParts::Linux {
            anonymous: Some(gib(3.1)),
            cached: Some(gib(4.9)),
            shared: Some(gib(0.3)),
            slab_unreclaimable: Some(gib(0.4)),
        },
    }
}

fn harbour() -> Host {
    Host { name: "harbour".into(), system: "Debian GNU/Linux 13".into(), kernel: "6.18.0".into() }
}

/// Nobody listens where Ollama should.
pub fn no_ollama() -> Snapshot {
    let fault = RuntimeFault::new(RuntimeFaultKind::Refused, "connection refused");
    Snapshot {
        runtimes: vec![RuntimeView {
            version: None,
            ..ollama(RuntimeState::Down { fault }, Place::Unknown)
        }],
        installed: part(Vec::new()),
        ..calm()
    }
}

/// More models than there is room for, in every state, with hostile lengths.
pub fn many_models() -> Snapshot {
    let states = [
        ModelState::Loading { since: ago(12) },
        ModelState::Ready,
        ModelState::Unloading { since: ago(3), still_generating: false },
        ModelState::Unloading { since: ago(40), still_generating: true },
        ModelState::Stuck { since: ago(25) },
        ModelState::Unconfirmed { since: ago(8) },
        ModelState::Gone { since: ago(70) },
    ];
    let names =
        ["hf.co/a-team-with-a-long-name/a-model-with-a-longer-name-GGUF:Q4_K_M", "模型:七", "x"];
    let models = (0..40)
        .map(|index| ModelView {
            name: ModelName::new(format!("{}{index}", names[index % names.len()])),
            state: states[index % states.len()].clone(),
            measured: (index % 4 != 0).then(|| (gib(0.2), MeasuredSource::Status)),
            reported: (index % 5 != 0).then(|| gib(0.15)),
            expires: [Some(Expiry::Never), None, Some(Expiry::At(ago(5).wall))][index % 3],
            idle: None,
            activity: Activity::Unknown,
            pinned: index % 6 == 0,
            is_cloud: index % 9 == 8,
            runner: None,
            ..llama()
        })
        .collect();
    Snapshot { models, ..busy_machine() }
}

/// A server on another machine: shown, never in the bar.
pub fn remote() -> Snapshot {
    let elsewhere = ModelView { runner: None, measured: None, is_remote: true, ..llama() };
    Snapshot {
        runtimes: vec![RuntimeView {
            url: "http://tower.lan:11434".into(),
            ..ollama(RuntimeState::Slow, Place::Remote)
        }],
        models: vec![elsewhere],
        events: events(),
        ..calm()
    }
}

/// Painted before anything was read.
pub fn first_moment() -> Snapshot {
    Snapshot {
        sequence: 0,
        sample: None,
        level: LevelState { since: ago(0), ..calm().level },
        headroom: Headroom::Unknown { reason: "no sample yet".into() },
        marks: Vec::new(),
        runtimes: vec![RuntimeView {
            version: None,
            ..ollama(RuntimeState::Unknown, Place::Unknown)
        }],
        installed: part(Vec::new()),
        components: part(Vec::new()),
        history: History::with_room_for(600),
        ..calm()
    }
}

/// A MacBook of 16 GB: unified memory, the kernel's own pressure.
pub fn mac() -> Snapshot {
    let total = gib(16.0);
    let sample = Sample {
        memory: Ok(Memory {
            total,
            available: gib(2.1),
            free: gib(0.2),
            available_source: AvailableSource::MachStatistics,
            parts: MemoryParts::Mac {
                app: gib(8.4),
                wired: gib(2.6),
                compressed: gib(2.9),
                cached: gib(1.9),
            },
        }),
        swap: Ok(Swap { total: gib(3.0), used: gib(2.2) }),
        pressure: Ok(Pressure::Mac { level: MacPressure::Warning }),
        gpus: Ok(vec![Gpu {
            name: "Apple M2".into(),
            total: gib(10.7),
            used: Some(gib(4.9)),
            unified: true,
        }]),
        processes: Err(SensorFault::new(
            plimsoll::domain::fault::FaultKind::Denied,
            "list of processes: operation not permitted",
        )),
        ..(*busy_machine().sample.expect("it has one")).clone()
    };
    let model = ModelView {
        measured: Some((gib(3.4), MeasuredSource::Footprint)),
        vram: Some(gib(2.6)),
        ..llama()
    };
    Snapshot {
        host: Arc::new(Host {
            name: "air".into(),
            system: "macOS 26.1".into(),
            kernel: "25.1.0".into(),
        }),
        profile: Arc::new(ProfileView { name: "mac-16".into(), why: "auto".into() }),
        sample: Some(Arc::new(sample)),
        level: LevelState {
            level: Level::Critical,
            since: ago(20),
            set_by: Some(Cause { signal: SignalKind::Memory, text: "memory 87 %".into() }),
            basis: Basis::Attached,
        },
        headroom: Headroom::Known { bytes: gib(1.3), to: Level::Emergency },
        marks: marks(total, [70.0, 85.0, 95.0]),
        models: vec![model],
        ..busy_machine()
    }
}

fn part<T>(value: T) -> Part<T> {
    Part { version: 1, value: Arc::new(value) }
}

fn stall(avg10: f64) -> Stall {
    Stall { avg10, avg60: avg10 / 2.0, avg300: avg10 / 4.0, total_us: 81_000_000 }
}

fn marks(total: Bytes, shares: [f64; 3]) -> Vec<Mark> {
    let levels = [Level::Warning, Level::Critical, Level::Emergency];
    let mark = |(level, share)| Mark { level, used: total.at(Percent::new(share)) };
    levels.into_iter().zip(shares).map(mark).collect()
}

fn ollama(state: RuntimeState, place: Place) -> RuntimeView {
    RuntimeView {
        kind: "ollama".into(),
        url: "http://127.0.0.1:11434".into(),
        state,
        version: Some("0.33.0".into()),
        place,
        since: ago(190),
    }
}

fn llama() -> ModelView {
    ModelView {
        course: None,
        name: ModelName::new("llama3.2:3b"),
        runtime: 0,
        state: ModelState::Ready,
        activity: Activity::Idle,
        reported: Some(gib(2.6)),
        vram: Some(Bytes::ZERO),
        measured: Some((gib(3.1), MeasuredSource::Status)),
        runner: Some(key(4100)),
        context: Some(8192),
        expires: Some(Expiry::At(ago(0).wall + jiff::SignedDuration::from_secs(54))),
        idle: Some(Idle { since: ago(250), at_least: false }),
        parameters: Some("3.2B".into()),
        quantization: Some("Q4_K_M".into()),
        priority: Priority::High,
        pinned: false,
        is_remote: false,
        is_cloud: false,
        swap_growth: None,
    }
}

fn qwen() -> ModelView {
    ModelView {
        name: ModelName::new("qwen2.5-coder:3b"),
        activity: Activity::Busy,
        reported: Some(gib(2.5)),
        measured: Some((gib(2.8), MeasuredSource::Status)),
        runner: Some(key(4200)),
        context: Some(4096),
        expires: Some(Expiry::Never),
        idle: None,
        parameters: Some("3.1B".into()),
        priority: Priority::Medium,
        pinned: true,
        ..llama()
    }
}

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, started: u64::from(pid) * 10 }
}

fn process(pid: u32, name: &str, role: ProcessRole, held: Bytes) -> Process {
    Process {
        key: key(pid),
        parent: 1,
        name: name.into(),
        role,
        uid: Some(1000),
        memory: ProcessMemory {
            resident: Some(held),
            anonymous: Some(held),
            swapped: Some(Bytes::mib(120)),
            ..ProcessMemory::default()
        },
        cpu: Some(Duration::from_secs(31)),
        is_zombie: false,
        matched: Vec::new(),
    }
}

fn processes() -> ProcessTable {
    let runner = || {
        ProcessRole::Runner(Box::new(RunnerArguments {
            program: RunnerProgram::LlamaServer,
            blob: None,
            model: None,
            context: Some(8192),
            parallel: Some(1),
            port: Some(40_123),
            flags: vec![("-c".into(), "8192".into()), ("--no-mmap".into(), String::new())],
            in_ollama_folder: Some(true),
        }))
    };
    let server = ProcessRole::Server { host: None, listens: Some(true), environment: Vec::new() };
    ProcessTable {
        servers: vec![process(900, "ollama", server, Bytes::mib(82))],
        runners: vec![
            process(4100, "llama-server", runner(), gib(3.1)),
            process(4200, "llama-server", runner(), gib(2.8)),
        ],
        others: vec![
            process(2100, "firefox", ProcessRole::Other, gib(1.9)),
            process(2200, "code", ProcessRole::Other, Bytes::mib(840)),
        ],
        rest: Some(gib(1.1)),
        count: Some(312),
        reapers: vec![],
        named: Vec::new(),
    }
}

fn installed() -> Vec<InstalledModel> {
    let model = |name: &str, disk: f64, parameters: &str| InstalledModel {
        name: ModelName::new(name),
        digest: "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72".into(),
        disk: Some(gib(disk)),
        parameters: Some(parameters.into()),
        quantization: Some("Q4_K_M".into()),
        family: Some("llama".into()),
        max_context: Some(131_072),
        capabilities: vec!["completion".into(), "tools".into()],
        modified: Some(ago(600_000).wall),
        is_cloud: false,
    };
    vec![
        model("llama3.2:3b", 1.9, "3.2B"),
        model("qwen2.5-coder:3b", 1.8, "3.1B"),
        model("gemma3:1b", 0.8, "999.89M"),
        model("nomic-embed-text", 0.26, "137M"),
        InstalledModel {
            disk: None,
            is_cloud: true,
            quantization: None,
            ..model("gpt-oss:120b-cloud", 0.0, "117B")
        },
    ]
}

fn components() -> Vec<Component> {
    let component = |id: &str, kind, depth, (pid, held): (u32, f64)| Component {
        course: None,
        id: id.into(),
        name: id.split_once(':').map_or(id, |(_, name)| name).into(),
        kind,
        depth,
        process: Some(key(pid)),
        footprint: Some(Footprint { bytes: gib(held), source: FootprintSource::Measured }),
        swapped: Some(Bytes::ZERO),
        priority: Priority::Medium,
        pinned: false,
        state: None,
        target: None,
        allowed: Vec::new(),
    };
    vec![
        component("server:ollama", ComponentKind::Server, 0, (900, 0.08)),
        Component {
            priority: Priority::High,
            state: Some("ready".into()),
            ..component("model:llama3.2:3b", ComponentKind::Model, 1, (4100, 3.1))
        },
        Component {
            pinned: true,
            state: Some("busy".into()),
            swapped: Some(Bytes::mib(120)),
            ..component("model:qwen2.5-coder:3b", ComponentKind::Model, 1, (4200, 2.8))
        },
        component("orphan:llama-server", ComponentKind::Orphan, 0, (3000, 0.9)),
        component("process:firefox", ComponentKind::Process, 0, (2100, 1.9)),
        Component {
            footprint: None,
            swapped: None,
            ..component("process:code", ComponentKind::Process, 0, (2200, 0.82))
        },
    ]
}

fn events() -> Part<VecDeque<Event>> {
    let level = |to, from, text: &str, lasted_ms| EventBody::LevelChanged {
        from,
        to,
        cause: Some(Cause { signal: SignalKind::Memory, text: text.into() }),
        lasted_ms,
    };
    let unloaded = Outcome {
        action: Action::Unload { model: ModelName::new("phi3:mini") },
        expected: Some(gib(2.2)),
        available_before: Some(gib(2.0)),
        available_after: Some(gib(4.3)),
        freed: Some(gib(2.3)),
        took: Duration::from_millis(210),
        result: Verdict::Done,
        output: None,
    };
    let bodies = [
        (93_000, EventBody::Started { version: "0.1.0".into() }),
        (
            92_990,
            EventBody::RuntimeUp {
                url: "http://127.0.0.1:11434".into(),
                version: Some("0.33.0".into()),
            },
        ),
        (4100, EventBody::OomKill { count: 1 }),
        (
            1400,
            EventBody::ModelGone {
                model: "mistral:7b".into(),
                why: GoneWhy::Expired,
                freed: Some(gib(4.4)),
            },
        ),
        (
            400,
            EventBody::ActionEnded {
                id: ActionId(7),
                outcome: Box::new(unloaded),
                by: Origin::Person,
            },
        ),
        (
            330,
            EventBody::ModelLoaded { model: "qwen2.5-coder:3b".into(), reported: Some(gib(2.5)) },
        ),
        (140, level(Level::Warning, Level::Normal, "memory 80 %", 4_320_000)),
    ];
    let numbered = bodies.into_iter().zip(1..);
    part(
        numbered
            .map(|((seconds, body), seq)| Event { seq, time: ago(seconds).wall, body })
            .collect(),
    )
}

fn point(seconds: u64, total: Bytes, share: f64) -> Point {
    Point {
        at: ago(seconds),
        used: Some(total.at(Percent::new(share))),
        total: Some(total),
        swap_used: Some(gib(1.0)),
        stalled: Some(if seconds < 120 { 4.0 + (seconds % 7) as f64 * 2.0 } else { 0.5 }),
        models: gib(3.1),
        level: Level::Normal,
    }
}

fn history(total: Bytes) -> History {
    let mut history = History::with_room_for(600);
    for seconds in (0..900).rev() {
        // Twenty seconds in which nothing was read.
        if (500..520).contains(&seconds) {
            continue;
        }
        let share = match seconds {
            400.. => 78.0 - (seconds as f64 - 400.0) / 60.0,
            330..400 => 63.0,
            0..330 => 81.0 - seconds as f64 / 110.0,
        };
        history.push(point(seconds, total, share));
    }
    history.mark(ago(400), "unload phi3:mini".into());
    history.mark(ago(330), "load qwen2.5-coder:3b".into());
    history
}

fn quiet_history(total: Bytes) -> History {
    let mut history = History::with_room_for(600);
    for seconds in (0..900).rev() {
        history.push(point(seconds, total, 28.0 + (seconds % 240) as f64 / 120.0));
    }
    history
}
