//! The commands that act, as a script meets them: a plan first, the proof
//! after, and what each exit code stands for.

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

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::fake_child::{FakeChild, wait_until};
use self::json_shape::shape;
use self::ollama::{FakeModel, Script, Spec};
use self::shell::{Home, Said};

/// A server of ours, which sensors see as they see a real one, and a home.
struct Served {
    home: Home,
    fake: FakeChild,
}

impl Served {
    /// With `tiny:1b` and `small:3b` loaded.
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
        shell::said(self.command(arguments))
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let said = self.run(&[arguments, &["--json"]].concat());
        let value = serde_json::from_str(&said.out);
        (said.code, value.unwrap_or_else(|error| panic!("{error}: {said:?}")))
    }

    fn loaded(&self) -> Vec<String> {
        self.fake.state().loaded.into_keys().collect()
    }

    /// Requests that would load, keep or unload.
    fn posts(&self) -> Vec<String> {
        let posts = self.fake.state().posts;
        let acts = |to: &str| to == "/api/generate" || to == "/api/embed";
        posts.into_iter().filter(|(to, _)| acts(to)).map(|(_, body)| body).collect()
    }

    /// A generation that goes on for a while.
    fn busy(&self, model: &'static str) -> std::thread::JoinHandle<()> {
        let before = self.posts().len();
        let address = self.fake.url.trim_start_matches("http://").to_owned();
        let body = json!({ "model": model, "prompt": "why" }).to_string();
        let asking = std::thread::spawn(move || {
            drop(ollama::plain_http::ask(&address, "POST", "/api/generate", &body));
        });
        wait_until("it generates", || self.posts().len() > before);
        asking
    }
}

#[track_caller]
fn has(said: &Said, words: &[&str]) {
    assert!(words.iter().all(|word| said.out.contains(word)), "{words:?}: {said:?}");
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

/// What the history tells of, without its times.
fn told(home: &Home) -> Vec<(String, String)> {
    let said = home.run(&["events", "--json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let one = |event: &Value| {
        let word = |key: &str| event[key].as_str().unwrap().to_owned();
        (word("kind"), word("text"))
    };
    told["events"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_command_tells_of_what_it_does_and_not_of_itself() {
    let served = Served::new(Script::default());
    assert_eq!(served.run(&["unload", "elephant", "--yes"]).code, 1);
    assert_eq!(told(&served.home), []);
    for arguments in [&["pin", "tiny:1b"][..], &["pin", "tiny:1b"], &["pin", "tiny:1b", "--off"]] {
        assert_eq!(served.run(arguments).code, 0);
    }
    assert_eq!(served.run(&["priority", "tiny:1b", "low"]).code, 0);
    let note = |text: &str| ("note".to_owned(), text.to_owned());
    let chosen = [
        note("note: model:tiny:1b pinned by you"),
        note("note: model:tiny:1b unpinned by you"),
        note("note: model:tiny:1b set to priority low by you"),
    ];
    assert_eq!(told(&served.home), chosen);
    assert_eq!(served.run(&["unload", "tiny:1b", "--yes"]).code, 0);
    let told = told(&served.home);
    assert_eq!(told[..3], chosen);
    let actions = told.iter().filter(|(kind, _)| kind == "action").count();
    assert!(actions == 2 && told[3].0 == "action", "{told:?}");
}

#[test]
fn a_cleanup_without_its_server_is_not_said_to_be_done() {
    let home = Home::new();
    for arguments in [&["cleanup", "--yes"][..], &["cleanup", "--yes", "--json"]] {
        let mut command = home.command(arguments);
        command.env("OLLAMA_HOST", "http://127.0.0.1:1").env("NO_PROXY", "*");
        let said = shell::said(command);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains("does not answer"), "{said:?}");
    }
    assert_eq!(told(&home), []);
}

// -------------------------------------------------------------------- unload

#[test]
fn what_is_named_is_unloaded_and_its_bytes_are_said() {
    let served = Served::new(Script::default());
    let said = served.run(&["unload", "tiny:1b", "--yes"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.starts_with("plan      unload tiny:1b (") && said.is_plain(), "{said:?}");
    has(&said, &["expected  ", "done      tiny:1b unloaded: ", "freed     "]);
    assert_eq!(served.loaded(), ["small:3b"]);
    let said = served.run(&["unload", "tiny:1b", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    has(&said, &["done      tiny:1b is not loaded", "plan      nothing to do"]);
}

#[test]
fn the_json_of_an_unload_keeps_its_shape_and_tells_what_came_back() {
    let served = Served::new(Script::default());
    let before = served.posts().len();
    let (code, planned) = served.json(&["unload", "--all", "--dry-run"]);
    assert_eq!((code, &planned["result"]), (0, &json!("planned")));
    assert_eq!(
        (planned["plan"]["steps"].as_array().unwrap().len(), served.posts().len()),
        (2, before)
    );
    let (code, done) = served.json(&["unload", "--all", "--yes"]);
    assert_eq!((code, &done["result"], &done["schema_version"]), (0, &json!("done"), &json!(1)));
    let freed = done["freed_bytes"].as_u64().unwrap();
    assert!(freed >= 72 << 20, "two runners of 24 and 48 MiB: {done}");
    assert!(served.loaded().is_empty());
    insta::assert_snapshot!("carried_json_shape", shape(&done, 0));
    let (code, nothing) = served.json(&["unload", "--all", "--yes"]);
    assert_eq!((code, &nothing["result"], &nothing["outcomes"]), (0, &json!("done"), &json!([])));
}

#[test]
fn a_name_nobody_knows_ends_with_1_and_the_nearest_and_nothing_is_begun() {
    let served = Served::new(Script::default());
    let before = served.posts().len();
    for (name, words) in [
        ("tny:1b", "did you mean tiny:1b?"),
        ("elephant", "elephant is not installed"),
        ("\u{1b}[31mred", "[31mred is not installed"),
    ] {
        let said = served.run(&["unload", "small:3b", name, "--yes"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(words) && said.is_plain(), "{said:?}");
    }
    assert_eq!((served.posts().len(), served.loaded().len()), (before, 2));
}

#[test]
fn without_a_word_nothing_is_done_and_it_ends_with_2() {
    let served = Served::new(Script::default());
    let before = served.posts().len();
    for arguments in [&["unload", "tiny:1b"][..], &["unload", "--all", "--json"], &["cleanup"]] {
        let said = served.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.out.contains("tiny:1b"), "the plan is shown: {said:?}");
        assert!(said.err.contains("--yes does it without asking"), "{said:?}");
    }
    for (arguments, words) in [
        (&["unload"][..], "<NAME>"),
        (&["unload", "tiny:1b", "--all"], "cannot be used with"),
        (&["unload", "--all", "--wait", "soon"], "30s"),
        (&["cleanup", "--free", "much"], "GiB"),
        (&["cleanup", "--free", "0"], "nothing to free"),
        (&["cleanup", "--free", "4"], "a size needs its unit"),
        (&["cleanup", "--to", "emergency"], "normal, warning, critical"),
        (&["cleanup", "--to", "normal", "--free", "1GiB"], "cannot be used with"),
        (&["cleanup", "--strength", "brute"], "light, aggressive, force"),
        (&["keep", "tiny:1b", "0s"], "forever"),
        (&["priority", "tiny:1b", "huge"], "low, medium, high, critical"),
        (&["cleanup", "--replay", "x"], "a recording is looked at"),
    ] {
        let said = served.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words), "{arguments:?}: {said:?}");
    }
    assert_eq!((served.posts().len(), served.loaded().len()), (before, 2));
}

#[test]
fn what_is_stuck_ends_with_1_and_is_called_so() {
    let served = Served::new(Script { never_unloads: true, ..Script::default() });
    let said = served.run(&["unload", "tiny:1b", "--yes"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.err.contains("unload tiny:1b: it is idle, was asked, and is still there"),
        "{said:?}"
    );
    has(&said, &["not done  unload tiny:1b: ", "freed     0 B of "]);
}

#[test]
fn what_takes_longer_than_it_may_ends_with_1_and_is_named() {
    let served = Served::new(Script { never_unloads: true, ..Script::default() });
    let begun = std::time::Instant::now();
    let (code, said) = served.json(&["unload", "tiny:1b", "--yes", "--wait", "1s"]);
    assert_eq!((code, &said["result"]), (1, &json!("not_done")));
    let reason = said["reason"].as_str().unwrap();
    assert!(reason.contains("not done within 1 s: unload tiny:1b is under way"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(9));
}

#[test]
fn an_unload_that_is_under_way_is_waited_for() {
    let served = Served::new(Script { generate_ms: 3_000, ..Script::default() });
    let mut guard = served.command(&["guard"]);
    let mut guard = guard.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    guard.stderr.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let asking = served.busy("tiny:1b");
    let before = served.posts().len();
    let mut first = served.command(&["unload", "tiny:1b", "--yes", "--wait", "1m"]);
    let first = first.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is asked", || served.posts().len() > before);
    let said = served.run(&["unload", "tiny:1b", "--yes", "--wait", "1m"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(!served.loaded().contains(&"tiny:1b".to_owned()));
    assert_eq!(served.posts().len(), before + 1, "it is asked once");
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
    asking.join().unwrap();
    signal(&guard, Signal::TERM);
    guard.wait().unwrap();
}

#[test]
fn a_model_that_generates_is_told_of_or_waited_for() {
    let served = Served::new(Script { generate_ms: 20_000, ..Script::default() });
    let asking = served.busy("tiny:1b");
    let said = served.run(&["unload", "tiny:1b", "--yes"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("it is still generating"), "{said:?}");
    asking.join().unwrap();
    wait_until("it leaves when it is done", || served.loaded() == ["small:3b"]);
    let asking = served.busy("small:3b");
    let said = served.run(&["unload", "small:3b", "--yes", "--wait", "1m"]);
    assert_eq!(said.code, 0, "{said:?}");
    has(&said, &["done      small:3b unloaded: "]);
    assert!(served.loaded().is_empty());
    asking.join().unwrap();
}

#[test]
fn an_interrupt_ends_it_with_130_and_says_what_stands() {
    let served = Served::new(Script { never_unloads: true, ..Script::default() });
    let before = served.posts().len();
    let mut command = served.command(&["unload", "--all", "--yes"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the first is asked", || served.posts().len() > before);
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("what was asked of the model server stands, nothing more is begun"),
        "{said}"
    );
    assert_eq!(served.posts().len(), before + 1);
}

#[test]
fn a_closed_pipe_ends_it_quietly_before_anything_is_done() {
    let served = Served::new(Script::default());
    let before = served.posts().len();
    for arguments in [
        &["unload", "--all", "--yes"][..],
        &["cleanup", "--yes"],
        &["unload", "--all", "--dry-run", "--json"],
        &["completions", "zsh"],
    ] {
        let mut command = served.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
    assert_eq!((served.posts().len(), served.loaded().len()), (before, 2));
}

#[test]
fn on_a_terminal_it_asks_first() {
    let home = Home::new();
    for (answer, code) in [("n\r", 1), ("\u{3}", 130), ("y\r", 0)] {
        let mut terminal = home.dashboard(&["unload", "--all", "--demo"]);
        terminal.wait_for_text("Carry it out? [y/N]");
        terminal.press(answer);
        assert_eq!(terminal.wait_for_end(), code, "{answer:?}:\n{}", terminal.contents());
        let is_done = terminal.contents().contains("unloaded: ");
        assert_eq!(is_done, code == 0, "{}", terminal.contents());
    }
}

#[test]
fn a_server_that_is_down_is_named_with_the_way_out() {
    let home = Home::new();
    for arguments in [&["unload", "tiny:1b"][..], &["unload", "--all"], &["keep", "tiny:1b", "1h"]]
    {
        let said = home.run(&[arguments, &["--ollama", "http://127.0.0.1:1"]].concat());
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
        assert!(said.err.matches("`ollama serve`").count() == 1, "{arguments:?}: {said:?}");
    }
}

#[test]
fn the_plimsoll_that_acts_on_the_machine_is_the_one_that_does_it() {
    let served = Served::new(Script::default());
    let mut command = served.command(&["guard"]);
    let mut guard = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let socket = served.home.path("run/plimsoll/engine.sock");
    wait_until("the guard listens", || socket.exists());
    let said = served.run(&["pin", "small:3b"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = served.run(&["unload", "--all", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(served.loaded(), ["small:3b"], "what is pinned stays");
    let said = served.run(&["keep", "small:3b", "2h"]);
    assert_eq!(said.code, 0, "{said:?}");
    signal(&guard, Signal::TERM);
    let mut log = String::new();
    guard.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(guard.wait().unwrap().code(), Some(143));
    assert!(log.contains("tiny:1b"), "it was the guard that unloaded it: {log}");
}

// ---------------------------------------------------- keep, pin and priority

#[test]
fn a_loaded_model_is_kept_as_long_as_was_said() {
    let served = Served::new(Script::default());
    let said = served.run(&["keep", "tiny:1b", "1h"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.out, "kept      tiny:1b stays for 1 h after its last use\n");
    let asked: Value = serde_json::from_str(served.posts().last().unwrap()).unwrap();
    assert_eq!((&asked["model"], &asked["keep_alive"]), (&json!("tiny:1b"), &json!(3600)));
    let said = served.run(&["keep", "tiny:1b", "forever"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "kept      tiny:1b stays until it is unloaded\n")
    );
    for (name, words) in
        [("other:7b", "is not loaded\nhint: `plimsoll load"), ("tny:1b", "did you mean tiny:1b")]
    {
        let said = served.run(&["keep", name, "1h"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
    }
}

#[test]
fn a_pin_and_a_priority_outlive_the_command() {
    let served = Served::new(Script::default());
    let reason = |plan: &Value, name: &str| {
        let kept = plan["plan"]["kept"].as_array().unwrap().iter();
        let mut own = kept.filter(|kept| kept["name"] == json!(name));
        own.next().map(|kept| kept["reason"].as_str().unwrap().to_owned())
    };
    let said = served.run(&["pin", "tiny:1b"]);
    assert_eq!((said.code, said.out.as_str()), (0, "pinned    model:tiny:1b\n"), "{said:?}");
    let said = served.run(&["priority", "model:small:3b", "high"]);
    assert_eq!((said.code, said.out.as_str()), (0, "priority  model:small:3b: high\n"), "{said:?}");
    let (_, plan) = served.json(&["cleanup", "--dry-run"]);
    assert_eq!(reason(&plan, "tiny:1b").as_deref(), Some("pinned"), "{plan}");
    assert_eq!(reason(&plan, "small:3b").as_deref(), Some("priority high"), "{plan}");
    let said = served.run(&["pin", "tiny:1b", "--off"]);
    assert_eq!((said.code, said.out.as_str()), (0, "unpinned  model:tiny:1b\n"), "{said:?}");
    let (_, plan) = served.json(&["cleanup", "--dry-run"]);
    assert_eq!(reason(&plan, "tiny:1b"), None, "{plan}");
    // What is not loaded may be pinned for later.
    assert_eq!(served.run(&["pin", "other:7b"]).code, 0);
}

#[test]
fn what_cannot_be_pinned_or_kept_on_disk_ends_with_1() {
    let served = Served::new(Script::default());
    // A file stands where the folder of the history should be.
    served.home.write("data/plimsoll", "");
    let said = served.run(&["pin", "tiny:2b"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("hint: did you mean tiny:1b?"), "{said:?}");
    let said = served.run(&["priority", "elephant", "low"]);
    assert!(said.code == 1 && said.err.contains("lists them"), "{said:?}");
    let said = served.run(&["pin", "tiny:1b"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(said.err.contains("model:tiny:1b is not kept over a restart"), "{said:?}");
}

// ------------------------------------------------------------------- cleanup

#[test]
fn so_many_bytes_are_freed_or_it_ends_with_1() {
    let served = Served::new(Script::default());
    let (code, plan) = served.json(&["cleanup", "--free", "20MiB", "--dry-run"]);
    assert_eq!((code, plan["plan"]["steps"].as_array().unwrap().len()), (0, 1), "{plan}");
    let said = served.run(&["cleanup", "--free", "20MiB", "--yes"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    has(&said, &["target    20", "done      ", "not needed to reach the target"]);
    assert_eq!(served.loaded().len(), 1);
    let said = served.run(&["cleanup", "--free", "1TiB", "--yes"]);
    assert_eq!(said.code, 1, "{said:?}");
    has(&said, &["target    1.0 TiB; the plan is short of it by "]);
    assert!(said.err.contains("freed of the 1.0 TiB that were asked for"), "{said:?}");
    assert!(served.loaded().is_empty());
    let said = served.run(&["cleanup", "--free", "1GiB", "--yes"]);
    assert_eq!(said.code, 1, "{said:?}");
    let said = served.run(&["cleanup", "--strength", "force", "--yes"]);
    assert_eq!((said.code, said.out.as_str()), (0, "plan      nothing to do\n"), "{said:?}");
}

#[test]
fn memory_is_brought_back_to_a_level() {
    let served = Served::new(Script::default());
    // Whatever this machine holds, it is above a hundredth of it, and not
    // above 998 thousandths.
    served.home.config(
        b"profile = \"careful\"\n[levels]\nwarning = 1\ncritical = 99.8\nemergency = 99.9\n",
    );
    let said = served.run(&["cleanup", "--to", "warning", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    has(&said, &["plan      nothing to do", "target    nothing: memory is below the mark already"]);
    assert_eq!(served.loaded().len(), 2);
    let (code, done) = served.json(&["cleanup", "--to", "normal", "--yes"]);
    assert_eq!((code, &done["result"]), (1, &json!("not_done")), "so much nobody holds: {done}");
    assert!(done["plan"]["short_bytes"].as_u64().unwrap() > 0);
    assert!(served.loaded().is_empty());
}

#[test]
fn a_strength_frees_what_it_may() {
    let home = Home::new();
    let said = home.run(&["cleanup", "--strength", "aggressive", "--demo", "--yes"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    has(&said, &["plan      unload ", "unloaded: ", "freed     "]);
}

// --------------------------------------------------------- completions, help

#[test]
fn every_shell_has_its_completions() {
    let home = Home::new();
    for (shell, words) in [
        ("bash", "complete -F _plimsoll"),
        ("zsh", "#compdef plimsoll"),
        ("fish", "complete -c plimsoll"),
        ("elvish", "completion:arg-completer[plimsoll]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let said = home.run(&["completions", shell]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        assert!(said.out.contains(words) && said.out.contains("cleanup"), "{shell}: {}", said.out);
    }
    let said = home.run(&["completions", "basj"]);
    assert!(said.code == 2 && said.err.contains("'bash'"), "{said:?}");
}

#[test]
fn a_wrong_command_or_flag_names_the_one_that_was_meant() {
    let home = Home::new();
    for (arguments, meant) in [
        (&["unlod"][..], "'unload'"),
        (&["claenup"], "'cleanup'"),
        (&["cleanup", "--strenght", "light"], "'--strength'"),
    ] {
        let said = home.run(arguments);
        assert!(said.code == 2 && said.err.contains(meant), "{said:?}");
    }
}

#[test]
fn a_line_that_cannot_be_read_names_the_way_out_alone() {
    let home = Home::new();
    for (arguments, words, not) in [
        (&["help"][..], "plimsoll --help", "similar"),
        (&["unlaod"], "'unload'", "'guard'"),
        (&["unload"], "--all unloads", "similar"),
        (&["keep", "tiny:1b", "366d"], "to 365d", "similar"),
        (&["hint", "cache_mb", "--default", "--json"], "--default", "similar"),
    ] {
        let said = home.run(arguments);
        assert!(said.code == 2 && said.err.contains(words), "{said:?}");
        assert!(!said.err.contains(not), "{said:?}");
    }
}

#[test]
fn a_default_is_told_where_the_config_is_at_fault() {
    let home = Home::new();
    home.config(b"[hints]\ncache_mb = 1\n");
    let said = home.run(&["hint", "cache_mb", "--default", "100"]);
    assert_eq!((said.code, said.out.as_str()), (2, "100\n"), "{said:?}");
    assert!(said.err.contains("[hints.normal]"), "{said:?}");
}

#[test]
fn help_fits_a_terminal() {
    let home = Home::new();
    for command in ["unload", "keep", "pin", "priority", "cleanup", "completions"] {
        let said = home.run(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns:\n{}", said.out);
    }
}
