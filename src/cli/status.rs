//! `plimsoll status`: one check, as text or as JSON; the exit code is the level.
//!
//! Where a plimsoll acts on this machine already, it is asked: its level has
//! dwell. Else two readings are taken here.

pub mod json;
pub mod text;

use std::io::Write;

use anyhow::Result;

use super::Context;
use super::exit::ExitCode;
use super::facts::{columns, write_json};
use super::fitted::Fitted;
use super::look::{Glance, see};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of a recording, its first two samples are judged.

  plimsoll status                                  one check, for people
  plimsoll status --json | jq .headroom_bytes      one figure of it
  plimsoll status --demo                           of a machine that is none

Exit codes: 0 normal, 10 warning, 11 critical, 12 emergency; 1 failed,
2 usage or config.")]
pub struct Args {
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let snapshot = see(context, &config, &runtime, Glance::default())?;
    runtime.shutdown_background();
    if args.json {
        write_json(out, &json::Status::of(&snapshot))?;
    } else {
        text::write(&snapshot, &mut Fitted::new(out, columns(context)))?;
    }
    out.flush()?;
    Ok(ExitCode::from(snapshot.level.level))
}
