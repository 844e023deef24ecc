//! Text from outside, made safe to draw and to log.

/// Longest outside text kept; an error page has no end.
const LONGEST: usize = 300;

/// The text without C0 and C1 controls, bidi and zero-width characters; blanks
/// are folded into single spaces and the length is bounded.
///
/// Model names, process names and error bodies pass through here once, where
/// they enter the program.
pub fn clean(outside: &str) -> String {
    let mut kept = String::with_capacity(outside.len().min(LONGEST));
    let mut blank = true;
    for c in outside.chars() {
        if c.is_whitespace() {
            if !blank {
                kept.push(' ');
            }
            blank = true;
        } else if !is_hostile(c) {
            kept.push(c);
            blank = false;
        }
        if kept.len() >= LONGEST {
            kept.push('…');
            break;
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// As [`clean`], for what was cleaned before it was kept and may have been
/// changed since: what has nothing to take away stays as it is, however long.
pub fn cleaned(kept: String) -> String {
    match kept.chars().any(is_hostile) {
        true => clean(&kept),
        false => kept,
    }
}

/// As [`clean`], from bytes that need not be UTF-8.
pub fn clean_bytes(outside: &[u8]) -> String {
    let bounded = &outside[..outside.len().min(LONGEST * 4)];
    clean(&String::from_utf8_lossy(bounded))
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_bidi_and_newlines_do_not_survive() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\u{200b}d\u{9b}e\nf\t g "), "a[31mbcde f g");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept_readable() {
        assert_eq!(clean_bytes(b"x\xff\x07y"), "x\u{fffd}y");
    }

    #[test]
    fn what_was_cleaned_before_is_only_touched_where_it_was_changed() {
        let long = "x".repeat(10_000);
        assert_eq!(cleaned(long.clone()), long);
        assert_eq!(cleaned("a\u{1b}]0;own\u{7}".into()), "a]0;own");
    }

    #[test]
    fn an_endless_text_is_cut() {
        let cut = clean(&"x".repeat(10_000));
        assert!(cut.len() < 310 && cut.ends_with('…'));
    }
}
