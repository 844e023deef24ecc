//! Each check, provoked once and left alone once: a machine on which all is
//! well is spoilt in one place, and that place is found and nothing else.

use std::collections::BTreeSet;

use plimsoll::domain::component::{Component, Footprint, FootprintSource};
use plimsoll::domain::fault::{RuntimeFault, RuntimeFaultKind};
use plimsoll::domain::finding::CHECKS;
use plimsoll::domain::sample::Gpu;
use plimsoll::domain::snapshot::{Place, RuntimeState};
use plimsoll::domain::survey::{EngineDoor, Housing, SwapKind};
use plimsoll::domain::{
    Bytes, Check, ComponentKind, Expiry, FaultKind, Group, GroupKind, Priority, RuleMode,
    SensorFault, Severity,
};

use super::scenery::{Scenery, denied, fit, key, server, unit};

fn absent<T>() -> Result<T, SensorFault> {
    Err(SensorFault::absent("there is none"))
}

fn hung<T>() -> Result<T, SensorFault> {
    Err(SensorFault::new(FaultKind::Hung, "it has not answered"))
}

fn container(limit: Option<Bytes>) -> Housing {
    Housing::Container { id: "d5".repeat(32), name: "ollama".into(), limit: Ok(limit) }
}

/// A container that the config names, without a limit.
fn group(oom_kills: u64) -> Group {
    Group {
        kind: GroupKind::Container { id: "d5".repeat(32) },
        name: "web".into(),
        used: Some(Bytes::gib(1)),
        swapped: None,
        limit: None,
        oom_kills: Some(oom_kills),
        stalled: None,
        is_paused: false,
    }
}

fn orphan() -> Component {
    Component {
        id: "runner:4100".into(),
        name: "llama-server".into(),
        kind: ComponentKind::Orphan,
        depth: 0,
        process: Some(key(4100)),
        footprint: Some(Footprint { bytes: Bytes::gib(2), source: FootprintSource::Measured }),
        swapped: None,
        priority: Priority::Medium,
        pinned: false,
        state: None,
        target: None,
        allowed: Vec::new(),
        course: None,
    }
}

type Spoil = fn(&mut Scenery);

/// Check, how bad, what is spoilt.
const SPOILT: [(Check, Severity, Spoil); 61] = {
    use Severity::{Error, Note, Warning};
    [
        (Check::ServerReachable, Error, |s| {
            let fault = RuntimeFault::new(RuntimeFaultKind::Refused, "nobody listens");
            s.snapshot.runtimes[0].state = RuntimeState::Down { fault };
        }),
        (Check::ServerReachable, Warning, |s| s.snapshot.runtimes[0].state = RuntimeState::Slow),
        (Check::ServerVersion, Warning, |s| version(s, "0.9.6")),
        (Check::ServerVersion, Warning, |s| version(s, "v0.11.10-rc1")),
        (Check::ServerVersion, Note, |s| version(s, "0.0.0")),
        (Check::ServerVersion, Note, |s| version(s, "nightly")),
        (Check::ServerVersion, Note, |s| {
            let mut models = s.snapshot.installed.value.to_vec();
            models[0].family = Some("gemma3".into());
            s.snapshot.installed.set(models);
        }),
        (Check::ServerModels, Note, |s| s.snapshot.installed.set(Vec::new())),
        (Check::ServerProcess, Note, |s| s.survey.servers.clear()),
        (Check::ServerEnvironment, Note, |s| s.survey.servers[0].environment = denied("environ")),
        (Check::ServerRunners, Warning, |s| s.snapshot.components.set(vec![orphan()])),
        (Check::ServerExposed, Warning, |s| s.set("OLLAMA_HOST", "0.0.0.0")),
        (Check::ServerExposed, Warning, |s| s.set("OLLAMA_HOST", "http://[::]:11434/x")),
        (Check::ServerExposed, Warning, |s| s.set("OLLAMA_HOST", "192.168.0.7:80")),
        (Check::ServerExposed, Warning, |s| s.set("OLLAMA_HOST", "127.example.org")),
        (Check::ServerExposed, Warning, |s| s.survey.open_to = Ok(vec!["0.0.0.0".into()])),
        (Check::ServerExposed, Note, |s| {
            s.set("OLLAMA_HOST", "0.0.0.0:11434");
            s.survey.servers[0].housing = Ok(container(Some(Bytes::gib(8))));
        }),
        (Check::ServerSecond, Warning, |s| {
            let mut other = server(901, unit());
            other.listens = Some(false);
            s.survey.servers.push(other);
        }),
        (Check::KeepAliveEndless, Warning, |s| s.set("OLLAMA_KEEP_ALIVE", "-1")),
        (Check::KeepAliveEndless, Warning, |s| s.set("OLLAMA_KEEP_ALIVE", "-1m")),
        (Check::KeepAliveEndless, Note, |s| s.snapshot.models[0].expires = Some(Expiry::Never)),
        (Check::MaxLoadedModels, Note, |s| s.survey.config.one_model = true),
        (Check::MaxLoadedModels, Note, |s| {
            s.survey.config.one_model = true;
            s.set("OLLAMA_MAX_LOADED_MODELS", "2");
        }),
        (Check::PromptCacheUnbounded, Warning, |s| s.set("LLAMA_ARG_CACHE_RAM", "")),
        (Check::PromptCacheUnbounded, Warning, |s| s.set("LLAMA_ARG_CACHE_RAM", "-1")),
        (Check::PromptCacheUnbounded, Warning, |s| s.set("LLAMA_ARG_CACHE_RAM", "8000")),
        (Check::PromptCacheUnbounded, Note, |s| {
            s.set("LLAMA_ARG_CACHE_RAM", "");
            s.sample().memory.as_mut().unwrap().total = Bytes::gib(48);
        }),
        (Check::ContextTooLarge, Warning, |s| {
            s.fits.all.push(fit("long:8b", Bytes::gib(5), Bytes::gib(20)));
        }),
        (Check::ModelTooLarge, Note, |s| {
            s.fits.all.push(fit("giant:70b", Bytes::gib(40), Bytes::gib(1)));
        }),
        (Check::ModelDrift, Warning, |s| s.snapshot.models[0].reported = Some(Bytes::gib(1))),
        (Check::ContainerUnlimited, Warning, |s| {
            s.survey.servers[0].housing = Ok(container(None));
        }),
        (Check::ContainerUnlimited, Note, |s| s.sample().groups = Ok(vec![group(0)])),
        (Check::OomKills, Warning, |s| s.sample().groups = Ok(vec![group(2)])),
        (Check::SwapMissing, Warning, |s| {
            s.sample().swap = absent();
        }),
        (Check::SwapMissing, Note, |s| {
            s.sample().swap = absent();
            s.sample().memory.as_mut().unwrap().total = Bytes::gib(64);
        }),
        (Check::SwapSlow, Warning, |s| {
            s.survey.swaps.as_mut().unwrap()[0].kind = SwapKind::Rotational;
        }),
        (Check::SwapAvoided, Note, |s| s.survey.swappiness = Ok(0)),
        (Check::OvercommitStrict, Warning, |s| s.survey.overcommit = Ok(2)),
        (Check::OomKills, Warning, |s| s.sample().paging.as_mut().unwrap().oom_kills = Some(3)),
        (Check::OtherWatchers, Note, |s| s.survey.watchers = Ok(vec!["earlyoom".into()])),
        (Check::RightToMeasure, Warning, |s| s.survey.hides_processes = Ok(true)),
        (Check::RightToMeasure, Note, |s| s.survey.runners[0].measures = denied("smaps_rollup")),
        (Check::RightToSignal, Note, |s| s.survey.runners[0].may_signal = false),
        (Check::RightToPressure, Note, |s| s.survey.trigger = denied("memory")),
        (Check::RightToContainers, Warning, |s| s.survey.config.names_containers = true),
        (Check::RightToServices, Warning, |s| {
            s.survey.config.names_services = true;
            s.survey.services = absent();
        }),
        (Check::SensorMemory, Error, |s| s.sample().memory = denied("meminfo")),
        (Check::SensorSwap, Warning, |s| s.sample().swap = hung()),
        (Check::SensorPressure, Note, |s| s.sample().pressure = absent()),
        (Check::SensorPressure, Warning, |s| s.sample().pressure = denied("memory")),
        (Check::SensorPaging, Warning, |s| s.sample().paging = hung()),
        (Check::SensorLimit, Warning, |s| s.sample().limit = denied("memory.max")),
        (Check::SensorZram, Warning, |s| s.sample().zram = denied("mm_stat")),
        (Check::SensorGpu, Warning, |s| s.sample().gpus = hung()),
        (Check::SensorGpu, Note, |s| s.sample().gpus = Ok(vec![blind_card()])),
        (Check::SensorProcesses, Warning, |s| s.sample().processes = denied("/proc")),
        (Check::DiskModels, Warning, |s| {
            s.survey.models_disk.as_mut().unwrap().free = Bytes::gib(1)
        }),
        (Check::DiskHistory, Warning, |s| {
            s.survey.history_disk.as_mut().unwrap().free = Bytes::mib(100);
        }),
        (Check::ConfigNotes, Warning, |s| s.survey.config.notes.push("odd".into())),
        (Check::ConfigWriters, Warning, |s| {
            s.survey.config.writers = Some(("all write it".into(), Some("chmod go-w x".into())));
        }),
        (Check::GuardService, Warning, |s| s.survey.guard = Default::default()),
    ]
};

/// Those that another check has to go with.
const MORE: [(Check, Severity, Spoil); 4] = [
    (Check::GuardService, Severity::Note, |s| s.survey.guard.service = None),
    (Check::GuardService, Severity::Warning, |s| s.survey.guard.runs = false),
    (Check::RulesObserve, Severity::Note, |s| s.snapshot.rules.furthest = RuleMode::Observe),
    (Check::RulesObserve, Severity::Note, |s| s.snapshot.rules.furthest = RuleMode::Confirm),
];

fn version(scenery: &mut Scenery, version: &str) {
    scenery.snapshot.runtimes[0].version = Some(version.into());
}

fn blind_card() -> Gpu {
    Gpu { name: "card".into(), total: Bytes::gib(8), used: None, unified: false }
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let well = Scenery::well();
    let open: Vec<_> =
        well.findings().into_iter().filter(|finding| finding.severity.is_open()).collect();
    assert_eq!(open, []);
}

#[test]
fn every_check_speaks_on_every_machine() {
    let mut empty = Scenery::well();
    empty.snapshot.sample = None;
    empty.snapshot.runtimes.clear();
    empty.fits = Default::default();
    empty.survey.is_simulated = true;
    for scenery in [Scenery::well(), empty] {
        let said: BTreeSet<Check> =
            scenery.findings().iter().map(|finding| finding.check).collect();
        let silent: Vec<_> = CHECKS.iter().filter(|(check, ..)| !said.contains(check)).collect();
        assert_eq!(silent, Vec::<&(Check, &str, &str)>::new());
    }
}

#[test]
fn each_check_is_provoked_and_each_finding_says_why_and_what_mends_it() {
    let mut provoked = BTreeSet::new();
    for (row, (check, severity, spoil)) in SPOILT.into_iter().chain(MORE).enumerate() {
        let mut scenery = Scenery::well();
        assert!(!scenery.worst_of(check).is_open(), "{check} is open where all is well");
        spoil(&mut scenery);
        assert_eq!(scenery.worst_of(check), severity, "row {row}: {check}");
        let found = scenery.findings();
        let open = found.iter().find(|one| one.check == check && one.severity.is_open()).unwrap();
        assert!(open.why.is_some() || severity == Severity::Note, "{open:?}");
        all_are_mended(&found);
        provoked.insert(check);
    }
    let never: Vec<&str> =
        CHECKS.iter().filter(|(check, ..)| !provoked.contains(check)).map(|row| row.1).collect();
    assert_eq!(never, [""; 0]);
}

#[track_caller]
fn all_are_mended(found: &[plimsoll::domain::Finding]) {
    for open in found.iter().filter(|one| one.severity.is_open()) {
        assert!(open.mend.as_ref().is_some_and(|mend| !mend.trim().is_empty()), "{open:?}");
    }
}

#[test]
fn whatever_is_open_has_a_line_that_would_mend_it() {
    let housings: [fn() -> Option<Housing>; 4] =
        [|| Some(unit()), || Some(container(None)), || Some(Housing::Plain), || None];
    let spoilt: [Spoil; 8] = [
        |s| s.snapshot.sample = None,
        |s| s.snapshot.runtimes[0].state = RuntimeState::Unknown,
        |s| s.snapshot.runtimes[0].state = RuntimeState::Slow,
        |s| version(s, "0.9.6"),
        |s| s.snapshot.components.set(vec![Component { process: None, ..orphan() }]),
        |s| s.survey.config.writers = Some(("all write it".into(), None)),
        |s| s.sample().memory = denied("meminfo"),
        |s| s.survey.watchers = Ok(vec!["nohang".into(), "oomd".into()]),
    ];
    for (housing, is_mac) in
        housings.into_iter().flat_map(|housing| [(housing, false), (housing, true)])
    {
        for spoil in spoilt {
            let mut scenery = Scenery::well();
            scenery.survey.is_mac = is_mac;
            scenery.survey.servers[0].housing = housing().map_or_else(absent, Ok);
            spoil(&mut scenery);
            let found = scenery.findings();
            assert!(found.iter().any(|one| one.severity.is_open()));
            all_are_mended(&found);
        }
    }
}

#[test]
fn of_unknown_memory_nothing_is_reckoned() {
    let mut scenery = Scenery::well();
    scenery.sample().memory = denied("meminfo");
    scenery.survey.servers[0].housing = Ok(container(None));
    scenery.set("LLAMA_ARG_CACHE_RAM", "8000");
    let of = |scenery: &Scenery, check: Check| {
        scenery.findings().into_iter().find(|one| one.check == check).unwrap()
    };
    let unlimited = of(&scenery, Check::ContainerUnlimited).mend.unwrap();
    assert_eq!(unlimited, "docker update --memory SIZE --memory-swap SIZE ollama");
    assert_eq!(scenery.worst_of(Check::PromptCacheUnbounded), Severity::Skipped);
    scenery.set("LLAMA_ARG_CACHE_RAM", "-1");
    let unbounded = of(&scenery, Check::PromptCacheUnbounded).mend.unwrap();
    assert!(unbounded.contains("LLAMA_ARG_CACHE_RAM=8192"), "{unbounded}");
    for one in scenery.findings().iter().filter(|one| one.severity.is_open()) {
        let said = format!("{} {}", one.found, one.mend.as_deref().unwrap_or_default());
        assert!(!said.contains(" 0 B") && !said.contains(" 0m"), "{one:?}");
    }
}

#[test]
fn a_named_container_gets_no_more_than_there_is_and_the_servers_own_is_said_once() {
    let mends = |scenery: &Scenery| {
        let found = scenery.findings().into_iter();
        let own = found.filter(|one| one.check == Check::ContainerUnlimited);
        own.filter_map(|one| one.mend).collect::<Vec<_>>()
    };
    let mut scenery = Scenery::well();
    scenery.sample().memory.as_mut().unwrap().total = Bytes::gib(16);
    let line = |mib: u64| vec![format!("docker update --memory {mib}m --memory-swap {mib}m web")];
    let using = |gib| Group { used: Some(Bytes::gib(gib)), ..group(0) };
    for (gib, mib) in [(1, 2048), (9, 16 * 1024 * 9 / 10), (15, 15 * 1024)] {
        scenery.sample().groups = Ok(vec![using(gib)]);
        assert_eq!(mends(&scenery), line(mib), "{gib} GiB");
    }
    // Its own container, of the same id.
    scenery.survey.servers[0].housing = Ok(container(None));
    let mended = mends(&scenery);
    assert_eq!(mended.len(), 1, "{mended:?}");
    assert!(mended[0].ends_with(" ollama"), "{mended:?}");
}

#[test]
fn what_mends_goes_by_what_runs_the_server() {
    let mend = |housing: Option<Housing>, is_mac: bool| {
        let mut scenery = Scenery::well();
        scenery.set("OLLAMA_KEEP_ALIVE", "-1");
        scenery.survey.is_mac = is_mac;
        scenery.survey.servers[0].housing = housing.map_or_else(absent, Ok);
        let found = scenery.findings();
        let found = found.into_iter().find(|one| one.check == Check::KeepAliveEndless);
        found.unwrap().mend.unwrap()
    };
    let users = Housing::Unit { name: "my.service".into(), is_user: true };
    assert!(mend(Some(unit()), false).starts_with("sudo systemctl edit ollama.service "));
    assert!(mend(Some(users), false).starts_with("systemctl --user edit my.service "));
    assert!(mend(Some(container(None)), false).contains("-e OLLAMA_KEEP_ALIVE=5m"));
    assert!(mend(Some(Housing::Plain), true).starts_with("launchctl setenv OLLAMA_KEEP_ALIVE 5m"));
    assert!(mend(None, false).starts_with("export OLLAMA_KEEP_ALIVE=5m"));
}

#[test]
fn names_from_outside_stand_in_no_command() {
    let mut scenery = Scenery::well();
    let hostile = "x; rm -rf ~ #";
    scenery.survey.servers[0].housing =
        Ok(Housing::Unit { name: format!("{hostile}.service"), is_user: false });
    scenery.set("OLLAMA_KEEP_ALIVE", "-1; reboot");
    scenery.set("OLLAMA_HOST", "0.0.0.0; reboot");
    scenery.snapshot.models[0].name = plimsoll::domain::ModelName::new("-$(reboot)`x`");
    scenery.snapshot.models[0].reported = Some(Bytes::mib(1));
    scenery.snapshot.models[0].expires = Some(Expiry::Never);
    let mut giant = fit(hostile, Bytes::gib(40), Bytes::gib(1));
    scenery.fits.all.push(giant.clone());
    giant.need.weights = Bytes::gib(5);
    giant.need.kv = Bytes::gib(20);
    giant.settings_source = "context the model's own".into();
    scenery.fits.all.push(giant);
    let housed =
        |name: &str| Housing::Container { id: "d5".repeat(32), name: name.into(), limit: Ok(None) };
    let mut other = Scenery::well();
    other.survey.servers[0].housing = Ok(housed("$(reboot)"));
    for finding in scenery.findings().into_iter().chain(other.findings()) {
        let mend = finding.mend.clone().unwrap_or_default();
        for word in ["reboot", "rm -rf"] {
            assert!(!mend.contains(word), "{finding:?}");
        }
    }
}

#[test]
fn of_a_server_elsewhere_no_process_here_is_told() {
    let mut scenery = Scenery::well();
    scenery.snapshot.runtimes[0].place = Place::Remote;
    scenery.snapshot.models.iter_mut().for_each(|model| model.is_remote = true);
    scenery.set("OLLAMA_HOST", "0.0.0.0");
    scenery.fits = Default::default();
    let found = scenery.findings();
    for check in [
        Check::ServerProcess,
        Check::ServerEnvironment,
        Check::ServerExposed,
        Check::ServerSecond,
        Check::KeepAliveEndless,
        Check::PromptCacheUnbounded,
        Check::ContextTooLarge,
        Check::ContainerUnlimited,
        Check::DiskModels,
    ] {
        let said = found.iter().find(|one| one.check == check).unwrap();
        assert_eq!(said.severity, Severity::Skipped, "{said:?}");
        assert!(said.found.contains("on another machine"), "{said:?}");
    }
}

#[test]
fn what_the_context_has_to_be_is_said() {
    let mend = |parallel: u32, source: &str| {
        let mut scenery = Scenery::well();
        let mut long = fit("long:8b", Bytes::gib(5), Bytes::gib(20));
        long.settings.parallel = parallel;
        long.settings_source = source.into();
        scenery.fits.all.push(long);
        let found = scenery.findings();
        found.into_iter().find(|one| one.check == Check::ContextTooLarge).unwrap().mend.unwrap()
    };
    // 5 of 20 GiB remain for the cache: a quarter of all tokens.
    let mended = mend(1, "context set on the server");
    assert!(mended.ends_with("\"OLLAMA_CONTEXT_LENGTH=2048\""), "{mended}");
    assert!(mend(4, "context set on the server").ends_with("\"OLLAMA_NUM_PARALLEL=1\""));
    assert_eq!(mend(1, "context the model's own"), "plimsoll load long:8b --ctx 2048");
}

#[test]
fn an_engine_that_may_not_be_used_is_said_only_where_it_is_wanted() {
    let mut scenery = Scenery::well();
    let path = "/var/run/docker.sock".to_owned();
    scenery.survey.engines = vec![EngineDoor { path, reachable: denied("socket") }];
    assert_eq!(scenery.worst_of(Check::RightToContainers), Severity::Skipped);
    scenery.survey.config.names_containers = true;
    assert_eq!(scenery.worst_of(Check::RightToContainers), Severity::Warning);
    scenery.survey.engines[0].reachable = Ok(());
    assert_eq!(scenery.worst_of(Check::RightToContainers), Severity::Ok);
}

#[test]
fn loopback_is_what_the_server_takes_for_it() {
    for host in [
        "127.0.0.1",
        "localhost:11434",
        "http://127.0.0.7:1/x",
        "[::1]:11434",
        "::1",
        ":8080",
        "\"localhost\"",
    ] {
        let mut scenery = Scenery::well();
        scenery.set("OLLAMA_HOST", host);
        assert_eq!(scenery.worst_of(Check::ServerExposed), Severity::Ok, "{host}");
    }
}
