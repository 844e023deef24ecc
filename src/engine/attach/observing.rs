//! A grip on an engine that only looks, because another plimsoll acts on this
//! machine and cannot be attached to.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::domain::Snapshot;
use crate::engine::LocalLink;
use crate::engine::link::{Command, Link, Reply, SendError};

/// Passes on what changes nothing and refuses the rest.
pub struct ObservingLink {
    engine: LocalLink,
    /// Why it only looks: a fragment that can stand after "refused:".
    reason: String,
}

impl ObservingLink {
    pub fn new(engine: LocalLink, reason: String) -> ObservingLink {
        ObservingLink { engine, reason }
    }
}

impl Link for ObservingLink {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.engine.snapshots()
    }

    fn send(&self, command: Command) -> Result<oneshot::Receiver<Reply>, SendError> {
        if !command.changes() {
            return self.engine.send(command);
        }
        let (reply, answer) = oneshot::channel();
        // The other end is held right here.
        drop(reply.send(Reply::Refused { reason: self.reason.clone() }));
        Ok(answer)
    }
}
