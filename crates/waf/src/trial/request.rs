//! From what a test says of its request to the bytes that go over the wire: any bytes, also what breaks HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::template::{TemplateError, fill};
use super::text::Input;

/// Why a request cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    #[error("`{0}` is no base64")]
    Base64(&'static str),
    #[error("`data` and `encoded_request` exclude each other")]
    Both,
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// What an earlier stage left for this one.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Where it was redirected to.
    pub(super) target: Option<String>,
    /// Cookies that were set, as a Cookie field holds them.
    pub(super) cookies: String,
}

/// The bytes of a request.
pub(super) fn build(input: &Input, carried: &Carried) -> Result<Vec<u8>, RequestError> {
    if let Some(encoded) = input.encoded_request.as_ref().or(input.raw_request.as_ref()).filter(|text| !text.is_empty())
    {
        if input.data.as_ref().is_some_and(|data| !data.is_empty()) {
            return Err(RequestError::Both);
        }
        return decode(encoded).ok_or(RequestError::Base64("encoded_request"));
    }
    let method = input.method.as_deref().unwrap_or("GET");
    let target = carried.target.as_deref().or(input.uri.as_deref()).unwrap_or("/");
    let version = input.version.as_deref().unwrap_or("HTTP/1.1");
    let mut fields = fields(input);
    if input.save_cookie == Some(true) && !carried.cookies.is_empty() && !has(&fields, "cookie") {
        fields.push((String::from("Cookie"), carried.cookies.clone()));
    }
    let completes = input.autocomplete_headers.unwrap_or(input.stop_magic != Some(true));
    let mut body = body(input)?;
    if completes && !body.is_empty() {
        if !has(&fields, "content-type") {
            fields.push((String::from("Content-Type"), String::from(FORM)));
        }
        if values(&fields, "content-type").any(|value| value.eq_ignore_ascii_case(FORM)) {
            body = escaped(body);
        }
    }
    if values(&fields, "content-type").any(|value| value.to_ascii_lowercase().contains("multipart/form-data;")) {
        body = with_line_ends(&body);
    }
    if completes {
        complete(&mut fields, method, body.len());
    }
    let mut bytes = format!("{method} {target} {version}\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Base64, with line breaks where the file has them.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

fn fields(input: &Input) -> Vec<(String, String)> {
    let by_name = input.headers.iter().flatten();
    let by_name = by_name.map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()));
    let ordered = input.ordered_headers.iter().map(|field| (field.name.clone(), field.value.clone()));
    by_name.chain(ordered).collect()
}

fn body(input: &Input) -> Result<Vec<u8>, RequestError> {
    match (&input.data, &input.encoded_data) {
        (Some(data), _) => Ok(fill(data)?.into_bytes()),
        (None, Some(encoded)) => decode(encoded).ok_or(RequestError::Base64("encoded_data")),
        (None, None) => Ok(Vec::new()),
    }
}

/// What a client adds: that the connection ends, and how long the body is.
fn complete(fields: &mut Vec<(String, String)>, method: &str, length: usize) {
    if !has(fields, "connection") {
        fields.push((String::from("Connection"), String::from("close")));
    }
    // As loose as the original's `^POST|PUT|PATCH|DELETE$`, which anchors only its first and last word.
    let sends =
        method.starts_with("POST") || method.contains("PUT") || method.contains("PATCH") || method.ends_with("DELETE");
    if !has(fields, "content-length") && (length > 0 || sends) {
        fields.push((String::from("Content-Length"), length.to_string()));
    }
}

fn has(fields: &[(String, String)], name: &str) -> bool {
    values(fields, name).next().is_some()
}

fn values<'f>(fields: &'f [(String, String)], name: &'f str) -> impl Iterator<Item = &'f str> {
    fields.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A form is percent-encoded, name by name and value by value, unless it seems to be already.
fn escaped(body: Vec<u8>) -> Vec<u8> {
    if body.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return body;
    }
    let body = body.strip_suffix(b"&").unwrap_or(&body);
    let mut escaped = Vec::with_capacity(body.len() * 2);
    for (index, pair) in body.split(|byte| *byte == b'&').enumerate() {
        if index > 0 {
            escaped.push(b'&');
        }
        for (index, part) in pair.splitn(2, |byte| *byte == b'=').enumerate() {
            if index > 0 {
                escaped.push(b'=');
            }
            part.iter().for_each(|byte| escape(*byte, &mut escaped));
        }
    }
    escaped
}

fn escape(byte: u8, escaped: &mut Vec<u8>) {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte),
        b' ' => escaped.push(b'+'),
        _ => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
    }
}

/// Lines of a multipart body end with both, which a YAML text cannot say well.
fn with_line_ends(body: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(body.len() + 64);
    for byte in body {
        if *byte == b'\n' {
            lines.push(b'\r');
        }
        lines.push(*byte);
    }
    lines
}

const FORM: &str = "application/x-www-form-urlencoded";
