//! The inspection of raw heads: no bytes panic it, pieces read like the whole, and what passes the HTTP library reads
//! to the same end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_edge::{HeadLimits, Inspection, Strictness, inspect};

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 4096, target_bytes_max: 1024, fields_max: 64 };

fuzz_target!(|bytes: &[u8]| {
    let whole = inspect(bytes, &mut 0, &LIMITS, Strictness::Strict);
    let _ = inspect(bytes, &mut 0, &LIMITS, Strictness::Lenient);

    let mut scanned = 0;
    let middle = bytes.len() / 2;
    let first = inspect(&bytes[..middle], &mut scanned, &LIMITS, Strictness::Strict);
    if first == Inspection::Incomplete {
        assert_eq!(inspect(bytes, &mut scanned, &LIMITS, Strictness::Strict), whole, "in two pieces");
    }

    if let Inspection::Passed(head) = whole {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(head.bytes)), "read to another end");
    }
});
