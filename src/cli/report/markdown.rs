//! A report in Markdown: a heading a section, its rows as a table. Text from
//! outside can be no markup in it.

use std::io::{self, Write};

use super::sections::Section;

pub(super) fn write((head, sections): (&str, &[Section]), out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# plimsoll report\n\n{}", plain(head))?;
    for section in sections {
        writeln!(out, "\n## {}\n\n{}", section.title, plain(&section.sum))?;
        if section.rows.is_empty() {
            continue;
        }
        writeln!(out, "\n| {} |", section.heads.join(" | "))?;
        writeln!(out, "|{}", " --- |".repeat(section.heads.len()))?;
        for row in &section.rows {
            let cells: Vec<String> = row.cells.iter().map(|cell| plain(cell)).collect();
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
    }
    Ok(())
}

/// The text as itself, whatever it holds: no table, link, mention, code or
/// HTML comes of it.
fn plain(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => kept.push(' '),
            '<' => kept.push_str("&lt;"),
            '>' => kept.push_str("&gt;"),
            '&' => kept.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '@' | '!' | '$' => {
                kept.push('\\');
                kept.push(c);
            }
            _ => kept.push(c),
        }
    }
    kept.replace("://", "\\://")
}

#[cfg(test)]
mod tests {
    use super::super::sections::Row;
    use super::*;

    #[test]
    fn text_from_outside_is_no_markup() {
        assert_eq!(plain("a|b\nc"), "a\\|b c");
        assert_eq!(
            plain("[x](http://y) <b> `z` @all"),
            "\\[x\\](http\\://y) &lt;b&gt; \\`z\\` \\@all"
        );
        assert_eq!(plain("warning, memory 81 % (was normal)"), "warning, memory 81 % (was normal)");
    }

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
