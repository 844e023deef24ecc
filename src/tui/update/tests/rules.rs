//! Rules on the screen: modes that are changed, questions that wait, why, undo
//! and recycle.

use super::*;
use crate::domain::guard::{DayCounts, LevelView, PolicyView, Proposal, RuleModes, Why};
use crate::domain::plan::RunningPlan;
use crate::domain::rule::RuleMode;
use crate::domain::setting::{DiffLine, SettingDifference};
use crate::tui::state::{Rule, SettingView, WhyView};

pub(super) fn policy(mode: RuleMode) -> Arc<PolicyView> {
    let view = |level| LevelView {
        level,
        mode,
        strength: Some(Strength::Light),
        terms: Vec::new(),
        plan: plan(),
    };
    Arc::new(PolicyView {
        levels: Level::ALL.map(view).into(),
        standing: Vec::new(),
        kill_switch: Some(RuleMode::Off),
        waits: None,
        day: DayCounts::default(),
    })
}

/// The policy page with the rule of warning selected, over a config.
fn at_the_rules(mode: RuleMode) -> (Ui, Snapshot) {
    let rules = RuleModes { ceiling: mode, furthest: mode };
    let ruled = Snapshot { rules, policy: Some(policy(mode)), ..snapshot(Vec::new()) };
    let mut ui = looking_at(&ruled);
    ui.can_set = true;
    press(&mut ui, Intent::Open(Page::Policy), &ruled);
    press(&mut ui, Intent::Down, &ruled);
    assert_eq!(ui.rules.selected.as_deref(), Some("warning"));
    (ui, ruled)
}

pub(super) fn difference(token: u64) -> SettingDifference {
    let lines = vec![DiffLine::New("mode = \"act\"".into())];
    SettingDifference { file: "config.toml".into(), lines, token }
}

pub(super) fn asking(number: u64) -> Snapshot {
    let proposal = Proposal { number, plan: plan(), since: moment() };
    Snapshot { proposal: Some(Arc::new(proposal)), ..snapshot(vec![model("a:1b")]) }
}

#[test]
fn a_mode_is_shown_as_a_difference_and_then_written_once() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Confirm);
    let effects = press(&mut ui, Intent::RuleMode, &ruled);
    let change = SettingChange { key: "rules.warning.mode".into(), value: "\"act\"".into() };
    assert_eq!(effects, [UiEffect::ProposeSetting(change, 1)]);
    assert_eq!(press(&mut ui, Intent::Confirm, &ruled), [], "there is no difference yet");
    let _ = ui.update(UiEvent::SettingProposed(1, Ok(difference(9))), &ruled, NOW);
    let effects = press(&mut ui, Intent::Confirm, &ruled);
    assert_eq!(effects, [UiEffect::WriteSetting { token: 9, number: 1 }]);
    assert_eq!(press(&mut ui, Intent::Confirm, &ruled), [], "it is being written");
    assert_eq!(press(&mut ui, Intent::More, &ruled), [], "and no longer a question");
    let _ = ui.update(UiEvent::SettingWritten(1, Ok(())), &ruled, NOW);
    assert_eq!(ui.dialog, None);
    assert_eq!(toast(&ui), "rule of warning: act, written to config.toml");
}

#[test]
fn a_turned_dial_asks_again_and_an_old_answer_is_not_shown() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Off);
    press(&mut ui, Intent::RuleMode, &ruled);
    let effects = press(&mut ui, Intent::More, &ruled);
    let change = SettingChange { key: "rules.warning.mode".into(), value: "\"confirm\"".into() };
    assert_eq!(effects, [UiEffect::ProposeSetting(change, 2)]);
    let _ = ui.update(UiEvent::SettingProposed(1, Ok(difference(1))), &ruled, NOW);
    let waiting = Dialog::Setting {
        rule: Rule::Of(Level::Warning),
        mode: RuleMode::Confirm,
        view: SettingView::Waiting,
    };
    assert_eq!(ui.dialog, Some(waiting));
    for (intent, end) in [(Intent::Less, RuleMode::Off), (Intent::More, RuleMode::Act)] {
        for _ in 0..4 {
            press(&mut ui, intent, &ruled);
        }
        assert_eq!(press(&mut ui, intent, &ruled), [], "the dial ends there");
        let Some(Dialog::Setting { mode, .. }) = ui.dialog else { panic!("no dial") };
        assert_eq!(mode, end);
    }
}

#[test]
fn what_could_not_be_written_is_said_where_it_was_asked() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Confirm);
    press(&mut ui, Intent::RuleMode, &ruled);
    let _ = ui.update(UiEvent::SettingProposed(1, Ok(difference(9))), &ruled, NOW);
    press(&mut ui, Intent::Confirm, &ruled);
    let failed = || UiEvent::SettingWritten(1, Err("the disk is full".into()));
    let _ = ui.update(failed(), &ruled, NOW);
    let Some(Dialog::Setting { view: SettingView::Failed(reason), .. }) = &ui.dialog else {
        panic!("{:?}", ui.dialog)
    };
    assert_eq!(reason, "the disk is full");
    assert_eq!(press(&mut ui, Intent::Confirm, &ruled), []);
    assert_eq!(ui.dialog, None);
    // Closed while it was written: it is said all the same.
    let _ = ui.update(failed(), &ruled, NOW);
    assert_eq!(toast(&ui), "the config was not written: the disk is full");
}

#[test]
fn the_kill_switch_is_a_rule_of_its_own() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Act);
    press(&mut ui, Intent::Last, &ruled);
    let effects = press(&mut ui, Intent::RuleMode, &ruled);
    let key = "rules.kill_switch.mode".to_owned();
    let change = SettingChange { key, value: "\"observe\"".into() };
    assert_eq!(effects, [UiEffect::ProposeSetting(change, 1)]);
}

#[test]
fn what_holds_all_rules_back_is_set_like_one() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Observe);
    press(&mut ui, Intent::Last, &ruled);
    press(&mut ui, Intent::Up, &ruled);
    let effects = press(&mut ui, Intent::RuleMode, &ruled);
    let change = SettingChange { key: "rules.mode".into(), value: "\"confirm\"".into() };
    assert_eq!(effects, [UiEffect::ProposeSetting(change, 1)]);
}

#[test]
fn where_nothing_can_be_set_the_key_says_why() {
    let reasons = [
        (Mode::Replay, "a recording is played: there are no rules to set"),
        (Mode::Demo, "these rules are simulated: there is no config to set them in"),
        (Mode::Live, "there is no config file here to set it in"),
    ];
    for (mode, reason) in reasons {
        let (mut ui, ruled) = at_the_rules(RuleMode::Off);
        ui.can_set = false;
        let ruled = Snapshot { mode, ..ruled };
        assert_eq!(press(&mut ui, Intent::RuleMode, &ruled), []);
        assert_eq!((ui.dialog.as_ref(), toast(&ui)), (None, reason));
        let hints = Keymap::defaults().footer(&ui, &ruled);
        assert!(hints.iter().all(|hint| hint.key != "m"));
    }
}

#[test]
fn rules_are_worked_out_only_where_they_are_seen() {
    let seen = snapshot(Vec::new());
    let mut ui = looking_at(&seen);
    let sent_by = |ui: &mut Ui, page| {
        let effects = ui.update(UiEvent::Intent(Intent::Open(page)), &seen, NOW);
        sent(&effects).into_iter().cloned().collect::<Vec<_>>()
    };
    let attend = |policy| Command::Attend { attention: Attention { policy, ..OVERVIEW } };
    assert_eq!(sent_by(&mut ui, Page::Models), []);
    assert_eq!(sent_by(&mut ui, Page::Policy), [attend(true)]);
    assert_eq!(sent_by(&mut ui, Page::Events), [attend(false)]);
}

#[test]
fn the_selected_rule_is_opened_whole() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Observe);
    press(&mut ui, Intent::Details, &ruled);
    assert_eq!(ui.dialog, Some(Dialog::Details(Subject::Rule(Rule::Of(Level::Warning)))));
}

#[test]
fn a_question_never_takes_the_keyboard_and_is_answered_by_number() {
    let asked = asking(4);
    let mut ui = looking_at(&asked);
    assert_eq!(ui.dialog, None, "it waits to be looked at");
    let footer = Keymap::defaults().footer(&ui, &asked);
    assert_eq!((footer[0].key.as_str(), footer[0].label.as_str()), ("a", "look at it"));
    press(&mut ui, Intent::Answer, &asked);
    press(&mut ui, Intent::Cancel, &asked);
    assert_eq!(ui.dialog, None, "leaving it answers nothing");
    for (key, accept) in [(Intent::Confirm, true), (Intent::Refuse, false)] {
        press(&mut ui, Intent::Answer, &asked);
        let effects = press(&mut ui, key, &asked);
        assert_eq!(sent(&effects), [&Command::Answer { proposal: 4, accept }]);
        assert_eq!(ui.dialog, None);
    }
}

#[test]
fn no_means_no_only_to_a_rule() {
    let seen = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&seen);
    press(&mut ui, Intent::Answer, &seen);
    assert_eq!((ui.dialog.as_ref(), toast(&ui)), (None, "no rule asks for anything now"));
    press(&mut ui, Intent::UnloadAll, &seen);
    assert_eq!(press(&mut ui, Intent::Refuse, &seen), []);
    assert_eq!(ui.dialog, None);
}

#[test]
fn a_question_that_is_over_closes_and_says_so() {
    let under_way = RunningPlan {
        plan: Plan {
            purpose: PlanPurpose::Rule { level: Level::Critical, strength: None },
            ..plan()
        },
        started: moment(),
        outcomes: Vec::new(),
        ended: None,
    };
    let gone = snapshot(Vec::new());
    let accepted = Snapshot { plan: Some(Arc::new(under_way)), ..snapshot(Vec::new()) };
    let others = [
        (gone, "the rule asks no longer: answered elsewhere, or memory has recovered"),
        (accepted, "somebody else said yes: the rule goes on"),
        (asking(5), "the rule asks for something else now"),
    ];
    for (next, said) in others {
        let mut ui = looking_at(&asking(4));
        press(&mut ui, Intent::Answer, &asking(4));
        let _ = ui.update(UiEvent::SnapshotChanged, &asking(4), NOW);
        assert!(matches!(ui.dialog, Some(Dialog::Proposal(_))), "it asks still");
        let _ = ui.update(UiEvent::SnapshotChanged, &next, NOW);
        assert_eq!((ui.dialog.as_ref(), toast(&ui)), (None, said));
        assert_eq!(press(&mut ui, Intent::Refuse, &next), [], "nothing is left to refuse");
    }
}

#[test]
fn why_is_asked_and_answered_in_place() {
    let seen = snapshot(Vec::new());
    let mut ui = looking_at(&seen);
    let effects = press(&mut ui, Intent::Why, &seen);
    assert_eq!(effects, [UiEffect::Send(Command::Why, Purpose::Why)]);
    let why = Box::new(Why {
        level: Level::Warning,
        since: moment(),
        set_by: None,
        signals: Vec::new(),
        excess: None,
        movers: Vec::new(),
        movers_since: None,
        help: Vec::new(),
    });
    let reply = Reply::Why { why: why.clone() };
    let _ = ui.update(UiEvent::Replied(Purpose::Why, reply.clone()), &seen, NOW);
    assert_eq!(ui.dialog, Some(Dialog::Why(WhyView::Ready(why))));
    press(&mut ui, Intent::Confirm, &seen);
    let _ = ui.update(UiEvent::Replied(Purpose::Why, reply), &seen, NOW);
    assert_eq!(ui.dialog, None, "a late answer opens nothing");
    press(&mut ui, Intent::Why, &seen);
    let refused = UiEvent::NotSent(Purpose::Why, SendError::Busy);
    let _ = ui.update(refused, &seen, NOW);
    assert_eq!(ui.dialog, Some(Dialog::Why(WhyView::Refused("the engine is busy".into()))));
}

#[test]
fn undo_and_recycle_show_their_plan_first() {
    let seen = snapshot(vec![model("a:1b")]);
    let mut ui = looking_at(&seen);
    let recycle = PlanRequest::Recycle(ModelName::new("a:1b"));
    for (key, request, purpose, said) in [
        (Intent::Undo, PlanRequest::Undo, PlanPurpose::Undo, "bringing back"),
        (Intent::Recycle, recycle, PlanPurpose::Recycle, "recycling"),
    ] {
        let effects = press(&mut ui, key, &seen);
        assert_eq!(sent(&effects), [&Command::Propose { request }]);
        let plan = Plan { purpose, ..plan() };
        let number = ui.memory.plans_asked;
        let reply = Reply::Plan { plan: plan.clone() };
        let _ = ui.update(UiEvent::Replied(Purpose::Plan(number), reply), &seen, NOW);
        let effects = press(&mut ui, Intent::Confirm, &seen);
        let carried_out = UiEffect::Send(Command::CarryOut { plan }, Purpose::Act(said.into()));
        assert_eq!(effects, [carried_out]);
    }
    press(&mut ui, Intent::Undo, &seen);
    let reason = || "it does not fit: 1.2 GiB are missing".to_owned();
    let refused = UiEvent::Replied(Purpose::Plan(3), Reply::Refused { reason: reason() });
    let _ = ui.update(refused, &seen, NOW);
    let Some(Dialog::Confirm { plan: PlanView::Refused(said), .. }) = &ui.dialog else {
        panic!("{:?}", ui.dialog)
    };
    assert_eq!(*said, reason());
}

#[test]
fn only_a_model_of_this_machine_is_recycled() {
    for elsewhere in [
        ModelView { is_remote: true, ..model("a:1b") },
        ModelView { is_cloud: true, ..model("a:1b") },
    ] {
        let seen = snapshot(vec![elsewhere]);
        let mut ui = looking_at(&seen);
        assert_eq!(press(&mut ui, Intent::Recycle, &seen), []);
        assert_eq!(toast(&ui), "a:1b runs elsewhere: nothing would be freed here");
    }
}

#[test]
fn what_a_rule_did_is_told_as_its_doing() {
    let mut seen = snapshot(Vec::new());
    let mut ui = looking_at(&seen);
    let mut event = unloaded(1, Verdict::Done);
    if let EventBody::ActionEnded { by, .. } = &mut event.body {
        *by = Origin::Rule;
    }
    seen.events = part(VecDeque::from([event]));
    let _ = ui.update(UiEvent::SnapshotChanged, &seen, NOW);
    assert_eq!(toast(&ui), "phi3:mini gave 2.3 GiB back, by rule");
}

#[test]
fn no_order_of_answers_writes_what_was_not_shown() {
    let (mut ui, ruled) = at_the_rules(RuleMode::Observe);
    press(&mut ui, Intent::RuleMode, &ruled);
    press(&mut ui, Intent::Cancel, &ruled);
    let _ = ui.update(UiEvent::SettingProposed(1, Ok(difference(1))), &ruled, NOW);
    assert_eq!(ui.dialog, None, "a late difference opens nothing");
    press(&mut ui, Intent::RuleMode, &ruled);
    let nothing = SettingDifference { lines: Vec::new(), ..difference(2) };
    let _ = ui.update(UiEvent::SettingProposed(2, Ok(nothing)), &ruled, NOW);
    assert_eq!(press(&mut ui, Intent::Confirm, &ruled), [], "nothing would be different");
    assert_eq!(ui.dialog, None);
}
