//! Advice over made machines: what is advised, what is right already, and that
//! no text from outside comes back as a value.

use std::sync::Arc;

use plimsoll::domain::finding::{Advice, SettingKind};
use plimsoll::domain::sample::Gpu;
use plimsoll::domain::{Bytes, Fit, FitQuestion, KvType};
use plimsoll::policy::advice::{Advised, Situation, advice};

use super::scenery::{Scenery, fit};

/// A cache of 4 GiB at 8192 tokens in f16, a line through nought; weights of
/// what the first verdict has.
fn by_line(first: &Fit, question: &FitQuestion) -> Fit {
    let mut asked = first.clone();
    let settings = &mut asked.settings;
    settings.context = question.context.unwrap_or(settings.context);
    settings.parallel = question.parallel.unwrap_or(settings.parallel);
    settings.kv_type = question.kv_type.unwrap_or(settings.kv_type);
    let tokens = settings.context * u64::from(settings.parallel);
    let bytes = tokens * (Bytes::gib(4).get() / 8192) * settings.kv_type.bytes_per_32() / 64;
    asked.need.kv = Bytes::new(bytes);
    asked
}

fn with_models(models: &[(&str, u64)]) -> Scenery {
    let mut scenery = Scenery::well();
    let plain = |name: &str| FitQuestion::plain(plimsoll::domain::ModelName::new(name));
    let all = models
        .iter()
        .map(|&(name, gib)| by_line(&fit(name, Bytes::gib(gib), Bytes::ZERO), &plain(name)));
    scenery.fits.all = all.collect();
    scenery
}

fn advised(scenery: &Scenery) -> Advised {
    let situation =
        Situation { survey: &scenery.survey, snapshot: &scenery.snapshot, fits: &scenery.fits };
    advice(&situation, &mut |question| {
        let first = scenery.fits.all.iter().find(|fit| fit.model == question.model)?;
        Some(by_line(first, &question))
    })
}

#[track_caller]
fn of(scenery: &Scenery, setting: &str) -> Advice {
    let all = advised(scenery).settings;
    all.into_iter().find(|one| one.setting == setting).unwrap_or_else(|| panic!("no {setting}"))
}

fn saves(advice: &Advice) -> Option<Bytes> {
    advice.saves.as_ref().map(|saving| saving.bytes)
}

#[test]
fn without_models_nothing_is_claimed_of_them() {
    let scenery = with_models(&[]);
    let advised = advised(&scenery);
    assert_eq!(advised.subject, None);
    for setting in ["OLLAMA_CONTEXT_LENGTH", "OLLAMA_KV_CACHE_TYPE", "OLLAMA_MAX_LOADED_MODELS"] {
        let one = advised.settings.iter().find(|one| one.setting == setting).unwrap();
        assert_eq!((one.value.as_deref(), one.is_so, saves(one)), (None, false, None), "{one:?}");
    }
}

#[test]
fn the_subject_is_the_largest_that_could_be_held() {
    let name = |models: &[(&str, u64)]| {
        advised(&with_models(models)).subject.unwrap().model.short().to_owned()
    };
    assert_eq!(name(&[("a:1b", 1), ("b:3b", 3), ("c:70b", 40)]), "b:3b");
    assert_eq!(name(&[("c:70b", 40), ("d:30b", 20)]), "d:30b");
}

#[test]
fn a_cache_type_saves_what_the_estimates_say() {
    let mut scenery = with_models(&[("b:3b", 3)]);
    let advice = of(&scenery, "OLLAMA_KV_CACHE_TYPE");
    assert_eq!((advice.value.as_deref(), advice.is_so), (Some("q8_0"), false));
    // 64 against 34 bytes of 32 elements.
    let eight = 8192 * (Bytes::gib(4).get() / 8192) * KvType::Q8_0.bytes_per_32() / 64;
    assert_eq!(saves(&advice), Some(Bytes::new(Bytes::gib(4).get() - eight)));
    assert!(advice.saves.unwrap().of.starts_with("b:3b at 8192 tokens, f16 against q8_0"));
    assert_eq!(of(&scenery, "OLLAMA_FLASH_ATTENTION").value.as_deref(), Some("1"));
    scenery.set("OLLAMA_KV_CACHE_TYPE", "q8_0");
    scenery.set("OLLAMA_FLASH_ATTENTION", "true");
    let advice = of(&scenery, "OLLAMA_KV_CACHE_TYPE");
    assert_eq!((advice.is_so, saves(&advice)), (true, None));
    assert!(of(&scenery, "OLLAMA_FLASH_ATTENTION").is_so);
    scenery.set("OLLAMA_FLASH_ATTENTION", "0");
    assert!(!of(&scenery, "OLLAMA_FLASH_ATTENTION").is_so);
}

#[test]
fn a_context_that_does_not_fit_is_shortened_and_one_that_does_is_left() {
    let mut scenery = with_models(&[("b:3b", 3)]);
    let advice = of(&scenery, "OLLAMA_CONTEXT_LENGTH");
    assert!(advice.is_so && advice.value.is_none(), "{advice:?}");
    // 9 of 10 GiB: it could be held, without any room to spare.
    let mut long = scenery.fits.all[0].clone();
    long.need.weights = Bytes::gib(5);
    scenery.fits.all[0] = long;
    scenery.set("OLLAMA_CONTEXT_LENGTH", "8192");
    let advice = of(&scenery, "OLLAMA_CONTEXT_LENGTH");
    assert_eq!((advice.value.as_deref(), advice.is_so), (Some("4096"), false));
    assert_eq!(saves(&advice), Some(Bytes::gib(2)));
    // The model's own parameter would go before it.
    scenery.fits.all[0].settings_source = "context the model's own".into();
    for set in ["8192", "4096"] {
        scenery.set("OLLAMA_CONTEXT_LENGTH", set);
        let advice = of(&scenery, "OLLAMA_CONTEXT_LENGTH");
        assert_eq!((advice.is_so, saves(&advice)), (set == "4096", None));
        assert!(advice.reason.contains("num_ctx"), "{advice:?}");
    }
}

#[test]
fn what_other_programs_hold_is_not_given_to_models_twice() {
    // 5 and 5 GiB with their caches, of 10 that an empty machine would give.
    let mut scenery = with_models(&[("a:1b", 1), ("b:1b", 1)]);
    let give = |scenery: &mut Scenery, available| {
        let sample = Arc::make_mut(scenery.snapshot.sample.as_mut().unwrap());
        sample.memory.as_mut().unwrap().available = available;
    };
    scenery.snapshot.models.clear();
    give(&mut scenery, Bytes::gib(30));
    assert!(of(&scenery, "OLLAMA_MAX_LOADED_MODELS").is_so);
    give(&mut scenery, Bytes::gib(7));
    assert_eq!(of(&scenery, "OLLAMA_MAX_LOADED_MODELS").value.as_deref(), Some("1"));
}

#[test]
fn more_models_than_fit_together_are_not_loaded_together() {
    let mut scenery = with_models(&[("a:1b", 1), ("b:3b", 3), ("c:3b", 3)]);
    // 7 and 7 GiB with their caches, of 10.
    let advice = of(&scenery, "OLLAMA_MAX_LOADED_MODELS");
    assert_eq!((advice.value.as_deref(), advice.is_so), (Some("1"), false));
    assert_eq!(saves(&advice), Some(Bytes::gib(12)));
    scenery.set("OLLAMA_MAX_LOADED_MODELS", "1");
    let advice = of(&scenery, "OLLAMA_MAX_LOADED_MODELS");
    assert_eq!((advice.is_so, saves(&advice)), (true, None));
    let few = with_models(&[("a:1b", 1)]);
    assert!(of(&few, "OLLAMA_MAX_LOADED_MODELS").is_so);
    let mut one = with_models(&[("a:1b", 1)]);
    one.survey.config.one_model = true;
    assert_eq!(of(&one, "OLLAMA_MAX_LOADED_MODELS").value.as_deref(), Some("1"));
}

#[test]
fn requests_at_once_cost_a_cache_each() {
    let mut scenery = with_models(&[("b:3b", 3)]);
    let advice = of(&scenery, "OLLAMA_NUM_PARALLEL");
    assert!(advice.is_so && advice.reason.contains("4.0 GiB more with b:3b"), "{advice:?}");
    scenery.set("OLLAMA_NUM_PARALLEL", "3");
    let advice = of(&scenery, "OLLAMA_NUM_PARALLEL");
    assert_eq!((advice.value.as_deref(), advice.is_so), (Some("1"), false));
    assert_eq!(saves(&advice), Some(Bytes::gib(8)));
}

#[test]
fn what_is_kept_follows_from_the_memory_there_is() {
    let mut scenery = with_models(&[("b:3b", 1)]);
    scenery.set("LLAMA_ARG_CACHE_RAM", "");
    let at = |scenery: &mut Scenery, gib: u64| {
        scenery.sample().memory.as_mut().unwrap().total = Bytes::gib(gib);
        let told = ["OLLAMA_KEEP_ALIVE", "LLAMA_ARG_CACHE_RAM"].map(|name| of(scenery, name));
        told.map(|advice| (advice.value.clone(), saves(&advice)))
    };
    let said = |text: &str| Some(text.to_owned());
    let saved = |mib: u64| Some(Bytes::mib(8192 - mib));
    assert_eq!(at(&mut scenery, 8), [(said("30s"), None), (said("256"), saved(256))]);
    assert_eq!(at(&mut scenery, 16), [(said("2m"), None), (said("512"), saved(512))]);
    assert_eq!(at(&mut scenery, 32), [(None, None), (said("1024"), saved(1024))]);
    assert_eq!(at(&mut scenery, 128), [(None, None), (None, None)]);
    scenery.set("OLLAMA_KEEP_ALIVE", "-1");
    assert_eq!(at(&mut scenery, 128)[0].0, said("5m"));
    scenery.set("OLLAMA_KEEP_ALIVE", "20s");
    scenery.set("LLAMA_ARG_CACHE_RAM", "128");
    assert_eq!(at(&mut scenery, 16), [(said("20s"), None), (said("128"), None)]);
    assert!(of(&scenery, "LLAMA_ARG_CACHE_RAM").is_so && of(&scenery, "OLLAMA_KEEP_ALIVE").is_so);
    scenery.snapshot.runtimes[0].version = Some("0.20.0".into());
    assert!(of(&scenery, "LLAMA_ARG_CACHE_RAM").reason.contains("no cache of prompts"));
}

#[test]
fn threads_are_left_alone_unless_there_are_too_many() {
    let mut scenery = with_models(&[]);
    assert!(of(&scenery, "num_thread").is_so);
    let table = scenery.sample().processes.as_mut().unwrap();
    let plimsoll::domain::ProcessRole::Runner(arguments) = &mut table.runners[0].role else {
        panic!("it is a runner")
    };
    arguments.flags.push(("--threads".into(), "12".into()));
    let advice = of(&scenery, "num_thread");
    assert_eq!((advice.value.as_deref(), advice.now.as_deref()), (Some("8"), Some("12")));
    scenery.survey.cores = Some(16);
    assert!(of(&scenery, "num_thread").is_so);
}

#[test]
fn only_a_mac_is_told_of_its_graphics() {
    let mut scenery = with_models(&[("b:3b", 3)]);
    let kinds = |scenery: &Scenery| {
        let all = advised(scenery).settings;
        let count = |kind| all.iter().filter(|one| one.kind == kind).count();
        (count(SettingKind::Sysctl), count(SettingKind::Program))
    };
    assert_eq!(kinds(&scenery), (0, 0));
    scenery.survey.is_mac = true;
    assert_eq!(kinds(&scenery), (1, 2));
    assert!(of(&scenery, "iogpu.wired_limit_mb").is_so);
    scenery.sample().memory.as_mut().unwrap().total = Bytes::gib(16);
    let gpu = |gib| Gpu { name: "M".into(), total: Bytes::gib(gib), used: None, unified: true };
    scenery.sample().gpus = Ok(vec![gpu(15)]);
    let advice = of(&scenery, "iogpu.wired_limit_mb");
    assert_eq!((advice.value.as_deref(), advice.is_so), (Some("12288"), false));
    scenery.sample().gpus = Ok(vec![gpu(11)]);
    assert!(of(&scenery, "iogpu.wired_limit_mb").is_so);
    let ratio = |name| of(&scenery, name).value.unwrap().parse::<f64>().unwrap();
    assert!(ratio("PYTORCH_MPS_LOW_WATERMARK_RATIO") < ratio("PYTORCH_MPS_HIGH_WATERMARK_RATIO"));
}

#[test]
fn no_text_from_outside_comes_back_as_a_value() {
    let hostile = "1\"; $(reboot) `x` %i";
    for (models, total) in
        [(&[][..], 16), (&[("b:3b", 3), ("c:7b", 5)][..], 16), (&[("b:3b", 1)], 128)]
    {
        let mut scenery = with_models(models);
        scenery.sample().memory.as_mut().unwrap().total = Bytes::gib(total);
        let names: Vec<&str> = advised(&scenery).settings.iter().map(|one| one.setting).collect();
        for name in names {
            scenery.set(name, hostile);
        }
        for one in advised(&scenery).settings {
            let value = one.value.unwrap_or_default();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._".contains(c);
            assert!(value.chars().all(is_plain), "{} {value}", one.setting);
        }
    }
}

#[test]
fn the_sample_may_be_missing() {
    let mut scenery = with_models(&[("b:3b", 3)]);
    scenery.snapshot.sample = None;
    // 4 of 10 GiB are not little.
    scenery.set("LLAMA_ARG_CACHE_RAM", "");
    for setting in ["OLLAMA_KEEP_ALIVE", "LLAMA_ARG_CACHE_RAM"] {
        let one = of(&scenery, setting);
        assert_eq!((one.value.as_deref(), one.is_so, saves(&one)), (None, false, None), "{one:?}");
        assert!(one.reason.contains("unknown"), "{one:?}");
    }
    scenery.set("OLLAMA_KEEP_ALIVE", "-1");
    assert_eq!(of(&scenery, "OLLAMA_KEEP_ALIVE").value.as_deref(), Some("5m"));
    scenery.survey.is_mac = true;
    let all = advised(&scenery).settings;
    assert!(all.iter().all(|one| one.kind != SettingKind::Program), "{all:?}");
}
