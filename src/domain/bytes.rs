//! Sizes and shares. A size is `Bytes`, a change of size is `BytesDelta`, a
//! share is `Percent`; a bare number with a meaning does not cross a module.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

/// A size in bytes. Prints in binary units.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(u64);

impl Bytes {
    pub const ZERO: Bytes = Bytes(0);

    pub const fn new(bytes: u64) -> Self {
        Bytes(bytes)
    }

    pub const fn kib(kib: u64) -> Self {
        Bytes(kib.saturating_mul(KIB))
    }

    pub const fn mib(mib: u64) -> Self {
        Bytes(mib.saturating_mul(MIB))
    }

    pub const fn gib(gib: u64) -> Self {
        Bytes(gib.saturating_mul(GIB))
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn saturating_sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }

    #[must_use]
    pub const fn saturating_add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }

    pub const fn checked_sub(self, other: Bytes) -> Option<Bytes> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Bytes(rest)),
            None => None,
        }
    }

    /// What has to be added to `earlier` to get `self`.
    pub fn since(self, earlier: Bytes) -> BytesDelta {
        let change = i128::from(self.0) - i128::from(earlier.0);
        BytesDelta(change.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// The share of `whole` that this is; `None` of nothing.
    pub fn share_of(self, whole: Bytes) -> Option<Percent> {
        (whole.0 > 0).then(|| Percent::new(self.0 as f64 / whole.0 as f64 * 100.0))
    }

    /// That share of this size, rounded down.
    #[must_use]
    pub fn at(self, share: Percent) -> Bytes {
        Bytes((self.0 as f64 * (share.get() / 100.0)).max(0.0) as u64)
    }

    /// The figure and its unit apart, so that the unit can be set dim.
    ///
    /// Two digits that count, three from 10 units with a decimal on: a figure
    /// that is read at a glance must not flicker in its last place. Never
    /// `0.0 GiB` for something: small sizes go down to the smaller unit.
    pub fn figure_and_unit(self) -> (String, &'static str) {
        // From 995 of a unit on, the next one says it in fewer digits.
        let reaches = |unit: u64| self.0 >= unit / 1024 * 995;
        let (unit, name) = match () {
            () if reaches(TIB) => (TIB, "TiB"),
            () if reaches(GIB) => (GIB, "GiB"),
            () if reaches(MIB) => (MIB, "MiB"),
            () if self.0 >= KIB => (KIB, "KiB"),
            () => return (self.0.to_string(), "B"),
        };
        let figure = self.0 as f64 / unit as f64;
        match unit {
            TIB | GIB if figure < 99.95 => (format!("{figure:.1}"), name),
            TIB | GIB => (format!("{figure:.0}"), name),
            _ if figure < 99.5 => (format!("{figure:.0}"), name),
            _ => (format!("{:.0}", (figure / 10.0).round() * 10.0), name),
        }
    }

    /// In GiB with one decimal whatever the size: for columns that align.
    pub fn in_gib(self) -> String {
        format!("{:.1}", self.0 as f64 / GIB as f64)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, unit) = self.figure_and_unit();
        f.pad(&format!("{figure} {unit}"))
    }
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        self.saturating_add(other)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Bytes) {
        *self = *self + other;
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(sizes: I) -> Bytes {
        sizes.fold(Bytes::ZERO, |a, b| a + b)
    }
}

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is not a size; accepted are bytes or a number with KiB, MiB, GiB, TiB (also k, m, g), as in `1.5 GiB`"
)]
pub struct NotASize {
    found: String,
}

impl FromStr for Bytes {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotASize { found: text.to_owned() };
        let trimmed = text.trim();
        let split =
            trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let (figure, unit) = trimmed.split_at(split);
        let figure: f64 = figure.parse().map_err(|_| wrong())?;
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => KIB,
            "m" | "mb" | "mib" => MIB,
            "g" | "gb" | "gib" => GIB,
            "t" | "tb" | "tib" => TIB,
            _ => return Err(wrong()),
        };
        let bytes = figure * unit as f64;
        if !bytes.is_finite() || bytes < 0.0 || bytes >= u64::MAX as f64 {
            return Err(wrong());
        }
        Ok(Bytes(bytes.round() as u64))
    }
}

/// A change of size: positive is more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BytesDelta(i64);

impl BytesDelta {
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The size without its sign.
    pub const fn magnitude(self) -> Bytes {
        Bytes(self.0.unsigned_abs())
    }

    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for BytesDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        f.pad(&format!("{sign}{}", self.magnitude()))
    }
}

/// A share in percent. Finite; not clamped to 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(f64);

impl Percent {
    /// A share; what is not finite becomes 0.
    pub const fn new(percent: f64) -> Self {
        Percent(if percent.is_finite() { percent } else { 0.0 })
    }

    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10.0 && self.0.fract().abs() >= 0.05 {
            f.pad(&format!("{:.1} %", self.0))
        } else {
            f.pad(&format!("{:.0} %", self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_in_the_unit_that_keeps_them_short() {
        let shown: Vec<String> =
            [0, 900, 2048, 5 << 20, 257 << 20, 1020 << 20, 1_181_116_006, 200 << 30, 3 << 40]
                .into_iter()
                .map(|b| Bytes::new(b).to_string())
                .collect();
        assert_eq!(
            shown,
            [
                "0 B", "900 B", "2 KiB", "5 MiB", "260 MiB", "1.0 GiB", "1.1 GiB", "200 GiB",
                "3.0 TiB"
            ]
        );
    }

    #[test]
    fn a_size_is_read_with_or_without_unit() {
        assert_eq!("1.5 GiB".parse(), Ok(Bytes::mib(1536)));
        assert_eq!("512m".parse(), Ok(Bytes::mib(512)));
        assert_eq!("4096".parse(), Ok(Bytes::new(4096)));
        for wrong in ["", "GiB", "-1", "1 parsec", "1e400", "1.2.3"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        assert_eq!(Bytes::new(1).share_of(Bytes::ZERO), None);
        assert_eq!(Bytes::new(1).share_of(Bytes::new(4)), Some(Percent::new(25.0)));
    }

    #[test]
    fn changes_carry_their_sign() {
        assert_eq!(Bytes::mib(1).since(Bytes::mib(3)).to_string(), "-2 MiB");
        assert_eq!(Bytes::mib(3).since(Bytes::mib(1)).to_string(), "+2 MiB");
    }
}
