//! `plimsoll`: the dashboard.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::assemble;
use crate::tui::Ending;

use super::Context;
use super::exit::ExitCode;

/// The first picture waits so long for the first sample; it takes a
/// millisecond unless a sensor hangs.
const FIRST_SAMPLE: Duration = Duration::from_millis(100);

pub fn run(context: &Context, panic_after: Option<Duration>) -> Result<ExitCode> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        writeln!(
            io::stderr(),
            "plimsoll: the dashboard needs a terminal\nhint: `plimsoll status` prints one check, `plimsoll status --json` the same for programs"
        )?;
        return Ok(ExitCode::Usage);
    }
    let config = context.config()?;
    let screen = assemble::screen(&config, &context.surroundings, panic_after)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let result = runtime.block_on(async {
        let running = assemble::start(&config, &context.source).await?;
        let mut snapshots = running.link.snapshots();
        let has_sample = snapshots.wait_for(|snapshot| snapshot.sample.is_some());
        tokio::time::timeout(FIRST_SAMPLE, has_sample).await.ok();
        let shown = crate::tui::run(screen(Arc::clone(&running.link), running.door.clone())).await;
        let ended = running.ended();
        running.stop().await;
        match (ended, shown) {
            // Told by its cause, where no signal ended it.
            (Some(ended), Ok(None) | Err(_)) => Err(anyhow!(ended)),
            (_, shown) => shown.map_err(anyhow::Error::from),
        }
    });
    // A sensor or a name lookup that hangs is left behind.
    runtime.shutdown_background();
    result.map(|ending| match ending {
        None => ExitCode::Done,
        Some(Ending::HungUp) => ExitCode::HungUp,
        Some(Ending::Interrupted) => ExitCode::Interrupted,
        Some(Ending::Quit) => ExitCode::Quit,
        Some(Ending::Terminated) => ExitCode::Terminated,
    })
}
