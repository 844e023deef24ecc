//! The program as a script and a shell meet it: exit codes, what stands on
//! which stream, JSON, recordings, configs that cannot stand. Each test has a
//! home of its own; nothing of this machine's matters but that it has memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/canned.rs"]
mod canned;
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

/// The names and types of a JSON value, in the order they are written.
fn shape(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Object(_) => format!("{indent}{key}\n{}", shape(value, depth + 1)),
                Value::Array(list) => {
                    let first = list.first().map(|first| shape(first, depth + 1));
                    format!("{indent}{key} [{}]\n{}", list.len(), first.unwrap_or_default())
                }
                plain => format!("{indent}{key}: {}\n", kind(plain)),
            })
            .collect(),
        plain => format!("{indent}{}\n", kind(plain)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "more",
    }
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

// ---------------------------------------------------------------- record

#[test]
fn what_is_recorded_plays_back() {
    let home = Home::new();
    let live = home.run(&["status", "--demo"]);
    let said = home.run(&["record", "--for", "700ms", "--interval", "200ms", "r", "--demo"]);
    assert_eq!(said.code, 0, "{said:?}");
    let samples: u32 = said.out.split(' ').next().unwrap().parse().unwrap();
    assert!((2..=5).contains(&samples), "{said:?}");
    let mode = fs::metadata(home.path("r")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let played = home.run(&["status", "--replay", "r"]);
    assert_eq!(played.code, 0, "{played:?}");
    let first_words = |said: &Said| -> Vec<String> {
        said.out.lines().map(|l| l.split(',').next().unwrap().to_owned()).collect()
    };
    let (live, played) = (first_words(&live), first_words(&played));
    assert_eq!(live[6..], played[6..], "server and models as they were, at their own time");
}

#[test]
#[cfg(target_os = "linux")]
fn a_recording_holds_no_environment_and_no_argument_but_the_runners_own() {
    let home = Home::new();
    let program = home.path("llama-server");
    fs::copy("/bin/sh", &program).unwrap();
    let mut runner = std::process::Command::new(&program)
        .args(["-c", "read line", "--model", "/models/blobs/sha256-00", "--ctx-size", "4096"])
        .args(["--api-key", "hunter2", "--port", "43210", "hunter2"])
        .env("OLLAMA_API_KEY", "hunter2")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let said = home.run(&["record", "--for", "300ms", "--interval", "100ms", "r"]);
    assert_eq!(said.code, 0, "{said:?}");
    drop(runner.stdin.take());
    runner.wait().unwrap();
    let text = fs::read_to_string(home.path("r")).unwrap();
    assert!(text.contains("llama-server") && text.contains(&runner.id().to_string()), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let home = Home::new();
    home.write("kept", "mine");
    let said = home.run(&["record", "--for", "1s", "kept", "--demo"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("exists and was left as it is\nhint:"), "{said:?}");
    assert_eq!(fs::read_to_string(home.path("kept")).unwrap(), "mine");
    let said = home.run(&["record", "--for", "1s", "no/such/folder/r", "--demo"]);
    assert!(said.code == 1 && said.err.contains("no/such/folder/r"), "{said:?}");
}

#[test]
fn a_signal_ends_a_recording_cleanly() {
    let home = Home::new();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let name = format!("r{}", signal.as_raw());
        // A server that never answers must not keep it.
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", deaf.local_addr().unwrap());
        let arguments = ["record", &name, "--ollama", &url, "--interval", "100ms"];
        let child = home.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        while fs::metadata(home.path(&name)).map_or(0, |file| file.len()) < 100 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let begun = std::time::Instant::now();
        kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{signal:?}");
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
        assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("samples in {name}")));
        assert!(fs::read(home.path(&name)).unwrap().ends_with(b"}\n"));
    }
}

#[test]
fn a_file_that_cannot_be_played_says_why_and_what_to_do() {
    let home = Home::new();
    let good = recording(&[bare_sample(0, 8)]);
    let header = good.lines().next().unwrap().to_owned();
    home.write("empty", "");
    home.write("garbage", "\u{0}\u{1b}[2J not a recording");
    home.write("header", &format!("{header}\n"));
    home.write("newer", &good.replacen("\"version\":1", "\"version\":9", 1));
    home.write("broken", &format!("{header}\n{{\"s\":nonsense}}\n{{}}\n"));
    home.write("huge", &format!("{header}\n{}\n", "x".repeat(3_000_000)));
    home.write("change-first", &format!("{header}\n{{\"d\":{{}},\"t\":1000}}\n"));
    home.write("deep", &format!("{header}\n{{\"s\":{}\n", "[".repeat(100_000)));
    fs::create_dir(home.path("folder")).unwrap();
    for (name, wanted) in [
        ("empty", "plimsoll record FILE"),
        ("garbage", "plimsoll record FILE"),
        ("header", "holds no sample"),
        ("newer", "format 9"),
        ("broken", "line 2"),
        ("huge", "line 2"),
        ("change-first", "line 2"),
        ("deep", "line 2"),
        ("folder", "directory"),
        ("nowhere", "No such file"),
    ] {
        for arguments in
            [&["status", "--replay", name][..], &["status", "--json", "--replay", name]]
        {
            let said = home.run(arguments);
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
            assert!(said.err.contains(wanted) && said.err.contains(name), "{said:?}");
            assert!(said.is_plain() && said.err.len() < 600, "{said:?}");
        }
    }
}

#[test]
fn a_recording_that_was_cut_off_plays_as_far_as_it_goes() {
    let home = Home::new();
    let whole = recording(&[bare_sample(0, 8), bare_sample(1000, 8)]);
    let first_two: usize = whole.lines().take(2).map(|line| line.len() + 1).sum();
    for cut in [first_two, first_two + 1, first_two + 100, whole.len() - 1] {
        home.write("r", &whole[..cut]);
        assert_eq!(home.run(&["status", "--replay", "r"]).code, 0, "cut at {cut}");
    }
}

#[test]
fn absurd_numbers_in_a_recording_are_survived() {
    let home = Home::new();
    let plain = bare_sample(0, 8).to_string();
    for absurd in ["0", "18446744073709551615", "9223372036854775807"] {
        for known in ["17179869184", "8589934592", "7000"] {
            let line = plain.replace(known, absurd);
            let first: Value = serde_json::from_str(&line).unwrap();
            home.write("r", &recording(&[first, bare_sample(1000, 8)]));
            let said = home.run(&["status", "--json", "--replay", "r"]);
            assert!([0, 1, 10, 11, 12].contains(&said.code), "{known} as {absurd}: {said:?}");
            assert!(!said.err.contains("panicked"), "{known} as {absurd}: {said:?}");
        }
    }
}

// ---------------------------------------------------------------- config

#[test]
fn a_config_is_made_shown_checked_and_found() {
    let home = Home::new();
    let said = home.run(&["config", "path"]);
    assert!(said.code == 0 && said.out.contains("config.toml (not there yet)"), "{said:?}");
    assert_eq!(home.run(&["config", "check"]).out, "ok: defaults only, there is no config file\n");
    assert_eq!(home.run(&["config", "init"]).code, 0);
    let again = home.run(&["config", "init"]);
    assert!(again.code == 1 && again.err.contains("left as it is"), "{again:?}");
    assert!(home.run(&["config", "check"]).out.ends_with("config.toml\n"));
    let mode = fs::metadata(home.path("config/plimsoll/config.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = home.run(&["config", "show", "--origin", "--theme", "light"]);
    assert!(shown.out.contains("theme = \"light\"                  # flag --theme"), "{shown:?}");
}

#[test]
fn a_config_that_cannot_stand_is_refused_with_file_and_line() {
    let home = Home::new();
    for (text, wanted) in [
        ("[levels]\nwarning = 90\ncritical = 80\n", &["line 2", "`levels.critical`", "line 3"][..]),
        ("\ntheem = \"x\"\n", &["line 2", "`theem`"]),
        ("interval = 3\n", &["line 1", "100ms to 1h"]),
        ("interval = \"0s\"\n", &["line 1", "100ms to 1h"]),
        ("theme = \"dark\"\nbad = \n", &["line 2", "not TOML"]),
        ("theme = \"dark\"\ntheme = \"dark\"\n", &["line 2"]),
    ] {
        home.config(text.as_bytes());
        for arguments in [&["status"][..], &["config", "check"], &["config", "show"]] {
            let said = home.run(arguments);
            assert_eq!(said.code, 2, "{text:?} {said:?}");
            let told = format!("{}{}", said.out, said.err);
            assert!(told.contains("config.toml"), "{told}");
            assert!(wanted.iter().all(|word| told.contains(word)), "{text:?}: {told}");
        }
    }
    home.config(b"theme = \"dark\"\n\xff\xfe = 1\n");
    let said = home.run(&["status"]);
    assert!(said.code == 2 && said.err.contains("line 2, column 1"), "{said:?}");
}

#[test]
fn keys_and_themes_are_checked_with_the_line_that_is_wrong() {
    let home = Home::new();
    let clash = "[keys]\nhelp = \"f1\"\npin = \"x\"\nunload = \"x\"\nquit = \"Q\"\n";
    home.config(clash.as_bytes());
    let said = home.run(&["config", "check"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.out.contains("line 4: `keys.unload`"), "{said:?}");
    assert!(said.out.contains("`x` would mean both"), "{said:?}");
    // Against a key nobody rebound there is only one line to name.
    home.config(b"[keys]\nhelp = \"f1\"\npin = \"u\"\n");
    let said = home.run(&["config", "check"]);
    assert!(said.code == 2 && said.out.contains("line 3: `keys.pin`"), "{said:?}");
    home.config(b"[keys]\nhelp = \"f1\"\npin = \"pp\"\n");
    assert!(home.run(&["config", "check"]).out.contains("line 3: `keys.pin`"));
    home.config(b"\ntheme = \"nope\"\n");
    let said = home.run(&["config", "check"]);
    assert!(
        said.code == 2 && said.out.contains("line 2") && said.out.contains("dark, "),
        "{said:?}"
    );
}

#[test]
fn a_config_that_cannot_be_read_is_named() {
    let home = Home::new();
    fs::create_dir_all(home.path("config/plimsoll/config.toml")).unwrap();
    let said = home.run(&["status"]);
    assert!(said.code == 2 && said.err.contains("config.toml"), "{said:?}");
    let said = home.run(&["status", "--config", "nowhere.toml"]);
    assert!(said.code == 2 && said.err.contains("(named by --config)"), "{said:?}");
    let said = home.run(&["config", "path"]);
    assert!(said.out.starts_with("config "), "{said:?}");
}

#[test]
fn a_home_that_is_no_absolute_path_is_none() {
    let home = Home::new();
    let mut command = home.command(&["config", "path"]);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME").env("HOME", "here");
    let said = shell::said(command);
    assert!(said.code == 0 && !said.out.contains("here/"), "{said:?}");
    let mut command = home.command(&["status", "--ollama", NOBODY]);
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME").env_remove("HOME");
    assert_eq!(shell::said(command).code, 0);
}

// ---------------------------------------------------------------- secrets

#[test]
fn a_password_in_an_address_is_never_said() {
    let addresses = [
        "http://me:hunter2@127.0.0.1:1/?token=hunter2",
        "me:hunter2@127.0.0.1:1",
        "http://me:hunter2@127.0.0.1:99999",
        "ftp://me:hunter2@127.0.0.1:1",
        "http://me:hunter2/hunter2@127.0.0.1:1/",
        "http://me:hunter2?hunter2@127.0.0.1:1/",
        "http://me:hunter2#hunter2@127.0.0.1:1/",
        "http://me:p@hunter2@127.0.0.1:1",
        "http:///me:hunter2@127.0.0.1",
        "http:/me:hunter2@127.0.0.1:1",
        "//me:hunter2@127.0.0.1",
        "http://me:hunter2@no such host:1",
        "http://me:hunter2@[::1]:port",
        "http://127.0.0.1:1/?token=me@hunter2",
    ];
    std::thread::scope(|scope| {
        for address in addresses {
            scope.spawn(move || never_says_the_password(address));
        }
    });
}

#[test]
fn an_address_that_is_not_what_it_seems_is_noted() {
    let home = Home::new();
    for (address, wanted) in [
        ("127.0.0.1:66000", "11434 is used"),
        ("ftp://127.0.0.1:1", "neither http nor https"),
        ("http://me:a/b@127.0.0.1:1", "%2F"),
    ] {
        let said = home.run(&["status", "--json", "--ollama", address]);
        assert!(said.err.contains("flag --ollama") && said.err.contains(wanted), "{said:?}");
        assert!(serde_json::from_str::<Value>(&said.out).is_ok());
        let said = home.run(&["config", "check", "--ollama", address]);
        assert!(said.code == 0 && said.out.contains(wanted), "{said:?}");
        let mut dashboard = home.dashboard(&["--ollama", address]);
        dashboard.wait_for_text("flag --ollama");
        dashboard.press("q");
        assert_eq!(dashboard.wait_for_end(), 0);
    }
}

fn never_says_the_password(address: &str) {
    let home = Home::new();
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["config", "show", "--origin"],
        &["config", "check"],
        &["record", "--for", "100ms", "r"],
    ] {
        let said = home.run(&[arguments, &["--ollama", address]].concat());
        assert!(!format!("{said:?}").contains("hunter2"), "{address}: {said:?}");
        assert!([0, 10, 11, 12].contains(&said.code), "{address}: {said:?}");
    }
    assert!(!fs::read_to_string(home.path("r")).unwrap().contains("hunter2"));
    let mut command = home.command(&["status"]);
    command.env("OLLAMA_HOST", address);
    let said = shell::said(command);
    assert!(!format!("{said:?}").contains("hunter2"), "{address}: {said:?}");
}

#[test]
fn a_server_with_hostile_names_changes_no_terminal() {
    let home = Home::new();
    let name = "evil\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m\nnext\rline\u{200b}";
    let long = "x".repeat(5000);
    let server = Canned::start(move |path| match path {
        "/api/version" => json!({"version": name}).to_string(),
        "/api/ps" => json!({"models": [
            {"name": name, "model": name, "size": 5, "size_vram": 0, "digest": name,
             "expires_at": "2318-01-01T00:00:00Z", "details": {"family": name}},
            {"name": long, "model": long, "size": 5, "size_vram": 0, "digest": "d"},
        ]})
        .to_string(),
        "/api/tags" => json!({"models": [{"name": name, "model": name, "size": 5}]}).to_string(),
        _ => json!({"error": name}).to_string(),
    });
    let text = home.run(&["status", "--ollama", server.url()]);
    assert!(text.is_plain() && text.out.contains("evil"), "{text:?}");
    assert!(text.out.lines().all(|line| line.len() < 200), "{text:?}");
    assert!(!text.out.lines().any(|line| line.starts_with("next") || line.starts_with("line")));
    let said = home.run(&["status", "--json", "--ollama", server.url()]);
    let status: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(status["models"].as_array().unwrap().len(), 2);
    assert!(said.is_plain() && !said.out.contains("\\u001b") && !said.out.contains("\\n"));
    let mut dashboard = home.dashboard(&["--ollama", server.url()]);
    dashboard.wait_for_text("evil");
    let painted = String::from_utf8_lossy(&dashboard.bytes()).into_owned();
    // Its letters may be shown; the sequence around them may not.
    assert!(!painted.contains("\u{1b}]0;"));
    assert!(!painted.contains(['\u{202e}', '\u{9b}', '\u{7}', '\u{200b}']));
    dashboard.press("q");
    assert_eq!(dashboard.wait_for_end(), 0);
}

#[test]
fn a_server_that_answers_with_an_error_says_so_without_its_page() {
    let home = Home::new();
    let server = Canned::start(|_| "<html>\u{1b}[2J<b>oh no</b></html>".to_owned());
    let said = home.run(&["status", "--ollama", server.url()]);
    assert!(said.code == 0 && said.is_plain(), "{said:?}");
    assert!(said.out.contains("down"), "{said:?}");
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

// ---------------------------------------------------------------- replay on screen

#[test]
fn while_a_recording_plays_nothing_can_be_changed() {
    let home = Home::new();
    let said = home.run(&["record", "--for", "700ms", "--interval", "200ms", "r", "--demo"]);
    assert_eq!(said.code, 0, "{said:?}");
    let mut dashboard = home.dashboard(&["--replay", "r"]);
    dashboard.wait_for_text("llama3.2");
    dashboard.press("2");
    dashboard.press("p");
    dashboard.wait_for_text("a recording is being played");
    dashboard.press("1");
    dashboard.wait_for_text("the recording ends here");
    dashboard.press("q");
    assert_eq!(dashboard.wait_for_end(), 0);
}

#[test]
fn a_theme_nobody_has_is_refused_with_those_there_are() {
    let home = Home::new();
    let mut dashboard = home.dashboard(&["--demo", "--theme", "nope"]);
    assert_eq!(dashboard.wait_for_end(), 2);
    let told = dashboard.contents();
    assert!(told.contains("`nope` is not a theme") && told.contains("light"), "{told}");
}

#[test]
fn a_dashboard_ended_by_a_signal_says_which() {
    let home = Home::new();
    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::TERM, 143)] {
        let mut dashboard = home.dashboard(&["--demo"]);
        dashboard.wait_for_picture();
        dashboard.signal(signal);
        assert_eq!(dashboard.wait_for_end(), code, "{signal:?}");
    }
}
