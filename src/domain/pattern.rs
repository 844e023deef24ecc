//! Patterns over names: `*` is any run of characters, `?` any one.

use std::str::Chars;

/// The text matches the pattern; `*` is any run of characters, `?` any one.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on from when the last star has to swallow one more.
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut wanted, mut rest) = (pattern.clone(), text.clone());
        let Some(c) = rest.next() else { break };
        match wanted.next() {
            Some('*') => {
                retry = Some((wanted.clone(), text.clone()));
                pattern = wanted;
            }
            Some(one) if one == '?' || one == c => (pattern, text) = (wanted, rest),
            _ => match &mut retry {
                Some((after_star, swallowed)) => {
                    swallowed.next();
                    (pattern, text) = (after_star.clone(), swallowed.clone());
                }
                None => return false,
            },
        }
    }
    pattern.all(|c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("model:llama3*", "model:llama3.2:3b", true),
            ("model:llama3*", "model:llama2", false),
            ("process:?hrome", "process:chrome", true),
            ("process:chrome", "process:chromedriver", false),
            ("*:3b", "model:llama3.2:3b", true),
            ("*a*b*c", "xaxxbxxbc", true),
            ("*a*b*c", "xaxxbxxb", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("?ber*ß", "über Maß", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
