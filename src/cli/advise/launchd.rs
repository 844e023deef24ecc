//! Lines that set variables for what launchd starts: Ollama's app, and programs
//! that are started after them. They are forgotten when the Mac is started.

use crate::domain::finding::SettingKind;
use crate::domain::shell::quoted;

use super::{Told, comment};

pub fn file(told: &Told<'_>) -> String {
    let mut file = format!(
        "# Advised by plimsoll for this machine: {}.\n\
         # Run these, then end Ollama and start it again. They last until the Mac is\n\
         # started anew.\n",
        comment(&told.machine())
    );
    for kind in [SettingKind::Server, SettingKind::Program] {
        for (advice, value) in told.settings(kind) {
            let reason = comment(&advice.reason);
            file += &format!("# {reason}\nlaunchctl setenv {} {}\n", advice.setting, quoted(value));
        }
    }
    for (advice, value) in told.settings(SettingKind::Sysctl) {
        let (reason, value) = (comment(&advice.reason), quoted(value));
        file += &format!("# {reason}\nsudo sysctl {}={value}\n", advice.setting);
    }
    file
}
