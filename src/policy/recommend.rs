//! Which installed model to load now: the largest of those that suit the task
//! and fit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::domain::fit::{Complexity, Fits, Named, Recommendation};
use crate::domain::{Fit, FitVerdict, InstalledModel, Level, ModelName, parameters, pattern};

/// Tags that mean something without patterns: by what a model can do, and by
/// its size.
const GENERAL: &str = "general";
const SMALL: &str = "small";
const EMBEDDING: &str = "embedding";
const CODING: &str = "coding";

/// Most are named for what they are; those that are not, by their names.
const CODERS: [&str; 3] = ["*code*", "devstral*", "codestral*"];

/// Which models suit what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tastes {
    /// Work of low complexity is for models of so many parameters at most.
    pub low: u64,
    pub medium: u64,
    /// Tag to patterns over names.
    pub tags: BTreeMap<String, Vec<String>>,
}

impl Default for Tastes {
    /// Between the sizes models come in: 1 to 4, 7 to 9, and from 12 on.
    fn default() -> Self {
        let coders = CODERS.map(str::to_owned).to_vec();
        Tastes {
            low: 4_000_000_000,
            medium: 9_000_000_000,
            tags: BTreeMap::from([(CODING.to_owned(), coders)]),
        }
    }
}

impl Tastes {
    /// Every tag by name, those of a pattern first.
    pub fn all_tags(&self) -> Vec<String> {
        let own = self.tags.keys().map(String::as_str);
        let mut seen = BTreeSet::new();
        own.chain([GENERAL, SMALL, EMBEDDING])
            .filter(|tag| seen.insert(*tag))
            .map(str::to_owned)
            .collect()
    }
}

/// What servers are known to say that a model can do.
const ABILITIES: [&str; 6] = ["completion", "embedding", "insert", "thinking", "tools", "vision"];

/// Every tag that means something here.
pub fn known_tags(tastes: &Tastes, installed: &[InstalledModel]) -> BTreeSet<String> {
    let said = installed.iter().flat_map(|model| model.capabilities.iter().cloned());
    tastes.all_tags().into_iter().chain(ABILITIES.map(str::to_owned)).chain(said).collect()
}

/// What for. Nothing said: anything that writes text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub tag: Option<String>,
    pub complexity: Option<Complexity>,
}

/// The largest model that suits and fits now, and the next larger one.
pub fn recommend(
    fits: &Fits,
    installed: &[InstalledModel],
    tastes: &Tastes,
    wanted: &Wanted,
) -> Recommendation {
    let mut suiting: Vec<(&InstalledModel, &Fit)> = installed
        .iter()
        .filter(|model| suits(model, tastes, wanted))
        .filter_map(|model| Some((model, fits.of(&model.name)?)))
        .collect();
    suiting.sort_by_key(|(model, _)| size(model));
    let best = suiting.iter().rposition(|(_, fit)| is_good(fit));
    let larger = suiting.get(best.map_or(0, |best| best + 1)..).unwrap_or_default();
    let larger = larger.iter().find(|(_, fit)| fit.verdict != FitVerdict::Fits);
    let named = |fit: &Fit, bytes| Named { name: fit.model.short().to_owned(), bytes };
    let best = best.and_then(|at| suiting.get(at)).map(|(_, fit)| *fit);
    Recommendation {
        fits: best.map(|fit| named(fit, fit.need.bytes())),
        context: best.map(|fit| fit.settings.context),
        is_loaded: best.is_some_and(|fit| fit.is_loaded),
        lacks: larger.map(|(_, fit)| named(fit, fit.lacks())),
    }
}

/// It fits, and does not take the machine to where others must go for it.
fn is_good(fit: &Fit) -> bool {
    fit.verdict == FitVerdict::Fits && fit.crosses.is_none_or(|level| level < Level::Critical)
}

/// By parameters, then by bytes on disk; the name settles a tie.
fn size(model: &InstalledModel) -> (u64, u64, Reverse<&ModelName>) {
    let disk = model.disk.map_or(0, |disk| disk.get());
    (count(model).unwrap_or(0), disk, Reverse(&model.name))
}

fn count(model: &InstalledModel) -> Option<u64> {
    model.parameters.as_deref().and_then(parameters::from_text)
}

fn suits(model: &InstalledModel, tastes: &Tastes, wanted: &Wanted) -> bool {
    if model.is_cloud {
        return false;
    }
    let suits_tag = match &wanted.tag {
        None => writes(model),
        Some(tag) => has_tag(model, tastes, tag),
    };
    let most = match wanted.complexity {
        None | Some(Complexity::High) => None,
        Some(Complexity::Medium) => Some(tastes.medium),
        Some(Complexity::Low) => Some(tastes.low),
    };
    // One whose size nobody knows may be any size.
    suits_tag && most.is_none_or(|most| count(model).is_some_and(|count| count <= most))
}

fn has_tag(model: &InstalledModel, tastes: &Tastes, tag: &str) -> bool {
    if let Some(patterns) = tastes.tags.get(tag) {
        return matches(model, patterns);
    }
    match tag {
        GENERAL => writes(model) && !tastes.tags.values().any(|patterns| matches(model, patterns)),
        SMALL => writes(model) && count(model).is_some_and(|count| count <= tastes.low),
        EMBEDDING => embeds(model),
        // `vision`, `tools`, `thinking`: in the server's own words.
        ability => model.capabilities.iter().any(|known| known == ability),
    }
}

fn matches(model: &InstalledModel, patterns: &[String]) -> bool {
    let names = [model.name.short(), model.name.as_str()].map(str::to_lowercase);
    patterns
        .iter()
        .map(|pattern| pattern.to_lowercase())
        .any(|wanted| names.iter().any(|name| pattern::matches(&wanted, name)))
}

fn writes(model: &InstalledModel) -> bool {
    match model.capabilities.is_empty() {
        true => !embeds(model),
        false => model.capabilities.iter().any(|known| known == "completion"),
    }
}

/// Older servers tell no capabilities; only models of vectors are of BERT's
/// family.
fn embeds(model: &InstalledModel) -> bool {
    let is_bert = || model.family.as_deref().is_some_and(|family| family.contains("bert"));
    model.embeds() || (model.capabilities.is_empty() && is_bert())
}

#[cfg(test)]
mod tests;
