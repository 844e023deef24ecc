//! The thread that writes to the terminal, with a mailbox of one picture.
//!
//! A terminal that nobody reads blocks this thread and nothing else; at the
//! end it is left behind.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use tokio::sync::Notify;

/// Bytes written at a time: small enough that a slow line shows progress.
const CHUNK: usize = 1024;

/// The terminal's end of the wire, shared with the panic hook.
#[derive(Debug)]
pub struct Outlet {
    terminal: OwnedFd,
    /// Pictures may be written. Closed as soon as the terminal is given back.
    is_open: AtomicBool,
    is_idle: AtomicBool,
    has_failed: AtomicBool,
    written: AtomicU64,
    /// Told when a picture has been written, or cannot be.
    pub done: Notify,
}

pub struct Writer {
    outlet: Arc<Outlet>,
    mailbox: SyncSender<Vec<u8>>,
}

impl Writer {
    /// Starts the thread. `terminal` is usually a copy of standard output.
    pub fn start(terminal: OwnedFd) -> io::Result<Writer> {
        let outlet = Arc::new(Outlet {
            terminal,
            is_open: AtomicBool::new(false),
            is_idle: AtomicBool::new(true),
            has_failed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            done: Notify::new(),
        });
        let (mailbox, pictures) = sync_channel(1);
        let theirs = Arc::clone(&outlet);
        // Never joined: it may hang in a write for as long as the terminal does.
        std::thread::Builder::new()
            .name("terminal".to_owned())
            .stack_size(128 * 1024)
            .spawn(move || theirs.write_all_of(&pictures))?;
        Ok(Writer { outlet, mailbox })
    }

    pub fn outlet(&self) -> Arc<Outlet> {
        Arc::clone(&self.outlet)
    }

    pub fn is_idle(&self) -> bool {
        self.outlet.is_idle.load(Ordering::Acquire)
    }

    /// Bytes the terminal has taken so far.
    pub fn written(&self) -> u64 {
        self.outlet.written.load(Ordering::Relaxed)
    }

    /// Hands a picture over; only while idle, so the mailbox has room.
    pub fn send(&self, picture: Vec<u8>) {
        self.outlet.is_idle.store(false, Ordering::Release);
        if self.mailbox.try_send(picture).is_err() {
            self.outlet.fail();
        }
    }
}

impl Outlet {
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    /// Whether it was open.
    pub fn close(&self) -> bool {
        self.is_open.swap(false, Ordering::AcqRel)
    }

    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// The terminal is gone.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
        self.done.notify_one();
    }

    fn write_all_of(&self, pictures: &Receiver<Vec<u8>>) {
        while let Ok(picture) = pictures.recv() {
            for chunk in picture.chunks(CHUNK) {
                if self.is_open.load(Ordering::Acquire) && self.write(chunk).is_err() {
                    self.fail();
                }
            }
            self.is_idle.store(true, Ordering::Release);
            self.done.notify_one();
        }
    }

    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.terminal, bytes) {
                Ok(count) => {
                    self.written.fetch_add(count as u64, Ordering::Relaxed);
                    bytes = &bytes[count..];
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    // Somebody else's flag on a shared terminal: wait for room.
                    poll(&mut [PollFd::new(&self.terminal, PollFlags::OUT)], None)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes a few bytes past the mailbox, where the terminal takes them
    /// without waiting; says whether it did.
    pub fn write_now(&self, bytes: &[u8]) -> bool {
        let room = poll(
            &mut [PollFd::new(&self.terminal, PollFlags::OUT)],
            Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }),
        );
        matches!(room, Ok(1)) && self.write(bytes).is_ok()
    }
}
