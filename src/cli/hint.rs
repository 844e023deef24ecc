//! `plimsoll hint`: what a shell script is told at the level there is now, by
//! the `[hints]` of the config. It changes nothing.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::config::key::{HINT, closest};
use crate::config::value::hint_from_value;
use crate::domain::level::Basis;
use crate::domain::shell::quoted;
use crate::domain::text::clean;
use crate::domain::{HintValue, HintValues, Level, Snapshot, Wall};

use super::Context;
use super::document::Document;
use super::exit::ExitCode;
use super::facts::write_json;
use super::look::{Glance, see};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The values are those of [hints.normal], [hints.warning] and so on in the config.
The plimsoll that acts on this machine is asked; else it is looked once. A
--default is printed also where nothing can be told: the fault stands on stderr
and in the exit code, so `|| true` is wanted in a script that ends at any.

  plimsoll hint cache_mb --default 100     as in cache=$(plimsoll hint cache_mb)
  plimsoll hint                            all of them, as for a shell's eval

Exit codes: 0 done, at any level; 1 failed; 2 usage or config, and no such key
where there is no --default.")]
pub struct Args {
    /// This value alone, bare; else all of them as KEY=VALUE, quoted for a shell
    key: Option<String>,
    /// What to print where the config has no such key, or nothing can be told;
    /// one that begins with a dash as --default=-x
    #[arg(long, value_name = "VALUE", requires = "key", allow_negative_numbers = true)]
    default: Option<String>,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct AllJson<'a> {
    schema_version: u32,
    time: Wall,
    basis: Basis,
    level: Level,
    /// Where a plimsoll that acts on this machine writes them.
    file: Option<&'a str>,
    hints: &'a HintValues,
}

#[derive(Serialize)]
struct OneJson<'a> {
    schema_version: u32,
    time: Wall,
    basis: Basis,
    level: Level,
    key: &'a str,
    value: &'a HintValue,
    /// The config has no such key.
    is_default: bool,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    let looked = look(context);
    if let (Err(_), Some(default), false) = (&looked, &args.default, args.json) {
        // It is wanted most where nothing can be told.
        writeln!(out, "{default}")?;
        out.flush()?;
    }
    let snapshot = looked?;
    let code = match &args.key {
        Some(key) => one(key, args, &snapshot, out)?,
        None => all(args, &snapshot, out)?,
    };
    out.flush()?;
    Ok(code)
}

fn look(context: &Context) -> Result<Arc<Snapshot>> {
    let config = context.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let snapshot = see(context, &config, &runtime, Glance::default())?;
    runtime.shutdown_background();
    Ok(snapshot)
}

fn one(key: &str, args: &Args, snapshot: &Snapshot, out: &mut dyn Write) -> Result<ExitCode> {
    let hints = snapshot.hints_in_force();
    let default = args.default.as_deref().map(plain);
    let Some(value) = hints.get(key).or(default.as_ref()) else {
        write!(io::stderr(), "plimsoll: {}", unknown(key, hints))?;
        return Ok(ExitCode::Usage);
    };
    match args.json {
        true => write_json(
            out,
            &OneJson {
                schema_version: Document::HintOne.version(),
                time: snapshot.at.wall,
                basis: snapshot.level.basis,
                level: snapshot.level.level,
                key,
                value,
                is_default: !hints.contains_key(key),
            },
        )?,
        false => match (hints.get(key), &args.default) {
            // As it was typed.
            (None, Some(text)) => writeln!(out, "{text}")?,
            _ => writeln!(out, "{value}")?,
        },
    }
    Ok(ExitCode::Done)
}

fn all(args: &Args, snapshot: &Snapshot, out: &mut dyn Write) -> Result<ExitCode> {
    let hints = snapshot.hints_in_force();
    if args.json {
        let all = AllJson {
            schema_version: Document::Hint.version(),
            time: snapshot.at.wall,
            basis: snapshot.level.basis,
            level: snapshot.level.level,
            file: snapshot.hints.value.file.as_deref(),
            hints,
        };
        write_json(out, &all)?;
        return Ok(ExitCode::Done);
    }
    for (key, value) in hints.iter() {
        writeln!(out, "{key}={}", quoted(&value.to_string()))?;
    }
    Ok(ExitCode::Done)
}

/// As it would be read from a variable.
fn plain(text: &str) -> HintValue {
    let value = HINT.value_from_text(text);
    hint_from_value(&value).unwrap_or_else(|| HintValue::Text(text.to_owned()))
}

fn unknown(key: &str, hints: &HintValues) -> String {
    let near = closest(key, hints.keys().map(String::as_str));
    let known: Vec<&str> = hints.keys().map(String::as_str).collect();
    let way_out = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "name them under [hints.normal] in the config".to_owned(),
        None => format!("there are {}", known.join(", ")),
    };
    format!("the config has no hint `{}`\nhint: {way_out}; or give a --default\n", clean(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_what_it_looks_like() {
        assert_eq!(plain("5"), HintValue::Whole(5));
        assert_eq!(plain("0.5"), HintValue::Number(0.5));
        assert_eq!(plain("true"), HintValue::Switch(true));
        assert_eq!(plain("inf"), HintValue::Text("inf".to_owned()));
        assert_eq!(plain("high"), HintValue::Text("high".to_owned()));
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let hints: HintValues = [("cache_mb".to_owned(), HintValue::Whole(1))].into();
        assert!(unknown("cache_mv", &hints).contains("did you mean `cache_mb`?"));
        assert!(unknown("weather", &hints).contains("there are cache_mb"));
        assert!(unknown("x", &HintValues::new()).contains("[hints.normal]"));
    }
}
