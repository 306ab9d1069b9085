//! Lines of logs: whatever they are, each filter reads them to an end, and a time that it finds can be asked about.

#![no_main]

use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;
use reeve_watch::{Filter, Kind};

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::UNIX_EPOCH;
    for kind in Kind::ALL {
        let mut filter = Filter::new(kind);
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Some(failure) = filter.read(line) {
                assert!(failure.attempts >= 1);
                let _ = failure.stamp.age(now, &TimeZone::UTC);
            }
        }
    }
});
