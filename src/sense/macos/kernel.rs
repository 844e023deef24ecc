//! The calls into macOS. Each returns raw bytes or plain counts, or says why
//! not; nothing is judged here.
//!
//! mach2 has the structure of `host_statistics64` and libc the call. libc's
//! own `HOST_VM_INFO64_COUNT` belongs to libc's own, longer structure: with
//! mach2's it would let the kernel write past the end, so the count is taken
//! from the structure that is passed.
#![expect(unsafe_code, reason = "the system's own calls are the only way to these figures")]

use std::ffi::{CString, c_int, c_void};
use std::io;
use std::mem::{offset_of, size_of};
use std::ptr;

use mach2::kern_return::KERN_SUCCESS;
use mach2::mach_init::mach_host_self;
use mach2::mach_time::{mach_timebase_info, mach_timebase_info_data_t};
use mach2::vm_page_size::vm_kernel_page_size;
use mach2::vm_statistics::vm_statistics64;

use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::Reading;
use crate::sense::mach::process_list::{ENTRY_SIZE, Identity};
use crate::sense::mach::statistics::VmStatistics;
use crate::sense::mach::{Kernel, Usage, number};

pub(super) struct MacKernel {
    /// The right to ask about this host. Each request for it adds a reference,
    /// so it is requested once.
    host: libc::mach_port_t,
    timebase: (u32, u32),
    own: Identity,
}

/// `host_statistics64` counts in words of this size.
const WORD: usize = size_of::<libc::integer_t>();

/// Words up to and with the last count we read: older kernels answer with less
/// than the whole structure, and that is well as long as these are in it.
const WORDS_NEEDED: usize =
    offset_of!(vm_statistics64, total_uncompressed_pages_in_compressor) / WORD;

/// How often a list that grew while it was read is asked for again.
const LIST_ATTEMPTS: u32 = 4;

/// Room for processes born between asking for the size and reading.
const LIST_SLACK: usize = 32 * ENTRY_SIZE;

impl MacKernel {
    pub(super) fn new() -> Self {
        let mut timebase = mach_timebase_info_data_t { numer: 0, denom: 0 };
        // SAFETY: the argument points to a structure of the type the call fills.
        let code = unsafe { mach_timebase_info(&raw mut timebase) };
        let timebase = if code == KERN_SUCCESS { (timebase.numer, timebase.denom) } else { (0, 0) };
        MacKernel {
            // SAFETY: takes no arguments and only returns a port name.
            host: unsafe { mach_host_self() },
            timebase,
            own: Identity {
                pid: std::process::id(),
                parent: std::os::unix::process::parent_id(),
                // SAFETY: takes no arguments and cannot fail.
                uid: unsafe { libc::geteuid() },
            },
        }
    }
}

impl Kernel for MacKernel {
    fn sysctl(&self, name: &str) -> Reading<Vec<u8>> {
        let c_name = CString::new(name)
            .map_err(|_| SensorFault::new(FaultKind::Failed, format!("{name:?}: not a name")))?;
        // The longest answer asked for is a text of less than a hundred bytes.
        let mut bytes = vec![0_u8; 256];
        let mut length = bytes.len();
        // SAFETY: the name ends in a NUL; buffer and length belong together and
        // outlive the call; nothing is written, as the new value is null.
        let code = unsafe {
            libc::sysctlbyname(
                c_name.as_ptr(),
                bytes.as_mut_ptr().cast::<c_void>(),
                &raw mut length,
                ptr::null_mut(),
                0,
            )
        };
        if code != 0 {
            return Err(fault(name, &io::Error::last_os_error()));
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn vm_statistics(&self) -> Reading<VmStatistics> {
        let mut found = vm_statistics64::default();
        let mut words = (size_of::<vm_statistics64>() / WORD) as libc::mach_msg_type_number_t;
        // SAFETY: `words` is the size of the structure pointed to, and the
        // kernel writes no more words than that.
        let code = unsafe {
            libc::host_statistics64(
                self.host,
                libc::HOST_VM_INFO64,
                (&raw mut found).cast::<libc::integer_t>(),
                &raw mut words,
            )
        };
        if code != KERN_SUCCESS {
            let detail = format!("host_statistics64: kernel answer {code}");
            return Err(SensorFault::new(FaultKind::Failed, detail));
        }
        if (words as usize) < WORDS_NEEDED {
            let detail = format!("host_statistics64: {words} words, {WORDS_NEEDED} needed");
            return Err(SensorFault::new(FaultKind::Malformed, detail));
        }
        Ok(VmStatistics {
            page_size: page_size(),
            free: u64::from(found.free_count),
            speculative: u64::from(found.speculative_count),
            wired: u64::from(found.wire_count),
            purgeable: u64::from(found.purgeable_count),
            compressor: u64::from(found.compressor_page_count),
            external: u64::from(found.external_page_count),
            internal: u64::from(found.internal_page_count),
            swapins: found.swapins,
            swapouts: found.swapouts,
        })
    }

    fn pids(&self) -> Reading<Vec<u32>> {
        // SAFETY: with no buffer the call only answers how many there are.
        let count = unsafe { libc::proc_listallpids(ptr::null_mut(), 0) };
        let count = usize::try_from(count)
            .map_err(|_| fault("proc_listallpids", &io::Error::last_os_error()))?;
        // Room for those born in between; more only make the list unlike the last.
        let mut pids = vec![0_i32; count + 32];
        let size = (pids.len() * size_of::<i32>()) as c_int;
        // SAFETY: the buffer is `size` bytes long and outlives the call.
        let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast::<c_void>(), size) };
        let count = usize::try_from(count)
            .map_err(|_| fault("proc_listallpids", &io::Error::last_os_error()))?;
        pids.truncate(count);
        Ok(pids.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect())
    }

    fn process_list(&self) -> Reading<Vec<u8>> {
        let mut name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_ALL, 0];
        let mut attempt = 1;
        loop {
            let room = sysctl_size(&mut name).map_err(|error| fault("kern.proc.all", &error))?;
            match sysctl_bytes(&mut name, room + LIST_SLACK) {
                Ok(bytes) => return Ok(bytes),
                Err(error)
                    if error.raw_os_error() == Some(libc::ENOMEM) && attempt < LIST_ATTEMPTS =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(fault("kern.proc.all", &error)),
            }
        }
    }

    fn arguments(&self, pid: u32) -> Reading<Vec<u8>> {
        let longest = self
            .sysctl("kern.argmax")
            .and_then(|bytes| number("kern.argmax", &bytes))
            .and_then(|longest| {
                // 1 MiB on every release so far; a foolish answer is not believed.
                let is_sane = (4096..=64 << 20).contains(&longest);
                is_sane.then_some(longest as usize).ok_or_else(|| {
                    SensorFault::new(FaultKind::Malformed, format!("kern.argmax: {longest}"))
                })
            })?;
        let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, signed(pid)];
        sysctl_bytes(&mut name, longest)
            .map_err(|error| fault(&format!("arguments of process {pid}"), &error))
    }

    fn usage(&self, pid: u32) -> Reading<Usage> {
        // SAFETY: the structure is made of integers, for which zero is valid.
        let mut found: libc::rusage_info_v2 = unsafe { std::mem::zeroed() };
        // SAFETY: the buffer has the type that this flavour fills.
        let code = unsafe {
            libc::proc_pid_rusage(
                signed(pid),
                libc::RUSAGE_INFO_V2,
                (&raw mut found).cast::<libc::rusage_info_t>(),
            )
        };
        if code != 0 {
            return Err(fault(&format!("usage of process {pid}"), &io::Error::last_os_error()));
        }
        Ok(Usage {
            resident: found.ri_resident_size,
            physical_footprint: found.ri_phys_footprint,
            user_ticks: found.ri_user_time,
            system_ticks: found.ri_system_time,
            started_ticks: found.ri_proc_start_abstime,
        })
    }

    fn path(&self, pid: u32) -> Option<String> {
        let mut bytes = vec![0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
        // SAFETY: the buffer has the length given and outlives the call.
        let length = unsafe {
            libc::proc_pidpath(
                signed(pid),
                bytes.as_mut_ptr().cast::<c_void>(),
                libc::PROC_PIDPATHINFO_MAXSIZE as u32,
            )
        };
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        Some(String::from_utf8_lossy(bytes.get(..length)?).into_owned())
    }

    fn timebase(&self) -> (u32, u32) {
        self.timebase
    }

    fn own(&self) -> Identity {
        // The parent changes when it ends before us.
        Identity { parent: std::os::unix::process::parent_id(), ..self.own }
    }
}

/// The kernel's own page size: a translated program is told another one by
/// `hw.pagesize`, while the counts stay in the kernel's pages.
fn page_size() -> u64 {
    // SAFETY: the loader sets it before the program starts, and nobody writes it.
    unsafe { vm_kernel_page_size as u64 }
}

fn sysctl_size(name: &mut [c_int]) -> io::Result<usize> {
    let mut length = 0_usize;
    sysctl_call(name, ptr::null_mut(), &mut length)?;
    Ok(length)
}

fn sysctl_bytes(name: &mut [c_int], room: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; room];
    let mut length = room;
    sysctl_call(name, bytes.as_mut_ptr().cast::<c_void>(), &mut length)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// `buffer` is null, or has room for `length` bytes.
fn sysctl_call(name: &mut [c_int], buffer: *mut c_void, length: &mut usize) -> io::Result<()> {
    // SAFETY: the name has the number of parts given; the two callers above
    // pass a null buffer or one of `length` bytes; no new value is set.
    let code = unsafe {
        libc::sysctl(
            name.as_mut_ptr(),
            name.len() as libc::c_uint,
            buffer,
            length,
            ptr::null_mut(),
            0,
        )
    };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Pids are positive and far below the limit of an `int`.
fn signed(pid: u32) -> c_int {
    c_int::try_from(pid).unwrap_or(c_int::MAX)
}

fn fault(what: &str, error: &io::Error) -> SensorFault {
    let kind = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => FaultKind::Absent,
        Some(libc::EPERM | libc::EACCES) => FaultKind::Denied,
        _ => FaultKind::Failed,
    };
    SensorFault::new(kind, format!("{what}: {error}"))
}
