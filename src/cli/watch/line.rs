//! One line of `watch`, and whether another is due.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::cli::facts::write_json_line;
use crate::cli::status::json::{EventStatus, Status};
use crate::domain::level::Headroom;
use crate::domain::pattern::matches;
use crate::domain::snapshot::RuntimeState;
use crate::domain::text::clean;
use crate::domain::{Bytes, Component, Event, Level, Snapshot};

/// Less is breathing.
const LEAST_MOVE: Bytes = Bytes::mib(16);

/// What a line has told, as far as another is due when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    level: Level,
    headroom_to: Option<Level>,
    server: Option<&'static str>,
    models: Vec<(String, &'static str)>,
    available: Option<Bytes>,
    /// A hundredth of memory.
    share: Bytes,
    /// By id; only those that match.
    components: BTreeMap<String, Option<Bytes>>,
}

impl Told {
    pub fn of(snapshot: &Snapshot, pattern: Option<&str>) -> Told {
        let memory = snapshot.sample.as_ref().and_then(|sample| sample.memory.as_ref().ok());
        let models = snapshot.models.iter();
        let held = |one: &Component| one.footprint.map(|footprint| footprint.bytes);
        let components = pattern.map(|pattern| matching(snapshot, pattern)).into_iter().flatten();
        Told {
            level: snapshot.level.level,
            headroom_to: match &snapshot.headroom {
                Headroom::Known { to, .. } => Some(*to),
                Headroom::Unknown { .. } => None,
            },
            server: snapshot.runtimes.first().map(|server| server.state.word()),
            models: models.map(|view| (view.name.to_string(), view.state.word())).collect(),
            available: memory.map(|memory| memory.available),
            share: memory.map_or(Bytes::ZERO, |memory| Bytes::new(memory.total.get() / 100)),
            components: components.map(|one| (one.id.clone(), held(one))).collect(),
        }
    }

    pub fn differs_from(&self, now: &Told) -> bool {
        let moved = |before: Option<Bytes>, now: Option<Bytes>, least: Bytes| match (before, now) {
            (Some(before), Some(now)) => now.since(before).magnitude() > least,
            (before, now) => before.is_some() != now.is_some(),
        };
        let have_moved = || {
            let pairs = self.components.iter().zip(&now.components);
            pairs
                .into_iter()
                .any(|((id, before), (other, now))| id != other || moved(*before, *now, LEAST_MOVE))
        };
        (self.level, self.headroom_to, self.server) != (now.level, now.headroom_to, now.server)
            || self.models != now.models
            || moved(self.available, now.available, now.share)
            || self.components.len() != now.components.len()
            || have_moved()
    }
}

fn is_match(pattern: &str, id: &str, name: &str) -> bool {
    matches(pattern, id) || matches(pattern, name)
}

fn matching<'a>(snapshot: &'a Snapshot, pattern: &'a str) -> impl Iterator<Item = &'a Component> {
    let components = snapshot.components.value.iter();
    components.filter(move |one| is_match(pattern, &one.id, &one.name))
}

/// What `status --json` prints, on one line.
pub fn json(
    snapshot: &Snapshot,
    (pattern, events): (Option<&str>, &[Event]),
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut status = Status::of(snapshot);
    let hints = &snapshot.hints.value;
    status.events = events.iter().rev().map(|event| EventStatus::seen(event, hints)).collect();
    if let Some(pattern) = pattern {
        status.components.retain(|one| is_match(pattern, &one.id, &one.name));
    }
    write_json_line(out, &status)
}

/// What matters first: a narrow terminal shows no more.
pub fn text(snapshot: &Snapshot, pattern: Option<&str>) -> String {
    let time = snapshot.at.wall.strftime("%Y-%m-%dT%H:%M:%SZ");
    let mut told = Vec::new();
    told.push(match &snapshot.headroom {
        Headroom::Known { bytes, to } => format!("headroom {bytes} to {to}"),
        Headroom::Unknown { .. } => "headroom unknown".to_owned(),
    });
    for one in pattern.map(|pattern| matching(snapshot, pattern)).into_iter().flatten() {
        let held = one.footprint.map_or("-".to_owned(), |footprint| footprint.bytes.to_string());
        told.push(format!("{} {held}", one.name));
    }
    if let Some(Ok(memory)) = snapshot.sample.as_ref().map(|sample| &sample.memory) {
        told.push(format!("available {}", memory.available));
    }
    if let Some(Ok(swap)) = snapshot.sample.as_ref().map(|sample| &sample.swap) {
        told.push(format!("swap {}", swap.used));
    }
    // What nobody tells is not none.
    told.push(match snapshot.runtimes.iter().any(|server| is_silent(&server.state)) {
        true => "models -".to_owned(),
        false => format!("models {} ({})", snapshot.models.len(), snapshot.models_held()),
    });
    told.extend(snapshot.runtimes.iter().map(|one| format!("{} {}", one.kind, one.state.word())));
    told.extend(snapshot.level.set_by.as_ref().map(|cause| cause.text.clone()));
    let told: Vec<String> = told.iter().map(|part| clean(part)).collect();
    format!("{time}  {:<9}  {}", snapshot.level.level, told.join("  "))
}

const fn is_silent(state: &RuntimeState) -> bool {
    matches!(state, RuntimeState::Down { .. } | RuntimeState::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            level: Level::Normal,
            headroom_to: Some(Level::Warning),
            server: Some("up"),
            models: Vec::new(),
            available: Some(Bytes::gib(4)),
            share: Bytes::mib(100),
            components: [("process:a".to_owned(), Some(Bytes::mib(500)))].into(),
        }
    }

    #[test]
    fn breathing_is_no_change() {
        let components = [("process:a".to_owned(), Some(Bytes::mib(510)))].into();
        let breathes = Told { available: Some(Bytes::mib(4096 - 100)), components, ..told() };
        assert!(!told().differs_from(&breathes));
    }

    #[test]
    fn what_is_told_again_has_changed() {
        let components = |id: &str, bytes| [(id.to_owned(), bytes)].into();
        for now in [
            Told { level: Level::Warning, ..told() },
            Told { server: Some("down"), ..told() },
            Told { models: vec![("tiny:1b".to_owned(), "ready")], ..told() },
            Told { available: Some(Bytes::mib(4096 - 101)), ..told() },
            Told { available: None, ..told() },
            Told { components: components("process:a", Some(Bytes::mib(517))), ..told() },
            Told { components: components("process:b", Some(Bytes::mib(500))), ..told() },
            Told { components: components("process:a", None), ..told() },
            Told { components: BTreeMap::new(), ..told() },
        ] {
            assert!(told().differs_from(&now) && now.differs_from(&told()), "{now:?}");
        }
    }
}
