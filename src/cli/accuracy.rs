//! `plimsoll accuracy`: how forecasts and footprints turned out on this
//! machine, from its own history. It looks and changes nothing.

mod json;
mod text;
mod worst;

use std::io::Write;

use anyhow::Result;

use crate::config::LoadedConfig;
use crate::domain::forecast::{ForecastRecord, LoadObserved};
use crate::forecast::score;
use crate::store::Store;

use super::Context;
use super::exit::ExitCode;
use super::facts::{columns, write_json};
use super::fitted::Fitted;
use super::kept::{folder, is_in, only_here};
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
    only_here(context)?;
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
    let folder = folder(config)?;
    if !is_in(folder)? {
        return Ok((Vec::new(), Vec::new()));
    }
    let restored = Store::look(folder)?;
    Ok((restored.forecasts, restored.loads))
}

fn report(forecasts: &[ForecastRecord], loads: &[LoadObserved]) -> Report {
    Report::of(&score::accuracy(forecasts, loads), worst::models(loads))
}
