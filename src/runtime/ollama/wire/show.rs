//! The answer of `/api/show`: who a model is, and the shape its memory follows
//! from. As the rest, it is read as a stream: of a vocabulary nothing stays,
//! and of the tensors only their sums.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{EntryDetails, Loose, Object, Scalar, Texts, read, rubbish, whole};
use crate::domain::model::ModelDetails;
use crate::domain::tensors::{MOST_DIMENSIONS, TensorType, Tensors};
use crate::domain::{BlobDigest, RuntimeFault};
use crate::runtime::metadata::{MOST_LAYERS, Metadata, Value};

/// Longest name of a tensor's type looked at: `IQ2_XXS` and its like.
const LONGEST_TYPE: usize = 16;

/// The largest context anybody could mean.
const MOST_CONTEXT: u64 = 1 << 31;

/// What an answer says, and what it holds back.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    pub details: ModelDetails,
    /// A list with a number for each layer was not sent: it is with `verbose`.
    pub lacks_lists: bool,
    /// The file of the vision part, where it is one of its own.
    pub projector: Option<BlobDigest>,
}

/// A fault where the body is no JSON, or says nothing about a model.
pub fn details(body: Vec<u8>) -> Result<Shown, RuntimeFault> {
    let answer: ShowAnswer = read(body)?;
    if answer.is_empty() {
        return Err(rubbish("nothing about a model in it"));
    }
    Ok(answer.into_shown())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ShowAnswer {
    modelfile: Scalar,
    parameters: Scalar,
    capabilities: Texts,
    model_info: Object<Info>,
    projector_info: Object<Info>,
    tensors: TensorList,
    details: Object<EntryDetails>,
    remote_host: Scalar,
    remote_model: Scalar,
}

impl ShowAnswer {
    fn is_empty(&self) -> bool {
        self.modelfile.raw_text().is_none()
            && !matches!(self.model_info, Loose::Object(_))
            && self.capabilities.texts().is_empty()
            && !matches!(self.details, Loose::Object(_))
    }

    fn into_shown(self) -> Shown {
        let info = self.model_info.object().unwrap_or_default().metadata;
        let projector_info = self.projector_info.object().filter(|info| !info.is_empty);
        let capabilities = self.capabilities.texts();
        let mut shape = info.shape(self.tensors.0, &capabilities);
        if let (Some(shape), Some(projector)) = (&mut shape, &projector_info) {
            shape.weights.projector = projector.metadata.rough_size();
        }
        let mut blobs = self.modelfile.raw_text().map(blobs_of).unwrap_or_default().into_iter();
        let details = ModelDetails {
            blob: blobs.next(),
            max_context: info.max_context(),
            architecture: info.architecture(),
            capabilities,
            own_context: self.parameters.raw_text().and_then(own_context),
            is_cloud: self.remote_host.text().or_else(|| self.remote_model.text()).is_some(),
            shape: shape.map(Box::new),
        };
        let projector = projector_info.and_then(|_| blobs.next());
        Shown { details, lacks_lists: info.lacks_lists(), projector }
    }
}

/// The files that `FROM` lines name: the weights, then a projector.
fn blobs_of(modelfile: &str) -> Vec<BlobDigest> {
    let blobs = modelfile.lines().filter_map(|line| {
        let (keyword, path) = line.trim().split_once(char::is_whitespace)?;
        keyword.eq_ignore_ascii_case("from").then_some(())?;
        BlobDigest::from_blob_path(path.trim().trim_matches('"'))
    });
    blobs.take(2).collect()
}

/// `num_ctx` among the parameters' lines; the last one stands.
fn own_context(parameters: &str) -> Option<u64> {
    let said = parameters.lines().rev().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("num_ctx")).then(|| words.next())?
    });
    let context = said?.trim_matches('"').parse().ok()?;
    (1..=MOST_CONTEXT).contains(&context).then_some(context)
}

/// `model_info` or `projector_info`.
struct Info {
    metadata: Metadata,
    is_empty: bool,
}

impl Default for Info {
    fn default() -> Self {
        Info { metadata: Metadata::default(), is_empty: true }
    }
}

impl<'de> Deserialize<'de> for Info {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_map(InfoVisitor)
    }
}

struct InfoVisitor;

impl<'de> Visitor<'de> for InfoVisitor {
    type Value = Info;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the model's metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Info, A::Error> {
        let mut info = Info::default();
        while let Some(key) = map.next_key::<String>()? {
            info.is_empty = false;
            if !Metadata::wants(&key) {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(value) = map.next_value::<Told>()?.0 {
                info.metadata.insert(key, value);
            }
        }
        Ok(info)
    }
}

/// A value of the metadata; `None` is one that says nothing.
struct Told(Option<Value>);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(ToldVisitor).map(Told)
    }
}

struct ToldVisitor;

impl<'de> Visitor<'de> for ToldVisitor {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Self::Value, E> {
        Ok(Some(Value::Count(count)))
    }

    fn visit_i64<E>(self, _negative: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(whole(number).map(Value::Count))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Truth(truth)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Value::Word(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Some(Value::Withheld))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < MOST_LAYERS {
            match list.next_element::<Told>()? {
                Some(entry) => entries.push(entry.0),
                None => break,
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(list_of(&entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Numbers or truths; of words not even the count is known, since long lists
/// come cut.
fn list_of(entries: &[Option<Value>]) -> Option<Value> {
    if let Some(Value::Truth(_)) = entries.first()? {
        let truths = entries.iter().map(|entry| match entry {
            Some(Value::Truth(truth)) => Some(*truth),
            _ => None,
        });
        return truths.collect::<Option<Vec<bool>>>().map(Value::Truths);
    }
    let counts = entries.iter().map(|entry| match entry {
        Some(Value::Count(count)) => Some(Some(*count)),
        None => Some(None),
        Some(_) => None,
    });
    counts.collect::<Option<Vec<_>>>().map(Value::Counts)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TensorEntry {
    name: Scalar,
    r#type: Scalar,
    shape: Loose<IgnoredAny, Scalar>,
}

impl TensorEntry {
    fn add_to(self, tensors: &mut Tensors) {
        let (Some(name), Loose::List(shape)) = (self.name.raw_text(), &self.shape) else {
            return tensors.add_unreadable();
        };
        let kind = self.r#type.raw_text().filter(|kind| kind.len() <= LONGEST_TYPE);
        // One more than there may be is kept, so that it is seen.
        let dimensions = shape.iter().take(MOST_DIMENSIONS + 1).map(Loose::count);
        match dimensions.collect::<Option<Vec<u64>>>() {
            Some(dimensions) => tensors.add(name, kind.and_then(TensorType::named), &dimensions),
            None => tensors.add_unreadable(),
        }
    }
}

/// The list of tensors; nothing where it is no list.
#[derive(Default)]
struct TensorList(Tensors);

impl<'de> Deserialize<'de> for TensorList {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(TensorVisitor).map(TensorList)
    }
}

struct TensorVisitor;

impl<'de> Visitor<'de> for TensorVisitor {
    type Value = Tensors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tensors")
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tensors, E> {
        Ok(Tensors::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tensors, E> {
        Ok(Tensors::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tensors, E> {
        Ok(Tensors::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tensors, E> {
        Ok(Tensors::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Tensors, E> {
        Ok(Tensors::default())
    }

    fn visit_unit<E>(self) -> Result<Tensors, E> {
        Ok(Tensors::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tensors, A::Error> {
        let mut tensors = Tensors::default();
        while let Some(entry) = list.next_element::<Object<TensorEntry>>()? {
            match entry {
                Loose::Object(entry) => entry.add_to(&mut tensors),
                _ => tensors.add_unreadable(),
            }
        }
        Ok(tensors)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensors, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Tensors::default())
    }
}

#[cfg(test)]
mod tests;
