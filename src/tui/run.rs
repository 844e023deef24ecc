//! The loop of the screen: it awaits the terminal, the snapshots, a timer,
//! signals and replies already asked for, and nothing else.
//!
//! `select!` only collects; what happened is decided in `handle`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream, MouseButton, MouseEventKind};
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use jiff::tz::TimeZone;
use rustix::fd::AsFd;
use rustix::process::{Signal as RawSignal, getpid, kill_current_process_group, kill_process};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::domain::setting::SettingDoor;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Monotonic;
use crate::engine::link::{Command, Link, SendError};
use crate::tui::keymap::{Context, Key, Keymap};
use crate::tui::scene::Scene;
use crate::tui::shown::{LONGEST_STILL, fingerprint};
use crate::tui::signals::{Ending, Signal, Signals};
use crate::tui::state::{Abilities, Tone, Ui};
use crate::tui::terminal::background::{Heard, Listener};
use crate::tui::terminal::{Drawn, Screen, Writer};
use crate::tui::theme::{Theme, Themes};
use crate::tui::update::{Purpose, UiEffect, UiEvent};
use crate::tui::views;

/// Between two pictures that nobody asked for: ten a second is as smooth as a
/// memory gauge gets.
const PACE: Duration = Duration::from_millis(100);

/// Between two pictures while a window is dragged to its size.
const RESIZE_PACE: Duration = Duration::from_millis(30);

/// Events handled before a picture: keys are read first, a storm ends.
const EVENTS_AT_ONCE: usize = 256;

/// Rows one notch of the wheel moves.
const WHEEL_ROWS: i32 = 3;

/// All that the screen is given.
pub struct Start {
    pub link: Arc<dyn Link>,
    /// Where settings are changed; `None` where there are none to change.
    pub settings: Option<Arc<dyn SettingDoor>>,
    pub keymap: Keymap,
    pub themes: Themes,
    /// Index into `themes`.
    pub theme: usize,
    /// The theme for a light terminal, where the terminal must be asked
    /// whether it is one.
    pub theme_if_light: Option<usize>,
    pub abilities: Abilities,
    pub mouse: bool,
    /// Times on screen are local.
    pub time_zone: TimeZone,
    /// Panics after so long: the test that the terminal survives it.
    pub panic_after: Option<Duration>,
}

#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error("use the terminal")]
    Terminal(#[source] io::Error),
    #[error("listen to signals")]
    Signals(#[source] io::Error),
    #[error("a part of the program panicked")]
    Panicked,
}

/// Shows the dashboard until it is quit, a signal ends it, or the terminal or
/// the engine is gone. Says which signal ended it, if one did. Must run inside
/// a tokio runtime with time and I/O.
pub async fn run(start: Start) -> Result<Option<Ending>, TuiError> {
    let mut signals = Signals::listen().map_err(TuiError::Signals)?;
    let mut dashboard = Dashboard::open(start).map_err(TuiError::Terminal)?;
    // The first picture stands before anything is awaited.
    dashboard.tell(UiEvent::SnapshotChanged);
    dashboard.due = Some(Instant::now());
    dashboard.draw_if_due()?;
    let mut events = EventStream::new();
    while !dashboard.is_over {
        let wake = dashboard.next_wake(&mut events, &mut signals).await;
        dashboard.handle(wake)?;
        dashboard.drain(&mut events).await?;
        dashboard.draw_if_due()?;
    }
    Ok(dashboard.ended_by)
}

/// Why the loop woke.
enum Wake {
    Signal(Signal),
    Terminal(Option<io::Result<Event>>),
    Answered(UiEvent),
    Snapshot,
    EngineEnded,
    Written,
    Timer,
    PanicTime,
}

type Answer = Pin<Box<dyn Future<Output = UiEvent> + Send>>;

struct Dashboard {
    link: Arc<dyn Link>,
    settings: Option<Arc<dyn SettingDoor>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    snapshot: Arc<Snapshot>,
    keymap: Keymap,
    themes: Themes,
    theme: Theme,
    ui: Ui,
    screen: Screen,
    /// The theme for a light terminal, while that is being asked.
    background: Option<(Listener, usize)>,
    time_zone: TimeZone,
    replies: FuturesUnordered<Answer>,
    /// When the screen was opened: the clock of the gaze.
    opened: Instant,
    /// When the next picture is to be made.
    due: Option<Instant>,
    /// The terminal has not taken the last picture yet.
    is_blocked: bool,
    drawn: Instant,
    /// What the last picture showed.
    shown: u64,
    panic_at: Option<Instant>,
    is_suspended: bool,
    is_over: bool,
    ended_by: Option<Ending>,
}

impl Dashboard {
    fn open(start: Start) -> io::Result<Dashboard> {
        let terminal = rustix::stdio::stdout().as_fd().try_clone_to_owned()?;
        let screen = Screen::take(start.mouse, Writer::start(terminal)?)?;
        let mut snapshots = start.link.snapshots();
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        let opened = Instant::now();
        let background = start.theme_if_light.map(|theme| (screen.ask_background(), theme));
        Ok(Dashboard {
            background,
            theme: start.themes.get(start.theme, start.abilities),
            ui: Ui { can_set: start.settings.is_some(), ..Ui::new(start.abilities, start.theme) },
            link: start.link,
            settings: start.settings,
            snapshots,
            snapshot,
            keymap: start.keymap,
            themes: start.themes,
            screen,
            time_zone: start.time_zone,
            replies: FuturesUnordered::new(),
            opened,
            due: None,
            is_blocked: false,
            drawn: opened,
            shown: 0,
            panic_at: start.panic_after.map(|after| opened + after),
            is_suspended: false,
            is_over: false,
            ended_by: None,
        })
    }

    async fn next_wake(&mut self, events: &mut EventStream, signals: &mut Signals) -> Wake {
        let timer = self.next_timer();
        let panic_at = self.panic_at;
        tokio::select! {
            biased;
            signal = signals.next() => Wake::Signal(signal),
            event = events.next() => Wake::Terminal(event),
            Some(event) = self.replies.next() => Wake::Answered(event),
            changed = self.snapshots.changed() => match changed {
                Ok(()) => Wake::Snapshot,
                Err(_) => Wake::EngineEnded,
            },
            () = self.screen.outlet().done.notified() => Wake::Written,
            () = sleep_until(timer.unwrap_or(self.opened)), if timer.is_some() => Wake::Timer,
            () = sleep_until(panic_at.unwrap_or(self.opened)), if panic_at.is_some() => {
                Wake::PanicTime
            }
        }
    }

    /// The earlier of the next picture and the end of a toast.
    fn next_timer(&self) -> Option<Instant> {
        let picture = self.due.filter(|_| !self.is_blocked && !self.is_suspended);
        let toast = self.ui.toast.as_ref();
        let toast = toast.map(|toast| self.opened + Duration::from_millis(toast.until.millis()));
        picture.into_iter().chain(toast).min()
    }

    fn handle(&mut self, wake: Wake) -> Result<(), TuiError> {
        match wake {
            Wake::Signal(Signal::End(ending)) => self.end_by(ending),
            // Whoever started it knows which engine that was, and says so.
            Wake::EngineEnded => self.is_over = true,
            Wake::Signal(Signal::Stop) => self.suspend(Whole::Process),
            Wake::Signal(Signal::Continue) => self.resume().map_err(TuiError::Terminal)?,
            Wake::Terminal(Some(Ok(event))) => self.hear(event),
            // The line is gone; nobody can be told.
            Wake::Terminal(Some(Err(_)) | None) => self.end_by(Ending::HungUp),
            Wake::Answered(event) => {
                self.tell(event);
                self.soon(Duration::ZERO);
            }
            Wake::Snapshot => {
                self.snapshot = Arc::clone(&self.snapshots.borrow_and_update());
                let toast = self.ui.toast.clone();
                self.tell(UiEvent::SnapshotChanged);
                if self.ui.toast != toast || self.would_differ() {
                    self.soon(PACE);
                }
            }
            Wake::Written => {
                self.is_blocked = false;
                self.is_over |= self.screen.outlet().has_failed();
            }
            Wake::Timer => {
                let had_toast = self.ui.toast.is_some();
                self.tell(UiEvent::Tick);
                if had_toast && self.ui.toast.is_none() {
                    self.soon(Duration::ZERO);
                }
            }
            Wake::PanicTime => panic!("asked to, by --panic-after"),
        }
        Ok(())
    }

    fn end_by(&mut self, ending: Ending) {
        self.is_over = true;
        self.ended_by = Some(ending);
    }

    fn would_differ(&self) -> bool {
        self.drawn.elapsed() >= LONGEST_STILL || fingerprint(&self.snapshot, &self.ui) != self.shown
    }

    /// Events that are already there, so that a storm of them costs one
    /// picture. Polled with this task's own waker: the stream remembers the
    /// first one it is shown.
    async fn drain(&mut self, events: &mut EventStream) -> Result<(), TuiError> {
        for _ in 0..EVENTS_AT_ONCE {
            let next = poll_fn(|context| Poll::Ready(Pin::new(&mut *events).poll_next(context)));
            match next.await {
                Poll::Ready(event) if !self.is_over => self.handle(Wake::Terminal(event))?,
                _ => break,
            }
        }
        Ok(())
    }

    /// What the terminal sends: keys, and among them its answer to whether it
    /// is light.
    fn hear(&mut self, event: Event) {
        let (Event::Key(key), Some((listener, theme))) = (&event, &mut self.background) else {
            return self.take(event);
        };
        match listener.hear(*key, self.opened.elapsed()) {
            Heard::Keys(keys) => keys.into_iter().for_each(|key| self.take(Event::Key(key))),
            Heard::Background { is_light } => {
                let theme = *theme;
                self.background = None;
                if is_light {
                    self.ui.theme = theme;
                    self.theme = self.themes.get(theme, self.ui.abilities);
                    self.soon(Duration::ZERO);
                }
            }
        }
    }

    fn take(&mut self, event: Event) {
        let event = match event {
            Event::Key(key) => {
                let context = Context::of(&self.ui);
                let intent = self.keymap.intent_for(key, context).map(UiEvent::Intent);
                let typed = || {
                    let is_typing = context == Context::Typing && !key.is_release();
                    Key::from(key).typed().filter(|_| is_typing).map(UiEvent::Typed)
                };
                intent.or_else(typed)
            }
            Event::Paste(text) => Some(UiEvent::Pasted(text)),
            Event::FocusGained => Some(UiEvent::Focus(true)),
            Event::FocusLost => Some(UiEvent::Focus(false)),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => Some(UiEvent::Wheel(-WHEEL_ROWS)),
                MouseEventKind::ScrollDown => Some(UiEvent::Wheel(WHEEL_ROWS)),
                MouseEventKind::Down(MouseButton::Left) => {
                    Some(UiEvent::Clicked { x: mouse.column, y: mouse.row })
                }
                _ => None,
            },
            Event::Resize(..) => {
                self.screen.resize();
                self.soon(RESIZE_PACE);
                None
            }
        };
        if let Some(event) = event {
            let is_silent = matches!(event, UiEvent::Focus(_));
            self.tell(event);
            if !is_silent {
                self.soon(Duration::ZERO);
            }
        }
    }

    /// Tells the gaze and does what it asks.
    fn tell(&mut self, event: UiEvent) {
        for effect in self.ui.update(event, &self.snapshot, self.now()) {
            match effect {
                UiEffect::Send(command, purpose) => self.send(command, purpose),
                UiEffect::ProposeSetting(change, number) => self
                    .ask_door(move |door| UiEvent::SettingProposed(number, door.propose(&change))),
                UiEffect::WriteSetting { token, number } => {
                    self.ask_door(move |door| UiEvent::SettingWritten(number, door.write(token)));
                }
                UiEffect::NextTheme => self.next_theme(),
                UiEffect::Suspend => self.suspend(Whole::Job),
                UiEffect::Quit => self.is_over = true,
            }
        }
    }

    fn send(&mut self, command: Command, purpose: Purpose) {
        match self.link.send(command) {
            Ok(reply) => self.replies.push(Box::pin(async move {
                match reply.await {
                    Ok(reply) => UiEvent::Replied(purpose, reply),
                    Err(_) => UiEvent::NotSent(purpose, SendError::Ended),
                }
            })),
            Err(error) => {
                let event = UiEvent::NotSent(purpose, error);
                // A refusal asks for nothing: what it leaves undone comes with
                // the next event.
                let _nothing = self.ui.update(event, &self.snapshot, self.now());
            }
        }
    }

    /// A file is read and written away from the screen's own task. Nothing is
    /// asked where there is no door: no key leads here then.
    fn ask_door(&mut self, ask: impl FnOnce(&dyn SettingDoor) -> UiEvent + Send + 'static) {
        let Some(door) = self.settings.clone() else { return };
        let asked = spawn_blocking(move || ask(door.as_ref()));
        self.replies.push(Box::pin(async move {
            // Only a panic there leaves nothing to tell, and that ends the screen.
            asked.await.unwrap_or(UiEvent::Tick)
        }));
    }

    fn next_theme(&mut self) {
        // Chosen by hand: what the terminal says no longer counts.
        if let Some((_, theme)) = &mut self.background {
            *theme = (self.ui.theme + 1) % self.themes.count();
        }
        self.ui.theme = (self.ui.theme + 1) % self.themes.count();
        self.theme = self.themes.get(self.ui.theme, self.ui.abilities);
        let text = format!("theme {}", self.theme.name);
        let now = self.now();
        self.ui.say(Tone::Neutral, text, now);
    }

    fn now(&self) -> Monotonic {
        Monotonic::default().plus(self.opened.elapsed())
    }

    /// A picture, not sooner than `pace` after the last one.
    fn soon(&mut self, pace: Duration) {
        let at = self.drawn + pace;
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn draw_if_due(&mut self) -> Result<(), TuiError> {
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if !is_due || self.is_suspended || self.is_over {
            return Ok(());
        }
        if !self.screen.outlet().is_open() {
            // Only a panic elsewhere closes it behind this loop's back.
            return Err(TuiError::Panicked);
        }
        let scene = Scene {
            ui: &self.ui,
            snapshot: &self.snapshot,
            keymap: &self.keymap,
            theme: &self.theme,
            time_zone: &self.time_zone,
        };
        let mut sight = None;
        let drawn = self.screen.draw(|frame| sight = Some(views::draw(frame, &scene)));
        match drawn.map_err(TuiError::Terminal)? {
            Drawn::Busy => self.is_blocked = true,
            Drawn::Done => {
                self.due = None;
                self.drawn = Instant::now();
                self.ui.sight = sight.unwrap_or_default();
                self.shown = fingerprint(&self.snapshot, &self.ui);
            }
        }
        Ok(())
    }

    /// Gives the terminal back and stops; goes on when continued.
    fn suspend(&mut self, whole: Whole) {
        self.screen.leave();
        self.is_suspended = true;
        let stopped = match whole {
            Whole::Process => kill_process(getpid(), RawSignal::STOP),
            // As the terminal itself would: a wrapper around us stops too.
            Whole::Job => kill_current_process_group(RawSignal::STOP),
        };
        if stopped.is_err() {
            // Not stopped, so nobody will continue us.
            self.is_over = self.resume().is_err();
        }
    }

    /// Also after a stop that could not be seen coming.
    fn resume(&mut self) -> io::Result<()> {
        self.is_suspended = false;
        self.screen.enter()?;
        self.due = Some(Instant::now());
        Ok(())
    }
}

/// What is stopped.
#[derive(Clone, Copy)]
enum Whole {
    Process,
    Job,
}
