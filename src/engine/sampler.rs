//! The sampler: a thread that reads the sensors at the pace it was told, and
//! at once when the system says that memory becomes tight.
//!
//! It keeps its own time, so that a tick costs one wake-up of it and one of
//! the engine. A sensor that hangs holds up this thread and nothing else; at
//! exit it is left behind, and so is the one that listens to the system.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::domain::fault::SensorFault;
use crate::sense::{Sensors, Waker};

use super::clock::Clock;
use super::input::{Input, Pace};

/// Paces that may wait while a sample is read. They change with what a person
/// does, a few times a second at most.
const PACES: usize = 64;

/// However often the system calls, samples are no closer than this.
const CLOSEST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Sampler {
    told: Arc<SyncSender<Told>>,
    deaf: Arc<OnceLock<SensorFault>>,
}

#[derive(Debug)]
enum Told {
    Pace(Pace),
    /// The system says that memory becomes tight.
    Wake,
}

impl Sampler {
    pub fn start(mut sensors: Box<dyn Sensors>, clock: Clock, inbox: mpsc::Sender<Input>) -> Self {
        let (sender, told) = sync_channel(PACES);
        let sampler = Sampler { told: Arc::new(sender), deaf: Arc::default() };
        match sensors.waker() {
            Ok(waker) => sampler.listen(waker),
            Err(fault) => drop(sampler.deaf.set(fault)),
        }
        let work = Work { sensors, clock, inbox, timetable: Timetable::default(), last_scan: None };
        // The thread ends when the engine does; without it there are no
        // samples, which the engine notices and says.
        drop(thread::Builder::new().name("sampler".into()).spawn(move || work.run(&told)));
        sampler
    }

    pub fn set_pace(&self, pace: Pace) {
        // A sampler that takes none of them hangs or has ended, and is noticed
        // by its silence.
        drop(self.told.try_send(Told::Pace(pace)));
    }

    /// Why the system wakes nobody; `None` while it may. Samples come all the
    /// same, at their pace.
    pub fn deaf(&self) -> Option<&SensorFault> {
        self.deaf.get()
    }

    fn listen(&self, waker: Box<dyn Waker>) {
        // A full grip would keep the sampler's thread alive.
        let told = Arc::downgrade(&self.told);
        let deaf = Arc::clone(&self.deaf);
        let listening = move || listen(waker, &told, &deaf);
        if let Err(error) = thread::Builder::new().name("waker".into()).spawn(listening) {
            drop(self.deaf.set(SensorFault::absent(format!("no thread to listen: {error}"))));
        }
    }
}

/// Hands on what the system says, until there is nobody left to tell.
fn listen(mut waker: Box<dyn Waker>, told: &Weak<SyncSender<Told>>, deaf: &OnceLock<SensorFault>) {
    loop {
        if let Err(fault) = waker.wait() {
            drop(deaf.set(fault));
            return;
        }
        let Some(told) = told.upgrade() else { return };
        // A full queue has something in it that makes the sampler move.
        if let Err(TrySendError::Disconnected(_)) = told.try_send(Told::Wake) {
            return;
        }
        drop(told);
        thread::sleep(CLOSEST);
    }
}

struct Work {
    sensors: Box<dyn Sensors>,
    clock: Clock,
    inbox: mpsc::Sender<Input>,
    timetable: Timetable,
    last_scan: Option<Instant>,
}

impl Work {
    fn run(mut self, told: &Receiver<Told>) {
        let mut pace = loop {
            match told.recv() {
                Ok(Told::Pace(pace)) => break pace,
                Ok(Told::Wake) => {}
                Err(_) => return,
            }
        };
        loop {
            match told.recv_timeout(self.timetable.wait(pace.interval, Instant::now())) {
                Ok(Told::Pace(newer)) => pace = newer,
                Ok(Told::Wake) => self.timetable.is_woken = true,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if !self.sample(&pace) {
                        return;
                    }
                }
            }
        }
    }

    /// Reads once; false when nobody takes samples any longer.
    fn sample(&mut self, pace: &Pace) -> bool {
        let started = Instant::now();
        let mut want = pace.want.clone();
        // The first sample must be quick: it is what the first picture shows.
        let is_first = self.timetable.last.is_none();
        want.all_processes =
            !is_first && self.last_scan.is_none_or(|scan| scan.elapsed() >= pace.scan_every);
        if want.all_processes {
            self.last_scan = Some(started);
        }
        self.timetable.sampled(pace.interval, started);
        let sample = self.sensors.read(&want, self.clock.now());
        self.inbox.blocking_send(Input::Sampled(Box::new(sample))).is_ok()
    }
}

/// When samples are due.
#[derive(Debug, Default)]
struct Timetable {
    /// When the last sample was due, or was taken where it came too late.
    last: Option<Instant>,
    is_woken: bool,
}

impl Timetable {
    fn wait(&self, interval: Duration, now: Instant) -> Duration {
        let interval = if self.is_woken { interval.min(CLOSEST) } else { interval };
        self.last.map_or(Duration::ZERO, |last| interval.saturating_sub(now - last))
    }

    /// A sample is taken now. A little late is as if in time, so that nothing
    /// adds up; what was missed is not made up for.
    fn sampled(&mut self, interval: Duration, now: Instant) {
        let due = self.last.map(|last| last + interval);
        let is_near = |due: &Instant| *due <= now && now - *due < interval / 2;
        self.last = Some(due.filter(is_near).unwrap_or(now));
        self.is_woken = false;
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::sample::{Reading, Sample};
    use crate::domain::snapshot::Host;
    use crate::domain::time::Moment;
    use crate::sense::Want;

    use super::*;

    const TENTH: Duration = Duration::from_millis(100);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Sensors of a machine that says what the test says.
    struct Told(Option<std::sync::mpsc::Receiver<Reading<()>>>);

    impl Sensors for Told {
        fn read(&mut self, _want: &Want, now: Moment) -> Sample {
            let fault = SensorFault::absent("a test");
            Sample {
                at: now,
                memory: Err(fault.clone()),
                swap: Err(fault.clone()),
                pressure: Err(fault.clone()),
                paging: Err(fault.clone()),
                zram: Err(fault.clone()),
                limit: Err(fault.clone()),
                gpus: Err(fault.clone()),
                processes: Err(fault.clone()),
                groups: Err(fault),
            }
        }

        fn host(&self) -> Host {
            Host { name: String::new(), system: String::new(), kernel: String::new() }
        }

        fn waker(&mut self) -> Reading<Box<dyn Waker>> {
            let words = self.0.take().ok_or_else(|| SensorFault::absent("no word"))?;
            Ok(Box::new(Words(words)))
        }
    }

    struct Words(std::sync::mpsc::Receiver<Reading<()>>);

    impl Waker for Words {
        fn wait(&mut self) -> Reading<()> {
            self.0.recv().unwrap_or_else(|_| Err(SensorFault::absent("the test is over")))
        }
    }

    fn pace(interval: Duration) -> Pace {
        Pace { interval, scan_every: MINUTE, want: Want::default() }
    }

    fn next(inputs: &mut mpsc::Receiver<Input>) -> Moment {
        match inputs.blocking_recv() {
            Some(Input::Sampled(sample)) => sample.at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_systems_word_brings_a_sample_at_once() {
        let (speak, words) = std::sync::mpsc::channel();
        let (inbox, mut inputs) = mpsc::channel(8);
        let sampler = Sampler::start(Box::new(Told(Some(words))), Clock::system(), inbox);
        sampler.set_pace(pace(MINUTE));
        let first = next(&mut inputs);
        for _ in 0..5 {
            speak.send(Ok(())).unwrap();
        }
        let second = next(&mut inputs);
        let third = next(&mut inputs);
        assert!(second.mono.since(first.mono) >= TENTH - Duration::from_millis(1));
        assert!(third.mono.since(second.mono) >= TENTH - Duration::from_millis(1));
        assert!(third.mono.since(first.mono) < MINUTE);
        assert_eq!(sampler.deaf(), None);
        speak.send(Err(SensorFault::absent("taken back"))).unwrap();
        let gave_up = Instant::now() + MINUTE;
        while sampler.deaf().is_none() && Instant::now() < gave_up {
            thread::yield_now();
        }
        assert_eq!(sampler.deaf(), Some(&SensorFault::absent("taken back")));
    }

    #[test]
    fn the_thread_ends_with_its_engine_though_somebody_listens() {
        let (speak, words) = std::sync::mpsc::channel();
        let (inbox, mut inputs) = mpsc::channel(8);
        let sampler = Sampler::start(Box::new(Told(Some(words))), Clock::system(), inbox);
        sampler.set_pace(pace(MINUTE));
        next(&mut inputs);
        drop(sampler);
        assert!(inputs.blocking_recv().is_none(), "the inbox was given back");
        drop(speak);
    }

    #[test]
    fn without_a_waker_samples_come_at_their_pace() {
        let (inbox, mut inputs) = mpsc::channel(8);
        let sampler = Sampler::start(Box::new(Told(None)), Clock::system(), inbox);
        assert_eq!(sampler.deaf(), Some(&SensorFault::absent("no word")));
        sampler.set_pace(pace(TENTH));
        let first = next(&mut inputs);
        let second = next(&mut inputs);
        assert!(second.mono.since(first.mono) >= TENTH - Duration::from_millis(1));
    }

    #[test]
    fn small_delays_do_not_add_up_and_large_ones_are_not_made_up_for() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut timetable = Timetable::default();
        assert_eq!(timetable.wait(TENTH, at(0)), Duration::ZERO);
        for (taken, wait) in [(0, 100), (103, 97), (201, 99), (330, 70), (900, 100)] {
            timetable.sampled(TENTH, at(taken));
            assert_eq!(timetable.wait(TENTH, at(taken)), Duration::from_millis(wait), "{taken}");
        }
        // Another pace, and a word of the system's in the middle of it.
        assert_eq!(timetable.wait(MINUTE, at(1000)), MINUTE - TENTH);
        timetable.is_woken = true;
        assert_eq!(timetable.wait(MINUTE, at(950)), TENTH / 2);
        timetable.sampled(MINUTE, at(1000));
        assert_eq!(timetable.wait(MINUTE, at(1000)), MINUTE);
    }
}
