//! The fingerprint of a ClientHello: no bytes panic it, and what it says has the form of a fingerprint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reeve_edge::{is_fingerprint, ja4};

fuzz_target!(|bytes: &[u8]| {
    if let Some(print) = ja4(bytes) {
        assert!(is_fingerprint(&print), "{print}");
    }
});
