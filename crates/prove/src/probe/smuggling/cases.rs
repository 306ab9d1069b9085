//! The requests. `{host}` and `{agent}` are filled in; everything else goes over the wire as it stands.
//!
//! Each is complete by either reading, so that a server that accepts it has no cause to wait for more.

/// One request that must be refused.
pub(super) struct Case {
    /// What is wrong with it.
    pub(super) name: &'static str,
    /// Where.
    pub(super) kind: Kind,
    /// Its bytes, up to where the next request begins.
    pub(super) request: &'static str,
}

/// Where a request is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In its head: it must not even begin to be served.
    Head,
    /// In its body, which a server may find out late.
    Body,
}

macro_rules! post {
    ($fields:literal, $body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n", $fields, "\r\n", $body)
    };
}

macro_rules! get {
    ($fields:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n", $fields, "\r\n")
    };
}

const fn head(name: &'static str, request: &'static str) -> Case {
    Case { name, kind: Kind::Head, request }
}

const fn body(name: &'static str, request: &'static str) -> Case {
    Case { name, kind: Kind::Body, request }
}

/// Requests that every server serves, with the number of answers that each is worth.
pub(super) const WELL_FORMED: &[(&str, &str, usize)] = &[
    ("GET", get!("Connection: close\r\n"), 1),
    ("POST with Content-Length", post!("Content-Length: 5\r\nConnection: close\r\n", "hello"), 1),
    ("POST in chunks", post!("Transfer-Encoding: chunked\r\nConnection: close\r\n", "5\r\nhello\r\n0\r\n\r\n"), 1),
    (
        "two GETs on one connection",
        concat!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"
        ),
        2,
    ),
];

/// RFC 9112 section 6.1 and 6.3 for lengths and codings, 2.2 and 5.1 to 5.2 for lines and fields, 3.2 for Host, 7.1
/// for chunks; most of them have been a published attack.
#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    head("Content-Length before Transfer-Encoding", post!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
    head("Transfer-Encoding before Content-Length", post!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")),
    head("two different Content-Lengths", post!("Content-Length: 5\r\nContent-Length: 0\r\n", "hello")),
    head("Content-Length twice", post!("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
    head("a list as Content-Length", post!("Content-Length: 5, 5\r\n", "hello")),
    head("a signed Content-Length", post!("Content-Length: +5\r\n", "hello")),
    head("a Content-Length with a space in it", post!("Content-Length: 0 5\r\n", "hello")),
    head("a hexadecimal Content-Length", post!("Content-Length: 0x5\r\n", "hello")),
    head("a negative Content-Length", post!("Content-Length: -1\r\n", "")),
    head("an unknown transfer coding", post!("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
    head("a transfer coding after chunked", post!("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
    head("Transfer-Encoding twice", post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n")),
    head("a transfer coding behind a control character", post!("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n")),
    head("a folded line", get!("X-Folded: one\r\n two\r\n")),
    head("a space before the colon", post!("Content-Length : 5\r\n", "hello")),
    head("bare line feeds as line ends", "GET / HTTP/1.1\nHost: {host}\nUser-Agent: {agent}\n\n"),
    head("a bare carriage return in a value", get!("X-Bare: one\rTransfer-Encoding: chunked\r\n")),
    head("a NUL in a value", get!("X-Null: one\0two\r\n")),
    head("a field name with a space", get!("X Name: one\r\n")),
    head("HTTP/1.0 with Transfer-Encoding", "POST / HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    head("a target that names another host", "GET http://reeve-probe.invalid/ HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n\r\n"),
    head("two Hosts", get!("Host: reeve-probe.invalid\r\n")),
    head("no Host", "GET / HTTP/1.1\r\nUser-Agent: {agent}\r\n\r\n"),
    body("a chunk size that is no number", post!("Transfer-Encoding: chunked\r\n", "xyz\r\nhello\r\n0\r\n\r\n")),
    body("a chunk size past 64 bits", post!("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n")),
    body("a chunk without its line end", post!("Transfer-Encoding: chunked\r\n", "5\r\nhello0\r\n\r\n")),
    body("a bare line feed behind a chunk size", post!("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_cases_and_no_name_stands_twice() {
        assert!(CASES.len() >= 14);
        for (index, case) in CASES.iter().enumerate() {
            assert!(CASES.iter().skip(index + 1).all(|other| other.name != case.name), "{}", case.name);
        }
    }

    /// A head that was wrong in a second way would prove nothing of the first.
    #[test]
    fn every_head_ends_and_names_the_agent() {
        for case in CASES {
            assert!(case.request.contains("\r\n\r\n") || case.request.contains("\n\n"), "{}", case.name);
            assert!(case.request.contains("{agent}"), "{}", case.name);
            assert_eq!(case.request.contains("Host: {host}"), case.name != "no Host", "{}", case.name);
        }
    }
}
