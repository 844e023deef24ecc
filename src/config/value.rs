//! How values are written: spans and sizes as text, names as choices.
//!
//! The readers here are what serde uses; `key::Kind` asks the same functions,
//! so that a value a layer lets through is a value that can be read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::domain::{Bytes, Percent, Priority};

/// `1s`, `500 ms`, `10min`, `1.5h`. `None` for anything else.
pub fn span_from_text(text: &str) -> Option<Duration> {
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
    let (figure, unit) = trimmed.split_at(split);
    let millis_each = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => 1.0,
        "s" | "sec" => 1_000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let millis = figure.parse::<f64>().ok()? * millis_each;
    // A year: beyond it no span here means anything, and nothing overflows.
    (millis <= 31_536_000_000.0).then(|| Duration::from_millis(millis.round() as u64))
}

/// A size as text with its unit, or as a whole number of bytes.
pub fn size_from_value(value: &toml::Value) -> Option<Bytes> {
    match value {
        toml::Value::Integer(bytes) => u64::try_from(*bytes).ok().map(Bytes::new),
        toml::Value::String(text) => Bytes::from_str(text).ok(),
        _ => None,
    }
}

/// A number, whole or not.
pub fn number_from_value(value: &toml::Value) -> Option<f64> {
    match value {
        toml::Value::Integer(whole) => Some(*whole as f64),
        toml::Value::Float(number) => Some(*number),
        _ => None,
    }
}

pub(super) fn optional_span<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(input)?;
    span_from_text(&text).map(Some).ok_or_else(|| D::Error::custom("not a span of time"))
}

pub(super) fn optional_size<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Bytes>, D::Error> {
    let value = toml::Value::deserialize(input)?;
    size_from_value(&value).map(Some).ok_or_else(|| D::Error::custom("not a size"))
}

pub(super) fn optional_number<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<f64>, D::Error> {
    let value = toml::Value::deserialize(input)?;
    number_from_value(&value).map(Some).ok_or_else(|| D::Error::custom("not a number"))
}

pub(super) fn optional_percent<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Percent>, D::Error> {
    Ok(optional_number(input)?.map(Percent::new))
}

pub(super) fn optional_priority<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Priority>, D::Error> {
    Priority::deserialize(input).map(Some)
}

/// The keys of one intent: `"u"` or `["u", "delete"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyNames(pub Vec<String>);

impl<'de> Deserialize<'de> for KeyNames {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = KeyNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key or a list of keys")
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<KeyNames, E> {
                Ok(KeyNames(vec![key.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<KeyNames, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = keys.next_element()? {
                    names.push(name);
                }
                Ok(KeyNames(names))
            }
        }
        input.deserialize_any(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_only() {
        let read = |text| span_from_text(text).map(|span| span.as_millis());
        assert_eq!(read("500ms"), Some(500));
        assert_eq!(read("1s"), Some(1_000));
        assert_eq!(read(" 1.5 s "), Some(1_500));
        assert_eq!(read("2min"), Some(120_000));
        assert_eq!(read("1h"), Some(3_600_000));
        for wrong in ["", "1", "s", "-1s", "1.2.3s", "1 fortnight", "9999999d"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
