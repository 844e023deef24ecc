//! How values are written: spans and sizes as text, names as choices.
//!
//! The readers here are what serde uses; `key::Kind` asks the same functions,
//! so that a value a layer lets through is a value that can be read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::domain::{Bytes, HintValue, Percent, Priority, parameters};

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

/// As text with its unit, or a whole number: how many parameters a model has.
pub fn parameters_from_value(value: &toml::Value) -> Option<u64> {
    match value {
        toml::Value::Integer(whole) => u64::try_from(*whole).ok(),
        toml::Value::String(text) => parameters::from_text(text),
        _ => None,
    }
}

/// A single value that another program can be told.
pub fn hint_from_value(value: &toml::Value) -> Option<HintValue> {
    let hint = match value {
        toml::Value::Integer(whole) => HintValue::Whole(*whole),
        toml::Value::Float(number) => HintValue::Number(*number),
        toml::Value::Boolean(on) => HintValue::Switch(*on),
        toml::Value::String(text) => HintValue::Text(text.clone()),
        _ => return None,
    };
    hint.may_stand().then_some(hint)
}

/// Most words of a command, and bytes of one: far over what anybody writes.
const MOST_WORDS: usize = 64;
const LONGEST_WORD: usize = 4096;

/// What is wrong with a command, to follow its key: `holds no program`.
pub fn words_problem(value: &toml::Value) -> Option<&'static str> {
    let words = match value {
        toml::Value::String(_) => return Some("is one text, and no shell takes it apart"),
        toml::Value::Array(words) => words,
        _ => return Some("is no list of words"),
    };
    let Some(texts) = words.iter().map(toml::Value::as_str).collect::<Option<Vec<&str>>>() else {
        return Some("holds something that is no text");
    };
    let program = texts.first().copied().unwrap_or_default();
    if program.is_empty() {
        return Some("holds no program");
    }
    if !program.starts_with('/') {
        if program.contains('/') {
            return Some("names its program by a path that depends on the folder");
        }
        if program.contains(char::is_whitespace) {
            return Some("has several words in one text, and no shell takes them apart");
        }
    }
    let is_too_long = texts.len() > MOST_WORDS || texts.iter().any(|w| w.len() > LONGEST_WORD);
    match texts.iter().any(|word| word.contains('\0')) {
        true => Some("holds a zero byte"),
        false => is_too_long.then_some("is too long"),
    }
}

/// An address that a hook may be told at.
pub fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = host.map(|host| host.rsplit('@').next().unwrap_or_default());
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
        && text.len() <= LONGEST_WORD
        && text.chars().all(|c| c.is_ascii_graphic())
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

pub(super) fn optional_parameters<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<u64>, D::Error> {
    let value = toml::Value::deserialize(input)?;
    let read = parameters_from_value(&value).map(Some);
    read.ok_or_else(|| D::Error::custom("not a number of parameters"))
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

    #[test]
    fn parameters_are_text_or_whole_numbers() {
        assert_eq!(parameters_from_value(&"3B".into()), Some(3_000_000_000));
        assert_eq!(parameters_from_value(&toml::Value::Integer(0)), Some(0));
        assert_eq!(parameters_from_value(&toml::Value::Integer(-1)), None);
        assert_eq!(parameters_from_value(&toml::Value::Float(1.5)), None);
    }

    #[test]
    fn a_command_is_words_with_a_program_that_can_be_found() {
        let problem = |text: &str| {
            let table: toml::Table = toml::from_str(&format!("x = {text}")).unwrap();
            words_problem(&table["x"])
        };
        assert_eq!(problem("[\"sync\"]"), None);
        assert_eq!(problem("[\"/opt/my tools/shrink\", \"\", \"a b\"]"), None);
        for (wrong, said) in [
            ("\"sync --now\"", "is one text"),
            ("3", "is no list"),
            ("[]", "holds no program"),
            ("[\"\"]", "holds no program"),
            ("[\"sync\", 3]", "no text"),
            ("[\"./shrink\"]", "depends on the folder"),
            ("[\"sync --now\"]", "several words in one text"),
            ("[\"sync\", \"a\\u0000b\"]", "zero byte"),
        ] {
            let found = problem(wrong).unwrap_or("nothing");
            assert!(found.contains(said), "{wrong}: {found}");
        }
    }

    #[test]
    fn a_hooks_address_has_a_host() {
        for right in ["http://h", "https://me:p@h:1/x?y", "http://[::1]:8/"] {
            assert!(is_web_address(right), "{right}");
        }
        for wrong in ["", "h", "ftp://h", "http://", "http:///x", "https://@/", "http://a b"] {
            assert!(!is_web_address(wrong), "{wrong}");
        }
    }
}
