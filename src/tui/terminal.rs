//! The terminal: what it can do, taking it over, writing to it from a thread
//! of its own, and giving it back as it was, whatever happens.
//!
//! Nothing else writes to the terminal while a [`Screen`] lives.

use std::io;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::layout::Size;

mod backend;
pub mod background;
pub mod detect;
mod guard;
mod writer;

use backend::Picture;
pub use guard::Guard;
pub use writer::{Outlet, Writer};

/// Size assumed where the terminal does not tell: the one everything fits.
const USUAL_SIZE: Size = Size { width: 80, height: 24 };

/// A terminal that takes nothing for so long is not waited for at the end.
const PATIENCE: Duration = Duration::from_millis(6);

/// A slow line that still takes something is waited for no longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(400);

/// Whether a picture could be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// Handed to the writer, or nothing had changed.
    Done,
    /// The terminal has not taken the last picture yet: draw again later.
    Busy,
}

/// The terminal taken over.
pub struct Screen {
    terminal: Terminal<Picture>,
    guard: Guard,
    writer: Writer,
}

impl Screen {
    pub fn take(mouse: bool, writer: Writer) -> io::Result<Screen> {
        let guard = Guard::enter(mouse, writer.outlet())?;
        let terminal = Terminal::new(Picture::new(size()))?;
        Ok(Screen { terminal, guard, writer })
    }

    /// Asks for the background's colour; to be called before the first
    /// picture. The answer comes among the keys, or never.
    pub fn ask_background(&self) -> background::Listener {
        self.outlet().write_now(background::QUESTION);
        background::Listener::default()
    }

    /// Draws what differs from the last picture. Sends nothing at all where
    /// nothing differs, and never waits for the terminal.
    pub fn draw(&mut self, render: impl FnOnce(&mut Frame)) -> io::Result<Drawn> {
        if !self.writer.is_idle() {
            return Ok(Drawn::Busy);
        }
        self.terminal.draw(render)?;
        let bytes = self.terminal.backend_mut().take();
        if !bytes.is_empty() {
            self.writer.send(bytes);
        }
        Ok(Drawn::Done)
    }

    /// The size has changed, or may have.
    pub fn resize(&mut self) {
        self.terminal.backend_mut().resize(size());
    }

    /// The next picture is drawn whole: something else has written over it.
    pub fn forget(&mut self) -> io::Result<()> {
        self.resize();
        self.terminal.clear()
    }

    pub fn outlet(&self) -> &Outlet {
        self.guard.outlet()
    }

    /// Gives the terminal back for a while: before a stop.
    pub fn leave(&mut self) {
        self.drain();
        self.guard.leave();
    }

    /// Takes it over again.
    pub fn enter(&mut self) -> io::Result<()> {
        self.guard.enter_again()?;
        self.forget()
    }

    /// Waits for the writer as long as the terminal takes something.
    fn drain(&self) {
        let begun = Instant::now();
        let mut written = self.writer.written();
        let mut moved = begun;
        while !self.writer.is_idle() && begun.elapsed() < LONGEST_WAIT {
            if self.writer.written() != written {
                written = self.writer.written();
                moved = Instant::now();
            } else if moved.elapsed() > PATIENCE {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The size of the terminal now, by its own word. No program is started to
/// find out.
fn size() -> Size {
    let told = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
    match told {
        Ok(told) if told.ws_col > 0 && told.ws_row > 0 => Size::new(told.ws_col, told.ws_row),
        _ => USUAL_SIZE,
    }
}
