//! The JSON of `status`. More may be added; nothing is renamed. What is
//! unknown is null, never 0.

use serde::Serialize;

use crate::cli::document::Document;
use crate::domain::component::{Component, ComponentKind, FootprintSource, Priority};
use crate::domain::level::{Basis, Level, SignalKind};
use crate::domain::model::{Activity, Expiry, ModelView};
use crate::domain::process::MeasuredSource;
use crate::domain::sample::{MacPressure, Pressure};
use crate::domain::snapshot::{Place, RuntimeState, RuntimeView, Snapshot};
use crate::domain::target::{Amount, TargetKind, TargetOutcome, TargetView};
use crate::domain::{Course, Event, EventBody, EventKind, Forecast, HintValues, Hints, Wall};

/// Events given; the newest.
const EVENTS: usize = 20;

#[derive(Debug, Serialize)]
pub struct Status {
    pub schema_version: u32,
    pub time: Wall,
    pub basis: Basis,
    pub level: Level,
    pub set_by: Option<SetBy>,
    pub headroom_bytes: Option<u64>,
    pub headroom_to: Option<Level>,
    /// Null in a single look: a forecast needs minutes.
    pub forecast: Option<ForecastStatus>,
    pub memory: Option<MemoryStatus>,
    pub swap: Option<SwapStatus>,
    pub pressure: Option<PressureStatus>,
    pub profile: String,
    /// Those there are; see `plimsoll status --targets`.
    pub targets: Vec<TargetStatus>,
    /// What other programs are told at this level.
    pub hints: HintValues,
    pub runtimes: Vec<RuntimeStatus>,
    pub models: Vec<ModelStatus>,
    pub components: Vec<ComponentStatus>,
    pub events: Vec<EventStatus>,
}

#[derive(Debug, Serialize)]
pub struct SetBy {
    pub signal: SignalKind,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct ForecastStatus {
    pub to: Level,
    pub signal: SignalKind,
    pub soonest_seconds: u64,
    pub latest_seconds: u64,
    /// What it rests on: so many seconds, and so many bytes a second.
    pub window_seconds: u64,
    pub bytes_per_second: f64,
}

#[derive(Debug, Serialize)]
pub struct MemoryStatus {
    pub total_bytes: u64,
    pub used_bytes: u64,
    pub available_bytes: u64,
    pub used_percent: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct SwapStatus {
    pub total_bytes: u64,
    pub used_bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct PressureStatus {
    pub some_avg10: Option<f64>,
    pub full_avg10: Option<f64>,
    /// The kernel's own word, on macOS.
    pub level: Option<MacPressure>,
}

#[derive(Debug, Serialize)]
pub struct TargetStatus {
    pub target: TargetKind,
    /// It is to be above its limit, not below.
    pub is_least: bool,
    pub limit_bytes: Option<u64>,
    pub limit_percent: Option<f64>,
    pub now_bytes: Option<u64>,
    pub now_percent: Option<f64>,
    pub outcome: TargetOutcome,
    /// The largest model, of `model`.
    pub of: Option<String>,
    /// Why it is unknown.
    pub reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct RuntimeStatus {
    pub kind: String,
    pub url: String,
    pub state: &'static str,
    pub version: Option<String>,
    pub error: Option<String>,
    pub place: Place,
}

#[derive(Debug, Serialize)]
pub struct ModelStatus {
    pub name: String,
    pub state: &'static str,
    pub activity: Activity,
    pub reported_bytes: Option<u64>,
    pub vram_bytes: Option<u64>,
    pub measured_bytes: Option<u64>,
    pub measured_source: Option<MeasuredSource>,
    pub context: Option<u64>,
    /// Null where it never leaves by itself, or nobody can say.
    pub expires_at: Option<Wall>,
    pub never_expires: bool,
    pub idle_seconds: Option<u64>,
    /// It may have been idle for longer than that.
    pub idle_is_at_least: Option<bool>,
    pub pid: Option<u32>,
    pub priority: Priority,
    pub pinned: bool,
    pub remote: bool,
}

#[derive(Debug, Serialize)]
pub struct ComponentStatus {
    pub name: String,
    pub kind: ComponentKind,
    pub priority: Priority,
    pub pinned: bool,
    pub bytes: Option<u64>,
    pub source: Option<FootprintSource>,
    /// A leak or a plateau; null where neither can be told.
    pub course: Option<Course>,
    pub id: String,
    pub pid: Option<u32>,
}

#[derive(Debug, Serialize)]
pub struct EventStatus {
    pub seq: u64,
    pub time: Wall,
    pub kind: EventKind,
    pub text: String,
    /// Of a change of the level that was seen as it came: what other programs
    /// are told from then on. The history does not keep it.
    pub hints: Option<HintValues>,
}

impl Status {
    pub fn of(snapshot: &Snapshot) -> Status {
        use crate::domain::level::Headroom;
        let (headroom_bytes, headroom_to) = match &snapshot.headroom {
            Headroom::Known { bytes, to } => (Some(bytes.get()), Some(*to)),
            Headroom::Unknown { .. } => (None, None),
        };
        let cause = snapshot.level.set_by.clone();
        Status {
            schema_version: Document::Status.version(),
            time: snapshot.at.wall,
            basis: snapshot.level.basis,
            level: snapshot.level.level,
            set_by: cause.map(|cause| SetBy { signal: cause.signal, text: cause.text }),
            headroom_bytes,
            headroom_to,
            forecast: snapshot.forecast.as_ref().map(forecast),
            memory: memory(snapshot),
            swap: swap(snapshot),
            pressure: pressure(snapshot),
            profile: snapshot.profile.name.clone(),
            targets: snapshot.targets.iter().map(target).collect(),
            hints: HintValues::clone(snapshot.hints_in_force()),
            runtimes: snapshot.runtimes.iter().map(runtime).collect(),
            models: models(snapshot),
            components: components(snapshot),
            events: snapshot.events.value.iter().rev().take(EVENTS).map(EventStatus::of).collect(),
        }
    }
}

fn forecast(forecast: &Forecast) -> ForecastStatus {
    ForecastStatus {
        to: forecast.to,
        signal: forecast.signal,
        soonest_seconds: forecast.soonest.as_secs(),
        latest_seconds: forecast.latest.as_secs(),
        window_seconds: forecast.window.as_secs(),
        bytes_per_second: forecast.rate,
    }
}

fn memory(snapshot: &Snapshot) -> Option<MemoryStatus> {
    let memory = snapshot.sample.as_ref()?.memory.as_ref().ok()?;
    Some(MemoryStatus {
        total_bytes: memory.total.get(),
        used_bytes: memory.used().get(),
        available_bytes: memory.available.get(),
        used_percent: memory.used().share_of(memory.total).map(|share| share.get()),
    })
}

fn swap(snapshot: &Snapshot) -> Option<SwapStatus> {
    let swap = snapshot.sample.as_ref()?.swap.as_ref().ok()?;
    Some(SwapStatus { total_bytes: swap.total.get(), used_bytes: swap.used.get() })
}

fn pressure(snapshot: &Snapshot) -> Option<PressureStatus> {
    let pressure = snapshot.sample.as_ref()?.pressure.as_ref().ok()?;
    Some(match pressure {
        Pressure::Psi { some, full } => PressureStatus {
            some_avg10: Some(some.avg10),
            full_avg10: full.map(|full| full.avg10),
            level: None,
        },
        Pressure::Mac { level } => {
            PressureStatus { some_avg10: None, full_avg10: None, level: Some(*level) }
        }
    })
}

fn target(view: &TargetView) -> TargetStatus {
    let of = |amount: Option<&Amount>| match amount {
        Some(Amount::Size(size)) => (Some(size.get()), None),
        Some(Amount::Share(share)) => (None, Some(share.get())),
        None => (None, None),
    };
    let (limit_bytes, limit_percent) = of(Some(&view.limit));
    let (now_bytes, now_percent) = of(view.now.as_ref().ok());
    TargetStatus {
        target: view.kind,
        is_least: view.kind.is_least(),
        limit_bytes,
        limit_percent,
        now_bytes,
        now_percent,
        outcome: view.outcome(),
        of: view.of.clone(),
        reason: view.now.as_ref().err().cloned(),
    }
}

fn runtime(view: &RuntimeView) -> RuntimeStatus {
    RuntimeStatus {
        kind: view.kind.clone(),
        url: view.url.clone(),
        state: view.state.word(),
        version: view.version.clone(),
        error: match &view.state {
            RuntimeState::Down { fault } => Some(fault.detail.clone()),
            _ => None,
        },
        place: view.place,
    }
}

/// As in `status`, for who asks for nothing else.
pub fn models(snapshot: &Snapshot) -> Vec<ModelStatus> {
    snapshot.models.iter().map(|view| model(view, snapshot)).collect()
}

/// As in `status`, for who asks for nothing else.
pub fn components(snapshot: &Snapshot) -> Vec<ComponentStatus> {
    snapshot.components.value.iter().map(component).collect()
}

fn model(view: &ModelView, snapshot: &Snapshot) -> ModelStatus {
    // One look cannot tell how long it has been idle: only an engine that saw
    // its expiry move, or watched for a while, can.
    let is_one_look = snapshot.level.basis == Basis::OneShot;
    let idle = view.idle.filter(|idle| !(is_one_look && idle.at_least));
    ModelStatus {
        name: view.name.as_str().to_owned(),
        state: view.state.word(),
        activity: view.activity,
        reported_bytes: view.reported.map(|bytes| bytes.get()),
        vram_bytes: view.vram.map(|bytes| bytes.get()),
        measured_bytes: view.measured.map(|(bytes, _)| bytes.get()),
        measured_source: view.measured.map(|(_, source)| source),
        context: view.context,
        expires_at: match view.expires {
            Some(Expiry::At(at)) => Some(at),
            Some(Expiry::Never) | None => None,
        },
        never_expires: view.expires == Some(Expiry::Never),
        idle_seconds: idle.map(|idle| snapshot.at.since(idle.since).as_secs()),
        idle_is_at_least: idle.map(|idle| idle.at_least),
        pid: view.runner.map(|runner| runner.pid),
        priority: view.priority,
        pinned: view.pinned,
        remote: view.is_remote,
    }
}

fn component(component: &Component) -> ComponentStatus {
    ComponentStatus {
        name: component.name.clone(),
        kind: component.kind,
        priority: component.priority,
        pinned: component.pinned,
        bytes: component.footprint.map(|footprint| footprint.bytes.get()),
        source: component.footprint.map(|footprint| footprint.source),
        course: component.course,
        id: component.id.clone(),
        pid: component.process.map(|process| process.pid),
    }
}

impl EventStatus {
    pub fn of(event: &Event) -> EventStatus {
        EventStatus {
            seq: event.seq,
            time: event.time,
            kind: event.body.kind(),
            text: format!("{}: {}", event.body.title(), event.body.text()),
            hints: None,
        }
    }

    /// As it comes.
    pub fn seen(event: &Event, hints: &Hints) -> EventStatus {
        let told = match &event.body {
            EventBody::LevelChanged { to, .. } => Some(HintValues::clone(hints.at(*to))),
            _ => None,
        };
        EventStatus { hints: told, ..EventStatus::of(event) }
    }
}
