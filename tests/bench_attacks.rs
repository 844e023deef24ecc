//! `bench` ended by signals at bad times: what stays, and what is said of it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/fake_child.rs"]
mod fake_child;
#[path = "support/ollama.rs"]
mod ollama;
#[path = "support/shell.rs"]
mod shell;

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use self::fake_child::{FakeChild, wait_until};
use self::ollama::{FakeModel, Script, Spec};
use self::shell::{Home, Said};

/// Where every machine is below all its levels.
const CALM: &[u8] = b"[levels]\nwarning = 98\ncritical = 99\nemergency = 100\n";

struct Served {
    home: Home,
    fake: FakeChild,
}

impl Served {
    fn with(script: Script) -> Served {
        let models = vec![FakeModel::new("tiny:1b", 24 << 20)];
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

    fn bench(&self) -> Child {
        let mut command = self.command(&["bench", "tiny:1b"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Bodies of what was posted to be written or loaded.
    fn posts(&self, with_prompt: bool) -> usize {
        let posts = self.fake.state().posts.into_iter();
        let meant = posts.filter(|(to, body)| {
            to == "/api/generate" && body.contains("load line") == with_prompt
        });
        meant.count()
    }

    fn has_loaded(&self) -> bool {
        !self.fake.state().loaded.is_empty()
    }
}

fn told(child: Child, signal: Signal) -> Said {
    kill(&child, signal);
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
}

fn kill(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

#[test]
fn a_line_that_is_dropped_leaves_no_model_loaded() {
    for (signal, code) in [(Signal::HUP, 129), (Signal::QUIT, 131)] {
        let served = Served::with(Script { generate_ms: 60_000, ..Script::default() });
        let bench = served.bench();
        wait_until("it writes", || served.posts(true) > 0);
        let said = told(bench, signal);
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains("tiny:1b is unloaded again"), "{said:?}");
        assert!(!served.has_loaded());
    }
}

#[test]
fn a_load_that_is_cut_off_is_not_said_to_stay() {
    let served = Served::with(Script { load_ms: 60_000, ..Script::default() });
    let bench = served.bench();
    wait_until("it loads", || served.posts(false) > 0);
    let said = told(bench, Signal::INT);
    assert_eq!(said.code, 130, "{said:?}");
    assert!(said.err.contains("the load of tiny:1b is cut off"), "{said:?}");
    assert!(!said.err.contains("stays"), "{said:?}");
}

#[test]
fn beside_a_guard_one_true_line_says_what_became_of_it() {
    let served = Served::with(Script { generate_ms: 60_000, ..Script::default() });
    let mut guard = served.command(&["guard"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the guard listens", || {
        let said = shell::said(served.command(&["status", "--json"]));
        said.out.contains("\"attached\"")
    });
    let bench = served.bench();
    wait_until("it writes", || served.posts(true) > 0);
    let said = told(bench, Signal::INT);
    kill(&guard, Signal::TERM);
    guard.wait().unwrap();
    assert_eq!(said.code, 130, "{said:?}");
    assert!(said.err.contains("ended: tiny:1b is unloaded again"), "{said:?}");
    assert!(!said.err.contains("goes on"), "{said:?}");
    assert!(!served.has_loaded());
}
