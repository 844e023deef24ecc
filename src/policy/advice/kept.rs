//! Settings that decide how long memory is kept, and what beside a model: keep
//! alive, the cache of prompts, threads.

use crate::domain::finding::{Advice, Saving, SettingKind};
use crate::domain::fit::ServerEra;
use crate::domain::{Bytes, Percent, ProcessRole};

use super::{Advising, LARGE};

/// Up to here a model in memory is in the way of everything else.
const SMALL: Bytes = Bytes::gib(24);
const VERY_SMALL: Bytes = Bytes::gib(10);

/// A model that takes no more of what there is may stay as long as usual.
const LITTLE_PERCENT: f64 = 20.0;

/// llama.cpp's own bound of a cache of prompts.
pub const CACHE_DEFAULT: Bytes = Bytes::gib(8);

pub fn keep_alive(advising: &Advising<'_, '_>) -> Advice {
    let name = "OLLAMA_KEEP_ALIVE";
    let total = advising.total();
    let holds = advising
        .subject
        .as_ref()
        .map(|subject| format!("; {} takes {}", subject.model.short(), subject.fit.need.bytes()));
    let holds = holds.unwrap_or_default();
    let seconds = advising.now(name).value.as_deref().and_then(seconds);
    let fit = advising.subject.as_ref().map(|subject| &subject.fit);
    let is_little =
        fit.is_some_and(|fit| fit.need.bytes() <= fit.budget.ever.at(Percent::new(LITTLE_PERCENT)));
    let value = match total {
        _ if is_little => None,
        Some(total) if total <= VERY_SMALL => Some("30s"),
        Some(total) if total <= SMALL => Some("2m"),
        _ => None,
    };
    let Some(value) = value else {
        let now = advising.now(name).value;
        if now.as_deref().is_some_and(|value| value.trim().starts_with('-')) {
            let reason = format!("a model would never give back what it takes{holds}");
            return advising.on_server(name, Some("5m".to_owned()), reason);
        }
        if total.is_none() && !is_little {
            return advising.unmeasured(name);
        }
        let reason = format!("with so much memory the usual five minutes spare loads{holds}");
        return advising.left(name, seconds.map(|seconds| format!("{seconds}s")), reason);
    };
    let reason =
        format!("memory is back that soon after a last use, not five minutes after it{holds}");
    // Shorter is as good.
    match seconds.filter(|seconds| Some(*seconds) <= self::seconds(value)) {
        Some(seconds) => advising.left(name, Some(format!("{seconds}s")), reason),
        None => advising.on_server(name, Some(value.to_owned()), reason),
    }
}

/// `90`, `30s`, `2m`, `1h30m`; negative, or anything else, is none.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let (mut sum, mut number) = (0_u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    number.is_empty().then_some(sum)
}

/// What a cache of prompts may take of each model, in MiB.
pub fn cache_bound(total: Bytes) -> u64 {
    match total {
        total if total <= VERY_SMALL => 256,
        total if total <= SMALL => 512,
        total if total < LARGE => 1024,
        _ => CACHE_DEFAULT.get() >> 20,
    }
}

pub fn prompt_cache(advising: &Advising<'_, '_>) -> Advice {
    let name = "LLAMA_ARG_CACHE_RAM";
    if advising.era() == ServerEra::OllamaRunner {
        let reason = "runners of this version keep no cache of prompts".to_owned();
        return advising.left(name, None, reason);
    }
    let Some(total) = advising.total() else { return advising.unmeasured(name) };
    let mib = cache_bound(total);
    let reason = "in MiB for each model; it is never reported, and the default is 8192".to_owned();
    let set = advising.number(name).and_then(|set| u64::try_from(set).ok());
    if total >= LARGE && advising.now(name).value.is_none() {
        return advising.left(name, None, "the default of 8 GiB a model has room here".to_owned());
    }
    // Tighter is as good.
    if let Some(set) = set.filter(|set| *set <= mib) {
        return advising.left(name, Some(set.to_string()), reason);
    }
    let mut advice = advising.on_server(name, Some(mib.to_string()), reason);
    let most = match (advice.now.is_some(), set) {
        (true, Some(set)) => Some(Bytes::mib(set)),
        // No bound at all: nobody knows how much.
        (true, None) => None,
        (false, _) => Some(CACHE_DEFAULT),
    };
    let bytes = most.unwrap_or_default().saturating_sub(Bytes::mib(mib));
    let of = "at most, for each loaded model after long use".to_owned();
    let counts = !advice.is_so && advice.is_known && !bytes.is_zero();
    advice.saves = counts.then_some(Saving { bytes, of });
    advice
}

/// The server picks them; only a runner with more threads than it may use is
/// worth a word.
pub fn threads(advising: &Advising<'_, '_>) -> Advice {
    let sample = advising.situation.snapshot.sample.as_deref();
    let table = sample.and_then(|sample| sample.processes.as_ref().ok());
    let of_runner = |role: &ProcessRole| match role {
        ProcessRole::Runner(arguments) => {
            let mut flags = arguments.flags.iter();
            let flag = flags.find(|(flag, _)| matches!(flag.as_str(), "-t" | "--threads"));
            flag.and_then(|(_, value)| value.parse::<u32>().ok())
        }
        _ => None,
    };
    let runners = table.map(|table| table.runners.as_slice()).unwrap_or_default();
    let now = runners.iter().filter_map(|runner| of_runner(&runner.role)).max();
    let cores = advising.situation.survey.cores;
    let too_many = now.zip(cores).filter(|(now, cores)| now > cores);
    let (value, reason) = match too_many {
        Some((_, cores)) => (
            Some(cores.to_string()),
            format!(
                "a parameter of a model: more threads than the {cores} it may use wait for each other"
            ),
        ),
        None => (
            None,
            "a parameter of a model: the server counts the cores itself, and threads take \
             next to no memory"
                .to_owned(),
        ),
    };
    Advice {
        setting: "num_thread",
        kind: SettingKind::Model,
        now: now.map(|now| now.to_string()),
        is_known: now.is_some(),
        is_so: value.is_none(),
        value,
        reason,
        saves: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_the_server_reads_them() {
        for (text, wanted) in
            [("90", Some(90)), ("30s", Some(30)), ("1h30m", Some(5400)), ("0", Some(0))]
        {
            assert_eq!(seconds(text), wanted, "{text}");
        }
        for text in ["-1", "-1m", "5 min", "m", "1h3", "99999999999999999999h"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
