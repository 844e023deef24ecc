//! Exit codes: one enum, one table, for the whole program.

use crate::config::ConfigError;
use crate::domain::{FitVerdict, Level};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    Done,
    Failed,
    Usage,
    Warning,
    Critical,
    Emergency,
    Fits,
    FitsAfterUnloading,
    FitsSmaller,
    FitsAfterFreeing,
    NeverFits,
    FoundWarning,
    FoundError,
    TargetMissed,
    HungUp,
    Interrupted,
    Quit,
    Terminated,
}

/// Code, number, meaning: what the documents show.
pub const TABLE: [(ExitCode, u8, &str); 18] = [
    (ExitCode::Done, 0, "done; level normal"),
    (ExitCode::Failed, 1, "failed"),
    (ExitCode::Usage, 2, "wrong usage or config"),
    (ExitCode::Warning, 10, "level warning"),
    (ExitCode::Critical, 11, "level critical"),
    (ExitCode::Emergency, 12, "level emergency"),
    (ExitCode::Fits, 20, "fit: fits"),
    (ExitCode::FitsAfterUnloading, 21, "fit: fits after unloading"),
    (ExitCode::FitsSmaller, 22, "fit: fits smaller"),
    (ExitCode::FitsAfterFreeing, 23, "fit: fits after freeing"),
    (ExitCode::NeverFits, 24, "fit: never fits"),
    (ExitCode::FoundWarning, 30, "doctor: found a warning"),
    (ExitCode::FoundError, 31, "doctor: found an error"),
    (ExitCode::TargetMissed, 40, "a target was missed"),
    // As a shell reports a program that the signal ended: 128 and its number.
    (ExitCode::HungUp, 129, "ended by SIGHUP"),
    (ExitCode::Interrupted, 130, "ended by SIGINT"),
    (ExitCode::Quit, 131, "ended by SIGQUIT"),
    (ExitCode::Terminated, 143, "ended by SIGTERM"),
];

/// What was typed cannot be done, though each part of it can.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(pub &'static str);

/// A word that was typed is none of those there are; what is meant is told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnknownWord(pub String);

impl ExitCode {
    pub const fn number(self) -> u8 {
        TABLE[self as usize].1
    }

    pub const fn meaning(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// The code an error ends with: a wrong config is wrong usage.
    pub fn of_error(error: &anyhow::Error) -> ExitCode {
        let is_config = error
            .chain()
            .any(|cause| cause.is::<ConfigError>() || cause.is::<crate::config::KeyFault>());
        let is_usage =
            error.chain().any(|cause| cause.is::<WrongUsage>() || cause.is::<UnknownWord>());
        if is_config || is_usage { ExitCode::Usage } else { ExitCode::Failed }
    }
}

impl From<Level> for ExitCode {
    fn from(level: Level) -> Self {
        match level {
            Level::Normal => ExitCode::Done,
            Level::Warning => ExitCode::Warning,
            Level::Critical => ExitCode::Critical,
            Level::Emergency => ExitCode::Emergency,
        }
    }
}

impl From<FitVerdict> for ExitCode {
    fn from(verdict: FitVerdict) -> Self {
        match verdict {
            FitVerdict::Fits => ExitCode::Fits,
            FitVerdict::FitsAfterUnload => ExitCode::FitsAfterUnloading,
            FitVerdict::FitsSmaller => ExitCode::FitsSmaller,
            FitVerdict::FitsAfterFreeing => ExitCode::FitsAfterFreeing,
            FitVerdict::Never => ExitCode::NeverFits,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code.number())
    }
}

/// The table in Markdown, for the README.
pub fn table() -> String {
    let mut table = "| code | meaning |\n| --- | --- |\n".to_owned();
    for (_, number, meaning) in TABLE {
        table.push_str(&format!("| {number} | {meaning} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KeyFault, Origin};

    #[test]
    fn every_code_has_its_own_row() {
        for (row, (code, number, meaning)) in TABLE.into_iter().enumerate() {
            assert_eq!(code as usize, row);
            assert_eq!((code.number(), code.meaning()), (number, meaning));
        }
    }

    #[test]
    fn the_numbers_are_what_scripts_rely_on() {
        let number = |code: ExitCode| code.number();
        assert_eq!(number(ExitCode::Done), 0);
        assert_eq!(number(ExitCode::Failed), 1);
        assert_eq!(number(ExitCode::Usage), 2);
        assert_eq!(number(ExitCode::Fits), 20);
        assert_eq!(number(ExitCode::FitsAfterUnloading), 21);
        assert_eq!(number(ExitCode::FitsSmaller), 22);
        assert_eq!(number(ExitCode::FitsAfterFreeing), 23);
        assert_eq!(number(ExitCode::NeverFits), 24);
        assert_eq!(number(ExitCode::FoundWarning), 30);
        assert_eq!(number(ExitCode::FoundError), 31);
        assert_eq!(number(ExitCode::TargetMissed), 40);
        assert_eq!(number(ExitCode::HungUp), 129);
        assert_eq!(number(ExitCode::Interrupted), 130);
        assert_eq!(number(ExitCode::Quit), 131);
        assert_eq!(number(ExitCode::Terminated), 143);
    }

    #[test]
    fn a_level_has_its_code() {
        let codes = Level::ALL.map(|level| ExitCode::from(level).number());
        assert_eq!(codes, [0, 10, 11, 12]);
    }

    #[test]
    fn a_verdict_has_its_code() {
        let codes = FitVerdict::ALL.map(|verdict| ExitCode::from(verdict).number());
        assert_eq!(codes, [20, 21, 22, 23, 24]);
    }

    #[test]
    fn a_wrong_config_is_wrong_usage() {
        let fault = KeyFault::new(Origin::Default, "theme", "is not there");
        let config = anyhow::Error::from(ConfigError::from(fault.clone())).context("start");
        assert_eq!(ExitCode::of_error(&config), ExitCode::Usage);
        assert_eq!(ExitCode::of_error(&anyhow::Error::from(fault)), ExitCode::Usage);
        assert_eq!(ExitCode::of_error(&anyhow::anyhow!("disk full")), ExitCode::Failed);
        assert_eq!(ExitCode::of_error(&WrongUsage("not both").into()), ExitCode::Usage);
    }

    #[test]
    fn the_table_lists_every_code() {
        assert_eq!(table().lines().count(), TABLE.len() + 2);
        assert!(table().contains("| 24 | fit: never fits |"));
    }
}
