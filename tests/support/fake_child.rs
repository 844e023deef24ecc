//! The fake server as a process of its own, so that sensors see what they see
//! on a real machine: `…/ollama serve` with children `…/lib/ollama/llama-server`.
//!
//! The program is the example `fake_ollama`, linked under the two names in a
//! folder of its own. Everything it started is ended with it, by pid.

#![allow(dead_code, reason = "each test that includes this uses another part of it")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::json;

use super::ollama::{FakeState, Script, Spec, plain_http};

/// The variable with a [`Spec`] as JSON, for `ollama serve`.
pub const SPEC_VARIABLE: &str = "FAKE_OLLAMA";

/// `ollama serve`, running.
pub struct FakeChild {
    pub url: String,
    pub pid: u32,
    /// Holds `bin/ollama`, `lib/ollama/llama-server`, `models/`, `run/`.
    pub folder: PathBuf,
    address: String,
    server: Child,
    _kept: tempfile::TempDir,
}

impl FakeChild {
    /// The program is built if need be; see [`example`].
    pub fn spawn(spec: Spec) -> Self {
        Self::spawn_from(&example(), spec)
    }

    /// With more in its environment.
    pub fn spawn_with(spec: Spec, variables: &[(&str, &str)]) -> Self {
        Self::start(&example(), spec, variables)
    }

    pub fn spawn_from(program: &Path, spec: Spec) -> Self {
        Self::start(program, spec, &[])
    }

    fn start(program: &Path, mut spec: Spec, variables: &[(&str, &str)]) -> Self {
        let kept = tempfile::tempdir().expect("a temporary folder");
        // The kernel tells paths without links in them.
        let folder = kept.path().canonicalize().expect("it exists");
        let server_path = link(program, &folder.join("bin/ollama"));
        spec.runner_program = Some(link(program, &folder.join("lib/ollama/llama-server")));
        spec.folder = folder.clone();
        let mut command = Command::new(server_path);
        command.arg("serve").env(SPEC_VARIABLE, json!(spec).to_string());
        if spec.port != 0 {
            command.env("OLLAMA_HOST", format!("127.0.0.1:{}", spec.port));
        } else {
            command.env_remove("OLLAMA_HOST");
        }
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = command.spawn().expect("the fake server can be started");
        let mut url = String::new();
        let said = server.stdout.take().expect("piped");
        BufReader::new(said).read_line(&mut url).expect("it says where it listens");
        let url = url.trim().to_owned();
        let address = url.trim_start_matches("http://").to_owned();
        FakeChild { url, pid: server.id(), folder, address, server, _kept: kept }
    }

    pub fn set(&self, script: &Script) {
        let body = json!(script).to_string();
        let said = plain_http::ask(&self.address, "POST", "/fake/script", &body).expect("it runs");
        assert_eq!(said, "{\"done\":true}");
    }

    pub fn state(&self) -> FakeState {
        let said = plain_http::ask(&self.address, "GET", "/fake/state", "").expect("it runs");
        serde_json::from_str(&said).expect("its own words")
    }

    /// Sends a request as a client would and hands back the body.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        plain_http::ask(&self.address, method, path, body).expect("it runs")
    }

    /// Loads a model and hands back its runner's pid.
    pub fn load(&self, model: &str) -> u32 {
        self.ask("POST", "/api/generate", &json!({ "model": model }).to_string());
        self.runner(model).expect("it was just loaded")
    }

    pub fn runner(&self, model: &str) -> Option<u32> {
        let name = if model.contains(':') { model.to_owned() } else { format!("{model}:latest") };
        self.state().loaded.get(&name).copied().flatten()
    }

    /// `burn MS`, `grow BYTES`, `leave` or `die`, to the runner of a model.
    pub fn order(&self, model: &str, line: &str) {
        let order = json!({ "model": model, "line": line }).to_string();
        self.ask("POST", "/fake/order", &order);
    }

    /// Ends the server as the kernel would: its runners stay as orphans.
    pub fn kill_server(&mut self) {
        self.server.kill().expect("it is ours");
        self.server.wait().expect("it is ours");
    }

    /// Every runner it ever started and that is still there.
    pub fn runners_alive(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(self.folder.join("run")) else { return Vec::new() };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| self.is_ours(*pid))
            .collect()
    }

    /// A pid may have been given to somebody else since.
    fn is_ours(&self, pid: u32) -> bool {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&self.folder))
    }
}

impl Drop for FakeChild {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        for pid in self.runners_alive() {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Waits for something another process does; panics with `what` after 30 s.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A hard link where both are on one file system, else a copy: the kernel
/// takes a process's name and path from the name it was started under.
pub fn link(program: &Path, name: &Path) -> PathBuf {
    let folder = name.parent().expect("it lies in a folder");
    fs::create_dir_all(folder).expect("the folder is ours");
    if fs::hard_link(program, name).is_err() {
        fs::copy(program, name).expect("the program can be copied");
    }
    name.to_owned()
}

/// The example's program, built once per test program: `cargo test --test X`
/// builds no examples.
pub fn example() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let here = std::env::current_exe().expect("a test has a path");
            // target/PROFILE/deps/TEST
            let profile = here.parent().and_then(Path::parent).expect("cargo's layout");
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--offline", "--example", "fake_ollama"]);
            build.current_dir(env!("CARGO_MANIFEST_DIR"));
            // What cargo tells a test of its package makes some dependencies
            // build anew; the test was built without.
            for (name, _) in std::env::vars_os() {
                let name = name.to_string_lossy();
                if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                    build.env_remove(&*name);
                }
            }
            if profile.ends_with("release") {
                build.arg("--release");
            }
            let built = build.status().is_ok_and(|status| status.success());
            let program = profile.join("examples/fake_ollama");
            assert!(built || program.exists(), "the example fake_ollama cannot be built");
            program
        })
        .clone()
}
