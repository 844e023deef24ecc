//! The log of a guard: one line an event, to stderr or to a file, written by a
//! thread of its own. A disk that is full, a folder that is gone and a pipe
//! that nobody reads hold up nobody.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that may wait for the disk, as for the history.
const MAILBOX: usize = 256;

/// What the last lines get at the end.
const CLOSING: Duration = Duration::from_millis(200);

type Gap = fn(u64) -> String;

enum Message {
    Line(String),
    Reopen,
}

/// The grip on the thread that writes.
pub struct Log {
    mailbox: SyncSender<Message>,
    /// Closed by the thread when it is through.
    done: Receiver<()>,
    gap: Gap,
    /// Lines that found no room.
    lost: u64,
}

impl Log {
    /// To `file`, or to stderr. `gap` makes the line that stands for so many
    /// that are missing.
    pub fn start(file: Option<PathBuf>, gap: Gap) -> io::Result<Log> {
        let (mailbox, messages) = sync_channel(MAILBOX);
        let (through, done) = sync_channel::<()>(1);
        let sink: Box<dyn FnMut(Message) + Send> = match file {
            Some(path) => {
                let mut log = FileLog::new(path, gap);
                log.open();
                Box::new(move |message| log.take(message))
            }
            None => Box::new(|message| {
                if let Message::Line(line) = message {
                    complain(&line);
                }
            }),
        };
        std::thread::Builder::new().name("log".into()).spawn(move || {
            messages.into_iter().for_each(sink);
            drop(through);
        })?;
        Ok(Log { mailbox, done, gap, lost: 0 })
    }

    /// Never waits.
    pub fn line(&mut self, line: String) {
        if self.lost > 0 {
            match self.mailbox.try_send(Message::Line((self.gap)(self.lost))) {
                Ok(()) => self.lost = 0,
                Err(_) => {
                    self.lost += 1;
                    return;
                }
            }
        }
        if let Err(TrySendError::Full(_)) = self.mailbox.try_send(Message::Line(line)) {
            self.lost += 1;
        }
    }

    /// The file is another one now, or is to be made anew.
    pub fn reopen(&self) {
        drop(self.mailbox.try_send(Message::Reopen));
    }

    /// Writes what waits. `false`: not in time.
    pub fn close(self) -> bool {
        let Log { mailbox, done, .. } = self;
        drop(mailbox);
        matches!(done.recv_timeout(CLOSING), Err(RecvTimeoutError::Disconnected))
    }
}

/// To stderr; where nobody reads it, there is nobody to tell.
fn complain(line: &str) {
    writeln!(io::stderr(), "{line}").ok();
}

/// A file that may go, come back and be full.
struct FileLog {
    path: PathBuf,
    gap: Gap,
    file: Option<File>,
    /// It was said that it fails, and not yet that it is well.
    is_failing: bool,
    /// Lines since it fails.
    lost: u64,
    /// The last line was written half.
    is_torn: bool,
}

impl FileLog {
    fn new(path: PathBuf, gap: Gap) -> FileLog {
        FileLog { path, gap, file: None, is_failing: false, lost: 0, is_torn: false }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Reopen => self.open(),
            Message::Line(line) => self.write(&line),
        }
    }

    /// The old file goes on where no new one can be had.
    fn open(&mut self) {
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        match opened {
            Ok(file) => {
                self.file = Some(file);
                self.is_torn = false;
            }
            Err(fault) => self.fail(&fault),
        }
    }

    fn fail(&mut self, fault: &io::Error) {
        if !self.is_failing {
            self.is_failing = true;
            let path = self.path.display();
            complain(&format!(
                "plimsoll: the log {path} takes no lines, the guard goes on: {fault}"
            ));
        }
    }

    fn write(&mut self, line: &str) {
        let is_linked = |file: &File| file.metadata().is_ok_and(|file| file.nlink() > 0);
        if !self.file.as_ref().is_some_and(is_linked) {
            self.file = None;
            self.open();
        }
        let Some(file) = &mut self.file else {
            self.lost += 1;
            return;
        };
        let mut text = String::new();
        if self.is_torn {
            text.push('\n');
        }
        if self.lost > 0 {
            text.push_str(&(self.gap)(self.lost));
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        match file.write_all(text.as_bytes()) {
            Ok(()) => (self.is_failing, self.lost, self.is_torn) = (false, 0, false),
            Err(fault) => {
                self.lost += 1;
                self.is_torn = true;
                self.fail(&fault);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn gap(lines: u64) -> String {
        format!("{lines} missing")
    }

    fn written(log: &mut FileLog, lines: &[&str]) {
        for line in lines {
            log.take(Message::Line((*line).to_owned()));
        }
    }

    #[test]
    fn lines_are_appended_to_a_file_of_its_owner() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("guard.log");
        for line in ["one", "two"] {
            let mut log = Log::start(Some(path.clone()), gap).unwrap();
            log.line(line.to_owned());
            assert!(log.close());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_moved_away_is_written_until_it_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let (path, old) = (temp.path().join("log"), temp.path().join("log.1"));
        let mut log = FileLog::new(path.clone(), gap);
        log.open();
        written(&mut log, &["one"]);
        fs::rename(&path, &old).unwrap();
        written(&mut log, &["two"]);
        log.take(Message::Reopen);
        written(&mut log, &["three"]);
        assert_eq!(fs::read_to_string(old).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_folder_that_vanishes_and_comes_back_leaves_a_told_gap() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("logs");
        let path = folder.join("log");
        fs::create_dir(&folder).unwrap();
        let mut log = FileLog::new(path.clone(), gap);
        written(&mut log, &["one"]);
        fs::remove_dir_all(&folder).unwrap();
        written(&mut log, &["two", "three"]);
        assert!(log.is_failing);
        fs::create_dir(&folder).unwrap();
        written(&mut log, &["four"]);
        assert!(!log.is_failing);
        assert_eq!(fs::read_to_string(path).unwrap(), "2 missing\nfour\n");
    }

    #[test]
    fn a_full_disk_is_said_once_and_stops_nothing() {
        if !std::path::Path::new("/dev/full").exists() {
            return;
        }
        let mut log = FileLog::new("/dev/full".into(), gap);
        written(&mut log, &["one", "two"]);
        assert!(log.is_failing && log.is_torn);
        assert_eq!(log.lost, 2);
    }
}
