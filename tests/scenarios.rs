//! Scenarios: files with what memory does, and the levels that must follow.
//! A new case is a new file in `tests/scenarios/`.

#[path = "support/machine.rs"]
mod machine;

use std::fs;
use std::path::Path;

use serde::Deserialize;

use plimsoll::domain::sample::Swap;
use plimsoll::domain::{Bytes, Level};
use plimsoll::policy::limits::Profile;

use machine::{Machine, settings};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What this shows, for the one who reads a failure.
    about: String,
    profile: String,
    span: Vec<Span>,
    /// Every change of the level, in order; the first is from normal.
    changes: Vec<Change>,
}

/// One sample a second, values drawn in a straight line from the last span's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    seconds: u64,
    /// Share of memory in use at the end of the span.
    used: f64,
    /// Jump there at once instead.
    #[serde(default)]
    step: bool,
    some: Option<f64>,
    full: Option<f64>,
    /// Swap in use at the end of the span, MiB. Absent: no swap.
    swap_mib: Option<u64>,
    /// No sample at all: the machine sleeps.
    #[serde(default)]
    asleep: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Seconds from the start, as narrow as the scenario knows.
    from: u64,
    to: u64,
    level: Level,
    set_by: Option<String>,
}

fn run(scenario: &Scenario) -> Vec<(u64, Level, Option<String>)> {
    let profile = Profile::from_name(&scenario.profile).expect("a known profile");
    let mut machine = Machine::with(settings(profile), Default::default());
    machine.used = scenario.span.first().map_or(0.0, |span| span.used);
    let mut seen = Vec::new();
    let (mut second, mut last) = (0, Level::Normal);
    for span in &scenario.span {
        if span.asleep {
            machine.millis += span.seconds * 1000;
            second += span.seconds;
            continue;
        }
        let (from, swap_from) = (machine.used, machine.swap.as_ref().map(|swap| swap.used));
        for step in 1..=span.seconds {
            let share = if span.step { 1.0 } else { step as f64 / span.seconds as f64 };
            machine.used = from + (span.used - from) * share;
            machine.stalled = Some((span.some.unwrap_or(0.0), span.full.unwrap_or(0.0)));
            machine.swap = span.swap_mib.map(|mib| {
                let start = swap_from.unwrap_or_default().get() as f64;
                let used = start + (Bytes::mib(mib).get() as f64 - start) * share;
                Swap { total: Bytes::gib(8), used: Bytes::new(used as u64) }
            });
            machine.seconds(1);
            second += 1;
            if machine.level() != last {
                last = machine.level();
                let cause = machine.snapshot.level.set_by.as_ref();
                seen.push((second, last, cause.map(|c| c.signal.word().to_owned())));
            }
        }
    }
    seen
}

fn check(path: &Path) -> Result<(), String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let scenario: Scenario = toml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let seen = run(&scenario);
    let is_right = seen.len() == scenario.changes.len()
        && seen.iter().zip(&scenario.changes).all(|((second, level, set_by), expected)| {
            (expected.from..=expected.to).contains(second)
                && *level == expected.level
                && (expected.set_by.is_none() || *set_by == expected.set_by)
        });
    if is_right {
        return Ok(());
    }
    Err(format!("{name}: {}\n  expected {:?}\n  seen {seen:?}", scenario.about, scenario.changes))
}

#[test]
fn every_scenario_ends_as_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder is in the repository")
        .map(|entry| entry.expect("its entries can be listed").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "the scenarios are missing");
    let failures: Vec<String> = paths.iter().filter_map(|path| check(path).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
