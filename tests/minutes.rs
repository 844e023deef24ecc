//! The past as the engine keeps it, in virtual time: a row a minute, what is
//! seen in it and what is not, and when it goes to the disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/machine.rs"]
mod machine;

use std::time::Duration;

use plimsoll::domain::past::{Count, Minute, Stretch};
use plimsoll::domain::process::{Process, ProcessRole};
use plimsoll::domain::sample::Swap;
use plimsoll::domain::{Bytes, ComponentKind, Level, RuntimeFault, RuntimeFaultKind, Wall};
use plimsoll::engine::input::{Effect, Lesson};
use plimsoll::engine::state::minutes_of;

use machine::{Machine, TOTAL, server};

/// The machine's first sample is at :11 of a minute, a second after its start.
const BEGIN: &str = "2026-01-15T14:02:12Z";

/// What reached the disk, one after the other as it was sent.
#[derive(Default)]
struct Disk {
    minutes: Vec<Minute>,
    counts: Vec<Count>,
    /// Times at which something of the past was sent.
    sent: usize,
}

impl Disk {
    fn take(&mut self, effects: &[Effect]) {
        let mut is_sent = false;
        for effect in effects {
            match effect {
                Effect::Learn(Lesson::Minutes(minutes)) => {
                    is_sent = true;
                    for minute in minutes {
                        // As the store does with a minute it has a part of.
                        match self.minutes.iter_mut().find(|old| old.number == minute.number) {
                            Some(old) => old.was.take_in(&minute.was),
                            None => self.minutes.push(minute.clone()),
                        }
                    }
                }
                Effect::Learn(Lesson::Count(count)) => {
                    is_sent = true;
                    self.counts.push(count.clone());
                }
                _ => {}
            }
        }
        self.sent += usize::from(is_sent);
    }

    fn run(&mut self, machine: &mut Machine, seconds: u64) {
        for _ in 0..seconds {
            machine.seconds(1);
            self.take(&machine.effects);
        }
    }

    fn wind_up(&mut self, machine: &mut Machine) {
        let now = machine.now();
        self.take(&machine.state.wind_up(now));
    }

    fn numbers(&self) -> Vec<i64> {
        self.minutes.iter().map(|minute| minute.number).collect()
    }

    fn spent(&self) -> Duration {
        self.minutes.iter().map(|minute| minute.was.spent.total()).sum()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn first() -> i64 {
    Minute::number_at(BEGIN.parse().unwrap())
}

fn program(pid: u32, mib: u64) -> Process {
    let mut program = server(pid);
    program.name = format!("program-{pid}");
    program.role = ProcessRole::Other;
    program.memory.anonymous = Some(Bytes::mib(mib));
    program.memory.resident = Some(Bytes::mib(mib));
    program
}

#[test]
fn a_minute_holds_the_worst_of_its_samples_and_the_time_at_each_level() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    machine.stalled = Some((0.25, 0.0));
    disk.run(&mut machine, 20);
    machine.used = 60.0;
    machine.stalled = Some((4.5, 0.0));
    machine.swap = Some(Swap { total: Bytes::gib(4), used: Bytes::mib(5) });
    disk.run(&mut machine, 5);
    machine.used = 50.0;
    machine.stalled = Some((0.25, 0.0));
    machine.swap = Some(Swap { total: Bytes::gib(4), used: Bytes::mib(3) });
    // To the end of the fifth minute after it, where they go together.
    disk.run(&mut machine, 4 * 60);
    let minute = &disk.minutes[0];
    assert_eq!((minute.number, disk.sent), (first(), 1));
    let Stretch { available, used, total, swap_used, stalled, models, level, spent } = minute.was;
    let share = |percent| TOTAL.at(plimsoll::domain::Percent::new(percent));
    assert_eq!((available, total), (Some(share(40.0)), Some(TOTAL)));
    assert_eq!(used, Some(TOTAL.saturating_sub(share(40.0))));
    assert_eq!((swap_used, stalled), (Some(Bytes::mib(5)), Some(4.5)));
    assert_eq!((models, level), (Some(Bytes::ZERO), Level::Normal));
    // From the first sample to the end of its minute.
    assert_eq!((spent.at(Level::Normal), spent.total()), (seconds(48), seconds(48)));
    assert_eq!(disk.minutes[1].was.spent.total(), seconds(60));
}

#[test]
fn time_at_each_level_adds_up_to_the_time_that_was_looked_at() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    disk.run(&mut machine, 90);
    machine.used = 99.0;
    disk.run(&mut machine, 100);
    let worst = machine.level();
    assert!(worst > Level::Normal);
    machine.used = 40.0;
    disk.run(&mut machine, 300);
    disk.wind_up(&mut machine);
    assert_eq!(disk.spent(), seconds(489), "all but the second before the first sample");
    let at = |level| disk.minutes.iter().map(|m| m.was.spent.at(level)).sum::<Duration>();
    assert!(at(worst) >= seconds(90), "{worst} for {:?}", at(worst));
    let levels: Vec<Level> = disk.minutes.iter().map(|minute| minute.was.level).collect();
    assert_eq!(
        (levels[0], levels[2], *levels.last().unwrap()),
        (Level::Normal, worst, Level::Normal)
    );
}

#[test]
fn no_minute_says_less_than_the_worst_level_it_spent_time_at() {
    // At every second of a minute once: the level falls also at its border, over
    // which a part of a second goes.
    for more in 0..60 {
        let (mut machine, mut disk) = (Machine::new(), Disk::default());
        machine.jumped = 500;
        machine.used = 99.0;
        disk.run(&mut machine, 90 + more);
        machine.used = 40.0;
        disk.run(&mut machine, 200);
        disk.wind_up(&mut machine);
        for minute in &disk.minutes {
            let spent = |level: &Level| !minute.was.spent.at(*level).is_zero();
            let worst = Level::ALL.into_iter().filter(spent).max();
            assert!(Some(minute.was.level) >= worst, "after {more} s more: {minute:?}");
        }
    }
}

#[test]
fn minutes_go_to_the_disk_five_at_a_time_or_along_with_what_goes_there_anyway() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    disk.run(&mut machine, 3600);
    assert_eq!(disk.sent, 12, "every five minutes of the clock");
    let numbers: Vec<i64> = (first()..first() + disk.numbers().len() as i64).collect();
    assert_eq!(disk.numbers(), numbers);
    assert!(numbers.len() >= 58);

    // A change of the level is written at once, and what was kept back with it.
    disk.run(&mut machine, 61);
    let (before, sent) = (disk.minutes.len(), disk.sent);
    machine.used = 99.0;
    while disk.sent == sent {
        disk.run(&mut machine, 1);
    }
    let newest = disk.minutes.last().unwrap();
    assert!(disk.minutes.len() > before);
    assert_eq!(newest.number, Minute::number_at(machine.now().wall), "as far as it is known");
    assert!(newest.was.level > Level::Normal);

    let spent = disk.spent();
    disk.run(&mut machine, 30);
    disk.wind_up(&mut machine);
    assert_eq!(disk.spent(), spent + seconds(30), "nothing is lost or counted twice");
}

#[test]
fn what_is_not_known_is_not_there() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    machine.stalled = None;
    machine.fault =
        Some(RuntimeFault { kind: RuntimeFaultKind::Unreachable, detail: "nobody listens".into() });
    disk.run(&mut machine, 300);
    let was = &disk.minutes[0].was;
    assert_eq!((was.stalled, was.swap_used, was.models), (None, None, None));
    assert!(was.used.is_some());
}

#[test]
fn what_models_hold_is_told_once_their_server_has_answered() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    machine.load("tiny:1b", 'a', 700);
    disk.run(&mut machine, 300);
    assert_eq!(disk.minutes[1].was.models, Some(machine.snapshot.models_held()));
    assert!(machine.snapshot.models_held() >= Bytes::mib(700));
}

#[test]
fn a_machine_that_slept_has_a_gap_and_no_time_in_it() {
    for slept_by_both_clocks in [false, true] {
        let (mut machine, mut disk) = (Machine::new(), Disk::default());
        disk.run(&mut machine, 60);
        // Most systems' steady clock stands still while the machine sleeps.
        let hours = 8 * 3600;
        if slept_by_both_clocks {
            machine.millis += hours * 1000;
        } else {
            machine.jumped = i64::try_from(hours).unwrap() * 1000;
        }
        disk.run(&mut machine, 90);
        disk.wind_up(&mut machine);
        let numbers = disk.numbers();
        let slept = numbers.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(slept.is_some_and(|minutes| (478..=480).contains(&minutes)), "{numbers:?}");
        assert!(numbers.len() <= 5, "{numbers:?}");
        let spent = disk.spent();
        assert!((seconds(147)..=seconds(149)).contains(&spent), "{spent:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_adds_to_the_minutes_it_comes_by_again() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    disk.run(&mut machine, 10 * 60);
    machine.jumped = -5 * 60_000;
    machine.used = 70.0;
    disk.run(&mut machine, 10 * 60);
    disk.wind_up(&mut machine);
    let mut numbers = disk.numbers();
    numbers.sort_unstable();
    let all: Vec<i64> = (first()..=first() + 15).collect();
    assert_eq!(numbers, all, "each minute once");
    assert_eq!(disk.spent(), seconds(1199), "no time is lost, none invented");
    let twice = disk.minutes.iter().find(|minute| minute.number == first() + 7).unwrap();
    assert_eq!(
        twice.was.used,
        machine.snapshot.sample.as_ref().unwrap().memory.as_ref().ok().map(|memory| memory.used())
    );
    assert_eq!(twice.was.spent.total(), seconds(120));
}

#[test]
fn components_are_counted_every_ten_minutes_models_and_servers_first() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    machine.load("tiny:1b", 'a', 700);
    machine.others = (200..210).map(|pid| program(pid, u64::from(pid))).collect();
    disk.run(&mut machine, 1_900);
    assert_eq!(disk.counts.len(), 4, "one at the start, three at the tens");
    let at = |count: &Count| count.at.to_string();
    let times: Vec<String> = disk.counts.iter().skip(1).map(at).collect();
    assert_eq!(times, ["2026-01-15T14:10:00Z", "2026-01-15T14:20:00Z", "2026-01-15T14:30:00Z"]);
    let count = disk.counts.last().unwrap();
    let kinds: Vec<ComponentKind> = count.rows.iter().map(|row| row.kind).collect();
    let (model, server) = (ComponentKind::Model, ComponentKind::Server);
    assert_eq!((kinds.len(), &kinds[..2]), (12, &[model, server][..]), "{count:?}");
    let largest = &count.rows[2];
    assert_eq!((largest.id.as_str(), largest.bytes), ("process:program-209", Bytes::mib(209)));
    assert_eq!(largest.process, Some(machine.others[9].key));
    assert!(count.rows[2..].is_sorted_by_key(|row| std::cmp::Reverse(row.bytes)));
}

#[test]
fn a_count_of_the_start_is_kept_beside_the_next_one() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    machine.others = vec![program(200, 300)];
    // A little before the tens.
    machine.jumped = 7 * 60_000;
    disk.run(&mut machine, 120);
    let times: Vec<String> = disk.counts.iter().map(|count| count.at.to_string()).collect();
    assert_eq!(times, ["2026-01-15T14:09:12Z", "2026-01-15T14:10:00Z"]);
}

#[test]
fn the_newest_minutes_of_an_engine_are_those_it_will_write() {
    let (mut machine, mut disk) = (Machine::new(), Disk::default());
    machine.load("tiny:1b", 'a', 700);
    disk.run(&mut machine, 200);
    let of_points = minutes_of(&machine.snapshot);
    disk.wind_up(&mut machine);
    assert_eq!(of_points, disk.minutes);
    let empty: Vec<Minute> = minutes_of(&Machine::new().snapshot);
    assert_eq!(empty, []);
    let starts: Vec<Wall> = of_points.iter().map(Minute::start).collect();
    assert_eq!(starts[0].to_string(), "2026-01-15T14:02:00Z");
}
