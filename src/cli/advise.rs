//! `plimsoll advise`: settings of the model server for this machine, each with
//! its reason and what it saves here; as a table, or as a file to paste. It
//! changes nothing.

mod compose;
mod json;
mod launchd;
mod shell;
mod systemd;
mod text;

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::assemble;
use crate::domain::finding::{Advice, SettingKind};
use crate::domain::snapshot::Place;
use crate::domain::survey::Housing;
use crate::domain::{FitQuestion, Fits, Snapshot, Survey};
use crate::engine::link::Attention;
use crate::policy::advice::{Advised, Situation, advice};

use super::Context;
use super::exit::ExitCode;
use super::facts::{columns, write_json};
use super::fit;
use super::look::{Glance, Looking};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is set: what is printed is to be pasted. What a setting saves is worked
out for the installed models, by the same figures as `plimsoll fit`.

  plimsoll advise
  plimsoll advise --for systemd

Exit codes: 0 done, 1 failed, 2 usage or config.")]
pub struct Args {
    /// As a file or lines to paste
    #[arg(long = "for", value_name = "TARGET", conflicts_with = "json")]
    target: Option<Target>,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

/// What sets the variables of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    /// A drop-in for a unit
    Systemd,
    /// `launchctl setenv`, for Ollama's app
    Launchd,
    /// A part of a compose file
    Compose,
    /// Exports, for who starts `ollama serve` by hand
    Shell,
}

impl Target {
    const fn word(self) -> &'static str {
        match self {
            Target::Systemd => "systemd",
            Target::Launchd => "launchd",
            Target::Compose => "compose",
            Target::Shell => "shell",
        }
    }

    /// What runs the server here.
    fn of(survey: &Survey) -> Target {
        let housing = survey.server().and_then(|server| server.housing.as_ref().ok());
        match housing {
            _ if survey.is_mac => Target::Launchd,
            Some(Housing::Unit { .. }) => Target::Systemd,
            Some(Housing::Container { .. }) => Target::Compose,
            Some(Housing::Plain) => Target::Shell,
            // Nobody runs it yet: as its installer would.
            None if survey.services.is_ok() => Target::Systemd,
            None => Target::Shell,
        }
    }
}

/// What is printed, in whichever form.
struct Told<'a> {
    snapshot: &'a Snapshot,
    survey: &'a Survey,
    advised: &'a Advised,
    fits_here: Target,
}

impl Told<'_> {
    /// Settings of one kind that are to be made, already made ones among them:
    /// the file is whole.
    fn settings(&self, kind: SettingKind) -> impl Iterator<Item = (&Advice, &str)> {
        let all = self.advised.settings.iter().filter(move |advice| advice.kind == kind);
        all.filter_map(|advice| Some((advice, advice.value.as_deref()?)))
    }

    /// For which machine, in a line.
    fn machine(&self) -> String {
        let sample = self.snapshot.sample.as_deref();
        let memory = sample.and_then(|sample| sample.memory.as_ref().ok());
        let total = memory.map_or_else(|| "unknown memory".to_owned(), |m| m.total.to_string());
        format!("{total}, profile {}", self.snapshot.profile.name)
    }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attention = Attention { fits: true, ..Attention::default() };
    let glance = Glance { attention: attention.clone(), ..Glance::default() };
    let mut looking = Looking::begin(context, &config, &runtime, glance)?;
    looking.attend(attention)?;
    is_here(&looking.snapshot)?;
    let fits = match fit::server_answers(&looking.snapshot) {
        Ok(()) => fit::judge_all(&mut looking, FitQuestion::plain)?,
        // Then nothing is claimed of models, and it is said why.
        Err(_) => Fits::default(),
    };
    let snapshot = Arc::clone(&looking.snapshot);
    let survey = assemble::survey(&config, &context.source, &snapshot);
    let situation = Situation { survey: &survey, snapshot: &snapshot, fits: &fits };
    let advised = advice(&situation, &mut |question| fit::judge(&mut looking, question).ok());
    drop(looking);
    runtime.shutdown_background();
    let told = Told {
        snapshot: &snapshot,
        survey: &survey,
        advised: &advised,
        fits_here: Target::of(&survey),
    };
    match (args.target, args.json) {
        (_, true) => write_json(out, &json::Advise::of(&told))?,
        (None, false) => text::write(&told, columns(context), out)?,
        (Some(target), false) => {
            let file = match target {
                Target::Systemd => systemd::file(&told),
                Target::Launchd => launchd::file(&told),
                Target::Compose => compose::file(&told),
                Target::Shell => shell::file(&told),
            };
            out.write_all(file.as_bytes())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn is_here(snapshot: &Snapshot) -> Result<()> {
    match snapshot.runtimes.first() {
        Some(server) if server.place == Place::Remote => bail!(
            "{} at {} is on another machine, whose memory cannot be seen\nhint: run `plimsoll advise` there",
            server.kind,
            server.url
        ),
        _ => Ok(()),
    }
}

/// A reason as a comment: one line, and nothing that would join it to the next.
fn comment(text: &str) -> String {
    let plain = |c: char| if c == '\\' || c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect::<String>().trim_end().to_owned()
}
