//! The sampler: a thread that reads the sensors at the pace it was told.
//!
//! It keeps its own time, so that a tick costs one wake-up of it and one of
//! the engine. A sensor that hangs holds up this thread and nothing else; at
//! exit it is left behind.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::sense::Sensors;

use super::clock::Clock;
use super::input::{Input, Pace};

/// Paces that may wait while a sample is read. They change with what a person
/// does, a few times a second at most.
const PACES: usize = 64;

#[derive(Debug)]
pub struct Sampler {
    paces: SyncSender<Pace>,
}

impl Sampler {
    pub fn start(sensors: Box<dyn Sensors>, clock: Clock, inbox: mpsc::Sender<Input>) -> Self {
        let (paces, told) = sync_channel(PACES);
        let work = Work { sensors, clock, inbox, last: None, last_scan: None };
        // The thread ends when the engine does; without it there are no
        // samples, which the engine notices and says.
        drop(thread::Builder::new().name("sampler".into()).spawn(move || work.run(&told)));
        Sampler { paces }
    }

    pub fn set_pace(&self, pace: Pace) {
        // A sampler that takes none of them hangs or has ended, and is noticed
        // by its silence.
        drop(self.paces.try_send(pace));
    }
}

struct Work {
    sensors: Box<dyn Sensors>,
    clock: Clock,
    inbox: mpsc::Sender<Input>,
    last: Option<Instant>,
    last_scan: Option<Instant>,
}

impl Work {
    fn run(mut self, told: &Receiver<Pace>) {
        let Ok(mut pace) = told.recv() else { return };
        loop {
            match told.recv_timeout(self.wait(pace.interval)) {
                Ok(newer) => pace = newer,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if !self.sample(&pace) {
                        return;
                    }
                }
            }
        }
    }

    fn wait(&self, interval: Duration) -> Duration {
        self.last.map_or(Duration::ZERO, |last| interval.saturating_sub(last.elapsed()))
    }

    /// Reads once; false when nobody takes samples any longer.
    fn sample(&mut self, pace: &Pace) -> bool {
        let started = Instant::now();
        let mut want = pace.want.clone();
        // The first sample must be quick: it is what the first picture shows.
        let is_first = self.last.is_none();
        want.all_processes =
            !is_first && self.last_scan.is_none_or(|scan| scan.elapsed() >= pace.scan_every);
        if want.all_processes {
            self.last_scan = Some(started);
        }
        self.last = Some(started);
        let sample = self.sensors.read(&want, self.clock.now());
        self.inbox.blocking_send(Input::Sampled(Box::new(sample))).is_ok()
    }
}
