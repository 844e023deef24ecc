//! What can be wrong with a config, said with layer, line, what was found and
//! what would be accepted.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::origin::Origin;
use crate::domain::text::clean;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("config file {} (named by {named_by}) cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        named_by: String,
        #[source]
        source: io::Error,
    },
    #[error("config file {} is longer than {most} bytes", path.display())]
    TooLong { path: PathBuf, most: u64 },
    #[error("config file {}, line {line}, column {column}: not TOML: {problem}", path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, problem: String },
    #[error(transparent)]
    Key(Box<KeyFault>),
    #[error("config read from its layers does not fit: {problem}")]
    Unread { problem: String },
}

impl From<KeyFault> for ConfigError {
    fn from(fault: KeyFault) -> Self {
        ConfigError::Key(Box::new(fault))
    }
}

impl From<Box<KeyFault>> for ConfigError {
    fn from(fault: Box<KeyFault>) -> Self {
        ConfigError::Key(fault)
    }
}

/// One key that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFault {
    pub origin: Origin,
    /// `levels.warning`; empty for a variable that is no key.
    pub key: String,
    /// What is wrong, in words that follow the key: `is unknown`, `is "high"`.
    pub problem: String,
    pub accepted: Option<String>,
    pub hint: Option<String>,
}

impl KeyFault {
    pub fn new(origin: Origin, key: impl Into<String>, problem: impl Into<String>) -> Self {
        KeyFault { origin, key: key.into(), problem: problem.into(), accepted: None, hint: None }
    }

    #[must_use]
    pub fn accepting(mut self, accepted: impl Into<String>) -> Self {
        self.accepted = Some(accepted.into());
        self
    }

    #[must_use]
    pub fn hinting(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            // A name from a file may hold anything.
            write!(f, "`{}` ", clean(&self.key))?;
        }
        f.write_str(&self.problem)?;
        if let Some(accepted) = &self.accepted {
            write!(f, "; accepted is {accepted}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for KeyFault {}
