//! `plimsoll doctor`: whether all is well with this machine and its models,
//! and the line that mends what is not. The exit code is the worst finding.
//! It changes nothing.

mod json;
mod text;

use std::io::Write;

use anyhow::Result;

use crate::assemble;
use crate::config::LoadedConfig;
use crate::domain::snapshot::{Place, RuntimeState};
use crate::domain::{Finding, Fits, Severity, Snapshot, Survey};
use crate::engine::link::Attention;
use crate::policy::doctor::{Scene, findings, worst};

use super::Context;
use super::exit::ExitCode;
use super::facts::{columns, write_json};
use super::fit;
use super::look::{Glance, Looking};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is not well comes first, with why it matters and the line that mends it.
What is well, or cannot be seen here, has a line each.

  plimsoll doctor
  plimsoll doctor --json

Exit codes: 0 nothing worse than a note, 30 a warning, 31 an error; 1 failed,
2 usage or config.")]
pub struct Args {
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

/// What was looked at, and what was found.
pub struct Examined {
    pub snapshot: std::sync::Arc<Snapshot>,
    pub survey: Survey,
    pub findings: Vec<Finding>,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let examined = examine(context, &config)?;
    match args.json {
        true => write_json(out, &json::Doctor::of(&examined))?,
        false => text::write(&examined.findings, columns(context), out)?,
    }
    out.flush()?;
    Ok(match worst(&examined.findings) {
        Severity::Error => ExitCode::FoundError,
        Severity::Warning => ExitCode::FoundWarning,
        Severity::Note | Severity::Ok | Severity::Skipped => ExitCode::Done,
    })
}

/// Looks at everything once, through the plimsoll that acts here if one does.
pub fn examine(context: &Context, config: &LoadedConfig) -> Result<Examined> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attention = Attention { fits: true, ..Attention::default() };
    let glance = Glance { attention: attention.clone(), ..Glance::default() };
    let mut looking = Looking::begin(context, config, &runtime, glance)?;
    looking.attend(attention)?;
    let fits = match can_be_judged(&looking.snapshot) {
        true => fit::judge_all(&mut looking, crate::domain::FitQuestion::plain)?,
        false => Fits::default(),
    };
    let snapshot = std::sync::Arc::clone(&looking.snapshot);
    drop(looking);
    runtime.shutdown_background();
    let survey = assemble::survey(config, &context.source, &snapshot);
    let findings = findings(&Scene { survey: &survey, snapshot: &snapshot, fits: &fits });
    Ok(Examined { snapshot, survey, findings })
}

/// A server that answers, on this machine.
fn can_be_judged(snapshot: &Snapshot) -> bool {
    snapshot.runtimes.first().is_some_and(|server| {
        let is_up = matches!(server.state, RuntimeState::Up | RuntimeState::Slow);
        is_up && server.place != Place::Remote
    })
}
