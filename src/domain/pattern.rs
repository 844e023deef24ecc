//! Patterns over names: `*` is any run of characters, `?` any one.

/// The text matches the pattern; `*` is any run of characters, `?` any one.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on from when the last star has to swallow one more.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after_star, swallowed)) => {
                    retry = Some((after_star, swallowed + 1));
                    p = after_star;
                    t = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
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
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
