//! Commands that look, as a script meets them: exit codes, JSON, what stands
//! on which stream, alone and beside a guard.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "looks_cli/events.rs"]
mod events;
#[path = "looks_cli/history.rs"]
mod history;
#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "looks_cli/report.rs"]
mod report;
#[path = "support/schema.rs"]
mod schema;
#[path = "support/shell.rs"]
mod shell;
#[path = "looks_cli/watch.rs"]
mod watch;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::json_shape::shape;
use self::shell::{Home, Said, said};

/// Nobody listens there: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn object(said: &Said) -> Value {
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// Where nobody answers as a server.
fn alone(home: &Home, arguments: &[&str]) -> Said {
    let mut command = home.command(arguments);
    command.env("OLLAMA_HOST", NOBODY);
    said(command)
}

/// A guard of this home, until the test ends.
struct Guard(Child);

impl Guard {
    fn start(home: &Home) -> Guard {
        let mut command = home.command(&["guard"]);
        command.env("OLLAMA_HOST", NOBODY).stderr(Stdio::null());
        let guard = Guard(command.spawn().unwrap());
        let begun = Instant::now();
        while object_of_status(home)["basis"] != json!("attached") {
            assert!(begun.elapsed() < PATIENCE, "the guard does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        guard
    }
}

fn object_of_status(home: &Home) -> Value {
    serde_json::from_str(&alone(home, &["status", "--json"]).out).unwrap()
}

impl Drop for Guard {
    fn drop(&mut self) {
        end(&mut self.0, Signal::TERM);
    }
}

/// A command that goes on, and the lines it writes.
struct Going(Child, BufReader<std::process::ChildStdout>);

impl Going {
    fn start(home: &Home, arguments: &[&str]) -> Going {
        let mut command = home.command(arguments);
        command.env("OLLAMA_HOST", NOBODY).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Going(child, out)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.1.read_line(&mut line).unwrap() > 0, "it has ended");
        line
    }

    fn object(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // Already ended in most tests.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn end(child: &mut Child, signal: Signal) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    child.wait().unwrap().code()
}

// ------------------------------------------------------------------- models

#[test]
fn models_are_told_in_the_fields_of_status() {
    let home = Home::new();
    let models = object(&home.run(&["models", "--json", "--demo"]));
    insta::assert_snapshot!("models_shape", shape(&models, 0));
    let status = object(&home.run(&["status", "--json", "--demo"]));
    let keys = |value: &Value| shape(&value["models"][0], 0);
    assert_eq!(keys(&models), keys(&status));
    let said = home.run(&["models", "--demo"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let first: Vec<_> = said.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let names = models["models"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!((first[0], &first[1..]), ("model", &names[..]), "a record a line: {said:?}");
}

#[test]
fn where_no_server_answers_models_say_so_and_the_way_out() {
    let home = Home::new();
    for arguments in [&["models"][..], &["models", "--json"]] {
        let said = alone(&home, arguments);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.matches("`ollama serve`").count() == 1, "{said:?}");
    }
}

// --------------------------------------------------------------- components

#[test]
fn components_are_told_in_the_fields_of_status() {
    let home = Home::new();
    let components = object(&home.run(&["components", "--json", "--demo"]));
    insta::assert_snapshot!("components_shape", shape(&components, 0));
    let status = object(&home.run(&["status", "--json", "--demo"]));
    let keys = |value: &Value| shape(&value["components"][0], 0);
    assert_eq!(keys(&components), keys(&status));
    let said = home.run(&["components", "--demo"]);
    let count = components["components"].as_array().unwrap().len();
    assert_eq!(said.out.lines().count(), count + 1, "{said:?}");
}

#[test]
fn components_of_an_attached_look_have_the_largest_processes_too() {
    let home = Home::new();
    let _guard = Guard::start(&home);
    let components = object(&alone(&home, &["components", "--json"]));
    assert_eq!(components["basis"], json!("attached"));
    let list = components["components"].as_array().unwrap();
    assert!(list.iter().any(|one| one["kind"] == json!("process")), "{components}");
}

// ---------------------------------------------------------------------- why

#[test]
fn why_tells_every_signal_and_what_would_help() {
    let home = Home::new();
    let why = object(&home.run(&["why", "--json", "--demo"]));
    insta::assert_snapshot!("why_shape", shape(&why, 0));
    assert_eq!((&why["basis"], &why["since"]), (&json!("one_shot"), &Value::Null));
    let signals = why["signals"].as_array().unwrap();
    assert!(!signals.is_empty(), "{why}");
    let said = home.run(&["why", "--demo"]);
    let lines = |name: &str| said.out.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!((lines("level "), lines("signal ")), (1, signals.len()), "{said:?}");
    assert_eq!(lines("helps "), why["help"].as_array().unwrap().len(), "{said:?}");
}

#[test]
fn an_attached_why_knows_since_when() {
    let home = Home::new();
    let _guard = Guard::start(&home);
    let why = object(&alone(&home, &["why", "--json"]));
    assert_eq!(why["basis"], json!("attached"));
    assert!(why["since"].is_string(), "{why}");
}

// ------------------------------------------------------------------ targets

/// What every machine achieves, misses, or cannot tell of.
const ACHIEVED: &str = "used = 100\navailable = 1\n";
const MISSED: &str = "available = \"900 TiB\"\n";

fn targeted(home: &Home, targets: &str, flags: &[&str]) -> Said {
    let none = ["used", "model", "containers", "available", "swap"];
    let others = none.iter().filter(|key| !targets.contains(&format!("{key} =")));
    let others: String = others.map(|key| format!("{key} = 0\n")).collect();
    home.config(format!("[targets]\n{targets}{others}").as_bytes());
    alone(home, &[&["status", "--targets"], flags].concat())
}

#[test]
fn targets_are_achieved_missed_or_unknown_and_end_so() {
    let home = Home::new();
    let said = targeted(&home, ACHIEVED, &[]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.out.matches("achieved").count(), 2, "{said:?}");
    let said = targeted(&home, &format!("used = 100\n{MISSED}"), &[]);
    assert_eq!((said.code, said.err.as_str()), (40, ""), "{said:?}");
    assert!(said.out.contains("available  missed    above 900 TiB"), "{said:?}");
    // Nobody answers as a server, and no container is named.
    let unknown = "model = \"3 GiB\"\ncontainers = \"2 GiB\"\n";
    let said = targeted(&home, &format!("{unknown}{ACHIEVED}"), &[]);
    assert_eq!((said.code, said.out.matches("unknown").count()), (0, 2), "{said:?}");
    assert!(said.err.contains("target `containers` is not judged: the config"), "{said:?}");
    assert_eq!(said.err.lines().count(), 2, "{said:?}");
    let said = targeted(&home, &format!("{unknown}{MISSED}"), &[]);
    assert_eq!(said.code, 40, "{said:?}");
    let said = targeted(&home, "", &[]);
    assert!(said.code == 0 && said.out.starts_with("no targets: "), "{said:?}");
}

#[test]
fn targets_are_a_part_of_status_for_programs() {
    let home = Home::new();
    let said = targeted(&home, &format!("swap = \"1 TiB\"\nused = 100\n{MISSED}"), &["--json"]);
    assert_eq!(said.code, 40, "{said:?}");
    let status: Value = serde_json::from_str(&said.out).unwrap();
    insta::assert_snapshot!("targets_shape", shape(&json!({ "targets": status["targets"] }), 0));
    let list = status["targets"].as_array().unwrap();
    let names: Vec<_> = list.iter().map(|one| one["target"].as_str().unwrap()).collect();
    assert_eq!(names, ["used", "available", "swap"]);
    assert_eq!((&list[1]["outcome"], &list[1]["is_least"]), (&json!("missed"), &json!(true)));
    assert_eq!(list[1]["limit_bytes"], json!(900_u64 << 40));
    assert_eq!((&list[0]["limit_percent"], &list[0]["limit_bytes"]), (&json!(100.0), &json!(null)));
    let _guard = Guard::start(&home);
    let attached = object_of_status(&home);
    assert_eq!(attached["targets"][1]["outcome"], json!("missed"));
}

// ---------------------------------------------------------------------- all

#[test]
fn wrong_usage_ends_with_2() {
    let home = Home::new();
    for (arguments, hint) in [
        (&["model"][..], "'models'"),
        (&["components", "extra"], "--help"),
        (&["events", "--since", "yesterday"], "30m, 2d"),
        (&["events", "--level", "bad"], "normal, warning"),
        (&["events", "--kind", "oom"], "oom_kill"),
        (&["events", "--demo"], "only this machine has a history"),
        (&["history", "--demo"], "only this machine has a history"),
        (&["history", "--since", "yesterday"], "30m, 2d"),
        (&["history", "--since", "1h", "--until", "2h"], "--since"),
        (&["history", "--every", "30s"], "whole minutes"),
        (&["history", "--csv", "--json"], "--json"),
        (&["report", "--demo"], "only this machine has a history"),
        (&["report", "--json", "--markdown"], "--markdown"),
        (&["report", "--since", "2999-01-01"], "in the past"),
        (&["watch", "--until", "never"], "normal, warning"),
        (&["watch", "--interval", "0s"], "100ms to 1h"),
    ] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(hint), "{arguments:?}: {said:?}");
    }
}

#[test]
fn what_is_said_is_as_wide_as_the_terminal_and_plain() {
    let home = Home::new();
    for columns in [40, 80] {
        for arguments in
            [&["models"][..], &["components"], &["why"], &["watch", "--until", "normal"]]
        {
            let mut command = home.command(&[arguments, &["--demo"]].concat());
            command.env("COLUMNS", columns.to_string());
            let said = said(command);
            let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest} of {columns} in {arguments:?}:\n{}", said.out);
            assert!(said.is_plain(), "{said:?}");
        }
    }
}

#[test]
fn help_fits_a_terminal() {
    let home = Home::new();
    for command in ["models", "components", "why", "events", "history", "report", "watch"] {
        let said = home.run(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns:\n{}", said.out);
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let home = Home::new();
    for arguments in [
        &["models"][..],
        &["components", "--json"],
        &["why"],
        // What goes on by itself sees that nobody reads it.
        &["events", "--follow"],
        &["watch"],
        &["watch", "--json", "--interval", "100ms"],
    ] {
        let mut command = home.command(&[arguments, &["--demo"]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}
