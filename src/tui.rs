//! What a person looks at. Owns the gaze (page, selection, dialog), never the
//! truth; draws from a snapshot and awaits nothing but the terminal, the
//! snapshots, a timer and replies already asked for.

pub mod keymap;
pub mod palette;
pub mod rows;
pub mod run;
pub mod scene;
mod shown;
mod signals;
pub mod state;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod views;
pub mod widgets;

pub use run::{Start, TuiError, run};
pub use signals::Ending;
