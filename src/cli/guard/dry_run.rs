//! What each rule would do now. Nothing is done, and no lock is taken.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;

use crate::cli::Context;
use crate::cli::document::Document;
use crate::cli::exit::ExitCode;
use crate::cli::facts::{columns, write_json};
use crate::cli::fitted::Fitted;
use crate::cli::look::{Glance, see};
use crate::config::LoadedConfig;
use crate::domain::guard::{LevelView, PolicyView};
use crate::domain::{Bytes, Level, RuleMode, Snapshot, Wall};
use crate::engine::link::Attention;

use super::lines::Format;

/// Whether a model works is told by what its runner did over a second.
const APART: Duration = Duration::from_millis(1100);

pub(super) fn run(
    format: Format,
    (context, config): (&Context, &LoadedConfig),
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let attention = Attention { policy: true, ..Attention::default() };
    let snapshot = see(context, config, &runtime, Glance { apart: APART, attention })?;
    runtime.shutdown_background();
    let policy = snapshot.policy.as_deref().ok_or_else(|| anyhow!("no rules could be read"))?;
    match format {
        Format::Text => text(&snapshot, policy, &mut Fitted::new(out, columns(context)))?,
        Format::Json => write_json(out, &DryRun::of(&snapshot, policy))?,
    }
    out.flush()?;
    Ok(ExitCode::Done)
}

fn text(snapshot: &Snapshot, policy: &PolicyView, out: &mut dyn Write) -> Result<()> {
    let level = &snapshot.level;
    let cause = level.set_by.as_ref().map(|cause| format!(" ({})", cause.text));
    writeln!(out, "level    {}{}", level.level, cause.unwrap_or_default())?;
    writeln!(out, "profile  {} ({})", snapshot.profile.name, snapshot.profile.why)?;
    writeln!(out, "rules    {}", snapshot.rules.ceiling)?;
    writeln!(out, "\nWhat each rule would do if its level stood now; nothing is done:")?;
    for view in &policy.levels {
        writeln!(out)?;
        level_text(view, view.level == level.level, out)?;
    }
    if !policy.standing.is_empty() {
        writeln!(out)?;
    }
    for rule in &policy.standing {
        let would = rule.would.as_deref().unwrap_or("nothing");
        writeln!(out, "{} = {}: {would}", rule.key, rule.value)?;
    }
    Ok(())
}

fn level_text(view: &LevelView, is_now: bool, out: &mut dyn Write) -> Result<()> {
    let strength = view.strength.map(|strength| format!(", {}", strength.word()));
    let strength = strength.unwrap_or_default();
    let terms: String = view.terms.iter().map(|term| format!(", {term}")).collect();
    let now = if is_now { "  (stands now)" } else { "" };
    writeln!(out, "{}: {}{strength}{terms}{now}", view.level, view.mode)?;
    if view.plan.steps.is_empty() {
        writeln!(out, "  nothing")?;
    }
    for step in &view.plan.steps {
        let (verb, subject) = (step.action.verb(), step.action.subject());
        let bytes = step.expected.map(|f| format!(", {} {}", f.bytes, f.source.word()));
        writeln!(out, "  {verb} {subject}{}: {}", bytes.unwrap_or_default(), step.reason)?;
    }
    for kept in &view.plan.kept {
        writeln!(out, "  leave {}: {}", kept.name, kept.reason)?;
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct DryRun<'a> {
    schema_version: u32,
    time: Wall,
    level: Level,
    mode: RuleMode,
    levels: Vec<LevelJson<'a>>,
    standing: Vec<StandingJson<'a>>,
}

#[derive(Debug, Serialize)]
struct LevelJson<'a> {
    level: Level,
    mode: RuleMode,
    strength: Option<&'static str>,
    target_bytes: Option<Bytes>,
    steps: Vec<StepJson<'a>>,
    kept: Vec<KeptJson<'a>>,
}

#[derive(Debug, Serialize)]
struct StepJson<'a> {
    action: &'static str,
    name: &'a str,
    expected_bytes: Option<Bytes>,
    source: Option<&'static str>,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct KeptJson<'a> {
    name: &'a str,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct StandingJson<'a> {
    key: &'a str,
    value: &'a str,
    would: Option<&'a str>,
}

impl<'a> DryRun<'a> {
    fn of(snapshot: &'a Snapshot, policy: &'a PolicyView) -> Self {
        DryRun {
            schema_version: Document::GuardDryRun.version(),
            time: snapshot.at.wall,
            level: snapshot.level.level,
            mode: snapshot.rules.ceiling,
            levels: policy.levels.iter().map(LevelJson::of).collect(),
            standing: policy
                .standing
                .iter()
                .map(|rule| StandingJson {
                    key: &rule.key,
                    value: &rule.value,
                    would: rule.would.as_deref(),
                })
                .collect(),
        }
    }
}

impl<'a> LevelJson<'a> {
    fn of(view: &'a LevelView) -> Self {
        let step = |step: &'a crate::domain::Step| StepJson {
            action: step.action.verb(),
            name: step.action.subject(),
            expected_bytes: step.expected.map(|footprint| footprint.bytes),
            source: step.expected.map(|footprint| footprint.source.word()),
            reason: &step.reason,
        };
        let kept = |kept: &'a crate::domain::plan::Kept| KeptJson {
            name: &kept.name,
            reason: &kept.reason,
        };
        LevelJson {
            level: view.level,
            mode: view.mode,
            strength: view.strength.map(crate::domain::Strength::word),
            target_bytes: view.plan.target,
            steps: view.plan.steps.iter().map(step).collect(),
            kept: view.plan.kept.iter().map(kept).collect(),
        }
    }
}
