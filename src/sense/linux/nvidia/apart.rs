//! A reader on a thread of its own: a driver that hangs keeps that thread and
//! never the sampler, which goes on with the last answer while it is fresh.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use super::library::Library;
use super::power::Power;
use super::reader::{Answer, Ask, Card, Reader};
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::Reading;
use crate::domain::time::Monotonic;

/// An answer is usually there within a few milliseconds, and then belongs to
/// the sample that asked for it.
const USUAL: Duration = Duration::from_millis(20);
/// Where nothing is known yet: a driver that no program holds takes a while
/// to begin, and a single look has no later sample.
const FIRST: Duration = Duration::from_millis(250);
/// How long after asking the first answer is waited for by sample after sample.
const FIRST_IN_ALL: Duration = Duration::from_secs(2);
/// How much later than due an answer may come before the last one is stale.
const GRACE: Duration = Duration::from_secs(8);
/// A request that takes longer hangs: with the pace of 2 s, an answer is stale
/// by then too.
const HANGS: Duration = Duration::from_secs(10);
/// For the end of a session and the closing of the library. A program that
/// ends meanwhile would pull the library away from under its own call.
const ENDS: Duration = Duration::from_millis(250);

/// The sampler's end of it.
#[derive(Debug)]
pub struct Apart {
    /// `None`: no more is asked, and the thread ends.
    asks: Option<SyncSender<Ask>>,
    answers: Receiver<Answer>,
    /// When the request that is under way was made.
    asked: Option<Monotonic>,
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    asked: Monotonic,
    answer: Answer,
}

impl Apart {
    /// The library is opened on the thread too: that may hang as well.
    pub fn start<L: Library>(open: impl FnMut() -> Reading<L> + Send + 'static) -> Reading<Self> {
        // One request is under way at most, so neither end ever waits.
        let (asks, asked) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let work = move || {
            let mut reader = Reader::new(open);
            while let Ok(ask) = asked.recv() {
                if answer.send(reader.read(ask)).is_err() {
                    return;
                }
            }
        };
        let started = thread::Builder::new().name("nvidia".into()).spawn(work);
        match started {
            Ok(_) => Ok(Apart { asks: Some(asks), answers, asked: None, last: None }),
            Err(error) => {
                let detail = format!("no thread to read NVIDIA's cards: {error}");
                Err(SensorFault::new(FaultKind::Failed, detail))
            }
        }
    }

    pub fn cards(&mut self, now: Monotonic, power: Power) -> Reading<Vec<Card>> {
        match self.answers.try_recv() {
            Ok(answer) => self.settle(answer),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(ended()),
        }
        let asks = power != Power::Asleep && self.asked.is_none() && self.is_due(now);
        if asks {
            let may_sleep = power == Power::MaySleep;
            let asks = self.asks.as_ref().ok_or_else(ended)?;
            asks.try_send(Ask { now, may_sleep }).map_err(|_| ended())?;
            self.asked = Some(now);
        }
        match self.answers.recv_timeout(self.patience(now, asks)) {
            Ok(answer) => self.settle(answer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ended()),
        }
        self.shown(now, power)
    }

    fn settle(&mut self, answer: Answer) {
        if let Some(asked) = self.asked.take() {
            self.last = Some(Last { asked, answer });
        }
    }

    fn is_due(&self, now: Monotonic) -> bool {
        self.last.as_ref().is_none_or(|last| now.since(last.asked) >= last.answer.next)
    }

    fn patience(&self, now: Monotonic, has_just_asked: bool) -> Duration {
        let Some(asked) = self.asked else { return Duration::ZERO };
        match &self.last {
            None if now.since(asked) < FIRST_IN_ALL => FIRST,
            Some(last) if has_just_asked && is_fresh(last, now) => USUAL,
            Some(_) if has_just_asked => FIRST,
            _ => Duration::ZERO,
        }
    }

    fn shown(&self, now: Monotonic, power: Power) -> Reading<Vec<Card>> {
        if self.asked.is_some_and(|asked| now.since(asked) > HANGS) {
            let detail = "NVIDIA's driver has not answered for 10 s";
            return Err(SensorFault::new(FaultKind::Hung, detail));
        }
        match &self.last {
            // Nothing comes into a sleeping card's memory or leaves it.
            Some(last) if power == Power::Asleep || is_fresh(last, now) => {
                last.answer.cards.clone()
            }
            None if power == Power::Asleep => {
                let detail = "NVIDIA's card sleeps, and reading it would wake it";
                Err(SensorFault::new(FaultKind::Failed, detail))
            }
            _ => {
                let detail = "NVIDIA's driver has not answered yet";
                Err(SensorFault::new(FaultKind::Hung, detail))
            }
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.asks = None;
        // An answer that is still under way, then nothing more.
        while self.answers.recv_timeout(ENDS).is_ok() {}
    }
}

/// Why there is no figure stands until there is one.
fn is_fresh(last: &Last, now: Monotonic) -> bool {
    last.answer.cards.is_err() || now.since(last.asked) <= last.answer.next + GRACE
}

fn ended() -> SensorFault {
    SensorFault::new(FaultKind::Failed, "the reader of NVIDIA's cards has ended")
}
