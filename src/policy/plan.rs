//! A request to a plan: who goes, in which order, with what it should give.
//!
//! A strength widens the candidates; the target decides how many of them go,
//! least harm first: expired, least recently used, priority, then bytes.

use crate::domain::plan::{Kept, Purpose};
use crate::domain::{Action, Bytes, ModelName, Plan, Step, Strength};

pub use super::victims::{Load, Reach, expected, why_it_stays};
use super::victims::{Victim, victims};

/// A cleanup a person asks for. `target`: bytes to free; `None` is all that
/// the strength allows.
pub fn cleanup(load: &Load<'_>, strength: Strength, target: Option<Bytes>) -> Plan {
    let target = if strength == Strength::Force { None } else { target };
    let (candidates, kept) = victims(load, Reach::of_person(strength));
    let (chosen, spared) = enough(candidates, target);
    Plan {
        purpose: Purpose::Cleanup(strength),
        target,
        steps: chosen.iter().filter_map(|victim| victim.step(None)).collect(),
        kept: with_spared(kept, &spared, target),
    }
}

/// So many bytes, by the mildest strength that gives them. What is busy or
/// critical goes for no number: that is for who asks for force.
pub fn free(load: &Load<'_>, target: Bytes) -> Plan {
    let by = |strength| Plan {
        purpose: Purpose::Free(strength),
        ..cleanup(load, strength, Some(target))
    };
    let light = by(Strength::Light);
    if light.shortfall().is_none() { light } else { by(Strength::Aggressive) }
}

/// Unload what a person named, wherever it runs and whatever it is doing.
pub fn asked(load: &Load<'_>, names: &[ModelName]) -> Plan {
    let is_named = |victim: &&Victim<'_>| {
        victim.model().is_some_and(|model| names.contains(&model.name) && !model.is_cloud)
    };
    let all: Vec<Victim<'_>> =
        load.models.iter().map(|model| Victim::of(model, load.now)).collect();
    let steps = all.iter().filter(is_named).filter_map(|victim| victim.step(None)).collect();
    Plan { purpose: Purpose::Asked, target: None, steps, kept: Vec::new() }
}

/// Unload every model of this machine but what is pinned.
pub fn unload_all(load: &Load<'_>) -> Plan {
    let models_only = Load { components: &[], ..*load };
    Plan { purpose: Purpose::Asked, ..cleanup(&models_only, Strength::Force, None) }
}

/// Unload a model and load it again as it was, to drop what it has cached.
pub fn recycle(load: &Load<'_>, name: &ModelName) -> Plan {
    let mut plan = asked(load, std::slice::from_ref(name));
    plan.purpose = Purpose::Recycle;
    let Some(model) = load.models.iter().find(|model| &model.name == name) else { return plan };
    if !plan.steps.is_empty() {
        plan.steps.push(Step {
            action: Action::Load {
                model: name.clone(),
                keep: super::keep_until(model.expires, load.now),
                context: model.context,
            },
            expected: expected(model),
            reason: match model.context {
                Some(context) => format!("again, at the same context of {context}"),
                None => "again".into(),
            },
        });
    }
    plan
}

/// Those that stay, with those that could go and need not.
pub(super) fn with_spared(
    mut kept: Vec<Kept>,
    spared: &[Victim<'_>],
    target: Option<Bytes>,
) -> Vec<Kept> {
    let reason = match target {
        Some(_) => "not needed to reach the target",
        None => "nothing wants it gone",
    };
    kept.extend(
        spared.iter().map(|victim| Kept { name: victim.name().to_owned(), reason: reason.into() }),
    );
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    kept
}

/// The shortest prefix that reaches the target, less what the later ones made
/// needless; and those that may stay.
pub(super) fn enough<'a>(
    candidates: Vec<Victim<'a>>,
    target: Option<Bytes>,
) -> (Vec<Victim<'a>>, Vec<Victim<'a>>) {
    let Some(target) = target else { return (candidates, Vec::new()) };
    let (mut chosen, mut spared, mut sum) = (Vec::new(), Vec::new(), Bytes::ZERO);
    for victim in candidates {
        if sum >= target {
            spared.push(victim);
        } else {
            sum += victim.bytes();
            chosen.push(victim);
        }
    }
    for index in (0..chosen.len()).rev() {
        let without = sum.saturating_sub(chosen[index].bytes());
        if without >= target {
            sum = without;
            spared.push(chosen.remove(index));
        }
    }
    (chosen, spared)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::model::{Idle, ModelState};
    use crate::domain::process::MeasuredSource;
    use crate::domain::{Activity, Expiry, ModelView, Moment, Monotonic, Priority, Wall};

    static NONE_SPARED: BTreeMap<ModelName, String> = BTreeMap::new();

    fn load(models: &[ModelView]) -> Load<'_> {
        Load { models, components: &[], spared: &NONE_SPARED, now: at(NOW) }
    }

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
            course: None,
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
            swap_growth: None,
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
        let plan = cleanup(&load(&loaded), Strength::Light, Some(Bytes::mib(900)));
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
        let plan = cleanup(&load(&loaded), Strength::Aggressive, None);
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
            cleanup(&load(&models(&[small, large])), Strength::Light, Some(Bytes::mib(2000)));
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
        let plan = |strength| cleanup(&load(&loaded), strength, None);
        assert!(plan(Strength::Light).steps.is_empty());
        assert_eq!(names(&plan(Strength::Aggressive)), ["m0:1b"]);
        assert_eq!(plan(Strength::Force).steps.len(), 2);
    }

    #[test]
    fn bytes_are_freed_by_the_mildest_strength_that_gives_them() {
        let base = Given {
            mib: 1000,
            idle_minutes: 50,
            priority: Priority::Medium,
            pinned: false,
            busy: false,
        };
        let loaded = models(&[
            base.clone(),
            Given { priority: Priority::High, ..base.clone() },
            Given { priority: Priority::Critical, ..base.clone() },
            Given { busy: true, ..base },
        ]);
        let free = |mib| free(&load(&loaded), Bytes::mib(mib));
        let mild = free(900);
        assert_eq!((mild.purpose, names(&mild)), (Purpose::Free(Strength::Light), vec!["m0:1b"]));
        let strong = free(1500);
        assert_eq!(strong.purpose, Purpose::Free(Strength::Aggressive));
        assert_eq!((names(&strong), strong.shortfall()), (vec!["m0:1b", "m1:1b"], None));
        // Neither what is critical nor what is busy makes up for the rest.
        let short = free(5000);
        assert_eq!(names(&short), ["m0:1b", "m1:1b"]);
        assert_eq!(short.shortfall(), Some(Bytes::mib(3000)));
        assert!(free(0).steps.is_empty());
    }

    #[test]
    fn a_remote_model_is_in_no_cleanup_and_may_be_named() {
        let mut remote = model(
            0,
            &Given { mib: 9, idle_minutes: 5, priority: Priority::Low, pinned: false, busy: false },
        );
        remote.is_remote = true;
        let loaded = [remote];
        assert!(cleanup(&load(&loaded), Strength::Force, None).steps.is_empty());
        assert_eq!(asked(&load(&loaded), &[loaded[0].name.clone()]).steps.len(), 1);
    }

    proptest! {
        #[test]
        fn a_pinned_model_is_in_no_cleanup(
            given in proptest::collection::vec(given(), 0..8), strength in strength()
        ) {
            let loaded = models(&given);
            let plan = cleanup(&load(&loaded), strength, None);
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
            for step in &cleanup(&load(&loaded), strength, None).steps {
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
                cleanup(&load(&loaded), strength, target),
                cleanup(&load(&turned), strength, target)
            );
        }

        #[test]
        fn a_plan_reaches_its_target_or_says_how_far_it_falls_short(
            given in proptest::collection::vec(given(), 0..8), mib in 1..9000u64
        ) {
            let plan = cleanup(&load(&models(&given)), Strength::Aggressive, Some(Bytes::mib(mib)));
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
