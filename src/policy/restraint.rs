//! When a rule holds back: after the start, after an action, after a refusal,
//! and from a model that comes back each time. The past as a value.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::domain::time::Span;
use crate::domain::{Level, ModelName, Monotonic};

use super::rules::Rules;

/// A model loaded anew so soon after a rule unloaded it was wanted.
const WANTED_WITHIN: Duration = Duration::from_secs(300);

/// So often in [`WANTED_WITHIN`], and it is left alone for as long.
const COMES_BACK: usize = 3;

/// One that was asked and stays is left alone for so long, twice as long each
/// time: it must not hold up the others, nor be asked again and again.
const STAYED: Duration = Duration::from_secs(60);

/// The same is not said more often: what has not changed is no news.
const SAID_AGAIN: Duration = Duration::from_secs(60);

/// What a rule's holding back remembers.
#[derive(Debug, Clone, Default)]
pub struct Restraint {
    started: Option<Monotonic>,
    /// When the last action by rule ended, and at which level it was begun.
    last: Option<(Monotonic, Level)>,
    /// What was said last, and when.
    said: Option<(Monotonic, String)>,
    /// Unloads by rule not yet known to be unwanted.
    unloaded: BTreeMap<ModelName, Monotonic>,
    came_back: BTreeMap<ModelName, VecDeque<Monotonic>>,
    spared: BTreeMap<ModelName, Monotonic>,
    /// By component id: what was asked in vain, when, and how long it is left
    /// alone for that.
    stayed: BTreeMap<String, (Monotonic, Duration)>,
}

impl Restraint {
    /// The first full sample.
    pub fn start(&mut self, now: Monotonic) {
        self.started.get_or_insert(now);
    }

    /// After a gap, as sleep, nothing is known any more: the grace begins anew.
    pub fn start_again(&mut self, now: Monotonic) {
        self.started = self.started.map(|_| now);
    }

    /// Why no rule may act now; `None`: it may. A pause holds for the level it
    /// was begun at: a worse one need not wait.
    pub fn why_it_waits(&self, rules: &Rules, level: Level, now: Monotonic) -> Option<String> {
        let Some(started) = self.started else { return Some("for a first sample".into()) };
        let rest = |since: Monotonic, span: Duration| {
            Some(span.saturating_sub(now.since(since))).filter(|rest| !rest.is_zero())
        };
        if let Some(rest) = rest(started, rules.grace) {
            return Some(format!("another {} after the start", Span(rest)));
        }
        let (ended, at) = self.last?;
        let rest = rest(ended, rules.pause).filter(|_| level <= at)?;
        Some(format!("another {} after the last action", Span(rest)))
    }

    /// An action by rule has ended.
    pub fn acted(&mut self, level: Level, now: Monotonic) {
        self.last = Some((now, level));
    }

    /// Whether this is news; if so it counts as said.
    pub fn is_news(&mut self, text: &str, now: Monotonic) -> bool {
        let is_old = self.said.as_ref().is_some_and(|(at, said)| {
            said == text || now.since(*at) < SAID_AGAIN && !self.is_after_action(*at)
        });
        if !is_old {
            self.said = Some((now, text.to_owned()));
        }
        !is_old
    }

    fn is_after_action(&self, at: Monotonic) -> bool {
        self.last.is_some_and(|(ended, _)| ended > at)
    }

    /// Another level: what is said next is news.
    pub fn level_changed(&mut self) {
        self.said = None;
    }

    /// A rule's unload came true.
    pub fn unloaded(&mut self, model: &ModelName, now: Monotonic) {
        self.unloaded.insert(model.clone(), now);
    }

    /// A model was loaded by somebody else. True: it came back so often that
    /// it is left alone from now on.
    pub fn loaded(&mut self, model: &ModelName, now: Monotonic) -> bool {
        let unloaded = self.unloaded.remove(model);
        if unloaded.is_none_or(|at| now.since(at) >= WANTED_WITHIN) {
            return false;
        }
        let times = self.came_back.entry(model.clone()).or_default();
        times.push_back(now);
        times.retain(|at| now.since(*at) < WANTED_WITHIN);
        if times.len() < COMES_BACK {
            return false;
        }
        times.clear();
        self.spared.insert(model.clone(), now);
        true
    }

    /// A rule asked in vain; `id`: a component's.
    pub fn stayed(&mut self, id: &str, now: Monotonic) {
        self.stayed.retain(|_, (since, _)| now.since(*since) < WANTED_WITHIN * 2);
        let before = self.stayed.get(id).map(|(_, span)| *span * 2);
        let span = before.map_or(STAYED, |span| span.min(WANTED_WITHIN));
        self.stayed.insert(id.to_owned(), (now, span));
    }

    /// It obeyed.
    pub fn obeyed(&mut self, id: &str) {
        self.stayed.remove(id);
    }

    /// Why rules leave it alone after asking in vain; `None`: they do not.
    pub fn why_left_alone(&self, id: &str, now: Monotonic) -> Option<String> {
        let (since, span) = self.stayed.get(id)?;
        let span = Some(*span).filter(|span| now.since(*since) < *span)?;
        Some(format!("it was asked and stays: left alone for {}", Span(span)))
    }

    /// Models left alone, and why.
    pub fn spared(&mut self, now: Monotonic) -> BTreeMap<ModelName, String> {
        self.spared.retain(|_, since| now.since(*since) < WANTED_WITHIN);
        let why = || {
            let span = Span(WANTED_WITHIN);
            format!("it came back {COMES_BACK} times in {span}: left alone for as long")
        };
        self.spared.keys().map(|model| (model.clone(), why())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_millis(seconds * 1000)
    }

    #[test]
    fn a_rule_waits_after_the_start_and_after_an_action() {
        let rules = Rules::plain();
        let mut restraint = Restraint::default();
        let may = |restraint: &Restraint, level, second| {
            restraint.why_it_waits(&rules, level, at(second)).is_none()
        };
        assert!(!may(&restraint, Level::Emergency, 0));
        restraint.start(at(1));
        assert!(!may(&restraint, Level::Emergency, 5));
        assert!(may(&restraint, Level::Warning, 6));
        restraint.acted(Level::Warning, at(10));
        assert!(!may(&restraint, Level::Warning, 24));
        assert!(may(&restraint, Level::Critical, 11), "a worse level does not wait");
        assert!(may(&restraint, Level::Warning, 25));
    }

    #[test]
    fn the_same_is_said_once_and_another_thing_not_at_once() {
        let mut restraint = Restraint::default();
        assert!(restraint.is_news("a", at(0)));
        assert!(!restraint.is_news("a", at(500)));
        assert!(restraint.is_news("b", at(500)));
        assert!(!restraint.is_news("c", at(520)));
        assert!(restraint.is_news("c", at(561)));
        restraint.level_changed();
        assert!(restraint.is_news("c", at(562)));
    }

    #[test]
    fn what_comes_back_three_times_in_five_minutes_is_left_alone() {
        let model = ModelName::new("tiny");
        let mut restraint = Restraint::default();
        let back = |restraint: &mut Restraint, second| {
            restraint.unloaded(&model, at(second));
            restraint.loaded(&model, at(second + 5))
        };
        assert_eq!([0, 60, 120].map(|s| back(&mut restraint, s)), [false, false, true]);
        assert!(restraint.spared(at(130)).contains_key(&model));
        assert!(restraint.spared(at(430)).is_empty());
        let spread = [1000, 1200, 1400].map(|second| back(&mut restraint, second));
        assert_eq!(spread, [false; 3]);
        assert!(!restraint.loaded(&model, at(1410)), "nobody unloaded it");
    }
}
