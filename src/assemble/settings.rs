//! From the config to what the engine is told: limits and rules for a machine,
//! components, hooks. At the start, and again when the config was changed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::act::hooks::{Hook, HookTo};
use crate::config::schema::{self, HookEvent};
use crate::config::{ConfigError, LoadedConfig, Origin};
use crate::domain::sample::MemoryParts;
use crate::domain::snapshot::{Mode, ProfileView};
use crate::domain::{Bytes, RuleMode, Snapshot};
use crate::engine::input::{Configured, Regime, RegimeFor, Settings};
use crate::policy::limits::{Profile, System};
use crate::policy::rules::Rules;
use crate::sense::{self, Want};

use super::Edges;

/// Memory assumed while nobody can read it: only the profile's choice hangs
/// on it, and small machines are what this is for.
const ASSUMED_TOTAL: Bytes = Bytes::gib(16);

/// What a hook gets that says nothing: enough for a slow server, and over
/// before the next change of level.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the engine is told of this machine and this config.
pub fn settings(config: &LoadedConfig, edges: &mut Edges) -> Result<Settings> {
    let total = total(edges);
    settings_at(config, edges, total)
}

/// The memory of the machine, by a first look.
pub(super) fn total(edges: &mut Edges) -> Bytes {
    let first = edges.sensors.read(&Want::default(), edges.clock.now());
    first.memory.map_or(ASSUMED_TOTAL, |memory| memory.total)
}

/// The memory of the machine a snapshot shows.
pub(super) fn total_of(snapshot: &Snapshot) -> Bytes {
    let memory = snapshot.sample.as_ref().and_then(|sample| sample.memory.as_ref().ok());
    memory.map_or(ASSUMED_TOTAL, |memory| memory.total)
}

/// The demo's rules ask, so that there is something to see: nothing real is at
/// stake. Unless the config says how far they go.
pub(super) fn asking(config: &LoadedConfig, regime_for: RegimeFor) -> RegimeFor {
    if config.origin("rules.mode") != Origin::Default {
        return regime_for;
    }
    Arc::new(move |total| {
        let mut regime = regime_for(total);
        regime.rules.mode = RuleMode::Confirm;
        for rule in &mut regime.rules.levels {
            rule.mode = RuleMode::Confirm;
        }
        regime
    })
}

pub(super) fn settings_at(config: &LoadedConfig, edges: &Edges, total: Bytes) -> Result<Settings> {
    // Checked here, where a wrong limit can still end the start.
    regime(config, total)?;
    Ok(Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: edges.mode,
        host: edges.sensors.host(),
        own_uid: rustix::process::getuid().as_raw(),
        interval: config.config.interval,
        graph: Duration::from_secs(u64::from(config.config.history.graph_minutes) * 60),
        regime_for: regime_for(config.clone(), total, system()),
        fit: config.fit_settings(),
        tastes: config.tastes(),
        components: config.component_rules(),
        hooks: hooks(config),
        hints: Arc::new(config.hints()),
        may_act: false,
        runtime_kind: edges.runtime.kind(),
        endpoint: edges.runtime.endpoint().clone(),
    })
}

/// What a simulation over a recording is told: as the machine that was
/// recorded, whatever this one is. It tells no hook of anything.
pub fn simulated(config: &LoadedConfig, file: &Path) -> Result<Settings> {
    let mut edges = super::replay(file)?;
    let first = edges.sensors.read(&Want::default(), edges.clock.now());
    let memory = first.memory.ok();
    let parts = memory.as_ref().map(|memory| &memory.parts);
    let is_mac = matches!(parts, Some(MemoryParts::Mac { .. }));
    let system = if is_mac { System::Mac } else { System::Linux };
    let total = memory.map_or(ASSUMED_TOTAL, |memory| memory.total);
    regime_on(system, config, total)?;
    let servers = first.processes.into_iter().flat_map(|table| table.servers);
    Ok(Settings {
        // What is asked for there is carried out, if only there.
        mode: Mode::Live,
        own_uid: servers.into_iter().find_map(|server| server.uid).unwrap_or_default(),
        regime_for: regime_for(config.clone(), total, system),
        hooks: Vec::new(),
        may_act: true,
        ..settings_at(config, &edges, total)?
    })
}

/// What a running engine is told of a config that was changed.
pub(super) fn configured(config: &LoadedConfig, total: Bytes, note: String) -> Configured {
    Configured {
        note,
        interval: config.config.interval,
        regime_for: regime_for(config.clone(), total, system()),
        fit: config.fit_settings(),
        tastes: config.tastes(),
        components: config.component_rules(),
        hooks: hooks(config),
        hints: Arc::new(config.hints()),
    }
}

/// Limits and rules for a machine with so much memory, or why the user's do
/// not go with its profile.
pub(super) fn regime(config: &LoadedConfig, total: Bytes) -> Result<Regime, ConfigError> {
    regime_on(system(), config, total)
}

fn regime_on(system: System, config: &LoadedConfig, total: Bytes) -> Result<Regime, ConfigError> {
    let chosen = config.limits(system, total)?;
    let rules = config.rules(&chosen)?;
    let profile = ProfileView { name: chosen.profile.name().to_owned(), why: chosen.why };
    Ok(Regime { profile, limits: chosen.limits, rules })
}

fn regime_for(config: LoadedConfig, at_start: Bytes, system: System) -> RegimeFor {
    Arc::new(move |total| {
        regime_on(system, &config, total.unwrap_or(at_start))
            // A total that changed while running may no longer suit the
            // user's numbers: those of the start go on.
            .or_else(|_| regime_on(system, &config, at_start))
            .unwrap_or_else(|error| {
                let profile = Profile::auto(system, at_start);
                let view = ProfileView { name: profile.name().into(), why: error.to_string() };
                Regime { profile: view, limits: profile.limits(), rules: Rules::plain() }
            })
    })
}

fn system() -> System {
    if sense::IS_MAC { System::Mac } else { System::Linux }
}

fn hooks(config: &LoadedConfig) -> Vec<Hook> {
    let hook = |set: &schema::Hook| Hook {
        on_level: set.on.contains(&HookEvent::Level),
        on_action: set.on.contains(&HookEvent::Action),
        to: match &set.url {
            Some(url) => HookTo::Url(url.clone()),
            None => HookTo::Command(set.run.clone()),
        },
        timeout: set.timeout.unwrap_or(HOOK_TIMEOUT),
    };
    config.config.hooks.iter().map(hook).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Surroundings, load};
    use crate::domain::{Level, RuleMode, Strength};

    fn with(text: &str) -> LoadedConfig {
        let surroundings =
            Surroundings { config_dir: Some("/nowhere".into()), ..Surroundings::default() };
        load(&Flags::default(), &surroundings).unwrap().with_file_text(text).unwrap()
    }

    #[test]
    fn hooks_are_told_as_they_are_written() {
        let hooks = hooks(&with(include_str!("../../tests/configs/valid/rules.toml")));
        let expected = [
            Hook {
                on_level: true,
                on_action: true,
                to: HookTo::Command(vec!["/usr/local/bin/tell".to_owned()]),
                timeout: Duration::from_secs(10),
            },
            Hook {
                on_level: true,
                on_action: false,
                to: HookTo::Url("https://me:secret@example.org:8443/hook?key=1".to_owned()),
                timeout: Duration::from_millis(100),
            },
        ];
        assert_eq!(hooks, expected);
    }

    #[test]
    fn a_changed_total_keeps_the_rules_that_stand() {
        // With 64 GiB it would be `careful`, whose critical is 80.
        let text =
            "levels.warning = 85\nrules.mode = \"act\"\nrules.critical.strength = \"light\"\n";
        let regime_for = regime_for(with(text), Bytes::gib(16), system());
        for total in [None, Some(Bytes::gib(15)), Some(Bytes::gib(64))] {
            let regime = regime_for(total);
            assert_eq!(regime.profile.name, sixteen());
            let critical = regime.rules.at(Level::Critical);
            assert_eq!((critical.mode, critical.strength), (RuleMode::Act, Some(Strength::Light)));
        }
    }

    fn sixteen() -> &'static str {
        Profile::auto(system(), Bytes::gib(16)).name()
    }
}
