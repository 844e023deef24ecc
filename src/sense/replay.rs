//! Sensors that play a recording back: what was read then, told now.

use super::{Sensors, Want};
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::time::Moment;
use crate::recording::Playback;

/// The sensors of the machine that was recorded.
pub struct ReplaySensors {
    playback: Playback,
}

impl ReplaySensors {
    pub fn new(playback: Playback) -> Self {
        ReplaySensors { playback }
    }
}

impl Sensors for ReplaySensors {
    /// The wall time is the recording's, so that expiries fit; the steady
    /// clock is the caller's, so that spans do. What is wanted cannot change
    /// what was recorded.
    fn read(&mut self, _want: &Want, now: Moment) -> Sample {
        let sample = self.playback.sample_at(now.mono);
        Sample { at: Moment::new(sample.at.wall, now.mono), ..sample }
    }

    fn host(&self) -> Host {
        self.playback.host().clone()
    }
}
