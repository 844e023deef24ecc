//! Ollama over HTTP: what it has, what it has loaded, and asking it to load and
//! unload. Follows no redirect, and never sends a generate to a cloud model.
//!
//! The calls: `GET /api/version`, `/api/ps`, `/api/tags`; `POST /api/show`,
//! `/api/generate` and, for embedding models, `/api/embed`.

mod details;
mod generate;
mod host;
mod http;
mod short_lists;
mod wire;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use self::details::Asking;
pub use self::details::model_folders;
pub use self::host::HostAddress;
use self::http::{Ask, Http};
use super::{Answer, Endpoint, Generated, LoadOptions, Prompt, Runtime};
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::domain::plan::Keep;
use crate::domain::{RuntimeFault, RuntimeFaultKind};

/// Far more than thousands of models need; a fiftieth of it is usual for
/// `/api/show` with its tensors.
const BODY_LIMIT: usize = 16 << 20;

/// A version is a line.
const VERSION_LIMIT: usize = 1 << 20;

/// How to talk to one server.
#[derive(Clone, Default)]
pub struct Settings {
    /// Sent with every request: what a proxy in front asks for. Never shown.
    pub headers: Vec<(String, String)>,
    pub limits: TimeLimits,
    /// Where a server on this machine may keep its models: read only where it
    /// does not tell a model's shape itself.
    pub model_folders: Vec<PathBuf>,
}

/// How long a call may take from connecting to the last byte. A load has no
/// limit: it may take minutes, and ends when its future is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// Lists and the version: the server answers them from memory.
    pub read: Duration,
    /// `/api/show` reads the model's file.
    pub show: Duration,
    /// An unload is only taken note of.
    pub unload: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        TimeLimits {
            read: Duration::from_secs(2),
            show: Duration::from_secs(5),
            unload: Duration::from_secs(5),
        }
    }
}

/// A client of one Ollama server.
pub struct Ollama {
    http: Arc<Http>,
    limits: TimeLimits,
    cloud: Arc<CloudModels>,
    /// Empty for a server elsewhere: its files are not ours.
    model_folders: Arc<[PathBuf]>,
}

impl Ollama {
    /// Opens nothing and reads nothing: the HTTP client is built when it is
    /// first asked.
    pub fn new(address: HostAddress, settings: Settings) -> Self {
        let is_here = address.endpoint().is_loopback;
        let model_folders = if is_here { settings.model_folders } else { Vec::new() };
        Ollama {
            model_folders: model_folders.into(),
            http: Arc::new(Http::new(address, settings.headers)),
            limits: settings.limits,
            cloud: Arc::default(),
        }
    }

    /// Sends it, and reads the answer with `read`.
    fn answer<T: Send + 'static>(
        &self,
        ask: Ask,
        read: impl FnOnce(Vec<u8>) -> Result<T, RuntimeFault> + Send + 'static,
    ) -> Answer<T> {
        let http = Arc::clone(&self.http);
        Box::pin(async move { read(http.ask(ask).await?) })
    }

    fn get(&self, call: &'static str, size: usize) -> Ask {
        let time = Some(self.limits.read);
        Ask { call, body: None, time, size, cut_to: None, may_repeat: true }
    }
}

impl Runtime for Ollama {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn endpoint(&self) -> &Endpoint {
        self.http.address().endpoint()
    }

    fn version(&self) -> Answer<String> {
        self.answer(self.get("/api/version", VERSION_LIMIT), wire::version)
    }

    fn loaded(&self) -> Answer<Vec<LoadedModel>> {
        let cloud = Arc::clone(&self.cloud);
        self.answer(self.get("/api/ps", BODY_LIMIT), move |body| {
            let models = wire::loaded(body)?;
            cloud.learn(models.iter().map(|model| (&model.name, model.is_cloud)));
            Ok(models)
        })
    }

    fn installed(&self) -> Answer<Vec<InstalledModel>> {
        let cloud = Arc::clone(&self.cloud);
        self.answer(self.get("/api/tags", BODY_LIMIT), move |body| {
            let models = wire::installed(body)?;
            cloud.learn(models.iter().map(|model| (&model.name, model.is_cloud)));
            Ok(models)
        })
    }

    fn details(&self, model: &ModelName) -> Answer<ModelDetails> {
        let asking = Asking {
            http: Arc::clone(&self.http),
            time: self.limits.show,
            folders: Arc::clone(&self.model_folders),
        };
        let cloud = Arc::clone(&self.cloud);
        let name = model.clone();
        Box::pin(async move {
            let mut details = asking.details(name.clone()).await?;
            details.is_cloud |= wire::is_cloud_name(&name);
            cloud.learn([(&name, details.is_cloud)]);
            Ok(details)
        })
    }

    fn unload(&self, model: &ModelName) -> Answer<()> {
        if let Err(fault) = self.cloud.refuse(model) {
            return Box::pin(std::future::ready(Err(fault)));
        }
        let ask = Ask {
            call: "/api/generate",
            body: Some(json!({ "model": model.as_str(), "keep_alive": 0, "stream": false })),
            time: Some(self.limits.unload),
            size: VERSION_LIMIT,
            cut_to: None,
            may_repeat: true,
        };
        self.answer(ask, wire::done)
    }

    fn load(&self, model: &ModelName, options: LoadOptions) -> Answer<()> {
        if let Err(fault) = self.cloud.refuse(model) {
            return Box::pin(std::future::ready(Err(fault)));
        }
        let ask = Ask {
            call: if options.embeds { "/api/embed" } else { "/api/generate" },
            body: Some(load_body(model, options)),
            time: None,
            size: BODY_LIMIT,
            cut_to: None,
            // A load that broke half way may have loaded: the next poll says.
            may_repeat: false,
        };
        self.answer(ask, wire::done)
    }

    fn generate(&self, model: &ModelName, prompt: Prompt) -> Answer<Generated> {
        if let Err(fault) = self.cloud.refuse(model) {
            return Box::pin(std::future::ready(Err(fault)));
        }
        let (http, model) = (Arc::clone(&self.http), model.clone());
        Box::pin(async move { generate::generate(&http, &model, &prompt).await })
    }
}

/// A prompt is left out, not empty: both load, and one word less is sent.
fn load_body(model: &ModelName, options: LoadOptions) -> Value {
    let mut body = json!({ "model": model.as_str() });
    if options.embeds {
        body["input"] = json!([]);
    } else {
        body["stream"] = json!(false);
    }
    say_keep(&mut body, options.keep);
    if let Some(context) = options.context {
        body["options"] = json!({ "num_ctx": context });
    }
    body
}

fn say_keep(body: &mut Value, keep: Keep) {
    match keep {
        Keep::Default => {}
        // 0 would unload; whoever wants that says unload.
        Keep::For(span) => body["keep_alive"] = json!(span.as_secs().max(1)),
        Keep::Forever => body["keep_alive"] = json!(-1),
    }
}

/// Models known to run elsewhere, by what the server has said of them. The
/// last guard before a request that could cost money.
#[derive(Default)]
struct CloudModels(Mutex<BTreeSet<ModelName>>);

impl CloudModels {
    fn learn<'a>(&self, seen: impl IntoIterator<Item = (&'a ModelName, bool)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, is_cloud) in seen {
            if is_cloud {
                known.insert(name.clone());
            } else {
                known.remove(name);
            }
        }
    }

    fn refuse(&self, model: &ModelName) -> Result<(), RuntimeFault> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(model);
        if !known && !wire::is_cloud_name(model) {
            return Ok(());
        }
        let detail = format!(
            "{model} runs in the cloud: it holds no memory here, and a request could cost money"
        );
        Err(RuntimeFault::new(RuntimeFaultKind::NotAllowed, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_says_how_long_and_with_which_context() {
        let model = ModelName::new("tiny");
        let options = LoadOptions { keep: Keep::Forever, context: Some(8192), embeds: false };
        assert_eq!(
            load_body(&model, options),
            json!({"model": "tiny:latest", "stream": false, "keep_alive": -1, "options": {"num_ctx": 8192}})
        );
        let options =
            LoadOptions { keep: Keep::For(Duration::from_secs(300)), context: None, embeds: true };
        assert_eq!(
            load_body(&model, options),
            json!({"model": "tiny:latest", "input": [], "keep_alive": 300})
        );
    }

    #[test]
    fn a_keep_never_turns_into_an_unload() {
        let options = LoadOptions { keep: Keep::For(Duration::ZERO), context: None, embeds: false };
        assert_eq!(load_body(&ModelName::new("tiny"), options)["keep_alive"], json!(1));
    }

    #[test]
    fn what_the_server_calls_remote_is_refused_under_any_name() {
        let cloud = CloudModels::default();
        let (mine, other) = (ModelName::new("mine"), ModelName::new("other"));
        cloud.learn([(&mine, true), (&other, false)]);
        assert!(cloud.refuse(&mine).is_err());
        assert_eq!(cloud.refuse(&other), Ok(()));
        assert!(cloud.refuse(&ModelName::new("gpt-oss:20b-cloud")).is_err());
    }
}
