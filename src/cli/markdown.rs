//! Text from outside in Markdown, and tables of it: for files that are shown
//! elsewhere, where it can be no markup. It knows nothing of what it writes.

use std::io::{self, Write};

pub fn table(out: &mut dyn Write, (heads, rows): (&[&str], &[Vec<String>])) -> io::Result<()> {
    writeln!(out, "| {} |", heads.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(heads.len()))?;
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// The text as itself, whatever it holds: no table, link, mention, code or
/// HTML comes of it.
pub fn plain(text: &str) -> String {
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
}
