//! A report in Markdown: a heading a section, its rows as a table. Text from
//! outside can be no markup in it.

use std::io::{self, Write};

use super::sections::Section;
use crate::cli::markdown::{plain, table};

pub(super) fn write((head, sections): (&str, &[Section]), out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# plimsoll report\n\n{}", plain(head))?;
    for section in sections {
        writeln!(out, "\n## {}\n\n{}", section.title, plain(&section.sum))?;
        if section.rows.is_empty() {
            continue;
        }
        writeln!(out)?;
        let rows: Vec<Vec<String>> = section.rows.iter().map(|row| row.cells.clone()).collect();
        table(out, (section.heads, &rows))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sections::Row;
    use super::*;

    #[test]
    fn each_row_has_as_many_cells_as_its_table() {
        let row =
            |name: &str| Row { line: String::new(), cells: vec![name.into(), "1 GiB".into()] };
        let section = Section {
            title: "Growers",
            name: "growers",
            row_name: "grower",
            sum: "two".into(),
            heads: &["component", "peak"],
            rows: vec![row("a|b"), row("| --- |")],
        };
        let mut out = Vec::new();
        write(("a day", &[section]), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 4);
        for line in table {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 3, "{line}");
        }
    }
}
