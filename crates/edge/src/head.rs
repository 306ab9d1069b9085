//! Inspection of a raw HTTP/1 request head, before any parser sees it.
//!
//! Two parsers that disagree on where a message ends let one client speak with another one's voice (request
//! smuggling). So a head passes only if there is one way to read it: RFC 9112 without its concessions to old software.
//! What passes is handed to the HTTP library byte for byte; nothing here rewrites.

use memchr::{memchr, memchr_iter};

use crate::fingerprint::NameHash;
use crate::refusal::Refusal;

/// How much a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the whole head, its last empty line included.
    pub head_bytes_max: usize,
    /// Bytes of the request target.
    pub target_bytes_max: usize,
    /// Header fields.
    pub fields_max: usize,
}

/// Whether ambiguity is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Refused: control `edge.smuggling` is on.
    Strict,
    /// Read as the HTTP library would; only sizes are judged.
    Lenient,
}

/// What the inspection of the bytes so far says.
#[derive(Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The head is not complete.
    Incomplete,
    /// It is complete and passes.
    Passed(Head),
    /// It is refused.
    Refused(Refusal),
}

/// Facts of a head that passed.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Head {
    /// Its length, the empty line included.
    pub bytes: usize,
    /// What follows it.
    pub framing: Framing,
    /// The client asks to speak another protocol afterwards.
    pub upgrade: bool,
    /// The names of its fields, in their order.
    pub names: NameHash,
}

/// What follows a head.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Framing {
    /// Nothing.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Inspects what `bytes` begin with. `scanned` is how many of them an earlier call has already found to hold no end;
/// it is moved on, so that a head that arrives in many pieces is still read once.
#[must_use]
pub fn inspect(bytes: &[u8], scanned: &mut usize, limits: &HeadLimits, strictness: Strictness) -> Inspection {
    let bytes_in_limit = bytes.get(..limits.head_bytes_max).unwrap_or(bytes);
    match find_end(bytes_in_limit, *scanned, strictness) {
        Ok(Some(end)) => read(bytes.get(..end).unwrap_or_default(), limits, strictness)
            .map_or_else(Inspection::Refused, Inspection::Passed),
        Ok(None) if bytes.len() >= limits.head_bytes_max => Inspection::Refused(past_limit(bytes, limits)),
        Ok(None) => {
            *scanned = bytes.len();
            Inspection::Incomplete
        }
        Err(refusal) => Inspection::Refused(refusal),
    }
}

/// Which limit a head that has no end yet has passed: clients learn 414 for a target, 431 for the rest (RFC 6585).
fn past_limit(bytes: &[u8], limits: &HeadLimits) -> Refusal {
    let line = memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > limits.target_bytes_max { Refusal::TargetTooLong } else { Refusal::HeadTooLarge }
}

/// The offset behind the empty line that ends the head.
fn find_end(bytes: &[u8], scanned: usize, strictness: Strictness) -> Result<Option<usize>, Refusal> {
    // A line end may straddle what was scanned before: its CR, or the CR LF before it.
    let from = scanned.saturating_sub(3);
    for at in memchr_iter(b'\n', bytes.get(from..).unwrap_or_default()) {
        let at = at + from;
        let before = bytes.get(..at).unwrap_or_default();
        if !before.ends_with(b"\r") {
            if strictness == Strictness::Strict {
                return Err(Refusal::Malformed("a line ends in LF without CR"));
            }
            if before.ends_with(b"\n") || before.ends_with(b"\n\r") {
                return Ok(Some(at + 1));
            }
        } else if before.ends_with(b"\n\r") {
            return Ok(Some(at + 1));
        } else if before.len() == 1 && strictness == Strictness::Strict {
            return Err(Refusal::Malformed("an empty line where a request should begin"));
        }
    }
    Ok(None)
}

/// What the header fields have said about framing so far.
#[derive(Default)]
struct Fields<'h> {
    count: usize,
    host: Option<&'h [u8]>,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    names: NameHash,
}

fn read(head: &[u8], limits: &HeadLimits, strictness: Strictness) -> Result<Head, Refusal> {
    let mut lines = Lines { rest: head };
    let request_line = lines.next().ok_or(Refusal::Malformed("no request line"))?;
    let line = RequestLine::read(request_line, limits, strictness)?;
    let mut fields = Fields::default();
    for text in lines {
        if text.is_empty() {
            break;
        }
        fields.count += 1;
        if fields.count > limits.fields_max {
            return Err(Refusal::HeadTooLarge);
        }
        match (read_field(text, &line, &mut fields), strictness) {
            (Err(refusal), Strictness::Strict) => return Err(refusal),
            (Ok(()), _) | (Err(_), Strictness::Lenient) => {}
        }
    }
    if strictness == Strictness::Strict {
        line.agrees_with(fields.host)?;
    }
    let framing = match (fields.chunked, fields.length) {
        (true, Some(_)) if strictness == Strictness::Strict => {
            return Err(Refusal::Malformed("both Content-Length and Transfer-Encoding"));
        }
        (true, _) => Framing::Chunked,
        (false, Some(0) | None) => Framing::Empty,
        (false, Some(length)) => Framing::Length(length),
    };
    Ok(Head { bytes: head.len(), framing, upgrade: fields.upgrade, names: fields.names })
}

/// Lines without their ends. Every LF ends one; that a CR precedes it was seen to by [`find_end`].
struct Lines<'h> {
    rest: &'h [u8],
}

impl<'h> Iterator for Lines<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let end = memchr(b'\n', self.rest)?;
        let line = self.rest.get(..end)?;
        self.rest = self.rest.get(end + 1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Whether the HTTP library will read this target, and all of it: it would answer 400 by itself, with no event, and would
/// cut off what comes after `#`.
fn is_readable(target: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/?&=%+-_.~,;:@!$'()*[]".contains(byte);
    (target.starts_with(b"/") && target.iter().all(plain))
        || (!target.contains(&b'#') && http::Uri::try_from(target).is_ok())
}

struct RequestLine<'h> {
    target: &'h [u8],
    version_1_0: bool,
}

impl<'h> RequestLine<'h> {
    fn read(line: &'h [u8], limits: &HeadLimits, strictness: Strictness) -> Result<Self, Refusal> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::Malformed("the request line has not three parts"));
        };
        if target.len() > limits.target_bytes_max {
            return Err(Refusal::TargetTooLong);
        }
        if strictness == Strictness::Strict {
            if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(|byte| is_token(*byte)) {
                return Err(Refusal::Malformed("the method is no token"));
            }
            if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
                return Err(Refusal::Malformed("the request target holds a byte that must be percent-encoded"));
            }
        }
        if !is_readable(target) {
            return Err(Refusal::Malformed("the request target is none of HTTP"));
        }
        match version {
            b"HTTP/1.1" => Ok(Self { target, version_1_0: false }),
            b"HTTP/1.0" => Ok(Self { target, version_1_0: true }),
            other if other.starts_with(b"HTTP/") => Err(Refusal::Version),
            _ => Err(Refusal::Malformed("the request line has not three parts")),
        }
    }

    /// RFC 9112 section 3.2: one Host in HTTP/1.1, and an absolute target must not name another.
    fn agrees_with(&self, host: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(host) = host else {
            return if self.version_1_0 { Ok(()) } else { Err(Refusal::Malformed("no Host")) };
        };
        let lower =
            |scheme: &[u8]| self.target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let scheme_bytes = if lower(b"http://") {
            7
        } else if lower(b"https://") {
            8
        } else {
            return Ok(());
        };
        let rest = self.target.get(scheme_bytes..).unwrap_or_default();
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        if rest.get(..end).unwrap_or_default().eq_ignore_ascii_case(host) {
            Ok(())
        } else {
            Err(Refusal::Malformed("the request target names another host than Host"))
        }
    }
}

fn read_field<'h>(text: &'h [u8], line: &RequestLine<'_>, fields: &mut Fields<'h>) -> Result<(), Refusal> {
    if matches!(text.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::Malformed("a folded header line"));
    }
    let end = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or_default();
    let Some((b':', value)) = rest.split_first() else {
        let colon = memchr(b':', rest).is_some();
        let cause = if colon { "a header name that is no token" } else { "a header line without colon" };
        return Err(Refusal::Malformed(cause));
    };
    if name.is_empty() {
        return Err(Refusal::Malformed("a header name that is no token"));
    }
    fields.names.take(name);
    let value = trim(value);
    if has_control(value) {
        return Err(Refusal::Malformed("a control character in a header value"));
    }
    if is_in_disguise(name) {
        return Err(Refusal::Malformed(DISGUISED));
    }
    // By length first: most fields are none of these, and then no bytes are compared.
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => read_host(value, fields),
        6 if name.eq_ignore_ascii_case(b"expect") => {
            if value.eq_ignore_ascii_case(b"100-continue") {
                Ok(())
            } else {
                Err(Refusal::Expectation)
            }
        }
        7 if name.eq_ignore_ascii_case(b"upgrade") => {
            fields.upgrade = true;
            Ok(())
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => read_length(value, fields),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => read_coding(value, line, fields),
        _ => Ok(()),
    }
}

/// Whether `name` is, with hyphens for its underscores, one that says who asks or where a message ends. CGI and all its
/// heirs take the two for one (RFC 3875 section 4.1.18), so the application would believe what nobody has judged.
pub(crate) fn is_in_disguise(name: &[u8]) -> bool {
    // By length first: few fields are as long as one of these.
    let plain: &[u8] = match name.len() {
        9 => b"x-real-ip",
        14 => b"content-length",
        15 => b"x-forwarded-for",
        16 => b"x-forwarded-host",
        17 if name.ends_with(b"g") || name.ends_with(b"G") => b"transfer-encoding",
        17 => b"x-forwarded-proto",
        _ => return false,
    };
    let same = |(byte, plain): (&u8, &u8)| byte.eq_ignore_ascii_case(plain) || (*byte == b'_' && *plain == b'-');
    memchr(b'_', name).is_some() && name.iter().zip(plain).all(same)
}

/// What is said of such a name.
pub(crate) const DISGUISED: &str = "a header name with underscores that stands for another";

fn read_host<'h>(value: &'h [u8], fields: &mut Fields<'h>) -> Result<(), Refusal> {
    if fields.host.replace(value).is_some() {
        return Err(Refusal::Malformed("more than one Host"));
    }
    let plain =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%');
    if value.is_empty() || !value.iter().all(plain) {
        Err(Refusal::Malformed("a Host that is no host"))
    } else {
        Ok(())
    }
}

fn read_length(value: &[u8], fields: &mut Fields<'_>) -> Result<(), Refusal> {
    // Eighteen digits fit without overflow, and no honest body is longer.
    let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    if !digits {
        return Err(Refusal::Malformed("a Content-Length that is no number"));
    }
    let length = value.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    // Even two equal ones: whoever sends them is not a client that anybody uses.
    if fields.length.replace(length).is_some() {
        Err(Refusal::Malformed("more than one Content-Length"))
    } else {
        Ok(())
    }
}

fn read_coding(value: &[u8], line: &RequestLine<'_>, fields: &mut Fields<'_>) -> Result<(), Refusal> {
    let again = std::mem::replace(&mut fields.chunked, true);
    if line.version_1_0 {
        return Err(Refusal::Malformed("Transfer-Encoding in HTTP/1.0"));
    }
    if again {
        return Err(Refusal::Malformed("more than one Transfer-Encoding"));
    }
    if value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(Refusal::TransferCoding) }
}

/// Without optional white space (RFC 9110 section 5.6.3), which is space and tab and nothing else: a CR would be one
/// parser's white space and another one's line end.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether there is a control character other than tab. Looks at every byte instead of stopping at the first, which
/// costs a clean value nothing and lets the compiler look at sixteen at once.
fn has_control(value: &[u8]) -> bool {
    value.iter().fold(false, |found, byte| found | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f))
}

/// RFC 9110 section 5.6.2. Asked of every byte of every name, so it is looked up.
fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        #[expect(clippy::cast_possible_truncation, reason = "the table has an entry for each byte")]
        #[expect(clippy::indexing_slicing, reason = "checked when the program is compiled")]
        {
            table[byte] = is_token_char(byte as u8);
        }
        byte += 1;
    }
    table
};

const fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// No registered method is longer than 17 bytes.
const METHOD_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests;
