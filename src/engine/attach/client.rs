//! The other side: a link to the engine of another plimsoll on this machine.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::domain::Snapshot;
use crate::domain::snapshot::FORMAT;
use crate::engine::link::{Command, Link, Reply, SendError};

use super::wire::{Asked, Hello, ToClient};
use super::{AttachFault, Lines, is_trusted, write_line};

/// A unix socket connects at once or its queue is full.
const CONNECT_LIMIT: Duration = Duration::from_millis(300);

/// A holder that is stopped says no hello, and a person waits for this.
const HELLO_LIMIT: Duration = Duration::from_secs(1);

/// One that said it lives. The first snapshot is large where much is
/// installed, and slow where the machine thrashes.
const FIRST_LIMIT: Duration = Duration::from_secs(5);

/// Commands that may wait, as for an engine in this process.
const COMMANDS: usize = 32;

/// 10,000 installed models and 500 events come to some 5 MiB.
const LONGEST_LINE: usize = 64 * 1024 * 1024;

/// A grip on another process's engine. Its snapshots end when that does.
pub struct RemoteLink {
    commands: mpsc::Sender<(Command, oneshot::Sender<Reply>)>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl RemoteLink {
    /// Attaches to the holder who listens at `path`.
    pub async fn connect(path: &Path) -> Result<RemoteLink, AttachFault> {
        let silent = |_| AttachFault::Silent { path: path.to_owned() };
        let stream = timeout(CONNECT_LIMIT, UnixStream::connect(path)).await.map_err(silent)?;
        let stream =
            stream.map_err(|source| AttachFault::Socket { path: path.to_owned(), source })?;
        if !is_trusted(&stream) {
            return Err(AttachFault::Stranger { path: path.to_owned() });
        }
        let (reading, mut writing) = stream.into_split();
        let mut lines = Lines::new(reading, LONGEST_LINE);
        write_line(&mut writing, &Hello::own()).await?;
        let hello: Hello = timeout(HELLO_LIMIT, lines.next()).await.map_err(silent)??;
        if hello.format != FORMAT {
            let version = crate::domain::text::clean(&hello.plimsoll);
            return Err(AttachFault::Format { version, format: hello.format });
        }
        timeout(FIRST_LIMIT, RemoteLink::begin(lines, writing)).await.map_err(silent)?
    }

    async fn begin(mut lines: Lines, writing: OwnedWriteHalf) -> Result<RemoteLink, AttachFault> {
        let first = match lines.next().await? {
            ToClient::Snapshot(update) => update.onto(None),
            // Nothing was asked yet.
            ToClient::Answer { .. } => {
                return Err(io::Error::from(io::ErrorKind::InvalidData).into());
            }
        };
        let (sender, snapshots) = watch::channel(Arc::new(first));
        let (commands, asked) = mpsc::channel(COMMANDS);
        let conversation =
            Conversation { lines, writing, snapshots: sender, asked, waiting: BTreeMap::new() };
        // It ends with the link, or with the holder: then the sender of the
        // snapshots is gone, which front ends notice.
        tokio::spawn(async move { drop(conversation.run().await) });
        Ok(RemoteLink { commands, snapshots })
    }
}

impl Link for RemoteLink {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn send(&self, command: Command) -> Result<oneshot::Receiver<Reply>, SendError> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send((command, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Busy,
            mpsc::error::TrySendError::Closed(_) => SendError::Ended,
        })?;
        Ok(answer)
    }
}

struct Conversation {
    lines: Lines,
    writing: OwnedWriteHalf,
    snapshots: watch::Sender<Arc<Snapshot>>,
    asked: mpsc::Receiver<(Command, oneshot::Sender<Reply>)>,
    waiting: BTreeMap<u64, oneshot::Sender<Reply>>,
}

impl Conversation {
    async fn run(mut self) -> io::Result<()> {
        let mut number = 0;
        loop {
            tokio::select! {
                line = self.lines.next() => self.hear(line?),
                asked = self.asked.recv() => {
                    let Some((command, reply)) = asked else { return Ok(()) };
                    number += 1;
                    self.waiting.insert(number, reply);
                    write_line(&mut self.writing, &Asked { number, command }).await?;
                }
            }
        }
    }

    fn hear(&mut self, line: ToClient) {
        match line {
            ToClient::Snapshot(update) => {
                let next = update.onto(Some(&self.snapshots.borrow()));
                self.snapshots.send_replace(Arc::new(next));
            }
            ToClient::Answer { number, reply } => {
                if let Some(waiting) = self.waiting.remove(&number) {
                    // Nobody may be waiting any more: a closed dialog.
                    drop(waiting.send(reply));
                }
            }
        }
    }
}
