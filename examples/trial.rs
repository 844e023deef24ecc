//! The watching and reckoning half of `tests/trial`, which starts everything.
//!
//! `trial watch GROUP` says every 10 ms what a memory-limited control group has
//! in use, until TERM. `trial asked URL` says which unloads a fake server was
//! asked for, and when; `trial runners URL` the names and pids of its runners.
//! `trial judge FOLDER` reads what one run left there and says in one line of
//! JSON how long each step took; `trial table FILE` makes the tables of many
//! such lines. Times of different processes are compared by the wall clock; a
//! run in which that clock was set is refused.

#[path = "../tests/support/plain_http.rs"]
#[allow(dead_code, reason = "only the asking half is of use here")]
mod plain_http;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::domain::{Bytes, Level, Percent, Wall};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A tenth of the fastest pace of the guard's own samples.
const WATCH_EVERY: Duration = Duration::from_millis(10);

/// By so much the wall clock may leave the monotonic one within a run.
const CLOCKS_AGREE_MS: i64 = 5;

/// An unload has given its bytes back when so much of them is free.
const BACK: Percent = Percent::new(90.0);

/// As designed: what a level must last, and what may be added to it; what the
/// way from a level to the request may take.
const AIM_LEVEL_MS: i64 = 1250;
const AIM_REQUEST_MS: i64 = 50;

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = given.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["watch", group] => watch(Path::new(group)),
        ["asked", url] => asked(url),
        ["runners", url] => runners(url),
        ["judge", folder] => judge(Path::new(folder)),
        ["table", file] => table(Path::new(file)),
        _ => Err("usage: trial watch GROUP | asked URL | runners URL | judge FOLDER | table FILE"
            .to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            let _ = writeln!(io::stderr(), "trial: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let wrong = |error| format!("{}: {error}", path.display());
    read(path)?.lines().map(|line| serde_json::from_str(line).map_err(wrong)).collect()
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

// ---------------------------------------------------------------- watching

/// What a group has in use, as the guard counts it: without cache that may be
/// dropped at once.
#[derive(Debug, Serialize, Deserialize)]
struct Use {
    /// By the monotonic clock, since the watch began.
    ms: i64,
    time: Wall,
    used: u64,
}

fn watch(group: &Path) -> Result<()> {
    let is_two = group.join("memory.max").exists();
    let (current, inactive) = match is_two {
        true => ("memory.current", "inactive_file "),
        false => ("memory.usage_in_bytes", "total_inactive_file "),
    };
    let (current, stat) = (group.join(current), group.join("memory.stat"));
    let begun = Instant::now();
    for tick in 0_u32.. {
        thread::sleep(WATCH_EVERY.saturating_mul(tick).saturating_sub(begun.elapsed()));
        let number = |text: &str| text.trim().parse::<u64>().map_err(|error| error.to_string());
        // A group that is gone is the end of the watch.
        let (Ok(now), Ok(parts)) = (read(&current), read(&stat)) else { return Ok(()) };
        let cache = parts.lines().find_map(|line| line.strip_prefix(inactive));
        let used = number(&now)?.saturating_sub(number(cache.unwrap_or("0"))?);
        let ms = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        say(&json(&Use { ms, time: Wall::now(), used })?)?;
    }
    Ok(())
}

// ---------------------------------------------------------------- asking

/// As much of what a fake server tells of itself as matters here.
#[derive(Debug, Deserialize)]
struct Told {
    posts: Vec<(String, String)>,
    post_times: Vec<Wall>,
    loaded: BTreeMap<String, Option<u32>>,
}

fn ask(url: &str) -> Result<Told> {
    let address = url.trim_start_matches("http://");
    let said = plain_http::ask(address, "GET", "/fake/state", "");
    let said = said.map_err(|error| format!("{url}: {error}"))?;
    serde_json::from_str(&said).map_err(|error| format!("{url}: {error}"))
}

/// An unload that came in at the fake server.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Request {
    time: Wall,
    model: String,
}

fn asked(url: &str) -> Result<()> {
    let told = ask(url)?;
    for ((_, body), time) in told.posts.iter().zip(told.post_times) {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        if body["keep_alive"] == 0 {
            let model = body["model"].as_str().unwrap_or_default().to_owned();
            say(&json(&Request { time, model })?)?;
        }
    }
    Ok(())
}

fn runners(url: &str) -> Result<()> {
    for (model, pid) in ask(url)?.loaded {
        let pid = pid.ok_or_else(|| format!("{model} has no runner"))?;
        say(&format!("{model} {pid}"))?;
    }
    Ok(())
}

// ---------------------------------------------------------------- one run

/// What the script knows of a run.
#[derive(Debug, Deserialize)]
struct Setup {
    is_guarded: bool,
    total: Bytes,
    warning: f64,
    critical: f64,
    /// What one runner holds.
    model: Bytes,
    /// Kills of the kernel's, as the group counts them.
    kills: u64,
    processes: Vec<Fate>,
}

/// Of one process.
#[derive(Debug, Serialize, Deserialize)]
struct Fate {
    /// `hog`, `guard`, `server`, or a model's name.
    name: String,
    pid: u32,
    is_alive: bool,
}

#[derive(Debug, Deserialize)]
struct Held {
    time: Wall,
    held: Bytes,
    is_all: bool,
}

/// A line of the guard's log.
#[derive(Debug, Deserialize)]
struct Line {
    time: Option<Wall>,
    kind: String,
    text: String,
}

/// How a run went.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    is_guarded: bool,
    kills: u64,
    died: Vec<String>,
    survived: Vec<String>,
    unloaded: Vec<String>,
    /// What the hog had at the end, and whether that was all it wanted.
    hog: Bytes,
    has_all: bool,
    reactions: Vec<Reaction>,
}

/// To one threshold, in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
struct Reaction {
    level: Level,
    to_level: i64,
    to_request: i64,
    to_bytes: i64,
}

fn judge(folder: &Path) -> Result<()> {
    let setup: Setup = serde_json::from_str(&read(&folder.join("setup.json"))?)
        .map_err(|error| format!("setup.json: {error}"))?;
    let uses: Vec<Use> = lines(&folder.join("use.ndjson"))?;
    let hog: Vec<Held> = lines(&folder.join("hog.ndjson"))?;
    let asked: Vec<Request> = lines(&folder.join("asked.ndjson"))?;
    clocks_agree(&uses)?;
    let seen = Seen { setup: &setup, uses: &uses, hog: &hog, asked: &asked };
    let reactions = match setup.is_guarded {
        true => seen.reactions(&lines(&folder.join("guard.ndjson"))?)?,
        false => Vec::new(),
    };
    let unloaded: Vec<String> = asked.iter().map(|request| request.model.clone()).collect();
    let (alive, gone): (Vec<&Fate>, Vec<&Fate>) =
        setup.processes.iter().partition(|fate| fate.is_alive);
    let names = |fates: Vec<&Fate>| fates.iter().map(|fate| fate.name.clone()).collect();
    let died = gone.into_iter().filter(|fate| !unloaded.contains(&fate.name)).collect();
    let verdict = Verdict {
        is_guarded: setup.is_guarded,
        kills: setup.kills,
        died: names(died),
        survived: names(alive),
        hog: hog.last().map(|last| last.held).unwrap_or_default(),
        has_all: hog.last().is_some_and(|last| last.is_all),
        unloaded,
        reactions,
    };
    say(&json(&verdict)?)
}

fn clocks_agree(uses: &[Use]) -> Result<()> {
    let (Some(first), Some(last)) = (uses.first(), uses.last()) else {
        return Err("nobody watched the group".to_owned());
    };
    let apart = between(first.time, last.time) - (last.ms - first.ms);
    match apart.abs() <= CLOCKS_AGREE_MS {
        true => Ok(()),
        false => Err(format!("the wall clock was set by {apart} ms: the run is void")),
    }
}

/// Milliseconds; one that has begun counts.
fn between(from: Wall, to: Wall) -> i64 {
    let micros = to.duration_since(from).as_micros() + 999;
    i64::try_from(micros.div_euclid(1000)).unwrap_or(i64::MAX)
}

/// All that was seen of a run.
struct Seen<'a> {
    setup: &'a Setup,
    uses: &'a [Use],
    hog: &'a [Held],
    asked: &'a [Request],
}

impl Seen<'_> {
    /// For each level the guard entered because of memory: how it came there
    /// and what came of it. Levels without a request of their own are left out.
    fn reactions(&self, log: &[Line]) -> Result<Vec<Reaction>> {
        let shares = [(Level::Warning, self.setup.warning), (Level::Critical, self.setup.critical)];
        let mut reactions = Vec::new();
        let mut requests = self.asked.iter().peekable();
        for (level, share) in shares {
            let Some(entered) = entered(log, level) else { continue };
            let threshold = self.setup.total.at(Percent::new(share)).get();
            let crossed = self.uses.iter().find(|seen| seen.used >= threshold);
            let crossed = crossed.ok_or_else(|| format!("{level} was entered below its share"))?;
            let Some(request) = requests.next_if(|request| request.time >= entered) else {
                continue;
            };
            let back = self.back(request.time);
            let back = back.ok_or_else(|| format!("the bytes of {} stayed", request.model))?;
            reactions.push(Reaction {
                level,
                to_level: between(crossed.time, entered),
                to_request: between(entered, request.time),
                to_bytes: between(request.time, back),
            });
        }
        Ok(reactions)
    }

    /// When memory had fallen by a model's size, whatever the hog took
    /// meanwhile.
    fn back(&self, asked: Wall) -> Option<Wall> {
        let others = |seen: &Use| seen.used.saturating_sub(self.hog_at(seen.time));
        let before = self.uses.iter().rfind(|seen| seen.time <= asked).map(others)?;
        let goal = before.saturating_sub(self.setup.model.at(BACK).get());
        let after = self.uses.iter().filter(|seen| seen.time > asked);
        after
            .map(|seen| (seen.time, others(seen)))
            .find(|(_, held)| *held <= goal)
            .map(|seen| seen.0)
    }

    fn hog_at(&self, time: Wall) -> u64 {
        self.hog.iter().rfind(|step| step.time <= time).map_or(0, |step| step.held.get())
    }
}

/// When the guard first said that memory had brought it to this level.
fn entered(log: &[Line], level: Level) -> Option<Wall> {
    let start = format!("{level}: memory ");
    let said = log.iter().find(|line| line.kind == "level" && line.text.starts_with(&start))?;
    said.time
}

// ---------------------------------------------------------------- all runs

fn table(file: &Path) -> Result<()> {
    let verdicts: Vec<Verdict> = lines(file)?;
    let (guarded, bare): (Vec<&Verdict>, Vec<&Verdict>) =
        verdicts.iter().partition(|verdict| verdict.is_guarded);
    say("| | without the guard | with it |\n| --- | --- | --- |")?;
    let row = |what: &str, cell: &dyn Fn(&[&Verdict]) -> String| {
        say(&format!("| {what} | {} | {} |", cell(&bare), cell(&guarded)))
    };
    row("runs", &|runs| runs.len().to_string())?;
    row("runs with a kill by the kernel", &|runs| {
        runs.iter().filter(|run| run.kills > 0).count().to_string()
    })?;
    row("died", &|runs| counted(runs, |run| &run.died))?;
    row("unloaded", &|runs| counted(runs, |run| &run.unloaded))?;
    row("alive at the end", &|runs| counted(runs, |run| &run.survived))?;
    row("runs in which the hog got all", &|runs| {
        runs.iter().filter(|run| run.has_all).count().to_string()
    })?;
    row("what the hog had", &|runs| spread(runs.iter().map(|run| run.hog)))?;
    say("\n| with the guard | runs | median | worst | aim |\n| --- | --- | --- | --- | --- |")?;
    for level in [Level::Warning, Level::Critical] {
        let reactions = guarded.iter().flat_map(|run| &run.reactions);
        let reactions: Vec<&Reaction> = reactions.filter(|one| one.level == level).collect();
        let row = |what: String, of: fn(&Reaction) -> i64, aim: Option<i64>| {
            let mut spans: Vec<i64> = reactions.iter().map(|one| of(one)).collect();
            spans.sort_unstable();
            let ms =
                |span: Option<&i64>| span.map_or("–".to_owned(), |span| format!("{span} ms"));
            let (median, worst) = (ms(spans.get(spans.len() / 2)), ms(spans.last()));
            say(&format!(
                "| {what} | {} | {median} | {worst} | {} |",
                spans.len(),
                ms(aim.as_ref())
            ))
        };
        row(format!("its threshold crossed → {level}"), |one| one.to_level, Some(AIM_LEVEL_MS))?;
        row(format!("{level} → unload asked"), |one| one.to_request, Some(AIM_REQUEST_MS))?;
        row("unload asked → bytes back".to_owned(), |one| one.to_bytes, None)?;
    }
    Ok(())
}

/// `hog ×20, guard ×20`
fn counted(runs: &[&Verdict], names: fn(&Verdict) -> &Vec<String>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in runs.iter().flat_map(|run| names(run)) {
        *counts.entry(name).or_default() += 1;
    }
    let told: Vec<String> = counts.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

/// `470 to 500 MiB`
fn spread(sizes: impl Iterator<Item = Bytes> + Clone) -> String {
    match (sizes.clone().min(), sizes.max()) {
        (Some(least), Some(most)) if least == most => most.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => "–".to_owned(),
    }
}
