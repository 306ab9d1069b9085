//! How much work a schema is for one value: bounded when the document is read, so that no request has to be.
//!
//! A schema that leads back to itself through `$ref` and `allOf` alone would be checked against one value for ever. One
//! that leads down to a value first is an ordinary recursive type: the depth of the body bounds it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::document::ContractError;
use crate::shape::BASE;

/// Checks every definition. `places` says where each stands in the document.
pub(crate) fn check(definitions: &Map<String, Value>, places: &HashMap<&str, &str>) -> Result<(), ContractError> {
    let mut scale = Scale { definitions, places, known: HashMap::new() };
    definitions.keys().try_for_each(|name| scale.definition(name, 0).map(drop))
}

struct Scale<'d> {
    definitions: &'d Map<String, Value>,
    places: &'d HashMap<&'d str, &'d str>,
    /// `None` while it is being weighed.
    known: HashMap<&'d str, Option<u32>>,
}

impl<'d> Scale<'d> {
    fn definition(&mut self, name: &'d str, depth: u32) -> Result<u32, ContractError> {
        let fault = |cause: String| {
            Err(ContractError::at(self.places.get(name).copied().unwrap_or_default().trim_end(), cause))
        };
        match self.known.get(name) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => {
                return fault(String::from(
                    "this schema leads back to itself with no value between: put the reference under `properties` or `items`",
                ));
            }
            None => {}
        }
        if depth > CHAIN_MAX {
            return fault(format!(
                "more than {CHAIN_MAX} schemas refer to one another for one value: name the last one"
            ));
        }
        self.known.insert(name, None);
        let weight = match self.definitions.get(name) {
            Some(schema) => self.schema(schema, depth)?,
            None => 1,
        };
        if weight > WEIGHT_MAX {
            let cause = format!(
                "one value would be checked against more than {WEIGHT_MAX} schemas: use fewer `anyOf` and `oneOf`"
            );
            return Err(ContractError::at(self.places.get(name).copied().unwrap_or_default().trim_end(), cause));
        }
        self.known.insert(name, Some(weight));
        Ok(weight)
    }

    /// How many schemas one value is checked against.
    fn schema(&mut self, schema: &'d Value, depth: u32) -> Result<u32, ContractError> {
        let Value::Object(members) = schema else { return Ok(1) };
        let mut weight = 1_u32;
        for (key, value) in members {
            let more = match (key.as_str(), value) {
                ("$ref", Value::String(target)) => {
                    match target.strip_prefix(BASE).and_then(|rest| rest.strip_prefix("#/$defs/")) {
                        Some(name) => self.definition(name, depth + 1)?,
                        None => 0,
                    }
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                    let mut sum = 0_u32;
                    for part in parts {
                        sum = sum.saturating_add(self.schema(part, depth)?);
                    }
                    sum
                }
                ("not" | "if" | "then" | "else", part) => self.schema(part, depth)?,
                ("dependentSchemas", Value::Object(parts)) => {
                    let mut sum = 0_u32;
                    for part in parts.values() {
                        sum = sum.saturating_add(self.schema(part, depth)?);
                    }
                    sum
                }
                _ => 0,
            };
            weight = weight.saturating_add(more);
        }
        Ok(weight)
    }
}

/// References that follow one another for one value.
const CHAIN_MAX: u32 = 32;
/// Schemas that one value is checked against.
const WEIGHT_MAX: u32 = 2_000;
