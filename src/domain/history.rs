//! The recent past as a graph needs it: one point per slot of time.
//!
//! Closed chunks are immutable and shared, so a snapshot costs a handful of
//! pointers however long the past is.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::level::Level;
use super::time::Moment;

/// A graph needs no finer points, however fast samples come.
pub const POINT_EVERY: Duration = Duration::from_secs(1);

/// Points in a chunk.
const CHUNK: usize = 60;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub at: Moment,
    /// `None`: memory could not be read.
    pub used: Option<Bytes>,
    pub total: Option<Bytes>,
    pub swap_used: Option<Bytes>,
    /// Percent stalled (`some`, 10 s), where the system has PSI.
    pub stalled: Option<f64>,
    pub models: Bytes,
    pub level: Level,
}

/// A ring of points, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    closed: Vec<Arc<Vec<Point>>>,
    open: Arc<Vec<Point>>,
    /// Chunks kept besides the open one.
    keep: usize,
    /// Moments worth a mark on the graph: (when, what), oldest first.
    pub marks: Arc<Vec<(Moment, String)>>,
}

impl History {
    /// Room for at least so many points.
    pub fn with_room_for(points: usize) -> Self {
        History { keep: points.div_ceil(CHUNK).max(1), ..History::default() }
    }

    /// How far back it is sure to reach, once it is full.
    pub fn span(&self) -> Duration {
        POINT_EVERY * u32::try_from(self.keep.max(1) * CHUNK).unwrap_or(u32::MAX)
    }

    pub fn push(&mut self, point: Point) {
        Arc::make_mut(&mut self.open).push(point);
        if self.open.len() >= CHUNK {
            self.closed.push(std::mem::take(&mut self.open));
            let surplus = self.closed.len().saturating_sub(self.keep);
            self.closed.drain(..surplus);
        }
    }

    /// Marks a moment; the oldest marks leave once there are 60.
    pub fn mark(&mut self, at: Moment, what: String) {
        let marks = Arc::make_mut(&mut self.marks);
        marks.push((at, what));
        let surplus = marks.len().saturating_sub(60);
        marks.drain(..surplus);
    }

    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.closed.iter().flat_map(|chunk| chunk.iter()).chain(self.open.iter())
    }

    pub fn len(&self) -> usize {
        self.closed.len() * CHUNK + self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::{Monotonic, Wall};

    fn point(millis: u64) -> Point {
        Point {
            at: Moment::new(Wall::UNIX_EPOCH, Monotonic::from_millis(millis)),
            used: None,
            total: None,
            swap_used: None,
            stalled: None,
            models: Bytes::ZERO,
            level: Level::Normal,
        }
    }

    #[test]
    fn the_oldest_points_leave_first() {
        let mut history = History::with_room_for(120);
        assert_eq!(history.span(), Duration::from_secs(120));
        for millis in 0..1000 {
            history.push(point(millis));
        }
        assert!(history.len() >= 120 && history.len() < 240);
        assert_eq!(history.points().next_back().map(|p| p.at.mono.millis()), Some(999));
        assert_eq!(history.points().count(), history.len());
    }
}
