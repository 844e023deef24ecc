//! The difference of two JSON values, small where numbers move a little.
//!
//! A change is: an integer, the step of an unsigned number; an object, changes
//! by key, `null` for a key that is gone; a list of one, the new value whole.
//! A list of processes changes by pid, one of groups by `/` and name, with `o`
//! for its order where that is not simply the old one and then the new ones.
//! Keys are shortened.

use serde_json::{Map, Value};

/// Long names and their short ones. Append only; a short name means the same
/// for ever.
const SHORT: [(&str, &str); 41] = [
    ("Ok", "O"),
    ("Err", "E"),
    ("memory", "m"),
    ("swap", "s"),
    ("pressure", "p"),
    ("paging", "g"),
    ("zram", "z"),
    ("limit", "l"),
    ("gpus", "G"),
    ("processes", "P"),
    ("total", "t"),
    ("available", "a"),
    ("free", "f"),
    ("parts", "q"),
    ("anonymous", "A"),
    ("cached", "c"),
    ("shared", "h"),
    ("slab_unreclaimable", "b"),
    ("used", "u"),
    ("some", "y"),
    ("full", "Y"),
    ("avg10", "1"),
    ("avg60", "6"),
    ("avg300", "3"),
    ("total_us", "T"),
    ("major_faults", "M"),
    ("refaults_file", "F"),
    ("swapped_in", "i"),
    ("swapped_out", "w"),
    ("servers", "S"),
    ("runners", "R"),
    ("others", "o"),
    ("rest", "r"),
    ("resident", "e"),
    ("cpu", "C"),
    ("nanos", "n"),
    ("file", "I"),
    ("named", "N"),
    ("groups", "K"),
    ("swapped", "W"),
    ("stalled", "X"),
];

/// The order of a list. No pid is spelled so, and no name behind its slash.
pub(super) const ORDER: &str = "o";

fn short(key: &str) -> &str {
    SHORT.iter().find(|(long, _)| *long == key).map_or(key, |(_, short)| short)
}

/// It stands for a longer name.
pub(super) fn is_short(key: &str) -> bool {
    SHORT.iter().any(|(_, short)| *short == key)
}

fn long(key: &str) -> &str {
    SHORT.iter().find(|(_, short)| *short == key).map_or(key, |(long, _)| long)
}

/// What turns `old` into `new`; `None` where nothing does.
pub(super) fn between(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => Some(between_objects(old, new)),
        (Value::Array(before), Value::Array(after)) => {
            Some(between_lists(before, after).unwrap_or_else(|| whole(new)))
        }
        (Value::Number(before), Value::Number(after)) => {
            let step = before.as_u64().zip(after.as_u64());
            // Wrapping: any step between two 64-bit numbers fits.
            Some(step.map_or_else(|| whole(new), |(b, a)| (a.wrapping_sub(b) as i64).into()))
        }
        _ => Some(whole(new)),
    }
}

fn whole(value: &Value) -> Value {
    Value::Array(vec![value.clone()])
}

fn between_objects(old: &Map<String, Value>, new: &Map<String, Value>) -> Value {
    let mut change = Map::new();
    for (key, value) in new {
        let step = match old.get(key) {
            Some(old) => between(old, value),
            None => Some(whole(value)),
        };
        if let Some(step) = step {
            change.insert(short(key).to_owned(), step);
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        change.insert(short(key).to_owned(), Value::Null);
    }
    Value::Object(change)
}

/// What a thing in a list is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Pid(u64),
    Name(String),
}

impl Identity {
    fn of(thing: &Value) -> Option<Identity> {
        if let Some(pid) = thing.get("key").and_then(|key| key.get("pid")) {
            return pid.as_u64().map(Identity::Pid);
        }
        thing.get("kind")?.get("group")?;
        Some(Identity::Name(thing.get("name")?.as_str()?.to_owned()))
    }

    fn of_all(list: &[Value]) -> Option<Vec<Identity>> {
        let all: Vec<Identity> = list.iter().map(Identity::of).collect::<Option<_>>()?;
        let is_once = |(place, one)| !all[..place].contains(one);
        all.iter().enumerate().all(is_once).then_some(all)
    }

    /// As the key of a change.
    fn key(&self) -> String {
        match self {
            Identity::Pid(pid) => pid.to_string(),
            Identity::Name(name) => format!("/{name}"),
        }
    }

    fn from_key(key: &str) -> Result<Identity, Misfit> {
        match key.strip_prefix('/') {
            Some(name) => Ok(Identity::Name(name.to_owned())),
            None => key.parse().map(Identity::Pid).map_err(|_| format!("`{key}` is no pid")),
        }
    }

    /// As it stands in an order.
    fn value(&self) -> Value {
        match self {
            Identity::Pid(pid) => (*pid).into(),
            Identity::Name(name) => name.as_str().into(),
        }
    }

    fn from_value(value: &Value) -> Option<Identity> {
        let name = || value.as_str().map(|name| Identity::Name(name.to_owned()));
        value.as_u64().map(Identity::Pid).or_else(name)
    }
}

/// `None`: lists of other things, or of the same thing twice.
fn between_lists(old: &[Value], new: &[Value]) -> Option<Value> {
    let (before, after) = (Identity::of_all(old)?, Identity::of_all(new)?);
    let mut change = Map::new();
    for (one, value) in after.iter().zip(new) {
        let step = match before.iter().position(|old| old == one) {
            Some(place) => between(&old[place], value),
            None => Some(whole(value)),
        };
        if let Some(step) = step {
            change.insert(one.key(), step);
        }
    }
    for one in before.iter().filter(|one| !after.contains(one)) {
        change.insert(one.key(), Value::Null);
    }
    let stayed = before.iter().filter(|one| after.contains(one));
    let mut came: Vec<&Identity> = after.iter().filter(|one| !before.contains(one)).collect();
    came.sort_unstable();
    if !stayed.chain(came).eq(after.iter()) {
        change.insert(ORDER.to_owned(), after.iter().map(Identity::value).collect());
    }
    Some(Value::Object(change))
}

/// The change does not fit the value: a detail of what does not.
pub(super) type Misfit = String;

pub(super) fn apply(state: &mut Value, change: Value) -> Result<(), Misfit> {
    match (change, &mut *state) {
        (Value::Array(mut new), _) if new.len() == 1 => {
            *state = new.pop().unwrap_or_default();
            Ok(())
        }
        (Value::Object(change), Value::Object(state)) => apply_to_object(state, change),
        (Value::Object(change), Value::Array(state)) => apply_to_list(state, change),
        (Value::Number(step), Value::Number(old)) => {
            let (Some(old), Some(step)) = (old.as_u64(), step.as_i64()) else {
                return Err(format!("a step of {step} on {old}"));
            };
            *state = old.wrapping_add(step as u64).into();
            Ok(())
        }
        (change, _) => Err(format!("a change that fits nothing: {change}")),
    }
}

fn apply_to_object(
    state: &mut Map<String, Value>,
    change: Map<String, Value>,
) -> Result<(), Misfit> {
    for (key, step) in change {
        let key = long(&key);
        match (step, state.get_mut(key)) {
            (Value::Null, _) => drop(state.remove(key)),
            (step, Some(old)) => apply(old, step)?,
            (step, None) => {
                let mut new = Value::Null;
                apply(&mut new, step)?;
                state.insert(key.to_owned(), new);
            }
        }
    }
    Ok(())
}

fn apply_to_list(state: &mut Vec<Value>, change: Map<String, Value>) -> Result<(), Misfit> {
    let mut order = None;
    let mut came = Vec::new();
    for (key, step) in change {
        if key == ORDER {
            order = Some(step);
            continue;
        }
        let one = Identity::from_key(&key)?;
        let place = state.iter().position(|thing| Identity::of(thing).as_ref() == Some(&one));
        match (step, place) {
            (Value::Null, Some(place)) => drop(state.remove(place)),
            (step, Some(place)) => apply(&mut state[place], step)?,
            (step, None) => {
                let mut new = Value::Null;
                apply(&mut new, step)?;
                came.push(new);
            }
        }
    }
    // A JSON object has no order of its own: without `o`, those that came are
    // in the order of their identities.
    came.sort_by_key(Identity::of);
    state.extend(came);
    match order {
        Some(order) => reorder(state, &order),
        None => Ok(()),
    }
}

fn reorder(state: &mut [Value], order: &Value) -> Result<(), Misfit> {
    let order = order.as_array().into_iter().flatten();
    let order: Vec<Identity> = order.filter_map(Identity::from_value).collect();
    if order.len() != state.len() {
        return Err(format!("an order of {} for {} of them", order.len(), state.len()));
    }
    let place = |thing: &Value| {
        let found = Identity::of(thing);
        order.iter().position(|one| found.as_ref() == Some(one))
    };
    if state.iter().any(|thing| place(thing).is_none()) {
        return Err("an order that leaves one out".to_owned());
    }
    state.sort_by_key(place);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn short_names_are_told_apart() {
        let names: HashSet<_> = SHORT.iter().flat_map(|(long, short)| [long, short]).collect();
        assert_eq!(names.len(), 2 * SHORT.len());
    }

    #[test]
    fn a_change_is_as_small_as_what_changed() {
        let process = |pid: u64, rss: u64| json!({"key": {"pid": pid}, "resident": rss});
        let unit = json!({"group": "unit", "is_user": false});
        let group = |name: &str, used: u64| json!({"kind": unit, "name": name, "used": used});
        let cases = [
            (json!({"used": 5, "free": 9}), json!({"used": 3, "free": 9}), json!({"u": -2})),
            (json!({"limit": null}), json!({"limit": 4}), json!({"l": [4]})),
            (json!({"limit": 4}), json!({"limit": null}), json!({"l": [null]})),
            (json!({"Ok": 4}), json!({"Err": "no"}), json!({"O": null, "E": ["no"]})),
            (json!([0]), json!([u64::MAX]), json!([[u64::MAX]])),
            (json!({"x": 0}), json!({"x": u64::MAX}), json!({"x": -1})),
            (json!({"x": 0.5}), json!({"x": 1.5}), json!({"x": [1.5]})),
            (
                json!([process(7, 1), process(8, 2)]),
                json!([process(8, 3), process(9, 4)]),
                json!({"7": null, "8": {"e": 1}, "9": [process(9, 4)]}),
            ),
            (
                json!([process(7, 1), process(8, 2)]),
                json!([process(8, 2), process(7, 1)]),
                json!({"o": [8, 7]}),
            ),
            (
                json!([group("o", 1), group("web", 2)]),
                json!([group("web", 9), group("o", 1), group("db", 3)]),
                json!({"/web": {"u": 7}, "/db": [group("db", 3)], "o": ["web", "o", "db"]}),
            ),
            (
                json!([group("web", 1), group("web", 2)]),
                json!([group("web", 1)]),
                json!([[group("web", 1)]]),
            ),
        ];
        for (mut old, new, expected) in cases {
            let change = between(&old, &new).unwrap();
            assert_eq!(change, expected);
            apply(&mut old, change).unwrap();
            assert_eq!(old, new);
        }
        assert_eq!(between(&json!({"a": [1]}), &json!({"a": [1]})), None);
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused() {
        let list = json!([{"key": {"pid": 7}}]);
        for (mut state, change) in [
            (json!({"used": "x"}), json!({"u": 1})),
            (json!({"used": 1}), json!({"u": {"t": 1}})),
            (json!({}), json!({"u": 1})),
            (list.clone(), json!({"seven": 1})),
            (list.clone(), json!({"o": [8]})),
            (list, json!({"o": []})),
            (json!(1), json!([1, 2])),
        ] {
            assert!(apply(&mut state, change.clone()).is_err(), "{change}");
        }
    }
}
