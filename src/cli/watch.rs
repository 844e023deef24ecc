//! `plimsoll watch`: a line for each change, or at each interval. It changes
//! nothing.

mod line;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::config::LoadedConfig;
use crate::domain::level::Headroom;
use crate::domain::{Level, Snapshot};
use crate::engine::link::Attention;

use self::line::Told;
use super::Context;
use super::events::level;
use super::exit::ExitCode;
use super::facts::{cell, columns};
use super::following::{Following, Turn};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line when the level, the server, a model or a matching component changes, or
memory moves by a hundredth; with --interval a line each time. With --json each
line is what `plimsoll status --json` prints, its events those since the line
before. Where no plimsoll acts on this machine, it looks by itself.

  plimsoll watch --until critical; echo $?   11 once it is critical
  plimsoll watch --until normal && make      waits until it is calm
  plimsoll watch --json --interval 10s >> memory.ndjson

Exit codes: of --until, that of the level: 0 normal, 10 warning, 11 critical,
12 emergency; 1 failed; 2 usage or config; 130, 143 ended by a signal.")]
pub struct Args {
    /// For programs: one JSON object a line
    #[arg(long)]
    json: bool,
    /// Components whose id or name matches; `*` is any run of characters
    #[arg(long, value_name = "PATTERN")]
    component: Option<String>,
    /// End when it is at this level or a worse one; normal: when it is calm
    #[arg(long, value_name = "LEVEL", value_parser = level())]
    until: Option<Level>,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(watch(args, (context, &config), out));
    // A sensor or a name lookup that hangs is left behind.
    runtime.shutdown_background();
    result
}

async fn watch(
    args: &Args,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let processes = args.component.is_some();
    let attention = Attention { processes, watched: false, ..Attention::default() };
    let mut following = Following::begin(context, config, attention).await?;
    let every = config.config.interval.filter(|_| context.flags.interval.is_some());
    let mut due = Due { every, told: None, at: Instant::now() };
    let mut first = None;
    let code = loop {
        let snapshot = following.snapshot();
        if let Some(sample) = &snapshot.sample {
            // By the samples' own time: on a busy machine they come late.
            let seen = sample.at.since(*first.get_or_insert(sample.at));
            let is_settled = seen >= following.unsettled();
            let is_over = is_reached(args.until, snapshot.level.level, is_settled);
            // A mark is passed and its level not entered yet: neither is told.
            let is_torn = matches!(&snapshot.headroom,
                Headroom::Known { bytes, .. } if bytes.is_zero());
            let is_tellable = is_settled || is_over || !is_torn;
            if is_tellable && due.is_due(Told::of(&snapshot, args.component.as_deref()), is_over) {
                let (events, _) = following.news(&snapshot);
                match args.json {
                    true => line::json(&snapshot, (args.component.as_deref(), &events), out)?,
                    false => text(&snapshot, (args, context), out)?,
                }
                // Who reads it sees it when it happens.
                out.flush()?;
            }
            if is_over {
                break ExitCode::from(snapshot.level.level);
            }
        }
        let turn = match due.wait() {
            Some(wait) => {
                tokio::time::timeout(wait, following.turn()).await.unwrap_or(Ok(Turn::Look))
            }
            None => following.turn().await,
        };
        if let Turn::End(code) = turn? {
            break code;
        }
    };
    following.stop().await;
    Ok(code)
}

fn text(
    snapshot: &Arc<Snapshot>,
    (args, context): (&Args, &Context),
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let line = line::text(snapshot, args.component.as_deref());
    match columns(context) {
        Some(columns) => writeln!(out, "{}", cell(&line, columns).trim_end()),
        None => writeln!(out, "{line}"),
    }
}

/// A level that is worse was passed on the way. Normal is said too soon by an
/// engine that has just begun.
fn is_reached(until: Option<Level>, level: Level, is_settled: bool) -> bool {
    match until {
        None => false,
        Some(Level::Normal) => level == Level::Normal && is_settled,
        Some(until) => level >= until,
    }
}

/// When the next line is to be written.
struct Due {
    /// `None`: when something has changed.
    every: Option<Duration>,
    told: Option<Told>,
    at: Instant,
}

impl Due {
    fn is_due(&mut self, now: Told, is_last: bool) -> bool {
        let is_due = match self.every {
            Some(_) => Instant::now() >= self.at,
            None => self.told.as_ref().is_none_or(|told| told.differs_from(&now)),
        };
        if !is_due && !is_last {
            return false;
        }
        if let Some(every) = self.every {
            // A line that came late does not have the others come in a burst.
            let (next, now) = (self.at + every, Instant::now());
            self.at = if next > now { next } else { now + every };
        }
        self.told = Some(now);
        true
    }

    fn wait(&self) -> Option<Duration> {
        self.every.map(|_| self.at.saturating_duration_since(Instant::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worse_level_is_reached_too_and_normal_only_when_it_is_certain() {
        let reached =
            |until, is_settled| Level::ALL.map(|level| is_reached(until, level, is_settled));
        assert_eq!(reached(None, true), [false; 4]);
        assert_eq!(reached(Some(Level::Critical), false), [false, false, true, true]);
        assert_eq!(reached(Some(Level::Normal), false), [false; 4]);
        assert_eq!(reached(Some(Level::Normal), true), [true, false, false, false]);
    }
}
