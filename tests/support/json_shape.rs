//! What of a JSON answer stays the same whatever is measured.

use serde_json::Value;

/// The names and types of a JSON value, in the order they are written.
pub fn shape(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Object(_) => format!("{indent}{key}\n{}", shape(value, depth + 1)),
                Value::Array(list) => {
                    let first = list.first().map(|first| shape(first, depth + 1));
                    format!("{indent}{key} [{}]\n{}", list.len(), first.unwrap_or_default())
                }
                plain => format!("{indent}{key}: {}\n", kind(plain)),
            })
            .collect(),
        plain => format!("{indent}{}\n", kind(plain)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "more",
    }
}
