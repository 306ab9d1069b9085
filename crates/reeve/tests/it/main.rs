//! The program as a person meets it: what it prints, and with which code it ends.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of `#[test]` functions"
)]

mod check;
mod demo;
mod deployment;
mod explain;
mod help;
mod init;
mod key;
mod reference;
mod sandbox;
mod settings;
mod transcript;
mod waf;
mod waf_explain;
mod witness;
