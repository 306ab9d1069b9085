//! What Reeve keeps: typed sealed records on SQLite or PostgreSQL, an outbox of messages and leases beside them,
//! counters in memory or Valkey/Redis, objects in a folder or an S3 bucket.
//!
//! Everything is sealed before a database sees it: the value of a record with its id, the body of a message, the content
//! of an object. Ids, tenants, lookup values, names of objects and counters become keyed hashes. In clear stand only
//! names from the program's own text (collections, topics, lookups), version numbers, times, counts and lengths.
//!
//! Invariants: SQL is constant text with bound values; both databases run the same statements (see `link`), so they
//! behave the same; on PostgreSQL the store's role can neither change the schema nor step around row-level security,
//! and [`Store::open`] refuses one that can. What the store cannot see: somebody with write access to the database who
//! puts back a whole row as it was, version and all; the ledger is the witness of that.
//!
//! ```
//! use reeve_store::{Lookup, Record};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Account {
//!     mail: String,
//! }
//!
//! impl Record for Account {
//!     const COLLECTION: &'static str = "accounts";
//!     const SCHEMA: u16 = 1;
//!     fn lookups(&self) -> Vec<Lookup> {
//!         vec![Lookup::sole("mail", &self.mail)]
//!     }
//! }
//! ```
//!
//! Start reading at [`Store`] for what there is and at [`Scope`] for records.

#![forbid(unsafe_code)]

mod apply;
mod batch;
mod copy;
mod counters;
mod engine;
mod envelope;
mod error;
mod lease;
mod link;
mod migrate;
mod names;
mod objects;
mod outbox;
mod pool;
mod postgres;
mod record;
mod reseal;
mod rows;
mod scope;
mod settings;
mod shared_rates;
mod sqlite;
mod status;
mod store;

pub use batch::{Batch, BatchError, Expect, Message};
pub use copy::{CopyError, Phase, Progress, Resume, Verified, copy};
pub use counters::{CounterError, Counters};
pub use error::{DatabaseError, OpenError, ReadError, WriteError};
pub use lease::{Lease, LeaseError, Leases};
pub use migrate::{MigrateError, Migrated, migrate};
pub use objects::{ObjectError, ObjectReader, ObjectWriter, Objects};
pub use outbox::{Claimed, Outbox};
pub use record::{Lookup, Record, Versioned};
pub use reseal::{Position, ResealError, Resealed};
pub use scope::Scope;
pub use settings::{Bucket, CounterPlace, Database, ObjectPlace, Server, ServerError, Settings};
pub use shared_rates::{CommonHealth, CommonRates};
pub use status::Status;
pub use store::{Store, Tools};
