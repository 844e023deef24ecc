//! What a runner's process holds beside its buffers: program and libraries,
//! the vocabulary, what it notes of each cell, and room to work in.
//!
//! The figures for one server were read off all of its recorded runs together
//! and hold for each of them; none belongs to one model.

use crate::domain::fit::Placement;
use crate::domain::shape::{Shape, TensorPart};

use super::compute::{self, Graph};
use super::{Load, MIB, Program, is_repacked};

/// Pages of the program and its libraries, the same in every recorded run.
const SERVER_FILES: f64 = 14.0 * MIB;
const RUNNER_FILES: f64 = 24.5 * MIB;
/// Heap and stacks of a process without a model to speak of.
const SERVER_HEAP: f64 = 6.0 * MIB;
/// Go's own heap and its threads on top.
const RUNNER_HEAP: f64 = 12.5 * MIB;
/// What recorded runs held at most beyond these figures: heaps keep what was
/// freed, library pages come and go. For the bound only, not for what is
/// expected.
pub(super) const SLACK: f64 = 6.0 * MIB;
/// A token's text stands in three tables (by number, by text, as printed) of
/// 32 byte strings with their hash nodes, and in the merges.
const TOKEN: f64 = 180.0;
/// The sampler's candidate: number, logit, probability.
const CANDIDATE: f64 = 12.0;
/// Of each cell: position, shift, two coordinates and a set of 256 sequences.
const CELL: f64 = 48.0;
/// What the driver keeps on a card of its own: Ollama holds back this much of
/// each. Not recorded here.
const DEVICE: f64 = 457.0 * MIB;
/// On unified memory. Not recorded here; public figures are 50 to 150 MiB.
const UNIFIED: f64 = 100.0 * MIB;

pub(super) struct Process {
    fixed: f64,
    device: f64,
    /// Bytes for each token and each cell of the work buffer.
    row: f64,
    scores: f64,
    is_on_cpu: bool,
}

impl Process {
    pub(super) fn of(shape: &Shape, load: &Load, graph: &Graph) -> Process {
        let base = match load.program {
            Program::LlamaServer => SERVER_FILES + SERVER_HEAP,
            Program::LlamaRunner | Program::OllamaEngine => RUNNER_FILES + RUNNER_HEAP,
        };
        let device = match load.placement {
            Placement::Cpu => 0.0,
            Placement::Unified => UNIFIED,
            Placement::Gpu => DEVICE,
        };
        let vocabulary = shape.vocabulary as f64 * (TOKEN + CANDIDATE * load.slots);
        let cells = if shape.is_embedding { 0.0 } else { CELL * load.slots * load.cells };
        let fixed = base + device + vocabulary + cells + reading(shape, load) + graph.go_masks();
        Process {
            fixed,
            device,
            row: graph.longest_row() * compute::converted(main_type(shape)),
            scores: graph.converted_scores(1.0, 1.0),
            is_on_cpu: load.is_on_cpu(),
        }
    }

    pub(super) fn fixed(&self) -> f64 {
        self.fixed
    }

    /// Of that, what lies on a card.
    pub(super) fn device(&self) -> f64 {
        self.device
    }

    /// Where the processor converts what it multiplies weights with: as large
    /// as the largest such product of a batch.
    pub(super) fn work(&self, tokens: f64, cells: f64) -> f64 {
        if !self.is_on_cpu {
            return 0.0;
        }
        (tokens * self.row).max(self.scores * tokens * cells)
    }
}

/// A tensor that is laid out anew is read through the heap first, which keeps
/// the room of the largest one: the output matrix or a feed-forward matrix.
fn reading(shape: &Shape, load: &Load) -> f64 {
    if load.is_mapped || load.program != Program::LlamaServer || !load.is_on_cpu() {
        return 0.0;
    }
    let matrix = shape.embedding as f64 * shape.feed_forward.most() as f64;
    (shape.weights.tensors.iter())
        .filter(|sum| is_repacked(&sum.kind))
        .map(|sum| {
            let size = sum.bytes.get() as f64;
            match sum.part {
                TensorPart::Output => size,
                TensorPart::Layer if sum.elements > 0 => {
                    (matrix * size / sum.elements as f64).min(size)
                }
                _ => 0.0,
            }
        })
        .fold(0.0, f64::max)
}

/// The type most of the layers' bytes have.
fn main_type(shape: &Shape) -> &str {
    let is_matrix = |part| matches!(part, TensorPart::Layer | TensorPart::Experts);
    (shape.weights.tensors.iter())
        .filter(|sum| is_matrix(sum.part))
        .max_by_key(|sum| sum.bytes)
        .map_or("F16", |sum| sum.kind.as_str())
}
