//! What the documents tell people to type works, and what they point at is
//! there.
//!
//! Each `plimsoll …` in a code block is run in an empty home, with nobody
//! answering as Ollama; the dashboard without a terminal must say so and end
//! with its code, which proves that its flags are read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// No Ollama is here: nothing listens on the port that discards.
const NOBODY: &str = "http://127.0.0.1:9";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<(PathBuf, String)> {
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("documents are in the repository");
            (path, text)
        })
        .into()
}

/// Lines of code blocks, fenced or indented.
fn code_lines(text: &str) -> Vec<&str> {
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced || line.starts_with("    ") {
            lines.push(line.trim());
        }
    }
    lines
}

/// The arguments of every `plimsoll …`, without the remark beside it. What
/// goes to cargo's `run` is ours after the dashes.
fn commands(text: &str) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for line in code_lines(text) {
        let line = line.split(" #").next().unwrap_or(line);
        let mut words = line.split_whitespace();
        let ours = match words.next() {
            Some("plimsoll") => Some(words),
            Some("cargo") if words.next() == Some("run") => {
                words.find(|word| *word == "--");
                Some(words)
            }
            _ => None,
        };
        // A shell takes the quotes away.
        let unquoted = |word: &str| word.trim_matches('\'').to_owned();
        found.extend(ours.map(|words| words.map(unquoted).collect()));
    }
    found
}

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().expect("there is room for a folder"))
    }

    fn run(&self, arguments: &[String]) -> Output {
        let folder = self.0.path();
        let mut arguments = arguments.to_vec();
        if arguments.first().is_some_and(|first| first == "measure")
            && let Some(at) = arguments.iter().position(|word| word == "--for")
        {
            arguments[at + 1] = "300ms".to_owned();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.env_clear();
        command.env("HOME", folder).env("OLLAMA_HOST", NOBODY).env("NO_PROXY", "*");
        command.current_dir(folder).args(&arguments);
        if arguments.first().is_some_and(|first| first == "record") {
            command.args(["--for", "100ms"]);
        }
        // What would run on ends by itself; what would ask has its answer.
        let has = |word: &str| arguments.iter().any(|found| found == word);
        if has("guard") {
            // Nothing is to be done here, so nothing has to be waited for.
            command.env("PLIMSOLL_RULES_GRACE", "0s");
            command.args(["--once"].iter().filter(|_| !has("--once")));
        }
        if has("watch") && !has("--until") {
            // A machine under load may never be calm; the simulated one begins so.
            command.args(["--demo", "--until", "normal"]);
        }
        if has("service") && !has("status") {
            command.arg("--yes");
        }
        command.output().expect("the program was built for this test")
    }
}

/// A machine under load is at no level we could know.
fn accepts(arguments: &[String], code: Option<i32>) -> bool {
    let first = arguments.iter().map(String::as_str).find(|word| !word.starts_with("--"));
    let has = |flag: &str| arguments.iter().any(|word| word == flag);
    let is_demo = has("--demo");
    match first {
        Some("status") if has("--targets") => matches!(code, Some(0 | 40)),
        Some("status") if is_demo => code == Some(0),
        Some("status") => matches!(code, Some(0 | 10 | 11 | 12)),
        Some("guard") => matches!(code, Some(0 | 10 | 11 | 12)),
        Some("fit") if is_demo => matches!(code, Some(0 | 20..=24)),
        Some("load" | "recommend") if is_demo => code == Some(0),
        Some("doctor") if is_demo => code == Some(0),
        // No server is here, which is an error to it.
        Some("doctor") => code == Some(31),
        Some("advise") => code == Some(0),
        // Nobody tells what is installed or loaded.
        Some("models") => code == Some(if is_demo { 0 } else { 1 }),
        Some("bench" | "fit" | "load" | "recommend") => code == Some(1),
        Some("components" | "why" | "events" | "history" | "watch") => code == Some(0),
        // The home is empty, and so is its config.
        Some("hint") => code == Some(0),
        Some("unload" | "cleanup" | "keep" | "pin" | "priority") if is_demo => code == Some(0),
        // Nobody tells what could be freed.
        Some("unload" | "cleanup") => code == Some(1),
        Some("completions" | "man") => code == Some(0),
        // Nothing is started here, so nothing guards.
        Some("service") if arguments.iter().any(|word| word == "status") => code == Some(1),
        // Where memory is short it is refused.
        Some("hog") => matches!(code, Some(0 | 1)),
        Some("accuracy" | "config" | "measure" | "record" | "report" | "service" | "simulate") => {
            code == Some(0)
        }
        // The dashboard, without a terminal.
        _ => code == Some(2),
    }
}

#[test]
fn every_command_that_is_shown_runs() {
    let mut commands: Vec<Vec<String>> =
        documents().iter().flat_map(|(_, text)| self::commands(text)).collect();
    // What is shown to be played or compared must have been kept.
    let keeps = |word: &String| word == "record" || word == "--save";
    commands.sort_by_key(|command| !command.iter().any(keeps));
    commands.dedup();
    assert!(commands.len() > 8, "the documents show {commands:?} only");
    let home = Home::new();
    for command in commands {
        let output = home.run(&command);
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        assert!(accepts(&command, code), "plimsoll {}: {code:?}: {said}", command.join(" "));
        if code == Some(2) {
            assert!(said.contains("needs a terminal"), "{command:?}: {said}");
        }
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let home = Home::new();
    for (flag, word) in [("--help", "Usage: plimsoll"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let output = home.run(&[flag.to_owned()]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains(word), "{flag}");
    }
}

#[test]
fn the_configs_that_are_shown_may_be_used() {
    let (_, text) = &documents()[0];
    let blocks: Vec<&str> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("its block ends").0)
        .collect();
    assert!(blocks.len() > 1, "the README shows a small config, and one with rules");
    let home = Home::new();
    for config in blocks {
        let path = home.0.path().join("shown.toml");
        std::fs::write(&path, config).expect("there is room for a file");
        let output = home.run(&["config", "check", "--config", "shown.toml"].map(str::to_owned));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{config}{said}");
        assert!(!said.contains("note:"), "{config}{said}");
    }
}

/// The shape in the README, as names with their depth, against the real one.
#[test]
fn the_json_that_is_described_is_the_json_that_is_printed() {
    let home = Home::new();
    let output = home.run(&["status", "--json", "--demo"].map(str::to_owned));
    let printed: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("status prints JSON");
    let (_, text) = &documents()[0];
    let (_, rest) = text.split_once("```text\nschema_version").expect("the README shows it");
    let (shape, _) = rest.split_once("```").expect("its block ends");
    let shape = format!("schema_version{shape}");
    let described: BTreeSet<&str> = words(&shape).collect();
    let mut real = BTreeSet::new();
    names(&printed, &mut real);
    // A calm machine has nothing that set its level, and no event.
    real.extend(["signal", "text", "seq", "time", "kind"].map(str::to_owned));
    let real: BTreeSet<&str> = real.iter().map(String::as_str).collect();
    assert_eq!(described, real);
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

fn names(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                names(value, found);
            }
        }
        serde_json::Value::Array(entries) => entries.iter().for_each(|entry| names(entry, found)),
        _ => {}
    }
}

#[test]
fn every_local_link_leads_somewhere() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(root().join(file).exists(), "{}: {target} is not there", path.display());
        }
    }
}
