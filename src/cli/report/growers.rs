//! What has grown, from what components held each ten minutes. Pure.
//!
//! Only one and the same process is held against itself: a model that was
//! loaded again, or another program of the same name, is another one. What was
//! not among the largest was not counted, so nothing is said of it.

use std::collections::BTreeMap;

use super::story::{Grower, Growers, Worst};
use crate::domain::past::{Count, Counted};
use crate::domain::{Bytes, ComponentKind, ProcessKey};

/// Less is breathing.
const LEAST: Bytes = Bytes::mib(16);

/// What stays the same while it lives.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life<'a> {
    Process(ProcessKey),
    /// A container or a service.
    Named(&'a str),
}

pub(super) fn growers(counts: &[Count]) -> Growers {
    let mut lives: BTreeMap<Life, Grower> = BTreeMap::new();
    for count in counts {
        // A runner that no model explains yet is being filled: a load, no growth.
        for row in count.rows.iter().filter(|row| row.kind != ComponentKind::Runner) {
            let now = Worst { bytes: row.bytes.get(), time: count.at };
            let life = row.process.map_or(Life::Named(&row.id), Life::Process);
            let grower = lives.entry(life).or_insert_with(|| begun(row, now));
            grower.last = now;
            if now.bytes > grower.peak.bytes {
                grower.peak = now;
            }
        }
    }
    let newest = counts.last().map(|count| count.at);
    let mut list: Vec<Grower> = lives.into_values().collect();
    list.retain(|grower| grower.grown() >= LEAST.get());
    list.sort_by_key(|grower| (std::cmp::Reverse(grower.grown()), grower.id.clone()));
    for grower in &mut list {
        grower.is_there = Some(grower.last.time) == newest;
    }
    Growers { counts: counts.len(), list }
}

fn begun(row: &Counted, now: Worst) -> Grower {
    Grower {
        id: row.id.clone(),
        name: row.name.clone(),
        kind: row.kind,
        first: now,
        peak: now,
        last: now,
        is_there: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Wall;

    fn row(name: &str, kind: ComponentKind, pid: Option<u32>, mib: u64) -> Counted {
        Counted {
            id: format!("{}:{name}", kind.word()),
            name: name.to_owned(),
            kind,
            process: pid.map(|pid| ProcessKey { pid, started: 7 }),
            bytes: Bytes::mib(mib),
        }
    }

    fn counts(rows: Vec<Vec<Counted>>) -> Vec<Count> {
        let at = |n: i64| Wall::from_second(n * 600).unwrap();
        (0..).zip(rows).map(|(n, rows)| Count { at: at(n), rows }).collect()
    }

    fn found(growers: &Growers) -> Vec<(&str, [u64; 3], bool)> {
        let mib = |worst: Worst| worst.bytes >> 20;
        let told = |g: &Grower| [mib(g.first), mib(g.peak), mib(g.last)];
        growers.list.iter().map(|g| (g.name.as_str(), told(g), g.is_there)).collect()
    }

    #[test]
    fn the_same_process_is_held_against_itself() {
        let (process, container) = (ComponentKind::Process, ComponentKind::Container);
        let growers = growers(&counts(vec![
            vec![row("leaky", process, Some(1), 100), row("media", container, None, 50)],
            vec![row("leaky", process, Some(1), 300), row("media", container, None, 90)],
            // Another one of that name, and one that only breathes.
            vec![row("leaky", process, Some(2), 900), row("calm", process, Some(3), 100)],
            vec![row("leaky", process, Some(2), 905), row("calm", process, Some(3), 115)],
            vec![row("leaky", process, Some(1), 200), row("media", container, None, 40)],
        ]));
        assert_eq!(
            found(&growers),
            [("leaky", [100, 300, 200], true), ("media", [50, 90, 40], true)]
        );
        assert_eq!(growers.counts, 5);
    }

    #[test]
    fn a_load_is_no_growth_and_what_is_gone_is_said_to_be() {
        let (runner, model) = (ComponentKind::Runner, ComponentKind::Model);
        let growers = growers(&counts(vec![
            vec![row("llama-server", runner, Some(5), 200)],
            vec![row("tiny:1b", model, Some(5), 5_000)],
            vec![row("tiny:1b", model, Some(5), 5_100)],
            // Loaded again: another process.
            vec![row("tiny:1b", model, Some(6), 6_000)],
        ]));
        assert_eq!(found(&growers), [("tiny:1b", [5_000, 5_100, 5_100], false)]);
        assert_eq!(found(&super::growers(&[])), []);
    }

    #[test]
    fn the_most_comes_first_and_none_is_left_out() {
        let rows = |mib: u64| {
            (0..20)
                .map(|n| {
                    row(
                        &format!("p{n:02}"),
                        ComponentKind::Process,
                        Some(n),
                        10 + mib * u64::from(n),
                    )
                })
                .collect()
        };
        let growers = growers(&counts(vec![rows(1), rows(100)]));
        // The first two breathe.
        assert_eq!(growers.list.len(), 19);
        assert_eq!(growers.list[0].name, "p19");
    }
}
