//! The model server: whether it answers, its version, its process, who can
//! reach it, and how long it keeps what it has loaded.

use crate::domain::fit::ServerEra;
use crate::domain::snapshot::RuntimeState;
use crate::domain::survey::{Housing, ServerSurvey};
use crate::domain::{Bytes, Check, Component, ComponentKind, Expiry, Finding, ProcessRole};

use super::Scene;
use super::mending::{log_line, model_word, setting_line, update_line};
use crate::domain::shell::plain_word;
use crate::policy::advice::{CACHE_DEFAULT, LARGE, cache_bound};

/// A cache larger than this part of all memory is one to know of.
const CACHE_PART: u64 = 4;

/// Families with windows, of which newer servers count one cache of two.
const WINDOWED: [&str; 5] = ["gemma2", "gemma3", "gemma3n", "gemma4", "gptoss"];

pub fn look(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    found.push(reachable(scene));
    found.push(version(scene));
    found.push(models(scene));
    found.push(process(scene));
    found.push(environment(scene));
    runners(scene, found);
    found.push(exposed(scene));
    found.push(second(scene));
    keep_alive(scene, found);
    found.push(max_loaded(scene));
    found.push(prompt_cache(scene));
}

fn reachable(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerReachable;
    let Some(server) = scene.server() else {
        return check.skipped("no model server is known");
    };
    let place = format!("{} at {}", server.kind, server.url);
    match &server.state {
        RuntimeState::Up => check.ok(match &server.version {
            Some(version) => format!("{place}, version {version}"),
            None => place,
        }),
        RuntimeState::Slow => check
            .warning(format!("{place} answers late"))
            .why("what is shown of its models is old, and unloads take effect late")
            .mend(log_line(scene.survey)),
        RuntimeState::Unknown => check
            .warning(format!("{place} has not answered yet"))
            .why("no model can be seen, loaded or unloaded until it does")
            .mend("ollama ps   # does it answer there?"),
        RuntimeState::Down { fault } => check
            .error(match fault.detail.contains(&server.url) {
                true => fault.detail.clone(),
                false => format!("{place} does not answer: {}", fault.detail),
            })
            .why("no model can be seen, loaded or unloaded")
            .mend("ollama serve   # or: plimsoll --ollama ADDRESS doctor"),
    }
}

fn version(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerVersion;
    let Some(version) = scene.server().and_then(|server| server.version.as_deref()) else {
        return check.skipped("the server has told no version");
    };
    let Some(parts) = parts(version).filter(|parts| *parts != [0, 0, 0]) else {
        return check
            .note(format!("{version} is no released version"))
            .why("its faults are not known here")
            .mend("ollama --version   # is that the one that was meant to run?");
    };
    let update = update_line(scene.survey);
    if parts < [0, 9, 7] {
        return check
            .warning(format!("{version} does not tell the context of loaded models"))
            .why("it also serves up to four requests at once, each with a cache of its own")
            .mend(update);
    }
    if parts < [0, 11, 11] {
        return check
            .warning(format!("{version} reports sizes by an estimate"))
            .why("they may be several times too high, and it unloads models that would fit")
            .mend(update);
    }
    let windowed = scene.snapshot.installed.value.iter().filter_map(|one| one.family.as_deref());
    let windowed = windowed.filter(|family| WINDOWED.contains(family)).min();
    match windowed.filter(|_| scene.era() == ServerEra::LlamaServer) {
        Some(family) => check
            .note(format!("{version} reports models such as {family} too small"))
            .why("of their two caches it counts one; plimsoll goes by what is measured")
            .mend("plimsoll models   # what they hold, beside what is reported"),
        None => check.ok(version),
    }
}

/// `0.33.0-rc2` as its three numbers.
fn parts(version: &str) -> Option<[u64; 3]> {
    let plain = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = plain.split('.').map(|part| part.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

fn models(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerModels;
    if !scene.is_up() {
        return check.skipped("the server does not answer");
    }
    let models = &scene.snapshot.installed.value;
    let size: Bytes = models.iter().filter_map(|model| model.disk).sum();
    match models.len() {
        0 => check.note("no model is installed").mend("ollama pull NAME"),
        1 => check.ok(format!("1 installed, {size}; {} loaded", scene.snapshot.models.len())),
        some => {
            check.ok(format!("{some} installed, {size}; {} loaded", scene.snapshot.models.len()))
        }
    }
}

fn process(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerProcess;
    if let Some(why) = scene.no_process() {
        return check.skipped(why);
    }
    let Some(server) = scene.survey.server() else {
        let finding = match scene.is_up() {
            true => check
                .note("the server's process cannot be seen here")
                .why("what its models hold cannot be measured")
                .mend("sudo plimsoll doctor   # root sees the processes of all users"),
            false => check.skipped("no server process is seen"),
        };
        return finding;
    };
    check.ok(format!("pid {}, {}", server.key.pid, housed(server)))
}

fn housed(server: &ServerSurvey) -> String {
    let user = server.uid.map_or_else(String::new, |uid| format!(", user {uid}"));
    let words = match &server.housing {
        Ok(Housing::Unit { name, is_user: false }) => name.clone(),
        Ok(Housing::Unit { name, is_user: true }) => format!("{name} of the user"),
        Ok(Housing::Container { name, .. }) => format!("container {name}"),
        Ok(Housing::Plain) => "in no unit and no container".to_owned(),
        Err(fault) => format!("what it runs in is unknown ({fault})"),
    };
    words + &user
}

fn environment(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerEnvironment;
    if let Some(why) = scene.no_process() {
        return check.skipped(why);
    }
    let Some(server) = scene.survey.server() else {
        return check.skipped("the server's process is not seen here");
    };
    match &server.environment {
        Ok(settings) if settings.is_empty() => check.ok("no setting is made: all are Ollama's own"),
        Ok(settings) => {
            let line = |(name, value): &(String, String)| format!("{name}={value}");
            check.ok(settings.iter().map(line).collect::<Vec<_>>().join(" "))
        }
        Err(fault) => check
            .note(format!("its settings cannot be read: {fault}"))
            .why("verdicts then take Ollama's defaults for granted")
            .mend("sudo plimsoll doctor   # or set [fit] in the config"),
    }
}

fn runners(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let check = Check::ServerRunners;
    let components = &scene.snapshot.components.value;
    let orphans = components.iter().filter(|one| one.kind == ComponentKind::Orphan);
    let orphans: Vec<_> = orphans.collect();
    for orphan in &orphans {
        let pid = orphan.process.map(|process| process.pid);
        let held = orphan.footprint.map(|held| format!(", and holds {}", held.bytes));
        let finding = check
            .warning(format!("{} has lost its server{}", orphan.name, held.unwrap_or_default()))
            .on(&orphan.id)
            .why("no server will ever end it, and nobody can use it");
        found.push(match pid {
            Some(pid) => finding.mend(format!("kill {pid}")),
            None => finding.mend("plimsoll components   # what else is known of it"),
        });
    }
    let processes = scene.sample().and_then(|sample| sample.processes.as_ref().ok());
    let runners = processes.map(|table| table.runners.as_slice()).unwrap_or_default();
    if runners.is_empty() && orphans.is_empty() {
        found.push(check.skipped("no runner is there"));
    }
    found.extend(runners.iter().filter_map(|runner| {
        let ProcessRole::Runner(arguments) = &runner.role else { return None };
        let is_orphan = |one: &&&Component| one.process == Some(runner.key);
        if orphans.iter().any(|one| is_orphan(&one)) {
            return None;
        }
        let flag = |(flag, value): &(String, String)| match value.is_empty() {
            true => format!(" {flag}"),
            false => format!(" {flag} {value}"),
        };
        let flags: String = arguments.flags.iter().map(flag).collect();
        let pid = runner.key.pid;
        Some(check.ok(format!("pid {pid}:{flags}")).on(pid.to_string()))
    }));
}

fn exposed(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerExposed;
    if let Some(why) = scene.no_process() {
        return check.skipped(why);
    }
    let is_contained = (scene.survey.server())
        .is_some_and(|server| matches!(server.housing, Ok(Housing::Container { .. })));
    let set = scene.setting("OLLAMA_HOST");
    let why = "it asks nobody for a password: whoever reaches it can load, fill and delete models";
    let mend = match is_contained {
        true => "docker run … -p 127.0.0.1:11434:11434".to_owned(),
        false => setting_line(scene.survey, "OLLAMA_HOST", "127.0.0.1"),
    };
    // What is listened to says more than what was asked for.
    match (&scene.survey.open_to, &set) {
        (Ok(open), _) if !open.is_empty() => check
            .warning(format!("its port is open to other machines, on {}", open.join(" and ")))
            .why(why)
            .mend(mend),
        (_, Ok(Some(host))) if !is_loopback(host) && is_contained => check
            .note(format!("OLLAMA_HOST={host}, inside a container"))
            .why("which of its ports are published decides who reaches it")
            .mend(mend),
        (_, Ok(Some(host))) if !is_loopback(host) => check
            .warning(format!("OLLAMA_HOST={host}: other machines reach it"))
            .why(why)
            .mend(mend),
        (_, Ok(Some(host))) => check.ok(format!("OLLAMA_HOST={host}")),
        (Ok(_), _) if scene.is_up() => check.ok("its port is open to this machine alone"),
        (_, Ok(None)) => check.ok("it listens on 127.0.0.1, its default"),
        (_, Err(why)) => check.skipped(why),
    }
}

/// As the server itself would read it.
fn is_loopback(host: &str) -> bool {
    let host = host.trim().trim_matches(['"', '\'']).trim();
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let is_of_address = |c: char| c.is_ascii_digit() || c == '.';
    let is_loopback = |address: &str| {
        address.is_empty()
            || address == "localhost"
            || address == "::1"
            || address.starts_with("127.") && address.chars().all(is_of_address)
    };
    let bare = host.trim_start_matches('[').split(']').next().unwrap_or_default();
    let without_port = host.rsplit_once(':').map_or(host, |(before, _)| before);
    is_loopback(host) || is_loopback(bare) || is_loopback(without_port)
}

fn second(scene: &Scene<'_>) -> Finding {
    let check = Check::ServerSecond;
    if let Some(why) = scene.no_process() {
        return check.skipped(why);
    }
    let servers = &scene.survey.servers;
    if servers.len() < 2 {
        return check.ok("no second server is seen");
    }
    let named: Vec<String> =
        servers.iter().map(|one| format!("pid {} ({})", one.key.pid, housed(one))).collect();
    // Only where it is known which one is asked can another be named.
    let own = scene.survey.server().map(|server| server.key);
    let other = own.and_then(|own| servers.iter().find(|server| server.key != own));
    let unit = other.and_then(|other| match &other.housing {
        Ok(Housing::Unit { name, is_user }) => Some((plain_word(name)?, *is_user)),
        _ => None,
    });
    let mend = match unit {
        Some((unit, true)) => format!("systemctl --user disable --now {unit}"),
        Some((unit, false)) => format!("sudo systemctl disable --now {unit}"),
        None => {
            let pids: Vec<String> = servers.iter().map(|one| one.key.pid.to_string()).collect();
            let whose = format!("ps -o pid,user,args -p {}", pids.join(","));
            format!("{whose}   # then end the one nobody wants, as it was started")
        }
    };
    check
        .warning(format!("{} servers run: {}", servers.len(), named.join(", ")))
        .why("each takes the memory for its own, and plimsoll asks only one of them")
        .mend(mend)
}

fn keep_alive(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let check = Check::KeepAliveEndless;
    let set = scene.setting("OLLAMA_KEEP_ALIVE");
    if let Ok(Some(value)) = &set
        && value.trim().starts_with('-')
    {
        found.push(
            check
                .warning(format!("OLLAMA_KEEP_ALIVE={value}: models stay for ever"))
                .why("memory is given back only when somebody unloads, or another model comes")
                .mend(setting_line(scene.survey, "OLLAMA_KEEP_ALIVE", "5m")),
        );
        return;
    }
    let local = scene.snapshot.models.iter().filter(|model| !model.is_remote && !model.is_cloud);
    let endless: Vec<_> = local.filter(|model| model.expires == Some(Expiry::Never)).collect();
    for model in &endless {
        let name = model.name.short();
        found.push(
            check
                .note(format!("{name} stays until it is unloaded"))
                .on(name)
                .why("whoever loaded it asked for that; its memory does not come back by itself")
                .mend(format!("plimsoll keep {} 5m", model_word(name))),
        );
    }
    if endless.is_empty() {
        found.push(match set {
            Ok(Some(value)) => check.ok(format!("OLLAMA_KEEP_ALIVE={value}")),
            Ok(None) => check.ok("5 min after their last use, Ollama's default"),
            Err(why) => check.skipped(why),
        });
    }
}

fn max_loaded(scene: &Scene<'_>) -> Finding {
    let check = Check::MaxLoadedModels;
    let name = "OLLAMA_MAX_LOADED_MODELS";
    if !scene.survey.config.one_model {
        return check.ok("no rule wants a single model");
    }
    match scene.setting(name) {
        Err(why) => check.skipped(why),
        Ok(Some("1")) => check.ok("one, as the rule wants"),
        Ok(set) => {
            let now =
                set.map_or_else(|| "up to three".to_owned(), |value| format!("{name}={value}"));
            check
                .note(format!("the rule wants one model, the server loads more ({now})"))
                .why("the rule unloads what the server loads again at the next request")
                .mend(setting_line(scene.survey, name, "1"))
        }
    }
}

fn prompt_cache(scene: &Scene<'_>) -> Finding {
    let check = Check::PromptCacheUnbounded;
    let name = "LLAMA_ARG_CACHE_RAM";
    if scene.era() == ServerEra::OllamaRunner {
        return check.ok("runners of this version keep no cache of prompts");
    }
    let set = match scene.setting(name) {
        Err(why) => return check.skipped(why),
        Ok(set) => set.and_then(|value| value.trim().parse::<i64>().ok()),
    };
    let bound = match set {
        Some(mib) if mib >= 0 => Some(Bytes::mib(mib.unsigned_abs())),
        Some(_) => None,
        None => Some(CACHE_DEFAULT),
    };
    // Of a machine whose memory is unknown only this can be said: the default bounds.
    let total = scene.total();
    let mib = total.map_or(CACHE_DEFAULT.get() >> 20, cache_bound);
    let mend = setting_line(scene.survey, name, &mib.to_string());
    let why = "the server never reports it; it grows with use and goes only with an unload";
    let Some(bound) = bound else {
        return check.warning(format!("{name} sets no bound")).why(why).mend(mend);
    };
    let Some(total) = total else {
        return check.skipped(format!(
            "each model may keep {bound} of prompts; how much memory there is is unknown"
        ));
    };
    let part = Bytes::new(total.get() / CACHE_PART);
    match set.is_some() {
        true if bound <= part => check.ok(format!("{bound} for each model at most")),
        false if total >= LARGE => check.ok(format!("{bound} for each model at most, the default")),
        false if bound <= part => check
            .note(format!("each model may keep {bound} of prompts, the default"))
            .why(why)
            .mend(mend),
        _ => check
            .warning(format!("each model may keep {bound} of prompts, of {total} in all"))
            .why(why)
            .mend(mend),
    }
}
