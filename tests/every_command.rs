//! What holds for every command alike, over the table of commands itself: a
//! new one is met here before it can be forgotten.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/bare_machine.rs"]
mod bare_machine;
#[path = "support/shell.rs"]
mod shell;

use std::io::Read;
use std::process::Stdio;

use self::shell::{Home, said};

/// A command as it is run here: in the demo, or where it changes nothing else.
fn line(path: &str) -> Vec<&'static str> {
    let rest = match path {
        "status" | "models" | "components" | "why" | "fit" | "recommend" | "hint" | "doctor"
        | "advise" => "--demo",
        "events" => "--follow --demo",
        "watch" => "--demo",
        // Only a real machine is measured, so it says no more than this.
        "bench" => "--help",
        "load" => "llama3.2:3b --demo",
        "unload" => "--all --dry-run --demo",
        "keep" => "llama3.2:3b 1h --demo",
        "pin" => "llama3.2:3b --demo",
        "priority" => "llama3.2:3b low --demo",
        "cleanup" => "--dry-run --demo",
        "guard" => "--dry-run --demo",
        "service install" | "service uninstall" | "service status" => "",
        "record" => "made --for 200ms --demo",
        "simulate" => "day",
        "measure" => "--for 300ms --demo",
        "hog" => "--size 1MiB --hold 0s --force",
        "history" | "report" | "accuracy" | "config show" | "config check" | "config path"
        | "config init" => "",
        "completions" => "fish",
        "man" => "",
        other => panic!("a new command: say here how `{other}` is run"),
    };
    path.split(' ').chain(rest.split_whitespace()).map(word).collect()
}

/// Words of the table live as long as it does.
fn word(word: &str) -> &'static str {
    Box::leak(word.to_owned().into_boxed_str())
}

/// A home with a recording in it.
fn home() -> Home {
    let home = Home::new();
    home.write("day", &bare_machine::recording(&[12, 12, 12, 1, 1, 12]));
    home
}

fn commands() -> Vec<String> {
    fn below(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for one in command.get_subcommands() {
            let path = format!("{path} {}", one.get_name());
            match one.has_subcommands() {
                true => below(one, &path, found),
                false => found.push(path.trim().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    below(&plimsoll::cli::command(), "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    found
}

/// It ends by itself where somebody reads it.
fn ends(path: &str) -> bool {
    !matches!(path, "events" | "watch")
}

#[test]
fn a_closed_pipe_ends_each_command_quietly() {
    for path in commands() {
        let home = home();
        let arguments = line(&path);
        let mut command = home.command(&arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn what_is_piped_has_no_escape_codes() {
    for path in commands() {
        let arguments = match path.as_str() {
            "events" => vec!["events"],
            "watch" => vec!["watch", "--demo", "--until", "normal"],
            _ => line(&path),
        };
        let home = home();
        for variables in [&[][..], &[("TERM", "xterm-256color"), ("CLICOLOR_FORCE", "1")]] {
            let mut command = home.command(&arguments);
            command.envs(variables.iter().copied());
            let said = said(command);
            let control = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
            let found = said.out.chars().chain(said.err.chars()).find(control);
            assert_eq!(found, None, "{arguments:?}: {said:?}");
        }
    }
}

/// What is written for people, and not a file of some form of its own.
fn is_prose(path: &str) -> bool {
    !matches!(path, "bench" | "completions" | "man" | "config show" | "service install")
}

#[test]
fn what_is_said_is_as_wide_as_the_terminal() {
    let mut wide = Vec::new();
    for path in commands().iter().filter(|path| is_prose(path) && ends(path)) {
        let home = home();
        for columns in [40, 80, 120] {
            let arguments = line(path);
            let mut command = home.command(&arguments);
            command.env("COLUMNS", columns.to_string());
            let said = said(command);
            let count = |text: &str| text.chars().count();
            // A path is left whole, so that it can be copied.
            let is_path = |line: &str| line.split_whitespace().any(|word| count(word) > 30);
            let too_wide = said.out.lines().filter(|line| count(line) > columns && !is_path(line));
            wide.extend(too_wide.map(|line| format!("{columns}: {path}: {line}")));
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}
