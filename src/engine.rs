//! The engine: owns the truth, decides in one place, performs what was decided.
//!
//! `run` is the one `select!`: it collects an input, hands it to the state and
//! performs the effects. Nothing in it blocks: sensors have a thread of their
//! own, calls are tasks, the disk is the store's.

pub mod attach;
pub mod clock;
pub mod executor;
pub mod input;
pub mod journal;
pub mod link;
pub mod sampler;
pub mod simulate;
pub mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::domain::Snapshot;
use crate::runtime::Runtime;
use crate::sense::Sensors;

use self::clock::Clock;
use self::executor::Hands;
use self::input::{Configured, Effect, Input, Past, RequestNumber, Settings};
use self::journal::Journal;
use self::link::{Attention, Command, Link, Reply, SendError};
use self::sampler::Sampler;
use self::state::State;

/// Inputs that may wait. Samples come one at a time and each poll has one in
/// flight, so a full queue means that the loop itself stands still.
const INPUTS: usize = 64;

/// Commands that may wait; a person cannot type faster than they are taken.
const COMMANDS: usize = 32;

/// The edges an engine works through.
pub struct Parts {
    pub sensors: Box<dyn Sensors>,
    pub runtime: Arc<dyn Runtime>,
    pub journal: Box<dyn Journal>,
    pub hands: Arc<dyn Hands>,
    pub clock: Clock,
}

/// A running engine's inside.
pub struct Engine {
    state: State,
    effects: Vec<Effect>,
    parts: Worked,
    inputs: mpsc::Receiver<Input>,
    commands: mpsc::Receiver<Asked>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    waiting: BTreeMap<RequestNumber, oneshot::Sender<Reply>>,
    next_request: u64,
    /// By viewer; [`HOLDER`] looks until it says otherwise.
    attentions: BTreeMap<u64, Attention>,
}

/// The edges, as the loop holds them.
struct Worked {
    sampler: Sampler,
    runtime: Arc<dyn Runtime>,
    journal: Box<dyn Journal>,
    hands: Arc<dyn Hands>,
    clock: Clock,
    inbox: mpsc::Sender<Input>,
    tasks: JoinSet<()>,
}

/// The viewer in the engine's own process.
const HOLDER: u64 = 0;

struct Asked {
    viewer: u64,
    command: Command,
    reply: oneshot::Sender<Reply>,
}

/// A grip on an engine in this process.
#[derive(Clone)]
pub struct LocalLink {
    viewer: u64,
    commands: mpsc::Sender<Asked>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

/// Tells the engine's edges of bad news that reaches no one else.
#[derive(Clone)]
pub struct FaultSender(mpsc::Sender<Input>);

impl FaultSender {
    /// Never blocks: a full inbox loses it, and the next one tells again.
    pub fn tell(&self, about: &'static str, text: String) {
        drop(self.0.try_send(Input::Faulted { about, text }));
    }

    /// Hands a changed config over. From a thread that may block: it waits for
    /// room, since a rule must not be lost.
    pub fn configure(&self, configured: Configured) {
        // An engine that has ended follows no config.
        drop(self.0.blocking_send(Input::Configured(Box::new(configured))));
    }

    /// Takes that bad news back.
    pub fn withdraw(&self, about: &'static str) {
        drop(self.0.try_send(Input::Recovered { about }));
    }
}

impl Engine {
    /// Puts an engine together; nothing runs before [`Engine::run`] but the
    /// sampler's thread.
    pub fn new(settings: Settings, past: Past, parts: Parts) -> (Engine, LocalLink, FaultSender) {
        let (inbox, inputs) = mpsc::channel(INPUTS);
        let (command_sender, commands) = mpsc::channel(COMMANDS);
        let (mut state, effects) = State::new(settings, past, parts.clock.now());
        let (snapshots, watched) = watch::channel(Arc::new(state.snapshot()));
        let sampler = Sampler::start(parts.sensors, parts.clock, inbox.clone());
        let engine = Engine {
            state,
            effects,
            parts: Worked {
                sampler,
                runtime: parts.runtime,
                journal: parts.journal,
                hands: parts.hands,
                clock: parts.clock,
                inbox: inbox.clone(),
                tasks: JoinSet::new(),
            },
            inputs,
            commands,
            snapshots,
            waiting: BTreeMap::new(),
            next_request: 0,
            attentions: BTreeMap::from([(HOLDER, Attention::default())]),
        };
        let link = LocalLink { viewer: HOLDER, commands: command_sender, snapshots: watched };
        (engine, link, FaultSender(inbox))
    }

    /// Runs until `stop` is told or dropped. Calls still under way are cut
    /// off; what was decided is on its way to disk.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        for effect in std::mem::take(&mut self.effects) {
            self.perform(effect);
        }
        loop {
            let wake = self.parts.clock.instant(self.state.next_wake());
            let input = tokio::select! {
                biased;
                _ = &mut stop => break,
                Some(asked) = self.commands.recv() => self.admit(asked),
                Some(input) = self.inputs.recv() => input,
                () = tokio::time::sleep_until(wake) => Input::Woke,
            };
            self.take(input);
            while self.parts.tasks.try_join_next().is_some() {}
        }
        for effect in self.state.wind_up(self.parts.clock.now()) {
            self.perform(effect);
        }
        self.parts.journal.close();
    }

    fn admit(&mut self, asked: Asked) -> Input {
        let number = RequestNumber(self.next_request);
        self.next_request += 1;
        self.waiting.insert(number, asked.reply);
        let command = match asked.command {
            Command::Attend { attention } => {
                Command::Attend { attention: self.attention_of_all(asked.viewer, attention) }
            }
            command => command,
        };
        Input::Asked { number, command }
    }

    /// What all viewers look at together; one that looks at nothing is
    /// forgotten.
    fn attention_of_all(&mut self, viewer: u64, attention: Attention) -> Attention {
        match attention == Attention::NONE {
            true => drop(self.attentions.remove(&viewer)),
            false => drop(self.attentions.insert(viewer, attention)),
        }
        Attention {
            fits: self.attentions.values().any(|attention| attention.fits),
            dial: self.attentions.values().find_map(|attention| attention.dial.clone()),
            processes: self.attentions.values().any(|attention| attention.processes),
            policy: self.attentions.values().any(|attention| attention.policy),
            details: self.attentions.values().find_map(|attention| attention.details),
            unfocused: self.attentions.values().all(|attention| attention.unfocused),
            watched: self.attentions.values().any(|attention| attention.watched),
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.parts.clock.now();
        for effect in self.state.handle(input, now) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Publish => {
                self.snapshots.send_replace(Arc::new(self.state.snapshot()));
            }
            Effect::Reply { number, reply } => {
                if let Some(waiting) = self.waiting.remove(&number) {
                    // Nobody may be waiting any more: a closed dialog.
                    drop(waiting.send(reply));
                }
            }
            effect => self.parts.perform(effect),
        }
    }
}

impl LocalLink {
    /// The same grip for another viewer, whose attention counts besides.
    fn for_viewer(&self, viewer: u64) -> LocalLink {
        LocalLink { viewer, ..self.clone() }
    }
}

impl Link for LocalLink {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn send(&self, command: Command) -> Result<oneshot::Receiver<Reply>, SendError> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { viewer: self.viewer, command, reply };
        self.commands.try_send(asked).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Busy,
            mpsc::error::TrySendError::Closed(_) => SendError::Ended,
        })?;
        Ok(answer)
    }
}
