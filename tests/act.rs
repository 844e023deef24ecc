//! Signals, the lock, commands and hooks, on real processes.

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "support/scripted_http.rs"]
mod scripted_http;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::act::Order;
use plimsoll::act::command::{self, CommandFault, Errand, MOST_OUTPUT};
use plimsoll::act::containers::Containers;
use plimsoll::act::deeds::Deeds;
use plimsoll::act::hooks::{Hook, HookFault, HookTo, Teller};
use plimsoll::act::lock::{Lock, LockFault};
use plimsoll::act::signals::{ActFault, Ended, end_process};
use plimsoll::act::units::Units;
use plimsoll::assemble::hands::{self, RealHands};
use plimsoll::domain::event::EventBody;
use plimsoll::domain::snapshot::Mode;
use plimsoll::domain::{Deed, Event, HintValue, InForce, Level, ProcessKey, Target, Wall};
use plimsoll::engine::executor::Hands;
use serde_json::{Value, json};

use self::fake_child::{FakeChild, wait_until};
use self::ollama::runner::RunnerSpec;
use self::ollama::{FakeModel, Script, Spec};
use self::scripted_http::{Answer, Scripted};

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

// Commands.

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn errand(said: &[&str]) -> Errand {
    Errand { words: words(said), variables: vec![], limit: AMPLE }
}

fn shell(line: &str) -> Errand {
    errand(&["sh", "-c", line])
}

fn is_gone(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[tokio::test]
async fn a_command_is_its_words_and_no_shell_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("x");
    let traps = [
        format!("$(touch {})", trap.display()),
        format!("`touch {}`", trap.display()),
        format!("'; touch {}; '", trap.display()),
        format!("\" && touch {} \"", trap.display()),
        "*".to_owned(),
        "$HOME".to_owned(),
    ];
    for name in traps {
        let said = command::run(errand(&["printf", "%s", &name])).await.unwrap();
        assert_eq!(said, name);
        let variables = vec![("PLIMSOLL_COMPONENT", name.clone())];
        let print = errand(&["printenv", "PLIMSOLL_COMPONENT"]);
        let said = command::run(Errand { variables, ..print }).await.unwrap();
        assert_eq!(said, name);
        let literal = command::run(errand(&[&name])).await;
        assert!(matches!(literal, Err(CommandFault::NotStarted { .. })), "{literal:?}");
    }
    assert!(!trap.exists());
}

#[tokio::test]
async fn an_output_is_bounded_and_cleaned_and_both_streams_are_in_it() {
    let mixed = "printf 'a\\033[31mred\\033]0;title\\007\\r\\n\\n  \\377b\\n'; echo c >&2";
    let said = command::run(shell(mixed)).await.unwrap();
    assert_eq!(said, "a[31mred]0;title\n\u{fffd}b\nc");
    // A MiB in lines; it runs to its end all the same.
    let line = "0123456789012345678901234567890123456789012345678901234567890";
    let long = format!("i=0; while [ $i -lt 17000 ]; do echo {line}; i=$((i+1)); done; exit 3");
    let failed = command::run(shell(&long)).await.unwrap_err();
    let CommandFault::Failed { status, output, .. } = failed else { panic!("{failed:?}") };
    assert_eq!(status, "ended with 3");
    assert!(output.len() <= MOST_OUTPUT + '…'.len_utf8() && output.ends_with('…'), "{output}");
    assert!(output.lines().all(|said| line.starts_with(said.trim_end_matches('…'))), "{output}");
}

#[tokio::test]
async fn a_command_that_fails_says_how() {
    let failed = command::run(shell("echo why >&2; exit 7")).await.unwrap_err();
    assert_eq!(failed.to_string(), "`sh` ended with 7: why");
    let failed = command::run(shell("kill -9 $$")).await.unwrap_err();
    assert_eq!(failed.to_string(), "`sh` was ended by signal 9");
    let failed = command::run(errand(&["/nowhere/at\u{1b}all"])).await.unwrap_err();
    assert_eq!(failed.to_string(), "`/nowhere/atall` cannot be started");
    assert!(matches!(command::run(errand(&[])).await, Err(CommandFault::Empty)));
    assert!(command::run(errand(&["a\0b"])).await.is_err());
}

#[tokio::test]
async fn a_command_has_no_input_and_a_group_of_its_own() {
    let said = command::run(shell("cat; ps -o pgid= -p $$ | tr -d ' '; echo $$")).await.unwrap();
    let (group, pid) = said.split_once('\n').expect("two lines");
    assert_eq!(group, pid);
    let is_terminal = "for f in 0 1 2; do test -t $f && echo $f; done; true";
    assert_eq!(command::run(shell(is_terminal)).await.unwrap(), "");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let [child, leader] = ["child", "leader"].map(|name| folder.path().join(name));
    let line = format!(
        "trap '' TERM; sleep 60 & echo $! > '{}'; echo $$ > '{}'; echo begun; wait; wait; sleep 60",
        child.display(),
        leader.display()
    );
    let started = Instant::now();
    // Two seconds are enough to begin even on a busy machine.
    let errand = Errand { limit: Duration::from_secs(2), ..shell(&line) };
    let ended = command::run(errand).await.unwrap_err();
    assert_eq!(ended.to_string(), "`sh` took longer than 2 s and was ended: begun");
    assert!(started.elapsed() < AMPLE, "{:?}", started.elapsed());
    for file in [child, leader] {
        let pid = fs::read_to_string(file).unwrap();
        wait_until("it is gone", || is_gone(&pid));
    }
}

#[tokio::test]
async fn a_command_nobody_waits_for_any_more_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let line = format!("echo $$ > '{}'; sleep 60", file.display());
    let running = tokio::spawn(command::run(shell(&line)));
    let read = || fs::read_to_string(&file).unwrap_or_default();
    while !read().ends_with('\n') {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = read();
    assert!(!is_gone(&pid));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    wait_until("it is gone", || is_gone(&pid));
}

#[tokio::test]
async fn what_a_command_leaves_behind_goes_on_and_is_not_waited_for() {
    let started = Instant::now();
    let said = command::run(shell("sleep 30 & echo $!")).await.unwrap();
    assert!(started.elapsed() < AMPLE, "{:?}", started.elapsed());
    assert!(!is_gone(&said));
    let ended = end_process(key_of(said.parse().unwrap()), AMPLE).await;
    assert!(matches!(ended, Ok(Ended::OnTerm)), "{ended:?}");
}

// Hooks.

fn event() -> Event {
    let time: Wall = "2026-01-15T14:02:11Z".parse().expect("a time");
    let text = "it's \"$(touch x)\" & `y`".to_owned();
    Event { seq: 42, time, body: EventBody::Note { text } }
}

fn hook(to: HookTo) -> Hook {
    Hook { on_level: true, on_action: true, to, timeout: AMPLE }
}

async fn told(to: HookTo) -> Result<String, HookFault> {
    let hints = [("cache_mb", HintValue::Whole(50)), ("quality", HintValue::Text("low".into()))];
    let hints = hints.map(|(key, value)| (key.to_owned(), value));
    let now = InForce { level: Level::Critical, hints: Arc::new(hints.into()) };
    Teller::default().tell(hook(to), event(), now).await
}

fn expected_json() -> Value {
    json!({
        "schema_version": 1,
        "seq": 42,
        "time": "2026-01-15T14:02:11Z",
        "level": "critical",
        "hints": { "cache_mb": 50, "quality": "low" },
        "kind": "note",
        "title": "note",
        "text": "it's \"$(touch x)\" & `y`",
        "body": { "kind": "note", "text": "it's \"$(touch x)\" & `y`" },
    })
}

#[tokio::test]
async fn a_hooks_command_has_the_event_in_its_environment() {
    let line = "printf '%s|' \"$PLIMSOLL_EVENT\" \"$PLIMSOLL_LEVEL\" \"$PLIMSOLL_KIND\" \
                \"$PLIMSOLL_TITLE\" \"$PLIMSOLL_TEXT\" \"$PLIMSOLL_SEQ\" \"$PLIMSOLL_TIME\"";
    let said = told(HookTo::Command(words(&["sh", "-c", line]))).await.unwrap();
    let expected = "hook|critical|note|note|it's \"$(touch x)\" & `y`|42|2026-01-15T14:02:11Z|";
    assert_eq!(said, expected);
    let said = told(HookTo::Command(words(&["printenv", "PLIMSOLL_JSON"]))).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected_json());
    let failed = told(HookTo::Command(words(&["sh", "-c", "echo no; exit 1"]))).await;
    assert_eq!(failed.unwrap_err().to_string(), "`sh` ended with 1: no");
}

#[tokio::test]
async fn an_address_gets_the_event_by_post_and_its_answer_is_not_kept() {
    let server = Scripted::on_loopback(|_| Answer::Status(200, "secret".into())).await;
    let said = told(HookTo::Url(format!("{}/hook?token=t", server.url))).await.unwrap();
    assert_eq!(said, "");
    let [request] = &server.seen()[..] else { panic!("{:?}", server.seen()) };
    let body = request.strip_prefix("POST /hook?token=t ").expect("as the address says");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected_json());
    let server = Scripted::on_loopback(|_| Answer::Status(500, "why".into())).await;
    let failed = told(HookTo::Url(server.url.clone())).await.unwrap_err();
    assert_eq!(failed.to_string(), "it answers 500 Internal Server Error");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Scripted::on_loopback(|_| Answer::Status(200, String::new())).await;
    let location = format!("location: {}/", other.url);
    let server = Scripted::on_loopback(move |_| Answer::Header(307, location.clone())).await;
    let failed = told(HookTo::Url(server.url.clone())).await.unwrap_err();
    let expected = "it answers 307 Temporary Redirect: redirects are not followed";
    assert_eq!(failed.to_string(), expected);
    assert_eq!((server.seen().len(), other.seen().len()), (1, 0));
}

#[tokio::test]
async fn an_answer_without_end_is_read_only_so_far() {
    let server = Scripted::on_loopback(|_| Answer::Endless).await;
    let started = Instant::now();
    assert_eq!(told(HookTo::Url(server.url.clone())).await.unwrap(), "");
    assert!(started.elapsed() < AMPLE, "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_address_that_cannot_be_told_is_said_without_its_secrets() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let plain = Scripted::on_loopback(|_| Answer::Silence).await;
    let https = plain.url.replace("http://", "https://user:secret@");
    for url in [
        format!("http://user:secret@{address}/secret?token=secret"),
        format!("{https}/secret"),
        "ftp://user:secret@127.0.0.1/secret".to_owned(),
        "no address/secret".to_owned(),
    ] {
        let fault = Teller::default()
            .tell(
                Hook { timeout: Duration::from_secs(2), ..hook(HookTo::Url(url.clone())) },
                event(),
                Level::Normal,
            )
            .await
            .unwrap_err();
        assert!(!format!("{:#}", anyhow::Error::from(fault)).contains("secret"), "{url}");
    }
    assert_eq!(plain.seen(), [""; 0]);
}

#[tokio::test]
async fn of_a_flood_for_one_hook_nine_are_told_in_turn_and_the_others_dropped() {
    let server = Scripted::on_loopback(|_| Answer::Silence).await;
    let teller = Teller::default();
    let limit = Duration::from_millis(500);
    let hook = Hook { timeout: limit, ..hook(HookTo::Url(server.url.clone())) };
    let all = (0..50).map(|_| teller.tell(hook.clone(), event(), Level::Warning));
    let results = futures_util::future::join_all(all).await;
    let count = |is: fn(&HookFault) -> bool| {
        results.iter().filter(|result| result.as_ref().is_err_and(is)).count()
    };
    assert_eq!(count(|fault| matches!(fault, HookFault::TooMany)), 41);
    assert_eq!(count(|fault| matches!(fault, HookFault::NoAnswer(_))), 9);
    // The places are free again.
    let quiet = self::hook(HookTo::Command(words(&["true"])));
    assert_eq!(teller.tell(quiet, event(), Level::Normal).await.unwrap(), "");
}

// All of it, as the engine holds it.

fn real_hands() -> RealHands {
    let containers = Containers { sockets: vec![], patience: AMPLE, own: String::new() };
    let units = Units {
        systemctl: "/nowhere/systemctl".into(),
        patience: AMPLE,
        own_groups: String::new(),
    };
    RealHands::new(Deeds { containers, units })
}

#[tokio::test]
async fn the_hands_carry_out_every_order_and_say_why_they_do_not() {
    let hands = real_hands();
    let run = Order::Run { words: words(&["printenv", "PLIMSOLL_LEVEL"]), level: Level::Warning };
    assert_eq!(hands.carry_out(run).await, Ok(Some("warning".into())));
    let mut child = sleeper();
    let order = |deed| Order::Deed {
        component: "process:sleep".into(),
        target: Target::Process { key: key_of(child.id()) },
        deed,
    };
    let (pause, kill) = (order(Deed::Pause), Order::EndProcess(key_of(child.id())));
    assert_eq!(hands.carry_out(pause).await, Ok(None));
    assert_eq!(hands.carry_out(kill).await, Ok(None));
    child.wait().unwrap();
    let id = "0123456789ab".to_owned();
    let container = Target::Container { id, name: "web".into() };
    let unit = Target::Unit { name: "a.service".into(), is_user: false };
    for (target, why) in [(container, "no container engine"), (unit, "cannot be started: ")] {
        let order = Order::Deed { component: "x".into(), target, deed: Deed::Stop };
        let refused = hands.carry_out(order).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    let to = HookTo::Command(words(&["printenv", "PLIMSOLL_SEQ"]));
    assert_eq!(hands.tell(hook(to), event(), Level::Normal.into()).await, Ok("42".into()));
}

#[tokio::test]
async fn a_demo_and_a_recording_have_idle_hands() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("x");
    let touch = words(&["touch", trace.to_str().unwrap()]);
    for mode in [Mode::Demo, Mode::Replay] {
        let idle = hands::of(mode);
        let run = Order::Run { words: touch.clone(), level: Level::Emergency };
        assert!(idle.carry_out(run).await.is_err());
        let to = HookTo::Command(touch.clone());
        assert!(idle.tell(hook(to), event(), Level::Emergency.into()).await.is_err());
    }
    assert!(!trace.exists());
    let run = Order::Run { words: touch, level: Level::Emergency };
    assert_eq!(hands::of(Mode::Live).carry_out(run).await, Ok(None));
    assert!(trace.exists());
}
