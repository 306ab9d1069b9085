//! From the schemas of a document to schemas of JSON Schema 2020-12 that say what the document means.
//!
//! What is written once is meant in two ways: a schema that stands for a whole value is **closed**, so that a field it
//! does not name is refused; the same schema as one part of an `allOf` is open, because the other parts name fields too,
//! and the whole is closed around them with `unevaluatedProperties` (JSON Schema 2020-12 core, section 11.3). So each
//! named schema has up to two definitions, made when they are first asked for.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::document::{ContractError, Dialect, Document, below, dangling, pointer};

/// How a schema stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stance {
    /// For a whole value: unknown fields are refused.
    Closed,
    /// For a part of one: somebody around it refuses them.
    Part,
    /// For one of several: as a part, but an object of which nothing is said may hold anything.
    Choice,
}

/// Makes definitions. One for a document.
pub(crate) struct Shaper<'d> {
    document: &'d Document,
    definitions: Map<String, Value>,
    names: HashMap<(String, Stance), String>,
    waiting: Vec<(String, Stance, String)>,
    nodes_left: u32,
}

impl<'d> Shaper<'d> {
    pub(crate) fn new(document: &'d Document) -> Self {
        Self { document, definitions: Map::new(), names: HashMap::new(), waiting: Vec::new(), nodes_left: NODES_MAX }
    }

    /// The schema for a whole value, with what it refers to under [`Shaper::finish`].
    pub(crate) fn whole(&mut self, schema: &Value, place: &str) -> Result<Value, ContractError> {
        self.shape(schema, place, Stance::Closed)
    }

    /// Puts a schema that was made in as a definition, and returns what refers to it.
    pub(crate) fn define(&mut self, schema: Value, place: &str) -> String {
        let name = format!("d{}", self.names.len());
        self.names.insert((format!("{place} "), Stance::Closed), name.clone());
        self.definitions.insert(name.clone(), schema);
        name
    }

    /// All definitions that were asked for, once no schema refers to itself without a value between.
    pub(crate) fn finish(mut self) -> Result<Value, ContractError> {
        while let Some((pointer, stance, name)) = self.waiting.pop() {
            let schema = self.document.root.pointer(&pointer).ok_or_else(|| dangling(&pointer, &pointer))?;
            let shaped = self.shape(schema, &pointer, stance)?;
            self.definitions.insert(name, shaped);
        }
        let places: HashMap<_, _> =
            self.names.iter().map(|((place, _), name)| (name.as_str(), place.as_str())).collect();
        crate::weight::check(&self.definitions, &places)?;
        let root = json!({ "$defs": self.definitions });
        match jsonschema::draft202012::meta::validate(&root) {
            Ok(()) => Ok(root),
            Err(error) => Err(ill_formed(&error, &places)),
        }
    }

    fn reference(&mut self, pointer: String, stance: Stance) -> Value {
        let number = self.names.len();
        let key = (pointer, stance);
        let name = match self.names.get(&key) {
            Some(name) => name.clone(),
            None => {
                let name = format!("d{number}");
                self.names.insert(key.clone(), name.clone());
                self.waiting.push((key.0, stance, name.clone()));
                name
            }
        };
        json!({ "$ref": format!("{BASE}#/$defs/{name}") })
    }

    fn shape(&mut self, schema: &Value, place: &str, stance: Stance) -> Result<Value, ContractError> {
        let left = self.nodes_left.checked_sub(1);
        self.nodes_left =
            left.ok_or_else(|| ContractError::at(place, format!("more than {NODES_MAX} schemas: split the document")))?;
        let members = match schema {
            Value::Bool(_) => return Ok(schema.clone()),
            Value::Object(members) => members,
            _ => return Err(ContractError::at(place, "a schema is written as a mapping")),
        };
        if let Some(reference) = members.get("$ref") {
            let pointer = pointer(reference, place)?;
            if self.document.root.pointer(&pointer).is_none() {
                return Err(dangling(place, &pointer));
            }
            // In 3.0 what stands beside a reference does not count (OpenAPI 3.0.3 section 4.7.23).
            let alone = self.document.dialect == Dialect::V30 || !members.keys().any(|key| is_constraint(key));
            if alone {
                return Ok(self.reference(pointer, stance));
            }
        }
        let mut shaped = Map::new();
        for (key, value) in members {
            self.keyword(key, value, members, place, &mut shaped)?;
        }
        whole_numbers(members, &mut shaped);
        self.close(schema, members, stance, &mut shaped)?;
        self.nullable(members, &mut shaped);
        Ok(Value::Object(shaped))
    }

    fn keyword(
        &mut self,
        key: &str,
        value: &Value,
        members: &Map<String, Value>,
        place: &str,
        shaped: &mut Map<String, Value>,
    ) -> Result<(), ContractError> {
        let here = below(place, key);
        let made = match key {
            "$ref" => {
                let pointer = pointer(value, place)?;
                let Value::Object(reference) = self.reference(pointer, Stance::Part) else { return Ok(()) };
                shaped.extend(reference);
                return Ok(());
            }
            "properties" => self.properties(value, &here)?,
            "patternProperties" => self.named(value, &here, Stance::Closed)?,
            "dependentSchemas" => self.named(value, &here, Stance::Part)?,
            "items" | "additionalProperties" | "unevaluatedProperties" | "unevaluatedItems" => {
                self.shape(value, &here, Stance::Closed)?
            }
            "contains" | "propertyNames" | "not" | "if" | "then" | "else" => self.shape(value, &here, Stance::Part)?,
            "allOf" => self.listed(value, &here, Stance::Part)?,
            "anyOf" | "oneOf" => self.listed(value, &here, Stance::Choice)?,
            "prefixItems" => self.listed(value, &here, Stance::Closed)?,
            "required" if value.is_array() => {
                self.required(value, members, shaped);
                return Ok(());
            }
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {
                let plain = if key == "exclusiveMinimum" { "minimum" } else { "maximum" };
                if let (Value::Bool(true), Some(bound)) = (value, members.get(plain)) {
                    shaped.insert(key.to_owned(), bound.clone());
                }
                return Ok(());
            }
            "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" => {
                return Err(ContractError::at(
                    here,
                    format!("`{key}` is not followed: write `$ref: \"#/components/schemas/…\"`"),
                ));
            }
            key if PLAIN.contains(&key) => value.clone(),
            // Everything else describes and demands nothing.
            _ => return Ok(()),
        };
        shaped.insert(key.to_owned(), made);
        Ok(())
    }

    /// What only the server may set is no field of a request: taking it would let a client set it.
    fn properties(&mut self, value: &Value, place: &str) -> Result<Value, ContractError> {
        let Value::Object(members) = value else {
            return Err(ContractError::at(place, "`properties` is written as a mapping from names to schemas"));
        };
        let mut shaped = Map::new();
        for (name, schema) in members {
            let made = if self.is_read_only(schema) {
                Value::Bool(false)
            } else {
                self.shape(schema, &below(place, name), Stance::Closed)?
            };
            shaped.insert(name.clone(), made);
        }
        Ok(Value::Object(shaped))
    }

    fn is_read_only(&self, schema: &Value) -> bool {
        let says = |schema: &Value| schema.get("readOnly").and_then(Value::as_bool) == Some(true);
        says(schema) || self.document.follow(schema, "").is_ok_and(|(schema, _)| says(schema))
    }

    /// `required` counts in a request only for what a request may hold (OpenAPI 3.0.3 section 4.7.24).
    fn required(&self, value: &Value, members: &Map<String, Value>, shaped: &mut Map<String, Value>) {
        let properties = members.get("properties");
        let writable = |name: &&Value| {
            let schema = name.as_str().and_then(|name| properties?.get(name));
            !schema.is_some_and(|schema| self.is_read_only(schema))
        };
        let names: Vec<Value> = value.as_array().into_iter().flatten().filter(writable).cloned().collect();
        shaped.insert(String::from("required"), Value::Array(names));
    }

    fn named(&mut self, value: &Value, place: &str, stance: Stance) -> Result<Value, ContractError> {
        let Value::Object(members) = value else {
            return Err(ContractError::at(place, "this is written as a mapping"));
        };
        let mut shaped = Map::new();
        for (name, schema) in members {
            shaped.insert(name.clone(), self.shape(schema, &below(place, name), stance)?);
        }
        Ok(Value::Object(shaped))
    }

    fn listed(&mut self, value: &Value, place: &str, stance: Stance) -> Result<Value, ContractError> {
        let Value::Array(items) = value else { return Err(ContractError::at(place, "this is written as a list")) };
        let shaped =
            items.iter().enumerate().map(|(at, item)| self.shape(item, &below(place, &at.to_string()), stance));
        shaped.collect::<Result<_, _>>().map(Value::Array)
    }

    fn close(
        &self,
        schema: &Value,
        members: &Map<String, Value>,
        stance: Stance,
        shaped: &mut Map<String, Value>,
    ) -> Result<(), ContractError> {
        if members.contains_key("additionalProperties") || members.contains_key("unevaluatedProperties") {
            return Ok(());
        }
        let composed = COMPOSING.iter().any(|key| members.contains_key(*key));
        let names = members.contains_key("properties") || members.contains_key("patternProperties");
        match stance {
            Stance::Part => {}
            Stance::Choice => {
                if !composed && !names && members.get("type").and_then(Value::as_str) == Some("object") {
                    shaped.insert(String::from("additionalProperties"), Value::Bool(true));
                }
            }
            Stance::Closed if !composed && names => {
                // Whose fields depend on a discriminator is told by the schemas that build on it, not by this one.
                if !members.contains_key("discriminator") {
                    shaped.insert(String::from("additionalProperties"), Value::Bool(false));
                }
            }
            Stance::Closed if composed && self.names_fields(schema, 0)? => {
                shaped.insert(String::from("unevaluatedProperties"), Value::Bool(false));
            }
            Stance::Closed => {}
        }
        Ok(())
    }

    /// Whether any part of a composed schema names fields.
    fn names_fields(&self, schema: &Value, depth: usize) -> Result<bool, ContractError> {
        if depth > PARTS_DEPTH_MAX {
            return Ok(true);
        }
        if schema.get("properties").is_some() || schema.get("patternProperties").is_some() {
            return Ok(true);
        }
        if let Some(reference) = schema.get("$ref") {
            let place = pointer(reference, "")?;
            if let Some(found) = self.document.root.pointer(&place)
                && self.names_fields(found, depth + 1)?
            {
                return Ok(true);
            }
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                if self.names_fields(part, depth + 1)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// `nullable` of 3.0. Beside `type` it widens the type; around a composition, where the letter of 3.0.3 lets it mean
    /// nothing, it means what everybody who writes it means.
    fn nullable(&self, members: &Map<String, Value>, shaped: &mut Map<String, Value>) {
        let nullable = members.get("nullable").and_then(Value::as_bool) == Some(true);
        if !nullable || self.document.dialect != Dialect::V30 {
            return;
        }
        if let Some(Value::String(kind)) = members.get("type") {
            shaped.insert(String::from("type"), json!([kind, "null"]));
        } else if COMPOSING.iter().any(|key| members.contains_key(*key)) {
            let inner = std::mem::take(shaped);
            shaped.insert(String::from("anyOf"), json!([{ "type": "null" }, inner]));
        }
    }
}

/// A keyword with a value that it cannot have, by its place in the document and not in what was made of it.
fn ill_formed(error: &jsonschema::ValidationError<'_>, places: &HashMap<&str, &str>) -> ContractError {
    let path = error.instance_path().to_string();
    let rest = path.strip_prefix("/$defs/").unwrap_or(&path);
    let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
    let place = places.get(name).copied().unwrap_or_default().trim_end();
    let cause = format!("`{below}` cannot be so ({}): see the keyword in JSON Schema 2020-12", error.kind().keyword());
    ContractError::at(place, cause)
}

/// What `format` says of numbers (OpenAPI 3.0.3 section 4.4): JSON Schema knows formats of texts only.
fn whole_numbers(members: &Map<String, Value>, shaped: &mut Map<String, Value>) {
    let (least, greatest) = match members.get("format").and_then(Value::as_str) {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Some("int64") => (i64::MIN, i64::MAX),
        _ => return,
    };
    let mut bound = |key: &str, exclusive: &str, bound: i64| {
        if !shaped.contains_key(exclusive) {
            shaped.entry(key.to_owned()).or_insert_with(|| json!(bound));
        }
    };
    bound("minimum", "exclusiveMinimum", least);
    bound("maximum", "exclusiveMaximum", greatest);
}

fn is_constraint(key: &str) -> bool {
    PLAIN.contains(&key)
        || COMPOSING.contains(&key) && key != "$ref"
        || matches!(
            key,
            "properties" | "patternProperties" | "items" | "prefixItems" | "contains" | "propertyNames" | "required"
        )
        || matches!(key, "not" | "additionalProperties" | "unevaluatedProperties" | "unevaluatedItems")
}

/// The address that definitions are found under. Nothing is fetched from it.
pub(crate) const BASE: &str = "reeve:document";

/// Keywords that are the same in every dialect.
const PLAIN: [&str; 20] = [
    "type",
    "enum",
    "const",
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
    "dependentRequired",
];

/// Keywords by which a schema is made of others.
const COMPOSING: [&str; 8] = ["$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"];

/// Schemas that are made of one document, each of its meanings counted.
const NODES_MAX: u32 = 200_000;
const PARTS_DEPTH_MAX: usize = 32;
