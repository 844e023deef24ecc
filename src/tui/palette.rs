//! The palette: everything a key can do, found by typing a part of its name.

use crate::tui::keymap::{Context, Entry, Scope, TABLE};
use crate::tui::state::{InputMode, Ui};

/// What the palette offers now, best match first. Only what would do
/// something on this page.
pub fn choices(ui: &Ui) -> Vec<&'static Entry> {
    let InputMode::Palette { typed, .. } = &ui.mode else {
        return Vec::new();
    };
    let here = Context::Page(ui.page);
    let mut found: Vec<(u32, &'static Entry)> = TABLE
        .iter()
        .filter(|entry| entry.scope == Scope::Always || entry.scope.holds_in(here))
        .filter_map(|entry| Some((distance(entry, typed)?, entry)))
        .collect();
    found.sort_by_key(|(distance, _)| *distance);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// How far a typed text is from an entry: its name first, then its sentence.
fn distance(entry: &Entry, typed: &str) -> Option<u32> {
    // A hit in the sentence is worse than any hit in a name.
    const IN_THE_SENTENCE: u32 = 1000;
    let typed = typed.trim().to_lowercase();
    scattered(entry.name, &typed)
        .or_else(|| entry.help.to_lowercase().contains(&typed).then_some(IN_THE_SENTENCE))
}

/// The letters in their order, with anything between them; the gaps add up.
fn scattered(name: &str, typed: &str) -> Option<u32> {
    let mut gaps = 0;
    let mut rest = name.chars();
    for letter in typed.chars().filter(|c| !c.is_whitespace()) {
        gaps += u32::try_from(rest.by_ref().position(|c| c == letter)?).unwrap_or(u32::MAX);
    }
    Some(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::Intent;
    use crate::tui::state::{Abilities, Colors, Page};

    fn best(page: Page, typed: &str) -> Option<Intent> {
        let mut ui = Ui::new(Abilities { colors: Colors::None, unicode: true }, 0);
        ui.page = page;
        ui.mode = InputMode::Palette { typed: typed.into(), chosen: 0 };
        choices(&ui).first().map(|entry| entry.intent)
    }

    #[test]
    fn a_few_letters_find_an_intent() {
        assert_eq!(best(Page::Overview, "clean"), Some(Intent::Cleanup));
        assert_eq!(best(Page::Overview, "ull"), Some(Intent::UnloadAll));
        assert_eq!(best(Page::Overview, "background"), Some(Intent::Suspend));
        assert_eq!(best(Page::Overview, "zzz"), None);
    }

    #[test]
    fn only_what_works_on_this_page_is_offered() {
        assert_eq!(best(Page::Events, "event-kind"), Some(Intent::EventKind));
        assert_eq!(best(Page::Models, "event-kind"), None);
    }
}
