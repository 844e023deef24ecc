//! Whether NVIDIA's cards sleep, from files that do not wake them.
//!
//! Asking the driver for anything wakes every card that sleeps, and an open
//! session keeps it awake: some watts, for nothing, on a laptop's battery.

use std::path::Path;

use crate::sense::linux::file::{Kept, read_once};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    Awake,
    /// Awake, and it would fall asleep if it were left alone.
    MaySleep,
    /// All of them are.
    Asleep,
}

/// The cards on the bus.
#[derive(Debug, Default)]
pub struct Cards(Vec<Card>);

#[derive(Debug)]
struct Card {
    status: Kept,
    may_sleep: bool,
}

impl Cards {
    pub fn find(root: &Path, buffer: &mut Vec<u8>) -> Self {
        let Ok(entries) = std::fs::read_dir(root.join("sys/bus/pci/devices")) else {
            return Cards::default();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Cards(names.filter_map(|name| Card::find(root, &name, buffer)).collect())
    }

    /// Where the bus shows none (in a container, say), none of them sleeps.
    pub fn power(&mut self, buffer: &mut Vec<u8>) -> Power {
        let mut sleeping = self.0.iter_mut().map(|card| card.is_asleep(buffer));
        let is_any_awake = sleeping.any(|is_asleep| !is_asleep);
        if !is_any_awake && !self.0.is_empty() {
            Power::Asleep
        } else if self.0.iter().any(|card| card.may_sleep) {
            Power::MaySleep
        } else {
            Power::Awake
        }
    }
}

impl Card {
    /// `None`: another device, or of another maker.
    fn find(root: &Path, name: &str, buffer: &mut Vec<u8>) -> Option<Card> {
        let device = format!("sys/bus/pci/devices/{name}");
        let mut is = |what: &str, word: &str| {
            let text = read_once(&root.join(&device).join(what), buffer).ok();
            text.is_some_and(|text| text.starts_with(word.as_bytes()))
        };
        // The class of display controllers; its sound device is another.
        if !is("vendor", "0x10de") || !is("class", "0x03") {
            return None;
        }
        let is_managed = is("power/control", "auto");
        let driver = root.join(format!("proc/driver/nvidia/gpus/{name}/power"));
        let may_sleep = is_managed && lets_sleep(read_once(&driver, buffer).ok());
        Some(Card { status: Kept::new(root, &format!("{device}/power/runtime_status")), may_sleep })
    }

    /// One about to fall asleep would be woken too.
    fn is_asleep(&mut self, buffer: &mut Vec<u8>) -> bool {
        self.status.read(buffer).is_ok_and(|status| status.starts_with(b"suspend"))
    }
}

/// The driver's word; where it says nothing, the kernel's is believed.
fn lets_sleep(told: Option<&[u8]>) -> bool {
    let text = String::from_utf8_lossy(told.unwrap_or_default());
    let status = text.lines().find_map(|line| line.strip_prefix("Runtime D3 status:"));
    status.is_none_or(|status| status.trim().starts_with("Enabled"))
}
