//! What a simulation found: counted while it runs, then data that can be
//! written as JSON. Whatever rests on modelled memory says so.

use std::collections::BTreeMap;
use std::ops::Add;
use std::time::Duration;

use serde::Serialize;

use crate::domain::event::{Event, EventBody, Origin};
use crate::domain::plan::Verdict;
use crate::domain::process::ProcessMemory;
use crate::domain::{
    Action, ActionId, Bytes, Cause, Group, Level, ModelName, Moment, Outcome, Sample, Wall,
};
use crate::policy::signals;

use super::super::input::RegimeFor;

/// A level that is raised again so soon after it was left was left too soon.
pub const LEVEL_AGAIN: Duration = Duration::from_secs(60);

/// A model that is wanted again so soon should have stayed.
pub const MODEL_AGAIN: Duration = Duration::from_secs(5 * 60);

/// What something gives back, and where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Of system memory in use.
    #[serde(rename = "memory_bytes")]
    pub memory: Bytes,
    #[serde(rename = "swap_bytes")]
    pub swap: Bytes,
    #[serde(rename = "vram_bytes")]
    pub vram: Bytes,
}

impl Given {
    /// What the end of a process gives back. Pages of files, such as mapped
    /// weights, were available before and stay so: they are not in it.
    pub fn of(memory: &ProcessMemory) -> Given {
        let own = match (memory.physical_footprint, memory.anonymous) {
            (Some(footprint), _) => Some(footprint),
            (None, Some(anonymous)) => Some(anonymous + memory.shared.unwrap_or_default()),
            (None, None) => memory.resident,
        };
        Given {
            memory: own.unwrap_or_default(),
            swap: memory.swapped.unwrap_or_default(),
            vram: Bytes::ZERO,
        }
    }

    pub fn of_group(group: &Group) -> Given {
        Given {
            memory: group.used.unwrap_or_default(),
            swap: group.swapped.unwrap_or_default(),
            vram: Bytes::ZERO,
        }
    }

    #[must_use]
    pub fn less(self, other: Given) -> Given {
        Given {
            memory: self.memory.saturating_sub(other.memory),
            swap: self.swap.saturating_sub(other.swap),
            vram: self.vram.saturating_sub(other.vram),
        }
    }

    /// System memory and swap.
    pub fn bytes(self) -> Bytes {
        self.memory + self.swap
    }
}

impl Add for Given {
    type Output = Given;
    fn add(self, other: Given) -> Given {
        Given {
            memory: self.memory + other.memory,
            swap: self.swap + other.swap,
            vram: self.vram + other.vram,
        }
    }
}

/// What one config would have done over one recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    pub profile: String,
    pub profile_why: String,
    pub span: Covered,
    /// Normal first.
    pub levels: Vec<LevelTime>,
    pub level_changes: Vec<LevelChange>,
    pub oscillations: Oscillations,
    pub actions: Vec<Done>,
    /// Plans that were only said or asked for.
    pub proposals: u64,
    pub expected_bytes: Bytes,
    pub freed_bytes: Bytes,
    /// The most by which memory in use was beyond where warning begins.
    /// `None`: it never was, or the profile names no such place.
    pub largest_shortfall: Option<Shortfall>,
    /// The same of the recording, as if nothing had been done.
    pub recorded_shortfall: Option<Shortfall>,
    pub oom_kills: OomKills,
}

/// The part of time that the recording tells of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Covered {
    pub started: Option<Wall>,
    pub samples: u64,
    pub covered_ms: u64,
    pub gaps: u64,
    /// In gaps nothing is known: they count for no level.
    pub gap_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LevelTime {
    pub level: Level,
    #[serde(rename = "time_ms")]
    pub ms: u64,
    pub share_percent: Option<f64>,
    /// While memory was not as it was recorded.
    pub modelled_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LevelChange {
    pub at: Wall,
    pub at_ms: u64,
    pub from: Level,
    pub to: Level,
    pub because: Option<String>,
    pub modelled: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Oscillations {
    pub levels: Vec<LevelAgain>,
    pub models: Vec<ModelAgain>,
}

/// A level raised again within [`LEVEL_AGAIN`] of having been left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LevelAgain {
    pub at: Wall,
    pub at_ms: u64,
    pub level: Level,
    pub after_ms: u64,
    pub modelled: bool,
}

/// A model wanted again within [`MODEL_AGAIN`] of its simulated unload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelAgain {
    pub at: Wall,
    pub at_ms: u64,
    pub model: String,
    pub after_ms: u64,
    pub how: Again,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// The recording shows another runner of it.
    LoadedAnew,
    /// Its expiry moved on: it would have been loaded again for that.
    Used,
}

/// An action of the rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Done {
    pub at: Wall,
    pub at_ms: u64,
    pub level: Level,
    pub verb: &'static str,
    pub subject: String,
    pub by_rule: bool,
    pub expected_bytes: Option<Bytes>,
    /// What the model of the machine gave back for it. `None`: nothing is
    /// known to come back of such an action.
    pub modelled: Option<Given>,
    /// `None`: the recording ended before it was seen.
    pub outcome: Option<Verdict>,
    #[serde(skip)]
    id: ActionId,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shortfall {
    pub bytes: Bytes,
    pub at: Wall,
    pub at_ms: u64,
    pub modelled: bool,
}

/// The recording's own: nothing done here can take one back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OomKills {
    pub before_first_action: u64,
    pub after_first_action: u64,
}

/// Counts while a simulation runs.
pub(super) struct Ledger {
    regime_for: RegimeFor,
    /// Total memory and where warning begins in it.
    mark: Option<(Bytes, Option<Bytes>)>,
    pub(super) now: Option<Moment>,
    start: Option<Moment>,
    is_modelled: bool,
    level: Level,
    /// When each level was last left for a lower one.
    left: [Option<Moment>; 4],
    times: [(Duration, Duration); 4],
    gap_time: Duration,
    oom_counter: Option<u64>,
    unloaded: BTreeMap<ModelName, Moment>,
    findings: Findings,
}

impl Ledger {
    pub(super) fn new(regime_for: RegimeFor) -> Ledger {
        let profile = regime_for(None).profile;
        Ledger {
            regime_for,
            mark: None,
            now: None,
            start: None,
            is_modelled: false,
            level: Level::Normal,
            left: [None; 4],
            times: [(Duration::ZERO, Duration::ZERO); 4],
            gap_time: Duration::ZERO,
            oom_counter: None,
            unloaded: BTreeMap::new(),
            findings: Findings {
                profile: profile.name,
                profile_why: profile.why,
                span: Covered::default(),
                levels: Vec::new(),
                level_changes: Vec::new(),
                oscillations: Oscillations::default(),
                actions: Vec::new(),
                proposals: 0,
                expected_bytes: Bytes::ZERO,
                freed_bytes: Bytes::ZERO,
                largest_shortfall: None,
                recorded_shortfall: None,
                oom_kills: OomKills::default(),
            },
        }
    }

    /// Time from one sample to the next.
    pub(super) fn pass(&mut self, step: Duration, is_gap: bool) {
        if is_gap {
            self.findings.span.gaps += 1;
            self.gap_time += step;
            return;
        }
        let (time, modelled) = &mut self.times[self.level as usize];
        *time += step;
        if self.is_modelled {
            *modelled += step;
        }
    }

    /// A sample as it was recorded.
    pub(super) fn note_recorded(&mut self, sample: &Sample) {
        let start = *self.start.get_or_insert(sample.at);
        self.findings.span.started = Some(start.wall);
        self.findings.span.samples += 1;
        self.count_oom_kills(sample);
        if let Some(bytes) = self.shortfall(sample) {
            let largest = self.findings.recorded_shortfall;
            self.findings.recorded_shortfall = self.larger(largest, (bytes, false), sample.at);
        }
    }

    /// The same, as the simulation has it.
    pub(super) fn note_sample(&mut self, sample: &Sample, is_modelled: bool) {
        self.is_modelled = is_modelled;
        if let Some(bytes) = self.shortfall(sample) {
            let largest = self.findings.largest_shortfall;
            self.findings.largest_shortfall = self.larger(largest, (bytes, is_modelled), sample.at);
        }
    }

    fn count_oom_kills(&mut self, sample: &Sample) {
        let Some(counter) = sample.paging.as_ref().ok().and_then(|paging| paging.oom_kills) else {
            return;
        };
        let before = self.oom_counter.replace(counter);
        let kills = before.map_or(0, |before| counter.saturating_sub(before));
        let count = &mut self.findings.oom_kills;
        match self.findings.actions.is_empty() {
            true => count.before_first_action += kills,
            false => count.after_first_action += kills,
        }
    }

    fn shortfall(&mut self, sample: &Sample) -> Option<Bytes> {
        let memory = sample.memory.as_ref().ok()?;
        let mark = match self.mark {
            Some((total, mark)) if total == memory.total => mark,
            _ => {
                let regime = (self.regime_for)(Some(memory.total));
                self.findings.profile = regime.profile.name;
                self.findings.profile_why = regime.profile.why;
                let marks = signals::marks(memory.total, &regime.limits);
                let mark = marks.first().map(|mark| mark.used);
                self.mark = Some((memory.total, mark));
                mark
            }
        };
        memory.used().checked_sub(mark?).filter(|bytes| !bytes.is_zero())
    }

    fn larger(
        &self,
        largest: Option<Shortfall>,
        (bytes, modelled): (Bytes, bool),
        at: Moment,
    ) -> Option<Shortfall> {
        if largest.is_some_and(|largest| largest.bytes >= bytes) {
            return largest;
        }
        Some(Shortfall { bytes, at: at.wall, at_ms: self.since_start(at), modelled })
    }

    fn since_start(&self, at: Moment) -> u64 {
        self.start.map_or(0, |start| millis(at.since(start)))
    }

    pub(super) fn note_event(&mut self, event: &Event, now: Moment) {
        match &event.body {
            EventBody::LevelChanged { from, to, cause, .. } => {
                self.note_level((*from, *to), cause.as_ref(), now);
            }
            EventBody::ActionStarted { id, action, by, expected } => {
                self.note_started((*id, *by), (action, *expected), now);
            }
            EventBody::ActionEnded { id, outcome, .. } => self.note_ended(*id, outcome),
            EventBody::ModelLoaded { model, .. } => {
                self.note_again(&ModelName::new(model.clone()), Again::LoadedAnew, now);
            }
            EventBody::Proposed { .. } => self.findings.proposals += 1,
            _ => {}
        }
    }

    fn note_level(&mut self, (from, to): (Level, Level), cause: Option<&Cause>, now: Moment) {
        self.level = to;
        let (at, at_ms) = (now.wall, self.since_start(now));
        let modelled = self.is_modelled;
        let because = cause.map(|cause| cause.text.clone());
        self.findings.level_changes.push(LevelChange { at, at_ms, from, to, because, modelled });
        for level in Level::ALL.into_iter().filter(|level| *level > to && *level <= from) {
            self.left[level as usize] = Some(now);
        }
        let raised = Level::ALL.into_iter().rev().filter(|level| *level > from && *level <= to);
        let mut again =
            raised.filter_map(|level| Some((level, now.since(self.left[level as usize]?))));
        // The highest of them stands for all.
        if let Some((level, after)) = again.find(|(_, after)| *after <= LEVEL_AGAIN) {
            let again = LevelAgain { at, at_ms, level, after_ms: millis(after), modelled };
            self.findings.oscillations.levels.push(again);
        }
    }

    fn note_started(
        &mut self,
        (id, by): (ActionId, Origin),
        (action, expected): (&Action, Option<Bytes>),
        now: Moment,
    ) {
        if let Action::Unload { model } = action {
            self.unloaded.insert(model.clone(), now);
        }
        self.findings.actions.push(Done {
            at: now.wall,
            at_ms: self.since_start(now),
            level: self.level,
            verb: action.verb(),
            subject: action.subject().to_owned(),
            by_rule: by == Origin::Rule,
            expected_bytes: expected,
            modelled: None,
            outcome: None,
            id,
        });
    }

    /// What an action gives back in the simulation.
    pub(super) fn note_given(&mut self, id: ActionId, given: Given) {
        if given == Given::default() {
            return;
        }
        if let Some(done) = self.findings.actions.iter_mut().rfind(|done| done.id == id) {
            done.modelled = Some(given);
        }
    }

    fn note_ended(&mut self, id: ActionId, outcome: &Outcome) {
        // A step that found nothing left to do was never begun.
        let Some(done) = self.findings.actions.iter_mut().rfind(|done| done.id == id) else {
            return;
        };
        done.outcome = Some(outcome.result.clone());
        if let Action::Load { model, .. } = &outcome.action {
            // Our own doing, not a sign that it was missed.
            self.unloaded.remove(model);
        }
    }

    pub(super) fn note_used_again(&mut self, model: &ModelName, now: Moment) {
        self.note_again(model, Again::Used, now);
    }

    /// Wanted again: once for an unload.
    fn note_again(&mut self, model: &ModelName, how: Again, now: Moment) {
        let Some(unloaded) = self.unloaded.remove(model) else { return };
        let after = now.since(unloaded);
        if after <= MODEL_AGAIN {
            let (at, at_ms) = (now.wall, self.since_start(now));
            let (model, after_ms) = (model.short().to_owned(), millis(after));
            self.findings.oscillations.models.push(ModelAgain { at, at_ms, model, after_ms, how });
        }
    }

    pub(super) fn finish(mut self) -> Findings {
        let covered: Duration = self.times.iter().map(|(time, _)| *time).sum();
        self.findings.span.covered_ms = millis(covered);
        self.findings.span.gap_ms = millis(self.gap_time);
        self.findings.levels = Level::ALL
            .into_iter()
            .zip(self.times)
            .map(|(level, (time, modelled))| LevelTime {
                level,
                ms: millis(time),
                share_percent: share(time, covered),
                modelled_ms: millis(modelled),
            })
            .collect();
        let actions = &self.findings.actions;
        self.findings.expected_bytes = actions.iter().filter_map(|done| done.expected_bytes).sum();
        let given = actions.iter().filter_map(|done| done.modelled);
        self.findings.freed_bytes = given.map(Given::bytes).sum();
        self.findings
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// In tenths of a percent.
fn share(part: Duration, whole: Duration) -> Option<f64> {
    let share = part.as_secs_f64() / whole.as_secs_f64() * 1000.0;
    share.is_finite().then(|| share.round() / 10.0)
}
