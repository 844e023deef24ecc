//! Memory of NVIDIA's cards, which their driver tells by a library only.
//!
//! A machine without that driver pays for one look at a few names every five
//! minutes. Where a driver is, it is asked on a thread of its own, seldom where
//! a card could sleep, and never while it does.

mod apart;
mod library;
mod power;
mod reader;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::apart::Apart;
use self::library::DriverLibrary;
use self::power::Cards;
use self::reader::{Card, CardMemory};
use crate::domain::bytes::Bytes;
use crate::domain::fault::SensorFault;
use crate::domain::sample::{Gpu, Reading};
use crate::domain::time::Monotonic;

/// Drivers come with an update or a card that is plugged in.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// Any of these says that there is a driver: the kernel's, as containers see
/// it, and as Linux on Windows has it.
const SIGNS: [&str; 3] =
    ["proc/driver/nvidia/version", "dev/nvidiactl", "usr/lib/wsl/lib/libnvidia-ml.so.1"];

/// Where the loader knows it, and where Linux on Windows has it.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1"];

#[derive(Debug)]
pub struct Nvidia {
    root: PathBuf,
    libraries: Vec<CString>,
    looked_at: Option<Monotonic>,
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    reader: Reading<Apart>,
    power: Cards,
}

impl Nvidia {
    pub fn new(root: &Path) -> Self {
        Self::with_libraries(root, &LIBRARIES)
    }

    /// Looks for the library under other names than the driver gives it.
    fn with_libraries(root: &Path, libraries: &[&str]) -> Self {
        let libraries = libraries.iter().filter_map(|name| CString::new(*name).ok()).collect();
        Nvidia { root: root.to_owned(), libraries, looked_at: None, found: None }
    }

    /// All cards. `system` is the memory that a card without its own has.
    pub fn gpus(
        &mut self,
        (now, system): (Monotonic, Option<Bytes>),
        buffer: &mut Vec<u8>,
    ) -> Reading<Vec<Gpu>> {
        self.look(now, buffer);
        let absent = || SensorFault::absent("no NVIDIA driver");
        let Found { reader, power } = self.found.as_mut().ok_or_else(absent)?;
        let reader = reader.as_mut().map_err(|fault| fault.clone())?;
        told(reader.cards(now, power.power(buffer))?, system)
    }

    /// Sees whether there is a driver, when that is due.
    fn look(&mut self, now: Monotonic, buffer: &mut Vec<u8>) {
        if self.looked_at.is_some_and(|at| now.since(at) < LOOK_AGAIN) {
            return;
        }
        self.looked_at = Some(now);
        if !SIGNS.iter().any(|sign| self.root.join(sign).exists()) {
            self.found = None;
            return;
        }
        let power = Cards::find(&self.root, buffer);
        let reader = match self.found.take() {
            Some(Found { reader: Ok(reader), .. }) => Ok(reader),
            _ => {
                let libraries = self.libraries.clone();
                Apart::start(move || DriverLibrary::open(&libraries))
            }
        };
        self.found = Some(Found { reader, power });
    }
}

/// Cards that tell no size of their memory cannot be shown. Where no card
/// tells anything, the reason is worth more than their names.
fn told(cards: Vec<Card>, system: Option<Bytes>) -> Reading<Vec<Gpu>> {
    let mut why = SensorFault::absent("no NVIDIA card");
    let mut is_told = false;
    let mut gpus = Vec::with_capacity(cards.len());
    for Card { name, memory } in cards {
        let (total, used, unified) = match memory {
            CardMemory::Own { total, free } => {
                (Some(total), Some(total.saturating_sub(free)), false)
            }
            CardMemory::Shared => (system, None, true),
            CardMemory::Unknown { total, fault } => {
                why = fault;
                gpus.extend(total.map(|total| Gpu { name, total, used: None, unified: false }));
                continue;
            }
        };
        is_told |= total.is_some();
        gpus.extend(total.map(|total| Gpu { name, total, used, unified }));
    }
    if is_told { Ok(gpus) } else { Err(why) }
}
