//! `measure` and `hog` as somebody in a hurry, or of ill will, uses them: what
//! is left behind, what is said of it, and what is refused at once.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/shell.rs"]
mod shell;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::shell::{Home, Said};

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn kept(home: &Home, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(home.path(name)).unwrap()).unwrap()
}

fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// It tells the pids of two sleepers, one of them in a session of its own and
/// deaf to TERM.
const FAMILY: &str = "sleep 297 & echo $!; setsid sh -c 'trap \"\" TERM; echo $$; sleep 298' & \
    wait; true";

#[test]
fn a_span_that_is_over_ends_all_that_came_of_the_command() {
    let home = Home::new();
    // A slow machine has begun both only after a while.
    let run = |span| {
        let begin = ["measure", "--for", span, "--save", "m.json", "--", "sh", "-c", FAMILY];
        let _ = std::fs::remove_file(home.path("m.json"));
        home.run(&begin)
    };
    let has_begun = |said: &Said| said.out.split_whitespace().count() == 2;
    let said = ["2s", "8s", "30s"].into_iter().map(run).find(has_begun).unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let pids: Vec<&str> = said.out.split_whitespace().collect();
    assert!(pids.iter().all(|pid| is_gone(pid)), "{said:?}");
    let kept = kept(&home, "m.json");
    assert_eq!((&kept["ended_by"], &kept["command"]["left_behind"]), (&json!("time"), &json!(0)));
}

#[test]
fn a_signal_ends_all_that_came_of_the_command() {
    let home = Home::new();
    let arguments = ["measure", "--", "sh", "-c", FAMILY];
    let mut command = home.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pids: Vec<String> = lines.take(2).map(Result::unwrap).collect();
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{err}");
    assert!(pids.iter().all(|pid| is_gone(pid)), "{pids:?}: {err}");
}

#[test]
fn what_a_command_leaves_on_purpose_is_left() {
    let home = Home::new();
    let script = "setsid sleep 296 >&- 2>&- & echo $!; sleep 1";
    let said = home.run(&["measure", "--", "sh", "-c", script]);
    let sleeper = said.out.trim();
    let is_there = !is_gone(sleeper);
    let pid = Pid::from_raw(sleeper.parse().unwrap()).unwrap();
    let _ = kill_process(pid, Signal::KILL);
    assert_eq!((said.code, is_there), (0, true), "{said:?}");
    assert!(said.err.contains("1 process left behind"), "{said:?}");
}

#[test]
fn one_look_tells_of_nothing_that_is_counted_between_two() {
    let home = Home::new();
    let said = home.run(&["measure", "--interval", "30s", "--", "false"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(": 1 look\n"), "{said:?}");
    assert_eq!(said.err.matches("unknown: one look").count(), 3, "{said:?}");
    assert!(!said.err.contains("largest process"), "no more than plimsoll had: {said:?}");
}

#[test]
fn a_span_is_measured_whole_and_told_in_milliseconds() {
    let home = Home::new();
    let said = home.run(&["measure", "--for", "2s", "--interval", "500ms", "--json"]);
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let span = found["span_seconds"].as_f64().unwrap();
    assert!(span >= 1.8, "{found}");
    assert!(found["span_seconds"].to_string().len() <= "1234.567".len(), "{found}");
}

/// What is kept, and what was said, where the guard is ended after so long.
fn followed_for(seconds: u64) -> Option<(Value, Option<i32>, String)> {
    let home = Home::new();
    let mut guard = home.command(&["guard"]).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the guard listens", || {
        home.run(&["status", "--json"]).out.contains("\"attached\"")
    });
    let mut command = home.command(&["measure", "--for", "90s", "--save", "m.json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(seconds));
    kill_process(Pid::from_raw(guard.id().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    guard.wait().unwrap();
    let ended = child.wait_with_output().unwrap();
    let kept = std::fs::read_to_string(home.path("m.json")).ok()?;
    let kept: Value = serde_json::from_str(&kept).unwrap();
    // It may have begun too late to follow the guard.
    let has_followed = kept["ended_by"] != "time";
    let err = String::from_utf8(ended.stderr).unwrap();
    has_followed.then_some((kept, ended.status.code(), err))
}

#[test]
fn a_guard_that_ends_while_it_is_followed_is_said() {
    let (kept, code, err) = [2, 10, 30].into_iter().find_map(followed_for).unwrap();
    assert_eq!((&kept["ended_by"], code), (&json!("engine"), Some(1)), "{err}");
    assert!(err.contains("the plimsoll that was followed has ended"), "{err}");
}

#[test]
fn what_cannot_come_to_anything_is_refused_before_it_begins() {
    let home = Home::new();
    let many = ["measure", "--for", "10m", "--target"];
    for (arguments, words) in [
        (&[&many[..], &["modles/peak<1GiB"]].concat()[..], "did you mean models?"),
        (&[&many[..], &["command/peak<1GiB"]].concat(), "name one after --"),
        (&[&many[..], &["model:*/peak<1GiB"]].concat(), "--component 'model:*'"),
        (&["measure"], "-- COMMAND, and --compare"),
        (&["measure", "--json", "--", "true"], "--save FILE"),
        (&["measure", "--for", "10m", "--save", "a", "--report", "a"], "the same file twice"),
        (&["measure", "--for", "10m", "--save", "a", "--report", "./a"], "the same file twice"),
        (&["hog", "--size", "1"], "less than a page"),
        (&["hog", "--size", "8MiB", "--for", "0s"], "in no time"),
    ] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words), "{arguments:?}: {said:?}");
    }
    let left = std::fs::read_dir(home.path("")).unwrap();
    let left = left.filter(|one| one.as_ref().unwrap().file_name().to_string_lossy().contains('a'));
    assert_eq!(left.filter(|one| one.as_ref().unwrap().path().is_file()).count(), 0);
}

#[test]
fn a_path_moves_no_cursor() {
    let home = Home::new();
    let said = home.run(&["measure", "--demo", "--for", "300ms", "--save", "a\u{1b}[2Jb"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.is_plain() && said.out.contains("written to a[2Jb"), "{said:?}");
}

#[test]
fn hog_gives_back_the_memory_and_the_terminal_at_sigquit() {
    let home = Home::new();
    let mut terminal =
        home.dashboard(&["hog", "--size", "8MiB", "--step", "8MiB", "--hold", "10m"]);
    terminal.wait_for_text("held 8 MiB of 8 MiB");
    // As Ctrl-\ does.
    terminal.signal(Signal::QUIT);
    assert_eq!(terminal.wait_for_end(), 131, "{}", terminal.contents());
    assert!(terminal.contents().contains("freed 8 MiB: ended by SIGQUIT"));
}

#[test]
fn the_line_of_hog_is_gone_before_the_next_one() {
    let home = Home::new();
    let arguments = ["hog", "--size", "12MiB", "--step", "4MiB", "--every", "2s", "--hold", "3s"];
    let mut terminal = home.dashboard(&arguments);
    assert_eq!(terminal.wait_for_end(), 0, "{}", terminal.contents());
    let said = terminal.contents();
    assert!(!said.contains("any key frees it"), "{said}");
    assert_eq!(said.matches("headroom").count(), 3, "{said}");
}
