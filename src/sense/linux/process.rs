//! The files of one process, as text: `stat`, `status`, `statm`, `smaps_rollup`.
//!
//! Pure over bytes. A name may hold anything, brackets and line ends included.

use super::lines::{fields, keyed, kib, number};
use crate::domain::bytes::Bytes;

/// From `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub is_zombie: bool,
    pub parent: u32,
    /// Processor time so far, in clock ticks.
    pub ticks: u64,
    /// Clock ticks since boot.
    pub started: u64,
}

impl Stat {
    pub fn parse(text: &[u8]) -> Option<Stat> {
        // The name stands in brackets and may hold brackets itself.
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let mut rest = fields(&text[end + 1..]);
        let state = rest.next()?;
        let parent = number(rest.next()?)?;
        // Fields 14, 15 and 22, counted from the state, which is field 3.
        let user = number(rest.nth(9)?)?;
        let system = number(rest.next()?)?;
        let started = number(rest.nth(6)?)?;
        Some(Stat {
            is_zombie: matches!(state, b"Z" | b"X" | b"x"),
            parent: u32::try_from(parent).ok()?,
            ticks: user.checked_add(system)?,
            started,
        })
    }
}

/// The name in brackets.
pub fn name_in_stat(text: &[u8]) -> Option<&[u8]> {
    let start = text.iter().position(|byte| *byte == b'(')? + 1;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    text.get(start..end)
}

/// From `/proc/PID/status`: 4 µs whatever the size of the process, which no
/// file with maps can say of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Differs from the pid for a thread, which `/proc` serves under its own
    /// number without listing it.
    pub group: Option<u32>,
    pub uid: Option<u32>,
    pub resident: Option<Bytes>,
    pub anonymous: Option<Bytes>,
    pub file: Option<Bytes>,
    pub shared: Option<Bytes>,
    pub swapped: Option<Bytes>,
}

impl Status {
    pub fn parse(text: &[u8]) -> Status {
        let mut found = Status::default();
        let first = |value| fields(value).next().and_then(number);
        for line in text.split(|byte| *byte == b'\n') {
            // Six names of sixty lines: their first letters spare the rest.
            if !matches!(line.first(), Some(b'T' | b'U' | b'V' | b'R')) {
                continue;
            }
            let Some((name, value)) = keyed(line) else { continue };
            match name {
                b"Tgid" => found.group = first(value).and_then(|id| u32::try_from(id).ok()),
                b"Uid" => found.uid = first(value).and_then(|id| u32::try_from(id).ok()),
                b"VmRSS" => found.resident = kib(value),
                b"RssAnon" => found.anonymous = kib(value),
                b"RssFile" => found.file = kib(value),
                b"RssShmem" => found.shared = kib(value),
                b"VmSwap" => {
                    found.swapped = kib(value);
                    // The last that is wanted; the masks of processors behind
                    // it are half of the file.
                    break;
                }
                _ => {}
            }
        }
        found
    }
}

/// Resident pages, from `/proc/PID/statm`.
pub fn resident_pages(statm: &[u8]) -> Option<u64> {
    number(fields(statm).nth(1)?)
}

/// Proportional set size, from `/proc/PID/smaps_rollup`.
pub fn proportional(rollup: &[u8]) -> Option<Bytes> {
    rollup.split(|byte| *byte == b'\n').find_map(|line| match keyed(line)? {
        (b"Pss", value) => kib(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REST: &str = "S 12972 12972 12972 0 -1 4194304 94502 0 0 0 59 101 0 0 20 0 11 0 812652 \
        1014923264 96900 18446744073709551615\n";

    #[test]
    fn any_name_leaves_the_numbers_alone() {
        let expected = Stat { is_zombie: false, parent: 12972, ticks: 160, started: 812_652 };
        for name in ["llama-server", "a) Z 1", "x\ny", "(((", ")", ""] {
            let text = format!("13003 ({name}) {REST}");
            assert_eq!(Stat::parse(text.as_bytes()), Some(expected), "{name}");
            assert_eq!(name_in_stat(text.as_bytes()), Some(name.as_bytes()));
        }
    }

    #[test]
    fn a_torn_stat_is_none() {
        let text = format!("13003 (x) {REST}");
        for length in 0..60 {
            assert_eq!(Stat::parse(&text.as_bytes()[..length]), None, "{length}");
        }
        let zombie = text.replace(" S ", " Z ");
        assert!(Stat::parse(zombie.as_bytes()).is_some_and(|stat| stat.is_zombie));
    }

    #[test]
    fn status_splits_what_is_resident() {
        let text = b"Name:\tx\\nUid:\t7\nTgid:\t13003\nUid:\t998\t0\t0\t0\nVmRSS:\t  387724 kB\n\
            RssAnon:\t  373396 kB\nRssFile:\t   14328 kB\nRssShmem:\t       0 kB\nVmSwap:\t 8 kB\n";
        let expected = Status {
            group: Some(13003),
            uid: Some(998),
            resident: Some(Bytes::kib(387_724)),
            anonymous: Some(Bytes::kib(373_396)),
            file: Some(Bytes::kib(14_328)),
            shared: Some(Bytes::ZERO),
            swapped: Some(Bytes::kib(8)),
        };
        assert_eq!(Status::parse(text), expected);
    }

    #[test]
    fn small_files_give_their_one_number() {
        assert_eq!(resident_pages(b"247784 96931 3582 1 0 128144 0\n"), Some(96_931));
        assert_eq!(resident_pages(b"247784"), None);
        let rollup = b"55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss: 400 kB\nPss:   200 kB\n";
        assert_eq!(proportional(rollup), Some(Bytes::kib(200)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_a_parser(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (Stat::parse(&text), name_in_stat(&text), Status::parse(&text));
            let _ = (resident_pages(&text), proportional(&text));
        }
    }
}
