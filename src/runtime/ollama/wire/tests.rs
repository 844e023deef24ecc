//! Answers as recorded from real servers, and as no server should give them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn body(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[track_caller]
fn one_loaded(entry: Value) -> LoadedModel {
    let mut models = loaded(body(&json!({ "models": [entry] }))).unwrap();
    assert_eq!(models.len(), 1);
    models.remove(0)
}

fn nothing_known(name: &str) -> LoadedModel {
    LoadedModel {
        name: ModelName::new(name),
        digest: String::new(),
        reported: None,
        vram: None,
        context: None,
        expires: None,
        parameters: None,
        quantization: None,
        family: None,
        is_cloud: false,
    }
}

#[test]
fn a_recorded_list_of_loaded_models_is_read_whole() {
    let model = one_loaded(json!({
        "name": "tiny-f16:latest", "model": "tiny-f16:latest", "size": 143_801_711,
        "digest": "5cf35d7e0aae527b2c11d3ca9092aec3faa359cf70840e2feade4958002d3209",
        "details": {"parent_model": "", "format": "gguf", "family": "llama",
            "families": ["llama"], "parameter_size": "29.79M", "quantization_level": "F16"},
        "expires_at": "2026-11-20T22:38:30.469279349Z", "size_vram": 0, "context_length": 4096
    }));
    let expected = LoadedModel {
        name: ModelName::new("tiny-f16"),
        digest: "5cf35d7e0aae527b2c11d3ca9092aec3faa359cf70840e2feade4958002d3209".to_owned(),
        reported: Some(Bytes::new(143_801_711)),
        vram: Some(Bytes::ZERO),
        context: Some(4096),
        expires: Some(Expiry::At("2026-11-20T22:38:30.469279349Z".parse().unwrap())),
        parameters: Some("29.79M".to_owned()),
        quantization: Some("F16".to_owned()),
        family: Some("llama".to_owned()),
        is_cloud: false,
    };
    assert_eq!(model, expected);
}

#[test]
fn a_recorded_list_of_installed_models_is_read_whole() {
    let models = installed(body(&json!({"models": [{
        "name": "embed-bert-f16:latest", "model": "embed-bert-f16:latest",
        "modified_at": "2026-11-20T22:33:27.042750607Z", "size": 196_823_060, "digest": "914276db",
        "details": {"parent_model": "", "format": "gguf", "family": "bert", "families": ["bert"],
            "parameter_size": "97.74M", "quantization_level": "F16", "context_length": 512,
            "embedding_length": 768},
        "capabilities": ["embedding"]
    }]})))
    .unwrap();
    let expected = InstalledModel {
        name: ModelName::new("embed-bert-f16"),
        digest: "914276db".to_owned(),
        disk: Some(Bytes::new(196_823_060)),
        parameters: Some("97.74M".to_owned()),
        quantization: Some("F16".to_owned()),
        family: Some("bert".to_owned()),
        max_context: Some(512),
        capabilities: vec!["embedding".to_owned()],
        modified: Some("2026-11-20T22:33:27.042750607Z".parse().unwrap()),
        is_cloud: false,
    };
    assert_eq!(models, [expected]);
}

#[test]
fn an_entry_with_wrong_fields_stays_with_unknowns() {
    for entry in [
        json!({"name": "a"}),
        json!({"model": "a"}),
        json!({"name": "a", "size": "12", "size_vram": true, "context_length": [1], "digest": 5}),
        json!({"name": "a", "size": -1, "details": "none", "expires_at": 17, "context_length": 0}),
        json!({"name": "a", "size": 0, "details": {"family": {}}, "expires_at": "soon"}),
        json!({"name": "a", "size": 1.5, "details": null, "remote_host": "", "surprise": {"x": [1]}}),
        json!({"name": "a", "size": u64::MAX, "expires_at": "0001-01-01T00:00:00Z"}),
    ] {
        assert_eq!(one_loaded(entry.clone()), nothing_known("a"), "{entry}");
    }
}

#[test]
fn numbers_beyond_a_float_are_unknown_and_the_rest_stays() {
    let text = r#"{"models":[{"name":"a \"1e999\" b","size":1e400,"size_vram":-1e999},{"name":"b","size":5}]}"#;
    let models = loaded(text.as_bytes().to_vec()).unwrap();
    let second = LoadedModel { reported: Some(Bytes::new(5)), ..nothing_known("b") };
    assert_eq!(models, [nothing_known("a \"1e999\" b"), second]);
}

#[test]
fn more_video_memory_than_size_is_unknown() {
    let model = one_loaded(json!({"name": "a", "size": 10, "size_vram": 11}));
    assert_eq!((model.reported, model.vram), (Some(Bytes::new(10)), None));
}

#[test]
fn entries_without_a_name_and_second_ones_are_left_out() {
    let models = json!({"models": [
        {"size": 5}, {"name": ""}, {"name": "\u{1b}\u{202e}"}, 7, null, [1], "x",
        {"name": "a:latest", "context_length": 1}, {"name": "a", "context_length": 2},
    ]});
    let expected = LoadedModel { context: Some(1), ..nothing_known("a") };
    assert_eq!(loaded(body(&models)).unwrap(), [expected]);
}

#[test]
fn expiry_is_never_past_or_ahead_in_any_zone() {
    let at = |text: &str| Some(Expiry::At(text.parse().unwrap()));
    for (text, expected) in [
        ("2319-03-03T12:00:00.123Z", Some(Expiry::Never)),
        ("2200-01-01T00:00:00Z", Some(Expiry::Never)),
        ("2199-12-31T23:59:59Z", at("2199-12-31T23:59:59Z")),
        ("2020-01-01T00:00:00Z", at("2020-01-01T00:00:00Z")),
        ("2026-11-20T22:38:30.4+05:30", at("2026-11-20T17:08:30.4Z")),
        ("0001-01-01T00:00:00Z", None),
        ("tomorrow", None),
    ] {
        let model = one_loaded(json!({"name": "a", "expires_at": text}));
        assert_eq!(model.expires, expected, "{text}");
    }
}

#[test]
fn no_list_is_rubbish_and_a_null_list_is_empty() {
    assert_eq!(loaded(body(&json!({"models": null}))), Ok(vec![]));
    assert_eq!(loaded(body(&json!({"models": []}))), Ok(vec![]));
    for wrong in
        ["", "{", "{}", "[]", "7", "\"x\"", r#"{"models":7}"#, r#"{"models":{}}"#, "<html>"]
    {
        let fault = loaded(wrong.as_bytes().to_vec()).unwrap_err();
        assert_eq!(fault.kind, RuntimeFaultKind::Rubbish, "{wrong}");
    }
    let deep = "[".repeat(100_000);
    assert!(loaded(format!("{{\"models\":{deep}").into_bytes()).is_err());
    assert!(version(b"{\"version\":7}".to_vec()).is_err());
    assert!(details(b"{}".to_vec()).is_err());
}

#[test]
fn cloud_models_are_known_by_field_or_tag() {
    for entry in [
        json!({"name": "gpt-oss:120b-cloud"}),
        json!({"name": "kimi:cloud"}),
        json!({"name": "mine", "remote_host": "https://example.com"}),
        json!({"name": "mine", "remote_model": "gpt-oss:120b"}),
    ] {
        assert!(one_loaded(entry.clone()).is_cloud, "{entry}");
    }
    assert!(!one_loaded(json!({"name": "cloud"})).is_cloud);
    assert!(!one_loaded(json!({"name": "my-cloud:7b"})).is_cloud);
}

#[test]
fn an_error_inside_a_success_is_a_fault() {
    assert_eq!(done(br#"{"done":true,"done_reason":"unload"}"#.to_vec()), Ok(()));
    let fault = done(br#"{"error":"unexpected EOF"}"#.to_vec()).unwrap_err();
    assert_eq!(fault, RuntimeFault::new(RuntimeFaultKind::Status(200), "unexpected EOF"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from("2319-03-03T12:00:00Z")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![
            Just("models".to_owned()),
            Just("name".to_owned()),
            Just("size".to_owned()),
            Just("details".to_owned()),
            Just("expires_at".to_owned()),
            Just("model_info".to_owned()),
            Just("capabilities".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn read_every_way(body: &[u8]) {
    let _ = loaded(body.to_vec());
    let _ = installed(body.to_vec());
    let _ = details(body.to_vec());
    let _ = version(body.to_vec());
    let _ = done(body.to_vec());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        read_every_way(&body);
    }

    #[test]
    fn no_text_of_numbers_makes_it_panic(body in r#"[{}\[\]":,e0-9.+\\-]{0,60}"#) {
        read_every_way(body.as_bytes());
    }

    #[test]
    fn no_json_makes_it_panic(value in any_json()) {
        read_every_way(&body(&value));
    }

    /// Whatever stands in an entry's fields, an entry with a name is kept.
    #[test]
    fn a_named_entry_is_kept_whatever_else_it_says(fields in any_json()) {
        let mut entry = match fields { Value::Object(map) => map, other => {
            let mut map = serde_json::Map::new();
            map.insert("size".to_owned(), other);
            map
        }};
        entry.insert("name".to_owned(), Value::from("kept:1b"));
        let models = loaded(body(&json!({"models": [entry]}))).unwrap();
        prop_assert_eq!(models.len(), 1);
    }
}
