//! Two measurements side by side.

use super::*;
use crate::cli::measure::measurement::tests::measurement;
use crate::domain::text::clean;

#[test]
fn what_is_the_same_is_called_so() {
    let figures = compare(&measurement(), &measurement());
    assert!(figures.iter().all(|one| one.which == Which::Same), "{figures:?}");
    assert_eq!(warnings(&measurement(), &measurement()), [""; 0]);
}

#[test]
fn less_is_better_and_noise_is_neither() {
    let of = |before, after| less_is_better(("x", "peak"), Unit::Bytes, (before, after));
    let mib = |mib: f64| Some(mib * 1024.0 * 1024.0);
    assert_eq!(of(mib(100.0), mib(50.0)).which, Which::Better);
    assert_eq!(of(mib(100.0), mib(50.0)).percent, Some(-50.0));
    assert_eq!(of(mib(100.0), mib(101.0)).which, Which::Same);
    assert_eq!(of(mib(100.0), mib(103.0)).which, Which::Worse);
    assert_eq!(of(mib(1000.0), mib(1009.0)).which, Which::Same);
    assert_eq!(of(Some(0.0), mib(9.0)).percent, None, "no share of nothing");
    let unknown = of(None, mib(9.0));
    assert_eq!((unknown.which, unknown.change), (Which::Unknown, None));
    let kills = less_is_better(("", "oom kills"), Unit::Count, (Some(0.0), Some(1.0)));
    assert_eq!(kills.which, Which::Worse);
}

#[test]
fn what_makes_them_hard_to_compare_is_said() {
    let mut after = measurement();
    after.machine.name = "there".to_owned();
    after.machine.memory_bytes = Some(Bytes::gib(8));
    after.machine.mode = "demo".to_owned();
    after.interval_seconds = Some(5.0);
    after.command = None;
    after.span_seconds = 90.0;
    let said = warnings(&measurement(), &after).join("\n");
    for words in [
        "another machine: here before, there after",
        "another size of memory: 16.0 GiB before, 8.0 GiB after",
        "not both live",
        "looks at another interval: 1.0 s before, 5.0 s after",
        "another command: make before, no command after",
        "another time: 9.0 s before, 1 min 30 s after",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_component_of_one_of_them_alone_is_shown_and_not_judged() {
    let mut after = measurement();
    after.components.remove(0);
    let figures = compare(&measurement(), &after);
    let gone: Vec<_> = figures.iter().filter(|one| one.subject == "process:a").collect();
    assert_eq!(gone.len(), 5);
    assert!(gone.iter().all(|one| one.before.is_some() && one.which == Which::Unknown));
}

#[test]
fn a_name_makes_no_table_of_its_own() {
    let mut hostile = measurement();
    hostile.components[0].id = clean("process:a|b`<script>[x](y)\n| c |");
    let mut text = Vec::new();
    markdown(&mut text, (&hostile, &hostile), (&compare(&hostile, &hostile), &[])).unwrap();
    let text = String::from_utf8(text).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|'));
    for row in rows {
        let cells = row.replace("\\|", "").matches('|').count();
        assert_eq!(cells, HEADS.len() + 1, "{row}");
        assert!(!row.replace("\\<", "").contains('<'), "{row}");
    }
}
