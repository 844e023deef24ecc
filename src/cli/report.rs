//! `plimsoll report`: the story of a day from its history: levels, actions,
//! what has grown, what was foretold, what is not well. It looks and changes nothing.

mod growers;
mod markdown;
mod sections;
mod story;
mod tell;
mod text;

use std::io::Write;

use anyhow::Result;

use crate::domain::Wall;
use crate::domain::past::Minute;
use crate::domain::text::clean;
use crate::domain::time::{DAY, Exactly};

use super::Context;
use super::doctor;
use super::exit::{ExitCode, WrongUsage};
use super::facts::{columns, write_json};
use super::kept::Kept;
use super::when::{When, when};
use sections::sections;
use story::Report;
use tell::{Sources, tell};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A page for people; with --json all that is known, with --markdown tables to
paste. Times are UTC. What is not recorded is said to be so: the time at each
level counts only while a plimsoll looked, and what has grown is known of the
largest components, every ten minutes. Exit codes: 0 also where there is
nothing yet; 1 the history cannot be read; 2 usage or config.

  plimsoll report                           the last day
  plimsoll report --since 7d --markdown     a week, to paste somewhere")]
pub struct Args {
    /// So long ago, as in 30m or 2d, or at a time [default: 1d]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Up to so long ago, or up to a time [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// For programs: one JSON object
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Headings and tables in Markdown
    #[arg(long)]
    markdown: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let now = Wall::now();
    let span = span(args, now)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sources = runtime.block_on(async {
        let kept = Kept::begin(context, &config).await?;
        let (forecasts, loads) =
            kept.restored()?.map(|kept| (kept.forecasts, kept.loads)).unwrap_or_default();
        let (figures, events) = (kept.figures(span)?, kept.events(span.0).await?);
        anyhow::Ok(Sources { figures, events, forecasts, loads })
    });
    // A name lookup that hangs is left behind.
    runtime.shutdown_background();
    let sources = sources?;
    let examined = doctor::examine(context, &config).map(|examined| examined.findings);
    // The story of the past needs no server that answers now.
    let findings = examined.map_err(|error| clean(&format!("{error:#}")));
    let report = tell(&sources, findings, span);
    write(&report, args, context, out)?;
    out.flush()?;
    Ok(ExitCode::Done)
}

/// In whole minutes, as figures are kept, but for what is now.
fn span(args: &Args, now: Wall) -> Result<(Wall, Wall), WrongUsage> {
    let since = args.since.unwrap_or(When::Ago(DAY)).time(now);
    let until = args.until.map_or(now, |until| until.time(now));
    if since >= until.min(now) {
        let why = "--since is not before --until, or not in the past: there is nothing to tell";
        return Err(WrongUsage(why));
    }
    let floor = |time| Minute::start_of(Minute::number_at(time));
    let is_whole = floor(until) == until;
    let end = if is_whole { until } else { Minute::start_of(Minute::number_at(until) + 1) };
    Ok((floor(since), end.min(now)))
}

fn write(report: &Report, args: &Args, context: &Context, out: &mut dyn Write) -> Result<()> {
    if args.json {
        return Ok(write_json(out, report)?);
    }
    let Report { since, until, .. } = *report;
    let span = Exactly(until.duration_since(since).unsigned_abs());
    let date = |time: Wall| time.strftime("%Y-%m-%d %H:%M").to_string();
    let head = format!("{span}, from {} to {}, times in UTC", date(since), date(until));
    let sections = sections(report);
    match args.markdown {
        true => markdown::write((&head, &sections), out)?,
        false => text::write((&head, &sections), columns(context), out)?,
    }
    Ok(())
}
