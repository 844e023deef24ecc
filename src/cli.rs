//! The command line: what was typed, what it means, which code it ends with.
//!
//! One file a subcommand; each writes to the `out` it is given.

mod accuracy;
mod advise;
mod agree;
mod bench;
mod carry;
mod cleanup;
mod completions;
mod components;
pub mod config;
pub mod dashboard;
pub mod doctor;
pub mod document;
mod engaged;
mod events;
pub mod exit;
mod facts;
mod fit;
mod fitted;
pub mod flags;
mod following;
pub mod guard;
pub mod help;
mod hint;
mod history;
mod hog;
mod keep;
mod kept;
mod load;
mod look;
mod man;
mod markdown;
mod measure;
mod models;
mod names;
mod progress;
mod recommend;
pub mod record;
mod report;
#[cfg(test)]
mod seen;
pub mod service;
mod signals;
mod simulate;
mod slips;
mod standing;
pub mod status;
mod unload;
mod watch;
mod when;
mod why;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::assemble::Source;
use crate::config::{Flags, LoadedConfig, Surroundings};

use self::config::ConfigCommand;
use self::exit::ExitCode;
use self::flags::SettingFlags;

/// The load line of a machine that runs local models: what memory does, which
/// models hold it, and how to free it.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, after_help = AFTER_HELP, disable_help_subcommand = true, term_width = 80)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    /// Run on a simulated machine with a simulated Ollama
    #[arg(long, global = true, conflicts_with = "replay")]
    demo: bool,
    /// Play a recording back; nothing can be changed meanwhile
    #[arg(long, global = true, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Panics after so long, to test that the terminal survives it
    #[cfg(debug_assertions)]
    #[arg(long, hide = true, value_name = "MS")]
    panic_after: Option<u64>,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One check: the level, what set it, and what holds the memory
    Status(status::Args),
    /// The loaded models, what each holds, and when it leaves
    Models(models::Args),
    /// What holds memory: servers, models, runners, the largest processes
    Components(components::Args),
    /// What set the level, what has grown, and what would help
    Why(why::Args),
    /// What happened, from the history, or as it happens
    Events(events::Args),
    /// What memory was like, minute by minute
    History(history::Args),
    /// A line for each change, or at each interval, until a level is reached
    Watch(watch::Args),
    /// What other programs are told at this level, for shell scripts
    Hint(hint::Args),
    /// Whether a model can be loaded now, with the arithmetic
    Fit(fit::Args),
    /// Load a model if it fits, and wait until it is loaded
    Load(load::Args),
    /// How models load and write here, one after another
    Bench(bench::Args),
    /// Unload models, and wait until their memory is back
    Unload(unload::Args),
    /// How long a loaded model stays after its last use
    Keep(keep::Args),
    /// Pin a component: it is in no plan
    Pin(standing::PinArgs),
    /// How much a component matters
    Priority(standing::PriorityArgs),
    /// Free memory: show the plan, carry it out, say what came back
    Cleanup(cleanup::Args),
    /// Which installed model to load now, by kind of task
    Recommend(recommend::Args),
    /// Watch and act by the rules of the config, without a screen
    Guard(guard::Args),
    /// Have the guard started by the system: install, uninstall, status
    #[command(subcommand, after_help = SERVICE_HELP)]
    Service(service::ServiceCommand),
    /// Write samples and what the model server says to a file
    Record(record::Args),
    /// What the rules would have done over a recording
    Simulate(simulate::Args),
    /// The story of a day: levels, actions, what has grown
    Report(report::Args),
    /// What memory does over a span of time, or while a command runs
    Measure(measure::Args),
    /// Take memory on purpose, step by step, and give it back
    Hog(hog::Args),
    /// How forecasts and footprints turned out on this machine
    Accuracy(accuracy::Args),
    /// Whether all is well here, and the line that mends what is not
    Doctor(doctor::Args),
    /// Settings of the model server for this machine, and what each saves
    Advise(advise::Args),
    /// The config: write one, show it, check it
    #[command(subcommand, after_help = CONFIG_HELP)]
    Config(ConfigCommand),
    /// A script that completes commands and flags in a shell
    Completions(completions::Args),
    /// Man pages, made from the commands there are
    Man(man::Args),
}

const AFTER_HELP: &str = "\
Without a command the dashboard opens.

  plimsoll --demo              try it, without Ollama
  plimsoll status              one check, as text
  plimsoll fit qwen2.5:7b      whether that model can be loaded now
  plimsoll cleanup --dry-run   what would be freed, and what stays

Exit codes: 0 done or normal, 1 failed, 2 usage or config, 10 warning,
11 critical, 12 emergency, 20 to 24 the verdicts of fit, 30 and 31 of doctor,
40 a target was missed; a command's own help says which of them it has";

const SERVICE_HELP: &str = "\
The system starts the guard then, and again where it ends.

  plimsoll service install     shows the file, asks, writes it
  plimsoll service status      installed? running?

Exit codes: 0 done, or installed and running; 1 failed or not so, 2 usage or
config.";

const CONFIG_HELP: &str = "\
Nothing is started, and no model server is asked.

  plimsoll config init              a commented one, with nothing set
  plimsoll config show --origin     what is in force, and where it comes from
  plimsoll config check             whether it can stand

Exit codes: 0 done, 1 failed, 2 it cannot stand.";

/// What every command is given.
pub struct Context {
    pub flags: Flags,
    pub surroundings: Surroundings,
    pub source: Source,
}

impl Context {
    pub fn config(&self) -> Result<LoadedConfig> {
        Ok(crate::config::load(&self.flags, &self.surroundings)?)
    }
}

/// The commands and flags there are: for man pages, and for tests that are to
/// miss none.
pub fn command() -> clap::Command {
    Line::command()
}

/// Runs what was typed.
pub fn main() -> std::process::ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are not errors; a closed pipe is nobody's fault.
            let code = if error.use_stderr() { ExitCode::Usage } else { ExitCode::Done };
            let (error, hint) = slips::clearer(error);
            error.print().ok();
            if let Some(hint) = hint {
                writeln!(io::stderr(), "hint: {hint}").ok();
            }
            return code.into();
        }
    };
    match run(line) {
        Ok(code) => code.into(),
        Err(error) if is_closed_pipe(&error) => ExitCode::Done.into(),
        Err(error) => {
            writeln!(io::stderr(), "plimsoll: {error:#}").ok();
            ExitCode::of_error(&error).into()
        }
    }
}

fn run(line: Line) -> Result<ExitCode> {
    #[cfg(debug_assertions)]
    let panic_after = line.panic_after.map(std::time::Duration::from_millis);
    #[cfg(not(debug_assertions))]
    let panic_after = None;
    let source = match (line.demo, line.replay) {
        (true, _) => Source::Demo,
        (false, Some(file)) => Source::Replay(file),
        (false, None) => Source::Live,
    };
    let context = Context {
        flags: Flags::from(line.settings),
        surroundings: Surroundings::from_process(),
        source,
    };
    let mut out = io::stdout().lock();
    match line.command {
        None => {
            drop(out);
            dashboard::run(&context, panic_after)
        }
        Some(Command::Status(args)) => status::run(&args, &context, &mut out),
        Some(Command::Models(args)) => models::run(&args, &context, &mut out),
        Some(Command::Components(args)) => components::run(&args, &context, &mut out),
        Some(Command::Why(args)) => why::run(&args, &context, &mut out),
        Some(Command::Events(args)) => events::run(&args, &context, &mut out),
        Some(Command::History(args)) => history::run(&args, &context, &mut out),
        Some(Command::Watch(args)) => watch::run(&args, &context, &mut out),
        Some(Command::Hint(args)) => hint::run(&args, &context, &mut out),
        Some(Command::Fit(args)) => fit::run(&args, &context, &mut out),
        Some(Command::Load(args)) => load::run(&args, &context, &mut out),
        Some(Command::Bench(args)) => bench::run(&args, &context, &mut out),
        Some(Command::Unload(args)) => unload::run(&args, &context, &mut out),
        Some(Command::Keep(args)) => keep::run(&args, &context, &mut out),
        Some(Command::Pin(args)) => standing::pin(&args, &context, &mut out),
        Some(Command::Priority(args)) => standing::priority(&args, &context, &mut out),
        Some(Command::Cleanup(args)) => cleanup::run(&args, &context, &mut out),
        Some(Command::Completions(args)) => completions::run::<Line>(&args, &mut out),
        Some(Command::Man(args)) => man::run::<Line>(&args, &mut out),
        Some(Command::Recommend(args)) => recommend::run(&args, &context, &mut out),
        Some(Command::Guard(args)) => guard::run(&args, &context, &mut out),
        Some(Command::Service(command)) => service::run(&command, &context, &mut out),
        Some(Command::Record(args)) => record::run(&args, &context, &mut out),
        Some(Command::Simulate(args)) => simulate::run(&args, &context, &mut out),
        Some(Command::Report(args)) => report::run(&args, &context, &mut out),
        Some(Command::Measure(args)) => measure::run(&args, &context, &mut out),
        Some(Command::Hog(args)) => hog::run(&args, &context, &mut out),
        Some(Command::Accuracy(args)) => accuracy::run(&args, &context, &mut out),
        Some(Command::Doctor(args)) => doctor::run(&args, &context, &mut out),
        Some(Command::Advise(args)) => advise::run(&args, &context, &mut out),
        Some(Command::Config(command)) => {
            config::run(&command, &context.flags, &context.surroundings, &mut out)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let plain = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        // JSON keeps the error of the stream to itself.
        plain.or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind())
    };
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}
