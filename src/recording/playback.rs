//! One position in a recording, shared by the sensors and the runtime that
//! play it. The sensors move it on; both read what was so at that moment.
//!
//! The file is read as it is played: a day's recording takes no more memory
//! than a minute's.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Entry, Reader, RecordingError, Report, ReportBody, Subject};
use crate::domain::fault::RuntimeFault;
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::domain::sample::Sample;
use crate::domain::snapshot::Host;
use crate::domain::time::{Monotonic, Wall};

/// Entries looked through for the first sample and the runtime's address.
const LOOK_AHEAD: usize = 64;

/// What a real server listens on: for a recording made without one.
const DEFAULT_URL: &str = "http://127.0.0.1:11434";

/// A handle; its clones share the position.
#[derive(Clone)]
pub struct Playback {
    position: Arc<Mutex<Position>>,
    host: Host,
    url: String,
    start: Wall,
}

struct Position {
    entries: Box<dyn Iterator<Item = Result<Entry, RecordingError>> + Send>,
    ahead: VecDeque<Entry>,
    speed: f64,
    /// When it was first asked, and what the recording's clock said there.
    started: Option<Monotonic>,
    origin: Monotonic,
    /// What the recording's clock says at the moment, once it was asked.
    now: Option<Monotonic>,
    sample: Sample,
    reports: BTreeMap<Subject, Report>,
    url: String,
    /// Nothing more can be read.
    is_read: bool,
    fault: Option<String>,
}

impl Playback {
    /// `speed` 1 is as it was, 10 is ten times as fast.
    pub fn open(path: &Path, speed: f64) -> Result<Playback, RecordingError> {
        let file = File::open(path).map_err(RecordingError::Open)?;
        Self::new(Reader::new(BufReader::new(file))?, speed)
    }

    pub fn new<R: BufRead + Send + 'static>(
        reader: Reader<R>,
        speed: f64,
    ) -> Result<Playback, RecordingError> {
        let host = reader.host().clone();
        let mut entries = reader;
        let mut ahead = VecDeque::new();
        let (mut sample, mut url) = (None, None);
        while ahead.len() < LOOK_AHEAD && (sample.is_none() || url.is_none()) {
            let Some(entry) = entries.next().transpose()? else { break };
            match &entry {
                Entry::Sample(first) if sample.is_none() => sample = Some(first.clone()),
                Entry::Report(report) if url.is_none() => url = Some(report.url.clone()),
                _ => {}
            }
            ahead.push_back(entry);
        }
        let sample = *sample.ok_or(RecordingError::Empty)?;
        let start = sample.at.wall;
        let url = url.unwrap_or_else(|| DEFAULT_URL.to_owned());
        let position = Position {
            entries: Box::new(entries),
            ahead,
            speed,
            started: None,
            origin: sample.at.mono,
            now: None,
            sample,
            reports: BTreeMap::new(),
            url: url.clone(),
            is_read: false,
            fault: None,
        };
        Ok(Playback { position: Arc::new(Mutex::new(position)), host, url, start })
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The address of the runtime that was recorded; of the first, if several.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// When it was made.
    pub fn start(&self) -> Wall {
        self.start
    }

    /// From the sample of the moment to the next; `None` where it is the last.
    pub fn until_next(&self) -> Option<Duration> {
        let mut position = self.position();
        let now = position.now?;
        let next = position.next_sample()?;
        Some(next.since(now))
    }

    /// Moves on to `now`, whose first call is the start, and gives the sample
    /// that was the newest then. At the end it stays the last.
    pub fn sample_at(&self, now: Monotonic) -> Sample {
        let mut position = self.position();
        let started = *position.started.get_or_insert(now);
        let due = position.origin.plus(scaled(now.since(started), position.speed));
        position.now = Some(due);
        position.move_to(due);
        position.sample.clone()
    }

    /// Everything has been played.
    pub fn has_ended(&self) -> bool {
        let position = self.position();
        position.is_read && position.ahead.is_empty()
    }

    /// Why it ended before its end.
    pub fn fault(&self) -> Option<String> {
        self.position().fault.clone()
    }

    pub fn loaded(&self) -> Option<Result<Vec<LoadedModel>, RuntimeFault>> {
        match self.report(&Subject::Loaded)? {
            ReportBody::Loaded(loaded) => Some(loaded),
            _ => None,
        }
    }

    pub fn installed(&self) -> Option<Result<Vec<InstalledModel>, RuntimeFault>> {
        match self.report(&Subject::Installed)? {
            ReportBody::Installed(installed) => Some(installed),
            _ => None,
        }
    }

    pub fn version(&self) -> Option<Result<String, RuntimeFault>> {
        match self.report(&Subject::Version)? {
            ReportBody::Version(version) => Some(version),
            _ => None,
        }
    }

    pub fn details(&self, model: &ModelName) -> Option<ModelDetails> {
        match self.report(&Subject::Details(model.clone()))? {
            ReportBody::Details { details, .. } => Some(details),
            _ => None,
        }
    }

    fn report(&self, subject: &Subject) -> Option<ReportBody> {
        self.position().reports.get(subject).map(|report| report.what.clone())
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        // A position is whole after every line, so a panic elsewhere spoils
        // nothing.
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Position {
    fn move_to(&mut self, due: Monotonic) {
        while let Some(next) = self.peek() {
            if next > due {
                return;
            }
            match self.ahead.pop_front() {
                Some(Entry::Sample(sample)) => self.sample = *sample,
                Some(Entry::Report(report)) if report.url == self.url => {
                    self.reports.insert(report.what.subject(), *report);
                }
                Some(Entry::Report(_)) | None => {}
            }
        }
    }

    /// When the next sample is due; reads on to it.
    fn next_sample(&mut self) -> Option<Monotonic> {
        loop {
            let next = self.ahead.iter().find(|entry| matches!(entry, Entry::Sample(_)));
            if let Some(next) = next {
                return Some(next.at().mono);
            }
            if self.ahead.len() >= LOOK_AHEAD || !self.read_on() {
                return None;
            }
        }
    }

    /// When the next entry is due; reads one where none is at hand.
    fn peek(&mut self) -> Option<Monotonic> {
        if self.ahead.is_empty() {
            self.read_on();
        }
        self.ahead.front().map(|entry| entry.at().mono)
    }

    /// Reads one entry more. `false`: there is none.
    fn read_on(&mut self) -> bool {
        if self.is_read {
            return false;
        }
        match self.entries.next() {
            Some(Ok(entry)) => self.ahead.push_back(entry),
            Some(Err(fault)) => {
                self.fault = Some(fault.to_string());
                self.is_read = true;
            }
            None => self.is_read = true,
        }
        !self.is_read
    }
}

fn scaled(elapsed: Duration, speed: f64) -> Duration {
    let seconds = elapsed.as_secs_f64() * speed;
    if seconds > 0.0 {
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    } else {
        // No speed, or none that is a number: it stands still.
        Duration::ZERO
    }
}
