//! What the server says of its models' contents: asked for once for each
//! digest, one at a time, and kept for later runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::fault::RuntimeFaultKind;
use crate::domain::model::ModelDetails;
use crate::domain::{BlobDigest, InstalledModel, ModelName, Monotonic, RuntimeFault};

use super::super::input::{Effect, Lesson};
use super::State;

/// Details that could not be had are asked for again after so long, and after
/// twice as long each time: a server in trouble is not pressed, and a model
/// need not stay unjoined for long.
const AGAIN: Duration = Duration::from_secs(5);
const DOUBLINGS: u32 = 4;

/// Models whose details are held: ten times what people have installed. A
/// server whose digests change with each list must not fill memory.
const MOST: usize = 2048;

/// What is known of models, by what they are made of.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    /// By [`contents`].
    known: BTreeMap<String, ModelDetails>,
    /// What could not be had.
    later: BTreeMap<String, Later>,
    blobs: BTreeMap<BlobDigest, ModelName>,
    /// The contents that the question under way is about: a list that comes in
    /// between may say that the name stands for something else by now.
    asked: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Later {
    due: Monotonic,
    tries: u32,
}

/// A server that gives no digests has names only; two models must not share
/// what was said of one.
fn contents<'a>(name: &'a ModelName, digest: &'a str) -> &'a str {
    if digest.is_empty() { name.as_str() } else { digest }
}

impl Metadata {
    pub(super) fn of_past(details: Vec<(String, ModelDetails)>) -> Self {
        let known = details.into_iter().filter(|(digest, _)| !digest.is_empty()).take(MOST);
        Metadata { known: known.collect(), ..Metadata::default() }
    }

    pub(super) fn of(&self, name: &ModelName, digest: &str) -> Option<&ModelDetails> {
        self.known.get(contents(name, digest))
    }

    pub(super) fn of_installed(&self, model: &InstalledModel) -> Option<&ModelDetails> {
        self.of(&model.name, &model.digest)
    }

    pub(super) fn name_of(&self, blob: &BlobDigest) -> Option<&ModelName> {
        self.blobs.get(blob)
    }

    /// What the question that is put now is about.
    pub(super) fn note_asked(&mut self, contents: String) {
        self.asked = Some(contents);
    }

    /// A server that has come back may know what it did not say.
    pub(super) fn ask_again(&mut self) {
        self.later.clear();
    }

    fn is_wanted(&self, name: &ModelName, digest: &str, now: Monotonic) -> bool {
        let key = contents(name, digest);
        match (self.known.get(key), self.later.get(key)) {
            (None, later) => later.is_none_or(|later| later.due <= now),
            // The long answer may have failed where the short one came.
            (Some(details), Some(later)) => {
                details.shape.is_none() && later.due <= now && later.tries <= DOUBLINGS
            }
            (Some(_), None) => false,
        }
    }

    fn put_off(&mut self, key: String, now: Monotonic) {
        let later = self.later.entry(key).or_insert(Later { due: now, tries: 0 });
        later.due = now.plus(AGAIN.saturating_mul(1 << later.tries.min(DOUBLINGS)));
        later.tries = later.tries.saturating_add(1);
    }

    fn is_full(&self) -> bool {
        [self.known.len(), self.later.len(), self.blobs.len()].into_iter().any(|len| len >= MOST)
    }
}

impl State {
    /// A model whose details are needed, and its contents: one that is asked
    /// about, then a loaded one; an installed one while verdicts are wanted, or
    /// a runner carries weights nobody has named.
    pub(super) fn wants_details(&self) -> Option<(ModelName, String)> {
        let unknown = |name: &ModelName, digest: &str, is_cloud: bool| {
            let is_wanted = !is_cloud && self.metadata.is_wanted(name, digest, self.now.mono);
            is_wanted.then(|| (name.clone(), contents(name, digest).to_owned()))
        };
        let of_installed =
            |model: &InstalledModel| unknown(&model.name, &model.digest, model.is_cloud);
        let dialled = self.attention.dial.as_ref();
        let dialled = dialled.and_then(|dial| of_installed(self.installed_model(&dial.model)?));
        let listed = || {
            let mut listed = self.models.values().filter_map(|tracked| tracked.listed.as_ref());
            listed.find_map(|model| unknown(&model.name, &model.digest, model.is_cloud))
        };
        dialled.or_else(listed).or_else(|| {
            let is_wanted =
                self.attention.fits || self.has_nameless_runner() || !self.rules.preload.is_empty();
            (is_wanted && !self.metadata.is_full()).then_some(())?;
            self.installed.value.iter().find_map(of_installed)
        })
    }

    /// What a name stands for. One that was pulled anew while it is loaded
    /// stands for both.
    fn contents_of(&self, model: &ModelName) -> BTreeSet<&str> {
        let listed = self.models.get(model).and_then(|tracked| tracked.listed.as_ref());
        let listed = listed.map(|listed| contents(&listed.name, &listed.digest));
        let installed = self.installed_model(model);
        let installed = installed.map(|installed| contents(&installed.name, &installed.digest));
        listed.into_iter().chain(installed).collect()
    }

    pub(super) fn take_details(
        &mut self,
        model: &ModelName,
        answer: Result<ModelDetails, RuntimeFault>,
    ) {
        let Some(key) = self.metadata.asked.take() else { return };
        let all = self.contents_of(model);
        // Gone or changed meanwhile: nobody knows what was meant.
        if !all.contains(key.as_str()) {
            return;
        }
        // A name says nothing for good, nor does an answer that may be about
        // other contents; and what another machine says of a digest is not to
        // be believed here later on.
        let is_for_good = all.len() == 1 && key != model.as_str() && !self.server.is_remote();
        if self.metadata.is_full() {
            self.forget_metadata();
        }
        let is_refused = answer.is_err();
        let details = match answer {
            Ok(details) => details,
            Err(fault) if may_pass(&fault) => return self.metadata.put_off(key, self.now.mono),
            // A refusal is remembered: the question is not repeated for ever.
            Err(_) => ModelDetails::default(),
        };
        if details.shape.is_some() || is_refused {
            self.metadata.later.remove(&key);
        } else {
            self.metadata.put_off(key.clone(), self.now.mono);
        }
        self.fits.learned += 1;
        if details.shape.is_some() && is_for_good {
            let (digest, details) = (key.clone(), Box::new(details.clone()));
            self.effects.push(Effect::Learn(Lesson::Details { digest, details }));
        }
        if let Some(blob) = &details.blob {
            self.metadata.blobs.insert(blob.clone(), model.clone());
        }
        self.metadata.known.insert(key, details);
    }

    /// Another list of what is installed. Its weights have their names
    /// whenever their details were had, be it by an earlier run.
    pub(super) fn follow_installed(&mut self) {
        if self.metadata.is_full() {
            self.forget_metadata();
        }
        for model in self.installed.value.iter() {
            let details = self.metadata.known.get(contents(&model.name, &model.digest));
            if let Some(blob) = details.and_then(|details| details.blob.clone()) {
                self.metadata.blobs.entry(blob).or_insert_with(|| model.name.clone());
            }
        }
    }

    /// Of what is neither installed nor loaded.
    fn forget_metadata(&mut self) {
        let listed = self.models.values().filter_map(|tracked| tracked.listed.as_ref());
        let listed = listed.map(|model| contents(&model.name, &model.digest).to_owned());
        let installed = self.installed.value.iter();
        let installed = installed.map(|model| contents(&model.name, &model.digest).to_owned());
        let here: BTreeSet<String> = listed.chain(installed).collect();
        let metadata = &mut self.metadata;
        metadata.known.retain(|key, _| here.contains(key));
        metadata.later.retain(|key, _| here.contains(key));
        let blobs: BTreeSet<&BlobDigest> =
            metadata.known.values().filter_map(|details| details.blob.as_ref()).collect();
        metadata.blobs.retain(|blob, _| blobs.contains(blob));
    }
}

/// Trouble on the way or at the server, not an answer about the model.
fn may_pass(fault: &RuntimeFault) -> bool {
    match fault.kind {
        RuntimeFaultKind::Refused
        | RuntimeFaultKind::Unreachable
        | RuntimeFaultKind::TimedOut
        | RuntimeFaultKind::Broken => true,
        RuntimeFaultKind::Status(status) => status == 429 || status >= 500,
        _ => false,
    }
}
