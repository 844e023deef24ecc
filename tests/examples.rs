//! The examples of every command's help work, and its man page is sound.
//!
//! Each is run in the demo, or where it changes nothing else, as far as the
//! shell's own part of it; what would go on ends where nobody reads it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/bare_machine.rs"]
mod bare_machine;
#[path = "support/shell.rs"]
mod shell;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use plimsoll::cli::help::Parts;

use self::shell::{Home, said};

/// Commands with all that stand above others, and plimsoll itself.
fn commands() -> Vec<(String, clap::Command)> {
    fn with_all_below(
        command: &clap::Command,
        path: &str,
        found: &mut Vec<(String, clap::Command)>,
    ) {
        found.push((path.to_owned(), command.clone()));
        for one in command.get_subcommands() {
            with_all_below(one, &format!("{path} {}", one.get_name()), found);
        }
    }
    let mut found = Vec::new();
    with_all_below(&plimsoll::cli::command(), "plimsoll", &mut found);
    assert!(found.len() > 25);
    found
}

#[test]
fn every_command_has_examples_that_can_be_typed() {
    for (path, command) in commands() {
        let parts = Parts::of(&command);
        assert!(!parts.examples.is_empty(), "{path} has no example in its help");
        assert!(parts.exit_codes.is_some(), "{path} does not say what it ends with");
        let own = |line: &str| line.starts_with(&path);
        assert!(parts.examples.iter().any(|one| own(&one.line)), "{path} has none of its own");
        for example in parts.examples {
            let parsed = plimsoll::cli::command().try_get_matches_from(example.arguments());
            assert!(parsed.is_ok(), "{}: {}", example.line, parsed.unwrap_err());
        }
        let text = command.get_after_help().unwrap().to_string();
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{path}: {widest} columns, which a terminal breaks:\n{text}");
    }
}

/// What is typed beside an example, so that it ends and changes nothing here;
/// `None`: it would start or stop a service of this machine, or takes long.
fn beside(arguments: &[&str]) -> Option<&'static [&'static str]> {
    let has = |word: &str| arguments.contains(&word);
    let first = arguments.iter().find(|word| !word.starts_with('-'));
    Some(match first.copied() {
        _ if has("--start") || has("--stop") || has("--for") => return None,
        None => return None,
        // They take memory, or run what may not be here.
        Some("hog" | "measure" | "bench") => return None,
        Some("guard") if has("--dry-run") => &["--demo"],
        Some("guard") if has("--once") => &["--demo"],
        Some("guard") => &["--demo", "--once"],
        Some("service") if has("status") => &[],
        Some("service") if has("--yes") => &[],
        Some("service") => &["--yes"],
        Some("record") => &["--demo", "--for", "200ms"],
        Some("load") if has("--make-room") || has("--json") => &["--demo", "--yes"],
        Some("unload" | "cleanup") if !has("--yes") && !has("--dry-run") => &["--demo", "--yes"],
        Some("events") if !has("--follow") => &[],
        Some("history" | "report" | "simulate" | "accuracy" | "config" | "completions" | "man") => {
            &[]
        }
        _ if has("--demo") => &[],
        _ => &["--demo"],
    })
}

fn home() -> Home {
    let home = Home::new();
    home.write("night.ndjson", &bare_machine::recording(&[12, 12, 3, 1, 12]));
    home.write("other.toml", "profile = \"careful\"\n");
    home
}

#[test]
fn the_examples_do_what_they_say() {
    let mut run = 0;
    for (path, command) in commands() {
        for example in Parts::of(&command).examples {
            let arguments = &example.arguments()[1..];
            let Some(beside) = beside(arguments) else { continue };
            let all = [arguments, beside].concat();
            let home = home();
            if path == "plimsoll record" {
                std::fs::remove_file(home.path("night.ndjson")).unwrap();
            }
            let mut command = home.command(&all);
            command.env("PLIMSOLL_RULES_GRACE", "0s");
            let goes_on = arguments[0] == "watch" || arguments.contains(&"--follow");
            let code = match goes_on {
                true => {
                    let mut child =
                        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                    drop(child.stdout.take());
                    let mut err = String::new();
                    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
                    assert_eq!(err, "", "{}", example.line);
                    child.wait().unwrap().code().unwrap()
                }
                false => {
                    let said = said(command);
                    // Nothing is installed as a service here.
                    let is_no = all[..2.min(all.len())] == ["service", "status"];
                    assert!(is_no || !matches!(said.code, 1 | 2), "{}: {said:?}", example.line);
                    said.code
                }
            };
            assert!(
                matches!(code, 0 | 1 | 10..=12 | 20..=24 | 30 | 31 | 40),
                "{}: {code}",
                example.line
            );
            run += 1;
        }
    }
    assert!(run > 40, "{run} only");
}

// ------------------------------------------------------------------ man pages

#[test]
fn every_command_has_its_page() {
    let home = Home::new();
    let wrote = home.run(&["man", "--to", "pages"]);
    assert_eq!((wrote.code, wrote.err.as_str()), (0, ""), "{wrote:?}");
    for (path, command) in commands() {
        let name = path.replace(' ', "-");
        let page = std::fs::read_to_string(home.path(&format!("pages/{name}.1"))).unwrap();
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXAMPLES",
            "EXIT STATUS",
            "ENVIRONMENT",
            "FILES",
        ] {
            assert!(page.contains(&format!("\n.SH \"{section}\"\n")), "{name} has no {section}");
        }
        let own = command.get_arguments().filter(|argument| !argument.is_hide_set());
        for long in own.filter_map(clap::Arg::get_long) {
            let long = long.replace('-', "\\-");
            assert!(page.contains(&format!("\\-\\-{long}")), "{name} is without --{long}");
        }
        assert!(!page.contains("panic"), "what is hidden stays so");
        let words: Vec<&str> = path.split(' ').skip(1).collect();
        assert_eq!(home.run(&[&["man"], &words[..]].concat()).out, page, "{name}");
    }
    let files = std::fs::read_dir(home.path("pages")).unwrap().count();
    assert_eq!(files, commands().len());
    is_sound(&home.path("pages"));
}

/// No warning of groff's, where there is one.
fn is_sound(folder: &Path) {
    if Command::new("groff").arg("--version").stdout(Stdio::null()).status().is_err() {
        writeln!(std::io::stderr(), "skipped: groff is not here to read the pages").ok();
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut groff = Command::new("groff");
        let output = groff.args(["-man", "-ww", "-Tutf8", "-z"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}

#[test]
fn a_page_of_no_command_names_the_one_that_was_meant() {
    let home = Home::new();
    for (arguments, words) in [
        (&["man", "statu"][..], "did you mean status?"),
        (&["man", "config", "sho"], "did you mean show?"),
        (&["man", "elephant"], "lists them"),
    ] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
        assert!(said.err.contains(words), "{said:?}");
    }
}
