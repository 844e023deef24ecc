//! Which processes the config names: patterns over names and command lines.
//!
//! A command line is looked at here and kept nowhere: what leaves is which
//! patterns it matched.

use std::sync::Arc;

use crate::domain::pattern::matches;
use crate::domain::rule::{Named, NamedBy};

/// Processes that are followed because the config names them. A pattern that
/// is too wide must not make every sample dear.
pub const MOST_NAMED: usize = 64;

/// Bytes of a command line that are looked at: class paths are long, and what
/// tells a program is before this.
const LONGEST_LINE: usize = 16 * 1024;

/// The patterns of the config that are about processes.
#[derive(Debug, Default)]
pub struct Naming {
    asked: Arc<[Named]>,
    has_names: bool,
    has_lines: bool,
}

impl Naming {
    /// True where these are other patterns than before.
    pub fn ask(&mut self, named: &Arc<[Named]>) -> bool {
        if Arc::ptr_eq(&self.asked, named) || self.asked == *named {
            return false;
        }
        let has = |by| named.iter().any(|one| one.by == by);
        self.has_names = has(NamedBy::Process);
        self.has_lines = has(NamedBy::Cmdline);
        self.asked = Arc::clone(named);
        true
    }

    /// Some pattern is about a name.
    pub fn has_names(&self) -> bool {
        self.has_names
    }

    /// Some pattern is about a command line.
    pub fn has_lines(&self) -> bool {
        self.has_lines
    }

    pub fn is_empty(&self) -> bool {
        !self.has_names && !self.has_lines
    }

    /// `None`: nothing names it. Otherwise the patterns of `cmdline:` that its
    /// line matches; none where it is named by its name alone.
    pub fn of(&self, name: &str, line: &str) -> Option<Vec<String>> {
        let matched = self.matched(line);
        (!matched.is_empty() || self.names(name)).then_some(matched)
    }

    /// The patterns of `cmdline:` that a line matches.
    pub fn matched(&self, line: &str) -> Vec<String> {
        let patterns = self.asked.iter().filter(|one| one.by == NamedBy::Cmdline);
        let matching = patterns.filter(|one| matches(&one.pattern, line));
        matching.map(|one| one.pattern.clone()).collect()
    }

    fn names(&self, name: &str) -> bool {
        self.has_names
            && self
                .asked
                .iter()
                .any(|one| one.by == NamedBy::Process && matches(&one.pattern, name))
    }
}

/// The words of a command line with spaces between, as patterns see it.
/// `words` are separated, and may be filled up, by NULs.
pub fn line_of(words: &[u8]) -> String {
    let mut bounded = &words[..words.len().min(LONGEST_LINE)];
    while let Some((0 | b' ', rest)) = bounded.split_last() {
        bounded = rest;
    }
    let spaced: Vec<u8> =
        bounded.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    String::from_utf8_lossy(&spaced).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(patterns: &[&str]) -> Naming {
        let mut naming = Naming::default();
        assert!(naming.ask(&patterns.iter().filter_map(|text| Named::parse(text)).collect()));
        naming
    }

    #[test]
    fn a_process_is_named_by_its_name_or_its_line() {
        let naming = naming(&["process:chrom*", "cmdline:*-m vllm*", "cmdline:*vllm*", "unit:x"]);
        let both = vec!["*-m vllm*".to_owned(), "*vllm*".to_owned()];
        assert_eq!(naming.of("python3", "python3 -m vllm.server"), Some(both));
        assert_eq!(naming.of("chrome", "/opt/chrome --x"), Some(vec![]));
        assert_eq!(naming.of("python3", "python3 -m http.server"), None);
    }

    #[test]
    fn only_other_patterns_are_a_change() {
        let mut naming = naming(&["process:a"]);
        assert!(!naming.ask(&Named::parse("process:a").into_iter().collect()));
        assert!(naming.ask(&Named::parse("container:a").into_iter().collect()));
        assert!(naming.is_empty());
    }

    #[test]
    fn words_are_joined_and_bounded() {
        assert_eq!(line_of(b"/usr/bin/x\0--a b\0\xff\0\0\0"), "/usr/bin/x --a b \u{fffd}");
        assert_eq!(line_of(b""), "");
        assert_eq!(line_of(&[b'x'; LONGEST_LINE + 9]).len(), LONGEST_LINE);
    }
}
