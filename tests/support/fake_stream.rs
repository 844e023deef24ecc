//! A generation that is streamed, in the recorded shape: a line for each token,
//! and a last one with the server's own figures.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::plain_http::{Request, answer};
use super::{Shared, expiry_of, find_loaded, give_order, with_tag, work};

/// Tokens of an answer that is not asked to be shorter.
const TOKENS: u64 = 24;

/// Its runner works for so long at a time.
const PIECE: Duration = Duration::from_millis(50);

/// What the server reports to have taken for reading the prompt.
const PROMPT_NANOS: u64 = 20_000_000;

pub fn is_wanted(request: &Request) -> bool {
    let body = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    let has_prompt = body["prompt"].as_str().is_some_and(|prompt| !prompt.is_empty());
    request.path == "/api/generate" && body["stream"] == json!(true) && has_prompt
}

/// False when the connection is to be closed.
pub async fn generate(stream: &mut TcpStream, shared: &Shared, request: &Request) -> bool {
    const JSON: &str = "application/json; charset=utf-8";
    let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let prompt = body["prompt"].take();
    let words = prompt.as_str().unwrap_or_default().split_whitespace().count();
    // It loads first where that is needed, as a real one does.
    let without_prompt = body.to_string().into_bytes();
    let (status, said) = work(shared, &Request { body: without_prompt, ..request.clone() }).await;
    if status != 200 {
        return answer(stream, status, JSON, said.to_string().as_bytes()).await;
    }
    let name = with_tag(body["model"].as_str().unwrap_or_default());
    let tokens = body["options"]["num_predict"].as_u64().map_or(TOKENS, |most| most.min(TOKENS));
    let span = Duration::from_millis(shared.lock().script.generate_ms);
    if let Some(entry) = find_loaded(&mut shared.lock(), &name) {
        entry.busy_until = Some(Instant::now() + span);
    }
    let all_came = lines(stream, shared, (&name, words, tokens)).await.is_ok();
    let mut state = shared.lock();
    state.seen.cut_off += usize::from(!all_came);
    if let Some(entry) = find_loaded(&mut state, &name) {
        entry.busy_until = None;
        if entry.leaving_since.is_none() {
            entry.expires = expiry_of(entry.keep);
        }
    }
    all_came
}

async fn lines(
    stream: &mut TcpStream,
    shared: &Shared,
    (name, words, tokens): (&str, usize, u64),
) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    tokio::time::sleep(Duration::from_nanos(PROMPT_NANOS)).await;
    let begun = Instant::now();
    for at in 0..tokens {
        let share = (at + 1) as f64 / tokens as f64;
        write_until(shared, name, (begun, share)).await;
        let token = json!({ "model": name, "created_at": Timestamp::now().to_string(),
            "response": format!(" word{at}"), "done": false });
        chunk(stream, &token).await?;
    }
    let took = begun.elapsed().as_nanos() as u64;
    let last = json!({ "model": name, "created_at": Timestamp::now().to_string(),
        "response": "", "done": true, "done_reason": "length", "context": [260, 265, 36],
        "total_duration": took + PROMPT_NANOS, "load_duration": 1_000_000,
        "prompt_eval_count": words, "prompt_eval_duration": PROMPT_NANOS,
        "eval_count": tokens, "eval_duration": took });
    chunk(stream, &last).await?;
    stream.write_all(b"0\r\n\r\n").await
}

/// Works until so much of the time is over, and the whole of it until nobody
/// wants it to go on.
async fn write_until(shared: &Shared, name: &str, (begun, share): (Instant, f64)) {
    loop {
        let (span, goes_on) = {
            let script = &shared.lock().script;
            let goes_on = script.writes_on.iter().any(|one| one == name) && share >= 1.0;
            (Duration::from_millis(script.generate_ms).mul_f64(share), goes_on)
        };
        let left = if goes_on { PIECE } else { span.saturating_sub(begun.elapsed()) };
        if left.is_zero() {
            return;
        }
        let piece = left.min(PIECE);
        let order = json!({ "model": name, "line": format!("burn {}", piece.as_millis()) });
        give_order(shared, order.to_string().as_bytes()).await;
        tokio::time::sleep(piece).await;
    }
}

async fn chunk(stream: &mut TcpStream, line: &Value) -> std::io::Result<()> {
    let line = format!("{line}\n");
    stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await
}
