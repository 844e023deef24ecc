//! Reads the config again while the engine runs: when its file changed, when
//! it was written from here, and when somebody asks, as a guard on SIGHUP. What
//! is wrong is told with its line, and the config in force stays.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::config::{ConfigError, LoadedConfig};
use crate::domain::Bytes;
use crate::engine::FaultSender;

use super::{chain, notes, on_one_line, settings};

/// How often the file is looked at: sooner than somebody who saved it wonders.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A file that is being written is not read half: it must stay as it is for
/// so long.
const SETTLES_IN: Duration = Duration::from_millis(200);

/// What settles never is read anyway after so many looks.
const SETTLING_LOOKS: u32 = 10;

/// What is told of the config, and of what it says of itself.
pub const FAULT: &str = "config";
const NOTES: &str = "settings";

/// Sections that a running engine follows; the rest counts from the next start.
const FOLLOWED: [&str; 10] = [
    "profile",
    "interval",
    "levels",
    "targets",
    "rules",
    "fit",
    "recommend",
    "hints",
    "components",
    "hooks",
];

/// What became of reading the config again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reread {
    /// It is in force; also where nothing was different.
    Taken { changes: usize, note: String },
    /// The one before stays; why.
    Refused { fault: String },
}

/// Has the config read now, from anywhere.
#[derive(Clone)]
pub struct Poke(mpsc::SyncSender<Asked>);

/// Who waits for what becomes of it.
type Asked = oneshot::Sender<Reread>;

/// More need not wait: each reading is of the newest file.
const ASKING: usize = 4;

impl Poke {
    pub fn now(&self) {
        let (nobody, _) = oneshot::channel();
        // A full queue reads it soon enough.
        drop(self.0.try_send(nobody));
    }
}

/// The thread that follows the config: a folder may hang, and then nothing else
/// does. Dropped, it ends.
pub struct Reloading {
    poke: Poke,
    outcomes: watch::Receiver<Option<Reread>>,
    is_over: Arc<AtomicBool>,
}

impl Reloading {
    pub fn poke(&self) -> Poke {
        self.poke.clone()
    }

    /// Reads it again now, and answers what became of that; `None` if nobody
    /// follows it any more, or too many have asked already.
    pub async fn reload_now(&self) -> Option<Reread> {
        let (asked, answer) = oneshot::channel();
        self.poke.0.try_send(asked).ok()?;
        answer.await.ok()
    }

    /// What became of it each time; `None` before the first.
    pub fn outcomes(&self) -> watch::Receiver<Option<Reread>> {
        self.outcomes.clone()
    }
}

impl Drop for Reloading {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.poke.now();
    }
}

/// Follows the config from here on. `total`: the memory its limits are for.
pub fn start(config: LoadedConfig, total: Bytes, faults: FaultSender) -> io::Result<Reloading> {
    let (poke, asks) = mpsc::sync_channel(ASKING);
    let (outcome, outcomes) = watch::channel(None);
    let is_over = Arc::new(AtomicBool::new(false));
    let follower = Follower { config, total, faults, asks, outcome, is_over: Arc::clone(&is_over) };
    thread::Builder::new().name("config".to_owned()).spawn(|| follower.follow())?;
    Ok(Reloading { poke: Poke(poke), outcomes, is_over })
}

/// What tells one state of a file and its folder from another. Their modes and
/// times of change are in it: who may write them decides over commands.
type Seen = [Option<[u64; 6]>; 2];

struct Follower {
    config: LoadedConfig,
    total: Bytes,
    faults: FaultSender,
    asks: mpsc::Receiver<Asked>,
    outcome: watch::Sender<Option<Reread>>,
    is_over: Arc<AtomicBool>,
}

impl Follower {
    fn follow(mut self) {
        let path = self.config.paths.config_file.clone();
        // It may have changed since it was loaded, so the first look reads it.
        let mut seen: Option<Seen> = None;
        loop {
            let asked = match self.asks.recv_timeout(LOOK_EVERY) {
                Ok(asked) => Some(asked),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let now = look(path.as_deref());
            if asked.is_none() && seen == Some(now) {
                continue;
            }
            seen = Some(settled(path.as_deref(), now));
            let outcome = self.reread();
            let is_news = match &outcome {
                Reread::Taken { changes, .. } => *changes > 0 || self.was_refused(),
                Reread::Refused { .. } => true,
            };
            if asked.is_some() || is_news {
                self.outcome.send_replace(Some(outcome.clone()));
            }
            // Nobody may wait for it.
            asked.map(|asked| asked.send(outcome).ok());
        }
    }

    fn reread(&mut self) -> Reread {
        match self.read() {
            Ok(new) => self.take(new),
            Err(error) => {
                let fault = on_one_line(&chain(error)) + "; the settings before stay";
                self.faults.tell(FAULT, fault.clone());
                Reread::Refused { fault }
            }
        }
    }

    /// Checked as at the start.
    fn read(&self) -> Result<LoadedConfig, ConfigError> {
        let new = self.config.again()?;
        settings::regime(&new, self.total)?;
        Ok(new)
    }

    fn was_refused(&self) -> bool {
        matches!(*self.outcome.borrow(), Some(Reread::Refused { .. }))
    }

    fn take(&mut self, new: LoadedConfig) -> Reread {
        self.faults.withdraw(FAULT);
        let said = notes(&new);
        match said.is_empty() {
            _ if said == notes(&self.config) => {}
            true => self.faults.withdraw(NOTES),
            false => self.faults.tell(NOTES, said.join("; ")),
        }
        let changed = changed(&self.config, &new);
        let (changes, note) = (changed.len(), note(&changed));
        if changes > 0 {
            let configured = settings::configured(&new, self.total, note.clone());
            self.faults.configure(configured);
        }
        self.config = new;
        Reread::Taken { changes, note }
    }
}

/// The keys whose values differ.
fn changed<'a>(old: &'a LoadedConfig, new: &'a LoadedConfig) -> BTreeSet<&'a str> {
    let keys = old.settings.keys().chain(new.settings.keys());
    let value = |config: &'a LoadedConfig, key: &str| config.settings.get(key).map(|s| &s.value);
    keys.filter(|key| value(old, key) != value(new, key)).map(String::as_str).collect()
}

fn note(changed: &BTreeSet<&str>) -> String {
    let is_followed = |key: &&str| FOLLOWED.contains(&key.split('.').next().unwrap_or_default());
    let later: Vec<String> =
        changed.iter().filter(|key| !is_followed(key)).map(|key| format!("`{key}`")).collect();
    let said = match changed.len() {
        0 => "config read again: nothing changed".to_owned(),
        1 => "config read again: 1 change".to_owned(),
        changes => format!("config read again: {changes} changes"),
    };
    match later.len() {
        0 => said,
        1 => format!("{said}; {} counts from the next start", later[0]),
        _ => format!("{said}; {} count from the next start", later.join(", ")),
    }
}

/// The file as it is once it has stayed so for a while.
fn settled(path: Option<&Path>, mut seen: Seen) -> Seen {
    for _ in 0..SETTLING_LOOKS {
        thread::sleep(SETTLES_IN);
        let now = look(path);
        if now == seen {
            break;
        }
        seen = now;
    }
    seen
}

fn look(path: Option<&Path>) -> Seen {
    [path.and_then(of_file), path.and_then(Path::parent).and_then(of_folder)]
}

fn of_file(path: &Path) -> Option<[u64; 6]> {
    let seen = std::fs::metadata(path).ok()?;
    let time =
        |seconds: i64, nanos: i64| (seconds as u64).wrapping_mul(1_000_000_000) + nanos as u64;
    Some([
        seen.dev(),
        seen.ino(),
        seen.size(),
        time(seen.mtime(), seen.mtime_nsec()),
        time(seen.ctime(), seen.ctime_nsec()),
        u64::from(seen.mode()),
    ])
}

/// Other files come and go in a folder: only whose it is counts.
fn of_folder(path: &Path) -> Option<[u64; 6]> {
    let seen = std::fs::metadata(path).ok()?;
    Some([seen.dev(), seen.ino(), u64::from(seen.uid()), 0, 0, u64::from(seen.mode())])
}
