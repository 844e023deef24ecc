//! Screens as text and as maps of roles, at the sizes that matter; and every
//! page at any size, which must draw without a panic.

#[path = "support/guarded.rs"]
mod guarded;
#[path = "support/snapshots.rs"]
mod snapshots;
#[path = "support/verdicts.rs"]
mod verdicts;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::component::{Footprint, FootprintSource};
use plimsoll::domain::fit::FitQuestion;
use plimsoll::domain::level::Level;
use plimsoll::domain::model::ModelName;
use plimsoll::domain::plan::{
    Action, Keep, Kept, Outcome, Plan, Purpose, RunningPlan, Step, Strength, Verdict,
};
use plimsoll::domain::process::ProcessKey;
use plimsoll::domain::rule::RuleMode;
use plimsoll::domain::shape::KvType;
use plimsoll::domain::snapshot::Snapshot;
use plimsoll::domain::time::Monotonic;
use plimsoll::tui::keymap::Keymap;
use plimsoll::tui::scene::Scene;
use plimsoll::tui::state::{
    Abilities, Colors, Dialog, InputMode, NoRoom, Page, PlanView, Rule, SettingView, Subject,
    Toast, Tone, Ui, WhyView,
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
    ui.rules.selected = Some("warning".into());
    ui.can_set = true;
    ui
}

#[test]
fn every_page_of_a_busy_machine() {
    for page in Page::ALL {
        let machine = match page {
            Page::Policy => guarded::guarded(),
            Page::Models => verdicts::judged(),
            _ => snapshots::busy_machine(),
        };
        check(page.title(), &machine, &selected(page), &SIZES);
    }
}

#[test]
fn every_page_in_ascii_without_colour() {
    let theme = ascii();
    for page in Page::ALL {
        let ui = selected(page);
        let machine = match page {
            Page::Policy => guarded::asking(),
            Page::Models => verdicts::judged(),
            _ => snapshots::busy_machine(),
        };
        let buffer = draw(&machine, &ui, &theme, (80, 24));
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
        ("load", Dialog::Load { model: model.clone(), chosen: 6, is_asked: false }),
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

/// A gaze that considers this model.
fn considering(page: Page, model: &str) -> Ui {
    let mut ui = selected(page);
    if page == Page::Models {
        ui.models.selected = Some(model.into());
    }
    ui.considered = Some(ModelName::new(model));
    ui
}

/// One of each verdict, as the row under the cursor.
const JUDGED: [(&str, &str); 7] = [
    ("fits", "gemma3:1b"),
    ("learned", "nomic-embed-text"),
    ("after_unload", "phi4-mini:3.8b"),
    ("smaller", "qwen3:1.7b"),
    ("after_freeing", "mistral:7b"),
    ("never", "llama3.3:70b"),
    ("unknown", "smollm2:135m"),
];

#[test]
fn each_verdict_stands_with_its_sum() {
    let machine = verdicts::judged();
    for (name, model) in JUDGED {
        let sizes = if name == "fits" { &SIZES[..] } else { &SIZES[1..2] };
        check(&format!("judged_{name}"), &machine, &considering(Page::Models, model), sizes);
    }
}

#[test]
fn a_dial_and_what_is_foreseen_are_seen() {
    let machine = verdicts::judged();
    let mut ui = considering(Page::Models, "gemma3:1b");
    ui.dial = Some(FitQuestion {
        context: Some(32_768),
        kv_type: Some(KvType::Q8_0),
        ..FitQuestion::plain(ModelName::new("gemma3:1b"))
    });
    check("dialled", &machine, &ui, &SIZES);
    check("overview_judged", &machine, &considering(Page::Overview, "gemma3:1b"), &SIZES);
    check("events_judged", &machine, &selected(Page::Events), &SIZES[..2]);
    check("components_judged", &machine, &selected(Page::Components), &SIZES);
}

#[test]
fn a_ghost_reads_without_colour() {
    let ui = considering(Page::Overview, "gemma3:1b");
    let text = text_of(&draw(&verdicts::judged(), &ui, &ascii(), (80, 24)));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[2].contains("///"), "{text}");
    assert!(lines[4].contains("ghost gemma3:1b ~+1.6 GiB > critical"), "{text}");
    let without =
        text_of(&draw(&verdicts::judged(), &selected(Page::Overview), &ascii(), (80, 24)));
    assert!(!without.lines().nth(2).is_some_and(|bar| bar.contains("//")), "{without}");
}

fn load_dialogs() -> Vec<(&'static str, Dialog)> {
    let no_room = |plan| NoRoom {
        keep: Keep::For(std::time::Duration::from_secs(300)),
        context: None,
        fit: Box::new(verdicts::phi()),
        plan,
    };
    let load =
        |model: &str, is_asked| Dialog::Load { model: ModelName::new(model), chosen: 1, is_asked };
    let fit = |model: &str| Dialog::Fit(ModelName::new(model));
    vec![
        ("load_fits", load("gemma3:1b", false)),
        ("load_lacks", load("phi4-mini:3.8b", false)),
        ("load_asked", load("smollm2:135m", true)),
        ("no_room", Dialog::NoRoom(no_room(Some(verdicts::room())))),
        ("no_room_at_all", Dialog::NoRoom(no_room(None))),
        ("force", Dialog::Force(no_room(None))),
        ("fit", fit("gemma3:1b")),
        ("fit_learned", fit("nomic-embed-text")),
        ("fit_never", fit("llama3.3:70b")),
        ("fit_loaded", fit("llama3.2:3b")),
        ("fit_unknown", fit("smollm2:135m")),
    ]
}

#[test]
fn every_dialog_of_a_load() {
    for (name, dialog) in load_dialogs() {
        let sizes: &[(u16, u16)] = match name {
            "load_lacks" | "no_room" | "fit" => &SIZES,
            _ => &SIZES[1..2],
        };
        let mut ui = selected(Page::Models);
        ui.dialog = Some(dialog);
        check(&format!("dialog_{name}"), &verdicts::judged(), &ui, sizes);
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

fn rule_dialogs() -> Vec<(&'static str, Dialog)> {
    let setting = |rule, mode, view| Dialog::Setting { rule, mode, view };
    let warning = Rule::Of(Level::Warning);
    let proposal = || guarded::proposal().into();
    let undo = Plan {
        purpose: Purpose::Undo,
        target: None,
        steps: vec![Step {
            action: Action::Load {
                model: ModelName::new("phi3:mini"),
                keep: Keep::Default,
                context: Some(4096),
            },
            expected: Some(Footprint { bytes: Bytes::gib(2), source: FootprintSource::Learned }),
            reason: "unloaded 3 min ago by a cleanup".into(),
        }],
        kept: vec![Kept { name: "mistral:7b".into(), reason: "does not fit: 4.4 GiB".into() }],
    };
    let undone = Dialog::Confirm {
        title: "undo: load again".into(),
        plan: PlanView::Ready(undo),
        warning: None,
    };
    let refused = SettingView::Failed("config.toml was changed meanwhile: line 12".into());
    vec![
        ("rule", Dialog::Details(Subject::Rule(warning))),
        ("kill_switch", Dialog::Details(Subject::Rule(Rule::KillSwitch))),
        ("why", Dialog::Why(WhyView::Ready(guarded::why().into()))),
        ("why_refused", Dialog::Why(WhyView::Refused("nothing was read yet".into()))),
        ("proposal", Dialog::Proposal(proposal())),
        ("setting", setting(warning, RuleMode::Act, SettingView::Ready(guarded::difference()))),
        ("setting_waiting", setting(Rule::KillSwitch, RuleMode::Act, SettingView::Waiting)),
        ("setting_failed", setting(warning, RuleMode::Observe, refused)),
        ("undo", undone),
        ("container", Dialog::Details(Subject::Component(guarded::container_id()))),
        ("event_asks", Dialog::Details(Subject::Event(9))),
        ("event_command", Dialog::Details(Subject::Event(10))),
        ("event_hook", Dialog::Details(Subject::Event(13))),
    ]
}

#[test]
fn every_dialog_of_rules() {
    for (name, dialog) in rule_dialogs() {
        let sizes: &[(u16, u16)] = match name {
            "rule" | "why" | "proposal" | "setting" => &SIZES,
            _ => &[(80, 24)],
        };
        let mut ui = selected(Page::Policy);
        ui.dialog = Some(dialog);
        check(&format!("dialog_{name}"), &guarded::asking(), &ui, sizes);
    }
}

#[test]
fn a_rule_that_asks_is_seen_on_every_page() {
    for page in Page::ALL {
        check(&format!("asking_{}", page.title()), &guarded::asking(), &selected(page), &SIZES);
    }
}

#[test]
fn a_long_sentence_leaves_the_question_in_sight() {
    let mut ui = selected(Page::Overview);
    ui.toast = Some(Toast {
        text: "unload llama3.2:3b failed: the server says it has no such model any more".into(),
        tone: Tone::Bad,
        until: Monotonic::from_millis(7_300_000),
    });
    let buffer = draw(&guarded::asking(), &ui, &Theme::role_map(true), (40, 10));
    let text = text_of(&buffer);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[8].starts_with(" asks: run"), "{text}");
    assert!(lines[7].contains("any more"), "{text}");
}

#[test]
fn a_policy_that_is_not_known_says_so() {
    check("policy_unknown", &snapshots::calm(), &selected(Page::Policy), &[(80, 24)]);
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
    let machines = [verdicts::judged(), snapshots::mac(), snapshots::calm(), guarded::asking()];
    for snapshot in machines {
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
        machine in 0..11_usize,
        dialog in prop::option::of(0..36_usize),
        considered in prop::option::of(0..JUDGED.len()),
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
            7 => guarded::guarded(),
            8 => guarded::asking(),
            9 => verdicts::judged(),
            _ => running(),
        };
        let mut ui = match considered {
            Some(index) => considering(page, JUDGED[index].1),
            None => selected(page),
        };
        let mut dialogs = dialogs();
        dialogs.extend(rule_dialogs());
        dialogs.extend(load_dialogs());
        ui.dialog = dialog.map(|index| dialogs.swap_remove(index).1);
        if machine == 3 {
            ui.mode = InputMode::Palette { typed: String::new(), chosen: 99 };
        }
        let buffer = draw(&snapshot, &ui, &Theme::role_map(unicode), size);
        prop_assert_eq!((buffer.area.width, buffer.area.height), size);
    }
}
