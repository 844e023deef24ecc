//! The holder's side: listens, checks who calls, tells snapshots, passes
//! commands on to the engine.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::domain::Snapshot;
use crate::domain::snapshot::FORMAT;
use crate::engine::LocalLink;
use crate::engine::link::{Attention, Command, Link, Reply, SendError};

use super::wire::{Asked, Hello, ToClient, Update};
use super::{AttachFault, Lines, is_trusted, write_line};

/// Dashboards and commands of one person; more are turned away, so that no
/// script that leaks connections costs the engine its memory.
const CLIENTS: usize = 8;

/// The longest command, a plan that unloads everything, has some KiB.
const LONGEST_LINE: usize = 1024 * 1024;

/// Commands of one client that may wait for their answer; then it is not read.
const PENDING: usize = 32;

/// A client says its hello at once; one that does not keeps no place.
const HELLO_LIMIT: Duration = Duration::from_secs(2);

/// After a failed accept, which means that file descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// A socket that is bound and not yet served. Removed when dropped.
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

impl Socket {
    /// Must be called by who holds the lock: a socket that is there is then a
    /// dead holder's, and is replaced.
    pub fn bind(path: &Path) -> Result<Socket, AttachFault> {
        let fault = |source| AttachFault::Socket { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => fs::remove_file(path).map_err(fault)?,
            Ok(_) => return Err(AttachFault::InUse { path: path.to_owned() }),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(fault)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(fault)?;
        Ok(Socket { listener, file })
    }

    /// Must run inside a tokio runtime.
    pub fn serve(self, link: LocalLink) -> Served {
        let task = tokio::spawn(accept(self.listener, link));
        Served { task, _file: self.file }
    }
}

/// The socket as long as it is answered.
pub struct Served {
    task: JoinHandle<()>,
    _file: SocketFile,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Best effort: the next holder replaces what stays.
        fs::remove_file(&self.0).ok();
    }
}

async fn accept(listener: UnixListener, link: LocalLink) {
    let mut clients = JoinSet::new();
    let mut viewer = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if clients.len() < CLIENTS && is_trusted(&stream) => {
                    viewer += 1;
                    clients.spawn(converse(stream, link.for_viewer(viewer)));
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Any fault ends this conversation and nothing else.
async fn converse(stream: UnixStream, link: LocalLink) {
    let (reading, writing) = stream.into_split();
    let client = Client {
        lines: Lines::new(reading, LONGEST_LINE),
        writing,
        snapshots: link.snapshots(),
        sent: None,
        pending: FuturesUnordered::new(),
        link: link.clone(),
    };
    drop(client.run().await);
    drop(link.send(Command::Attend { attention: Attention::NONE }));
}

struct Client {
    lines: Lines,
    writing: OwnedWriteHalf,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What the other side knows.
    sent: Option<Arc<Snapshot>>,
    pending: FuturesUnordered<BoxFuture<'static, ToClient>>,
    link: LocalLink,
}

impl Client {
    async fn run(mut self) -> io::Result<()> {
        write_line(&mut self.writing, &Hello::own()).await?;
        let hello = tokio::time::timeout(HELLO_LIMIT, self.lines.next::<Hello>()).await;
        if hello.map_err(io::Error::from)??.format != FORMAT {
            return Ok(());
        }
        self.snapshots.mark_changed();
        loop {
            tokio::select! {
                asked = self.lines.next(), if self.pending.len() < PENDING => self.ask(asked?),
                Some(answer) = self.pending.next() => {
                    write_line(&mut self.writing, &answer).await?;
                }
                changed = self.snapshots.changed() => match changed {
                    Ok(()) => self.tell().await?,
                    Err(_) => return Ok(()),
                },
            }
        }
    }

    fn ask(&mut self, asked: Asked) {
        let number = asked.number;
        let sent = self.link.send(asked.command);
        self.pending.push(Box::pin(async move {
            let refused = |error: SendError| Reply::Refused { reason: error.to_string() };
            let reply = match sent {
                Ok(reply) => reply.await.unwrap_or_else(|_| refused(SendError::Ended)),
                Err(error) => refused(error),
            };
            ToClient::Answer { number, reply }
        }));
    }

    /// Always the newest: what a slow client missed is not made up for.
    async fn tell(&mut self) -> io::Result<()> {
        let now = Arc::clone(&self.snapshots.borrow_and_update());
        let update = Update::between(self.sent.as_deref(), &now);
        self.sent = Some(now);
        write_line(&mut self.writing, &ToClient::Snapshot(Box::new(update))).await
    }
}
