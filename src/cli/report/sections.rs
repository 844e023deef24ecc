//! A report in sections, for people: what each sums up to, and its rows, as a
//! sentence and as cells. How they are written is not decided here.

use std::time::Duration;

use super::story::{
    ActionStory, Actions, Change, Forecasts, GapStory, Grower, Growers, Levels, LoadStory, Loads,
    MemoryStory, OomKills, Record, Report, Worst,
};
use crate::domain::text::clean;
use crate::domain::time::Exactly;
use crate::domain::{Bytes, Finding, Percent, Wall};

/// Rows of a section; programs get all of them.
const ROWS: usize = 10;

/// Growers named: those that grew least matter least.
const GROWERS: usize = 8;

pub(super) struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Before its sum, and before each of its rows.
    pub name: &'static str,
    pub row_name: &'static str,
    pub sum: String,
    pub heads: &'static [&'static str],
    pub rows: Vec<Row>,
}

pub(super) struct Row {
    pub line: String,
    pub cells: Vec<String>,
}

pub(super) fn sections(report: &Report) -> Vec<Section> {
    vec![
        record(&report.record),
        levels(&report.levels, &report.record),
        memory(report.memory.as_ref()),
        actions(&report.actions),
        oom_kills(&report.oom_kills),
        growers(&report.growers),
        loads(&report.loads),
        forecasts(&report.forecasts),
        findings(report),
    ]
}

/// The newest rows, and how many came before them.
fn newest<T>(all: &[T], row: impl Fn(&T) -> Row) -> (Vec<Row>, String) {
    let skipped = all.len().saturating_sub(ROWS);
    let earlier =
        if skipped > 0 { format!("; {skipped} earlier ones left out") } else { String::new() };
    (all.iter().skip(skipped).map(row).collect(), earlier)
}

fn day_and_time(time: Wall) -> String {
    time.strftime("%m-%d %H:%M").to_string()
}

fn seconds(seconds: u64) -> String {
    Exactly(Duration::from_secs(seconds)).to_string()
}

fn millis(millis: u64) -> String {
    Exactly(Duration::from_millis(millis)).to_string()
}

fn size(bytes: u64) -> String {
    Bytes::new(bytes).to_string()
}

fn known(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), size)
}

fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

fn record(record: &Record) -> Section {
    let (rows, earlier) = newest(&record.gaps, gap);
    let seen = match record.seen_seconds {
        0 => "nothing: no plimsoll that acts has kept anything of that time".to_owned(),
        seen => format!("{} of {}", seconds(seen), seconds(record.of_seconds)),
    };
    let gaps = counted(record.gaps.len() as u64, "gap", "gaps");
    Section {
        title: "Record",
        name: "recorded",
        row_name: "gap",
        sum: format!("{seen}; {gaps}{earlier}"),
        heads: &["from", "to", "why"],
        rows,
    }
}

fn gap(gap: &GapStory) -> Row {
    let why = match gap.ended_by_start {
        Some(true) => "plimsoll did not run",
        Some(false) => "the machine slept, or its clock was set",
        None => "nothing follows yet",
    };
    let (from, until) = (day_and_time(gap.from), day_and_time(gap.until));
    let span = Exactly(gap.until.duration_since(gap.from).unsigned_abs());
    Row {
        line: format!("{from} to {until}, {span}: {why}"),
        cells: vec![from, until, why.to_owned()],
    }
}

fn levels(levels: &Levels, record: &Record) -> Section {
    let share = |spent: u64| match record.seen_seconds {
        0 => String::new(),
        seen => format!(" ({})", Percent::new(spent as f64 / seen as f64 * 100.0)),
    };
    let spent: Vec<String> = levels
        .seconds()
        .into_iter()
        .filter(|(_, spent)| *spent > 0)
        .map(|(level, spent)| format!("{level} {}{}", seconds(spent), share(spent)))
        .collect();
    let spent = if spent.is_empty() { "not recorded".to_owned() } else { spent.join(", ") };
    let (rows, earlier) = newest(&levels.changes, change);
    let changes = counted(levels.changes.len() as u64, "change", "changes");
    Section {
        title: "Levels",
        name: "levels",
        row_name: "change",
        sum: format!("{spent}; {changes}{earlier}"),
        heads: &["time", "level", "cause", "before"],
        rows,
    }
}

fn change(change: &Change) -> Row {
    let time = day_and_time(change.time);
    let before = format!("{} for {}", change.from, millis(change.lasted_ms));
    let cause = change.cause.as_ref().map(|cause| format!(", {cause}")).unwrap_or_default();
    Row {
        line: format!("{time} {}{cause}; was {before}", change.to),
        cells: vec![
            time,
            change.to.to_string(),
            change.cause.clone().unwrap_or_else(|| "-".to_owned()),
            before,
        ],
    }
}

fn memory(memory: Option<&MemoryStory>) -> Section {
    let facts: Vec<(&str, String)> = memory.map(memory_facts).unwrap_or_default();
    let sum = match facts.is_empty() {
        true => "not recorded".to_owned(),
        false => "the worst minute of each".to_owned(),
    };
    let row = |(name, text): (&str, String)| Row {
        line: format!("{name} {text}"),
        cells: vec![name.to_owned(), text],
    };
    Section {
        title: "Memory",
        name: "memory",
        row_name: "worst",
        sum,
        heads: &["figure", "worst"],
        rows: facts.into_iter().map(row).collect(),
    }
}

fn memory_facts(memory: &MemoryStory) -> Vec<(&'static str, String)> {
    let at = |worst: &Worst| format!("{} at {}", size(worst.bytes), day_and_time(worst.time));
    let of = memory.total_bytes.map(|total| format!(" of {}", size(total))).unwrap_or_default();
    let used = memory
        .most_used
        .as_ref()
        .map(|used| format!("{}{of} at {}", size(used.bytes), day_and_time(used.time)));
    let some = |worst: Option<&Worst>| worst.filter(|worst| worst.bytes > 0).map(at);
    let stalled = memory.most_stalled_percent.filter(|share| *share > 0.0);
    [
        ("used", used),
        ("available", memory.least_available.as_ref().map(at)),
        ("swap", some(memory.most_swap_used.as_ref())),
        ("models", some(memory.most_of_models.as_ref())),
        ("stalled", stalled.map(|share| format!("{} of 10 s", Percent::new(share)))),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?)))
    .collect()
}

fn actions(actions: &Actions) -> Section {
    let named = most_telling(&actions.list);
    let left_out = match actions.list.len().saturating_sub(named.len()) {
        0 => String::new(),
        rest => format!("; {rest} left out, `plimsoll events --kind action` has all"),
    };
    let parts = [
        (actions.done, "done"),
        (actions.unconfirmed, "unconfirmed"),
        (actions.already, "already so"),
        (actions.still_generating, "asked and still generating"),
        (actions.stuck, "stuck"),
        (actions.failed, "failed"),
        (actions.open, "without a known end"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let mut sum = match actions.begun {
        0 => "none".to_owned(),
        begun => format!("{begun}: {}", parts.join(", ")),
    };
    if actions.expected_bytes > 0 || actions.freed_bytes > 0 {
        let (freed, expected) = (size(actions.freed_bytes), size(actions.expected_bytes));
        sum.push_str(&format!("; {freed} came back, {expected} expected"));
    }
    if actions.unconfirmed_bytes > 0 {
        sum.push_str(&format!(", {} of it unconfirmed", size(actions.unconfirmed_bytes)));
    }
    if actions.refused_loads > 0 {
        let refused = counted(u64::from(actions.refused_loads), "load", "loads");
        sum.push_str(&format!("; {refused} refused for want of room"));
    }
    Section {
        title: "Actions",
        name: "actions",
        row_name: "action",
        sum: sum + &left_out,
        heads: &["time", "action", "by", "result", "expected", "came back"],
        rows: named.into_iter().map(action).collect(),
    }
}

/// What did not go well before what did, the newest of each; in order of time.
fn most_telling(all: &[ActionStory]) -> Vec<&ActionStory> {
    let is_well = |story: &ActionStory| matches!(story.result, "done" | "already");
    let mut found: Vec<(usize, &ActionStory)> = all.iter().enumerate().collect();
    found.sort_by_key(|(at, story)| (is_well(story), std::cmp::Reverse(*at)));
    found.truncate(ROWS);
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, story)| story).collect()
}

fn action(action: &ActionStory) -> Row {
    let time = day_and_time(action.time);
    let what = format!("{} {}", action.action, action.subject);
    let result = match action.result {
        "open" => "no end is known".to_owned(),
        word => word.replace('_', " "),
    };
    let result = match &action.detail {
        Some(detail) => format!("{result}: {detail}"),
        None => result,
    };
    let by = action.by.map(|by| format!(" {by}")).unwrap_or_default();
    let freed = action.freed_bytes.map(|freed| format!(", {} came back", size(freed)));
    let expected = action.expected_bytes.map(|bytes| format!(", {} expected", size(bytes)));
    let (freed, expected) = (freed.unwrap_or_default(), expected.unwrap_or_default());
    Row {
        line: format!("{time} {what}{by}: {result}{freed}{expected}"),
        cells: vec![
            time,
            what,
            action.by.map_or_else(|| "-".to_owned(), |by| by.to_string()),
            result,
            known(action.expected_bytes),
            known(action.freed_bytes),
        ],
    }
}

fn oom_kills(kills: &OomKills) -> Section {
    let (rows, earlier) = newest(&kills.times, |time| {
        let time = day_and_time(*time);
        Row { line: time.clone(), cells: vec![time] }
    });
    let sum = match kills.count {
        0 => "none was seen".to_owned(),
        count => counted(count, "process ended by the kernel", "processes ended by the kernel"),
    };
    Section {
        title: "OOM kills",
        name: "oom kills",
        row_name: "oom kill",
        sum: sum + &earlier,
        heads: &["time"],
        rows,
    }
}

fn growers(growers: &Growers) -> Section {
    let sum = match (growers.counts, growers.list.len() as u64) {
        (0 | 1, _) => "unknown: it takes two counts, ten minutes apart".to_owned(),
        (counts, 0) => format!("none of the largest, in {counts} counts, one in ten minutes"),
        (counts, grown) => {
            let few = match grown.saturating_sub(GROWERS as u64) {
                0 => String::new(),
                rest => format!("; the {rest} that grew least left out"),
            };
            let grown = counted(grown, "of the largest has", "of the largest have");
            format!("{grown} grown, in {counts} counts, one in ten minutes{few}")
        }
    };
    Section {
        title: "Growers",
        name: "growers",
        row_name: "grower",
        sum,
        heads: &["component", "kind", "first", "peak", "last", "first counted"],
        rows: growers.list.iter().take(GROWERS).map(grower).collect(),
    }
}

fn grower(grower: &Grower) -> Row {
    let (first, peak) = (size(grower.first.bytes), size(grower.peak.bytes));
    let last = match (grower.is_there, grower.last == grower.peak) {
        (true, true) => "and is there".to_owned(),
        (true, false) => format!("and is at {}", size(grower.last.bytes)),
        (false, true) => "then not counted again".to_owned(),
        (false, false) => format!("{} when last counted", size(grower.last.bytes)),
    };
    let since = day_and_time(grower.first.time);
    let grown = size(grower.grown());
    Row {
        line: format!("{} +{grown}: {first} at {since}, up to {peak}, {last}", grower.id),
        cells: vec![
            grower.id.clone(),
            grower.kind.word().to_owned(),
            first,
            peak,
            size(grower.last.bytes),
            since,
        ],
    }
}

fn loads(loads: &Loads) -> Section {
    let (rows, earlier) = newest(&loads.list, load);
    let came = counted(u64::from(loads.seen), "model came in", "models came in");
    let learned = loads.list.len() as u64;
    let footprints = counted(learned, "footprint was learned", "footprints were learned");
    Section {
        title: "Loads",
        name: "loads",
        row_name: "load",
        sum: format!("{came}; {footprints}{earlier}"),
        heads: &["time", "model", "context", "measured", "peak", "expected", "off by"],
        rows,
    }
}

fn load(load: &LoadStory) -> Row {
    let time = day_and_time(load.time);
    let held = match load.measured_bytes {
        Some(held) => format!("held {}", size(held)),
        None => "was never used".to_owned(),
    };
    let off = load.error_percent.map(|error| format!("{error:+.1} %"));
    let said = load.expected_bytes.map(|said| format!(", {} expected", size(said)));
    let off_by = off.as_ref().map(|off| format!(" ({off})")).unwrap_or_default();
    let (model, context, peak) = (&load.model, load.context, size(load.peak_bytes));
    Row {
        line: format!(
            "{time} {model} {held}, at most {peak}{}{off_by}, context {context}",
            said.unwrap_or_default()
        ),
        cells: vec![
            time,
            model.clone(),
            context.to_string(),
            known(load.measured_bytes),
            peak,
            known(load.expected_bytes),
            off.unwrap_or_else(|| "-".to_owned()),
        ],
    }
}

fn forecasts(found: &Forecasts) -> Section {
    let Forecasts { hits, false_alarms, misses, cut_short, median_lead_ms } = found;
    let shown = hits + false_alarms + cut_short;
    let lead = median_lead_ms.map(|lead| format!(", {} ahead at the median", millis(lead)));
    let sum = match shown + misses {
        0 => "none has come to its end".to_owned(),
        _ => format!(
            "{shown} shown: {hits} kept{}, {false_alarms} not kept, {cut_short} cut short; \
             {misses} missed",
            lead.unwrap_or_default()
        ),
    };
    Section {
        title: "Forecasts",
        name: "forecasts",
        row_name: "forecast",
        sum,
        heads: &[],
        rows: Vec::new(),
    }
}

fn findings(report: &Report) -> Section {
    let found = report.findings.as_deref().unwrap_or_default();
    let sum = match (&report.findings, &report.findings_reason) {
        (None, Some(reason)) => format!("unknown: {reason}"),
        (None, None) => "unknown".to_owned(),
        (Some(_), _) => {
            let open = counted(found.len() as u64, "is open now", "are open now");
            format!("{open}; `plimsoll doctor` says why each matters")
        }
    };
    let rows = found.iter().map(finding).collect();
    Section {
        title: "Findings",
        name: "findings",
        row_name: "finding",
        sum,
        heads: &["severity", "check", "found", "mended by"],
        rows,
    }
}

fn finding(finding: &Finding) -> Row {
    let (severity, check) = (finding.severity.word(), finding.check.to_string());
    let found = match &finding.subject {
        Some(subject) => format!("{}: {}", clean(subject), clean(&finding.found)),
        None => clean(&finding.found),
    };
    let mend = finding.mend.as_deref().map(clean);
    let mended = mend.as_ref().map(|mend| format!("; mended by: {mend}")).unwrap_or_default();
    Row {
        line: format!("{severity} {check}: {found}{mended}"),
        cells: vec![severity.to_owned(), check, found, mend.unwrap_or_else(|| "-".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ComponentKind;

    #[test]
    fn of_many_growers_a_few_are_named_and_all_are_counted() {
        let worst = |bytes| Worst { bytes, time: Wall::UNIX_EPOCH };
        let one = |n: u64| Grower {
            id: format!("p{n}"),
            name: format!("p{n}"),
            kind: ComponentKind::Process,
            first: worst(0),
            peak: worst(n << 20),
            last: worst(n << 20),
            is_there: true,
        };
        let section = growers(&Growers { counts: 6, list: (0..20).map(one).collect() });
        assert_eq!(section.rows.len(), GROWERS);
        let wanted = "20 of the largest have grown, in 6 counts, one in ten minutes; the 12 that \
                      grew least left out";
        assert_eq!(section.sum, wanted);
    }

    #[test]
    fn of_many_actions_those_that_failed_are_named_first() {
        let one = |(at, result): (usize, &'static str)| ActionStory {
            time: Wall::UNIX_EPOCH,
            action: "unload",
            subject: at.to_string(),
            by: None,
            result,
            detail: None,
            expected_bytes: None,
            freed_bytes: None,
            took_ms: None,
        };
        let results = [("failed", 1), ("done", 3 * ROWS), ("stuck", 1), ("done", 2)];
        let results = results.iter().flat_map(|(result, n)| std::iter::repeat_n(*result, *n));
        let all: Vec<ActionStory> = results.enumerate().map(one).collect();
        let named = most_telling(&all);
        assert_eq!(named.len(), ROWS);
        assert_eq!((named[0].subject.as_str(), named[0].result), ("0", "failed"));
        assert_eq!((named[ROWS - 3].result, named[ROWS - 1].result), ("stuck", "done"));
    }

    #[test]
    fn time_at_a_level_is_told_to_the_second_with_its_share() {
        let spent = Levels {
            normal_seconds: 86_396,
            warning_seconds: 0,
            critical_seconds: 4,
            emergency_seconds: 0,
            changes: Vec::new(),
        };
        let record = Record { seen_seconds: 86_400, of_seconds: 90_000, gaps: Vec::new() };
        let sum = levels(&spent, &record).sum;
        assert!(sum.contains("critical 4 s (0 %)") && sum.contains("normal 23 h 59 min"), "{sum}");
        let nothing = Record { seen_seconds: 0, of_seconds: 60, gaps: Vec::new() };
        assert!(!levels(&spent, &nothing).sum.contains('%'));
    }
}
