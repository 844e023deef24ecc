//! What a look at a whole machine comes to: findings with a name that stays,
//! and advice on the settings of programs that are not ours. Pure data.

use std::fmt;

use serde::{Serialize, Serializer};

use super::bytes::Bytes;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Does not apply here, or could not be seen: the finding says which.
    Skipped,
    Ok,
    /// Worth knowing; nothing is wrong.
    Note,
    Warning,
    Error,
}

impl Severity {
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Skipped => "skipped",
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }

    /// It is to be looked at.
    pub fn is_open(self) -> bool {
        self >= Severity::Note
    }
}

/// What is looked at. Its id stays: scripts rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    ServerReachable,
    ServerVersion,
    ServerModels,
    ServerProcess,
    ServerEnvironment,
    ServerRunners,
    ServerExposed,
    ServerSecond,
    KeepAliveEndless,
    MaxLoadedModels,
    PromptCacheUnbounded,
    ContextTooLarge,
    ModelTooLarge,
    ModelDrift,
    ContainerUnlimited,
    SwapMissing,
    SwapSlow,
    SwapAvoided,
    OvercommitStrict,
    OomKills,
    OtherWatchers,
    RightToMeasure,
    RightToSignal,
    RightToPressure,
    RightToContainers,
    RightToServices,
    SensorMemory,
    SensorSwap,
    SensorPressure,
    SensorPaging,
    SensorLimit,
    SensorZram,
    SensorGpu,
    SensorProcesses,
    DiskModels,
    DiskHistory,
    ConfigNotes,
    ConfigWriters,
    GuardService,
    RulesObserve,
}

/// Check, id, what is looked at: what the documents show.
pub const CHECKS: [(Check, &str, &str); 40] = [
    (Check::ServerReachable, "server-reachable", "the model server answers"),
    (Check::ServerVersion, "server-version", "its version has no known fault that matters here"),
    (Check::ServerModels, "server-models", "it has models"),
    (Check::ServerProcess, "server-process", "its process, its unit or container can be seen"),
    (Check::ServerEnvironment, "server-environment", "its settings can be read"),
    (Check::ServerRunners, "server-runners", "each runner has its server, and what it was told"),
    (Check::ServerExposed, "server-exposed", "it listens to this machine alone"),
    (Check::ServerSecond, "server-second", "there is one server, not two that share the memory"),
    (Check::KeepAliveEndless, "keep-alive-endless", "idle models leave by themselves"),
    (
        Check::MaxLoadedModels,
        "max-loaded-models",
        "the server and the rule of one model want the same",
    ),
    (Check::PromptCacheUnbounded, "prompt-cache-unbounded", "the cache of prompts has a bound"),
    (
        Check::ContextTooLarge,
        "context-too-large",
        "installed models fit with the server's context and slots",
    ),
    (Check::ModelTooLarge, "model-too-large", "installed models fit at all"),
    (Check::ModelDrift, "model-drift", "loaded models hold about what the server says"),
    (Check::ContainerUnlimited, "container-unlimited", "a container with models has a limit"),
    (Check::SwapMissing, "swap-missing", "there is swap"),
    (Check::SwapSlow, "swap-slow", "swap does not lie on a turning disk"),
    (Check::SwapAvoided, "swap-avoided", "the kernel may use the swap there is"),
    (Check::OvercommitStrict, "overcommit-strict", "memory may be promised before it is used"),
    (Check::OomKills, "oom-kills", "the kernel has killed nobody for want of memory"),
    (Check::OtherWatchers, "other-watchers", "no other program ends processes to free memory"),
    (Check::RightToMeasure, "right-to-measure", "the memory of models can be measured"),
    (Check::RightToSignal, "right-to-signal", "a stuck runner could be ended from here"),
    (Check::RightToPressure, "right-to-pressure", "the kernel wakes us when memory stalls"),
    (Check::RightToContainers, "right-to-containers", "named containers can be acted on"),
    (Check::RightToServices, "right-to-services", "named services can be acted on"),
    (Check::SensorMemory, "sensor-memory", "system memory gives values"),
    (Check::SensorSwap, "sensor-swap", "swap gives values"),
    (Check::SensorPressure, "sensor-pressure", "pressure (PSI, or the Mac's level) gives values"),
    (Check::SensorPaging, "sensor-paging", "counters of paging (vmstat) give values"),
    (Check::SensorLimit, "sensor-limit", "the limit of the control group gives values"),
    (Check::SensorZram, "sensor-zram", "compressed swap gives values"),
    (Check::SensorGpu, "sensor-gpu", "graphics memory gives values"),
    (Check::SensorProcesses, "sensor-processes", "the process table gives values"),
    (Check::DiskModels, "disk-models", "there is room where the models lie"),
    (Check::DiskHistory, "disk-history", "there is room for the history"),
    (Check::ConfigNotes, "config-notes", "the config has nothing odd in it"),
    (Check::ConfigWriters, "config-writers", "only its owner may write the config"),
    (Check::GuardService, "guard-service", "where rules act, a guard runs"),
    (Check::RulesObserve, "rules-observe", "how far rules go"),
];

impl Check {
    pub const fn id(self) -> &'static str {
        CHECKS[self as usize].1
    }

    /// What is looked at, said as what is well.
    pub const fn about(self) -> &'static str {
        CHECKS[self as usize].2
    }

    pub fn ok(self, found: impl Into<String>) -> Finding {
        Finding::new(self, Severity::Ok, found)
    }

    pub fn skipped(self, why: impl Into<String>) -> Finding {
        Finding::new(self, Severity::Skipped, why)
    }

    pub fn note(self, found: impl Into<String>) -> Finding {
        Finding::new(self, Severity::Note, found)
    }

    pub fn warning(self, found: impl Into<String>) -> Finding {
        Finding::new(self, Severity::Warning, found)
    }

    pub fn error(self, found: impl Into<String>) -> Finding {
        Finding::new(self, Severity::Error, found)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    #[serde(rename = "id")]
    pub check: Check,
    pub severity: Severity,
    /// What it is about, where a check finds several: a model's name.
    pub subject: Option<String>,
    pub found: String,
    /// Why it matters; `None` where nothing does.
    pub why: Option<String>,
    /// The line that would mend it: a command or a setting.
    pub mend: Option<String>,
}

impl Finding {
    pub fn new(check: Check, severity: Severity, found: impl Into<String>) -> Finding {
        Finding { check, severity, subject: None, found: found.into(), why: None, mend: None }
    }

    #[must_use]
    pub fn why(self, why: impl Into<String>) -> Finding {
        Finding { why: Some(why.into()), ..self }
    }

    #[must_use]
    pub fn mend(self, mend: impl Into<String>) -> Finding {
        Finding { mend: Some(mend.into()), ..self }
    }

    #[must_use]
    pub fn on(self, subject: impl Into<String>) -> Finding {
        Finding { subject: Some(subject.into()), ..self }
    }
}

/// A setting of another program, with what it should be here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// `OLLAMA_KV_CACHE_TYPE`
    pub setting: &'static str,
    pub kind: SettingKind,
    /// As it is set; cleaned. `None`: it is not, or that cannot be seen.
    pub now: Option<String>,
    /// It could be seen whether it is set.
    pub is_known: bool,
    /// `None`: left as it is where `is_so`, else nothing is advised.
    pub value: Option<String>,
    pub reason: String,
    /// What it saves here, and of what; `None` where that cannot be computed.
    pub saves: Option<Saving>,
    /// It is set so, or is so by default.
    pub is_so: bool,
}

/// Bytes, and what they were computed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saving {
    pub bytes: Bytes,
    /// `qwen2.5:7b at 8192 tokens, f16 against q8_0`
    pub of: String,
}

/// Where a setting is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingKind {
    /// A variable in the environment of the model server.
    Server,
    /// A variable in the environment of other programs.
    Program,
    /// A parameter of a model, set where it is made.
    Model,
    /// A parameter of a Mac's kernel.
    Sysctl,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_own_row_and_a_plain_id() {
        for (row, (check, id, about)) in CHECKS.into_iter().enumerate() {
            assert_eq!(check as usize, row);
            assert_eq!((check.id(), check.about()), (id, about));
            assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{id}");
            assert_eq!(CHECKS.iter().filter(|(_, other, _)| *other == id).count(), 1, "{id}");
        }
    }

    #[test]
    fn only_what_is_to_be_looked_at_is_open() {
        use Severity::{Error, Note, Ok, Skipped, Warning};
        let open = [Skipped, Ok, Note, Warning, Error].map(Severity::is_open);
        assert_eq!(open, [false, false, true, true, true]);
    }
}
