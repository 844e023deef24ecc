//! The advice for a person: a table, the reasons below it, and which form fits
//! this machine. Piped, every setting is a line.

use std::io::{self, Write};

use crate::cli::facts::{fact, lines, table};
use crate::domain::finding::Advice;

use super::Told;

const HEADS: [&str; 4] = ["setting", "now", "advised", "saves"];

/// Reasons stand under their setting.
const INDENT: usize = 2;

pub fn write(told: &Told<'_>, columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let settings = &told.advised.settings;
    let rows: Vec<Vec<String>> = settings.iter().map(row).collect();
    if columns.is_none() {
        let with_reason = |(advice, row): (&Advice, &Vec<String>)| {
            row.iter().cloned().chain([reason(advice)]).collect()
        };
        let rows: Vec<Vec<String>> = settings.iter().zip(&rows).map(with_reason).collect();
        let heads = [HEADS[0], HEADS[1], HEADS[2], HEADS[3], "reason"];
        return table(out, (&heads, &rows), None);
    }
    table(out, (&HEADS, &rows), columns)?;
    writeln!(out)?;
    for advice in settings {
        writeln!(out, "{}", advice.setting)?;
        let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(INDENT).max(1));
        for line in lines(&reason(advice), room) {
            writeln!(out, "{:INDENT$}{line}", "")?;
        }
    }
    writeln!(out)?;
    let with = match &told.advised.subject {
        Some(subject) => format!("savings are those of {}, {}", subject.model, subject.why),
        None => "no model is known here, so nothing is said of what models would save".to_owned(),
    };
    fact(out, ("basis", &with), columns)?;
    let how = format!("plimsoll advise --for {}", told.fits_here.word());
    fact(out, ("to paste", &how), columns)
}

fn row(advice: &Advice) -> Vec<String> {
    let now = match (&advice.now, advice.is_known) {
        (Some(now), _) => now.clone(),
        (None, true) => "unset".to_owned(),
        (None, false) => "unknown".to_owned(),
    };
    let advised = match (&advice.value, advice.is_so) {
        (_, true) => "as it is".to_owned(),
        (Some(value), false) => value.clone(),
        (None, false) => "-".to_owned(),
    };
    let saves = advice.saves.as_ref().map(|saving| saving.bytes.to_string());
    vec![advice.setting.to_owned(), now, advised, saves.unwrap_or_else(|| "-".to_owned())]
}

/// With what the saving was worked out for.
fn reason(advice: &Advice) -> String {
    match &advice.saves {
        Some(saving) => format!("{}; saves {}: {}", advice.reason, saving.bytes, saving.of),
        None => advice.reason.clone(),
    }
}
