//! The policy reader: no bytes panic it, and every fault points into the text.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let checked = reeve_policy::check("fuzz", bytes, jiff::civil::date(2026, 11, 21));
    let text = &checked.source.text;
    for label in checked.faults.iter().flat_map(|fault| &fault.labels) {
        assert!(label.span.start <= label.span.end && label.span.end <= text.len(), "{label:?} outside of the text");
        assert!(text.is_char_boundary(label.span.start) && text.is_char_boundary(label.span.end), "{label:?} inside of a character");
    }
    assert!(checked.policy.is_some() || !checked.faults.is_empty(), "refused without a reason");
});
