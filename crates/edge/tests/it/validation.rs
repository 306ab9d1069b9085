//! Requests are held to the application's document before any of them goes on.

use std::fs;

use reeve_edge::ContractSettings;
use reeve_policy::catalogue::{Control, Controls, InputCharset, InputFormat, InputSchema, InputType};

use crate::application::Application;
use crate::house::{House, upstream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const DOCUMENT: &str = "\
openapi: 3.1.0
paths:
  /orders:
    get: {parameters: [{name: limit, in: query, schema: {type: integer}}, {name: since, in: query, schema: {type: string, format: date}}]}
    post:
      requestBody:
        required: true
        content: {application/json: {schema: {type: object, required: [item], properties: {item: {type: string}}}}}
";

fn controls(all: &[Control]) -> Controls {
    let mut controls = Controls::default();
    all.iter().for_each(|control| controls.demand(control));
    controls
}

fn everything() -> Controls {
    controls(&[
        Control::InputSchema(InputSchema::default()),
        Control::InputType(InputType::default()),
        Control::InputFormat(InputFormat::default()),
        Control::InputCharset(InputCharset::default()),
    ])
}

/// A house with the document, which is taken up by a reload.
fn described(application: &Application, controls: &Controls) -> House {
    let mut house = House::with(upstream(application.address), controls);
    let document = house.folder.path().join("api.yaml");
    fs::write(&document, DOCUMENT).unwrap();
    house.settings.upstream.contract = Some(ContractSettings { document, base: Some(String::from("/api")) });
    house.gateway().reload(&house.settings, controls).unwrap();
    house
}

fn post(kind: &str, body: &str) -> String {
    format!(
        "POST /api/orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

#[track_caller]
fn status(house: &House, request: &str, expected: u16) -> String {
    let answer = house.exchange(request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{request}\n{answer}");
    answer
}

#[test]
fn what_is_malformed_never_reaches_the_application() {
    let application = Application::answering(OK);
    let house = described(&application, &everything());
    status(&house, &get("/api/orders?limit=ten"), 400);
    status(&house, &get("/api/orders?since=today"), 400);
    status(&house, &get("/api/orders?limit=%00"), 400);
    status(&house, &get("/api/customers"), 404);
    for disguised in
        ["/x/../api/orders", "//api/orders", "/%61pi/orders", "/./api/admin", "/api;a=b/orders", "/x/%2e%2e/api/admin"]
    {
        status(&house, &get(disguised), 400);
    }
    let answer = status(&house, &get("/api/orders").replace("GET", "PUT"), 405);
    assert!(answer.contains("allow: GET, POST"), "{answer}");
    status(&house, &post("application/json", r#"{"item":7}"#), 400);
    status(&house, &post("application/json", r#"{"item":"a","item":"b"}"#), 400);
    status(&house, &post("text/plain", "item"), 415);
    status(&house, &post("application/json", ""), 400);
    assert_eq!(application.heads(), Vec::<String>::new());
    let events = house.close();
    let told = |control: &str, cause: &str| {
        assert!(
            events.iter().any(|event| event["control"] == control && event["cause"] == cause),
            "{cause}: {events:?}"
        );
    };
    told("input.type", "type at /query/limit");
    told("input.format", "format at /query/since");
    told("input.charset", "control character at /query");
    told("input.schema", "paths at /path");
    told("input.type", "type at /body/item");
    told("input.schema", "duplicate at /body");
}

#[test]
fn what_is_well_formed_goes_on() {
    let application = Application::answering(OK);
    let house = described(&application, &everything());
    status(&house, &get("/api/orders?limit=10&since=2026-11-22"), 200);
    status(&house, &post("application/json", "{ \"item\" : \"l\\u00e4mp\" }"), 200);
    let chunked = "POST /api/orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"item\":\r\n4\r\n\"a\"}\r\n0\r\n\r\n";
    status(&house, chunked, 200);
    status(&house, &get("/elsewhere?x=1"), 200);
    assert_eq!(application.heads().len(), 4);
}

#[test]
fn without_a_document_bodies_are_bounded_by_their_kind() {
    let application = Application::answering(OK);
    let schema = InputSchema { depth: 2, values: 3, ..InputSchema::default() };
    let house = House::with(upstream(application.address), &controls(&[Control::InputSchema(schema)]));
    status(&house, &post("application/json", "[[1]]"), 200);
    status(&house, &post("application/json", "[[[]]]"), 400);
    status(&house, &post("application/json", "[1,2,3]"), 400);
    status(&house, &post("application/json", "{"), 400);
    status(&house, &post("application/x-www-form-urlencoded", "a=1&b=2&c=3"), 200);
    status(&house, &post("application/x-www-form-urlencoded", "a=1&b=2&c=3&d=4"), 400);
    status(&house, &post("application/octet-stream", "{"), 200);
    status(&house, &post("application/json", &format!("\"{}\"", "x".repeat(2 << 20))), 413);
}

#[test]
fn a_broken_document_changes_nothing() {
    let application = Application::answering(OK);
    let house = described(&application, &everything());
    let document = house.folder.path().join("api.yaml");
    for broken in ["openapi: 3.1.0", "{", "openapi: 3.1.0\npaths: {/a: {$ref: 'http://127.0.0.1/x'}}"] {
        fs::write(&document, broken).unwrap();
        assert!(house.gateway().reload(&house.settings, &everything()).is_err());
        status(&house, &get("/api/orders?limit=ten"), 400);
        status(&house, &get("/api/orders?limit=10"), 200);
    }
    fs::remove_file(&document).unwrap();
    let error = house.gateway().reload(&house.settings, &everything()).unwrap_err().to_string();
    assert!(error.contains("api.yaml"), "{error}");
}

#[test]
fn what_no_control_asks_for_is_not_looked_at() {
    let application = Application::answering(OK);
    let house = described(&application, &Controls::default());
    status(&house, &get("/api/customers?limit=%00"), 200);
    status(&house, &post("application/json", "{"), 200);
}
