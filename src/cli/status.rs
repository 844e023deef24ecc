//! `plimsoll status`: one check, as text or as JSON; the exit code is the level.
//!
//! Where a plimsoll acts on this machine already, it is asked: its level has
//! dwell. Else two readings are taken here.

pub mod json;
pub mod text;

use std::io::{self, Write};

use anyhow::Result;

use crate::domain::Snapshot;
use crate::domain::target::{TargetOutcome, TargetView};

use super::Context;
use super::exit::ExitCode;
use super::facts::{columns, table, write_json};
use super::fitted::Fitted;
use super::look::{Glance, see};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of a recording, its first two samples are judged.

  plimsoll status                                  one check, for people
  plimsoll status --json | jq .headroom_bytes      one figure of it
  plimsoll status --targets                        the targets alone
  plimsoll status --demo                           of a machine that is none

Exit codes: 0 normal, 10 warning, 11 critical, 12 emergency; 1 failed,
2 usage or config. With --targets: 40 one is missed, else 0 at any level; one
that is unknown is no miss, and is named on stderr.")]
pub struct Args {
    /// The targets of profile and config, each achieved, missed or unknown
    #[arg(long)]
    targets: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let snapshot = see(context, &config, &runtime, Glance::default())?;
    runtime.shutdown_background();
    let columns = columns(context);
    match (args.json, args.targets) {
        (true, _) => write_json(out, &json::Status::of(&snapshot))?,
        (false, true) => targets(&snapshot, columns, out)?,
        (false, false) => text::write(&snapshot, &mut Fitted::new(out, columns))?,
    }
    out.flush()?;
    if args.targets {
        return judged(&snapshot);
    }
    Ok(ExitCode::from(snapshot.level.level))
}

fn targets(snapshot: &Snapshot, columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    if snapshot.targets.is_empty() {
        let profile = &snapshot.profile.name;
        return writeln!(out, "no targets: profile {profile} has none, nor has [targets]");
    }
    let row = |view: &TargetView| {
        let outcome = view.outcome().word().to_owned();
        let now = view.now.as_ref().map_or_else(|_| "-".to_owned(), |_| view.now_text());
        vec![view.kind.word().to_owned(), outcome, view.limit_text(), now]
    };
    let rows: Vec<Vec<String>> = snapshot.targets.iter().map(row).collect();
    table(out, (&["target", "outcome", "limit", "now"], &rows), columns)
}

/// What is unknown is no miss, and nobody shall take it for an achievement.
fn judged(snapshot: &Snapshot) -> Result<ExitCode> {
    for view in snapshot.targets.iter() {
        if let Err(why) = &view.now {
            let kind = view.kind.word();
            writeln!(io::stderr(), "plimsoll: target `{kind}` is not judged: {why}")?;
        }
    }
    let has_missed = snapshot.targets.iter().any(|view| view.outcome() == TargetOutcome::Missed);
    Ok(if has_missed { ExitCode::TargetMissed } else { ExitCode::Done })
}
