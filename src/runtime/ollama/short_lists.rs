//! JSON that passes through in pieces, with its long lists cut: of a list of
//! words or numbers only the first entries stay, whatever its length.
//!
//! It looks at bytes, not at values, and remembers only where it is. What is no
//! JSON comes out as something that is none either; the parser behind it says
//! so. Lists of objects are never cut.

/// Entries of a list that stay: more than any list of one number a layer has.
const KEPT_ENTRIES: u32 = 1024;

/// As deep as the parser behind it goes. Beyond, nothing is passed on.
const DEEPEST: usize = 128;

/// Where in the text the last byte was.
#[derive(Debug, Default)]
pub struct ShortLists {
    around: Vec<Container>,
    token: Token,
    /// The token is an entry too many: it is not passed on.
    is_dropping: bool,
    /// Deeper than anything that is read afterwards.
    is_lost: bool,
}

#[derive(Debug)]
struct Container {
    is_list: bool,
    entries: u32,
    /// A comma that is passed on only if its entry is.
    owes_comma: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Token {
    #[default]
    Between,
    /// A number, `true`, `false`, `null`.
    Bare,
    Text,
    /// Behind a backslash in a text.
    Escape,
}

impl ShortLists {
    /// Adds to `kept` what stays of the next piece.
    pub fn feed(&mut self, mut piece: &[u8], kept: &mut Vec<u8>) {
        while let Some((byte, rest)) = piece.split_first() {
            if self.is_lost {
                return;
            }
            let plain = if self.token == Token::Text { plain_run(piece) } else { 0 };
            if plain == 0 {
                self.take(*byte, kept);
                piece = rest;
                continue;
            }
            let (text, behind) = piece.split_at(plain);
            if !self.is_dropping {
                kept.extend_from_slice(text);
            }
            piece = behind;
        }
    }

    fn take(&mut self, byte: u8, kept: &mut Vec<u8>) {
        match self.token {
            Token::Text | Token::Escape => {
                self.pass(byte, kept);
                self.token = match (self.token, byte) {
                    (Token::Text, b'\\') => Token::Escape,
                    (Token::Text, b'"') => Token::Between,
                    _ => Token::Text,
                };
            }
            Token::Bare | Token::Between => self.take_outside_text(byte, kept),
        }
    }

    fn take_outside_text(&mut self, byte: u8, kept: &mut Vec<u8>) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                self.token = Token::Between;
                self.pass(byte, kept);
            }
            b',' => {
                self.token = Token::Between;
                match self.around.last_mut() {
                    Some(list) if list.is_list && !list.owes_comma => list.owes_comma = true,
                    // Between entries that were dropped.
                    Some(list) if list.is_list && list.entries >= KEPT_ENTRIES => {}
                    _ => kept.push(byte),
                }
            }
            b'[' | b'{' => {
                self.begin_entry(true, kept);
                kept.push(byte);
                self.enter(byte == b'[');
            }
            b']' | b'}' => {
                self.token = Token::Between;
                self.leave(kept);
                kept.push(byte);
            }
            b':' => {
                self.token = Token::Between;
                kept.push(byte);
            }
            b'"' => {
                self.begin_entry(false, kept);
                self.token = Token::Text;
                self.pass(byte, kept);
            }
            _ => {
                if self.token == Token::Between {
                    self.begin_entry(false, kept);
                    self.token = Token::Bare;
                }
                self.pass(byte, kept);
            }
        }
    }

    /// A value begins: in a list, it is its next entry.
    fn begin_entry(&mut self, is_container: bool, kept: &mut Vec<u8>) {
        self.token = Token::Between;
        self.is_dropping = false;
        let Some(list) = self.around.last_mut().filter(|container| container.is_list) else {
            return;
        };
        if list.entries >= KEPT_ENTRIES && !is_container {
            self.is_dropping = true;
            // A comma that was owed stays owed: the next entry may pass.
            return;
        }
        list.entries = list.entries.saturating_add(1);
        if std::mem::take(&mut list.owes_comma) {
            kept.push(b',');
        }
    }

    fn enter(&mut self, is_list: bool) {
        self.is_lost = self.around.len() >= DEEPEST;
        if !self.is_lost {
            self.around.push(Container { is_list, entries: 0, owes_comma: false });
        }
    }

    fn leave(&mut self, kept: &mut Vec<u8>) {
        self.is_dropping = false;
        // `[1,]` is no JSON and stays none.
        let left = self.around.pop();
        if left.is_some_and(|list| list.owes_comma && list.entries < KEPT_ENTRIES) {
            kept.push(b',');
        }
    }

    fn pass(&self, byte: u8, kept: &mut Vec<u8>) {
        if !self.is_dropping {
            kept.push(byte);
        }
    }
}

/// How many bytes of a text come before one that means something.
fn plain_run(text: &[u8]) -> usize {
    text.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cut(text: &[u8], piece: usize) -> Vec<u8> {
        let mut kept = Vec::new();
        let mut lists = ShortLists::default();
        text.chunks(piece.max(1)).for_each(|piece| lists.feed(piece, &mut kept));
        kept
    }

    fn cut_value(value: &Value) -> Value {
        serde_json::from_slice(&cut(value.to_string().as_bytes(), 7)).unwrap()
    }

    #[test]
    fn long_lists_keep_their_first_entries() {
        let limit = KEPT_ENTRIES as usize;
        for length in [limit - 1, limit, limit + 1, 5 * limit] {
            let numbers: Vec<usize> = (0..length).collect();
            let words: Vec<String> = (0..length).map(|at| format!("],\\\"[{at}")).collect();
            let value = json!({"a": numbers, "b": {"c": words}, "d": [[1], []], "e": 1.5});
            let short = length.min(limit);
            let expected = json!({
                "a": numbers[..short], "b": {"c": words[..short]}, "d": [[1], []], "e": 1.5
            });
            assert_eq!(cut_value(&value), expected, "{length}");
        }
    }

    #[test]
    fn lists_of_objects_and_of_lists_are_whole() {
        let objects: Vec<Value> = (0..5000).map(|at| json!({"name": at})).collect();
        let lists: Vec<Value> = (0..5000).map(|at| json!([at])).collect();
        assert_eq!(cut_value(&json!(objects)), json!(objects));
        assert_eq!(cut_value(&json!(lists)), json!(lists));
        // Of a mixed one, the words behind the first thousand go.
        let mut mixed: Vec<Value> = vec![json!(1); 2000];
        mixed.insert(1500, json!({"kept": true}));
        let mut expected = vec![json!(1); KEPT_ENTRIES as usize];
        expected.push(json!({"kept": true}));
        assert_eq!(cut_value(&json!(mixed)), json!(expected));
    }

    #[test]
    fn what_is_no_json_stays_none() {
        for wrong in ["[1,]", "{\"a\":1,}", "[1 2", "[1,,2]", "]", "[}", "\"x", "[1}", "<html>"] {
            let kept = cut(wrong.as_bytes(), 1);
            assert!(serde_json::from_slice::<Value>(&kept).is_err(), "{wrong}");
        }
        let deep = "[".repeat(1 << 20);
        assert!(cut(deep.as_bytes(), 4096).len() <= DEEPEST + 1);
    }

    #[test]
    fn a_vocabulary_without_end_takes_no_memory() {
        let mut kept = Vec::new();
        let mut lists = ShortLists::default();
        lists.feed(br#"{"model_info":{"tokenizer.ggml.tokens":["first""#, &mut kept);
        let piece = r#","Ġtoken\n","x""#.repeat(64);
        let mut sent = 0;
        while sent < 40 << 20 {
            lists.feed(piece.as_bytes(), &mut kept);
            sent += piece.len();
        }
        lists.feed(br#"],"llama.block_count":3}}"#, &mut kept);
        assert!(kept.capacity() < 64 << 10, "{}", kept.capacity());
        let value: Value = serde_json::from_slice(&kept).unwrap();
        assert_eq!(value["model_info"]["llama.block_count"], json!(3));
        assert_eq!(
            value["model_info"]["tokenizer.ggml.tokens"].as_array().map(Vec::len),
            Some(KEPT_ENTRIES as usize)
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            r#"[\[\]{}",:\\ ]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn short_lists_pass_unchanged(value in any_json(), piece in 1_usize..40, pretty: bool) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            // Of the text, not of the value: numbers may be written rounded.
            let expected: Value = serde_json::from_str(&text).unwrap();
            let kept: Value = serde_json::from_slice(&cut(text.as_bytes(), piece)).unwrap();
            prop_assert_eq!(kept, expected);
        }

        /// Nothing depends on where the pieces end.
        #[test]
        fn any_bytes_come_out_the_same_in_any_pieces(
            bytes in prop::collection::vec(prop_oneof![
                Just(b'['), Just(b']'), Just(b'{'), Just(b'}'), Just(b','), Just(b'"'),
                Just(b'\\'), Just(b' '), any::<u8>(),
            ], 0..300),
            piece in 1_usize..40,
        ) {
            let kept = cut(&bytes, piece);
            prop_assert_eq!(&kept, &cut(&bytes, bytes.len()));
            prop_assert!(kept.len() <= bytes.len());
        }
    }
}
