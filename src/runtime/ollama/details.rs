//! A model's details, from where they can be had: the server's plain answer,
//! its long one where lists were held back, and the header of the weights file
//! where that lies on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::http::{Ask, Http};
use super::{BODY_LIMIT, wire};
use crate::domain::RuntimeFault;
use crate::domain::model::{ModelDetails, ModelName};
use crate::runtime::gguf;

/// The long answer holds whole vocabularies: tens of megabytes for a quarter
/// of a million tokens with their merges.
const LONG_BODY_LIMIT: usize = 64 << 20;

/// How much longer the long answer may take: the server reads and writes out
/// every token.
const LONG_PATIENCE: u32 = 3;

/// Where services of the system keep their models: Ollama's own installer,
/// distributions' packages, and a snap.
const SYSTEM_FOLDERS: [&str; 4] = [
    "/usr/share/ollama/.ollama/models",
    "/var/lib/ollama/.ollama/models",
    "/var/lib/ollama/models",
    "/var/snap/ollama/common/models",
];

/// Where a server on this machine may keep its models: where it was told to,
/// below the user's home, and where services do.
pub fn model_folders(told: Option<&str>, home: Option<&str>) -> Vec<PathBuf> {
    // The server, too, takes blanks and quotes off.
    let told = told.map(|path| path.trim().trim_matches(['"', '\'']).into());
    let own = home.map(|home| PathBuf::from(home).join(".ollama/models"));
    told.into_iter().chain(own).chain(SYSTEM_FOLDERS.map(PathBuf::from)).collect()
}

/// What it takes to ask.
pub struct Asking {
    pub http: Arc<Http>,
    /// For the plain answer.
    pub time: Duration,
    /// Where weights lie on this machine; empty for a server elsewhere.
    pub folders: Arc<[PathBuf]>,
}

impl Asking {
    /// A fault of the plain answer is one; the others only add to it.
    pub async fn details(self, model: ModelName) -> Result<ModelDetails, RuntimeFault> {
        let mut shown = self.show(&model, false).await?;
        if shown.details.is_cloud {
            return Ok(shown.details);
        }
        if shown.lacks_lists
            && let Ok(long) = self.show(&model, true).await
            && long.details.shape.is_some()
        {
            shown.details.shape = long.details.shape;
        }
        self.look_into_files(shown).await
    }

    async fn show(&self, model: &ModelName, is_long: bool) -> Result<wire::Shown, RuntimeFault> {
        let ask = Ask {
            call: "/api/show",
            body: Some(match is_long {
                true => json!({ "model": model.as_str(), "verbose": true }),
                false => json!({ "model": model.as_str() }),
            }),
            time: Some(if is_long { self.time * LONG_PATIENCE } else { self.time }),
            size: if is_long { LONG_BODY_LIMIT } else { BODY_LIMIT },
            cut_to: is_long.then_some(BODY_LIMIT),
            may_repeat: true,
        };
        wire::details(self.http.ask(ask).await?)
    }

    /// Fills in from the files what the server did not tell.
    async fn look_into_files(&self, shown: wire::Shown) -> Result<ModelDetails, RuntimeFault> {
        let wire::Shown { mut details, projector, .. } = shown;
        let is_whole =
            details.shape.as_ref().is_some_and(|shape| !shape.weights.tensors.is_empty());
        let blob = details.blob.clone().filter(|_| !is_whole);
        if self.folders.is_empty() || (blob.is_none() && projector.is_none()) {
            return Ok(details);
        }
        let folders = Arc::clone(&self.folders);
        let capabilities = details.capabilities.clone();
        let read = tokio::task::spawn_blocking(move || {
            let shape = blob.and_then(|blob| gguf::shape(&folders, &blob, &capabilities).ok());
            (shape, projector.and_then(|blob| gguf::size(&folders, &blob).ok()))
        });
        // A reader that panicked, or waits for a folder that does not answer,
        // has told nothing, which is no fault.
        let Ok(Ok((shape, projector))) = tokio::time::timeout(self.time, read).await else {
            return Ok(details);
        };
        if let Some(mut found) = shape {
            found.weights.projector = details.shape.and_then(|shape| shape.weights.projector);
            details.max_context = details.max_context.or(found.max_context);
            details.shape = Some(Box::new(found));
        }
        if let (Some(shape), Some(size)) = (&mut details.shape, projector) {
            shape.weights.projector = Some(size);
        }
        Ok(details)
    }
}
