//! The little of roff that a page takes: text that is no request by accident,
//! sections, paragraphs, terms.

/// A page as it grows.
#[derive(Debug, Default)]
pub struct Roff(String);

impl Roff {
    /// The title line of a page in section 1. Names are not hyphenated, as they
    /// are typed.
    pub fn new(name: &str, source: &str) -> Roff {
        let (name, source) = (escaped(&name.to_uppercase()), escaped(source));
        Roff(format!(".TH \"{name}\" 1 \"\" \"{source}\" \"User Commands\"\n.nh\n.ad l\n"))
    }

    pub fn section(&mut self, title: &str) {
        self.0.push_str(&format!(".SH \"{}\"\n", escaped(title)));
    }

    pub fn paragraph(&mut self, text: &str) {
        self.0.push_str(&format!(".PP\n{}\n", line(text)));
    }

    pub fn text(&mut self, text: &str) {
        self.0.push_str(&format!("{}\n", line(text)));
    }

    /// A term in bold, and what it means below it.
    pub fn term(&mut self, term: &str, text: &str) {
        self.0.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), line(text)));
    }

    /// Lines as they are, which is how they are typed.
    pub fn typed<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        self.0.push_str(".PP\n.nf\n.RS 4\n");
        for typed in lines {
            self.0.push_str(&format!("{}\n", line(typed)));
        }
        self.0.push_str(".RE\n.fi\n");
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

/// The first line is that of a page of plimsoll, of any version.
pub fn is_ours(first_line: &str) -> bool {
    first_line.starts_with(".TH \"PLIMSOLL")
        && first_line.contains("\" 1 \"\" \"plimsoll ")
        && first_line.ends_with(" \"User Commands\"")
}

/// A line of text: what would begin a request is kept from it.
fn line(text: &str) -> String {
    let text = escaped(text);
    match text.starts_with(['.', '\'']) {
        true => format!("\\&{text}"),
        false => text,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '"' => out.push_str("\\(dq"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '~' => out.push_str("\\(ti"),
            '^' => out.push_str("\\(ha"),
            '\n' => out.push(' '),
            c if c.is_ascii() => out.push(c),
            c => out.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_request_by_accident() {
        assert_eq!(line(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(line("'x"), "\\(aqx");
        assert_eq!(line("a\\fB --b ≤"), "a\\efB \\-\\-b \\[u2264]");
    }
}
