//! From what is kept to a report. Pure: what happened, what was seen and what
//! was learned come in, the story goes out.

use std::collections::BTreeSet;
use std::time::Duration;

use super::growers::growers;
use super::story::{
    ActionStory, Actions, Change, Forecasts, GapStory, Levels, LoadStory, Loads, MemoryStory,
    OomKills, Record, Report, Worst,
};
use crate::cli::document::Document;
use crate::cli::history::steps::{Gap, gaps};
use crate::domain::event::Origin;
use crate::domain::past::{Figures, Minute, Spent, Stretch};
use crate::domain::plan::{ActionId, Keep, Verdict};
use crate::domain::text::clean;
use crate::domain::{
    Action, Bytes, Event, EventBody, Finding, ForecastRecord, Level, LoadObserved, ModelName,
    Outcome, Wall,
};
use crate::forecast::score;

/// A start belongs to a gap that ends within so many minutes of it: the first
/// row comes with the first sample.
const STARTED_WITHIN: i64 = 2;

/// All that a report is made of.
pub(super) struct Sources {
    pub figures: Figures,
    /// Oldest first.
    pub events: Vec<Event>,
    pub forecasts: Vec<ForecastRecord>,
    pub loads: Vec<LoadObserved>,
}

/// `findings`: what the doctor finds now, or why it cannot look.
pub(super) fn tell(
    sources: &Sources,
    findings: Result<Vec<Finding>, String>,
    (since, until): (Wall, Wall),
) -> Report {
    let Sources { figures, events, forecasts, loads } = sources;
    let is_within = |time: Wall| since <= time && time < until;
    let events: Vec<&Event> = events.iter().filter(|event| is_within(event.time)).collect();
    let spent = spent(&figures.minutes);
    let seconds = |level| spent.at(level).as_secs();
    let forecasts: Vec<ForecastRecord> =
        forecasts.iter().filter(|record| is_within(record.made)).cloned().collect();
    Report {
        schema_version: Document::Report.version(),
        since,
        until,
        record: Record {
            seen_seconds: spent.total().as_secs(),
            of_seconds: until.duration_since(since).unsigned_abs().as_secs(),
            gaps: told_gaps(&gaps(&figures.minutes, (since, until)), &figures.minutes, &events),
        },
        levels: Levels {
            normal_seconds: seconds(Level::Normal),
            warning_seconds: seconds(Level::Warning),
            critical_seconds: seconds(Level::Critical),
            emergency_seconds: seconds(Level::Emergency),
            changes: events.iter().filter_map(|event| change(event)).collect(),
        },
        memory: memory(&figures.minutes),
        actions: actions(&events),
        oom_kills: oom_kills(&events),
        growers: growers(&figures.counts),
        loads: told_loads(loads, &events, is_within),
        forecasts: told_forecasts(&forecasts),
        findings_reason: findings.as_ref().err().cloned(),
        findings: findings.ok().map(open),
    }
}

/// Those that are to be looked at, the gravest first.
fn open(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.severity.is_open());
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn spent(minutes: &[Minute]) -> Spent {
    let mut all = Stretch::default();
    minutes.iter().for_each(|minute| all.take_in(&minute.was));
    all.spent
}

fn told_gaps(gaps: &[Gap], minutes: &[Minute], events: &[&Event]) -> Vec<GapStory> {
    let starts: Vec<i64> = events
        .iter()
        .filter(|event| matches!(event.body, EventBody::Started { .. }))
        .map(|event| Minute::number_at(event.time))
        .collect();
    let told = |gap: &Gap| {
        let end = Minute::number_at(gap.until);
        let is_near = |start: &i64| (end - STARTED_WITHIN..=end + 1).contains(start);
        // What is at its end was seen: a machine that went on calmly has no event.
        let is_followed = minutes.binary_search_by_key(&end, |minute| minute.number).is_ok();
        let ended_by_start = starts.iter().any(is_near);
        let ended_by_start = (ended_by_start || is_followed).then_some(ended_by_start);
        GapStory { from: gap.from, until: gap.until, ended_by_start }
    };
    gaps.iter().map(told).collect()
}

fn change(event: &Event) -> Option<Change> {
    let EventBody::LevelChanged { from, to, cause, lasted_ms } = &event.body else { return None };
    let cause = cause.as_ref().map(|cause| clean(&cause.text));
    Some(Change { time: event.time, from: *from, to: *to, cause, lasted_ms: *lasted_ms })
}

fn memory(minutes: &[Minute]) -> Option<MemoryStory> {
    let worst = |figure: fn(&Stretch) -> Option<Bytes>| {
        let known = || minutes.iter().filter_map(move |m| Some((figure(&m.was)?, m.start())));
        // The first minute in which it was so.
        known().reduce(|worst, next| if next.0 > worst.0 { next } else { worst })
    };
    let told = |found: Option<(Bytes, Wall)>| {
        found.map(|(bytes, time)| Worst { bytes: bytes.get(), time })
    };
    let least = minutes
        .iter()
        .filter_map(|minute| Some((minute.was.available?, minute.start())))
        .reduce(|least, next| if next.0 < least.0 { next } else { least });
    let stalled = minutes.iter().filter_map(|minute| minute.was.stalled);
    let total = minutes.iter().rev().find_map(|minute| minute.was.total);
    (!minutes.is_empty()).then(|| MemoryStory {
        total_bytes: total.map(Bytes::get),
        most_used: told(worst(|was| was.used)),
        least_available: told(least),
        most_swap_used: told(worst(|was| was.swap_used)),
        most_of_models: told(worst(|was| was.models)),
        most_stalled_percent: stalled.reduce(f64::max),
    })
}

fn actions(events: &[&Event]) -> Actions {
    let mut actions = Actions::default();
    let ended: BTreeSet<ActionId> = events
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ActionEnded { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    for event in events {
        let story = match &event.body {
            EventBody::ActionStarted { id, action, by, expected } if !ended.contains(id) => {
                actions.open += 1;
                let expected_bytes = expected.map(Bytes::get);
                ActionStory { expected_bytes, ..begun(event.time, action, Some(*by)) }
            }
            EventBody::ActionEnded { outcome, by, .. } => {
                count(&mut actions, outcome);
                ended_story(event.time, outcome, *by)
            }
            EventBody::LoadRefused { model, lacks, .. } => {
                actions.refused_loads += 1;
                let load = Action::Load {
                    model: ModelName::new(model.as_str()),
                    keep: Keep::Default,
                    context: None,
                };
                let detail = Some(format!("lacks {lacks}"));
                ActionStory { result: "refused", detail, ..begun(event.time, &load, None) }
            }
            _ => continue,
        };
        actions.list.push(story);
    }
    let listed = u32::try_from(actions.list.len()).unwrap_or(u32::MAX);
    actions.begun = listed.saturating_sub(actions.refused_loads);
    actions
}

fn begun(time: Wall, action: &Action, by: Option<Origin>) -> ActionStory {
    ActionStory {
        time,
        action: action.verb(),
        subject: clean(action.subject()),
        by,
        result: "open",
        detail: None,
        expected_bytes: None,
        freed_bytes: None,
        took_ms: None,
    }
}

fn ended_story(time: Wall, outcome: &Outcome, by: Origin) -> ActionStory {
    let (result, detail) = match &outcome.result {
        Verdict::Done => ("done", None),
        Verdict::Unconfirmed => ("unconfirmed", None),
        Verdict::Already => ("already", None),
        Verdict::StillGenerating => ("still_generating", None),
        Verdict::Stuck => ("stuck", None),
        Verdict::Failed { detail } => ("failed", Some(clean(detail))),
    };
    ActionStory {
        result,
        detail,
        expected_bytes: outcome.expected.map(Bytes::get),
        freed_bytes: outcome.freed.map(Bytes::get),
        took_ms: u64::try_from(outcome.took.as_millis()).ok(),
        ..begun(time, &outcome.action, Some(by))
    }
}

/// Bytes are summed over what frees: a load takes what it expects.
fn count(actions: &mut Actions, outcome: &Outcome) {
    let counted = match outcome.result {
        Verdict::Done => &mut actions.done,
        Verdict::Unconfirmed => &mut actions.unconfirmed,
        Verdict::Already => &mut actions.already,
        Verdict::StillGenerating => &mut actions.still_generating,
        Verdict::Stuck => &mut actions.stuck,
        Verdict::Failed { .. } => &mut actions.failed,
    };
    *counted += 1;
    if matches!(outcome.action, Action::Load { .. } | Action::Keep { .. }) {
        return;
    }
    let bytes = |bytes: Option<Bytes>| bytes.map_or(0, Bytes::get);
    actions.expected_bytes = actions.expected_bytes.saturating_add(bytes(outcome.expected));
    actions.freed_bytes = actions.freed_bytes.saturating_add(bytes(outcome.freed));
    if outcome.result == Verdict::Unconfirmed {
        let unconfirmed = bytes(outcome.expected);
        actions.unconfirmed_bytes = actions.unconfirmed_bytes.saturating_add(unconfirmed);
    }
}

fn oom_kills(events: &[&Event]) -> OomKills {
    let mut kills = OomKills::default();
    for event in events {
        if let EventBody::OomKill { count } = event.body {
            kills.count = kills.count.saturating_add(count);
            kills.times.push(event.time);
        }
    }
    kills
}

fn told_loads(
    loads: &[LoadObserved],
    events: &[&Event],
    is_within: impl Fn(Wall) -> bool,
) -> Loads {
    let came = events.iter().filter(|e| matches!(e.body, EventBody::ModelLoaded { .. })).count();
    let list = loads.iter().filter(|load| is_within(load.loaded)).map(load_story).collect();
    Loads { seen: u32::try_from(came).unwrap_or(u32::MAX), list }
}

fn load_story(load: &LoadObserved) -> LoadStory {
    let measured = Some(load.measured).filter(|held| load.was_used && !held.is_zero());
    let expected = load.expected.or(load.estimated);
    let error = expected.zip(measured).map(|(said, held)| {
        let off = said.get() as f64 - held.get() as f64;
        off / held.get() as f64 * 100.0
    });
    LoadStory {
        time: load.loaded,
        model: clean(load.model.as_str()),
        context: load.key.context,
        measured_bytes: measured.map(Bytes::get),
        peak_bytes: load.peak.get(),
        expected_bytes: expected.map(Bytes::get),
        error_percent: error,
    }
}

fn told_forecasts(forecasts: &[ForecastRecord]) -> Forecasts {
    let found = score::accuracy(forecasts, &[]);
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Forecasts {
        hits: found.hits,
        false_alarms: found.false_alarms,
        misses: found.misses,
        cut_short: found.cut_short,
        median_lead_ms: found.median_lead.map(millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_a_known_minute_ends_is_followed_also_without_events() {
        let minute = |number| Minute { number, was: Stretch::default() };
        let time = Minute::start_of;
        let gap = |from, until| Gap { from: time(from), until: time(until) };
        let started = Event {
            seq: 1,
            time: time(30),
            body: EventBody::Started { version: "0.1.0".to_owned() },
        };
        let minutes = [minute(5), minute(20), minute(31), minute(32)];
        let told = told_gaps(&[gap(6, 20), gap(21, 31), gap(33, 90)], &minutes, &[&started]);
        let whys: Vec<_> = told.iter().map(|gap| gap.ended_by_start).collect();
        assert_eq!(whys, [Some(false), Some(true), None]);
    }
}
