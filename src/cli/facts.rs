//! What a command says to people: one fact a line, its name before it, as wide
//! as the terminal. What is piped is not broken into lines. To programs it says
//! one JSON object.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Context;
use crate::config::Surroundings;

/// The longest name of a fact, and a space.
const NAME: usize = 10;

/// Narrower than this a line of its own for each word helps nobody.
const NARROWEST: usize = 24;

/// How wide a line may be; `None`: as wide as it is.
pub fn columns(context: &Context) -> Option<usize> {
    columns_in(&context.surroundings)
}

/// The same, where there is no more than that.
pub fn columns_in(surroundings: &Surroundings) -> Option<usize> {
    let said = surroundings.variable("COLUMNS").and_then(|text| text.parse().ok());
    let is_terminal = || io::stdout().is_terminal();
    let seen = || rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok();
    let columns = said.or_else(|| is_terminal().then(|| seen().map(|size| size.ws_col.into()))?);
    columns.filter(|columns| *columns > 0).map(|columns: usize| columns.max(NARROWEST))
}

/// For programs: one object, and a line's end.
pub fn write_json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// The same on a line of its own.
pub fn write_json_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// A fact under its name, what does not fit the line below it.
pub fn fact(
    out: &mut dyn Write,
    (name, text): (&str, &str),
    columns: Option<usize>,
) -> io::Result<()> {
    let room = columns.map_or(usize::MAX, |columns| columns - NAME);
    let mut name = name;
    for line in lines(text, room) {
        writeln!(out, "{name:<NAME$}{line}")?;
        name = "";
    }
    Ok(())
}

/// The text broken between words; a word that is too long is broken itself.
pub fn lines(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        for piece in pieces(word, room) {
            let Some(line) = lines.last_mut() else { continue };
            if line.is_empty() {
                line.push_str(&piece);
            } else if line.width().saturating_add(1 + piece.width()) <= room {
                line.push(' ');
                line.push_str(&piece);
            } else {
                lines.push(piece);
            }
        }
    }
    lines
}

fn pieces(word: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0_usize;
    for c in word.chars() {
        let wide = c.width().unwrap_or(0);
        if taken.saturating_add(wide) > room {
            pieces.push(String::new());
            taken = 0;
        }
        taken += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// The text in so many columns and no more, filled up with spaces.
pub fn cell(text: &str, room: usize) -> String {
    let wide = text.width();
    if wide <= room {
        return format!("{text}{}", " ".repeat(room - wide));
    }
    let mut cut = String::new();
    for c in text.chars() {
        if cut.width() + c.width().unwrap_or(0) + 1 > room {
            break;
        }
        cut.push(c);
    }
    let rest = room.saturating_sub(cut.width() + 1);
    format!("{cut}…{}", " ".repeat(rest))
}

/// Rows under their heads, in columns as wide as what they hold. What does not
/// fit the terminal goes: columns from the right, then the end of the first.
pub fn table(
    out: &mut dyn Write,
    (heads, rows): (&[&str], &[Vec<String>]),
    columns: Option<usize>,
) -> io::Result<()> {
    let mut widths: Vec<usize> = heads.iter().map(|head| head.width()).collect();
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.width());
        }
    }
    if let Some(columns) = columns {
        narrow(&mut widths, columns);
    }
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(text, &width)| cell(text, width));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A name that is cut more than this could be any.
const SHORTEST_FIRST: usize = 14;

fn narrow(widths: &mut Vec<usize>, columns: usize) {
    let total = |widths: &[usize]| widths.iter().map(|width| width + 2).sum::<usize>() - 2;
    loop {
        let (over, count) = (total(widths).saturating_sub(columns), widths.len());
        let Some(first) = widths.first_mut().filter(|_| over > 0) else { return };
        if first.saturating_sub(over) >= SHORTEST_FIRST || count <= 2 {
            *first = first.saturating_sub(over).max(1);
            return;
        }
        widths.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, columns: Option<usize>) -> String {
        let mut out = Vec::new();
        fact(&mut out, ("need", text), columns).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_fact_goes_on_below_itself() {
        let text = "4.9 GiB estimated: weights 4.4 GiB";
        assert_eq!(said(text, None), format!("need      {text}\n"));
        let narrow =
            "need      4.9 GiB\n          estimated:\n          weights 4.4\n          GiB\n";
        assert_eq!(said(text, Some(24)), narrow);
    }

    #[test]
    fn a_word_that_is_too_long_is_broken() {
        assert_eq!(lines("hf.co/someone/a-model", 10), ["hf.co/some", "one/a-mode", "l"]);
        assert_eq!(lines("", 10), [""]);
    }

    #[test]
    fn a_table_loses_its_right_before_its_names() {
        let rows = [vec!["a-rather-long-name:7b".to_owned(), "fits".into(), "4.9 GiB".into()]];
        let shown = |columns| {
            let mut out = Vec::new();
            table(&mut out, (&["model", "verdict", "need"], &rows), columns).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(shown(None).ends_with("a-rather-long-name:7b  fits     4.9 GiB\n"));
        assert!(shown(Some(34)).ends_with("a-rather-long-n…  fits     4.9 GiB\n"));
        assert!(shown(Some(24)).ends_with("a-rather-long-…  fits\n"), "{}", shown(Some(24)));
        for columns in 1..60 {
            let widest = shown(Some(columns)).lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(columns.max(10)), "{columns}");
        }
    }
}
