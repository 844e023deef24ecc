//! Writes what other programs are told into their file: when the level or the
//! config changes, and again before what is there grows old. Only the engine
//! that holds this machine has one of these.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::act::hints::{RENEWED_EVERY, remove, write};
use crate::domain::{InForce, Snapshot, Wall};
use crate::engine::FaultSender;

use super::{CLOSING, chain};

/// What the notice is about that says that it cannot be written.
const ABOUT: &str = "hints";

/// A file, and what stands in it.
type Wanted = Option<(PathBuf, InForce)>;

/// Ends with its engine, or when it is told; its file goes with it.
pub(super) struct HintsFile {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl HintsFile {
    /// Must be called inside a tokio runtime.
    pub fn start(snapshots: watch::Receiver<Arc<Snapshot>>, faults: FaultSender) -> HintsFile {
        let (end, told) = oneshot::channel();
        HintsFile { end, task: tokio::spawn(keep(snapshots, faults, told)) }
    }

    pub async fn end(self) {
        // One that has ended already needs no telling. A folder that hangs is
        // left behind.
        self.end.send(()).ok();
        drop(timeout(CLOSING, self.task).await);
    }
}

async fn keep(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    faults: FaultSender,
    mut told: oneshot::Receiver<()>,
) {
    let mut written: Wanted = None;
    loop {
        let now = wanted(&snapshots.borrow_and_update());
        if let Some((path, _)) = written.take()
            && now.as_ref().is_none_or(|(other, _)| *other != path)
        {
            off_this_thread(move || remove(&path)).await;
        }
        put(now.clone(), &faults).await;
        written = now;
        tokio::select! {
            _ = &mut told => break,
            seen = snapshots.wait_for(|snapshot| wanted(snapshot) != written) => {
                if seen.is_err() {
                    break;
                }
            }
            () = sleep(RENEWED_EVERY) => {}
        }
    }
    if let Some((path, _)) = written {
        off_this_thread(move || remove(&path)).await;
    }
}

/// Nothing is known before the first sample, and nothing is said where the
/// config says nothing.
fn wanted(snapshot: &Snapshot) -> Wanted {
    let hints = &snapshot.hints.value;
    let path = hints.file.as_ref().filter(|_| snapshot.sample.is_some() && !hints.is_empty())?;
    Some((PathBuf::from(path), hints.in_force(snapshot.level.level)))
}

async fn put(wanted: Wanted, faults: &FaultSender) {
    let Some((path, in_force)) = wanted else {
        return faults.withdraw(ABOUT);
    };
    let written = off_this_thread(move || write(&path, &in_force, Wall::now())).await;
    match written {
        Some(Err(fault)) => {
            faults.tell(ABOUT, format!("other programs are not told: {}", chain(fault)));
        }
        Some(Ok(())) | None => faults.withdraw(ABOUT),
    }
}

/// Folders may hang.
async fn off_this_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
