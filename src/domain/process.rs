//! Processes worth knowing: model servers, their runners, the largest others.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;

/// A process, for good: a pid alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    pub pid: u32,
    /// Linux: clock ticks since boot. macOS: microseconds since 1970.
    pub started: u64,
}

/// File pages beyond this are mapped weights: program and libraries of a
/// runner are 14 to 24 MiB (recorded).
pub const MAPPED_WEIGHTS: Bytes = Bytes::mib(64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub key: ProcessKey,
    pub parent: u32,
    /// Cleaned of anything a terminal would obey.
    pub name: String,
    pub role: ProcessRole,
    /// The user it runs under.
    pub uid: Option<u32>,
    pub memory: ProcessMemory,
    /// Processor time used so far, user and system.
    pub cpu: Option<Duration>,
    pub is_zombie: bool,
    /// Patterns of `cmdline:` that its command line matches. The line itself
    /// is kept nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum ProcessRole {
    /// A model server: `ollama serve`.
    Server {
        /// `OLLAMA_HOST` as it was given, where its environment can be read.
        host: Option<String>,
        /// It owns the listening socket of the configured address, by inode.
        /// `None`: its descriptors cannot be read.
        listens: Option<bool>,
        /// The settings of a server that its environment holds, by name:
        /// `OLLAMA_*` and `LLAMA_ARG_*` that are known and hold no secret.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        environment: Vec<(String, String)>,
    },
    Runner(Box<RunnerArguments>),
    Other,
}

/// What a process holds. `None` is unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    pub resident: Option<Bytes>,
    pub anonymous: Option<Bytes>,
    pub file: Option<Bytes>,
    pub shared: Option<Bytes>,
    pub swapped: Option<Bytes>,
    /// Proportional set size: only where two runners map one file, or asked for.
    pub proportional: Option<Bytes>,
    /// macOS: the kernel's own footprint.
    pub physical_footprint: Option<Bytes>,
}

impl ProcessMemory {
    /// The measured footprint and the words for how it was had.
    ///
    /// Linux: anonymous + file + shared + swapped, from `status`; where
    /// weights are mapped, and may be shared, the proportional size where it
    /// was read. macOS: the larger of resident and footprint, since mapped weights are in only
    /// the first and compressed pages in only the second.
    pub fn measured(&self) -> Option<(Bytes, MeasuredSource)> {
        if let Some(footprint) = self.physical_footprint {
            let resident = self.resident.unwrap_or_default();
            return Some((footprint.max(resident), MeasuredSource::Footprint));
        }
        let maps_weights = self.file.is_some_and(|file| file > MAPPED_WEIGHTS);
        if let (Some(proportional), true) = (self.proportional, maps_weights) {
            return Some((proportional + self.swapped.unwrap_or_default(), MeasuredSource::Pss));
        }
        if let (Some(anonymous), Some(file)) = (self.anonymous, self.file) {
            let rest = self.shared.unwrap_or_default() + self.swapped.unwrap_or_default();
            return Some((anonymous + file + rest, MeasuredSource::Status));
        }
        self.resident.map(|resident| (resident, MeasuredSource::Rss))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredSource {
    /// Anonymous + file + shared + swapped of `/proc/PID/status`.
    Status,
    /// Proportional set size and swap.
    Pss,
    /// Resident set only: more could not be read.
    Rss,
    /// macOS: the larger of resident size and physical footprint.
    Footprint,
    Simulated,
}

impl fmt::Display for MeasuredSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MeasuredSource::Status => "status",
            MeasuredSource::Pss => "pss",
            MeasuredSource::Rss => "rss",
            MeasuredSource::Footprint => "footprint",
            MeasuredSource::Simulated => "simulated",
        })
    }
}

/// The 64 hex digits of a weights file: `sha256-<digest>` in Ollama's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobDigest(String);

impl BlobDigest {
    /// From a path that ends in `…/blobs/sha256-<64 hex digits>`.
    pub fn from_blob_path(path: &str) -> Option<Self> {
        let (folder, file) = path.rsplit_once('/')?;
        (folder.rsplit('/').next() == Some("blobs")).then_some(())?;
        Self::from_hex(file.strip_prefix("sha256-")?)
    }

    pub fn from_hex(hex: &str) -> Option<Self> {
        let is_digest = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then(|| BlobDigest(hex.to_ascii_lowercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A runner's command line, as far as it is recognised. Nothing else of a
/// command line is kept, shown, recorded or stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerArguments {
    pub program: RunnerProgram,
    /// The weights it carries, where its arguments name an Ollama blob.
    pub blob: Option<BlobDigest>,
    /// MLX runners name the model instead.
    pub model: Option<String>,
    /// The whole context, over all parallel requests (`-c`).
    pub context: Option<u64>,
    pub parallel: Option<u32>,
    pub port: Option<u16>,
    /// Recognised flags in the order given: (flag, value or empty).
    pub flags: Vec<(String, String)>,
    /// Its executable lies in an Ollama library folder. `None`: unreadable.
    pub in_ollama_folder: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerProgram {
    /// `llama-server`, as Ollama starts it since 0.30.
    LlamaServer,
    /// `ollama runner`.
    OllamaRunner,
    /// `llama serve`.
    LlamaServe,
}

/// The processes of a sample. `servers` and `runners` are complete; `others`
/// are the largest and may be older than the sample. No process is in two
/// lists: one that is named and large is in `named` alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessTable {
    pub servers: Vec<Process>,
    pub runners: Vec<Process>,
    pub others: Vec<Process>,
    /// Resident memory of everything that is not in the three lists.
    pub rest: Option<Bytes>,
    /// How many processes there are, where it was counted.
    pub count: Option<u32>,
    /// Parents of runners that take in whose own parent is gone: `init` and
    /// its like. A runner below any other process has a living parent.
    #[serde(default)]
    pub reapers: Vec<u32>,
    /// Processes the config names, beside the largest. Complete as of the last
    /// look at all of them; each is read anew with every sample.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Process>,
}

impl ProcessTable {
    pub fn all(&self) -> impl Iterator<Item = &Process> {
        self.servers.iter().chain(&self.runners).chain(&self.others).chain(&self.named)
    }

    pub fn find(&self, key: ProcessKey) -> Option<&Process> {
        self.all().find(|process| process.key == key)
    }

    pub fn find_pid(&self, pid: u32) -> Option<&Process> {
        self.all().find(|process| process.key.pid == pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_known_by_its_folder_and_digest() {
        let digest = "1e98eaef884c0e3b8b7fc917b09c5c84ab36fd6199c3ea706769c4806742aeb0";
        let path = format!("/usr/share/ollama/.ollama/models/blobs/sha256-{digest}");
        assert_eq!(BlobDigest::from_blob_path(&path).map(|d| d.0), Some(digest.to_owned()));
        assert_eq!(BlobDigest::from_blob_path(&format!("/models/sha256-{digest}")), None);
        assert_eq!(BlobDigest::from_blob_path("/x/blobs/sha256-beef"), None);
    }

    #[test]
    fn measured_takes_the_best_that_was_read() {
        let mut memory = ProcessMemory { resident: Some(Bytes::mib(10)), ..Default::default() };
        assert_eq!(memory.measured(), Some((Bytes::mib(10), MeasuredSource::Rss)));
        memory.anonymous = Some(Bytes::mib(7));
        memory.file = Some(Bytes::mib(3));
        memory.swapped = Some(Bytes::mib(5));
        assert_eq!(memory.measured(), Some((Bytes::mib(15), MeasuredSource::Status)));
        memory.proportional = Some(Bytes::mib(8));
        assert_eq!(memory.measured(), Some((Bytes::mib(15), MeasuredSource::Status)));
        memory.file = Some(Bytes::mib(900));
        assert_eq!(memory.measured(), Some((Bytes::mib(13), MeasuredSource::Pss)));
        assert_eq!(ProcessMemory::default().measured(), None);
    }
}
