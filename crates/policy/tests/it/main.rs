//! The policy language, tried on whole files.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside of `#[test]` functions")]

mod difference;
mod reference;
