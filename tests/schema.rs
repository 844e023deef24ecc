//! `schema.json` against what is really written: each command with `--json`,
//! in a demo, over recordings, without a server, with a server of ours and its
//! loaded models, and beside a guard.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/bare_machine.rs"]
mod bare_machine;
#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "schema/hooks.rs"]
mod hooks;
#[path = "support/judged_machine.rs"]
mod judged_machine;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "support/schema.rs"]
mod schema;
#[path = "support/shell.rs"]
mod shell;
#[path = "schema/words.rs"]
mod words;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use plimsoll::cli::document::TABLE;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::fake_child::{FakeChild, wait_until};
use self::ollama::{FakeModel, Script, Spec};
use self::schema::Schema;
use self::shell::{Home, Said, said};

/// Nobody listens there: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

// ------------------------------------------------------------ the file itself

#[test]
fn all_that_stands_in_the_schema_is_checked() {
    let schema = Schema::read();
    for (at, rules) in schema.all() {
        let unknown: Vec<&String> = rules.keys().filter(|word| !schema::is_keyword(word)).collect();
        assert!(unknown.is_empty(), "{at}: {unknown:?} are not checked by these tests");
        if let Some(to) = rules.get("$ref") {
            schema.definition(to.as_str().unwrap().trim_start_matches("#/$defs/"));
        }
        // What a hook is told of an event is as the history keeps it.
        if rules.contains_key("properties") && at != "hook.body" {
            assert_eq!(rules.get("additionalProperties"), Some(&json!(false)), "{at}");
            assert!(rules.contains_key("description"), "{at} says nothing of itself");
            let named = rules["properties"].as_object().unwrap();
            for name in rules["required"].as_array().unwrap() {
                assert!(named.contains_key(name.as_str().unwrap()), "{at}: {name}");
            }
        }
    }
}

/// What stands as number of a kind, once for each form it has.
fn numbers(definition: &Value) -> Vec<&Value> {
    let forms =
        definition["oneOf"].as_array().map_or(vec![definition], |forms| forms.iter().collect());
    let is_required = |form: &&Value| {
        form["required"].as_array().is_some_and(|names| names.contains(&json!("schema_version")))
    };
    let own = forms.into_iter().filter(is_required);
    own.map(|form| &form["properties"]["schema_version"]["const"]).collect()
}

#[test]
fn each_kind_has_its_definition_and_number() {
    let schema = Schema::read();
    for (_, name, version) in TABLE {
        let found = numbers(schema.definition(name));
        assert!(!found.is_empty() && found.iter().all(|one| **one == json!(version)), "{name}");
    }
    for (name, definition) in schema.definitions() {
        let is_kind = TABLE.iter().any(|row| row.1 == name.as_str());
        assert!(is_kind || numbers(definition).is_empty(), "{name} is no kind of `cli::document`");
    }
}

#[test]
fn nothing_is_defined_twice() {
    let text = std::fs::read_to_string("schema.json").unwrap();
    let names = text.lines().filter(|line| line.starts_with("    \"") && line.contains("\": {"));
    let mut names: Vec<&str> = names.map(|line| line.split('"').nth(1).unwrap()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), count), (count, Schema::read().definitions().len()));
}

/// The words of each command that does something, without the program's name.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn below(
        command: &clap::Command,
        path: &[String],
        found: &mut Vec<(Vec<String>, clap::Command)>,
    ) {
        for one in command.get_subcommands() {
            let path = [path, &[one.get_name().to_owned()]].concat();
            match one.has_subcommands() {
                true => below(one, &path, found),
                false => found.push((path, one.clone())),
            }
        }
    }
    let mut found = Vec::new();
    below(&plimsoll::cli::command(), &[], &mut found);
    found
}

#[test]
fn each_command_with_json_has_its_definition() {
    let schema = Schema::read();
    let mut with_json = 0;
    for (path, command) in commands() {
        if command.get_arguments().any(|argument| argument.get_id() == "json") {
            let definition = schema.definition(&path.join("_").replace('-', "_"));
            assert!(definition["description"].is_string(), "{path:?}");
            with_json += 1;
        }
    }
    assert!(with_json > 15, "{with_json} only");
}

#[test]
fn what_is_not_as_the_schema_says_is_found() {
    let schema = Schema::read();
    let pin = json!({"schema_version": 1, "component": "model:x", "pinned": true});
    schema.accepts("pin", &pin);
    let with = |name: &str, value: Value| {
        let mut other = pin.clone();
        other[name] = value;
        schema.faults("pin", &other).len()
    };
    assert_eq!(with("more", json!(1)), 1, "a field that nobody named");
    assert_eq!(with("schema_version", json!(2)), 1);
    assert_eq!(with("pinned", json!("yes")), 1);
    assert_eq!(with("component", Value::Null), 1);
    assert_eq!(schema.faults("pin", &json!({"schema_version": 1, "pinned": true})).len(), 1);
    let line = |seq: Value, time: &str, kind: &str| {
        let line = json!({"schema_version": 1, "seq": seq, "time": time, "kind": kind, "text": "",
            "hints": null});
        schema.faults("event_line", &line).len()
    };
    assert_eq!(line(Value::Null, "2026-01-15T14:02:11.5Z", "oom_kill"), 0);
    assert_eq!(line(json!(-1), "yesterday", "oom kill"), 3);
    let course = |course: Value| schema.faults("course", &course).is_empty();
    assert!(course(json!({"trend": "plateau"})) && course(json!({"trend": "grows", "rate": 1.5})));
    assert!(
        !course(json!({"trend": "plateau", "rate": 1.5})) && !course(json!({"trend": "grows"}))
    );
}

// ------------------------------------------------------------------- commands

#[track_caller]
fn object(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[track_caller]
fn accepted(definition: &str, (said, code): (&Said, i32)) -> Value {
    assert_eq!(said.code, code, "{said:?}");
    let value = object(said);
    Schema::read().accepts(definition, &value);
    value
}

/// Each line of what it wrote.
#[track_caller]
fn lines_accepted(definition: &str, text: &str) -> Vec<Value> {
    let schema = Schema::read();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    lines.iter().for_each(|line| schema.accepts(definition, line));
    lines
}

#[test]
fn the_demo_writes_what_the_schema_says() {
    let home = Home::new();
    for (definition, arguments) in [
        ("status", &["status", "--json"][..]),
        ("models", &["models", "--json"]),
        ("components", &["components", "--json"]),
        ("why", &["why", "--json"]),
        ("fit_all", &["fit", "--json"]),
        ("recommend", &["recommend", "--json"]),
        ("doctor", &["doctor", "--json"]),
        ("advise", &["advise", "--json"]),
        ("recommend", &["recommend", "--json", "--task", "vision"]),
        ("carried", &["unload", "--all", "--dry-run", "--json"]),
        ("carried", &["cleanup", "--dry-run", "--json"]),
        ("carried", &["cleanup", "--strength", "force", "--yes", "--json"]),
        ("guard_dry_run", &["guard", "--dry-run", "--log-format", "json"]),
    ] {
        accepted(definition, (&home.run(&[arguments, &["--demo"]].concat()), 0));
    }
    let watched = home.run(&["watch", "--json", "--until", "normal", "--demo"]);
    lines_accepted("watch", &watched.out);
    let all = object(&home.run(&["fit", "--json", "--demo"]));
    let verdicts = all["models"].as_array().unwrap();
    assert!(verdicts.len() > 2, "{all}");
    for model in verdicts.iter().map(|model| model["model"].as_str().unwrap()) {
        let said = home.run(&["fit", model, "--json", "--demo"]);
        accepted("fit", (&said, said.code));
        let said = home.run(&["load", model, "--json", "--demo"]);
        assert!(matches!(said.code, 0 | 21..=24), "{said:?}");
        accepted("load", (&said, said.code));
    }
    let loaded = object(&home.run(&["models", "--json", "--demo"]));
    let loaded = loaded["models"][0]["name"].as_str().unwrap();
    accepted("keep", (&home.run(&["keep", loaded, "1h", "--json", "--demo"]), 0));
    accepted("keep", (&home.run(&["keep", loaded, "forever", "--json", "--demo"]), 0));
    accepted("pin", (&home.run(&["pin", loaded, "--json", "--demo"]), 0));
    accepted("priority", (&home.run(&["priority", loaded, "low", "--json", "--demo"]), 0));
    accepted("unload", (&home.run(&["unload", loaded, "--yes", "--json", "--demo"]), 0));
}

#[test]
fn a_guard_of_the_demo_writes_what_the_schema_says() {
    let home = Home::new();
    let mut command = home.command(&["guard", "--demo", "--once", "--log-format", "json"]);
    command.env("PLIMSOLL_RULES_GRACE", "0s");
    let once = said(command);
    accepted("guard_once", (&once, 0));
    lines_accepted("guard_line", &once.err);
}

#[test]
fn recordings_are_told_as_the_schema_says() {
    let home = Home::new();
    for (available, code) in [(12, 0), (3, 10), (1, 11), (0, 12)] {
        home.write("r", &bare_machine::recording(&[available; 3]));
        let status = accepted("status", (&home.run(&["status", "--json", "--replay", "r"]), code));
        assert_eq!(status["swap"], Value::Null);
        accepted("why", (&home.run(&["why", "--json", "--replay", "r"]), 0));
        accepted("components", (&home.run(&["components", "--json", "--replay", "r"]), 0));
    }
    home.write("r", &bare_machine::recording(&[12, 12, 3, 1, 12, 12, 1, 1, 0, 0, 0, 12]));
    let watched = home.run(&["watch", "--json", "--replay", "r", "--until", "critical"]);
    lines_accepted("watch", &watched.out);
    accepted("simulate", (&home.run(&["simulate", "r", "--json"]), 0));
    let two = ["simulate", "r", "--json", "--against-profile", "pressure", "--timing"];
    let two = accepted("simulate", (&home.run(&two), 0));
    assert!(two["difference"].is_object() && two["timing"].is_object());
    judged_machine::record(&home);
    for (arguments, code) in [
        (&["fit", "tiny:1b"][..], 20),
        (&["fit", "mid:14b"], 21),
        (&["fit", "tiny:1b", "--ctx", "262144"], 22),
        (&["fit", "big:32b"], 23),
        (&["fit", "giant:70b"], 24),
    ] {
        let said = home.run(&[arguments, &["--json", "--replay", "machine"]].concat());
        accepted("fit", (&said, code));
    }
    let measured = ["measure", "--for", "1s", "--demo", "--json", "--target", "peak<1TiB"];
    let measured = accepted("measure", (&home.run(&measured), 0));
    assert_eq!(measured["result"], json!("pass"), "{measured}");
    for name in ["before.json", "after.json"] {
        let kept = ["measure", "--for", "1s", "--save", name, "--demo", "--component", "model:*"];
        assert_eq!(home.run(&kept).code, 0);
        let kept = std::fs::read_to_string(home.path(name)).unwrap();
        Schema::read().accepts("measure", &serde_json::from_str(&kept).unwrap());
    }
    let both = home.run(&["measure", "--compare", "before.json", "after.json", "--json"]);
    accepted("measure_compare", (&both, 0));
    let recorded = home.run(&["record", "day", "--for", "2s", "--json", "--demo"]);
    let recorded = accepted("record", (&recorded, 0));
    assert_eq!(recorded["file"], json!("day"));
    let simulated = accepted("simulate", (&home.run(&["simulate", "day", "--json"]), 0));
    assert_eq!(simulated["sides"][0]["span"]["samples"], recorded["samples"]);
}

#[test]
fn measurements_and_what_a_hog_says_are_told_as_the_schema_says() {
    let home = Home::new();
    for name in ["a.json", "b.json"] {
        let script = ["--save", name, "--target", "peak<1TiB", "--", "sleep", "0.3"];
        let said = home.run(&[&["measure"][..], &script].concat());
        assert_eq!(said.code, 0, "{said:?}");
        let kept = std::fs::read_to_string(home.path(name)).unwrap();
        Schema::read().accepts("measure", &serde_json::from_str(&kept).unwrap());
    }
    let demo = ["measure", "--demo", "--for", "500ms", "--component", "*", "--json"];
    accepted("measure", (&home.run(&demo), 0));
    let compared = home.run(&["measure", "--compare", "a.json", "b.json", "--json"]);
    accepted("measure_compare", (&compared, 0));
    let hog = home.run(&["hog", "--size", "8MiB", "--step", "4MiB", "--hold", "0s", "--json"]);
    lines_accepted("hog", &hog.out);
}

/// Where nobody answers as a server.
fn alone(home: &Home, arguments: &[&str]) -> Said {
    let mut command = home.command(arguments);
    command.env("OLLAMA_HOST", NOBODY);
    said(command)
}

#[test]
fn a_machine_without_a_server_is_told_as_the_schema_says() {
    let home = Home::new();
    let status = alone(&home, &["status", "--json"]);
    let status = accepted("status", (&status, status.code));
    assert_eq!(status["runtimes"][0]["state"], json!("down"));
    for (definition, arguments, code) in [
        ("components", &["components", "--json"][..], 0),
        ("doctor", &["doctor", "--json"], 31),
        ("advise", &["advise", "--json"], 0),
        ("why", &["why", "--json"], 0),
        ("events", &["events", "--json"], 0),
        ("guard_dry_run", &["guard", "--dry-run", "--log-format", "json"], 0),
        ("service_status", &["service", "status", "--json"], 1),
        ("config_check", &["config", "check", "--json"], 0),
        ("accuracy", &["accuracy", "--json"], 0),
        ("history", &["history", "--json"], 0),
        ("report", &["report", "--json"], 0),
        ("hint", &["hint", "--json"], 0),
        ("hint_one", &["hint", "x", "--default", "1", "--json"], 0),
    ] {
        accepted(definition, (&alone(&home, arguments), code));
    }
    let hog = ["hog", "--size", "1MiB", "--hold", "0s", "--force", "--json"];
    let hog = alone(&home, &hog);
    assert_eq!(lines_accepted("hog", &hog.out).last().unwrap()["event"], json!("freed"), "{hog:?}");
    home.config(b"theme = \"drak\"\nnothing = 1\n[levels]\nwarning = \"high\"\n");
    let wrong = accepted("config_check", (&alone(&home, &["config", "check", "--json"]), 2));
    assert!(wrong["faults"].as_array().unwrap().len() > 1, "{wrong}");
}

// ----------------------------------------------------------- a server of ours

struct Served {
    home: Home,
    fake: FakeChild,
}

impl Served {
    fn new(script: Script) -> Served {
        let models = vec![
            FakeModel::new("tiny:1b", 24 << 20),
            FakeModel::new("small:3b", 48 << 20),
            FakeModel::new("other:7b", 8 << 20),
            FakeModel { remote: true, ..FakeModel::new("huge:480b-cloud", 384) },
        ];
        let fake = FakeChild::spawn(Spec { models, script, ..Spec::default() });
        fake.load("tiny:1b");
        fake.load("small:3b");
        Served { home: Home::new(), fake }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.home.command(arguments);
        command.env("OLLAMA_HOST", &self.fake.url).env("NO_PROXY", "*");
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    #[track_caller]
    fn accepted(&self, definition: &str, (arguments, code): (&[&str], i32)) -> Value {
        accepted(definition, (&self.run(arguments), code))
    }
}

#[test]
fn loaded_models_and_what_is_done_to_them_are_told_as_the_schema_says() {
    let served = Served::new(Script::default());
    let status = served.run(&["status", "--json"]);
    let status = accepted("status", (&status, status.code));
    assert_eq!(status["models"].as_array().unwrap().len(), 2);
    let bench = served.run(&["bench", "other:7b", "--tokens", "2", "--force", "--yes", "--json"]);
    let bench = accepted("bench", (&bench, bench.code));
    assert_eq!(bench["results"].as_array().unwrap().len(), 1, "{bench}");
    served.accepted("models", (&["models", "--json"], 0));
    served.accepted("components", (&["components", "--json"], 0));
    served.accepted("fit_all", (&["fit", "--json"], 0));
    let doctor = served.run(&["doctor", "--json"]);
    let doctor = accepted("doctor", (&doctor, doctor.code));
    assert!(doctor["runners"].as_array().unwrap().len() > 1, "{doctor}");
    served.accepted("advise", (&["advise", "--json"], 0));
    served.accepted("load", (&["load", "tiny:1b", "--json"], 0));
    let loaded = served.accepted("load", (&["load", "other:7b", "--force", "--json"], 0));
    assert_eq!((&loaded["result"], loaded["model"].is_object()), (&json!("loaded"), true));
    let kept = served.accepted("keep", (&["keep", "tiny:1b", "1h", "--json"], 0));
    assert_eq!(kept["keep_seconds"], json!(3600));
    served.accepted("pin", (&["pin", "tiny:1b", "--json"], 0));
    served.accepted("priority", (&["priority", "small:3b", "high", "--json"], 0));
    let done = served.accepted("unload", (&["unload", "--all", "--yes", "--json"], 0));
    assert_eq!(done["outcomes"].as_array().unwrap().len(), 2, "{done}");
    let benched = served.accepted("bench", (&["bench", "other:7b", "--json"], 0));
    assert_eq!(benched["results"][0]["given_back"], json!(true), "{benched}");
    served.accepted("events", (&["events", "--json"], 0));
    served.accepted("accuracy", (&["accuracy", "--json"], 0));
    let told = served.accepted("report", (&["report", "--json"], 0));
    assert!(told["actions"]["done"].as_u64().unwrap() >= 2, "{told}");
}

#[test]
fn what_does_not_come_off_is_told_as_the_schema_says() {
    let served = Served::new(Script { never_unloads: true, ..Script::default() });
    let arguments = ["unload", "tiny:1b", "--yes", "--json", "--wait", "1s"];
    let late = served.accepted("unload", (&arguments, 1));
    assert!(late["reason"].is_string());
}

fn end(child: &mut Child) -> Option<i32> {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn what_an_attached_guard_knows_is_told_as_the_schema_says() {
    let served = Served::new(Script::default());
    let mut command = served.command(&["guard", "--log-format", "json"]);
    let mut guard = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let basis = || object(&served.run(&["status", "--json"]))["basis"].clone();
    wait_until("the guard answers", || basis() == json!("attached"));
    let mut command = served.command(&["events", "--follow", "--json", "--since", "1h"]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let status = served.run(&["status", "--json"]);
    accepted("status", (&status, status.code));
    served.accepted("models", (&["models", "--json"], 0));
    served.accepted("components", (&["components", "--json"], 0));
    served.accepted("why", (&["why", "--json"], 0));
    served.accepted("fit_all", (&["fit", "--json"], 0));
    served.accepted("unload", (&["unload", "tiny:1b", "--yes", "--json"], 0));
    served.accepted("events", (&["events", "--json"], 0));
    let report = served.accepted("report", (&["report", "--json"], 0));
    let unloaded = json!([report["actions"]["list"][0]["action"], report["actions"]["done"]]);
    assert_eq!(unloaded, json!(["unload", 1]), "{report}");
    let history = served.accepted("history", (&["history", "--json"], 0));
    assert!(history["rows"][0]["models_bytes"].as_u64() > Some(0), "{history}");
    let standing = served.accepted("service_status", (&["service", "status", "--json"], 1));
    assert_eq!(
        (&standing["guard_runs"], &standing["guard_pid"]),
        (&json!(true), &json!(guard.id()))
    );
    assert_eq!(end(&mut guard), Some(143));
    let mut log = String::new();
    guard.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    lines_accepted("guard_line", &log);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(following.wait().unwrap().code(), Some(1), "it ends with the guard");
    lines_accepted("event_line", &[vec![first], rest].concat().join("\n"));
}
