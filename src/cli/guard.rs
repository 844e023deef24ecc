//! `plimsoll guard`: the engine without a screen. It holds this machine, says
//! what happens in a log, and lets dashboards attach.

mod dry_run;
pub(super) mod lines;
mod log;
mod once;
mod watch;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use tokio::signal::unix::Signal;

use crate::act::service::notify::Notifier;
use crate::assemble::{self, Running, Source};
use crate::config::LoadedConfig;

use self::lines::{Format, Lines};
use self::log::Log;
use self::watch::Watch;
use super::Context;
use super::exit::{ExitCode, WrongUsage};
use super::facts::columns;
use super::fitted::Fitted;
use super::signals::{Endings, hang_up};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only one plimsoll of a user acts on a machine. While this one runs, `plimsoll`
attaches to it. What it may do stands in the config; by default it observes.

  plimsoll guard                        until Ctrl-C, the log on stderr
  plimsoll guard --log ~/guard.log      the log in a file; SIGHUP opens it anew
  plimsoll guard --once                 one decision, as in a timer
  plimsoll guard --dry-run              what each rule would do now
  plimsoll service install              started by the system

SIGHUP reads the config again. Exit codes: 0 normal, 10 warning, 11 critical,
12 emergency (only with --once); 1 failed, as where another holds this machine,
2 usage or config, 130 SIGINT, 143 SIGTERM.")]
pub struct Args {
    /// Judge the level, decide once, wait for what comes of it, and end
    #[arg(long)]
    once: bool,
    /// Say what the rule of each level would do now, do nothing, and end
    #[arg(long, conflicts_with_all = ["once", "log"])]
    dry_run: bool,
    /// Write the log to a file, after what is there [default: stderr]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How a line of the log reads
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: Format,
}

pub fn run(args: &Args, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    if matches!(context.source, Source::Replay(_)) {
        return Err(WrongUsage("a recording is looked at, it cannot be guarded").into());
    }
    let config = context.config()?;
    if args.dry_run {
        return dry_run::run(args.log_format, (context, &config), out);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let result = runtime.block_on(guard(args, context, &config, out));
    // A sensor or a name lookup that hangs is left behind.
    runtime.shutdown_background();
    result
}

async fn guard(
    args: &Args,
    context: &Context,
    config: &LoadedConfig,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let notifier = Notifier::new(context.surroundings.variable("NOTIFY_SOCKET"));
    let pace = args.once.then_some(once::PACE);
    let running = assemble::guard(config, &context.source, pace).await?;
    let lines = lines(args, context);
    let log = Log::start(args.log.clone(), lines.gap()).context("start the log")?;
    let mut watch = Watch::new(&running, (log, lines), notifier);
    watch.begin(&running);
    let over = match args.once {
        true => once::decide(&mut watch, &running, &mut signals).await,
        false => until_told(&mut watch, &running, &mut signals).await,
    };
    let why = running.ended();
    watch.stopping();
    running.stop().await;
    let result = match over {
        Over::Told(code) => Ok(code),
        Over::Decided => match args.log_format {
            Format::Text => watch.report(&mut Fitted::new(out, columns(context))),
            Format::Json => watch.report_json(out),
        },
        Over::NoSample => Err(anyhow!("no sample came: a sensor hangs")),
        Over::EngineEnded => Err(anyhow!(why.unwrap_or("the engine has ended"))),
    };
    watch.end(&result);
    result
}

/// Why a guard ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Told(ExitCode),
    /// It was to decide once, and has.
    Decided,
    NoSample,
    EngineEnded,
}

fn lines(args: &Args, context: &Context) -> Lines {
    let is_journal = || {
        let named = context.surroundings.variable("JOURNAL_STREAM");
        args.log.is_none() && named.is_some_and(stderr_is)
    };
    match args.log_format {
        Format::Json => Lines::Json,
        Format::Text if is_journal() => Lines::Journal,
        Format::Text => Lines::Text,
    }
}

/// A shell below a service inherits the variable, and not always the stream:
/// the device and inode it names must be those of our stderr.
fn stderr_is(named: &str) -> bool {
    let stat = rustix::fs::fstat(rustix::stdio::stderr());
    stat.is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Passes on what happens until a signal ends it.
async fn until_told(watch: &mut Watch, running: &Running, signals: &mut Signals) -> Over {
    loop {
        tokio::select! {
            biased;
            told = signals.next() => match told {
                Told::Reload => watch.reload(running).await,
                Told::End(code) => return Over::Told(code),
            },
            is_alive = watch.changed() => match is_alive {
                true => watch.tell(),
                false => return Over::EngineEnded,
            },
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    End(ExitCode),
    Reload,
}

struct Signals {
    endings: Endings,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Signals> {
        Ok(Signals { endings: Endings::listen()?, hang_up: hang_up()? })
    }

    /// Loses none when dropped half way.
    async fn next(&mut self) -> Told {
        tokio::select! {
            code = self.endings.next() => Told::End(code),
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
