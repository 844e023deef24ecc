//! What a load will take: the parts, what the server will report and what its
//! process will really hold, from a model's shape and the way it is loaded.
//!
//! Pure arithmetic, asked for thousands of times while a context is solved
//! for: layers are walked once for each shape, and nothing is allocated for
//! each answer. Sizes are computed
//! as floating point, which neither overflows nor panics on absurd metadata,
//! is exact below 8 PiB, and saturates where it becomes `Bytes`.
//!
//! Buffers are allocations that the model's graph fixes in advance, so each
//! term names what the graph holds. All recorded buffers of both servers were
//! reproduced by replaying their allocator over that graph; the closed forms
//! here are what that replay comes to.

mod compute;
mod layers;
mod process;

#[cfg(test)]
mod tests;

use crate::domain::bytes::Bytes;
use crate::domain::fit::{FlashAttention, LoadSettings, Need, Placement, ServerEra};
use crate::domain::shape::{KvType, PerLayer, Shape, TensorPart};

use compute::Graph;
use layers::Layers;

const MIB: f64 = 1_048_576.0;

/// What is needed to load a model of this shape in this way.
pub fn estimate(shape: &Shape, settings: &LoadSettings) -> Need {
    estimate_with(shape, &Layers::of(shape), settings)
}

/// The same for one shape and any settings: its layers are counted once, and
/// metadata may claim a thousand.
pub fn estimator(mut shape: Shape) -> impl Fn(&LoadSettings) -> Need {
    let layers = Layers::of(&shape);
    for list in [&mut shape.heads, &mut shape.heads_kv, &mut shape.feed_forward] {
        // Of the lists only the largest is asked for from here on.
        *list = PerLayer::Same(list.most());
    }
    move |settings| estimate_with(&shape, &layers, settings)
}

fn estimate_with(shape: &Shape, layers: &Layers, settings: &LoadSettings) -> Need {
    let load = Load::new(shape, settings);
    let graph = Graph::new(shape, &load, layers);
    let weights = Weights::of(shape, &load);
    let kv = layers.cache(shape, &load);
    let state = layers.state(shape) * load.slots;
    let vision = Vision::of(shape);
    let process = process::Process::of(shape, &load, &graph);
    let checkpoint = layers.checkpoint(shape, &load);
    let buffers = graph.device() + graph.host() + graph.output_grown();
    let work = process.work(load.batch, load.cells);
    let overhead = process.fixed() + process::SLACK + work + checkpoint;
    let measured = weights.held()
        + kv.all()
        + state
        + graph.touched(load.prompt(), load.prompt_cells())
        + vision.weights
        + process.fixed()
        + process.work(load.prompt(), load.prompt_cells())
        + layers.first_checkpoint(shape, &load);
    let on_gpu = match load.placement {
        Placement::Gpu => {
            let vision = vision.weights + vision.working;
            weights.on_device + kv.all() + state + graph.device() + vision + process.device()
        }
        Placement::Cpu | Placement::Unified => 0.0,
    };
    Need {
        weights: bytes(weights.held()),
        kv: bytes(kv.all()),
        state: bytes(state),
        compute: bytes(buffers),
        vision: bytes(vision.weights + vision.working),
        overhead: bytes(overhead),
        reported: bytes(reported(&load, &weights, &graph, [kv.reported(&load), state])),
        measured: bytes(measured),
        on_gpu: bytes(on_gpu),
        is_rough: shape.weights.tensors.is_empty(),
        learned: None,
    }
}

/// What the server's list of loaded models will say.
fn reported(load: &Load, weights: &Weights, graph: &Graph, kept: [f64; 2]) -> f64 {
    let [kv, state] = kept;
    match (load.program, load.placement) {
        (Program::LlamaServer, Placement::Cpu) => {
            let parts = [weights.resident, weights.repacked, kv, state];
            let buffers = [graph.output(), graph.device() + graph.host()];
            parts.into_iter().chain(buffers).map(as_logged).sum()
        }
        // With every layer on the device, only the device's side is counted.
        (Program::LlamaServer, Placement::Unified | Placement::Gpu) => {
            [weights.on_device, kv, state, graph.device()].into_iter().map(as_logged).sum()
        }
        // An estimate before the load: the layers, the output matrix and the
        // cache. A token embedding that is no output matrix is left out, and
        // so are all buffers.
        (Program::LlamaRunner, _) => weights.on_device + kv + state,
        // Measured by reserving the graph once.
        (Program::OllamaEngine, _) => weights.held() + kv + state + graph.device(),
    }
}

/// The server adds up what the runner logged: MiB with two decimals.
fn as_logged(size: f64) -> f64 {
    (size / MIB * 100.0).round() / 100.0 * MIB
}

fn bytes(size: f64) -> Bytes {
    // Saturates; never negative, never NaN.
    Bytes::new(size as u64)
}

/// Caches are made of blocks of 256 cells (llama.cpp pads each slot's).
fn padded(cells: f64) -> f64 {
    (cells / 256.0).ceil() * 256.0
}

/// Which program runs the model; they allocate and report differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    LlamaServer,
    /// `ollama runner` over llama.cpp.
    LlamaRunner,
    /// `ollama runner --ollama-engine`: Ollama's own graphs.
    OllamaEngine,
}

/// Families that Ollama 0.24 runs in its own engine (its `fs/ggml` lists them).
const OWN_ENGINE: [&str; 29] = [
    "bert",
    "deepseek2",
    "deepseekocr",
    "gemma3",
    "gemma3n",
    "gemma4",
    "gptoss",
    "gpt-oss",
    "laguna",
    "llama4",
    "mistral3",
    "mllama",
    "nemotron_h",
    "nemotron_h_moe",
    "nemotron_h_omni",
    "nomic-bert",
    "olmo3",
    "qwen25vl",
    "qwen3",
    "qwen3moe",
    "qwen35",
    "qwen35moe",
    "qwen3next",
    "qwen3vl",
    "qwen3vlmoe",
    "glm4moelite",
    "glmocr",
    "lfm2",
    "lfm2moe",
];

/// Families that Ollama's scheduler gives one slot whatever was asked.
const ONE_SLOT: [&str; 11] = [
    "mllama",
    "qwen3vl",
    "qwen3vlmoe",
    "qwen35",
    "qwen35moe",
    "qwen3next",
    "lfm2",
    "lfm2moe",
    "nemotron_h",
    "nemotron_h_moe",
    "nemotron_h_omni",
];

/// A prompt of about a thousand tokens: what is meant by a first prompt.
/// Buffers are touched only as far as the prompt reaches into them.
const FIRST_PROMPT: f64 = 1024.0;

/// The settings as the server will take them.
struct Load {
    program: Program,
    placement: Placement,
    is_mapped: bool,
    has_flash_attention: bool,
    kv_type: KvType,
    slots: f64,
    /// Cells of one slot.
    cells: f64,
    /// Tokens that are computed at once (micro-batch).
    batch: f64,
}

impl Load {
    fn new(shape: &Shape, settings: &LoadSettings) -> Load {
        let is_one_of = |names: &[&str]| names.contains(&shape.architecture.as_str());
        let program = match settings.server {
            ServerEra::LlamaServer => Program::LlamaServer,
            ServerEra::OllamaRunner if is_one_of(&OWN_ENGINE) => Program::OllamaEngine,
            ServerEra::OllamaRunner => Program::LlamaRunner,
        };
        // Ollama cuts the context down to what the model was trained for.
        let most = shape.max_context.filter(|most| *most > 0).unwrap_or(u64::MAX);
        let context = settings.context.clamp(1, most) as f64;
        let has_one_slot = shape.is_embedding || is_one_of(&ONE_SLOT);
        let slots = if has_one_slot { 1.0 } else { f64::from(settings.parallel.max(1)) };
        let batch = match program {
            Program::LlamaServer => batch_of_server(context * slots),
            Program::LlamaRunner | Program::OllamaEngine => 512.0,
        };
        // Ollama's own engine has no flash attention for embedding models.
        let has_flash_attention = settings.flash_attention != FlashAttention::Off
            && !(program == Program::OllamaEngine && shape.is_embedding);
        let is_kv_honoured = match program {
            Program::LlamaServer => has_flash_attention,
            // Recorded: 0.24 stays with f16 unless flash attention was asked for.
            Program::LlamaRunner | Program::OllamaEngine => {
                settings.flash_attention == FlashAttention::On
            }
        };
        Load {
            program,
            placement: settings.placement,
            is_mapped: settings.mapped,
            has_flash_attention,
            kv_type: if is_kv_honoured { settings.kv_type } else { KvType::F16 },
            slots,
            cells: padded(context),
            batch: batch.min(padded(context * slots)),
        }
    }

    fn is_on_cpu(&self) -> bool {
        self.placement == Placement::Cpu
    }

    /// A quantised cache is rotated before it is written (llama.cpp's
    /// attention rotation), which changes what the graph holds.
    fn is_rotated(&self) -> bool {
        self.program == Program::LlamaServer && !matches!(self.kv_type, KvType::F16 | KvType::F32)
    }

    /// Tokens of the first prompt that are computed at once.
    fn prompt(&self) -> f64 {
        self.batch.min(FIRST_PROMPT)
    }

    /// Cells that the first prompt and its answer look at: the next block.
    fn prompt_cells(&self) -> f64 {
        self.cells.min(padded(FIRST_PROMPT + 1.0))
    }

    /// Cells of a sliding window in one slot: the window and one batch, since
    /// a batch is written before what it pushes out may go.
    fn window_cells(&self, window: f64) -> f64 {
        self.cells.min(padded(window + self.batch))
    }
}

/// Ollama chooses the micro-batch by the whole context of all slots.
fn batch_of_server(context: f64) -> f64 {
    match context {
        small if small <= 4096.0 => 512.0,
        middle if middle <= 32_768.0 => 1024.0,
        _ => 2048.0,
    }
}

/// Types whose matrices llama.cpp lays out anew for the processor's own
/// kernels: the recorded ones and their sibling of the same kernels.
fn is_repacked(kind: &str) -> bool {
    matches!(kind, "Q4_0" | "Q4_K" | "IQ4_NL")
}

/// Types of ggml whose blocks hold 256 elements: the K and most I types.
fn has_blocks_of_256(kind: &str) -> bool {
    kind.ends_with("_K") || (kind.starts_with("IQ") && kind != "IQ4_NL") || kind.starts_with("TQ")
}

/// The weights' bytes by where they come to lie.
struct Weights {
    /// As in the file, and what Ollama's own engine loads twice.
    resident: f64,
    /// A second copy, beside mapped weights.
    repacked: f64,
    on_device: f64,
}

impl Weights {
    fn of(shape: &Shape, load: &Load) -> Weights {
        let (mut total, mut embedding, mut repackable) = (0.0, 0.0, 0.0);
        let mut has_output = false;
        for sum in &shape.weights.tensors {
            let size = sum.bytes.get() as f64;
            total += size;
            match sum.part {
                TensorPart::TokenEmbedding => embedding += size,
                TensorPart::Output => has_output = true,
                _ => {}
            }
            let is_matrix =
                matches!(sum.part, TensorPart::Layer | TensorPart::Experts | TensorPart::Output);
            if is_matrix && is_repacked(&sum.kind) {
                repackable += size;
            }
        }
        if shape.weights.tensors.is_empty() {
            total = shape.weights.file.unwrap_or_default().get() as f64;
        }
        // Without an output matrix the token embedding serves as one, on the
        // device; Ollama's own engine then loads it a second time for that.
        let is_doubled = load.program == Program::OllamaEngine && !has_output;
        let aside = if has_output { embedding } else { 0.0 };
        let is_copied = load.is_mapped && load.program == Program::LlamaServer && load.is_on_cpu();
        Weights {
            resident: total + if is_doubled { embedding } else { 0.0 },
            repacked: if is_copied { repackable } else { 0.0 },
            on_device: total - aside,
        }
    }

    fn held(&self) -> f64 {
        self.resident + self.repacked
    }
}

/// The part that sees.
struct Vision {
    /// Of a file of its own; those in the model's file count as its weights.
    weights: f64,
    working: f64,
}

impl Vision {
    fn of(shape: &Shape) -> Vision {
        let own = shape.weights.projector.unwrap_or_default().get() as f64;
        let is_inside = |part: TensorPart| part == TensorPart::Vision;
        let inside: Bytes = (shape.weights.tensors.iter())
            .filter(|sum| is_inside(sum.part))
            .map(|sum| sum.bytes)
            .sum();
        let all = own + inside.get() as f64;
        // Public estimators take two fifths of the projector, and pictures
        // need a quarter of a GiB at the least. Not recorded.
        let working = if all > 0.0 { (all * 0.4).max(256.0 * MIB) } else { 0.0 };
        Vision { weights: own, working }
    }
}
