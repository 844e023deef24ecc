//! A model's shape: the dimensions that its memory follows from, as its
//! metadata give them. What a model's file does not say is `None`, never a
//! guess; the estimate decides what absence means.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;

/// What of a model's metadata an estimate starts from. Names follow GGUF's
/// keys; counts are plain numbers, sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// `llama`, `gemma3`: GGUF's `general.architecture`.
    pub architecture: String,
    /// `block_count`
    pub layers: u64,
    /// `embedding_length`
    pub embedding: u64,
    pub feed_forward: PerLayer,
    pub vocabulary: u64,
    /// `context_length`: the longest it was trained for.
    pub max_context: Option<u64>,
    /// `attention.head_count`
    pub heads: PerLayer,
    /// `attention.head_count_kv`; 0: the layer keeps no keys and values.
    pub heads_kv: PerLayer,
    /// `attention.key_length`; absent: embedding ÷ heads.
    pub key_length: Option<u64>,
    pub value_length: Option<u64>,
    /// Of windowed layers, where they differ (`…_length_swa`).
    pub key_length_window: Option<u64>,
    pub value_length_window: Option<u64>,
    /// `attention.sliding_window`, in tokens.
    pub window: Option<u64>,
    pub window_pattern: Option<WindowPattern>,
    /// `attention.shared_kv_layers`: layers that use another layer's cache.
    pub shared_kv_layers: u64,
    pub latent: Option<Latent>,
    pub recurrent: Option<Recurrent>,
    pub experts: Option<Experts>,
    /// `nextn_predict_layers`: draft heads, not part of the target's cache.
    pub draft_layers: u64,
    /// Makes vectors, not text: it has no causal cache.
    pub is_embedding: bool,
    pub weights: Weights,
}

/// A number that is the same for all layers, or one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PerLayer {
    Same(u64),
    Each(Vec<u64>),
}

impl Default for PerLayer {
    fn default() -> Self {
        PerLayer::Same(0)
    }
}

impl PerLayer {
    /// Of one layer, counted from 0; 0 beyond the list's end.
    pub fn of(&self, layer: u64) -> u64 {
        match self {
            PerLayer::Same(number) => *number,
            PerLayer::Each(numbers) => {
                usize::try_from(layer).ok().and_then(|at| numbers.get(at)).copied().unwrap_or(0)
            }
        }
    }

    pub fn most(&self) -> u64 {
        match self {
            PerLayer::Same(number) => *number,
            PerLayer::Each(numbers) => numbers.iter().copied().max().unwrap_or(0),
        }
    }
}

/// Which layers attend over a window only (`attention.sliding_window_pattern`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowPattern {
    /// Every n-th layer is global, the others are windowed.
    GlobalEvery(u64),
    /// Layer by layer; true: windowed.
    Windowed(Vec<bool>),
}

/// Multi-head latent attention: one compressed vector instead of keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latent {
    /// `attention.kv_lora_rank`
    pub rank: u64,
    /// `rope.dimension_count`
    pub rope: u64,
}

/// Layers with a state of fixed size instead of a cache (`ssm.*`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurrent {
    pub conv_kernel: u64,
    pub inner_size: u64,
    pub state_size: u64,
    pub group_count: u64,
    pub time_step_rank: u64,
    /// Every n-th layer attends, the others are recurrent.
    pub full_attention_interval: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experts {
    pub count: u64,
    pub used: u64,
    /// `expert_feed_forward_length`
    pub feed_forward: Option<u64>,
}

/// Where the weights' bytes lie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// From the tensor list; empty where there was none.
    pub tensors: Vec<TensorSum>,
    /// The file's size, where nothing better is known.
    pub file: Option<Bytes>,
    /// A separate vision file; its bytes are not in `tensors`.
    pub projector: Option<Bytes>,
}

impl Weights {
    pub fn total(&self) -> Bytes {
        self.tensors.iter().map(|sum| sum.bytes).sum()
    }
}

/// All tensors of one part and one type, summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSum {
    pub part: TensorPart,
    /// GGML's name: `Q4_K`, `F16`.
    pub kind: String,
    /// How many tensors.
    pub count: u64,
    pub elements: u64,
    /// Elements × bytes per block ÷ weights per block, tensor by tensor.
    pub bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorPart {
    /// `token_embd`
    TokenEmbedding,
    /// `output.weight`
    Output,
    /// Matrices of `blk.N.`
    Layer,
    /// Expert matrices of `blk.N.`
    Experts,
    /// Vectors of any place: norms, biases.
    Vector,
    /// `v.*`, `mm.*`: the vision part inside the same file.
    Vision,
    Other,
}

/// Type of the elements of the cache.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    F32,
    #[default]
    F16,
    Q8_0,
    Q5_1,
    Q5_0,
    Q4_1,
    Q4_0,
}

impl KvType {
    pub const ALL: [KvType; 7] = [
        KvType::F32,
        KvType::F16,
        KvType::Q8_0,
        KvType::Q5_1,
        KvType::Q5_0,
        KvType::Q4_1,
        KvType::Q4_0,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            KvType::F32 => "f32",
            KvType::F16 => "f16",
            KvType::Q8_0 => "q8_0",
            KvType::Q5_1 => "q5_1",
            KvType::Q5_0 => "q5_0",
            KvType::Q4_1 => "q4_1",
            KvType::Q4_0 => "q4_0",
        }
    }

    /// Bytes of a block of 32 elements (ggml's type table).
    pub const fn bytes_per_32(self) -> u64 {
        match self {
            KvType::F32 => 128,
            KvType::F16 => 64,
            KvType::Q8_0 => 34,
            KvType::Q5_1 => 24,
            KvType::Q5_0 => 22,
            KvType::Q4_1 => 20,
            KvType::Q4_0 => 18,
        }
    }
}

impl std::fmt::Display for KvType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for KvType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        KvType::ALL.into_iter().find(|kind| kind.word() == lower).ok_or_else(|| {
            let all = KvType::ALL.map(KvType::word).join(", ");
            format!("`{text}` is not a type of the cache; accepted are {all}")
        })
    }
}
