//! Each exit code of the table, by a real run of the program that ends with it.
//! One test a code, named after its number; a code without one fails here.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/bare_machine.rs"]
mod bare_machine;
#[path = "support/judged_machine.rs"]
mod judged_machine;
#[path = "support/shell.rs"]
mod shell;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use plimsoll::cli::exit::TABLE;
use rustix::process::{Pid, Signal, kill_process};

use self::shell::Home;

/// Nobody listens there: port 1 needs rights no test has.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn every_code_of_the_table_has_its_test() {
    let tests = include_str!("exit_codes.rs");
    for (_, number, meaning) in TABLE {
        let is_tested = tests.contains(&format!("\nfn code_{number}_"));
        assert!(is_tested, "code {number} ({meaning}) has no test here");
    }
}

#[track_caller]
fn ends_with(code: i32, arguments: &[&str]) {
    let home = Home::new();
    let said = home.run(arguments);
    assert_eq!(said.code, code, "{arguments:?}: {said:?}");
}

#[test]
fn code_0_is_done_and_normal() {
    ends_with(0, &["status", "--demo"]);
    ends_with(0, &["--version"]);
}

#[test]
fn code_1_is_failed() {
    ends_with(1, &["models", "--ollama", NOBODY]);
    ends_with(1, &["keep", "elephant", "1h", "--demo"]);
}

#[test]
fn code_2_is_wrong_usage_or_config() {
    ends_with(2, &["statu"]);
    let home = Home::new();
    home.config(b"nothing = 1\n");
    let said = home.run(&["status"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
}

/// A machine with so much available, of 16 GiB.
#[track_caller]
fn level(available_gib: u64, code: i32) {
    let home = Home::new();
    home.write("r", &bare_machine::recording(&[available_gib; 2]));
    let said = home.run(&["status", "--replay", "r"]);
    assert_eq!(said.code, code, "{said:?}");
}

#[test]
fn code_10_is_warning() {
    level(3, 10);
}

#[test]
fn code_11_is_critical() {
    level(1, 11);
}

#[test]
fn code_12_is_emergency() {
    level(0, 12);
}

#[track_caller]
fn verdict(arguments: &[&str], code: i32) {
    let home = Home::new();
    judged_machine::record(&home);
    let said = home.run(&[&["fit", "--replay", "machine"], arguments].concat());
    assert_eq!(said.code, code, "{said:?}");
}

#[test]
fn code_20_is_fits() {
    verdict(&["tiny:1b"], 20);
}

#[test]
fn code_21_is_fits_after_unloading() {
    verdict(&["mid:14b"], 21);
}

#[test]
fn code_22_is_fits_smaller() {
    verdict(&["tiny:1b", "--ctx", "262144"], 22);
}

#[test]
fn code_23_is_fits_after_freeing() {
    verdict(&["big:32b"], 23);
}

#[test]
fn code_24_is_never_fits() {
    verdict(&["giant:70b"], 24);
}

/// Its recorded server answers, and one model never fits at its context.
#[test]
fn code_30_is_a_warning_of_doctor() {
    let home = Home::new();
    judged_machine::record(&home);
    home.config(b"[fit]\ncontext = 262144\n");
    let said = home.run(&["doctor", "--replay", "machine"]);
    assert_eq!(said.code, 30, "{said:?}");
    assert!(said.out.starts_with("warning "), "{said:?}");
}

#[test]
fn code_31_is_an_error_of_doctor() {
    ends_with(31, &["doctor", "--ollama", NOBODY]);
}

#[test]
fn code_40_is_a_target_that_was_missed() {
    ends_with(40, &["measure", "--for", "500ms", "--target", "peak<1MiB", "--demo"]);
}

/// Something that goes on, once it has begun.
#[track_caller]
fn signalled(signal: Signal, code: i32) {
    let home = Home::new();
    let mut command = home.command(&["events", "--follow", "--demo"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut first).unwrap();
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(code), "it had said {first}");
}

#[test]
fn code_40_is_a_target_missed() {
    let home = Home::new();
    home.config(b"[targets]\navailable = \"900 TiB\"\n");
    let said = home.run(&["status", "--targets", "--demo"]);
    assert_eq!(said.code, 40, "{said:?}");
}

#[test]
fn code_129_is_ended_by_sighup() {
    let home = Home::new();
    let mut dashboard = home.dashboard(&["--demo"]);
    dashboard.wait_for_picture();
    dashboard.signal(Signal::HUP);
    assert_eq!(dashboard.wait_for_end(), 129);
}

#[test]
fn code_130_is_ended_by_sigint() {
    signalled(Signal::INT, 130);
}

#[test]
fn code_131_is_ended_by_sigquit() {
    signalled(Signal::QUIT, 131);
    let home = Home::new();
    let mut dashboard = home.dashboard(&["--demo"]);
    dashboard.wait_for_picture();
    dashboard.signal(Signal::QUIT);
    assert_eq!(dashboard.wait_for_end(), 131);
    let bytes = String::from_utf8_lossy(&dashboard.bytes()).into_owned();
    assert!(bytes.contains("\x1b[?1049l"), "the first screen is there again");
}

#[test]
fn code_143_is_ended_by_sigterm() {
    signalled(Signal::TERM, 143);
}
