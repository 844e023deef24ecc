//! The program run as from a shell, in a home of its own, with or without a
//! terminal.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::fs;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

const PROGRAM: &str = env!("CARGO_BIN_EXE_plimsoll");

pub struct Home(tempfile::TempDir);

/// How a run ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Nothing in it moves a cursor or turns text around.
    pub fn is_plain(&self) -> bool {
        let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
        let is_plain = |c: char| c == '\n' || !(c.is_control() || turns(c));
        self.out.chars().chain(self.err.chars()).all(is_plain)
    }
}

pub fn said(mut command: Command) -> Said {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Home {
    pub fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The user's own config.
    pub fn config(&self, bytes: &[u8]) {
        let path = self.path("config/plimsoll/config.toml");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("HOME", self.path("")),
            ("XDG_CONFIG_HOME", self.path("config")),
            ("XDG_DATA_HOME", self.path("data")),
            ("XDG_RUNTIME_DIR", self.path("run")),
        ]
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).env_clear();
        command.envs(self.environment()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    /// In a terminal of 100 columns and 30 rows.
    pub fn dashboard(&self, arguments: &[&str]) -> Dashboard {
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(arguments);
        command.env_clear();
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        command.env("LANG", "en_US.UTF-8");
        command.cwd(self.0.path());
        Dashboard::start(command)
    }
}

pub struct Dashboard {
    child: Box<dyn Child + Send + Sync>,
    /// Kept open: closing it hangs the line up.
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<(vt100::Parser, Vec<u8>)>>,
}

impl Dashboard {
    fn start(command: CommandBuilder) -> Dashboard {
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        let nonzero = |number| NonZeroU16::new(number).unwrap();
        let screen = vt100::Parser::new(nonzero(30), nonzero(100), 0);
        let seen = Arc::new(Mutex::new((screen, Vec::new())));
        let (mut output, theirs) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let mut seen = theirs.lock().unwrap();
                seen.0.process(&buffer[..count]);
                seen.1.extend_from_slice(&buffer[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Dashboard { child, _master: pair.master, keys, seen }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.process_id().unwrap().try_into().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    pub fn contents(&self) -> String {
        self.seen.lock().unwrap().0.screen().contents()
    }

    /// All it ever wrote.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().1.clone()
    }

    #[track_caller]
    pub fn wait_for_picture(&self) {
        self.wait_for_text("memory");
    }

    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        let begun = Instant::now();
        while !self.contents().contains(text) {
            let contents = self.contents();
            assert!(begun.elapsed() < PATIENCE, "no {text:?} on this screen:\n{contents}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    pub fn wait_for_end(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it wrote last is still on its way here.
                std::thread::sleep(Duration::from_millis(100));
                return status.exit_code();
            }
            assert!(begun.elapsed() < PATIENCE, "the program does not end:\n{}", self.contents());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // Already ended in most tests; a failed one leaves nothing behind.
        let _ended = self.child.kill();
    }
}
