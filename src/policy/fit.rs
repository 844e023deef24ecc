//! Whether a load fits: the verdict, with what would make it fit.
//!
//! The need of a load comes from outside, as a function of its settings; what
//! there is to give comes from [`super::budget`].

use crate::domain::component::ComponentKind;
use crate::domain::fit::{Named, Placement, Smaller};
use crate::domain::level::Mark;
use crate::domain::plan::Purpose;
use crate::domain::{
    Action, Budget, Bytes, Component, Fit, FitVerdict, Footprint, KvType, Level, LoadSettings,
    ModelName, ModelView, Need, Plan, Step, Strength,
};

use super::plan::{self, Load};

/// What is taken for granted where a server does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FitSettings {
    /// Tokens of one slot a model is loaded with that names none.
    pub context: Option<u64>,
    pub parallel: Option<u32>,
    pub kv_type: Option<KvType>,
}

/// Less context than this is of no use to anybody: a question with a page of
/// text and its answer. A model trained for less keeps its own.
const LEAST_CONTEXT: u64 = 2048;

/// Contexts are tried in such steps; servers pad them to as many tokens.
const CONTEXT_STEP: u64 = 256;

/// Other programs named where some must give memory back.
const PROGRAMS_NAMED: usize = 3;

/// A load somebody thinks of.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub model: ModelName,
    pub settings: LoadSettings,
    /// Where the settings come from.
    pub settings_source: String,
    /// The longest context the model was trained for.
    pub max_context: Option<u64>,
    /// It is loaded with these settings: nothing more is taken.
    pub is_loaded: bool,
}

/// The machine it would be loaded on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    pub budget: &'a Budget,
    pub load: Load<'a>,
    pub marks: &'a [Mark],
    pub used: Option<Bytes>,
    pub level: Level,
}

/// What a load with such settings takes.
pub type NeedOf<'a> = dyn Fn(&LoadSettings) -> Need + 'a;

/// The verdict on a load, now.
pub fn judge(wanted: &Wanted, ground: &Ground<'_>, need_of: &NeedOf<'_>) -> Fit {
    let need = need_of(&wanted.settings);
    let budget = ground.budget.for_need(&need);
    let mut fit = Fit {
        model: wanted.model.clone(),
        settings: wanted.settings,
        settings_source: wanted.settings_source.clone(),
        verdict: FitVerdict::Fits,
        max_context: None,
        unload: Vec::new(),
        smaller: None,
        q8_0_saves: saving(&wanted.settings, &need, need_of),
        programs: Vec::new(),
        crosses: None,
        is_loaded: wanted.is_loaded,
        need,
        budget,
    };
    let fits = |settings: &LoadSettings| ground.budget.carries(&need_of(settings));
    fit.max_context = largest_context(wanted, &fits);
    if wanted.is_loaded {
        return fit;
    }
    fit.crosses = crossed(&fit, ground);
    if fit.lacks().is_zero() {
        return fit;
    }
    fit.unload = room_by_unloading(&fit, ground);
    fit.smaller = smaller(wanted, fit.max_context, &fits, need_of);
    fit.verdict = if !fit.unload.is_empty() {
        FitVerdict::FitsAfterUnload
    } else if fit.smaller.is_some() {
        FitVerdict::FitsSmaller
    } else if fit.need.bytes() <= fit.budget.ever {
        fit.programs = biggest_programs(ground.load.components);
        FitVerdict::FitsAfterFreeing
    } else {
        FitVerdict::Never
    };
    fit
}

/// Unload what stands in the way, then load it: what a gate offers.
pub fn make_room(fit: &Fit, ground: &Ground<'_>, load: Action) -> Option<Plan> {
    (fit.verdict == FitVerdict::FitsAfterUnload).then_some(())?;
    let mut plan = unloading(fit, ground);
    let expected = Footprint { bytes: fit.need.bytes(), source: fit.need.source() };
    let reason = format!("it needs {}", expected.bytes);
    // Whatever comes back, the load is still to be done.
    plan.target = None;
    plan.steps.push(Step { action: load, expected: Some(expected), reason });
    Some(plan)
}

fn unloading(fit: &Fit, ground: &Ground<'_>) -> Plan {
    let models: Vec<ModelView> = (ground.load.models.iter())
        .filter(|model| model.name != fit.model)
        .map(|model| as_room(model, fit.settings.placement))
        .collect();
    let others = Load { models: &models, components: &[], ..ground.load };
    let plan = plan::cleanup(&others, Strength::Aggressive, Some(fit.lacks()));
    Plan { purpose: Purpose::MakeRoom, ..plan }
}

/// A model that lies on a card gives that back beside what its process holds.
fn as_room(model: &ModelView, placement: Placement) -> ModelView {
    let mut view = model.clone();
    if placement == Placement::Gpu
        && let Some((held, source)) = view.measured
    {
        view.measured = Some((held + view.vram.unwrap_or_default(), source));
    }
    view
}

/// The least harmful set whose going makes room enough; none: no set does.
fn room_by_unloading(fit: &Fit, ground: &Ground<'_>) -> Vec<Named> {
    let plan = unloading(fit, ground);
    if plan.expected() < fit.lacks() {
        return Vec::new();
    }
    let named = |step: &Step| Named {
        name: step.action.subject().to_owned(),
        bytes: step.expected.map(|footprint| footprint.bytes).unwrap_or_default(),
    };
    plan.steps.iter().map(named).collect()
}

/// What a cache of q8_0 would save of the need; none where that is nothing.
fn saving(settings: &LoadSettings, need: &Need, need_of: &NeedOf<'_>) -> Option<Bytes> {
    let eight = LoadSettings { kv_type: KvType::Q8_0, ..*settings };
    let is_larger = settings.kv_type.bytes_per_32() > KvType::Q8_0.bytes_per_32();
    let saved = is_larger.then(|| need.parts().saturating_sub(need_of(&eight).parts()))?;
    (!saved.is_zero()).then_some(saved)
}

/// The largest context that fits, in whole steps. Need grows with context, so
/// that halving finds it.
fn largest_context(wanted: &Wanted, fits: &dyn Fn(&LoadSettings) -> bool) -> Option<u64> {
    let most = wanted.max_context.unwrap_or(wanted.settings.context);
    let at = |context| fits(&LoadSettings { context, ..wanted.settings });
    if at(most) {
        return Some(most);
    }
    let (mut good, mut bad) = (0, most / CONTEXT_STEP);
    while bad > good + 1 {
        let middle = good + (bad - good) / 2;
        match at(middle * CONTEXT_STEP) {
            true => good = middle,
            false => bad = middle,
        }
    }
    (good > 0).then_some(good * CONTEXT_STEP)
}

/// Less context first, since that is asked with each load; the cache's type is
/// the server's own setting.
fn smaller(
    wanted: &Wanted,
    max_context: Option<u64>,
    fits: &dyn Fn(&LoadSettings) -> bool,
    need_of: &NeedOf<'_>,
) -> Option<Smaller> {
    let settings = wanted.settings;
    let least = LEAST_CONTEXT.min(wanted.max_context.unwrap_or(LEAST_CONTEXT));
    let as_smaller = |settings: LoadSettings| Smaller {
        context: settings.context,
        kv_type: settings.kv_type,
        need: need_of(&settings).bytes(),
    };
    let context = max_context.filter(|context| (least..settings.context).contains(context));
    if let Some(context) = context {
        return Some(as_smaller(LoadSettings { context, ..settings }));
    }
    let eight = LoadSettings { kv_type: KvType::Q8_0, ..settings };
    if settings.kv_type.bytes_per_32() <= eight.kv_type.bytes_per_32() {
        return None;
    }
    if fits(&eight) {
        return Some(as_smaller(eight));
    }
    let with_eight = Wanted { settings: eight, ..wanted.clone() };
    let context = largest_context(&with_eight, fits)?;
    let is_of_use = (least..settings.context).contains(&context);
    is_of_use.then(|| as_smaller(LoadSettings { context, ..eight }))
}

/// The level memory would be at after it, where that is a worse one.
fn crossed(fit: &Fit, ground: &Ground<'_>) -> Option<Level> {
    let in_memory = fit.need.bytes().saturating_sub(fit.budget.vram);
    let used = ground.used? + in_memory;
    let passed = ground.marks.iter().filter(|mark| mark.used <= used && mark.level > ground.level);
    passed.map(|mark| mark.level).max()
}

fn biggest_programs(components: &[Component]) -> Vec<Named> {
    let is_program =
        |one: &&Component| matches!(one.kind, ComponentKind::Process | ComponentKind::Container);
    let mut all: Vec<Named> = components
        .iter()
        .filter(is_program)
        .filter_map(|one| Some(Named { name: one.name.clone(), bytes: one.footprint?.bytes }))
        .collect();
    all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    all.truncate(PROGRAMS_NAMED);
    all
}
