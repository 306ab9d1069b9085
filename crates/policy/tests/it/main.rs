//! The policy language, tried on whole files.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests stand outside of `#[test]` functions"
)]

mod difference;
mod faults;
mod reference;
