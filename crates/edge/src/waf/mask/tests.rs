//! Tests.

use super::*;

#[track_caller]
fn check(variable: &str, text: &str, part: &str, expected: &str) {
    let span = text.find(part).filter(|_| !part.is_empty()).map(|start| start..start + part.len());
    let value = Value { variable, how: None, text: text.as_bytes(), span, phrase: None };
    assert_eq!(slice(&value), expected, "{text}");
}

#[test]
fn letters_and_digits_stand_for_themselves_only_in_words_of_attacks_that_matched() {
    check("ARGS:q", "hunter2' OR 1=1--", "' OR 1=1--", "xxxxxx9' OR 1=1--");
    check("ARGS:q", "1 UNION SELECT card FROM payments", "UNION SELECT", "9 UNION SELECT xxxx XXXX xxxxxxxx");
    check("ARGS:q", "<script>alert(document.cookie,1)</script>", "", "<script>alert(document.xxxxxx,9)</script>");
    check("ARGS:q", "../../etc/passwd", "", "../../etc/passwd");
    check("ARGS:q", "; cat /home/ada/.ssh/id_rsa", "; cat", "; cat /xxxx/xxx/.xxx/xx_xxx");
    // A word is a word as a whole.
    check("ARGS:q", "selected unionist", "", "xxxxxxxx xxxxxxxx");
    check("ARGS:q", "Grüße 42", "", "Xxxxxxx 99");
    check("ARGS:q", "a\u{1b}[2J\0", "", "x\u{241b}[9X\u{2400}");
}

#[test]
fn digits_are_shown_where_they_are_compared_and_alone() {
    check("ARGS:q", "x' or '1'='1", "", "x' or '1'='1");
    check("ARGS:q", "1=1 and 23=23", "", "1=1 and 99=99");
    check("ARGS:q", "4 1 1 1", "", "9 9 9 9");
}

#[test]
fn escaped_signs_are_shown_and_escaped_letters_are_not() {
    check("REQUEST_URI", "/?q=%27%20OR%201%3D1%41", "", "/?x=%27%20OR%209%3D9%99");
}

#[test]
fn what_is_named_a_secret_is_not_shown() {
    for name in ["password", "user.Password", "apiKey", "api-key", "x_pin", "csrfmiddlewaretoken", "json.cardNumber"] {
        check(&format!("ARGS:{name}"), "' OR 1=1", "", "…");
    }
    check("REQUEST_HEADERS:Authorization", "Basic x", "", "…");
    check("REQUEST_HEADERS:cookie", "a=b", "", "…");
    for name in ["monkey", "keyword", "shipping", "q", "pinned"] {
        check(&format!("ARGS:{name}"), "<", "", "<");
    }
    // There it is only the name.
    check("ARGS_NAMES:password[$ne]", "password[$ne]", "", "xxxxxxxx[$ne]");
}

#[test]
fn what_follows_the_name_of_a_secret_is_not_shown() {
    check("QUERY_STRING", "password=drop'&q=<", "", "xxxxxxxx=…&x=<");
    check("REQUEST_BODY", r#"{"pin": "1=1", "q": "<"}"#, "", r#"{"xxx": "…", "x": "<"}"#);
    check("REQUEST_BODY", "%22token%22%3A%22or%22&a=<", "", "%22xxxxx%22%3A%22…&x=<");
    check("REQUEST_BODY", "<secret>union</secret><", "", "<xxxxxx>…</xxxxxx><");
    check("REQUEST_BODY", "name=\"password\"\r\n\r\nselect\r\n--", "", "xxxx=\"xxxxxxxx\"␍␊␍␊…␊--");
    // A secret that is only spoken of.
    check("ARGS:q", "union select password from t", "", "union select xxxxxxxx from x");
}

#[test]
fn tokens_and_addresses_are_not_shown() {
    check("ARGS:q", "<eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0>", "", "<…>");
    check("ARGS:q", "ada@example.com' or 1=1", "", "…' or 1=1");
}

#[test]
fn a_slice_is_short_and_stands_where_something_is_to_be_seen() {
    let long = format!("{}' union select 1,2,3 -- {}", "word ".repeat(40), "word ".repeat(40));
    check("ARGS:q", &long, &long, "…x xxxx xxxx ' union select 9,9,9 -- xxxx xxxx xx…");
    check("ARGS:q", &long, "select", "…' xxxxx select 9,9,9 -- xxxx xxxx xxxx xxxx xxxx…");
    // Half a word at its beginning is none.
    let cut = format!("{}select{}", "x".repeat(200), "'".repeat(40));
    check("ARGS:q", &cut, &cut, &format!("…xxxxxxxxxxxx{}…", "'".repeat(36)));
}

#[test]
fn numbers_of_the_engine_are_shown() {
    check("&ARGS", "300", "", "300");
    check("TX:blocking_inbound_anomaly_score", "15", "", "15");
    check("TX:1", "4711", "", "9999");
    check("REQUEST_METHOD", "TRACE", "", "TRACE");
    check("REQUEST_METHOD", "HUNTER", "", "XXXXXX");
}

#[test]
fn a_phrase_of_the_rule_is_shown_where_it_matched() {
    let text = b"a sqlmap sqlmap";
    let value = Value { variable: "ARGS:q", how: None, text, span: Some(2..8), phrase: Some("sqlmap") };
    assert_eq!(slice(&value), "x sqlmap xxxxxx");
    assert!(!hides("ARGS:q", text, Some(&(2..8))) && hides("ARGS:pin", text, Some(&(2..8))));
    assert!(hides("REQUEST_BODY", b"pin=sqlmap", Some(&(4..10))));
}

#[test]
fn the_part_that_matched_is_masked_like_a_slice() {
    let text = b"hunter2' union select hunter2 ...";
    let value = Value { variable: "ARGS:q", how: None, text, span: Some(7..29), phrase: None };
    assert_eq!(
        (part(&value).as_str(), part_in_clear(&value).as_str()),
        ("' union select xxxxxx9", "' union select hunter2")
    );
}

#[test]
fn nothing_is_shown_of_a_digest() {
    let value = Value { variable: "ARGS:q", how: Some("sha1"), text: b"\x01<'>", span: None, phrase: None };
    assert_eq!(slice(&value), "…");
}
