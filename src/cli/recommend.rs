//! `plimsoll recommend`: which installed model to load now, by kind of task
//! and how demanding it is. It changes nothing.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::domain::fit::{Complexity, Fits, Named, Recommendation};
use crate::domain::text::clean;
use crate::domain::{FitQuestion, Snapshot};
use crate::engine::link::Attention;
use crate::policy::recommend::{Tastes, Wanted, known_tags, recommend};

use super::Context;
use super::document::Document;
use super::exit::{ExitCode, UnknownWord};
use super::facts::{columns, lines, write_json};
use super::fit::{judge_all, server_answers};
use super::look::{Glance, Looking};
use super::names::{one_of, unknown};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Tags are those of the config's [recommend.tags] (`coding` is there from the
start), `general`, `small`, `embedding`, and what the server says a model can
do, as `vision` or `tools`.

  plimsoll recommend                                    by task and demand
  plimsoll recommend --task coding --complexity high    one line
  plimsoll recommend --task general --json              one JSON object

Exit codes: 0 done; 1 failed; 2 usage or config, and no such tag.")]
pub struct Args {
    /// For this kind of task only
    #[arg(long, value_name = "TAG")]
    task: Option<String>,
    /// How demanding it is
    #[arg(long, value_name = "HOW", value_parser = one_of(&Complexity::ALL, Complexity::word))]
    complexity: Option<Complexity>,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

/// One line of the answer.
struct Row {
    tag: String,
    /// `None`: the same at each.
    complexity: Option<Complexity>,
    best: Recommendation,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attention = Attention { fits: true, ..Attention::default() };
    let glance = Glance { attention: attention.clone(), ..Glance::default() };
    let mut looking = Looking::begin(context, &config, &runtime, glance)?;
    looking.attend(attention)?;
    server_answers(&looking.snapshot)?;
    let snapshot = Arc::clone(&looking.snapshot);
    // As each would be loaded by its server.
    let fits = judge_all(&mut looking, FitQuestion::plain)?;
    drop(looking);
    runtime.shutdown_background();
    if let Some(tag) = &args.task {
        is_known(tag, &known_tags(&config.tastes(), &snapshot.installed.value))?;
    }
    let rows = rows(args, &config.tastes(), &fits, &snapshot);
    match args.json {
        true => json(&rows, out)?,
        false => text(&rows, columns(context), out)?,
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn is_known(tag: &str, known: &BTreeSet<String>) -> Result<()> {
    if known.contains(&tag.to_lowercase()) {
        return Ok(());
    }
    let lists = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let lists = format!("there are {}", clean(&lists));
    let told = unknown(tag, "no tag here", known.iter().map(String::as_str), &lists);
    Err(UnknownWord(told).into())
}

fn rows(args: &Args, tastes: &Tastes, fits: &Fits, snapshot: &Snapshot) -> Vec<Row> {
    let tags = match &args.task {
        Some(tag) => vec![tag.to_lowercase()],
        None => tastes.all_tags(),
    };
    let best = |tag: &str, complexity| {
        let wanted = Wanted { tag: Some(tag.to_owned()), complexity };
        recommend(fits, &snapshot.installed.value, tastes, &wanted)
    };
    let row = |tag: &str, complexity| Row {
        tag: crate::domain::text::clean(tag),
        complexity,
        best: best(tag, complexity),
    };
    let mut rows = Vec::new();
    for tag in tags {
        if args.complexity.is_some() {
            rows.push(row(&tag, args.complexity));
            continue;
        }
        let each = Complexity::ALL.map(|complexity| row(&tag, Some(complexity)));
        // Three equal lines say no more than one.
        let is_same = each.iter().all(|row| row.best == each[0].best);
        match is_same {
            true => rows.push(row(&tag, None)),
            false => rows.extend(each),
        }
    }
    rows
}

fn text(rows: &[Row], columns: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let how = |row: &Row| row.complexity.map_or("any", Complexity::word);
    let widest = |text: &dyn Fn(&Row) -> usize| rows.iter().map(text).max().unwrap_or(0);
    let tag = widest(&|row| row.tag.chars().count());
    let complexity = widest(&|row| how(row).len());
    let indent = tag + complexity + 4;
    let room = columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent).max(12));
    for row in rows {
        let mut head = format!("{:<tag$}  {:<complexity$}", row.tag, how(row));
        for line in lines(&row.best.text(), room) {
            writeln!(out, "{head:<0$}{line}", indent)?;
            head = String::new();
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Json {
    schema_version: u32,
    recommendations: Vec<RowJson>,
}

#[derive(Serialize)]
struct RowJson {
    task: String,
    /// Null: the same at each.
    complexity: Option<Complexity>,
    /// Null: none fits.
    model: Option<String>,
    bytes: Option<u64>,
    context: Option<u64>,
    loaded: bool,
    /// The next larger one, and what it lacks.
    next: Option<NextJson>,
    text: String,
}

#[derive(Serialize)]
struct NextJson {
    model: String,
    lacks_bytes: u64,
}

fn json(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let next =
        |named: &Named| NextJson { model: named.name.clone(), lacks_bytes: named.bytes.get() };
    let row = |row: &Row| RowJson {
        task: row.tag.clone(),
        complexity: row.complexity,
        model: row.best.fits.as_ref().map(|named| named.name.clone()),
        bytes: row.best.fits.as_ref().map(|named| named.bytes.get()),
        context: row.best.context,
        loaded: row.best.is_loaded,
        next: row.best.lacks.as_ref().map(next),
        text: row.best.text(),
    };
    let recommendations = rows.iter().map(row).collect();
    write_json(out, &Json { schema_version: Document::Recommend.version(), recommendations })
}
