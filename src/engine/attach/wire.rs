//! What goes over the socket, and how a snapshot is told by what changed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Moment;
use crate::domain::history::{History, Point};
use crate::domain::snapshot::{FORMAT, Part, Snapshot};
use crate::engine::link::{Command, Reply};

/// The first line, each way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub plimsoll: String,
    pub format: u32,
}

impl Hello {
    pub fn own() -> Hello {
        Hello { plimsoll: env!("CARGO_PKG_VERSION").to_owned(), format: FORMAT }
    }
}

/// A client's line after its hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The client's own; its answer carries it.
    pub number: u64,
    pub command: Command,
}

/// The holder's line after its hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToClient {
    Snapshot(Box<Update>),
    Answer { number: u64, reply: Reply },
}

/// A snapshot to one who has the one before it: parts of the same version are
/// left empty, and of the history only the new points are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Update {
    snapshot: Snapshot,
    history: HistoryUpdate,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HistoryUpdate {
    Whole(History),
    Newer {
        points: Vec<Point>,
        /// `None`: as they were.
        marks: Option<Arc<Vec<(Moment, String)>>>,
    },
}

impl Update {
    pub fn between(before: Option<&Snapshot>, now: &Snapshot) -> Update {
        let mut snapshot = now.clone();
        snapshot.history = History::default();
        let Some(before) = before else {
            return Update { snapshot, history: HistoryUpdate::Whole(now.history.clone()) };
        };
        leave_out(&mut snapshot.installed, &before.installed);
        leave_out(&mut snapshot.components, &before.components);
        leave_out(&mut snapshot.events, &before.events);
        leave_out(&mut snapshot.fits, &before.fits);
        leave_out(&mut snapshot.hints, &before.hints);
        Update { snapshot, history: HistoryUpdate::between(&before.history, &now.history) }
    }

    /// The snapshot again, `before` being the one it was told against.
    pub fn onto(self, before: Option<&Snapshot>) -> Snapshot {
        let mut snapshot = self.snapshot;
        if let Some(before) = before {
            fill_in(&mut snapshot.installed, &before.installed);
            fill_in(&mut snapshot.components, &before.components);
            fill_in(&mut snapshot.events, &before.events);
            fill_in(&mut snapshot.fits, &before.fits);
            fill_in(&mut snapshot.hints, &before.hints);
        }
        snapshot.history = self.history.onto(before.map(|before| &before.history));
        snapshot
    }
}

fn leave_out<T: Default>(part: &mut Part<T>, before: &Part<T>) {
    if part.version == before.version {
        part.value = Arc::default();
    }
}

fn fill_in<T>(part: &mut Part<T>, before: &Part<T>) {
    if part.version == before.version {
        part.value = Arc::clone(&before.value);
    }
}

impl HistoryUpdate {
    fn between(before: &History, now: &History) -> HistoryUpdate {
        let last = before.points().next_back();
        let mut points: Vec<Point> =
            now.points().rev().take_while(|point| Some(*point) != last).cloned().collect();
        // Their last point has left the ring, or there was none: what is newer
        // cannot be told apart.
        if points.len() == now.len() {
            return HistoryUpdate::Whole(now.clone());
        }
        points.reverse();
        let has_marks_of_before =
            Arc::ptr_eq(&now.marks, &before.marks) || now.marks == before.marks;
        let marks = (!has_marks_of_before).then(|| Arc::clone(&now.marks));
        HistoryUpdate::Newer { points, marks }
    }

    fn onto(self, before: Option<&History>) -> History {
        match self {
            HistoryUpdate::Whole(history) => history,
            HistoryUpdate::Newer { points, marks } => {
                let mut history = before.cloned().unwrap_or_default();
                for point in points {
                    history.push(point);
                }
                if let Some(marks) = marks {
                    history.marks = marks;
                }
                history
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{Monotonic, Wall};
    use crate::domain::{Bytes, Level};

    fn grown(history: &History, to: u64) -> History {
        let mut history = history.clone();
        let from = history.points().next_back().map_or(0, |point| point.at.mono.millis() + 1);
        for millis in from..to {
            let at = Moment::new(Wall::UNIX_EPOCH, Monotonic::from_millis(millis));
            history.push(Point {
                at,
                used: Some(Bytes::mib(millis)),
                total: None,
                swap_used: None,
                stalled: None,
                models: Bytes::ZERO,
                level: Level::Normal,
            });
        }
        history
    }

    #[test]
    fn a_history_told_by_its_new_points_is_the_same_history() {
        let mut now = History::with_room_for(120);
        let mut theirs = HistoryUpdate::between(&now, &now).onto(None);
        for to in [0, 1, 59, 60, 61, 61, 150, 200, 1000, 1001] {
            let mut next = grown(&now, to);
            if to % 2 == 0 {
                let at = Moment::new(Wall::UNIX_EPOCH, Monotonic::from_millis(to));
                next.mark(at, "loaded".into());
            }
            let update = HistoryUpdate::between(&now, &next);
            let is_whole = matches!(update, HistoryUpdate::Whole(_));
            // From nothing, and where all that was known has left the ring.
            assert_eq!(is_whole, now.is_empty() || to == 1000, "{to}");
            theirs = update.onto(Some(&theirs));
            assert_eq!(theirs, next);
            now = next;
        }
    }
}
