//! Containers, over the Docker Engine API on a unix socket; Podman serves the
//! same calls. The socket is used where it is there and open to this user, and
//! never asked for: whoever may use it is as good as root.
//!
//! The calls: `GET /containers/ID/json` and `…/stats`; `POST …/pause`,
//! `…/unpause`, `…/stop`, `…/restart`, `…/update`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::web;
use crate::domain::text::{clean, clean_bytes};
use crate::domain::{Bytes, Deed};

/// What a container gets between TERM and KILL; engines' own default.
const STOP_GRACE: u64 = 10;

/// An engine answers within milliseconds, and a stop after its grace at most.
const PATIENCE: Duration = Duration::from_secs(15);

/// A look may take this part of it, so that another engine has its turn.
const LOOK_PART: u32 = 3;

/// The largest answer taken; that of `json` has some tens of KiB.
const MOST_ANSWER: usize = 1 << 20;

/// A limit stays above the use by a tenth, since it kills once it is met.
const ROOM_TENTHS: u64 = 11;

/// No limit at all. Zero would mean "leave it" and −1 is refused, so it is the
/// most a signed number of 4 KiB pages can hold, which kernels take for none.
const NO_LIMIT: i64 = i64::MAX - 4095;

#[derive(Debug, thiserror::Error)]
pub enum ContainerFault {
    #[error("`{}` is no container's id", clean(.0))]
    NotAnId(String),
    #[error("plimsoll itself runs in this container")]
    Own,
    #[error("no container engine listens here (looked for {})", paths(.0))]
    NoEngine(Vec<PathBuf>),
    #[error("the container engine at {} may not be used by this user", .0.display())]
    Forbidden(PathBuf),
    #[error("the container engine at {} has not answered within {:.1} s", .0.display(), .1.as_secs_f32())]
    Hangs(PathBuf, Duration),
    #[error("the container engine at {} cannot be asked: {cause}", path.display())]
    Unusable { path: PathBuf, cause: String },
    #[error("the container is gone")]
    Gone,
    #[error("the container is not running")]
    NotRunning,
    #[error("the container is paused already")]
    PausedAlready,
    #[error("the container engine refuses ({status}){}", .said.as_ref().map(|said| format!(": {said}")).unwrap_or_default())]
    Refused { status: u16, said: Option<String> },
    #[error("an answer of the container engine that is not what was asked for: {0}")]
    Rubbish(String),
    #[error("its use cannot be read, so no limit is set")]
    UseUnknown,
    #[error("{to} is too near what it uses ({used}): a limit below {least} could kill in it")]
    TooTight { to: Bytes, used: Bytes, least: Bytes },
    #[error("a container cannot be told to {0}")]
    NotForContainers(&'static str),
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}

/// Where engines of this machine listen, as a variable's reader tells:
/// `DOCKER_HOST` where it is a unix socket, Docker's own places, Podman's.
pub fn usual_sockets(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let host = variable("DOCKER_HOST").and_then(|host| host.into_string().ok());
    let named = host.and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
    let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = own.filter(|folder| folder.is_absolute());
    let mut sockets: Vec<PathBuf> = named.into_iter().collect();
    sockets.push("/var/run/docker.sock".into());
    sockets.extend(own.as_ref().map(|folder| folder.join("docker.sock")));
    sockets.push("/run/podman/podman.sock".into());
    sockets.extend(own.map(|folder| folder.join("podman/podman.sock")));
    let mut seen = Vec::new();
    sockets.retain(|path| {
        let is_new = !seen.contains(path);
        seen.push(path.clone());
        is_new
    });
    sockets
}

/// A container's groups have its id in their path, unless they are hidden from
/// it; and an engine mounts the host's name from a folder of that id.
fn own_container(groups: &str, mounts: &str) -> String {
    let of_name = |line: &&str| line.split(' ').nth(4) == Some("/etc/hostname");
    let mounted = mounts.lines().filter(of_name);
    groups.lines().chain(mounted).collect::<Vec<_>>().join("\n")
}

/// The engines that may have a container.
#[derive(Debug, Clone)]
pub struct Containers {
    /// Asked in this order; the first that knows the container does the deed.
    pub sockets: Vec<PathBuf>,
    /// For one deed, whatever it takes.
    pub patience: Duration,
    /// Text in which the id of a container stands, if plimsoll runs in it.
    pub own: String,
}

impl Containers {
    pub fn of_this_machine() -> Self {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let own = own_container(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        Containers {
            sockets: usual_sockets(|name| std::env::var_os(name)),
            patience: PATIENCE,
            own,
        }
    }

    /// Does it, and answers with what is worth saying beside "done".
    pub async fn carry_out(&self, id: &str, deed: &Deed) -> Result<Option<String>, ContainerFault> {
        // It becomes part of an address.
        if !(12..=64).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ContainerFault::NotAnId(id.to_owned()));
        }
        if self.own.contains(id) {
            return Err(ContainerFault::Own);
        }
        let (engine, inspected) = self.find(id).await?;
        let container = Found { engine, id, inspected };
        match deed {
            Deed::Pause => container.pause().await,
            Deed::Resume => container.resume().await,
            Deed::Limit { to } => container.limit(*to).await,
            Deed::Unlimit { to } => container.unlimit(*to).await,
            Deed::Restart => container.end("restart").await,
            Deed::Stop => container.end("stop").await,
            _ => Err(ContainerFault::NotForContainers(deed.verb())),
        }
    }

    /// The engine that has it. One that is away or shut matters only if no
    /// other has the container.
    async fn find(&self, id: &str) -> Result<(Engine, Inspected), ContainerFault> {
        let mut worst = None;
        let limits =
            TimeLimits { look: self.patience / LOOK_PART, until: Instant::now() + self.patience };
        for path in &self.sockets {
            let inspected = match Engine::at(path, limits) {
                Ok(engine) => engine.inspect(id).await.map(|inspected| (engine, inspected)),
                Err(fault) => Err(fault),
            };
            match inspected {
                Ok(found) => return Ok(found),
                Err(ContainerFault::NoEngine(_)) => {}
                // Another engine's fault says more than that this one lacks it.
                Err(ContainerFault::Gone) => worst = worst.or(Some(ContainerFault::Gone)),
                Err(fault) => worst = Some(fault),
            }
        }
        Err(worst.unwrap_or_else(|| ContainerFault::NoEngine(self.sockets.clone())))
    }
}

/// What is used of `…/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    state: State,
    host_config: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    #[serde(default)]
    paused: bool,
}

/// Zero: not set. Swap counts memory as well; −1 is without limit.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Limits {
    memory: i64,
    memory_swap: i64,
}

impl Limits {
    /// The swap limit to send with a limit on memory: it may swap as much as
    /// before, so taking a limit back leaves nothing changed.
    fn swap_with(&self, memory: i64) -> i64 {
        let (old, swap) = (self.memory, self.memory_swap);
        if old > 0 && swap >= old { memory.saturating_add(swap - old).min(NO_LIMIT) } else { -1 }
    }
}

/// A container and the engine that has it.
struct Found<'a> {
    engine: Engine,
    id: &'a str,
    inspected: Inspected,
}

impl Found<'_> {
    async fn pause(&self) -> Result<Option<String>, ContainerFault> {
        let state = &self.inspected.state;
        if state.paused {
            // Somebody else's pause is not ours to take back later.
            return Err(ContainerFault::PausedAlready);
        }
        self.running()?;
        self.order("pause").await
    }

    async fn resume(&self) -> Result<Option<String>, ContainerFault> {
        if !self.inspected.state.paused {
            return Ok(Some("it was not paused".to_owned()));
        }
        self.order("unpause").await
    }

    /// A paused one cannot obey, and is let go on first.
    async fn end(&self, how: &str) -> Result<Option<String>, ContainerFault> {
        if self.inspected.state.paused {
            self.order("unpause").await?;
        }
        self.order(&format!("{how}?t={STOP_GRACE}")).await
    }

    async fn limit(&self, to: Bytes) -> Result<Option<String>, ContainerFault> {
        self.running()?;
        self.check_room(to).await?;
        self.update(i64::try_from(to.get()).unwrap_or(NO_LIMIT).min(NO_LIMIT)).await
    }

    async fn unlimit(&self, to: Option<Bytes>) -> Result<Option<String>, ContainerFault> {
        let memory = to.and_then(|to| i64::try_from(to.get()).ok()).unwrap_or(NO_LIMIT);
        let memory = memory.min(NO_LIMIT);
        let now = self.inspected.host_config.memory;
        // Lower than now: somebody has raised it meanwhile.
        if now <= 0 || memory < now {
            let Some(to) = to else { return Ok(Some("it had no limit".to_owned())) };
            self.check_room(to).await?;
        }
        self.update(memory).await
    }

    fn running(&self) -> Result<(), ContainerFault> {
        self.inspected.state.running.then_some(()).ok_or(ContainerFault::NotRunning)
    }

    async fn check_room(&self, to: Bytes) -> Result<(), ContainerFault> {
        let used = self.engine.used(self.id).await?.ok_or(ContainerFault::UseUnknown)?;
        let least = Bytes::new(used.get().saturating_mul(ROOM_TENTHS).div_ceil(10));
        if to < least {
            return Err(ContainerFault::TooTight { to, used, least });
        }
        Ok(())
    }

    async fn update(&self, memory: i64) -> Result<Option<String>, ContainerFault> {
        // Engines refuse one without the other.
        let swap = self.inspected.host_config.swap_with(memory);
        let limits = json!({ "Memory": memory, "MemorySwap": swap });
        self.engine.post(&format!("/containers/{}/update", self.id), Some(&limits)).await
    }

    async fn order(&self, order: &str) -> Result<Option<String>, ContainerFault> {
        self.engine.post(&format!("/containers/{}/{order}", self.id), None).await
    }
}

#[derive(Debug, Clone, Copy)]
struct TimeLimits {
    /// For a question.
    look: Duration,
    /// For all of it.
    until: Instant,
}

/// One engine behind its socket.
struct Engine {
    path: PathBuf,
    client: Client,
    limits: TimeLimits,
}

impl Engine {
    fn at(path: &Path, limits: TimeLimits) -> Result<Engine, ContainerFault> {
        if let Err(error) = std::fs::metadata(path) {
            return Err(match error.kind() {
                io::ErrorKind::PermissionDenied => ContainerFault::Forbidden(path.to_owned()),
                _ => ContainerFault::NoEngine(vec![path.to_owned()]),
            });
        }
        let shape = Client::builder().unix_socket(path.to_owned());
        let client = web::client(shape, false).map_err(|error| ContainerFault::Unusable {
            path: path.to_owned(),
            cause: web::cause_of(&error),
        })?;
        Ok(Engine { path: path.to_owned(), client, limits })
    }

    async fn inspect(&self, id: &str) -> Result<Inspected, ContainerFault> {
        let body = self.get(&format!("/containers/{id}/json")).await?;
        read(&body)
    }

    /// As the engine's own tools show it: less the file cache that is not in
    /// use. `None`: it does not tell.
    async fn used(&self, id: &str) -> Result<Option<Bytes>, ContainerFault> {
        let call = format!("/containers/{id}/stats?stream=false&one-shot=true");
        let told: Value = read(&self.get(&call).await?)?;
        let memory = &told["memory_stats"];
        let Some(usage) = memory["usage"].as_u64().filter(|usage| *usage > 0) else {
            return Ok(None);
        };
        let stats = &memory["stats"];
        let cache = stats["total_inactive_file"].as_u64().or(stats["inactive_file"].as_u64());
        Ok(Some(Bytes::new(usage - cache.filter(|cache| *cache < usage).unwrap_or(0))))
    }

    async fn get(&self, call: &str) -> Result<Vec<u8>, ContainerFault> {
        let left = self.left().min(self.limits.look);
        match self.ask(self.client.get(address(call)), left).await {
            Err(ContainerFault::Refused { status: 404, .. }) => Err(ContainerFault::Gone),
            answered => answered.map(|(_, body)| body),
        }
    }

    async fn post(
        &self,
        call: &str,
        body: Option<&Value>,
    ) -> Result<Option<String>, ContainerFault> {
        let mut request = self.client.post(address(call));
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, body) = self.ask(request, self.left()).await.map_err(gone_meanwhile)?;
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Some("it was so already".to_owned()));
        }
        Ok(warnings(&body))
    }

    async fn ask(
        &self,
        request: reqwest::RequestBuilder,
        limit: Duration,
    ) -> Result<(StatusCode, Vec<u8>), ContainerFault> {
        let asked = async {
            let answer: Response = request.send().await?;
            let status = answer.status();
            Ok((status, web::beginning(answer, MOST_ANSWER).await?))
        };
        let answered = tokio::time::timeout(limit, asked).await;
        let hangs = || ContainerFault::Hangs(self.path.clone(), limit);
        let (status, body) =
            answered.map_err(|_| hangs())?.map_err(|error| self.fault_of(&error))?;
        match status {
            _ if status.is_success() || status == StatusCode::NOT_MODIFIED => Ok((status, body)),
            _ => Err(ContainerFault::Refused { status: status.as_u16(), said: said(&body) }),
        }
    }

    fn left(&self) -> Duration {
        self.limits.until.saturating_duration_since(Instant::now())
    }

    fn fault_of(&self, error: &reqwest::Error) -> ContainerFault {
        let path = self.path.clone();
        match web::io_kind(error) {
            Some(io::ErrorKind::PermissionDenied) => ContainerFault::Forbidden(path),
            // Its socket is left over.
            Some(io::ErrorKind::ConnectionRefused) => ContainerFault::NoEngine(vec![path]),
            _ => ContainerFault::Unusable { path, cause: web::cause_of(error) },
        }
    }
}

/// It was there a moment ago, so not found may as well mean that the engine
/// does not know the order.
fn gone_meanwhile(fault: ContainerFault) -> ContainerFault {
    match fault {
        ContainerFault::Refused { status: 404, said: Some(said) }
            if said.to_ascii_lowercase().contains("no such container") =>
        {
            ContainerFault::Gone
        }
        other => other,
    }
}

/// The host's name means nothing on a socket, and must be there.
fn address(call: &str) -> String {
    format!("http://localhost{call}")
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, ContainerFault> {
    serde_json::from_slice(body).map_err(|error| ContainerFault::Rubbish(clean(&error.to_string())))
}

/// `{"message": …}`, or the text as it is.
fn said(body: &[u8]) -> Option<String> {
    let told = serde_json::from_slice::<Value>(body).ok();
    let message = told.as_ref().and_then(|told| told["message"].as_str()).map(clean);
    message.or_else(|| Some(clean_bytes(body))).filter(|said| !said.is_empty())
}

/// `{"Warnings": […]}`
fn warnings(body: &[u8]) -> Option<String> {
    let told = serde_json::from_slice::<Value>(body).ok()?;
    let warnings = told["Warnings"].as_array()?.iter().filter_map(Value::as_str).map(clean);
    let warnings = warnings.collect::<Vec<_>>().join("; ");
    (!warnings.is_empty()).then_some(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(variables: &[(&str, &str)]) -> Vec<String> {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        usual_sockets(read).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn sockets_are_tried_in_order_and_only_local_ones() {
        let system = ["/var/run/docker.sock", "/run/podman/podman.sock"];
        assert_eq!(sockets(&[]), system);
        assert_eq!(sockets(&[("DOCKER_HOST", "tcp://10.0.0.1:2375")]), system);
        assert_eq!(sockets(&[("DOCKER_HOST", "unix:///var/run/docker.sock")]), system);
        assert_eq!(
            sockets(&[("DOCKER_HOST", "unix:///a b/x.sock"), ("XDG_RUNTIME_DIR", "/run/user/7")]),
            [
                "/a b/x.sock",
                "/var/run/docker.sock",
                "/run/user/7/docker.sock",
                "/run/podman/podman.sock",
                "/run/user/7/podman/podman.sock",
            ]
        );
    }

    #[test]
    fn our_own_container_is_known_and_that_of_others_is_not() {
        let [own, other] = ["a".repeat(64), "b".repeat(64)];
        let mounts = format!(
            "62 1 8:1 /var/lib/docker/containers/{own}/hostname /etc/hostname rw - ext4 x rw\n\
             63 1 0:9 / /var/lib/docker/containers/{other}/mounts/shm rw - tmpfs shm rw"
        );
        let told = own_container("0::/\n", &mounts);
        assert!(told.contains(&own) && !told.contains(&other));
        assert!(own_container(&format!("4:memory:/docker/{own}\n"), "").contains(&own));
    }

    #[test]
    fn a_limit_and_back_leaves_the_swap_it_may_use_as_it_was() {
        let limits = |memory, memory_swap| Limits { memory, memory_swap };
        for (old, swap) in [(100, 100), (100, 150), (100, 100_000)] {
            let limited = limits(40, limits(old, swap).swap_with(40));
            assert_eq!(limited.memory_swap, 40 + swap - old);
            assert_eq!(limited.swap_with(old), swap);
        }
        for unlimited in [limits(0, 0), limits(0, -1), limits(100, -1), limits(NO_LIMIT, -1)] {
            assert_eq!(unlimited.swap_with(40), -1);
        }
        assert_eq!(limits(100, 150).swap_with(NO_LIMIT), NO_LIMIT);
        assert_eq!(NO_LIMIT % 4096, 0);
    }
}
