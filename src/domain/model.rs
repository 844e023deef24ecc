//! Models: installed, loaded, and what is known of each beside its process.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bytes::{Bytes, BytesDelta, Percent};
use super::component::Priority;
use super::forecast::Course;
use super::process::{BlobDigest, MeasuredSource, ProcessKey};
use super::shape::Shape;
use super::time::{Moment, Wall};

/// A model's full name with its tag, as its server spells it. Cleaned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelName(String);

impl ModelName {
    /// The name as it goes over the wire; `:latest` is added where no tag is.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let last = name.rsplit('/').next().unwrap_or_default();
        if last.contains(':') || name.is_empty() {
            ModelName(name)
        } else {
            ModelName(format!("{name}:latest"))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a person says it: without `:latest`.
    pub fn short(&self) -> &str {
        self.0.strip_suffix(":latest").unwrap_or(&self.0)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short())
    }
}

/// An entry of the server's list of installed models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledModel {
    pub name: ModelName,
    pub digest: String,
    /// Bytes on disk.
    pub disk: Option<Bytes>,
    pub parameters: Option<String>,
    pub quantization: Option<String>,
    pub family: Option<String>,
    /// The longest context it was trained for.
    pub max_context: Option<u64>,
    pub capabilities: Vec<String>,
    pub modified: Option<Wall>,
    /// Runs elsewhere: never sent a generate, which could cost money.
    pub is_cloud: bool,
}

impl InstalledModel {
    pub fn embeds(&self) -> bool {
        self.capabilities.iter().any(|c| c == "embedding")
            && !self.capabilities.iter().any(|c| c == "completion")
    }
}

/// An entry of the server's list of loaded models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedModel {
    pub name: ModelName,
    pub digest: String,
    pub reported: Option<Bytes>,
    pub vram: Option<Bytes>,
    /// Context of one request slot.
    pub context: Option<u64>,
    pub expires: Option<Expiry>,
    pub parameters: Option<String>,
    pub quantization: Option<String>,
    pub family: Option<String>,
    pub is_cloud: bool,
}

/// When a loaded model leaves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    At(Wall),
    Never,
}

/// What `/api/show` tells that we keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelDetails {
    /// The weights file, from the `FROM` line: joins model and process.
    pub blob: Option<BlobDigest>,
    pub architecture: Option<String>,
    pub capabilities: Vec<String>,
    pub max_context: Option<u64>,
    pub is_cloud: bool,
    /// What its memory follows from; `None` where the server does not tell.
    #[serde(default)]
    pub shape: Option<Box<Shape>>,
    /// `num_ctx` among the parameters its owner baked in.
    #[serde(default)]
    pub own_context: Option<u64>,
}

/// Whether it is working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Its runner's processor time grew by more than 5 % of a core over two
    /// samples, or its expiry is past while it is still listed.
    Busy,
    Idle,
    /// No runner can be seen. Counts as busy for rules.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ModelState {
    /// Not listed yet; its runner is the sign.
    Loading {
        since: Moment,
    },
    Ready,
    /// Asked to unload. `still_generating`: it is busy and has no deadline.
    Unloading {
        since: Moment,
        still_generating: bool,
    },
    /// Idle, asked, and still there after 15 s: its runner may be ended.
    Stuck {
        since: Moment,
    },
    /// Asked to unload and still listed after 15 s, and no runner can be seen
    /// that would tell why.
    Unconfirmed {
        since: Moment,
    },
    /// Listed, and its runner has died.
    Gone {
        since: Moment,
    },
}

impl ModelState {
    pub const fn word(&self) -> &'static str {
        match self {
            ModelState::Loading { .. } => "loading",
            ModelState::Ready => "ready",
            ModelState::Unloading { .. } => "unloading",
            ModelState::Stuck { .. } => "stuck",
            ModelState::Unconfirmed { .. } => "unconfirmed",
            ModelState::Gone { .. } => "gone",
        }
    }
}

/// How long a model has been idle, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    pub since: Moment,
    /// Only "at least since": its expiry has not moved while we looked.
    pub at_least: bool,
}

/// A loaded (or loading, or leaving) model joined with its process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelView {
    pub name: ModelName,
    /// Index into the snapshot's runtimes.
    pub runtime: usize,
    pub state: ModelState,
    pub activity: Activity,
    pub reported: Option<Bytes>,
    pub vram: Option<Bytes>,
    pub measured: Option<(Bytes, MeasuredSource)>,
    pub runner: Option<ProcessKey>,
    pub context: Option<u64>,
    pub expires: Option<Expiry>,
    pub idle: Option<Idle>,
    pub parameters: Option<String>,
    pub quantization: Option<String>,
    pub priority: Priority,
    pub pinned: bool,
    /// On another machine: never joined, never in a plan, never counted.
    pub is_remote: bool,
    pub is_cloud: bool,
    /// What swap grew by while it was loaded: memory of others it drove out.
    #[serde(default)]
    pub swap_growth: Option<Bytes>,
    /// What its memory does over minutes, where that can be told.
    #[serde(default)]
    pub course: Option<Course>,
}

impl ModelView {
    /// Measured minus reported: what the server does not tell.
    ///
    /// None where part of the model lies on a discrete GPU: the process's
    /// memory and the reported size then count different things.
    pub fn drift(&self) -> Option<BytesDelta> {
        if self.vram.is_some_and(|vram| !vram.is_zero()) {
            return None;
        }
        Some(self.measured?.0.since(self.reported?))
    }

    /// The best figure there is for what it holds in system memory.
    pub fn held(&self) -> Option<Bytes> {
        if let ModelState::Gone { .. } = self.state {
            return Some(Bytes::ZERO);
        }
        self.measured.map(|(bytes, _)| bytes).or(self.reported)
    }

    /// Share of the reported size that lies on a GPU.
    pub fn gpu_share(&self) -> Option<Percent> {
        self.vram?.share_of(self.reported?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_tag_means_latest() {
        assert_eq!(ModelName::new("tiny").as_str(), "tiny:latest");
        assert_eq!(ModelName::new("host:5000/team/tiny").as_str(), "host:5000/team/tiny:latest");
        assert_eq!(ModelName::new("tiny:1b").short(), "tiny:1b");
        assert_eq!(ModelName::new("tiny").short(), "tiny");
    }
}
