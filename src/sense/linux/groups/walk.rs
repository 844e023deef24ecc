//! The tree of control groups, walked for containers and services.
//!
//! An engine leaves a container's id in the name of its group, in one of a few
//! forms; the service manager leaves a unit's name. Groups inside a container
//! are its own affair: no manager out here knows them.

use std::fs::{self, DirEntry};
use std::path::Path;

use crate::domain::group::GroupKind;
use crate::domain::text::clean;

/// A user's service of a session lies six deep, a pod's container four.
const DEEPEST: usize = 10;
/// A machine with more groups than this is looked at in part.
const MOST_FOLDERS: usize = 4096;

/// A group that is a container or a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub kind: GroupKind,
    /// A unit's; a container's has to be asked for.
    pub name: String,
    /// Below the mount, without slashes at its ends.
    pub folder: String,
}

impl Found {
    pub fn container_id(&self) -> Option<&str> {
        match &self.kind {
            GroupKind::Container { id } => Some(id),
            GroupKind::Unit { .. } => None,
        }
    }
}

/// Whose units lie in a folder. Only below slices are they units at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    System,
    OwnUser,
    /// Another user's, or a group that its program divides by itself.
    Nobody,
}

/// Containers, the system's units and those of the user `uid`.
pub fn walk(mount: &Path, uid: u32) -> Vec<Found> {
    let own_manager = format!("user@{uid}.service");
    let mut found: Vec<Found> = Vec::new();
    let mut waiting = vec![(String::new(), Owner::System, 0)];
    let mut seen = 0;
    while let Some((folder, owner, depth)) = waiting.pop() {
        let Ok(entries) = fs::read_dir(mount.join(&folder)) else { continue };
        for name in entries.filter_map(Result::ok).filter_map(folder_name) {
            seen += 1;
            if seen > MOST_FOLDERS {
                return found;
            }
            let below = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if let Some(id) = container_id(&name) {
                if !is_helper(&name) && !found.iter().any(|one| one.container_id() == Some(&id)) {
                    let kind = GroupKind::Container { id };
                    found.push(Found { kind, name: String::new(), folder: below });
                }
                continue;
            }
            if let Some(is_user) = unit(&name, owner) {
                let kind = GroupKind::Unit { is_user };
                found.push(Found { kind, name: unit_name(&name), folder: below.clone() });
            }
            if depth < DEEPEST {
                waiting.push((below, inside(&name, owner, &own_manager), depth + 1));
            }
        }
    }
    found
}

fn folder_name(entry: DirEntry) -> Option<String> {
    entry.file_type().ok()?.is_dir().then_some(())?;
    entry.file_name().into_string().ok()
}

fn unit(name: &str, owner: Owner) -> Option<bool> {
    let is_unit = name.ends_with(".service") || name.ends_with(".scope");
    (is_unit && owner != Owner::Nobody).then_some(owner == Owner::OwnUser)
}

fn inside(name: &str, owner: Owner, own_manager: &str) -> Owner {
    match owner {
        _ if name.ends_with(".slice") => owner,
        Owner::System if name == own_manager => Owner::OwnUser,
        _ => Owner::Nobody,
    }
}

/// A name that could be taken for a file of the kernel's has a `_` before it.
pub fn unit_name(folder: &str) -> String {
    clean(folder.strip_prefix('_').unwrap_or(folder))
}

/// The 64 hex digits at the end of a group's name: alone, or behind the name
/// of an engine and a dash, with `.scope` where a service manager made it.
pub fn container_id(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    let id = stem.rsplit_once('-').map_or(stem, |(_, id)| id);
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_ascii_lowercase())
}

/// `libpod-conmon-…`, `crio-conmon-…`: watches a container and is none.
pub fn is_helper(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(engine, _)| engine.ends_with("conmon"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "d5213675ecc02d954d77395e46844f2459351251c606e35fae56871977d4716a";

    /// What is found of folders: kind in a word, and name or id.
    fn found(folders: &[&str]) -> Vec<String> {
        let tree = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(tree.path().join(folder.replace("ID", ID))).unwrap();
        }
        let word = |found: Found| match found.kind {
            GroupKind::Container { id } => {
                assert_eq!(id, ID);
                format!("container in {}", found.folder.replace(ID, "ID"))
            }
            GroupKind::Unit { is_user } => {
                format!("{} {}", if is_user { "user's" } else { "system's" }, found.name)
            }
        };
        let mut words: Vec<String> = walk(tree.path(), 1000).into_iter().map(word).collect();
        words.sort();
        words
    }

    #[test]
    fn every_engines_form_is_a_container() {
        for form in [
            "docker/ID",
            "system.slice/docker-ID.scope",
            "machine.slice/libpod-ID.scope/container",
            "libpod_parent/libpod-ID",
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-ID.scope",
            "kubepods.slice/kubepods-pod1_2.slice/crio-ID.scope",
            "kubepods/besteffort/pod1-2/ID",
        ] {
            let group = form.strip_suffix("/container").unwrap_or(form);
            assert_eq!(found(&[form]), [format!("container in {group}")]);
        }
        let rootless = "user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope";
        let expected = [format!("container in {rootless}"), "system's user@1000.service".into()];
        assert_eq!(found(&[rootless]), expected);
        let split = "system.slice/web.service/libpod-payload-ID";
        let expected = [format!("container in {split}"), "system's web.service".into()];
        assert_eq!(found(&[split]), expected);
    }

    #[test]
    fn helpers_and_other_numbers_are_no_containers() {
        assert!(found(&["libpod-conmon-ID", "machine.slice/crio-conmon-ID.scope"]).is_empty());
        assert!(found(&["docker/buildx", "docker/d5213675ecc0"]).is_empty());
    }

    #[test]
    fn units_are_the_systems_or_ones_own() {
        let folders = [
            "system.slice/ssh.service",
            "system.slice/system-getty.slice/getty@tty1.service",
            "user.slice/user-1000.slice/user@1000.service/app.slice/app-x.service",
            "user.slice/user-1000.slice/session-2.scope",
            "user.slice/user-7.slice/user@7.service/app.slice/strange.service",
            "init.scope",
            "system.slice/_memory.service",
        ];
        let expected = [
            "system's getty@tty1.service",
            "system's init.scope",
            "system's memory.service",
            "system's session-2.scope",
            "system's ssh.service",
            "system's user@1000.service",
            "system's user@7.service",
            "user's app-x.service",
        ];
        assert_eq!(found(&folders), expected);
    }

    #[test]
    fn units_of_a_machine_inside_are_not_this_ones() {
        let folders = [
            "lxc.payload.x/system.slice/inner.service",
            "docker/ID/system.slice/inner.service",
            "system.slice/outer.service/system.slice/inner.service",
        ];
        assert_eq!(found(&folders), ["container in docker/ID", "system's outer.service"]);
    }
}
