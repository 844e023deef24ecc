//! What the rules would have done over a recording: the engine's own state in
//! virtual time, its effects answered by the recording and, from the first
//! simulated unload on, by a model of what memory would have answered.
//!
//! No clock and no I/O: time is the recording's, so the same recording and
//! the same config give the same findings.

pub mod findings;
mod world;

use std::sync::Arc;
use std::time::Duration;

use crate::act::Order;
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelState};
use crate::domain::rule::RuleMode;
use crate::domain::time::{Moment, Monotonic};
use crate::domain::{ActionId, ModelName, RuntimeFault, Sample};

use super::input::{Answered, RequestNumber};
use super::input::{Effect, Input, Past, Poll, PollAnswer, Regime, RegimeFor, Report, Settings};
use super::link::{Command, Reply};
use super::state::State;

use self::findings::{Findings, Ledger};
use self::world::{Asked, World};

/// Inputs that may follow one another at one moment: an answer begets a
/// question. More than this is a loop.
const CHAIN: usize = 10_000;

/// The state's own deadlines between two samples; more would be a loop.
const WAKES: usize = 16;

/// A silence of so many usual steps, and of more than this, is a gap: nothing
/// is known of it. As the engine takes it.
const GAP_STEPS: u32 = 3;
const SHORTEST_GAP: Duration = Duration::from_secs(2);

/// What the server said.
#[derive(Debug, Clone)]
pub enum Said {
    Loaded(Result<Vec<LoadedModel>, RuntimeFault>),
    Installed(Result<Vec<InstalledModel>, RuntimeFault>),
    Version(Result<String, RuntimeFault>),
    Details(ModelName, ModelDetails),
}

/// One config over one recording.
pub struct Simulation {
    /// From the first sample on.
    state: Option<State>,
    settings: Option<Settings>,
    world: World,
    ledger: Ledger,
    /// Until what the server said in the same round is known.
    held: Option<Box<Sample>>,
    interval: Duration,
    clock: Virtual,
    replies: Vec<Reply>,
}

/// The recording's steady clock, which may have begun anew, as one that never
/// goes back.
#[derive(Debug, Default)]
struct Virtual {
    last: Option<Moment>,
    ahead_ms: u64,
}

impl Virtual {
    /// The moment, and whether the recording's clock had begun anew.
    fn at(&mut self, recorded: Moment) -> (Moment, bool) {
        let mut mono = recorded.mono.millis().saturating_add(self.ahead_ms);
        let mut is_anew = false;
        if let Some(last) = self.last
            && mono < last.mono.millis()
        {
            is_anew = true;
            // A restart, or two recordings in one: wall time tells how long
            // it was, if anything does.
            let wall = recorded.wall.duration_since(last.wall).as_millis();
            let step = u64::try_from(wall).unwrap_or_default();
            let wanted = last.mono.millis().saturating_add(step);
            self.ahead_ms = wanted.saturating_sub(recorded.mono.millis());
            mono = wanted;
        }
        let moment = Moment::new(recorded.wall, Monotonic::from_millis(mono));
        self.last = Some(moment);
        (moment, is_anew)
    }
}

/// Rules that only say or ask what they would do, as if they acted: that is
/// the question a simulation answers.
pub fn acting(regime_for: RegimeFor) -> RegimeFor {
    let act = |mode: &mut RuleMode| {
        if matches!(mode, RuleMode::Observe | RuleMode::Confirm) {
            *mode = RuleMode::Act;
        }
    };
    Arc::new(move |total| {
        let mut regime: Regime = regime_for(total);
        regime.rules.levels.iter_mut().for_each(|rule| act(&mut rule.mode));
        if let Some(kill_switch) = &mut regime.rules.kill_switch {
            act(&mut kill_switch.mode);
        }
        regime
    })
}

impl Simulation {
    /// `interval` is the recording's usual step: what a gap is, is judged by it.
    pub fn new(settings: Settings, interval: Duration) -> Simulation {
        let regime_for = settings.regime_for.clone();
        let settings = Settings { interval: Some(interval), may_act: true, ..settings };
        Simulation {
            state: None,
            settings: Some(settings),
            world: World::default(),
            ledger: Ledger::new(regime_for),
            held: None,
            interval,
            clock: Virtual::default(),
            replies: Vec::new(),
        }
    }

    /// The next sample of the recording.
    pub fn take_sample(&mut self, sample: Box<Sample>) {
        self.flush();
        self.held = Some(sample);
    }

    /// What the server said at that moment of the recording.
    pub fn take_said(&mut self, at: Moment, said: Said) {
        // What was asked in the round of a sample counts for that sample.
        if self.held.as_ref().is_some_and(|held| held.at != at) {
            self.flush();
        }
        self.world.hear(said);
    }

    /// A person's command after the last sample taken, as a dashboard sends it.
    pub fn ask(&mut self, command: Command) -> Option<Reply> {
        self.flush();
        let now = self.clock.last?;
        self.input(Input::Asked { number: RequestNumber(0), command }, now);
        self.replies.pop()
    }

    pub fn finish(mut self) -> Findings {
        self.flush();
        self.ledger.finish()
    }

    fn gap(&self) -> Duration {
        (self.interval * GAP_STEPS).max(SHORTEST_GAP)
    }

    fn flush(&mut self) {
        let Some(mut sample) = self.held.take() else { return };
        let before = self.clock.last;
        let (now, is_anew) = self.clock.at(sample.at);
        sample.at = now;
        if self.state.is_none() {
            self.begin(now);
        }
        if let Some(before) = before {
            let step = now.since(before);
            let is_gap = is_anew || step > self.gap();
            self.ledger.pass(step, is_gap);
            if !is_gap {
                self.wake_until(now);
            }
        }
        self.ledger.note_recorded(&sample);
        let is_modelled = self.world.alter(&mut sample, now);
        self.ledger.note_sample(&sample, is_modelled);
        for model in self.world.take_used_again() {
            self.ledger.note_used_again(&model, now);
        }
        self.input(Input::Sampled(sample), now);
    }

    fn begin(&mut self, now: Moment) {
        let Some(settings) = self.settings.take() else { return };
        let (state, effects) = State::new(settings, Past::default(), now);
        self.state = Some(state);
        self.play(effects, now);
    }

    /// The state's own deadlines before the next sample.
    fn wake_until(&mut self, next: Moment) {
        for _ in 0..WAKES {
            let (Some(state), Some(last)) = (&self.state, self.ledger.now) else { return };
            let due = state.next_wake();
            if due >= next.mono || due <= last.mono {
                return;
            }
            let wall = last.wall.checked_add(due.since(last.mono)).unwrap_or(last.wall);
            let at = Moment::new(wall.min(next.wall), due);
            self.input(Input::Woke, at);
        }
    }

    fn input(&mut self, input: Input, now: Moment) {
        self.ledger.now = Some(now);
        let Some(state) = &mut self.state else { return };
        let effects = state.handle(input, now);
        self.play(effects, now);
    }

    /// Answers effects until none is left that wants an answer.
    fn play(&mut self, effects: Vec<Effect>, now: Moment) {
        let mut due: std::collections::VecDeque<Effect> = effects.into();
        for _ in 0..CHAIN {
            let Some(effect) = due.pop_front() else { return };
            if let Some(answer) = self.answer(effect, now)
                && let Some(state) = &mut self.state
            {
                due.extend(state.handle(answer, now));
            }
        }
    }

    fn answer(&mut self, effect: Effect, now: Moment) -> Option<Input> {
        match effect {
            Effect::Poll(poll) => {
                let answer = self.poll(poll);
                Some(Input::Reported(Report { took: Duration::ZERO, answer }))
            }
            Effect::Journal { action, event } => {
                self.ledger.note_event(&event, now);
                Some(Input::Journalled { action, result: Ok(()) })
            }
            Effect::Record(event) => {
                self.ledger.note_event(&event, now);
                None
            }
            Effect::Unload { action, model } => Some(self.unload(action, model)),
            Effect::Load { action, model, options } => {
                let result = self.world.load(&model, options, now);
                Some(performed(action, result))
            }
            Effect::Act { action, order } => Some(self.act(action, &order)),
            Effect::Reply { reply, .. } => {
                self.replies.push(reply);
                None
            }
            Effect::Pace(_)
            | Effect::Choose(_)
            | Effect::Hook { .. }
            | Effect::Owe(_)
            | Effect::Settle(_)
            | Effect::Learn(_)
            | Effect::FetchOlder { .. }
            | Effect::Publish => None,
        }
    }

    fn poll(&self, poll: Poll) -> PollAnswer {
        match poll {
            Poll::Loaded => PollAnswer::Loaded(self.world.loaded()),
            Poll::Installed => PollAnswer::Installed(self.world.installed()),
            Poll::Version => PollAnswer::Version(self.world.version()),
            Poll::Details(model) => {
                let details = self.world.details(&model);
                PollAnswer::Details(model, details)
            }
        }
    }

    /// The runner is the one that the state has joined with the model.
    fn unload(&mut self, action: ActionId, model: ModelName) -> Input {
        let Some(snapshot) = self.state.as_mut().map(State::snapshot) else {
            return performed(action, Ok(None));
        };
        let view = snapshot.model(&model);
        let asked = Asked {
            runner: view.and_then(|view| view.runner),
            is_generating: view.is_some_and(|view| {
                matches!(view.state, ModelState::Unloading { still_generating: true, .. })
            }),
            sample: snapshot.sample.as_deref(),
        };
        let given = self.world.unload(&model, asked);
        self.ledger.note_given(action, given);
        performed(action, Ok(None))
    }

    fn act(&mut self, action: ActionId, order: &Order) -> Input {
        let snapshot = self.state.as_mut().map(State::snapshot);
        let sample = snapshot.as_ref().and_then(|snapshot| snapshot.sample.as_deref());
        let given = self.world.carry_out(order, sample);
        self.ledger.note_given(action, given);
        performed(action, Ok(None))
    }
}

fn performed(action: ActionId, result: Result<Answered, String>) -> Input {
    Input::Performed { action, result }
}
