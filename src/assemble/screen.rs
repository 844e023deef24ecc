//! What the screen is given: keys, themes, and what the terminal can show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;

use crate::config::key::closest;
use crate::config::schema::{AsciiChoice, ColorChoice};
use crate::config::{KeyBinding, LoadedConfig, Origin, Surroundings};
use crate::domain::SettingDoor;
use crate::engine::link::Link;
use crate::tui::Start;
use crate::tui::keymap::{KeyError, Keymap};
use crate::tui::state::{Abilities, Colors};
use crate::tui::terminal::detect;
use crate::tui::theme::Themes;

/// Where the config is changed from the screen; `None`: it cannot be.
type Door = Option<Arc<dyn SettingDoor>>;

/// All that the screen starts with. Checked before anything else starts, so
/// that a wrong key or theme ends the program with its line.
pub fn screen(
    config: &LoadedConfig,
    surroundings: &Surroundings,
    panic_after: Option<Duration>,
) -> Result<impl FnOnce(Arc<dyn Link>, Door) -> Start + use<>> {
    let keymap = keymap(config)?;
    let themes = Themes::load(config.paths.themes.as_deref()).context("read the themes")?;
    let abilities = abilities(config, surroundings);
    let theme = theme(config, &themes, (surroundings, abilities))?;
    let theme_if_light = theme_if_light(config, &themes, (surroundings, abilities));
    Ok(move |link, settings| Start {
        theme_if_light,
        link,
        settings,
        keymap,
        themes,
        theme,
        abilities,
        mouse: true,
        time_zone: TimeZone::system(),
        panic_after,
    })
}

fn keymap(config: &LoadedConfig) -> Result<Keymap> {
    let bindings = config.key_bindings();
    // One by one first, so that a fault names its own line.
    for binding in &bindings {
        let alone = BTreeMap::from([(binding.intent.clone(), binding.keys.clone())]);
        if let Err(error @ KeyError::UnknownIntent { .. })
        | Err(error @ KeyError::NotAKey { .. })
        | Err(error @ KeyError::NoKey { .. }) = Keymap::with_overrides(&alone)
        {
            return Err(binding.fault(error.to_string()).into());
        }
    }
    let all = bindings.iter().map(|b| (b.intent.clone(), b.keys.clone())).collect();
    Keymap::with_overrides(&all).map_err(|error| {
        let is_meant = |binding: &&KeyBinding| match &error {
            KeyError::Clash { first, second, .. } => [*first, *second].contains(&&*binding.intent),
            KeyError::Typed { intent, .. } => *intent == binding.intent,
            _ => false,
        };
        // Where both are bound in the file, the later line made the clash.
        let line = |binding: &&KeyBinding| match binding.origin {
            Origin::File { line, .. } => line,
            _ => usize::MAX,
        };
        let guilty = bindings.iter().filter(is_meant).max_by_key(line).or(bindings.first());
        match guilty {
            Some(binding) => binding.fault(format!("cannot stand: {error}")).into(),
            None => error.into(),
        }
    })
}

/// The theme by name. Unless one was asked for, a light terminal gets the
/// light one, and one of sixteen colours its own: they are all it has.
fn theme(
    config: &LoadedConfig,
    themes: &Themes,
    (surroundings, abilities): (&Surroundings, Abilities),
) -> Result<usize> {
    let variable = |name: &str| surroundings.variable(name).map(str::to_owned);
    let is_asked_for = config.origin("theme") != Origin::Default;
    let name = match detect::is_light(variable) {
        _ if !is_asked_for && abilities.colors == Colors::Ansi16 => "terminal",
        Some(true) if !is_asked_for => "light",
        _ => config.config.theme.as_str(),
    };
    themes.index_of(name).ok_or_else(|| {
        let names: Vec<&str> = themes.names().collect();
        let meant = closest(name, names.iter().copied());
        let hint = meant.map(|meant| format!("did you mean \"{meant}\"?"));
        let fault = config.fault("theme", format!("`{name}` is not a theme"));
        fault.accepting(names.join(", ")).hinting(hint).into()
    })
}

/// The light theme, where nobody has said whether the terminal is light: it
/// is then asked. Terminals of few colours have none to tell of.
fn theme_if_light(
    config: &LoadedConfig,
    themes: &Themes,
    (surroundings, abilities): (&Surroundings, Abilities),
) -> Option<usize> {
    let variable = |name: &str| surroundings.variable(name).map(str::to_owned);
    let is_open = config.origin("theme") == Origin::Default
        && detect::is_light(variable).is_none()
        && detect::can_be_asked(variable)
        && abilities.colors >= Colors::Indexed256;
    themes.index_of("light").filter(|_| is_open)
}

fn abilities(config: &LoadedConfig, surroundings: &Surroundings) -> Abilities {
    let variable = |name: &str| surroundings.variable(name).map(str::to_owned);
    let found = detect::abilities(variable);
    let colors = match config.config.color {
        ColorChoice::Auto => found.colors,
        ColorChoice::TrueColor => Colors::TrueColor,
        ColorChoice::Indexed256 => Colors::Indexed256,
        ColorChoice::Ansi16 => Colors::Ansi16,
        ColorChoice::None => Colors::None,
    };
    let unicode = match config.config.ascii {
        AsciiChoice::Auto => found.unicode,
        AsciiChoice::Always => false,
        AsciiChoice::Never => true,
    };
    Abilities { colors, unicode }
}
