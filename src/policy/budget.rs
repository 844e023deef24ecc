//! What a machine has free to give to a model: per kind of machine, never
//! "total", never one figure for all.

use crate::domain::sample::{AvailableSource, Gpu, Memory, MemoryParts};
use crate::domain::{Budget, Bytes, Need, Percent, Sample};

use super::limits::Limits;

/// What the system needs to go on, in percent of all and at least. Earlyoom
/// and systemd-oomd begin to kill about there, at a tenth.
const RESERVE_PERCENT: f64 = 8.0;
const LEAST_RESERVE: Bytes = Bytes::gib(1);

/// In percent of a small machine, or of a container's small limit: there a
/// whole GiB would be a large part of all there is.
const LEAST_RESERVE_PERCENT: f64 = 25.0;

/// Kept free on a card, and of Apple's working set: as llama.cpp does.
const CARD_RESERVE: Bytes = Bytes::gib(1);

/// A Mac keeps so much for itself, as llama.cpp's own app for it reckons.
const MAC_SYSTEM: Bytes = Bytes::gib(4);

/// What of the machine's state the budget depends on beside its sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    /// By models of this machine, in system memory.
    pub models: Bytes,
    /// Promised to loads that are under way, and not yet taken.
    pub in_flight: Bytes,
}

/// What is free to give now; `None`: memory cannot be read.
pub fn budget(sample: &Sample, limits: &Limits, held: Held) -> Option<Budget> {
    let memory = sample.memory.as_ref().ok()?;
    let gpus: &[Gpu] = sample.gpus.as_deref().unwrap_or_default();
    let reserve = reserve(memory.total, limits);
    let mut budget = Budget {
        available: memory.available,
        reserve,
        in_flight: held.in_flight,
        vram: Bytes::ZERO,
        ever: memory.total.saturating_sub(reserve),
        source: format!("{} less {reserve} for the system", name_of(memory.available_source)),
    };
    if let MemoryParts::Mac { .. } = memory.parts {
        cap_by_working_set(&mut budget, memory, gpus, held);
    }
    if let Some(most) = limits.model_budget {
        cap(&mut budget, most.saturating_sub(held.models), || {
            format!("the models' budget of {most}, {} of it held", held.models)
        });
        budget.ever = budget.ever.min(most);
    }
    add_cards(&mut budget, gpus);
    Some(budget)
}

/// What is kept for the system.
fn reserve(total: Bytes, limits: &Limits) -> Bytes {
    let least = LEAST_RESERVE.min(total.at(Percent::new(LEAST_RESERVE_PERCENT)));
    let usual = total.at(Percent::new(RESERVE_PERCENT)).max(least);
    // What fits must not be an emergency the moment it is loaded.
    let of_emergency = limits.used.map(|used| total.saturating_sub(total.at(used.emergency)));
    [limits.system_reserve, of_emergency].into_iter().flatten().fold(usual, Bytes::max)
}

const fn name_of(source: AvailableSource) -> &'static str {
    match source {
        AvailableSource::Kernel => "MemAvailable",
        AvailableSource::Fallback => "free memory and cache",
        AvailableSource::MachStatistics => "free, file-backed and purgeable memory",
        AvailableSource::Cgroup => "what the container's limit leaves",
        AvailableSource::Simulated => "simulated available memory",
    }
}

/// No more may be given than `most`, and why.
fn cap(budget: &mut Budget, most: Bytes, why: impl Fn() -> String) {
    if budget.available.saturating_sub(budget.reserve) > most {
        budget.available = most + budget.reserve;
        budget.source = why();
    }
}

/// The graphics part of a Mac may have so much of its memory and no more.
fn cap_by_working_set(budget: &mut Budget, memory: &Memory, gpus: &[Gpu], held: Held) {
    budget.ever = budget.ever.min(memory.total.saturating_sub(MAC_SYSTEM));
    let Some(gpu) = gpus.iter().find(|gpu| gpu.unified) else { return };
    let most = gpu.total.saturating_sub(CARD_RESERVE);
    budget.ever = budget.ever.min(most);
    let taken = gpu.used.unwrap_or(held.models);
    cap(budget, most.saturating_sub(taken), || {
        format!("the working set of {} less {CARD_RESERVE}, {taken} of it held", gpu.total)
    });
}

/// Cards with a memory of their own add to what there is. One whose use cannot
/// be read adds nothing.
fn add_cards(budget: &mut Budget, gpus: &[Gpu]) {
    for gpu in gpus.iter().filter(|gpu| !gpu.unified) {
        let Some(used) = gpu.used else { continue };
        let free = gpu.total.saturating_sub(used);
        budget.available += free;
        budget.reserve += CARD_RESERVE.min(free);
        budget.vram += free.saturating_sub(CARD_RESERVE);
        budget.ever += gpu.total.saturating_sub(CARD_RESERVE);
        budget.source += &format!(", and {free} of {} less {CARD_RESERVE}", gpu.name);
    }
}

impl Budget {
    /// As far as this need can use it: what has to lie in system memory
    /// cannot use what is free on a card.
    #[must_use]
    pub fn for_need(&self, need: &Need) -> Budget {
        let of_use = self.vram.min(need.on_gpu);
        let idle = self.vram.saturating_sub(of_use);
        Budget {
            available: self.available.saturating_sub(idle),
            vram: of_use,
            source: self.source.clone(),
            ..*self
        }
    }

    /// Whether the need can be met now.
    pub fn carries(&self, need: &Need) -> bool {
        let idle = self.vram.saturating_sub(need.on_gpu);
        need.bytes() <= self.free().saturating_sub(idle)
    }
}
