//! Which layers keep keys and values, over the whole context or a window,
//! and which keep a state of fixed size instead.

use crate::domain::shape::{KvType, PerLayer, Shape, WindowPattern};

use super::{Load, Program};

/// No model has so many layers; metadata that claim more are not walked.
const MOST_LAYERS: u64 = 4096;

/// Layers by kind, their heads of keys and values summed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layers {
    pub global: Group,
    pub windowed: Group,
    pub recurrent: f64,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Group {
    pub count: f64,
    pub heads: f64,
}

impl Group {
    fn add(&mut self, count: f64, heads: u64) {
        self.count += count;
        self.heads += count * heads as f64;
    }
}

/// Bytes of the cache, all slots.
pub(super) struct Cache {
    global: f64,
    windowed: f64,
}

impl Cache {
    pub(super) fn all(&self) -> f64 {
        self.global + self.windowed
    }

    /// What the server counts of it, which is not always all.
    pub(super) fn reported(&self, load: &Load) -> f64 {
        match load.program {
            // Both caches have the same name in `llama-server`'s log, and the
            // server keeps the last one only: that of the windowed layers.
            Program::LlamaServer if self.windowed > 0.0 => self.windowed,
            Program::LlamaServer | Program::OllamaEngine => self.all(),
            // Its estimate takes whole and half bytes for an element, without
            // the scales of the blocks.
            Program::LlamaRunner => {
                let element = match load.kv_type {
                    KvType::Q8_0 => 1.0,
                    KvType::Q4_0 => 0.5,
                    other => row(1.0, other),
                };
                self.all() * element / row(1.0, load.kv_type)
            }
        }
    }
}

impl Layers {
    pub(super) fn of(shape: &Shape) -> Layers {
        let mut layers = Layers::default();
        // Draft heads come last and have no part in the cache, and layers
        // before them may use the cache of others.
        let own = shape.layers.saturating_sub(shape.draft_layers);
        let caching = own.saturating_sub(shape.shared_kv_layers);
        let windowed = Windowed::of(shape);
        let is_uniform = shape.recurrent.is_none() && matches!(windowed, Windowed::None);
        if let (PerLayer::Same(heads), true) = (&shape.heads_kv, is_uniform) {
            layers.global.add(caching as f64, *heads);
            return layers;
        }
        for layer in 0..own.min(MOST_LAYERS) {
            let heads = shape.heads_kv.of(layer);
            if is_recurrent(shape, layer) {
                layers.recurrent += 1.0;
            }
            if !attends(shape, layer) || heads == 0 || layer >= caching {
                continue;
            }
            let group = if windowed.has(layer) { &mut layers.windowed } else { &mut layers.global };
            group.add(1.0, heads);
        }
        layers
    }

    pub(super) fn cache(&self, shape: &Shape, load: &Load) -> Cache {
        if shape.is_embedding {
            return Cache { global: 0.0, windowed: 0.0 };
        }
        let window_cells = load.window_cells(window(shape));
        Cache {
            global: load.slots * load.cells * self.global_cell(shape, load.kv_type),
            windowed: load.slots * window_cells * self.window_cell(shape, load.kv_type),
        }
    }

    /// Bytes of one cell of all layers that attend to the whole context.
    fn global_cell(&self, shape: &Shape, kind: KvType) -> f64 {
        match shape.latent {
            // One compressed vector for all heads; values are read out of it.
            Some(latent) => self.global.count * row(latent_length(latent), kind),
            None => {
                let lengths = key_length(shape) + value_length(shape);
                self.global.heads * row(lengths, kind)
            }
        }
    }

    fn window_cell(&self, shape: &Shape, kind: KvType) -> f64 {
        let keys = shape.key_length_window.map_or(key_length(shape), |length| length as f64);
        let values = shape.value_length_window.map_or(value_length(shape), |length| length as f64);
        self.windowed.heads * row(keys + values, kind)
    }

    /// Recurrent state of one slot: the state itself and what the convolution
    /// still needs of the last tokens, as 32 bit floats.
    pub(super) fn state(&self, shape: &Shape) -> f64 {
        let Some(recurrent) = shape.recurrent else { return 0.0 };
        let inner = recurrent.inner_size as f64;
        let state = recurrent.state_size as f64;
        let groups = recurrent.group_count as f64;
        let kept = recurrent.conv_kernel.saturating_sub(1) as f64;
        self.recurrent * 4.0 * (state * inner + kept * (inner + 2.0 * groups * state))
    }

    /// `llama-server` keeps copies of what cannot be cut back to an earlier
    /// token, windows and states. One of them at its largest.
    pub(super) fn checkpoint(&self, shape: &Shape, load: &Load) -> f64 {
        self.checkpoint_of(shape, load, load.window_cells(window(shape)))
    }

    /// The one that a first prompt leaves.
    pub(super) fn first_checkpoint(&self, shape: &Shape, load: &Load) -> f64 {
        self.checkpoint_of(shape, load, load.window_cells(window(shape)).min(super::FIRST_PROMPT))
    }

    fn checkpoint_of(&self, shape: &Shape, load: &Load, cells: f64) -> f64 {
        if load.program != Program::LlamaServer || shape.is_embedding {
            return 0.0;
        }
        cells * self.window_cell(shape, load.kv_type) + self.state(shape)
    }
}

/// Bytes of so many elements of the cache.
fn row(elements: f64, kind: KvType) -> f64 {
    elements * kind.bytes_per_32() as f64 / 32.0
}

fn latent_length(latent: crate::domain::shape::Latent) -> f64 {
    latent.rank as f64 + latent.rope as f64
}

pub(super) fn window(shape: &Shape) -> f64 {
    shape.window.unwrap_or(0) as f64
}

/// Of one head's queries and keys. Absent: the embedding shared out among the
/// heads. With latent attention, queries are as long as the compressed vector.
pub(super) fn key_length(shape: &Shape) -> f64 {
    match (shape.latent, shape.key_length) {
        (Some(latent), _) => latent_length(latent),
        (None, Some(length)) => length as f64,
        (None, None) => head_length(shape),
    }
}

pub(super) fn value_length(shape: &Shape) -> f64 {
    shape.value_length.map_or_else(|| head_length(shape), |length| length as f64)
}

fn head_length(shape: &Shape) -> f64 {
    shape.embedding.checked_div(shape.heads.most()).unwrap_or(0) as f64
}

fn attends(shape: &Shape, layer: u64) -> bool {
    match shape.recurrent.and_then(|recurrent| recurrent.full_attention_interval) {
        Some(interval) if interval > 0 => (layer + 1).is_multiple_of(interval),
        _ => true,
    }
}

/// By interval where one is given; else those without heads. Where every layer
/// has heads as well, attention and state stand side by side in each.
fn is_recurrent(shape: &Shape, layer: u64) -> bool {
    let Some(recurrent) = shape.recurrent else { return false };
    match (recurrent.full_attention_interval, &shape.heads_kv) {
        (Some(interval), _) if interval > 0 => !(layer + 1).is_multiple_of(interval),
        (_, PerLayer::Each(_)) => shape.heads_kv.of(layer) == 0,
        (_, PerLayer::Same(_)) => true,
    }
}

/// Which layers look at a window only.
#[derive(Clone, Copy)]
enum Windowed<'a> {
    None,
    AllButEvery(u64),
    Listed(&'a [bool]),
}

impl Windowed<'_> {
    /// As the metadata say, else by family. A family that is not known to use
    /// its window attends to everything, as llama.cpp has it and as is safe.
    fn of(shape: &Shape) -> Windowed<'_> {
        let has_window = shape.window.is_some_and(|window| window > 0);
        if !has_window || shape.is_embedding || shape.latent.is_some() {
            return Windowed::None;
        }
        match &shape.window_pattern {
            Some(WindowPattern::GlobalEvery(every)) => return Windowed::AllButEvery(*every),
            Some(WindowPattern::Windowed(layers)) => return Windowed::Listed(layers),
            None => {}
        }
        match shape.architecture.as_str() {
            "gemma2" | "gpt-oss" | "gptoss" => Windowed::AllButEvery(2),
            "cohere2" | "exaone4" | "olmo3" => Windowed::AllButEvery(4),
            "gemma3n" => Windowed::AllButEvery(5),
            "gemma3" => Windowed::AllButEvery(6),
            _ => Windowed::None,
        }
    }

    /// The last of each group of n is global; 0: none is (llama.cpp's reading).
    fn has(self, layer: u64) -> bool {
        match self {
            Windowed::None => false,
            Windowed::AllButEvery(0) => true,
            Windowed::AllButEvery(every) => layer % every < every - 1,
            Windowed::Listed(layers) => {
                usize::try_from(layer).ok().and_then(|at| layers.get(at)).copied().unwrap_or(false)
            }
        }
    }
}
