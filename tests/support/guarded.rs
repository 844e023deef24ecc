//! The busy machine with rules: what they would do, what one asks, what they
//! and their hooks have done.

use std::sync::Arc;
use std::time::Duration;

use plimsoll::domain::bytes::Bytes;
use plimsoll::domain::component::{Component, ComponentKind, Footprint, FootprintSource, Priority};
use plimsoll::domain::event::{Event, EventBody, Origin};
use plimsoll::domain::group::{Group, GroupKind};
use plimsoll::domain::guard::{
    DayCounts, Help, LevelView, Mover, PolicyView, Proposal, RuleModes, SignalSays, StandingRule,
    Why,
};
use plimsoll::domain::level::Level;
use plimsoll::domain::model::ModelName;
use plimsoll::domain::plan::{
    Action, ActionId, Kept, Outcome, Plan, Purpose, Step, Strength, Verdict,
};
use plimsoll::domain::rule::{Deed, RuleMode, Target};
use plimsoll::domain::sample::Sample;
use plimsoll::domain::setting::{DiffLine, SettingDifference};
use plimsoll::domain::snapshot::{Part, Snapshot};

use super::snapshots::{ago, busy_machine};

const CONTAINER: &str = "9f2b7c41d0aa4ce9b6d1c1b1f3a8e07755aa12cd34ef56ab78cd90ef12ab34cd";

fn gib(gib: f64) -> Bytes {
    Bytes::new((gib * 1024.0 * 1024.0 * 1024.0) as u64)
}

fn measured(held: f64) -> Option<Footprint> {
    Some(Footprint { bytes: gib(held), source: FootprintSource::Measured })
}

pub fn container_id() -> String {
    format!("container:{CONTAINER}")
}

fn container() -> Target {
    Target::Container { id: CONTAINER.into(), name: "media-scanner".into() }
}

fn unload() -> Step {
    Step {
        action: Action::Unload { model: ModelName::new("llama3.2:3b") },
        expected: measured(3.1),
        reason: "idle 4 min, priority high".into(),
    }
}

fn pause() -> Step {
    Step {
        action: deed(Deed::Pause),
        expected: None,
        reason: "paused until memory recovers".into(),
    }
}

fn deed(deed: Deed) -> Action {
    Action::Component {
        id: container_id(),
        name: "media-scanner".into(),
        target: container(),
        deed,
    }
}

fn run() -> Step {
    let words = ["/home/ada/bin/stop-backup", "--gently", "all of it"];
    Step {
        action: Action::Run { words: words.map(Into::into).into() },
        expected: None,
        reason: "your own command at critical".into(),
    }
}

fn kept(name: &str, reason: &str) -> Kept {
    Kept { name: name.into(), reason: reason.into() }
}

fn level(level: Level, mode: RuleMode, strength: Option<Strength>, steps: Vec<Step>) -> LevelView {
    let kept = vec![
        kept("qwen2.5-coder:3b", "pinned"),
        kept("jellyfin.service", "stop goes beyond light"),
    ];
    let target = (!steps.is_empty()).then(|| gib(3.6));
    let plan = Plan { purpose: Purpose::Rule { level, strength }, target, steps, kept };
    LevelView { level, mode, strength, terms: Vec::new(), plan }
}

fn policy() -> PolicyView {
    let asks = level(
        Level::Critical,
        RuleMode::Confirm,
        Some(Strength::Aggressive),
        vec![run(), unload(), pause()],
    );
    PolicyView {
        levels: vec![
            LevelView {
                terms: vec!["idle 30 min".into()],
                ..level(Level::Normal, RuleMode::Off, None, Vec::new())
            },
            LevelView {
                terms: vec!["idle 10 min".into(), "budget 4.0 GiB".into()],
                ..level(Level::Warning, RuleMode::Act, Some(Strength::Light), vec![unload()])
            },
            asks,
            level(
                Level::Emergency,
                RuleMode::Observe,
                Some(Strength::Force),
                vec![run(), unload(), pause()],
            ),
        ],
        standing: vec![
            StandingRule {
                key: "rules.one_model".into(),
                value: "true".into(),
                would: Some("unload llama3.2:3b".into()),
            },
            StandingRule {
                key: "rules.largest_model".into(),
                value: "4.0 GiB".into(),
                would: None,
            },
            StandingRule {
                key: "rules.kill_switch".into(),
                value: "98 % for 10 s".into(),
                would: Some("end media-scanner (1.3 GiB)".into()),
            },
        ],
        kill_switch: Some(RuleMode::Observe),
        waits: Some("another 10 s after the last action".into()),
        day: DayCounts { level_changes: 4, actions: 3, by_rule: 1, freed: gib(7.2), oom_kills: 1 },
    }
}

/// Rules of every mode, a container among the components, and their events.
pub fn guarded() -> Snapshot {
    let busy = busy_machine();
    let group = Group {
        kind: GroupKind::Container { id: CONTAINER.into() },
        name: "media-scanner".into(),
        used: Some(gib(1.3)),
        swapped: None,
        limit: Some(gib(2.0)),
        oom_kills: Some(2),
        stalled: Some(6.4),
        is_paused: true,
    };
    let sample =
        Sample { groups: Ok(vec![group]), ..(*busy.sample.clone().expect("it has one")).clone() };
    let mut components = (*busy.components.value).clone();
    components.extend(named());
    let mut events = (*busy.events.value).clone();
    events.extend(happened());
    Snapshot {
        sample: Some(Arc::new(sample)),
        components: part(components),
        events: part(events),
        rules: RuleModes { ceiling: RuleMode::Act, furthest: RuleMode::Act },
        policy: Some(Arc::new(policy())),
        ..busy
    }
}

/// The same, and a rule asks.
pub fn asking() -> Snapshot {
    Snapshot { proposal: Some(Arc::new(proposal())), ..guarded() }
}

pub fn proposal() -> Proposal {
    Proposal { number: 3, plan: policy().levels[2].plan.clone(), since: ago(12) }
}

fn named() -> [Component; 2] {
    let component = |id: String, name: &str, kind, held| Component {
        course: None,
        id,
        name: name.into(),
        kind,
        depth: 0,
        process: None,
        footprint: measured(held),
        swapped: None,
        priority: Priority::Low,
        pinned: false,
        state: Some("running".into()),
        target: None,
        allowed: Vec::new(),
    };
    let id = container_id();
    [
        Component {
            state: Some("paused".into()),
            target: Some(container()),
            allowed: vec![
                Deed::Pause,
                Deed::Limit { to: gib(1.0) },
                Deed::Command { words: vec!["/usr/bin/scan-later".into(), "--now".into()] },
                Deed::Stop,
            ],
            ..component(id, "media-scanner", ComponentKind::Container, 1.3)
        },
        Component {
            target: Some(Target::Unit { name: "jellyfin.service".into(), is_user: false }),
            ..component(
                "unit:jellyfin.service".into(),
                "jellyfin.service",
                ComponentKind::Service,
                0.4,
            )
        },
    ]
}

fn happened() -> Vec<Event> {
    let outcome = |action, freed: Option<Bytes>, output: Option<&str>| Outcome {
        action,
        expected: freed,
        available_before: None,
        available_after: None,
        freed,
        took: Duration::from_millis(1250),
        result: Verdict::Done,
        output: output.map(Into::into),
    };
    let ended = |id, outcome| EventBody::ActionEnded {
        id: ActionId(id),
        outcome: Box::new(outcome),
        by: Origin::Rule,
    };
    let said = "backup stopped after 211 of 904 files; the rest goes on when memory has recovered";
    let bodies = [
        EventBody::Proposed {
            is_watched: true,
            plan: policy().levels[3].plan.clone().into(),
            mode: RuleMode::Observe,
        },
        EventBody::Proposed {
            is_watched: true,
            plan: policy().levels[2].plan.clone().into(),
            mode: RuleMode::Confirm,
        },
        ended(21, outcome(run().action, None, Some(said))),
        ended(22, outcome(deed(Deed::Pause), None, None)),
        EventBody::HookRan {
            of: 9,
            hook: "/home/ada/bin/tell-me".into(),
            result: Ok("sent to two devices".into()),
        },
        EventBody::HookRan {
            of: 9,
            hook: "https://hooks.example/plimsoll".into(),
            result: Err("no answer within 5 s".into()),
        },
    ];
    let seconds = [60, 58, 40, 38, 37, 32];
    let numbered = bodies.into_iter().zip(seconds).zip(8..);
    numbered.map(|((body, s), seq)| Event { seq, time: ago(s).wall, body }).collect()
}

fn part<T>(value: T) -> Part<T> {
    Part { version: 2, value: Arc::new(value) }
}

pub fn why() -> Why {
    let busy = busy_machine();
    let says = |text: &str, level| SignalSays { text: text.into(), level };
    let mover = |name: &str, change: f64, now: f64| Mover {
        name: name.into(),
        change: match change < 0.0 {
            true => Bytes::ZERO.since(gib(-change)),
            false => gib(change).since(Bytes::ZERO),
        },
        now: gib(now),
    };
    let help = |what: &str, frees: Option<f64>, is_enough| Help {
        what: what.into(),
        frees: frees.map(gib),
        is_enough,
    };
    Why {
        level: Level::Warning,
        since: ago(140),
        set_by: busy.level.set_by,
        signals: vec![
            says("memory 80 % used, warning from 80 %", Level::Warning),
            says("available 3.1 GiB, warning below 2.0 GiB", Level::Normal),
            says("pressure some 4.2 %", Level::Normal),
            says("swap grows 14 MiB/s", Level::Warning),
        ],
        excess: Some(gib(0.8)),
        movers: vec![
            mover("firefox", 1.2, 1.9),
            mover("qwen2.5-coder:3b", 0.3, 2.8),
            mover("code", -0.2, 0.8),
        ],
        movers_since: Some(ago(300)),
        help: vec![
            help("unload llama3.2:3b", Some(3.1), true),
            help("run command for media-scanner", None, false),
            help(
                "unload hf.co/a-team-with-a-long-name/a-model-with-a-longer-name",
                Some(0.2),
                false,
            ),
        ],
    }
}

pub fn difference() -> SettingDifference {
    SettingDifference {
        file: "/home/ada/.config/plimsoll/config.toml".into(),
        lines: vec![
            DiffLine::Same("[rules.warning]".into()),
            DiffLine::Same("# Look first, then trust it.".into()),
            DiffLine::Old(
                "mode = \"observe\"   # as long as the new laptop is not here, see the \
                           notes of last week about what the backup takes"
                    .into(),
            ),
            DiffLine::New(
                "mode = \"act\"   # as long as the new laptop is not here, see the \
                           notes of last week about what the backup takes"
                    .into(),
            ),
            DiffLine::Same("idle = \"10 min\"".into()),
        ],
        token: 7,
    }
}
