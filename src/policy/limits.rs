//! Profiles: named sets of limits for a kind of machine, and how `auto` picks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::targets::Targets;
use crate::domain::{Bytes, Percent};

/// The numbers a level is judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Shares of memory in use at which each level is entered. `None`: the
    /// profile judges by pressure alone.
    pub used: Option<UsedLimits>,
    /// Percentage points below its threshold at which a level may be left.
    pub hysteresis: f64,
    /// How long a worse level must be seen before it is entered.
    pub enter_after: Duration,
    /// How long a better level must be seen before the worse one is left.
    pub leave_after: Duration,
    pub pressure: PressureLimits,
    pub swap: SwapLimits,
    pub vram: VramLimits,
    /// Available bytes the system wants for itself; below it is a warning.
    pub system_reserve: Option<Bytes>,
    /// Bytes loaded models may take together.
    pub model_budget: Option<Bytes>,
    /// What memory is meant to stay within; no level follows from it.
    pub targets: Targets,
    /// What the dashboard samples at when calm.
    pub interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UsedLimits {
    pub warning: Percent,
    pub critical: Percent,
    pub emergency: Percent,
}

/// PSI, percent of wall time over 10 s. Both must be past: `full` without much
/// `some` cannot be, and `some` without `full` is one slow program.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PressureLimits {
    pub warning_some: f64,
    pub warning_full: f64,
    pub critical_some: f64,
    pub critical_full: f64,
    /// How long it must stay so.
    pub sustained: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SwapLimits {
    /// Growth of swap in use, bytes a second, that is a warning.
    pub growth: Bytes,
    /// How long it must go on.
    pub sustained: Duration,
}

/// Free bytes of a discrete GPU below which each level is entered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VramLimits {
    pub warning: Bytes,
    pub critical: Bytes,
    pub emergency: Bytes,
}

/// A named set of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    #[serde(rename = "mac-8")]
    Mac8,
    #[serde(rename = "mac-16")]
    Mac16,
    Careful,
    #[serde(rename = "linux-15")]
    Linux15,
    Pressure,
}

/// The system as far as `auto` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    Linux,
    Mac,
}

impl Profile {
    pub const ALL: [Profile; 5] =
        [Profile::Mac8, Profile::Mac16, Profile::Careful, Profile::Linux15, Profile::Pressure];

    pub const fn name(self) -> &'static str {
        match self {
            Profile::Mac8 => "mac-8",
            Profile::Mac16 => "mac-16",
            Profile::Careful => "careful",
            Profile::Linux15 => "linux-15",
            Profile::Pressure => "pressure",
        }
    }

    pub fn from_name(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// What `profile = "auto"` picks: macOS up to 10 GiB `mac-8`, up to 24 GiB
    /// `mac-16`, beyond `pressure`; Linux up to 32 GiB `linux-15`, beyond
    /// `careful`.
    pub fn auto(system: System, total: Bytes) -> Profile {
        match system {
            System::Mac if total <= Bytes::gib(10) => Profile::Mac8,
            System::Mac if total <= Bytes::gib(24) => Profile::Mac16,
            System::Mac => Profile::Pressure,
            System::Linux if total <= Bytes::gib(32) => Profile::Linux15,
            System::Linux => Profile::Careful,
        }
    }

    pub fn limits(self) -> Limits {
        let used = |warning, critical, emergency| {
            Some(UsedLimits {
                warning: Percent::new(warning),
                critical: Percent::new(critical),
                emergency: Percent::new(emergency),
            })
        };
        let base = Limits {
            used: used(80.0, 90.0, 95.0),
            // As wide as the daemons' that kill for want of memory: 3 to 5 points.
            hysteresis: 4.0,
            // Two samples at the usual pace.
            enter_after: Duration::from_secs(1),
            leave_after: Duration::from_secs(15),
            // A tenth of the time lost is felt; four tenths is thrashing.
            pressure: PressureLimits {
                warning_some: 10.0,
                warning_full: 5.0,
                critical_some: 40.0,
                critical_full: 20.0,
                sustained: Duration::from_secs(10),
            },
            // A tenth of what a slow disk writes: growth, not bursts.
            swap: SwapLimits { growth: Bytes::mib(8), sustained: Duration::from_secs(10) },
            // llama.cpp fills a card up to 1 GiB free on purpose.
            vram: VramLimits {
                warning: Bytes::mib(768),
                critical: Bytes::mib(384),
                emergency: Bytes::mib(192),
            },
            system_reserve: None,
            model_budget: None,
            targets: Targets::default(),
            interval: Duration::from_secs(1),
        };
        match self {
            Profile::Mac8 => Limits {
                used: used(75.0, 90.0, 95.0),
                system_reserve: Some(Bytes::mib(1536)),
                model_budget: Some(Bytes::gib(4)),
                interval: Duration::from_secs(5),
                ..base
            },
            Profile::Mac16 => {
                Limits { used: used(70.0, 85.0, 95.0), interval: Duration::from_secs(2), ..base }
            }
            Profile::Careful => Limits { used: used(75.0, 80.0, 90.0), ..base },
            Profile::Linux15 => Limits { targets: Targets::LINUX_15, ..base },
            Profile::Pressure => Limits { used: None, ..base },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_its_table() {
        let picked = |system, gib| Profile::auto(system, Bytes::gib(gib)).name();
        assert_eq!(picked(System::Mac, 8), "mac-8");
        assert_eq!(picked(System::Mac, 16), "mac-16");
        assert_eq!(picked(System::Mac, 36), "pressure");
        assert_eq!(picked(System::Linux, 15), "linux-15");
        assert_eq!(picked(System::Linux, 64), "careful");
    }

    #[test]
    fn every_profile_is_in_order_and_found_by_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_name(profile.name()), Some(profile));
            if let Some(used) = profile.limits().used {
                assert!(used.warning < used.critical && used.critical < used.emergency);
            }
        }
    }
}
