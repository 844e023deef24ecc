//! The kernel's word that its memory pressure changes, from a queue of events.
//!
//! The filter is the one below dispatch's memory pressure source. libc has no
//! name for it; where a kernel does not know it, registering fails, and then
//! there are just samples.
#![expect(unsafe_code, reason = "the system's own calls are the only way to these events")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::Reading;
use crate::sense::Waker;

/// `EVFILT_MEMORYSTATUS` of `sys/event_private.h`.
const FILTER: i16 = -14;
/// `NOTE_MEMORYSTATUS_PRESSURE_*`: normal, warning, critical.
const LEVELS: u32 = 1 | 2 | 4;

pub(super) struct PressureEvents {
    queue: OwnedFd,
}

impl PressureEvents {
    pub(super) fn open() -> Reading<Self> {
        // SAFETY: takes no arguments.
        let descriptor = unsafe { libc::kqueue() };
        if descriptor < 0 {
            return Err(last_fault());
        }
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        let queue = unsafe { OwnedFd::from_raw_fd(descriptor) };
        let change = event(libc::EV_ADD | libc::EV_CLEAR);
        // SAFETY: one change is pointed to and none is asked for.
        let code = unsafe {
            libc::kevent(queue.as_raw_fd(), &raw const change, 1, ptr::null_mut(), 0, ptr::null())
        };
        if code < 0 { Err(last_fault()) } else { Ok(PressureEvents { queue }) }
    }
}

impl Waker for PressureEvents {
    fn wait(&mut self) -> Reading<()> {
        loop {
            let mut told = event(0);
            // SAFETY: there is room for the one event that is asked for, and
            // no time is a wait without end.
            let count = unsafe {
                libc::kevent(self.queue.as_raw_fd(), ptr::null(), 0, &raw mut told, 1, ptr::null())
            };
            match count {
                1 if told.flags & libc::EV_ERROR == 0 => return Ok(()),
                -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => return Err(last_fault()),
            }
        }
    }
}

fn event(flags: u16) -> libc::kevent {
    let filter = FILTER;
    libc::kevent { ident: 0, filter, flags, fflags: LEVELS, data: 0, udata: ptr::null_mut() }
}

fn last_fault() -> SensorFault {
    let error = io::Error::last_os_error();
    SensorFault::new(FaultKind::Failed, format!("memory pressure events: {error}"))
}
