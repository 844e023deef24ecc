//! Answers of `/api/show` as recorded, and as no server should give them.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::domain::Bytes;
use crate::domain::shape::{PerLayer, Shape, TensorPart, WindowPattern};

/// The recorded answer, and the model's size in the list of installed ones.
fn recorded(name: &str) -> (Shown, u64) {
    let path = format!("{}/tests/fixtures/show/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let record: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let shown = details(record["show"].to_string().into_bytes()).unwrap();
    (shown, record["tag"]["size"].as_u64().unwrap())
}

fn shown(answer: &Json) -> Shown {
    details(answer.to_string().into_bytes()).unwrap()
}

fn shape(answer: &Json) -> Shape {
    *shown(answer).details.shape.unwrap()
}

/// A small model of some architecture, with more keys below its prefix.
fn model(architecture: &str, more: &Json) -> Json {
    let mut info = json!({
        "general.architecture": architecture,
        (format!("{architecture}.block_count")): 4,
        (format!("{architecture}.embedding_length")): 64,
        (format!("{architecture}.attention.head_count")): 8,
    });
    for (key, value) in more.as_object().unwrap() {
        info[format!("{architecture}.{key}")] = value.clone();
    }
    json!({"model_info": info, "capabilities": ["completion"]})
}

fn bytes_of(shape: &Shape, part: TensorPart) -> u64 {
    let sums = shape.weights.tensors.iter().filter(|sum| sum.part == part);
    sums.map(|sum| sum.bytes.get()).sum()
}

#[test]
fn a_recorded_model_is_read_whole() {
    let (shown, disk) = recorded("swa-gemma3-q8-verbose");
    assert!(!shown.lacks_lists);
    let found = *shown.details.shape.unwrap();
    let weights = found.weights.total().get();
    // The rest of the file is the tokenizer and the template.
    assert!((disk - 1_500_000..disk).contains(&weights), "{weights} of {disk}");
    assert_eq!(bytes_of(&found, TensorPart::TokenEmbedding), 32_000 * 1024 / 32 * 34);
    assert_eq!(bytes_of(&found, TensorPart::Output), 0);
    let count: u64 = found.weights.tensors.iter().map(|sum| sum.count).sum();
    assert_eq!(count, 236);
    let expected = Shape {
        architecture: "gemma3".to_owned(),
        layers: 18,
        embedding: 1024,
        feed_forward: PerLayer::Same(4096),
        vocabulary: 32_000,
        max_context: Some(32_768),
        heads: PerLayer::Same(4),
        heads_kv: PerLayer::Same(1),
        key_length: Some(256),
        value_length: Some(256),
        window: Some(512),
        weights: found.weights.clone(),
        ..Shape::default()
    };
    assert_eq!(found, expected);
}

#[test]
fn plain_answers_of_plain_models_lack_nothing() {
    let (tiny, disk) = recorded("tiny-f16");
    assert!(!tiny.lacks_lists);
    let tiny = *tiny.details.shape.unwrap();
    assert_eq!((tiny.vocabulary, tiny.is_embedding), (8000, false));
    assert!(tiny.weights.total().get().abs_diff(disk) < 300_000);
    let (bert, disk) = recorded("embed-bert-f16");
    let bert = *bert.details.shape.unwrap();
    assert_eq!((bert.vocabulary, bert.is_embedding), (16_000, true));
    assert_eq!(bert.heads_kv, PerLayer::Same(12), "not named: as many as heads");
    assert!(bert.weights.total().get().abs_diff(disk) < 800_000);
}

/// What a server of 0.33 logged as its runner's model buffer.
#[test]
fn weights_are_what_the_server_allocates() {
    for (name, logged) in
        [("tiny-f16", 56.85), ("swa-gemma3-q8-verbose", 310.84), ("embed-bert-f16", 187.41)]
    {
        let weights = recorded(name).0.details.shape.unwrap().weights.total();
        let mebibytes = weights.get() as f64 / f64::from(1 << 20);
        assert!((mebibytes - logged).abs() < 0.01, "{name}: {mebibytes}");
    }
}

#[test]
fn who_a_model_is_is_told() {
    let digest = "1e98eaef884c0e3b8b7fc917b09c5c84ab36fd6199c3ea706769c4806742aeb0";
    let shown = shown(&json!({
        "modelfile": format!("# FROM small:latest\n\nFROM $OLLAMA_MODELS/blobs/sha256-{digest}\nTEMPLATE x\n"),
        "parameters": "stop      \"<|im_end|>\"\nnum_ctx                        8192\ntemperature 0.7",
        "model_info": {"clip.context_length": 77, "llama.context_length": 32768,
            "general.architecture": "llama", "tokenizer.ggml.tokens": null},
        "tensors": [{"name": "output.weight", "shape": [1, 2]}],
        "capabilities": ["completion", 7, "tools"],
    }));
    let expected = ModelDetails {
        blob: BlobDigest::from_hex(digest),
        architecture: Some("llama".to_owned()),
        capabilities: vec!["completion".to_owned(), "tools".to_owned()],
        max_context: Some(32768),
        own_context: Some(8192),
        // No layers, no shape.
        shape: None,
        is_cloud: false,
    };
    assert_eq!(shown, Shown { details: expected, lacks_lists: false, projector: None });
}

#[test]
fn a_context_of_its_own_is_a_plain_number() {
    for (text, expected) in [
        ("num_ctx 8192", Some(8192)),
        ("num_ctx 1024\nnum_ctx   \"4096\"\n", Some(4096)),
        ("num_ctx", None),
        ("num_ctx 0", None),
        ("num_ctx -1", None),
        ("num_ctx 99999999999999999999", None),
        ("stop \"num_ctx 5\"", None),
        ("num_ctxx 5", None),
    ] {
        assert_eq!(own_context(text), expected, "{text}");
    }
}

#[test]
fn lists_that_were_held_back_are_missed() {
    for key in
        ["attention.head_count_kv", "feed_forward_length", "attention.sliding_window_pattern"]
    {
        let plain = shown(&model("gemma3n", &json!({key: null})));
        assert!(plain.lacks_lists, "{key}");
        assert_eq!(plain.details.shape, None, "what was not sent is not guessed");
    }
    let other = shown(&json!({"model_info": {"general.architecture": "llama",
        "clip.feed_forward_length": null, "tokenizer.ggml.tokens": null}}));
    assert!(!other.lacks_lists);
}

#[test]
fn numbers_of_each_layer_are_kept_in_order() {
    let found = shape(&model(
        "nemotron_h",
        &json!({
            "attention.head_count_kv": [0, 8, 0, 8],
            "feed_forward_length": [0, 0, 1024, -1],
            "attention.sliding_window_pattern": [true, true, false, true],
            "attention.sliding_window": 512,
        }),
    ));
    assert_eq!(found.heads_kv, PerLayer::Each(vec![0, 8, 0, 8]));
    assert_eq!(found.feed_forward, PerLayer::Each(vec![0, 0, 1024, 0]));
    let pattern = WindowPattern::Windowed(vec![true, true, false, true]);
    assert_eq!(found.window_pattern, Some(pattern));
}

#[test]
fn a_second_from_is_the_projectors() {
    let (weights, vision) = ("a".repeat(64), "b".repeat(64));
    let mut answer = model("llama", &json!({}));
    answer["modelfile"] =
        json!(format!("FROM /m/blobs/sha256-{weights}\nFROM /m/blobs/sha256-{vision}\n"));
    assert_eq!(shown(&answer).projector, None, "nothing is said about one");
    answer["projector_info"] = json!({"general.architecture": "clip", "general.file_type": 1,
        "general.parameter_count": 311_000_000_u64, "clip.block_count": 23});
    let told = shown(&answer);
    assert_eq!(told.projector, BlobDigest::from_hex(&vision));
    let shape = told.details.shape.unwrap();
    assert_eq!(shape.weights.projector, Some(Bytes::new(622_000_000)));
    assert_eq!(shape.layers, 4);
    answer["projector_info"] = json!({});
    assert_eq!(shown(&answer).details.shape.unwrap().weights.projector, None);
}

#[test]
fn rubbish_in_the_metadata_is_unknown_and_the_rest_stays() {
    for wrong in [json!("8"), json!(-8), json!(8.5), json!({"a": 1}), json!([]), json!(true)] {
        let found = shape(&model(
            "llama",
            &json!({"attention.head_count_kv": wrong, "context_length": wrong,
                "attention.key_length": wrong, "expert_count": wrong, "ssm.state_size": wrong}),
        ));
        let expected = shape(&model("llama", &json!({})));
        assert_eq!(found, expected, "{wrong}");
    }
    let many = shown(&model("llama", &json!({"attention.head_count_kv": vec![1; 3]})));
    assert_eq!(many.details.shape.unwrap().heads_kv, PerLayer::Same(8), "ends too early");
}

#[test]
fn tensors_that_cannot_be_summed_leave_the_shape_without_weights() {
    let mut answer = model("llama", &json!({}));
    let good = json!({"name": "output.weight", "type": "Q8_0", "shape": [64, 100]});
    answer["tensors"] = json!([good]);
    assert_eq!(shape(&answer).weights.total(), Bytes::new(64 / 32 * 34 * 100));
    for wrong in [
        json!({"name": "x", "type": "unknown", "shape": [64, 100]}),
        json!({"name": "x", "type": "Q8_0", "shape": [64, -100]}),
        json!({"name": "x", "type": "Q8_0", "shape": [1, 1, 1, 1, 1]}),
        json!({"name": "x", "type": 7, "shape": [1]}),
        json!({"name": "x", "type": "Q8_0", "shape": "64"}),
        json!({"name": "x", "type": "Q8_0", "shape": [u64::MAX, u64::MAX]}),
        json!({}),
        json!(null),
        json!("output.weight"),
    ] {
        answer["tensors"] = json!([good, wrong]);
        assert_eq!(shape(&answer).weights.tensors, [], "{wrong}");
    }
    answer["tensors"] = json!(vec![good; 70_000]);
    assert_eq!(shape(&answer).weights.tensors, []);
    answer["tensors"] = json!("none");
    assert_eq!(shape(&answer).weights.tensors, []);
}

fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 20, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever the keys hold, an answer is read, and layers are bounded.
    #[test]
    fn no_metadata_makes_it_panic(
        values in prop::collection::vec(any_value(), 12),
        tensor in any_value(),
    ) {
        let keys = ["block_count", "embedding_length", "attention.head_count",
            "attention.head_count_kv", "feed_forward_length", "vocab_size",
            "attention.sliding_window_pattern", "attention.kv_lora_rank",
            "rope.dimension_count", "expert_count", "pooling_type", "context_length"];
        let mut info = json!({"general.architecture": "llama"});
        for (key, value) in keys.iter().zip(values) {
            info[format!("llama.{key}")] = value;
        }
        let answer = json!({"model_info": info, "tensors": [tensor.clone(),
            {"name": tensor.clone(), "type": "F16", "shape": tensor}]});
        let told = shown(&answer);
        if let Some(shape) = told.details.shape {
            prop_assert!(shape.layers <= 1024);
        }
    }
}
