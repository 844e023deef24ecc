//! Settings of the model server for this machine, each with its reason and
//! what it saves here. Pure: what a load takes with other settings comes from
//! outside, as a function. Values are ours, never text from elsewhere.

mod kept;
mod mac;
mod memory;

use crate::domain::finding::{Advice, Saving, SettingKind};
use crate::domain::fit::ServerEra;
use crate::domain::{Bytes, Fit, FitQuestion, Fits, ModelName, Percent, Snapshot, Survey};

pub use kept::{CACHE_DEFAULT, cache_bound};

/// What a load takes as asked; `None`: that cannot be told.
pub type FitOf<'a> = dyn FnMut(FitQuestion) -> Option<Fit> + 'a;

/// From here on a machine is large: llama.cpp's cache of prompts is an eighth of
/// it, and it is full so late that there is time to mend it.
pub const LARGE: Bytes = Bytes::gib(64);

/// What a model may take of all this machine could give, so that there is
/// room for its cache of prompts and for a bad day.
const COMFORT: f64 = 80.0;

/// Why nothing is advised where memory cannot be read.
const UNMEASURED: &str = "how much memory this machine has is unknown";

/// The machine, its server and its models.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub survey: &'a Survey,
    pub snapshot: &'a Snapshot,
    pub fits: &'a Fits,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Advised {
    /// The model that savings are computed with, and why that one.
    pub subject: Option<Subject>,
    pub settings: Vec<Advice>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub model: ModelName,
    /// As its server would load it now.
    pub fit: Fit,
    pub why: &'static str,
}

/// Everything worth setting on this machine, or worth leaving.
pub fn advice(situation: &Situation<'_>, fit_of: &mut FitOf<'_>) -> Advised {
    let subject = subject(situation.fits);
    let mut advising = Advising { situation: *situation, subject: subject.clone(), fit_of };
    let (context, at_context) = memory::context(&mut advising);
    let mut settings = vec![
        memory::max_loaded(&advising),
        kept::keep_alive(&advising),
        memory::parallel(&mut advising, at_context),
        context,
    ];
    settings.extend(memory::cache_type(&mut advising, at_context));
    settings.push(kept::prompt_cache(&advising));
    settings.push(kept::threads(&advising));
    settings.extend(mac::settings(&advising));
    Advised { subject, settings }
}

/// The largest model that this machine could hold as its server loads it, else
/// the smallest of all.
fn subject(fits: &Fits) -> Option<Subject> {
    let could = fits.all.iter().filter(|fit| fit.need.bytes() <= fit.budget.ever);
    let of = |fit: &Fit, why| Subject { model: fit.model.clone(), fit: fit.clone(), why };
    let largest = could.max_by_key(|fit| (fit.need.bytes(), &fit.model));
    if let Some(largest) = largest {
        return Some(of(largest, "the largest installed that this machine could hold"));
    }
    let smallest = fits.all.iter().min_by_key(|fit| (fit.need.bytes(), &fit.model))?;
    Some(of(smallest, "the smallest installed; as the server loads it, none could be held"))
}

struct Advising<'a, 'f> {
    situation: Situation<'a>,
    subject: Option<Subject>,
    fit_of: &'f mut FitOf<'f>,
}

/// A setting as it is, and whether that could be seen.
struct Now {
    value: Option<String>,
    is_known: bool,
}

impl Advising<'_, '_> {
    fn now(&self, setting: &str) -> Now {
        match self.situation.survey.setting(setting) {
            Ok(value) => Now { value: value.map(str::to_owned), is_known: true },
            Err(_) => Now { value: None, is_known: false },
        }
    }

    fn number(&self, setting: &str) -> Option<i64> {
        self.now(setting).value?.trim().parse().ok()
    }

    /// All memory this machine has; `None`: that is unknown.
    fn total(&self) -> Option<Bytes> {
        let sample = self.situation.snapshot.sample.as_deref();
        let memory = sample.and_then(|sample| sample.memory.as_ref().ok());
        memory.map(|memory| memory.total)
    }

    fn era(&self) -> ServerEra {
        let server = self.situation.snapshot.runtimes.first();
        let version = server.and_then(|server| server.version.as_deref());
        version.map_or(ServerEra::LlamaServer, ServerEra::of_version)
    }

    /// What the subject takes with these settings.
    fn fit(&mut self, question: FitQuestion) -> Option<Fit> {
        (self.fit_of)(question)
    }

    fn plain(&self) -> Option<FitQuestion> {
        Some(FitQuestion::plain(self.subject.as_ref()?.model.clone()))
    }

    /// To be left as it is; `same` says that in our own words, where it is set.
    fn left(&self, setting: &'static str, same: Option<String>, reason: String) -> Advice {
        let same = same.filter(|_| self.now(setting).value.is_some());
        Advice { is_so: true, ..self.on_server(setting, same, reason) }
    }

    /// Nothing can be said of it without a model.
    fn unknown(&self, setting: &'static str) -> Advice {
        let reason = "no model is known that it could be worked out with".to_owned();
        Advice { is_so: false, ..self.on_server(setting, None, reason) }
    }

    /// Nothing can be said of it where nobody knows how much memory there is.
    fn unmeasured(&self, setting: &'static str) -> Advice {
        Advice { is_so: false, ..self.on_server(setting, None, UNMEASURED.to_owned()) }
    }

    /// An advice on a variable of the server.
    fn on_server(&self, setting: &'static str, value: Option<String>, reason: String) -> Advice {
        let now = self.now(setting);
        let is_so = now.is_known && now.value == value;
        Advice {
            setting,
            kind: SettingKind::Server,
            now: now.value,
            is_known: now.is_known,
            value,
            reason,
            saves: None,
            is_so,
        }
    }
}

/// Fits with room to spare.
fn is_comfortable(fit: &Fit) -> bool {
    fit.need.bytes() <= fit.budget.ever.at(Percent::new(COMFORT))
}

/// What the second takes less than the first, where it does.
fn saving(more: &Fit, less: &Fit, of: String) -> Option<Saving> {
    let bytes = more.need.parts().saturating_sub(less.need.parts());
    (!bytes.is_zero()).then_some(Saving { bytes, of })
}
