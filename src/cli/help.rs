//! What stands below the options of a command's help, by its parts: examples,
//! exit codes, and whatever else is to be known. Man pages and tests read it
//! here; it is written beside each command.
//!
//! Lines that are indented are examples, a remark two blanks behind each; a
//! sentence that begins with `Exit codes:` ends with its paragraph.

/// The parts, each in the order it was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub notes: Vec<String>,
    pub examples: Vec<Example>,
    pub exit_codes: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// As typed into a shell.
    pub line: String,
    pub remark: Option<String>,
}

/// How the sentence on exit codes begins.
const EXIT_CODES: &str = "Exit codes:";

impl Parts {
    pub fn of(command: &clap::Command) -> Parts {
        let text = command.get_after_help().map(ToString::to_string);
        Parts::read(&text.unwrap_or_default())
    }

    fn read(text: &str) -> Parts {
        let mut parts = Parts::default();
        for paragraph in text.split("\n\n") {
            if paragraph.starts_with("  ") {
                parts.examples.extend(paragraph.lines().map(Example::read));
                continue;
            }
            let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            let (note, codes) = match paragraph.split_once(EXIT_CODES) {
                Some((note, codes)) => (note.trim(), Some(codes.trim().to_owned())),
                None => (paragraph.as_str(), None),
            };
            parts.notes.extend((!note.is_empty()).then(|| note.to_owned()));
            parts.exit_codes = codes.or(parts.exit_codes);
        }
        parts
    }

    /// The numbers among its exit codes; `20 to 24` is five of them.
    pub fn numbers(&self) -> Vec<u8> {
        let text = self.exit_codes.as_deref().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        let number =
            |word: &str| word.trim_matches(|c: char| c.is_ascii_punctuation()).parse().ok();
        let mut found: Vec<u8> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let Some(to) = number(word) else { continue };
            let from = match (found.last(), at.checked_sub(1).map(|before| words[before])) {
                (Some(last), Some("to")) => last.saturating_add(1),
                _ => to,
            };
            found.extend(from..=to);
        }
        found
    }
}

impl Example {
    fn read(line: &str) -> Example {
        let line = line.trim();
        match line.split_once("  ") {
            Some((line, remark)) => {
                Example { line: line.to_owned(), remark: Some(remark.trim().to_owned()) }
            }
            None => Example { line: line.to_owned(), remark: None },
        }
    }

    /// What is given to plimsoll, as far as the first thing that is the
    /// shell's.
    pub fn arguments(&self) -> Vec<&str> {
        let is_shells = |word: &&str| matches!(*word, "|" | ">" | ">>" | "&&" | ";");
        let mut words = Vec::new();
        for word in self.line.split_whitespace().take_while(|word| !is_shells(word)) {
            words.push(word.trim_end_matches(';').trim_matches('\''));
            if word.ends_with(';') {
                break;
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_help_are_told_apart() {
        let text = "What is\nso. Exit codes: 0 done; 21 to\n23 not.\n\n  plimsoll a --b   first\n  plimsoll a; echo $?\n\nMore.";
        let parts = Parts::read(text);
        assert_eq!(parts.notes, ["What is so.", "More."]);
        assert_eq!(parts.exit_codes.as_deref(), Some("0 done; 21 to 23 not."));
        assert_eq!(parts.numbers(), [0, 21, 22, 23]);
        let lines: Vec<_> = parts.examples.iter().map(|one| one.line.as_str()).collect();
        assert_eq!(lines, ["plimsoll a --b", "plimsoll a; echo $?"]);
        assert_eq!(parts.examples[0].remark.as_deref(), Some("first"));
        assert_eq!(parts.examples[1].arguments(), ["plimsoll", "a"]);
        assert_eq!(Parts::read(""), Parts::default());
    }
}
