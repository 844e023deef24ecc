//! What only a Mac has: the ceiling of what its graphics may keep wired, and
//! the limits of Python programs that use them.

use crate::domain::Bytes;
use crate::domain::finding::{Advice, SettingKind};

use super::{Advising, UNMEASURED};

/// A Mac keeps so much for itself, as llama.cpp's own app for it reckons.
const SYSTEM: Bytes = Bytes::gib(4);

/// On less, a program that fills the ceiling leaves no room for a model.
const SMALL: Bytes = Bytes::gib(24);

pub fn settings(advising: &Advising<'_, '_>) -> Vec<Advice> {
    if !advising.situation.survey.is_mac {
        return Vec::new();
    }
    let mut all = vec![wired_limit(advising)];
    if let Some(total) = advising.total() {
        all.extend(python(total));
    }
    all
}

fn wired_limit(advising: &Advising<'_, '_>) -> Advice {
    let sample = advising.situation.snapshot.sample.as_deref();
    let gpus = sample.and_then(|sample| sample.gpus.as_ref().ok());
    // It is told only where somebody has set it.
    let set = gpus.and_then(|gpus| gpus.iter().find(|gpu| gpu.unified)).map(|gpu| gpu.total);
    let most = advising.total().map(|total| total.saturating_sub(SYSTEM));
    let mib = |bytes: Bytes| (bytes.get() >> 20).to_string();
    let (value, reason) = match (set, most) {
        (Some(_), None) => (None, UNMEASURED.to_owned()),
        (Some(set), Some(most)) if set > most => (
            Some(mib(most)),
            format!(
                "above {most} the system keeps less than {SYSTEM}, and a Mac that runs out stands still"
            ),
        ),
        (Some(_), Some(_)) => (set.map(mib), format!("it leaves the system {SYSTEM} or more")),
        (None, _) => {
            (None, "the system's own ceiling is safe; it is forgotten at each start".to_owned())
        }
    };
    let now = set.map(mib);
    Advice {
        setting: "iogpu.wired_limit_mb",
        kind: SettingKind::Sysctl,
        is_so: now == value,
        now,
        is_known: true,
        value,
        reason,
        saves: None,
    }
}

/// PyTorch's documented variables; the first must not be below the second.
fn python(total: Bytes) -> [Advice; 2] {
    let is_small = total <= SMALL;
    let (high, low) = if is_small { ("0.7", "0.5") } else { ("1.0", "0.8") };
    let of = |setting, value: &str, reason: &str| Advice {
        setting,
        kind: SettingKind::Program,
        now: None,
        is_known: false,
        value: Some(value.to_owned()),
        reason: reason.to_owned(),
        saves: None,
        is_so: false,
    };
    [
        of(
            "PYTORCH_MPS_HIGH_WATERMARK_RATIO",
            high,
            "of the graphics' ceiling; PyTorch's default of 1.7 goes far into swap",
        ),
        of("PYTORCH_MPS_LOW_WATERMARK_RATIO", low, "from here on PyTorch gives cached memory back"),
    ]
}
