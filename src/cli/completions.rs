//! `plimsoll completions`: a script for a shell, made from the flags there are.

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A script on stdout, to be put where the shell looks for it: for bash into
~/.local/share/bash-completion/completions, for zsh as _plimsoll into a folder
of $fpath.

  plimsoll completions bash > plimsoll.bash
  plimsoll completions fish > ~/.config/fish/completions/plimsoll.fish
  plimsoll completions zsh > _plimsoll

Exit codes: 0 done, 2 usage.")]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run<L: CommandFactory>(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    // Written in one go: its maker panics on a pipe that is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut L::command(), "plimsoll", &mut script);
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitCode::Done)
}
