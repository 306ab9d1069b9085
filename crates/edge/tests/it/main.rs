//! The gateway, tried as a whole: real sockets, real TLS, and an application that does as each test tells it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must say so and end"
)]

mod acme;
mod application;
mod bans;
mod client;
mod faults;
mod framing;
mod house;
mod limits;
mod operation;
mod protocols;
mod recording;
mod responses;
mod secured;
mod sites;
mod validation;
