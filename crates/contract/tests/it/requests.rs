use reeve_contract::{Answer, Asked};

use crate::{ALL, judge, shop};

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const PARTS: (&str, &str) = ("content-type", "multipart/form-data; boundary=XX");

#[track_caller]
fn passes(line: &str, headers: &[(&str, &str)], body: &str) {
    assert_eq!(judge(&shop(), ALL, line, headers, body.as_bytes()), Ok(true), "{line} {body}");
}

#[track_caller]
fn refused(line: &str, headers: &[(&str, &str)], body: &str, expected: &str) {
    let found = judge(&shop(), ALL, line, headers, body.as_bytes());
    assert_eq!(found.map_err(|finding| finding.to_string()), Err(expected.to_owned()), "{line} {body}");
}

#[test]
fn parameters_are_held_to_their_schemas() {
    passes("GET /api/v1/orders", &[], "");
    passes("GET /api/v1/orders?limit=100&since=2026-11-22&tag=a&tag=b&ids=1,2&key=secret", &[], "");
    passes("HEAD /api/v1/orders", &[], "");
    refused("GET /api/v1/orders?limit=ten", &[], "", "type at /query/limit");
    refused("GET /api/v1/orders?limit=0x1", &[], "", "type at /query/limit");
    refused("GET /api/v1/orders?limit=", &[], "", "type at /query/limit");
    refused("GET /api/v1/orders?limit=0", &[], "", "minimum at /query/limit");
    refused("GET /api/v1/orders?limit=101", &[], "", "maximum at /query/limit");
    refused("GET /api/v1/orders?limit=1&limit=2", &[], "", "duplicate at /query/limit");
    refused("GET /api/v1/orders?since=22.11.2026", &[], "", "format at /query/since");
    refused("GET /api/v1/orders?tag=a&tag=b&tag=c", &[], "", "maxItems at /query/tag");
    refused("GET /api/v1/orders?tag=toolongatag", &[], "", "maxLength at /query/tag/0");
    refused("GET /api/v1/orders?ids=1,x", &[], "", "type at /query/ids/1");
    refused("GET /api/v1/orders?unknown=1", &[], "", "additionalProperties at /query");
    refused("GET /api/v1/orders?limit=%ff", &[], "", "utf-8 at /query");
    refused("GET /api/v1/orders?limit=%", &[], "", "percent-encoding at /query");
}

#[test]
fn objects_headers_cookies_and_alternatives_are_read() {
    passes("GET /api/v1/orders?filter[state]=open&filter[min]=3", &[], "");
    refused("GET /api/v1/orders?filter[state]=lost", &[], "", "enum at /query/filter/state");
    refused("GET /api/v1/orders?filter[other]=1", &[], "", "additionalProperties at /query/filter");
    refused("GET /api/v1/orders?filter[min]=3&filter[min]=4", &[], "", "duplicate at /query/filter");
    passes("GET /api/v1/orders?either=12", &[], "");
    passes("GET /api/v1/orders?either=ab", &[], "");
    refused("GET /api/v1/orders?either=AB", &[], "", "anyOf at /query/either");
    passes("GET /api/v1/orders", &[("x-trace", "6f9619ff-8b86-d011-b42d-00c04fc964ff"), ("x-other", "1")], "");
    refused("GET /api/v1/orders", &[("x-trace", "1")], "", "format at /header/x-trace");
    passes("GET /api/v1/orders", &[("cookie", "a=b; seat=7")], "");
    refused("GET /api/v1/orders", &[("cookie", "a=b; seat=x")], "", "type at /cookie/seat");
    refused("GET /api/v1/orders", &[("cookie", "seat=1; seat=2")], "", "duplicate at /cookie/seat");
}

#[test]
fn paths_and_methods_that_are_not_named_are_refused() {
    passes("GET /api/v1/orders/7", &[], "");
    refused("GET /api/v1/orders/seven", &[], "", "type at /path/id");
    refused("GET /api/v1/orders/2147483648", &[], "", "maximum at /path/id");
    refused("GET /api/v1/customers", &[], "", "paths at /path");
    refused("GET /api/v1/orders/7/", &[], "", "paths at /path");
    refused("GET /api/v1/orders/..%2f7", &[], "", "percent-encoding at /path");
    refused("DELETE /api/v1/orders/7", &[], "", "method at /method");
    assert_eq!(judge(&shop(), ALL, "GET /", &[], b""), Ok(false));
    assert_eq!(judge(&shop(), ALL, "GET /api/v10/orders", &[], b""), Ok(false));
    let types = Asked { types: true, ..Asked::default() };
    assert_eq!(judge(&shop(), types, "GET /api/v1/customers", &[], b""), Ok(false));
    assert_eq!(judge(&shop(), types, "GET /api/v1/orders?limit=0&x=1", &[], b""), Ok(true));
    assert!(judge(&shop(), types, "GET /api/v1/orders?limit=0&limit2=1&since=1&ids=x", &[], b"").is_err());
}

#[test]
fn json_bodies_are_held_to_their_schemas() {
    let post = "POST /api/v1/orders";
    passes(post, &[JSON], r#"{"item":"lamp","quantity":2,"mail":null,"more":{"any":1},"labels":{"a":"b"}}"#);
    passes(post, &[JSON], r#"{"item":"lamp","quantity":2,"lines":[{"name":"a","parts":[{"name":"b"}]}]}"#);
    refused(post, &[JSON], r#"{"item":"lamp"}"#, "required at /body");
    refused(post, &[JSON], r#"{"item":"lamp","quantity":"2"}"#, "type at /body/quantity");
    refused(post, &[JSON], r#"{"item":"lamp","quantity":0}"#, "exclusiveMinimum at /body/quantity");
    refused(post, &[JSON], r#"{"item":"","quantity":1}"#, "minLength at /body/item");
    refused(post, &[JSON], r#"{"item":"a","quantity":1,"admin":true}"#, "additionalProperties at /body");
    refused(post, &[JSON], r#"{"item":"a","quantity":1,"id":7}"#, "falseSchema at /body/id");
    refused(post, &[JSON], r#"{"item":"a","quantity":1,"mail":"x"}"#, "format at /body/mail");
    refused(
        post,
        &[JSON],
        r#"{"item":"a","quantity":1,"lines":[{"parts":[{"x":1}]}]}"#,
        "additionalProperties at /body/lines/0/parts/0",
    );
    refused(post, &[JSON], r#"{"item":"a","quantity":1,"labels":{"<script>":1}}"#, "type at /body/labels/*");
    refused(post, &[JSON], r#"{"item":"a","item":"b","quantity":1}"#, "duplicate at /body");
    refused(post, &[JSON], r#"{"item":"a","quantity":1} x"#, "syntax at /body");
    refused(post, &[JSON], "[]", "type at /body");
    refused(post, &[JSON], "", "required at /body");
}

#[test]
fn composed_schemas_refuse_what_no_part_names() {
    let put = "PUT /api/v1/orders/7";
    passes(put, &[JSON], r#"{"name":"Tom","lives":9}"#);
    passes(put, &[JSON], r#"{"name":"Rex","bark":true}"#);
    passes(put, &[], "");
    refused(put, &[JSON], r#"{"name":"Tom"}"#, "oneOf at /body");
    let unknown = judge(&shop(), ALL, put, &[JSON], br#"{"name":"Tom","lives":9,"wings":2}"#).unwrap_err();
    assert_eq!(unknown.to_string(), "unevaluatedProperties at /body");
}

#[test]
fn forms_and_parts_are_held_to_their_schemas() {
    let post = "POST /api/v1/orders";
    passes(post, &[FORM], "item=a+lamp&quantity=2&tags=x&tags=y");
    refused(post, &[FORM], "item=lamp&quantity=two", "type at /body/quantity");
    refused(post, &[FORM], "quantity=2", "required at /body");
    refused(post, &[FORM], "item=a&other=2", "additionalProperties at /body");
    refused(post, &[FORM], "item=a&item=b", "duplicate at /body/item");
    refused(post, &[FORM], "item=%C0%AF", "utf-8 at /body");
    let part = |head: &str, text: &str| format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n");
    let png = |text: &str| part("name=\"picture\"; filename=\"a.png\"\r\nContent-Type: image/png", text);
    let end = "--XX--\r\n";
    passes(
        post,
        &[PARTS],
        &format!(
            "{}{}{}{}{end}",
            png("8 bytes!"),
            part("name=\"sizes\"", "1"),
            part("name=\"sizes\"", "2"),
            part("name=\"meta\"", "{\"a\":1}")
        ),
    );
    refused(post, &[PARTS], &format!("{}{end}", png("nine byte")), "maxLength at /body/picture");
    refused(post, &[PARTS], &format!("{}{end}", part("name=\"note\"", "x")), "required at /body");
    refused(post, &[PARTS], &format!("{}{}{end}", png("x"), part("name=\"sizes\"", "one")), "type at /body/sizes/0");
    refused(
        post,
        &[PARTS],
        &format!("{}{}{end}", png("x"), part("name=\"virus\"", "x")),
        "additionalProperties at /body",
    );
    refused(
        post,
        &[PARTS],
        &format!("{}{end}", part("name=\"picture\"; filename=\"a\"\r\nContent-Type: text/html", "x")),
        "content at /body/picture",
    );
    refused(post, &[PARTS], "--XX\r\nbroken", "syntax at /body");
}

#[test]
fn a_body_is_of_a_kind_that_is_named() {
    let post = "POST /api/v1/orders";
    passes(post, &[("content-type", "image/png")], "x");
    refused(post, &[("content-type", "text/plain")], "{}", "content at /body");
    refused(post, &[], "{}", "content at /body");
    refused(post, &[("content-type", "application/json; charset=utf-16")], "{}", "content at /body");
    refused(post, &[JSON, ("content-encoding", "gzip")], "{}", "contentEncoding at /body");
    refused("GET /api/v1/orders", &[JSON], "{}", "requestBody at /body");
    let kind = judge(&shop(), ALL, post, &[], b"{}").unwrap_err();
    assert_eq!(kind.answer, Answer::NoMedia);
}

#[test]
fn each_promise_is_asked_for_alone() {
    let shop = shop();
    let post = "POST /api/v1/orders";
    let types = Asked { types: true, ..Asked::default() };
    let formats = Asked { formats: true, ..Asked::default() };
    let wrong_type = br#"{"item":"a","quantity":"x","extra":1}"#;
    let wrong_format = br#"{"item":"a","quantity":1,"mail":"x","extra":1}"#;
    assert_eq!(judge(&shop, types, post, &[JSON], wrong_type).unwrap_err().to_string(), "type at /body/quantity");
    assert_eq!(judge(&shop, types, post, &[JSON], wrong_format), Ok(true));
    assert_eq!(judge(&shop, formats, post, &[JSON], wrong_format).unwrap_err().to_string(), "format at /body/mail");
    assert_eq!(judge(&shop, formats, post, &[JSON], wrong_type), Ok(true));
    assert_eq!(judge(&shop, Asked::default(), post, &[JSON], b"garbage"), Ok(true));
}
