//! Forecasts by hand and what must be said of them.

use super::*;
use crate::domain::fit::Placement;
use crate::domain::{Bytes, KvType, LoadKey, LoadObserved, ModelName, Monotonic, Percent};

fn at(seconds: u64) -> Moment {
    let start: crate::domain::Wall = "2026-01-15T14:00:00Z".parse().unwrap();
    let span = Duration::from_secs(seconds);
    Moment::new(start + span, Monotonic::from_millis(5_000).plus(span))
}

fn forecast(to: Level, soonest: u64, latest: u64) -> Forecast {
    Forecast {
        to,
        signal: SignalKind::Memory,
        soonest: Duration::from_secs(soonest),
        latest: Duration::from_secs(latest),
        at: at(0),
        window: Duration::from_secs(120),
        rate: 1e6,
    }
}

fn seen(shown: Option<&Forecast>, level: Level, climb: u64) -> Seen<'_> {
    let set_by = (level > Level::Normal).then_some(SignalKind::Memory);
    Seen { shown, level, set_by, climb: Duration::from_secs(climb) }
}

/// Shows it for so many seconds from a moment on; whether it was news, when.
fn show(ledger: &mut Ledger, shown: Option<&Forecast>, from: u64, to: u64) -> Vec<u64> {
    let mut news = Vec::new();
    for second in from..to {
        let followed = ledger.follow(&seen(shown, Level::Normal, 0), at(second));
        assert_eq!(followed.ended, [], "at {second}");
        if followed.is_news {
            news.push(second);
        }
    }
    news
}

fn outcomes(records: &[ForecastRecord]) -> Vec<(ForecastOutcome, u64)> {
    records.iter().map(|record| (record.outcome, record.after_ms / 1000)).collect()
}

#[test]
fn a_level_that_comes_is_a_hit_from_the_first_showing_on() {
    let mut ledger = Ledger::new();
    let warning = forecast(Level::Warning, 100, 140);
    assert_eq!(show(&mut ledger, Some(&warning), 10, 130), [10]);
    let followed = ledger.follow(&seen(None, Level::Warning, 200), at(130));
    let hit = ForecastRecord {
        made: at(10).wall,
        to: Level::Warning,
        signal: SignalKind::Memory,
        soonest_ms: 100_000,
        latest_ms: 140_000,
        window_ms: 120_000,
        rate: 1e6,
        outcome: ForecastOutcome::Hit,
        after_ms: 120_000,
    };
    assert_eq!(followed, Followed { is_news: false, ended: vec![hit] });
    assert_eq!(ledger.cut_short(at(131)), []);
}

#[test]
fn one_taken_back_is_judged_when_its_time_is_over_twice() {
    let mut ledger = Ledger::new();
    show(&mut ledger, Some(&forecast(Level::Warning, 30, 40)), 0, 20);
    show(&mut ledger, None, 20, 81);
    let followed = ledger.follow(&seen(None, Level::Normal, 0), at(81));
    assert_eq!(outcomes(&followed.ended), [(ForecastOutcome::FalseAlarm, 81)]);
    let mut ledger = Ledger::new();
    show(&mut ledger, Some(&forecast(Level::Warning, 30, 40)), 0, 20);
    show(&mut ledger, None, 20, 70);
    let followed = ledger.follow(&seen(None, Level::Warning, 0), at(70));
    assert_eq!(outcomes(&followed.ended), [(ForecastOutcome::Hit, 70)]);
}

#[test]
fn one_that_is_put_off_for_ever_is_one_false_alarm_and_no_miss() {
    let mut ledger = Ledger::new();
    let always = forecast(Level::Warning, 30, 40);
    assert_eq!(show(&mut ledger, Some(&always), 0, 81), [0]);
    let mut ended = Vec::new();
    for second in 81..600 {
        let followed = ledger.follow(&seen(Some(&always), Level::Normal, 0), at(second));
        assert!(!followed.is_news);
        ended.extend(followed.ended);
    }
    assert_eq!(outcomes(&ended), [(ForecastOutcome::FalseAlarm, 81)]);
    let followed = ledger.follow(&seen(None, Level::Warning, 300), at(600));
    assert_eq!(followed.ended, []);
}

#[test]
fn what_is_shown_again_is_news_after_a_minute_or_at_half_the_time() {
    let mut ledger = Ledger::new();
    let warning = forecast(Level::Warning, 500, 600);
    show(&mut ledger, Some(&warning), 0, 10);
    show(&mut ledger, None, 10, 40);
    assert_eq!(show(&mut ledger, Some(&warning), 40, 50), [0; 0]);
    show(&mut ledger, None, 50, 120);
    assert_eq!(show(&mut ledger, Some(&warning), 120, 130), [120]);
    show(&mut ledger, None, 130, 140);
    assert_eq!(show(&mut ledger, Some(&forecast(Level::Warning, 200, 300)), 140, 150), [140]);
    let followed = ledger.follow(&seen(None, Level::Warning, 300), at(150));
    let hit = |after| (ForecastOutcome::Hit, after);
    assert_eq!(outcomes(&followed.ended), [hit(150), hit(30), hit(10)]);
}

#[test]
fn a_climb_that_nobody_told_of_is_a_miss_and_a_step_is_none() {
    for (climb, set_by, is_missed) in [
        (90, Some(SignalKind::Memory), true),
        (59, Some(SignalKind::Memory), false),
        (90, None, false),
    ] {
        let mut ledger = Ledger::new();
        show(&mut ledger, None, 0, 100);
        let reached = Seen { set_by, ..seen(None, Level::Critical, climb) };
        let followed = ledger.follow(&reached, at(100));
        let expected = if is_missed { vec![(ForecastOutcome::Missed, 0)] } else { vec![] };
        assert_eq!(outcomes(&followed.ended), expected, "{climb} s, {set_by:?}");
        // And once: the level stays.
        assert_eq!(ledger.follow(&reached, at(101)).ended, []);
    }
    // Nor what was so when it began.
    let followed = Ledger::new().follow(&seen(None, Level::Warning, 90), at(0));
    assert_eq!(followed, Followed::default());
}

#[test]
fn what_is_done_about_it_cuts_it_short() {
    let mut ledger = Ledger::new();
    show(&mut ledger, Some(&forecast(Level::Warning, 30, 40)), 0, 20);
    let ended = ledger.cut_short(at(20));
    assert_eq!(outcomes(&ended), [(ForecastOutcome::CutShort, 20)]);
    show(&mut ledger, None, 20, 300);
}

#[test]
fn however_often_something_new_is_shown_the_ledger_stays_small() {
    let mut ledger = Ledger::new();
    let mut ended = 0;
    for round in 0..200 {
        let far = forecast(Level::Emergency, 1500, 1700);
        let followed = ledger.follow(&seen(Some(&far), Level::Normal, 0), at(round * 62));
        assert!(followed.is_news);
        ended += followed.ended.len();
        ended += ledger.follow(&seen(None, Level::Normal, 0), at(round * 62 + 1)).ended.len();
        assert!(ledger.open.len() <= MOST_OPEN);
    }
    assert_eq!(ended + ledger.open.len(), 200);
}

fn record(outcome: ForecastOutcome, said: u64, after: u64) -> ForecastRecord {
    let shown = forecast(Level::Warning, said - 10, said + 10);
    let open = Open {
        made: at(0),
        left: shown.latest,
        forecast: shown,
        seen: at(0),
        is_shown: false,
        is_judged: false,
    };
    open.record(outcome, at(after))
}

fn load(number: u64, said: u64, was: u64) -> LoadObserved {
    LoadObserved {
        key: LoadKey {
            digest: "ab".into(),
            context: 4096,
            parallel: 1,
            kv_type: KvType::F16,
            placement: Placement::Cpu,
            version: "0.24.0".into(),
        },
        model: ModelName::new("tiny"),
        loaded: at(number).wall,
        estimated_reported: Some(Bytes::mib(was)),
        estimated: Some(Bytes::mib(said)),
        expected: None,
        reported: Some(Bytes::mib(was)),
        measured: Bytes::mib(was),
        peak: Bytes::mib(was),
        was_used: true,
    }
}

#[test]
fn a_history_is_summed_up() {
    use ForecastOutcome::{CutShort, FalseAlarm, Hit, Missed};
    let forecasts = [
        record(Hit, 110, 100),
        record(Hit, 200, 400),
        record(Hit, 60, 60),
        record(FalseAlarm, 60, 140),
        record(Missed, 60, 0),
        record(CutShort, 60, 5),
        record(CutShort, 60, 6),
    ];
    let unused = LoadObserved { was_used: false, ..load(4, 10, 1000) };
    let nothing = LoadObserved { measured: Bytes::ZERO, reported: None, ..load(5, 10, 1000) };
    let loads = [load(1, 900, 1000), load(1, 980, 1000), load(2, 1100, 1000), unused, nothing];
    let errors = |count, median, worst| Errors {
        count,
        median: Some(Percent::new(median)),
        worst: Some(Percent::new(worst)),
    };
    let sums = accuracy(&forecasts, &loads);
    let rounded = |errors: Errors| {
        let round = |share: Percent| Percent::new((share.get() * 1000.0).round() / 1000.0);
        Errors { median: errors.median.map(round), worst: errors.worst.map(round), ..errors }
    };
    let sums = Accuracy { time: rounded(sums.time), estimated: rounded(sums.estimated), ..sums };
    let expected = Accuracy {
        hits: 3,
        false_alarms: 1,
        misses: 1,
        cut_short: 2,
        median_lead: Some(Duration::from_secs(100)),
        time: errors(3, 10.0, 50.0),
        reported: errors(3, 0.0, 0.0),
        estimated: errors(2, 6.0, 10.0),
        expected: Errors::default(),
    };
    assert_eq!(sums, expected);
    assert_eq!(accuracy(&[], &[]).median_lead, None);
}
