//! Text as a shell reads it: whether it is one plain word, and how it becomes
//! one. Here and nowhere else. Nothing is run here.

/// The text, where a shell takes it for one plain word and a command for no
/// flag.
pub fn plain_word(text: &str) -> Option<&str> {
    (is_plain(text) && !text.starts_with('-')).then_some(text)
}

/// As one word of a shell, whatever is in it.
pub fn quoted(text: &str) -> String {
    match is_plain(text) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+-,".contains(c);
    !text.is_empty() && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_value_for_one_word() {
        for (text, wanted) in [
            ("500", "500"),
            ("-0.5", "-0.5"),
            ("", "''"),
            ("two words", "'two words'"),
            ("$(rm x)`y`", "'$(rm x)`y`'"),
            ("it's", r"'it'\''s'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quoted(text), wanted);
        }
    }

    #[test]
    fn a_shell_reads_what_was_meant() {
        for text in ["", "a b", "it's \"so\" $HOME `x` \\ * ~ # ! ;", "é", "-n", "a\\'b"] {
            let line = format!("x={}; printf %s \"$x\"", quoted(text));
            let said = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
        }
    }

    #[test]
    fn a_plain_word_is_no_flag_and_nothing_a_shell_would_read_otherwise() {
        assert_eq!(plain_word("hf.co/me/m:q4"), Some("hf.co/me/m:q4"));
        for text in ["", "-f", "a b", "$x", "~", "a;b", "a=b", "é"] {
            assert_eq!(plain_word(text), None, "{text}");
        }
    }
}
