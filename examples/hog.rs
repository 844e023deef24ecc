//! Takes memory step by step, to see what a machine or a guard does about it.
//!
//! `cargo run --example hog -- --start 100MiB --step 50MiB --every 250ms --to 600MiB
//! --hold 5s` (these are the defaults) writes to every page it takes, with
//! bytes that no compression makes smaller, and says each size on standard
//! output as a line of JSON. It never takes more than `--to`, holds that for
//! `--hold` and ends; TERM ends it sooner. All it took goes back with it.

use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::domain::{Bytes, Wall};
use serde_json::json;

const USAGE: &str =
    "usage: hog [--start SIZE] [--step SIZE] [--every SPAN] [--to SIZE] [--hold SPAN]
sizes as in 100MiB or 1.5GiB, spans as in 250ms or 5s";

/// The size as a function of time.
#[derive(Debug, Clone, PartialEq)]
struct Growth {
    start: Bytes,
    step: Bytes,
    every: Duration,
    to: Bytes,
    hold: Duration,
}

impl Default for Growth {
    fn default() -> Self {
        Growth {
            start: Bytes::mib(100),
            step: Bytes::mib(50),
            every: Duration::from_millis(250),
            to: Bytes::mib(600),
            hold: Duration::from_secs(5),
        }
    }
}

fn main() -> ExitCode {
    let said = match read_arguments(std::env::args().skip(1)) {
        Ok(growth) => return grow(&growth),
        Err(wrong) => format!("{wrong}\n{USAGE}"),
    };
    let _ = writeln!(std::io::stderr(), "{said}");
    ExitCode::from(2)
}

/// Ends early where nobody reads what it says any longer.
fn grow(growth: &Growth) -> ExitCode {
    let begun = Instant::now();
    let mut noise = Noise::new();
    let mut pieces: Vec<Vec<u64>> = Vec::new();
    let mut held = Bytes::ZERO;
    for step in 0_u32.. {
        let due = growth.every.saturating_mul(step);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        let wanted = if step == 0 { growth.start } else { held.saturating_add(growth.step) };
        let wanted = wanted.min(growth.to);
        pieces.push(noise.piece(wanted.saturating_sub(held)));
        held = wanted;
        let is_all = held >= growth.to;
        let said = json!({
            "ms": begun.elapsed().as_millis() as u64,
            "time": Wall::now(),
            "held": held.get(),
            "is_all": is_all,
        });
        if writeln!(std::io::stdout(), "{said}").is_err() {
            return ExitCode::FAILURE;
        }
        if is_all {
            thread::sleep(growth.hold);
            break;
        }
    }
    std::hint::black_box(&pieces);
    ExitCode::SUCCESS
}

/// Numbers without a pattern: xorshift with 64 bits.
struct Noise(u64);

impl Noise {
    fn new() -> Self {
        Noise(0x9e37_79b9_7f4a_7c15)
    }

    /// That much memory, all of it written.
    fn piece(&mut self, size: Bytes) -> Vec<u64> {
        let words = size.get() / u64::from(u64::BITS / 8);
        (0..words).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn read_arguments(mut given: impl Iterator<Item = String>) -> Result<Growth, String> {
    let mut growth = Growth::default();
    while let Some(flag) = given.next() {
        let mut value = || given.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--start" => growth.start = size(&value()?)?,
            "--step" => growth.step = size(&value()?)?,
            "--every" => growth.every = span(&value()?)?,
            "--to" => growth.to = size(&value()?)?,
            "--hold" => growth.hold = span(&value()?)?,
            _ => return Err(format!("`{flag}` is not known")),
        }
    }
    if growth.step.is_zero() && growth.start < growth.to {
        return Err("with steps of nothing it never gets there".to_owned());
    }
    Ok(growth)
}

fn size(text: &str) -> Result<Bytes, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

/// `250ms` or `5s`
fn span(text: &str) -> Result<Duration, String> {
    let (figure, unit) = match text.strip_suffix("ms") {
        Some(figure) => (figure, 1),
        None => (text.strip_suffix('s').unwrap_or_default(), 1000),
    };
    let wrong = || format!("`{text}` is no span such as 250ms or 5s");
    let figure: u64 = figure.parse().map_err(|_| wrong())?;
    figure.checked_mul(unit).map(Duration::from_millis).ok_or_else(wrong)
}
