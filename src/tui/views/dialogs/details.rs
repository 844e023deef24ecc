//! Details of one row: every figure with what it is and where it comes from.

use super::sentence;
use crate::domain::component::{Component, ComponentKind};
use crate::domain::event::{Event, EventBody};
use crate::domain::group::{Group, short_id};
use crate::domain::model::{InstalledModel, ModelName, ModelView};
use crate::domain::plan::{Action, Outcome};
use crate::domain::process::{Process, ProcessKey, ProcessRole};
use crate::domain::rule::{Deed, Target};
use crate::domain::target::TargetOutcome;
use crate::domain::text::clean;
use crate::tui::rows;
use crate::tui::scene::Scene;
use crate::tui::state::Subject;
use crate::tui::theme::Role;
use crate::tui::views::help::told;
use crate::tui::views::{plan, policy};
use crate::tui::widgets::canvas::span;
use crate::tui::widgets::dialog::Line;
use crate::tui::widgets::figures::{
    UNKNOWN, course, day_and_time, doing, grouped, leaves, or_unknown, place,
};

/// Title and lines.
pub fn lines(scene: &Scene<'_>, subject: &Subject, width: usize) -> (String, Vec<Line>) {
    let mut facts = Facts { lines: Vec::new(), width: u16::try_from(width).unwrap_or(u16::MAX) };
    let title = match subject {
        Subject::Model(name) => {
            model(&mut facts, scene, name);
            name.to_string()
        }
        Subject::Component(id) => {
            let known = scene.snapshot.components.value.iter().find(|known| known.id == *id);
            match known {
                Some(known) => component(&mut facts, scene, known),
                None => facts.lines = sentence("it is gone", width, Role::Dim),
            }
            known.map_or_else(|| id.clone(), |known| known.name.clone())
        }
        Subject::Event(number) => {
            let recent = scene.snapshot.events.value.iter().chain(&scene.ui.older_events);
            match recent.into_iter().find(|event| event.seq == *number) {
                Some(found) => event(&mut facts, scene, found),
                None => facts.lines = sentence("it is no longer kept", width, Role::Dim),
            }
            format!("event {number}")
        }
        Subject::Rule(rule) => {
            facts.lines = policy::details(scene, *rule, width);
            rule.name()
        }
    };
    (title, facts.lines)
}

/// Names and values below each other.
struct Facts {
    lines: Vec<Line>,
    width: u16,
}

impl Facts {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        let value = if value.as_ref().is_empty() { UNKNOWN } else { value.as_ref() };
        for mut line in told(name, value, (14, self.width)) {
            line[0].1 = Role::Dim;
            self.lines.push(line);
        }
    }

    fn heading(&mut self, text: &'static str) {
        self.lines.push(Vec::new());
        self.lines.push(vec![span(text, Role::Header)]);
    }
}

fn model(facts: &mut Facts, scene: &Scene<'_>, name: &ModelName) {
    let snapshot = scene.snapshot;
    let loaded = snapshot.model(name);
    let installed = snapshot.installed.value.iter().find(|model| model.name == *name);
    if let Some(model) = loaded {
        loaded_facts(facts, scene, model);
    }
    if let Some(model) = installed {
        installed_facts(facts, scene, model, loaded.is_some());
    }
    if loaded.is_none() && installed.is_none() {
        facts.lines.push(vec![span("it is gone", Role::Dim)]);
    }
    if let Some(runner) = loaded.and_then(|model| model.runner) {
        process(facts, scene, runner);
    }
}

fn loaded_facts(facts: &mut Facts, scene: &Scene<'_>, model: &ModelView) {
    let now = scene.snapshot.at;
    let measured = match model.measured {
        Some((bytes, source)) => format!("{bytes} ({source} of its runner)"),
        None => UNKNOWN.to_owned(),
    };
    let drift = model.drift().map_or_else(|| UNKNOWN.to_owned(), |drift| drift.to_string());
    let vram = or_unknown(model.vram);
    facts.add("state", doing(model, now));
    facts.add("leaves", leaves(model, now.wall));
    facts.add("measured", measured);
    facts.add("reported", format!("{} by its server", or_unknown(model.reported)));
    if let Some(grown) = model.swap_growth {
        facts.add("drove out", format!("{grown} of others to swap, when it was loaded"));
    }
    if let Some(known) = model.course {
        facts.add("course", course(known));
    }
    facts.add("drift", format!("{drift} (measured − reported)"));
    facts.add("where", format!("{}, {vram} on a GPU as reported", place(model)));
    facts.add("context", model.context.map_or(String::new(), grouped));
    facts.add("parameters", model.parameters.as_deref().unwrap_or_default());
    facts.add("quantization", model.quantization.as_deref().unwrap_or_default());
    let pinned = if model.pinned { ", pinned: in no plan" } else { "" };
    facts.add("priority", format!("{}{pinned}", model.priority));
    if let Some(runtime) = scene.snapshot.runtimes.get(model.runtime) {
        facts.add("server", &runtime.url);
    }
}

fn installed_facts(facts: &mut Facts, scene: &Scene<'_>, model: &InstalledModel, short: bool) {
    facts.add("on disk", or_unknown(model.disk));
    facts.add("family", model.family.as_deref().unwrap_or_default());
    if !short {
        facts.add("parameters", model.parameters.as_deref().unwrap_or_default());
        facts.add("quantization", model.quantization.as_deref().unwrap_or_default());
    }
    facts.add("max. context", model.max_context.map_or(String::new(), grouped));
    facts.add("can", model.capabilities.join(", "));
    let modified = model.modified.map(|at| day_and_time(at, scene.time_zone));
    facts.add("modified", modified.unwrap_or_default());
    facts.add("digest", model.digest.get(..12).unwrap_or(&model.digest));
    if model.is_cloud {
        facts.add("runs", "in the cloud: nothing is sent to it from here");
    }
}

fn component(facts: &mut Facts, scene: &Scene<'_>, component: &Component) {
    facts.add("kind", component.kind.word());
    let footprint = component
        .footprint
        .map_or_else(String::new, |known| format!("{} {}", known.bytes, known.source.word()));
    facts.add("footprint", footprint);
    facts.add("swapped", or_unknown(component.swapped));
    if let Some(known) = component.course {
        facts.add("course", course(known));
    }
    facts.add("state", component.state.as_deref().unwrap_or_default());
    let pinned = if component.pinned { ", pinned: in no plan" } else { "" };
    facts.add("priority", format!("{}{pinned}", component.priority));
    if component.kind != ComponentKind::Model {
        facts.add("may be done", allowed(component));
    }
    if let Some(group) = rows::group_of(scene.snapshot, component) {
        group_facts(facts, group);
    }
    if let Some(key) = component.process {
        process(facts, scene, key);
    }
    if component.kind == ComponentKind::Server {
        targets(facts, scene);
    }
}

/// What memory is meant to stay within.
fn targets(facts: &mut Facts, scene: &Scene<'_>) {
    if scene.snapshot.targets.is_empty() {
        return;
    }
    facts.heading("targets");
    for view in &scene.snapshot.targets {
        let (limit, now) = (view.limit_text(), view.now_text());
        let text = match view.outcome() {
            TargetOutcome::Unknown => format!("{now}; {limit}"),
            outcome => format!("{}: {now}, {limit}", outcome.word()),
        };
        facts.add(view.kind.word(), text);
    }
}

/// What the config allows, in its order.
fn allowed(component: &Component) -> String {
    if component.allowed.is_empty() {
        return "nothing: the config allows no action on it".to_owned();
    }
    component.allowed.iter().map(deed).collect::<Vec<_>>().join(", ")
}

fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Command { words } => format!("run {}", clean(&words.join(" "))),
        Deed::Limit { to } => format!("limit to {to}"),
        Deed::Kill => "end, then kill".to_owned(),
        deed => deed.verb().to_owned(),
    }
}

fn group_facts(facts: &mut Facts, group: &Group) {
    facts.heading("its control group");
    facts.add("used", or_unknown(group.used));
    facts.add("limit", group.limit.map_or("none is set".to_owned(), |limit| limit.to_string()));
    facts.add(
        "stalled",
        group.stalled.map_or(String::new(), |share| format!("{share:.1} % of 10 s")),
    );
    facts.add("oom kills", group.oom_kills.map_or(String::new(), grouped));
    if group.is_paused {
        facts.add("paused", "yes: it holds its memory and does not run");
    }
}

fn process(facts: &mut Facts, scene: &Scene<'_>, key: ProcessKey) {
    let sample = scene.snapshot.sample.as_deref();
    let table = sample.and_then(|sample| sample.processes.as_ref().ok());
    let Some(process) = table.and_then(|table| table.find(key)) else {
        facts.heading("process");
        facts.add("pid", key.pid.to_string());
        return;
    };
    facts.heading("process");
    process_facts(facts, process);
}

fn process_facts(facts: &mut Facts, process: &Process) {
    let memory = &process.memory;
    facts.add("pid", format!("{}, parent {}", process.key.pid, process.parent));
    facts.add("program", &process.name);
    let parts = [
        ("anonymous", memory.anonymous),
        ("file", memory.file),
        ("shared", memory.shared),
        ("swapped", memory.swapped),
        ("resident", memory.resident),
        ("proportional", memory.proportional),
        ("footprint", memory.physical_footprint),
    ];
    for (name, bytes) in parts.into_iter().filter(|(_, bytes)| bytes.is_some()) {
        facts.add(name, or_unknown(bytes));
    }
    if let ProcessRole::Runner(arguments) = &process.role {
        let flags = arguments.flags.iter().map(|(flag, value)| format!("{flag} {value}"));
        facts.add("flags", flags.collect::<Vec<_>>().join(" "));
    }
}

fn event(facts: &mut Facts, scene: &Scene<'_>, event: &Event) {
    facts.add("time", day_and_time(event.time, scene.time_zone));
    facts.add("kind", event.body.kind().word());
    facts.add("what", event.body.title());
    facts.add("in full", event.body.text());
    match &event.body {
        EventBody::ActionStarted { action, .. } => action_facts(facts, action),
        EventBody::ActionEnded { outcome, .. } => outcome_facts(facts, outcome),
        EventBody::Proposed { plan: proposed, mode, .. } => {
            facts.add("mode", format!("{mode}: {}", policy::meaning(*mode)));
            facts.heading("the plan");
            let width = usize::from(facts.width);
            facts.lines.extend(plan::proposed_lines(proposed, width));
        }
        EventBody::HookRan { of, hook, result } => {
            facts.add("hook", clean(hook));
            facts.add("told of", format!("event {of}"));
            let name = if result.is_ok() { "it said" } else { "it failed" };
            let (Ok(said) | Err(said)) = result;
            facts.add(name, clean(said));
        }
        _ => {}
    }
}

fn outcome_facts(facts: &mut Facts, outcome: &Outcome) {
    facts.add("expected", or_unknown(outcome.expected));
    facts.add("came back", or_unknown(outcome.freed));
    let (before, after) = (outcome.available_before, outcome.available_after);
    if before.is_some() || after.is_some() {
        let text = format!("{} before, {} after", or_unknown(before), or_unknown(after));
        facts.add("available", text);
    }
    facts.add("took", outcome.took_text());
    action_facts(facts, &outcome.action);
    if let Some(output) = &outcome.output {
        facts.add("it said", clean(output));
    }
}

/// The words of a command: what exactly was run.
fn action_facts(facts: &mut Facts, action: &Action) {
    match action {
        Action::Run { words }
        | Action::Component { deed: Deed::Command { words } | Deed::Load { words }, .. } => {
            facts.add("command", clean(&words.join(" ")));
        }
        Action::Component { deed: what, target, .. } => {
            facts.add("action", deed(what));
            facts.add("done to", target_in_words(target));
        }
        _ => {}
    }
}

fn target_in_words(target: &Target) -> String {
    match target {
        Target::Process { key } => format!("process {}", key.pid),
        Target::Container { id, name } => {
            format!("container {} ({})", clean(name), short_id(id))
        }
        Target::Unit { name, is_user: true } => format!("{}, of the user's manager", clean(name)),
        Target::Unit { name, is_user: false } => clean(name),
    }
}
