//! What the engine's decision costs: one input through `handle`, and the
//! snapshot that follows.

#[path = "../tests/support/machine.rs"]
mod machine;

use std::collections::BTreeMap;

use divan::Bencher;
use plimsoll::domain::{Bytes, Component, Deed, Level, Sample, SignalKind, Target};
use plimsoll::engine::input::{Input, PollAnswer, Report};
use plimsoll::policy::guard::{self, Situation};
use plimsoll::policy::plan::Load;
use plimsoll::policy::rules::Rules;

use machine::{Machine, moment, runner, server};

fn main() {
    divan::main();
}

/// A machine with models loaded and other programs running, warm.
fn busy(models: usize) -> Machine {
    let mut machine = Machine::new();
    for index in 0..models {
        let letter = char::from(b'a' + (index % 6) as u8);
        machine.load(&format!("model-{index}:3b"), letter, 900);
    }
    for pid in 0..10 {
        let mut other = server(3000 + pid);
        other.role = plimsoll::domain::ProcessRole::Other;
        other.name = format!("program-{pid}");
        machine.others.push(other);
    }
    let key = plimsoll::domain::ProcessKey { pid: 9000, started: 1 };
    machine.runners.push(runner(key, 1, 'f', 400));
    machine.seconds(5);
    machine
}

/// A second later, every program a little larger or smaller.
fn next_sample(machine: &mut Machine) -> Sample {
    machine.millis += 1000;
    let resident = Some(Bytes::mib(40 + machine.millis / 1000 % 2));
    machine.others.iter_mut().for_each(|other| other.memory.resident = resident);
    machine.sample()
}

/// A sample taken in, decided on by rules that observe, and a snapshot made of
/// it, while somebody still looks at the one before.
#[divan::bench(args = [0, 2, 20])]
fn sample(bencher: Bencher, models: usize) {
    let mut machine = busy(models);
    bencher.bench_local(|| {
        let sample = next_sample(&mut machine);
        let now = moment(machine.millis);
        let effects = machine.state.handle(Input::Sampled(Box::new(sample)), now);
        machine.snapshot = machine.state.snapshot();
        effects
    });
}

/// What a rule wants, over as many components: half models, half programs.
#[divan::bench(args = [10, 100, 1000])]
fn wish(bencher: Bencher, components: usize) {
    let machine = busy(components / 2);
    let models = machine.snapshot.models.clone();
    let row = machine.snapshot.components.value.last().expect("a program").clone();
    let programs: Vec<_> = (0..components / 2)
        .map(|index| {
            let key = plimsoll::domain::ProcessKey { pid: 10_000 + index as u32, started: 1 };
            Component {
                id: format!("process:program-{index}"),
                target: Some(Target::Process { key }),
                allowed: vec![Deed::Pause, Deed::Term],
                ..row.clone()
            }
        })
        .collect();
    let (rules, spared) = (Rules::plain(), BTreeMap::new());
    let load = Load {
        models: &models,
        components: &programs,
        spared: &spared,
        now: moment(machine.millis),
    };
    bencher.bench_local(|| {
        guard::wish(
            &rules,
            &Situation {
                level: Level::Critical,
                cause: Some(SignalKind::Memory),
                excess: Some(Bytes::gib(200)),
                budget: None,
                load,
                has_run: true,
            },
        )
    });
}

/// The server's list of loaded models taken in.
#[divan::bench(args = [2, 20])]
fn report(bencher: Bencher, models: usize) {
    let mut machine = busy(models);
    let loaded = machine.loaded.clone();
    bencher.bench_local(|| {
        let answer = PollAnswer::Loaded(Ok(loaded.clone()));
        let report = Report { took: std::time::Duration::from_millis(2), answer };
        machine.state.handle(Input::Reported(report), moment(machine.millis))
    });
}
