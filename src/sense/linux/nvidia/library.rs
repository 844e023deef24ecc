//! The library that comes with NVIDIA's driver, opened at run time: a machine
//! without it needs nothing of it, and nothing is linked.
//!
//! A handle of a card never leaves a call, so none outlives its session.
#![expect(unsafe_code, reason = "the driver tells memory by a C library only")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{self, NonNull};

use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::Reading;
use crate::domain::text::clean_bytes;

/// What the library returns instead of success. It is kept as the number it
/// is: newer drivers have codes that older headers do not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub i32);

impl Code {
    pub const UNINITIALIZED: Code = Code(1);
    pub const INVALID_ARGUMENT: Code = Code(2);
    pub const NOT_SUPPORTED: Code = Code(3);
    pub const FUNCTION_NOT_FOUND: Code = Code(13);
    pub const GPU_IS_LOST: Code = Code(15);
    pub const RESET_REQUIRED: Code = Code(16);
    pub const ARGUMENT_VERSION_MISMATCH: Code = Code(25);
    pub const UNKNOWN: Code = Code(999);
}

/// As the driver tells a card's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    pub total: u64,
    pub free: u64,
    /// Taken by programs. The older call counts in it what the driver keeps.
    pub used: u64,
}

/// The calls that are needed. Cards are numbered from 0.
pub trait Library {
    fn begin(&mut self) -> Result<(), Code>;
    fn end(&mut self);
    fn count(&self) -> Result<u32, Code>;
    fn name(&self, index: u32) -> Result<Vec<u8>, Code>;
    /// By the call that tells apart what the driver keeps; drivers before 510
    /// do not have it.
    fn memory(&self, index: u32) -> Result<Amounts, Code>;
    /// By the call that every driver has.
    fn plain_memory(&self, index: u32) -> Result<Amounts, Code>;
}

/// The longest name, as newer headers have it, and its end.
const LONGEST_NAME: usize = 96;

type Handle = *mut c_void;
// SAFETY: types of functions only, as the driver's header declares them.
type Plain = unsafe extern "C" fn() -> c_int;
// SAFETY: as above.
type Count = unsafe extern "C" fn(*mut c_uint) -> c_int;
// SAFETY: as above.
type ByIndex = unsafe extern "C" fn(c_uint, *mut Handle) -> c_int;
// SAFETY: as above.
type Name = unsafe extern "C" fn(Handle, *mut c_char, c_uint) -> c_int;
// SAFETY: as above.
type Memory = unsafe extern "C" fn(Handle, *mut WithReserved) -> c_int;
// SAFETY: as above.
type PlainMemory = unsafe extern "C" fn(Handle, *mut Bare) -> c_int;

/// `nvmlMemory_v2_t`.
#[repr(C)]
#[derive(Default)]
struct WithReserved {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

impl WithReserved {
    /// The size in the lower bytes and the version in the highest, as the
    /// header's macro makes it: the library compares it whole.
    const VERSION: c_uint = size_of::<Self>() as c_uint | 2 << 24;
}

/// `nvmlMemory_t`.
#[repr(C)]
#[derive(Default)]
struct Bare {
    total: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// The driver's library, open.
pub struct DriverLibrary {
    begin: Plain,
    end: Plain,
    count: Count,
    by_index: ByIndex,
    name: Name,
    memory: Option<Memory>,
    plain_memory: Option<PlainMemory>,
    /// Closed last: the functions above lie in it.
    _opened: Opened,
}

impl DriverLibrary {
    /// The first of these that can be opened and has what is needed.
    pub fn open(candidates: &[CString]) -> Reading<Self> {
        let mut worst = SensorFault::absent("NVIDIA's driver has no library here");
        for candidate in candidates {
            match Opened::open(candidate).and_then(Self::of) {
                Ok(library) => return Ok(library),
                Err(fault) if fault.kind == FaultKind::Absent => {}
                Err(fault) => worst = fault,
            }
        }
        Err(worst)
    }

    fn of(opened: Opened) -> Reading<Self> {
        let missing = |name: &CStr| {
            let detail = format!("NVIDIA's library has no {}: too old", name.to_string_lossy());
            SensorFault::new(FaultKind::Failed, detail)
        };
        macro_rules! needed {
            ($name:literal) => {
                // SAFETY: the field's type is the function's in the header.
                unsafe { opened.function($name) }.ok_or_else(|| missing($name))?
            };
        }
        Ok(DriverLibrary {
            begin: needed!(c"nvmlInit_v2"),
            end: needed!(c"nvmlShutdown"),
            count: needed!(c"nvmlDeviceGetCount_v2"),
            by_index: needed!(c"nvmlDeviceGetHandleByIndex_v2"),
            name: needed!(c"nvmlDeviceGetName"),
            // SAFETY: the field's type is the function's in the header.
            memory: unsafe { opened.function(c"nvmlDeviceGetMemoryInfo_v2") },
            // SAFETY: the field's type is the function's in the header.
            plain_memory: unsafe { opened.function(c"nvmlDeviceGetMemoryInfo") },
            _opened: opened,
        })
    }

    fn handle(&self, index: u32) -> Result<Handle, Code> {
        let mut handle = ptr::null_mut();
        // SAFETY: there is room for the handle. Outside a session the call
        // answers with a code.
        checked(unsafe { (self.by_index)(index, &raw mut handle) })?;
        if handle.is_null() { Err(Code::UNKNOWN) } else { Ok(handle) }
    }
}

impl Library for DriverLibrary {
    fn begin(&mut self) -> Result<(), Code> {
        // SAFETY: takes no arguments; sessions are counted by the library.
        checked(unsafe { (self.begin)() })
    }

    fn end(&mut self) {
        // SAFETY: takes no arguments, and no handle is kept over it. Whether
        // it succeeds changes nothing.
        let _code = unsafe { (self.end)() };
    }

    fn count(&self) -> Result<u32, Code> {
        let mut count = 0;
        // SAFETY: there is room for the count.
        checked(unsafe { (self.count)(&raw mut count) })?;
        Ok(count)
    }

    fn name(&self, index: u32) -> Result<Vec<u8>, Code> {
        let handle = self.handle(index)?;
        let mut name = [0_u8; LONGEST_NAME];
        // SAFETY: the handle is of this session, and the length said is the
        // buffer's.
        let code = unsafe { (self.name)(handle, name.as_mut_ptr().cast(), LONGEST_NAME as c_uint) };
        checked(code)?;
        Ok(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
    }

    fn memory(&self, index: u32) -> Result<Amounts, Code> {
        let call = self.memory.ok_or(Code::FUNCTION_NOT_FOUND)?;
        let handle = self.handle(index)?;
        let mut told = WithReserved { version: WithReserved::VERSION, ..WithReserved::default() };
        // SAFETY: the handle is of this session, and the version says how
        // much room there is.
        checked(unsafe { call(handle, &raw mut told) })?;
        Ok(Amounts { total: told.total, free: told.free, used: told.used })
    }

    fn plain_memory(&self, index: u32) -> Result<Amounts, Code> {
        let call = self.plain_memory.ok_or(Code::FUNCTION_NOT_FOUND)?;
        let handle = self.handle(index)?;
        let mut told = Bare::default();
        // SAFETY: the handle is of this session, and the struct is what this
        // call has always filled.
        checked(unsafe { call(handle, &raw mut told) })?;
        Ok(Amounts { total: told.total, free: told.free, used: told.used })
    }
}

fn checked(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

/// A shared library, closed when dropped: one that a newer driver replaced is
/// then found anew.
struct Opened(NonNull<c_void>);

impl Opened {
    fn open(path: &CStr) -> Reading<Self> {
        // SAFETY: the path ends in a zero byte. What runs while it is opened
        // is the driver's own code, as with every program that uses the card.
        let opened = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        NonNull::new(opened).map(Opened).ok_or_else(refusal)
    }

    /// A function by its name.
    // SAFETY: the caller says the function's type, which must be a pointer to
    // a function of that very signature.
    unsafe fn function<F: Copy>(&self, name: &CStr) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: the library is open, and the name ends in a zero byte.
        let found = NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })?;
        // SAFETY: of one size, checked above; the caller answers for the type.
        Some(unsafe { std::mem::transmute_copy(&found) })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: opened by us and closed once; nothing found in it is left.
        unsafe { libc::dlclose(self.0.as_ptr()) };
    }
}

/// Why the last library was not opened.
fn refusal() -> SensorFault {
    // SAFETY: takes no arguments; the text is this thread's own until its
    // next such call.
    let told = unsafe { libc::dlerror() };
    if told.is_null() {
        return SensorFault::new(FaultKind::Failed, "NVIDIA's library does not open");
    }
    // SAFETY: not null, and it ends in a zero byte; it is copied at once.
    let text = clean_bytes(unsafe { CStr::from_ptr(told) }.to_bytes());
    match text.contains("No such file") {
        true => SensorFault::absent("NVIDIA's driver has no library here"),
        false => SensorFault::new(FaultKind::Failed, format!("NVIDIA's library: {text}")),
    }
}
