//! What other programs are told by level: the command, the file, the stream of
//! events; alone and beside a guard.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "support/schema.rs"]
mod schema;
#[path = "support/shell.rs"]
mod shell;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::json_shape::shape;
use self::schema::Schema;
use self::shell::{Home, Said, said};

/// Nobody listens there: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

const HINTS: &str = "\
[hints.normal]
cache_mb = 500
quality = \"it's high\"
[hints.warning]
cache_mb = 200
[hints.critical]
cache_mb = 50
quality = \"low\"
[hints.emergency]
cache_mb = 0
";

/// Where every machine is below, or above, all its levels.
const CALM: &str = "[levels]\nwarning = 98\ncritical = 99\nemergency = 100\n";
const WORRIED: &str = "[levels]\nwarning = 1\ncritical = 99\nemergency = 100\n";

/// As `HINTS` has them at that level.
fn told_at(level: &Value) -> Value {
    match level.as_str().unwrap() {
        "normal" => json!({ "cache_mb": 500, "quality": "it's high" }),
        "warning" => json!({ "cache_mb": 200, "quality": "it's high" }),
        "critical" => json!({ "cache_mb": 50, "quality": "low" }),
        _ => json!({ "cache_mb": 0, "quality": "low" }),
    }
}

fn run(home: &Home, arguments: &[&str]) -> Said {
    said(with_nobody(home, arguments))
}

fn with_nobody(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command(arguments);
    command.env("OLLAMA_HOST", NOBODY);
    command
}

fn object(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[track_caller]
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn file(home: &Home, name: &str) -> Option<Value> {
    let text = fs::read(home.path(name)).ok()?;
    Some(serde_json::from_slice(&text).expect("it is never half there"))
}

/// What a test started, until it ends.
struct Running(Child);

impl Running {
    fn guard(home: &Home) -> Running {
        let mut command = with_nobody(home, &["guard"]);
        Running(command.stderr(Stdio::null()).spawn().unwrap())
    }

    fn end(&mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended in most tests.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_script_gets_the_bare_value_of_the_level_there_is() {
    let home = Home::new();
    home.config(format!("{CALM}{HINTS}").as_bytes());
    let all = run(&home, &["hint", "--json"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""), "{all:?}");
    let all = object(&all);
    insta::assert_snapshot!("hint_shape", shape(&all, 0));
    Schema::read().accepts("hint", &all);
    assert_eq!((&all["hints"], &all["basis"]), (&told_at(&all["level"]), &json!("one_shot")));
    let place = home.path("run/plimsoll/hints.json");
    assert_eq!(all["file"], json!(place.to_str().unwrap()));
    assert!(!place.exists(), "who only looks writes nothing");
    let one = run(&home, &["hint", "cache_mb"]);
    assert_eq!((one.code, one.err.as_str()), (0, ""), "{one:?}");
    assert!(["500\n", "200\n", "50\n", "0\n"].contains(&one.out.as_str()), "{one:?}");
    let one = object(&run(&home, &["hint", "cache_mb", "--json"]));
    insta::assert_snapshot!("hint_of_one_shape", shape(&one, 0));
    Schema::read().accepts("hint_one", &one);
    assert_eq!(one["value"], told_at(&one["level"])["cache_mb"]);
    let status = object(&run(&home, &["status", "--json"]));
    assert_eq!(status["hints"], told_at(&status["level"]));
    Schema::read().accepts("status", &status);
    assert!(run(&home, &["status"]).out.contains("\nhints     cache_mb="));
}

#[test]
fn a_shell_reads_all_of_them() {
    let home = Home::new();
    home.config(format!("{CALM}{HINTS}").as_bytes());
    let line = "eval \"$(plimsoll hint)\" && printf '%s|%s' \"$cache_mb\" \"$quality\"";
    let line = line.replace("plimsoll", env!("CARGO_BIN_EXE_plimsoll"));
    let mut command = with_nobody(&home, &[]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &line]).envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command = shell;
    let said = said(command);
    let known = ["500|it's high", "200|it's high", "50|low", "0|low"];
    assert!(said.code == 0 && known.contains(&said.out.as_str()), "{said:?}");
}

#[test]
fn a_key_that_is_not_there_has_a_default_or_ends_with_2() {
    let home = Home::new();
    home.config(HINTS.as_bytes());
    let said = run(&home, &["hint", "cache_md"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    assert!(said.err.contains("did you mean `cache_mb`?"), "{said:?}");
    let said = run(&home, &["hint", "other", "--default", "-7"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "-7\n", ""));
    let said = object(&run(&home, &["hint", "other", "--default", "7", "--json"]));
    assert_eq!((&said["value"], &said["is_default"]), (&json!(7), &json!(true)));
    let said = run(&home, &["hint", "cache_mb", "--default", "x"]);
    assert!(said.code == 0 && said.out != "x\n", "{said:?}");
    home.config(b"");
    let said = run(&home, &["hint", "other"]);
    assert!(said.code == 2 && said.err.contains("[hints.normal]"), "{said:?}");
    assert_eq!(run(&home, &["hint"]).out, "");
}

#[test]
fn a_variable_is_a_hint_too() {
    let home = Home::new();
    let mut command = with_nobody(&home, &["hint"]);
    command.env("PLIMSOLL_HINTS_NORMAL_CACHE_MB", "500");
    command.env("PLIMSOLL_HINTS_NORMAL_QUALITY", "two words");
    let said = said(command);
    assert_eq!((said.code, said.out.as_str()), (0, "cache_mb=500\nquality='two words'\n"));
}

#[test]
fn the_file_follows_level_and_config_and_goes_with_its_guard() {
    let home = Home::new();
    home.config(format!("{CALM}{HINTS}").as_bytes());
    let mut guard = Running::guard(&home);
    let name = "run/plimsoll/hints.json";
    let first = wait_for("the file", || file(&home, name));
    insta::assert_snapshot!("hints_file_shape", shape(&first, 0));
    Schema::read().accepts("hints_file", &first);
    assert_eq!(first["hints"], told_at(&first["level"]));
    assert_eq!(first["pid"], json!(guard.0.id()));
    let time = |key: &str| first[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let counts_for = time("valid_until").duration_since(time("written_at"));
    assert_eq!(counts_for.as_secs(), 60);
    // Another level, by other limits.
    home.config(format!("{WORRIED}{HINTS}").as_bytes());
    let worse = wait_for("the level", || file(&home, name).filter(|f| f["level"] != "normal"));
    assert_eq!(worse["hints"], told_at(&worse["level"]));
    // Other values at the same level.
    let other = format!("{WORRIED}{}", HINTS.replace("= 200", "= 222").replace("= 50\n", "= 55\n"));
    home.config(other.as_bytes());
    let cached = |f: &Value| [json!(222), json!(55)].contains(&f["hints"]["cache_mb"]);
    let changed = wait_for("the config", || file(&home, name).filter(cached));
    let attached = object(&run(&home, &["hint", "--json"]));
    assert_eq!((&attached["basis"], &attached["hints"]), (&json!("attached"), &changed["hints"]));
    // Another place.
    let elsewhere = home.path("elsewhere.json");
    home.config(format!("hints.file = \"{}\"\n{other}", elsewhere.display()).as_bytes());
    wait_for("the other place", || elsewhere.exists().then_some(()));
    wait_for("the old one to go", || (!home.path(name).exists()).then_some(()));
    assert_eq!(guard.end(Signal::TERM), Some(143));
    assert!(!elsewhere.exists(), "a clean end leaves nothing that could be old");
}

#[test]
fn what_a_dead_guard_left_is_replaced_and_what_is_not_ours_is_left() {
    let home = Home::new();
    home.config(format!("{CALM}{HINTS}").as_bytes());
    let name = "run/plimsoll/hints.json";
    let mut first = Running::guard(&home);
    let left = wait_for("the file", || file(&home, name));
    first.end(Signal::KILL);
    assert_eq!(file(&home, name), Some(left.clone()), "it says until when it counts");
    let second = Running::guard(&home);
    let replaced = |f: &Value| f["pid"] == json!(second.0.id());
    wait_for("a new one", || file(&home, name).filter(replaced));
    drop(second);
    home.write("notes", "mine\n");
    let notes = home.path("notes");
    home.config(format!("hints.file = \"{}\"\n{CALM}{HINTS}", notes.display()).as_bytes());
    let mut command = with_nobody(&home, &["guard"]);
    let mut third = Running(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(third.0.stderr.take().unwrap()).lines();
    let told = lines.find(|line| line.as_ref().unwrap().contains("left as it is"));
    assert!(told.is_some());
    assert_eq!(third.end(Signal::TERM), Some(143));
    assert_eq!(fs::read_to_string(notes).unwrap(), "mine\n");
}

#[test]
fn a_change_of_the_level_comes_with_what_holds_from_then_on() {
    let home = Home::new();
    home.config(format!("{WORRIED}{HINTS}").as_bytes());
    let follow = |arguments: &[&str]| {
        let mut command = with_nobody(&home, arguments);
        let mut child = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let objects = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        (child, objects)
    };
    let (_child, mut events) = follow(&["events", "--follow", "--json"]);
    let level = events.find(|event| event["kind"] == "level").unwrap();
    let to = level["text"].as_str().unwrap().split(':').next().unwrap().to_owned();
    assert_eq!(level["hints"], told_at(&json!(to)), "{level}");
    Schema::read().accepts("event_line", &level);
    let (_child, mut lines) = follow(&["watch", "--json"]);
    let line = lines.find(|line| line["level"] != "normal").unwrap();
    assert_eq!(line["hints"], told_at(&line["level"]));
    Schema::read().accepts("watch", &line);
    let events = line["events"].as_array().unwrap();
    let level = events.iter().find(|event| event["kind"] == "level").unwrap();
    assert_eq!(level["hints"], line["hints"]);
}
