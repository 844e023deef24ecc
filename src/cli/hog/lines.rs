//! What the hog says: a line a step, and in the end what came back.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::document::Document;
use crate::cli::facts::cell;
use crate::domain::level::Headroom;
use crate::domain::{Bytes, BytesDelta, Level, Snapshot, Wall};

/// How lines are written.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    pub is_json: bool,
    pub columns: Option<usize>,
}

#[derive(Serialize)]
struct StepJson {
    schema_version: u32,
    event: &'static str,
    time: Wall,
    held_bytes: Bytes,
    size_bytes: Bytes,
    level: Level,
    headroom_bytes: Option<Bytes>,
    headroom_to: Option<Level>,
    available_bytes: Option<Bytes>,
    swap_used_bytes: Option<Bytes>,
}

/// What was there before all was given back, and after.
#[derive(Debug, Clone)]
pub struct Freed {
    pub why: String,
    pub held: Bytes,
    /// Of this process, in pages of its own; `None`: not told here.
    pub own: Option<(Bytes, Bytes)>,
    /// Available; `None`: it could not be read.
    pub available: Option<(Bytes, Bytes)>,
    pub highest: Level,
}

#[derive(Serialize)]
struct FreedJson<'a> {
    schema_version: u32,
    event: &'static str,
    time: Wall,
    reason: &'a str,
    held_bytes: Bytes,
    /// `null`: not told on this system.
    came_back_bytes: Option<Bytes>,
    available_before_bytes: Option<Bytes>,
    available_after_bytes: Option<Bytes>,
    highest_level: Level,
}

impl Freed {
    /// By this process's own pages.
    pub fn came_back(&self) -> Option<Bytes> {
        self.own.map(|(before, after)| before.saturating_sub(after))
    }
}

impl Lines {
    pub fn step(
        self,
        out: &mut dyn Write,
        (held, size): (Bytes, Bytes),
        snapshot: &Snapshot,
    ) -> io::Result<()> {
        let (headroom_bytes, headroom_to) = match &snapshot.headroom {
            Headroom::Known { bytes, to } => (Some(*bytes), Some(*to)),
            Headroom::Unknown { .. } => (None, None),
        };
        let sample = snapshot.sample.as_deref();
        let step = StepJson {
            schema_version: Document::Hog.version(),
            event: "step",
            time: snapshot.at.wall,
            held_bytes: held,
            size_bytes: size,
            level: snapshot.level.level,
            headroom_bytes,
            headroom_to,
            available_bytes: sample.and_then(|it| Some(it.memory.as_ref().ok()?.available)),
            swap_used_bytes: sample.and_then(|it| Some(it.swap.as_ref().ok()?.used)),
        };
        match self.is_json {
            true => self.json(out, &step),
            false => self.text(out, &step.text()),
        }
    }

    pub fn freed(self, out: &mut dyn Write, freed: &Freed) -> io::Result<()> {
        if !self.is_json {
            return self.text(out, &freed.text());
        }
        let said = FreedJson {
            schema_version: Document::Hog.version(),
            event: "freed",
            time: Wall::now(),
            reason: &freed.why,
            held_bytes: freed.held,
            came_back_bytes: freed.came_back(),
            available_before_bytes: freed.available.map(|(before, _)| before),
            available_after_bytes: freed.available.map(|(_, after)| after),
            highest_level: freed.highest,
        };
        self.json(out, &said)
    }

    fn json(self, out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *out, value)?;
        writeln!(out)?;
        out.flush()
    }

    fn text(self, out: &mut dyn Write, line: &str) -> io::Result<()> {
        match self.columns {
            Some(columns) => writeln!(out, "{}", cell(line, columns).trim_end())?,
            None => writeln!(out, "{line}")?,
        }
        out.flush()
    }
}

impl StepJson {
    fn text(&self) -> String {
        let mut said = format!("held {} of {}  {}", self.held_bytes, self.size_bytes, self.level);
        said.push_str(&match (self.headroom_bytes, self.headroom_to) {
            (Some(bytes), Some(to)) => format!("  headroom {bytes} to {to}"),
            _ => "  headroom unknown".to_owned(),
        });
        if let Some(available) = self.available_bytes {
            said.push_str(&format!("  available {available}"));
        }
        if let Some(swap) = self.swap_used_bytes {
            said.push_str(&format!("  swap {swap}"));
        }
        said
    }
}

impl Freed {
    fn text(&self) -> String {
        let mut said = format!("freed {}: {}", self.held, self.why);
        if let Some(came_back) = self.came_back() {
            said.push_str(&format!("; {came_back} came back"));
        }
        if let Some((before, after)) = self.available {
            let change: BytesDelta = after.since(before);
            said.push_str(&format!("; available {after} ({change})"));
        }
        said
    }
}
