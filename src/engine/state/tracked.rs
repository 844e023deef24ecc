//! What is known of one model beside what its server lists: whether it works,
//! since when it is idle, and how its leaving goes.

use std::time::Duration;

use crate::domain::model::{Activity, Expiry, Idle, ModelState};
use crate::domain::process::MeasuredSource;
use crate::domain::{Bytes, LoadedModel, Moment, Monotonic, Process, ProcessKey};
use crate::forecast::growth::Growth;

use super::loads::Observed;

/// More processor time than this share of a core is work.
const BUSY_SHARE: f64 = 0.05;

/// Processor time counts in hundredths of a second: over a shorter span one
/// tick would look like work.
const BUSY_SPAN: Duration = Duration::from_millis(900);

/// Expiry moved by less is rounding.
const EXPIRY_MOVED: Duration = Duration::from_millis(500);

/// The server's list follows a runner's end by up to 300 ms (recorded); a
/// model listed longer than this after it has lost its runner.
const STILL_LISTED: Duration = Duration::from_millis(600);

/// Pages that a load drives out still go out a moment after it is done.
const CHARGED_FOR: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Tracked {
    /// As the server last listed it; `None` while loading or once it left.
    pub(super) listed: Option<LoadedModel>,
    pub(super) runner: Option<ProcessKey>,
    pub(super) held: Option<(Bytes, MeasuredSource)>,
    pub(super) state: ModelState,
    pub(super) activity: Activity,
    pub(super) idle: Idle,
    /// In so many lists to come a moved expiry is our own doing, not use.
    pub(super) own_lists: u8,
    /// A person asked for its unload, and it was not used again since.
    pub(super) was_asked: bool,
    /// Its runner works: by processor time, whatever its expiry says.
    pub(super) is_working: bool,
    /// Off the server's list since, while its runner is still there.
    pub(super) unlisted_at: Option<Moment>,
    /// On its way out, and its runner has done nothing since.
    pub(super) quiet_since: Option<Monotonic>,
    /// The most its runner held since it began to leave, or before it died:
    /// pages come back before the process ends.
    pub(super) held_before: Option<(Bytes, MeasuredSource)>,
    /// Its runner has not been seen since.
    pub(super) missing_since: Option<Moment>,
    /// The expiry it was last listed with.
    pub(super) last_expiry: Option<Expiry>,
    pub(super) cpu: Option<(Monotonic, Duration)>,
    /// What its runner held when it was first seen ready.
    at_first: Option<Bytes>,
    /// Swap in use just before it was loaded, while it is being charged.
    swap_before: Option<Bytes>,
    /// It has been loaded since.
    ready_at: Option<Monotonic>,
    /// By how much swap grew while it was loaded: what it pushed out.
    pub(super) swap_growth: Option<Bytes>,
    /// What this load was seen to take.
    pub(super) observed: Option<Box<Observed>>,
    /// What its memory does over minutes.
    pub(super) course: Growth,
}

impl Tracked {
    pub(super) fn new(state: ModelState, now: Moment) -> Self {
        Tracked {
            listed: None,
            runner: None,
            held: None,
            state,
            activity: Activity::Unknown,
            idle: Idle { since: now, at_least: true },
            own_lists: 0,
            was_asked: false,
            is_working: false,
            unlisted_at: None,
            quiet_since: None,
            held_before: None,
            missing_since: None,
            last_expiry: None,
            cpu: None,
            at_first: None,
            swap_before: None,
            ready_at: None,
            swap_growth: None,
            observed: None,
            course: Growth::new(),
        }
    }

    pub(super) fn is_changing(&self) -> bool {
        !matches!(self.state, ModelState::Ready)
            || self.missing_since.is_some()
            || self.unlisted_at.is_some()
    }

    pub(super) fn expiry_is_past(&self, now: Moment) -> bool {
        matches!(self.listed.as_ref().and_then(|listed| listed.expires),
            Some(Expiry::At(at)) if at <= now.wall)
    }

    /// Bytes of system memory by the best figure.
    pub(super) fn held_bytes(&self) -> Option<Bytes> {
        if let ModelState::Gone { .. } = self.state {
            return Some(Bytes::ZERO);
        }
        let reported = self.listed.as_ref().and_then(|listed| listed.reported);
        self.held.map(|(bytes, _)| bytes).or(reported)
    }
}

impl Tracked {
    /// Charges it with what swap grows by while it is loaded. `before`: the
    /// least in use over the last seconds.
    pub(super) fn charge_swap(&mut self, (before, used): (Bytes, Bytes), now: Monotonic) {
        if let ModelState::Loading { .. } = self.state {
            self.swap_before.get_or_insert(before);
        }
        let Some(before) = self.swap_before else { return };
        if let ModelState::Ready = self.state {
            let since = *self.ready_at.get_or_insert(now);
            if now.since(since) > CHARGED_FOR {
                self.swap_before = None;
                return;
            }
        }
        self.swap_growth = self.swap_growth.max(used.checked_sub(before).filter(|b| !b.is_zero()));
    }

    pub(super) fn follow_growth(&mut self) {
        if self.listed.is_some() && matches!(self.state, ModelState::Ready) {
            self.at_first = self.at_first.or(self.held.map(|(bytes, _)| bytes));
        }
    }

    /// Another runner carries it.
    pub(super) fn forget_growth(&mut self) {
        self.at_first = None;
        self.course.restart();
    }

    /// What its runner took since it was loaded, beyond what its server tells
    /// of: buffers are filled by the first prompts, and that is no growth.
    pub(super) fn growth(&self) -> Option<Bytes> {
        let reported = self.listed.as_ref().and_then(|listed| listed.reported);
        let (held, _) = self.held?;
        held.checked_sub(self.at_first?.max(reported.unwrap_or_default()))
    }

    /// Named only by the weights its runner carries, which another name may
    /// carry too.
    pub(super) fn is_guess(&self) -> bool {
        self.listed.is_none() && matches!(self.state, ModelState::Loading { .. })
    }

    /// A moved expiry is use, unless it is our own keep or the server's mark
    /// of an unload.
    pub(super) fn follow_expiry(&mut self, expires: Option<Expiry>, now: Moment) {
        let old = self.listed.as_ref().and_then(|listed| listed.expires);
        if !has_moved(old, expires) {
            self.own_lists = self.own_lists.saturating_sub(1);
            return;
        }
        let is_past = matches!(expires, Some(Expiry::At(at)) if at <= now.wall);
        if std::mem::take(&mut self.own_lists) > 0 || is_past {
            return;
        }
        self.idle = Idle { since: now, at_least: false };
        if self.was_asked {
            // Used again with a keep of its own: that cancels the unload.
            self.stays();
            self.state = ModelState::Ready;
        }
    }

    /// Still listed, and its runner has been missing for longer than a list
    /// takes to follow.
    pub(super) fn follow_death(&mut self, now: Moment) {
        let is_dead = self.missing_since.is_some_and(|since| now.since(since) >= STILL_LISTED);
        if is_dead && !matches!(self.state, ModelState::Gone { .. } | ModelState::Loading { .. }) {
            self.state = ModelState::Gone { since: now };
            self.note_held();
            self.held = None;
        }
    }

    /// Working is more than 5 % of a core, over a span long enough to tell.
    pub(super) fn follow_work(&mut self, runner: &Process, now: Moment) {
        let Some(cpu) = runner.cpu else { return };
        let Some((since, before)) = self.cpu else {
            self.cpu = Some((now.mono, cpu));
            return;
        };
        let span = now.mono.since(since);
        if span >= BUSY_SPAN {
            self.cpu = Some((now.mono, cpu));
            let used = cpu.saturating_sub(before).as_secs_f64();
            self.is_working = used > span.as_secs_f64() * BUSY_SHARE;
        }
    }

    /// Asked to leave, from now on.
    pub(super) fn leaves(&mut self, now: Moment) {
        self.was_asked = true;
        self.state = ModelState::Unloading { since: now, still_generating: self.is_working };
        self.note_held();
    }

    /// Whatever it was asked, it is not leaving.
    pub(super) fn stays(&mut self) {
        self.was_asked = false;
        self.quiet_since = None;
        self.held_before = None;
    }

    pub(super) fn note_held(&mut self) {
        let larger = |(held, _): &(Bytes, MeasuredSource)| {
            self.held_before.is_none_or(|(before, _)| *held > before)
        };
        self.held_before = self.held.filter(larger).or(self.held_before);
    }

    /// On its way out: is it its work that keeps it? Where nobody can say, it
    /// is never called quiet.
    pub(super) fn follow_leaving(&mut self, is_known: bool, now: Moment) {
        if let ModelState::Unloading { still_generating, .. } = &mut self.state {
            *still_generating = self.is_working;
        }
        let is_leaving = self.was_asked || self.unlisted_at.is_some();
        if is_leaving {
            self.note_held();
        }
        if !is_leaving || self.is_working || !is_known {
            self.quiet_since = None;
        } else {
            self.quiet_since.get_or_insert(now.mono);
        }
    }
}

fn has_moved(old: Option<Expiry>, new: Option<Expiry>) -> bool {
    match (old, new) {
        (Some(Expiry::At(old)), Some(Expiry::At(new))) => {
            new.duration_since(old).unsigned_abs() > EXPIRY_MOVED
        }
        (old, new) => old != new,
    }
}
