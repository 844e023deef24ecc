//! `plimsoll service status`: whether the guard is installed as a service, as
//! this plimsoll would, and whether one runs. It changes nothing.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::act::lock::{Holder, Lock};
use crate::act::service::{Manager, ServiceFile, There};
use crate::assemble;
use crate::cli::Context;
use crate::cli::document::Document;
use crate::cli::exit::ExitCode;
use crate::cli::facts::{columns, write_json};
use crate::cli::fitted::Fitted;

use super::ask;

/// More may be added; nothing is renamed.
#[derive(Debug, Serialize)]
struct StatusJson<'a> {
    schema_version: u32,
    file: String,
    /// `none`, `same`, `changed`, `foreign`.
    installed: &'static str,
    /// The service manager's own words; null where it is not asked or does not
    /// answer.
    enabled: Option<&'a str>,
    active: Option<&'a str>,
    /// Null: nobody can tell.
    guard_runs: Option<bool>,
    /// Null: none, or nobody can tell.
    guard_pid: Option<u32>,
}

/// A guard, by the lock it would hold.
struct Guard {
    runs: Option<bool>,
    pid: Option<u32>,
    told: String,
}

pub(super) fn run(
    file: &ServiceFile,
    (context, json): (&Context, bool),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let there = file.there()?;
    let answers: Vec<(&str, Result<String, String>)> =
        file.manager.questions().iter().map(|(what, command)| (*what, answer(command))).collect();
    let lock = match file.manager {
        Manager::SystemdSystem => Some(assemble::system_lock_file()),
        _ => assemble::lock_file(&context.config()?),
    };
    let guard = guard(lock.as_deref());
    let (word, told) = standing(&there);
    match json {
        true => {
            let said = |what| {
                let own = answers.iter().find(|(of, _)| *of == what);
                own.and_then(|(_, answer)| answer.as_ref().ok()).map(String::as_str)
            };
            let status = StatusJson {
                schema_version: Document::ServiceStatus.version(),
                file: file.path.display().to_string(),
                installed: word,
                enabled: said("enabled"),
                active: said("active"),
                guard_runs: guard.runs,
                guard_pid: guard.pid,
            };
            write_json(out, &status)?;
        }
        false => {
            let mut out = Fitted::new(out, columns(context));
            text((file, told), (&answers, &guard), &mut out)?;
        }
    }
    let is_well = guard.runs == Some(true) && !matches!(there, There::Nothing);
    Ok(if is_well { ExitCode::Done } else { ExitCode::Failed })
}

/// What was asked, and what was answered or why nothing was.
type Answer = (&'static str, Result<String, String>);

fn text(
    (file, told): (&ServiceFile, &str),
    (answers, guard): (&[Answer], &Guard),
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "file     {}: {told}", file.path.display())?;
    for (what, answer) in answers {
        match answer {
            Ok(word) => writeln!(out, "{what:<8} {word}")?,
            Err(why) => writeln!(out, "{what:<8} unknown: {why}")?,
        }
    }
    writeln!(out, "guard    {}", guard.told)
}

/// The file in a word and in words.
fn standing(there: &There) -> (&'static str, &'static str) {
    match there {
        There::Nothing => ("none", "not installed"),
        There::Same => ("same", "installed as this plimsoll writes it"),
        There::Other { is_ours: true, .. } => {
            ("changed", "installed, not as this plimsoll writes it: changed, or of another version")
        }
        There::Other { is_ours: false, .. } => ("foreign", "not written by plimsoll"),
    }
}

/// `enabled`, `inactive`: one word, where the manager answers.
fn answer(question: &[String]) -> Result<String, String> {
    match ask(question) {
        Ok((_, said)) if !said.is_empty() && !said.contains(' ') => Ok(said),
        Ok((_, said)) if !said.is_empty() => Err(said),
        Ok(_) => Err("it does not say".to_owned()),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Whether the lock is held, by whom, and the words for it.
fn guard(lock: Option<&Path>) -> Guard {
    let told = |runs, pid, told| Guard { runs, pid, told };
    let Some(lock) = lock else {
        return told(None, None, "unknown: no folder for a lock".to_owned());
    };
    let shown = lock.display();
    match Lock::holder(lock) {
        Holder::Nobody => told(Some(false), None, format!("none: nobody holds {shown}")),
        Holder::Somebody(Some(pid)) => {
            told(Some(true), Some(pid), format!("pid {pid} holds {shown}"))
        }
        Holder::Somebody(None) => told(Some(true), None, format!("somebody holds {shown}")),
        // As the guard of the system is to everybody else.
        Holder::Unknown if assemble::listens_beside(lock) => {
            told(Some(true), None, format!("another user's listens beside {shown}"))
        }
        Holder::Unknown => told(None, None, format!("unknown: {shown} cannot be read")),
    }
}
