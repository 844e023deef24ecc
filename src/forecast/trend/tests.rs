//! Small series by hand, and what holds of any series; hours of what a
//! machine does stand beside the other tests.

use proptest::prelude::*;

use super::*;
use crate::domain::Wall;

fn moment(ms: u64) -> Moment {
    let start: Wall = "2026-01-15T14:00:00Z".parse().unwrap();
    Moment::new(start + Duration::from_millis(ms.min(1 << 40)), Monotonic::from_millis(ms))
}

fn aim(floor: u64) -> Aim {
    Aim {
        to: Level::Warning,
        signal: SignalKind::Available,
        floor: Bytes::mib(floor),
        scale: Bytes::gib(16),
    }
}

/// MiB by the second, one sample each.
fn follow(trend: &mut Trend, seconds: std::ops::Range<u64>, room: impl Fn(f64) -> f64) {
    for second in seconds {
        let bytes = room(second as f64).max(0.0) * 1_048_576.0;
        trend.push(moment(second * 1000).mono, Bytes::new(bytes as u64));
        trend.outlook(&aim(1000), moment(second * 1000));
    }
}

fn leak(second: f64) -> f64 {
    9000.0 - 10.0 * second
}

#[test]
fn a_steady_fall_is_foretold_to_the_second() {
    let mut trend = Trend::new();
    follow(&mut trend, 0..501, leak);
    let shown = trend.outlook(&aim(1000), moment(500_000)).unwrap();
    let expected = Forecast {
        to: Level::Warning,
        signal: SignalKind::Available,
        soonest: Duration::from_secs(300),
        latest: Duration::from_secs(300),
        at: moment(500_000),
        window: Duration::from_secs(460),
        rate: 10.0 * 1_048_576.0,
    };
    let rounded = |span: Duration| Duration::from_secs_f64(span.as_secs_f64().round());
    let rounded =
        Forecast { soonest: rounded(shown.soonest), latest: rounded(shown.latest), ..shown };
    assert_eq!(rounded, Forecast { rate: rounded.rate, ..expected.clone() });
    assert!((rounded.rate - expected.rate).abs() < 1.0);
}

#[test]
fn the_further_it_has_fallen_the_further_it_looks_ahead() {
    // 800 s to the floor: further than three times two minutes.
    let mut trend = Trend::new();
    follow(&mut trend, 0..200, leak);
    assert_eq!(trend.outlook(&aim(1000), moment(200_000)), None);
    follow(&mut trend, 200..400, leak);
    assert!(trend.outlook(&aim(1000), moment(400_000)).is_some());
}

#[test]
fn a_restart_and_a_gap_forget_what_was() {
    let mut trend = Trend::new();
    follow(&mut trend, 0..500, leak);
    trend.restart();
    assert_eq!(trend.outlook(&aim(1000), moment(500_000)), None);
    let mut trend = Trend::new();
    follow(&mut trend, 0..500, leak);
    follow(&mut trend, 530..531, leak);
    assert_eq!(trend.outlook(&aim(1000), moment(530_000)), None);
    assert_eq!(trend.climb(Bytes::gib(16)), Duration::ZERO);
    // Slow looks are no gap.
    let mut trend = Trend::new();
    for second in (0..500).step_by(5) {
        follow(&mut trend, second..second + 1, leak);
    }
    assert!(trend.outlook(&aim(1000), moment(500_000)).is_some());
}

#[test]
fn it_goes_on_past_the_level_it_told_of() {
    let mut trend = Trend::new();
    follow(&mut trend, 0..801, leak);
    let further = Aim { to: Level::Critical, ..aim(500) };
    let shown = trend.outlook(&further, moment(801_000)).unwrap();
    assert_eq!((shown.to, shown.latest.as_secs()), (Level::Critical, 49));
}

#[test]
fn it_is_taken_back_when_room_returns_and_not_said_again_at_once() {
    let mut trend = Trend::new();
    let returns = |t: f64| if t < 500.0 { leak(t) } else { 5000.0 + leak(t - 500.0) - 9000.0 };
    follow(&mut trend, 0..500, returns);
    assert!(trend.outlook(&aim(1000), moment(500_000)).is_some());
    // 1000 MiB come back, and it goes on as before.
    let back = |t: f64| returns(t) + 1000.0;
    follow(&mut trend, 500..512, back);
    assert_eq!(trend.outlook(&aim(1000), moment(512_000)), None);
    for second in 512..570 {
        follow(&mut trend, second..second + 1, back);
        assert_eq!(trend.outlook(&aim(1000), moment(second * 1000)), None, "at {second}");
    }
}

#[test]
fn a_climb_is_even_and_a_step_is_none() {
    let scale = Bytes::gib(16);
    let climbed = |room: &dyn Fn(f64) -> f64| {
        let mut trend = Trend::new();
        follow(&mut trend, 0..700, room);
        trend.climb(scale).as_secs()
    };
    assert!(climbed(&leak) > 500);
    assert!((60..140).contains(&climbed(&|t| 9000.0 - 10.0 * (t - 560.0).max(0.0))));
    assert_eq!(climbed(&|_| 9000.0), 0);
    for moment in (100..700).step_by(37) {
        let step = |t: f64| if t < f64::from(moment) { 9000.0 } else { 5000.0 };
        assert_eq!(climbed(&step), 0, "a step at {moment}");
    }
}

#[test]
fn it_stays_small() {
    let mut trend = Trend::new();
    for tick in 0..36_000 {
        trend.push(Monotonic::from_millis(tick * 100), Bytes::mib(tick));
    }
    let points = trend.windows.iter().map(Window::held).sum::<usize>()
        + trend.lows.held()
        + trend.pending.capacity();
    assert!(size_of::<Trend>() + points * size_of::<Point>() <= 6 * 1024);
}

/// What a clock and a machine may do: stand, creep, jump, go back.
fn series() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pace = prop_oneof![
        6 => 100u64..2_000,
        1 => Just(0),
        1 => 10_000u64..40_000,
    ];
    let room = prop_oneof![
        6 => 0u64..17 << 30,
        1 => Just(0),
        1 => Just(u64::MAX),
    ];
    let wild = prop::collection::vec((pace.clone(), room), 0..200);
    let falls = (pace, 1u64..1 << 28, 0u64..1 << 26).prop_map(|(pace, rate, noise)| {
        (0..400u64)
            .map(|step| {
                let jitter = step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 38;
                let fallen = step.saturating_mul(rate).saturating_add(jitter % (noise + 1));
                (pace.min(5_000), (16u64 << 30).saturating_sub(fallen))
            })
            .collect()
    });
    prop_oneof![wild, falls]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_comes_a_forecast_is_in_order_and_within_its_horizon(
        series in series(), start in prop_oneof![Just(0), Just(u64::MAX - 9_000), 0u64..1 << 40],
        floor in 0u64..1 << 34,
    ) {
        let mut trend = Trend::new();
        let aim = Aim { floor: Bytes::new(floor), ..aim(0) };
        let mut at = start;
        for (pace, room) in series {
            at = at.saturating_add(pace);
            trend.push(Monotonic::from_millis(at), Bytes::new(room));
            trend.climb(aim.scale);
            if let Some(shown) = trend.outlook(&aim, moment(at)) {
                prop_assert!(shown.soonest <= shown.latest);
                prop_assert!(shown.latest <= Duration::from_secs(1800));
                prop_assert!(shown.latest <= shown.window.mul_f64(3.7));
                prop_assert!(shown.rate > 0.0 && shown.rate.is_finite());
            }
        }
    }

    #[test]
    fn what_stands_still_foretells_nothing(room in any::<u64>(), pace in 100u64..6_000) {
        let mut trend = Trend::new();
        for step in 0..300 {
            trend.push(Monotonic::from_millis(step * pace), Bytes::new(room));
            prop_assert_eq!(trend.outlook(&aim(100), moment(step * pace)), None);
        }
    }

    #[test]
    fn what_only_rises_foretells_nothing(rise in 0u64..1 << 30, pace in 100u64..6_000) {
        let mut trend = Trend::new();
        for step in 0..300 {
            trend.push(Monotonic::from_millis(step * pace), Bytes::new(step * rise));
            prop_assert_eq!(trend.outlook(&aim(100), moment(step * pace)), None);
        }
    }
}
