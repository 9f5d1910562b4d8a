//! Mutants: an input of the corpus, changed a few times, as bytes or as JSON.
//!
//! Bytes find what a reader does with text that is nearly right. Most targets read
//! JSON, though, and most changed bytes only make it no JSON any more; so half of the
//! changes take the document apart and change it where it means something.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _};
use serde_json::{Map, Value, json};

/// Longer inputs find nothing that shorter ones do not, and cost time.
const MOST_BYTES: usize = 16 << 10;
const MOST_CHANGES: u32 = 4;

/// Makes mutants, always the same ones from the same generator.
pub(super) struct Mutator<'a> {
    seeds: &'a [Vec<u8>],
    words: &'a [Vec<u8>],
    random: Xoshiro256PlusPlus,
}

impl<'a> Mutator<'a> {
    pub(super) fn new(
        seeds: &'a [Vec<u8>],
        words: &'a [Vec<u8>],
        random: Xoshiro256PlusPlus,
    ) -> Self {
        Self {
            seeds,
            words,
            random,
        }
    }

    pub(super) fn mutant(&mut self) -> Vec<u8> {
        let mut data = self.seed();
        for _ in 0..self.random.random_range(1..=MOST_CHANGES) {
            let changed = self
                .random
                .random_bool(0.5)
                .then(|| self.change_json(&data));
            data = changed.flatten().unwrap_or_else(|| self.change_bytes(data));
            data.truncate(MOST_BYTES);
        }
        data
    }

    fn seed(&mut self) -> Vec<u8> {
        self.seeds
            .choose(&mut self.random)
            .cloned()
            .unwrap_or_default()
    }

    fn word(&mut self) -> Vec<u8> {
        self.words
            .choose(&mut self.random)
            .cloned()
            .unwrap_or_default()
    }

    /// A place between two bytes.
    fn place(&mut self, data: &[u8]) -> usize {
        self.random.random_range(0..=data.len())
    }

    fn range(&mut self, data: &[u8]) -> std::ops::Range<usize> {
        let (a, b) = (self.place(data), self.place(data));
        a.min(b)..a.max(b)
    }

    fn change_bytes(&mut self, mut data: Vec<u8>) -> Vec<u8> {
        match self.random.random_range(0..8) {
            0 if !data.is_empty() => {
                let at = self.random.random_range(0..data.len());
                data[at] ^= 1 << self.random.random_range(0..8);
            }
            1 if !data.is_empty() => {
                let at = self.random.random_range(0..data.len());
                data[at] = self.random.random();
            }
            2 => data.truncate(self.place(&data)),
            3 => {
                let range = self.range(&data);
                data.drain(range);
            }
            4 => {
                let (range, at) = (self.range(&data), self.place(&data));
                let repeated = data[range].to_vec();
                data.splice(at..at, repeated);
            }
            5 => {
                let other = self.seed();
                let (head, tail) = (self.place(&data), self.place(&other));
                data.truncate(head);
                data.extend_from_slice(&other[tail..]);
            }
            6 => {
                let (at, word) = (self.place(&data), self.word());
                data.splice(at..at, word);
            }
            _ => {
                let (start, word) = (self.place(&data), self.word());
                let end = (start + word.len()).min(data.len());
                data.splice(start..end, word);
            }
        }
        data
    }

    /// Changes one place of the JSON document that the input begins with; what comes
    /// after the document stays.
    fn change_json(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let mut documents = serde_json::Deserializer::from_slice(data).into_iter::<Value>();
        let mut document = documents.next()?.ok()?;
        let rest = &data[documents.byte_offset()..];
        let place = self.random.random_range(0..count(&document));
        let node = nth(&mut document, &mut { place })?;
        self.change_node(node);
        let mut data = serde_json::to_vec(&document).ok()?;
        data.extend_from_slice(rest);
        Some(data)
    }

    fn change_node(&mut self, node: &mut Value) {
        match (self.random.random_range(0..6), &mut *node) {
            (0 | 1, Value::Object(fields)) => self.change_fields(fields),
            (0 | 1, Value::Array(items)) => {
                let item = match items.choose(&mut self.random) {
                    Some(item) if self.random.random_bool(0.5) => item.clone(),
                    _ => self.value(),
                };
                items.insert(self.random.random_range(0..=items.len()), item);
            }
            (0 | 1, Value::String(text)) => {
                let bytes = self.change_bytes(std::mem::take(text).into_bytes());
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            (2, _) => *node = Value::Array(vec![node.take()]),
            (3, _) => {
                let word = String::from_utf8_lossy(&self.word()).into_owned();
                *node = json!({ word: node.take() });
            }
            (4, _) => *node = Value::String(String::from_utf8_lossy(&self.word()).into_owned()),
            _ => *node = self.value(),
        }
    }

    fn change_fields(&mut self, fields: &mut Map<String, Value>) {
        let keys: Vec<String> = fields.keys().cloned().collect();
        let key = keys.choose(&mut self.random).cloned().unwrap_or_default();
        let word = String::from_utf8_lossy(&self.word()).into_owned();
        match self.random.random_range(0..4) {
            0 => {
                fields.remove(&key);
            }
            1 => {
                let value = fields.remove(&key).unwrap_or_default();
                fields.insert(word, value);
            }
            2 => {
                let value = fields.get(&key).cloned().unwrap_or_default();
                fields.insert(word, value);
            }
            _ => {
                let value = self.value();
                fields.insert(word, value);
            }
        }
    }

    /// A value that readers tend to forget.
    fn value(&mut self) -> Value {
        match self.random.random_range(0..12) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(0),
            3 => json!(-1),
            4 => json!(u64::MAX),
            5 => json!(1e300),
            6 => json!(""),
            7 => json!("\u{0}\u{1}\u{feff}\u{10ffff}`\"."),
            8 => json!("x".repeat(self.random.random_range(200..600))),
            9 => json!([]),
            10 => json!({}),
            _ => json!(self.random.next_u32()),
        }
    }
}

/// How many values a document is made of.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value number `left` of the document, counted from the outside.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|value| nth(value, left)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn mutants(seeds: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
        let words = [b"word".to_vec()];
        let random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut mutator = Mutator::new(seeds, &words, random);
        std::iter::repeat_with(|| mutator.mutant())
            .take(count)
            .collect()
    }

    #[test]
    fn a_run_makes_the_same_mutants_as_the_last() {
        let seeds = [
            br#"{"a":[1,"two",{"three":null}]}"#.to_vec(),
            b"no json".to_vec(),
        ];
        assert_eq!(mutants(&seeds, 500), mutants(&seeds, 500));
    }

    #[test]
    fn many_mutants_differ_and_many_are_still_json() {
        let seeds = [br#"{"a":[1,"two",{"three":null}]}"#.to_vec()];
        let made = mutants(&seeds, 500);
        let different: std::collections::BTreeSet<_> = made.iter().collect();
        let json = made
            .iter()
            .filter(|data| serde_json::from_slice::<Value>(data).is_ok());
        assert!(different.len() > 400, "{} of 500 differ", different.len());
        let json = json.count();
        assert!((100..450).contains(&json), "{json} of 500 are JSON");
    }

    #[test]
    fn nothing_to_start_from_is_no_reason_to_stop() {
        assert_eq!(mutants(&[Vec::new()], 100).len(), 100);
    }

    #[test]
    fn every_value_of_a_document_can_be_reached() {
        let mut document = json!({"a": [1, {"b": 2}], "c": "3"});
        assert_eq!(count(&document), 6);
        let shown: Vec<String> = (0..6)
            .map(|place| nth(&mut document, &mut { place }).unwrap().to_string())
            .collect();
        assert_eq!(
            shown[1..],
            [r#"[1,{"b":2}]"#, "1", r#"{"b":2}"#, "2", r#""3""#]
        );
        assert!(nth(&mut document, &mut 6).is_none());
    }
}
