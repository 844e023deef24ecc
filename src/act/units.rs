//! Services, by `systemctl` and words. A limit is `MemoryHigh` until the next
//! start of the machine: the kernel holds the unit back there and never kills.

use std::time::Duration;

use super::command::{self, CommandFault, Errand};
use crate::domain::Deed;
use crate::domain::text::clean;

/// A service that is being stopped may have minutes; the guard does not wait.
const PATIENCE: Duration = Duration::from_secs(15);

/// Kinds of units that hold processes.
const SUFFIXES: [&str; 3] = [".service", ".scope", ".slice"];

/// What a unit's name begins with when it carries the machine or a login, and
/// what it then ends with.
const PROTECTED: [(&str, &str); 21] = [
    ("init", ".scope"),
    ("session-", ".scope"),
    ("user@", ".service"),
    ("user-runtime-dir@", ".service"),
    ("systemd-", ".service"),
    ("dbus", ".service"),
    ("ssh", ".service"),
    ("dropbear", ".service"),
    ("getty@", ".service"),
    ("serial-getty@", ".service"),
    ("console-getty", ".service"),
    ("autovt@", ".service"),
    ("display-manager", ".service"),
    ("gdm", ".service"),
    ("sddm", ".service"),
    ("lightdm", ".service"),
    ("greetd", ".service"),
    ("polkit", ".service"),
    ("system", ".slice"),
    ("user", ".slice"),
    ("machine", ".slice"),
];

#[derive(Debug, thiserror::Error)]
pub enum UnitFault {
    #[error("`{}` is no name of a service, scope or slice", clean(.0))]
    Name(String),
    #[error("`{0}` is never touched: the machine or a login hangs on it")]
    Protected(String),
    #[error("`{0}` is never touched: plimsoll itself runs in it")]
    Own(String),
    #[error("a service cannot be told to {0}")]
    NotForUnits(&'static str),
    #[error("not done within {} s; the manager goes on with it", .0.as_secs_f32())]
    Slow(Duration),
    #[error(transparent)]
    Command(CommandFault),
}

/// The manager of services, as a command.
#[derive(Debug, Clone)]
pub struct Units {
    /// Its name or path.
    pub systemctl: String,
    /// For one deed.
    pub patience: Duration,
    /// What `/proc/self/cgroup` says.
    pub own_groups: String,
}

impl Units {
    pub fn of_this_machine() -> Self {
        let own_groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Units { systemctl: "systemctl".to_owned(), patience: PATIENCE, own_groups }
    }

    /// Does it, and answers with what the manager said, if anything.
    pub async fn carry_out(
        &self,
        name: &str,
        is_user: bool,
        deed: &Deed,
    ) -> Result<Option<String>, UnitFault> {
        let words = self.words(name, is_user, deed)?;
        // Its messages are kept as they are; in a language of its own they
        // could not be searched for.
        let variables = vec![("LC_ALL", "C".to_owned()), ("SYSTEMD_COLORS", "0".to_owned())];
        let said = command::run(Errand { words, variables, limit: self.patience }).await;
        let said = said.map_err(|fault| match fault {
            CommandFault::TooLong { limit, .. } => UnitFault::Slow(limit),
            other => UnitFault::Command(other),
        })?;
        Ok(Some(said).filter(|said| !said.is_empty()))
    }

    /// What is run; refused for names that are none and units that must run.
    pub fn words(&self, name: &str, is_user: bool, deed: &Deed) -> Result<Vec<String>, UnitFault> {
        self.allowed(name)?;
        let high = |limit: String| format!("MemoryHigh={limit}");
        let (verb, property) = match deed {
            Deed::Restart => ("restart", None),
            Deed::Stop => ("stop", None),
            Deed::Pause => ("freeze", None),
            Deed::Resume => ("thaw", None),
            Deed::Limit { to } => ("set-property", Some(high(to.get().to_string()))),
            Deed::Unlimit { to } => {
                let to = to.map_or_else(|| "infinity".to_owned(), |to| to.get().to_string());
                ("set-property", Some(high(to)))
            }
            _ => return Err(UnitFault::NotForUnits(deed.verb())),
        };
        let mut words = vec![self.systemctl.clone()];
        words.extend(is_user.then(|| "--user".to_owned()));
        // Nobody is there to type a password.
        words.extend(["--no-ask-password", "--no-pager", verb].map(str::to_owned));
        words.extend(property.is_some().then(|| "--runtime".to_owned()));
        words.push(name.to_owned());
        words.extend(property);
        Ok(words)
    }

    fn allowed(&self, name: &str) -> Result<(), UnitFault> {
        if !is_name(name) {
            return Err(UnitFault::Name(name.to_owned()));
        }
        if is_protected(name) {
            return Err(UnitFault::Protected(name.to_owned()));
        }
        let mut own = self.own_groups.lines().flat_map(|line| line.split('/'));
        if own.any(|part| part == name) {
            return Err(UnitFault::Own(name.to_owned()));
        }
        Ok(())
    }
}

/// Letters, digits, `:_.@-`, and `\xHH` as the manager writes other bytes.
/// Nothing that a manager would take for a pattern or an option.
fn is_name(name: &str) -> bool {
    let Some(stem) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) else {
        return false;
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
    let mut parts = stem.split('\\');
    let first = parts.next().unwrap_or_default();
    let are_escapes = |part: &str| {
        let hex = part.strip_prefix('x').and_then(|part| part.get(..2));
        hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    (1..=255).contains(&name.len())
        && !first.is_empty()
        && !first.starts_with('-')
        && stem.chars().all(|c| is_plain(c) || c == '\\')
        && parts.all(are_escapes)
}

fn is_protected(name: &str) -> bool {
    PROTECTED.iter().any(|(begin, end)| match *end {
        // `system.slice` and what is a user's whole: `user-1000.slice`.
        ".slice" => {
            let stem = name.strip_suffix(end).and_then(|stem| stem.strip_prefix(begin));
            stem.is_some_and(|rest| {
                let number = rest.strip_prefix('-').unwrap_or(rest);
                number.bytes().all(|byte| byte.is_ascii_digit())
            })
        }
        _ => name.starts_with(begin) && name.ends_with(end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Bytes;

    fn units() -> Units {
        let own_groups = "0::/user.slice/user-7.slice/user@7.service/app.slice/guard.service\n";
        Units { systemctl: "systemctl".into(), patience: PATIENCE, own_groups: own_groups.into() }
    }

    fn words(name: &str, is_user: bool, deed: &Deed) -> String {
        units().words(name, is_user, deed).unwrap().join(" ")
    }

    #[test]
    fn each_deed_has_its_words() {
        let with = "systemctl --no-ask-password --no-pager";
        let user = "systemctl --user --no-ask-password --no-pager";
        let to = Bytes::mib(1);
        for (deed, said) in [
            (Deed::Restart, "restart a.service"),
            (Deed::Stop, "stop a.service"),
            (Deed::Pause, "freeze a.service"),
            (Deed::Resume, "thaw a.service"),
            (Deed::Limit { to }, "set-property --runtime a.service MemoryHigh=1048576"),
            (Deed::Unlimit { to: Some(to) }, "set-property --runtime a.service MemoryHigh=1048576"),
            (Deed::Unlimit { to: None }, "set-property --runtime a.service MemoryHigh=infinity"),
        ] {
            assert_eq!(words("a.service", false, &deed), format!("{with} {said}"));
            assert_eq!(words("a.service", true, &deed), format!("{user} {said}"));
        }
        for deed in [Deed::Term, Deed::Kill] {
            let refused = units().words("a.service", false, &deed);
            assert!(matches!(refused, Err(UnitFault::NotForUnits(_))), "{refused:?}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            ".service",
            "a",
            "a.mount",
            "--force.service",
            "-.slice",
            "a b.service",
            "a*.service",
            "a?.service",
            "[a].service",
            "a;b.service",
            "$(x).service",
            "a\n.service",
            "a\\y41.service",
            "a\\x4.service",
            "ä.service",
        ] {
            let refused = units().words(name, false, &Deed::Stop);
            assert!(matches!(refused, Err(UnitFault::Name(_))), "{name:?}: {refused:?}");
        }
        for name in ["a@b:c_d-1.2.service", "app-org.x\\x2dy-9.scope", "models.slice"] {
            units().words(name, false, &Deed::Stop).unwrap();
        }
    }

    #[test]
    fn what_must_run_is_refused() {
        for name in [
            "init.scope",
            "session-2.scope",
            "session-c1.scope",
            "user@1000.service",
            "systemd-logind.service",
            "dbus.service",
            "dbus-broker.service",
            "ssh.service",
            "sshd.service",
            "sshd@3.service",
            "getty@tty1.service",
            "gdm3.service",
            "system.slice",
            "user.slice",
            "user-1000.slice",
        ] {
            let refused = units().words(name, true, &Deed::Stop);
            assert!(matches!(refused, Err(UnitFault::Protected(_))), "{name}: {refused:?}");
        }
        for name in ["app.slice", "guard.service"] {
            let refused = units().words(name, true, &Deed::Pause);
            assert!(matches!(refused, Err(UnitFault::Own(_))), "{name}: {refused:?}");
        }
        for name in ["jellyfin.service", "user-models.slice", "initial.service", "system-x.slice"] {
            units().words(name, false, &Deed::Stop).unwrap();
        }
    }
}
