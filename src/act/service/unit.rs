//! The units for systemd: one of the user's own, one of the whole system.

use super::{MARK, Started};

pub(super) const NAME: &str = "plimsoll.service";

/// What needs a namespace is left out: a user's systemd gets one only where the
/// system lets it, and commands of rules are to find the files of their owner.
pub(super) fn user(started: &Started) -> String {
    let exec = exec_start(started);
    format!(
        "# {MARK}.
# A user's unit cannot have a negative OOMScoreAdjust: the kernel may choose
# this guard like any other process. `plimsoll service install --system` can.

[Unit]
Description=Guard of memory for local models
{LIMITS}
[Service]
Type=notify
ExecStart={exec}
{COMMON}
# Commands of your rules run below this, and under the same restrictions.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"
    )
}

/// `DynamicUser`: nobody has to make a user first, the file alone is the
/// installation, and systemd gives the folders to whichever number it picks.
pub(super) fn system(started: &Started) -> String {
    let exec = exec_start(started);
    format!(
        "# {MARK} --system.
# Config: /etc/plimsoll/config.toml. History: /var/lib/plimsoll. Lock and
# socket: /run/plimsoll, for this guard's user and root alone; the dashboards
# of other users see that it is there, observe, and say so.

[Unit]
Description=Guard of memory for local models
{LIMITS}
[Service]
Type=notify
ExecStart={exec}
{COMMON}
# The last one the kernel takes when memory is out.
OOMScoreAdjust=-900

# A user of its own, which needs no account.
DynamicUser=yes
User=plimsoll
Environment=HOME=/var/lib/plimsoll
Environment=XDG_CONFIG_HOME=/etc
Environment=XDG_DATA_HOME=/var/lib
Environment=XDG_RUNTIME_DIR=/run
ConfigurationDirectory=plimsoll
StateDirectory=plimsoll
StateDirectoryMode=0700
RuntimeDirectory=plimsoll
RuntimeDirectoryMode=0711
UMask=0077

# To signal processes that the config names (KILL), to see which socket and
# which model file a process holds (SYS_PTRACE), to be woken by the kernel when
# memory stalls (SYS_RESOURCE). Nothing else.
AmbientCapabilities=CAP_KILL CAP_SYS_PTRACE CAP_SYS_RESOURCE
CapabilityBoundingSet=CAP_KILL CAP_SYS_PTRACE CAP_SYS_RESOURCE
NoNewPrivileges=yes

# Commands of its rules run under the same restrictions. Containers or units
# to be limited or restarted need more: give it by `systemctl edit`.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"
    )
}

/// Where a dashboard holds this machine it is tried again until that ends.
const LIMITS: &str = "StartLimitIntervalSec=0
";

const COMMON: &str = "ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=10
# Ended by SIGTERM is as it should be; a wrong config stays wrong.
SuccessExitStatus=143
RestartPreventExitStatus=2
TimeoutStopSec=10

# It slows down above this and is never killed for it. What its rules start
# counts too: start large things by systemd-run.
MemoryHigh=32M
# It frees memory, and ending it frees next to none.
ManagedOOMPreference=omit
";

/// A word of a command line in quotes. `%` begins a specifier, `$` a variable.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{escaped}\"")
}

/// In the program's own path `$` is itself; in what follows it is doubled.
fn exec_start(started: &Started) -> String {
    let arguments = started.arguments.iter().map(|word| match needs_quotes(word) {
        true => quoted(&word.replace('$', "$$")),
        false => word.clone(),
    });
    let program = match needs_quotes(started.program()) {
        true => quoted(started.program()),
        false => started.program().to_owned(),
    };
    [program].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

fn needs_quotes(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.:=@+,".contains(c);
    word.is_empty() || !word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(program: &str, arguments: &[&str]) -> Started {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Started { program: program.into(), arguments }
    }

    #[test]
    fn what_systemd_would_read_otherwise_is_escaped() {
        for (program, arguments, wanted) in [
            ("/usr/bin/plimsoll", &["guard"][..], "/usr/bin/plimsoll guard"),
            ("/opt/my tools/plimsoll", &["guard"], "\"/opt/my tools/plimsoll\" guard"),
            ("/opt/50%/plimsoll", &["guard"], "\"/opt/50%%/plimsoll\" guard"),
            ("/opt/$x/p", &["--config", "$HOME/c", ""], r#""/opt/$x/p" --config "$$HOME/c" """#),
            ("/opt/p", &[r#"a"b\c"#], r#"/opt/p "a\"b\\c""#),
        ] {
            assert_eq!(exec_start(&started(program, arguments)), wanted);
        }
    }

    #[test]
    fn the_users_unit_says_what_it_cannot_have() {
        let text = user(&started("/usr/bin/plimsoll", &["guard"]));
        assert!(text.contains("cannot have a negative OOMScoreAdjust"));
        assert!(!text.lines().any(|line| line.starts_with("OOMScoreAdjust")));
        for line in ["Type=notify", "MemoryHigh=32M", "WantedBy=default.target"] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }

    #[test]
    fn the_systems_unit_is_bounded_and_never_limits_itself_to_death() {
        let text = system(&started("/usr/bin/plimsoll", &["guard"]));
        for line in ["OOMScoreAdjust=-900", "DynamicUser=yes", "ProtectSystem=strict"] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        let capabilities = |key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once('=')).map(|(_, value)| value.to_owned())
        };
        assert_eq!(capabilities("Ambient"), capabilities("CapabilityBounding"));
        assert!(!text.contains("MemoryMax"));
    }
}
