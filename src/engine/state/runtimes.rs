//! The model server: what it said, when it is asked next, where it runs.

use std::time::Duration;

use crate::domain::event::EventBody;
use crate::domain::fault::RuntimeFaultKind;
use crate::domain::snapshot::{Place, RuntimeState, RuntimeView};
use crate::domain::{InstalledModel, LoadedModel, Moment, Monotonic, RuntimeFault};

use super::super::input::{Effect, Poll, PollAnswer, Report, Settings};
use super::State;
use super::models::may_be_ours;

/// How often each question is asked. A runner that comes or goes, and every
/// action of ours, asks at once, so calm may be slow.
const LOADED_EVERY: Duration = Duration::from_secs(2);
const LOADED_CALM: Duration = Duration::from_secs(4);
const LOADED_FAST: Duration = Duration::from_millis(250);
const INSTALLED_EVERY: Duration = Duration::from_secs(30);
const VERSION_EVERY: Duration = Duration::from_secs(120);

/// Recovery is to be seen within 5 s, even after hours.
const DOWN_EVERY: Duration = Duration::from_secs(3);

/// Nothing has changed for so long: calm.
const CALM_AFTER: Duration = Duration::from_secs(30);

/// An answer from memory takes milliseconds; this is slow.
const SLOW: Duration = Duration::from_millis(1000);

/// Half an interval early is better than half an interval late, and spares a
/// wake-up of its own.
const EARLY: Duration = Duration::from_millis(150);

#[derive(Debug)]
pub(super) struct Server {
    view: RuntimeView,
    loaded: Question,
    installed: Question,
    version: Question,
    details: Question,
    /// The list of loaded models has been had at least once since it is up.
    pub(super) is_listed: bool,
    changed_at: Monotonic,
}

/// One read endpoint: one poll in flight at most.
#[derive(Debug, Default)]
struct Question {
    is_in_flight: bool,
    due: Monotonic,
}

impl Server {
    pub(super) fn new(settings: &Settings, now: Moment) -> Self {
        let due = || Question { is_in_flight: false, due: now.mono };
        Server {
            view: RuntimeView {
                kind: settings.runtime_kind.to_owned(),
                url: settings.endpoint.shown_url.clone(),
                state: RuntimeState::Unknown,
                version: None,
                place: if settings.endpoint.is_loopback { Place::Unknown } else { Place::Remote },
                since: now,
            },
            loaded: due(),
            installed: due(),
            version: due(),
            details: due(),
            is_listed: false,
            changed_at: now.mono,
        }
    }

    pub(super) fn view(&self) -> &RuntimeView {
        &self.view
    }

    pub(super) fn is_remote(&self) -> bool {
        self.view.place == Place::Remote
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.view.state, RuntimeState::Up | RuntimeState::Slow)
    }

    fn is_down(&self) -> bool {
        matches!(self.view.state, RuntimeState::Down { .. })
    }
}

impl State {
    /// Sends the polls whose time has come.
    pub(super) fn poll_what_is_due(&mut self) {
        let soon = self.now.mono.plus(EARLY);
        let is_down = self.server.is_down();
        let ask = |question: &mut Question| {
            let is_due = !question.is_in_flight && question.due <= soon;
            question.is_in_flight |= is_due;
            is_due
        };
        if ask(&mut self.server.loaded) {
            self.effects.push(Effect::Poll(Poll::Loaded));
        }
        if is_down {
            return;
        }
        if ask(&mut self.server.installed) {
            self.effects.push(Effect::Poll(Poll::Installed));
        }
        if ask(&mut self.server.version) {
            self.effects.push(Effect::Poll(Poll::Version));
        }
        if let Some((model, contents)) = self.wants_details()
            && ask(&mut self.server.details)
        {
            self.metadata.note_asked(contents);
            self.effects.push(Effect::Poll(Poll::Details(model)));
        }
    }

    /// Asks all questions at the next turn.
    pub(super) fn poll_now(&mut self) {
        let now = self.now.mono;
        self.server.loaded.due = now;
        self.server.installed.due = now;
        self.server.version.due = now;
    }

    pub(super) fn poll_loaded_now(&mut self) {
        self.server.loaded.due = self.now.mono;
        self.server.changed_at = self.now.mono;
    }

    pub(super) fn take_report(&mut self, report: Report) {
        let took = report.took;
        match report.answer {
            PollAnswer::Loaded(answer) => self.take_loaded(answer, took),
            PollAnswer::Installed(answer) => self.take_installed(answer),
            PollAnswer::Version(answer) => self.take_version(answer),
            PollAnswer::Details(model, answer) => {
                self.server.details = Question { is_in_flight: false, due: self.now.mono };
                self.take_details(&model, answer);
            }
        }
    }

    fn take_loaded(&mut self, answer: Result<Vec<LoadedModel>, RuntimeFault>, took: Duration) {
        self.server.loaded.is_in_flight = false;
        match answer {
            Ok(loaded) => {
                let state = if took >= SLOW { RuntimeState::Slow } else { RuntimeState::Up };
                self.set_server_state(state);
                self.place_server();
                self.take_list(loaded);
                self.server.is_listed = true;
            }
            Err(fault) => {
                if fault.kind == RuntimeFaultKind::Refused && !self.server.is_remote() {
                    self.forget_models();
                }
                self.set_server_state(RuntimeState::Down { fault });
            }
        }
        self.server.loaded.due = self.now.mono.plus(self.loaded_pause());
    }

    /// Polls go with samples; where those are rarer than a server that is down
    /// is to be looked for, the poll wakes the loop itself.
    pub(super) fn wake_for_poll(&self) -> Option<Monotonic> {
        let question = &self.server.loaded;
        let is_awaited = self.server.is_down() && !question.is_in_flight;
        (is_awaited && self.interval() > DOWN_EVERY).then_some(question.due)
    }

    fn loaded_pause(&self) -> Duration {
        let calm_for = self.now.mono.since(self.server.changed_at);
        match () {
            () if self.actions.wants_speed() => LOADED_FAST,
            () if self.server.is_down() => DOWN_EVERY,
            () if self.has_change_under_way() => LOADED_EVERY / 2,
            () if calm_for > CALM_AFTER => LOADED_CALM,
            () => LOADED_EVERY,
        }
    }

    pub(super) fn note_change(&mut self) {
        self.restart_outlook();
        self.server.changed_at = self.now.mono;
    }

    fn set_server_state(&mut self, state: RuntimeState) {
        let was_up = self.server.is_up();
        let was_down = self.server.is_down();
        let old = std::mem::replace(&mut self.server.view.state, state);
        let is_up = self.server.is_up();
        if std::mem::discriminant(&old) != std::mem::discriminant(&self.server.view.state) {
            self.server.view.since = self.now;
        }
        let url = self.server.view.url.clone();
        if is_up && !was_up {
            self.poll_now();
            self.metadata.ask_again();
            if was_down {
                let version = self.server.view.version.clone();
                self.tell(EventBody::RuntimeUp { url, version });
            }
        } else if let RuntimeState::Down { fault } = &self.server.view.state
            && !was_down
        {
            let reason = fault.detail.clone();
            self.server.is_listed = false;
            self.tell(EventBody::RuntimeDown { url, reason });
        }
    }

    fn take_installed(&mut self, answer: Result<Vec<InstalledModel>, RuntimeFault>) {
        self.server.installed =
            Question { is_in_flight: false, due: self.now.mono.plus(INSTALLED_EVERY) };
        if let Ok(installed) = answer
            && *self.installed.value != installed
        {
            self.installed.set(installed);
            self.follow_installed();
        }
    }

    fn take_version(&mut self, answer: Result<String, RuntimeFault>) {
        self.server.version =
            Question { is_in_flight: false, due: self.now.mono.plus(VERSION_EVERY) };
        if let Ok(version) = answer {
            self.server.view.version = Some(version);
        }
    }

    /// A runtime is local only by proof: its socket belongs to a server of
    /// this machine, or, where that cannot be read, it is loopback and a
    /// server process is seen here.
    pub(super) fn place_server(&mut self) {
        if !self.settings.endpoint.is_loopback {
            return;
        }
        let Some(processes) = self.readings.processes() else { return };
        let is_ours = processes.servers.iter().any(may_be_ours);
        let place = match (is_ours, self.server.is_up()) {
            (true, _) => Place::Local,
            (false, true) => Place::Remote,
            (false, false) => Place::Unknown,
        };
        self.server.view.place = place;
    }

    fn has_change_under_way(&self) -> bool {
        self.models.values().any(super::tracked::Tracked::is_changing)
    }
}
