//! Recordings made by hand from a machine of the tests, in virtual time.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::time::Duration;

use plimsoll::domain::process::ProcessRole;
use plimsoll::domain::snapshot::Host;
use plimsoll::domain::{Bytes, Process};
use plimsoll::engine::simulate::{Said, Simulation};
use plimsoll::recording::{Entry, Report, ReportBody, Writer};

use crate::machine::{Machine, moment, server};

const URL: &str = "http://127.0.0.1:11434";

/// A machine and the recorder that looks at it.
pub struct Recorder {
    pub machine: Machine,
    writer: Writer<Vec<u8>>,
}

impl Recorder {
    pub fn new() -> Recorder {
        let host = Host { name: "box".into(), system: "Linux".into(), kernel: "6.18".into() };
        let writer = Writer::new(Vec::new(), &host).expect("memory can be written to");
        Recorder { machine: Machine::new(), writer }
    }

    /// One look after so many milliseconds, as `plimsoll record` takes it.
    pub fn look(&mut self, millis: u64) {
        self.machine.millis += millis;
        let sample = self.machine.sample();
        self.writer.write_sample(&sample).expect("memory can be written to");
        self.report(ReportBody::Loaded(Ok(self.machine.loaded.clone())));
        self.report(ReportBody::Installed(Ok(self.machine.installed.clone())));
        for (model, details) in self.machine.details.clone() {
            self.report(ReportBody::Details { model, details });
        }
    }

    fn report(&mut self, what: ReportBody) {
        let report = Report { at: moment(self.machine.millis), url: URL.into(), what };
        self.writer.write_report(&report).expect("memory can be written to");
    }

    pub fn seconds(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.look(1000);
        }
    }

    pub fn file(self) -> Vec<u8> {
        self.writer.into_inner()
    }
}

pub fn program(number: u32) -> Process {
    let mut program = server(3000 + number * 7);
    program.role = ProcessRole::Other;
    program.name = format!("program-{number}");
    program.memory.resident = Some(Bytes::mib(300 + u64::from(number)));
    program.memory.anonymous = Some(Bytes::mib(250 + u64::from(number)));
    program.memory.file = Some(Bytes::mib(50));
    program.cpu = Some(Duration::from_secs(u64::from(number)));
    program
}

/// So many seconds of a machine at work: ten large programs, two models of
/// which one is used now and then, sizes and counters that move.
pub fn ordinary(samples: u64) -> Vec<u8> {
    let mut recorder = Recorder::new();
    recorder.machine.others = (0..10).map(program).collect();
    let busy = recorder.machine.load("tiny:1b", 'a', 1200);
    recorder.machine.load("small:3b", 'b', 2600);
    for tick in 0..samples {
        recorder.machine.used = 62.0 + (tick % 97) as f64 / 40.0;
        for (place, program) in recorder.machine.others.iter_mut().enumerate() {
            let place = place as u64;
            if tick % (2 + place) == 0 {
                let memory = &mut program.memory;
                memory.anonymous = Some(Bytes::kib(250 * 1024 + tick % 50 * 36 + place));
                memory.resident = Some(Bytes::kib(300 * 1024 + tick % 50 * 36 + place));
                program.cpu = program.cpu.map(|cpu| cpu + Duration::from_millis(10));
            }
        }
        if tick % 60 < 10 {
            recorder.machine.work(busy, 700);
        }
        recorder.look(1000);
    }
    recorder.file()
}

/// One entry of a recording into a simulation.
pub fn feed(simulation: &mut Simulation, entry: Entry) {
    match entry {
        Entry::Sample(sample) => simulation.take_sample(sample),
        Entry::Report(report) => {
            let said = match report.what {
                ReportBody::Loaded(loaded) => Said::Loaded(loaded),
                ReportBody::Installed(installed) => Said::Installed(installed),
                ReportBody::Version(version) => Said::Version(version),
                ReportBody::Details { model, details } => Said::Details(model, details),
            };
            simulation.take_said(report.at, said);
        }
    }
}
