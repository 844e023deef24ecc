//! What came of it: replies to commands, and outcomes seen in snapshots, said
//! where the reader already looks.

use std::sync::Arc;

use crate::domain::event::{EventBody, Origin};
use crate::domain::plan::{Action, Outcome, Purpose as PlanPurpose, RunningPlan, Verdict};
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::Reply;
use crate::tui::state::{Dialog, Older, PlanView, Tone, Ui, WhyView};
use crate::tui::update::Purpose;

/// Seconds after which an outcome is history: at the start the whole history
/// of earlier runs comes in at once, and none of it is news.
const NEWS_FOR: i64 = 60;

impl Ui {
    pub(super) fn hear(&mut self, purpose: Purpose, reply: Reply, now: Monotonic) {
        match (purpose, reply) {
            (Purpose::Act(_), Reply::Refused { reason }) => {
                self.say(Tone::Bad, format!("refused: {reason}"), now);
            }
            (Purpose::Load(model), reply) => self.hear_load(&model, reply, now),
            (Purpose::Act(said), _) => self.say(Tone::Neutral, said, now),
            (Purpose::Plan(number), reply) if number == self.memory.plans_asked => {
                self.show_plan(reply);
            }
            (Purpose::Why, reply) => self.show_why(reply),
            (Purpose::OlderEvents, Reply::Events { events }) => self.take_older(events),
            (Purpose::OlderEvents, _) => self.memory.older = Older::NoMore,
            (Purpose::Plan(_) | Purpose::Quiet, _) => {}
        }
    }

    fn show_plan(&mut self, reply: Reply) {
        let (Some(Dialog::Cleanup { plan, .. }) | Some(Dialog::Confirm { plan, .. })) =
            &mut self.dialog
        else {
            return;
        };
        match reply {
            Reply::Plan { plan: answer } => *plan = PlanView::Ready(answer),
            Reply::Refused { reason } => *plan = PlanView::Refused(reason),
            _ => {}
        }
    }

    fn show_why(&mut self, reply: Reply) {
        if let Some(Dialog::Why(view)) = &mut self.dialog {
            match reply {
                Reply::Why { why } => *view = WhyView::Ready(why),
                Reply::Refused { reason } => *view = WhyView::Refused(reason),
                _ => {}
            }
        }
    }

    /// A new snapshot: says the outcomes it brought.
    pub(super) fn look_again(&mut self, snapshot: &Snapshot, now: Monotonic) {
        let newest = snapshot.events.value.back().map_or(0, |event| event.seq);
        if let Some(told) = self.memory.told {
            let newer = snapshot.events.value.iter().rev().take_while(|event| event.seq > told);
            let oldest = snapshot.at.wall.as_second() - NEWS_FOR;
            let fresh = newer.filter(|event| event.time.as_second() >= oldest);
            let outcomes: Vec<(Tone, String)> = fresh
                .filter_map(|event| match &event.body {
                    EventBody::ActionEnded { outcome, by, .. } => Some(said_by(outcome, *by)),
                    _ => None,
                })
                .collect();
            // The newest one, unless another failed: that must not be missed.
            let whole = snapshot.plan.as_deref().and_then(whole_plan);
            let worst = outcomes.iter().position(|(tone, _)| *tone == Tone::Bad).unwrap_or(0);
            if let Some((tone, text)) = outcomes.into_iter().nth(worst) {
                match whole.filter(|_| tone != Tone::Bad) {
                    Some(text) => self.say(Tone::Good, text, now),
                    None => self.say(tone, text, now),
                }
            }
        }
        self.memory.told = Some(newest);
        self.keep_quit_honest(snapshot, now);
        self.keep_proposal_honest(snapshot, now);
    }

    /// What a rule asks is open only as long as it asks that.
    fn keep_proposal_honest(&mut self, snapshot: &Snapshot, now: Monotonic) {
        let Some(Dialog::Proposal(shown)) = &mut self.dialog else { return };
        let text = match &snapshot.proposal {
            Some(asked) if asked.number == shown.number => {
                *shown = Arc::clone(asked);
                return;
            }
            Some(_) => "the rule asks for something else now",
            None if snapshot.plan.as_deref().is_some_and(is_under_way) => {
                "somebody else said yes: the rule goes on"
            }
            None => "the rule asks no longer: answered elsewhere, or memory has recovered",
        };
        self.dialog = None;
        self.say(Tone::Neutral, text, now);
    }

    /// The question whether to cut loads off goes when there is none left.
    fn keep_quit_honest(&mut self, snapshot: &Snapshot, now: Monotonic) {
        if let Some(Dialog::Quit { loads }) = &mut self.dialog {
            loads.clone_from(&snapshot.loads_in_flight);
            if loads.is_empty() {
                self.dialog = None;
                self.say(Tone::Neutral, "no load is left to wait for", now);
            }
        }
    }
}

/// What a plan of several steps gave in all, once it has ended.
fn whole_plan(running: &RunningPlan) -> Option<String> {
    let is_over = running.ended.is_some() && running.outcomes.len() > 1;
    let has_given = !running.freed().is_zero();
    (is_over && has_given).then(|| {
        let count = running.outcomes.len();
        let by = if is_of_a_rule(running) { ", by rule" } else { "" };
        format!("{} came back in {count} steps{by}", running.freed())
    })
}

fn is_of_a_rule(running: &RunningPlan) -> bool {
    matches!(running.plan.purpose, PlanPurpose::Rule { .. } | PlanPurpose::KillSwitch)
}

fn is_under_way(running: &RunningPlan) -> bool {
    running.ended.is_none() && is_of_a_rule(running)
}

/// Nobody pressed a key for what a rule did: that is said.
fn said_by(outcome: &Outcome, by: Origin) -> (Tone, String) {
    let (tone, text) = said(outcome);
    match by {
        Origin::Rule => (tone, format!("{text}, {by}")),
        Origin::Person => (tone, text),
    }
}

/// An outcome in one line: `phi3:mini gave 2.3 GiB back`.
fn said(outcome: &Outcome) -> (Tone, String) {
    let subject = outcome.action.subject();
    match (&outcome.result, &outcome.action) {
        (Verdict::Failed { detail }, action) => {
            (Tone::Bad, format!("{} {subject} failed: {detail}", action.verb()))
        }
        (Verdict::Stuck, _) => {
            (Tone::Bad, format!("{subject} is still there; its runner may be ended"))
        }
        (Verdict::StillGenerating, _) => {
            (Tone::Neutral, format!("{subject} is still generating and goes when it is done"))
        }
        (Verdict::Unconfirmed, _) => {
            (Tone::Neutral, format!("{subject}: not confirmed, no runner could be seen"))
        }
        (Verdict::Already, action) => {
            (Tone::Neutral, format!("{} {subject}: it was already so", action.verb()))
        }
        (Verdict::Done, Action::Load { .. }) => (Tone::Good, format!("{subject} is loaded")),
        (Verdict::Done, Action::Keep { keep, .. }) => {
            (Tone::Good, format!("{subject} stays {keep}"))
        }
        (Verdict::Done, Action::Unload { .. } | Action::EndRunner { .. }) => match outcome.freed {
            Some(freed) => (Tone::Good, format!("{subject} gave {freed} back")),
            None => (Tone::Good, format!("{subject} is gone")),
        },
        (Verdict::Done, action @ (Action::Component { .. } | Action::Run { .. })) => {
            (Tone::Good, format!("{} {subject}: done", action.verb()))
        }
    }
}
