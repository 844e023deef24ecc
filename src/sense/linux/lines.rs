//! The grammar that most of `/proc` shares: lines, blanks, plain numbers.
//!
//! By hand and over bytes: names in there need not be UTF-8, and a reader must
//! survive whatever a container's fake `/proc` puts in its way.

use crate::domain::bytes::Bytes;

/// Lines that have their end. A last line without one may be cut in the middle
/// of a number, and half a number is worse than none.
pub fn complete_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    text[..end].split(|byte| *byte == b'\n')
}

pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t' | b'\n')).filter(|field| !field.is_empty())
}

/// A number that is digits and nothing else, and fits.
pub fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// `  123 kB`: a size with its unit. A number without one is no size.
pub fn kib(value: &[u8]) -> Option<Bytes> {
    let mut parts = fields(value);
    let count = number(parts.next()?)?;
    (parts.next()? == b"kB" && parts.next().is_none()).then_some(())?;
    count.checked_mul(1024).map(Bytes::new)
}

/// The name before the colon and what stands behind it.
pub fn keyed(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((&line[..colon], &line[colon + 1..]))
}

/// The value of a line like `inactive_file 4096` in a file of such lines.
pub fn counter(text: &[u8], name: &[u8]) -> Option<u64> {
    complete_lines(text).find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(b" ")?;
        number(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_numbers_that_fit_are_numbers() {
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [&b"18446744073709551616"[..], b"", b"-1", b"1.5", b"0x1", b" 1"] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_size_needs_its_unit_and_must_fit() {
        assert_eq!(kib(b"       2048 kB"), Some(Bytes::mib(2)));
        for wrong in [&b" 2048"[..], b"2048 k", b"2048 MB", b"kB", b"18446744073709551615 kB"] {
            assert_eq!(kib(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_cut_line_is_no_line() {
        let lines: Vec<&[u8]> = complete_lines(b"a 1\nb 2\nc 3").collect();
        assert_eq!(lines, [b"a 1", b"b 2"]);
        assert_eq!(counter(b"ab 1\na 2\n", b"a"), Some(2));
        assert_eq!(counter(b"a 2", b"a"), None);
    }
}
