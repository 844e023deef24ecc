//! Programs that hold models, behind one trait. Wire types never leave.

pub mod demo;
mod gguf;
mod metadata;
pub mod ollama;
pub mod replay;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::domain::RuntimeFault;
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::domain::plan::Keep;

/// An answer on its way. Owns what it needs, so it can run as a task.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, RuntimeFault>> + Send>>;

/// Where a runtime answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// For people and logs: user name, password and query left out.
    pub shown_url: String,
    /// The address is loopback. Not yet proof that the server is here: a
    /// tunnel listens there too.
    pub is_loopback: bool,
    pub port: u16,
}

/// How to load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    pub keep: Keep,
    /// Context of one slot; sent so that nothing reloads.
    pub context: Option<u64>,
    /// Embedding models load through another call.
    pub embeds: bool,
}

/// Work for a model, of which the text does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub text: String,
    /// Tokens of the answer at most.
    pub tokens: u32,
    /// As the model was loaded, so that nothing reloads.
    pub context: Option<u64>,
    pub keep: Keep,
}

/// What a generation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generated {
    /// By our clock, from asking to the first and to the last word.
    pub first_word: Option<Duration>,
    pub last_word: Option<Duration>,
    /// Pieces of text that came; mostly one a token.
    pub pieces: u64,
    /// The server's own figures; each unknown on its own.
    pub prompt_tokens: Option<u64>,
    pub prompt_took: Option<Duration>,
    pub tokens: Option<u64>,
    pub tokens_took: Option<Duration>,
}

/// A model server. Every call has its own time limit and size limit, and no
/// call waits for another.
pub trait Runtime: Send + Sync + 'static {
    /// `ollama`
    fn kind(&self) -> &'static str;
    fn endpoint(&self) -> &Endpoint;
    fn version(&self) -> Answer<String>;
    fn loaded(&self) -> Answer<Vec<LoadedModel>>;
    fn installed(&self) -> Answer<Vec<InstalledModel>>;
    fn details(&self, model: &ModelName) -> Answer<ModelDetails>;
    /// Asks; success means asked, not done. Never waits for a load.
    fn unload(&self, model: &ModelName) -> Answer<()>;
    /// Ends when the model is loaded; dropping it cuts the load off.
    fn load(&self, model: &ModelName, options: LoadOptions) -> Answer<()>;
    /// Has a loaded model write, to see how fast it is; dropping it ends that.
    fn generate(&self, model: &ModelName, prompt: Prompt) -> Answer<Generated>;
}
