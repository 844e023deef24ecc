//! The state as a snapshot: what leaves the engine.

use crate::domain::ModelName;
use crate::domain::model::{Activity, ModelState, ModelView};
use crate::domain::rule::NamedBy;
use crate::domain::snapshot::{FORMAT, Snapshot};
use crate::domain::target::TargetView;
use crate::policy::targets::{self, Seen};

use super::State;
use super::commands::Called;
use super::components::model_id;
use super::tracked::Tracked;

impl State {
    pub(super) fn view(&self) -> Snapshot {
        let marks = self.marks();
        let models = self.model_views();
        Snapshot {
            format: FORMAT,
            sequence: self.sequence,
            at: self.now,
            host: self.host.clone(),
            sample: self.readings.sample().cloned(),
            rates: self.readings.rates().clone(),
            level: self.readings.level().clone(),
            headroom: self.headroom(&marks),
            marks,
            profile: self.profile.clone(),
            model_budget: self.limits.model_budget,
            targets: self.targets(&models),
            runtimes: vec![self.server.view().clone()],
            models,
            installed: self.installed.clone(),
            components: self.components.clone(),
            history: self.history.clone(),
            events: self.events.clone(),
            plan: self.actions.plan(),
            rules: self.rule_modes(),
            proposal: self.guard.proposal(),
            policy: self.policy_view.clone(),
            forecast: self.outlook.shown.clone(),
            fits: self.fits.all(),
            recommended: self.fits.recommended(),
            hints: self.hints.clone(),
            loads_in_flight: self.actions.loads().cloned().collect(),
            notices: self.notices.clone(),
            mode: self.settings.mode,
        }
    }

    fn targets(&self, models: &[ModelView]) -> Vec<TargetView> {
        let seen = Seen {
            sample: self.readings.sample().map(|sample| &**sample),
            models,
            server: Some(self.server.view()),
            names_containers: self.named.iter().any(|named| named.by == NamedBy::Container),
        };
        targets::evaluate(&self.limits.targets, seen)
    }

    pub(super) fn model_views(&self) -> Vec<ModelView> {
        self.models.iter().map(|(name, tracked)| self.model_view(name, tracked)).collect()
    }

    fn model_view(&self, name: &ModelName, tracked: &Tracked) -> ModelView {
        let listed = tracked.listed.as_ref();
        let installed = self.installed.value.iter().find(|installed| &installed.name == name);
        let id = model_id(name.as_str());
        let (priority, pinned) = self.standing(&id, &self.rules_on(&Called::by_id(&id)));
        ModelView {
            name: name.clone(),
            runtime: 0,
            state: self.shown_state(tracked),
            activity: tracked.activity,
            reported: listed.and_then(|listed| listed.reported),
            vram: listed.and_then(|listed| listed.vram),
            measured: tracked.held,
            runner: tracked.runner.filter(|runner| self.runner_lives(Some(*runner))),
            context: listed.and_then(|listed| listed.context),
            expires: listed.and_then(|listed| listed.expires),
            idle: (tracked.activity != Activity::Busy && listed.is_some()).then_some(tracked.idle),
            parameters: listed
                .and_then(|listed| listed.parameters.clone())
                .or_else(|| installed.and_then(|installed| installed.parameters.clone())),
            quantization: listed
                .and_then(|listed| listed.quantization.clone())
                .or_else(|| installed.and_then(|installed| installed.quantization.clone())),
            priority,
            pinned,
            is_remote: self.server.is_remote(),
            is_cloud: listed.is_some_and(|listed| listed.is_cloud),
            swap_growth: tracked.swap_growth,
            course: tracked.course.course(),
        }
    }

    pub(super) fn shown_state(&self, tracked: &Tracked) -> ModelState {
        match &tracked.state {
            // Off the list while its runner still gives its pages back.
            ModelState::Ready if tracked.listed.is_none() => ModelState::Unloading {
                since: tracked.unlisted_at.unwrap_or(self.now),
                still_generating: false,
            },
            state => state.clone(),
        }
    }
}
