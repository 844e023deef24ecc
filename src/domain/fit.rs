//! Whether a load can be carried: what it needs, what there is to give, and
//! the verdict with its arithmetic. Pure data; `plimsoll fit --json` prints a
//! part of it.

mod words;

use serde::{Deserialize, Serialize};

pub use words::{Words, kv_warning, listed};

use super::bytes::Bytes;
use super::component::FootprintSource;
use super::level::Level;
use super::model::ModelName;
use super::shape::KvType;

/// What is asked. What is left out is as the server would have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FitQuestion {
    pub model: ModelName,
    /// Tokens of one request slot.
    pub context: Option<u64>,
    pub kv_type: Option<KvType>,
    pub parallel: Option<u32>,
}

impl FitQuestion {
    /// As its server would load it.
    pub fn plain(model: ModelName) -> Self {
        FitQuestion { model, context: None, kv_type: None, parallel: None }
    }
}

/// How a model is loaded, as far as its memory depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LoadSettings {
    /// Tokens of one request slot.
    pub context: u64,
    /// Request slots: `OLLAMA_NUM_PARALLEL`.
    pub parallel: u32,
    pub kv_type: KvType,
    pub flash_attention: FlashAttention,
    /// Weights are mapped from their file instead of read into memory.
    pub mapped: bool,
    pub server: ServerEra,
    pub placement: Placement,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlashAttention {
    #[default]
    Auto,
    On,
    Off,
}

/// How a server runs models, which decides what it allocates and reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerEra {
    /// Ollama from 0.30: one `llama-server` for each model.
    #[default]
    LlamaServer,
    /// Before: `ollama runner`.
    OllamaRunner,
}

impl ServerEra {
    /// By the server's version; one that cannot be read is taken as new.
    pub fn of_version(version: &str) -> ServerEra {
        let mut parts = version.trim_start_matches('v').split(['.', '-']);
        let major = parts.next().and_then(|part| part.parse::<u32>().ok());
        let minor = parts.next().and_then(|part| part.parse::<u32>().ok());
        match (major, minor) {
            (Some(0), Some(minor)) if minor < 30 => ServerEra::OllamaRunner,
            _ => ServerEra::LlamaServer,
        }
    }
}

/// Where a model comes to lie.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// System memory, by the processor.
    #[default]
    Cpu,
    /// One memory for both (Apple, integrated graphics).
    Unified,
    /// A card with its own memory, as far as it goes.
    Gpu,
}

impl Placement {
    pub const fn word(self) -> &'static str {
        match self {
            Placement::Cpu => "cpu",
            Placement::Unified => "unified",
            Placement::Gpu => "gpu",
        }
    }
}

/// What a load takes, part by part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Need {
    pub weights: Bytes,
    /// Keys and values of all slots.
    pub kv: Bytes,
    /// Recurrent state.
    pub state: Bytes,
    /// Compute and output buffers.
    pub compute: Bytes,
    /// Projector and its working buffers.
    pub vision: Bytes,
    /// The runner itself: program, libraries, heap.
    pub overhead: Bytes,
    /// What the server is expected to report.
    pub reported: Bytes,
    /// What its process is expected to hold after its first prompts: buffers
    /// are touched as they are used, so this may be less than the parts' sum.
    pub measured: Bytes,
    /// Of the parts' sum, what would lie on a card of its own memory if all
    /// fits there.
    pub on_gpu: Bytes,
    /// Figures from labels only, no tensor list: ±10 % and more.
    pub is_rough: bool,
    /// From earlier loads on this machine; corrects `measured`.
    pub learned: Option<LearnedFootprint>,
}

impl Need {
    /// The sum of the parts: what it may come to hold when all is used.
    pub fn parts(&self) -> Bytes {
        self.weights + self.kv + self.state + self.compute + self.vision + self.overhead
    }

    /// What a verdict counts: the parts, or what was learned here. Of a learned
    /// peak what lies above the parts is left out: that is a cache of prompts,
    /// which grows with use and is shown apart.
    pub fn bytes(&self) -> Bytes {
        match &self.learned {
            Some(learned) => learned.peak.min(self.parts()).max(learned.mean + learned.spread),
            None => self.parts().max(self.measured),
        }
    }

    pub const fn source(&self) -> FootprintSource {
        match self.learned {
            Some(_) => FootprintSource::Learned,
            None => FootprintSource::Estimated,
        }
    }
}

/// What was observed of the same model with the same settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LearnedFootprint {
    pub count: u32,
    /// Of what was measured once it had worked.
    pub mean: Bytes,
    /// Standard deviation; zero of one.
    pub spread: Bytes,
    pub peak: Bytes,
    /// The most it grew by while in use.
    pub growth: Bytes,
    /// Learned at other contexts and carried over by proportion.
    pub is_scaled: bool,
}

/// What is free to give, and why so much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// What could be had now: system memory and, where a card has memory of
    /// its own, that too.
    pub available: Bytes,
    /// Kept back for the system and the card.
    pub reserve: Bytes,
    /// Promised to loads that are under way and not yet taken.
    pub in_flight: Bytes,
    /// Of `available` less `reserve`, what lies on cards.
    pub vram: Bytes,
    /// What this machine could give if nothing but the system ran.
    pub ever: Bytes,
    /// `MemAvailable less 1.2 GiB reserve`
    pub source: String,
}

impl Budget {
    /// What may be given now.
    pub fn free(&self) -> Bytes {
        self.available.saturating_sub(self.reserve).saturating_sub(self.in_flight)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitVerdict {
    Fits,
    FitsAfterUnload,
    FitsSmaller,
    FitsAfterFreeing,
    Never,
}

impl FitVerdict {
    pub const ALL: [FitVerdict; 5] = [
        FitVerdict::Fits,
        FitVerdict::FitsAfterUnload,
        FitVerdict::FitsSmaller,
        FitVerdict::FitsAfterFreeing,
        FitVerdict::Never,
    ];

    /// A few words for a column.
    pub const fn word(self) -> &'static str {
        match self {
            FitVerdict::Fits => "fits",
            FitVerdict::FitsAfterUnload => "after unload",
            FitVerdict::FitsSmaller => "smaller",
            FitVerdict::FitsAfterFreeing => "after freeing",
            FitVerdict::Never => "never",
        }
    }
}

/// The verdict on one question, with all it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    pub model: ModelName,
    pub settings: LoadSettings,
    /// Where context, cache type and slots come from: `the server's default`.
    pub settings_source: String,
    pub verdict: FitVerdict,
    pub need: Need,
    pub budget: Budget,
    /// The largest context that fits now with these settings; `None`: none does.
    pub max_context: Option<u64>,
    /// What must go for it to fit, least harm first. Models only.
    pub unload: Vec<Named>,
    /// With which context or cache type it would fit now.
    pub smaller: Option<Smaller>,
    /// What a cache of q8_0 would save, where it is larger now.
    pub q8_0_saves: Option<Bytes>,
    /// The biggest other programs, where some must give memory back.
    pub programs: Vec<Named>,
    /// The level that memory would enter by it.
    pub crosses: Option<Level>,
    /// It is loaded already, with these settings.
    pub is_loaded: bool,
}

impl Fit {
    /// Its context is a parameter of the model, which goes before the server's.
    pub fn has_own_context(&self) -> bool {
        self.settings_source.contains("the model's own")
    }

    /// What is left over after it; negative: what is lacking.
    pub fn margin(&self) -> super::bytes::BytesDelta {
        self.budget.free().since(self.need.bytes())
    }

    /// How much is lacking; zero where it fits.
    pub fn lacks(&self) -> Bytes {
        self.need.bytes().saturating_sub(self.budget.free())
    }
}

/// A component and bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub bytes: Bytes,
}

/// Other settings with which a load would fit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smaller {
    pub context: u64,
    pub kv_type: KvType,
    pub need: Bytes,
}

/// Why there is no verdict yet, where one is to come.
pub const STILL_ASKED: &str = "its metadata are being asked for";

/// Verdicts on all installed models at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fits {
    /// In the order of the list of installed models; those not known yet are
    /// left out.
    pub all: Vec<Fit>,
    /// Models whose metadata are not known yet, and why where it is known.
    pub unknown: Vec<(ModelName, String)>,
}

impl Fits {
    pub fn of(&self, model: &ModelName) -> Option<&Fit> {
        self.all.iter().find(|fit| &fit.model == model)
    }
}

/// How demanding the work is that a model is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    Low,
    Medium,
    High,
}

impl Complexity {
    pub const ALL: [Complexity; 3] = [Complexity::Low, Complexity::Medium, Complexity::High];

    pub const fn word(self) -> &'static str {
        match self {
            Complexity::Low => "low",
            Complexity::Medium => "medium",
            Complexity::High => "high",
        }
    }
}

/// A model that would fit now, and the next better one that would not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// `None`: none of those asked about fits.
    pub fits: Option<Named>,
    pub context: Option<u64>,
    /// It is loaded already: nothing more is needed.
    pub is_loaded: bool,
    /// The next larger one and what it lacks.
    pub lacks: Option<Named>,
}

impl Recommendation {
    /// `qwen2.5:3b would fit, 2.6 GiB; 7b lacks 1.9 GiB`.
    pub fn text(&self) -> String {
        let fits = match &self.fits {
            Some(best) if self.is_loaded => format!("{} is loaded, {}", best.name, best.bytes),
            Some(best) => format!("{} would fit, {}", best.name, best.bytes),
            None => "none fits".to_owned(),
        };
        match &self.lacks {
            Some(next) => format!("{fits}; {} lacks {}", self.next_name(&next.name), next.bytes),
            None if self.fits.is_none() => "none suits".to_owned(),
            None => fits,
        }
    }

    /// Of the same family the tag says enough.
    fn next_name<'a>(&self, next: &'a str) -> &'a str {
        let best = self.fits.as_ref().and_then(|best| best.name.rsplit_once(':'));
        match (best, next.rsplit_once(':')) {
            (Some((ours, _)), Some((theirs, tag))) if ours == theirs => tag,
            _ => next,
        }
    }
}
