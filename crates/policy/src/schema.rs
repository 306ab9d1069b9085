//! JSON Schema of the policy file, so that editors complete and underline while people write.

use serde_json::{Map, Value, json};

use crate::catalogue::{Control, PLANNED, Parameter};
use crate::read::SCHEMA;

/// The schema (JSON Schema draft 2020-12), generated from the catalogue.
#[must_use]
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Reeve policy",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "policy"],
        "properties": {
            "schema": { "const": SCHEMA },
            "policy": head(),
            "section": {
                "type": "object",
                "additionalProperties": {
                    "type": "object", "additionalProperties": false, "required": ["title"],
                    "properties": { "title": text("The heading.") },
                },
            },
            "clause": { "type": "object", "additionalProperties": clause() },
            "exception": { "type": "array", "items": exception() },
            "not_applicable": { "type": "array", "items": not_applicable() },
        },
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn head() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["title", "company", "version", "owner", "review"],
        "properties": {
            "title": text("What the document is called."),
            "company": text("Whose promises they are."),
            "version": text("Its version, as the company counts."),
            "owner": text("The mail address of whoever answers for it."),
            "review": {
                "type": "object",
                "additionalProperties": false,
                "required": ["every", "last", "approvers"],
                "properties": {
                    "every": text("How often it is looked at again, such as \"12 months\"."),
                    "last": { "description": "The day of the last review." },
                    "approvers": { "type": "integer", "minimum": 0, "maximum": 255 },
                },
            },
        },
    })
}

fn clause() -> Value {
    let typed = Control::every();
    let names = typed.iter().map(|control| control.facts().name).chain(PLANNED.iter().map(|planned| planned.name));
    let rules: Vec<Value> = typed
        .iter()
        .map(|control| {
            json!({
                "if": { "required": ["control"], "properties": { "control": { "const": control.facts().name } } },
                "then": { "properties": { "with": parameters(control) } },
            })
        })
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["section", "text", "severity"],
        "oneOf": [{ "required": ["control"] }, { "required": ["attest"] }],
        "properties": {
            "section": text("The key of a section."),
            "text": text("The published sentence; numbers come from `{parameter}` placeholders."),
            "control": { "enum": names.collect::<Vec<_>>(), "description": "What keeps the promise." },
            "with": { "type": "object", "description": "The parameters of the control." },
            "attest": {
                "type": "object",
                "required": ["type", "subject", "max_age"],
                "properties": {
                    "type": text("The kind of document, such as \"soc2-type2\"."),
                    "subject": text("Whom or what it is about."),
                    "max_age": text("The oldest it may be."),
                    "warn": { "type": "array", "items": { "type": "string" } },
                },
            },
            "severity": { "enum": ["low", "medium", "high", "critical"] },
            "owner": text("The mail address of whoever answers for the clause."),
            "names": { "type": "array", "items": { "type": "string" }, "description": "Words with digits that are names." },
        },
        "allOf": rules,
    })
}

fn parameters(control: &Control) -> Value {
    let properties: Map<String, Value> =
        control.parameters().into_iter().map(|one| (one.name.to_owned(), parameter(one))).collect();
    json!({ "type": "object", "additionalProperties": false, "description": control.facts().summary, "properties": properties })
}

fn parameter(parameter: Parameter) -> Value {
    let mut schema = parameter.schema;
    if let Some(object) = schema.as_object_mut() {
        object.insert(
            String::from("description"),
            Value::from(format!("{} Default: {}.", parameter.summary, parameter.written)),
        );
    }
    schema
}

fn exception() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["clause", "reason", "approved_by", "expires"],
        "properties": {
            "clause": text("The id of a clause."),
            "reason": text("Why the breach is accepted."),
            "approved_by": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            "expires": { "description": "The last day on which it counts, at most 90 days ahead." },
        },
    })
}

fn not_applicable() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["clause", "reason", "approved_by", "reviewed"],
        "properties": {
            "clause": text("The id of a clause."),
            "reason": text("Why it does not apply."),
            "approved_by": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            "reviewed": { "description": "When that was last confirmed; it counts for a year." },
        },
    })
}
