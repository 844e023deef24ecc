//! Themes: what each role looks like. The only place that names a colour;
//! views and widgets ask for a role and get a style.
//!
//! Themes are TOML files, compiled in; a file of the same name in the user's
//! folder wins. Colours are brought down here to what the terminal can show.

mod color;
mod file;

use std::path::Path;

use ratatui::style::{Color, Modifier, Style};

use crate::tui::state::{Abilities, Colors};

pub use file::ThemeError;

/// What a cell means. Its letter stands for it in the maps of screen tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Text,
    Dim,
    Faint,
    Accent,
    Border,
    Title,
    Header,
    Normal,
    Warning,
    Critical,
    Emergency,
    Models,
    Mapped,
    Programs,
    System,
    Cache,
    Free,
    Picked,
    Mark,
    Graph,
    Selected,
    Key,
    Good,
    Bad,
}

impl Role {
    pub const ALL: [Role; 24] = [
        Role::Text,
        Role::Dim,
        Role::Faint,
        Role::Accent,
        Role::Border,
        Role::Title,
        Role::Header,
        Role::Normal,
        Role::Warning,
        Role::Critical,
        Role::Emergency,
        Role::Models,
        Role::Mapped,
        Role::Programs,
        Role::System,
        Role::Cache,
        Role::Free,
        Role::Picked,
        Role::Mark,
        Role::Graph,
        Role::Selected,
        Role::Key,
        Role::Good,
        Role::Bad,
    ];

    /// The role's name in a theme file, and its letter in a role map.
    pub const fn name_and_letter(self) -> (&'static str, char) {
        match self {
            Role::Text => ("text", 't'),
            Role::Dim => ("dim", 'd'),
            Role::Faint => ("faint", 'f'),
            Role::Accent => ("accent", 'a'),
            Role::Border => ("border", 'b'),
            Role::Title => ("title", 'T'),
            Role::Header => ("header", 'h'),
            Role::Normal => ("normal", 'n'),
            Role::Warning => ("warning", 'w'),
            Role::Critical => ("critical", 'c'),
            Role::Emergency => ("emergency", 'e'),
            Role::Models => ("models", 'M'),
            Role::Mapped => ("mapped", 'A'),
            Role::Programs => ("programs", 'P'),
            Role::System => ("system", 'S'),
            Role::Cache => ("cache", 'C'),
            Role::Free => ("free", 'F'),
            Role::Picked => ("picked", 'X'),
            Role::Mark => ("mark", 'm'),
            Role::Graph => ("graph", 'r'),
            Role::Selected => ("selected", 's'),
            Role::Key => ("key", 'k'),
            Role::Good => ("good", 'G'),
            Role::Bad => ("bad", 'B'),
        }
    }

    pub const fn name(self) -> &'static str {
        self.name_and_letter().0
    }

    pub const fn letter(self) -> char {
        self.name_and_letter().1
    }
}

/// The background a theme is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appearance {
    Dark,
    Light,
    Any,
}

/// One theme as its file has it, before any terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct ThemeSource {
    pub name: String,
    pub appearance: Appearance,
    /// `None` leaves the terminal's own background.
    pub background: Option<Color>,
    styles: [Style; Role::ALL.len()],
}

impl ThemeSource {
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }
}

/// A theme brought down to what one terminal can show.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    pub name: String,
    /// Unicode may be drawn; ASCII otherwise.
    pub unicode: bool,
    ground: Style,
    styles: [Style; Role::ALL.len()],
}

impl Theme {
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Whether the role has a colour of its own on this terminal.
    pub fn is_colored(&self, role: Role) -> bool {
        self.style(role).fg.is_some_and(|color| color != Color::Reset)
    }

    /// What an empty cell looks like.
    pub fn ground(&self) -> Style {
        self.ground
    }

    /// A theme whose colours are the numbers of the roles: what is drawn with
    /// it can be read back as a map of roles.
    pub fn role_map(unicode: bool) -> Theme {
        let mut styles = [Style::new(); Role::ALL.len()];
        for role in Role::ALL {
            styles[role as usize] = match role {
                Role::Selected => Style::new().bg(Color::Indexed(role as u8)),
                _ => Style::new().fg(Color::Indexed(role as u8)),
            };
        }
        Theme { name: "role map".into(), unicode, ground: Style::new(), styles }
    }
}

/// Compiled in, in the order `T` goes through them.
const BUILT_IN: [(&str, &str); 6] = [
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("color-blind", include_str!("../../themes/color-blind.toml")),
    ("terminal", include_str!("../../themes/terminal.toml")),
    ("monochrome", include_str!("../../themes/monochrome.toml")),
];

/// Where `monochrome` stands in [`BUILT_IN`].
const MONOCHROME: usize = 5;

/// All themes that were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Themes {
    found: Vec<ThemeSource>,
    /// The compiled-in one, whatever the user's folder holds: what a terminal
    /// without colours gets.
    monochrome: ThemeSource,
}

impl Themes {
    /// The compiled-in themes and those of the user's folder, which win by
    /// name. A folder that is not there is an empty one.
    pub fn load(user_folder: Option<&Path>) -> Result<Themes, ThemeError> {
        let mut found = BUILT_IN
            .iter()
            .map(|(name, text)| {
                file::parse(name, &Path::new("themes").join(format!("{name}.toml")), text)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let monochrome = found[MONOCHROME].clone();
        for theme in user_folder.map(file::read_folder).transpose()?.unwrap_or_default() {
            match found.iter_mut().find(|known| known.name == theme.name) {
                Some(known) => *known = theme,
                None => found.push(theme),
            }
        }
        Ok(Themes { found, monochrome })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.iter().map(|theme| theme.name.as_str())
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.found.iter().position(|theme| theme.name == name)
    }

    /// As its file has it. The index wraps around.
    pub fn source(&self, index: usize) -> &ThemeSource {
        &self.found[index % self.found.len()]
    }

    /// The theme for one terminal. The index wraps around.
    pub fn get(&self, index: usize, abilities: Abilities) -> Theme {
        let chosen = self.source(index);
        let shown = if abilities.colors == Colors::None { &self.monochrome } else { chosen };
        let mut styles = shown.styles;
        for (style, role) in styles.iter_mut().zip(Role::ALL) {
            style.fg = style.fg.and_then(|color| color::bring_down(color, abilities.colors));
            style.bg = style.bg.and_then(|color| color::bring_down(color, abilities.colors));
            // The selection lies over what is drawn; everything else replaces
            // it, or a title would keep the faintness of its border.
            if role != Role::Selected {
                style.fg = style.fg.or(Some(Color::Reset));
                style.sub_modifier = Modifier::all().difference(style.add_modifier);
            }
        }
        let ground = shown.background.and_then(|c| color::bring_down(c, abilities.colors));
        Theme {
            name: chosen.name.clone(),
            unicode: abilities.unicode,
            ground: Style { bg: ground, ..Style::new() },
            styles,
        }
    }
}

/// The attributes a theme file may give, by name.
const MODIFIERS: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underline", Modifier::UNDERLINED),
    ("reverse", Modifier::REVERSED),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn themes() -> Themes {
        Themes::load(None).expect("the compiled-in themes are read")
    }

    fn with(colors: Colors) -> Abilities {
        Abilities { colors, unicode: true }
    }

    #[test]
    fn every_theme_is_complete_and_named_as_its_file() {
        let names: Vec<String> = themes().names().map(str::to_owned).collect();
        assert_eq!(names, BUILT_IN.map(|(name, _)| name.to_owned()));
    }

    #[test]
    fn role_letters_are_all_different() {
        let mut letters: Vec<char> = Role::ALL.iter().map(|role| role.letter()).collect();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), Role::ALL.len());
        assert!(Role::ALL.iter().enumerate().all(|(index, role)| *role as usize == index));
    }

    /// WCAG's ratio for text, on the ground the theme is made for, plain and
    /// under the selection.
    #[test]
    fn text_stands_out_from_its_background() {
        let read = [
            Role::Text,
            Role::Dim,
            Role::Accent,
            Role::Title,
            Role::Header,
            Role::Normal,
            Role::Warning,
            Role::Critical,
            Role::Emergency,
            Role::Key,
            Role::Good,
            Role::Bad,
        ];
        let themes = themes();
        for name in ["dark", "light", "high-contrast", "color-blind"] {
            let source = themes.source(themes.index_of(name).expect("it is compiled in"));
            let ground = match source.appearance {
                Appearance::Light => Color::Rgb(255, 255, 255),
                // Darker grounds only raise the ratio.
                Appearance::Dark | Appearance::Any => Color::Rgb(0x1e, 0x1e, 0x1e),
            };
            let ground = source.background.unwrap_or(ground);
            let selected = source.style(Role::Selected).bg.unwrap_or(ground);
            for role in read {
                let text = source.style(role).fg.expect("these themes name each colour");
                for behind in [ground, selected] {
                    let ratio = color::contrast(text, behind);
                    assert!(ratio >= 4.5, "{name}: {} has {ratio:.2} on {behind}", role.name());
                }
            }
        }
    }

    #[test]
    fn a_terminal_without_colours_gets_none() {
        let themes = themes();
        for index in 0..themes.count() {
            let theme = themes.get(index, with(Colors::None));
            for role in Role::ALL {
                assert!(!theme.is_colored(role), "{}", role.name());
                assert_eq!(theme.style(role).bg, None, "{}", role.name());
            }
        }
    }

    #[test]
    fn colours_are_brought_down_to_what_the_terminal_has() {
        let theme = themes().get(0, with(Colors::Ansi16));
        for role in Role::ALL {
            assert!(!matches!(theme.style(role).fg, Some(Color::Rgb(..) | Color::Indexed(_))));
        }
        let theme = themes().get(0, with(Colors::Indexed256));
        for role in Role::ALL {
            assert!(!matches!(theme.style(role).fg, Some(Color::Rgb(..))), "{}", role.name());
        }
    }

    #[test]
    fn a_theme_of_the_user_wins_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let own = BUILT_IN[0].1.replace("appearance = \"dark\"", "appearance = \"light\"");
        std::fs::write(folder.path().join("dark.toml"), &own).expect("written");
        std::fs::write(folder.path().join("mine.toml"), &own).expect("written");
        let themes = Themes::load(Some(folder.path())).expect("both are complete");
        assert_eq!(themes.count(), BUILT_IN.len() + 1);
        assert_eq!(themes.source(0).appearance, Appearance::Light);
        assert_eq!(themes.index_of("mine"), Some(BUILT_IN.len()));
    }

    #[test]
    fn a_wrong_colour_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("odd.toml");
        std::fs::write(&path, "appearance = \"dark\"\n[roles]\ntext = \"mauve\"\n").expect("ok");
        let error = Themes::load(Some(folder.path())).expect_err("mauve is no colour");
        assert_eq!((error.path.clone(), error.line), (path, Some(3)));
        assert!(error.to_string().contains("`mauve`"), "{error}");
    }
}
