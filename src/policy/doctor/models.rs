//! Models against this machine: which could never be loaded as the server
//! would load them, which hold more than is said, and what they run in.

use crate::domain::shell::plain_word;
use crate::domain::survey::Housing;
use crate::domain::{Bytes, Check, Finding, Fit, GroupKind, ModelView, Percent};

use super::Scene;
use super::mending::{model_word, setting_line};

/// Drift below this is the runner's own heap and a cache in its first minutes.
const MUCH_DRIFT: Bytes = Bytes::mib(512);

/// And in percent of what is reported.
const MUCH_DRIFT_PERCENT: f64 = 25.0;

/// Contexts are advised in such steps, and none shorter than two of them.
const STEP: u64 = 1024;
const LEAST: u64 = 2048;

/// What a container with models leaves to the rest of its machine.
const LEFT_BY_CONTAINER: f64 = 10.0;
const LEAST_LEFT: Bytes = Bytes::gib(1);

pub fn look(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    fits(scene, found);
    drift(scene, found);
    found.push(container(scene));
    named_containers(scene, found);
}

fn fits(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let all = &scene.fits.all;
    if all.is_empty() {
        let why = if scene.is_remote() { super::ELSEWHERE } else { "no model can be judged" };
        found
            .extend([Check::ContextTooLarge, Check::ModelTooLarge].map(|check| check.skipped(why)));
        return;
    }
    let (mut by_context, mut by_weights) = (Vec::new(), Vec::new());
    for fit in all.iter().filter(|fit| fit.need.bytes() > fit.budget.ever) {
        match context_that_would(fit) {
            Some(context) => by_context.push(context_too_large(scene, fit, context)),
            None => by_weights.push(model_too_large(fit)),
        }
    }
    if by_context.is_empty() {
        by_context.push(Check::ContextTooLarge.ok("none fails for its context"));
    }
    if by_weights.is_empty() {
        by_weights.push(Check::ModelTooLarge.ok(format!("{} judged, all could fit", all.len())));
    }
    found.extend(by_context.into_iter().chain(by_weights));
}

/// The context at which it could be loaded with one slot, by proportion of its
/// cache; `None`: it is too large without any.
fn context_that_would(fit: &Fit) -> Option<u64> {
    let without = fit.need.bytes().saturating_sub(fit.need.kv);
    let room = fit.budget.ever.checked_sub(without)?;
    let tokens = fit.settings.context.saturating_mul(u64::from(fit.settings.parallel.max(1)));
    let share = room.get() as f64 / fit.need.kv.get().max(1) as f64;
    let context = (tokens as f64 * share.min(1.0)) as u64 / STEP * STEP;
    (context >= LEAST).then_some(context.min(fit.settings.context))
}

fn context_too_large(scene: &Scene<'_>, fit: &Fit, context: u64) -> Finding {
    let (name, settings) = (fit.model.short(), &fit.settings);
    let slots = match settings.parallel {
        0 | 1 => String::new(),
        slots => format!(" × {slots} requests"),
    };
    let tokens = format!("{} tokens{slots}", settings.context);
    let mend = if context >= settings.context {
        setting_line(scene.survey, "OLLAMA_NUM_PARALLEL", "1")
    } else if fit.has_own_context() {
        format!("plimsoll load {} --ctx {context}", model_word(name))
    } else {
        setting_line(scene.survey, "OLLAMA_CONTEXT_LENGTH", &context.to_string())
    };
    Check::ContextTooLarge
        .warning(format!(
            "{name} needs {} at {tokens}, and {} is all this machine could give",
            fit.need.bytes(),
            fit.budget.ever
        ))
        .on(name)
        .why(format!(
            "{} of it are for the {}; the server loads it in part or not at all",
            fit.need.kv, fit.settings_source
        ))
        .mend(mend)
}

fn model_too_large(fit: &Fit) -> Finding {
    let name = fit.model.short();
    Check::ModelTooLarge
        .note(format!(
            "{name} needs {} whatever its context, and {} is all this machine could give",
            fit.need.bytes().saturating_sub(fit.need.kv),
            fit.budget.ever
        ))
        .on(name)
        .why("it takes disk, and a load of it drives everything else out")
        .mend(format!("ollama rm {}", model_word(name)))
}

fn drift(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let check = Check::ModelDrift;
    let local = scene.snapshot.models.iter().filter(|model| !model.is_remote && !model.is_cloud);
    let measured: Vec<&ModelView> = local.filter(|model| model.drift().is_some()).collect();
    let drifted: Vec<&&ModelView> = measured.iter().filter(|model| has_drifted(model)).collect();
    if drifted.is_empty() {
        found.push(match measured.len() {
            0 => check.skipped("no loaded model is measured"),
            some => check.ok(format!("{some} measured, none holds much more than reported")),
        });
    }
    for model in drifted {
        let name = model.name.short();
        let (held, said) = (model.held().unwrap_or_default(), model.reported.unwrap_or_default());
        let word = model_word(name);
        found.push(
            check
                .warning(format!("{name} holds {held} measured, {said} reported"))
                .on(name)
                .why(
                    "most of the difference is a cache of prompts; loading it anew gives that back",
                )
                .mend(format!("plimsoll unload {word} && plimsoll load {word}")),
        );
    }
}

fn has_drifted(model: &ModelView) -> bool {
    let (Some(held), Some(said)) = (model.held(), model.reported) else { return false };
    let more = held.saturating_sub(said);
    more > MUCH_DRIFT && more > said.at(Percent::new(MUCH_DRIFT_PERCENT))
}

fn container(scene: &Scene<'_>) -> Finding {
    let check = Check::ContainerUnlimited;
    if let Some(why) = scene.no_process() {
        return check.skipped(why);
    }
    let Some(server) = scene.survey.server() else {
        return check.skipped("the server's process is not seen here");
    };
    let (id, name, limit) = match &server.housing {
        Ok(Housing::Container { id, name, limit }) => (id, name, limit),
        Ok(_) => return check.skipped("the server runs in no container"),
        Err(fault) => return check.skipped(format!("{fault}")),
    };
    match limit {
        Ok(Some(limit)) => check.ok(format!("container {name} has a limit of {limit}")),
        Err(fault) => check.skipped(format!("the limit of container {name}: {fault}")),
        Ok(None) => check
            .warning(format!("container {name} has models and no limit of memory"))
            .on(name)
            .why(KILLS_ANY)
            .mend(limiting(plain_word(name).unwrap_or(id), most(scene))),
    }
}

const KILLS_ANY: &str = "when memory is out the kernel may kill any program of this machine for it";

/// What a container may have at most; `None`: how much memory there is is
/// unknown.
fn most(scene: &Scene<'_>) -> Option<Bytes> {
    let total = scene.total()?;
    let left = total.at(Percent::new(LEFT_BY_CONTAINER)).max(LEAST_LEFT);
    Some(total.saturating_sub(left)).filter(|most| !most.is_zero())
}

/// Both: an engine refuses the first alone where swap has no limit yet.
fn limiting(container: &str, to: Option<Bytes>) -> String {
    let to = to.map_or_else(|| "SIZE".to_owned(), |to| format!("{}m", to.get() >> 20));
    format!("docker update --memory {to} --memory-swap {to} {container}")
}

/// Those that the config names, whatever is in them.
fn named_containers(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let groups = scene.sample().and_then(|sample| sample.groups.as_ref().ok());
    let most = most(scene);
    // That one has models and a finding of its own.
    let of_server = scene.survey.server().and_then(|server| match &server.housing {
        Ok(Housing::Container { id, .. }) => Some(id),
        _ => None,
    });
    for group in groups.into_iter().flatten() {
        let GroupKind::Container { id } = &group.kind else { continue };
        let (None, Some(used)) = (group.limit, group.used) else { continue };
        if of_server == Some(id) {
            continue;
        }
        let twice = Bytes::new(used.get().saturating_mul(2)).max(LEAST_LEFT);
        // No more than there is, and never less than it has now.
        let to = most.map(|most| twice.min(most).max(used));
        found.push(
            Check::ContainerUnlimited
                .note(format!("container {} has no limit of memory, and uses {used}", group.name))
                .on(&group.name)
                .why(KILLS_ANY)
                .mend(limiting(plain_word(&group.name).unwrap_or(id), to)),
        );
    }
}
