//! The dashboard's door to the user's config: a change is proposed, shown as a
//! difference, and written only if the file is still what was shown.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::difference;
use crate::config::write_back::{Change, Proposal, propose};
use crate::config::{LoadedConfig, Origin};
use crate::domain::text::clean;
use crate::domain::{Bytes, SettingChange, SettingDifference, SettingDoor};

use super::reload::Poke;
use super::{chain, on_one_line, settings};

/// One user's file, and the change that was shown last.
pub struct ConfigDoor {
    config: LoadedConfig,
    path: PathBuf,
    /// What the limits are checked for.
    total: Bytes,
    /// Has the config read again after a change.
    poke: Option<Poke>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    token: u64,
    proposal: Option<Proposal>,
}

impl ConfigDoor {
    /// `None`: there is no place for a config file.
    pub fn of(
        config: &LoadedConfig,
        total: Bytes,
        poke: Option<Poke>,
    ) -> Option<Arc<dyn SettingDoor>> {
        let path = config.paths.config_file.clone()?;
        let shown = Mutex::default();
        Some(Arc::new(ConfigDoor { config: config.clone(), path, total, poke, shown }))
    }

    /// What all layers together say of a file like that.
    fn check(&self, key: &str, text: &str) -> Result<(), String> {
        let loaded = self.config.with_file_text(text).map_err(said)?;
        settings::regime(&loaded, self.total).map_err(said)?;
        match loaded.origin(key) {
            Origin::File { .. } => Ok(()),
            // A command, in a file that may not name one.
            Origin::Default => Err(loaded.notes.join("; ")),
            other => Err(format!("`{key}` is set by {other}, which stands over the file")),
        }
    }
}

impl SettingDoor for ConfigDoor {
    fn propose(&self, change: &SettingChange) -> Result<SettingDifference, String> {
        let SettingChange { key, value } = change;
        let value = toml_edit::Value::from_str(value)
            .map_err(|_| format!("`{}` is no value as TOML writes it", clean(value)))?;
        let changes = [Change::Set { path: key.clone(), value }];
        let proposal = propose(&self.path, &changes).map_err(said)?;
        self.check(key, proposal.after())?;
        let lines = difference::lines(proposal.before(), proposal.after());
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.token += 1;
        shown.proposal = Some(proposal);
        Ok(SettingDifference { file: self.path.display().to_string(), lines, token: shown.token })
    }

    fn write(&self, token: u64) -> Result<(), String> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let proposal = match shown.proposal.take() {
            Some(proposal) if shown.token == token => proposal,
            other => {
                shown.proposal = other;
                return Err("another change has been shown since".to_owned());
            }
        };
        proposal.apply().map_err(said)?;
        if let Some(poke) = &self.poke {
            poke.now();
        }
        Ok(())
    }
}

fn said(error: impl Into<anyhow::Error>) -> String {
    on_one_line(&chain(error))
}
