//! The ledger, tried as a whole.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must say so and end"
)]

mod bucket;
mod damage;
mod full;
mod house;
mod log;
mod proof;
mod retention;
mod witness;
mod witnessed;
