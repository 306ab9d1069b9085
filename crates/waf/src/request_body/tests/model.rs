//! What holds for every body, and models beside the readers.

use proptest::prelude::*;
use serde_json::Value;

use super::{Arena, LIMITS, Limits, Member, Span, cookies, form, json, shown, xml};
use crate::request_body::multipart;

const WIDE: Limits = Limits { arguments_max: 200_000, depth_max: 100_000, parts_max: 200_000, nodes_max: 500_000 };

/// Every reader over this body: none may panic, and all that they give lies in the arena.
fn read_all(body: &[u8], limits: &Limits) {
    let mut arena = Arena::default();
    let mut members = Vec::new();
    let _ = form(body, b'&', limits, &mut arena, &mut members);
    cookies(body, limits, &mut arena, &mut members);
    let _ = json(body, limits, &mut arena, &mut members);
    let (texts, _) = xml(body, limits, &mut arena);
    let (parts, _) = multipart(body, b"multipart/form-data; boundary=b", limits, &mut arena);
    let members = [members, parts.fields, parts.files, parts.part_headers].concat();
    let spans = members.iter().flat_map(|Member { name, value }| [*name, *value]);
    let all: Vec<Span> = spans.chain(texts.attributes).chain([texts.text]).collect();
    assert!(all.iter().all(|span| arena.text(*span).len() == span.len()));
}

/// Grows with the body and not faster: what takes quadratic time would take minutes here.
#[test]
fn hostile_bodies_take_linear_time() {
    let part = "--b\r\nContent-Disposition: form-data; name=a\r\nX: y\r\n\r\nv\r\n";
    for unit in [
        "a=b&",
        "&",
        "a;",
        "%",
        "+",
        "[",
        "{\"a\":",
        "[1,",
        "\"",
        "\\",
        "1",
        "[[],",
        "<a>",
        "<a b='c'>",
        "<",
        "&lt;",
        "&",
        "<a ",
        "a='b' ",
        "<!--",
        "<![CDATA[",
        "--b\r\n",
        "--b\n\n",
        "--",
        "\r\n",
        "\n",
        "--c\r\n",
        " ",
        part,
        ":",
        "]]>",
        "<!DOCTYPE a [",
    ] {
        let body = unit.repeat(400_000 / unit.len());
        for start in [
            "",
            "[",
            "[\"",
            "{\"a\":\"",
            "<a>",
            "<a b='",
            "<a ",
            "--b\r\nA: ",
            "--b\r\nContent-Disposition: form-data; name=\"",
        ] {
            read_all(format!("{start}{body}").as_bytes(), &WIDE);
        }
    }
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u",
        "d83d",
        "null",
        "1",
        "-1.5e3",
        "a",
        "=",
        "&",
        ";",
        "%41",
        "+",
        "<",
        ">",
        "/",
        "<a>",
        "</a>",
        "<a b='c'>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "<?xml",
        "?>",
        "<!DOCTYPE a",
        "&lt;",
        "&#x41;",
        "--b",
        "--",
        "\r\n",
        "\n",
        "\r\n\r\n",
        "Content-Disposition: form-data; name=\"a\"",
        "; filename=\"",
        "'",
        " ",
        "\t",
        "é",
        "\0",
    ]);
    let piece = prop_oneof![
        4 => word.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c.é\"\\\\]{0,3}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What [`json`] should find, written down the plain way.
fn flatten(path: &str, value: &Value, nested: bool, out: &mut Vec<String>) {
    let mut leaf =
        |text: &str| out.push(format!("{}={}", path.as_bytes().escape_ascii(), text.as_bytes().escape_ascii()));
    match value {
        Value::Null => leaf(""),
        Value::Bool(yes) => leaf(&yes.to_string()),
        Value::Number(number) => leaf(&number.to_string()),
        Value::String(text) => leaf(text),
        Value::Array(values) if values.is_empty() && nested => leaf(""),
        Value::Object(map) if map.is_empty() && nested => leaf(""),
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                flatten(&format!("{path}.array_{place}"), value, true, out);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{path}.{key}"), value, true, out);
            }
        }
    }
}

fn accepted(body: &[u8]) -> bool {
    json(body, &LIMITS, &mut Arena::default(), &mut Vec::new()).is_ok()
}

proptest! {
    #[test]
    fn no_body_breaks_a_reader(body in bodies()) {
        read_all(&body, &LIMITS);
        read_all(&body, &Limits { arguments_max: 1, depth_max: 1, parts_max: 1, nodes_max: 1 });
    }

    #[test]
    fn json_is_what_serde_takes_for_json(body in bodies()) {
        prop_assert_eq!(accepted(&body), serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() && serde_json::from_slice::<Value>(&body).is_ok());
    }

    /// Almost right is where parsers differ.
    #[test]
    fn json_with_one_wrong_byte_is_what_serde_takes_for_json(
        value in values(), at: prop::sample::Index, byte in "[{}\\[\\]\",:\\\\0-9tnu. -]", replaces: bool,
    ) {
        let mut body = serde_json::to_vec(&value).unwrap();
        let at = at.index(body.len());
        body.splice(at..at + usize::from(replaces), byte.bytes());
        prop_assert_eq!(accepted(&body), serde_json::from_slice::<Value>(&body).is_ok(), "{}", body.escape_ascii());
    }

    #[test]
    fn json_holds_what_was_written(value in values(), pretty: bool) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let (mut arena, mut members, mut expected) = (Arena::default(), Vec::new(), Vec::new());
        json(&body, &LIMITS, &mut arena, &mut members).unwrap();
        flatten("json", &value, false, &mut expected);
        prop_assert_eq!(shown(&arena, &members), expected);
    }

    #[test]
    fn forms_hold_what_was_written(pairs in prop::collection::vec((".{0,8}", ".{0,8}"), 0..8)) {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let (mut arena, mut members) = (Arena::default(), Vec::new());
        let body = body.join("&");
        form(body.as_bytes(), b'&', &LIMITS, &mut arena, &mut members).unwrap();
        let escape = |text: &str| text.as_bytes().escape_ascii().to_string();
        let expected: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        prop_assert_eq!(shown(&arena, &members), expected);
    }

    #[test]
    fn multipart_holds_what_was_written(contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)) {
        let mut body = Vec::new();
        for content in &contents {
            body.extend_from_slice(b"--8b1fd7\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--8b1fd7--\r\n");
        let mut arena = Arena::default();
        let (found, end) = multipart(&body, b"multipart/form-data; boundary=8b1fd7", &LIMITS, &mut arena);
        prop_assert_eq!(end, Ok(()));
        let values: Vec<Vec<u8>> = found.fields.iter().map(|field| arena.text(field.value).to_vec()).collect();
        prop_assert_eq!(values, contents);
    }

    #[test]
    fn xml_holds_what_was_written(texts in prop::collection::vec("[ -~éぁ]{0,8}", 1..8)) {
        let escaped: Vec<String> = texts.iter().map(|text| quick_xml::escape::escape(text.as_str()).into_owned()).collect();
        let body: String = escaped.iter().map(|text| format!("<b c=\"{text}\">{text}</b>")).collect();
        let body = format!("<a>{body}</a>");
        let mut arena = Arena::default();
        let (found, end) = xml(body.as_bytes(), &LIMITS, &mut arena);
        prop_assert_eq!(end, Ok(()));
        let as_text = |span| String::from_utf8_lossy(arena.text(span)).into_owned();
        prop_assert_eq!(as_text(found.text), texts.concat());
        let attributes: Vec<String> = found.attributes.iter().map(|value| as_text(*value)).collect();
        prop_assert_eq!(attributes, texts);
    }
}
