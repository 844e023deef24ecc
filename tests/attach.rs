//! One engine, others attached to it: what goes over the socket, what hostile
//! clients can do, and the program itself, in terminals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/machine.rs"]
mod machine;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use plimsoll::act::Order;
use plimsoll::domain::plan::Keep;
use plimsoll::domain::{
    Event, InForce, InstalledModel, LoadedModel, ModelDetails, ModelName, Snapshot,
};
use plimsoll::engine::attach::{AttachFault, ObservingLink, RemoteLink, Served, Socket};
use plimsoll::engine::clock::Clock;
use plimsoll::engine::executor::Hands;
use plimsoll::engine::input::{Answered, Hook, Past, Settings};
use plimsoll::engine::journal::NoJournal;
use plimsoll::engine::link::{Attention, Command, Link, PlanRequest, Reply, SendError};
use plimsoll::engine::{Engine, LocalLink, Parts};
use plimsoll::policy::limits::Profile;
use plimsoll::runtime::demo::DemoRuntime;
use plimsoll::runtime::{Answer, Endpoint, Generated, LoadOptions, Prompt, Runtime};
use plimsoll::sense::demo::DemoSensors;
use plimsoll::simulation::{Scenario, SharedWorld, World};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const MODEL: &str = "gemma3:1b";

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An engine of a simulated machine, served in a folder of its own.
struct Holder {
    link: LocalLink,
    served: Served,
    stop: oneshot::Sender<()>,
    engine: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Holder {
    fn start() -> Holder {
        Holder::with(|runtime| Arc::new(runtime))
    }

    fn with(runtime: impl FnOnce(DemoRuntime) -> Arc<dyn Runtime>) -> Holder {
        let folder = tempfile::tempdir().unwrap();
        let (link, stop, engine) = engine(runtime);
        let served = Socket::bind(&folder.path().join("engine.sock")).unwrap().serve(link.clone());
        Holder { link, served, stop, engine, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    async fn attach(&self) -> RemoteLink {
        RemoteLink::connect(&self.socket()).await.unwrap()
    }

    async fn raw(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.socket()).await.unwrap())
    }

    /// Past the hello.
    async fn greeted(&self) -> BufReader<UnixStream> {
        let mut stream = self.raw().await;
        assert_eq!(
            line(&mut stream).await,
            json!({"plimsoll": env!("CARGO_PKG_VERSION"), "format": 4})
        );
        stream.write_all(b"{\"plimsoll\":\"test\",\"format\":4}\n").await.unwrap();
        stream
    }
}

fn engine(
    runtime: impl FnOnce(DemoRuntime) -> Arc<dyn Runtime>,
) -> (LocalLink, oneshot::Sender<()>, JoinHandle<()>) {
    let clock = Clock::system();
    let mut world = World::new(Scenario::Calm, clock.now());
    world.load(&ModelName::new(MODEL), Keep::Forever, None).unwrap();
    let world = SharedWorld::new(world);
    let interval = Some(Duration::from_millis(30));
    let settings = Settings { interval, ..machine::settings(Profile::Linux15) };
    let parts = Parts {
        sensors: Box::new(DemoSensors::new(world.clone())),
        runtime: runtime(DemoRuntime::new(world)),
        journal: Box::new(NoJournal { reason: None }),
        hands: Arc::new(NoHands),
        clock,
    };
    let (engine, link, _) = Engine::new(settings, Past::default(), parts);
    let (stop, stopped) = oneshot::channel();
    (link, stop, tokio::spawn(engine.run(stopped)))
}

/// No test here has anything done outside the simulated server.
struct NoHands;

impl Hands for NoHands {
    fn carry_out(&self, order: Order) -> BoxFuture<'static, Result<Answered, String>> {
        Box::pin(async move { Err(format!("no test asks for {order:?}")) })
    }

    fn tell(&self, hook: Hook, _: Event, _: InForce) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(async move { Err(format!("no test has a hook: {hook:?}")) })
    }
}

async fn line(stream: &mut BufReader<UnixStream>) -> Value {
    let mut text = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_line(&mut text)).await;
    assert!(read.unwrap().unwrap() > 0, "the holder hung up");
    serde_json::from_str(&text).unwrap()
}

async fn wait_for(link: &dyn Link, is_so: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut snapshots = link.snapshots();
    let waited = snapshots.wait_for(|snapshot| is_so(snapshot));
    let snapshot = tokio::time::timeout(PATIENCE, waited).await.expect("it comes").unwrap();
    Arc::clone(&snapshot)
}

async fn ask(link: &dyn Link, command: Command) -> Reply {
    let answer = link.send(command).unwrap();
    tokio::time::timeout(PATIENCE, answer).await.expect("it is answered").unwrap()
}

fn unload() -> Command {
    Command::Unload { model: ModelName::new(MODEL) }
}

fn has_model(snapshot: &Snapshot) -> bool {
    snapshot
        .models
        .iter()
        .any(|model| model.name.as_str() == MODEL && model.state.word() == "ready")
}

fn is_without_model(snapshot: &Snapshot) -> bool {
    snapshot.model(&ModelName::new(MODEL)).is_none()
}

/// As JSON, numbers to nine digits: the last one may differ after a journey
/// as text.
fn told(snapshot: &Snapshot) -> Value {
    fn rounded(value: Value) -> Value {
        match value {
            Value::Number(number) if number.is_f64() => {
                json!(format!("{:.9e}", number.as_f64().unwrap()))
            }
            Value::Array(values) => values.into_iter().map(rounded).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(key, value)| (key, rounded(value))).collect()
            }
            value => value,
        }
    }
    rounded(serde_json::to_value(snapshot).unwrap())
}

#[tokio::test]
async fn an_attached_link_sees_what_the_holder_sees() {
    let holder = Holder::start();
    let remote = holder.attach().await;
    wait_for(&remote, has_model).await;
    let mut compared = 0;
    let mut last = 0;
    let mut ours = holder.link.snapshots();
    let begun = std::time::Instant::now();
    while compared < 40 {
        assert!(begun.elapsed() < PATIENCE, "only {compared} compared");
        ours.changed().await.unwrap();
        let here = Arc::clone(&ours.borrow_and_update());
        tokio::time::sleep(Duration::from_millis(5)).await;
        let there = Arc::clone(&remote.snapshots().borrow());
        if here.sequence == there.sequence && here.sequence > last {
            assert_eq!(told(&there), told(&here));
            (compared, last) = (compared + 1, here.sequence);
        }
        if compared == 20 {
            // An event, a mark on the graph, other components.
            drop(remote.send(unload()).unwrap());
        }
    }
    let there = wait_for(&remote, is_without_model).await;
    assert!(
        there.events.value.iter().any(|event| event.body.text().contains(MODEL)),
        "{:?}",
        there.events
    );
    assert!(there.history.len() > 1 && !there.installed.value.is_empty());
}

#[tokio::test]
async fn commands_go_through_it_and_are_answered() {
    let holder = Holder::start();
    let remote = holder.attach().await;
    wait_for(&remote, has_model).await;
    let plan = ask(&remote, Command::Propose { request: PlanRequest::UnloadAll }).await;
    let Reply::Plan { plan } = plan else { panic!("{plan:?}") };
    assert!(
        plan.steps.iter().any(|step| step.action.model() == Some(&ModelName::new(MODEL))),
        "{plan:?}"
    );
    let older = ask(&remote, Command::OlderEvents { before: 9, limit: 5 }).await;
    assert_eq!(older, Reply::Events { events: Vec::new() });
    assert_eq!(ask(&remote, unload()).await, Reply::Accepted);
    wait_for(&holder.link, is_without_model).await;
    let again = ask(&remote, unload()).await;
    assert_eq!(again, Reply::Refused { reason: format!("{MODEL} is not loaded") });
}

#[tokio::test]
async fn a_link_ends_with_its_holder() {
    let holder = Holder::start();
    let remote = holder.attach().await;
    let mut snapshots = remote.snapshots();
    holder.stop.send(()).unwrap();
    holder.engine.await.unwrap();
    let ended = async { while snapshots.changed().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("it notices");
    assert_eq!(remote.send(unload()).map(drop), Err(SendError::Ended));
    let path = holder.folder.path().join("engine.sock");
    assert!(path.exists());
    drop(holder.served);
    assert!(!path.exists(), "the socket is left behind");
}

#[tokio::test]
async fn hostile_lines_end_their_own_conversation_only() {
    let holder = Holder::start();
    let remote = holder.attach().await;
    let deep = format!("{{\"number\":1,\"command\":{}\n", "[".repeat(100_000));
    let hostile: [Vec<u8>; 5] = [
        b"what?\n".to_vec(),
        vec![0xff, 0xfe, b'\n'],
        b"{\"number\":1,\"command\":{\"command\":\"explode\"}}\n".to_vec(),
        deep.into_bytes(),
        vec![b' '; 1024 * 1024 + 1],
    ];
    for text in hostile {
        let mut stream = holder.greeted().await;
        // It may hang up before it has read everything.
        drop(stream.write_all(&text).await);
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "still attached after {:?}", &text[..text.len().min(40)]);
        let now = remote.snapshots().borrow().sequence;
        wait_for(&remote, |snapshot| snapshot.sequence > now).await;
    }
}

#[tokio::test]
async fn another_format_is_told_ours_and_turned_away() {
    let holder = Holder::start();
    let mut stream = holder.raw().await;
    assert_eq!(line(&mut stream).await["format"], 4);
    stream.write_all(b"{\"plimsoll\":\"9.0.0\",\"format\":9}\n").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");

    let path = holder.folder.path().join("newer.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let newer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"{\"plimsoll\":\"9.0.0\",\"format\":9}\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(RemoteLink::connect(&path), newer);
    assert!(matches!(answer, Err(AttachFault::Format { format: 9, .. })));
}

#[tokio::test]
async fn a_holder_that_says_nothing_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let _listener = tokio::net::UnixListener::bind(&path).unwrap();
    let begun = std::time::Instant::now();
    assert!(matches!(RemoteLink::connect(&path).await, Err(AttachFault::Silent { .. })));
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn more_clients_than_eight_are_turned_away_until_one_leaves() {
    let holder = Holder::start();
    let mut links = Vec::new();
    for _ in 0..8 {
        links.push(holder.attach().await);
    }
    assert!(RemoteLink::connect(&holder.socket()).await.is_err());
    links.pop();
    let begun = std::time::Instant::now();
    while RemoteLink::connect(&holder.socket()).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "its place stays taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let holder = Holder::with(|inner| Arc::new(Many::new(inner)));
    let mut asleep = holder.greeted().await;
    wait_for(&holder.link, |snapshot| snapshot.installed.value.len() > 9000).await;
    let remote = holder.attach().await;
    let now = remote.snapshots().borrow().sequence;
    wait_for(&remote, |snapshot| snapshot.sequence > now + 30).await;
    // Awake again, it is told the newest, not what it missed.
    line(&mut asleep).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|seen| *seen < now + 30) {
        seen.push(line(&mut asleep).await["snapshot"]["snapshot"]["sequence"].as_u64().unwrap());
        assert!(seen.len() < 30, "{seen:?}");
    }
}

#[tokio::test]
async fn a_tick_with_ten_thousand_models_stays_small() {
    let holder = Holder::with(|inner| Arc::new(Many::new(inner)));
    wait_for(&holder.link, |snapshot| {
        snapshot.installed.value.len() > 9000 && snapshot.history.len() > 1 && has_model(snapshot)
    })
    .await;
    let mut stream = holder.greeted().await;
    let mut text = String::new();
    stream.read_line(&mut text).await.unwrap();
    assert!(text.len() > 1024 * 1024, "whole at first: {}", text.len());
    for _ in 0..10 {
        text.clear();
        stream.read_line(&mut text).await.unwrap();
        assert!(text.starts_with("{\"snapshot\":"));
        assert!(text.len() < 16 * 1024, "{} bytes: {}", text.len(), &text[..2000]);
    }
}

#[tokio::test]
async fn what_all_viewers_look_at_decides_the_pace() {
    let holder = Holder::start();
    let nothing = Attention { unfocused: true, ..Attention::default() };
    let remote = holder.attach().await;
    ask(&remote, Command::Attend { attention: Attention::default() }).await;
    ask(&holder.link, Command::Attend { attention: nothing }).await;
    let now = remote.snapshots().borrow().sequence;
    let begun = std::time::Instant::now();
    // Unfocused, it would take five seconds each.
    wait_for(&remote, |snapshot| snapshot.sequence > now + 20).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "slow for all: {:?}", begun.elapsed());
}

#[tokio::test]
async fn the_socket_of_a_dead_holder_is_replaced_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(RemoteLink::connect(&path).await, Err(AttachFault::Socket { .. })));
    let socket = Socket::bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(socket);
    assert!(!path.exists());

    std::fs::write(&path, "not a socket").unwrap();
    assert!(matches!(Socket::bind(&path), Err(AttachFault::InUse { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
}

#[tokio::test]
async fn one_that_only_looks_refuses_what_changes() {
    let (link, _stop, _engine) = engine(|runtime| Arc::new(runtime));
    let observing = ObservingLink::new(link, "another acts".into());
    wait_for(&observing, has_model).await;
    assert_eq!(ask(&observing, unload()).await, Reply::Refused { reason: "another acts".into() });
    assert_eq!(ask(&observing, Command::PollNow).await, Reply::Accepted);
    assert!(has_model(&observing.snapshots().borrow()));
}

/// A server with ten thousand models installed.
struct Many {
    inner: DemoRuntime,
    installed: Vec<InstalledModel>,
}

impl Many {
    fn new(inner: DemoRuntime) -> Many {
        let model = |number: u32| InstalledModel {
            name: ModelName::new(format!("library/model-{number}:latest")),
            digest: format!("{number:064x}"),
            disk: None,
            parameters: Some("3.2B".into()),
            quantization: Some("Q4_K_M".into()),
            family: Some("llama".into()),
            max_context: None,
            capabilities: vec!["completion".into(), "tools".into()],
            modified: None,
            is_cloud: false,
        };
        Many { inner, installed: (0..10_000).map(model).collect() }
    }
}

impl Runtime for Many {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }

    fn version(&self) -> Answer<String> {
        self.inner.version()
    }

    fn loaded(&self) -> Answer<Vec<LoadedModel>> {
        self.inner.loaded()
    }

    fn installed(&self) -> Answer<Vec<InstalledModel>> {
        let installed = self.installed.clone();
        Box::pin(async move { Ok(installed) })
    }

    fn details(&self, model: &ModelName) -> Answer<ModelDetails> {
        self.inner.details(model)
    }

    fn unload(&self, model: &ModelName) -> Answer<()> {
        self.inner.unload(model)
    }

    fn load(&self, model: &ModelName, options: LoadOptions) -> Answer<()> {
        self.inner.load(model, options)
    }

    fn generate(&self, _: &ModelName, _: Prompt) -> Answer<Generated> {
        unreachable!("nobody asks it to write")
    }
}

/// The program in a terminal, all of whose folders are below `home`.
struct Dashboard {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Box<dyn std::io::Write + Send>,
    seen: Arc<std::sync::Mutex<vt100::Parser>>,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
}

/// Nothing listens there: what the server says does not matter here.
const NO_SERVER: &str = "http://127.0.0.1:1";

fn surroundings(home: &Path, server: &str) -> [(&'static str, String); 7] {
    let home = home.to_str().unwrap().to_owned();
    [
        ("HOME", home.clone()),
        ("XDG_CONFIG_HOME", home.clone()),
        ("XDG_DATA_HOME", home.clone()),
        ("XDG_RUNTIME_DIR", home),
        ("OLLAMA_HOST", server.to_owned()),
        ("TERM", "xterm-256color".into()),
        ("LANG", "en_US.UTF-8".into()),
    ]
}

impl Dashboard {
    fn open(home: &Path, server: &str) -> Dashboard {
        let size = portable_pty::PtySize { rows: 24, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = portable_pty::native_pty_system().openpty(size).unwrap();
        let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_plimsoll"));
        for (name, value) in surroundings(home, server) {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let [rows, columns] = [24, 100].map(|size| std::num::NonZeroU16::new(size).unwrap());
        let seen = Arc::new(std::sync::Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let theirs = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut output, &mut buffer) {
                theirs.lock().unwrap().process(&buffer[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let dashboard = Dashboard { child, keys, seen, _terminal: pair.master };
        dashboard.wait_for_text("memory");
        dashboard
    }

    #[track_caller]
    fn wait_for_text(&self, text: &str) {
        let begun = std::time::Instant::now();
        loop {
            let contents = self.seen.lock().unwrap().screen().contents();
            if contents.contains(text) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no {text} on this screen:\n{contents}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn quit(&mut self) {
        self.keys.write_all(b"q").unwrap();
        self.keys.flush().unwrap();
        self.wait_for_end();
    }

    fn wait_for_end(&mut self) -> portable_pty::ExitStatus {
        let begun = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // Already ended in most tests; a failed one leaves nothing behind.
        let _ended = self.child.kill();
    }
}

fn status(home: &Path, server: &str, arguments: &[&str]) -> Value {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["status", "--json"])
        .args(arguments)
        .envs(surroundings(home, server))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {error}"))
}

fn holder_of(home: &Path) -> String {
    std::fs::read_to_string(home.join("plimsoll/engine.lock")).unwrap().trim().to_owned()
}

#[test]
fn commands_and_dashboards_attach_to_the_one_that_runs() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(status(home.path(), NO_SERVER, &[])["basis"], "one_shot");
    let mut first = Dashboard::open(home.path(), NO_SERVER);
    let pid = first.child.process_id().unwrap().to_string();
    assert_eq!(holder_of(home.path()), pid);
    let attached = status(home.path(), NO_SERVER, &[]);
    assert_eq!(attached["basis"], "attached");
    assert!(attached["memory"]["total_bytes"].as_u64().unwrap() > 0, "{attached}");
    // Whoever says where to look wants a look of their own.
    assert_eq!(status(home.path(), NO_SERVER, &["--ollama", NO_SERVER])["basis"], "one_shot");
    assert_eq!(status(home.path(), "http://127.0.0.1:2", &[])["basis"], "one_shot");

    let mut second = Dashboard::open(home.path(), NO_SERVER);
    assert_eq!(holder_of(home.path()), pid);
    second.quit();
    assert_eq!(status(home.path(), NO_SERVER, &[])["basis"], "attached");

    let mut third = Dashboard::open(home.path(), NO_SERVER);
    first.quit();
    assert!(!third.wait_for_end().success());
    third.wait_for_text("has ended, and this one was attached");
    assert!(!home.path().join("plimsoll/engine.sock").exists());
    assert_eq!(status(home.path(), NO_SERVER, &[])["basis"], "one_shot");
}

#[test]
fn one_that_cannot_attach_says_that_it_only_looks() {
    let home = tempfile::tempdir().unwrap();
    let first = Dashboard::open(home.path(), NO_SERVER);
    let pid = first.child.process_id().unwrap();
    let second = Dashboard::open(home.path(), "http://127.0.0.1:2");
    second.wait_for_text(&format!("pid {pid}"));
    assert_eq!(holder_of(home.path()), pid.to_string());
}

#[test]
fn one_that_was_killed_leaves_nothing_in_the_way() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Dashboard::open(home.path(), NO_SERVER);
    first.child.kill().unwrap();
    first.wait_for_end();
    let next = Dashboard::open(home.path(), NO_SERVER);
    assert_eq!(holder_of(home.path()), next.child.process_id().unwrap().to_string());
    assert_eq!(status(home.path(), NO_SERVER, &[])["basis"], "attached");
}
