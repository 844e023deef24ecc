//! A verdict in words, the same on the screen and on the command line. How a
//! number of tokens is written is the front end's: one is read, one is typed on.

use super::{Fit, FitVerdict, LearnedFootprint, Named, Need, Placement, Smaller};
use crate::domain::bytes::Bytes;
use crate::domain::component::FootprintSource;
use crate::domain::shape::KvType;
use crate::domain::text::clean;

/// What there is to say of a verdict.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    pub fit: &'a Fit,
    /// Writes a number of tokens.
    pub number: fn(u64) -> String,
}

impl Words<'_> {
    /// The verdict, to follow the model's name or to stand alone.
    pub fn verdict(&self) -> String {
        let fit = self.fit;
        if fit.is_loaded {
            return "is loaded with these settings: nothing more is taken".to_owned();
        }
        match fit.verdict {
            FitVerdict::Fits => format!("fits now, {} to spare", fit.margin().magnitude()),
            FitVerdict::FitsAfterUnload => {
                format!("fits after unloading {}", listed(&fit.unload, usize::MAX))
            }
            FitVerdict::FitsSmaller => match &fit.smaller {
                Some(smaller) => format!("fits with {}", self.smaller(smaller)),
                None => "fits with less context".to_owned(),
            },
            FitVerdict::FitsAfterFreeing => {
                format!("fits if other programs give back {}", fit.lacks())
            }
            FitVerdict::Never => format!(
                "does not fit this machine: it needs {}, and {} is all there could be",
                fit.need.bytes(),
                fit.budget.ever
            ),
        }
    }

    /// The level it would bring about, where that is a worse one. With room
    /// made first it may be another.
    pub fn crossing(&self) -> Option<String> {
        let level = self.fit.crosses.filter(|_| !self.fit.is_loaded)?;
        let by_force = if self.fit.verdict == FitVerdict::Fits { "" } else { "by force " };
        Some(format!("{by_force}memory would enter {level}"))
    }

    /// `context 4,096 × 1 slot, kv f16 (context as asked)`
    pub fn settings_and_source(&self) -> String {
        format!("{} ({})", self.settings(), clean(&self.fit.settings_source))
    }

    pub fn settings(&self) -> String {
        let settings = &self.fit.settings;
        let slots = if settings.parallel == 1 { "slot" } else { "slots" };
        let placement = match settings.placement {
            Placement::Cpu => String::new(),
            other => format!(", {}", other.word()),
        };
        format!(
            "context {} × {} {slots}, kv {}{placement}",
            (self.number)(settings.context),
            settings.parallel,
            settings.kv_type
        )
    }

    /// How long a context fits now.
    pub fn largest(&self) -> String {
        match self.fit.max_context {
            Some(context) => format!("up to {} fits now", (self.number)(context)),
            None => "none fits now".to_owned(),
        }
    }

    /// `context 2,048, kv q8_0: 1.3 GiB`
    pub fn smaller(&self, smaller: &Smaller) -> String {
        format!("{}: {}", self.smaller_settings(smaller), smaller.need)
    }

    /// What of the settings would have to be another.
    pub fn smaller_settings(&self, smaller: &Smaller) -> String {
        let settings = &self.fit.settings;
        let context = (smaller.context != settings.context)
            .then(|| format!("context {}", (self.number)(smaller.context)));
        let kv_type =
            (smaller.kv_type != settings.kv_type).then(|| format!("kv {}", smaller.kv_type));
        [context, kv_type].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Need {
    /// The parts by name. One that no such model has is not worth a word.
    pub fn by_name(&self) -> Vec<(&'static str, Bytes)> {
        let parts = [
            ("weights", self.weights),
            ("kv", self.kv),
            ("state", self.state),
            ("compute", self.compute),
            ("vision", self.vision),
            ("overhead", self.overhead),
        ];
        parts.into_iter().filter(|(_, bytes)| !bytes.is_zero()).collect()
    }

    /// How the figure that counts is known: `learned from 3 loads`.
    pub fn source_text(&self) -> String {
        match &self.learned {
            Some(learned) => format!("learned from {}", learned.loads()),
            None if self.is_rough => "rough, from its labels only".to_owned(),
            None => FootprintSource::Estimated.word().to_owned(),
        }
    }
}

impl LearnedFootprint {
    /// `3 loads at other contexts`
    pub fn loads(&self) -> String {
        let scaled = if self.is_scaled { " at other contexts" } else { "" };
        let loads = if self.count == 1 { "load" } else { "loads" };
        format!("{} {loads}{scaled}", self.count)
    }

    /// What was seen of them.
    pub fn text(&self) -> String {
        let spread = match self.count {
            1 => String::new(),
            _ => format!(" ± {}", self.spread),
        };
        let growth = match self.growth {
            Bytes::ZERO => String::new(),
            growth => format!(", grew by {growth} in use"),
        };
        format!("{}{spread}, {} at most{growth}", self.mean, self.peak)
    }
}

/// A type of the cache is the whole server's, not a load's.
pub fn kv_warning(kind: KvType) -> String {
    format!("kv {kind} only where the server is started with OLLAMA_KV_CACHE_TYPE={kind}")
}

/// `llama3.2:3b (3.1 GiB), tiny (0.8 GiB)`, and how many more.
pub fn listed(named: &[Named], most: usize) -> String {
    let one = |named: &Named| format!("{} ({})", clean(&named.name), named.bytes);
    let mut text = named.iter().take(most).map(one).collect::<Vec<_>>().join(", ");
    if named.len() > most {
        text.push_str(&format!(", {} more", named.len() - most));
    }
    text
}
