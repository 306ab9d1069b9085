//! The cases. `{n}` in a case stands for its number. A request for `/smuggled` may never arrive anywhere.

use crate::frames::{DATA, END_STREAM, frame, request};

/// What is to become of a case.
pub(crate) enum Outcome {
    /// Nothing of it arrives, and nothing that was sent behind it on the same connection.
    Refused,
    /// It arrives as these requests: method and target.
    Arrives(Vec<(&'static str, &'static str)>),
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What is sent. Frames of HTTP/2 have one character for each byte.
    pub(crate) bytes: String,
    pub(crate) outcome: Outcome,
    /// The connection carries another request afterwards.
    pub(crate) leaves_open: bool,
    pub(crate) h2: bool,
}

pub(crate) fn all() -> Vec<Case> {
    let mut all = framings();
    all.extend(lines());
    all.extend(request_lines());
    all.extend(names_and_hosts());
    all.extend(chunks());
    all.extend(well_formed());
    all.extend(downgrades());
    all
}

/// A POST whose framing is said in `fields`, with what a parser that reads them differently would take for a request.
fn post(name: &'static str, fields: &str, body: &str) -> Case {
    refused(name, format!("POST /case/{{n}} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}"))
}

fn refused(name: &'static str, bytes: impl Into<String>) -> Case {
    Case { name, bytes: bytes.into(), outcome: Outcome::Refused, leaves_open: false, h2: false }
}

fn arrives(name: &'static str, method: &'static str, fields: &str, body: &str) -> Case {
    Case {
        name,
        bytes: format!("{method} /case/{{n}} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}"),
        outcome: Outcome::Arrives(vec![(method, "/case/{n}")]),
        leaves_open: true,
        h2: false,
    }
}

const SMUGGLED: &str = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Two statements of where the body ends, or one that can be read in two ways.
fn framings() -> Vec<Case> {
    let framing = |name, fields| post(name, fields, SMUGGLED);
    vec![
        framing("length before chunked", "Content-Length: 6\r\nTransfer-Encoding: chunked"),
        framing("chunked before length", "Transfer-Encoding: chunked\r\nContent-Length: 6"),
        framing("two lengths that differ", "Content-Length: 6\r\nContent-Length: 60"),
        framing("two lengths that agree", "Content-Length: 6\r\nContent-Length: 6"),
        framing("a list of lengths", "Content-Length: 6, 6"),
        framing("a length with a sign", "Content-Length: +6"),
        framing("a negative length", "Content-Length: -1"),
        framing("a length in hexadecimal", "Content-Length: 0x6"),
        framing("a length with a gap", "Content-Length: 6 0"),
        framing("a length in quotes", "Content-Length: \"6\""),
        framing("a length that is nothing", "Content-Length:"),
        framing("a length with a fraction", "Content-Length: 6.0"),
        framing("a length past 64 bits", "Content-Length: 18446744073709551622"),
        framing("a length in other digits", "Content-Length: \u{666}"),
        framing("an unknown coding", "Transfer-Encoding: xchunked"),
        framing("chunked, then another", "Transfer-Encoding: chunked, identity"),
        framing("another, then chunked", "Transfer-Encoding: gzip, chunked"),
        framing("identity", "Transfer-Encoding: identity"),
        framing("chunked twice in a line", "Transfer-Encoding: chunked, chunked"),
        framing("chunked twice in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        framing("two codings in two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
        framing("a coding in quotes", "Transfer-Encoding: \"chunked\""),
        framing("a coding with a parameter", "Transfer-Encoding: chunked;a=b"),
        framing("a coding that is nothing", "Transfer-Encoding:"),
        framing("a coding behind a comma", "Transfer-Encoding: ,chunked"),
        framing("a length in disguise", "Content_Length: 6"),
        framing("a coding in disguise", "Transfer_Encoding: chunked"),
        refused(
            "a coding in HTTP/1.0",
            format!("POST /case/{{n}} HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{SMUGGLED}"),
        ),
    ]
}

/// Where a line ends, and what stands in it.
fn lines() -> Vec<Case> {
    let line = |name, fields| post(name, fields, SMUGGLED);
    vec![
        line("a space before the colon", "Transfer-Encoding : chunked"),
        line("a tab before the colon", "Transfer-Encoding\t: chunked"),
        line("a folded coding", "Transfer-Encoding:\r\n chunked"),
        line("a folded length", "Content-Length:\r\n\t6"),
        line("a folded first line", " Transfer-Encoding: chunked"),
        line("a vertical tab", "Transfer-Encoding:\u{b}chunked"),
        line("a form feed", "Transfer-Encoding: chunked\u{c}"),
        line("a NUL behind the value", "Transfer-Encoding: chunked\0"),
        line("a NUL in the name", "Transfer-Encoding\0: chunked"),
        line("a bare CR in a value", "X: y\rTransfer-Encoding: chunked"),
        line("a bare LF in a value", "X: y\nTransfer-Encoding: chunked"),
        line("two CR at the end", "X: y\r\r\nTransfer-Encoding: chunked"),
        line("a line without colon", "Transfer-Encoding chunked"),
        line("a name that is nothing", ": chunked"),
        line("a name with a slash", "Transfer/Encoding: chunked"),
        line("a name with a byte past ASCII", "Transfer-Encod\u{ef}ng: chunked"),
        refused(
            "lines that end in LF",
            "GET /case/{n} HTTP/1.1\nHost: localhost\n\nGET /smuggled HTTP/1.1\nHost: a\n\n",
        ),
        refused("an empty line first", "\r\nGET /case/{n} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ]
}

fn request_lines() -> Vec<Case> {
    let line = |name, line: &str| refused(name, format!("{line}\r\nHost: localhost\r\n\r\n"));
    vec![
        line("HTTP/0.9", "GET /case/{n}"),
        line("HTTP/2.0 as text", "GET /case/{n} HTTP/2.0"),
        line("HTTP/1.2", "GET /case/{n} HTTP/1.2"),
        line("HTTP/01.1", "GET /case/{n} HTTP/01.1"),
        line("a lower-case protocol", "GET /case/{n} http/1.1"),
        line("two spaces", "GET  /case/{n} HTTP/1.1"),
        line("a space behind the version", "GET /case/{n} HTTP/1.1 "),
        line("a tab for a space", "GET\t/case/{n} HTTP/1.1"),
        line("a space in the target", "GET /case/{n} /smuggled HTTP/1.1"),
        line("a NUL in the target", "GET /case/{n}\0 HTTP/1.1"),
        line("a byte past ASCII in the target", "GET /case/{n}\u{e9} HTTP/1.1"),
        line("a method that is no token", "GE(T /case/{n} HTTP/1.1"),
        line("a target of another host", "GET http://elsewhere/case/{n} HTTP/1.1"),
        line("a tunnel", "CONNECT localhost:443 HTTP/1.1"),
    ]
}

fn names_and_hosts() -> Vec<Case> {
    let host = |name, fields: &str| refused(name, format!("GET /case/{{n}} HTTP/1.1\r\n{fields}\r\n\r\n"));
    vec![
        host("no host", "X: y"),
        host("two hosts", "Host: localhost\r\nHost: elsewhere"),
        host("two equal hosts", "Host: localhost\r\nHost: localhost"),
        host("a host with a comma", "Host: localhost, elsewhere"),
        host("a host with a user", "Host: localhost@elsewhere"),
        host("a host with a path", "Host: localhost/smuggled"),
        host("a host that is nothing", "Host:"),
        host("an expectation of its own", "Host: localhost\r\nExpect: 100-continue, x"),
        host("a forwarding address in disguise", "Host: localhost\r\nX_Forwarded_For: 127.0.0.1"),
    ]
}

/// Bodies that do not keep to their own framing.
fn chunks() -> Vec<Case> {
    let body = |name, body: &str| {
        post(name, "Transfer-Encoding: chunked", &format!("{body}GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    };
    vec![
        body("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        body("a size with a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
        body("a size with a space first", " 3\r\nabc\r\n0\r\n\r\n"),
        body("a size past 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        body("a size that is nothing", "\r\nabc\r\n0\r\n\r\n"),
        body("a size that ends in LF", "3\nabc\r\n0\r\n\r\n"),
        body("a size that ends in CR", "3\rabc\r\n0\r\n\r\n"),
        body("data that end in LF", "3\r\nabc\n0\r\n\r\n"),
        body("data that go on", "3\r\nabcdef\r\n0\r\n\r\n"),
        body("data without an end", "3\r\nabc0\r\n\r\n"),
        // Nobody needs extensions, and parsers differ on where one ends.
        body("an extension", "3;a=b\r\nabc\r\n0\r\n\r\n"),
        body("an extension with LF", "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        body("a trailer that speaks of framing", "3\r\nabc\r\n0\r\nContent-Length: 60\r\n\r\n"),
        body("a trailer that ends in LF", "3\r\nabc\r\n0\r\nX: y\n\r\n"),
    ]
}

/// What must go through, and go on as one.
fn well_formed() -> Vec<Case> {
    let mut two = arrives("two requests at once", "GET", "", "GET /second/{n} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    two.outcome = Outcome::Arrives(vec![("GET", "/case/{n}"), ("GET", "/second/{n}")]);
    let mut absolute = arrives("an absolute target", "GET", "", "");
    absolute.bytes = String::from("GET http://localhost/case/{n} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut last = arrives("the last of its connection", "GET", "Connection: close\r\n", "");
    last.leaves_open = false;
    vec![
        two,
        absolute,
        last,
        arrives(
            "a body of stated length",
            "POST",
            "Content-Length: 41\r\n",
            "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n",
        ),
        arrives("a length of nothing", "POST", "Content-Length: 0\r\n", ""),
        arrives("a GET with a body", "GET", "Content-Length: 41\r\n", "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n"),
        arrives(
            "chunks",
            "POST",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n1f\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n0\r\n\r\n",
        ),
        arrives("chunks of no case", "POST", "transfer-encoding: CHUNKED\r\n", "A\r\n0123456789\r\n0\r\n\r\n"),
        arrives("white space around a value", "POST", "Content-Length: \t 3 \t\r\n", "abc"),
        arrives(
            "a length named as hop by hop",
            "POST",
            "Connection: keep-alive, Content-Length\r\nContent-Length: 3\r\n",
            "abc",
        ),
        arrives("a host named as hop by hop", "GET", "Connection: Host\r\n", ""),
        arrives("an encoded line end in a value", "GET", "X: %0d%0aTransfer-Encoding: chunked\r\n", ""),
    ]
}

/// HTTP/2 has one framing; a gateway that turns it into HTTP/1 can make two of it.
fn downgrades() -> Vec<Case> {
    let head = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/case/{n}")];
    let with = |name, more: &[(&str, &str)]| {
        let fields: Vec<_> = head.iter().chain(more).copied().collect();
        over_h2(name, &fields, SMUGGLED)
    };
    let instead = |name, field: (&'static str, &'static str)| {
        let fields = head.map(|(name, value)| if name == field.0 { field } else { (name, value) });
        over_h2(name, &fields, SMUGGLED)
    };
    vec![
        with("h2: a transfer coding", &[("transfer-encoding", "chunked")]),
        with("h2: a length that is too short", &[("content-length", "5")]),
        with("h2: a length that is too long", &[("content-length", "500")]),
        with("h2: two lengths", &[("content-length", "60"), ("content-length", "5")]),
        with("h2: a line end in a value", &[("x", "y\r\ntransfer-encoding: chunked")]),
        with("h2: a line end in a name", &[("x: y\r\ntransfer-encoding", "chunked")]),
        with("h2: a bare LF in a value", &[("x", "y\ntransfer-encoding: chunked")]),
        with("h2: a name in capitals", &[("Transfer-Encoding", "chunked")]),
        with("h2: a connection field", &[("connection", "transfer-encoding")]),
        with("h2: a second path", &[(":path", "/smuggled")]),
        with("h2: another host", &[("host", "elsewhere")]),
        with("h2: a coding in disguise", &[("transfer_encoding", "chunked")]),
        instead("h2: a request in the path", (":path", "/case/{n} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /smuggled")),
        instead("h2: a space in the path", (":path", "/case/{n} /smuggled")),
        instead("h2: a request in the method", (":method", "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\nPOST")),
        instead("h2: a line end in the host", (":authority", "localhost\r\nTransfer-Encoding: chunked")),
    ]
}

fn over_h2(name: &'static str, fields: &[(&str, &str)], body: &str) -> Case {
    let bytes = [request(1, 0, fields), frame(DATA, END_STREAM, 1, body.as_bytes())].concat();
    let bytes = bytes.into_iter().map(char::from).collect();
    Case { name, bytes, outcome: Outcome::Refused, leaves_open: false, h2: true }
}
