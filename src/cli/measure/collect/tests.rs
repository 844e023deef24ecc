//! What is followed, and as whom, over looks at a machine.

use super::*;
use crate::cli::seen::{at, machine, with_components};
use crate::domain::Priority;
use crate::domain::component::{Footprint, FootprintSource};

fn component(id: &str, kind: ComponentKind, (pid, mib): (u32, u64)) -> Component {
    Component {
        course: None,
        id: id.to_owned(),
        name: id.split(['#', ':']).nth(1).unwrap_or(id).to_owned(),
        kind,
        depth: 0,
        process: Some(ProcessKey { pid, started: 7 }),
        footprint: Some(Footprint { bytes: Bytes::mib(mib), source: FootprintSource::Measured }),
        swapped: None,
        priority: Priority::Medium,
        pinned: false,
        state: None,
        target: None,
        allowed: Vec::new(),
    }
}

fn collected(unsettled: Duration) -> Collected {
    Collected::new(&["process:*".to_owned(), "model:*".to_owned()], Duration::ZERO, unsettled)
}

/// Id, least, most, and whether it is gone.
fn followed(looks: Vec<Vec<Component>>) -> Vec<(String, [u64; 2], bool)> {
    let mut collected = collected(Duration::ZERO);
    for (second, components) in (0..).zip(looks) {
        collected.look(&with_components(components, machine(second, Bytes::gib(8))));
    }
    let measurement = collected.measurement(EndedBy::Time).unwrap();
    let told = |one: ComponentMeasures| {
        let mib = |bytes: Bytes| bytes.get() >> 20;
        (one.id, [mib(one.measures.least_bytes), mib(one.measures.peak_bytes)], one.is_gone)
    };
    measurement.components.into_iter().map(told).collect()
}

#[test]
fn of_equal_names_each_process_is_followed_by_itself() {
    let process = |id: &str, of| component(id, ComponentKind::Process, of);
    let (one, other) = ("process:a", "process:a#12");
    let found = followed(vec![
        vec![process(one, (11, 100)), process(other, (12, 900))],
        // The larger one comes first now, and so has the plain id.
        vec![process(one, (12, 950)), process("process:a#11", (11, 110))],
        // The first one ends, and a third one has its id.
        vec![process(one, (13, 5)), process(other, (12, 910))],
    ]);
    let expected = [(one, [100, 110], true), (other, [900, 950], false)];
    let expected = expected.into_iter().chain([("process:a#13", [5, 5], false)]);
    let expected: Vec<_> = expected.map(|(id, mib, gone)| (id.to_owned(), mib, gone)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_model_that_is_loaded_again_is_the_same_model() {
    let model = |of| component("model:tiny:1b", ComponentKind::Model, of);
    let found = followed(vec![vec![model((5, 100))], vec![], vec![model((6, 300))]]);
    assert_eq!(found, [("model:tiny:1b".to_owned(), [100, 300], false)]);
}

#[test]
fn a_machine_that_was_critical_all_along_was_never_normal() {
    let levels = |looks: &[Level]| {
        let mut collected = collected(Duration::from_secs(1));
        for (second, level) in (0..).zip(looks) {
            collected.look(&at(*level, machine(second, Bytes::gib(1))));
        }
        let levels = collected.measurement(EndedBy::Time).unwrap().levels.unwrap();
        [levels.normal_seconds, levels.critical_seconds, levels.unseen_seconds]
    };
    use Level::{Critical, Normal};
    assert_eq!(levels(&[Normal, Critical, Critical]), [0.0, 1.0, 1.0]);
    assert_eq!(levels(&[Normal, Normal, Critical]), [2.0, 0.0, 0.0]);
    assert_eq!(levels(&[Critical, Critical]), [0.0, 1.0, 0.0]);
}
