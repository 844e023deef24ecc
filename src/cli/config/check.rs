//! `plimsoll config check`: whether the config can stand, and what is to be
//! known of it. Every fault, not only the first: they are mended together.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use crate::cli::document::Document;
use crate::cli::exit::ExitCode;
use crate::cli::facts::{columns_in, write_json};
use crate::cli::fitted::Fitted;
use crate::config::{Flags, LoadedConfig, ProfileChoice, Surroundings, examine};
use crate::policy::limits::Profile;

/// What was found. More may be added; nothing is renamed.
#[derive(Debug, Serialize)]
struct Found {
    schema_version: u32,
    ok: bool,
    /// Null: there is none, or it cannot be read as one.
    file: Option<String>,
    faults: Vec<String>,
    notes: Vec<String>,
    #[serde(skip)]
    code: ExitCode,
}

pub fn run(
    json: bool,
    (flags, surroundings): (&Flags, &Surroundings),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let found = found(flags, surroundings);
    match json {
        true => write_json(out, &found)?,
        false => text(&found, &mut Fitted::new(out, columns_in(surroundings)))?,
    }
    Ok(found.code)
}

fn found(flags: &Flags, surroundings: &Surroundings) -> Found {
    let loaded = match examine(flags, surroundings) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let faults =
                faults.into_iter().map(|fault| format!("{:#}", anyhow::Error::from(fault)));
            return Found::failed(ExitCode::Usage, faults.collect());
        }
    };
    // Keys and themes, which only the screen knows.
    if let Err(fault) = crate::assemble::screen(&loaded, surroundings, None) {
        return Found::failed(ExitCode::of_error(&fault), vec![format!("{fault:#}")]);
    }
    let mut notes = match notes_of_profiles(&loaded) {
        Ok(notes) => notes,
        Err(fault) => return Found::failed(ExitCode::of_error(&fault), vec![format!("{fault:#}")]),
    };
    notes.extend(crate::assemble::notes(&loaded));
    let file = loaded.paths.config_file.as_ref().filter(|path| path.exists());
    let file = file.map(|path| path.display().to_string());
    let faults = Vec::new();
    let (schema_version, code) = (Document::ConfigCheck.version(), ExitCode::Done);
    Found { schema_version, ok: true, file, faults, notes, code }
}

/// Rules that cannot stand with the profile that was named are an error; with
/// one that "auto" may pick they are worth a note.
fn notes_of_profiles(loaded: &LoadedConfig) -> Result<Vec<String>> {
    if let ProfileChoice::Named(profile) = loaded.config.profile {
        loaded.rules(&loaded.chosen(profile, String::new())?)?;
        return Ok(Vec::new());
    }
    let fault = |profile: Profile| {
        let rules = loaded.chosen(profile, String::new()).and_then(|c| loaded.rules(&c));
        let fault = rules.err()?;
        Some(format!("where \"auto\" picks `{}`: {fault}", profile.name()))
    };
    Ok(Profile::ALL.into_iter().filter_map(fault).collect())
}

impl Found {
    fn failed(code: ExitCode, faults: Vec<String>) -> Found {
        let schema_version = Document::ConfigCheck.version();
        Found { schema_version, ok: false, file: None, faults, notes: Vec::new(), code }
    }
}

fn text(found: &Found, out: &mut dyn Write) -> io::Result<()> {
    for fault in &found.faults {
        writeln!(out, "{fault}")?;
    }
    for note in &found.notes {
        writeln!(out, "note: {note}")?;
    }
    match &found.file {
        _ if !found.ok => Ok(()),
        Some(path) => writeln!(out, "ok: {path}"),
        None => writeln!(out, "ok: defaults only, there is no config file"),
    }
}
