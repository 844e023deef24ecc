//! `plimsoll components`: what holds memory, in the order of the dashboard's
//! page: servers with their models and runners, then what the config names,
//! then the largest processes. It changes nothing.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::domain::level::Basis;
use crate::domain::text::clean;
use crate::domain::{Component, ComponentKind, Course, Snapshot, Wall};
use crate::engine::link::Attention;

use super::Context;
use super::document::Document;
use super::exit::ExitCode;
use super::facts::{columns, table, write_json};
use super::look::{Glance, Looking, server_is_known};
use super::status::json::{ComponentStatus, components};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The id is what a pattern in the config, and `watch --component`, is held
against. Exit codes: 0 done; 1 failed; 2 usage or config.

  plimsoll components                                a component a line
  plimsoll components --json | jq '.components[0]'   the first one")]
pub struct Args {
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json {
    schema_version: u32,
    time: Wall,
    basis: Basis,
    components: Vec<ComponentStatus>,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut looking = Looking::begin(context, &config, &runtime, Glance::default())?;
    looking.wait(Attention { processes: true, ..Attention::default() }, is_whole)?;
    let snapshot = Arc::clone(&looking.snapshot);
    drop(looking);
    runtime.shutdown_background();
    if args.json {
        let (time, basis) = (snapshot.at.wall, snapshot.level.basis);
        let components = components(&snapshot);
        write_json(
            out,
            &Json { schema_version: Document::Components.version(), time, basis, components },
        )?;
    } else {
        let rows: Vec<_> = snapshot.components.value.iter().map(row).collect();
        let heads = ["id", "kind", "bytes", "source", "priority", "pid", "note"];
        table(out, (&heads, &rows), columns(context))?;
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

/// Processes that nothing names are looked at only while somebody asks.
fn is_whole(snapshot: &Snapshot) -> bool {
    let is_unnamed = |component: &Component| {
        component.kind == ComponentKind::Process && component.allowed.is_empty()
    };
    server_is_known(snapshot) && snapshot.components.value.iter().any(is_unnamed)
}

fn row(component: &Component) -> Vec<String> {
    let said = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let course = component.course.map(|course| match course {
        Course::Grows { .. } => "grows",
        Course::Plateau => "plateau",
    });
    let pinned = component.pinned.then_some("pinned");
    let notes = [component.state.as_deref(), course, pinned];
    let notes: Vec<&str> = notes.into_iter().flatten().collect();
    vec![
        clean(&component.id),
        component.kind.word().to_owned(),
        said(component.footprint.map(|footprint| footprint.bytes.to_string())),
        said(component.footprint.map(|footprint| footprint.source.word().to_owned())),
        component.priority.word().to_owned(),
        said(component.process.map(|process| process.pid.to_string())),
        clean(&notes.join(" ")),
    ]
}
