//! Dimensions of the models that the simulated Ollama has, as their real files
//! have them, and the tensors that follow from them.

use crate::domain::shape::{PerLayer, Shape, Weights, WindowPattern};
use crate::domain::tensors::{TensorType, Tensors};

/// As published with each model's weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dimensions {
    layers: u64,
    embedding: u64,
    feed_forward: u64,
    vocabulary: u64,
    heads: u64,
    heads_kv: u64,
    head_length: u64,
    /// The token embedding is the output matrix as well.
    is_tied: bool,
    /// Tokens, and which layers are global: every n-th.
    window: Option<(u64, u64)>,
    is_embedding: bool,
}

pub(super) const LLAMA_3B: Dimensions = Dimensions {
    layers: 28,
    embedding: 3072,
    feed_forward: 8192,
    vocabulary: 128_256,
    heads: 24,
    heads_kv: 8,
    head_length: 128,
    is_tied: true,
    window: None,
    is_embedding: false,
};

pub(super) const QWEN_3B: Dimensions = Dimensions {
    layers: 36,
    embedding: 2048,
    feed_forward: 11_008,
    vocabulary: 151_936,
    heads: 16,
    heads_kv: 2,
    ..LLAMA_3B
};

pub(super) const QWEN_7B: Dimensions = Dimensions {
    layers: 28,
    embedding: 3584,
    feed_forward: 18_944,
    vocabulary: 152_064,
    heads: 28,
    heads_kv: 4,
    is_tied: false,
    ..LLAMA_3B
};

pub(super) const PHI_MINI: Dimensions = Dimensions {
    layers: 32,
    embedding: 3072,
    feed_forward: 8192,
    vocabulary: 32_064,
    heads: 32,
    heads_kv: 32,
    head_length: 96,
    is_tied: false,
    ..LLAMA_3B
};

pub(super) const GEMMA_1B: Dimensions = Dimensions {
    layers: 26,
    embedding: 1152,
    feed_forward: 6912,
    vocabulary: 262_144,
    heads: 4,
    heads_kv: 1,
    head_length: 256,
    window: Some((512, 6)),
    ..LLAMA_3B
};

pub(super) const NOMIC_TEXT: Dimensions = Dimensions {
    layers: 12,
    embedding: 768,
    feed_forward: 3072,
    vocabulary: 30_522,
    heads: 12,
    heads_kv: 12,
    head_length: 64,
    is_embedding: true,
    ..LLAMA_3B
};

impl Dimensions {
    pub(super) fn shape(&self, family: &str, quantization: &str, max_context: u64) -> Shape {
        Shape {
            architecture: family.to_owned(),
            layers: self.layers,
            embedding: self.embedding,
            feed_forward: PerLayer::Same(self.feed_forward),
            vocabulary: self.vocabulary,
            max_context: Some(max_context),
            heads: PerLayer::Same(self.heads),
            heads_kv: PerLayer::Same(self.heads_kv),
            key_length: Some(self.head_length),
            value_length: Some(self.head_length),
            window: self.window.map(|(tokens, _)| tokens),
            window_pattern: self.window.map(|(_, every)| WindowPattern::GlobalEvery(every)),
            is_embedding: self.is_embedding,
            weights: Weights {
                tensors: self.tensors(Mixture::of(quantization)).into_sums(),
                file: None,
                projector: None,
            },
            ..Shape::default()
        }
    }

    /// Matrices that some families store as one are apart here; their bytes
    /// are the same.
    fn tensors(&self, mixture: Mixture) -> Tensors {
        let mut tensors = Tensors::default();
        let mut add = |name: &str, kind: &str, dimensions: &[u64]| {
            tensors.add(name, TensorType::named(kind), dimensions);
        };
        let (width, wide) = (self.embedding, self.feed_forward);
        let (all, kept) = (self.heads * self.head_length, self.heads_kv * self.head_length);
        for layer in 0..self.layers {
            let finer = mixture.finer_in(layer, self.layers);
            for (name, kind, row, rows) in [
                ("attn_q", mixture.most, width, all),
                ("attn_k", mixture.most, width, kept),
                ("attn_v", finer, width, kept),
                ("attn_output", mixture.most, all, width),
                ("ffn_gate", mixture.most, width, wide),
                ("ffn_up", mixture.most, width, wide),
                ("ffn_down", finer, wide, width),
            ] {
                add(&format!("blk.{layer}.{name}.weight"), fitting(kind, row), &[row, rows]);
            }
            for name in ["attn_norm", "ffn_norm"] {
                add(&format!("blk.{layer}.{name}.weight"), "F32", &[width]);
            }
        }
        let tokens = [width, self.vocabulary];
        let kind = if self.is_tied { mixture.output } else { mixture.most };
        add("token_embd.weight", fitting(kind, width), &tokens);
        if !self.is_tied {
            add("output.weight", fitting(mixture.output, width), &tokens);
        }
        add("output_norm.weight", "F32", &[width]);
        tensors
    }
}

/// Which types llama.cpp gives the matrices of a file.
#[derive(Debug, Clone, Copy)]
struct Mixture {
    most: &'static str,
    /// Of values and of `ffn_down`, in some of the layers.
    finer: &'static str,
    output: &'static str,
}

impl Mixture {
    fn of(quantization: &str) -> Self {
        match quantization {
            "Q4_K_M" => Mixture { most: "Q4_K", finer: "Q6_K", output: "Q6_K" },
            "Q4_0" => Mixture { most: "Q4_0", finer: "Q4_0", output: "Q6_K" },
            _ => Mixture { most: "F16", finer: "F16", output: "F16" },
        }
    }

    /// The first and the last eighth of the layers, and each third between.
    fn finer_in(self, layer: u64, layers: u64) -> &'static str {
        let eighth = layers / 8;
        let is_finer =
            layer < eighth || layer >= 7 * layers / 8 || layer.saturating_sub(eighth) % 3 == 2;
        if is_finer { self.finer } else { self.most }
    }
}

/// Rows that are no whole blocks of 256 get a type with smaller blocks.
fn fitting(kind: &'static str, row: u64) -> &'static str {
    match kind {
        "Q4_K" if !row.is_multiple_of(256) => "Q5_0",
        "Q6_K" if !row.is_multiple_of(256) => "Q8_0",
        _ => kind,
    }
}
