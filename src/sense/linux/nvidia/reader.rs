//! What the driver's calls mean: which of them to make, and what their codes
//! say about a card. It may block as long as the driver does.

use std::time::Duration;

use super::library::{Amounts, Code, Library};
use crate::domain::bytes::Bytes;
use crate::domain::fault::{FaultKind, SensorFault};
use crate::domain::sample::Reading;
use crate::domain::text::clean_bytes;
use crate::domain::time::Monotonic;

/// Between two readings of cards at work.
pub const PACE: Duration = Duration::from_secs(2);
/// Between two readings of a card that may fall asleep and that nobody uses.
/// A reading keeps it awake for about 20 s: seen with drivers of 2025.
const REST: Duration = Duration::from_secs(30);
/// A driver that has just been replaced or a card that is lost stays so until
/// somebody does something about it.
const RETRY: Duration = Duration::from_secs(60);
/// A driver without its library, as containers see it.
const RETRY_LIBRARY: Duration = Duration::from_secs(300);
/// The driver's own default: a sleeping card with less in its memory has that
/// memory switched off too.
const AT_REST: u64 = 200 << 20;
/// The driver knows 64 cards in a machine at most.
const MOST_CARDS: u32 = 64;

/// Names of processors whose graphics part uses the system's memory.
const SHARED_MEMORY: [&str; 5] = ["GB10", "Orin", "Xavier", "Thor", "Tegra"];

/// A wish for a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    pub now: Monotonic,
    /// Whether a card would fall asleep if it were left alone.
    pub may_sleep: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub cards: Reading<Vec<Card>>,
    /// When to ask again.
    pub next: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub name: String,
    pub memory: CardMemory,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardMemory {
    Own {
        total: Bytes,
        free: Bytes,
    },
    /// The system's.
    Shared,
    Unknown {
        /// As it was told earlier.
        total: Option<Bytes>,
        fault: SensorFault,
    },
}

/// Reads all cards, in one session of the library as long as that works.
pub struct Reader<L: Library, O> {
    open: O,
    library: Option<L>,
    /// Since when a session is under way.
    began: Option<Monotonic>,
    /// What was last told of each card that told it.
    known: Vec<Option<(String, Bytes)>>,
}

impl<L: Library, O: FnMut() -> Reading<L>> Reader<L, O> {
    pub fn new(open: O) -> Self {
        Reader { open, library: None, began: None, known: Vec::new() }
    }

    pub fn read(&mut self, ask: Ask) -> Answer {
        if self.library.is_none() {
            match (self.open)() {
                Ok(library) => self.library = Some(library),
                Err(fault) => return Answer { cards: Err(fault), next: RETRY_LIBRARY },
            }
        }
        match self.read_all(ask) {
            Ok((cards, next)) => Answer { cards: Ok(cards), next },
            Err(code) => {
                self.close();
                Answer { cards: Err(fault("NVIDIA's driver", code)), next: RETRY }
            }
        }
    }

    fn read_all(&mut self, ask: Ask) -> Result<(Vec<Card>, Duration), Code> {
        let library = self.library.as_mut().ok_or(Code::UNINITIALIZED)?;
        if self.began.is_none() {
            library.begin()?;
            self.began = Some(ask.now);
            // A card may have another number from here on: only one that
            // tells its name is known again.
            for (index, known) in (0..).zip(&mut self.known) {
                if library.name(index).is_err() {
                    *known = None;
                }
            }
        }
        let count = library.count()?.min(MOST_CARDS);
        self.known.resize(count as usize, None);
        let mut cards = Vec::with_capacity(self.known.len());
        let (mut is_idle, mut is_worn) = (true, false);
        for (index, known) in (0..count).zip(&mut self.known) {
            let read = read_card(library, index, known);
            is_idle &= read.in_use < AT_REST;
            is_worn |= read.is_worn;
            cards.push(read.card);
        }
        let is_old = self.began.is_none_or(|began| ask.now.since(began) >= RETRY);
        let rests = ask.may_sleep && is_idle;
        // A lost card is found again by a new session only; an open session
        // keeps every card awake.
        if rests || (is_worn && is_old) {
            self.end();
        }
        Ok((cards, if rests { REST } else { PACE }))
    }
}

impl<L: Library, O> Reader<L, O> {
    fn end(&mut self) {
        if let (Some(library), Some(_)) = (&mut self.library, self.began.take()) {
            library.end();
        }
    }

    /// A library that fails as a whole may have been replaced.
    fn close(&mut self) {
        self.end();
        self.library = None;
    }
}

impl<L: Library, O> Drop for Reader<L, O> {
    fn drop(&mut self) {
        self.end();
    }
}

struct Read {
    card: Card,
    in_use: u64,
    /// Whether a new session might tell more.
    is_worn: bool,
}

fn read_card(library: &impl Library, index: u32, known: &mut Option<(String, Bytes)>) -> Read {
    let named = library.name(index).map(|name| clean_bytes(&name)).ok();
    let before = known.as_ref().map(|(name, _)| name.clone());
    let name = named.filter(|name| !name.is_empty()).or(before);
    let name = name.unwrap_or_else(|| format!("NVIDIA card {index}"));
    let total = known.take().filter(|(before, _)| *before == name).map(|(_, total)| total);
    let unknown = |fault: SensorFault| CardMemory::Unknown { total, fault };
    let (memory, in_use, code) = match amounts(library, index) {
        Ok(told) => (judged(&name, told).unwrap_or_else(unknown), told.used, None),
        Err(Code::NOT_SUPPORTED) => (CardMemory::Shared, 0, None),
        Err(code) => (unknown(fault(&name, code)), 0, Some(code)),
    };
    *known = match &memory {
        CardMemory::Own { total, .. } => Some(*total),
        CardMemory::Shared => None,
        CardMemory::Unknown { total, .. } => *total,
    }
    .map(|total| (name.clone(), total));
    let lost = [Code::UNINITIALIZED, Code::GPU_IS_LOST, Code::RESET_REQUIRED, Code::UNKNOWN];
    let is_worn = code.is_some_and(|code| lost.contains(&code));
    Read { card: Card { name, memory }, in_use, is_worn }
}

/// By the newer call, and by the older one where that is not to be had.
fn amounts(library: &impl Library, index: u32) -> Result<Amounts, Code> {
    match library.memory(index) {
        Err(
            Code::FUNCTION_NOT_FOUND
            | Code::ARGUMENT_VERSION_MISMATCH
            | Code::INVALID_ARGUMENT
            | Code::NOT_SUPPORTED,
        ) => library.plain_memory(index),
        told => told,
    }
}

fn judged(name: &str, told: Amounts) -> Reading<CardMemory> {
    let malformed =
        |what: &str| Err(SensorFault::new(FaultKind::Malformed, format!("{name}: {what}")));
    match told {
        Amounts { total: 0, .. } if SHARED_MEMORY.iter().any(|part| name.contains(part)) => {
            Ok(CardMemory::Shared)
        }
        Amounts { total: 0 | u64::MAX, .. } => malformed("tells no size of its memory"),
        Amounts { total, free, .. } if free > total => malformed("more memory free than there is"),
        // Used is all that is not free: what the driver keeps for itself is
        // told apart by one call and not by the other, and is free in neither.
        Amounts { total, free, .. } => {
            Ok(CardMemory::Own { total: Bytes::new(total), free: Bytes::new(free) })
        }
    }
}

/// What the library's header says of its codes.
fn fault(whose: &str, code: Code) -> SensorFault {
    let (kind, words) = match code.0 {
        4 => (FaultKind::Denied, "may not be asked for its memory"),
        // It has left a sign, or it would not have been asked.
        9 => (FaultKind::Failed, "is not loaded, or its devices are kept from here"),
        10 => (FaultKind::Hung, "has not answered in time"),
        13 => (FaultKind::Failed, "is too old to tell its memory"),
        15 => (FaultKind::Failed, "is lost: it has fallen off the bus"),
        16 => (FaultKind::Failed, "needs a reset"),
        17 => (FaultKind::Denied, "is kept from this container"),
        18 => (FaultKind::Failed, "and its library differ: restart the machine"),
        25 => (FaultKind::Failed, "knows none of the calls for its memory"),
        number => {
            let words = format!("{whose} answers with error {number}");
            return SensorFault::new(FaultKind::Failed, words);
        }
    };
    SensorFault::new(kind, format!("{whose} {words}"))
}
