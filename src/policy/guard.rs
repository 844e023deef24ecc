//! What the rules want done in a situation. Whether and when it is done is
//! `restraint`'s to say, and the engine's.

use std::time::Duration;

use crate::domain::guard::StandingRule;
use crate::domain::model::Activity;
use crate::domain::parameters;
use crate::domain::plan::{Keep, Kept, Purpose};
use crate::domain::time::Span;
use crate::domain::{
    Action, Bytes, Component, Deed, Level, ModelView, Percent, Plan, Priority, SignalKind, Step,
    Strength,
};

use super::plan::{enough, with_spared};
use super::rules::{LevelRule, Rules};
use super::victims::{Load, Reach, Victim, idle, victims, why_it_stays};

/// What the rules are held against.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub level: Level,
    /// Which signal set it.
    pub cause: Option<SignalKind>,
    /// Bytes to free before the level may be left; `None`: memory in use
    /// itself asks for nothing.
    pub excess: Option<Bytes>,
    /// What models may take together at any level.
    pub budget: Option<Bytes>,
    pub load: Load<'a>,
    /// The level's own commands have run since it was entered.
    pub has_run: bool,
}

/// What the rule of the situation's level wants now: what must go by the
/// rules on single models, and what a level or a budget wants freed besides.
pub fn wish(rules: &Rules, situation: &Situation<'_>) -> Plan {
    let rule = rules.at(situation.level);
    let reach = reach(rule, situation);
    let (candidates, mut kept) = victims(&situation.load, reach);
    let (must, mut may) = must_go(rules, situation, candidates);
    let freed: Bytes = must.iter().map(|(victim, _)| victim.bytes()).sum();
    let budget = over_budget(rule, situation);
    let wanted = wanted(rule, situation);
    let target = [wanted, budget].into_iter().flatten().max();
    if wanted.is_none() {
        // A budget is about models: no other component helps it.
        let others = may.extract_if(.., |victim| victim.model().is_none());
        kept.extend(others.map(|victim| Kept {
            name: victim.name().to_owned(),
            reason: "only models have a budget".into(),
        }));
    }
    let rest = target.map_or(Bytes::ZERO, |target| target.saturating_sub(freed));
    let (chosen, spared) = enough(may, Some(rest));
    let why = why(situation.level, wanted, budget);
    let commands = rule.run.iter().filter(|_| wanted.is_some() && !situation.has_run);
    let commands = commands.map(|words| Step {
        action: Action::Run { words: words.clone() },
        expected: None,
        reason: format!("your own command at {}", situation.level),
    });
    let must = must.iter().filter_map(|(victim, why)| victim.step(Some(why)));
    let chosen = chosen.iter().filter_map(|victim| victim.step(Some(&why)));
    Plan {
        purpose: Purpose::Rule { level: situation.level, strength: rule.strength },
        target,
        steps: commands.chain(must).chain(chosen).collect(),
        kept: with_spared(kept, &spared, target),
    }
}

/// Whether the rules could want anything at that level, whatever is loaded.
pub fn may_want(rules: &Rules, level: Level, budget: Option<Bytes>) -> bool {
    let rule = rules.at(level);
    let is_on_models = rules.one_model
        || rules.largest_model.is_some()
        || rules.most_parameters.is_some()
        || rule.idle.is_some();
    level > Level::Normal || is_on_models || rule.budget.or(budget).is_some()
}

fn reach(rule: &LevelRule, situation: &Situation<'_>) -> Reach {
    Reach {
        // Rules on single models hold at normal too, where nobody has to go.
        strength: rule.strength.unwrap_or(Strength::Aggressive),
        by_rule: true,
        busy: situation.level == Level::Emergency,
        vram_only: situation.cause == Some(SignalKind::Vram),
    }
}

/// What a level wants freed. Where memory in use asks for nothing and another
/// signal set the level, one step, and then another look.
fn wanted(rule: &LevelRule, situation: &Situation<'_>) -> Option<Bytes> {
    rule.strength?;
    match situation.cause {
        None => None,
        Some(SignalKind::Memory | SignalKind::Available) => situation.excess,
        Some(_) => Some(situation.excess.unwrap_or(Bytes::new(1))),
    }
}

fn over_budget(rule: &LevelRule, situation: &Situation<'_>) -> Option<Bytes> {
    let budget = rule.budget.or(situation.budget)?;
    let held: Bytes = local(&situation.load).filter_map(ModelView::held).sum();
    held.checked_sub(budget).filter(|over| !over.is_zero())
}

fn why(level: Level, wanted: Option<Bytes>, budget: Option<Bytes>) -> String {
    match (wanted, budget) {
        (None, Some(over)) => format!("models are {over} over their budget"),
        _ => level.word().to_owned(),
    }
}

fn local<'a>(load: &Load<'a>) -> impl Iterator<Item = &'a ModelView> + use<'a> {
    load.models.iter().filter(|model| !model.is_remote && !model.is_cloud)
}

/// Idle models that a rule on single models does not suffer, each with the
/// rule; and the others.
fn must_go<'a>(
    rules: &Rules,
    situation: &Situation<'a>,
    candidates: Vec<Victim<'a>>,
) -> (Vec<(Victim<'a>, String)>, Vec<Victim<'a>>) {
    let last_used = last_used(&situation.load);
    let (mut must, mut may) = (Vec::new(), Vec::new());
    for victim in candidates {
        let why =
            victim.model().filter(|model| model.activity == Activity::Idle).and_then(|model| {
                breaks(rules, situation, model).or_else(|| {
                    let is_other = last_used.is_some_and(|last| last.name != model.name);
                    (rules.one_model && is_other).then(|| "only one model may stay".to_owned())
                })
            });
        match why {
            Some(why) => must.push((victim, why)),
            None => may.push(victim),
        }
    }
    (must, may)
}

/// The rule on single models that this one breaks, in words.
fn breaks(rules: &Rules, situation: &Situation<'_>, model: &ModelView) -> Option<String> {
    let limit = rules.at(situation.level).idle;
    if let Some(limit) = limit.filter(|limit| idle(model, situation.load.now) >= *limit) {
        return Some(match limit {
            Duration::ZERO => "idle ones go at once".to_owned(),
            limit => format!("idle longer than {}", Keep::For(limit)),
        });
    }
    let (held, count) = (model.held(), model.parameters.as_deref().and_then(parameters::from_text));
    if let Some(most) = rules.largest_model.filter(|most| held.is_some_and(|held| held > *most)) {
        return Some(format!("holds more than {most}"));
    }
    let most = rules.most_parameters?;
    (count? > most).then(|| format!("more than {} parameters", parameters::to_text(most)))
}

/// The model that stays where only one may: a busy one before an idle one,
/// then the one used last; the name settles a tie.
fn last_used<'a>(load: &Load<'a>) -> Option<&'a ModelView> {
    local(load).max_by_key(|model| {
        let since = model.idle.map(|idle| idle.since.mono);
        (model.pinned, model.activity != Activity::Idle, since, std::cmp::Reverse(&model.name))
    })
}

/// What the kill switch would end: one named process, least priority first,
/// then the largest. TERM where the config allows it and it was not tried yet.
pub fn last_resort(load: &Load<'_>, tried: &[String]) -> Plan {
    let mut found: Vec<(&Component, &Deed)> = load
        .components
        .iter()
        .filter(|component| !component.pinned && component.priority != Priority::Critical)
        .filter_map(|component| Some((component, end_of(component, tried)?)))
        .collect();
    found.sort_by_key(|(component, _)| {
        let held = component.footprint.map(|footprint| footprint.bytes);
        (component.priority, std::cmp::Reverse(held), component.id.clone())
    });
    let step = found.first().and_then(|(component, deed)| {
        Some(Step {
            action: Action::Component {
                id: component.id.clone(),
                name: component.name.clone(),
                target: component.target.clone()?,
                deed: (*deed).clone(),
            },
            expected: component.footprint,
            reason: format!("kill switch; priority {}", component.priority),
        })
    });
    Plan {
        purpose: Purpose::KillSwitch,
        target: None,
        steps: step.into_iter().collect(),
        kept: Vec::new(),
    }
}

fn end_of<'a>(component: &'a Component, tried: &[String]) -> Option<&'a Deed> {
    let allows = |wanted: &Deed| component.allowed.iter().find(|deed| *deed == wanted);
    let is_tried = tried.contains(&component.id);
    match (allows(&Deed::Term), allows(&Deed::Kill)) {
        (Some(term), _) if !is_tried => Some(term),
        (_, kill) => kill,
    }
}

/// Whether memory in use is past the kill switch.
pub fn is_past_kill_switch(rules: &Rules, used: Option<Percent>) -> bool {
    rules.kill_switch.zip(used).is_some_and(|(switch, used)| used >= switch.used)
}

/// The rules that hold at any level, with what each would do now.
pub fn standing(rules: &Rules, situation: &Situation<'_>) -> Vec<StandingRule> {
    let reach = reach(rules.at(situation.level), situation);
    let idle_ones = || {
        local(&situation.load).filter(|model| {
            model.activity == Activity::Idle && why_it_stays(model, reach).is_none()
        })
    };
    let would = |names: Vec<&str>| match names.is_empty() {
        true => None,
        false => Some(format!("unload {}", names.join(", "))),
    };
    let broken = |only: &Rules| {
        let broken = idle_ones().filter(|model| breaks(only, situation, model).is_some());
        would(broken.map(|model| model.name.short()).collect())
    };
    let rule = |key: &str, value: String, would| StandingRule { key: key.into(), value, would };
    let last = last_used(&situation.load).map(|model| &model.name);
    let others = idle_ones().filter(|model| Some(&model.name) != last);
    let mut standing = Vec::new();
    if rules.one_model {
        let names = others.map(|model| model.name.short()).collect();
        standing.push(rule("rules.one_model", "true".into(), would(names)));
    }
    if let Some(most) = rules.largest_model {
        let only = Rules { largest_model: Some(most), ..Rules::plain() };
        standing.push(rule("rules.largest_model", most.to_string(), broken(&only)));
    }
    if let Some(most) = rules.most_parameters {
        let only = Rules { most_parameters: Some(most), ..Rules::plain() };
        standing.push(rule("rules.most_parameters", parameters::to_text(most), broken(&only)));
    }
    if let Some(budget) = situation.budget {
        standing.push(rule("levels.model_budget", budget.to_string(), None));
    }
    if let Some(growth) = rules.recycle_growth {
        standing.push(rule("rules.recycle_growth", growth.to_string(), None));
    }
    if !rules.preload.is_empty() {
        let names: Vec<&str> = rules.preload.iter().map(|model| model.short()).collect();
        standing.push(rule("rules.preload", names.join(", "), None));
    }
    if let Some(switch) = rules.kill_switch {
        let plan = last_resort(&situation.load, &[]);
        let value = format!("{} for {}", switch.used, Span(switch.sustained));
        let would = (!plan.steps.is_empty()).then(|| plan.text());
        standing.push(rule("rules.kill_switch", value, would));
    }
    standing
}

/// What a level's rule says beside its mode and strength.
pub fn terms(rule: &LevelRule) -> Vec<String> {
    let idle = rule.idle.map(|idle| match idle {
        Duration::ZERO => "idle ones go at once".to_owned(),
        idle => format!("idle {} at most", Keep::For(idle)),
    });
    let budget = rule.budget.map(|budget| format!("models {budget} at most"));
    let commands = match rule.run.len() {
        0 => None,
        1 => Some("1 own command".to_owned()),
        several => Some(format!("{several} own commands")),
    };
    [idle, budget, commands].into_iter().flatten().collect()
}
