//! A fake Ollama server: answers in the recorded shapes, keeps lists of
//! installed and loaded models, starts real processes as runners, and behaves
//! as badly as its script says.
//!
//! Used within a test ([`Fake`]), as a process of its own (`fake_child.rs`) and
//! by hand (`examples/fake_ollama.rs`). A script can be changed while it runs:
//! `POST /fake/script`; `GET /fake/state` tells what was asked and who runs;
//! `POST /fake/order` gives a runner a line.

#![allow(dead_code, reason = "each test that includes this uses another part of it")]

#[path = "fake_answers.rs"]
mod answers;
#[path = "plain_http.rs"]
pub mod plain_http;
#[path = "runner.rs"]
pub mod runner;
#[path = "fake_spec.rs"]
mod spec;
#[path = "fake_stream.rs"]
mod stream;

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::{JoinHandle, JoinSet};

use self::answers::{blob_path, ps, show, tags};
use self::plain_http::{Request, answer, read_request};
use self::runner::{RUNNER_VARIABLE, RunnerSpec};
pub use self::spec::{Conduct, FakeModel, FakeState, Script, Spec};

/// How often expiry and leaving are looked at.
const TICK: Duration = Duration::from_millis(10);

/// More requests than a test about headers makes.
const MOST_HEADS: usize = 200;

/// The context of a load that names none, as recorded.
const DEFAULT_CONTEXT: u64 = 4096;

/// The server's own keep, as recorded: five minutes.
const DEFAULT_KEEP: f64 = 300.0;

struct Loaded {
    model: FakeModel,
    context: u64,
    /// The context was asked for: a request without one then reloads.
    explicit: bool,
    keep: f64,
    /// `None`: never.
    expires: Option<Timestamp>,
    leaving_since: Option<Instant>,
    busy_until: Option<Instant>,
    runner: Option<RunnerProcess>,
}

struct RunnerProcess {
    child: Child,
    orders: Option<ChildStdin>,
    pid: u32,
}

struct State {
    spec: Spec,
    script: Script,
    loaded: Vec<Loaded>,
    /// Runners that were told to leave and may still be there.
    leaving: Vec<RunnerProcess>,
    seen: FakeState,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

/// A fake server inside this process. Its runners end with it.
pub struct Fake {
    pub address: SocketAddr,
    shared: Shared,
    tasks: Vec<JoinHandle<()>>,
}

impl Fake {
    pub async fn start(spec: Spec) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", spec.port)).await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let script = spec.script.clone();
        let preloaded = spec.preloaded.clone();
        let state = State {
            spec,
            script,
            loaded: Vec::new(),
            leaving: Vec::new(),
            seen: FakeState::default(),
        };
        let shared = Shared(Arc::new(Mutex::new(state)));
        for name in preloaded {
            let asked = Asked { name, keep: Some(DEFAULT_KEEP), context: None };
            load(&shared, &asked).await.expect("a preloaded model loads");
        }
        let serving = tokio::spawn(serve(listener, shared.clone()));
        let ticking = tokio::spawn(tick_for_ever(shared.clone()));
        Fake { address, shared, tasks: vec![serving, ticking] }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, script: Script) {
        self.shared.lock().script = script;
    }

    pub fn state(&self) -> FakeState {
        state_of(&self.shared)
    }

    /// Ends it; when this returns, its port is free and its connections closed.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
        tokio::task::yield_now().await;
    }

    /// How often a path was asked.
    pub fn count(&self, path: &str) -> usize {
        self.state().counts.get(path).copied().unwrap_or(0)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // The children are killed when dropped.
        self.shared.lock().loaded.clear();
    }
}

/// An address where nobody listens.
pub async fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("it listens"))
}

async fn serve(listener: TcpListener, shared: Shared) {
    // Conversations end with the server, as those of a real one do.
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    conversations.spawn(converse(stream, shared.clone()));
                }
            }
            Some(_) = conversations.join_next() => {}
        }
    }
}

async fn converse(mut stream: TcpStream, shared: Shared) {
    while let Some(request) = read_request(&mut stream).await {
        let conduct = {
            let mut state = shared.lock();
            note(&mut state.seen, &request);
            let script = &state.script.conduct;
            let named = script.get(&request.path).or_else(|| script.get("*"));
            let is_order = request.path.starts_with("/fake/");
            named.filter(|_| !is_order).cloned().unwrap_or(Conduct::Normal)
        };
        let is_last = plain_http::header(&request.headers, "connection") == Some("close");
        if !behave(&mut stream, &shared, &request, conduct).await || is_last {
            return;
        }
    }
}

fn note(seen: &mut FakeState, request: &Request) {
    *seen.counts.entry(request.path.clone()).or_default() += 1;
    if request.path.starts_with("/fake/") {
        return;
    }
    // By hand it may be polled for days.
    if seen.heads.len() >= MOST_HEADS {
        seen.heads.remove(0);
    }
    seen.heads.push(request.headers.clone());
    if request.method == "POST" {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        seen.posts.push((request.path.clone(), body));
        seen.post_times.push(Timestamp::now());
    }
}

/// False when the connection is to be closed.
async fn behave(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &Request,
    conduct: Conduct,
) -> bool {
    const JSON: &str = "application/json; charset=utf-8";
    match conduct {
        Conduct::Normal if stream::is_wanted(request) => {
            stream::generate(stream, shared, request).await
        }
        Conduct::Normal => {
            let Some((status, body)) = respond_or_hang_up(stream, shared, request).await else {
                return false;
            };
            let kind = if body.starts_with(b"{") { JSON } else { "text/plain; charset=utf-8" };
            answer(stream, status, kind, &body).await
        }
        Conduct::Slow(millis) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let (status, body) = respond(shared, request).await;
            answer(stream, status, JSON, &body).await
        }
        Conduct::Hung => {
            std::future::pending::<()>().await;
            false
        }
        Conduct::Close => false,
        Conduct::HalfBody => {
            let (status, body) = respond(shared, request).await;
            let mut bytes = plain_http::head(status, JSON, body.len()).into_bytes();
            bytes.extend_from_slice(&body[..body.len() / 2]);
            let _ = stream.write_all(&bytes).await;
            false
        }
        Conduct::Drip(millis) => {
            let (status, body) = respond(shared, request).await;
            let mut bytes = plain_http::head(status, JSON, body.len()).into_bytes();
            bytes.extend_from_slice(&body);
            drip(stream, &bytes, Duration::from_millis(millis)).await
        }
        Conduct::Rubbish(bytes) => {
            let flood = Flood { bytes, start: b"", pattern: b"\x00\xff{rubbish" };
            flood.send(stream, shared).await
        }
        Conduct::EndlessList(bytes) => {
            let flood = Flood { bytes, start: b"{\"models\":[", pattern: b"0,0,0,0," };
            flood.send(stream, shared).await
        }
        Conduct::Page { status, kind, body } => {
            answer(stream, status, &kind, body.as_bytes()).await
        }
    }
}

async fn drip(stream: &mut TcpStream, bytes: &[u8], pause: Duration) -> bool {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return false;
        }
        tokio::time::sleep(pause).await;
    }
    true
}

struct Flood {
    bytes: u64,
    start: &'static [u8],
    pattern: &'static [u8],
}

impl Flood {
    async fn send(&self, stream: &mut TcpStream, shared: &Shared) -> bool {
        let head =
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
        let chunk: Vec<u8> = self.pattern.iter().copied().cycle().take(64 * 1024).collect();
        if stream.write_all(&[head.as_slice(), self.start].concat()).await.is_err() {
            return false;
        }
        let mut sent = 0_u64;
        while sent < self.bytes && stream.write_all(&chunk).await.is_ok() {
            sent += chunk.len() as u64;
            shared.lock().seen.rubbish_sent = sent;
        }
        false
    }
}

/// A client that hangs up during a load stops the load, as recorded.
async fn respond_or_hang_up(
    stream: &mut TcpStream,
    shared: &Shared,
    request: &Request,
) -> Option<(u16, Vec<u8>)> {
    let mut byte = [0_u8; 1];
    tokio::select! {
        response = respond(shared, request) => Some(response),
        // Nothing is sent ahead by our clients: a byte here means the end.
        _ = stream.read(&mut byte) => None,
    }
}

async fn respond(shared: &Shared, request: &Request) -> (u16, Vec<u8>) {
    if !is_local(&request.host) {
        return (403, Vec::new());
    }
    let path = request.path.as_str();
    let (status, value) = match (request.method.as_str(), path) {
        ("GET" | "HEAD", "/") => return (200, b"Ollama is running".to_vec()),
        ("GET", "/api/version") => (200, json!({ "version": shared.lock().spec.version })),
        ("GET", "/api/ps") => (200, ps(&shared.lock())),
        ("GET", "/api/tags") => (200, tags(&shared.lock())),
        ("POST", "/api/show") => show(&shared.lock(), &request.body),
        ("POST", "/api/generate" | "/api/chat" | "/api/embed") => work(shared, request).await,
        ("POST", "/fake/script") => (200, replace_script(shared, &request.body)),
        ("POST", "/fake/order") => (200, give_order(shared, &request.body).await),
        ("GET", "/fake/state") => (200, json!(state_of(shared))),
        _ => return (404, b"404 page not found".to_vec()),
    };
    (status, value.to_string().into_bytes())
}

fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

fn state_of(shared: &Shared) -> FakeState {
    let state = shared.lock();
    let pid = |loaded: &Loaded| loaded.runner.as_ref().map(|runner| runner.pid);
    let loaded = state.loaded.iter().map(|entry| (entry.model.name.clone(), pid(entry))).collect();
    FakeState { loaded, ..state.seen.clone() }
}

fn replace_script(shared: &Shared, body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(script) => {
            shared.lock().script = script;
            json!({ "done": true })
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// `{"model": …, "line": "burn 500"}`
async fn give_order(shared: &Shared, body: &[u8]) -> Value {
    let order: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = with_tag(order["model"].as_str().unwrap_or_default());
    let line = format!("{}\n", order["line"].as_str().unwrap_or_default());
    let take = |state: &mut State| {
        let entry = state.loaded.iter_mut().find(|entry| entry.model.name == name)?;
        entry.runner.as_mut()?.orders.take()
    };
    let Some(mut orders) = take(&mut shared.lock()) else {
        return json!({ "error": "no such runner" });
    };
    let sent = orders.write_all(line.as_bytes()).await.is_ok();
    if let Some(runner) = find_loaded(&mut shared.lock(), &name).and_then(|e| e.runner.as_mut()) {
        runner.orders = Some(orders);
    }
    json!({ "done": sent })
}

fn find_loaded<'a>(state: &'a mut State, name: &str) -> Option<&'a mut Loaded> {
    state.loaded.iter_mut().find(|entry| entry.model.name == name)
}

fn with_tag(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// A generate, chat or embed, as far as its words matter here.
struct Asked {
    name: String,
    keep: Option<f64>,
    context: Option<u64>,
}

async fn work(shared: &Shared, request: &Request) -> (u16, Value) {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return (400, json!({ "error": "unexpected EOF" }));
    };
    let plain = body["model"].as_str().unwrap_or_default();
    let name = with_tag(plain);
    let known = shared.lock().spec.models.iter().find(|model| model.name == name).cloned();
    let Some(model) = known else {
        return (404, json!({ "error": format!("model '{plain}' not found") }));
    };
    let keep = match &body["keep_alive"] {
        Value::Null => None,
        Value::Number(seconds) => seconds.as_f64(),
        other => {
            let said = format!("time: missing unit in duration {other}");
            return (400, json!({ "error": said }));
        }
    };
    let is_embed = request.path == "/api/embed";
    let asks_work = !body["prompt"].as_str().unwrap_or_default().is_empty();
    if keep == Some(0.0) && !asks_work {
        begin_unload(shared, &name);
        return (200, finished(&model, "unload", is_embed));
    }
    if model.embeds && !is_embed {
        let said = format!("\"{plain}\" does not support generate");
        return (400, json!({ "error": said }));
    }
    let asked = Asked { name, keep, context: body["options"]["num_ctx"].as_u64() };
    if let Err(words) = load(shared, &asked).await {
        return (500, json!({ "error": words }));
    }
    if asks_work {
        generate(shared, &asked.name).await;
        return (200, finished(&model, "stop", is_embed));
    }
    (200, finished(&model, "load", is_embed))
}

fn finished(model: &FakeModel, reason: &str, is_embed: bool) -> Value {
    if is_embed {
        return json!({ "model": model.name, "embeddings": [], "total_duration": 14_143_917 });
    }
    json!({"model": model.name, "created_at": Timestamp::now().to_string(),
        "response": "", "done": true, "done_reason": reason})
}

fn begin_unload(shared: &Shared, name: &str) {
    if let Some(entry) = find_loaded(&mut shared.lock(), name) {
        entry.expires = Some(Timestamp::now());
        entry.leaving_since.get_or_insert_with(Instant::now);
    }
}

async fn generate(shared: &Shared, name: &str) {
    let span = Duration::from_millis(shared.lock().script.generate_ms);
    let busy = |state: &mut State| -> Option<()> {
        find_loaded(state, name)?.busy_until = Some(Instant::now() + span);
        Some(())
    };
    busy(&mut shared.lock());
    let order = json!({ "model": name, "line": format!("burn {}", span.as_millis()) });
    give_order(shared, order.to_string().as_bytes()).await;
    tokio::time::sleep(span).await;
    if let Some(entry) = find_loaded(&mut shared.lock(), name) {
        // A model that was asked to unload meanwhile keeps its past expiry.
        if entry.leaving_since.is_none() {
            entry.expires = expiry_of(entry.keep);
        }
    }
}

fn expiry_of(keep: f64) -> Option<Timestamp> {
    let span = SignedDuration::try_from_secs_f64(keep).ok()?;
    (keep >= 0.0).then(|| Timestamp::now().saturating_add(span).expect("a span of seconds"))
}

/// Loads, reloads or only moves the expiry, as the recorded servers do.
async fn load(shared: &Shared, asked: &Asked) -> Result<(), String> {
    let context = asked.context.unwrap_or(DEFAULT_CONTEXT);
    let stays = |state: &mut State| {
        let entry = find_loaded(state, &asked.name)?;
        let lives = match entry.runner.as_mut() {
            Some(runner) => matches!(runner.child.try_wait(), Ok(None)),
            None => true,
        };
        let same = entry.context == context && entry.explicit == asked.context.is_some();
        let fits = same || (entry.context == context && !entry.explicit);
        if !lives || !fits {
            return None;
        }
        entry.keep = asked.keep.unwrap_or(entry.keep);
        entry.expires = expiry_of(entry.keep);
        entry.leaving_since = None;
        Some(())
    };
    if stays(&mut shared.lock()).is_some() {
        return Ok(());
    }
    shared.lock().loaded.retain(|entry| entry.model.name != asked.name);
    let (model, wait) = {
        let state = shared.lock();
        let model = state.spec.models.iter().find(|model| model.name == asked.name);
        let model = model.ok_or("no such model")?.clone();
        (model, Duration::from_millis(state.script.load_ms))
    };
    let started = Instant::now();
    let runner = start_runner(shared, &model, context).await;
    tokio::time::sleep(wait.saturating_sub(started.elapsed())).await;
    if let Some(words) = model.fails {
        return Err(words);
    }
    let keep = asked.keep.unwrap_or(DEFAULT_KEEP);
    shared.lock().loaded.push(Loaded {
        model,
        context,
        explicit: asked.context.is_some(),
        keep,
        expires: expiry_of(keep),
        leaving_since: None,
        busy_until: None,
        runner,
    });
    Ok(())
}

/// Starts it and waits until it says that its memory is touched. Dropped on
/// the way, it is killed.
async fn start_runner(shared: &Shared, model: &FakeModel, context: u64) -> Option<RunnerProcess> {
    let (program, orders, blob, folder) = {
        let state = shared.lock();
        let script = RunnerSpec {
            bytes: model.bytes,
            load_ms: state.spec.runner.load_ms.max(state.script.load_ms),
            ..state.spec.runner.clone()
        };
        let blob = blob_path(&state, model);
        (state.spec.runner_program.clone()?, json!(script), blob, state.spec.folder.clone())
    };
    let port = 40_000 + u16::from(model.name.bytes().fold(0_u8, u8::wrapping_add));
    let mut child = Command::new(program)
        .args(runner::arguments(&blob, port, context, 1))
        .env(RUNNER_VARIABLE, orders.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the runner's program can be started");
    let pid = child.id().expect("it has just been started");
    let run = folder.join("run");
    if std::fs::create_dir_all(&run).is_ok() {
        let _ = std::fs::write(run.join(pid.to_string()), "");
    }
    let said = BufReader::new(child.stdout.take().expect("piped")).lines().next_line().await;
    let orders = child.stdin.take();
    matches!(said, Ok(Some(_))).then_some(RunnerProcess { child, orders, pid })
}

async fn tick_for_ever(shared: Shared) {
    loop {
        tokio::time::sleep(TICK).await;
        let left = tick(&mut shared.lock());
        for mut runner in left {
            if let Some(mut orders) = runner.orders.take() {
                let _ = orders.write_all(b"leave\n").await;
            }
            shared.lock().leaving.push(runner);
        }
    }
}

/// Lets go of what is due. Hands back runners that are to be told to leave;
/// the others are killed by being dropped.
fn tick(state: &mut State) -> Vec<RunnerProcess> {
    let (now, wall) = (Instant::now(), Timestamp::now());
    let script = state.script.clone();
    state.leaving.retain_mut(|runner| matches!(runner.child.try_wait(), Ok(None)));
    let mut told = Vec::new();
    for entry in &mut state.loaded {
        // Reaps one that died; the model stays listed, as recorded.
        if let Some(runner) = entry.runner.as_mut() {
            let _ = runner.child.try_wait();
        }
        if entry.expires.is_some_and(|at| at <= wall) {
            entry.leaving_since.get_or_insert(now);
        }
    }
    let (gone, stay) = std::mem::take(&mut state.loaded).into_iter().partition(|entry| {
        let waited = entry.leaving_since.map(|since| now.duration_since(since));
        let is_busy = entry.busy_until.is_some_and(|until| until > now);
        let is_due = waited.is_some_and(|span| span >= Duration::from_millis(script.unload_ms));
        is_due && !is_busy && !script.never_unloads
    });
    state.loaded = stay;
    let gone: Vec<Loaded> = gone;
    if script.lets_runners_leave {
        told.extend(gone.into_iter().filter_map(|entry| entry.runner));
    }
    told
}
