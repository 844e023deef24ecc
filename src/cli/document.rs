//! The kinds of JSON the program writes, and the number of each. Their shapes
//! stand in `schema.json`, which tests hold against what is really written.
//!
//! One rule for all: every object and every line has the `schema_version` of
//! its own kind, and no other. It is raised when a field changes its meaning
//! or goes; a field that is added leaves it.

/// A kind: what one command writes, or a line of what goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    Status,
    Models,
    Components,
    Why,
    Events,
    EventLine,
    History,
    Report,
    Hint,
    HintOne,
    HintsFile,
    Fit,
    FitAll,
    Load,
    Carried,
    Keep,
    Pin,
    Priority,
    Recommend,
    GuardLine,
    GuardOnce,
    GuardDryRun,
    ServiceStatus,
    Record,
    Simulate,
    Bench,
    Measure,
    MeasureCompare,
    Hog,
    Accuracy,
    ConfigCheck,
    Doctor,
    Advise,
    Hook,
}

/// Kind, its name in `schema.json`, its number.
pub const TABLE: &[(Document, &str, u32)] = &[
    (Document::Status, "status", 1),
    (Document::Models, "models", 1),
    (Document::Components, "components", 1),
    (Document::Why, "why", 1),
    (Document::Events, "events", 1),
    (Document::EventLine, "event_line", 1),
    (Document::History, "history", 1),
    (Document::Report, "report", 1),
    (Document::Hint, "hint", 1),
    (Document::HintOne, "hint_one", 1),
    (Document::HintsFile, "hints_file", crate::act::hints::SCHEMA_VERSION),
    (Document::Fit, "fit", 1),
    (Document::FitAll, "fit_all", 1),
    (Document::Load, "load", 1),
    (Document::Carried, "carried", 1),
    (Document::Keep, "keep", 1),
    (Document::Pin, "pin", 1),
    (Document::Priority, "priority", 1),
    (Document::Recommend, "recommend", 1),
    (Document::GuardLine, "guard_line", 1),
    (Document::GuardOnce, "guard_once", 1),
    (Document::GuardDryRun, "guard_dry_run", 1),
    (Document::ServiceStatus, "service_status", 1),
    (Document::Record, "record", 1),
    (Document::Simulate, "simulate", 1),
    (Document::Bench, "bench", 1),
    (Document::Measure, "measure", 1),
    (Document::MeasureCompare, "measure_compare", 1),
    (Document::Hog, "hog", 1),
    (Document::Accuracy, "accuracy", 1),
    (Document::ConfigCheck, "config_check", 1),
    (Document::Doctor, "doctor", 1),
    (Document::Advise, "advise", 1),
    (Document::Hook, "hook", crate::act::hooks::SCHEMA_VERSION),
];

impl Document {
    /// Its `schema_version`.
    pub const fn version(self) -> u32 {
        TABLE[self as usize].2
    }

    /// Its name among the `$defs`.
    pub const fn name(self) -> &'static str {
        TABLE[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_row_and_name() {
        for (row, (document, name, version)) in TABLE.iter().copied().enumerate() {
            assert_eq!(document as usize, row);
            assert_eq!((document.name(), document.version()), (name, version));
            assert_eq!(TABLE.iter().filter(|other| other.1 == name).count(), 1, "{name}");
        }
    }
}
