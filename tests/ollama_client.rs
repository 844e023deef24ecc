//! The Ollama client against a server over real HTTP: answering as recorded,
//! and failing in every way a server can.

#[path = "support/ollama.rs"]
mod ollama;

use std::time::{Duration, Instant};

use plimsoll::domain::model::{Expiry, LoadedModel, ModelDetails, ModelName};
use plimsoll::domain::plan::Keep;
use plimsoll::domain::shape::PerLayer;
use plimsoll::domain::{BlobDigest, Bytes, RuntimeFault, RuntimeFaultKind as Kind};
use plimsoll::runtime::ollama::{HostAddress, Ollama, Settings, TimeLimits};
use plimsoll::runtime::{LoadOptions, Runtime};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use self::ollama::{Conduct, Fake, FakeModel, Script, Spec, refusing};

const PLAIN: LoadOptions = LoadOptions { keep: Keep::Default, context: None, embeds: false };

fn client(url: &str) -> Ollama {
    Ollama::new(HostAddress::parse(url).0, Settings::default())
}

/// Limits a test can wait for.
fn hasty(url: &str) -> Ollama {
    let span = Duration::from_millis(150);
    let limits = TimeLimits { read: span, show: span, unload: span };
    Ollama::new(HostAddress::parse(url).0, Settings { limits, ..Settings::default() })
}

fn tiny() -> ModelName {
    ModelName::new("tiny-f16")
}

async fn start(script: Script) -> Fake {
    Fake::start(Spec { script, ..Spec::default() }).await
}

async fn fault_of(conduct: Conduct) -> RuntimeFault {
    let fake = start(Script::with("/api/ps", conduct)).await;
    hasty(&fake.url()).loaded().await.expect_err("it misbehaves")
}

fn last_post(fake: &Fake) -> (String, Value) {
    let (path, body) = fake.state().posts.last().cloned().expect("something was posted");
    (path, serde_json::from_str(&body).expect("the client sends JSON"))
}

#[tokio::test]
async fn a_server_at_rest_tells_version_and_lists() {
    let fake = start(Script::default()).await;
    let client = client(&fake.url());
    assert_eq!(client.version().await, Ok("0.33.0-rc2".to_owned()));
    assert_eq!(client.loaded().await, Ok(vec![]));
    let installed = client.installed().await.unwrap();
    let seen: Vec<_> = installed
        .iter()
        .map(|model| (model.name.short(), model.disk, model.embeds(), model.is_cloud))
        .collect();
    let expected = [
        ("tiny-f16", Some(Bytes::mib(16)), false, false),
        ("small-gqa-q8", Some(Bytes::mib(32)), false, false),
        ("embed-bert-f16", Some(Bytes::mib(8)), true, false),
        ("huge:480b-cloud", Some(Bytes::new(384)), false, true),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn details_join_a_name_with_its_blob_and_its_shape() {
    let fake = start(Script::default()).await;
    let details = client(&fake.url()).details(&tiny()).await.unwrap();
    let shape = details.shape.clone().expect("the server tells it");
    let weights = shape.weights.total().get();
    assert!(weights.abs_diff(16 << 20) < 1 << 10, "{weights}");
    assert_eq!((shape.layers, shape.max_context), (16, Some(32768)));
    let expected = ModelDetails {
        own_context: None,
        shape: Some(shape),
        blob: BlobDigest::from_hex(&FakeModel::new("tiny-f16", 0).blob()),
        architecture: Some("llama".to_owned()),
        capabilities: vec!["completion".to_owned()],
        max_context: Some(32768),
        is_cloud: false,
    };
    assert_eq!(details, expected);
    assert!(details.blob.is_some());
    assert_eq!(fake.state().posts.len(), 1, "asked once is enough");
}

/// What `/api/show` says of a model whose layers differ.
fn of_layers(heads_kv: Value, tokens: Value) -> Value {
    json!({
        "modelfile": format!("FROM /x/blobs/sha256-{}", "ab".repeat(32)),
        "model_info": {
            "general.architecture": "nemotron_h", "nemotron_h.block_count": 4,
            "nemotron_h.embedding_length": 64, "nemotron_h.attention.head_count": 8,
            "nemotron_h.attention.head_count_kv": heads_kv,
            "tokenizer.ggml.tokens": tokens,
        },
        "tensors": [{"name": "token_embd.weight", "type": "F16", "shape": [64, 100]}],
    })
}

#[tokio::test]
async fn lists_that_are_held_back_are_asked_for_however_long_the_rest_is() {
    // Beyond what is taken of any other answer.
    let tokens: Vec<String> = (0..1_000_000).map(|at| format!("a token, number {at}")).collect();
    let long = of_layers(json!([0, 2, 0, 2]), json!(tokens));
    let show = Some([of_layers(json!(null), json!(null)), long]);
    let fake = start(Script { show, ..Script::default() }).await;
    let details = client(&fake.url()).details(&tiny()).await.unwrap();
    let shape = details.shape.expect("told at length");
    assert_eq!(shape.heads_kv, PerLayer::Each(vec![0, 2, 0, 2]));
    assert_eq!((shape.vocabulary, shape.weights.total()), (100, Bytes::new(12_800)));
    let body = json!({"model": "tiny-f16:latest", "verbose": true});
    assert_eq!(last_post(&fake), ("/api/show".to_owned(), body));
}

/// A weights file's header: two layers, one tensor.
fn header() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([1_u64, 3].iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend([text("general.architecture"), vec![8, 0, 0, 0], text("llama")].concat());
    for (key, count) in [("llama.block_count", 2_u32), ("llama.embedding_length", 64)] {
        bytes.extend([text(key), vec![4, 0, 0, 0], count.to_le_bytes().to_vec()].concat());
    }
    bytes.extend([text("token_embd.weight"), vec![2, 0, 0, 0]].concat());
    bytes.extend([64_u64, 100].iter().flat_map(|length| length.to_le_bytes()));
    bytes.extend([vec![1, 0, 0, 0], vec![0; 8]].concat());
    bytes
}

#[tokio::test]
async fn what_the_server_does_not_tell_is_read_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("blobs")).unwrap();
    let blob = format!("sha256-{}", "ab".repeat(32));
    std::fs::write(folder.path().join("blobs").join(blob), header()).unwrap();
    // As servers of before it was told: no tensors, or next to nothing.
    let mut bare = of_layers(json!(2), json!(null));
    bare["tensors"] = json!(null);
    let mut empty = bare.clone();
    empty["model_info"] = json!({});
    let held_back = of_layers(json!(null), json!(null));
    for said in [bare, empty, held_back] {
        let show = Some([said.clone(), said]);
        let fake = start(Script { show, ..Script::default() }).await;
        let with = |model_folders| {
            let settings = Settings { model_folders, ..Settings::default() };
            Ollama::new(HostAddress::parse(&fake.url()).0, settings)
        };
        let details = with(vec![folder.path().to_owned()]).details(&tiny()).await.unwrap();
        let shape = details.shape.expect("the file tells it");
        assert_eq!((shape.layers, shape.weights.total()), (2, Bytes::new(12_800)));
        let details = with(Vec::new()).details(&tiny()).await.unwrap();
        assert!(details.shape.is_none_or(|shape| shape.weights.tensors.is_empty()));
    }
}

#[tokio::test]
async fn a_model_is_loaded_kept_and_unloaded() {
    let fake = start(Script::default()).await;
    let client = client(&fake.url());
    let options = LoadOptions { keep: Keep::Forever, context: Some(8192), embeds: false };
    client.load(&tiny(), options).await.unwrap();
    let loaded = client.loaded().await.unwrap();
    let expected = LoadedModel {
        name: tiny(),
        digest: loaded[0].digest.clone(),
        reported: Some(Bytes::mib(16)),
        vram: Some(Bytes::ZERO),
        context: Some(8192),
        expires: Some(Expiry::Never),
        parameters: Some("29.79M".to_owned()),
        quantization: Some("F16".to_owned()),
        family: Some("llama".to_owned()),
        is_cloud: false,
    };
    assert_eq!(loaded, [expected]);

    client.unload(&tiny()).await.unwrap();
    let body = json!({"model": "tiny-f16:latest", "keep_alive": 0, "stream": false});
    assert_eq!(last_post(&fake), ("/api/generate".to_owned(), body));
    while !client.loaded().await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_embedding_model_loads_through_its_own_call() {
    let fake = start(Script::default()).await;
    let client = client(&fake.url());
    let model = ModelName::new("embed-bert-f16");
    let fault = client.load(&model, PLAIN).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Status(400));
    assert!(fault.detail.contains("does not support generate"), "{fault}");
    let options =
        LoadOptions { keep: Keep::For(Duration::from_secs(90)), context: None, embeds: true };
    client.load(&model, options).await.unwrap();
    let body = json!({"model": "embed-bert-f16:latest", "input": [], "keep_alive": 90});
    assert_eq!(last_post(&fake), ("/api/embed".to_owned(), body));
}

#[tokio::test]
async fn a_cloud_model_is_never_asked_anything_but_show() {
    let mut spec = Spec::default();
    spec.models.push(FakeModel { remote: true, ..FakeModel::new("mine", 384) });
    let fake = Fake::start(spec).await;
    let client = client(&fake.url());
    client.installed().await.unwrap();
    for name in ["huge:480b-cloud", "other:cloud", "mine"] {
        let name = ModelName::new(name);
        let fault = client.unload(&name).await.unwrap_err();
        assert_eq!(fault.kind, Kind::NotAllowed);
        let fault = client.load(&name, PLAIN).await.unwrap_err();
        assert_eq!(fault.kind, Kind::NotAllowed);
    }
    assert_eq!(fake.state().posts, []);
}

#[tokio::test]
async fn an_unload_never_waits_for_a_load() {
    let spec = Spec { preloaded: vec!["tiny-f16:latest".to_owned()], ..Spec::default() };
    let fake = Fake::start(spec).await;
    fake.set(Script { load_ms: 60_000, ..Script::default() });
    let client = client(&fake.url());
    let tasks = LocalSet::new();
    let load = client.load(&ModelName::new("small-gqa-q8"), PLAIN);
    tasks
        .run_until(async {
            let loading = tokio::task::spawn_local(load);
            while fake.count("/api/generate") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let asked = Instant::now();
            client.unload(&tiny()).await.unwrap();
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
            assert!(!loading.is_finished());
            loading.abort();
        })
        .await;
}

#[tokio::test]
async fn nobody_there_is_refused_with_the_remedy() {
    let fault = client(&refusing().await).loaded().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Refused);
    assert!(fault.detail.contains("ollama serve"), "{fault}");
}

#[tokio::test]
async fn a_name_nobody_knows_and_a_text_that_is_no_address_are_unreachable() {
    let fault = client("http://no-such-host.invalid:80").loaded().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unreachable, "{fault}");
    let fault = client("what is this").loaded().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unreachable);
    assert!(fault.detail.contains("is not an address"), "{fault}");
}

#[tokio::test]
async fn tls_towards_a_plain_server_is_unreachable() {
    let fake = start(Script::default()).await;
    let url = fake.url().replace("http:", "https:");
    let fault = client(&url).loaded().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Unreachable, "{fault}");
}

#[tokio::test]
async fn a_server_that_hangs_or_drips_is_timed_out() {
    for conduct in [Conduct::Hung, Conduct::Slow(60_000), Conduct::Drip(20)] {
        let asked = Instant::now();
        let fault = fault_of(conduct.clone()).await;
        assert_eq!(fault.kind, Kind::TimedOut, "{conduct:?}: {fault}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
}

#[tokio::test]
async fn a_slow_answer_within_the_limit_is_an_answer() {
    let fake = start(Script::with("/api/ps", Conduct::Slow(50))).await;
    assert_eq!(client(&fake.url()).loaded().await, Ok(vec![]));
}

#[tokio::test]
async fn a_connection_that_breaks_is_broken() {
    for conduct in [Conduct::HalfBody, Conduct::Close] {
        let fault = fault_of(conduct.clone()).await;
        assert_eq!(fault.kind, Kind::Broken, "{conduct:?}: {fault}");
    }
}

#[tokio::test]
async fn a_dead_kept_connection_is_no_news() {
    let fake = start(Script::default()).await;
    let address = fake.address;
    let client = client(&fake.url());
    client.version().await.unwrap();
    fake.stop().await;
    let fake = Fake::start(Spec { port: address.port(), ..Spec::default() }).await;
    assert_eq!(client.version().await, Ok("0.33.0-rc2".to_owned()));
    assert_eq!(fake.count("/api/version"), 1);
}

#[tokio::test]
async fn rubbish_is_called_rubbish() {
    for body in ["not json", "[1,2,3]", "{\"models\":\"none\"}", "{}", ""] {
        let fault = fault_of(Conduct::page(200, "application/json", body)).await;
        assert_eq!(fault.kind, Kind::Rubbish, "{body}: {fault}");
    }
    let fault = fault_of(Conduct::Rubbish(10 << 20)).await;
    assert!(matches!(fault.kind, Kind::Rubbish | Kind::TimedOut), "{fault}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    for conduct in [Conduct::Rubbish(200 << 20), Conduct::EndlessList(200 << 20)] {
        let fake = start(Script::with("*", conduct)).await;
        let span = Duration::from_secs(20);
        let limits = TimeLimits { read: span, show: span, unload: span };
        let settings = Settings { limits, ..Settings::default() };
        let client = Ollama::new(HostAddress::parse(&fake.url()).0, settings);
        assert_eq!(client.loaded().await.unwrap_err().kind, Kind::TooLarge);
        // Beyond the limit there is only what lies in socket buffers.
        let sent = fake.state().rubbish_sent;
        assert!(sent < 40 << 20, "{sent}");
        assert_eq!(client.version().await.unwrap_err().kind, Kind::TooLarge);
        assert_eq!(client.unload(&tiny()).await.unwrap_err().kind, Kind::TooLarge);
    }
}

#[tokio::test]
async fn error_pages_name_cause_and_remedy() {
    for (status, body, wanted) in [
        (301, "", "redirects are not followed"),
        (401, "{\"error\":\"unauthorized\"}", "status 401: unauthorized; it asks for a login"),
        (403, "", "Host"),
        (404, "404 page not found", "is this address an Ollama server?"),
        (429, "", "too many requests"),
        (500, "<html><head><title>Broken</title></head></html>", "\"Broken\""),
        (500, "{\"error\":\"llama-server process has terminated\"}", "has terminated"),
        (502, "<html><title>502 Bad Gateway</title></html>", "is it running?"),
        (503, "{\"error\":\"server busy\"}", "server busy"),
    ] {
        let fault = fault_of(Conduct::page(status, "text/html", body)).await;
        assert_eq!(fault.kind, Kind::Status(status), "{fault}");
        assert!(fault.detail.contains(wanted), "{fault}");
    }
}

/// With a place to go to: where there is none, every client stops.
#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/elsewhere\r\n\
            Content-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let fault = hasty(&url).loaded().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Status(307), "{fault}");
    server.await.unwrap();
}

#[tokio::test]
async fn an_unknown_model_is_told_in_the_servers_words() {
    let fake = start(Script::default()).await;
    let client = client(&fake.url());
    let nobody = ModelName::new("nobody");
    let expected =
        RuntimeFault::new(Kind::Status(404), "status 404: model 'nobody:latest' not found");
    assert_eq!(client.details(&nobody).await, Err(expected.clone()));
    assert_eq!(client.unload(&nobody).await, Err(expected.clone()));
    assert_eq!(client.load(&nobody, PLAIN).await, Err(expected));
}

#[tokio::test]
async fn a_load_that_fails_says_why() {
    let mut spec = Spec::default();
    spec.models[0].fails = Some("insufficient memory\n(attempted 458752 MB)".to_owned());
    let fake = Fake::start(spec).await;
    let fault = client(&fake.url()).load(&tiny(), PLAIN).await.unwrap_err();
    let expected = "status 500: insufficient memory (attempted 458752 MB)";
    assert_eq!(fault, RuntimeFault::new(Kind::Status(500), expected));
}

#[tokio::test]
async fn a_server_that_lies_is_believed_only_where_it_makes_sense() {
    let said = json!({"models": [
        {"name": "gone:1b", "size": 10, "size_vram": 99, "expires_at": "0001-01-01T00:00:00Z"},
        {"name": "", "size": 4}, {"name": "odd", "size": "big", "surprise": [1, {"x": null}]},
    ]});
    let fake = start(Script { ps: Some(said), ..Script::default() }).await;
    let loaded = client(&fake.url()).loaded().await.unwrap();
    let seen: Vec<_> = loaded
        .iter()
        .map(|model| (model.name.short(), model.reported, model.vram, model.expires))
        .collect();
    let expected = [("gone:1b", Some(Bytes::new(10)), None, None), ("odd", None, None, None)];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn secrets_reach_the_server_and_nobody_else() {
    let fake = start(Script::default()).await;
    let url = fake.url().replace("http://", "http://me:hunter2@");
    let headers = vec![("X-Key".to_owned(), "s3cret".to_owned())];
    let settings = Settings { headers, ..Settings::default() };
    let asking = Ollama::new(HostAddress::parse(&url).0, settings);
    asking.version().await.unwrap();
    let head = fake.state().heads.remove(0).to_ascii_lowercase();
    assert!(head.contains("x-key: s3cret"), "{head}");
    // me:hunter2 in base 64.
    assert!(head.contains("authorization: basic bwu6ahvudgvymg=="), "{head}");
    assert_eq!(asking.endpoint().shown_url, fake.url());

    let port = fake.address.port();
    fake.stop().await;
    let fault = asking.version().await.unwrap_err();
    let shown = format!("{fault} {fault:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
    assert!(shown.contains(&port.to_string()), "{shown}");
}

#[tokio::test]
async fn a_load_that_is_dropped_is_cut_off_at_the_server() {
    let fake = start(Script { load_ms: 300, ..Script::default() }).await;
    let client = client(&fake.url());
    let load = client.load(&tiny(), PLAIN);
    assert!(tokio::time::timeout(Duration::from_millis(100), load).await.is_err());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fake.count("/api/generate"), 1);
    assert_eq!(client.loaded().await, Ok(vec![]));
}

#[tokio::test]
async fn a_context_that_is_not_named_again_reloads() {
    let fake = start(Script::default()).await;
    let client = client(&fake.url());
    let with = |context| LoadOptions { context, ..PLAIN };
    for (asked, seen) in [(Some(8192), 8192), (Some(8192), 8192), (None, 4096), (None, 4096)] {
        client.load(&tiny(), with(asked)).await.unwrap();
        let loaded = client.loaded().await.unwrap();
        assert_eq!(loaded[0].context, Some(seen));
    }
}
