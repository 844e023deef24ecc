//! The program as a script and a shell meet it: exit codes, what stands on
//! which stream, JSON, recordings, configs that cannot stand. Each test has a
//! home of its own; nothing of this machine's matters but that it has memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/canned.rs"]
mod canned;
#[path = "cli/config.rs"]
mod config;
#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "cli/recordings.rs"]
mod recordings;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "support/shell.rs"]
mod shell;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::canned::Canned;
use self::json_shape::shape;
use self::shell::{Home, Said};

/// An address where nobody listens: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

// ---------------------------------------------------------------- usage

#[test]
fn wrong_usage_ends_with_2_and_a_way_out() {
    let home = Home::new();
    for (arguments, hint) in [
        (&["statu"][..], "'status'"),
        (&["--jsno", "status"], "--help"),
        (&["status", "--josn"], "'--json'"),
        (&["status", "extra"], "--help"),
        (&["config", "initt"], "'init'"),
        (&["config"], "check"),
        (&["record"], "<FILE>"),
        (&["--replay", "x", "--demo"], "--demo"),
        (&["record", "--for", "soon", "x"], "30s, 10m, 2h"),
        (&["record", "--replay", "x", "y"], "not both"),
        (&["status", "--interval", "0s"], "100ms to 1h"),
        (&["status", "--interval", "50ms"], "100ms to 1h"),
        (&["status", "--interval", "2h"], "100ms to 1h"),
        (&["status", "--interval", "99999999999999999999s"], "100ms to 1h"),
    ] {
        let said = home.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.err.contains(hint), "{arguments:?}: {said:?}");
        assert_eq!(said.out, "", "{arguments:?}");
    }
    assert!(!home.path("x").exists() && !home.path("y").exists());
}

#[test]
fn help_and_version_fit_a_terminal() {
    let home = Home::new();
    for arguments in [
        &["--help"][..],
        &["status", "--help"],
        &["record", "--help"],
        &["config", "--help"],
        &["guard", "--help"],
        &["service", "--help"],
        &["service", "install", "--help"],
    ] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{arguments:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns in {arguments:?}:\n{}", said.out);
    }
    let said = home.run(&["--version"]);
    assert_eq!(said.out, format!("plimsoll {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_a_terminal_the_dashboard_names_status() {
    let home = Home::new();
    for arguments in [&["--demo"][..], &[]] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""));
        assert!(said.err.contains("plimsoll status"), "{said:?}");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let home = Home::new();
    for arguments in [&["status", "--demo", "--json"][..], &["config", "show"], &["--help"]] {
        let mut child =
            home.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

// ---------------------------------------------------------------- status

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[track_caller]
fn has(value: &Value, wanted: &[&str]) {
    let found = keys(value);
    assert!(wanted.iter().all(|key| found.contains(key)), "{wanted:?} are not all in {found:?}");
}

#[test]
fn the_json_of_status_keeps_its_shape() {
    let home = Home::new();
    let said = home.run(&["status", "--json", "--demo"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let status: Value = serde_json::from_str(&said.out).unwrap();
    let top = [
        "schema_version",
        "time",
        "level",
        "set_by",
        "headroom_bytes",
        "memory",
        "swap",
        "pressure",
        "profile",
        "runtimes",
        "models",
        "components",
        "events",
    ];
    has(&status, &top);
    assert_eq!((&status["schema_version"], &status["basis"]), (&json!(1), &json!("one_shot")));
    has(&status["memory"], &["total_bytes", "used_bytes", "available_bytes", "used_percent"]);
    has(&status["swap"], &["total_bytes", "used_bytes"]);
    has(&status["pressure"], &["some_avg10", "full_avg10", "level"]);
    has(&status["runtimes"][0], &["kind", "url", "state", "version", "error"]);
    let model = [
        "name",
        "state",
        "reported_bytes",
        "vram_bytes",
        "measured_bytes",
        "measured_source",
        "context",
        "expires_at",
        "idle_seconds",
        "pid",
    ];
    assert_eq!(status["models"].as_array().unwrap().len(), 2);
    has(&status["models"][1], &model);
    has(&status["components"][0], &["name", "kind", "priority", "pinned", "bytes", "source"]);
}

#[test]
fn what_a_machine_lacks_is_null_and_never_0() {
    let home = Home::new();
    home.write("bare.rec", &recording(&[bare_sample(0, 8), bare_sample(1000, 8)]));
    let said = home.run(&["status", "--json", "--replay", "bare.rec"]);
    assert_eq!(said.code, 0, "{said:?}");
    let status: Value = serde_json::from_str(&said.out).unwrap();
    for absent in ["swap", "pressure", "set_by"] {
        assert_eq!(status[absent], Value::Null, "{absent}");
    }
    let runtime = &status["runtimes"][0];
    assert_eq!((&runtime["version"], &runtime["state"]), (&Value::Null, &json!("down")));
    assert!(runtime["error"].is_string());
    assert_eq!((&status["models"], &status["events"]), (&json!([]), &json!([])));
}

#[test]
fn the_demo_says_the_same_on_each_run() {
    let home = Home::new();
    // Milliseconds of the run itself, and what moves with them.
    let redacted = |text: &str| -> String {
        let is_alike = |line: &&str| !line.contains("\"time\"") && !line.contains("expires_at");
        text.lines().filter(is_alike).map(|line| format!("{line}\n")).collect()
    };
    let text = home.run(&["status", "--demo"]);
    insta::assert_snapshot!("status_demo_text", text.out);
    let said = home.run(&["status", "--demo", "--json"]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    insta::assert_snapshot!("status_demo_shape", shape(&status, 0));
    let again = home.run(&["status", "--demo", "--json"]);
    // Sizes breathe with the millisecond of the look; names and order do not.
    let names = |text: &str| -> Vec<String> {
        redacted(text).lines().filter(|l| l.contains("name")).map(str::to_owned).collect()
    };
    assert_eq!(names(&said.out), names(&again.out));
}

// ---------------------------------------------------------------- levels

fn recording(samples: &[Value]) -> String {
    let host = json!({"name": "there", "system": "Linux", "kernel": "6.1"});
    let mut text = json!({"format": "plimsoll recording", "version": 1, "host": host}).to_string();
    for sample in samples {
        text.push('\n');
        text.push_str(&json!({ "s": sample }).to_string());
    }
    text.push('\n');
    text
}

/// A machine of 16 GiB that tells nothing but its memory.
fn bare_sample(at_ms: u64, available_gib: u64) -> Value {
    let gib = 1024 * 1024 * 1024;
    let absent = json!({"Err": {"detail": "not here", "kind": "absent"}});
    json!({
        "at": {"mono_ms": 7000 + at_ms, "wall": format!("2026-03-01T10:00:{:02}Z", at_ms / 1000)},
        "memory": {"Ok": {
            "total": 16 * gib, "available": available_gib * gib, "available_source": "kernel",
            "free": available_gib * gib / 2,
            "parts": {"system": "linux", "anonymous": null, "cached": null, "shared": null,
                      "slab_unreclaimable": null},
        }},
        "swap": absent, "pressure": absent, "paging": absent, "zram": absent,
        "limit": absent, "gpus": absent, "processes": absent,
    })
}

#[test]
fn the_exit_code_is_the_level() {
    let home = Home::new();
    for (available, level, code) in [(8, "normal", 0), (3, "warning", 10), (1, "critical", 11)] {
        home.write("r", &recording(&[bare_sample(0, available), bare_sample(1000, available)]));
        let said = home.run(&["status", "--replay", "r"]);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.out.starts_with(&format!("level     {level}")), "{said:?}");
    }
    home.write("r", &recording(&[bare_sample(0, 0)]));
    let said = home.run(&["status", "--json", "--replay", "r"]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &status["level"]), (12, &json!("emergency")), "{said:?}");
    assert_eq!(status["set_by"]["signal"], json!("memory"), "{said:?}");
}

#[test]
fn a_replayed_status_judges_the_first_two_samples_however_far_apart() {
    let home = Home::new();
    home.write(
        "r",
        &recording(&[bare_sample(0, 8), bare_sample(30_000, 1), bare_sample(59_000, 8)]),
    );
    let said = home.run(&["status", "--json", "--replay", "r"]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &status["level"]), (11, &json!("critical")), "{said:?}");
    let time = status["time"].as_str().unwrap();
    assert!(time.starts_with("2026-03-01T10:00:30"), "its own time, not ours: {time}");
}

// ---------------------------------------------------------------- history

#[test]
fn a_data_folder_that_cannot_be_used_costs_the_history_only() {
    let home = Home::new();
    home.write("file", "");
    home.write("damaged/history.db", "garbage, and long enough to be taken for a header of it.");
    home.write("foreign/history.db", "");
    for folder in ["file", "damaged", "/proc/nowhere", "foreign"] {
        let said = home.run(&["status", "--json", "--data-dir", folder, "--ollama", NOBODY]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{folder}");
    }
    for (folder, wanted) in [("file", "memory only"), ("damaged", "damaged")] {
        let mut dashboard = home.dashboard(&["--data-dir", folder, "--ollama", NOBODY]);
        dashboard.wait_for_text(wanted);
        dashboard.press("q");
        assert_eq!(dashboard.wait_for_end(), 0);
    }
    let kept = fs::read_to_string(home.path("damaged/history.db")).unwrap();
    assert!(kept.starts_with("garbage"), "left as it was");
}

#[test]
fn who_comes_second_for_another_server_only_looks() {
    let home = Home::new();
    let mut first = home.dashboard(&["--ollama", NOBODY]);
    first.wait_for_picture();
    let mut second = home.dashboard(&["--ollama", "http://127.0.0.1:2"]);
    second.wait_for_text("this one only looks");
    second.press("3");
    second.wait_for_text("▸");
    second.press("p");
    second.wait_for_text("another plimsoll acts");
    first.press("q");
    assert_eq!(first.wait_for_end(), 0);
    second.press("q");
    assert_eq!(second.wait_for_end(), 0);
    let mut third = home.dashboard(&["--ollama", NOBODY]);
    third.wait_for_picture();
    assert!(!third.contents().contains("only looks"));
    third.press("q");
    assert_eq!(third.wait_for_end(), 0);
    let said = home.run(&["status", "--json", "--ollama", NOBODY]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    let events = status["events"].as_array().unwrap();
    let starts = events
        .iter()
        .filter(|event| event["text"].as_str().unwrap().starts_with("started"))
        .count();
    assert_eq!(starts, 2, "who only looks writes no history: {events:?}");
}
