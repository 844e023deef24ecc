//! `plimsoll pin` and `plimsoll priority`: how much a component matters. Both
//! are on disk before they are said to be done.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use crate::assemble::{self, Source};
use crate::config::LoadedConfig;
use crate::domain::snapshot::{Mode, Snapshot};
use crate::domain::text::clean;
use crate::domain::{ModelName, Priority};
use crate::engine::link::Command;

use super::Context;
use super::document::Document;
use super::engaged::{self, Engine, Errand};
use super::exit::ExitCode;
use super::facts::{columns, fact, write_json};
use super::names::{self, one_of};

/// The history's thread writes within milliseconds, unless the disk hangs.
const WRITTEN: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(20);

/// More names than these help nobody who mistyped one.
const NAMED: usize = 8;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A pinned component is in no plan, whoever makes it, until it is unpinned; only
`plimsoll unload NAME` takes it away. It is kept over restarts and goes before
the config.

  plimsoll pin nomic-embed-text          stays, whatever memory does
  plimsoll pin nomic-embed-text --off    as any other again
  plimsoll pin nomic-embed-text --json   one JSON object

Exit codes: 0 done and kept; 1 failed or no such component, 2 usage or config,
130 SIGINT, 143 SIGTERM.")]
pub struct PinArgs {
    /// A model by its name, or any component by its id
    #[arg(value_name = "NAME")]
    component: String,
    /// Unpin it
    #[arg(long)]
    off: bool,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What matters least goes first. It is kept over restarts and goes before the
config.

  plimsoll priority qwen2.5:7b high         the last to go
  plimsoll priority process:firefox low     by its id, as `components` says it

Exit codes: 0 done and kept; 1 failed or no such component, 2 usage or config,
130 SIGINT, 143 SIGTERM.")]
pub struct PriorityArgs {
    /// A model by its name, or any component by its id
    #[arg(value_name = "NAME")]
    component: String,
    /// How much it matters
    #[arg(value_name = "LEVEL", value_parser = one_of(&Priority::ALL, Priority::word))]
    priority: Priority,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

pub fn pin(args: &PinArgs, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    run((&args.component, args.json), Wish::Pinned(!args.off), (context, out))
}

pub fn priority(args: &PriorityArgs, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    run((&args.component, args.json), Wish::Priority(args.priority), (context, out))
}

/// More may be added; nothing is renamed.
#[derive(Serialize)]
struct PinJson<'a> {
    schema_version: u32,
    /// Its id.
    component: &'a str,
    pinned: bool,
}

#[derive(Serialize)]
struct PriorityJson<'a> {
    schema_version: u32,
    component: &'a str,
    priority: Priority,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Pinned(bool),
    Priority(Priority),
}

fn run(
    (name, json): (&str, bool),
    wish: Wish,
    (context, out): (&Context, &mut dyn Write),
) -> Result<ExitCode> {
    let config = context.config()?;
    let is_live = context.source == Source::Live;
    let columns = columns(context);
    let choosing = Choosing { name, json, wish, config: &config, is_live, columns };
    engaged::run(&choosing, (context, &config), out)
}

struct Choosing<'a> {
    name: &'a str,
    json: bool,
    wish: Wish,
    config: &'a LoadedConfig,
    is_live: bool,
    columns: Option<usize>,
}

impl Errand for Choosing<'_> {
    async fn carry_out(&self, engine: Engine<'_>, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = engine.begun().await;
        let component = component(&snapshot, self.name)?;
        let command = match self.wish {
            Wish::Pinned(pinned) => Command::Pin { component: component.clone(), pinned },
            Wish::Priority(priority) => {
                Command::SetPriority { component: component.clone(), priority }
            }
        };
        engine.accepts(command).await?;
        if self.is_live {
            self.is_kept(engine, &component).await?;
        }
        self.report(&component, out)?;
        Ok(ExitCode::Done)
    }
}

impl Choosing<'_> {
    fn report(&self, component: &str, out: &mut dyn Write) -> io::Result<()> {
        if self.json {
            return match self.wish {
                Wish::Pinned(pinned) => write_json(
                    out,
                    &PinJson { schema_version: Document::Pin.version(), component, pinned },
                ),
                Wish::Priority(priority) => write_json(
                    out,
                    &PriorityJson {
                        schema_version: Document::Priority.version(),
                        component,
                        priority,
                    },
                ),
            };
        }
        let line = match self.wish {
            Wish::Pinned(true) => ("pinned", clean(component)),
            Wish::Pinned(false) => ("unpinned", clean(component)),
            Wish::Priority(priority) => ("priority", format!("{}: {priority}", clean(component))),
        };
        fact(out, (line.0, &line.1), self.columns)
    }

    /// Waits until it can be read back from the disk.
    async fn is_kept(&self, engine: Engine<'_>, component: &str) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < WRITTEN {
            let choices = assemble::past(self.config, Mode::Live).choices;
            let mut own = choices.iter().filter(|choice| choice.component == component);
            let is_there = own.any(|choice| match self.wish {
                Wish::Pinned(pinned) => choice.pinned == Some(pinned),
                Wish::Priority(priority) => choice.priority == Some(priority),
            });
            if is_there {
                return Ok(());
            }
            tokio::time::sleep(AGAIN).await;
        }
        let snapshot = engine.now();
        let notice = snapshot.notices.iter().find(|notice| notice.about == "history");
        let why = notice.map_or("the history does not have it", |notice| notice.text.as_str());
        bail!("{} is not kept over a restart: {}", clean(component), clean(why))
    }
}

/// The id of what is called so, or an error with what was meant.
fn component(snapshot: &Snapshot, name: &str) -> Result<String> {
    let components = &snapshot.components.value;
    if let Some(component) = components.iter().find(|component| component.id == name) {
        return Ok(component.id.clone());
    }
    let model = ModelName::new(name.strip_prefix("model:").unwrap_or(name));
    let is_installed = snapshot.installed.value.iter().any(|installed| installed.name == model);
    if is_installed || snapshot.model(&model).is_some() {
        return Ok(format!("model:{}", model.as_str()));
    }
    let called: Vec<&str> = components
        .iter()
        .filter(|component| component.name == name)
        .map(|component| component.id.as_str())
        .collect();
    match called.as_slice() {
        [] => bail!("{}", unknown(snapshot, name)),
        [only] => Ok((*only).to_owned()),
        several => {
            let some = several[..several.len().min(NAMED)].join(", ");
            bail!("{} is the name of {}: {}", clean(name), several.len(), clean(&some))
        }
    }
}

fn unknown(snapshot: &Snapshot, name: &str) -> String {
    let components = &snapshot.components.value;
    let ids = components.iter().flat_map(|component| [component.id.as_str(), &component.name]);
    let models = snapshot.installed.value.iter().map(|installed| installed.name.short());
    names::unknown(name, "no component here", models.chain(ids), "`plimsoll components` lists them")
}
