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

/// What a person may see of a server's settings: every variable of Ollama's and
/// its runners', with secrets masked. It is shown and kept nowhere.
pub fn shown<'a>(variables: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for variable in variables {
        let Some(at) = variable.iter().position(|byte| *byte == b'=') else { continue };
        let name = clean_bytes(&variable[..at]);
        let is_ours = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if !is_ours || found.len() >= MOST || found.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let value = match is_secret(&name) {
            true => MASK.to_owned(),
            false => clean_bytes(&without_logins(&variable[at + 1..])),
        };
        found.push((name, value.chars().take(LONGEST_VALUE).collect()));
    }
    found.retain(|(_, value)| !value.is_empty());
    found
}

/// What begins the names of settings of Ollama and of its runners.
const PREFIXES: [&str; 2] = ["OLLAMA_", "LLAMA_"];

/// Parts of names whose values are nobody's business.
const SECRETS: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASS", "AUTH", "CREDENTIAL"];

/// A sane environment has a few dozen.
const MOST: usize = 64;

const MASK: &str = "(hidden)";

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRETS.iter().any(|part| name.contains(part))
}

/// Whatever stands before an `@` in any of the words, which may be a login.
fn without_logins(value: &[u8]) -> Vec<u8> {
    let words = value.split(|byte| matches!(byte, b',' | b' ' | b';'));
    let mut kept: Vec<u8> = Vec::new();
    for word in words {
        if !kept.is_empty() {
            kept.push(b',');
        }
        // Behind the login it is no scheme.
        let login = word.iter().rposition(|byte| *byte == b'@');
        let scheme = word.windows(3).position(|three| three == b"://");
        if let Some(at) = scheme.filter(|at| login.is_some_and(|login| *at < login)) {
            kept.extend_from_slice(&word[..at + 3]);
        }
        kept.extend_from_slice(without_login(word));
    }
    kept
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

    fn seen(variables: &[&str]) -> Vec<(String, String)> {
        shown(variables.iter().map(|variable| variable.as_bytes()))
    }

    #[test]
    fn what_is_shown_has_no_secrets_in_it() {
        let found = seen(&[
            "PATH=/bin",
            "OLLAMA_KEEP_ALIVE=5m",
            "OLLAMA_API_KEY=hunter2",
            "LLAMA_ARG_API_KEY=hunter2",
            "OLLAMA_HF_TOKEN=hunter2",
            "OLLAMA_PASSWORD=hunter2",
            "ollama_secret=hunter2",
            "OLLAMA_MY_AUTH=hunter2",
            "OLLAMA_HOST=https://me:hunter2@example.org:1/x",
            "OLLAMA_ORIGINS=http://a,http://me:hunter2@b",
            "OLLAMA_NUM_PARALLEL=4\u{1b}[31m",
            "OLLAMA_DEBUG=",
            "HTTP_PROXY=http://me:hunter2@proxy",
        ]);
        let text = format!("{found:?}");
        assert!(!text.contains("hunter2") && !text.contains("me:"), "{text}");
        let masked = found.iter().filter(|(_, value)| value == MASK).count();
        assert_eq!(masked, 5, "{text}");
        let value = |name: &str| found.iter().find(|(known, _)| known == name).map(|(_, v)| &**v);
        assert_eq!(value("OLLAMA_KEEP_ALIVE"), Some("5m"));
        assert_eq!(value("OLLAMA_HOST"), Some("https://example.org:1/x"));
        assert_eq!(value("OLLAMA_ORIGINS"), Some("http://a,http://b"));
        assert_eq!(value("OLLAMA_NUM_PARALLEL"), Some("4[31m"));
        assert_eq!((value("PATH"), value("OLLAMA_DEBUG")), (None, None));
    }

    #[test]
    fn a_scheme_behind_a_login_hides_it_too() {
        let found = seen(&["OLLAMA_HOST=hunter2@://"]);
        assert_eq!(found, [("OLLAMA_HOST".to_owned(), "://".to_owned())]);
    }

    proptest! {
        #[test]
        fn nothing_before_an_at_is_shown(
            before in "[a-z:/]{0,20}", login in "[g-z]{9}", after in "[a-z:/]{0,20}",
        ) {
            let variable = format!("OLLAMA_HOST={before}{login}@{after}");
            prop_assert!(seen(&[&variable]).iter().all(|(_, value)| !value.contains(&login)));
        }

        #[test]
        fn no_environment_panics(value in prop::collection::vec(any::<u8>(), 0..400)) {
            let variable = [b"OLLAMA_HOST=", &value[..]].concat();
            of_server([&value[..], &variable[..]]);
            of_server(variable.split(|byte| *byte == 0));
            shown([&value[..], &variable[..]]);
        }
    }
}
