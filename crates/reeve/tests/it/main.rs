//! The program as a person meets it: what it prints, and with which code it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside of `#[test]` functions")]

mod check;
mod explain;
mod help;
mod init;
mod settings;
mod transcript;
