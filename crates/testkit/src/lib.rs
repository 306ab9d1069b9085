//! Servers for tests: each test starts its own, on free ports, in a folder of its own, and stops it when it ends.
//!
//! Development only: no crate that ships depends on it.

mod nginx;
mod pebble;
mod port;
mod postgres;
mod redis;

pub use nginx::{Nginx, StartError};
pub use pebble::{Pebble, PebbleError, PebbleSettings};
pub use port::{answers, free_ports};
pub use postgres::{Postgres, PostgresError};
pub use redis::{Redis, RedisError};
