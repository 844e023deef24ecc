//! A shelf of models and what is free, and which of them is named.

use super::*;
use crate::domain::fit::{Budget, FlashAttention, LoadSettings, Need, Placement, ServerEra};
use crate::domain::{Bytes, KvType};

fn model(name: &str, parameters: &str, disk_mib: u64) -> InstalledModel {
    InstalledModel {
        name: ModelName::new(name),
        digest: name.into(),
        disk: Some(Bytes::mib(disk_mib)),
        parameters: Some(parameters.into()),
        quantization: None,
        family: Some("qwen2".into()),
        max_context: None,
        capabilities: vec!["completion".into()],
        modified: None,
        is_cloud: false,
    }
}

fn embedder(name: &str, capabilities: &[&str]) -> InstalledModel {
    InstalledModel {
        capabilities: capabilities.iter().map(|&word| word.to_owned()).collect(),
        family: Some("nomic-bert".into()),
        ..model(name, "137M", 261)
    }
}

/// What each needs, in MiB, of the 3000 that are free.
fn fits(needs: &[(&str, u64)]) -> Fits {
    let fit = |&(name, need): &(&str, u64)| Fit {
        verdict: match need <= 3000 {
            true => FitVerdict::Fits,
            false => FitVerdict::FitsAfterFreeing,
        },
        need: Need { weights: Bytes::mib(need), ..Need::default() },
        ..plain(name)
    };
    Fits { all: needs.iter().map(fit).collect(), unknown: Vec::new() }
}

fn plain(name: &str) -> Fit {
    let fit = serde_json::json!({
        "model": ModelName::new(name),
        "settings": LoadSettings {
            context: 4096,
            parallel: 1,
            kv_type: KvType::F16,
            flash_attention: FlashAttention::Auto,
            mapped: false,
            server: ServerEra::LlamaServer,
            placement: Placement::Cpu,
        },
        "settings_source": "the server's default",
        "verdict": FitVerdict::Fits,
        "need": Need::default(),
        "budget": Budget {
            available: Bytes::mib(4000),
            reserve: Bytes::mib(1000),
            in_flight: Bytes::ZERO,
            vram: Bytes::ZERO,
            ever: Bytes::gib(8),
            source: "MemAvailable".into(),
        },
        "max_context": 8192, "unload": [], "smaller": null, "programs": [],
        "crosses": null, "is_loaded": false,
    });
    serde_json::from_value(fit).unwrap()
}

fn shelf() -> Vec<InstalledModel> {
    vec![
        model("qwen2.5:7b", "7.6B", 4466),
        model("qwen2.5:3b", "3.1B", 1841),
        model("qwen2.5-coder:1.5b", "1.5B", 986),
        model("qwen2.5-coder:14b", "14.8B", 9000),
        model("gemma3:27b", "27.4B", 17_000),
        embedder("nomic-embed-text", &["embedding"]),
        InstalledModel { is_cloud: true, ..model("gpt-oss:120b-cloud", "116.8B", 0) },
    ]
}

fn needs() -> Fits {
    fits(&[
        ("qwen2.5:7b", 4946),
        ("qwen2.5:3b", 2662),
        ("qwen2.5-coder:1.5b", 1500),
        ("qwen2.5-coder:14b", 9500),
        ("gemma3:27b", 18_000),
        ("nomic-embed-text", 300),
        ("gpt-oss:120b-cloud", 1),
    ])
}

fn said(tag: Option<&str>, complexity: Option<Complexity>) -> String {
    let wanted = Wanted { tag: tag.map(str::to_owned), complexity };
    recommend(&needs(), &shelf(), &Tastes::default(), &wanted).text()
}

#[test]
fn the_largest_that_fits_is_named_and_what_the_next_one_lacks() {
    assert_eq!(said(None, None), "qwen2.5:3b would fit, 2.6 GiB; 7b lacks 1.9 GiB");
}

#[test]
fn a_tag_and_a_complexity_narrow_the_choice() {
    let coder = "qwen2.5-coder:1.5b would fit, 1.5 GiB";
    assert_eq!(said(Some("coding"), None), format!("{coder}; 14b lacks 6.3 GiB"));
    assert_eq!(said(Some("coding"), Some(Complexity::Medium)), coder);
    assert_eq!(
        said(Some("general"), Some(Complexity::High)),
        "qwen2.5:3b would fit, 2.6 GiB; 7b lacks 1.9 GiB"
    );
    assert_eq!(said(Some("general"), Some(Complexity::Low)), "qwen2.5:3b would fit, 2.6 GiB");
    assert_eq!(said(Some("small"), None), "qwen2.5:3b would fit, 2.6 GiB");
    assert_eq!(said(Some("embedding"), None), "nomic-embed-text would fit, 300 MiB");
    assert_eq!(said(Some("vision"), None), "none suits");
}

#[test]
fn where_none_fits_the_smallest_says_what_it_lacks() {
    let fits = fits(&[("qwen2.5:7b", 4946), ("gemma3:27b", 18_000)]);
    let all = recommend(&fits, &shelf(), &Tastes::default(), &Wanted::default());
    assert_eq!(all.text(), "none fits; qwen2.5:7b lacks 1.9 GiB");
}

#[test]
fn a_loaded_one_needs_nothing_more() {
    let mut fits = needs();
    fits.all[0].verdict = FitVerdict::Fits;
    fits.all[0].is_loaded = true;
    let all = recommend(&fits, &shelf(), &Tastes::default(), &Wanted::default());
    assert!(all.is_loaded);
    assert_eq!(all.text(), "qwen2.5:7b is loaded, 4.8 GiB; qwen2.5-coder:14b lacks 6.3 GiB");
}

#[test]
fn the_owners_patterns_count_and_make_the_rest_general() {
    let tags = BTreeMap::from([("prose".to_owned(), vec!["QWEN2.5:*".to_owned()])]);
    let tastes = Tastes { tags, ..Tastes::default() };
    let ask = |tag: &str| {
        let wanted = Wanted { tag: Some(tag.into()), complexity: None };
        recommend(&needs(), &shelf(), &tastes, &wanted).fits.map(|named| named.name)
    };
    assert_eq!(ask("prose").as_deref(), Some("qwen2.5:3b"));
    assert_eq!(ask("general").as_deref(), Some("qwen2.5-coder:1.5b"));
    assert_eq!(tastes.all_tags(), ["prose", "general", "small", "embedding"]);
}

#[test]
fn a_server_that_tells_no_capabilities_has_embedding_models_all_the_same() {
    let shelf = [embedder("nomic-embed-text", &[])];
    let ask = |tag: Option<&str>| {
        let wanted = Wanted { tag: tag.map(str::to_owned), complexity: None };
        recommend(&needs(), &shelf, &Tastes::default(), &wanted).fits.is_some()
    };
    assert!(ask(Some("embedding")));
    assert!(!ask(None));
}

#[test]
fn one_of_unknown_size_is_for_the_hardest_work_only() {
    let unknown = [InstalledModel { parameters: None, ..model("qwen2.5:3b", "", 1) }];
    let ask = |complexity| {
        let wanted = Wanted { tag: None, complexity };
        recommend(&needs(), &unknown, &Tastes::default(), &wanted).fits.is_some()
    };
    assert!(ask(None) && ask(Some(Complexity::High)));
    assert!(!ask(Some(Complexity::Low)) && !ask(Some(Complexity::Medium)));
}

#[test]
fn one_that_fits_and_brings_the_machine_to_critical_is_not_recommended() {
    let mut all = needs();
    let of = |name: &str| ModelName::new(name);
    let large = all.all.iter_mut().find(|fit| fit.model == of("qwen2.5:3b")).unwrap();
    large.crosses = Some(Level::Critical);
    let best = recommend(&all, &shelf(), &Tastes::default(), &Wanted::default());
    assert_eq!(best.text(), "qwen2.5-coder:1.5b would fit, 1.5 GiB; qwen2.5:7b lacks 1.9 GiB");
}
