//! Forecasts over hours of virtual time: what a machine of 16 GiB does in
//! ordinary use, and what it does when something grows.
//!
//! `cargo test --test forecasts -- --nocapture` prints the table.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the table is half of what this is for")]

use std::time::Duration;

use plimsoll::domain::{
    Bytes, Forecast, ForecastOutcome, Level, Moment, Monotonic, SignalKind, Wall,
};
use plimsoll::forecast::score::{Ledger, Seen};
use plimsoll::forecast::trend::{Aim, Trend};
use plimsoll::policy::level::Judge;
use plimsoll::policy::limits::Profile;
use plimsoll::policy::signals::{Condition, Signal};

#[path = "forecasts/scenes.rs"]
mod scenes;

use scenes::{Scene, Shape};

const MIB: f64 = 1_048_576.0;
const TOTAL: f64 = 16384.0;
/// Available MiB at which the levels of 80, 90 and 95 % in use begin.
const FLOORS: [(Level, f64); 3] =
    [(Level::Warning, 0.2), (Level::Critical, 0.1), (Level::Emergency, 0.05)];

/// What came of a scene.
#[derive(Default)]
struct Told {
    /// When, and what was said.
    announced: Vec<(f64, Forecast)>,
    reached: Vec<Reached>,
    /// Share by which the middle of the range was off, each second shown.
    errors: Vec<f64>,
    outcomes: Vec<ForecastOutcome>,
    hours: f64,
    /// When the last forecast was seen.
    last_shown: Option<f64>,
}

/// A level that was reached.
#[derive(Clone, Copy)]
struct Reached {
    level: Level,
    /// Since the level before it was reached, or the scene began.
    after: f64,
    /// For how long it had been told of without a break.
    lead: Option<f64>,
}

fn moment(seconds: f64) -> Moment {
    let start: Wall = "2026-01-15T14:02:11Z".parse().unwrap();
    let ms = (seconds * 1000.0) as u64;
    Moment::new(start + Duration::from_millis(ms), Monotonic::from_millis(77_000 + ms))
}

fn bytes(mib: f64) -> Bytes {
    Bytes::new((mib.max(0.0) * MIB) as u64)
}

/// Judged as the engine does it: dwell, hysteresis and all.
fn judge(judge: &mut Judge, available: f64, now: Moment) -> Level {
    let limits = Profile::Linux15.limits();
    let conditions = FLOORS.map(|(_, share)| Condition {
        enters: available <= TOTAL * share,
        holds: available <= TOTAL * (share + limits.hysteresis / 100.0),
        sustain: limits.enter_after,
    });
    let signal = Signal { kind: SignalKind::Memory, text: String::new(), conditions };
    judge.judge(&[signal], &limits, now.mono).level
}

fn aim_above(level: Level) -> Option<Aim> {
    let (to, share) = FLOORS.into_iter().find(|(to, _)| *to > level)?;
    let (floor, scale) = (bytes(TOTAL * share), bytes(TOTAL));
    Some(Aim { to, signal: SignalKind::Memory, floor, scale })
}

/// What the engine does with each sample.
fn run(scene: &Scene, seed: u64) -> Told {
    let mut told = Told { hours: scene.seconds / 3600.0, ..Told::default() };
    let (mut trend, mut judging, mut ledger) = (Trend::new(), Judge::default(), Ledger::new());
    let mut level = Level::Normal;
    let (mut level_since, mut shown) = (0.0, None::<(Level, f64)>);
    for sample in scene.samples(seed) {
        let now = moment(sample.at);
        if sample.restarts {
            trend.restart();
            let cut = ledger.cut_short(now);
            told.outcomes.extend(cut.iter().map(|record| record.outcome));
        }
        trend.push(now.mono, bytes(sample.available));
        let before = std::mem::replace(&mut level, judge(&mut judging, sample.available, now));
        if level > before {
            let since = shown.filter(|(to, _)| *to == level).map(|(_, since)| since);
            let lead = since.map(|since| sample.at - since);
            told.reached.push(Reached { level, after: sample.at - level_since, lead });
            level_since = sample.at;
        }
        let aim = aim_above(level);
        let forecast = aim.and_then(|aim| trend.outlook(&aim, now));
        let climb = if level > before { trend.climb(bytes(TOTAL)) } else { Duration::ZERO };
        let set_by = Some(SignalKind::Memory);
        let seen = Seen { shown: forecast.as_ref(), level, set_by, climb };
        let followed = ledger.follow(&seen, now);
        told.outcomes.extend(followed.ended.iter().map(|record| record.outcome));
        let (Some(aim), Some(forecast)) = (aim, forecast) else {
            shown = None;
            continue;
        };
        told.last_shown = Some(sample.at);
        // Until the line beneath the noise meets the floor.
        let meets = scene.meets(aim.floor.get() as f64 / MIB).map(|at| at - sample.at);
        if let Some(left) = meets.filter(|left| *left >= 10.0) {
            let middle = (forecast.soonest + forecast.latest).as_secs_f64() / 2.0;
            told.errors.push((middle - left).abs() / left);
        }
        if shown.is_none_or(|(to, _)| to != aim.to) {
            shown = Some((aim.to, sample.at));
            told.announced.push((sample.at, forecast));
        }
    }
    told
}

/// A row of the table.
struct Row {
    announced: usize,
    hours: f64,
    reached: Vec<Reached>,
    median: Option<f64>,
    worst_tenth: Option<f64>,
    hits: usize,
    false_alarms: usize,
    misses: usize,
    last_shown: Option<f64>,
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get(((sorted.len() as f64 - 1.0) * share).round() as usize).copied()
}

/// Runs a scene with several seeds and prints what came of it.
fn row(scene: &Scene, seeds: u64) -> Row {
    let told: Vec<Told> = (0..seeds).map(|seed| run(scene, seed)).collect();
    let mut errors: Vec<f64> = told.iter().flat_map(|told| told.errors.clone()).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let outcomes: Vec<ForecastOutcome> =
        told.iter().flat_map(|told| told.outcomes.clone()).collect();
    let count = |of: ForecastOutcome| outcomes.iter().filter(|outcome| **outcome == of).count();
    let row = Row {
        announced: told.iter().map(|told| told.announced.len()).sum(),
        hours: told.iter().map(|told| told.hours).sum(),
        reached: told.iter().flat_map(|told| told.reached.clone()).collect(),
        median: quantile(&errors, 0.5),
        worst_tenth: quantile(&errors, 0.9),
        hits: count(ForecastOutcome::Hit),
        false_alarms: count(ForecastOutcome::FalseAlarm),
        misses: count(ForecastOutcome::Missed),
        last_shown: told.iter().filter_map(|told| told.last_shown).max_by(f64::total_cmp),
    };
    row.print(&scene.name);
    // With each line that was spoken, for the one who looks for a reason.
    if std::env::var_os("FORECASTS_TOLD").is_some() {
        for (at, said) in told.iter().flat_map(|told| &told.announced) {
            let rate = said.rate / MIB;
            println!("    at {at:.0} s: {} ({:?}, {rate:.1} MiB/s)", said.text(), said.window);
        }
    }
    row
}

impl Row {
    fn print(&self, name: &str) {
        let percent =
            |share: Option<f64>| share.map_or("-".into(), |s| format!("{:.0} %", s * 100.0));
        let lead = |reached: &Reached| match reached.lead {
            Some(lead) => format!("{}{lead:.0}", &reached.level.word()[..1]),
            None => format!("{} none", &reached.level.word()[..1]),
        };
        println!(
            "{name:<32}{:>6.1} h{:>4} told{:>4} hit{:>4} false{:>3} missed  off{:>6}{:>6}  leads {}",
            self.hours,
            self.announced,
            self.hits,
            self.false_alarms,
            self.misses,
            percent(self.median),
            percent(self.worst_tenth),
            self.reached.iter().map(lead).collect::<Vec<_>>().join(" "),
        );
    }

    fn alarms_an_hour(&self) -> f64 {
        self.announced as f64 / self.hours
    }
}

fn climb(rate: f64) -> Scene {
    // A slow one begins nearer: hours far from anything show nothing.
    let from = if rate < 2.0 { 5_000.0 } else { 10_240.0 };
    let (start, to) = (900.0, 500.0);
    let ends = start + (from - to) / rate;
    let line = Shape::Line(vec![(0.0, from), (start, from), (ends, to)]);
    Scene::new(format!("climb of {rate} MiB/s"), (ends + 5.0) / 60.0, line)
}

#[test]
fn a_climb_is_told_of_a_minute_ahead_and_rightly() {
    let mut scenes: Vec<Scene> =
        [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 32.0, 50.0].into_iter().map(climb).collect();
    for pace in [0.25, 2.0, 5.0] {
        scenes.push(Scene {
            pace,
            name: format!("10 MiB/s, looked at each {pace} s"),
            ..climb(10.0)
        });
    }
    let after_build = [(0.0, 10_240.0), (600.0, 10_240.0), (620.0, 6_000.0), (780.0, 6_000.0)];
    let leak = [(790.0, 10_240.0), (1200.0, 10_240.0), (1200.0 + 9_740.0 / 20.0, 500.0)];
    let line = [&after_build[..], &leak[..]].concat();
    scenes.push(Scene::new("20 MiB/s after a build", 28.2, Shape::Line(line)));
    for scene in &scenes {
        let row = row(scene, 3);
        assert_eq!(row.reached.len(), 9, "{}: each level is reached once", scene.name);
        for reached in &row.reached {
            // Of what there is after the last level, some seconds to see it.
            let wanted = (reached.after - 20.0).min(60.0);
            let lead = reached.lead.unwrap_or(0.0);
            assert!(lead >= wanted, "{}: {} after {lead} s", scene.name, reached.level);
        }
        assert!(row.median.unwrap() <= 0.15 && row.worst_tenth.unwrap() <= 0.40, "{}", scene.name);
        assert_eq!((row.false_alarms, row.misses), (0, 0), "{}", scene.name);
    }
}

#[test]
fn growth_in_steps_is_told_of() {
    let stairs = Shape::Stairs { from: 10_240.0, after: 900.0, keeps: 450.0, every: 60.0 };
    let row = row(&Scene::new("stairs of 450 MiB", 38.0, stairs), 3);
    for reached in row.reached.iter().filter(|reached| reached.level == Level::Warning) {
        assert!(reached.lead.unwrap_or(0.0) >= 60.0);
    }
    assert!(row.median.unwrap() <= 0.25, "each step is a minute's growth at once");
    assert_eq!(row.misses, 0);
}

#[test]
fn nothing_is_told_where_nothing_grows() {
    let still = |level: f64| Shape::Line(vec![(0.0, level)]);
    let scenes = [
        Scene::new("idle", 240.0, still(10_240.0)).quiet(),
        Scene::new("noise", 240.0, still(10_240.0)),
        Scene::new("noise near the line", 240.0, still(3_900.0)),
        Scene { bursts: 240.0, ..Scene::new("many bursts", 240.0, still(5_000.0)) },
    ];
    for scene in &scenes {
        assert_eq!(row(scene, 2).announced, 0, "{}", scene.name);
    }
}

/// Two models of 3 GiB, each read in so many seconds.
fn loads(takes: f64) -> Vec<(f64, f64)> {
    let loads = [(1200.0, 10_240.0, 7_100.0), (2400.0, 7_100.0, 4_000.0)];
    let ends = |(at, before, after): (f64, f64, f64)| [(at, before), (at + takes, after)];
    loads.into_iter().flat_map(ends).collect()
}

#[test]
fn a_load_is_no_climb() {
    for takes in [1.0, 4.0, 12.0, 20.0] {
        let begin_and_end = vec![1200.0, 1200.0 + takes, 2400.0, 2400.0 + takes];
        for (who, shape) in [
            ("nobody knows of", Shape::Line(loads(takes))),
            ("seen to begin", Shape::Known(loads(takes), vec![1200.0, 2400.0])),
            ("known", Shape::Known(loads(takes), begin_and_end)),
        ] {
            let scene = Scene::new(format!("{takes} s loads {who}"), 60.0, shape);
            let row = row(&scene, 2);
            assert_eq!((row.announced, row.misses), (0, 0), "{}", scene.name);
        }
    }
}

#[test]
fn what_comes_and_goes_is_seldom_taken_for_a_climb() {
    let requests = |level, takes, over, every| Shape::Requests { level, takes, over, every };
    let scenes = [
        Scene::new("walk", 240.0, Shape::Walk { around: 6_000.0, step: 10.0 }),
        Scene::new("requests", 240.0, requests(6_000.0, 600.0, 20.0, 60.0)),
        Scene::new("requests near the line", 240.0, requests(4_500.0, 600.0, 20.0, 60.0)),
        Scene::new("builds of 2 GiB", 240.0, requests(7_000.0, 2_048.0, 40.0, 240.0)),
    ];
    for (scene, allowed) in scenes.iter().zip([0.3, 0.3, 0.3, 0.6]) {
        let row = row(scene, 3);
        assert!(row.alarms_an_hour() <= allowed, "{}: {}", scene.name, row.alarms_an_hour());
    }
}

#[test]
fn a_plateau_takes_back_what_the_climb_before_it_said() {
    for (name, to) in [("plateau", 6_000.0), ("plateau near the line", 4_000.0)] {
        let line = vec![(0.0, 12_000.0), (600.0, 12_000.0), (1800.0, to)];
        let row = row(&Scene::new(name, 120.0, Shape::Line(line)), 3);
        let last = row.last_shown.unwrap_or_default();
        assert!(last < 1800.0 + 180.0, "{name}: still told of at {last:.0} s");
        assert_eq!(row.misses, 0);
    }
}

/// Memory stands at the bottom and swap fills: only swap can tell.
fn swap_told(free: impl Fn(f64) -> f64) -> Vec<(f64, Forecast)> {
    let mut trend = Trend::new();
    let scale = Bytes::gib(8);
    let aim = Aim { to: Level::Emergency, signal: SignalKind::Swap, floor: Bytes::mib(64), scale };
    let (mut told, mut was_shown) = (Vec::new(), false);
    for second in (0..3600).map(f64::from) {
        trend.push(moment(second).mono, bytes(free(second)));
        let forecast = trend.outlook(&aim, moment(second));
        if let Some(forecast) = forecast.clone().filter(|_| !was_shown) {
            told.push((second, forecast));
        }
        was_shown = forecast.is_some();
    }
    told
}

#[test]
fn swap_that_fills_is_told_of_and_swap_that_works_is_not() {
    // Out in bursts, three seconds of five.
    let fills = |t: f64| {
        let burst = (t / 5.0).floor() * 5.0 + (t % 5.0).min(3.0) * 5.0 / 3.0;
        8192.0 - 20.0 * (burst - 1200.0).max(0.0)
    };
    let told = swap_told(fills);
    let full = 1200.0 + (8192.0 - 64.0) / 20.0;
    let (at, forecast) = told.first().unwrap();
    println!("swap full at {full:.0} s, told at {at:.0} s: {}", forecast.text());
    assert!(full - at >= 60.0);
    assert_eq!(told.iter().filter(|(at, _)| *at < full).count(), 1, "told once");
    let said = (forecast.soonest + forecast.latest).as_secs_f64() / 2.0;
    assert!((said - (full - at)).abs() / (full - at) <= 0.15);
    // In and out again, as fast, and full to a quarter for the whole time.
    let mut dice = scenes::Dice::new(3);
    let mut used = 2048.0;
    let thrash: Vec<f64> = (0..3600)
        .map(|_| {
            used += dice.normal() * 20.0 + (2048.0 - used) * 0.05;
            8192.0 - used
        })
        .collect();
    assert_eq!(swap_told(|t| thrash[t as usize]), []);
    assert_eq!(swap_told(|_| 0.0), []);
}
