//! How a trace is written: what fits a line is on one, so that a difference shows what changed.

use serde_json::Value;

const WIDTH: usize = 110;
/// The order of reading, not of the alphabet; other keys follow.
const ORDER: &[&str] = &[
    "name",
    "why",
    "policy",
    "policy_text",
    "draws",
    "steps",
    "at",
    "after",
    "times",
    "take",
    "input",
    "reconfigure",
    "snapshot",
    "restore",
    "explain",
    "error",
    "explanation",
    "saved",
    "decisions",
    "events",
    "wakeup",
    "id",
    "call",
    "attempt",
    "endpoint",
    "model",
    "tokens",
    "class",
];

/// A whole file.
pub(crate) fn file(trace: &Value) -> String {
    let mut text = String::new();
    write(trace, 0, 0, &mut text);
    text.push('\n');
    text
}

/// One value on its own.
pub(crate) fn layout(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text
}

fn sorted(fields: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<_> = fields.iter().collect();
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    sorted.sort_by_key(|(key, _)| (place(key), *key));
    sorted
}

fn in_line(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> = sorted(fields)
                .iter()
                .map(|(key, field)| format!("{}: {}", Value::from(key.as_str()), in_line(field)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(in_line).collect::<Vec<_>>().join(", ")),
        plain => plain.to_string(),
    }
}

/// Writes a value that begins in column `column` of a line indented by `indent`.
fn write(value: &Value, indent: usize, column: usize, text: &mut String) {
    let line = in_line(value);
    let parts = match value {
        Value::Object(fields) if column + line.chars().count() > WIDTH || indent == 0 => sorted(fields)
            .into_iter()
            .map(|(key, field)| (format!("{}: ", Value::from(key.as_str())), field))
            .collect::<Vec<_>>(),
        Value::Array(items) if column + line.chars().count() > WIDTH => {
            items.iter().map(|item| (String::new(), item)).collect()
        }
        _ => return text.push_str(&line),
    };
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    text.push(open);
    let inner = indent + 2;
    for (index, (key, part)) in parts.iter().enumerate() {
        text.push_str(if index > 0 { ",\n" } else { "\n" });
        text.push_str(&" ".repeat(inner));
        text.push_str(key);
        write(part, inner, inner + key.chars().count() + 1, text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(indent));
    text.push(close);
}
