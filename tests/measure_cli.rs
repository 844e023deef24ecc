//! `measure` and `hog` as a script and a person meet them: real commands are
//! measured, real memory is taken, at most some 256 MiB.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/json_shape.rs"]
mod json_shape;
#[path = "support/shell.rs"]
mod shell;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use plimsoll::domain::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use self::json_shape::shape;
use self::shell::{Dashboard, Home, Said};

const MIB: u64 = 1 << 20;

/// Where every machine is below all its levels.
const CALM: &[u8] = b"[levels]\nwarning = 98\ncritical = 99\nemergency = 100\n";

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

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

fn names(home: &Home, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(home.path(folder)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Until the test makes that file.
const UNTIL_GO: &str = "while [ ! -e go ]; do sleep 0.1; done";

/// A shell that holds so many MiB until it may go on: `tail -c` keeps all that
/// it reads, and nobody takes it from there.
fn holds(mib: u64) -> String {
    let bytes = mib * MIB;
    format!("head -c {bytes} /dev/zero | tail -c {bytes} | ({UNTIL_GO}; wc -c)")
}

/// Measures a script on a terminal, and lets it go on once the progress says
/// that so many MiB were seen in it.
fn measured_until_seen(home: &Home, arguments: &[&str], (script, mib): (&str, u64)) -> Dashboard {
    let run = ["--", "sh", "-c", script];
    let _gone = std::fs::remove_file(home.path("go"));
    let mut terminal = home.dashboard(&[&["measure"], arguments, &run].concat());
    let seen = |contents: &str| {
        let (before, _) = contents.split_once(" at most")?;
        before.rsplit_once("command ")?.1.parse::<Bytes>().ok()
    };
    wait_until("the command's memory is seen", || {
        seen(&terminal.contents()).is_some_and(|bytes| bytes >= Bytes::mib(mib))
    });
    home.write("go", "");
    assert_eq!(terminal.wait_for_end(), 0, "{}", terminal.contents());
    terminal
}

/// How long it takes to get there is the machine's own affair.
#[track_caller]
fn with_more_time<T>(mut attempt: impl FnMut(&str) -> Result<T, Said>) -> T {
    let mut last = None;
    for span in ["1s", "5s", "30s"] {
        match attempt(span) {
            Ok(done) => return done,
            Err(said) => last = Some(said),
        }
    }
    panic!("not in 30 s either: {last:?}");
}

fn calm() -> Home {
    let home = Home::new();
    home.config(CALM);
    home
}

// ------------------------------------------------------------------- measure

#[test]
fn a_command_is_followed_with_all_that_came_of_it() {
    let home = Home::new();
    let targets = ["--target", "peak<1GiB", "--target", "peak>60MiB"];
    let files = ["--save", "m.json", "--report", "m.md"];
    let arguments = [&files[..], &targets].concat();
    let terminal = measured_until_seen(&home, &arguments, (&holds(64), 60));
    let said = terminal.contents();
    let counted = (64 * MIB).to_string();
    for words in
        [&counted, "command   sh ended with 0 after ", "peak>60MiB", "pass", "written to m.json"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let kept = kept(&home, "m.json");
    assert_eq!(kept["result"], json!("pass"));
    let command = &kept["command"];
    assert!(command["measures"]["peak_bytes"].as_u64().unwrap() > 60 * MIB, "{kept}");
    assert!(command["largest_process_bytes"].as_u64().unwrap() > 60 * MIB, "{kept}");
    assert!(command["most_processes"].as_u64().unwrap() > 2, "{kept}");
    assert_eq!((&command["program"], &command["exit_code"]), (&json!("sh"), &json!(0)));
    assert!(!kept.to_string().contains("/dev/zero"), "arguments may hold secrets: {kept}");
    let report = std::fs::read_to_string(home.path("m.md")).unwrap();
    assert!(report.starts_with("# Memory measured ") && report.contains("| command | "));
    assert_eq!(names(&home, "").iter().filter(|name| name.contains("m.")).count(), 2);
}

#[test]
fn the_output_is_the_commands_own() {
    let home = Home::new();
    let said = home.run(&["measure", "--", "sh", "-c", "echo mine; echo loud >&2"]);
    assert_eq!((said.code, said.out.as_str()), (0, "mine\n"), "{said:?}");
    assert!(said.err.contains("loud\n") && said.is_plain(), "{said:?}");
    assert!(said.err.contains("command   sh ended with 0 after "), "{said:?}");
}

#[test]
fn a_process_that_leaves_its_parent_is_followed_as_well() {
    let home = Home::new();
    let gone = format!("(setsid sh -c '{}' &); {UNTIL_GO}", holds(48));
    measured_until_seen(&home, &["--save", "m.json"], (&gone, 44));
    let kept = kept(&home, "m.json");
    assert!(kept["command"]["measures"]["peak_bytes"].as_u64().unwrap() > 44 * MIB, "{kept}");
}

#[test]
fn a_missed_target_ends_with_40_whatever_the_command_says() {
    let home = Home::new();
    for (target, script, code, words) in [
        ("peak<1KiB", "exit 3", 40, "fail"),
        ("peak<1KiB", "exit 0", 40, "fail"),
        ("peak<1TiB", "exit 3", 1, "sh ended with 3"),
        ("peak<1TiB", "exit 0", 0, "pass"),
        ("nobody/peak<1TiB", "exit 0", 2, "--component"),
    ] {
        let said = with_more_time(|span| {
            let script = format!("sleep {}; {script}", span.trim_end_matches('s'));
            let said = home.run(&["measure", "--target", target, "--", "sh", "-c", &script]);
            if said.err.contains("too short to be looked at") { Err(said) } else { Ok(said) }
        });
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{target} {script}: {said:?}");
        assert!(said.err.contains(words), "{words}: {said:?}");
    }
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_what_came_of_it() {
    let home = Home::new();
    let script = "trap '' TERM; sleep 600 & echo $!; wait; sleep 600";
    let (kept, said) = with_more_time(|span| {
        let _before = std::fs::remove_file(home.path("m.json"));
        let arguments = ["measure", "--for", span, "--save", "m.json", "--", "sh", "-c", script];
        let said = home.run(&arguments);
        assert_eq!(said.code, 0, "its time was over, as was asked: {said:?}");
        let kept = kept(&home, "m.json");
        // Told before it had begun to listen it just ends.
        let was_early = kept["command"]["signal"] == json!(15) || said.out.is_empty();
        if was_early { Err(said) } else { Ok((kept, said)) }
    });
    assert_eq!((&kept["ended_by"], &kept["command"]["signal"]), (&json!("time"), &json!(9)));
    let sleeper = said.out.trim();
    wait_until("the sleeper is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
}

#[test]
fn a_signal_is_passed_on_and_the_summary_is_still_written() {
    let home = Home::new();
    for (told, code, number) in
        [(Signal::INT, 130, "INT"), (Signal::TERM, 143, "TERM"), (Signal::HUP, 129, "HUP")]
    {
        let name = format!("{number}.json");
        // `wait` is cut short by the signal; a child would be waited for first.
        let script = format!(
            "trap 'echo told; kill $!; exit 5' {number}; sleep 600 >&- 2>&- & echo ready; wait"
        );
        let arguments = ["measure", "--save", &name, "--", "sh", "-c", &script];
        let mut child =
            home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(out.next().unwrap().unwrap(), "ready");
        signal(&child, told);
        assert_eq!(out.next().unwrap().unwrap(), "told");
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{err}");
        assert!(err.contains("until a signal ended it early"), "{err}");
        let kept = kept(&home, &name);
        assert_eq!(
            (&kept["ended_by"], &kept["command"]["exit_code"]),
            (&json!("signal"), &json!(5))
        );
    }
}

#[test]
fn on_a_terminal_they_share_ctrl_c_reaches_the_command_once() {
    let home = Home::new();
    let script = format!(
        "n=0; trap 'n=$((n+1)); echo told $n' INT; echo ready; {UNTIL_GO}; echo end $n; exit 5"
    );
    let arguments = ["measure", "--save", "m.json", "--", "sh", "-c", &script];
    let mut terminal = home.dashboard(&arguments);
    terminal.wait_for_text("ready");
    terminal.press("\u{3}");
    terminal.wait_for_text("told 1");
    home.write("go", "");
    assert_eq!(terminal.wait_for_end(), 130, "{}", terminal.contents());
    let said = terminal.contents();
    assert!(said.contains("end 1") && said.contains("until a signal ended it early"), "{said}");
    let kept = kept(&home, "m.json");
    let found = (&kept["ended_by"], &kept["command"]["exit_code"]);
    assert_eq!(found, (&json!("signal"), &json!(5)));
}

#[test]
fn the_simulated_machine_is_measured_with_its_models_and_components() {
    let home = Home::new();
    let patterns = ["--component", "model:*", "--component", "process:*"];
    let targets = ["--target", "models/peak<1TiB", "--target", "oom_kills<9"];
    let mut found = with_more_time(|span| {
        let begin = ["measure", "--demo", "--json", "--for", span];
        let said = home.run(&[&begin[..], &patterns, &targets].concat());
        let found: Value = serde_json::from_str(&said.out).unwrap();
        let is_seen = found["models"]["peak_bytes"].as_u64().is_some_and(|peak| peak > 0)
            && found["components"].as_array().is_some_and(|all| !all.is_empty())
            && found["stall"].is_object();
        if !is_seen {
            return Err(said);
        }
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        Ok(found)
    });
    assert_eq!(found["machine"]["mode"], json!("demo"));
    // How many there are by then is the simulation's own affair.
    let first = found["components"][0].take();
    found["components"] = json!([first]);
    insta::assert_snapshot!("measure_json_shape", shape(&found, 0));
}

#[test]
fn two_measurements_are_held_side_by_side() {
    let home = Home::new();
    for (name, mib) in [("a.json", 64), ("b.json", 24)] {
        measured_until_seen(&home, &["--save", name], (&holds(mib), mib));
    }
    let said = home.run(&["measure", "--compare", "a.json", "b.json", "--report", "c.md"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let line = said.out.lines().find(|line| line.starts_with("command peak")).unwrap();
    assert!(line.ends_with("better") && line.contains('-'), "{line}");
    let report = std::fs::read_to_string(home.path("c.md")).unwrap();
    assert!(report.contains("| command peak |"), "{report}");
    let said = home.run(&["measure", "--compare", "b.json", "a.json", "--json"]);
    let mut found: Value = serde_json::from_str(&said.out).unwrap();
    let figures = found["figures"].as_array().unwrap().iter();
    let mut peaks = figures
        .filter(|one| (&one["subject"], &one["figure"]) == (&json!("command"), &json!("peak")));
    assert_eq!(peaks.next().unwrap()["which"], json!("worse"));
    // What can be told of a busy machine, and what makes them hard to compare,
    // is its own affair.
    let peak =
        |one: &Value| (&one["subject"], &one["figure"]) == (&json!("command"), &json!("peak"));
    found["figures"].as_array_mut().unwrap().retain(peak);
    found["warnings"] = json!(["looks at another interval"]);
    insta::assert_snapshot!("compare_json_shape", shape(&found, 0));
}

#[test]
fn what_is_no_measurement_is_refused_by_its_name() {
    let home = Home::new();
    home.write("plain.txt", "hello");
    home.write("other.json", "{\"schema_version\":1}");
    home.write("later.json", "{\"kind\":\"plimsoll measurement\",\"schema_version\":99}");
    home.write("large.json", &" ".repeat(5 << 20));
    for (name, words) in [
        ("plain.txt", "not the JSON of a measurement"),
        ("other.json", "and no measurement"),
        ("later.json", "of version 99"),
        ("large.json", "larger than 4 MiB"),
        ("none.json", "open none.json"),
        (".", "read ."),
    ] {
        let said = home.run(&["measure", "--compare", name, "other.json"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{name}: {said:?}");
        assert!(said.err.contains(words) && said.err.contains(name), "{words}: {said:?}");
    }
}

#[test]
fn what_is_there_is_not_written_over_and_nothing_is_measured_for_it() {
    let home = Home::new();
    home.write("m.json", "mine");
    let run = ["--", "sh", "-c", "touch ran"];
    for place in [["--save", "m.json"], ["--report", "m.json"], ["--save", "no/m.json"]] {
        let said = home.run(&[&["measure"][..], &place, &run].concat());
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains("m.json"), "{said:?}");
    }
    assert_eq!(std::fs::read_to_string(home.path("m.json")).unwrap(), "mine");
    assert!(!home.path("ran").exists());
    let said = home.run(&["measure", "--save", ".", "--", "no-such-program"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("start no-such-program"), "{said:?}");
    assert!(
        !names(&home, "")
            .iter()
            .any(|name| name.starts_with(".measure") || name.starts_with("measure"))
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_accepted() {
    let home = Home::new();
    for (arguments, words) in [
        (&["measure"][..], "--for"),
        (&["measure", "--for", "soon"], "30s"),
        (&["measure", "--for", "0s"], "30s"),
        (&["measure", "--for", "1s", "--target", "peek<1"], "did you mean peak?"),
        (&["measure", "--for", "1s", "--component", "cmdline:x"], "kept nowhere"),
        (&["measure", "--json", "--", "true"], "cannot be used with"),
        (&["measure", "--demo", "--", "true"], "on this machine"),
        (&["measure", "--compare", "a.json"], "2 values"),
        (&["measure", "--compare", "a", "b", "--save", "c"], "cannot be used with"),
        (&["hog"], "--size"),
        (&["hog", "--size", "much"], "GiB"),
        (&["hog", "--size", "0"], "less than a page"),
        (&["hog", "--size", "1m", "--until", "normal"], "warning, critical, emergency"),
        (&["hog", "--size", "1m", "--demo"], "on this machine"),
    ] {
        let said = home.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(words), "{arguments:?}: {said:?}");
    }
}

#[test]
fn help_fits_a_terminal() {
    let home = Home::new();
    for command in ["measure", "hog"] {
        let said = home.run(&[command, "--help"]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= 80, "{widest} columns:\n{}", said.out);
    }
}

#[test]
fn a_summary_is_as_wide_as_the_terminal() {
    let home = Home::new();
    for columns in [40, 80] {
        let mut command =
            home.command(&["measure", "--demo", "--for", "300ms", "--target", "peak<1TiB"]);
        command.env("COLUMNS", columns.to_string());
        let said = shell::said(command);
        assert!(said.code == 0 && said.is_plain(), "{said:?}");
        let widest = said.out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= columns, "{widest} of {columns}:\n{}", said.out);
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let home = calm();
    for arguments in [
        &["measure", "--demo", "--for", "10m"][..],
        &["measure", "--demo", "--for", "10m", "--json"],
        &["hog", "--size", "8MiB", "--hold", "10m"],
        &["hog", "--size", "8MiB", "--hold", "10m", "--json"],
    ] {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_command_goes_on_where_nobody_reads() {
    let home = Home::new();
    let script = "sleep 1.5; touch ran; exit 0";
    let mut command = home.command(&["measure", "--save", "m.json", "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(home.path("ran").exists());
    assert_eq!(kept(&home, "m.json")["ended_by"], json!("command"));
}

// ----------------------------------------------------------------------- hog

/// Started with `--json`, and what it says, line by line.
struct Hog {
    child: Child,
    lines: Box<dyn Iterator<Item = Value>>,
}

impl Hog {
    fn start(home: &Home, arguments: &[&str]) -> Hog {
        let mut command = home.command(&[&["hog", "--json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        Hog { child, lines: Box::new(lines) }
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    fn resident(&self) -> u64 {
        let status = self.file("status");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // Ended in most tests; a failed one leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn memory_is_really_taken_in_steps_and_really_given_back() {
    let home = calm();
    let mut hog = Hog::start(
        &home,
        &["--size", "96MiB", "--step", "40MiB", "--every", "10ms", "--hold", "10m"],
    );
    for held in [40, 80, 96] {
        let step = hog.lines.next().unwrap();
        assert_eq!((&step["event"], &step["held_bytes"]), (&json!("step"), &json!(held * MIB)));
        assert!(hog.resident() >= held * MIB, "{step}");
    }
    assert_eq!(hog.file("oom_score_adj").trim(), "1000");
    signal(&hog.child, Signal::TERM);
    let freed = hog.lines.next().unwrap();
    assert_eq!(freed["reason"], json!("ended by SIGTERM"));
    assert!(freed["came_back_bytes"].as_u64().unwrap() >= 90 * MIB, "{freed}");
    assert_eq!(hog.child.wait().unwrap().code(), Some(143));
}

#[test]
fn the_json_of_a_hog_keeps_its_shape() {
    let home = calm();
    let said = home.run(&["hog", "--size", "8MiB", "--hold", "0s", "--json"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let lines: Vec<Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Whether there is swap, and a level to come, is the machine's own affair.
    let plain = |key: &str| !matches!(key, "swap_used_bytes" | "headroom_bytes" | "headroom_to");
    let shapes: Vec<String> = lines
        .into_iter()
        .map(|mut line| {
            line.as_object_mut().unwrap().retain(|key, _| plain(key));
            shape(&line, 0)
        })
        .collect();
    insta::assert_snapshot!("hog_json_shape", shapes.join("--\n"));
}

#[test]
fn more_than_there_is_is_refused_forced_or_not() {
    let home = calm();
    for force in [&[][..], &["--force"]] {
        let said = home.run(&[&["hog", "--size", "1000TiB"], force].concat());
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        assert!(said.err.contains("always left, forced or not"), "{said:?}");
    }
}

#[test]
fn time_and_each_signal_end_it_with_their_code() {
    let home = calm();
    let said = with_more_time(|span| {
        let said = home.run(&["hog", "--size", "8MiB", "--hold", "10m", "--for", span]);
        assert_eq!(said.code, 0, "{said:?}");
        if said.out.starts_with("held 8 MiB") { Ok(said) } else { Err(said) }
    });
    assert!(said.out.contains("freed 8 MiB: its time is over; 8 MiB came back"), "{said:?}");
    let said = home.run(&["hog", "--size", "8MiB", "--hold", "0s", "--until", "emergency"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("level emergency was not reached"), "{said:?}");
    for (told, code) in [(Signal::INT, 130), (Signal::HUP, 129), (Signal::TSTP, 0)] {
        let mut hog = Hog::start(&home, &["--size", "8MiB", "--hold", "10m"]);
        hog.lines.next().unwrap();
        signal(&hog.child, told);
        let freed = hog.lines.next().unwrap();
        assert_eq!(freed["event"], json!("freed"), "{told:?}");
        assert_eq!(hog.child.wait().unwrap().code(), Some(code), "{told:?}");
    }
}

#[test]
fn any_key_frees_it_on_a_terminal() {
    let home = calm();
    let mut terminal = home.dashboard(&["hog", "--size", "32MiB", "--hold", "10m"]);
    terminal.wait_for_text("held 32 MiB of 32 MiB");
    terminal.wait_for_text("any key frees it");
    terminal.press("x");
    terminal.wait_for_text("a key was pressed; 32 MiB came back");
    assert_eq!(terminal.wait_for_end(), 0, "{}", terminal.contents());
    assert!(!terminal.contents().contains("xheld"), "the key is not echoed");
}

#[test]
fn said_is_read_by_people() {
    let home = calm();
    let said: Said =
        home.run(&["hog", "--size", "16MiB", "--step", "8MiB", "--every", "1ms", "--hold", "0s"]);
    assert!(said.code == 0 && said.is_plain(), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert!(lines[0].starts_with("held 8 MiB of 16 MiB  "), "{said:?}");
    assert!(lines[2].starts_with("freed 16 MiB: held for its time; "), "{said:?}");
}
