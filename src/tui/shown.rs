//! A number that changes when the picture would: most snapshots differ from
//! the last one in nothing that is shown, and then no picture is made.
//!
//! Everything is rounded at least as finely as any view shows it. A view that
//! shows more than this knows of is at worst [`LONGEST_STILL`] late.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::domain::bytes::Bytes;
use crate::domain::fit::{Fit, FitVerdict, Recommendation};
use crate::domain::guard::PolicyView;
use crate::domain::level::Headroom;
use crate::domain::model::{Expiry, ModelView};
use crate::domain::plan::Plan;
use crate::domain::sample::{MemoryParts, Pressure, Sample, Stall};
use crate::domain::snapshot::{Rates, Snapshot};
use crate::domain::time::{Moment, Span};
use crate::tui::rows::group_of;
use crate::tui::state::{Page, Ui};
use crate::tui::widgets::figures::{course, two_digits};

/// A picture is made after so long even where nothing seems to have changed:
/// a tenth of what a picture every second would cost.
pub const LONGEST_STILL: Duration = Duration::from_secs(10);

/// A column of a wide bar: 16 GiB on 240 columns are some 64 MiB each.
const BAR_STEP: u64 = 64 << 20;

/// A column of the widest graph: ten minutes on 300 columns of two slots each
/// would be a second; a step of a few seconds is what a reader can see.
const GRAPH_STEP: u64 = 2_500;

/// What of a snapshot is on screen, as one number.
pub fn fingerprint(snapshot: &Snapshot, ui: &Ui) -> u64 {
    let mut sum = Sum { hasher: DefaultHasher::new(), now: snapshot.at };
    if ui.dialog.is_some() {
        // Details show more than any list; they are seldom open for long.
        snapshot.sequence.hash(&mut sum.hasher);
    }
    sum.level(snapshot);
    if let Some(sample) = &snapshot.sample {
        sum.sample(sample);
    }
    sum.rates(&snapshot.rates);
    sum.runtimes(snapshot);
    for model in &snapshot.models {
        sum.model(model);
    }
    if ui.page == Page::Overview {
        sum.history(snapshot);
    }
    snapshot.installed.version.hash(&mut sum.hasher);
    snapshot.events.version.hash(&mut sum.hasher);
    if let Some(forecast) = &snapshot.forecast {
        forecast.text().hash(&mut sum.hasher);
    }
    sum.verdicts(snapshot, ui);
    if ui.page == Page::Components {
        sum.components(snapshot);
    }
    if let Some(asked) = &snapshot.proposal {
        asked.number.hash(&mut sum.hasher);
        sum.plan(&asked.plan);
        sum.span(asked.since);
    }
    snapshot.rules.hash(&mut sum.hasher);
    if let Some(policy) = snapshot.policy.as_ref().filter(|_| ui.page == Page::Policy) {
        sum.policy(policy);
    }
    if let Some(plan) = &snapshot.plan {
        (plan.outcomes.len(), plan.ended.is_some()).hash(&mut sum.hasher);
        sum.span(plan.started);
    }
    snapshot.loads_in_flight.hash(&mut sum.hasher);
    sum.hasher.finish()
}

struct Sum {
    hasher: DefaultHasher,
    now: Moment,
}

impl Sum {
    /// The figure as it is written, and the column of a bar it reaches.
    fn bytes(&mut self, bytes: Option<Bytes>) {
        let shown = bytes.map(|bytes| (bytes.figure_and_unit(), bytes.get() / BAR_STEP));
        shown.hash(&mut self.hasher);
    }

    fn tenths(&mut self, value: Option<f64>) {
        let rounded = value.map(|value| (value * 10.0).round().to_bits());
        rounded.hash(&mut self.hasher);
    }

    /// A time since, as it steps on screen.
    fn span(&mut self, since: Moment) {
        self.text(&Span(self.now.since(since)));
    }

    fn text(&mut self, value: &dyn Display) {
        value.to_string().hash(&mut self.hasher);
    }

    fn level(&mut self, snapshot: &Snapshot) {
        snapshot.level.level.hash(&mut self.hasher);
        self.span(snapshot.level.since);
        if let Some(cause) = &snapshot.level.set_by {
            cause.text.hash(&mut self.hasher);
        }
        match &snapshot.headroom {
            Headroom::Known { bytes, to } => {
                to.hash(&mut self.hasher);
                self.bytes(Some(*bytes));
            }
            Headroom::Unknown { reason } => reason.hash(&mut self.hasher),
        }
        for mark in &snapshot.marks {
            self.bytes(Some(mark.used));
        }
        (&snapshot.profile.name, &snapshot.profile.why).hash(&mut self.hasher);
        self.bytes(snapshot.model_budget);
        for notice in &snapshot.notices {
            (&notice.about, &notice.text).hash(&mut self.hasher);
            self.span(notice.since);
        }
    }

    fn sample(&mut self, sample: &Sample) {
        match &sample.memory {
            Ok(memory) => {
                for bytes in [memory.total, memory.available, memory.free] {
                    self.bytes(Some(bytes));
                }
                self.parts(&memory.parts);
            }
            Err(fault) => fault.detail.hash(&mut self.hasher),
        }
        match &sample.swap {
            Ok(swap) => {
                self.bytes(Some(swap.total));
                self.bytes(Some(swap.used));
            }
            Err(fault) => fault.detail.hash(&mut self.hasher),
        }
        self.pressure(sample);
        if let Ok(limit) = &sample.limit {
            self.bytes(Some(limit.used));
            self.bytes(Some(limit.limit));
        }
        if let Ok(zram) = &sample.zram {
            self.bytes(Some(zram.stored));
            self.bytes(Some(zram.taken));
        }
        for gpu in sample.gpus.iter().flatten() {
            gpu.name.hash(&mut self.hasher);
            self.bytes(Some(gpu.total));
            self.bytes(gpu.used);
        }
    }

    /// The parts as far as the bar tells programs from the system.
    fn parts(&mut self, parts: &MemoryParts) {
        match parts {
            MemoryParts::Linux { anonymous, shared, .. } => {
                self.bytes(*anonymous);
                self.bytes(*shared);
            }
            MemoryParts::Mac { app, compressed, .. } => self.bytes(Some(*app + *compressed)),
        }
    }

    fn pressure(&mut self, sample: &Sample) {
        match &sample.pressure {
            Ok(Pressure::Psi { some, full }) => {
                for stall in [Some(some), full.as_ref()] {
                    self.tenths(stall.map(|stall: &Stall| stall.avg10));
                    self.tenths(stall.map(|stall: &Stall| stall.avg60));
                }
            }
            Ok(Pressure::Mac { level }) => (*level as u8).hash(&mut self.hasher),
            Err(fault) => fault.detail.hash(&mut self.hasher),
        }
    }

    fn rates(&mut self, rates: &Rates) {
        for rate in [rates.swapped_in, rates.swapped_out, rates.swap_growth] {
            // Shown in MiB a second.
            self.tenths(rate.map(|rate| rate / f64::from(1 << 20)));
        }
        for rate in [rates.major_faults, rates.refaults_file] {
            let shown = rate
                .map(|rate| if rate < 10.0 { u64::from(rate >= 1.0) } else { two_digits(rate) });
            shown.hash(&mut self.hasher);
        }
        rates.oom_kills.hash(&mut self.hasher);
    }

    fn runtimes(&mut self, snapshot: &Snapshot) {
        for runtime in &snapshot.runtimes {
            (&runtime.url, runtime.state.word(), &runtime.version).hash(&mut self.hasher);
            (runtime.place as u8).hash(&mut self.hasher);
            self.span(runtime.since);
        }
    }

    fn model(&mut self, model: &ModelView) {
        (&model.name, model.state.word(), model.activity as u8).hash(&mut self.hasher);
        self.bytes(model.reported);
        self.bytes(model.vram);
        self.bytes(model.measured.map(|(bytes, _)| bytes));
        (model.context, model.priority, model.pinned).hash(&mut self.hasher);
        model.runner.hash(&mut self.hasher);
        model.course.map(course).hash(&mut self.hasher);
        if let Some(idle) = model.idle {
            idle.at_least.hash(&mut self.hasher);
            self.span(idle.since);
        }
        match model.expires {
            Some(Expiry::At(at)) => {
                let left = at.as_millisecond() - self.now.wall.as_millisecond();
                left.is_negative().hash(&mut self.hasher);
                self.text(&Span(Duration::from_millis(left.unsigned_abs())));
            }
            Some(Expiry::Never) => u8::MAX.hash(&mut self.hasher),
            None => {}
        }
    }

    /// Of all on the models page, of what is considered elsewhere.
    fn verdicts(&mut self, snapshot: &Snapshot, ui: &Ui) {
        let fits = &snapshot.fits.value;
        ui.dial.hash(&mut self.hasher);
        match ui.page {
            Page::Models => {
                fits.unknown.len().hash(&mut self.hasher);
                fits.all.iter().for_each(|fit| self.row_of_verdict(fit));
                let selected = ui.models.selected.as_deref();
                let selected = fits.all.iter().find(|fit| Some(fit.model.as_str()) == selected);
                selected.into_iter().for_each(|fit| self.sum_of_verdict(fit));
            }
            Page::Overview => {
                let considered = ui.considered.as_ref().and_then(|model| fits.of(model));
                considered.into_iter().for_each(|fit| self.row_of_verdict(fit));
                snapshot.recommended.as_deref().map(Recommendation::text).hash(&mut self.hasher);
            }
            _ => {}
        }
    }

    fn row_of_verdict(&mut self, fit: &Fit) {
        (&fit.model, fit.verdict, fit.crosses, fit.max_context).hash(&mut self.hasher);
        (fit.settings.context, fit.smaller.map(|smaller| (smaller.context, smaller.kv_type)))
            .hash(&mut self.hasher);
        fit.unload.iter().for_each(|named| named.name.hash(&mut self.hasher));
        self.bytes(Some(fit.need.bytes()));
        fit.need.learned.is_some().hash(&mut self.hasher);
        if matches!(fit.verdict, FitVerdict::FitsAfterFreeing | FitVerdict::Never) {
            self.bytes(Some(fit.lacks()));
        }
    }

    fn sum_of_verdict(&mut self, fit: &Fit) {
        for bytes in [fit.margin().magnitude(), fit.budget.free(), fit.need.parts()] {
            self.bytes(Some(bytes));
        }
        (fit.settings, &fit.settings_source, &fit.budget.source).hash(&mut self.hasher);
        fit.unload.iter().for_each(|named| self.bytes(Some(named.bytes)));
    }

    /// The graph moves with time once there is something on it.
    fn history(&mut self, snapshot: &Snapshot) {
        snapshot.history.marks.len().hash(&mut self.hasher);
        if !snapshot.history.is_empty() {
            (self.now.mono.millis() / GRAPH_STEP).hash(&mut self.hasher);
        }
    }

    fn components(&mut self, snapshot: &Snapshot) {
        for component in snapshot.components.value.iter() {
            (&component.id, &component.name, &component.state).hash(&mut self.hasher);
            (component.depth, component.priority, component.pinned).hash(&mut self.hasher);
            self.bytes(component.footprint.map(|footprint| footprint.bytes));
            self.bytes(component.swapped);
            component.course.map(course).hash(&mut self.hasher);
            self.bytes(group_of(snapshot, component).and_then(|group| group.limit));
        }
    }

    fn policy(&mut self, policy: &PolicyView) {
        for view in &policy.levels {
            (view.mode, view.strength, &view.terms).hash(&mut self.hasher);
            self.plan(&view.plan);
        }
        for rule in &policy.standing {
            (&rule.key, &rule.value, &rule.would).hash(&mut self.hasher);
        }
        (policy.kill_switch, &policy.waits).hash(&mut self.hasher);
        let day = policy.day;
        (day.level_changes, day.actions, day.by_rule, day.oom_kills).hash(&mut self.hasher);
        self.bytes(Some(day.freed));
    }

    fn plan(&mut self, plan: &Plan) {
        self.bytes(plan.target);
        for step in &plan.steps {
            (step.action.verb(), step.action.subject(), &step.reason).hash(&mut self.hasher);
            self.bytes(step.expected.map(|footprint| footprint.bytes));
        }
        for kept in &plan.kept {
            (&kept.name, &kept.reason).hash(&mut self.hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::component::{Footprint, FootprintSource};
    use crate::domain::fit::{Fits, Need};
    use crate::domain::guard::{DayCounts, LevelView, Proposal, RuleModes};
    use crate::domain::level::Level;
    use crate::domain::model::ModelName;
    use crate::domain::plan::{Action, Purpose, Step};
    use crate::domain::rule::RuleMode;
    use crate::domain::time::Monotonic;
    use crate::tui::state::{Abilities, Colors};
    use crate::tui::update::tests::fits::fit;
    use crate::tui::update::tests::{model, snapshot};

    fn ui() -> Ui {
        Ui::new(Abilities { colors: Colors::None, unicode: true }, 0)
    }

    fn held(mebibytes: u64) -> Snapshot {
        let mut model = model("a:1b");
        model.reported = Some(Bytes::mib(mebibytes));
        snapshot(vec![model])
    }

    #[test]
    fn what_is_not_shown_makes_no_picture() {
        let first = held(3100);
        let mut next = held(3101);
        next.sequence += 1;
        next.at.mono = Monotonic::from_millis(first.at.mono.millis() + 1);
        assert_eq!(fingerprint(&first, &ui()), fingerprint(&next, &ui()));
    }

    #[test]
    fn what_is_shown_does() {
        let first = held(3100);
        let mut changed = vec![held(3200), held(3100), held(3100), held(3100), held(3100)];
        changed[1].level.level = Level::Warning;
        changed[2].models[0].pinned = true;
        changed[3].events.version += 1;
        changed[4].at.mono = Monotonic::from_millis(first.at.mono.millis() + 61_000);
        for snapshot in changed {
            assert_ne!(fingerprint(&first, &ui()), fingerprint(&snapshot, &ui()));
        }
    }

    fn step(mebibytes: u64) -> Plan {
        let expected =
            Footprint { bytes: Bytes::mib(mebibytes), source: FootprintSource::Measured };
        let step = Step {
            action: Action::Unload { model: ModelName::new("a:1b") },
            expected: Some(expected),
            reason: "idle".into(),
        };
        Plan { purpose: Purpose::Asked, target: None, steps: vec![step], kept: Vec::new() }
    }

    fn ruled(mode: RuleMode, mebibytes: u64) -> Snapshot {
        let view = LevelView {
            level: Level::Warning,
            mode,
            strength: None,
            terms: Vec::new(),
            plan: step(mebibytes),
        };
        let policy = PolicyView {
            levels: vec![view],
            standing: Vec::new(),
            kill_switch: None,
            waits: None,
            day: DayCounts::default(),
        };
        let rules = RuleModes { ceiling: mode, furthest: mode };
        Snapshot { rules, policy: Some(policy.into()), ..held(3100) }
    }

    #[test]
    fn rules_are_drawn_anew_where_they_are_seen() {
        let first = ruled(RuleMode::Observe, 3100);
        let mut policy = ui();
        policy.page = Page::Policy;
        let changed = ruled(RuleMode::Act, 3100);
        let larger = ruled(RuleMode::Observe, 3200);
        let slightly = ruled(RuleMode::Observe, 3101);
        for ui in [&ui(), &policy] {
            assert_ne!(fingerprint(&first, ui), fingerprint(&changed, ui));
            assert_eq!(fingerprint(&first, ui), fingerprint(&slightly, ui));
        }
        assert_ne!(fingerprint(&first, &policy), fingerprint(&larger, &policy));
        assert_eq!(fingerprint(&first, &ui()), fingerprint(&larger, &ui()));
    }

    fn judged(need: u64, verdict: FitVerdict) -> Snapshot {
        let mut snapshot = held(3100);
        let fit = Fit {
            need: Need { weights: Bytes::mib(need), ..Need::default() },
            verdict,
            ..fit("gemma3:1b")
        };
        snapshot.fits.set(Fits { all: vec![fit], unknown: Vec::new() });
        snapshot
    }

    #[test]
    fn a_verdict_is_drawn_anew_where_it_stands_and_reads_otherwise() {
        let first = judged(3100, FitVerdict::Fits);
        let mut models = ui();
        models.page = Page::Models;
        let mut considering = ui();
        considering.considered = Some(ModelName::new("gemma3:1b"));
        let other = judged(3100, FitVerdict::FitsAfterUnload);
        let larger = judged(3300, FitVerdict::Fits);
        let slightly = judged(3101, FitVerdict::Fits);
        for ui in [&models, &considering] {
            assert_ne!(fingerprint(&first, ui), fingerprint(&other, ui));
            assert_ne!(fingerprint(&first, ui), fingerprint(&larger, ui));
            assert_eq!(fingerprint(&first, ui), fingerprint(&slightly, ui));
        }
        assert_eq!(fingerprint(&first, &ui()), fingerprint(&other, &ui()));
    }

    #[test]
    fn a_question_is_drawn_and_so_is_its_end() {
        let proposal = |number| Proposal { number, plan: step(3100), since: held(1).at };
        let asking = |number| Snapshot { proposal: Some(proposal(number).into()), ..held(3100) };
        assert_ne!(fingerprint(&held(3100), &ui()), fingerprint(&asking(1), &ui()));
        assert_ne!(fingerprint(&asking(1), &ui()), fingerprint(&asking(2), &ui()));
    }
}
