//! A generation, streamed: when its first word comes, and what the server says
//! it took. The words themselves are dropped as they come.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Ask, Http};
use super::say_keep;
use super::wire::rubbish;
use crate::domain::model::ModelName;
use crate::domain::text::clean;
use crate::domain::{RuntimeFault, RuntimeFaultKind};
use crate::runtime::{Generated, Prompt};

/// A hundred tokens of a large model on a slow machine. A server that hangs is
/// not waited for longer.
const TIME: Duration = Duration::from_secs(15 * 60);

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
        Heard { begun: Instant::now(), is_done: false, generated: Generated::default() };
    http.lines(&ask, |line| heard.take(line)).await?;
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
    is_done: bool,
    generated: Generated,
}

impl Heard {
    fn take(&mut self, line: &[u8]) -> Result<(), RuntimeFault> {
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
            let span = |value: &Value| value.as_u64().map(Duration::from_nanos);
            self.is_done = true;
            generated.prompt_tokens = line.prompt_eval_count.as_u64();
            generated.prompt_took = span(&line.prompt_eval_duration);
            generated.tokens = line.eval_count.as_u64();
            generated.tokens_took = span(&line.eval_duration);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::Keep;

    fn heard() -> Heard {
        Heard { begun: Instant::now(), is_done: false, generated: Generated::default() }
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
        heard.take(br#"{"model":"a","response":"","done":false}"#).unwrap();
        assert_eq!(heard.generated.first_word, None, "no word yet");
        heard.take(br#"{"model":"a","response":"","thinking":"hm","done":false}"#).unwrap();
        heard.take(br#"{"model":"a","response":" so","done":false}"#).unwrap();
        assert!(!heard.is_done && heard.generated.pieces == 2);
        let last = br#"{"response":"","done":true,"prompt_eval_count":8,
            "prompt_eval_duration":1126300000,"eval_count":24,"eval_duration":"soon"}"#;
        heard.take(last).unwrap();
        let generated = heard.generated;
        assert!(heard.is_done && generated.first_word <= generated.last_word);
        assert_eq!((generated.prompt_tokens, generated.tokens), (Some(8), Some(24)));
        assert_eq!(generated.prompt_took, Some(Duration::from_nanos(1_126_300_000)));
        assert_eq!(generated.tokens_took, None);
    }

    #[test]
    fn an_error_in_the_stream_is_one() {
        let fault = heard().take(br#"{"error":"model runner has \u001b[31mstopped"}"#).unwrap_err();
        assert_eq!(fault.detail, "model runner has [31mstopped");
        assert!(heard().take(b"<html>").is_err());
    }
}
