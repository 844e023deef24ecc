//! The line that would mend a finding, in the words of what runs the server:
//! a drop-in, `launchctl`, a container's environment, a shell. Names from
//! outside stand in it only where a shell reads them as one word.

use crate::domain::survey::{Housing, Survey};

/// How a variable is set for the server, as one line.
pub fn setting_line(survey: &Survey, variable: &str, value: &str) -> String {
    let housing = survey.server().and_then(|server| server.housing.as_ref().ok());
    match housing {
        _ if survey.is_mac => {
            format!("launchctl setenv {variable} {value}   # then start Ollama again")
        }
        Some(Housing::Unit { name, is_user }) => {
            let edit = if *is_user { "systemctl --user edit" } else { "sudo systemctl edit" };
            let unit = plain_word(name).unwrap_or("ollama.service");
            format!("{edit} {unit}   # [Service] Environment=\"{variable}={value}\"")
        }
        Some(Housing::Container { .. }) => {
            format!("docker run … -e {variable}={value}   # or under environment: in compose")
        }
        Some(Housing::Plain) | None => {
            format!("export {variable}={value}   # where `ollama serve` is started")
        }
    }
}

/// The text, where a shell takes it for one plain word.
pub fn plain_word(text: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.:@-".contains(c);
    let is_word = !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain);
    is_word.then_some(text)
}

/// What stands for a model in a command: its name, or a word for it.
pub(super) fn model_word(name: &str) -> &str {
    plain_word(name).unwrap_or("NAME")
}
