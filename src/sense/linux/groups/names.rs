//! Names of containers: only their engine knows them, and tells them over its
//! socket.
//!
//! One question, `GET /containers/json`, which changes nothing; Docker and
//! Podman answer it alike. Where no engine answers, or none may be asked, a
//! container goes by its short id. Answers come in time or not at all, since
//! samples wait for them: sensors block, so the client of `act`, which needs a
//! loop of tasks, is no help here.

mod answer;

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Deserialize;

use crate::domain::group::short_id;
use crate::domain::text::clean;
use crate::domain::time::Monotonic;

/// For all engines together. A daemon that is up answers in a few.
const PATIENCE: Duration = Duration::from_millis(300);
/// Names can change; seldom.
const ASK_AGAIN: Duration = Duration::from_secs(60);

const QUESTION: &[u8] = b"GET /containers/json HTTP/1.1\r\nHost: localhost\r\n\
    Accept: application/json\r\nConnection: close\r\n\r\n";

#[derive(Debug)]
pub struct ContainerNames {
    sockets: Vec<PathBuf>,
    /// By id; `None` where no engine told one.
    names: HashMap<String, Option<String>>,
    asked_at: Option<Monotonic>,
}

impl ContainerNames {
    pub fn new(root: &Path, uid: u32) -> Self {
        let sockets = [
            "var/run/docker.sock".to_owned(),
            format!("run/user/{uid}/docker.sock"),
            "run/podman/podman.sock".to_owned(),
            format!("run/user/{uid}/podman/podman.sock"),
        ];
        ContainerNames {
            sockets: sockets.iter().map(|socket| root.join(socket)).collect(),
            names: HashMap::new(),
            asked_at: None,
        }
    }

    /// Asks where one of them is new, or some time has passed.
    pub fn learn(&mut self, ids: &[&str], now: Monotonic) {
        self.names.retain(|id, _| ids.contains(&id.as_str()));
        let is_old = self.asked_at.is_none_or(|at| now.since(at) >= ASK_AGAIN);
        let is_new = ids.iter().any(|id| !self.names.contains_key(*id));
        if ids.is_empty() || !(is_old || is_new) {
            return;
        }
        self.asked_at = Some(now);
        let until = Instant::now() + PATIENCE;
        for socket in &self.sockets {
            for listed in ask(socket, until).unwrap_or_default() {
                if ids.contains(&listed.id.as_str()) {
                    let name = listed.name();
                    self.names.insert(listed.id, name);
                }
            }
        }
        for id in ids {
            self.names.entry((*id).to_owned()).or_default();
        }
    }

    pub fn of(&self, id: &str) -> String {
        let name = self.names.get(id).and_then(Option::as_deref);
        name.unwrap_or_else(|| short_id(id)).to_owned()
    }
}

/// A container in an engine's list.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Names", default)]
    names: Option<Vec<String>>,
}

impl Listed {
    /// Its own name; those that others gave it have a path of two.
    fn name(&self) -> Option<String> {
        let names = self.names.as_deref().unwrap_or_default();
        let plain = |name: &&String| !name.trim_start_matches('/').contains('/');
        let name = names.iter().find(plain)?;
        Some(clean(name.trim_start_matches('/'))).filter(|name| !name.is_empty())
    }
}

fn ask(socket: &Path, until: Instant) -> io::Result<Vec<Listed>> {
    let mut stream = connect(socket)?;
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(QUESTION)?;
    let mut text = Vec::new();
    let mut piece = [0; 8192];
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        let read = match stream.read(&mut piece) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        text.extend_from_slice(&piece[..read]);
        if let Some(body) = answer::body(&text, read == 0)? {
            return Ok(serde_json::from_slice(&body)?);
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Whether an engine takes a connection; nothing is asked.
pub fn connects(socket: &Path) -> io::Result<()> {
    connect(socket).map(drop)
}

/// Without waiting: a daemon that hangs takes no connections, and a full queue
/// of them would hold up the samples.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let descriptor = rustix::net::socket_with(family, kind, AT_ONCE, None)?;
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&descriptor, true)?;
    rustix::net::connect(&descriptor, &address)?;
    rustix::io::ioctl_fionbio(&descriptor, false)?;
    Ok(UnixStream::from(descriptor))
}

/// Closed in programs that another thread starts meanwhile, where the system
/// can do it in one step.
#[cfg(target_os = "linux")]
const AT_ONCE: SocketFlags = SocketFlags::CLOEXEC;
#[cfg(not(target_os = "linux"))]
const AT_ONCE: SocketFlags = SocketFlags::empty();

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    const ID: &str = "d5213675ecc02d954d77395e46844f2459351251c606e35fae56871977d4716a";

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_millis(seconds * 1000)
    }

    /// An engine that answers so many questions with a text, and counts them.
    fn engine(root: &Path, answers: Vec<String>) -> thread::JoinHandle<usize> {
        let socket = root.join("run/podman/podman.sock");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            let mut asked = 0;
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = [0; 512];
                let length = stream.read(&mut question).unwrap();
                assert!(question[..length].starts_with(b"GET /containers/json HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).unwrap();
                asked += 1;
            }
            asked
        })
    }

    fn whole(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn names_are_asked_for_once_and_again_when_old() {
        let root = tempfile::tempdir().unwrap();
        let list = |name: &str| {
            whole(&format!(r#"[{{"Id":"{ID}","Names":["/web/alias","/{name}"]}},{{"Id":"x"}}]"#))
        };
        let answering = engine(root.path(), vec![list("jelly\\u001bfin"), list("other")]);
        let mut names = ContainerNames::new(root.path(), 1000);
        for seconds in [0, 10, 59] {
            names.learn(&[ID], at(seconds));
            assert_eq!(names.of(ID), "jellyfin");
        }
        names.learn(&[ID], at(60));
        assert_eq!(names.of(ID), "other");
        assert_eq!(answering.join().unwrap(), 2);
    }

    #[test]
    fn without_an_answer_the_short_id_is_the_name() {
        let root = tempfile::tempdir().unwrap();
        let mut names = ContainerNames::new(root.path(), 1000);
        names.learn(&[ID], at(0));
        assert_eq!(names.of(ID), "d5213675ecc0");
        let refused = "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n[]".to_owned();
        let answering = engine(root.path(), vec![refused]);
        names.learn(&[ID], at(60));
        assert_eq!(names.of(ID), "d5213675ecc0");
        assert_eq!(answering.join().unwrap(), 1);
    }

    #[test]
    fn an_engine_that_hangs_holds_nobody_up() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("run/podman/podman.sock");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let _listener = UnixListener::bind(socket).unwrap();
        let mut names = ContainerNames::new(root.path(), 1000);
        let started = Instant::now();
        names.learn(&[ID], at(0));
        let took = started.elapsed();
        assert!(took >= PATIENCE && took < PATIENCE * 5, "{took:?}");
        assert_eq!(names.of(ID), "d5213675ecc0");
    }
}
