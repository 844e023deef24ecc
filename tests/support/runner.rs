//! A process that looks like Ollama's runner and holds as much memory as it is
//! told: its arguments are the recorded ones, its orders come by environment
//! and by lines on its standard input.
//!
//! Lines: `burn MS` uses the processor, `grow BYTES` takes more memory, `leave`
//! gives the memory back and ends, `die` ends at once. When the other end of
//! the pipe closes, it stays: that is how an orphan is made.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The variable with a [`RunnerSpec`] as JSON. Where it is set, the program is
/// a runner and nothing else.
pub const RUNNER_VARIABLE: &str = "FAKE_RUNNER";

/// Memory is taken and given back in pieces that the allocator maps, so that
/// giving back really gives back.
const PIECE: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerSpec {
    /// Anonymous memory to touch.
    pub bytes: u64,
    /// Over how long it is touched.
    pub load_ms: u64,
    pub ignores_term: bool,
    /// Over how long `leave` gives the memory back.
    pub gives_back_ms: u64,
    /// Ends by itself so long after its start: as if killed by the kernel.
    pub dies_after_ms: Option<u64>,
    /// Never outlives this, whatever happens to those who started it.
    pub life_s: u64,
}

impl Default for RunnerSpec {
    fn default() -> Self {
        RunnerSpec {
            bytes: 8 << 20,
            load_ms: 0,
            ignores_term: false,
            gives_back_ms: 0,
            dies_after_ms: None,
            life_s: 180,
        }
    }
}

/// The arguments a recorded server starts its runner with.
pub fn arguments(blob: &Path, port: u16, context: u64, parallel: u32) -> Vec<String> {
    let context = (context * u64::from(parallel)).to_string();
    let parallel = parallel.to_string();
    let (blob, port) = (blob.display().to_string(), port.to_string());
    let text = format!(
        "--model {blob} --port {port} --host 127.0.0.1 --no-webui --offline -c {context} -np {parallel} \
         --log-verbosity 4 --no-log-prefix --no-log-timestamps --load-mode none --flash-attn auto \
         -b 512 -ub 512 --context-shift --keep 4"
    );
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether this process was started as a runner.
pub fn spec_from_environment() -> Option<RunnerSpec> {
    let text = std::env::var(RUNNER_VARIABLE).ok()?;
    Some(serde_json::from_str(&text).expect("the runner's orders are ours"))
}

/// Runs until told to end. Says `ready` once the memory is touched.
pub async fn run(spec: RunnerSpec) {
    // Taken before anything else: a handler is how a signal is ignored here.
    let _ignored = spec.ignores_term.then(|| signal(SignalKind::terminate()));
    let born = Instant::now();
    let mut held = Vec::new();
    let wanted = usize::try_from(spec.bytes).expect("64 bit");
    touch(&mut held, wanted, Duration::from_millis(spec.load_ms)).await;
    writeln!(std::io::stdout(), "ready").expect("the server listens");
    let end = spec.dies_after_ms.map_or(Duration::from_secs(spec.life_s), Duration::from_millis);
    let end = tokio::time::sleep(end.saturating_sub(born.elapsed()));
    tokio::select! {
        () = end => {}
        () = obey(&mut held, &spec) => {}
    }
}

async fn obey(held: &mut Vec<Vec<u8>>, spec: &RunnerSpec) {
    let (sender, mut lines) = mpsc::channel(8);
    // The thread ends with the process: a blocked read cannot be stopped.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    loop {
        let Some(line) = lines.recv().await else {
            // An orphan waits for nothing.
            std::future::pending::<()>().await;
            return;
        };
        let (order, figure) = line.split_once(' ').unwrap_or((&line, "0"));
        let figure: u64 = figure.parse().unwrap_or(0);
        match order {
            "burn" => burn(Duration::from_millis(figure)),
            "grow" => touch(held, usize::try_from(figure).expect("64 bit"), Duration::ZERO).await,
            "leave" => return give_back(held, Duration::from_millis(spec.gives_back_ms)).await,
            "die" => return,
            _ => {}
        }
    }
}

async fn touch(held: &mut Vec<Vec<u8>>, bytes: usize, over: Duration) {
    let pieces = bytes.div_ceil(PIECE).max(1);
    let pause = over / u32::try_from(pieces).unwrap_or(u32::MAX);
    let mut left = bytes;
    while left > 0 {
        let size = left.min(PIECE);
        held.push(vec![0xA5; size]);
        left -= size;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

async fn give_back(held: &mut Vec<Vec<u8>>, over: Duration) {
    let pause = over / u32::try_from(held.len().max(1)).unwrap_or(u32::MAX);
    while held.pop().is_some() {
        tokio::time::sleep(pause).await;
    }
}

/// Uses a third of a core: far more than counts as work, and a machine that
/// runs tests for 20 s stays usable.
fn burn(span: Duration) {
    let start = Instant::now();
    let mut sum = 0_u64;
    while start.elapsed() < span {
        let piece = Instant::now();
        while piece.elapsed() < Duration::from_millis(10) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        std::thread::sleep(Duration::from_millis(20).min(span.saturating_sub(start.elapsed())));
    }
}
