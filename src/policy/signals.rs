//! From a sample to signals: for each level, whether a signal asks for it.
//!
//! A signal that cannot be read is absent from the list: it neither raises
//! nor holds a level.

use std::time::Duration;

use crate::domain::level::Mark;
use crate::domain::sample::{Gpu, MacPressure, Memory, Pressure};
use crate::domain::snapshot::Rates;
use crate::domain::{Bytes, Level, Percent, Sample, SignalKind};

use super::limits::{Limits, UsedLimits};

/// What one signal asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    pub kind: SignalKind,
    /// With its figure: `memory 78 %`.
    pub text: String,
    /// For warning, critical and emergency, in this order.
    pub conditions: [Condition; 3],
}

/// Whether a level is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Past the threshold.
    pub enters: bool,
    /// Not yet so far below it that the level may be left.
    pub holds: bool,
    /// How long it must be past the threshold.
    pub sustain: Duration,
}

impl Condition {
    const NEVER: Condition = Condition { enters: false, holds: false, sustain: Duration::ZERO };
}

/// Levels above normal, in the order of [`Signal::conditions`].
pub const RAISED: [Level; 3] = [Level::Warning, Level::Critical, Level::Emergency];

/// Reserve regained by this share before its warning is left: the kernel's own
/// factor between entering and leaving.
const RESERVE_REGAINED: f64 = 120.0;

/// Share in use that counts as low memory where a profile names none: the
/// "20 % available" of the daemons that kill for want of memory.
const LOW_MEMORY: f64 = 80.0;

/// All signals that can be had from this sample.
pub fn read(sample: &Sample, rates: &Rates, limits: &Limits) -> Vec<Signal> {
    let memory = sample.memory.as_ref().ok();
    let is_low = memory.is_none_or(|memory| is_low(memory, limits));
    [
        memory.and_then(|memory| used(memory, limits)),
        memory.and_then(|memory| reserve(memory, limits)),
        sample.pressure.as_ref().ok().map(|pressure| stalled(pressure, is_low, limits)),
        swap(sample, rates, limits),
        sample.gpus.as_ref().ok().and_then(|gpus| vram(gpus, limits)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Where levels begin on the scale of used memory, ascending; empty where the
/// profile has no threshold in bytes.
pub fn marks(total: Bytes, limits: &Limits) -> Vec<Mark> {
    let mut marks: Vec<Mark> = match limits.used {
        Some(used) => RAISED
            .into_iter()
            .zip(shares(used))
            .map(|(level, share)| Mark { level, used: total.at(share) })
            .collect(),
        None => Vec::new(),
    };
    if let Some(reserve) = limits.system_reserve.filter(|reserve| *reserve < total) {
        let used = total.saturating_sub(reserve);
        match marks.first_mut() {
            Some(warning) => warning.used = warning.used.min(used),
            None => marks.push(Mark { level: Level::Warning, used }),
        }
    }
    marks
}

fn shares(used: UsedLimits) -> [Percent; 3] {
    [used.warning, used.critical, used.emergency]
}

fn is_low(memory: &Memory, limits: &Limits) -> bool {
    let low = limits.used.map_or(LOW_MEMORY, |used| used.warning.get());
    memory.used().share_of(memory.total).is_none_or(|share| share.get() >= low)
}

fn used(memory: &Memory, limits: &Limits) -> Option<Signal> {
    let share = memory.used().share_of(memory.total)?;
    let conditions = shares(limits.used?).map(|threshold| Condition {
        enters: share >= threshold,
        holds: share.get() >= threshold.get() - limits.hysteresis,
        sustain: limits.enter_after,
    });
    Some(Signal { kind: SignalKind::Memory, text: format!("memory {share}"), conditions })
}

fn reserve(memory: &Memory, limits: &Limits) -> Option<Signal> {
    let reserve = limits.system_reserve?;
    let warning = Condition {
        enters: memory.available < reserve,
        holds: memory.available < reserve.at(Percent::new(RESERVE_REGAINED)),
        sustain: limits.enter_after,
    };
    Some(Signal {
        kind: SignalKind::Available,
        text: format!("{} available of {reserve} reserved", memory.available),
        conditions: [warning, Condition::NEVER, Condition::NEVER],
    })
}

/// Pressure. PSI says warning alone; critical only together with low memory,
/// since stalls also come from one limited container or a cold cache.
fn stalled(pressure: &Pressure, is_low: bool, limits: &Limits) -> Signal {
    match pressure {
        Pressure::Psi { some, full } => {
            let past = |some_limit: f64, full_limit: f64, factor: f64| {
                some.avg10 >= some_limit * factor
                    && full.is_none_or(|full| full.avg10 >= full_limit * factor)
            };
            // Left only at half of what entered it: averages over 10 s swing.
            let condition = |some_limit, full_limit| Condition {
                enters: past(some_limit, full_limit, 1.0),
                holds: past(some_limit, full_limit, 0.5),
                sustain: limits.pressure.sustained,
            };
            let psi = &limits.pressure;
            let critical = condition(psi.critical_some, psi.critical_full);
            let text = match full {
                Some(full) => {
                    format!("pressure some {:.0} %, full {:.0} %", some.avg10, full.avg10)
                }
                None => format!("pressure some {:.0} %", some.avg10),
            };
            Signal {
                kind: SignalKind::Pressure,
                text,
                conditions: [
                    condition(psi.warning_some, psi.warning_full),
                    if is_low { critical } else { Condition { enters: false, ..critical } },
                    Condition::NEVER,
                ],
            }
        }
        Pressure::Mac { level } => {
            let condition = |at| Condition {
                enters: *level >= at,
                holds: *level >= at,
                sustain: limits.enter_after,
            };
            Signal {
                kind: SignalKind::Pressure,
                text: format!("the kernel says {}", level.word()),
                conditions: [
                    condition(MacPressure::Warning),
                    condition(MacPressure::Critical),
                    Condition::NEVER,
                ],
            }
        }
    }
}

/// Swap: its growth, never its share, since pages stay out for days. On macOS
/// swap-outs make a kernel level worse.
fn swap(sample: &Sample, rates: &Rates, limits: &Limits) -> Option<Signal> {
    sample.swap.as_ref().ok()?;
    let growth = rates.swap_growth?;
    let grows = |factor: f64| growth >= limits.swap.growth.get() as f64 * factor;
    let sustain = limits.swap.sustained;
    // Left only at a quarter of what entered it: swapping comes in bursts.
    let warning = Condition { enters: grows(1.0), holds: grows(0.25), sustain };
    let swaps_out = rates.swapped_out.is_some_and(|rate| rate > 0.0);
    let with_kernel = |at: MacPressure| {
        let says = matches!(&sample.pressure, Ok(Pressure::Mac { level }) if *level >= at);
        Condition { enters: says && swaps_out, holds: says && swaps_out, sustain }
    };
    Some(Signal {
        kind: SignalKind::Swap,
        text: format!("swap grows {}/s", Bytes::new(growth.max(0.0) as u64)),
        conditions: [
            warning,
            with_kernel(MacPressure::Warning),
            with_kernel(MacPressure::Critical),
        ],
    })
}

/// The discrete card with the least left; unified memory is the system's own.
fn vram(gpus: &[Gpu], limits: &Limits) -> Option<Signal> {
    let (name, free) = gpus
        .iter()
        .filter(|gpu| !gpu.unified)
        .filter_map(|gpu| Some((&gpu.name, gpu.total.saturating_sub(gpu.used?))))
        .min_by_key(|(_, free)| *free)?;
    let condition = |threshold: Bytes| Condition {
        enters: free < threshold,
        holds: free < threshold.at(Percent::new(RESERVE_REGAINED)),
        sustain: limits.enter_after,
    };
    let vram = &limits.vram;
    Some(Signal {
        kind: SignalKind::Vram,
        text: format!("{free} free on {name}"),
        conditions: [vram.warning, vram.critical, vram.emergency].map(condition),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::limits::Profile;

    #[test]
    fn only_a_card_with_memory_of_its_own_is_a_signal() {
        let limits = Profile::Linux15.limits();
        let card = |unified| Gpu {
            name: "card".into(),
            total: Bytes::gib(8),
            used: Some(Bytes::gib(8)),
            unified,
        };
        assert_eq!(vram(&[card(true)], &limits), None);
        let text = vram(&[card(true), card(false)], &limits).map(|signal| signal.text);
        assert_eq!(text, Some("0 B free on card".to_owned()));
    }
}
