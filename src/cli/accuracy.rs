//! `plimsoll accuracy`: how forecasts and footprints turned out on this
//! machine, from its own history. It looks and changes nothing.

mod json;
mod text;
mod worst;

use std::io::Write;

use anyhow::{Context as _, Result, anyhow};

use crate::assemble::Source;
use crate::config::LoadedConfig;
use crate::domain::forecast::{ForecastRecord, LoadObserved};
use crate::forecast::score;
use crate::store::{FILE, Store};

use super::Context;
use super::exit::{ExitCode, WrongUsage};
use super::facts::{columns, write_json};
use super::fitted::Fitted;
use json::Report;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Errors are in percent of what came; of a model, +2 % means that two percent too
much was said.

  plimsoll accuracy             of all that was foretold here
  plimsoll accuracy --json      one JSON object

Exit codes: 0 also where there is nothing to judge by yet; 1 the history cannot
be read; 2 usage or config.")]
pub struct Args {
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if context.source != Source::Live {
        return Err(WrongUsage("only this machine has a history, no demo and no recording").into());
    }
    let (forecasts, loads) = learned(&context.config()?)?;
    let report = report(&forecasts, &loads);
    if args.json {
        write_json(out, &report)?;
    } else {
        text::write(&report, &mut Fitted::new(out, columns(context)))?;
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

/// What the history holds; nothing where there is none yet.
fn learned(config: &LoadedConfig) -> Result<(Vec<ForecastRecord>, Vec<LoadObserved>)> {
    let Some(folder) = &config.paths.data_dir else {
        return Err(anyhow!(
            "there is no home folder that could hold a history\nhint: name a folder with --data-dir"
        ));
    };
    let file = folder.join(FILE);
    let is_there = file.try_exists();
    if !is_there.with_context(|| format!("look for the history `{}`", file.display()))? {
        return Ok((Vec::new(), Vec::new()));
    }
    let restored = Store::look(folder)?;
    Ok((restored.forecasts, restored.loads))
}

fn report(forecasts: &[ForecastRecord], loads: &[LoadObserved]) -> Report {
    Report::of(&score::accuracy(forecasts, loads), worst::models(loads))
}
