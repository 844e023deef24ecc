//! GGML's types, and a model's tensors summed by part and type.
//!
//! Whoever reads metadata uses it: a server's answer names a type, a file
//! numbers it. A list with one tensor of an unknown type is no list: a sum that
//! leaves something out would look like knowledge.

use std::collections::BTreeMap;

use super::bytes::Bytes;
use super::shape::{TensorPart, TensorSum};

/// The largest published models have some two thousand.
pub const MOST_TENSORS: usize = 65_536;

/// `GGML_MAX_DIMS`
pub const MOST_DIMENSIONS: usize = 4;

/// 1 PiB: a tensor beyond every machine is an error, not a tensor.
const MOST_BYTES: u64 = 1 << 50;

/// A type of elements, stored in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorType {
    /// `ggml_type`
    number: u32,
    name: &'static str,
    /// Elements of a block, and the block's bytes.
    elements: u64,
    bytes: u64,
}

/// ggml's type traits (`ggml-common.h`). Numbers that are missing were taken
/// out of ggml, or are not stored in files.
const TYPES: [TensorType; 34] = [
    kind(0, "F32", 1, 4),
    kind(1, "F16", 1, 2),
    kind(2, "Q4_0", 32, 18),
    kind(3, "Q4_1", 32, 20),
    kind(6, "Q5_0", 32, 22),
    kind(7, "Q5_1", 32, 24),
    kind(8, "Q8_0", 32, 34),
    kind(9, "Q8_1", 32, 36),
    kind(10, "Q2_K", 256, 84),
    kind(11, "Q3_K", 256, 110),
    kind(12, "Q4_K", 256, 144),
    kind(13, "Q5_K", 256, 176),
    kind(14, "Q6_K", 256, 210),
    kind(15, "Q8_K", 256, 292),
    kind(16, "IQ2_XXS", 256, 66),
    kind(17, "IQ2_XS", 256, 74),
    kind(18, "IQ3_XXS", 256, 98),
    kind(19, "IQ1_S", 256, 50),
    kind(20, "IQ4_NL", 32, 18),
    kind(21, "IQ3_S", 256, 110),
    kind(22, "IQ2_S", 256, 82),
    kind(23, "IQ4_XS", 256, 136),
    kind(24, "I8", 1, 1),
    kind(25, "I16", 1, 2),
    kind(26, "I32", 1, 4),
    kind(27, "I64", 1, 8),
    kind(28, "F64", 1, 8),
    kind(29, "IQ1_M", 256, 56),
    kind(30, "BF16", 1, 2),
    kind(34, "TQ1_0", 256, 54),
    kind(35, "TQ2_0", 256, 66),
    kind(39, "MXFP4", 32, 17),
    kind(40, "NVFP4", 64, 36),
    kind(41, "Q1_0", 128, 18),
];

/// The number Ollama gave MXFP4 before ggml did, in gpt-oss files of its own.
const EARLY_MXFP4: u32 = 4;

const fn kind(number: u32, name: &'static str, elements: u64, bytes: u64) -> TensorType {
    TensorType { number, name, elements, bytes }
}

impl TensorType {
    pub fn named(name: &str) -> Option<TensorType> {
        TYPES.into_iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    pub fn numbered(number: u32) -> Option<TensorType> {
        let number = if number == EARLY_MXFP4 { 39 } else { number };
        TYPES.into_iter().find(|known| known.number == number)
    }

    /// `None`: there is no dimension, or it is more than any machine holds.
    /// Rows are whole blocks: what is left over at the end of one is stored.
    pub fn bytes_of(self, dimensions: &[u64]) -> Option<u64> {
        let (row, rest) = dimensions.split_first()?;
        let row = row.div_ceil(self.elements).checked_mul(self.bytes)?;
        let bytes = rest.iter().try_fold(row, |bytes, length| bytes.checked_mul(*length))?;
        (bytes <= MOST_BYTES).then_some(bytes)
    }
}

/// Tensors as they are read, one by one; only the sums are kept.
#[derive(Debug, Default)]
pub struct Tensors {
    sums: BTreeMap<(TensorPart, &'static str), TensorSum>,
    count: usize,
    /// One could not be summed, or there were too many.
    is_partial: bool,
    /// The last dimension of `token_embd.weight`: the vocabulary.
    pub vocabulary: Option<u64>,
    /// Keys and values of the latent attention are apart, as llama.cpp's
    /// attention over the compressed cache needs them.
    pub has_split_latent: bool,
}

impl Tensors {
    /// `kind` is `None` where the type is not known.
    pub fn add(&mut self, name: &str, kind: Option<TensorType>, dimensions: &[u64]) {
        self.count += 1;
        if self.count > MOST_TENSORS {
            self.is_partial = true;
            return;
        }
        if name == "token_embd.weight" {
            self.vocabulary = dimensions.last().copied().filter(|_| dimensions.len() == 2);
        }
        self.has_split_latent |= name.ends_with(".attn_k_b.weight");
        let fits = (1..=MOST_DIMENSIONS).contains(&dimensions.len());
        let bytes = kind.filter(|_| fits).and_then(|kind| kind.bytes_of(dimensions));
        let (Some(kind), Some(bytes)) = (kind, bytes) else {
            self.is_partial = true;
            return;
        };
        // No more elements than bits, so the product fits as well.
        let elements = dimensions.iter().fold(1_u64, |all, length| all.saturating_mul(*length));
        let part = part_of(name, dimensions);
        let sum = self.sums.entry((part, kind.name)).or_insert_with(|| TensorSum {
            part,
            kind: kind.name.to_owned(),
            count: 0,
            elements: 0,
            bytes: Bytes::ZERO,
        });
        sum.count += 1;
        sum.elements = sum.elements.saturating_add(elements);
        sum.bytes += Bytes::new(bytes);
    }

    /// An entry that cannot be read: its bytes are missing from the sums.
    pub fn add_unreadable(&mut self) {
        self.is_partial = true;
    }

    /// By part and type; none where they are not the whole of the model.
    pub fn into_sums(self) -> Vec<TensorSum> {
        if self.is_partial { Vec::new() } else { self.sums.into_values().collect() }
    }
}

/// By the names that llama.cpp gives tensors.
fn part_of(name: &str, dimensions: &[u64]) -> TensorPart {
    if name.starts_with("v.") || name.starts_with("mm.") {
        return TensorPart::Vision;
    }
    if name.contains("exps.") {
        return TensorPart::Experts;
    }
    if dimensions.len() < 2 {
        return TensorPart::Vector;
    }
    match name {
        "token_embd.weight" => TensorPart::TokenEmbedding,
        "output.weight" => TensorPart::Output,
        _ if name.starts_with("blk.") => TensorPart::Layer,
        _ => TensorPart::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::shape::KvType;

    #[test]
    fn types_have_the_bits_that_ggml_gives_them() {
        for (name, bits) in [
            ("F32", 32.0),
            ("BF16", 16.0),
            ("Q8_0", 8.5),
            ("q4_0", 4.5),
            ("Q5_1", 6.0),
            ("Q2_K", 2.625),
            ("Q3_K", 3.4375),
            ("Q4_K", 4.5),
            ("Q5_K", 5.5),
            ("Q6_K", 6.5625),
            ("Q8_K", 9.125),
            ("IQ1_S", 1.5625),
            ("IQ1_M", 1.75),
            ("IQ2_XXS", 2.0625),
            ("IQ2_XS", 2.3125),
            ("IQ2_S", 2.5625),
            ("IQ3_XXS", 3.0625),
            ("IQ3_S", 3.4375),
            ("IQ4_NL", 4.5),
            ("IQ4_XS", 4.25),
            ("TQ1_0", 1.6875),
            ("TQ2_0", 2.0625),
            ("MXFP4", 4.25),
            ("NVFP4", 4.5),
            ("Q1_0", 1.125),
        ] {
            let kind = TensorType::named(name).unwrap();
            assert_eq!(kind.bytes as f64 * 8.0 / kind.elements as f64, bits, "{name}");
            assert_eq!(TensorType::numbered(kind.number), Some(kind));
        }
        assert_eq!(TensorType::numbered(4), TensorType::named("MXFP4"));
        assert_eq!((TensorType::named("unknown"), TensorType::numbered(31)), (None, None));
    }

    #[test]
    fn types_of_the_cache_take_the_same_bytes() {
        for kind in KvType::ALL {
            let bytes = TensorType::named(kind.word()).and_then(|kind| kind.bytes_of(&[32]));
            assert_eq!(bytes, Some(kind.bytes_per_32()), "{kind}");
        }
    }

    #[test]
    fn each_name_has_its_part() {
        for (name, dimensions, part) in [
            ("token_embd.weight", 2, TensorPart::TokenEmbedding),
            ("output.weight", 2, TensorPart::Output),
            ("output_norm.weight", 1, TensorPart::Vector),
            ("blk.0.attn_q.weight", 2, TensorPart::Layer),
            ("blk.0.attn_q.bias", 1, TensorPart::Vector),
            ("blk.31.ffn_gate_exps.weight", 3, TensorPart::Experts),
            ("blk.31.ffn_gate_inp.weight", 2, TensorPart::Layer),
            ("blk.31.ffn_gate_shexp.weight", 2, TensorPart::Layer),
            ("rope_freqs.weight", 1, TensorPart::Vector),
            ("position_embd.weight", 2, TensorPart::Other),
            ("v.blk.0.attn_q.weight", 2, TensorPart::Vision),
            ("mm.input_projection.weight", 2, TensorPart::Vision),
        ] {
            assert_eq!(part_of(name, &vec![8; dimensions]), part, "{name}");
        }
    }

    #[test]
    fn a_row_that_is_no_whole_block_takes_one_more() {
        let q8_0 = TensorType::named("Q8_0").unwrap();
        assert_eq!(q8_0.bytes_of(&[1024, 2]), Some(1024 / 32 * 34 * 2));
        assert_eq!(q8_0.bytes_of(&[33, 2]), Some(2 * 34 * 2));
        assert_eq!(q8_0.bytes_of(&[u64::MAX, u64::MAX]), None);
        assert_eq!(q8_0.bytes_of(&[]), None);
    }

    #[test]
    fn one_tensor_that_cannot_be_summed_leaves_no_sums() {
        let f16 = TensorType::named("F16");
        for (kind, dimensions) in
            [(None, vec![4, 4]), (f16, vec![]), (f16, vec![1; 5]), (f16, vec![u64::MAX, 4])]
        {
            let mut tensors = Tensors::default();
            tensors.add("output.weight", f16, &[4, 4]);
            tensors.add("blk.0.attn_q.weight", kind, &dimensions);
            assert_eq!(tensors.into_sums(), [], "{dimensions:?}");
        }
    }

    proptest! {
        #[test]
        fn no_tensor_panics_and_only_whole_lists_have_sums(
            names in prop::collection::vec("[a-z0-9_.]{0,12}", 0..20),
            number in any::<u32>(),
            dimensions in prop::collection::vec(any::<u64>(), 0..6),
        ) {
            let mut tensors = Tensors::default();
            let kind = TensorType::numbered(number % 48);
            for name in &names {
                tensors.add(name, kind, &dimensions);
            }
            let is_whole = (1..=MOST_DIMENSIONS).contains(&dimensions.len())
                && kind.is_some_and(|kind| kind.bytes_of(&dimensions).is_some());
            let counted: u64 = tensors.into_sums().iter().map(|sum| sum.count).sum();
            prop_assert_eq!(counted, if is_whole { names.len() as u64 } else { 0 });
        }
    }
}
