//! The busy machine with a verdict on each installed model, a forecast and a
//! recommendation. The sums add up: 3.10 GiB are available, 1.25 are kept
//! back, 1.85 may be given.

use std::sync::Arc;
use std::time::Duration;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::component::{Footprint, FootprintSource};
use plimsoll::domain::event::{Event, EventBody};
use plimsoll::domain::fit::{
    Budget, Fit, FitVerdict, Fits, FlashAttention, LearnedFootprint, LoadSettings, Named, Need,
    Placement, Recommendation, ServerEra, Smaller,
};
use plimsoll::domain::forecast::{Course, Forecast};
use plimsoll::domain::level::{Level, SignalKind};
use plimsoll::domain::model::{InstalledModel, ModelName};
use plimsoll::domain::plan::{Action, Keep, Plan, Purpose, Step};
use plimsoll::domain::shape::KvType;
use plimsoll::domain::snapshot::{Part, Snapshot};

use super::snapshots::{ago, busy_machine};

fn gib(gib: f64) -> Bytes {
    Bytes::new((gib * 1024.0 * 1024.0 * 1024.0) as u64)
}

fn budget() -> Budget {
    Budget {
        available: gib(3.1),
        reserve: gib(1.25),
        in_flight: Bytes::ZERO,
        vram: Bytes::ZERO,
        ever: gib(14.35),
        source: "MemAvailable less 1.2 GiB for the system".into(),
    }
}

/// Weights, cache, buffers; the runner takes 0.2 GiB besides.
fn need(weights: f64, kv: f64, compute: f64) -> Need {
    Need {
        weights: gib(weights),
        kv: gib(kv),
        compute: gib(compute),
        overhead: gib(0.2),
        reported: gib(weights + kv + compute),
        measured: gib(weights + kv + compute * 0.8 + 0.2),
        ..Need::default()
    }
}

fn fit(name: &str, context: u64, need: Need) -> Fit {
    let lacks = need.bytes().saturating_sub(budget().free());
    Fit {
        model: ModelName::new(name),
        settings: LoadSettings {
            context,
            parallel: 1,
            kv_type: KvType::F16,
            flash_attention: FlashAttention::Auto,
            mapped: false,
            server: ServerEra::LlamaServer,
            placement: Placement::Cpu,
        },
        settings_source: "the server's default".into(),
        verdict: if lacks.is_zero() { FitVerdict::Fits } else { FitVerdict::FitsAfterFreeing },
        need,
        budget: budget(),
        max_context: None,
        unload: Vec::new(),
        smaller: None,
        q8_0_saves: None,
        programs: Vec::new(),
        crosses: None,
        is_loaded: false,
    }
}

fn named(name: &str, held: f64) -> Named {
    Named { name: name.into(), bytes: gib(held) }
}

/// It fits, and takes memory to critical.
fn gemma() -> Fit {
    Fit {
        max_context: Some(32_768),
        crosses: Some(Level::Critical),
        q8_0_saves: Some(gib(0.19)),
        ..fit("gemma3:1b", 32_768, need(0.75, 0.4, 0.25))
    }
}

/// Known from three loads.
fn embedder() -> Fit {
    let learned = LearnedFootprint {
        count: 3,
        mean: gib(0.44),
        spread: gib(0.02),
        peak: gib(0.47),
        growth: Bytes::ZERO,
        is_scaled: false,
    };
    let need = Need { learned: Some(learned), ..need(0.26, 0.02, 0.01) };
    Fit { max_context: Some(2048), ..fit("nomic-embed-text", 2048, need) }
}

/// It fits once another is unloaded.
pub fn phi() -> Fit {
    Fit {
        verdict: FitVerdict::FitsAfterUnload,
        unload: vec![named("llama3.2:3b", 3.1)],
        crosses: Some(Level::Emergency),
        ..fit("phi4-mini:3.8b", 4096, need(2.3, 0.5, 0.3))
    }
}

/// It fits with a shorter context.
fn qwen3() -> Fit {
    let smaller = Smaller { context: 2048, kv_type: KvType::F16, need: gib(1.82) };
    Fit {
        verdict: FitVerdict::FitsSmaller,
        smaller: Some(smaller),
        max_context: Some(2048),
        crosses: Some(Level::Emergency),
        q8_0_saves: Some(gib(1.64)),
        ..fit("qwen3:1.7b", 32_768, need(1.0, 3.5, 0.4))
    }
}

/// It fits if other programs give memory back.
fn mistral() -> Fit {
    Fit {
        programs: vec![named("firefox", 1.9), named("code", 0.82)],
        crosses: Some(Level::Emergency),
        ..fit("mistral:7b", 4096, need(4.07, 0.5, 0.3))
    }
}

fn llama70() -> Fit {
    Fit {
        verdict: FitVerdict::Never,
        crosses: Some(Level::Emergency),
        ..fit("llama3.3:70b", 4096, need(39.6, 1.25, 0.6))
    }
}

fn loaded(name: &str, context: u64, need: Need) -> Fit {
    Fit { is_loaded: true, verdict: FitVerdict::Fits, ..fit(name, context, need) }
}

fn fits() -> Fits {
    Fits {
        all: vec![
            loaded("llama3.2:3b", 8192, need(1.88, 0.88, 0.26)),
            loaded("qwen2.5-coder:3b", 4096, need(1.8, 0.14, 0.3)),
            gemma(),
            embedder(),
            phi(),
            qwen3(),
            mistral(),
            llama70(),
        ],
        unknown: vec![(ModelName::new("smollm2:135m"), "its server has not told of it yet".into())],
    }
}

fn installed(machine: &Snapshot) -> Vec<InstalledModel> {
    let known = machine.installed.value.as_ref();
    let like = &known[0];
    let model = |name: &str, disk: f64, parameters: &str| InstalledModel {
        name: ModelName::new(name),
        disk: Some(gib(disk)),
        parameters: Some(parameters.into()),
        max_context: Some(32_768),
        ..like.clone()
    };
    let mut all = known.clone();
    all.extend([
        model("phi4-mini:3.8b", 2.3, "3.8B"),
        model("qwen3:1.7b", 1.1, "1.7B"),
        model("mistral:7b", 4.1, "7.2B"),
        model("llama3.3:70b", 39.6, "70.6B"),
        model("smollm2:135m", 0.1, "134.5M"),
    ]);
    all
}

fn forecast() -> Forecast {
    Forecast {
        to: Level::Critical,
        signal: SignalKind::Memory,
        soonest: Duration::from_secs(4 * 60 + 10),
        latest: Duration::from_secs(6 * 60 + 20),
        at: ago(0),
        window: Duration::from_secs(180),
        rate: 5_000_000.0,
    }
}

/// The busy machine, judged.
pub fn judged() -> Snapshot {
    let machine = busy_machine();
    let mut models = machine.models.clone();
    models[0].course = Some(Course::Plateau);
    models[1].course = Some(Course::Grows { rate: 209_715.2 });
    let mut components = machine.components.value.as_ref().clone();
    components[2].course = Some(Course::Grows { rate: 209_715.2 });
    components[4].course = Some(Course::Plateau);
    let mut events = machine.events.value.as_ref().clone();
    let event = |seq, seconds, body| Event { seq, time: ago(seconds).wall, body };
    let (need, lacks) = (gib(3.3), gib(1.45));
    events.extend([
        event(8, 60, EventBody::LoadRefused { model: "phi4-mini:3.8b".into(), need, lacks }),
        event(9, 50, EventBody::LoadForced { model: "phi4-mini:3.8b".into(), need, lacks }),
        event(10, 40, EventBody::Foreseen { forecast: Box::new(forecast()) }),
    ]);
    Snapshot {
        installed: part(installed(&machine)),
        components: part(components),
        events: part(events),
        models,
        fits: part(fits()),
        forecast: Some(forecast()),
        recommended: Some(Arc::new(Recommendation {
            fits: Some(named("gemma3:1b", 1.6)),
            context: Some(32_768),
            is_loaded: false,
            lacks: Some(named("phi4-mini:3.8b", 1.45)),
        })),
        ..machine
    }
}

/// What a gate offers for [`phi`].
pub fn room() -> Plan {
    let step = |action, bytes, source, reason: &str| Step {
        action,
        expected: Some(Footprint { bytes, source }),
        reason: reason.into(),
    };
    let unload = Action::Unload { model: ModelName::new("llama3.2:3b") };
    let load = Action::Load {
        model: ModelName::new("phi4-mini:3.8b"),
        keep: Keep::For(Duration::from_secs(300)),
        context: None,
    };
    Plan {
        purpose: Purpose::MakeRoom,
        target: None,
        steps: vec![
            step(unload, gib(3.1), FootprintSource::Measured, "idle 4 min, priority high"),
            step(load, gib(3.3), FootprintSource::Estimated, "it needs 3.3 GiB"),
        ],
        kept: Vec::new(),
    }
}

fn part<T>(value: T) -> Part<T> {
    Part { version: 1, value: Arc::new(value) }
}
