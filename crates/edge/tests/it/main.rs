//! The gateway, tried as a whole: real sockets, real TLS, and an application that does as each test tells it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must say so and end"
)]

mod acme;
mod answers;
mod application;
mod bans;
mod callers;
mod client;
mod closing;
mod entrance;
mod faults;
mod frames;
mod framing;
mod hostile;
mod house;
mod learn;
mod limits;
mod operation;
mod protocols;
mod recording;
mod responses;
mod rule_set;
mod secured;
mod sites;
mod smuggling;
mod traces;
mod upstreams;
mod validation;
mod waf;
mod waf_findings;
