//! What bodies hold, what is wrong with them, and what holds for every body.

mod model;
mod multipart;

use super::*;
use crate::arena::Arena;

const LIMITS: Limits = Limits { arguments_max: 1_000, depth_max: 100, parts_max: 100, nodes_max: 1_000 };

/// Names and values as `name=value`.
fn shown(arena: &Arena, members: &[Member]) -> Vec<String> {
    let text = |span| arena.text(span).escape_ascii().to_string();
    members.iter().map(|member| format!("{}={}", text(member.name), text(member.value))).collect()
}

/// `expected` ends with `!` and a part of the fault, if there is one.
#[track_caller]
fn compare(arena: &Arena, members: &[Member], end: &Result<(), BodyFault>, expected: &[&str]) {
    let mut found = shown(arena, members);
    let mut expected: Vec<String> = expected.iter().map(|&row| row.to_owned()).collect();
    if let Err(fault) = end {
        found.push(format!("!{fault}"));
        if let Some(part) = expected.last().and_then(|last| last.strip_prefix('!')).map(str::to_owned)
            && fault.to_string().contains(&part)
        {
            expected.pop();
            expected.push(format!("!{fault}"));
        }
    }
    assert_eq!(found, expected);
}

#[track_caller]
fn check_form(text: &str, expected: &[&str]) {
    let (mut arena, mut members) = (Arena::default(), Vec::new());
    let end = form(text.as_bytes(), b'&', &LIMITS, &mut arena, &mut members);
    compare(&arena, &members, &end, expected);
}

#[track_caller]
fn check_cookies(text: &str, expected: &[&str]) {
    let (mut arena, mut members) = (Arena::default(), Vec::new());
    cookies(text.as_bytes(), &LIMITS, &mut arena, &mut members);
    compare(&arena, &members, &Ok(()), expected);
}

#[track_caller]
fn check_json(text: &str, expected: &[&str]) {
    check_json_bytes(text.as_bytes(), expected);
}

#[track_caller]
fn check_json_bytes(text: &[u8], expected: &[&str]) {
    let (mut arena, mut members) = (Arena::default(), Vec::new());
    let end = json(text, &LIMITS, &mut arena, &mut members);
    compare(&arena, &members, &end, expected);
}

/// The text as `text=...`, then the attributes as `@=...`.
#[track_caller]
fn check_xml(body: &[u8], expected: &[&str]) {
    let mut arena = Arena::default();
    let (found, end) = xml(body, &LIMITS, &mut arena);
    let name = arena.keep(b"text");
    let at = arena.keep(b"@");
    let mut members = vec![Member { name, value: found.text }];
    members.extend(found.attributes.iter().map(|value| Member { name: at, value: *value }));
    compare(&arena, &members, &end, expected);
}

#[test]
fn forms() {
    check_form("a=b&c&=d&&", &["a=b", "c=", "=d"]);
    check_form("a=1&a=2&A=3", &["a=1", "a=2", "A=3"]);
    check_form("a+b=c+d%20e&%61=%zz%4&x=y=z", &["a b=c d e", "a=%zz%4", "x=y=z"]);
    check_form("a=%00%ff&=", &[r"a=\x00\xff", "="]);
    check_form("", &[]);
    check_form("&&&", &[]);
}

#[test]
fn form_ends_at_its_limit() {
    let limits = Limits { arguments_max: 2, ..LIMITS };
    for (text, full) in [("a&b&&", false), ("a&b&c", true)] {
        let (mut arena, mut members) = (Arena::default(), vec![Member::default()]);
        let end = form(text.as_bytes(), b'&', &limits, &mut arena, &mut members);
        assert_eq!(members.len(), 3, "what was there before does not count");
        assert_eq!(end.is_err(), full);
    }
    let fault = form(b"a&b&c", b'&', &limits, &mut Arena::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(fault.to_string(), "more than 2 arguments");
}

#[test]
fn form_takes_another_separator() {
    let (mut arena, mut members) = (Arena::default(), Vec::new());
    form(b"a=b;c=d&e", b';', &LIMITS, &mut arena, &mut members).unwrap();
    assert_eq!(shown(&arena, &members), ["a=b", "c=d&e"]);
}

#[test]
fn cookie_fields() {
    check_cookies("a=b; c=d;e=f", &["a=b", "c=d", "e=f"]);
    check_cookies("a; =b;; ;c=\"x y\"; d=%20+e=f ", &["a=", "=b", "c=\\\"x y\\\"", "d=%20+e=f "]);
    check_cookies("", &[]);
    let limits = Limits { arguments_max: 1, ..LIMITS };
    let (mut arena, mut members) = (Arena::default(), Vec::new());
    cookies(b"a=b; c=d; e=f", &limits, &mut arena, &mut members);
    assert_eq!(shown(&arena, &members), ["a=b", "=c=d; e=f"], "nothing goes unseen");
}

#[test]
fn json_paths_and_values() {
    check_json(
        r#"{"user":{"name":"x","age":1.50E+3},"ok":true}"#,
        &["json.user.name=x", "json.user.age=1.50E+3", "json.ok=true"],
    );
    check_json(
        r#" {"a":[1,[2,3],{"b":null}],"a":false} "#,
        &[
            "json.a.array_0=1",
            "json.a.array_1.array_0=2",
            "json.a.array_1.array_1=3",
            "json.a.array_2.b=",
            "json.a=false",
        ],
    );
    check_json(r#"["a",["b"]]"#, &["json.array_0=a", "json.array_1.array_0=b"]);
    check_json(r#""top""#, &["json=top"]);
    check_json("-0.5", &["json=-0.5"]);
    check_json("{}", &[]);
    check_json(r#"{"<script>":{},"b":[]}"#, &["json.<script>=", "json.b="]);
    check_json(r#"{"A.b":1,"":2}"#, &["json.A.b=1", "json.=2"]);
    check_json(
        r#""\u003cb\u003E \"\\\/\b\f\n\r\t \ud83d\ude00""#,
        &[r#"json=<b> \"\\/\x08\x0c\n\r\t \xf0\x9f\x98\x80"#],
    );
    check_json("\u{feff}[1]", &["json.array_0=1"]);
}

#[test]
fn json_keeps_what_stands_before_and_after_a_fault() {
    check_json(r#"{"a":1} x"#, &["json.a=1", "!more after the value"]);
    check_json(r#"{"a":1"#, &["json.a=1", "!neither a comma nor an end"]);
    check_json(r#"{"a":"b"#, &["json.a=b", "!a text without end"]);
    check_json(r#"{"a":1,}"#, &["json.a=1", "!a key must be a text"]);
    check_json(r#"[1,]"#, &["json.array_0=1", "!no value"]);
    check_json(r#"{"a" 1}"#, &["!no colon"]);
    check_json(r#"[1}"#, &["json.array_0=1", "!neither a comma nor an end"]);
    check_json("{a:1}", &["!a key must be a text"]);
    check_json("[01]", &["json.array_0=01", "!neither a number"]);
    check_json("[alert(1)]", &["json.array_0=alert(1)", "!neither a number"]);
    check_json("", &["!ends before a value"]);
    check_json(r#"["\ud83d","x"]"#, &[r"json.array_0=\xef\xbf\xbd", "json.array_1=x", "!half a surrogate"]);
    check_json(r#"["\ud83d\u0041"]"#, &[r"json.array_0=\xef\xbf\xbdA", "!half a surrogate"]);
    check_json(
        r#"["\q","\u12","x"]"#,
        &[r"json.array_0=\\q", r"json.array_1=\\u12", "json.array_2=x", "!an unknown escape"],
    );
    check_json("[\"a\nb\",2]", &[r"json.array_0=a\nb", "json.array_1=2", "!a control character"]);
    check_json_bytes(b"[\"\xff\",2]", &[r"json.array_0=\xff", "json.array_1=2", "!not UTF-8"]);
    check_json_bytes(b"[\0", &[r"json.array_0=\x00", "!neither a number"]);
}

#[test]
fn json_limits() {
    let run = |text: &str, limits: &Limits| {
        let (mut arena, mut members) = (Arena::default(), Vec::new());
        let end = json(text.as_bytes(), limits, &mut arena, &mut members);
        (members.len(), end.err().map(|fault| fault.to_string()))
    };
    let limits = Limits { arguments_max: 2, depth_max: 2, ..LIMITS };
    assert_eq!(run("[[1,2]]", &limits), (2, None));
    assert_eq!(run("[1,2,3]", &limits), (2, Some("more than 2 arguments".to_owned())));
    assert_eq!(run("[1,[[2]]]", &limits), (1, Some("more than 2 objects and arrays within each other".to_owned())));
    let long = format!("{{\"{}\":[{}1]}}", "k".repeat(500_000), "1,".repeat(250_000));
    let limits = Limits { arguments_max: 1_000_000, ..LIMITS };
    assert_eq!(run(&long, &limits).1, Some("more than 32 bytes of names for each byte of JSON".to_owned()));
}

#[test]
fn xml_texts_and_attributes() {
    check_xml(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a b='1'>x<c d=\"2\" e='&lt;&#x41;'/>y<!-- no --><![CDATA[<z>]]></a>\n",
        &["text=xy<z>", "@=1", "@=2", "@=<A"],
    );
    check_xml(b"<a>&lt;&amp;&#60;&#x3C;&quot;&apos;&gt;</a>", &[r#"text=<&<<\"\'>"#]);
    check_xml(b"<a>one\r\ntwo<b> three </b></a>", &[r"text=one\ntwo three "]);
    check_xml(b"\xef\xbb\xbf<a/>", &["text="]);
    check_xml(b"<!DOCTYPE a><a>x</a>", &["text=x"]);
}

#[test]
fn xml_faults_keep_what_was_read() {
    check_xml(b"<a>x<b>y</a>", &["text=xy", "!not well formed"]);
    check_xml(b"<a b='1'>x", &["text=x", "@=1", "!an element without end"]);
    check_xml(b"<a/><b c='2'/>", &["text=", "@=2", "!more than one root"]);
    check_xml(b"hello", &["text=hello", "!text outside"]);
    check_xml(b"", &["text=", "!no element"]);
    check_xml(b"<a>&x;y</a>", &["text=&x;y", "!an entity"]);
    check_xml(b"<a b='&x;y&lt;'/>", &["text=", "@=y<", "!an entity"]);
    check_xml(b"<a>\xff</a>", &["text=", "!not UTF-8"]);
    check_xml(b"<?xml version='1.0' encoding='ISO-8859-1'?><a>x</a>", &["text=x", "!an encoding"]);
    check_xml(b"<?xml version='1.0' encoding='utf-7'?><a>x</a>", &["text=x", "!an encoding"]);
    check_xml(b"\xff\xfe<\0a\0/\0>\0", &["text=", "!a zero byte"]);
    check_xml(b"<\0a\0/\0>\0", &["text=", "!a zero byte"]);
    check_xml(b"<a b=1 c='2' d>x</a>", &["text=x", "@=2", "!an attribute"]);
}

#[test]
fn xml_expands_nothing() {
    let bomb = b"<!DOCTYPE a [<!ENTITY x \"ha\"><!ENTITY y \"&x;&x;&x;\">]><a>&y;</a>";
    check_xml(bomb, &["text=&y;", "!declarations of its own"]);
    check_xml(b"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a>&b;</a>", &["text=&b;", "!an entity"]);
}

#[test]
fn xml_limits() {
    let limits = Limits { nodes_max: 3, depth_max: 2, ..LIMITS };
    let run = |text: &[u8]| xml(text, &limits, &mut Arena::default()).1.err().map(|fault| fault.to_string());
    assert_eq!(run(b"<a><b c='1'/></a>"), None);
    assert_eq!(run(b"<a><b c='1' d='2'/></a>"), Some("more than 3 elements and attributes".to_owned()));
    assert_eq!(run(b"<a><b><c/></b></a>"), None);
    assert_eq!(run(b"<a><b><c>x</c></b></a>"), Some("more than 2 elements within each other".to_owned()));
}
