//! A fake Ollama server to drive the dashboard by hand, without models.
//!
//! `cargo run --example fake_ollama -- --port 11500 --model tiny=200MiB --loaded tiny`
//! prints the address; then `plimsoll --ollama http://127.0.0.1:11500`. Its
//! runners are real processes that hold as much memory as said. The tests start
//! the same program.

#[path = "../tests/support/fake_child.rs"]
mod fake_child;
#[path = "../tests/support/ollama.rs"]
mod ollama;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use plimsoll::domain::Bytes;
use tokio::signal::unix::{SignalKind, signal};

use crate::fake_child::{FakeChild, SPEC_VARIABLE};
use crate::ollama::runner::{self, RunnerSpec};
use crate::ollama::{Fake, FakeModel, Script, Spec};

const USAGE: &str = "usage: fake_ollama [--port N] [--model NAME=SIZE[/REPORTED]]... [--loaded NAME]... \
[--load-ms N] [--unload-ms N] [--generate-ms N] [--never-unloads] [--ignores-term]
sizes as in 300MiB or 1.5GiB; change its behaviour while it runs: POST /fake/script, /fake/order; GET /fake/state";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for one thread");
    if let Some(spec) = runner::spec_from_environment() {
        runtime.block_on(runner::run(spec));
        // Standard input is read by a thread that nothing can stop.
        std::process::exit(0);
    }
    if let Ok(spec) = std::env::var(SPEC_VARIABLE) {
        let spec = serde_json::from_str(&spec).expect("our own words");
        runtime.block_on(serve(spec));
        return ExitCode::SUCCESS;
    }
    match read_arguments(std::env::args().skip(1)) {
        Ok(spec) => {
            runtime.block_on(by_hand(spec));
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            let _ = writeln!(std::io::stderr(), "{wrong}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// `ollama serve`: ended by TERM it takes its runners along.
async fn serve(spec: Spec) {
    let mut ended = signal(SignalKind::terminate()).expect("a handler for TERM");
    let fake = Fake::start(spec).await;
    say(&fake.url());
    ended.recv().await;
}

/// The one started by hand: starts `…/ollama serve` and waits for Ctrl-C.
async fn by_hand(spec: Spec) {
    let mut ended = signal(SignalKind::terminate()).expect("a handler for TERM");
    let program = std::env::current_exe().expect("a program has a path");
    let child = FakeChild::spawn_from(&program, spec);
    say(&format!("{} (ollama serve is pid {})", child.url, child.pid));
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = ended.recv() => {}
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("somebody reads the address");
}

fn read_arguments(mut given: impl Iterator<Item = String>) -> Result<Spec, String> {
    let life = Duration::from_secs(24 * 3600);
    let mut spec = Spec {
        port: 11500,
        script: Script { load_ms: 1500, unload_ms: 50, generate_ms: 5000, ..Script::default() },
        runner: RunnerSpec { life_s: life.as_secs(), ..RunnerSpec::default() },
        ..Spec::default()
    };
    let mut models = Vec::new();
    while let Some(flag) = given.next() {
        let mut value = || given.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--port" => spec.port = number(&value()?)?,
            "--model" => models.push(model(&value()?)?),
            "--loaded" => spec.preloaded.push(FakeModel::new(&value()?, 0).name),
            "--load-ms" => spec.script.load_ms = number(&value()?)?,
            "--unload-ms" => spec.script.unload_ms = number(&value()?)?,
            "--generate-ms" => spec.script.generate_ms = number(&value()?)?,
            "--never-unloads" => spec.script.never_unloads = true,
            "--ignores-term" => spec.runner.ignores_term = true,
            _ => return Err(format!("`{flag}` is not known")),
        }
    }
    if !models.is_empty() {
        spec.models = models;
    }
    let is_known = |name: &&String| !spec.models.iter().any(|model| model.name == **name);
    match spec.preloaded.iter().find(is_known) {
        Some(name) => Err(format!("`{name}` is to be loaded and is no --model")),
        None => Ok(spec),
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

/// `NAME=SIZE` or `NAME=SIZE/REPORTED`
fn model(text: &str) -> Result<FakeModel, String> {
    let (name, sizes) = text.rsplit_once('=').ok_or(format!("`{text}` is not NAME=SIZE"))?;
    let (size, reported) = sizes.split_once('/').unwrap_or((sizes, sizes));
    let bytes = |text: &str| text.parse::<Bytes>().map(Bytes::get).map_err(|e| e.to_string());
    Ok(FakeModel { reported: bytes(reported)?, ..FakeModel::new(name, bytes(size)?) })
}
