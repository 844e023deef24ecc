//! A drop-in for the server's unit.

use crate::domain::finding::SettingKind;
use crate::domain::shell::plain_word;
use crate::domain::survey::Housing;

use super::{Told, comment};

/// As Ollama's own installer names it.
const UNIT: &str = "ollama.service";

pub fn file(told: &Told<'_>) -> String {
    let server = told.survey.server().and_then(|server| server.housing.as_ref().ok());
    let (unit, is_user) = match server {
        Some(Housing::Unit { name, is_user }) => (plain_word(name).unwrap_or(UNIT), *is_user),
        _ => (UNIT, false),
    };
    let (folder, systemctl, sudo) = match is_user {
        true => ("~/.config/systemd/user", "systemctl --user", ""),
        false => ("/etc/systemd/system", "sudo systemctl", "sudo "),
    };
    let path = format!("{folder}/{unit}.d/memory.conf");
    let mut file = format!(
        "# {path}\n\
         # Advised by plimsoll for this machine: {}.\n\
         # To apply: save it there ({sudo}mkdir -p {folder}/{unit}.d), then\n\
         #   {systemctl} daemon-reload\n\
         #   {systemctl} restart {unit}\n\
         [Service]\n",
        comment(&told.machine())
    );
    for (advice, value) in told.settings(SettingKind::Server) {
        let reason = comment(&advice.reason);
        file += &format!("# {reason}\nEnvironment=\"{}={}\"\n", advice.setting, quoted(value));
    }
    file
}

/// Between double quotes `\`, `"` and `%` mean something.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")
}
