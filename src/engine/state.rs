//! The truth, and the one place where it changes: `handle(input, now)`.
//!
//! Pure: no I/O, no clock. What has to be done leaves as effects, and nothing
//! goes around `handle`, be it a person's key or a reply from a server.

mod actions;
mod commands;
mod components;
mod courses;
mod debts;
mod fits;
mod guard;
mod loads;
mod metadata;
mod minutes;
mod models;
mod outlook;
mod pace;
mod proof;
mod readings;
mod returns;
mod runtimes;
mod tracked;
mod view;
mod why;

pub use minutes::minutes_of;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::event::{EventBody, Origin};
use crate::domain::guard::PolicyView;
use crate::domain::history::History;
use crate::domain::rule::Named;
use crate::domain::snapshot::{EVENTS_KEPT, Host, Mode, Notice, Part, ProfileView, Snapshot};
use crate::domain::{
    Action, ActionId, Component, Event, Hints, InstalledModel, ModelName, Moment, Monotonic,
    ProcessKey,
};
use crate::forecast::learned::Book;
use crate::policy::limits::Limits;
use crate::policy::rules::Rules;

use self::actions::Actions;
use self::courses::Courses;
use self::debts::Owed;
use self::fits::Verdicts;
use self::guard::Guard;
use self::metadata::Metadata;
use self::minutes::Minutes;
use self::outlook::Outlook;
use self::readings::Readings;
use self::runtimes::Server;
use self::tracked::Tracked;
use self::why::Movers;
use super::input::{Effect, Input, Pace, Past, Settings};
use super::link::Attention;

/// A sensor thread that has been silent for so many intervals is hung.
const HUNG_AFTER_INTERVALS: u32 = 3;

/// Pages are read for a person: the largest processes at this pace while they
/// are on screen, and seldom otherwise: 3 µs a process.
const SCAN_WATCHED: Duration = Duration::from_secs(10);
const SCAN_UNWATCHED: Duration = Duration::from_secs(60);

/// While an unload is under way the truth is wanted soon: an idle model is
/// gone after 10 to 300 ms.
const FAST: Duration = Duration::from_millis(250);

/// Nobody looks and all is well.
const UNFOCUSED: Duration = Duration::from_secs(5);

/// The largest other processes kept.
const LARGEST: usize = 10;

#[derive(Debug)]
pub struct State {
    settings: Settings,
    /// What the config names beside models: sensors look for it.
    named: Arc<[Named]>,
    now: Moment,
    started: Monotonic,
    host: Arc<Host>,
    profile: Arc<ProfileView>,
    limits: Limits,
    rules: Rules,
    readings: Readings,
    server: Server,
    models: BTreeMap<ModelName, Tracked>,
    installed: Part<Vec<InstalledModel>>,
    metadata: Metadata,
    /// The runners of the last sample: another set is news to ask about.
    seen_runners: BTreeSet<ProcessKey>,
    /// Runners without a server, since when: a parent may merely be late.
    parentless: BTreeMap<ProcessKey, Moment>,
    components: Part<Vec<Component>>,
    choices: BTreeMap<String, super::input::Choice>,
    actions: Actions,
    guard: Guard,
    debts: Vec<Owed>,
    fits: Verdicts,
    /// What loads were seen to take.
    book: Book,
    outlook: Outlook,
    courses: Courses,
    /// What was begun before this start, until it can be seen what became of it.
    unfinished: Vec<(ActionId, Action, Origin)>,
    history: History,
    minutes: Minutes,
    events: Part<VecDeque<Event>>,
    next_seq: u64,
    hints: Part<Hints>,
    notices: Vec<Notice>,
    attention: Attention,
    /// Only while somebody looks at it.
    policy_view: Option<Arc<PolicyView>>,
    movers: Movers,
    pace: Option<Pace>,
    /// Since when samples are wanted at this pace or a slower one: silence
    /// before that was as it should be.
    paced: Monotonic,
    sequence: u64,
    effects: Vec<Effect>,
    is_dirty: bool,
}

impl State {
    /// The state before the first sample, and what to do first.
    pub fn new(settings: Settings, past: Past, now: Moment) -> (State, Vec<Effect>) {
        let regime = (settings.regime_for)(None);
        let points = usize::try_from(settings.graph.as_secs()).unwrap_or(600);
        let server = Server::new(&settings, now);
        let mut state = State {
            named: settings.named(),
            now,
            started: now.mono,
            host: Arc::new(settings.host.clone()),
            profile: Arc::new(regime.profile),
            limits: regime.limits,
            rules: regime.rules,
            readings: Readings::new(now),
            server,
            models: BTreeMap::new(),
            installed: Part::default(),
            metadata: Metadata::of_past(past.details),
            seen_runners: BTreeSet::new(),
            parentless: BTreeMap::new(),
            components: Part::default(),
            choices: past.choices.iter().map(|c| (c.component.clone(), c.clone())).collect(),
            actions: Actions::new(past.next_action),
            guard: Guard::default(),
            debts: past.debts.into_iter().map(Owed::from).collect(),
            fits: Verdicts::default(),
            book: Book::new(past.loads),
            outlook: Outlook::new(),
            courses: Courses::default(),
            unfinished: past.unfinished,
            history: History::with_room_for(points),
            minutes: Minutes::default(),
            events: Part::default(),
            next_seq: past.next_seq.max(1),
            hints: Part { version: 1, value: Arc::clone(&settings.hints) },
            notices: Vec::new(),
            attention: Attention::default(),
            policy_view: None,
            movers: Movers::default(),
            pace: None,
            paced: now.mono,
            sequence: 0,
            effects: Vec::new(),
            is_dirty: true,
            settings,
        };
        state.events.set(past.events.into());
        state.tell(EventBody::Started { version: state.settings.version.clone() });
        state.set_pace();
        let effects = state.take_effects();
        (state, effects)
    }

    /// Takes one input in and says what must be done.
    #[must_use]
    pub fn handle(&mut self, input: Input, now: Moment) -> Vec<Effect> {
        self.now = now;
        self.is_dirty = true;
        match input {
            Input::Woke => {}
            Input::Sampled(sample) => self.take_sample(*sample),
            Input::Reported(report) => self.take_report(report),
            Input::Asked { number, command } => self.take_command(number, command),
            Input::Journalled { action, result } => self.take_journalled(action, result),
            Input::Performed { action, result } => self.take_performed(action, result),
            Input::OlderEvents { number, events } => {
                self.reply(number, commands::events_reply(events));
            }
            Input::Hooked { of, hook, result } => {
                // One that has nothing to say needs no line of its own.
                if result.as_ref().map_or(true, |said| !said.is_empty()) {
                    self.tell(EventBody::HookRan { of, hook, result });
                }
            }
            Input::Configured(configured) => self.take_config(*configured),
            Input::Faulted { about, text } => self.notice(about, text),
            Input::Recovered { about } => self.withdraw(about),
        }
        self.meet_deadlines();
        self.poll_what_is_due();
        self.set_pace();
        self.follow_fits();
        self.follow_policy_view();
        self.take_effects()
    }

    /// When `Input::Woke` is wanted at the latest, if nothing else comes.
    pub fn next_wake(&self) -> Monotonic {
        let hung = self.awaited_since().plus(self.patience());
        let hung = if hung > self.now.mono { hung } else { self.now.mono.plus(self.patience()) };
        let others = [self.actions.next_deadline(), self.wake_for_poll()];
        others.into_iter().flatten().fold(hung, Monotonic::min)
    }

    pub fn snapshot(&mut self) -> Snapshot {
        self.sequence += 1;
        self.view()
    }

    /// By the pace that sensors were told, not by one they have yet to hear of.
    fn patience(&self) -> Duration {
        let interval = self.pace.as_ref().map_or_else(|| self.interval(), |pace| pace.interval);
        (interval * HUNG_AFTER_INTERVALS).max(Duration::from_secs(2))
    }

    fn awaited_since(&self) -> Monotonic {
        self.readings.last_at().max(self.paced)
    }

    fn meet_deadlines(&mut self) {
        self.meet_action_deadlines();
        if self.now.mono.since(self.awaited_since()) >= self.patience() {
            let silent = self.now.mono.since(self.readings.last_at()).as_secs();
            self.notice("sensors", format!("no sample for {silent} s: a sensor hangs"));
        }
    }

    fn interval(&self) -> Duration {
        let calm = self.settings.interval.unwrap_or(self.limits.interval);
        if self.actions.wants_speed() {
            return calm.min(FAST);
        }
        let is_calm = self.readings.level().level == crate::domain::Level::Normal;
        let may_rest = self.attention.unfocused && is_calm && !self.rules_act();
        let unhurried = if may_rest { calm.max(UNFOCUSED) } else { calm };
        match self.settings.mode {
            // A recording has a pace of its own.
            Mode::Replay => unhurried,
            _ => self.readings.pace(&self.marks(), unhurried),
        }
    }

    fn set_pace(&mut self) {
        let scan_every = if self.attention.processes { SCAN_WATCHED } else { SCAN_UNWATCHED };
        let pace = Pace {
            interval: self.interval(),
            scan_every,
            want: crate::sense::Want {
                all_processes: false,
                largest: LARGEST,
                proportional: self.attention.details.into_iter().collect(),
                server_port: self
                    .settings
                    .endpoint
                    .is_loopback
                    .then_some(self.settings.endpoint.port),
                named: Arc::clone(&self.named),
            },
        };
        if self.pace.as_ref().is_some_and(|told| pace.interval < told.interval) {
            self.paced = self.now.mono;
        }
        if self.pace.as_ref() != Some(&pace) {
            self.pace = Some(pace.clone());
            self.effects.push(Effect::Pace(pace));
        }
    }

    /// What the config names beside models: sensors look for it.
    pub fn named(&self) -> Arc<[Named]> {
        Arc::clone(&self.named)
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        self.send_minutes_along();
        let mut effects = std::mem::take(&mut self.effects);
        if std::mem::take(&mut self.is_dirty) {
            effects.push(Effect::Publish);
        }
        effects
    }

    fn reply(&mut self, number: super::input::RequestNumber, reply: super::link::Reply) {
        self.effects.push(Effect::Reply { number, reply });
    }

    /// Numbers an event and keeps it; the caller decides how it reaches disk.
    fn number(&mut self, body: EventBody) -> Event {
        let event = Event { seq: self.next_seq, time: self.now.wall, body };
        self.next_seq += 1;
        let events = self.events.change();
        events.push_back(event.clone());
        while events.len() > EVENTS_KEPT {
            events.pop_front();
        }
        event
    }

    fn tell(&mut self, body: EventBody) {
        let event = self.number(body);
        self.tell_hooks(&event);
        self.effects.push(Effect::Record(event));
    }

    fn tell_hooks(&mut self, event: &Event) {
        if !self.settings.may_act {
            return;
        }
        let level = self.readings.level().level;
        let now = self.hints.value.in_force(level);
        for hook in &self.settings.hooks {
            let is_wanted = match event.body {
                EventBody::LevelChanged { .. } => hook.on_level,
                EventBody::ActionEnded { .. } => hook.on_action,
                _ => false,
            };
            if is_wanted {
                let (hook, event, now) = (hook.clone(), event.clone(), now.clone());
                self.effects.push(Effect::Hook { hook, event, now });
            }
        }
    }

    /// Bad news without a place of its own; replaces what was said of it.
    fn notice(&mut self, about: &str, text: String) {
        match self.notices.iter_mut().find(|notice| notice.about == about) {
            Some(notice) => notice.text = text,
            None => {
                self.notices.push(Notice { about: about.to_owned(), text, since: self.now });
            }
        }
    }

    fn withdraw(&mut self, about: &str) {
        self.notices.retain(|notice| notice.about != about);
    }
}
