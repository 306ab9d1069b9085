//! Which JSON types a schema takes, so that a text from an address or a form becomes the value that it stands for.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::document::Document;

/// What a text may stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kind {
    pub(crate) text: bool,
    pub(crate) integer: bool,
    pub(crate) number: bool,
    pub(crate) boolean: bool,
    pub(crate) null: bool,
    /// A list, and what its items are.
    pub(crate) list: Option<Box<Kind>>,
    /// An object, and what its fields are.
    pub(crate) fields: Option<HashMap<String, Kind>>,
}

impl Kind {
    /// What `schema` takes. A schema that names no type takes a text, because it is one that arrives.
    pub(crate) fn of(document: &Document, schema: &Value) -> Self {
        let mut kind = Self::default();
        kind.gather(document, schema, 0);
        let none = !(kind.text || kind.integer || kind.number || kind.boolean || kind.null);
        if none && kind.list.is_none() && kind.fields.is_none() {
            kind.text = true;
        }
        kind
    }

    fn gather(&mut self, document: &Document, schema: &Value, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        let Ok((schema, _)) = document.follow(schema, "") else { return };
        match schema.get("type") {
            Some(Value::String(name)) => self.add(document, schema, name, depth),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| self.add(document, schema, name, depth));
            }
            _ if schema.get("properties").is_some() => self.add(document, schema, "object", depth),
            _ if schema.get("items").is_some() => self.add(document, schema, "array", depth),
            _ => {}
        }
        if schema.get("nullable").and_then(Value::as_bool) == Some(true) {
            self.null = true;
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                self.gather(document, part, depth + 1);
            }
        }
    }

    fn add(&mut self, document: &Document, schema: &Value, name: &str, depth: usize) {
        match name {
            "string" => self.text = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "boolean" => self.boolean = true,
            "null" => self.null = true,
            "array" => {
                let item = self.list.get_or_insert_with(Box::default);
                match schema.get("items") {
                    Some(items) => item.gather(document, items, depth + 1),
                    None => item.text = true,
                }
            }
            "object" => {
                let fields = self.fields.get_or_insert_with(HashMap::new);
                for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                    fields.entry(name.clone()).or_default().gather(document, schema, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// Whether a text could stand for itself or for something else, so that both are tried.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.text && (self.integer || self.number || self.boolean || self.null)
    }

    /// The value of a text. `literally` takes it for a text wherever it may be one.
    pub(crate) fn value(&self, text: &str, literally: bool) -> Value {
        if literally && self.text {
            return Value::String(text.to_owned());
        }
        if self.boolean && matches!(text, "true" | "false") {
            return Value::Bool(text == "true");
        }
        if self.null && (text == "null" || text.is_empty() && !self.text) {
            return Value::Null;
        }
        if (self.integer || self.number)
            && let Some(number) = number(text)
        {
            return number;
        }
        Value::String(text.to_owned())
    }

    /// The values of a list.
    pub(crate) fn values<'t>(&self, texts: impl Iterator<Item = &'t str>, literally: bool) -> Value {
        let item = self.list.as_deref();
        texts
            .map(|text| item.map_or_else(|| Value::String(text.to_owned()), |item| item.value(text, literally)))
            .collect()
    }

    /// The value of a field of an object.
    pub(crate) fn field(&self, name: &str, text: &str, literally: bool) -> Value {
        let kind = self.fields.as_ref().and_then(|fields| fields.get(name));
        kind.map_or_else(|| Value::String(text.to_owned()), |kind| kind.value(text, literally))
    }

    /// An object out of pairs; none if a name stands twice.
    pub(crate) fn object<'t>(&self, pairs: impl Iterator<Item = (&'t str, &'t str)>, literally: bool) -> Option<Value> {
        let mut object = Map::new();
        for (name, text) in pairs {
            if object.insert(name.to_owned(), self.field(name, text, literally)).is_some() {
                return None;
            }
        }
        Some(Value::Object(object))
    }
}

/// A number as JSON writes it: what applications take for one beside that (` 1`, `0x1`, `1_000`) is none here.
pub(crate) fn number(text: &str) -> Option<Value> {
    let first = text.bytes().next()?;
    if !(first == b'-' || first.is_ascii_digit()) {
        return None;
    }
    serde_json::from_str::<serde_json::Number>(text).ok().map(Value::Number)
}

const DEPTH_MAX: usize = 6;
