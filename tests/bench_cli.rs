//! `plimsoll bench` against a server that starts real processes: what is
//! measured, what is given back, and what ends it early.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "support/shell.rs"]
mod shell;

use std::process::{Child, Command, Stdio};

use plimsoll::domain::ModelName;
use plimsoll::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::fake_child::{FakeChild, wait_until};
use self::json_shape::shape;
use self::ollama::{FakeModel, Script, Spec};
use self::shell::{Home, Said};

/// Where every machine is below all its levels.
const CALM: &[u8] = b"[levels]\nwarning = 98\ncritical = 99\nemergency = 100\n";

struct Served {
    home: Home,
    fake: FakeChild,
}

impl Served {
    /// Whose generations take so many milliseconds.
    fn writing_for(generate_ms: u64) -> Served {
        Served::with(Script { generate_ms, ..Script::default() })
    }

    /// Whose generations go on until each was seen.
    fn writing_until_seen(models: &[&str]) -> Served {
        let writes_on = models.iter().map(|name| (*name).to_owned()).collect();
        Served::with(Script { generate_ms: 240, writes_on, ..Script::default() })
    }

    fn with(script: Script) -> Served {
        let models = vec![
            FakeModel::new("tiny:1b", 24 << 20),
            FakeModel::new("small:3b", 48 << 20),
            FakeModel { embeds: true, ..FakeModel::new("embeds:1b", 8 << 20) },
            FakeModel { remote: true, ..FakeModel::new("huge:480b-cloud", 384) },
        ];
        let fake = FakeChild::spawn(Spec { models, script, ..Spec::default() });
        let home = Home::new();
        home.config(CALM);
        Served { home, fake }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("OLLAMA_HOST", &self.fake.url).env("NO_PROXY", "*");
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        shell::said(self.command(arguments))
    }

    /// Beside a command that goes on until the engine has seen each of the
    /// models work.
    fn run_until_seen(&self, arguments: &[&str], models: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        for (seen, name) in (1..).zip(models) {
            // What it said instead is shown below.
            let mut has_ended = false;
            wait_until(&format!("{name} is seen at work"), || {
                has_ended = child.try_wait().unwrap().is_some();
                has_ended || self.is_busy(name)
            });
            if has_ended {
                break;
            }
            let writes_on = models[seen..].iter().map(|name| (*name).to_owned()).collect();
            self.fake.set(&Script { generate_ms: 240, writes_on, ..Script::default() });
        }
        ended(child)
    }

    /// By the engine of the command, which others can ask.
    fn is_busy(&self, name: &str) -> bool {
        let said = self.run(&["status", "--json"]);
        let status: Value = serde_json::from_str(&said.out).unwrap_or_default();
        let models = status["models"].as_array().cloned().unwrap_or_default();
        status["basis"] == "attached"
            && models.iter().any(|model| model["name"] == name && model["activity"] == "busy")
    }

    fn loaded(&self) -> Vec<String> {
        self.fake.state().loaded.into_keys().collect()
    }

    /// Bodies of what was asked to be written.
    fn prompts(&self) -> Vec<Value> {
        let posts = self.fake.state().posts.into_iter();
        let bodies = posts.filter(|(to, _)| to == "/api/generate");
        let values = bodies.map(|(_, body)| serde_json::from_str::<Value>(&body).unwrap());
        values.filter(|body| body["prompt"].is_string()).collect()
    }
}

fn ended(child: Child) -> Said {
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = ended.status.code().unwrap();
    Said { code, out: text(ended.stdout), err: text(ended.stderr) }
}

#[test]
fn models_are_loaded_asked_and_unloaded_one_after_another() {
    let models = ["tiny:1b", "small:3b"];
    let served = Served::writing_until_seen(&models);
    let said = served.run_until_seen(&["bench", "tiny:1b", "small:3b", "--json"], &models);
    assert_eq!(said.code, 0, "{said:?}");
    let json: Value = serde_json::from_str(&said.out).unwrap();
    insta::assert_snapshot!("bench_shape", shape(&json, 0));
    let results = json["results"].as_array().unwrap();
    for (result, (name, mebibytes)) in results.iter().zip([("tiny:1b", 24), ("small:3b", 48)]) {
        assert_eq!((&result["model"], &result["error"]), (&json!(name), &Value::Null));
        // What its process really holds.
        for figure in ["footprint_loaded_bytes", "footprint_used_bytes", "peak_bytes"] {
            let bytes = result[figure].as_u64().unwrap() >> 20;
            assert!((mebibytes..mebibytes + 32).contains(&bytes), "{figure}: {result}");
        }
        assert!(result["samples"].as_u64().unwrap() > 1, "{result}");
        assert_eq!((&result["tokens"], &result["given_back"]), (&json!(24), &json!(true)));
        let first = result["first_token_ms"].as_u64().unwrap();
        assert!(first > 0 && result["cold_load_ms"].is_u64(), "{result}");
    }
    let prompts = served.prompts();
    assert_eq!(prompts.len(), 2, "each is asked once");
    assert!(prompts.iter().all(|body| body["stream"] == true && body["keep_alive"] == 900));
    assert_eq!(prompts[0]["options"]["temperature"], 0);
    assert!(served.loaded().is_empty(), "nothing stays");
}

#[test]
fn a_table_says_what_is_measured_and_what_is_reported() {
    let served = Served::writing_for(300);
    served.home.write("question.txt", "one two three");
    let said = served.run(&["bench", "tiny:1b", "--prompt-file", "question.txt", "--ctx", "2048"]);
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("model    cold load  loaded") && lines[1].starts_with("tiny:1b"));
    assert!(said.out.contains("unloaded, ") && said.is_plain(), "{said:?}");
    assert!(said.out.contains("cached is unknown") && said.out.contains("reported"), "{said:?}");
    let prompts = served.prompts();
    assert_eq!(prompts[0]["prompt"], "one two three");
    assert_eq!(prompts[0]["options"]["num_ctx"], 2048);
}

#[test]
fn what_was_seen_is_learned() {
    let models = ["tiny:1b"];
    let served = Served::writing_until_seen(&models);
    let said = served.run_until_seen(&["bench", "tiny:1b", "--ctx", "2048"], &models);
    assert_eq!(said.code, 0, "{said:?}");
    let learned = Store::look(&served.home.path("data/plimsoll")).unwrap().loads;
    let [load] = &learned[..] else { panic!("{learned:?}") };
    assert_eq!((&load.model, load.key.context), (&ModelName::new("tiny:1b"), 2048));
    assert!(load.was_used && load.measured.get() >> 20 >= 24, "{load:?}");
    assert!(load.peak >= load.measured && load.key.parallel > 0, "{load:?}");
}

#[test]
fn what_cannot_be_measured_is_refused_before_anything_is_done() {
    let served = Served::writing_for(100);
    served.fake.load("tiny:1b");
    for (arguments, code, words) in [
        (&["bench", "huge:480b-cloud", "small:3b"][..], 1, "cost money"),
        (&["bench", "embeds:1b"], 1, "writes nothing"),
        (&["bench", "smal:3b"], 1, "did you mean small:3b"),
        (&["bench", "small:3b", "tiny:1b"], 1, "--yes unloads it first"),
        (&["bench", "small:3b", "--prompt-file", "nowhere.txt"], 1, "nowhere.txt"),
        (&["bench", "small:3b", "--demo"], 2, "only this machine"),
        (&["bench"], 2, "<MODEL>"),
    ] {
        let said = served.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words), "{arguments:?}: {said:?}");
    }
    assert_eq!(served.loaded(), ["tiny:1b"]);
    assert!(served.prompts().is_empty());
    let said = served.run(&["bench", "tiny:1b", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(served.loaded().is_empty(), "it was loaded cold, and given back");
}

#[test]
fn a_signal_ends_it_and_gives_the_memory_back() {
    let served = Served::writing_for(60_000);
    let mut command = served.command(&["bench", "tiny:1b", "small:3b"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it writes", || !served.prompts().is_empty());
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert!(err.contains("tiny:1b is unloaded again"), "{err}");
    assert!(served.loaded().is_empty());
    wait_until("the server has seen it", || served.fake.state().cut_off == 1);
    assert_eq!(served.prompts().len(), 1, "the second one was not begun");
}

#[test]
fn a_level_that_is_too_much_ends_it_and_gives_the_memory_back() {
    let served = Served::writing_until_seen(&["tiny:1b"]);
    let mut command = served.command(&["bench", "tiny:1b", "small:3b"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it writes", || !served.prompts().is_empty());
    // Critical on any machine, from now on: the config is followed.
    served.home.config(b"[levels]\nwarning = 1\ncritical = 2\nemergency = 100\n");
    let said = ended(child);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("memory is critical"), "{said:?}");
    assert!(served.loaded().is_empty());
    assert!(served.prompts().len() <= 1, "the second one was not begun");
}

#[test]
fn beside_a_guard_the_guard_loads() {
    let served = Served::writing_for(300);
    let mut guard = served.command(&["guard"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the guard listens", || {
        served.run(&["status", "--json"]).out.contains("\"attached\"")
    });
    let said = served.run(&["bench", "tiny:1b", "--json"]);
    let pid = Pid::from_raw(guard.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    guard.wait().unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json["results"][0]["given_back"], true, "{json}");
    assert!(served.loaded().is_empty());
}
