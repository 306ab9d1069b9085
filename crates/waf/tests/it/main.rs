//! The engine from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must say so and end"
)]

mod conformance;
mod corpus;
mod exclusions;
mod folder;
mod reload;
mod semantics;
