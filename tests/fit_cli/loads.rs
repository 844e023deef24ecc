//! Loads through the gate, at a server of ours.

use super::*;

/// A server of ours, which sensors see as they see a real one, and a home.
struct Served {
    home: Home,
    fake: FakeChild,
}

impl Served {
    fn new(script: Script) -> Served {
        let models = vec![
            FakeModel::new("tiny:1b", 16 << 20),
            FakeModel::new("giant:70b", 8 << 20),
            FakeModel {
                fails: Some("no such file".into()),
                ..FakeModel::new("broken:1b", 1 << 20)
            },
            FakeModel { remote: true, ..FakeModel::new("huge:480b-cloud", 384) },
        ];
        Served {
            home: Home::new(),
            fake: FakeChild::spawn(Spec { models, script, ..Spec::default() }),
        }
    }

    /// One model is said to be larger than any machine; its metadata tell
    /// nothing, so that its size on disk is what there is.
    fn with_a_giant() -> Script {
        let giant = FakeModel::new("giant:70b", 0);
        let entry = json!({
            "name": giant.name, "model": giant.name, "digest": giant.manifest(),
            "size": 1_u64 << 50, "details": giant.details(), "capabilities": ["completion"],
        });
        let page = Conduct::page(404, "application/json", "{\"error\":\"none\"}");
        Script { tags: Some(json!({ "models": [entry] })), ..Script::with("/api/show", page) }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.home.command(arguments);
        command.env("OLLAMA_HOST", &self.fake.url).env("NO_PROXY", "*");
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        shell::said(self.command(arguments))
    }

    fn loaded(&self) -> Vec<String> {
        self.fake.state().loaded.into_keys().collect()
    }

    fn posts(&self, path: &str) -> Vec<String> {
        let posts = self.fake.state().posts;
        posts.into_iter().filter(|(to, _)| to == path).map(|(_, body)| body).collect()
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn what_fits_is_loaded_and_what_is_loaded_already_is_left_as_it_is() {
    let served = Served::new(Script::default());
    let said = served.run(&["load", "tiny:1b", "--ctx", "2048", "--keep", "1h"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.starts_with("loaded    tiny:1b: ready") && said.is_plain(), "{said:?}");
    has(&said, &["MiB measured (status)", "context 2048"]);
    assert_eq!(served.loaded(), ["tiny:1b"]);
    let asked: Value = serde_json::from_str(&served.posts("/api/generate")[0]).unwrap();
    assert_eq!((&asked["options"]["num_ctx"], &asked["keep_alive"]), (&json!(2048), &json!(3600)));

    let loads = served.posts("/api/generate").len();
    let said = served.run(&["load", "tiny:1b"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("tiny:1b is loaded already"), "{said:?}");
    let said = served.run(&["load", "tiny:1b", "--ctx", "4096"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("with context 2048, not 4096\nhint: unload it first"), "{said:?}");
    assert_eq!(served.posts("/api/generate").len(), loads);
}

#[test]
fn a_first_run_asks_about_every_model_and_about_one_only_where_one_is_named() {
    let models = (0..150).map(|number| FakeModel::new(&format!("m{number}:1b"), 8 << 20));
    let spec = Spec { models: models.collect(), ..Spec::default() };
    let served = Served { home: Home::new(), fake: FakeChild::spawn(spec) };
    let asked = || served.posts("/api/show").len();
    let said = served.run(&["fit", "m149:1b", "--json"]);
    assert_eq!((said.code, asked()), (20, 1), "{said:?}");
    let fit: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(fit["model"], json!("m149:1b"));
    let said = served.run(&["fit", "--json"]);
    let ranked: Value = serde_json::from_str(&said.out).unwrap();
    let count = |key: &str| ranked[key].as_array().unwrap().len();
    assert_eq!((count("models"), count("unknown"), asked()), (150, 0, 151));
}

#[test]
fn what_does_not_fit_is_not_loaded_unless_by_force() {
    let served = Served::new(Served::with_a_giant());
    for arguments in [&["load", "giant:70b"][..], &["load", "giant:70b", "--make-room"]] {
        let said = served.run(arguments);
        assert_eq!(said.code, 24, "{said:?}");
        assert!(said.out.starts_with("verdict   giant:70b does not fit this machine"), "{said:?}");
    }
    assert!(served.posts("/api/generate").is_empty());
    let said = served.run(&["load", "giant:70b", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("warning: giant:70b lacks") && said.err.contains("all the same"));
    assert_eq!(served.loaded(), ["giant:70b"]);
}

#[test]
fn a_load_that_fails_ends_with_1_and_the_servers_words() {
    let served = Served::new(Script::default());
    let said = served.run(&["load", "broken:1b"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
    assert!(said.err.contains("broken:1b was not loaded") && said.err.contains("no such file"));
    for (name, words) in [("huge:480b-cloud", "runs elsewhere"), ("tny:1b", "did you mean tiny:1b")]
    {
        let said = served.run(&["load", name]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
    }
    assert_eq!(served.posts("/api/generate").len(), 1);
}

#[test]
fn an_interrupt_cuts_the_load_off() {
    let served = Served::new(Script { load_ms: 60_000, ..Script::default() });
    let mut command = served.command(&["load", "tiny:1b"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the load is asked", || !served.posts("/api/generate").is_empty());
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("what was begun is cut off"), "{said}");
    assert!(served.loaded().is_empty());
    // The next one is not taken in by what became of it.
    served.fake.set(&Script { load_ms: 3000, ..Script::default() });
    let again = served.run(&["load", "tiny:1b"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.starts_with("loaded    tiny:1b: ready"), "{again:?}");
}

#[tokio::test]
async fn of_a_server_on_another_machine_there_is_no_verdict() {
    // Nothing here that could be seen listens at its port as a server would.
    let spec = Spec { models: vec![FakeModel::new("tiny:1b", 8 << 20)], ..Spec::default() };
    let fake = Fake::start(spec).await;
    let url = fake.url();
    let run = move |arguments: &[&str]| {
        let home = Home::new();
        let mut command = home.command(arguments);
        command.env("OLLAMA_HOST", &url).env("NO_PROXY", "*");
        shell::said(command)
    };
    let runs = move || [run(&["fit", "tiny:1b"]), run(&["load", "tiny:1b"])];
    let [fit, load] = tokio::task::spawn_blocking(runs).await.unwrap();
    assert_eq!((fit.code, fit.out.as_str()), (1, ""), "{fit:?}");
    assert!(fit.err.contains("no verdict: the server is on another machine"), "{fit:?}");
    assert_eq!(load.code, 0, "{load:?}");
}

#[test]
fn room_is_made_where_it_was_asked_for() {
    let home = Home::new();
    let said = home.run(&["load", "qwen2.5:7b", "--demo"]);
    assert_eq!(said.code, 21, "{said:?}");
    has(&said, &["plan      unload ", "plan      load qwen2.5:7b"]);
    assert!(said.err.contains("hint: plimsoll load qwen2.5:7b --make-room"), "{said:?}");
    let said = home.run(&["load", "qwen2.5:7b", "--demo", "--make-room"]);
    assert_eq!(said.code, 0, "{said:?}");
    has(&said, &["plan      unload ", "loaded    qwen2.5:7b: "]);
}

#[test]
fn on_a_terminal_it_asks_before_it_makes_room() {
    let home = Home::new();
    for (answer, code) in [("n\r", 21), ("\r", 21), ("\u{3}", 130), ("y\r", 0)] {
        let mut terminal = home.dashboard(&["load", "qwen2.5:7b", "--demo"]);
        terminal.wait_for_text("Unload and load? [y/N]");
        terminal.press(answer);
        assert_eq!(terminal.wait_for_end(), code, "{answer:?}:\n{}", terminal.contents());
        let is_loaded = terminal.contents().contains("loaded    qwen2.5:7b");
        assert_eq!(is_loaded, code == 0, "{}", terminal.contents());
    }
}

#[test]
fn the_plimsoll_that_acts_on_the_machine_judges_and_loads() {
    let served = Served::new(Script::default());
    let mut command = served.command(&["guard"]);
    let mut guard = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let socket = served.home.path("run/plimsoll/engine.sock");
    wait_until("the guard listens", || socket.exists());
    let said = served.run(&["fit", "tiny:1b"]);
    assert_eq!(said.code, 20, "{said:?}");
    let ranked = served.run(&["fit"]);
    assert_eq!(ranked.code, 0, "{ranked:?}");
    let said = served.run(&["load", "tiny:1b"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(served.loaded(), ["tiny:1b"]);
    signal(&guard, Signal::TERM);
    let mut log = String::new();
    std::io::Read::read_to_string(&mut guard.stderr.take().unwrap(), &mut log).unwrap();
    assert_eq!(guard.wait().unwrap().code(), Some(143));
    assert!(log.contains("tiny:1b"), "it was the guard that loaded it: {log}");
}
