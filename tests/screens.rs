//! Screens as text and as maps of roles, at the sizes that matter; and every
//! page at any size, which must draw without a panic.

#[path = "support/snapshots.rs"]
mod snapshots;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::component::{Footprint, FootprintSource};
use plimsoll::domain::model::ModelName;
use plimsoll::domain::plan::{
    Action, Kept, Outcome, Plan, Purpose, RunningPlan, Step, Strength, Verdict,
};
use plimsoll::domain::process::ProcessKey;
use plimsoll::domain::snapshot::Snapshot;
use plimsoll::domain::time::Monotonic;
use plimsoll::tui::keymap::Keymap;
use plimsoll::tui::scene::Scene;
use plimsoll::tui::state::{
    Abilities, Colors, Dialog, InputMode, Page, PlanView, Subject, Toast, Tone, Ui,
};
use plimsoll::tui::theme::{Role, Theme, Themes};
use plimsoll::tui::views;
use plimsoll::tui::widgets::canvas::cells;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

const SIZES: [(u16, u16); 3] = [(40, 10), (80, 24), (120, 36)];

fn gaze(page: Page) -> Ui {
    let mut ui = Ui::new(Abilities { colors: Colors::TrueColor, unicode: true }, 0);
    ui.page = page;
    ui
}

fn draw(snapshot: &Snapshot, ui: &Ui, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let keymap = Keymap::defaults();
    // An hour east of Greenwich: a time that is not local would show.
    let time_zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
    let scene = Scene { ui, snapshot, keymap: &keymap, theme, time_zone: &time_zone };
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    views::draw_into(&mut buffer, area, &scene);
    buffer
}

fn rows<'a>(
    buffer: &'a Buffer,
    mut show: impl FnMut(&'a ratatui::buffer::Cell) -> String + 'a,
) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let mut line = String::new();
        let mut hidden = 0;
        for cell in row {
            // The cell behind a wide character is not seen.
            if hidden == 0 {
                line.push_str(&show(cell));
                hidden = usize::from(cells(cell.symbol())).max(1);
            }
            hidden -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn text_of(buffer: &Buffer) -> String {
    rows(buffer, |cell| cell.symbol().to_owned())
}

/// One letter a cell: the role it was drawn in. Empty cells stay empty.
fn roles_of(buffer: &Buffer) -> String {
    let letter = |color| match color {
        Color::Indexed(role) => Role::ALL.get(usize::from(role)).map(|role| role.letter()),
        _ => None,
    };
    rows(buffer, |cell| match (letter(cell.bg), cell.symbol()) {
        (Some(ground), _) => ground.to_string(),
        (None, " ") => " ".to_owned(),
        (None, _) => letter(cell.fg).unwrap_or('?').to_string(),
    })
}

/// The text and the role map of one screen, as one snapshot.
fn check(name: &str, snapshot: &Snapshot, ui: &Ui, sizes: &[(u16, u16)]) {
    let theme = Theme::role_map(true);
    for size in sizes {
        let buffer = draw(snapshot, ui, &theme, *size);
        let both = format!("{}\n{}", text_of(&buffer), roles_of(&buffer));
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), both);
    }
}

fn ascii() -> Theme {
    let themes = Themes::load(None).expect("the compiled-in themes are read");
    themes.get(0, Abilities { colors: Colors::None, unicode: false })
}

fn selected(page: Page) -> Ui {
    let mut ui = gaze(page);
    ui.models.selected = Some("llama3.2:3b".into());
    ui.components.selected = Some("process:firefox".into());
    ui.events.selected = Some("5".into());
    ui
}

#[test]
fn every_page_of_a_busy_machine() {
    for page in Page::ALL {
        check(page.title(), &snapshots::busy_machine(), &selected(page), &SIZES);
    }
}

#[test]
fn every_page_in_ascii_without_colour() {
    let theme = ascii();
    for page in Page::ALL {
        let ui = selected(page);
        let buffer = draw(&snapshots::busy_machine(), &ui, &theme, (80, 24));
        assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
        let colours = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg);
        assert!(buffer.content.iter().all(|cell| colours(cell) == (Color::Reset, Color::Reset)));
        insta::assert_snapshot!(format!("{}_ascii_80x24", page.title()), text_of(&buffer));
    }
}

#[test]
fn every_kind_of_machine() {
    let machines = [
        ("calm", snapshots::calm()),
        ("no_ollama", snapshots::no_ollama()),
        ("many_models", snapshots::many_models()),
        ("remote", snapshots::remote()),
        ("first_moment", snapshots::first_moment()),
        ("mac", snapshots::mac()),
    ];
    for (name, snapshot) in machines {
        check(&format!("overview_{name}"), &snapshot, &gaze(Page::Overview), &SIZES);
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let theme = Theme::role_map(true);
    let buffer = draw(&snapshots::calm(), &gaze(Page::Overview), &theme, (39, 9));
    assert_eq!(text_of(&buffer).trim_end(), "too small (39×9), 40×10 needed");
}

#[test]
fn a_large_screen_is_filled() {
    check("overview", &snapshots::busy_machine(), &selected(Page::Overview), &[(300, 100)]);
}

fn step(model: &str, gib: u64, reason: &str) -> Step {
    Step {
        action: Action::Unload { model: ModelName::new(model) },
        expected: Some(Footprint { bytes: Bytes::gib(gib), source: FootprintSource::Measured }),
        reason: reason.into(),
    }
}

fn plan() -> Plan {
    Plan {
        purpose: Purpose::Cleanup(Strength::Light),
        target: Some(Bytes::gib(6)),
        steps: vec![
            step("phi3:mini", 2, "expired, priority low"),
            step("llama3.2:3b", 3, "idle 4 min, priority medium"),
        ],
        kept: vec![Kept { name: "qwen2.5-coder:3b".into(), reason: "pinned".into() }],
    }
}

fn dialogs() -> Vec<(&'static str, Dialog)> {
    let model = ModelName::new("llama3.2:3b");
    let ready = || PlanView::Ready(plan());
    let process = ProcessKey { pid: 4100, started: 41_000 };
    vec![
        ("cleanup", Dialog::Cleanup { strength: Strength::Light, plan: ready() }),
        ("waiting", Dialog::Cleanup { strength: Strength::Force, plan: PlanView::Waiting }),
        (
            "confirm",
            Dialog::Confirm {
                title: "unload qwen2.5-coder:3b".into(),
                plan: ready(),
                warning: Some("it is busy: what it generates now is cut off".into()),
            },
        ),
        (
            "refused",
            Dialog::Confirm {
                title: "unload all".into(),
                plan: PlanView::Refused("a recording is being played: nothing can be done".into()),
                warning: None,
            },
        ),
        ("keep", Dialog::Keep { model: model.clone(), chosen: 2 }),
        ("load", Dialog::Load { model: model.clone(), chosen: 6 }),
        ("end_runner", Dialog::EndRunner { process, name: "llama-server".into() }),
        ("details_model", Dialog::Details(Subject::Model(model.clone()))),
        ("details_component", Dialog::Details(Subject::Component("process:firefox".into()))),
        ("details_event", Dialog::Details(Subject::Event(5))),
        ("details_gone", Dialog::Details(Subject::Event(999))),
        ("quit", Dialog::Quit { loads: vec![model] }),
    ]
}

#[test]
fn every_dialog() {
    for (name, dialog) in dialogs() {
        let mut ui = selected(Page::Overview);
        ui.dialog = Some(dialog);
        check(&format!("dialog_{name}"), &snapshots::busy_machine(), &ui, &[(80, 24)]);
    }
}

#[test]
fn what_is_typed_is_seen() {
    let mut ui = selected(Page::Models);
    ui.filter = "qwen".into();
    ui.mode = InputMode::Filter;
    check("typing_filter", &snapshots::busy_machine(), &ui, &[(80, 24)]);
    ui.filter.clear();
    ui.mode = InputMode::Palette { typed: "un".into(), chosen: 1 };
    check("typing_palette", &snapshots::busy_machine(), &ui, &[(80, 24)]);
}

fn running() -> Snapshot {
    let outcome = Outcome {
        action: Action::Unload { model: ModelName::new("phi3:mini") },
        expected: Some(Bytes::gib(2)),
        available_before: None,
        available_after: None,
        freed: Some(Bytes::mib(2150)),
        took: std::time::Duration::from_millis(240),
        result: Verdict::Done,
        output: None,
    };
    let running = RunningPlan {
        plan: plan(),
        started: snapshots::ago(2),
        outcomes: vec![outcome],
        ended: None,
    };
    Snapshot { plan: Some(running.into()), ..snapshots::busy_machine() }
}

#[test]
fn a_running_plan_and_what_came_of_it() {
    let mut ui = selected(Page::Overview);
    ui.toast = Some(Toast {
        text: "phi3:mini gave 2.1 GiB back".into(),
        tone: Tone::Good,
        until: Monotonic::from_millis(7_300_000),
    });
    check("running_plan", &running(), &ui, &[(40, 10), (80, 24)]);
}

/// The level's colour is for the level: a second one would draw the eye away.
#[test]
fn only_the_level_line_is_set_in_its_colour() {
    let levels = [Role::Normal, Role::Warning, Role::Critical, Role::Emergency];
    for snapshot in [snapshots::busy_machine(), snapshots::mac(), snapshots::calm()] {
        for page in Page::ALL {
            let buffer = draw(&snapshot, &gaze(page), &Theme::role_map(true), (120, 36));
            let map = roles_of(&buffer);
            let (line, rest) = map.split_once('\n').expect("more than one row");
            assert!(levels.iter().any(|level| line.contains(level.letter())), "{line}");
            assert!(!levels.iter().any(|level| rest.contains(level.letter())), "{rest}");
        }
    }
}

/// Without colour the parts of the bar are told apart by their fill.
#[test]
fn the_load_line_reads_without_colour() {
    let buffer = draw(&snapshots::busy_machine(), &gaze(Page::Overview), &ascii(), (80, 24));
    let bar = text_of(&buffer).lines().nth(2).expect("the bar").to_owned();
    for fill in ['#', '=', '-', ':', '.', '|'] {
        assert!(bar.contains(fill), "{fill} in {bar}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_page_draws_at_any_size(
        size in prop_oneof![(0..=60_u16, 0..=20_u16), (0..=310_u16, 0..=110_u16)],
        page in prop::sample::select(Page::ALL.to_vec()),
        machine in 0..8_usize,
        dialog in prop::option::of(0..12_usize),
        unicode in any::<bool>(),
    ) {
        let snapshot = match machine {
            0 => snapshots::busy_machine(),
            1 => snapshots::calm(),
            2 => snapshots::no_ollama(),
            3 => snapshots::many_models(),
            4 => snapshots::remote(),
            5 => snapshots::first_moment(),
            6 => snapshots::mac(),
            _ => running(),
        };
        let mut ui = selected(page);
        ui.dialog = dialog.map(|index| dialogs().swap_remove(index).1);
        if machine == 3 {
            ui.mode = InputMode::Palette { typed: String::new(), chosen: 99 };
        }
        let buffer = draw(&snapshot, &ui, &Theme::role_map(unicode), size);
        prop_assert_eq!((buffer.area.width, buffer.area.height), size);
    }
}
