//! Raw mode, the alternate screen and the rest: entered together, left
//! together, once, also from a panic.

use std::io;
use std::panic;
use std::sync::Arc;

use crossterm::Command;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture,
};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};

use super::Outlet;

type Hook = Arc<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync>;

/// Holds the terminal; gives it back when dropped.
pub struct Guard {
    outlet: Arc<Outlet>,
    mouse: bool,
    /// The panic hook there was before ours.
    before: Hook,
}

impl Guard {
    pub fn enter(mouse: bool, outlet: Arc<Outlet>) -> io::Result<Guard> {
        let before: Hook = Arc::from(panic::take_hook());
        let (ours, theirs) = (Arc::clone(&outlet), Arc::clone(&before));
        panic::set_hook(Box::new(move |info| {
            // First the terminal, or the message is lost with the screen.
            give_back(&ours);
            theirs(info);
        }));
        let mut guard = Guard { outlet, mouse, before };
        guard.enter_again()?;
        Ok(guard)
    }

    pub fn enter_again(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        self.outlet.open();
        if !self.outlet.write_now(enter_sequence(self.mouse).as_bytes()) {
            let reason = "the terminal takes no output";
            return Err(io::Error::new(io::ErrorKind::WouldBlock, reason));
        }
        Ok(())
    }

    pub fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    pub fn leave(&mut self) {
        give_back(&self.outlet);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.leave();
        // A hook cannot be changed from a thread that is panicking.
        if !std::thread::panicking() {
            let before = Arc::clone(&self.before);
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

/// Everything undone, whoever comes first; a second call does nothing.
fn give_back(outlet: &Outlet) {
    if outlet.close() {
        // A terminal that takes nothing shows nothing: there is none to restore,
        // but its line mode belongs to the shell behind it.
        outlet.write_now(leave_sequence().as_bytes());
        let _gone = disable_raw_mode();
    }
}

fn enter_sequence(mouse: bool) -> String {
    let mut text = String::new();
    add(&mut text, EnterAlternateScreen);
    add(&mut text, Hide);
    add(&mut text, DisableLineWrap);
    add(&mut text, EnableBracketedPaste);
    add(&mut text, EnableFocusChange);
    if mouse {
        add(&mut text, EnableMouseCapture);
    }
    text
}

/// Undoes all of it, also what was not asked for: it does no harm, and a
/// picture cut off half way is ended by the first byte.
fn leave_sequence() -> String {
    // CAN ends a sequence that was cut off.
    let mut text = String::from("\u{18}");
    add(&mut text, DisableMouseCapture);
    add(&mut text, DisableFocusChange);
    add(&mut text, DisableBracketedPaste);
    add(&mut text, EnableLineWrap);
    add(&mut text, ResetColor);
    add(&mut text, LeaveAlternateScreen);
    add(&mut text, Show);
    text
}

fn add(text: &mut String, command: impl Command) {
    command.write_ansi(text).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_undoes_everything_entering_does() {
        let entered = enter_sequence(true);
        let left = leave_sequence();
        let modes = entered.split("\u{1b}[?").skip(1);
        for mode in modes {
            let number = &mode[..mode.len() - 1];
            let opposite = if mode.ends_with('h') { 'l' } else { 'h' };
            assert!(left.contains(&format!("[?{number}{opposite}")), "{mode} is left on");
        }
    }
}
