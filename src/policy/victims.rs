//! Who may be taken away, who stays and why, and who goes first.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::component::FootprintSource;
use crate::domain::model::{Activity, Expiry, ModelState};
use crate::domain::plan::Kept;
use crate::domain::time::Span;
use crate::domain::{
    Action, Bytes, Component, Deed, Footprint, ModelName, ModelView, Moment, Priority, Step,
    Strength,
};

/// Idle times are compared in minutes: nearer than that, priority decides.
const IDLE_STEP: u64 = 60;

/// "At least" so little says nothing.
const UNTOLD: Duration = Duration::from_secs(10);

/// What the machine carries, as far as it can be taken off.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    pub models: &'a [ModelView],
    pub components: &'a [Component],
    /// Models that rules leave alone, and why.
    pub spared: &'a BTreeMap<ModelName, String>,
    pub now: Moment,
}

/// How far a plan may go, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub strength: Strength,
    /// A rule: never takes what is critical, nor busy models unless `busy`.
    pub by_rule: bool,
    pub busy: bool,
    /// Only what holds memory of a graphics card would help.
    pub vram_only: bool,
}

impl Reach {
    /// What a person asked for.
    pub const fn of_person(strength: Strength) -> Reach {
        Reach { strength, by_rule: false, busy: true, vram_only: false }
    }
}

/// One that may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Victim<'a> {
    who: Who<'a>,
    now: Moment,
}

#[derive(Debug, Clone, Copy)]
enum Who<'a> {
    Model(&'a ModelView),
    Component(&'a Component, &'a Deed),
}

/// Those within reach, least harm first; and those that stay, by name.
pub(super) fn victims<'a>(load: &Load<'a>, reach: Reach) -> (Vec<Victim<'a>>, Vec<Kept>) {
    let (mut victims, mut kept) = (Vec::new(), Vec::new());
    let now = load.now;
    let mut sort = |name: &str, found: Result<Who<'a>, String>| match found {
        Ok(who) => victims.push(Victim { who, now }),
        Err(reason) => kept.push(Kept { name: name.to_owned(), reason }),
    };
    for model in load.models.iter().filter(|model| !model.is_remote && !model.is_cloud) {
        let stays = why_it_stays(model, reach)
            .or_else(|| load.spared.get(&model.name).filter(|_| reach.by_rule).cloned());
        sort(model.name.short(), stays.map_or(Ok(Who::Model(model)), Err));
    }
    for component in load.components.iter().filter(|component| !component.allowed.is_empty()) {
        let found = deed_within(component, reach).map(|deed| Who::Component(component, deed));
        sort(&component.name, found);
    }
    victims.sort_by_key(Victim::harm);
    (victims, kept)
}

/// Why a model stays; `None`: it may go.
pub fn why_it_stays(model: &ModelView, reach: Reach) -> Option<String> {
    match &model.state {
        ModelState::Loading { .. } => return Some("it is loading".into()),
        ModelState::Unloading { .. } => return Some("it is unloading already".into()),
        ModelState::Stuck { .. } => return Some("it is stuck: end its runner".into()),
        ModelState::Unconfirmed { .. } => {
            return Some("it was asked already, and nobody can see what keeps it".into());
        }
        ModelState::Ready | ModelState::Gone { .. } => {}
    }
    if model.pinned {
        return Some("pinned".into());
    }
    if reach.vram_only && model.vram.is_some_and(Bytes::is_zero) {
        return Some("it holds nothing on the graphics card".into());
    }
    let takes_busy = reach.strength == Strength::Force && reach.busy;
    match model.activity {
        Activity::Busy if !takes_busy => return Some("busy".into()),
        Activity::Unknown if !takes_busy => {
            return Some("nobody can say whether it is busy".into());
        }
        _ => {}
    }
    protects(model.priority, reach).then(|| format!("priority {}", model.priority))
}

/// A rule never takes what is critical; a person may, by force.
fn protects(priority: Priority, reach: Reach) -> bool {
    match (reach.strength, priority) {
        (Strength::Light, Priority::High | Priority::Critical) => true,
        (Strength::Aggressive, Priority::Critical) => true,
        (Strength::Force, Priority::Critical) => reach.by_rule,
        _ => false,
    }
}

/// The first deed of the config's list that a strength goes as far as, or why
/// there is none.
fn deed_within(component: &Component, reach: Reach) -> Result<&Deed, String> {
    if component.pinned {
        return Err("pinned".into());
    }
    if component.process.is_none() && component.target.is_none() {
        return Err("it is not running".into());
    }
    if reach.vram_only {
        return Err("it is not known to hold memory of the graphics card".into());
    }
    if protects(component.priority, reach) {
        return Err(format!("priority {}", component.priority));
    }
    let state = component.state.as_deref().unwrap_or_default();
    let is_done = |deed: &Deed| match deed {
        Deed::Pause => state.contains("paused"),
        Deed::Limit { .. } => state.contains("limited"),
        // It comes after, and takes nothing away.
        deed => deed.takes_back(),
    };
    let mut left = component.allowed.iter().filter(|deed| !is_done(deed)).peekable();
    if left.peek().is_none() {
        return Err(format!("it is {state} already"));
    }
    let within = left.find(|deed| gentlest(deed).is_some_and(|least| least <= reach.strength));
    within.ok_or_else(|| {
        let takes = component.allowed.iter().filter(|deed| !deed.takes_back());
        let allowed: Vec<&str> = takes.map(Deed::verb).collect();
        let strength = reach.strength.word();
        format!("{} goes beyond {strength}", allowed.join(", "))
    })
}

/// The gentlest strength that goes as far: what stops growth at light, what
/// cuts work off and comes back at aggressive, what does not come back at
/// force. `None`: no strength does; KILL is the kill switch's alone.
const fn gentlest(deed: &Deed) -> Option<Strength> {
    match deed {
        Deed::Command { .. } | Deed::Pause | Deed::Limit { .. } => Some(Strength::Light),
        Deed::Restart | Deed::Stop => Some(Strength::Aggressive),
        Deed::Term => Some(Strength::Force),
        Deed::Kill | Deed::Resume | Deed::Unlimit { .. } | Deed::Load { .. } => None,
    }
}

impl<'a> Victim<'a> {
    /// A model, whether or not it may go.
    pub(super) fn of(model: &'a ModelView, now: Moment) -> Self {
        Victim { who: Who::Model(model), now }
    }

    /// Sorts least harm first; the name settles what is left, so that the
    /// order of the lists never matters.
    fn harm(&self) -> impl Ord + use<> {
        let held = self.bytes();
        let (is_busy, has_expired, idle, priority, name) = match self.who {
            Who::Model(model) => (
                model.activity != Activity::Idle,
                matches!(model.expires, Some(Expiry::At(at)) if at <= self.now.wall),
                idle(model, self.now).as_secs() / IDLE_STEP,
                model.priority,
                model.name.as_str(),
            ),
            Who::Component(component, deed) => {
                // When it was used last nobody can say: as if just now. What
                // ends it comes after all that only goes idle.
                (deed.ends(), false, 0, component.priority, component.id.as_str())
            }
        };
        (is_busy, !has_expired, Reverse(idle), priority, Reverse(held), name.to_owned())
    }

    /// What its going gives back, for the sum against a target.
    pub(super) fn bytes(&self) -> Bytes {
        match self.who {
            Who::Model(model) => model.held().unwrap_or_default(),
            Who::Component(..) => {
                self.expected().map(|footprint| footprint.bytes).unwrap_or_default()
            }
        }
    }

    pub(super) fn name(&self) -> &'a str {
        match self.who {
            Who::Model(model) => model.name.short(),
            Who::Component(component, _) => &component.name,
        }
    }

    pub(super) fn model(&self) -> Option<&'a ModelView> {
        match self.who {
            Who::Model(model) => Some(model),
            Who::Component(..) => None,
        }
    }

    fn expected(&self) -> Option<Footprint> {
        match self.who {
            Who::Model(model) => expected(model),
            Who::Component(component, deed) => expected_of(component, deed),
        }
    }

    /// `why` goes before what is known of it.
    pub(super) fn step(&self, why: Option<&str>) -> Option<Step> {
        let before = why.map(|why| format!("{why}; ")).unwrap_or_default();
        let (action, reason) = match self.who {
            Who::Model(model) => {
                (Action::Unload { model: model.name.clone() }, reason(model, self.now))
            }
            Who::Component(component, deed) => (
                Action::Component {
                    id: component.id.clone(),
                    name: component.name.clone(),
                    target: component.target.clone()?,
                    deed: deed.clone(),
                },
                format!("{}, priority {}", component.kind.word(), component.priority),
            ),
        };
        Some(Step { action, expected: self.expected(), reason: format!("{before}{reason}") })
    }
}

pub(super) fn idle(model: &ModelView, now: Moment) -> Duration {
    model.idle.map_or(Duration::ZERO, |idle| now.since(idle.since))
}

/// What unloading should give back: measured first, else as reported.
pub fn expected(model: &ModelView) -> Option<Footprint> {
    let measured = model.measured.map(|(bytes, _)| (bytes, FootprintSource::Measured));
    let reported = model.reported.map(|bytes| (bytes, FootprintSource::Reported));
    measured.or(reported).map(|(bytes, source)| Footprint { bytes, source })
}

/// A pause gives nothing back, nor does a limit, which is never set below what
/// is used: they only stop growth. What a command does only its owner can say.
fn expected_of(component: &Component, deed: &Deed) -> Option<Footprint> {
    match deed {
        Deed::Pause | Deed::Limit { .. } => {
            component.footprint.map(|known| Footprint { bytes: Bytes::ZERO, ..known })
        }
        Deed::Command { .. } => None,
        _ => component.footprint,
    }
}

fn reason(model: &ModelView, now: Moment) -> String {
    let doing = match (model.activity, &model.idle) {
        (Activity::Busy, _) => "busy".to_owned(),
        (Activity::Unknown, _) => "activity unknown".to_owned(),
        (Activity::Idle, Some(idle)) => {
            let span = now.since(idle.since);
            match idle.at_least {
                // Only just looked at: since when nobody knows.
                true if span < UNTOLD => "idle".to_owned(),
                true => format!("idle at least {}", Span(span)),
                false => format!("idle {}", Span(span)),
            }
        }
        (Activity::Idle, None) => "idle".to_owned(),
    };
    let pinned = if model.pinned { ", pinned" } else { "" };
    format!("{doing}, priority {}{pinned}", model.priority)
}
