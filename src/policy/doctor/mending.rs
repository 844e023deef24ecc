//! The line that would mend a finding, in the words of what runs the server:
//! a drop-in, `launchctl`, a container's environment, a shell. Names from
//! outside stand in it only where a shell reads them as one word.

use crate::domain::shell::plain_word;
use crate::domain::survey::{Housing, Survey};

/// How a variable is set for the server, as one line.
pub fn setting_line(survey: &Survey, variable: &str, value: &str) -> String {
    match housing(survey) {
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

/// What the server says of itself, as one line.
pub(super) fn log_line(survey: &Survey) -> String {
    match housing(survey) {
        _ if survey.is_mac => "tail ~/.ollama/logs/server.log".to_owned(),
        Some(Housing::Unit { name, is_user }) => {
            let journalctl = if *is_user { "journalctl --user" } else { "sudo journalctl" };
            let unit = plain_word(name).unwrap_or("ollama.service");
            format!("{journalctl} -u {unit} -n 50")
        }
        Some(Housing::Container { id, name, .. }) => {
            format!("docker logs --tail 50 {}", plain_word(name).unwrap_or(id))
        }
        Some(Housing::Plain) | None => {
            "ollama ps   # answers as late? see where `ollama serve` runs".to_owned()
        }
    }
}

/// How the server comes to a newer version, as one line.
pub(super) fn update_line(survey: &Survey) -> String {
    match housing(survey) {
        _ if survey.is_mac => {
            "ollama --version   # older than 0.30: update it from Ollama's menu".to_owned()
        }
        Some(Housing::Container { .. }) => {
            "docker pull ollama/ollama   # then make its container anew".to_owned()
        }
        _ => "ollama --version   # older than 0.30: run its installer again".to_owned(),
    }
}

fn housing(survey: &Survey) -> Option<&Housing> {
    survey.server().and_then(|server| server.housing.as_ref().ok())
}

/// What stands for a model in a command: its name, or a word for it.
pub(super) fn model_word(name: &str) -> &str {
    plain_word(name).unwrap_or("NAME")
}
