//! What is written for people, as wide as the terminal: a line that is too
//! long goes on below its own text. A word is never broken, so that a path can
//! be copied. What is piped passes as it is.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

/// A name before its text takes no more than this part of a line, else what
/// follows it begins at the left.
const NAME_SHARE: usize = 2;

pub struct Fitted<'a> {
    out: &'a mut dyn Write,
    columns: Option<usize>,
    line: Vec<u8>,
}

impl<'a> Fitted<'a> {
    /// `columns` as [`super::facts::columns`] says.
    pub fn new(out: &'a mut dyn Write, columns: Option<usize>) -> Fitted<'a> {
        Fitted { out, columns, line: Vec::new() }
    }

    fn put(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        match self.columns {
            Some(columns) => self.out.write_all(broken(&line, columns).as_bytes()),
            None => self.out.write_all(&line),
        }
    }
}

impl Write for Fitted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.put()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put()?;
        self.out.flush()
    }
}

/// The line in as many as it takes.
fn broken(line: &[u8], columns: usize) -> String {
    let line = String::from_utf8_lossy(line);
    let text = line.trim_end_matches('\n');
    if text.width() <= columns {
        return line.into_owned();
    }
    let (name, rest) = text.split_at(hang(text, columns));
    let indent = " ".repeat(name.width());
    let (mut broken, mut at) = (name.to_owned(), name.width());
    for (number, word) in rest.split_whitespace().enumerate() {
        if number > 0 && at + 1 + word.width() > columns {
            broken.push('\n');
            broken.push_str(&indent);
            at = indent.len();
        } else if number > 0 {
            broken.push(' ');
            at += 1;
        }
        broken.push_str(word);
        at += word.width();
    }
    broken.push_str(&line[text.len()..]);
    broken
}

/// Where the text begins: after the blanks, and after a name that two blanks
/// part from it.
fn hang(text: &str, columns: usize) -> usize {
    let blank = text.len() - text.trim_start().len();
    let named = text[blank..].find("  ").map(|end| {
        let rest = &text[blank + end..];
        blank + end + (rest.len() - rest.trim_start().len())
    });
    named.filter(|at| text[..*at].width() <= columns / NAME_SHARE).unwrap_or(blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, columns: Option<usize>) -> String {
        let mut out = Vec::new();
        let mut fitted = Fitted::new(&mut out, columns);
        // However it comes.
        text.bytes().for_each(|byte| fitted.write_all(&[byte]).unwrap());
        fitted.flush().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_too_long_goes_on_below_its_own_text() {
        let text = "profile  linux (auto: linux with 15.6 GiB)\nok\n";
        assert_eq!(written(text, None), text);
        assert_eq!(written(text, Some(80)), text);
        let narrow = "profile  linux (auto:\n         linux with 15.6\n         GiB)\nok\n";
        assert_eq!(written(text, Some(24)), narrow);
        assert_eq!(written("  leave one: it is busy", Some(14)), "  leave one:\n  it is busy");
    }

    #[test]
    fn a_word_is_never_broken() {
        assert_eq!(
            written("data  /a/very/long/path (new)\n", Some(12)),
            "data  /a/very/long/path\n      (new)\n"
        );
    }

    #[test]
    fn what_has_no_line_end_yet_is_shown_when_it_is_flushed() {
        assert_eq!(written("Write it? [y/N] ", Some(40)), "Write it? [y/N] ");
    }
}
