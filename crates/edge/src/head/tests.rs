use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 256, target_bytes_max: 32, fields_max: 4 };

#[track_caller]
fn check(head: &str, expected: Result<Framing, Refusal>) {
    let inspection = inspect(head.as_bytes(), &mut 0, &LIMITS, Strictness::Strict);
    let found = match inspection {
        Inspection::Passed(head) => Ok(head.framing),
        Inspection::Refused(refusal) => Err(refusal),
        Inspection::Incomplete => panic!("incomplete: {head:?}"),
    };
    assert_eq!(found, expected, "{head:?}");
}

#[track_caller]
fn malformed(head: &str, cause: &'static str) {
    check(head, Err(Refusal::Malformed(cause)));
}

#[test]
fn plain_requests_pass() {
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Empty));
    check("POST /a?b=c HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n", Ok(Framing::Length(5)));
    check("POST / HTTP/1.1\r\nHost: [::1]:1\r\nTransfer-Encoding: Chunked\r\n\r\n", Ok(Framing::Chunked));
    check("GET / HTTP/1.0\r\n\r\n", Ok(Framing::Empty));
    check("GET http://A/x HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Empty));
    check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Empty));
}

#[test]
fn two_framings_are_refused() {
    malformed(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "both Content-Length and Transfer-Encoding",
    );
    malformed(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "both Content-Length and Transfer-Encoding",
    );
    malformed(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "more than one Content-Length",
    );
    malformed(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "more than one Transfer-Encoding",
    );
    malformed("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding in HTTP/1.0");
}

#[test]
fn odd_lengths_and_codings_are_refused() {
    for length in ["+5", "-5", "0x5", "5 5", "5,5", "", "9999999999999999999"] {
        malformed(
            &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"),
            "a Content-Length that is no number",
        );
    }
    for coding in ["xchunked", "chunked, identity", "gzip, chunked", "identity", ""] {
        check(
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n"),
            Err(Refusal::TransferCoding),
        );
    }
}

#[test]
fn lines_have_one_shape() {
    malformed("GET / HTTP/1.1\nHost: a\n\n", "a line ends in LF without CR");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "a folded header line");
    malformed("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "a header name that is no token");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", "a control character in a header value");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nX: \rb\r\n\r\n", "a control character in a header value");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n", "a control character in a header value");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n", "a control character in a header value");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", "a header line without colon");
    malformed("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "an empty line where a request should begin");
    malformed("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "the request target holds a byte that must be percent-encoded");
    malformed("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", "the request line has not three parts");
    malformed(
        "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "the request target holds a byte that must be percent-encoded",
    );
    for target in ["/a#b", "\\", "/?a=<b>", "/`"] {
        malformed(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), "the request target is none of HTTP");
    }
    check("GET /{a}|b^?c='d'[e] HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Empty));
    check("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Empty));
    check("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(Refusal::Version));
}

#[test]
fn one_host_that_agrees_with_the_target() {
    malformed("GET / HTTP/1.1\r\n\r\n", "no Host");
    malformed("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more than one Host");
    malformed("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "a Host that is no host");
    malformed("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "the request target names another host than Host");
}

#[test]
fn limits_hold_at_the_edge_and_one_past_it() {
    let target = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1));
    check(&target(LIMITS.target_bytes_max), Ok(Framing::Empty));
    check(&target(LIMITS.target_bytes_max + 1), Err(Refusal::TargetTooLong));

    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    check(&fields(LIMITS.fields_max), Ok(Framing::Empty));
    check(&fields(LIMITS.fields_max + 1), Err(Refusal::HeadTooLarge));

    let head = |bytes: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(bytes - frame))
    };
    check(&head(LIMITS.head_bytes_max), Ok(Framing::Empty));
    check(&head(LIMITS.head_bytes_max + 1), Err(Refusal::HeadTooLarge));
}

#[test]
fn a_head_in_pieces_reads_like_one_in_a_piece() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut scanned = 0;
    for end in 0..head.len() {
        assert_eq!(inspect(&head[..end], &mut scanned, &LIMITS, Strictness::Strict), Inspection::Incomplete, "{end}");
    }
    let mut names = NameHash::default();
    names.take(b"Host");
    let passed = Head { bytes: head.len(), framing: Framing::Empty, upgrade: false, names };
    assert_eq!(inspect(head, &mut scanned, &LIMITS, Strictness::Strict), Inspection::Passed(passed));
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_passes_the_library_reads_with_the_same_framing(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..300),
    ) {
        let _ = inspect(&bytes, &mut 0, &LIMITS, Strictness::Lenient);
        if let Inspection::Passed(head) = inspect(&bytes, &mut 0, &LIMITS, Strictness::Strict) {
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut request = httparse::Request::new(&mut fields);
            prop_assert!(matches!(request.parse(&bytes), Ok(httparse::Status::Complete(length)) if length == head.bytes));
        }
    }

    #[test]
    fn generated_heads_that_pass_are_read_alike_by_the_library(
        method in "[A-Z]{1,8}",
        target in "/[!-~]{0,20}",
        names in proptest::collection::vec("[A-Za-z-]{1,12}", 0..3),
        value in "[ -~]{0,20}",
    ) {
        let fields: String = names.iter().map(|name| format!("{name}: {value}\r\n")).collect();
        let text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        if let Inspection::Passed(head) = inspect(text.as_bytes(), &mut 0, &LIMITS, Strictness::Strict) {
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut request = httparse::Request::new(&mut fields);
            prop_assert_eq!(request.parse(text.as_bytes()), Ok(httparse::Status::Complete(head.bytes)));
            prop_assert_eq!(http::Uri::try_from(target.as_str()).unwrap().to_string(), target);
        }
    }
}
