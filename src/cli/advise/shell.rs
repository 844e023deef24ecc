//! Exports, for whoever starts `ollama serve` from a shell.

use crate::domain::finding::SettingKind;
use crate::domain::shell::quoted;

use super::{Told, comment};

pub fn file(told: &Told<'_>) -> String {
    let mut file = format!(
        "# Advised by plimsoll for this machine: {}.\n\
         # Before `ollama serve` is started, in the same shell.\n",
        comment(&told.machine())
    );
    for kind in [SettingKind::Server, SettingKind::Program] {
        for (advice, value) in told.settings(kind) {
            let reason = comment(&advice.reason);
            file += &format!("# {reason}\nexport {}={}\n", advice.setting, quoted(value));
        }
    }
    file
}
