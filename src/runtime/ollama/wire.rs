//! What Ollama writes, read tolerantly: a field that is missing, negative or of
//! another type is unknown, and its entry stays. These types never leave here.
//!
//! Read as a stream into the few fields we keep, never into a tree of values: a
//! body of rubbish must not cost many times its size.

mod show;

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::model::{Expiry, InstalledModel, LoadedModel, ModelName};
use crate::domain::text::clean;
use crate::domain::{Bytes, RuntimeFault, RuntimeFaultKind};

pub use self::show::{Shown, details};

/// More models than anybody has installed; the rest of a list is left unread.
const MOST_ENTRIES: usize = 4096;

/// More capabilities, or families in one file, than any model has.
const MOST_WORDS: usize = 32;

/// 1 PiB: a size beyond every machine is an error, not a size.
const MOST_BYTES: u64 = 1 << 50;

/// 2200-01-01. "For ever" is written as about 292 years ahead; nothing else
/// reaches so far.
const FOR_EVER: i64 = 7_258_118_400;

pub fn version(body: Vec<u8>) -> Result<String, RuntimeFault> {
    let answer: VersionAnswer = read(body)?;
    match answer.version.text() {
        Some(version) => Ok(version),
        None => Err(rubbish("no version in it")),
    }
}

pub fn loaded(body: Vec<u8>) -> Result<Vec<LoadedModel>, RuntimeFault> {
    let answer: ListAnswer = read(body)?;
    Ok(by_name(answer.entries()?, Entry::into_loaded, |model| &model.name))
}

pub fn installed(body: Vec<u8>) -> Result<Vec<InstalledModel>, RuntimeFault> {
    let answer: ListAnswer = read(body)?;
    Ok(by_name(answer.entries()?, Entry::into_installed, |model| &model.name))
}

/// The answer to a load or an unload: an object that does not speak of an error.
pub fn done(body: Vec<u8>) -> Result<(), RuntimeFault> {
    let answer: DoneAnswer = read(body)?;
    match answer.error.text() {
        // A load that fails late has sent its 200 already.
        Some(error) => Err(RuntimeFault::new(RuntimeFaultKind::Status(200), error)),
        None => Ok(()),
    }
}

/// A name that says the model runs elsewhere.
pub fn is_cloud_name(name: &ModelName) -> bool {
    let tag = name.as_str().rsplit(':').next().unwrap_or_default();
    tag == "cloud" || tag.ends_with("-cloud")
}

fn read<T: DeserializeOwned>(mut body: Vec<u8>) -> Result<T, RuntimeFault> {
    match serde_json::from_slice(&body) {
        Ok(answer) => Ok(answer),
        Err(_) if blank_endless_numbers(&mut body) => {
            serde_json::from_slice(&body).map_err(|error| rubbish(&error.to_string()))
        }
        Err(error) => Err(rubbish(&error.to_string())),
    }
}

pub fn rubbish(what: &str) -> RuntimeFault {
    let detail = format!("not an answer Ollama gives: {}", clean(what));
    RuntimeFault::new(RuntimeFaultKind::Rubbish, detail)
}

/// Writes `null` over numbers no float can hold (`1e400`): one of them makes
/// the parser refuse the whole answer. True when there was one.
fn blank_endless_numbers(body: &mut [u8]) -> bool {
    let mut found = false;
    let mut in_text = false;
    let mut at = 0;
    while at < body.len() {
        match body[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'-' | b'0'..=b'9' if !in_text => {
                let rest = &body[at..];
                let is_part = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                let length = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
                let number = std::str::from_utf8(&rest[..length]).ok();
                let number = number.and_then(|text| text.parse::<f64>().ok());
                // The shortest such number, `1e309`, has room for `null`.
                if number.is_some_and(f64::is_infinite) && length >= 4 {
                    body[at..at + 4].copy_from_slice(b"null");
                    body[at + 4..at + length].fill(b' ');
                    found = true;
                }
                at += length.max(1) - 1;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// One of each name, the first; entries without a usable name are left out.
fn by_name<M>(
    entries: Vec<Entry>,
    into: impl Fn(Entry) -> Option<M>,
    name: impl Fn(&M) -> &ModelName,
) -> Vec<M> {
    let mut seen = BTreeSet::new();
    entries.into_iter().filter_map(into).filter(|model| seen.insert(name(model).clone())).collect()
}

#[derive(Deserialize)]
struct VersionAnswer {
    #[serde(default)]
    version: Scalar,
}

#[derive(Deserialize)]
struct DoneAnswer {
    #[serde(default)]
    error: Scalar,
}

#[derive(Deserialize)]
struct ListAnswer {
    #[serde(default)]
    models: Loose<IgnoredAny, Object<Entry>>,
}

impl ListAnswer {
    fn entries(self) -> Result<Vec<Entry>, RuntimeFault> {
        match self.models {
            Loose::List(entries) => Ok(entries.into_iter().filter_map(Loose::object).collect()),
            // The servers write `[]`; a null list is how their language writes
            // an empty one.
            Loose::Null => Ok(Vec::new()),
            _ => Err(rubbish("no list of models in it")),
        }
    }
}

/// An entry of either list; each list fills some of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    name: Scalar,
    model: Scalar,
    digest: Scalar,
    size: Scalar,
    size_vram: Scalar,
    context_length: Scalar,
    expires_at: Scalar,
    modified_at: Scalar,
    details: Object<EntryDetails>,
    capabilities: Texts,
    remote_host: Scalar,
    remote_model: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EntryDetails {
    family: Scalar,
    parameter_size: Scalar,
    quantization_level: Scalar,
    context_length: Scalar,
}

impl Entry {
    fn name(&self) -> Option<ModelName> {
        self.name.text().or_else(|| self.model.text()).map(ModelName::new)
    }

    fn is_cloud(&self, name: &ModelName) -> bool {
        self.remote_host.text().or_else(|| self.remote_model.text()).is_some()
            || is_cloud_name(name)
    }

    fn into_loaded(self) -> Option<LoadedModel> {
        let name = self.name()?;
        let is_cloud = self.is_cloud(&name);
        let details = self.details.object().unwrap_or_default();
        // Nothing that is loaded takes no memory.
        let reported = self.size.bytes().filter(|size| !size.is_zero());
        let vram = self.size_vram.bytes();
        Some(LoadedModel {
            digest: self.digest.text().unwrap_or_default(),
            reported,
            // More than the whole: nobody knows how much, then.
            vram: vram.filter(|vram| reported.is_none_or(|size| *vram <= size)),
            context: self.context_length.count().filter(|context| *context > 0),
            expires: self.expires_at.raw_text().and_then(expiry),
            parameters: details.parameter_size.text(),
            quantization: details.quantization_level.text(),
            family: details.family.text(),
            is_cloud,
            name,
        })
    }

    fn into_installed(self) -> Option<InstalledModel> {
        let name = self.name()?;
        let is_cloud = self.is_cloud(&name);
        let details = self.details.object().unwrap_or_default();
        Some(InstalledModel {
            digest: self.digest.text().unwrap_or_default(),
            disk: self.size.bytes().filter(|size| !size.is_zero()),
            parameters: details.parameter_size.text(),
            quantization: details.quantization_level.text(),
            family: details.family.text(),
            max_context: details.context_length.count().filter(|context| *context > 0),
            capabilities: self.capabilities.texts(),
            modified: self.modified_at.raw_text().and_then(|at| at.parse().ok()),
            is_cloud,
            name,
        })
    }
}

/// The zero time of an unset field is unknown; a past one means "stopping".
fn expiry(text: &str) -> Option<Expiry> {
    let at: Timestamp = text.parse().ok()?;
    match at.as_second() {
        ..0 => None,
        FOR_EVER.. => Some(Expiry::Never),
        _ => Some(Expiry::At(at)),
    }
}

/// Any value: `O` is read from an object and `L` from each entry of a list;
/// what nobody asks for is skipped without being kept.
#[derive(Default)]
enum Loose<O, L> {
    #[default]
    Missing,
    Null,
    Count(u64),
    Text(String),
    Object(O),
    List(Vec<L>),
    Useless,
}

type Scalar = Loose<IgnoredAny, IgnoredAny>;
type Object<O> = Loose<O, IgnoredAny>;
type Texts = Loose<IgnoredAny, Scalar>;

impl<O, L> Loose<O, L> {
    fn count(&self) -> Option<u64> {
        match self {
            Loose::Count(count) => Some(*count),
            _ => None,
        }
    }

    fn bytes(&self) -> Option<Bytes> {
        self.count().filter(|bytes| *bytes <= MOST_BYTES).map(Bytes::new)
    }

    fn raw_text(&self) -> Option<&str> {
        match self {
            Loose::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Cleaned, and something is left of it.
    fn text(&self) -> Option<String> {
        self.raw_text().map(clean).filter(|text| !text.is_empty())
    }

    fn object(self) -> Option<O> {
        match self {
            Loose::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl Texts {
    fn texts(&self) -> Vec<String> {
        match self {
            Loose::List(list) => list.iter().filter_map(Loose::text).take(MOST_WORDS).collect(),
            _ => Vec::new(),
        }
    }
}

impl<'de, O, L> Deserialize<'de> for Loose<O, L>
where
    O: DeserializeOwned,
    L: DeserializeOwned,
{
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(LooseVisitor(PhantomData))
    }
}

/// A count that was written with a point.
fn whole(number: f64) -> Option<u64> {
    // Beyond 2^53 a float has no exact count to give.
    let is_count = number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0;
    is_count.then_some(number as u64)
}

struct LooseVisitor<O, L>(PhantomData<(O, L)>);

impl<'de, O, L> Visitor<'de> for LooseVisitor<O, L>
where
    O: DeserializeOwned,
    L: DeserializeOwned,
{
    type Value = Loose<O, L>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Self::Value, E> {
        Ok(Loose::Count(count))
    }

    fn visit_i64<E>(self, _negative: i64) -> Result<Self::Value, E> {
        Ok(Loose::Useless)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(whole(number).map_or(Loose::Useless, Loose::Count))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Loose::Useless)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MOST_ENTRIES {
            match list.next_element()? {
                Some(entry) => kept.push(entry),
                None => return Ok(Loose::List(kept)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::List(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(Loose::Object)
    }
}

#[cfg(test)]
mod tests;
