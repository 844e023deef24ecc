//! What a process runs in, by the names of its control groups: a container, a
//! unit of the system, a unit of a user.

use super::walk::{container_id, is_helper, unit_name};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Housed {
    /// 64 hex digits.
    Container {
        id: String,
    },
    Unit {
        name: String,
        is_user: bool,
    },
}

/// From the text of `/proc/PID/cgroup`. `None`: a session, or nothing at all.
pub fn housing_of(groups: &str) -> Option<Housed> {
    let paths = || groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let container = |path: &str| {
        let mut names = path.split('/').filter(|name| !is_helper(name));
        names.find_map(container_id)
    };
    if let Some(id) = paths().find_map(container) {
        return Some(Housed::Container { id });
    }
    paths().find_map(unit)
}

fn unit(path: &str) -> Option<Housed> {
    let mut is_user = false;
    for name in path.split('/') {
        if name.starts_with("user@") && name.ends_with(".service") {
            is_user = true;
        } else if name.ends_with(".service") {
            return Some(Housed::Unit { name: unit_name(name), is_user });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "d5213675ecc02d954d77395e46844f2459351251c606e35fae56871977d4716a";

    fn unit(name: &str, is_user: bool) -> Option<Housed> {
        Some(Housed::Unit { name: name.to_owned(), is_user })
    }

    #[test]
    fn a_unit_is_the_systems_or_a_users() {
        assert_eq!(housing_of("0::/system.slice/ollama.service\n"), unit("ollama.service", false));
        let user = "0::/user.slice/user-7.slice/user@7.service/app.slice/ollama.service\n";
        assert_eq!(housing_of(user), unit("ollama.service", true));
        let one = "12:memory:/\n1:name=systemd:/system.slice/ollama.service\n0::/\n";
        assert_eq!(housing_of(one), unit("ollama.service", false));
        for plain in [
            "0::/user.slice/user-7.slice/session-2.scope\n",
            "0::/user.slice/user-7.slice/user@7.service/app.slice/app-x.scope\n",
            "0::/\n",
            "",
            "rubbish",
        ] {
            assert_eq!(housing_of(plain), None, "{plain}");
        }
    }

    #[test]
    fn a_container_goes_before_the_unit_it_lies_in() {
        let is = Some(Housed::Container { id: ID.to_owned() });
        for groups in [
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("4:memory:/docker/{ID}\n0::/system.slice/docker.service\n"),
            format!("0::/system.slice/x.service/libpod-{ID}/inner.service\n"),
        ] {
            assert_eq!(housing_of(&groups), is, "{groups}");
        }
        let helper = format!("0::/machine.slice/libpod-conmon-{ID}.scope\n");
        assert_eq!(housing_of(&helper), None);
    }

    #[test]
    fn names_are_cleaned() {
        let found = housing_of("0::/system.slice/a\u{202e}\u{1b}b.service\n");
        assert_eq!(found, unit("ab.service", false));
    }
}
