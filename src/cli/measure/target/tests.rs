//! Targets, read and judged.

use super::*;
use crate::cli::measure::measurement::tests::measurement;

fn parsed(text: &str) -> Result<Target, String> {
    text.parse()
}

#[track_caller]
fn verdicts(targets: &[&str], measurement: &Measurement) -> Vec<(String, Option<i64>, Verdict)> {
    let targets: Vec<Target> = targets.iter().map(|text| parsed(text).unwrap()).collect();
    let judged = judge(&targets, measurement);
    judged.into_iter().map(|one| (one.subject, one.achieved_amount, one.verdict)).collect()
}

const MIB: i64 = 1 << 20;

#[test]
fn a_target_is_read_in_its_parts() {
    let target = |text: &str| {
        let target = parsed(text).unwrap();
        (target.subject, target.figure, target.relation, target.value)
    };
    let of = Figure::Of;
    assert_eq!(target("peak<800MiB"), (None, of(Holding::Peak), Relation::Below, 800 * MIB));
    assert_eq!(
        target(" command/growth <= 1.5 MiB/min "),
        (Some("command".into()), of(Holding::Growth), Relation::AtMost, 3 * MIB / 2)
    );
    let hugging = "model:hf.co/a/b:Q4";
    assert_eq!(
        target(&format!("{hugging}/p95>=2g")),
        (Some(hugging.into()), of(Holding::P95), Relation::AtLeast, 2048 * MIB)
    );
    assert_eq!(target("delta<-10MiB").3, -10 * MIB);
    let stall = Figure::Machine(OfMachine::Stall);
    assert_eq!(target("stall<250ms"), (None, stall, Relation::Below, 250_000));
    let kills = Figure::Machine(OfMachine::OomKills);
    assert_eq!(target("oom_kills=0"), (None, kills, Relation::Equal, 0));
}

#[test]
fn what_is_wrong_is_said_with_what_is_accepted() {
    for (text, words) in [
        ("peak", "as in peak<800MiB"),
        ("", "as in peak<800MiB"),
        ("peek<800MiB", "did you mean peak?"),
        ("elephant<1", "accepted are peak, average"),
        ("peak<much", "is not a size"),
        ("peak<", "is not a size"),
        ("stall<5", "accepted are 500ms"),
        ("stall<-1s", "is not a span"),
        ("oom_kills<1.5", "is not a count"),
        ("models/stall<1s", "stall is of the machine, not of models"),
        ("peak<17179869184GiB", "is not a size"),
        ("\u{1b}[31mpeak<1", "`[31mpeak` is no figure"),
    ] {
        let said = parsed(text).unwrap_err();
        assert!(said.contains(words) && !said.contains('\u{1b}'), "{text}: {said}");
    }
}

#[test]
fn every_figure_is_judged() {
    let measurement = measurement();
    for (word, figure) in FIGURES {
        let text = match figure.unit() {
            Unit::Bytes | Unit::Growth => format!("{word}<1TiB"),
            Unit::Time => format!("{word}<1d"),
            Unit::Count => format!("{word}<9"),
        };
        let found = verdicts(&[&text], &measurement);
        assert!(matches!(found[..], [(_, Some(_), Verdict::Pass)]), "{text}: {found:?}");
    }
}

#[test]
fn without_a_name_it_is_the_command_then_the_components_then_used_memory() {
    let mut measurement = measurement();
    let whom = |measurement: &Measurement| {
        let found = verdicts(&["peak<1TiB"], measurement);
        found.into_iter().map(|(subject, _, _)| subject).collect::<Vec<_>>()
    };
    assert_eq!(whom(&measurement), ["command"]);
    measurement.command = None;
    assert_eq!(whom(&measurement), ["process:a", "process:b"]);
    measurement.patterns.clear();
    assert_eq!(whom(&measurement), ["used"]);
}

#[test]
fn a_pattern_is_judged_for_each_that_it_matches() {
    let found = verdicts(&["process:*/peak<150MiB"], &measurement());
    assert_eq!(
        found,
        [
            ("process:a".to_owned(), Some(100 * MIB), Verdict::Pass),
            ("process:b".to_owned(), Some(200 * MIB), Verdict::Fail),
        ]
    );
}

#[test]
fn what_cannot_be_told_is_unknown_and_never_met() {
    let mut measurement = measurement();
    measurement.stall = None;
    measurement.oom_kills = None;
    measurement.models = None;
    let targets = ["stall<1d", "oom_kills<9", "models/peak<1TiB", "nobody/peak<1TiB"];
    for (_, achieved, verdict) in verdicts(&targets, &measurement) {
        assert_eq!((achieved, verdict), (None, Verdict::Unknown));
    }
}

#[test]
fn time_that_nobody_saw_may_have_been_at_any_level() {
    let mut measurement = measurement();
    let levels = measurement.levels.as_mut().unwrap();
    (levels.critical_seconds, levels.unseen_seconds) = (2.0, 5.0);
    let of = |text| verdicts(&[text], &measurement)[0].2;
    assert_eq!(of("at_critical<1s"), Verdict::Fail);
    assert_eq!(of("at_critical<4s"), Verdict::Unknown);
    assert_eq!(of("at_critical<8s"), Verdict::Pass);
    assert_eq!(of("at_critical>1s"), Verdict::Pass);
}

#[test]
fn an_amount_says_what_it_is_of() {
    let targets =
        ["peak<1TiB", "growth<1TiB", "stall<1d", "oom_kills<9"].map(|text| parsed(text).unwrap());
    let judged = judge(&targets, &measurement());
    let told: Vec<_> =
        judged.iter().map(|one| (one.achieved_amount, serde_json::json!(one.unit))).collect();
    let expected =
        [(500 * MIB, "bytes"), (MIB, "bytes_per_minute"), (500_000, "microseconds"), (0, "count")];
    assert_eq!(told, expected.map(|(amount, unit)| (Some(amount), unit.into())));
}

#[test]
fn the_worst_of_the_targets_is_the_result() {
    let of = |verdicts: &[Verdict]| {
        let judged = |verdict: &Verdict| Judged {
            target: String::new(),
            subject: String::new(),
            achieved: None,
            achieved_amount: None,
            unit: Unit::Bytes,
            verdict: *verdict,
        };
        result(&verdicts.iter().map(judged).collect::<Vec<_>>())
    };
    use Verdict::{Fail, Pass, Unknown};
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[Pass, Pass]), Some(Pass));
    assert_eq!(of(&[Pass, Unknown]), Some(Unknown));
    assert_eq!(of(&[Unknown, Fail, Pass]), Some(Fail));
}

#[test]
fn spans_are_as_short_as_they_can_be_read() {
    let shown = [0, 400, 340_000, 12_340_000, 245_000_000, 7_500_000_000]
        .map(|micros| seconds(Duration::from_micros(micros)));
    assert_eq!(shown, ["0 s", "<1 ms", "340 ms", "12.3 s", "4 min 5 s", "2 h 5 min"]);
}
