//! What a measurement found, as it is shown, judged, kept in a file and read
//! back. A file is somebody else's word: it is bounded, and its texts cleaned.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cli::document::Document;
use crate::domain::text::clean;
use crate::domain::{Bytes, BytesDelta, Level, Wall};
use crate::forecast::series::{Figures, Series, Times};

use super::target::{Judged, Verdict};

/// What a file says it is.
const KIND: &str = "plimsoll measurement";

/// A file of another version is not read.
pub const SCHEMA_VERSION: u32 = Document::Measure.version();

/// A measurement of all components there may be is far below it.
const LARGEST_FILE: u64 = 4 << 20;

/// Components that one measurement follows.
pub const MOST_COMPONENTS: usize = 256;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub schema_version: u32,
    pub kind: String,
    pub plimsoll: String,
    pub machine: Machine,
    pub begun: Wall,
    pub ended: Wall,
    pub span_seconds: f64,
    pub ended_by: EndedBy,
    /// Looks at the machine.
    pub looks: u64,
    /// Between two looks, in the middle.
    pub interval_seconds: Option<f64>,
    pub system: System,
    /// `null`: no server told of models.
    pub models: Option<Measures>,
    /// What was asked for by `--component`.
    pub patterns: Vec<String>,
    pub components: Vec<ComponentMeasures>,
    /// Matched, and too many to be followed.
    pub components_left_out: u64,
    pub levels: Option<Levels>,
    pub stall: Option<Stalled>,
    pub oom_kills: Option<u64>,
    pub command: Option<CommandMeasures>,
    pub targets: Vec<Judged>,
    /// The worst of the targets; `null`: there are none.
    pub result: Option<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    pub system: String,
    pub kernel: String,
    pub memory_bytes: Option<Bytes>,
    pub swap_bytes: Option<Bytes>,
    pub profile: String,
    /// `live`, `demo` or `replay`.
    pub mode: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The span was over.
    Time,
    /// The command ended.
    Command,
    /// A signal, from the keyboard or another program.
    Signal,
    /// The recording was over, or nobody read what is written.
    Source,
}

impl EndedBy {
    pub const fn words(self) -> &'static str {
        match self {
            EndedBy::Time => "until its time was over",
            EndedBy::Command => "until the command ended",
            EndedBy::Signal => "until a signal ended it early",
            EndedBy::Source => "until there was nothing more to see",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    pub used: Option<Measures>,
    pub available: Option<Measures>,
    pub swap: Option<Measures>,
}

/// What one figure did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    pub looks: u64,
    pub seen_seconds: f64,
    pub baseline_bytes: Bytes,
    pub peak_bytes: Bytes,
    /// After the measurement began.
    pub peak_at_seconds: f64,
    pub least_bytes: Bytes,
    pub average_bytes: Bytes,
    pub p95_bytes: Bytes,
    pub end_bytes: Bytes,
    /// From the baseline to the end.
    pub delta_bytes: BytesDelta,
    /// From the baseline to the peak.
    pub rise_bytes: Bytes,
    /// `null`: too short to say.
    pub growth_bytes_per_minute: Option<BytesDelta>,
}

impl Measures {
    /// `None`: nothing was read. `begun`: the start of the measurement.
    pub fn of(series: &Series, begun: crate::domain::Monotonic) -> Option<Measures> {
        let figures: Figures = series.figures()?;
        Some(Measures {
            looks: figures.looks,
            seen_seconds: figures.seen.as_secs_f64(),
            baseline_bytes: figures.baseline,
            peak_bytes: figures.peak,
            peak_at_seconds: figures.peak_at.since(begun).as_secs_f64(),
            least_bytes: figures.least,
            average_bytes: figures.average,
            p95_bytes: figures.p95,
            end_bytes: figures.end,
            delta_bytes: figures.delta(),
            rise_bytes: figures.rise(),
            growth_bytes_per_minute: figures.growth,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentMeasures {
    pub id: String,
    pub name: String,
    pub component: String,
    /// Where its bytes are from: `measured`, `reported` and so on.
    pub source: String,
    /// It was not there any more at the end.
    pub is_gone: bool,
    pub measures: Measures,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    pub normal_seconds: f64,
    pub warning_seconds: f64,
    pub critical_seconds: f64,
    pub emergency_seconds: f64,
    /// Nobody looked, or the level could not be told yet.
    pub unseen_seconds: f64,
}

impl Levels {
    pub fn new(times: Times) -> Levels {
        let seconds = |level| times.of(level).as_secs_f64();
        Levels {
            normal_seconds: seconds(Level::Normal),
            warning_seconds: seconds(Level::Warning),
            critical_seconds: seconds(Level::Critical),
            emergency_seconds: seconds(Level::Emergency),
            unseen_seconds: times.unseen.as_secs_f64(),
        }
    }

    pub fn of(&self, level: Level) -> f64 {
        match level {
            Level::Normal => self.normal_seconds,
            Level::Warning => self.warning_seconds,
            Level::Critical => self.critical_seconds,
            Level::Emergency => self.emergency_seconds,
        }
    }
}

/// Time that tasks waited for memory, by the kernel's own count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stalled {
    /// Some task.
    pub some_seconds: f64,
    /// All tasks at once; `null`: not told.
    pub full_seconds: Option<f64>,
    /// The most in one stretch of looks; `null`: they were too far apart.
    pub longest_seconds: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandMeasures {
    /// The name alone: its arguments may hold secrets.
    pub program: String,
    pub seconds: f64,
    /// `null`: a signal ended it, or it goes on.
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    pub goes_on: bool,
    /// It and all that came of it; `null`: they could not be followed.
    pub measures: Option<Measures>,
    pub most_processes: u64,
    /// Processes that came of it and were there when it had ended.
    pub left_behind: u64,
    /// The most that a single one of its processes was resident with, by the
    /// system's own count; `null`: no more than plimsoll, which it begins with.
    pub largest_process_bytes: Option<Bytes>,
}

impl Measurement {
    pub fn command_measures(&self) -> Option<&Measures> {
        self.command.as_ref()?.measures.as_ref()
    }

    pub fn span(&self) -> Duration {
        duration(self.span_seconds)
    }

    pub fn kind() -> String {
        KIND.to_owned()
    }

    /// Reads a file that was kept.
    pub fn read(path: &Path) -> Result<Measurement> {
        let shown = clean(&path.display().to_string());
        let file = crate::config::file::open(path).with_context(|| format!("open {shown}"))?;
        let mut text = Vec::new();
        file.take(LARGEST_FILE + 1)
            .read_to_end(&mut text)
            .with_context(|| format!("read {shown}"))?;
        if text.len() as u64 > LARGEST_FILE {
            bail!("{shown} is no measurement: it is larger than {}", Bytes::new(LARGEST_FILE));
        }
        parse(&text).with_context(|| format!("read {shown}"))
    }
}

/// A span from outside may be any number.
pub fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default()
}

fn parse(text: &[u8]) -> Result<Measurement> {
    #[derive(Deserialize)]
    struct Head {
        kind: Option<String>,
        schema_version: Option<u32>,
    }
    let accepted = "a file that `measure --save` wrote is wanted";
    let Ok(head) = serde_json::from_slice::<Head>(text) else {
        bail!("it is not the JSON of a measurement; {accepted}");
    };
    match (head.kind.as_deref(), head.schema_version) {
        (Some(KIND), Some(SCHEMA_VERSION)) => {}
        (Some(KIND), Some(version)) => {
            bail!("it is of version {version}; this plimsoll reads version {SCHEMA_VERSION}")
        }
        _ => bail!("it is JSON, and no measurement; {accepted}"),
    }
    let mut found: Measurement = serde_json::from_slice(text).map_err(|error| {
        anyhow::anyhow!("it is a measurement and damaged: {}", clean(&error.to_string()))
    })?;
    if found.components.len() > MOST_COMPONENTS {
        bail!("it has more than {MOST_COMPONENTS} components, which none was written with");
    }
    found.clean();
    Ok(found)
}

impl Measurement {
    fn clean(&mut self) {
        let machine = &mut self.machine;
        let texts = [
            &mut self.plimsoll,
            &mut machine.name,
            &mut machine.system,
            &mut machine.kernel,
            &mut machine.profile,
            &mut machine.mode,
        ];
        let components = self.components.iter_mut();
        let names = components.flat_map(|one| [&mut one.id, &mut one.name, &mut one.component]);
        let program = self.command.iter_mut().map(|command| &mut command.program);
        texts.into_iter().chain(names).chain(program).for_each(|text| *text = clean(text));
    }
}

#[cfg(test)]
pub mod tests;
