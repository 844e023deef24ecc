//! The program in a real terminal: what is painted, what keys do, and that the
//! terminal is given back whatever happens. Runs on the demo machine, so that
//! nothing of this one matters.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// Far more than any step needs, even on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    /// Nobody reads what the program writes.
    is_asleep: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl Session {
    fn start(arguments: &[&str]) -> Session {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.arg("--demo");
        command.arg("--data-dir");
        command.arg(folder.path());
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "en_US.UTF-8");
        command.env("RUST_BACKTRACE", "0");
        command.env("HOME", folder.path());
        command.env("XDG_CONFIG_HOME", folder.path());
        command.env("XDG_RUNTIME_DIR", folder.path());
        let child = pair.slave.spawn_command(command).unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(nonzero(24), nonzero(80), 0),
            bytes: Vec::new(),
        }));
        let is_asleep = Arc::new(AtomicBool::new(false));
        let mut output = pair.master.try_clone_reader().unwrap();
        let (theirs, sleeps) = (Arc::clone(&seen), Arc::clone(&is_asleep));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let mut seen = theirs.lock().unwrap();
                seen.screen.process(&buffer[..count]);
                seen.bytes.extend_from_slice(&buffer[..count]);
                drop(seen);
                while sleeps.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Session { child, master: pair.master, keys, seen, is_asleep, _folder: folder }
    }

    /// Started, and its first picture is there.
    fn painted(arguments: &[&str]) -> Session {
        let session = Session::start(arguments);
        session.wait_for_picture();
        session
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn screen<T>(&self, look: impl Fn(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().screen.screen())
    }

    #[track_caller]
    fn wait_for(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let begun = Instant::now();
        while !self.screen(&is_so) {
            let contents = self.screen(vt100::Screen::contents);
            assert!(begun.elapsed() < PATIENCE, "no {what} on this screen:\n{contents}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The dashboard is there.
    #[track_caller]
    fn wait_for_picture(&self) {
        self.wait_for("picture", |screen| {
            screen.alternate_screen() && screen.contents().contains("memory")
        });
    }

    #[track_caller]
    fn wait_for_text(&self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    fn resize(&self, rows: u16, cols: u16) {
        // Held over both: a picture for the new size must not be read at the old.
        let mut seen = self.seen.lock().unwrap();
        seen.screen.screen_mut().set_size(nonzero(rows), nonzero(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.process_id().unwrap().try_into().unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    #[track_caller]
    fn wait_for_end(&mut self) -> portable_pty::ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn echoes(&self) -> bool {
        let modes = self.master.get_termios().unwrap().local_flags.bits();
        let wanted = libc::ECHO | libc::ICANON | libc::ISIG;
        modes & wanted == wanted
    }

    /// Main screen, cursor shown, echo on, no modes left behind.
    #[track_caller]
    fn assert_restored(&self) {
        self.wait_for("main screen", |screen| !screen.alternate_screen());
        self.wait_for("cursor", |screen| !screen.hide_cursor());
        assert!(!self.screen(vt100::Screen::bracketed_paste), "bracketed paste is left on");
        assert!(self.echoes(), "the terminal does not echo");
        let bytes = self.seen.lock().unwrap().bytes.clone();
        let text = String::from_utf8_lossy(&bytes);
        let last = |mode: &str| text.rfind(mode);
        assert!(last("\u{1b}[?1004l") > last("\u{1b}[?1004h"), "focus reports are left on");
    }
}

fn nonzero(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).unwrap()
}

impl Drop for Session {
    fn drop(&mut self) {
        self.is_asleep.store(false, Ordering::Relaxed);
        // Already ended in most tests; a failed one leaves nothing behind.
        let _ended = self.child.kill();
    }
}

/// The answer comes late, among keys, and parted: as over a slow line.
#[test]
fn a_light_terminal_is_told_apart_and_no_key_is_lost_by_it() {
    let mut session = Session::painted(&[]);
    let asked =
        session.seen.lock().unwrap().bytes.windows(8).any(|seen| seen == b"\x1b]11;?\x1b\\");
    assert!(asked, "the terminal was asked for its background");
    let ink = |screen: &vt100::Screen| screen.cell(0, 3).map(vt100::Cell::fgcolor);
    let on_dark = session.screen(ink);
    session.press("2\x1b]11;rgb:ffff/ff");
    session.wait_for_text("more installed");
    session.press("ff/ffff\x1b\\4");
    session.wait_for("other colours", |screen| ink(screen) != on_dark);
    session.wait_for_text("events 1");
    let is_typing = session.screen(|screen| screen.contents().contains("ffff"));
    assert!(!is_typing, "nothing of the answer was taken for keys");
}

#[test]
fn q_quits_and_the_terminal_is_as_it_was() {
    let mut session = Session::painted(&[]);
    assert!(!session.echoes(), "keys are read one by one");
    session.press("q");
    assert!(session.wait_for_end().success());
    session.assert_restored();
}

#[test]
fn keys_open_pages_and_dialogs() {
    let mut session = Session::painted(&[]);
    session.press("?");
    session.wait_for_text("unloads every model");
    session.press("?");
    session.wait_for_picture();
    session.press("c");
    session.wait_for_text("aggressive");
    session.press("\u{1b}");
    // A key right behind Esc would be read as one with Alt.
    session.wait_for("closed dialog", |screen| !screen.contents().contains("aggressive"));
    session.press(":");
    session.press("even");
    session.press("\r");
    session.press("q");
    assert!(session.wait_for_end().success());
    session.assert_restored();
}

#[test]
fn ctrl_c_is_a_key_that_quits() {
    let mut session = Session::painted(&[]);
    session.press("\u{3}");
    assert!(session.wait_for_end().success());
    session.assert_restored();
}

#[test]
fn a_storm_of_sizes_down_to_one_cell_ends_well() {
    let mut session = Session::painted(&[]);
    for step in 0..60u16 {
        session.resize(1 + step * 7 % 60, 1 + step * 31 % 200);
        std::thread::sleep(Duration::from_millis(2));
    }
    session.resize(1, 1);
    std::thread::sleep(Duration::from_millis(100));
    session.resize(24, 80);
    session.wait_for_picture();
    session.press("q");
    assert!(session.wait_for_end().success());
    session.assert_restored();
}

#[test]
fn signals_that_end_it_leave_the_terminal_as_it_was() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut session = Session::painted(&[]);
        session.signal(signal);
        session.wait_for_end();
        session.assert_restored();
    }
}

#[test]
fn a_stop_gives_the_terminal_back_and_going_on_paints_again() {
    let mut session = Session::painted(&[]);
    for by_key in [true, false] {
        if by_key {
            session.press("\u{1a}");
        } else {
            session.signal(Signal::TSTP);
        }
        wait_for_stop(&session);
        session.assert_restored();
        session.signal(Signal::CONT);
        session.wait_for_picture();
        assert!(!session.echoes());
    }
    session.press("q");
    assert!(session.wait_for_end().success());
    session.assert_restored();
}

#[track_caller]
fn wait_for_stop(session: &Session) {
    let begun = Instant::now();
    let options = WaitOptions::UNTRACED | WaitOptions::NOHANG;
    while !waitpid(Some(session.pid()), options).unwrap().is_some_and(|(_, s)| s.stopped()) {
        assert!(begun.elapsed() < PATIENCE, "it does not stop");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_terminal_that_nobody_reads_does_not_keep_it_from_ending() {
    let mut session = Session::painted(&[]);
    session.is_asleep.store(true, Ordering::Relaxed);
    // Pictures of some 30 KB each: more than any terminal holds unread.
    for step in 0..40 {
        session.resize(90 + step % 2, 300);
        std::thread::sleep(Duration::from_millis(50));
    }
    let begun = Instant::now();
    session.signal(Signal::TERM);
    session.wait_for_end();
    assert!(begun.elapsed() < Duration::from_secs(2), "took {:?}", begun.elapsed());
    assert!(session.echoes(), "the line mode belongs to the shell behind it");
}

#[test]
#[cfg(debug_assertions)]
fn a_panic_leaves_the_terminal_as_it_was_and_its_message_readable() {
    let mut session = Session::start(&["--panic-after", "300"]);
    assert!(!session.wait_for_end().success());
    session.wait_for_text("asked to, by --panic-after");
    session.assert_restored();
    let bytes = session.seen.lock().unwrap().bytes.clone();
    assert!(String::from_utf8_lossy(&bytes).contains("\u{1b}[?1049h"), "it had begun to draw");
}
