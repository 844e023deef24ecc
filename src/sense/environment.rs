//! The environment of a model server, on any platform: its address, and the
//! settings that its models' memory follows from.
//!
//! Only what is listed here leaves this file: nothing else of an environment is
//! kept, shown, recorded or stored.

use crate::domain::text::clean_bytes;

/// What of a server's environment is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEnvironment {
    /// `OLLAMA_HOST` as it was given, without a name and password in it.
    pub host: Option<String>,
    /// Those of [`SETTINGS`] that are set, in its order.
    pub settings: Vec<(String, String)>,
}

const HOST: &str = "OLLAMA_HOST";

/// Settings that say what is loaded, how, and for how long; the second kind is
/// handed on to `llama-server`. None of them holds a secret.
const SETTINGS: [&str; 18] = [
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_KV_CACHE_TYPE",
    "OLLAMA_FLASH_ATTENTION",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_MODELS",
    "OLLAMA_GPU_OVERHEAD",
    "OLLAMA_IGPU_ENABLE",
    "OLLAMA_SCHED_SPREAD",
    "OLLAMA_LOAD_TIMEOUT",
    "OLLAMA_MAX_QUEUE",
    "OLLAMA_NEW_ENGINE",
    "OLLAMA_LLM_LIBRARY",
    "LLAMA_ARG_CACHE_RAM",
    "LLAMA_ARG_FIT",
    "LLAMA_ARG_FIT_TARGET",
    "LLAMA_ARG_CTX_CHECKPOINTS",
];

/// Longest value kept, in characters: a path of a models folder.
const LONGEST_VALUE: usize = 200;

/// From `NAME=value` strings. Of a name that is set twice the first counts, as
/// for the server itself.
pub fn of_server<'a>(variables: impl IntoIterator<Item = &'a [u8]>) -> ServerEnvironment {
    let mut host = None;
    let mut found: [Option<String>; SETTINGS.len()] = Default::default();
    for variable in variables {
        let Some(at) = variable.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (&variable[..at], &variable[at + 1..]);
        if name == HOST.as_bytes() {
            host.get_or_insert_with(|| clean_bytes(without_login(value)));
        }
        let slot = SETTINGS.iter().position(|known| known.as_bytes() == name);
        if let Some(slot) = slot.and_then(|at| found.get_mut(at)) {
            slot.get_or_insert_with(|| clean_bytes(value).chars().take(LONGEST_VALUE).collect());
        }
    }
    let settings = SETTINGS.iter().zip(found).filter_map(|(name, value)| {
        // An empty one counts as not set.
        let value = value.filter(|value| !value.is_empty())?;
        Some(((*name).to_owned(), value))
    });
    ServerEnvironment { host, settings: settings.collect() }
}

/// What stands behind a name and password in an address.
fn without_login(address: &[u8]) -> &[u8] {
    match address.iter().rposition(|byte| *byte == b'@') {
        Some(at) => &address[at + 1..],
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(variables: &[&str]) -> ServerEnvironment {
        of_server(variables.iter().map(|variable| variable.as_bytes()))
    }

    fn setting(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn what_is_listed_is_kept_and_nothing_else() {
        let found = of(&[
            "PATH=/bin",
            "LLAMA_ARG_CACHE_RAM=512",
            "OLLAMA_API_KEY=hunter2",
            "OLLAMA_HOST=http://me:hunter2@0.0.0.0:11434",
            "LLAMA_API_KEY=hunter2",
            "OLLAMA_NUM_PARALLEL=4",
            "OLLAMA_NUM_PARALLEL=8",
            "OLLAMA_KEEP_ALIVE=",
            "OLLAMA_CONTEXT_LENGTH",
            "XOLLAMA_CONTEXT_LENGTH=5",
            "OLLAMA_ORIGINS=hunter2",
        ]);
        let expected = ServerEnvironment {
            host: Some("0.0.0.0:11434".to_owned()),
            settings: vec![
                setting("OLLAMA_NUM_PARALLEL", "4"),
                setting("LLAMA_ARG_CACHE_RAM", "512"),
            ],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_cleaned_and_cut() {
        let long = format!("OLLAMA_MODELS=/{}", "ä".repeat(5000));
        let found = of(&[&long, "OLLAMA_KV_CACHE_TYPE=q8_0\u{1b}[31m"]);
        assert_eq!(found.settings[0], setting("OLLAMA_KV_CACHE_TYPE", "q8_0[31m"));
        assert!(found.settings[1].1.chars().count() <= LONGEST_VALUE);
    }

    proptest! {
        #[test]
        fn no_environment_panics(value in prop::collection::vec(any::<u8>(), 0..400)) {
            let variable = [b"OLLAMA_HOST=", &value[..]].concat();
            of_server([&value[..], &variable[..]]);
            of_server(variable.split(|byte| *byte == 0));
        }
    }
}
