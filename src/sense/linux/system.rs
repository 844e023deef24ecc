//! What `/proc/meminfo`, `/proc/vmstat`, `/proc/pressure/memory` and zram say.
//!
//! Pure over bytes. Read by name, since lines come and go with kernels; what
//! is missing or makes no sense is a fault or a gap, never a zero.

use super::lines::{complete_lines, fields, keyed, kib, number};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::{
    AvailableSource, Memory, MemoryParts, Paging, Pressure, Reading, Stall, Swap, Zram,
};

/// The lines of meminfo that are used. Counters overlap: they sum to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meminfo {
    total: Option<Bytes>,
    free: Option<Bytes>,
    available: Option<Bytes>,
    buffers: Option<Bytes>,
    cached: Option<Bytes>,
    anonymous: Option<Bytes>,
    shared: Option<Bytes>,
    slab_unreclaimable: Option<Bytes>,
    swap_total: Option<Bytes>,
    swap_free: Option<Bytes>,
}

/// Fields of [`Meminfo`]; with all of them found, half of the file is left.
const WANTED_LINES: usize = 10;

impl Meminfo {
    pub fn parse(text: &[u8]) -> Self {
        let mut found = Meminfo::default();
        let mut to_find = WANTED_LINES;
        for line in text.split(|byte| *byte == b'\n') {
            let Some((name, value)) = keyed(line) else { continue };
            let slot = match name {
                b"MemTotal" => &mut found.total,
                b"MemFree" => &mut found.free,
                b"MemAvailable" => &mut found.available,
                b"Buffers" => &mut found.buffers,
                b"Cached" => &mut found.cached,
                b"AnonPages" => &mut found.anonymous,
                b"Shmem" => &mut found.shared,
                b"SUnreclaim" => &mut found.slab_unreclaimable,
                b"SwapTotal" => &mut found.swap_total,
                b"SwapFree" => &mut found.swap_free,
                _ => continue,
            };
            // The kernel never says a name twice; the first is its own.
            if slot.is_some() {
                continue;
            }
            *slot = kib(value);
            to_find -= usize::from(slot.is_some());
            if to_find == 0 {
                break;
            }
        }
        found
    }

    pub fn memory(&self) -> Reading<Memory> {
        let total = self.total.filter(|total| !total.is_zero());
        let total = total.ok_or_else(|| missing("MemTotal"))?;
        let free = self.free.ok_or_else(|| missing("MemFree"))?.min(total);
        let (available, available_source) = match self.available {
            Some(available) => (available, AvailableSource::Kernel),
            None => (self.available_by_parts(free)?, AvailableSource::Fallback),
        };
        let cached = match (self.cached, self.buffers) {
            (Some(cached), buffers) => Some(cached + buffers.unwrap_or_default()),
            (None, _) => None,
        };
        Ok(Memory {
            total,
            available: available.min(total),
            free,
            available_source,
            parts: MemoryParts::Linux {
                anonymous: self.anonymous,
                cached,
                shared: self.shared,
                slab_unreclaimable: self.slab_unreclaimable,
            },
        })
    }

    /// For kernels before 3.14. Shared memory sits in the cache and cannot be
    /// dropped, so without it the sum would promise too much; without buffers
    /// it promises too little, which does no harm.
    fn available_by_parts(&self, free: Bytes) -> Reading<Bytes> {
        let cached = self.cached.ok_or_else(|| missing("MemAvailable and Cached"))?;
        let shared = self.shared.ok_or_else(|| missing("MemAvailable and Shmem"))?;
        Ok((free + cached + self.buffers.unwrap_or_default()).saturating_sub(shared))
    }

    pub fn swap(&self) -> Reading<Swap> {
        let total = self.swap_total.ok_or_else(|| missing("SwapTotal"))?;
        if total.is_zero() {
            return Err(SensorFault::absent("no swap"));
        }
        let free = self.swap_free.ok_or_else(|| missing("SwapFree"))?;
        Ok(Swap { total, used: total.saturating_sub(free) })
    }
}

fn missing(name: &str) -> SensorFault {
    malformed(&format!("/proc/meminfo: {name} missing or unreadable"))
}

fn malformed(detail: &str) -> SensorFault {
    SensorFault::new(FaultKind::Malformed, detail)
}

/// The counters of vmstat; pages become bytes here, since a page is 4 KiB only
/// on some machines.
pub fn paging(text: &[u8], page: Bytes) -> Reading<Paging> {
    let mut found = Paging::default();
    let bytes = |pages: u64| pages.checked_mul(page.get()).map(Bytes::new);
    for line in complete_lines(text) {
        // Two hundred lines, seven names: the first letters spare the rest.
        if !matches!(line.first(), Some(b'p' | b'w' | b'o')) {
            continue;
        }
        let Some(blank) = line.iter().position(|byte| *byte == b' ') else { continue };
        let value = || number(&line[blank + 1..]);
        match &line[..blank] {
            b"pswpin" => found.swapped_in = value().and_then(bytes),
            b"pswpout" => found.swapped_out = value().and_then(bytes),
            b"pgmajfault" => found.major_faults = value(),
            // One counter for both before Linux 5.9.
            b"workingset_refault_file" | b"workingset_refault" => found.refaults_file = value(),
            b"workingset_refault_anon" => found.refaults_anon = value(),
            b"oom_kill" => found.oom_kills = value(),
            _ => continue,
        }
        if is_complete(&found) {
            break;
        }
    }
    if found == Paging::default() {
        return Err(malformed("/proc/vmstat: none of its counters is known"));
    }
    Ok(found)
}

/// Nothing is left to look for in the rest of the file.
fn is_complete(found: &Paging) -> bool {
    found.swapped_in.is_some()
        && found.swapped_out.is_some()
        && found.major_faults.is_some()
        && found.refaults_file.is_some()
        && found.refaults_anon.is_some()
        && found.oom_kills.is_some()
}

pub fn pressure(text: &[u8]) -> Reading<Pressure> {
    let mut some = None;
    let mut full = None;
    for line in complete_lines(text) {
        if let Some(rest) = line.strip_prefix(b"some ") {
            some = some.or_else(|| stall(rest));
        } else if let Some(rest) = line.strip_prefix(b"full ") {
            full = full.or_else(|| stall(rest));
        }
    }
    let some = some.ok_or_else(|| malformed("/proc/pressure/memory: no `some` line"))?;
    Ok(Pressure::Psi { some, full })
}

fn stall(line: &[u8]) -> Option<Stall> {
    let (mut avg10, mut avg60, mut avg300, mut total) = (None, None, None, None);
    for field in fields(line) {
        let equals = field.iter().position(|byte| *byte == b'=')?;
        let value = &field[equals + 1..];
        match &field[..equals] {
            b"avg10" => avg10 = share(value),
            b"avg60" => avg60 = share(value),
            b"avg300" => avg300 = share(value),
            b"total" => total = number(value),
            _ => {}
        }
    }
    Some(Stall { avg10: avg10?, avg60: avg60?, avg300: avg300?, total_us: total? })
}

/// A share of time: `0.00` to `100.00`, and nothing else that looks like one.
fn share(value: &[u8]) -> Option<f64> {
    let is_plain = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let share: f64 = is_plain.then(|| std::str::from_utf8(value).ok())??.parse().ok()?;
    (share.is_finite() && share <= 100.0).then_some(share)
}

/// One device's `mm_stat`: what it stores, and what that takes.
pub fn zram(text: &[u8]) -> Option<Zram> {
    let mut parts = fields(text);
    let stored = number(parts.next()?)?;
    // The second is the compressed size without what the allocator loses.
    let taken = number(parts.nth(1)?)?;
    Some(Zram { stored: Bytes::new(stored), taken: Bytes::new(taken) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "MemTotal:       16000 kB\nMemFree:         4000 kB\n\
        MemAvailable:    9000 kB\nBuffers:          500 kB\nCached:          6000 kB\n\
        SwapCached:         7 kB\nAnonPages:       3000 kB\nShmem:           1000 kB\n\
        SUnreclaim:       200 kB\nSwapTotal:       8000 kB\nSwapFree:        6000 kB\n\
        HugePages_Total:    0\n";

    fn memory(text: &str) -> Reading<Memory> {
        Meminfo::parse(text.as_bytes()).memory()
    }

    #[test]
    fn a_plain_meminfo_is_read() {
        let expected = Memory {
            total: Bytes::kib(16_000),
            available: Bytes::kib(9_000),
            free: Bytes::kib(4_000),
            available_source: AvailableSource::Kernel,
            parts: MemoryParts::Linux {
                anonymous: Some(Bytes::kib(3_000)),
                cached: Some(Bytes::kib(6_500)),
                shared: Some(Bytes::kib(1_000)),
                slab_unreclaimable: Some(Bytes::kib(200)),
            },
        };
        assert_eq!(memory(PLAIN), Ok(expected));
        let swap = Meminfo::parse(PLAIN.as_bytes()).swap();
        assert_eq!(swap, Ok(Swap { total: Bytes::kib(8_000), used: Bytes::kib(2_000) }));
    }

    #[test]
    fn without_mem_available_the_fallback_is_marked() {
        let old = PLAIN.replace("MemAvailable", "MemSomething");
        let memory = memory(&old).unwrap();
        assert_eq!(memory.available_source, AvailableSource::Fallback);
        assert_eq!(memory.available, Bytes::kib(4_000 + 6_000 + 500 - 1_000));
        let torn = old.replace("Shmem", "Xhmem");
        assert!(super::Meminfo::parse(torn.as_bytes()).memory().is_err());
    }

    #[test]
    fn what_cannot_be_is_clamped() {
        let odd = PLAIN.replace("MemAvailable:    9000", "MemAvailable:   99000");
        assert_eq!(memory(&odd).unwrap().available, Bytes::kib(16_000));
        let odd = PLAIN.replace("SwapFree:        6000", "SwapFree:       60000");
        assert_eq!(Meminfo::parse(odd.as_bytes()).swap().unwrap().used, Bytes::ZERO);
    }

    #[test]
    fn no_swap_is_absent_not_zero() {
        let none = PLAIN.replace("SwapTotal:       8000", "SwapTotal:          0");
        let swap = Meminfo::parse(none.as_bytes()).swap();
        assert_eq!(swap, Err(SensorFault::absent("no swap")));
    }

    #[test]
    fn a_broken_total_is_a_fault() {
        let numbers = ["", "16000", "-16000 kB", "99999999999999999999 kB", "0 kB", "16000 k"];
        for total in numbers {
            let text = PLAIN.replace("       16000 kB", &format!(" {total}"));
            assert_eq!(memory(&text).unwrap_err().kind, FaultKind::Malformed, "`{total}`");
        }
        let cut = &PLAIN[..PLAIN.len() - 30];
        assert!(Meminfo::parse(&cut.as_bytes()[..14]).memory().is_err());
        assert!(memory(cut).is_ok());
    }

    #[test]
    fn a_name_said_twice_keeps_its_first_value() {
        let twice = format!("{PLAIN}MemTotal: 1 kB\nNew_Key: 3 kB\n");
        assert_eq!(memory(&twice), memory(PLAIN));
    }

    #[test]
    fn paging_counts_pages_of_the_machine() {
        let text = b"nr_free_pages 9\npgmajfault 12\npswpin 2\npswpout 3\noom_kill 1\n\
            workingset_refault_anon 5\nworkingset_refault_file 6\npgscan_direct 7\npsw";
        let expected = Paging {
            swapped_in: Some(Bytes::kib(128)),
            swapped_out: Some(Bytes::kib(192)),
            major_faults: Some(12),
            refaults_file: Some(6),
            refaults_anon: Some(5),
            oom_kills: Some(1),
        };
        assert_eq!(paging(text, Bytes::kib(64)), Ok(expected));
        let vanished = paging(b"pgmajfault 12\npswpin x\n", Bytes::kib(4)).unwrap();
        assert_eq!((vanished.major_faults, vanished.swapped_in), (Some(12), None));
        assert_eq!(paging(b"", Bytes::kib(4)).unwrap_err().kind, FaultKind::Malformed);
    }

    #[test]
    fn pressure_may_lack_its_full_line() {
        let stall = |avg10| Stall { avg10, avg60: 0.5, avg300: 0.0, total_us: 1_756_620 };
        let some = "some avg10=12.34 avg60=0.50 avg300=0.00 total=1756620\n";
        let full = "full avg10=1.00 avg60=0.50 avg300=0.00 total=1756620\n";
        let both = format!("{some}{full}");
        let expected = Pressure::Psi { some: stall(12.34), full: Some(stall(1.0)) };
        assert_eq!(pressure(both.as_bytes()), Ok(expected));
        let expected = Pressure::Psi { some: stall(12.34), full: None };
        assert_eq!(pressure(some.as_bytes()), Ok(expected));
        for wrong in ["", full, "some avg10=NaN avg60=0 avg300=0 total=1\n", &some[..40]] {
            assert_eq!(pressure(wrong.as_bytes()).unwrap_err().kind, FaultKind::Malformed);
        }
    }

    #[test]
    fn zram_counts_what_it_takes() {
        let text = b" 4294967296 1100000000 1200000000        0 1300000000    10   0  0  0\n";
        let expected = Zram { stored: Bytes::gib(4), taken: Bytes::new(1_200_000_000) };
        assert_eq!(zram(text), Some(expected));
        assert_eq!(zram(b"1 2"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_a_parser(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            let found = Meminfo::parse(&text);
            let _ = (found.memory(), found.swap(), paging(&text, Bytes::kib(4)));
            let _ = (pressure(&text), zram(&text));
        }

        #[test]
        fn no_line_panics_a_parser(
            lines in proptest::collection::vec(
                "(MemTotal|MemFree|SwapTotal|pswpin|some|full)[: ]{0,2}-?[0-9]{0,21}( kB|=|)",
                0..12,
            ),
        ) {
            let text = lines.join("\n").into_bytes();
            let found = Meminfo::parse(&text);
            let _ = (found.swap(), paging(&text, Bytes::kib(64)), pressure(&text));
            if let Ok(memory) = found.memory() {
                prop_assert!(!memory.total.is_zero() && memory.available <= memory.total);
            }
        }
    }
}
