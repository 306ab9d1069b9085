use std::fmt::Write;

use reeve_contract::{Contract, DOCUMENT_BYTES_MAX};

use crate::{ALL, judge};

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = Contract::compile(text.as_bytes(), None).unwrap_err().to_string();
    assert!(error.contains(expected), "`{error}` does not say `{expected}`");
}

/// A document with this schema as the body of its only operation.
fn with_schema(schema: &str, components: &str) -> String {
    format!(
        "openapi: 3.1.0\npaths:\n  /a:\n    post:\n      requestBody:\n        content:\n          application/json:\n            schema: {schema}\ncomponents:\n  schemas: {components}\n"
    )
}

#[test]
fn what_is_no_document_is_refused_with_its_place() {
    refused("", "there is no `openapi`");
    refused("[1, 2]", "there is no `openapi`");
    refused("swagger: '2.0'", "converted first");
    refused("openapi: 4.0.0", "another version");
    refused("openapi: 3.1.0\npaths: {}", "no operation");
    refused("openapi: 3.1.0\n  paths: [", "line 2");
    refused("{\"openapi\": \"3.1.0\",\n \"paths\": }", "line 2");
    refused("{\"openapi\": \"3.1.0\", \"openapi\": \"3.1.0\"}", "duplicate");
    refused("openapi: 3.1.0\nopenapi: 3.1.0", "uplicate");
    let error = Contract::compile(b"openapi: 3.1.0\n# \xff", None).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("UTF-8"), "{error}");
    let error = Contract::compile(&vec![b' '; DOCUMENT_BYTES_MAX + 1], None).unwrap_err().to_string();
    assert!(error.contains("split it"), "{error}");
}

#[test]
fn references_stay_within_and_lead_somewhere() {
    refused(&with_schema("{$ref: 'https://example.com/x.json'}", "{}"), "leads out of the document");
    refused(&with_schema("{$ref: 'other.yaml#/x'}", "{}"), "leads out of the document");
    refused(&with_schema("{$ref: '#/components/schemas/None'}", "{}"), "there is nothing");
    refused(&with_schema("{$ref: '#anchor'}", "{}"), "names an anchor");
    refused(
        &with_schema("{$ref: '#/components/schemas/A'}", "{A: {$dynamicRef: '#x'}}"),
        "`$dynamicRef` is not followed",
    );
    refused("openapi: 3.1.0\npaths:\n  /a: {$ref: '#/paths/~1a'}", "references lead to each other");
}

#[test]
fn a_schema_that_is_only_itself_is_refused_and_a_recursive_type_is_not() {
    refused(
        &with_schema("{$ref: '#/components/schemas/A'}", "{A: {$ref: '#/components/schemas/A'}}"),
        "leads back to itself",
    );
    refused(
        &with_schema(
            "{$ref: '#/components/schemas/A'}",
            "{A: {allOf: [{$ref: '#/components/schemas/B'}]}, B: {anyOf: [{$ref: '#/components/schemas/A'}]}}",
        ),
        "leads back to itself",
    );
    let tree = with_schema(
        "{$ref: '#/components/schemas/T'}",
        "{T: {type: object, properties: {next: {$ref: '#/components/schemas/T'}}}}",
    );
    let contract = Contract::compile(tree.as_bytes(), None).unwrap();
    let nested = |depth: usize| format!("{}{{}}{}", "{\"next\":".repeat(depth), "}".repeat(depth));
    let judged =
        |depth| judge(&contract, ALL, "POST /a", &[("content-type", "application/json")], nested(depth).as_bytes());
    assert_eq!(judged(15), Ok(true));
    assert_eq!(judged(16).unwrap_err().to_string(), "depth at /body");
    assert_eq!(judged(100_000).unwrap_err().to_string(), "depth at /body");
}

#[test]
fn schemas_that_multiply_are_refused() {
    let mut components = String::from("{");
    for number in 0..20 {
        let next = number + 1;
        write!(components, "S{number}: {{anyOf: [{{$ref: '#/components/schemas/S{next}'}}, {{$ref: '#/components/schemas/S{next}'}}]}}, ").unwrap();
    }
    components += "S20: {type: string}}";
    refused(&with_schema("{$ref: '#/components/schemas/S0'}", &components), "would be checked against more than");
}

#[test]
fn a_thousand_laughs_are_not_laughed() {
    let mut text = String::from("openapi: 3.1.0\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for number in 1..9 {
        let before = number - 1;
        writeln!(text, "a{number}: &a{number} [{}]", vec![format!("*a{before}"); 10].join(",")).unwrap();
    }
    assert!(Contract::compile(text.as_bytes(), None).is_err());
}

#[test]
fn patterns_are_linear_or_refused() {
    refused(&with_schema("{type: string, pattern: '(?=a)b'}", "{}"), "/paths/~1a/post");
    refused(&with_schema("{type: string, pattern: '(a)\\1'}", "{}"), "/paths/~1a/post");
    let contract = Contract::compile(with_schema("{type: string, pattern: '^(a+)+$'}", "{}").as_bytes(), None).unwrap();
    let body = format!("\"{}!\"", "a".repeat(100_000));
    let judged = judge(&contract, ALL, "POST /a", &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(judged.unwrap_err().to_string(), "pattern at /body");
}

#[test]
fn what_means_nothing_is_named() {
    refused(&with_schema("{type: string, minLength: many}", "{}"), "minLength");
    refused(&with_schema("{type: strnig}", "{}"), "/paths/~1a/post");
    refused(&with_schema("7", "{}"), "written as a mapping");
    refused("openapi: 3.1.0\npaths: {'/a/{id}': {get: {}}}", "no parameter of this name");
    refused("openapi: 3.1.0\npaths: {a: {get: {}}}", "begins with `/`");
    refused(
        "openapi: 3.1.0\npaths: {/a: {get: {parameters: [{name: x, in: path, schema: {}}]}}}",
        "no `{x}` in the path",
    );
    refused(
        "openapi: 3.1.0\npaths: {/a: {get: {parameters: [{name: x, in: query, style: matrix, schema: {}}]}}}",
        "the style `matrix`",
    );
    refused(
        "openapi: 3.1.0\npaths: {'/a/{x}': {get: {parameters: [{name: x, in: path, schema: {}}]}}, '/a/{y}': {get: {parameters: [{name: y, in: path, schema: {}}]}}}",
        "differs from this one only",
    );
}
