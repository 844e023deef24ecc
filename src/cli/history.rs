//! `plimsoll history`: what memory was like, minute by minute, from the disk
//! and from the plimsoll that acts here. It looks and changes nothing.

mod json;
pub mod steps;
mod text;

use std::io::Write;
use std::time::Duration;

use anyhow::Result;

use crate::config::value::span_from_text;
use crate::domain::Wall;
use crate::domain::past::Minute;
use crate::domain::time::{DAY, Exactly};

use super::Context;
use super::exit::{ExitCode, WrongUsage};
use super::facts::{columns, write_json};
use super::fitted::Fitted;
use super::kept::Kept;
use super::when::{When, when};
use json::History;
use steps::{Step, gaps, steps};
use text::Manner;

const NOTHING: &str = "nothing is recorded of that time: a plimsoll that acts here, such as \
                       `plimsoll guard`, writes a row a minute";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of each row the worst is told: the least available, the most of all else, the
worst level. Where nothing was seen there is no row; what is unknown is empty,
`-` or null. Times are UTC. A terminal is given a page of rows, everything else
a row a minute. Exit codes: 0 also where there is nothing yet; 1 the history
cannot be read; 2 usage or config.

  plimsoll history --since 2h                    the last two hours
  plimsoll history --since 7d --every 1h --csv   a week, for a spreadsheet")]
pub struct Args {
    /// So long ago, as in 30m or 2d, or at a time [default: 1d]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Up to so long ago, or up to a time [default: now]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// A row for so long: whole minutes, as in 10m or 1h; such as divide a day
    /// begin with it, others go on from day to day
    #[arg(long, value_name = "DURATION", value_parser = every)]
    every: Option<i64>,
    /// For spreadsheets: a line of names, then a line a row
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

/// Minutes.
fn every(text: &str) -> Result<i64, &'static str> {
    let minutes = |span: Duration| span.as_secs() / 60;
    let is_whole = |span: &Duration| {
        span.as_millis() == u128::from(minutes(*span)) * 60_000 && minutes(*span) > 0
    };
    let span = span_from_text(text).filter(is_whole);
    let span = span.ok_or("accepted are whole minutes: 1m, 10m, 1h, 1d")?;
    i64::try_from(minutes(span)).map_err(|_| "that is too long")
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let now = Wall::now();
    let since = args.since.map_or(When::Ago(DAY), |since| since).time(now);
    // Nothing is known of what is to come, and it is no gap.
    let until = args.until.map_or(now, |until| until.time(now).min(now));
    if since >= until {
        return Err(WrongUsage(
            "--since is not before --until, or not in the past: nothing lies between",
        )
        .into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures =
        runtime.block_on(async { Kept::begin(context, &config).await?.figures((since, until)) });
    // A name lookup that hangs is left behind.
    runtime.shutdown_background();
    let minutes = figures?.minutes;
    write(&minutes, args, (context, since, until), out)?;
    out.flush()?;
    Ok(ExitCode::Done)
}

fn write(
    minutes: &[Minute],
    args: &Args,
    (context, since, until): (&Context, Wall, Wall),
    out: &mut dyn Write,
) -> Result<()> {
    let span = (since, until);
    let columns = columns(context);
    let page = || text::fitting(until.duration_since(since).unsigned_abs());
    let is_page = columns.is_some() && !args.csv && !args.json;
    let every = args.every.unwrap_or_else(|| if is_page { page() } else { 1 });
    let rows: Vec<Step> = steps(minutes, every);
    if args.csv {
        return Ok(json::write_csv(&rows, out)?);
    }
    let gaps = gaps(minutes, span);
    if args.json {
        let every_seconds = every.unsigned_abs().saturating_mul(60);
        let history = History { gaps, ..History::of(span, every_seconds, &rows) };
        return Ok(write_json(out, &history)?);
    }
    if rows.is_empty() {
        return Ok(writeln!(Fitted::new(out, columns), "{NOTHING}")?);
    }
    let day = |time: Wall| time.as_second().div_euclid(86_400);
    let first = rows.first().map_or(since, |row| row.start);
    let manner = Manner {
        columns,
        is_unicode: shows_unicode(context),
        is_short: day(first) == day(until) && gaps.iter().all(|gap| day(gap.from) == day(until)),
    };
    if let Some(columns) = columns {
        let every = Exactly(Duration::from_secs(every.unsigned_abs() * 60));
        let head = format!("{every} a row, the worst of each; times in UTC");
        writeln!(out, "{}", super::facts::cell(&head, columns).trim_end())?;
    }
    Ok(text::write((&rows, &gaps), &manner, out)?)
}

/// As the locale says; none said is none known.
fn shows_unicode(context: &Context) -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| context.surroundings.variable(name).filter(|said| !said.is_empty()));
    said.is_some_and(|said| {
        let said = said.to_ascii_lowercase();
        said.contains("utf-8") || said.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_of_whole_minutes() {
        assert_eq!([every("1m"), every("90m"), every("1d")], [Ok(1), Ok(90), Ok(1440)]);
        for wrong in ["0m", "30s", "1.5m", "never"] {
            assert!(every(wrong).is_err(), "{wrong}");
        }
    }
}
