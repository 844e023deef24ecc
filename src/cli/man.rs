//! `plimsoll man`: a page for each command, in roff, made from the commands
//! and flags there are and from what stands in their help. Of what lies where
//! pages go only pages of its own are replaced, and no link is followed.

mod folder;
mod page;
mod roff;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::CommandFactory;

use super::exit::{ExitCode, UnknownWord};
use super::names;
use page::Page;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without DIR one page is written to stdout: that of plimsoll, or of the command
that is named.

  plimsoll man --to ~/.local/share/man/man1   every page, a file each
  plimsoll man fit > plimsoll-fit.1           one page

Pages of plimsoll that are there are replaced. Any other file, a link or a
folder in a page's place is left as it is, and nothing is written.

Exit codes: 0 done; 1 a file cannot be written; 2 usage.")]
pub struct Args {
    /// The words of a command, as in `config show`
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    command: Vec<String>,
    /// Write every page into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub fn run<L: CommandFactory>(args: &Args, out: &mut dyn Write) -> Result<ExitCode> {
    let mut whole = L::command();
    // Has every command know the options that count for all.
    whole.build();
    match &args.to {
        Some(folder) => {
            let pages = Page::all(&whole);
            let files = pages.iter().map(|page| (format!("{}.1", page.name()), page.text()));
            folder::write_all(folder, &files.collect::<Vec<_>>())?;
            writeln!(out, "{} pages in {}", pages.len(), folder.display())?;
        }
        None => {
            let page = named(&whole, &args.command)?;
            out.write_all(page.text().as_bytes())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn named<'a>(whole: &'a clap::Command, words: &[String]) -> Result<Page<'a>> {
    let mut page = Page::of(whole);
    for word in words {
        let names = page.command.get_subcommands().map(clap::Command::get_name);
        let unknown = || {
            let list = "`plimsoll --help` lists them";
            UnknownWord(names::unknown(word, "no command here", names, list))
        };
        page = page.below(word).ok_or_else(unknown)?;
    }
    Ok(page)
}
