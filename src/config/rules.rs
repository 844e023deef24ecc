//! From the config to the rules an engine follows: the profile's own, with the
//! user's laid over them. No rule goes further than `rules.mode` lets it.

use std::time::Duration;

use super::error::ConfigError;
use super::layers::LoadedConfig;
use super::profiles::Chosen;
use super::schema::{self, ProfileChoice};
use crate::domain::{Bytes, Hints, ModelName, Percent, RuleMode, Strength};
use crate::policy::fit::FitSettings;
use crate::policy::recommend::Tastes;
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
        rules.mode = self.config.rules.mode;
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

    /// What is taken for granted of a load.
    pub fn fit_settings(&self) -> FitSettings {
        let set = &self.config.fit;
        FitSettings { context: set.context, parallel: set.parallel, kv_type: set.kv_type }
    }

    /// Which model is good for what: the user's tags over the built-in ones.
    pub fn tastes(&self) -> Tastes {
        let (set, own) = (&self.config.recommend, Tastes::default());
        // Where one of the two is set, the other gives way to it.
        let low = set.low.unwrap_or(set.medium.map_or(own.low, |medium| own.low.min(medium)));
        let medium = set.medium.unwrap_or(own.medium.max(low));
        let mut tags = own.tags;
        tags.extend(set.tags.clone());
        Tastes { low, medium, tags }
    }

    /// What other programs are told at each level, and where.
    pub fn hints(&self) -> Hints {
        let set = self.config.hints.clone();
        let file = self.paths.hints_file.as_ref().map(|file| file.to_string_lossy().into_owned());
        Hints::new([set.normal, set.warning, set.critical, set.emergency], file)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, Surroundings, load};
    use crate::domain::Measure;
    use crate::policy::limits::{Profile, System};

    /// A config from a file that is not on disk, and that nobody else writes.
    fn with(text: &str) -> LoadedConfig {
        let surroundings =
            Surroundings { config_dir: Some("/nowhere".into()), ..Surroundings::default() };
        load(&Flags::default(), &surroundings).unwrap().with_file_text(text).unwrap()
    }

    fn rules(text: &str) -> Rules {
        let loaded = with(text);
        loaded.rules(&loaded.limits(System::Linux, Bytes::gib(15)).unwrap()).unwrap()
    }

    fn fault(text: &str) -> String {
        let loaded = with(text);
        let chosen = loaded.limits(System::Linux, Bytes::gib(15)).unwrap();
        loaded.rules(&chosen).unwrap_err().to_string()
    }

    fn modes(rules: &Rules) -> [RuleMode; 4] {
        [0, 1, 2, 3].map(|at| rules.levels[at].mode)
    }

    #[test]
    fn without_a_word_the_rules_are_the_profiles() {
        assert_eq!(rules(""), Rules::of(Profile::Linux15, false));
        for profile in Profile::ALL {
            let named = rules(&format!("profile = \"{}\"\n", profile.name()));
            assert_eq!(named, Rules::of(profile, true), "{profile:?}");
        }
        assert_eq!(rules("profile = \"linux-15\"\n").kill_switch, Some(KillSwitch::default()));
        assert_eq!(KillSwitch::default().mode, RuleMode::Off);
    }

    /// Profile, what is set, and what a rule of it becomes.
    #[test]
    fn what_is_set_goes_over_the_profile() {
        let own = |profile| Rules::of(profile, true);
        let minute = Duration::from_secs(60);
        let linux = own(Profile::Linux15);
        let table: [(&str, &str, Rules); 8] = [
            ("linux-15", "one_model = false", Rules { one_model: false, ..linux.clone() }),
            ("linux-15", "most_parameters = 0", Rules { most_parameters: None, ..linux.clone() }),
            (
                "linux-15",
                "most_parameters = \"7B\"",
                Rules { most_parameters: Some(7_000_000_000), ..linux.clone() },
            ),
            ("linux-15", "normal.idle = \"1min\"", {
                let mut rules = linux.clone();
                rules.levels[0].idle = Some(minute);
                rules
            }),
            ("mac-8", "largest_model = 0", Rules { largest_model: None, ..own(Profile::Mac8) }),
            (
                "mac-8",
                "largest_model = \"2 GiB\"",
                Rules { largest_model: Some(Bytes::gib(2)), ..own(Profile::Mac8) },
            ),
            ("pressure", "warning.idle = \"1min\"", {
                let mut rules = own(Profile::Pressure);
                rules.levels[1].idle = Some(minute);
                rules
            }),
            ("auto", "one_model = true", Rules { one_model: true, ..Rules::plain() }),
        ];
        for (profile, set, expected) in table {
            let text = format!("profile = \"{profile}\"\nrules.{set}\n");
            assert_eq!(rules(&text), expected, "{text}");
        }
    }

    #[test]
    fn no_mode_goes_beyond_its_ceiling() {
        use RuleMode::{Act, Confirm, Observe, Off};
        for (text, expected) in [
            ("", [Observe; 4]),
            ("rules.mode = \"act\"", [Act; 4]),
            ("rules.mode = \"off\"\nrules.critical.mode = \"act\"", [Off; 4]),
            ("rules.critical.mode = \"act\"", [Observe; 4]),
            (
                "rules.mode = \"confirm\"\nrules.normal.mode = \"off\"\nrules.warning.mode = \"observe\"\nrules.emergency.mode = \"act\"",
                [Off, Observe, Confirm, Confirm],
            ),
        ] {
            assert_eq!(modes(&rules(text)), expected, "{text}");
        }
    }

    #[test]
    fn a_mode_cut_by_a_ceiling_nobody_set_is_noted() {
        let notes = |text: &str| with(text).notes;
        let cut = "[rules.critical]\nmode = \"act\"\n";
        let said = notes(cut);
        assert!(
            said[0].contains("line 2: `rules.critical.mode` is act, and `rules.mode`"),
            "{said:?}"
        );
        assert_eq!(notes(&format!("rules.mode = \"observe\"\n{cut}")), [""; 0]);
        assert_eq!(notes("rules.critical.mode = \"observe\"\n"), [""; 0]);
    }

    #[test]
    fn the_kill_switch_is_off_until_its_own_mode_is_set() {
        let switch = |text: &str| rules(text).kill_switch;
        let act = KillSwitch { mode: RuleMode::Act, ..KillSwitch::default() };
        assert_eq!(switch("rules.mode = \"act\""), None);
        let named = "profile = \"linux-15\"\nrules.mode = \"act\"\n";
        assert_eq!(switch(named), Some(KillSwitch::default()));
        let set = format!("{named}rules.kill_switch.mode = \"act\"\n");
        assert_eq!(switch(&set), Some(act));
        let observed = "rules.kill_switch.mode = \"act\"\n";
        assert_eq!(switch(observed).map(|switch| switch.mode), Some(RuleMode::Observe));
        let figures = "rules.kill_switch.used = 97\nrules.kill_switch.sustained = \"5s\"\n";
        let expected = KillSwitch {
            used: Percent::new(97.0),
            sustained: Duration::from_secs(5),
            ..KillSwitch::default()
        };
        assert_eq!(switch(figures), Some(expected));
    }

    #[test]
    fn the_kill_switch_comes_after_the_emergency_of_the_profile() {
        let said = fault("rules.kill_switch.used = 95\n");
        assert!(
            said.contains("line 1: `rules.kill_switch.used` is 95")
                && said.contains("of profile `linux-15`, which is 95"),
            "{said}"
        );
        let said = fault("levels.emergency = 99\n\nrules.kill_switch.mode = \"act\"\n");
        assert!(said.contains("line 3: `rules.kill_switch.mode` switches on a kill"), "{said}");
        assert!(said.contains("`levels.emergency`, which is 99\nhint: set"), "{said}");
        // One that is off and not set stands in nobody's way.
        rules("profile = \"linux-15\"\nlevels.emergency = 99\n");
        // Without shares of memory there is nothing to come after.
        rules("profile = \"pressure\"\nrules.kill_switch.used = 50\n");
    }

    #[test]
    fn every_rule_arrives_as_it_is_written() {
        let text = include_str!("../../tests/configs/valid/rules.toml");
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let rule = |mode, idle: u64, budget| LevelRule {
            mode,
            idle: Some(Duration::from_secs(idle)),
            budget,
            ..LevelRule::default()
        };
        let expected = Rules {
            mode: RuleMode::Act,
            levels: [
                rule(RuleMode::Off, 86_400, Some(Bytes::gib(8))),
                LevelRule {
                    strength: Some(Strength::Aggressive),
                    run: vec![words(&["sync"]), words(&["/usr/local/bin/shrink", "--now", "a b"])],
                    ..rule(RuleMode::Observe, 600, None)
                },
                LevelRule {
                    strength: Some(Strength::Force),
                    ..rule(RuleMode::Confirm, 0, Some(Bytes::gib(2)))
                },
                LevelRule {
                    strength: Some(Strength::Light),
                    run: vec![words(&["/opt/my tools/shrink"])],
                    ..rule(RuleMode::Act, 1, Some(Bytes::gib(1)))
                },
            ],
            one_model: false,
            largest_model: None,
            most_parameters: Some(7_000_000_000),
            kill_switch: Some(KillSwitch {
                mode: RuleMode::Act,
                used: Percent::new(99.0),
                sustained: Duration::from_secs(20),
            }),
            recycle_growth: Some(Bytes::mib(512)),
            preload: vec![ModelName::new("llama3.2:3b"), ModelName::new("nomic-embed-text")],
            pause: Duration::from_secs(30),
            grace: Duration::ZERO,
        };
        assert_eq!(rules(text), expected);
        let components = with(text).component_rules();
        let unit = ComponentRule {
            pattern: "unit:indexer.service".to_owned(),
            priority: Some(crate::domain::Priority::Low),
            actions: vec![Measure::Stop, Measure::Command],
            command: words(&["indexer", "--shrink"]),
            load: words(&["systemctl", "--user", "start", "indexer.service"]),
            ..ComponentRule::default()
        };
        assert_eq!(components[2], unit);
        let container = ComponentRule {
            pattern: "container:media-*".to_owned(),
            expected: Some(Bytes::gib(2)),
            actions: vec![Measure::Pause, Measure::Limit, Measure::Restart, Measure::Stop],
            limit: Some(Bytes::gib(1)),
            ..ComponentRule::default()
        };
        assert_eq!(components[1], container);
        assert_eq!((components.len(), components[4].pinned), (5, Some(true)));
    }

    #[test]
    fn rules_have_variables_where_a_variable_can_hold_them() {
        let env = [
            ("PLIMSOLL_RULES_MODE", "act"),
            ("PLIMSOLL_RULES_ONE_MODEL", "true"),
            ("PLIMSOLL_RULES_MOST_PARAMETERS", "3B"),
            ("PLIMSOLL_RULES_PRELOAD", "a:1b  b:2b"),
            ("PLIMSOLL_RULES_KILL_SWITCH_USED", "99.5"),
            ("PLIMSOLL_RULES_EMERGENCY_STRENGTH", "aggressive"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let loaded =
            load(&Flags::default(), &Surroundings { env, ..Surroundings::default() }).unwrap();
        let rules = loaded.rules(&loaded.limits(System::Linux, Bytes::gib(15)).unwrap()).unwrap();
        assert_eq!(modes(&rules), [RuleMode::Act; 4]);
        assert_eq!((rules.one_model, rules.most_parameters), (true, Some(3_000_000_000)));
        assert_eq!(rules.preload, [ModelName::new("a:1b"), ModelName::new("b:2b")]);
        assert_eq!(rules.kill_switch.map(|switch| switch.used.get()), Some(99.5));
        assert_eq!(rules.at(crate::domain::Level::Emergency).strength, Some(Strength::Aggressive));
    }
}
