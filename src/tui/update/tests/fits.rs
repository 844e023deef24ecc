//! Whether a model fits: the dial, what is considered, and a load that goes
//! through the gate.

use super::*;
use crate::domain::component::{Footprint, FootprintSource};
use crate::domain::fit::{
    Budget, Fit, FitQuestion, FitVerdict, Fits, FlashAttention, LoadSettings, Need, Placement,
    ServerEra,
};
use crate::domain::shape::KvType;
use crate::tui::state::NoRoom;

fn gemma() -> ModelName {
    ModelName::new("gemma3:1b")
}

/// It needs 3 GiB of the 2 there are.
pub(crate) fn fit(name: &str) -> Fit {
    Fit {
        model: ModelName::new(name),
        settings: LoadSettings {
            context: 4096,
            parallel: 1,
            kv_type: KvType::F16,
            flash_attention: FlashAttention::Auto,
            mapped: false,
            server: ServerEra::LlamaServer,
            placement: Placement::Cpu,
        },
        settings_source: "the server's default".into(),
        verdict: FitVerdict::FitsAfterUnload,
        need: Need { weights: Bytes::gib(3), ..Need::default() },
        budget: Budget {
            available: Bytes::gib(3),
            reserve: Bytes::gib(1),
            in_flight: Bytes::ZERO,
            vram: Bytes::ZERO,
            ever: Bytes::gib(14),
            source: "MemAvailable".into(),
        },
        max_context: None,
        unload: Vec::new(),
        smaller: None,
        q8_0_saves: None,
        programs: Vec::new(),
        crosses: None,
        is_loaded: false,
    }
}

/// One loaded, one installed of at most 8192 tokens, one in the cloud.
fn judged() -> Snapshot {
    let mut snapshot = snapshot(vec![model("a:1b")]);
    let mut known = snapshot.installed.value.as_ref().clone();
    known[0].max_context = Some(8192);
    snapshot.installed = part(known);
    snapshot.fits = part(Fits { all: vec![fit("gemma3:1b")], unknown: Vec::new() });
    snapshot
}

/// On the models page, the installed one selected.
fn on_gemma(snapshot: &Snapshot) -> Ui {
    let mut ui = looking_at(snapshot);
    press(&mut ui, Intent::Open(Page::Models), snapshot);
    press(&mut ui, Intent::Down, snapshot);
    assert_eq!(ui.models.selected.as_deref(), Some("gemma3:1b"));
    ui
}

pub(super) fn room() -> Plan {
    let action =
        Action::Load { model: gemma(), keep: Keep::For(Duration::from_secs(300)), context: None };
    let expected = Some(Footprint { bytes: Bytes::gib(3), source: FootprintSource::Estimated });
    let mut plan = plan();
    plan.purpose = PlanPurpose::MakeRoom;
    plan.steps.push(Step { action, expected, reason: "it needs 3.0 GiB".into() });
    plan
}

pub(super) fn does_not_fit(plan: Option<Plan>) -> UiEvent {
    let reply = Reply::DoesNotFit { fit: Box::new(fit("gemma3:1b")), plan };
    UiEvent::Replied(Purpose::Load(gemma()), reply)
}

fn dialled(ui: &Ui) -> Option<(Option<u64>, Option<KvType>)> {
    ui.dial.as_ref().map(|dial| (dial.context, dial.kv_type))
}

#[test]
fn the_dial_steps_from_what_is_judged_to_what_the_model_can() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    assert_eq!(dialled(&ui), None);
    let mut seen = Vec::new();
    for intent in [Intent::ContextMore, Intent::ContextMore, Intent::ContextLess] {
        press(&mut ui, intent, &snapshot);
        seen.push(ui.dial.as_ref().and_then(|dial| dial.context));
    }
    assert_eq!(seen, [Some(8192), Some(8192), Some(4096)], "8192 is its longest");
    press(&mut ui, Intent::ContextLess, &snapshot);
    press(&mut ui, Intent::ContextLess, &snapshot);
    assert_eq!(dialled(&ui), None, "below the shortest: as its server would load it");
    press(&mut ui, Intent::ContextLess, &snapshot);
    assert_eq!(dialled(&ui), Some((Some(2048), None)), "the step below what it is judged at");
}

#[test]
fn the_dial_is_told_to_the_engine_and_goes_with_its_row() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    let effects = ui.update(UiEvent::Intent(Intent::ContextMore), &snapshot, NOW);
    let dial = FitQuestion { context: Some(8192), ..FitQuestion::plain(gemma()) };
    let attention = Attention { dial: Some(dial.clone()), ..OVERVIEW };
    assert_eq!(sent(&effects), [&Command::Attend { attention }]);
    press(&mut ui, Intent::Open(Page::Overview), &snapshot);
    assert_eq!((ui.considered.clone(), ui.dial.clone()), (Some(gemma()), Some(dial)));
    press(&mut ui, Intent::Open(Page::Models), &snapshot);
    press(&mut ui, Intent::First, &snapshot);
    assert_eq!((ui.considered.clone(), ui.dial.clone()), (None, None), "a loaded one is selected");
}

#[test]
fn types_of_the_cache_go_round_and_esc_resets_the_dial_before_the_page() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    let mut seen = Vec::new();
    for _ in 0..4 {
        press(&mut ui, Intent::KvType, &snapshot);
        seen.push(ui.dial.as_ref().and_then(|dial| dial.kv_type));
    }
    // It is judged with f16 as it is.
    assert_eq!(seen, [Some(KvType::Q8_0), Some(KvType::Q4_0), None, Some(KvType::Q8_0)]);
    press(&mut ui, Intent::KvType, &snapshot);
    press(&mut ui, Intent::Back, &snapshot);
    assert_eq!((dialled(&ui), ui.page), (None, Page::Models));
    press(&mut ui, Intent::Back, &snapshot);
    assert_eq!((ui.page, ui.considered.clone()), (Page::Overview, Some(gemma())));
    press(&mut ui, Intent::Back, &snapshot);
    assert_eq!(ui.considered, None);
}

#[test]
fn nothing_is_considered_once_it_is_loaded_or_gone() {
    let mut snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::Open(Page::Overview), &snapshot);
    snapshot.models.push(model("gemma3:1b"));
    let _ = ui.update(UiEvent::SnapshotChanged, &snapshot, NOW);
    assert_eq!(ui.considered, None);
    let mut ui = on_gemma(&judged());
    press(&mut ui, Intent::Open(Page::Overview), &judged());
    let mut without = judged();
    without.installed = part(Vec::new());
    let _ = ui.update(UiEvent::SnapshotChanged, &without, NOW);
    assert_eq!(ui.considered, None);
}

#[test]
fn the_verdict_opens_over_each_page_and_its_dial_turns_there() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::Fit, &snapshot);
    assert_eq!(ui.dialog, Some(Dialog::Fit(gemma())));
    press(&mut ui, Intent::More, &snapshot);
    assert_eq!(dialled(&ui), Some((Some(8192), None)));
    assert_eq!(press(&mut ui, Intent::Confirm, &snapshot), [], "there is nothing to agree to");
    press(&mut ui, Intent::Open(Page::Overview), &snapshot);
    press(&mut ui, Intent::Fit, &snapshot);
    assert_eq!(ui.dialog, Some(Dialog::Fit(ModelName::new("a:1b"))), "the selected one's");
    press(&mut ui, Intent::Cancel, &snapshot);
    press(&mut ui, Intent::Open(Page::Models), &snapshot);
    press(&mut ui, Intent::Last, &snapshot);
    press(&mut ui, Intent::Fit, &snapshot);
    assert_eq!(
        (&ui.dialog, toast(&ui)),
        (&None, "big:cloud runs elsewhere: it needs nothing here")
    );
}

#[test]
fn a_load_waits_for_the_gate_and_takes_the_dial_with_it() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::ContextMore, &snapshot);
    press(&mut ui, Intent::Load, &snapshot);
    let effects = press(&mut ui, Intent::Confirm, &snapshot);
    let keep = Keep::For(Duration::from_secs(300));
    let load = Command::Load { model: gemma(), keep, context: Some(8192), force: false };
    assert_eq!(effects, [UiEffect::Send(load, Purpose::Load(gemma()))]);
    assert!(matches!(ui.dialog, Some(Dialog::Load { is_asked: true, .. })));
    assert_eq!(press(&mut ui, Intent::Confirm, &snapshot), [], "asked once");
    let accepted = UiEvent::Replied(Purpose::Load(gemma()), Reply::Accepted);
    let _ = ui.update(accepted, &snapshot, NOW);
    assert_eq!((&ui.dialog, toast(&ui)), (&None, "asked to load gemma3:1b"));
}

#[test]
fn what_does_not_fit_offers_the_plan_that_makes_room() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::Load, &snapshot);
    press(&mut ui, Intent::Confirm, &snapshot);
    let _ = ui.update(does_not_fit(Some(room())), &snapshot, NOW);
    assert!(matches!(&ui.dialog, Some(Dialog::NoRoom(NoRoom { plan: Some(_), .. }))));
    let effects = press(&mut ui, Intent::Confirm, &snapshot);
    assert_eq!(sent(&effects), [&Command::CarryOut { plan: room() }]);
    assert_eq!(ui.dialog, None);
}

#[test]
fn force_takes_a_key_of_its_own_and_a_yes() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::Load, &snapshot);
    assert_eq!(press(&mut ui, Intent::Force, &snapshot), [], "nothing was refused yet");
    press(&mut ui, Intent::Confirm, &snapshot);
    let _ = ui.update(does_not_fit(None), &snapshot, NOW);
    assert_eq!(press(&mut ui, Intent::Confirm, &snapshot), [], "there is no plan to agree to");
    assert!(matches!(ui.dialog, Some(Dialog::NoRoom(_))));
    for _ in 0..3 {
        assert_eq!(press(&mut ui, Intent::Force, &snapshot), [], "it never acts at once");
    }
    let effects = press(&mut ui, Intent::Confirm, &snapshot);
    let keep = Keep::For(Duration::from_secs(300));
    let load = Command::Load { model: gemma(), keep, context: None, force: true };
    assert_eq!(sent(&effects), [&load]);
}

#[test]
fn a_refusal_that_comes_late_opens_nothing_under_the_finger() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::Load, &snapshot);
    press(&mut ui, Intent::Confirm, &snapshot);
    press(&mut ui, Intent::Cancel, &snapshot);
    press(&mut ui, Intent::Cleanup, &snapshot);
    let _ = ui.update(does_not_fit(Some(room())), &snapshot, NOW);
    assert!(matches!(ui.dialog, Some(Dialog::Cleanup { .. })), "{:?}", ui.dialog);
    assert_eq!(toast(&ui), "gemma3:1b was not loaded: it lacks 1.0 GiB");
    press(&mut ui, Intent::Cancel, &snapshot);
    press(&mut ui, Intent::Load, &snapshot);
    press(&mut ui, Intent::Confirm, &snapshot);
    let busy = UiEvent::NotSent(Purpose::Load(gemma()), SendError::Busy);
    let _ = ui.update(busy, &snapshot, NOW);
    assert_eq!((&ui.dialog, toast(&ui)), (&None, "refused: the engine is busy"));
}

#[test]
fn the_overview_loads_what_is_considered() {
    let snapshot = judged();
    let mut ui = on_gemma(&snapshot);
    press(&mut ui, Intent::Open(Page::Overview), &snapshot);
    press(&mut ui, Intent::Load, &snapshot);
    assert!(matches!(&ui.dialog, Some(Dialog::Load { model, .. }) if *model == gemma()));
    let hints = Keymap::defaults().footer(&ui, &snapshot);
    assert!(hints.iter().any(|hint| hint.label == "make room?"), "{hints:?}");
}
