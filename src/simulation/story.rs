//! What happens by itself in the demo: four minutes, again and again.
//!
//! Pages are opened and a build begins: warning after some forty seconds. A
//! small model is loaded while the build links: critical. Then the build ends,
//! pages are closed, the small model expires, and it is calm again.

use std::time::Duration;

use super::chance::Chance;
use super::machine::Machine;
use super::models::{Models, Wish};
use super::ramp;
use crate::domain::bytes::Bytes;
use crate::domain::model::ModelName;
use crate::domain::plan::Keep;
use crate::domain::time::Wall;

/// Ticks in a second, and seconds in a round.
const SECOND: u64 = 10;
const ROUND: u64 = 240;

/// A request: when it comes, to which model, how long it takes, what it adds.
const REQUESTS: [(u64, &str, u64, u64); 9] = [
    (6, "llama3.2:3b", 6, 18),
    (21, "qwen2.5-coder:3b", 9, 26),
    (48, "llama3.2:3b", 11, 24),
    (66, "qwen2.5-coder:3b", 7, 22),
    (93, "gemma3:1b", 12, 12),
    (112, "llama3.2:3b", 8, 16),
    (151, "qwen2.5-coder:3b", 12, 20),
    (187, "llama3.2:3b", 14, 24),
    (214, "qwen2.5-coder:3b", 6, 12),
];

/// A load by somebody else: when, what, and for how long it is to stay.
const LOADS: [(u64, &str, u64); 3] =
    [(2, "llama3.2:3b", 300), (3, "qwen2.5-coder:3b", 300), (84, "gemma3:1b", 60)];

/// What pages take: second and MiB, straight lines between.
const TABS: [(u64, u64); 7] =
    [(0, 0), (12, 60), (40, 1_440), (90, 1_500), (138, 1_500), (150, 260), (240, 0)];

/// What the build takes, likewise; 0 is no build.
const BUILD: [(u64, u64); 7] =
    [(0, 0), (23, 0), (38, 760), (72, 900), (92, 1_560), (126, 1_640), (127, 0)];

/// What the story works on, and when.
pub(super) struct Scene<'a> {
    pub(super) machine: &'a mut Machine,
    pub(super) models: &'a mut Models,
    pub(super) now: Wall,
}

#[derive(Debug)]
pub(super) struct Story {
    chance: Chance,
}

impl Default for Story {
    fn default() -> Self {
        // Any number: it only has to stay the same.
        Story { chance: Chance::new(0x5eed_2026) }
    }
}

impl Story {
    pub(super) fn tick(&mut self, ticks: u64, scene: Scene<'_>) {
        let Scene { machine, models, now } = scene;
        let tick = ticks % (ROUND * SECOND);
        machine.open_tabs(along(&TABS, tick));
        machine.build(along(&BUILD, tick));
        if !tick.is_multiple_of(SECOND) {
            return;
        }
        machine.fidget(&mut self.chance);
        let second = tick / SECOND;
        for (_, model, keep) in LOADS.iter().filter(|(at, ..)| *at == second) {
            let name = ModelName::new(*model);
            let keep = Keep::For(Duration::from_secs(*keep));
            // Where a person has filled the machine, the server says no and
            // whoever asked does without.
            let wish = Wish { name: &name, keep, context: None };
            let room = machine.room(models);
            let _ = models.load(wish, room, now);
        }
        for (_, model, lasts, grows) in REQUESTS.iter().filter(|(at, ..)| *at == second) {
            let lasts = Duration::from_secs(*lasts);
            models.request(&ModelName::new(*model), lasts, Bytes::mib(*grows));
        }
    }
}

/// The value at `tick` on the line through points of (second, MiB).
fn along(points: &[(u64, u64)], tick: u64) -> Bytes {
    let reached = |(second, _): &&(u64, u64)| second * SECOND <= tick;
    let Some((from, low)) = points.iter().rev().find(reached) else { return Bytes::ZERO };
    let Some((to, high)) = points.iter().find(|point| !reached(point)) else {
        return Bytes::mib(*low);
    };
    let [done, span] = [tick - from * SECOND, (to - from) * SECOND]
        .map(|ticks| u32::try_from(ticks).unwrap_or(u32::MAX));
    let (low, high) = (Bytes::mib(*low), Bytes::mib(*high));
    if high >= low {
        low + ramp(high.saturating_sub(low), done, span)
    } else {
        high + ramp(low.saturating_sub(high), span - done, span)
    }
}
