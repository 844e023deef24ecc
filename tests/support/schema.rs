//! `schema.json`, and a check of values against it.
//!
//! It knows the keywords that the file uses and no others, and says so where
//! it meets one: nothing in the schema is passed over.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::Path;

use serde_json::{Map, Value};

/// What may stand in a schema here.
const KEYWORDS: [&str; 14] = [
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "format",
    "items",
    "maximum",
    "minimum",
    "oneOf",
    "properties",
    "required",
    "type",
];

pub struct Schema(Value);

impl Schema {
    pub fn read() -> Schema {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
        let text = std::fs::read_to_string(path).unwrap();
        Schema(serde_json::from_str(&text).unwrap())
    }

    pub fn definitions(&self) -> &Map<String, Value> {
        self.0["$defs"].as_object().unwrap()
    }

    #[track_caller]
    pub fn definition(&self, name: &str) -> &Value {
        let found = self.definitions().get(name);
        found.unwrap_or_else(|| panic!("schema.json has no $def `{name}`"))
    }

    /// Every place at which the value is not as the definition says.
    pub fn faults(&self, name: &str, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(self.definition(name), (value, name), &mut faults);
        faults
    }

    #[track_caller]
    pub fn accepts(&self, name: &str, value: &Value) {
        let faults = self.faults(name, value);
        assert!(faults.is_empty(), "not as schema.json says:\n{}\n{value:#}", faults.join("\n"));
    }

    fn check(&self, schema: &Value, (value, at): (&Value, &str), faults: &mut Vec<String>) {
        let rules = schema.as_object().unwrap_or_else(|| panic!("{at}: a schema is an object"));
        for (keyword, rule) in rules {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{at}: `{keyword}` is not checked here");
            match keyword.as_str() {
                "$ref" => {
                    let name = rule.as_str().unwrap().trim_start_matches("#/$defs/");
                    self.check(self.definition(name), (value, at), faults);
                }
                "anyOf" | "oneOf" => {
                    let branches = rule.as_array().unwrap().iter();
                    let failed: Vec<Vec<String>> = branches
                        .map(|branch| {
                            let mut own = Vec::new();
                            self.check(branch, (value, at), &mut own);
                            own
                        })
                        .collect();
                    let fitting = failed.iter().filter(|own| own.is_empty()).count();
                    if fitting == 0 {
                        faults.extend(failed.into_iter().min_by_key(Vec::len).unwrap_or_default());
                    } else if fitting > 1 && keyword == "oneOf" {
                        faults.push(format!("{at}: {fitting} of oneOf fit"));
                    }
                }
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, (item, &format!("{at}[{number}]")), faults);
                    }
                }
                "additionalProperties" if rule.is_object() => {
                    let named = rules.get("properties").and_then(Value::as_object);
                    for (name, value) in value.as_object().into_iter().flatten() {
                        if !named.is_some_and(|named| named.contains_key(name)) {
                            self.check(rule, (value, &format!("{at}.{name}")), faults);
                        }
                    }
                }
                "properties" => {
                    for (name, rule) in rule.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.check(rule, (value, &format!("{at}.{name}")), faults);
                        }
                    }
                }
                plain => {
                    let fault = plain_fault(plain, rule, (value, rules));
                    faults.extend(fault.map(|fault| format!("{at}: {fault}")));
                }
            }
        }
    }

    /// Each schema in the file with its place, those inside others too.
    pub fn all(&self) -> Vec<(String, &Map<String, Value>)> {
        let mut found = Vec::new();
        for (name, schema) in self.definitions() {
            gather(schema, name.clone(), &mut found);
        }
        found
    }
}

fn gather<'a>(schema: &'a Value, at: String, found: &mut Vec<(String, &'a Map<String, Value>)>) {
    let rules = schema.as_object().unwrap_or_else(|| panic!("{at}: a schema is an object"));
    for name in ["anyOf", "oneOf"] {
        for branch in rules.get(name).and_then(Value::as_array).into_iter().flatten() {
            gather(branch, at.clone(), found);
        }
    }
    for (name, inner) in rules.get("properties").and_then(Value::as_object).into_iter().flatten() {
        gather(inner, format!("{at}.{name}"), found);
    }
    if let Some(items) = rules.get("items") {
        gather(items, format!("{at}[]"), found);
    }
    found.push((at, rules));
}

pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// What is wrong by a rule that needs no other schema.
fn plain_fault(
    keyword: &str,
    rule: &Value,
    (value, rules): (&Value, &Map<String, Value>),
) -> Option<String> {
    let is_wrong = match keyword {
        "type" => match rule {
            Value::Array(names) => !names.iter().any(|name| is_of(value, name.as_str().unwrap())),
            name => !is_of(value, name.as_str().unwrap()),
        },
        "const" => value != rule,
        "enum" => !rule.as_array().unwrap().contains(value),
        "minimum" => value.as_f64().is_some_and(|number| number < rule.as_f64().unwrap()),
        "maximum" => value.as_f64().is_some_and(|number| number > rule.as_f64().unwrap()),
        "format" => {
            assert_eq!(rule, "date-time", "no other format is checked here");
            value.as_str().is_some_and(|text| text.parse::<plimsoll::domain::Wall>().is_err())
        }
        "required" => {
            let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            let missing: Vec<&str> = match value.as_object() {
                Some(fields) => names.filter(|name| !fields.contains_key(*name)).collect(),
                None => Vec::new(),
            };
            return (!missing.is_empty()).then(|| format!("without {missing:?}"));
        }
        "additionalProperties" => {
            assert_eq!(rule, &Value::Bool(false), "fields are named or free");
            let known = rules["properties"].as_object().unwrap();
            let fields = value.as_object().into_iter().flatten().map(|(name, _)| name);
            let unknown: Vec<&String> = fields.filter(|name| !known.contains_key(*name)).collect();
            return (!unknown.is_empty()).then(|| format!("{unknown:?} are not in the schema"));
        }
        _ => false,
    };
    is_wrong.then(|| format!("{value} is not of {keyword} {rule}"))
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("no such type: {name}"),
    }
}
