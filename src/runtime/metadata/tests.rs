//! Keys of models that could not be recorded, by the names their files use.

use proptest::prelude::*;

use super::*;
use crate::domain::tensors::TensorType;

fn of(architecture: &str, keys: &[(&str, u64)]) -> Metadata {
    let mut metadata = Metadata::default();
    metadata.insert(ARCHITECTURE.to_owned(), Value::Word(architecture.to_owned()));
    for (key, count) in [("block_count", 4), ("embedding_length", 64)].iter().chain(keys) {
        metadata.insert(format!("{architecture}.{key}"), Value::Count(*count));
    }
    metadata
}

fn shape_of(architecture: &str, keys: &[(&str, u64)]) -> Shape {
    of(architecture, keys).shape(Tensors::default(), &[]).unwrap()
}

#[test]
fn only_the_models_own_prefix_counts() {
    let mut metadata = of("gemma3", &[("attention.head_count", 8)]);
    for key in ["gemma3.vision.block_count", "clip.block_count", "vision.attention.head_count"] {
        metadata.insert(key.to_owned(), Value::Count(999));
    }
    assert!(!Metadata::wants("gemma3.vision.block_count"));
    let shape = metadata.shape(Tensors::default(), &[]).unwrap();
    assert_eq!((shape.layers, shape.heads), (4, PerLayer::Same(8)));
}

#[test]
fn a_compressed_cache_is_one_only_in_files_made_for_it() {
    let keys = [("attention.kv_lora_rank", 512), ("rope.dimension_count", 64)];
    assert_eq!(shape_of("deepseek2", &keys).latent, None);
    let latent = Some(Latent { rank: 512, rope: 64 });
    let named = [keys[0], keys[1], ("attention.key_length_mla", 192)];
    assert_eq!(shape_of("deepseek2", &named).latent, latent);
    let mut tensors = Tensors::default();
    tensors.add("blk.0.attn_k_b.weight", TensorType::named("Q4_0"), &[128, 512, 16]);
    let found = of("deepseek2", &keys).shape(tensors, &[]).unwrap();
    assert_eq!(found.latent, latent);
}

#[test]
fn recurrent_and_expert_parts_are_there_only_if_named() {
    let plain = shape_of("llama", &[]);
    assert_eq!((plain.recurrent, plain.experts, plain.draft_layers), (None, None, 0));
    let found = shape_of(
        "qwen35moe",
        &[
            ("full_attention_interval", 4),
            ("ssm.conv_kernel", 4),
            ("ssm.inner_size", 4096),
            ("ssm.state_size", 128),
            ("ssm.group_count", 16),
            ("ssm.time_step_rank", 32),
            ("expert_count", 256),
            ("expert_used_count", 8),
            ("expert_feed_forward_length", 512),
            ("nextn_predict_layers", 1),
        ],
    );
    let recurrent = Recurrent {
        conv_kernel: 4,
        inner_size: 4096,
        state_size: 128,
        group_count: 16,
        time_step_rank: 32,
        full_attention_interval: Some(4),
    };
    let experts = Experts { count: 256, used: 8, feed_forward: Some(512) };
    assert_eq!(found.recurrent, Some(recurrent));
    assert_eq!((found.experts, found.draft_layers), (Some(experts), 1));
}

#[test]
fn a_pattern_is_a_period_or_a_list() {
    let of_number = |number| shape_of("gemma2", &[(PATTERN, number)]).window_pattern;
    assert_eq!(of_number(6), Some(WindowPattern::GlobalEvery(6)));
    assert_eq!(of_number(0), Some(WindowPattern::Windowed(vec![true; 4])));
    let mut metadata = of("gemma4", &[]);
    let counts = vec![Some(1), Some(0), None];
    metadata.insert(format!("gemma4.{PATTERN}"), Value::Counts(counts));
    let found = metadata.shape(Tensors::default(), &[]).unwrap().window_pattern;
    assert_eq!(found, Some(WindowPattern::Windowed(vec![true, false, false])));
}

#[test]
fn the_vocabulary_comes_from_the_best_there_is() {
    let mut tensors = Tensors::default();
    tensors.add("token_embd.weight", TensorType::named("F16"), &[64, 300]);
    assert_eq!(of("x", &[]).shape(tensors, &[]).unwrap().vocabulary, 300);
    let mut metadata = of("x", &[]);
    metadata.insert(TOKENS.to_owned(), Value::Length(200));
    assert_eq!(metadata.shape(Tensors::default(), &[]).unwrap().vocabulary, 200);
    metadata.insert("x.vocab_size".to_owned(), Value::Count(100));
    assert_eq!(metadata.shape(Tensors::default(), &[]).unwrap().vocabulary, 100);
    assert_eq!(shape_of("x", &[]).vocabulary, 0);
}

#[test]
fn what_makes_vectors_without_a_cache_is_known() {
    let embedding = ["embedding".to_owned()];
    let both = ["completion".to_owned(), "embedding".to_owned()];
    let makes = |architecture: &str, keys: &[(&str, u64)], capabilities: &[String]| {
        of(architecture, keys).shape(Tensors::default(), capabilities).unwrap().is_embedding
    };
    assert!(makes("nomic-bert", &[], &both));
    assert!(makes("gemma-embedding", &[], &[]));
    assert!(makes("gemma3", &[("pooling_type", 1)], &embedding));
    // The last token's vector needs what the tokens before it left.
    assert!(!makes("qwen3", &[("pooling_type", 3)], &embedding));
    assert!(makes("llama", &[], &embedding));
    assert!(!makes("llama", &[], &both));
    let mut metadata = of("llama", &[("pooling_type", 3)]);
    metadata.insert("llama.attention.causal".to_owned(), Value::Truth(false));
    assert!(metadata.shape(Tensors::default(), &[]).unwrap().is_embedding);
}

#[test]
fn numbers_beyond_any_model_are_unknown() {
    assert_eq!(of("x", &[("context_length", MOST_COUNT + 1)]).max_context(), None);
    let mut deep = Metadata::default();
    deep.insert(ARCHITECTURE.to_owned(), Value::Word("x".to_owned()));
    deep.insert("x.block_count".to_owned(), Value::Count(MOST_LAYERS as u64 + 1));
    deep.insert("x.embedding_length".to_owned(), Value::Count(64));
    assert_eq!(deep.shape(Tensors::default(), &[]), None);
    for at in 0..10_000 {
        deep.insert(format!("a{at}.block_count"), Value::Count(1));
    }
    assert!(deep.values.len() <= MOST_KEYS);
}

proptest! {
    #[test]
    fn a_rough_size_is_near_the_parameters_times_their_bits(
        parameters in prop_oneof![0_u64..1 << 50, any::<u64>()],
        kind in 0_u64..40,
    ) {
        let mut metadata = Metadata::default();
        metadata.insert("general.parameter_count".to_owned(), Value::Count(parameters));
        metadata.insert("general.file_type".to_owned(), Value::Count(kind));
        let size = metadata.rough_size().map(|size| size.get() as f64);
        let bytes = match kind {
            0 => 4.0,
            1 | 32 => 2.0,
            7 => 34.0 / 32.0,
            _ => {
                prop_assert_eq!(size, None);
                return Ok(());
            }
        };
        let expected = parameters as f64 * bytes;
        match size {
            Some(size) => prop_assert!((size - expected).abs() <= 34.0 + expected * 1e-12),
            None => prop_assert!(expected > 1e15),
        }
    }
}
