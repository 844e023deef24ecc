//! The whole program but its screen, on this machine: the real engine with the
//! real sensors and the real client, against a fake server that is a process
//! and whose runners are processes. What is proved here is proved on `/proc`.

#![cfg(target_os = "linux")]

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/live.rs"]
mod live;
#[path = "support/ollama.rs"]
mod ollama;

use std::collections::BTreeSet;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::act::signals::Ended;
use plimsoll::domain::component::ComponentKind;
use plimsoll::domain::model::{Activity, Expiry, ModelState, ModelView};
use plimsoll::domain::plan::{Keep, Verdict};
use plimsoll::domain::process::{MeasuredSource, ProcessRole};
use plimsoll::domain::snapshot::{Place, Snapshot};
use plimsoll::domain::{Bytes, ModelName, RuntimeFaultKind as Kind, Wall};
use plimsoll::engine::link::{Command, Reply};
use serde_json::{Value, json};

use fake_child::{FakeChild, example, link, wait_until};
use live::{Live, SOON, component, model, pid_of, told};
use ollama::runner::{self, RUNNER_VARIABLE, RunnerSpec};
use ollama::{Conduct, FakeModel, Script, Spec};

/// What a runner's program takes beside the bytes it is told to touch.
const PROGRAM: u64 = 24 << 20;

fn spec(models: &[(&str, u64)]) -> Spec {
    let models = models.iter().map(|(name, mib)| FakeModel::new(name, mib << 20)).collect();
    Spec { models, ..Spec::default() }
}

fn unload(name: &str) -> Command {
    Command::Unload { model: ModelName::new(name) }
}

fn load(name: &str, keep: Keep) -> Command {
    Command::Load { force: false, model: ModelName::new(name), keep, context: None }
}

/// Sends what another client would send, and does not wait for its answer.
fn post_aside(fake: &FakeChild, body: &Value) {
    let (address, body) = (fake.url.trim_start_matches("http://").to_owned(), body.to_string());
    // The server may be ended meanwhile: then there is no answer.
    thread::spawn(move || ollama::plain_http::ask(&address, "POST", "/api/generate", &body).ok());
}

fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")))
}

fn measured(model: &ModelView) -> u64 {
    model.measured.map_or(0, |(bytes, _)| bytes.get())
}

fn is_state(snapshot: &Snapshot, name: &str, word: &str) -> bool {
    model(snapshot, name).is_some_and(|model| model.state.word() == word)
}

#[test]
fn a_model_is_joined_with_its_runner_measured_and_its_drift_and_growth_are_seen() {
    let touched = 192 << 20;
    let mut spec = spec(&[("tiny", 192), ("other", 16)]);
    spec.models[0].reported = 128 << 20;
    let fake = FakeChild::spawn(spec);
    let (pid, other) = (fake.load("tiny"), fake.load("other"));
    let live = Live::watch(&fake.url);
    let seen = live.joined("tiny", pid);
    live.joined("other", other);
    assert!(measured(&seen) >= touched, "{}", measured(&seen));
    assert!(measured(&seen) < touched + PROGRAM, "{}", measured(&seen));
    assert_eq!(seen.measured.map(|(_, source)| source), Some(MeasuredSource::Status));
    assert_eq!(seen.reported, Some(Bytes::mib(128)));
    let drift = seen.drift().expect("both are known").get();
    assert!((64 << 20..(64 << 20) + PROGRAM as i64).contains(&drift), "{drift}");
    assert_eq!((seen.context, seen.is_remote), (Some(4096), false));

    fake.order("tiny", &format!("grow {}", 64 << 20));
    let grown = touched + (64 << 20);
    live.until("it has grown", |s| model(s, "tiny").is_some_and(|m| measured(m) >= grown));
    let now = live.now();
    let other = model(&now, "other").expect("still loaded");
    assert!(measured(other) < (16 << 20) + PROGRAM, "{}", measured(other));
}

#[test]
fn the_servers_place_is_proved_by_its_socket() {
    let fake = FakeChild::spawn(spec(&[("tiny", 8)]));
    let live = Live::watch(&fake.url);
    let seen = live.until("local", |s| s.runtimes[0].place == Place::Local);
    let sample = seen.sample.as_ref().expect("the place came from it");
    let processes = sample.processes.as_ref().expect("they can be read");
    let server = processes.servers.iter().find(|server| server.key.pid == fake.pid);
    let role = server.map(|server| server.role.clone());
    assert!(matches!(role, Some(ProcessRole::Server { listens: Some(true), .. })), "{role:?}");
    assert_eq!(component(&seen, fake.pid).map(|row| row.kind), Some(ComponentKind::Server));
}

/// Passes connections on, as `ssh -L` does; runs until the test ends.
fn tunnel(to: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let to = to.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&to) else { return };
            pass_on(&near, &far);
            pass_on(&far, &near);
        }
    });
    url
}

fn pass_on(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().expect("open"), to.try_clone().expect("open"));
    thread::spawn(move || {
        // Either end may break at any time: that is the end of both.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn a_server_behind_a_tunnel_is_remote_although_servers_run_here() {
    let fake = FakeChild::spawn(spec(&[("tiny", 16)]));
    let pid = fake.load("tiny");
    let live = Live::watch(&tunnel(&fake.url));
    let seen = live.until("remote", |s| {
        s.runtimes[0].place == Place::Remote && model(s, "tiny").is_some_and(|m| m.is_remote)
    });
    let seen = model(&seen, "tiny").expect("listed").clone();
    assert_eq!((seen.runner, seen.measured, seen.activity), (None, None, Activity::Unknown));
    assert_eq!(live.now().models_held(), Bytes::ZERO);
    // A person may still unload there; it cannot be proved from here.
    live.order(unload("tiny"));
    assert_eq!(live.outcome("tiny").result, Verdict::Unconfirmed);
    wait_until("its runner is gone", || !lives(pid));
}

#[test]
fn two_servers_with_the_same_model_are_kept_apart() {
    let (mine, theirs) = (spec(&[("same", 24)]), spec(&[("same", 48)]));
    let (mine, theirs) = (FakeChild::spawn(mine), FakeChild::spawn(theirs));
    let (pid, other) = (mine.load("same"), theirs.load("same"));
    let live = Live::watch(&mine.url);
    let seen = live.joined("same", pid);
    assert!(measured(&seen) < (24 << 20) + PROGRAM, "{}", measured(&seen));
    live.order(unload("same"));
    assert_eq!(live.outcome("same").result, Verdict::Done);
    assert!(!lives(pid) && lives(other));
    let after = live.until("gone", |s| model(s, "same").is_none());
    assert_eq!(component(&after, other).map(|row| row.kind), Some(ComponentKind::Runner));
}

#[test]
fn a_load_by_somebody_else_is_seen_before_it_is_listed() {
    let script = Script { load_ms: 4000, ..Script::default() };
    let fake = FakeChild::spawn(Spec { script, ..spec(&[("tiny", 64)]) });
    let live = Live::watch(&fake.url);
    live.until_up(SOON);
    post_aside(&fake, &json!({ "model": "tiny" }));
    let seen = live.until("loading", |s| is_state(s, "tiny", "loading"));
    let loading = model(&seen, "tiny").expect("just seen").clone();
    assert_eq!(fake.state().loaded.len(), 0, "the server does not list it yet");
    assert_eq!(seen.loads_in_flight, []);
    assert_eq!(loading.reported, None);
    let pid = pid_of(&loading).expect("its runner is the sign");
    live.joined("tiny", pid);
    assert!(told(&live.now()).iter().any(|line| line.starts_with("model in: tiny")));
}

#[test]
fn our_own_load_is_in_flight_until_it_is_ready() {
    let script = Script { load_ms: 1500, ..Script::default() };
    let fake = FakeChild::spawn(Spec { script, ..spec(&[("tiny", 32)]) });
    let live = Live::watch(&fake.url);
    live.until("installed", |s| !s.installed.value.is_empty());
    live.order(load("tiny", Keep::For(Duration::from_secs(1200))));
    let tiny = ModelName::new("tiny");
    live.until("in flight", |s| s.loads_in_flight == [tiny.clone()]);
    live.until("loading", |s| is_state(s, "tiny", "loading"));
    assert_eq!(live.outcome("tiny").result, Verdict::Done);
    let ready = live.joined("tiny", fake.runner("tiny").expect("the server says so"));
    assert_eq!(live.now().loads_in_flight, []);
    let Some(Expiry::At(expires)) = ready.expires else { panic!("{:?}", ready.expires) };
    let left = expires.duration_since(Wall::now()).as_secs();
    assert!((1100..=1200).contains(&left), "{left}");
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let mut spec = spec(&[("tiny", 8)]);
    spec.models[0].fails = Some("not enough memory".into());
    let fake = FakeChild::spawn(spec);
    let live = Live::watch(&fake.url);
    live.until("installed", |s| !s.installed.value.is_empty());
    live.order(load("tiny", Keep::Default));
    let detail = "status 500: not enough memory".to_owned();
    assert_eq!(live.outcome("tiny").result, Verdict::Failed { detail });
    let after = live.until("gone", |s| model(s, "tiny").is_none());
    assert_eq!(after.loads_in_flight, []);
}

#[test]
fn an_unload_of_an_idle_model_is_done_when_its_bytes_are_back() {
    let script = Script { lets_runners_leave: true, unload_ms: 200, ..Script::default() };
    let mut spec = Spec { script, ..spec(&[("tiny", 96)]) };
    // The list is shorter long before the memory is back.
    spec.runner.gives_back_ms = 1500;
    let fake = FakeChild::spawn(spec);
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    let held = measured(&live.joined("tiny", pid));
    live.order(unload("tiny"));
    let leaving = live.until("off the list and still there", |s| {
        is_state(s, "tiny", "unloading") && model(s, "tiny").is_some_and(|m| m.expires.is_none())
    });
    assert!(!told(&leaving).iter().any(|line| line.starts_with("unloaded")), "it is not back yet");
    let outcome = live.outcome("tiny");
    assert!(!lives(pid));
    assert_eq!(outcome.result, Verdict::Done);
    let freed = outcome.freed.expect("its process was seen").get();
    assert!(freed.abs_diff(held) < 4 << 20, "{freed} came back of {held}");
    assert!(outcome.available_before.is_some() && outcome.available_after.is_some());
    assert_eq!(live.until("gone", |s| model(s, "tiny").is_none()).models_held(), Bytes::ZERO);
}

#[test]
fn a_model_that_generates_is_asked_and_has_no_deadline() {
    // Longer than the 15 s after which an idle one is stuck.
    let script = Script { generate_ms: 18_000, ..Script::default() };
    let fake = FakeChild::spawn(Spec { script, ..spec(&[("tiny", 16)]) });
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    live.joined("tiny", pid);
    post_aside(&fake, &json!({ "model": "tiny", "prompt": "a long story" }));
    live.until("busy", |s| model(s, "tiny").is_some_and(|m| m.activity == Activity::Busy));
    live.order(unload("tiny"));
    // Not once does it look idle, or stuck, on the way.
    let mut idle_looks = 0;
    let seen = live.within(SOON * 2, "its outcome", |s| {
        let state = model(s, "tiny").map(|model| &model.state);
        let is_leaving = !matches!(state, Some(ModelState::Ready));
        let works = matches!(state, Some(ModelState::Unloading { still_generating: true, .. }));
        idle_looks += usize::from(is_leaving && !works);
        told(s).iter().any(|line| line.contains("still generating"))
    });
    assert_eq!(idle_looks, 0);
    assert!(lives(pid) && is_state(&seen, "tiny", "unloading"));
    let gone = live.until("gone by itself", |s| model(s, "tiny").is_none());
    let last = told(&gone).pop().expect("it is told");
    assert!(last.starts_with("model out: tiny: as asked"), "{last}");
    assert!(!lives(pid));
}

#[test]
fn a_stuck_models_runner_can_be_ended_and_the_server_stays() {
    let script = Script { never_unloads: true, ..Script::default() };
    let mut spec = Spec { script, ..spec(&[("tiny", 32)]) };
    spec.runner.ignores_term = true;
    let fake = FakeChild::spawn(spec);
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    let joined = live.joined("tiny", pid);
    let process = joined.runner.expect("joined");
    live.order(unload("tiny"));
    let asked = Instant::now();
    assert!(matches!(live.ask(Command::EndRunner { process }), Reply::Refused { .. }));
    assert_eq!(live.outcome("tiny").result, Verdict::Stuck);
    assert!(asked.elapsed() >= Duration::from_secs(14), "{:?}", asked.elapsed());
    live.until("stuck", |s| is_state(s, "tiny", "stuck"));
    live.order(Command::EndRunner { process });
    let ended = live.until("ended", |s| told(s).iter().any(|l| l.starts_with("runner ended")));
    assert_eq!(live.ended(), [Ended::OnKill], "it ignores TERM");
    assert!(!lives(pid) && lives(fake.pid));
    let line = told(&ended).pop().unwrap_or_default();
    assert!(line.contains("came back"), "{line}");
    // The server goes on listing it, as recorded of dead runners.
    let gone = live.until("gone", |s| is_state(s, "tiny", "gone"));
    assert_eq!(gone.models_held(), Bytes::ZERO);
}

#[test]
fn a_model_whose_runner_died_is_gone_and_holds_nothing() {
    let fake = FakeChild::spawn(spec(&[("tiny", 48)]));
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    live.joined("tiny", pid);
    fake.order("tiny", "die");
    let seen = live.until("gone", |s| is_state(s, "tiny", "gone"));
    assert!(fake.state().loaded.contains_key("tiny:latest"), "the server still lists it");
    assert_eq!(seen.models_held(), Bytes::ZERO);
    assert_eq!(model(&seen, "tiny").and_then(|model| model.runner), None);
    // The next request starts another one.
    let next = fake.load("tiny");
    assert_ne!(next, pid);
    live.joined("tiny", next);
}

#[test]
fn a_killed_server_leaves_orphans_that_can_be_ended_and_comes_back() {
    let mut fake = FakeChild::spawn(spec(&[("one", 32), ("two", 24)]));
    let (one, two) = (fake.load("one"), fake.load("two"));
    let live = Live::watch(&fake.url);
    live.joined("one", one);
    live.joined("two", two);
    let port = fake.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let killed = Instant::now();
    fake.kill_server();
    let is_orphan =
        |s: &Snapshot, pid| component(s, pid).is_some_and(|row| row.kind == ComponentKind::Orphan);
    let seen = live.until("orphans", |s| is_orphan(s, one) && is_orphan(s, two));
    assert!(killed.elapsed() >= Duration::from_secs(2), "{:?}", killed.elapsed());
    let fault = live.until_down();
    assert_eq!(fault.kind, Kind::Refused);
    assert!(fault.detail.contains("ollama serve"), "{fault}");
    live.until("no models", |s| s.models.is_empty());
    let row = component(&seen, one).expect("just seen").clone();
    assert!(row.footprint.is_some_and(|f| f.bytes >= Bytes::mib(32)), "{row:?}");

    live.order(Command::EndRunner { process: row.process.expect("it is one") });
    live.until("the row is gone", |s| component(s, one).is_none());
    assert!(!lives(one) && lives(two));
    assert_eq!(live.ended(), [Ended::OnTerm]);

    // The same port, after a restart: seen within one poll, without a key.
    let again = FakeChild::spawn(Spec { port, ..spec(&[("one", 16), ("two", 16)]) });
    live.until_up(Duration::from_secs(6));
    let next = again.load("one");
    live.joined("one", next);
    assert!(is_orphan(&live.now(), two), "the new server has no claim on it");
}

/// A runner of ours, started by nobody's server, with weights at `blob`.
fn start_stray(folder: &Path, program: &str, blob: &str) -> Child {
    let program = link(&example(), &folder.join(program));
    Program::new(program)
        .args(runner::arguments(Path::new(blob), 45_678, 4096, 1))
        .env(RUNNER_VARIABLE, json!(RunnerSpec::default()).to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

#[test]
fn a_foreign_runner_is_only_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let digest = FakeModel::new("tiny", 0).blob();
    let blob = format!("/models/blobs/sha256-{digest}");
    let mut strays = [
        start_stray(folder.path(), "bin/llama-server", &blob),
        start_stray(folder.path(), "lib/ollama/llama-server", "/models/weights.gguf"),
    ];
    let fake = FakeChild::spawn(spec(&[("tiny", 16)]));
    let live = Live::watch(&fake.url);
    let pids = [strays[0].id(), strays[1].id()];
    let first = live.until("shown", |s| pids.iter().all(|pid| component(s, *pid).is_some()));
    // Long enough that an orphan would be called one.
    let after = first.at.mono.plus(Duration::from_secs(3));
    let seen = live.until("3 s later", |s| s.at.mono >= after);
    for pid in pids {
        let row = component(&seen, pid).expect("it is shown");
        assert_eq!(row.kind, ComponentKind::Foreign);
        let process = row.process.expect("it is one");
        assert!(matches!(live.ask(Command::EndRunner { process }), Reply::Refused { .. }));
    }
    // The same weights make no model of it, loaded or loading.
    assert_eq!(seen.models, []);
    let pid = fake.load("tiny");
    live.joined("tiny", pid);
    assert_eq!(live.ended(), []);
    for stray in &mut strays {
        assert!(matches!(stray.try_wait(), Ok(None)), "it still runs");
        stray.kill().expect("it is ours");
        stray.wait().expect("it is ours");
    }
}

#[test]
fn a_hung_server_is_shown_while_all_else_goes_on_and_its_return_is_seen() {
    let fake = FakeChild::spawn(spec(&[("tiny", 16)]));
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    live.joined("tiny", pid);
    fake.set(&Script::with("*", Conduct::Hung));
    let fault = live.until_down();
    assert_eq!(fault.kind, Kind::TimedOut);
    assert!(fault.detail.contains("no full answer within 2 s"), "{fault}");
    let down = live.now();
    let later = down.at.mono.plus(Duration::from_secs(1));
    let seen = live.until("samples go on", |s| {
        s.sample.as_ref().is_some_and(|sample| sample.at.mono >= later)
    });
    // What it said last is kept, and its runner is still measured.
    let tiny = model(&seen, "tiny").expect("a hang is no proof of anything");
    assert_eq!(pid_of(tiny), Some(pid));
    assert_eq!(seen.runtimes[0].since, down.runtimes[0].since);
    fake.set(&Script::default());
    live.until_up(Duration::from_secs(6));
    assert!(told(&live.now()).iter().any(|line| line.starts_with("server up")));
}

#[test]
fn every_bad_answer_is_down_with_its_reason_and_over_at_the_next_poll() {
    let fake = FakeChild::spawn(spec(&[("tiny", 16)]));
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    live.joined("tiny", pid);
    let html = "<html><head><title>Oops</title></head></html>";
    let conducts = [
        (Conduct::page(200, "application/json", "not json at all"), "Ollama"),
        (Conduct::Rubbish(10 << 20), "Ollama"),
        (Conduct::EndlessList(40 << 20), "more than 16 MiB"),
        (Conduct::HalfBody, "half way"),
        (Conduct::Close, "broke"),
        (Conduct::page(500, "text/html", html), "status 500: a web page, \"Oops\""),
        (Conduct::page(403, "text/plain", ""), "Host name"),
        (Conduct::page(502, "text/html", html), "is it running?"),
    ];
    for (conduct, wanted) in conducts {
        fake.set(&Script::with("/api/ps", conduct.clone()));
        live.order(Command::PollNow);
        let fault = live.until_down();
        assert!(fault.detail.contains(wanted), "{conduct:?}: {fault}");
        let tiny = model(&live.now(), "tiny").map(|model| model.state.clone());
        assert_eq!(tiny, Some(ModelState::Ready), "{conduct:?}");
        fake.set(&Script::default());
        live.order(Command::PollNow);
        live.until_up(SOON);
    }
    let now = live.now();
    let count = |start: &str| told(&now).iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("server down"), count("server up")), (8, 8));
}

#[test]
fn details_that_could_not_be_had_at_once_are_asked_for_again() {
    let script = Script::with("/api/show", Conduct::Close);
    let fake = FakeChild::spawn(Spec { script, ..spec(&[("tiny", 16)]) });
    let pid = fake.load("tiny");
    let live = Live::watch(&fake.url);
    live.until("listed", |s| is_state(s, "tiny", "ready"));
    wait_until("asked for", || fake.state().counts.get("/api/show") >= Some(&2));
    fake.set(&Script::default());
    live.joined("tiny", pid);
}

#[test]
fn an_unload_never_waits_for_a_load() {
    let fake = FakeChild::spawn(spec(&[("first", 32), ("second", 32)]));
    let pid = fake.load("first");
    fake.set(&Script { load_ms: 60_000, ..Script::default() });
    let live = Live::watch(&fake.url);
    live.joined("first", pid);
    live.until("installed", |s| !s.installed.value.is_empty());
    live.order(load("second", Keep::Default));
    let second = ModelName::new("second");
    live.until("its runner runs", |s| model(s, "second").is_some_and(|m| m.runner.is_some()));
    live.order(unload("first"));
    let outcome = live.outcome("first");
    assert_eq!(outcome.result, Verdict::Done);
    assert!(outcome.took < Duration::from_secs(10), "{:?}", outcome.took);
    let now = live.now();
    assert_eq!(now.loads_in_flight, [second]);
    assert!(is_state(&now, "second", "loading"));
    let loading = model(&now, "second").and_then(pid_of).expect("just seen");
    // Leaving cuts the load off at the server.
    drop(live);
    wait_until("the load was cut off", || !lives(loading));
}

#[test]
fn a_longer_keep_reloads_nothing_and_is_no_use_of_the_model() {
    let fake = FakeChild::spawn(spec(&[("tiny", 16)]));
    fake.ask("POST", "/api/generate", r#"{"model":"tiny","options":{"num_ctx":8192}}"#);
    let pid = fake.runner("tiny").expect("just loaded");
    let live = Live::watch(&fake.url);
    let before = live.joined("tiny", pid);
    assert!(before.idle.is_some_and(|idle| idle.at_least), "nobody knows since when");
    let keep = Keep::For(Duration::from_secs(1800));
    live.order(Command::Keep { model: ModelName::new("tiny"), keep });
    assert_eq!(live.outcome("tiny").result, Verdict::Done);
    let kept = live.until("its expiry moved", |s| {
        model(s, "tiny").is_some_and(|model| model.expires != before.expires)
    });
    let kept = model(&kept, "tiny").expect("just seen");
    assert_eq!((pid_of(kept), kept.context, kept.idle), (Some(pid), Some(8192), before.idle));
    let (path, body) = fake.state().posts.pop().expect("just posted");
    let body: Value = serde_json::from_str(&body).expect("the client sends JSON");
    let wanted = json!({"model": "tiny:latest", "keep_alive": 1800, "stream": false,
        "options": {"num_ctx": 8192}});
    assert_eq!((path.as_str(), body), ("/api/generate", wanted));

    // Somebody else uses it: that is seen.
    let body = r#"{"model":"tiny","prompt":"hello","keep_alive":900,"options":{"num_ctx":8192}}"#;
    fake.ask("POST", "/api/generate", body);
    let used = live.until("used", |s| {
        model(s, "tiny").and_then(|m| m.idle).is_some_and(|idle| !idle.at_least)
    });
    let since = model(&used, "tiny").and_then(|m| m.idle).expect("just seen").since;
    assert!(since.mono > before.idle.expect("seen above").since.mono);
    assert_eq!(model(&used, "tiny").and_then(pid_of), Some(pid));
}

#[test]
fn status_prints_the_promised_shape_with_models_joined() {
    let fake = FakeChild::spawn(spec(&[("tiny", 64)]));
    let pid = fake.load("tiny");
    let data = tempfile::tempdir().expect("a folder");
    let mut program = Program::new(env!("CARGO_BIN_EXE_plimsoll"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("PLIMSOLL_") || name == "OLLAMA_HOST" {
            program.env_remove(name);
        }
    }
    program.args(["status", "--json", "--ollama", &fake.url, "--data-dir"]).arg(data.path());
    program.env("XDG_CONFIG_HOME", data.path()).env("HOME", data.path());
    let output = program.output().expect("it runs");
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let has = |value: &Value, keys: &str| {
        let object = value.as_object().expect("an object");
        let missing: BTreeSet<&str> =
            keys.split(' ').filter(|key| !object.contains_key(*key)).collect();
        assert_eq!(missing, BTreeSet::new(), "in {value}");
    };
    has(
        &said,
        "schema_version time basis level set_by headroom_bytes memory swap pressure profile \
         runtimes models components events",
    );
    has(&said["memory"], "total_bytes used_bytes available_bytes used_percent");
    has(&said["runtimes"][0], "kind url state version error");
    has(
        &said["models"][0],
        "name state reported_bytes vram_bytes measured_bytes measured_source context expires_at \
         idle_seconds pid",
    );
    has(&said["components"][0], "name kind priority pinned bytes source");
    assert_eq!(said["basis"], "one_shot");
    let codes = [("normal", 0), ("warning", 10), ("critical", 11), ("emergency", 12)];
    let code = codes.iter().find(|(word, _)| said["level"] == *word).map(|(_, code)| *code);
    assert_eq!(output.status.code(), code, "{}", said["level"]);
    let runtime = json!({"kind": "ollama", "url": fake.url, "state": "up",
        "version": "0.33.0-rc2", "error": null, "place": "local"});
    assert_eq!(said["runtimes"][0], runtime);
    let model = &said["models"][0];
    assert_eq!(model["name"], "tiny:latest");
    assert_eq!((&model["state"], &model["pid"]), (&json!("ready"), &json!(pid)));
    assert_eq!((&model["measured_source"], &model["context"]), (&json!("status"), &json!(4096)));
    assert_eq!(model["idle_seconds"], Value::Null, "one look cannot tell");
    assert!(model["measured_bytes"].as_u64().is_some_and(|bytes| bytes >= 64 << 20), "{model}");
}
