//! The JSON of `advise`. More may be added; nothing is renamed. What is
//! unknown is null.

use serde::Serialize;

use crate::cli::document::Document;
use crate::domain::Wall;
use crate::domain::finding::{Advice, SettingKind};

use super::{Target, Told};

#[derive(Debug, Serialize)]
pub struct Advise<'a> {
    schema_version: u32,
    time: Wall,
    profile: &'a str,
    /// What runs the server here.
    fits_here: Target,
    /// The model that savings are worked out with; null: none is known, and
    /// nothing is claimed of models.
    model: Option<&'a str>,
    model_because: Option<&'a str>,
    settings: Vec<SettingJson<'a>>,
}

#[derive(Debug, Serialize)]
struct SettingJson<'a> {
    setting: &'a str,
    kind: SettingKind,
    now: Option<&'a str>,
    /// Whether it could be seen; if not, `now` says nothing.
    now_is_known: bool,
    /// Null: best left as it is.
    advised: Option<&'a str>,
    is_so: bool,
    saves_bytes: Option<u64>,
    saves_of: Option<&'a str>,
    reason: &'a str,
}

impl<'a> Advise<'a> {
    pub fn of(told: &'a Told<'a>) -> Self {
        let subject = told.advised.subject.as_ref();
        Advise {
            schema_version: Document::Advise.version(),
            time: told.snapshot.at.wall,
            profile: &told.snapshot.profile.name,
            fits_here: told.fits_here,
            model: subject.map(|subject| subject.model.as_str()),
            model_because: subject.map(|subject| subject.why),
            settings: told.advised.settings.iter().map(setting).collect(),
        }
    }
}

fn setting(advice: &Advice) -> SettingJson<'_> {
    SettingJson {
        setting: advice.setting,
        kind: advice.kind,
        now: advice.now.as_deref(),
        now_is_known: advice.is_known,
        advised: advice.value.as_deref(),
        is_so: advice.is_so,
        saves_bytes: advice.saves.as_ref().map(|saving| saving.bytes.get()),
        saves_of: advice.saves.as_ref().map(|saving| saving.of.as_str()),
        reason: &advice.reason,
    }
}
