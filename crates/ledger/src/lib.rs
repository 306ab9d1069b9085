//! The append-only transparency log: what happened cannot be changed, and what has had its time can be forgotten.
//!
//! A ledger is a tree of hashes over small leaves in the public formats of [`proof`], so that anyone can verify it with
//! other people's programs; and, beside it, encrypted contents that the leaves only commit to. Destroying the key of a
//! day destroys that day's contents and breaks no proof.
//!
//! ```no_run
//! # fn example(tools: reeve_ledger::Tools) -> Result<(), Box<dyn std::error::Error>> {
//! use reeve_ledger::{Class, Entry, Ledger, Place, Settings};
//!
//! let place = Place::Folder("/var/lib/reeve/ledger".into());
//! let ledger = Ledger::open(Settings::new("example.com/reeve", place, "/var/lib/reeve/wal"), tools)?;
//! let entry = Entry {
//!     class: Class::Security,
//!     activity: "policy.change".into(),
//!     clause: None,
//!     actor: Some("alice".into()),
//!     body: br#"{"file":"policy.toml"}"#.to_vec(),
//! };
//! let seq = ledger.append(entry)?.wait_durable()?; // on this machine's disk
//! # let _ = seq;
//! ledger.close()?; // under a signed checkpoint
//! # Ok(()) }
//! ```
//!
//! What lies in a ledger's folder or bucket:
//!
//! | path | what |
//! |---|---|
//! | `checkpoint`, `checkpoint.cosigned` | the newest signed head, and the newest that enough witnesses cosigned |
//! | `tile/<level>/<index>[.p/<width>]` | hashes ([c2sp.org/tlog-tiles](https://c2sp.org/tlog-tiles)) |
//! | `tile/entries/<index>[.p/<width>]` | leaves |
//! | `body/<class>/<day>/<first>-<last>.enc` | contents, AES-256-GCM |
//! | `keys/signing.sealed`, `keys/<class>/<day>.wrapped` | keys, sealed by the vault |
//! | `writer`, `clock`, `holds`, `purging`, `lock` | who writes, how far the clock was believed, legal holds, an unfinished purge |
//!
//! The write-ahead log lies elsewhere, on a local disk, and belongs to no copy of the ledger.
//!
//! Invariants: nothing is acknowledged as durable before `fdatasync` has returned, and nothing that was is dropped but by
//! a purge; no head is signed that does not continue the last one signed and the last one cosigned; contents are in
//! clear in memory alone; of a ledger's entries, memory holds those that are not sealed yet and no others.
//!
//! Start reading at [`Ledger`] for writing, at [`Reader`] for reading and at [`mod@verify`] for checking.

#![forbid(unsafe_code)]

mod content;
mod keys;
mod lock;
mod log;
pub mod proof;
mod reader;
mod retention;
mod segment;
mod settings;
mod shelf;
mod signing;
mod tiles;
pub mod verify;
mod wal;
pub mod witness;

#[cfg(test)]
extern crate self as reeve_ledger;

#[cfg(test)]
#[path = "../tests/it/house.rs"]
#[expect(dead_code, reason = "the integration tests use all of it")]
mod house;

pub use log::{
    ACTOR_BYTES_MAX, AppendError, BODY_BYTES_MAX, Class, ClassDay, CloseError, Entry, Health, InvalidEntry, Ledger,
    OpenError, Receipt, ResealError, Sealed,
};
pub use reader::{Content, Entries, ReadError, Reader, Record};
pub use retention::{DuePurge, Hold, HoldError, LABEL_BYTES_MAX, PurgeError, PurgePlan, PurgeRecord, PurgeReport};
pub use settings::{Bucket, Pace, Place, Retention, Settings, Tools};
