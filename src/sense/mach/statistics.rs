//! The kernel's page counts, and what they mean for a person.
//!
//! used = internal - purgeable + wired + compressor, and available is the rest
//! of the machine: the sum that Ollama itself decides its loads by.

use crate::domain::bytes::Bytes;
use crate::domain::sample::{AvailableSource, Memory, MemoryParts, Paging, Reading};

use super::malformed;

/// `vm_statistics64`, as far as it is used: pages, counters, and the size of a
/// page, which is asked of the kernel and never assumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VmStatistics {
    pub page_size: u64,
    /// With the speculative pages.
    pub free: u64,
    pub speculative: u64,
    pub wired: u64,
    pub purgeable: u64,
    /// Pages that hold compressed data.
    pub compressor: u64,
    /// File-backed.
    pub external: u64,
    /// Anonymous.
    pub internal: u64,
    pub swapins: u64,
    pub swapouts: u64,
}

/// Pages are 4 KiB on Intel and 16 KiB on Apple silicon; beyond 64 KiB the
/// figure is rubbish.
const LARGEST_PAGE: u64 = 64 * 1024;

impl VmStatistics {
    /// Counts and page size as sizes; `total` is `hw.memsize`.
    pub fn memory(&self, total: Bytes) -> Reading<Memory> {
        if total.is_zero() {
            return Err(malformed("hw.memsize: 0 bytes of memory"));
        }
        if !self.page_size.is_power_of_two() || self.page_size > LARGEST_PAGE {
            return Err(malformed(format!("a page of {} bytes", self.page_size)));
        }
        let app = self.bytes(self.internal.saturating_sub(self.purgeable));
        let wired = self.bytes(self.wired);
        let compressed = self.bytes(self.compressor);
        let used = app + wired + compressed;
        // The counts are not taken at one instant and may go over by a little;
        // twice the machine is another structure than the one we know.
        if used.get() / 2 > total.get() {
            return Err(malformed(format!("{used} in use of {total}")));
        }
        let available = total.saturating_sub(used);
        Ok(Memory {
            total,
            available,
            free: self.bytes(self.free.saturating_sub(self.speculative)).min(available),
            available_source: AvailableSource::MachStatistics,
            parts: MemoryParts::Mac {
                app,
                wired,
                compressed,
                cached: self.bytes(self.external.saturating_add(self.purgeable)),
            },
        })
    }

    /// Swap traffic since boot. Page-ins of files are no faults of one process,
    /// so there is no figure for those here.
    pub fn paging(&self) -> Paging {
        Paging {
            swapped_in: Some(self.bytes(self.swapins)),
            swapped_out: Some(self.bytes(self.swapouts)),
            ..Paging::default()
        }
    }

    fn bytes(&self, pages: u64) -> Bytes {
        Bytes::new(pages.saturating_mul(self.page_size))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fault::FaultKind;

    /// A MacBook of 8 GiB with a browser open and the compressor at work.
    fn eight() -> VmStatistics {
        VmStatistics {
            page_size: 16_384,
            free: 6_000,
            speculative: 1_500,
            wired: 95_000,
            purgeable: 4_000,
            compressor: 110_000,
            external: 120_000,
            internal: 180_000,
            swapins: 1_000,
            swapouts: 2_000,
        }
    }

    #[test]
    fn eight_gib_under_a_browser() {
        let page = |pages: u64| Bytes::new(pages * 16_384);
        let total = Bytes::gib(8);
        assert_eq!(
            eight().memory(total),
            Ok(Memory {
                total,
                available: total.saturating_sub(page(176_000 + 95_000 + 110_000)),
                free: page(4_500),
                available_source: AvailableSource::MachStatistics,
                parts: MemoryParts::Mac {
                    app: page(176_000),
                    wired: page(95_000),
                    compressed: page(110_000),
                    cached: page(124_000),
                },
            })
        );
    }

    #[test]
    fn available_is_what_is_free_and_what_can_be_given_back() {
        // Where the queues add up to the machine, both ways to count agree.
        let mut sixteen = VmStatistics {
            page_size: 16_384,
            free: 300_000,
            speculative: 20_000,
            wired: 150_000,
            purgeable: 10_000,
            compressor: 0,
            external: 250_000,
            internal: 0,
            ..VmStatistics::default()
        };
        let pages = Bytes::gib(16).get() / 16_384;
        sixteen.internal =
            pages - sixteen.wired - sixteen.external - (sixteen.free - sixteen.speculative);
        let memory = sixteen.memory(Bytes::gib(16)).unwrap();
        assert_eq!(memory.available, Bytes::new((280_000 + 250_000 + 10_000) * 16_384));
        assert_eq!(memory.reclaimable(), Bytes::new(260_000 * 16_384));
    }

    #[test]
    fn intel_pages_are_four_kib() {
        let statistics =
            VmStatistics { page_size: 4096, wired: 1 << 20, ..VmStatistics::default() };
        let memory = statistics.memory(Bytes::gib(16)).unwrap();
        assert_eq!(memory.used(), Bytes::gib(4));
    }

    #[test]
    fn more_purgeable_than_anonymous_is_no_underflow() {
        let odd = VmStatistics { internal: 10, purgeable: 40, ..eight() };
        let memory = odd.memory(Bytes::gib(8)).unwrap();
        assert_eq!(memory.used(), Bytes::new((95_000 + 110_000) * 16_384));
        let odd = VmStatistics { free: 10, speculative: 40, ..eight() };
        assert_eq!(odd.memory(Bytes::gib(8)).unwrap().free, Bytes::ZERO);
    }

    #[test]
    fn counts_that_cannot_be_are_a_fault() {
        let kinds = [
            eight().memory(Bytes::ZERO),
            VmStatistics { page_size: 0, ..eight() }.memory(Bytes::gib(8)),
            VmStatistics { page_size: 12_288, ..eight() }.memory(Bytes::gib(8)),
            VmStatistics { page_size: 1 << 40, ..eight() }.memory(Bytes::gib(8)),
            VmStatistics { wired: u64::MAX, ..eight() }.memory(Bytes::gib(8)),
        ]
        .map(|reading| reading.map_err(|fault| fault.kind));
        assert_eq!(kinds, [const { Err(FaultKind::Malformed) }; 5]);
    }

    #[test]
    fn a_little_more_than_the_machine_leaves_nothing_available() {
        let over = VmStatistics { internal: 400_000, ..eight() };
        let memory = over.memory(Bytes::gib(8)).unwrap();
        assert_eq!((memory.available, memory.free), (Bytes::ZERO, Bytes::ZERO));
        assert_eq!(memory.used(), Bytes::gib(8));
    }

    #[test]
    fn swap_traffic_is_in_bytes() {
        let paging = eight().paging();
        assert_eq!(paging.swapped_in, Some(Bytes::new(1_000 * 16_384)));
        assert_eq!(paging.swapped_out, Some(Bytes::new(2_000 * 16_384)));
        assert_eq!(paging.major_faults, None);
    }

    proptest! {
        #[test]
        fn any_counts_give_parts_within_the_machine_or_a_fault(
            counts in proptest::array::uniform7(any::<u64>()),
            page_size in prop_oneof![Just(4096_u64), Just(16_384), any::<u64>()],
            total in any::<u64>(),
        ) {
            let [free, speculative, wired, purgeable, compressor, external, internal] = counts;
            let statistics = VmStatistics {
                page_size, free, speculative, wired, purgeable, compressor, external, internal,
                swapins: free, swapouts: wired,
            };
            if let Ok(memory) = statistics.memory(Bytes::new(total)) {
                prop_assert!(memory.available <= memory.total);
                prop_assert!(memory.free <= memory.available);
            }
            statistics.paging();
        }
    }
}
