//! What an application is asked for is learned, and proposed as a document under which it passes.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use reeve_edge::{ContractSettings, ProposeError, Routing, UpstreamSettings};
use reeve_policy::catalogue::{Control, Controls, InputSchema, InputSize};

use crate::application::{After, Application};
use crate::house::{House, upstream};

/// 404 for what is under `/nowhere`, 500 under `/boom`, a redirect under `/old`.
fn application() -> Application {
    Application::behaving(Arc::new(|head, stream| {
        let status = match head.split(' ').nth(1).unwrap() {
            path if path.starts_with("/nowhere") => "404 Not Found",
            path if path.starts_with("/boom") => "500 Internal Server Error",
            path if path.starts_with("/old") => "302 Found",
            _ => "200 OK",
        };
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes()).unwrap();
        After::KeepAlive
    }))
}

fn learning(application: &Application, controls: &Controls) -> House {
    House::with(UpstreamSettings { learn: true, ..upstream(application.address) }, controls)
}

fn post(target: &str, kind: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer planted-token\r\nCookie: sid=planted-cookie\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chunked(target: &str, kind: &str, pieces: &[&str]) -> String {
    let pieces: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
    format!(
        "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n{pieces}0\r\n\r\n"
    )
}

#[track_caller]
fn status(house: &House, request: &str, expected: u16) {
    let answer = house.exchange(request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{request}\n{answer}");
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

fn traffic() -> Vec<String> {
    let (before, after) = (r#"{"item":"pla"#, r#"nted-item","quantity":2}"#);
    let json = format!("{before}{after}");
    let mut all = Vec::new();
    for number in 0..6 {
        all.push(get(&format!("/orders/{number}?page={number}&q=planted-query")));
        all.push(post("/orders", "application/json", &json));
        all.push(chunked("/orders", "application/json", &[before, after]));
        all.push(post("/notes", "application/x-www-form-urlencoded", "subject=planted-subject&count=1"));
    }
    all.push(get("/old/page"));
    all
}

#[test]
fn what_was_learned_holds_for_the_same_requests_and_for_no_others() {
    let application = application();
    let controls = {
        let mut controls = Controls::default();
        controls.demand(&Control::InputSchema(InputSchema::default()));
        controls
    };
    let mut house = learning(&application, &controls);
    traffic().iter().for_each(|request| {
        let answer = house.exchange(request);
        assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 302 "), "{answer}");
    });
    let draft = house.gateway().learning().propose("default").unwrap();
    assert_eq!((draft.operations, draft.uncertain), (4, 1), "{}", draft.yaml);
    assert!(!draft.yaml.contains("planted") && !draft.json.to_string().contains("planted"), "{}", draft.yaml);

    let document = house.folder.path().join("api.yaml");
    fs::write(&document, &draft.yaml).unwrap();
    house.settings.upstream.contract = Some(ContractSettings { document, base: None });
    house.settings.upstream.learn = false;
    house.gateway().reload(&house.settings, &controls).unwrap();
    traffic().iter().take(24).for_each(|request| status(&house, request, 200));
    status(&house, &get("/orders/one?page=1&q=a"), 400);
    status(&house, &get("/orders/1?page=1&q=a&admin=1"), 400);
    status(&house, &post("/orders", "application/json", r#"{"item":"a","quantity":"2"}"#), 400);
    status(&house, &post("/orders", "application/json", r#"{"item":"a","quantity":2,"admin":true}"#), 400);
    status(&house, &get("/customers"), 404);
    // What was learned stays, and nothing is added to it.
    let progress = house.gateway().learning().progress();
    assert_eq!((progress[0].learning, progress[0].requests), (false, 25));
}

#[test]
fn only_what_the_application_answered_well_is_learned() {
    let application = application();
    let mut controls = Controls::default();
    let size = InputSize { body: reeve_base::Size::from_bytes(1_024), ..InputSize::default() };
    controls.demand(&Control::InputSize(size));
    let house = learning(&application, &controls);
    status(&house, &get("/nowhere/wp-login"), 404);
    status(&house, &get("/boom"), 500);
    status(&house, &post("/large", "application/json", &format!("\"{}\"", "x".repeat(2_000))), 413);
    status(&house, &chunked("/cut", "application/json", &[&"x".repeat(900), &"x".repeat(900)]), 413);
    status(&house, &post("/broken", "application/json", "{"), 200);
    status(&house, &post("/packed", "application/json\r\nContent-Encoding: gzip", "{}"), 200);
    let learning = house.gateway().learning();
    let progress = &learning.progress()[0];
    assert_eq!((progress.requests, progress.unsuccessful, progress.unfit), (0, 2, 2), "{progress:?}");
    assert!(matches!(learning.propose("default"), Err(ProposeError::Empty(_))));
    assert!(matches!(learning.propose("other"), Err(ProposeError::Unknown(_))));
    status(&house, &get("/fine"), 200);
    let yaml = learning.propose("default").unwrap().yaml;
    assert!(yaml.contains("/fine:") && yaml.contains("Left out: 2 requests"), "{yaml}");
    for absent in ["nowhere", "boom", "large", "cut", "broken", "packed"] {
        assert!(!yaml.contains(absent), "{yaml}");
    }
}

#[test]
fn what_was_learned_is_kept_taken_up_and_forgotten() {
    let application = application();
    let house = learning(&application, &Controls::default());
    status(&house, &get("/reset/planted-secret"), 200);
    status(&house, &post("/orders", "application/json", r#"{"item":"planted-item"}"#), 200);
    let first = house.gateway().learning();
    let draft = first.propose("default").unwrap();
    let unkept = first.take_unkept();
    let (name, Some(kept)) = &unkept[0] else { panic!("nothing is to be kept") };
    assert!(!String::from_utf8_lossy(kept).contains("planted"));
    assert!(first.take_unkept().is_empty());

    let other = House::before(application.address);
    let second = other.gateway().learning();
    second.restore(name, kept).unwrap();
    assert_eq!(second.propose("default").unwrap().yaml, draft.yaml);
    assert!(second.restore(name, b"{}\nnonsense").is_err());
    assert!(second.forget("default"));
    assert!(!second.forget("default"));
    assert_eq!(second.take_unkept(), [(String::from("default"), None)]);
    assert!(second.propose("default").is_err());
}

#[test]
fn bodies_too_long_to_be_read_are_known_to_be_there() {
    let application = application();
    let house = learning(&application, &Controls::default());
    let long = format!("\"{}\"", "x".repeat(300 * 1024));
    status(&house, &post("/long", "application/json", &long), 200);
    status(&house, &post("/file", "application/octet-stream", "\u{0}\u{1}"), 200);
    let yaml = house.gateway().learning().propose("default").unwrap().yaml;
    assert!(yaml.contains("application/json: {}") && yaml.contains("application/octet-stream: {}"), "{yaml}");
}

#[test]
fn each_upstream_has_a_document_of_its_own_and_others_cost_nothing() {
    let (site, api) = (application(), application());
    let mut house = House::before(site.address);
    assert!(house.gateway().learning().progress().is_empty());
    house.settings.routing = Routing {
        upstreams: vec![UpstreamSettings { name: String::from("api"), learn: true, ..upstream(api.address) }],
        routes: vec![reeve_edge::RouteSettings {
            host: None,
            path: String::from("/api"),
            upstream: String::from("api"),
        }],
    };
    house.gateway().reload(&house.settings, &Controls::default()).unwrap();
    status(&house, &get("/page"), 200);
    status(&house, &get("/api/orders"), 200);
    let progress = house.gateway().learning().progress();
    assert_eq!(progress.len(), 1);
    assert_eq!((progress[0].upstream.as_str(), progress[0].requests), ("api", 1));
    assert!(house.gateway().learning().propose("api").unwrap().yaml.contains("/api/orders:"));
}
