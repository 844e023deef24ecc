//! What the terminal can show, by what the environment says of it. Pure: the
//! environment is an argument. Flags and config go over what is found here.

use crate::tui::state::{Abilities, Colors};

/// Looks a variable up; `None` where it is not set.
pub trait Environment: Fn(&str) -> Option<String> {}
impl<F: Fn(&str) -> Option<String>> Environment for F {}

pub fn abilities(environment: impl Environment) -> Abilities {
    Abilities { colors: colors(&environment), unicode: unicode(&environment) }
}

/// Whether the terminal's background is light, where it says so:
/// `COLORFGBG=0;15` ends with the number of the background.
pub fn is_light(environment: impl Environment) -> Option<bool> {
    let told = environment("COLORFGBG")?;
    let background: u8 = told.rsplit(';').next()?.parse().ok()?;
    Some(matches!(background, 7 | 9..=15))
}

/// Whether a question about its colours is understood, or at least swallowed:
/// some old terminals print what they do not know.
pub fn can_be_asked(environment: impl Environment) -> bool {
    let term = environment("TERM").unwrap_or_default();
    let is_old = matches!(term.as_str(), "" | "linux" | "dumb" | "cygwin" | "ansi");
    !is_old && !term.starts_with("vt")
}

fn colors(environment: &impl Environment) -> Colors {
    let term = environment("TERM").unwrap_or_default();
    if environment("NO_COLOR").is_some_and(|value| !value.is_empty())
        || term == "dumb"
        || term.starts_with("vt1")
        || term.starts_with("vt2")
    {
        return Colors::None;
    }
    let told = environment("COLORTERM").unwrap_or_default();
    if told == "truecolor" || told == "24bit" || term.contains("direct") {
        return Colors::TrueColor;
    }
    // Terminals that show truecolor and do not always say so.
    const KNOWN: [&str; 6] = ["kitty", "alacritty", "foot", "wezterm", "ghostty", "contour"];
    if KNOWN.iter().any(|name| term.contains(name)) || environment("WT_SESSION").is_some() {
        return Colors::TrueColor;
    }
    if term.contains("256color") {
        return Colors::Indexed256;
    }
    Colors::Ansi16
}

fn unicode(environment: &impl Environment) -> bool {
    // The kernel's console has half the blocks and no braille.
    let term = environment("TERM").unwrap_or_default();
    if matches!(term.as_str(), "linux" | "dumb") || term.starts_with("vt") {
        return false;
    }
    // The first that is set and not empty counts, as in every C library.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| environment(name).filter(|value| !value.is_empty()));
    match locale {
        Some(locale) => {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        // macOS terminals are UTF-8 and start programs without a locale.
        None => environment("TERM_PROGRAM").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> (Colors, bool) {
        let found = abilities(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        });
        (found.colors, found.unicode)
    }

    #[test]
    fn abilities_follow_their_table() {
        let utf8 = ("LANG", "en_US.UTF-8");
        type Case<'a> = (&'a [(&'a str, &'a str)], (Colors, bool));
        let cases: &[Case<'_>] = &[
            (&[], (Colors::Ansi16, false)),
            (&[("TERM", "xterm-256color"), utf8], (Colors::Indexed256, true)),
            (
                &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), utf8],
                (Colors::TrueColor, true),
            ),
            (
                &[("TERM", "xterm"), ("COLORTERM", "24bit"), ("LANG", "C")],
                (Colors::TrueColor, false),
            ),
            (&[("TERM", "xterm-kitty"), ("LANG", "C.utf8")], (Colors::TrueColor, true)),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "1"), utf8], (Colors::None, true)),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", ""), utf8], (Colors::Indexed256, true)),
            (&[("TERM", "dumb"), utf8], (Colors::None, false)),
            (&[("TERM", "linux"), utf8], (Colors::Ansi16, false)),
            (&[("TERM", "vt100"), utf8], (Colors::None, false)),
            (&[("TERM", "screen"), ("LC_ALL", "C"), utf8], (Colors::Ansi16, false)),
            (&[("TERM", "screen"), ("LC_ALL", ""), ("LC_CTYPE", "UTF-8")], (Colors::Ansi16, true)),
            (
                &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")],
                (Colors::Indexed256, true),
            ),
        ];
        for (variables, wanted) in cases {
            assert_eq!(found(variables), *wanted, "{variables:?}");
        }
    }

    #[test]
    fn a_light_background_is_believed_where_it_is_told() {
        let light =
            |value: &str| is_light(|name: &str| (name == "COLORFGBG").then(|| value.to_owned()));
        assert_eq!(light("0;15"), Some(true));
        assert_eq!(light("15;0"), Some(false));
        assert_eq!(light("0;default;15"), Some(true));
        assert_eq!(light("nonsense"), None);
    }
}
