//! The system beneath: swap, how the kernel gives memory, whom it has killed,
//! and who else ends programs when memory is short.

use crate::domain::survey::SwapKind;
use crate::domain::{Check, FaultKind, Finding};

use super::{SIMULATED, Scene};
use crate::domain::shell::plain_word;
use crate::policy::advice::LARGE;

pub fn look(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    found.push(missing(scene));
    found.push(slow(scene));
    found.push(avoided(scene));
    found.push(overcommit(scene));
    found.push(kills(scene));
    found.push(watchers(scene));
}

fn missing(scene: &Scene<'_>) -> Finding {
    let check = Check::SwapMissing;
    let Some(sample) = scene.sample() else { return check.skipped("there is no sample yet") };
    let why = "without it a full machine stands still or kills at once, with no time to unload";
    match &sample.swap {
        Ok(swap) if scene.survey.is_mac => check.ok(format!("{} used, made as needed", swap.used)),
        Ok(swap) => {
            let zram = sample.zram.as_ref().ok();
            let on = zram.map_or_else(String::new, |zram| {
                format!("; {} on zram take {} of memory", zram.stored, zram.taken)
            });
            check.ok(format!("{} of {} used{on}", swap.used, swap.total))
        }
        Err(fault) if fault.kind == FaultKind::Absent => {
            let mend = "sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && \
                sudo mkswap /swapfile && sudo swapon /swapfile";
            let is_large = scene.total().is_some_and(|total| total >= LARGE);
            let finding = match is_large {
                true => check.note("there is no swap"),
                false => check.warning("there is no swap"),
            };
            finding.why(why).mend(mend)
        }
        Err(fault) => check.skipped(fault.to_string()),
    }
}

fn slow(scene: &Scene<'_>) -> Finding {
    let check = Check::SwapSlow;
    let areas = match &scene.survey.swaps {
        Err(fault) => return check.skipped(fault.to_string()),
        Ok(areas) if areas.is_empty() => return check.skipped("there is no swap"),
        Ok(areas) => areas,
    };
    let word = |kind| match kind {
        SwapKind::Zram => "in memory, compressed",
        SwapKind::Rotational => "on a turning disk",
        SwapKind::Solid => "on a solid-state disk",
        SwapKind::Unknown => "on what cannot be told",
    };
    let all: Vec<String> =
        areas.iter().map(|area| format!("{} {}", area.name, word(area.kind))).collect();
    match areas.iter().any(|area| area.kind == SwapKind::Rotational) {
        false => check.ok(all.join(", ")),
        true => check
            .warning(all.join(", "))
            .why("weights that were driven out come back at a hundredth of the speed")
            .mend(
                "sudo modprobe zram && sudo zramctl /dev/zram0 --size 4G && \
                 sudo mkswap /dev/zram0 && sudo swapon --priority 100 /dev/zram0",
            ),
    }
}

fn avoided(scene: &Scene<'_>) -> Finding {
    let check = Check::SwapAvoided;
    let has_swap = scene.survey.swaps.as_ref().is_ok_and(|areas| !areas.is_empty());
    match &scene.survey.swappiness {
        Err(fault) => check.skipped(fault.to_string()),
        Ok(_) if !has_swap => check.skipped("there is no swap"),
        Ok(0) => check
            .note("vm.swappiness is 0")
            .why("swap is then used only when memory is all but out, which is too late to help")
            .mend("sudo sysctl vm.swappiness=10"),
        Ok(value) => check.ok(format!("vm.swappiness is {value}")),
    }
}

fn overcommit(scene: &Scene<'_>) -> Finding {
    let check = Check::OvercommitStrict;
    match &scene.survey.overcommit {
        Err(fault) => check.skipped(fault.to_string()),
        Ok(2) => check
            .warning("vm.overcommit_memory is 2")
            .why("loads then fail by what was promised, while memory is still available")
            .mend("sudo sysctl vm.overcommit_memory=0"),
        Ok(value) => check.ok(format!("vm.overcommit_memory is {value}")),
    }
}

/// Those of containers and services that the config names, counted there.
fn kills_inside(scene: &Scene<'_>) -> Vec<String> {
    let groups = scene.sample().and_then(|sample| sample.groups.as_ref().ok());
    let killed = groups.into_iter().flatten().filter_map(|group| {
        let kills = group.oom_kills.filter(|kills| *kills > 0)?;
        Some(format!("{kills} in {}", group.name))
    });
    killed.collect()
}

fn kills(scene: &Scene<'_>) -> Finding {
    let check = Check::OomKills;
    let inside = kills_inside(scene);
    if !inside.is_empty() {
        return check
            .warning(format!("the kernel has killed {}", inside.join(", ")))
            .why("what runs there does not fit into its limit")
            .mend("plimsoll components   # what they hold; then raise the limit, or load less");
    }
    let paging = scene.sample().map(|sample| &sample.paging);
    match paging {
        Some(Ok(paging)) => match paging.oom_kills {
            None => check.skipped("the kernel counts no kills"),
            Some(0) => check.ok("none since this machine was started"),
            Some(kills) => check
                .warning(format!("the kernel has killed {kills} since this machine was started"))
                .why("memory was out: what ran then, and may run again, does not fit together")
                .mend("journalctl -k --grep 'Out of memory'   # says whom"),
        },
        Some(Err(fault)) => check.skipped(fault.to_string()),
        None => check.skipped(SIMULATED),
    }
}

fn watchers(scene: &Scene<'_>) -> Finding {
    let check = Check::OtherWatchers;
    match &scene.survey.watchers {
        Err(fault) => check.skipped(fault.to_string()),
        Ok(names) if names.is_empty() => check.ok("none runs"),
        Ok(names) => check
            .note(format!("{} runs here too", names.join(", ")))
            .why("it may end a server or a runner before a rule of plimsoll has unloaded a model")
            .mend(format!(
                "systemctl cat {}   # when it acts; it should be later than plimsoll's rules",
                names.iter().find_map(|name| plain_word(name)).unwrap_or("NAME")
            )),
    }
}
