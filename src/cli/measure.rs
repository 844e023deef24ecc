//! `plimsoll measure`: follows the machine over a span of time, or while a
//! command runs, and says what memory did. It changes nothing.

mod collect;
mod command;
mod compare;
mod files;
mod follow;
mod measurement;
mod target;
mod text;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

use crate::assemble::Source;
use crate::config::schema::ComponentRule;
use crate::domain::{Named, Wall};

use super::Context;
use super::exit::{ExitCode, UnknownWord, WrongUsage};
use super::facts::{columns, write_json};
use super::when::some_span;

use self::files::{Place, shown};
use self::follow::{Followed, Plan};
use self::measurement::{EndedBy, Measurement};
use self::target::{Target, Verdict};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Where a plimsoll acts on this machine it is followed; with --interval, or a
component that is no model, this one looks by itself. A COMMAND is followed
with all processes that came of it, whatever becomes of their parents; pages
that they share count in each. The summary then goes to stderr, and --for is
the most it may take: it is sent TERM, and KILL 5 s later. Ctrl-C ends the
measurement early, and the command is told.

A target is [OF/]FIGURE<VALUE, also with <= > >= =. FIGURE: peak, average,
p95, least, end, delta, rise, growth; of the machine swap_peak, stall,
longest_stall, oom_kills, at_normal, at_warning, at_critical, at_emergency.
OF: used, available, swap, models, command, or a pattern over components;
else the command, else the components named, else used. What cannot be told
is unknown, and not met.

  plimsoll measure --for 10m --report . --save .   the next ten minutes
  plimsoll measure --target 'peak<800MiB' -- make  while make runs
  plimsoll measure --for 1h --component 'model:*' --target 'growth<1MiB'
  plimsoll measure --compare before.json after.json

Exit codes: 0 done and all targets met; 40 a target was missed; 1 failed,
the command failed, or a target is unknown; 2 usage or config; 129, 130,
131, 143 ended by a signal.")]
pub struct Args {
    /// So long, as in 30s or 10m; with a command so long at most
    #[arg(long = "for", value_name = "SPAN", value_parser = some_span)]
    span: Option<Duration>,
    /// Components whose id or name matches, each by itself; may be repeated
    #[arg(long = "component", value_name = "PATTERN", value_parser = component)]
    components: Vec<String>,
    /// What a figure must come to, as in 'peak<800MiB'; may be repeated
    #[arg(long = "target", value_name = "TARGET", value_parser = target)]
    targets: Vec<Target>,
    /// Write the summary in Markdown; in a folder its name is the time
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep it as JSON; in a folder its name is the time
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    save: Option<PathBuf>,
    /// For programs: one JSON object
    #[arg(long)]
    json: bool,
    /// Two that were kept, side by side
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with_all = ["span", "components", "targets", "command"])]
    compare: Vec<PathBuf>,
    /// Measure while it runs; its input and output are left alone
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn target(text: &str) -> Result<Target, String> {
    text.parse()
}

fn component(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("an empty pattern matches nothing"),
        _ if text.starts_with("cmdline:") => {
            Err("command lines are kept nowhere; accepted are patterns over ids and names")
        }
        _ => Ok(text.to_owned()),
    }
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if let [before, after] = args.compare.as_slice() {
        return compare::run((before, after), args, (context, out));
    }
    check(args)?;
    if !args.command.is_empty() && context.source != Source::Live {
        return Err(WrongUsage("a command runs on this machine, not on another").into());
    }
    let places = places(args)?;
    let Followed { mut measurement, ended_by_signal } = follow(args, context)?;
    measurement.targets = target::judge(&args.targets, &measurement);
    measurement.result = target::result(&measurement.targets);
    let kept = keep_files(&measurement, places)?;
    tell((&measurement, &kept), args, (context, out))?;
    if measurement.ended_by == EndedBy::Engine && measurement.result != Some(Verdict::Fail) {
        bail!("the plimsoll that was followed has ended");
    }
    Ok(code(&measurement, ended_by_signal))
}

/// What one argument alone does not tell.
fn check(args: &Args) -> Result<()> {
    let has_command = !args.command.is_empty();
    if args.span.is_none() && !has_command {
        let accepted =
            "nothing to measure; accepted are --for SPAN, -- COMMAND, and --compare BEFORE AFTER";
        return Err(WrongUsage(accepted).into());
    }
    if args.json && has_command {
        let instead = "--json cannot be used with a command, whose output it would mix with\nhint: --save FILE keeps it";
        return Err(WrongUsage(instead).into());
    }
    for target in &args.targets {
        target.is_about_something(has_command, &args.components).map_err(UnknownWord)?;
    }
    Ok(())
}

/// For report and file. A place that cannot be written is said now and not in
/// the end.
fn places(args: &Args) -> Result<[Option<Place>; 2]> {
    let now = Wall::now();
    let keep = |path: &Option<PathBuf>, ending| {
        path.as_ref().map(|path| Place::keep(path, (now, ending))).transpose()
    };
    let report = keep(&args.report, "md")?;
    if let (Some(report), Some(save)) = (&report, &args.save)
        && is_same_place(report.path(), save)
    {
        return Err(WrongUsage("--report and --save name the same file twice").into());
    }
    Ok([report, keep(&args.save, "json")?])
}

/// Neither is there yet; their folders are.
fn is_same_place(one: &Path, other: &Path) -> bool {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new(".")).canonicalize().ok()
    };
    one.file_name() == other.file_name() && folder(one) == folder(other)
}

fn tell(
    found: (&Measurement, &[PathBuf]),
    args: &Args,
    (context, out): (&Context, &mut dyn Write),
) -> Result<()> {
    match (args.json, args.command.is_empty()) {
        (true, _) => write_json(out, found.0)?,
        (false, true) => summary(out, found, columns(context))?,
        // The output is the command's. A terminal that is gone changes no code.
        (false, false) => drop(summary(&mut io::stderr().lock(), found, stderr_columns())),
    }
    Ok(out.flush()?)
}

fn follow(args: &Args, context: &Context) -> Result<Followed> {
    let mut config = context.config()?;
    let named = named(&args.components);
    let has_own_look = !named.is_empty();
    config.config.components.extend(named);
    let plan = Plan {
        span: args.span,
        patterns: &args.components,
        command: &args.command,
        // Another's engine may end while the command goes on.
        may_attach: super::look::may_attach(context)
            && args.command.is_empty()
            && !has_own_look
            && context.flags.interval.is_none(),
        is_kept: args.save.is_some() || args.report.is_some(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let followed = runtime.block_on(follow::follow(&plan, (context, &config)));
    // A sensor or a name lookup that hangs is left behind.
    runtime.shutdown_background();
    followed
}

/// What sensors are to follow as if the config named it: otherwise they read
/// the largest processes alone.
fn named(patterns: &[String]) -> Vec<ComponentRule> {
    let of_models = ["model:", "server:", "runner:"];
    let mut rules = Vec::new();
    for pattern in patterns {
        // All processes would be read at each look.
        let name = pattern.strip_prefix("process:").unwrap_or(pattern);
        let is_all = name.chars().all(|c| c == '*');
        if is_all || of_models.iter().any(|prefix| pattern.starts_with(prefix)) {
            continue;
        }
        let pattern = match Named::parse(pattern) {
            Some(_) => pattern.clone(),
            None => format!("process:{pattern}"),
        };
        rules.push(ComponentRule { pattern, ..Default::default() });
    }
    rules
}

fn keep_files(
    measurement: &Measurement,
    [report, save]: [Option<Place>; 2],
) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    if let Some(place) = report {
        let mut text = Vec::new();
        text::markdown(&mut text, measurement)?;
        kept.push(place.path().to_owned());
        place.finish(&text)?;
    }
    if let Some(place) = save {
        let mut text = Vec::new();
        write_json(&mut text, measurement)?;
        kept.push(place.path().to_owned());
        place.finish(&text)?;
    }
    Ok(kept)
}

fn summary(
    out: &mut dyn Write,
    (measurement, places): (&Measurement, &[PathBuf]),
    columns: Option<usize>,
) -> io::Result<()> {
    text::summary(out, measurement, columns)?;
    for place in places {
        writeln!(out, "written to {}", shown(place))?;
    }
    Ok(())
}

fn stderr_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= 24)
}

/// A missed target says more than anything else.
fn code(measurement: &Measurement, ended_by_signal: Option<ExitCode>) -> ExitCode {
    let command_failed = measurement.command.as_ref().is_some_and(|command| {
        let was_stopped = measurement.ended_by != EndedBy::Command;
        !was_stopped && command.exit_code != Some(0)
    });
    let cannot_be_ended = measurement.command.as_ref().is_some_and(|command| {
        measurement.ended_by != EndedBy::Command && (command.goes_on || command.left_behind > 0)
    });
    match (measurement.result, ended_by_signal) {
        (Some(Verdict::Fail), _) => ExitCode::TargetMissed,
        _ if cannot_be_ended => ExitCode::Failed,
        (_, Some(signal)) => signal,
        (Some(Verdict::Unknown), _) => ExitCode::Failed,
        _ if command_failed => ExitCode::Failed,
        _ => ExitCode::Done,
    }
}

/// Nothing was seen.
fn nothing_seen() -> anyhow::Error {
    anyhow!("nothing was measured: there was no sample of memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_processes_are_the_largest_however_they_are_asked_for() {
        let patterns = ["*", "process:*", "**", "model:*", "process:cc*", "make", "container:*"];
        let named = named(&patterns.map(str::to_owned));
        let named: Vec<String> = named.into_iter().map(|rule| rule.pattern).collect();
        assert_eq!(named, ["process:cc*", "process:make", "container:*"]);
    }
}
