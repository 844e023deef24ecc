//! A part of a compose file: the variables of the server's container.

use crate::domain::finding::SettingKind;

use super::{Told, comment};

pub fn file(told: &Told<'_>) -> String {
    let mut file = format!(
        "# Advised by plimsoll for this machine: {}.\n\
         # To be merged into the compose file, then: docker compose up -d\n\
         services:\n  ollama:\n    environment:\n",
        comment(&told.machine())
    );
    for (advice, value) in told.settings(SettingKind::Server) {
        let reason = comment(&advice.reason);
        file += &format!("      # {reason}\n      {}: {}\n", advice.setting, quoted(value));
    }
    file
}

/// A text of YAML between double quotes; `$` begins a variable of compose.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{escaped}\"")
}
