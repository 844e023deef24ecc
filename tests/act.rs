//! Signals and the lock, on real processes.

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/ollama.rs"]
mod ollama;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plimsoll::act::lock::{Lock, LockFault};
use plimsoll::act::signals::{ActFault, Ended, end_process};
use plimsoll::domain::ProcessKey;

use self::fake_child::{FakeChild, wait_until};
use self::ollama::runner::RunnerSpec;
use self::ollama::{FakeModel, Script, Spec};

/// Long enough for any process to end on TERM, on a busy machine too.
const AMPLE: Duration = Duration::from_secs(10);

/// The variable that makes [`a_holder_of_the_lock`] one.
const HOLD: &str = "HOLD_LOCK";

fn key_of(pid: u32) -> ProcessKey {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let fields = stat.rsplit_once(") ").expect("the name ends").1;
    let started = fields.split(' ').nth(19).and_then(|field| field.parse().ok());
    ProcessKey { pid, started: started.expect("field 22 is a number") }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("60").spawn().expect("every system sleeps")
}

fn with_runner(runner: RunnerSpec) -> FakeChild {
    let models = vec![FakeModel::new("tiny", 4 << 20)];
    FakeChild::spawn(Spec { models, runner, ..Spec::default() })
}

#[tokio::test]
async fn a_process_that_obeys_ends_on_term() {
    let mut child = sleeper();
    let ended = end_process(key_of(child.id()), AMPLE).await;
    assert!(matches!(ended, Ok(Ended::OnTerm)), "{ended:?}");
    assert!(!child.wait().unwrap().success());
}

#[tokio::test]
async fn a_runner_that_ignores_term_is_killed_and_its_server_lives() {
    let fake = with_runner(RunnerSpec { ignores_term: true, ..RunnerSpec::default() });
    let runner = fake.load("tiny");
    let ended = end_process(key_of(runner), Duration::from_millis(200)).await;
    assert!(matches!(ended, Ok(Ended::OnKill)), "{ended:?}");
    wait_until("the runner is gone", || fake.runners_alive().is_empty());
    // The server lives and still lists the model, as real ones do.
    assert_eq!(fake.runner("tiny"), Some(runner));
}

#[tokio::test]
async fn an_orphan_can_be_ended() {
    let mut fake = with_runner(RunnerSpec::default());
    let runner = fake.load("tiny");
    fake.kill_server();
    assert_eq!(fake.runners_alive(), [runner]);
    let ended = end_process(key_of(runner), AMPLE).await;
    assert!(matches!(ended, Ok(Ended::OnTerm)), "{ended:?}");
    wait_until("the orphan is gone", || fake.runners_alive().is_empty());
}

#[tokio::test]
async fn a_pid_with_another_start_time_is_left_alone() {
    let mut child = sleeper();
    let key = key_of(child.id());
    let other = ProcessKey { started: key.started - 1, ..key };
    let refused = end_process(other, Duration::ZERO).await;
    assert!(matches!(refused, Err(ActFault::NotTheSame { .. })), "{refused:?}");
    assert!(child.try_wait().unwrap().is_none());
    end_process(key, AMPLE).await.unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_process_that_is_gone_needs_nothing() {
    let mut child = sleeper();
    let key = key_of(child.id());
    child.kill().unwrap();
    // First as a zombie, then without a trace.
    wait_until("it is a zombie", || {
        fs::read_to_string(format!("/proc/{}/stat", key.pid)).unwrap().contains(") Z ")
    });
    assert!(matches!(end_process(key, AMPLE).await, Ok(Ended::Already)));
    child.wait().unwrap();
    assert!(matches!(end_process(key, AMPLE).await, Ok(Ended::Already)));
}

#[tokio::test]
async fn protected_processes_are_refused_with_their_right_start_time_too() {
    let own = std::process::id();
    for pid in [1, own, std::os::unix::process::parent_id()] {
        let refused = end_process(key_of(pid), Duration::ZERO).await;
        assert!(matches!(refused, Err(ActFault::Protected { .. })), "{pid}: {refused:?}");
    }
}

#[test]
fn runners_look_give_back_and_die_as_told() {
    let fake = with_runner(RunnerSpec { gives_back_ms: 3000, ..RunnerSpec::default() });
    let runner = fake.load("tiny");
    let comm = fs::read_to_string(format!("/proc/{runner}/comm")).unwrap();
    assert_eq!(comm.trim(), "llama-server");
    let server = fs::read_to_string(format!("/proc/{}/comm", fake.pid)).unwrap();
    assert_eq!(server.trim(), "ollama");
    let line = fs::read(format!("/proc/{runner}/cmdline")).unwrap();
    let line = String::from_utf8(line).unwrap().replace('\0', " ");
    let blob = FakeModel::new("tiny", 0).blob();
    assert!(line.contains(&format!("/models/blobs/sha256-{blob} --port ")), "{line}");
    assert!(line.contains(" -c 4096 -np 1 "), "{line}");

    let before = anonymous_kib(runner);
    assert!(before >= 4096, "{before}");
    fake.order("tiny", &format!("grow {}", 16 << 20));
    wait_until("it grows", || anonymous_kib(runner) >= before + 16 * 1024);

    fake.set(&Script { lets_runners_leave: true, ..Script::default() });
    fake.ask("POST", "/api/generate", r#"{"model":"tiny","keep_alive":0}"#);
    wait_until("it is not listed", || fake.runner("tiny").is_none());
    assert_eq!(fake.runners_alive(), [runner]);
    wait_until("it has left", || fake.runners_alive().is_empty());

    let second = fake.load("tiny");
    fake.order("tiny", "die");
    wait_until("it dies", || fake.runners_alive().is_empty());
    assert_eq!(fake.runner("tiny"), Some(second), "a dead runner's model stays listed");
}

fn anonymous_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("Linux tells it");
    line.split_whitespace().nth(1).and_then(|field| field.parse().ok()).expect("a number of kB")
}

#[test]
fn the_lock_is_held_once_and_names_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/engine.lock");
    let lock = Lock::acquire(&path).unwrap();
    let refused = Lock::acquire(&path);
    let own = Some(std::process::id());
    assert!(matches!(refused, Err(LockFault::Held { by }) if by == own), "{refused:?}");
    drop(lock);
    Lock::acquire(&path).unwrap();
}

#[test]
fn a_lock_file_of_rubbish_or_of_a_dead_pid_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.lock");
    fs::write(&path, "999999999 what \u{1b}[2J").unwrap();
    let _lock = Lock::acquire(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
}

#[test]
fn a_lock_behind_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (target, path) = (folder.path().join("precious"), folder.path().join("engine.lock"));
    fs::write(&target, "kept").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert!(matches!(Lock::acquire(&path), Err(LockFault::Unusable { .. })));
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
}

#[test]
fn a_killed_holder_leaves_the_lock_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.lock");
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_holder_of_the_lock"])
        .env(HOLD, &path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Some(holder.id());
    let is_held = || matches!(Lock::acquire(&path), Err(LockFault::Held { by }) if by == pid);
    wait_until("the other process holds it", is_held);
    holder.kill().unwrap();
    holder.wait().unwrap();
    Lock::acquire(&path).unwrap();
}

/// Does nothing as a test; started by the one above it holds the lock.
#[test]
fn a_holder_of_the_lock() {
    let Some(path) = std::env::var_os(HOLD) else { return };
    // The other side tries as well, and may be first.
    let mut lock = Lock::acquire(Path::new(&path));
    while lock.is_err() {
        std::thread::sleep(Duration::from_millis(5));
        lock = Lock::acquire(Path::new(&path));
    }
    std::thread::sleep(Duration::from_secs(60));
    drop(lock);
}
