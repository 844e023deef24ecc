//! Keeps what an engine of this process stands on: the lock and the socket,
//! as long as it runs, and in their places.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::act::lock::{Lock, LockFault};
use crate::engine::attach::{Served, Socket};
use crate::engine::{Engine, FaultSender, LocalLink};

use super::holder::{SOCKET, is_socket};
use super::{CLOSING, chain};

/// How often it is looked whether lock and socket are still there. A session
/// that ends may take its runtime folder along. Shorter than the usual grace of
/// rules: who takes the machine meanwhile does not act before this one ends.
const LOOK: Duration = Duration::from_secs(3);

/// What an engine holds while it runs. Dropped in this order: nobody may
/// attach any more when the lock goes.
pub(super) struct Kept {
    served: Option<Served>,
    lock: Option<Lock>,
    link: LocalLink,
    faults: FaultSender,
}

impl Kept {
    /// Must be called inside a tokio runtime.
    pub fn new(
        lock: Option<Lock>,
        socket: Option<Socket>,
        (link, faults): (LocalLink, FaultSender),
    ) -> Kept {
        let served = socket.map(|socket| socket.serve(link.clone()));
        Kept { served, lock, link, faults }
    }

    /// Puts back what has gone. An error: another plimsoll has this machine now.
    fn look_after(&mut self) -> Result<(), LockFault> {
        let Some(lock) = &self.lock else { return Ok(()) };
        let path = lock.path().to_owned();
        if !lock.is_in_place() {
            match Lock::acquire(&path) {
                Ok(lock) => {
                    self.lock = Some(lock);
                    self.faults.withdraw("lock");
                }
                Err(held @ LockFault::Held { .. }) => return Err(held),
                Err(fault) => {
                    self.faults.tell("lock", format!("the lock is gone: {}", chain(fault)));
                    return Ok(());
                }
            }
        }
        let socket = path.with_file_name(SOCKET);
        if !is_socket(&socket) {
            // The old one goes first: it takes the file of its name along.
            self.served = None;
            self.served = Socket::bind(&socket).ok().map(|socket| socket.serve(self.link.clone()));
        }
        Ok(())
    }
}

/// The engine's task and what it stands on.
pub(super) struct Keeper {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
    why: Arc<OnceLock<&'static str>>,
}

impl Keeper {
    pub fn start(kept: Kept, engine: Engine) -> Keeper {
        let (end, told) = oneshot::channel();
        let why = Arc::new(OnceLock::new());
        let task = tokio::spawn(keep(kept, engine, told, Arc::clone(&why)));
        Keeper { end, task, why }
    }

    /// Why the engine was ended from in here.
    pub fn why_ended(&self) -> Option<&'static str> {
        self.why.get().copied()
    }

    pub async fn end(self) {
        // One that has ended already needs no telling.
        self.end.send(()).ok();
        self.task.await.ok();
    }
}

async fn keep(
    mut kept: Kept,
    engine: Engine,
    mut told: oneshot::Receiver<()>,
    why: Arc<OnceLock<&'static str>>,
) {
    let (stop, stopped) = oneshot::channel();
    let mut engine = tokio::spawn(engine.run(stopped));
    loop {
        tokio::select! {
            _ = &mut told => break,
            _ = &mut engine => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if kept.look_after().is_err() {
            let taken = "another plimsoll took this machine while the lock was gone";
            why.set(taken).ok();
            break;
        }
    }
    kept.served = None;
    stop.send(()).ok();
    drop(tokio::time::timeout(CLOSING, engine).await);
}
