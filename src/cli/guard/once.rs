//! One decision: wait until the level can be judged and the rules may act, let
//! them, and wait for what comes of it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::assemble::Running;
use crate::cli::exit::ExitCode;

use super::watch::Watch;
use super::{Over, Signals, Told};

/// How often it looks: a level needs more than one sample.
pub const PACE: Duration = Duration::from_millis(250);

/// Samples after the dwell and the grace: the first is taken a moment after
/// the start, and a decision comes with a sample.
const SPARE: u32 = 4;

/// Whatever the config says of dwell and grace.
const LONGEST: Duration = Duration::from_secs(10);

/// A sensor that hangs is not waited for.
const FIRST_SAMPLE: Duration = Duration::from_secs(5);

/// A model that generates leaves when it is done; an action that takes longer
/// is named, and the next start sees what became of it.
const OUTCOME: Duration = Duration::from_secs(120);

pub(super) async fn decide(watch: &mut Watch, running: &Running, signals: &mut Signals) -> Over {
    let begun = Instant::now();
    let mut first_sample = None;
    let window = window(running);
    loop {
        if first_sample.is_none() && watch.snapshot().sample.is_some() {
            first_sample = Some(Instant::now());
        }
        let decided = first_sample.unwrap_or(begun + FIRST_SAMPLE) + window;
        let until = match Instant::now() < decided {
            true => decided,
            false if first_sample.is_none() => return Over::NoSample,
            false if watch.is_quiet() || Instant::now() >= decided + OUTCOME => {
                return Over::Decided;
            }
            false => decided + OUTCOME,
        };
        tokio::select! {
            biased;
            told = signals.next() => return Over::Told(match told {
                Told::End(code) => code,
                // There is nothing to read again for: its line was dropped.
                Told::Reload => ExitCode::HungUp,
            }),
            is_alive = watch.changed() => match is_alive {
                true => watch.tell(),
                false => return Over::EngineEnded,
            },
            () = sleep_until(until) => {}
        }
    }
}

/// From the first sample until the rules have had their say.
fn window(running: &Running) -> Duration {
    let Some(began) = running.began() else { return LONGEST };
    let (limits, rules) = (&began.regime.limits, &began.regime.rules);
    (limits.enter_after.max(rules.grace) + PACE * SPARE).min(LONGEST)
}
