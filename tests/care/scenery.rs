//! A machine on which all is well, to be spoilt in one place by each test.

use std::sync::Arc;

use plimsoll::domain::fit::{Budget, FlashAttention, LoadSettings, Need, Placement, ServerEra};
use plimsoll::domain::level::Basis;
use plimsoll::domain::process::ProcessKey;
use plimsoll::domain::sample::{Paging, Pressure, Stall, Swap};
use plimsoll::domain::snapshot::Part;
use plimsoll::domain::survey::{
    ConfigSurvey, Disk, GuardSurvey, Housing, RunnerSurvey, ServerSurvey, SwapArea, SwapKind,
};
use plimsoll::domain::{
    Bytes, Check, ComponentKind, Finding, Fit, FitVerdict, Fits, KvType, ModelName, RuleMode,
    Sample, SensorFault, Severity, Snapshot, Survey,
};
use plimsoll::policy::doctor::{Scene, findings};

use super::snapshots::busy_machine;

pub struct Scenery {
    pub survey: Survey,
    pub snapshot: Snapshot,
    pub fits: Fits,
}

impl Scenery {
    pub fn well() -> Scenery {
        let mut scenery =
            Scenery { survey: survey(), snapshot: busy_machine(), fits: Fits::default() };
        scenery.fits.all.push(fit("llama3.2:3b", Bytes::gib(2), Bytes::gib(1)));
        let sample = scenery.sample();
        sample.swap = Ok(Swap { total: Bytes::gib(4), used: Bytes::gib(1) });
        sample.paging = Ok(Paging { oom_kills: Some(0), ..Paging::default() });
        let stall = Stall { avg10: 1.0, avg60: 1.0, avg300: 1.0, total_us: 5 };
        sample.pressure = Ok(Pressure::Psi { some: stall, full: Some(stall) });
        let until = scenery.snapshot.models[0].expires;
        scenery.snapshot.models.iter_mut().for_each(|model| model.expires = until);
        let components = scenery.snapshot.components.value.iter();
        let whole = components.filter(|one| one.kind != ComponentKind::Orphan).cloned().collect();
        scenery.snapshot.components.set(whole);
        let installed = scenery.snapshot.installed.value.iter();
        let installed = installed.filter(|model| !model.name.as_str().starts_with("gemma"));
        let installed = installed.cloned().collect();
        scenery.snapshot.installed = Part { version: 1, value: Arc::new(installed) };
        scenery.snapshot.rules.furthest = RuleMode::Act;
        scenery.snapshot.level.basis = Basis::OneShot;
        scenery
    }

    pub fn sample(&mut self) -> &mut Sample {
        Arc::make_mut(self.snapshot.sample.as_mut().unwrap())
    }

    /// Sets a variable of the server.
    pub fn set(&mut self, name: &str, value: &str) {
        let environment = self.survey.servers[0].environment.as_mut().unwrap();
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn findings(&self) -> Vec<Finding> {
        findings(&Scene { survey: &self.survey, snapshot: &self.snapshot, fits: &self.fits })
    }

    pub fn worst_of(&self, check: Check) -> Severity {
        let all = self.findings();
        let own = all.iter().filter(|finding| finding.check == check);
        own.map(|finding| finding.severity).max().unwrap_or_else(|| panic!("{check} is silent"))
    }
}

pub fn denied<T>(what: &str) -> Result<T, SensorFault> {
    let kind = plimsoll::domain::FaultKind::Denied;
    Err(SensorFault::new(kind, format!("{what}: permission denied")))
}

pub fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, started: 70 }
}

pub fn server(pid: u32, housing: Housing) -> ServerSurvey {
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    ServerSurvey {
        key: key(pid),
        uid: Some(998),
        listens: Some(true),
        housing: Ok(housing),
        environment: Ok(vec![
            setting("LLAMA_ARG_CACHE_RAM", "1024"),
            setting("OLLAMA_HOST", "127.0.0.1:11434"),
        ]),
    }
}

pub fn unit() -> Housing {
    Housing::Unit { name: "ollama.service".into(), is_user: false }
}

fn survey() -> Survey {
    let disk = |folder: &str| Ok(Disk { folder: folder.into(), free: Bytes::gib(100) });
    Survey {
        is_mac: false,
        is_root: false,
        is_simulated: false,
        cores: Some(8),
        servers: vec![server(900, unit())],
        open_to: Ok(Vec::new()),
        runners: vec![RunnerSurvey { key: key(4100), measures: Ok(()), may_signal: true }],
        watchers: Ok(Vec::new()),
        swappiness: Ok(60),
        overcommit: Ok(0),
        swaps: Ok(vec![SwapArea {
            name: "/dev/nvme0n1p3".into(),
            size: Bytes::gib(4),
            kind: SwapKind::Solid,
        }]),
        hides_processes: Ok(false),
        trigger: Ok(()),
        engines: Vec::new(),
        services: Ok(()),
        models_disk: disk("/usr/share/ollama/.ollama/models"),
        history_disk: disk("/home/me/.local/share/plimsoll"),
        config: ConfigSurvey {
            file: Some("/home/me/.config/plimsoll/config.toml".into()),
            history: Bytes::mib(64),
            ..ConfigSurvey::default()
        },
        guard: GuardSurvey { runs: true, service: Some("/etc/systemd/system/x".into()) },
    }
}

/// A verdict at 8192 tokens, one slot, on a machine that could give 10 GiB.
pub fn fit(name: &str, weights: Bytes, kv: Bytes) -> Fit {
    Fit {
        model: ModelName::new(name),
        settings: LoadSettings {
            context: 8192,
            parallel: 1,
            kv_type: KvType::F16,
            flash_attention: FlashAttention::Auto,
            mapped: false,
            server: ServerEra::LlamaServer,
            placement: Placement::Cpu,
        },
        settings_source: "context the server's default".into(),
        verdict: FitVerdict::Fits,
        need: Need { weights, kv, ..Need::default() },
        budget: Budget {
            available: Bytes::gib(8),
            reserve: Bytes::gib(1),
            in_flight: Bytes::ZERO,
            vram: Bytes::ZERO,
            ever: Bytes::gib(10),
            source: "MemAvailable less 1.0 GiB".into(),
        },
        max_context: Some(8192),
        unload: Vec::new(),
        smaller: None,
        q8_0_saves: None,
        programs: Vec::new(),
        crosses: None,
        is_loaded: false,
    }
}
