//! From the config to the rules an engine follows: the profile's own, with the
//! user's laid over them. No rule goes further than `rules.mode` lets it.

use std::time::Duration;

use super::error::ConfigError;
use super::layers::LoadedConfig;
use super::profiles::Chosen;
use super::schema::{self, ProfileChoice};
use crate::domain::{Bytes, ModelName, Percent, RuleMode, Strength};
use crate::policy::rules::{ComponentRule, KillSwitch, LevelRule, Rules};

/// What is set for one level.
struct Change<'a> {
    mode: Option<RuleMode>,
    strength: Option<Strength>,
    idle: Option<Duration>,
    budget: Option<Bytes>,
    run: &'a [Vec<String>],
}

impl LoadedConfig {
    /// The rules where these limits are in force. Fails where the kill switch
    /// would come before the emergency.
    pub fn rules(&self, chosen: &Chosen) -> Result<Rules, ConfigError> {
        let is_named = self.config.profile != ProfileChoice::Auto;
        let mut rules = Rules::of(chosen.profile, is_named);
        let set = &self.config.rules;
        for (rule, change) in rules.levels.iter_mut().zip(changes(set)) {
            lay_over(rule, &change, set.mode);
        }
        rules.one_model = set.one_model.unwrap_or(rules.one_model);
        rules.largest_model = unless_zero(set.largest_model, rules.largest_model);
        rules.most_parameters =
            set.most_parameters.or(rules.most_parameters).filter(|most| *most > 0);
        rules.recycle_growth = unless_zero(set.recycle_growth, rules.recycle_growth);
        rules.preload = set.preload.iter().map(ModelName::new).collect();
        rules.pause = set.pause.unwrap_or(rules.pause);
        rules.grace = set.grace.unwrap_or(rules.grace);
        rules.kill_switch = self.kill_switch(rules.kill_switch, chosen)?;
        Ok(rules)
    }

    fn kill_switch(
        &self,
        own: Option<KillSwitch>,
        chosen: &Chosen,
    ) -> Result<Option<KillSwitch>, ConfigError> {
        let set = &self.config.rules.kill_switch;
        let is_set = *set != schema::KillSwitch::default();
        let Some(own) = own.or(is_set.then(KillSwitch::default)) else { return Ok(None) };
        let switch = KillSwitch {
            mode: set.mode.unwrap_or(RuleMode::Off).min(self.config.rules.mode),
            used: set.used.unwrap_or(own.used),
            sustained: set.sustained.unwrap_or(own.sustained),
        };
        let emergency = chosen.limits.used.map(|used| used.emergency);
        match emergency.filter(|emergency| is_set && switch.used <= *emergency) {
            None => Ok(Some(switch)),
            Some(emergency) => Err(self.comes_too_early(&switch, emergency, chosen)),
        }
    }

    fn comes_too_early(
        &self,
        switch: &KillSwitch,
        emergency: Percent,
        chosen: &Chosen,
    ) -> ConfigError {
        const USED: &str = "rules.kill_switch.used";
        let set_by = ["rules.kill_switch.used", "rules.kill_switch.mode"];
        let key = set_by.into_iter().find(|key| self.settings.contains_key(*key)).unwrap_or(USED);
        let problem = match key {
            USED => format!("is {}", switch.used.get()),
            _ => format!("switches on a kill switch at {}", switch.used.get()),
        };
        let emergency = emergency.get();
        let accepted = match self.settings.contains_key("levels.emergency") {
            true => format!("a value above `levels.emergency`, which is {emergency}"),
            false => format!(
                "a value above `levels.emergency` of profile `{}`, which is {emergency}",
                chosen.profile.name()
            ),
        };
        let hint = (key != USED).then(|| format!("set `{USED}` as well"));
        self.fault(key, problem).accepting(accepted).hinting(hint).into()
    }

    /// What the owner says of components, the first word first.
    pub fn component_rules(&self) -> Vec<ComponentRule> {
        let rule = |set: &schema::ComponentRule| ComponentRule {
            pattern: set.pattern.clone(),
            pinned: set.pinned,
            priority: set.priority,
            expected: set.expected,
            actions: set.actions.clone(),
            command: set.command.clone(),
            load: set.load.clone(),
            limit: set.limit,
        };
        self.config.components.iter().map(rule).collect()
    }

    /// A word on modes that their ceiling cuts, where nobody set the ceiling:
    /// who did knows why.
    pub(super) fn note_on_ceiling(&self) -> Option<String> {
        if self.origin("rules.mode") != super::Origin::Default {
            return None;
        }
        let rules = &self.config.rules;
        let modes = [
            ("rules.normal.mode", rules.normal.mode),
            ("rules.warning.mode", rules.warning.mode),
            ("rules.critical.mode", rules.critical.mode),
            ("rules.emergency.mode", rules.emergency.mode),
            ("rules.kill_switch.mode", rules.kill_switch.mode),
        ];
        let (key, mode) = modes
            .into_iter()
            .find_map(|(key, mode)| Some((key, mode.filter(|m| *m > rules.mode)?)))?;
        Some(format!(
            "{}: `{key}` is {mode}, and `rules.mode` lets no rule go further than {}",
            self.origin(key),
            rules.mode
        ))
    }
}

fn changes(set: &schema::Rules) -> [Change<'_>; 4] {
    let at = |rule: &schema::LevelRule, run| Change {
        mode: rule.mode,
        strength: rule.strength,
        idle: rule.idle,
        budget: rule.budget,
        run,
    };
    let normal = &set.normal;
    [
        Change {
            mode: normal.mode,
            strength: None,
            idle: normal.idle,
            budget: normal.budget,
            run: &[],
        },
        at(&set.warning, &set.on_warning),
        at(&set.critical, &set.on_critical),
        at(&set.emergency, &set.on_emergency),
    ]
}

fn lay_over(rule: &mut LevelRule, change: &Change<'_>, ceiling: RuleMode) {
    rule.mode = change.mode.unwrap_or(ceiling).min(ceiling);
    rule.strength = change.strength.or(rule.strength);
    rule.idle = change.idle.or(rule.idle);
    rule.budget = unless_zero(change.budget, rule.budget);
    rule.run = change.run.to_vec();
}

/// Zero is how a person takes away what the profile asks for.
fn unless_zero(change: Option<Bytes>, own: Option<Bytes>) -> Option<Bytes> {
    change.or(own).filter(|size| !size.is_zero())
}
