//! Devices under `/sys`: compressed swap in memory, and AMD graphics cards.
//!
//! They come and go seldom, so the folders are listed seldom and the files
//! stay open. NVIDIA's cards have a reader of their own; those of other makers
//! do not show their memory to everybody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{Kept, read_once};
use super::lines::{fields, number};
use super::nvidia::Nvidia;
use super::system;
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::{Gpu, Reading, Zram};
use crate::domain::text::clean_bytes;
use crate::domain::time::Monotonic;

/// Swap on zram may be set up at any time; a minute late does no harm.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The largest part that firmware carves out for an integrated card by itself.
const LARGEST_CARVE_OUT: Bytes = Bytes::gib(4);

#[derive(Debug)]
pub struct Devices {
    root: PathBuf,
    zram: Vec<Kept>,
    cards: Vec<Card>,
    nvidia: Nvidia,
    looked_at: Option<Monotonic>,
}

#[derive(Debug)]
struct Card {
    name: String,
    total: Bytes,
    unified: bool,
    /// Bytes used: of its own memory, and of the system's where it is unified.
    used: Vec<Kept>,
}

impl Devices {
    pub fn new(root: &Path) -> Self {
        Devices {
            root: root.to_owned(),
            zram: Vec::new(),
            cards: Vec::new(),
            nvidia: Nvidia::new(root),
            looked_at: None,
        }
    }

    /// Lists the folders again when that is due.
    pub fn look(&mut self, now: Monotonic, buffer: &mut Vec<u8>) {
        if self.looked_at.is_some_and(|at| now.since(at) < LOOK_AGAIN) {
            return;
        }
        self.looked_at = Some(now);
        let root = &self.root;
        self.zram = names(root, "sys/block", "zram")
            .into_iter()
            .filter(|name| size(root, &format!("sys/block/{name}/disksize"), buffer) != Some(0))
            .map(|name| Kept::new(root, &format!("sys/block/{name}/mm_stat")))
            .collect();
        self.cards = names(root, "sys/class/drm", "card")
            .iter()
            .filter_map(|name| Card::find(root, name, buffer))
            .collect();
    }

    /// All compressed swap of the machine.
    pub fn zram(&mut self, buffer: &mut Vec<u8>) -> Reading<Zram> {
        let mut sum: Option<Zram> = None;
        for device in &mut self.zram {
            let Some(one) = device.read(buffer).ok().and_then(system::zram) else { continue };
            let so_far = sum.unwrap_or(Zram { stored: Bytes::ZERO, taken: Bytes::ZERO });
            sum =
                Some(Zram { stored: so_far.stored + one.stored, taken: so_far.taken + one.taken });
        }
        sum.ok_or_else(|| SensorFault::absent("no zram"))
    }

    /// All cards; one without memory of its own has the system's.
    pub fn gpus(
        &mut self,
        (now, system): (Monotonic, Option<Bytes>),
        buffer: &mut Vec<u8>,
    ) -> Reading<Vec<Gpu>> {
        let nvidia = self.nvidia.gpus((now, system), buffer);
        all_of(self.cards.iter_mut().map(|card| card.read(buffer)).collect(), nvidia)
    }
}

/// What NVIDIA's driver does not tell takes nothing from AMD's cards.
fn all_of(mut gpus: Vec<Gpu>, nvidia: Reading<Vec<Gpu>>) -> Reading<Vec<Gpu>> {
    match nvidia {
        Ok(cards) => gpus.extend(cards),
        Err(fault) if gpus.is_empty() && fault.kind != FaultKind::Absent => return Err(fault),
        Err(_) => {}
    }
    match gpus.is_empty() {
        true => Err(SensorFault::absent("no GPU that tells its memory")),
        false => Ok(gpus),
    }
}

impl Card {
    fn find(root: &Path, name: &str, buffer: &mut Vec<u8>) -> Option<Card> {
        // `card0-HDMI-A-1` is a socket of `card0`.
        let digits = name.strip_prefix("card")?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
        let device = format!("sys/class/drm/{name}/device");
        let file = |what: &str| format!("{device}/{what}");
        let own = size(root, &file("mem_info_vram_total"), buffer)?;
        let system = size(root, &file("mem_info_gtt_total"), buffer).unwrap_or(0);
        let product = word(root, &file("product_name"), buffer);
        // Only memory chips on a card have a maker.
        let maker = word(root, &file("mem_info_vram_vendor"), buffer);
        let has_own_chips = maker.is_some_and(|maker| maker != "unknown");
        let unified = !has_own_chips && system > own && Bytes::new(own) <= LARGEST_CARVE_OUT;
        let mut used = vec![Kept::new(root, &file("mem_info_vram_used"))];
        if unified {
            used.push(Kept::new(root, &file("mem_info_gtt_used")));
        }
        Some(Card {
            name: product.unwrap_or_else(|| format!("AMD {name}")),
            total: Bytes::new(own) + Bytes::new(if unified { system } else { 0 }),
            unified,
            used,
        })
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Gpu {
        let mut sum = Some(Bytes::ZERO);
        for part in &mut self.used {
            let read = part.read(buffer).ok().and_then(|text| number(fields(text).next()?));
            sum = sum.zip(read).map(|(sum, read)| sum + Bytes::new(read));
        }
        Gpu { name: self.name.clone(), total: self.total, used: sum, unified: self.unified }
    }
}

/// Names in a folder that begin so, in order.
fn names(root: &Path, folder: &str, start: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(start))
        .collect();
    names.sort_unstable();
    names
}

fn size(root: &Path, below: &str, buffer: &mut Vec<u8>) -> Option<u64> {
    number(fields(read_once(&root.join(below), buffer).ok()?).next()?)
}

fn word(root: &Path, below: &str, buffer: &mut Vec<u8>) -> Option<String> {
    let text = clean_bytes(read_once(&root.join(below), buffer).ok()?);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_makers_fault_takes_nothing_from_the_others_cards() {
        let card = |name: &str| Gpu {
            name: name.to_owned(),
            total: Bytes::gib(8),
            used: Some(Bytes::gib(1)),
            unified: false,
        };
        let hung = || SensorFault::new(FaultKind::Hung, "a driver hangs");
        let both = all_of(vec![card("AMD")], Ok(vec![card("NVIDIA")]));
        assert_eq!(both, Ok(vec![card("AMD"), card("NVIDIA")]));
        assert_eq!(all_of(vec![card("AMD")], Err(hung())), Ok(vec![card("AMD")]));
        assert_eq!(all_of(Vec::new(), Err(hung())), Err(hung()));
        let none = SensorFault::absent("no GPU that tells its memory");
        assert_eq!(all_of(Vec::new(), Err(SensorFault::absent("no driver"))), Err(none));
    }
}
