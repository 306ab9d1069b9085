//! Takes the bytes of a request apart, as a server does that accepts whatever can be taken apart.
//!
//! Some bytes no server of the tests' reference (Apache httpd with strict parsing) lets pass to its modules: it answers
//! 400 itself, and no rule sees them. The tests count on exactly these answers, so they are given here, too.

use super::application::Answered;
use crate::transaction::RequestHead;

/// A request, taken apart.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    line: Vec<u8>,
    /// The first word of its first line.
    pub method: Vec<u8>,
    /// The second.
    pub target: Vec<u8>,
    /// The third. Empty: HTTP/0.9, whose answers have no head.
    pub protocol: Vec<u8>,
    /// Names and values in their order.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// Without the frames of chunks.
    pub body: Vec<u8>,
}

/// Why the server itself answers 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each says itself what is wrong")]
pub enum Refused {
    #[error("the request line is not method, target and protocol with one space between")]
    Line,
    #[error("the protocol is not HTTP/1.0 or newer")]
    Protocol,
    #[error("the target is no path, no absolute URL and no authority with a port")]
    Target,
    #[error("a header line has no name, or a name that is no token")]
    Name,
    #[error("a header line holds a control character")]
    Value,
    #[error("the Host field is missing, empty or no host")]
    Host,
    #[error("the Content-Length field is no number")]
    Length,
}

/// Method, target and protocol.
type Words<'l> = (&'l [u8], &'l [u8], &'l [u8]);

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Takes the bytes of a request apart.
///
/// # Errors
///
/// What no server lets pass to its modules.
pub fn take_apart(raw: &[u8]) -> Result<Received, Refused> {
    let (line, rest) = line_of(raw);
    let (method, target, protocol) = words(line)?;
    let (mut fields, rest) = fields(rest)?;
    host(&fields, protocol)?;
    let length = length(&fields)?;
    let chunked = of(&fields, b"transfer-encoding").any(|value| value.to_ascii_lowercase().ends_with(b"chunked"));
    let body = if chunked {
        // RFC 9112 section 6.3: the chunks count, and whoever passes the request on takes the length away.
        fields.retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-length"));
        chunks(rest)
    } else {
        rest.get(..length.unwrap_or(0)).unwrap_or(rest).to_vec()
    };
    Ok(Received {
        line: line.to_vec(),
        method: method.to_vec(),
        target: target.to_vec(),
        protocol: protocol.to_vec(),
        fields,
        body,
    })
}

impl Received {
    /// Field names and values, borrowed, for [`head`](Self::head).
    #[must_use]
    pub fn borrowed(&self) -> Vec<(&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
    }

    /// Its head, for a transaction.
    #[must_use]
    pub fn head<'r>(&'r self, headers: &'r [(&'r [u8], &'r [u8])]) -> RequestHead<'r> {
        RequestHead { line: &self.line, method: &self.method, target: &self.target, protocol: &self.protocol, headers }
    }

    /// The path of the target, without host and query.
    pub(super) fn path(&self) -> &[u8] {
        let target = after_authority(&self.target).unwrap_or(&self.target);
        target.split(|byte| *byte == b'?').next().unwrap_or_default()
    }
}

/// A line without its end, and what follows.
fn line_of(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return (bytes, &[]) };
    let (line, rest) = bytes.split_at(end);
    (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
}

fn words(line: &[u8]) -> Result<Words<'_>, Refused> {
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().filter(|word| !word.is_empty() && word.iter().all(|byte| token(*byte)));
    let target = words.next().filter(|word| !word.is_empty());
    let protocol = words.next().unwrap_or_default();
    let (Some(method), Some(target), None) = (method, target, words.next()) else { return Err(Refused::Line) };
    if !protocol.is_empty() && !known(protocol) {
        return Err(Refused::Protocol);
    }
    reachable(method, target).then_some((method, target, protocol)).ok_or(Refused::Target)
}

/// HTTP/1.0 and newer: also versions that nobody speaks, about which the rules have their own opinion.
fn known(protocol: &[u8]) -> bool {
    match protocol.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) => (b'1'..=b'9').contains(major) && minor.is_ascii_digit(),
        // As gateways write the line of a request that had none.
        Some([major]) => (b'2'..=b'9').contains(major),
        _ => false,
    }
}

/// RFC 9112 section 3.2, without a fragment, which is not sent.
fn reachable(method: &[u8], target: &[u8]) -> bool {
    if target.iter().any(|byte| byte.is_ascii_control() || *byte == b'#') {
        return false;
    }
    if method == b"CONNECT" {
        let port = target.iter().rposition(|byte| *byte == b':').and_then(|at| target.get(at + 1..));
        return port.is_some_and(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit));
    }
    target.starts_with(b"/") || (method == b"OPTIONS" && target == b"*") || after_authority(target).is_some()
}

/// What follows scheme and host of an absolute URL.
fn after_authority(target: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = target.split_at_checked(memchr::memmem::find(target, b"://")?)?;
    let rest = rest.get(3..)?;
    let plain = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if !plain {
        return None;
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    rest.get(end..)
}

fn fields(mut rest: &[u8]) -> Result<(Fields, &[u8]), Refused> {
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let (line, after) = line_of(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\0')) {
            return Err(Refused::Value);
        }
        // A line that begins with space goes on the one before (RFC 9112 section 5.2).
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            let (_, value) = fields.last_mut().ok_or(Refused::Name)?;
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            continue;
        }
        let colon = memchr::memchr(b':', line).ok_or(Refused::Name)?;
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(|byte| token(*byte)) {
            return Err(Refused::Name);
        }
        fields.push((name.to_vec(), value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
    }
    Ok((fields, rest))
}

/// RFC 9110 section 5.6.2.
fn token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn of<'f>(fields: &'f Fields, name: &'f [u8]) -> impl Iterator<Item = &'f [u8]> {
    fields.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
}

/// HTTP/1.1 and newer say for which host a request is; only it may be left empty in older ones.
fn host(fields: &Fields, protocol: &[u8]) -> Result<(), Refused> {
    let newer = !matches!(protocol, b"" | b"HTTP/1.0");
    let mut hosts = of(fields, b"host");
    match hosts.next() {
        Some(b"") | None if newer => Err(Refused::Host),
        Some(host) if !host.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(byte)) => {
            Err(Refused::Host)
        }
        _ => Ok(()),
    }
}

fn length(fields: &Fields) -> Result<Option<usize>, Refused> {
    let Some(length) = of(fields, b"content-length").next() else { return Ok(None) };
    let digits = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    // Longer than can be counted is longer than what was sent.
    let length = digits.filter(|text| !text.is_empty()).ok_or(Refused::Length)?;
    Ok(Some(length.parse().unwrap_or(usize::MAX)))
}

/// Whether an answer to this request is there to its end. Without a length it ends with the connection, which nobody
/// sees here.
#[must_use]
pub fn answer_is_whole(request: &[u8], answer: &[u8]) -> bool {
    let Some(head) = memchr::memmem::find(answer, b"\r\n\r\n") else { return false };
    let Some(Answered { status, fields, .. }) = read_answer(answer) else { return false };
    let body = answer.get(head + 4..).unwrap_or_default();
    if request.starts_with(b"HEAD ") || matches!(status, 204 | 304) {
        return true;
    }
    match length(&fields) {
        Ok(Some(length)) => body.len() >= length,
        _ => of(&fields, b"transfer-encoding").next().is_some() && body.ends_with(b"0\r\n\r\n"),
    }
}

/// Takes an answer apart; none if it has no status line. What only announces it (100 Continue) is passed over.
pub(super) fn read_answer(raw: &[u8]) -> Option<Answered> {
    let (line, rest) = line_of(raw);
    let status = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
    let (fields, rest) = fields(rest).ok()?;
    if status < 200 && status != SWITCHING_PROTOCOLS {
        return read_answer(rest);
    }
    let chunked = of(&fields, b"transfer-encoding").any(|value| value.eq_ignore_ascii_case(b"chunked"));
    let length = length(&fields).ok()?;
    let body = if chunked { chunks(rest) } else { rest.get(..length.unwrap_or(rest.len())).unwrap_or(rest).to_vec() };
    Some(Answered { status, fields, body })
}

/// The contents of chunks, up to the last or to the first that is none.
fn chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let (line, after) = line_of(rest);
        let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(size).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let Some(size) = size.filter(|size| *size > 0) else { return body };
        let (chunk, after) = after.split_at_checked(size).unwrap_or((after, &[]));
        body.extend_from_slice(chunk);
        rest = line_of(after).1;
    }
}

const SWITCHING_PROTOCOLS: u16 = 101;
