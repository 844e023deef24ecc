//! A key as it is pressed, as it is written in a config file, and as it is
//! shown: three spellings of one value.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers, normalised so that terminals that report Shift
/// with a capital letter and those that do not mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// The keys that have a name instead of a character: name, code, as shown.
const NAMED: [(&str, KeyCode, &str); 15] = [
    ("up", KeyCode::Up, "Up"),
    ("down", KeyCode::Down, "Down"),
    ("left", KeyCode::Left, "Left"),
    ("right", KeyCode::Right, "Right"),
    ("page-up", KeyCode::PageUp, "PgUp"),
    ("page-down", KeyCode::PageDown, "PgDn"),
    ("home", KeyCode::Home, "Home"),
    ("end", KeyCode::End, "End"),
    ("tab", KeyCode::Tab, "Tab"),
    ("enter", KeyCode::Enter, "Enter"),
    ("esc", KeyCode::Esc, "Esc"),
    ("backspace", KeyCode::Backspace, "Backspace"),
    ("delete", KeyCode::Delete, "Del"),
    ("insert", KeyCode::Insert, "Ins"),
    ("space", KeyCode::Char(' '), "Space"),
];

impl Key {
    pub fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let kept = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        match code {
            KeyCode::BackTab => Key { code: KeyCode::Tab, modifiers: kept | KeyModifiers::SHIFT },
            KeyCode::Char(c) if kept.contains(KeyModifiers::CONTROL) => {
                Key { code: KeyCode::Char(c.to_ascii_lowercase()), modifiers: kept }
            }
            KeyCode::Char(c) if kept.contains(KeyModifiers::SHIFT) => {
                let capital = if c.is_ascii() { c.to_ascii_uppercase() } else { c };
                Key { code: KeyCode::Char(capital), modifiers: kept - KeyModifiers::SHIFT }
            }
            _ => Key { code, modifiers: kept },
        }
    }

    #[cfg(test)]
    pub(super) fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// The character it types, if it types one.
    pub fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }

    /// As shown in the footer and the help: `Ctrl-C`, `PgUp`, `u`.
    pub fn label(self) -> String {
        self.spelled(|(_, _, shown)| shown, ["Ctrl-", "Alt-", "Shift-"])
    }

    fn spelled(
        self,
        pick: impl Fn((&'static str, KeyCode, &'static str)) -> &'static str,
        modifiers: [&str; 3],
    ) -> String {
        let mut text = String::new();
        let flags = [KeyModifiers::CONTROL, KeyModifiers::ALT, KeyModifiers::SHIFT];
        for (flag, word) in flags.into_iter().zip(modifiers) {
            if self.modifiers.contains(flag) {
                text.push_str(word);
            }
        }
        let is_label = modifiers[0] == "Ctrl-";
        let shows_capital = is_label && !self.modifiers.is_empty();
        match (NAMED.into_iter().find(|(_, code, _)| *code == self.code), self.code) {
            (Some(named), _) => text.push_str(pick(named)),
            (None, KeyCode::Char(c)) if shows_capital => text.push(c.to_ascii_uppercase()),
            (None, KeyCode::Char(c)) => text.push(c),
            (None, KeyCode::F(number)) if is_label => text.push_str(&format!("F{number}")),
            (None, KeyCode::F(number)) => text.push_str(&format!("f{number}")),
            (None, _) => text.push('?'),
        }
        text
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Key::new(event.code, event.modifiers)
    }
}

/// As written in a config file: `ctrl-c`, `page-up`, `u`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.spelled(|(name, _, _)| name, ["ctrl-", "alt-", "shift-"]))
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key; accepted are a character, or a name like enter, page-up, f5, ctrl-c")]
pub struct NotAKey(pub String);

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        let prefixes = [
            ("ctrl-", KeyModifiers::CONTROL),
            ("alt-", KeyModifiers::ALT),
            ("shift-", KeyModifiers::SHIFT),
        ];
        for (prefix, flag) in prefixes {
            if let Some(shorter) = rest.strip_prefix(prefix).filter(|s| !s.is_empty()) {
                modifiers |= flag;
                rest = shorter;
            }
        }
        let bad = || NotAKey(text.to_owned());
        let code = match NAMED.into_iter().find(|(name, _, _)| *name == rest) {
            Some((_, code, _)) => code,
            None => code_of(rest).ok_or_else(bad)?,
        };
        Ok(Key::new(code, modifiers))
    }
}

fn code_of(text: &str) -> Option<KeyCode> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) if !c.is_control() && !c.is_whitespace() => Some(KeyCode::Char(c)),
        (Some('f'), Some(_)) => {
            text[1..].parse().ok().filter(|number| (1..=12).contains(number)).map(KeyCode::F)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_back() {
        for text in ["u", "U", "+", "-", "ctrl-c", "shift-tab", "alt-x", "page-up", "f5", "space"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn terminals_that_report_shift_mean_the_same_key() {
        let bare = Key::new(KeyCode::Char('U'), KeyModifiers::NONE);
        assert_eq!(Key::new(KeyCode::Char('U'), KeyModifiers::SHIFT), bare);
        assert_eq!(Key::new(KeyCode::Char('u'), KeyModifiers::SHIFT), bare);
        let back = Key::new(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(Key::new(KeyCode::BackTab, KeyModifiers::NONE), back);
        assert_eq!(back, "shift-tab".parse().unwrap());
    }

    #[test]
    fn what_is_no_key_says_so() {
        for text in ["", "uu", "hyper-x", "f13", "ctrl-", "\t"] {
            assert_eq!(text.parse::<Key>(), Err(NotAKey(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn labels_are_for_people() {
        let label = |text: &str| text.parse::<Key>().unwrap().label();
        assert_eq!(label("ctrl-c"), "Ctrl-C");
        assert_eq!(label("shift-tab"), "Shift-Tab");
        assert_eq!(label("u"), "u");
        assert_eq!(label("U"), "U");
    }
}
