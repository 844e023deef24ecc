//! What is kept of this machine's past: in its history on the disk, and with
//! the plimsoll that acts on it what is not written yet. Nothing is changed,
//! also not by bringing an older history to a newer form.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};

use crate::assemble::Source;
use crate::config::LoadedConfig;
use crate::domain::past::{Figures, Minute};
use crate::domain::{Event, Snapshot, Wall};
use crate::engine::link::{Attention, Link};
use crate::engine::state::minutes_of;
use crate::store::{FILE, Restored, Store};

use super::Context;
use super::events;
use super::exit::WrongUsage;
use super::look::{attached, may_attach};

/// A demo and a recording leave nothing behind.
pub fn only_here(context: &Context) -> Result<()> {
    match context.source {
        Source::Live => Ok(()),
        _ => Err(WrongUsage("only this machine has a history, no demo and no recording").into()),
    }
}

/// Where the history is, whether there is one or not.
pub fn folder(config: &LoadedConfig) -> Result<&Path> {
    config.paths.data_dir.as_deref().ok_or_else(|| {
        anyhow!(
            "there is no home folder that could hold a history\nhint: name a folder with --data-dir"
        )
    })
}

/// There is a history in this folder.
pub fn is_in(folder: &Path) -> Result<bool> {
    let file = folder.join(FILE);
    file.try_exists().with_context(|| format!("look for the history `{}`", file.display()))
}

/// The past, as far as it can be reached.
pub struct Kept {
    folder: PathBuf,
    is_there: bool,
    engine: Option<(Box<dyn Link>, Arc<Snapshot>)>,
}

impl Kept {
    pub async fn begin(context: &Context, config: &LoadedConfig) -> Result<Kept> {
        only_here(context)?;
        let folder = folder(config)?.to_owned();
        let engine = match may_attach(context) {
            // A command is nobody who could answer a rule that asks.
            true => attached(config, &Attention { watched: false, ..Attention::default() }).await,
            false => None,
        };
        Ok(Kept { is_there: is_in(&folder)?, folder, engine })
    }

    /// What minutes were like and what components held, up to now where an
    /// engine is at work.
    pub fn figures(&self, (from, until): (Wall, Wall)) -> Result<Figures> {
        let mut figures = match self.is_there {
            true => Store::figures(&self.folder, (from, until))?,
            false => Figures::default(),
        };
        if let Some((_, snapshot)) = &self.engine {
            let mut newest = minutes_of(snapshot);
            newest.retain(|minute| {
                minute.start() < until && minute.number >= Minute::number_at(from)
            });
            join(&mut figures.minutes, newest);
        }
        Ok(figures)
    }

    /// What happened from that time on, oldest first.
    pub async fn events(&self, from: Wall) -> Result<Vec<Event>> {
        match &self.engine {
            Some((link, snapshot)) => {
                let newest = snapshot.events.value.iter().cloned().collect();
                events::all(link.as_ref(), newest, Some(from)).await
            }
            None => events::on_disk(&self.folder, Some(from)),
        }
    }

    /// What was learned; `None`: there is no history yet.
    pub fn restored(&self) -> Result<Option<Restored>> {
        Ok(self.is_there.then(|| Store::look(&self.folder)).transpose()?)
    }
}

/// What an engine still knows of minutes that may be on the disk in part.
fn join(minutes: &mut Vec<Minute>, newest: Vec<Minute>) {
    for newer in newest {
        match minutes.binary_search_by_key(&newer.number, |minute| minute.number) {
            Ok(found) => minutes[found].was.take_same(&newer.was),
            Err(place) => minutes.insert(place, newer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bytes;
    use crate::domain::past::Stretch;

    #[test]
    fn what_an_engine_knows_fills_in_and_counts_no_time_twice() {
        let minute = |number, gib, seconds| {
            let mut was = Stretch { used: Some(Bytes::gib(gib)), ..Stretch::default() };
            was.spent.add(was.level, std::time::Duration::from_secs(seconds));
            Minute { number, was }
        };
        let mut minutes = vec![minute(1, 4, 60), minute(2, 5, 20)];
        join(&mut minutes, vec![minute(1, 3, 30), minute(2, 6, 60), minute(4, 7, 10)]);
        assert_eq!(minutes, [minute(1, 4, 60), minute(2, 6, 60), minute(4, 7, 10)]);
    }
}
