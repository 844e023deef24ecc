//! Buffers of the graph: what a batch of tokens needs on its way through the
//! layers, as ggml's allocator lays it out.
//!
//! The buffer is as large as its worst moment. Two moments matter: attention
//! and the feed-forward part. In floats for each token, n the embedding, q all
//! query heads, f the feed-forward length:
//!
//! - feed-forward: its gate, its rising part and their product (3 f), what is
//!   added to afterwards and its norm (2 n), and the place of the attention's
//!   result, which nothing of that size takes again (q);
//! - attention: input and norm (2 n), queries before and after their rotation
//!   (2 q), keys and values.

use crate::domain::shape::{KvType, Shape, TensorPart};

use super::layers::{self, Layers};
use super::{Load, Program, has_blocks_of_256};

const FLOAT: f64 = 4.0;
const HALF: f64 = 2.0;

/// What of a shape its graph follows from, in floats per token.
pub(super) struct Graph {
    program: Program,
    is_on_cpu: bool,
    is_embedding: bool,
    has_flash_attention: bool,
    is_rotated: bool,
    slots: f64,
    batch: f64,
    cells: f64,
    /// Cells of the second cache, of windowed layers; 0: there is none.
    window_cells: f64,
    vocabulary: f64,
    embedding: f64,
    heads: f64,
    queries: f64,
    /// Keys and values of one layer.
    keys_values: f64,
    values: f64,
    feed_forward: FeedForward,
}

#[derive(Debug, Clone, Copy)]
struct FeedForward {
    /// What it holds at its worst.
    held: f64,
    /// Its longest row that is multiplied with weights.
    row: f64,
    is_gated: bool,
}

impl Graph {
    pub(super) fn new(shape: &Shape, load: &Load, layers: &Layers) -> Graph {
        let heads = shape.heads.most() as f64;
        let heads_kv = match shape.latent {
            Some(_) => 1.0,
            None => shape.heads_kv.most() as f64,
        };
        // Without a cache, the batch's own keys and values take its place, and
        // there are as many of them as heads where nothing else is said.
        let heads_kv = if shape.is_embedding && heads_kv == 0.0 { heads } else { heads_kv };
        let cells = if shape.is_embedding { load.batch } else { load.cells };
        let has_window = layers.windowed.count > 0.0;
        let window_cells = if has_window { load.window_cells(layers::window(shape)) } else { 0.0 };
        let values = heads_kv * layers::value_length(shape);
        Graph {
            program: load.program,
            is_on_cpu: load.is_on_cpu(),
            is_embedding: shape.is_embedding,
            has_flash_attention: load.has_flash_attention,
            is_rotated: load.is_rotated(),
            slots: load.slots,
            batch: load.batch,
            cells,
            window_cells,
            vocabulary: shape.vocabulary as f64,
            embedding: shape.embedding as f64,
            heads,
            queries: heads * layers::key_length(shape),
            keys_values: heads_kv * layers::key_length(shape) + values,
            values,
            feed_forward: FeedForward::of(shape),
        }
    }

    /// What lies where the layers are computed.
    pub(super) fn device(&self) -> f64 {
        let all = self.batch_of(self.batch, self.cells, self.window_cells) - self.reused();
        match self.program {
            Program::LlamaServer if self.is_on_cpu => all + self.inputs(self.batch),
            // On a device the layers have copies of the masks; the rest of
            // the input stays on the host.
            Program::LlamaServer => all,
            Program::LlamaRunner => all.max(self.all_logits()),
            Program::OllamaEngine => all + FLOAT * self.batch * self.embedding,
        }
    }

    /// What the processor holds beside a device: the masks, and embeddings as
    /// an input and as looked up.
    pub(super) fn host(&self) -> f64 {
        if self.is_on_cpu || self.program != Program::LlamaServer {
            return 0.0;
        }
        let looked_up = FLOAT * self.batch * self.embedding;
        self.inputs(self.batch) + looked_up + self.masks(self.batch, self.cells, self.window_cells)
    }

    /// Results: a row of logits for each slot, a vector where vectors are made.
    pub(super) fn output(&self) -> f64 {
        let row = self.vocabulary + if self.is_embedding { self.embedding } else { 0.0 };
        FLOAT * self.slots * row
    }

    /// The same once in use: for embeddings every token of a batch has its
    /// row, logits included (`llama-server` asks for all of them).
    pub(super) fn output_grown(&self) -> f64 {
        self.output_after(self.batch)
    }

    fn output_after(&self, tokens: f64) -> f64 {
        match self.program {
            Program::LlamaServer if self.is_embedding => {
                self.output().max(FLOAT * tokens * (self.vocabulary + self.embedding))
            }
            Program::OllamaEngine => 0.0,
            Program::LlamaServer | Program::LlamaRunner => self.output(),
        }
    }

    /// What of all these buffers is touched when so many tokens are computed
    /// at once and look at so many cells. The embeddings' input is not: it is
    /// there for models that are given vectors. Logits of other tokens than
    /// the last are reserved, never computed.
    pub(super) fn touched(&self, tokens: f64, cells: f64) -> f64 {
        let cells = if self.is_embedding { tokens } else { cells };
        let window_cells = self.window_cells.min(cells);
        let graph = match self.program {
            Program::LlamaServer | Program::LlamaRunner => {
                self.batch_of(tokens, cells, window_cells)
            }
            Program::OllamaEngine => {
                self.batch_of(tokens, cells, window_cells) + FLOAT * tokens * self.embedding
            }
        };
        graph + self.output_after(tokens)
    }

    /// The widest row times the batch, as the processor converts it before it
    /// multiplies (see `work`).
    pub(super) fn longest_row(&self) -> f64 {
        self.feed_forward.row.max(self.queries).max(self.embedding)
    }

    /// Without flash attention, products of queries and keys are converted to
    /// half floats as they meet the cached values.
    pub(super) fn converted_scores(&self, tokens: f64, cells: f64) -> f64 {
        if self.has_flash_attention || self.is_embedding {
            return 0.0;
        }
        HALF * self.heads * tokens * cells
    }

    /// Ollama's own engine, in Go, makes its masks as floats for the whole
    /// batch and context before it hands them on; the collector lets the heap
    /// grow to twice what is live.
    pub(super) fn go_masks(&self) -> f64 {
        if self.program != Program::OllamaEngine || self.is_embedding {
            return 0.0;
        }
        2.0 * FLOAT * self.batch * (self.cells + self.window_cells)
    }

    /// A rotated query takes a place of its own. Where it is exactly as long
    /// as an embedding, and the feed-forward part is the worse one, that place
    /// serves again. It is touched all the same.
    fn reused(&self) -> f64 {
        let (attention, feed_forward) =
            (self.attention(self.batch, self.cells), self.feed_forward(self.batch));
        let size = FLOAT * self.batch * self.queries;
        let is_reused = self.is_rotated
            && self.feed_forward.is_gated
            && self.queries == self.embedding
            && feed_forward - size >= attention;
        if is_reused { size } else { 0.0 }
    }

    /// The masks, and the worse of attention and feed-forward part.
    fn batch_of(&self, tokens: f64, cells: f64, window_cells: f64) -> f64 {
        let attention = self.attention(tokens, cells.max(window_cells));
        let feed_forward = self.feed_forward(tokens);
        let masks = self.masks(tokens, cells, window_cells);
        if self.program == Program::LlamaRunner && self.has_flash_attention {
            // The masks come as floats and are cast to halves on their first
            // use; later layers take the place of the floats.
            let floats = masks / 3.0 * 2.0;
            let held = FLOAT * tokens * self.feed_forward.held;
            let rest = feed_forward - held;
            return (masks + attention).max(masks - floats + rest + held.max(floats));
        }
        masks + attention.max(feed_forward).max(FLOAT * self.slots * self.vocabulary)
    }

    fn attention(&self, tokens: f64, cells: f64) -> f64 {
        let (n, q) = (self.embedding, self.queries);
        let floats = if self.is_embedding && self.has_flash_attention {
            // Without a cache keys and values are the batch's own, cast to
            // halves; there is no norm before attention.
            n + 2.0 * q + 1.5 * self.keys_values
        } else if self.has_flash_attention {
            2.0 * n + 2.0 * q + self.keys_values
        } else {
            // Each head's product of each token with each cell; keys and
            // values lie where the norm was.
            2.0 * n + 2.0 * q + self.heads * cells
        };
        FLOAT * tokens * floats
    }

    fn feed_forward(&self, tokens: f64) -> f64 {
        let (n, q) = (self.embedding, self.queries);
        let attended = if self.feed_forward.is_gated { q } else { 0.0 };
        FLOAT * tokens * (self.feed_forward.held + 2.0 * n + attended)
    }

    /// One for each cache: how each token of the batch sees each cell of its
    /// slot. Halves for flash attention, else floats; llama.cpp of the older
    /// server casts the one to the other and holds both.
    fn masks(&self, tokens: f64, cells: f64, window_cells: f64) -> f64 {
        let each = match (self.program, self.has_flash_attention) {
            (Program::LlamaRunner, true) => FLOAT + HALF,
            (_, true) => HALF,
            // Ollama's engine has no mask for embeddings.
            (Program::OllamaEngine, false) if self.is_embedding => 0.0,
            (_, false) => FLOAT,
        };
        each * tokens * (cells + window_cells)
    }

    /// Held all the time: embeddings as an alternative input, tokens and
    /// positions (32 bits), for each cache where keys and values go (64 bits;
    /// for each value where they are stored in columns, which flash attention
    /// does without), and the matrices that rotate a quantised cache.
    fn inputs(&self, tokens: f64) -> f64 {
        let caches = if self.window_cells > 0.0 { 2.0 } else { 1.0 };
        let columns = if self.has_flash_attention { 1.0 } else { self.values };
        let places = if self.is_embedding { 0.0 } else { caches * 8.0 * (1.0 + columns) };
        let head = if self.heads > 0.0 { self.queries / self.heads } else { 0.0 };
        let rotation = if self.is_rotated { 2.0 * FLOAT * head * head } else { 0.0 };
        tokens * (FLOAT * self.embedding + 8.0 + places) + rotation
    }

    /// Older llama.cpp reserves the logits of every token of a batch, beside
    /// the result and its norm. What lies in between depends on how the holes
    /// of the last layers happen to fall, and is left out.
    fn all_logits(&self) -> f64 {
        FLOAT * self.batch * (self.vocabulary + 2.0 * self.embedding)
    }
}

impl FeedForward {
    fn of(shape: &Shape) -> FeedForward {
        let length = shape.feed_forward.most() as f64;
        let is_gated = is_gated(shape);
        // Without a gate the activation is computed in place.
        let dense = if is_gated { 3.0 * length } else { length };
        let Some(experts) = shape.experts.filter(|experts| experts.used > 0) else {
            return FeedForward { held: dense, row: length, is_gated };
        };
        let used = experts.used as f64;
        let own = experts.feed_forward.map_or(length, |own| own as f64);
        // All chosen experts of a token run together: gate, rising part and
        // product; then the product beside each one's result, until they are
        // summed. The router's logits and probabilities stand beside.
        let results = used * (own + shape.embedding as f64);
        let routed = 2.0 * experts.count as f64 + (3.0 * used * own).max(results);
        // Some of the layers may have no experts.
        let dense = if experts.feed_forward.is_some() { dense } else { 0.0 };
        let row = (used * own).max(if dense > 0.0 { length } else { 0.0 });
        FeedForward { held: routed.max(dense), row, is_gated }
    }
}

/// Three matrices of embedding by feed-forward length in a layer, or two: the
/// metadata do not say, the number of elements does. Where there are no
/// tensors the larger is taken.
fn is_gated(shape: &Shape) -> bool {
    let elements: f64 = (shape.weights.tensors.iter())
        .filter(|sum| sum.part == TensorPart::Layer)
        .map(|sum| sum.elements as f64)
        .sum();
    let length = shape.feed_forward.most() as f64;
    let matrix = shape.layers as f64 * shape.embedding as f64 * length;
    if shape.experts.is_some() || elements == 0.0 || matrix == 0.0 {
        return true;
    }
    let heads = shape.heads.most() as f64;
    let heads_kv = match shape.heads_kv.most() {
        0 => heads,
        some => some as f64,
    };
    let (keys, values) = (layers::key_length(shape), layers::value_length(shape));
    let attention = heads * (keys + values) + heads_kv * (keys + values);
    let attention = shape.layers as f64 * shape.embedding as f64 * attention;
    elements - attention > 2.5 * matrix
}

/// Bytes for each element of a row that meets weights of this type: floats
/// are converted to what the processor's kernel multiplies them with.
pub(super) fn converted(kind: &str) -> f64 {
    match kind {
        "F32" => 0.0,
        "F16" | "BF16" => HALF,
        // Q8_K: 292 bytes for 256.
        kind if has_blocks_of_256(kind) => 292.0 / 256.0,
        // Q8_0: 34 bytes for 32.
        _ => KvType::Q8_0.bytes_per_32() as f64 / 32.0,
    }
}
