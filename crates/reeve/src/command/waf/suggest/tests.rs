//! Tests.

use serde_json::json;

use super::place::Place;
use super::proposal::{is_spelled_out, written};
use super::recorded::{Found, recorded};
use super::*;

#[track_caller]
fn check(event: &serde_json::Value, expected: &[(u32, &[&str])]) {
    let found = recorded(event).map(|recorded| recorded.found).unwrap_or_default();
    let expected: Vec<_> = expected
        .iter()
        .map(|(rule, variables)| Found {
            rule: *rule,
            variables: variables.iter().map(|one| (*one).to_owned()).collect(),
        })
        .collect();
    assert_eq!(found, expected, "{event}");
}

#[test]
fn events_say_which_rules_and_where() {
    let event = |cause: &str| json!({"control": "waf.attack_set", "outcome": "refused", "object": "/a?q=…", "action": "GET", "cause": cause});
    check(&event("rules 942100, 949110 at ARGS:q, score 5"), &[(942_100, &["ARGS:q"]), (949_110, &["ARGS:q"])]);
    check(&event("rule 1 at REQUEST_FILENAME"), &[(1, &["REQUEST_FILENAME"])]);
    check(&event("rule 1, score 5"), &[(1, &[])]);
    check(
        &event("rules 1, 2 and 3 more at ARGS:a, ARGS:… and 1 more, score 9"),
        &[(1, &["ARGS:a", "ARGS:…"]), (2, &["ARGS:a", "ARGS:…"])],
    );
    check(&event("a body of more than 5 bytes is not looked into"), &[]);
    let mut listed = event("rules 942100, 949110 at ARGS:q, score 5");
    listed["findings"] = json!({"rules": "ab", "found": [{"rule": 942100, "score": 5, "hits": [{"at": "ARGS:q", "slice": "…"}]}, {"rule": 949110, "hits": []}]});
    check(&listed, &[(942_100, &["ARGS:q"]), (949_110, &[])]);
    listed["control"] = json!("rate.ip");
    check(&listed, &[]);
    assert_eq!(recorded(&event("rule 1 at ARGS:a")).unwrap().path, "/a");
}

#[test]
fn variables_are_written_as_rules_read_them() {
    let check =
        |variable: &str, expected: Option<&str>| assert_eq!(written(variable).as_deref(), expected, "{variable}");
    check("ARGS:q", Some("ARGS:q"));
    check("REQUEST_FILENAME", Some("REQUEST_FILENAME"));
    check("XML:/*", Some("XML:/*"));
    check("ARGS:a,b c", Some("ARGS:'a,b c'"));
    check("ARGS:it's", None);
    check("ARGS:", None);
    check("ARGS:json.items.array_3.text", Some(r"ARGS:/^json\.items\.array_\d+\.text$/"));
    check("ARGS:json.text", Some("ARGS:json.text"));
}

#[test]
fn only_paths_that_are_spelled_plainly_are_proposed() {
    for path in ["/", "/notes", "/notes/", "/a.b/c-d", "/.well-known/x"] {
        assert!(is_spelled_out(path), "{path}");
    }
    for path in ["/a%20b", "/a;b", "//a", "/a/./b", "/a/…", "", "a"] {
        assert!(!is_spelled_out(path), "{path}");
    }
}

#[test]
fn requests_hold_the_text_in_their_place() {
    let text = |variable: &str, method: &str| {
        let raw = Place::of(variable, method).unwrap().request("/notes", method, "<b> & c");
        String::from_utf8(raw).unwrap()
    };
    assert!(text("ARGS:q", "GET").starts_with("GET /notes?q=%3Cb%3E%20%26%20c HTTP/1.1\r\n"));
    assert!(text("ARGS:q", "POST").ends_with("\r\nContent-Length: 19\r\n\r\nq=%3Cb%3E%20%26%20c"));
    assert!(text("ARGS:json.a.array_1.b", "POST").ends_with(r#"{"a":[null,{"b":"<b> & c"}]}"#));
    assert!(text("REQUEST_COOKIES:sid", "GET").contains("\r\nCookie: sid=<b> & c\r\n"));
    assert!(text("REQUEST_HEADERS:user-agent", "GET").contains("\r\nUser-Agent: <b> & c\r\n"));
    assert!(text("XML:/*", "POST").ends_with("<a><b>&lt;b> &amp; c</b></a>"));
    assert!(text("REQUEST_BASENAME", "GET").starts_with("GET /notes/%3Cb"));
    assert!(text("FILES:up", "POST").contains("name=\"up\"; filename=\"<b> & c\""));
    assert!(
        Place::of("TX:x", "GET").is_err()
            && Place::of("ARGS_NAMES:q", "GET").is_err()
            && Place::of("REQUEST_HEADERS:Host", "GET").is_err()
    );
}

#[test]
fn a_request_that_was_written_by_hand_gets_its_length() {
    let text = |raw: &str| String::from_utf8(whole(raw.as_bytes().to_vec())).unwrap();
    assert_eq!(text("POST / HTTP/1.1\nHost: a\n\nq=1\n"), "POST / HTTP/1.1\nHost: a\r\nContent-Length: 3\r\n\r\nq=1");
    for same in
        ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab\n", "GET / HTTP/1.1"]
    {
        assert_eq!(text(same), same);
    }
}
