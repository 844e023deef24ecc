//! A report as one page of text: a fact a line, its rows below it.

use std::io::{self, Write};

use super::sections::Section;
use crate::cli::facts::fact;

pub(super) fn write(
    (head, sections): (&str, &[Section]),
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    fact(out, ("report", head), columns)?;
    for section in sections {
        fact(out, (section.name, &section.sum), columns)?;
        for row in &section.rows {
            fact(out, (section.row_name, &row.line), columns)?;
        }
    }
    Ok(())
}
