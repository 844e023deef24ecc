//! Containers and services: processes held together by a control group.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::pattern::matches;
use super::rule::{Named, NamedBy, Target};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub kind: GroupKind,
    /// Cleaned; a container whose name cannot be had goes by its short id.
    pub name: String,
    /// Less inactive file cache, as its own tools show it.
    pub used: Option<Bytes>,
    pub swapped: Option<Bytes>,
    /// `None`: no limit, or none that can be read.
    pub limit: Option<Bytes>,
    /// Kernel kills inside it, so far.
    pub oom_kills: Option<u64>,
    /// PSI inside it, *some* over 10 s, percent.
    pub stalled: Option<f64>,
    pub is_paused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "group")]
pub enum GroupKind {
    Container {
        /// 64 hex digits.
        id: String,
    },
    Unit {
        is_user: bool,
    },
}

impl Group {
    /// Whom a deed is done to.
    pub fn target(&self) -> Target {
        let name = self.name.clone();
        match &self.kind {
            GroupKind::Container { id } => Target::Container { id: id.clone(), name },
            GroupKind::Unit { is_user } => Target::Unit { name, is_user: *is_user },
        }
    }

    /// Whether the config means this one.
    pub fn answers_to(&self, named: &Named) -> bool {
        self.kind.answers_to(&self.name, named)
    }
}

impl GroupKind {
    /// Whether the config means one of this kind and name. A container answers
    /// to its name, its id and its short id.
    pub fn answers_to(&self, name: &str, named: &Named) -> bool {
        let is = |text: &str| matches(&named.pattern, text);
        match (self, named.by) {
            (GroupKind::Container { id }, NamedBy::Container) => {
                is(name) || is(id) || is(short_id(id))
            }
            (GroupKind::Unit { .. }, NamedBy::Unit) => is(name),
            _ => false,
        }
    }
}

/// A container's id as the lists of its engine show it.
pub fn short_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_answers_to_name_and_ids_and_a_unit_to_its_name() {
        let id = "d5213675ecc02d954d77395e46844f2459351251c606e35fae56871977d4716a";
        let container = GroupKind::Container { id: id.to_owned() };
        let unit = GroupKind::Unit { is_user: false };
        let answers = |kind: &GroupKind, pattern: &str| {
            Named::parse(pattern).is_some_and(|named| kind.answers_to("web", &named))
        };
        for pattern in ["container:we?", "container:d5213675ecc0", &format!("container:{id}")] {
            assert!(answers(&container, pattern) && !answers(&unit, pattern), "{pattern}");
        }
        assert!(answers(&unit, "unit:web") && !answers(&container, "unit:web"));
        assert!(!answers(&container, "process:web") && !answers(&container, "container:d521"));
    }
}
