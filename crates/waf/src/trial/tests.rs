//! Tests of the reader, the request, the server, the application and the judge.

use super::application::answer;
use super::judge::{Expected, Found, Seen, Unmet, line};
use super::overrides::{Changed, Overrides};
use super::request::{Carried, RequestError, build};
use super::template::{TemplateError, fill};
use super::text::{Unreadable, read};
use super::wire::{Refused, take_apart};
use crate::rule::{Phase, Place, Severity};
use crate::transaction::Match;

/// The bytes of the first stage's request of the first test.
#[track_caller]
fn request(input: &str) -> Vec<u8> {
    let text = format!("rule_id: 1\ntests:\n- stages:\n  - input: {input}\n    output: {{status: 200}}\n");
    let file = read(text.as_bytes()).unwrap();
    build(&file.trials[0].stages[0].input, &Carried::default()).unwrap()
}

#[track_caller]
fn sent(input: &str, expected: &str) {
    assert_eq!(String::from_utf8(request(input)).unwrap(), expected);
}

#[test]
fn a_file_has_rule_numbers_lines_and_numbers_as_texts() {
    let file = read(
        b"---\nmeta:\n  author: x\n  enabled: true\nrule_id: 942100\ntests:\n\
        - test_id: 7\n  desc: d\n  stages:\n  - input:\n      headers: {Content-Length: 7, X-Empty: , A: 1.10}\n\
        \x20     version: HTTP/1.1\n    output:\n      log:\n        expect_ids: [1, 2]\n\
        - stages: [{input: {}, output: {status: [200, 403]}}]\n",
    )
    .unwrap();
    let ids: Vec<_> = file.trials.iter().map(|trial| (trial.id.as_str(), trial.line)).collect();
    assert_eq!(ids, [("942100-7", 7), ("942100-2", 16)]);
    let headers = file.trials[0].stages[0].input.headers.clone().unwrap();
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    // In the order of their names, and as they are written.
    assert_eq!(headers, [("A", Some("1.10")), ("Content-Length", Some("7")), ("X-Empty", None)]);
    assert_eq!(Expected::of(&file.trials[0].stages[0].output).ids, [1, 2]);
    assert_eq!(Expected::of(&file.trials[1].stages[0].output).status, [200, 403]);
}

#[test]
fn the_older_form_is_read() {
    let file = read(
        b"meta: {enabled: true}\ntests:\n- test_title: 920100-4\n  stages:\n  - stage:\n      input: {stop_magic: true}\n\
        \x20     output: {log_contains: 'id \"920100\"'}\n",
    )
    .unwrap();
    assert_eq!(file.trials[0].id, "920100-4");
    assert_eq!(Expected::of(&file.trials[0].stages[0].output).log, ["id \"920100\""]);
}

#[test]
fn what_is_no_test_is_refused_with_its_line() {
    #[track_caller]
    fn refused(text: &str, line: u64, word: &str) {
        match read(text.as_bytes()) {
            Err(Unreadable::Syntax { line: at, cause }) => assert!(at == line && cause.contains(word), "{at}: {cause}"),
            other => panic!("{other:?}"),
        }
    }
    refused("rule_id: 1\ntests:\n  - test_id: 1\n    stages: []\n", 3, "without `stages`");
    refused("tests:\n  - test_id: 1\n    stages: [{input: {}}]\n", 2, "no `rule_id`");
    refused("rule_id: 1\ntests:\n  - stages:\n      - output: {}\n", 3, "without `input`");
    refused("rule_id: 1\ntests:\n  - test_id: x\n", 3, "");
    refused("rule_id: 1\ntests:\n\t- test_id: 1\n", 3, "");
    refused("rule_id: 1\ntemplate: {}\ntests: []\n", 0, "schema 3");
    assert!(matches!(read(b"a: \xff"), Err(Unreadable::Syntax { line: 1, .. })));
    assert!(matches!(read(&vec![b' '; (8 << 20) + 1]), Err(Unreadable::Large { .. })));
    assert!(read(b"# nothing\n").unwrap().trials.is_empty());
    assert!(read(b"test_overrides: []").unwrap().overrides);
}

#[test]
fn misspelt_words_are_found_and_only_in_the_test_that_has_them() {
    let file = read(
        b"rule_id: 1\nauthor: nobody\ntests:\n- desc: x\n  stages: [{input: {}, output: {log: {expect_id: [1]}}}]\n\
        - stages: [{input: {methode: GET}, output: {}}]\n- stages: [{input: {}, output: {status: 200}}]\n",
    )
    .unwrap();
    let unknown: Vec<_> = file.trials.iter().map(|trial| trial.unknown.join(" ")).collect();
    assert_eq!(unknown, ["expect_id", "methode", ""]);
}

#[test]
fn a_request_is_completed_as_a_client_would() {
    sent("{}", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    sent(
        "{method: POST, uri: /x, headers: {Host: h, Accept: a}}",
        "POST /x HTTP/1.1\r\nAccept: a\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    );
    sent(
        "{method: POST, data: 'a=1 2&b&c=<x>=&'}",
        "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\
        Content-Length: 20\r\n\r\na=1+2&b&c=%3Cx%3E%3D",
    );
    // Escaped already, or no form: as it is.
    sent(
        "{data: 'a=%41 x', headers: {connection: keep-alive}}",
        "GET / HTTP/1.1\r\nconnection: keep-alive\r\nContent-Type: application/x-www-form-urlencoded\r\n\
        Content-Length: 7\r\n\r\na=%41 x",
    );
    sent(
        "{data: '<a b>', headers: {Content-Type: text/xml}}",
        "GET / HTTP/1.1\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: 5\r\n\r\n<a b>",
    );
}

#[test]
fn a_request_may_break_http() {
    sent("{autocomplete_headers: false, data: 'a=<'}", "GET / HTTP/1.1\r\n\r\na=<");
    sent("{stop_magic: true, method: ' GET', version: '', uri: x}", " GET x \r\n\r\n");
    sent("{encoded_request: R0VUIC8NCg==}", "GET /\r\n");
    sent(
        "{autocomplete_headers: false, ordered_headers: [{name: B, value: '1'}, {name: A, value: '2'}], encoded_data: Cg==}",
        "GET / HTTP/1.1\r\nB: 1\r\nA: 2\r\n\r\n\n",
    );
}

#[test]
fn multipart_lines_end_with_both() {
    sent(
        "{data: \"--b\\nx\\n\", headers: {content-type: 'Multipart/Form-Data; boundary=b'}}",
        "GET / HTTP/1.1\r\ncontent-type: Multipart/Form-Data; boundary=b\r\nConnection: close\r\n\
        Content-Length: 8\r\n\r\n--b\r\nx\r\n",
    );
}

#[test]
fn a_request_that_cannot_be_made_says_why() {
    let file = read(
        b"rule_id: 1\ntests:\n- stages:\n  - input: {encoded_request: '!'}\n  - input: {encoded_request: QQ==, data: x}\n\
        \x20 - input: {data: '{{ .x }}'}\n",
    )
    .unwrap();
    let errors = file.trials[0].stages.iter().map(|stage| build(&stage.input, &Carried::default()).unwrap_err());
    let unknown = RequestError::Template(TemplateError::Unknown(String::from(" .x ")));
    assert_eq!(errors.collect::<Vec<_>>(), [RequestError::Base64("encoded_request"), RequestError::Both, unknown]);
}

#[test]
fn templates() {
    #[track_caller]
    fn filled(text: &str, expected: &str) {
        assert_eq!(fill(text).as_deref(), Ok(expected), "{text}");
    }
    filled("a } b", "a } b");
    filled("x{{ \"ab\" | repeat 3 }}y", "xabababy");
    filled("{{repeat 2 `}}`}}", "}}}}");
    filled("{{ \"\\\"\" | repeat 2 | upper }}{{ 7 }}", "\"\"7");
    filled("{{ \"a\" | b64enc }} {{ upper \"b\" }} {{ lower \"C\" }}", "YQ== B c");
    filled("a {{- \"b\" -}} c", "abc");
    assert_eq!(fill("{{ x"), Err(TemplateError::Open));
    assert_eq!(fill("{{ \"aaaa\" | repeat 99999999 }}"), Err(TemplateError::Large));
    for unknown in
        ["{{}}", "{{ 7*7 }}", "{{ nothing \"a\" }}", "{{ \"a\" \"b\" }}", "{{ \"a\" | }}", "{{ config.x() }}"]
    {
        assert!(matches!(fill(unknown), Err(TemplateError::Unknown(_))), "{unknown}");
    }
}

#[test]
fn the_server_takes_apart_what_it_can() {
    let received = take_apart(
        b"POST /a?b HTTP/1.1\r\nHost: h\r\nA:  x \n y\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nHi \r\n3;x=y\r\nCRS\r\n0\r\n\r\n",
    )
    .unwrap();
    assert_eq!((received.body.as_slice(), received.path()), (&b"Hi CRS"[..], &b"/a"[..]));
    let names: Vec<_> = received.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    // The length goes where chunks count.
    assert_eq!(names, [(&b"Host"[..], &b"h"[..]), (b"A", b"x y"), (b"Transfer-Encoding", b"chunked")]);
    let body = |text: &[u8]| take_apart(text).unwrap().body;
    assert_eq!(body(b"GET / HTTP/1.0\r\nContent-Length: 2\r\n\r\nabc"), b"ab");
    assert_eq!(body(b"GET / HTTP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\nabc"), b"abc");
    assert_eq!(body(b"GET / HTTP/1.0\r\n\r\nabc"), b"");
    assert_eq!(body(b"GET / HTTP/1.0\nTransfer-Encoding: chunked\n\nff\nabc"), b"abc");
    assert_eq!(take_apart(b"GET http://h:80/x/y?z HTTP/1.0\r\n").unwrap().path(), b"/x/y");
    assert_eq!(take_apart(b"GET / \r\n\r\n").unwrap().protocol, b"");
}

#[test]
fn the_server_refuses_what_it_cannot() {
    let refused = |text: &str| take_apart(text.as_bytes()).err();
    let line = |line: &str| refused(&format!("{line}\r\nHost: h\r\n\r\n"));
    for text in ["", " GET / HTTP/1.1", "\tGET / HTTP/1.1", "GET", "GET /a b HTTP/1.1", "GET  / HTTP/1.1"] {
        assert_eq!(line(text), Some(Refused::Line), "{text}");
    }
    for text in ["GET / HTTP/0.9", "GET / JUNK/1.0", "GET / 1.1", "GET / HTTP\\1.0", "GET / HTTP/1.10"] {
        assert_eq!(line(text), Some(Refused::Protocol), "{text}");
    }
    for text in ["GET \\ HTTP/1.1", "GET /#a HTTP/1.1", "CONNECT h HTTP/1.1", "GET * HTTP/1.1", "GET /\x01 HTTP/1.1"] {
        assert_eq!(line(text), Some(Refused::Target), "{text}");
    }
    for text in
        ["CONNECT h:443 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET / HTTP/4.0", "GET / HTTP/2", "GET http://h HTTP/1.1"]
    {
        assert_eq!(line(text), None, "{text}");
    }
    let field = |field: &str| refused(&format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n"));
    assert_eq!(field("no colon"), Some(Refused::Name));
    assert_eq!(field("a b: c"), Some(Refused::Name));
    assert_eq!(field(": c"), Some(Refused::Name));
    assert_eq!(field("a: b\rc"), Some(Refused::Value));
    assert_eq!(field("Content-Length: 3;"), Some(Refused::Length));
    assert_eq!(field("Content-Length: +3"), Some(Refused::Length));
    for host in ["", "Host:\r\n", "Host: a%00\r\n"] {
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{host}\r\n")), Some(Refused::Host), "{host}");
    }
    assert_eq!(refused("GET / HTTP/1.0\r\nHost:\r\n\r\n"), None);
}

#[test]
fn the_application_answers_what_it_is_asked_to() {
    let answered = |line: &str, body: &str| {
        let text = format!("{line} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        answer(&take_apart(text.as_bytes()).unwrap(), None)
    };
    let typed = |body: &str| {
        let answered = answered("POST /reflect", body);
        let kind = answered.fields.iter().find(|(name, _)| name == b"Content-Type").map(|(_, value)| value.clone());
        (answered.status, String::from_utf8(kind.unwrap_or_default()).unwrap(), answered.body)
    };
    assert_eq!(answered("GET /reflect", "{}").body, b"");
    assert_eq!(answered("POST /reflected", "{\"status\": 500}").status, 200);
    assert_eq!(answered("POST /reflect?x=1", "{\"status\": 503}").status, 503);
    assert_eq!(typed("{\"body\": \"a\"}"), (200, String::from("text/plain; charset=utf-8"), b"a".to_vec()));
    assert_eq!(typed("{\"body\": \" <HTML>\"}").1, "text/html; charset=utf-8");
    assert_eq!(typed("{\"body\": \"<?xml?>\"}").1, "text/xml; charset=utf-8");
    assert_eq!(typed("{\"encodedBody\": \"AAE=\"}").1, "application/octet-stream");
    let given = "{\"headers\": {\"content-type\": \"a/b\", \"X\": \"y\"}, \"body\": \"z\", \"logMessage\": \"w\"}";
    assert_eq!(answered("POST /reflect", given).fields.len(), 3);
    for wrong in ["", "{\"status\": 99}", "{\"encodedBody\": \"!\"}"] {
        assert_eq!(typed(wrong).0, 400, "{wrong}");
    }
}

fn found(rule: u32, data: &str) -> Match {
    Match {
        rule,
        place: Place { file: "a.conf".into(), line: 3 },
        phase: Phase::RequestBody,
        message: String::from("Says \"it\""),
        data: data.to_owned(),
        severity: Some(Severity::Critical),
        tags: vec![String::from("t")],
        variable: String::from("ARGS:q"),
        score: 0,
        hits: Vec::new(),
    }
}

#[test]
fn a_match_is_one_line() {
    assert_eq!(
        line(&found(7, "a\r\nb\u{1}")),
        "matched at ARGS:q. [file \"a.conf\"] [line \"3\"] [id \"7\"] [msg \"Says \\\"it\\\"\"] \
        [data \"a\\r\\nb\\x01\"] [severity \"CRITICAL\"] [tag \"t\"]"
    );
}

#[track_caller]
fn judged(output: &str, unmet: &[Unmet]) {
    let text = format!("rule_id: 1\ntests:\n- stages:\n  - input: {{}}\n    output: {output}\n");
    let file = read(text.as_bytes()).unwrap();
    assert!(file.trials[0].unknown.is_empty());
    let expected = Expected::of(&file.trials[0].stages[0].output);
    let lines = vec![line(&found(1, "x")), line(&found(2, "y"))];
    let seen = Seen {
        found: Found { status: Some(200), ids: vec![1, 2], ..Found::default() },
        lines,
        body: b"hello".to_vec(),
    };
    assert_eq!(expected.unmet(&seen).unwrap(), unmet, "{output}");
}

#[test]
fn everything_expected_must_hold() {
    judged("{status: 200, response_contains: '^h.l', log: {expect_ids: [1, 2], no_expect_ids: [3]}}", &[]);
    judged("{status: 403}", &[Unmet::Status(vec![403], 200)]);
    judged("{log: {expect_ids: [1, 3]}}", &[Unmet::Silent(vec![3])]);
    judged("{log: {no_expect_ids: [2, 3]}}", &[Unmet::Spoke(vec![2])]);
    judged("{log: {match_regex: 'id \"2\".*data \"y', no_match_regex: 'id \"3\"'}}", &[]);
    judged("{log: {match_regex: 'id \"1\".*data \"y'}}", &[Unmet::NoLine(String::from("id \"1\".*data \"y"))]);
    judged("{no_log_contains: 'ARGS:q'}", &[Unmet::Line(String::from("ARGS:q"))]);
    judged("{response_contains: bye}", &[Unmet::Answer(String::from("bye"))]);
    judged("{isolated: true, log: {expect_ids: [1]}}", &[Unmet::NotAlone(vec![1, 2])]);
    judged("{expect_error: true}", &[Unmet::NoError]);
    let none = Expected { error: true, ids: vec![9], ..Expected::default() };
    let seen = Seen { found: Found { error: Some(String::from("gone")), ..Found::default() }, ..Seen::default() };
    assert_eq!(none.unmet(&seen).unwrap(), []);
    assert_eq!(Expected::default().unmet(&seen).unwrap(), [Unmet::Error(String::from("gone"))]);
    assert!(Expected { log: vec![String::from("(")], ..Expected::default() }.unmet(&Seen::default()).is_err());
}

#[test]
fn overrides_leave_out_or_expect_otherwise() {
    let overrides = Overrides::read(
        b"version: v0\nmeta: {engine: x}\ntest_overrides:\n- {rule_id: 1, test_ids: [2], reason: why}\n\
        - {rule_id: 1, stage_ids: [2], reason: x, output: {status: 400}}\n- {rule_id: 3, reason: y, retry_once: true}\n",
    )
    .unwrap();
    assert!(matches!(overrides.of(1, 2, 2), Some(Changed::Ignored("why"))));
    assert!(matches!(overrides.of(1, 1, 2), Some(Changed::Expects(_))));
    assert!(overrides.of(1, 1, 1).is_none() && overrides.of(2, 2, 1).is_none());
    assert!(matches!(overrides.of(3, 9, 1), Some(Changed::Retried)));
    assert!(Overrides::read(b"rule_id: 1").is_err());
    assert!(Overrides::read(b"test_overrides: [{rule_id: 1}]").is_err(), "an override without a reason");
}

/// What the server refuses is what the tests expect it to. Runs where `REEVE_CRS` names a folder whose `tests` are
/// the Core Rule Set's.
#[test]
fn of_the_core_rule_sets_tests_only_those_are_refused_that_expect_it() {
    let folder = std::env::var_os("REEVE_CRS").map(|folder| std::path::Path::new(&folder).join("tests"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        eprintln!("left out: REEVE_CRS names no folder with the tests of the Core Rule Set");
        return;
    };
    let (mut trials, mut wrong) = (0, Vec::new());
    for folder in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let file =
                read(&std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for trial in file.trials {
                trials += 1;
                assert!(trial.unknown.is_empty(), "{} {:?}", trial.id, trial.unknown);
                for stage in &trial.stages {
                    let expected = Expected::of(&stage.output);
                    assert!(!expected.is_nothing(), "{}", trial.id);
                    let raw = build(&stage.input, &Carried::default())
                        .unwrap_or_else(|error| panic!("{}: {error}", trial.id));
                    let received = take_apart(&raw);
                    // Refused although nobody counts on it: then nothing is expected to be found.
                    let silent = expected.ids.is_empty() && expected.log.is_empty() && expected.status.is_empty();
                    if received.is_err() != (expected.status == [400]) && !(received.is_err() && silent) {
                        wrong.push(format!("{} {:?}\n{}", trial.id, received.err(), String::from_utf8_lossy(&raw)));
                    }
                }
            }
        }
    }
    assert!(trials > 2_000, "{trials}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
