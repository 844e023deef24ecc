//! What this user may do here: measure and signal processes of models, be
//! woken by the kernel, reach containers and services that the config names.

use crate::domain::{Check, FaultKind, Finding};

use super::{SIMULATED, Scene};

pub fn look(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    if scene.survey.is_simulated {
        let all = [
            Check::RightToMeasure,
            Check::RightToSignal,
            Check::RightToPressure,
            Check::RightToContainers,
            Check::RightToServices,
        ];
        found.extend(all.map(|check| check.skipped(SIMULATED)));
        return;
    }
    found.push(measure(scene));
    found.push(signal(scene));
    found.push(pressure(scene));
    found.push(containers(scene));
    found.push(services(scene));
}

fn measure(scene: &Scene<'_>) -> Finding {
    let check = Check::RightToMeasure;
    let runners = &scene.survey.runners;
    if let Ok(true) = scene.survey.hides_processes {
        return check
            .warning("processes of other users are hidden (hidepid)")
            .why("a server that runs under another user is not seen, nor what its models hold")
            .mend("sudo mount -o remount,hidepid=0 /proc");
    }
    let denied = runners.iter().find_map(|runner| runner.measures.as_ref().err());
    match (denied, runners.len()) {
        (Some(fault), _) => check
            .note(format!("what runners share is not measured: {fault}"))
            .why("their resident memory still is; two runners of one file are counted twice")
            .mend("sudo plimsoll service install --system   # its guard may"),
        (None, 0) => check.ok("no runner is there to be measured"),
        (None, some) => check.ok(format!("{some} of {some} runners")),
    }
}

fn signal(scene: &Scene<'_>) -> Finding {
    let check = Check::RightToSignal;
    let runners = &scene.survey.runners;
    let out_of_reach: Vec<String> =
        runners.iter().filter(|one| !one.may_signal).map(|one| one.key.pid.to_string()).collect();
    match (out_of_reach.is_empty(), runners.len()) {
        (true, 0) => check.ok("no runner is there to be ended"),
        (true, some) => check.ok(format!("{some} of {some} runners")),
        (false, _) => check
            .note(format!("pid {} belongs to another user", out_of_reach.join(", ")))
            .why("unloading works all the same; a runner that is stuck could not be ended")
            .mend("sudo plimsoll service install --system   # its guard may"),
    }
}

fn pressure(scene: &Scene<'_>) -> Finding {
    let check = Check::RightToPressure;
    match &scene.survey.trigger {
        Ok(()) => check.ok("granted"),
        Err(fault) if fault.kind == FaultKind::Absent => check.skipped(fault.to_string()),
        Err(fault) => check
            .note(fault.to_string())
            .why("a sudden want of memory is then seen at the next look, a second later")
            .mend("sudo setcap cap_sys_resource+ep \"$(command -v plimsoll)\""),
    }
}

fn containers(scene: &Scene<'_>) -> Finding {
    let check = Check::RightToContainers;
    let engines = &scene.survey.engines;
    let open: Vec<&str> = engines
        .iter()
        .filter(|engine| engine.reachable.is_ok())
        .map(|engine| engine.path.as_str())
        .collect();
    if !open.is_empty() {
        return check.ok(format!("an engine listens at {}", open.join(", ")));
    }
    let closed = engines.iter().find_map(|engine| {
        let fault = engine.reachable.as_ref().err()?;
        (fault.kind != FaultKind::Absent).then(|| format!("{}: {fault}", engine.path))
    });
    let what = closed.unwrap_or_else(|| "no engine of containers listens here".to_owned());
    if !scene.survey.config.names_containers {
        return check.skipped(format!("{what}; the config names no container"));
    }
    check
        .warning(format!("the config names containers, and {what}"))
        .why("rules can see what they hold, and do nothing to them")
        .mend(
            "DOCKER_HOST=unix:///PATH/docker.sock plimsoll doctor   # or as a user who may use it",
        )
}

fn services(scene: &Scene<'_>) -> Finding {
    let check = Check::RightToServices;
    match (&scene.survey.services, scene.survey.config.names_services) {
        (Ok(()), _) => check.ok("systemd answers for this machine"),
        (Err(fault), false) => check.skipped(format!("{fault}; the config names no service")),
        (Err(fault), true) => check
            .warning(format!("the config names services, and {fault}"))
            .why("rules can see what they hold, and do nothing to them")
            .mend("plimsoll config show   # take `unit:` out of [[components]]"),
    }
}
