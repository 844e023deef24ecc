//! The runtime of a recording: answers what was answered then, and refuses
//! whatever would change something.

use crate::domain::fault::{RuntimeFault, RuntimeFaultKind};
use crate::domain::model::{InstalledModel, LoadedModel, ModelDetails, ModelName};
use crate::recording::Playback;

use super::{Answer, Endpoint, Generated, LoadOptions, Prompt, Runtime};

/// What Ollama listens on where an address names no port.
const DEFAULT_PORT: u16 = 11434;

/// The model server that was recorded.
pub struct ReplayRuntime {
    playback: Playback,
    endpoint: Endpoint,
}

impl ReplayRuntime {
    pub fn new(playback: Playback) -> Self {
        let endpoint = endpoint(playback.url());
        ReplayRuntime { playback, endpoint }
    }
}

impl Runtime for ReplayRuntime {
    fn kind(&self) -> &'static str {
        "ollama"
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn version(&self) -> Answer<String> {
        answer(self.playback.version())
    }

    fn loaded(&self) -> Answer<Vec<LoadedModel>> {
        answer(self.playback.loaded())
    }

    fn installed(&self) -> Answer<Vec<InstalledModel>> {
        answer(self.playback.installed())
    }

    fn details(&self, model: &ModelName) -> Answer<ModelDetails> {
        answer(self.playback.details(model).map(Ok))
    }

    fn unload(&self, _model: &ModelName) -> Answer<()> {
        refusal()
    }

    fn load(&self, _model: &ModelName, _options: LoadOptions) -> Answer<()> {
        refusal()
    }

    fn generate(&self, _model: &ModelName, _prompt: Prompt) -> Answer<Generated> {
        refusal()
    }
}

fn answer<T: Send + 'static>(recorded: Option<Result<T, RuntimeFault>>) -> Answer<T> {
    let answer = recorded.unwrap_or_else(|| {
        let detail = "the recording holds no answer to this yet";
        Err(RuntimeFault::new(RuntimeFaultKind::Unreachable, detail))
    });
    Box::pin(std::future::ready(answer))
}

fn refusal<T: Send + 'static>() -> Answer<T> {
    let fault = RuntimeFault::new(RuntimeFaultKind::NotAllowed, "a recording cannot be changed");
    Box::pin(std::future::ready(Err(fault)))
}

fn endpoint(url: &str) -> Endpoint {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let host = host.trim_matches(['[', ']']);
    let is_loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    Endpoint { shown_url: url.to_owned(), is_loopback, port: port.unwrap_or(DEFAULT_PORT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_address_is_taken_apart() {
        for (url, is_loopback, port) in [
            ("http://127.0.0.1:11434", true, 11434),
            ("http://localhost:8080/", true, 8080),
            ("http://[::1]:4000", true, 4000),
            ("http://[::1]", true, 11434),
            ("https://models.example/ollama", false, 11434),
            ("http://10.0.0.7:11434", false, 11434),
        ] {
            let expected = Endpoint { shown_url: url.to_owned(), is_loopback, port };
            assert_eq!(endpoint(url), expected);
        }
    }
}
