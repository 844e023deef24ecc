//! Published shapes against public logs, and the promises that hold for any
//! shape, hostile ones included.

use proptest::prelude::*;

use super::*;
use crate::domain::shape::{
    Experts, Latent, PerLayer, Recurrent, TensorSum, Weights as TensorWeights, WindowPattern,
};

fn settings(context: u64) -> LoadSettings {
    LoadSettings {
        context,
        parallel: 1,
        kv_type: KvType::F16,
        flash_attention: FlashAttention::Auto,
        mapped: false,
        server: ServerEra::LlamaServer,
        placement: Placement::Cpu,
    }
}

/// Published dimensions: layers, embedding, feed-forward, vocabulary; heads
/// and their length.
fn dense(name: &str, dimensions: [u64; 4], heads: [u64; 3]) -> Shape {
    let [layers, embedding, feed_forward, vocabulary] = dimensions;
    let [all, kv, length] = heads;
    Shape {
        architecture: name.to_owned(),
        layers,
        embedding,
        feed_forward: PerLayer::Same(feed_forward),
        vocabulary,
        heads: PerLayer::Same(all),
        heads_kv: PerLayer::Same(kv),
        key_length: Some(length),
        value_length: Some(length),
        ..Shape::default()
    }
}

fn llama_3b() -> Shape {
    dense("llama", [28, 3072, 8192, 128_256], [24, 8, 128])
}

fn mib(size: Bytes) -> f64 {
    size.get() as f64 / MIB
}

/// Both within so many per cent of what a public log says.
#[track_caller]
fn near(found: f64, logged: f64, per_cent: f64) {
    let error = (found / logged - 1.0).abs() * 100.0;
    assert!(error <= per_cent, "{found:.2} against {logged:.2}: {error:.2} %");
}

fn graph_of(shape: &Shape, settings: &LoadSettings) -> Graph {
    Graph::new(shape, &Load::new(shape, settings), &Layers::of(shape))
}

#[test]
fn caches_of_published_shapes_are_as_logged() {
    let qwen = |layers, kv| dense("qwen3", [layers, 2560, 9728, 151_936], [32, kv, 128]);
    let rows = [
        (llama_3b(), 4096, 448.0),
        (llama_3b(), 1024, 112.0),
        (dense("qwen2", [36, 2048, 11_008, 151_936], [16, 2, 128]), 4096, 144.0),
        (qwen(36, 8), 2048, 288.0),
    ];
    for (shape, context, logged) in rows {
        near(mib(estimate(&shape, &settings(context)).kv), logged, 0.01);
    }
}

#[test]
fn a_windowed_cache_is_the_window_and_one_batch() {
    // 20B: every other of 24 layers has a window of 128.
    let mut shape = dense("gpt-oss", [24, 2880, 2880, 201_088], [64, 8, 64]);
    shape.window = Some(128);
    let load = Load::new(&shape, &settings(4096));
    let layers = Layers::of(&shape);
    assert_eq!((layers.windowed.count, layers.global.count), (12.0, 12.0));
    // Keys and values of 8 heads by 64, 768 cells.
    near(layers.cache(&shape, &load).reported(&load) / MIB, 18.0, 0.01);
    near(mib(estimate(&shape, &settings(4096)).kv), 18.0 + 96.0, 0.01);
}

#[test]
fn layers_that_share_a_cache_have_none_of_their_own() {
    // Every fifth is global; the last 20 of 35 use the cache of others. The
    // logged 24 MiB are 2048 cells, the whole context: a wide enough window
    // has the same.
    let mut shape = dense("gemma4", [35, 1536, 6144, 262_144], [8, 1, 512]);
    shape.window = Some(2048);
    shape.shared_kv_layers = 20;
    shape.key_length_window = Some(256);
    shape.value_length_window = Some(256);
    let listed = (0..35).map(|layer| layer % 5 != 4).collect();
    shape.window_pattern = Some(WindowPattern::Windowed(listed));
    let layers = Layers::of(&shape);
    assert_eq!((layers.windowed.count, layers.global.count), (12.0, 3.0));
    let load = Load::new(&shape, &settings(2048));
    near(layers.cache(&shape, &load).reported(&load) / MIB, 24.0, 0.01);
}

fn hybrid(layers: u64, inner_size: u64, time_step_rank: u64) -> Shape {
    let mut shape = dense("qwen35", [layers, 4096, 12_288, 248_320], [16, 4, 256]);
    shape.recurrent = Some(Recurrent {
        conv_kernel: 4,
        inner_size,
        state_size: 128,
        group_count: 16,
        time_step_rank,
        full_attention_interval: Some(4),
    });
    shape
}

#[test]
fn a_hybrid_has_a_state_in_most_layers_and_a_cache_in_the_rest() {
    let nine = hybrid(32, 4096, 32);
    near(mib(estimate(&nine, &settings(2048)).state), 50.25, 0.5);
    let more =
        estimate(&nine, &settings(28_672)).kv.get() - estimate(&nine, &settings(4096)).kv.get();
    near(more as f64 / MIB, 768.0, 0.5);
    // 48 of 64 layers: 3 MiB and 120 KiB each.
    near(mib(estimate(&hybrid(64, 6144, 48), &settings(2048)).state), 149.62, 0.5);
    // One slot, whatever is asked.
    let four = LoadSettings { parallel: 4, ..settings(2048) };
    assert_eq!(estimate(&nine, &four), estimate(&nine, &settings(2048)));
}

#[test]
fn states_and_heads_may_be_listed_layer_by_layer() {
    let mut shape = hybrid(4, 4096, 32);
    shape.heads_kv = PerLayer::Each(vec![0, 0, 8, 0]);
    shape.recurrent =
        shape.recurrent.map(|recurrent| Recurrent { full_attention_interval: None, ..recurrent });
    let layers = Layers::of(&shape);
    assert_eq!((layers.recurrent, layers.global.count, layers.global.heads), (3.0, 1.0, 8.0));
}

#[test]
fn latent_attention_keeps_one_vector_for_all_heads() {
    let mut shape = dense("deepseek2", [27, 2048, 10_944, 102_400], [16, 16, 192]);
    shape.latent = Some(Latent { rank: 512, rope: 64 });
    // 27 layers × 4096 cells × 576 × 2 bytes.
    near(mib(estimate(&shape, &settings(4096)).kv), 121.5, 0.01);
}

#[test]
fn compute_buffers_of_newer_servers_are_near_public_logs() {
    // The bound is 9 per cent.
    let host = |shape: &Shape, settings: &LoadSettings| graph_of(shape, settings).device() / MIB;
    near(host(&llama_3b(), &settings(1024)), 72.0, 9.0);
    let device = |shape: &Shape, context: u64| {
        let settings = LoadSettings { placement: Placement::Unified, ..settings(context) };
        graph_of(shape, &settings).device() / MIB
    };
    near(device(&dense("llama", [32, 960, 2560, 49_152], [15, 5, 64]), 512), 20.76, 9.0);
    let mut large = hybrid(64, 6144, 48);
    large.embedding = 5120;
    large.feed_forward = PerLayer::Same(17_408);
    large.heads = PerLayer::Same(24);
    near(device(&large, 2048), 132.0, 9.0);
}

#[test]
fn without_flash_attention_each_head_has_its_scores() {
    // TinyLlama; the log does not say the context, 1024 gives its figure.
    let shape = dense("llama", [22, 2048, 5632, 32_000], [32, 4, 64]);
    let off = LoadSettings { flash_attention: FlashAttention::Off, ..settings(1024) };
    near(graph_of(&shape, &off).device() / MIB, 87.01, 0.1);
}

#[test]
fn older_llama_cpp_reserves_the_logits_of_a_whole_batch() {
    let old = |context| LoadSettings { server: ServerEra::OllamaRunner, ..settings(context) };
    // Families are left out, since some would run in the other engine. The
    // result's norm is beside it in some logs and not in others.
    let shape = |embedding, feed_forward, vocabulary| {
        dense("any", [36, embedding, feed_forward, vocabulary], [32, 8, embedding / 32])
    };
    let rows = [
        (shape(3072, 8192, 128_256), 256.5),
        (shape(2048, 11_008, 151_936), 300.75),
        (shape(2560, 9728, 151_936), 301.75),
        (shape(4096, 12_288, 151_936), 312.75),
        (shape(2880, 2880, 201_088), 404.0),
        (shape(1536, 6144, 262_144), 518.0),
        (shape(3840, 15_360, 262_144), 519.5),
        (shape(5120, 17_408, 248_320), 495.0),
    ];
    for (shape, logged) in rows {
        near(graph_of(&shape, &old(2048)).device() / MIB, logged, 3.0);
    }
}

#[test]
fn only_a_card_of_its_own_leaves_the_embedding_aside() {
    let tensor = |part, bytes| TensorSum {
        part,
        kind: "Q8_0".to_owned(),
        count: 1,
        elements: bytes,
        bytes: Bytes::new(bytes),
    };
    let mut shape = llama_3b();
    shape.weights.tensors =
        vec![tensor(TensorPart::TokenEmbedding, 1_000_000), tensor(TensorPart::Layer, 9_000_000)];
    let card = LoadSettings { placement: Placement::Gpu, ..settings(4096) };
    let tied = estimate(&shape, &card);
    shape.weights.tensors.push(tensor(TensorPart::Output, 1_000_000));
    let untied = estimate(&shape, &card);
    assert_eq!(tied.on_gpu, untied.on_gpu);
    assert!(untied.on_gpu < untied.parts());
    assert!(estimate(&shape, &settings(4096)).on_gpu.is_zero());
}

#[test]
fn a_projector_counts_with_room_to_work_in() {
    let mut shape = llama_3b();
    shape.weights.projector = Some(Bytes::mib(1000));
    assert_eq!(estimate(&shape, &settings(4096)).vision, Bytes::mib(1400));
    shape.weights.projector = Some(Bytes::mib(100));
    assert_eq!(estimate(&shape, &settings(4096)).vision, Bytes::mib(356));
}

#[test]
fn a_file_without_tensors_gives_a_rough_figure() {
    let mut shape = llama_3b();
    shape.weights.file = Some(Bytes::gib(2));
    let need = estimate(&shape, &settings(4096));
    assert!(need.is_rough);
    assert_eq!(need.weights, Bytes::gib(2));
}

#[test]
fn a_context_beyond_the_models_own_is_cut() {
    let mut shape = llama_3b();
    shape.max_context = Some(8192);
    assert_eq!(estimate(&shape, &settings(100_000)), estimate(&shape, &settings(8192)));
}

#[test]
fn a_quantised_cache_needs_flash_attention() {
    let shape = llama_3b();
    let kv = |flash_attention, server| {
        let kv_type = KvType::Q8_0;
        estimate(&shape, &LoadSettings { kv_type, flash_attention, server, ..settings(4096) }).kv
    };
    let (half, quantised) = (Bytes::mib(448), Bytes::mib(238));
    assert_eq!(kv(FlashAttention::Auto, ServerEra::LlamaServer), quantised);
    assert_eq!(kv(FlashAttention::Off, ServerEra::LlamaServer), half);
    assert_eq!(kv(FlashAttention::Auto, ServerEra::OllamaRunner), half);
    assert_eq!(kv(FlashAttention::On, ServerEra::OllamaRunner), quantised);
}

/// Numbers as models have them, and as hostile files might.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..9000_u64, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn per_layer() -> impl Strategy<Value = PerLayer> {
    prop_oneof![
        number().prop_map(PerLayer::Same),
        prop::collection::vec(number(), 0..40).prop_map(PerLayer::Each),
    ]
}

fn pattern() -> impl Strategy<Value = WindowPattern> {
    prop_oneof![
        number().prop_map(WindowPattern::GlobalEvery),
        prop::collection::vec(any::<bool>(), 0..40).prop_map(WindowPattern::Windowed),
    ]
}

fn recurrent() -> impl Strategy<Value = Recurrent> {
    (prop::array::uniform5(number()), prop::option::of(number())).prop_map(|(n, interval)| {
        Recurrent {
            conv_kernel: n[0],
            inner_size: n[1],
            state_size: n[2],
            group_count: n[3],
            time_step_rank: n[4],
            full_attention_interval: interval,
        }
    })
}

fn tensors() -> impl Strategy<Value = Vec<TensorSum>> {
    let kind = prop::sample::select(vec!["F16", "Q4_0", "Q4_K", "IQ2_XS", "", "?"]);
    let part = prop::sample::select(vec![
        TensorPart::TokenEmbedding,
        TensorPart::Output,
        TensorPart::Layer,
        TensorPart::Vision,
    ]);
    let sum = (kind, part, number(), number()).prop_map(|(kind, part, elements, bytes)| {
        TensorSum { part, kind: kind.to_owned(), count: 1, elements, bytes: Bytes::new(bytes) }
    });
    prop::collection::vec(sum, 0..5)
}

fn shapes() -> impl Strategy<Value = Shape> {
    let name = prop::sample::select(vec!["llama", "gemma3", "gpt-oss", "bert", "qwen35", "?"]);
    let special = (
        prop::option::of((number(), number()).prop_map(|(rank, rope)| Latent { rank, rope })),
        prop::option::of(recurrent()),
        prop::option::of(
            (number(), number(), prop::option::of(number()))
                .prop_map(|(count, used, feed_forward)| Experts { count, used, feed_forward }),
        ),
        tensors(),
    );
    (
        (name, any::<bool>(), prop::array::uniform5(number())),
        (per_layer(), per_layer(), per_layer()),
        prop::array::uniform6(prop::option::of(number())),
        prop::option::of(pattern()),
        special,
    )
        .prop_map(|((name, is_embedding, n), lists, some, window_pattern, special)| Shape {
            architecture: name.to_owned(),
            layers: n[0],
            embedding: n[1],
            feed_forward: lists.0,
            vocabulary: n[2],
            max_context: some[0],
            heads: lists.1,
            heads_kv: lists.2,
            key_length: some[1],
            value_length: some[2],
            key_length_window: some[3],
            value_length_window: some[4],
            window: some[5],
            window_pattern,
            shared_kv_layers: n[3],
            latent: special.0,
            recurrent: special.1,
            experts: special.2,
            draft_layers: n[4],
            is_embedding,
            weights: TensorWeights { tensors: special.3, file: None, projector: None },
        })
}

fn loads() -> impl Strategy<Value = LoadSettings> {
    (
        (number(), any::<u32>(), any::<bool>()),
        prop::sample::select(KvType::ALL.to_vec()),
        prop::sample::select(vec![FlashAttention::Auto, FlashAttention::On, FlashAttention::Off]),
        prop::sample::select(vec![ServerEra::LlamaServer, ServerEra::OllamaRunner]),
        prop::sample::select(vec![Placement::Cpu, Placement::Unified, Placement::Gpu]),
    )
        .prop_map(
            |((context, parallel, mapped), kv_type, flash_attention, server, placement)| {
                LoadSettings {
                    context,
                    parallel,
                    kv_type,
                    flash_attention,
                    mapped,
                    server,
                    placement,
                }
            },
        )
}

fn grows(less: &Need, more: &Need) -> Result<(), TestCaseError> {
    prop_assert!(less.kv <= more.kv);
    prop_assert!(less.compute <= more.compute);
    prop_assert!(less.parts() <= more.parts());
    prop_assert!(less.reported <= more.reported);
    prop_assert!(less.measured <= more.measured);
    prop_assert!(less.on_gpu <= more.on_gpu);
    Ok(())
}

proptest! {
    #[test]
    fn an_estimator_says_what_each_estimate_says(shape in shapes(), loads in prop::collection::vec(loads(), 1..4)) {
        let estimator = estimator(shape.clone());
        for load in loads {
            prop_assert_eq!(estimator(&load), estimate(&shape, &load));
        }
    }

    #[test]
    fn nothing_shrinks_with_more_context_or_more_slots(
        shape in shapes(), load in loads(), context in number(), slots in any::<u32>(),
    ) {
        let need = estimate(&shape, &load);
        let longer = LoadSettings { context: load.context.max(context), ..load };
        grows(&need, &estimate(&shape, &longer))?;
        let wider = LoadSettings { parallel: load.parallel.max(slots), ..load };
        grows(&need, &estimate(&shape, &wider))?;
    }

    #[test]
    fn what_is_expected_is_within_the_parts(shape in shapes(), load in loads()) {
        let need = estimate(&shape, &load);
        // Each part is cut to whole bytes.
        prop_assert!(need.measured <= need.parts().saturating_add(Bytes::new(8)));
    }

    #[test]
    fn a_quantised_cache_is_smaller(shape in shapes(), load in loads()) {
        let on = LoadSettings { flash_attention: FlashAttention::On, ..load };
        let kv = |kv_type| estimate(&shape, &LoadSettings { kv_type, ..on }).kv;
        prop_assert!(kv(KvType::Q8_0) <= kv(KvType::F16));
        prop_assert!(kv(KvType::Q4_0) <= kv(KvType::Q8_0));
        if (1024..1 << 60).contains(&kv(KvType::F16).get()) {
            prop_assert!(kv(KvType::Q8_0) < kv(KvType::F16));
        }
    }
}
