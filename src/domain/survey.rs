//! What is found out about a machine when somebody asks whether all is well,
//! beside what a snapshot holds. Pure data: a value, or why there is none.

use super::bytes::Bytes;
use super::process::ProcessKey;
use super::sample::Reading;

/// A look at what surrounds the models. Text from outside in it is cleaned,
/// and secrets are out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    pub is_mac: bool,
    /// This program runs as root.
    pub is_root: bool,
    /// A demo or a recording: nothing here is of this machine.
    pub is_simulated: bool,
    /// Processors this program may use.
    pub cores: Option<u32>,
    /// Every process of a model server that the snapshot knows.
    pub servers: Vec<ServerSurvey>,
    /// Addresses that other machines reach, on which the server's port is
    /// listened to.
    pub open_to: Reading<Vec<String>>,
    /// Runners whose memory can be measured exactly, and whether they can be
    /// signalled.
    pub runners: Vec<RunnerSurvey>,
    /// Programs that end others when memory is short, by name.
    pub watchers: Reading<Vec<String>>,
    /// `vm.swappiness`
    pub swappiness: Reading<u64>,
    /// `vm.overcommit_memory`
    pub overcommit: Reading<u64>,
    pub swaps: Reading<Vec<SwapArea>>,
    /// Other users' processes do not show.
    pub hides_processes: Reading<bool>,
    /// The kernel's own word that memory stalls.
    pub trigger: Reading<()>,
    /// Where engines of containers listen.
    pub engines: Vec<EngineDoor>,
    pub services: Reading<()>,
    pub models_disk: Reading<Disk>,
    pub history_disk: Reading<Disk>,
    pub config: ConfigSurvey,
    pub guard: GuardSurvey,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ServerSurvey {
    pub key: ProcessKey,
    pub uid: Option<u32>,
    /// It owns the socket that is asked, as far as that can be seen.
    pub listens: Option<bool>,
    pub housing: Reading<Housing>,
    /// `OLLAMA_*` and `LLAMA_*`, secrets masked.
    pub environment: Reading<Vec<(String, String)>>,
}

/// What a process runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Housing {
    Unit {
        name: String,
        is_user: bool,
    },
    Container {
        id: String,
        name: String,
        limit: Reading<Option<Bytes>>,
    },
    /// A session, an app: nobody starts it again.
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerSurvey {
    pub key: ProcessKey,
    pub measures: Reading<()>,
    pub may_signal: bool,
}

/// A line of `/proc/swaps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapArea {
    pub name: String,
    pub size: Bytes,
    pub kind: SwapKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapKind {
    /// Compressed, in memory.
    Zram,
    /// On a disk that turns.
    Rotational,
    Solid,
    Unknown,
}

/// A socket of an engine of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineDoor {
    pub path: String,
    pub reachable: Reading<()>,
}

/// The file system a folder lies on, or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    pub folder: String,
    pub free: Bytes,
}

/// The config, as far as it is to be judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigSurvey {
    /// `None`: there is none, and none is needed.
    pub file: Option<String>,
    pub notes: Vec<String>,
    /// Who else may write it, and the command that mends it.
    pub writers: Option<(String, Option<String>)>,
    pub names_containers: bool,
    pub names_services: bool,
    /// The most the history takes.
    pub history: Bytes,
    pub one_model: bool,
}

/// Who guards this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuardSurvey {
    /// A plimsoll holds the lock of this user, or of the system.
    pub runs: bool,
    /// The file that has the system start it.
    pub service: Option<String>,
}

/// Of these servers the one that is asked: the one that owns the socket, or the
/// only one there is.
pub fn asked(servers: &[ServerSurvey]) -> Option<&ServerSurvey> {
    let owner = servers.iter().find(|server| server.listens == Some(true));
    let only = || match servers {
        [only] if only.listens != Some(false) => Some(only),
        _ => None,
    };
    owner.or_else(only)
}

impl Survey {
    /// The server that is asked.
    pub fn server(&self) -> Option<&ServerSurvey> {
        asked(&self.servers)
    }

    /// A setting in the environment of that server. An error: it cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<&str>, String> {
        let server = self.server().ok_or("the server's process is not seen here")?;
        let environment = server.environment.as_ref().map_err(|fault| fault.detail.clone())?;
        let found = environment.iter().find(|(known, _)| known == name);
        Ok(found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty()))
    }
}
