//! What a sample of this machine costs. Run on Linux; elsewhere every file is
//! missing and the figures say nothing.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};

use divan::Bencher;
use plimsoll::domain::rule::Named;
use plimsoll::domain::time::{Moment, Monotonic, Wall};
use plimsoll::sense::linux::LinuxSensors;
use plimsoll::sense::{Sensors, Want};

fn main() {
    divan::main();
}

fn warmed(want: &Want) -> LinuxSensors {
    let mut sensors = LinuxSensors::new(PathBuf::from("/"));
    let look = Want { all_processes: want.largest > 0, ..want.clone() };
    sensors.read(&look, moment());
    sensors
}

/// A millisecond later each time: what is done once a minute stays seldom.
fn moment() -> Moment {
    static MILLIS: AtomicU64 = AtomicU64::new(0);
    let now = MILLIS.fetch_add(1, Ordering::Relaxed);
    Moment::new(Wall::default(), Monotonic::from_millis(now))
}

/// A tick that follows the given number of the largest processes.
#[divan::bench(args = [0, 10, 20])]
fn tick(bencher: Bencher, largest: usize) {
    let want = Want { largest, ..Want::default() };
    let mut sensors = warmed(&want);
    bencher.bench_local(|| sensors.read(&want, moment()));
}

/// A tick that follows so many processes the config names.
#[divan::bench(args = [0, 10])]
fn named_processes(bencher: Bencher, count: usize) {
    let children: Vec<Child> = (0..count).filter_map(|_| child().ok()).collect();
    let want = naming(&["cmdline:plimsoll-named-*"]);
    let mut sensors = warmed(&want);
    let followed = |sensors: &mut LinuxSensors| {
        let found = sensors.read(&want, moment()).processes;
        found.map_or(0, |table| table.named.len())
    };
    // A child bears our own command line until it has become what it is to be.
    while followed(&mut sensors) < count {
        sensors = warmed(&want);
    }
    bencher.bench_local(|| sensors.read(&want, moment()));
    for mut child in children {
        drop(child.kill().and_then(|()| child.wait()));
    }
}

fn child() -> std::io::Result<Child> {
    Command::new("sleep").arg0("plimsoll-named-child").arg("600").spawn()
}

fn naming(patterns: &[&str]) -> Want {
    let named = patterns.iter().filter_map(|text| Named::parse(text)).collect();
    Want { named, ..Want::default() }
}

/// A tick that reads every container of this machine: 64 at most.
#[divan::bench]
fn named_containers(bencher: Bencher) {
    let want = naming(&["container:*"]);
    let mut sensors = warmed(&want);
    bencher.bench_local(|| sensors.read(&want, moment()));
}

/// A tick that looks at every process.
#[divan::bench]
fn look_at_all_processes(bencher: Bencher) {
    let want = Want { all_processes: true, largest: 10, ..Want::default() };
    let mut sensors = warmed(&want);
    bencher.bench_local(|| sensors.read(&want, moment()));
}

/// The first sample: everything is opened and every command line read.
#[divan::bench]
fn first_sample(bencher: Bencher) {
    bencher.bench_local(|| LinuxSensors::new(PathBuf::from("/")).read(&Want::default(), moment()));
}
