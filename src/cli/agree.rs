//! A person's word before something is changed.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

use super::exit::WrongUsage;

/// There is somebody to ask.
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// A person's word, or `--yes`.
pub fn agreed(yes: bool, question: &str, out: &mut dyn Write) -> Result<bool> {
    if yes {
        return Ok(true);
    }
    if !can_ask() {
        return Err(WrongUsage(
            "there is no terminal to ask on, nothing was changed\nhint: --yes does it without asking",
        )
        .into());
    }
    put(question, out)?;
    Ok(is_yes()?)
}

/// As [`agreed`] where there is somebody to ask, beside whatever else runs.
pub async fn agreed_meanwhile(question: &str, out: &mut dyn Write) -> Result<bool> {
    put(question, out)?;
    Ok(tokio::task::spawn_blocking(is_yes).await??)
}

fn put(question: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{question} [y/N] ")?;
    out.flush()
}

fn is_yes() -> io::Result<bool> {
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
