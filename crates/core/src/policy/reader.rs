//! Reads one JSON object field by field, collecting every fault instead of stopping at the first, and writes the JSON
//! Schema of what it reads.
//!
//! The same code path does three things: it takes a value out of a document, it falls back to the named default, and it
//! describes the field for the schema. The three cannot drift apart.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A stable name for the kind of fault, in snake_case. Every code is in [`FAULT_CODES`].
    pub code: &'static str,
    /// The JSON pointer (RFC 6901) to the place.
    pub pointer: String,
    /// What is wrong there and what to do about it.
    pub message: String,
}

impl Fault {
    /// A fault of kind `code` at `pointer`.
    #[must_use]
    pub fn new(code: &'static str, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.into(), message: message.into() }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let place = if self.pointer.is_empty() { "(top level)" } else { &self.pointer };
        write!(f, "{place}: {} [{}]", self.message, self.code)
    }
}

/// Every fault code that the core's own reader gives.
pub const FAULT_CODES: &[&str] = &[
    "not_json",
    "unknown_field",
    "wrong_type",
    "out_of_range",
    "unknown_choice",
    "missing",
    "empty",
    "unknown_pool",
    "unknown_model",
    "repeated",
    "inconsistent",
    "residency_excludes_all",
];

/// An object being read. See the module's text.
#[derive(Debug)]
pub struct Section<'v> {
    fields: Option<&'v Map<String, Value>>,
    pointer: String,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
    properties: Map<String, Value>,
    required: Vec<Value>,
    open: Option<Value>,
}

impl<'v> Section<'v> {
    /// Starts on `value`, which is at `pointer` of its document. Anything but an object is a fault and reads as an
    /// empty one.
    #[must_use]
    pub fn new(value: Option<&'v Value>, pointer: impl Into<String>) -> Self {
        let pointer = pointer.into();
        let mut faults = Vec::new();
        let fields = match value {
            None => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(other) => {
                faults.push(wrong_type(&pointer, "an object", other));
                None
            }
        };
        Self { fields, pointer, known: Vec::new(), faults, properties: Map::new(), required: Vec::new(), open: None }
    }

    /// The pointer to the field `key` of this object.
    #[must_use]
    pub fn pointer_to(&self, key: &str) -> String {
        format!("{}/{}", self.pointer, key.replace('~', "~0").replace('/', "~1"))
    }

    /// Adds a fault found by the caller.
    pub fn fault(&mut self, code: &'static str, pointer: String, message: impl Into<String>) {
        self.faults.push(Fault::new(code, pointer, message));
    }

    /// Whether the document has the field `key`.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.fields.is_some_and(|fields| fields.contains_key(key))
    }

    fn take(&mut self, key: &'static str, schema: impl FnOnce() -> Value) -> Option<&'v Value> {
        self.known.push(key);
        self.describe(key, schema);
        self.fields.and_then(|fields| fields.get(key))
    }

    /// Notes what a field is like, where anybody can ask.
    fn describe(&mut self, key: &'static str, schema: impl FnOnce() -> Value) {
        if cfg!(feature = "schema") {
            self.properties.insert(key.to_owned(), schema());
        }
    }

    /// A whole number within `range`, or `None` where the field is absent (or faulty, with the fault noted).
    pub fn optional_integer(&mut self, key: &'static str, range: RangeInclusive<u64>, doc: &str) -> Option<u64> {
        let (least, most) = (*range.start(), *range.end());
        self.read_integer(
            key,
            range,
            || json!({"description": doc, "type": "integer", "minimum": least, "maximum": most}),
        )
    }

    /// A whole number within `range`; `default` where the field is absent.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64, doc: &str) -> u64 {
        let (least, most) = (*range.start(), *range.end());
        let schema =
            || json!({"description": doc, "type": "integer", "minimum": least, "maximum": most, "default": default});
        self.read_integer(key, range, schema).unwrap_or(default)
    }

    fn read_integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        schema: impl FnOnce() -> Value,
    ) -> Option<u64> {
        let value = self.take(key, schema)?;
        let pointer = self.pointer_to(key);
        let Value::Number(number) = value else {
            self.faults.push(wrong_type(&pointer, "a whole number", value));
            return None;
        };
        match number.as_u64() {
            Some(number) if range.contains(&number) => return Some(number),
            Some(_) => {
                let message = format!("{number} is outside {} to {}", range.start(), range.end());
                self.fault("out_of_range", pointer, message);
            }
            None => {
                let message = format!("{number} is not a whole number from {} to {}", range.start(), range.end());
                self.fault("out_of_range", pointer, message);
            }
        }
        None
    }

    /// `true` or `false`; `default` where the field is absent.
    pub fn boolean(&mut self, key: &'static str, default: bool, doc: &str) -> bool {
        let schema = || json!({"description": doc, "type": "boolean", "default": default});
        match self.take(key, schema) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                let pointer = self.pointer_to(key);
                self.faults.push(wrong_type(&pointer, "true or false", other));
                default
            }
        }
    }

    /// One of the names in `choices`; `default` where the field is absent.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)], default: &str, doc: &str) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let place = self.place_of_choice(key, &names, default, doc)?;
        choices.get(place).map(|(_, value)| *value)
    }

    fn place_of_choice(&mut self, key: &'static str, names: &[&str], default: &str, doc: &str) -> Option<usize> {
        let schema = || json!({"description": doc, "enum": names, "default": default});
        let found = match self.take(key, schema) {
            None => default,
            Some(Value::String(name)) => name.as_str(),
            Some(other) => {
                let pointer = self.pointer_to(key);
                self.faults.push(wrong_type(&pointer, "a name", other));
                default
            }
        };
        let place = names.iter().position(|name| *name == found);
        if place.is_none() {
            let pointer = self.pointer_to(key);
            self.fault("unknown_choice", pointer, format!("\"{found}\" is not one of {}", names.join(", ")));
        }
        place
    }

    /// A text that is not empty, or `None` where the field is absent.
    pub fn optional_text(&mut self, key: &'static str, doc: &str) -> Option<String> {
        let schema = || json!({"description": doc, "type": "string", "minLength": 1});
        let value = self.take(key, schema)?;
        let pointer = self.pointer_to(key);
        self.text_of(value, &pointer)
    }

    /// A text that must be there.
    pub fn text(&mut self, key: &'static str, doc: &str) -> String {
        self.required.push(Value::from(key));
        let text = self.optional_text(key, doc);
        if text.is_none() && !self.has(key) {
            let pointer = self.pointer_to(key);
            self.fault("missing", pointer, format!("\"{key}\" is needed here"));
        }
        text.unwrap_or_default()
    }

    /// A list of texts; empty where the field is absent.
    pub fn texts(&mut self, key: &'static str, doc: &str) -> Vec<String> {
        let items = || json!({"type": "string", "minLength": 1});
        let schema = || json!({"description": doc, "type": "array", "items": items(), "uniqueItems": true});
        let Some(value) = self.take(key, schema) else { return Vec::new() };
        let pointer = self.pointer_to(key);
        let Value::Array(items) = value else {
            self.faults.push(wrong_type(&pointer, "a list of names", value));
            return Vec::new();
        };
        let mut texts: Vec<String> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            if let Some(text) = self.text_of(item, &pointer) {
                if texts.contains(&text) {
                    self.fault("repeated", pointer, format!("\"{text}\" is listed twice"));
                } else {
                    texts.push(text);
                }
            }
        }
        texts
    }

    fn text_of(&mut self, value: &Value, pointer: &str) -> Option<String> {
        match value {
            Value::String(text) if text.is_empty() => {
                self.fault("empty", pointer.to_owned(), "the text is empty");
                None
            }
            Value::String(text) => Some(text.clone()),
            other => {
                self.faults.push(wrong_type(pointer, "a text", other));
                None
            }
        }
    }

    /// An object read by `read`; an absent one reads as an empty one, so that its defaults hold.
    pub fn section<T>(&mut self, key: &'static str, doc: &str, read: impl FnOnce(&mut Section<'v>) -> T) -> T {
        let value = self.take(key, || Value::Null);
        let mut child = Section::new(value, self.pointer_to(key));
        let result = read(&mut child);
        let schema = self.adopt(child);
        self.describe(key, || with_description(schema, doc));
        result
    }

    /// Ends a section of this one; its faults are this one's.
    fn adopt(&mut self, child: Section<'v>) -> Value {
        let (faults, schema) = child.close();
        self.faults.extend(faults);
        schema
    }

    /// An object whose fields are named by the user, each read by `read` with its name. In order of the names.
    pub fn entries<T>(
        &mut self,
        key: &'static str,
        doc: &str,
        mut read: impl FnMut(&str, &mut Section<'v>) -> T,
    ) -> Vec<(String, T)> {
        let mut entries = Vec::new();
        for (name, mut child) in self.children(key) {
            let entry = read(&name, &mut child);
            self.adopt(child);
            entries.push((name, entry));
        }
        if cfg!(feature = "schema") {
            let mut pattern = Section::new(None, String::new());
            read("", &mut pattern);
            self.describe_entries(key, doc, pattern);
        }
        entries
    }

    fn children(&mut self, key: &'static str) -> Vec<(String, Section<'v>)> {
        let value = self.take(key, || Value::Null);
        let pointer = self.pointer_to(key);
        let mut children = Vec::new();
        match value {
            None => {}
            Some(Value::Object(fields)) => {
                let mut names: Vec<&String> = fields.keys().collect();
                names.sort();
                for name in names {
                    let place = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    if name.is_empty() {
                        self.fault("empty", place.clone(), "a name is empty");
                    }
                    children.push((name.clone(), Section::new(fields.get(name), place)));
                }
            }
            Some(other) => self.faults.push(wrong_type(&pointer, "an object", other)),
        }
        children
    }

    fn describe_entries(&mut self, key: &'static str, doc: &str, pattern: Section<'_>) {
        self.describe(key, || {
            json!({
                "description": doc, "type": "object",
                "propertyNames": {"minLength": 1}, "additionalProperties": pattern.close().1
            })
        });
    }

    /// An object that is kept as it is, for another layer to read.
    pub fn opaque(&mut self, key: &'static str, doc: &str) -> Option<Value> {
        let value = self.take(key, || json!({"description": doc, "type": "object"}))?;
        if !value.is_object() {
            let pointer = self.pointer_to(key);
            self.faults.push(wrong_type(&pointer, "an object", value));
        }
        Some(value.clone())
    }

    /// Ends the reading: unknown fields become faults; returns all faults and the schema, which is null without the feature
    /// `schema`.
    #[must_use]
    pub fn close(mut self) -> (Vec<Fault>, Value) {
        if let Some(fields) = self.fields {
            for key in fields.keys() {
                if !self.known.contains(&key.as_str()) {
                    let message = format!("unknown field; known here: {}", self.known.join(", "));
                    self.faults.push(Fault::new("unknown_field", self.pointer_to(key), message));
                }
            }
        }
        if !cfg!(feature = "schema") {
            return (self.faults, Value::Null);
        }
        let mut schema = json!({
            "type": "object",
            "properties": self.properties,
            "additionalProperties": self.open.unwrap_or(Value::Bool(false)),
        });
        if !self.required.is_empty() {
            schema["required"] = Value::Array(self.required);
        }
        (self.faults, schema)
    }
}

fn with_description(mut schema: Value, doc: &str) -> Value {
    schema["description"] = Value::from(doc);
    schema
}

fn wrong_type(pointer: &str, wanted: &str, found: &Value) -> Fault {
    let found = match found {
        Value::Null => "null".to_string(),
        Value::Bool(_) => "true/false".to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("\"{text}\""),
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
    };
    Fault::new("wrong_type", pointer, format!("{wanted} is needed here, not {found}"))
}
