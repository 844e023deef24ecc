//! A theme's file: read whole, checked whole, told with its line where wrong.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use ratatui::style::{Color, Style};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Appearance, MODIFIERS, Role, ThemeSource, color};

/// Why a theme cannot be used: where, what was found, what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ThemeError {
    pub path: PathBuf,
    pub line: Option<usize>,
    pub found: String,
    pub accepted: String,
}

impl fmt::Display for ThemeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "theme {}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.found)?;
        if self.accepted.is_empty() { Ok(()) } else { write!(f, "; accepted: {}", self.accepted) }
    }
}

/// All `*.toml` of a folder, by name. No such folder is no themes.
pub fn read_folder(folder: &Path) -> Result<Vec<ThemeSource>, ThemeError> {
    let unreadable = |path: &Path, error: &io::Error| ThemeError {
        path: path.to_owned(),
        line: None,
        found: error.to_string(),
        accepted: String::new(),
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(folder, &error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut themes = Vec::with_capacity(paths.len());
    for path in paths {
        let text = read(&path).map_err(|error| unreadable(&path, &error))?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        themes.push(parse(&name.unwrap_or_default(), &path, &text)?);
    }
    Ok(themes)
}

fn read(path: &Path) -> io::Result<String> {
    // Opening a pipe waits for its writer.
    if std::fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::other("it is a pipe"));
    }
    std::fs::read_to_string(path)
}

/// One theme from its text.
pub fn parse(name: &str, path: &Path, text: &str) -> Result<ThemeSource, ThemeError> {
    let reader = Reader { path, text };
    let document = DeTable::parse(text)
        .map_err(|error| reader.wrong(error.span(), error.message().to_owned(), "TOML"))?;
    let mut theme = ThemeSource {
        name: name.to_owned(),
        appearance: Appearance::Any,
        background: None,
        styles: [Style::new(); Role::ALL.len()],
    };
    let mut roles = None;
    for (key, value) in document.get_ref() {
        match key.get_ref().as_ref() {
            "appearance" => theme.appearance = reader.appearance(value)?,
            "background" => {
                theme.background = Some(reader.color(value)?).filter(|c| *c != Color::Reset);
            }
            "roles" => roles = value.get_ref().as_table(),
            other => {
                let accepted = "appearance, background, [roles]";
                return Err(reader.wrong(Some(key.span()), format!("`{other}`"), accepted));
            }
        }
    }
    let Some(roles) = roles else {
        return Err(reader.wrong(None, "no [roles]".into(), "a table with every role"));
    };
    reader.roles(roles, &mut theme)?;
    Ok(theme)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, span: Option<Range<usize>>, found: String, accepted: &str) -> ThemeError {
        let line = span.map(|span| {
            let before = self.text.get(..span.start).unwrap_or(self.text);
            before.bytes().filter(|byte| *byte == b'\n').count() + 1
        });
        ThemeError { path: self.path.to_owned(), line, found, accepted: accepted.to_owned() }
    }

    fn roles(&self, table: &DeTable<'_>, theme: &mut ThemeSource) -> Result<(), ThemeError> {
        let mut is_set = [false; Role::ALL.len()];
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let Some(role) = Role::ALL.into_iter().find(|role| role.name() == name) else {
                let accepted = Role::ALL.map(Role::name).join(", ");
                return Err(self.wrong(
                    Some(key.span()),
                    format!("`{name}` is no role"),
                    &accepted,
                ));
            };
            theme.styles[role as usize] = self.style(value)?;
            is_set[role as usize] = true;
        }
        let missing: Vec<&str> =
            Role::ALL.into_iter().filter(|r| !is_set[*r as usize]).map(Role::name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let found = format!("roles without a style: {}", missing.join(", "));
        Err(self.wrong(None, found, "every role in [roles]"))
    }

    fn style(&self, value: &Spanned<DeValue<'_>>) -> Result<Style, ThemeError> {
        let Some(table) = value.get_ref().as_table() else {
            return Ok(Style { fg: self.own(value)?, ..Style::new() });
        };
        let mut style = Style::new();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "color" => style.fg = self.own(value)?,
                "background" => style.bg = self.own(value)?,
                name => {
                    let known = MODIFIERS.iter().find(|(modifier, _)| *modifier == name);
                    let Some((_, modifier)) = known else {
                        let accepted = "color, background, bold, dim, italic, underline, reverse";
                        return Err(self.wrong(Some(key.span()), format!("`{name}`"), accepted));
                    };
                    match value.get_ref().as_bool() {
                        Some(true) => style = style.add_modifier(*modifier),
                        Some(false) => {}
                        None => {
                            let found = format!("`{name}` is a {}", value.get_ref().type_str());
                            return Err(self.wrong(Some(value.span()), found, "true or false"));
                        }
                    }
                }
            }
        }
        Ok(style)
    }

    /// A colour where one is named; `None` is the terminal's own.
    fn own(&self, value: &Spanned<DeValue<'_>>) -> Result<Option<Color>, ThemeError> {
        Ok(Some(self.color(value)?).filter(|color| *color != Color::Reset))
    }

    fn color(&self, value: &Spanned<DeValue<'_>>) -> Result<Color, ThemeError> {
        let wrong = |found: String| self.wrong(Some(value.span()), found, color::ACCEPTED);
        match value.get_ref() {
            DeValue::String(text) => {
                color::parse(text).ok_or_else(|| wrong(format!("`{text}` is no colour")))
            }
            DeValue::Integer(number) => number
                .as_str()
                .parse::<u8>()
                .map(Color::Indexed)
                .map_err(|_| wrong(format!("`{}` is no colour", number.as_str()))),
            other => Err(wrong(format!("a {}", other.type_str()))),
        }
    }

    fn appearance(&self, value: &Spanned<DeValue<'_>>) -> Result<Appearance, ThemeError> {
        match value.get_ref().as_str() {
            Some("dark") => Ok(Appearance::Dark),
            Some("light") => Ok(Appearance::Light),
            Some("any") => Ok(Appearance::Any),
            other => {
                let found = format!("`{}`", other.unwrap_or(value.get_ref().type_str()));
                Err(self.wrong(Some(value.span()), found, "\"dark\", \"light\", \"any\""))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_among_themes_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("mine.toml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(read_folder(folder.path()).unwrap_err().found, "it is a pipe");
    }
}
