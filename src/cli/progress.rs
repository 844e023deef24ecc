//! A line on a terminal that says how far something is, and goes when it is
//! over. On stderr: what reads the output never sees it.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::facts::cell;

/// What is over sooner needs no word.
const AFTER: Duration = Duration::from_secs(1);

/// More often than that nobody reads it.
const EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Progress {
    is_terminal: bool,
    begun: Instant,
    told: Option<Instant>,
}

impl Progress {
    pub fn new() -> Progress {
        let is_terminal = io::stderr().is_terminal() && can_go_back();
        Progress { is_terminal, begun: Instant::now(), told: None }
    }

    /// Puts these words in the place of those before.
    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        let is_soon = self.told.is_some_and(|told| told.elapsed() < EVERY);
        if !self.is_terminal || is_soon || self.begun.elapsed() < AFTER {
            return;
        }
        self.told = Some(Instant::now());
        // A terminal that is gone is no reason to stop.
        let mut terminal = io::stderr().lock();
        let words = match rustix::termios::tcgetwinsize(rustix::stdio::stderr()) {
            // A longer one would go on in the next line, and stay there.
            Ok(size) if size.ws_col > 1 => cell(&words(), usize::from(size.ws_col) - 1),
            _ => words(),
        };
        drop(write!(terminal, "\r\x1b[K{}", words.trim_end()).and_then(|()| terminal.flush()));
    }

    /// Takes them away, before something else is said; they may come back.
    pub fn clear(&mut self) {
        if self.told.take().is_some() {
            let mut terminal = io::stderr().lock();
            drop(write!(terminal, "\r\x1b[K").and_then(|()| terminal.flush()));
        }
    }
}

/// A terminal that nobody names, or a dumb one, would show the codes.
fn can_go_back() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
