//! Documents that were learned hold for what they were learned from, and for hardly anything else.

use std::net::IpAddr;

use bytes::Bytes;
use http::Method;
use proptest::prelude::*;
use reeve_contract::Contract;
use reeve_contract::learn::{Carried, Discretion, Left, Notes, Sample};
use serde_json::{Map, Value, json};

use crate::{ALL, judge};

/// As the gateway has it, in short.
const DISCRETION: Discretion =
    Discretion { is_secret: |text| text.contains("SECRET"), announces: |segment| segment == "reset" };

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    target: String,
    kind: Option<&'static str>,
    body: String,
    client: u8,
}

impl Request {
    fn get(target: &str) -> Self {
        Self { method: "GET", target: target.to_owned(), kind: None, body: String::new(), client: 1 }
    }

    fn post(target: &str, kind: &'static str, body: &str) -> Self {
        Self { method: "POST", target: target.to_owned(), kind: Some(kind), body: body.to_owned(), client: 1 }
    }

    fn teach(&self, notes: &mut Notes) -> Result<(), Left> {
        let method: Method = self.method.parse().unwrap();
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.target.as_str(), None),
        };
        let bytes = Bytes::copy_from_slice(self.body.as_bytes());
        let body = if bytes.is_empty() { Carried::Nothing } else { Carried::Whole(&bytes) };
        let client = IpAddr::from([192, 0, 2, self.client]);
        let sample = Sample { method: &method, path, query, content_type: self.kind, body, status: 200, client };
        notes.take(&sample, &DISCRETION)
    }

    fn passes(&self, contract: &Contract) -> bool {
        let headers: Vec<_> = self.kind.iter().map(|kind| ("content-type", *kind)).collect();
        let line = format!("{} {}", self.method, self.target);
        judge(contract, ALL, &line, &headers, self.body.as_bytes()) == Ok(true)
    }
}

fn taught(requests: &[Request]) -> Notes {
    let mut notes = Notes::new([7; 16]);
    requests.iter().for_each(|request| request.teach(&mut notes).unwrap());
    notes
}

fn yaml(notes: &Notes) -> String {
    notes.propose("Learned", &[]).unwrap().yaml()
}

#[track_caller]
fn compiled(notes: &Notes) -> Contract {
    let yaml = yaml(notes);
    Contract::compile(yaml.as_bytes(), None).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn some() -> Vec<Request> {
    let order = r#"{"item":"lamp","quantity":2,"note":null,"lines":[{"sku":"A1","price":1.5}],"due":"2026-11-22"}"#;
    let parts = "--XX\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nHello\r\n--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\ncontent-type: application/octet-stream\r\n\r\n\u{1}\u{2}\r\n--XX--\r\n";
    let mut all = Vec::new();
    for number in 0..6 {
        all.push(Request::get(&format!("/orders/{number}?page={number}&q=a%20b")));
        all.push(Request::post("/orders", "application/json; charset=utf-8", order));
        all.push(Request::post("/notes", "application/x-www-form-urlencoded", "subject=a&count=7&tag=a&tag=b"));
        all.push(Request::post("/files", "multipart/form-data; boundary=XX", parts));
    }
    all
}

#[test]
fn what_taught_passes_and_malformed_twins_do_not() {
    let all = some();
    let contract = compiled(&taught(&all));
    assert!(all.iter().all(|request| request.passes(&contract)));
    for malformed in [
        Request::get("/orders/seven?page=1&q=a"),
        Request::get("/orders/7?page=one&q=a"),
        Request::get("/orders/7?q=a"),
        Request::get("/orders/7?page=1&q=a&debug=1"),
        Request::get("/customers"),
        Request { method: "DELETE", ..Request::get("/orders/7?page=1&q=a") },
        Request::post("/orders", "application/json", r#"{"item":"lamp"}"#),
        Request::post("/orders", "text/plain", "x"),
        Request::post(
            "/orders",
            "application/json",
            r#"{"item":"lamp","quantity":"2","note":null,"lines":[],"due":"2026-11-22"}"#,
        ),
        Request::post("/notes", "application/x-www-form-urlencoded", "subject=a&count=x&tag=a"),
        Request::post("/notes", "application/x-www-form-urlencoded", "subject=a&count=1&tag=a&admin=1"),
    ] {
        assert!(!malformed.passes(&contract), "{malformed:?}");
    }
    let admin = r#"{"item":"lamp","quantity":2,"note":null,"lines":[],"due":"2026-11-22","admin":true}"#;
    assert!(!Request::post("/orders", "application/json", admin).passes(&contract));
}

#[test]
fn the_document_reads_well() {
    insta_like(
        &yaml(&taught(&some()[..2])),
        "\
# 2 of 2 operations were seen less than 5 times: look for `uncertain`.
openapi: 3.1.0
info:
  title: Learned
  version: \"0\"
servers:
  - url: /
paths:
  /orders:
    # uncertain: seen once
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                due:
                  type: string
                  format: date
                item:
                  type: string
                  maxLength: 64
                lines:
                  type: array
                  items:
                    type: object
                    properties:
                      price:
                        type: number
                      sku:
                        type: string
                        maxLength: 64
                    additionalProperties: false
                  maxItems: 64
                note:
                  type: \"null\"
                quantity:
                  type: integer
                  format: int64
              additionalProperties: false
      responses:
        \"200\":
          description: \"seen once\"
  /orders/{orders_id}:
    # uncertain: seen once
    get:
      parameters:
        - name: orders_id
          in: path
          required: true
          schema:
            type: integer
            format: int64
        - name: page
          in: query
          schema:
            type: integer
            format: int64
        - name: q
          in: query
          schema:
            type: string
            maxLength: 64
      responses:
        \"200\":
          description: \"seen once\"
",
    );
}

#[track_caller]
fn insta_like(found: &str, expected: &str) {
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{found}");
}

#[test]
fn nothing_that_was_typed_is_kept() {
    const SECRETS: [&str; 10] = [
        "hunter2",
        "xkqzwvbtr",
        "ada@example.com",
        "4111111111111111",
        "SECRETword",
        "Correct",
        "staple9x",
        "bobs-own-diary-of-may",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "plaintextpassword",
    ];
    let mut notes = Notes::new([7; 16]);
    let mut teach = |request: Request| request.teach(&mut notes).unwrap();
    for secret in SECRETS {
        teach(Request::get(&format!("/users?q={secret}")));
        teach(Request::get(&format!("/reset/{secret}")));
        teach(Request::post(
            "/login",
            "application/json",
            &json!({ "password": secret, "list": [secret] }).to_string(),
        ));
        teach(Request::post("/login", "application/x-www-form-urlencoded", &format!("password={secret}")));
    }
    for secret in &SECRETS[..5] {
        // As a name, and where no word announces it.
        teach(Request::get(&format!("/share/{secret}")));
        teach(Request::post(
            "/map",
            "application/json",
            &json!({ "ada@example.com": 1, "4111111111111111": 1 }).to_string(),
        ));
        teach(Request::get(&format!("/find?{}=1", "6f9619ff-8b86-d011-b42d-00c04fc964ff")));
    }
    let (kept, proposed) = (String::from_utf8(notes.kept()).unwrap(), yaml(&notes));
    let debug = format!("{notes:?}");
    for secret in SECRETS {
        for text in [&kept, &proposed, &debug] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn what_might_be_a_value_becomes_a_name_when_several_clients_ask() {
    let ask = |client: u8| Request { client, ..Request::get("/share/oauth2") };
    assert!(yaml(&taught(&[ask(1), ask(1), ask(1), ask(2)])).contains("/share/{share_id}:"));
    assert!(yaml(&taught(&[ask(1), ask(2), ask(3)])).contains("/share/oauth2:"));
}

#[test]
fn many_alike_are_values() {
    let names = ["ada", "bob", "eve", "dan", "fay", "gus", "hal", "ida", "joe"];
    let mut all: Vec<Request> = names.iter().map(|name| Request::get(&format!("/users/{name}"))).collect();
    assert!(yaml(&taught(&all[..8])).contains("/users/ada:"));
    all.push(Request::get("/users/new"));
    let yaml = yaml(&taught(&all));
    assert!(yaml.contains("/users/{users_id}:") && yaml.contains("/users/new:") && !yaml.contains("ada"), "{yaml}");
    let letter = |number: u8| char::from(b'a' + number % 26);
    let many: Vec<Request> =
        (0..65).map(|number| Request::get(&format!("/w{}{}", letter(number / 26), letter(number)))).collect();
    assert!(self::yaml(&taught(&many)).contains("  /{id}:"));
}

#[test]
fn what_no_document_can_describe_is_left_out() {
    let mut notes = Notes::new([7; 16]);
    for unfit in [
        Request::get("/a%2Fb"),
        Request::get("/a?q=%ff"),
        Request { method: "PROPFIND", ..Request::get("/a") },
        Request::post("/a", "application/json", "{"),
        Request::post("/a", "application/json", r#"{"a":1,"a":2}"#),
        Request::post("/a", "application/json; charset=latin1", "{}"),
        Request::post("/a", "multipart/form-data", "x"),
        Request { kind: None, ..Request::post("/a", "", "x") },
        Request::get(&"/a".repeat(17)),
    ] {
        assert_eq!(unfit.teach(&mut notes), Err(Left::Unfit), "{unfit:?}");
    }
    assert_eq!(notes.requests(), 0);
    assert!(notes.propose("", &[]).is_none());
}

#[test]
fn memory_is_bounded_and_what_passes_still_passes() {
    let mut notes = Notes::new([7; 16]);
    let letters = |mut number: u32| {
        let mut text = String::new();
        for _ in 0..4 {
            text.push(char::from(b'a' + u8::try_from(number % 8).unwrap()));
            number /= 8;
        }
        text
    };
    let mut full = 0;
    let mut kept = Vec::new();
    for number in 0..3_000_u32 {
        let object: Map<String, Value> =
            (0..60).map(|field| (format!("{}_{}", letters(number), letters(field)), json!(1))).collect();
        let target = format!("/a{}/b{}/{}", number % 60, letters(number % 50), letters(number));
        let request = Request::post(&target, "application/json", &Value::Object(object).to_string());
        match request.teach(&mut notes) {
            Ok(()) => kept.push(request),
            Err(left) => {
                assert_eq!(left, Left::Full);
                full += 1;
            }
        }
    }
    assert!(notes.nodes() <= reeve_contract::learn::NODES_MAX);
    assert!(notes.kept().len() < 16 << 20, "{}", notes.kept().len());
    let contract = compiled(&notes);
    assert!(kept.iter().all(|request| request.passes(&contract)), "{full} left out");
}

#[test]
fn notes_are_taken_up_again() {
    let notes = taught(&some());
    let again = Notes::taken_up(&notes.kept(), [8; 16]).unwrap();
    assert_eq!(yaml(&again), yaml(&notes));
    assert_eq!(again.nodes(), notes.nodes());
    let mut deep = Notes::new([7; 16]);
    let value =
        (0..40).fold(json!(1), |inner, number| if number % 2 == 0 { json!([inner]) } else { json!({ "a": inner }) });
    Request::post(&"/a".repeat(16), "application/json", &value.to_string()).teach(&mut deep).unwrap();
    assert_eq!(yaml(&Notes::taken_up(&deep.kept(), [8; 16]).unwrap()), yaml(&deep));
    assert!(Notes::taken_up(b"{}", [0; 16]).is_err());
    assert!(Notes::taken_up(&notes.kept()[..100], [0; 16]).is_err());
    let other = String::from_utf8(notes.kept()).unwrap().replace("\"format\":1", "\"format\":9");
    assert!(Notes::taken_up(other.as_bytes(), [0; 16]).unwrap_err().to_string().contains("version 9"));
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        prop::sample::select(vec![
            "api",
            "orders",
            "users",
            "reset",
            "new",
            "v1",
            "oauth2",
            "mp3x",
            "7",
            "42",
            "2026-11-22"
        ])
        .prop_map(str::to_owned),
        "[a-c]{1,2}",
        "[a-z]{2}[0-9]",
        "%C3%A4[a-z]",
        "[0-9a-f]{12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{0,3}",
        "[a-z]{0,3}",
        Just(String::from("true")),
        Just(String::from("2026-11-22")),
        "[0-9]\\.[0-9]",
        "[ä-ü]{1,40}"
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]|a@b|[0-9]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn query() -> impl Strategy<Value = String> {
    let pair = ("[a-c]|a@b|any_other|x\\[y\\]", text()).prop_map(|(name, text)| {
        let text: String =
            text.chars().map(|char| if char.is_ascii() { char.to_string() } else { String::from("%C3%A4") }).collect();
        format!("{name}={text}")
    });
    prop::collection::vec(pair, 0..4).prop_map(|pairs| pairs.join("&"))
}

fn multipart() -> impl Strategy<Value = String> {
    let part = (
        "[a-c]|a@b",
        prop::option::of(prop::sample::select(vec!["application/json", "text/plain", "image/png"])),
        any::<bool>(),
        text(),
    );
    prop::collection::vec(part, 1..4).prop_map(|parts| {
        let one = |(name, kind, file, text): (String, Option<&str>, bool, String)| {
            let file = if file { "; filename=\"f\"" } else { "" };
            let text = if kind == Some("application/json") { Value::from(text).to_string() } else { text };
            let kind = kind.map(|kind| format!("content-type: {kind}\r\n")).unwrap_or_default();
            format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n{kind}\r\n{text}\r\n")
        };
        parts.into_iter().map(one).collect::<String>() + "--XX--\r\n"
    })
}

fn request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        3 => Just((None, String::new())),
        3 => json_value().prop_map(|value| (Some("application/json"), value.to_string())),
        1 => json_value().prop_map(|value| (Some("application/problem+json"), value.to_string())),
        2 => query().prop_map(|form| (Some("application/x-www-form-urlencoded"), form)),
        2 => multipart().prop_map(|parts| (Some("multipart/form-data; boundary=XX"), parts)),
        1 => text().prop_map(|text| (Some("text/plain"), text)),
        1 => text().prop_map(|text| (Some("x-own/kind"), text)),
    ];
    let path = prop::collection::vec(segment(), 1..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS"]);
    (method, path, prop::option::of(query()), body, 1..5_u8).prop_map(|(method, path, query, (kind, body), client)| {
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let kind = kind.filter(|_| !body.is_empty());
        Request { method, target, kind, body, client }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_learned_document_takes_every_request_that_it_was_learned_from(requests in prop::collection::vec(request(), 1..60)) {
        let mut notes = Notes::new([7; 16]);
        let kept: Vec<_> = requests.into_iter().filter(|request| request.teach(&mut notes).is_ok()).collect();
        prop_assume!(!kept.is_empty());
        for notes in [notes.clone(), Notes::taken_up(&notes.kept(), [8; 16]).unwrap()] {
            let contract = compiled(&notes);
            for request in &kept {
                prop_assert!(request.passes(&contract), "{:?}\n{}", request, yaml(&notes));
            }
        }
    }

    #[test]
    fn the_order_makes_no_difference(requests in prop::collection::vec(request(), 1..60), cut in 0..60_usize) {
        let mut forwards = Notes::new([7; 16]);
        let kept: Vec<_> = requests.into_iter().filter(|request| request.teach(&mut forwards).is_ok()).collect();
        prop_assume!(!kept.is_empty());
        let mut backwards = Notes::new([7; 16]);
        kept.iter().rev().for_each(|request| request.teach(&mut backwards).unwrap());
        prop_assert_eq!(yaml(&forwards), yaml(&backwards));
        let (first, second) = kept.split_at(cut.min(kept.len()));
        let merged = |first: &[Request], second: &[Request]| {
            let mut notes = taught(first);
            notes.merge(taught(second));
            notes
        };
        prop_assert_eq!(yaml(&merged(first, second)), yaml(&merged(second, first)));
        let contract = compiled(&merged(first, second));
        for request in &kept {
            prop_assert!(request.passes(&contract), "{:?}", request);
        }
    }
}
