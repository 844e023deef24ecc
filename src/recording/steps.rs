//! Changes laid over a sample while they are read, without a JSON tree between.
//!
//! What [`super::delta`] writes, for the shapes that change with each sample;
//! the rest goes through that module. A whole value is a list of one.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::delta;
use crate::domain::bytes::Bytes;
use crate::domain::fault::SensorFault;
use crate::domain::group::Group;
use crate::domain::process::{Process, ProcessKey, ProcessMemory, ProcessRole, ProcessTable};
use crate::domain::sample::{
    AvailableSource, Gpu, Memory, MemoryLimit, MemoryParts, Paging, Pressure, Reading, Sample,
    Stall, Swap, Zram,
};
use crate::domain::text::clean;

/// What a change can be laid over.
pub(super) trait Steps {
    /// Reads one change.
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error>;
}

/// A change to be read for that value.
pub(super) struct Step<'a, T>(pub(super) &'a mut T);

impl<'de, T: Steps> DeserializeSeed<'de> for Step<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, change: D) -> Result<(), D::Error> {
        self.0.step(change)
    }
}

/// Cleans all text in a value from outside.
pub(super) fn clean_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = clean(text),
        Value::Array(list) => list.iter_mut().for_each(clean_all),
        Value::Object(map) => map.values_mut().for_each(clean_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The one new value of a list of one.
fn whole<'de, T: DeserializeOwned, A: SeqAccess<'de>>(mut list: A) -> Result<T, A::Error> {
    let mut value: Value =
        list.next_element()?.ok_or_else(|| Error::custom("a change to no value"))?;
    if list.next_element::<IgnoredAny>()?.is_some() {
        return Err(Error::custom("a change to more than one value"));
    }
    clean_all(&mut value);
    T::deserialize(value).map_err(Error::custom)
}

/// A change of a shape that is not known here.
fn by_value<'de, T, D>(state: &mut T, change: D) -> Result<(), D::Error>
where
    T: Serialize + DeserializeOwned,
    D: Deserializer<'de>,
{
    lay_over(state, Value::deserialize(change)?)
}

fn lay_over<T, E>(state: &mut T, mut change: Value) -> Result<(), E>
where
    T: Serialize + DeserializeOwned,
    E: Error,
{
    clean_all(&mut change);
    let mut value = serde_json::to_value(&*state).map_err(Error::custom)?;
    delta::apply(&mut value, change).map_err(Error::custom)?;
    *state = T::deserialize(value).map_err(Error::custom)?;
    Ok(())
}

/// The name of a field, not copied where it needs not be.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text)
    }
}

/// Structures: a change of fields by their short or long names.
macro_rules! fields {
    ($type:ty { $($name:pat => $field:ident),+ $(,)? }) => {
        impl Steps for $type {
            fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
                struct Fields<'a>(&'a mut $type);
                impl<'de> Visitor<'de> for Fields<'_> {
                    type Value = ();
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a change of its fields")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                        while let Some(Name(name)) = map.next_key()? {
                            match &*name {
                                $($name => map.next_value_seed(Step(&mut self.0.$field))?,)+
                                name if delta::is_short(name) => {
                                    return Err(Error::custom(format!("`{name}` out of place")));
                                }
                                // Of a newer writer that says more.
                                _ => drop(map.next_value::<IgnoredAny>()?),
                            }
                        }
                        Ok(())
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
                        *self.0 = whole(list)?;
                        Ok(())
                    }
                }
                change.deserialize_any(Fields(self))
            }
        }
    };
}

fields!(Body {
    "m" | "memory" => memory,
    "s" | "swap" => swap,
    "p" | "pressure" => pressure,
    "g" | "paging" => paging,
    "z" | "zram" => zram,
    "l" | "limit" => limit,
    "G" | "gpus" => gpus,
    "P" | "processes" => processes,
    "K" | "groups" => groups,
});
fields!(Memory {
    "t" | "total" => total,
    "a" | "available" => available,
    "f" | "free" => free,
    "available_source" => available_source,
    "q" | "parts" => parts,
});
fields!(Swap { "t" | "total" => total, "u" | "used" => used });
fields!(Stall {
    "1" | "avg10" => avg10,
    "6" | "avg60" => avg60,
    "3" | "avg300" => avg300,
    "T" | "total_us" => total_us,
});
fields!(Paging {
    "i" | "swapped_in" => swapped_in,
    "w" | "swapped_out" => swapped_out,
    "M" | "major_faults" => major_faults,
    "F" | "refaults_file" => refaults_file,
    "refaults_anon" => refaults_anon,
    "oom_kills" => oom_kills,
});
fields!(ProcessTable {
    "S" | "servers" => servers,
    "R" | "runners" => runners,
    "o" | "others" => others,
    "r" | "rest" => rest,
    "count" => count,
    "reapers" => reapers,
    "N" | "named" => named,
});
fields!(Process {
    "key" => key,
    "parent" => parent,
    "name" => name,
    "role" => role,
    "uid" => uid,
    "m" | "memory" => memory,
    "C" | "cpu" => cpu,
    "is_zombie" => is_zombie,
    "matched" => matched,
});
fields!(ProcessKey { "pid" => pid, "started" => started });
fields!(ProcessMemory {
    "e" | "resident" => resident,
    "A" | "anonymous" => anonymous,
    "I" | "file" => file,
    "h" | "shared" => shared,
    "W" | "swapped" => swapped,
    "proportional" => proportional,
    "physical_footprint" => physical_footprint,
});

/// A sample, whose time goes by steps of its own.
type Body = Sample;

/// Unsigned numbers: a step up or down, wrapping, or the new one whole.
trait Counted: Copy + DeserializeOwned {
    fn count(self) -> u64;
    fn counted(count: u64) -> Option<Self>;
}

impl Counted for u64 {
    fn count(self) -> u64 {
        self
    }
    fn counted(count: u64) -> Option<Self> {
        Some(count)
    }
}

impl Counted for u32 {
    fn count(self) -> u64 {
        u64::from(self)
    }
    fn counted(count: u64) -> Option<Self> {
        u32::try_from(count).ok()
    }
}

impl Counted for Bytes {
    fn count(self) -> u64 {
        self.get()
    }
    fn counted(count: u64) -> Option<Self> {
        Some(Bytes::new(count))
    }
}

/// A number that may be absent: `null` is a field that is gone.
struct Count<'a, T>(&'a mut Option<T>);

impl<T: Counted> Count<'_, T> {
    fn by<E: Error>(self, step: i64) -> Result<(), E> {
        let old = self.0.ok_or_else(|| E::custom("a step of a number that is not there"))?;
        let new = T::counted(old.count().wrapping_add(step as u64));
        *self.0 = Some(new.ok_or_else(|| E::custom("a step out of range"))?);
        Ok(())
    }
}

impl<'de, T: Counted> Visitor<'de> for Count<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step of a number")
    }

    fn visit_i64<E: Error>(self, step: i64) -> Result<(), E> {
        self.by(step)
    }

    fn visit_u64<E: Error>(self, step: u64) -> Result<(), E> {
        let step = i64::try_from(step);
        self.by(step.map_err(|_| E::custom("a step out of range"))?)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.0 = None;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        *self.0 = whole(list)?;
        Ok(())
    }
}

macro_rules! counts {
    ($($type:ty),+) => {$(
        impl Steps for $type {
            fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
                let mut new = Some(*self);
                change.deserialize_any(Count(&mut new))?;
                *self = new.ok_or_else(|| Error::custom("a field that is missing"))?;
                Ok(())
            }
        }
        impl Steps for Option<$type> {
            fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
                change.deserialize_any(Count(self))
            }
        }
    )+};
}

counts!(u32, u64, Bytes);

/// What changes seldom, or is always written whole.
macro_rules! by_value {
    ($($type:ty),+) => {$(
        impl Steps for $type {
            fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
                by_value(self, change)
            }
        }
    )+};
}

by_value!(f64, bool, String, AvailableSource, ProcessRole, SensorFault, Zram, MemoryLimit, Stalled);
by_value!(Vec<Gpu>, Vec<Group>, Vec<u32>);

/// A second stall that a kernel may lack.
type Stalled = Option<Stall>;

impl Steps for Vec<String> {
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
        // Not written where it is empty.
        match Value::deserialize(change)? {
            Value::Null => self.clear(),
            change => lay_over(self, change)?,
        }
        Ok(())
    }
}

impl Steps for Option<Duration> {
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
        change.deserialize_any(Span(self))
    }
}

/// Seconds and nanoseconds, each by steps.
struct Span<'a>(&'a mut Option<Duration>);

impl<'de> Visitor<'de> for Span<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change of a span of time")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let old = self.0.ok_or_else(|| A::Error::custom("a step of a span that is not there"))?;
        let (mut seconds, mut nanos) = (old.as_secs(), old.subsec_nanos());
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "secs" => map.next_value_seed(Step(&mut seconds))?,
                "n" | "nanos" => map.next_value_seed(Step(&mut nanos))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if nanos >= 1_000_000_000 {
            return Err(Error::invalid_value(Unexpected::Unsigned(nanos.into()), &"nanoseconds"));
        }
        *self.0 = Some(Duration::new(seconds, nanos));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        *self.0 = whole(list)?;
        Ok(())
    }
}

impl Steps for MemoryParts {
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
        let change = Value::deserialize(change)?;
        let MemoryParts::Linux { anonymous, cached, shared, slab_unreclaimable } = self else {
            return lay_over(self, change);
        };
        // Steps of the usual numbers; anything else the long way.
        let Value::Object(steps) = &change else { return lay_over(self, change) };
        let mut new = [*anonymous, *cached, *shared, *slab_unreclaimable];
        for (name, step) in steps {
            let place = ["A", "c", "h", "b"].iter().position(|short| short == name);
            let (Some(place), Some(step)) = (place, step.as_i64()) else {
                return lay_over(self, change);
            };
            Count(&mut new[place]).by(step)?;
        }
        [*anonymous, *cached, *shared, *slab_unreclaimable] = new;
        Ok(())
    }
}

impl Steps for Pressure {
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
        let change = Value::deserialize(change)?;
        if let (Pressure::Psi { some, full }, Value::Object(steps)) = (&mut *self, &change) {
            let is_usual = |(name, step): (&String, &Value)| {
                step.is_object() && (name == "y" || name == "Y" && full.is_some())
            };
            if steps.iter().all(is_usual) {
                for (name, step) in steps {
                    match (name.as_str(), full.as_mut()) {
                        ("Y", Some(full)) => full.step(step).map_err(Error::custom)?,
                        _ => some.step(step).map_err(Error::custom)?,
                    }
                }
                return Ok(());
            }
        }
        lay_over(self, change)
    }
}

impl<T> Steps for Reading<T>
where
    T: Steps + DeserializeOwned,
{
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
        change.deserialize_any(Read(self))
    }
}

/// A reading: what was read changes, or whether it was read.
struct Read<'a, T>(&'a mut Reading<T>);

impl<'de, T: Steps + DeserializeOwned> Visitor<'de> for Read<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change of a reading")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut new, mut is_gone) = (None, false);
        while let Some(Name(name)) = map.next_key()? {
            match (&*name, &mut *self.0) {
                ("O" | "Ok", Ok(value)) => is_gone |= map.next_value_seed(OrGone(value))?,
                ("E" | "Err", Err(fault)) => is_gone |= map.next_value_seed(OrGone(fault))?,
                ("O" | "Ok", Err(_)) => new = Some(Ok(map.next_value::<One<T>>()?.0)),
                ("E" | "Err", Ok(_)) => new = Some(Err(map.next_value::<One<_>>()?.0)),
                _ => return Err(Error::custom("a change of neither value nor fault")),
            }
        }
        match (new, is_gone) {
            (None, false) => Ok(()),
            (Some(new), true) => {
                *self.0 = new;
                Ok(())
            }
            _ => Err(Error::custom("a reading that is both value and fault, or neither")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        *self.0 = whole(list)?;
        Ok(())
    }
}

/// A whole value, in its list of one.
struct One<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let [mut value] = <[Value; 1]>::deserialize(from)?;
        clean_all(&mut value);
        T::deserialize(value).map(One).map_err(Error::custom)
    }
}

/// A change, or `null`: it is gone.
struct OrGone<'a, T>(&'a mut T);

impl<'de, T: Steps> DeserializeSeed<'de> for OrGone<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, change: D) -> Result<bool, D::Error> {
        change.deserialize_option(self)
    }
}

impl<'de, T: Steps> Visitor<'de> for OrGone<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change or null")
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_some<D: Deserializer<'de>>(self, change: D) -> Result<bool, D::Error> {
        self.0.step(change)?;
        Ok(false)
    }
}

impl Steps for Vec<Process> {
    fn step<'de, D: Deserializer<'de>>(&mut self, change: D) -> Result<(), D::Error> {
        change.deserialize_any(Processes(self))
    }
}

/// A list of processes: changes by pid, and its order where that is needed.
struct Processes<'a>(&'a mut Vec<Process>);

impl<'de> Visitor<'de> for Processes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("changes of processes by their pids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut order: Option<Vec<u32>> = None;
        let mut came: Vec<Process> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if name == delta::ORDER {
                order = Some(map.next_value()?);
                continue;
            }
            let pid: u32 =
                name.parse().map_err(|_| A::Error::custom(format!("`{name}` is no pid")))?;
            match self.0.iter().position(|process| process.key.pid == pid) {
                None => came.push(map.next_value::<One<Process>>()?.0),
                Some(place) => {
                    if map.next_value_seed(OrGone(&mut self.0[place]))? {
                        self.0.remove(place);
                    }
                }
            }
        }
        // Without an order, those that came are in that of their pids.
        came.sort_by_key(|process| process.key.pid);
        self.0.append(&mut came);
        match order {
            Some(order) => reorder(self.0, &order).map_err(Error::custom),
            None => Ok(()),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        *self.0 = whole(list)?;
        Ok(())
    }

    /// Not written where it is empty.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.clear();
        Ok(())
    }
}

fn reorder(processes: &mut [Process], order: &[u32]) -> Result<(), delta::Misfit> {
    if order.len() != processes.len() {
        return Err(format!("an order of {} for {} processes", order.len(), processes.len()));
    }
    let place = |process: &Process| order.iter().position(|pid| *pid == process.key.pid);
    if processes.iter().any(|process| place(process).is_none()) {
        return Err("an order that leaves a process out".to_owned());
    }
    processes.sort_by_key(place);
    Ok(())
}
