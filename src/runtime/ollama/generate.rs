//! A generation, streamed: when its first word comes, and what the server says
//! it took. The words themselves are dropped as they come.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Ask, Http, Taken};
use super::say_keep;
use super::wire::rubbish;
use crate::domain::model::ModelName;
use crate::domain::text::clean;
use crate::domain::{RuntimeFault, RuntimeFaultKind};
use crate::runtime::{Generated, Prompt};

/// A hundred tokens of a large model on a slow machine. A server that hangs is
/// not waited for longer.
const TIME: Duration = Duration::from_secs(15 * 60);

/// From one token to the next: the slowest machine that pages takes seconds.
/// Before the first one stands the reading of the prompt, which takes minutes.
const IDLE: Duration = Duration::from_secs(60);

/// So many times as many pieces as tokens were asked for, and some: a token may
/// come in parts, and a server that never ends is given up.
const MORE_TIMES: u64 = 4;
const MORE: u64 = 64;

/// The template of a model puts words around a prompt.
const TEMPLATE: u64 = 4096;

/// The fastest machine reads some hundred thousand tokens a second.
const FASTEST: u64 = 10_000_000;

/// Lines of some 150 bytes for each token, and one with all tokens as numbers.
const SIZE: usize = 16 << 20;

/// A line of a stream, as far as its words matter here.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    response: Value,
    /// What a model that thinks first writes meanwhile.
    #[serde(default)]
    thinking: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    done: Value,
    #[serde(default)]
    prompt_eval_count: Value,
    #[serde(default)]
    prompt_eval_duration: Value,
    #[serde(default)]
    eval_count: Value,
    #[serde(default)]
    eval_duration: Value,
}

pub async fn generate(
    http: &Http,
    model: &ModelName,
    prompt: &Prompt,
) -> Result<Generated, RuntimeFault> {
    let ask = Ask {
        call: "/api/generate",
        body: Some(body(model, prompt)),
        time: Some(TIME),
        size: SIZE,
        cut_to: None,
        // It may have begun.
        may_repeat: false,
    };
    let mut heard =
        Heard { begun: Instant::now(), lines: 0, is_done: false, generated: Generated::default() };
    http.lines((&ask, IDLE), |line| heard.take(line, prompt)).await?;
    match heard.is_done {
        true => Ok(heard.generated),
        false => Err(rubbish("the stream ended before the generation did")),
    }
}

/// The same words in the same order each time, as far as a model allows that.
fn body(model: &ModelName, prompt: &Prompt) -> Value {
    let mut body = json!({
        "model": model.as_str(),
        "prompt": prompt.text,
        "stream": true,
        "options": { "num_predict": prompt.tokens, "temperature": 0, "seed": 1 },
    });
    say_keep(&mut body, prompt.keep);
    if let Some(context) = prompt.context {
        body["options"]["num_ctx"] = json!(context);
    }
    body
}

struct Heard {
    begun: Instant,
    /// With words and without.
    lines: u64,
    is_done: bool,
    generated: Generated,
}

impl Heard {
    fn take(&mut self, line: &[u8], prompt: &Prompt) -> Taken {
        let asked = u64::from(prompt.tokens);
        self.lines += 1;
        if self.lines > asked * MORE_TIMES + MORE {
            let words = format!("it goes on far beyond the {asked} tokens that were asked for");
            return Err(rubbish(&words));
        }
        let now = self.begun.elapsed();
        let line: Line =
            serde_json::from_slice(line).map_err(|fault| rubbish(&fault.to_string()))?;
        if let Some(words) = line.error.as_str() {
            return Err(RuntimeFault::new(RuntimeFaultKind::Status(200), clean(words)));
        }
        let has = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
        let generated = &mut self.generated;
        if has(&line.response) || has(&line.thinking) {
            generated.first_word.get_or_insert(now);
            generated.last_word = Some(now);
            generated.pieces += 1;
        }
        if line.done == Value::Bool(true) {
            self.is_done = true;
            // A token is a byte of the prompt at least.
            let most = prompt.text.len() as u64 + TEMPLATE;
            (generated.prompt_tokens, generated.prompt_took) =
                believed((&line.prompt_eval_count, &line.prompt_eval_duration), most);
            (generated.tokens, generated.tokens_took) =
                believed((&line.eval_count, &line.eval_duration), asked);
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// A count and what it took, each as far as it can be so.
fn believed((count, took): (&Value, &Value), most: u64) -> (Option<u64>, Option<Duration>) {
    let count = count.as_u64().filter(|count| *count <= most);
    let took = took.as_u64().map(Duration::from_nanos);
    let can_be = |took: &Duration| {
        count.is_none_or(|count| count as f64 <= took.as_secs_f64() * FASTEST as f64)
    };
    (count, took.filter(can_be))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Keep;
    use crate::runtime::ollama::host::HostAddress;

    fn prompt(tokens: u32) -> Prompt {
        Prompt { text: "why".into(), tokens, context: None, keep: Keep::Default }
    }

    fn heard() -> Heard {
        Heard { begun: Instant::now(), lines: 0, is_done: false, generated: Generated::default() }
    }

    #[track_caller]
    fn goes_on(heard: &mut Heard, line: &[u8]) {
        assert!(heard.take(line, &prompt(24)).unwrap().is_continue());
    }

    #[test]
    fn it_asks_for_few_words_the_same_each_time() {
        let keep = Keep::For(Duration::from_secs(600));
        let prompt = Prompt { text: "why".into(), tokens: 64, context: Some(8192), keep };
        let wanted = json!({
            "model": "tiny:latest", "prompt": "why", "stream": true, "keep_alive": 600,
            "options": { "num_predict": 64, "temperature": 0, "seed": 1, "num_ctx": 8192 },
        });
        assert_eq!(body(&ModelName::new("tiny"), &prompt), wanted);
    }

    #[test]
    fn the_servers_figures_are_read_and_what_is_missing_is_unknown() {
        let mut heard = heard();
        goes_on(&mut heard, br#"{"model":"a","response":"","done":false}"#);
        assert_eq!(heard.generated.first_word, None, "no word yet");
        goes_on(&mut heard, br#"{"model":"a","response":"","thinking":"hm","done":false}"#);
        goes_on(&mut heard, br#"{"model":"a","response":" so","done":false}"#);
        assert!(!heard.is_done && heard.generated.pieces == 2);
        let last = br#"{"response":"","done":true,"prompt_eval_count":8,
            "prompt_eval_duration":1126300000,"eval_count":24,"eval_duration":"soon"}"#;
        assert!(heard.take(last, &prompt(24)).unwrap().is_break(), "it is over");
        let generated = heard.generated;
        assert!(heard.is_done && generated.first_word <= generated.last_word);
        assert_eq!((generated.prompt_tokens, generated.tokens), (Some(8), Some(24)));
        assert_eq!(generated.prompt_took, Some(Duration::from_nanos(1_126_300_000)));
        assert_eq!(generated.tokens_took, None);
    }

    #[test]
    fn an_error_in_the_stream_is_one() {
        let fault = heard()
            .take(br#"{"error":"model runner has \u001b[31mstopped"}"#, &prompt(24))
            .unwrap_err();
        assert_eq!(fault.detail, "model runner has [31mstopped");
        assert!(heard().take(b"<html>", &prompt(24)).is_err());
    }

    #[test]
    fn counts_that_cannot_be_are_unknown() {
        let mut heard = heard();
        let last = br#"{"done":true,"prompt_eval_count":18446744073709551615,
            "prompt_eval_duration":1,"eval_count":24,"eval_duration":1}"#;
        assert!(heard.take(last, &prompt(24)).unwrap().is_break(), "it is over");
        let generated = heard.generated;
        assert_eq!((generated.prompt_tokens, generated.tokens), (None, Some(24)));
        assert_eq!(generated.tokens_took, None, "no machine is that fast");
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut heard = heard();
        let took = (0..10_000).map_while(|_| heard.take(br#"{"response":"a"}"#, &prompt(8)).ok());
        assert_eq!(took.count(), 8 * 4 + 64);
        assert!(heard.take(b"{}", &prompt(8)).unwrap_err().detail.contains("8 tokens"));
    }

    /// Says one line and then blanks for ever; `None`: it goes on without a word.
    fn server(after: Option<&'static [u8]>) -> Http {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"response\":\"a\"}\n");
            while stream.write_all(after.unwrap_or_default()).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Http::new(HostAddress::parse(&format!("http://{address}")).0, Vec::new())
    }

    async fn lines(http: &Http, idle: Duration) -> (Result<(), RuntimeFault>, Heard) {
        let ask = Ask {
            call: "/api/generate",
            body: None,
            time: Some(TIME),
            size: SIZE,
            cut_to: None,
            may_repeat: false,
        };
        let mut heard = heard();
        let taken = http.lines((&ask, idle), |line| heard.take(line, &prompt(24))).await;
        (taken, heard)
    }

    #[tokio::test]
    async fn blanks_and_silence_after_a_word_are_given_up() {
        for after in [None, Some(&b" "[..])] {
            let (taken, heard) = lines(&server(after), Duration::from_millis(300)).await;
            assert!(taken.unwrap_err().detail.contains("given up"));
            assert_eq!(heard.generated.pieces, 1);
        }
    }

    #[tokio::test]
    async fn nothing_is_read_after_the_end() {
        let (taken, heard) = lines(&server(Some(b"{\"done\":true}\n")), TIME).await;
        taken.unwrap();
        assert!(heard.is_done);
    }
}
