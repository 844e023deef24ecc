//! What was measured, as a table for people and as JSON for programs.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::cli::document::Document;
use crate::cli::facts::{table, write_json};
use crate::domain::{Bytes, ModelName, Wall};
use crate::runtime::Generated;

/// Where the server's figure and our clock differ by more, one of them is not
/// about this generation.
const AGREES_WITHIN: f64 = 0.25;

/// One model. What was not measured is absent.
#[derive(Debug, Default)]
pub struct Row {
    model: String,
    pub load: Option<Duration>,
    pub context: Option<u64>,
    pub footprint_loaded: Option<Bytes>,
    pub footprint_used: Option<Bytes>,
    pub peak: Option<Bytes>,
    pub samples: u32,
    pub generated: Option<Generated>,
    pub given_back: bool,
    pub freed: Option<Bytes>,
    /// Why it is not whole.
    pub error: Option<String>,
    /// Nothing is measured after this.
    pub aborts: bool,
}

impl Row {
    pub fn of(model: &ModelName) -> Row {
        Row { model: model.short().to_owned(), ..Row::default() }
    }

    fn generated(&self) -> Generated {
        self.generated.unwrap_or_default()
    }

    fn prompt_rate(&self) -> Option<f64> {
        rate(self.generated().prompt_tokens?, self.generated().prompt_took?)
    }

    /// By the server.
    fn rate(&self) -> Option<f64> {
        rate(self.generated().tokens?, self.generated().tokens_took?)
    }

    /// By our clock and of the pieces that came, mostly one a token, from the
    /// first word to the last: the first has no part.
    fn own_rate(&self) -> Option<f64> {
        let generated = self.generated();
        let span = generated.last_word?.checked_sub(generated.first_word?)?;
        rate(generated.pieces.checked_sub(1)?, span)
    }

    fn clocks_agree(&self) -> Option<bool> {
        let (theirs, ours) = (self.rate()?, self.own_rate()?);
        Some((theirs / ours - 1.0).abs() <= AGREES_WITHIN)
    }
}

fn rate(tokens: u64, took: Duration) -> Option<f64> {
    let rate = tokens as f64 / took.as_secs_f64();
    (tokens > 0 && rate.is_finite()).then_some(rate)
}

#[derive(Serialize)]
struct Json<'a> {
    schema_version: u32,
    time: Wall,
    /// Null: the server's own.
    asked_context: Option<u64>,
    results: Vec<RowJson<'a>>,
}

#[derive(Serialize)]
struct RowJson<'a> {
    model: &'a str,
    error: Option<&'a str>,
    context: Option<u64>,
    cold_load_ms: Option<u64>,
    footprint_loaded_bytes: Option<u64>,
    footprint_used_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    samples: u32,
    first_token_ms: Option<u64>,
    prompt_tokens: Option<u64>,
    prompt_tokens_per_second: Option<f64>,
    tokens: Option<u64>,
    tokens_per_second: Option<f64>,
    /// By our own clock.
    measured_tokens_per_second: Option<f64>,
    clocks_agree: Option<bool>,
    freed_bytes: Option<u64>,
    given_back: bool,
}

impl<'a> RowJson<'a> {
    fn of(row: &'a Row) -> RowJson<'a> {
        let generated = row.generated();
        RowJson {
            model: &row.model,
            error: row.error.as_deref(),
            context: row.context,
            cold_load_ms: row.load.map(millis),
            footprint_loaded_bytes: row.footprint_loaded.map(Bytes::get),
            footprint_used_bytes: row.footprint_used.map(Bytes::get),
            peak_bytes: row.peak.map(Bytes::get),
            samples: row.samples,
            first_token_ms: generated.first_word.map(millis),
            prompt_tokens: generated.prompt_tokens,
            prompt_tokens_per_second: row.prompt_rate(),
            tokens: generated.tokens,
            tokens_per_second: row.rate(),
            measured_tokens_per_second: row.own_rate(),
            clocks_agree: row.clocks_agree(),
            freed_bytes: row.freed.map(Bytes::get),
            given_back: row.given_back,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

pub fn json(rows: &[Row], asked_context: Option<u64>, out: &mut dyn Write) -> io::Result<()> {
    let results = rows.iter().map(RowJson::of).collect();
    let (schema_version, time) = (Document::Bench.version(), Wall::now());
    write_json(out, &Json { schema_version, time, asked_context, results })
}

const HEADS: [&str; 8] =
    ["model", "cold load", "loaded", "used", "peak", "first token", "prompt/s", "tokens/s"];

pub fn text(rows: &[Row], columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let span = |span: Option<Duration>| span.map(|span| format!("{:.2} s", span.as_secs_f64()));
    let bytes = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.to_string());
    let each = |rate: Option<f64>| rate.map(|rate| format!("{rate:.1}"));
    let cells = |row: &Row| {
        let cells = [
            Some(row.model.clone()),
            span(row.load),
            bytes(row.footprint_loaded),
            bytes(row.footprint_used),
            bytes(row.peak),
            span(row.generated().first_word),
            each(row.prompt_rate()),
            each(row.rate()),
        ];
        cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned())).to_vec()
    };
    table(out, (&HEADS, &rows.iter().map(cells).collect::<Vec<_>>()), columns)?;
    for row in rows {
        for note in notes(row) {
            writeln!(out, "{}: {note}", row.model)?;
        }
    }
    writeln!(out, "cold: not loaded before; how much of the file was cached is unknown")?;
    writeln!(out, "loaded, used, peak: measured; prompt/s, tokens/s: reported")
}

fn notes(row: &Row) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(row.error.clone().map(|error| format!("not measured: {error}")));
    if let (Some(false), Some(ours)) = (row.clocks_agree(), row.own_rate()) {
        notes.push(format!("by our clock {ours:.1} pieces/s came, not as reported"));
    }
    if row.given_back {
        let freed = row.freed.map(|freed| format!("unloaded, {freed} given back"));
        notes.push(freed.unwrap_or_else(|| "unloaded".to_owned()));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(generated: Generated) -> Row {
        Row { generated: Some(generated), ..Row::of(&ModelName::new("tiny:1b")) }
    }

    fn written() -> Generated {
        let millis = |millis| Some(Duration::from_millis(millis));
        Generated {
            first_word: millis(500),
            last_word: millis(2500),
            pieces: 21,
            prompt_tokens: Some(100),
            prompt_took: millis(400),
            tokens: Some(21),
            tokens_took: millis(2100),
        }
    }

    #[test]
    fn rates_are_the_servers_and_our_clock_stands_beside_them() {
        let row = row(written());
        assert_eq!((row.prompt_rate(), row.rate()), (Some(250.0), Some(10.0)));
        assert_eq!((row.own_rate(), row.clocks_agree()), (Some(10.0), Some(true)));
        let odd = Generated { tokens_took: Some(Duration::from_millis(210)), ..written() };
        let odd = self::row(odd);
        assert_eq!((odd.rate(), odd.clocks_agree()), (Some(100.0), Some(false)));
        assert!(notes(&odd)[0].contains("10.0 pieces/s"), "{:?}", notes(&odd));
    }

    #[test]
    fn what_was_not_told_is_no_rate() {
        let none = Generated::default();
        assert_eq!((row(none).rate(), row(none).own_rate()), (None, None));
        let nothing = Generated { tokens: Some(0), ..written() };
        assert_eq!(row(nothing).rate(), None);
        let at_once = Generated { tokens_took: Some(Duration::ZERO), ..written() };
        assert_eq!((row(at_once).rate(), row(at_once).clocks_agree()), (None, None));
    }
}
