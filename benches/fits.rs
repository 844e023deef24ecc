//! What verdicts cost from metadata that are known: on one model, and on all
//! that are installed, each time with another amount of free memory.

#[path = "../tests/support/machine.rs"]
mod machine;

use divan::Bencher;
use plimsoll::domain::{FitQuestion, ModelName};
use plimsoll::engine::input::{Input, RequestNumber};
use plimsoll::engine::link::{Attention, Command};

use machine::{Machine, moment};

fn main() {
    divan::main();
}

/// So many models installed, all metadata known, some too large.
fn installed(models: u64) -> Machine {
    let mut machine = Machine::new();
    let attention = Attention { fits: true, ..Attention::default() };
    machine.ask(Command::Attend { attention });
    for index in 0..models {
        let letter = char::from(b'a' + (index % 6) as u8);
        machine.install_sized(&format!("model-{index}:3b"), letter, 300 + index * 97 % 14_000);
    }
    machine.install_sized("loaded:3b", 'f', 800);
    machine.start_runner('f', 900);
    machine.list("loaded:3b", 890);
    machine.seconds(60);
    assert_eq!(machine.snapshot.fits.value.all.len() as u64, models + 1, "all are judged");
    machine
}

/// A sample in which another amount is free: every verdict is worked out anew.
#[divan::bench(args = [10, 200])]
fn all(bencher: Bencher, models: u64) {
    let mut machine = installed(models);
    bencher.bench_local(|| {
        machine.millis += 1000;
        machine.used = if (machine.millis / 1000).is_multiple_of(2) { 50.0 } else { 52.0 };
        let sample = machine.sample();
        machine.state.handle(Input::Sampled(Box::new(sample)), moment(machine.millis))
    });
}

/// One question of a command or a gate.
#[divan::bench(args = [200])]
fn one(bencher: Bencher, models: u64) {
    let mut machine = installed(models);
    let question =
        FitQuestion { context: Some(8192), ..FitQuestion::plain(ModelName::new("model-7:3b")) };
    bencher.bench_local(|| {
        let command = Command::Fit { question: question.clone() };
        let asked = Input::Asked { number: RequestNumber(1), command };
        machine.state.handle(asked, moment(machine.millis))
    });
}
