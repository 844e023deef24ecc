//! Rules as values: what may be done at each level, to whom, and how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::component::Priority;
use crate::domain::rule::{Measure, RuleMode};
use crate::domain::{Bytes, Level, ModelName, Percent, Strength};

use super::limits::Profile;

/// All rules of an engine. A profile has its own; the config changes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// No rule goes beyond it; already counted in each rule's own mode.
    pub mode: RuleMode,
    /// By level, normal first.
    pub levels: [LevelRule; 4],
    /// Only the model used last stays.
    pub one_model: bool,
    /// Most bytes one model may hold.
    pub largest_model: Option<Bytes>,
    /// Most parameters one model may have.
    pub most_parameters: Option<u64>,
    pub kill_switch: Option<KillSwitch>,
    /// A runner that grew by more than this since it was loaded is unloaded
    /// and loaded again when idle.
    pub recycle_growth: Option<Bytes>,
    /// Loaded at level normal, in this order.
    pub preload: Vec<ModelName>,
    /// After an action of a rule, before the next one.
    pub pause: Duration,
    /// After the start, before the first action.
    pub grace: Duration,
}

/// What is to be done while a level stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelRule {
    pub mode: RuleMode,
    /// Who may go to reach the target. At normal nobody has to.
    pub strength: Option<Strength>,
    /// Models idle for longer go, target or not.
    pub idle: Option<Duration>,
    /// What models may take together at this level.
    pub budget: Option<Bytes>,
    /// The owner's own commands, run before anything is taken away: the words
    /// of each, the program first.
    pub run: Vec<Vec<String>>,
}

/// The last resort above emergency, off unless asked for: named processes only, TERM before KILL.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KillSwitch {
    pub mode: RuleMode,
    /// Share of memory in use.
    pub used: Percent,
    pub sustained: Duration,
}

impl Default for KillSwitch {
    /// Off, above any profile's emergency, and after long enough for a cleanup
    /// to have failed.
    fn default() -> Self {
        KillSwitch {
            mode: RuleMode::Off,
            used: Percent::new(98.0),
            sustained: Duration::from_secs(10),
        }
    }
}

/// What the owner says of the components that match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentRule {
    /// `model:…`, `process:…`, `cmdline:…`, `container:…`, `unit:…`.
    pub pattern: String,
    pub pinned: Option<bool>,
    pub priority: Option<Priority>,
    /// What it takes, where nothing can be measured.
    pub expected: Option<Bytes>,
    /// What may be done to it; nothing else ever is.
    pub actions: Vec<Measure>,
    /// For [`Measure::Command`].
    pub command: Vec<String>,
    /// Brings it back.
    pub load: Vec<String>,
    /// For [`Measure::Limit`].
    pub limit: Option<Bytes>,
}

/// As long as the daemons wait that kill for want of memory.
const PAUSE: Duration = Duration::from_secs(15);

/// One full sample and some more: what is there at the start is not yet known.
const GRACE: Duration = Duration::from_secs(5);

impl Rules {
    pub fn at(&self, level: Level) -> &LevelRule {
        &self.levels[level as usize]
    }

    /// Observing, with each level's usual strength and nothing else.
    pub fn plain() -> Rules {
        let rule = |strength| LevelRule { strength, ..LevelRule::default() };
        Rules {
            mode: RuleMode::Observe,
            levels: [
                rule(None),
                rule(Some(Strength::Light)),
                rule(Some(Strength::Aggressive)),
                rule(Some(Strength::Force)),
            ],
            one_model: false,
            largest_model: None,
            most_parameters: None,
            kill_switch: None,
            recycle_growth: None,
            preload: Vec::new(),
            pause: PAUSE,
            grace: GRACE,
        }
    }

    /// A profile's own rules. `is_chosen`: a person named it. Picked by `auto`,
    /// `linux-15` brings none: not every such machine keeps models that briefly.
    pub fn of(profile: Profile, is_chosen: bool) -> Rules {
        let mut rules = Rules::plain();
        match profile {
            Profile::Mac8 => {
                rules.one_model = true;
                rules.largest_model = Some(Bytes::gib(4));
            }
            Profile::Linux15 if is_chosen => {
                rules.one_model = true;
                rules.most_parameters = Some(3_000_000_000);
                for rule in &mut rules.levels {
                    rule.idle = Some(Duration::from_secs(30));
                }
                // Nobody is ended who did not ask for it by itself.
                rules.kill_switch = Some(KillSwitch::default());
            }
            Profile::Pressure => {
                let idle = [1800, 300, 60, 0].map(Duration::from_secs);
                for (rule, idle) in rules.levels.iter_mut().zip(idle) {
                    rule.idle = Some(idle);
                }
            }
            _ => {}
        }
        rules
    }
}
