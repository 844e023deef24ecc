//! What a simulation costs a sample, beside reading the recording alone.

#[path = "../tests/support/machine.rs"]
mod machine;
#[path = "../tests/support/recorded.rs"]
mod recorded;

use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use plimsoll::engine::simulate::Simulation;
use plimsoll::policy::limits::Profile;
use plimsoll::recording::{Entry, Reader};

/// Twenty minutes at one a second.
const SAMPLES: u64 = 1_200;

fn main() {
    divan::main();
}

/// The recording read, and nothing done with it.
#[divan::bench]
fn parsing_alone(bencher: Bencher) {
    let file = recorded::ordinary(SAMPLES);
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        Reader::new(&file[..]).into_iter().flatten().filter_map(Result::ok).count()
    });
}

/// The engine's state alone, over samples that are there already.
#[divan::bench]
fn deciding_alone(bencher: Bencher) {
    let file = recorded::ordinary(SAMPLES);
    let entries: Vec<Entry> =
        Reader::new(&file[..]).into_iter().flatten().filter_map(Result::ok).collect();
    bencher.counter(ItemsCount::new(SAMPLES)).with_inputs(|| entries.clone()).bench_local_values(
        |entries| {
            let mut simulation = simulation();
            entries.into_iter().for_each(|entry| recorded::feed(&mut simulation, entry));
            simulation.finish()
        },
    );
}

/// Both: what `plimsoll simulate` does.
#[divan::bench]
fn simulation_with_parsing(bencher: Bencher) {
    let file = recorded::ordinary(SAMPLES);
    bencher.counter(ItemsCount::new(SAMPLES)).bench_local(|| {
        let mut simulation = simulation();
        let entries = Reader::new(&file[..]).into_iter().flatten().filter_map(Result::ok);
        entries.for_each(|entry| recorded::feed(&mut simulation, entry));
        simulation.finish()
    });
}

fn simulation() -> Simulation {
    Simulation::new(machine::settings(Profile::Linux15), Duration::from_secs(1))
}
