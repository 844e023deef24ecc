//! The JSON and the CSV of `history`, with the same names. More may be added;
//! nothing is renamed. What is unknown is null, or empty, never 0.

use std::io::{self, Write};

use serde::Serialize;

use super::steps::{Gap, Step, seconds};
use crate::cli::document::Document;
use crate::domain::{Bytes, Level, Wall};

#[derive(Debug, Serialize)]
pub struct History {
    pub schema_version: u32,
    pub since: Wall,
    pub until: Wall,
    /// Of each row.
    pub every_seconds: u64,
    pub rows: Vec<Row>,
    /// Of which nothing is known.
    pub gaps: Vec<Gap>,
}

/// Of each figure the worst.
#[derive(Debug, Serialize)]
pub struct Row {
    pub time: Wall,
    pub level: Level,
    /// How long it was at each, while somebody looked.
    pub normal_seconds: f64,
    pub warning_seconds: f64,
    pub critical_seconds: f64,
    pub emergency_seconds: f64,
    pub available_bytes: Option<u64>,
    pub used_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
    pub swap_used_bytes: Option<u64>,
    pub stalled_percent: Option<f64>,
    pub models_bytes: Option<u64>,
}

impl History {
    pub fn of((since, until): (Wall, Wall), every_seconds: u64, steps: &[Step]) -> History {
        let rows = steps.iter().map(Row::of).collect();
        let schema_version = Document::History.version();
        History { schema_version, since, until, every_seconds, rows, gaps: Vec::new() }
    }
}

impl Row {
    fn of(step: &Step) -> Row {
        let was = &step.was;
        let bytes = |bytes: Option<Bytes>| bytes.map(Bytes::get);
        let [normal_seconds, warning_seconds, critical_seconds, emergency_seconds] = seconds(was);
        Row {
            time: step.start,
            level: was.level,
            normal_seconds,
            warning_seconds,
            critical_seconds,
            emergency_seconds,
            available_bytes: bytes(was.available),
            used_bytes: bytes(was.used),
            total_bytes: bytes(was.total),
            swap_used_bytes: bytes(was.swap_used),
            stalled_percent: was.stalled,
            models_bytes: bytes(was.models),
        }
    }
}

const HEAD: &str = "time,level,normal_seconds,warning_seconds,critical_seconds,emergency_seconds,\
                    available_bytes,used_bytes,total_bytes,swap_used_bytes,stalled_percent,\
                    models_bytes";

/// Numbers, times and words of ours: nothing in it needs quotes.
pub(super) fn write_csv(steps: &[Step], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{HEAD}")?;
    for row in steps.iter().map(Row::of) {
        let seconds =
            [row.normal_seconds, row.warning_seconds, row.critical_seconds, row.emergency_seconds];
        let seconds = seconds.map(|seconds| seconds.to_string()).join(",");
        let said = |bytes: Option<u64>| bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
        let stalled = row.stalled_percent.map(|share| share.to_string()).unwrap_or_default();
        writeln!(
            out,
            "{},{},{seconds},{},{},{},{},{stalled},{}",
            row.time,
            row.level,
            said(row.available_bytes),
            said(row.used_bytes),
            said(row.total_bytes),
            said(row.swap_used_bytes),
            said(row.models_bytes),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::past::{Minute, Stretch};

    #[test]
    fn csv_has_a_cell_for_each_name_and_none_for_what_is_unknown() {
        let was = Stretch {
            used: Some(Bytes::gib(1)),
            total: Some(Bytes::gib(2)),
            stalled: Some(0.25),
            ..Stretch::default()
        };
        let start = Minute::start_of(29_474_762);
        let mut out = Vec::new();
        write_csv(&[Step { start, was }], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (head, row) = text.split_once('\n').unwrap();
        assert_eq!(row, "2026-01-15T14:02:00Z,normal,0,0,0,0,,1073741824,2147483648,,0.25,\n");
        assert_eq!(head.split(',').count(), row.split(',').count());
    }
}
