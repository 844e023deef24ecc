//! `plimsoll cleanup`: frees memory by a plan: as far as a strength goes, so
//! many bytes, or until memory is back at a level.

use std::io::Write;

use anyhow::Result;

use crate::domain::{Bytes, Level, Strength};
use crate::engine::link::PlanRequest;

use super::Context;
use super::carry::{Carrying, Terms, drafted};
use super::engaged::{self, Engine, Errand};
use super::exit::ExitCode;
use super::facts::columns;
use super::fit::server_is_up;
use super::names::one_of;
use super::unload::listed;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
light takes what is idle and of priority low or medium, aggressive also high.
Above normal both stop where memory is normal again; at normal already they take
all of that, while `--to normal` does nothing then. force takes all but what is
pinned. --free and --to go as far as aggressive. The plan is shown first and, on
a terminal, asked about; without one --yes is needed.

  plimsoll cleanup --yes                  light
  plimsoll cleanup --free 4GiB --yes      so many bytes, or it ends with 1
  plimsoll cleanup --to normal --dry-run  what would bring memory back there

Exit codes: 0 done, or nothing to do; 1 failed, stuck, still generating, not in
time, less came back than was asked for, or the server does not answer and there
is nothing else to do; 2 usage or config, 130 SIGINT, 143 SIGTERM.")]
pub struct Args {
    /// How far it goes [default: light]
    #[arg(long, value_name = "STRENGTH", value_parser = one_of(&Strength::ALL, Strength::word), conflicts_with_all = ["free", "to"])]
    strength: Option<Strength>,
    /// So many bytes, as in 4GiB, by the mildest strength that gives them; GB
    /// and g are GiB too
    #[arg(long, value_name = "BYTES", value_parser = some_bytes, conflicts_with = "to")]
    free: Option<Bytes>,
    /// Until memory is back at this level
    #[arg(long, value_name = "LEVEL", value_parser = one_of(&BELOW, Level::word))]
    to: Option<Level>,
    #[command(flatten)]
    terms: Terms,
}

/// Levels to go back to: nothing lies above emergency.
const BELOW: [Level; 3] = [Level::Normal, Level::Warning, Level::Critical];

fn some_bytes(text: &str) -> Result<Bytes, String> {
    // Who types 4 means 4 of something.
    let has_unit = text.contains(char::is_alphabetic);
    if !has_unit && text.trim().parse::<f64>().is_ok_and(|figure| figure > 0.0) {
        return Err("a size needs its unit, as in 4GiB or 500MiB".into());
    }
    let bytes: Bytes =
        text.parse().map_err(|error: crate::domain::bytes::NotASize| error.to_string())?;
    if bytes.is_zero() { Err("nothing is nothing to free".into()) } else { Ok(bytes) }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    engaged::run(&Cleanup { args, columns: columns(context) }, (context, &config), out)
}

struct Cleanup<'a> {
    args: &'a Args,
    columns: Option<usize>,
}

impl Errand for Cleanup<'_> {
    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        // A server that is down holds no memory; others may.
        let server = server_is_up(&*engine.begun().await).map(drop);
        if server.is_ok() {
            listed(engine, |snapshot| !snapshot.models.is_empty()).await;
        }
        engine.knows_who_works().await;
        let Args { strength, free, to, terms } = self.args;
        let request = match (free, to) {
            (Some(bytes), _) => PlanRequest::Free(*bytes),
            (None, Some(level)) => PlanRequest::To(*level),
            (None, None) => PlanRequest::Cleanup(strength.unwrap_or(Strength::Light)),
        };
        let is_number_meant = !matches!(request, PlanRequest::Cleanup(_));
        let plan = drafted(engine, request).await?;
        // That nothing is to be done is known only where there is nothing left to
        // free, or somebody told what there is.
        let has_enough = plan.target.is_some_and(Bytes::is_zero);
        if plan.steps.is_empty() && !has_enough {
            server?;
        }
        let carrying = Carrying { engine, terms, columns: self.columns, is_number_meant };
        carrying.put(&plan, out).await
    }
}
