//! What a fake server has, how it behaves, and what it tells of itself: plain
//! data, so that a server in another process can be given it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::runner::RunnerSpec;

/// What the server has and how it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub version: String,
    pub port: u16,
    pub models: Vec<FakeModel>,
    /// Names that are loaded from the start.
    pub preloaded: Vec<String>,
    pub script: Script,
    /// The program to start as a runner, under its final name; `None`: models
    /// have no process.
    pub runner_program: Option<PathBuf>,
    /// Where `models/blobs/` is said to lie, and `run/` with the runners' pids.
    pub folder: PathBuf,
    /// How runners behave; their size is their model's.
    pub runner: RunnerSpec,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            version: "0.33.0-rc2".to_owned(),
            port: 0,
            models: vec![
                FakeModel::new("tiny-f16", 16 << 20),
                FakeModel::new("small-gqa-q8", 32 << 20),
                FakeModel { embeds: true, ..FakeModel::new("embed-bert-f16", 8 << 20) },
                FakeModel { remote: true, ..FakeModel::new("huge:480b-cloud", 384) },
            ],
            preloaded: Vec::new(),
            script: Script::default(),
            runner_program: None,
            folder: PathBuf::from("/usr/share/ollama/.ollama"),
            runner: RunnerSpec::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FakeModel {
    pub name: String,
    /// What its runner really holds.
    pub bytes: u64,
    /// What `/api/ps` says; another figure makes drift.
    pub reported: u64,
    pub embeds: bool,
    pub remote: bool,
    /// A load ends with status 500 and these words.
    pub fails: Option<String>,
}

impl FakeModel {
    pub fn new(name: &str, bytes: u64) -> Self {
        let name = if name.contains(':') { name.to_owned() } else { format!("{name}:latest") };
        FakeModel { name, bytes, reported: bytes, embeds: false, remote: false, fails: None }
    }

    /// The digest of its weights, the same in every run.
    pub fn blob(&self) -> String {
        digest_of(&self.name, 1)
    }

    pub fn manifest(&self) -> String {
        digest_of(&self.name, 2)
    }

    pub fn details(&self) -> Value {
        let family = if self.embeds { "bert" } else { "llama" };
        json!({"parent_model": "", "format": "gguf", "family": family, "families": [family],
            "parameter_size": "29.79M", "quantization_level": "F16"})
    }

    pub fn capabilities(&self) -> Value {
        if self.embeds { json!(["embedding"]) } else { json!(["completion"]) }
    }
}

/// 64 hex digits from a name: FNV over it, once per eighth.
fn digest_of(name: &str, salt: u64) -> String {
    (0..4)
        .map(|part: u64| {
            let start = 0xcbf2_9ce4_8422_2325 ^ (part << 32) ^ salt;
            let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            format!("{:016x}", name.bytes().fold(start, mix))
        })
        .collect()
}

/// How it behaves, call by call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Script {
    /// By path; `*` stands for all that are not named.
    pub conduct: BTreeMap<String, Conduct>,
    /// Said by `/api/ps` instead of the truth.
    pub ps: Option<Value>,
    /// Said by `/api/tags` instead of the truth.
    pub tags: Option<Value>,
    /// Said by `/api/show` instead of the truth: plainly, and asked for all.
    pub show: Option<[Value; 2]>,
    /// Unloads are accepted and nothing comes of them.
    pub never_unloads: bool,
    pub unload_ms: u64,
    /// A load takes at least so long.
    pub load_ms: u64,
    /// A generate with a prompt keeps its model busy so long.
    pub generate_ms: u64,
    /// A stream of such a model has its last word only when it is named here
    /// no longer; it works until then.
    pub writes_on: Vec<String>,
    /// A runner is told to leave instead of being killed, so that its memory
    /// comes back slowly.
    pub lets_runners_leave: bool,
}

impl Script {
    pub fn with(call: &str, conduct: Conduct) -> Self {
        Script { conduct: BTreeMap::from([(call.to_owned(), conduct)]), ..Script::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Conduct {
    Normal,
    /// Answers after so many milliseconds.
    Slow(u64),
    /// Reads the request and never answers.
    Hung,
    /// Closes without a word.
    Close,
    /// Promises a body and closes half way.
    HalfBody,
    /// One byte at a time, so many milliseconds apart.
    Drip(u64),
    /// So many bytes of nonsense, without saying how many there will be.
    Rubbish(u64),
    /// So many bytes of a list that never ends: valid JSON as far as it goes.
    EndlessList(u64),
    /// A page instead of an answer.
    Page {
        status: u16,
        kind: String,
        body: String,
    },
}

impl Conduct {
    pub fn page(status: u16, kind: &str, body: &str) -> Self {
        Conduct::Page { status, kind: kind.to_owned(), body: body.to_owned() }
    }
}

/// What was asked and who runs, as `/fake/state` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FakeState {
    /// Requests by path.
    pub counts: BTreeMap<String, usize>,
    /// Bodies of the POSTs, in order: path and body.
    pub posts: Vec<(String, String)>,
    /// When each of them had come in, by the wall clock.
    pub post_times: Vec<Timestamp>,
    /// Names of the loaded models and the pids of their runners.
    pub loaded: BTreeMap<String, Option<u32>>,
    /// Streams that their client cut off.
    #[serde(default)]
    pub cut_off: usize,
    /// Bytes of rubbish really taken by a client.
    pub rubbish_sent: u64,
    /// The heads of the latest requests, for tests about headers.
    pub heads: Vec<String>,
}
