//! Characters: no control characters, and no bytes that are no UTF-8, in any part of a request, decoded or not.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode;

use crate::finding::{Finding, keyword};

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Line feed and carriage return pass, as the tab does: a text that people write.
    Pass,
    /// They do not: in an address or a field they begin another line of somebody's log or head.
    Refuse,
}

/// Whether there is a control character (Unicode category Cc) that may not be here.
pub(crate) fn controls(text: &str, lines: Lines) -> bool {
    // Almost every text has none among its bytes; C1 controls are two bytes, the first of them 0xC2.
    let suspicious = text.bytes().any(|byte| byte < 0x20 || byte == 0x7f || byte == 0xc2);
    suspicious
        && text.chars().any(|char| match char {
            '\t' => false,
            '\n' | '\r' => lines == Lines::Refuse,
            char => char.is_control(),
        })
}

/// Looks at path, query and every field of a head.
///
/// # Errors
/// The first fault that is found.
pub fn head(path: &str, query: Option<&str>, headers: &HeaderMap) -> Result<(), Finding> {
    decoded(path.as_bytes(), Lines::Refuse).map_err(|flaw| Finding::characters("/path", flaw))?;
    if let Some(query) = query {
        decoded(query.as_bytes(), Lines::Refuse).map_err(|flaw| Finding::characters("/query", flaw))?;
    }
    for (name, value) in headers {
        let bytes = value.as_bytes();
        if bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e | b'\t')) {
            continue;
        }
        plain(bytes, Lines::Refuse).map_err(|flaw| {
            // A client may call a field whatever it likes.
            let shown = if name.as_str().len() > FIELD_NAME_BYTES_MAX { "*" } else { name.as_str() };
            Finding::characters(format!("/header/{shown}"), flaw)
        })?;
    }
    Ok(())
}

/// A text as it stands.
pub(crate) fn plain(bytes: &[u8], lines: Lines) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| keyword::UTF8)?;
    if controls(text, lines) { Err(keyword::CONTROL) } else { Ok(text) }
}

/// A text after percent-decoding (RFC 3986 section 2.1).
pub(crate) fn decoded(bytes: &[u8], lines: Lines) -> Result<Cow<'_, str>, &'static str> {
    if !bytes.contains(&b'%') {
        return plain(bytes, lines).map(Cow::Borrowed);
    }
    let text = percent(bytes)?;
    if controls(&text, lines) { Err(keyword::CONTROL) } else { Ok(text) }
}

/// Percent-decoding that takes no percent sign for itself.
pub(crate) fn percent(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let Some([first, second, ..]) = rest.get(at + 1..) else { return Err(keyword::PERCENT) };
        if !(first.is_ascii_hexdigit() && second.is_ascii_hexdigit()) {
            return Err(keyword::PERCENT);
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    percent_decode(bytes).decode_utf8().map_err(|_| keyword::UTF8)
}

/// A name or value of a form: `+` is a space (WHATWG URL section 5.1).
pub(crate) fn form(bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    if !bytes.contains(&b'+') {
        return percent(bytes);
    }
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent(&spaced).map(|text| Cow::Owned(text.into_owned()))
}

/// Longer names of fields are not told: the registered ones are shorter.
const FIELD_NAME_BYTES_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn refused(path: &str, query: Option<&str>, place: &str, keyword: &str) {
        let finding = head(path, query, &HeaderMap::new()).unwrap_err();
        assert_eq!((finding.place.as_str(), &*finding.keyword), (place, keyword));
    }

    #[test]
    fn controls_and_broken_encodings_are_refused_however_they_are_written() {
        refused("/a%00", None, "/path", keyword::CONTROL);
        refused("/a%0d%0aSet-Cookie:x", None, "/path", keyword::CONTROL);
        refused("/a%c2%85", None, "/path", keyword::CONTROL);
        refused("/%c0%ae%c0%ae/etc", None, "/path", keyword::UTF8);
        refused("/%e0%80%af", None, "/path", keyword::UTF8);
        refused("/%ed%a0%80", None, "/path", keyword::UTF8);
        refused("/a%", None, "/path", keyword::PERCENT);
        refused("/a%4", None, "/path", keyword::PERCENT);
        refused("/a%u0041", None, "/path", keyword::PERCENT);
        refused("/", Some("q=%1b[2J"), "/query", keyword::CONTROL);
        refused("/", Some("q=%ff"), "/query", keyword::UTF8);
    }

    #[test]
    fn other_scripts_pass() {
        let mut headers = HeaderMap::new();
        headers.insert("x-name", HeaderValue::from_bytes("Zoë\t李".as_bytes()).unwrap());
        assert_eq!(head("/%C3%BC/a%2Fb", Some("q=%E6%9D%8E+%25"), &headers), Ok(()));
        headers.insert("x-name", HeaderValue::from_bytes(b"Zo\xeb").unwrap());
        assert_eq!(head("/", None, &headers).unwrap_err().place, "/header/x-name");
    }
}
