//! What a guard passes on: each event once, standing bad news, the level to
//! the service manager. Keeps count of what is under way.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

use crate::act::service::notify::Notifier;
use crate::assemble::reload::{FAULT as CONFIG_FAULT, Reread};
use crate::assemble::{Began, Running};
use crate::cli::document::Document;
use crate::cli::exit::ExitCode;
use crate::cli::facts::write_json_line;
use crate::cli::status::json::{EventStatus, SetBy};
use crate::domain::snapshot::{EVENTS_KEPT, Snapshot};
use crate::domain::{ActionId, Event, EventBody, EventKind, Level};

use super::lines::{Lines, Weight};
use super::log::Log;

/// A folder that hangs keeps no signal waiting for longer.
const REREAD: Duration = Duration::from_secs(5);

pub struct Watch {
    snapshots: Receiver<Arc<Snapshot>>,
    log: Log,
    lines: Lines,
    notifier: Notifier,
    /// The number of the next event to tell.
    next: u64,
    /// Actions without an outcome, in words.
    under_way: BTreeMap<ActionId, String>,
    /// Standing bad news that was told: what about, and the words.
    notices: Vec<(String, String)>,
    level: Option<Level>,
    /// What was done or would have been, at most as many as a snapshot has.
    deeds: Vec<Event>,
}

/// The answer of a single decision.
#[derive(Serialize)]
struct Decision {
    schema_version: u32,
    level: Level,
    set_by: Option<SetBy>,
    events: Vec<EventStatus>,
}

impl Watch {
    pub fn new(running: &Running, (log, lines): (Log, Lines), notifier: Notifier) -> Watch {
        Watch {
            snapshots: running.link.snapshots(),
            log,
            lines,
            notifier,
            next: running.began().map_or(0, |began| began.first_event),
            under_way: BTreeMap::new(),
            notices: Vec::new(),
            level: None,
            deeds: Vec::new(),
        }
    }

    /// The first line, and word to the service manager.
    pub fn begin(&mut self, running: &Running) {
        if let Some(began) = running.began() {
            self.own(Weight::Notice, &beginning(began));
        }
        self.notifier.tell("READY=1");
        self.tell();
    }

    /// Whether there is something new; `false`: the engine has ended.
    pub async fn changed(&mut self) -> bool {
        self.snapshots.changed().await.is_ok()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// Opens the log anew and has the config read again; a wrong one is told
    /// and changes nothing.
    pub async fn reload(&mut self, running: &Running) {
        self.log.reopen();
        self.notifier.tell("RELOADING=1");
        let reread = match running.reloading() {
            Some(reloading) => timeout(REREAD, reloading.reload_now()).await.ok().flatten(),
            None => None,
        };
        match reread {
            Some(Reread::Taken { note, .. }) => self.own(Weight::Notice, &note),
            Some(Reread::Refused { fault }) => {
                self.own(Weight::Warning, &format!("config refused: {fault}"));
                // It becomes a notice as well, and is not said twice.
                self.notices.retain(|(about, _)| about != CONFIG_FAULT);
                self.notices.push((CONFIG_FAULT.to_owned(), fault));
            }
            None => self.own(Weight::Warning, "the config was not read again: no answer"),
        }
        self.notifier.tell("READY=1");
    }

    /// Passes on what is new.
    pub fn tell(&mut self) {
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
        let events = &snapshot.events.value;
        if let Some(first) = events.front().filter(|first| first.seq > self.next && self.next > 0) {
            let text = format!("{} events went by too fast", first.seq - self.next);
            self.own(Weight::Warning, &text);
        }
        let new = events.partition_point(|event| event.seq < self.next);
        for event in events.iter().skip(new) {
            self.log.line(self.lines.event(event));
            self.follow(event);
            self.next = event.seq + 1;
        }
        self.tell_notices(&snapshot);
        if self.level != Some(snapshot.level.level) {
            self.level = Some(snapshot.level.level);
            self.notifier.tell(&format!("STATUS=level {}", level(&snapshot)));
        }
    }

    fn follow(&mut self, event: &Event) {
        match &event.body {
            EventBody::ActionStarted { id, action, .. } => {
                let words = format!("{} {}", action.verb(), action.subject());
                self.under_way.insert(*id, words);
            }
            EventBody::ActionEnded { id, .. } => drop(self.under_way.remove(id)),
            _ => {}
        }
        if event.body.kind() == EventKind::Action && self.deeds.len() < EVENTS_KEPT {
            self.deeds.push(event.clone());
        }
    }

    fn tell_notices(&mut self, snapshot: &Snapshot) {
        let now: Vec<(String, String)> = snapshot
            .notices
            .iter()
            .map(|notice| (notice.about.clone(), notice.text.clone()))
            .collect();
        if now == self.notices {
            return;
        }
        let before = std::mem::replace(&mut self.notices, now.clone());
        for (about, text) in now.iter().filter(|notice| !before.contains(notice)) {
            self.own(Weight::Warning, &format!("notice {about}: {text}"));
        }
        let is_over = |about: &String| !now.iter().any(|(still, _)| still == about);
        for (about, _) in before.iter().filter(|(about, _)| is_over(about)) {
            self.own(Weight::Plain, &format!("notice {about}: over"));
        }
    }

    fn own(&mut self, weight: Weight, text: &str) {
        let time = self.snapshots.borrow().at.wall;
        self.log.line(self.lines.own(weight, time, text));
    }

    pub fn is_quiet(&self) -> bool {
        let snapshot = self.snapshots.borrow();
        let is_planning = snapshot.plan.as_ref().is_some_and(|plan| plan.ended.is_none());
        self.under_way.is_empty() && !is_planning
    }

    /// What is under way, in words; empty if nothing is.
    fn unfinished(&self) -> String {
        self.under_way.values().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    pub fn stopping(&self) {
        self.notifier.tell("STOPPING=1");
    }

    /// What was decided and what came of it, and the level's code.
    pub fn report(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = self.snapshot();
        writeln!(out, "level {}", level(&snapshot))?;
        for event in &self.deeds {
            writeln!(out, "{} {}", event.body.title(), event.body.text())?;
        }
        if !self.is_quiet() {
            writeln!(out, "still under way: {}", self.unfinished())?;
        }
        out.flush()?;
        Ok(ExitCode::from(snapshot.level.level))
    }

    /// The same for programs.
    pub fn report_json(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let snapshot = self.snapshot();
        let set_by = snapshot.level.set_by.clone();
        let decision = Decision {
            schema_version: Document::GuardOnce.version(),
            level: snapshot.level.level,
            set_by: set_by.map(|cause| SetBy { signal: cause.signal, text: cause.text }),
            events: self.deeds.iter().map(EventStatus::of).collect(),
        };
        write_json_line(out, &decision)?;
        out.flush()?;
        Ok(ExitCode::from(snapshot.level.level))
    }

    /// The last line. What is under way is on disk, and the next start sees
    /// what became of it.
    pub fn end(mut self, result: &Result<ExitCode>) {
        self.tell();
        let why = match result {
            Ok(code) => code.meaning().to_owned(),
            Err(error) => format!("{error:#}"),
        };
        let text = match self.under_way.is_empty() {
            true => format!("guard ends: {why}"),
            false => format!("guard ends: {why}; under way: {}", self.unfinished()),
        };
        self.own(Weight::Notice, &text);
        self.log.close();
    }
}

fn beginning(began: &Began) -> String {
    let rules = &began.regime.rules;
    let level = |level: Level| format!("{level} {}", rules.at(level).mode);
    let mut modes = Level::ALL.map(level).to_vec();
    modes.extend(rules.kill_switch.map(|switch| format!("kill switch {}", switch.mode)));
    let lock = match &began.lock {
        Some(lock) => lock.display().to_string(),
        None => "none, this is no real machine".to_owned(),
    };
    format!(
        "guard begins: plimsoll {}; profile {} ({}); rules: {}; lock {lock}",
        env!("CARGO_PKG_VERSION"),
        began.regime.profile.name,
        began.regime.profile.why,
        modes.join(", "),
    )
}

fn level(snapshot: &Snapshot) -> String {
    match &snapshot.level.set_by {
        Some(cause) => format!("{}: {}", snapshot.level.level, cause.text),
        None => snapshot.level.level.to_string(),
    }
}
