//! From the config to the limits a level is judged by: a profile, picked or
//! named, with the user's changes laid over it, and why it is that one.

use super::check::Setting;
use super::error::{ConfigError, KeyFault};
use super::layers::LoadedConfig;
use super::origin::Origin;
use super::schema::{Levels, ProfileChoice};
use crate::domain::{Bytes, Percent};
use crate::policy::limits::{Limits, Profile, System, UsedLimits};
use crate::policy::targets::Targets;

/// The limits in force, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    pub profile: Profile,
    /// `auto: linux with 15.6 GiB, with changes`
    pub why: String,
    pub limits: Limits,
}

impl LoadedConfig {
    /// What this machine is judged by. Fails where the user's changes and the
    /// profile's numbers together are out of order.
    pub fn limits(&self, system: System, total: Bytes) -> Result<Chosen, ConfigError> {
        let (profile, reason) = match self.config.profile {
            ProfileChoice::Auto => (Profile::auto(system, total), auto_reason(system, total)),
            ProfileChoice::Named(profile) => (profile, self.origin("profile").to_string()),
        };
        self.chosen(profile, reason)
    }

    /// This profile, and the reason for it.
    pub fn chosen(&self, profile: Profile, reason: String) -> Result<Chosen, ConfigError> {
        let limits = self.limits_over(profile)?;
        let changed = if limits == profile.limits() { "" } else { ", with changes" };
        Ok(Chosen { profile, why: format!("{reason}{changed}"), limits })
    }

    /// The same config over that profile, as a flag says.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile, flag: &'static str) -> LoadedConfig {
        self.config.profile = ProfileChoice::Named(profile);
        let value = toml::Value::from(profile.name());
        let setting = Setting { value, origin: Origin::Flag { flag } };
        self.settings.insert("profile".to_owned(), setting);
        self
    }

    /// The changes over one profile.
    pub fn limits_over(&self, profile: Profile) -> Result<Limits, ConfigError> {
        let levels = &self.config.levels;
        let mut limits = profile.limits();
        limits.used = self.used_limits(profile, limits.used)?;
        limits.hysteresis = levels.hysteresis.unwrap_or(limits.hysteresis);
        limits.enter_after = levels.enter_after.unwrap_or(limits.enter_after);
        limits.leave_after = levels.leave_after.unwrap_or(limits.leave_after);
        limits.interval = self.config.interval.unwrap_or(limits.interval);
        // Zero is how a person takes away what the profile asks for.
        let asked = |change: Option<Bytes>, own: Option<Bytes>| {
            change.or(own).filter(|size| !size.is_zero())
        };
        limits.system_reserve = asked(levels.system_reserve, limits.system_reserve);
        limits.model_budget = asked(levels.model_budget, limits.model_budget);
        let (set, own) = (&self.config.targets, limits.targets);
        limits.targets = Targets {
            used: set.used.or(own.used).filter(|share| share.get() > 0.0),
            model: asked(set.model, own.model),
            containers: asked(set.containers, own.containers),
            available: asked(set.available, own.available),
            swap: asked(set.swap, own.swap),
        };
        change_signals(levels, &mut limits);
        self.check_signals(profile, &limits)?;
        Ok(limits)
    }

    fn used_limits(
        &self,
        profile: Profile,
        own: Option<UsedLimits>,
    ) -> Result<Option<UsedLimits>, ConfigError> {
        let levels = &self.config.levels;
        let changes = [
            ("levels.warning", levels.warning),
            ("levels.critical", levels.critical),
            ("levels.emergency", levels.emergency),
        ];
        let Some(first) = changes.iter().find(|(_, change)| change.is_some()) else {
            return Ok(own);
        };
        let pick = |index: usize, own: Option<Percent>| changes[index].1.or(own);
        let merged = pick(0, own.map(|used| used.warning))
            .zip(pick(1, own.map(|used| used.critical)))
            .zip(pick(2, own.map(|used| used.emergency)));
        let Some(((warning, critical), emergency)) = merged else {
            let problem = "stands alone";
            return Err(self
                .fault(first.0, problem)
                .accepting(format!(
                    "warning, critical and emergency together, since profile `{}` has no shares of memory",
                    profile.name()
                ))
                .into());
        };
        let figures = [warning.get(), critical.get(), emergency.get()];
        self.in_order(profile, ["levels.warning", "levels.critical", "levels.emergency"], figures)?;
        Ok(Some(UsedLimits { warning, critical, emergency }))
    }

    fn check_signals(&self, profile: Profile, limits: &Limits) -> Result<(), ConfigError> {
        let pressure = limits.pressure;
        let vram = limits.vram;
        let below = |size: Bytes| -(size.get() as f64);
        self.in_order(
            profile,
            ["levels.pressure.warning_some", "levels.pressure.critical_some"],
            [pressure.warning_some, pressure.critical_some],
        )?;
        self.in_order(
            profile,
            ["levels.pressure.warning_full", "levels.pressure.critical_full"],
            [pressure.warning_full, pressure.critical_full],
        )?;
        self.in_order(
            profile,
            ["levels.vram.warning", "levels.vram.critical", "levels.vram.emergency"],
            [below(vram.warning), below(vram.critical), below(vram.emergency)],
        )
    }

    /// Each figure is worse than the one before; else the fault of the key the
    /// user set.
    fn in_order<const N: usize>(
        &self,
        profile: Profile,
        paths: [&str; N],
        figures: [f64; N],
    ) -> Result<(), ConfigError> {
        let Some(at) = (1..N).find(|&at| figures[at - 1] >= figures[at]) else {
            return Ok(());
        };
        let (set, other) = match self.settings.contains_key(paths[at - 1]) {
            true => (paths[at - 1], paths[at]),
            false => (paths[at], paths[at - 1]),
        };
        let (relation, profile) =
            (if set == paths[at] { "after" } else { "before" }, profile.name());
        let said = self.settings.get(set).map(|setting| setting.value.to_string());
        let fault: KeyFault = self
            .fault(set, format!("is {}", said.unwrap_or_default()))
            .accepting(format!("a value that comes {relation} `{other}` of profile `{profile}`"))
            .hinting(Some(format!("set `{other}` as well")));
        Err(fault.into())
    }
}

fn change_signals(levels: &Levels, limits: &mut Limits) {
    let pressure = &mut limits.pressure;
    let change = &levels.pressure;
    pressure.warning_some = change.warning_some.unwrap_or(pressure.warning_some);
    pressure.warning_full = change.warning_full.unwrap_or(pressure.warning_full);
    pressure.critical_some = change.critical_some.unwrap_or(pressure.critical_some);
    pressure.critical_full = change.critical_full.unwrap_or(pressure.critical_full);
    pressure.sustained = change.sustained.unwrap_or(pressure.sustained);
    let swap = &mut limits.swap;
    swap.growth = levels.swap.growth.unwrap_or(swap.growth);
    swap.sustained = levels.swap.sustained.unwrap_or(swap.sustained);
    let vram = &mut limits.vram;
    vram.warning = levels.vram.warning.unwrap_or(vram.warning);
    vram.critical = levels.vram.critical.unwrap_or(vram.critical);
    vram.emergency = levels.vram.emergency.unwrap_or(vram.emergency);
}

fn auto_reason(system: System, total: Bytes) -> String {
    let name = match system {
        System::Linux => "linux",
        System::Mac => "macos",
    };
    format!("auto: {name} with {total}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Flags, Surroundings, load};

    fn with(env: &[(&str, &str)]) -> LoadedConfig {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let env = env.iter().map(owned).collect();
        load(&Flags::default(), &Surroundings { env, ..Surroundings::default() }).unwrap()
    }

    #[test]
    fn auto_says_what_it_saw() {
        let chosen = with(&[]).limits(System::Linux, Bytes::gib(15)).unwrap();
        let expected = Chosen {
            profile: Profile::Linux15,
            why: "auto: linux with 15.0 GiB".to_owned(),
            limits: Profile::Linux15.limits(),
        };
        assert_eq!(chosen, expected);
    }

    #[test]
    fn every_profile_stands_as_it_is() {
        for profile in Profile::ALL {
            assert_eq!(with(&[]).limits_over(profile).unwrap(), profile.limits());
        }
    }

    #[test]
    fn changes_go_over_the_named_profile() {
        let loaded = with(&[
            ("PLIMSOLL_PROFILE", "mac-8"),
            ("PLIMSOLL_INTERVAL", "2s"),
            ("PLIMSOLL_LEVELS_WARNING", "60"),
            ("PLIMSOLL_LEVELS_SYSTEM_RESERVE", "0"),
            ("PLIMSOLL_LEVELS_MODEL_BUDGET", "3 GiB"),
            ("PLIMSOLL_LEVELS_VRAM_WARNING", "1 GiB"),
            ("PLIMSOLL_LEVELS_SWAP_SUSTAINED", "1min"),
        ]);
        let chosen = loaded.limits(System::Linux, Bytes::gib(64)).unwrap();
        let mut limits = Profile::Mac8.limits();
        limits.interval = Duration::from_secs(2);
        limits.used = limits.used.map(|used| UsedLimits { warning: Percent::new(60.0), ..used });
        limits.system_reserve = None;
        limits.model_budget = Some(Bytes::gib(3));
        limits.vram.warning = Bytes::gib(1);
        limits.swap.sustained = Duration::from_secs(60);
        let why = "environment PLIMSOLL_PROFILE, with changes".to_owned();
        assert_eq!(chosen, Chosen { profile: Profile::Mac8, why, limits });
    }

    #[test]
    fn a_change_that_crosses_the_profile_is_a_fault() {
        let said = with(&[("PLIMSOLL_LEVELS_WARNING", "85")])
            .limits(System::Linux, Bytes::gib(64))
            .unwrap_err()
            .to_string();
        assert!(said.contains("`levels.warning` is 85"), "{said}");
        assert!(said.contains("before `levels.critical` of profile `careful`"), "{said}");
        let said = with(&[("PLIMSOLL_LEVELS_VRAM_EMERGENCY", "2 GiB")])
            .limits_over(Profile::Careful)
            .unwrap_err()
            .to_string();
        assert!(said.contains("`levels.vram.emergency`") && said.contains("after"), "{said}");
    }

    #[test]
    fn a_profile_without_shares_takes_all_three_or_none() {
        let one = with(&[("PLIMSOLL_LEVELS_CRITICAL", "85")]).limits_over(Profile::Pressure);
        assert!(one.unwrap_err().to_string().contains("`levels.critical` stands alone"));
        let all = with(&[
            ("PLIMSOLL_LEVELS_WARNING", "70"),
            ("PLIMSOLL_LEVELS_CRITICAL", "80"),
            ("PLIMSOLL_LEVELS_EMERGENCY", "90"),
        ]);
        assert!(all.limits_over(Profile::Pressure).unwrap().used.is_some());
    }
}
