//! From keys to intents, and back from intents to the words that explain
//! them: footer, help page and README are the inverse of dispatch.
//!
//! The keys stand in `table.rs`; a config may rebind them, and the same check
//! that a test makes of the defaults is then a config error.

use std::collections::BTreeMap;

use crossterm::event::{KeyEvent, KeyEventKind};

use crate::tui::state::{InputMode, Page, Ui};

mod footer;
mod key;
mod table;

pub use key::{Key, NotAKey};
pub use table::{Entry, Intent, SECTIONS, Scope, TABLE};

/// The keys in force.
#[derive(Debug, Clone)]
pub struct Keymap {
    /// Beside each row of [`TABLE`], in its order.
    keys: Vec<Vec<Key>>,
}

/// What is open when a key is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    Page(Page),
    Dialog,
    Typing,
}

/// A key and its word in the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub key: String,
    pub label: String,
    /// The same in fewer words, for a narrow screen; the fewest last.
    pub shorter: Vec<String>,
}

/// A line of the help page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpLine {
    pub section: &'static str,
    pub key: String,
    pub text: &'static str,
}

/// A binding that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("`{name}` is not something a key can do; accepted are {accepted}")]
    UnknownIntent { name: String, accepted: String },
    #[error("`{intent}`: {source}")]
    NotAKey {
        intent: String,
        #[source]
        source: NotAKey,
    },
    #[error("`{intent}` is left without a key")]
    NoKey { intent: String },
    #[error("`{key}` would mean both `{first}` and `{second}`")]
    Clash { key: String, first: &'static str, second: &'static str },
    #[error("`{key}` cannot be `{intent}`: while typing it belongs to the text")]
    Typed { key: String, intent: &'static str },
}

impl Context {
    pub fn of(ui: &Ui) -> Context {
        match (&ui.mode, &ui.dialog) {
            (InputMode::Filter | InputMode::Palette { .. }, _) => Context::Typing,
            (InputMode::Keys, Some(_)) => Context::Dialog,
            (InputMode::Keys, None) => Context::Page(ui.page),
        }
    }
}

impl Scope {
    pub fn holds_in(self, context: Context) -> bool {
        match (self, context) {
            (Scope::Always, _)
            | (Scope::Dialog, Context::Dialog)
            | (Scope::Typing, Context::Typing) => true,
            (Scope::On(pages), Context::Page(page)) => pages.contains(&page),
            _ => false,
        }
    }

    fn overlaps(self, other: Scope) -> bool {
        match (self, other) {
            (Scope::Always, _) | (_, Scope::Always) => true,
            (Scope::On(some), Scope::On(others)) => some.iter().any(|page| others.contains(page)),
            _ => self == other,
        }
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Keymap::defaults()
    }
}

impl Keymap {
    pub fn defaults() -> Self {
        let parse = |key: &&str| key.parse().expect("a test parses every key of the table");
        Keymap { keys: TABLE.iter().map(|entry| entry.keys.iter().map(parse).collect()).collect() }
    }

    /// The defaults, with the keys of some intents replaced: from the name of
    /// an intent to its keys. Refuses whatever would leave an intent without
    /// a key or a key with two meanings.
    pub fn with_overrides(overrides: &BTreeMap<String, Vec<String>>) -> Result<Self, KeyError> {
        let mut keymap = Keymap::defaults();
        for (name, texts) in overrides {
            let Some(row) = TABLE.iter().position(|entry| entry.name == name) else {
                let accepted = TABLE.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
                return Err(KeyError::UnknownIntent { name: name.clone(), accepted });
            };
            if texts.is_empty() {
                return Err(KeyError::NoKey { intent: name.clone() });
            }
            keymap.keys[row] = texts
                .iter()
                .map(|text| text.parse())
                .collect::<Result<_, _>>()
                .map_err(|source| KeyError::NotAKey { intent: name.clone(), source })?;
        }
        keymap.check()?;
        Ok(keymap)
    }

    fn check(&self) -> Result<(), KeyError> {
        for (row, (entry, keys)) in self.rows().enumerate() {
            if keys.is_empty() {
                return Err(KeyError::NoKey { intent: entry.name.to_owned() });
            }
            let while_typing = matches!(entry.scope, Scope::Typing | Scope::Always);
            if let Some(key) = keys.iter().find(|key| while_typing && key.typed().is_some()) {
                return Err(KeyError::Typed { key: key.to_string(), intent: entry.name });
            }
            for (other, others) in self.rows().skip(row + 1) {
                let clash = keys.iter().find(|key| others.contains(key));
                if let Some(key) = clash.filter(|_| entry.scope.overlaps(other.scope)) {
                    let (first, second) = (entry.name, other.name);
                    return Err(KeyError::Clash { key: key.to_string(), first, second });
                }
            }
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = (&'static Entry, &Vec<Key>)> {
        TABLE.iter().zip(&self.keys)
    }

    pub fn intent_for(&self, event: KeyEvent, context: Context) -> Option<Intent> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let key = Key::from(event);
        self.rows()
            .find(|(entry, keys)| entry.scope.holds_in(context) && keys.contains(&key))
            .map(|(entry, _)| entry.intent)
    }

    /// The first key of an intent, as shown.
    pub fn key_for(&self, intent: Intent) -> String {
        let found = self.rows().find(|(entry, _)| entry.intent == intent);
        found.and_then(|(_, keys)| keys.first()).map(|key| key.label()).unwrap_or_default()
    }

    /// Every key with its sentence, by section.
    pub fn help(&self) -> Vec<HelpLine> {
        let mut lines: Vec<HelpLine> = self
            .rows()
            .map(|(entry, keys)| HelpLine {
                section: entry.section,
                key: labels(keys).join(" "),
                text: entry.help,
            })
            .collect();
        lines.sort_by_key(|line| SECTIONS.iter().position(|section| *section == line.section));
        lines
    }

    /// The README's table.
    pub fn markdown_table(&self) -> String {
        let mut text = String::from("| key | name | what it does |\n| --- | --- | --- |\n");
        for section in SECTIONS {
            for (entry, keys) in self.rows().filter(|(entry, _)| entry.section == section) {
                let keys = labels(keys).iter().map(|key| format!("`{key}`")).collect::<Vec<_>>();
                let (name, help) = (entry.name, entry.help);
                text.push_str(&format!("| {} | {name} | {help} |\n", keys.join(" ")));
            }
        }
        text
    }
}

fn labels(keys: &[Key]) -> Vec<String> {
    keys.iter().map(|key| key.label()).collect()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    fn overrides(name: &str, keys: &[&str]) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect())])
    }

    #[test]
    fn the_defaults_pass_the_check_that_configs_must_pass() {
        assert_eq!(Keymap::defaults().check(), Ok(()));
        assert!(TABLE.iter().all(|entry| !entry.keys.is_empty() && !entry.help.is_empty()));
    }

    #[test]
    fn names_are_unique_and_sections_are_known() {
        for (row, entry) in TABLE.iter().enumerate() {
            assert!(SECTIONS.contains(&entry.section), "{}", entry.name);
            assert!(TABLE[row + 1..].iter().all(|other| other.name != entry.name));
            assert!(TABLE[row + 1..].iter().all(|other| other.intent != entry.intent));
        }
    }

    #[test]
    fn a_clash_after_rebinding_is_named() {
        let clash = Keymap::with_overrides(&overrides("pin", &["u"])).unwrap_err();
        assert_eq!(clash.to_string(), "`u` would mean both `unload` and `pin`");
        let none = Keymap::with_overrides(&overrides("pin", &[])).unwrap_err();
        assert_eq!(none, KeyError::NoKey { intent: "pin".into() });
        let bad = Keymap::with_overrides(&overrides("pin", &["pp"])).unwrap_err();
        assert!(bad.to_string().starts_with("`pin`: `pp` is not a key"), "{bad}");
        let unknown = Keymap::with_overrides(&overrides("dance", &["d"])).unwrap_err();
        assert!(unknown.to_string().contains("unload-all"), "{unknown}");
        let typed = Keymap::with_overrides(&overrides("suspend", &["Z"])).unwrap_err();
        assert!(matches!(typed, KeyError::Typed { .. }));
    }

    #[test]
    fn a_rebound_key_moves_everywhere() {
        let keymap = Keymap::with_overrides(&overrides("pin", &["ctrl-p", "P"])).unwrap();
        let page = Context::Page(Page::Models);
        let press = |code, modifiers| keymap.intent_for(KeyEvent::new(code, modifiers), page);
        assert_eq!(press(KeyCode::Char('p'), KeyModifiers::CONTROL), Some(Intent::Pin));
        assert_eq!(press(KeyCode::Char('P'), KeyModifiers::SHIFT), Some(Intent::Pin));
        assert_eq!(press(KeyCode::Char('p'), KeyModifiers::NONE), None);
        assert_eq!(keymap.key_for(Intent::Pin), "Ctrl-P");
        assert!(keymap.markdown_table().contains("| `Ctrl-P` `P` | pin |"));
        assert!(keymap.help().iter().any(|line| line.key == "Ctrl-P P"));
    }

    #[test]
    fn every_key_means_its_intent_where_it_holds() {
        let keymap = Keymap::defaults();
        for (entry, keys) in keymap.rows() {
            let context = match entry.scope {
                Scope::Always => Context::Typing,
                Scope::On(pages) => Context::Page(pages[0]),
                Scope::Dialog => Context::Dialog,
                Scope::Typing => Context::Typing,
            };
            for text in entry.keys {
                let key: Key = text.parse().unwrap();
                assert!(keys.contains(&key));
                assert_eq!(keymap.intent_for(key.event(), context), Some(entry.intent), "{text}");
            }
        }
    }
}
