//! The engine from outside.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod conformance;
mod corpus;
mod folder;
