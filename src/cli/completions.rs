//! `plimsoll completions`: a script for a shell, made from the flags there are.

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use super::exit::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
  plimsoll completions bash > ~/.local/share/bash-completion/completions/plimsoll
  plimsoll completions fish > ~/.config/fish/completions/plimsoll.fish
  plimsoll completions zsh > DIR/_plimsoll     DIR: a folder of $fpath")]
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
