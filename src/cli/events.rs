//! `plimsoll events`: what happened, from the history, and what happens from
//! now on. It changes nothing.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Result, anyhow};
use clap::builder::TypedValueParser;
use serde::Serialize;

use crate::config::LoadedConfig;
use crate::domain::{Event, EventBody, EventKind, HintValues, Hints, Level, Wall};
use crate::engine::link::{Attention, Command, Link, Reply};
use crate::store::Store;

use super::Context;
use super::document::Document;
use super::exit::ExitCode;
use super::facts::{cell, columns, write_json, write_json_line};
use super::following::{Following, Turn};
use super::guard::lines::Lines;
use super::kept::{folder, is_in, only_here};
use super::look::{answer, answers_something_else, attached, may_attach};
use super::names::one_of;
use super::status::json::EventStatus;
use super::when::{When, when};

/// As many as an engine hands out at once.
const PAGE: usize = 500;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Oldest first, a record a line. With --follow and no --since only what happens
from now on; `--json` is then one object a line. Where no plimsoll acts on this
machine, --follow looks by itself, and what it sees goes into no history.
Exit codes: 0 done; 1 failed; 2 usage or config; 130, 143 ended by a signal.

  plimsoll events --since 1d --kind action    what was done since yesterday
  plimsoll events --level critical            when it was critical or worse
  plimsoll events --follow --json | jq .text  as they come")]
pub struct Args {
    /// So long ago, as in 30m or 2d, or at a time, as in 2026-01-15T14:00Z
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Changes of the level alone that reach or leave this one or a worse one
    #[arg(long, value_name = "LEVEL", value_parser = level())]
    level: Option<Level>,
    /// Of this kind alone; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = one_of(&EventKind::ALL, EventKind::id))]
    kinds: Vec<EventKind>,
    /// Go on with what happens, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

/// A level by its word, for flags.
pub fn level() -> impl TypedValueParser<Value = Level> {
    one_of(&Level::ALL, Level::word)
}

impl Args {
    fn wants(&self, event: &Event) -> bool {
        let is_kind = self.kinds.is_empty() || self.kinds.contains(&event.body.kind());
        is_kind && self.level.is_none_or(|level| touches(&event.body, level))
    }

    fn from(&self) -> Option<Wall> {
        self.since.map(|since| since.time(Wall::now()))
    }
}

fn touches(body: &EventBody, level: Level) -> bool {
    match body {
        EventBody::LevelChanged { from, to, .. } => *from >= level || *to >= level,
        _ => false,
    }
}

#[derive(Serialize)]
struct Json {
    schema_version: u32,
    events: Vec<EventStatus>,
}

/// The same event on a line of its own.
#[derive(Serialize)]
struct LineJson {
    schema_version: u32,
    /// Null: it is in no history.
    seq: Option<u64>,
    time: Wall,
    kind: EventKind,
    text: String,
    hints: Option<HintValues>,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match args.follow {
            true => follow(args, (context, &config), out).await,
            false => list(args, (context, &config), out).await,
        }
    });
    // A sensor or a name lookup that hangs is left behind.
    runtime.shutdown_background();
    result
}

async fn list(
    args: &Args,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let mut events = past((context, config), args.from()).await?;
    events.retain(|event| args.wants(event));
    if args.json {
        let events = events.iter().map(EventStatus::of).collect();
        write_json(out, &Json { schema_version: Document::Events.version(), events })?;
    } else {
        for event in &events {
            write_text(event, columns(context), out)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

async fn follow(
    args: &Args,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let attention = Attention { watched: false, ..Attention::default() };
    let mut following = Following::begin(context, config, attention).await?;
    let first_own = following.first_own();
    let mut write = |event: &Event, hints: Option<&Hints>| -> Result<()> {
        if !args.wants(event) {
            return Ok(());
        }
        match args.json {
            true => {
                let seen = hints.map(|hints| EventStatus::seen(event, hints));
                write_line(seen.unwrap_or_else(|| EventStatus::of(event)), first_own, out)?;
            }
            false => write_text(event, columns(context), out)?,
        }
        // Who reads it sees it when it happens.
        Ok(out.flush()?)
    };
    if args.since.is_some() {
        let known = following.next();
        let past = past((context, config), args.from()).await?;
        past.iter().filter(|event| event.seq < known).try_for_each(|event| write(event, None))?;
    }
    let code = loop {
        let snapshot = following.snapshot();
        let (events, lost) = following.news(&snapshot);
        if lost > 0 {
            writeln!(io::stderr(), "plimsoll: {lost} events went by too fast")?;
        }
        events.iter().try_for_each(|event| write(event, Some(&snapshot.hints.value)))?;
        if let Turn::End(code) = following.turn().await? {
            break code;
        }
    };
    following.stop().await;
    Ok(code)
}

/// The history, oldest first: as the plimsoll that writes it knows it, else
/// from the disk.
async fn past(
    (context, config): (&Context, &LoadedConfig),
    from: Option<Wall>,
) -> Result<Vec<Event>> {
    only_here(context)?;
    if may_attach(context)
        && let Some((link, snapshot)) = attached(config, &Attention::default()).await
    {
        let newest = snapshot.events.value.iter().cloned().collect();
        return all(link.as_ref(), newest, from).await;
    }
    on_disk(folder(config)?, from)
}

pub(super) fn on_disk(folder: &Path, from: Option<Wall>) -> Result<Vec<Event>> {
    if !is_in(folder)? {
        return Ok(Vec::new());
    }
    Ok(Store::events_since(folder, from.unwrap_or(Wall::MIN))?)
}

/// Asks for one page after the other, back to that time.
pub(super) async fn all(
    link: &dyn Link,
    newest: Vec<Event>,
    from: Option<Wall>,
) -> Result<Vec<Event>> {
    let is_wanted = |event: &Event| from.is_none_or(|from| event.time >= from);
    let mut events = newest;
    while let Some(before) = events.first().filter(|first| is_wanted(first)).map(|first| first.seq)
    {
        let command = Command::OlderEvents { before, limit: PAGE };
        let mut older = match answer(link, command).await? {
            Reply::Events { events } => events,
            Reply::Refused { reason } => return Err(anyhow!("read the history: {reason}")),
            _ => return Err(answers_something_else()),
        };
        older.retain(|event| event.seq < before);
        if older.is_empty() {
            break;
        }
        older.reverse();
        older.append(&mut events);
        events = older;
    }
    events.retain(is_wanted);
    Ok(events)
}

fn write_text(event: &Event, columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let line = Lines::Text.event(event);
    match columns {
        Some(columns) => writeln!(out, "{}", cell(&line, columns).trim_end()),
        None => writeln!(out, "{line}"),
    }
}

fn write_line(event: EventStatus, first_own: Option<u64>, out: &mut dyn Write) -> io::Result<()> {
    let EventStatus { seq, time, kind, text, hints } = event;
    let seq = first_own.is_none_or(|first| seq < first).then_some(seq);
    let version = Document::EventLine.version();
    let line = LineJson { schema_version: version, seq, time, kind, text, hints };
    write_json_line(out, &line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_belongs_to_the_levels_it_reaches_and_leaves() {
        let change = |from, to| EventBody::LevelChanged { from, to, cause: None, lasted_ms: 0 };
        let falls = change(Level::Critical, Level::Normal);
        let found = Level::ALL.map(|level| touches(&falls, level));
        assert_eq!(found, [true, true, true, false]);
        assert!(!touches(&EventBody::Note { text: String::new() }, Level::Normal));
    }
}
