//! What is said of a line that cannot be read: the nearest command alone, and
//! the way out where clap knows none.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::key::closest;

/// The error, and a hint to stand below it.
pub fn clearer(mut error: Error) -> (Error, Option<&'static str>) {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = text(&error, ContextKind::InvalidSubcommand);
            if typed.as_deref() == Some("help") {
                error.remove(ContextKind::SuggestedSubcommand);
                return (error, Some("plimsoll --help, or plimsoll COMMAND --help"));
            }
            if let Some(nearest) = typed.and_then(|typed| nearest(&typed, &error)) {
                let nearest = ContextValue::Strings(vec![nearest]);
                error.insert(ContextKind::SuggestedSubcommand, nearest);
            }
            (error, None)
        }
        ErrorKind::MissingRequiredArgument if usage(&error).contains("plimsoll unload") => {
            (error, Some("--all unloads every model but what is pinned"))
        }
        _ => (error, None),
    }
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn usage(error: &Error) -> String {
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    }
}

/// Of those that clap thinks of, the one that was meant.
fn nearest(typed: &str, error: &Error) -> Option<String> {
    let Some(ContextValue::Strings(near)) = error.get(ContextKind::SuggestedSubcommand) else {
        return None;
    };
    closest(typed, near.iter().map(String::as_str)).or_else(|| near.last().cloned())
}
