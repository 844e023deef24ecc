//! From looks at the machine to a measurement: which figure is followed, and
//! what the looks were. It reads no clock and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::pattern::matches;
use crate::domain::sample::{Paging, Pressure, Sample};
use crate::domain::snapshot::{Mode, RuntimeState};
use crate::domain::text::clean;
use crate::domain::{
    Bytes, Component, ComponentKind, Level, Moment, Monotonic, ProcessKey, Snapshot,
};
use crate::forecast::series::{Count, LevelTimes, Series, Stalls};

use super::measurement::{
    ComponentMeasures, EndedBy, Levels, MOST_COMPONENTS, Machine, Measurement, Measures,
    SCHEMA_VERSION, Stalled, System,
};

/// Looks that come less often than asked for were not missed by accident: so
/// many intervals apart they are.
const GAP_INTERVALS: u32 = 3;
const SHORTEST_GAP: Duration = Duration::from_secs(15);

pub struct Collected {
    gap: Duration,
    /// So long after the first look a level of normal says nothing.
    unsettled: Duration,
    patterns: Vec<String>,
    first: Option<Moment>,
    last: Option<Moment>,
    looks: u64,
    /// Milliseconds between looks, and how often.
    steps: BTreeMap<u128, u64>,
    machine: Option<Machine>,
    used: Series,
    available: Series,
    swap: Series,
    models: Series,
    components: BTreeMap<Life, Followed>,
    left_out: u64,
    levels: LevelTimes,
    some: Stalls,
    full: Stalls,
    oom_kills: Count,
}

/// Who stays the same while it is followed. Of equal names one has a plain id
/// and which one that is changes: there it is the process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    Process(ProcessKey),
    /// A model has another process each time it is loaded.
    Named(String),
}

impl Life {
    fn of(component: &Component) -> Life {
        use ComponentKind::{Container, Model, Service};
        let is_named = matches!(component.kind, Model | Container | Service);
        match component.process.filter(|_| !is_named) {
            Some(process) => Life::Process(process),
            None => Life::Named(component.id.clone()),
        }
    }
}

struct Followed {
    /// No other one's, also once it is gone.
    id: String,
    name: String,
    component: String,
    source: String,
    is_there: bool,
    series: Series,
}

impl Collected {
    /// `interval`: how often it is looked, as far as that is known; `unsettled`:
    /// how long an engine that has only begun cannot tell the level.
    pub fn new(patterns: &[String], interval: Duration, unsettled: Duration) -> Collected {
        let gap = gap(interval);
        Collected {
            gap,
            unsettled,
            patterns: patterns.to_vec(),
            first: None,
            last: None,
            looks: 0,
            steps: BTreeMap::new(),
            machine: None,
            used: Series::new(gap),
            available: Series::new(gap),
            swap: Series::new(gap),
            models: Series::new(gap),
            components: BTreeMap::new(),
            left_out: 0,
            levels: LevelTimes::new(gap),
            some: Stalls::new(gap),
            full: Stalls::new(gap),
            oom_kills: Count::default(),
        }
    }

    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// So long it is by the samples' own time.
    pub fn span(&self) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) => last.since(first),
            _ => Duration::ZERO,
        }
    }

    /// The most that was used so far.
    pub fn peak(&self) -> Option<Bytes> {
        self.used.peak()
    }

    /// A snapshot with a sample that is new; any other tells nothing.
    pub fn look(&mut self, snapshot: &Snapshot) {
        let Some(sample) = snapshot.sample.as_ref() else { return };
        if self.last.is_some_and(|last| sample.at.mono <= last.mono) {
            return;
        }
        let at = sample.at.mono;
        if let Some(last) = self.last {
            *self.steps.entry(sample.at.since(last).as_millis()).or_default() += 1;
        }
        self.looks += 1;
        self.first.get_or_insert(sample.at);
        self.last = Some(sample.at);
        let memory = sample.memory.as_ref().ok();
        self.used.look(at, memory.map(|memory| memory.used()));
        self.available.look(at, memory.map(|memory| memory.available));
        self.swap.look(at, sample.swap.as_ref().ok().map(|swap| swap.used));
        self.models.look(at, models(snapshot));
        self.levels.look(at, self.level(at, snapshot.level.level));
        let (some, full) = stalled(sample);
        self.some.look(at, some);
        self.full.look(at, full);
        let kills = |paging: &Paging| paging.oom_kills;
        self.oom_kills.look(sample.paging.as_ref().ok().and_then(kills));
        self.look_at_components(at, snapshot);
        if self.machine.as_ref().is_none_or(|machine| machine.memory_bytes.is_none()) {
            self.machine = Some(machine(snapshot, sample));
        }
    }

    /// A level that was entered is one; normal may only mean that none could
    /// be entered yet.
    fn level(&self, at: Monotonic, level: Level) -> Option<Level> {
        let since = self.first.map_or(Duration::ZERO, |first| at.since(first.mono));
        (level != Level::Normal || since >= self.unsettled).then_some(level)
    }

    fn look_at_components(&mut self, at: Monotonic, snapshot: &Snapshot) {
        self.components.values_mut().for_each(|one| one.is_there = false);
        let mut left_out = 0;
        for component in snapshot.components.value.iter() {
            let is_match = |pattern: &String| {
                matches(pattern, &component.id) || matches(pattern, &component.name)
            };
            if !self.patterns.iter().any(is_match) {
                continue;
            }
            let life = Life::of(component);
            if !self.components.contains_key(&life) {
                if self.components.len() >= MOST_COMPONENTS {
                    left_out += 1;
                    continue;
                }
                self.components.insert(life.clone(), self.begun(component));
            }
            let Some(followed) = self.components.get_mut(&life) else { continue };
            followed.is_there = true;
            if let Some(footprint) = component.footprint {
                followed.source = footprint.source.word().to_owned();
            }
            followed.series.look(at, component.footprint.map(|footprint| footprint.bytes));
        }
        self.left_out = self.left_out.max(left_out);
        let gone = self.components.values_mut().filter(|one| !one.is_there);
        gone.for_each(|one| one.series.look(at, None));
    }

    fn begun(&self, component: &Component) -> Followed {
        let id = clean(&component.id);
        let is_taken = self.components.values().any(|one| one.id == id);
        let id = match component.process.filter(|_| is_taken) {
            // As the list of components tells repeated names apart.
            Some(process) => format!("{id}#{}", process.pid),
            None => id,
        };
        Followed {
            id,
            name: clean(&component.name),
            component: component.kind.word().to_owned(),
            source: String::new(),
            is_there: true,
            series: Series::new(self.gap),
        }
    }

    /// `None`: nothing was seen at all.
    pub fn measurement(&self, ended_by: EndedBy) -> Option<Measurement> {
        let (first, last) = (self.first?, self.last?);
        let measures = |series: &Series| Measures::of(series, first.mono);
        let components = self.components.values().filter_map(|one| {
            Some(ComponentMeasures {
                id: one.id.clone(),
                name: one.name.clone(),
                component: one.component.clone(),
                source: one.source.clone(),
                is_gone: !one.is_there,
                measures: measures(&one.series)?,
            })
        });
        let mut components: Vec<ComponentMeasures> = components.collect();
        components.sort_by(|a, b| a.id.cmp(&b.id));
        Some(Measurement {
            schema_version: SCHEMA_VERSION,
            kind: Measurement::kind(),
            plimsoll: env!("CARGO_PKG_VERSION").to_owned(),
            machine: self.machine.clone()?,
            begun: first.wall,
            ended: last.wall,
            span_seconds: last.since(first).as_secs_f64(),
            ended_by,
            looks: self.looks,
            interval_seconds: self.middle_step(),
            system: System {
                used: measures(&self.used),
                available: measures(&self.available),
                swap: measures(&self.swap),
            },
            models: measures(&self.models),
            patterns: self.patterns.iter().map(|pattern| clean(pattern)).collect(),
            components,
            components_left_out: self.left_out,
            levels: self.levels.times().map(Levels::new),
            stall: self.stall(),
            oom_kills: self.oom_kills.more(),
            command: None,
            targets: Vec::new(),
            result: None,
        })
    }

    fn stall(&self) -> Option<Stalled> {
        Some(Stalled {
            some_seconds: self.some.total()?.as_secs_f64(),
            full_seconds: self.full.total().map(|total| total.as_secs_f64()),
            longest_seconds: self.some.longest().map(|longest| longest.as_secs_f64()),
        })
    }

    fn middle_step(&self) -> Option<f64> {
        let count: u64 = self.steps.values().sum();
        let mut before = 0;
        let middle = self.steps.iter().find(|(_, often)| {
            before += **often;
            before * 2 >= count
        });
        middle.map(|(millis, _)| *millis as f64 / 1000.0)
    }
}

/// Looks further apart than this have a gap between them.
pub fn gap(interval: Duration) -> Duration {
    interval.saturating_mul(GAP_INTERVALS).max(SHORTEST_GAP)
}

/// What models of this machine hold; where no server tells, nobody knows.
fn models(snapshot: &Snapshot) -> Option<Bytes> {
    let is_told = snapshot
        .runtimes
        .iter()
        .any(|server| matches!(server.state, RuntimeState::Up | RuntimeState::Slow));
    (is_told || !snapshot.models.is_empty()).then(|| snapshot.models_held())
}

fn stalled(sample: &Sample) -> (Option<u64>, Option<u64>) {
    match &sample.pressure {
        Ok(Pressure::Psi { some, full }) => {
            (Some(some.total_us), full.as_ref().map(|full| full.total_us))
        }
        _ => (None, None),
    }
}

fn machine(snapshot: &Snapshot, sample: &Sample) -> Machine {
    let host = &snapshot.host;
    Machine {
        name: clean(&host.name),
        system: clean(&host.system),
        kernel: clean(&host.kernel),
        memory_bytes: sample.memory.as_ref().ok().map(|memory| memory.total),
        swap_bytes: sample.swap.as_ref().ok().map(|swap| swap.total),
        profile: snapshot.profile.name.clone(),
        mode: match snapshot.mode {
            Mode::Live => "live",
            Mode::Demo => "demo",
            Mode::Replay => "replay",
        }
        .to_owned(),
    }
}

#[cfg(test)]
mod tests;
