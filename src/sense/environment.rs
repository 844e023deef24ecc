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

/// What a person may see of a server's settings: the names of all variables of
/// Ollama's and its runners', and the values of those that are known to hold no
/// secret. It is shown and kept nowhere.
pub fn shown<'a>(variables: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for variable in variables {
        let Some(at) = variable.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (clean_bytes(&variable[..at]), &variable[at + 1..]);
        let is_ours = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let is_known = found.iter().any(|(known, _)| *known == name);
        if !is_ours || is_known || found.len() >= MOST || value.is_empty() {
            continue;
        }
        let value = match name.as_str() {
            address if ADDRESSES.contains(&address) => addresses(&clean_bytes(value)),
            plain if SETTINGS.contains(&plain) || PLAIN.contains(&plain) => clean_bytes(value),
            _ => MASK.to_owned(),
        };
        found.push((name, value.chars().take(LONGEST_VALUE).collect()));
    }
    found
}

/// What begins the names of settings of Ollama and of its runners.
const PREFIXES: [&str; 2] = ["OLLAMA_", "LLAMA_"];

/// Values that are addresses, and may have a login or a token in them.
const ADDRESSES: [&str; 2] = [HOST, "OLLAMA_ORIGINS"];

/// Settings besides [`SETTINGS`] that hold switches and numbers.
const PLAIN: [&str; 6] = [
    "OLLAMA_DEBUG",
    "OLLAMA_NOHISTORY",
    "OLLAMA_NOPRUNE",
    "OLLAMA_VULKAN",
    "OLLAMA_MULTIUSER_CACHE",
    "LLAMA_ARG_THREADS",
];

/// A sane environment has a few dozen.
const MOST: usize = 64;

const MASK: &str = "(hidden)";

/// What stands between two addresses.
const SEPARATORS: [char; 3] = [',', ' ', ';'];

/// Addresses without what stands before an `@`, which may be a login, and
/// without what stands behind a `?` or `#`.
fn addresses(value: &str) -> String {
    let mut kept = String::new();
    let mut rest = value;
    while let Some(at) = rest.find('@') {
        kept.push_str(before_login(&rest[..at]));
        rest = &rest[at + 1..];
    }
    kept.push_str(rest);
    let bare = |word: &str| word.split(['?', '#']).next().unwrap_or_default().to_owned();
    let words = kept.split_inclusive(SEPARATORS).map(|word| match word.contains(['?', '#']) {
        true => bare(word) + word.matches(SEPARATORS).next_back().unwrap_or_default(),
        false => word.to_owned(),
    });
    words.collect()
}

/// Up to the last address that begins with the scheme of one that has a login:
/// a password may hold whatever separates addresses, and a `://` of its own.
fn before_login(text: &str) -> &str {
    let is_begin = |at: usize| at == 0 || text[..at].ends_with(SEPARATORS);
    let behind = |scheme: &'static str| {
        let found = text.match_indices(scheme).filter(|(at, _)| is_begin(*at)).last();
        found.map(move |(at, _)| at + scheme.len())
    };
    let end = ["http://", "https://"].into_iter().filter_map(behind).max();
    &text[..end.unwrap_or_default()]
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
            "OLLAMA_REMOTES=https://x/?token=hunter2",
            "LLAMA_ARG_HEADERS=Authorization: Bearer hunter2",
            "OLLAMA_HOST=https://me:hunter2@example.org:1/x?key=hunter2",
            "OLLAMA_ORIGINS=http://a, http://me:p;hunter2://@b#hunter2,app://*",
            "OLLAMA_MODELS=/My Models",
            "OLLAMA_NUM_PARALLEL=4\u{1b}[31m",
            "OLLAMA_DEBUG=",
            "HTTP_PROXY=http://me:hunter2@proxy",
        ]);
        let text = format!("{found:?}");
        assert!(!text.contains("hunter2") && !text.contains("me:"), "{text}");
        let masked = found.iter().filter(|(_, value)| value == MASK).count();
        assert_eq!(masked, 7, "{text}");
        let value = |name: &str| found.iter().find(|(known, _)| known == name).map(|(_, v)| &**v);
        assert_eq!(value("OLLAMA_KEEP_ALIVE"), Some("5m"));
        assert_eq!(value("OLLAMA_HOST"), Some("https://example.org:1/x"));
        assert_eq!(value("OLLAMA_ORIGINS"), Some("http://a, http://b,app://*"));
        assert_eq!(value("OLLAMA_MODELS"), Some("/My Models"));
        assert_eq!(value("OLLAMA_NUM_PARALLEL"), Some("4[31m"));
        assert_eq!((value("PATH"), value("OLLAMA_DEBUG")), (None, None));
    }

    #[test]
    fn a_scheme_behind_a_login_hides_it_too() {
        assert_eq!(seen(&["OLLAMA_HOST=hunter2@://"]), [setting("OLLAMA_HOST", "://")]);
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
