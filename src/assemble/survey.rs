//! A look at what surrounds the models, put together from the edges: the
//! machine, containers and services, disks, the config, the guard.
//!
//! Nothing is changed, and no lock is kept.

use std::path::{Path, PathBuf};

use crate::act::containers::usual_sockets;
use crate::act::lock::{Holder, Lock};
use crate::act::service::Manager;
use crate::config::{LoadedConfig, trust};
use crate::domain::process::{Process, ProcessTable};
use crate::domain::sample::{Memory, MemoryParts};
use crate::domain::survey::{
    ConfigSurvey, EngineDoor, GuardSurvey, Housing, RunnerSurvey, ServerSurvey, asked,
};
use crate::domain::text::clean;
use crate::domain::{Bytes, Named, NamedBy, ProcessRole, Reading, SensorFault, Snapshot, Survey};
use crate::policy::rules::Rules;
use crate::runtime::ollama::{self, HostAddress};
use crate::sense::{self, survey as seen, survey::Surveyor};

use super::holder::{listens_beside, lock_file, system_lock_file};
use super::{Source, settings};

/// Why there is nothing to be read.
const SIMULATED: &str = "this is no live machine";

/// What can be found out beside a snapshot.
pub fn survey(config: &LoadedConfig, source: &Source, snapshot: &Snapshot) -> Survey {
    let ours = config_survey(config, snapshot);
    let sample = snapshot.sample.as_deref();
    let none = ProcessTable::default();
    let table = sample.and_then(|sample| sample.processes.as_ref().ok()).unwrap_or(&none);
    if *source != Source::Live {
        let is_mac = sample.and_then(|sample| sample.memory.as_ref().ok()).is_some_and(is_mac);
        let servers = table.servers.iter().filter_map(|process| server(None, process)).collect();
        return Survey { is_mac, servers, ..simulated(ours) };
    }
    let surveyor = Surveyor::new(PathBuf::from("/"));
    let servers: Vec<ServerSurvey> =
        table.servers.iter().filter_map(|process| server(Some(&surveyor), process)).collect();
    let models_disk = models_disk(config, &servers);
    let port = HostAddress::parse(&config.ollama_host().0).0.endpoint().port;
    Survey {
        is_mac: sense::IS_MAC,
        is_root: rustix::process::geteuid().is_root(),
        is_simulated: false,
        cores: std::thread::available_parallelism().ok().and_then(|n| n.get().try_into().ok()),
        servers,
        open_to: linux(|| surveyor.open_to(port)),
        runners: table.runners.iter().filter_map(|one| runner(&surveyor, one)).collect(),
        watchers: linux(|| surveyor.watchers()),
        swappiness: linux(|| surveyor.parameter("vm/swappiness")),
        overcommit: linux(|| surveyor.parameter("vm/overcommit_memory")),
        swaps: linux(|| surveyor.swaps()),
        hides_processes: linux(|| surveyor.hides_processes()),
        trigger: sense::this_machine().waker().map(drop),
        engines: engines(config),
        services: linux(|| surveyor.services()),
        models_disk,
        history_disk: match &config.paths.data_dir {
            Some(folder) => seen::disk(folder),
            None => Err(SensorFault::absent("there is no home folder for a history")),
        },
        config: ours,
        guard: guard(config),
    }
}

/// What only Linux has.
fn linux<T>(read: impl FnOnce() -> Reading<T>) -> Reading<T> {
    match sense::IS_MAC {
        true => Err(SensorFault::absent("macOS has no such thing")),
        false => read(),
    }
}

fn simulated(config: ConfigSurvey) -> Survey {
    fn none<T>() -> Reading<T> {
        Err(SensorFault::absent(SIMULATED))
    }
    Survey {
        is_mac: false,
        is_root: false,
        is_simulated: true,
        cores: None,
        servers: Vec::new(),
        open_to: none(),
        runners: Vec::new(),
        watchers: none(),
        swappiness: none(),
        overcommit: none(),
        swaps: none(),
        hides_processes: none(),
        trigger: none(),
        engines: Vec::new(),
        services: none(),
        models_disk: none(),
        history_disk: none(),
        config,
        guard: GuardSurvey::default(),
    }
}

fn is_mac(memory: &Memory) -> bool {
    matches!(memory.parts, MemoryParts::Mac { .. })
}

/// Without a surveyor, as far as a sample tells.
fn server(surveyor: Option<&Surveyor>, process: &Process) -> Option<ServerSurvey> {
    let ProcessRole::Server { host, listens, environment } = &process.role else { return None };
    let told = || {
        let host = host.iter().map(|host| ("OLLAMA_HOST".to_owned(), host.clone()));
        let all: Vec<_> = host.chain(environment.iter().cloned()).collect();
        match all.is_empty() {
            true => Err(SensorFault::absent("nothing of its environment is told")),
            false => Ok(all),
        }
    };
    let (housing, environment) = match surveyor {
        None => (Err(SensorFault::absent(SIMULATED)), told()),
        Some(_) if sense::IS_MAC => (Ok(Housing::Plain), told()),
        Some(surveyor) => {
            // What the engine that acts here could read, this user may not.
            let own = surveyor.environment(process.key);
            let environment = own.or_else(|fault| told().map_err(|_| fault));
            (surveyor.housing(process.key), environment)
        }
    };
    Some(ServerSurvey {
        key: process.key,
        uid: process.uid,
        listens: *listens,
        housing,
        environment,
    })
}

/// `None`: it has gone since it was seen.
fn runner(surveyor: &Surveyor, process: &Process) -> Option<RunnerSurvey> {
    let measures = match (sense::IS_MAC, process.memory.physical_footprint) {
        (false, _) => surveyor.measures(process.key),
        (true, Some(_)) => Ok(()),
        (true, None) => Err(SensorFault::absent("the kernel tells only its resident memory")),
    };
    // Asked last: what has gone by then could not be measured for no other reason.
    let may_signal = seen::may_signal(process.key)?;
    Some(RunnerSurvey { key: process.key, measures, may_signal })
}

fn engines(config: &LoadedConfig) -> Vec<EngineDoor> {
    let sockets = usual_sockets(|name| config.variable(name).map(Into::into));
    let door = |path: PathBuf| EngineDoor {
        reachable: seen::engine_listens(&path),
        path: clean(&path.to_string_lossy()),
    };
    sockets.into_iter().map(door).collect()
}

/// Where the server keeps its models, by its own settings where those can be
/// read, else where such servers usually do.
fn models_disk(
    config: &LoadedConfig,
    servers: &[ServerSurvey],
) -> Reading<crate::domain::survey::Disk> {
    let settings = asked(servers).and_then(|server| server.environment.as_ref().ok());
    let told = settings.into_iter().flatten().find(|(name, _)| name == "OLLAMA_MODELS");
    if let Some((_, folder)) = told {
        return match Path::new(folder) {
            folder if folder.is_dir() => seen::disk(folder),
            _ => Err(SensorFault::absent(format!("its folder {folder} cannot be seen from here"))),
        };
    }
    let told = config.variable("OLLAMA_MODELS");
    let folders = ollama::model_folders(told, config.variable("HOME"));
    let there = folders.iter().find(|folder| folder.is_dir()).or(folders.first());
    there.map_or_else(
        || Err(SensorFault::absent("no folder with models is known")),
        |folder| seen::disk(folder),
    )
}

fn config_survey(config: &LoadedConfig, snapshot: &Snapshot) -> ConfigSurvey {
    let file = config.paths.config_file.as_ref().filter(|file| file.exists());
    let names = |by: NamedBy| {
        let patterns = config.config.components.iter().map(|one| one.pattern.as_str());
        patterns.filter_map(Named::parse).any(|named| named.by == by)
    };
    let rules = settings::regime(config, settings::total_of(snapshot)).map(|regime| regime.rules);
    ConfigSurvey {
        file: file.map(|file| clean(&file.to_string_lossy())),
        notes: super::notes(config).iter().map(|note| clean(note)).collect(),
        writers: file
            .and_then(|file| trust::others_write(file))
            .map(|(found, mend)| (clean(&found), mend.map(|mend| clean(&mend)))),
        names_containers: names(NamedBy::Container),
        names_services: names(NamedBy::Unit),
        history: Bytes::mib(u64::from(config.config.history.keep_mib)),
        one_model: rules.unwrap_or_else(|_| Rules::plain()).one_model,
    }
}

fn guard(config: &LoadedConfig) -> GuardSurvey {
    let locks = [lock_file(config), Some(system_lock_file())];
    let is_held = |lock: &PathBuf| match Lock::holder(lock) {
        Holder::Nobody => false,
        Holder::Somebody(_) => true,
        Holder::Unknown => listens_beside(lock),
    };
    let home = PathBuf::from(config.variable("HOME").unwrap_or_default());
    let folder = config.variable("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.is_absolute()).unwrap_or(home.join(".config"));
    let managers = [true, false].map(Manager::of_this_machine).into_iter().flatten();
    let file = managers.map(|manager| manager.path(&home, &folder)).find(|file| file.exists());
    GuardSurvey {
        runs: locks.iter().flatten().any(is_held),
        service: file.map(|file| clean(&file.to_string_lossy())),
    }
}
