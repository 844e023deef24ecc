//! `plimsoll service`: the guard as a service of the system. Shows what it
//! would write, asks, and says or runs the commands that start it.

mod status;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Subcommand;

use crate::act::service::{Manager, ServiceFile, Started, There};
use crate::config::difference;
use crate::domain::text::clean_bytes;

use super::Context;
use super::agree::agreed;
use super::exit::{ExitCode, WrongUsage};
use super::facts::columns;
use super::fitted::Fitted;

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Write the file that has the system start the guard
    #[command(after_help = "\
Shows the file first and asks. An existing file is never overwritten. Flags such
as --config and --ollama that stand here are given to the guard.

  plimsoll service install                 shows the file and asks
  plimsoll service install --yes --start   writes it and starts it

Exit codes: 0 written, or there already; 1 failed or refused, 2 usage or config.")]
    Install {
        #[command(flatten)]
        which: Which,
        /// Write without asking
        #[arg(long)]
        yes: bool,
        /// Also run the commands that start it
        #[arg(long)]
        start: bool,
    },
    /// Remove that file
    #[command(after_help = "\
Removes only what plimsoll wrote, and asks first.

  plimsoll service uninstall --stop   stop it, then remove the file
  plimsoll service uninstall --yes    without asking

Exit codes: 0 removed, or not there; 1 failed or refused, 2 usage or config.")]
    Uninstall {
        #[command(flatten)]
        which: Which,
        /// Remove without asking
        #[arg(long)]
        yes: bool,
        /// Run the commands that stop it, first
        #[arg(long)]
        stop: bool,
    },
    /// Whether it is installed as this plimsoll would, and a guard runs
    #[command(after_help = "\
It changes nothing.

  plimsoll service status          the file, the system's word, who guards
  plimsoll service status --json   one JSON object

Exit codes: 0 installed and running, 1 not so, 2 usage or config.")]
    Status {
        #[command(flatten)]
        which: Which,
        /// For programs: one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Which {
    /// The service of the whole system, with a user of its own; needs root
    #[arg(long)]
    system: bool,
}

pub fn run(command: &ServiceCommand, context: &Context, out: &mut dyn Write) -> Result<ExitCode> {
    match command {
        ServiceCommand::Install { which, yes, start } => {
            let file = file(*which, context)?;
            if !which.system {
                // With a config that is wrong the guard would not start.
                context.config()?;
            }
            install(&file, (*yes, *start), out)
        }
        ServiceCommand::Uninstall { which, yes, stop } => {
            let mut out = Fitted::new(out, columns(context));
            uninstall(&file(*which, context)?, (*yes, *stop), &mut out)
        }
        ServiceCommand::Status { which, json } => {
            status::run(&file(*which, context)?, (context, *json), out)
        }
    }
}

/// The file this machine's manager would be given.
fn file(which: Which, context: &Context) -> Result<ServiceFile> {
    let manager = Manager::of_this_machine(which.system).ok_or(WrongUsage(
        "there is no service of the whole system on macOS, leave out --system",
    ))?;
    let folder = |name: &str| context.surroundings.variable(name).map(PathBuf::from);
    let home = folder("HOME").filter(|home| home.is_absolute());
    let home = match manager {
        Manager::SystemdSystem => home.unwrap_or_default(),
        _ => home.context("find the home folder: HOME is not set")?,
    };
    let config = folder("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    let config = config.unwrap_or_else(|| home.join(".config"));
    let program = std::env::current_exe().context("find this program")?;
    let started = Started { program, arguments: arguments(context)? };
    Ok(ServiceFile::new(manager, manager.path(&home, &config), (&started, &home))?)
}

/// What the guard is started with: a service knows no folder one stands in.
fn arguments(context: &Context) -> Result<Vec<String>> {
    let flags = &context.flags;
    let mut words = vec!["guard".to_owned()];
    let mut folder = |flag: &str, path: &Option<PathBuf>| -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let path = std::path::absolute(path).with_context(|| format!("find {}", path.display()))?;
        let path = path.to_str().ok_or_else(|| anyhow!("{} is no UTF-8", path.display()))?;
        words.extend([flag.to_owned(), path.to_owned()]);
        Ok(())
    };
    folder("--config", &flags.config)?;
    folder("--data-dir", &flags.data_dir)?;
    let plain = [("--ollama", &flags.ollama), ("--interval", &flags.interval)];
    for (flag, value) in plain {
        words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
    }
    Ok(words)
}

fn install(
    file: &ServiceFile,
    (yes, start): (bool, bool),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let path = file.path.display();
    match file.there()? {
        There::Same => writeln!(out, "{path} is installed already, just so.")?,
        There::Other { text, .. } => {
            write!(out, "{}", difference::unified(&path.to_string(), &text, &file.text))?;
            bail!(
                "{path} exists, is another and was left as it is\nhint: the difference is above; `plimsoll service uninstall` removes one that plimsoll wrote"
            );
        }
        There::Nothing => {
            writeln!(out, "Would write {path}:\n\n{}", file.text)?;
            can_be_started(file)?;
            needs_root(file)?;
            if !agreed(yes, "Write it?", out)? {
                writeln!(out, "Nothing was written.")?;
                return Ok(ExitCode::Failed);
            }
            file.write()?;
            writeln!(out, "Written: {path}")?;
        }
    }
    let commands = file.manager.starting(&file.path);
    match start {
        true => run_all(&commands, out)?,
        false => name_all("To start it, now and from now on:", &commands, out)?,
    }
    if file.manager == Manager::SystemdUser {
        writeln!(out, "It runs while you are logged in; always: loginctl enable-linger")?;
    }
    Ok(ExitCode::Done)
}

fn uninstall(
    file: &ServiceFile,
    (yes, stop): (bool, bool),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let path = file.path.display();
    match file.there()? {
        There::Nothing => {
            writeln!(out, "{path} is not there: nothing to remove.")?;
            return Ok(ExitCode::Done);
        }
        There::Other { is_ours: false, .. } => {
            bail!("{path} was not written by plimsoll and was left as it is")
        }
        There::Other { text, .. } => {
            writeln!(out, "{path} is not as this plimsoll would write it:\n")?;
            writeln!(out, "{}", difference::unified(&path.to_string(), &file.text, &text))?;
        }
        There::Same => {}
    }
    writeln!(out, "Would remove {path}.")?;
    needs_root(file)?;
    let commands = file.manager.stopping(&file.path);
    if !stop {
        name_all("If it runs or is enabled, first:", &commands, out)?;
    }
    if !agreed(yes, "Remove it?", out)? {
        writeln!(out, "Nothing was removed.")?;
        return Ok(ExitCode::Failed);
    }
    if stop {
        run_all(&commands, out)?;
    }
    file.remove()?;
    writeln!(out, "Removed: {path}")?;
    Ok(ExitCode::Done)
}

/// The service of the system sees none of these, and its user may not enter.
const UNSEEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

fn can_be_started(file: &ServiceFile) -> Result<()> {
    let program = &file.program;
    let is_unseen = UNSEEN.iter().any(|folder| program.starts_with(folder));
    if file.manager == Manager::SystemdSystem && is_unseen {
        bail!(
            "the service of the whole system cannot reach {}\nhint: put the program elsewhere, as in /usr/local/bin, and install from there",
            program.display()
        );
    }
    Ok(())
}

fn needs_root(file: &ServiceFile) -> Result<()> {
    let is_root = rustix::process::geteuid().is_root();
    if file.manager == Manager::SystemdSystem && !is_root {
        bail!("a service of the whole system needs root\nhint: the same with sudo before it");
    }
    Ok(())
}

fn name_all(what: &str, commands: &[Vec<String>], out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{what}")?;
    for command in commands {
        writeln!(out, "  {}", command.join(" "))?;
    }
    Ok(())
}

fn run_all(commands: &[Vec<String>], out: &mut dyn Write) -> Result<()> {
    for command in commands {
        writeln!(out, "+ {}", command.join(" "))?;
        out.flush()?;
        let (ended_well, said) = ask(command)?;
        if !ended_well {
            bail!("`{}` failed: {said}", command.join(" "));
        }
    }
    Ok(())
}

/// Whether a command ended well, and the first thing it said.
fn ask(command: &[String]) -> Result<(bool, String)> {
    let [program, arguments @ ..] = command else { bail!("there is no command to run") };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {program}"))?;
    let said = [&output.stdout, &output.stderr].map(|text| clean_bytes(text));
    let said = said.into_iter().find(|said| !said.is_empty()).unwrap_or_default();
    Ok((output.status.success(), said))
}
