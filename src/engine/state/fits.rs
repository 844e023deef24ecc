//! Whether loads fit: the verdicts, the gate before a load, and what is
//! promised to loads that are under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::fit::{FlashAttention, Placement, Recommendation, STILL_ASKED, ServerEra};
use crate::domain::level::{Headroom, Mark};
use crate::domain::model::{ModelDetails, ModelState};
use crate::domain::process::{ProcessRole, RunnerArguments};
use crate::domain::sample::{Gpu, MemoryParts};
use crate::domain::snapshot::Part;
use crate::domain::{
    Action, Activity, Budget, Bytes, Fit, FitQuestion, FitVerdict, Fits, InstalledModel, LoadKey,
    LoadSettings, LoadedModel, ModelName, ModelView, Need, Plan, Priority, ProcessKey, Shape,
};
use crate::forecast::footprint::{estimate, estimator};
use crate::policy::budget::{self, Held};
use crate::policy::fit::{self, Ground, Wanted};
use crate::policy::plan;
use crate::policy::recommend;

use super::State;
use super::tracked::Tracked;

/// What Ollama loads with where nobody says otherwise, by the memory of its
/// cards in all: (at least, context). A GiB less than cards are sold with.
const CARDS_CONTEXT: [(Bytes, u64); 2] = [(Bytes::gib(47), 262_144), (Bytes::gib(23), 32_768)];

/// The same with smaller cards or none.
const SERVER_CONTEXT: u64 = 4096;

/// Ollama gives a model with a vision part no less.
const VISION_CONTEXT: u64 = 2048;

/// Room that changed by less changes no verdict that anybody would notice.
const ROOM_STEP: u64 = 32 << 20;

/// A load that no runner is seen of keeps its room no longer: Ollama itself
/// gives up one that stands still for five minutes, and what runs where it
/// cannot be seen has taken its memory by then.
const PROMISED_FOR: Duration = Duration::from_secs(300);

/// The verdicts as they were last worked out, and from what.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    all: Part<Fits>,
    recommended: Option<Arc<Recommendation>>,
    basis: Option<Basis>,
    /// Grows with whatever an estimate starts from.
    pub(super) learned: u64,
}

impl Verdicts {
    pub(super) fn all(&self) -> Part<Fits> {
        self.all.clone()
    }

    pub(super) fn recommended(&self) -> Option<Arc<Recommendation>> {
        self.recommended.clone()
    }
}

/// All that verdicts rest on: while it stays, they do.
#[derive(Debug, PartialEq)]
struct Basis {
    /// In whole steps.
    room: Option<u64>,
    installed: u64,
    learned: u64,
    version: Option<String>,
    environment: Vec<(String, String)>,
    dial: Option<FitQuestion>,
    models: Vec<(ModelName, u64, Activity, bool, Priority, ModelState)>,
}

/// Why nothing can be said of any load.
const UNREAD: &str = "memory cannot be read";

/// How far a load may take memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upto {
    /// As far as there is something to give: a person's.
    Budget,
    /// Nor into a worse level: what a rule does, and what brings back what had
    /// to go.
    Level,
}

/// What a gate says to a load.
pub(super) enum Gate {
    /// `None`: nobody can say, and nothing speaks against it.
    Open(Option<Bytes>),
    Closed(Box<Fit>),
}

impl State {
    /// Verdicts on all installed models, while somebody looks.
    pub(super) fn follow_fits(&mut self) {
        if !self.attention.fits || self.server.is_remote() {
            if self.fits.basis.take().is_some() {
                self.fits.all.set(Fits::default());
                self.fits.recommended = None;
            }
            return;
        }
        let basis = self.basis();
        if self.fits.basis.as_ref() == Some(&basis) {
            return;
        }
        self.fits.basis = Some(basis);
        let fits = self.judge_all();
        let anything = recommend::Wanted::default();
        let (installed, tastes) = (&self.installed.value, &self.settings.tastes);
        let best = recommend::recommend(&fits, installed, tastes, &anything);
        let is_told = best.fits.is_some() || best.lacks.is_some();
        self.fits.recommended = is_told.then(|| Arc::new(best));
        if *self.fits.all.value != fits {
            self.fits.all.set(fits);
        }
    }

    fn basis(&self) -> Basis {
        let room = self.budget().map(|budget| budget.free().get() / ROOM_STEP);
        let held = |name: &ModelName| {
            let held = self.models.get(name).and_then(|tracked| tracked.held_bytes());
            held.unwrap_or_default().get() / ROOM_STEP
        };
        let signature = self.model_views().into_iter().map(|view| {
            let held = held(&view.name);
            (view.name, held, view.activity, view.pinned, view.priority, view.state)
        });
        Basis {
            room,
            installed: self.installed.version,
            learned: self.fits.learned,
            version: self.server.view().version.clone(),
            environment: self.server_environment().to_vec(),
            dial: self.attention.dial.clone(),
            models: signature.collect(),
        }
    }

    fn judge_all(&self) -> Fits {
        let mut fits = Fits::default();
        let Some(scene) = self.scene() else { return fits };
        for model in self.installed.value.iter().filter(|model| !model.is_cloud) {
            let plain = FitQuestion::plain(model.name.clone());
            let dial = self.attention.dial.as_ref().filter(|dial| dial.model == model.name);
            if self.metadata.of_installed(model).is_none() {
                fits.unknown.push((model.name.clone(), STILL_ASKED.into()));
                continue;
            }
            match self.judge_on(&scene, dial.unwrap_or(&plain)) {
                Ok(fit) => fits.all.push(fit),
                Err(reason) => fits.unknown.push((model.name.clone(), reason)),
            }
        }
        fits
    }

    /// What is free to give now; `None`: memory cannot be read.
    pub(super) fn budget(&self) -> Option<Budget> {
        let sample = self.readings.sample()?;
        let held = Held { models: self.models_held(), in_flight: self.in_flight() };
        budget::budget(sample, &self.limits, held)
    }

    /// Promised to loads under way, and not yet taken.
    fn in_flight(&self) -> Bytes {
        let is_promised = |tracked: &Tracked| match tracked.state {
            ModelState::Loading { since } => {
                tracked.runner.is_some() || self.now.since(since) < PROMISED_FOR
            }
            _ => false,
        };
        let loading = self.models.iter().filter(|(_, tracked)| is_promised(tracked));
        loading.filter_map(|(name, tracked)| self.promised_to(name, tracked)).sum()
    }

    /// What a load under way has not taken yet.
    fn promised_to(&self, name: &ModelName, tracked: &Tracked) -> Option<Bytes> {
        let context = self.actions.context_of_load(name);
        let question = FitQuestion { context, ..FitQuestion::plain(name.clone()) };
        let runner = tracked.runner.and_then(|key| self.arguments_of(key));
        let need = self.need_for(&question, runner)?.1;
        let taken = tracked.held.map(|(bytes, _)| bytes).unwrap_or_default();
        Some(need.bytes().saturating_sub(taken))
    }

    /// The verdict on a question, or why there can be none.
    pub(super) fn judge(&self, question: &FitQuestion) -> Result<Fit, String> {
        let scene = self.scene().ok_or(UNREAD)?;
        self.judge_on(&scene, question)
    }

    fn judge_on(&self, scene: &Scene, question: &FitQuestion) -> Result<Fit, String> {
        let name = &question.model;
        let Some(installed) = self.installed_model(name) else {
            return Err(format!("{name} is not installed"));
        };
        if installed.is_cloud {
            return Err(format!("{name} runs elsewhere: it takes no memory here"));
        }
        if self.server.is_remote() {
            return Err("the server is on another machine: its memory cannot be seen".into());
        }
        let wanted = self
            .wanted(question, installed)
            .ok_or_else(|| format!("the server tells neither the size nor the shape of {name}"))?;
        let mut budget = scene.budget.clone();
        let tracked = self.models.get(name);
        // Loaded otherwise: it would leave first. What it is promised is its own.
        let held = tracked.and_then(Tracked::held_bytes).unwrap_or_default();
        budget.available += held;
        if !held.is_zero() {
            budget.source.push_str(&format!(", and {held} it holds itself"));
        }
        if let Some(tracked) = tracked.filter(|one| matches!(one.state, ModelState::Loading { .. }))
        {
            let own = self.promised_to(name, tracked).unwrap_or_default();
            budget.in_flight = budget.in_flight.saturating_sub(own);
        }
        let mut ground = self.ground(scene, &budget);
        ground.used = ground.used.map(|used| used.saturating_sub(held));
        Ok(fit::judge(&wanted, &ground, &*self.need_of(installed)))
    }

    fn scene(&self) -> Option<Scene> {
        Some(Scene {
            budget: self.budget()?,
            models: self.model_views(),
            spared: BTreeMap::new(),
            marks: self.marks(),
        })
    }

    fn ground<'a>(&'a self, scene: &'a Scene, budget: &'a Budget) -> Ground<'a> {
        Ground {
            budget,
            load: plan::Load {
                models: &scene.models,
                components: &self.components.value,
                spared: &scene.spared,
                now: self.now,
            },
            marks: &scene.marks,
            used: self.readings.memory().map(crate::domain::sample::Memory::used),
            level: self.readings.level().level,
        }
    }

    /// Whether a load may begin.
    pub(super) fn gate(&self, model: &ModelName, context: Option<u64>) -> Gate {
        let question = FitQuestion { context, ..FitQuestion::plain(model.clone()) };
        match self.judge(&question) {
            Ok(fit) if fit.verdict != FitVerdict::Fits => Gate::Closed(Box::new(fit)),
            Ok(fit) => Gate::Open(Some(fit.need.bytes())),
            Err(_) => Gate::Open(None),
        }
    }

    /// What makes room for a load and then loads it.
    pub(super) fn making_room(&self, fit: &Fit, load: Action) -> Option<Plan> {
        let scene = self.scene()?;
        fit::make_room(fit, &self.ground(&scene, &fit.budget), load)
    }

    /// Why so much more cannot be carried; `None`: it can.
    pub(super) fn why_no_room(&self, need: Bytes, upto: Upto) -> Option<String> {
        let mut room = self.budget()?.free();
        if let Headroom::Known { bytes, .. } = self.headroom(&self.marks())
            && upto == Upto::Level
        {
            room = room.min(bytes);
        }
        (need > room).then(|| format!("it needs {need}, and {room} may be given"))
    }

    fn need_for(
        &self,
        question: &FitQuestion,
        runner: Option<&RunnerArguments>,
    ) -> Option<(Wanted, Need)> {
        let installed = self.installed_model(&question.model)?;
        let mut wanted = self.wanted(question, installed)?;
        if let Some(runner) = runner {
            follow_runner(&mut wanted.settings, runner);
        }
        let need = self.need_of(installed)(&wanted.settings);
        Some((wanted, need))
    }

    /// What is expected of a model as it is loaded, with and without what was
    /// learned.
    pub(super) fn expected_of(
        &self,
        question: &FitQuestion,
        runner: Option<&RunnerArguments>,
    ) -> Option<(LoadKey, Need, Need)> {
        let installed = self.installed_model(&question.model)?;
        let (wanted, corrected) = self.need_for(question, runner)?;
        let plain = estimate(&self.shape_of(installed)?, &wanted.settings);
        Some((self.key_of(installed, &wanted.settings), plain, corrected))
    }

    /// A question with what its server would fill in.
    fn wanted(&self, question: &FitQuestion, installed: &InstalledModel) -> Option<Wanted> {
        self.shape_of(installed)?;
        let details = self.metadata.of_installed(installed);
        let max_context = details.and_then(|details| details.max_context).or(installed.max_context);
        let loaded = self.models.get(&question.model).and_then(|tracked| tracked.listed.as_ref());
        let (settings, settings_source) = self.settings_for(question, details, max_context);
        let is_same = |listed: &LoadedModel| {
            question.context.is_none_or(|context| listed.context == Some(context))
                && question.kv_type.is_none()
                && question.parallel.is_none()
        };
        Some(Wanted {
            model: question.model.clone(),
            settings,
            settings_source,
            max_context,
            is_loaded: loaded.is_some_and(is_same),
        })
    }

    /// How the server would load it, and who says so.
    fn settings_for(
        &self,
        question: &FitQuestion,
        details: Option<&ModelDetails>,
        max_context: Option<u64>,
    ) -> (LoadSettings, String) {
        let assumed = &self.settings.fit;
        let listed = self.models.get(&question.model).and_then(|tracked| tracked.listed.as_ref());
        let contexts = [
            (question.context, "as asked"),
            (listed.and_then(|listed| listed.context), "as it is loaded"),
            (details.and_then(|details| details.own_context), "the model's own"),
            (self.number_set("OLLAMA_CONTEXT_LENGTH"), "set on the server"),
            (assumed.context, "set in the config"),
        ];
        let set = contexts.iter().find_map(|(context, who)| Some(((*context)?, *who)));
        let (context, who) = set.unwrap_or((self.default_context(), "the server's default"));
        let most = max_context.unwrap_or(u64::MAX);
        let parallel = question
            .parallel
            .or_else(|| u32::try_from(self.number_set("OLLAMA_NUM_PARALLEL")?).ok())
            .or(assumed.parallel)
            .unwrap_or(1);
        let kv_set = self.server_setting("OLLAMA_KV_CACHE_TYPE").and_then(|text| text.parse().ok());
        let placement = self.placement();
        let settings = LoadSettings {
            context: context.max(least_context(details)).min(most),
            parallel: parallel.max(1),
            kv_type: question.kv_type.or(kv_set).or(assumed.kv_type).unwrap_or_default(),
            flash_attention: self.flash_attention(),
            mapped: placement == Placement::Unified,
            server: self.era(),
            placement,
        };
        (settings, format!("context {who}"))
    }

    fn default_context(&self) -> u64 {
        let vram: Bytes = self.cards().iter().map(|card| card.total).sum();
        let found = CARDS_CONTEXT.iter().find(|(least, _)| vram >= *least);
        found.map_or(SERVER_CONTEXT, |(_, context)| *context)
    }

    fn flash_attention(&self) -> FlashAttention {
        match self.server_setting("OLLAMA_FLASH_ATTENTION") {
            None | Some("") => FlashAttention::Auto,
            Some(_) if self.is_set("OLLAMA_FLASH_ATTENTION") => FlashAttention::On,
            Some(_) => FlashAttention::Off,
        }
    }

    /// A switch of the server; a word that is no boolean counts as true there.
    fn is_set(&self, name: &str) -> bool {
        let word = self.server_setting(name).unwrap_or_default();
        !matches!(word, "" | "0" | "f" | "F" | "false" | "FALSE" | "False")
    }

    fn era(&self) -> ServerEra {
        let version = self.server.view().version.as_deref();
        version.map_or(ServerEra::LlamaServer, ServerEra::of_version)
    }

    fn placement(&self) -> Placement {
        let has = |unified| self.cards().iter().any(|card| card.unified == unified);
        match (has(false), has(true)) {
            (true, _) => Placement::Gpu,
            (false, true) => Placement::Unified,
            (false, false) => Placement::Cpu,
        }
    }

    /// The graphics that a server would use. Ollama leaves one that shares the
    /// system's memory alone, Apple's apart, unless it is told.
    fn cards(&self) -> Vec<&Gpu> {
        let Some(sample) = self.readings.sample() else { return Vec::new() };
        let is_mac = matches!(&sample.memory, Ok(memory)
            if matches!(memory.parts, MemoryParts::Mac { .. }));
        let uses_shared = is_mac || self.is_set("OLLAMA_IGPU_ENABLE");
        let cards = sample.gpus.iter().flatten();
        cards.filter(|card| uses_shared || !card.unified).collect()
    }

    /// What the server's own environment says, where it can be read.
    fn server_environment(&self) -> &[(String, String)] {
        let Some(processes) = self.readings.processes() else { return &[] };
        let ours = processes.servers.iter().filter(|server| super::models::may_be_ours(server));
        let read = ours.filter_map(|server| match &server.role {
            ProcessRole::Server { environment, .. } => Some(environment.as_slice()),
            _ => None,
        });
        read.max_by_key(|environment| environment.len()).unwrap_or(&[])
    }

    fn server_setting(&self, name: &str) -> Option<&str> {
        let found = self.server_environment().iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A whole number above nought.
    fn number_set(&self, name: &str) -> Option<u64> {
        self.server_setting(name)?.trim().parse().ok().filter(|number| *number > 0)
    }

    pub(super) fn arguments_of(&self, runner: ProcessKey) -> Option<&RunnerArguments> {
        match &self.readings.processes()?.find(runner)?.role {
            ProcessRole::Runner(arguments) => Some(arguments),
            _ => None,
        }
    }

    /// What a model's memory follows from; its size on disk alone gives a
    /// rough figure. `None`: not even that is known.
    fn shape_of(&self, installed: &InstalledModel) -> Option<Shape> {
        let told =
            self.metadata.of_installed(installed).and_then(|details| details.shape.as_deref());
        let mut shape = told.cloned().unwrap_or_default();
        shape.weights.file = shape.weights.file.or(installed.disk);
        (told.is_some() || shape.weights.file.is_some()).then_some(shape)
    }

    /// What a model takes with any settings.
    fn need_of<'a>(&'a self, installed: &'a InstalledModel) -> Box<fit::NeedOf<'a>> {
        let estimate = estimator(self.shape_of(installed).unwrap_or_default());
        Box::new(move |settings| {
            let mut need = estimate(settings);
            if !self.book.is_empty() {
                self.book.correct(&self.key_of(installed, settings), &mut need);
            }
            need
        })
    }

    fn key_of(&self, installed: &InstalledModel, settings: &LoadSettings) -> LoadKey {
        LoadKey {
            digest: installed.digest.clone(),
            context: settings.context,
            parallel: settings.parallel,
            kv_type: settings.kv_type,
            placement: settings.placement,
            version: self.server.view().version.clone().unwrap_or_default(),
        }
    }
}

/// What a runner's own arguments say goes before what is assumed.
fn follow_runner(settings: &mut LoadSettings, runner: &RunnerArguments) {
    let flag = |names: &[&str]| {
        let found = runner.flags.iter().find(|(flag, _)| names.contains(&flag.as_str()));
        found.map(|(_, value)| value.as_str())
    };
    let slots = runner.parallel.filter(|slots| *slots > 0);
    settings.parallel = slots.unwrap_or(settings.parallel);
    if let Some(whole) = runner.context {
        settings.context = whole / u64::from(settings.parallel);
    }
    let kind = flag(&["--cache-type-k", "-ctk", "--kv-cache-type"]);
    settings.kv_type = kind.and_then(|kind| kind.parse().ok()).unwrap_or(settings.kv_type);
    if let Some(mode) = flag(&["--load-mode"]) {
        settings.mapped = mode == "mmap";
    }
}

/// The least that a server gives this model, whatever was asked.
fn least_context(details: Option<&ModelDetails>) -> u64 {
    let sees =
        details.is_some_and(|details| details.capabilities.iter().any(|known| known == "vision"));
    if sees { VISION_CONTEXT } else { 1 }
}

/// The machine at one moment, for any number of questions.
struct Scene {
    budget: Budget,
    models: Vec<ModelView>,
    spared: BTreeMap<ModelName, String>,
    marks: Vec<Mark>,
}
