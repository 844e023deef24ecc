//! The findings for a person: what is not well first and whole, the rest a
//! line each. Piped, every finding is a line.

use std::io::{self, Write};

use crate::cli::facts::{cell, fact};
use crate::domain::{Check, Finding, Severity};

/// Worst first; the order of the checks within.
const ORDER: [Severity; 5] =
    [Severity::Error, Severity::Warning, Severity::Note, Severity::Ok, Severity::Skipped];

/// The column of severities, as wide as that of facts.
const SEVERITY: usize = 10;

/// Between a line that mends and what is to be known of it.
const REMARK: &str = "   # ";

/// What they found is asked for as often as whether it is well.
const TOLD: [Check; 3] = [Check::ServerProcess, Check::ServerEnvironment, Check::ServerRunners];

pub fn write(findings: &[Finding], columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    for severity in ORDER {
        let mut own = findings.iter().filter(|finding| finding.severity == severity);
        match (columns, severity) {
            (None, _) => own.try_for_each(|finding| record(finding, out))?,
            (Some(_), Severity::Skipped) => skipped(own.collect(), columns, out)?,
            (Some(columns), Severity::Ok) => {
                own.try_for_each(|finding| short(finding, columns, out))?;
            }
            (Some(_), _) => own.try_for_each(|finding| whole(finding, columns, out))?,
        }
    }
    if columns.is_some() {
        writeln!(out, "{}", sum(findings))?;
    }
    Ok(())
}

fn whole(finding: &Finding, columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let head = format!("{}: {}", finding.check, finding.found);
    fact(out, (finding.severity.word(), &head), columns)?;
    if let Some(why) = &finding.why {
        fact(out, ("", why), columns)?;
    }
    if let Some(mend) = &finding.mend {
        let (line, remark) = mend.split_once(REMARK).unwrap_or((mend, ""));
        // Not broken, so that it can be copied: the terminal wraps it.
        writeln!(out, "{:SEVERITY$}{}", "", line.trim_end())?;
        if !remark.is_empty() {
            fact(out, ("", &format!("# {remark}")), columns)?;
        }
    }
    Ok(())
}

fn short(finding: &Finding, columns: usize, out: &mut dyn Write) -> io::Result<()> {
    if TOLD.contains(&finding.check) {
        let text = format!("{}: {}", finding.check, finding.found);
        return fact(out, (finding.severity.word(), &text), Some(columns));
    }
    let text = format!("{}: {}", finding.check, finding.found);
    let line = cell(&text, columns.saturating_sub(SEVERITY));
    writeln!(out, "{:<SEVERITY$}{}", finding.severity.word(), line.trim_end())
}

/// Those of one reason together.
fn skipped(findings: Vec<&Finding>, columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let mut left = findings;
    while let Some(first) = left.first().copied() {
        let (same, others): (Vec<&Finding>, Vec<&Finding>) =
            left.into_iter().partition(|finding| finding.found == first.found);
        let ids: Vec<&str> = same.iter().map(|finding| finding.check.id()).collect();
        let text = format!("{}: {}", ids.join(", "), first.found);
        fact(out, (Severity::Skipped.word(), &text), columns)?;
        left = others;
    }
    Ok(())
}

fn record(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{:<SEVERITY$}{}: {}", finding.severity.word(), finding.check, finding.found)?;
    if let Some(why) = &finding.why {
        write!(out, "; {why}")?;
    }
    if let Some(mend) = &finding.mend {
        write!(out, "; mend: {mend}")?;
    }
    writeln!(out)
}

/// `1 error, 2 warnings, 20 ok`
fn sum(findings: &[Finding]) -> String {
    let counts = ORDER.map(|severity| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        let is_counted = !matches!(severity, Severity::Ok | Severity::Skipped);
        let plural = if is_counted && count != 1 { "s" } else { "" };
        (count, format!("{count} {}{plural}", severity.word()))
    });
    let said: Vec<String> =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect();
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Finding> {
        vec![
            Check::ServerVersion.ok("0.33.0"),
            Check::SwapMissing
                .warning("there is no swap")
                .why("it stands still")
                .mend("swapon x   # as root, that is"),
            Check::ServerReachable.error("it does not answer"),
        ]
    }

    fn said(columns: Option<usize>) -> String {
        let mut out = Vec::new();
        write(&some(), columns, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_worst_comes_first_and_what_is_well_is_short() {
        let expected = "\
error     server-reachable: it does
          not answer
warning   swap-missing: there is no
          swap
          it stands still
          swapon x
          # as root, that is
ok        server-version: 0.33.0
1 error, 1 warning, 1 ok
";
        assert_eq!(said(Some(38)), expected);
    }

    #[test]
    fn piped_a_finding_is_a_line() {
        let expected = "\
error     server-reachable: it does not answer
warning   swap-missing: there is no swap; it stands still; mend: swapon x   # as root, that is
ok        server-version: 0.33.0
";
        assert_eq!(said(None), expected);
    }
}
