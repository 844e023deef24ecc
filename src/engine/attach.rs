//! One engine acts on a machine; others attach to it over a unix socket.
//!
//! The holder listens at a path only its user can reach and checks who calls.
//! Both sides speak lines of JSON: first a hello each way, then snapshots and
//! answers out, numbered commands in. A part of a snapshot is sent only when
//! it changed. Nothing here runs, and nothing is serialised, while nobody is
//! attached; a client that does not read holds up nobody but itself.

mod client;
mod observing;
mod server;
mod wire;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::domain::snapshot::FORMAT;

pub use client::RemoteLink;
pub use observing::ObservingLink;
pub use server::{Served, Socket};
pub use wire::{Asked, Hello, ToClient, Update};

/// A peer that has not taken a line after so long is gone or stopped. Long
/// enough for a machine that thrashes.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum AttachFault {
    #[error("socket {} cannot be used", path.display())]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("socket {} is in use", path.display())]
    InUse { path: PathBuf },
    #[error("nothing answers at socket {}", path.display())]
    Silent { path: PathBuf },
    #[error("socket {} belongs to another user", path.display())]
    Stranger { path: PathBuf },
    #[error("plimsoll {version} speaks format {format}, this one speaks {FORMAT}")]
    Format { version: String, format: u32 },
    #[error("the conversation broke off")]
    Broken(#[from] io::Error),
}

/// Only this user, and root, who can do anything anyway.
pub const fn may_attach(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| may_attach(peer.uid(), own))
}

/// Lines as they come in, each bounded.
struct Lines {
    reader: BufReader<OwnedReadHalf>,
    /// What has come of the next line: `next` may be dropped and called again.
    begun: Vec<u8>,
    longest: usize,
}

impl Lines {
    fn new(reader: OwnedReadHalf, longest: usize) -> Lines {
        Lines { reader: BufReader::new(reader), begun: Vec::new(), longest }
    }

    /// A line that is too long, is no such value or has no end is an error.
    async fn next<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let room = self.longest.saturating_sub(self.begun.len());
        let mut rest = (&mut self.reader).take(room as u64);
        rest.read_until(b'\n', &mut self.begun).await?;
        if self.begun.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = std::mem::take(&mut self.begun);
        Ok(serde_json::from_slice(&line)?)
    }
}

async fn write_line(writer: &mut OwnedWriteHalf, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    match tokio::time::timeout(WRITE_LIMIT, writer.write_all(&line)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_user_and_root_may_attach() {
        assert!(may_attach(1000, 1000));
        assert!(may_attach(0, 1000));
        assert!(may_attach(0, 0));
        assert!(!may_attach(1001, 1000));
        assert!(!may_attach(1000, 0));
    }
}
