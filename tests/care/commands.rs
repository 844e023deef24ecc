//! `plimsoll doctor` as a script meets it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fake_child::FakeChild;
use super::json_shape::shape;
use super::ollama::{Conduct, FakeModel, Script, Spec};
use super::shell::{Home, Said, said};

/// Nobody listens there: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[track_caller]
fn object(said: &Said) -> Value {
    assert_eq!(said.err, "", "{said:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// What a check found.
fn found<'a>(doctor: &'a Value, id: &str) -> &'a Value {
    let all = doctor["findings"].as_array().unwrap();
    all.iter().find(|one| one["id"] == json!(id)).unwrap_or_else(|| panic!("no {id}: {doctor}"))
}

fn with(home: &Home, url: &str, arguments: &[&str]) -> Said {
    let mut command = home.command(arguments);
    command.env("OLLAMA_HOST", url).env("NO_PROXY", "*");
    said(command)
}

#[test]
fn without_a_server_it_ends_with_31_and_says_the_rest_all_the_same() {
    let home = Home::new();
    let said = with(&home, NOBODY, &["doctor"]);
    assert_eq!((said.code, said.err.as_str()), (31, ""), "{said:?}");
    let first = said.out.lines().next().unwrap();
    assert!(first.starts_with("error     server-reachable: "), "{said:?}");
    assert!(first.contains("; mend: ollama serve"), "a record a line: {said:?}");
    assert!(said.out.contains("\nok        sensor-memory: "), "{said:?}");
    let doctor = object(&with(&home, NOBODY, &["doctor", "--json"]));
    insta::assert_snapshot!("doctor_alone_server_shape", shape(&doctor["server"], 0));
    assert_eq!((&doctor["worst"], &doctor["schema_version"]), (&json!("error"), &json!(1)));
    assert_eq!(found(&doctor, "context-too-large")["severity"], json!("skipped"));
}

/// A server that listens to all and has a secret, as a process of its own.
#[test]
fn a_server_is_seen_with_its_process_its_settings_and_its_runners() {
    let home = Home::new();
    let models = vec![FakeModel::new("tiny:1b", 16 << 20)];
    let preloaded = vec!["tiny:1b".to_owned()];
    let fake = FakeChild::spawn_with(
        Spec { models, preloaded, ..Spec::default() },
        &[
            ("OLLAMA_API_KEY", "hunter2"),
            ("OLLAMA_KEEP_ALIVE", "-1"),
            ("OLLAMA_ORIGINS", "http://me:hunter2@example.org"),
            ("OLLAMA_NUM_PARALLEL", "2\u{1b}[31m"),
        ],
    );
    let said = with(&home, &fake.url, &["doctor", "--json"]);
    assert!(!said.out.contains("hunter2") && !said.out.contains("u001b"), "{said:?}");
    assert_eq!(said.code, 30, "{said:?}");
    let doctor = object(&said);
    insta::assert_snapshot!("doctor_server_shape", shape(&doctor["server"], 0));
    insta::assert_snapshot!("doctor_finding_shape", shape(&doctor["findings"][0], 0));
    let server = &doctor["server"];
    assert_eq!((&server["pid"], &server["state"]), (&json!(fake.pid), &json!("up")));
    let variables = server["environment"].as_array().unwrap();
    let value = |name: &str| {
        let one = variables.iter().find(|one| one["name"] == json!(name)).unwrap();
        one["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(value("OLLAMA_API_KEY"), "(hidden)");
    assert_eq!(value("OLLAMA_ORIGINS"), "http://example.org");
    assert_eq!(value("OLLAMA_NUM_PARALLEL"), "2[31m");
    // Other tests have runners too.
    let pid = json!(fake.runner("tiny:1b").unwrap());
    let runners = doctor["runners"].as_array().unwrap();
    let runner = runners.iter().find(|runner| runner["pid"] == pid).unwrap();
    let flags = runner["flags"].as_array().unwrap();
    assert!(flags.iter().any(|flag| flag["name"] == json!("--load-mode")), "{runner}");
    assert_eq!(found(&doctor, "keep-alive-endless")["severity"], json!("warning"));
    assert_eq!(found(&doctor, "server-process")["severity"], json!("ok"));
    assert_eq!(found(&doctor, "right-to-signal")["severity"], json!("ok"));
    let asked = fake.state().posts;
    let changes = asked.iter().filter(|(path, _)| path != "/api/show").count();
    // The one load is the test's own.
    assert_eq!(changes, 0, "{asked:?}");
}

#[test]
fn models_that_could_never_be_loaded_are_named() {
    let home = Home::new();
    let giant = FakeModel::new("giant:70b", 0);
    let entry = json!({
        "name": giant.name, "model": giant.name, "digest": giant.manifest(),
        "size": 1_u64 << 50, "details": giant.details(), "capabilities": ["completion"],
    });
    let page = Conduct::page(404, "application/json", "{\"error\":\"none\"}");
    let script =
        Script { tags: Some(json!({ "models": [entry] })), ..Script::with("/api/show", page) };
    let fake = FakeChild::spawn(Spec { models: vec![giant], script, ..Spec::default() });
    let doctor = object(&with(&home, &fake.url, &["doctor", "--json"]));
    let large = found(&doctor, "model-too-large");
    assert_eq!(large["subject"], json!("giant:70b"), "{large}");
    assert_eq!(large["mend"], json!("ollama rm giant:70b"));
    assert_eq!(found(&doctor, "disk-models")["severity"], json!("warning"));
}

#[test]
fn a_demo_has_no_machine_and_ends_with_0() {
    let home = Home::new();
    let said = home.run(&["doctor", "--demo", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let doctor = object(&said);
    assert_eq!(found(&doctor, "swap-avoided")["severity"], json!("skipped"));
    assert_eq!(found(&doctor, "server-models")["severity"], json!("ok"));
}

/// A moment that stands still: of a demo, whose clock runs, each look differs.
#[test]
fn what_is_said_of_a_recorded_moment_is_always_the_same() {
    let home = Home::new();
    home.write("moment", include_str!("moment.ndjson"));
    for (name, snapshot) in [("doctor", "doctor_text"), ("advise", "advise_text")] {
        let mut command = home.command(&[name, "--replay", "moment"]);
        command.env("COLUMNS", "80");
        insta::assert_snapshot!(snapshot, said(command).out);
    }
}

#[test]
fn a_config_that_others_write_is_a_warning_with_the_line_that_mends_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.config(b"theme = \"dark\"\n");
    let file = home.path("config/plimsoll/config.toml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let said = with(&home, NOBODY, &["doctor", "--json"]);
    let doctor = object(&Said { err: String::new(), ..said });
    // Not said twice.
    assert_eq!(found(&doctor, "config-notes")["severity"], json!("ok"));
    let writers = found(&doctor, "config-writers");
    assert_eq!(writers["severity"], json!("warning"));
    assert_eq!(writers["mend"], json!(format!("chmod go-w {}", file.display())));
}

#[test]
fn beside_a_guard_it_is_seen_through_that_guard() {
    let home = Home::new();
    home.config(b"[rules]\nmode = \"act\"\n");
    let before = object(&with(&home, NOBODY, &["doctor", "--json"]));
    assert_eq!(found(&before, "guard-service")["severity"], json!("warning"));
    let mut command = home.command(&["guard"]);
    command.env("OLLAMA_HOST", NOBODY).stdout(Stdio::null()).stderr(Stdio::null());
    let mut guard = command.spawn().unwrap();
    let begun = Instant::now();
    let seen = loop {
        let doctor = object(&with(&home, NOBODY, &["doctor", "--json"]));
        let seen = found(&doctor, "guard-service")["severity"].clone();
        if seen != json!("warning") || begun.elapsed() > PATIENCE {
            break seen;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    guard.kill().unwrap();
    guard.wait().unwrap();
    assert_eq!(seen, json!("note"), "it runs, and no service starts it again");
}
