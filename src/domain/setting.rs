//! A change to the user's config: proposed, shown as a difference, and only
//! then written.

/// A change to the user's config, not yet written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// Dotted, as the config calls it: `rules.warning.mode`.
    pub key: String,
    /// As it stands in TOML, with its quotes: `"act"`, `true`, `"2 GiB"`.
    pub value: String,
}

/// What would be written, for a person to agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDifference {
    /// The file, as a person finds it.
    pub file: String,
    /// Empty: nothing would be different.
    pub lines: Vec<DiffLine>,
    /// Names this difference to [`SettingDoor::write`].
    pub token: u64,
}

/// One line of a file, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffLine {
    Same(String),
    Old(String),
    New(String),
}

/// Where a front end changes settings. What is refused comes with its reason.
pub trait SettingDoor: Send + Sync {
    /// Writes nothing.
    fn propose(&self, change: &SettingChange) -> Result<SettingDifference, String>;

    /// Writes what the difference showed, whole or not at all.
    fn write(&self, token: u64) -> Result<(), String>;
}
