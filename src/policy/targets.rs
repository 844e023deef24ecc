//! How memory stands to its targets: a pure comparison. What cannot be told is
//! said to be unknown, never achieved.

use serde::{Deserialize, Serialize};

use crate::domain::group::GroupKind;
use crate::domain::sample::Memory;
use crate::domain::snapshot::{Place, RuntimeState, RuntimeView};
use crate::domain::target::{Amount, TargetKind, TargetView};
use crate::domain::{Bytes, ModelState, ModelView, Percent, Sample};

/// What memory is meant to stay within; `None`: no such target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    pub used: Option<Percent>,
    pub model: Option<Bytes>,
    pub containers: Option<Bytes>,
    pub available: Option<Bytes>,
    pub swap: Option<Bytes>,
}

impl Targets {
    /// Of a machine of some 15 GiB that also runs containers.
    pub const LINUX_15: Targets = Targets {
        used: Some(Percent::new(80.0)),
        model: Some(Bytes::gib(3)),
        containers: Some(Bytes::gib(2)),
        available: Some(Bytes::gib(4)),
        swap: Some(Bytes::mib(100)),
    };
}

/// What is known of the machine.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub sample: Option<&'a Sample>,
    pub models: &'a [ModelView],
    pub server: Option<&'a RuntimeView>,
    /// Only containers that the config names are read.
    pub names_containers: bool,
}

/// One view for each target there is, in the order they are written.
pub fn evaluate(targets: &Targets, seen: Seen<'_>) -> Vec<TargetView> {
    let share = |limit: Option<Percent>| limit.map(Amount::Share);
    let size = |limit: Option<Bytes>| limit.map(Amount::Size);
    let wanted = [
        (TargetKind::Used, share(targets.used)),
        (TargetKind::Model, size(targets.model)),
        (TargetKind::Containers, size(targets.containers)),
        (TargetKind::Available, size(targets.available)),
        (TargetKind::Swap, size(targets.swap)),
    ];
    let view = |(kind, limit): (TargetKind, Option<Amount>)| {
        let limit = limit?;
        let (now, of) = match kind {
            TargetKind::Used => (used(seen).map(Amount::Share), None),
            TargetKind::Model => match largest_model(seen) {
                Ok((bytes, name)) => (Ok(Amount::Size(bytes)), name),
                Err(why) => (Err(why), None),
            },
            TargetKind::Containers => (containers(seen).map(Amount::Size), None),
            TargetKind::Available => (memory(seen).map(|m| Amount::Size(m.available)), None),
            TargetKind::Swap => (swap(seen).map(Amount::Size), None),
        };
        Some(TargetView { kind, limit, now, of })
    };
    wanted.into_iter().filter_map(view).collect()
}

fn sample(seen: Seen<'_>) -> Result<&Sample, String> {
    seen.sample.ok_or_else(|| "no sample yet".to_owned())
}

fn memory(seen: Seen<'_>) -> Result<&Memory, String> {
    sample(seen)?.memory.as_ref().map_err(ToString::to_string)
}

fn used(seen: Seen<'_>) -> Result<Percent, String> {
    let memory = memory(seen)?;
    memory.used().share_of(memory.total).ok_or_else(|| "memory has no size".to_owned())
}

fn swap(seen: Seen<'_>) -> Result<Bytes, String> {
    sample(seen)?.swap.as_ref().map(|swap| swap.used).map_err(ToString::to_string)
}

/// By the best figure of each; those elsewhere take nothing here.
fn largest_model(seen: Seen<'_>) -> Result<(Bytes, Option<String>), String> {
    let server = seen.server.ok_or_else(|| "no model server is known".to_owned())?;
    match &server.state {
        RuntimeState::Unknown => return Err("the model server has not answered yet".to_owned()),
        RuntimeState::Down { .. } => return Err("the model server does not answer".to_owned()),
        RuntimeState::Up | RuntimeState::Slow => {}
    }
    if server.place == Place::Remote {
        return Err("the model server is elsewhere".to_owned());
    }
    let is_here = |view: &&ModelView| {
        !view.is_remote && !view.is_cloud && !matches!(view.state, ModelState::Gone { .. })
    };
    let mut largest = (Bytes::ZERO, None);
    for view in seen.models.iter().filter(is_here) {
        let name = view.name.short().to_owned();
        let held = view.held().ok_or_else(|| format!("nobody tells what {name} holds"))?;
        if held >= largest.0 {
            largest = (held, Some(name));
        }
    }
    Ok(largest)
}

fn containers(seen: Seen<'_>) -> Result<Bytes, String> {
    if !seen.names_containers {
        return Err("the config names no container; only those it names are read".to_owned());
    }
    let groups = sample(seen)?.groups.as_ref().map_err(ToString::to_string)?;
    let mut all = Bytes::ZERO;
    for group in groups.iter().filter(|one| matches!(one.kind, GroupKind::Container { .. })) {
        let used =
            group.used.ok_or_else(|| format!("{} does not tell what it uses", group.name))?;
        all += used;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::group::Group;
    use crate::domain::sample::{AvailableSource, MemoryParts, Swap, no_groups};
    use crate::domain::target::TargetOutcome::{self, Achieved, Missed, Unknown};
    use crate::domain::{Moment, Monotonic, SensorFault, Wall};

    fn moment() -> Moment {
        Moment::new(Wall::UNIX_EPOCH, Monotonic::from_millis(0))
    }

    fn machine(available: Bytes, swapped: Bytes) -> Sample {
        let absent = || SensorFault::absent("not here");
        Sample {
            at: moment(),
            memory: Ok(Memory {
                total: Bytes::gib(16),
                available,
                free: available,
                available_source: AvailableSource::Kernel,
                parts: MemoryParts::Linux {
                    anonymous: None,
                    cached: None,
                    shared: None,
                    slab_unreclaimable: None,
                },
            }),
            swap: Ok(Swap { total: Bytes::gib(2), used: swapped }),
            pressure: Err(absent()),
            paging: Err(absent()),
            zram: Err(absent()),
            limit: Err(absent()),
            gpus: Err(absent()),
            processes: Err(absent()),
            groups: no_groups(),
        }
    }

    fn container(used: Option<Bytes>) -> Group {
        Group {
            kind: GroupKind::Container { id: "0".repeat(64) },
            name: "db".into(),
            used,
            swapped: None,
            limit: None,
            oom_kills: None,
            stalled: None,
            is_paused: false,
        }
    }

    fn server(state: RuntimeState) -> RuntimeView {
        RuntimeView {
            kind: "ollama".into(),
            url: String::new(),
            state,
            version: None,
            place: Place::Local,
            since: moment(),
        }
    }

    fn outcomes(sample: &Sample, names_containers: bool) -> [TargetOutcome; 5] {
        let server = server(RuntimeState::Up);
        let seen =
            Seen { sample: Some(sample), models: &[], server: Some(&server), names_containers };
        let views = evaluate(&Targets::LINUX_15, seen);
        let outcomes: Vec<_> = views.iter().map(TargetView::outcome).collect();
        outcomes.try_into().unwrap()
    }

    #[test]
    fn each_is_held_against_its_own_figure() {
        let mut calm = machine(Bytes::gib(8), Bytes::ZERO);
        assert_eq!(outcomes(&calm, false), [Achieved, Achieved, Unknown, Achieved, Achieved]);
        calm.groups = Ok(vec![container(Some(Bytes::gib(1))), container(Some(Bytes::mib(1023)))]);
        assert_eq!(outcomes(&calm, true)[2], Achieved);
        calm.groups = Ok(vec![container(Some(Bytes::gib(1))), container(Some(Bytes::gib(1)))]);
        assert_eq!(outcomes(&calm, true)[2], Missed, "the limit itself is no longer below it");
        calm.groups = Ok(vec![container(None)]);
        assert_eq!(outcomes(&calm, true)[2], Unknown, "what does not tell is not 0");
        let full = machine(Bytes::gib(3), Bytes::mib(100));
        assert_eq!(outcomes(&full, false), [Missed, Achieved, Unknown, Missed, Missed]);
    }

    #[test]
    fn what_is_not_known_is_no_achievement() {
        let targets = Targets::LINUX_15;
        let blind = Seen { sample: None, models: &[], server: None, names_containers: true };
        let views = evaluate(&targets, blind);
        assert!(views.iter().all(|view| view.outcome() == Unknown), "{views:?}");
        let unasked = server(RuntimeState::Unknown);
        let seen = Seen { server: Some(&unasked), ..blind };
        assert_eq!(evaluate(&targets, seen)[1].outcome(), Unknown);
        assert_eq!(evaluate(&Targets::default(), blind), []);
    }
}
