//! Containers and services: processes held together by a control group.

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;
use super::rule::Target;

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
}
