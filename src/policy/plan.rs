//! A request to a plan: who goes, in which order, with what it should give.
//!
//! A strength widens the candidates; the target decides how many of them go,
//! least harm first: expired, least recently used, priority, then bytes.

use std::cmp::Reverse;
use std::time::Duration;

use crate::domain::component::FootprintSource;
use crate::domain::model::{Activity, Expiry, ModelState};
use crate::domain::plan::{Kept, Purpose};
use crate::domain::time::Span;
use crate::domain::{
    Action, Bytes, Footprint, ModelName, ModelView, Moment, Plan, Priority, Step, Strength,
};

/// Idle times are compared in minutes: nearer than that, priority decides.
const IDLE_STEP: u64 = 60;

/// A cleanup of the loaded models. `target`: bytes to free; `None` is all
/// that the strength allows.
pub fn cleanup(
    models: &[ModelView],
    strength: Strength,
    target: Option<Bytes>,
    now: Moment,
) -> Plan {
    let target = if strength == Strength::Force { None } else { target };
    let (mut candidates, mut kept) = (Vec::new(), Vec::new());
    for model in models.iter().filter(|model| !model.is_remote && !model.is_cloud) {
        match why_it_stays(model, strength) {
            None => candidates.push(model),
            Some(reason) => kept.push(Kept { name: model.name.short().to_owned(), reason }),
        }
    }
    candidates.sort_by_key(|model| harm(model, now));
    let (chosen, spared) = enough(candidates, target);
    kept.extend(spared.into_iter().map(|model| Kept {
        name: model.name.short().to_owned(),
        reason: "not needed to reach the target".into(),
    }));
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    Plan {
        purpose: Purpose::Cleanup(strength),
        target,
        steps: chosen.into_iter().map(|model| step(model, now)).collect(),
        kept,
    }
}

/// Unload what a person named, wherever it runs and whatever it is doing.
pub fn asked(models: &[ModelView], names: &[ModelName], now: Moment) -> Plan {
    let steps = models
        .iter()
        .filter(|model| names.contains(&model.name) && !model.is_cloud)
        .map(|model| step(model, now))
        .collect();
    Plan { purpose: Purpose::Asked, target: None, steps, kept: Vec::new() }
}

/// Unload everything of this machine but what is pinned.
pub fn unload_all(models: &[ModelView], now: Moment) -> Plan {
    let mut plan = cleanup(models, Strength::Force, None, now);
    plan.purpose = Purpose::Asked;
    plan
}

/// Why a cleanup of that strength leaves a model alone; `None`: it may go.
pub fn why_it_stays(model: &ModelView, strength: Strength) -> Option<String> {
    match &model.state {
        ModelState::Loading { .. } => return Some("it is loading".into()),
        ModelState::Unloading { .. } => return Some("it is unloading already".into()),
        ModelState::Stuck { .. } => return Some("it is stuck: end its runner".into()),
        ModelState::Unconfirmed { .. } => {
            return Some("it was asked already, and nobody can see what keeps it".into());
        }
        ModelState::Ready | ModelState::Gone { .. } => {}
    }
    if model.pinned {
        return Some("pinned".into());
    }
    match (strength, model.priority, model.activity) {
        (Strength::Force, _, _) => None,
        (_, _, Activity::Busy) => Some("busy".into()),
        (_, _, Activity::Unknown) => Some("nobody can say whether it is busy".into()),
        (Strength::Light, Priority::High | Priority::Critical, _)
        | (Strength::Aggressive, Priority::Critical, _) => {
            Some(format!("priority {}", model.priority))
        }
        _ => None,
    }
}

/// Sorts least harm first; the name settles what is left, so that the order
/// of the list never matters.
fn harm(model: &ModelView, now: Moment) -> impl Ord + use<> {
    let is_busy = model.activity != Activity::Idle;
    let has_expired = matches!(model.expires, Some(Expiry::At(at)) if at <= now.wall);
    let idle_steps = idle(model, now).as_secs() / IDLE_STEP;
    let held = model.held().unwrap_or_default();
    (is_busy, !has_expired, Reverse(idle_steps), model.priority, Reverse(held), model.name.clone())
}

fn idle(model: &ModelView, now: Moment) -> Duration {
    model.idle.map_or(Duration::ZERO, |idle| now.since(idle.since))
}

/// The shortest prefix that reaches the target, less what the later ones made
/// needless; and those that may stay.
fn enough(
    candidates: Vec<&ModelView>,
    target: Option<Bytes>,
) -> (Vec<&ModelView>, Vec<&ModelView>) {
    let Some(target) = target else { return (candidates, Vec::new()) };
    let bytes = |model: &ModelView| model.held().unwrap_or_default();
    let (mut chosen, mut spared, mut sum) = (Vec::new(), Vec::new(), Bytes::ZERO);
    for model in candidates {
        if sum >= target {
            spared.push(model);
        } else {
            sum += bytes(model);
            chosen.push(model);
        }
    }
    for index in (0..chosen.len()).rev() {
        let without = sum.saturating_sub(bytes(chosen[index]));
        if without >= target {
            sum = without;
            spared.push(chosen.remove(index));
        }
    }
    (chosen, spared)
}

fn step(model: &ModelView, now: Moment) -> Step {
    Step {
        action: Action::Unload { model: model.name.clone() },
        expected: expected(model),
        reason: reason(model, now),
    }
}

/// What unloading should give back: measured first, else as reported.
pub fn expected(model: &ModelView) -> Option<Footprint> {
    let measured = model.measured.map(|(bytes, _)| (bytes, FootprintSource::Measured));
    let reported = model.reported.map(|bytes| (bytes, FootprintSource::Reported));
    measured.or(reported).map(|(bytes, source)| Footprint { bytes, source })
}

fn reason(model: &ModelView, now: Moment) -> String {
    let doing = match (model.activity, &model.idle) {
        (Activity::Busy, _) => "busy".to_owned(),
        (Activity::Unknown, _) => "activity unknown".to_owned(),
        (Activity::Idle, Some(idle)) => {
            let least = if idle.at_least { "at least " } else { "" };
            format!("idle {least}{}", Span(now.since(idle.since)))
        }
        (Activity::Idle, None) => "idle".to_owned(),
    };
    let pinned = if model.pinned { ", pinned" } else { "" };
    format!("{doing}, priority {}{pinned}", model.priority)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::model::Idle;
    use crate::domain::process::MeasuredSource;
    use crate::domain::{Monotonic, Wall};

    fn at(seconds: u64) -> Moment {
        let wall = Wall::from_second(1_700_000_000 + seconds as i64).expect("a plain date");
        Moment::new(wall, Monotonic::from_millis(seconds * 1000))
    }

    const NOW: u64 = 100_000;

    #[derive(Debug, Clone)]
    struct Given {
        mib: u64,
        idle_minutes: u64,
        priority: Priority,
        pinned: bool,
        busy: bool,
    }

    fn model(index: usize, given: &Given) -> ModelView {
        ModelView {
            name: ModelName::new(format!("m{index}:1b")),
            runtime: 0,
            state: ModelState::Ready,
            activity: if given.busy { Activity::Busy } else { Activity::Idle },
            reported: Some(Bytes::mib(given.mib)),
            vram: None,
            measured: Some((Bytes::mib(given.mib), MeasuredSource::Status)),
            runner: None,
            context: Some(4096),
            expires: Some(Expiry::Never),
            idle: Some(Idle { since: at(NOW - given.idle_minutes * 60), at_least: false }),
            parameters: None,
            quantization: None,
            priority: given.priority,
            pinned: given.pinned,
            is_remote: false,
            is_cloud: false,
        }
    }

    fn given() -> impl Strategy<Value = Given> {
        (1..4000u64, 0..90u64, 0..4usize, any::<bool>(), any::<bool>()).prop_map(
            |(mib, idle_minutes, priority, pinned, busy)| Given {
                mib,
                idle_minutes,
                priority: Priority::ALL[priority],
                pinned,
                busy,
            },
        )
    }

    fn models(given: &[Given]) -> Vec<ModelView> {
        given.iter().enumerate().map(|(index, given)| model(index, given)).collect()
    }

    fn strength() -> impl Strategy<Value = Strength> {
        (0..3usize).prop_map(|index| Strength::ALL[index])
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|step| step.action.subject()).collect()
    }

    #[test]
    fn the_longest_idle_goes_first_and_no_more_than_needed() {
        let base = Given {
            mib: 1000,
            idle_minutes: 5,
            priority: Priority::Medium,
            pinned: false,
            busy: false,
        };
        let loaded = models(&[base.clone(), Given { idle_minutes: 50, ..base.clone() }, base]);
        let plan = cleanup(&loaded, Strength::Light, Some(Bytes::mib(900)), at(NOW));
        assert_eq!(names(&plan), ["m1:1b"]);
        assert_eq!(plan.steps[0].reason, "idle 50 min, priority medium");
        assert_eq!(plan.kept.len(), 2);
        assert_eq!(plan.shortfall(), None);
    }

    #[test]
    fn idle_time_comes_before_priority_and_priority_before_bytes() {
        let base = Given {
            mib: 100,
            idle_minutes: 5,
            priority: Priority::Low,
            pinned: false,
            busy: false,
        };
        let loaded = models(&[
            Given { mib: 900, priority: Priority::Medium, ..base.clone() },
            base.clone(),
            Given { mib: 300, ..base.clone() },
            Given { idle_minutes: 50, priority: Priority::High, ..base },
        ]);
        let plan = cleanup(&loaded, Strength::Aggressive, None, at(NOW));
        assert_eq!(names(&plan), ["m3:1b", "m2:1b", "m1:1b", "m0:1b"]);
    }

    #[test]
    fn a_step_that_a_later_one_made_needless_stays() {
        let small = Given {
            mib: 100,
            idle_minutes: 50,
            priority: Priority::Low,
            pinned: false,
            busy: false,
        };
        let large = Given { mib: 3000, idle_minutes: 5, ..small.clone() };
        let plan =
            cleanup(&models(&[small, large]), Strength::Light, Some(Bytes::mib(2000)), at(NOW));
        assert_eq!(names(&plan), ["m1:1b"]);
    }

    #[test]
    fn light_leaves_what_matters_and_aggressive_leaves_what_is_critical() {
        let base = Given {
            mib: 100,
            idle_minutes: 5,
            priority: Priority::High,
            pinned: false,
            busy: false,
        };
        let loaded = models(&[base.clone(), Given { priority: Priority::Critical, ..base }]);
        let plan = |strength| cleanup(&loaded, strength, None, at(NOW));
        assert!(plan(Strength::Light).steps.is_empty());
        assert_eq!(names(&plan(Strength::Aggressive)), ["m0:1b"]);
        assert_eq!(plan(Strength::Force).steps.len(), 2);
    }

    #[test]
    fn a_remote_model_is_in_no_cleanup_and_may_be_named() {
        let mut remote = model(
            0,
            &Given { mib: 9, idle_minutes: 5, priority: Priority::Low, pinned: false, busy: false },
        );
        remote.is_remote = true;
        let loaded = [remote];
        assert!(cleanup(&loaded, Strength::Force, None, at(NOW)).steps.is_empty());
        assert_eq!(asked(&loaded, &[loaded[0].name.clone()], at(NOW)).steps.len(), 1);
    }

    proptest! {
        #[test]
        fn a_pinned_model_is_in_no_cleanup(
            given in proptest::collection::vec(given(), 0..8), strength in strength()
        ) {
            let loaded = models(&given);
            let plan = cleanup(&loaded, strength, None, at(NOW));
            for step in &plan.steps {
                let model = loaded.iter().find(|m| Some(&m.name) == step.action.model());
                prop_assert!(model.is_some_and(|m| !m.pinned));
            }
        }

        #[test]
        fn a_busy_model_goes_by_force_only(
            given in proptest::collection::vec(given(), 0..8), aggressive in any::<bool>()
        ) {
            let loaded = models(&given);
            let strength = if aggressive { Strength::Aggressive } else { Strength::Light };
            for step in &cleanup(&loaded, strength, None, at(NOW)).steps {
                let model = loaded.iter().find(|m| Some(&m.name) == step.action.model());
                prop_assert!(model.is_some_and(|m| m.activity == Activity::Idle));
            }
        }

        #[test]
        fn the_plan_is_the_same_in_any_order(
            given in proptest::collection::vec(given(), 0..8), strength in strength(), mib in 0..9000u64
        ) {
            let loaded = models(&given);
            let mut turned = loaded.clone();
            turned.reverse();
            let target = Some(Bytes::mib(mib));
            prop_assert_eq!(
                cleanup(&loaded, strength, target, at(NOW)),
                cleanup(&turned, strength, target, at(NOW))
            );
        }

        #[test]
        fn a_plan_reaches_its_target_or_says_how_far_it_falls_short(
            given in proptest::collection::vec(given(), 0..8), mib in 1..9000u64
        ) {
            let plan = cleanup(&models(&given), Strength::Aggressive, Some(Bytes::mib(mib)), at(NOW));
            let expected = plan.expected();
            match plan.shortfall() {
                Some(missing) => {
                    prop_assert_eq!(expected + missing, Bytes::mib(mib));
                    prop_assert!(plan.kept.iter().all(|k| !k.reason.starts_with("not needed")));
                }
                None => {
                    prop_assert!(expected >= Bytes::mib(mib));
                    for step in &plan.steps {
                        let bytes = step.expected.map(|f| f.bytes).unwrap_or_default();
                        prop_assert!(expected.saturating_sub(bytes) < Bytes::mib(mib), "a step too many");
                    }
                }
            }
        }
    }
}
