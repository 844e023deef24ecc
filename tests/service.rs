//! The guard as a service: what is written, that nothing is overwritten, and
//! that systemd itself takes both units. No service is started here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "support/shell.rs"]
mod shell;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll::act::lock::Lock;
use plimsoll::act::service::{Manager, ServiceFile, Started};

use shell::{Home, Said};

fn unit(home: &Home) -> PathBuf {
    home.path("config/systemd/user/plimsoll.service")
}

fn is_mac() -> bool {
    Manager::of_this_machine(false) == Some(Manager::Launchd)
}

// ---------------------------------------------------------------- install

#[test]
fn install_shows_the_file_and_writes_nothing_unasked() {
    if is_mac() {
        return;
    }
    let home = Home::new();
    let said = home.run(&["service", "install"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("--yes"), "{said:?}");
    assert!(said.out.contains(unit(&home).to_str().unwrap()), "{said:?}");
    assert!(said.out.contains("Type=notify") && said.out.contains("MemoryHigh=32M"), "{said:?}");
    assert!(!unit(&home).exists());
}

#[test]
fn install_writes_what_it_showed_and_names_the_commands() {
    if is_mac() {
        return;
    }
    let home = Home::new();
    let said = home.run(&["service", "install", "--yes", "--config", "c.toml"]);
    assert_eq!(said.code, 2, "a config that is not there would not start: {said:?}");
    home.write("c.toml", "");
    let arguments = ["service", "install", "--yes", "--config", "c.toml", "--ollama", "http://h:1"];
    let said = home.run(&arguments);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let text = fs::read_to_string(unit(&home)).unwrap();
    assert!(said.out.contains(&text), "{said:?}");
    assert!(said.out.contains("systemctl --user enable --now plimsoll.service"), "{said:?}");
    assert!(!said.out.contains("+ systemctl"), "nothing is run unasked: {said:?}");
    let exec = text.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    let config = home.path("c.toml").canonicalize().unwrap();
    let wanted = format!(" guard --config {} --ollama http://h:1", config.display());
    assert!(exec.starts_with("ExecStart=/") && exec.ends_with(&wanted), "{exec}");
    assert_eq!(fs::metadata(unit(&home)).unwrap().permissions().mode() & 0o777, 0o644);

    let again = home.run(&arguments);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.out.contains("is installed already, just so"), "{again:?}");
}

#[test]
fn an_existing_file_is_left_as_it_is_and_the_difference_shown() {
    if is_mac() {
        return;
    }
    let home = Home::new();
    home.write("config/systemd/user/plimsoll.service", "[Service]\nExecStart=/bin/mine\n");
    for arguments in [&["service", "install", "--yes"][..], &["service", "install"]] {
        let said = home.run(arguments);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("-ExecStart=/bin/mine"), "{said:?}");
        assert!(said.err.contains("was left as it is"), "{said:?}");
    }
    let said = home.run(&["service", "uninstall", "--yes"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("was not written by plimsoll"), "{said:?}");
    assert_eq!(fs::read_to_string(unit(&home)).unwrap(), "[Service]\nExecStart=/bin/mine\n");
}

#[test]
fn a_person_is_asked_on_a_terminal() {
    if is_mac() {
        return;
    }
    let home = Home::new();
    let mut terminal = home.dashboard(&["service", "install"]);
    terminal.wait_for_text("Write it? [y/N]");
    terminal.press("\r");
    assert_eq!(terminal.wait_for_end(), 1);
    assert!(!unit(&home).exists());
    let mut terminal = home.dashboard(&["service", "install"]);
    terminal.wait_for_text("Write it? [y/N]");
    terminal.press("y\r");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(unit(&home).exists());
}

// ---------------------------------------------------------------- uninstall

#[test]
fn uninstall_removes_what_was_installed_and_shows_what_was_changed() {
    if is_mac() {
        return;
    }
    let home = Home::new();
    let said = home.run(&["service", "uninstall", "--yes"]);
    assert!(said.code == 0 && said.out.contains("nothing to remove"), "{said:?}");
    home.run(&["service", "install", "--yes"]);
    let mut file = fs::OpenOptions::new().append(true).open(unit(&home)).unwrap();
    writeln!(file, "# by hand").unwrap();
    let said = home.run(&["service", "uninstall"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.out.contains("+# by hand"), "{said:?}");
    assert!(said.out.contains("systemctl --user disable --now"), "{said:?}");
    assert!(unit(&home).exists());
    assert_eq!(home.run(&["service", "uninstall", "--yes"]).code, 0);
    assert!(!unit(&home).exists());
}

// ---------------------------------------------------------------- status

#[test]
fn status_says_what_is_there_and_who_guards() {
    let home = Home::new();
    let status = || -> Said { home.run(&["service", "status"]) };
    let said = status();
    assert!(said.code == 1 && said.out.contains("not installed"), "{said:?}");
    assert!(said.out.contains("none: nobody holds"), "{said:?}");
    assert_eq!(home.run(&["service", "install", "--yes"]).code, 0);
    let said = status();
    assert_eq!(said.code, 1, "installed and not running: {said:?}");
    assert!(said.out.contains("installed as this plimsoll writes it"), "{said:?}");
    let _lock = Lock::acquire(&home.path("run/plimsoll/engine.lock")).unwrap();
    let said = status();
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert!(said.out.contains(&format!("pid {} holds", std::process::id())), "{said:?}");
}

#[test]
fn the_service_of_the_system_is_shown_and_needs_a_place_and_root() {
    if is_mac() {
        return;
    }
    let home = Home::new();
    let said = home.run(&["service", "install", "--system"]);
    // Asked for: a terminal, root, or a program outside of the homes.
    assert!(matches!(said.code, 1 | 2), "{said:?}");
    assert!(said.out.contains("Would write /etc/systemd/system/plimsoll.service"), "{said:?}");
    assert!(said.out.contains("OOMScoreAdjust=-900"), "{said:?}");
    assert!(said.err.contains("hint: "), "{said:?}");
}

// ---------------------------------------------------------------- systemd

/// What systemd says of a unit; `None`: it is not on this machine.
fn verified(folder: &Path, scope: &[&str], path: &Path) -> Option<(bool, String)> {
    let mut command = Command::new("systemd-analyze");
    command.args(scope).arg("verify").arg(path).env("XDG_RUNTIME_DIR", folder);
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Some((output.status.success(), said))
        }
        Err(_) => {
            writeln!(std::io::stderr(), "skipped: there is no systemd-analyze here").ok();
            None
        }
    }
}

#[test]
fn systemd_takes_both_units_whatever_the_path() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["plain", "a b", "50%", "$HOME", "a;b&c", "ünï"] {
        let folder = temp.path().join(name);
        fs::create_dir(&folder).unwrap();
        let program = folder.join("plimsoll");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let arguments = ["guard", "--config", "/a b/50%/$x/it's/\"q\"\\"].map(str::to_owned).into();
        let started = Started { program, arguments };
        for (manager, scope) in
            [(Manager::SystemdUser, &["--user"][..]), (Manager::SystemdSystem, &[])]
        {
            let path = folder.join(format!("{manager:?}/plimsoll.service"));
            let file = ServiceFile::new(manager, path, (&started, temp.path())).unwrap();
            file.write().unwrap();
            let Some((is_well, said)) = verified(temp.path(), scope, &file.path) else { return };
            // An unknown key is told, and no failure.
            assert!(is_well && said.is_empty(), "{name:?} {manager:?}: {said}");
        }
    }
}

#[test]
fn a_unit_that_is_wrong_is_not_taken() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("plimsoll.service");
    fs::write(&path, "[Service]\nType=notify\nExecStart=/nowhere/at/all guard\n").unwrap();
    let Some((is_well, said)) = verified(temp.path(), &["--user"], &path) else { return };
    assert!(!is_well && !said.is_empty(), "the check is blind: {said}");
}
