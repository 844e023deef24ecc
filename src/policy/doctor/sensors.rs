//! Each sensor: its value in a few words, or what it would need.

use std::fmt::Display;

use crate::domain::sample::{Gpu, Pressure, Reading};
use crate::domain::{Check, FaultKind, Finding, Severity};

use super::Scene;

pub fn look(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let Some(sample) = scene.sample() else {
        let all = [
            Check::SensorSwap,
            Check::SensorPressure,
            Check::SensorPaging,
            Check::SensorLimit,
            Check::SensorZram,
            Check::SensorGpu,
            Check::SensorProcesses,
        ];
        let none = "there is no sample";
        found.push(
            Check::SensorMemory
                .error(none)
                .why("without memory there is no level")
                .mend("plimsoll doctor   # again: the first look has not come back"),
        );
        found.extend(all.map(|check| check.skipped(none)));
        return;
    };
    found.push(match &sample.memory {
        Ok(memory) => {
            Check::SensorMemory.ok(format!("{} available of {}", memory.available, memory.total))
        }
        Err(fault) => Check::SensorMemory
            .error(fault.to_string())
            .why("without memory there is no level, no plan and no verdict")
            .mend(need(fault.kind)),
    });
    let swap = told(&sample.swap, |swap| format!("{} of {} used", swap.used, swap.total));
    found.push(sensor(Check::SensorSwap, swap));
    found.push(pressure(scene, &sample.pressure));
    let paging = told(&sample.paging, |paging| match paging.refaults_file {
        Some(_) => "page faults, swapping and refaults".to_owned(),
        None => "page faults and swapping".to_owned(),
    });
    found.push(sensor(Check::SensorPaging, paging));
    let limit = told(&sample.limit, |limit| format!("{} ({})", limit.limit, limit.source));
    found.push(sensor(Check::SensorLimit, limit));
    let zram = told(&sample.zram, |zram| format!("{} stored in {}", zram.stored, zram.taken));
    found.push(sensor(Check::SensorZram, zram));
    found.push(gpu(&sample.gpus));
    let processes = told(&sample.processes, |table| {
        let (servers, runners) = (table.servers.len(), table.runners.len());
        format!("servers {servers}, runners {runners}")
    });
    found.push(sensor(Check::SensorProcesses, processes));
}

fn told<T>(reading: &Reading<T>, words: impl Fn(&T) -> String) -> Reading<String> {
    reading.as_ref().map(words).map_err(Clone::clone)
}

/// What is not there is ordinary; what is there and gives nothing is not.
fn sensor(check: Check, told: Reading<String>) -> Finding {
    match told {
        Ok(words) => check.ok(words),
        Err(fault) if fault.kind == FaultKind::Absent => check.skipped(fault.to_string()),
        Err(fault) => check
            .warning(fault.to_string())
            .why("what it would tell is shown as unknown, and levels are judged without it")
            .mend(need(fault.kind)),
    }
}

fn need(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Denied => "sudo plimsoll doctor   # shows whether root may read it",
        FaultKind::Hung => "plimsoll doctor   # again: a driver or a file system hangs",
        FaultKind::Malformed => {
            "plimsoll record --for 1s FILE   # and send it to plimsoll's authors"
        }
        FaultKind::Absent | FaultKind::Failed => {
            "plimsoll doctor   # again; then see the log of the system"
        }
    }
}

fn pressure(scene: &Scene<'_>, pressure: &Reading<Pressure>) -> Finding {
    let check = Check::SensorPressure;
    match pressure {
        Ok(Pressure::Psi { some, full }) => {
            let full = full.map_or_else(String::new, |full| format!(", full {:.1} %", full.avg10));
            check.ok(format!("some {:.1} %{full} over 10 s", some.avg10))
        }
        Ok(Pressure::Mac { level }) => check.ok(format!("the kernel says {}", level.word())),
        Err(fault) if fault.kind == FaultKind::Absent && !scene.survey.is_simulated => check
            .note(fault.to_string())
            .why("levels rest on how full memory is, and thrashing below that is not seen")
            .mend("psi=1   # on the kernel's command line, then start the machine again"),
        Err(fault) => sensor(check, Err(fault.clone())),
    }
}

fn gpu(gpus: &Reading<Vec<Gpu>>) -> Finding {
    let check = Check::SensorGpu;
    let cards = match gpus {
        Ok(cards) if cards.is_empty() => return check.skipped("no graphics card is seen"),
        Ok(cards) => cards,
        Err(fault) => return sensor(check, Err(fault.clone())),
    };
    let used = |used: Option<&dyn Display>| {
        used.map_or_else(|| "use unknown".to_owned(), |used| format!("{used} used"))
    };
    let card = |gpu: &Gpu| {
        let in_use = used(gpu.used.as_ref().map(|used| used as &dyn Display));
        format!("{}: {in_use} of {}", gpu.name, gpu.total)
    };
    let words = cards.iter().map(card).collect::<Vec<_>>().join(", ");
    let is_blind = cards.iter().any(|gpu| gpu.used.is_none() && !gpu.unified);
    match is_blind {
        false => check.ok(words),
        true => Finding::new(check, Severity::Note, words)
            .why("a card whose use is unknown adds nothing to what may be given to a model")
            .mend("ls /sys/class/drm/card*/device/mem_info_vram_used   # or: nvidia-smi"),
    }
}
