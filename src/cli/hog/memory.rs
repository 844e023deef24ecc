//! The memory that is taken: every page written, with bytes that no compression
//! makes smaller and that are no other page's, so that nothing hides it. It is
//! not locked: the system may page it out, which is pressure too.

use crate::domain::Bytes;

/// In pieces that the allocator always maps by themselves (it keeps to that
/// above 32 MiB) and so gives back to the system as soon as they are dropped.
pub const PIECE: Bytes = Bytes::mib(64);

#[derive(Debug, Default)]
pub struct Taken {
    pieces: Vec<Vec<u64>>,
    noise: Noise,
}

impl Taken {
    pub fn held(&self) -> Bytes {
        self.pieces.iter().map(|piece| Bytes::new(size_of_val(piece.as_slice()) as u64)).sum()
    }

    /// What fills the next piece; it goes on from there.
    pub fn noise(&self) -> Noise {
        self.noise
    }

    pub fn add(&mut self, (piece, noise): (Vec<u64>, Noise)) {
        self.pieces.push(piece);
        self.noise = noise;
    }

    /// Gives all of it back, at once.
    pub fn free(&mut self) {
        self.pieces = Vec::new();
    }
}

/// Numbers without a pattern: xorshift with 64 bits.
#[derive(Debug, Clone, Copy)]
pub struct Noise(u64);

impl Default for Noise {
    fn default() -> Self {
        // Any number but zero; this one has its bits well mixed.
        Noise(0x9e37_79b9_7f4a_7c15)
    }
}

impl Noise {
    /// So much memory, all of it written; `None`: the system gives no more.
    pub fn piece(mut self, size: Bytes) -> Option<(Vec<u64>, Noise)> {
        let words = usize::try_from(size.get().div_ceil(8)).ok()?;
        let mut piece: Vec<u64> = Vec::new();
        piece.try_reserve_exact(words).ok()?;
        for _ in 0..words {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            piece.push(self.0);
        }
        Some((piece, self))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_word_is_written_twice() {
        let mut taken = Taken::default();
        for _ in 0..2 {
            taken.add(taken.noise().piece(Bytes::kib(512)).unwrap());
        }
        let words: BTreeSet<u64> = taken.pieces.iter().flatten().copied().collect();
        assert_eq!((taken.held(), words.len()), (Bytes::mib(1), 1 << 17));
        taken.free();
        assert_eq!(taken.held(), Bytes::ZERO);
    }

    #[test]
    fn what_no_machine_has_is_not_given() {
        assert!(Noise::default().piece(Bytes::new(u64::MAX)).is_none());
    }
}
