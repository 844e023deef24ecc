//! Our own surroundings: room on disks, the config and who may write it, and
//! whether rules act and somebody carries them out.

use crate::domain::level::Basis;
use crate::domain::{Bytes, Check, Finding, RuleMode};

use super::{ELSEWHERE, SIMULATED, Scene};

/// A pull needs room beside what it brings.
const LEAST_FREE: Bytes = Bytes::gib(2);

/// A database wants room to write itself anew.
const BESIDE_HISTORY: Bytes = Bytes::mib(64);

pub fn look(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    found.push(models_disk(scene));
    found.push(history_disk(scene));
    notes(scene, found);
    found.push(writers(scene));
    found.push(guard(scene));
    found.push(rules(scene));
}

fn models_disk(scene: &Scene<'_>) -> Finding {
    let check = Check::DiskModels;
    if scene.is_remote() {
        return check.skipped(ELSEWHERE);
    }
    let disk = match &scene.survey.models_disk {
        Ok(disk) => disk,
        Err(fault) => return check.skipped(fault.to_string()),
    };
    let models = &scene.snapshot.installed.value;
    let largest = models.iter().filter_map(|model| model.disk).max().unwrap_or_default();
    let room = format!("{} free for {}", disk.free, disk.folder);
    if disk.free >= largest.max(LEAST_FREE) {
        return check.ok(room);
    }
    let beside = match largest.is_zero() {
        true => String::new(),
        false => format!("; the largest model has {largest}"),
    };
    check
        .warning(format!("{room}{beside}"))
        .why("a newer version of a model is pulled before the old one goes")
        .mend("ollama list   # then: ollama rm NAME")
}

fn history_disk(scene: &Scene<'_>) -> Finding {
    let check = Check::DiskHistory;
    match &scene.survey.history_disk {
        Err(fault) => check.skipped(fault.to_string()),
        Ok(disk) => {
            let room = format!("{} free for {}", disk.free, disk.folder);
            match disk.free >= scene.survey.config.history + BESIDE_HISTORY {
                true => check.ok(room),
                false => check
                    .warning(room)
                    .why("events would be kept in memory only, and lost at the end")
                    .mend("plimsoll --data-dir FOLDER   # on a disk with room"),
            }
        }
    }
}

fn notes(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let check = Check::ConfigNotes;
    let config = &scene.survey.config;
    // That is a check of its own.
    let of_writers = config.writers.as_ref().map(|(found, _)| found.as_str());
    let notes: Vec<&String> = (config.notes.iter())
        .filter(|note| of_writers.is_none_or(|found| !note.starts_with(found)))
        .collect();
    if notes.is_empty() {
        found.push(match &config.file {
            Some(file) => check.ok(file),
            None => check.ok("there is no file, and the defaults hold"),
        });
    }
    found.extend(notes.into_iter().map(|note| {
        check
            .warning(note.as_str())
            .why("something is not as its writer meant it")
            .mend("plimsoll config check")
    }));
}

fn writers(scene: &Scene<'_>) -> Finding {
    let check = Check::ConfigWriters;
    let config = &scene.survey.config;
    match (&config.writers, &config.file) {
        (Some((found, mend)), _) => {
            let finding = check
                .warning(found)
                .why("whoever writes it could have rules run commands; those are left out");
            match mend {
                Some(mend) => finding.mend(mend),
                None => finding.mend("plimsoll config check"),
            }
        }
        (None, Some(_)) => check.ok("its owner alone"),
        (None, None) => check.skipped("there is no file"),
    }
}

fn guard(scene: &Scene<'_>) -> Finding {
    let check = Check::GuardService;
    if scene.survey.is_simulated {
        return check.skipped(SIMULATED);
    }
    let guard = &scene.survey.guard;
    let runs = guard.runs || scene.snapshot.level.basis == Basis::Attached;
    let installed = guard.service.as_deref();
    let acts = scene.snapshot.rules.furthest >= RuleMode::Confirm;
    let mend = "plimsoll service install --yes --start";
    match (runs, installed, acts) {
        (true, Some(file), _) => check.ok(format!("it runs, and {file} starts it")),
        (true, None, true) => check
            .note("a plimsoll runs, and no service starts it again")
            .why("rules act only while it runs")
            .mend(mend),
        (true, None, false) => check.ok("a plimsoll runs"),
        (false, _, false) => check.ok("no rule acts, so nobody has to"),
        (false, Some(file), true) => check
            .warning(format!("{file} is there, and no guard runs"))
            .why("rules act only while it runs")
            .mend("plimsoll service status"),
        (false, None, true) => check
            .warning("rules may act, and no guard runs")
            .why("rules act only while a plimsoll runs")
            .mend(mend),
    }
}

fn rules(scene: &Scene<'_>) -> Finding {
    let check = Check::RulesObserve;
    match scene.snapshot.rules.furthest {
        RuleMode::Act => check.ok("rules act"),
        mode @ (RuleMode::Off | RuleMode::Observe | RuleMode::Confirm) => {
            let found = match mode {
                RuleMode::Confirm => "rules ask in a dashboard, and do nothing where nobody looks",
                RuleMode::Off => "no rule is looked at",
                _ => "rules observe: they say what they would do, and do nothing",
            };
            check
                .note(found)
                .why("when memory runs out, nobody unloads a model unless somebody is there")
                .mend("rules.mode = \"act\"   # in the config; `plimsoll config init` writes one")
        }
    }
}
