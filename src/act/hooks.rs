//! The owner's hooks: a command or an address that is told of events.
//!
//! An address gets one JSON object by POST: `schema_version`, `seq`, `time`,
//! `level`, `hints`, `kind`, `title`, `text`, and in `body` all the event holds. A command gets the same
//! in its environment (see [`super::command`]). Nothing of an event ever
//! becomes a part of an address or of a command's words.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Url};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::command::{self, CommandFault, Errand};
use super::web;
use crate::domain::event::EventBody;
use crate::domain::text::clean;
use crate::domain::{Event, EventKind, HintValues, InForce, Level, Wall};

/// Events that may wait for one hook: one that hangs gathers no more behind
/// it, on a machine that is short of memory. Each hook is told one by one, and
/// none waits for another.
const WAITING: usize = 8;

/// The system takes at most 128 KiB for a variable; a command can do without.
const LONGEST_VARIABLE: usize = 64 * 1024;

/// Of the object a hook is told: raised when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// As much of an answer as is read; none of it is kept.
const MOST_ANSWER: usize = 4096;

/// Whom to tell, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub on_level: bool,
    pub on_action: bool,
    pub to: HookTo,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookTo {
    /// The words of a command, the program first.
    Command(Vec<String>),
    /// Gets the event as JSON by POST.
    Url(String),
}

impl Hook {
    /// Its program, or the server of its address: the rest of one may be a
    /// secret, and a chat's hooks have theirs in the path.
    pub fn name(&self) -> String {
        match &self.to {
            HookTo::Command(words) => clean(words.first().map_or("", String::as_str)),
            HookTo::Url(url) => match Url::parse(url) {
                Ok(url) => clean(&url.origin().ascii_serialization()),
                Err(_) => "an address that cannot be read".to_owned(),
            },
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum HookFault {
    #[error("not told: {WAITING} earlier events wait for it")]
    TooMany,
    #[error(transparent)]
    Command(#[from] CommandFault),
    #[error("the address is not usable; accepted is http:// or https://")]
    Address,
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
    #[error("it answers {0}")]
    Status(String),
    #[error("no answer within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
}

/// Tells hooks, each in its own time and in the order of events.
#[derive(Debug, Clone, Default)]
pub struct Teller {
    /// Of the hooks that are being told.
    queues: Arc<Mutex<Vec<Arc<Queue>>>>,
}

#[derive(Debug)]
struct Queue {
    to: HookTo,
    places: Semaphore,
    turn: Semaphore,
}

impl Teller {
    fn queue_of(&self, hook: &HookTo) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| Arc::strong_count(queue) > 1);
        if let Some(queue) = queues.iter().find(|queue| queue.to == *hook) {
            return Arc::clone(queue);
        }
        let places = Semaphore::new(1 + WAITING);
        let queue = Arc::new(Queue { to: hook.clone(), places, turn: Semaphore::new(1) });
        queues.push(Arc::clone(&queue));
        queue
    }

    /// Answers with what a command said, or an address's status line. Where too
    /// many wait already the hook is not told, and the fault says so.
    pub async fn tell(
        &self,
        hook: Hook,
        event: Event,
        now: impl Into<InForce>,
    ) -> Result<String, HookFault> {
        let now = now.into();
        let queue = self.queue_of(&hook.to);
        let _place = queue.places.try_acquire().map_err(|_| HookFault::TooMany)?;
        let _turn = queue.turn.acquire().await.map_err(|_| HookFault::TooMany)?;
        let told = Told::new(&event, &now);
        match hook.to {
            HookTo::Command(words) => {
                let variables = told.variables();
                Ok(command::run(Errand { words, variables, limit: hook.timeout }).await?)
            }
            HookTo::Url(url) => {
                let posted = post(&url, &told);
                let answered = tokio::time::timeout(hook.timeout, posted).await;
                answered.unwrap_or(Err(HookFault::NoAnswer(hook.timeout)))
            }
        }
    }
}

/// What a hook is told.
#[derive(Debug, Serialize)]
struct Told<'a> {
    schema_version: u32,
    seq: u64,
    time: Wall,
    level: Level,
    /// What other programs are told at that level.
    hints: &'a HintValues,
    kind: EventKind,
    title: String,
    text: String,
    body: &'a EventBody,
}

impl<'a> Told<'a> {
    fn new(event: &'a Event, now: &'a InForce) -> Self {
        let body = &event.body;
        let (kind, title, text) = (body.kind(), body.title(), body.text());
        let (level, hints) = (now.level, &*now.hints);
        let schema_version = SCHEMA_VERSION;
        let (seq, time) = (event.seq, event.time);
        Told { schema_version, seq, time, level, hints, kind, title, text, body }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PLIMSOLL_EVENT", "hook".to_owned()),
            ("PLIMSOLL_LEVEL", self.level.word().to_owned()),
            ("PLIMSOLL_KIND", self.kind.id().to_owned()),
            ("PLIMSOLL_TITLE", self.title.clone()),
            ("PLIMSOLL_TEXT", self.text.clone()),
            ("PLIMSOLL_SEQ", self.seq.to_string()),
            ("PLIMSOLL_TIME", self.time.to_string()),
        ];
        let json = serde_json::to_string(self).ok();
        let json = json.filter(|json| json.len() <= LONGEST_VARIABLE);
        variables.extend(json.map(|json| ("PLIMSOLL_JSON", json)));
        for (_, value) in &mut variables {
            if value.len() > LONGEST_VARIABLE {
                *value = clean(value);
            }
        }
        variables
    }
}

async fn post(url: &str, told: &Told<'_>) -> Result<String, HookFault> {
    let url = Url::parse(url).map_err(|_| HookFault::Address)?;
    let is_tls = url.scheme() == "https";
    if !is_tls && url.scheme() != "http" {
        return Err(HookFault::Address);
    }
    let shape = Client::builder();
    let shape = if is_loopback(&url) { shape.no_proxy() } else { shape };
    let client = tokio::task::spawn_blocking(move || web::client(shape, is_tls)).await;
    let client = client
        .map_err(|fault| HookFault::Client(fault.to_string()))?
        .map_err(|fault| HookFault::Client(web::cause_of(&fault)))?;
    let unreachable = |fault| HookFault::Unreachable(web::cause_of(&fault));
    let answer = client.post(url).json(told).send().await.map_err(unreachable)?;
    let status = answer.status();
    // So that a server may finish its answer before the connection closes.
    let _ = web::beginning(answer, MOST_ANSWER).await;
    match status {
        // It was told; what else it says is for its own people.
        _ if status.is_success() => Ok(String::new()),
        _ if status.is_redirection() => {
            Err(HookFault::Status(format!("{status}: redirects are not followed")))
        }
        _ => Err(HookFault::Status(status.to_string())),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_named_without_what_may_be_a_secret() {
        let name = |url: &str| {
            let to = HookTo::Url(url.to_owned());
            let timeout = Duration::from_secs(1);
            Hook { on_level: true, on_action: true, to, timeout }.name()
        };
        assert_eq!(
            name("https://me:pw@chat.example:8443/T0/B1/token?k=v"),
            "https://chat.example:8443"
        );
        assert_eq!(name("http://127.0.0.1:9/a@b"), "http://127.0.0.1:9");
        assert_eq!(name("https://[pw"), "an address that cannot be read");
    }

    fn hook(words: &[&str], timeout: Duration) -> Hook {
        let to = HookTo::Command(words.iter().map(|word| word.to_string()).collect());
        Hook { on_level: true, on_action: true, to, timeout }
    }

    fn note(seq: u64) -> Event {
        Event { seq, time: Wall::UNIX_EPOCH, body: EventBody::Note { text: "x".into() } }
    }

    #[tokio::test]
    async fn hooks_that_hang_keep_no_other_from_being_told() {
        let teller = Teller::default();
        let hanging: Vec<_> = (0..40)
            .map(|n| {
                let seconds = if n % 2 == 0 { "100" } else { "101" };
                let hook = hook(&["sleep", seconds], Duration::from_secs(60));
                let teller = teller.clone();
                tokio::spawn(async move { teller.tell(hook, note(n), Level::Normal).await })
            })
            .collect();
        // Those that find no room say so at once.
        while hanging.iter().filter(|task| task.is_finished()).count() < 22 {
            tokio::task::yield_now().await;
        }
        for n in 0..6 {
            let hook = hook(&["echo", &n.to_string()], Duration::from_secs(20));
            let told = teller.tell(hook, note(n), Level::Normal).await;
            assert_eq!(told.unwrap(), n.to_string());
        }
        let refused = hanging.iter().filter(|task| task.is_finished()).count();
        assert_eq!(refused, 22, "each has one that runs and {WAITING} that wait");
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_burst_is_told_one_by_one_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let line = format!("echo $PLIMSOLL_SEQ >> {}", file.display());
        let teller = Teller::default();
        let tell = |seq| {
            let hook = hook(&["sh", "-c", &line], Duration::from_secs(20));
            teller.tell(hook, note(seq), Level::Normal)
        };
        let told = futures_util::future::join_all((0..8).map(tell)).await;
        assert!(told.iter().all(Result::is_ok), "{told:?}");
        let seen = std::fs::read_to_string(file).unwrap();
        assert_eq!(seen, "0\n1\n2\n3\n4\n5\n6\n7\n");
    }

    #[test]
    fn loopback_is_told_from_its_look_alikes() {
        let is = |url: &str| is_loopback(&Url::parse(url).unwrap());
        assert!(is("http://127.0.0.1:9/x") && is("http://[::1]/") && is("http://localhost:8080/"));
        assert!(!is("http://127.0.0.1.example/") && !is("https://localhost.example/"));
    }

    #[test]
    fn an_event_that_is_too_long_for_a_variable_is_told_without_its_json() {
        let time = Wall::UNIX_EPOCH;
        let told = |length: usize| {
            let body = EventBody::Note { text: "x".repeat(length) };
            let event = Event { seq: 7, time, body };
            Told::new(&event, &Level::Warning.into()).variables()
        };
        let has_json = |length| told(length).iter().any(|(name, _)| *name == "PLIMSOLL_JSON");
        assert!(has_json(1000) && !has_json(100_000));
        let longest = told(100_000).iter().map(|(_, value)| value.len()).max();
        assert!(longest.unwrap() < 400, "{longest:?}");
    }
}
