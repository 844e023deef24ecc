//! The real engine on this machine, in a thread of its own, and the waiting
//! for what its snapshots show. Nothing here sleeps a fixed time: a test waits
//! until something is so, and fails when it never becomes so.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::BoxFuture;
use plimsoll::act::Order;
use plimsoll::act::signals::{self, Ended};
use plimsoll::domain::model::{ModelState, ModelView};
use plimsoll::domain::plan::Outcome;
use plimsoll::domain::snapshot::{Mode, ProfileView, RuntimeState, Snapshot};
use plimsoll::domain::{Component, Event, EventBody, InForce, ModelName};
use plimsoll::engine::clock::Clock;
use plimsoll::engine::executor::Hands;
use plimsoll::engine::input::{Answered, Hook, Past, Regime, Settings};
use plimsoll::engine::journal::NoJournal;
use plimsoll::engine::link::{Command, Link, Reply};
use plimsoll::engine::{Engine, LocalLink, Parts};
use plimsoll::policy::limits::Profile;
use plimsoll::policy::rules::Rules;
use plimsoll::runtime::Runtime;
use plimsoll::runtime::ollama::{self, HostAddress, Ollama};
use plimsoll::sense::Sensors;
use plimsoll::sense::linux::LinuxSensors;
use tokio::sync::oneshot;

/// Far more than anything here takes on a machine that does other work too.
pub const SOON: Duration = Duration::from_secs(20);

/// Samples come fast, so that the tests do.
const INTERVAL: Duration = Duration::from_millis(200);

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_millis(300);

pub struct Live {
    link: LocalLink,
    waiting: tokio::runtime::Runtime,
    ended: Arc<Mutex<Vec<Ended>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Watches this machine and the server at `url`.
    pub fn watch(url: &str) -> Self {
        let runtime = Ollama::new(HostAddress::parse(url).0, ollama::Settings::default());
        let ended = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (link_sender, link) = std::sync::mpsc::channel();
        let hands = Arc::new(OnlyEnds(Arc::clone(&ended)));
        let thread = std::thread::spawn(move || {
            let sensors = Box::new(LinuxSensors::new("/".into()));
            let settings = settings(&runtime, sensors.as_ref());
            let parts = Parts {
                sensors,
                runtime: Arc::new(runtime),
                journal: Box::new(NoJournal { reason: None }),
                hands,
                clock: Clock::system(),
            };
            one_thread().block_on(async {
                let (engine, link, _) = Engine::new(settings, Past::default(), parts);
                link_sender.send(link).expect("the test waits for it");
                engine.run(stopped).await;
            });
        });
        let link = link.recv().expect("the engine starts");
        Live { link, waiting: one_thread(), ended, stop: Some(stop), thread: Some(thread) }
    }

    pub fn now(&self) -> Arc<Snapshot> {
        self.link.snapshots().borrow().clone()
    }

    /// Waits until a snapshot is as said and hands it back.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        self.within(SOON, what, is_so)
    }

    #[track_caller]
    pub fn within(
        &self,
        limit: Duration,
        what: &str,
        mut is_so: impl FnMut(&Snapshot) -> bool,
    ) -> Arc<Snapshot> {
        let mut snapshots = self.link.snapshots();
        let seen = self.waiting.block_on(async {
            let waited = snapshots.wait_for(|snapshot| is_so(snapshot));
            let seen = tokio::time::timeout(limit, waited).await.ok()?;
            Some(seen.expect("the engine runs").clone())
        });
        let Some(seen) = seen else {
            let now = self.now();
            let models: Vec<_> = now.models.iter().map(|m| (&m.name, &m.state, m.runner)).collect();
            let server = &now.runtimes[0];
            panic!(
                "never happened: {what}\nserver: {server:?}\nmodels: {models:?}\ntold: {:#?}",
                told(&now)
            );
        };
        seen
    }

    #[track_caller]
    pub fn ask(&self, command: Command) -> Reply {
        let answer = self.link.send(command).expect("the engine runs");
        self.waiting
            .block_on(async { tokio::time::timeout(SOON, answer).await })
            .expect("the engine answers")
            .expect("the engine runs")
    }

    #[track_caller]
    pub fn order(&self, command: Command) {
        assert_eq!(self.ask(command), Reply::Accepted);
    }

    /// Waits until a model is listed and joined with its runner.
    #[track_caller]
    pub fn joined(&self, name: &str, pid: u32) -> ModelView {
        let is_joined = |m: &ModelView| m.state == ModelState::Ready && pid_of(m) == Some(pid);
        let seen = self.until("joined", |s| model(s, name).is_some_and(is_joined));
        model(&seen, name).expect("just seen").clone()
    }

    /// Waits for the outcome of what was asked about `subject`.
    #[track_caller]
    pub fn outcome(&self, subject: &str) -> Outcome {
        let what = format!("an outcome for {subject}");
        let seen = self.within(SOON * 2, &what, |s| outcome(s, subject).is_some());
        outcome(&seen, subject).expect("just seen").clone()
    }

    #[track_caller]
    pub fn until_up(&self, limit: Duration) {
        self.within(limit, "the server is up", |s| s.runtimes[0].state == RuntimeState::Up);
    }

    /// Waits until the server is down and hands back what is said of it.
    #[track_caller]
    pub fn until_down(&self) -> plimsoll::domain::RuntimeFault {
        let is_down = |s: &Snapshot| matches!(s.runtimes[0].state, RuntimeState::Down { .. });
        match &self.until("the server is down", is_down).runtimes[0].state {
            RuntimeState::Down { fault } => fault.clone(),
            other => panic!("just seen down, now {other:?}"),
        }
    }

    /// How processes were ended so far.
    pub fn ended(&self) -> Vec<Ended> {
        self.ended.lock().expect("no holder panics").clone()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.expect("the engine ends in peace");
            }
        }
    }
}

pub fn model<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a ModelView> {
    snapshot.model(&ModelName::new(name))
}

pub fn pid_of(model: &ModelView) -> Option<u32> {
    model.runner.map(|runner| runner.pid)
}

/// The row of a process in the tree.
pub fn component(snapshot: &Snapshot, pid: u32) -> Option<&Component> {
    let is_it = |row: &&Component| row.process.is_some_and(|process| process.pid == pid);
    snapshot.components.value.iter().find(is_it)
}

/// The lines of the events, newest last.
pub fn told(snapshot: &Snapshot) -> Vec<String> {
    let line = |body: &EventBody| format!("{}: {}", body.title(), body.text());
    snapshot.events.value.iter().map(|event| line(&event.body)).collect()
}

fn outcome<'a>(snapshot: &'a Snapshot, subject: &str) -> Option<&'a Outcome> {
    snapshot.events.value.iter().rev().find_map(|event| match &event.body {
        EventBody::ActionEnded { outcome, .. } if outcome.action.subject() == subject => {
            Some(&**outcome)
        }
        _ => None,
    })
}

fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Ends processes, and remembers how each ended.
struct OnlyEnds(Arc<Mutex<Vec<Ended>>>);

impl Hands for OnlyEnds {
    fn carry_out(&self, order: Order) -> BoxFuture<'static, Result<Answered, String>> {
        let ended = Arc::clone(&self.0);
        Box::pin(async move {
            let Order::EndProcess(process) = order else {
                return Err(format!("no test asks for {order:?}"));
            };
            let how = signals::end_process(process, GRACE).await.map_err(|f| f.to_string())?;
            ended.lock().expect("no holder panics").push(how);
            Ok(None)
        })
    }

    fn tell(&self, hook: Hook, _: Event, _: InForce) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(async move { Err(format!("no test has a hook: {hook:?}")) })
    }
}

fn settings(runtime: &Ollama, sensors: &dyn Sensors) -> Settings {
    let view = ProfileView { name: "careful".into(), why: "set by the test".into() };
    Settings {
        fit: Default::default(),
        tastes: Default::default(),
        hints: Default::default(),
        version: "test".into(),
        mode: Mode::Live,
        host: sensors.host(),
        own_uid: rustix::process::getuid().as_raw(),
        interval: Some(INTERVAL),
        graph: Duration::from_secs(60),
        regime_for: Arc::new(move |_| Regime {
            profile: view.clone(),
            limits: Profile::Careful.limits(),
            rules: Rules::plain(),
        }),
        components: Vec::new(),
        hooks: Vec::new(),
        may_act: true,
        runtime_kind: runtime.kind(),
        endpoint: runtime.endpoint().clone(),
    }
}
