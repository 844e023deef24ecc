//! The gaze on small machines: what each key does, and that no order of keys,
//! snapshots and replies breaks the selection.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;
use ratatui::layout::Rect;

use super::*;
use crate::domain::bytes::Bytes;
use crate::domain::component::{Component, ComponentKind, Priority};
use crate::domain::event::{Event, EventBody, Origin};
use crate::domain::history::History;
use crate::domain::level::{Basis, Headroom, Level, LevelState};
use crate::domain::model::{Activity, Expiry, InstalledModel, ModelName, ModelState, ModelView};
use crate::domain::plan::{
    Action, ActionId, Keep, Outcome, Plan, Purpose as PlanPurpose, Step, Strength, Verdict,
};
use crate::domain::process::{MeasuredSource, ProcessKey};
use crate::domain::rule::RuleMode;
use crate::domain::snapshot::{FORMAT, Mode, Part, Rates};
use crate::domain::time::{Moment, Wall};
use crate::engine::link::{Attention, PlanRequest};
use crate::tui::keymap::{Context, Keymap, Scope, TABLE};
use crate::tui::rows::{self, Row};
use crate::tui::state::{Abilities, Colors, PlanView, Subject, Target};

pub(crate) mod fits;
mod rules;

const NOW: Monotonic = Monotonic::from_millis(100_000);
const START: i64 = 1_700_000_000;

/// What the overview asks to be read.
const OVERVIEW: Attention = Attention {
    dial: None,
    fits: true,
    processes: false,
    details: None,
    policy: false,
    unfocused: false,
    watched: true,
};

fn moment() -> Moment {
    Moment::new(Wall::from_second(START).unwrap(), NOW)
}

pub(crate) fn model(name: &str) -> ModelView {
    ModelView {
        course: None,
        name: ModelName::new(name),
        runtime: 0,
        state: ModelState::Ready,
        activity: Activity::Idle,
        reported: Some(Bytes::gib(2)),
        vram: None,
        measured: Some((Bytes::gib(3), MeasuredSource::Status)),
        runner: Some(ProcessKey { pid: 42, started: 7 }),
        context: Some(4096),
        expires: Some(Expiry::At(Wall::from_second(START + 31 * 60).unwrap())),
        idle: None,
        parameters: None,
        quantization: None,
        priority: Priority::Medium,
        pinned: false,
        is_remote: false,
        is_cloud: false,
        swap_growth: None,
    }
}

fn installed(name: &str, is_cloud: bool) -> InstalledModel {
    InstalledModel {
        name: ModelName::new(name),
        digest: String::new(),
        disk: Some(Bytes::gib(1)),
        parameters: None,
        quantization: None,
        family: None,
        max_context: None,
        capabilities: Vec::new(),
        modified: None,
        is_cloud,
    }
}

fn component(id: &str, kind: ComponentKind) -> Component {
    Component {
        course: None,
        id: id.into(),
        name: id.rsplit(':').next_back().unwrap_or(id).into(),
        kind,
        depth: 0,
        process: Some(ProcessKey { pid: 9, started: 9 }),
        footprint: None,
        swapped: None,
        priority: Priority::Medium,
        pinned: false,
        state: None,
        target: None,
        allowed: Vec::new(),
    }
}

fn unloaded(seq: u64, result: Verdict) -> Event {
    let outcome = Outcome {
        action: Action::Unload { model: ModelName::new("phi3:mini") },
        expected: None,
        available_before: None,
        available_after: None,
        freed: Some(Bytes::mib(2355)),
        took: Duration::from_millis(200),
        result,
        output: None,
    };
    let body =
        EventBody::ActionEnded { id: ActionId(1), outcome: Box::new(outcome), by: Origin::Person };
    Event { seq, time: Wall::from_second(START).unwrap(), body }
}

pub(crate) fn snapshot(models: Vec<ModelView>) -> Snapshot {
    Snapshot {
        fits: Default::default(),
        forecast: None,
        recommended: None,
        format: FORMAT,
        sequence: 1,
        at: moment(),
        host: Arc::default(),
        sample: None,
        rates: Rates::default(),
        level: LevelState {
            level: Level::Normal,
            since: moment(),
            set_by: None,
            basis: Basis::Attached,
        },
        headroom: Headroom::Unknown { reason: "no sample yet".into() },
        marks: Vec::new(),
        profile: Arc::default(),
        model_budget: None,
        runtimes: Vec::new(),
        models,
        installed: part(vec![installed("gemma3:1b", false), installed("big:cloud", true)]),
        components: part(vec![
            component("process:firefox", ComponentKind::Process),
            component("orphan:1", ComponentKind::Orphan),
        ]),
        history: History::with_room_for(60),
        events: part(VecDeque::new()),
        plan: None,
        rules: Default::default(),
        proposal: None,
        policy: None,
        hints: Default::default(),
        targets: Vec::new(),
        loads_in_flight: Vec::new(),
        notices: Vec::new(),
        mode: Mode::Demo,
    }
}

fn part<T>(value: T) -> Part<T> {
    Part { version: 1, value: Arc::new(value) }
}

fn ui() -> Ui {
    Ui::new(Abilities { colors: Colors::None, unicode: true }, 0)
}

/// A gaze that has seen this snapshot, its attention already sent.
fn looking_at(snapshot: &Snapshot) -> Ui {
    let mut ui = ui();
    let attended = ui.update(UiEvent::SnapshotChanged, snapshot, NOW);
    assert_eq!(attended.len(), 1);
    ui
}

fn press(ui: &mut Ui, intent: Intent, snapshot: &Snapshot) -> Vec<UiEffect> {
    let mut effects = ui.update(UiEvent::Intent(intent), snapshot, NOW);
    effects.retain(|effect| !matches!(effect, UiEffect::Send(Command::Attend { .. }, _)));
    effects
}

fn sent(effects: &[UiEffect]) -> Vec<&Command> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            UiEffect::Send(command, _) => Some(command),
            _ => None,
        })
        .collect()
}

fn toast(ui: &Ui) -> &str {
    ui.toast.as_ref().map_or("", |toast| toast.text.as_str())
}

fn plan() -> Plan {
    let action = Action::Unload { model: ModelName::new("a:1b") };
    let step = Step { action, expected: None, reason: "idle".into() };
    Plan { purpose: PlanPurpose::Asked, target: None, steps: vec![step], kept: Vec::new() }
}

#[test]
fn an_idle_local_model_is_unloaded_at_once() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    let effects = press(&mut ui, Intent::Unload, &snapshot);
    assert_eq!(sent(&effects), [&Command::Unload { model: ModelName::new("a:1b") }]);
    assert_eq!(ui.dialog, None);
    let footer = Keymap::defaults().footer(&ui, &snapshot);
    assert_eq!((footer[0].key.as_str(), footer[0].label.as_str()), ("u", "unload a:1b 3.0 GiB"));
}

#[test]
fn busy_and_pinned_models_ask_first_with_their_plan() {
    let busy = ModelView { activity: Activity::Busy, ..model("a:1b") };
    let unknown = ModelView { activity: Activity::Unknown, ..model("a:1b") };
    let pinned = ModelView { pinned: true, ..model("a:1b") };
    for model in [busy, unknown, pinned] {
        let snapshot = snapshot(vec![model]);
        let mut ui = looking_at(&snapshot);
        let effects = press(&mut ui, Intent::Unload, &snapshot);
        let request = PlanRequest::Unload(vec![ModelName::new("a:1b")]);
        assert_eq!(sent(&effects), [&Command::Propose { request }]);
        let Some(Dialog::Confirm { plan: PlanView::Waiting, warning: Some(_), .. }) = &ui.dialog
        else {
            panic!("no dialog: {:?}", ui.dialog)
        };
        assert_eq!(press(&mut ui, Intent::Confirm, &snapshot), [], "there is no plan yet");
        let reply = Reply::Plan { plan: plan() };
        let _ = ui.update(UiEvent::Replied(Purpose::Plan(1), reply), &snapshot, NOW);
        let effects = press(&mut ui, Intent::Confirm, &snapshot);
        assert_eq!(sent(&effects), [&Command::CarryOut { plan: plan() }]);
        assert_eq!(ui.dialog, None);
    }
}

#[test]
fn a_remote_model_is_unloaded_by_name_and_never_in_a_plan() {
    let snapshot = snapshot(vec![ModelView { is_remote: true, ..model("a:1b") }]);
    let mut ui = looking_at(&snapshot);
    assert_eq!(press(&mut ui, Intent::Unload, &snapshot), []);
    let effects = press(&mut ui, Intent::Confirm, &snapshot);
    assert_eq!(sent(&effects), [&Command::Unload { model: ModelName::new("a:1b") }]);
}

#[test]
fn a_cloud_model_is_never_asked_anything() {
    let snapshot = snapshot(vec![ModelView { is_cloud: true, ..model("a:cloud") }]);
    let mut ui = looking_at(&snapshot);
    for intent in [Intent::Unload, Intent::Keep, Intent::Load] {
        assert_eq!(press(&mut ui, intent, &snapshot), []);
        assert_eq!(ui.dialog, None);
    }
    ui.page = Page::Models;
    press(&mut ui, Intent::Last, &snapshot);
    assert_eq!(ui.models.selected.as_deref(), Some("big:cloud"));
    assert_eq!(press(&mut ui, Intent::Load, &snapshot), []);
    assert_eq!(toast(&ui), "big:cloud runs elsewhere: it is never loaded here");
}

#[test]
fn capitals_never_act_at_once() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    let effects = press(&mut ui, Intent::UnloadAll, &snapshot);
    assert_eq!(sent(&effects), [&Command::Propose { request: PlanRequest::UnloadAll }]);
    press(&mut ui, Intent::Cancel, &snapshot);
    press(&mut ui, Intent::Open(Page::Models), &snapshot);
    press(&mut ui, Intent::Down, &snapshot);
    assert_eq!(press(&mut ui, Intent::Load, &snapshot), []);
    press(&mut ui, Intent::More, &snapshot);
    let effects = press(&mut ui, Intent::Confirm, &snapshot);
    let keep = Keep::For(Duration::from_secs(15 * 60));
    let load =
        Command::Load { force: false, model: ModelName::new("gemma3:1b"), keep, context: None };
    assert_eq!(sent(&effects), [&load]);
}

#[test]
fn the_keep_dial_starts_where_the_model_stands() {
    let standing = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&standing);
    press(&mut ui, Intent::Keep, &standing);
    assert_eq!(ui.dialog, Some(Dialog::Keep { model: ModelName::new("a:1b"), chosen: 3 }));
    for _ in 0..20 {
        press(&mut ui, Intent::More, &standing);
    }
    let effects = press(&mut ui, Intent::Confirm, &standing);
    let keep = Command::Keep { model: ModelName::new("a:1b"), keep: Keep::Forever };
    assert_eq!(sent(&effects), [&keep]);
}

#[test]
fn a_cleanup_proposes_again_for_each_strength_and_ignores_stale_plans() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    press(&mut ui, Intent::Cleanup, &snapshot);
    let effects = press(&mut ui, Intent::More, &snapshot);
    let request = PlanRequest::Cleanup(Strength::Aggressive);
    assert_eq!(effects, [UiEffect::Send(Command::Propose { request }, Purpose::Plan(2))]);
    let reply = Reply::Plan { plan: plan() };
    let _ = ui.update(UiEvent::Replied(Purpose::Plan(1), reply.clone()), &snapshot, NOW);
    let waiting = Dialog::Cleanup { strength: Strength::Aggressive, plan: PlanView::Waiting };
    assert_eq!(ui.dialog, Some(waiting));
    let _ = ui.update(UiEvent::Replied(Purpose::Plan(2), reply), &snapshot, NOW);
    let effects = press(&mut ui, Intent::Confirm, &snapshot);
    assert_eq!(sent(&effects), [&Command::CarryOut { plan: plan() }]);
    let refused = Reply::Refused { reason: "this is a recording".into() };
    let _ = ui.update(UiEvent::Replied(Purpose::Act(String::new()), refused), &snapshot, NOW);
    assert_eq!(toast(&ui), "refused: this is a recording");
}

#[test]
fn only_stuck_and_orphaned_runners_may_be_ended() {
    let ready = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&ready);
    press(&mut ui, Intent::EndRunner, &ready);
    assert_eq!(ui.dialog, None);
    let stuck = ModelState::Stuck { since: moment() };
    let stuck = snapshot(vec![ModelView { state: stuck, ..model("a:1b") }]);
    press(&mut ui, Intent::EndRunner, &stuck);
    let effects = press(&mut ui, Intent::Confirm, &stuck);
    let process = ProcessKey { pid: 42, started: 7 };
    assert_eq!(sent(&effects), [&Command::EndRunner { process }]);
    press(&mut ui, Intent::Open(Page::Components), &ready);
    press(&mut ui, Intent::EndRunner, &ready);
    assert_eq!(ui.dialog, None, "a process is not ours to end");
    press(&mut ui, Intent::Down, &ready);
    press(&mut ui, Intent::EndRunner, &ready);
    assert!(matches!(ui.dialog, Some(Dialog::EndRunner { .. })));
}

#[test]
fn quitting_during_a_load_asks_first() {
    let mut loading = snapshot(Vec::new());
    let mut ui = looking_at(&loading);
    loading.loads_in_flight = vec![ModelName::new("a:1b")];
    assert_eq!(press(&mut ui, Intent::Quit, &loading), []);
    assert_eq!(ui.dialog, Some(Dialog::Quit { loads: vec![ModelName::new("a:1b")] }));
    assert_eq!(press(&mut ui, Intent::Confirm, &loading), [UiEffect::Quit]);
    let mut ui = looking_at(&loading);
    assert_eq!(press(&mut ui, Intent::Interrupt, &loading), []);
    assert_eq!(press(&mut ui, Intent::Interrupt, &loading), [UiEffect::Quit]);
    loading.loads_in_flight.clear();
    assert_eq!(press(&mut looking_at(&loading), Intent::Quit, &loading), [UiEffect::Quit]);
}

#[test]
fn outcomes_are_said_once_and_old_ones_never() {
    let mut seen = snapshot(Vec::new());
    seen.events = part(VecDeque::from([unloaded(1, Verdict::Done)]));
    let mut ui = looking_at(&seen);
    assert_eq!(ui.toast, None, "what was there before us is no news");
    seen.events = part(VecDeque::from([unloaded(1, Verdict::Done), unloaded(2, Verdict::Done)]));
    let _ = ui.update(UiEvent::SnapshotChanged, &seen, NOW);
    assert_eq!(toast(&ui), "phi3:mini gave 2.3 GiB back");
    let later = NOW.plus(TOAST_LASTS);
    let _ = ui.update(UiEvent::SnapshotChanged, &seen, later);
    assert_eq!(ui.toast, None);
}

#[test]
fn the_selection_stays_with_its_row_and_moves_to_a_neighbour_when_it_goes() {
    let three = snapshot(vec![model("a:1b"), model("b:1b"), model("c:1b")]);
    let mut ui = looking_at(&three);
    press(&mut ui, Intent::Down, &three);
    assert_eq!(ui.models.selected.as_deref(), Some("b:1b"));
    let turned = snapshot(vec![model("c:1b"), model("b:1b"), model("a:1b")]);
    let _ = ui.update(UiEvent::SnapshotChanged, &turned, NOW);
    assert_eq!(ui.models.selected.as_deref(), Some("b:1b"));
    let gone = snapshot(vec![model("c:1b"), model("a:1b")]);
    let _ = ui.update(UiEvent::SnapshotChanged, &gone, NOW);
    assert_eq!(ui.models.selected.as_deref(), Some("a:1b"));
    // A second press meant for the row that went asks first.
    press(&mut ui, Intent::Unload, &gone);
    assert!(matches!(ui.dialog, Some(Dialog::Confirm { .. })), "{:?}", ui.dialog);
}

#[test]
fn a_filter_works_as_it_is_typed_and_esc_backs_out_of_one_thing() {
    let snapshot = snapshot(vec![model("alpha:1b"), model("beta:1b")]);
    let mut ui = looking_at(&snapshot);
    press(&mut ui, Intent::Open(Page::Models), &snapshot);
    press(&mut ui, Intent::Filter, &snapshot);
    let _ = ui.update(UiEvent::Pasted("BE\u{1b}TA".into()), &snapshot, NOW);
    assert_eq!(ui.filter, "BETA");
    assert_eq!(ui.models.selected.as_deref(), Some("beta:1b"));
    press(&mut ui, Intent::TextAccept, &snapshot);
    assert_eq!(rows::model_rows(&snapshot, &ui).len(), 1);
    press(&mut ui, Intent::Back, &snapshot);
    assert_eq!((ui.filter.as_str(), ui.page), ("", Page::Models));
    press(&mut ui, Intent::Back, &snapshot);
    assert_eq!(ui.page, Page::Overview);
}

#[test]
fn the_palette_runs_what_was_found() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    press(&mut ui, Intent::Palette, &snapshot);
    let _ = ui.update(UiEvent::Pasted("components".into()), &snapshot, NOW);
    let effects = ui.update(UiEvent::Intent(Intent::TextAccept), &snapshot, NOW);
    assert_eq!((&ui.mode, ui.page), (&InputMode::Keys, Page::Components));
    let attention = Attention { processes: true, ..OVERVIEW };
    let attend = Command::Attend { attention };
    assert_eq!(effects, [UiEffect::Send(attend, Purpose::Quiet)]);
}

#[test]
fn attention_that_could_not_be_sent_is_sent_with_the_next_event() {
    let snapshot = snapshot(Vec::new());
    let mut ui = looking_at(&snapshot);
    let busy = UiEvent::NotSent(Purpose::Quiet, SendError::Busy);
    assert_eq!(ui.update(busy, &snapshot, NOW), []);
    let effects = ui.update(UiEvent::Tick, &snapshot, NOW);
    assert_eq!(sent(&effects), [&Command::Attend { attention: OVERVIEW }]);
    let busy = UiEvent::NotSent(Purpose::Act("asked".into()), SendError::Busy);
    let _ = ui.update(busy, &snapshot, NOW);
    assert_eq!(toast(&ui), "refused: the engine is busy");
}

#[test]
fn details_are_attended_to_only_while_open() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    let effects = ui.update(UiEvent::Intent(Intent::Details), &snapshot, NOW);
    assert_eq!(ui.dialog, Some(Dialog::Details(Subject::Model(ModelName::new("a:1b")))));
    let details = Some(ProcessKey { pid: 42, started: 7 });
    let attention = Attention { details, ..OVERVIEW };
    assert_eq!(sent(&effects), [&Command::Attend { attention }]);
    let effects = ui.update(UiEvent::Intent(Intent::Cancel), &snapshot, NOW);
    assert_eq!(sent(&effects), [&Command::Attend { attention: OVERVIEW }]);
}

#[test]
fn older_events_are_asked_for_until_there_are_none() {
    let mut recent = snapshot(Vec::new());
    recent.events = part((41..60).map(|seq| unloaded(seq, Verdict::Done)).collect());
    let mut ui = looking_at(&recent);
    let effects = press(&mut ui, Intent::Open(Page::Events), &recent);
    assert_eq!(sent(&effects), [&Command::OlderEvents { before: 41, limit: 200 }]);
    let events = (30..=41).rev().map(|seq| unloaded(seq, Verdict::Done)).collect();
    let reply = UiEvent::Replied(Purpose::OlderEvents, Reply::Events { events });
    let effects = ui.update(reply, &recent, NOW);
    assert_eq!(sent(&effects), [] as [&Command; 0], "the end is far away now");
    assert_eq!(rows::event_rows(&recent, &ui).len(), 19 + 11, "41 is there once");
    let effects = press(&mut ui, Intent::Last, &recent);
    assert_eq!(sent(&effects), [&Command::OlderEvents { before: 30, limit: 200 }]);
    let none = UiEvent::Replied(Purpose::OlderEvents, Reply::Events { events: Vec::new() });
    assert_eq!(ui.update(none, &recent, NOW), []);
}

#[test]
fn pins_and_priorities_name_the_component() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    let component = || "model:a:1b".to_owned();
    let effects = press(&mut ui, Intent::Pin, &snapshot);
    assert_eq!(sent(&effects), [&Command::Pin { component: component(), pinned: true }]);
    let effects = press(&mut ui, Intent::Raise, &snapshot);
    let priority = Priority::High;
    assert_eq!(sent(&effects), [&Command::SetPriority { component: component(), priority }]);
}

fn any_model() -> impl Strategy<Value = ModelView> {
    let state = prop_oneof![
        Just(ModelState::Ready),
        Just(ModelState::Loading { since: moment() }),
        Just(ModelState::Stuck { since: moment() }),
        Just(ModelState::Unloading { since: moment(), still_generating: true }),
    ];
    (0..6u8, state, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(number, state, is_busy, pinned, is_remote, is_cloud)| ModelView {
            state,
            activity: if is_busy { Activity::Busy } else { Activity::Idle },
            pinned,
            is_remote,
            is_cloud,
            ..model(&format!("m{number}:1b"))
        },
    )
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    (proptest::collection::vec(any_model(), 0..5), 0..30u64, 0..2usize, 0..4u64).prop_map(
        |(mut models, events, loads, rules)| {
            models.sort_by(|a, b| a.name.cmp(&b.name));
            models.dedup_by(|a, b| a.name == b.name);
            models.reverse();
            let mut snapshot = snapshot(models);
            snapshot.events = part((1..events).map(|s| unloaded(s, Verdict::Stuck)).collect());
            snapshot.loads_in_flight = vec![ModelName::new("a:1b"); loads];
            snapshot.policy = (rules > 1).then(|| rules::policy(RuleMode::Act));
            snapshot.proposal = rules::asking(rules).proposal.filter(|_| rules > 0);
            snapshot
        },
    )
}

/// An event a real run could bring: a key only where it means something.
#[derive(Debug, Clone)]
enum Turn {
    Press(usize),
    Type(char),
    Look(Box<Snapshot>),
    Reply(bool),
    /// The gate says that it does not fit.
    Refuse,
    Setting(bool),
    Wait(u64),
}

fn any_step() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (0..TABLE.len()).prop_map(Turn::Press),
        2 => any::<char>().prop_map(Turn::Type),
        2 => any_snapshot().prop_map(|snapshot| Turn::Look(Box::new(snapshot))),
        1 => any::<bool>().prop_map(Turn::Reply),
        1 => Just(Turn::Refuse),
        1 => any::<bool>().prop_map(Turn::Setting),
        1 => (0..20_000u64).prop_map(Turn::Wait),
    ]
}

fn is_sound(ui: &Ui, snapshot: &Snapshot) -> bool {
    fn on_a_row<R: Row>(rows: &[R], list: &crate::tui::state::ListState) -> bool {
        match &list.selected {
            None => rows.is_empty(),
            Some(id) => rows.get(list.last_index).is_some_and(|row| row.has_id(id)),
        }
    }
    match ui.page {
        Page::Overview | Page::Models => on_a_row(&rows::model_rows(snapshot, ui), &ui.models),
        Page::Components => on_a_row(&rows::component_rows(snapshot, ui), &ui.components),
        Page::Events => on_a_row(&rows::event_rows(snapshot, ui), &ui.events),
        Page::Policy => on_a_row(&rows::rule_rows(snapshot), &ui.rules),
        Page::Help => true,
    }
}

proptest! {
    #[test]
    fn no_order_of_events_breaks_the_gaze(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut seen = snapshot(vec![model("a:1b")]);
        let mut ui = looking_at(&seen);
        ui.can_set = true;
        let mut now = NOW;
        let keymap = Keymap::defaults();
        for step in steps {
            let context = Context::of(&ui);
            let event = match step {
                Turn::Press(row) if TABLE[row].scope.holds_in(context) => {
                    UiEvent::Intent(TABLE[row].intent)
                }
                Turn::Press(_) => UiEvent::Wheel(-3),
                Turn::Type(c) => UiEvent::Typed(c),
                Turn::Look(next) => {
                    seen = *next;
                    UiEvent::SnapshotChanged
                }
                Turn::Reply(true) => UiEvent::Replied(
                    Purpose::Plan(ui.memory.plans_asked),
                    Reply::Plan { plan: plan() },
                ),
                Turn::Refuse => fits::does_not_fit(Some(fits::room())),
                Turn::Reply(false) => UiEvent::Replied(
                    Purpose::OlderEvents,
                    Reply::Refused { reason: "busy".into() },
                ),
                Turn::Setting(true) => UiEvent::SettingProposed(
                    ui.memory.settings_asked,
                    Ok(rules::difference(ui.memory.settings_asked)),
                ),
                Turn::Setting(false) => {
                    UiEvent::SettingWritten(ui.memory.settings_asked, Err("denied".into()))
                }
                Turn::Wait(millis) => {
                    now = now.plus(Duration::from_millis(millis));
                    UiEvent::Tick
                }
            };
            let was_force = matches!(ui.dialog, Some(Dialog::Force(_)));
            for effect in ui.update(event, &seen, now) {
                let touches = |name: &ModelName| seen.model(name);
                if let UiEffect::Send(Command::Unload { model }, _) = &effect {
                    let view = touches(model);
                    prop_assert!(view.is_some_and(|view| !view.is_cloud));
                }
                // Force is a second answer, never a first one.
                if let UiEffect::Send(Command::Load { force: true, .. }, _) = &effect {
                    prop_assert!(was_force);
                }
                // Only what stands in an open dialog is written or answered.
                if let UiEffect::WriteSetting { token, .. } = effect {
                    let is_shown = matches!(&ui.dialog, Some(Dialog::Setting { .. }));
                    prop_assert!(is_shown && token == ui.memory.settings_asked);
                }
            }
            prop_assert!(is_sound(&ui, &seen));
            prop_assert!(ui.toast.as_ref().is_none_or(|toast| toast.until > now));
            // Whatever is open, some key leads out of it.
            let hints = keymap.footer(&ui, &seen);
            prop_assert!(!hints.is_empty());
            if let InputMode::Palette { chosen, .. } = ui.mode {
                prop_assert!(chosen == 0 || chosen < crate::tui::palette::choices(&ui).len());
            }
        }
    }
}

#[test]
fn every_scope_has_a_way_out() {
    let leaves = [Intent::Quit, Intent::Cancel, Intent::TextAbandon];
    for scope in [Scope::Dialog, Scope::Typing] {
        let mut rows = TABLE.iter().filter(|entry| entry.scope == scope);
        assert!(rows.any(|entry| leaves.contains(&entry.intent)));
    }
}

#[test]
fn a_click_selects_a_row_and_opens_a_page_but_never_acts() {
    let snapshot = snapshot(vec![model("a:1b"), model("b:1b")]);
    let mut ui = looking_at(&snapshot);
    ui.sight.targets = vec![
        (Rect::new(0, 5, 40, 2), Target::Rows(0)),
        (Rect::new(10, 9, 8, 1), Target::Page(Page::Events)),
    ];
    let click = |ui: &mut Ui, x, y| ui.update(UiEvent::Clicked { x, y }, &snapshot, NOW);
    assert_eq!(click(&mut ui, 3, 6), Vec::new());
    assert_eq!(ui.models.selected.as_deref(), Some("b:1b"));
    press(&mut ui, Intent::UnloadAll, &snapshot);
    assert_eq!(click(&mut ui, 12, 9), Vec::new());
    assert_eq!(ui.page, Page::Overview, "a dialog is answered first");
    press(&mut ui, Intent::Cancel, &snapshot);
    let _older = click(&mut ui, 12, 9);
    assert_eq!(ui.page, Page::Events);
}

#[test]
fn a_dialog_scrolls_as_far_as_it_is_long_and_a_dial_turns() {
    let snapshot = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&snapshot);
    press(&mut ui, Intent::Details, &snapshot);
    ui.sight.dialog_end = 2;
    for _ in 0..5 {
        press(&mut ui, Intent::ScrollDown, &snapshot);
    }
    assert_eq!(ui.dialog_scroll, 2);
    press(&mut ui, Intent::ScrollUp, &snapshot);
    assert_eq!(ui.dialog_scroll, 1);
    press(&mut ui, Intent::Cancel, &snapshot);
    assert_eq!(ui.dialog_scroll, 0, "the next dialog begins at its top");
    press(&mut ui, Intent::Keep, &snapshot);
    let Some(Dialog::Keep { chosen, .. }) = ui.dialog else { panic!("no dial") };
    press(&mut ui, Intent::ScrollUp, &snapshot);
    assert!(matches!(ui.dialog, Some(Dialog::Keep { chosen: now, .. }) if now == chosen + 1));
}

#[test]
fn help_goes_back_to_where_it_was_asked_for() {
    let snapshot = snapshot(Vec::new());
    let mut ui = ui();
    for leave in [Intent::Help, Intent::Back] {
        press(&mut ui, Intent::Open(Page::Events), &snapshot);
        press(&mut ui, Intent::Help, &snapshot);
        press(&mut ui, leave, &snapshot);
        assert_eq!(ui.page, Page::Events);
    }
}
