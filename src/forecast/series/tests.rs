//! Series of known figures, and of any.

use proptest::prelude::*;

use super::*;
use crate::domain::Level;

const GAP: Duration = Duration::from_secs(15);

fn at(seconds: u64) -> Monotonic {
    Monotonic::from_millis(seconds * 1000)
}

/// One look a second from 0 on, in MiB.
fn series(readings: &[Option<u64>]) -> Series {
    let mut series = Series::new(GAP);
    for (second, reading) in (0..).zip(readings) {
        series.look(at(second), reading.map(Bytes::mib));
    }
    series
}

#[test]
fn a_steady_rise_has_all_its_figures() {
    let readings: Vec<Option<u64>> = (0..=100).map(|second| Some(100 + second)).collect();
    let figures = series(&readings).figures().unwrap();
    assert_eq!(
        figures,
        Figures {
            looks: 101,
            seen: Duration::from_secs(100),
            baseline: Bytes::mib(100),
            peak: Bytes::mib(200),
            peak_at: at(100),
            least: Bytes::mib(100),
            end: Bytes::mib(200),
            average: Bytes::mib(150),
            p95: Bytes::mib(195),
            growth: Some(Bytes::mib(60).since(Bytes::ZERO)),
        }
    );
    assert_eq!(figures.delta(), Bytes::mib(100).since(Bytes::ZERO));
    assert_eq!(figures.rise(), Bytes::mib(100));
}

#[test]
fn a_fall_grows_by_less_than_nothing() {
    let readings: Vec<Option<u64>> = (0..=30).map(|second| Some(900 - 2 * second)).collect();
    let figures = series(&readings).figures().unwrap();
    assert_eq!(figures.growth, Some(Bytes::ZERO.since(Bytes::mib(120))));
    assert_eq!(figures.delta(), Bytes::ZERO.since(Bytes::mib(60)));
    assert_eq!((figures.rise(), figures.peak_at), (Bytes::ZERO, at(0)));
}

#[test]
fn a_spike_is_the_peak_and_neither_the_rest_nor_the_growth() {
    let mut readings = vec![Some(100); 60];
    readings[30] = Some(5000);
    let figures = series(&readings).figures().unwrap();
    assert_eq!((figures.peak, figures.p95), (Bytes::mib(5000), Bytes::mib(100)));
    assert_eq!(figures.growth.map(BytesDelta::get), Some(0));
}

#[test]
fn one_reading_is_all_of_its_figures_and_no_growth() {
    let figures = series(&[Some(7)]).figures().unwrap();
    let bytes = Bytes::mib(7);
    assert_eq!((figures.baseline, figures.peak, figures.average), (bytes, bytes, bytes));
    assert_eq!((figures.p95, figures.end, figures.growth), (bytes, bytes, None));
    assert_eq!((figures.looks, figures.seen), (1, Duration::ZERO));
}

#[test]
fn nothing_read_says_nothing() {
    assert_eq!(series(&[]).figures(), None);
    assert_eq!(series(&[None, None]).figures(), None);
}

#[test]
fn a_few_seconds_have_no_growth_by_the_minute() {
    let rising = |seconds: u64| series(&(0..=seconds).map(Some).collect::<Vec<_>>());
    assert_eq!(rising(9).figures().unwrap().growth, None);
    assert!(rising(10).figures().unwrap().growth.is_some());
}

#[test]
fn looks_that_come_faster_weigh_no_more() {
    let mut series = Series::new(GAP);
    // A hundred looks in the second at 900 MiB, one in each of ten at 100 MiB.
    for millis in (0..1000).step_by(10) {
        series.look(Monotonic::from_millis(millis), Some(Bytes::mib(900)));
    }
    for second in 1..=11 {
        series.look(at(second), Some(Bytes::mib(100)));
    }
    let figures = series.figures().unwrap();
    assert!(figures.average < Bytes::mib(180), "{figures:?}");
    assert_eq!(figures.p95, Bytes::mib(900), "a twentieth of 11 s is less than a second");
}

#[test]
fn what_lies_in_a_gap_counts_no_time() {
    let mut gapped = Series::new(GAP);
    for (second, mib) in [(0, 100), (1, 100), (1000, 900), (1001, 900)] {
        gapped.look(at(second), Some(Bytes::mib(mib)));
    }
    let figures = gapped.figures().unwrap();
    assert_eq!((figures.seen, figures.average), (Duration::from_secs(2), Bytes::mib(500)));
    // What could not be read is a gap of its own.
    let unread = series(&[Some(100), None, Some(900), Some(900)]).figures().unwrap();
    assert_eq!((unread.seen, unread.average), (Duration::from_secs(1), Bytes::mib(900)));
    assert_eq!((unread.looks, unread.baseline), (3, Bytes::mib(100)));
}

#[test]
fn a_long_time_is_thinned_and_keeps_its_extremes() {
    let mut long = Series::new(GAP);
    for second in 0..100_000 {
        let mib = if second == 77_777 { 9000 } else { 100 + second / 1000 };
        long.look(at(second), Some(Bytes::mib(mib)));
    }
    assert!(long.kept.len() <= KEPT);
    let figures = long.figures().unwrap();
    assert_eq!(
        (figures.peak, figures.least, figures.looks),
        (Bytes::mib(9000), Bytes::mib(100), 100_000)
    );
    assert!(figures.average.since(Bytes::mib(149)).magnitude() < Bytes::mib(2), "{figures:?}");
    assert!(figures.p95.since(Bytes::mib(194)).magnitude() < Bytes::mib(2), "{figures:?}");
    assert_eq!(long.peak(), Some(Bytes::mib(9000)));
}

#[test]
fn a_day_of_looks_has_the_figures_of_all_of_it() {
    // One look in ten at 9 MiB, the others at 1; half a day each second look.
    for (every, p95) in [(10, 9), (2, 9), (25, 1)] {
        let mut day = Series::new(GAP);
        for second in 0..86_400 {
            let mib = if second % every == 0 { 9 } else { 1 };
            day.look(at(second), Some(Bytes::mib(mib)));
        }
        let figures = day.figures().unwrap();
        assert_eq!(figures.p95, Bytes::mib(p95), "one in {every}");
        let average = Bytes::mib(1) + Bytes::new(Bytes::mib(8).get() / every);
        assert!(figures.average.since(average).magnitude() < Bytes::kib(1), "{figures:?}");
        assert_eq!(figures.seen, seconds(86_399));
    }
}

#[test]
fn what_grew_for_most_of_a_day_has_grown() {
    let mut day = Series::new(GAP);
    for second in 0..86_400 {
        // 30 MiB a minute, and none in the last six hours.
        let kib = 512 * second.min(64_800);
        day.look(at(second), Some(Bytes::kib(kib)));
    }
    let growth = day.figures().unwrap().growth.unwrap().get() >> 20;
    assert!((29..=30).contains(&growth), "{growth}");
    // Each point stands for as many looks, the oldest too.
    let weights: Vec<u64> = day.kept.iter().map(|kept| kept.weight).collect();
    let (whole, usual) = (&weights[1..weights.len() - 1], 2000 * day.step);
    assert!(whole.iter().all(|weight| *weight == usual), "{usual}: {whole:?}");
}

#[test]
fn a_level_lasts_until_the_next_look() {
    let mut levels = LevelTimes::new(GAP);
    assert_eq!(levels.times(), None);
    levels.look(at(0), Some(Level::Normal));
    assert_eq!(levels.times(), None);
    for (second, level) in [(10, Level::Warning), (12, Level::Normal), (112, Level::Critical)] {
        levels.look(at(second), Some(level));
    }
    let times = levels.times().unwrap();
    assert_eq!((times.of(Level::Normal), times.of(Level::Warning)), (seconds(10), seconds(2)));
    assert_eq!((times.of(Level::Critical), times.unseen), (seconds(0), seconds(100)));
}

#[test]
fn a_level_that_could_not_be_told_yet_is_unseen_unless_none_came() {
    let times = |looks: &[(u64, Option<Level>)]| {
        let mut levels = LevelTimes::new(GAP);
        for (second, level) in looks {
            levels.look(at(*second), *level);
        }
        let times = levels.times().unwrap();
        (times.of(Level::Normal), times.of(Level::Critical), times.unseen)
    };
    let began = [(0, None), (1, None)];
    assert_eq!(times(&began), (seconds(0), seconds(0), seconds(1)));
    let critical = [(3, Some(Level::Critical)), (5, Some(Level::Normal))];
    assert_eq!(times(&[&began[..], &critical].concat()), (seconds(0), seconds(2), seconds(3)));
    let normal = [(3, Some(Level::Normal)), (5, Some(Level::Critical))];
    assert_eq!(times(&[&began[..], &normal].concat()), (seconds(5), seconds(0), seconds(0)));
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Microseconds stalled in each second.
fn stalls(stalled: &[u64]) -> Stalls {
    let mut stalls = Stalls::new(GAP);
    let mut counter = 5_000_000;
    stalls.look(at(0), Some(counter));
    for (second, more) in (1..).zip(stalled) {
        counter += more;
        stalls.look(at(second), Some(counter));
    }
    stalls
}

#[test]
fn a_stall_that_goes_on_is_one_stall() {
    let millis = |stalls: &Stalls| {
        (stalls.total().map(|t| t.as_millis()), stalls.longest().map(|t| t.as_millis()))
    };
    let found = stalls(&[0, 90_000, 0, 400_000, 900_000, 100_000, 99_000, 0, 500_000]);
    assert_eq!(millis(&found), (Some(2089), Some(1400)));
    assert_eq!(millis(&stalls(&[0, 0])), (Some(0), Some(0)));
    assert_eq!(millis(&stalls(&[])), (None, None), "nobody looked twice");
}

#[test]
fn what_stalled_in_a_gap_is_no_one_stall() {
    let mut gapped = Stalls::new(GAP);
    gapped.look(at(0), Some(0));
    gapped.look(at(3600), Some(9_000_000));
    let nine = Some(seconds(9));
    assert_eq!((gapped.total(), gapped.longest()), (nine, None), "one stall or a thousand");
    gapped.look(at(3601), Some(9_500_000));
    assert_eq!(gapped.longest(), Some(Duration::from_millis(500)));
}

#[test]
fn a_counter_that_cannot_be_read_or_begins_anew_is_no_stall() {
    let mut none = Stalls::new(GAP);
    none.look(at(0), None);
    none.look(at(1), None);
    assert_eq!((none.total(), none.longest()), (None, None));
    let mut anew = Stalls::new(GAP);
    for (second, counter) in [(0, 900_000), (1, 1_500_000), (2, 100_000), (3, 700_000)] {
        anew.look(at(second), Some(counter));
    }
    assert_eq!(anew.total(), Some(Duration::from_millis(1200)));
    assert_eq!(anew.longest(), Some(Duration::from_millis(600)));
    let mut count = Count::default();
    count.look(None);
    assert_eq!(count.more(), None);
    for counter in [Some(3), None, Some(5), Some(1), Some(2)] {
        count.look(counter);
    }
    assert_eq!(count.more(), Some(3));
}

fn readings() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    let reading = (0_u64..40_000, proptest::option::weighted(0.9, 0_u64..1 << 44));
    proptest::collection::vec(reading, 0..200)
}

proptest! {
    /// Whatever is read, whenever: figures lie in the order they must.
    #[test]
    fn figures_are_in_order(readings in readings()) {
        let mut series = Series::new(GAP);
        let mut now = 0;
        for (apart, reading) in &readings {
            now += apart;
            series.look(Monotonic::from_millis(now), reading.map(Bytes::new));
        }
        let read: Vec<u64> = readings.iter().filter_map(|(_, reading)| *reading).collect();
        let Some(figures) = series.figures() else {
            prop_assert!(read.is_empty());
            return Ok(());
        };
        prop_assert_eq!(Some(figures.peak.get()), read.iter().max().copied());
        prop_assert_eq!(Some(figures.least.get()), read.iter().min().copied());
        prop_assert_eq!(figures.baseline.get(), read[0]);
        prop_assert_eq!(Some(&figures.end.get()), read.last());
        prop_assert_eq!(figures.looks as usize, read.len());
        for figure in [figures.average, figures.p95, figures.baseline, figures.end] {
            prop_assert!(figures.least <= figure && figure <= figures.peak, "{:?}", figures);
        }
        prop_assert!(figures.seen <= Duration::from_millis(now));
        prop_assert_eq!(figures.rise().get(), figures.peak.get() - figures.baseline.get());
    }

    /// What stands still has one figure, whenever it is looked at.
    #[test]
    fn what_stands_still_has_one_figure(bytes in 0_u64..1 << 50, apart in proptest::collection::vec(1_u64..20_000, 1..300)) {
        let mut series = Series::new(GAP);
        let mut now = 0;
        for apart in apart {
            now += apart;
            series.look(Monotonic::from_millis(now), Some(Bytes::new(bytes)));
        }
        let figures = series.figures().expect("it was read");
        let all = [figures.baseline, figures.peak, figures.least, figures.average, figures.p95];
        prop_assert_eq!(all, [Bytes::new(bytes); 5]);
        prop_assert!(figures.growth.is_none_or(|growth| growth.get() == 0));
    }

    /// No time is counted twice, and none is lost but before the first look.
    #[test]
    fn level_times_are_all_of_the_time(looks in proptest::collection::vec((0_u64..40_000, 0_usize..5), 1..100)) {
        let mut levels = LevelTimes::new(GAP);
        let (mut now, mut first) = (0, None);
        for (apart, level) in looks {
            now += apart;
            first.get_or_insert(now);
            levels.look(Monotonic::from_millis(now), Level::ALL.get(level).copied());
        }
        let times = levels.times().unwrap_or_default();
        let sum: Duration = times.at.iter().sum::<Duration>() + times.unseen;
        prop_assert_eq!(Some(sum), first.map(|first| Duration::from_millis(now - first)));
    }

    /// The longest stall is a part of all that was stalled.
    #[test]
    fn the_longest_stall_is_a_part(counters in proptest::collection::vec((0_u64..40_000, proptest::option::of(0_u64..1 << 40)), 0..100)) {
        let mut stalls = Stalls::new(GAP);
        let mut now = 0;
        for (apart, counter) in counters {
            now += apart;
            stalls.look(Monotonic::from_millis(now), counter);
        }
        prop_assert!(stalls.longest() <= stalls.total());
        prop_assert!(stalls.total().is_some() || stalls.longest().is_none());
    }
}
