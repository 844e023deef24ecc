//! Starts and stops all parts in order. The only place that picks real,
//! replayed or demo edges.

mod errands;
pub mod hands;
mod hints_file;
mod holder;
mod keeper;
pub mod reload;
mod screen;
mod settings;
mod survey;
mod write_back;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, oneshot};

use crate::config::LoadedConfig;
use crate::domain::event::EventBody;
use crate::domain::snapshot::Mode;
use crate::domain::{Bytes, Debt, Moment, SettingDoor, Wall};
use crate::engine::attach::ObservingLink;
use crate::engine::clock::Clock;
use crate::engine::input::{Past, Regime};
use crate::engine::journal::{Journal, NoJournal};
use crate::engine::link::{Attention, Command, Link};
use crate::engine::{Engine, FaultSender, Parts};
use crate::recording::Playback;
use crate::runtime::Runtime;
use crate::runtime::demo::DemoRuntime;
use crate::runtime::ollama::{self, HostAddress, Ollama};
use crate::runtime::replay::ReplayRuntime;
use crate::sense::demo::DemoSensors;
use crate::sense::replay::ReplaySensors;
use crate::sense::{self, Sensors};
use crate::simulation::{Scenario, SharedWorld, World};
use crate::store::{Health, Restored, Retention, Store, StoreError};

use errands::ErrandJournal;
use hints_file::HintsFile;
use holder::{Holding, Role};
use keeper::{Keeper, Kept};
use reload::Reloading;

pub use holder::{NotGuarding, attach, listens_beside, lock_file, system_lock_file};
pub use screen::screen;
pub use settings::{settings, simulated};
pub use survey::survey;
pub use write_back::ConfigDoor;

/// Seconds since 1970 at which the demo begins: the same on each run, so that
/// its pictures are.
const DEMO_START: i64 = 1_768_485_731;

/// The store's bad news that may wait; only the newest counts.
const HEALTH: usize = 8;

/// What the engine and the store get to end in.
const CLOSING: Duration = Duration::from_millis(200);

/// What the notice is about that says that a recording has ended.
pub const RECORDING: &str = "recording";

/// How soon the end of a recording is said.
const END_SEEN: Duration = Duration::from_millis(500);

/// Where the picture comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Source {
    #[default]
    Live,
    Demo,
    Replay(PathBuf),
}

/// The edges a source stands for.
pub struct Edges {
    pub sensors: Box<dyn Sensors>,
    pub runtime: Arc<dyn Runtime>,
    pub clock: Clock,
    pub mode: Mode,
    /// Where samples and reports come from, if not from a machine.
    pub playback: Option<Playback>,
    /// Worth saying once, to a person.
    pub notes: Vec<String>,
}

/// What is asked of an engine that is started.
#[derive(Clone, Copy, Default)]
struct Terms {
    /// It takes the lock or does not start, and nobody looks until somebody
    /// attaches.
    headless: bool,
    /// Sensors are read at least this often.
    at_least_every: Option<Duration>,
    /// It lives for one errand: it tells of that, and not of itself.
    for_errand: bool,
}

/// A grip on a running engine: our own, or that of another plimsoll.
pub struct Running {
    pub link: Arc<dyn Link>,
    /// Where the user's config is changed; a recording has none.
    pub door: Option<Arc<dyn SettingDoor>>,
    /// `None`: it is another's.
    own: Option<Own>,
}

struct Own {
    began: Began,
    reloading: Option<Reloading>,
    hints: Option<HintsFile>,
    keeper: Keeper,
}

/// What an engine of this process began with.
#[derive(Debug, Clone)]
pub struct Began {
    /// For the memory there was.
    pub regime: Regime,
    /// The number of its first event; those before it are of earlier runs.
    pub first_event: u64,
    /// The lock it holds.
    pub lock: Option<PathBuf>,
    /// By which its samples say when they were taken.
    pub clock: Clock,
}

impl Running {
    /// `None`: this process runs no engine.
    pub fn began(&self) -> Option<&Began> {
        self.own.as_ref().map(|own| &own.began)
    }

    /// The engine has ended by itself, and which one that was.
    pub fn ended(&self) -> Option<&'static str> {
        let has_ended = self.link.snapshots().has_changed().is_err();
        has_ended.then(|| match &self.own {
            Some(own) => own.keeper.why_ended().unwrap_or("the engine has ended"),
            None => "the plimsoll that acts on this machine has ended, and this one was attached",
        })
    }

    /// The reading of the config anew, if the engine is ours and follows it.
    pub fn reloading(&self) -> Option<&Reloading> {
        self.own.as_ref()?.reloading.as_ref()
    }

    /// Stops the engine if it is ours; what it decided is on its way to disk.
    pub async fn stop(self) {
        let Some(own) = self.own else { return };
        drop(own.reloading);
        // While the lock is held: after that the file is another's.
        if let Some(hints) = own.hints {
            hints.end().await;
        }
        own.keeper.end().await;
    }
}

/// Picks the edges.
pub fn edges(source: &Source, config: &LoadedConfig) -> Result<Edges> {
    match source {
        Source::Live => Ok(live(config)),
        Source::Demo => Ok(demo()?),
        Source::Replay(file) => replay(file),
    }
}

/// What of a config is worth saying and stops nothing.
pub fn notes(config: &LoadedConfig) -> Vec<String> {
    let (raw, origin) = config.ollama_host();
    let (_, warning) = HostAddress::parse(&raw);
    let warning = warning.map(|warning| format!("{origin}: {warning}"));
    config.notes.iter().cloned().chain(warning).collect()
}

/// The model server of this machine, for who asks it something that no engine
/// does.
pub fn runtime(config: &LoadedConfig) -> Arc<dyn Runtime> {
    let (raw, _) = config.ollama_host();
    let (address, _) = HostAddress::parse(&raw);
    let folders = ollama::model_folders(config.variable("OLLAMA_MODELS"), config.variable("HOME"));
    let settings = ollama::Settings { model_folders: folders, ..ollama::Settings::default() };
    Arc::new(Ollama::new(address, settings))
}

fn live(config: &LoadedConfig) -> Edges {
    Edges {
        sensors: sense::this_machine(),
        runtime: runtime(config),
        clock: Clock::system(),
        playback: None,
        mode: Mode::Live,
        notes: notes(config),
    }
}

fn demo() -> Result<Edges> {
    let start = Wall::from_second(DEMO_START).context("read the demo's start")?;
    let clock = Clock::starting_at(start);
    let world = SharedWorld::new(World::new(Scenario::Story, clock.now()));
    Ok(Edges {
        sensors: Box::new(DemoSensors::new(world.clone())),
        runtime: Arc::new(DemoRuntime::new(world)),
        clock,
        playback: None,
        mode: Mode::Demo,
        notes: Vec::new(),
    })
}

fn replay(file: &std::path::Path) -> Result<Edges> {
    let playback = Playback::open(file, 1.0).with_context(|| format!("play {}", file.display()))?;
    Ok(Edges {
        sensors: Box::new(ReplaySensors::new(playback.clone())),
        runtime: Arc::new(ReplayRuntime::new(playback.clone())),
        // Of its own time, or every model in it would have expired long ago.
        clock: Clock::starting_at(playback.start()),
        playback: Some(playback),
        mode: Mode::Replay,
        notes: Vec::new(),
    })
}

/// Starts an engine, or attaches to the one that acts on this machine already.
/// Must run inside a tokio runtime.
pub async fn start(config: &LoadedConfig, source: &Source) -> Result<Running> {
    start_on(config, source, Terms::default()).await
}

/// Starts an engine that nobody looks at and that holds this machine, or
/// nothing. `at_least_every`: for a single decision, which waits for samples.
pub async fn guard(
    config: &LoadedConfig,
    source: &Source,
    at_least_every: Option<Duration>,
) -> Result<Running> {
    start_on(config, source, Terms { headless: true, at_least_every, ..Terms::default() }).await
}

/// As [`start`], for one errand: what it does is told, and what follows from
/// that, but not that it was there; what other programs are told stays.
pub async fn start_for_errand(config: &LoadedConfig, source: &Source) -> Result<Running> {
    start_on(config, source, Terms { for_errand: true, ..Terms::default() }).await
}

/// Starts an engine that only looks, or attaches to the one that acts on this
/// machine already, if it may. No lock is taken: whoever comes to act is not
/// kept from it.
pub async fn observe(config: &LoadedConfig, source: &Source, may_attach: bool) -> Result<Running> {
    if may_attach && let Ok(link) = attach(config).await {
        return Ok(Running { link: Arc::new(link), door: None, own: None });
    }
    let observes = Some("this one only looks".to_owned());
    start_own((config, source), Holding { observes, ..Holding::default() }, Terms::default())
}

async fn start_on(config: &LoadedConfig, source: &Source, terms: Terms) -> Result<Running> {
    let role = match source {
        Source::Live if terms.headless => Role::Own(holder::guard(config).await?),
        Source::Live => holder::role(config).await,
        // What is not this machine needs no lock.
        Source::Demo | Source::Replay(_) => Role::Own(Holding::default()),
    };
    match role {
        Role::Own(holding) => start_own((config, source), holding, terms),
        Role::Attached(link) => {
            // The holder's own screen may be out of sight.
            attend(&link, Attention::default());
            let total = settings::total_of(&link.snapshots().borrow());
            // Its holder sees by itself that the file was written.
            let door = ConfigDoor::of(config, total, None);
            Ok(Running { link: Arc::new(link), door, own: None })
        }
    }
}

fn attend(link: &dyn Link, attention: Attention) {
    drop(link.send(Command::Attend { attention }));
}

/// Opens the history, puts the engine together and starts it.
fn start_own(
    (config, source): (&LoadedConfig, &Source),
    holding: Holding,
    terms: Terms,
) -> Result<Running> {
    let mut edges = edges(source, config)?;
    let total = settings::total(&mut edges);
    let mut settings = settings::settings_at(config, &edges, total)?;
    settings.may_act = may_act(edges.mode, &holding);
    if edges.mode == Mode::Demo {
        settings.regime_for = settings::asking(config, settings.regime_for);
    }
    if let Some(longest) = terms.at_least_every {
        settings.interval = Some(settings.interval.map_or(longest, |span| span.min(longest)));
    }
    let (health_sender, health) = mpsc::channel(HEALTH);
    let (journal, past, trouble) = match holding.observes {
        None => history(config, edges.mode, edges.clock.now(), health_sender),
        Some(_) => others_history(config, &edges),
    };
    let journal = match terms.for_errand {
        true => Box::new(ErrandJournal::new(journal)) as Box<dyn Journal>,
        false => journal,
    };
    let began = Began {
        regime: (settings.regime_for)(None),
        first_event: past.next_seq.max(1),
        lock: holding.lock.as_ref().map(|lock| lock.path().to_owned()),
        clock: edges.clock,
    };
    let parts = Parts {
        sensors: edges.sensors,
        runtime: edges.runtime,
        journal,
        hands: hands::of(edges.mode),
        clock: edges.clock,
    };
    let (engine, link, faults) = Engine::new(settings, past, parts);
    // Nobody looks; who wants it soon does not wait for the calm pace.
    if terms.headless && terms.at_least_every.is_none() {
        attend(&link, Attention::NONE);
    }
    tell_at_start(&faults, &edges.notes, [("history", trouble), ("engine", holding.note)]);
    // A recording, and a single decision, have the config they began with.
    let follows = edges.playback.is_none() && terms.at_least_every.is_none();
    let reloading = follows.then(|| follow(config, total, &faults)).flatten();
    let poke = reloading.as_ref().map(Reloading::poke);
    // The demo's rules are its own: they change nobody's config.
    let is_real = follows && edges.mode == Mode::Live;
    let door = is_real.then(|| ConfigDoor::of(config, total, poke)).flatten();
    if let Some(playback) = edges.playback {
        tokio::spawn(tell_the_end(playback, faults.clone()));
    }
    tokio::spawn(pass_on_health(health, faults.clone()));
    let holds_machine = edges.mode == Mode::Live && holding.lock.is_some();
    let hints = (holds_machine && !terms.for_errand)
        .then(|| HintsFile::start(link.snapshots(), faults.clone()));
    let kept = Kept::new(holding.lock, holding.socket, (link.clone(), faults));
    let keeper = Keeper::start(kept, engine);
    let link: Arc<dyn Link> = match holding.observes {
        None => Arc::new(link),
        Some(reason) => Arc::new(ObservingLink::new(link, reason)),
    };
    Ok(Running { link, door, own: Some(Own { began, reloading, hints, keeper }) })
}

/// What is to be said as soon as it runs.
fn tell_at_start(
    faults: &FaultSender,
    notes: &[String],
    others: [(&'static str, Option<String>); 2],
) {
    // As one: of what is about the same only the last would be kept.
    let notes = Some(notes.join("; ")).filter(|notes| !notes.is_empty());
    for (about, text) in [("settings", notes)].into_iter().chain(others) {
        if let Some(text) = text {
            faults.tell(about, text);
        }
    }
}

/// An error with its causes.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// As notices, logs and refusals are.
fn on_one_line(text: &str) -> String {
    text.replace('\n', "; ")
}

/// Only who holds this machine acts on it by rule; a demo is nobody's machine.
fn may_act(mode: Mode, holding: &Holding) -> bool {
    match mode {
        Mode::Live => holding.lock.is_some(),
        Mode::Demo => holding.observes.is_none(),
        Mode::Replay => false,
    }
}

/// The config read again when it changes, or a word that it is not.
fn follow(config: &LoadedConfig, total: Bytes, faults: &FaultSender) -> Option<Reloading> {
    let started = reload::start(config.clone(), total, faults.clone());
    started
        .inspect_err(|error| {
            faults.tell("config", format!("changes of the config are not followed: {error}"));
        })
        .ok()
}

/// Another plimsoll writes the history: what it has under way is its own, and
/// what is seen here is on no disk.
fn others_history(config: &LoadedConfig, edges: &Edges) -> History {
    let past = past(config, edges.mode);
    let past = Past { unfinished: Vec::new(), debts: Vec::new(), ..past };
    (Box::new(NoJournal { reason: None }), past, None)
}

/// A recording stands still at its end, which would look like a calm machine.
async fn tell_the_end(playback: Playback, faults: FaultSender) {
    while !playback.has_ended() {
        tokio::time::sleep(END_SEEN).await;
    }
    faults.tell(
        RECORDING,
        match playback.fault() {
            Some(fault) => format!("the recording stops here: {fault}"),
            None => "the recording ends here; what is shown is its last sample".to_owned(),
        },
    );
}

async fn pass_on_health(mut health: mpsc::Receiver<Health>, faults: FaultSender) {
    while let Some(health) = health.recv().await {
        match health {
            Health::Failing(reason) => faults.tell("history", reason),
            Health::Well => faults.withdraw("history"),
        }
    }
}

/// Where events go, what was left of the past, and what is wrong with that.
type History = (Box<dyn Journal>, Past, Option<String>);

/// What earlier runs left, for a look that writes nothing. A history that is
/// not there or cannot be read is an empty one.
pub fn past(config: &LoadedConfig, mode: Mode) -> Past {
    let folder = config.paths.data_dir.as_ref().filter(|_| mode == Mode::Live);
    folder.and_then(|folder| Store::look(folder).ok()).map(past_of).unwrap_or_default()
}

/// The history on disk, or why there is none; the program runs either way.
fn history(
    config: &LoadedConfig,
    mode: Mode,
    now: Moment,
    health: mpsc::Sender<Health>,
) -> History {
    if mode != Mode::Live {
        return (Box::new(NoJournal { reason: None }), Past::default(), None);
    }
    let none = |reason: String| -> History {
        let told = format!("events are kept in memory only: {reason}");
        (Box::new(NoJournal { reason: Some(reason) }), Past::default(), Some(told))
    };
    let Some(folder) = &config.paths.data_dir else {
        return none("there is no home folder to keep them in".into());
    };
    let keep = &config.config.history;
    let bytes = Bytes::mib(u64::from(keep.keep_mib));
    let retention = Retention { days: keep.keep_days, bytes };
    match Store::open(folder, retention, now.wall, health.clone()) {
        Ok((store, restored)) => {
            (Box::new(StoreJournal::new(store, health)), past_of(restored), None)
        }
        Err(error) => none(format!("{:#}", anyhow::Error::from(error))),
    }
}

fn past_of(restored: Restored) -> Past {
    let unfinished = restored
        .unfinished
        .into_iter()
        .filter_map(|(id, event)| match event.body {
            EventBody::ActionStarted { action, by, .. } => Some((id, action, by)),
            _ => None,
        })
        .collect();
    Past {
        events: restored.events,
        next_seq: restored.next_seq,
        next_action: restored.next_action,
        choices: restored.choices,
        debts: restored.debts,
        unfinished,
        loads: restored.loads,
        details: restored.details,
    }
}

/// The store as the engine's journal.
struct StoreJournal {
    store: Option<Store>,
    /// The store's thread tells what the disk refuses. What never reaches that
    /// thread is lost, and is told here.
    health: mpsc::Sender<Health>,
    /// A debt never reached that thread: the action after it must not be done.
    is_debt_lost: Cell<bool>,
}

impl StoreJournal {
    fn new(store: Store, health: mpsc::Sender<Health>) -> Self {
        StoreJournal { store: Some(store), health, is_debt_lost: Cell::new(false) }
    }

    /// False: it was not taken.
    fn hand(&self, give: impl FnOnce(&Store) -> Result<(), StoreError>) -> bool {
        let given = self.store.as_ref().map(give);
        if let Some(Err(error)) = &given {
            drop(self.health.try_send(Health::Failing(error.to_string())));
        }
        given.is_some_and(|given| given.is_ok())
    }
}

impl Journal for StoreJournal {
    fn record(&self, event: crate::domain::Event) {
        self.hand(|store| store.record_event(event));
    }

    fn record_action(
        &self,
        event: crate::domain::Event,
        confirm: oneshot::Sender<Result<(), String>>,
    ) {
        // A full mailbox drops the sender, which the engine hears as a failure.
        if self.is_debt_lost.take() {
            // What cannot be taken back after a restart is not done.
            drop(confirm.send(Err("what it must take back is on no disk".to_owned())));
            self.hand(|store| store.record_event(event));
            return;
        }
        self.hand(|store| store.record_action(event, confirm));
    }

    fn choose(&self, choice: crate::store::Choice) {
        self.hand(|store| store.set_choice(choice));
    }

    fn owe(&self, debt: Debt) {
        let is_taken = self.hand(|store| store.owe(debt));
        self.is_debt_lost.set(self.is_debt_lost.get() || !is_taken);
    }

    fn settle(&self, debt: Debt) {
        self.hand(|store| store.settle(debt));
    }

    fn learn(&self, lesson: crate::store::Lesson) {
        self.hand(|store| store.learn(lesson));
    }

    fn older(
        &self,
        before: u64,
        limit: usize,
        answer: oneshot::Sender<Result<Vec<crate::domain::Event>, String>>,
    ) {
        self.hand(|store| store.older_events(before, limit, answer));
    }

    fn close(&mut self) {
        if let Some(store) = self.store.take() {
            store.close(CLOSING);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Deed, Event, ProcessKey, Target};

    #[tokio::test]
    async fn an_action_whose_debt_is_on_no_disk_is_not_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let retention = Retention { days: 1, bytes: Bytes::mib(1) };
        let (health, _said) = mpsc::channel(HEALTH);
        let now = Wall::UNIX_EPOCH;
        let (store, _) = Store::open(folder.path(), retention, now, health.clone()).unwrap();
        let journal = StoreJournal::new(store, health);
        let key = ProcessKey { pid: 7, started: 70 };
        let debt = Debt {
            component: "process:x".into(),
            name: "x".into(),
            target: Target::Process { key },
            undo: Deed::Resume,
        };
        let confirmed = async |seq| {
            let body = EventBody::Note { text: "about to pause".into() };
            let (confirm, confirmed) = oneshot::channel();
            journal.record_action(Event { seq, time: now, body }, confirm);
            confirmed.await
        };
        journal.owe(debt.clone());
        assert_eq!(confirmed(1).await, Ok(Ok(())));
        // The disk is taken, and more comes than may wait for it.
        let holder = rusqlite::Connection::open(folder.path().join(crate::store::FILE)).unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        while !journal.is_debt_lost.get() {
            journal.owe(debt.clone());
        }
        holder.execute_batch("COMMIT").unwrap();
        let refused = confirmed(2).await;
        assert_eq!(refused, Ok(Err("what it must take back is on no disk".to_owned())));
        // Only the action that it belongs to.
        let mut next = confirmed(3).await;
        while next != Ok(Ok(())) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            next = confirmed(3).await;
        }
    }

    #[test]
    fn rules_act_only_where_the_lock_is_held_or_no_machine_is_meant() {
        let temp = tempfile::tempdir().unwrap();
        let lock = crate::act::lock::Lock::acquire(&temp.path().join("lock")).unwrap();
        let holds = Holding { lock: Some(lock), ..Holding::default() };
        let observes = Holding { observes: Some("another acts".into()), ..Holding::default() };
        let alone = Holding::default();
        assert!(may_act(Mode::Live, &holds));
        assert!(!may_act(Mode::Live, &observes));
        assert!(!may_act(Mode::Live, &alone), "another could not know of it");
        assert!(may_act(Mode::Demo, &alone));
        assert!(!may_act(Mode::Demo, &observes));
        assert!(!may_act(Mode::Replay, &holds));
    }
}
