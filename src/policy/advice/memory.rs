//! Settings that decide what a load takes: how many models, how many requests
//! at once, how long a context, how exact its cache.

use crate::domain::finding::{Advice, Saving};
use crate::domain::{Bytes, Fit, FitQuestion, KvType, Percent};

use super::{Advising, is_comfortable, saving};

/// Contexts worth naming, the largest first.
const CONTEXTS: [u64; 7] = [131_072, 65_536, 32_768, 16_384, 8192, 4096, 2048];

/// Ollama's own most, without a card and with one.
const LOADED_BY_DEFAULT: usize = 3;

/// A coarser cache is worth its loss from this part of all there is on.
const WORTH_PERCENT: f64 = 1.0;

/// The context, and the number it comes to for what follows.
pub fn context(advising: &mut Advising<'_, '_>) -> (Advice, Option<u64>) {
    let name = "OLLAMA_CONTEXT_LENGTH";
    let (Some(subject), Some(plain)) = (advising.subject.clone(), advising.plain()) else {
        return (advising.unknown(name), None);
    };
    let present = subject.fit.settings.context;
    let model = subject.model.short();
    if is_comfortable(&subject.fit) {
        let reason = format!(
            "{model} takes {} at {present} tokens and leaves room; more is asked for with a load",
            subject.fit.need.bytes()
        );
        let same = advising.number(name).map(|number| number.to_string());
        return (advising.left(name, same, reason), Some(present));
    }
    let at = |context| FitQuestion { context: Some(context), parallel: Some(1), ..plain.clone() };
    let shorter = CONTEXTS.into_iter().filter(|context| *context < present);
    let mut found: Option<Fit> = None;
    for context in shorter {
        let eight = FitQuestion { kv_type: Some(KvType::Q8_0), ..at(context) };
        found = advising.fit(eight).filter(is_comfortable);
        if found.is_some() {
            break;
        }
    }
    let context = found.map_or(2048.min(present), |fit| fit.settings.context);
    let slots = Some(subject.fit.settings.parallel);
    let less = advising.fit(FitQuestion { parallel: slots, ..at(context) });
    let reason = format!(
        "{model} takes {} at {present} tokens, and this machine could give {}",
        subject.fit.need.bytes(),
        subject.fit.budget.ever
    );
    let mut advice = advising.on_server(name, Some(context.to_string()), reason);
    let of = format!("{model}, {present} tokens against {context}");
    match subject.fit.has_own_context() {
        // Its parameter goes before the server's setting, which changes nothing.
        true => advice.reason.push_str("; its own num_ctx goes before this"),
        false if advice.is_so => {}
        false => advice.saves = less.and_then(|less| saving(&subject.fit, &less, of)),
    }
    (advice, Some(context))
}

/// How many of the largest fit together; what the others would take is saved.
pub fn max_loaded(advising: &Advising<'_, '_>) -> Advice {
    let name = "OLLAMA_MAX_LOADED_MODELS";
    let one_model = advising.situation.survey.config.one_model;
    let fits = advising.situation.fits.all.iter();
    let mut largest: Vec<&Fit> = fits.filter(|fit| fit.need.bytes() <= fit.budget.ever).collect();
    largest.sort_by(|a, b| b.need.bytes().cmp(&a.need.bytes()).then(a.model.cmp(&b.model)));
    let given = largest.first().map(|fit| given_to_models(advising, fit)).unwrap_or_default();
    let (mut held, mut together) = (Bytes::ZERO, 0);
    for fit in largest.iter().take(LOADED_BY_DEFAULT) {
        held += fit.need.bytes();
        if held > given {
            break;
        }
        together += 1;
    }
    let room = if one_model { 1 } else { together.max(1) };
    if !one_model && (largest.is_empty() || room >= largest.len().min(LOADED_BY_DEFAULT)) {
        let reason = match largest.len() {
            0 => return advising.unknown(name),
            1 => "one model is installed that fits at all".to_owned(),
            _ => format!(
                "the {room} largest fit together beside what runs; Ollama loads up to three"
            ),
        };
        let same = advising.number(name).map(|number| number.to_string());
        return advising.left(name, same, reason);
    }
    let reason = match one_model {
        true => "the rules of this machine want one model at a time".to_owned(),
        false => format!(
            "no more than {room} of the largest fit together in the {given} that other programs leave"
        ),
    };
    let mut advice = advising.on_server(name, Some(room.to_string()), reason);
    let set = advising.number(name).and_then(|set| usize::try_from(set).ok());
    let now = set.filter(|set| *set > 0).unwrap_or(LOADED_BY_DEFAULT);
    let others: Vec<&&Fit> = largest.iter().take(now).skip(room).collect();
    let bytes: Bytes = others.iter().map(|fit| fit.need.bytes()).sum();
    let names: Vec<&str> = others.iter().map(|fit| fit.model.short()).collect();
    let of = format!("at most, {} not loaded beside the largest", names.join(" and "));
    advice.saves = (!bytes.is_zero() && !advice.is_so).then_some(Saving { bytes, of });
    advice
}

/// What models may have together beside the programs that run now. Where cards
/// have memory of their own, what they leave is not told apart: as if alone.
fn given_to_models(advising: &Advising<'_, '_>, fit: &Fit) -> Bytes {
    let snapshot = advising.situation.snapshot;
    let memory = snapshot.sample.as_ref().and_then(|sample| sample.memory.as_ref().ok());
    match memory {
        Some(memory) if fit.budget.vram.is_zero() => {
            let left = memory.available + snapshot.models_held();
            left.saturating_sub(fit.budget.reserve).min(fit.budget.ever)
        }
        _ => fit.budget.ever,
    }
}

/// Each request served at once has a cache of its own.
pub fn parallel(advising: &mut Advising<'_, '_>, context: Option<u64>) -> Advice {
    let name = "OLLAMA_NUM_PARALLEL";
    let slots = advising.number(name).and_then(|slots| u32::try_from(slots).ok()).unwrap_or(1);
    let question = advising.plain().map(|plain| FitQuestion { context, ..plain });
    let mut at = |parallel: u32| {
        let question = question.clone()?;
        advising.fit(FitQuestion { parallel: Some(parallel), ..question })
    };
    let (one, two, present) = (at(1), at(2), at(slots));
    let model = advising.subject.as_ref().map(|subject| subject.model.short().to_owned());
    let each = match (&one, &two, &model) {
        (Some(one), Some(two), Some(model)) => {
            let bytes = two.need.parts().saturating_sub(one.need.parts());
            format!("each request served at once takes {bytes} more with {model}")
        }
        _ => "each request served at once takes a cache of its own".to_owned(),
    };
    let is_ample = present.as_ref().is_some_and(is_comfortable);
    if slots > 1 && is_ample {
        return advising.left(name, Some(slots.to_string()), format!("{each}; {slots} fit here"));
    }
    let mut advice = advising.on_server(name, Some("1".to_owned()), each);
    // One is the server's own since 0.9.7.
    advice.is_so |= advice.is_known && advice.now.is_none();
    if let (Some(present), Some(one), Some(model)) = (&present, &one, &model)
        && slots > 1
    {
        advice.saves = saving(present, one, format!("{model}, {slots} requests against one"));
    }
    advice
}

/// The cache's type, and flash attention, which it needs.
pub fn cache_type(advising: &mut Advising<'_, '_>, context: Option<u64>) -> [Advice; 2] {
    let (name, flash) = ("OLLAMA_KV_CACHE_TYPE", "OLLAMA_FLASH_ATTENTION");
    let set: Option<KvType> = advising.now(name).value.and_then(|value| value.parse().ok());
    let present = set.unwrap_or_default();
    let question = advising.plain().map(|plain| FitQuestion { context, ..plain });
    let mut at = |kv_type| {
        let question = question.clone()?;
        advising.fit(FitQuestion { kv_type: Some(kv_type), ..question })
    };
    let (now, eight) = (at(present), at(KvType::Q8_0));
    if present.bytes_per_32() <= KvType::Q8_0.bytes_per_32() {
        let reason = "the cache takes half of f16, or less, already".to_owned();
        let first = advising.left(name, Some(present.word().to_owned()), reason);
        return [first, flash_attention(advising)];
    }
    let (Some(now), Some(eight), Some(subject)) = (now, eight, advising.subject.clone()) else {
        return [advising.unknown(name), advising.unknown(flash)];
    };
    // What its cache takes is not known, and no saving of nought.
    if now.need.kv.is_zero() {
        return [advising.unknown(name), advising.unknown(flash)];
    }
    let model = subject.model.short();
    let of = format!("{model} at {} tokens, {} against q8_0", now.settings.context, present.word());
    let saves = saving(&now, &eight, of);
    let bytes = saves.as_ref().map(|saving| saving.bytes).unwrap_or_default();
    let is_worth = bytes >= now.budget.ever.at(Percent::new(WORTH_PERCENT));
    if !is_worth {
        let little = format!("q8_0 would save {bytes} with {model}: not worth what it loses");
        let auto = "by itself it is on where a model can do it".to_owned();
        let same = Some(present.word().to_owned());
        return [advising.left(name, same, little), advising.left(flash, None, auto)];
    }
    let reason = "half the cache for a loss that is hard to notice; where a model cannot do it, \
        f16 is used";
    let mut advice = advising.on_server(name, Some("q8_0".to_owned()), reason.to_owned());
    advice.saves = saves;
    [advice, flash_attention(advising)]
}

fn flash_attention(advising: &Advising<'_, '_>) -> Advice {
    let reason = "a cache of q8_0 needs it; without, its second half stays f16";
    let mut advice =
        advising.on_server("OLLAMA_FLASH_ATTENTION", Some("1".to_owned()), reason.to_owned());
    // Words that are no boolean count as true there.
    let word = advice.now.as_deref().map(str::to_ascii_lowercase);
    advice.is_so |= word.is_some_and(|word| !matches!(word.as_str(), "0" | "f" | "false"));
    advice
}
