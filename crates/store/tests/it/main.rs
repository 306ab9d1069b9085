//! The store, tried as a whole: one suite of behaviours on SQLite and on a real PostgreSQL, counters on a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must say so and end"
)]

mod behaviour;
mod bucket;
mod counters;
mod house;
mod keys;
mod model;
mod moving;
mod objects;
mod planted;
mod postgres;
mod rates;
mod sqlite;
