//! Any key of the terminal, without Enter. What the terminal was is put back.

use std::io::{self, IsTerminal, Read};

use rustix::process::getpgrp;
use rustix::stdio::stdin;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};
use tokio::sync::mpsc::{Receiver, channel};

pub struct Keys {
    before: Option<Termios>,
    pressed: Option<Receiver<()>>,
}

impl Keys {
    /// Nobody presses one where there is no terminal, or it is another's now.
    pub fn listen() -> Keys {
        let is_ours =
            io::stdin().is_terminal() && tcgetpgrp(stdin()).is_ok_and(|it| it == getpgrp());
        let before = is_ours.then(|| tcgetattr(stdin()).ok()).flatten();
        let Some(before) = before else { return Keys { before: None, pressed: None } };
        let mut plain = before.clone();
        // Ctrl-C stays a signal.
        plain.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        if tcsetattr(stdin(), OptionalActions::Now, &plain).is_err() {
            return Keys { before: None, pressed: None };
        }
        let (sender, pressed) = channel(1);
        // It waits for a key as long as the program lives.
        std::thread::spawn(move || {
            if matches!(io::stdin().read(&mut [0]), Ok(1)) {
                let _ = sender.blocking_send(());
            } else {
                std::thread::park();
            }
        });
        Keys { before: Some(before), pressed: Some(pressed) }
    }

    pub fn are_there(&self) -> bool {
        self.pressed.is_some()
    }

    /// Waits for one. Loses none when dropped half way.
    pub async fn pressed(&mut self) {
        match &mut self.pressed {
            Some(pressed) => {
                if pressed.recv().await.is_none() {
                    std::future::pending().await
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs nothing put back.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
