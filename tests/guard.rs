//! The guard as a shell, a service manager and another plimsoll meet it: who
//! holds the machine, what stands in the log, what signals do, and what is left
//! of an action when it is killed. Each test has a home of its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "support/shell.rs"]
mod shell;

use std::fs::{self, File};
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::act::lock::{Holder, Lock};
use plimsoll::domain::{ActionId, EventBody, ModelName, ModelState, Snapshot};
use plimsoll::engine::attach::RemoteLink;
use plimsoll::engine::link::{Command, Link, Reply};
use plimsoll::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use fake_child::FakeChild;
use ollama::{FakeModel, Script, Spec};
use shell::{Home, Said};

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An address where nobody listens: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A guard that runs. Its stderr is a file.
struct Guard {
    child: Child,
    stderr: PathBuf,
}

impl Guard {
    fn start(home: &Home, arguments: &[&str]) -> Guard {
        Guard::start_with(home, arguments, &[])
    }

    fn start_with(home: &Home, arguments: &[&str], variables: &[(&str, &str)]) -> Guard {
        let stderr = home.path("stderr");
        let file = File::options().create(true).append(true).open(&stderr).unwrap();
        let mut words = vec!["guard", "--ollama", NOBODY];
        if arguments.contains(&"--ollama") {
            words.truncate(1);
        }
        words.extend(arguments);
        let mut command = home.command(&words);
        command.envs(variables.iter().copied()).stderr(Stdio::from(file)).stdout(Stdio::null());
        Guard { child: command.spawn().unwrap(), stderr }
    }

    /// Started, and it holds the machine.
    fn holding(home: &Home, arguments: &[&str]) -> Guard {
        let guard = Guard::start(home, arguments);
        let socket = socket(home);
        wait_until("the guard listens", || socket.exists());
        guard.wait_for_line("server down");
        guard
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    #[track_caller]
    fn wait_for_line(&self, text: &str) {
        wait_until(text, || self.said().contains(text));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    #[track_caller]
    fn wait_for_end(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the guard ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|code| code.code())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Already ended in most tests; a failed one leaves nothing behind.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn socket(home: &Home) -> PathBuf {
    home.path("run/plimsoll/engine.sock")
}

fn lock(home: &Home) -> PathBuf {
    home.path("run/plimsoll/engine.lock")
}

// ---------------------------------------------------------------- who holds it

#[test]
fn a_second_guard_is_refused_and_told_who_holds_the_machine() {
    let home = Home::new();
    let guard = Guard::holding(&home, &[]);
    for arguments in [&["guard"][..], &["guard", "--once"]] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains(&format!("(pid {})", guard.child.id())), "{said:?}");
        assert!(said.err.contains("hint: `plimsoll` attaches to it"), "{said:?}");
    }
    assert_eq!(Lock::holder(&lock(&home)), Holder::Somebody(Some(guard.child.id())));
}

#[test]
fn a_dashboard_attaches_to_a_guard_and_ends_with_it() {
    let home = Home::new();
    let mut guard = Guard::holding(&home, &[]);
    let mut dashboard = home.dashboard(&["--ollama", NOBODY]);
    dashboard.wait_for_picture();
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
    assert_eq!(dashboard.wait_for_end(), 1);
    dashboard.wait_for_text("has ended, and this one was attached");
}

#[test]
fn a_guard_is_refused_while_a_dashboard_holds_the_machine() {
    let home = Home::new();
    let mut dashboard = home.dashboard(&["--ollama", NOBODY]);
    dashboard.wait_for_picture();
    let said = home.run(&["guard"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("another plimsoll acts on this machine (pid "), "{said:?}");
    dashboard.press("q");
    assert_eq!(dashboard.wait_for_end(), 0);
    let mut guard = Guard::holding(&home, &[]);
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
}

#[test]
fn without_a_place_for_its_lock_there_is_no_guard() {
    let home = Home::new();
    home.write("file", "");
    let mut command = home.command(&["guard"]);
    command.env("XDG_RUNTIME_DIR", home.path("file"));
    let said: Said = shell::said(command);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("make the folder"), "{said:?}");
    let said = home.run(&["guard", "--replay", "night.ndjson"]);
    assert_eq!(said.code, 2, "{said:?}");
}

#[test]
fn without_a_runtime_folder_the_lock_lies_beside_the_history() {
    let home = Home::new();
    let mut command = home.command(&["guard", "--ollama", NOBODY]);
    command.env_remove("XDG_RUNTIME_DIR").stderr(Stdio::null());
    let guard = Guard { child: command.spawn().unwrap(), stderr: PathBuf::new() };
    let lock = home.path("data/plimsoll/engine.lock");
    let holder = Holder::Somebody(Some(guard.child.id()));
    wait_until("it holds its lock", || Lock::holder(&lock) == holder);
}

#[test]
fn a_lock_that_was_removed_is_taken_again_and_so_is_the_socket() {
    let home = Home::new();
    let guard = Guard::holding(&home, &[]);
    fs::remove_dir_all(home.path("run/plimsoll")).unwrap();
    let holder = Holder::Somebody(Some(guard.child.id()));
    wait_until("it holds its lock again", || Lock::holder(&lock(&home)) == holder);
    wait_until("it listens again", || socket(&home).exists());
    waiting().block_on(async { RemoteLink::connect(&socket(&home)).await.map(drop) }).unwrap();
}

#[test]
fn a_guard_whose_machine_was_taken_meanwhile_ends() {
    let home = Home::new();
    let mut guard = Guard::holding(&home, &[]);
    fs::remove_file(lock(&home)).unwrap();
    let _ours = Lock::acquire(&lock(&home)).unwrap();
    assert_eq!(guard.wait_for_end(), Some(1));
    assert!(guard.said().contains("another plimsoll took this machine"), "{}", guard.said());
}

// ---------------------------------------------------------------- signals

#[test]
fn a_signal_ends_it_with_the_code_of_convention_and_a_last_line() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let home = Home::new();
        let mut guard = Guard::holding(&home, &[]);
        let begun = Instant::now();
        guard.signal(signal);
        assert_eq!(guard.wait_for_end(), Some(code));
        assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
        let said = guard.said();
        assert!(said.lines().next().unwrap().contains("guard begins: plimsoll "), "{said}");
        assert!(said.lines().last().unwrap().contains("guard ends: ended by SIG"), "{said}");
        assert!(!socket(&home).exists());
        assert_eq!(Lock::holder(&lock(&home)), Holder::Nobody);
    }
}

#[test]
fn the_log_is_opened_anew_at_sighup() {
    let home = Home::new();
    let (log, old) = (home.path("guard.log"), home.path("guard.log.1"));
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut guard = Guard::start(&home, &["--log", log.to_str().unwrap()]);
    wait_until("it logs", || read(&log).contains("server down"));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    fs::rename(&log, &old).unwrap();
    guard.signal(Signal::HUP);
    wait_until("a new file", || read(&log).contains("config read again"));
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
    assert!(read(&log).contains("guard ends"), "{}", read(&log));
    assert!(!read(&old).contains("guard ends"));
    assert_eq!(guard.said(), "", "what is in the log is not on stderr");
}

#[test]
fn a_config_is_read_again_at_sighup_and_a_wrong_one_changes_nothing() {
    let home = Home::new();
    let mut guard = Guard::holding(&home, &[]);
    home.config(b"[levels]\nwarning = 71\n");
    guard.signal(Signal::HUP);
    guard.wait_for_line("config read again");
    home.config(b"[levels]\nwarnin = 71\n");
    guard.signal(Signal::HUP);
    guard.wait_for_line("config refused: ");
    let said = guard.said();
    let refused = said.lines().find(|line| line.contains("config refused: ")).unwrap();
    assert!(refused.contains("line 2") && refused.contains("warnin"), "{said}");
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
}

// ---------------------------------------------------------------- the log

#[test]
fn a_log_that_takes_nothing_is_said_once_and_stops_nothing() {
    let home = Home::new();
    let mut guard = Guard::start(&home, &["--log", "/dev/full"]);
    guard.wait_for_line("takes no lines, the guard goes on");
    guard.signal(Signal::HUP);
    wait_until("it listens", || socket(&home).exists());
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
    assert_eq!(guard.said().lines().count(), 1, "{}", guard.said());
}

#[test]
fn json_is_one_object_a_line_in_the_shape_of_events() {
    let home = Home::new();
    let mut guard = Guard::start(&home, &["--log-format", "json"]);
    guard.wait_for_line("server down");
    guard.signal(Signal::TERM);
    guard.wait_for_end();
    let lines: Vec<Value> =
        guard.said().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() >= 4, "{lines:?}");
    for line in &lines {
        let names: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(names, ["kind", "schema_version", "seq", "text", "time"], "{line}");
        line["time"].as_str().unwrap().parse::<plimsoll::domain::Wall>().unwrap();
    }
    let numbered: Vec<u64> = lines.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(numbered, (1..=numbered.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_journal_gets_weights_instead_of_times() {
    for (is_it, first) in [(true, "<5>guard begins"), (false, "20")] {
        let home = Home::new();
        home.write("stderr", "");
        let stat = fs::metadata(home.path("stderr")).unwrap();
        let inode = if is_it { stat.st_ino() } else { stat.st_ino() + 1 };
        let stream = format!("{}:{inode}", stat.st_dev());
        let guard = Guard::start_with(&home, &[], &[("JOURNAL_STREAM", &stream)]);
        guard.wait_for_line("server down");
        assert!(guard.said().starts_with(first), "{}", guard.said());
        assert_eq!(guard.said().contains("<4>server down"), is_it, "{}", guard.said());
    }
}

#[test]
fn a_service_manager_is_told_ready_reloading_and_stopping() {
    let home = Home::new();
    let path = home.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut heard = [0; 512];
        let count = manager.recv(&mut heard).unwrap();
        String::from_utf8(heard[..count].to_vec()).unwrap()
    };
    let guard = Guard::start_with(&home, &[], &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(hear(), "READY=1");
    assert!(socket(&home).exists(), "it is ready when others can attach");
    assert!(hear().starts_with("STATUS=level "));
    guard.signal(Signal::HUP);
    let mut heard: Vec<String> = Vec::new();
    while !heard.contains(&"READY=1".to_owned()) {
        heard.push(hear());
    }
    assert!(heard.contains(&"RELOADING=1".to_owned()), "{heard:?}");
    guard.signal(Signal::TERM);
    while hear() != "STOPPING=1" {}
}

// ---------------------------------------------------------------- pace

fn waiting() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Attached as a dashboard is, that says nothing of what it looks at.
struct Attached {
    link: RemoteLink,
    waiting: tokio::runtime::Runtime,
}

impl Attached {
    fn to(home: &Home) -> Attached {
        let waiting = waiting();
        let link = waiting.block_on(RemoteLink::connect(&socket(home))).unwrap();
        Attached { link, waiting }
    }

    #[track_caller]
    fn until(&self, what: &str, mut is_so: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.link.snapshots();
        self.waiting.block_on(async {
            let seen = tokio::time::timeout(PATIENCE, snapshots.wait_for(|now| is_so(now))).await;
            let seen = seen.unwrap_or_else(|_| panic!("never happened: {what}"));
            Arc::clone(&seen.unwrap())
        })
    }

    fn ask(&self, command: Command) -> Reply {
        let reply = self.link.send(command).unwrap();
        self.waiting
            .block_on(async { tokio::time::timeout(PATIENCE, reply).await })
            .unwrap()
            .unwrap()
    }
}

#[test]
fn a_guard_alone_looks_at_its_calm_pace() {
    let home = Home::new();
    // So that this machine is calm whatever else it does.
    let levels = "[levels]\nwarning = 97\ncritical = 98\nemergency = 99\n\
        [levels.pressure]\nwarning_some = 99\ncritical_some = 100\n\
        warning_full = 99\ncritical_full = 100\n";
    home.config(levels.as_bytes());
    let _guard = Guard::holding(&home, &[]);
    let attached = Attached::to(&home);
    let mut times = Vec::new();
    attached.until("five samples", |now| {
        let at = now.sample.as_ref().map(|sample| sample.at.mono);
        if let Some(at) = at.filter(|at| !times.contains(at)) {
            times.push(at);
        }
        times.len() == 5
    });
    // A change of pace keeps the old beat, and the kernel may wake it sooner.
    let apart = times.windows(2).map(|pair| pair[1].since(pair[0])).max();
    assert!(apart >= Some(Duration::from_millis(4900)), "{times:?}");
}

// ---------------------------------------------------------------- one decision

#[test]
fn a_single_decision_ends_with_the_code_of_its_level() {
    let home = Home::new();
    home.config(b"[levels]\nwarning = 1\ncritical = 98\nemergency = 99\n");
    let begun = Instant::now();
    let said = home.run(&["guard", "--once", "--ollama", NOBODY]);
    assert!((10..=12).contains(&said.code), "{said:?}");
    assert!(said.out.starts_with("level warning: ") || said.code > 10, "{said:?}");
    assert!(said.err.contains("guard begins") && said.err.contains("guard ends"), "{said:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "took {:?}", begun.elapsed());

    let said = Home::new().run(&["guard", "--once", "--demo", "--log-format", "json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let decision: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&decision["level"], &decision["set_by"]), (&"normal".into(), &Value::Null));
    assert!(decision["events"].is_array(), "{decision}");
}

/// A server with a model loaded, and a config whose rules want it gone: by its
/// idle time, so that no memory has to be short.
fn with_an_idle_model(mode: &str) -> (Home, FakeChild) {
    let models = vec![FakeModel::new("tiny", 64 << 20)];
    let fake = FakeChild::spawn(Spec { models, ..Spec::default() });
    fake.load("tiny");
    let home = Home::new();
    let rules = format!(
        "[rules]\nmode = \"{mode}\"\ngrace = \"2s\"\n[rules.normal]\nidle = \"0s\"\n[levels]\nwarning = 97\ncritical = 98\nemergency = 99\n"
    );
    home.config(rules.as_bytes());
    (home, fake)
}

#[test]
fn a_single_decision_acts_where_the_rules_do_and_tells_what_came_back() {
    let (home, fake) = with_an_idle_model("act");
    let said = home.run(&["guard", "--once", "--ollama", &fake.url]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("unloaded tiny by rule: "), "{said:?}");
    assert!(said.out.contains(" came back in "), "{said:?}");
    // It is proved: nothing is left to unload.
    let again = home.run(&["guard", "--once", "--ollama", &fake.url]);
    assert!(!again.out.contains("tiny"), "{again:?}");
}

#[test]
fn a_dry_run_says_what_each_rule_would_do_and_does_nothing() {
    let (home, fake) = with_an_idle_model("act");
    let said = home.run(&["guard", "--dry-run", "--ollama", &fake.url]);
    assert_eq!(said.code, 0, "{said:?}");
    for line in [
        "normal: act, idle ones go at once  (stands now)\n  unload tiny, ",
        "emergency: act, force\n",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    let json = home.run(&["guard", "--dry-run", "--log-format", "json", "--ollama", &fake.url]);
    let told: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(told["levels"][0]["steps"][0]["name"], "tiny");
    assert_eq!(told["levels"][0]["steps"][0]["action"], "unload");
    // It is still there, no lock was taken, and nothing was written.
    assert!(home.run(&["status", "--ollama", &fake.url]).out.contains("tiny"));
    assert!(!home.path("data/plimsoll").exists());
}

#[test]
fn a_dry_run_asks_the_guard_that_runs() {
    let (home, fake) = with_an_idle_model("observe");
    home.write("config/plimsoll/config.toml", &{
        let text = fs::read_to_string(home.path("config/plimsoll/config.toml")).unwrap();
        format!("ollama = \"{}\"\n{text}", fake.url)
    });
    let guard = Guard::start(&home, &["--ollama", &fake.url]);
    guard.wait_for_line("would unload tiny");
    let said = home.run(&["guard", "--dry-run"]);
    assert!(said.out.contains("normal: observe, "), "{said:?}");
    assert!(said.out.contains("unload tiny, "), "{said:?}");
}

// ---------------------------------------------------------------- killed

/// The end of each action with this number, as the history has them.
fn ends(home: &Home, wanted: ActionId) -> Vec<String> {
    let restored = Store::look(&home.path("data/plimsoll")).unwrap();
    let ends = restored.events.iter().filter_map(|event| match &event.body {
        EventBody::ActionEnded { id, outcome, .. } if *id == wanted => {
            Some(format!("{:?}", outcome.result))
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn an_action_cut_off_by_a_kill_has_exactly_one_end_after_the_next_start() {
    let script = Script { unload_ms: 3_600_000, ..Script::default() };
    let models = vec![FakeModel::new("tiny", 8 << 20)];
    let fake = FakeChild::spawn(Spec { models, script, ..Spec::default() });
    fake.load("tiny");
    let home = Home::new();
    let start = || Guard::start(&home, &["--ollama", &fake.url]);
    let guard = start();
    wait_until("the guard listens", || socket(&home).exists());
    let attached = Attached::to(&home);
    attached.until("the model is seen", |now| {
        now.models.iter().any(|model| model.state == ModelState::Ready && model.runner.is_some())
    });
    let model = ModelName::new("tiny");
    assert_eq!(attached.ask(Command::Unload { model }), Reply::Accepted);
    let is_unload = |(path, body): &(String, String)| {
        path == "/api/generate" && body.contains("\"keep_alive\":0")
    };
    wait_until("the server is asked", || fake.state().posts.iter().any(is_unload));
    guard.signal(Signal::KILL);
    drop(guard);

    let left = Store::look(&home.path("data/plimsoll")).unwrap().unfinished;
    assert_eq!(left.len(), 1, "it was on disk before the server was asked: {left:?}");
    let id = left[0].0;
    assert_eq!(ends(&home, id), Vec::<String>::new());

    let mut guard = start();
    wait_until("its end is written", || !ends(&home, id).is_empty());
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
    let mut guard = start();
    wait_until("the guard listens", || socket(&home).exists());
    Attached::to(&home).until("a sample", |now| now.sample.is_some());
    guard.signal(Signal::TERM);
    assert_eq!(guard.wait_for_end(), Some(143));
    assert_eq!(ends(&home, id).len(), 1, "{:?}", ends(&home, id));
    assert!(Store::look(&home.path("data/plimsoll")).unwrap().unfinished.is_empty());
}
