//! A model's metadata, as GGUF names it, made into a shape. Where the keys come
//! from, a server's answer or a file's header, is not known here.
//!
//! Only the keys an estimate starts from are kept, and only those below the
//! architecture's own prefix count: a file that holds a vision part has a
//! second `block_count`, of another model.

use std::collections::BTreeMap;

use crate::domain::Bytes;
use crate::domain::shape::{Experts, Latent, PerLayer, Recurrent, Shape, Weights, WindowPattern};
use crate::domain::tensors::{TensorType, Tensors};
use crate::domain::text::clean;

/// Deeper models than any; a list of one number a layer ends there.
pub const MOST_LAYERS: usize = 1024;

/// Far beyond any dimension, and small enough that a product of two fits.
const MOST_COUNT: u64 = 1 << 31;

/// Keys kept: those of [`KEPT`] under a dozen prefixes.
const MOST_KEYS: usize = 512;

/// Longest key looked at; GGUF's own are below fifty.
const LONGEST_KEY: usize = 128;

/// Longest word kept: names of architectures.
const LONGEST_WORD: usize = 64;

/// What stands behind `<architecture>.` of what is kept.
const KEPT: [&str; 31] = [
    HEADS,
    HEADS_KV,
    PATTERN,
    FEED_FORWARD,
    "attention.causal",
    "attention.key_length",
    "attention.key_length_mla",
    "attention.key_length_swa",
    "attention.kv_lora_rank",
    "attention.shared_kv_layers",
    "attention.sliding_window",
    "attention.value_length",
    "attention.value_length_swa",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_feed_forward_length",
    "expert_used_count",
    "full_attention_interval",
    "nextn_predict_layers",
    "parameter_count",
    "file_type",
    "pooling_type",
    "rope.dimension_count",
    "ssm.conv_kernel",
    "ssm.group_count",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.time_step_rank",
    "vocab_size",
];

const HEADS: &str = "attention.head_count";
const HEADS_KV: &str = "attention.head_count_kv";
const PATTERN: &str = "attention.sliding_window_pattern";
const FEED_FORWARD: &str = "feed_forward_length";

/// Keys that may hold a number for each layer.
const PER_LAYER: [&str; 4] = [HEADS, HEADS_KV, PATTERN, FEED_FORWARD];

const ARCHITECTURE: &str = "general.architecture";
const TOKENS: &str = "tokenizer.ggml.tokens";

/// A value, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Count(u64),
    Truth(bool),
    Word(String),
    /// Of numbers, the first [`MOST_LAYERS`]; `None`: not a count.
    Counts(Vec<Option<u64>>),
    Truths(Vec<bool>),
    /// How many entries a list of words has.
    Length(u64),
    /// It is there, and the server did not send it.
    Withheld,
}

/// The keys that matter, with their values.
#[derive(Debug, Default)]
pub struct Metadata {
    values: BTreeMap<String, Value>,
}

impl Metadata {
    /// Whether a key is worth reading its value.
    pub fn wants(key: &str) -> bool {
        if key.len() > LONGEST_KEY {
            return false;
        }
        key == ARCHITECTURE
            || key == TOKENS
            || key.split_once('.').is_some_and(|(_, below)| KEPT.contains(&below))
    }

    /// The first value of a key stands.
    pub fn insert(&mut self, key: String, value: Value) {
        let is_short = !matches!(&value, Value::Word(word) if word.len() > LONGEST_WORD);
        if Self::wants(&key) && is_short && self.values.len() < MOST_KEYS {
            self.values.entry(key).or_insert(value);
        }
    }

    pub fn architecture(&self) -> Option<String> {
        match self.values.get(ARCHITECTURE)? {
            Value::Word(word) => Some(clean(word)).filter(|word| !word.is_empty()),
            _ => None,
        }
    }

    /// The longest context of the model itself, or of the only part there is.
    pub fn max_context(&self) -> Option<u64> {
        if self.architecture().is_some() {
            return self.count("context_length");
        }
        let is_context = |key: &&String| key.ends_with(".context_length");
        let (_, value) = self.values.iter().find(|(key, _)| is_context(key))?;
        count_of(value).filter(|context| *context > 0)
    }

    /// A number for each layer is there and was not sent.
    pub fn lacks_lists(&self) -> bool {
        PER_LAYER.iter().any(|key| self.value(key) == Some(&Value::Withheld))
    }

    /// The bytes of a model of this many parameters, all of the file's main
    /// type; `None` where it is not a plain one.
    pub fn rough_size(&self) -> Option<Bytes> {
        let Value::Count(parameters) = self.values.get("general.parameter_count")? else {
            return None;
        };
        // Numbers of `llama_ftype`.
        let kind = match count_of(self.values.get("general.file_type")?)? {
            0 => "F32",
            1 => "F16",
            7 => "Q8_0",
            32 => "BF16",
            _ => return None,
        };
        TensorType::named(kind)?.bytes_of(&[*parameters]).map(Bytes::new)
    }

    /// `None`: not enough to estimate from, or a part of it was not sent.
    pub fn shape(&self, tensors: Tensors, capabilities: &[String]) -> Option<Shape> {
        let architecture = self.architecture()?;
        let layers = self.count("block_count").filter(|count| *count <= MOST_LAYERS as u64)?;
        let embedding = self.count("embedding_length")?;
        if self.lacks_lists() {
            return None;
        }
        let heads = self.per_layer(HEADS, layers).unwrap_or_default();
        let latent = self.latent(&tensors);
        Some(Shape {
            is_embedding: self.makes_vectors(&architecture, capabilities),
            architecture,
            layers,
            embedding,
            feed_forward: self.per_layer(FEED_FORWARD, layers).unwrap_or_default(),
            vocabulary: self.vocabulary(&tensors),
            max_context: self.count("context_length"),
            // GGUF: without it, each head has keys and values of its own.
            heads_kv: self.per_layer(HEADS_KV, layers).unwrap_or_else(|| heads.clone()),
            heads,
            key_length: self.count("attention.key_length"),
            value_length: self.count("attention.value_length"),
            key_length_window: self.count("attention.key_length_swa"),
            value_length_window: self.count("attention.value_length_swa"),
            window: self.count("attention.sliding_window"),
            window_pattern: self.pattern(layers),
            shared_kv_layers: self.count("attention.shared_kv_layers").unwrap_or(0),
            latent,
            recurrent: self.recurrent(),
            experts: self.experts(),
            draft_layers: self.count("nextn_predict_layers").unwrap_or(0),
            weights: Weights { tensors: tensors.into_sums(), file: None, projector: None },
        })
    }

    /// The value below the architecture's own prefix.
    fn value(&self, below: &str) -> Option<&Value> {
        let Value::Word(architecture) = self.values.get(ARCHITECTURE)? else { return None };
        self.values.get(&format!("{architecture}.{below}"))
    }

    /// A count above 0.
    fn count(&self, below: &str) -> Option<u64> {
        self.value(below).and_then(count_of).filter(|count| *count > 0)
    }

    /// A list that ends before the last layer says nothing of the others.
    fn per_layer(&self, below: &str, layers: u64) -> Option<PerLayer> {
        match self.value(below)? {
            Value::Counts(counts) => {
                (counts.len() as u64 >= layers).then_some(())?;
                // A negative number stands for "none" at that layer.
                let each = counts.iter().map(|count| count.filter(|c| *c <= MOST_COUNT));
                Some(PerLayer::Each(each.map(Option::unwrap_or_default).collect()))
            }
            value => count_of(value).map(PerLayer::Same),
        }
    }

    fn vocabulary(&self, tensors: &Tensors) -> u64 {
        let tokens = match self.values.get(TOKENS) {
            Some(Value::Length(length)) => Some(*length),
            _ => None,
        };
        let known = self.count("vocab_size").or(tokens).or(tensors.vocabulary);
        known.filter(|length| *length <= MOST_COUNT).unwrap_or(0)
    }

    fn pattern(&self, layers: u64) -> Option<WindowPattern> {
        match self.value(PATTERN)? {
            Value::Truths(windowed) => Some(WindowPattern::Windowed(windowed.clone())),
            Value::Counts(counts) => {
                let windowed = counts.iter().map(|count| count.is_some_and(|c| c != 0));
                Some(WindowPattern::Windowed(windowed.collect()))
            }
            // llama.cpp: every layer has the window.
            Value::Count(0) => {
                let layers = usize::try_from(layers).unwrap_or(0).min(MOST_LAYERS);
                Some(WindowPattern::Windowed(vec![true; layers]))
            }
            value => count_of(value).map(WindowPattern::GlobalEvery),
        }
    }

    /// The cache is compressed only where the file was made for it: files from
    /// before have whole keys and values, and name the rank all the same.
    fn latent(&self, tensors: &Tensors) -> Option<Latent> {
        let rank = self.count("attention.kv_lora_rank")?;
        let rope = self.count("rope.dimension_count")?;
        let is_made_for_it =
            self.count("attention.key_length_mla").is_some() || tensors.has_split_latent;
        is_made_for_it.then_some(Latent { rank, rope })
    }

    fn recurrent(&self) -> Option<Recurrent> {
        let part = |below| self.count(below).unwrap_or(0);
        let recurrent = Recurrent {
            conv_kernel: part("ssm.conv_kernel"),
            inner_size: part("ssm.inner_size"),
            state_size: part("ssm.state_size"),
            group_count: part("ssm.group_count"),
            time_step_rank: part("ssm.time_step_rank"),
            full_attention_interval: self.count("full_attention_interval"),
        };
        (recurrent != Recurrent::default()).then_some(recurrent)
    }

    fn experts(&self) -> Option<Experts> {
        Some(Experts {
            count: self.count("expert_count")?,
            used: self.count("expert_used_count").unwrap_or(0),
            feed_forward: self.count("expert_feed_forward_length"),
        })
    }

    /// Whether it keeps no causal cache. A model that gives the last token's
    /// vector, or a rank, attends causally and has a cache as any other.
    fn makes_vectors(&self, architecture: &str, capabilities: &[String]) -> bool {
        let has = |word: &str| capabilities.iter().any(|capability| capability == word);
        if architecture.contains("bert") || architecture.ends_with("-embedding") {
            return true;
        }
        if self.value("attention.causal") == Some(&Value::Truth(false)) {
            return true;
        }
        match self.value("pooling_type").and_then(count_of) {
            // llama.cpp's numbers: the mean of all tokens, and the first one.
            Some(pooling) => matches!(pooling, 1 | 2),
            None => has("embedding") && !has("completion"),
        }
    }
}

fn count_of(value: &Value) -> Option<u64> {
    match value {
        Value::Count(count) => Some(*count).filter(|count| *count <= MOST_COUNT),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
