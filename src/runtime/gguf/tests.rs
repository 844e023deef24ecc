//! Headers as files have them, and as a hostile file could.

use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;
use crate::domain::shape::{PerLayer, TensorPart, WindowPattern};

/// Writes a header piece by piece.
struct Written {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn list(kind: u32, length: u64, entries: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(entries);
    bytes
}

impl Written {
    fn new() -> Self {
        Written { keys: Vec::new(), key_count: 0, tensors: Vec::new(), tensor_count: 0 }
    }

    /// A model of two layers.
    fn model() -> Self {
        Written::new()
            .key("general.architecture", TEXT, &text("llama"))
            .count("llama.block_count", 2)
            .count("llama.embedding_length", 64)
            .count("llama.attention.head_count", 8)
    }

    fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.extend(text(name));
        self.keys.extend(kind.to_le_bytes());
        self.keys.extend(value);
        self.key_count += 1;
        self
    }

    fn count(self, name: &str, count: u32) -> Self {
        self.key(name, U32, &count.to_le_bytes())
    }

    fn tensor(mut self, name: &str, kind: u32, lengths: &[u64]) -> Self {
        self.tensors.extend(text(name));
        self.tensors.extend((lengths.len() as u32).to_le_bytes());
        lengths.iter().for_each(|length| self.tensors.extend(length.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(0_u64.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.key_count.to_le_bytes());
        bytes.extend(&self.keys);
        bytes.extend(&self.tensors);
        bytes
    }

    fn read(&self) -> io::Result<Shape> {
        read(&self.bytes()[..], &[])
    }
}

#[test]
fn a_header_tells_what_a_server_would() {
    let tokens: Vec<u8> = (0..300).flat_map(|at| text(&format!("token {at}"))).collect();
    let heads: Vec<u8> = [2_i32, 0].iter().flat_map(|count| count.to_le_bytes()).collect();
    let nested = list(U8, 2, &[1, 2]);
    let found = Written::model()
        .key("tokenizer.ggml.tokens", LIST, &list(TEXT, 300, &tokens))
        .key("tokenizer.ggml.scores", LIST, &list(F32, 2, &[0; 8]))
        .key("tokenizer.chat_template", TEXT, &text(&"x".repeat(100_000)))
        .key("some.lists", LIST, &list(LIST, 1, &nested))
        .key("llama.rope.freq_base", F32, &1e6_f32.to_le_bytes())
        .key("llama.attention.head_count_kv", LIST, &list(I32, 2, &heads))
        .key("llama.attention.sliding_window_pattern", LIST, &list(BOOL, 2, &[1, 0]))
        .key("llama.attention.sliding_window", U16, &512_u16.to_le_bytes())
        .key("llama.context_length", U64, &4096_u64.to_le_bytes())
        .key("llama.expert_count", I64, &(-1_i64).to_le_bytes())
        .key("llama.expert_used_count", F64, &2.0_f64.to_le_bytes())
        .key("llama.nextn_predict_layers", U8, &[1])
        .key("llama.attention.causal", BOOL, &[1])
        .tensor("token_embd.weight", 8, &[64, 300])
        .tensor("blk.0.attn_norm.weight", 0, &[64])
        .tensor("blk.0.ffn_down_exps.weight", 39, &[64, 64, 8])
        .read()
        .unwrap();
    let sums: Vec<_> =
        found.weights.tensors.iter().map(|sum| (sum.part, sum.bytes.get())).collect();
    let expected_sums = [
        (TensorPart::TokenEmbedding, 2 * 34 * 300),
        (TensorPart::Experts, 2 * 17 * 64 * 8),
        (TensorPart::Vector, 256),
    ];
    assert_eq!(sums, expected_sums);
    let expected = Shape {
        architecture: "llama".to_owned(),
        layers: 2,
        embedding: 64,
        vocabulary: 300,
        max_context: Some(4096),
        heads: PerLayer::Same(8),
        heads_kv: PerLayer::Each(vec![2, 0]),
        window: Some(512),
        window_pattern: Some(WindowPattern::Windowed(vec![true, false])),
        draft_layers: 1,
        weights: found.weights.clone(),
        ..Shape::default()
    };
    assert_eq!(found, expected);
}

/// A source that goes on for ever, and counts what is taken of it.
struct Endless<'a> {
    head: &'a [u8],
    repeated: &'a [u8],
    at: usize,
    taken: u64,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        if !self.head.is_empty() {
            filled = self.head.read(buffer)?;
        } else {
            for slot in buffer.iter_mut() {
                *slot = self.repeated[self.at % self.repeated.len()];
                self.at += 1;
                filled += 1;
            }
        }
        self.taken += filled as u64;
        Ok(filled)
    }
}

#[test]
fn a_header_without_end_is_left() {
    let mut head = Written::model().bytes();
    // One more key, of more words than there can be.
    head[16..24].copy_from_slice(&5_u64.to_le_bytes());
    head.extend(text("tokenizer.ggml.tokens"));
    head.extend(LIST.to_le_bytes());
    head.extend(list(TEXT, u64::MAX, &[]));
    let word = text("abc");
    let mut source = Endless { head: &head, repeated: &word, at: 0, taken: 0 };
    assert!(read(&mut source, &[]).is_err());
    assert!(source.taken <= LONGEST_HEADER + 16_384, "{}", source.taken);
}

#[test]
fn counts_beyond_any_file_are_refused_before_they_are_read() {
    let wrongs = [
        Written::model().key("x", LIST, &list(U64, u64::MAX, &[])),
        Written::model().key("x", LIST, &list(U8, u64::MAX, &[])),
        Written::model().key("llama.feed_forward_length", LIST, &list(U32, u64::MAX, &[])),
        Written::model().key("llama.feed_forward_length", LIST, &list(BOOL, u64::MAX, &[])),
        Written::model().key("x", TEXT, &u64::MAX.to_le_bytes()),
        Written::model().key("x", TEXT, &(LONGEST_TEXT + 1).to_le_bytes()),
        Written::model().key("x", 13, &[0; 8]),
        Written::model().key("x", LIST, &list(99, 1, &[0; 8])),
        Written::model().tensor("blk.0.x", 0, &[1, 1, 1, 1, 1]),
        Written::model().tensor(&"n".repeat(300), 0, &[1]),
        Written::new(),
    ];
    for (at, wrong) in wrongs.iter().enumerate() {
        assert!(wrong.read().is_err(), "{at}");
    }
    for from in [8, 16] {
        let mut bytes = Written::model().bytes();
        bytes[from..from + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(&bytes[..], &[]).is_err());
    }
    let deep = (0..6).fold(list(U8, 1, &[1]), |inner, _| list(LIST, 1, &inner));
    assert!(Written::model().key("x", LIST, &deep).read().is_err());
    for (from, byte) in [(0, b'g'), (4, 1), (4, 4), (7, 3)] {
        let mut bytes = Written::model().bytes();
        bytes[from] = byte;
        assert!(read(&bytes[..], &[]).is_err());
    }
}

#[test]
fn a_tensor_of_an_unknown_type_leaves_no_weights() {
    let found = Written::model().tensor("output.weight", 31, &[64, 8]).read().unwrap();
    assert_eq!((found.weights.tensors, found.layers), (Vec::new(), 2));
}

fn folder_with(bytes: &[u8]) -> (tempfile::TempDir, BlobDigest) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("blobs")).unwrap();
    let digest = "ab".repeat(32);
    std::fs::write(folder.path().join("blobs").join(format!("sha256-{digest}")), bytes).unwrap();
    (folder, BlobDigest::from_hex(&digest).unwrap())
}

#[test]
fn a_file_is_found_in_the_first_folder_that_has_it() {
    let bytes = Written::model().bytes();
    let (folder, blob) = folder_with(&bytes);
    let folders = ["/no/such/folder".into(), "relative".into(), folder.path().to_owned()];
    assert_eq!(shape(&folders, &blob, &[]).unwrap().layers, 2);
    assert_eq!(size(&folders, &blob).unwrap(), Bytes::new(bytes.len() as u64));
    let missing = BlobDigest::from_hex(&"cd".repeat(32)).unwrap();
    assert_eq!(size(&folders, &missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(shape(&[], &blob, &[]).is_err());
}

#[test]
fn links_pipes_and_folders_are_not_opened() {
    let bytes = Written::model().bytes();
    let (folder, blob) = folder_with(&bytes);
    let path = folder.path().join("blobs").join(format!("sha256-{}", blob.as_str()));
    let folders = [folder.path().to_owned()];
    std::fs::rename(&path, folder.path().join("real")).unwrap();
    symlink(folder.path().join("real"), &path).unwrap();
    assert!(size(&folders, &blob).is_err(), "a link");
    std::fs::remove_file(&path).unwrap();
    // Opening a pipe for reading waits for a writer, unless told not to.
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert!(size(&folders, &blob).is_err(), "a pipe");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(size(&folders, &blob).is_err(), "a folder");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes[..], &[]);
        let mut begun = b"GGUF\x03\0\0\0".to_vec();
        begun.extend(&bytes);
        let _ = read(&begun[..], &[]);
        let mut keyed = Written::model().bytes();
        keyed[16..24].copy_from_slice(&60_u64.to_le_bytes());
        keyed[8..16].copy_from_slice(&60_u64.to_le_bytes());
        keyed.extend(&bytes);
        let _ = read(&keyed[..], &[]);
    }

    #[test]
    fn no_value_makes_it_panic(kind in 0_u32..14, of in 0_u32..14, length in any::<u64>(),
        bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for name in ["llama.feed_forward_length", "tokenizer.ggml.tokens", "other"] {
            let _ = Written::model().key(name, LIST, &list(of, length, &bytes)).read();
            let _ = Written::model().key(name, kind, &bytes).read();
        }
    }

    /// A file that was cut off anywhere is a fault, never half a shape.
    #[test]
    fn a_file_that_was_cut_off_tells_nothing(share in 0.0..1.0_f64) {
        let bytes = Written::model()
            .key("tokenizer.ggml.tokens", LIST, &list(TEXT, 2, &[text("a"), text("b")].concat()))
            .tensor("output.weight", 0, &[64, 8])
            .bytes();
        let cut = (bytes.len() as f64 * share) as usize;
        prop_assert!(read(&bytes[..cut], &[]).is_err());
        prop_assert!(read(&bytes[..], &[]).is_ok());
    }
}
