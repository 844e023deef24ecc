//! Numbers that look like chance and are the same every time.

/// A xorshift generator: small, and good enough to make figures wobble.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// Any start but zero will do; zero would stay zero.
    pub(super) fn new(seed: u64) -> Self {
        Chance(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from `from` up to and without `to`.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + (self.next() >> 11) % to.saturating_sub(from).max(1)
    }
}

/// Text made into 64 hex digits: a digest that belongs to it.
pub(super) fn digest(text: &str) -> String {
    // FNV-1a's constants: spread the text over the start of the generator.
    let seed = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut chance = Chance::new(seed);
    (0..4).map(|_| format!("{:016x}", chance.next())).collect()
}
