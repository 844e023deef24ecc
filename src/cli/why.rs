//! `plimsoll why`: what set the level, what has grown, what would help. It
//! changes nothing.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

use crate::domain::guard::{Help, Mover, SignalSays, Why};
use crate::domain::level::{Basis, Level};
use crate::domain::text::clean;
use crate::domain::time::Span;
use crate::domain::{Moment, Wall};
use crate::engine::link::{Attention, Command, Reply};

use super::Context;
use super::document::Document;
use super::exit::ExitCode;
use super::facts::{columns, fact, write_json};
use super::look::{Glance, Looking, answers_something_else, server_is_known};
use super::status::json::SetBy;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What has grown is known where a plimsoll has watched this machine for a while,
as `plimsoll guard` does.

  plimsoll why                                  a fact a line
  plimsoll why --json | jq '.help[0].what'      what would do least harm

Exit codes: 0 whatever the level is, which `plimsoll status` ends with; 1
failed; 2 usage or config.")]
pub struct Args {
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut looking = Looking::begin(context, &config, &runtime, Glance::default())?;
    looking.wait(Attention::default(), server_is_known)?;
    let reply = looking.ask(Command::Why)?;
    let (at, basis) = (looking.snapshot.at, looking.snapshot.level.basis);
    drop(looking);
    runtime.shutdown_background();
    let Reply::Why { why } = reply else { return Err(answers_something_else()) };
    match args.json {
        true => write_json(out, &Json::of(&why, at, basis))?,
        false => text(&why, (at, basis), columns(context), out)?,
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

/// One look cannot tell since when anything is so.
fn known(moment: Moment, basis: Basis) -> Option<Moment> {
    (basis == Basis::Attached).then_some(moment)
}

fn text(
    why: &Why,
    (at, basis): (Moment, Basis),
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let cause = why.set_by.as_ref().map(|cause| format!(": {}", cause.text)).unwrap_or_default();
    let lasts = known(why.since, basis).map(|since| format!(", for {}", Span(at.since(since))));
    let mut facts = vec![("level", format!("{}{cause}{}", why.level, lasts.unwrap_or_default()))];
    let signal = |says: &SignalSays| match says.level {
        Level::Normal => ("signal", says.text.clone()),
        level => ("signal", format!("{} → {level}", says.text)),
    };
    facts.extend(why.signals.iter().map(signal));
    facts.extend(
        why.excess
            .map(|excess| ("excess", format!("{excess} to free before the level may be left"))),
    );
    let over = why.movers_since.and_then(|since| known(since, basis));
    let over = over.map(|since| format!(" in {}", Span(at.since(since)))).unwrap_or_default();
    let moved = |mover: &Mover| {
        ("moved", format!("{} {}{over}, now {}", mover.name, mover.change, mover.now))
    };
    facts.extend(why.movers.iter().map(moved));
    let helps = |help: &Help| {
        let frees = help.frees.map(|bytes| format!(": frees {bytes}")).unwrap_or_default();
        let enough = if help.is_enough { ", enough alone" } else { "" };
        ("helps", format!("{}{frees}{enough}", help.what))
    };
    facts.extend(why.help.iter().map(helps));
    for (name, text) in &facts {
        fact(out, (name, &clean(text)), columns)?;
    }
    Ok(())
}

/// More may be added; nothing is renamed. What is unknown is null, never 0.
#[derive(Serialize)]
struct Json {
    schema_version: u32,
    time: Wall,
    basis: Basis,
    level: Level,
    /// Null in a single look.
    since: Option<Wall>,
    set_by: Option<SetBy>,
    signals: Vec<SignalSays>,
    /// To free before the level may be left.
    excess_bytes: Option<u64>,
    /// Largest change first, either way.
    movers: Vec<MoverJson>,
    /// Since when they are compared.
    movers_since: Option<Wall>,
    /// Least harm first.
    help: Vec<HelpJson>,
}

#[derive(Serialize)]
struct MoverJson {
    name: String,
    change_bytes: i64,
    bytes: u64,
}

#[derive(Serialize)]
struct HelpJson {
    what: String,
    frees_bytes: Option<u64>,
    /// It alone would do.
    is_enough: bool,
}

impl Json {
    fn of(why: &Why, at: Moment, basis: Basis) -> Json {
        let cause = why.set_by.clone();
        let mover = |mover: &Mover| MoverJson {
            name: mover.name.clone(),
            change_bytes: mover.change.get(),
            bytes: mover.now.get(),
        };
        let help = |help: &Help| HelpJson {
            what: help.what.clone(),
            frees_bytes: help.frees.map(|bytes| bytes.get()),
            is_enough: help.is_enough,
        };
        Json {
            schema_version: Document::Why.version(),
            time: at.wall,
            basis,
            level: why.level,
            since: known(why.since, basis).map(|since| since.wall),
            set_by: cause.map(|cause| SetBy { signal: cause.signal, text: cause.text }),
            signals: why.signals.clone(),
            excess_bytes: why.excess.map(|bytes| bytes.get()),
            movers: why.movers.iter().map(mover).collect(),
            movers_since: why.movers_since.and_then(|at| known(at, basis)).map(|at| at.wall),
            help: why.help.iter().map(help).collect(),
        }
    }
}
