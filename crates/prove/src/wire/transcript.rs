//! Reads the answers out of the bytes that came back on a raw connection.

use std::str;

/// One answer of HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawAnswer {
    /// The status.
    pub(crate) status: u16,
    /// The header fields in their order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, as much as came.
    pub(crate) body: Vec<u8>,
    /// Whether the body came whole.
    pub(crate) whole: bool,
}

impl RawAnswer {
    /// The first value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The final answers in these bytes; interim ones (1xx) are passed over. What is no answer ends the list.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<RawAnswer> {
    let mut answers = Vec::new();
    while let Some((answer, rest)) = answer(bytes) {
        bytes = rest;
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    answers
}

/// How many whole final answers there are.
pub(crate) fn complete(bytes: &[u8]) -> usize {
    answers(bytes).iter().filter(|answer| answer.whole).count()
}

fn answer(bytes: &[u8]) -> Option<(RawAnswer, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = response.parse(bytes) else { return None };
    let status = response.code?;
    let headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let mut answer = RawAnswer { status, headers, body: Vec::new(), whole: true };
    let rest = bytes.get(length..)?;
    let rest = match framing(&answer) {
        Framing::None => rest,
        Framing::Length(length) => {
            let (body, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            answer.whole = body.len() == length;
            answer.body = body.to_vec();
            rest
        }
        Framing::Chunked => {
            let (body, whole, rest) = unchunk(rest);
            answer.whole = whole;
            answer.body = body;
            rest
        }
        // Only the end of the connection ends it.
        Framing::Rest => {
            answer.whole = false;
            answer.body = rest.to_vec();
            &[]
        }
    };
    Some((answer, rest))
}

enum Framing {
    None,
    Length(usize),
    Chunked,
    Rest,
}

/// RFC 9112 section 6.3, for answers to anything but HEAD and CONNECT.
fn framing(answer: &RawAnswer) -> Framing {
    if answer.status < 200 || matches!(answer.status, 204 | 304) {
        return Framing::None;
    }
    if let Some(coding) = answer.value("transfer-encoding") {
        return if coding.to_ascii_lowercase().ends_with("chunked") { Framing::Chunked } else { Framing::Rest };
    }
    let length = answer.value("content-length").and_then(|text| text.trim().parse().ok());
    length.map_or(Framing::Rest, Framing::Length)
}

/// Takes the chunks apart: the body, whether it ended, and what stands behind it.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool, &[u8]) {
    let mut body = Vec::new();
    loop {
        let Some((size, rest)) = chunk_size(bytes) else { return (body, false, &[]) };
        if size == 0 {
            // Trailers are none of the probes' business: the body ends at the next empty line.
            let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return (body, false, &[]) };
            if end == 0 {
                return (body, true, rest.get(2..).unwrap_or_default());
            }
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { return (body, false, &[]) };
            return (body, true, rest.get(end + 4..).unwrap_or_default());
        }
        let Some((data, rest)) = rest.split_at_checked(size) else {
            body.extend_from_slice(rest);
            return (body, false, &[]);
        };
        body.extend_from_slice(data);
        let Some(rest) = rest.strip_prefix(b"\r\n") else { return (body, false, &[]) };
        bytes = rest;
    }
}

fn chunk_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = str::from_utf8(bytes.get(..end)?).ok()?;
    let digits = line.split(';').next()?.trim();
    Some((usize::from_str_radix(digits, 16).ok()?, bytes.get(end + 2..)?))
}

/// The most fields of one answer.
const FIELDS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: &[(u16, &str, bool)]) {
        let read = answers(bytes.as_bytes());
        let read: Vec<_> = read.iter().map(|answer| (answer.status, answer.text(), answer.whole)).collect();
        let expected: Vec<_> = expected.iter().map(|(s, b, w)| (*s, (*b).to_owned(), *w)).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn answers_are_told_apart_by_their_framing() {
        check("", &[]);
        check("HTTP/1.1 200 OK\r\n", &[]);
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 404 No\r\n\r\nrest",
            &[(200, "ok", true), (404, "rest", false)],
        );
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", &[(204, "", true)]);
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", &[(200, "ok", false)]);
        check("SSH-2.0-x\r\n", &[]);
    }

    #[test]
    fn chunks_are_put_together_and_trailers_passed_over() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(
            &format!("{head}2\r\nok\r\n3;x=y\r\nay!\r\n0\r\n\r\nHTTP/1.1 400 B\r\nContent-Length: 0\r\n\r\n"),
            &[(200, "okay!", true), (400, "", true)],
        );
        check(&format!("{head}2\r\nok\r\n0\r\nX: y\r\n\r\n"), &[(200, "ok", true)]);
        check(&format!("{head}2\r\nok\r\n0\r\n"), &[(200, "ok", false)]);
        check(&format!("{head}9\r\nok"), &[(200, "ok", false)]);
        check(&format!("{head}zz\r\nok"), &[(200, "", false)]);
        check(&format!("{head}ffffffffffffffff\r\nok"), &[(200, "ok", false)]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &bytes].concat();
            let _ = (answers(&bytes), answers(&chunked));
        }
    }
}
