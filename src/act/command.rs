//! The owner's own commands: their words as the config has them, the program
//! first. No shell is ever asked, so no name can become a line of one; whoever
//! wants a shell names it among the words.
//!
//! What a command is told comes in variables beside those plimsoll itself has:
//!
//! | variable | holds | for |
//! | --- | --- | --- |
//! | `PLIMSOLL_EVENT` | why it runs: `level`, `command`, `load`, `hook` | all |
//! | `PLIMSOLL_LEVEL` | `normal`, `warning`, `critical`, `emergency` | `level`, `hook` |
//! | `PLIMSOLL_COMPONENT` | the component's id, as `process:chrome` | `command`, `load` |
//! | `PLIMSOLL_PID` | the process | `command`, `load` |
//! | `PLIMSOLL_CONTAINER`, `PLIMSOLL_CONTAINER_NAME` | the container's id and name | `command`, `load` |
//! | `PLIMSOLL_UNIT`, `PLIMSOLL_UNIT_MANAGER` | the service, and `user` or `system` | `command`, `load` |
//! | `PLIMSOLL_KIND`, `PLIMSOLL_TITLE`, `PLIMSOLL_TEXT` | the event's kind, and its line in two parts | `hook` |
//! | `PLIMSOLL_SEQ`, `PLIMSOLL_TIME` | its number, and when it was (RFC 3339) | `hook` |
//! | `PLIMSOLL_JSON` | all of it; absent where it is longer than 64 KiB | `hook` |
//!
//! Only those that apply are set. Nothing can be read from the standard input.
//! A program may leave others behind that go on; they must not write to the
//! output they were given, which ends with the command.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::pin::pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{sleep, timeout};

use crate::domain::text;

/// What is kept of an output: enough to say what went wrong.
pub const MOST_OUTPUT: usize = 4096;

/// Between TERM and KILL, once a command's time is up.
const GRACE: Duration = Duration::from_secs(2);

/// How long a killed process is waited for: it may sit in a disk's driver.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a command is looked at: it runs seldom, and its end is no hurry.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A command that babbles is read no faster than this, so that it costs little.
const UNWANTED_PAUSE: Duration = Duration::from_millis(10);

/// What an ended command's output may still take, where one that it left
/// behind holds the other end.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// A command, what it is told, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// The program first.
    pub words: Vec<String>,
    pub variables: Vec<(&'static str, String)>,
    pub limit: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum CommandFault {
    #[error("a command without words")]
    Empty,
    #[error("`{program}` cannot be started")]
    NotStarted {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` {status}{}", after(output))]
    Failed {
        program: String,
        /// `ended with 1`, `was ended by signal 9`
        status: String,
        output: String,
    },
    #[error("`{program}` took longer than {} s and was ended{}", limit.as_secs_f32(), after(output))]
    TooLong { program: String, limit: Duration, output: String },
}

fn after(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

/// Runs it to its end, or ends it, and answers with what it said: the
/// beginning, each line cleaned.
pub async fn run(errand: Errand) -> Result<String, CommandFault> {
    let Errand { words, variables, limit } = errand;
    let Some(program) = words.first().map(|word| text::clean(word)) else {
        return Err(CommandFault::Empty);
    };
    let not_started = |source| CommandFault::NotStarted { program: program.clone(), source };
    // Starting one waits until its program is read, maybe from a slow disk.
    let starting = tokio::task::spawn_blocking(move || start(&words, &variables));
    let started = starting.await.unwrap_or_else(|fault| Err(io::Error::other(fault)));
    let (mut running, output) = started.map_err(not_started)?;
    let reader = Receiver::from_owned_fd(output).map_err(not_started)?;
    let mut output = Output { reader, kept: Vec::new(), is_more: false, is_over: false };
    let is_in_time = timeout(limit, output.gather_until(running.ended())).await.is_ok();
    let status = running.finish().await;
    output.gather_last_words().await;
    let output = output.cleaned();
    match status {
        _ if !is_in_time => Err(CommandFault::TooLong { program, limit, output }),
        Some(status) if status.success() => Ok(output),
        status => Err(CommandFault::Failed { program, status: told(status), output }),
    }
}

fn told(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("ended with {code}"),
        Some((None, Some(signal))) => format!("was ended by signal {signal}"),
        _ => "ended, nobody knows how".to_owned(),
    }
}

fn start(words: &[String], variables: &[(&'static str, String)]) -> io::Result<(Running, OwnedFd)> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (output, input) = io::pipe()?;
    let child = Command::new(OsStr::new(program))
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value.replace('\0', ""))))
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        // Its own group: what it starts can be ended with it, and no key of
        // our terminal reaches it.
        .process_group(0)
        .spawn()?;
    Ok((Running { child, is_reaped: false }, output.into()))
}

/// A started command. It is reaped last of all, so that until then no other
/// process can have its number or its group's.
struct Running {
    child: Child,
    is_reaped: bool,
}

impl Running {
    /// Ends when the command has ended.
    fn ended(&self) -> impl Future<Output = ()> + use<> {
        let pid = self.pid();
        async move {
            while !has_ended(pid) {
                sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Ends the group of a command that has not ended. What an ended one left
    /// behind goes on.
    async fn finish(&mut self) -> Option<ExitStatus> {
        if !has_ended(self.pid()) {
            self.signal_group(Signal::TERM);
            let _ = timeout(GRACE, self.ended()).await;
            self.signal_group(Signal::KILL);
            let _ = timeout(KILL_PATIENCE, self.ended()).await;
        }
        let status = self.child.try_wait().ok().flatten();
        self.is_reaped = status.is_some();
        status
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It may have ended just now, which is what is wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Running {
    /// Nobody waits for it any more: plimsoll ends.
    fn drop(&mut self) {
        if !self.is_reaped && !has_ended(self.pid()) {
            self.signal_group(Signal::KILL);
        }
        let _ = self.child.try_wait();
    }
}

/// Without reaping it. Where that cannot be asked it counts as ended, and
/// nothing more is sent to its number.
fn has_ended(pid: Option<Pid>) -> bool {
    let Some(pid) = pid else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

struct Output {
    reader: Receiver,
    kept: Vec<u8>,
    /// Something was left out.
    is_more: bool,
    is_over: bool,
}

impl Output {
    /// Takes what comes until `end`.
    async fn gather_until(&mut self, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = self.take(), if !self.is_over => {}
            }
        }
    }

    /// Takes what was written before the end and is not yet read.
    async fn gather_last_words(&mut self) {
        let rest = async {
            while !self.is_over {
                self.take().await;
            }
        };
        let _ = timeout(LAST_WORDS, rest).await;
    }

    /// A command that is not read would stop at a full pipe, so what is beyond
    /// the bound is read as well, slowly.
    async fn take(&mut self) {
        let mut buffer = [0; 4096];
        let room = MOST_OUTPUT - self.kept.len();
        if room == 0 {
            sleep(UNWANTED_PAUSE).await;
        }
        match self.reader.read(&mut buffer).await {
            Ok(0) | Err(_) => self.is_over = true,
            Ok(count) => {
                self.is_more |= count > room;
                self.kept.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
    }

    /// Line by line; empty ones go.
    fn cleaned(&self) -> String {
        let whole = String::from_utf8_lossy(&self.kept);
        let lines = whole.lines().map(text::clean).filter(|line| !line.is_empty());
        let mut said = lines.collect::<Vec<_>>().join("\n");
        if self.is_more {
            said.push('…');
        }
        said
    }
}
