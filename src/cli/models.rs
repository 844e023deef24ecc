//! `plimsoll models`: the loaded models, what each holds and when it leaves.
//! It changes nothing.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::domain::level::Basis;
use crate::domain::model::{Activity, Expiry, ModelView};
use crate::domain::text::clean;
use crate::domain::time::Span;
use crate::domain::{ModelState, Snapshot, Wall};
use crate::engine::link::Attention;

use super::Context;
use super::document::Document;
use super::exit::ExitCode;
use super::facts::{columns, table, write_json};
use super::fit::server_is_up;
use super::look::{Glance, Looking, server_is_known};
use super::status::json::{ModelStatus, models};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Models that are installed and not loaded are listed by `plimsoll fit`. Where
none is loaded, nothing stands on stdout. Exit codes: 0 done; 1 failed, as
where the server does not answer; 2 usage or config.

  plimsoll models                                 a model a line
  plimsoll models --json | jq '.models[].name'    the names alone")]
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
    models: Vec<ModelStatus>,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut looking = Looking::begin(context, &config, &runtime, Glance::default())?;
    looking.wait(Attention::default(), server_is_known)?;
    let snapshot = Arc::clone(&looking.snapshot);
    drop(looking);
    runtime.shutdown_background();
    let server = server_is_up(&snapshot)?;
    if args.json {
        let (time, basis) = (snapshot.at.wall, snapshot.level.basis);
        let models = models(&snapshot);
        write_json(out, &Json { schema_version: Document::Models.version(), time, basis, models })?;
    } else if snapshot.models.is_empty() {
        writeln!(io::stderr(), "plimsoll: no model is loaded at {}", server.url)?;
    } else {
        let rows: Vec<_> = snapshot.models.iter().map(|view| row(view, &snapshot)).collect();
        let heads = ["model", "state", "measured", "reported", "leaves", "context", "note"];
        table(out, (&heads, &rows), columns(context))?;
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn row(view: &ModelView, snapshot: &Snapshot) -> Vec<String> {
    let said = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
    let state = match (&view.state, view.activity) {
        (ModelState::Ready, Activity::Busy) => "busy",
        (state, _) => state.word(),
    };
    let leaves = view.expires.map(|expires| match expires {
        Expiry::Never => "never".to_owned(),
        Expiry::At(at) if at > snapshot.at.wall => {
            format!("in {}", Span(at.duration_since(snapshot.at.wall).unsigned_abs()))
        }
        Expiry::At(_) => "now".to_owned(),
    });
    let notes = [(view.pinned, "pinned"), (view.is_remote, "remote"), (view.is_cloud, "cloud")];
    let notes: Vec<&str> =
        notes.iter().filter(|(is_so, _)| *is_so).map(|(_, note)| *note).collect();
    vec![
        clean(view.name.short()),
        state.to_owned(),
        said(view.measured.map(|(bytes, _)| bytes.to_string())),
        said(view.reported.map(|bytes| bytes.to_string())),
        said(leaves),
        said(view.context.map(|context| context.to_string())),
        notes.join(" "),
    ]
}
