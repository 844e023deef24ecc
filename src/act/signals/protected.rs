//! Whom no signal ever reaches, whatever a config names: what carries the
//! machine or a login. Ending or pausing one of these locks its owner out.
//!
//! A process is known by the name it gives itself and by its program's; one of
//! the two is enough. A name that lies protects a process for nothing, which
//! harms nobody.

/// What must be known of a process before it is signalled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// As [`crate::domain::ProcessKey::started`].
    pub started: u64,
    pub parent: u32,
    /// Ended, and only its parent has not looked yet.
    pub is_zombie: bool,
    /// Held by STOP, or by a debugger or a terminal.
    pub is_stopped: bool,
    /// A thread of the kernel's own.
    pub is_of_the_kernel: bool,
    /// The first of a session on a terminal: a login shell, or the one in a
    /// window.
    pub leads_a_terminal: bool,
}

/// A name on Linux has at most so many bytes; a program's file may have more.
const LONGEST_NAME: usize = 15;

/// Appended to a program's path once its file was replaced.
const REPLACED: &str = " (deleted)";

/// Names of what starts, carries or shows logins, and of what these talk
/// through. Everything that begins with `systemd` is meant as well.
pub const LOGIN: [&str; 55] = [
    // The first process, by its names; `(sd-pam)` keeps a user's manager.
    "init",
    "runit",
    "runsvdir",
    "s6-svscan",
    "openrc-init",
    "launchd",
    "(sd-pam)",
    // From afar.
    "sshd",
    "sshd-session",
    "sshd-auth",
    "dropbear",
    "mosh-server",
    "tailscaled",
    "xrdp",
    "xrdp-sesman",
    // At a terminal.
    "login",
    "getty",
    "agetty",
    "mingetty",
    "su",
    "sudo",
    "sudo-rs",
    "doas",
    "run0",
    "tmux",
    "tmux: server",
    "screen",
    "SCREEN",
    "zellij",
    // At a screen.
    "gdm",
    "gdm3",
    "gdm-session-worker",
    "gdm-wayland-session",
    "gdm-x-session",
    "sddm",
    "sddm-helper",
    "lightdm",
    "greetd",
    "lxdm",
    "xdm",
    "elogind",
    "Xorg",
    "Xwayland",
    "gnome-shell",
    "gnome-session-binary",
    "kwin_wayland",
    "kwin_x11",
    "WindowServer",
    "loginwindow",
    // What all of them talk through.
    "dbus-daemon",
    "dbus-broker",
    "dbus-broker-launch",
    "polkitd",
    "opendirectoryd",
    "securityd",
];

/// Why it is left alone; `None`: it may be signalled.
pub fn what_it_is<'a>(
    facts: &Facts,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'static str> {
    if facts.is_of_the_kernel {
        return Some("a part of the kernel");
    }
    if facts.leads_a_terminal {
        return Some("the shell of a terminal");
    }
    names.into_iter().any(is_of_a_login).then_some("what a login hangs on")
}

fn is_of_a_login(name: &str) -> bool {
    let name = name.strip_suffix(REPLACED).unwrap_or(name);
    name.starts_with("systemd") || LOGIN.iter().any(|known| *known == name || cut(known) == name)
}

/// As the kernel keeps it.
fn cut(name: &str) -> &str {
    name.get(..LONGEST_NAME).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain() -> Facts {
        Facts { started: 5, parent: 1, ..Facts::default() }
    }

    #[test]
    fn every_name_of_the_list_is_protected_in_each_of_its_forms() {
        let more = ["systemd", "systemd-logind", "systemd-executor"];
        for name in LOGIN.into_iter().chain(more) {
            for form in [name.to_owned(), cut(name).to_owned(), format!("{name}{REPLACED}")] {
                for names in [vec![form.as_str()], vec!["python3", &form], vec![&form, "bash"]] {
                    assert!(what_it_is(&plain(), names.clone()).is_some(), "{names:?}");
                }
            }
        }
    }

    #[test]
    fn ordinary_names_are_not() {
        for name in ["sshd2", "ollama", "initial", "su2", "Xorgasm", "login-page", "chrome", ""] {
            assert_eq!(what_it_is(&plain(), [name]), None, "{name}");
        }
        assert_eq!(what_it_is(&plain(), []), None);
    }

    /// A million of them, by a generator of its own: the same on each run.
    #[test]
    fn of_a_million_generated_processes_no_protected_one_is_free() {
        const FREE: [&str; 6] = ["ollama", "chrome", "sshd2", "python3", "su2", "llama-server"];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below).unwrap()
        };
        let mut refused = 0;
        for _ in 0..1_000_000 {
            let mut names = Vec::new();
            let mut is_protected = false;
            for _ in 0..draw(3) {
                let known = draw(8) == 0;
                is_protected |= known;
                let name = if known { LOGIN[draw(55)] } else { FREE[draw(6)] };
                let is_cut = draw(2) == 0;
                names.push(if is_cut { cut(name) } else { name });
            }
            let facts = Facts {
                is_of_the_kernel: draw(8) == 0,
                leads_a_terminal: draw(8) == 0,
                is_stopped: draw(2) == 0,
                is_zombie: draw(2) == 0,
                ..plain()
            };
            is_protected |= facts.is_of_the_kernel || facts.leads_a_terminal;
            let said = what_it_is(&facts, names.iter().copied());
            assert_eq!(said.is_some(), is_protected, "{facts:?} {names:?}");
            refused += u32::from(is_protected);
        }
        assert!((250_000..750_000).contains(&refused), "{refused}");
    }

    proptest! {
        #[test]
        fn whatever_begins_with_systemd_is_protected(rest in "\\PC{0,20}", other in "\\PC{0,9}") {
            let name = format!("systemd{rest}");
            prop_assert!(what_it_is(&plain(), [other.as_str(), &name]).is_some());
        }
    }
}
