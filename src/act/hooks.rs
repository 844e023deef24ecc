//! The owner's hooks: a command or an address that is told of events.

use std::time::Duration;

/// Whom to tell, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub on_level: bool,
    pub on_action: bool,
    pub to: HookTo,
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookTo {
    /// The words of a command, the program first.
    Command(Vec<String>),
    /// Gets the event as JSON by POST.
    Url(String),
}

impl Hook {
    /// Its program, or its address without user, password and query.
    pub fn name(&self) -> String {
        match &self.to {
            HookTo::Command(words) => words.first().cloned().unwrap_or_default(),
            HookTo::Url(url) => {
                let bare = url.split(['?', '#']).next().unwrap_or_default();
                match (bare.split_once("://"), bare.rsplit_once('@')) {
                    (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
                    _ => bare.to_owned(),
                }
            }
        }
    }
}
