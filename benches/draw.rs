//! What a picture costs: each page drawn whole, and a frame as it goes out.

#[path = "../tests/support/snapshots.rs"]
#[expect(dead_code, reason = "shared with the screen tests, which use all of it")]
mod snapshots;

use divan::Bencher;
use jiff::tz::TimeZone;
use plimsoll::tui::keymap::Keymap;
use plimsoll::tui::scene::Scene;
use plimsoll::tui::state::{Abilities, Colors, Page, Ui};
use plimsoll::tui::theme::Themes;
use plimsoll::tui::views;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

fn main() {
    divan::main();
}

const ABILITIES: Abilities = Abilities { colors: Colors::TrueColor, unicode: true };

/// A page at 120×40, into a buffer.
#[divan::bench(args = ["overview", "models", "components", "events", "help"])]
fn page(bencher: Bencher, name: &str) {
    let snapshot = snapshots::busy_machine();
    let themes = Themes::load(None).expect("the built-in themes are whole");
    let (theme, keymap, zone) = (themes.get(0, ABILITIES), Keymap::defaults(), TimeZone::UTC);
    let mut ui = Ui::new(ABILITIES, 0);
    ui.page = Page::ALL.into_iter().find(|page| page.title() == name).expect("a page's title");
    let area = Rect::new(0, 0, 120, 40);
    let mut buffer = Buffer::empty(area);
    bencher.bench_local(|| {
        buffer.reset();
        let scene = Scene {
            ui: &ui,
            snapshot: &snapshot,
            keymap: &keymap,
            theme: &theme,
            time_zone: &zone,
        };
        views::draw_into(&mut buffer, area, &scene);
    });
}

/// The overview as a whole frame: drawn, compared with the last, written out.
#[divan::bench]
fn frame(bencher: Bencher) {
    let snapshot = snapshots::busy_machine();
    let themes = Themes::load(None).expect("the built-in themes are whole");
    let (theme, keymap, zone) = (themes.get(0, ABILITIES), Keymap::defaults(), TimeZone::UTC);
    let ui = Ui::new(ABILITIES, 0);
    let options =
        ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(Rect::new(0, 0, 120, 40)) };
    let backend = CrosstermBackend::new(std::io::sink());
    let mut terminal = Terminal::with_options(backend, options).expect("a sink takes all");
    bencher.bench_local(|| {
        let scene = Scene {
            ui: &ui,
            snapshot: &snapshot,
            keymap: &keymap,
            theme: &theme,
            time_zone: &zone,
        };
        let drawn = terminal.draw(|frame| {
            views::draw(frame, &scene);
        });
        drawn.map(|_| ()).expect("a sink takes all");
    });
}
