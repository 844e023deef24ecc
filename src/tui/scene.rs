//! Everything a picture is made from. A view reads a scene and nothing else.

use crate::domain::snapshot::Snapshot;
use crate::tui::keymap::Keymap;
use crate::tui::state::Ui;
use crate::tui::theme::Theme;

/// One moment to draw: the gaze, the truth, the keys and the colours.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub ui: &'a Ui,
    pub snapshot: &'a Snapshot,
    pub keymap: &'a Keymap,
    pub theme: &'a Theme,
    /// Times are shown local to the reader.
    pub time_zone: &'a jiff::tz::TimeZone,
}
